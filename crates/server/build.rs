//! Puts the bundle that Trunk built (`dist/`), the style sheet and the icons into the binary. Without a
//! bundle everything still compiles; the server then serves pages without scripts.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let root = Path::new(&env::var("CARGO_MANIFEST_DIR").unwrap_or_default())
        .join("../..")
        .canonicalize()?;
    let mut files = BTreeMap::new();
    // What is not there, cargo takes for changed each time; an empty folder it can watch. Where the
    // source cannot be written to, nothing will appear in it either.
    let _ = fs::create_dir_all(root.join("dist"));
    for folder in ["public", "dist"] {
        if root.join(folder).exists() {
            println!("cargo::rerun-if-changed={}", root.join(folder).display());
        }
        collect(&root.join(folder), "", &mut files)?;
    }
    // The pages come from the server; Trunk's own page would be served without any of its headers.
    files.retain(|path, _| !path.ends_with(".html"));
    let out = PathBuf::from(env::var("OUT_DIR").unwrap_or_default());
    if !files
        .keys()
        .any(|path| path.starts_with("/pkg/") && path.ends_with(".css"))
    {
        let style = root.join("style/main.css");
        println!("cargo::rerun-if-changed={}", root.join("style").display());
        let sheet = out.join("rollcall.css");
        fs::write(
            &sheet,
            if style.exists() {
                inline(&style)?
            } else {
                String::new()
            },
        )?;
        files.insert("/pkg/rollcall.css".to_owned(), sheet);
    }
    let mut table = String::from("&[\n");
    let packed = |path: &str| path.ends_with(".br") || path.ends_with(".gz");
    for (path, file) in files.iter().filter(|(path, _)| !packed(path)) {
        let beside = |ending: &str| match files.get(&format!("{path}{ending}")) {
            Some(file) => format!("Some(include_bytes!({file:?}))"),
            None => "None".to_owned(),
        };
        writeln!(
            table,
            "    Embedded {{ path: {path:?}, bytes: include_bytes!({file:?}), brotli: {}, gzip: {} }},",
            beside(".br"),
            beside(".gz"),
        )
        .map_err(io::Error::other)?;
    }
    table.push_str("]\n");
    fs::write(out.join("assets.rs"), table)
}

// Every file of a folder by the path that it is served at.
fn collect(folder: &Path, prefix: &str, files: &mut BTreeMap<String, PathBuf>) -> io::Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}/{name}");
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), &path, files)?;
        } else if !name.starts_with('.') {
            files.insert(path, entry.path());
        }
    }
    Ok(())
}

// A style sheet with what it imports in place: `@import "tokens.css" layer(tokens);`.
fn inline(sheet: &Path) -> io::Result<String> {
    let folder = sheet.parent().unwrap_or(Path::new(""));
    let mut text = String::new();
    for line in fs::read_to_string(sheet)?.lines() {
        let import = line
            .trim()
            .strip_prefix("@import ")
            .and_then(|rest| rest.trim().strip_suffix(';'));
        let Some(import) = import else {
            text.push_str(line);
            text.push('\n');
            continue;
        };
        let import = import.trim_start_matches("url(");
        let mut parts = import.splitn(3, ['"', '\'']);
        let (_, file, rest) = (
            parts.next(),
            parts.next().unwrap_or_default(),
            parts.next().unwrap_or_default(),
        );
        let imported = inline(&folder.join(file))?;
        let layer = rest
            .split_once("layer(")
            .and_then(|(_, after)| after.split_once(')'))
            .map(|(name, _)| name);
        match layer {
            Some(name) => text.push_str(&format!("@layer {name} {{\n{imported}}}\n")),
            None => text.push_str(&imported),
        }
    }
    Ok(text)
}
