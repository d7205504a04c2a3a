//! What was set for the installation, organisations and roles.

use rollcall_core::policy::Timeout;
use rollcall_core::{OrganisationId, PolicyPlace, PolicySource, PolicyValue, Rule, Timestamp};
use sea_orm::ConnectionTrait;
use uuid::Uuid;

use super::error::DbError;
use super::life;
use super::sql::{Dialect, Row, Sql};

/// The values that are set for users of this organisation with this primary role: those of the role, of the organisation and
/// of the installation. Without a role or an organisation, those of the wider places only.
pub async fn set_for(
    connection: &impl ConnectionTrait,
    place: &PolicyPlace,
) -> Result<Vec<PolicyValue>, DbError> {
    let organisation = place.organisation.map_or(Uuid::nil(), |id| id.0);
    let mut sql = Sql::new(
        connection,
        "SELECT organisation_id, role_key, rule, value FROM policy WHERE (organisation_id = ",
    );
    let nil = sql.place(Uuid::nil());
    sql.push(&format!("{nil} AND role_key = '') OR (organisation_id = "))
        .bind(organisation)
        .push(" AND role_key IN ('', ")
        .bind(place.role.clone().unwrap_or_default())
        .push("))");
    let mut values = Vec::new();
    for row in sql.all(connection).await? {
        let row = Row(&row);
        let (of, role): (Uuid, String) = (row.get("organisation_id")?, row.get("role_key")?);
        // What a newer server has written is not this one's to follow.
        let Some(rule) = Rule::from_name(&row.get::<String>("rule")?) else {
            continue;
        };
        values.push(PolicyValue {
            rule,
            value: u32::try_from(row.get::<i64>("value")?).unwrap_or_default(),
            source: match (of.is_nil(), role.is_empty()) {
                (true, _) => PolicySource::Installation,
                (false, true) => PolicySource::Organisation,
                (false, false) => PolicySource::Role,
            },
        });
    }
    Ok(values)
}

/// Sets a value for a place, or takes it away.
pub async fn set(
    connection: &impl ConnectionTrait,
    place: &PolicyPlace,
    rule: Rule,
    value: Option<u32>,
) -> Result<(), DbError> {
    let organisation = place.organisation.map_or(Uuid::nil(), |id| id.0);
    let role = place.role.clone().unwrap_or_default();
    let mut sql = match value {
        Some(_) => Sql::new(
            connection,
            "INSERT INTO policy (organisation_id, role_key, rule, value) VALUES (",
        ),
        None => Sql::new(
            connection,
            "DELETE FROM policy WHERE (organisation_id, role_key, rule) = (",
        ),
    };
    sql.bind(organisation)
        .push(", ")
        .bind(role)
        .push(", ")
        .bind(rule.as_str());
    match value {
        Some(value) => sql.push(", ").bind(i64::from(value)).push(
            ") ON CONFLICT (organisation_id, role_key, rule) DO UPDATE SET value = excluded.value",
        ),
        None => sql.push(")"),
    };
    sql.run(connection).await?;
    Ok(())
}

/// What a rule says of a row's place, as SQL: the value for the role, its organisation or everybody, else `default`.
/// `organisation` and `role` are columns.
pub(super) fn value_of(
    sql: &mut Sql,
    rule: Rule,
    default: u32,
    organisation: &str,
    role: &str,
) -> String {
    let name = sql.place(rule.as_str());
    let everybody = sql.place(Uuid::nil());
    let default = sql.place(i64::from(default));
    let set = |organisation: &str, role: &str| {
        format!(
            "(SELECT p.value FROM policy p WHERE p.organisation_id = {organisation} AND p.role_key = {role} AND p.rule = {name})"
        )
    };
    format!(
        "coalesce({}, {}, {}, CAST({default} AS bigint))",
        set(organisation, role),
        set(organisation, "''"),
        set(&everybody, "''"),
    )
}

/// The values that are set for a rule anywhere.
pub async fn all_of(connection: &impl ConnectionTrait, rule: Rule) -> Result<Vec<u32>, DbError> {
    let mut sql = Sql::new(connection, "SELECT value FROM policy WHERE rule = ");
    sql.bind(rule.as_str());
    let rows = sql.all(connection).await?;
    rows.iter()
        .map(|row| Ok(u32::try_from(Row(row).get::<i64>("value")?).unwrap_or(u32::MAX)))
        .collect()
}

/// How many users of a place have more live sessions than so many, connected clients aside. As of the rows without a
/// stored end, which is what the limit counts when nobody is sweeping.
pub async fn users_with_more_than(
    connection: &impl ConnectionTrait,
    place: &PolicyPlace,
    most: u32,
) -> Result<u64, DbError> {
    let mut sql = Sql::new(
        connection,
        r#"SELECT count(*) AS found FROM (SELECT s.user_id FROM session s JOIN "user" u ON u.id = s.user_id
            WHERE s.ended_at IS NULL AND s.kind <> 'client'"#,
    );
    governed_by(&mut sql, place, Rule::MostSessions);
    sql.push(" GROUP BY s.user_id HAVING count(*) > ")
        .bind(i64::from(most))
        .push(") c");
    found(sql, connection).await
}

/// How many sessions of a place that a timeout is for live at `now` and began, or were last used, at `since` or earlier;
/// connected clients aside.
pub async fn live_since(
    connection: &impl ConnectionTrait,
    place: &PolicyPlace,
    rule: Rule,
    timeout: Timeout,
    since: Timestamp,
    now: Timestamp,
) -> Result<u64, DbError> {
    let dialect = Dialect::of(connection);
    let column = match timeout.idle {
        true => "last_activity_at",
        false => "created_at",
    };
    let mut sql = Sql::new(
        connection,
        &format!(
            r#"SELECT count(*) AS found FROM session s JOIN "user" u ON u.id = s.user_id
            WHERE s.kind <> 'client' AND s.{column} <= "#
        ),
    );
    sql.bind(since.0).push(" AND s.keep = ").bind(timeout.keep);
    governed_by(&mut sql, place, rule);
    let now = sql.place(now.0);
    sql.push(" AND ").push(&life::live(dialect, "s", &now));
    found(sql, connection).await
}

// Of `s` and its user `u`: is of the place, and nothing that is set more narrowly applies instead.
fn governed_by(sql: &mut Sql, place: &PolicyPlace, rule: Rule) {
    if let Some(OrganisationId(organisation)) = place.organisation {
        sql.push(" AND s.organisation_id = ").bind(organisation);
    }
    let narrower = match (&place.role, place.organisation) {
        (Some(role), _) => {
            sql.push(" AND u.role_key = ").bind(role.clone());
            return;
        }
        (None, Some(_)) => "p.role_key = u.role_key",
        (None, None) => "p.role_key IN ('', u.role_key)",
    };
    sql.push(&format!(
        " AND NOT EXISTS (SELECT 1 FROM policy p WHERE p.organisation_id = s.organisation_id AND {narrower} AND p.rule = "
    ))
    .bind(rule.as_str())
    .push(")");
}

async fn found(sql: Sql, connection: &impl ConnectionTrait) -> Result<u64, DbError> {
    match sql.one(connection).await? {
        Some(row) => Ok(Row(&row).get::<i64>("found")?.cast_unsigned()),
        None => Ok(0),
    }
}
