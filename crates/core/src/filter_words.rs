//! Filters in words, for people: "IP address 10.0.0.0/8", "Not used for 2 hours".

use serde::{Deserialize, Serialize};

use crate::conditions::{Conditions, Filters, Span};
use crate::page::Page;
use crate::session::{Method, Session};
use crate::words;

/// A filter in words.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FilterWords {
    /// Its name in an address.
    pub name: String,
    /// What it says.
    pub words: String,
}

/// A page of sessions, and what it is filtered by beyond search, state and kind.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ListedSessions {
    /// The page.
    pub list: Page<Session>,
    /// The filters in words.
    pub filters: Vec<FilterWords>,
}

/// What the things are called that filters name by their ids; what the reader may not see has none.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FilterNames {
    /// The user.
    pub user: Option<String>,
    /// The organisation.
    pub organisation: Option<String>,
    /// The role.
    pub role: Option<String>,
}

/// How somebody signed in, in words.
pub const fn method(method: Method) -> &'static str {
    match method {
        Method::Password => "Password",
        Method::SingleSignOn => "Single sign-on",
        Method::OnBehalf => "By an application",
        Method::ApiKey => "API key",
    }
}

/// Each filter that is set, in the order of `Conditions::NAMES`.
pub fn describe(conditions: &Conditions, names: FilterNames) -> Vec<FilterWords> {
    let span = |span: Option<Span>| words::span(i64::from(span.map_or(0, Span::seconds)));
    conditions
        .pairs()
        .into_iter()
        .map(|(name, value)| {
            let called = |known: &Option<String>| known.clone().unwrap_or_else(|| value.clone());
            let words = match name {
                "user" => format!("User {}", called(&names.user)),
                "organisation" => format!("Organisation {}", called(&names.organisation)),
                "role" => format!("Role {}", called(&names.role)),
                "ip" => format!("IP address {value}"),
                "method" => format!("Signed in: {}", conditions.method.map_or("", method)),
                "browser" => format!("Browser {value}"),
                "system" => format!("System {value}"),
                "agent" => format!("User agent with “{value}”"),
                "older_than" => format!("Older than {}", span(conditions.older_than)),
                "newer_than" => format!("Newer than {}", span(conditions.newer_than)),
                "idle_for" => format!("Not used for {}", span(conditions.idle_for)),
                "several" if conditions.several == Some(true) => "Several sessions at once".into(),
                "several" => "One session at a time".into(),
                _ if conditions.service_account == Some(true) => "Service accounts".into(),
                _ => "People".into(),
            };
            let name = name.to_owned();
            FilterWords { name, words }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::SessionQuery;

    #[test]
    fn every_filter_has_words() {
        let text = "user=nora@acme.io&role=member&ip=10.0.0.0/8&method=password&browser=Firefox&system=Linux\
            &agent=rv&older_than=7d&newer_than=60d&idle_for=90m&several=true&service_account=false\
            &organisation=01890a5d-ac96-774b-bcce-b302099a8057";
        let conditions = SessionQuery::parse(text).unwrap().filter.more;
        let names = FilterNames {
            organisation: Some("Acme".into()),
            ..FilterNames::default()
        };
        let told: Vec<_> = describe(&conditions, names)
            .into_iter()
            .map(|one| one.words)
            .collect();
        assert_eq!(
            told,
            [
                "User nora@acme.io",
                "Organisation Acme",
                "Role member",
                "IP address 10.0.0.0/8",
                "Signed in: Password",
                "Browser Firefox",
                "System Linux",
                "User agent with “rv”",
                "Older than 7 days",
                "Newer than 60 days",
                "Not used for 90 minutes",
                "Several sessions at once",
                "People",
            ]
        );
    }

    #[test]
    fn yes_and_no_are_told_apart() {
        for (text, words) in [
            ("several=true", "Several sessions at once"),
            ("several=false", "One session at a time"),
            ("service_account=true", "Service accounts"),
            ("service_account=false", "People"),
        ] {
            let conditions = SessionQuery::parse(text).unwrap().filter.more;
            let told = describe(&conditions, FilterNames::default());
            let told: Vec<_> = told.iter().map(|one| one.words.as_str()).collect();
            assert_eq!(told, [words]);
        }
    }
}
