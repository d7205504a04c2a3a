//! Rows as the list shows them.

use std::collections::{BTreeSet, HashMap};

use rollcall_core::session::{LifeFacts, state_at};
use rollcall_core::{
    Actor, EndReason, Ended, Kind, Method, OrganisationId, OrganisationRef, Owner, Session,
    SessionId, State, Timestamp, UserId, UserRef,
};
use sea_orm::{ConnectionTrait, DbErr};
use uuid::Uuid;

use crate::db::counters::natural;
use crate::db::error::DbError;
use crate::db::life;
use crate::db::records::foreign_actor;
use crate::db::scope::Scope;
use crate::db::sql::{Dialect, Row, Sql};

const COLUMNS: &str = r#"s.id, s.user_id, s.organisation_id, s.name, s.kind, s.method, s.ip, s.user_agent, s.browser,
    s.system, s.server_name, s.email, s.created_at, s.last_activity_at, s.idle_timeout_seconds, s.idle_expires_at,
    s.absolute_expires_at, s.ended_at, s.end_reason, s.ended_by, s.end_note,
    u.name AS user_name, u.service_account, u.enabled AS user_enabled, u.deleted_at,
    u.ended_before AS user_before, u.ended_before_reason AS user_before_reason,
    o.name AS organisation_name, o.enabled AS organisation_enabled,
    o.ended_before AS organisation_before, o.ended_before_reason AS organisation_before_reason,
    i.ended_before AS installation_before, i.ended_before_reason AS installation_before_reason,
    u.organisation_id AS user_organisation, u.last_sign_in_at, ur.name AS role_name,
    a.name AS actor_name, a.organisation_id AS actor_organisation"#;

/// The rows with these ids that the scope lets through, in the order of the ids.
pub(super) async fn read(
    connection: &impl ConnectionTrait,
    scope: Scope,
    ids: &[Uuid],
    now: Timestamp,
) -> Result<Vec<Session>, DbError> {
    let mut found = HashMap::with_capacity(ids.len());
    // Far below the number of values that either database takes.
    for part in ids.chunks(500) {
        let dialect = Dialect::of(connection);
        let mut sql = Sql::new(connection, "SELECT ");
        sql.push(COLUMNS)
            .push(" FROM session s")
            .push(&dialect.by("session_id_unique"))
            .push(" ")
            .push(&life::joins(dialect))
            .push(
                r#" LEFT JOIN role ur ON ur.key = u.role_key LEFT JOIN "user" a ON a.id = s.ended_by
                WHERE s.id IN ("#,
            );
        for (index, id) in part.iter().enumerate() {
            if index > 0 {
                sql.push(", ");
            }
            sql.bind(*id);
        }
        sql.push(")");
        match scope {
            Scope::All => {}
            Scope::Organisation(organisation) => {
                sql.push(" AND s.organisation_id = ").bind(organisation.0);
            }
            Scope::User(user) => {
                sql.push(" AND s.user_id = ").bind(user.0);
            }
        }
        for row in sql.all(connection).await? {
            let session = session(&Row(&row), scope, now)?;
            found.insert(session.id.0, session);
        }
    }
    if found.values().any(|session| session.owner.is_some()) {
        count_open(connection, &mut found, now).await?;
    }
    // A row that was purged since its id was read is left out.
    Ok(ids.iter().filter_map(|id| found.remove(id)).collect())
}

fn session(row: &Row<'_>, scope: Scope, now: Timestamp) -> Result<Session, DbErr> {
    let facts = LifeFacts {
        created_at: row.time("created_at")?,
        idle_expires_at: row.time("idle_expires_at")?,
        absolute_expires_at: row.time("absolute_expires_at")?,
        ended: row.end("ended_at", "end_reason", EndReason::from_name)?,
        user_ended_before: row.end("user_before", "user_before_reason", EndReason::from_name)?,
        organisation_ended_before: row.end(
            "organisation_before",
            "organisation_before_reason",
            EndReason::from_name,
        )?,
        installation_ended_before: row.end(
            "installation_before",
            "installation_before_reason",
            EndReason::from_name,
        )?,
        user_enabled: row.get("user_enabled")? && row.get::<Option<i64>>("deleted_at")?.is_none(),
        organisation_enabled: row.get("organisation_enabled")?,
    };
    let organisation: Uuid = row.get("organisation_id")?;
    let ended = match state_at(&facts, now) {
        Ok(()) => None,
        Err((at, reason)) => Some(Ended {
            reason,
            at,
            by: actor(row, scope, organisation)?,
            note: row.get("end_note")?,
        }),
    };
    let until = ended.as_ref().map_or(now, |ended| ended.at);
    Ok(Session {
        id: SessionId(row.uuid("id")?),
        user: UserRef {
            id: UserId(row.uuid("user_id")?),
            email: row.get("email")?,
            name: row.get("user_name")?,
            service_account: row.get("service_account")?,
        },
        owner: owner(row, scope, organisation)?,
        organisation: OrganisationRef {
            id: OrganisationId(organisation),
            name: row.get("organisation_name")?,
        },
        name: row.get("name")?,
        kind: row.word("kind", Kind::from_name)?,
        method: row.word("method", Method::from_name)?,
        ip: row.get("ip")?,
        user_agent: row.get("user_agent")?,
        browser: row.get("browser")?,
        system: row.get("system")?,
        server_name: row.get("server_name")?,
        state: if ended.is_none() {
            State::Active
        } else {
            State::Ended
        },
        ended,
        created_at: facts.created_at,
        last_activity_at: row.time("last_activity_at")?,
        idle_expires_at: facts.idle_expires_at,
        absolute_expires_at: facts.absolute_expires_at,
        duration_seconds: until.seconds_since(facts.created_at),
        idle_timeout_seconds: row.get("idle_timeout_seconds")?,
        current: false,
        work: None,
        brief: None,
    })
}

// What a user is in another organisation than the session's is nobody's business who sees only that one.
fn owner(row: &Row<'_>, scope: Scope, organisation: Uuid) -> Result<Option<Owner>, DbErr> {
    let deleted = row.get::<Option<i64>>("deleted_at")?.is_some();
    let own = row.uuid("user_organisation")? == organisation;
    let shown = match scope {
        Scope::All => true,
        Scope::Organisation(_) => own,
        // People know themselves.
        Scope::User(_) => false,
    };
    if deleted || !shown {
        return Ok(None);
    }
    Ok(Some(Owner {
        role: row.get::<Option<String>>("role_name")?.unwrap_or_default(),
        last_sign_in_at: row.get::<Option<i64>>("last_sign_in_at")?.map(Timestamp),
        open_sessions: 0,
    }))
}

/// Writes down how many sessions each owner has open: what the counters say, less what has ended without a stored end.
async fn count_open(
    connection: &impl ConnectionTrait,
    found: &mut HashMap<Uuid, Session>,
    now: Timestamp,
) -> Result<(), DbError> {
    let users: BTreeSet<Uuid> = found.values().map(|session| session.user.id.0).collect();
    let users: Vec<_> = users.into_iter().collect();
    let mut open = HashMap::new();
    for part in users.chunks(500) {
        let mut sql = Sql::new(connection, "");
        let places: Vec<_> = part.iter().map(|id| sql.place(*id)).collect();
        let (places, at) = (places.join(", "), sql.place(now.0));
        let gone = life::gone(
            Dialect::of(connection),
            "s.user_id AS user_id, s.organisation_id AS organisation_id",
            &at,
            &format!(" AND s.user_id IN ({places})"),
        );
        sql.push(&format!(
            "WITH gone AS (SELECT x.user_id AS user_id, x.organisation_id AS organisation_id, count(*) AS sessions
                FROM ({gone}) x GROUP BY x.user_id, x.organisation_id)
            SELECT so.user_id AS user_id, so.organisation_id AS organisation_id,
                CAST(so.active - coalesce(gone.sessions, 0) AS bigint) AS active
            FROM session_owner so LEFT JOIN gone ON gone.user_id = so.user_id AND gone.organisation_id = so.organisation_id
            WHERE so.user_id IN ({places})"
        ));
        for row in sql.all(connection).await? {
            let row = Row(&row);
            let key = (row.uuid("user_id")?, row.uuid("organisation_id")?);
            open.insert(key, natural(row.get("active")?));
        }
    }
    for session in found.values_mut() {
        let key = (session.user.id.0, session.organisation.id.0);
        if let Some(owner) = &mut session.owner {
            owner.open_sessions = open.get(&key).copied().unwrap_or(0);
        }
    }
    Ok(())
}

// Somebody of another organisation can only have been a platform administrator, and is not named.
fn actor(row: &Row<'_>, scope: Scope, organisation: Uuid) -> Result<Option<Actor>, DbErr> {
    let Some(id) = row.get::<Option<Uuid>>("ended_by")? else {
        return Ok(None);
    };
    let own = row.get::<Option<Uuid>>("actor_organisation")? == Some(organisation);
    if scope != Scope::All && !own {
        return Ok(Some(foreign_actor()));
    }
    Ok(Some(Actor {
        id: Some(UserId(id)),
        name: row.get::<Option<String>>("actor_name")?.unwrap_or_default(),
    }))
}
