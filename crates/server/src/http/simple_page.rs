//! Pages that Leptos does not make: errors, help, the API's description. No scripts of their own, the
//! same style sheet.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use rollcall_core::Error;

use super::assets;
use crate::error::ApiError;

/// How a page is laid out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Layout {
    /// One card in the middle.
    Card,
    /// Text to be read from the top.
    Document,
}

/// A page around this HTML.
pub(super) fn page(layout: Layout, title: &str, content: &str, head: &str) -> String {
    let content = match layout {
        Layout::Card => format!(
            "<main id=\"main\" class=\"alone\"><section class=\"panel card\">\n{content}</section></main>\n"
        ),
        Layout::Document => format!("<main id=\"main\" class=\"document\">\n{content}</main>\n"),
    };
    format!(
        "<!DOCTYPE html>\n\
         <html lang=\"en\">\n\
         <head>\n\
         <meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{title} · Rollcall</title>\n\
         <link rel=\"icon\" href=\"/favicon.svg\" type=\"image/svg+xml\">\n\
         <link rel=\"stylesheet\" href=\"{style}\">\n\
         {head}</head>\n\
         <body>\n{content}</body>\n\
         </html>\n",
        title = escaped(title),
        style = escaped(&assets::style()),
    )
}

/// The page as an answer.
pub(super) fn answer(page: String) -> Response {
    let mut response = Body::from(page).into_response();
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    response
}

/// An error in words, with what to do next and whom to ask.
pub(super) fn error(error: &ApiError, request_id: &str, contact: Option<&str>) -> String {
    let title = match error.error {
        Error::Unauthenticated => "You are not signed in",
        Error::Forbidden | Error::ForeignOrigin | Error::PasswordChangeRequired => {
            "This is not open to you"
        }
        Error::NotFound => "There is nothing here",
        Error::Unavailable => "The server cannot answer just now",
        _ => "Something went wrong",
    };
    let contact = contact.map_or_else(String::new, |contact| {
        format!("Ask <b>{}</b>. ", escaped(contact))
    });
    let content = format!(
        "<h1>{title}</h1>\n\
         <p>{sentence}</p>\n\
         <p class=\"aside\">{contact}Request <code>{id}</code>. <a href=\"/help/troubleshooting\">Troubleshooting</a></p>\n\
         <p class=\"acts\"><a class=\"button\" href=\"/\">Go to the start page</a></p>\n",
        sentence = escaped(&error.document(request_id).detail),
        id = escaped(request_id),
    );
    page(Layout::Card, title, &content, "")
}

/// Text that is safe between tags and inside quoted attributes.
pub(super) fn escaped(text: &str) -> String {
    text.chars()
        .fold(String::with_capacity(text.len()), |mut safe, letter| {
            match letter {
                '&' => safe.push_str("&amp;"),
                '<' => safe.push_str("&lt;"),
                '>' => safe.push_str("&gt;"),
                '"' => safe.push_str("&quot;"),
                '\'' => safe.push_str("&#39;"),
                other => safe.push(other),
            }
            safe
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_stays_text() {
        let page = error(
            &Error::NotFound.into(),
            "r-1",
            Some("<script>alert('x')</script>"),
        );
        assert!(!page.contains("<script>alert"));
        assert!(page.contains("&lt;script&gt;alert(&#39;x&#39;)"));
        assert!(page.contains("r-1") && page.contains("/help/troubleshooting"));
    }
}
