//! What shows under a session, and what would stop with it.

use std::collections::{HashMap, HashSet};

use rollcall_core::executions::LISTED_EXECUTIONS;
use rollcall_core::{
    ExecutionId, RunningExecution, Session, SessionWork, State, Timestamp, UserId,
};
use sea_orm::{ConnectionTrait, DbErr};
use uuid::Uuid;

use super::error::DbError;
use super::executions::running;
use super::life;
use super::sql::{Dialect, Row, Sql};

/// An execution that runs, with what decides where it shows.
struct Running {
    user: UserId,
    by_session: Option<Uuid>,
    client: Option<Uuid>,
    shown: RunningExecution,
}

/// Writes down the work of these sessions. Where nothing runs at all, that is one look.
pub async fn fill(
    connection: &impl ConnectionTrait,
    sessions: &mut [Session],
    now: Timestamp,
) -> Result<(), DbError> {
    for session in sessions.iter_mut() {
        session.work = Some(SessionWork::default());
    }
    let live: Vec<_> = sessions
        .iter()
        .filter(|session| session.state == State::Active)
        .collect();
    if live.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = live.iter().map(|session| session.id.0).collect();
    let users: HashSet<Uuid> = live.iter().map(|session| session.user.id.0).collect();
    let users: Vec<Uuid> = users.into_iter().collect();
    let clients = clients_of(connection, &ids, now).await?;
    let executions = executions_of(connection, &users, &ids, &clients, now).await?;
    let owners: HashSet<Uuid> = executions.iter().map(|one| one.user.0).collect();
    let homes = consoles(connection, &owners.into_iter().collect::<Vec<_>>(), now).await?;
    for session in sessions.iter_mut() {
        let Some(work) = &mut session.work else {
            continue;
        };
        let id = session.id.0;
        let mine: HashSet<Uuid> = clients
            .iter()
            .filter(|client| client.session == id || client.by_session == Some(id))
            .map(|client| client.id)
            .collect();
        let below: HashSet<Uuid> = clients
            .iter()
            .filter(|client| mine.contains(&client.id))
            .map(|client| client.session)
            .chain([id])
            .collect();
        work.stops_clients = mine.len() as u64;
        for one in &executions {
            let hangs = one.by_session.is_some_and(|by| below.contains(&by))
                || one.client.is_some_and(|client| mine.contains(&client));
            work.stops_executions += u64::from(hangs);
            if homes.get(&one.user.0).copied().or(one.by_session) == Some(id) {
                work.active_executions += 1;
                if work.executions.len() < LISTED_EXECUTIONS {
                    work.executions.push(one.shown.clone());
                }
            }
        }
    }
    Ok(())
}

struct LiveClient {
    id: Uuid,
    session: Uuid,
    by_session: Option<Uuid>,
}

async fn clients_of(
    connection: &impl ConnectionTrait,
    sessions: &[Uuid],
    now: Timestamp,
) -> Result<Vec<LiveClient>, DbError> {
    let mut sql = Sql::new(
        connection,
        "SELECT c.id, c.session_id, c.by_session FROM client c WHERE c.ended_at IS NULL AND (c.session_id IN (",
    );
    let list = sql.places(sessions.iter().copied());
    let at = sql.place(now.0);
    sql.push(&format!(
        "{list}) OR c.by_session IN ({list})) AND EXISTS (SELECT 1 FROM session s WHERE s.id = c.session_id AND {})",
        life::live(Dialect::of(connection), "s", &at)
    ));
    let rows = sql.all(connection).await?;
    let rows = rows.iter().map(|row| {
        let row = Row(row);
        Ok(LiveClient {
            id: row.uuid("id")?,
            session: row.uuid("session_id")?,
            by_session: row.get("by_session")?,
        })
    });
    Ok(rows.collect::<Result<_, DbErr>>()?)
}

async fn executions_of(
    connection: &impl ConnectionTrait,
    users: &[Uuid],
    sessions: &[Uuid],
    clients: &[LiveClient],
    now: Timestamp,
) -> Result<Vec<Running>, DbError> {
    let mut sql = Sql::new(
        connection,
        "SELECT x.id, x.user_id, x.by_session, x.client_id, x.artefact_id, x.name, x.started_at, c.name AS client_name
        FROM execution x LEFT JOIN client c ON c.id = x.client_id WHERE x.ended_at IS NULL AND (x.user_id IN (",
    );
    let users = sql.places(users.iter().copied());
    let below: Vec<Uuid> = clients.iter().map(|client| client.session).collect();
    let sessions = sql.places(sessions.iter().chain(&below).copied());
    sql.push(&format!("{users}) OR x.by_session IN ({sessions})"));
    if !clients.is_empty() {
        let on: Vec<Uuid> = clients.iter().map(|client| client.id).collect();
        let on = sql.places(on);
        sql.push(&format!(" OR x.client_id IN ({on})"));
    }
    let at = sql.place(now.0);
    sql.push(&format!(
        ") AND {} ORDER BY x.started_at, x.id",
        running(Dialect::of(connection), "x", &at)
    ));
    let rows = sql.all(connection).await?;
    let rows = rows.iter().map(|row| {
        let row = Row(row);
        Ok(Running {
            user: UserId(row.uuid("user_id")?),
            by_session: row.get("by_session")?,
            client: row.get("client_id")?,
            shown: RunningExecution {
                id: ExecutionId(row.uuid("id")?),
                artefact_id: row.get("artefact_id")?,
                name: row.get("name")?,
                client: row
                    .get::<Option<String>>("client_name")?
                    .unwrap_or_default(),
                started_at: row.time("started_at")?,
            },
        })
    });
    Ok(rows.collect::<Result<_, DbErr>>()?)
}

/// The console session that each of these users has used last, of those that live.
async fn consoles(
    connection: &impl ConnectionTrait,
    users: &[Uuid],
    now: Timestamp,
) -> Result<HashMap<Uuid, Uuid>, DbError> {
    let mut homes: HashMap<Uuid, (i64, Uuid)> = HashMap::new();
    if users.is_empty() {
        return Ok(HashMap::new());
    }
    let dialect = Dialect::of(connection);
    let mut sql = Sql::new(
        connection,
        &format!(
            "SELECT s.user_id, s.id, s.last_activity_at FROM session s{} WHERE s.user_id IN (",
            dialect.by("session_by_user")
        ),
    );
    let users = sql.places(users.iter().copied());
    let at = sql.place(now.0);
    sql.push(&format!(
        "{users}) AND s.kind = 'console' AND {}",
        life::live(dialect, "s", &at)
    ));
    for row in sql.all(connection).await? {
        let row = Row(&row);
        let one = (row.get("last_activity_at")?, row.uuid("id")?);
        let home = homes.entry(row.uuid("user_id")?).or_insert(one);
        *home = (*home).max(one);
    }
    Ok(homes
        .into_iter()
        .map(|(user, (_, session))| (user, session))
        .collect())
}
