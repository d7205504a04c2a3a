//! The statements that find the ids of a page, in order.
//!
//! Two ways lead to a page. A *walk* goes along indexes in the order of the list and tests each row; it
//! reads little where matching rows are frequent. A *sort* takes all rows of a smaller set and sorts
//! those; it reads little where the set is small. Which one is `plan`'s to say.
//!
//! Two orders depend on whether a row lives: *state* (living rows, then ended ones, the newest first in
//! both) and *duration* (that of a living row grows: the longest is the oldest). Rows that have ended
//! but are not stored as such, usually none, are found apart.

use rollcall_core::{SessionId, SessionSort, SortKey, State, Timestamp, UserId};
use sea_orm::ConnectionTrait;
use uuid::Uuid;

use super::Wanted;
use super::conditions::row_tests;
use super::search;
use super::walk::{column, listed_numbers};
use crate::db::error::DbError;
use crate::db::life;
use crate::db::scope::Scope;
use crate::db::search_text::letters;
use crate::db::sql::{Dialect, Row, Sql};

/// Which part of the rows a walk goes along.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Part {
    /// All that match, tested for their state row by row.
    All,
    /// Those that live.
    Live,
    /// Those that do not.
    Ended,
}

/// Which rows a sort begins with.
#[derive(Debug)]
pub(super) enum Set<'a> {
    /// Everything.
    All,
    /// The rows of the scope.
    Scope,
    /// The rows without a stored end.
    Unended,
    /// The rows of the scope that were created later than this: all that can live where the rest was overtaken.
    Since(i64),
    /// The rows with an end, stored or not.
    Ended,
    /// The rows with these numbers, which fulfil every condition.
    Numbers(&'a str),
}

/// A stretch of an ordered list.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stretch {
    pub(super) offset: u64,
    pub(super) rows: u64,
}

/// The conditions on a row `s`, without the search and without the state.
pub(super) fn conditions(sql: &mut Sql, wanted: &Wanted<'_>) -> String {
    scope_condition(sql, wanted.scope) + &kind_condition(sql, wanted)
}

pub(super) fn scope_condition(sql: &mut Sql, scope: Scope) -> String {
    match scope {
        Scope::All => "true".to_owned(),
        Scope::Organisation(organisation) => {
            format!("s.organisation_id = {}", sql.place(organisation.0))
        }
        Scope::User(user) => format!("s.user_id = {}", sql.place(user.0)),
    }
}

pub(super) fn kind_condition(sql: &mut Sql, wanted: &Wanted<'_>) -> String {
    match wanted.filter.kind {
        None => String::new(),
        Some(kind) => format!(" AND s.kind = {}", sql.place(kind.as_str())),
    }
}

pub(super) fn state_condition(dialect: Dialect, state: Option<State>, now: &str) -> String {
    match state {
        None => String::new(),
        Some(State::Active) => format!(" AND {}", life::live(dialect, "s", now)),
        Some(State::Ended) => format!(" AND NOT {}", life::live(dialect, "s", now)),
    }
}

pub(super) fn search_condition(dialect: Dialect, sql: &mut Sql, wanted: &Wanted<'_>) -> String {
    match &wanted.needle {
        None => String::new(),
        Some(needle) => {
            let place = sql.place(needle.clone());
            format!(" AND {}", search::test(dialect, &place))
        }
    }
}

/// `search_condition` for a row of `Dialect::entry`.
pub(super) fn entry_search_condition(
    dialect: Dialect,
    sql: &mut Sql,
    wanted: &Wanted<'_>,
    search: &str,
) -> String {
    match (&wanted.needle, dialect) {
        (Some(needle), Dialect::Postgres) => {
            let place = sql.place(letters(needle));
            format!(" AND {}", search::test_entry(&place))
        }
        _ => search.to_owned(),
    }
}

pub(super) fn indexed(dialect: Dialect, index: &str) -> String {
    format!("session s{}", dialect.by(index))
}

pub(super) fn word(descending: bool) -> &'static str {
    if descending { "DESC" } else { "ASC" }
}

/// Sorts a set and answers a stretch of it.
pub(super) async fn sort(
    connection: &impl ConnectionTrait,
    wanted: &Wanted<'_>,
    sort: SessionSort,
    set: Set<'_>,
    stretch: Stretch,
) -> Result<Vec<Uuid>, DbError> {
    let dialect = Dialect::of(connection);
    let mut sql = Sql::new(connection, "SELECT s.id AS id FROM ");
    let now = sql.place(wanted.now.0);
    let joins = if sort.key == SortKey::Duration {
        life::joins(dialect)
    } else {
        String::new()
    };
    let from = from_set(dialect, &mut sql, wanted, &set, &now, &joins);
    let direction = word(sort.descending);
    let order = match sort.key {
        SortKey::State => format!(
            "CASE WHEN {} THEN 0 ELSE 1 END {direction}, s.created_at DESC, s.id DESC",
            life::live(dialect, "s", &now)
        ),
        SortKey::Duration => format!(
            "CASE WHEN s.ended_at IS NOT NULL THEN s.ended_at ELSE {least}({gone}, {now}) END - s.created_at {direction},
             s.id {direction}",
            least = dialect.least(),
            gone = life::gone_at(dialect, &now),
        ),
        key => format!("s.{} {direction}, s.id {direction}", column(key)),
    };
    sql.push(&format!("{from} ORDER BY {order} LIMIT "))
        .bind(stretch.rows.cast_signed())
        .push(" OFFSET ")
        .bind(stretch.offset.cast_signed());
    read(sql, connection).await
}

/// `session s … WHERE …` for everything that is wanted, beginning with a set.
fn from_set(
    dialect: Dialect,
    sql: &mut Sql,
    wanted: &Wanted<'_>,
    set: &Set<'_>,
    now: &str,
    joins: &str,
) -> String {
    let (source, found) = match set {
        Set::All => ("session s".to_owned(), None),
        Set::Scope => match wanted.scope {
            Scope::All => ("session s".to_owned(), None),
            Scope::Organisation(_) => (indexed(dialect, "session_by_organisation"), None),
            Scope::User(_) => (indexed(dialect, "session_by_user"), None),
        },
        Set::Unended => (indexed(dialect, "session_live_by_created"), None),
        Set::Since(created) => {
            let index = match wanted.scope {
                Scope::All => "session_live_by_created",
                Scope::Organisation(_) => "session_by_organisation",
                Scope::User(_) => "session_by_user",
            };
            let later = format!("s.created_at > {}", sql.place(*created));
            (indexed(dialect, index), Some(later))
        }
        Set::Ended => (
            indexed(dialect, "session_id_unique"),
            Some(format!(
                "s.id IN (SELECT id FROM session WHERE ended_at IS NOT NULL UNION ALL {})",
                life::gone(dialect, "s.id", now, "")
            )),
        ),
        Set::Numbers(numbers) => {
            let place = sql.place((*numbers).to_owned());
            let listed = listed_numbers(dialect, &place);
            return format!("session s {joins} WHERE {listed}");
        }
    };
    let all = all_conditions(dialect, sql, wanted, now);
    let found = found.map_or(String::new(), |found| format!("{found} AND "));
    format!("{source} {joins} WHERE {found}{all}")
}

/// Everything that is wanted of a row `s` of `session`.
pub(super) fn all_conditions(
    dialect: Dialect,
    sql: &mut Sql,
    wanted: &Wanted<'_>,
    now: &str,
) -> String {
    let base = conditions(sql, wanted);
    let state = state_condition(dialect, wanted.filter.state, now);
    let search = search_condition(dialect, sql, wanted);
    let more = row_tests(sql, wanted, "s.number");
    format!("{base}{state}{search}{more}")
}

/// How many of a set match, counting up to `stop`.
pub(super) async fn count(
    connection: &impl ConnectionTrait,
    wanted: &Wanted<'_>,
    set: Set<'_>,
    stop: Option<u64>,
) -> Result<u64, DbError> {
    let dialect = Dialect::of(connection);
    let mut sql = Sql::new(
        connection,
        "SELECT count(*) AS found FROM (SELECT 1 AS one FROM ",
    );
    let now = sql.place(wanted.now.0);
    let from = from_set(dialect, &mut sql, wanted, &set, &now, "");
    sql.push(&from);
    if let Some(stop) = stop {
        sql.push(" LIMIT ").bind(stop.cast_signed());
    }
    sql.push(") c");
    match sql.one(connection).await? {
        Some(row) => Ok(Row(&row).get::<i64>("found")?.cast_unsigned()),
        None => Ok(0),
    }
}

/// The ids after a row, newest first.
pub(super) async fn after(
    connection: &impl ConnectionTrait,
    scope: Scope,
    after: Option<(Timestamp, SessionId)>,
    limit: u64,
) -> Result<Vec<Uuid>, DbError> {
    let dialect = Dialect::of(connection);
    let mut sql = Sql::new(connection, "SELECT s.id AS id FROM ");
    newest_after(dialect, &mut sql, scope, after, limit);
    read(sql, connection).await
}

fn newest_after(
    dialect: Dialect,
    sql: &mut Sql,
    scope: Scope,
    after: Option<(Timestamp, SessionId)>,
    limit: u64,
) {
    let (rows, column, value) = match scope {
        Scope::All => (
            format!("{} s{}", dialect.entry(), dialect.by("session_by_created")),
            "",
            None,
        ),
        Scope::Organisation(organisation) => (
            indexed(dialect, "session_by_organisation"),
            "s.organisation_id",
            Some(organisation.0),
        ),
        Scope::User(user) => (
            indexed(dialect, "session_by_user"),
            "s.user_id",
            Some(user.0),
        ),
    };
    sql.push(&rows).push(" WHERE true");
    if let Some(value) = value {
        sql.push(&format!(" AND {column} = ")).bind(value);
    }
    if let Some((at, id)) = after {
        sql.push(" AND (s.created_at, s.id) < (")
            .bind(at.0)
            .push(", ")
            .bind(id.0)
            .push(")");
    }
    sql.push(" ORDER BY s.created_at DESC, s.id DESC LIMIT ")
        .bind(limit.cast_signed());
}

/// The next rows of the scope after a row, newest first, and whether each is wanted. At most `tested` rows are
/// looked at, so that a rare word costs no statement that goes through everything.
pub(super) async fn matching_after(
    connection: &impl ConnectionTrait,
    wanted: &Wanted<'_>,
    after: Option<(Timestamp, SessionId)>,
    tested: u64,
) -> Result<Vec<(Uuid, Timestamp, bool)>, DbError> {
    let dialect = Dialect::of(connection);
    let mut sql = Sql::new(
        connection,
        "SELECT s.id AS id, s.created_at AS created_at, CAST(CASE WHEN true",
    );
    let now = sql.place(wanted.now.0);
    let kind = kind_condition(&mut sql, wanted);
    let search = search_condition(dialect, &mut sql, wanted);
    let state = state_condition(dialect, wanted.filter.state, &now);
    let more = row_tests(&mut sql, wanted, "s.number");
    sql.push(&kind)
        .push(&state)
        .push(&search)
        .push(&more)
        .push(" THEN 1 ELSE 0 END AS bigint) AS wanted FROM (SELECT s.number AS number FROM ");
    newest_after(dialect, &mut sql, wanted.scope, after, tested);
    // What leads along the order need not have what is tested.
    sql.push(&format!(
        ") n {} session s ON s.number = n.number ORDER BY s.created_at DESC, s.id DESC",
        dialect.join()
    ));
    let rows = sql.all(connection).await?;
    rows.iter()
        .map(|row| {
            let row = Row(row);
            Ok((
                row.uuid("id")?,
                row.time("created_at")?,
                row.get::<i64>("wanted")? == 1,
            ))
        })
        .collect()
}

/// A user's own sessions, the current one first.
pub(super) async fn own(
    connection: &impl ConnectionTrait,
    wanted: &Wanted<'_>,
    user: UserId,
    current: Option<SessionId>,
    offset: u64,
    rows: u64,
) -> Result<Vec<Uuid>, DbError> {
    let dialect = Dialect::of(connection);
    let mut sql = Sql::new(connection, "SELECT s.id AS id FROM ");
    let now = sql.place(wanted.now.0);
    let from = from_set(dialect, &mut sql, wanted, &Set::Scope, &now, "");
    // No session has its user's id, so that it stands for none.
    let current = sql.place(current.map_or(user.0, |current| current.0));
    sql.push(&format!(
        "{from} ORDER BY CASE WHEN s.id = {current} THEN 0 ELSE 1 END, CASE WHEN {live} THEN 0 ELSE 1 END,
         s.last_activity_at DESC, s.id DESC LIMIT ",
        live = life::live(dialect, "s", &now)
    ))
    .bind(rows.cast_signed())
    .push(" OFFSET ")
    .bind(offset.cast_signed());
    read(sql, connection).await
}

pub(super) async fn read(
    sql: Sql,
    connection: &impl ConnectionTrait,
) -> Result<Vec<Uuid>, DbError> {
    let rows = sql.all(connection).await?;
    rows.iter().map(|row| Ok(Row(row).uuid("id")?)).collect()
}
