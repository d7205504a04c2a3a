//! `gen`: files that the program itself writes, so that they cannot differ from it. They are committed;
//! `gen --check` wants nothing to change.

use crate::paths;
use crate::process::{output, step};
use crate::setup::cargo;
use anyhow::{Context, Result, bail};
use std::fs;

/// Each file and the arguments that make the server print it.
const FILES: [(&str, &[&str]); 2] = [
    ("docs/configuration.md", &["settings", "--markdown"]),
    ("docs/openapi.json", &["openapi"]),
];

/// The options of `gen`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Change nothing; fail if a file is not what the program writes.
    #[arg(long)]
    check: bool,
}

/// `cargo xtask gen`.
pub(crate) fn command(args: Args) -> Result<()> {
    step("Generated files", "written by the server itself", || {
        generate(args.check)
    })
}

/// Writes the files, or compares them.
pub(crate) fn generate(check: bool) -> Result<()> {
    let mut differing = Vec::new();
    for (file, arguments) in FILES {
        let mut server = cargo();
        server
            .current_dir(paths::root())
            .args(["run", "--quiet", "--package", "rollcall-server", "--"])
            .args(arguments);
        let text = output(&mut server)?;
        let path = paths::root().join(file);
        if fs::read_to_string(&path).is_ok_and(|now| now == text) {
            continue;
        }
        if check {
            differing.push(file);
        } else {
            fs::write(&path, text).with_context(|| format!("cannot write {file}"))?;
        }
    }
    if !differing.is_empty() {
        bail!(
            "out of date: {}; run `cargo xtask gen` and commit the result",
            differing.join(", ")
        );
    }
    Ok(())
}
