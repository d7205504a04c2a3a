//! The filters of sessions beyond search, state and kind: what each may be, and how it stands in an address.

use std::fmt;

use crate::address::AddressRange;
use crate::audit_query::Who;
use crate::error::Problem;
use crate::filter::{optional, search};
use crate::ids::{OrganisationId, RoleKey};
use crate::session::Method;

/// A span of time, in whole seconds: "90s", "30m", "2h", "7d".
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Span(u32);

/// The longest span: ten years, more than anything is kept.
const LONGEST_SPAN: u32 = 3_650 * 86_400;

/// The units in which a span is written, the largest first, and their seconds.
const UNITS: [(char, u32); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

impl Span {
    /// A whole number and its unit, at least a second and at most ten years.
    pub fn parse(text: &str) -> Option<Self> {
        let unit = text.chars().next_back()?;
        let (_, seconds) = UNITS.into_iter().find(|(letter, _)| *letter == unit)?;
        let digits = &text[..text.len() - 1];
        // `parse` alone would take "+5".
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let span = digits.parse::<u32>().ok()?.checked_mul(seconds)?;
        (1..=LONGEST_SPAN).contains(&span).then_some(Self(span))
    }

    /// How many seconds it has.
    pub const fn seconds(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Span {
    /// In the largest unit that leaves nothing over, so that one span has one form.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |(_, seconds): &(char, u32)| self.0.is_multiple_of(*seconds);
        let (letter, seconds) = UNITS.into_iter().find(fits).unwrap_or(('s', 1));
        write!(f, "{}{letter}", self.0 / seconds)
    }
}

/// What a list of sessions can be asked for besides search, state and kind. All that is given must hold.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Conditions {
    /// Only this user's.
    pub user: Option<Who>,
    /// Only those that belong to this organisation.
    pub organisation: Option<OrganisationId>,
    /// Only those of users who have this role, as primary or secondary one.
    pub role: Option<RoleKey>,
    /// Only those that began at this address, or in this range.
    pub ip: Option<AddressRange>,
    /// Only those that began in this way.
    pub method: Option<Method>,
    /// Only those whose browser or program begins with this, in any letter case; empty for all.
    pub browser: String,
    /// Only those whose system begins with this, in any letter case; empty for all.
    pub system: String,
    /// Only those whose user agent has this in it; A to Z in any letter case; empty for all.
    pub agent: String,
    /// Only those that began at least so long ago.
    pub older_than: Option<Span>,
    /// Only those that began less long ago.
    pub newer_than: Option<Span>,
    /// Only those that have not been used for at least so long.
    pub idle_for: Option<Span>,
    /// Only those of users who have several active sessions (in the session's organisation), or only those of the others.
    pub several: Option<bool>,
    /// Only those of programs' accounts, or only people's.
    pub service_account: Option<bool>,
}

impl Conditions {
    /// The names in an address, in the order in which they are written.
    pub const NAMES: [&str; 13] = [
        "user",
        "organisation",
        "role",
        "ip",
        "method",
        "browser",
        "system",
        "agent",
        "older_than",
        "newer_than",
        "idle_for",
        "several",
        "service_account",
    ];
}

/// Filters of which there are two kinds: `Conditions`, which are understood, and `Carried`, which are handed on.
pub trait Filters: Clone + PartialEq + fmt::Debug + Default {
    /// Takes a parameter; an empty value is what a form sends for "any".
    fn set(&mut self, name: &str, value: &str) -> Result<(), Problem>;

    /// What differs from "any", in the order of `Conditions::NAMES`.
    fn pairs(&self) -> Vec<(&'static str, String)>;
}

impl Filters for Conditions {
    fn set(&mut self, name: &str, value: &str) -> Result<(), Problem> {
        let value = value.trim();
        match name {
            "user" => self.user = readable(value, Who::parse)?,
            "organisation" => self.organisation = readable(value, |text| text.parse().ok())?,
            "role" => self.role = readable(value, |text| text.parse().ok())?,
            "ip" => self.ip = readable(value, AddressRange::parse)?,
            "method" => self.method = optional(value, Method::from_name)?,
            "browser" => self.browser = search(value)?,
            "system" => self.system = search(value)?,
            "agent" => self.agent = search(value)?,
            "older_than" => self.older_than = readable(value, Span::parse)?,
            "newer_than" => self.newer_than = readable(value, Span::parse)?,
            "idle_for" => self.idle_for = readable(value, Span::parse)?,
            "several" => self.several = optional(value, truth)?,
            "service_account" => self.service_account = optional(value, truth)?,
            _ => return Err(Problem::Unknown),
        }
        Ok(())
    }

    fn pairs(&self) -> Vec<(&'static str, String)> {
        let text = |text: &String| (!text.is_empty()).then(|| text.clone());
        let span = |span: Option<Span>| span.map(|span| span.to_string());
        let truth = |truth: Option<bool>| truth.map(|truth| truth.to_string());
        let values = [
            self.user.as_ref().map(Who::to_string),
            self.organisation.map(|id| id.to_string()),
            self.role.as_ref().map(RoleKey::to_string),
            self.ip.map(|range| range.to_string()),
            self.method.map(|method| method.as_str().to_owned()),
            text(&self.browser),
            text(&self.system),
            text(&self.agent),
            span(self.older_than),
            span(self.newer_than),
            span(self.idle_for),
            truth(self.several),
            truth(self.service_account),
        ];
        Self::NAMES
            .into_iter()
            .zip(values)
            .filter_map(|(name, value)| Some((name, value?)))
            .collect()
    }
}

/// Filters that are handed on as they stand in an address. The browser has these: it keeps them while somebody
/// searches, sorts and turns pages, and need not know how any of them is read. What cannot be read stays, so that
/// the server says so; left out, a filter would mean "everything".
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Carried(Vec<(&'static str, String)>);

impl Carried {
    /// The same without one of them.
    #[must_use]
    pub fn without(&self, name: &str) -> Self {
        let mut rest = self.clone();
        rest.0.retain(|(other, _)| *other != name);
        rest
    }
}

impl Filters for Carried {
    fn set(&mut self, name: &str, value: &str) -> Result<(), Problem> {
        let place = |name: &str| Conditions::NAMES.iter().position(|known| *known == name);
        let at = place(name).ok_or(Problem::Unknown)?;
        let value = value.trim();
        if value.is_empty() {
            return Ok(());
        }
        let behind = |(other, _): &&(&str, String)| place(other).is_some_and(|other| other < at);
        let index = self.0.iter().take_while(behind).count();
        match self.0.get_mut(index) {
            // The last one counts, as for those that the page understands.
            Some((other, known)) if *other == name => value.clone_into(known),
            _ => self
                .0
                .insert(index, (Conditions::NAMES[at], value.to_owned())),
        }
        Ok(())
    }

    fn pairs(&self) -> Vec<(&'static str, String)> {
        self.0.clone()
    }
}

fn readable<T>(value: &str, parse: impl Fn(&str) -> Option<T>) -> Result<Option<T>, Problem> {
    if value.is_empty() {
        Ok(None)
    } else {
        parse(value).map(Some).ok_or(Problem::Malformed)
    }
}

fn truth(text: &str) -> Option<bool> {
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_has_one_form() {
        for (text, form, seconds) in [
            ("90s", "90s", 90),
            ("120s", "2m", 120),
            ("90m", "90m", 5_400),
            ("48h", "2d", 172_800),
            ("3650d", "3650d", LONGEST_SPAN),
        ] {
            let span = Span::parse(text).unwrap();
            assert_eq!((span.to_string().as_str(), span.seconds()), (form, seconds));
            assert_eq!(Span::parse(form), Some(span));
        }
        for text in [
            "",
            "s",
            "0s",
            "-5m",
            "+5m",
            "5",
            "5 m",
            "5M",
            "1.5h",
            "3651d",
            "99999999999d",
            "5é",
        ] {
            assert_eq!(Span::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn what_is_carried_keeps_its_order_and_what_cannot_be_read() {
        let mut carried = Carried::default();
        for (name, value) in [
            ("several", "perhaps"),
            ("ip", " 999 "),
            ("user", ""),
            ("browser", "Fire"),
            ("ip", "10.0.0.1"),
        ] {
            carried.set(name, value).unwrap();
        }
        let pairs: Vec<_> = carried.pairs();
        let told: Vec<_> = pairs.iter().map(|(n, v)| (*n, v.as_str())).collect();
        assert_eq!(
            told,
            [
                ("ip", "10.0.0.1"),
                ("browser", "Fire"),
                ("several", "perhaps")
            ]
        );
        assert_eq!(carried.without("ip").pairs().len(), 2);
        assert_eq!(carried.set("colour", "red"), Err(Problem::Unknown));
    }
}
