//! `run`: from a clean machine to a running server.

use crate::process::{display, run, step};
use crate::setup::wasm::Purpose;
use crate::{bundle, disk, paths, setup};
use anyhow::{Result, anyhow};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// GiB that a first build in release takes, tools included.
const ROOM: u64 = 5;

/// What `run` is asked for.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Handed to `rollcall serve`, for example `-- --listen 127.0.0.1:9000 --demo 500`.
    #[arg(last = true)]
    server: Vec<String>,
}

/// `cargo xtask run`.
pub(crate) fn command(args: Args) -> Result<()> {
    disk::room_for(ROOM, "release")?;
    bundle::ensure(Purpose::Shipping)?;
    step(
        "Building the server in release",
        "one self-contained program",
        || run(setup::cargo().args(["build", "--release", "--package", "rollcall-server"])),
    )?;
    let program = paths::target()?.join("release").join("rollcall");
    let mut server = Command::new(program);
    server.arg("serve").args(args.server);
    eprintln!("==> {}", display(&server));
    // The server takes this program's place, so that signals reach it and nothing else.
    Err(anyhow!(server.exec()).context(format!("cannot start `{}`", display(&server))))
}
