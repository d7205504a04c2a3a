//! An organisation.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "organisation")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub name: String,
    pub enabled: bool,
    pub ended_before: Option<i64>,
    pub ended_before_reason: Option<String>,
    /// False while there may be sessions that the epoch, or being disabled, ended and that are not
    /// stored as ended yet. Triggers clear it, the sweeper sets it.
    pub settled: bool,
    pub created_at: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
