//! `mutants`: changes the code in many small ways, one at a time, and sees whether a test notices.

use crate::postgres::Postgres;
use crate::process::run;
use crate::{paths, setup, test};
use anyhow::{Context, Result};
use clap::ValueEnum;

/// What `mutants` is asked for. Which files, and what is left out and why, stands in `.cargo/mutants.toml`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Which crate is changed. The tests of that crate alone are run against each change.
    #[arg(value_enum, default_value = "core")]
    part: Part,
    /// What is passed on to cargo-mutants, such as `--re rotation`, `--shard 0/8` or `--list`.
    #[arg(last = true)]
    passed_on: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Everything in rollcall-core: about three hours.
    Core,
    /// Rotation, ending, authorisation and audit in rollcall-server: a minute or two for each change.
    Server,
}

/// `cargo xtask mutants`.
pub(crate) fn command(args: Args) -> Result<()> {
    let tool = setup::mutants()?;
    let package = match args.part {
        Part::Core => "rollcall-core",
        Part::Server => "rollcall-server",
    };
    let output = paths::target()?.join("mutants").join(package);
    std::fs::create_dir_all(&output).with_context(|| format!("creating {}", output.display()))?;
    let mut command = setup::cargo();
    command
        .env("PATH", paths::path_with(&[tool])?)
        .args(["mutants", "--package", package, "--test-package", package])
        .arg("--output")
        .arg(&output)
        // The tests themselves are not looked at, and a change that makes one hang counts as noticed.
        .args(["--no-shuffle", "--minimum-test-timeout", "120"])
        .args(args.passed_on);
    // Both databases for the server; core has none.
    let postgres = (args.part == Part::Server)
        .then(Postgres::start)
        .transpose()?;
    if let Some(postgres) = &postgres {
        command.env(test::POSTGRES_URL, postgres.url());
    }
    run(&mut command).context("there are changes that no test notices, or the tests did not run")
}
