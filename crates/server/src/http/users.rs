//! What can be done to a user's sessions.

use axum::response::Response;
use rollcall_core::{Backend, UserId};

use super::extract::{Asking, Id, Parameters, switch};
use super::respond::done;
use crate::error::{ApiError, ProblemDocument};

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
