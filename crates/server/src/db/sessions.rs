//! Sessions, one at a time: found by their token, rotated, touched, ended. Every change is one
//! conditional statement; what it changed decides.

use rollcall_core::{EndReason, Kind, Method, OrganisationId, SessionId, Timestamp, UserId};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveValue::NotSet, ActiveValue::Set, ColumnTrait, ConnectionTrait, DbErr, EntityTrait,
    QueryFilter,
};
use std::net::Ipv6Addr;

use super::authorities;
use super::entity::session;
use super::error::DbError;
use super::life;
use super::records::{Authority, NewSession, SessionRecord};
pub use super::records::{EndedRow, LiveRow, Swept, Touch};
use super::scope::Scope;
use super::sql::{Dialect, Row, Sql};
use super::stopping::{Stopped, stop_with_sessions};
pub use super::sweep::{Due, ended_too_long_ago, purge, settle, sweep_epochs, sweep_expired};

const SESSION: &str = "s.id, s.organisation_id AS session_organisation_id, s.lineage_hash,
    s.secret_hash, s.rotation_key, s.generation, s.first_used_at, s.name, s.kind, s.method, s.keep, s.ip,
    s.user_agent, s.browser, s.system, s.server_name, s.created_at, s.authenticated_at, s.last_activity_at,
    s.idle_timeout_seconds, s.idle_expires_at, s.absolute_expires_at, s.ended_at, s.end_reason";

/// Stores a session that begins. `email` is its user's, kept with it for sorting and searching.
pub async fn insert(
    connection: &impl ConnectionTrait,
    new: &NewSession,
    email: &str,
) -> Result<(), DbError> {
    session::Entity::insert(model(new, email))
        .exec_without_returning(connection)
        .await?;
    Ok(())
}

/// The row of a session.
pub(super) fn model(new: &NewSession, email: &str) -> session::ActiveModel {
    let text = super::search_text::SearchText::of(email, &new.ip, &new.name);
    session::ActiveModel {
        number: NotSet,
        id: Set(new.id.0),
        user_id: Set(new.user_id.0),
        organisation_id: Set(new.organisation_id.0),
        lineage_hash: Set(new.lineage_hash.to_vec()),
        secret_hash: Set(new.secret_hash.to_vec()),
        rotation_key: Set(new.rotation_key.to_vec()),
        generation: Set(new.generation),
        first_used_at: Set(new.first_used_at.map(|at| at.0)),
        name: Set(new.name.clone()),
        kind: Set(new.kind.as_str().to_owned()),
        method: Set(new.method.as_str().to_owned()),
        keep: Set(new.keep),
        ip: Set(new.ip.clone()),
        ip_bytes: Set(ip_bytes(&new.ip)),
        user_agent: Set(new.user_agent.clone()),
        browser: Set(new.browser.clone()),
        system: Set(new.system.clone()),
        server_name: Set(new.server_name.clone()),
        email: Set(email.to_owned()),
        name_key: Set(text.name),
        browser_key: Set(browser_key(&new.browser, &new.system)),
        search_text: Set(text.all),
        created_at: Set(new.created_at.0),
        authenticated_at: Set(new.authenticated_at.0),
        last_activity_at: Set(new.last_activity_at.0),
        idle_timeout_seconds: Set(new.idle_timeout_seconds),
        idle_expires_at: Set(new.idle_expires_at.0),
        absolute_expires_at: Set(new.absolute_expires_at.0),
        expires_at: Set(new.idle_expires_at.min(new.absolute_expires_at).0),
        ended_at: Set(new.ended.map(|(at, _)| at.0)),
        end_reason: Set(new.ended.map(|(_, reason)| reason.as_str().to_owned())),
        ended_by: Set(None),
        end_note: Set(None),
    }
}

// The order of addresses. What is no address comes first.
fn ip_bytes(text: &str) -> Vec<u8> {
    let address = text.parse().unwrap_or(Ipv6Addr::UNSPECIFIED.into());
    rollcall_core::address::bytes(address).to_vec()
}

// What `core::Session::browser_and_system` shows, as far as its order goes.
fn browser_key(browser: &str, system: &str) -> String {
    let line = match (browser.is_empty(), system.is_empty()) {
        (false, false) => format!("{browser} on {system}"),
        (true, true) => "Unknown".to_owned(),
        _ => format!("{browser}{system}"),
    };
    super::search_text::fold(&line)
}

/// The session that a token names, and what its user may do; ended ones too.
pub async fn find_by_lineage(
    connection: &impl ConnectionTrait,
    lineage_hash: &[u8; 32],
) -> Result<Option<(SessionRecord, Authority)>, DbError> {
    let mut sql = with_authority(connection);
    sql.push(&format!(
        "s.number = (SELECT e.number FROM {} e WHERE e.lineage_hash = ",
        Dialect::of(connection).entry()
    ))
    .bind(lineage_hash.to_vec())
    .push(")");
    read(sql, connection).await
}

/// The session with this id, and what its user may do; ended ones too.
pub async fn find(
    connection: &impl ConnectionTrait,
    id: SessionId,
) -> Result<Option<(SessionRecord, Authority)>, DbError> {
    let mut sql = with_authority(connection);
    sql.push("s.id = ").bind(id.0);
    read(sql, connection).await
}

fn with_authority(connection: &impl ConnectionTrait) -> Sql {
    let (columns, joins) = (authorities::COLUMNS, authorities::JOINS);
    Sql::new(
        connection,
        &format!(
            r#"SELECT {SESSION}, {columns} FROM session s JOIN "user" u ON u.id = s.user_id {joins} WHERE "#
        ),
    )
}

async fn read(
    sql: Sql,
    connection: &impl ConnectionTrait,
) -> Result<Option<(SessionRecord, Authority)>, DbError> {
    let rows = sql.all(connection).await?;
    let (Some(row), Some(authority)) = (rows.first(), authorities::read(&rows)?) else {
        return Ok(None);
    };
    let row = Row(row);
    let record = SessionRecord {
        id: SessionId(row.uuid("id")?),
        user_id: UserId(row.uuid("user_id")?),
        organisation_id: OrganisationId(row.uuid("session_organisation_id")?),
        lineage_hash: row.hash("lineage_hash")?,
        secret_hash: row.hash("secret_hash")?,
        rotation_key: row.hash("rotation_key")?,
        generation: row.get("generation")?,
        first_used_at: row.get::<Option<i64>>("first_used_at")?.map(Timestamp),
        name: row.get("name")?,
        kind: row.word("kind", Kind::from_name)?,
        method: row.word("method", Method::from_name)?,
        keep: row.get("keep")?,
        ip: row.get("ip")?,
        user_agent: row.get("user_agent")?,
        browser: row.get("browser")?,
        system: row.get("system")?,
        server_name: row.get("server_name")?,
        created_at: row.time("created_at")?,
        authenticated_at: row.time("authenticated_at")?,
        last_activity_at: row.time("last_activity_at")?,
        idle_timeout_seconds: row.get("idle_timeout_seconds")?,
        idle_expires_at: row.time("idle_expires_at")?,
        absolute_expires_at: row.time("absolute_expires_at")?,
        ended: row.end("ended_at", "end_reason", EndReason::from_name)?,
    };
    Ok(Some((record, authority)))
}

/// Writes the first use of the current secret. False if it was used before, has rotated or has ended.
pub async fn note_first_use(
    connection: &impl ConnectionTrait,
    id: SessionId,
    generation: i64,
    now: Timestamp,
) -> Result<bool, DbError> {
    let result = session::Entity::update_many()
        .col_expr(session::Column::FirstUsedAt, Expr::value(now.0))
        .filter(session::Column::Id.eq(id.0))
        .filter(session::Column::Generation.eq(generation))
        .filter(session::Column::FirstUsedAt.is_null())
        .filter(session::Column::EndedAt.is_null())
        .exec(connection)
        .await?;
    Ok(result.rows_affected == 1)
}

/// Replaces the secret of this generation by its successor. False if somebody else did, or if it ended.
pub async fn rotate(
    connection: &impl ConnectionTrait,
    id: SessionId,
    generation: i64,
    old: &[u8; 32],
    new: &[u8; 32],
) -> Result<bool, DbError> {
    let result = session::Entity::update_many()
        .col_expr(session::Column::SecretHash, Expr::value(new.to_vec()))
        .col_expr(session::Column::Generation, Expr::value(generation + 1))
        .col_expr(
            session::Column::FirstUsedAt,
            Expr::value(Option::<i64>::None),
        )
        .filter(session::Column::Id.eq(id.0))
        .filter(session::Column::Generation.eq(generation))
        .filter(session::Column::SecretHash.eq(old.to_vec()))
        .filter(session::Column::EndedAt.is_null())
        .exec(connection)
        .await?;
    Ok(result.rows_affected == 1)
}

/// Gives the session of somebody who has just shown the password a token of a new lineage; the old one names nothing
/// any more. False if it ended.
pub async fn renew_lineage(
    connection: &impl ConnectionTrait,
    id: SessionId,
    lineage_hash: &[u8; 32],
    secret_hash: &[u8; 32],
    rotation_key: &[u8; 32],
    now: Timestamp,
) -> Result<bool, DbError> {
    let result = session::Entity::update_many()
        .col_expr(
            session::Column::LineageHash,
            Expr::value(lineage_hash.to_vec()),
        )
        .col_expr(
            session::Column::SecretHash,
            Expr::value(secret_hash.to_vec()),
        )
        .col_expr(
            session::Column::RotationKey,
            Expr::value(rotation_key.to_vec()),
        )
        .col_expr(session::Column::Generation, Expr::value(0_i64))
        .col_expr(session::Column::FirstUsedAt, Expr::value(now.0))
        .col_expr(session::Column::AuthenticatedAt, Expr::value(now.0))
        .filter(session::Column::Id.eq(id.0))
        .filter(session::Column::EndedAt.is_null())
        .exec(connection)
        .await?;
    Ok(result.rows_affected == 1)
}

/// Ends a session that lives at `now`, and answers what stopped with it. `None` if it does not live: it ended, expired or
/// an epoch ended it.
pub async fn end(
    connection: &impl ConnectionTrait,
    id: SessionId,
    now: Timestamp,
    reason: EndReason,
    by: Option<UserId>,
    note: Option<&str>,
) -> Result<Option<Stopped>, DbError> {
    let mut sql = end_statement(connection, now, reason, by, note);
    sql.push(" AND id = ").bind(id.0);
    match sql.run(connection).await? {
        0 => Ok(None),
        _ => stop_with_sessions(connection, [id]).await.map(Some),
    }
}

/// Gives a session that lives at `now` another name. False if it does not live, or is somebody else's.
pub async fn rename(
    connection: &impl ConnectionTrait,
    id: SessionId,
    user: UserId,
    name: &str,
    now: Timestamp,
) -> Result<bool, DbError> {
    let key = super::search_text::fold(name);
    let mut sql = Sql::new(connection, "UPDATE session SET name = ");
    sql.bind(name.to_owned()).push(", name_key = ");
    let key = sql.place(key);
    // The name is the last line of what a search looks through.
    sql.push(&format!(
        "{key}, search_text = substr(search_text, 1, length(search_text) - length(name_key)) || {key} WHERE id = "
    ))
    .bind(id.0)
    .push(" AND user_id = ")
    .bind(user.0)
    .push(" AND ");
    let at = sql.place(now.0);
    sql.push(&life::live(Dialect::of(connection), "session", &at));
    Ok(sql.run(connection).await? == 1)
}

/// Ends all sessions of a user that live at `now`, but for one, and the sign-in that waits for a choice; answers which,
/// and what stopped with them.
pub async fn end_all_of_user(
    connection: &impl ConnectionTrait,
    user: UserId,
    except: Option<SessionId>,
    now: Timestamp,
    reason: EndReason,
    by: Option<UserId>,
) -> Result<(Vec<EndedRow>, Stopped), DbError> {
    // First, as whoever uses the ticket takes it before any session.
    super::sign_in_tickets::forget(connection, user).await?;
    let mut sql = end_statement(connection, now, reason, by, None);
    sql.push(" AND user_id = ").bind(user.0);
    if let Some(except) = except {
        sql.push(" AND id <> ").bind(except.0);
    }
    sql.push(" RETURNING id, lineage_hash");
    let rows = sql.all(connection).await?;
    let ended = rows.iter().map(|row| {
        let row = Row(row);
        Ok(EndedRow {
            id: SessionId(row.uuid("id")?),
            lineage_hash: row.hash("lineage_hash")?,
        })
    });
    let ended: Vec<EndedRow> = ended.collect::<Result<_, DbErr>>()?;
    let stopped = stop_with_sessions(connection, ended.iter().map(|row| row.id)).await?;
    Ok((ended, stopped))
}

/// Makes everybody who signs this user in take turns, until the transaction ends: what is counted stays true until a
/// session is stored. SQLite has one writer anyway.
pub async fn take_turns(connection: &impl ConnectionTrait, user: UserId) -> Result<(), DbError> {
    if Dialect::of(connection) == Dialect::Postgres {
        let mut sql = Sql::new(connection, "SELECT pg_advisory_xact_lock(hashtextextended(");
        sql.bind(user.0.to_string()).push(", 0))");
        sql.all(connection).await?;
    }
    Ok(())
}

/// A user's sessions that live at `now`, connected clients aside: the one that was not used for the longest time first.
pub async fn live_of_user(
    connection: &impl ConnectionTrait,
    user: UserId,
    now: Timestamp,
) -> Result<Vec<LiveRow>, DbError> {
    let dialect = Dialect::of(connection);
    let mut sql = Sql::new(
        connection,
        &format!(
            "SELECT s.id, s.lineage_hash, s.ip FROM session s{} WHERE s.user_id = ",
            dialect.by("session_by_user")
        ),
    );
    sql.bind(user.0).push(" AND s.kind <> 'client' AND ");
    let at = sql.place(now.0);
    sql.push(&life::live(dialect, "s", &at))
        .push(" ORDER BY s.last_activity_at, s.id");
    let rows = sql.all(connection).await?;
    rows.iter()
        .map(|row| {
            let row = Row(row);
            Ok(LiveRow {
                id: SessionId(row.uuid("id")?),
                lineage_hash: row.hash("lineage_hash")?,
                ip: row.get("ip")?,
            })
        })
        .collect()
}

fn end_statement(
    connection: &impl ConnectionTrait,
    now: Timestamp,
    reason: EndReason,
    by: Option<UserId>,
    note: Option<&str>,
) -> Sql {
    let mut sql = Sql::new(connection, "UPDATE session SET ended_at = ");
    let at = sql.place(now.0);
    sql.push(&at)
        .push(", end_reason = ")
        .bind(reason.as_str())
        .push(", ended_by = ")
        .bind(by.map(|id| id.0))
        .push(", end_note = ")
        .bind(note.map(str::to_owned))
        .push(" WHERE ")
        .push(&life::live(Dialect::of(connection), "session", &at));
    sql
}

/// Moves activity forward, 500 rows in a statement. Rows that ended stay as they are, and so does
/// anything that is newer already.
pub async fn touch(connection: &impl ConnectionTrait, touches: &[Touch]) -> Result<(), DbError> {
    for part in touches.chunks(500) {
        let mut sql = Sql::new(
            connection,
            "WITH touched (touched_id, activity, idle) AS (VALUES ",
        );
        for (index, touch) in part.iter().enumerate() {
            if index > 0 {
                sql.push(", ");
            }
            sql.push("(")
                .bind(touch.id.0)
                .push(", ")
                .bind(touch.last_activity_at.0)
                .push(", ")
                .bind(touch.idle_expires_at.0)
                .push(")");
        }
        sql.push(
            ") UPDATE session SET last_activity_at = activity, idle_expires_at = idle,
                expires_at = CASE WHEN idle < absolute_expires_at THEN idle ELSE absolute_expires_at END
            FROM touched WHERE id = touched_id AND ended_at IS NULL AND last_activity_at < activity",
        );
        sql.run(connection).await?;
    }
    Ok(())
}

/// How many sessions live at `now`.
pub async fn count_live(
    connection: &impl ConnectionTrait,
    scope: Scope,
    now: Timestamp,
) -> Result<u64, DbError> {
    Ok(super::counters::tally(connection, scope, now)
        .await?
        .active())
}
