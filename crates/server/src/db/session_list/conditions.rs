//! The filters beyond search, state and kind, in SQL: this file alone knows what each asks of a row; `leads` knows which
//! index leads to the rows that one leaves.

use rollcall_core::{Conditions, Span, Timestamp, Who};

use super::Wanted;
use crate::db::life;
use crate::db::scope::Scope;
use crate::db::sql::{Dialect, Sql};

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

/// Owners who have one active session at most, though the counters, which count what has ended without a stored end as
/// active, say more. Usually next to none.
pub(super) fn lost(sql: &mut Sql, wanted: &Wanted<'_>) -> String {
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
pub(super) fn of_agent(sql: &mut Sql, conditions: &Conditions, row: &str) -> Vec<String> {
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

/// A moment so long before `now`.
pub(super) fn ago(now: Timestamp, span: Span) -> i64 {
    now.0 - i64::from(span.seconds()) * 1_000_000
}
