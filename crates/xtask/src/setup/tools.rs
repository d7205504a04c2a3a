//! Trunk, wasm-bindgen and wasm-opt: used from `PATH` at exactly the right version, else installed
//! into the tools folder.
//!
//! Each version has a folder of its own there, so a finished folder is a proof and needs no check.

use crate::paths;
use crate::process::{quiet, run, step, version};
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The newest Trunk that our `rust-version` can compile.
const TRUNK: &str = "0.21.14";
/// Binaryen, whose program `wasm-opt` is; `npm/package.json` says the same.
const BINARYEN: &str = "132";
/// cargo-mutants, for `mutants` only.
const MUTANTS: &str = "27.1.0";
/// cargo-deny, for `lint`.
const DENY: &str = "0.20.2";
/// schemathesis, for `proof` only.
const SCHEMATHESIS: &str = "4.32.5";
/// aiosmtpd, for the end-to-end tests only.
const AIOSMTPD: &str = "1.4.6";
const NPM_MANIFEST: &str = include_str!("../../npm/package.json");
const NPM_LOCK: &str = include_str!("../../npm/package-lock.json");

/// Finds or installs all three and returns the folders that they are in.
pub(super) fn ensure() -> Result<Vec<PathBuf>> {
    let bindgen = wasm_bindgen_version()?;
    let folders = [
        on_path("trunk", &format!("trunk {TRUNK}"))
            .map_or_else(|| install_crate("trunk", "trunk", TRUNK, &["--locked"]), Ok)?,
        // Not locked: the lock file of this release names a crate version that was withdrawn.
        on_path("wasm-bindgen", &format!("wasm-bindgen {bindgen}")).map_or_else(
            || install_crate("wasm-bindgen-cli", "wasm-bindgen", &bindgen, &[]),
            Ok,
        )?,
        on_path("wasm-opt", &format!("wasm-opt version {BINARYEN} "))
            .map_or_else(install_wasm_opt, Ok)?,
    ];
    Ok(folders.to_vec())
}

/// Finds or installs cargo-mutants.
pub(super) fn mutants() -> Result<PathBuf> {
    on_path("cargo-mutants", &format!("cargo-mutants {MUTANTS}")).map_or_else(
        || install_crate("cargo-mutants", "cargo-mutants", MUTANTS, &["--locked"]),
        Ok,
    )
}

/// Finds or installs cargo-deny.
pub(super) fn deny() -> Result<PathBuf> {
    on_path("cargo-deny", &format!("cargo-deny {DENY}")).map_or_else(
        || install_crate("cargo-deny", "cargo-deny", DENY, &["--locked"]),
        Ok,
    )
}

/// The program schemathesis.
pub(super) fn schemathesis() -> Result<PathBuf> {
    install_python_package(
        "schemathesis",
        SCHEMATHESIS,
        "asks the API whatever its document allows",
    )
}

/// The program aiosmtpd.
pub(super) fn aiosmtpd() -> Result<PathBuf> {
    install_python_package(
        "aiosmtpd",
        AIOSMTPD,
        "takes the mails of the end-to-end tests",
    )
}

/// Installs a package in a Python environment of its own, and returns the program that is called like it.
fn install_python_package(name: &str, version: &str, what_for: &str) -> Result<PathBuf> {
    let folder = paths::tools()?.join(format!("{name}-{version}"));
    let program = folder.join("bin").join(name);
    if program.is_file() {
        return Ok(program);
    }
    super::programs::python()?;
    step(
        &format!("Installing {name} {version}"),
        &format!("{what_for}; a Python package, once per machine"),
        || {
            quiet(
                Command::new("python3")
                    .args(["-m", "venv", "--clear"])
                    .arg(&folder),
            )?;
            let package = format!("{name}=={version}");
            let pip = Command::new(folder.join("bin").join("pip"))
                .args([
                    "install",
                    "--quiet",
                    "--disable-pip-version-check",
                    &package,
                ])
                .status()
                .context("starting pip")?;
            // A half one would pass for a whole one the next time.
            if !pip.success() {
                fs::remove_dir_all(&folder)?;
                anyhow::bail!("pip could not install {package}");
            }
            Ok(())
        },
    )?;
    Ok(program)
}

/// The version of the `wasm-bindgen` crate in `Cargo.lock`: the tool must be the very same.
pub(crate) fn wasm_bindgen_version() -> Result<String> {
    let path = paths::root().join("Cargo.lock");
    let lock = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    lock.split("[[package]]")
        .find(|package| package.contains("\nname = \"wasm-bindgen\"\n"))
        .and_then(|package| package.split("version = \"").nth(1)?.split('"').next())
        .map(str::to_owned)
        .context("Cargo.lock has no wasm-bindgen")
}

/// The folder of a program on `PATH` whose `--version` starts with `expected`.
fn on_path(name: &str, expected: &str) -> Option<PathBuf> {
    let program = paths::which(name)?;
    let said = format!("{} ", version(&program)?.replace('\n', " "));
    // The blank keeps 0.21.14 from passing for 0.21.1.
    said.starts_with(&format!("{} ", expected.trim_end()))
        .then(|| program.parent().map(Path::to_path_buf))?
}

fn install_crate(package: &str, program: &str, version: &str, flags: &[&str]) -> Result<PathBuf> {
    let folder = paths::tools()?.join(format!("{program}-{version}"));
    let bin = folder.join("bin");
    if bin.join(program).is_file() {
        return Ok(bin);
    }
    fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    step(
        &format!("Compiling {package} {version}"),
        "no program of this version is on PATH; once per machine, 2 to 5 minutes",
        || {
            run(super::cargo()
                .current_dir(&folder)
                .args(["install", "--debug", "--version", version])
                .args(flags)
                .arg("--root")
                .arg(&folder)
                .arg(package)
                // A temporary folder then, which cargo removes by itself.
                .env_remove("CARGO_TARGET_DIR")
                // Quick to compile counts more than quick to run: they mostly wait for others.
                .env("CARGO_PROFILE_DEV_DEBUG", "false")
                .env(
                    "CARGO_PROFILE_DEV_OPT_LEVEL",
                    if program == "trunk" { "0" } else { "1" },
                ))
        },
    )?;
    Ok(bin)
}

fn install_wasm_opt() -> Result<PathBuf> {
    let tools = paths::tools()?;
    let folder = tools.join(format!("binaryen-{BINARYEN}"));
    let bin = folder.join("node_modules").join(".bin");
    if bin.join("wasm-opt").exists() {
        return Ok(bin);
    }
    step(
        &format!("Installing wasm-opt {BINARYEN}"),
        "makes the WebAssembly smaller; npm package binaryen",
        || {
            // Installed beside its place and moved there whole, so that a half one is never used.
            let draft = tools.join(format!("binaryen-draft-{}", std::process::id()));
            fs::create_dir_all(&draft).with_context(|| format!("creating {}", draft.display()))?;
            fs::write(draft.join("package.json"), NPM_MANIFEST)?;
            fs::write(draft.join("package-lock.json"), NPM_LOCK)?;
            quiet(
                Command::new("npm")
                    .args(["ci", "--no-audit", "--no-fund"])
                    .current_dir(&draft),
            )?;
            if folder.exists() {
                fs::remove_dir_all(&folder)?;
            }
            fs::rename(&draft, &folder).with_context(|| format!("moving to {}", folder.display()))
        },
    )?;
    Ok(bin)
}
