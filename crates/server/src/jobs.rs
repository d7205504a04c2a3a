//! The timers behind `service::upkeep`. Nothing is decided here.

use std::future::Future;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::service::Service;

/// Starts the timers. They stop when the set is dropped.
pub fn start(service: &Service) -> JoinSet<()> {
    let mut jobs = JoinSet::new();
    every(
        &mut jobs,
        Duration::from_secs(1),
        service,
        |service| async move {
            // A failure is in the log, and the next second tries again.
            let _ = service.flush_activity().await;
        },
    );
    every(
        &mut jobs,
        Duration::from_secs(1),
        service,
        // By itself: a write to a database that has fallen silent waits for seconds, in which nobody would find out.
        |service| async move {
            service.probe().await;
        },
    );
    every(
        &mut jobs,
        Duration::from_secs(5),
        service,
        |service| async move {
            let _ = service.sweep().await;
        },
    );
    every(
        &mut jobs,
        Duration::from_secs(5),
        service,
        |service| async move {
            // An end of many that a crash or an outage has interrupted.
            let _ = service.continue_ends().await;
        },
    );
    if service.sends_mail() {
        every(
            &mut jobs,
            Duration::from_secs(1),
            service,
            |service| async move {
                let _ = service.deliver_mail().await;
            },
        );
    }
    every(
        &mut jobs,
        Duration::from_secs(15),
        service,
        |service| async move {
            if let Ok(live) = service.count_live().await {
                #[expect(
                    clippy::cast_precision_loss,
                    reason = "a gauge is a float; no server holds 2^53 sessions"
                )]
                metrics::gauge!("rollcall_sessions_live").set(live as f64);
            }
        },
    );
    every(
        &mut jobs,
        Duration::from_secs(600),
        service,
        |service| async move {
            let _ = service.purge().await;
        },
    );
    let telling = service.clone();
    jobs.spawn(async move { telling.keep_telling().await });
    let noting = service.clone();
    jobs.spawn(async move { noting.keep_noting_audit_head().await });
    jobs
}

fn every<F>(
    jobs: &mut JoinSet<()>,
    period: Duration,
    service: &Service,
    work: impl Fn(Service) -> F + Send + 'static,
) where
    F: Future<Output = ()> + Send,
{
    let service = service.clone();
    jobs.spawn(async move {
        let mut ticks = tokio::time::interval(period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            work(service.clone()).await;
        }
    });
}
