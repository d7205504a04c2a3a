//! Ending many sessions at once: sealed by a preview, so that a sign-in after it is not swept in, or by an
//! epoch, which ends everything of a user, an organisation or the installation at once.

use serde::{Deserialize, Serialize};

use crate::filter::SessionFilter;
use crate::ids::{EndPreviewId, OrganisationId, SessionId, UserId};
use crate::time::Timestamp;

/// The most sessions that can be named one by one.
pub const MOST_CHOSEN: u32 = 1_000;

/// How long a preview can be used, in seconds.
pub const PREVIEW_SECONDS: u64 = 600;

/// Which sessions to end. Never the one that asks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum EndChoice {
    /// These, at most `MOST_CHOSEN`.
    Sessions(Vec<SessionId>),
    /// All that match. A filter that leaves everything, or narrows by state alone, is refused.
    Matching(SessionFilter),
}

/// How far an end has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum EndStage {
    /// A preview: nothing has ended.
    Preview,
    /// Sessions are being ended.
    Running,
    /// All are ended, or had ended already.
    Finished,
}

/// A preview of an end, and what became of it. It belongs to the session that made it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EndRun {
    /// Its id.
    pub id: EndPreviewId,
    /// How far it has come.
    pub stage: EndStage,
    /// How many sessions it holds; no other will be ended by it.
    pub sessions: u64,
    /// Whose they are: so many users.
    pub users: u64,
    /// How many of those may manage users themselves.
    pub administrators: u64,
    /// Until when it can be used.
    pub expires_at: Timestamp,
    /// Why, in the words of whoever ended them.
    pub reason: Option<String>,
    /// How many it has ended so far.
    pub ended: u64,
    /// How many had ended by themselves before their turn.
    pub skipped: u64,
}

/// Everything of one of these ends at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EndAllScope {
    /// All sessions of a user.
    User(UserId),
    /// All sessions of an organisation.
    Organisation(OrganisationId),
    /// All sessions there are.
    Installation,
}
