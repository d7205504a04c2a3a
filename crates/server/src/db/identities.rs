//! Who users and sessions are elsewhere, and what is good once on the way there and back.

use rollcall_core::{SessionId, Timestamp, UserId};
use sea_orm::ConnectionTrait;

use super::error::DbError;
use super::life;
use super::sql::{Dialect, Row, Sql};

/// What a session is at the provider that it began with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SessionIdentity {
    /// The provider's key.
    pub provider: String,
    /// The issuer, which is who the provider is.
    pub issuer: String,
    /// Who somebody is there.
    pub subject: String,
    /// Which session there, if it says so.
    pub sid: Option<String>,
}

/// Which sessions a provider has ended: all of a subject, those of one session there, or those that both name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EndedThere {
    /// The issuer.
    pub issuer: String,
    /// Who.
    pub subject: Option<String>,
    /// Which session there.
    pub sid: Option<String>,
}

/// The user that somebody elsewhere is. Deleted users are nobody.
pub async fn find_user(
    connection: &impl ConnectionTrait,
    issuer: &str,
    subject: &str,
) -> Result<Option<UserId>, DbError> {
    let mut sql = Sql::new(
        connection,
        "SELECT user_id FROM user_identity WHERE issuer = ",
    );
    sql.bind(issuer).push(" AND subject = ").bind(subject);
    match sql.one(connection).await? {
        Some(row) => Ok(Some(UserId(Row(&row).uuid("user_id")?))),
        None => Ok(None),
    }
}

/// Makes somebody elsewhere this user.
///
/// # Errors
/// `Unique` where they are a user already.
pub async fn link(
    connection: &impl ConnectionTrait,
    issuer: &str,
    subject: &str,
    user: UserId,
    now: Timestamp,
) -> Result<(), DbError> {
    let mut sql = Sql::new(
        connection,
        "INSERT INTO user_identity (issuer, subject, user_id, created_at) VALUES (",
    );
    sql.bind(issuer)
        .push(", ")
        .bind(subject)
        .push(", ")
        .bind(user.0)
        .push(", ")
        .bind(now.0)
        .push(")");
    sql.run(connection).await?;
    Ok(())
}

/// Forgets who a user is elsewhere: a deleted one is nobody.
pub async fn forget_user(connection: &impl ConnectionTrait, user: UserId) -> Result<(), DbError> {
    let mut sql = Sql::new(connection, "DELETE FROM user_identity WHERE user_id = ");
    sql.bind(user.0);
    sql.run(connection).await?;
    Ok(())
}

/// Notes what a session is at its provider.
pub async fn note_session(
    connection: &impl ConnectionTrait,
    session: SessionId,
    identity: &SessionIdentity,
) -> Result<(), DbError> {
    let mut sql = Sql::new(
        connection,
        "INSERT INTO session_identity (session_id, provider, issuer, subject, sid) VALUES (",
    );
    sql.bind(session.0)
        .push(", ")
        .bind(identity.provider.clone())
        .push(", ")
        .bind(identity.issuer.clone())
        .push(", ")
        .bind(identity.subject.clone())
        .push(", ")
        .bind(identity.sid.clone())
        .push(")");
    sql.run(connection).await?;
    Ok(())
}

/// What a session is at its provider, if it began with one.
pub async fn find_of_session(
    connection: &impl ConnectionTrait,
    session: SessionId,
) -> Result<Option<SessionIdentity>, DbError> {
    let mut sql = Sql::new(
        connection,
        "SELECT provider, issuer, subject, sid FROM session_identity WHERE session_id = ",
    );
    sql.bind(session.0);
    let Some(row) = sql.one(connection).await? else {
        return Ok(None);
    };
    let row = Row(&row);
    Ok(Some(SessionIdentity {
        provider: row.get("provider")?,
        issuer: row.get("issuer")?,
        subject: row.get("subject")?,
        sid: row.get("sid")?,
    }))
}

/// The sessions that live at `now` and that their provider has ended.
pub async fn live_sessions(
    connection: &impl ConnectionTrait,
    ended: &EndedThere,
    now: Timestamp,
) -> Result<Vec<SessionId>, DbError> {
    let mut sql = Sql::new(
        connection,
        "SELECT s.id FROM session_identity i JOIN session s ON s.id = i.session_id WHERE i.issuer = ",
    );
    sql.bind(ended.issuer.clone());
    if let Some(subject) = &ended.subject {
        sql.push(" AND i.subject = ").bind(subject.clone());
    }
    if let Some(sid) = &ended.sid {
        sql.push(" AND i.sid = ").bind(sid.clone());
    }
    sql.push(" AND ");
    let at = sql.place(now.0);
    sql.push(&life::live(Dialect::of(connection), "s", &at))
        .push(" ORDER BY s.id");
    let rows = sql.all(connection).await?;
    let ids = rows.iter().map(|row| Row(row).uuid("id").map(SessionId));
    Ok(ids.collect::<Result<_, _>>()?)
}

/// Takes what is good once. False if somebody has taken it: of two at the same time one is told true.
pub async fn spend(
    connection: &impl ConnectionTrait,
    hash: &[u8; 32],
    expires_at: Timestamp,
    now: Timestamp,
) -> Result<bool, DbError> {
    let mut sql = Sql::new(connection, "DELETE FROM spent WHERE expires_at <= ");
    sql.bind(now.0);
    sql.run(connection).await?;
    let mut sql = Sql::new(connection, "INSERT INTO spent (hash, expires_at) VALUES (");
    sql.bind(hash.to_vec())
        .push(", ")
        .bind(expires_at.0)
        .push(") ON CONFLICT (hash) DO NOTHING");
    Ok(sql.run(connection).await? == 1)
}

/// Removes what is known of sessions that are not stored any more.
pub async fn purge(connection: &impl ConnectionTrait) -> Result<u64, DbError> {
    let sql = Sql::new(
        connection,
        "DELETE FROM session_identity WHERE NOT EXISTS (SELECT 1 FROM session s WHERE s.id = session_identity.session_id)",
    );
    Ok(sql.run(connection).await?)
}
