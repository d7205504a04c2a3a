//! The pages that go on in the browser, one per file: load, then compose. The others are in `plain`.

pub(crate) mod my_sessions;
pub(crate) mod not_found;
pub(crate) mod sessions;
pub(crate) mod sign_in;

use leptos::prelude::*;
use leptos_router::hooks::use_url;
use rollcall_core::ShownQuery;

/// What the address asks of a list of sessions.
fn query_in_address() -> Memo<ShownQuery> {
    let url = use_url();
    Memo::new(move |_| ShownQuery::parse_leniently(url.read().search()))
}
