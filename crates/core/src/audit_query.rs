//! What the audit trail is asked for, kept in the URL like every list.

use std::fmt;

use crate::address::AddressRange;
use crate::audit::{AuditAction, AuditOutcome};
use crate::error::Problem;
use crate::filter::{Seen, optional, page_number, page_size};
use crate::ids::{SessionId, UserId};
use crate::page::{PageNumber, PageSize};
use crate::query::{self, QueryError};
use crate::time::Timestamp;
use crate::user::Email;
use crate::zone::Zone;

/// A user, as people and links name one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Who {
    /// By id.
    Id(UserId),
    /// By the e-mail that the user has now.
    Email(Email),
}

impl Who {
    /// Reads an id or an e-mail.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.contains('@') {
            Email::parse(text).map(Self::Email)
        } else {
            text.parse().ok().map(Self::Id)
        }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Email(email) => email.fmt(f),
        }
    }
}

/// Which audit events, newest first, and which page of them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AuditQuery {
    /// Only events that this user did or that were done to them.
    pub user: Option<Who>,
    /// Only events that this user did.
    pub actor: Option<Who>,
    /// Only events that were done to this user.
    pub target: Option<Who>,
    /// Only events of this session.
    pub session: Option<SessionId>,
    /// Only this action.
    pub action: Option<AuditAction>,
    /// Only this outcome.
    pub outcome: Option<AuditOutcome>,
    /// Only requests from here.
    pub ip: Option<AddressRange>,
    /// Only events from this moment on.
    pub from: Option<Timestamp>,
    /// Only events before this moment.
    pub until: Option<Timestamp>,
    /// Which page.
    pub page: PageNumber,
    /// Rows on a page.
    pub page_size: PageSize,
}

impl AuditQuery {
    /// The names that `parse` takes, in the order in which `to_query` writes them.
    pub const NAMES: [&str; 11] = [
        "user",
        "actor",
        "target",
        "session",
        "action",
        "outcome",
        "ip",
        "from",
        "until",
        "page",
        "page_size",
    ];

    /// Reads a query string; anything unknown, repeated or out of range is an error that names it. An empty
    /// value is what a form sends for "any".
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        Self::read(text, true)
    }

    /// Reads the query of an export, which has no pages.
    pub fn parse_whole(text: &str) -> Result<Self, QueryError> {
        Self::read(text, false)
    }

    fn read(text: &str, pages: bool) -> Result<Self, QueryError> {
        let mut parsed = Self::default();
        let mut seen = Seen::default();
        for (name, value) in query::pairs(text)? {
            seen.once(&name)?;
            let result = match name.as_str() {
                "page" | "page_size" if !pages => Err(Problem::Unknown),
                _ => parsed.set(&name, value.trim()),
            };
            result.map_err(|problem| QueryError {
                parameter: name,
                problem,
            })?;
        }
        Ok(parsed)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), Problem> {
        match name {
            "user" => self.user = readable(value, Who::parse)?,
            "actor" => self.actor = readable(value, Who::parse)?,
            "target" => self.target = readable(value, Who::parse)?,
            "session" => self.session = readable(value, |text| text.parse().ok())?,
            "action" => self.action = optional(value, AuditAction::from_name)?,
            "outcome" => self.outcome = optional(value, AuditOutcome::from_name)?,
            "ip" => self.ip = readable(value, AddressRange::parse)?,
            "from" => self.from = readable(value, Timestamp::parse_rfc3339)?,
            "until" => self.until = readable(value, Timestamp::parse_rfc3339)?,
            "page" => self.page = page_number(value)?,
            "page_size" => self.page_size = page_size(value)?,
            _ => return Err(Problem::Unknown),
        }
        Ok(())
    }

    /// The query string of this list: only what differs from the start, in one fixed order, so that
    /// one view has one address. Empty for the first view.
    pub fn to_query(&self) -> String {
        let start = Self::default();
        let mut pairs = Vec::new();
        let mut add = |name, value: Option<String>| {
            if let Some(value) = value {
                pairs.push((name, value));
            }
        };
        add("user", self.user.as_ref().map(Who::to_string));
        add("actor", self.actor.as_ref().map(Who::to_string));
        add("target", self.target.as_ref().map(Who::to_string));
        add("session", self.session.map(|id| id.to_string()));
        add("action", self.action.map(|word| word.as_str().to_owned()));
        add("outcome", self.outcome.map(|word| word.as_str().to_owned()));
        add("ip", self.ip.map(|range| range.to_string()));
        add("from", self.from.map(|at| at.to_string()));
        add("until", self.until.map(|at| at.to_string()));
        add(
            "page",
            (self.page != start.page).then(|| self.page.get().to_string()),
        );
        add(
            "page_size",
            (self.page_size != start.page_size).then(|| self.page_size.get().to_string()),
        );
        query::write(&pairs)
    }

    /// The address of a page as it should be: without what is empty or unknown, and with local times, as a form
    /// sends them, in UTC, so that whoever opens it in another zone sees the same. What cannot be read stays
    /// as it is, to be told about.
    pub fn canonical(text: &str, zone: &Zone) -> String {
        let mut kept = Vec::new();
        for pair in text.split('&') {
            for (name, value) in query::pairs(pair).unwrap_or_default() {
                let Some(name) = Self::NAMES.into_iter().find(|known| *known == name) else {
                    continue;
                };
                let value = value.trim();
                if value.is_empty() || kept.iter().any(|(other, _)| *other == name) {
                    continue;
                }
                let local = match name {
                    "from" | "until" => zone.parse_local(value).map(|at| at.to_string()),
                    _ => None,
                };
                kept.push((name, local.unwrap_or_else(|| value.to_owned())));
            }
        }
        kept.sort_by_key(|(name, _)| Self::NAMES.iter().position(|known| known == name));
        let written = query::write(&kept);
        Self::parse(&written).map_or(written, |parsed| parsed.to_query())
    }
}

fn readable<T>(value: &str, parse: impl Fn(&str) -> Option<T>) -> Result<Option<T>, Problem> {
    if value.is_empty() {
        Ok(None)
    } else {
        parse(value).map(Some).ok_or(Problem::Malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

    #[test]
    fn a_bad_parameter_is_named() {
        for (text, parameter, problem) in [
            ("user=x", "user", Problem::Malformed),
            ("actor=nora@", "actor", Problem::Malformed),
            ("target=1", "target", Problem::Malformed),
            ("session=x", "session", Problem::Malformed),
            ("action=user.promoted", "action", Problem::NotOffered),
            ("outcome=maybe", "outcome", Problem::NotOffered),
            ("ip=192.0.2.0/33", "ip", Problem::Malformed),
            ("from=yesterday", "from", Problem::Malformed),
            ("until=2026-11-22T09:00", "until", Problem::Malformed),
            ("page=0", "page", Problem::OutOfRange(1, 10_000_000)),
            ("page_size=101", "page_size", Problem::OutOfRange(1, 100)),
            ("q=a", "q", Problem::Unknown),
            ("ip=::1&ip=::1", "ip", Problem::Repeated),
        ] {
            let error = AuditQuery::parse(text).unwrap_err();
            assert_eq!(
                (error.parameter.as_str(), error.problem),
                (parameter, problem),
                "{text}"
            );
        }
        let error = AuditQuery::parse_whole("page=1").unwrap_err();
        assert_eq!(
            (error.parameter.as_str(), error.problem),
            ("page", Problem::Unknown)
        );
    }

    #[test]
    fn one_view_has_one_address() {
        let text = format!(
            "until=2026-11-22T10:00:00%2B01:00&page=2&ip=10.1.2.3/8&actor=%20Nora@Acme.IO&target={ID}&from=&action=sign_in"
        );
        let query = AuditQuery::parse(&text).unwrap();
        assert_eq!(
            query.to_query(),
            format!(
                "actor=nora%40acme.io&target={ID}&action=sign_in&ip=10.0.0.0%2F8&until=2026-11-22T09%3A00%3A00.000000Z&page=2"
            )
        );
        assert_eq!(AuditQuery::parse(&query.to_query()), Ok(query));
        assert_eq!(AuditQuery::default().to_query(), "");
    }

    #[test]
    fn what_a_form_sends_becomes_one_address() {
        let zone = Zone {
            name: "Test".into(),
            first_offset: 3_600,
            transitions: Vec::new(),
        };
        for (sent, address) in [
            ("user=&actor=&target=&action=&from=&until=", ""),
            (
                "from=2026-11-22T09:00&utm=x",
                "from=2026-11-22T08%3A00%3A00.000000Z",
            ),
            (
                "from=2026-11-22T09:00:05Z",
                "from=2026-11-22T09%3A00%3A05.000000Z",
            ),
            // Of a name that stands there twice the first counts.
            ("outcome=success&outcome=refused", "outcome=success"),
            // What is wrong is kept, so that the page can say so.
            ("ip=999&outcome=success", "outcome=success&ip=999"),
            ("__path=%2Frpc&__err=x", ""),
        ] {
            let there = AuditQuery::canonical(sent, &zone);
            assert_eq!(there, address, "{sent}");
            assert_eq!(
                AuditQuery::canonical(&there, &zone),
                there,
                "it stays as it is"
            );
        }
    }
}
