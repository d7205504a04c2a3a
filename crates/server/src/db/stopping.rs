//! What hangs on a session or a key, and stops with it in the same transaction: clients with their sessions, and
//! executions. Whatever stores the end of a session calls this file, so that nobody can forget it.

use rollcall_core::{
    ApiKeyId, ClientId, EndReason, ExecutionId, OrganisationId, SessionId, Timestamp, UserId,
    UserRef,
};
use sea_orm::{ConnectionTrait, DbErr, QueryResult};
use uuid::Uuid;

use super::error::DbError;
use super::life;
use super::sql::{Dialect, Row, Sql};

/// A client that was disconnected.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoppedClient {
    /// Its id.
    pub id: ClientId,
    /// What it calls itself.
    pub name: String,
    /// Whose it is.
    pub user: UserRef,
    /// The owner's organisation.
    pub organisation_id: OrganisationId,
    /// Its session, which has ended.
    pub session: SessionId,
    /// SHA-256 of that session's lineage.
    pub lineage_hash: [u8; 32],
    /// When.
    pub at: Timestamp,
    /// Why its session ended.
    pub reason: EndReason,
}

/// An execution that was terminated.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoppedExecution {
    /// Its id.
    pub id: ExecutionId,
    /// What people call it.
    pub name: String,
    /// On whose behalf it ran.
    pub user: UserRef,
    /// That user's organisation.
    pub organisation_id: OrganisationId,
    /// The session that had started it.
    pub session: Option<SessionId>,
    /// The client that it ran on, which has to be told.
    pub client: Option<ClientId>,
    /// When.
    pub at: Timestamp,
    /// Why the session that it hung on ended, if it did.
    pub reason: Option<EndReason>,
}

/// What stopped with the end of something.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[must_use = "the cache, the streams and the audit trail have to be told"]
pub struct Stopped {
    /// Clients.
    pub clients: Vec<StoppedClient>,
    /// Executions.
    pub executions: Vec<StoppedExecution>,
}

impl Stopped {
    /// Whether nothing did.
    pub fn is_empty(&self) -> bool {
        self.clients.is_empty() && self.executions.is_empty()
    }

    /// This and what stopped besides.
    pub fn extend(&mut self, more: Self) {
        self.clients.extend(more.clients);
        self.executions.extend(more.executions);
    }
}

/// Far below the number of values that either database takes.
const PART: usize = 1_000;

/// Stops what hangs on these sessions, whose ends were stored just now.
pub(super) async fn stop_with_sessions(
    connection: &impl ConnectionTrait,
    ended: impl IntoIterator<Item = SessionId>,
) -> Result<Stopped, DbError> {
    let ended: Vec<Uuid> = ended.into_iter().map(|id| id.0).collect();
    let mut stopped = Stopped::default();
    if ended.is_empty() || !anything_runs(connection).await? {
        return Ok(stopped);
    }
    for part in ended.chunks(PART) {
        let mut sql = Sql::new(connection, "");
        let places = sql.places(part.iter().copied());
        let of_parent = |column: &str| {
            format!(
                "(SELECT p.{column} FROM client c JOIN session p ON p.id = c.by_session WHERE c.session_id = session.id)"
            )
        };
        sql.push(&format!(
            "UPDATE session SET ended_at = {at}, end_reason = '{reason}', ended_by = {by}
            WHERE ended_at IS NULL AND expires_at > {at}
                AND id IN (SELECT h.session_id FROM client h WHERE h.ended_at IS NULL AND h.by_session IN ({places}))
            RETURNING id",
            at = of_parent("ended_at"),
            by = of_parent("ended_by"),
            reason = EndReason::ClientDisconnected.as_str(),
        ));
        let rows = sql.all(connection).await?;
        let mut all = part.to_vec();
        all.extend(ids(&rows)?);
        stopped.extend(stop_with(connection, &all).await?);
    }
    Ok(stopped)
}

/// Stops what hangs on a key that was revoked just now: the clients that registered with it, and what it started.
pub(super) async fn stop_with_key(
    connection: &impl ConnectionTrait,
    key: ApiKeyId,
    now: Timestamp,
    by: UserId,
) -> Result<Stopped, DbError> {
    let mut sql = Sql::new(connection, "UPDATE session SET ended_at = ");
    let at = sql.place(now.0);
    sql.push(&format!(
        "{at}, end_reason = '{}', ended_by = ",
        EndReason::ClientDisconnected.as_str()
    ))
    .bind(by.0)
    .push(
        " WHERE id IN (SELECT h.session_id FROM client h WHERE h.ended_at IS NULL AND h.by_key = ",
    )
    .bind(key.0)
    .push(") AND ")
    .push(&life::live(Dialect::of(connection), "session", &at))
    .push(" RETURNING id");
    let rows = sql.all(connection).await?;
    let mut stopped = stop_with(connection, &ids(&rows)?).await?;
    let mut sql = terminate(connection, now, Some(by));
    sql.push(" AND by_key = ").bind(key.0);
    stopped
        .executions
        .extend(executions(sql, connection).await?);
    Ok(stopped)
}

/// Terminates everything that runs on behalf of a user, whoever started it, as one act.
pub async fn stop_all_of_user(
    connection: &impl ConnectionTrait,
    user: UserId,
    now: Timestamp,
    by: UserId,
) -> Result<Stopped, DbError> {
    let mut sql = terminate(connection, now, Some(by));
    sql.push(" AND user_id = ").bind(user.0);
    Ok(Stopped {
        executions: executions(sql, connection).await?,
        ..Stopped::default()
    })
}

/// Terminates one execution that runs.
pub async fn stop_execution(
    connection: &impl ConnectionTrait,
    id: ExecutionId,
    now: Timestamp,
    by: UserId,
) -> Result<Stopped, DbError> {
    let mut sql = terminate(connection, now, Some(by));
    let at = sql.place(now.0);
    let running = super::executions::running(Dialect::of(connection), "execution", &at);
    sql.push(" AND id = ")
        .bind(id.0)
        .push(&format!(" AND {running}"));
    Ok(Stopped {
        executions: executions(sql, connection).await?,
        ..Stopped::default()
    })
}

/// Stores the end of what does not run any more although nobody has stored that: its key has expired or was revoked with
/// all others, or its user was disabled. For the sweep, once the ends of sessions are stored.
pub async fn sweep_executions(
    connection: &impl ConnectionTrait,
    now: Timestamp,
) -> Result<Stopped, DbError> {
    let mut stopped = Stopped::default();
    if anything_runs(connection).await? {
        let mut sql = terminate(connection, now, None);
        let at = sql.place(now.0);
        let running = super::executions::running(Dialect::of(connection), "execution", &at);
        sql.push(&format!(" AND NOT {running}"));
        stopped.executions = executions(sql, connection).await?;
    }
    Ok(stopped)
}

// Most servers have neither clients nor executions; an end then costs one look more.
async fn anything_runs(connection: &impl ConnectionTrait) -> Result<bool, DbError> {
    let sql = Sql::new(
        connection,
        "SELECT CASE WHEN EXISTS (SELECT 1 FROM client WHERE ended_at IS NULL)
            OR EXISTS (SELECT 1 FROM execution WHERE ended_at IS NULL) THEN 1 ELSE 0 END AS some",
    );
    let row = sql.one(connection).await?;
    Ok(match row {
        Some(row) => Row(&row).get::<i32>("some")? == 1,
        None => false,
    })
}

// What hangs on sessions that have ended: their clients' registrations, what they started, and what runs on the clients.
async fn stop_with(connection: &impl ConnectionTrait, ended: &[Uuid]) -> Result<Stopped, DbError> {
    let mut stopped = Stopped::default();
    for part in ended.chunks(PART) {
        let mut sql = Sql::new(connection, "");
        let list = sql.places(part.iter().copied());
        let own = |column: &str| {
            format!("(SELECT s.{column} FROM session s WHERE s.id = client.session_id)")
        };
        sql.push(&format!(
            r#"UPDATE client SET ended_at = {}, end_reason = {}, ended_by = {}, last_heartbeat_at = {}
            WHERE ended_at IS NULL AND session_id IN ({list})
            RETURNING id, name, user_id, organisation_id, session_id, ended_at, end_reason, {} AS lineage_hash, {USER}"#,
            own("ended_at"),
            own("end_reason"),
            own("ended_by"),
            own("last_activity_at"),
            own("lineage_hash"),
        ));
        let rows = sql.all(connection).await?;
        let clients = rows.iter().map(client).collect::<Result<Vec<_>, _>>()?;
        let of_session = |column: &str| {
            format!("(SELECT s.{column} FROM session s WHERE s.id = execution.by_session)")
        };
        let mut sql = Sql::new(connection, "");
        let list = sql.places(part.iter().copied());
        sql.push(&format!(
            "{}, end_reason = {}, ended_by = {} WHERE ended_at IS NULL AND by_session IN ({list})",
            terminated(&of_session("ended_at")),
            of_session("end_reason"),
            of_session("ended_by"),
        ));
        stopped
            .executions
            .extend(executions(sql, connection).await?);
        let on: Vec<Uuid> = clients.iter().map(|client| client.id.0).collect();
        if !on.is_empty() {
            let of_client = |column: &str| {
                format!("(SELECT c.{column} FROM client c WHERE c.id = execution.client_id)")
            };
            let mut sql = Sql::new(connection, "");
            let list = sql.places(on);
            sql.push(&format!(
                "{}, end_reason = {}, ended_by = {} WHERE ended_at IS NULL AND client_id IN ({list})",
                terminated(&of_client("ended_at")),
                of_client("end_reason"),
                of_client("ended_by"),
            ));
            stopped
                .executions
                .extend(executions(sql, connection).await?);
        }
        stopped.clients.extend(clients);
    }
    Ok(stopped)
}

const USER: &str = r#"(SELECT u.email FROM "user" u WHERE u.id = user_id) AS email,
    (SELECT u.name FROM "user" u WHERE u.id = user_id) AS user_name,
    (SELECT u.service_account FROM "user" u WHERE u.id = user_id) AS service_account"#;

fn terminated(at: &str) -> String {
    format!("UPDATE execution SET state = 'terminated', ended_at = {at}")
}

fn terminate(connection: &impl ConnectionTrait, now: Timestamp, by: Option<UserId>) -> Sql {
    let mut sql = Sql::new(connection, "");
    let at = sql.place(now.0);
    sql.push(&terminated(&at))
        .push(", ended_by = ")
        .bind(by.map(|id| id.0))
        .push(" WHERE ended_at IS NULL");
    sql
}

async fn executions(
    mut sql: Sql,
    connection: &impl ConnectionTrait,
) -> Result<Vec<StoppedExecution>, DbError> {
    sql.push(&format!(
        " RETURNING id, name, user_id, organisation_id, by_session, client_id, ended_at, end_reason, {USER}"
    ));
    let rows = sql.all(connection).await?;
    Ok(rows.iter().map(execution).collect::<Result<_, _>>()?)
}

fn ids(rows: &[QueryResult]) -> Result<Vec<Uuid>, DbErr> {
    rows.iter().map(|row| Row(row).uuid("id")).collect()
}

fn user(row: &Row<'_>) -> Result<UserRef, DbErr> {
    Ok(UserRef {
        id: UserId(row.uuid("user_id")?),
        email: row.get("email")?,
        name: row.get("user_name")?,
        service_account: row.get("service_account")?,
    })
}

fn client(row: &QueryResult) -> Result<StoppedClient, DbErr> {
    let row = Row(row);
    Ok(StoppedClient {
        id: ClientId(row.uuid("id")?),
        name: row.get("name")?,
        user: user(&row)?,
        organisation_id: OrganisationId(row.uuid("organisation_id")?),
        session: SessionId(row.uuid("session_id")?),
        lineage_hash: row.hash("lineage_hash")?,
        at: row.time("ended_at")?,
        reason: row.word("end_reason", EndReason::from_name)?,
    })
}

fn execution(row: &QueryResult) -> Result<StoppedExecution, DbErr> {
    let row = Row(row);
    let reason: Option<String> = row.get("end_reason")?;
    Ok(StoppedExecution {
        id: ExecutionId(row.uuid("id")?),
        name: row.get("name")?,
        user: user(&row)?,
        organisation_id: OrganisationId(row.uuid("organisation_id")?),
        session: row.get::<Option<Uuid>>("by_session")?.map(SessionId),
        client: row.get::<Option<Uuid>>("client_id")?.map(ClientId),
        at: row.time("ended_at")?,
        reason: reason.as_deref().and_then(EndReason::from_name),
    })
}
