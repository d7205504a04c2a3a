//! The tables, as SeaORM sees them.

// SeaORM derives public items and asks for public fields; nothing leaves `db`.
#![allow(unreachable_pub)]

pub(super) mod audit_event;
pub(super) mod installation;
pub(super) mod organisation;
pub(super) mod role;
pub(super) mod session;
pub(super) mod user;
pub(super) mod user_role;
