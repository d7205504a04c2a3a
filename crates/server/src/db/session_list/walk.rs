//! Walks along the indexes, see `ids`.
//!
//! A walk merges one stream for each index part that the filter leaves: rows with and without a stored
//! end, where the order has a half for each, and of each kind where the kind leads the index. Each stream is
//! in the order of the list already, and tests what its index holds: nothing is read of a row that is
//! passed by. Where both states share an index, another one, of numbers alone, is asked for the state.

mod streams;

use rollcall_core::{SessionSort, SortKey};
use sea_orm::ConnectionTrait;
use uuid::Uuid;

use super::Wanted;
use super::conditions::{bounds, row_tests};
use super::ids::{
    Part, Stretch, entry_search_condition, kind_condition, read, scope_condition, search_condition,
    word,
};
use crate::db::error::DbError;
use crate::db::life;
use crate::db::overtaken::Overtaken;
use crate::db::sql::{Dialect, Row, Sql};

/// A list to be walked.
#[derive(Clone, Copy)]
pub(super) struct Walk<'a> {
    pub(super) wanted: &'a Wanted<'a>,
    pub(super) sort: SessionSort,
    pub(super) part: Part,
    /// Whether there are rows whose end is not stored, and which of them are not collected.
    pub(super) gone: bool,
    pub(super) overtaken: &'a Overtaken,
    /// Whether an order by time goes along the organisation's own rows of both states, rather than along
    /// everybody's of one.
    pub(super) along_scope: bool,
}

/// How far a walk may go: to about so many rows of each thousand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reach {
    pub(super) per_mille: u64,
}

impl Reach {
    /// About `tested` rows of `all`.
    pub(super) fn of(tested: u64, all: u64) -> Self {
        Self {
            per_mille: (tested.saturating_mul(1_000) / all.max(1)).min(999),
        }
    }
}

/// Rows from which `Reach` estimates where to stop.
const SAMPLE: u64 = 250;

/// Answers a stretch of the list. `reversed` counts it from the end; with a reach, fewer ids than asked
/// for may mean that the walk stopped.
pub(super) async fn walk(
    connection: &impl ConnectionTrait,
    list: Walk<'_>,
    stretch: Stretch,
    reversed: bool,
    reach: Option<Reach>,
) -> Result<Vec<Uuid>, DbError> {
    let mut walker = Walker::new(connection, list, reversed);
    if let Some(reach) = reach {
        walker.stop_at(connection, reach).await?;
    }
    let text = walker.ordered(stretch.offset + stretch.rows);
    let mut sql = walker.finish(&text);
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

/// The streams of a list, in no order, as a query with the column `column` of each row, for counting.
pub(super) fn unordered(connection: &impl ConnectionTrait, list: Walk<'_>, column: &str) -> Sql {
    let walker = Walker::new(connection, list, false);
    let text = walker
        .streams()
        .iter()
        .map(|stream| stream.select(&format!("s.{column} AS found")))
        .collect::<Vec<_>>()
        .join(" UNION ALL ");
    walker.finish(&text)
}

struct Walker<'a> {
    list: Walk<'a>,
    dialect: Dialect,
    sql: Sql,
    /// Common table expressions.
    with: Vec<String>,
    descending: bool,
    now: String,
    in_scope: String,
    /// What a filter by kind, and a search with the other filters, ask; each begins with AND.
    kind: String,
    search: String,
    /// The search of a row of `Dialect::entry`.
    entry_search: String,
    /// From where to where filters by time leave the column that the order follows; begins with AND.
    bounds: String,
    /// What epochs have overtaken; `None` where that makes no difference.
    overtaken: Option<OvertakenRows>,
    /// Whether there is a table `bound` with the last key.
    bounded: bool,
}

/// Which rows without a stored end an epoch has overtaken, as conditions on `s`.
struct OvertakenRows {
    /// All of the scope, but for what is newer.
    whole: bool,
    /// By the creation, and the opposite.
    by_creation: String,
    alive_by_creation: String,
    /// By the id, for indexes without a creation.
    by_id: String,
    /// Those that ended together, and when.
    layers: Vec<(String, String)>,
}

/// One part of one index.
struct Stream {
    source: String,
    conditions: String,
    key: String,
    /// A column that runs against the key, to order by.
    against: Option<&'static str>,
    descending: bool,
}

impl Stream {
    fn select(&self, what: &str) -> String {
        format!(
            "SELECT {what} FROM {} WHERE {}",
            self.source, self.conditions
        )
    }

    fn keyed(&self) -> String {
        self.select(&format!("s.id AS id, {} AS k", self.key))
    }

    fn order(&self) -> String {
        let direction = word(self.descending);
        match self.against {
            Some(column) => format!("{column} {}, s.id {direction}", word(!self.descending)),
            None => format!("{} {direction}, s.id {direction}", self.key),
        }
    }
}

impl<'a> Walker<'a> {
    fn new(connection: &impl ConnectionTrait, list: Walk<'a>, reversed: bool) -> Self {
        let dialect = Dialect::of(connection);
        let mut sql = Sql::new(connection, "");
        let now = sql.place(list.wanted.now.0);
        let in_scope = scope_condition(&mut sql, list.wanted.scope);
        let kind = kind_condition(&mut sql, list.wanted);
        let search = search_condition(dialect, &mut sql, list.wanted);
        let entry_search = entry_search_condition(dialect, &mut sql, list.wanted, &search);
        // Read from the row itself, once the index has let it pass.
        let more = row_tests(&mut sql, list.wanted, "s.number");
        let (search, entry_search) = (search + &more, entry_search + &more);
        let bounds = match (list.sort.key, list.part) {
            // Which does not follow a column.
            (SortKey::Duration, Part::Ended) => String::new(),
            (key, _) => bounds(&mut sql, list.wanted, column(key)),
        };
        // Within a state the newest come first, whichever state does.
        let descending = match list.sort.key {
            SortKey::State => true,
            _ => list.sort.descending,
        } != reversed;
        let mut walker = Self {
            list,
            dialect,
            sql,
            with: Vec::new(),
            descending,
            now,
            in_scope,
            kind,
            search,
            entry_search,
            bounds,
            overtaken: None,
            bounded: false,
        };
        if walker.states_matter() && !list.overtaken.is_empty() {
            let (overtaken, scope) = (list.overtaken, list.wanted.scope);
            let sql = &mut walker.sql;
            walker.overtaken = Some(OvertakenRows {
                whole: overtaken.nothing_lives_until(scope).is_some(),
                by_creation: overtaken.by_creation(sql),
                alive_by_creation: overtaken.alive_by_creation(sql, scope),
                by_id: overtaken.by_id(sql, scope),
                layers: overtaken.layers(sql),
            });
            let spared = overtaken.spared(sql);
            walker
                .with
                .push(format!("spared AS MATERIALIZED ({spared})"));
        }
        if walker.gone_matters() {
            let key = match list.sort.key {
                SortKey::Duration => {
                    format!("({} - s.created_at)", life::gone_at(dialect, &walker.now))
                }
                key => format!("s.{}", column(key)),
            };
            let and = format!(" AND {}", walker.in_scope);
            let gone = life::collected(
                &mut walker.sql,
                list.overtaken,
                &format!(
                    "s.id AS id, s.number AS number, s.kind AS kind, s.search_text AS search_text, {key} AS k"
                ),
                &walker.now,
                &and,
            );
            walker.with.push(format!("gone AS MATERIALIZED ({gone})"));
        }
        walker
    }

    /// Rows whose end is not stored lie among the live ones; where that is their place too, nothing is
    /// to be done.
    fn gone_matters(&self) -> bool {
        self.list.gone && self.states_matter()
    }

    fn states_matter(&self) -> bool {
        self.list.part != Part::All || self.list.sort.key == SortKey::Duration
    }

    /// Finds the key at which to stop, from rows that are evenly spread over all there are.
    async fn stop_at(
        &mut self,
        connection: &impl ConnectionTrait,
        reach: Reach,
    ) -> Result<(), DbError> {
        let numbers = sample(connection).await?;
        let key = match self.list.sort.key {
            SortKey::Duration => {
                format!("coalesce(s.ended_at, {}) - s.created_at", self.now)
            }
            key => format!("s.{}", column(key)),
        };
        let place = self.sql.place(numbers);
        let direction = word(self.descending);
        self.with.push(format!(
            "bound AS MATERIALIZED (SELECT {key} AS k FROM session s WHERE {}{} ORDER BY k {direction} LIMIT 1 OFFSET {})",
            listed_numbers(self.dialect, &place),
            self.bounds,
            SAMPLE * reach.per_mille / 1_000,
        ));
        self.bounded = true;
        Ok(())
    }

    fn finish(&self, text: &str) -> Sql {
        let mut sql = self.sql.clone();
        if !self.with.is_empty() {
            sql.push(&format!("WITH {} ", self.with.join(", ")));
        }
        sql.push(text);
        sql
    }

    /// All streams, merged. `needed` is how many rows of each matter.
    fn ordered(&self, needed: u64) -> String {
        let streams = self.streams();
        let direction = word(self.descending);
        match streams.as_slice() {
            [one] => format!("{} ORDER BY {}", one.keyed(), one.order()),
            many if self.dialect == Dialect::Sqlite
                && many.iter().all(|stream| stream.against.is_none()) =>
            {
                // SQLite merges what it finds in order, and stops at the last row that it needs.
                format!(
                    "{} ORDER BY k {direction}, id {direction}",
                    join(many.iter().map(Stream::keyed))
                )
            }
            many => format!(
                "SELECT id, k FROM ({}) w ORDER BY k {direction}, id {direction}",
                join(many.iter().map(|stream| format!(
                    "SELECT * FROM ({} ORDER BY {} LIMIT {needed}) p",
                    stream.keyed(),
                    stream.order()
                )))
            ),
        }
    }
}

fn join(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(" UNION ALL ")
}

/// The column of an order; of those that depend on the state, the one that it follows within a state.
pub(super) fn column(key: SortKey) -> &'static str {
    match key {
        SortKey::CreatedAt | SortKey::State | SortKey::Duration => "created_at",
        SortKey::LastActivityAt => "last_activity_at",
        SortKey::Ip => "ip_bytes",
        SortKey::Name => "name_key",
        SortKey::User => "email",
        SortKey::Browser => "browser_key",
    }
}

/// Numbers evenly spread over those of all rows, as text.
async fn sample(connection: &impl ConnectionTrait) -> Result<String, DbError> {
    let sql = Sql::new(
        connection,
        "SELECT coalesce((SELECT min(number) FROM session), 0) AS first,
            coalesce((SELECT max(number) FROM session), 0) AS last",
    );
    let (first, last) = match sql.one(connection).await? {
        Some(row) => (
            Row(&row).get::<i64>("first")?,
            Row(&row).get::<i64>("last")?,
        ),
        None => (0, 0),
    };
    let step = ((last - first) / SAMPLE.cast_signed()).max(1);
    let numbers = (0..SAMPLE.cast_signed()).map(|index| (first + index * step).to_string());
    Ok(numbers.collect::<Vec<_>>().join(","))
}

/// A test whether a row is one of those whose numbers stand in a text.
pub(super) fn listed_numbers(dialect: Dialect, place: &str) -> String {
    match dialect {
        Dialect::Sqlite => {
            format!("s.number IN (SELECT value FROM json_each('[' || {place} || ']'))")
        }
        Dialect::Postgres => format!("s.number = ANY(string_to_array({place}, ',')::bigint[])"),
    }
}
