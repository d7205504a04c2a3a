//! What anybody may know: by which keys this server's signatures are verified, and how it sends security events.

use axum::extract::State;
use rollcall_core::Error;
use serde_json::{Value, json};

use super::Shared;
use super::extract::NoParameters;
use super::respond::Json;
use crate::error::{ApiError, ProblemDocument};

/// The keys by which receivers verify what this server signs, as a JWK set (RFC 7517): Ed25519 for webhooks, RS256 for
/// security event tokens. Each is there once a receiver needs it.
#[utoipa::path(
    get, path = "/.well-known/jwks.json", tag = "Integrations",
    responses((status = 200, description = "The keys", body = Value)),
    security(())
)]
pub(super) async fn keys(
    State(http): State<Shared>,
    _: NoParameters,
) -> Result<Json<Value>, ApiError> {
    Ok(Json(http.service.published_keys().await?))
}

/// Who issues security event tokens, and how they are delivered (OpenID Shared Signals Framework 1.0, section 7). Streams are
/// set up by a Platform administrator, not by receivers.
#[utoipa::path(
    get, path = "/.well-known/ssf-configuration", tag = "Integrations",
    responses(
        (status = 200, description = "The configuration", body = Value),
        (status = 404, description = "Without the setting `public-url` there is no issuer", body = ProblemDocument),
    ),
    security(())
)]
pub(super) async fn transmitter(
    State(http): State<Shared>,
    _: NoParameters,
) -> Result<Json<Value>, ApiError> {
    let issuer = http.public.as_ref().ok_or(Error::NotFound)?;
    Ok(Json(json!({
        "spec_version": "1_0",
        "issuer": issuer.to_string(),
        "jwks_uri": format!("{issuer}/.well-known/jwks.json"),
        "delivery_methods_supported": ["urn:ietf:rfc:8935"],
        "default_subjects": "ALL",
    })))
}
