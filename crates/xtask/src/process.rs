//! Running other programs, and telling people what runs and how long it took.

use anyhow::{Context, Result, bail};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Says what is done and why, does it, and says how long it took.
pub(crate) fn step<T>(what: &str, why: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    eprintln!("==> {what} ({why})");
    let start = Instant::now();
    let result = work();
    let outcome = if result.is_ok() { "done" } else { "FAILED" };
    eprintln!("    {outcome} in {}: {what}", seconds(start.elapsed()));
    result
}

/// A duration for people: "0.4 s", "73 s", "12 min 5 s".
pub(crate) fn seconds(time: Duration) -> String {
    match time.as_secs() {
        0..10 => format!("{:.1} s", time.as_secs_f64()),
        all @ 10..120 => format!("{all} s"),
        all => format!("{} min {} s", all / 60, all % 60),
    }
}

/// The command as one would type it, for messages.
pub(crate) fn display(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy().into_owned())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Runs the command with its output on this terminal and nothing on its input; fails if it does.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("cannot start `{}`", display(command)))?;
    if !status.success() {
        bail!("`{}` failed: {status}", display(command));
    }
    Ok(())
}

/// Runs the command and returns what it wrote to its output; fails with its error output.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let out = captured(command)?;
    if !out.status.success() {
        bail!(
            "`{}` failed: {}\n{}",
            display(command),
            out.status,
            String::from_utf8_lossy(&out.stderr).trim_end()
        );
    }
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}

/// Runs the command quietly: what it wrote is shown only if it fails.
pub(crate) fn quiet(command: &mut Command) -> Result<()> {
    let out = captured(command)?;
    if !out.status.success() {
        bail!(
            "`{}` failed: {}\n{}{}",
            display(command),
            out.status,
            String::from_utf8_lossy(&out.stdout),
            String::from_utf8_lossy(&out.stderr).trim_end()
        );
    }
    Ok(())
}

/// What a program says to `--version`, or nothing if there is no such program.
pub(crate) fn version(program: &std::path::Path) -> Option<String> {
    output(Command::new(program).arg("--version")).ok()
}

/// Runs the command for at most `limit`, its output on this terminal; says whether it succeeded.
///
/// For steps that have another way out: a download that a site may not allow must neither fail
/// everything nor hang.
pub(crate) fn succeeds_within(command: &mut Command, limit: Duration) -> bool {
    let Ok(mut child) = command.stdin(Stdio::null()).spawn() else {
        return false;
    };
    let start = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) if start.elapsed() < limit => {
                std::thread::sleep(Duration::from_millis(100));
            }
            _ => {
                // It may have ended between the two calls; either way it is gone afterwards.
                let _ = child.kill();
                let _ = child.wait();
                return false;
            }
        }
    }
}

fn captured(command: &mut Command) -> Result<Output> {
    command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start `{}`", display(command)))
}
