//! Lists of audit events, newest first, over a million of them.
//!
//! Every filter but "success" has an index that ends with the number, so that its events come in the order of the
//! list. Of several filters the one with the fewest events is gone along, and the others are tested; how many each
//! has is counted up to `SMALL`. Times and ranges of addresses do not come in that order: few are sorted, and many
//! are met soon by going along the numbers.

mod conditions;
mod row;

use rollcall_core::{AuditEvent, AuditOutcome, AuditQuery, Page, Timestamp, Who};
use sea_orm::ConnectionTrait;
use uuid::Uuid;

use super::audit::head;
use super::error::DbError;
use super::scope::Scope;
use super::sql::{Dialect, Row, Sql};
use conditions::ids;

/// Totals are exact up to here.
const COUNTED: u64 = 10_000;

/// So many events are tested, or sorted, without a second thought.
const SMALL: u64 = 20_000;

/// Fewer than this are not worth looking for a filter with fewer still.
const FEW: u64 = 5_000;

/// What a list goes along.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    Session,
    User,
    Actor,
    Target,
    Address,
    Outcome,
    Action,
    Time,
    Organisation,
    /// The numbers themselves.
    All,
}

/// Where a list that is read in parts goes on.
#[derive(Clone, Copy, Debug)]
pub struct After {
    before: i64,
    way: Way,
}

/// What is asked, with users as ids; `None` for any user, an empty list for one that nobody knows.
struct Wanted<'a> {
    scope: Scope,
    query: &'a AuditQuery,
    user_as_actor: Option<Vec<Uuid>>,
    user_as_target: Option<Vec<Uuid>>,
    actor: Option<Vec<Uuid>>,
    target: Option<Vec<Uuid>>,
}

/// One page. An administrator of one organisation sees only its own events, and an actor of another
/// organisation only as "Platform administrator". Totals are exact up to 10,000, and without a filter.
pub async fn list(
    connection: &impl ConnectionTrait,
    scope: Scope,
    query: &AuditQuery,
    now: Timestamp,
) -> Result<Page<AuditEvent>, DbError> {
    let size = u64::from(query.page_size.get());
    let offset = u64::from(query.page.get() - 1) * size;
    let wanted = Wanted::read(connection, scope, query).await?;
    let (numbers, total, total_is_exact) = if wanted.is_everything() {
        // Numbers have no gaps and nothing is deleted, so that the newest is the count.
        let newest = head(connection).await?.0;
        let from = newest - offset.cast_signed();
        let numbers = (from - size.cast_signed() + 1).max(1)..=from;
        (numbers.rev().collect(), newest.cast_unsigned(), true)
    } else {
        let after = wanted.begin(connection).await?;
        let found = wanted.count(connection, after).await?;
        let numbers = if offset < found || found > COUNTED {
            wanted.numbers(connection, after, size, offset).await?
        } else {
            Vec::new()
        };
        (numbers, found.min(COUNTED), found <= COUNTED)
    };
    Ok(Page {
        items: row::read(connection, scope, &numbers).await?,
        total,
        total_is_exact,
        page: query.page.get(),
        page_size: query.page_size.get(),
        as_of: now,
    })
}

/// The next `limit` events, newest first, and where to go on; for streaming all of them without holding a read
/// open. The pages of the query do not count.
pub async fn list_after(
    connection: &impl ConnectionTrait,
    scope: Scope,
    query: &AuditQuery,
    after: Option<After>,
    limit: u64,
) -> Result<(Vec<AuditEvent>, Option<After>), DbError> {
    let wanted = Wanted::read(connection, scope, query).await?;
    let after = match after {
        Some(after) => after,
        None => wanted.begin(connection).await?,
    };
    let numbers = wanted.numbers(connection, after, limit, 0).await?;
    let next = (numbers.len() as u64 == limit)
        .then(|| numbers.last())
        .flatten()
        .map(|last| After {
            before: *last,
            ..after
        });
    Ok((row::read(connection, scope, &numbers).await?, next))
}

impl<'a> Wanted<'a> {
    async fn read(
        connection: &impl ConnectionTrait,
        scope: Scope,
        query: &'a AuditQuery,
    ) -> Result<Self, DbError> {
        // An actor who is shown without a name cannot be asked for by id either.
        let actors = async |who: &Option<Who>| ids(connection, scope, who, true).await;
        let targets = async |who: &Option<Who>| ids(connection, scope, who, false).await;
        Ok(Self {
            scope,
            query,
            user_as_actor: actors(&query.user).await?,
            user_as_target: targets(&query.user).await?,
            actor: actors(&query.actor).await?,
            target: targets(&query.target).await?,
        })
    }

    fn is_everything(&self) -> bool {
        let query = AuditQuery {
            page: self.query.page,
            page_size: self.query.page_size,
            ..AuditQuery::default()
        };
        self.scope == Scope::All && *self.query == query
    }

    /// The ways that the filters open.
    fn ways(&self) -> Vec<Way> {
        let query = self.query;
        let failure = query
            .outcome
            .is_some_and(|outcome| outcome != AuditOutcome::Success);
        [
            (query.session.is_some(), Way::Session),
            (query.user.is_some(), Way::User),
            (query.actor.is_some(), Way::Actor),
            (query.target.is_some(), Way::Target),
            (query.ip.is_some(), Way::Address),
            (failure, Way::Outcome),
            (query.action.is_some(), Way::Action),
            (query.from.is_some() || query.until.is_some(), Way::Time),
            (
                matches!(self.scope, Scope::Organisation(_)),
                Way::Organisation,
            ),
        ]
        .into_iter()
        .filter_map(|(open, way)| open.then_some(way))
        .collect()
    }

    /// Whether a way leads along events in the order of their numbers.
    fn in_order(&self, way: Way) -> bool {
        match way {
            Way::Time => false,
            Way::Address => self.query.ip.is_some_and(|range| range.is_single()),
            _ => true,
        }
    }

    /// Chooses the way, and where it begins.
    async fn begin(&self, connection: &impl ConnectionTrait) -> Result<After, DbError> {
        let mut best = (u64::MAX, Way::All);
        let mut many_at_a_time = false;
        let ways = self.ways();
        if let [only] = ways[..]
            && self.in_order(only)
        {
            // There is nothing to choose.
            return Ok(After {
                before: i64::MAX,
                way: only,
            });
        }
        for way in ways {
            if way == Way::Organisation && best.0 <= SMALL {
                break;
            }
            let size = self.size(connection, way).await?;
            many_at_a_time |= way == Way::Time && size > SMALL;
            // Of those that are many only one that needs no sorting will do.
            let usable = size <= SMALL || self.in_order(way);
            if usable && size < best.0 {
                best = (size, way);
            }
            if size <= FEW {
                break;
            }
        }
        let mut before = i64::MAX;
        if many_at_a_time && best.0 > SMALL {
            // What is newer than all of them need not be passed.
            before = self.newest_at(connection).await?.saturating_add(1);
        }
        Ok(After {
            before,
            way: best.1,
        })
    }

    /// How many events a filter has by itself, counted until they are many.
    async fn size(&self, connection: &impl ConnectionTrait, way: Way) -> Result<u64, DbError> {
        let mut sql = Sql::new(connection, "");
        let streams: Vec<_> = self
            .branches(&mut sql, way)
            .into_iter()
            .map(|(index, condition)| {
                let from = from(connection, index);
                format!("SELECT e.sequence FROM {from} WHERE {condition}")
            })
            .collect();
        let stop = sql.place((SMALL + 1).cast_signed());
        count(connection, sql, &limited(&streams, "", &stop)).await
    }

    async fn newest_at(&self, connection: &impl ConnectionTrait) -> Result<i64, DbError> {
        let mut sql = Sql::new(connection, "");
        let condition = self.at(&mut sql);
        let all = sql.place(i64::MAX);
        // Behind a limit PostgreSQL does not look for the greatest number from the newest event on, which
        // would pass by everything that is newer than the range.
        let sql = sql.within(
            &format!(
                "SELECT max(b.sequence) AS newest FROM (SELECT e.sequence FROM {} WHERE {condition} LIMIT {all}) b",
                from(connection, "audit_event_by_time")
            ),
            "",
        );
        let newest = match sql.one(connection).await? {
            Some(row) => Row(&row).get::<Option<i64>>("newest")?,
            None => None,
        };
        Ok(newest.unwrap_or(0))
    }

    /// How many match; beyond `COUNTED` one more than that.
    async fn count(&self, connection: &impl ConnectionTrait, after: After) -> Result<u64, DbError> {
        let mut sql = Sql::new(connection, "");
        let streams = self.streams(connection, &mut sql, after);
        let stop = sql.place((COUNTED + 1).cast_signed());
        let parts = limited(&streams, "", &stop);
        Ok(count(connection, sql, &parts).await?.min(COUNTED + 1))
    }

    /// The numbers of a stretch of the list.
    async fn numbers(
        &self,
        connection: &impl ConnectionTrait,
        after: After,
        limit: u64,
        offset: u64,
    ) -> Result<Vec<i64>, DbError> {
        let mut sql = Sql::new(connection, "");
        let streams = self.streams(connection, &mut sql, after);
        let stretch = |sql: &mut Sql| {
            let (limit, offset) = (
                sql.place(limit.cast_signed()),
                sql.place(offset.cast_signed()),
            );
            format!("LIMIT {limit} OFFSET {offset}")
        };
        const NEWEST_FIRST: &str = " ORDER BY e.sequence DESC";
        let in_order = self.in_order(after.way);
        let text = match &streams[..] {
            [only] if in_order => format!("{only}{NEWEST_FIRST} {}", stretch(&mut sql)),
            _ => {
                let (order, reach) = match in_order {
                    true => (NEWEST_FIRST, limit.saturating_add(offset)),
                    false => ("", SMALL + 1),
                };
                let reach = sql.place(reach.cast_signed());
                // Where several streams bring the same event, it is one.
                let parts = limited(&streams, order, &reach).join(" UNION ");
                let stretch = stretch(&mut sql);
                format!("SELECT sequence FROM ({parts}) n ORDER BY sequence DESC {stretch}")
            }
        };
        let rows = sql.within(&text, "").all(connection).await?;
        rows.iter()
            .map(|row| Ok(Row(row).get("sequence")?))
            .collect()
    }

    /// A query for each stream of a way, with every condition.
    fn streams(
        &self,
        connection: &impl ConnectionTrait,
        sql: &mut Sql,
        after: After,
    ) -> Vec<String> {
        let mut all = self.conditions(sql);
        if after.before != i64::MAX {
            all.push_str(&format!(" AND e.sequence < {}", sql.place(after.before)));
        }
        self.branches(sql, after.way)
            .into_iter()
            .map(|(index, condition)| {
                let from = from(connection, index);
                format!("SELECT e.sequence FROM {from} WHERE {condition}{all}")
            })
            .collect()
    }
}

// Each stream by itself, as far as it is needed.
fn limited(streams: &[String], order: &str, limit: &str) -> Vec<String> {
    let part = |stream: &String| format!("SELECT * FROM ({stream}{order} LIMIT {limit}) b");
    streams.iter().map(part).collect()
}

fn from(connection: &impl ConnectionTrait, index: &str) -> String {
    if index.is_empty() {
        return "audit_event e".to_owned();
    }
    format!("audit_event e{}", Dialect::of(connection).by(index))
}

async fn count(
    connection: &impl ConnectionTrait,
    sql: Sql,
    parts: &[String],
) -> Result<u64, DbError> {
    let sql = sql.within(
        &format!(
            "SELECT count(*) AS found FROM ({}) c",
            parts.join(" UNION ")
        ),
        "",
    );
    match sql.one(connection).await? {
        Some(row) => Ok(Row(&row).get::<i64>("found")?.cast_unsigned()),
        None => Ok(0),
    }
}
