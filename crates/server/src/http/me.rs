//! The caller's own account and sessions.

use axum::response::Response;
use rollcall_core::{
    Backend, ChangePassword, Me, OwnScope, Page, Session, SessionId, SessionQuery,
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::extract::{Asking, Body, Id, NoParameters, Parameters, switch};
use super::openapi::parameters::{PageParameters, SessionFilterParameters, SessionSortParameter};
use super::respond::{Json, done};
use crate::error::{ApiError, ProblemDocument};

/// Who is asking, what they may do, and through which session.
#[utoipa::path(
    get, path = "/api/v1/me", tag = "My account",
    responses((status = 200, description = "The caller", body = Me))
)]
pub(super) async fn find(asking: Asking, _: NoParameters) -> Result<Json<Me>, ApiError> {
    Ok(Json(asking.me().await?))
}

/// The password in force and the one to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PasswordRequest {
    /// The password in force. Wrong ones count like wrong ones at sign-in.
    #[schema(format = Password, min_length = 1, max_length = 1_024)]
    current_password: String,
    /// The password to be.
    #[schema(format = Password, min_length = 8, max_length = 1_024)]
    new_password: String,
}

/// Changes the password. This session gets a new token; all others end.
#[utoipa::path(
    post, path = "/api/v1/me/password", tag = "My account", request_body = PasswordRequest,
    responses(
        (status = 204, description = "Changed. The new token is in the cookie or in Session-Token"),
        (status = 400, description = "A field cannot be accepted", body = ProblemDocument),
        (status = 429, description = "Too many attempts; see Retry-After", body = ProblemDocument),
    )
)]
pub(super) async fn change_password(
    asking: Asking,
    _: NoParameters,
    Body(request): Body<PasswordRequest>,
) -> Result<Response, ApiError> {
    let input = ChangePassword {
        current_password: request.current_password,
        new_password: request.new_password,
    };
    asking.change_password(input).await?;
    Ok(done())
}

/// The password in force.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReauthenticationRequest {
    /// The password in force. Wrong ones count like wrong ones at sign-in.
    #[schema(format = Password, min_length = 1, max_length = 1_024)]
    current_password: String,
}

/// Takes the password once more. For 15 minutes this session may then change who may sign in and what they may do:
/// users, roles, passwords, policy. A sign-in counts, too. This session gets a new token.
#[utoipa::path(
    post, path = "/api/v1/me/reauthenticate", tag = "My account", request_body = ReauthenticationRequest,
    responses(
        (status = 204, description = "Taken. The new token is in the cookie or in Session-Token"),
        (status = 400, description = "The password is missing or wrong", body = ProblemDocument),
        (status = 429, description = "Too many attempts; see Retry-After", body = ProblemDocument),
    )
)]
pub(super) async fn reauthenticate(
    asking: Asking,
    _: NoParameters,
    Body(request): Body<ReauthenticationRequest>,
) -> Result<Response, ApiError> {
    asking.reauthenticate(request.current_password).await?;
    Ok(done())
}

/// The caller's sessions: this one first, then the active ones by last activity. Active ones unless
/// `state` says otherwise.
#[utoipa::path(
    get, path = "/api/v1/me/sessions", tag = "My account", params(SessionFilterParameters, SessionSortParameter, PageParameters),
    responses(
        (status = 200, description = "One page", body = Page<Session>),
        (status = 400, description = "A parameter cannot be accepted", body = ProblemDocument),
    )
)]
pub(super) async fn list_sessions(
    asking: Asking,
    parameters: Parameters,
) -> Result<Json<Page<Session>>, ApiError> {
    Ok(Json(
        asking
            .list_own_sessions(SessionQuery::parse(&parameters.0)?)
            .await?,
    ))
}

/// What to call a session.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RenameRequest {
    /// At most 80 characters, none of them a control character; blanks at both ends do not count.
    #[schema(
        min_length = 1,
        max_length = 80,
        pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$"
    )]
    name: String,
}

/// Gives one of the caller's active sessions another name.
#[utoipa::path(
    patch, path = "/api/v1/me/sessions/{id}", tag = "My account",
    params(("id" = SessionId, Path, description = "The session")),
    request_body = RenameRequest,
    responses(
        (status = 200, description = "The session under its new name", body = Session),
        (status = 400, description = "The name cannot be accepted", body = ProblemDocument),
        (status = 404, description = "Not one of the caller's", body = ProblemDocument),
        (status = 409, description = "Not active any more", body = ProblemDocument),
    )
)]
pub(super) async fn rename_session(
    asking: Asking,
    Id(id): Id<SessionId>,
    _: NoParameters,
    Body(request): Body<RenameRequest>,
) -> Result<Json<Session>, ApiError> {
    Ok(Json(asking.rename_own_session(id, request.name).await?))
}

/// Ends one of the caller's sessions.
#[utoipa::path(
    delete, path = "/api/v1/me/sessions/{id}", tag = "My account",
    params(("id" = SessionId, Path, description = "The session")),
    responses(
        (status = 204, description = "Ended"),
        (status = 404, description = "Not one of the caller's", body = ProblemDocument),
        (status = 409, description = "Not active any more", body = ProblemDocument),
    )
)]
pub(super) async fn end_session(
    asking: Asking,
    Id(id): Id<SessionId>,
    _: NoParameters,
) -> Result<Response, ApiError> {
    asking.end_own_session(id).await?;
    Ok(done())
}

/// Ends all of the caller's sessions; with `except=current` all others.
#[utoipa::path(
    delete, path = "/api/v1/me/sessions", tag = "My account",
    params(("except" = Option<String>, Query, description = "`current`: all but the one that asks", pattern = "^current$", example = "current")),
    responses(
        (status = 204, description = "Ended"),
        (status = 400, description = "A parameter cannot be accepted", body = ProblemDocument),
    )
)]
pub(super) async fn end_sessions(
    asking: Asking,
    parameters: Parameters,
) -> Result<Response, ApiError> {
    let scope = if switch(&parameters, "except", "current")? {
        OwnScope::Others
    } else {
        OwnScope::All
    };
    asking.end_own_sessions(scope).await?;
    Ok(done())
}
