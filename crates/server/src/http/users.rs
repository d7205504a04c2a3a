//! Users and their sessions.

use axum::response::Response;
use rollcall_core::{
    Backend, CreateUser, EditUser, ForceLogout, Page, PeopleBackend, Session, SessionQuery, User,
    UserCreated, UserId, UserQuery, WorkBackend,
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::extract::{Asking, Body, Id, NoParameters, OptionalBody, Parameters, SignedIn, switch};
use super::openapi::parameters::{PageParameters, UserListParameters, UserSessionParameters};
use super::respond::{Created, Json, done};
use crate::error::{ApiError, ProblemDocument};

/// The users that the caller may see, by name unless `sort` says otherwise; deleted ones are not among them.
/// Needs `users.view`.
#[utoipa::path(
    get, path = "/api/v1/users", tag = "Users", params(UserListParameters, PageParameters),
    responses(
        (status = 200, description = "One page", body = Page<User>),
        (status = 400, description = "A parameter cannot be accepted", body = ProblemDocument),
        (status = 403, description = "Not permitted", body = ProblemDocument),
    )
)]
pub(super) async fn list(
    asking: SignedIn,
    parameters: Parameters,
) -> Result<Json<Page<User>>, ApiError> {
    Ok(Json(
        asking.list_users(UserQuery::parse(&parameters.0)?).await?,
    ))
}

/// Creates a user with a one-time password, which is answered this once. Needs `users.manage`, and
/// `roles.manage` for another role than Member; nobody gives a role with more than they hold.
#[utoipa::path(
    post, path = "/api/v1/users", tag = "Users", request_body = CreateUser,
    responses(
        (status = 201, description = "Created", body = UserCreated),
        (status = 400, description = "A field cannot be accepted", body = ProblemDocument),
        (status = 403, description = "Not permitted", body = ProblemDocument),
        (status = 409, description = "Another user has this e-mail", body = ProblemDocument),
        (status = 429, description = "Too many passwords are being made; see Retry-After", body = ProblemDocument),
    )
)]
pub(super) async fn create(
    asking: SignedIn,
    _: NoParameters,
    Body(input): Body<CreateUser>,
) -> Result<Created<UserCreated>, ApiError> {
    Ok(Created(asking.create_user(input).await?))
}

/// One user. Needs `users.view`.
#[utoipa::path(
    get, path = "/api/v1/users/{id}", tag = "Users",
    params(("id" = UserId, Path, description = "The user")),
    responses(
        (status = 200, description = "The user", body = User),
        (status = 403, description = "Not permitted", body = ProblemDocument),
        (status = 404, description = "Unknown, or another organisation's", body = ProblemDocument),
    )
)]
pub(super) async fn find(
    asking: SignedIn,
    Id(id): Id<UserId>,
    _: NoParameters,
) -> Result<Json<User>, ApiError> {
    Ok(Json(asking.find_user(id).await?))
}

/// Changes name, e-mail, roles or organisation of a user, or disables or enables them. Needs `users.manage`, and
/// `roles.manage` to change roles. Disabling and moving end all the user's sessions.
#[utoipa::path(
    patch, path = "/api/v1/users/{id}", tag = "Users", request_body = EditUser,
    params(("id" = UserId, Path, description = "The user")),
    responses(
        (status = 200, description = "The user as it is now", body = User),
        (status = 400, description = "A field cannot be accepted", body = ProblemDocument),
        (status = 403, description = "Not permitted, also where the user may do what the caller may not", body = ProblemDocument),
        (status = 404, description = "Unknown, or another organisation's", body = ProblemDocument),
        (status = 409, description = "Another user has this e-mail, or no enabled Platform administrator would be left", body = ProblemDocument),
    )
)]
pub(super) async fn edit(
    asking: SignedIn,
    Id(id): Id<UserId>,
    _: NoParameters,
    Body(input): Body<EditUser>,
) -> Result<Json<User>, ApiError> {
    Ok(Json(asking.edit_user(id, input).await?))
}

/// Deletes a user and ends all their sessions. Sessions and the audit trail keep name and e-mail. Needs
/// `users.manage`.
#[utoipa::path(
    delete, path = "/api/v1/users/{id}", tag = "Users",
    params(("id" = UserId, Path, description = "The user")),
    responses(
        (status = 204, description = "Deleted"),
        (status = 403, description = "Not permitted", body = ProblemDocument),
        (status = 404, description = "Unknown, or another organisation's", body = ProblemDocument),
        (status = 409, description = "No enabled Platform administrator would be left", body = ProblemDocument),
    )
)]
pub(super) async fn remove(
    asking: SignedIn,
    Id(id): Id<UserId>,
    _: NoParameters,
) -> Result<Response, ApiError> {
    asking.delete_user(id).await?;
    Ok(done())
}

/// Gives a user a one-time password, which is answered this once, and ends all their sessions. Lifts no lock.
/// Needs `users.manage`.
#[utoipa::path(
    post, path = "/api/v1/users/{id}/reset-password", tag = "Users",
    params(("id" = UserId, Path, description = "The user")),
    responses(
        (status = 200, description = "The password is reset", body = UserCreated),
        (status = 403, description = "Not permitted, or the caller's own: that is changed with the old one", body = ProblemDocument),
        (status = 404, description = "Unknown, or another organisation's", body = ProblemDocument),
        (status = 429, description = "Too many passwords are being made; see Retry-After", body = ProblemDocument),
    )
)]
pub(super) async fn reset_password(
    asking: SignedIn,
    Id(id): Id<UserId>,
    _: NoParameters,
) -> Result<Json<UserCreated>, ApiError> {
    Ok(Json(asking.reset_password(id).await?))
}

/// Unlocks an account that wrong passwords have locked; nothing happens if it is not locked. Needs
/// `users.unlock` by the primary role.
#[utoipa::path(
    post, path = "/api/v1/users/{id}/unlock", tag = "Users",
    params(("id" = UserId, Path, description = "The user")),
    responses(
        (status = 204, description = "Not locked any more"),
        (status = 403, description = "Not permitted", body = ProblemDocument),
        (status = 404, description = "Unknown, or another organisation's", body = ProblemDocument),
    )
)]
pub(super) async fn unlock(
    asking: SignedIn,
    Id(id): Id<UserId>,
    _: NoParameters,
) -> Result<Response, ApiError> {
    asking.unlock_user(id).await?;
    Ok(done())
}

/// The sessions of a user, newest first. Needs `sessions.view`.
#[utoipa::path(
    get, path = "/api/v1/users/{id}/sessions", tag = "Users",
    params(("id" = UserId, Path, description = "The user"), UserSessionParameters, PageParameters),
    responses(
        (status = 200, description = "One page", body = Page<Session>),
        (status = 400, description = "A parameter cannot be accepted", body = ProblemDocument),
        (status = 403, description = "Not permitted", body = ProblemDocument),
        (status = 404, description = "Unknown, or another organisation's", body = ProblemDocument),
    )
)]
pub(super) async fn list_sessions(
    asking: SignedIn,
    Id(id): Id<UserId>,
    parameters: Parameters,
) -> Result<Json<Page<Session>>, ApiError> {
    let query = SessionQuery::parse(&parameters.0)?;
    Ok(Json(asking.list_user_sessions(id, query).await?))
}

/// What a force logout takes.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ForceLogoutRequest {
    /// Why, at most 200 characters; kept in the audit trail.
    #[schema(max_length = 200, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$")]
    reason: Option<String>,
}

/// Ends all sessions, executions and clients of a user at once, whoever started what runs on their behalf. The caller's
/// own session is among them where it is one. Needs `sessions.end`.
#[utoipa::path(
    post, path = "/api/v1/users/{id}/force-logout", tag = "Users", request_body(content = Option<ForceLogoutRequest>),
    params(("id" = UserId, Path, description = "The user")),
    responses(
        (status = 200, description = "Logged out; with the executions that were terminated, if there were any", body = ForceLogout),
        (status = 400, description = "A field cannot be accepted", body = ProblemDocument),
        (status = 403, description = "Not permitted", body = ProblemDocument),
        (status = 404, description = "Unknown, or another organisation's", body = ProblemDocument),
    )
)]
pub(super) async fn force_logout(
    asking: SignedIn,
    Id(id): Id<UserId>,
    _: NoParameters,
    OptionalBody(request): OptionalBody<ForceLogoutRequest>,
) -> Result<Json<ForceLogout>, ApiError> {
    Ok(Json(asking.force_logout(id, request.reason).await?))
}

/// Ends all sessions of a user. The caller's own current one only with `include=current`. Needs
/// `sessions.end`.
#[utoipa::path(
    delete, path = "/api/v1/users/{id}/sessions", tag = "Users",
    params(
        ("id" = UserId, Path, description = "The user"),
        ("include" = Option<String>, Query, description = "`current`: with the session that asks", pattern = "^current$", example = "current"),
    ),
    responses(
        (status = 204, description = "Ended"),
        (status = 400, description = "A parameter cannot be accepted", body = ProblemDocument),
        (status = 403, description = "Not permitted", body = ProblemDocument),
        (status = 404, description = "Unknown, or another organisation's", body = ProblemDocument),
    )
)]
pub(super) async fn end_sessions(
    asking: Asking,
    Id(id): Id<UserId>,
    parameters: Parameters,
) -> Result<Response, ApiError> {
    let include_current = switch(&parameters, "include", "current")?;
    asking.end_user_sessions(id, include_current).await?;
    Ok(done())
}
