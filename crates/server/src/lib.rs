//! The Rollcall server: `http` speaks to the world, `service` knows the rules, `db` keeps the rows.
//!
//! **Invariant:** each layer knows only the one beneath. No axum and no JSON below `http`, no SQL above
//! `db`. `main.rs` and `app.rs` put them together; tests use the same `app`.

// A page's view is one deeply nested type.
#![recursion_limit = "512"]

pub mod app;
pub mod backup;
pub mod cli;
pub mod clock;
pub mod config;
pub mod db;
pub mod demo;
pub mod error;
mod hex;
pub mod http;
pub mod jobs;
pub mod outbound;
pub mod service;
pub mod telemetry;
