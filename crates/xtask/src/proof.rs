//! `proof`: full counts of the faults and races that `docs/proof.md` tells of.

use crate::postgres::Postgres;
use crate::process::{run, step};
use crate::{paths, setup, test};
use anyhow::Result;
use std::process::Command;

/// What `proof` is asked for.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// On SQLite only.
    #[arg(long)]
    sqlite_only: bool,
    /// With the server built in release.
    #[arg(long)]
    release: bool,
    /// Only these proofs, separated by commas.
    #[arg(long)]
    only: Option<String>,
    /// How often, instead of each proof's own count.
    #[arg(long)]
    times: Option<u32>,
    /// The short counts.
    #[arg(long)]
    short: bool,
}

/// `cargo xtask proof`.
pub(crate) fn command(args: Args) -> Result<()> {
    let postgres = match args.sqlite_only {
        true => None,
        false => Some(Postgres::start()?),
    };
    prove(&args, postgres.as_ref().map(Postgres::url))
}

/// The short counts, for `cargo xtask test`.
pub(crate) fn short(postgres: &str) -> Result<()> {
    let args = Args {
        sqlite_only: false,
        release: false,
        only: None,
        times: None,
        short: true,
    };
    prove(&args, Some(postgres))
}

fn prove(args: &Args, postgres: Option<&str>) -> Result<()> {
    setup::programs::breaking()?;
    step(
        "Building the server and the proofs",
        "as real processes",
        || {
            let mut build = setup::cargo();
            build.arg("build");
            if args.release {
                build.args(["--release", "--package", "rollcall-server"]);
                build.args(["--package", "rollcall-proof"]);
            } else {
                // What the tests have compiled already.
                build.arg("--bins").args(test::SELECTION);
            }
            run(&mut build)
        },
    )?;
    let built = paths::target()?.join(if args.release { "release" } else { "debug" });
    let mut proof = Command::new(built.join("rollcall-proof"));
    proof
        .arg("--server")
        .arg(built.join("rollcall"))
        .arg("--data")
        .arg(paths::target()?.join("proof-data"));
    if let Some(url) = postgres {
        proof.args(["--postgres", url]);
    }
    if let Some(only) = &args.only {
        proof.args(["--only", only]);
    }
    if let Some(times) = args.times {
        proof.args(["--times", &times.to_string()]);
    }
    if args.short {
        proof.arg("--short");
    } else if args
        .only
        .as_deref()
        .is_none_or(|only| only.contains("document"))
    {
        proof.arg("--schemathesis").arg(setup::schemathesis()?);
    }
    run(&mut proof)
}
