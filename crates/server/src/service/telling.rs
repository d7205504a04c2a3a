//! Telling receivers what the outbox holds: taken by one conditional UPDATE, sent, marked, tried again until accepted.
//!
//! At least once on the wire, always with the same id. Of one session nothing is sent before what happened earlier was
//! accepted. Each receiver has a task of its own, so that one that is slow or away delays nobody else.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use futures_util::future::join_all;
use rollcall_core::{AuditAction, AuditOutcome, DeliveryFailure, Error, ReceiverId, Timestamp};
use tokio::task::JoinSet;

use super::Service;
use super::audit::{Describe, event};
use super::messages::Message;
use crate::db;
use crate::db::deliveries::Claimed;
use crate::db::receivers::Target;
use crate::outbound::OutboundError;

/// So many events are on their way to one receiver at once; to one that fails, one.
const SIDE_BY_SIDE: u64 = 8;
/// Longer than a try can take: a crash leaves an event to whoever comes after that, or to the next start.
const CLAIM: Duration = Duration::from_secs(60);
/// The longest wait between two tries.
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);
/// A receiver that comes back after so long gets everything at once, whatever waits each event had.
const AWAY: Duration = Duration::from_secs(60);
/// How long ends are gathered before somebody looks what there is to send.
const GATHERED: Duration = Duration::from_millis(20);
/// How long an accepted event can be looked at, and sent again.
const KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);
const PURGED: u64 = 2_500;

/// How a try went.
pub(super) struct Outcome {
    /// What was answered.
    pub(super) status: Option<u16>,
    /// Why that is no acceptance.
    pub(super) failure: Option<DeliveryFailure>,
}

impl Service {
    /// Sends what is due, each receiver in a task of its own, until the service is gone. Looks once a second, and whenever a
    /// session has ended.
    pub async fn keep_telling(&self) {
        if self.release_claims().await.is_err() {
            tracing::warn!("what was on its way at the last stop is sent again in a minute");
        }
        let mut tasks: JoinSet<()> = JoinSet::new();
        let mut busy: HashMap<tokio::task::Id, ReceiverId> = HashMap::new();
        loop {
            // Without the database there is nothing to ask, and the probe says so once.
            if self.is_reachable() {
                let taken: HashSet<_> = busy.values().copied().collect();
                for target in self.due_receivers().await.unwrap_or_default() {
                    if !taken.contains(&target.id) {
                        let (service, id) = (self.clone(), target.id);
                        let task = tasks.spawn(async move { service.tell_one(target).await });
                        busy.insert(task.id(), id);
                    }
                }
            }
            tokio::select! {
                Some(done) = tasks.join_next_with_id() => {
                    let id = match done {
                        Ok((id, ())) => id,
                        Err(broken) => broken.id(),
                    };
                    busy.remove(&id);
                }
                // A burst of ends is one look.
                () = self.inner.told.notified() => tokio::time::sleep(GATHERED).await,
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
            }
        }
    }

    /// Sends what is due now to every receiver, and waits until that is done.
    pub async fn tell_all(&self) -> Result<(), Error> {
        let due = self.due_receivers().await?;
        join_all(due.into_iter().map(|target| self.tell_one(target))).await;
        Ok(())
    }

    /// Lets go what was being sent when the server stopped: nobody does any more.
    pub async fn release_claims(&self) -> Result<u64, Error> {
        self.write(|tx, _| Box::pin(async move { db::deliveries::release(tx).await }))
            .await
    }

    /// After a commit that has something to tell.
    pub(super) fn something_to_tell(&self) {
        self.inner.told.notify_one();
    }

    /// Forgets accepted events that were kept long enough. Answers how many.
    pub(super) async fn purge_deliveries(&self) -> Result<u64, Error> {
        let before = self.now() - KEPT;
        let mut total = 0;
        loop {
            let purged = self
                .write(move |tx, _| {
                    Box::pin(async move { db::deliveries::purge(tx, before, PURGED).await })
                })
                .await?;
            total += purged;
            if purged < PURGED {
                return Ok(total);
            }
        }
    }

    async fn due_receivers(&self) -> Result<Vec<Target>, Error> {
        db::receivers::due(self.db().reader(), self.now())
            .await
            .map_err(|error| self.database_error(error))
    }

    /// Sends a receiver what is due, in parts, until nothing is or something was not accepted.
    async fn tell_one(&self, mut target: Target) {
        loop {
            // A failure to ask or to write is in the log; what was taken is sent again once the claim is over.
            let Ok(taken) = self.take(&target).await else {
                return;
            };
            if taken.is_empty() {
                return;
            }
            let tries = taken.iter().map(|event| self.tell(&target, event));
            let accepted = join_all(tries).await;
            if !accepted.into_iter().all(|accepted| accepted) {
                return;
            }
            // Its address may have been changed meanwhile.
            let reader = self.db().reader();
            let Ok(Some(now)) = db::receivers::find_target(reader, target.id).await else {
                return;
            };
            target = now;
        }
    }

    async fn take(&self, target: &Target) -> Result<Vec<Claimed>, Error> {
        let (id, now) = (target.id, self.now());
        let limit = match target.failures {
            0 => SIDE_BY_SIDE,
            _ => 1,
        };
        self.write(move |tx, _| {
            Box::pin(async move { db::deliveries::claim(tx, id, now, now + CLAIM, limit).await })
        })
        .await
    }

    /// Sends one event and marks it; true if it was accepted and that is written down.
    async fn tell(&self, target: &Target, event: &Claimed) -> bool {
        let begun = self.now();
        let outcome = match self.message(target, event, begun).await {
            Ok(message) => self.send(&target.url, message).await,
            Err(_) => Outcome {
                status: None,
                failure: Some(DeliveryFailure::Unsigned),
            },
        };
        let result = match outcome.failure {
            None => "accepted",
            Some(failure) => failure.as_str(),
        };
        metrics::counter!("rollcall_deliveries_total", "result" => result).increment(1);
        let written = match outcome.failure {
            None => self.note_accepted(target, event, outcome.status).await,
            Some(failure) => {
                tracing::warn!(
                    receiver.id = %target.id,
                    session.id = %event.session,
                    failure = failure.as_str(),
                    status = outcome.status,
                    "a receiver has not accepted an event; it is tried again"
                );
                self.note_not_accepted(target, event, begun, failure, outcome.status)
                    .await
            }
        };
        written.is_ok() && outcome.failure.is_none()
    }

    /// Sends a message to an address. Nobody looks at more of the answer than its status.
    pub(super) async fn send(&self, url: &str, message: Message) -> Outcome {
        let answered = self
            .outbound()
            .post(url, message.headers, message.body.into_bytes())
            .await;
        match answered {
            Ok(answer) => Outcome {
                status: Some(answer.status.as_u16()),
                failure: (!answer.status.is_success()).then_some(DeliveryFailure::Status),
            },
            Err(error) => Outcome {
                status: None,
                failure: Some(match error {
                    OutboundError::Refused | OutboundError::NotHttps | OutboundError::Malformed => {
                        DeliveryFailure::Refused
                    }
                    OutboundError::Unreachable => DeliveryFailure::Unreachable,
                    OutboundError::TimedOut => DeliveryFailure::TimedOut,
                    OutboundError::TooLarge => DeliveryFailure::TooLarge,
                }),
            },
        }
    }

    async fn note_accepted(
        &self,
        target: &Target,
        event: &Claimed,
        status: Option<u16>,
    ) -> Result<(), Error> {
        let (receiver, delivery, now) = (target.id, event.id, self.now());
        let status = status.unwrap_or_default();
        self.write(move |tx, _| {
            Box::pin(async move {
                db::receivers::accepted(tx, receiver, now, AWAY).await?;
                db::deliveries::accepted(tx, delivery, status, now).await
            })
        })
        .await
    }

    async fn note_not_accepted(
        &self,
        target: &Target,
        event: &Claimed,
        begun: Timestamp,
        failure: DeliveryFailure,
        status: Option<u16>,
    ) -> Result<(), Error> {
        let now = self.now();
        let (receiver, delivery) = (target.id, event.id);
        // One chance for both, so that neither waits for the other for nothing.
        let chance = self.chance();
        let everybodys = now + wait_after(target.failures + 1, chance);
        let its_own = everybodys.max(now + wait_after(event.attempts + 1, chance));
        // Standard Webhooks: whoever answers 410 wants no more.
        let gone = status == Some(410);
        let paused = gone_event(now, target);
        self.write(move |tx, trail| {
            Box::pin(async move {
                db::receivers::failed(tx, receiver, begun, everybodys).await?;
                db::deliveries::failed(tx, delivery, failure, status, its_own).await?;
                if gone && db::receivers::pause(tx, receiver, now, true).await? {
                    trail.append(tx, &paused).await?;
                }
                Ok(())
            })
        })
        .await
    }

    fn chance(&self) -> u8 {
        let mut chance = [0];
        self.random().fill(&mut chance);
        chance[0]
    }
}

/// How long to wait after so many failures in a row: twice as long each time, give or take a fifth, so that what failed
/// together does not come back together.
fn wait_after(failures: u64, chance: u8) -> Duration {
    let doubled = 1_u64 << failures.saturating_sub(1).min(16);
    let wait = Duration::from_secs(doubled).min(LONGEST_WAIT);
    // 80 to 120 hundredths.
    let wait = wait * (80 + u32::from(chance) * 40 / 255) / 100;
    wait.min(LONGEST_WAIT)
}

fn gone_event(now: Timestamp, target: &Target) -> db::AuditRecord {
    event(
        now,
        AuditAction::ReceiverPaused,
        AuditOutcome::Success,
        None,
    )
    .with(format!("{}: it answered 410 Gone", target.name))
}
