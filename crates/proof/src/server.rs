//! The server as a process that can be killed.

use std::fs::OpenOptions;
use std::net::SocketAddr;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use rollcall_bench::server::free_address;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::Context;
use crate::place::Place;

/// How to start it.
#[derive(Default, Clone)]
pub(crate) struct How {
    /// Further settings.
    pub(crate) settings: Vec<String>,
    /// What is put before the server's own command line, such as `strace`; it has to become the server.
    pub(crate) within: Vec<String>,
    /// `--log-level`; `debug` without it.
    pub(crate) log_level: Option<&'static str>,
    /// The database by another way than the place's own.
    pub(crate) database: Option<String>,
}

impl How {
    /// With these settings.
    pub(crate) fn with(settings: &[&str]) -> Self {
        Self {
            settings: settings.iter().map(|&word| word.to_owned()).collect(),
            ..Self::default()
        }
    }

    /// Within another program.
    pub(crate) fn within(mut self, words: &[&str]) -> Self {
        self.within = words.iter().map(|&word| word.to_owned()).collect();
        self
    }

    /// Killed by `strace` at the `number`-th of these system calls of any of its threads. `-D` keeps the
    /// server our own child, so that it can be killed in the ordinary way too.
    pub(crate) fn killed_at(self, calls: &str, number: u32) -> Self {
        let inject = format!("inject={calls}:signal=KILL:when={number}");
        self.within(&[
            "strace",
            "-D",
            "-f",
            "-qq",
            "-o",
            "/dev/null",
            "-e",
            &format!("trace={calls}"),
            "-e",
            &inject,
        ])
    }
}

/// A running server.
pub(crate) struct Server {
    child: Child,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// How long it took until it was ready.
    pub(crate) ready_after: Duration,
}

impl Server {
    /// Starts it and waits until it is ready.
    pub(crate) async fn start(context: &Context, place: &Place, how: &How) -> Result<Self> {
        Self::try_start(context, place, how)
            .await?
            .with_context(|| {
                let log = place.log().unwrap_or_default();
                let last: Vec<_> = log.lines().rev().take(5).collect();
                format!("the server ended before it was ready: {last:?}")
            })
    }

    /// Starts it; `None` if it ended before it was ready.
    pub(crate) async fn try_start(
        context: &Context,
        place: &Place,
        how: &How,
    ) -> Result<Option<Self>> {
        let address = free_address()?;
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(place.folder.join("server.log"))?;
        let mut words = how.within.clone();
        words.push(context.server.display().to_string());
        let mut command = Command::new(&words[0]);
        command
            .args(&words[1..])
            .args(["serve", "--log-level", how.log_level.unwrap_or("debug")])
            .args([
                "--listen",
                &address.to_string(),
                "--database",
                how.database.as_ref().unwrap_or(&place.url),
            ])
            .arg("--data-dir")
            .arg(&place.folder)
            .args(&how.settings)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true);
        let begun = Instant::now();
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot start {}", words[0]))?;
        let output = child.stdout.take().context("it has an output")?;
        let mut lines = BufReader::new(output).lines();
        while let Some(line) = lines.next_line().await? {
            if line.contains("ready") {
                let ready_after = begun.elapsed();
                return Ok(Some(Self {
                    child,
                    address,
                    ready_after,
                }));
            }
        }
        child.wait().await?;
        Ok(None)
    }

    /// Its process id.
    pub(crate) fn id(&self) -> Result<u32> {
        self.child.id().context("it has ended")
    }

    /// Kills it on the spot, as `kill -9` does, and waits until it is gone.
    pub(crate) async fn kill(mut self) -> Result<()> {
        // It may have been killed already.
        let _ = self.child.start_kill();
        self.child.wait().await?;
        Ok(())
    }

    /// Waits until it has ended by itself.
    pub(crate) async fn ended(&mut self) -> Result<ExitStatus> {
        Ok(self.child.wait().await?)
    }

    /// Sends it a signal.
    pub(crate) async fn signal(&self, name: &str) -> Result<()> {
        let id = self.id()?.to_string();
        let status = Command::new("kill")
            .args(["-s", name, &id])
            .status()
            .await?;
        ensure!(status.success(), "it could not be signalled");
        Ok(())
    }

    /// Stops it as an operator would.
    pub(crate) async fn stop(mut self) -> Result<()> {
        self.signal("TERM").await?;
        let status = self.ended().await?;
        ensure!(status.success(), "it stopped with {status}");
        Ok(())
    }

    /// Resident memory, in MiB.
    pub(crate) fn memory(&self) -> Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id()?))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
        Ok(kib.context("no VmRSS in /proc")? / 1_024.0)
    }
}
