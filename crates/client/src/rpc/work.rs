//! The server functions about what works without a person.
//!
//! Only pages without scripts ask them, see `people`.

use leptos::prelude::*;
use rollcall_core as model;
use rollcall_core::{
    ApiKey, ApiKeyId, Client, ClientId, ClientQuery, Execution, ExecutionId, ExecutionQuery, Page,
    UserId,
};

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

/// See `WorkBackend::list_clients`.
#[server(prefix = "/rpc", endpoint = "list_clients", output = Answer)]
pub async fn list_clients(#[server(default)] query: String) -> Rpc<Page<Client>> {
    Ok(backend()?.list_clients(ClientQuery::parse(&query)?).await?)
}

/// See `WorkBackend::find_client`.
#[server(prefix = "/rpc", endpoint = "find_client", output = Answer)]
pub async fn find_client(client: String) -> Rpc<Client> {
    let id = id::<ClientId>(&client, Field::Client)?;
    Ok(backend()?.find_client(id).await?)
}

/// See `WorkBackend::disconnect_client`. Leads to the client's page, which shows what has stopped.
#[server(prefix = "/rpc", endpoint = "disconnect_client", output = Answer)]
pub async fn disconnect_client(client: String) -> Rpc<Vec<Execution>> {
    let backend = backend()?;
    let stopped = backend
        .disconnect_client(id::<ClientId>(&client, Field::Client)?)
        .await?;
    backend.redirect(&routes::below(routes::CLIENTS, &client));
    Ok(stopped)
}

/// See `WorkBackend::remove_client`. Leads to the list.
#[server(prefix = "/rpc", endpoint = "remove_client", output = Answer)]
pub async fn remove_client(client: String) -> Rpc<()> {
    let backend = backend()?;
    backend
        .remove_client(id::<ClientId>(&client, Field::Client)?)
        .await?;
    backend.redirect(routes::CLIENTS);
    Ok(())
}

/// See `WorkBackend::list_executions`.
#[server(prefix = "/rpc", endpoint = "list_executions", output = Answer)]
pub async fn list_executions(#[server(default)] query: String) -> Rpc<Page<Execution>> {
    Ok(backend()?
        .list_executions(ExecutionQuery::parse(&query)?)
        .await?)
}

/// See `WorkBackend::find_execution`.
#[server(prefix = "/rpc", endpoint = "find_execution", output = Answer)]
pub async fn find_execution(execution: String) -> Rpc<Execution> {
    let id = id::<ExecutionId>(&execution, Field::Id)?;
    Ok(backend()?.find_execution(id).await?)
}

/// See `WorkBackend::force_logout`. Leads to the page that says what has stopped.
#[server(prefix = "/rpc", endpoint = "force_logout", output = Answer)]
pub async fn force_logout(user: String, reason: Option<String>) -> Rpc<model::ForceLogout> {
    let backend = backend()?;
    let done = backend
        .force_logout(id::<UserId>(&user, Field::User)?, reason)
        .await?;
    backend.redirect(&routes::logged_out(&user, &done.id.to_string()));
    Ok(done)
}

/// See `WorkBackend::executions_of_act`.
#[server(prefix = "/rpc", endpoint = "executions_of_act", output = Answer)]
pub async fn executions_of_act(act: String) -> Rpc<Vec<Execution>> {
    let act = act
        .parse()
        .map_err(|_| RpcError(model::Error::Invalid(Field::Id, Problem::Malformed)))?;
    Ok(backend()?.executions_of_act(act).await?)
}
