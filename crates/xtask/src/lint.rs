//! `lint`: formatting, lints for both targets, and documentation, all with warnings denied.

use crate::process::{run, seconds, step};
use crate::setup::wasm::{self, Purpose};
use crate::setup::{self, cargo};
use anyhow::{Result, bail};
use std::time::Instant;

/// `cargo xtask lint`.
pub(crate) fn command() -> Result<()> {
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

fn lint_client() -> Result<()> {
    let compiler = setup::wasm_compiler()?;
    let mut clippy = if compiler.is_other() {
        setup::programs::other_clippy()?
    } else {
        cargo()
    };
    clippy
        .current_dir(crate::paths::root())
        .args(["clippy", "--package", "rollcall-client", "--lib"])
        .args(["--features", "hydrate", "--target", wasm::TARGET])
        // The bundle's profile: what it compiled for the host, macros above all, is used again.
        .args(["--profile", "wasm-dev"])
        .args(["--", "-Dwarnings"]);
    compiler.configure(&mut clippy, Purpose::Development)?;
    run(&mut clippy)
}
