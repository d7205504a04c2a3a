//! API keys.

use axum::response::Response;
use rollcall_core::keys::USUAL_KEY_LIFE;
use rollcall_core::{
    ApiKey, ApiKeyId, CreateKey, KeyCreated, Permission, Permissions, Problem, UserId, WorkBackend,
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::extract::{Body, Id, NoParameters, SignedIn};
use super::respond::{Created, Json, done};
use crate::error::{ApiError, ProblemDocument};

/// The caller's API keys: good ones first, then the newest. No secret is among them.
#[utoipa::path(
    get, path = "/api/v1/keys", tag = "API keys",
    responses((status = 200, description = "All of them", body = Vec<ApiKey>))
)]
pub(super) async fn list(asking: SignedIn, _: NoParameters) -> Result<Json<Vec<ApiKey>>, ApiError> {
    Ok(Json(asking.list_own_keys().await?))
}

/// A key to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyRequest {
    /// What to call it, at most 80 characters, none of them a control character.
    #[schema(
        min_length = 1,
        max_length = 80,
        pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$"
    )]
    name: String,
    /// What it may do, out of what the caller may. `clients.register` alone where nothing is said.
    #[schema(value_type = Option<Vec<Permission>>)]
    permissions: Option<Vec<String>>,
    /// For how many days it is good; 90 where nothing is said.
    #[schema(minimum = 1, maximum = 365)]
    days: Option<u32>,
}

/// Makes an API key for the caller; at most 20 that are good. The secret is answered this once. Needs a session whose
/// password was entered within the last 15 minutes; no key makes another.
#[utoipa::path(
    post, path = "/api/v1/keys", tag = "API keys", request_body = KeyRequest,
    responses(
        (status = 201, description = "Made", body = KeyCreated),
        (status = 400, description = "A field cannot be accepted", body = ProblemDocument),
        (status = 403, description = "The password was entered too long ago, or a key asks", body = ProblemDocument),
    )
)]
pub(super) async fn create(
    asking: SignedIn,
    _: NoParameters,
    Body(input): Body<KeyRequest>,
) -> Result<Created<KeyCreated>, ApiError> {
    let permissions = match &input.permissions {
        Some(list) => named(list)?,
        None => Permissions::of(&[Permission::ClientsRegister]),
    };
    let input = CreateKey {
        name: input.name,
        permissions,
        days: input.days.unwrap_or(USUAL_KEY_LIFE),
    };
    Ok(Created(asking.create_key(input).await?))
}

fn named(list: &[String]) -> Result<Permissions, ApiError> {
    let permission = |name: &String| {
        let all = Permission::ALL.iter().copied();
        all.into_iter()
            .find(|permission| permission.as_str() == name)
            .ok_or_else(|| ApiError::field("permissions", Problem::NotOffered))
    };
    let list = list.iter().map(permission).collect::<Result<Vec<_>, _>>()?;
    Ok(Permissions::of(&list))
}

/// An API key, without its secret: one's own, or with `users.view` somebody else's.
#[utoipa::path(
    get, path = "/api/v1/keys/{id}", tag = "API keys",
    params(("id" = ApiKeyId, Path, description = "The key")),
    responses(
        (status = 200, description = "The key", body = ApiKey),
        (status = 403, description = "Not permitted", body = ProblemDocument),
        (status = 404, description = "No such key within reach", body = ProblemDocument),
    )
)]
pub(super) async fn find(
    asking: SignedIn,
    Id(id): Id<ApiKeyId>,
    _: NoParameters,
) -> Result<Json<ApiKey>, ApiError> {
    Ok(Json(asking.find_key(id).await?))
}

/// Revokes an API key: one's own, or with `users.manage` somebody else's. Twice is as good as once.
#[utoipa::path(
    delete, path = "/api/v1/keys/{id}", tag = "API keys",
    params(("id" = ApiKeyId, Path, description = "The key")),
    responses(
        (status = 204, description = "Revoked"),
        (status = 403, description = "Not permitted", body = ProblemDocument),
        (status = 404, description = "No such key within reach", body = ProblemDocument),
    )
)]
pub(super) async fn revoke(
    asking: SignedIn,
    Id(id): Id<ApiKeyId>,
    _: NoParameters,
) -> Result<Response, ApiError> {
    asking.revoke_key(id).await?;
    Ok(done())
}

/// A user's API keys. Needs `users.view`.
#[utoipa::path(
    get, path = "/api/v1/users/{id}/keys", tag = "API keys",
    params(("id" = UserId, Path, description = "The user")),
    responses(
        (status = 200, description = "All of them", body = Vec<ApiKey>),
        (status = 403, description = "Not permitted", body = ProblemDocument),
        (status = 404, description = "No such user within reach", body = ProblemDocument),
    )
)]
pub(super) async fn list_of_user(
    asking: SignedIn,
    Id(id): Id<UserId>,
    _: NoParameters,
) -> Result<Json<Vec<ApiKey>>, ApiError> {
    Ok(Json(asking.list_user_keys(id).await?))
}
