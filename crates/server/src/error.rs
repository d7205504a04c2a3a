//! Errors as they leave the server: one shape for programs (RFC 9457), one for people.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use rollcall_core::query::QueryError;
use rollcall_core::{Error, Field, LastEnd, Problem, Session};
use serde::Serialize;
use utoipa::ToSchema;

/// A field that could not be accepted.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
pub struct FieldError {
    /// Its name as it was sent.
    pub field: String,
    /// What is wrong with it, in words.
    pub message: String,
}

/// A problem document (RFC 9457).
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ProblemDocument {
    /// `/problems/` and the code; a stable name.
    #[schema(example = "/problems/not_found")]
    pub r#type: String,
    /// The status in words.
    #[schema(example = "Not Found")]
    pub title: &'static str,
    /// The HTTP status.
    #[schema(example = 404)]
    pub status: u16,
    /// What happened and what to do.
    pub detail: String,
    /// The last part of `type`, for programs.
    #[schema(example = "not_found")]
    pub code: &'static str,
    /// The request's id, as in the header `x-request-id`, the log and the audit trail.
    pub request_id: String,
    /// The fields that could not be accepted; empty for everything else.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// With `unauthenticated`, where the token was a session's: why that has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub ended: Option<LastEnd>,
    /// With `session_limit`, where the user may choose: the sessions that are open, to be named in `end`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sessions: Vec<Session>,
}

/// An error on its way out of a handler. Which shape it takes, and the request's id, are added by
/// `http::respond`, so that no handler can forget either.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ApiError {
    /// What went wrong.
    pub error: Error,
    /// The name of the field as it was sent, where `Error` has only its kind.
    pub field: Option<String>,
    /// Sessions to choose from, see `ProblemDocument::sessions`.
    pub sessions: Vec<Session>,
    /// See `ProblemDocument::ended`.
    pub ended: Option<LastEnd>,
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        Self {
            error,
            field: None,
            sessions: Vec::new(),
            ended: None,
        }
    }
}

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> Self {
        let field = Field::from_name(&error.parameter).unwrap_or(Field::Other);
        Self {
            error: Error::Invalid(field, error.problem),
            field: Some(error.parameter),
            sessions: Vec::new(),
            ended: None,
        }
    }
}

impl ApiError {
    /// A field of this name has this problem.
    pub fn field(name: &str, problem: Problem) -> Self {
        QueryError {
            parameter: name.to_owned(),
            problem,
        }
        .into()
    }

    /// The problem document.
    pub fn document(&self, request_id: &str) -> ProblemDocument {
        let status = status(self.error);
        let errors = match self.error {
            Error::Invalid(field, problem) => vec![FieldError {
                field: self.field_name(field),
                message: problem.to_string(),
            }],
            _ => Vec::new(),
        };
        ProblemDocument {
            r#type: format!("/problems/{}", self.error.code()),
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: self.sentence(),
            code: self.error.code(),
            request_id: request_id.to_owned(),
            errors,
            sessions: self.sessions.clone(),
            ended: self.ended.filter(|_| self.error == Error::Unauthenticated),
        }
    }

    // A name that somebody sent is shown only if it is short and plain; it is theirs, not ours.
    fn field_name(&self, field: Field) -> String {
        self.field
            .as_deref()
            .filter(|name| name.len() <= 64 && name.chars().all(|c| c.is_ascii_graphic()))
            .unwrap_or(field.as_str())
            .to_owned()
    }

    fn sentence(&self) -> String {
        match self.error {
            Error::Invalid(field, problem) => format!("{} {problem}.", self.field_name(field)),
            error => error.to_string(),
        }
    }

    /// The problem document as an answer.
    pub fn into_problem(self, request_id: &str) -> Response {
        let body = serde_json::to_vec(&self.document(request_id)).unwrap_or_default();
        let mut response = (status(self.error), Body::from(body)).into_response();
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        add_headers(self.error, response.headers_mut());
        response
    }
}

/// The status that goes with an error.
pub fn status(error: Error) -> StatusCode {
    StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// What the status asks for: `WWW-Authenticate` with 401 (RFC 9110, 11.6.1), `Retry-After` with 429 and 503.
pub fn add_headers(error: Error, headers: &mut http::HeaderMap) {
    let (name, value): (HeaderName, HeaderValue) = match error {
        Error::Unauthenticated | Error::SignInFailed => (
            header::WWW_AUTHENTICATE,
            HeaderValue::from_static("Bearer realm=\"rollcall\""),
        ),
        Error::TooManyAttempts(seconds) => (header::RETRY_AFTER, HeaderValue::from(seconds.max(1))),
        Error::Unavailable => (header::RETRY_AFTER, HeaderValue::from_static("2")),
        _ => return,
    };
    headers.insert(name, value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_named_as_it_was_sent() {
        let error = ApiError::field("colour", Problem::Unknown);
        let document = error.document("r-1");
        assert_eq!((document.status, document.code), (400, "invalid_field"));
        assert_eq!(document.detail, "colour is not known here.");
        assert_eq!(document.errors[0].field, "colour");
        assert_eq!(document.request_id, "r-1");
    }

    #[test]
    fn a_strange_name_is_not_repeated() {
        let long = "x".repeat(65);
        for name in ["<script>\n", long.as_str(), "naïve"] {
            let document = ApiError::field(name, Problem::Unknown).document("r");
            assert_eq!(document.errors[0].field, "other", "{name:?}");
        }
    }

    #[test]
    fn what_a_status_asks_for_comes_with_it() {
        for (error, name, value) in [
            (
                Error::Unauthenticated,
                "www-authenticate",
                "Bearer realm=\"rollcall\"",
            ),
            (Error::TooManyAttempts(0), "retry-after", "1"),
            (Error::TooManyAttempts(61), "retry-after", "61"),
            (Error::Unavailable, "retry-after", "2"),
        ] {
            let response = ApiError::from(error).into_problem("r");
            assert_eq!(response.status().as_u16(), error.status());
            assert_eq!(response.headers()[name], value);
            assert_eq!(
                response.headers()["content-type"],
                "application/problem+json"
            );
        }
    }
}
