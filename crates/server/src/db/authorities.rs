//! What a user may do, joined to the credential that names the user: one moment's, in one read.

use rollcall_core::rights::Grant;
use rollcall_core::{
    EndReason, OrganisationId, OrganisationRef, Permissions, Reach, Rights, RoleKey, UserId,
    UserRef,
};
use sea_orm::{DbErr, QueryResult};

use super::records::Authority;
use super::sql::{Row, unknown};

/// What is read of the user.
pub(super) const COLUMNS: &str = r#"u.id AS user_id, u.email, u.name AS user_name, u.service_account, u.enabled AS user_enabled,
    u.deleted_at, u.password_change_required, u.time_zone, u.session_columns, u.role_key, u.ended_before AS user_before,
    u.ended_before_reason AS user_before_reason,
    o.id AS organisation_id, o.name AS organisation_name, o.enabled AS organisation_enabled,
    o.ended_before AS organisation_before, o.ended_before_reason AS organisation_before_reason,
    r.name AS role_name, r.permissions, r.reach, sr.key AS more_key, sr.permissions AS more_permissions, sr.reach AS more_reach,
    i.ended_before AS installation_before, i.ended_before_reason AS installation_before_reason"#;

/// What is joined to `"user" u`: one row for each secondary role, or one without.
pub(super) const JOINS: &str = r#"JOIN organisation o ON o.id = u.organisation_id
    JOIN role r ON r.key = u.role_key JOIN installation i ON i.id = 1
    LEFT JOIN user_role k ON k.user_id = u.id LEFT JOIN role sr ON sr.key = k.role_key"#;

/// The user of rows that differ in the secondary role only; `None` without rows.
pub(super) fn read(rows: &[QueryResult]) -> Result<Option<Authority>, DbErr> {
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let row = Row(row);
    let mut roles = vec![RoleKey(row.get("role_key")?)];
    let mut rights = Rights::of(grant(&row, "permissions", "reach")?);
    for row in rows {
        let row = Row(row);
        if let Some(key) = row.get::<Option<String>>("more_key")? {
            roles.push(RoleKey(key));
            rights = rights.and(grant(&row, "more_permissions", "more_reach")?);
        }
    }
    Ok(Some(Authority {
        user: UserRef {
            id: UserId(row.uuid("user_id")?),
            email: row.get("email")?,
            name: row.get("user_name")?,
            service_account: row.get("service_account")?,
        },
        user_enabled: row.get("user_enabled")?,
        deleted: row.get::<Option<i64>>("deleted_at")?.is_some(),
        password_change_required: row.get("password_change_required")?,
        time_zone: row.get("time_zone")?,
        columns: super::saved_filters::columns(row.get("session_columns")?),
        organisation: OrganisationRef {
            id: OrganisationId(row.uuid("organisation_id")?),
            name: row.get("organisation_name")?,
        },
        organisation_enabled: row.get("organisation_enabled")?,
        role_key: row.get("role_key")?,
        role_name: row.get("role_name")?,
        roles,
        rights,
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
    }))
}

fn grant(row: &Row<'_>, permissions: &str, reach: &str) -> Result<Grant, DbErr> {
    Ok(Grant {
        permissions: Permissions::from_bits(row.get::<i64>(permissions)?.cast_unsigned()),
        reach: self::reach(&row.get::<String>(reach)?)?,
    })
}

/// A stored reach.
pub(super) fn reach(word: &str) -> Result<Reach, DbErr> {
    match word {
        "all" => Ok(Reach::All),
        "own" => Ok(Reach::Own),
        _ => Err(unknown("reach")),
    }
}
