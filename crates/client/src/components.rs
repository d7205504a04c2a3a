//! Pieces that know what a session is.

pub(crate) mod confirmation;
pub(crate) mod end_dialog;
pub(crate) mod end_many;
pub mod error_view;
pub(crate) mod export_links;
pub mod layout;
pub(crate) mod session_facts;
pub(crate) mod session_filters;
pub(crate) mod session_table;
pub mod sign_on;
pub(crate) mod stat_cards;
