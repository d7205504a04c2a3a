//! Walks along the indexes, see `ids`.

use rollcall_core::{SessionSort, SortKey};
use sea_orm::ConnectionTrait;
use uuid::Uuid;

use super::Wanted;
use super::ids::{
    Part, Stretch, column, indexed, kind_condition, live_index, read, scope_condition,
    search_condition, state_condition, word,
};
use crate::db::error::DbError;
use crate::db::life;
use crate::db::scope::Scope;
use crate::db::sql::{Dialect, Row, Sql};

/// Walks the list of a part and answers a stretch of it. `cap` stops after testing so many rows: fewer
/// ids than asked for then mean that the walk gave up. `reversed` counts the stretch from the end.
pub(super) async fn walk(
    connection: &impl ConnectionTrait,
    wanted: &Wanted<'_>,
    sort: SessionSort,
    part: Part,
    stretch: Stretch,
    cap: Option<u64>,
    reversed: bool,
) -> Result<Vec<Uuid>, DbError> {
    let dialect = Dialect::of(connection);
    let mut sql = Sql::new(connection, "");
    let now = sql.place(wanted.now.0);
    let in_scope = scope_condition(&mut sql, wanted.scope);
    let tests = kind_condition(&mut sql, wanted) + &search_condition(dialect, &mut sql, wanted);
    // Within a state the newest come first, whichever state does.
    let descending = match sort.key {
        SortKey::State => true,
        _ => sort.descending,
    } != reversed;
    // A part that is merged with others must bring all rows before the stretch.
    let merged = stretch.offset + stretch.rows;
    let walker = Walker {
        dialect,
        descending,
        cap,
        in_scope,
        tests,
        now: now.clone(),
    };

    let streams = match (column(sort.key, wanted.scope), part) {
        (Some((column, index)), Part::All) => {
            let state = state_condition(dialect, wanted.filter.state, &now);
            vec![walker.stream(
                &indexed(dialect, index),
                &format!("s.{column}"),
                None,
                &state,
                "",
            )]
        }
        // Only orders by creation, by state and by duration are walked in parts.
        (_, Part::Live) => vec![walker.live(wanted.scope, sort.key)],
        (_, Part::Ended) => walker.ended(sort.key),
        (None, Part::All) => {
            let mut streams = walker.ended(sort.key);
            streams.push(walker.live(wanted.scope, sort.key));
            streams
        }
    };
    let direction = word(descending);
    match streams.as_slice() {
        // Along one index the rows come in order, and SQLite stops at the last one that it needs.
        [one] => sql.push(one),
        many if cap.is_some() => {
            return merge_capped(connection, &sql, many, stretch, descending).await;
        }
        many => sql.push(&format!(
            "SELECT id FROM ({}) w ORDER BY k {direction}, id {direction}",
            many.iter()
                .map(|stream| format!("SELECT * FROM ({stream} LIMIT {merged}) p"))
                .collect::<Vec<_>>()
                .join(" UNION ALL ")
        )),
    };
    sql.push(" LIMIT ")
        .bind(stretch.rows.cast_signed())
        .push(" OFFSET ")
        .bind(stretch.offset.cast_signed());
    let mut ids = read(sql, connection).await?;
    if reversed {
        ids.reverse();
    }
    Ok(ids)
}

/// Merges streams that may have given up: beyond the last row that one of them brought, nothing is
/// known. Unless each brings as many rows as could be needed, the answer is empty. The second is of the
/// rows whose end is not stored, and never gives up.
async fn merge_capped(
    connection: &impl ConnectionTrait,
    sql: &Sql,
    streams: &[String],
    stretch: Stretch,
    descending: bool,
) -> Result<Vec<Uuid>, DbError> {
    let needed = stretch.offset + stretch.rows;
    let mut merged: Vec<(i64, Uuid)> = Vec::new();
    for (index, stream) in streams.iter().enumerate() {
        let mut sql = sql.clone();
        sql.push(stream).push(&format!(" LIMIT {needed}"));
        let rows = sql.all(connection).await?;
        if (rows.len() as u64) < needed && index != GONE {
            return Ok(Vec::new());
        }
        for row in &rows {
            merged.push((Row(row).get("k")?, Row(row).uuid("id")?));
        }
    }
    merged.sort_unstable();
    if descending {
        merged.reverse();
    }
    Ok(merged
        .into_iter()
        .map(|(_, id)| id)
        .skip(usize::try_from(stretch.offset).unwrap_or(usize::MAX))
        .take(usize::try_from(stretch.rows).unwrap_or(usize::MAX))
        .collect())
}

/// The place in `Walker::ended` of the stream of rows whose end is not stored.
const GONE: usize = 1;

struct Walker {
    dialect: Dialect,
    descending: bool,
    cap: Option<u64>,
    in_scope: String,
    /// Each begins with AND.
    tests: String,
    now: String,
}

impl Walker {
    /// `SELECT id, k` along an index. `flipped` is a column that runs against the key; `indexable` is what
    /// makes a partial index usable. With a cap, so many rows of the scope are read first and tested
    /// then, and stay in their order.
    fn stream(
        &self,
        source: &str,
        key: &str,
        flipped: Option<&str>,
        more_tests: &str,
        indexable: &str,
    ) -> String {
        let (in_scope, tests) = (&self.in_scope, &self.tests);
        let direction = word(self.descending);
        let order = match flipped {
            Some(column) => format!("{column} {}", word(!self.descending)),
            None => format!("{key} {direction}"),
        };
        match self.cap {
            None => format!(
                "SELECT s.id AS id, {key} AS k FROM {source} WHERE {in_scope}{indexable}{tests}{more_tests}
                 ORDER BY {order}, s.id {direction}"
            ),
            Some(cap) => format!(
                "SELECT s.id AS id, s.k AS k FROM (
                    SELECT s.id, s.user_id, s.organisation_id, s.kind, s.search_text, s.created_at, s.ended_at,
                        s.expires_at, {key} AS k
                    FROM {source} WHERE {in_scope}{indexable} ORDER BY {order}, s.id {direction} LIMIT {cap}
                 ) s WHERE true{tests}{more_tests}"
            ),
        }
    }

    fn live(&self, scope: Scope, key: SortKey) -> String {
        let live = format!(" AND {}", life::live(self.dialect, "s", &self.now));
        let source = indexed(self.dialect, live_index(scope));
        let indexable = " AND s.ended_at IS NULL";
        match key {
            SortKey::Duration => {
                let duration = format!("({} - s.created_at)", self.now);
                self.stream(&source, &duration, Some("s.created_at"), &live, indexable)
            }
            _ => self.stream(&source, "s.created_at", None, &live, indexable),
        }
    }

    fn ended(&self, key: SortKey) -> Vec<String> {
        let (index, stored_key, gone_key) = match key {
            SortKey::Duration => (
                "session_ended_by_duration",
                "(s.ended_at - s.created_at)",
                format!(
                    "({} - s.created_at)",
                    life::gone_at(self.dialect, &self.now)
                ),
            ),
            _ => (
                "session_ended_by_created",
                "s.created_at",
                "s.created_at".to_owned(),
            ),
        };
        let gone = life::gone(
            self.dialect,
            &format!("s.id AS id, {gone_key} AS k"),
            &self.now,
            &format!(" AND {}{}", self.in_scope, self.tests),
        );
        let direction = word(self.descending);
        vec![
            self.stream(
                &indexed(self.dialect, index),
                stored_key,
                None,
                "",
                " AND s.ended_at IS NOT NULL",
            ),
            format!("SELECT id, k FROM ({gone}) g ORDER BY k {direction}, id {direction}"),
        ]
    }
}
