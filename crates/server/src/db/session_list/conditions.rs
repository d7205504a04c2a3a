//! The filters beyond search, state and kind, in SQL: this file alone knows what each asks of a row, and which
//! index leads to the rows that one leaves.
//!
//! A *test* looks at one row. A *lead* is a query for the numbers of all rows that fulfil one filter; how many that
//! are is counted up to a bound, so that a filter that nobody fulfils costs no more than one that everybody does.

use rollcall_core::{Conditions, Kind, Span, Timestamp, Who};
use sea_orm::ConnectionTrait;

use super::Wanted;
use crate::db::error::DbError;
use crate::db::life;
use crate::db::scope::Scope;
use crate::db::sql::{Dialect, Row, Sql};

/// A lead, and how many rows it leads to: exactly up to one more than `Thresholds::led`.
pub(super) struct Lead {
    pub(super) rows: u64,
    from: Way,
}

impl Lead {
    /// Whether it leads to rows of the scope only.
    pub(super) fn is_within(&self, scope: Scope) -> bool {
        !matches!((scope, self.from), (Scope::Organisation(_), Way::Agent))
    }

    /// How many rows it leads to where `rows` stops counting: known of agents, whose sessions are counted.
    pub(super) async fn all_rows(
        &self,
        connection: &impl ConnectionTrait,
        wanted: &Wanted<'_>,
    ) -> Result<u64, DbError> {
        if self.from != Way::Agent {
            return Ok(self.rows);
        }
        let mut sql = Sql::new(
            connection,
            "SELECT CAST(coalesce(sum(a.sessions), 0) AS bigint) AS rows FROM session_agent a WHERE ",
        );
        let tests = of_agent(&mut sql, &wanted.filter.more, "a").join(" AND ");
        sql.push(&tests);
        match sql.one(connection).await? {
            Some(row) => Ok(Row(&row).get::<i64>("rows")?.cast_unsigned()),
            None => Ok(0),
        }
    }

    /// Its rows, as `(SELECT number …)`.
    pub(super) fn numbers(&self, sql: &mut Sql, wanted: &Wanted<'_>) -> String {
        self.from.numbers(sql, wanted)
    }
}

/// Whether there is anything to be tested of a row.
pub(super) fn any(wanted: &Wanted<'_>) -> bool {
    *tested(wanted) != Conditions::default()
}

/// What is left to be tested: an organisation is the scope, but for a user's own sessions.
fn tested<'a>(wanted: &Wanted<'a>) -> std::borrow::Cow<'a, Conditions> {
    let conditions = &wanted.filter.more;
    match wanted.scope {
        Scope::Organisation(_) if conditions.organisation.is_some() => {
            std::borrow::Cow::Owned(Conditions {
                organisation: None,
                ..conditions.clone()
            })
        }
        _ => std::borrow::Cow::Borrowed(conditions),
    }
}

/// The tests of the row whose number is given, whatever table or index that comes from; begins with AND. OFFSET
/// keeps PostgreSQL from making a hash of all sessions for them.
pub(super) fn row_tests(sql: &mut Sql, wanted: &Wanted<'_>, number: &str) -> String {
    if !any(wanted) {
        return String::new();
    }
    let tests = tests(sql, wanted).join(" AND ");
    let apart = match sql.dialect() {
        Dialect::Sqlite => "",
        Dialect::Postgres => " OFFSET 0",
    };
    format!(" AND EXISTS (SELECT 1 FROM session r WHERE r.number = {number} AND {tests}{apart})")
}

// What each filter asks of a row `r` of `session`.
fn tests(sql: &mut Sql, wanted: &Wanted<'_>) -> Vec<String> {
    let conditions = tested(wanted);
    let mut tests = Vec::new();
    if let Some(who) = &conditions.user {
        tests.push(match who {
            Who::Id(id) => format!("r.user_id = {}", sql.place(id.0)),
            Who::Email(email) => format!(
                r#"r.user_id IN (SELECT u.id FROM "user" u WHERE u.email = {})"#,
                sql.place(email.as_str())
            ),
        });
    }
    if let Some(organisation) = conditions.organisation {
        tests.push(format!("r.organisation_id = {}", sql.place(organisation.0)));
    }
    if let Some(role) = &conditions.role {
        let key = sql.place(role.0.clone());
        let within = within(sql, wanted.scope);
        tests.push(format!(
            r#"EXISTS (SELECT 1 FROM "user" u WHERE u.id = r.user_id AND u.deleted_at IS NULL{within} AND (u.role_key = {key}
                OR EXISTS (SELECT 1 FROM user_role k WHERE k.user_id = u.id AND k.role_key = {key})))"#
        ));
    }
    if let Some(range) = conditions.ip {
        let (first, last) = range.bounds();
        tests.push(format!(
            "r.ip_bytes >= {} AND r.ip_bytes <= {}",
            sql.place(first.to_vec()),
            sql.place(last.to_vec())
        ));
    }
    tests.extend(of_agent(sql, &conditions, "r"));
    for (column, sign, span) in spans(&conditions) {
        if let Some(span) = span {
            tests.push(format!(
                "r.{column} {sign} {}",
                sql.place(ago(wanted.now, span))
            ));
        }
    }
    if let Some(several) = conditions.several {
        let not = if several { "" } else { "NOT " };
        let lost = lost(sql, wanted);
        tests.push(format!(
            "{not}(coalesce((SELECT so.active FROM session_owner so WHERE so.user_id = r.user_id
                AND so.organisation_id = r.organisation_id), 0) > 1
            AND (r.user_id, r.organisation_id) NOT IN ({lost}))"
        ));
    }
    if let Some(service_account) = conditions.service_account {
        let place = sql.place(service_account);
        tests.push(format!(
            r#"EXISTS (SELECT 1 FROM "user" u WHERE u.id = r.user_id AND u.service_account = {place})"#
        ));
    }
    tests
}

// Owners who have one active session at most, though the counters, which count what has ended without a stored end as
// active, say more. Usually next to none.
fn lost(sql: &mut Sql, wanted: &Wanted<'_>) -> String {
    let dialect = sql.dialect();
    let at = sql.place(wanted.now.0);
    let gone = life::gone(
        dialect,
        "s.user_id AS user_id, s.organisation_id AS organisation_id",
        &at,
        "",
    );
    format!(
        "SELECT g.user_id, g.organisation_id FROM (SELECT x.user_id AS user_id, x.organisation_id AS organisation_id,
            count(*) AS sessions FROM ({gone}) x GROUP BY x.user_id, x.organisation_id) g
        {join} session_owner w ON w.user_id = g.user_id AND w.organisation_id = g.organisation_id
        WHERE w.active - g.sessions <= 1",
        join = dialect.join()
    )
}

/// The first and the last row that matter to a walk in the order of `column`, from the filters that are about it; begins
/// with AND. Without them a walk would pass by all rows that are newer.
pub(super) fn bounds(sql: &mut Sql, wanted: &Wanted<'_>, column: &str) -> String {
    let conditions = &wanted.filter.more;
    spans(conditions)
        .into_iter()
        .filter(|(of, ..)| *of == column)
        .filter_map(|(_, sign, span)| {
            let place = sql.place(ago(wanted.now, span?));
            Some(format!(" AND s.{column} {sign} {place}"))
        })
        .collect()
}

// The filters by time: a column, how it compares, and how long ago.
fn spans(conditions: &Conditions) -> [(&'static str, &'static str, Option<Span>); 3] {
    [
        ("created_at", "<=", conditions.older_than),
        ("created_at", ">", conditions.newer_than),
        ("last_activity_at", "<=", conditions.idle_for),
    ]
}

/// How somebody signed in and with what: the same of a session and of a row of `session_agent`. Letters beyond A to Z
/// are told apart by case, as the databases do it alike.
fn of_agent(sql: &mut Sql, conditions: &Conditions, row: &str) -> Vec<String> {
    let mut tests = Vec::new();
    if let Some(method) = conditions.method {
        tests.push(format!("{row}.method = {}", sql.place(method.as_str())));
    }
    for (column, start) in [
        ("browser", &conditions.browser),
        ("system", &conditions.system),
    ] {
        if !start.is_empty() {
            let letters = start.chars().count();
            let place = sql.place(start.to_ascii_lowercase());
            tests.push(format!(
                "lower(substr({row}.{column}, 1, {letters})) = {place}"
            ));
        }
    }
    if !conditions.agent.is_empty() {
        let place = sql.place(conditions.agent.to_ascii_lowercase());
        let position = sql.dialect().position();
        tests.push(format!("{position}(lower({row}.user_agent), {place}) > 0"));
    }
    tests
}

// Users of another organisation and what they are there are none of the caller's business, even if they have left
// sessions behind.
fn within(sql: &mut Sql, scope: Scope) -> String {
    match scope {
        Scope::Organisation(organisation) => {
            format!(" AND u.organisation_id = {}", sql.place(organisation.0))
        }
        Scope::All | Scope::User(_) => String::new(),
    }
}

fn ago(now: Timestamp, span: Span) -> i64 {
    now.0 - i64::from(span.seconds()) * 1_000_000
}

/// The ways that lead to the rows of a filter, the narrowest by their nature first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    User,
    Service,
    Role,
    Agent,
    Address,
    Several,
    Older,
    Newer,
    Idle,
}

impl Way {
    const ALL: [Self; 9] = [
        Self::User,
        Self::Service,
        Self::Role,
        Self::Agent,
        Self::Address,
        Self::Several,
        Self::Older,
        Self::Newer,
        Self::Idle,
    ];

    fn is_there(self, conditions: &Conditions) -> bool {
        match self {
            Self::User => conditions.user.is_some(),
            Self::Service => conditions.service_account == Some(true),
            Self::Role => conditions.role.is_some(),
            Self::Agent => {
                conditions.method.is_some()
                    || [&conditions.browser, &conditions.system, &conditions.agent]
                        .iter()
                        .any(|text| !text.is_empty())
            }
            Self::Address => conditions.ip.is_some(),
            Self::Several => conditions.several.is_some(),
            Self::Older => conditions.older_than.is_some(),
            Self::Newer => conditions.newer_than.is_some(),
            Self::Idle => conditions.idle_for.is_some(),
        }
    }

    /// A query with the column `number`, each row once. It may lead to more than fulfil the filter, but for `Agent` not to
    /// rows of other organisations than the scope's.
    fn numbers(self, sql: &mut Sql, wanted: &Wanted<'_>) -> String {
        let dialect = sql.dialect();
        let conditions = &wanted.filter.more;
        // Of a row `l`; begins with AND.
        let own = |sql: &mut Sql| match wanted.scope {
            Scope::Organisation(organisation) => {
                format!(" AND l.organisation_id = {}", sql.place(organisation.0))
            }
            Scope::All | Scope::User(_) => String::new(),
        };
        let of_users = |sql: &mut Sql, users: &str| {
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
        };
        let ranged = |index: &str, test: &str| {
            format!(
                "SELECT l.number AS number FROM session l{} WHERE {test}",
                dialect.by(index)
            )
        };
        let created = |sql: &mut Sql, test: String| match wanted.scope {
            Scope::Organisation(_) => {
                let test = format!("{test}{}", own(sql));
                ranged("session_by_organisation", &test)
            }
            Scope::All | Scope::User(_) => format!(
                "SELECT l.number AS number FROM {} l{} WHERE {test}",
                dialect.entry(),
                dialect.by("session_by_created")
            ),
        };
        match (self, conditions) {
            (
                Self::User,
                Conditions {
                    user: Some(who), ..
                },
            ) => match who {
                Who::Id(id) => {
                    let test = format!("l.user_id = {}{}", sql.place(id.0), own(sql));
                    ranged("session_by_user", &test)
                }
                Who::Email(email) => {
                    let place = sql.place(email.as_str());
                    let users = format!(
                        r#"SELECT e.id AS id FROM "user" e{} WHERE e.email = {place}"#,
                        dialect.by("user_by_email")
                    );
                    of_users(sql, &users)
                }
            },
            (
                Self::Role,
                Conditions {
                    role: Some(role), ..
                },
            ) => {
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
                let users = format!(
                    r#"SELECT e.id AS id FROM "user" e{} WHERE e.role_key = {key} AND e.deleted_at IS NULL{here}
                    UNION ALL SELECT k.user_id AS id FROM user_role k WHERE k.role_key = {key}
                        AND NOT EXISTS (SELECT 1 FROM "user" p WHERE p.id = k.user_id AND p.role_key = {key}){there}"#,
                    dialect.by("user_by_role")
                );
                of_users(sql, &users)
            }
            (Self::Service, _) => {
                let users = format!(
                    r#"SELECT e.id AS id FROM "user" e{} WHERE e.service_account"#,
                    dialect.by("user_service_account")
                );
                of_users(sql, &users)
            }
            (Self::Several, conditions) => {
                let on = format!(
                    "l.user_id = so.user_id AND l.organisation_id = so.organisation_id{}",
                    own(sql)
                );
                let then = dialect.then("session", "l", "session_by_user", &on, "");
                let owners = match conditions.several {
                    Some(false) => format!(
                        "so.active <= 1 OR (so.user_id, so.organisation_id) IN ({})",
                        lost(sql, wanted)
                    ),
                    _ => "so.active > 1".to_owned(),
                };
                format!("SELECT l.number AS number FROM session_owner so {then} WHERE ({owners})")
            }
            (Self::Agent, conditions) => {
                let tests = of_agent(sql, conditions, "a").join(" AND ");
                format!(
                    "SELECT m.number AS number FROM session_agent a {} WHERE {tests}",
                    dialect.then("session_of_agent", "m", "", "m.agent = a.number", "")
                )
            }
            (
                Self::Address,
                Conditions {
                    ip: Some(range), ..
                },
            ) => {
                let (first, last) = range.bounds();
                let (first, last) = (sql.place(first.to_vec()), sql.place(last.to_vec()));
                let kinds = match &wanted.filter.kind {
                    Some(kind) => std::slice::from_ref(kind),
                    None => Kind::ALL,
                };
                let (table, index) = (dialect.entry(), dialect.by("session_by_ip"));
                let own = own(sql);
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
            (
                Self::Older,
                Conditions {
                    older_than: Some(span),
                    ..
                },
            ) => {
                let place = sql.place(ago(wanted.now, *span));
                created(sql, format!("l.created_at <= {place}"))
            }
            (
                Self::Newer,
                Conditions {
                    newer_than: Some(span),
                    ..
                },
            ) => {
                let place = sql.place(ago(wanted.now, *span));
                created(sql, format!("l.created_at > {place}"))
            }
            (
                Self::Idle,
                Conditions {
                    idle_for: Some(span),
                    ..
                },
            ) => {
                let place = sql.place(ago(wanted.now, *span));
                let test = format!("l.last_activity_at <= {place}{}", own(sql));
                match dialect {
                    Dialect::Sqlite => ranged("session_by_activity", &test),
                    // Which has a half for each.
                    Dialect::Postgres => format!(
                        "{} AND l.ended_at IS NULL UNION ALL {} AND l.ended_at IS NOT NULL",
                        ranged("", &test),
                        ranged("", &test)
                    ),
                }
            }
            // `is_there` has looked.
            _ => "SELECT s.number AS number FROM session s WHERE false".to_owned(),
        }
    }
}

/// The lead with the fewest rows; `None` where no filter has one. Of those that are all common, the first.
pub(super) async fn lead(
    connection: &impl ConnectionTrait,
    wanted: &Wanted<'_>,
) -> Result<Option<Lead>, DbError> {
    let mut best: Option<Lead> = None;
    for way in Way::ALL {
        if !way.is_there(&wanted.filter.more) {
            continue;
        }
        let mut sql = Sql::new(
            connection,
            "SELECT count(*) AS rows FROM (SELECT 1 AS one FROM (",
        );
        let numbers = way.numbers(&mut sql, wanted);
        sql.push(&numbers)
            .push(") n LIMIT ")
            .bind(wanted.thresholds.led.cast_signed() + 1)
            .push(") c");
        let rows = match sql.one(connection).await? {
            Some(row) => Row(&row).get::<i64>("rows")?.cast_unsigned(),
            None => 0,
        };
        if best.as_ref().is_none_or(|best| rows < best.rows) {
            best = Some(Lead { rows, from: way });
        }
        if rows == 0 {
            break;
        }
    }
    Ok(best)
}
