//! Epochs: one row ends everything of a user, an organisation or the installation that was created until a
//! moment. The rows of the sessions follow in the sweep.

use rollcall_core::{EndAllScope, EndReason, Timestamp, UserId};
use sea_orm::ConnectionTrait;

use super::error::DbError;
use super::sql::Sql;

/// Ends every session in this scope that was created until `at`. An epoch never goes back: false if there is a
/// later one, or nothing to set it on.
pub async fn end_before(
    connection: &impl ConnectionTrait,
    scope: EndAllScope,
    at: Timestamp,
    reason: EndReason,
    by: Option<UserId>,
    note: Option<&str>,
) -> Result<bool, DbError> {
    let (table, id) = match scope {
        EndAllScope::User(user) => (r#""user""#, Some(user.0)),
        EndAllScope::Organisation(organisation) => ("organisation", Some(organisation.0)),
        EndAllScope::Installation => ("installation", None),
    };
    let mut sql = Sql::new(connection, &format!("UPDATE {table} SET ended_before = "));
    let at = sql.place(at.0);
    sql.push(&at)
        .push(", ended_before_reason = ")
        .bind(reason.as_str())
        .push(", ended_before_by = ")
        .bind(by.map(|id| id.0))
        .push(", ended_before_note = ")
        .bind(note.map(str::to_owned))
        .push(&format!(
            " WHERE (ended_before IS NULL OR ended_before < {at})"
        ));
    if let Some(id) = id {
        sql.push(" AND id = ").bind(id);
    }
    Ok(sql.run(connection).await? == 1)
}
