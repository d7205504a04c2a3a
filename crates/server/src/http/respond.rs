//! The one place where an error becomes an answer, and where what the service decided about cookies is
//! written down.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use rollcall_core::Error;

use super::request::{Area, Asked};
use super::{Http, credentials, simple_page};
use crate::error::{self, ApiError};
use crate::service::Effects;

const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");

/// An answer that only carries the error; `in_shape` makes the real one.
pub(super) fn with(error: ApiError) -> Response {
    let mut response = error::status(error.error).into_response();
    response.extensions_mut().insert(error);
    response
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        with(self)
    }
}

/// An answer in JSON.
pub(super) struct Json<T>(pub(super) T);

impl<T: serde::Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        // Room for one session: the most frequent answer is written without growing.
        let mut body = Vec::with_capacity(2_048);
        match serde_json::to_writer(&mut body, &self.0) {
            Ok(()) => {
                let mut response = Body::from(body).into_response();
                let json = HeaderValue::from_static("application/json");
                response.headers_mut().reserve(12);
                response.headers_mut().insert(header::CONTENT_TYPE, json);
                response
            }
            Err(_) => with(Error::Internal.into()),
        }
    }
}

/// What was made, in JSON: 201.
pub(super) struct Created<T>(pub(super) T);

impl<T: serde::Serialize> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        let mut response = Json(self.0).into_response();
        if response.status() == StatusCode::OK {
            *response.status_mut() = StatusCode::CREATED;
        }
        response
    }
}

/// An error in the shape that its asker can read: a problem document for programs, our own error for our
/// own client, a page for people.
pub(super) fn in_shape(http: &Http, asked: &Asked, error: ApiError, routed: bool) -> Response {
    let mut response = if matches!(asked.area, Area::Api | Area::OAuth) {
        error.clone().into_problem(&asked.id)
    } else if asked.wants_html {
        let contact = http.support_contact.as_deref();
        simple_page::answer(simple_page::error(&error, &asked.id, contact))
    } else if asked.area == Area::Rpc {
        own_error(error.error)
    } else {
        error.clone().into_problem(&asked.id)
    };
    *response.status_mut() = error::status(error.error);
    error::add_headers(error.error, response.headers_mut());
    // A 405 says what is allowed (RFC 9110, 15.5.6). Where there is a route, axum adds its list.
    if error.error == Error::MethodNotAllowed && !routed {
        response
            .headers_mut()
            .insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    response
}

// As our client's server functions read it.
fn own_error(error: Error) -> Response {
    let body = serde_json::to_vec(&error).unwrap_or_default();
    let mut response = Body::from(body).into_response();
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    response
}

/// The headers that outlive the change of an answer into its shape.
pub(super) fn kept(response: &mut Response) -> HeaderMap {
    let names = [
        header::SET_COOKIE,
        credentials::SESSION_TOKEN,
        CLEAR_SITE_DATA,
        header::ALLOW,
    ];
    let headers = std::mem::take(response.headers_mut());
    let mut name = None;
    headers
        .into_iter()
        .filter_map(|(next, value)| {
            // The name stands only before the first of several values.
            name = next.or(name.take());
            let name = name.clone()?;
            names.contains(&name).then_some((name, value))
        })
        .fold(HeaderMap::new(), |mut kept, (name, value)| {
            kept.append(name, value);
            kept
        })
}

/// Writes what the service decided into the answer's headers.
pub(super) fn apply(effects: &Effects, headers: &mut HeaderMap) {
    credentials::write(&effects.cookie, effects.bearer.as_ref(), headers);
    credentials::write_ticket(&effects.ticket, headers);
    if effects.clear_site_data {
        // Not "cookies": that would take other applications' cookies of the same site along.
        headers.insert(
            CLEAR_SITE_DATA,
            HeaderValue::from_static("\"cache\", \"storage\""),
        );
    }
}

/// For an address that exists, but not for this method.
pub(super) async fn method_not_allowed() -> Response {
    with(Error::MethodNotAllowed.into())
}

/// 204: done, nothing to say.
pub(super) fn done() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_outlive_a_change_of_shape_and_nothing_else_does() {
        let mut response = StatusCode::OK.into_response();
        for (name, value) in [
            ("set-cookie", "a=1"),
            ("set-cookie", "b=2"),
            ("content-type", "text/plain"),
            ("etag", "x"),
        ] {
            response
                .headers_mut()
                .append(name, HeaderValue::from_static(value));
        }
        let kept = kept(&mut response);
        assert_eq!(kept.get_all("set-cookie").iter().count(), 2);
        assert_eq!(kept.len(), 2);
    }
}
