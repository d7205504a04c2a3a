//! Walks along the indexes, see `ids`.
//!
//! A walk merges one stream for each index part that the filter leaves: rows with and without a stored
//! end, and of each kind where the kind leads the index. Each stream is in the order of the list
//! already, and tests what its index holds: nothing is read of a row that is passed by.

use rollcall_core::{Kind, SessionSort, SortKey};
use sea_orm::ConnectionTrait;
use uuid::Uuid;

use super::Wanted;
use super::ids::{
    Part, Stretch, indexed, kind_condition, read, scope_condition, search_condition, word,
};
use crate::db::error::DbError;
use crate::db::life;
use crate::db::scope::Scope;
use crate::db::sql::{Dialect, Row, Sql};

/// A list to be walked.
#[derive(Clone, Copy)]
pub(super) struct Walk<'a> {
    pub(super) wanted: &'a Wanted<'a>,
    pub(super) sort: SessionSort,
    pub(super) part: Part,
    /// Whether there may be rows whose end is not stored.
    pub(super) gone: bool,
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
    /// What a filter by kind and a search ask; each begins with AND.
    kind: String,
    search: String,
    /// Whether there is a table `bound` with the last key.
    bounded: bool,
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
            bounded: false,
        };
        if walker.gone_matters() {
            let key = match list.sort.key {
                SortKey::Duration => {
                    format!("({} - s.created_at)", life::gone_at(dialect, &walker.now))
                }
                key => format!("s.{}", column(key)),
            };
            let gone = life::gone(
                dialect,
                &format!(
                    "s.id AS id, s.number AS number, s.kind AS kind, s.search_text AS search_text, {key} AS k"
                ),
                &walker.now,
                &format!(" AND {}", walker.in_scope),
            );
            walker.with.push(format!("gone AS MATERIALIZED ({gone})"));
        }
        walker
    }

    /// Rows whose end is not stored lie among the live ones; where that is their place too, nothing is
    /// to be done.
    fn gone_matters(&self) -> bool {
        self.list.gone && (self.list.part != Part::All || self.list.sort.key == SortKey::Duration)
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
            "bound AS MATERIALIZED (SELECT {key} AS k FROM session s WHERE {} ORDER BY k {direction} LIMIT 1 OFFSET {})",
            listed_numbers(self.dialect, &place),
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

    fn streams(&self) -> Vec<Stream> {
        let list = &self.list;
        let mut streams = Vec::new();
        let whole = list.part == Part::All
            && list.sort.key == SortKey::CreatedAt
            && list.wanted.needle.is_none();
        if whole {
            let index = match list.wanted.scope {
                Scope::Organisation(_) => "session_by_organisation",
                _ => "session_by_created",
            };
            streams.push(self.stream(index, "s.created_at".to_owned(), None, &self.kind));
            return streams;
        }
        if list.part != Part::Ended {
            self.live(&mut streams);
        }
        if list.part != Part::Live {
            self.ended(&mut streams);
        }
        let gone_have_a_place = list.part == Part::Ended
            || (list.part == Part::All && list.sort.key == SortKey::Duration);
        if self.gone_matters() && gone_have_a_place {
            streams.push(Stream {
                source: "gone s".to_owned(),
                conditions: format!(
                    "true{}{}{}",
                    self.kind,
                    self.search,
                    self.within_reach("s.k", None)
                ),
                key: "s.k".to_owned(),
                against: None,
                descending: self.descending,
            });
        }
        streams
    }

    fn stream(
        &self,
        index: &str,
        key: String,
        against: Option<&'static str>,
        conditions: &str,
    ) -> Stream {
        let conditions = format!(
            "{}{conditions}{}{}",
            self.in_scope,
            self.search,
            self.within_reach(&key, against)
        );
        Stream {
            source: indexed(self.dialect, index),
            conditions,
            key,
            against,
            descending: self.descending,
        }
    }

    /// The last key, for a walk with a reach; begins with AND.
    fn within_reach(&self, key: &str, against: Option<&str>) -> String {
        if !self.bounded {
            return String::new();
        }
        let sign = if self.descending { ">=" } else { "<=" };
        match against {
            None => format!(" AND {key} {sign} (SELECT k FROM bound)"),
            // What runs against the key is bounded from the other side.
            Some(column) => {
                let sign = if self.descending { "<=" } else { ">=" };
                format!(" AND {column} {sign} (SELECT {} - k FROM bound)", self.now)
            }
        }
    }

    fn live(&self, streams: &mut Vec<Stream>) {
        let mut conditions = " AND s.ended_at IS NULL".to_owned();
        if self.gone_matters() {
            conditions.push_str(" AND s.id NOT IN (SELECT id FROM gone)");
        }
        let by_time = self.by_time("live");
        match self.list.sort.key {
            SortKey::Duration => streams.push(self.stream(
                by_time,
                format!("({} - s.created_at)", self.now),
                Some("s.created_at"),
                &format!("{conditions}{}", self.kind),
            )),
            SortKey::CreatedAt | SortKey::State => streams.push(self.stream(
                by_time,
                "s.created_at".to_owned(),
                None,
                &format!("{conditions}{}", self.kind),
            )),
            key => self.by_column(key, "live", &conditions, streams),
        }
    }

    fn ended(&self, streams: &mut Vec<Stream>) {
        let conditions = " AND s.ended_at IS NOT NULL";
        match self.list.sort.key {
            SortKey::Duration => streams.push(self.stream(
                "session_ended_by_duration",
                "(s.ended_at - s.created_at)".to_owned(),
                None,
                &format!("{conditions}{}", self.kind),
            )),
            SortKey::CreatedAt | SortKey::State => streams.push(self.stream(
                self.by_time("ended"),
                "s.created_at".to_owned(),
                None,
                &format!("{conditions}{}", self.kind),
            )),
            key => self.by_column(key, "ended", conditions, streams),
        }
    }

    fn by_time(&self, part: &str) -> &'static str {
        match (part, self.list.wanted.scope) {
            ("live", Scope::Organisation(_)) => "session_live_by_organisation",
            ("live", _) => "session_live_by_created",
            (_, Scope::Organisation(_)) => "session_ended_by_organisation",
            _ => "session_ended_by_created",
        }
    }

    fn by_column(&self, key: SortKey, part: &str, conditions: &str, streams: &mut Vec<Stream>) {
        let index = format!("session_{part}_by_{}", name(key));
        let column = format!("s.{}", column(key));
        if key == SortKey::LastActivityAt {
            let conditions = format!("{conditions}{}", self.kind);
            streams.push(self.stream(&index, column, None, &conditions));
            return;
        }
        let kinds = match &self.list.wanted.filter.kind {
            Some(kind) => std::slice::from_ref(kind),
            None => Kind::ALL,
        };
        for kind in kinds {
            // A word of ours, and part of what the statement is.
            let conditions = format!("{conditions} AND s.kind = '{}'", kind.as_str());
            streams.push(self.stream(&index, column.clone(), None, &conditions));
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

/// How indexes call a column.
fn name(key: SortKey) -> &'static str {
    match key {
        SortKey::CreatedAt | SortKey::State | SortKey::Duration => "created",
        SortKey::LastActivityAt => "activity",
        SortKey::Ip => "ip",
        SortKey::Name => "name",
        SortKey::User => "email",
        SortKey::Browser => "browser",
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
