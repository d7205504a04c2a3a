//! The server functions of our own pages.
//!
//! Our client gets the status that REST would give. A plain form gets a redirect and no other status:
//! Leptos puts errors into the address that it came from, as a closed list without free text.

use std::sync::Arc;

use axum::Extension;
use axum::body::to_bytes;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, Uri, header};
use leptos::prelude::provide_context;
use leptos_axum::handle_server_fns_with_context;
use rollcall_core::Error;
use rollcall_core::backend::Backend;

use super::request::Asked;
use super::{body, pages, respond};
use crate::error;
use crate::service::RequestBackend;

/// Tells our client to go to `Location` after it has read the answer (server_fn's `REDIRECT_HEADER`).
const CLIENT_REDIRECT: HeaderName = HeaderName::from_static("serverfnredirect");

/// With this header server_fn marks an answer that carries an error.
const CARRIES_ERROR: HeaderName = HeaderName::from_static("serverfnerror");

/// Calls the function that the path names.
pub(super) async fn call(
    Extension(asked): Extension<Arc<Asked>>,
    Extension(backend): Extension<Arc<RequestBackend>>,
    request: Request,
) -> Response {
    if server_fn::axum::get_server_fn_service(request.uri().path(), request.method().clone())
        .is_none()
    {
        return respond::with(Error::NotFound.into());
    }
    let referer = request
        .headers()
        .get(header::REFERER)
        .and_then(|value| value.to_str().ok())
        .and_then(own_path);
    let shown: Arc<dyn Backend> = backend.clone();
    let response = handle_server_fns_with_context(move || provide_context(shown.clone()), request)
        .await
        .into_response();
    if asked.wants_html {
        for_form(&backend, response, referer)
    } else {
        for_client(&backend, response).await
    }
}

fn for_form(backend: &RequestBackend, response: Response, referer: Option<String>) -> Response {
    let effects = backend.effects();
    let target = match (effects.error, effects.redirect) {
        (Some(Error::Unauthenticated), _) => match referer.as_deref() {
            Some(path) => pages::sign_in(&without_error(path), None),
            None => "/sign-in".to_owned(),
        },
        (Some(Error::PasswordChangeRequired), _) => "/account/security".to_owned(),
        (None, Some(path))
            if !response.headers().contains_key(CARRIES_ERROR) && pages::is_ours(&path) =>
        {
            path
        }
        // With an error in it, or the page that the form stands on.
        _ => {
            let failed = response
                .headers()
                .get(header::LOCATION)
                .and_then(|value| value.to_str().ok())
                .and_then(own_path);
            match (failed, effects.come_back) {
                (Some(failed), Some(back)) if pages::is_ours(&back) => {
                    with_error_of(&back, &failed)
                }
                (Some(failed), _) => failed,
                (None, _) => referer.unwrap_or_else(|| "/".to_owned()),
            }
        }
    };
    pages::see_other(&target)
}

// An address with the error that stands in another.
fn with_error_of(address: &str, failed: &str) -> String {
    let (_, query) = failed.split_once('?').unwrap_or_default();
    let error: Vec<_> = query.split('&').filter(|pair| is_error(pair)).collect();
    let sign = if address.contains('?') { '&' } else { '?' };
    format!("{address}{sign}{}", error.join("&"))
}

// Whether a part of a query says why a form failed, as server_fn writes it there.
fn is_error(pair: &str) -> bool {
    pair.starts_with("__path=") || pair.starts_with("__err=")
}

async fn for_client(backend: &RequestBackend, response: Response) -> Response {
    let effects = backend.effects();
    let (mut parts, content) = response.into_parts();
    // A redirect is ours to give; what Leptos put there is for forms.
    parts.headers.remove(header::LOCATION);
    let Ok(bytes) = to_bytes(content, usize::MAX).await else {
        return respond::with(Error::Internal.into());
    };
    if parts.headers.contains_key(CARRIES_ERROR) {
        // What the function answers is what its caller reads; an earlier error that it handled is not.
        let failed = serde_json::from_slice::<Error>(&bytes)
            .ok()
            .or(effects.error)
            .unwrap_or(Error::MalformedBody);
        parts.status = error::status(failed);
        error::add_headers(failed, &mut parts.headers);
        if bytes.len() > body::LARGEST {
            return respond::with(failed.into());
        }
    } else {
        parts.status = StatusCode::OK;
        if let Some(path) = effects.redirect.filter(|path| pages::is_ours(path))
            && let Ok(value) = HeaderValue::from_str(&path)
        {
            parts.headers.insert(header::LOCATION, value);
            parts
                .headers
                .insert(CLIENT_REDIRECT, HeaderValue::from_static(""));
        }
    }
    Response::from_parts(parts, bytes.into())
}

// The path and query of an address, whichever host it names: nobody is sent anywhere else.
fn own_path(address: &str) -> Option<String> {
    let uri: Uri = address.parse().ok()?;
    let path = uri.path_and_query()?.as_str();
    pages::is_ours(path).then(|| path.to_owned())
}

// An address without the error of an earlier form.
fn without_error(address: &str) -> String {
    let Some((path, query)) = address.split_once('?') else {
        return address.to_owned();
    };
    let kept: Vec<_> = query.split('&').filter(|pair| !is_error(pair)).collect();
    if kept.is_empty() {
        path.to_owned()
    } else {
        format!("{path}?{}", kept.join("&"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_earlier_error_is_left_behind() {
        for (address, kept) in [
            ("/sessions", "/sessions"),
            ("/sessions?q=a", "/sessions?q=a"),
            ("/sessions?__path=%2Frpc%2Fend&__err=abc", "/sessions"),
            (
                "/sessions?q=a&__path=x&__err=y&page=2",
                "/sessions?q=a&page=2",
            ),
        ] {
            assert_eq!(without_error(address), kept);
        }
    }

    #[test]
    fn nobody_is_sent_anywhere_else() {
        for (address, path) in [
            ("http://localhost:8080/sessions?q=a", Some("/sessions?q=a")),
            ("https://evil.example/sessions", Some("/sessions")),
            ("https://evil.example//evil.example", None),
            ("/sessions", Some("/sessions")),
            ("//evil.example/x", None),
            ("javascript:alert(1)", None),
            ("", None),
        ] {
            assert_eq!(own_path(address).as_deref(), path, "{address}");
        }
    }
}
