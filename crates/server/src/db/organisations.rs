//! Organisations.

use rollcall_core::{OrganisationId, Timestamp};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder,
};

use super::entity::organisation;
use super::error::DbError;
use super::records::OrganisationRecord;

/// Stores an organisation.
///
/// # Errors
/// `Unique("organisation_name_unique")` where the name is taken.
pub async fn create(
    connection: &impl ConnectionTrait,
    id: OrganisationId,
    name: &str,
    now: Timestamp,
) -> Result<(), DbError> {
    organisation::Entity::insert(organisation::ActiveModel {
        id: Set(id.0),
        name: Set(name.to_owned()),
        enabled: Set(true),
        ended_before: Set(None),
        ended_before_reason: Set(None),
        settled: Set(true),
        created_at: Set(now.0),
    })
    .exec_without_returning(connection)
    .await?;
    Ok(())
}

/// The organisation with exactly this name.
pub async fn find_by_name(
    connection: &impl ConnectionTrait,
    name: &str,
) -> Result<Option<OrganisationRecord>, DbError> {
    Ok(organisation::Entity::find()
        .filter(organisation::Column::Name.eq(name))
        .one(connection)
        .await?
        .map(record))
}

/// The organisation with this id.
pub async fn find(
    connection: &impl ConnectionTrait,
    id: OrganisationId,
) -> Result<Option<OrganisationRecord>, DbError> {
    Ok(organisation::Entity::find_by_id(id.0)
        .one(connection)
        .await?
        .map(record))
}

/// All organisations, by name.
pub async fn list(connection: &impl ConnectionTrait) -> Result<Vec<OrganisationRecord>, DbError> {
    Ok(organisation::Entity::find()
        .order_by_asc(organisation::Column::Name)
        .all(connection)
        .await?
        .into_iter()
        .map(record)
        .collect())
}

fn record(row: organisation::Model) -> OrganisationRecord {
    OrganisationRecord {
        id: OrganisationId(row.id),
        name: row.name,
        enabled: row.enabled,
        created_at: Timestamp(row.created_at),
    }
}
