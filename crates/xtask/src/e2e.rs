//! The tests in a browser: Playwright in `end2end/`, which starts the servers that it needs.

use crate::process::{quiet, run as run_shown, step};
use crate::{fingerprint, paths, setup};
use anyhow::{Context, Result, bail};
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
    install()?;
    let mut command = Command::new("npx");
    command
        .args(["--no-install", "playwright", "test"])
        .args(filter)
        .current_dir(folder())
        .env("ROLLCALL_BINARY", server)
        .env("CHROMIUM", chromium);
    if lenient && !filter.is_empty() {
        command.arg("--pass-with-no-tests");
    }
    run_shown(&mut command)?;
    Ok("see Playwright's own list above".to_owned())
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
