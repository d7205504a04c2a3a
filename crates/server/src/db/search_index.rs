//! The search index of PostgreSQL: trigrams, where the extension `pg_trgm` can be had, and the organisation, as a list
//! of one, because GIN knows lists without a further extension. SQLite's own is made by the migrations.

use sea_orm::{ConnectionTrait, DatabaseConnection};

use super::error::DbError;
use super::sql::{Row, statement};

/// Tries to have the extension; an owner of the database may create it, others may not.
pub(super) async fn prepare_extension(connection: &DatabaseConnection) {
    if connection
        .execute_unprepared("CREATE EXTENSION IF NOT EXISTS pg_trgm")
        .await
        .is_err()
    {
        tracing::warn!(
            "The PostgreSQL extension pg_trgm cannot be created, so that searching reads every row. \
             Let a superuser run: CREATE EXTENSION pg_trgm"
        );
    }
}

/// Makes the index once the extension is there, be it years after the first start.
pub(super) async fn prepare_index(connection: &DatabaseConnection) -> Result<(), DbError> {
    let query = statement(
        connection,
        "SELECT EXISTS (SELECT 1 FROM pg_extension WHERE extname = 'pg_trgm') AS there",
        [],
    );
    let there = match connection.query_one_raw(query).await? {
        Some(row) => Row(&row).get("there")?,
        None => false,
    };
    if there {
        connection
            .execute_unprepared(
                "CREATE INDEX IF NOT EXISTS session_by_search ON session_entry USING gin (letters gin_trgm_ops, (ARRAY[organisation_id]))",
            )
            .await?;
    }
    Ok(())
}
