//! The audit trail: appended to, read, never changed. Triggers refuse what code should not try.

use rollcall_core::{
    Actor, AuditAction, AuditEvent, AuditOutcome, AuditQuery, OrganisationId, OrganisationRef,
    Page, SessionId, Timestamp, UserId, UserRef,
};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect,
};

use super::entity::audit_event;
use super::error::DbError;
pub use super::records::AuditRecord;
use super::records::StoredAuditEvent;
use super::scope::Scope;
use super::sql::{Row, Sql, hash, statement, unknown};

/// Counting the events of a filter stops here.
const COUNTED: u64 = 10_000;

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
        audit_event::Entity::insert_many(rows)
            .exec_without_returning(connection)
            .await?;
    }
    let mut keep = Sql::new(connection, "UPDATE audit_head SET hmac = ");
    keep.bind(hmac.to_vec()).push(" WHERE id = 1");
    keep.run(connection).await?;
    Ok(Some((last, hmac)))
}

fn model(record: &AuditRecord, sequence: i64, hmac: &[u8; 32]) -> audit_event::ActiveModel {
    audit_event::ActiveModel {
        sequence: Set(sequence),
        at: Set(record.at.0),
        actor_id: Set(record.actor.map(|id| id.0)),
        actor_name: Set(record.actor_name.clone()),
        target_id: Set(record.target.map(|id| id.0)),
        target_name: Set(record.target_name.clone()),
        target_email: Set(record.target_email.clone()),
        organisation_id: Set(record.organisation.map(|id| id.0)),
        action: Set(record.action.as_str().to_owned()),
        outcome: Set(record.outcome.as_str().to_owned()),
        session_id: Set(record.session.map(|id| id.0)),
        // Nothing to say is written in one way only: the HMAC cannot tell an empty text from none.
        detail: Set(record.detail.clone().filter(|text| !text.is_empty())),
        ip: Set(record.ip.clone()),
        user_agent: Set(record.user_agent.clone()),
        request_id: Set(record.request_id.clone()),
        hmac: Set(hmac.to_vec()),
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

/// Events, newest first. An administrator of one organisation sees only its own events, and an actor of
/// another organisation only as "Platform administrator". Totals are exact up to 10,000.
pub async fn list(
    connection: &impl ConnectionTrait,
    scope: Scope,
    query: &AuditQuery,
    now: Timestamp,
) -> Result<Page<AuditEvent>, DbError> {
    let size = u64::from(query.page_size.get());
    let offset = u64::from(query.page.get() - 1) * size;
    let mut count = Sql::new(
        connection,
        "SELECT count(*) AS total FROM (SELECT 1 AS one FROM audit_event e",
    );
    filter(&mut count, scope, query);
    count
        .push(" LIMIT ")
        .bind(COUNTED.cast_signed() + 1)
        .push(") c");
    let total = match count.one(connection).await? {
        Some(row) => Row(&row).get::<i64>("total")?.cast_unsigned(),
        None => 0,
    };
    let unfiltered = scope == Scope::All
        && query.session.is_none()
        && query.user.is_none()
        && query.action.is_none()
        && query.outcome.is_none();
    let (total, total_is_exact) = match total {
        // Numbers have no gaps and nothing is deleted, so that the newest is the count.
        t if t > COUNTED && unfiltered => (head(connection).await?.0.cast_unsigned(), true),
        t if t > COUNTED => (COUNTED, false),
        t => (t, true),
    };

    let mut page = Sql::new(
        connection,
        r#"SELECT p.*, t.service_account AS service_account, a.organisation_id AS actor_organisation, o.name AS organisation_name
           FROM (SELECT e.* FROM audit_event e"#,
    );
    filter(&mut page, scope, query);
    page.push(" ORDER BY e.sequence DESC LIMIT ")
        .bind(size.cast_signed())
        .push(" OFFSET ")
        .bind(offset.cast_signed())
        .push(
            r#") p LEFT JOIN "user" t ON t.id = p.target_id LEFT JOIN "user" a ON a.id = p.actor_id
            LEFT JOIN organisation o ON o.id = p.organisation_id ORDER BY p.sequence DESC"#,
        );
    let rows = page.all(connection).await?;
    let items = rows
        .iter()
        .map(|row| event(&Row(row), scope))
        .collect::<Result<_, DbErr>>()?;
    Ok(Page {
        items,
        total,
        total_is_exact,
        page: query.page.get(),
        page_size: query.page_size.get(),
        as_of: now,
    })
}

fn filter(sql: &mut Sql, scope: Scope, query: &AuditQuery) {
    sql.push(" WHERE true");
    match scope {
        Scope::All => {}
        Scope::Organisation(organisation) => {
            sql.push(" AND e.organisation_id = ").bind(organisation.0);
        }
        Scope::User(user) => {
            let place = sql.place(user.0);
            sql.push(&format!(
                " AND (e.target_id = {place} OR e.actor_id = {place})"
            ));
        }
    }
    if let Some(session) = query.session {
        sql.push(" AND e.session_id = ").bind(session.0);
    }
    if let Some(user) = query.user {
        let place = sql.place(user.0);
        // An actor who is shown without a name cannot be asked for by id either.
        let named = match scope {
            Scope::All => "",
            Scope::Organisation(_) | Scope::User(_) => {
                r#" AND EXISTS (SELECT 1 FROM "user" a
                    WHERE a.id = e.actor_id AND a.organisation_id = e.organisation_id)"#
            }
        };
        sql.push(&format!(
            " AND (e.target_id = {place} OR (e.actor_id = {place}{named}))"
        ));
    }
    if let Some(action) = query.action {
        sql.push(" AND e.action = ").bind(action.as_str());
    }
    if let Some(outcome) = query.outcome {
        sql.push(" AND e.outcome = ").bind(outcome.as_str());
    }
}

fn event(row: &Row<'_>, scope: Scope) -> Result<AuditEvent, DbErr> {
    let organisation: Option<uuid::Uuid> = row.get("organisation_id")?;
    let actor_organisation: Option<uuid::Uuid> = row.get("actor_organisation")?;
    let actor_id: Option<uuid::Uuid> = row.get("actor_id")?;
    let actor_name: String = row.get("actor_name")?;
    let actor = match actor_id {
        Some(id) if scope == Scope::All || actor_organisation == organisation => Some(Actor {
            id: Some(UserId(id)),
            name: actor_name,
        }),
        Some(_) => Some(super::records::foreign_actor()),
        None if actor_name.is_empty() => None,
        None => Some(Actor {
            id: None,
            name: actor_name,
        }),
    };
    let target = match row.get::<Option<uuid::Uuid>>("target_id")? {
        None => None,
        Some(id) => Some(UserRef {
            id: UserId(id),
            email: row.get("target_email")?,
            name: row.get("target_name")?,
            service_account: row.get::<Option<bool>>("service_account")?.unwrap_or(false),
        }),
    };
    let organisation = match organisation {
        None => None,
        Some(id) => Some(OrganisationRef {
            id: OrganisationId(id),
            name: row
                .get::<Option<String>>("organisation_name")?
                .unwrap_or_default(),
        }),
    };
    Ok(AuditEvent {
        sequence: row.get("sequence")?,
        at: row.time("at")?,
        actor,
        target,
        organisation,
        action: row.word("action", AuditAction::from_name)?,
        outcome: row.word("outcome", AuditOutcome::from_name)?,
        session: row.get::<Option<uuid::Uuid>>("session_id")?.map(SessionId),
        detail: row.get("detail")?,
        ip: row.get("ip")?,
        user_agent: row.get("user_agent")?,
        request_id: row.get("request_id")?,
    })
}
