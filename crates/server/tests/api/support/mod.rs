//! What every test stands on: an app with a database of its own, people in it, and clients of each kind.

#[macro_use]
mod databases;

mod answer;
mod app;
mod client;
mod people;

pub(crate) use answer::{Answer, redacted};
pub(crate) use app::TestApp;
pub(crate) use client::Client;
pub(crate) use databases::{Kind as DatabaseKind, as_superuser, kind, on};
pub(crate) use people::{NewRow, PASSWORD, Person, hours, minutes, seconds};
