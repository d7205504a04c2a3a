//! Identity providers as they are set up: in a file of the server or at `/integrations`. For whoever manages integrations.

mod setup;

use std::path::PathBuf;

use rollcall_core::{
    AuditAction, AuditOutcome, Error, Field, IdentityProvider, Method, Permission, Problem,
    ProviderKey, SaveProvider, SignOnChoice, WaysToConfirm,
};
use serde_json::Value;
use zeroize::Zeroizing;

use super::Service;
use super::audit::{Describe, event};
use super::caller::Caller;
use super::facts::RequestFacts;
use super::openid::{Asserted, Fault};
use super::people::checked_email;
use crate::config::placing::{self, Place, PlacingRule};
use crate::db::{self, Scope};

pub(crate) use setup::checked;
use setup::{placing_rules, read_secret};

/// A provider with all that is needed to sign in with it.
#[derive(Clone, Debug)]
pub(super) struct Provider {
    pub(super) key: ProviderKey,
    pub(super) setup: SaveProvider,
    pub(super) rules: Vec<PlacingRule>,
    pub(super) redirect_uri: String,
    secrets: PathBuf,
}

impl Provider {
    /// The client secret, read anew each time, so that it can be replaced beside a running server.
    pub(super) fn secret(&self) -> Result<Option<Zeroizing<String>>, Problem> {
        read_secret(self.setup.secret.as_deref(), &self.secrets)
    }

    /// The claims that rules ask about, and the e-mail.
    pub(super) fn claims_wanted(&self) -> Vec<String> {
        let rules = self.rules.iter().flat_map(PlacingRule::claims);
        std::iter::once("email")
            .chain(rules)
            .map(str::to_owned)
            .collect()
    }

    /// The e-mail in its normal form, if the provider has verified it, or is trusted to.
    pub(super) fn verified_email(&self, asserted: &Asserted) -> Option<String> {
        let verified = match asserted.claims.get("email_verified") {
            Some(Value::Bool(verified)) => *verified,
            // Some write it as a text.
            Some(Value::String(text)) => text == "true",
            _ => self.setup.trusts_emails,
        };
        let email = asserted.text("email").filter(|_| verified)?;
        checked_email(email).ok()
    }

    /// Where somebody belongs, by the first rule that speaks of them.
    pub(super) fn place_of(&self, email: Option<&str>, asserted: &Asserted) -> Option<&Place> {
        let mut rules = self.rules.iter();
        let rule = rules.find(|rule| rule.fits(email, &asserted.claims))?;
        Some(&rule.place)
    }
}

impl Service {
    /// What people can sign in with besides a password. Nothing where that cannot be asked.
    pub(super) async fn sign_on_choices(&self) -> Vec<SignOnChoice> {
        if self.config().public_origin.is_none() {
            return Vec::new();
        }
        let all = self.all_providers().await.unwrap_or_default();
        let enabled = all.into_iter().filter(|(_, setup, _)| setup.enabled);
        enabled
            .map(|(key, setup, _)| SignOnChoice {
                key,
                label: setup.label,
            })
            .collect()
    }

    /// How the caller can prove anew who they are.
    pub(super) async fn ways_to_confirm(&self, caller: &Caller) -> Result<WaysToConfirm, Error> {
        let user = db::users::find(self.db().reader(), caller.user_id()).await;
        let user = user.map_err(|error| self.database_error(error))?;
        let provider = self.provider_of(caller).await?;
        Ok(WaysToConfirm {
            password: user.is_some_and(|user| user.password_hash.is_some()),
            provider: provider.map(|provider| SignOnChoice {
                key: provider.key,
                label: provider.setup.label,
            }),
        })
    }

    // The provider that the caller's session began with, as long as people can sign in with it.
    async fn provider_of(&self, caller: &Caller) -> Result<Option<Provider>, Error> {
        let session = caller.session()?;
        if session.record.method != Method::SingleSignOn {
            return Ok(None);
        }
        let reader = self.db().reader();
        let found = db::identities::find_of_session(reader, caller.credential()).await;
        let found = found.map_err(|error| self.database_error(error))?;
        let Some(Ok(key)) = found.map(|identity| identity.provider.parse()) else {
            return Ok(None);
        };
        let provider = self.provider(&key).await?;
        Ok(provider.filter(|provider| provider.setup.enabled))
    }

    /// What a provider is called on pages.
    ///
    /// # Errors
    /// `NotFound` where there is none, or nobody signs in with it.
    pub async fn provider_label(&self, key: &ProviderKey) -> Result<String, Error> {
        Ok(self.usable_provider(key).await?.setup.label)
    }

    /// The provider that a session began with, where signing out here is signing out there. Never an error: signing out
    /// does not depend on it.
    pub(super) async fn signs_out_at(&self, caller: &Caller) -> Option<ProviderKey> {
        let provider = self.provider_of(caller).await.ok()??;
        provider.setup.signs_out.then_some(provider.key)
    }

    /// Where a browser signs out at a provider, which sends it back with this state. `None` where it has no such place, or
    /// does not answer.
    pub async fn sign_out_there(
        &self,
        key: &ProviderKey,
        state: Option<String>,
    ) -> Result<Option<String>, Error> {
        let provider = self.usable_provider(key).await?;
        let public = self.config().public_origin.as_deref();
        let back = format!("{}/auth/left", public.unwrap_or_default());
        let (providers, now) = (&self.inner.providers, self.now());
        let there = providers
            .sign_out_url(&provider.setup, &back, state, now)
            .await;
        Ok(there.unwrap_or_default())
    }

    pub(super) async fn usable_provider(&self, key: &ProviderKey) -> Result<Provider, Error> {
        let provider = self.provider(key).await?;
        provider
            .filter(|provider| provider.setup.enabled)
            .ok_or(Error::NotFound)
    }

    /// A provider, disabled ones too.
    pub(super) async fn provider(&self, key: &ProviderKey) -> Result<Option<Provider>, Error> {
        let all = self.all_providers().await?;
        let found = all.into_iter().find(|(other, ..)| other == key);
        let (Some((key, setup, _)), Some(public)) = (found, &self.config().public_origin) else {
            return Ok(None);
        };
        let rules = setup.rules.iter().map(|text| placing::rule(text));
        Ok(Some(Provider {
            // What was stored was read before.
            rules: rules.collect::<Result<_, _>>().unwrap_or_default(),
            redirect_uri: format!("{public}/auth/callback/{key}"),
            secrets: self.secrets_folder(),
            key,
            setup,
        }))
    }

    fn secrets_folder(&self) -> PathBuf {
        let config = self.config();
        let beside = || config.data_dir.join("secrets");
        config.secrets_dir.clone().unwrap_or_else(beside)
    }

    // Those of files first: they win over stored ones of the same key.
    async fn all_providers(&self) -> Result<Vec<(ProviderKey, SaveProvider, bool)>, Error> {
        let stored = db::providers::list(self.db().reader()).await;
        let stored = stored.map_err(|error| self.database_error(error))?;
        let files = &self.config().identity_providers;
        let mut all: Vec<_> = files
            .iter()
            .map(|(key, setup)| (key.clone(), setup.clone(), true))
            .collect();
        let others = stored
            .into_iter()
            .filter(|(key, _)| !files.iter().any(|(other, _)| other == key));
        all.extend(others.map(|(key, setup)| (key, setup, false)));
        all.sort_by(|(one, ..), (other, ..)| one.cmp(other));
        Ok(all)
    }

    /// All identity providers.
    pub async fn list_providers(&self, caller: &Caller) -> Result<Vec<IdentityProvider>, Error> {
        everywhere(caller)?;
        let all = self.all_providers().await?;
        let shown = all
            .into_iter()
            .map(|(key, setup, from_file)| self.shown(key, setup, from_file));
        Ok(shown.collect())
    }

    /// One identity provider.
    pub async fn find_provider(
        &self,
        caller: &Caller,
        key: &ProviderKey,
    ) -> Result<IdentityProvider, Error> {
        let all = self.list_providers(caller).await?;
        let found = all.into_iter().find(|one| one.key == *key);
        found.ok_or(Error::NotFound)
    }

    /// Sets one up, after asking it who it is.
    pub async fn save_provider(
        &self,
        caller: &Caller,
        facts: &RequestFacts,
        key: ProviderKey,
        input: SaveProvider,
    ) -> Result<IdentityProvider, Error> {
        let about = event(
            self.now(),
            AuditAction::ProviderSaved,
            AuditOutcome::Success,
            Some(facts),
        )
        .by(caller.user_id(), caller.name())
        .with(format!("{key}, {}", input.issuer));
        let saved = self
            .save_permitted(caller, &key, input, about.clone())
            .await;
        if let Err(error) = saved {
            self.note_refusal::<()>(caller, about, &Err(error)).await;
            return Err(error);
        }
        self.find_provider(caller, &key).await
    }

    async fn save_permitted(
        &self,
        caller: &Caller,
        key: &ProviderKey,
        input: SaveProvider,
        about: db::AuditRecord,
    ) -> Result<(), Error> {
        everywhere(caller)?;
        self.require_fresh(caller)?;
        let files = &self.config().identity_providers;
        if files.iter().any(|(other, _)| other == key) {
            return Err(Error::Invalid(Field::Key, Problem::Taken));
        }
        let setup = checked(input)?;
        read_secret(setup.secret.as_deref(), &self.secrets_folder())
            .map_err(|problem| Error::Invalid(Field::Secret, problem))?;
        for rule in placing_rules(&setup)? {
            let (organisation, role) = (rule.place.organisation, &rule.place.role.0);
            let reader = self.db().reader();
            let there = async {
                Ok(db::organisations::find(reader, organisation)
                    .await?
                    .is_some()
                    && db::users::role_exists(reader, role, organisation).await?)
            };
            if !there.await.map_err(|error| self.database_error(error))? {
                return Err(Error::Invalid(Field::Rules, Problem::NotThere));
            }
        }
        let asked = self.inner.providers.check(&setup.issuer, self.now()).await;
        asked.map_err(|fault| match fault {
            Fault::Away => Error::ProviderAway,
            _ => Error::Invalid(Field::Issuer, Problem::NotThere),
        })?;
        let key = key.clone();
        self.write(move |tx, trail| {
            Box::pin(async move {
                db::providers::save(tx, &key, &setup).await?;
                trail.append(tx, &about).await
            })
        })
        .await
    }

    /// Removes one. Sessions that began with it go on; nobody signs in with it any more.
    pub async fn remove_provider(
        &self,
        caller: &Caller,
        facts: &RequestFacts,
        key: &ProviderKey,
    ) -> Result<(), Error> {
        let about = event(
            self.now(),
            AuditAction::ProviderRemoved,
            AuditOutcome::Success,
            Some(facts),
        )
        .by(caller.user_id(), caller.name())
        .with(key.as_str());
        let attempt = about.clone();
        let removed = match everywhere(caller) {
            Err(error) => Err(error),
            Ok(()) => {
                let key = key.clone();
                self.write(move |tx, trail| {
                    Box::pin(async move {
                        match db::providers::remove(tx, &key).await? {
                            true => trail.append(tx, &about).await,
                            false => Err(db::DbError::Refused(Error::NotFound)),
                        }
                    })
                })
                .await
            }
        };
        self.note_refusal(caller, attempt, &removed).await;
        removed
    }

    fn shown(&self, key: ProviderKey, setup: SaveProvider, from_file: bool) -> IdentityProvider {
        let public = self.config().public_origin.as_deref();
        let at = |path: &str| public.map_or_else(String::new, |public| format!("{public}{path}"));
        IdentityProvider {
            redirect_uri: at(&format!("/auth/callback/{key}")),
            post_logout_redirect_uri: at("/auth/left"),
            backchannel_logout_uri: at(&format!("/auth/back-channel/{key}")),
            key,
            from_file,
            setup,
        }
    }
}

// Who may sign in with what concerns everybody.
pub(super) fn everywhere(caller: &Caller) -> Result<(), Error> {
    match caller.authorise(Permission::IntegrationsManage)? {
        Scope::All => Ok(()),
        Scope::Organisation(_) | Scope::User(_) => Err(Error::Forbidden),
    }
}
