//! What a caller may see.

use rollcall_core::{OrganisationId, UserId};

/// What a caller may see. Every list, count and find takes one, so that none can be forgotten.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// Every organisation.
    All,
    /// One organisation.
    Organisation(OrganisationId),
    /// One user.
    User(UserId),
}

impl Scope {
    /// Whether a session of this organisation and user lies within it.
    pub fn covers(self, organisation: OrganisationId, user: UserId) -> bool {
        match self {
            Self::All => true,
            Self::Organisation(id) => id == organisation,
            Self::User(id) => id == user,
        }
    }
}
