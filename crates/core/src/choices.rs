//! What people keep of the list of sessions: its columns, and filters by name.

use serde::{Deserialize, Serialize};

use crate::ids::SavedFilterId;
use crate::session::words;
use crate::time::Timestamp;

/// The longest name of a saved filter, in characters.
pub const LONGEST_FILTER_NAME: u32 = 80;
/// How many filters somebody may save.
pub const MOST_FILTERS: u32 = 50;

words!(
    /// A column of the table of sessions.
    Column {
        /// Name and e-mail of the user. Always there.
        User = "user",
        /// The session name, and its kind.
        Name = "name",
        /// The address.
        Ip = "ip",
        /// Browser and system.
        Browser = "browser",
        /// Active or ended.
        State = "state",
        /// When the user signed in.
        CreatedAt = "created_at",
        /// When it was last used.
        LastActivityAt = "last_activity_at",
        /// From sign-in to the end or to now, in minutes.
        Duration = "duration",
        /// The same in words, to the second.
        SessionTime = "session_time",
        /// The user's primary role.
        Role = "role",
        /// When the user last signed in.
        LastSignIn = "last_sign_in_at",
        /// The organisation that the session belongs to.
        Organisation = "organisation",
        /// How the user signed in.
        Method = "method",
        /// Which server made it.
        ServerName = "server_name",
        /// The idle timeout that it lives under.
        IdleTimeout = "idle_timeout",
        /// What runs under it.
        Executions = "executions",
    }
);

/// A choice of columns; the order is that of `Column::ALL`. Stored and sent to pages as bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Columns(u32);

impl Default for Columns {
    /// The first eight, and what runs under it.
    fn default() -> Self {
        Self(0xff | 1 << Column::Executions as u32)
    }
}

impl Columns {
    /// These, and the user.
    pub fn of(list: &[Column]) -> Self {
        let bits = list
            .iter()
            .fold(1, |bits, column| bits | 1 << *column as u32);
        Self(bits)
    }

    /// A stored choice. What it has beyond the columns that this server knows is nothing that could be shown.
    pub fn from_bits(bits: u32) -> Self {
        Self(bits | 1)
    }

    /// The choice as bits, for storage.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Whether a column is among them.
    pub const fn has(self, column: Column) -> bool {
        self.0 & 1 << column as u32 != 0
    }

    /// All of them, in order.
    pub fn list(self) -> Vec<Column> {
        let there = |column: &Column| self.has(*column);
        Column::ALL.iter().copied().filter(there).collect()
    }
}

/// A filter that somebody has saved under a name.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SavedFilter {
    /// Its id.
    pub id: SavedFilterId,
    /// What its owner calls it, at most 80 characters.
    pub name: String,
    /// What it asks for, as it stands in the address of the list.
    pub query: String,
    /// When it was saved.
    pub created_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_survives_storage_and_always_has_the_user() {
        let chosen = Columns::of(&[Column::IdleTimeout, Column::Ip]);
        assert_eq!(Columns::from_bits(chosen.bits()), chosen);
        let list = [Column::User, Column::Ip, Column::IdleTimeout];
        assert_eq!(chosen.list(), list);
        assert_eq!(Columns::from_bits(u32::MAX).list(), Column::ALL);
        assert_eq!(Columns::from_bits(0).list(), [Column::User]);
        assert!(Columns::default().has(Column::Duration));
        assert!(!Columns::default().has(Column::SessionTime));
    }
}
