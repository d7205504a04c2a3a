//! The password once more, before what is worth stealing a session for (ASVS 7.5.1, 7.5.3).

use std::time::Duration;

use rollcall_core::{AuditAction, AuditOutcome, Error, Field, Problem, SessionId, Timestamp};
use sea_orm::DatabaseTransaction;

use super::audit::{Describe, event};
use super::caller::Caller;
use super::facts::RequestFacts;
use super::password::Password;
use super::sign_in::{Attempt, account_key};
use super::token::Token;
use super::{Job, Service};
use crate::db::{self, AuditRecord};

/// For how long a password counts as just entered.
pub(super) const GOOD_FOR: Duration = Duration::from_secs(15 * 60);

/// What is left when a page asks before it is needed, so that nothing is typed in vain.
const MARGIN: Duration = Duration::from_secs(5 * 60);

impl Service {
    /// Takes the caller's password once more; wrong ones count as at sign-in. This session goes on with a token of a
    /// new lineage, which is answered: whoever has a copy of the old one has nothing (ASVS 7.2.4).
    pub async fn reauthenticate(
        &self,
        caller: &Caller,
        facts: &RequestFacts,
        password: &str,
    ) -> Result<Token, Error> {
        caller.session()?;
        let password = presented(password)?;
        let (attempt, _) = self
            .own_password(caller, facts, &password, AuditAction::Reauthenticated)
            .await?;
        let session = caller.credential();
        let record = event(
            self.now(),
            AuditAction::Reauthenticated,
            AuditOutcome::Success,
            Some(facts),
        )
        .by(caller.user_id(), caller.name())
        .to(&caller.authority().user, caller.organisation_id())
        .on(session);
        let old_lineage = caller.session()?.record.lineage_hash;
        self.renew(
            session,
            old_lineage,
            |tx, _| Box::pin(async move { db::attempts::give_back(tx, &attempt.key).await }),
            record,
        )
        .await
    }

    /// Gives a session a new lineage and notes that its user has just proven who they are, after what comes `first` in the
    /// same transaction.
    pub(super) async fn renew<F>(
        &self,
        session: SessionId,
        old_lineage: [u8; 32],
        first: F,
        record: AuditRecord,
    ) -> Result<Token, Error>
    where
        F: for<'c> FnOnce(&'c DatabaseTransaction, Timestamp) -> Job<'c, ()> + Send + 'static,
    {
        let (now, (token, rotation_key)) = (record.at, self.new_lineage());
        let (lineage_hash, secret_hash) = (token.lineage_hash(), token.secret_hash());
        self.flush_activity().await?;
        self.write_then(
            move |tx, trail| {
                Box::pin(async move {
                    first(tx, now).await?;
                    let renewed = db::sessions::renew_lineage(
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
                    trail.append(tx, &record).await
                })
            },
            // The old lineage is nobody's now: its token answers 401 without a theft alarm.
            move |service, ()| service.lineage_gone(old_lineage),
        )
        .await?;
        Ok(token)
    }

    /// `ReauthenticationRequired` where the caller's password was entered too long ago for a sensitive change.
    pub(super) fn require_fresh(&self, caller: &Caller) -> Result<(), Error> {
        // What a key may do was said with the password, when it was made.
        match caller.key().is_some() || self.is_fresh(caller, GOOD_FOR) {
            true => Ok(()),
            false => Err(Error::ReauthenticationRequired),
        }
    }

    /// Whether a page had better ask for the password before it offers a sensitive change.
    pub fn reauthentication_due(&self, caller: &Caller) -> bool {
        !self.is_fresh(caller, GOOD_FOR - MARGIN)
    }

    fn is_fresh(&self, caller: &Caller, good_for: Duration) -> bool {
        let session = caller.session();
        session.is_ok_and(|session| self.now() < session.record.authenticated_at + good_for)
    }

    /// Compares what the caller says is their password, as at sign-in: it counts as a try. Answers with the hash in
    /// force; `Wrong` where it is wrong or the account is locked.
    pub(super) async fn own_password(
        &self,
        caller: &Caller,
        facts: &RequestFacts,
        password: &Password,
        action: AuditAction,
    ) -> Result<(Attempt, String), Error> {
        let user = &caller.authority().user;
        let taken_at = self.now();
        self.take_attempt(facts, taken_at, action).await?;
        let key = account_key(&user.email);
        let Some(_turn) = self.inner.turns.wait(key.clone()).await else {
            return Err(Error::TooManyAttempts(1));
        };
        let attempt = self.attempt(key, password).await?;
        let hash = match (&attempt.tries, attempt.matches, attempt.user.as_ref()) {
            (Some(_), true, Some(record)) if record.id == user.id => record.password_hash.clone(),
            _ => None,
        };
        let Some(hash) = hash else {
            self.note_failure(&attempt, action, facts).await?;
            return Err(wrong());
        };
        self.inner.throttle.succeeded(facts.ip, taken_at);
        Ok((attempt, hash))
    }

    /// A token of a lineage that was not there before, and the key that makes its successors.
    pub(super) fn new_lineage(&self) -> (Token, [u8; 32]) {
        let token = Token::generate(self.random());
        let mut rotation_key = [0; 32];
        self.random().fill(&mut rotation_key);
        (token, rotation_key)
    }
}

/// The password in force as somebody typed it.
pub(super) fn presented(text: &str) -> Result<Password, Error> {
    if text.is_empty() {
        return Err(Error::Invalid(Field::CurrentPassword, Problem::Missing));
    }
    Password::presented(text).ok_or_else(wrong)
}

fn wrong() -> Error {
    Error::Invalid(Field::CurrentPassword, Problem::Wrong)
}
