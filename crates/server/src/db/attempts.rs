//! Attempts to sign in: one bounded row for each name that was tried, whether there is such a user or
//! not. A name is what somebody typed, normalised, at most 254 bytes.

use rollcall_core::Timestamp;
use sea_orm::ConnectionTrait;

use super::error::DbError;
use super::sql::{Row, Sql, statement};

/// Takes one of the tries of this name, and answers how many are taken now (1 to `limit`). `None` if
/// none is left or the name is locked; a lock that is not younger than `unlock_before` opens. One statement: two attempts never share a try.
pub async fn take_try(
    connection: &impl ConnectionTrait,
    name: &str,
    now: Timestamp,
    limit: i64,
    unlock_before: Option<Timestamp>,
) -> Result<Option<i64>, DbError> {
    let query = statement(
        connection,
        "INSERT INTO sign_in_attempt (name, tries, last_at) VALUES ($1, 1, $2)
         ON CONFLICT (name) DO UPDATE SET
            tries = CASE WHEN sign_in_attempt.locked_at <= $4 THEN 1 ELSE sign_in_attempt.tries + 1 END,
            locked_at = NULL, last_at = excluded.last_at
         WHERE (sign_in_attempt.locked_at IS NULL AND sign_in_attempt.tries < $3) OR sign_in_attempt.locked_at <= $4
         RETURNING tries",
        [name.into(), now.0.into(), limit.into(), unlock_before.map_or(i64::MIN, |at| at.0).into()],
    );
    match connection.query_one_raw(query).await? {
        Some(row) => Ok(Some(Row(&row).get("tries")?)),
        None => Ok(None),
    }
}

/// Gives all tries back after a right password. A lock stays.
pub async fn give_back(connection: &impl ConnectionTrait, name: &str) -> Result<(), DbError> {
    let mut sql = Sql::new(
        connection,
        "UPDATE sign_in_attempt SET tries = 0 WHERE locked_at IS NULL AND name = ",
    );
    sql.bind(name);
    sql.run(connection).await?;
    Ok(())
}

/// Locks the name. True for whoever locks it, false if it is locked already.
pub async fn lock(
    connection: &impl ConnectionTrait,
    name: &str,
    now: Timestamp,
) -> Result<bool, DbError> {
    let query = statement(
        connection,
        "INSERT INTO sign_in_attempt (name, tries, locked_at, last_at) VALUES ($1, 0, $2, $2)
         ON CONFLICT (name) DO UPDATE SET locked_at = excluded.locked_at
         WHERE sign_in_attempt.locked_at IS NULL",
        [name.into(), now.0.into()],
    );
    Ok(connection.execute_raw(query).await?.rows_affected() == 1)
}

/// Lifts the lock and gives all tries back. False if the name was not locked; tries that were taken are
/// given back even so, should a server have stopped between the last try and the lock.
pub async fn unlock(connection: &impl ConnectionTrait, name: &str) -> Result<bool, DbError> {
    let mut sql = Sql::new(
        connection,
        "UPDATE sign_in_attempt SET locked_at = NULL, tries = 0 WHERE locked_at IS NOT NULL AND name = ",
    );
    sql.bind(name);
    let unlocked = sql.run(connection).await? == 1;
    give_back(connection, name).await?;
    Ok(unlocked)
}

/// Takes the lock and the tries of a name along to another one: a changed e-mail unlocks nobody. Of two
/// locks that of the new name stays, of tries the larger number.
pub async fn rename(
    connection: &impl ConnectionTrait,
    old: &str,
    new: &str,
) -> Result<(), DbError> {
    let most = match super::sql::Dialect::of(connection) {
        super::sql::Dialect::Sqlite => "max",
        super::sql::Dialect::Postgres => "greatest",
    };
    let mut sql = Sql::new(
        connection,
        "INSERT INTO sign_in_attempt (name, tries, locked_at, last_at) SELECT ",
    );
    // Some databases want to know the type of a value that stands alone.
    sql.push("CAST(").bind(new).push(" AS text), tries, locked_at, last_at FROM sign_in_attempt WHERE name = ")
        .bind(old)
        .push(&format!(
            " ON CONFLICT (name) DO UPDATE SET tries = {most}(sign_in_attempt.tries, excluded.tries),
                locked_at = coalesce(sign_in_attempt.locked_at, excluded.locked_at)"
        ));
    sql.run(connection).await?;
    let mut sql = Sql::new(connection, "DELETE FROM sign_in_attempt WHERE name = ");
    sql.bind(old);
    sql.run(connection).await?;
    Ok(())
}

/// Whether the name is locked, by a lock that has not opened by itself since: one younger than `unlock_before`.
pub async fn refuses(
    connection: &impl ConnectionTrait,
    name: &str,
    unlock_before: Option<Timestamp>,
) -> Result<bool, DbError> {
    let mut sql = Sql::new(
        connection,
        "SELECT name FROM sign_in_attempt WHERE locked_at > ",
    );
    sql.bind(unlock_before.map_or(i64::MIN, |at| at.0))
        .push(" AND name = ")
        .bind(name);
    Ok(sql.one(connection).await?.is_some())
}

/// Whether the name is locked.
pub async fn is_locked(connection: &impl ConnectionTrait, name: &str) -> Result<bool, DbError> {
    let mut sql = Sql::new(
        connection,
        "SELECT name FROM sign_in_attempt WHERE locked_at IS NOT NULL AND name = ",
    );
    sql.bind(name);
    Ok(sql.one(connection).await?.is_some())
}

/// Keeps about `keep` rows: the oldest go first. Rows of existing users stay while they are locked or have
/// tries taken, or a flood of other names would give a guesser new tries. Answers how many went.
pub async fn purge(connection: &impl ConnectionTrait, keep: u64) -> Result<u64, DbError> {
    let keep = i64::try_from(keep).unwrap_or(i64::MAX);
    let query = statement(
        connection,
        r#"DELETE FROM sign_in_attempt WHERE name IN (
            SELECT a.name FROM sign_in_attempt a
            WHERE (a.locked_at IS NULL AND a.tries = 0) OR NOT EXISTS (
                SELECT 1 FROM "user" u WHERE u.email = a.name AND u.deleted_at IS NULL
            )
            ORDER BY a.last_at DESC, a.name LIMIT 10000 OFFSET $1
        )"#,
        [keep.into()],
    );
    Ok(connection.execute_raw(query).await?.rows_affected())
}
