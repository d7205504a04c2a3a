//! Which way to a page reads the least.
//!
//! Without a search the number of rows that match is known from the counters, and with it how many rows
//! a walk would test. With a search, up to 10,001 rows are found by the search index, or, where the
//! filter leaves few rows, by testing those. At most 10,000 are all there are, and can be sorted; where
//! they are many, a short walk is tried first. More mean that the word is common: then a walk soon
//! meets as many as a page has.

use rollcall_core::{SessionFilter, SessionSort, SortKey, State};
use sea_orm::ConnectionTrait;
use uuid::Uuid;

use super::Wanted;
use super::ids::{self, Part, Set, Stretch};
use super::search::{self, Found, Matches};
use super::walk::{self, Reach, Walk};
use crate::db::counters::{self, Tally, natural};
use crate::db::error::DbError;
use crate::db::scope::Scope;
use crate::db::sql::Sql;

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
    match matching(connection, wanted, needle, &tally).await? {
        Some(rows) => search::count(connection, rows).await,
        None => Ok(0),
    }
}

/// The numbers of the rows that match a search, as a query; `None` where it is known that none does.
async fn matching(
    connection: &impl ConnectionTrait,
    wanted: &Wanted<'_>,
    needle: &str,
    tally: &Tally,
) -> Result<Option<Sql>, DbError> {
    let gone = tally.gone > 0;
    // The indexes on time begin with the organisation, the others with the kind.
    let key = match (wanted.scope, wanted.filter.kind) {
        (Scope::All, Some(_)) => SortKey::Ip,
        _ => SortKey::CreatedAt,
    };
    let by_rows = || {
        let list = Walk {
            wanted,
            sort: SessionSort {
                key,
                descending: true,
            },
            part: part(wanted.filter.state),
            gone,
        };
        walk::unordered(connection, list, "number")
    };
    let (rows, small) = (of_part(wanted, tally), wanted.thresholds.small);
    // The search index does not know the state: where a state is a small part of all, it finds many rows
    // in vain.
    let few_have_the_state =
        rows <= small.saturating_mul(3) && rows.saturating_mul(5) <= natural(tally.sum(None).total);
    if rows <= small || few_have_the_state {
        return Ok(Some(by_rows()));
    }
    let matches = search::matches(connection, wanted, needle).await?;
    Ok(match matches {
        Matches::None => None,
        Matches::Rows => Some(by_rows()),
        _ => search::by_index(connection, wanted, &matches, gone).await?,
    })
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

/// How many rows there are to be tested for a search, see `matching`.
fn of_part(wanted: &Wanted<'_>, tally: &Tally) -> u64 {
    let sum = tally.sum(match wanted.scope {
        Scope::All => wanted.filter.kind,
        _ => None,
    });
    natural(match wanted.filter.state {
        None => sum.total,
        // Those whose end is not stored lie among them.
        Some(State::Active) => sum.active + tally.gone,
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
        (_, state) => {
            let list = Walk {
                wanted,
                sort,
                part: part(state),
                gone: tally.gone > 0,
            };
            nearer(connection, list, stretch, rows).await?
        }
    };
    Ok((ids, total))
}

/// How many rows the indexes have that a walk would go along.
async fn walked(
    connection: &impl ConnectionTrait,
    wanted: &Wanted<'_>,
    sort: SessionSort,
    tally: &Tally,
) -> Result<u64, DbError> {
    let own_index = match (wanted.scope, sort.key) {
        (Scope::All, _) => true,
        (_, SortKey::CreatedAt | SortKey::State) => true,
        (_, SortKey::Duration) => wanted.filter.state == Some(State::Active),
        _ => false,
    };
    let by_kind = match sort.key {
        SortKey::Ip | SortKey::Name | SortKey::User | SortKey::Browser => wanted.filter.kind,
        _ => None,
    };
    let stored;
    let tally = if own_index {
        tally
    } else {
        stored = counters::stored(connection, None, wanted.now).await?;
        &stored
    };
    let sum = tally.sum(by_kind);
    Ok(natural(match wanted.filter.state {
        None => sum.total,
        Some(State::Active) => sum.active,
        Some(State::Ended) => sum.total - sum.active,
    }))
}

/// The part that a filter by state leaves.
fn part(state: Option<State>) -> Part {
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
            let list = Walk {
                wanted,
                sort,
                part,
                gone: tally.gone > 0,
            };
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

async fn searched(
    connection: &impl ConnectionTrait,
    wanted: &Wanted<'_>,
    needle: &str,
    sort: SessionSort,
    stretch: Stretch,
    tally: &Tally,
) -> Result<(Vec<Uuid>, Total), DbError> {
    let counted = wanted.thresholds.counted;
    let Some(rows) = matching(connection, wanted, needle, tally).await? else {
        return Ok((Vec::new(), Total::capped(0, counted)));
    };
    let found = search::found(connection, rows.clone(), counted + 1).await?;
    let total = Total::capped(found.rows, counted);
    if total.exact {
        return Ok((
            few(connection, wanted, sort, stretch, tally, &found).await?,
            total,
        ));
    }
    let ids = match (sort.key, wanted.filter.state) {
        (SortKey::State, None) => {
            by_state_searched(connection, wanted, needle, sort, stretch, tally).await?
        }
        (_, state) => {
            let list = Walk {
                wanted,
                sort,
                part: part(state),
                gone: tally.gone > 0,
            };
            common(connection, list, stretch, rows, tally).await?
        }
    };
    Ok((ids, total))
}

/// A page of a common word. Usually a short walk meets enough rows. Where the order has them far away
/// (addresses that begin with 192 lie behind all that begin with 10), sorting them all may be less
/// work than walking there.
async fn common(
    connection: &impl ConnectionTrait,
    list: Walk<'_>,
    stretch: Stretch,
    rows: Sql,
    tally: &Tally,
) -> Result<Vec<Uuid>, DbError> {
    let thresholds = list.wanted.thresholds;
    let all = walked(connection, list.wanted, list.sort, tally).await?;
    if all > thresholds.tried {
        let reach = Reach::of(thresholds.tried, all);
        let ids = walk::walk(connection, list, stretch, false, Some(reach)).await?;
        if ids.len() as u64 == stretch.rows {
            return Ok(ids);
        }
        let found = search::found(connection, rows, thresholds.listed + 1).await?;
        if found.rows <= thresholds.listed {
            let set = Set::Numbers(&found.numbers);
            return ids::sort(connection, list.wanted, list.sort, set, stretch).await;
        }
    }
    walk::walk(connection, list, stretch, false, None).await
}

/// A page of rows that were all found.
async fn few(
    connection: &impl ConnectionTrait,
    wanted: &Wanted<'_>,
    sort: SessionSort,
    stretch: Stretch,
    tally: &Tally,
    found: &Found,
) -> Result<Vec<Uuid>, DbError> {
    if stretch.offset >= found.rows {
        return Ok(Vec::new());
    }
    let stretch = Stretch {
        rows: stretch.rows.min(found.rows - stretch.offset),
        ..stretch
    };
    let thresholds = wanted.thresholds;
    // So many rows lie before the end of the page if matches are spread evenly.
    let all = walked(connection, wanted, sort, tally).await?;
    let before = (stretch.offset + stretch.rows).saturating_mul(all) / found.rows;
    if found.rows > thresholds.few && before < thresholds.tried {
        // Within a state the first of an order by state are walked; the other state may be needed too.
        let part = match (sort.key, wanted.filter.state) {
            (SortKey::State, None) if sort.descending => Part::Ended,
            (SortKey::State, None) => Part::Live,
            (_, state) => part(state),
        };
        let list = Walk {
            wanted,
            sort,
            part,
            gone: tally.gone > 0,
        };
        let reach = Reach::of(thresholds.tried, all);
        let ids = walk::walk(connection, list, stretch, false, Some(reach)).await?;
        if ids.len() as u64 == stretch.rows {
            return Ok(ids);
        }
    }
    ids::sort(
        connection,
        wanted,
        sort,
        Set::Numbers(&found.numbers),
        stretch,
    )
    .await
}

/// An order by state of a common word: where the first state has fewer rows than are asked for, the other
/// one follows.
async fn by_state_searched(
    connection: &impl ConnectionTrait,
    wanted: &Wanted<'_>,
    needle: &str,
    sort: SessionSort,
    stretch: Stretch,
    tally: &Tally,
) -> Result<Vec<Uuid>, DbError> {
    let parts = if sort.descending {
        [Part::Ended, Part::Live]
    } else {
        [Part::Live, Part::Ended]
    };
    let list = |part| Walk {
        wanted,
        sort,
        part,
        gone: tally.gone > 0,
    };
    let mut ids = walk::walk(connection, list(parts[0]), stretch, false, None).await?;
    let missing = stretch.rows - ids.len() as u64;
    if missing > 0 {
        // Only where the first state ends within or before the page is it worth to know how many it has.
        let state = match parts[0] {
            Part::Ended => State::Ended,
            _ => State::Active,
        };
        let filter = SessionFilter {
            state: Some(state),
            ..wanted.filter.clone()
        };
        let first = Wanted {
            filter: &filter,
            needle: wanted.needle.clone(),
            ..*wanted
        };
        let rows = match matching(connection, &first, needle, tally).await? {
            Some(rows) => search::count(connection, rows).await?,
            None => 0,
        };
        let rest = Stretch {
            offset: stretch.offset.saturating_sub(rows),
            rows: missing,
        };
        ids.extend(walk::walk(connection, list(parts[1]), rest, false, None).await?);
    }
    Ok(ids)
}
