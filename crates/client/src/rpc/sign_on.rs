//! The server functions about identity providers. Only pages without scripts ask them, see `people`.

use leptos::prelude::*;
use rollcall_core::{self as model, query};
use serde::{Deserialize, Serialize};

use super::on_server::{Field, Problem, backend, id, routes};
use super::{Answer, Rpc, RpcError};

/// An identity provider as the form sends it: lists as lines or words, and what is ticked.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ProviderForm {
    key: String,
    label: String,
    issuer: String,
    client_id: String,
    secret: String,
    scopes: String,
    rules: String,
    max_age_seconds: String,
    acr_values: String,
    trusts_emails: String,
    signs_out: String,
    enabled: String,
    /// Whether it is another one, and not one that is there already.
    another: String,
}

impl ProviderForm {
    // The page that shows again what was typed.
    fn page(&self) -> String {
        let page = match self.another.is_empty() {
            false => routes::NEW_PROVIDER.to_owned(),
            true => routes::below(routes::PROVIDERS, &self.key),
        };
        let typed = [
            ("key", &self.key),
            ("label", &self.label),
            ("issuer", &self.issuer),
            ("client_id", &self.client_id),
            ("secret", &self.secret),
            ("scopes", &self.scopes),
            ("rules", &self.rules),
            ("max_age_seconds", &self.max_age_seconds),
            ("acr_values", &self.acr_values),
            ("trusts_emails", &self.trusts_emails),
            ("signs_out", &self.signs_out),
            ("enabled", &self.enabled),
            ("typed", &"on".to_owned()),
        ]
        .map(|(name, value)| (name, value.clone()));
        routes::with_query(&page, &query::write(&typed))
    }

    fn setup(self) -> Rpc<model::SaveProvider> {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect();
        let lines = self.rules.lines().map(str::trim);
        Ok(model::SaveProvider {
            rules: lines
                .filter(|line| !line.is_empty())
                .map(str::to_owned)
                .collect(),
            scopes: words(&self.scopes),
            acr_values: words(&self.acr_values),
            label: self.label,
            issuer: self.issuer,
            client_id: self.client_id,
            secret: Some(self.secret).filter(|secret| !secret.trim().is_empty()),
            max_age_seconds: match self.max_age_seconds.trim() {
                "" => None,
                number => Some(id(number, Field::MaxAge)?),
            },
            trusts_emails: !self.trusts_emails.is_empty(),
            signs_out: !self.signs_out.is_empty(),
            enabled: !self.enabled.is_empty(),
        })
    }
}

/// See `ProvidersBackend::save_provider`. The form comes back as it was typed when something is wrong with it.
#[server(prefix = "/rpc", endpoint = "save_provider", output = Answer)]
pub async fn save_provider(#[server(default)] provider: ProviderForm) -> Rpc<()> {
    let backend = backend()?;
    backend.come_back(&provider.page());
    let key: model::ProviderKey = match provider.key.trim() {
        "" => {
            return Err(RpcError(model::Error::Invalid(
                Field::Key,
                Problem::Missing,
            )));
        }
        text => id(text, Field::Key)?,
    };
    if !provider.another.is_empty() {
        // Who sets up another one does not mean to change one that is there.
        let known = backend.list_providers().await?;
        if known.iter().any(|one| one.key == key) {
            return Err(RpcError(model::Error::Invalid(Field::Key, Problem::Taken)));
        }
    }
    let saved = backend.save_provider(key, provider.setup()?).await?;
    let there = routes::below(routes::PROVIDERS, saved.key.as_str());
    backend.redirect(&routes::with_query(&there, "saved=1"));
    Ok(())
}

/// See `ProvidersBackend::remove_provider`.
#[server(prefix = "/rpc", endpoint = "remove_provider", output = Answer)]
pub async fn remove_provider(#[server(default)] key: String) -> Rpc<()> {
    let backend = backend()?;
    backend.remove_provider(id(&key, Field::Key)?).await?;
    backend.redirect(routes::PROVIDERS);
    Ok(())
}
