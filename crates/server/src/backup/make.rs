//! `rollcall backup`: beside a running server, whole or not at all.

use std::fs;
use std::path::Path;

use anyhow::{Context, bail};

use super::{BESIDE, DATABASE, SUMS, copy, exists, folder_of, staging, sum_of, sync_folder};
use crate::config::StorageSettings;
use crate::db::{self, DbError};
use crate::service::audit::files::{self, write_private};
use crate::service::audit::verify::{Finding, Whole, verify};

/// A backup that was made.
#[derive(Debug)]
pub struct Made {
    /// True where the database is in it; PostgreSQL's is not.
    pub database: bool,
    /// What the check of its audit trail has found.
    pub trail: Result<Whole, Finding>,
}

/// Makes a backup in the folder `to`, which must not be there. Nobody is held up meanwhile.
///
/// # Errors
/// In words. Nothing is left behind then.
pub async fn make(storage: &StorageSettings, to: &Path) -> anyhow::Result<Made> {
    if exists(to) {
        bail!(
            "{} is there already; a backup takes the place of nothing",
            to.display()
        );
    }
    let url = storage.database_url();
    let file = db::snapshot::sqlite_file(&url)?;
    if !exists(&storage.data_dir.join(files::KEY)) {
        bail!(
            "there is no {} in {}; give the --data-dir of the server",
            files::KEY,
            storage.data_dir.display()
        );
    }
    let connection = db::open_to_read(&url)
        .await
        .context("--database: it cannot be opened")?;
    let parent = folder_of(to);
    let staged = staging(&parent)?;
    // The note before the database: it must never be newer than the trail in the copy.
    for (name, _) in BESIDE {
        let source = storage.data_dir.join(name);
        if exists(&source) {
            copy(&source, &staged.path().join(name))?;
        }
    }
    let trail = if file.is_some() {
        let copied = staged.path().join(DATABASE);
        write_private(&copied, &[])?;
        let outcome = db::snapshot::copy_sqlite(&connection, &copied).await;
        connection.close().await?;
        outcome.map_err(|error| match error {
            DbError::Busy => anyhow::anyhow!("the copy could not be written; is the disk full?"),
            error => anyhow::anyhow!("the database could not be copied: {error}"),
        })?;
        fs::File::open(&copied)?.sync_all()?;
        let copy = db::open_to_read(&db::snapshot::sqlite_url(&copied)?).await?;
        let trail = verify(staged.path(), &copy).await;
        copy.close().await?;
        trail
    } else {
        let trail = verify(staged.path(), &connection).await;
        connection.close().await?;
        trail
    };
    write_sums(staged.path())?;
    sync_folder(staged.path())?;
    fs::rename(staged.path(), to)
        .with_context(|| format!("the backup could not be named {}", to.display()))?;
    // It has its name now, and nothing is there to be removed.
    let _ = staged.keep();
    sync_folder(&parent)?;
    Ok(Made {
        database: file.is_some(),
        trail,
    })
}

fn write_sums(folder: &Path) -> anyhow::Result<()> {
    let mut text = String::new();
    let names = BESIDE.iter().map(|(name, _)| *name).chain([DATABASE]);
    for name in names.filter(|name| exists(&folder.join(name))) {
        text += &format!("{}  {name}\n", sum_of(&folder.join(name))?);
    }
    write_private(&folder.join(SUMS), text.as_bytes())?;
    Ok(())
}
