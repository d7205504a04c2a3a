//! Registered clients. Whether one is there is what its session says, as long as that lives.

use rollcall_core::clients::{LOST_AFTER, MOST_CLIENTS};
use rollcall_core::{
    Actor, ApiKeyId, Client, ClientId, ClientQuery, ClientSortKey, ClientState, EndReason, Ended,
    Error, Field, OrganisationId, OrganisationRef, Page, Problem, SessionId, Timestamp, UserId,
    UserRef,
};
use sea_orm::{ConnectionTrait, DbErr};
use uuid::Uuid;

use super::counters::natural;
use super::error::DbError;
use super::life;
use super::records::foreign_actor;
use super::scope::Scope;
use super::search_text::fold;
use super::sql::{Dialect, Row, Sql};

/// What a session or an execution was begun with, and hangs on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Parent {
    /// A session.
    Session(SessionId),
    /// An API key.
    Key(ApiKeyId),
}

impl Parent {
    /// The columns `by_session` and `by_key`.
    pub(super) fn columns(self) -> (Option<Uuid>, Option<Uuid>) {
        match self {
            Self::Session(id) => (Some(id.0), None),
            Self::Key(id) => (None, Some(id.0)),
        }
    }

    /// Keeps it as it is until the transaction ends. False if it does not live: what hangs on it would outlive it.
    pub async fn hold(
        self,
        connection: &impl ConnectionTrait,
        now: Timestamp,
    ) -> Result<bool, DbError> {
        let dialect = Dialect::of(connection);
        let mut sql = Sql::new(connection, "SELECT 1 AS one FROM ");
        match self {
            Self::Session(id) => {
                sql.push("session s WHERE s.id = ").bind(id.0).push(" AND ");
                let at = sql.place(now.0);
                sql.push(&life::live(dialect, "s", &at));
                if dialect == Dialect::Postgres {
                    sql.push(" FOR SHARE OF s");
                }
            }
            Self::Key(id) => {
                sql.push("api_key k WHERE k.revoked_at IS NULL AND k.id = ")
                    .bind(id.0)
                    .push(" AND k.expires_at > ")
                    .bind(now.0);
                if dialect == Dialect::Postgres {
                    sql.push(" FOR SHARE OF k");
                }
            }
        }
        Ok(sql.one(connection).await?.is_some())
    }
}

/// A client to be stored.
#[derive(Clone, Debug)]
pub struct NewClient {
    /// Its id.
    pub id: ClientId,
    /// Whose it is.
    pub user: UserId,
    /// The owner's organisation.
    pub organisation: OrganisationId,
    /// Its session, which is stored with it.
    pub session: SessionId,
    /// What registered it.
    pub parent: Parent,
    /// What it calls itself.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The machine that it runs on.
    pub host: String,
    /// Where it registered from.
    pub ip: String,
    /// When.
    pub at: Timestamp,
}

/// Stores a registration. `TooMany` where its owner has as many live ones as there may be.
pub async fn create(connection: &impl ConnectionTrait, new: &NewClient) -> Result<(), DbError> {
    let (by_session, by_key) = new.parent.columns();
    let mut sql = Sql::new(
        connection,
        "INSERT INTO client (id, user_id, organisation_id, session_id, by_session, by_key, name, version, host, ip,
            search_text, registered_at, last_heartbeat_at) SELECT ",
    );
    sql.bind(new.id.0).push(", ");
    let owner = sql.place(new.user.0);
    sql.push(&format!("{owner}, "))
        .bind(new.organisation.0)
        .push(", ")
        .bind(new.session.0)
        .push(", ")
        .bind(by_session)
        .push(", ")
        .bind(by_key);
    for text in [
        &new.name,
        &new.version,
        &new.host,
        &new.ip,
        &search_text(new),
    ] {
        sql.push(", ").bind(text.clone());
    }
    let at = sql.place(new.at.0);
    sql.push(&format!(
        ", CAST({at} AS bigint), CAST({at} AS bigint)
        WHERE (SELECT count(*) FROM client c WHERE c.user_id = {owner} AND c.ended_at IS NULL) < {MOST_CLIENTS}"
    ));
    match sql.run(connection).await? {
        1 => Ok(()),
        _ => Err(DbError::Refused(Error::Invalid(
            Field::Client,
            Problem::TooMany(MOST_CLIENTS),
        ))),
    }
}

fn search_text(new: &NewClient) -> String {
    fold(&format!("{}\n{}\n{}", new.name, new.host, new.ip))
}

/// Gives a registration of this user another session, and takes what hung on the old one along. The old session, which
/// is answered, has to be ended by the caller, as one on which nothing hangs. `None` if the client is not connected.
pub async fn move_on(
    connection: &impl ConnectionTrait,
    old: ClientId,
    new: &NewClient,
) -> Result<Option<SessionId>, DbError> {
    let mut held = Sql::new(
        connection,
        "SELECT c.session_id FROM client c WHERE c.ended_at IS NULL AND c.removed_at IS NULL AND c.id = ",
    );
    held.bind(old.0).push(" AND c.user_id = ").bind(new.user.0);
    if held.dialect() == Dialect::Postgres {
        held.push(" FOR NO KEY UPDATE");
    }
    let Some(row) = held.one(connection).await? else {
        return Ok(None);
    };
    let session = SessionId(Row(&row).uuid("session_id")?);
    if !Parent::Session(session).hold(connection, new.at).await? {
        return Ok(None);
    }
    let (by_session, by_key) = new.parent.columns();
    let mut sql = Sql::new(connection, "UPDATE client SET session_id = ");
    sql.bind(new.session.0)
        .push(", by_session = ")
        .bind(by_session)
        .push(", by_key = ")
        .bind(by_key);
    for (column, text) in [
        ("name", &new.name),
        ("version", &new.version),
        ("host", &new.host),
        ("ip", &new.ip),
        ("search_text", &search_text(new)),
    ] {
        sql.push(&format!(", {column} = ")).bind(text.clone());
    }
    sql.push(", registered_at = ")
        .bind(new.at.0)
        .push(" WHERE id = ")
        .bind(old.0);
    sql.run(connection).await?;
    let mut sql = Sql::new(connection, "UPDATE execution SET by_session = ");
    sql.bind(new.session.0)
        .push(" WHERE ended_at IS NULL AND by_session = ")
        .bind(session.0);
    sql.run(connection).await?;
    Ok(Some(session))
}

/// A client, its session and the hash of that session's lineage.
#[derive(Clone, Debug)]
pub struct FoundClient {
    /// The client.
    pub client: Client,
    /// SHA-256 of the lineage of its session, if that is still stored.
    pub lineage_hash: Option<[u8; 32]>,
}

/// One client within the scope; removed ones are not found.
pub async fn find(
    connection: &impl ConnectionTrait,
    scope: Scope,
    id: ClientId,
    now: Timestamp,
) -> Result<Option<FoundClient>, DbError> {
    let mut sql = Sql::new(connection, "");
    let at = sql.place(now.0);
    select(&mut sql, &at, "");
    sql.push(" WHERE c.removed_at IS NULL AND c.id = ")
        .bind(id.0);
    within(&mut sql, scope);
    let row = sql.one(connection).await?;
    Ok(row.map(|row| read(&Row(&row), scope)).transpose()?)
}

/// The client with this session.
pub async fn find_by_session(
    connection: &impl ConnectionTrait,
    session: SessionId,
) -> Result<Option<ClientId>, DbError> {
    let mut sql = Sql::new(
        connection,
        "SELECT c.id FROM client c WHERE c.session_id = ",
    );
    sql.bind(session.0);
    let row = sql.one(connection).await?;
    Ok(row
        .map(|row| Row(&row).uuid("id").map(ClientId))
        .transpose()?)
}

/// One page; the total is exact.
pub async fn list(
    connection: &impl ConnectionTrait,
    scope: Scope,
    query: &ClientQuery,
    now: Timestamp,
) -> Result<Page<Client>, DbError> {
    let mut counted = Sql::new(connection, "SELECT count(*) AS total FROM (");
    let at = counted.place(now.0);
    select(&mut counted, &at, "");
    matching(&mut counted, scope, query);
    counted.push(") m");
    if let Some(state) = query.state {
        counted.push(" WHERE m.state = ").bind(rank(state));
    }
    let total = match counted.one(connection).await? {
        Some(row) => natural(Row(&row).get("total")?),
        None => 0,
    };
    let mut sql = Sql::new(connection, "SELECT * FROM (");
    let at = sql.place(now.0);
    select(&mut sql, &at, ", c.search_text");
    matching(&mut sql, scope, query);
    sql.push(") m");
    if let Some(state) = query.state {
        sql.push(" WHERE m.state = ").bind(rank(state));
    }
    let direction = if query.sort.descending { " DESC" } else { "" };
    let order = match query.sort.key {
        // The newest change comes first, whichever way the states go.
        ClientSortKey::State => format!("m.state{direction}, m.since DESC"),
        ClientSortKey::Name => format!("m.search_text{direction}"),
        ClientSortKey::User => format!("m.email{direction}"),
        ClientSortKey::Ip => format!("m.ip{direction}"),
        ClientSortKey::Version => format!("m.version{direction}"),
        ClientSortKey::RegisteredAt => format!("m.registered_at{direction}"),
        ClientSortKey::LastHeartbeatAt => format!("m.heartbeat{direction}"),
    };
    let size = u64::from(query.page_size.get());
    sql.push(&format!(" ORDER BY {order}, m.id{direction} LIMIT "))
        .bind(size.cast_signed())
        .push(" OFFSET ")
        .bind((u64::from(query.page.get() - 1) * size).cast_signed());
    let rows = sql.all(connection).await?;
    let mut items = rows
        .iter()
        .map(|row| Ok(read(&Row(row), scope)?.client))
        .collect::<Result<Vec<_>, DbErr>>()?;
    count_running(connection, &mut items, now).await?;
    Ok(Page {
        items,
        total,
        total_is_exact: true,
        page: query.page.get(),
        page_size: query.page_size.get(),
        as_of: now,
    })
}

/// Marks a registration as removed. False if it was.
pub async fn remove(
    connection: &impl ConnectionTrait,
    id: ClientId,
    now: Timestamp,
) -> Result<bool, DbError> {
    let mut sql = Sql::new(connection, "UPDATE client SET removed_at = ");
    sql.bind(now.0)
        .push(" WHERE removed_at IS NULL AND ended_at IS NOT NULL AND id = ")
        .bind(id.0);
    Ok(sql.run(connection).await? == 1)
}

/// Deletes registrations that ended before `before`. Answers how many.
pub async fn purge(connection: &impl ConnectionTrait, before: Timestamp) -> Result<u64, DbError> {
    let mut sql = Sql::new(
        connection,
        "DELETE FROM client WHERE ended_at IS NOT NULL AND ended_at < ",
    );
    sql.bind(before.0);
    Ok(sql.run(connection).await?)
}

/// Writes down how many executions run on each.
pub async fn count_running(
    connection: &impl ConnectionTrait,
    clients: &mut [Client],
    now: Timestamp,
) -> Result<(), DbError> {
    if clients.is_empty() {
        return Ok(());
    }
    let mut sql = Sql::new(
        connection,
        "SELECT x.client_id, count(*) AS running FROM execution x WHERE x.client_id IN (",
    );
    let places = sql.places(clients.iter().map(|client| client.id.0));
    let at = sql.place(now.0);
    let running = super::executions::running(Dialect::of(connection), "x", &at);
    sql.push(&format!("{places}) AND {running} GROUP BY x.client_id"));
    for row in sql.all(connection).await? {
        let row = Row(&row);
        let id = ClientId(row.uuid("client_id")?);
        if let Some(client) = clients.iter_mut().find(|client| client.id == id) {
            client.running_executions = natural(row.get("running")?);
        }
    }
    Ok(())
}

const fn rank(state: ClientState) -> i64 {
    match state {
        ClientState::Connected => 1,
        ClientState::Lost => 2,
        ClientState::Disconnected => 3,
    }
}

// The rows with their state as of `now`: what a session says that has no stored end, else what was stored.
fn select(sql: &mut Sql, now: &str, more: &str) {
    let dialect = sql.dialect();
    let live = life::live(dialect, "s", now);
    let gone = life::gone_at(dialect, now);
    let lost = i64::try_from(LOST_AFTER.as_micros()).unwrap_or(i64::MAX);
    sql.push(&format!(
        r#"SELECT c.id AS id, c.name AS name, c.version AS version, c.host AS host, c.ip AS ip, c.session_id AS session_id,
            c.registered_at AS registered_at, c.user_id AS user_id, c.organisation_id AS organisation_id,
            u.email AS email, u.name AS user_name, u.service_account AS service_account, o.name AS organisation_name,
            s.lineage_hash AS lineage_hash, coalesce(s.last_activity_at, c.last_heartbeat_at) AS heartbeat,
            CASE WHEN c.ended_at IS NOT NULL OR s.id IS NULL THEN 3 WHEN NOT {live} THEN 3
                WHEN s.last_activity_at + {lost} <= {now} THEN 2 ELSE 1 END AS state,
            CASE WHEN c.ended_at IS NOT NULL THEN c.ended_at WHEN s.ended_at IS NOT NULL THEN s.ended_at
                WHEN s.id IS NULL THEN c.last_heartbeat_at WHEN NOT {live} THEN {gone}
                WHEN s.last_activity_at + {lost} <= {now} THEN s.last_activity_at + {lost} ELSE s.created_at END AS since,
            coalesce(c.end_reason, s.end_reason, CASE WHEN u.ended_before >= s.created_at THEN u.ended_before_reason END,
                CASE WHEN o.ended_before >= s.created_at THEN o.ended_before_reason END,
                CASE WHEN i.ended_before >= s.created_at THEN i.ended_before_reason END) AS end_reason, coalesce(c.ended_by, s.ended_by) AS ended_by,
            a.name AS actor_name, a.organisation_id AS actor_organisation, s.end_note AS end_note,
            CASE WHEN s.absolute_expires_at <= {now} THEN 1 ELSE 0 END AS too_old{more}
        FROM client c JOIN "user" u ON u.id = c.user_id JOIN organisation o ON o.id = c.organisation_id
            JOIN installation i ON i.id = 1
            LEFT JOIN session s ON s.id = c.session_id LEFT JOIN "user" a ON a.id = coalesce(c.ended_by, s.ended_by)"#
    ));
}

fn matching(sql: &mut Sql, scope: Scope, query: &ClientQuery) {
    sql.push(" WHERE c.removed_at IS NULL");
    within(sql, scope);
    if let Some(organisation) = query.organisation {
        sql.push(" AND c.organisation_id = ").bind(organisation.0);
    }
    if let Some(user) = query.user {
        sql.push(" AND c.user_id = ").bind(user.0);
    }
    let needle = fold(query.search.trim());
    if !needle.is_empty() {
        let position = sql.dialect().position();
        let needle = sql.place(needle);
        sql.push(&format!(
            " AND ({position}(c.search_text, {needle}) > 0 OR {position}(lower(u.email), {needle}) > 0)"
        ));
    }
}

fn within(sql: &mut Sql, scope: Scope) {
    match scope {
        Scope::All => {}
        Scope::Organisation(organisation) => {
            sql.push(" AND c.organisation_id = ").bind(organisation.0);
        }
        Scope::User(user) => {
            sql.push(" AND c.user_id = ").bind(user.0);
        }
    }
}

fn read(row: &Row<'_>, scope: Scope) -> Result<FoundClient, DbErr> {
    let organisation = row.uuid("organisation_id")?;
    let since = row.time("since")?;
    let state = match row.get::<i32>("state")? {
        1 => ClientState::Connected,
        2 => ClientState::Lost,
        _ => ClientState::Disconnected,
    };
    let ended = match state {
        ClientState::Disconnected => Some(Ended {
            reason: reason(row)?,
            at: since,
            by: actor(row, scope, organisation)?,
            note: row.get("end_note")?,
        }),
        _ => None,
    };
    let lineage: Option<Vec<u8>> = row.get("lineage_hash")?;
    Ok(FoundClient {
        lineage_hash: lineage.map(super::sql::hash).transpose()?,
        client: Client {
            id: ClientId(row.uuid("id")?),
            name: row.get("name")?,
            version: row.get("version")?,
            host: row.get("host")?,
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
            ip: row.get("ip")?,
            state,
            since,
            ended,
            session: SessionId(row.uuid("session_id")?),
            registered_at: row.time("registered_at")?,
            last_heartbeat_at: row.time("heartbeat")?,
            running_executions: 0,
        },
    })
}

// Where nobody has ended it, the clock has.
fn reason(row: &Row<'_>) -> Result<EndReason, DbErr> {
    let stored: Option<String> = row.get("end_reason")?;
    let told = stored.as_deref().and_then(EndReason::from_name);
    let timeout = match row.get::<i32>("too_old")? {
        1 => EndReason::AbsoluteTimeout,
        _ => EndReason::IdleTimeout,
    };
    Ok(told.unwrap_or(timeout))
}

fn actor(row: &Row<'_>, scope: Scope, organisation: Uuid) -> Result<Option<Actor>, DbErr> {
    let Some(id) = row.get::<Option<Uuid>>("ended_by")? else {
        return Ok(None);
    };
    let own = row.get::<Option<Uuid>>("actor_organisation")? == Some(organisation);
    if scope != Scope::All && !own {
        return Ok(Some(foreign_actor()));
    }
    Ok(Some(Actor {
        id: Some(UserId(id)),
        name: row.get::<Option<String>>("actor_name")?.unwrap_or_default(),
    }))
}
