//! What administrators change of users: each a conditional statement, which answers whether it changed
//! something.

use rollcall_core::{BuiltInRole, EndReason, OrganisationId, RoleKey, Timestamp, UserId};
use sea_orm::ConnectionTrait;

use super::error::DbError;
use super::records::UserRecord;
use super::scope::Scope;
use super::search_text::{fold, of_user};
use super::sql::{Dialect, Sql};

/// The user that is to be changed in this transaction, if it lies within the scope and was not deleted: nobody
/// else changes it until then, so that what the rules decided still holds when it is written.
pub async fn hold(
    connection: &impl ConnectionTrait,
    scope: Scope,
    id: UserId,
) -> Result<Option<UserRecord>, DbError> {
    if Dialect::of(connection) == Dialect::Postgres {
        let mut sql = Sql::new(connection, r#"SELECT id FROM "user" WHERE id = "#);
        sql.bind(id.0).push(" FOR NO KEY UPDATE");
        sql.one(connection).await?;
    }
    let found = super::users::find_scoped(connection, scope, id).await?;
    Ok(found.filter(|user| !user.deleted))
}

// Another enabled Platform administrator than the one that is changed. Only the primary role counts, since
// only that can unlock.
fn another_administrator() -> String {
    format!(
        r#" AND (role_key <> '{platform}' OR NOT enabled OR EXISTS (
            SELECT 1 FROM "user" x JOIN organisation xo ON xo.id = x.organisation_id
            WHERE x.role_key = '{platform}' AND x.enabled AND x.deleted_at IS NULL AND xo.enabled
                AND x.id <> "user".id))"#,
        platform = BuiltInRole::PlatformAdministrator.key(),
    )
}

/// Sets name and e-mail, also in the copies that the user's sessions keep for searching.
///
/// # Errors
/// `Unique("user_email_unique")` where the e-mail is taken.
pub async fn edit(
    connection: &impl ConnectionTrait,
    user: &UserRecord,
    name: &str,
    email: &str,
) -> Result<bool, DbError> {
    let mut sql = Sql::new(connection, r#"UPDATE "user" SET name = "#);
    sql.bind(name)
        .push(", email = ")
        .bind(email)
        .push(", name_key = ")
        .bind(fold(name))
        .push(", search_text = ")
        .bind(of_user(email, name))
        .push(" WHERE deleted_at IS NULL AND id = ")
        .bind(user.id.0);
    let changed = sql.run(connection).await? == 1;
    if changed && email != user.email {
        let mut sql = Sql::new(connection, "UPDATE session SET email = ");
        let (line, position) = (sql.place("\n"), Dialect::of(connection).position());
        sql.bind(email)
            .push(", search_text = ")
            .bind(fold(email))
            .push(&format!(
                " || substr(search_text, {position}(search_text, {line})) WHERE user_id = "
            ));
        sql.bind(user.id.0);
        sql.run(connection).await?;
    }
    Ok(changed)
}

/// Sets the primary role. False if that would leave no enabled Platform administrator.
pub async fn set_role(
    connection: &impl ConnectionTrait,
    id: UserId,
    role: &RoleKey,
) -> Result<bool, DbError> {
    let mut sql = Sql::new(connection, r#"UPDATE "user" SET role_key = "#);
    sql.bind(role.0.clone())
        .push(" WHERE deleted_at IS NULL AND id = ")
        .bind(id.0);
    if role.0 != BuiltInRole::PlatformAdministrator.key() {
        sql.push(&another_administrator());
    }
    Ok(sql.run(connection).await? == 1)
}

/// Puts the user into another organisation that is enabled, and ends all that the user was signed in to.
pub async fn move_to(
    connection: &impl ConnectionTrait,
    id: UserId,
    organisation: OrganisationId,
    now: Timestamp,
) -> Result<bool, DbError> {
    let mut sql = Sql::new(connection, r#"UPDATE "user" SET organisation_id = "#);
    let place = sql.place(organisation.0);
    sql.push(&place);
    ends(&mut sql, now, EndReason::UserMoved);
    sql.push(" WHERE deleted_at IS NULL AND id = ")
        .bind(id.0)
        .push(&format!(
            " AND EXISTS (SELECT 1 FROM organisation o WHERE o.enabled AND o.id = {place})"
        ));
    let moved = sql.run(connection).await? == 1;
    if moved {
        super::api_keys::revoke_all(connection, id, now).await?;
    }
    Ok(moved)
}

/// Disables an enabled user and ends all that they were signed in to. False if that would leave no enabled
/// Platform administrator.
pub async fn disable(
    connection: &impl ConnectionTrait,
    id: UserId,
    now: Timestamp,
) -> Result<bool, DbError> {
    let mut sql = Sql::new(connection, r#"UPDATE "user" SET enabled = false"#);
    ends(&mut sql, now, EndReason::UserDisabled);
    sql.push(" WHERE enabled AND deleted_at IS NULL AND id = ")
        .bind(id.0)
        .push(&another_administrator());
    let disabled = sql.run(connection).await? == 1;
    if disabled {
        super::api_keys::revoke_all(connection, id, now).await?;
    }
    Ok(disabled)
}

/// Enables a disabled user. What was signed in until now stays ended, a sign-in that was on its way when the
/// user was disabled among it.
pub async fn enable(
    connection: &impl ConnectionTrait,
    id: UserId,
    now: Timestamp,
) -> Result<bool, DbError> {
    let mut sql = Sql::new(connection, r#"UPDATE "user" SET enabled = true"#);
    ends(&mut sql, now, EndReason::UserDisabled);
    sql.push(" WHERE NOT enabled AND deleted_at IS NULL AND id = ")
        .bind(id.0);
    Ok(sql.run(connection).await? == 1)
}

/// Deletes a user but for the name and e-mail that sessions and the audit trail show: the password and the roles
/// are gone, and the e-mail is free. False if that would leave no enabled Platform administrator.
pub async fn delete(
    connection: &impl ConnectionTrait,
    id: UserId,
    now: Timestamp,
) -> Result<bool, DbError> {
    let mut sql = Sql::new(
        connection,
        r#"UPDATE "user" SET enabled = false, password_hash = NULL, role_key = "#,
    );
    sql.bind(BuiltInRole::Member.key())
        .push(", deleted_at = ")
        .bind(now.0);
    ends(&mut sql, now, EndReason::UserDeleted);
    sql.push(" WHERE deleted_at IS NULL AND id = ")
        .bind(id.0)
        .push(&another_administrator());
    let deleted = sql.run(connection).await? == 1;
    if deleted {
        super::roles::set_secondary(connection, id, &[]).await?;
        super::saved_filters::forget(connection, id).await?;
        super::api_keys::revoke_all(connection, id, now).await?;
        super::identities::forget_user(connection, id).await?;
        super::devices::forget(connection, id).await?;
    }
    Ok(deleted)
}

// An epoch never goes back: the clock does not either.
fn ends(sql: &mut Sql, now: Timestamp, reason: EndReason) {
    sql.push(", ended_before = ")
        .bind(now.0)
        .push(", ended_before_by = NULL, ended_before_note = NULL, ended_before_reason = ")
        .bind(reason.as_str());
}
