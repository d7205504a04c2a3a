//! A session.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "session")]
pub struct Model {
    /// The row's number, which the search index of SQLite knows it by.
    #[sea_orm(primary_key)]
    pub number: i64,
    pub id: Uuid,
    pub user_id: Uuid,
    pub organisation_id: Uuid,
    pub lineage_hash: Vec<u8>,
    pub secret_hash: Vec<u8>,
    pub rotation_key: Vec<u8>,
    pub generation: i64,
    pub first_used_at: Option<i64>,
    pub name: String,
    pub kind: String,
    pub method: String,
    pub keep: bool,
    pub ip: String,
    /// 16 bytes, an IPv4 address mapped into IPv6: the order of addresses.
    pub ip_bytes: Vec<u8>,
    pub user_agent: String,
    pub browser: String,
    pub system: String,
    pub server_name: String,
    /// The user's e-mail, kept here so that it can be sorted by.
    pub email: String,
    /// The name in lower case, to sort by.
    pub name_key: String,
    /// Browser and system in one line in lower case, to sort by.
    pub browser_key: String,
    /// What a search looks through.
    pub search_text: String,
    pub created_at: i64,
    pub authenticated_at: i64,
    pub last_activity_at: i64,
    pub idle_timeout_seconds: i64,
    pub idle_expires_at: i64,
    pub absolute_expires_at: i64,
    /// The earlier of the two.
    pub expires_at: i64,
    pub ended_at: Option<i64>,
    pub end_reason: Option<String>,
    pub ended_by: Option<Uuid>,
    pub end_note: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
