//! The sessions of one user as an administrator sees them, newest first.

use rollcall_core::{Page, Session, SessionQuery, State, UserId};
use sea_orm::{ConnectionTrait, DbErr};

use super::{Scope, Total, page, row};
use crate::db::error::DbError;
use crate::db::life;
use crate::db::sql::{Dialect, Row, Sql};
use rollcall_core::Timestamp;

/// One page of a user's sessions within the scope, newest first; of the query only state and page count.
/// Somebody who came from another organisation has left the sessions of then behind.
pub async fn of_user(
    connection: &impl ConnectionTrait,
    scope: Scope,
    user: UserId,
    query: &SessionQuery,
    now: Timestamp,
) -> Result<Page<Session>, DbError> {
    let size = u64::from(query.page_size.get());
    let offset = u64::from(query.page.get() - 1) * size;
    let matching = |columns: &str| {
        let dialect = Dialect::of(connection);
        let mut sql = Sql::new(
            connection,
            &format!("SELECT {columns} FROM session s WHERE s.user_id = "),
        );
        sql.bind(user.0);
        if let Scope::Organisation(organisation) = scope {
            sql.push(" AND s.organisation_id = ").bind(organisation.0);
        }
        let at = sql.place(now.0);
        let live = life::live(dialect, "s", &at);
        match query.filter.state {
            None => {}
            Some(State::Active) => {
                sql.push(&format!(" AND {live}"));
            }
            Some(State::Ended) => {
                sql.push(&format!(" AND NOT {live}"));
            }
        }
        sql
    };
    let count = matching("count(*) AS total").one(connection).await?;
    let total = match count {
        Some(row) => crate::db::counters::natural(Row(&row).get("total")?),
        None => 0,
    };
    let mut sql = matching("s.id AS id");
    sql.push(" ORDER BY s.created_at DESC, s.id DESC LIMIT ")
        .bind(size.cast_signed())
        .push(" OFFSET ")
        .bind(offset.cast_signed());
    let rows = sql.all(connection).await?;
    let ids = rows
        .iter()
        .map(|row| Row(row).uuid("id"))
        .collect::<Result<Vec<_>, DbErr>>()?;
    let items = row::read(connection, scope, &ids, now).await?;
    let total = Total {
        rows: total,
        exact: true,
    };
    Ok(page(items, total, query, now))
}
