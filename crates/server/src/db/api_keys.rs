//! API keys: found by the hash of their secret, revoked by one conditional statement.

use rollcall_core::keys::MOST_KEYS;
use rollcall_core::{
    ApiKey, ApiKeyId, Error, Field, KeyState, OrganisationId, Permissions, Problem, SessionId,
    Timestamp, UserId,
};
use sea_orm::{ConnectionTrait, DbErr};

use super::authorities;
use super::error::DbError;
use super::life;
use super::records::Authority;
use super::sql::{Dialect, Row, Sql};
use super::stopping::{Stopped, stop_with_key};

const KEY: &str = "k.id AS key_id, k.name AS key_name, k.permissions AS key_permissions, k.created_at AS key_created_at,
    k.expires_at AS key_expires_at, k.last_used_at, k.revoked_at";

fn read_key(row: &Row<'_>, now: Timestamp) -> Result<ApiKey, DbErr> {
    let expires_at = row.time("key_expires_at")?;
    let revoked_at = row.get::<Option<i64>>("revoked_at")?.map(Timestamp);
    Ok(ApiKey {
        id: ApiKeyId(row.uuid("key_id")?),
        name: row.get("key_name")?,
        permissions: Permissions::from_bits(row.get::<i64>("key_permissions")?.cast_unsigned()),
        state: match revoked_at {
            Some(_) => KeyState::Revoked,
            None if expires_at <= now => KeyState::Expired,
            None => KeyState::Good,
        },
        created_at: row.time("key_created_at")?,
        expires_at,
        last_used_at: row.get::<Option<i64>>("last_used_at")?.map(Timestamp),
        revoked_at,
    })
}

/// Stores a key that its owner makes in this session. `TooMany` if there are `most` that are good already;
/// `Unauthenticated` if the session has ended meanwhile: what ended it has revoked all keys, perhaps.
pub async fn create(
    connection: &impl ConnectionTrait,
    (owner, session): (UserId, SessionId),
    key: &ApiKey,
    hash: &[u8; 32],
) -> Result<(), DbError> {
    // Takes the owner's row: two at once are counted one after the other, and whoever revokes all sees this one.
    let mut held = Sql::new(connection, r#"UPDATE "user" SET id = id WHERE id = "#);
    held.bind(owner.0);
    held.run(connection).await?;
    let mut living = Sql::new(connection, "SELECT 1 AS one FROM session s WHERE s.id = ");
    living.bind(session.0).push(" AND ");
    let now = living.place(key.created_at.0);
    living.push(&life::live(Dialect::of(connection), "s", &now));
    if living.one(connection).await?.is_none() {
        return Err(DbError::Refused(Error::Unauthenticated));
    }
    let mut sql = Sql::new(
        connection,
        "INSERT INTO api_key (id, user_id, hash, name, permissions, created_at, expires_at) SELECT ",
    );
    sql.bind(key.id.0).push(", ");
    let owner = sql.place(owner.0);
    let now = sql.place(key.created_at.0);
    sql.push(&format!("{owner}, "))
        .bind(hash.to_vec())
        .push(", ")
        .bind(key.name.clone())
        .push(", ")
        .bind(key.permissions.bits().cast_signed())
        .push(&format!(", {now}, "))
        .bind(key.expires_at.0)
        .push(&format!(
            " WHERE (SELECT count(*) FROM api_key g WHERE g.user_id = {owner} AND g.revoked_at IS NULL AND g.expires_at > {now}) < {MOST_KEYS}"
        ));
    match sql.run(connection).await? {
        1 => Ok(()),
        _ => Err(DbError::Refused(Error::Invalid(
            Field::Name,
            Problem::TooMany(MOST_KEYS),
        ))),
    }
}

/// The key whose secret has this hash, and what its owner may do; one that is good no more, too.
pub async fn find_by_hash(
    connection: &impl ConnectionTrait,
    hash: &[u8; 32],
    now: Timestamp,
) -> Result<Option<(ApiKey, Authority)>, DbError> {
    let mut sql = with_authority(connection);
    sql.push("a.hash = ").bind(hash.to_vec());
    read(sql, connection, now).await
}

/// The key with this id, and what its owner may do; one that is good no more, too.
pub async fn find(
    connection: &impl ConnectionTrait,
    id: ApiKeyId,
    now: Timestamp,
) -> Result<Option<(ApiKey, Authority)>, DbError> {
    let mut sql = with_authority(connection);
    sql.push("a.id = ").bind(id.0);
    read(sql, connection, now).await
}

fn with_authority(connection: &impl ConnectionTrait) -> Sql {
    let (columns, joins) = (authorities::COLUMNS, authorities::JOINS);
    let key = KEY.replace("k.", "a.");
    Sql::new(
        connection,
        &format!(
            r#"SELECT {key}, {columns} FROM api_key a JOIN "user" u ON u.id = a.user_id {joins} WHERE "#
        ),
    )
}

async fn read(
    sql: Sql,
    connection: &impl ConnectionTrait,
    now: Timestamp,
) -> Result<Option<(ApiKey, Authority)>, DbError> {
    let rows = sql.all(connection).await?;
    match (rows.first(), authorities::read(&rows)?) {
        (Some(row), Some(authority)) => Ok(Some((read_key(&Row(row), now)?, authority))),
        _ => Ok(None),
    }
}

/// Notes a use.
pub async fn note_use(
    connection: &impl ConnectionTrait,
    id: ApiKeyId,
    now: Timestamp,
) -> Result<(), DbError> {
    let mut sql = Sql::new(connection, "UPDATE api_key SET last_used_at = ");
    let at = sql.place(now.0);
    sql.push(&format!("{at} WHERE id = "))
        .bind(id.0)
        .push(&format!(
            " AND (last_used_at IS NULL OR last_used_at < {at})"
        ));
    sql.run(connection).await?;
    Ok(())
}

/// Revokes a key of this user, and answers what stopped with it. `None` if there is none, or it was revoked already.
pub async fn revoke(
    connection: &impl ConnectionTrait,
    owner: UserId,
    id: ApiKeyId,
    now: Timestamp,
    by: UserId,
) -> Result<Option<Stopped>, DbError> {
    let mut sql = Sql::new(connection, "UPDATE api_key SET revoked_at = ");
    sql.bind(now.0)
        .push(", revoked_by = ")
        .bind(by.0)
        .push(" WHERE revoked_at IS NULL AND id = ")
        .bind(id.0)
        .push(" AND user_id = ")
        .bind(owner.0);
    match sql.run(connection).await? {
        0 => Ok(None),
        _ => stop_with_key(connection, id, now, by).await.map(Some),
    }
}

/// Revokes all keys of a user.
pub(super) async fn revoke_all(
    connection: &impl ConnectionTrait,
    owner: UserId,
    now: Timestamp,
) -> Result<(), DbError> {
    let mut sql = Sql::new(connection, "UPDATE api_key SET revoked_at = ");
    sql.bind(now.0)
        .push(" WHERE revoked_at IS NULL AND user_id = ")
        .bind(owner.0);
    sql.run(connection).await?;
    Ok(())
}

/// Revokes all keys of an organisation's users.
pub(super) async fn revoke_all_in(
    connection: &impl ConnectionTrait,
    organisation: OrganisationId,
    now: Timestamp,
) -> Result<(), DbError> {
    let mut sql = Sql::new(connection, "UPDATE api_key SET revoked_at = ");
    sql.bind(now.0)
        .push(r#" WHERE revoked_at IS NULL AND user_id IN (SELECT u.id FROM "user" u WHERE u.organisation_id = "#)
        .bind(organisation.0)
        .push(")");
    sql.run(connection).await?;
    Ok(())
}

/// Revokes all keys that there are.
pub async fn revoke_everything(
    connection: &impl ConnectionTrait,
    now: Timestamp,
) -> Result<(), DbError> {
    let mut sql = Sql::new(connection, "UPDATE api_key SET revoked_at = ");
    sql.bind(now.0).push(" WHERE revoked_at IS NULL");
    sql.run(connection).await?;
    Ok(())
}

/// Removes keys that have been good for nothing since before `before`. Answers how many.
pub async fn purge(connection: &impl ConnectionTrait, before: Timestamp) -> Result<u64, DbError> {
    let mut sql = Sql::new(connection, "DELETE FROM api_key WHERE expires_at < ");
    let before = sql.place(before.0);
    sql.push(&format!("{before} OR revoked_at < {before}"));
    Ok(sql.run(connection).await?)
}

/// A user's keys, good ones first, then by creation, newest first.
pub async fn list(
    connection: &impl ConnectionTrait,
    owner: UserId,
    now: Timestamp,
) -> Result<Vec<ApiKey>, DbError> {
    let mut sql = Sql::new(
        connection,
        &format!("SELECT {KEY} FROM api_key k WHERE k.user_id = "),
    );
    sql.bind(owner.0)
        .push(" ORDER BY (k.revoked_at IS NULL AND k.expires_at > ")
        .bind(now.0)
        .push(") DESC, k.created_at DESC, k.id DESC");
    let rows = sql.all(connection).await?;
    let keys = rows.iter().map(|row| read_key(&Row(row), now));
    Ok(keys.collect::<Result<_, DbErr>>()?)
}
