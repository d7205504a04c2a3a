//! One server per database: the lock that a second one does not get.
//!
//! SQLite: a lock on the file `….lock` beside the database. PostgreSQL: an advisory lock, held by a
//! connection of its own. Both end with the process, however it ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sea_orm::{ConnectionTrait, DatabaseConnection};

use super::connect::{Place, single_postgres};
use super::error::DbError;
use super::sql::{Row, statement};

// "rollcall" in ASCII. Advisory locks belong to one database, so that one number is enough.
const KEY: i64 = 0x726f_6c6c_6361_6c6c;

pub(super) enum ServerLock {
    // Held for as long as the file is open.
    Sqlite(File),
    Postgres(DatabaseConnection),
}

impl ServerLock {
    /// As `take`, with some patience for the connection of a server that has just been killed, which
    /// PostgreSQL may not have noticed.
    pub(super) async fn take_patiently(place: &Place) -> Result<Self, DbError> {
        let mut tries = match place {
            Place::Sqlite(_) => 1,
            Place::Postgres(_) => 5,
        };
        loop {
            tries -= 1;
            match Self::take(place).await {
                Err(DbError::Held(_)) if tries > 0 => {
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
                outcome => return outcome,
            }
        }
    }

    pub(super) async fn take(place: &Place) -> Result<Self, DbError> {
        match place {
            Place::Sqlite(options) => take_file(options.get_filename()).map(Self::Sqlite),
            Place::Postgres(options) => {
                let connection =
                    single_postgres(options.clone().application_name("rollcall lock")).await?;
                match hold_postgres(&connection).await {
                    Ok(()) => Ok(Self::Postgres(connection)),
                    Err(error) => {
                        // Closing it can only fail where it is closed.
                        let _ = connection.close().await;
                        Err(error)
                    }
                }
            }
        }
    }

    /// Makes sure that the lock is still held: PostgreSQL may have been restarted.
    pub(super) async fn check(&mut self) -> Result<(), DbError> {
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(connection) => hold_postgres(connection).await,
        }
    }

    pub(super) async fn release(self) {
        match self {
            Self::Sqlite(file) => drop(file),
            Self::Postgres(connection) => {
                // PostgreSQL notices a closed connection a little later than whoever comes next asks. A
                // connection that is gone holds no lock.
                let _ = connection
                    .execute_unprepared("SELECT pg_advisory_unlock_all()")
                    .await;
                let _ = connection.close().await;
            }
        }
    }
}

fn take_file(database: &Path) -> Result<File, DbError> {
    let path = lock_path(database);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(|_| DbError::Unreachable)?;
    match file.try_lock() {
        Ok(()) => {
            // The text is only for whoever comes second; the lock is what counts.
            let _ = file.set_len(0);
            let _ = file.rewind();
            let _ = write!(file, "process {}", std::process::id());
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let _ = Read::by_ref(&mut file)
                .take(100)
                .read_to_string(&mut holder);
            let holder = match holder.trim() {
                "" => "another process",
                text => text,
            };
            Err(DbError::Held(format!(
                "The database {} is in use by another Rollcall server ({holder}). One server works on a database at a time.",
                database.display()
            )))
        }
        Err(TryLockError::Error(_)) => Err(DbError::Unreachable),
    }
}

// Two names of one file must lead to one lock.
fn lock_path(database: &Path) -> PathBuf {
    let real = std::fs::canonicalize(database).unwrap_or_else(|_| {
        let parent = database
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        let parent = std::fs::canonicalize(parent).unwrap_or_else(|_| parent.to_owned());
        parent.join(database.file_name().unwrap_or_default())
    });
    let mut name = real.into_os_string();
    name.push(".lock");
    name.into()
}

async fn hold_postgres(connection: &DatabaseConnection) -> Result<(), DbError> {
    // Taken once: the lock counts, and a second one would need a second release.
    let query = statement(
        connection,
        "SELECT CASE WHEN EXISTS (
            SELECT 1 FROM pg_locks
            WHERE locktype = 'advisory' AND granted AND pid = pg_backend_pid()
                AND classid = ($1::bigint >> 32)::int::oid AND objid = ($1::bigint & 4294967295)::oid
                AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        ) THEN true ELSE pg_try_advisory_lock($1) END AS held",
        [KEY.into()],
    );
    let row = connection.query_one_raw(query).await?;
    match row {
        Some(row) if Row(&row).get("held")? => Ok(()),
        _ => Err(DbError::Held(holder_postgres(connection).await?)),
    }
}

async fn holder_postgres(connection: &DatabaseConnection) -> Result<String, DbError> {
    let query = statement(
        connection,
        "SELECT a.pid AS pid, coalesce(host(a.client_addr), 'this machine') AS address
         FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
         WHERE l.locktype = 'advisory' AND l.granted
            AND l.classid = ($1::bigint >> 32)::int::oid AND l.objid = ($1::bigint & 4294967295)::oid
            AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        [KEY.into()],
    );
    let holder = match connection.query_one_raw(query).await? {
        Some(row) => {
            let row = Row(&row);
            format!(
                "connected from {}, database process {}",
                row.get::<String>("address")?,
                row.get::<i32>("pid")?
            )
        }
        None => "which has just let go".to_owned(),
    };
    Ok(format!(
        "The PostgreSQL database is in use by another Rollcall server ({holder}). One server works on a database at a time."
    ))
}
