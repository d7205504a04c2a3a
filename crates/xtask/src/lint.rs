//! `lint`: formatting, lints for both targets, documentation, all with warnings denied, and dependencies.

use crate::paths;
use crate::process::{run, seconds, step};
use crate::setup::wasm::{self, Purpose};
use crate::setup::{self, cargo};
use anyhow::{Result, bail};
use std::time::Instant;

/// What `lint` is asked for.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Look for dependencies with known vulnerabilities too; fetches the RustSec advisory database.
    #[arg(long)]
    advisories: bool,
}

/// `cargo xtask lint`.
pub(crate) fn command(args: Args) -> Result<()> {
    let start = Instant::now();
    // All of them, even after a failure: one run should show everything that is to be done.
    let results = [
        step("Formatting", "cargo fmt", || {
            run(cargo().args(["fmt", "--all", "--check"]))
        }),
        step("Lints of the host build", "cargo clippy", || {
            run(cargo()
                .args(["clippy", "--workspace", "--all-targets", "--features"])
                .args(["rollcall-client/ssr", "--", "-Dwarnings"]))
        }),
        step("Lints of the browser build", "cargo clippy", lint_client),
        step(
            "Generated files",
            "what the server writes of itself",
            || crate::generate::generate(true),
        ),
        step("Documentation", "cargo doc", || {
            run(cargo()
                .args([
                    "doc",
                    "--workspace",
                    "--no-deps",
                    "--features",
                    "rollcall-client/ssr",
                ])
                .env("RUSTDOCFLAGS", "-Dwarnings"))
        }),
        step(
            "Dependencies",
            "licences, sources and what deny.toml bans",
            || dependencies(args.advisories),
        ),
    ];
    let mut failed = false;
    for error in results.into_iter().filter_map(Result::err) {
        eprintln!("error: {error:#}");
        failed = true;
    }
    if failed {
        bail!("there is something to mend");
    }
    eprintln!("lints: passed in {}", seconds(start.elapsed()));
    Ok(())
}

fn dependencies(advisories: bool) -> Result<()> {
    let mut deny = cargo();
    deny.env("PATH", paths::path_with(&[setup::deny()?])?)
        .args(["deny", "--log-level", "error", "check"])
        .args(["--hide-inclusion-graph", "bans", "licenses", "sources"]);
    if advisories {
        deny.arg("advisories");
    }
    run(&mut deny)
}

fn lint_client() -> Result<()> {
    let compiler = setup::wasm_compiler()?;
    let mut clippy = if compiler.is_other() {
        setup::programs::other_clippy()?
    } else {
        cargo()
    };
    clippy
        .current_dir(paths::root())
        .args(["clippy", "--package", "rollcall-client", "--lib"])
        .args(["--features", "hydrate", "--target", wasm::TARGET])
        // The bundle's profile: what it compiled for the host, macros above all, is used again.
        .args(["--profile", "wasm-dev"])
        .args(["--", "-Dwarnings"]);
    compiler.configure(&mut clippy, Purpose::Development)?;
    run(&mut clippy)
}
