//! `dev`: a development server that is rebuilt and restarted on every change.

use crate::process::{display, run, seconds, step};
use crate::setup::wasm::Purpose;
use crate::{bundle, fingerprint, paths, setup};
use anyhow::{Context, Result};
use std::path::PathBuf;
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

/// How often the tree is looked at, and how long it must have been quiet before a build.
const PERIOD: Duration = Duration::from_millis(500);
/// How long a server may take to finish its requests.
const GRACE: Duration = Duration::from_secs(10);

/// What `dev` is asked for.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Handed to `rollcall serve`.
    #[arg(last = true)]
    server: Vec<String>,
}

/// `cargo xtask dev`.
pub(crate) fn command(args: Args) -> Result<()> {
    let mut server: Option<Child> = None;
    loop {
        let seen = newest_change()?;
        let start = Instant::now();
        match build() {
            Ok(()) => {
                if let Some(old) = server.take() {
                    stop(old)?;
                }
                server = Some(start_server(&args.server)?);
                eprintln!(
                    "    ready after {}; watching for changes, Ctrl-C ends",
                    seconds(start.elapsed())
                );
            }
            // What ran before goes on running; the next change may well be the repair.
            Err(error) => eprintln!("\nerror: {error:#}\n    waiting for the next change"),
        }
        wait_for_change(seen, &mut server)?;
    }
}

fn build() -> Result<()> {
    bundle::ensure(Purpose::Development)?;
    step("Building the server", "debug build", || {
        run(setup::cargo().args(["build", "--package", "rollcall-server"]))
    })
}

fn start_server(args: &[String]) -> Result<Child> {
    let program = paths::target()?.join("debug").join("rollcall");
    let mut command = Command::new(program);
    command.arg("serve").args(args);
    eprintln!("==> {}", display(&command));
    command
        .spawn()
        .with_context(|| format!("cannot start `{}`", display(&command)))
}

/// Asks the server to finish, and waits until it has: the next one needs its port.
fn stop(mut server: Child) -> Result<()> {
    // The standard library can only kill; this lets the server flush what it holds.
    let asked = Command::new("kill")
        .args(["-TERM", &server.id().to_string()])
        .status();
    let start = Instant::now();
    while asked.is_ok() && start.elapsed() < GRACE {
        if server.try_wait()?.is_some() {
            return Ok(());
        }
        sleep(Duration::from_millis(20));
    }
    server.kill()?;
    server.wait()?;
    Ok(())
}

/// Returns once something is newer than `seen` and nothing has changed for one period.
fn wait_for_change(seen: Change, server: &mut Option<Child>) -> Result<()> {
    let mut last = seen;
    loop {
        sleep(PERIOD);
        let now = newest_change()?;
        if now != seen && now == last {
            return Ok(());
        }
        last = now;
        if let Some(child) = server
            && let Some(status) = child.try_wait()?
        {
            eprintln!("    the server ended: {status}; waiting for the next change");
            *server = None;
        }
    }
}

/// The newest time of change of any watched file, and how many files there are: the number tells
/// of a removal.
type Change = (Option<SystemTime>, usize);

fn newest_change() -> Result<Change> {
    const WATCHED: [&str; 7] = [
        "crates/core",
        "crates/client",
        "crates/server",
        "style",
        "public",
        "Cargo.toml",
        "Cargo.lock",
    ];
    let mut newest = None;
    let mut count = 0;
    for folder in WATCHED.map(|name| paths::root().join(name)) {
        for file in fingerprint::files(&folder)? {
            count += 1;
            newest = newest.max(modified(&file));
        }
    }
    Ok((newest, count))
}

/// Nothing for a file that has just been removed.
fn modified(file: &PathBuf) -> Option<SystemTime> {
    std::fs::metadata(file).ok()?.modified().ok()
}
