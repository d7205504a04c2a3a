//! Debian packages: installed as root, asked for otherwise.

use crate::paths;
use crate::process::{quiet, step};
use anyhow::{Result, bail};
use std::process::Command;

/// Installs the packages, or stops with the command that would.
pub(super) fn install(packages: &[&str], why: &str) -> Result<()> {
    let list = packages.join(" ");
    if paths::which("apt-get").is_none() {
        bail!(
            "missing: {why}. This is not Debian, so please install by your system's own means what \
             Debian calls {list}, then run this again"
        );
    }
    if !super::is_root()? {
        bail!(
            "missing: {why}. Please run this, then start again:\n\n    \
             sudo apt-get update && sudo apt-get install --no-install-recommends {list}\n"
        );
    }
    step("Reading Debian's package lists", "apt-get update", || {
        quiet(apt().args(["-q", "update"]))
    })?;
    step(&format!("Installing {list}"), why, || {
        quiet(
            apt()
                .args(["-q", "-y", "--no-install-recommends", "install"])
                .args(packages),
        )
    })
}

fn apt() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command
}
