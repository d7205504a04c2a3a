//! Sign-ins that wait for their users to choose which sessions end: one ticket for each user, used once.

use rollcall_core::{Timestamp, UserId};
use sea_orm::ConnectionTrait;

use super::error::DbError;
use super::records::TicketRecord;
use super::sql::{Row, Sql};

/// Stores a ticket in the place of the user's earlier one, and forgets those that are too old.
pub async fn create(
    connection: &impl ConnectionTrait,
    ticket: &TicketRecord,
    now: Timestamp,
) -> Result<(), DbError> {
    let mut sql = Sql::new(connection, "DELETE FROM sign_in_ticket WHERE user_id = ");
    sql.bind(ticket.user.0)
        .push(" OR expires_at <= ")
        .bind(now.0);
    sql.run(connection).await?;
    let mut sql = Sql::new(
        connection,
        "INSERT INTO sign_in_ticket (secret_hash, user_id, proof, name, keep, created_at, expires_at) VALUES (",
    );
    sql.bind(ticket.secret_hash.to_vec())
        .push(", ")
        .bind(ticket.user.0)
        .push(", ")
        .bind(ticket.proof.to_vec())
        .push(", ")
        .bind(ticket.name.clone())
        .push(", ")
        .bind(ticket.keep)
        .push(", ")
        .bind(now.0)
        .push(", ")
        .bind(ticket.expires_at.0)
        .push(")");
    sql.run(connection).await?;
    Ok(())
}

/// Makes a user's ticket void.
pub async fn forget(connection: &impl ConnectionTrait, user: UserId) -> Result<(), DbError> {
    let mut sql = Sql::new(connection, "DELETE FROM sign_in_ticket WHERE user_id = ");
    sql.bind(user.0);
    sql.run(connection).await?;
    Ok(())
}

/// The ticket with this hash, if it is good.
pub async fn find(
    connection: &impl ConnectionTrait,
    secret_hash: &[u8; 32],
    now: Timestamp,
) -> Result<Option<TicketRecord>, DbError> {
    let mut sql = Sql::new(connection, "SELECT * FROM sign_in_ticket WHERE ");
    is_good(&mut sql, secret_hash, now);
    let Some(row) = sql.one(connection).await? else {
        return Ok(None);
    };
    let row = Row(&row);
    Ok(Some(TicketRecord {
        secret_hash: *secret_hash,
        user: UserId(row.uuid("user_id")?),
        proof: row.hash("proof")?,
        name: row.get("name")?,
        keep: row.get("keep")?,
        expires_at: row.time("expires_at")?,
    }))
}

/// Uses the ticket. False if it is not good, or was used by somebody else just now.
pub async fn consume(
    connection: &impl ConnectionTrait,
    secret_hash: &[u8; 32],
    now: Timestamp,
) -> Result<bool, DbError> {
    let mut sql = Sql::new(connection, "UPDATE sign_in_ticket SET used_at = ");
    sql.bind(now.0).push(" WHERE ");
    is_good(&mut sql, secret_hash, now);
    Ok(sql.run(connection).await? == 1)
}

// What ended all of the user's sessions since, or locked the account, ended this too.
fn is_good(sql: &mut Sql, secret_hash: &[u8; 32], now: Timestamp) {
    sql.push("secret_hash = ")
        .bind(secret_hash.to_vec())
        .push(" AND used_at IS NULL AND expires_at > ")
        .bind(now.0)
        .push(
            r#" AND EXISTS (
                SELECT 1 FROM "user" u JOIN organisation o ON o.id = u.organisation_id CROSS JOIN installation i
                WHERE u.id = sign_in_ticket.user_id AND u.enabled AND u.deleted_at IS NULL AND o.enabled
                    AND coalesce(u.ended_before, 0) < sign_in_ticket.created_at
                    AND coalesce(o.ended_before, 0) < sign_in_ticket.created_at
                    AND coalesce(i.ended_before, 0) < sign_in_ticket.created_at
                    AND NOT EXISTS (SELECT 1 FROM sign_in_attempt a WHERE a.name = u.email AND a.locked_at IS NOT NULL)
            )"#,
        );
}
