//! A type for each kind of id, so that mixing two does not compile.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                // Only the usual hyphenated form: one thing has one address.
                if text.len() != 36 {
                    return Err(Uuid::parse_str("").unwrap_err());
                }
                Uuid::parse_str(text).map(Self)
            }
        }
    };
}

id!(
    /// The public id of a session (UUIDv7). Never a credential.
    SessionId
);
id!(
    /// The id of a user: a person or a service account.
    UserId
);
id!(
    /// The id of an organisation, the boundary of what an administrator sees.
    OrganisationId
);
id!(
    /// The id of a preview of an end of many sessions.
    EndPreviewId
);

id!(
    /// The id of a filter that somebody has saved.
    SavedFilterId
);

id!(
    /// The id of an API key. Never the secret.
    ApiKeyId
);

id!(
    /// The id of a registered client.
    ClientId
);

id!(
    /// The id of an execution.
    ExecutionId
);

id!(
    /// The id of a receiver of events.
    ReceiverId
);

/// The key of a role: a built-in one's word (`session_manager`) or the UUIDv7 of an organisation's own.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct RoleKey(pub String);

impl fmt::Display for RoleKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text cannot be the key of a role.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoRoleKey;

impl FromStr for RoleKey {
    type Err = NoRoleKey;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
        if (1..=36).contains(&text.len()) && text.bytes().all(plain) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NoRoleKey)
        }
    }
}
