//! F4 to F6: the disk is full, the disk fails, another program holds the file.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use futures_util::future::join_all;
use http::{Method, StatusCode};
use sea_orm::ConnectionTrait;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::Context;
use crate::client::Client;
use crate::kill::{Crowd, how};
use crate::people::{self, random};
use crate::place::Place;
use crate::server::Server;

/// How long a server may take to serve again once the fault is over; far above what it needs.
pub(crate) const RECOVERY: Duration = Duration::from_secs(30);

/// Ends sessions of the first worker's until one end is acknowledged; answers how long that took.
pub(crate) async fn recovered(crowd: &mut Crowd, server: &Server) -> Result<Duration> {
    let begun = Instant::now();
    let mut client = Client::open(server.address).await?;
    let worker = &mut crowd.workers[0];
    let before = worker.tally.acknowledged;
    while worker.tally.acknowledged == before {
        ensure!(begun.elapsed() < RECOVERY, "it does not recover");
        worker.step(&mut client, 65).await?;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(begun.elapsed())
}

/// Stops the server, starts it anew and compares everything.
pub(crate) async fn compare_after_kill(
    context: &Context,
    crowd: &mut Crowd,
    server: Server,
) -> Result<()> {
    server.kill().await?;
    crowd.come_back(context).await
}

/// A small disk of its own, which is taken away again.
struct Disk(PathBuf);

impl Disk {
    fn mount(folder: &Path) -> Result<Option<Self>> {
        std::fs::create_dir_all(folder)?;
        let status = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=16m", "tmpfs"])
            .arg(folder)
            .stderr(Stdio::null())
            .status()?;
        Ok(status.success().then(|| Self(folder.to_owned())))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily, in case somebody still looks at it.
        let _ = std::process::Command::new("umount")
            .arg("-l")
            .arg(&self.0)
            .status();
    }
}

/// F4: the disk fills up and is freed.
pub(crate) async fn full_disk(context: &Context) -> Result<Vec<String>> {
    let times = context.count(1, 20);
    let mut place = Place::sqlite(context, "disk")?;
    let folder = place.folder.join("disk");
    let Some(disk) = Disk::mount(&folder)? else {
        return Ok(vec!["not run: only root may mount a small disk".to_owned()]);
    };
    place.url = rollcall_bench::data::sqlite(&folder);
    let mut crowd = Crowd::gather(place, 1, 60).await?;
    crowd.workers[0].writes_may_be_refused = true;
    let (mut refused, mut longest) = (0, Duration::ZERO);
    for _ in 0..times {
        let server = Server::start(context, &crowd.place, &how()).await?;
        let reader = reading_session(&mut crowd).await?;
        let filler = folder.join("filler");
        fill(&filler)?;
        let mut client = Client::open(server.address).await?;
        let before = crowd.workers[0].tally.refused;
        for _ in 0..60 {
            crowd.workers[0].step(&mut client, random(90)).await?;
            let told = client.me(&reader).await?;
            ensure!(
                told.status == StatusCode::OK,
                "a reader was answered {}",
                told.status
            );
            // A place that a checkpoint freed is filled too.
            fill(&filler)?;
        }
        let since = crowd.workers[0].tally.refused - before;
        ensure!(since > 0, "the full disk was not noticed");
        refused += since;
        std::fs::remove_file(&filler)?;
        longest = longest.max(recovered(&mut crowd, &server).await?);
        compare_after_kill(context, &mut crowd, server).await?;
    }
    let acknowledged = crowd.tally().acknowledged;
    crowd.place.inspect(&crowd.seeded).await?;
    drop(disk);
    std::fs::remove_dir_all(&crowd.place.folder)?;
    Ok(vec![format!(
        "{times} times a full disk of 16 MiB: {refused} changes answered 503, every read 200, {acknowledged} changes acknowledged \
         in all and 0 lost, writing again {:.1} s after space was freed without a restart, integrity ok",
        longest.as_secs_f64()
    )])
}

fn fill(file: &Path) -> Result<()> {
    use std::io::Write;
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(file)?;
    for size in [1_048_576, 4_096, 1] {
        let block = vec![1_u8; size];
        while file.write_all(&block).is_ok() {}
    }
    Ok(())
}

/// A session that only reads, whose token is not due.
pub(crate) async fn reading_session(crowd: &mut Crowd) -> Result<String> {
    let person = crowd.readers.clone();
    let session = people::sessions(&crowd.place, &[&person], 0, Duration::from_secs(1)).await?;
    crowd.seeded.push(session[0].id);
    Ok(session[0].tokens[0].clone())
}

/// F5: after so many acts, every sync or every write fails.
pub(crate) async fn failing_disk(context: &Context) -> Result<Vec<String>> {
    let times = context.count(2, 60);
    let mut lines = Vec::new();
    for call in ["fsync,fdatasync", "pwrite64"] {
        let mut crowd = Crowd::gather(Place::sqlite(context, "eio")?, 1, 60).await?;
        crowd.workers[0].writes_may_be_refused = true;
        let (mut refused, mut before_fault) = (0, 0);
        for number in 1..=times {
            let server = Server::start(context, &crowd.place, &how()).await?;
            let mut client = Client::open(server.address).await?;
            let worker = &mut crowd.workers[0];
            let earlier = worker.tally.acknowledged;
            for _ in 0..number {
                worker.step(&mut client, random(90)).await?;
            }
            before_fault += worker.tally.acknowledged - earlier;
            let fault = attach(&server, call).await?;
            let earlier = worker.tally;
            for _ in 0..10 {
                worker.step(&mut client, 50 + random(40)).await?;
            }
            let later = worker.tally;
            ensure!(
                later.acknowledged == earlier.acknowledged,
                "acknowledged after a failed {call}"
            );
            ensure!(later.refused > earlier.refused, "no {call} failed");
            refused += later.refused - earlier.refused;
            detach(fault).await?;
            recovered(&mut crowd, &server)
                .await
                .with_context(|| format!("after a failed {call}"))?;
            compare_after_kill(context, &mut crowd, server).await?;
        }
        crowd.place.leave(&crowd.seeded).await?;
        lines.push(format!(
            "{times} times every {call} failed after 1, 2, 3 … acts: {before_fault} changes acknowledged before, {refused} answered 5xx \
             after, 0 acknowledged after, 0 lost, integrity ok; it writes again without a restart"
        ));
    }
    Ok(lines)
}

// From now on: the server opens its connection anew after a fault, in a thread of its own, and `strace`
// counts the calls of each thread.
async fn attach(server: &Server, call: &str) -> Result<Child> {
    let mut child = Command::new("strace")
        .args([
            "-f",
            "-o",
            "/dev/null",
            "-p",
            &server.id()?.to_string(),
            "-e",
            &format!("trace={call}"),
            "-e",
        ])
        .arg(format!("inject={call}:error=EIO"))
        .stderr(Stdio::piped())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .context("strace is needed")?;
    let mut lines = BufReader::new(child.stderr.take().context("it has an output")?).lines();
    let first = lines.next_line().await?.unwrap_or_default();
    ensure!(first.contains("attached"), "strace: {first}");
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    Ok(child)
}

async fn detach(mut strace: Child) -> Result<()> {
    let id = strace.id().context("it runs")?.to_string();
    Command::new("kill")
        .args(["-s", "INT", &id])
        .status()
        .await?;
    strace.wait().await?;
    Ok(())
}

/// F6: another program holds SQLite's file.
pub(crate) async fn held_file(context: &Context) -> Result<Vec<String>> {
    let seconds = context.count(8, 30);
    let mut crowd = Crowd::gather(Place::sqlite(context, "held")?, 1, 1).await?;
    let person = crowd.readers.clone();
    let ends = people::sessions(&crowd.place, &[&person; 6], 0, Duration::from_secs(1)).await?;
    crowd.seeded.extend(ends.iter().map(|session| session.id));
    let server = Server::start(context, &crowd.place, &how()).await?;
    let look = crowd.place.look().await?;
    look.execute_unprepared("BEGIN EXCLUSIVE").await?;
    let address = server.address;
    let asking = join_all(ends[1..].iter().map(|session| async move {
        let mut client = Client::open(address).await?;
        let begun = Instant::now();
        let told = client
            .ask(
                Method::POST,
                "/api/v1/sign-out",
                Some(&session.tokens[0]),
                None,
            )
            .await?;
        anyhow::Ok((told, begun.elapsed()))
    }));
    let holding = tokio::time::sleep(Duration::from_secs(u64::from(seconds)));
    let reading = async {
        let mut client = Client::open(address).await?;
        let (begun, mut reads) = (Instant::now(), 0);
        while begun.elapsed() < Duration::from_secs(u64::from(seconds)) {
            let told = client.me(&ends[0].tokens[0]).await?;
            ensure!(
                told.status == StatusCode::OK,
                "a reader was answered {}",
                told.status
            );
            reads += 1;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        anyhow::Ok(reads)
    };
    let (answers, reads, ()) = tokio::join!(asking, reading, holding);
    let reads = reads?;
    look.execute_unprepared("COMMIT").await?;
    look.close().await?;
    let mut longest = Duration::ZERO;
    for (answer, session) in answers.into_iter().zip(&ends[1..]) {
        let (told, took) = answer?;
        ensure!(
            told.status == StatusCode::SERVICE_UNAVAILABLE,
            "a sign-out was answered {}",
            told.status
        );
        ensure!(told.retry_after, "503 without Retry-After");
        longest = longest.max(took);
        let mut client = Client::open(address).await?;
        let token = &session.tokens[0];
        ensure!(
            client.me(token).await?.status == StatusCode::OK,
            "what was not acknowledged was done by halves"
        );
        let told = client
            .ask(Method::POST, "/api/v1/sign-out", Some(token), None)
            .await?;
        ensure!(
            told.status == StatusCode::NO_CONTENT,
            "a sign-out afterwards was answered {}",
            told.status
        );
    }
    server.stop().await?;
    crowd.place.leave(&crowd.seeded).await?;
    Ok(vec![format!(
        "another program held SQLite's file for {seconds} s: 5 changes answered 503 with Retry-After after {:.1} s at most, {reads} \
         reads all 200; each change done afterwards",
        longest.as_secs_f64()
    )])
}
