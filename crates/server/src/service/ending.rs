//! Ending sessions: durable and audited in one transaction before the answer; from the next request on
//! the token is refused.

use rollcall_core::{
    AuditAction, AuditOutcome, EndReason, EndResult, Error, Field, OwnScope, Permission, Problem,
    SessionId, UserId,
};

use super::Service;
use super::audit::{Describe, event};
use super::caller::Caller;
use super::facts::RequestFacts;
use super::stopping::with_stopped;
use crate::db;
use crate::db::audit::AuditRecord;
use crate::db::sessions::EndedRow;
use crate::db::stopping::Stopped;

/// The longest reason that an administrator can give, in characters.
pub const LONGEST_NOTE: u32 = 200;

impl Service {
    /// Ends one session: the caller's own, or, with `sessions.end`, any within reach.
    pub async fn end_session(
        &self,
        caller: &Caller,
        facts: &RequestFacts,
        id: SessionId,
        note: Option<&str>,
    ) -> Result<EndResult, Error> {
        let note = checked_note(note)?;
        let permitted = caller.authorise(Permission::SessionsEnd);
        let found = self.find_record(id).await?;
        let own = found
            .as_ref()
            .is_some_and(|(record, _)| record.user_id == caller.user_id());
        let scope = match (own, permitted) {
            (true, _) => db::Scope::User(caller.user_id()),
            (false, Ok(scope)) => scope,
            (false, Err(error)) => {
                self.note_failed_end(caller, facts, id, AuditOutcome::NotPermitted, None)
                    .await;
                return Err(error);
            }
        };
        let Some((record, authority)) =
            found.filter(|(record, _)| scope.covers(record.organisation_id, record.user_id))
        else {
            self.note_failed_end(caller, facts, id, AuditOutcome::NotFound, None)
                .await;
            return Err(Error::NotFound);
        };
        let reason = if own {
            EndReason::EndedByUser
        } else {
            EndReason::EndedByAdministrator
        };
        let now = self.now();
        let success = event(
            now,
            AuditAction::SessionEnded,
            AuditOutcome::Success,
            Some(facts),
        )
        .by(caller.user_id(), caller.name())
        .to(&authority.user, record.organisation_id)
        .on(id)
        .with(note.as_deref().map_or_else(
            || reason.as_str().to_owned(),
            |note| format!("{}: {note}", reason.as_str()),
        ));
        let failure = AuditRecord {
            outcome: AuditOutcome::AlreadyEnded,
            detail: None,
            ..success.clone()
        };
        self.flush_activity().await?;
        let by = caller.user_id();
        let written = self
            .write_then(
                move |tx, trail| {
                    Box::pin(async move {
                        let note = note.as_deref();
                        let stopped =
                            db::sessions::end(tx, id, now, reason, Some(by), note).await?;
                        match &stopped {
                            Some(stopped) => {
                                trail
                                    .append_all(tx, &with_stopped(success, stopped))
                                    .await?
                            }
                            None => trail.append(tx, &failure).await?,
                        }
                        Ok(stopped)
                    })
                },
                ended_one(record.lineage_hash, reason),
            )
            .await;
        let ended = match written {
            Ok(ended) => ended,
            Err(error) => {
                self.note_failed_end(
                    caller,
                    facts,
                    id,
                    AuditOutcome::Failed,
                    Some(&authority.user),
                )
                .await;
                return Err(error);
            }
        };
        if ended.is_none() {
            return Err(Error::SessionNotActive);
        }
        Ok(EndResult {
            ended: 1,
            signed_out: id == caller.credential(),
        })
    }

    /// Ends one of the caller's own sessions; those of others do not exist here.
    pub async fn end_own_session(
        &self,
        caller: &Caller,
        facts: &RequestFacts,
        id: SessionId,
    ) -> Result<EndResult, Error> {
        caller.session()?;
        let found = self.find_record(id).await?;
        if found.is_none_or(|(record, _)| record.user_id != caller.user_id()) {
            self.note_failed_end(caller, facts, id, AuditOutcome::NotFound, None)
                .await;
            return Err(Error::NotFound);
        }
        self.end_session(caller, facts, id, None).await
    }

    /// Ends the caller's other sessions, or all of them.
    pub async fn end_own_sessions(
        &self,
        caller: &Caller,
        facts: &RequestFacts,
        scope: OwnScope,
    ) -> Result<EndResult, Error> {
        caller.session()?;
        let except = (scope == OwnScope::Others).then(|| caller.credential());
        let about = event(
            self.now(),
            AuditAction::SessionsEnded,
            AuditOutcome::Success,
            Some(facts),
        )
        .by(caller.user_id(), caller.name())
        .to(&caller.authority().user, caller.organisation_id());
        let ended = self
            .end_all_of(
                caller.user_id(),
                except,
                EndReason::EndedByUser,
                Some(caller.user_id()),
                about,
            )
            .await?;
        Ok(EndResult {
            ended,
            signed_out: scope == OwnScope::All,
        })
    }

    /// Ends all sessions of a user within reach; the caller's own current one only if asked for.
    pub async fn end_user_sessions(
        &self,
        caller: &Caller,
        facts: &RequestFacts,
        user: UserId,
        include_current: bool,
    ) -> Result<EndResult, Error> {
        let about = event(
            self.now(),
            AuditAction::SessionsEnded,
            AuditOutcome::Success,
            Some(facts),
        )
        .by(caller.user_id(), caller.name());
        let scope = match caller.authorise(Permission::SessionsEnd) {
            Ok(scope) => scope,
            Err(error) => {
                self.note_event(AuditRecord {
                    outcome: AuditOutcome::NotPermitted,
                    organisation: Some(caller.organisation_id()),
                    ..about
                })
                .await;
                return Err(error);
            }
        };
        let found = db::users::find_scoped(self.db().reader(), scope, user)
            .await
            .map_err(|error| self.database_error(error))?;
        let Some(target) = found else {
            self.note_event(AuditRecord {
                outcome: AuditOutcome::NotFound,
                organisation: Some(caller.organisation_id()),
                ..about
            })
            .await;
            return Err(Error::NotFound);
        };
        let about = about.to(&super::sign_in::user_ref(&target), target.organisation_id);
        let own = user == caller.user_id();
        let except = (own && !include_current).then(|| caller.credential());
        let reason = if own {
            EndReason::EndedByUser
        } else {
            EndReason::EndedByAdministrator
        };
        let ended = self
            .end_all_of(user, except, reason, Some(caller.user_id()), about)
            .await?;
        Ok(EndResult {
            ended,
            signed_out: own && include_current,
        })
    }

    /// Ends the caller's session because they sign out.
    pub async fn sign_out(&self, caller: &Caller, facts: &RequestFacts) -> Result<(), Error> {
        let lineage = caller.session()?.record.lineage_hash;
        let (now, id, user) = (self.now(), caller.credential(), caller.user_id());
        let record = event(
            now,
            AuditAction::SessionEnded,
            AuditOutcome::Success,
            Some(facts),
        )
        .by(user, caller.name())
        .to(&caller.authority().user, caller.organisation_id())
        .on(id)
        .with(EndReason::SignedOut.as_str());
        self.flush_activity().await?;
        self.write_then(
            move |tx, trail| {
                Box::pin(async move {
                    let reason = EndReason::SignedOut;
                    let stopped = db::sessions::end(tx, id, now, reason, Some(user), None).await?;
                    if let Some(stopped) = &stopped {
                        trail.append_all(tx, &with_stopped(record, stopped)).await?;
                    }
                    Ok(stopped)
                })
            },
            ended_one(lineage, EndReason::SignedOut),
        )
        .await?;
        Ok(())
    }

    /// Ends a user's live sessions in one transaction with one event that says how many.
    pub(super) async fn end_all_of(
        &self,
        user: UserId,
        except: Option<SessionId>,
        reason: EndReason,
        by: Option<UserId>,
        about: AuditRecord,
    ) -> Result<u64, Error> {
        self.flush_activity().await?;
        let now = self.now();
        let (ended, _) = self
            .write_then(
                move |tx, trail| {
                    Box::pin(async move {
                        let (ended, stopped) =
                            db::sessions::end_all_of_user(tx, user, except, now, reason, by)
                                .await?;
                        let about =
                            about.with(format!("{}: {} sessions", reason.as_str(), ended.len()));
                        trail.append_all(tx, &with_stopped(about, &stopped)).await?;
                        Ok((ended, stopped))
                    })
                },
                move |service, (ended, stopped)| service.ended_many(ended, reason, stopped),
            )
            .await?;
        Ok(ended.len() as u64)
    }

    /// After the commit: tells the cache and the metrics which sessions have ended, and whoever has to know what stopped
    /// with them.
    pub(super) fn ended_many(&self, ended: &[EndedRow], reason: EndReason, stopped: &Stopped) {
        for session in ended {
            self.session_ended(session.lineage_hash, reason);
        }
        count_end(reason, ended.len() as u64);
        self.tell_stopped(stopped);
    }

    /// After the commit: no copy in memory says any more that this session lives, and its stream closes.
    pub(super) fn session_ended(&self, lineage_hash: [u8; 32], reason: EndReason) {
        self.inner.cache.ended(lineage_hash);
        self.inner
            .streams
            .session_ended(&lineage_hash, Some(reason));
        self.something_to_tell();
    }

    /// After the commit: whoever comes with this lineage is to be looked up anew.
    pub(super) fn lineage_gone(&self, lineage_hash: [u8; 32]) {
        self.inner.cache.ended(lineage_hash);
        self.inner.streams.session_ended(&lineage_hash, None);
    }

    /// Writes an event on its own, for an attempt that changed nothing. Its failure is in the log; the
    /// attempt was refused either way.
    pub(super) async fn note_event(&self, record: AuditRecord) {
        let written = self
            .write(move |tx, trail| Box::pin(async move { trail.append(tx, &record).await }))
            .await;
        if written.is_err() {
            tracing::error!("an audit event about a refused attempt could not be written");
        }
    }

    async fn note_failed_end(
        &self,
        caller: &Caller,
        facts: &RequestFacts,
        id: SessionId,
        outcome: AuditOutcome,
        target: Option<&rollcall_core::UserRef>,
    ) {
        let record = event(self.now(), AuditAction::SessionEnded, outcome, Some(facts))
            .by(caller.user_id(), caller.name())
            .on(id);
        // The attempt belongs to the caller's organisation: a foreign one must not learn of it.
        let record = AuditRecord {
            organisation: Some(caller.organisation_id()),
            ..record
        };
        self.note_event(match target {
            Some(user) => AuditRecord {
                target: Some(user.id),
                target_name: user.name.clone(),
                target_email: user.email.clone(),
                ..record
            },
            None => record,
        })
        .await;
    }
}

/// What follows from a commit that ended one session, with what stopped with it, or found it ended.
pub(super) fn ended_one(
    lineage: [u8; 32],
    reason: EndReason,
) -> impl FnOnce(&Service, &Option<Stopped>) + Send + 'static {
    move |service, stopped| {
        match stopped {
            Some(stopped) => {
                service.session_ended(lineage, reason);
                count_end(reason, 1);
                service.tell_stopped(stopped);
            }
            // Somebody else has ended it, for a reason of their own.
            None => service.lineage_gone(lineage),
        }
    }
}

/// Counts ended sessions by reason for the metrics.
pub(super) fn count_end(reason: EndReason, count: u64) {
    metrics::counter!("rollcall_sessions_ended_total", "reason" => reason.as_str())
        .increment(count);
}

pub(super) fn checked_note(note: Option<&str>) -> Result<Option<String>, Error> {
    let note = note.map(str::trim).filter(|note| !note.is_empty());
    match note {
        Some(note) if note.chars().count() > LONGEST_NOTE as usize => Err(Error::Invalid(
            Field::Reason,
            Problem::TooLong(LONGEST_NOTE),
        )),
        Some(note) if note.chars().any(char::is_control) => {
            Err(Error::Invalid(Field::Reason, Problem::Malformed))
        }
        other => Ok(other.map(str::to_owned)),
    }
}
