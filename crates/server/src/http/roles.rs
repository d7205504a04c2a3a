//! Roles.

use axum::response::Response;
use rollcall_core::{CreateRole, EditRole, NameQuery, Page, PeopleBackend, Role, RoleKey};

use super::extract::{Body, Id, NoParameters, Parameters, SignedIn};
use super::openapi::parameters::{NameListParameters, PageParameters};
use super::respond::{Created, Json, done};
use crate::error::{ApiError, ProblemDocument};

/// The roles that users within the caller's reach can have: built-in ones first, then by name. Needs
/// `users.view`.
#[utoipa::path(
    get, path = "/api/v1/roles", tag = "Roles", params(NameListParameters, PageParameters),
    responses(
        (status = 200, description = "One page", body = Page<Role>),
        (status = 400, description = "A parameter cannot be accepted", body = ProblemDocument),
        (status = 403, description = "Not permitted", body = ProblemDocument),
    )
)]
pub(super) async fn list(
    asking: SignedIn,
    parameters: Parameters,
) -> Result<Json<Page<Role>>, ApiError> {
    Ok(Json(
        asking.list_roles(NameQuery::parse(&parameters.0)?).await?,
    ))
}

/// Makes a role of an organisation; nobody puts more into it than they hold. Needs `roles.manage`.
#[utoipa::path(
    post, path = "/api/v1/roles", tag = "Roles", request_body = CreateRole,
    responses(
        (status = 201, description = "Made", body = Role),
        (status = 400, description = "A field cannot be accepted", body = ProblemDocument),
        (status = 403, description = "Not permitted", body = ProblemDocument),
        (status = 409, description = "The organisation has a role of this name", body = ProblemDocument),
    )
)]
pub(super) async fn create(
    asking: SignedIn,
    _: NoParameters,
    Body(input): Body<CreateRole>,
) -> Result<Created<Role>, ApiError> {
    Ok(Created(asking.create_role(input).await?))
}

/// One role. Needs `users.view`.
#[utoipa::path(
    get, path = "/api/v1/roles/{key}", tag = "Roles",
    params(("key" = RoleKey, Path, description = "The role")),
    responses(
        (status = 200, description = "The role", body = Role),
        (status = 403, description = "Not permitted", body = ProblemDocument),
        (status = 404, description = "Unknown, or another organisation's", body = ProblemDocument),
    )
)]
pub(super) async fn find(
    asking: SignedIn,
    Id(key): Id<RoleKey>,
    _: NoParameters,
) -> Result<Json<Role>, ApiError> {
    Ok(Json(asking.find_role(key).await?))
}

/// Changes a role of an organisation; whoever has it may do so from the next request on. Built-in roles are
/// fixed. Needs `roles.manage`.
#[utoipa::path(
    patch, path = "/api/v1/roles/{key}", tag = "Roles", request_body = EditRole,
    params(("key" = RoleKey, Path, description = "The role")),
    responses(
        (status = 200, description = "The role as it is now", body = Role),
        (status = 400, description = "A field cannot be accepted", body = ProblemDocument),
        (status = 403, description = "Not permitted, built-in, or the caller's own", body = ProblemDocument),
        (status = 404, description = "Unknown, or another organisation's", body = ProblemDocument),
        (status = 409, description = "The organisation has a role of this name", body = ProblemDocument),
    )
)]
pub(super) async fn edit(
    asking: SignedIn,
    Id(key): Id<RoleKey>,
    _: NoParameters,
    Body(input): Body<EditRole>,
) -> Result<Json<Role>, ApiError> {
    Ok(Json(asking.edit_role(key, input).await?))
}

/// Deletes a role of an organisation that nobody has. Needs `roles.manage`.
#[utoipa::path(
    delete, path = "/api/v1/roles/{key}", tag = "Roles",
    params(("key" = RoleKey, Path, description = "The role")),
    responses(
        (status = 204, description = "Deleted"),
        (status = 403, description = "Not permitted, built-in, or the caller's own", body = ProblemDocument),
        (status = 404, description = "Unknown, or another organisation's", body = ProblemDocument),
        (status = 409, description = "Somebody has it", body = ProblemDocument),
    )
)]
pub(super) async fn remove(
    asking: SignedIn,
    Id(key): Id<RoleKey>,
    _: NoParameters,
) -> Result<Response, ApiError> {
    asking.delete_role(key).await?;
    Ok(done())
}
