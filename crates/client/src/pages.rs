//! The pages that go on in the browser, one per file: load, then compose. The others are in `plain`.

pub(crate) mod my_sessions;
pub(crate) mod not_found;
pub(crate) mod session;
pub(crate) mod sessions;
pub(crate) mod sign_in;

use leptos::prelude::*;
use leptos_router::hooks::{use_params_map, use_url};
use rollcall_core::ShownQuery;

/// What the address asks of a list of sessions.
fn query_in_address() -> Memo<ShownQuery> {
    let url = use_url();
    Memo::new(move |_| ShownQuery::parse_leniently(url.read().search()))
}

/// The `:id` of the page's path.
fn id_in_path() -> Memo<String> {
    let params = use_params_map();
    Memo::new(move |_| params.read().get("id").unwrap_or_default())
}
