//! Every session that the caller may see.

use axum::response::Response;
use rollcall_core::{Backend, Page, Session, SessionFilter, SessionId, SessionQuery, SessionStats};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::extract::{Asking, Id, NoParameters, OptionalBody, Parameters};
use super::openapi::parameters::{PageParameters, SessionFilterParameters, SessionSortParameter};
use super::respond::{Json, done};
use crate::error::{ApiError, ProblemDocument};

/// Sessions, newest first unless `sort` says otherwise. Needs `sessions.view`.
#[utoipa::path(
    get, path = "/api/v1/sessions", tag = "Sessions", params(SessionFilterParameters, SessionSortParameter, PageParameters),
    responses(
        (status = 200, description = "One page", body = Page<Session>),
        (status = 400, description = "A parameter cannot be accepted", body = ProblemDocument),
        (status = 403, description = "Not permitted", body = ProblemDocument),
    )
)]
pub(super) async fn list(
    asking: Asking,
    parameters: Parameters,
) -> Result<Json<Page<Session>>, ApiError> {
    Ok(Json(
        asking
            .list_sessions(SessionQuery::parse(&parameters.0)?)
            .await?,
    ))
}

/// How many there are.
#[derive(Serialize, ToSchema)]
pub(super) struct Count {
    /// The exact number.
    total: u64,
}

/// How many sessions match, exactly, however long that takes: for lists whose total is not exact. Needs
/// `sessions.view`.
#[utoipa::path(
    get, path = "/api/v1/sessions/count", tag = "Sessions", params(SessionFilterParameters),
    responses(
        (status = 200, description = "The number", body = Count),
        (status = 400, description = "A parameter cannot be accepted", body = ProblemDocument),
        (status = 403, description = "Not permitted", body = ProblemDocument),
    )
)]
pub(super) async fn count(asking: Asking, parameters: Parameters) -> Result<Json<Count>, ApiError> {
    let query = SessionQuery {
        filter: SessionFilter::parse(&parameters.0)?,
        ..SessionQuery::default()
    };
    let total = asking.count_sessions(query).await?;
    Ok(Json(Count { total }))
}

/// The four cards, over everything that the caller may see. Needs `sessions.view`.
#[utoipa::path(
    get, path = "/api/v1/sessions/stats", tag = "Sessions",
    responses(
        (status = 200, description = "The figures", body = SessionStats),
        (status = 403, description = "Not permitted", body = ProblemDocument),
    )
)]
pub(super) async fn stats(asking: Asking, _: NoParameters) -> Result<Json<SessionStats>, ApiError> {
    Ok(Json(asking.session_stats().await?))
}

/// One session. Needs `sessions.view`.
#[utoipa::path(
    get, path = "/api/v1/sessions/{id}", tag = "Sessions",
    params(("id" = SessionId, Path, description = "The session")),
    responses(
        (status = 200, description = "The session", body = Session),
        (status = 403, description = "Not permitted", body = ProblemDocument),
        (status = 404, description = "Unknown, or another organisation's", body = ProblemDocument),
    )
)]
pub(super) async fn find(
    asking: Asking,
    Id(id): Id<SessionId>,
    _: NoParameters,
) -> Result<Json<Session>, ApiError> {
    Ok(Json(asking.find_session(id).await?))
}

/// Why a session is ended.
#[derive(Deserialize, Default, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EndRequest {
    /// In the administrator's words, at most 200 characters; kept with the session and in the audit trail.
    #[schema(max_length = 200, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$")]
    reason: Option<String>,
}

/// Ends one session, also one's own: that signs out. Needs `sessions.end`, or that it is one's own.
#[utoipa::path(
    delete, path = "/api/v1/sessions/{id}", tag = "Sessions",
    params(("id" = SessionId, Path, description = "The session")),
    request_body = Option<EndRequest>,
    responses(
        (status = 204, description = "Ended"),
        (status = 403, description = "Not permitted", body = ProblemDocument),
        (status = 404, description = "Unknown, or another organisation's", body = ProblemDocument),
        (status = 409, description = "Not active any more", body = ProblemDocument),
    )
)]
pub(super) async fn end(
    asking: Asking,
    Id(id): Id<SessionId>,
    _: NoParameters,
    OptionalBody(request): OptionalBody<EndRequest>,
) -> Result<Response, ApiError> {
    asking.end_session(id, request.reason).await?;
    Ok(done())
}
