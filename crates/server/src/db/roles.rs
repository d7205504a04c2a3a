//! Roles: built-in ones, and those of organisations.

use rollcall_core::rights::Grant;
use rollcall_core::{BuiltInRole, OrganisationId, OrganisationRef, Permissions, RoleKey, UserId};
use sea_orm::{ActiveValue::Set, ConnectionTrait, DbErr, EntityTrait};
use std::collections::HashMap;
use uuid::Uuid;

use super::authorities::reach;
use super::entity::{role, user_role};
use super::error::DbError;
use super::records::{RoleRecord, UserRoles};
use super::scope::Scope;
use super::sql::{Dialect, Row, Sql};

const COLUMNS: &str = "r.key AS role_key, r.name AS role_name, r.permissions, r.reach, r.organisation_id AS role_organisation,
    ro.name AS role_organisation_name";
const JOIN: &str = " LEFT JOIN organisation ro ON ro.id = r.organisation_id";

/// The built-in roles and those of the organisations within the scope, each with how many users there
/// have it; by name, built-in ones first.
pub async fn list(
    connection: &impl ConnectionTrait,
    scope: Scope,
) -> Result<Vec<(RoleRecord, u64)>, DbError> {
    let counts = counts(connection, scope).await?;
    let mut sql = Sql::new(connection, "SELECT ");
    sql.push(COLUMNS).push(" FROM role r").push(JOIN);
    within(&mut sql, scope);
    sql.push(" ORDER BY r.organisation_id IS NOT NULL, r.name, r.key");
    let rows = sql.all(connection).await?;
    rows.iter()
        .map(|row| {
            let role = record(&Row(row))?;
            let users = counts.get(&role.key.0).copied().unwrap_or(0);
            Ok((role, users))
        })
        .collect()
}

async fn counts(
    connection: &impl ConnectionTrait,
    scope: Scope,
) -> Result<HashMap<String, u64>, DbError> {
    // Primary roles along the index that leads with them; secondary ones are few.
    let by_role = Dialect::of(connection).by("user_by_role");
    let froms = [
        format!(r#"SELECT u.role_key AS held, count(*) AS users FROM "user" u{by_role}"#),
        r#"SELECT k.role_key AS held, count(*) AS users FROM user_role k JOIN "user" u ON u.id = k.user_id"#
            .to_owned(),
    ];
    let mut counts = HashMap::new();
    for from in froms {
        let mut sql = Sql::new(connection, &from);
        sql.push(" WHERE u.deleted_at IS NULL");
        match scope {
            Scope::All => {}
            Scope::Organisation(organisation) => {
                sql.push(" AND u.organisation_id = ").bind(organisation.0);
            }
            Scope::User(user) => {
                sql.push(" AND u.id = ").bind(user.0);
            }
        }
        sql.push(" GROUP BY held");
        for row in sql.all(connection).await? {
            let row = Row(&row);
            let users = super::counters::natural(row.get("users")?);
            *counts.entry(row.get::<String>("held")?).or_default() += users;
        }
    }
    Ok(counts)
}

// Own roles belong to one organisation; built-in ones are everybody's.
fn within(sql: &mut Sql, scope: Scope) {
    match scope {
        Scope::All => {
            sql.push(" WHERE true");
        }
        Scope::Organisation(organisation) => {
            sql.push(" WHERE (r.organisation_id IS NULL OR r.organisation_id = ")
                .bind(organisation.0)
                .push(")");
        }
        Scope::User(user) => {
            sql.push(
                r#" WHERE (r.organisation_id IS NULL OR r.organisation_id =
                (SELECT u.organisation_id FROM "user" u WHERE u.id = "#,
            )
            .bind(user.0)
            .push("))");
        }
    }
}

/// The role with this key, if it lies within the scope.
pub async fn find(
    connection: &impl ConnectionTrait,
    scope: Scope,
    key: &RoleKey,
) -> Result<Option<RoleRecord>, DbError> {
    let mut sql = Sql::new(connection, "SELECT ");
    sql.push(COLUMNS).push(" FROM role r").push(JOIN);
    within(&mut sql, scope);
    sql.push(" AND r.key = ").bind(key.0.clone());
    let row = sql.one(connection).await?;
    Ok(row.map(|row| record(&Row(&row))).transpose()?)
}

/// The role that is to be given, edited or deleted in this transaction: it stays as it is until then.
pub async fn hold(
    connection: &impl ConnectionTrait,
    scope: Scope,
    key: &RoleKey,
) -> Result<Option<RoleRecord>, DbError> {
    if Dialect::of(connection) == Dialect::Postgres {
        let mut sql = Sql::new(connection, "SELECT key FROM role WHERE key = ");
        sql.bind(key.0.clone()).push(" FOR SHARE");
        sql.one(connection).await?;
    }
    find(connection, scope, key).await
}

/// Keeps other transactions from disabling or demoting Platform administrators until this one is done: which
/// of two is the last one is decided one after the other. SQLite has one writer anyway.
pub async fn hold_platform_administrators(
    connection: &impl ConnectionTrait,
) -> Result<(), DbError> {
    if Dialect::of(connection) == Dialect::Postgres {
        let mut sql = Sql::new(connection, "SELECT key FROM role WHERE key = ");
        sql.bind(BuiltInRole::PlatformAdministrator.key())
            .push(" FOR NO KEY UPDATE");
        sql.one(connection).await?;
    }
    Ok(())
}

/// The roles of these users.
pub(super) async fn of_users(
    connection: &impl ConnectionTrait,
    users: &[Uuid],
) -> Result<HashMap<Uuid, UserRoles>, DbError> {
    let mut found = HashMap::with_capacity(users.len());
    for part in users.chunks(500) {
        let mut sql = Sql::new(connection, "");
        let ids = sql.places(part.iter().copied());
        sql.push(&format!(
            r#"SELECT {COLUMNS}, u.id AS user_id, 1 AS is_primary
            FROM "user" u JOIN role r ON r.key = u.role_key{JOIN} WHERE u.id IN ({ids})
            UNION ALL SELECT {COLUMNS}, k.user_id AS user_id, 0 AS is_primary
            FROM user_role k JOIN role r ON r.key = k.role_key{JOIN} WHERE k.user_id IN ({ids})"#
        ));
        sql.push(" ORDER BY is_primary DESC, role_name, role_key");
        for row in sql.all(connection).await? {
            let row = Row(&row);
            let (user, role) = (row.uuid("user_id")?, record(&row)?);
            // The primary role of each comes first.
            match found.entry(user) {
                std::collections::hash_map::Entry::Vacant(place) => {
                    place.insert(UserRoles {
                        primary: role,
                        secondary: Vec::new(),
                    });
                }
                std::collections::hash_map::Entry::Occupied(mut place) => {
                    place.get_mut().secondary.push(role);
                }
            }
        }
    }
    Ok(found)
}

fn record(row: &Row<'_>) -> Result<RoleRecord, DbErr> {
    let organisation = match row.get::<Option<Uuid>>("role_organisation")? {
        None => None,
        Some(id) => Some(OrganisationRef {
            id: OrganisationId(id),
            name: row.get("role_organisation_name")?,
        }),
    };
    Ok(RoleRecord {
        key: RoleKey(row.get("role_key")?),
        name: row.get("role_name")?,
        grant: Grant {
            permissions: Permissions::from_bits(row.get::<i64>("permissions")?.cast_unsigned()),
            reach: reach(&row.get::<String>("reach")?)?,
        },
        organisation,
    })
}

/// Stores a role of an organisation.
///
/// # Errors
/// `Unique("role_organisation_id_name_unique")` where the organisation has one of this name.
pub async fn create(
    connection: &impl ConnectionTrait,
    key: &RoleKey,
    organisation: OrganisationId,
    name: &str,
    permissions: Permissions,
) -> Result<(), DbError> {
    role::Entity::insert(role::ActiveModel {
        key: Set(key.0.clone()),
        name: Set(name.to_owned()),
        permissions: Set(permissions.bits().cast_signed()),
        reach: Set("own".to_owned()),
        organisation_id: Set(Some(organisation.0)),
    })
    .exec_without_returning(connection)
    .await?;
    Ok(())
}

/// Changes a role of an organisation. False if there is none: built-in roles stay.
///
/// # Errors
/// As `create`.
pub async fn edit(
    connection: &impl ConnectionTrait,
    key: &RoleKey,
    name: &str,
    permissions: Permissions,
) -> Result<bool, DbError> {
    let mut sql = Sql::new(connection, "UPDATE role SET name = ");
    sql.bind(name)
        .push(", permissions = ")
        .bind(permissions.bits().cast_signed())
        .push(" WHERE organisation_id IS NOT NULL AND key = ")
        .bind(key.0.clone());
    Ok(sql.run(connection).await? == 1)
}

/// Deletes a role of an organisation that nobody has. False if there is none, or somebody has it.
pub async fn delete(connection: &impl ConnectionTrait, key: &RoleKey) -> Result<bool, DbError> {
    let mut sql = Sql::new(connection, "DELETE FROM role WHERE key = ");
    let place = sql.place(key.0.clone());
    sql.push(&place).push(&format!(
        r#" AND organisation_id IS NOT NULL
            AND NOT EXISTS (SELECT 1 FROM "user" u WHERE u.role_key = {place} AND u.deleted_at IS NULL)
            AND NOT EXISTS (SELECT 1 FROM user_role u WHERE u.role_key = {place})"#
    ));
    Ok(sql.run(connection).await? == 1)
}

/// Gives a user these secondary roles in place of what they have.
pub async fn set_secondary(
    connection: &impl ConnectionTrait,
    user: UserId,
    roles: &[RoleKey],
) -> Result<(), DbError> {
    let mut sql = Sql::new(connection, "DELETE FROM user_role WHERE user_id = ");
    sql.bind(user.0);
    sql.run(connection).await?;
    if !roles.is_empty() {
        user_role::Entity::insert_many(roles.iter().map(|key| user_role::ActiveModel {
            user_id: Set(user.0),
            role_key: Set(key.0.clone()),
        }))
        .exec_without_returning(connection)
        .await?;
    }
    Ok(())
}
