//! From where users have signed in: browser and system, and network.

use rollcall_core::{SessionId, Timestamp, UserId};
use sea_orm::ConnectionTrait;

use super::error::DbError;
use super::sql::{Row, Sql};

/// A sign-in from a browser and a network that were not seen before.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeviceRecord {
    /// Browser and system.
    pub device: String,
    /// The network.
    pub network: String,
    /// The first session from there.
    pub session: SessionId,
    /// When that began.
    pub first_seen_at: Timestamp,
}

/// Notes that a user has signed in from there. True if it is news: the user was seen elsewhere and never there. The first
/// one ever is none.
pub async fn note(
    connection: &impl ConnectionTrait,
    user: UserId,
    seen: &DeviceRecord,
) -> Result<bool, DbError> {
    let mut sql = Sql::new(
        connection,
        "INSERT INTO user_device (user_id, device, network, session_id, first_seen_at, seen_at, is_news) VALUES (",
    );
    let (owner, session, at) = (
        sql.place(user.0),
        sql.place(seen.session.0),
        sql.place(seen.first_seen_at.0),
    );
    sql.push(&format!("{owner}, "))
        .bind(seen.device.clone())
        .push(", ")
        .bind(seen.network.clone())
        .push(&format!(
            ", {session}, {at}, {at}, EXISTS (SELECT 1 FROM user_device WHERE user_id = {owner}))
             ON CONFLICT (user_id, device, network) DO UPDATE SET seen_at = excluded.seen_at
             RETURNING session_id, is_news"
        ));
    let Some(row) = sql.one(connection).await? else {
        return Ok(false);
    };
    let row = Row(&row);
    // The row of an earlier sign-in has the session of that one.
    Ok(row.uuid("session_id")? == seen.session.0 && row.get("is_news")?)
}

/// What is news to a user since then, newest first; at most 20.
pub async fn news(
    connection: &impl ConnectionTrait,
    user: UserId,
    since: Timestamp,
) -> Result<Vec<DeviceRecord>, DbError> {
    let mut sql = Sql::new(
        connection,
        "SELECT device, network, session_id, first_seen_at FROM user_device WHERE is_news AND user_id = ",
    );
    sql.bind(user.0)
        .push(" AND first_seen_at > ")
        .bind(since.0)
        .push(" ORDER BY first_seen_at DESC, session_id DESC LIMIT 20");
    let rows = sql.all(connection).await?;
    rows.iter().map(|row| read(&Row(row))).collect()
}

/// Since when a user is known there, if they are.
pub async fn known_since(
    connection: &impl ConnectionTrait,
    user: UserId,
    device: &str,
    network: &str,
) -> Result<Option<Timestamp>, DbError> {
    let mut sql = Sql::new(
        connection,
        "SELECT first_seen_at FROM user_device WHERE user_id = ",
    );
    sql.bind(user.0)
        .push(" AND device = ")
        .bind(device)
        .push(" AND network = ")
        .bind(network);
    match sql.one(connection).await? {
        Some(row) => Ok(Some(Row(&row).time("first_seen_at")?)),
        None => Ok(None),
    }
}

/// Takes note that the user has said whose sign-in this was. False if it was no news.
pub async fn settle(
    connection: &impl ConnectionTrait,
    user: UserId,
    session: SessionId,
) -> Result<bool, DbError> {
    let mut sql = Sql::new(
        connection,
        "UPDATE user_device SET is_news = false WHERE is_news AND user_id = ",
    );
    sql.bind(user.0).push(" AND session_id = ").bind(session.0);
    Ok(sql.run(connection).await? == 1)
}

/// Forgets from where somebody else has signed in as this user: if they come back, it is news again.
pub async fn disown(
    connection: &impl ConnectionTrait,
    user: UserId,
    session: SessionId,
) -> Result<(), DbError> {
    let mut sql = Sql::new(connection, "DELETE FROM user_device WHERE user_id = ");
    sql.bind(user.0).push(" AND session_id = ").bind(session.0);
    sql.run(connection).await?;
    Ok(())
}

/// Forgets from where a user has signed in.
pub async fn forget(connection: &impl ConnectionTrait, user: UserId) -> Result<(), DbError> {
    let mut sql = Sql::new(connection, "DELETE FROM user_device WHERE user_id = ");
    sql.bind(user.0);
    sql.run(connection).await?;
    Ok(())
}

/// Forgets what was not used since before this time.
pub async fn purge(connection: &impl ConnectionTrait, before: Timestamp) -> Result<u64, DbError> {
    let mut sql = Sql::new(connection, "DELETE FROM user_device WHERE seen_at <= ");
    sql.bind(before.0);
    Ok(sql.run(connection).await?)
}

fn read(row: &Row<'_>) -> Result<DeviceRecord, DbError> {
    Ok(DeviceRecord {
        device: row.get("device")?,
        network: row.get("network")?,
        session: SessionId(row.uuid("session_id")?),
        first_seen_at: row.time("first_seen_at")?,
    })
}
