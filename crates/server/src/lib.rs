//! The Rollcall server: `http` speaks to the world, `service` knows the rules, `db` keeps the rows.

pub mod clock;
pub mod db;
pub mod jobs;
pub mod service;
