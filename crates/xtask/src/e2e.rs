//! The tests in a browser: Playwright in `end2end/`, which starts the servers that it needs.

use crate::process::{quiet, run as run_shown, step};
use crate::{fingerprint, paths, setup};
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn folder() -> PathBuf {
    paths::root().join("end2end")
}

/// Fails if there are no such tests: a suite that is not there must not pass.
pub(crate) fn check_present() -> Result<()> {
    let found = ["ts", "mts", "js", "mjs"].iter().any(|ending| {
        folder()
            .join(format!("playwright.config.{ending}"))
            .is_file()
    });
    if !found {
        bail!("end2end/ has no playwright.config: there are no browser tests to run");
    }
    Ok(())
}

/// Runs the tests against the given server program; `lenient` lets a filter match none of them.
pub(crate) fn run(server: &Path, filter: &[String], lenient: bool) -> Result<String> {
    let chromium = setup::programs::chromium()?;
    let proxies = setup::programs::proxies()?;
    let mail_server = setup::aiosmtpd()?;
    install()?;
    let mut command = Command::new("npx");
    command
        .args(["--no-install", "playwright", "test"])
        .args(filter)
        .current_dir(folder())
        .env("ROLLCALL_BINARY", server)
        .env("CHROMIUM", chromium)
        .env("AIOSMTPD", mail_server)
        .env("PATH", paths::path_with(&proxies)?);
    if lenient && !filter.is_empty() {
        command.arg("--pass-with-no-tests");
    }
    run_shown(&mut command)?;
    let (secrets, bytes) = canaries()?;
    Ok(format!(
        "none of {secrets} secrets lies in {} MB of pages, data, logs and metrics",
        bytes / 1_000_000
    ))
}

/// How many secrets the run has seen and in how many bytes it sought them: `support/canary.js` writes it down after each
/// server, as sums of its process. It fails itself where it finds one; a run that sought none must not pass either.
fn canaries() -> Result<(u64, u64)> {
    let file = folder().join("test-results/canaries.txt");
    let text = fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
    let mut sums = BTreeMap::new();
    for line in text.lines() {
        let numbers: Vec<u64> = line
            .split(' ')
            .filter_map(|word| word.parse().ok())
            .collect();
        let [process, secrets, bytes] = numbers[..] else {
            bail!("{} has a line that says nothing: {line}", file.display());
        };
        sums.insert(process, (secrets, bytes));
    }
    let (secrets, bytes) = sums.values().fold((0, 0), |(secrets, bytes), sum| {
        (secrets + sum.0, bytes + sum.1)
    });
    if secrets == 0 || bytes == 0 {
        bail!("no secret was sought: the browser tests saw no token at all");
    }
    Ok((secrets, bytes))
}

/// Installs the packages of the lock file, unless exactly these are there.
fn install() -> Result<()> {
    let stamp = folder().join("node_modules").join(".installed");
    let wanted = fingerprint::of(&[folder().join("package-lock.json")], &[])?;
    if fs::read_to_string(&stamp).is_ok_and(|known| known == wanted) {
        return Ok(());
    }
    step(
        "Installing Playwright and axe",
        "the browser tests' own packages",
        || {
            quiet(
                Command::new("npm")
                    .args(["ci", "--no-audit", "--no-fund"])
                    .current_dir(folder())
                    // The browser is the system's.
                    .env("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1"),
            )?;
            fs::write(&stamp, wanted).with_context(|| format!("writing {}", stamp.display()))
        },
    )
}
