//! Who was active when, in memory, written in batches: a request costs no write.
//!
//! A crash may lose the last second of activity, never a session or an end.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use rollcall_core::{Error, Timestamp};

use super::Service;
use super::cache::CachedSession;
use crate::db;
use crate::db::sessions::Touch;

/// The sessions whose activity is newer in memory than in the database.
#[derive(Debug, Default)]
pub struct Activity {
    unwritten: Mutex<Vec<Arc<CachedSession>>>,
    // One flush at a time: whoever finds nothing left must know that all of it is written, not under way.
    // Holds when a flush failed last.
    flushing: tokio::sync::Mutex<Option<Instant>>,
}

impl Activity {
    /// Notes that a session was used.
    pub fn touch(&self, session: &Arc<CachedSession>, now: Timestamp) {
        if session.touch(now) {
            self.lock().push(Arc::clone(session));
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Arc<CachedSession>>> {
        self.unwritten
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Service {
    /// Writes all activity that has not been written: once a second, before a list or a sweep that
    /// needs it, and at shutdown. On failure it stays in memory for the next time.
    pub async fn flush_activity(&self) -> Result<(), Error> {
        let (service, asked) = (self.clone(), Instant::now());
        // A task of its own: what was taken out of memory is written or put back, even if the one who
        // wanted a list hangs up.
        tokio::spawn(async move { service.flush_now(asked).await })
            .await
            .unwrap_or(Err(Error::Internal))
    }

    async fn flush_now(&self, asked: Instant) -> Result<(), Error> {
        let mut failed = self.inner.activity.flushing.lock().await;
        // Whoever has waited for a flush that failed shares its failure: one that is held up holds up
        // nobody twice.
        if failed.is_some_and(|at| at > asked) {
            return Err(Error::Unavailable);
        }
        let sessions = std::mem::take(&mut *self.inner.activity.lock());
        if sessions.is_empty() {
            return Ok(());
        }
        let touches: Vec<Touch> = sessions
            .iter()
            .map(|session| {
                session.activity_is_being_written();
                Touch {
                    id: session.record.id,
                    last_activity_at: session.last_activity_at(),
                    idle_expires_at: session.idle_expires_at(),
                }
            })
            .collect();
        let written = self
            .write(move |tx, _| Box::pin(async move { db::sessions::touch(tx, &touches).await }))
            .await;
        if written.is_err() {
            *failed = Some(Instant::now());
            let mut unwritten = self.inner.activity.lock();
            for session in sessions {
                if session.touch(session.last_activity_at()) {
                    unwritten.push(session);
                }
            }
        }
        written
    }
}
