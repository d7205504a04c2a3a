//! The database: SQLite in a file, or PostgreSQL.
//!
//! **Invariant:** rows never leave this folder, SQL is nowhere else, and nothing here asks for the time
//! or for randomness: both come in as arguments.
//!
//! Queries are functions over `&impl ConnectionTrait`, so that each works on the readers and inside a
//! transaction alike. Reads of one statement go to [`Database::reader`], of several to [`Database::view`], changes through
//! [`Database::write`]. Times are
//! microseconds since 1970 UTC, ids are 16 bytes, addresses are 16 bytes beside their text.
//!
//! Lock order on PostgreSQL: sessions and their counters first, the audit trail last. A transaction that
//! appends its events at its end cannot dead-lock with another that does the same.

pub mod api_keys;
pub mod attempts;
pub mod audit;
pub mod audit_check;
mod audit_list;
mod authorities;
pub mod bulk;
pub mod clients;
mod connect;
mod counters;
pub mod deliveries;
pub mod devices;
pub mod end_previews;
mod entity;
pub mod epochs;
mod error;
pub mod executions;
pub mod identities;
pub mod installation;
mod life;
mod lock;
pub mod mail;
mod migration;
pub mod organisations;
mod overtaken;
pub mod policies;
pub mod protected_hosts;
pub mod providers;
mod read_only;
pub mod receivers;
pub mod records;
pub mod roles;
pub mod saved_filters;
mod scope;
mod search_index;
mod search_text;
pub mod session_list;
pub mod session_work;
pub mod sessions;
pub mod sign_in_tickets;
pub mod snapshot;
mod sql;
pub mod stopping;
mod sweep;
pub mod user_changes;
pub mod user_list;
pub mod users;
mod writer;

pub use connect::{Database, DatabaseHold, DatabaseOptions};
pub use error::DbError;
pub use read_only::open_to_read;
pub use records::{
    AuditRecord, Authority, Installation, NewSession, NewUser, OrganisationRecord, SessionRecord,
    StoredAuditEvent, Swept, Touch, UserRecord,
};
pub use scope::Scope;
pub use writer::{BoxedAnswer, Share};
