//! Lists of sessions: any page in any order, with search and filters, over a million rows.
//!
//! A page is found in two steps: the ids of its rows in order, by one of the plans in `plan`, and then
//! the rows. States, durations and ends are as of the moment that the caller names: a row that has
//! expired or whose epoch has come shows, counts and filters as ended, whether it is swept or not.

mod conditions;
mod ids;
mod leads;
mod of_user;
mod plan;
mod row;
mod search;
mod searched;
mod walk;

use rollcall_core::{
    Page, Session, SessionFilter, SessionId, SessionQuery, SessionStats, State, Timestamp, UserId,
};
use sea_orm::ConnectionTrait;

use super::counters;
use super::error::DbError;
use super::scope::Scope;
use super::search_text::fold;
use super::sql::Sql;
pub use of_user::of_user;
pub use plan::Thresholds;
use plan::Total;

/// A text that no row has, not even with the line feeds that we add.
const NOWHERE: &str = "\n\n\n\n";

/// What a list is asked for, in the words of the database.
struct Wanted<'a> {
    scope: Scope,
    filter: &'a SessionFilter,
    /// The search, folded; `None` where there is none.
    needle: Option<String>,
    now: Timestamp,
    thresholds: Thresholds,
}

impl<'a> Wanted<'a> {
    /// `None` where another organisation is asked for than the one that the scope has: nothing of it is there.
    fn new(scope: Scope, filter: &'a SessionFilter, now: Timestamp) -> Option<Self> {
        let scope = match (scope, filter.more.organisation) {
            (Scope::All, Some(organisation)) => Scope::Organisation(organisation),
            (Scope::Organisation(own), Some(organisation)) if own != organisation => return None,
            _ => scope,
        };
        let mut needle = fold(filter.search.trim());
        if needle.contains(char::is_control) {
            // No e-mail, address or name has one; the line feeds between them are not theirs.
            needle = NOWHERE.to_owned();
        }
        Some(Self {
            scope,
            filter,
            needle: (!needle.is_empty()).then_some(needle),
            now,
            thresholds: Thresholds::default(),
        })
    }

    /// Whether the counters alone do not tell how many match.
    fn is_searched(&self) -> bool {
        self.needle.is_some() || conditions::any(self)
    }
}

/// The live sessions that match, as a query with the columns `number` and `id`; `None` where it is known that there
/// are none.
pub(super) async fn live_matching(
    connection: &impl ConnectionTrait,
    scope: Scope,
    filter: &SessionFilter,
    now: Timestamp,
) -> Result<Option<Sql>, DbError> {
    if filter.state == Some(State::Ended) {
        return Ok(None);
    }
    let filter = SessionFilter {
        state: Some(State::Active),
        ..filter.clone()
    };
    let Some(wanted) = Wanted::new(scope, &filter, now) else {
        return Ok(None);
    };
    let tally = counters::tally(connection, wanted.scope, now).await?;
    let rows = searched::matching(connection, &wanted, &tally).await?;
    Ok(rows.map(|rows| {
        rows.within(
            "SELECT s.number AS number, s.id AS id FROM session s WHERE s.number IN (SELECT found FROM (",
            ") r)",
        )
    }))
}

/// One page. The total is exact for state, kind and organisation, and up to 10,000 with a search or another
/// filter; beyond that it is 10,000 and marked as not exact. `current` is false in all rows.
pub async fn list(
    connection: &impl ConnectionTrait,
    scope: Scope,
    query: &SessionQuery,
    now: Timestamp,
) -> Result<Page<Session>, DbError> {
    list_by(connection, scope, query, now, Thresholds::default()).await
}

/// The same page, found by the plan that these thresholds lead to.
pub async fn list_by(
    connection: &impl ConnectionTrait,
    scope: Scope,
    query: &SessionQuery,
    now: Timestamp,
    thresholds: Thresholds,
) -> Result<Page<Session>, DbError> {
    let Some(wanted) = Wanted::new(scope, &query.filter, now) else {
        return Ok(page(Vec::new(), Total::NONE, query, now));
    };
    let wanted = Wanted {
        thresholds,
        ..wanted
    };
    let size = u64::from(query.page_size.get());
    let offset = u64::from(query.page.get() - 1) * size;
    let (ids, total) = plan::page(connection, &wanted, query.sort, offset, size).await?;
    let items = row::read(connection, scope, &ids, now).await?;
    Ok(page(items, total, query, now))
}

/// How many sessions match, exactly, however long that takes.
pub async fn count(
    connection: &impl ConnectionTrait,
    scope: Scope,
    filter: &SessionFilter,
    now: Timestamp,
) -> Result<u64, DbError> {
    match Wanted::new(scope, filter, now) {
        Some(wanted) => plan::count(connection, &wanted).await,
        None => Ok(0),
    }
}

/// One session, if the caller may see it.
pub async fn find(
    connection: &impl ConnectionTrait,
    scope: Scope,
    id: SessionId,
    now: Timestamp,
) -> Result<Option<Session>, DbError> {
    Ok(row::read(connection, scope, &[id.0], now).await?.pop())
}

/// The four cards.
pub async fn stats(
    connection: &impl ConnectionTrait,
    scope: Scope,
    now: Timestamp,
) -> Result<SessionStats, DbError> {
    counters::stats(connection, scope, now).await
}

/// The next `limit` sessions, newest first, after the one with this creation and id: for streaming all
/// of them without holding a read open.
pub async fn list_after(
    connection: &impl ConnectionTrait,
    scope: Scope,
    after: Option<(Timestamp, SessionId)>,
    limit: u64,
    now: Timestamp,
) -> Result<Vec<Session>, DbError> {
    let ids = ids::after(connection, scope, after, limit).await?;
    row::read(connection, scope, &ids, now).await
}

/// The next sessions that match, newest first, out of the next 2,000 of the scope after the one with this creation
/// and id; and where to go on, `None` at the end. There may be none of them that match.
pub async fn list_matching_after(
    connection: &impl ConnectionTrait,
    scope: Scope,
    filter: &SessionFilter,
    after: Option<(Timestamp, SessionId)>,
    now: Timestamp,
) -> Result<(Vec<Session>, Option<(Timestamp, SessionId)>), DbError> {
    const TESTED: u64 = 2_000;
    let Some(wanted) = Wanted::new(scope, filter, now) else {
        return Ok((Vec::new(), None));
    };
    let rows = ids::matching_after(connection, &wanted, after, TESTED).await?;
    let next = rows
        .last()
        .filter(|_| rows.len() as u64 == TESTED)
        .map(|(id, at, _)| (*at, SessionId(*id)));
    let ids: Vec<_> = rows
        .iter()
        .filter_map(|(id, _, matches)| matches.then_some(*id))
        .collect();
    Ok((row::read(connection, scope, &ids, now).await?, next))
}

/// A user's own sessions: the current one first, then the active ones by last activity, newest first,
/// then the ended ones likewise. Only active ones unless the filter names a state.
pub async fn own(
    connection: &impl ConnectionTrait,
    user: UserId,
    current: Option<SessionId>,
    query: &SessionQuery,
    now: Timestamp,
) -> Result<Page<Session>, DbError> {
    let filter = SessionFilter {
        state: query.filter.state.or(Some(State::Active)),
        ..query.filter.clone()
    };
    let Some(wanted) = Wanted::new(Scope::User(user), &filter, now) else {
        return Ok(page(Vec::new(), Total::NONE, query, now));
    };
    let size = u64::from(query.page_size.get());
    let offset = u64::from(query.page.get() - 1) * size;
    let ids = ids::own(connection, &wanted, user, current, offset, size).await?;
    let mut items = row::read(connection, wanted.scope, &ids, now).await?;
    for item in &mut items {
        item.current = current == Some(item.id);
    }
    let total = Total {
        rows: plan::count(connection, &wanted).await?,
        exact: true,
    };
    Ok(page(items, total, query, now))
}

fn page(items: Vec<Session>, total: Total, query: &SessionQuery, now: Timestamp) -> Page<Session> {
    Page {
        items,
        total: total.rows,
        total_is_exact: total.exact,
        page: query.page.get(),
        page_size: query.page_size.get(),
        as_of: now,
    }
}
