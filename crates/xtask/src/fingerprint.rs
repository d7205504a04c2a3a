//! Fingerprints of input files, so that a build whose inputs did not change is skipped.

use anyhow::{Context, Result};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

/// A fingerprint of the names and contents of all files under `inputs`, and of `extra`.
///
/// Contents and not times, so that a fresh clone, a checkout back and forth, or a copied build
/// folder are all judged rightly. A missing input counts as empty.
pub(crate) fn of(inputs: &[PathBuf], extra: &[&str]) -> Result<String> {
    let mut hasher = DefaultHasher::new();
    extra.hash(&mut hasher);
    for input in inputs {
        for file in files(input)? {
            // Relative, so that two clones with the same content agree.
            file.strip_prefix(input).unwrap_or(&file).hash(&mut hasher);
            let content = fs::read(&file).with_context(|| format!("reading {}", file.display()))?;
            content.hash(&mut hasher);
        }
    }
    Ok(format!("{:016x}", hasher.finish()))
}

/// All files under `path` (or `path` itself), sorted; hidden files and editors' backups left out.
pub(crate) fn files(path: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    collect(path, &mut found).with_context(|| format!("reading {}", path.display()))?;
    found.sort();
    Ok(found)
}

fn collect(path: &Path, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if path.is_file() {
        found.push(path.to_path_buf());
        return Ok(());
    }
    if !path.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if !(name.starts_with('.') || name.starts_with('#') || name.ends_with('~')) {
            collect(&entry.path(), found)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_follows_content_and_names_and_ignores_hidden_files() -> Result<()> {
        let folder = std::env::temp_dir().join(format!("xtask-print-{}", std::process::id()));
        fs::create_dir_all(folder.join("a"))?;
        fs::write(folder.join("a/one"), "1")?;
        let inputs = [folder.clone()];
        let first = of(&inputs, &["x"])?;
        fs::write(folder.join("a/.one.swp"), "noise")?;
        assert_eq!(first, of(&inputs, &["x"])?, "hidden files do not count");
        assert_ne!(first, of(&inputs, &["y"])?, "the extra words count");
        fs::write(folder.join("a/one"), "2")?;
        let second = of(&inputs, &["x"])?;
        assert_ne!(first, second, "content counts");
        fs::rename(folder.join("a/one"), folder.join("a/two"))?;
        assert_ne!(second, of(&inputs, &["x"])?, "names count");
        fs::remove_dir_all(&folder)?;
        Ok(())
    }
}
