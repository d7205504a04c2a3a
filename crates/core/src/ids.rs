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
