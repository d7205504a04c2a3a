//! The part of `Backend` that is about what works without a person: API keys.

use crate::backend::Answer;
use crate::ids::{ApiKeyId, UserId};
use crate::keys::{ApiKey, CreateKey, KeyCreated};

/// What Rollcall can do for one request about programs that act for somebody.
///
/// Every method authorises first, as those of `Backend` do.
pub trait WorkBackend: Send + Sync {
    /// The caller's API keys: good ones first, then the newest.
    fn list_own_keys(&self) -> Answer<'_, Vec<ApiKey>>;

    /// A user's API keys. Needs `users.view`.
    fn list_user_keys(&self, user: UserId) -> Answer<'_, Vec<ApiKey>>;

    /// Makes an API key for the caller. `ReauthenticationRequired` where the password was entered too long ago.
    fn create_key(&self, input: CreateKey) -> Answer<'_, KeyCreated>;

    /// Revokes one of the caller's API keys, or, with `users.manage`, somebody else's. Twice is as good as once.
    fn revoke_key(&self, id: ApiKeyId) -> Answer<'_, ()>;

    /// The secret of a key that this session has just made: pages show it once and never again.
    fn key_secret(&self, id: ApiKeyId) -> Answer<'_, Option<String>>;
}
