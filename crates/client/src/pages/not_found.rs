//! What no page is at.

use leptos::prelude::*;
use rollcall_core::Error;

use crate::components::error_view::ErrorPage;

/// "There is nothing here", in words.
#[component]
pub(crate) fn NotFoundPage() -> impl IntoView {
    view! { <ErrorPage error=Error::NotFound /> }
}
