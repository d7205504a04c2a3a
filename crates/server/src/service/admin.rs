//! What the command line does to accounts, with the database at hand and nobody signed in.

use rollcall_core::role::BuiltInRole;
use rollcall_core::{
    ApiKey, ApiKeyId, AuditAction, AuditOutcome, Email, EndReason, Error, Field, KeyState,
    OrganisationId, Permission, Permissions, Problem, Timestamp, User, UserId,
};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::Service;
use super::audit::{Describe, event};
use super::caller::Caller;
use super::password::Password;
use super::sign_in::{account_key, user_ref};
use super::user_acts::or_last;
use crate::clock::uuid_v7;
use crate::db::records::NewUser;
use crate::db::{self, DbError};

/// A user to be made.
#[derive(Clone, Debug)]
pub struct CreateUser {
    /// The user name.
    pub email: String,
    /// What the user is called; the part of the e-mail before the @ where it is empty.
    pub name: String,
    /// The primary role.
    pub role: BuiltInRole,
    /// The organisation's name; it is made if there is none.
    pub organisation: String,
    /// True for a program's account.
    pub service_account: bool,
    /// The password; a one-time password is made where it is not given.
    pub password: Option<Zeroizing<String>>,
}

/// What the command line does to an account as a whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AccountChange {
    /// Ends all sessions and refuses every sign-in.
    Disable,
    /// Lets the user sign in again; what has ended stays ended.
    Enable,
    /// For good, but for the name and e-mail that sessions and the audit trail show.
    Delete,
}

type OneTime = Option<Zeroizing<String>>;

/// What stands in the place of a key's id for whoever has the database at hand. No key has it.
pub(super) const OPERATOR: ApiKeyId = ApiKeyId(Uuid::nil());

impl Service {
    /// Whoever has the database at hand, in the person of its first Platform administrator. Has what an API key of that
    /// person could have, and is called so in the audit trail.
    pub(super) async fn operator(&self) -> Result<Caller, Error> {
        let reader = self.db().reader();
        let found = db::users::find_platform_administrator(reader).await;
        let administrator = found.map_err(|error| self.database_error(error))?;
        let administrator = administrator.ok_or(Error::Unauthenticated)?;
        let authority = db::users::authority_of(reader, administrator.id).await;
        let authority = authority.map_err(|error| self.database_error(error))?;
        let now = self.now();
        let record = ApiKey {
            id: OPERATOR,
            name: "command line".to_owned(),
            permissions: Permissions::of(Permission::ALL),
            state: KeyState::Good,
            created_at: now,
            expires_at: Timestamp(i64::MAX),
            last_used_at: None,
            revoked_at: None,
        };
        Ok(Caller::by_key(
            record,
            authority.ok_or(Error::Unauthenticated)?,
        ))
    }

    /// A user as things stand, for whoever wants to look before doing something.
    pub async fn account(&self, email: &str) -> Result<User, Error> {
        let found = db::users::find_by_email(self.db().reader(), &account_key(email)).await;
        let user = found
            .map_err(|error| self.database_error(error))?
            .ok_or(Error::NotFound)?;
        self.find_user(&self.operator().await?, user.id).await
    }

    /// Disables, enables or deletes a user. False if the user was so already.
    pub async fn change_account(&self, email: &str, change: AccountChange) -> Result<bool, Error> {
        let found = db::users::find_by_email(self.db().reader(), &account_key(email)).await;
        let user = found
            .map_err(|error| self.database_error(error))?
            .ok_or(Error::NotFound)?;
        let already = match change {
            AccountChange::Disable => !user.enabled,
            AccountChange::Enable => user.enabled,
            AccountChange::Delete => false,
        };
        if already {
            return Ok(false);
        }
        let (now, id) = (self.now(), user.id);
        let action = match change {
            AccountChange::Disable => AuditAction::UserDisabled,
            AccountChange::Enable => AuditAction::UserEnabled,
            AccountChange::Delete => AuditAction::UserDeleted,
        };
        let record = event(now, action, AuditOutcome::Success, None)
            .to(&user_ref(&user), user.organisation_id)
            .with("command line");
        self.write_then(
            move |tx, trail| {
                Box::pin(async move {
                    db::roles::hold_platform_administrators(tx).await?;
                    or_last(match change {
                        AccountChange::Disable => db::user_changes::disable(tx, id, now).await?,
                        AccountChange::Enable => db::user_changes::enable(tx, id, now).await?,
                        AccountChange::Delete => db::user_changes::delete(tx, id, now).await?,
                    })?;
                    trail.append(tx, &record).await
                })
            },
            |service, ()| service.inner.cache.authority_changed(),
        )
        .await?;
        Ok(true)
    }

    /// Refuses what `create_user` would refuse, and creates nobody.
    pub async fn check_new_user(&self, input: CreateUser) -> Result<(), Error> {
        let (user, _, _) = self.new_user(input)?;
        let found = db::users::find_by_email(self.db().reader(), &user.email).await;
        match found.map_err(|error| self.database_error(error))? {
            Some(_) => Err(Error::EmailTaken),
            None => Ok(()),
        }
    }

    /// Creates a user. Answers the one-time password, if one was made.
    pub async fn create_user(&self, input: CreateUser) -> Result<(UserId, OneTime), Error> {
        let (user, organisation_name, one_time) = self.new_user(input)?;
        let (id, now) = (user.id, user.created_at);
        let created = self
            .write(move |tx, trail| {
                Box::pin(async move {
                    let organisation =
                        match db::organisations::find_by_name(tx, &organisation_name).await? {
                            Some(organisation) => organisation.id,
                            None => {
                                db::organisations::create(
                                    tx,
                                    user.organisation_id,
                                    &organisation_name,
                                    now,
                                )
                                .await?;
                                user.organisation_id
                            }
                        };
                    let user = NewUser {
                        organisation_id: organisation,
                        ..user
                    };
                    match db::users::create(tx, &user).await {
                        Err(DbError::Unique(_)) => return Ok(false),
                        other => other?,
                    }
                    let target = rollcall_core::UserRef {
                        id: user.id,
                        email: user.email.clone(),
                        name: user.name.clone(),
                        service_account: user.service_account,
                    };
                    let record = event(now, AuditAction::UserCreated, AuditOutcome::Success, None)
                        .to(&target, organisation)
                        .with(format!("role {}", user.role_key));
                    trail.append(tx, &record).await?;
                    Ok(true)
                })
            })
            .await?;
        if created {
            Ok((id, one_time))
        } else {
            Err(Error::EmailTaken)
        }
    }

    // The user, the organisation's name, and the one-time password if one is made.
    fn new_user(&self, input: CreateUser) -> Result<(NewUser, String, OneTime), Error> {
        let email =
            Email::parse(&input.email).ok_or(Error::Invalid(Field::Email, Problem::Malformed))?;
        // Sign-in finds an account by its normal form, so it must be made in it.
        let email = account_key(email.as_str());
        let name = match input.name.trim() {
            "" => email.split('@').next().unwrap_or_default().to_owned(),
            name if name.chars().count() > 100 => {
                return Err(Error::Invalid(Field::Name, Problem::TooLong(100)));
            }
            name if name.chars().any(char::is_control) => {
                return Err(Error::Invalid(Field::Name, Problem::Malformed));
            }
            name => name.to_owned(),
        };
        let organisation_name = input.organisation.trim().to_owned();
        if organisation_name.is_empty() || organisation_name.chars().count() > 100 {
            return Err(Error::Invalid(Field::Other, Problem::TooLong(100)));
        }
        let (password, one_time) = match input.password {
            Some(given) => {
                let about = [email.as_str(), &name];
                (
                    Password::chosen(
                        &given,
                        self.config().password_min_length,
                        Field::Password,
                        &about,
                    )?,
                    None,
                )
            }
            None => {
                let (password, text) = Password::one_time(self.random());
                (password, Some(text))
            }
        };
        let now = self.now();
        let user = NewUser {
            id: UserId(uuid_v7(self.random(), now)),
            organisation_id: OrganisationId(uuid_v7(self.random(), now)),
            email,
            name,
            role_key: input.role.key().to_owned(),
            service_account: input.service_account,
            password_hash: Some(self.inner.hasher.hash_now(&password, self.random())),
            password_change_required: one_time.is_some(),
            created_at: now,
        };
        Ok((user, organisation_name, one_time))
    }

    /// Unlocks an account. False if it was not locked. Works while a server runs: locks are never
    /// cached.
    pub async fn unlock_user(&self, email: &str) -> Result<bool, Error> {
        let key = account_key(email);
        let user = db::users::find_by_email(self.db().reader(), &key)
            .await
            .map_err(|error| self.database_error(error))?;
        let user = user.ok_or(Error::NotFound)?;
        let record = event(
            self.now(),
            AuditAction::UserUnlocked,
            AuditOutcome::Success,
            None,
        )
        .to(&user_ref(&user), user.organisation_id)
        .with("command line");
        self.write(move |tx, trail| {
            Box::pin(async move {
                let unlocked = db::attempts::unlock(tx, &key).await?;
                if unlocked {
                    trail.append(tx, &record).await?;
                }
                Ok(unlocked)
            })
        })
        .await
    }

    /// Gives a user a one-time password and ends all their sessions. Lifts no lock.
    pub async fn reset_password(&self, email: &str) -> Result<Zeroizing<String>, Error> {
        let key = account_key(email);
        let user = db::users::find_by_email(self.db().reader(), &key)
            .await
            .map_err(|error| self.database_error(error))?;
        let user = user.ok_or(Error::NotFound)?;
        let (password, text) = Password::one_time(self.random());
        let hash = self.inner.hasher.hash_now(&password, self.random());
        let now = self.now();
        let record = event(now, AuditAction::PasswordReset, AuditOutcome::Success, None)
            .to(&user_ref(&user), user.organisation_id)
            .with("command line");
        self.write_then(
            move |tx, trail| {
                Box::pin(async move {
                    db::users::set_password(tx, user.id, &hash, true, now).await?;
                    db::users::end_before(tx, user.id, now, EndReason::PasswordReset).await?;
                    trail.append(tx, &record).await
                })
            },
            |service, ()| service.inner.cache.authority_changed(),
        )
        .await?;
        Ok(text)
    }

    /// Ends every session of a database that comes from a backup, and revokes every API key: some of them may have been
    /// ended or revoked after it was made. Says in the trail where the backup ended.
    pub async fn note_restored(
        &self,
        events: i64,
        last_at: Option<Timestamp>,
    ) -> Result<(), Error> {
        let now = self.now();
        let of = last_at.map_or_else(String::new, |at| format!(" of {at}"));
        let record = event(
            now,
            AuditAction::BackupRestored,
            AuditOutcome::Success,
            None,
        )
        .with(format!("the backup ended with event {events}{of}"));
        self.write_then(
            move |tx, trail| {
                Box::pin(async move {
                    db::installation::end_before(tx, now, EndReason::EndedByAdministrator).await?;
                    db::api_keys::revoke_everything(tx, now).await?;
                    db::mail::forget_everything(tx).await?;
                    trail.append(tx, &record).await
                })
            },
            |service, ()| service.inner.cache.authority_changed(),
        )
        .await
    }
}
