//! Backups: a folder with the database, the audit trail's key and note, and the SHA-256 of each file.
//!
//! With PostgreSQL the folder holds everything but the database, which `pg_dump` and `pg_restore` carry.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use sha2::{Digest, Sha256};

use crate::service::audit::files;
use crate::service::signing;

mod make;
mod restore;

pub use make::{Made, make};
pub use restore::{Restored, restore};

/// The database in a backup.
const DATABASE: &str = "rollcall.db";
/// What SQLite had not yet moved into the file, in a folder that was copied by hand.
const DATABASE_LOG: &str = "rollcall.db-wal";
/// The sums of all other files, as `sha256sum --check` reads them.
const SUMS: &str = "SHA256SUMS";
/// Beside the database, the files of the data folder that belong to it, and whether there must be one.
const BESIDE: [(&str, bool); 6] = [
    (files::KEY, true),
    (files::HEAD, false),
    (files::DOUBTFUL_HEAD, false),
    (signing::WEBHOOK_KEY, false),
    (signing::TOKEN_KEY, false),
    (crate::demo::NOTE, false),
];
/// There while the files of a restored backup are put in place.
const UNFINISHED: &str = "restore.unfinished";

/// Refuses a data folder in which a restore was cut short: it may hold files of two databases.
///
/// # Errors
/// In words.
pub fn refuse_half_restored(data_dir: &Path) -> anyhow::Result<()> {
    if data_dir.join(UNFINISHED).exists() {
        bail!(
            "a restore into {} was cut short; run `rollcall restore` again",
            data_dir.display()
        );
    }
    Ok(())
}

/// Copies a file for its owner alone, through to the disk, and answers its SHA-256 in hexadecimal digits.
fn copy(from: &Path, to: &Path) -> anyhow::Result<String> {
    let failed = || format!("{} cannot be copied", from.display());
    let mut source = File::open(from).with_context(failed)?;
    files::write_private(to, &[]).with_context(failed)?;
    let mut target = File::options().append(true).open(to).with_context(failed)?;
    let mut sum = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = source.read(&mut buffer).with_context(failed)?;
        if read == 0 {
            break;
        }
        sum.update(&buffer[..read]);
        target.write_all(&buffer[..read]).with_context(failed)?;
    }
    target.sync_all().with_context(failed)?;
    Ok(crate::hex::write(&sum.finalize()))
}

/// The SHA-256 of a file in hexadecimal digits.
fn sum_of(file: &Path) -> anyhow::Result<String> {
    let mut source = File::open(file)?;
    let mut sum = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match source.read(&mut buffer)? {
            0 => return Ok(crate::hex::write(&sum.finalize())),
            read => sum.update(&buffer[..read]),
        }
    }
}

/// Makes what was created, renamed or removed in a folder last.
fn sync_folder(folder: &Path) -> std::io::Result<()> {
    // Elsewhere a folder cannot be opened, and its entries are written through by themselves.
    #[cfg(unix)]
    File::open(folder)?.sync_all()?;
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}

/// A folder with a name of its own, for its owner alone, that is gone when dropped.
fn staging(within: &Path) -> anyhow::Result<tempfile::TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".rollcall-unfinished-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
    builder
        .tempdir_in(within)
        .with_context(|| format!("nothing can be written in {}", within.display()))
}

/// The folder that a path lies in.
fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}
