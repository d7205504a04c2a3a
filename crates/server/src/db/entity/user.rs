//! A user.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "user")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub organisation_id: Uuid,
    pub email: String,
    pub name: String,
    pub role_key: String,
    pub service_account: bool,
    pub password_hash: Option<String>,
    pub password_change_required: bool,
    pub enabled: bool,
    pub deleted_at: Option<i64>,
    pub time_zone: Option<String>,
    pub created_at: i64,
    pub password_changed_at: Option<i64>,
    pub last_sign_in_at: Option<i64>,
    pub ended_before: Option<i64>,
    pub ended_before_reason: Option<String>,
    /// As in `organisation`.
    pub settled: bool,
    /// The folded name, to sort by.
    pub name_key: String,
    /// Folded e-mail and name, each in a line of its own, to search in.
    pub search_text: String,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
