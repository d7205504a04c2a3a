//! Ending many sessions at once.

use std::collections::BTreeMap;

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use rollcall_core::{
    Backend, EndAllScope, EndChoice, EndPreviewId, EndRun, EndStage, Error, Field, OrganisationId,
    Problem, SessionFilter, SessionId, UserId, query,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::extract::{Body, Id, NoParameters, SignedIn};
use super::respond::Json;
use crate::error::{ApiError, ProblemDocument};

/// Which sessions: either by their ids or by a filter, which has to narrow.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "filter": { "q": "gmail" } }))]
pub(super) struct PreviewRequest {
    /// These, at most 1,000.
    #[schema(max_items = 1000)]
    ids: Option<Vec<SessionId>>,
    /// All active ones that match: the parameters of the list of sessions that say which (`q`, `state`, `kind`, `user`, `ip` and so on). One that
    /// leaves everything, or narrows by state alone, is refused.
    filter: Option<BTreeMap<String, String>>,
}

/// Seals which active sessions would end, and counts them. A session that begins later is not among them, nor is the
/// one that asks. Good for ten minutes, once. Needs `sessions.end`.
#[utoipa::path(
    post, path = "/api/v1/sessions/end-preview", tag = "Sessions", request_body = PreviewRequest,
    responses(
        (status = 200, description = "The preview", body = EndRun),
        (status = 400, description = "A field cannot be accepted", body = ProblemDocument),
        (status = 403, description = "Not permitted", body = ProblemDocument),
        (status = 404, description = "One of the sessions is unknown, or another organisation's", body = ProblemDocument),
    )
)]
pub(super) async fn preview(
    asking: SignedIn,
    _: NoParameters,
    Body(request): Body<PreviewRequest>,
) -> Result<Json<EndRun>, ApiError> {
    let choice = match (request.ids, request.filter) {
        (Some(ids), None) => EndChoice::Sessions(ids),
        (None, Some(filter)) => {
            let pairs: Vec<_> = filter
                .iter()
                .map(|(name, value)| (name.as_str(), value.clone()))
                .collect();
            EndChoice::Matching(SessionFilter::parse(&query::write(&pairs))?)
        }
        (Some(_), Some(_)) => return Err(Error::Invalid(Field::Ids, Problem::Repeated).into()),
        (None, None) => return Err(Error::Invalid(Field::Filter, Problem::Missing).into()),
    };
    Ok(Json(asking.preview_end(choice).await?))
}

/// What to end.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EndPreviewedRequest {
    /// The id of a preview of this session.
    preview: EndPreviewId,
    /// Why, at most 200 characters; kept with each session and in the audit trail.
    #[schema(max_length = 200, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$")]
    reason: Option<String>,
}

/// Ends what a preview holds: those and no others, but for what has ended meanwhile. What takes longer than some
/// seconds answers 202 and goes on by itself; `GET` of the same preview tells how far it is. Needs `sessions.end`.
#[utoipa::path(
    post, path = "/api/v1/sessions/end", tag = "Sessions", request_body = EndPreviewedRequest,
    responses(
        (status = 200, description = "All ended", body = EndRun),
        (status = 202, description = "They are being ended", body = EndRun),
        (status = 400, description = "A field cannot be accepted", body = ProblemDocument),
        (status = 403, description = "Not permitted", body = ProblemDocument),
        (status = 404, description = "No preview of this session", body = ProblemDocument),
        (status = 409, description = "Used, or older than ten minutes", body = ProblemDocument),
    )
)]
pub(super) async fn end(
    asking: SignedIn,
    _: NoParameters,
    Body(request): Body<EndPreviewedRequest>,
) -> Result<Response, ApiError> {
    let run = asking
        .end_previewed(request.preview, request.reason)
        .await?;
    let status = match run.stage {
        EndStage::Finished => StatusCode::OK,
        EndStage::Preview | EndStage::Running => StatusCode::ACCEPTED,
    };
    Ok((status, Json(run)).into_response())
}

/// A preview of this session and what became of it. Needs `sessions.end`.
#[utoipa::path(
    get, path = "/api/v1/sessions/end/{id}", tag = "Sessions",
    params(("id" = EndPreviewId, Path, description = "The preview")),
    responses(
        (status = 200, description = "How far it has come", body = EndRun),
        (status = 403, description = "Not permitted", body = ProblemDocument),
        (status = 404, description = "No preview of this session", body = ProblemDocument),
    )
)]
pub(super) async fn progress(
    asking: SignedIn,
    Id(id): Id<EndPreviewId>,
    _: NoParameters,
) -> Result<Json<EndRun>, ApiError> {
    Ok(Json(asking.end_progress(id).await?))
}

/// Everything of what.
#[derive(Deserialize, Clone, Copy, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Scope {
    User,
    Organisation,
    Installation,
}

/// What to end.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EndAllRequest {
    /// Everything of a user, an organisation or the installation.
    scope: Scope,
    /// Whose: the id of the user or the organisation; not for the installation.
    id: Option<uuid::Uuid>,
    /// Why, at most 200 characters; kept with each session and in the audit trail.
    #[schema(max_length = 200, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$")]
    reason: Option<String>,
}

/// What an end did.
#[derive(Serialize, ToSchema)]
pub(super) struct EndSummary {
    /// How many sessions ended.
    ended: u64,
    /// Whether the one that asked was among them.
    signed_out: bool,
}

/// Ends everything of a user, an organisation or the installation at once, however many sessions that is; the one
/// that asks, too, if it is one of those. Needs `sessions.end`, for the installation in all organisations.
#[utoipa::path(
    post, path = "/api/v1/sessions/end-all", tag = "Sessions", request_body = EndAllRequest,
    responses(
        (status = 200, description = "Ended", body = EndSummary),
        (status = 400, description = "A field cannot be accepted", body = ProblemDocument),
        (status = 403, description = "Not permitted", body = ProblemDocument),
        (status = 404, description = "Unknown, or another organisation's", body = ProblemDocument),
    )
)]
pub(super) async fn end_all(
    asking: SignedIn,
    _: NoParameters,
    Body(request): Body<EndAllRequest>,
) -> Result<Json<EndSummary>, ApiError> {
    let scope = match (request.scope, request.id) {
        (Scope::User, Some(id)) => EndAllScope::User(UserId(id)),
        (Scope::Organisation, Some(id)) => EndAllScope::Organisation(OrganisationId(id)),
        (Scope::Installation, None) => EndAllScope::Installation,
        (Scope::Installation, Some(_)) => {
            return Err(Error::Invalid(Field::Id, Problem::Unknown).into());
        }
        (_, None) => return Err(Error::Invalid(Field::Id, Problem::Missing).into()),
    };
    let result = asking.end_all(scope, request.reason).await?;
    Ok(Json(EndSummary {
        ended: result.ended,
        signed_out: result.signed_out,
    }))
}
