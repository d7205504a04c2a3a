//! F7, F8, F9 and F11: PostgreSQL cannot be reached, hangs, is slow, or its answer to a COMMIT is lost.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use futures_util::future::join_all;
use http::{Method, StatusCode};
use tokio::process::Command;
use tokio::sync::{Semaphore, watch};

use crate::Context;
use crate::between::{Between, Way};
use crate::client::Client;
use crate::kill::{Crowd, how, nothing_left};
use crate::place::Place;
use crate::postgres_gone::Postmaster;
use crate::server::{How, Server};
use crate::storage::{RECOVERY, compare_after_kill, reading_session};

/// By then the server has found out by itself: it asks the database once a second, and waits for a second.
const FOUND_OUT: Duration = Duration::from_millis(2_500);

/// A crowd whose server reaches its database by a relay.
struct Distant {
    crowd: Crowd,
    between: Between,
    how: How,
}

impl Distant {
    async fn gather(context: &Context, name: &str) -> Result<Option<Self>> {
        let Some(place) = Place::postgres(context, name).await? else {
            return Ok(None);
        };
        let between = Between::start(&place).await?;
        let mut crowd = Crowd::gather(place, 8, 12).await?;
        for worker in &mut crowd.workers {
            worker.writes_may_be_refused = true;
        }
        let how = How {
            database: Some(between.url.clone()),
            ..how()
        };
        Ok(Some(Self {
            crowd,
            between,
            how,
        }))
    }

    /// Lets all work while something happens, then compares what was acknowledged with what is there.
    async fn meanwhile<T>(
        &mut self,
        context: &Context,
        happens: impl AsyncFnOnce(&Between, &Server, &str) -> Result<T>,
    ) -> Result<T> {
        let token = reading_session(&mut self.crowd).await?;
        let server = Server::start(context, &self.crowd.place, &self.how).await?;
        let answered = Semaphore::new(0);
        let (done, until) = watch::channel(false);
        let workers = self.crowd.workers.iter_mut();
        let working = join_all(
            workers.map(|worker| worker.work_until(server.address, &answered, until.clone())),
        );
        let happening = async {
            let patience = Duration::from_secs(5);
            let _ = tokio::time::timeout(patience, answered.acquire_many(50)).await;
            let seen = happens(&self.between, &server, &token).await;
            self.between.be(Way::Open);
            let _ = done.send(true);
            seen
        };
        let (worked, seen) = tokio::join!(working, happening);
        let seen = seen?;
        worked.into_iter().collect::<Result<()>>()?;
        ensure!(server.id().is_ok(), "the server ended");
        nothing_left(&self.crowd.place, false).await?;
        compare_after_kill(context, &mut self.crowd, server).await?;
        Ok(seen)
    }

    async fn leave(self) -> Result<()> {
        self.crowd.place.leave(&self.crowd.seeded).await?;
        Ok(())
    }
}

/// What somebody was answered who asked all the time.
#[derive(Default, Clone, Copy)]
struct Asked {
    times: u64,
    longest: Duration,
}

/// Asks who one is and whether the server lives and is ready, for some time: nothing may be answered but 503, and that it lives.
async fn closed_for(address: SocketAddr, token: &str, time: Duration) -> Result<Asked> {
    let (begun, mut asked) = (Instant::now(), Asked::default());
    let mut client = Client::open(address).await?;
    while begun.elapsed() < time {
        for (path, expected) in [
            ("/api/v1/me", StatusCode::SERVICE_UNAVAILABLE),
            ("/api/v1/me/sessions", StatusCode::SERVICE_UNAVAILABLE),
            ("/readyz", StatusCode::SERVICE_UNAVAILABLE),
            ("/healthz", StatusCode::OK),
        ] {
            let one = Instant::now();
            let told = client.ask(Method::GET, path, Some(token), None).await?;
            ensure!(
                told.status == expected,
                "{path} was answered {} while the database was away",
                told.status
            );
            asked.times += 1;
            asked.longest = asked.longest.max(one.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(asked)
}

/// Waits until the server is ready and knows somebody again. Answers how long that took.
async fn open_again(address: SocketAddr, token: &str) -> Result<Duration> {
    let begun = Instant::now();
    let mut client = Client::open(address).await?;
    while client.me(token).await?.status != StatusCode::OK {
        ensure!(begun.elapsed() < RECOVERY, "it does not recover");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(begun.elapsed())
}

/// F7: the way to the database is cut, or swallows everything.
pub(crate) async fn unreachable(context: &Context) -> Result<Vec<String>> {
    let times = context.count(1, 20);
    let Some(mut distant) = Distant::gather(context, "unreachable").await? else {
        return Ok(Vec::new());
    };
    let mut lines = Vec::new();
    for (way, words) in [(Way::Cut, "reset"), (Way::Silent, "silent")] {
        let (mut all, mut latest) = (Asked::default(), Duration::ZERO);
        for _ in 0..times {
            let (asked, took) = distant
                .meanwhile(context, async |between, server, token| {
                    between.be(way);
                    tokio::time::sleep(FOUND_OUT).await;
                    let asked = closed_for(server.address, token, Duration::from_secs(2)).await?;
                    between.be(Way::Open);
                    Ok((asked, open_again(server.address, token).await?))
                })
                .await
                .with_context(|| words.to_owned())?;
            all.times += asked.times;
            all.longest = all.longest.max(asked.longest);
            latest = latest.max(took);
        }
        lines.push(format!(
            "{words}, {times} times: {} requests from {:.1} s on, 0 let in, answered within {:.2} s, alive and not ready; \
             0 x 500, 0 acknowledged changes lost; open again {:.1} s after the way was, at most",
            all.times,
            FOUND_OUT.as_secs_f64(),
            all.longest.as_secs_f64(),
            latest.as_secs_f64()
        ));
    }
    distant.leave().await?;
    Ok(lines)
}

/// F8: all of PostgreSQL's processes stop and go on.
pub(crate) async fn hung(context: &Context) -> Result<Vec<String>> {
    let seconds = u64::from(context.count(6, 30));
    let Some(mut distant) = Distant::gather(context, "hung").await? else {
        return Ok(Vec::new());
    };
    let postmaster = Postmaster::find(&distant.crowd.place).await?;
    let (asked, before, meanwhile, took) = distant
        .meanwhile(context, async |_, server, token| {
            let before = server.memory()?;
            let stopped = Stopped::stop(&postmaster).await?;
            tokio::time::sleep(FOUND_OUT).await;
            let rest = Duration::from_secs(seconds).saturating_sub(FOUND_OUT);
            let asked = closed_for(server.address, token, rest).await?;
            let meanwhile = server.memory()?;
            stopped.go_on().await?;
            let took = open_again(server.address, token).await?;
            Ok((asked, before, meanwhile, took))
        })
        .await?;
    distant.leave().await?;
    Ok(vec![format!(
        "PostgreSQL stopped for {seconds} s under load: {} requests, 0 let in, answered within {:.2} s, memory {before:.0} MiB \
         before and {meanwhile:.0} meanwhile; 0 acknowledged changes lost, open again after {:.1} s",
        asked.times,
        asked.longest.as_secs_f64(),
        took.as_secs_f64()
    )])
}

/// Processes that have been stopped; they go on with this value at the latest.
struct Stopped(Vec<String>);

impl Stopped {
    async fn stop(postmaster: &Postmaster) -> Result<Self> {
        let stopped = Self(postmaster.with_children()?);
        signal("STOP", &stopped.0).await?;
        Ok(stopped)
    }

    async fn go_on(self) -> Result<()> {
        signal("CONT", &self.0).await
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = std::process::Command::new("kill")
            .args(["-s", "CONT"])
            .args(&self.0)
            .stderr(std::process::Stdio::null())
            .status();
    }
}

async fn signal(name: &str, ids: &[String]) -> Result<()> {
    // One that has ended meanwhile is no failure.
    Command::new("kill")
        .args(["-s", name])
        .args(ids)
        .stderr(std::process::Stdio::null())
        .status()
        .await?;
    Ok(())
}

/// F9: every message to the database takes its time.
pub(crate) async fn slow(context: &Context) -> Result<Vec<String>> {
    let seconds = u64::from(context.count(3, 30));
    let Some(mut distant) = Distant::gather(context, "far").await? else {
        return Ok(Vec::new());
    };
    let mut seen = Vec::new();
    for delay in [50, 200, 1_000].map(Duration::from_millis) {
        let before = distant.crowd.tally();
        let (check, asked) = distant
            .meanwhile(context, async |between, server, token| {
                between.be(Way::Slow(delay));
                let (begun, mut checks) = (Instant::now(), Vec::new());
                let mut client = Client::open(server.address).await?;
                while begun.elapsed() < Duration::from_secs(seconds) {
                    let one = Instant::now();
                    let status = client.me(token).await?.status;
                    ensure!(
                        [StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE].contains(&status),
                        "a check was answered {status}"
                    );
                    checks.push(one.elapsed());
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                checks.sort_unstable();
                Ok((checks[checks.len() / 2], checks.len()))
            })
            .await
            .with_context(|| format!("{delay:?}"))?;
        let after = distant.crowd.tally();
        seen.push(format!(
            "+{} ms: {} changes acknowledged, {} answered 503, a check of a token took {:.0} ms in the median of {asked}",
            delay.as_millis(),
            after.acknowledged - before.acknowledged,
            after.refused - before.refused,
            check.as_secs_f64() * 1e3,
        ));
    }
    distant.leave().await?;
    Ok(vec![format!(
        "for {seconds} s each: {}; 0 x 500, 0 lost",
        seen.join("; ")
    )])
}

/// F11: PostgreSQL commits, and its answer is lost with the connection.
pub(crate) async fn lost_commits(context: &Context) -> Result<Vec<String>> {
    let cuts = u64::from(context.count(60, 10_000));
    let Some(mut distant) = Distant::gather(context, "commit").await? else {
        return Ok(Vec::new());
    };
    let mut rounds = 0;
    while distant.between.lost() < cuts {
        let aim = (distant.between.lost() + 60).min(cuts);
        distant
            .meanwhile(context, async |between, _, _| {
                between.be(Way::LosesCommits(5));
                let begun = Instant::now();
                while between.lost() < aim {
                    ensure!(
                        begun.elapsed() < Duration::from_secs(120),
                        "only {} commits came by",
                        between.lost()
                    );
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                Ok(())
            })
            .await?;
        rounds += 1;
    }
    let tally = distant.crowd.tally();
    let line = format!(
        "{} answers to a COMMIT lost in {rounds} rounds under load: {} requests answered 503, {} changes acknowledged, 0 lost, \
         one lineage each, audit one to one; 0 x 500",
        distant.between.lost(),
        tally.refused,
        tally.acknowledged
    );
    distant.leave().await?;
    Ok(vec![line])
}
