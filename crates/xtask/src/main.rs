//! Sets up, builds, runs and tests Rollcall: `cargo xtask <command>`.
//!
//! **Invariant:** one command per file, and nothing here is needed by the server at run time.

mod bench;
mod bundle;
mod compress;
mod css;
mod dev;
mod disk;
mod e2e;
mod fingerprint;
mod generate;
mod lint;
mod mutants;
mod paths;
mod postgres;
mod process;
mod proof;
mod run;
mod setup;
mod shrink;
mod sizes;
mod test;
mod wasm;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Sets up, builds, runs and tests Rollcall.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Install what is missing: the WebAssembly target, Trunk, wasm-bindgen, wasm-opt.
    ///
    /// Every other command does this by itself; a second time takes no noticeable time.
    Setup(setup::Args),
    /// Build the browser's part into `dist/`, for the server to take in when it is compiled.
    Bundle(bundle::Args),
    /// Build everything in release and start the server on http://localhost:8080.
    Run(run::Args),
    /// Start a development server that is rebuilt and restarted on every change.
    Dev(dev::Args),
    /// Run every test, those in a real browser included.
    Test(test::Args),
    /// Measure speed, sizes and memory, each beside what it is compared with.
    Bench(bench::Args),
    /// Show on real servers what faults and races do: kills, full disks, storms of requests.
    Proof(proof::Args),
    /// Change the code in many small ways and see whether a test notices each.
    Mutants(mutants::Args),
    /// Write the generated files: the list of settings and the OpenAPI document.
    Gen(generate::Args),
    /// Check formatting, lints (host and WebAssembly), documentation and dependencies.
    Lint(lint::Args),
}

fn main() -> ExitCode {
    match run_command(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run_command(command: Command) -> Result<()> {
    match command {
        Command::Setup(args) => setup::command(args),
        Command::Bundle(args) => bundle::command(args),
        Command::Run(args) => run::command(args),
        Command::Dev(args) => dev::command(args),
        Command::Test(args) => test::command(args),
        Command::Bench(args) => bench::command(args),
        Command::Proof(args) => proof::command(args),
        Command::Mutants(args) => mutants::command(args),
        Command::Gen(args) => generate::command(args),
        Command::Lint(args) => lint::command(args),
    }
}
