//! `core::session::state_at` in SQL: one condition that every statement here uses, and a property test
//! that compares it with the original.
//!
//! Epochs are compared only for rows of users, organisations and an installation that are not settled;
//! for all others every session that the epoch ended is stored as ended. Triggers clear `settled`
//! whenever an epoch moves, an account is disabled, or a session is stored that an epoch had overtaken.

use super::overtaken::Overtaken;
use super::sql::{Dialect, Sql};

/// A moment that never comes.
pub(super) const NEVER: &str = "9223372036854775807";

/// True for a row of `session` (known as `s`) that lives at `now`, a placeholder.
pub(super) fn live(dialect: Dialect, s: &str, now: &str) -> String {
    let (users, organisations) = (
        dialect.by("user_unsettled"),
        dialect.by("organisation_unsettled"),
    );
    format!(
        r#"({s}.ended_at IS NULL AND {s}.expires_at > {now}
        AND NOT ({s}.user_id IN (SELECT id FROM "user"{users} WHERE NOT settled) AND EXISTS (
            SELECT 1 FROM "user" ku WHERE ku.id = {s}.user_id
                AND (ku.ended_before >= {s}.created_at OR NOT ku.enabled OR ku.deleted_at IS NOT NULL)))
        AND NOT ({s}.organisation_id IN (SELECT id FROM organisation{organisations} WHERE NOT settled) AND EXISTS (
            SELECT 1 FROM organisation ko WHERE ko.id = {s}.organisation_id
                AND (ko.ended_before >= {s}.created_at OR NOT ko.enabled)))
        AND {s}.created_at > coalesce((SELECT max(ended_before) FROM installation WHERE NOT settled), -{NEVER}))"#
    )
}

/// True if the row `s` has a stored end, asked of an index of the rows that do: for walks along indexes that do
/// not know it. OFFSET has PostgreSQL ask row by row instead of making a hash of all ended rows.
pub(super) fn stored_end(dialect: Dialect, number: &str) -> String {
    let index = dialect.by("session_ended_by_number");
    let apart = match dialect {
        Dialect::Sqlite => "",
        Dialect::Postgres => " OFFSET 0",
    };
    format!(
        "EXISTS (SELECT 1 FROM session e{index} WHERE e.number = {number} AND e.ended_at IS NOT NULL{apart})"
    )
}

/// True if the row `s` may have expired at `now`: in whole minutes, as the index on expiry has it. Who asks
/// tests `expires_at` besides.
pub(super) fn expiring(now: &str) -> String {
    format!("s.expires_at / 60000000 <= {now} / 60000000")
}

/// When a row without a stored end ended: the earliest of its epochs and its expiry; `now` where only
/// being disabled keeps it from living; `NEVER` while it lives. Needs `s`, and `u`, `o`, `i` for user,
/// organisation and installation.
pub(super) fn gone_at(dialect: Dialect, now: &str) -> String {
    format!(
        "{min}(CASE WHEN u.ended_before >= s.created_at THEN u.ended_before ELSE {NEVER} END,
            CASE WHEN o.ended_before >= s.created_at THEN o.ended_before ELSE {NEVER} END,
            CASE WHEN i.ended_before >= s.created_at THEN i.ended_before ELSE {NEVER} END,
            CASE WHEN s.expires_at <= {now} THEN s.expires_at ELSE {NEVER} END,
            CASE WHEN NOT u.enabled OR u.deleted_at IS NOT NULL OR NOT o.enabled THEN {now} ELSE {NEVER} END)",
        min = dialect.least(),
    )
}

/// Adds the tables that `gone_at` speaks of to `session s`.
pub(super) fn joins(dialect: Dialect) -> String {
    let join = dialect.join();
    format!(
        r#"{join} "user" u ON u.id = s.user_id {join} organisation o ON o.id = s.organisation_id
        {join} installation i ON i.id = 1"#
    )
}

/// The sessions of users, of organisations and of the installation that are not settled, as `FROM … WHERE …`:
/// each begins with its short list and finds the sessions without a stored end by an index.
pub(super) fn unsettled(dialect: Dialect) -> [String; 3] {
    let join = dialect.join();
    let sessions = |index, on| dialect.then("session", "s", index, on, " AND s.ended_at IS NULL");
    // SQLite then reads the rows without a stored end only.
    let without_end = match dialect {
        Dialect::Sqlite => format!("NOT {}", stored_end(dialect, "s.number")),
        Dialect::Postgres => "s.ended_at IS NULL".to_owned(),
    };
    let user = dialect.then("\"user\"", "u", "", "u.id = s.user_id", "");
    let (users, organisations) = (
        dialect.by("user_unsettled"),
        dialect.by("organisation_unsettled"),
    );
    [
        format!(
            r#"FROM "user" u{users} {} {join} organisation o ON o.id = s.organisation_id
            {join} installation i ON i.id = 1 WHERE NOT u.settled AND {without_end}"#,
            sessions("session_by_user", "s.user_id = u.id"),
        ),
        format!(
            r#"FROM organisation o{organisations} {} {user} {join} installation i ON i.id = 1
            WHERE NOT o.settled AND {without_end}"#,
            sessions("session_by_organisation", "s.organisation_id = o.id"),
        ),
        format!(
            r#"FROM installation i {} {user} {join} organisation o ON o.id = s.organisation_id
            WHERE NOT i.settled AND s.ended_at IS NULL"#,
            sessions("session_live_by_created", "s.created_at <= i.ended_before"),
        ),
    ]
}

/// Rows without a stored end that do not live at `now`: expired ones by the index on expiry, others by
/// the users, organisations and the installation that are not settled. Each part leaves out what an earlier one has,
/// so that they can simply be joined. Takes as long as there are such rows: `collected` leaves out what may be many.
pub(super) fn gone(dialect: Dialect, select: &str, now: &str, and: &str) -> String {
    let [users, organisations, installation] = unsettled(dialect);
    format!(
        "{collected} UNION ALL SELECT {select} {installation} AND s.expires_at > {now}
            AND NOT (NOT u.settled AND {BY_USER}) AND NOT (NOT o.settled AND {BY_ORGANISATION}){and}",
        collected = expired_and(dialect, &users, &organisations, select, now, and),
    )
}

/// The same without those that are known to have been overtaken, unless they have expired or an epoch of their user ended
/// them, which may have been earlier. Usually next to none.
pub(super) fn collected(
    sql: &mut Sql,
    overtaken: &Overtaken,
    select: &str,
    now: &str,
    and: &str,
) -> String {
    let dialect = sql.dialect();
    let [users, organisations, _] = unsettled(dialect);
    let apart: Vec<_> = overtaken
        .organisations()
        .into_iter()
        .map(|id| sql.place(id))
        .collect();
    let organisations = match apart.as_slice() {
        [] => organisations,
        apart => format!("{organisations} AND o.id NOT IN ({})", apart.join(", ")),
    };
    expired_and(dialect, &users, &organisations, select, now, and)
}

const BY_USER: &str =
    "coalesce(u.ended_before >= s.created_at OR NOT u.enabled OR u.deleted_at IS NOT NULL, false)";
const BY_ORGANISATION: &str = "coalesce(o.ended_before >= s.created_at OR NOT o.enabled, false)";

fn expired_and(
    dialect: Dialect,
    users: &str,
    organisations: &str,
    select: &str,
    now: &str,
    and: &str,
) -> String {
    format!(
        "SELECT {select} FROM session s{expiry} {user} {join} organisation o ON o.id = s.organisation_id
            {join} installation i ON i.id = 1 WHERE s.ended_at IS NULL AND {expiring} AND s.expires_at <= {now}{and}
        UNION ALL SELECT {select} {users} AND s.expires_at > {now} AND {BY_USER}{and}
        UNION ALL SELECT {select} {organisations} AND s.expires_at > {now} AND {BY_ORGANISATION}
            AND NOT (NOT u.settled AND {BY_USER}){and}",
        expiry = dialect.by("session_live_by_expiry"),
        // As `joins`, but PostgreSQL, which expects thousands, would make a hash of all users for them.
        user = dialect.then("\"user\"", "u", "", "u.id = s.user_id", ""),
        join = dialect.join(),
        expiring = expiring(now),
    )
}
