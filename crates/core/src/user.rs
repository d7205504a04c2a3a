//! People and service accounts, and the organisations they belong to.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{OrganisationId, UserId};

/// An e-mail address as it is kept: trimmed, lower case, with one `@` and something on both sides, at
/// most 254 bytes (RFC 5321, 4.5.3.1.3). It is the user name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(transparent)]
pub struct Email(String);

impl Email {
    /// Parses an address; `None` where it cannot be one.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_lowercase();
        let (local, domain) = text.split_once('@')?;
        let sound = !local.is_empty()
            && !domain.is_empty()
            && text.len() <= 254
            && !domain.contains('@')
            && !text.chars().any(|c| c.is_control() || c.is_whitespace());
        sound.then_some(Self(text))
    }

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A user, as a row of a list names one. A deleted user keeps name and e-mail here until the rows that
/// show them are purged.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UserRef {
    /// The user's id.
    pub id: UserId,
    /// The user name.
    pub email: String,
    /// What the user is called.
    pub name: String,
    /// True for a program's account.
    pub service_account: bool,
}

/// An organisation, as a row of a list names one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OrganisationRef {
    /// The organisation's id.
    pub id: OrganisationId,
    /// What it is called.
    pub name: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_kept_in_one_form() {
        assert_eq!(
            Email::parse("  Nora.Rossi@Acme.IO ").unwrap().as_str(),
            "nora.rossi@acme.io"
        );
        for text in [
            "", "nora", "@acme.io", "nora@", "a@b@c", "a b@c", "a\u{0}@c",
        ] {
            assert_eq!(Email::parse(text), None, "{text:?}");
        }
    }
}
