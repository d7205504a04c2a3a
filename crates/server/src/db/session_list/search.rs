//! Finding a piece of text among a million rows. This file alone knows how each database does it.
//!
//! SQLite: the FTS5 index holds every three letters in a row; a search of three or more letters is one
//! phrase of them, which is exact. Shorter ones are looked up among the terms of the index that begin
//! with them. PostgreSQL: `LIKE`, which the index of `pg_trgm` answers from three letters on.

use rollcall_core::{OrganisationId, State};
use sea_orm::ConnectionTrait;

use super::Wanted;
use super::conditions::row_tests;
use super::ids::{kind_condition, scope_condition};
use crate::db::counters::Tally;
use crate::db::error::DbError;
use crate::db::life;
use crate::db::overtaken::Overtaken;
use crate::db::scope::Scope;
use crate::db::search_text::letters;
use crate::db::sql::{Dialect, Row, Sql};

/// More terms than this begin with a short search only if it is a common one.
const TERMS: usize = 64;

/// How the index is asked.
#[derive(Debug)]
pub(super) enum Matches {
    /// A query of FTS5.
    Fts(String),
    /// A pattern for `LIKE`.
    Like(String),
    /// Nothing has it.
    None,
    /// A short search that is too common for the index: rows are read.
    Rows,
}

/// How to ask the index for what is wanted.
pub(super) async fn matches(
    connection: &impl ConnectionTrait,
    wanted: &Wanted<'_>,
    needle: &str,
) -> Result<Matches, DbError> {
    if Dialect::of(connection) == Dialect::Postgres {
        return Ok(Matches::Like(like(&letters(needle))));
    }
    if needle.chars().count() >= 3 {
        return Ok(Matches::Fts(within(wanted, &phrase(needle))));
    }
    if is_frequent(connection, needle).await? {
        return Ok(Matches::Rows);
    }
    let mut sql = Sql::new(
        connection,
        "SELECT term FROM session_search_term WHERE term >= ",
    );
    sql.bind(needle)
        .push(" AND term < ")
        .bind(format!("{needle}{}", char::MAX))
        .push(" LIMIT ")
        .bind(TERMS as i64 + 1);
    let rows = sql.all(connection).await?;
    if rows.len() > TERMS {
        return Ok(Matches::Rows);
    }
    let terms = rows
        .iter()
        .map(|row| Ok(phrase(&Row(row).get::<String>("term")?)))
        .collect::<Result<Vec<_>, DbError>>()?;
    Ok(if terms.is_empty() {
        Matches::None
    } else {
        Matches::Fts(within(wanted, &format!("({})", terms.join(" OR "))))
    })
}

/// Whether one in five of the newest live rows has it: then reading rows finds it sooner than the many terms
/// that begin with it.
async fn is_frequent(connection: &impl ConnectionTrait, needle: &str) -> Result<bool, DbError> {
    let mut sql = Sql::new(
        connection,
        "SELECT count(*) AS read, count(CASE WHEN instr(search_text, ",
    );
    sql.bind(needle).push(
        ") > 0 THEN 1 END) AS found FROM (
            SELECT search_text FROM session INDEXED BY session_live_by_created WHERE ended_at IS NULL
            ORDER BY created_at DESC, id DESC LIMIT 500
        ) newest",
    );
    match sql.one(connection).await? {
        Some(row) => Ok(Row(&row).get::<i64>("found")? * 5 > Row(&row).get::<i64>("read")?),
        None => Ok(false),
    }
}

/// Restricts a query of FTS5 to what is searched, to rows that may be of the scope, and to a kind.
fn within(wanted: &Wanted<'_>, query: &str) -> String {
    let mut query = format!("search_text : {query}");
    if let Scope::Organisation(organisation) = wanted.scope {
        query = format!(
            "{query} AND organisation : {}",
            phrase(&digits(organisation))
        );
    }
    if let Some(kind) = wanted.filter.kind {
        query = format!("{query} AND kind : {}", phrase(&kind.as_str()[..3]));
    }
    query
}

/// The end of an organisation's id, as the triggers write it into the index.
fn digits(organisation: OrganisationId) -> String {
    organisation.0.simple().to_string().to_uppercase()[29..].to_owned()
}

/// A phrase of FTS5: everything in it is text, and a quotation mark is written twice.
fn phrase(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

/// The scope of a row of `session_entry`, in the form that the index of the letters knows: it reads no rows of other
/// organisations then.
fn entry_scope(sql: &mut Sql, scope: Scope) -> String {
    match scope {
        Scope::Organisation(organisation) => {
            let place = sql.place(organisation.0);
            format!("ARRAY[s.organisation_id] @> ARRAY[{place}::uuid]")
        }
        Scope::All | Scope::User(_) => scope_condition(sql, scope),
    }
}

/// A pattern that finds `text` as it stands anywhere.
fn like(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 2);
    pattern.push('%');
    for letter in text.chars() {
        if matches!(letter, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern.push('%');
    pattern
}

/// What was found, up to some number.
pub(super) struct Found {
    pub(super) rows: u64,
    /// The numbers of the rows, as text.
    pub(super) numbers: String,
}

/// The numbers of the rows that are wanted, as a query of the index with the column `found`.
pub(super) async fn by_index(
    connection: &impl ConnectionTrait,
    wanted: &Wanted<'_>,
    matches: &Matches,
    tally: &Tally,
) -> Result<Option<Sql>, DbError> {
    let dialect = Dialect::of(connection);
    let mut sql = Sql::new(connection, "");
    let now = sql.place(wanted.now.0);
    let has_state = wanted.filter.state.is_some();
    let gone = tally.gone > 0 && has_state;
    let overtaken = Some(&tally.overtaken).filter(|rows| has_state && !rows.is_empty());
    let mut with = Vec::new();
    if gone {
        let gone = life::collected(&mut sql, &tally.overtaken, "s.number AS number", &now, "");
        with.push(format!("gone AS MATERIALIZED ({gone})"));
    }
    if let Some(overtaken) = overtaken {
        let spared = overtaken.spared(&mut sql);
        with.push(format!("spared AS MATERIALIZED ({spared})"));
    }
    if !with.is_empty() {
        sql.push(&format!("WITH {} ", with.join(", ")));
    }
    let rows = match matches {
        Matches::None | Matches::Rows => return Ok(None),
        Matches::Fts(query) => {
            let place = sql.place(query.clone());
            let mut conditions = String::new();
            if let Scope::Organisation(organisation) = wanted.scope
                && !is_told_apart(connection, organisation).await?
            {
                conditions = format!(
                    " AND (SELECT o.organisation_id FROM session o WHERE o.number = session_search.rowid) = {}",
                    sql.place(organisation.0)
                );
            }
            let number = "session_search.rowid";
            conditions += &state_among_found(&mut sql, wanted, gone, overtaken, number);
            conditions += &row_tests(&mut sql, wanted, number);
            format!(
                "SELECT session_search.rowid AS found FROM session_search WHERE session_search MATCH {place}{conditions}"
            )
        }
        // PostgreSQL knows from its statistics whether to ask its index or to read rows until there are
        // enough.
        Matches::Like(pattern) => {
            let place = sql.place(pattern.clone());
            let scope = entry_scope(&mut sql, wanted.scope);
            let kind = kind_condition(&mut sql, wanted);
            let state = state_among_found(&mut sql, wanted, gone, overtaken, "s.number")
                + &row_tests(&mut sql, wanted, "s.number");
            format!(
                "SELECT s.number AS found FROM {} s WHERE {scope}{kind} AND s.letters LIKE {place}{state}",
                dialect.entry()
            )
        }
    };
    sql.push(&rows);
    Ok(Some(sql))
}

/// The condition of a filter by state on rows that the index, which does not know it, has found; begins with
/// AND.
fn state_among_found(
    sql: &mut Sql,
    wanted: &Wanted<'_>,
    gone: bool,
    overtaken: Option<&Overtaken>,
    number: &str,
) -> String {
    let mut ended = Vec::new();
    if let Some(overtaken) = overtaken {
        ended.push(overtaken.by_number(sql, wanted.scope, number));
    }
    if gone {
        ended.push(format!("{number} IN (SELECT number FROM gone)"));
    }
    ended.push(life::stored_end(sql.dialect(), number));
    let ended = ended.join(" OR ");
    match wanted.filter.state {
        None => String::new(),
        Some(State::Active) => format!(" AND NOT ({ended})"),
        Some(State::Ended) => format!(" AND ({ended})"),
    }
}

/// How many rows a query has.
pub(super) async fn count(connection: &impl ConnectionTrait, rows: Sql) -> Result<u64, DbError> {
    let sql = rows.within("SELECT count(*) AS rows FROM (", ") c");
    match sql.one(connection).await? {
        Some(row) => Ok(Row(&row).get::<i64>("rows")?.cast_unsigned()),
        None => Ok(0),
    }
}

/// Takes up to `stop` rows of a query with the column `found`.
pub(super) async fn found(
    connection: &impl ConnectionTrait,
    rows: Sql,
    stop: u64,
) -> Result<Found, DbError> {
    let collect = match Dialect::of(connection) {
        Dialect::Sqlite => "group_concat(found, ',')",
        Dialect::Postgres => "string_agg(found::text, ',')",
    };
    let mut sql = rows.within(
        &format!("SELECT count(*) AS rows, {collect} AS numbers FROM ("),
        " LIMIT ",
    );
    sql.bind(stop.cast_signed()).push(") c");
    Ok(match sql.one(connection).await? {
        Some(row) => Found {
            rows: Row(&row).get::<i64>("rows")?.cast_unsigned(),
            numbers: Row(&row)
                .get::<Option<String>>("numbers")?
                .unwrap_or_default(),
        },
        None => Found {
            rows: 0,
            numbers: String::new(),
        },
    })
}

/// Whether no other organisation that has sessions shares the digits by which the index knows this one.
async fn is_told_apart(
    connection: &impl ConnectionTrait,
    organisation: OrganisationId,
) -> Result<bool, DbError> {
    let mut sql = Sql::new(
        connection,
        "SELECT count(DISTINCT organisation_id) AS known FROM session_counter WHERE substr(hex(organisation_id), 30) = ",
    );
    sql.bind(digits(organisation));
    match sql.one(connection).await? {
        Some(row) => Ok(Row(&row).get::<i64>("known")? <= 1),
        None => Ok(true),
    }
}

/// A test of one row without the index: a row of `session`.
pub(super) fn test(dialect: Dialect, place: &str) -> String {
    format!("{}(s.search_text, {place}) > 0", dialect.position())
}

/// The same for a row of PostgreSQL's `session_entry` and the `letters` of a search.
pub(super) fn test_entry(place: &str) -> String {
    format!("strpos(s.letters, {place}) > 0")
}

#[cfg(test)]
mod tests {
    use rollcall_core::Kind;

    use super::*;

    #[test]
    fn three_letters_tell_kinds_apart() {
        let starts: std::collections::BTreeSet<_> =
            Kind::ALL.iter().map(|kind| &kind.as_str()[..3]).collect();
        assert_eq!(starts.len(), Kind::ALL.len());
    }

    #[test]
    fn everything_in_a_search_is_text() {
        assert_eq!(phrase(r#"a"b*"#), r#""a""b*""#);
        assert_eq!(like(r"50%_\x"), r"%50\%\_\\x%");
    }
}
