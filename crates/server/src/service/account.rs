//! The caller's own account: password, time zone, names of sessions.

use rollcall_core::{
    AuditAction, AuditOutcome, ChangePassword, EndReason, Error, Field, Me, PolicyPlace, Problem,
    Rule, Session, SessionId,
};

use super::Service;
use super::audit::{Describe, event};
use super::caller::Caller;
use super::facts::RequestFacts;
use super::names::checked_name;
use super::password::Password;
use super::reauthentication::presented;
use super::sign_in::{Attempt, LONGEST_SESSION_NAME};
use super::stopping::with_stopped;
use super::token::Token;
use crate::db;
use crate::db::audit::AuditRecord;
use crate::db::mail::LetterKind;

impl Service {
    /// Who is asking; answered out of memory.
    pub fn me(&self, caller: &Caller) -> Me {
        Me {
            user: caller.profile(),
            permissions: caller.permissions(),
            session: caller.session().ok().map(|entry| self.own_session(entry)),
        }
    }

    /// Changes the caller's password. This session goes on with a token of a new lineage, which is
    /// answered; all others end. The current password counts as a try, as at sign-in.
    pub async fn change_password(
        &self,
        caller: &Caller,
        facts: &RequestFacts,
        input: ChangePassword,
    ) -> Result<Token, Error> {
        caller.session()?;
        let current = presented(&input.current_password)?;
        let user = &caller.authority().user;
        let place = PolicyPlace {
            organisation: Some(caller.organisation_id()),
            role: Some(caller.authority().role_key.clone()),
        };
        let least = self.policy_in(&place).await?.get(Rule::PasswordMinLength);
        let new = Password::chosen(
            &input.new_password,
            least,
            Field::NewPassword,
            &[&user.email, &user.name, "rollcall"],
        )?;
        if input.new_password == input.current_password {
            return Err(Error::Invalid(Field::NewPassword, Problem::Unchanged));
        }
        let (attempt, old_hash) = self
            .own_password(caller, facts, &current, AuditAction::PasswordChanged)
            .await?;
        let new_hash = self
            .inner
            .hasher
            .hash(&new, self.random())
            .await
            .map_err(|_| Error::TooManyAttempts(1))?;
        self.store_password(caller, facts, attempt, old_hash, new_hash)
            .await
    }

    async fn store_password(
        &self,
        caller: &Caller,
        facts: &RequestFacts,
        attempt: Attempt,
        old_hash: String,
        new_hash: String,
    ) -> Result<Token, Error> {
        let now = self.now();
        let (user, session) = (caller.user_id(), caller.credential());
        let (token, rotation_key) = self.new_lineage();
        let (lineage_hash, secret_hash) = (token.lineage_hash(), token.secret_hash());
        let record = event(
            now,
            AuditAction::PasswordChanged,
            AuditOutcome::Success,
            Some(facts),
        )
        .by(user, caller.name())
        .to(&caller.authority().user, caller.organisation_id())
        .on(session);
        let told = self.post().letter(
            LetterKind::PasswordChanged,
            &caller.authority().user,
            Some(facts),
            now,
        );
        self.flush_activity().await?;
        let old_lineage = caller.session()?.record.lineage_hash;
        self.write_then(
            move |tx, trail| {
                Box::pin(async move {
                    // Tickets, users, attempts, sessions: as everywhere.
                    db::sign_in_tickets::forget(tx, user).await?;
                    // Both are conditional, and take the whole job back: whatever ends this session or changes the
                    // password meanwhile has signed the caller out.
                    let changed =
                        db::users::change_password(tx, user, &old_hash, &new_hash, now).await?;
                    let renewed = changed
                        && db::sessions::renew_lineage(
                            tx,
                            session,
                            &lineage_hash,
                            &secret_hash,
                            &rotation_key,
                            now,
                        )
                        .await?;
                    if !renewed {
                        return Err(db::DbError::Refused(Error::Unauthenticated));
                    }
                    db::attempts::give_back(tx, &attempt.key).await?;
                    db::mail::post(tx, told.as_ref()).await?;
                    let (others, stopped) = db::sessions::end_all_of_user(
                        tx,
                        user,
                        Some(session),
                        now,
                        EndReason::PasswordChanged,
                        Some(user),
                    )
                    .await?;
                    let record = record.with(format!("{} other sessions ended", others.len()));
                    trail
                        .append_all(tx, &with_stopped(record, &stopped))
                        .await?;
                    Ok((others, stopped))
                })
            },
            move |service, (others, stopped)| {
                // The old lineage is nobody's now: its token answers 401 without a theft alarm.
                service.lineage_gone(old_lineage);
                service.ended_many(others, EndReason::PasswordChanged, stopped);
                service.inner.cache.authority_changed();
            },
        )
        .await
        .map(|_| token)
    }

    /// Gives one of the caller's own active sessions another name; those of others do not exist here.
    pub async fn rename_own_session(
        &self,
        caller: &Caller,
        facts: &RequestFacts,
        id: SessionId,
        name: &str,
    ) -> Result<Session, Error> {
        caller.session()?;
        let name = checked_name(name, LONGEST_SESSION_NAME)?;
        let user = caller.user_id();
        let about = |outcome| {
            let record = event(
                self.now(),
                AuditAction::SessionRenamed,
                outcome,
                Some(facts),
            )
            .by(user, caller.name())
            .on(id);
            AuditRecord {
                organisation: Some(caller.organisation_id()),
                ..record
            }
        };
        let found = self.find_record(id).await?;
        let Some((record, _)) = found.filter(|(record, _)| record.user_id == user) else {
            self.note_event(about(AuditOutcome::NotFound)).await;
            return Err(Error::NotFound);
        };
        let to_self =
            |record: AuditRecord| record.to(&caller.authority().user, caller.organisation_id());
        let success = to_self(about(AuditOutcome::Success))
            .with(format!("\"{}\" is now \"{name}\"", record.name));
        let failure = to_self(about(AuditOutcome::AlreadyEnded));
        self.flush_activity().await?;
        let now = self.now();
        let renamed = self
            .write_then(
                move |tx, trail| {
                    Box::pin(async move {
                        let renamed = db::sessions::rename(tx, id, user, &name, now).await?;
                        trail
                            .append(tx, if renamed { &success } else { &failure })
                            .await?;
                        Ok(renamed)
                    })
                },
                // What is in memory has the old name, and so has what is being read just now.
                |service, _| service.inner.cache.authority_changed(),
            )
            .await?;
        if !renamed {
            return Err(Error::SessionNotActive);
        }
        self.find_own_session(caller, id).await
    }

    /// Sets the zone that the caller's times are shown in; `None` follows the browser.
    pub async fn set_time_zone(&self, caller: &Caller, zone: Option<String>) -> Result<(), Error> {
        caller.session()?;
        let zone = zone.filter(|name| !name.is_empty());
        if let Some(name) = &zone
            && super::zones::parse(name).is_none()
        {
            return Err(Error::Invalid(Field::TimeZone, Problem::NotOffered));
        }
        let user = caller.user_id();
        self.write_then(
            move |tx, _| {
                Box::pin(async move { db::users::set_time_zone(tx, user, zone.as_deref()).await })
            },
            |service, _| service.inner.cache.authority_changed(),
        )
        .await?;
        Ok(())
    }

    /// The seconds that the caller's cookie lives, if it was to outlive the browser.
    pub(super) fn cookie_max_age(&self, caller: &Caller) -> Option<i64> {
        let record = &caller.session().ok()?.record;
        record
            .keep
            .then(|| record.absolute_expires_at.seconds_since(self.now()))
    }
}
