//! `core::session::state_at` in SQL: one condition that every statement here uses, and a property test
//! that compares it with the original.
//!
//! Epochs are compared only for rows of users, organisations and an installation that are not settled;
//! for all others every session that the epoch ended is stored as ended. Triggers clear `settled`
//! whenever an epoch moves, an account is disabled, or a session is stored that an epoch had overtaken.

/// A moment that never comes.
pub(super) const NEVER: &str = "9223372036854775807";

/// True for a row of `session` (known as `s`) that lives at `now`, a placeholder.
pub(super) fn live(s: &str, now: &str) -> String {
    format!(
        r#"({s}.ended_at IS NULL AND {s}.expires_at > {now}
        AND NOT ({s}.user_id IN (SELECT id FROM "user" WHERE NOT settled) AND EXISTS (
            SELECT 1 FROM "user" ku WHERE ku.id = {s}.user_id
                AND (ku.ended_before >= {s}.created_at OR NOT ku.enabled OR ku.deleted_at IS NOT NULL)))
        AND NOT ({s}.organisation_id IN (SELECT id FROM organisation WHERE NOT settled) AND EXISTS (
            SELECT 1 FROM organisation ko WHERE ko.id = {s}.organisation_id
                AND (ko.ended_before >= {s}.created_at OR NOT ko.enabled)))
        AND {s}.created_at > coalesce((SELECT max(ended_before) FROM installation WHERE NOT settled), -{NEVER}))"#
    )
}

/// When a row without a stored end ended: the earliest of its epochs and its expiry; `now` where only
/// being disabled keeps it from living; `NEVER` while it lives. `min` is the database's word for the
/// least of several values. Needs `s`, and `u`, `o`, `i` for user, organisation and installation.
pub(super) fn gone_at(min: &str, now: &str) -> String {
    format!(
        "{min}(CASE WHEN u.ended_before >= s.created_at THEN u.ended_before ELSE {NEVER} END,
            CASE WHEN o.ended_before >= s.created_at THEN o.ended_before ELSE {NEVER} END,
            CASE WHEN i.ended_before >= s.created_at THEN i.ended_before ELSE {NEVER} END,
            CASE WHEN s.expires_at <= {now} THEN s.expires_at ELSE {NEVER} END,
            CASE WHEN NOT u.enabled OR u.deleted_at IS NOT NULL OR NOT o.enabled THEN {now} ELSE {NEVER} END)"
    )
}

/// The tables that `gone_at` speaks of.
pub(super) const JOINS: &str = r#"JOIN "user" u ON u.id = s.user_id
    JOIN organisation o ON o.id = s.organisation_id JOIN installation i ON i.id = 1"#;

/// Rows without a stored end that do not live at `now`: expired ones by the index on expiry, others by
/// the users, organisations and the installation that are not settled. Usually next to none. Each part
/// leaves out what an earlier one has, so that they can simply be joined.
pub(super) fn gone(select: &str, now: &str, and: &str) -> String {
    let user = "(u.ended_before >= s.created_at OR NOT u.enabled OR u.deleted_at IS NOT NULL)";
    let organisation = "(o.ended_before >= s.created_at OR NOT o.enabled)";
    let not_by_user = format!("NOT (NOT u.settled AND coalesce({user}, false))");
    let not_by_organisation = format!("NOT (NOT o.settled AND coalesce({organisation}, false))");
    format!(
        r#"SELECT {select} FROM session s {JOINS}
            WHERE s.ended_at IS NULL AND s.expires_at <= {now}{and}
        UNION ALL SELECT {select} FROM "user" u JOIN session s ON s.user_id = u.id
            JOIN organisation o ON o.id = s.organisation_id JOIN installation i ON i.id = 1
            WHERE NOT u.settled AND s.ended_at IS NULL AND s.expires_at > {now} AND {user}{and}
        UNION ALL SELECT {select} FROM organisation o JOIN session s ON s.organisation_id = o.id
            JOIN "user" u ON u.id = s.user_id JOIN installation i ON i.id = 1
            WHERE NOT o.settled AND s.ended_at IS NULL AND s.expires_at > {now} AND {organisation}
                AND {not_by_user}{and}
        UNION ALL SELECT {select} FROM installation i JOIN session s ON s.created_at <= i.ended_before
            JOIN "user" u ON u.id = s.user_id JOIN organisation o ON o.id = s.organisation_id
            WHERE NOT i.settled AND s.ended_at IS NULL AND s.expires_at > {now}
                AND {not_by_user} AND {not_by_organisation}{and}"#
    )
}
