//! Lists of sessions.

use rollcall_core::{
    Page, Session, SessionFilter, SessionId, SessionQuery, SessionStats, Timestamp, UserId,
};
use sea_orm::ConnectionTrait;

use super::error::DbError;
use super::scope::Scope;

/// A page.
pub async fn list(
    _: &impl ConnectionTrait,
    _: Scope,
    _: &SessionQuery,
    _: Timestamp,
) -> Result<Page<Session>, DbError> {
    Err(DbError::Aborted)
}
/// How many.
pub async fn count(
    _: &impl ConnectionTrait,
    _: Scope,
    _: &SessionFilter,
    _: Timestamp,
) -> Result<u64, DbError> {
    Err(DbError::Aborted)
}
/// One.
pub async fn find(
    _: &impl ConnectionTrait,
    _: Scope,
    _: SessionId,
    _: Timestamp,
) -> Result<Option<Session>, DbError> {
    Err(DbError::Aborted)
}
/// The cards.
pub async fn stats(
    _: &impl ConnectionTrait,
    _: Scope,
    _: Timestamp,
) -> Result<SessionStats, DbError> {
    Err(DbError::Aborted)
}
/// The next ones.
pub async fn list_after(
    _: &impl ConnectionTrait,
    _: Scope,
    _: Option<(Timestamp, SessionId)>,
    _: u64,
    _: Timestamp,
) -> Result<Vec<Session>, DbError> {
    Err(DbError::Aborted)
}
/// One's own.
pub async fn own(
    _: &impl ConnectionTrait,
    _: UserId,
    _: Option<SessionId>,
    _: &SessionQuery,
    _: Timestamp,
) -> Result<Page<Session>, DbError> {
    Err(DbError::Aborted)
}
