//! Which way to a page of a search reads the least, see `plan`.

use rollcall_core::{SessionFilter, SessionSort, SortKey, State};
use sea_orm::ConnectionTrait;
use uuid::Uuid;

use super::Wanted;
use super::ids::{self, Part, Set, Stretch};
use super::leads::{Lead, lead};
use super::plan::{Total, list, part, walked};
use super::search::{self, Found, Matches};
use super::walk::{self, Reach, Walk};
use crate::db::counters::{Tally, natural};
use crate::db::error::DbError;
use crate::db::scope::Scope;
use crate::db::sql::{Dialect, Sql};

/// The numbers of the rows that match a search, as a query; `None` where it is known that none does.
pub(super) async fn matching(
    connection: &impl ConnectionTrait,
    wanted: &Wanted<'_>,
    tally: &Tally,
) -> Result<Option<Sql>, DbError> {
    let by_rows = || by_rows(connection, wanted, tally);
    let (rows, small) = (of_part(wanted, tally), wanted.thresholds.small);
    let lead = lead(connection, wanted).await?;
    if let Some(lead) = &lead {
        if lead.rows == 0 {
            return Ok(None);
        }
        if lead.rows <= wanted.thresholds.led && lead.rows <= rows {
            return Ok(Some(by_lead(connection, wanted, lead)));
        }
    }
    let Some(needle) = &wanted.needle else {
        return Ok(Some(match lead {
            // It is common, so that the first rows that it leads to are enough to know.
            // Where it leads to other organisations, too, that may be more than this one has.
            Some(lead)
                if rows > small
                    && (lead.is_within(wanted.scope)
                        || lead.all_rows(connection).await? <= rows) =>
            {
                by_lead(connection, wanted, &lead)
            }
            _ => by_rows(),
        }));
    };
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
        _ => search::by_index(connection, wanted, &matches, tally).await?,
    })
}

/// The numbers of the rows that match, as a query that tests all rows that a filter leads to.
fn by_lead(connection: &impl ConnectionTrait, wanted: &Wanted<'_>, lead: &Lead<'_>) -> Sql {
    let dialect = Dialect::of(connection);
    let mut sql = Sql::new(connection, "SELECT s.number AS found FROM (");
    let numbers = lead.numbers(&mut sql, wanted);
    let rows = dialect.then("session", "s", "", "s.number = n.number", "");
    let now = sql.place(wanted.now.0);
    let conditions = ids::all_conditions(dialect, &mut sql, wanted, &now);
    sql.push(&format!("{numbers}) n {rows} WHERE {conditions}"));
    sql
}

/// The numbers of the rows that match, as a query that tests all rows of the filter's index parts.
fn by_rows(connection: &impl ConnectionTrait, wanted: &Wanted<'_>, tally: &Tally) -> Sql {
    // Orders by time have a half for each state and an index for each organisation, the others begin with the
    // kind.
    let key = match (wanted.scope, wanted.filter.kind, wanted.filter.state) {
        (Scope::All, Some(_), None) => SortKey::Ip,
        _ => SortKey::CreatedAt,
    };
    let sort = SessionSort {
        key,
        descending: true,
    };
    let list = list(wanted, sort, part(wanted.filter.state), tally);
    walk::unordered(connection, list, "number")
}

/// How many rows there are to be tested for a search, see `matching`.
fn of_part(wanted: &Wanted<'_>, tally: &Tally) -> u64 {
    let sum = tally.sum(match (wanted.scope, wanted.filter.state) {
        (Scope::All, None) => wanted.filter.kind,
        _ => None,
    });
    natural(match wanted.filter.state {
        None => sum.total,
        // Those whose end is not stored lie among them, unless all that can live is newer than they are.
        Some(State::Active) => {
            let among = match tally.overtaken.nothing_lives_until(wanted.scope) {
                Some(_) => 0,
                None => tally.uncollected,
            };
            sum.active + tally.gone + among
        }
        Some(State::Ended) => sum.total - sum.active,
    })
}

pub(super) async fn searched(
    connection: &impl ConnectionTrait,
    wanted: &Wanted<'_>,
    sort: SessionSort,
    stretch: Stretch,
    tally: &Tally,
) -> Result<(Vec<Uuid>, Total), DbError> {
    let counted = wanted.thresholds.counted;
    let Some(rows) = matching(connection, wanted, tally).await? else {
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
            by_state_searched(connection, wanted, sort, stretch, tally).await?
        }
        (_, state) => {
            let list = list(wanted, sort, part(state), tally);
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
    let all = walked(Dialect::of(connection), list.wanted, list.sort, tally);
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
    let all = walked(Dialect::of(connection), wanted, sort, tally);
    let before = (stretch.offset + stretch.rows).saturating_mul(all) / found.rows;
    if found.rows > thresholds.few && before < thresholds.tried {
        // Within a state the first of an order by state are walked; the other state may be needed too.
        let part = match (sort.key, wanted.filter.state) {
            (SortKey::State, None) if sort.descending => Part::Ended,
            (SortKey::State, None) => Part::Live,
            (_, state) => part(state),
        };
        let list = list(wanted, sort, part, tally);
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
    sort: SessionSort,
    stretch: Stretch,
    tally: &Tally,
) -> Result<Vec<Uuid>, DbError> {
    let parts = if sort.descending {
        [Part::Ended, Part::Live]
    } else {
        [Part::Live, Part::Ended]
    };
    let list = |part| list(wanted, sort, part, tally);
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
        let rows = match matching(connection, &first, tally).await? {
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
