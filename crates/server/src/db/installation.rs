//! What is true of the whole installation.

use rollcall_core::{EndReason, Timestamp};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, ExprTrait, QueryFilter};

use super::entity::installation;
use super::error::DbError;
use super::records::Installation;
use super::sql::unknown;

/// The one row.
pub async fn find(connection: &impl ConnectionTrait) -> Result<Installation, DbError> {
    let row = installation::Entity::find()
        .one(connection)
        .await?
        .ok_or_else(|| DbErr::RecordNotFound("installation".into()))?;
    let ended_before = match (row.ended_before, row.ended_before_reason) {
        (Some(at), Some(word)) => {
            let reason =
                EndReason::from_name(&word).ok_or_else(|| unknown("ended_before_reason"))?;
            Some((Timestamp(at), reason))
        }
        _ => None,
    };
    Ok(Installation { ended_before })
}

/// Ends every session that was created until `at`. An epoch never goes back.
pub async fn end_before(
    connection: &impl ConnectionTrait,
    at: Timestamp,
    reason: EndReason,
) -> Result<bool, DbError> {
    let result = installation::Entity::update_many()
        .col_expr(installation::Column::EndedBefore, Expr::value(at.0))
        .col_expr(
            installation::Column::EndedBeforeReason,
            Expr::value(reason.as_str()),
        )
        .filter(
            installation::Column::EndedBefore
                .is_null()
                .or(installation::Column::EndedBefore.lt(at.0)),
        )
        .exec(connection)
        .await?;
    Ok(result.rows_affected == 1)
}
