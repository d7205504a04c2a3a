//! How large the bundle is, and what of it: `bundle --sizes`.

use crate::setup::Setup;
use crate::{fingerprint, paths, shrink, wasm};
use anyhow::{Context, Result};
use std::collections::HashMap;
use std::fs;
use std::path::Path;

/// Crates with less than this in the bundle are not named.
const LEAST: usize = 2_000;

/// Prints the size of each file, plain and compressed, and of each crate's part of the WebAssembly, which is
/// `named` after wasm-opt.
pub(crate) fn print(setup: &Setup, named: &Path) -> Result<()> {
    let (mut plain, mut compressed) = (0, 0);
    println!("{:>10} {:>10}", "bytes", "brotli");
    for file in fingerprint::files(&paths::dist())? {
        let name = file.strip_prefix(paths::dist())?.display().to_string();
        if name.ends_with(".br") || name.ends_with(".gz") {
            continue;
        }
        let size = fs::metadata(&file)?.len();
        let brotli = fs::metadata(format!("{}.br", file.display())).map_or(size, |it| it.len());
        println!("{size:>10} {brotli:>10} {name}");
        plain += size;
        compressed += brotli;
    }
    println!("{plain:>10} {compressed:>10} all\n");

    let optimised = named.with_extension("optimised.wasm");
    shrink::optimise(setup, named, &optimised, true)?;
    let bytes = fs::read(&optimised).with_context(|| format!("reading {}", optimised.display()))?;
    let mut crates: HashMap<&str, (usize, usize)> = HashMap::new();
    let functions = wasm::functions(&bytes)?;
    for function in &functions {
        let (size, count) = crates.entry(crate_of(&function.name)).or_default();
        *size += function.size;
        *count += 1;
    }
    let mut crates: Vec<_> = crates.into_iter().collect();
    crates.sort_by_key(|(_, (size, _))| std::cmp::Reverse(*size));
    println!(
        "{:>10} {:>10} crate, of the WebAssembly's code",
        "bytes", "functions"
    );
    for (name, (size, count)) in crates.into_iter().filter(|(_, (size, _))| *size >= LEAST) {
        println!("{size:>10} {count:>10} {name}");
    }
    Ok(())
}

/// The crate that a function is written in. For the methods of a trait that is the crate of the type; where the
/// name does not tell the type (`<_ as tachys::…>`), of the trait.
fn crate_of(function: &str) -> &str {
    let mut rest = function;
    while let Some(shorter) = ["<", "&", "(", "[", "*", "mut ", "const ", "dyn ", "_ as "]
        .iter()
        .find_map(|start| rest.strip_prefix(start))
    {
        rest = shorter;
    }
    let end = rest
        .find(|letter: char| !letter.is_alphanumeric() && letter != '_')
        .unwrap_or(rest.len());
    match rest.get(end..end + 1) {
        Some("[" | ":") => &rest[..end],
        _ => "(others)",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crate_of_a_function_is_read_from_its_name() {
        for (name, expected) in [
            ("serde_json[76a0]::de::from_str::<u8>", "serde_json"),
            (
                "<&mut serde_json[76a0]::de::Deserializer<_> as serde_core[22]::De>::x",
                "serde_json",
            ),
            (
                "<_ as tachys[3e]::view::any_view::IntoAny>::into_any::build::<u8>",
                "tachys",
            ),
            ("alloc::vec::Vec<u8>::push", "alloc"),
            ("hydrate", "(others)"),
            ("", "(others)"),
        ] {
            assert_eq!(crate_of(name), expected, "{name}");
        }
    }
}
