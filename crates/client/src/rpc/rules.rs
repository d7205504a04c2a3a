//! The server functions about ending many and about policy, but for the one that the dashboard sends its ticks to.
//!
//! Only pages without scripts ask them, see `people`.

use std::collections::BTreeMap;

use leptos::prelude::*;
use rollcall_core::{self as model, EndResult, Error};

use super::on_server::{Field, Problem, backend, id, place, routes};
use super::{Answer, Rpc, RpcError};

/// See `Backend::pending_sign_in`.
#[server(prefix = "/rpc", endpoint = "pending_sign_in", output = Answer)]
pub async fn pending_sign_in() -> Rpc<model::PendingSignIn> {
    Ok(backend()?.pending_sign_in().await?)
}

/// See `Backend::finish_sign_in`. A plain form is sent to `next`, if that is a path of ours.
#[server(prefix = "/rpc", endpoint = "finish_sign_in", output = Answer)]
pub async fn finish_sign_in(
    #[server(default)] end: Vec<String>,
    all: Option<String>,
    next: Option<String>,
    go: Option<bool>,
) -> Rpc<()> {
    let backend = backend()?;
    let leaving = if all.is_some() {
        model::Leaving::All
    } else {
        let ids = end.iter().map(|text| id(text, Field::Id));
        model::Leaving::Only(ids.collect::<Result<_, _>>()?)
    };
    backend.finish_sign_in(leaving).await?;
    if go == Some(true) {
        backend.redirect(routes::own_path(next.as_deref()));
    }
    Ok(())
}

/// See `Backend::end_previewed`.
#[server(prefix = "/rpc", endpoint = "end_previewed", output = Answer)]
pub async fn end_previewed(preview: String, reason: Option<String>) -> Rpc<model::EndRun> {
    let backend = backend()?;
    let run = backend
        .end_previewed(id(&preview, Field::Preview)?, reason)
        .await?;
    backend.redirect(&routes::end_many(&preview));
    Ok(run)
}

/// See `Backend::end_progress`.
#[server(prefix = "/rpc", endpoint = "end_progress", output = Answer)]
pub async fn end_progress(preview: String) -> Rpc<model::EndRun> {
    Ok(backend()?
        .end_progress(id(&preview, Field::Preview)?)
        .await?)
}

/// See `Backend::end_all`.
#[server(prefix = "/rpc", endpoint = "end_all", output = Answer)]
pub async fn end_all(
    scope: String,
    #[server(default)] target: String,
    reason: Option<String>,
    go: Option<bool>,
) -> Rpc<EndResult> {
    let backend = backend()?;
    let scope = match scope.as_str() {
        "user" => model::EndAllScope::User(id(&target, Field::Id)?),
        "organisation" => model::EndAllScope::Organisation(id(&target, Field::Id)?),
        "installation" => model::EndAllScope::Installation,
        _ => return Err(RpcError(Error::Invalid(Field::Scope, Problem::NotOffered))),
    };
    let result = backend.end_all(scope, reason).await?;
    if go == Some(true) {
        backend.redirect(if result.signed_out {
            routes::SIGN_IN
        } else {
            routes::SESSIONS
        });
    }
    Ok(result)
}

/// See `Backend::policy`.
#[server(prefix = "/rpc", endpoint = "policy", output = Answer)]
pub async fn policy(
    #[server(default)] organisation: String,
    #[server(default)] role: String,
) -> Rpc<model::Policy> {
    Ok(backend()?.policy(place(&organisation, role)?).await?)
}

/// See `Backend::preview_policy`.
#[server(prefix = "/rpc", endpoint = "preview_policy", output = Answer)]
pub async fn preview_policy(
    #[server(default)] organisation: String,
    #[server(default)] role: String,
    #[server(default)] values: BTreeMap<String, String>,
) -> Rpc<model::PolicyPreview> {
    Ok(backend()?
        .preview_policy(place(&organisation, role)?, policy_values(&values)?)
        .await?)
}

/// Values as a form sends them: an empty one takes a value away.
pub(crate) fn policy_values(
    values: &BTreeMap<String, String>,
) -> Rpc<Vec<(model::Rule, Option<u32>)>> {
    values
        .iter()
        .map(|(name, value)| {
            let rule = model::Rule::from_name(name)
                .ok_or(RpcError(Error::Invalid(Field::Other, Problem::Unknown)))?;
            let value = match value.trim() {
                "" => None,
                number => {
                    let number = number
                        .parse()
                        .map_err(|_| RpcError(Error::Invalid(rule.field(), Problem::Malformed)))?;
                    Some(rule.check(number)?)
                }
            };
            Ok((rule, value))
        })
        .collect()
}

/// See `Backend::set_policy`. A plain form sends every rule by its name; an empty value takes it away.
#[server(prefix = "/rpc", endpoint = "set_policy", output = Answer)]
pub async fn set_policy(
    #[server(default)] organisation: String,
    #[server(default)] role: String,
    #[server(default)] values: BTreeMap<String, String>,
) -> Rpc<model::Policy> {
    let backend = backend()?;
    let values = policy_values(&values)?;
    let there = routes::policy_saved(&organisation, &role);
    let policy = backend
        .set_policy(place(&organisation, role)?, values)
        .await?;
    backend.redirect(&there);
    Ok(policy)
}
