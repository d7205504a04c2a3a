//! The outbox: what receivers are told. Triggers write its rows in the transactions of what they are about; here they are
//! taken, sent elsewhere, and marked.

use std::time::Duration;

use rollcall_core::integrations::message_id;
use rollcall_core::{
    Confirmation, Delivery, DeliveryFailure, DeliveryId, DeliveryQuery, DeliveryState, EndReason,
    Kind, Method, OrganisationId, Page, ReceiverId, ReceiverRef, SessionEvent, SessionId,
    Timestamp, UserId,
};
use sea_orm::{ConnectionTrait, DbErr, QueryResult};
use uuid::Uuid;

use super::counters::natural;
use super::error::DbError;
use super::sql::{Row, Sql, unknown};

/// So many are counted; beyond it a list says "more than".
const COUNTED: u64 = 10_000;
/// How many ended sessions are looked at together.
const CONFIRMED: usize = 10;

/// An event that somebody is sending.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Claimed {
    /// The delivery.
    pub id: DeliveryId,
    /// What has happened.
    pub event: SessionEvent,
    /// To which session.
    pub session: SessionId,
    /// Whose it is.
    pub user: UserId,
    /// That user's organisation.
    pub organisation: OrganisationId,
    /// That user's e-mail as of then.
    pub email: String,
    /// What holds the session.
    pub kind: Kind,
    /// How the user signed in.
    pub method: Method,
    /// When the session began.
    pub created_at: Timestamp,
    /// Why it ended.
    pub reason: Option<EndReason>,
    /// Who ended it.
    pub ended_by: Option<UserId>,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// How often it was sent before.
    pub attempts: u64,
}

/// Takes up to `limit` events that are due for a receiver, the oldest first, until `until`: nobody else takes them until
/// then. Of one session only the oldest that waits is taken. Answers none while the receiver is paused.
pub async fn claim(
    connection: &impl ConnectionTrait,
    receiver: ReceiverId,
    now: Timestamp,
    until: Timestamp,
    limit: u64,
) -> Result<Vec<Claimed>, DbError> {
    let mut sql = Sql::new(connection, "UPDATE delivery SET claimed_until = ");
    let (until, at) = (sql.place(until.0), sql.place(now.0));
    let of = sql.place(receiver.0);
    let free = "(claimed_until IS NULL OR claimed_until <= ";
    sql.push(&format!(
        "{until}, last_tried_at = {at} WHERE waiting AND {free}{at}) AND number IN (
            SELECT d.number FROM delivery d
            WHERE d.receiver_id = {of} AND d.waiting AND d.next_try_at <= {at}
                AND (d.claimed_until IS NULL OR d.claimed_until <= {at})
                AND EXISTS (SELECT 1 FROM receiver r WHERE r.id = {of} AND r.paused_at IS NULL)
                AND NOT EXISTS (
                    SELECT 1 FROM delivery e WHERE e.receiver_id = {of} AND e.session_id = d.session_id
                        AND e.waiting AND e.number < d.number
                )
            ORDER BY d.number LIMIT {limit}
        ) RETURNING number, event, session_id, user_id, organisation_id, email, kind, method, created_at, end_reason,
            ended_by, occurred_at, attempts"
    ));
    let rows = sql.all(connection).await?;
    let mut claimed: Vec<Claimed> = rows.iter().map(read_claimed).collect::<Result<_, _>>()?;
    claimed.sort_by_key(|one| one.id);
    Ok(claimed)
}

/// Lets everything go that somebody was sending when the server was stopped.
pub async fn release(connection: &impl ConnectionTrait) -> Result<u64, DbError> {
    let text =
        "UPDATE delivery SET claimed_until = NULL WHERE waiting AND claimed_until IS NOT NULL";
    Ok(Sql::new(connection, text).run(connection).await?)
}

fn read_claimed(row: &QueryResult) -> Result<Claimed, DbErr> {
    let row = Row(row);
    Ok(Claimed {
        id: DeliveryId(row.get("number")?),
        event: row.word("event", SessionEvent::from_name)?,
        session: SessionId(row.uuid("session_id")?),
        user: UserId(row.uuid("user_id")?),
        organisation: OrganisationId(row.uuid("organisation_id")?),
        email: row.get("email")?,
        kind: row.word("kind", Kind::from_name)?,
        method: row.word("method", Method::from_name)?,
        created_at: row.time("created_at")?,
        reason: reason(&row)?,
        ended_by: row.get::<Option<Uuid>>("ended_by")?.map(UserId),
        occurred_at: row.time("occurred_at")?,
        attempts: natural(row.get("attempts")?),
    })
}

fn reason(row: &Row<'_>) -> Result<Option<EndReason>, DbErr> {
    match row.get::<Option<String>>("end_reason")? {
        None => Ok(None),
        Some(word) => EndReason::from_name(&word)
            .map(Some)
            .ok_or_else(|| unknown("end_reason")),
    }
}

/// Notes that an event was accepted.
pub async fn accepted(
    connection: &impl ConnectionTrait,
    id: DeliveryId,
    status: u16,
    now: Timestamp,
) -> Result<(), DbError> {
    let mut sql = Sql::new(
        connection,
        "UPDATE delivery SET waiting = false, claimed_until = NULL, failure = NULL, attempts = attempts + 1, last_status = ",
    );
    sql.bind(i64::from(status))
        .push(", accepted_at = coalesce(accepted_at, ")
        .bind(now.0)
        .push(") WHERE waiting AND number = ")
        .bind(id.0);
    sql.run(connection).await?;
    Ok(())
}

/// Notes that an event was not accepted, and when it is sent next.
pub async fn failed(
    connection: &impl ConnectionTrait,
    id: DeliveryId,
    failure: DeliveryFailure,
    status: Option<u16>,
    next_try_at: Timestamp,
) -> Result<(), DbError> {
    let mut sql = Sql::new(
        connection,
        "UPDATE delivery SET claimed_until = NULL, attempts = attempts + 1, failure = ",
    );
    sql.bind(failure.as_str())
        .push(", last_status = ")
        .bind(status.map(i64::from))
        .push(", next_try_at = ")
        .bind(next_try_at.0)
        .push(" WHERE waiting AND number = ")
        .bind(id.0);
    sql.run(connection).await?;
    Ok(())
}

/// Has an event sent again at once, and its receiver tried. False if there is no such delivery.
pub async fn replay(
    connection: &impl ConnectionTrait,
    id: DeliveryId,
    now: Timestamp,
) -> Result<bool, DbError> {
    let mut sql = Sql::new(
        connection,
        "UPDATE delivery SET waiting = true, attempts = 0, next_try_at = ",
    );
    sql.bind(now.0).push(" WHERE number = ").bind(id.0);
    if sql.run(connection).await? == 0 {
        return Ok(false);
    }
    let mut sql = Sql::new(
        connection,
        "UPDATE receiver SET next_try_at = 0 WHERE id = (SELECT d.receiver_id FROM delivery d WHERE d.number = ",
    );
    sql.bind(id.0).push(")");
    sql.run(connection).await?;
    Ok(true)
}

/// Forgets up to `limit` events that were accepted before `before`, and what was left of receivers that are gone. Answers
/// how many.
pub async fn purge(
    connection: &impl ConnectionTrait,
    before: Timestamp,
    limit: u64,
) -> Result<u64, DbError> {
    let mut sql = Sql::new(
        connection,
        "DELETE FROM delivery WHERE number IN (
            SELECT number FROM delivery WHERE NOT waiting AND accepted_at < ",
    );
    sql.bind(before.0).push(&format!(" LIMIT {limit})"));
    let purged = sql.run(connection).await?;
    let left = Sql::new(
        connection,
        "DELETE FROM delivery WHERE receiver_id IN (
            SELECT DISTINCT d.receiver_id FROM delivery d
            WHERE d.waiting AND NOT EXISTS (SELECT 1 FROM receiver r WHERE r.id = d.receiver_id))",
    );
    Ok(purged + left.run(connection).await?)
}

const COLUMNS: &str = "d.number, d.receiver_id, r.name AS receiver_name, d.event, d.session_id, d.user_id, d.organisation_id,
    d.email, d.end_reason, d.occurred_at, d.waiting, d.attempts, d.last_tried_at, d.next_try_at, d.last_status, d.failure,
    d.accepted_at";

/// One page of deliveries, the newest first.
pub async fn list(
    connection: &impl ConnectionTrait,
    query: &DeliveryQuery,
    now: Timestamp,
) -> Result<Page<Delivery>, DbError> {
    let mut counted = Sql::new(
        connection,
        "SELECT count(*) AS total FROM (SELECT 1 FROM delivery d WHERE true",
    );
    matching(&mut counted, query);
    counted.push(&format!(" LIMIT {}) c", COUNTED + 1));
    let total = match counted.one(connection).await? {
        Some(row) => natural(Row(&row).get("total")?),
        None => 0,
    };
    let mut sql = Sql::new(
        connection,
        &format!(
            "SELECT {COLUMNS} FROM delivery d JOIN receiver r ON r.id = d.receiver_id WHERE true"
        ),
    );
    matching(&mut sql, query);
    let size = u64::from(query.page_size.get());
    sql.push(" ORDER BY d.number DESC LIMIT ")
        .bind(size.cast_signed())
        .push(" OFFSET ")
        .bind((u64::from(query.page.get() - 1) * size).cast_signed());
    let rows = sql.all(connection).await?;
    Ok(Page {
        items: rows.iter().map(read).collect::<Result<_, _>>()?,
        total: total.min(COUNTED),
        total_is_exact: total <= COUNTED,
        page: query.page.get(),
        page_size: query.page_size.get(),
        as_of: now,
    })
}

fn matching(sql: &mut Sql, query: &DeliveryQuery) {
    match query.state {
        None => {}
        Some(DeliveryState::Waiting) => {
            sql.push(" AND d.waiting AND d.attempts = 0");
        }
        Some(DeliveryState::Failing) => {
            sql.push(" AND d.waiting AND d.attempts > 0");
        }
        Some(DeliveryState::Accepted) => {
            sql.push(" AND NOT d.waiting");
        }
    }
    if let Some(receiver) = query.receiver {
        sql.push(" AND d.receiver_id = ").bind(receiver.0);
    }
    if let Some(session) = query.session {
        sql.push(" AND d.session_id = ").bind(session.0);
    }
}

/// One delivery.
pub async fn find(
    connection: &impl ConnectionTrait,
    id: DeliveryId,
) -> Result<Option<Delivery>, DbError> {
    let mut sql = Sql::new(
        connection,
        &format!(
            "SELECT {COLUMNS} FROM delivery d JOIN receiver r ON r.id = d.receiver_id WHERE d.number = "
        ),
    );
    sql.bind(id.0);
    let row = sql.one(connection).await?;
    Ok(row.as_ref().map(read).transpose()?)
}

fn read(row: &QueryResult) -> Result<Delivery, DbErr> {
    let row = Row(row);
    let waiting: bool = row.get("waiting")?;
    let attempts = natural(row.get("attempts")?);
    let (event, session) = (
        row.word("event", SessionEvent::from_name)?,
        SessionId(row.uuid("session_id")?),
    );
    let failure: Option<String> = row.get("failure")?;
    Ok(Delivery {
        id: DeliveryId(row.get("number")?),
        message_id: message_id(event, session),
        receiver: ReceiverRef {
            id: ReceiverId(row.uuid("receiver_id")?),
            name: row.get("receiver_name")?,
        },
        event,
        session,
        user: UserId(row.uuid("user_id")?),
        email: row.get("email")?,
        organisation: OrganisationId(row.uuid("organisation_id")?),
        reason: reason(&row)?,
        occurred_at: row.time("occurred_at")?,
        state: match (waiting, attempts) {
            (false, _) => DeliveryState::Accepted,
            (true, 0) => DeliveryState::Waiting,
            (true, _) => DeliveryState::Failing,
        },
        attempts,
        last_tried_at: row.get::<Option<i64>>("last_tried_at")?.map(Timestamp),
        next_try_at: waiting.then_some(row.time("next_try_at")?),
        last_status: row
            .get::<Option<i64>>("last_status")?
            .and_then(|status| u16::try_from(status).ok()),
        failure: failure.as_deref().and_then(DeliveryFailure::from_name),
        accepted_at: row.get::<Option<i64>>("accepted_at")?.map(Timestamp),
    })
}

/// How long it took until every receiver knew of the end of this session, or of each of the sessions that ended last.
pub async fn confirmations(
    connection: &impl ConnectionTrait,
    session: Option<SessionId>,
) -> Result<Vec<Confirmation>, DbError> {
    let sessions = match session {
        Some(session) => vec![session.0],
        None => newest(connection).await?,
    };
    if sessions.is_empty() {
        return Ok(Vec::new());
    }
    let mut sql = Sql::new(connection, "");
    let places = sql.places(sessions);
    sql.push(&format!(
        "SELECT d.session_id, d.user_id, d.email, d.end_reason, d.occurred_at, count(*) AS receivers,
            count(d.accepted_at) AS confirmed, max(d.accepted_at) AS last_at, max(d.number) AS newest
        FROM delivery d WHERE d.event = '{}' AND d.session_id IN ({places})
        GROUP BY d.session_id, d.user_id, d.email, d.end_reason, d.occurred_at ORDER BY newest DESC",
        SessionEvent::Ended.as_str(),
    ));
    let rows = sql.all(connection).await?;
    Ok(rows.iter().map(confirmation).collect::<Result<_, _>>()?)
}

// Read from the end of the table: grouping all of it would look at everything that is kept.
async fn newest(connection: &impl ConnectionTrait) -> Result<Vec<Uuid>, DbError> {
    let sql = Sql::new(
        connection,
        &format!(
            "SELECT session_id FROM delivery WHERE event = '{}' ORDER BY number DESC LIMIT {}",
            SessionEvent::Ended.as_str(),
            CONFIRMED * rollcall_core::integrations::MOST_RECEIVERS as usize
        ),
    );
    let mut sessions = Vec::new();
    for row in &sql.all(connection).await? {
        let session = Row(row).uuid("session_id")?;
        if !sessions.contains(&session) && sessions.len() < CONFIRMED {
            sessions.push(session);
        }
    }
    Ok(sessions)
}

fn confirmation(row: &QueryResult) -> Result<Confirmation, DbErr> {
    let row = Row(row);
    let (receivers, confirmed) = (
        natural(row.get("receivers")?),
        natural(row.get("confirmed")?),
    );
    let ended_at = row.time("occurred_at")?;
    let last_at = row.get::<Option<i64>>("last_at")?.map(Timestamp);
    let confirmed_at = last_at.filter(|_| receivers == confirmed);
    let milliseconds = confirmed_at
        .map(|at| Duration::from_micros(u64::try_from(at.0 - ended_at.0).unwrap_or_default()))
        .map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
    Ok(Confirmation {
        session: SessionId(row.uuid("session_id")?),
        user: UserId(row.uuid("user_id")?),
        email: row.get("email")?,
        reason: reason(&row)?,
        ended_at,
        receivers,
        confirmed,
        confirmed_at,
        milliseconds,
    })
}
