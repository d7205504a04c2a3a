//! Debian packages: installed as root, asked for otherwise.

use crate::paths;
use crate::process::{quiet, step};
use anyhow::{Context, Result, bail};
use std::path::Path;
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

/// Unpacks packages into a folder without installing them, which needs no rights and starts no service.
pub(super) fn unpack(packages: &[&str], folder: &Path, why: &str) -> Result<()> {
    let list = packages.join(" ");
    if paths::which("apt-get").is_none() {
        bail!(
            "missing: {why}. This is not Debian, so please install {list} by your system's own means, then run this again"
        );
    }
    if super::is_root()? {
        step("Reading Debian's package lists", "apt-get update", || {
            quiet(apt().args(["-q", "update"]))
        })?;
    }
    step(&format!("Unpacking {list}"), why, || {
        let downloads = folder.join("packages");
        std::fs::create_dir_all(&downloads)
            .with_context(|| format!("making {}", downloads.display()))?;
        quiet(
            apt()
                .args(["-q", "download"])
                .args(packages)
                .current_dir(&downloads),
        )?;
        for package in std::fs::read_dir(&downloads).context("reading what was downloaded")? {
            let package = package.context("reading what was downloaded")?.path();
            quiet(Command::new("dpkg-deb").arg("-x").arg(package).arg(folder))?;
        }
        Ok(())
    })
}

fn apt() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command
}
