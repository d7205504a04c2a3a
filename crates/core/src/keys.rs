//! API keys: what programs show instead of a password.

use serde::{Deserialize, Serialize};

use crate::ids::ApiKeyId;
use crate::permission::Permissions;
use crate::session::words;
use crate::time::Timestamp;

/// The longest name of a key, in characters.
pub const LONGEST_KEY_NAME: u32 = 80;
/// How many keys that are good somebody may have.
pub const MOST_KEYS: u32 = 20;
/// How long a key may be good, in days.
pub const LONGEST_KEY_LIFE: u32 = 365;
/// How long it is where nothing is said, in days.
pub const USUAL_KEY_LIFE: u32 = 90;

words!(
    /// Whether a key is good.
    KeyState {
        /// It opens what it is for.
        Good = "good",
        /// Its time is over.
        Expired = "expired",
        /// Somebody has revoked it, or what it stood for was taken away.
        Revoked = "revoked",
    }
);

/// An API key: acts as its owner, with a part of what the owner may do. Its secret is nowhere.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ApiKey {
    /// Its id.
    pub id: ApiKeyId,
    /// What people call it.
    pub name: String,
    /// What it may do, as far as its owner may.
    pub permissions: Permissions,
    /// Whether it is good.
    pub state: KeyState,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends by itself.
    pub expires_at: Timestamp,
    /// When it was last used, to the minute; `null` if never.
    pub last_used_at: Option<Timestamp>,
    /// When it was revoked; `null` if it was not.
    pub revoked_at: Option<Timestamp>,
}

/// What a new key is to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CreateKey {
    /// What to call it.
    pub name: String,
    /// What it may do: no more than the caller.
    pub permissions: Permissions,
    /// For how many days it is good.
    pub days: u32,
}

/// A key that was just made.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KeyCreated {
    /// The key.
    pub key: ApiKey,
    /// Its secret: answered this once and stored nowhere.
    pub secret: String,
}
