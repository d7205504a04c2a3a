//! Executions: they run as long as nobody has ended them and what they hang on lives.

use rollcall_core::executions::MOST_EXECUTIONS;
use rollcall_core::{
    Actor, ClientId, ClientRef, Command, EndReason, Error, Execution, ExecutionId, ExecutionQuery,
    ExecutionSource, ExecutionState, Field, OrganisationId, OrganisationRef, Page, Problem,
    SessionId, Timestamp, UserId, UserRef,
};
use sea_orm::{ConnectionTrait, DbErr};
use uuid::Uuid;

use super::clients::Parent;
use super::counters::natural;
use super::error::DbError;
use super::life;
use super::records::foreign_actor;
use super::scope::Scope;
use super::sql::{Dialect, Row, Sql};

/// An execution to be stored.
#[derive(Clone, Debug)]
pub struct NewExecution {
    /// Its id.
    pub id: ExecutionId,
    /// On whose behalf it runs.
    pub user: UserId,
    /// That user's organisation.
    pub organisation: OrganisationId,
    /// Who starts it.
    pub started_by: UserId,
    /// What it hangs on.
    pub parent: Parent,
    /// The client that it runs on.
    pub client: Option<ClientId>,
    /// What it is about.
    pub artefact_id: String,
    /// What kind of thing that is.
    pub artefact_kind: String,
    /// What to call it.
    pub name: String,
    /// What set it off.
    pub source: ExecutionSource,
    /// What the client is to run.
    pub run: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// True for a row of `execution` (known as `x`) that runs at `now`, a placeholder.
pub(super) fn running(dialect: Dialect, x: &str, now: &str) -> String {
    format!(
        r#"({x}.ended_at IS NULL
        AND ({x}.by_session IS NULL OR EXISTS (SELECT 1 FROM session ps WHERE ps.id = {x}.by_session AND {by_session}))
        AND ({x}.by_key IS NULL OR EXISTS (SELECT 1 FROM api_key pk
            WHERE pk.id = {x}.by_key AND pk.revoked_at IS NULL AND pk.expires_at > {now}))
        AND ({x}.client_id IS NULL OR EXISTS (SELECT 1 FROM client pc JOIN session cs ON cs.id = pc.session_id
            WHERE pc.id = {x}.client_id AND {on_client}))
        AND EXISTS (SELECT 1 FROM "user" xu JOIN organisation xo ON xo.id = xu.organisation_id
            WHERE xu.id = {x}.user_id AND xu.enabled AND xu.deleted_at IS NULL AND xo.enabled
                AND xu.organisation_id = {x}.organisation_id))"#,
        by_session = life::live(dialect, "ps", now),
        on_client = life::live(dialect, "cs", now),
    )
}

/// Stores an execution that starts. Answers the one with its id if it is there already. `Unauthenticated` if what it
/// hangs on does not live, `ClientNotConnected` if the client does not, `TooMany` where there are as many as there may be.
pub async fn create(
    connection: &impl ConnectionTrait,
    new: &NewExecution,
) -> Result<bool, DbError> {
    if !new.parent.hold(connection, new.at).await? {
        return Err(DbError::Refused(Error::Unauthenticated));
    }
    if let Some(client) = new.client {
        let mut sql = Sql::new(
            connection,
            "SELECT c.session_id FROM client c WHERE c.ended_at IS NULL AND c.id = ",
        );
        sql.bind(client.0);
        if sql.dialect() == Dialect::Postgres {
            sql.push(" FOR SHARE OF c");
        }
        let there = match sql.one(connection).await? {
            Some(row) => {
                let session = SessionId(Row(&row).uuid("session_id")?);
                Parent::Session(session).hold(connection, new.at).await?
            }
            None => false,
        };
        if !there {
            return Err(DbError::Refused(Error::ClientNotConnected));
        }
    }
    let (by_session, by_key) = new.parent.columns();
    let mut sql = Sql::new(
        connection,
        "INSERT INTO execution (id, user_id, organisation_id, started_by, by_session, by_key, client_id, artefact_id,
            artefact_kind, name, source, run, state, started_at) SELECT ",
    );
    sql.bind(new.id.0).push(", ");
    let user = sql.place(new.user.0);
    sql.push(&format!("{user}, "))
        .bind(new.organisation.0)
        .push(", ")
        .bind(new.started_by.0)
        .push(", ")
        .bind(by_session)
        .push(", ")
        .bind(by_key)
        .push(", ")
        .bind(new.client.map(|id| id.0));
    for text in [&new.artefact_id, &new.artefact_kind, &new.name] {
        sql.push(", ").bind(text.clone());
    }
    sql.push(", ")
        .bind(new.source.as_str())
        .push(", ")
        .bind(new.run.clone())
        .push(", 'running', CAST(")
        .bind(new.at.0)
        .push(&format!(
            " AS bigint) WHERE (SELECT count(*) FROM execution x WHERE x.user_id = {user} AND x.ended_at IS NULL) < {MOST_EXECUTIONS}
            ON CONFLICT (id) DO NOTHING"
        ));
    if sql.run(connection).await? == 1 {
        return Ok(true);
    }
    let mut there = Sql::new(connection, "SELECT 1 AS one FROM execution x WHERE x.id = ");
    there
        .bind(new.id.0)
        .push(" AND x.started_by = ")
        .bind(new.started_by.0);
    if there.one(connection).await?.is_some() {
        return Ok(false);
    }
    let mut taken = Sql::new(connection, "SELECT 1 AS one FROM execution x WHERE x.id = ");
    taken.bind(new.id.0);
    let (field, problem) = match taken.one(connection).await? {
        Some(_) => (Field::Id, Problem::NotOffered),
        None => (Field::User, Problem::TooMany(MOST_EXECUTIONS)),
    };
    Err(DbError::Refused(Error::Invalid(field, problem)))
}

/// Notes that the client has begun what it was told to run.
pub async fn take(
    connection: &impl ConnectionTrait,
    id: ExecutionId,
    now: Timestamp,
) -> Result<(), DbError> {
    let mut sql = Sql::new(connection, "UPDATE execution SET taken_at = ");
    sql.bind(now.0)
        .push(" WHERE taken_at IS NULL AND run IS NOT NULL AND id = ")
        .bind(id.0);
    sql.run(connection).await?;
    Ok(())
}

/// Ends an execution that runs as finished or failed. False if it does not run.
pub async fn finish(
    connection: &impl ConnectionTrait,
    id: ExecutionId,
    state: ExecutionState,
    now: Timestamp,
) -> Result<bool, DbError> {
    let mut sql = Sql::new(connection, "UPDATE execution SET state = ");
    sql.bind(state.as_str()).push(", ended_at = ");
    let at = sql.place(now.0);
    let running = running(Dialect::of(connection), "execution", &at);
    sql.push(&format!("{at} WHERE {running} AND id = "))
        .bind(id.0);
    Ok(sql.run(connection).await? == 1)
}

/// Notes that the client has stopped what was terminated. False if it was not terminated.
pub async fn confirm_stop(
    connection: &impl ConnectionTrait,
    id: ExecutionId,
) -> Result<bool, DbError> {
    let mut sql = Sql::new(
        connection,
        "UPDATE execution SET stop_confirmed = true WHERE state = 'terminated' AND id = ",
    );
    sql.bind(id.0);
    Ok(sql.run(connection).await? == 1)
}

/// Notes which force logout terminated these.
pub async fn note_act(
    connection: &impl ConnectionTrait,
    ids: &[ExecutionId],
    act: Uuid,
) -> Result<(), DbError> {
    for part in ids.chunks(1_000) {
        let mut sql = Sql::new(connection, "UPDATE execution SET act_id = ");
        sql.bind(act).push(" WHERE id IN (");
        let places = sql.places(part.iter().map(|id| id.0));
        sql.push(&places).push(")");
        sql.run(connection).await?;
    }
    Ok(())
}

/// What the client with this session is to do; `None` if there is no such client.
pub async fn commands(
    connection: &impl ConnectionTrait,
    client: ClientId,
    session: SessionId,
    now: Timestamp,
) -> Result<Option<Vec<Command>>, DbError> {
    let mut known = Sql::new(
        connection,
        "SELECT 1 AS one FROM client c WHERE c.removed_at IS NULL AND c.id = ",
    );
    known
        .bind(client.0)
        .push(" AND c.session_id = ")
        .bind(session.0);
    if known.one(connection).await?.is_none() {
        return Ok(None);
    }
    let mut sql = Sql::new(
        connection,
        "SELECT x.id, NULL AS run, x.artefact_id, x.started_at FROM execution x
        WHERE x.state = 'terminated' AND NOT x.stop_confirmed AND x.client_id = ",
    );
    let of = sql.place(client.0);
    let at = sql.place(now.0);
    let running = running(Dialect::of(connection), "x", &at);
    sql.push(&format!(
        "{of} UNION ALL SELECT x.id, x.run, x.artefact_id, x.started_at FROM execution x
        WHERE x.ended_at IS NULL AND x.run IS NOT NULL AND x.taken_at IS NULL AND x.client_id = {of} AND {running}
        ORDER BY 4, 1 LIMIT 1000"
    ));
    let rows = sql.all(connection).await?;
    let commands = rows.iter().map(|row| {
        let row = Row(row);
        let execution = ExecutionId(row.uuid("id")?);
        Ok(match row.get::<Option<String>>("run")? {
            Some(run) => Command::Run {
                execution,
                run,
                artefact_id: row.get("artefact_id")?,
            },
            None => Command::Terminate { execution },
        })
    });
    Ok(Some(commands.collect::<Result<_, DbErr>>()?))
}

/// An execution, and who started it and what it hangs on.
#[derive(Clone, Debug)]
pub struct FoundExecution {
    /// The execution.
    pub execution: Execution,
    /// Who started it.
    pub started_by: UserId,
    /// The session of the client that it runs on.
    pub client_session: Option<SessionId>,
}

/// One execution within the scope.
pub async fn find(
    connection: &impl ConnectionTrait,
    scope: Scope,
    id: ExecutionId,
    now: Timestamp,
) -> Result<Option<FoundExecution>, DbError> {
    let mut sql = Sql::new(connection, "");
    select(&mut sql, now);
    sql.push(" WHERE x.id = ").bind(id.0);
    within(&mut sql, scope);
    let row = sql.one(connection).await?;
    Ok(row.map(|row| read(&Row(&row), scope)).transpose()?)
}

/// Those of these that lie within the scope, by their start.
pub async fn find_all(
    connection: &impl ConnectionTrait,
    scope: Scope,
    ids: &[ExecutionId],
    now: Timestamp,
) -> Result<Vec<Execution>, DbError> {
    let mut found = Vec::new();
    for part in ids.chunks(1_000) {
        let mut sql = Sql::new(connection, "");
        select(&mut sql, now);
        let places = sql.places(part.iter().map(|id| id.0));
        sql.push(&format!(" WHERE x.id IN ({places})"));
        within(&mut sql, scope);
        sql.push(" ORDER BY x.started_at, x.id");
        found.extend(all(sql, connection, scope).await?);
    }
    Ok(found)
}

/// Those that an act has terminated, within the scope.
pub async fn of_act(
    connection: &impl ConnectionTrait,
    scope: Scope,
    act: Uuid,
    now: Timestamp,
) -> Result<Vec<Execution>, DbError> {
    let mut sql = Sql::new(connection, "");
    select(&mut sql, now);
    sql.push(" WHERE x.act_id = ").bind(act);
    within(&mut sql, scope);
    sql.push(" ORDER BY x.started_at, x.id");
    all(sql, connection, scope).await
}

/// One page, newest first; the total is exact.
pub async fn list(
    connection: &impl ConnectionTrait,
    scope: Scope,
    query: &ExecutionQuery,
    now: Timestamp,
) -> Result<Page<Execution>, DbError> {
    let mut counted = Sql::new(
        connection,
        "SELECT count(*) AS total FROM execution x WHERE true",
    );
    matching(&mut counted, scope, query, now);
    let total = match counted.one(connection).await? {
        Some(row) => natural(Row(&row).get("total")?),
        None => 0,
    };
    let mut sql = Sql::new(connection, "");
    select(&mut sql, now);
    sql.push(" WHERE true");
    matching(&mut sql, scope, query, now);
    let size = u64::from(query.page_size.get());
    sql.push(" ORDER BY x.started_at DESC, x.id DESC LIMIT ")
        .bind(size.cast_signed())
        .push(" OFFSET ")
        .bind((u64::from(query.page.get() - 1) * size).cast_signed());
    Ok(Page {
        items: all(sql, connection, scope).await?,
        total,
        total_is_exact: true,
        page: query.page.get(),
        page_size: query.page_size.get(),
        as_of: now,
    })
}

async fn all(
    sql: Sql,
    connection: &impl ConnectionTrait,
    scope: Scope,
) -> Result<Vec<Execution>, DbError> {
    let rows = sql.all(connection).await?;
    let rows = rows.iter().map(|row| Ok(read(&Row(row), scope)?.execution));
    Ok(rows.collect::<Result<_, DbErr>>()?)
}

/// Deletes executions that ended before `before`. Answers how many.
pub async fn purge(connection: &impl ConnectionTrait, before: Timestamp) -> Result<u64, DbError> {
    let mut sql = Sql::new(
        connection,
        "DELETE FROM execution WHERE ended_at IS NOT NULL AND started_at < ",
    );
    let before = sql.place(before.0);
    sql.push(&format!("{before} AND ended_at < {before}"));
    Ok(sql.run(connection).await?)
}

fn matching(sql: &mut Sql, scope: Scope, query: &ExecutionQuery, now: Timestamp) {
    within(sql, scope);
    for (column, id) in [
        ("user_id", query.user.map(|id| id.0)),
        ("by_session", query.session.map(|id| id.0)),
        ("client_id", query.client.map(|id| id.0)),
    ] {
        if let Some(id) = id {
            sql.push(&format!(" AND x.{column} = ")).bind(id);
        }
    }
    let Some(state) = query.state else { return };
    let at = sql.place(now.0);
    let running = running(sql.dialect(), "x", &at);
    match state {
        ExecutionState::Running => sql.push(&format!(" AND {running}")),
        ExecutionState::Terminated => sql.push(&format!(
            " AND (x.state = 'terminated' OR (x.ended_at IS NULL AND NOT {running}))"
        )),
        other => sql.push(" AND x.state = ").bind(other.as_str()),
    };
}

fn within(sql: &mut Sql, scope: Scope) {
    match scope {
        Scope::All => {}
        Scope::Organisation(organisation) => {
            sql.push(" AND x.organisation_id = ").bind(organisation.0);
        }
        // What somebody started for another is theirs to see, too.
        Scope::User(user) => {
            let user = sql.place(user.0);
            sql.push(&format!(
                " AND (x.user_id = {user} OR x.started_by = {user})"
            ));
        }
    }
}

fn select(sql: &mut Sql, now: Timestamp) {
    let at = sql.place(now.0);
    let running = running(sql.dialect(), "x", &at);
    sql.push(&format!(
        r#"SELECT x.id, x.user_id, x.organisation_id, x.started_by, x.by_session, x.client_id, x.artefact_id, x.artefact_kind,
            x.name, x.source, x.started_at, x.end_reason, x.ended_by,
            CASE WHEN x.ended_at IS NULL AND NOT {running} THEN 'terminated' ELSE x.state END AS state,
            CASE WHEN x.ended_at IS NULL AND NOT {running} THEN CAST({at} AS bigint) ELSE x.ended_at END AS ended_at,
            u.email, u.name AS user_name, u.service_account, o.name AS organisation_name,
            c.name AS client_name, c.session_id AS client_session,
            a.name AS actor_name, a.organisation_id AS actor_organisation
        FROM execution x JOIN "user" u ON u.id = x.user_id JOIN organisation o ON o.id = x.organisation_id
            LEFT JOIN client c ON c.id = x.client_id LEFT JOIN "user" a ON a.id = x.ended_by"#
    ));
}

fn read(row: &Row<'_>, scope: Scope) -> Result<FoundExecution, DbErr> {
    let organisation = row.uuid("organisation_id")?;
    let reason: Option<String> = row.get("end_reason")?;
    let client = match row.get::<Option<Uuid>>("client_id")? {
        Some(id) => row
            .get::<Option<String>>("client_name")?
            .map(|name| ClientRef {
                id: ClientId(id),
                name,
            }),
        None => None,
    };
    let ended_by = match row.get::<Option<Uuid>>("ended_by")? {
        None => None,
        Some(id) => {
            let own = row.get::<Option<Uuid>>("actor_organisation")? == Some(organisation);
            Some(if scope == Scope::All || own {
                Actor {
                    id: Some(UserId(id)),
                    name: row.get::<Option<String>>("actor_name")?.unwrap_or_default(),
                }
            } else {
                foreign_actor()
            })
        }
    };
    Ok(FoundExecution {
        started_by: UserId(row.uuid("started_by")?),
        client_session: row.get::<Option<Uuid>>("client_session")?.map(SessionId),
        execution: Execution {
            id: ExecutionId(row.uuid("id")?),
            artefact_id: row.get("artefact_id")?,
            artefact_kind: row.get("artefact_kind")?,
            name: row.get("name")?,
            source: row.word("source", ExecutionSource::from_name)?,
            user: UserRef {
                id: UserId(row.uuid("user_id")?),
                email: row.get("email")?,
                name: row.get("user_name")?,
                service_account: row.get("service_account")?,
            },
            organisation: OrganisationRef {
                id: OrganisationId(organisation),
                name: row.get("organisation_name")?,
            },
            session: row.get::<Option<Uuid>>("by_session")?.map(SessionId),
            client,
            state: row.word("state", ExecutionState::from_name)?,
            started_at: row.time("started_at")?,
            ended_at: row.get::<Option<i64>>("ended_at")?.map(Timestamp),
            ended_by,
            end_reason: reason.as_deref().and_then(EndReason::from_name),
        },
    })
}
