//! Finding a piece of text among a million rows. This file alone knows how each database does it.
//!
//! SQLite: the FTS5 index holds every three letters in a row; a search of three or more letters is one
//! phrase of them, which is exact. Shorter ones are looked up among the terms of the index that begin
//! with them. PostgreSQL: `LIKE`, which the index of `pg_trgm` answers from three letters on.

use sea_orm::ConnectionTrait;

use crate::db::error::DbError;
use crate::db::scope::Scope;
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

/// How to ask the index for this needle.
pub(super) async fn matches(
    connection: &impl ConnectionTrait,
    scope: Scope,
    needle: &str,
) -> Result<Matches, DbError> {
    if Dialect::of(connection) == Dialect::Postgres {
        return Ok(Matches::Like(like(needle)));
    }
    if needle.chars().count() >= 3 {
        return Ok(Matches::Fts(within(scope, &phrase(needle))));
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
        Matches::Fts(within(scope, &format!("({})", terms.join(" OR "))))
    })
}

/// Whether one in five of the newest rows has it: then reading rows finds it sooner than the many terms
/// that begin with it.
async fn is_frequent(connection: &impl ConnectionTrait, needle: &str) -> Result<bool, DbError> {
    let mut sql = Sql::new(
        connection,
        "SELECT count(*) AS read, count(CASE WHEN instr(search_text, ",
    );
    sql.bind(needle).push(
        ") > 0 THEN 1 END) AS found FROM (
            SELECT search_text FROM session INDEXED BY session_by_created ORDER BY created_at DESC, id DESC LIMIT 500
        ) s",
    );
    match sql.one(connection).await? {
        Some(row) => Ok(Row(&row).get::<i64>("found")? * 5 > Row(&row).get::<i64>("read")?),
        None => Ok(false),
    }
}

/// Restricts a query of FTS5 to what is searched, and to rows that may be of the scope.
fn within(scope: Scope, query: &str) -> String {
    match scope {
        Scope::Organisation(organisation) => {
            // As the triggers write it.
            let id = organisation.0.simple().to_string().to_uppercase();
            format!(
                "search_text : {query} AND organisation : {}",
                phrase(&id[29..])
            )
        }
        Scope::All | Scope::User(_) => format!("search_text : {query}"),
    }
}

/// A phrase of FTS5: everything in it is text, and a quotation mark is written twice.
fn phrase(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
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

/// Where the rows come from that the index finds, as `FROM … WHERE …`; `s` is the session.
pub(super) fn source(sql: &mut Sql, matches: &Matches) -> Option<(String, String)> {
    match matches {
        Matches::Fts(query) => Some((
            // CROSS JOIN keeps SQLite from beginning with the sessions.
            "session_search CROSS JOIN session s ON s.number = session_search.rowid".to_owned(),
            format!("session_search MATCH {}", sql.place(query.clone())),
        )),
        Matches::Like(pattern) => Some((
            "session s".to_owned(),
            format!("s.search_text LIKE {}", sql.place(pattern.clone())),
        )),
        Matches::None | Matches::Rows => None,
    }
}

/// A test of one row without the index.
pub(super) fn test(dialect: Dialect, place: &str) -> String {
    format!("{}(s.search_text, {place}) > 0", dialect.position())
}

/// How many rows the index finds, counting up to `stop`; `None` where it cannot tell.
pub(super) async fn count_up_to(
    connection: &impl ConnectionTrait,
    matches: &Matches,
    stop: u64,
) -> Result<Option<u64>, DbError> {
    let Matches::Fts(query) = matches else {
        return Ok(matches!(matches, Matches::None).then_some(0));
    };
    let mut sql = Sql::new(
        connection,
        "SELECT count(*) AS found FROM (SELECT rowid FROM session_search WHERE session_search MATCH ",
    );
    sql.bind(query.clone())
        .push(" LIMIT ")
        .bind(stop.cast_signed())
        .push(") c");
    match sql.one(connection).await? {
        Some(row) => Ok(Some(Row(&row).get::<i64>("found")?.cast_unsigned())),
        None => Ok(Some(0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_in_a_search_is_text() {
        assert_eq!(phrase(r#"a"b*"#), r#""a""b*""#);
        assert_eq!(like(r"50%_\x"), r"%50\%\_\\x%");
    }
}
