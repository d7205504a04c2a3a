//! What the benchmark and the proofs share: a client, the start of a program, databases to work on.

pub mod client;
pub mod data;
pub mod server;
