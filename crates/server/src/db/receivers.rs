//! Receivers: who elsewhere is told about sessions.

use rollcall_core::integrations::MOST_RECEIVERS;
use rollcall_core::{Receiver, ReceiverFormat, ReceiverId, ReceiverState, SessionEvent, Timestamp};
use sea_orm::{ConnectionTrait, DbErr, QueryResult};

use super::counters::natural;
use super::error::DbError;
use super::sql::{Dialect, Row, Sql};

const COLUMNS: &str = "r.id, r.name, r.url, r.format, r.audience, r.tells_created, r.tells_ended, r.tells_email, r.created_at,
    r.paused_at, r.gone, r.failures, r.failing_since, r.last_accepted_at";

/// What is needed to send to a receiver.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Target {
    /// Its id.
    pub id: ReceiverId,
    /// What people call it.
    pub name: String,
    /// Where it listens.
    pub url: String,
    /// In what form it is told.
    pub format: ReceiverFormat,
    /// The audience of its tokens.
    pub audience: String,
    /// Whether it is told e-mails.
    pub tells_email: bool,
    /// How often in a row it has not accepted something.
    pub failures: u64,
}

/// All receivers, by name.
pub async fn list(connection: &impl ConnectionTrait) -> Result<Vec<Receiver>, DbError> {
    let sql = select(connection);
    let rows = sql.within("", " ORDER BY r.name").all(connection).await?;
    Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
}

/// One of them.
pub async fn find(
    connection: &impl ConnectionTrait,
    id: ReceiverId,
) -> Result<Option<Receiver>, DbError> {
    let mut sql = select(connection);
    sql.push(" WHERE r.id = ").bind(id.0);
    let row = sql.one(connection).await?;
    Ok(row.as_ref().map(read).transpose()?)
}

/// The same, kept as it is until the transaction ends.
pub async fn hold(
    connection: &impl ConnectionTrait,
    id: ReceiverId,
) -> Result<Option<Receiver>, DbError> {
    if Dialect::of(connection) == Dialect::Postgres {
        let mut sql = Sql::new(connection, "SELECT id FROM receiver WHERE id = ");
        sql.bind(id.0).push(" FOR UPDATE");
        sql.all(connection).await?;
    }
    find(connection, id).await
}

fn select(connection: &impl ConnectionTrait) -> Sql {
    Sql::new(
        connection,
        &format!(
            "SELECT {COLUMNS}, (SELECT count(*) FROM delivery d WHERE d.receiver_id = r.id AND d.waiting) AS waiting
            FROM receiver r"
        ),
    )
}

fn read(row: &QueryResult) -> Result<Receiver, DbErr> {
    let row = Row(row);
    let time = |column: &str| Ok::<_, DbErr>(row.get::<Option<i64>>(column)?.map(Timestamp));
    let paused_at = time("paused_at")?;
    let failing_since = time("failing_since")?;
    let mut events = Vec::new();
    for (event, column) in [
        (SessionEvent::Created, "tells_created"),
        (SessionEvent::Ended, "tells_ended"),
    ] {
        if row.get::<bool>(column)? {
            events.push(event);
        }
    }
    Ok(Receiver {
        id: ReceiverId(row.uuid("id")?),
        name: row.get("name")?,
        url: row.get("url")?,
        format: row.word("format", ReceiverFormat::from_name)?,
        audience: row.get("audience")?,
        events,
        tells_email: row.get("tells_email")?,
        state: match (paused_at, failing_since) {
            (Some(_), _) => ReceiverState::Paused,
            (None, Some(_)) => ReceiverState::Failing,
            (None, None) => ReceiverState::Delivering,
        },
        failing_since: failing_since.filter(|_| paused_at.is_none()),
        paused_at,
        gone: row.get("gone")?,
        waiting: natural(row.get("waiting")?),
        last_accepted_at: time("last_accepted_at")?,
        created_at: row.time("created_at")?,
    })
}

/// Stores a receiver. False if there are as many as there may be.
///
/// # Errors
/// `Unique("receiver_name_unique")` where there is one of this name.
pub async fn create(
    connection: &impl ConnectionTrait,
    receiver: &Receiver,
) -> Result<bool, DbError> {
    let mut sql = Sql::new(
        connection,
        "INSERT INTO receiver (id, name, url, format, audience, tells_created, tells_ended, tells_email, created_at) SELECT ",
    );
    sql.bind(receiver.id.0)
        .push(", ")
        .bind(receiver.name.clone())
        .push(", ")
        .bind(receiver.url.clone())
        .push(", ")
        .bind(receiver.format.as_str())
        .push(", ")
        .bind(receiver.audience.clone())
        .push(", ")
        .bind(receiver.events.contains(&SessionEvent::Created))
        .push(", ")
        .bind(receiver.events.contains(&SessionEvent::Ended))
        .push(", ")
        .bind(receiver.tells_email)
        .push(", ")
        .bind(receiver.created_at.0)
        .push(&format!(
            " WHERE (SELECT count(*) FROM receiver) < {MOST_RECEIVERS}"
        ));
    Ok(sql.run(connection).await? == 1)
}

/// Writes down what can be changed of a receiver, and has it tried at once.
///
/// # Errors
/// As `create`.
pub async fn change(
    connection: &impl ConnectionTrait,
    receiver: &Receiver,
    now: Timestamp,
) -> Result<(), DbError> {
    let mut sql = Sql::new(connection, "UPDATE receiver SET name = ");
    sql.bind(receiver.name.clone())
        .push(", url = ")
        .bind(receiver.url.clone())
        .push(", audience = ")
        .bind(receiver.audience.clone())
        .push(", tells_created = ")
        .bind(receiver.events.contains(&SessionEvent::Created))
        .push(", tells_ended = ")
        .bind(receiver.events.contains(&SessionEvent::Ended))
        .push(", tells_email = ")
        .bind(receiver.tells_email)
        .push(" WHERE id = ")
        .bind(receiver.id.0);
    sql.run(connection).await?;
    try_at_once(connection, receiver.id, now).await
}

/// Pauses a receiver. False if it is paused, or not there any more.
pub async fn pause(
    connection: &impl ConnectionTrait,
    id: ReceiverId,
    now: Timestamp,
    gone: bool,
) -> Result<bool, DbError> {
    let mut sql = Sql::new(connection, "UPDATE receiver SET paused_at = ");
    sql.bind(now.0)
        .push(", gone = ")
        .bind(gone)
        .push(" WHERE paused_at IS NULL AND id = ")
        .bind(id.0);
    Ok(sql.run(connection).await? == 1)
}

/// Goes on with a receiver.
pub async fn resume(
    connection: &impl ConnectionTrait,
    id: ReceiverId,
    now: Timestamp,
) -> Result<(), DbError> {
    let mut sql = Sql::new(
        connection,
        "UPDATE receiver SET paused_at = NULL, gone = false WHERE id = ",
    );
    sql.bind(id.0);
    sql.run(connection).await?;
    try_at_once(connection, id, now).await
}

/// Has what waits for a receiver tried at once, however often it has failed.
pub(super) async fn try_at_once(
    connection: &impl ConnectionTrait,
    id: ReceiverId,
    now: Timestamp,
) -> Result<(), DbError> {
    let mut sql = Sql::new(
        connection,
        "UPDATE receiver SET failures = 0, next_try_at = 0 WHERE id = ",
    );
    sql.bind(id.0);
    sql.run(connection).await?;
    let mut sql = Sql::new(connection, "UPDATE delivery SET next_try_at = ");
    let at = sql.place(now.0);
    sql.push(&format!(
        "{at} WHERE waiting AND next_try_at > {at} AND receiver_id = "
    ))
    .bind(id.0);
    sql.run(connection).await?;
    Ok(())
}

/// Removes a receiver, and what was written down for it. False if it is not there.
pub async fn remove(connection: &impl ConnectionTrait, id: ReceiverId) -> Result<bool, DbError> {
    let mut sql = Sql::new(connection, "DELETE FROM receiver WHERE id = ");
    sql.bind(id.0);
    let removed = sql.run(connection).await? == 1;
    let mut sql = Sql::new(connection, "DELETE FROM delivery WHERE receiver_id = ");
    sql.bind(id.0);
    sql.run(connection).await?;
    Ok(removed)
}

/// Receivers to which something can be sent at `now`.
pub async fn due(
    connection: &impl ConnectionTrait,
    now: Timestamp,
) -> Result<Vec<Target>, DbError> {
    let mut sql = Sql::new(
        connection,
        &format!(
            "SELECT {COLUMNS} FROM receiver r WHERE r.paused_at IS NULL AND r.next_try_at <= "
        ),
    );
    let at = sql.place(now.0);
    sql.push(&format!(
        "{at} AND EXISTS (SELECT 1 FROM delivery d WHERE d.receiver_id = r.id AND d.waiting AND d.next_try_at <= {at}
            AND (d.claimed_until IS NULL OR d.claimed_until <= {at}))"
    ));
    let rows = sql.all(connection).await?;
    Ok(rows.iter().map(target).collect::<Result<_, _>>()?)
}

/// What is needed to send to one.
pub async fn find_target(
    connection: &impl ConnectionTrait,
    id: ReceiverId,
) -> Result<Option<Target>, DbError> {
    let mut sql = Sql::new(
        connection,
        &format!("SELECT {COLUMNS} FROM receiver r WHERE r.id = "),
    );
    sql.bind(id.0);
    let row = sql.one(connection).await?;
    Ok(row.as_ref().map(target).transpose()?)
}

fn target(row: &QueryResult) -> Result<Target, DbErr> {
    let row = Row(row);
    Ok(Target {
        id: ReceiverId(row.uuid("id")?),
        name: row.get("name")?,
        url: row.get("url")?,
        format: row.word("format", ReceiverFormat::from_name)?,
        audience: row.get("audience")?,
        tells_email: row.get("tells_email")?,
        failures: natural(row.get("failures")?),
    })
}

/// Notes that a receiver has accepted something. One that had not for a while gets all the rest at once.
pub async fn accepted(
    connection: &impl ConnectionTrait,
    id: ReceiverId,
    now: Timestamp,
    while_: std::time::Duration,
) -> Result<(), DbError> {
    let mut failing = Sql::new(connection, "SELECT 1 AS one FROM receiver WHERE id = ");
    failing
        .bind(id.0)
        .push(" AND failing_since < ")
        .bind((now - while_).0);
    let back = failing.one(connection).await?.is_some();
    let mut sql = Sql::new(connection, "UPDATE receiver SET last_accepted_at = ");
    sql.bind(now.0)
        .push(", failures = 0, failing_since = NULL, next_try_at = 0 WHERE id = ")
        .bind(id.0);
    sql.run(connection).await?;
    match back {
        true => try_at_once(connection, id, now).await,
        false => Ok(()),
    }
}

/// Notes that a receiver has not accepted something, and sends it nothing until `next_try_at`. Of several that were sent
/// side by side only the first counts.
pub async fn failed(
    connection: &impl ConnectionTrait,
    id: ReceiverId,
    begun: Timestamp,
    next_try_at: Timestamp,
) -> Result<(), DbError> {
    let mut sql = Sql::new(
        connection,
        "UPDATE receiver SET failures = failures + 1, failing_since = coalesce(failing_since, ",
    );
    let at = sql.place(begun.0);
    sql.push(&format!("{at}), next_try_at = "))
        .bind(next_try_at.0)
        .push(&format!(" WHERE next_try_at <= {at} AND id = "))
        .bind(id.0);
    sql.run(connection).await?;
    Ok(())
}
