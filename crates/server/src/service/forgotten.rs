//! Forgotten passwords: a link by mail that sets another.
//!
//! The answer to a request is given before anybody looks whether there is such an account, so that neither its bytes nor its time
//! tell. What becomes of it is decided by the timer that sends mails (`deliver_mail`), which writes the event, too.

use std::time::Duration;

use rollcall_core::{AuditAction, AuditOutcome, EndReason, Error, Field, Problem, ResetLink, Rule};

use super::Service;
use super::audit::{Describe, event};
use super::facts::RequestFacts;
use super::mail::{AskedReset, proof};
use super::password::Password;
use super::secret::ResetSecret;
use super::sign_in::{account_key, usable, user_ref};
use crate::db::mail::{Letter, LetterKind};
use crate::db::records::UserRecord;
use crate::db::{self, DbError, Scope};

/// A user is written so many links within an hour: more would be a nuisance to whoever has the address.
const MOST_LINKS: i64 = 3;
const HOUR: Duration = Duration::from_secs(60 * 60);

impl Service {
    /// Notes that somebody asks for a new password for an e-mail. Each request is one of the attempts of an address that may
    /// fail.
    pub async fn ask_password_reset(&self, facts: &RequestFacts, email: &str) -> Result<(), Error> {
        if !self.sends_mail() {
            return Err(Error::NotFound);
        }
        if email.trim().is_empty() {
            return Err(Error::Invalid(Field::Email, Problem::Missing));
        }
        let name = account_key(email);
        if rollcall_core::Email::parse(&name).is_none() {
            return Err(Error::Invalid(Field::Email, Problem::Malformed));
        }
        if !self.is_reachable() {
            return Err(Error::Unavailable);
        }
        let at = self.now();
        self.take_attempt(facts, at, AuditAction::PasswordResetAsked)
            .await?;
        let asked = AskedReset {
            name,
            at,
            facts: facts.clone(),
        };
        match self.inner.mail.ask(asked) {
            true => Ok(()),
            false => Err(Error::TooManyAttempts(1)),
        }
    }

    /// Decides what becomes of a request, and writes the mail if one is due.
    pub(super) async fn answer_reset_request(&self, asked: &AskedReset) -> Result<(), Error> {
        let found = db::users::find_by_email(self.db().reader(), &asked.name).await;
        let about = event(
            asked.at,
            AuditAction::PasswordResetAsked,
            AuditOutcome::Success,
            Some(&asked.facts),
        );
        let Some(user) = found.map_err(|error| self.database_error(error))? else {
            let record = db::AuditRecord {
                outcome: AuditOutcome::NotFound,
                ..about.with(format!("unknown name {}", asked.name))
            };
            return self
                .write(move |tx, trail| Box::pin(async move { trail.append(tx, &record).await }))
                .await;
        };
        let letter = self.post().letter(
            LetterKind::ResetLink,
            &user_ref(&user),
            Some(&asked.facts),
            asked.at,
        );
        let (id, name, since) = (user.id, asked.name.clone(), asked.at - HOUR);
        self.write(move |tx, trail| {
            Box::pin(async move {
                let held = db::user_changes::hold(tx, Scope::All, id).await?;
                // Gone, or called something else just now: nobody has asked for that.
                let Some(held) = held.filter(|held| held.email == name) else {
                    return Ok(());
                };
                let letter = letter.map(|letter| Letter {
                    proof: Some(proof(&held)),
                    ..letter
                });
                let outcome = if !usable(&held) {
                    AuditOutcome::Disabled
                } else if held.service_account || !held.had_password {
                    // Programs read no mail, and who signs in elsewhere has no password to set.
                    AuditOutcome::Refused
                } else if db::mail::post_at_most(tx, letter.as_ref(), MOST_LINKS, since).await? {
                    AuditOutcome::Success
                } else {
                    AuditOutcome::Throttled
                };
                let record = db::AuditRecord {
                    outcome,
                    ..about.to(&user_ref(&held), held.organisation_id)
                };
                trail.append(tx, &record).await
            })
        })
        .await
    }

    /// What a link sets; `None` where it is not good.
    pub async fn find_reset_link(&self, link: &str) -> Result<Option<ResetLink>, Error> {
        let found = self.good_reset_link(link).await?;
        Ok(found.map(|(_, letter, user)| ResetLink {
            email: user.email,
            expires_at: letter.expires_at,
        }))
    }

    /// Sets a password by a link, which is used up. All sessions of the user end and their keys are revoked, as by an
    /// administrator's reset: whoever has lost a password does not know who has found it.
    pub async fn reset_password_by_link(
        &self,
        facts: &RequestFacts,
        link: &str,
        new_password: &str,
    ) -> Result<(), Error> {
        let Some((secret, letter, user)) = self.good_reset_link(link).await? else {
            return Err(Error::NotFound);
        };
        let least = self.policy_of(&user).await?.get(Rule::PasswordMinLength);
        let about = [user.email.as_str(), &user.name, "rollcall"];
        let new = Password::chosen(new_password, least, Field::NewPassword, &about)?;
        let hash = self.inner.hasher.hash(&new, self.random()).await;
        let hash = hash.map_err(|_| Error::TooManyAttempts(1))?;
        let now = self.now();
        let record = event(
            now,
            AuditAction::PasswordReset,
            AuditOutcome::Success,
            Some(facts),
        )
        .by(user.id, &user.name)
        .to(&user_ref(&user), user.organisation_id)
        .with("by a link of a mail");
        let person = user_ref(&user);
        let told = self
            .post()
            .letter(LetterKind::PasswordReset, &person, Some(facts), now);
        let (secret_hash, id) = (secret.hash(), user.id);
        self.flush_activity().await?;
        self.write_then(
            move |tx, trail| {
                Box::pin(async move {
                    let spent = || DbError::Refused(Error::NotFound);
                    let used = db::mail::use_link(tx, &secret_hash, 1, now).await?;
                    used.ok_or_else(spent)?;
                    // Tickets, users, attempts: as everywhere.
                    db::sign_in_tickets::forget(tx, id).await?;
                    let held = db::user_changes::hold(tx, Scope::All, id).await?;
                    held.filter(|held| still_good(&letter, held))
                        .ok_or_else(spent)?;
                    db::users::set_password(tx, id, &hash, false, now).await?;
                    db::users::end_before(tx, id, now, EndReason::PasswordReset).await?;
                    db::attempts::give_back(tx, &letter.email).await?;
                    db::mail::post(tx, told.as_ref()).await?;
                    trail.append(tx, &record).await
                })
            },
            |service, ()| service.epoch_set(),
        )
        .await
    }

    async fn good_reset_link(
        &self,
        link: &str,
    ) -> Result<Option<(ResetSecret, Letter, UserRecord)>, Error> {
        let Some(secret) = ResetSecret::parse(link) else {
            return Ok(None);
        };
        let reader = self.db().reader();
        let letter = db::mail::find_by_link(reader, &secret.hash(), self.now()).await;
        let letter = letter.map_err(|error| self.database_error(error))?;
        let Some(letter) = letter.filter(|letter| letter.kind.sets_password() && letter.step == 0)
        else {
            return Ok(None);
        };
        let user = db::users::find(reader, letter.user).await;
        let user = user.map_err(|error| self.database_error(error))?;
        Ok(user
            .filter(|user| still_good(&letter, user))
            .map(|user| (secret, letter, user)))
    }
}

// Void once the password was changed, the account is gone, or the e-mail is another one.
fn still_good(letter: &Letter, user: &UserRecord) -> bool {
    usable(user) && user.email == letter.email && letter.proof == Some(proof(user))
}
