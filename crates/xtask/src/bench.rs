//! `bench`: builds everything in release and measures what `docs/performance.md` quotes.

use crate::postgres::Postgres;
use crate::process::{run, step};
use crate::setup::wasm::Purpose;
use crate::{bundle, paths, setup};
use anyhow::Result;
use std::path::PathBuf;

/// What `bench` is asked for.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// On SQLite only.
    #[arg(long)]
    sqlite_only: bool,
    /// Handed to the benchmark, for example `-- --only token,lists --runs 5 --explain`.
    #[arg(last = true)]
    measure: Vec<String>,
}

/// `cargo xtask bench`.
pub(crate) fn command(args: Args) -> Result<()> {
    setup::programs::measuring()?;
    bundle::ensure(Purpose::Shipping)?;
    step(
        "Building the server and the benchmark in release",
        "with the bundle inside",
        || {
            run(setup::cargo().args(["build", "--release"]).args([
                "--package",
                "rollcall-server",
                "--package",
                "rollcall-bench",
            ]))
        },
    )?;
    let rival = rival()?;
    let postgres = match args.sqlite_only {
        true => None,
        false => Some(Postgres::start()?),
    };
    let release = paths::target()?.join("release");
    let mut measure = std::process::Command::new(release.join("rollcall-bench"));
    measure
        .arg("measure")
        .arg("--server")
        .arg(release.join("rollcall"))
        .arg("--tower-sessions")
        .arg(rival)
        .arg("--data")
        .arg(paths::target()?.join("bench-data"))
        .args(args.measure);
    if let Some(postgres) = &postgres {
        measure.args(["--postgres", postgres.url()]);
    }
    run(&mut measure)
}

/// Builds the program that tower-sessions is measured with, in its own workspace.
fn rival() -> Result<PathBuf> {
    let folder = paths::root().join("crates/bench/tower-sessions");
    let target = paths::target()?.join("tower-sessions");
    step(
        "Building the comparison with tower-sessions",
        "a workspace of its own",
        || {
            run(setup::cargo()
                .current_dir(&folder)
                .args(["build", "--release", "--target-dir"])
                .arg(&target))
        },
    )?;
    Ok(target.join("release").join("bench-tower-sessions"))
}
