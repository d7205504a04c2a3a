//! What has to happen by itself: storing the end of expired sessions, purging old ones, probing the
//! database, noting the end of the audit trail. `jobs` calls these; tests call them directly.

use std::time::Duration;

use rollcall_core::{AuditAction, AuditOutcome, Error, Rule};

use super::Service;
use super::audit::{Describe, event};
use super::stopping::stopped_events;
use crate::db::sessions::Swept;
use crate::db::{self, DbError, Scope};

// Small enough that whoever waits behind a batch hardly notices.
const BATCH: u64 = 250;

const PURGED: u64 = 2_500;

// A few megabytes, however many names somebody makes up.
const MOST_ATTEMPT_ROWS: u64 = 100_000;

impl Service {
    /// Stores the end of every session that has expired or that an epoch has ended. Until then they are
    /// shown as ended all the same. Answers how many.
    pub async fn sweep(&self) -> Result<u64, Error> {
        // Now first, then the flush: what is used after `now` was not expired at `now`.
        let now = self.now();
        self.flush_activity().await?;
        let mut total = 0;
        loop {
            let swept = self
                .write_part_then(
                    move |tx, trail| {
                        Box::pin(async move {
                            let (mut swept, mut stopped) =
                                db::sessions::sweep_epochs(tx, BATCH).await?;
                            let (expired, more) =
                                db::sessions::sweep_expired(tx, now, BATCH).await?;
                            swept.extend(expired);
                            stopped.extend(more);
                            // Once all sessions are swept, so that what hangs on one ends when that did.
                            if (swept.len() as u64) < BATCH {
                                stopped.extend(db::stopping::sweep_executions(tx, now).await?);
                            }
                            db::sessions::settle(tx).await?;
                            let mut events: Vec<_> = swept.iter().map(swept_event).collect();
                            let like = by_the_server(now);
                            events.extend(stopped_events(&like, &stopped));
                            trail.append_all(tx, &events).await?;
                            Ok((swept, stopped))
                        })
                    },
                    |service, (swept, stopped)| {
                        for session in swept {
                            service.session_ended(session.lineage_hash, session.reason);
                            super::ending::count_end(session.reason, 1);
                        }
                        service.tell_stopped(stopped);
                    },
                )
                .await?;
            let swept = swept.0;
            total += swept.len() as u64;
            if (swept.len() as u64) < BATCH {
                return Ok(total);
            }
        }
    }

    /// Removes ended sessions that were kept long enough, API keys, clients and executions that have been over for as long
    /// as the server keeps sessions, what receivers have accepted a week ago, and the counts of names that nobody has beyond the
    /// newest 100,000. Answers how many sessions.
    pub async fn purge(&self) -> Result<u64, Error> {
        self.purge_attempts(MOST_ATTEMPT_ROWS).await?;
        self.purge_deliveries().await?;
        let (reader, now) = (self.db().reader(), self.now());
        let default = self.server_value(Rule::Retention);
        let before = now - Duration::from_secs(u64::from(default));
        let (mails_since, devices_since) =
            (self.mails_kept_since(), now - super::devices::REMEMBERED);
        self.write(move |tx, _| {
            Box::pin(async move {
                db::api_keys::purge(tx, before).await?;
                db::protected_hosts::purge_credentials(tx).await?;
                db::identities::purge(tx).await?;
                db::mail::purge(tx, mails_since).await?;
                db::devices::purge(tx, devices_since).await?;
                db::executions::purge(tx, before).await?;
                db::clients::purge(tx, before).await
            })
        })
        .await?;
        let set = db::policies::all_of(reader, Rule::Retention)
            .await
            .map_err(|error| self.database_error(error))?;
        let least = set.into_iter().fold(default, u32::min);
        let (mut total, mut after) = (0, (i64::MIN, i64::MIN));
        loop {
            // Looked for by a reader: where one organisation keeps its sessions for long, they are passed by each time.
            let found =
                db::sessions::ended_too_long_ago(reader, now, default, least, after, PURGED)
                    .await
                    .map_err(|error| self.database_error(error))?;
            let due = found.due;
            if !due.is_empty() {
                total += self
                    .write(move |tx, _| {
                        Box::pin(async move { db::sessions::purge(tx, &due).await })
                    })
                    .await?;
            }
            match found.next {
                Some(next) => after = next,
                None => return Ok(total),
            }
        }
    }

    /// Forgets the attempts on names that nobody has, and those that a right password has settled, but for
    /// the newest `keep`. Answers how many.
    pub async fn purge_attempts(&self, keep: u64) -> Result<u64, Error> {
        let mut total = 0;
        loop {
            let purged = self
                .write(move |tx, _| Box::pin(async move { db::attempts::purge(tx, keep).await }))
                .await?;
            total += purged;
            if purged == 0 {
                return Ok(total);
            }
        }
    }

    /// Asks the database whether it is there, and opens or closes the protected routes accordingly. Whoever
    /// asks meanwhile waits for that answer and shares it, so that no number of askers delays the next probe.
    pub async fn probe(&self) -> bool {
        let Ok(_only) = self.inner.probing.try_lock() else {
            let _finished = self.inner.probing.lock().await;
            return self.is_reachable();
        };
        let commits = self.commits();
        let reachable = match self.db().probe().await {
            Ok(()) => true,
            // Slow is not gone: what was committed meanwhile is an answer, too.
            Err(DbError::Busy) => self.commits() != commits,
            Err(_) => false,
        };
        let before = self.note_reachable(reachable);
        match (before, reachable) {
            (true, false) => {
                tracing::error!("the database cannot be reached; protected routes answer 503")
            }
            (false, true) => tracing::info!("the database can be reached again"),
            _ => {}
        }
        reachable
    }

    /// Live sessions, for the metrics.
    pub async fn count_live(&self) -> Result<u64, Error> {
        let now = self.now();
        db::sessions::count_live(self.db().reader(), Scope::All, now)
            .await
            .map_err(|error| self.database_error(error))
    }

    /// Notes the end of the audit trail beside its key whenever it has moved, until the service is gone.
    pub async fn keep_noting_audit_head(&self) {
        let mut seen = self.inner.audit.subscribe();
        loop {
            let noted = self.note_audit_head(&mut seen);
            if let Err(error) = noted {
                tracing::error!(error = %error, "the end of the audit trail could not be noted");
            }
            // A burst of events is one note.
            tokio::time::sleep(Duration::from_millis(200)).await;
            if seen.changed().await.is_err() {
                return;
            }
        }
    }

    /// Flushes what is in memory: activity and the end of the audit trail. After this the process can go.
    pub async fn shut_down(&self) {
        if self.flush_activity().await.is_err() {
            tracing::error!("the last activity could not be written");
        }
        if let Err(error) = self.note_audit_head(&mut self.inner.audit.subscribe()) {
            tracing::error!(error = %error, "the end of the audit trail could not be noted");
        }
        self.db().close().await;
    }

    fn note_audit_head(
        &self,
        seen: &mut tokio::sync::watch::Receiver<super::audit::Head>,
    ) -> anyhow::Result<()> {
        self.inner.audit.note_head(seen)
    }
}

// What the server does by itself: it has no actor.
fn by_the_server(now: rollcall_core::Timestamp) -> db::audit::AuditRecord {
    event(now, AuditAction::SessionEnded, AuditOutcome::Success, None)
}

fn swept_event(session: &Swept) -> db::audit::AuditRecord {
    event(
        session.at,
        AuditAction::SessionEnded,
        AuditOutcome::Success,
        None,
    )
    .to(&session.user, session.organisation_id)
    .on(session.id)
    .with(session.reason.as_str())
}
