//! Users.

use rollcall_core::{BuiltInRole, EndReason, OrganisationId, Timestamp, UserId};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, PaginatorTrait,
    QueryFilter,
};

use super::authorities;
use super::entity::user;
use super::error::DbError;
use super::records::{Authority, NewUser, UserRecord};
use super::scope::Scope;
use super::sql::{Row, Sql};

const SELECT: &str = r#"SELECT u.id, u.organisation_id, u.email, u.name, u.role_key, u.service_account,
    u.password_hash, u.password_changed_at, u.password_change_required, u.enabled, u.deleted_at, o.enabled AS organisation_enabled, u.last_sign_in_at
    FROM "user" u JOIN organisation o ON o.id = u.organisation_id WHERE "#;

/// The user with this id, deleted ones too.
pub async fn find(
    connection: &impl ConnectionTrait,
    id: UserId,
) -> Result<Option<UserRecord>, DbError> {
    find_scoped(connection, Scope::All, id).await
}

/// The user with this id if the caller may see it, deleted ones too.
pub async fn find_scoped(
    connection: &impl ConnectionTrait,
    scope: Scope,
    id: UserId,
) -> Result<Option<UserRecord>, DbError> {
    let mut sql = Sql::new(connection, SELECT);
    sql.push("u.id = ").bind(id.0);
    match scope {
        Scope::All => {}
        Scope::Organisation(organisation) => {
            sql.push(" AND u.organisation_id = ").bind(organisation.0);
        }
        Scope::User(user) => {
            sql.push(" AND u.id = ").bind(user.0);
        }
    }
    read(sql, connection).await
}

/// What a user may do, and all that could have ended the user's sessions.
pub async fn authority_of(
    connection: &impl ConnectionTrait,
    id: UserId,
) -> Result<Option<Authority>, DbError> {
    let (columns, joins) = (authorities::COLUMNS, authorities::JOINS);
    let mut sql = Sql::new(
        connection,
        &format!(r#"SELECT {columns} FROM "user" u {joins} WHERE u.id = "#),
    );
    sql.bind(id.0);
    Ok(authorities::read(&sql.all(connection).await?)?)
}

/// The user with this e-mail, already normalised; a deleted user's e-mail is free.
pub async fn find_by_email(
    connection: &impl ConnectionTrait,
    email: &str,
) -> Result<Option<UserRecord>, DbError> {
    let mut sql = Sql::new(connection, SELECT);
    sql.push("u.deleted_at IS NULL AND u.email = ").bind(email);
    read(sql, connection).await
}

/// The first Platform administrator that can sign in, if there is one.
pub async fn find_platform_administrator(
    connection: &impl ConnectionTrait,
) -> Result<Option<UserRecord>, DbError> {
    let mut sql = Sql::new(connection, SELECT);
    sql.push("u.deleted_at IS NULL AND u.enabled AND u.role_key = ")
        .bind(BuiltInRole::PlatformAdministrator.key())
        .push(" ORDER BY u.created_at, u.id LIMIT 1");
    read(sql, connection).await
}

async fn read(sql: Sql, connection: &impl ConnectionTrait) -> Result<Option<UserRecord>, DbError> {
    let Some(row) = sql.one(connection).await? else {
        return Ok(None);
    };
    let row = Row(&row);
    Ok(Some(UserRecord {
        id: UserId(row.uuid("id")?),
        organisation_id: rollcall_core::OrganisationId(row.uuid("organisation_id")?),
        email: row.get("email")?,
        name: row.get("name")?,
        role_key: row.get("role_key")?,
        service_account: row.get("service_account")?,
        password_hash: row.get("password_hash")?,
        had_password: row.get::<Option<i64>>("password_changed_at")?.is_some(),
        password_change_required: row.get("password_change_required")?,
        enabled: row.get("enabled")?,
        deleted: row.get::<Option<i64>>("deleted_at")?.is_some(),
        organisation_enabled: row.get("organisation_enabled")?,
        has_signed_in: row.get::<Option<i64>>("last_sign_in_at")?.is_some(),
    }))
}

/// Stores a user.
///
/// # Errors
/// `Unique("user_email_unique")` where the e-mail is taken.
pub async fn create(connection: &impl ConnectionTrait, new: &NewUser) -> Result<(), DbError> {
    user::Entity::insert(model(new))
        .exec_without_returning(connection)
        .await?;
    Ok(())
}

/// The row of a user.
pub(super) fn model(new: &NewUser) -> user::ActiveModel {
    user::ActiveModel {
        id: Set(new.id.0),
        organisation_id: Set(new.organisation_id.0),
        email: Set(new.email.clone()),
        name: Set(new.name.clone()),
        role_key: Set(new.role_key.clone()),
        service_account: Set(new.service_account),
        password_hash: Set(new.password_hash.clone()),
        password_change_required: Set(new.password_change_required),
        enabled: Set(true),
        deleted_at: Set(None),
        time_zone: Set(None),
        created_at: Set(new.created_at.0),
        password_changed_at: Set(new.password_hash.as_ref().map(|_| new.created_at.0)),
        last_sign_in_at: Set(None),
        ended_before: Set(None),
        ended_before_reason: Set(None),
        settled: Set(true),
        name_key: Set(super::search_text::fold(&new.name)),
        search_text: Set(super::search_text::of_user(&new.email, &new.name)),
    }
}

/// Sets a password; `change_required` for one that somebody else has chosen. False if there is no such
/// user.
pub async fn set_password(
    connection: &impl ConnectionTrait,
    id: UserId,
    hash: &str,
    change_required: bool,
    now: Timestamp,
) -> Result<bool, DbError> {
    let result = user::Entity::update_many()
        .col_expr(user::Column::PasswordHash, Expr::value(hash))
        .col_expr(
            user::Column::PasswordChangeRequired,
            Expr::value(change_required),
        )
        .col_expr(user::Column::PasswordChangedAt, Expr::value(now.0))
        .filter(user::Column::Id.eq(id.0))
        .filter(user::Column::DeletedAt.is_null())
        .exec(connection)
        .await?;
    Ok(result.rows_affected == 1)
}

/// Sets the password that a user has chosen in place of the one with this hash. False if that is not the
/// one in force any more.
pub async fn change_password(
    connection: &impl ConnectionTrait,
    id: UserId,
    old: &str,
    new: &str,
    now: Timestamp,
) -> Result<bool, DbError> {
    let result = user::Entity::update_many()
        .col_expr(user::Column::PasswordHash, Expr::value(new))
        .col_expr(user::Column::PasswordChangeRequired, Expr::value(false))
        .col_expr(user::Column::PasswordChangedAt, Expr::value(now.0))
        .filter(user::Column::Id.eq(id.0))
        .filter(user::Column::PasswordHash.eq(old))
        .filter(user::Column::DeletedAt.is_null())
        .exec(connection)
        .await?;
    Ok(result.rows_affected == 1)
}

/// Takes the password away, so that it opens nothing any more. False if there is none.
pub async fn withdraw_password(
    connection: &impl ConnectionTrait,
    id: UserId,
) -> Result<bool, DbError> {
    let mut sql = Sql::new(
        connection,
        r#"UPDATE "user" SET password_hash = NULL, password_change_required = false
            WHERE password_hash IS NOT NULL AND deleted_at IS NULL AND id = "#,
    );
    sql.bind(id.0);
    Ok(sql.run(connection).await? == 1)
}

/// Replaces a hash by a costlier one of the same password. False if the password has changed meanwhile.
pub async fn replace_hash(
    connection: &impl ConnectionTrait,
    id: UserId,
    old: &str,
    new: &str,
) -> Result<bool, DbError> {
    let result = user::Entity::update_many()
        .col_expr(user::Column::PasswordHash, Expr::value(new))
        .filter(user::Column::Id.eq(id.0))
        .filter(user::Column::PasswordHash.eq(old))
        .exec(connection)
        .await?;
    Ok(result.rows_affected == 1)
}

/// Ends everything that the user's sessions were until `at`, with one row, and revokes the user's API keys. An epoch
/// never goes back.
pub async fn end_before(
    connection: &impl ConnectionTrait,
    id: UserId,
    at: Timestamp,
    reason: EndReason,
) -> Result<bool, DbError> {
    super::api_keys::revoke_all(connection, id, at).await?;
    let result = user::Entity::update_many()
        .col_expr(user::Column::EndedBefore, Expr::value(at.0))
        .col_expr(
            user::Column::EndedBeforeReason,
            Expr::value(reason.as_str()),
        )
        .filter(user::Column::Id.eq(id.0))
        .filter(
            user::Column::EndedBefore
                .is_null()
                .or(user::Column::EndedBefore.lt(at.0)),
        )
        .exec(connection)
        .await?;
    Ok(result.rows_affected == 1)
}

/// Sets the zone that times are shown in; `None` follows the browser.
pub async fn set_time_zone(
    connection: &impl ConnectionTrait,
    id: UserId,
    zone: Option<&str>,
) -> Result<bool, DbError> {
    let result = user::Entity::update_many()
        .col_expr(user::Column::TimeZone, Expr::value(zone.map(str::to_owned)))
        .filter(user::Column::Id.eq(id.0))
        .exec(connection)
        .await?;
    Ok(result.rows_affected == 1)
}

/// Notes a sign-in with the password that has this hash. False if the user may not sign in any more, has
/// another password or belongs to another organisation now: what was compared a moment ago counts for
/// nothing then.
pub async fn note_sign_in(
    connection: &impl ConnectionTrait,
    user: &UserRecord,
    now: Timestamp,
) -> Result<bool, DbError> {
    let mut sql = Sql::new(connection, r#"UPDATE "user" SET last_sign_in_at = "#);
    sql.bind(now.0)
        .push(" WHERE enabled AND deleted_at IS NULL AND id = ")
        .bind(user.id.0)
        .push(" AND password_hash = ")
        .bind(user.password_hash.clone())
        .push(" AND organisation_id = ")
        .bind(user.organisation_id.0)
        .push(" AND EXISTS (SELECT 1 FROM organisation o WHERE o.enabled AND o.id = ")
        .bind(user.organisation_id.0)
        .push(")");
    Ok(sql.run(connection).await? == 1)
}

/// Notes a sign-in that another application has seen to.
pub async fn note_sign_in_elsewhere(
    connection: &impl ConnectionTrait,
    user: UserId,
    now: Timestamp,
) -> Result<(), DbError> {
    let mut sql = Sql::new(connection, r#"UPDATE "user" SET last_sign_in_at = "#);
    sql.bind(now.0).push(" WHERE id = ").bind(user.0);
    sql.run(connection).await?;
    Ok(())
}

/// Whether users of an organisation can have this role.
pub async fn role_exists(
    connection: &impl ConnectionTrait,
    key: &str,
    organisation: OrganisationId,
) -> Result<bool, DbError> {
    let mut sql = Sql::new(connection, "SELECT 1 AS one FROM role WHERE key = ");
    sql.bind(key)
        .push(" AND (organisation_id IS NULL OR organisation_id = ")
        .bind(organisation.0)
        .push(")");
    Ok(sql.one(connection).await?.is_some())
}

/// How many users there are, without deleted ones.
pub async fn count(connection: &impl ConnectionTrait) -> Result<u64, DbError> {
    Ok(user::Entity::find()
        .filter(user::Column::DeletedAt.is_null())
        .count(connection)
        .await?)
}
