//! Programs that come with the system: Node, Chromium, PostgreSQL.

use super::debian;
use crate::paths;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Node is not installed but asked for: together with cargo it is all one needs to start.
pub(crate) fn node() -> Result<()> {
    if paths::which("node").is_none() || paths::which("npm").is_none() {
        bail!(
            "Node.js 20 or newer and npm are needed (https://nodejs.org, or Debian's nodejs and npm)"
        );
    }
    Ok(())
}

/// The browser of the end-to-end tests: `CHROMIUM`, else the first one found, else Debian's.
pub(crate) fn chromium() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("CHROMIUM").filter(|path| !path.is_empty()) {
        let path = PathBuf::from(path);
        if !path.is_file() {
            bail!("CHROMIUM names {}, which is no file", path.display());
        }
        return Ok(path);
    }
    if let Some(path) = find_chromium() {
        return Ok(path);
    }
    debian::install(&["chromium"], "a browser for the end-to-end tests")?;
    find_chromium().context("Chromium was installed and still cannot be found")
}

fn find_chromium() -> Option<PathBuf> {
    const NAMES: [&str; 4] = [
        "chromium",
        "chromium-browser",
        "google-chrome",
        "google-chrome-stable",
    ];
    const MAC: &str = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome";
    NAMES
        .iter()
        .find_map(|name| paths::which(name))
        .or_else(|| Some(PathBuf::from(MAC)).filter(|path| path.is_file()))
}

/// The proxies that the end-to-end tests put before an application, as `docs/proxies` says: the system's, else Debian's,
/// unpacked beside the other tools. Installed, they would start as services. Answers folders for `PATH`.
pub(crate) fn proxies() -> Result<Vec<PathBuf>> {
    const NAMES: [&str; 2] = ["nginx", "caddy"];
    let unpacked = paths::tools()?.join("proxies");
    let folders = vec![
        PathBuf::from("/usr/sbin"),
        unpacked.join("usr/sbin"),
        unpacked.join("usr/bin"),
    ];
    let there = |name: &&str| {
        paths::which(name).is_some() || folders.iter().any(|folder| folder.join(name).is_file())
    };
    if !NAMES.iter().all(there) {
        debian::unpack(&NAMES, &unpacked, "proxies for the end-to-end tests")?;
        if let Some(missing) = NAMES.iter().find(|name| !there(name)) {
            bail!("{missing} was unpacked and still cannot be found");
        }
    }
    Ok(folders)
}

/// What the benchmark measures with: wrk makes load, valgrind counts instructions.
pub(crate) fn measuring() -> Result<()> {
    let missing: Vec<_> = ["wrk", "valgrind"]
        .into_iter()
        .filter(|name| paths::which(name).is_none())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    debian::install(&missing, "programs that the benchmark measures with")
}

/// What the proofs break the server with: strace kills it at a system call, libfaketime moves its clock.
pub(crate) fn breaking() -> Result<()> {
    let clock = std::fs::read_dir("/usr/lib").is_ok_and(|folders| {
        folders
            .flatten()
            .any(|folder| folder.path().join("faketime").is_dir())
    });
    let mut missing = Vec::new();
    if paths::which("strace").is_none() {
        missing.push("strace");
    }
    if !clock {
        missing.push("libfaketime");
    }
    if missing.is_empty() {
        return Ok(());
    }
    debian::install(&missing, "programs that the proofs break the server with")
}

/// Python with what makes an environment of its own.
pub(super) fn python() -> Result<()> {
    let has = |module: &str| {
        Command::new("python3")
            .args(["-c", &format!("import {module}")])
            .output()
            .is_ok_and(|output| output.status.success())
    };
    if has("venv, ensurepip") {
        return Ok(());
    }
    debian::install(
        &["python3", "python3-venv"],
        "Python for schemathesis and aiosmtpd",
    )
}

/// Clippy of Debian's compiler: only its own can read what that compiler builds.
pub(crate) fn other_clippy() -> Result<Command> {
    let program = Path::new("/usr/bin/cargo-clippy");
    if !program.is_file() {
        debian::install(&["rust-web-clippy"], "lints of the browser's part")?;
    }
    Ok(Command::new(program))
}

/// The folder with `initdb` and `postgres`, version 15 or newer: `ROLLCALL_POSTGRES_BIN`, else
/// Debian's place, else `PATH`, else it is installed.
pub(crate) fn postgres() -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os("ROLLCALL_POSTGRES_BIN").filter(|it| !it.is_empty()) {
        let folder = PathBuf::from(folder);
        if !folder.join("initdb").is_file() {
            bail!(
                "ROLLCALL_POSTGRES_BIN names {}, which has no initdb",
                folder.display()
            );
        }
        return Ok(folder);
    }
    if let Some(folder) = find_postgres() {
        return Ok(folder);
    }
    debian::install(&["postgresql"], "a PostgreSQL for the database tests")?;
    find_postgres().context("PostgreSQL 15 or newer was installed and still cannot be found")
}

fn find_postgres() -> Option<PathBuf> {
    const OLDEST: u32 = 15;
    // Debian keeps every major version in a folder of its own, off PATH.
    let debian = std::fs::read_dir("/usr/lib/postgresql").ok();
    let newest = debian
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let major: u32 = entry.file_name().to_str()?.parse().ok()?;
            let bin = entry.path().join("bin");
            (major >= OLDEST && bin.join("initdb").is_file()).then_some((major, bin))
        })
        .max();
    if let Some((_, bin)) = newest {
        return Some(bin);
    }
    let initdb = paths::which("initdb")?;
    // "initdb (PostgreSQL) 16.4"
    let version = crate::process::version(&initdb)?;
    let major: u32 = version
        .split_whitespace()
        .nth(2)?
        .split(|mark: char| !mark.is_ascii_digit())
        .next()?
        .parse()
        .ok()?;
    (major >= OLDEST).then(|| initdb.parent().map(PathBuf::from))?
}
