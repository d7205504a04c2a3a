//! What the lists of users, roles and organisations are asked for, kept in the URL.

use crate::error::Problem;
use crate::filter::{Seen, optional, page_number, page_size, search};
use crate::ids::{OrganisationId, RoleKey};
use crate::page::{PageNumber, PageSize};
use crate::query::{self, QueryError};
use crate::session::words;
use crate::sort::sorts;

words!(
    /// A column that users can be sorted by.
    UserSortKey {
        /// What the user is called.
        Name = "name",
        /// The user name.
        Email = "email",
        /// The primary role's name.
        Role = "role",
        /// The organisation's name.
        Organisation = "organisation",
        /// Enabled before disabled.
        State = "state",
        /// When the user was created.
        CreatedAt = "created_at",
        /// When the user last signed in; never comes first.
        LastSignInAt = "last_sign_in_at",
        /// How many sessions live.
        OpenSessions = "open_sessions",
        /// Since when the account is locked.
        LockedAt = "locked_at",
    }
);

words!(
    /// Whether a user may sign in.
    UserState {
        /// Neither disabled nor locked.
        Enabled = "enabled",
        /// Somebody has disabled the account.
        Disabled = "disabled",
        /// Too many wrong passwords have locked it.
        Locked = "locked",
    }
);

sorts!(
    /// The order of users: by name to start with.
    UserSort by UserSortKey from Name, false
);

/// Which users.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct UserFilter {
    /// Any part of e-mail or name, in any letter case; trimmed; empty for all.
    pub search: String,
    /// Only those who have this role, as primary or secondary one.
    pub role: Option<RoleKey>,
    /// Only those of this organisation.
    pub organisation: Option<OrganisationId>,
    /// Only those in this state.
    pub state: Option<UserState>,
    /// Only those with an open session, or only those without.
    pub active: Option<bool>,
    /// Only programs' accounts, or only people's.
    pub service_account: Option<bool>,
}

/// Which users, in which order, and which page of them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct UserQuery {
    /// Which users.
    pub filter: UserFilter,
    /// In which order.
    pub sort: UserSort,
    /// Which page.
    pub page: PageNumber,
    /// Rows on a page.
    pub page_size: PageSize,
}

impl UserQuery {
    /// Reads a query string; anything unknown, repeated or out of range is an error that names it.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        let mut parsed = Self::default();
        strictly(text, |name, value| parsed.set(name, value))?;
        Ok(parsed)
    }

    /// Reads the query string of a page's address. What it does not understand is left out.
    pub fn parse_leniently(text: &str) -> Self {
        let mut parsed = Self::default();
        leniently(text, |name, value| parsed.set(name, value));
        parsed
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), Problem> {
        let filter = &mut self.filter;
        match name {
            "q" => filter.search = search(value)?,
            "role" => filter.role = optional(value, |text| text.parse().ok())?,
            "organisation" => filter.organisation = optional(value, |text| text.parse().ok())?,
            "state" => filter.state = optional(value, UserState::from_name)?,
            "active" => filter.active = optional(value, truth)?,
            "service_account" => filter.service_account = optional(value, truth)?,
            "sort" => self.sort = UserSort::parse(value).ok_or(Problem::NotOffered)?,
            "page" => self.page = page_number(value)?,
            "page_size" => self.page_size = page_size(value)?,
            _ => return Err(Problem::Unknown),
        }
        Ok(())
    }

    /// The query string of this list: only what differs from the start, in one fixed order.
    pub fn to_query(&self) -> String {
        let filter = &self.filter;
        let mut pairs = Vec::new();
        if !filter.search.is_empty() {
            pairs.push(("q", filter.search.clone()));
        }
        if let Some(role) = &filter.role {
            pairs.push(("role", role.0.clone()));
        }
        if let Some(organisation) = filter.organisation {
            pairs.push(("organisation", organisation.to_string()));
        }
        if let Some(state) = filter.state {
            pairs.push(("state", state.as_str().to_owned()));
        }
        if let Some(active) = filter.active {
            pairs.push(("active", active.to_string()));
        }
        if let Some(service_account) = filter.service_account {
            pairs.push(("service_account", service_account.to_string()));
        }
        if self.sort != UserSort::default() {
            pairs.push(("sort", self.sort.as_text()));
        }
        place(&mut pairs, self.page, self.page_size);
        query::write(&pairs)
    }
}

/// Which roles or organisations, by name, and which page of them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct NameQuery {
    /// Any part of the name, in any letter case; trimmed; empty for all.
    pub search: String,
    /// Which page.
    pub page: PageNumber,
    /// Rows on a page.
    pub page_size: PageSize,
}

impl NameQuery {
    /// Reads a query string; anything unknown, repeated or out of range is an error that names it.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        let mut parsed = Self::default();
        strictly(text, |name, value| parsed.set(name, value))?;
        Ok(parsed)
    }

    /// Reads the query string of a page's address. What it does not understand is left out.
    pub fn parse_leniently(text: &str) -> Self {
        let mut parsed = Self::default();
        leniently(text, |name, value| parsed.set(name, value));
        parsed
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), Problem> {
        match name {
            "q" => self.search = search(value)?,
            "page" => self.page = page_number(value)?,
            "page_size" => self.page_size = page_size(value)?,
            _ => return Err(Problem::Unknown),
        }
        Ok(())
    }

    /// Writes what `parse` reads.
    pub fn to_query(&self) -> String {
        let mut pairs = Vec::new();
        if !self.search.is_empty() {
            pairs.push(("q", self.search.clone()));
        }
        place(&mut pairs, self.page, self.page_size);
        query::write(&pairs)
    }
}

pub(crate) fn place(pairs: &mut Vec<(&str, String)>, page: PageNumber, page_size: PageSize) {
    if page != PageNumber::default() {
        pairs.push(("page", page.get().to_string()));
    }
    if page_size != PageSize::default() {
        pairs.push(("page_size", page_size.get().to_string()));
    }
}

fn truth(text: &str) -> Option<bool> {
    match text {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

// Boxed, as in `rpc.rs`: the bundle holds the reading of an address once.
pub(crate) fn strictly(
    text: &str,
    mut set: impl FnMut(&str, &str) -> Result<(), Problem>,
) -> Result<(), QueryError> {
    let set: &mut dyn FnMut(&str, &str) -> Result<(), Problem> = &mut set;
    let mut seen = Seen::default();
    for (name, value) in query::pairs(text)? {
        seen.once(&name)?;
        set(&name, &value).map_err(|problem| QueryError {
            parameter: name,
            problem,
        })?;
    }
    Ok(())
}

pub(crate) fn leniently(text: &str, mut set: impl FnMut(&str, &str) -> Result<(), Problem>) {
    let set: &mut dyn FnMut(&str, &str) -> Result<(), Problem> = &mut set;
    for pair in text.strip_prefix('?').unwrap_or(text).split('&') {
        for (name, value) in query::pairs(pair).unwrap_or_default() {
            let _ = set(&name, &value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_parameter_is_named() {
        for (text, parameter, problem) in [
            ("active=yes", "active", Problem::NotOffered),
            ("state=active", "state", Problem::NotOffered),
            ("sort=-colour", "sort", Problem::NotOffered),
            ("role=A%20B", "role", Problem::NotOffered),
            ("organisation=acme", "organisation", Problem::NotOffered),
            ("page=0", "page", Problem::OutOfRange(1, 10_000_000)),
            ("kind=api", "kind", Problem::Unknown),
            ("q=a&q=b", "q", Problem::Repeated),
        ] {
            let error = UserQuery::parse(text).unwrap_err();
            assert_eq!(
                (error.parameter.as_str(), error.problem),
                (parameter, problem),
                "{text}"
            );
        }
        assert_eq!(
            NameQuery::parse("sort=name").unwrap_err().problem,
            Problem::Unknown
        );
    }

    #[test]
    fn one_view_has_one_address() {
        let text = "page=3&sort=-open_sessions&active=true&role=member&q=%20nora%20&state=&service_account=false";
        let query = UserQuery::parse(text).unwrap();
        let address =
            "q=nora&role=member&active=true&service_account=false&sort=-open_sessions&page=3";
        assert_eq!(query.to_query(), address);
        assert_eq!(UserQuery::parse(address).unwrap(), query);
        assert_eq!(
            UserQuery::parse_leniently("?utm=x&page=0&q=a").to_query(),
            "q=a"
        );
        assert_eq!(
            NameQuery::parse("page_size=20&q=acme&page=4")
                .unwrap()
                .to_query(),
            "q=acme&page=4&page_size=20"
        );
        assert_eq!(
            NameQuery::parse_leniently("?q=acme&sort=x").to_query(),
            "q=acme"
        );
        let long = "sort=-name&page_size=50";
        assert_eq!(UserQuery::parse(long).unwrap().to_query(), long);
    }
}
