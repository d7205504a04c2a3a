//! Compressed copies beside the files of a shipping bundle, so that the server never compresses.

use crate::paths;
use crate::process::output;
use anyhow::{Context, Result};
use std::path::Path;
use std::process::Command;

/// Node brings brotli along; a crate for it would take longer to compile than this takes to run.
const SCRIPT: &str = include_str!("compress.mjs");

/// Writes `.br` and `.gz` beside each file that shrinks by it, and says what came of it.
///
/// Both, since browsers ask for brotli only over HTTPS and on localhost.
pub(crate) fn all(folder: &Path) -> Result<()> {
    let node = paths::which("node").context("node is not on PATH")?;
    let report = output(
        Command::new(node)
            .args(["--input-type=module", "--eval", SCRIPT, "--"])
            .arg(folder),
    )?;
    eprint!("{report}");
    Ok(())
}
