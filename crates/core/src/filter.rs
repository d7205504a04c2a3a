//! What a list is asked for, kept in the URL: the same text on a page, in a server function and in
//! the REST API.

use crate::conditions::{Carried, Conditions, Filters};
use crate::error::Problem;
use crate::page::{PageNumber, PageSize};
use crate::query::{self, QueryError};
use crate::session::{Kind, State, words};
use crate::sort::sorts;

/// The longest search, in characters.
pub const LONGEST_SEARCH: u32 = 200;

words!(
    /// A column that sessions can be sorted by.
    SortKey {
        /// The user's e-mail.
        User = "user",
        /// The session name.
        Name = "name",
        /// The address, as a number: 10.0.0.9 before 10.0.0.10.
        Ip = "ip",
        /// Browser and system.
        Browser = "browser",
        /// Active before ended, newest first within each.
        State = "state",
        /// When the user signed in.
        CreatedAt = "created_at",
        /// When it was last used.
        LastActivityAt = "last_activity_at",
        /// From sign-in to the end or to now.
        Duration = "duration",
    }
);

sorts!(
    /// The order of sessions: newest first to start with.
    SessionSort by SortKey from CreatedAt, true
);

/// Which sessions.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FilterWith<M> {
    /// Any part of e-mail, IP address or session name, in any letter case; trimmed; empty for all.
    pub search: String,
    /// Only active or only ended ones.
    pub state: Option<State>,
    /// Only this kind.
    pub kind: Option<Kind>,
    /// All other filters.
    pub more: M,
}

/// Which sessions, in which order, and which page of them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct QueryWith<M> {
    /// Which sessions.
    pub filter: FilterWith<M>,
    /// In which order.
    pub sort: SessionSort,
    /// Which page.
    pub page: PageNumber,
    /// Rows on a page.
    pub page_size: PageSize,
}

/// Which sessions, with every filter understood.
pub type SessionFilter = FilterWith<Conditions>;
/// What a list is asked for, with every filter understood.
pub type SessionQuery = QueryWith<Conditions>;
/// Which sessions, as a page knows it.
pub type ShownFilter = FilterWith<Carried>;
/// What a page shows: most filters only stand in its address, see `Carried`.
pub type ShownQuery = QueryWith<Carried>;

impl SessionFilter {
    /// Reads the part of a query that says which sessions; order and page have no place in it.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        for (name, _) in query::pairs(text)? {
            if matches!(name.as_str(), "sort" | "page" | "page_size") {
                return Err(QueryError {
                    parameter: name,
                    problem: Problem::Unknown,
                });
            }
        }
        SessionQuery::parse(text).map(|query| query.filter)
    }
}

impl<M: Filters> FilterWith<M> {
    /// Whether it leaves out anything beside a state: what could otherwise be ended by an empty or half-written
    /// filter is everything.
    pub fn narrows(&self) -> bool {
        *self
            != Self {
                state: self.state,
                ..Self::default()
            }
    }
}

impl<M: Filters> QueryWith<M> {
    /// Reads a query string; anything unknown, repeated or out of range is an error that names it.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        let mut parsed = Self::default();
        let mut seen = Seen::default();
        for (name, value) in query::pairs(text)? {
            seen.once(&name)?;
            parsed.set(&name, &value).map_err(|problem| QueryError {
                parameter: name,
                problem,
            })?;
        }
        Ok(parsed)
    }

    /// Reads the query string of a page's address. What it does not understand is left out, so that
    /// an old or decorated link still opens.
    pub fn parse_leniently(text: &str) -> Self {
        let mut parsed = Self::default();
        for pair in text.strip_prefix('?').unwrap_or(text).split('&') {
            for (name, value) in query::pairs(pair).unwrap_or_default() {
                let _ = parsed.set(&name, &value);
            }
        }
        parsed
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), Problem> {
        match name {
            "q" => self.filter.search = search(value)?,
            "state" => self.filter.state = optional(value, State::from_name)?,
            "kind" => self.filter.kind = optional(value, Kind::from_name)?,
            "sort" => self.sort = SessionSort::parse(value).ok_or(Problem::NotOffered)?,
            "page" => self.page = page_number(value)?,
            "page_size" => self.page_size = page_size(value)?,
            _ => return self.filter.more.set(name, value),
        }
        Ok(())
    }

    /// The query string of this list: only what differs from the start, in one fixed order, so that
    /// one view has one address. Empty for the first view.
    pub fn to_query(&self) -> String {
        let start = Self::default();
        let mut pairs = Vec::new();
        if !self.filter.search.is_empty() {
            pairs.push(("q", self.filter.search.clone()));
        }
        if let Some(state) = self.filter.state {
            pairs.push(("state", state.as_str().to_owned()));
        }
        if let Some(kind) = self.filter.kind {
            pairs.push(("kind", kind.as_str().to_owned()));
        }
        pairs.extend(self.filter.more.pairs());
        if self.sort != start.sort {
            pairs.push(("sort", self.sort.as_text()));
        }
        if self.page != start.page {
            pairs.push(("page", self.page.get().to_string()));
        }
        if self.page_size != start.page_size {
            pairs.push(("page_size", self.page_size.get().to_string()));
        }
        query::write(&pairs)
    }
}

/// The parameters that came so far: none may come twice.
#[derive(Default)]
pub(crate) struct Seen(Vec<String>);

impl Seen {
    pub(crate) fn once(&mut self, name: &str) -> Result<(), QueryError> {
        if self.0.iter().any(|other| other == name) {
            return Err(QueryError {
                parameter: name.to_owned(),
                problem: Problem::Repeated,
            });
        }
        self.0.push(name.to_owned());
        Ok(())
    }
}

/// A search as it stands in a query, trimmed.
pub(crate) fn search(value: &str) -> Result<String, Problem> {
    let trimmed = value.trim();
    if trimmed.chars().count() > LONGEST_SEARCH as usize {
        return Err(Problem::TooLong(LONGEST_SEARCH));
    }
    if trimmed.chars().any(char::is_control) {
        return Err(Problem::Malformed);
    }
    Ok(trimmed.to_owned())
}

/// One of the values that are possible. An empty value is what a form sends for "any".
pub(crate) fn optional<T>(
    value: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, Problem> {
    if value.is_empty() {
        Ok(None)
    } else {
        parse(value).map(Some).ok_or(Problem::NotOffered)
    }
}

/// A page number as it stands in a query.
pub fn page_number(value: &str) -> Result<PageNumber, Problem> {
    whole(value)
        .and_then(PageNumber::new)
        .ok_or(Problem::OutOfRange(1, 10_000_000))
}

pub(crate) fn page_size(value: &str) -> Result<PageSize, Problem> {
    whole(value)
        .and_then(PageSize::new)
        .ok_or(Problem::OutOfRange(1, 100))
}

fn whole(value: &str) -> Option<u32> {
    // `parse` alone would take "+5".
    value
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| value.parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_bad_parameter_is_named() {
        for (text, parameter, problem) in [
            ("page_size=0", "page_size", Problem::OutOfRange(1, 100)),
            ("page_size=101", "page_size", Problem::OutOfRange(1, 100)),
            ("page=-1", "page", Problem::OutOfRange(1, 10_000_000)),
            ("page=+1", "page", Problem::OutOfRange(1, 10_000_000)),
            ("sort=colour", "sort", Problem::NotOffered),
            ("state=inactive", "state", Problem::NotOffered),
            ("colour=red", "colour", Problem::Unknown),
            ("q=a&q=b", "q", Problem::Repeated),
            ("q=a%00", "q", Problem::Malformed),
            ("user=nora", "user", Problem::Malformed),
            ("organisation=acme", "organisation", Problem::Malformed),
            ("role=A!", "role", Problem::Malformed),
            ("ip=10.0.0.0/40", "ip", Problem::Malformed),
            ("method=magic", "method", Problem::NotOffered),
            ("browser=a%0Ab", "browser", Problem::Malformed),
            ("older_than=5", "older_than", Problem::Malformed),
            ("idle_for=-5m", "idle_for", Problem::Malformed),
            ("several=2", "several", Problem::NotOffered),
            (
                "service_account=yes",
                "service_account",
                Problem::NotOffered,
            ),
            ("ip=::1&ip=::1", "ip", Problem::Repeated),
        ] {
            let error = SessionQuery::parse(text).unwrap_err();
            assert_eq!(
                (error.parameter.as_str(), error.problem),
                (parameter, problem),
                "{text}"
            );
        }
    }

    #[test]
    fn one_view_has_one_address() {
        let query = SessionQuery::parse("page=3&sort=-duration&q=%20Gmail%20&kind=").unwrap();
        assert_eq!(query.to_query(), "q=Gmail&sort=-duration&page=3");
        assert_eq!(SessionQuery::default().to_query(), "");
        let text = "several=true&agent=%20Trident%20&ip=10.1.2.3/8&older_than=60m&user=Nora@Acme.IO&q=a&system=";
        assert_eq!(
            SessionQuery::parse(text).unwrap().to_query(),
            "q=a&user=nora%40acme.io&ip=10.0.0.0%2F8&agent=Trident&older_than=1h&several=true"
        );
        // A page hands on what it does not read, but for the blanks around it.
        assert_eq!(
            ShownQuery::parse_leniently(text).to_query(),
            "q=a&user=Nora%40Acme.IO&ip=10.1.2.3%2F8&agent=Trident&older_than=60m&several=true"
        );
        assert_eq!(
            SessionQuery::parse_leniently("?utm=x&page=0&q=a").to_query(),
            "q=a"
        );
    }

    #[test]
    fn a_filter_narrows_by_anything_but_a_state() {
        for (text, narrows) in [
            ("", false),
            ("state=active", false),
            ("state=ended", false),
            ("q=a", true),
            ("kind=api", true),
            ("state=active&user=nora@acme.io", true),
            ("several=false", true),
        ] {
            assert_eq!(
                SessionFilter::parse(text).unwrap().narrows(),
                narrows,
                "{text}"
            );
        }
        assert_eq!(SessionFilter::parse("q=gmail").unwrap().search, "gmail");
        for parameter in ["sort", "page", "page_size"] {
            let refused = SessionFilter::parse(&format!("q=a&{parameter}=1")).unwrap_err();
            assert_eq!(
                (refused.parameter.as_str(), refused.problem),
                (parameter, Problem::Unknown)
            );
        }
    }

    #[test]
    fn a_search_has_at_most_so_many_characters() {
        let longest = "ä".repeat(LONGEST_SEARCH as usize);
        assert_eq!(search(&longest), Ok(longest.clone()));
        assert_eq!(
            search(&format!("{longest}a")),
            Err(Problem::TooLong(LONGEST_SEARCH))
        );
        assert_eq!(search(" a "), Ok("a".to_owned()));
        assert_eq!(search("a\tb"), Err(Problem::Malformed));
    }

    proptest! {
        #[test]
        fn every_view_survives_its_address(search in "[^\\p{Cc}]{0,30}", sort in 0..8_usize, descending: bool, page in 1..10_000_u32, size in 1..=100_u32) {
            let query = SessionQuery {
                filter: SessionFilter { search: search.trim().to_owned(), state: Some(State::Active), kind: None, more: Conditions::default() },
                sort: SessionSort { key: SortKey::ALL[sort], descending },
                page: PageNumber::new(page).unwrap(),
                page_size: PageSize::new(size).unwrap(),
            };
            prop_assert_eq!(SessionQuery::parse(&query.to_query()).unwrap(), query);
        }

        #[test]
        fn every_filter_survives_its_address(
            ip: Option<([u8; 4], bool)>,
            text in "[^\\p{Cc}]{0,30}", span in 1..300_000_000_u32, several: Option<bool>,
        ) {
            let mut written = vec![("agent", text.clone()), ("browser", text), ("idle_for", format!("{span}s"))];
            written.extend(ip.map(|([a, b, c, d], range)| ("ip", format!("{a}.{b}.{c}.{d}/{}", if range { 20 } else { 32 }))));
            written.extend(several.map(|several| ("several", several.to_string())));
            let query = SessionQuery::parse(&query::write(&written)).unwrap();
            prop_assert_eq!(query.filter.more.idle_for.map(|span| span.seconds()), Some(span));
            let there = query.to_query();
            prop_assert_eq!(SessionQuery::parse(&there).unwrap(), query);
            prop_assert_eq!(ShownQuery::parse(&there).unwrap().to_query(), there);
        }
    }
}
