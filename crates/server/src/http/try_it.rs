//! A page to try the API: the OpenAPI document as forms. Small and our own, so that it works offline,
//! under our own content security policy, by keyboard, in light and dark.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};

use super::simple_page;

const MAIN: &str = "<h1>Rollcall API</h1>\n\
    <p id=\"about\">Every call, from the <a href=\"/api/openapi.json\">OpenAPI document</a>. Calls made here are real.</p>\n\
    <p><label for=\"bearer\">Bearer token (leave empty to use this browser's own session)</label>\n\
    <input id=\"bearer\" type=\"password\" autocomplete=\"off\" spellcheck=\"false\"></p>\n\
    <noscript><p>This page needs scripts. The document above does not.</p></noscript>\n\
    <div id=\"calls\"></div>\n";

/// The page.
pub(super) async fn page() -> Response {
    let script = "<script src=\"/api/docs/try.js\" defer></script>\n";
    let mut response = simple_page::answer(simple_page::page(
        simple_page::Layout::Document,
        "API",
        MAIN,
        script,
    ));
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// Its script.
pub(super) async fn script() -> Response {
    let mut response = Body::from(include_str!("try_it.js")).into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/javascript; charset=utf-8"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}
