//! The database layer, on SQLite and on PostgreSQL.

// A test binary has no outside that `pub` could reach.
#![allow(unreachable_pub)]

mod audit;
mod conditions;
mod lists;
mod loading;
mod model;
mod people;
mod plans;
mod session_life;
mod support;
mod writes;
