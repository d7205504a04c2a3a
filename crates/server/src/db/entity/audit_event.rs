//! An event of the audit trail. The database refuses to change or delete one.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_event")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub sequence: i64,
    pub at: i64,
    pub actor_id: Option<Uuid>,
    pub actor_name: String,
    pub target_id: Option<Uuid>,
    pub target_name: String,
    pub target_email: String,
    pub organisation_id: Option<Uuid>,
    pub action: String,
    pub outcome: String,
    pub session_id: Option<Uuid>,
    pub detail: Option<String>,
    pub ip: String,
    pub ip_bytes: Option<Vec<u8>>,
    pub user_agent: String,
    pub request_id: String,
    pub hmac: Vec<u8>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
