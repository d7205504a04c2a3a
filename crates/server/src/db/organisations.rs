//! Organisations.

use std::collections::HashMap;

use rollcall_core::{BuiltInRole, EndReason, OrganisationId, Timestamp};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder,
};

use super::counters::natural;
use super::entity::organisation;
use super::error::DbError;
use super::life;
use super::overtaken::Overtaken;
use super::records::OrganisationRecord;
use super::scope::Scope;
use super::sql::{Dialect, Row, Sql};

/// Stores an organisation.
///
/// # Errors
/// `Unique("organisation_name_unique")` where the name is taken.
pub async fn create(
    connection: &impl ConnectionTrait,
    id: OrganisationId,
    name: &str,
    now: Timestamp,
) -> Result<(), DbError> {
    organisation::Entity::insert(organisation::ActiveModel {
        id: Set(id.0),
        name: Set(name.to_owned()),
        enabled: Set(true),
        ended_before: Set(None),
        ended_before_reason: Set(None),
        settled: Set(true),
        created_at: Set(now.0),
    })
    .exec_without_returning(connection)
    .await?;
    Ok(())
}

/// The organisation with exactly this name.
pub async fn find_by_name(
    connection: &impl ConnectionTrait,
    name: &str,
) -> Result<Option<OrganisationRecord>, DbError> {
    Ok(organisation::Entity::find()
        .filter(organisation::Column::Name.eq(name))
        .one(connection)
        .await?
        .map(record))
}

/// All organisations, by name.
pub async fn list(connection: &impl ConnectionTrait) -> Result<Vec<OrganisationRecord>, DbError> {
    Ok(organisation::Entity::find()
        .order_by_asc(organisation::Column::Name)
        .all(connection)
        .await?
        .into_iter()
        .map(record)
        .collect())
}

/// The organisation that is to be changed in this transaction; nobody else changes it until then.
pub async fn hold(
    connection: &impl ConnectionTrait,
    id: OrganisationId,
) -> Result<Option<OrganisationRecord>, DbError> {
    if Dialect::of(connection) == Dialect::Postgres {
        let mut sql = Sql::new(connection, "SELECT id FROM organisation WHERE id = ");
        sql.bind(id.0).push(" FOR NO KEY UPDATE");
        sql.one(connection).await?;
    }
    find(connection, id).await
}

/// The organisation with this id.
pub async fn find(
    connection: &impl ConnectionTrait,
    id: OrganisationId,
) -> Result<Option<OrganisationRecord>, DbError> {
    let found = organisation::Entity::find_by_id(id.0)
        .one(connection)
        .await?;
    Ok(found.map(record))
}

/// Gives an organisation another name. False if there is none.
///
/// # Errors
/// As `create`.
pub async fn rename(
    connection: &impl ConnectionTrait,
    id: OrganisationId,
    name: &str,
) -> Result<bool, DbError> {
    let mut sql = Sql::new(connection, "UPDATE organisation SET name = ");
    sql.bind(name).push(" WHERE id = ").bind(id.0);
    Ok(sql.run(connection).await? == 1)
}

/// Disables an enabled organisation and ends all sessions there. False if no enabled Platform administrator
/// would be left elsewhere.
pub async fn disable(
    connection: &impl ConnectionTrait,
    id: OrganisationId,
    now: Timestamp,
) -> Result<bool, DbError> {
    let mut sql = Sql::new(connection, "UPDATE organisation SET enabled = false");
    ends(&mut sql, now);
    sql.push(" WHERE enabled AND id = ")
        .bind(id.0)
        .push(&format!(
            r#" AND EXISTS (SELECT 1 FROM "user" x JOIN organisation xo ON xo.id = x.organisation_id
                WHERE x.role_key = '{}' AND x.enabled AND x.deleted_at IS NULL AND xo.enabled
                    AND xo.id <> organisation.id)"#,
            BuiltInRole::PlatformAdministrator.key()
        ));
    let disabled = sql.run(connection).await? == 1;
    if disabled {
        super::api_keys::revoke_all_in(connection, id, now).await?;
    }
    Ok(disabled)
}

/// Enables a disabled organisation. What was signed in until now stays ended, a sign-in that was on its way
/// when it was disabled among it.
pub async fn enable(
    connection: &impl ConnectionTrait,
    id: OrganisationId,
    now: Timestamp,
) -> Result<bool, DbError> {
    let mut sql = Sql::new(connection, "UPDATE organisation SET enabled = true");
    ends(&mut sql, now);
    sql.push(" WHERE NOT enabled AND id = ").bind(id.0);
    Ok(sql.run(connection).await? == 1)
}

fn ends(sql: &mut Sql, now: Timestamp) {
    sql.push(", ended_before = ")
        .bind(now.0)
        .push(", ended_before_by = NULL, ended_before_note = NULL, ended_before_reason = ")
        .bind(EndReason::OrganisationDisabled.as_str());
}

/// How large organisations are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Size {
    /// Users, without deleted ones.
    pub users: u64,
    /// Sessions that live.
    pub active_sessions: u64,
    /// Sessions, ended ones that are still kept among them.
    pub sessions: u64,
}

/// How large organisations are: this one, or all.
pub async fn sizes(
    connection: &impl ConnectionTrait,
    only: Option<OrganisationId>,
    now: Timestamp,
) -> Result<HashMap<OrganisationId, Size>, DbError> {
    let mut sizes: HashMap<OrganisationId, Size> = HashMap::new();
    let and = |sql: &mut Sql, column: &str| match only {
        None => String::new(),
        Some(id) => format!(" AND {column} = {}", sql.place(id.0)),
    };
    let mut sql = Sql::new(connection, "");
    let wanted = and(&mut sql, "c.organisation_id");
    sql.push(&format!(
        "SELECT c.organisation_id, CAST(sum(c.total) AS bigint) AS total, CAST(sum(c.active) AS bigint) AS active
        FROM session_counter c WHERE true{wanted} GROUP BY c.organisation_id"
    ));
    for row in sql.all(connection).await? {
        let row = Row(&row);
        let size = sizes
            .entry(OrganisationId(row.uuid("organisation_id")?))
            .or_default();
        size.sessions = natural(row.get("total")?);
        size.active_sessions = natural(row.get("active")?);
    }
    let scope = only.map_or(Scope::All, Scope::Organisation);
    let overtaken = Overtaken::read(connection, scope, now).await?;
    if !overtaken.is_empty() {
        // Where an epoch has overtaken nearly all of an organisation, what was created since counts instead.
        for (id, size) in &mut sizes {
            if overtaken.covers_all_of(id.0) {
                size.active_sessions = 0;
            }
        }
        let mut sql = Sql::new(connection, "");
        let spared = overtaken.spared(&mut sql);
        sql.push(&format!(
            "SELECT s.organisation_id AS organisation_id, count(*) AS since FROM session s
            WHERE s.number IN (SELECT number FROM ({spared}) spared) GROUP BY s.organisation_id"
        ));
        for row in sql.all(connection).await? {
            let row = Row(&row);
            let size = sizes
                .entry(OrganisationId(row.uuid("organisation_id")?))
                .or_default();
            size.active_sessions = natural(row.get("since")?);
        }
    }
    // What has no stored end and lives no more, but for what was overtaken.
    let mut sql = Sql::new(connection, "");
    let (at, wanted) = (sql.place(now.0), and(&mut sql, "s.organisation_id"));
    let select = format!(
        "s.organisation_id AS organisation_id, {} AS overtaken_at",
        overtaken.at(&mut sql)
    );
    let gone = life::collected(&mut sql, &overtaken, &select, &at, &wanted);
    sql.push(&format!(
        "SELECT e.organisation_id, count(*) AS gone FROM ({gone}) e WHERE e.overtaken_at IS NULL GROUP BY e.organisation_id"
    ));
    for row in sql.all(connection).await? {
        let row = Row(&row);
        let size = sizes
            .entry(OrganisationId(row.uuid("organisation_id")?))
            .or_default();
        size.active_sessions = size
            .active_sessions
            .saturating_sub(natural(row.get("gone")?));
    }
    let mut sql = Sql::new(connection, "");
    let wanted = and(&mut sql, "u.organisation_id");
    sql.push(&format!(
        r#"SELECT u.organisation_id, count(*) AS users FROM "user" u WHERE u.deleted_at IS NULL{wanted}
        GROUP BY u.organisation_id"#
    ));
    for row in sql.all(connection).await? {
        let row = Row(&row);
        let size = sizes
            .entry(OrganisationId(row.uuid("organisation_id")?))
            .or_default();
        size.users = natural(row.get("users")?);
    }
    Ok(sizes)
}

fn record(row: organisation::Model) -> OrganisationRecord {
    OrganisationRecord {
        id: OrganisationId(row.id),
        name: row.name,
        enabled: row.enabled,
        created_at: Timestamp(row.created_at),
    }
}
