//! For those who run the server: is it alive, is it ready, what does it do.

use std::time::Duration;

use axum::extract::{MatchedPath, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, Method, StatusCode, header};
use rollcall_core::Error;
use serde_json::json;

use super::Shared;
use super::request::Asked;
use super::respond::{self, Json};
use crate::telemetry;

/// The process lives. Asks nothing of the database.
#[utoipa::path(get, path = "/healthz", tag = "Operations", responses((status = 200, description = "It lives")), security(()))]
pub(super) async fn healthy() -> Json<serde_json::Value> {
    Json(json!({ "status": "ok" }))
}

/// The server can do its work: the database answers.
#[utoipa::path(
    get, path = "/readyz", tag = "Operations",
    responses((status = 200, description = "It is ready"), (status = 503, description = "The database cannot be reached")),
    security(())
)]
pub(super) async fn ready(State(http): State<Shared>) -> Response {
    if http.service.probe().await {
        Json(json!({ "status": "ok" })).into_response()
    } else {
        respond::with(Error::Unavailable.into())
    }
}

/// Figures in Prometheus's text format.
#[utoipa::path(get, path = "/metrics", tag = "Operations", responses((status = 200, description = "Text in Prometheus's format", content_type = "text/plain")), security(()))]
pub(super) async fn metrics() -> Response {
    let Some(handle) = telemetry::metrics() else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let mut response = handle.render().into_response();
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"),
    );
    response
}

/// Counts an answered request and writes its line in the log.
pub(super) fn note(
    asked: &Asked,
    method: &Method,
    route: Option<&MatchedPath>,
    status: StatusCode,
    took: Duration,
) {
    let route = route.map_or("(none)", MatchedPath::as_str).to_owned();
    // Methods of somebody's own making must not make new series.
    let method = match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "(other)",
    };
    tracing::info!(
        request.id = %asked.id,
        http.method = method,
        http.route = %route,
        http.status = status.as_u16(),
        http.microseconds = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        client.ip = %asked.ip,
        "request"
    );
    metrics::histogram!(
        telemetry::REQUEST_SECONDS,
        "route" => route,
        "method" => method,
        "status" => status_class(status),
    )
    .record(took.as_secs_f64());
}

fn status_class(status: StatusCode) -> &'static str {
    match status.as_u16() {
        100..=199 => "1xx",
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        _ => "5xx",
    }
}
