//! The server as its clients see it: requests through the whole router, in process, on both databases, by
//! a clock that the test moves. No sleeps, no retries.
//!
//! Without `ROLLCALL_TEST_POSTGRES` (the URL of a superuser of a PostgreSQL that may be used for tests) only
//! SQLite is tested. With it every test has a database of its own there, which is dropped afterwards.

#[macro_use]
mod support;

mod applications;
mod audit;
mod audit_list;
mod audit_verify;
mod authority;
mod backup;
mod behind_the_cache;
mod browser_safety;
mod choosing;
mod clients;
mod command_line;
mod contract;
mod credentials;
mod database_away;
mod devices;
mod ending;
mod executions;
mod exports;
mod faults;
mod filters;
mod first_start;
mod force_logout;
mod forgotten;
mod forward_auth;
mod guessing;
mod hang_up;
mod identity_providers;
mod interleavings;
mod keys;
mod life;
mod lists;
mod lists_model;
mod mail;
mod many;
mod operations;
mod pages;
mod parser_properties;
mod parsers;
mod passwords;
mod people;
mod people_doors;
mod people_pages;
mod people_revoked;
mod policy;
mod reauthentication;
mod receivers;
mod renaming;
mod roles;
mod rotation;
mod rotation_model;
mod rpc;
mod secrets;
mod security_map;
mod sign_in;
mod sign_out_elsewhere;
mod single_sign_on;
mod strangers;
mod telling;
mod telling_ends;
mod tenancy;
mod user_requests;
mod wire;
