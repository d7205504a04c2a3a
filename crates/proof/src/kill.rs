//! F1 and F2: the server is killed under load, at random moments and at each of its writing system calls.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures_util::future::join_all;
use sea_orm::{ConnectionTrait, DatabaseConnection};
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::client::Client;
use crate::load::{Held, Tally, Worker};
use crate::people::{self, Person, random};
use crate::place::Place;
use crate::server::{How, Server};
use crate::{Context, canary, ledger};

/// So many work at once.
const WORKERS: usize = 8;
/// A database is used for so many kills, then a new one is made: going through an ever longer trail
/// again and again would take most of the time.
const KILLS_OF_ONE: u32 = 20;
/// Where SQLite's and the audit trail's files are written, and where answers are.
pub(crate) const CALLS_SQLITE: &str = "write,pwrite64,fsync,fdatasync,ftruncate,unlink,rename";
/// Where PostgreSQL's protocol and answers are written.
pub(crate) const CALLS_POSTGRES: &str = "sendto,write,writev,rename";

/// The server as every mixed load needs it: tokens rotate soon, and wrong guesses are not throttled.
pub(crate) fn how() -> How {
    How::with(&["--rotate-every", "10s", "--failure-limit", "1000000"])
}

/// A server's life and those who work with it.
pub(crate) struct Crowd {
    /// Where the server keeps its data.
    pub(crate) place: Place,
    /// Those who work.
    pub(crate) workers: Vec<Worker>,
    /// Sessions that were stored directly.
    pub(crate) seeded: Vec<Uuid>,
    /// Somebody who does nothing of it all.
    pub(crate) readers: Person,
    slowest: Duration,
    longest_left: Duration,
}

impl Crowd {
    /// Stores the people and their first sessions in an empty place.
    pub(crate) async fn gather(place: Place, workers: usize, victims: usize) -> Result<Self> {
        let mut people = people::store(&place, workers * (1 + victims) + 1).await?;
        let administrator = people.pop().context("the administrator comes last")?;
        let readers = people.pop().context("there are enough")?;
        let root: Vec<_> = (0..workers).map(|_| &administrator).collect();
        let old = Duration::from_secs(60);
        let reign = people::sessions(&place, &root, 0, old).await?;
        let mut seeded: Vec<Uuid> = reign.iter().map(|session| session.id).collect();
        let mut crowd = Vec::new();
        for session in &reign {
            let person = people.pop().context("there are enough")?;
            let own = people::sessions(&place, &[&person, &person, &person], 0, old).await?;
            let victims = people.split_off(people.len() - victims);
            let mut worker =
                Worker::new(person, Held::new(session.id, &session.tokens[0]), victims);
            for session in &own {
                worker.hold(Held::new(session.id, &session.tokens[0]));
                seeded.push(session.id);
            }
            crowd.push(worker);
        }
        Ok(Self {
            place,
            workers: crowd,
            seeded,
            readers,
            slowest: Duration::ZERO,
            longest_left: Duration::ZERO,
        })
    }

    /// Starts the server again, compares everything and makes every token due for rotation.
    pub(crate) async fn come_back(&mut self, context: &Context) -> Result<()> {
        if !self.place.is_sqlite() {
            let left = nothing_left(&self.place, true).await?;
            self.longest_left = self.longest_left.max(left);
        }
        let server = Server::start(context, &self.place, &how()).await?;
        self.slowest = self.slowest.max(server.ready_after);
        let look = self.place.look().await?;
        for worker in &mut self.workers {
            worker.compare(&look, server.address).await?;
        }
        ledger::check(&look, &self.place.folder, &self.seeded).await?;
        canary::scan_metrics(server.address).await?;
        server.stop().await?;
        age(&look).await?;
        look.close().await?;
        Ok(())
    }

    /// What all have done and seen.
    pub(crate) fn tally(&self) -> Tally {
        let mut all = Tally::default();
        for worker in &self.workers {
            all.add(worker.tally);
        }
        all
    }
}

/// Sets the first use of every token back, so that the next request rotates.
pub(crate) async fn age(look: &DatabaseConnection) -> Result<()> {
    look.execute_unprepared(
        "UPDATE session SET first_used_at = first_used_at - 60000000 WHERE ended_at IS NULL",
    )
    .await?;
    Ok(())
}

/// Waits until PostgreSQL holds neither a transaction nor a lock for the server; one that lives keeps the
/// lock that tells others that it does.
pub(crate) async fn nothing_left(place: &Place, gone: bool) -> Result<Duration> {
    let look = place.look().await?;
    let begun = std::time::Instant::now();
    let sql = "SELECT count(*) FROM pg_stat_activity a WHERE a.datname = current_database() AND a.pid <> pg_backend_pid()
               AND (a.state LIKE 'idle in transaction%' OR EXISTS (
                   SELECT 1 FROM pg_locks l WHERE l.pid = a.pid AND l.granted AND ($1 OR l.locktype <> 'advisory')))";
    while ledger::number(&look, sql, [gone.into()]).await? > 0 {
        ensure!(
            begun.elapsed() < Duration::from_secs(5),
            "locks or transactions are left after 5 s"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    look.close().await?;
    Ok(begun.elapsed())
}

/// Kills at random moments of a mixed load.
pub(crate) async fn at_random(context: &Context) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for kind in 0..2 {
        let times = context.count(3, 1_000);
        let mut report = Report::default();
        let mut kind_of = "";
        while report.kills < times {
            let places = Place::both(context, "kill").await?;
            let Some(place) = places.into_iter().nth(kind) else {
                break;
            };
            kind_of = place.kind;
            let mut crowd = Crowd::gather(place, WORKERS, 12).await?;
            for _ in 0..KILLS_OF_ONE.min(times - report.kills) {
                kill_once(context, &mut crowd)
                    .await
                    .with_context(|| format!("{kind_of}, kill {}", report.kills + 1))?;
                report.kills += 1;
            }
            report.finish(crowd).await?;
            canary::forget();
        }
        if report.kills > 0 {
            lines.push(format!(
                "{kind_of}: killed {} times under load; {report}",
                report.kills
            ));
        }
    }
    Ok(lines)
}

async fn kill_once(context: &Context, crowd: &mut Crowd) -> Result<()> {
    let server = Server::start(context, &crowd.place, &how()).await?;
    crowd.slowest = crowd.slowest.max(server.ready_after);
    let address = server.address;
    let answered = Semaphore::new(0);
    let working = join_all(
        crowd
            .workers
            .iter_mut()
            .map(|worker| worker.work(address, &answered)),
    );
    // So many answers and a little longer, so that the moment does not depend on how fast the machine is.
    let answers = u32::try_from(random(200))?;
    let killing = async {
        let patience = Duration::from_secs(5);
        let _ = tokio::time::timeout(patience, answered.acquire_many(answers)).await;
        tokio::time::sleep(Duration::from_micros(random(5_000))).await;
        server.kill().await
    };
    let (_, killed) = tokio::join!(working, killing);
    killed?;
    crowd.come_back(context).await
}

/// Kills at the first, second, third … writing system call of a short life with every kind of change.
pub(crate) async fn at_each_call(context: &Context) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for kind in 0..2 {
        let mut report = Report::default();
        let places = Place::both(context, "kill-each").await?;
        let Some(place) = places.into_iter().nth(kind) else {
            break;
        };
        let name = place.kind;
        let calls = if place.is_sqlite() {
            CALLS_SQLITE
        } else {
            CALLS_POSTGRES
        };
        let mut crowd = Crowd::gather(place, 1, 100).await?;
        let most = context.count(5, 1_000);
        // The short form takes every 61st call.
        let stride = if context.short { 61 } else { 1 };
        let (mut number, mut survived) = (1, false);
        while report.kills < most && !survived {
            survived = !kill_at(context, &mut crowd, calls, number)
                .await
                .with_context(|| format!("{name}, call {number}"))?;
            report.kills += u32::from(!survived);
            number += stride;
        }
        let last = number - stride;
        let all = if survived {
            "to the end of the life"
        } else {
            "and no further"
        };
        report.finish(crowd).await?;
        lines.push(format!(
            "{name}: killed at the writing calls 1 to {last} of a thread ({} kills, {all}); {report}",
            report.kills
        ));
    }
    Ok(lines)
}

/// True if the server was killed, false if it lived through everything.
async fn kill_at(context: &Context, crowd: &mut Crowd, calls: &str, number: u32) -> Result<bool> {
    let started = Server::try_start(context, &crowd.place, &how().killed_at(calls, number)).await?;
    let mut killed = true;
    if let Some(server) = started {
        killed = false;
        let worker = &mut crowd.workers[0];
        // Killed before anybody could connect is killed too.
        if let Ok(mut client) = Client::open(server.address).await {
            // Every kind of change, some of them twice.
            for choice in [0, 55, 0, 65, 85, 55, 75, 99, 92, 55, 55, 80, 99, 0, 55, 65] {
                if worker.step(&mut client, choice).await.is_err() {
                    killed = true;
                    break;
                }
            }
        } else {
            killed = true;
        }
        server.kill().await?;
    }
    crowd.come_back(context).await?;
    Ok(killed)
}

/// What is said at the end.
#[derive(Default)]
struct Report {
    kills: u32,
    tally: Tally,
    slowest: Duration,
    longest_left: Duration,
    searched: u64,
    sqlite: bool,
}

impl Report {
    async fn finish(&mut self, crowd: Crowd) -> Result<()> {
        self.tally.add(crowd.tally());
        self.slowest = self.slowest.max(crowd.slowest);
        self.longest_left = self.longest_left.max(crowd.longest_left);
        self.sqlite = crowd.place.is_sqlite();
        self.searched += crowd.place.leave(&crowd.seeded).await?;
        Ok(())
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} changes acknowledged ({} rotations), {} requests cut; 0 lost, 0 halves, audit one to one, ",
            self.tally.acknowledged, self.tally.rotated, self.tally.cut
        )?;
        match self.sqlite {
            true => write!(f, "integrity ok; ")?,
            false => write!(
                f,
                "nothing held in PostgreSQL after {:.1} s at most; ",
                self.longest_left.as_secs_f64()
            )?,
        }
        write!(
            f,
            "ready again after {:.1} s at most; {} secrets in 0 of {:.0} MiB",
            self.slowest.as_secs_f64(),
            canary::count(),
            self.searched as f64 / 1_048_576.0
        )
    }
}
