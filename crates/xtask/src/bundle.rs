//! `bundle`: the browser's part, built by Trunk, put together in `dist/`.
//!
//! What is in `dist/` afterwards, for the server to take in when it is compiled:
//! `pkg/rollcall-client.js`, `pkg/rollcall-client_bg.wasm`, `pkg/snippets/` (if any crate has
//! some), `pkg/rollcall.css`, and everything of `public/`; in a shipping bundle each with `.br` and
//! `.gz` beside it. Names that start with a dot are ours and not to be served.

use crate::process::{run, seconds, step};
use crate::setup::wasm::Purpose;
use crate::setup::{self, Setup};
use crate::{compress, css, fingerprint, paths, shrink, sizes};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// What `bundle` is asked for.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Quick to build and with panic messages, instead of small.
    #[arg(long)]
    dev: bool,
    /// Build even if nothing changed.
    #[arg(long)]
    force: bool,
    /// Say how large each file is, and each crate's part of the WebAssembly.
    #[arg(long, conflicts_with = "dev")]
    sizes: bool,
}

/// `cargo xtask bundle`.
pub(crate) fn command(args: Args) -> Result<()> {
    if args.force {
        remove(&stamp())?;
        for purpose in [Purpose::Development, Purpose::Shipping] {
            remove(&inputs_stamp(purpose)?)?;
        }
    }
    ensure(if args.dev {
        Purpose::Development
    } else {
        Purpose::Shipping
    })?;
    if args.sizes {
        let setup = setup::for_bundle(Purpose::Shipping)?;
        sizes::print(&setup, &named(Purpose::Shipping)?)?;
    }
    Ok(())
}

/// Sets up and builds, unless `dist/` already holds what would come out.
pub(crate) fn ensure(purpose: Purpose) -> Result<()> {
    let start = Instant::now();
    let setup = setup::for_bundle(purpose)?;
    let client = client_fingerprint(purpose, &setup)?;
    let all = fingerprint::of(
        &["style", "public"].map(|name| paths::root().join(name)),
        &[&client],
    )?;
    if fs::read_to_string(stamp()).is_ok_and(|known| known == all) && complete(&paths::dist()) {
        eprintln!("    bundle: nothing changed ({})", seconds(start.elapsed()));
        return Ok(());
    }
    let built = trunk(purpose, &setup, &client)?;
    step(
        "Putting dist/ together",
        "the server takes it in when it is compiled",
        || {
            let whole = assemble(purpose, &built)?;
            if purpose == Purpose::Shipping {
                compress::all(&whole)?;
            }
            remove(&stamp())?;
            mirror(&whole, &paths::dist())?;
            fs::write(stamp(), &all).context("remembering what dist/ was made from")
        },
    )
}

/// A fingerprint of all that Trunk's output depends on.
fn client_fingerprint(purpose: Purpose, setup: &Setup) -> Result<String> {
    let inputs = [
        "crates/core",
        "crates/client",
        "crates/xtask/src/shrink.rs",
        "crates/xtask/src/wasm.rs",
        "Cargo.toml",
        "Cargo.lock",
        "Trunk.toml",
    ];
    fingerprint::of(
        &inputs.map(|name| paths::root().join(name)),
        &[name(purpose), &setup.wasm.to_string()],
    )
}

/// Lets Trunk compile the client, unless it did so for the same inputs; returns its output folder.
fn trunk(purpose: Purpose, setup: &Setup, inputs: &str) -> Result<PathBuf> {
    let folder = paths::client_target()?.join(format!("trunk-{}", name(purpose)));
    let stamp = inputs_stamp(purpose)?;
    if fs::read_to_string(&stamp).is_ok_and(|known| known == inputs) && has_client(&folder) {
        return Ok(folder);
    }
    remove(&stamp)?;
    fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    let why = match purpose {
        Purpose::Development => "pages become interactive; quick build with panic messages",
        Purpose::Shipping => "pages become interactive; as small as it can be",
    };
    step("Building the browser's part with Trunk", why, || {
        let mut command = Command::new("trunk");
        command
            .current_dir(paths::root())
            .arg("build")
            .arg("--dist")
            .arg(&folder)
            .env("PATH", paths::path_with(&setup.path)?)
            .env("TRUNK_SKIP_VERSION_CHECK", "true")
            .env("TRUNK_TOOLS_WASM_BINDGEN", setup::wasm_bindgen_version()?)
            // Trunk takes these for an option of its own and refuses the usual values.
            .env_remove("NO_COLOR")
            .env_remove("RUST_LOG");
        if purpose == Purpose::Shipping {
            command.arg("--release");
        }
        setup.wasm.configure(&mut command, purpose)?;
        run(&mut command)?;
        if !has_client(&folder) {
            bail!(
                "Trunk left no rollcall-client.js and .wasm in {}",
                folder.display()
            );
        }
        Ok(())
    })?;
    let wasm = folder.join("rollcall-client_bg.wasm");
    if purpose == Purpose::Shipping {
        let named = named(purpose)?;
        fs::rename(&wasm, &named).with_context(|| format!("moving {}", wasm.display()))?;
        step("Shrinking it", "wasm-opt", || {
            shrink::optimise(setup, &named, &wasm, false)?;
            shrink::shorten_imports(&wasm, &folder.join("rollcall-client.js"))
        })?;
    }
    fs::write(&stamp, inputs).with_context(|| format!("writing {}", stamp.display()))?;
    Ok(folder)
}

/// Puts Trunk's output, the style sheet and the public files into one fresh folder.
fn assemble(purpose: Purpose, built: &Path) -> Result<PathBuf> {
    let whole = paths::client_target()?.join(format!("dist-{}", name(purpose)));
    remove(&whole)?;
    let package = whole.join("pkg");
    mirror(built, &package)?;
    // Trunk's page; ours are rendered by the server.
    remove(&package.join("index.html"))?;

    let entry = paths::root().join("style").join("main.css");
    let mut sheet = css::bundle(&entry)?;
    if purpose == Purpose::Shipping {
        sheet = css::minify(&sheet);
    }
    fs::write(package.join("rollcall.css"), sheet)?;

    let public = paths::root().join("public");
    for file in fingerprint::files(&public)? {
        let target = whole.join(file.strip_prefix(&public)?);
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::copy(&file, target).with_context(|| format!("copying {}", file.display()))?;
    }
    Ok(whole)
}

/// Makes `to` hold the files of `from` and no others; files that are equal already are not touched,
/// so that cargo does not take them for changed.
fn mirror(from: &Path, to: &Path) -> Result<()> {
    for file in fingerprint::files(from)? {
        let target = to.join(file.strip_prefix(from)?);
        let content = fs::read(&file).with_context(|| format!("reading {}", file.display()))?;
        if fs::read(&target).is_ok_and(|known| known == content) {
            continue;
        }
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&target, content).with_context(|| format!("writing {}", target.display()))?;
    }
    for file in fingerprint::files(to)? {
        if !from.join(file.strip_prefix(to)?).is_file() {
            remove(&file)?;
        }
    }
    Ok(())
}

fn complete(dist: &Path) -> bool {
    let package = dist.join("pkg");
    has_client(&package) && package.join("rollcall.css").is_file()
}

fn has_client(folder: &Path) -> bool {
    ["rollcall-client.js", "rollcall-client_bg.wasm"]
        .iter()
        .all(|name| folder.join(name).is_file())
}

fn name(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Development => "dev",
        Purpose::Shipping => "release",
    }
}

/// The WebAssembly before wasm-opt, with the names of its functions.
fn named(purpose: Purpose) -> Result<PathBuf> {
    Ok(paths::client_target()?.join(format!("trunk-{}.wasm", name(purpose))))
}

/// Remembers what `dist/` was made from.
fn stamp() -> PathBuf {
    paths::dist().join(".bundle")
}

/// Remembers what Trunk's output was made from.
fn inputs_stamp(purpose: Purpose) -> Result<PathBuf> {
    Ok(paths::client_target()?.join(format!("trunk-{}.inputs", name(purpose))))
}

/// Removes a file or a folder, if it is there.
fn remove(path: &Path) -> Result<()> {
    let removed = if path.is_dir() {
        fs::remove_dir_all(path)
    } else if path.exists() {
        fs::remove_file(path)
    } else {
        Ok(())
    };
    removed.with_context(|| format!("removing {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirroring_adds_changes_and_removes_and_leaves_equal_files_alone() -> Result<()> {
        let folder = std::env::temp_dir().join(format!("xtask-mirror-{}", std::process::id()));
        let (from, to) = (folder.join("from"), folder.join("to"));
        fs::create_dir_all(from.join("deep"))?;
        fs::create_dir_all(&to)?;
        fs::write(from.join("same"), "1")?;
        fs::write(from.join("deep/new"), "2")?;
        fs::write(to.join("same"), "1")?;
        fs::write(to.join("gone"), "3")?;
        let before = fs::metadata(to.join("same"))?.modified()?;
        mirror(&from, &to)?;
        assert_eq!(fs::read_to_string(to.join("deep/new"))?, "2");
        assert!(!to.join("gone").exists());
        assert_eq!(fs::metadata(to.join("same"))?.modified()?, before);
        fs::remove_dir_all(&folder)?;
        Ok(())
    }
}
