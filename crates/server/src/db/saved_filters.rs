//! What users keep of the list of sessions: filters by name, and its columns.

use rollcall_core::choices::MOST_FILTERS;
use rollcall_core::{Columns, Conditions, FilterNames, SavedFilter, SavedFilterId, UserId, Who};
use sea_orm::{ConnectionTrait, DbErr};

use super::error::DbError;
use super::scope::Scope;
use super::sql::{Row, Sql};

/// A user's filters, by name.
pub async fn list(
    connection: &impl ConnectionTrait,
    user: UserId,
) -> Result<Vec<SavedFilter>, DbError> {
    let mut sql = Sql::new(
        connection,
        "SELECT id, name, query, created_at FROM saved_filter WHERE user_id = ",
    );
    sql.bind(user.0).push(" ORDER BY name");
    let rows = sql.all(connection).await?;
    let filters = rows.iter().map(|row| {
        let row = Row(row);
        Ok::<_, DbErr>(SavedFilter {
            id: SavedFilterId(row.uuid("id")?),
            name: row.get("name")?,
            query: row.get("query")?,
            created_at: row.time("created_at")?,
        })
    });
    Ok(filters.collect::<Result<_, _>>()?)
}

/// Stores a filter. False if the user has as many as there may be.
///
/// # Errors
/// `Unique("saved_filter_user_id_name_unique")` where the user has one of this name.
pub async fn create(
    connection: &impl ConnectionTrait,
    user: UserId,
    filter: &SavedFilter,
) -> Result<bool, DbError> {
    // Takes the user's row, so that two at once are counted one after the other.
    let mut held = Sql::new(connection, r#"UPDATE "user" SET id = id WHERE id = "#);
    held.bind(user.0);
    held.run(connection).await?;
    let mut sql = Sql::new(
        connection,
        "INSERT INTO saved_filter (id, user_id, name, query, created_at) SELECT ",
    );
    let owner = sql.place(user.0);
    sql.bind(filter.id.0)
        .push(&format!(", {owner}, "))
        .bind(filter.name.clone())
        .push(", ")
        .bind(filter.query.clone())
        .push(", ")
        .bind(filter.created_at.0)
        .push(&format!(
            " WHERE (SELECT count(*) FROM saved_filter f WHERE f.user_id = {owner}) < {MOST_FILTERS}"
        ));
    Ok(sql.run(connection).await? == 1)
}

/// Removes one of a user's filters. False if there is none of this id.
pub async fn delete(
    connection: &impl ConnectionTrait,
    user: UserId,
    id: SavedFilterId,
) -> Result<bool, DbError> {
    let mut sql = Sql::new(connection, "DELETE FROM saved_filter WHERE id = ");
    sql.bind(id.0).push(" AND user_id = ").bind(user.0);
    Ok(sql.run(connection).await? == 1)
}

/// Removes all that a user has saved.
pub(super) async fn forget(connection: &impl ConnectionTrait, user: UserId) -> Result<(), DbError> {
    let mut sql = Sql::new(connection, "DELETE FROM saved_filter WHERE user_id = ");
    sql.bind(user.0);
    sql.run(connection).await?;
    Ok(())
}

/// Keeps a choice of columns.
pub async fn set_columns(
    connection: &impl ConnectionTrait,
    user: UserId,
    columns: Columns,
) -> Result<(), DbError> {
    let mut sql = Sql::new(connection, r#"UPDATE "user" SET session_columns = "#);
    let stored = (columns != Columns::default()).then(|| i64::from(columns.bits()));
    sql.bind(stored).push(" WHERE id = ").bind(user.0);
    sql.run(connection).await?;
    Ok(())
}

/// A stored choice.
pub(super) fn columns(bits: Option<i64>) -> Columns {
    bits.and_then(|bits| u32::try_from(bits).ok())
        .map_or_else(Columns::default, Columns::from_bits)
}

/// What the things are called that a filter names by their ids, as far as the scope shows them.
pub async fn names(
    connection: &impl ConnectionTrait,
    scope: Scope,
    conditions: &Conditions,
) -> Result<FilterNames, DbError> {
    let mut names = FilterNames::default();
    if let Some(Who::Id(id)) = conditions.user {
        let mut sql = Sql::new(
            connection,
            r#"SELECT u.name AS name FROM "user" u WHERE u.id = "#,
        );
        sql.bind(id.0);
        names.user = named(connection, sql, scope, "u.organisation_id", "").await?;
    }
    if let Some(id) = conditions.organisation {
        let mut sql = Sql::new(
            connection,
            "SELECT o.name AS name FROM organisation o WHERE o.id = ",
        );
        sql.bind(id.0);
        names.organisation = named(connection, sql, scope, "o.id", "").await?;
    }
    if let Some(role) = &conditions.role {
        let mut sql = Sql::new(
            connection,
            "SELECT r.name AS name FROM role r WHERE r.key = ",
        );
        sql.bind(role.0.clone());
        let everybodys = "r.organisation_id IS NULL OR ";
        names.role = named(connection, sql, scope, "r.organisation_id", everybodys).await?;
    }
    Ok(names)
}

async fn named(
    connection: &impl ConnectionTrait,
    mut sql: Sql,
    scope: Scope,
    organisation: &str,
    or: &str,
) -> Result<Option<String>, DbError> {
    if let Scope::Organisation(own) = scope {
        sql.push(&format!(" AND ({or}{organisation} = "))
            .bind(own.0)
            .push(")");
    }
    let row = sql.one(connection).await?;
    Ok(row.map(|row| Row(&row).get("name")).transpose()?)
}
