//! Makes the WebAssembly of a bundle small, after it is compiled.

use crate::paths;
use crate::process::run;
use crate::setup::Setup;
use crate::wasm;
use anyhow::{Context, Result, bail};
use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::Command;

/// What wasm-opt may use: what the compiler's output uses by default.
const FEATURES: [&str; 7] = [
    "--enable-bulk-memory",
    "--enable-bulk-memory-opt",
    "--enable-nontrapping-float-to-int",
    "--enable-sign-ext",
    "--enable-mutable-globals",
    "--enable-multivalue",
    "--enable-reference-types",
];

/// Smaller as it is sent, compressed: what repeats itself is left repeating, and functions that are alike, which
/// have names alike, are put next to each other. wasm-opt's own `-Os` and `-Oz` make the file smaller and what
/// comes out of brotli larger, since they number locals anew and inline, so that no two functions look alike.
const PASSES: [&str; 15] = [
    "--duplicate-function-elimination",
    "--remove-unused-module-elements",
    "--memory-packing",
    "--dce",
    "--remove-unused-names",
    "--remove-unused-brs",
    "--vacuum",
    "--optimize-instructions",
    "--dae-optimizing",
    "--merge-blocks",
    "--vacuum",
    "--duplicate-function-elimination",
    "--remove-unused-module-elements",
    "--reorder-functions-by-name",
    "--reorder-locals",
];

/// Gives what `file` imports from its script short names, in both: wasm-bindgen's own end in sixteen random
/// digits each, which is what compresses worst in the whole bundle.
pub(crate) fn shorten_imports(file: &Path, script: &Path) -> Result<()> {
    let bytes = fs::read(file).with_context(|| format!("reading {}", file.display()))?;
    let mut text =
        fs::read_to_string(script).with_context(|| format!("reading {}", script.display()))?;
    let mut renamed = HashMap::new();
    let imported = wasm::imported_functions(&bytes)?;
    for name in imported.into_iter().filter(|name| is_hashed(name)) {
        let short = format!("i{}", renamed.len());
        if !text.contains(name) {
            bail!("the script does not have {name}");
        }
        text = text.replace(name, &short);
        renamed.insert(name.to_owned(), short);
    }
    fs::write(file, wasm::with_imports(&bytes, &renamed)?)
        .with_context(|| format!("writing {}", file.display()))?;
    fs::write(script, text).with_context(|| format!("writing {}", script.display()))
}

/// Whether a name ends in a hash.
fn is_hashed(name: &str) -> bool {
    name.rsplit_once('_').is_some_and(|(_, hash)| {
        hash.len() == 16 && hash.bytes().all(|digit| digit.is_ascii_hexdigit())
    })
}

/// Lets wasm-opt write a small `to` for `from`; `named` keeps the names of functions.
pub(crate) fn optimise(setup: &Setup, from: &Path, to: &Path, named: bool) -> Result<()> {
    let mut command = Command::new("wasm-opt");
    command
        .env("PATH", paths::path_with(&setup.path)?)
        .args(PASSES)
        .arg("--strip-producers")
        // Streams of bytes, which server_fn exports whether or not they are used.
        .arg("--remove-exports=*intounderlying*")
        .args(FEATURES)
        .arg(from)
        .arg("-o")
        .arg(to);
    command.arg(if named { "-g" } else { "--strip-debug" });
    run(&mut command)
}
