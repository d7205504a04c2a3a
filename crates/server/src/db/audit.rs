//! The audit trail: appended to, read, never changed. Triggers refuse what code should not try.

use rollcall_core::{AuditAction, AuditOutcome, OrganisationId, SessionId, Timestamp, UserId};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder,
    QuerySelect,
};
use serde::ser::{Serialize, SerializeMap, Serializer};

pub use super::audit_list::{After, list, list_after};
use super::entity::audit_event;
use super::error::DbError;
pub use super::records::AuditRecord;
use super::records::StoredAuditEvent;
use super::sql::{Dialect, Row, Sql, hash, statement, unknown};

/// The HMAC of an event, from that of the one before and its number.
pub type Chain<'a> = dyn Fn(&[u8; 32], i64, &AuditRecord) -> [u8; 32] + Send + Sync + 'a;

/// Rows in one statement: 16 columns each, within what SQLite binds.
const STATEMENT: usize = 500;

/// Appends events in their order and answers the number and HMAC of the last one; `None` where there is none. The newest
/// number is locked until the transaction ends, so append last.
pub async fn append_all(
    connection: &impl ConnectionTrait,
    records: &[AuditRecord],
    chain: &Chain<'_>,
) -> Result<Option<(i64, [u8; 32])>, DbError> {
    if records.is_empty() {
        return Ok(None);
    }
    let mut take = Sql::new(connection, "UPDATE audit_head SET sequence = sequence + ");
    take.bind(records.len() as i64)
        .push(" WHERE id = 1 RETURNING sequence, hmac");
    let row = take
        .one(connection)
        .await?
        .ok_or_else(|| DbErr::RecordNotFound("audit_head".into()))?;
    let (last, mut hmac): (i64, _) = (Row(&row).get("sequence")?, Row(&row).hash("hmac")?);
    let mut sequence = last - records.len() as i64;
    for part in records.chunks(STATEMENT) {
        let rows: Vec<_> = part
            .iter()
            .map(|record| {
                sequence += 1;
                hmac = chain(&hmac, sequence, record);
                model(record, sequence, &hmac)
            })
            .collect();
        match Dialect::of(connection) {
            Dialect::Postgres if rows.len() > 1 => insert_at_once(connection, &rows).await?,
            _ => {
                let rows = rows.into_iter().map(IntoActiveModel::into_active_model);
                audit_event::Entity::insert_many(rows)
                    .exec_without_returning(connection)
                    .await?;
            }
        }
    }
    let mut keep = Sql::new(connection, "UPDATE audit_head SET hmac = ");
    keep.bind(hmac.to_vec()).push(" WHERE id = 1");
    keep.run(connection).await?;
    Ok(Some((last, hmac)))
}

/// The same for PostgreSQL, where a statement with thousands of placeholders takes longer to be planned than to be run:
/// all rows are one value, in which each leaves out what it has in common with the first.
async fn insert_at_once(
    connection: &impl ConnectionTrait,
    rows: &[audit_event::Model],
) -> Result<(), DbError> {
    let Some(first) = rows.first() else {
        return Ok(());
    };
    let json = |error: serde_json::Error| DbErr::Json(error.to_string());
    let whole = Line {
        row: first,
        unlike: None,
    };
    let base = serde_json::to_string(&whole).map_err(json)?;
    let lines: Vec<_> = rows
        .iter()
        .map(|row| Line {
            row,
            unlike: Some(first),
        })
        .collect();
    let lines = serde_json::to_string(&lines).map_err(json)?;
    let columns = "sequence, at, actor_id, actor_name, target_id, target_name, target_email, organisation_id, action, outcome,
        session_id, detail, ip, ip_bytes, user_agent, request_id, hmac";
    let mut sql = Sql::new(
        connection,
        &format!(
            "INSERT INTO audit_event ({columns}) SELECT {columns}
             FROM json_populate_recordset(json_populate_record(NULL::audit_event, "
        ),
    );
    sql.bind(base).push("::json), ").bind(lines).push("::json)");
    sql.run(connection).await?;
    Ok(())
}

// A row as PostgreSQL reads it, with fields that are called like its columns; without what is as in another row.
struct Line<'a> {
    row: &'a audit_event::Model,
    unlike: Option<&'a audit_event::Model>,
}

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        macro_rules! fields {
            ($($field:ident),*) => {
                $(if self.unlike.is_none_or(|other| other.$field != self.row.$field) {
                    map.serialize_entry(stringify!($field), &self.row.$field)?;
                })*
            };
        }
        fields!(
            sequence,
            at,
            actor_id,
            actor_name,
            target_id,
            target_name,
            target_email,
            organisation_id,
            action,
            outcome,
            session_id,
            detail,
            ip,
            user_agent,
            request_id
        );
        if self
            .unlike
            .is_none_or(|other| other.ip_bytes != self.row.ip_bytes)
        {
            map.serialize_entry("ip_bytes", &self.row.ip_bytes.as_deref().map(bytea))?;
        }
        map.serialize_entry("hmac", &bytea(&self.row.hmac))?;
        map.end()
    }
}

// Bytes in PostgreSQL's own words.
fn bytea(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(2 + 2 * bytes.len());
    text.push_str("\\x");
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from(DIGITS[usize::from(digit)]));
        }
    }
    text
}

fn model(record: &AuditRecord, sequence: i64, hmac: &[u8; 32]) -> audit_event::Model {
    audit_event::Model {
        sequence,
        at: record.at.0,
        actor_id: record.actor.map(|id| id.0),
        actor_name: record.actor_name.clone(),
        target_id: record.target.map(|id| id.0),
        target_name: record.target_name.clone(),
        target_email: record.target_email.clone(),
        organisation_id: record.organisation.map(|id| id.0),
        action: record.action.as_str().to_owned(),
        outcome: record.outcome.as_str().to_owned(),
        session_id: record.session.map(|id| id.0),
        // Nothing to say is written in one way only: the HMAC cannot tell an empty text from none.
        detail: record.detail.clone().filter(|text| !text.is_empty()),
        ip: record.ip.clone(),
        ip_bytes: ip_bytes(&record.ip),
        user_agent: record.user_agent.clone(),
        request_id: record.request_id.clone(),
        hmac: hmac.to_vec(),
    }
}

/// The newest number and HMAC; 0 and zeros before the first event.
pub async fn head(connection: &impl ConnectionTrait) -> Result<(i64, [u8; 32]), DbError> {
    let query = statement(
        connection,
        "SELECT sequence, hmac FROM audit_head WHERE id = 1",
        [],
    );
    let row = connection
        .query_one_raw(query)
        .await?
        .ok_or_else(|| DbErr::RecordNotFound("audit_head".into()))?;
    Ok((Row(&row).get("sequence")?, Row(&row).hash("hmac")?))
}

/// The HMAC of the event with this number.
pub async fn find_hmac(
    connection: &impl ConnectionTrait,
    sequence: i64,
) -> Result<Option<[u8; 32]>, DbError> {
    let query = statement(
        connection,
        "SELECT hmac FROM audit_event WHERE sequence = $1",
        [sequence.into()],
    );
    let row = connection.query_one_raw(query).await?;
    Ok(row.map(|row| Row(&row).hash("hmac")).transpose()?)
}

/// Stored events after a number, in their order.
pub async fn list_raw_after(
    connection: &impl ConnectionTrait,
    sequence: i64,
    limit: u64,
) -> Result<Vec<StoredAuditEvent>, DbError> {
    let rows = audit_event::Entity::find()
        .filter(audit_event::Column::Sequence.gt(sequence))
        .order_by_asc(audit_event::Column::Sequence)
        .limit(limit)
        .all(connection)
        .await?;
    rows.into_iter().map(|row| Ok(stored(row)?)).collect()
}

fn stored(row: audit_event::Model) -> Result<StoredAuditEvent, DbErr> {
    Ok(StoredAuditEvent {
        sequence: row.sequence,
        hmac: hash(row.hmac)?,
        record: AuditRecord {
            at: Timestamp(row.at),
            actor: row.actor_id.map(UserId),
            actor_name: row.actor_name,
            target: row.target_id.map(UserId),
            target_name: row.target_name,
            target_email: row.target_email,
            organisation: row.organisation_id.map(OrganisationId),
            action: AuditAction::from_name(&row.action).ok_or_else(|| unknown("action"))?,
            outcome: AuditOutcome::from_name(&row.outcome).ok_or_else(|| unknown("outcome"))?,
            session: row.session_id.map(SessionId),
            detail: row.detail,
            ip: row.ip,
            user_agent: row.user_agent,
            request_id: row.request_id,
        },
    })
}

/// The bytes by which an address is filtered; `None` where there is none.
pub(super) fn ip_bytes(text: &str) -> Option<Vec<u8>> {
    let address = text.parse().ok()?;
    Some(rollcall_core::address::bytes(address).to_vec())
}
