//! Which way to a page reads the least.
//!
//! Without a search the number of rows that match is known from the counters, and with it how many rows
//! a walk would test. With a search, one cheap question tells whether the word is rare: a count in the
//! search index that stops at 10,001. Rare means sorting the matches; common means walking and, where
//! the walk finds too little (all matches may lie at the far end), sorting the matches after all.

use rollcall_core::{SessionSort, SortKey, State};
use sea_orm::ConnectionTrait;
use uuid::Uuid;

use super::Wanted;
use super::ids::{self, Part, Set, Stretch};
use super::search::{self, Matches};
use super::walk;
use crate::db::counters::{self, Tally, natural};
use crate::db::error::DbError;
use crate::db::scope::Scope;

/// Where one plan gives way to another. Every plan gives the same answers; tests set these to have each.
#[derive(Clone, Copy, Debug)]
pub struct Thresholds {
    /// Totals with a search are exact up to here, and a word that more rows have is common.
    pub counted: u64,
    /// A set of so many rows is read rather than the search index.
    pub small: u64,
    /// A walk that looks for a common word gives up after testing so many rows.
    pub cap: u64,
    /// Reading a row of a set and sorting it costs about so many steps of a walk.
    pub sorted: u64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            counted: 10_000,
            small: 20_000,
            cap: 5_000,
            sorted: 2,
        }
    }
}

/// How many rows match.
#[derive(Clone, Copy, Debug)]
pub(super) struct Total {
    pub(super) rows: u64,
    pub(super) exact: bool,
}

impl Total {
    fn capped(found: u64, counted: u64) -> Self {
        Self {
            rows: found.min(counted),
            exact: found <= counted,
        }
    }
}

/// The ids of a page, and the total.
pub(super) async fn page(
    connection: &impl ConnectionTrait,
    wanted: &Wanted<'_>,
    sort: SessionSort,
    offset: u64,
    size: u64,
) -> Result<(Vec<Uuid>, Total), DbError> {
    let stretch = Stretch { offset, rows: size };
    if let Scope::User(_) = wanted.scope {
        let total = Total {
            rows: ids::count(connection, wanted, Set::Scope, None).await?,
            exact: true,
        };
        let ids = ids::sort(connection, wanted, sort, Set::Scope, stretch).await?;
        return Ok((ids, total));
    }
    let tally = counters::tally(connection, wanted.scope, wanted.now).await?;
    match &wanted.needle {
        None => unsearched(connection, wanted, sort, stretch, &tally).await,
        Some(needle) => searched(connection, wanted, needle, sort, stretch, &tally).await,
    }
}

/// How many match, exactly.
pub(super) async fn count(
    connection: &impl ConnectionTrait,
    wanted: &Wanted<'_>,
) -> Result<u64, DbError> {
    if let Scope::User(_) = wanted.scope {
        return ids::count(connection, wanted, Set::Scope, None).await;
    }
    let tally = counters::tally(connection, wanted.scope, wanted.now).await?;
    let Some(needle) = &wanted.needle else {
        return Ok(known(wanted, &tally));
    };
    let matches = search::matches(connection, wanted.scope, needle).await?;
    match smaller_set(wanted, &tally) {
        _ if matches!(matches, Matches::None) => Ok(0),
        Some(set) => ids::count(connection, wanted, set, None).await,
        None => ids::count(connection, wanted, Set::Matches(&matches), None).await,
    }
}

/// How many match without the search.
fn known(wanted: &Wanted<'_>, tally: &Tally) -> u64 {
    let sum = tally.sum(wanted.filter.kind);
    natural(match wanted.filter.state {
        None => sum.total,
        Some(State::Active) => sum.active,
        Some(State::Ended) => sum.total - sum.active,
    })
}

/// The smallest set that an index leads to and that holds everything wanted, and its size.
fn smallest_set<'a>(wanted: &Wanted<'_>, tally: &Tally) -> (Set<'a>, u64) {
    let sum = tally.sum(None);
    match (wanted.scope, wanted.filter.state) {
        (_, Some(State::Active)) => (Set::Unended, natural(sum.active)),
        (Scope::All, Some(State::Ended)) => (Set::Ended, natural(sum.total - sum.active)),
        (Scope::All, None) => (Set::All, natural(sum.total)),
        _ => (Set::Scope, natural(sum.total)),
    }
}

fn smaller_set<'a>(wanted: &Wanted<'_>, tally: &Tally) -> Option<Set<'a>> {
    let (set, size) = smallest_set(wanted, tally);
    (size <= wanted.thresholds.small).then_some(set)
}

async fn unsearched(
    connection: &impl ConnectionTrait,
    wanted: &Wanted<'_>,
    sort: SessionSort,
    stretch: Stretch,
    tally: &Tally,
) -> Result<(Vec<Uuid>, Total), DbError> {
    let rows = known(wanted, tally);
    let total = Total { rows, exact: true };
    if stretch.offset >= rows {
        return Ok((Vec::new(), total));
    }
    let stretch = Stretch {
        rows: stretch.rows.min(rows - stretch.offset),
        ..stretch
    };
    let (set, set_size) = smallest_set(wanted, tally);
    // A walk tests more rows than it brings where others lie between.
    let walked_rows = walked(connection, wanted, sort, tally).await?;
    let from_nearer_end = (stretch.offset + stretch.rows).min(rows - stretch.offset);
    let walk_cost = from_nearer_end.saturating_mul(walked_rows.max(rows)) / rows;
    if set_size.saturating_mul(wanted.thresholds.sorted) < walk_cost {
        return Ok((
            ids::sort(connection, wanted, sort, set, stretch).await?,
            total,
        ));
    }
    let ids = match (sort.key, wanted.filter.state) {
        (SortKey::State, None) => by_state(connection, wanted, sort, stretch, tally).await?,
        _ => walk(connection, wanted, sort, part(wanted, sort), stretch, rows).await?,
    };
    Ok((ids, total))
}

/// How many rows the index has that a walk would go along.
async fn walked(
    connection: &impl ConnectionTrait,
    wanted: &Wanted<'_>,
    sort: SessionSort,
    tally: &Tally,
) -> Result<u64, DbError> {
    let own = tally.sum(None);
    Ok(match (part(wanted, sort), wanted.scope, sort.key) {
        (Part::Live, ..) => natural(own.active),
        (Part::All, Scope::Organisation(_), SortKey::CreatedAt) => natural(own.total),
        (_, Scope::All, _) => natural(own.total),
        _ => counters::stored_total(connection).await?,
    })
}

/// The part that a filter by state leaves, where the order has parts.
fn part(wanted: &Wanted<'_>, sort: SessionSort) -> Part {
    match (sort.key, wanted.filter.state, wanted.scope) {
        (SortKey::CreatedAt | SortKey::State | SortKey::Duration, Some(State::Active), _) => {
            Part::Live
        }
        (SortKey::State | SortKey::Duration, Some(State::Ended), _) => Part::Ended,
        (SortKey::CreatedAt, Some(State::Ended), Scope::All) => Part::Ended,
        _ => Part::All,
    }
}

/// Living rows first or last, then the others; how many live is known.
async fn by_state(
    connection: &impl ConnectionTrait,
    wanted: &Wanted<'_>,
    sort: SessionSort,
    stretch: Stretch,
    tally: &Tally,
) -> Result<Vec<Uuid>, DbError> {
    let sum = tally.sum(wanted.filter.kind);
    let (live, ended) = (natural(sum.active), natural(sum.total - sum.active));
    let groups = if sort.descending {
        [(Part::Ended, ended), (Part::Live, live)]
    } else {
        [(Part::Live, live), (Part::Ended, ended)]
    };
    let mut ids = Vec::new();
    let mut offset = stretch.offset;
    for (part, rows) in groups {
        let wanted_rows = (stretch.rows - ids.len() as u64).min(rows.saturating_sub(offset));
        if wanted_rows > 0 {
            let here = Stretch {
                offset,
                rows: wanted_rows,
            };
            ids.extend(walk(connection, wanted, sort, part, here, rows).await?);
        }
        offset = offset.saturating_sub(rows);
    }
    Ok(ids)
}

/// Walks from the nearer end of a list of `total` rows.
async fn walk(
    connection: &impl ConnectionTrait,
    wanted: &Wanted<'_>,
    sort: SessionSort,
    part: Part,
    stretch: Stretch,
    total: u64,
) -> Result<Vec<Uuid>, DbError> {
    let behind = total.saturating_sub(stretch.offset + stretch.rows);
    if behind < stretch.offset {
        let stretch = Stretch {
            offset: behind,
            ..stretch
        };
        walk::walk(connection, wanted, sort, part, stretch, None, true).await
    } else {
        walk::walk(connection, wanted, sort, part, stretch, None, false).await
    }
}

async fn searched(
    connection: &impl ConnectionTrait,
    wanted: &Wanted<'_>,
    needle: &str,
    sort: SessionSort,
    stretch: Stretch,
    tally: &Tally,
) -> Result<(Vec<Uuid>, Total), DbError> {
    let counted = wanted.thresholds.counted;
    // A small set is read as it is.
    if let Some(set) = smaller_set(wanted, tally) {
        let total = Total::capped(ids::count(connection, wanted, set, None).await?, counted);
        let (set, _) = smallest_set(wanted, tally);
        return Ok((
            ids::sort(connection, wanted, sort, set, stretch).await?,
            total,
        ));
    }
    let matches = search::matches(connection, wanted.scope, needle).await?;
    let stop = counted + 1;
    let plain =
        wanted.scope == Scope::All && wanted.filter.state.is_none() && wanted.filter.kind.is_none();
    let in_index = search::count_up_to(connection, &matches, stop).await?;
    let found = match in_index {
        Some(0) => 0,
        Some(found) if plain => found,
        // Other conditions thin out the matches; they are counted with them.
        _ => ids::count(connection, wanted, Set::Matches(&matches), Some(stop)).await?,
    };
    let total = Total::capped(found, counted);
    if found == 0 {
        return Ok((Vec::new(), total));
    }
    let rare = in_index.unwrap_or(found) <= counted || found <= counted;
    if !rare {
        let ids = match (sort.key, wanted.filter.state) {
            // Only the group that comes first can be walked without knowing how many it has.
            (SortKey::State, None) if sort.descending => {
                capped(connection, wanted, sort, Part::Ended, stretch).await?
            }
            (SortKey::State, None) => capped(connection, wanted, sort, Part::Live, stretch).await?,
            _ => capped(connection, wanted, sort, part(wanted, sort), stretch).await?,
        };
        if ids.len() as u64 == stretch.rows {
            return Ok((ids, total));
        }
    }
    let ids = ids::sort(connection, wanted, sort, Set::Matches(&matches), stretch).await?;
    Ok((ids, total))
}

async fn capped(
    connection: &impl ConnectionTrait,
    wanted: &Wanted<'_>,
    sort: SessionSort,
    part: Part,
    stretch: Stretch,
) -> Result<Vec<Uuid>, DbError> {
    walk::walk(
        connection,
        wanted,
        sort,
        part,
        stretch,
        Some(wanted.thresholds.cap),
        false,
    )
    .await
}
