//! The server of Rollcall.

pub mod db;
