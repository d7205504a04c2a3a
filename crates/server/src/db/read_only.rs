//! Opening a database only to read it, beside whatever server works on it.

use sea_orm::DatabaseConnection;
use sea_orm::sqlx::postgres::PgPoolOptions;
use sea_orm::sqlx::sqlite::SqlitePoolOptions;

use super::connect::{PATIENCE, Place, connect_error};
use super::error::DbError;
use super::writer::RECOVERY;

/// One connection that cannot write, takes no lock and makes no tables.
///
/// # Errors
/// `Unreachable` where there is no database or it cannot be opened.
pub async fn open_to_read(url: &str) -> Result<DatabaseConnection, DbError> {
    match Place::parse(url)? {
        Place::Sqlite(options) => {
            let options = options
                .read_only(true)
                .create_if_missing(false)
                .busy_timeout(PATIENCE);
            let pool = SqlitePoolOptions::new()
                .max_connections(1)
                // After a crash the first connection reads the whole log, which may be large.
                .acquire_timeout(RECOVERY)
                .idle_timeout(None)
                .max_lifetime(None)
                .connect_with(options)
                .await
                .map_err(connect_error)?;
            Ok(pool.into())
        }
        Place::Postgres(options) => {
            let pool = PgPoolOptions::new()
                .max_connections(1)
                .acquire_timeout(PATIENCE)
                .idle_timeout(None)
                .max_lifetime(None)
                .connect_with(options.options([("default_transaction_read_only", "on")]))
                .await
                .map_err(connect_error)?;
            Ok(pool.into())
        }
    }
}
