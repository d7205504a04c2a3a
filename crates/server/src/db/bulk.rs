//! Loading many rows at once, for `--demo N` and for measurements.
//!
//! A million sessions go in one transaction without the indexes and triggers, which are made again at its
//! end: sorted indexes are built many times faster than they grow. Either everything is there
//! afterwards, counters and search index included, or nothing has happened.

use sea_orm::{ConnectionTrait, DatabaseTransaction, EntityTrait};

use super::connect::Database;
use super::entity::{session, user};
use super::error::DbError;
use super::records::{NewSession, NewUser};
use super::sql::{Dialect, Row, statement};
use super::{sessions, users};

/// Rows in one statement: 34 columns each, within the 32,766 values that SQLite takes.
const STATEMENT: usize = 500;
/// Fewer rows than this grow the indexes that are there.
const FEW: usize = 20_000;

/// Stores users, in one transaction.
///
/// # Errors
/// As `users::create`.
pub async fn insert_users<I>(database: &Database, rows: I) -> Result<u64, DbError>
where
    I: IntoIterator<Item = NewUser, IntoIter: Send + 'static>,
{
    let mut rows = rows.into_iter();
    database
        .write(move |transaction| {
            Box::pin(async move {
                let mut stored = 0;
                loop {
                    let few: Vec<_> = rows.by_ref().take(STATEMENT).collect();
                    if few.is_empty() {
                        return Ok(stored);
                    }
                    stored += few.len() as u64;
                    user::Entity::insert_many(few.iter().map(users::model))
                        .exec_without_returning(transaction)
                        .await?;
                }
            })
        })
        .await
}

/// Stores sessions, each with the e-mail of its user; ended ones too. Rows are taken from the iterator
/// as they are needed, so that a million of them are never in memory. Nothing else is written
/// meanwhile.
///
/// # Errors
/// As `sessions::insert`.
pub async fn insert_sessions<I>(database: &Database, rows: I) -> Result<u64, DbError>
where
    I: IntoIterator<Item = (NewSession, String), IntoIter: Send + 'static>,
{
    let mut rows = rows.into_iter();
    let stored = database
        .write(move |transaction| {
            Box::pin(async move {
                let first: Vec<_> = rows.by_ref().take(FEW).collect();
                if first.len() < FEW {
                    insert(transaction, &first).await?;
                    return Ok(first.len() as u64);
                }
                let set_aside = set_aside(transaction).await?;
                insert(transaction, &first).await?;
                let mut stored = first.len() as u64;
                drop(first);
                loop {
                    let some: Vec<_> = rows.by_ref().take(STATEMENT).collect();
                    if some.is_empty() {
                        break;
                    }
                    stored += some.len() as u64;
                    insert(transaction, &some).await?;
                }
                restore(transaction, &set_aside).await?;
                Ok(stored)
            })
        })
        .await?;
    database.empty_log().await?;
    Ok(stored)
}

/// Notes each user's newest session as the last sign-in.
pub async fn note_sign_ins(transaction: &DatabaseTransaction) -> Result<(), DbError> {
    transaction
        .execute_unprepared(
            r#"UPDATE "user" SET last_sign_in_at =
                (SELECT max(s.created_at) FROM session s WHERE s.user_id = "user".id)
            WHERE last_sign_in_at IS NULL"#,
        )
        .await?;
    Ok(())
}

async fn insert(
    transaction: &DatabaseTransaction,
    rows: &[(NewSession, String)],
) -> Result<(), DbError> {
    for few in rows.chunks(STATEMENT) {
        session::Entity::insert_many(few.iter().map(|(new, email)| sessions::model(new, email)))
            .exec_without_returning(transaction)
            .await?;
    }
    Ok(())
}

/// Drops what can be made again, and answers the statements that make it.
async fn set_aside(transaction: &DatabaseTransaction) -> Result<Vec<String>, DbError> {
    let (prepare, list) = match Dialect::of(transaction) {
        Dialect::Sqlite => (
            // Indexes are sorted in memory of this size.
            "PRAGMA cache_size = -65536",
            "SELECT type AS type, name AS name, sql AS sql FROM sqlite_master
             WHERE tbl_name = 'session' AND sql IS NOT NULL AND type IN ('index', 'trigger')",
        ),
        Dialect::Postgres => (
            "SET LOCAL statement_timeout = 0; SET LOCAL maintenance_work_mem = '128MB'",
            "SELECT 'index' AS type, indexname::text AS name, indexdef AS sql FROM pg_indexes
             WHERE schemaname = current_schema() AND tablename IN ('session', 'session_entry')
                AND indexname NOT IN ('session_pkey', 'session_entry_pkey')",
        ),
    };
    transaction.execute_unprepared(prepare).await?;
    let mut again = Vec::new();
    for row in transaction
        .query_all_raw(statement(transaction, list, []))
        .await?
    {
        let row = Row(&row);
        let (kind, name): (String, String) = (row.get("type")?, row.get("name")?);
        again.push(row.get("sql")?);
        transaction
            .execute_unprepared(&format!("DROP {kind} {name}"))
            .await?;
    }
    Ok(again)
}

async fn restore(transaction: &DatabaseTransaction, again: &[String]) -> Result<(), DbError> {
    for text in again {
        transaction.execute_unprepared(text).await?;
    }
    let finish = match Dialect::of(transaction) {
        Dialect::Sqlite => include_str!("bulk/recount_sqlite.sql"),
        // Its triggers saw every statement. Plans depend on statistics.
        Dialect::Postgres => r#"ANALYZE session; ANALYZE session_entry; ANALYZE "user""#,
    };
    transaction.execute_unprepared(finish).await?;
    Ok(())
}
