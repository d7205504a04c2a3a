//! Ending many sessions: what a preview has sealed, or everything of a user, an organisation or the installation.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, TryStreamExt};
use rollcall_core::many::MOST_CHOSEN;
use rollcall_core::{
    AuditAction, AuditOutcome, EndAllScope, EndChoice, EndPreviewId, EndReason, EndResult, EndRun,
    Error, Field, Permission, Problem,
};

use super::Service;
use super::audit::{Describe, event};
use super::caller::Caller;
use super::ending::{checked_note, count_end};
use super::facts::RequestFacts;
use super::stopping::stopped_events;
use crate::clock::uuid_v7;
use crate::db::audit::AuditRecord;
use crate::db::records::{PreviewEnded, PreviewOwner, PreviewRun};
use crate::db::{self, Scope};

/// Sessions that one transaction ends: others wait behind it for a few hundredths of a second.
const PART: i64 = 1_000;

/// How long the answer to an end waits for its last session. What takes longer goes on by itself.
const PATIENCE: Duration = Duration::from_secs(8);

impl Service {
    /// Seals which live sessions within the caller's reach would end. The one that asks is never among them.
    pub async fn preview_end(
        &self,
        caller: &Caller,
        facts: &RequestFacts,
        choice: EndChoice,
    ) -> Result<EndRun, Error> {
        let scope = caller.authorise(Permission::SessionsEnd)?;
        let choice = checked(choice)?;
        self.flush_activity().await?;
        let now = self.now();
        let id = EndPreviewId(uuid_v7(self.random(), now));
        let owner = owner(caller, facts, scope);
        let current = caller.credential();
        let found = self
            .write(move |tx, _| {
                Box::pin(async move {
                    db::end_previews::create(tx, id, &owner, now).await?;
                    let all_there = match &choice {
                        EndChoice::Sessions(chosen) => {
                            db::end_previews::seal_chosen(tx, id, scope, chosen, current, now)
                                .await?
                        }
                        EndChoice::Matching(filter) => {
                            db::end_previews::seal_matching(tx, id, scope, filter, current, now)
                                .await?;
                            true
                        }
                    };
                    match all_there {
                        true => db::end_previews::find(tx, id, current).await,
                        // Nobody can use what it holds so far; it goes with the next preview that is made.
                        false => Ok(None),
                    }
                })
            })
            .await?;
        found.ok_or(Error::NotFound)
    }

    /// Ends what a preview holds.
    pub async fn end_previewed(
        &self,
        caller: &Caller,
        facts: &RequestFacts,
        id: EndPreviewId,
        note: Option<&str>,
    ) -> Result<EndRun, Error> {
        let about = event(
            self.now(),
            AuditAction::SessionsEnded,
            AuditOutcome::NotPermitted,
            Some(facts),
        )
        .by(caller.user_id(), caller.name());
        let about = AuditRecord {
            organisation: Some(caller.organisation_id()),
            ..about
        };
        let scope = match caller.authorise(Permission::SessionsEnd) {
            Ok(scope) => scope,
            Err(error) => {
                self.note_event(about).await;
                return Err(error);
            }
        };
        let note = checked_note(note)?;
        if self.find_run(caller, id).await?.is_none() {
            self.note_event(AuditRecord {
                outcome: AuditOutcome::NotFound,
                ..about
            })
            .await;
            return Err(Error::NotFound);
        }
        let owner = owner(caller, facts, scope);
        let now = self.now();
        let taken = self
            .write(move |tx, _| {
                Box::pin(async move {
                    db::end_previews::consume(tx, id, &owner, note.as_deref(), now).await
                })
            })
            .await?;
        if !taken {
            return Err(Error::PreviewSpent);
        }
        let service = self.clone();
        // In a task of its own: whoever hangs up has started it all the same.
        let work = tokio::spawn(async move { service.continue_ends().await });
        // An error is in the log, and the next round of `continue_ends` takes it up again.
        let _ = tokio::time::timeout(PATIENCE, work).await;
        self.find_run(caller, id).await?.ok_or(Error::NotFound)
    }

    /// A preview of the caller's session, and what became of it.
    pub async fn end_progress(&self, caller: &Caller, id: EndPreviewId) -> Result<EndRun, Error> {
        caller.authorise(Permission::SessionsEnd)?;
        self.find_run(caller, id).await?.ok_or(Error::NotFound)
    }

    async fn find_run(&self, caller: &Caller, id: EndPreviewId) -> Result<Option<EndRun>, Error> {
        db::end_previews::find(self.db().reader(), id, caller.credential())
            .await
            .map_err(|error| self.database_error(error))
    }

    /// Goes on with every end that somebody has started, until all are done: right after its start, and once more
    /// after a crash or an outage. On PostgreSQL the rows of one part are changed while the events of the one before
    /// are written.
    pub async fn continue_ends(&self) -> Result<(), Error> {
        let _only = self.inner.ending.lock().await;
        loop {
            let running = db::end_previews::running(self.db().reader())
                .await
                .map_err(|error| self.database_error(error))?;
            let Some(run) = running.into_iter().next() else {
                return Ok(());
            };
            let run = Arc::new(run);
            // What holds none is one empty part, which finishes it.
            let parts = (run.passed..run.sessions.max(run.passed + 1))
                .step_by(PART as usize)
                .map(|passed| Ok((passed, (passed + PART).min(run.sessions))));
            stream::iter(parts)
                .try_for_each_concurrent(self.db().writes_at_once(), |part| {
                    self.end_part(Arc::clone(&run), part)
                })
                .await?;
        }
    }

    async fn end_part(&self, run: Arc<PreviewRun>, part: (i64, i64)) -> Result<(), Error> {
        self.flush_activity().await?;
        let now = self.now();
        self.write_part_then(
            move |tx, trail| {
                Box::pin(async move {
                    let (ended, stopped) = db::end_previews::end_part(tx, &run, part, now).await?;
                    let mut events: Vec<_> = ended
                        .iter()
                        .map(|session| ended_event(&run, session, now))
                        .collect();
                    if let Some(like) = events.first() {
                        events.extend(stopped_events(like, &stopped));
                    }
                    trail.append_all(tx, &events).await?;
                    Ok((ended, stopped))
                })
            },
            |service, (ended, stopped)| {
                for session in ended {
                    service.session_ended(session.lineage_hash, session.reason);
                    count_end(session.reason, 1);
                }
                service.tell_stopped(stopped);
            },
        )
        .await
        .map(|_| ())
    }

    /// Ends everything of a user, an organisation or the installation by one row, however many sessions that is.
    pub async fn end_all(
        &self,
        caller: &Caller,
        facts: &RequestFacts,
        scope: EndAllScope,
        note: Option<&str>,
    ) -> Result<EndResult, Error> {
        let note = checked_note(note)?;
        let now = self.now();
        let about = event(
            now,
            AuditAction::SessionsEnded,
            AuditOutcome::Success,
            Some(facts),
        )
        .by(caller.user_id(), caller.name());
        let refused = |outcome| AuditRecord {
            outcome,
            organisation: Some(caller.organisation_id()),
            ..about.clone()
        };
        let reach = match (caller.authorise(Permission::SessionsEnd), scope) {
            // Who sees one organisation knows that there are others; only what is in them does not exist.
            (Ok(Scope::Organisation(_) | Scope::User(_)), EndAllScope::Installation) => {
                Err(Error::Forbidden)
            }
            (reach, _) => reach,
        };
        let reach = match reach {
            Ok(reach) => reach,
            Err(error) => {
                self.note_event(refused(AuditOutcome::NotPermitted)).await;
                return Err(error);
            }
        };
        let reader = self.db().reader();
        let (about, counted, own) = match scope {
            EndAllScope::User(user) => {
                let found = db::users::find_scoped(reader, reach, user)
                    .await
                    .map_err(|error| self.database_error(error))?;
                let Some(target) = found else {
                    self.note_event(refused(AuditOutcome::NotFound)).await;
                    return Err(Error::NotFound);
                };
                let about = about
                    .clone()
                    .to(&super::sign_in::user_ref(&target), target.organisation_id);
                (about, Scope::User(user), user == caller.user_id())
            }
            EndAllScope::Organisation(organisation) => {
                let found = db::organisations::find(reader, organisation)
                    .await
                    .map_err(|error| self.database_error(error))?
                    .filter(|_| reach == Scope::All || reach == Scope::Organisation(organisation));
                if found.is_none() {
                    self.note_event(refused(AuditOutcome::NotFound)).await;
                    return Err(Error::NotFound);
                }
                let about = AuditRecord {
                    organisation: Some(organisation),
                    ..about.clone()
                };
                let own = organisation == caller.organisation_id();
                (about, Scope::Organisation(organisation), own)
            }
            EndAllScope::Installation => (about.clone(), Scope::All, true),
        };
        let reason = match scope {
            EndAllScope::User(_) if own => EndReason::EndedByUser,
            _ => EndReason::EndedByAdministrator,
        };
        self.flush_activity().await?;
        let by = caller.user_id();
        let ended = self
            .write_then(
                move |tx, trail| {
                    Box::pin(async move {
                        let ended = db::sessions::count_live(tx, counted, now).await?;
                        let note = note.as_deref();
                        db::epochs::end_before(tx, scope, now, reason, Some(by), note).await?;
                        let detail = match note {
                            Some(note) => format!("{}: {ended} sessions: {note}", reason.as_str()),
                            None => format!("{}: {ended} sessions", reason.as_str()),
                        };
                        trail.append(tx, &about.with(detail)).await?;
                        Ok(ended)
                    })
                },
                |service, _| service.epoch_set(),
            )
            .await?;
        Ok(EndResult {
            ended,
            signed_out: own,
        })
    }
}

fn checked(choice: EndChoice) -> Result<EndChoice, Error> {
    match choice {
        EndChoice::Sessions(mut ids) => {
            ids.sort_unstable();
            ids.dedup();
            match ids.len() {
                0 => Err(Error::Invalid(Field::Ids, Problem::Missing)),
                many if many > MOST_CHOSEN as usize => Err(Error::Invalid(
                    Field::Ids,
                    Problem::OutOfRange(1, MOST_CHOSEN),
                )),
                _ => Ok(EndChoice::Sessions(ids)),
            }
        }
        EndChoice::Matching(filter) if !filter.narrows() => {
            Err(Error::Invalid(Field::Filter, Problem::Missing))
        }
        matching => Ok(matching),
    }
}

fn owner(caller: &Caller, facts: &RequestFacts, scope: Scope) -> PreviewOwner {
    PreviewOwner {
        session: caller.credential(),
        user: caller.user_id(),
        name: caller.name().to_owned(),
        scope,
        ip: facts.ip.to_string(),
        user_agent: facts.user_agent.clone(),
        request_id: facts.request_id.clone(),
    }
}

// The request that started the end may be long gone: what it was is in the run.
fn ended_event(
    run: &PreviewRun,
    session: &PreviewEnded,
    now: rollcall_core::Timestamp,
) -> AuditRecord {
    let reason = session.reason.as_str();
    let record = event(now, AuditAction::SessionEnded, AuditOutcome::Success, None)
        .by(run.owner, &run.owner_name)
        .to(&session.user, session.organisation_id)
        .on(session.id)
        .with(match &run.note {
            Some(note) => format!("{reason}: {note}"),
            None => reason.to_owned(),
        });
    AuditRecord {
        ip: run.ip.clone(),
        user_agent: run.user_agent.clone(),
        request_id: run.request_id.clone(),
        ..record
    }
}
