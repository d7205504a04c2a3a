//! What can go wrong with the database, in the few kinds that callers treat differently.

use std::fmt;

use sea_orm::sqlx;
use sea_orm::{ConnAcquireErr, DbErr, RuntimeErr};

/// An error from the database. Neither `Display` nor `Debug` shows a value that was stored or sent, so
/// that both are fit for a log.
pub enum DbError {
    /// The database cannot be asked: it is gone, or its disk is broken.
    Unreachable,
    /// A SQLite file that is torn, or holds what SQLite did not write.
    Damaged,
    /// It is there but did not do this: a lock was held, a queue or a pool was full, or the disk is.
    Busy,
    /// The rules refused it, with the answer to give; nothing of it was kept.
    Refused(rollcall_core::Error),
    /// A value that must be unique is taken. The constraint's name is `table_column_unique` on both
    /// databases, such as `user_email_unique`.
    Unique(String),
    /// Another server works on this database; the text names it.
    Held(String),
    /// Anything else: a mistake in the program or in the data.
    Other(DbErr),
}

impl fmt::Display for DbError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable => f.write_str("the database cannot be reached"),
            Self::Damaged => f.write_str("the database file is damaged"),
            Self::Busy => f.write_str("the database is busy"),
            Self::Refused(error) => write!(f, "the rules refused it ({})", error.code()),
            Self::Unique(constraint) => write!(f, "a value is taken ({constraint})"),
            Self::Held(holder) => f.write_str(holder),
            Self::Other(error) => match database_error(error) {
                // The message of a driver may quote values; its code never does.
                Some(database) => write!(
                    f,
                    "the database refused with code {}",
                    database.code().unwrap_or_default()
                ),
                None => match error {
                    DbErr::Custom(text) | DbErr::Migration(text) => f.write_str(text),
                    DbErr::Type(_) | DbErr::TryIntoErr { .. } | DbErr::Json(_) => {
                        f.write_str("a stored value could not be read")
                    }
                    DbErr::RecordNotFound(_) => f.write_str("a row is missing"),
                    _ => f.write_str("the database layer failed"),
                },
            },
        }
    }
}

impl fmt::Debug for DbError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DbError({self})")
    }
}

// No source: the chain of causes would print what `Display` holds back.
impl std::error::Error for DbError {}

impl DbError {
    /// An error of our own making, for what a driver has no word for. The text may go to the log.
    pub(crate) fn custom(text: impl Into<String>) -> Self {
        Self::Other(DbErr::Custom(text.into()))
    }
}

impl From<DbErr> for DbError {
    fn from(error: DbErr) -> Self {
        match &error {
            DbErr::ConnectionAcquire(ConnAcquireErr::Timeout) => return Self::Busy,
            DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed) => return Self::Unreachable,
            _ => {}
        }
        let driver = match &error {
            DbErr::Conn(RuntimeErr::SqlxError(driver))
            | DbErr::Exec(RuntimeErr::SqlxError(driver))
            | DbErr::Query(RuntimeErr::SqlxError(driver)) => driver,
            _ => return Self::Other(error),
        };
        match &**driver {
            sqlx::Error::Database(database) => {
                if let Some(sqlite) = database.try_downcast_ref::<sqlx::sqlite::SqliteError>() {
                    let code = sqlx::error::DatabaseError::code(sqlite);
                    classify_sqlite(code.as_deref(), database.message())
                } else {
                    classify_postgres(database.code().as_deref(), database.constraint())
                }
                .unwrap_or(Self::Other(error))
            }
            sqlx::Error::PoolTimedOut => Self::Busy,
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Self::Unreachable,
            _ => Self::Other(error),
        }
    }
}

fn database_error(error: &DbErr) -> Option<&dyn sqlx::error::DatabaseError> {
    match error {
        DbErr::Conn(RuntimeErr::SqlxError(driver))
        | DbErr::Exec(RuntimeErr::SqlxError(driver))
        | DbErr::Query(RuntimeErr::SqlxError(driver)) => driver.as_database_error(),
        _ => None,
    }
}

// Result codes: https://www.sqlite.org/rescode.html. The low byte is the primary code.
fn classify_sqlite(code: Option<&str>, message: &str) -> Option<DbError> {
    let code: i32 = code?.parse().ok()?;
    match (code, code & 0xff) {
        // SQLITE_CONSTRAINT_UNIQUE, SQLITE_CONSTRAINT_PRIMARYKEY
        (2067 | 1555, _) => Some(DbError::Unique(unique_name(message))),
        // SQLITE_BUSY, SQLITE_LOCKED; SQLITE_READONLY, SQLITE_FULL: reading goes on meanwhile.
        (_, 5 | 6 | 8 | 13) => Some(DbError::Busy),
        // SQLITE_IOERR, SQLITE_CANTOPEN
        (_, 10 | 14) => Some(DbError::Unreachable),
        // SQLITE_CORRUPT, SQLITE_NOTADB
        (_, 11 | 26) => Some(DbError::Damaged),
        _ => None,
    }
}

// "UNIQUE constraint failed: user.email, user.b" becomes `user_email_b_unique`, the index's name on
// PostgreSQL.
fn unique_name(message: &str) -> String {
    let columns = message.rsplit(": ").next().unwrap_or_default();
    let mut name = String::new();
    for (index, column) in columns.split(", ").enumerate() {
        let (table, column) = column.split_once('.').unwrap_or(("", column));
        if index == 0 {
            name.push_str(table);
        }
        name.push('_');
        name.push_str(column);
    }
    name + "_unique"
}

// https://www.postgresql.org/docs/current/errcodes-appendix.html
fn classify_postgres(code: Option<&str>, constraint: Option<&str>) -> Option<DbError> {
    let code = code?;
    match code {
        "23505" => Some(DbError::Unique(constraint.unwrap_or_default().to_owned())),
        // serialization_failure, deadlock_detected, lock_not_available, query_canceled (a timeout)
        "40001" | "40P01" | "55P03" | "57014" => Some(DbError::Busy),
        // read_only_sql_transaction, admin_shutdown, crash_shutdown, cannot_connect_now,
        // invalid_catalog_name, io_error
        "25006" | "57P01" | "57P02" | "57P03" | "3D000" | "58030" => Some(DbError::Unreachable),
        // connection exceptions, insufficient resources
        _ if code.starts_with("08") || code.starts_with("53") => Some(DbError::Unreachable),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_value_has_one_name_on_both_databases() {
        let name = |error| match error {
            Some(DbError::Unique(name)) => name,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            name(classify_sqlite(
                Some("2067"),
                "UNIQUE constraint failed: user.email"
            )),
            "user_email_unique"
        );
        assert_eq!(
            name(classify_postgres(Some("23505"), Some("user_email_unique"))),
            "user_email_unique"
        );
    }

    #[test]
    fn what_the_disk_and_the_network_do_is_told_apart_from_mistakes() {
        assert!(matches!(
            classify_sqlite(Some("517"), ""),
            Some(DbError::Busy)
        ));
        assert!(matches!(
            classify_sqlite(Some("13"), ""),
            Some(DbError::Busy)
        ));
        assert!(matches!(
            classify_sqlite(Some("2570"), ""),
            Some(DbError::Unreachable)
        ));
        assert!(matches!(
            classify_sqlite(Some("779"), ""),
            Some(DbError::Damaged)
        ));
        assert!(classify_sqlite(Some("1"), "").is_none());
        assert!(matches!(
            classify_postgres(Some("08006"), None),
            Some(DbError::Unreachable)
        ));
        assert!(matches!(
            classify_postgres(Some("57014"), None),
            Some(DbError::Busy)
        ));
        assert!(classify_postgres(Some("42601"), None).is_none());
    }

    #[test]
    fn no_text_of_an_error_shows_a_stored_value() {
        let error = DbError::Other(DbErr::Type("nora@acme.io".into()));
        assert!(!format!("{error} {error:?}").contains("nora"));
    }
}
