//! The set-up that every command starts with: finds or installs what cargo and Node do not bring.
//!
//! **Invariant:** nothing that is already there at the right version is touched, and only Debian
//! packages are installed outside the tools folder, only as root.

mod debian;
pub(crate) mod programs;
mod tools;
pub(crate) mod wasm;

use crate::process::seconds;
use anyhow::{Context, Result};
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

/// What `setup` is asked for.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Also what `test` needs: Chromium and PostgreSQL.
    #[arg(long)]
    tests: bool,
}

/// Everything that a bundle needs, found or installed.
pub(crate) struct Setup {
    /// Folders that go in front of `PATH` for the bundle's build.
    pub(crate) path: Vec<PathBuf>,
    /// The compiler of the bundle.
    pub(crate) wasm: wasm::Compiler,
}

/// `cargo xtask setup`.
pub(crate) fn command(args: Args) -> Result<()> {
    for_bundle(wasm::Purpose::Shipping)?;
    for_bundle(wasm::Purpose::Development)?;
    if args.tests {
        programs::chromium()?;
        programs::proxies()?;
        tools::aiosmtpd()?;
        programs::postgres()?;
    }
    Ok(())
}

/// Finds or installs the tools of the bundle.
pub(crate) fn for_bundle(purpose: wasm::Purpose) -> Result<Setup> {
    let start = Instant::now();
    programs::node()?;
    let tools = tools::ensure()?;
    let wasm = wasm::ensure(purpose)?;
    let mut path: Vec<PathBuf> = wasm.path().into_iter().collect();
    path.extend(tools);
    eprintln!(
        "    set-up: Trunk, wasm-bindgen, wasm-opt and {wasm} are in place ({})",
        seconds(start.elapsed())
    );
    Ok(Setup { path, wasm })
}

/// A compiler for WebAssembly alone, for checks that need no bundle.
pub(crate) fn wasm_compiler() -> Result<wasm::Compiler> {
    wasm::ensure(wasm::Purpose::Development)
}

/// The folder of cargo-mutants.
pub(crate) fn mutants() -> Result<PathBuf> {
    tools::mutants()
}

/// The folder of cargo-deny.
pub(crate) fn deny() -> Result<PathBuf> {
    tools::deny()
}

/// The program schemathesis.
pub(crate) fn schemathesis() -> Result<PathBuf> {
    tools::schemathesis()
}

/// The program aiosmtpd.
pub(crate) fn aiosmtpd() -> Result<PathBuf> {
    tools::aiosmtpd()
}

/// The version of wasm-bindgen that the bundle is made with.
pub(crate) fn wasm_bindgen_version() -> Result<String> {
    tools::wasm_bindgen_version()
}

/// The cargo that runs this program, so that every build uses one and the same.
pub(crate) fn cargo() -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.current_dir(crate::paths::root());
    command
}

/// Whether this program runs as root.
pub(crate) fn is_root() -> Result<bool> {
    let id =
        crate::process::output(Command::new("id").arg("-u")).context("asking who runs this")?;
    Ok(id.trim() == "0")
}
