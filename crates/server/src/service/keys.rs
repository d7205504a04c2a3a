//! API keys: made and revoked by their owner, revoked by whoever manages the owner.

use std::time::Duration;

use rollcall_core::keys::{LONGEST_KEY_LIFE, LONGEST_KEY_NAME};
use rollcall_core::{
    ApiKey, ApiKeyId, AuditAction, AuditOutcome, CreateKey, Error, Field, KeyCreated, KeyState,
    Permission, Problem, UserId,
};

use super::Service;
use super::audit::{Describe, event};
use super::caller::Caller;
use super::facts::RequestFacts;
use super::names::checked_name;
use super::secret::KeySecret;
use super::stopping::with_stopped;
use crate::clock::uuid_v7;
use crate::db::{self, DbError};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Service {
    /// The caller's keys: good ones first, then the newest.
    pub async fn list_own_keys(&self, caller: &Caller) -> Result<Vec<ApiKey>, Error> {
        self.keys_of(caller.user_id()).await
    }

    /// The keys of a user within the caller's reach.
    pub async fn list_user_keys(
        &self,
        caller: &Caller,
        user: UserId,
    ) -> Result<Vec<ApiKey>, Error> {
        let scope = caller.authorise(Permission::UsersView)?;
        let found = db::users::find_scoped(self.db().reader(), scope, user).await;
        let found = found.map_err(|error| self.database_error(error))?;
        found.ok_or(Error::NotFound)?;
        self.keys_of(user).await
    }

    /// One key: the caller's own, or, with `users.view`, one of a user within reach.
    pub async fn find_key(&self, caller: &Caller, id: ApiKeyId) -> Result<ApiKey, Error> {
        let found = db::api_keys::find(self.db().reader(), id, self.now()).await;
        let found = found.map_err(|error| self.database_error(error))?;
        let own = found
            .as_ref()
            .is_some_and(|(_, owner)| owner.user.id == caller.user_id());
        let scope = match own {
            true => db::Scope::User(caller.user_id()),
            false => caller.authorise(Permission::UsersView)?,
        };
        found
            .filter(|(_, owner)| scope.covers(owner.organisation.id, owner.user.id))
            .map(|(key, _)| key)
            .ok_or(Error::NotFound)
    }

    async fn keys_of(&self, user: UserId) -> Result<Vec<ApiKey>, Error> {
        db::api_keys::list(self.db().reader(), user, self.now())
            .await
            .map_err(|error| self.database_error(error))
    }

    /// Makes a key for the caller, who shows the password for it; its secret is answered this once.
    pub async fn create_key(
        &self,
        caller: &Caller,
        facts: &RequestFacts,
        input: CreateKey,
    ) -> Result<KeyCreated, Error> {
        // A key that made keys would outlive its own end.
        caller.session()?;
        self.require_fresh(caller)?;
        let refuse = |field, problem| Err(Error::Invalid(field, problem));
        let name = checked_name(&input.name, LONGEST_KEY_NAME)?;
        if !(1..=LONGEST_KEY_LIFE).contains(&input.days) {
            return refuse(Field::Days, Problem::OutOfRange(1, LONGEST_KEY_LIFE));
        }
        if !caller.permissions().has_all(input.permissions) {
            return refuse(Field::Permissions, Problem::NotOffered);
        }
        let now = self.now();
        let secret = KeySecret::generate(self.random());
        let key = ApiKey {
            id: ApiKeyId(uuid_v7(self.random(), now)),
            name,
            permissions: input.permissions,
            state: KeyState::Good,
            created_at: now,
            expires_at: now + DAY * input.days,
            last_used_at: None,
            revoked_at: None,
        };
        let permissions: Vec<_> = key.permissions.iter().map(Permission::as_str).collect();
        let record = event(
            now,
            AuditAction::KeyCreated,
            AuditOutcome::Success,
            Some(facts),
        )
        .by(caller.user_id(), caller.name())
        .to(&caller.authority().user, caller.organisation_id())
        .on(caller.credential())
        .with(format!("{} ({})", key.name, permissions.join(", ")));
        let (owner, stored, hash) = (
            (caller.user_id(), caller.credential()),
            key.clone(),
            secret.hash(),
        );
        self.write(move |tx, trail| {
            Box::pin(async move {
                db::api_keys::create(tx, owner, &stored, &hash).await?;
                trail.append(tx, &record).await
            })
        })
        .await?;
        Ok(KeyCreated {
            key,
            secret: secret.expose().to_string(),
        })
    }

    /// Revokes a key: the caller's own, or, with `users.manage`, one of a user within reach. Whatever takes access away
    /// needs no more than that.
    pub async fn revoke_key(
        &self,
        caller: &Caller,
        facts: &RequestFacts,
        id: ApiKeyId,
    ) -> Result<(), Error> {
        let now = self.now();
        let about = event(
            now,
            AuditAction::KeyRevoked,
            AuditOutcome::Success,
            Some(facts),
        )
        .by(caller.user_id(), caller.name());
        let found = db::api_keys::find(self.db().reader(), id, now).await;
        let found = found.map_err(|error| self.database_error(error))?;
        let own = found
            .as_ref()
            .is_some_and(|(_, owner)| owner.user.id == caller.user_id());
        let permitted = match own {
            // A key that manages users manages its owner's keys as well; any other leaves them to a session.
            true => match caller.session() {
                Ok(_) => Ok(db::Scope::User(caller.user_id())),
                Err(error) => caller.authorise(Permission::UsersManage).map_err(|_| error),
            },
            false => caller.authorise(Permission::UsersManage),
        };
        let found = match permitted {
            Ok(scope) => found
                .filter(|(_, owner)| scope.covers(owner.organisation.id, owner.user.id))
                .ok_or(Error::NotFound),
            Err(error) => Err(error),
        };
        let (key, owner) = match found {
            Ok(found) => found,
            Err(error) => {
                self.note_refusal::<()>(caller, about, &Err(error)).await;
                return Err(error);
            }
        };
        let record = about
            .to(&owner.user, owner.organisation.id)
            .with(key.name.clone());
        let (owner, by) = (owner.user.id, caller.user_id());
        self.write_then(
            move |tx, trail| {
                Box::pin(async move {
                    // Twice is as good as once.
                    let stopped = db::api_keys::revoke(tx, owner, id, now, by).await?;
                    if let Some(stopped) = &stopped {
                        trail.append_all(tx, &with_stopped(record, stopped)).await?;
                    }
                    Ok::<_, DbError>(stopped.unwrap_or_default())
                })
            },
            |service, stopped| service.tell_stopped(stopped),
        )
        .await
        .map(|_| ())
    }

    /// The secret of a key that this session has made, if nobody has seen it yet.
    pub fn key_secret(&self, caller: &Caller, id: ApiKeyId) -> Option<String> {
        let kept = self
            .inner
            .handover
            .take(caller.credential(), id.0, self.now());
        kept.map(|secret| secret.to_string())
    }

    /// Keeps the secret of a key for the page that comes next.
    pub(super) fn hand_key_over(&self, caller: &Caller, created: &KeyCreated) {
        let (by, key) = (caller.credential(), created.key.id);
        self.inner
            .handover
            .keep(by, key.0, &created.secret, self.now());
    }
}
