//! Identity providers.

use rollcall_core::{IdentityProvider, ProviderKey, ProvidersBackend, SaveProvider};

use super::extract::{Body, Id, NoParameters, SignedIn};
use super::respond::{self, Json};
use crate::error::{ApiError, ProblemDocument};

/// All identity providers, by key. Needs `integrations.manage`.
#[utoipa::path(
    get, path = "/api/v1/integrations/providers", tag = "Integrations",
    responses(
        (status = 200, description = "All of them", body = Vec<IdentityProvider>),
        (status = 403, description = "Not permitted", body = ProblemDocument),
    )
)]
pub(super) async fn list(
    asking: SignedIn,
    _: NoParameters,
) -> Result<Json<Vec<IdentityProvider>>, ApiError> {
    Ok(Json(asking.list_providers().await?))
}

/// One identity provider. Needs `integrations.manage`.
#[utoipa::path(
    get, path = "/api/v1/integrations/providers/{key}", tag = "Integrations",
    params(("key" = ProviderKey, Path, description = "The provider")),
    responses(
        (status = 200, description = "The provider", body = IdentityProvider),
        (status = 403, description = "Not permitted", body = ProblemDocument),
        (status = 404, description = "Unknown", body = ProblemDocument),
    )
)]
pub(super) async fn find(
    asking: SignedIn,
    Id(key): Id<ProviderKey>,
    _: NoParameters,
) -> Result<Json<IdentityProvider>, ApiError> {
    Ok(Json(asking.find_provider(key).await?))
}

/// Sets up an identity provider, or changes the one with this key, after asking it who it is. Needs
/// `integrations.manage`, and a password entered within the last 15 minutes.
#[utoipa::path(
    put, path = "/api/v1/integrations/providers/{key}", tag = "Integrations", request_body = SaveProvider,
    params(("key" = ProviderKey, Path, description = "The provider")),
    responses(
        (status = 200, description = "The provider as it is now", body = IdentityProvider),
        (status = 400, description = "A field cannot be accepted", body = ProblemDocument),
        (status = 403, description = "Not permitted, or the password has to be entered again", body = ProblemDocument),
        (status = 404, description = "This can be no key", body = ProblemDocument),
        (status = 502, description = "The provider does not answer", body = ProblemDocument),
    )
)]
pub(super) async fn save(
    asking: SignedIn,
    Id(key): Id<ProviderKey>,
    _: NoParameters,
    Body(input): Body<SaveProvider>,
) -> Result<Json<IdentityProvider>, ApiError> {
    Ok(Json(asking.save_provider(key, input).await?))
}

/// Removes an identity provider. Sessions that began with it go on. Needs `integrations.manage`.
#[utoipa::path(
    delete, path = "/api/v1/integrations/providers/{key}", tag = "Integrations",
    params(("key" = ProviderKey, Path, description = "The provider")),
    responses(
        (status = 204, description = "Removed"),
        (status = 403, description = "Not permitted", body = ProblemDocument),
        (status = 404, description = "Unknown", body = ProblemDocument),
    )
)]
pub(super) async fn remove(
    asking: SignedIn,
    Id(key): Id<ProviderKey>,
    _: NoParameters,
) -> Result<axum::response::Response, ApiError> {
    asking.remove_provider(key).await?;
    Ok(respond::done())
}
