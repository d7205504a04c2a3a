//! Which way to a page reads the least. A filter by anything but state, kind and organisation is a search here.
//!
//! Without a search the number of rows that match is known from the counters, and with it how many rows
//! a walk would test. With a search, up to 10,001 rows are found by the search index, or, where the
//! filter leaves few rows, by testing those. At most 10,000 are all there are, and can be sorted; where
//! they are many, a short walk is tried first. More mean that the word is common: then a walk soon
//! meets as many as a page has.

use rollcall_core::{SessionSort, SortKey, State};
use sea_orm::ConnectionTrait;
use uuid::Uuid;

use super::Wanted;
use super::ids::{self, Part, Set, Stretch};
use super::search;
use super::searched::{matching, searched};
use super::walk::{self, Walk};
use crate::db::counters::{self, KindTally, Tally, natural};
use crate::db::error::DbError;
use crate::db::scope::Scope;
use crate::db::sql::Dialect;

/// Where one plan gives way to another. Every plan gives the same answers; tests set these to have each.
#[derive(Clone, Copy, Debug)]
pub struct Thresholds {
    /// Totals with a search are exact up to here, and a word that more rows have is common.
    pub counted: u64,
    /// A filter that leaves so many rows is searched by testing those.
    pub small: u64,
    /// So many matches are sorted without trying to walk.
    pub few: u64,
    /// How many rows a walk that is tried may test.
    pub tried: u64,
    /// So many matches are sorted rather than walk far for a common word.
    pub listed: u64,
    /// A filter that leads to so many rows is looked for by testing those.
    pub led: u64,
    /// Reading a row of a set and sorting it costs about so many steps of a walk.
    pub sorted: u64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            counted: 10_000,
            small: 60_000,
            few: 1_000,
            tried: 30_000,
            listed: 60_000,
            led: 20_000,
            sorted: 20,
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
    pub(super) const NONE: Self = Self {
        rows: 0,
        exact: true,
    };

    pub(super) fn capped(found: u64, counted: u64) -> Self {
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
    let tally = tally(connection, wanted).await?;
    if wanted.is_searched() {
        searched(connection, wanted, sort, stretch, &tally).await
    } else {
        unsearched(connection, wanted, sort, stretch, &tally).await
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
    let tally = tally(connection, wanted).await?;
    if !wanted.is_searched() {
        return Ok(known(wanted, &tally));
    }
    match matching(connection, wanted, &tally).await? {
        Some(rows) => search::count(connection, rows).await,
        None => Ok(0),
    }
}

/// What the caller may see, and how many rows all organisations have.
async fn tally(connection: &impl ConnectionTrait, wanted: &Wanted<'_>) -> Result<Tally, DbError> {
    let mut tally = counters::tally(connection, wanted.scope, wanted.now).await?;
    if let Scope::Organisation(_) = wanted.scope {
        let everywhere = counters::stored(connection, None, wanted.now).await?;
        tally.everywhere = Some(Box::new(everywhere));
    }
    Ok(tally)
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
        (Scope::All, Some(State::Active)) => (Set::Unended, tally.unended()),
        (Scope::All, Some(State::Ended)) => (Set::Ended, natural(sum.total - sum.active)),
        (Scope::All, None) => (Set::All, natural(sum.total)),
        _ => (Set::Scope, natural(sum.total)),
    }
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
    if let (Some(State::Active), Some(since)) = (wanted.filter.state, since(wanted, tally)) {
        // However many kinds there are: next to nothing lives, and a walk would pass by all the rest.
        let ids = ids::sort(connection, wanted, sort, Set::Since(since), stretch).await?;
        return Ok((ids, total));
    }
    let (set, set_size) = smallest_set(wanted, tally);
    // A walk tests more rows than it brings where others lie between.
    let walked_rows = walked(Dialect::of(connection), wanted, sort, tally);
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
        (_, state) => {
            let list = list(wanted, sort, part(state), tally);
            nearer(connection, list, stretch, rows).await?
        }
    };
    Ok((ids, total))
}

/// Where all of the scope was overtaken, the moment until which nothing was created that lives.
fn since(wanted: &Wanted<'_>, tally: &Tally) -> Option<i64> {
    tally.overtaken.nothing_lives_until(wanted.scope)
}

/// A list to be walked.
pub(super) fn list<'a>(
    wanted: &'a Wanted<'a>,
    sort: SessionSort,
    part: Part,
    tally: &'a Tally,
) -> Walk<'a> {
    Walk {
        wanted,
        sort,
        part,
        gone: tally.gone > 0,
        overtaken: &tally.overtaken,
        along_scope: along_scope(wanted, part, tally),
    }
}

/// Whether an organisation has fewer rows than there are of a state: then a walk for those by time goes along
/// the organisation's, and passes by so many at most.
fn along_scope(wanted: &Wanted<'_>, part: Part, tally: &Tally) -> bool {
    matches!(wanted.scope, Scope::Organisation(_))
        && tally.sum(None).total <= of(part, tally.everywhere(None))
}

fn of(part: Part, tally: KindTally) -> i64 {
    match part {
        Part::All => tally.total,
        Part::Live => tally.active,
        Part::Ended => tally.total - tally.active,
    }
}

/// How many rows the indexes have that a walk would go along.
pub(super) fn walked(
    dialect: Dialect,
    wanted: &Wanted<'_>,
    sort: SessionSort,
    tally: &Tally,
) -> u64 {
    let part = part(wanted.filter.state);
    let everywhere = tally.everywhere(None);
    let by_time = |part| {
        if along_scope(wanted, part, tally) {
            tally.sum(None).total
        } else {
            of(part, everywhere)
        }
    };
    natural(match (sort.key, part) {
        (SortKey::CreatedAt | SortKey::State, part) | (SortKey::Duration, part @ Part::Live) => {
            by_time(part)
        }
        (SortKey::Duration, Part::Ended) => of(Part::Ended, everywhere),
        (SortKey::Duration, Part::All) => by_time(Part::Live) + of(Part::Ended, everywhere),
        (SortKey::LastActivityAt, Part::Live) if dialect == Dialect::Sqlite => everywhere.total,
        (SortKey::LastActivityAt, part) => of(part, everywhere),
        _ => tally.everywhere(wanted.filter.kind).total,
    })
}

/// The part that a filter by state leaves.
pub(super) fn part(state: Option<State>) -> Part {
    match state {
        None => Part::All,
        Some(State::Active) => Part::Live,
        Some(State::Ended) => Part::Ended,
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
            let list = list(wanted, sort, part, tally);
            ids.extend(nearer(connection, list, here, rows).await?);
        }
        offset = offset.saturating_sub(rows);
    }
    Ok(ids)
}

/// Walks from the nearer end of a list of `total` rows.
async fn nearer(
    connection: &impl ConnectionTrait,
    list: Walk<'_>,
    stretch: Stretch,
    total: u64,
) -> Result<Vec<Uuid>, DbError> {
    let behind = total.saturating_sub(stretch.offset + stretch.rows);
    if behind < stretch.offset {
        let stretch = Stretch {
            offset: behind,
            ..stretch
        };
        walk::walk(connection, list, stretch, true, None).await
    } else {
        walk::walk(connection, list, stretch, false, None).await
    }
}
