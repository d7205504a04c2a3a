//! `rollcall restore`: checks a backup, ends every session that it knows, and puts it in place.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use rollcall_core::Timestamp;
use sea_orm::DatabaseConnection;

use super::{
    BESIDE, DATABASE, DATABASE_LOG, SUMS, UNFINISHED, copy, exists, folder_of, staging, sync_folder,
};
use crate::clock::{Clock, Random};
use crate::config::StorageSettings;
use crate::db::{self, Database, DatabaseHold, DatabaseOptions, DbError};
use crate::service::audit::files::{KEY, write_private};
use crate::service::audit::verify::{Whole, verify};
use crate::service::{Service, ServiceConfig};

/// A backup that is in place.
#[derive(Debug)]
pub struct Restored {
    /// Its audit trail, as it was found.
    pub trail: Whole,
    /// False where `SHA256SUMS` was missing, so that only the structure could be checked.
    pub sums_checked: bool,
    /// The files of the database that was there, under their new names.
    pub put_aside: Vec<PathBuf>,
}

/// Restores the backup in the folder `from`. With PostgreSQL the database must be there already, by
/// `pg_restore`. What is in place before is put aside if `replace`.
///
/// # Errors
/// In words: a server holds the database, there is one already, or the backup is not sound. Nothing in place
/// has changed then.
pub async fn restore(
    storage: &StorageSettings,
    from: &Path,
    replace: bool,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
) -> anyhow::Result<Restored> {
    let data_dir = &storage.data_dir;
    let url = storage.database_url();
    let file = db::snapshot::sqlite_file(&url)?;
    crate::app::make_private_folder(data_dir).with_context(|| {
        format!(
            "--data-dir {}: the folder cannot be made",
            data_dir.display()
        )
    })?;
    let hold = hold(&url).await?;
    let sums = read_sums(from)?;
    // A link keeps leading to where it leads.
    let place = file.map(|file| fs::canonicalize(&file).unwrap_or(file));
    let may_replace = replace || exists(&data_dir.join(UNFINISHED));
    refuse_to_overwrite(data_dir, from, place.as_deref(), may_replace)?;

    let staged = staging(data_dir)?;
    let mut moves = Vec::new();
    for (name, needed) in BESIDE {
        let source = from.join(name);
        if exists(&source) {
            copy_checked(&source, &staged.path().join(name), &sums)?;
            moves.push((staged.path().join(name), data_dir.join(name)));
        } else if needed || sums.as_ref().is_some_and(|sums| sums.contains_key(name)) {
            bail!("there is no {name} in {}", from.display());
        }
    }
    let staged_database = match &place {
        Some(place) => Some(stage_database(from, place, &sums)?),
        None => None,
    };
    let staged_url = match &staged_database {
        Some(folder) => db::snapshot::sqlite_url(&folder.path().join(DATABASE))?,
        None => url.clone(),
    };
    let trail = check(&staged_url, place.is_some(), staged.path(), clock.now()).await?;
    if place.is_none() {
        // The server's own lock takes over.
        hold.release().await;
        end_sessions(&staged_url, staged.path(), &trail, clock, random).await?;
        let put_aside = put_in_place(data_dir, moves)?;
        return Ok(Restored {
            trail,
            sums_checked: sums.is_some(),
            put_aside,
        });
    }
    end_sessions(&staged_url, staged.path(), &trail, clock, random).await?;
    if let (Some(folder), Some(place)) = (&staged_database, &place) {
        let log = folder.path().join(DATABASE_LOG);
        if fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
            bail!("the database could not be closed");
        }
        fs::File::open(folder.path().join(DATABASE))?.sync_all()?;
        moves.push((folder.path().join(DATABASE), place.clone()));
    }
    let put_aside = put_in_place(data_dir, moves)?;
    hold.release().await;
    Ok(Restored {
        trail,
        sums_checked: sums.is_some(),
        put_aside,
    })
}

async fn hold(url: &str) -> anyhow::Result<DatabaseHold> {
    match Database::hold(url).await {
        Ok(hold) => Ok(hold),
        Err(DbError::Held(holder)) => bail!(holder),
        Err(error) => Err(error).context("--database: it cannot be opened"),
    }
}

/// The sums that were written with the backup; `None` for a folder that was copied by hand.
fn read_sums(from: &Path) -> anyhow::Result<Option<HashMap<String, String>>> {
    let file = from.join(SUMS);
    if !exists(&file) {
        return Ok(None);
    }
    let text =
        fs::read_to_string(&file).with_context(|| format!("{} cannot be read", file.display()))?;
    let sums = text
        .lines()
        .map(|line| {
            let (sum, name) = line.split_once("  ")?;
            Some((name.to_owned(), sum.to_owned()))
        })
        .collect::<Option<_>>();
    Ok(Some(sums.with_context(|| {
        format!("{} is damaged", file.display())
    })?))
}

fn copy_checked(
    from: &Path,
    to: &Path,
    sums: &Option<HashMap<String, String>>,
) -> anyhow::Result<()> {
    // What was copied is what is compared: the source may be on a failing disk.
    let sum = copy(from, to)?;
    let name = from.file_name().unwrap_or_default().to_string_lossy();
    if let Some(sums) = sums
        && sums.get(&*name) != Some(&sum)
    {
        bail!(
            "{} is not as it was written: torn, or changed since; take another backup",
            from.display()
        );
    }
    Ok(())
}

fn refuse_to_overwrite(
    data_dir: &Path,
    from: &Path,
    place: Option<&Path>,
    may_replace: bool,
) -> anyhow::Result<()> {
    if may_replace {
        return Ok(());
    }
    if let Some(place) = place
        && exists(place)
    {
        bail!(
            "there is a database in {} already; --replace puts it aside",
            place.display()
        );
    }
    let key = data_dir.join(KEY);
    if exists(&key) && fs::read(&key).ok() != fs::read(from.join(KEY)).ok() {
        bail!(
            "{} is the key of another audit trail; --replace puts it aside",
            key.display()
        );
    }
    Ok(())
}

/// Copies the database beside its place, so that it can be renamed into it.
fn stage_database(
    from: &Path,
    place: &Path,
    sums: &Option<HashMap<String, String>>,
) -> anyhow::Result<tempfile::TempDir> {
    let source = from.join(DATABASE);
    if !exists(&source) {
        bail!("there is no {DATABASE} in {}", from.display());
    }
    let staged = staging(&folder_of(place))?;
    copy_checked(&source, &staged.path().join(DATABASE), sums)?;
    let log = from.join(DATABASE_LOG);
    if exists(&log) {
        copy_checked(&log, &staged.path().join(DATABASE_LOG), sums)?;
    }
    Ok(staged)
}

async fn check(url: &str, is_sqlite: bool, folder: &Path, now: Timestamp) -> anyhow::Result<Whole> {
    let connection = db::open_to_read(url)
        .await
        .context("the database of the backup cannot be opened")?;
    let outcome = check_open(&connection, is_sqlite, folder, now).await;
    connection.close().await?;
    outcome
}

async fn check_open(
    connection: &DatabaseConnection,
    is_sqlite: bool,
    folder: &Path,
    now: Timestamp,
) -> anyhow::Result<Whole> {
    if is_sqlite {
        db::snapshot::check_wholly(connection)
            .await
            .context("the backup cannot be used: torn, or changed since it was written")?;
    }
    let trail = verify(folder, connection)
        .await
        .context("the audit trail of the backup could not be confirmed")?;
    // An epoch in the future would refuse everybody who signs in until then; one of now would miss these.
    if let Some(newest) = db::snapshot::newest_session(connection).await?
        && newest > now
    {
        bail!(
            "the backup holds a session of {newest}, and it is {now} here; set the clock right first"
        );
    }
    Ok(trail)
}

/// Ends all sessions in the database, with an event that says why, and notes the new end of its trail.
async fn end_sessions(
    url: &str,
    folder: &Path,
    trail: &Whole,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
) -> anyhow::Result<()> {
    let options = DatabaseOptions {
        exclusive: true,
        readers: 1,
    };
    let db = match Database::connect(url, options).await {
        Ok(db) => db,
        Err(DbError::Held(holder)) => bail!(holder),
        Err(error) => return Err(error).context("the database of the backup cannot be opened"),
    };
    let config = ServiceConfig::new(folder.to_owned());
    let service = Service::start(config, db.clone(), clock, random).await?;
    let outcome = service.note_restored(trail.events, trail.last_at).await;
    db.empty_log().await?;
    service.shut_down().await;
    outcome.map_err(|error| anyhow::anyhow!("the sessions could not be ended: {error}"))
}

/// Renames each staged file into its place. A server that starts in between refuses, by the mark.
fn put_in_place(data_dir: &Path, moves: Vec<(PathBuf, PathBuf)>) -> anyhow::Result<Vec<PathBuf>> {
    let mark = data_dir.join(UNFINISHED);
    write_private(&mark, b"")?;
    sync_folder(data_dir)?;
    let mut put_aside = Vec::new();
    let suffix = (1..)
        .map(|number: u32| format!("replaced-{number}"))
        .find(|suffix| {
            !moves
                .iter()
                .any(|(_, place)| exists(&named(place, &format!(".{suffix}"))))
        })
        .unwrap_or_default();
    let mut old: Vec<PathBuf> = BESIDE.iter().map(|(name, _)| data_dir.join(name)).collect();
    for (_, place) in moves.iter().filter(|(from, _)| from.ends_with(DATABASE)) {
        // SQLite's log of the old database would be taken for one of the new.
        old.extend([place.clone(), named(place, "-wal"), named(place, "-shm")]);
    }
    for file in old.into_iter().filter(|file| exists(file)) {
        let aside = named(&file, &format!(".{suffix}"));
        fs::rename(&file, &aside)?;
        put_aside.push(aside);
    }
    for (from, place) in &moves {
        fs::rename(from, place)
            .with_context(|| format!("{} could not be put in place", place.display()))?;
        sync_folder(&folder_of(place))?;
    }
    fs::remove_file(&mark)?;
    sync_folder(data_dir)?;
    Ok(put_aside)
}

fn named(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(ending);
    name.into()
}
