//! Lists of users: any page in any order, with search and filters, over tens of thousands of users.
//!
//! Open sessions are what the counters say, less what has ended without a stored end, so that a list never
//! disagrees with `state_at`. Deleted users are in no list.

use std::collections::HashMap;

use rollcall_core::{
    OrganisationId, OrganisationRef, Page, Rule, Timestamp, User, UserActs, UserFilter, UserId,
    UserQuery, UserSortKey, UserState,
};
use sea_orm::{ConnectionTrait, DbErr};
use uuid::Uuid;

use super::counters::natural;
use super::error::DbError;
use super::life;
use super::overtaken::Overtaken;
use super::policies;
use super::records::{ListedUser, UserRoles};
use super::roles;
use super::scope::Scope;
use super::search_text::fold;
use super::sql::{Row, Sql, unknown};

/// As of when, and after how long locks open by themselves where no policy says so.
#[derive(Clone, Copy, Debug)]
pub struct AsOf {
    /// Now.
    pub now: Timestamp,
    /// In seconds; 0 for never.
    pub unlock_after: u32,
}

impl AsOf {
    /// Whether the lock of `a` on the account of `u` still holds: what `Rule::UnlockAfter` says of the role, its organisation
    /// or everybody. Looked up for locked rows only, which are few.
    fn is_locked(self, sql: &mut Sql) -> String {
        let (rule, default) = (Rule::UnlockAfter, self.unlock_after);
        let seconds = policies::value_of(sql, rule, default, "u.organisation_id", "u.role_key");
        let now = sql.place(self.now.0);
        format!(
            "(a.locked_at IS NOT NULL AND CASE {seconds} WHEN 0 THEN true ELSE a.locked_at > CAST({now} AS bigint) - {seconds} * 1000000 END)"
        )
    }
}

/// How many sessions of `u` live, as SQL.
struct Open {
    /// Queries of their own, for `WITH`.
    with: String,
    /// What is joined to `u`.
    joins: String,
    /// The number.
    count: String,
}

impl Open {
    /// The counters know how many have no stored end. Of these `gone` live no more, usually next to none. Where an epoch has
    /// overtaken nearly all of an organisation, what was created since is counted instead.
    fn of(sql: &mut Sql, scope: Scope, overtaken: &Overtaken, as_of: AsOf, and: &str) -> Self {
        let gone = gone(sql, scope, overtaken, as_of.now, and);
        let mut open = Self {
            with: format!("WITH gone AS ({gone})"),
            joins: "LEFT JOIN session_owner so ON so.user_id = u.id AND so.organisation_id = u.organisation_id
                LEFT JOIN gone ON gone.user_id = u.id AND gone.organisation_id = u.organisation_id"
                .to_owned(),
            count: "(coalesce(so.active, 0) - coalesce(gone.sessions, 0))".to_owned(),
        };
        if let Some(overtakes) = overtaken.covers(sql, "u.organisation_id") {
            let spared = overtaken.spared(sql);
            open.with += &format!(
                ", since AS (
                    SELECT s.user_id AS user_id, s.organisation_id AS organisation_id, count(*) AS sessions
                    FROM session s WHERE s.number IN (SELECT number FROM ({spared}) spared) GROUP BY s.user_id, s.organisation_id
                )"
            );
            open.joins += " LEFT JOIN since ON since.user_id = u.id AND since.organisation_id = u.organisation_id";
            open.count = format!(
                "(CASE WHEN {overtakes} THEN coalesce(since.sessions, 0) ELSE coalesce(so.active, 0) END - coalesce(gone.sessions, 0))"
            );
        }
        open
    }
}

/// One page; the total is exact.
pub async fn list(
    connection: &impl ConnectionTrait,
    scope: Scope,
    query: &UserQuery,
    as_of: AsOf,
) -> Result<Page<ListedUser>, DbError> {
    let size = u64::from(query.page_size.get());
    let offset = u64::from(query.page.get() - 1) * size;
    let overtaken = Overtaken::read(connection, scope, as_of.now).await?;
    let total = count(connection, scope, query, &overtaken, as_of).await?;
    let mut sql = Sql::new(connection, "");
    let open = matching(&mut sql, scope, query, &overtaken, as_of, "u.id AS id");
    let direction = if query.sort.descending { " DESC" } else { "" };
    let order = match (query.sort.key, &open) {
        (UserSortKey::OpenSessions, Some(open)) => &open.count,
        (key, _) => order(key),
    };
    sql.push(&format!(
        " ORDER BY {order}{direction}, u.id{direction} LIMIT "
    ))
    .bind(size.cast_signed())
    .push(" OFFSET ")
    .bind(offset.cast_signed());
    let rows = sql.all(connection).await?;
    let ids = rows
        .iter()
        .map(|row| Row(row).uuid("id"))
        .collect::<Result<Vec<_>, DbErr>>()?;
    Ok(Page {
        items: read(connection, scope, &ids, &overtaken, as_of).await?,
        total,
        total_is_exact: true,
        page: query.page.get(),
        page_size: query.page_size.get(),
        as_of: as_of.now,
    })
}

async fn count(
    connection: &impl ConnectionTrait,
    scope: Scope,
    query: &UserQuery,
    overtaken: &Overtaken,
    as_of: AsOf,
) -> Result<u64, DbError> {
    let mut sql = Sql::new(connection, "");
    let only_active = UserFilter {
        active: Some(true),
        ..UserFilter::default()
    };
    if query.filter == only_active && overtaken.is_empty() {
        // Whoever moved or was deleted has no session that lives in that place.
        let gone = gone(&mut sql, scope, overtaken, as_of.now, "");
        sql.push(&format!(
            "WITH gone AS ({gone}) SELECT count(*) - (SELECT count(*) FROM gone JOIN session_owner x
                ON x.user_id = gone.user_id AND x.organisation_id = gone.organisation_id
                WHERE x.active > 0 AND x.active <= gone.sessions) AS total
            FROM session_owner u WHERE u.active > 0"
        ));
        match scope {
            Scope::All => {}
            Scope::Organisation(organisation) => {
                sql.push(" AND u.organisation_id = ").bind(organisation.0);
            }
            Scope::User(user) => {
                sql.push(" AND u.user_id = ").bind(user.0);
            }
        }
    } else {
        matching(
            &mut sql,
            scope,
            query,
            overtaken,
            as_of,
            "count(*) AS total",
        );
    }
    match sql.one(connection).await? {
        Some(row) => Ok(natural(Row(&row).get("total")?)),
        None => Ok(0),
    }
}

/// One user within the scope; deleted ones are not found.
pub async fn find(
    connection: &impl ConnectionTrait,
    scope: Scope,
    id: UserId,
    as_of: AsOf,
) -> Result<Option<ListedUser>, DbError> {
    let overtaken = Overtaken::read(connection, scope, as_of.now).await?;
    let mut found = read(connection, scope, &[id.0], &overtaken, as_of).await?;
    Ok(found.pop())
}

/// The roles of a user.
pub async fn roles_of(
    connection: &impl ConnectionTrait,
    id: UserId,
) -> Result<Option<UserRoles>, DbError> {
    Ok(roles::of_users(connection, &[id.0]).await?.remove(&id.0))
}

fn order(key: UserSortKey) -> &'static str {
    match key {
        UserSortKey::Name => "u.name_key",
        UserSortKey::Email => "u.email",
        UserSortKey::Role => "r.name",
        UserSortKey::Organisation => "o.name",
        UserSortKey::State => "CASE WHEN u.enabled THEN 0 ELSE 1 END",
        UserSortKey::CreatedAt => "u.created_at",
        UserSortKey::LastSignInAt => "coalesce(u.last_sign_in_at, 0)",
        // Where they are counted, `Open` says it.
        UserSortKey::OpenSessions => "0",
        UserSortKey::LockedAt => {
            "coalesce((SELECT a.locked_at FROM sign_in_attempt a WHERE a.name = u.email), 0)"
        }
    }
}

// Answers how open sessions are counted, where they are.
fn matching(
    sql: &mut Sql,
    scope: Scope,
    query: &UserQuery,
    overtaken: &Overtaken,
    as_of: AsOf,
    columns: &str,
) -> Option<Open> {
    let dialect = sql.dialect();
    let UserFilter {
        search,
        role,
        organisation,
        state,
        active,
        service_account,
    } = &query.filter;
    // Joins cost, so each is there only where something asks for it.
    let counts = columns.starts_with("count");
    let by = |key| !counts && query.sort.key == key;
    let opens = active.is_some() || by(UserSortKey::OpenSessions);
    let open = opens.then(|| Open::of(sql, scope, overtaken, as_of, ""));
    if let Some(open) = &open {
        sql.push(&open.with).push(" ");
    }
    let index = match (scope, organisation) {
        (Scope::Organisation(_), _) | (_, Some(_)) => "user_list_of_organisation",
        _ => "user_list",
    };
    sql.push(&format!(
        r#"SELECT {columns} FROM "user" u{}"#,
        dialect.by(index)
    ));
    if let Some(open) = &open {
        sql.push(" ").push(&open.joins);
    }
    if by(UserSortKey::Role) {
        sql.push(" LEFT JOIN role r ON r.key = u.role_key");
    }
    if by(UserSortKey::Organisation) {
        sql.push(" LEFT JOIN organisation o ON o.id = u.organisation_id");
    }
    sql.push(" WHERE u.deleted_at IS NULL");
    within(sql, scope);
    let needle = fold(search.trim());
    if !needle.is_empty() {
        sql.push(&format!(" AND {}(u.search_text, ", dialect.position()))
            .bind(needle)
            .push(") > 0");
    }
    if let Some(role) = role {
        let place = sql.place(role.0.clone());
        sql.push(&format!(
            " AND (u.role_key = {place} OR u.id IN (SELECT k.user_id FROM user_role k WHERE k.role_key = {place}))"
        ));
    }
    if let Some(organisation) = organisation {
        sql.push(" AND u.organisation_id = ").bind(organisation.0);
    }
    // Those with a lock are found first, and each is asked whether it still holds.
    let locked = |sql: &mut Sql, not: &str| {
        let with_lock = format!(
            "u.email IN (SELECT l.name FROM sign_in_attempt l{} WHERE l.locked_at IS NOT NULL)",
            dialect.by("sign_in_attempt_locked")
        );
        let holds = as_of.is_locked(sql);
        sql.push(&format!(
            " AND {not}({with_lock} AND EXISTS (SELECT 1 FROM sign_in_attempt a WHERE a.name = u.email AND {holds}))"
        ));
    };
    match state {
        None => {}
        Some(UserState::Disabled) => {
            sql.push(" AND NOT u.enabled");
        }
        Some(UserState::Locked) => locked(sql, ""),
        Some(UserState::Enabled) => {
            sql.push(" AND u.enabled");
            locked(sql, "NOT ");
        }
    }
    if let (Some(active), Some(open)) = (active, &open) {
        let compared = if *active { ">" } else { "<=" };
        sql.push(&format!(" AND {} {compared} 0", open.count));
    }
    if let Some(service_account) = service_account {
        sql.push(" AND u.service_account = ").bind(*service_account);
    }
    open
}

fn within(sql: &mut Sql, scope: Scope) {
    match scope {
        Scope::All => {}
        Scope::Organisation(organisation) => {
            sql.push(" AND u.organisation_id = ").bind(organisation.0);
        }
        Scope::User(user) => {
            sql.push(" AND u.id = ").bind(user.0);
        }
    }
}

// Per user and organisation: sessions without a stored end that live no more, but for what was overtaken. Usually next
// to none.
fn gone(sql: &mut Sql, scope: Scope, overtaken: &Overtaken, now: Timestamp, and: &str) -> String {
    const OWNER: &str = "s.user_id AS user_id, s.organisation_id AS organisation_id";
    let at = sql.place(now.0);
    let within = match scope {
        Scope::All => String::new(),
        Scope::Organisation(organisation) => {
            format!(" AND s.organisation_id = {}", sql.place(organisation.0))
        }
        Scope::User(user) => format!(" AND s.user_id = {}", sql.place(user.0)),
    };
    let and = format!("{within}{and}");
    let (rows, left) = match scope {
        // What a user has is looked at row by row.
        Scope::User(_) => (life::gone(sql.dialect(), OWNER, &at, &and), ""),
        _ => {
            let select = format!("{OWNER}, {} AS overtaken_at", overtaken.at(sql));
            let rows = life::collected(sql, overtaken, &select, &at, &and);
            (rows, "WHERE e.overtaken_at IS NULL")
        }
    };
    format!(
        "SELECT e.user_id AS user_id, e.organisation_id AS organisation_id, count(*) AS sessions
        FROM ({rows}) e {left} GROUP BY e.user_id, e.organisation_id"
    )
}

/// The users with these ids that the scope lets through, in the order of the ids.
async fn read(
    connection: &impl ConnectionTrait,
    scope: Scope,
    ids: &[Uuid],
    overtaken: &Overtaken,
    as_of: AsOf,
) -> Result<Vec<ListedUser>, DbError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut roles = roles::of_users(connection, ids).await?;
    let mut sql = Sql::new(connection, "");
    let places: Vec<_> = ids.iter().map(|id| sql.place(*id)).collect();
    let places = places.join(", ");
    let holds = as_of.is_locked(&mut sql);
    let of_these = format!(" AND s.user_id IN ({places})");
    let Open { with, joins, count } = Open::of(&mut sql, scope, overtaken, as_of, &of_these);
    sql.push(&format!(
        r#"{with} SELECT u.id, u.email, u.name, u.service_account, u.organisation_id, u.enabled, u.password_change_required,
            u.created_at, u.last_sign_in_at, o.name AS organisation_name, a.locked_at,
            CAST({count} AS bigint) AS open_sessions
        FROM "user" u JOIN organisation o ON o.id = u.organisation_id
        {joins}
        LEFT JOIN sign_in_attempt a ON a.name = u.email AND {holds}
        WHERE u.deleted_at IS NULL AND u.id IN ({places})"#
    ));
    within(&mut sql, scope);
    let mut found = HashMap::with_capacity(ids.len());
    for row in sql.all(connection).await? {
        let row = Row(&row);
        let id = row.uuid("id")?;
        let roles = roles.remove(&id).ok_or_else(|| unknown("role_key"))?;
        found.insert(id, user(&row, &roles)?);
    }
    Ok(ids.iter().filter_map(|id| found.remove(id)).collect())
}

fn user(row: &Row<'_>, roles: &UserRoles) -> Result<ListedUser, DbErr> {
    let user = User {
        id: UserId(row.uuid("id")?),
        email: row.get("email")?,
        name: row.get("name")?,
        service_account: row.get("service_account")?,
        organisation: OrganisationRef {
            id: OrganisationId(row.uuid("organisation_id")?),
            name: row.get("organisation_name")?,
        },
        role: roles.primary.named(),
        roles: roles.secondary.iter().map(|role| role.named()).collect(),
        enabled: row.get("enabled")?,
        locked_at: row.get::<Option<i64>>("locked_at")?.map(Timestamp),
        password_change_required: row.get("password_change_required")?,
        created_at: row.time("created_at")?,
        last_sign_in_at: row.get::<Option<i64>>("last_sign_in_at")?.map(Timestamp),
        open_sessions: natural(row.get("open_sessions")?),
        may: UserActs::default(),
    };
    Ok(ListedUser {
        user,
        rights: roles.rights(),
    })
}
