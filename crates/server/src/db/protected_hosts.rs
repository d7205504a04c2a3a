//! Codes that lead a browser into a protected host, and the credentials that sessions have there.

use rollcall_core::Timestamp;
use sea_orm::ConnectionTrait;

use super::error::DbError;
use super::sql::{Dialect, Row, Sql};

/// A code that somebody may enter a host with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewCode {
    /// The code's hash.
    pub secret_hash: [u8; 32],
    /// The host, as the list of protected ones has it.
    pub host: String,
    /// The hash of what the browser holds on that host.
    pub state_hash: [u8; 32],
    /// SHA-256 of the lineage of the session that enters.
    pub lineage_hash: [u8; 32],
    /// When it is good for nothing any more.
    pub expires_at: Timestamp,
}

/// Stores a code, and forgets those that are too old.
pub async fn create_code(
    connection: &impl ConnectionTrait,
    code: &NewCode,
    now: Timestamp,
) -> Result<(), DbError> {
    let mut sql = Sql::new(connection, "DELETE FROM host_code WHERE expires_at <= ");
    sql.bind(now.0);
    sql.run(connection).await?;
    let mut sql = Sql::new(
        connection,
        "INSERT INTO host_code (secret_hash, host, state_hash, lineage_hash, expires_at) VALUES (",
    );
    sql.bind(code.secret_hash.to_vec())
        .push(", ")
        .bind(code.host.clone())
        .push(", ")
        .bind(code.state_hash.to_vec())
        .push(", ")
        .bind(code.lineage_hash.to_vec())
        .push(", ")
        .bind(code.expires_at.0)
        .push(")");
    sql.run(connection).await?;
    Ok(())
}

/// Uses up the code with this hash, if it is good for this host and this browser, and answers the lineage of the session
/// that enters. One statement: of two who come with one code, one is let in.
pub async fn consume_code(
    connection: &impl ConnectionTrait,
    secret_hash: &[u8; 32],
    host: &str,
    state_hash: &[u8; 32],
    now: Timestamp,
) -> Result<Option<[u8; 32]>, DbError> {
    let mut sql = Sql::new(connection, "DELETE FROM host_code WHERE secret_hash = ");
    sql.bind(secret_hash.to_vec())
        .push(" AND host = ")
        .bind(host)
        .push(" AND state_hash = ")
        .bind(state_hash.to_vec())
        .push(" AND expires_at > ")
        .bind(now.0)
        .push(" RETURNING lineage_hash");
    match sql.one(connection).await? {
        Some(row) => Ok(Some(Row(&row).hash("lineage_hash")?)),
        None => Ok(None),
    }
}

/// Stores a session's credential on a host. Never changed afterwards, so that whoever knows one knows it for good.
pub async fn create_credential(
    connection: &impl ConnectionTrait,
    secret_hash: &[u8; 32],
    host: &str,
    lineage_hash: &[u8; 32],
    now: Timestamp,
) -> Result<(), DbError> {
    let mut sql = Sql::new(
        connection,
        "INSERT INTO host_credential (secret_hash, host, lineage_hash, created_at) VALUES (",
    );
    sql.bind(secret_hash.to_vec())
        .push(", ")
        .bind(host)
        .push(", ")
        .bind(lineage_hash.to_vec())
        .push(", ")
        .bind(now.0)
        .push(")");
    sql.run(connection).await?;
    Ok(())
}

/// The lineage of the session that has this credential on this host. Whether it lives is another question.
pub async fn find_credential(
    connection: &impl ConnectionTrait,
    secret_hash: &[u8; 32],
    host: &str,
) -> Result<Option<[u8; 32]>, DbError> {
    let mut sql = Sql::new(
        connection,
        "SELECT lineage_hash FROM host_credential WHERE secret_hash = ",
    );
    sql.bind(secret_hash.to_vec())
        .push(" AND host = ")
        .bind(host);
    match sql.one(connection).await? {
        Some(row) => Ok(Some(Row(&row).hash("lineage_hash")?)),
        None => Ok(None),
    }
}

/// Removes credentials of sessions that are not stored any more, or go by another lineage.
pub async fn purge_credentials(connection: &impl ConnectionTrait) -> Result<u64, DbError> {
    let entry = Dialect::of(connection).entry();
    let sql = Sql::new(
        connection,
        &format!(
            "DELETE FROM host_credential WHERE NOT EXISTS (
                SELECT 1 FROM {entry} e WHERE e.lineage_hash = host_credential.lineage_hash)"
        ),
    );
    Ok(sql.run(connection).await?)
}
