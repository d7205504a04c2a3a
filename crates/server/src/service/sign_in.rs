//! Signing in with a password.
//!
//! Every attempt, for unknown, locked, disabled and single-sign-on-only names too, takes the same road:
//! one try taken by a conditional update, one Argon2id comparison, one transaction. There is one answer
//! for every failure.

use std::time::Duration;

use rollcall_core::{
    AuditAction, AuditOutcome, Error, Field, Kind, Leaving, Policy, Problem, Rule, Session, SignIn,
    Timestamp, UserId, UserRef, WhenFull,
};
use unicode_normalization::UnicodeNormalization;

use super::audit::{Describe, event};
use super::caller::Caller;
use super::facts::RequestFacts;
use super::mail::post_news;
use super::names::name_if_given;
use super::opening::{Opening, Proof, Wanted};
use super::password::Password;
use super::secret::Ticket;
use super::throttle::Throttled;
use super::token::Token;
use super::{Service, user_agent};
use crate::db;
use crate::db::mail::LetterKind;
use crate::db::records::UserRecord;

/// The longest session name, in characters.
pub const LONGEST_SESSION_NAME: u32 = 80;

/// Why there is no session.
#[derive(Debug)]
pub struct Refused {
    /// Why.
    pub error: Error,
    /// With `SessionLimit`: who may choose which sessions end.
    pub chooser: Option<UserId>,
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self {
            error,
            chooser: None,
        }
    }
}

/// What is known of an account while a password is compared.
pub(super) struct Attempt {
    pub(super) key: String,
    pub(super) user: Option<UserRecord>,
    /// Tries taken with this one; `None` when the account is locked.
    pub(super) tries: Option<i64>,
    pub(super) matches: bool,
    /// What applies to the account, or to everybody where there is none.
    pub(super) policy: Policy,
}

impl Service {
    /// Signs in and makes a session with a new token. `replaces` is the session that came with the
    /// request; it ends. `ticket` becomes good where there is no room and the user may choose what ends.
    pub async fn sign_in(
        &self,
        input: SignIn,
        kind: Kind,
        replaces: Option<&Caller>,
        facts: &RequestFacts,
        ticket: Option<&Ticket>,
    ) -> Result<(Session, Token), Refused> {
        let wanted = Wanted {
            name: session_name(input.name.as_deref(), facts)?,
            kind,
            keep: input.keep,
            leaving: Leaving::Only(input.end),
        };
        if input.email.trim().is_empty() {
            return Err(Error::Invalid(Field::Email, Problem::Missing).into());
        }
        if input.password.is_empty() {
            return Err(Error::Invalid(Field::Password, Problem::Missing).into());
        }
        let password = Password::presented(&input.password).ok_or(Error::Invalid(
            Field::Password,
            Problem::TooLong(super::password::MAX_LENGTH),
        ))?;
        let taken_at = self.now();
        self.take_attempt(facts, taken_at, AuditAction::SignIn)
            .await?;
        let key = attempt_key(&input.email);
        let Some(_turn) = self.inner.turns.wait(key.clone()).await else {
            count_sign_in(AuditOutcome::Throttled);
            return Err(Error::TooManyAttempts(1).into());
        };
        let attempt = self.attempt(key, &password).await?;
        let Some(user) = attempt
            .user
            .as_ref()
            .filter(|user| attempt.tries.is_some() && attempt.matches && usable(user))
        else {
            self.note_failure(&attempt, AuditAction::SignIn, facts)
                .await?;
            return Err(Error::SignInFailed.into());
        };
        let (chooser, chooses) = (user.id, attempt.policy.when_full() == WhenFull::Choose);
        let opening = Opening {
            user,
            policy: &attempt.policy,
            key: attempt.key.clone(),
            proof: Proof::Password(&password, ticket),
            wanted,
            replaces,
        };
        let opened = self.open_session(opening, facts).await;
        // Where there is no room, the password was right all the same: nobody is guessing here.
        if matches!(
            opened,
            Ok(_) | Err(Error::SessionLimit(_) | Error::OtherAddress)
        ) {
            self.inner.throttle.succeeded(facts.ip, taken_at);
        }
        if let Err(Error::SignInFailed) = opened {
            // Disabled, deleted, moved or given another password while this one was compared.
            let overtaken = Attempt {
                matches: false,
                ..attempt
            };
            self.note_failure(&overtaken, AuditAction::SignIn, facts)
                .await?;
        }
        let signed_in = opened.map_err(|error| Refused {
            error,
            chooser: (chooses && matches!(error, Error::SessionLimit(_))).then_some(chooser),
        })?;
        count_sign_in(AuditOutcome::Success);
        Ok(signed_in)
    }

    /// Takes one of the attempts of an address. The first refusal of a row is an event.
    pub(super) async fn take_attempt(
        &self,
        facts: &RequestFacts,
        now: Timestamp,
        action: AuditAction,
    ) -> Result<(), Error> {
        let Err(Throttled {
            retry_after_seconds,
            first,
        }) = self.inner.throttle.take(facts.ip, now)
        else {
            return Ok(());
        };
        count_sign_in(AuditOutcome::Throttled);
        if first {
            self.note_event(event(now, action, AuditOutcome::Throttled, Some(facts)))
                .await;
        }
        Err(Error::TooManyAttempts(retry_after_seconds))
    }

    /// Takes a try and compares, for sign-in and for the current password on the security page.
    pub(super) async fn attempt(&self, key: String, password: &Password) -> Result<Attempt, Error> {
        let user = db::users::find_by_email(self.db().reader(), &key)
            .await
            .map_err(|error| self.database_error(error))?;
        // Names that nobody has take the same road.
        let policy = match &user {
            Some(user) => self.policy_of(user).await?,
            None => self.policy_of_everybody().await?,
        };
        let (taken_key, now, limit) = (
            key.clone(),
            self.now(),
            i64::from(policy.get(Rule::LockAfter)),
        );
        let unlock_before = unlock_before(&policy, now);
        let tries = self
            .write(move |tx, _| {
                Box::pin(async move {
                    db::attempts::take_try(tx, &taken_key, now, limit, unlock_before).await
                })
            })
            .await?;
        let hash = user.as_ref().and_then(|user| user.password_hash.as_deref());
        let matches = self
            .inner
            .hasher
            .matches(password, hash)
            .await
            .map_err(|_| Error::TooManyAttempts(1))?;
        Ok(Attempt {
            key,
            user,
            tries,
            matches,
            policy,
        })
    }

    /// Notes a failed attempt, and the lock if it was the last try.
    pub(super) async fn note_failure(
        &self,
        attempt: &Attempt,
        action: AuditAction,
        facts: &RequestFacts,
    ) -> Result<(), Error> {
        let now = self.now();
        let outcome = match (&attempt.user, attempt.tries) {
            (_, None) => AuditOutcome::Locked,
            (Some(user), Some(_)) if attempt.matches && !usable(user) => AuditOutcome::Disabled,
            _ => AuditOutcome::WrongPassword,
        };
        let about = |action, outcome| {
            let record = event(now, action, outcome, Some(facts));
            match &attempt.user {
                Some(user) => record.to(&user_ref(user), user.organisation_id),
                // People type passwords into the wrong field: what is no address is not kept.
                None => match rollcall_core::Email::parse(&attempt.key) {
                    Some(email) => record.with(format!("unknown name {email}")),
                    None => record.with("unknown name"),
                },
            }
        };
        let (failed, locked) = (
            about(action, outcome),
            about(AuditAction::UserLocked, AuditOutcome::Success),
        );
        // The last try locks. So does the next attempt, should a server have stopped between the two.
        let locks = attempt
            .tries
            .is_none_or(|tries| tries == i64::from(attempt.policy.get(Rule::LockAfter)));
        let key = attempt.key.clone();
        let told = attempt.user.as_ref().and_then(|user| {
            let (post, person) = (self.post(), user_ref(user));
            post.letter(LetterKind::Locked, &person, Some(facts), now)
        });
        self.write(move |tx, trail| {
            Box::pin(async move {
                let mut events = vec![failed];
                if locks && db::attempts::lock(tx, &key, now).await? {
                    post_news(tx, told.as_ref()).await?;
                    events.push(locked);
                }
                trail.append_all(tx, &events).await
            })
        })
        .await?;
        count_sign_in(outcome);
        Ok(())
    }
}

/// The key that one account's attempts are counted under, however the name was written: trim, NFKC,
/// lower case, and no more than an address can have.
pub(super) fn account_key(name: &str) -> String {
    let normal: String = name.trim().nfkc().collect::<String>().to_lowercase();
    normal
        .chars()
        .filter(|c| !c.is_control())
        .take(254)
        .collect()
}

/// The key that an attempt is counted under. People type passwords into the wrong field, so what is no
/// address is not kept: all of it counts as one name, which no account can have.
fn attempt_key(name: &str) -> String {
    let key = account_key(name);
    if rollcall_core::Email::parse(&key).is_some() {
        key
    } else {
        "(no address)".to_owned()
    }
}

/// Locks that are not younger have opened by themselves; none where locks stay.
pub(super) fn unlock_before(policy: &Policy, now: Timestamp) -> Option<Timestamp> {
    let after = Some(policy.get(Rule::UnlockAfter)).filter(|seconds| *seconds > 0);
    after.map(|seconds| now - Duration::from_secs(u64::from(seconds)))
}

pub(super) fn user_ref(user: &UserRecord) -> UserRef {
    UserRef {
        id: user.id,
        email: user.email.clone(),
        name: user.name.clone(),
        service_account: user.service_account,
    }
}

pub(super) fn usable(user: &UserRecord) -> bool {
    user.enabled && !user.deleted && user.organisation_enabled
}

pub(super) fn session_name(given: Option<&str>, facts: &RequestFacts) -> Result<String, Error> {
    match name_if_given(given.unwrap_or_default(), LONGEST_SESSION_NAME)? {
        Some(name) => Ok(name),
        None => Ok(user_agent::session_name(&user_agent::parse(
            &facts.user_agent,
        ))),
    }
}

pub(super) fn count_sign_in(outcome: AuditOutcome) {
    metrics::counter!("rollcall_sign_ins_total", "outcome" => outcome.as_str()).increment(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_name_is_one_account() {
        for spelling in [
            "nora@acme.io",
            " Nora@Acme.IO ",
            "NORA@ACME.IO",
            "\u{FF4E}ora@acme.io",
            "nora@acme.io\n",
        ] {
            assert_eq!(account_key(spelling), "nora@acme.io", "{spelling:?}");
        }
    }
}
