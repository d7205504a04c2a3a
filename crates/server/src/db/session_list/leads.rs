//! Which index leads to the rows that a filter leaves.
//!
//! A *lead* is a query for the numbers of all rows that fulfil one filter; how many that are is counted up to a bound, so
//! that a filter that nobody fulfils costs no more than one that everybody does. Within an organisation it leads to its rows
//! only, but for user agents, which stand once for all.

use rollcall_core::{AddressRange, Conditions, Kind, RoleKey, Span, Who};
use sea_orm::ConnectionTrait;

use super::Wanted;
use super::conditions::{ago, lost, of_agent};
use crate::db::error::DbError;
use crate::db::scope::Scope;
use crate::db::sql::{Dialect, Row, Sql};

/// A lead, and how many rows it leads to: exactly up to one more than `Thresholds::led`.
pub(super) struct Lead<'a> {
    pub(super) rows: u64,
    from: Way<'a>,
}

impl Lead<'_> {
    /// Its rows, as `(SELECT number …)`.
    pub(super) fn numbers(&self, sql: &mut Sql, wanted: &Wanted<'_>) -> String {
        self.from.numbers(sql, wanted)
    }

    /// Whether it leads to rows of the scope only.
    pub(super) fn is_within(&self, scope: Scope) -> bool {
        !matches!((scope, &self.from), (Scope::Organisation(_), Way::Agent(_)))
    }

    /// How many rows it leads to where `rows` stops counting: known of user agents, whose sessions are counted.
    pub(super) async fn all_rows(&self, connection: &impl ConnectionTrait) -> Result<u64, DbError> {
        let Way::Agent(conditions) = self.from else {
            return Ok(self.rows);
        };
        let mut sql = Sql::new(
            connection,
            "SELECT CAST(coalesce(sum(a.sessions), 0) AS bigint) AS rows FROM session_agent a WHERE ",
        );
        let tests = of_agent(&mut sql, conditions, "a").join(" AND ");
        sql.push(&tests);
        rows(sql, connection).await
    }
}

/// The lead with the fewest rows; `None` where no filter has one. Of those that are all common, the first.
pub(super) async fn lead<'a>(
    connection: &impl ConnectionTrait,
    wanted: &Wanted<'a>,
) -> Result<Option<Lead<'a>>, DbError> {
    let mut best: Option<Lead<'a>> = None;
    for way in Way::all(&wanted.filter.more) {
        let mut sql = Sql::new(
            connection,
            "SELECT count(*) AS rows FROM (SELECT 1 AS one FROM (",
        );
        let numbers = way.numbers(&mut sql, wanted);
        sql.push(&numbers)
            .push(") n LIMIT ")
            .bind(wanted.thresholds.led.cast_signed() + 1)
            .push(") c");
        let rows = rows(sql, connection).await?;
        if best.as_ref().is_none_or(|best| rows < best.rows) {
            best = Some(Lead { rows, from: way });
        }
        if rows == 0 {
            break;
        }
    }
    Ok(best)
}

async fn rows(sql: Sql, connection: &impl ConnectionTrait) -> Result<u64, DbError> {
    match sql.one(connection).await? {
        Some(row) => Ok(Row(&row).get::<i64>("rows")?.cast_unsigned()),
        None => Ok(0),
    }
}

/// The ways that lead to the rows of a filter, the narrowest by their nature first.
enum Way<'a> {
    User(&'a Who),
    Service,
    Role(&'a RoleKey),
    /// Sign-in method, browser, system and user agent.
    Agent(&'a Conditions),
    Address(AddressRange),
    Several(bool),
    Older(Span),
    Newer(Span),
    Idle(Span),
}

impl<'a> Way<'a> {
    fn all(conditions: &'a Conditions) -> Vec<Self> {
        let texts = [&conditions.browser, &conditions.system, &conditions.agent];
        let agent = conditions.method.is_some() || texts.iter().any(|text| !text.is_empty());
        [
            conditions.user.as_ref().map(Self::User),
            (conditions.service_account == Some(true)).then_some(Self::Service),
            conditions.role.as_ref().map(Self::Role),
            agent.then_some(Self::Agent(conditions)),
            conditions.ip.map(Self::Address),
            conditions.several.map(Self::Several),
            conditions.older_than.map(Self::Older),
            conditions.newer_than.map(Self::Newer),
            conditions.idle_for.map(Self::Idle),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// A query with the column `number`, each row once. It may lead to more than fulfil the filter.
    fn numbers(&self, sql: &mut Sql, wanted: &Wanted<'_>) -> String {
        let dialect = sql.dialect();
        match self {
            Self::User(Who::Id(id)) => {
                let test = format!("l.user_id = {}{}", sql.place(id.0), own(sql, wanted));
                ranged(dialect, "session_by_user", &test)
            }
            Self::User(Who::Email(email)) => {
                let place = sql.place(email.as_str());
                let users = format!(
                    r#"SELECT e.id AS id FROM "user" e{} WHERE e.email = {place}"#,
                    dialect.by("user_by_email")
                );
                of_users(sql, wanted, &users)
            }
            Self::Service => {
                let users = format!(
                    r#"SELECT e.id AS id FROM "user" e{} WHERE e.service_account"#,
                    dialect.by("user_service_account")
                );
                of_users(sql, wanted, &users)
            }
            Self::Role(role) => {
                let users = with_role(sql, wanted, role);
                of_users(sql, wanted, &users)
            }
            Self::Agent(conditions) => {
                let tests = of_agent(sql, conditions, "a").join(" AND ");
                format!(
                    "SELECT m.number AS number FROM session_agent a {} WHERE {tests}",
                    dialect.then("session_of_agent", "m", "", "m.agent = a.number", "")
                )
            }
            Self::Address(range) => in_range(sql, wanted, range),
            Self::Several(several) => {
                let on = format!(
                    "l.user_id = so.user_id AND l.organisation_id = so.organisation_id{}",
                    own(sql, wanted)
                );
                let then = dialect.then("session", "l", "session_by_user", &on, "");
                let owners = match several {
                    true => "so.active > 1".to_owned(),
                    false => format!(
                        "so.active <= 1 OR (so.user_id, so.organisation_id) IN ({})",
                        lost(sql, wanted)
                    ),
                };
                format!("SELECT l.number AS number FROM session_owner so {then} WHERE ({owners})")
            }
            Self::Older(span) => created(sql, wanted, "<=", *span),
            Self::Newer(span) => created(sql, wanted, ">", *span),
            Self::Idle(span) => {
                let place = sql.place(ago(wanted.now, *span));
                let test = format!("l.last_activity_at <= {place}{}", own(sql, wanted));
                match dialect {
                    Dialect::Sqlite => ranged(dialect, "session_by_activity", &test),
                    // Which has a half for each.
                    Dialect::Postgres => format!(
                        "{} AND l.ended_at IS NULL UNION ALL {} AND l.ended_at IS NOT NULL",
                        ranged(dialect, "", &test),
                        ranged(dialect, "", &test)
                    ),
                }
            }
        }
    }
}

fn ranged(dialect: Dialect, index: &str, test: &str) -> String {
    format!(
        "SELECT l.number AS number FROM session l{} WHERE {test}",
        dialect.by(index)
    )
}

// Whether a row `l` is of the organisation; begins with AND.
fn own(sql: &mut Sql, wanted: &Wanted<'_>) -> String {
    match wanted.scope {
        Scope::Organisation(organisation) => {
            format!(" AND l.organisation_id = {}", sql.place(organisation.0))
        }
        Scope::All | Scope::User(_) => String::new(),
    }
}

// The sessions of users, whose ids a query has.
fn of_users(sql: &mut Sql, wanted: &Wanted<'_>, users: &str) -> String {
    let dialect = sql.dialect();
    let (owner, here) = match wanted.scope {
        // Only of those who have sessions here.
        Scope::Organisation(organisation) => {
            let place = sql.place(organisation.0);
            let on = format!("so.user_id = u.id AND so.organisation_id = {place}");
            (
                dialect.then("session_owner", "so", "", &on, ""),
                format!(" AND l.organisation_id = {place}"),
            )
        }
        Scope::All | Scope::User(_) => (String::new(), String::new()),
    };
    let on = format!("l.user_id = u.id{here}");
    let then = dialect.then("session", "l", "session_by_user", &on, "");
    format!("SELECT l.number AS number FROM ({users}) u {owner} {then}")
}

// The ids of users who have a role, as primary or secondary one.
fn with_role(sql: &mut Sql, wanted: &Wanted<'_>, role: &RoleKey) -> String {
    let key = sql.place(role.0.clone());
    let (here, there) = match wanted.scope {
        Scope::Organisation(organisation) => {
            let place = sql.place(organisation.0);
            (
                format!(" AND e.organisation_id = {place}"),
                format!(
                    r#" AND EXISTS (SELECT 1 FROM "user" h WHERE h.id = k.user_id AND h.organisation_id = {place})"#
                ),
            )
        }
        Scope::All | Scope::User(_) => (String::new(), String::new()),
    };
    format!(
        r#"SELECT e.id AS id FROM "user" e{} WHERE e.role_key = {key} AND e.deleted_at IS NULL{here}
        UNION ALL SELECT k.user_id AS id FROM user_role k WHERE k.role_key = {key}
            AND NOT EXISTS (SELECT 1 FROM "user" p WHERE p.id = k.user_id AND p.role_key = {key}){there}"#,
        sql.dialect().by("user_by_role")
    )
}

fn in_range(sql: &mut Sql, wanted: &Wanted<'_>, range: &AddressRange) -> String {
    let dialect = sql.dialect();
    let (first, last) = range.bounds();
    let (first, last) = (sql.place(first.to_vec()), sql.place(last.to_vec()));
    let own = own(sql, wanted);
    let kinds = match &wanted.filter.kind {
        Some(kind) => std::slice::from_ref(kind),
        None => Kind::ALL,
    };
    let (table, index) = (dialect.entry(), dialect.by("session_by_ip"));
    let parts: Vec<_> = kinds
        .iter()
        .map(|kind| {
            // A word of ours.
            format!(
                "SELECT l.number AS number FROM {table} l{index} WHERE l.kind = '{}'
                    AND l.ip_bytes >= {first} AND l.ip_bytes <= {last}{own}",
                kind.as_str()
            )
        })
        .collect();
    parts.join(" UNION ALL ")
}

fn created(sql: &mut Sql, wanted: &Wanted<'_>, sign: &str, span: Span) -> String {
    let dialect = sql.dialect();
    let place = sql.place(ago(wanted.now, span));
    let test = format!("l.created_at {sign} {place}{}", own(sql, wanted));
    match wanted.scope {
        Scope::Organisation(_) => ranged(dialect, "session_by_organisation", &test),
        Scope::All | Scope::User(_) => format!(
            "SELECT l.number AS number FROM {} l{} WHERE {test}",
            dialect.entry(),
            dialect.by("session_by_created")
        ),
    }
}
