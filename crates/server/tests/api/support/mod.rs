//! What every test stands on: an app with a database of its own, people in it, and clients of each kind.

#[macro_use]
mod databases;

mod answer;
mod app;
mod client;
pub(crate) mod inbox;
pub(crate) mod mailbox;
mod people;
pub(crate) mod provider;
mod work;

pub(crate) use answer::{Answer, redacted};
pub(crate) use app::TestApp;
pub(crate) use client::{Ask, Client};
pub(crate) use databases::{Kind as DatabaseKind, as_superuser, kind, on};
pub(crate) use people::{NewRow, PASSWORD, Person, Rows, hours, minutes, seconds};
pub(crate) use work::{start, state_of};

/// An id that nothing has; another one at each call.
pub(crate) fn unknown_id() -> uuid::Uuid {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    uuid::Uuid::from_u128(0x0189_0a5d_ac96_774b_8000_0000_0000_0000 | u128::from(number))
}
