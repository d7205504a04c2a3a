//! Sign-ins that somebody reports by the link of the mail that told of them: their session ends, or everything.

use rollcall_core::{
    AuditAction, AuditOutcome, EndReason, Error, ReportLink, ReportStep, SessionId, Timestamp,
    UserId,
};
use sea_orm::DatabaseTransaction;

use super::audit::{Describe, event};
use super::ending::ended_one;
use super::facts::RequestFacts;
use super::mail::proof;
use super::secret::ReportSecret;
use super::sign_in::{usable, user_ref};
use super::stopping::with_stopped;
use super::{Job, Service};
use crate::db::audit::AuditRecord;
use crate::db::mail::{Letter, LetterKind};
use crate::db::records::UserRecord;
use crate::db::{self, DbError, Scope};

impl Service {
    /// What a link reports; `None` where it is not good.
    pub async fn find_report_link(&self, link: &str) -> Result<Option<ReportLink>, Error> {
        let found = self.good_report_link(link).await?;
        Ok(found.map(|(_, letter, user)| ReportLink {
            email: user.email,
            step: match letter.step {
                0 => ReportStep::Told,
                1 => ReportStep::SessionEnded,
                _ => ReportStep::AllEnded,
            },
            device: letter.device,
            ip: letter.ip,
            at: letter.created_at,
            expires_at: letter.expires_at,
        }))
    }

    /// Does what somebody has asked for who has a link of a mail: ends the session that it tells of, or everything.
    pub async fn report_sign_in(
        &self,
        facts: &RequestFacts,
        link: &str,
        all: bool,
    ) -> Result<(), Error> {
        let Some((secret, letter, user)) = self.good_report_link(link).await? else {
            return Err(Error::NotFound);
        };
        match all {
            true => self.withdraw(facts, &secret, &user).await,
            false => self.disown(facts, &secret, &letter, &user).await,
        }
    }

    async fn good_report_link(
        &self,
        link: &str,
    ) -> Result<Option<(ReportSecret, Letter, UserRecord)>, Error> {
        let Some(secret) = ReportSecret::parse(link) else {
            return Ok(None);
        };
        let reader = self.db().reader();
        let letter = db::mail::find_by_link(reader, &secret.hash(), self.now()).await;
        let letter = letter.map_err(|error| self.database_error(error))?;
        let Some(letter) = letter.filter(|letter| letter.kind == LetterKind::NewDevice) else {
            return Ok(None);
        };
        let user = db::users::find(reader, letter.user).await;
        let user = user.map_err(|error| self.database_error(error))?;
        Ok(user
            .filter(|user| still_theirs(&letter, user))
            .map(|user| (secret, letter, user)))
    }

    async fn disown(
        &self,
        facts: &RequestFacts,
        secret: &ReportSecret,
        letter: &Letter,
        user: &UserRecord,
    ) -> Result<(), Error> {
        let session = letter.session.ok_or(Error::NotFound)?;
        let now = self.now();
        let record = event(
            now,
            AuditAction::SessionEnded,
            AuditOutcome::Success,
            Some(facts),
        )
        .by(user.id, &user.name)
        .to(&user_ref(user), user.organisation_id)
        .on(session);
        let (secret_hash, id) = (secret.hash(), user.id);
        self.end_disowned(session, move |tx| {
            Box::pin(async move {
                take_step(tx, &secret_hash, 1, id, now).await?;
                Ok((id, record))
            })
        })
        .await
    }

    // Ends a session that was somebody else's, after what comes `first` in the same transaction, which answers whose it is and
    // the event without its reason.
    pub(super) async fn end_disowned<F>(&self, session: SessionId, first: F) -> Result<(), Error>
    where
        F: for<'c> FnOnce(&'c DatabaseTransaction) -> Job<'c, (UserId, AuditRecord)>
            + Send
            + 'static,
    {
        let (now, reason) = (self.now(), EndReason::NotMe);
        // Where it is not kept any more, there is nothing to end.
        let lineage = self.find_record(session).await?;
        let lineage = lineage.map_or([0; 32], |(record, _)| record.lineage_hash);
        self.flush_activity().await?;
        self.write_then(
            move |tx, trail| {
                Box::pin(async move {
                    let (user, record) = first(tx).await?;
                    let record = record.with(reason.as_str());
                    db::devices::disown(tx, user, session).await?;
                    let by = Some(user);
                    let stopped = db::sessions::end(tx, session, now, reason, by, None).await?;
                    match &stopped {
                        Some(stopped) => {
                            trail.append_all(tx, &with_stopped(record, stopped)).await?;
                        }
                        None => {
                            let outcome = AuditOutcome::AlreadyEnded;
                            trail.append(tx, &AuditRecord { outcome, ..record }).await?;
                        }
                    }
                    Ok(stopped)
                })
            },
            ended_one(lineage, reason),
        )
        .await?;
        Ok(())
    }

    // Everything ends, and the password with it: whoever has it gets in no more, and the user sets another by the mail that
    // follows. No lock: those are an administrator's to lift.
    async fn withdraw(
        &self,
        facts: &RequestFacts,
        secret: &ReportSecret,
        user: &UserRecord,
    ) -> Result<(), Error> {
        let now = self.now();
        let record = event(
            now,
            AuditAction::PasswordWithdrawn,
            AuditOutcome::Success,
            Some(facts),
        )
        .by(user.id, &user.name)
        .to(&user_ref(user), user.organisation_id);
        let person = user_ref(user);
        let letter = self
            .post()
            .letter(LetterKind::Withdrawn, &person, Some(facts), now);
        let letter = letter.map(|letter| Letter {
            proof: Some(proof(&UserRecord {
                password_hash: None,
                ..user.clone()
            })),
            ..letter
        });
        let (secret_hash, id) = (secret.hash(), user.id);
        self.flush_activity().await?;
        self.write_then(
            move |tx, trail| {
                Box::pin(async move {
                    let told = take_step(tx, &secret_hash, 2, id, now).await?;
                    if let Some(session) = told.session {
                        db::devices::disown(tx, id, session).await?;
                    }
                    // Who signs in elsewhere has none.
                    if db::users::withdraw_password(tx, id).await? {
                        db::mail::post(tx, letter.as_ref()).await?;
                    }
                    db::users::end_before(tx, id, now, EndReason::NotMe).await?;
                    trail.append(tx, &record).await
                })
            },
            |service, ()| service.epoch_set(),
        )
        .await
    }
}

// Uses a link, and holds its user, whose account must still be what it was.
async fn take_step(
    tx: &DatabaseTransaction,
    secret_hash: &[u8; 32],
    step: i64,
    user: UserId,
    now: Timestamp,
) -> Result<Letter, DbError> {
    let spent = || DbError::Refused(Error::NotFound);
    let used = db::mail::use_link(tx, secret_hash, step, now).await?;
    let letter = used.ok_or_else(spent)?;
    db::sign_in_tickets::forget(tx, user).await?;
    let held = db::user_changes::hold(tx, Scope::All, user).await?;
    held.filter(|held| still_theirs(&letter, held))
        .ok_or_else(spent)?;
    Ok(letter)
}

fn still_theirs(letter: &Letter, user: &UserRecord) -> bool {
    usable(user) && user.email == letter.email
}
