//! The server functions about what works without a person.
//!
//! Only pages without scripts ask them, see `people`.

use leptos::prelude::*;
use rollcall_core as model;
use rollcall_core::{ApiKey, ApiKeyId};

use super::on_server::{Field, Problem, backend, id, routes};
use super::people::ticked;
use super::{Answer, Rpc, RpcError};

/// See `WorkBackend::list_own_keys`.
#[server(prefix = "/rpc", endpoint = "list_own_keys", output = Answer)]
pub async fn list_own_keys() -> Rpc<Vec<ApiKey>> {
    Ok(backend()?.list_own_keys().await?)
}

/// See `WorkBackend::list_user_keys`.
#[server(prefix = "/rpc", endpoint = "list_user_keys", output = Answer)]
pub async fn list_user_keys(user: String) -> Rpc<Vec<ApiKey>> {
    Ok(backend()?.list_user_keys(id(&user, Field::Id)?).await?)
}

/// See `WorkBackend::create_key`. Leads to the page of keys, which shows the secret.
#[server(prefix = "/rpc", endpoint = "create_key", output = Answer)]
pub async fn create_key(
    #[server(default)] name: String,
    #[server(default)] permissions: Vec<String>,
    #[server(default)] days: String,
) -> Rpc<()> {
    let backend = backend()?;
    let days = days.trim().parse();
    let input = model::CreateKey {
        name,
        permissions: ticked(&permissions)?,
        days: days.map_err(|_| RpcError(model::Error::Invalid(Field::Days, Problem::Malformed)))?,
    };
    let created = backend.create_key(input).await?;
    backend.redirect(&routes::key_made(&created.key.id.to_string()));
    Ok(())
}

/// See `WorkBackend::revoke_key`. Leads back to `next`, if that is a path of ours.
#[server(prefix = "/rpc", endpoint = "revoke_key", output = Answer)]
pub async fn revoke_key(key: String, next: Option<String>) -> Rpc<()> {
    let backend = backend()?;
    backend.revoke_key(id::<ApiKeyId>(&key, Field::Id)?).await?;
    backend.redirect(routes::own_path(next.as_deref()));
    Ok(())
}

/// See `WorkBackend::key_secret`.
#[server(prefix = "/rpc", endpoint = "key_secret", output = Answer)]
pub async fn key_secret(key: String) -> Rpc<Option<String>> {
    Ok(backend()?
        .key_secret(id::<ApiKeyId>(&key, Field::Id)?)
        .await?)
}
