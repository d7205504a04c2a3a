//! Pages that Leptos does not make: errors, help, the API's description. No scripts of their own, the
//! same style sheet.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use rollcall_core::Error;

use super::assets;
use crate::error::ApiError;

/// A page around this HTML.
pub(super) fn page(title: &str, main: &str, head: &str) -> String {
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
         <body>\n\
         <main class=\"simple-page\">\n{main}</main>\n\
         </body>\n\
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
            "This is not allowed"
        }
        Error::NotFound => "There is nothing here",
        Error::Unavailable | Error::RequestTimeout => "Just a moment",
        Error::Internal => "Something went wrong",
        _ => "This did not work",
    };
    let contact = contact.map_or_else(String::new, |contact| {
        format!("<p>Whom to ask: {}</p>\n", escaped(contact))
    });
    let main = format!(
        "<h1>{title}</h1>\n\
         <p>{sentence}</p>\n\
         {contact}\
         <p>If you ask for help, give this request id: <code>{id}</code></p>\n\
         <p><a href=\"/\">Go to the start page</a> · <a href=\"/help/troubleshooting\">Troubleshooting</a></p>\n",
        sentence = escaped(&error.document(request_id).detail),
        id = escaped(request_id),
    );
    page(title, &main, "")
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
