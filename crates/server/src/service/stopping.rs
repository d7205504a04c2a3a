//! What stopped with the end of something: told to the audit trail within the transaction, and to the cache and the
//! clients after it.

use rollcall_core::AuditAction;

use super::Service;
use super::audit::Describe;
use super::ending::count_end;
use crate::db::audit::AuditRecord;
use crate::db::stopping::Stopped;

/// The event about an end, and those about what stopped with it.
pub(super) fn with_stopped(end: AuditRecord, stopped: &Stopped) -> Vec<AuditRecord> {
    let more = stopped_events(&end, stopped);
    std::iter::once(end).chain(more).collect()
}

/// The events about what stopped, by whom and from where an event like this one was.
pub(super) fn stopped_events(like: &AuditRecord, stopped: &Stopped) -> Vec<AuditRecord> {
    let clients = stopped.clients.iter().map(|client| {
        AuditRecord {
            at: client.at,
            action: AuditAction::ClientDisconnected,
            ..like.clone()
        }
        .to(&client.user, client.organisation_id)
        .on(client.session)
        .with(format!("{}: {}", client.name, client.reason.as_str()))
    });
    let executions = stopped.executions.iter().map(|execution| {
        let record = AuditRecord {
            at: execution.at,
            action: AuditAction::ExecutionTerminated,
            session: execution.session,
            ..like.clone()
        };
        record
            .to(&execution.user, execution.organisation_id)
            .with(match execution.reason {
                Some(reason) => format!("{}: {}", execution.name, reason.as_str()),
                None => execution.name.clone(),
            })
    });
    clients.chain(executions).collect()
}

impl Service {
    /// After the commit: the sessions of disconnected clients are refused, and their streams and those of clients that
    /// have something to stop are told at once.
    pub(super) fn tell_stopped(&self, stopped: &Stopped) {
        for client in &stopped.clients {
            self.session_ended(client.lineage_hash, client.reason);
            // One that ended by itself is counted with the sessions.
            if client.reason == rollcall_core::EndReason::ClientDisconnected {
                count_end(client.reason, 1);
            }
        }
        for client in stopped.executions.iter().filter_map(|one| one.client) {
            self.inner.streams.nudge(client);
        }
    }

    /// After the commit of an epoch, or of what takes an account away: what is in memory is compared with it anew, and the
    /// rows follow at once, with what hangs on them. A failure is in the log, and the next sweep goes on.
    pub(super) fn epoch_set(&self) {
        self.inner.cache.authority_changed();
        let sweeper = self.clone();
        tokio::spawn(async move { sweeper.sweep().await });
    }
}
