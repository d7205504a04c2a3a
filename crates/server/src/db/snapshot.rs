//! A SQLite database as a file: copying it while it is in use, and telling whether one is sound.

use std::path::{Path, PathBuf};

use rollcall_core::Timestamp;
use sea_orm::sqlx::ConnectOptions as _;
use sea_orm::{ConnectionTrait, DatabaseConnection};

use super::connect::Place;
use super::error::DbError;
use super::sql::{Row, statement};

/// Up to this size a start looks at every page: half a second of reading at most.
const SMALL: i64 = 64 << 20;

/// The tables without which nothing works, and that stay small.
const SMALL_TABLES: [&str; 6] = [
    "installation",
    "audit_head",
    "organisation",
    "role",
    "session_counter",
    "session_owner_total",
];

/// The tables that grow; both ends of each are looked at.
const LARGE_TABLES: [(&str, &str); 3] = [
    ("session", "number"),
    ("audit_event", "sequence"),
    (r#""user""#, "id"),
];

/// The file of a SQLite database; `None` for PostgreSQL.
///
/// # Errors
/// If the URL cannot be read.
pub fn sqlite_file(url: &str) -> Result<Option<PathBuf>, DbError> {
    Ok(match Place::parse(url)? {
        Place::Sqlite(options) => Some(options.get_filename().to_owned()),
        Place::Postgres(_) => None,
    })
}

/// The URL of a SQLite database in this file.
///
/// # Errors
/// If the path is not text.
pub fn sqlite_url(file: &Path) -> Result<String, DbError> {
    let options = sea_orm::sqlx::sqlite::SqliteConnectOptions::new().filename(file);
    Ok(options.to_url_lossy().to_string())
}

/// Writes a copy, as of one moment, into a file that is empty or not there. Whoever works on the database
/// is not held up; what they write meanwhile is not in the copy.
///
/// # Errors
/// `Damaged` where a page cannot be read; `Busy` where the disk is full.
pub async fn copy_sqlite(connection: &DatabaseConnection, to: &Path) -> Result<(), DbError> {
    let name = to
        .to_str()
        .ok_or_else(|| DbError::custom("the path of a database must be UTF-8"))?;
    let copy = statement(connection, "VACUUM INTO $1", [name.into()]);
    connection.execute_raw(copy).await?;
    Ok(())
}

/// Looks at everything: each page, each index against its table, each reference.
///
/// # Errors
/// `Damaged` with the first thing that SQLite found.
pub async fn check_wholly(connection: &DatabaseConnection) -> Result<(), DbError> {
    sound(connection, "PRAGMA integrity_check(1)").await?;
    let dangling = statement(connection, "PRAGMA foreign_key_check", []);
    match connection.query_one_raw(dangling).await? {
        None => Ok(()),
        Some(_) => Err(DbError::Damaged),
    }
}

/// Looks at as much as takes no time: all of a small database; of a large one its small tables, and both
/// ends of the others.
///
/// # Errors
/// `Damaged`.
pub(super) async fn check_quickly(connection: &DatabaseConnection) -> Result<(), DbError> {
    let size = number(connection, "PRAGMA page_count").await?
        * number(connection, "PRAGMA page_size").await?;
    if size <= SMALL {
        return sound(connection, "PRAGMA quick_check(1)").await;
    }
    let there = statement(
        connection,
        "SELECT count(*) AS n FROM sqlite_schema WHERE name = 'installation'",
        [],
    );
    let row = connection.query_one_raw(there).await?;
    if row.map(|row| Row(&row).get::<i64>("n")).transpose()? != Some(1) {
        return Ok(());
    }
    for table in SMALL_TABLES {
        sound(connection, &format!("PRAGMA quick_check('{table}')")).await?;
    }
    for (table, key) in LARGE_TABLES {
        for order in ["ASC", "DESC"] {
            let end = format!("SELECT * FROM {table} ORDER BY {key} {order} LIMIT 1");
            connection
                .query_one_raw(statement(connection, &end, []))
                .await?;
        }
    }
    Ok(())
}

/// When the newest session was created.
///
/// # Errors
/// Of the database.
pub async fn newest_session(
    connection: &impl ConnectionTrait,
) -> Result<Option<Timestamp>, DbError> {
    let query = statement(
        connection,
        "SELECT max(created_at) AS newest FROM session",
        [],
    );
    let row = connection.query_one_raw(query).await?;
    let newest: Option<Option<i64>> = row.map(|row| Row(&row).get("newest")).transpose()?;
    Ok(newest.flatten().map(Timestamp))
}

async fn sound(connection: &DatabaseConnection, pragma: &str) -> Result<(), DbError> {
    let row = connection
        .query_one_raw(statement(connection, pragma, []))
        .await?
        .ok_or(DbError::Damaged)?;
    let verdict: String = row.try_get_by_index(0)?;
    if verdict == "ok" {
        Ok(())
    } else {
        Err(DbError::Damaged)
    }
}

async fn number(connection: &DatabaseConnection, pragma: &str) -> Result<i64, DbError> {
    let row = connection
        .query_one_raw(statement(connection, pragma, []))
        .await?
        .ok_or(DbError::Damaged)?;
    Ok(row.try_get_by_index(0)?)
}
