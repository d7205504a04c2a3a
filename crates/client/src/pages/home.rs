//! The start page: sends administrators to the dashboard and everyone else to their own sessions. The
//! server does the same before anything is rendered; this is for links followed in the browser.

use leptos::prelude::*;
use leptos_router::components::Redirect;
use rollcall_core::Permission;

use crate::app::use_surroundings;
use crate::routes;

/// Sends the viewer on.
#[component]
pub(crate) fn HomePage() -> AnyView {
    let path = match use_surroundings().viewer {
        None => routes::SIGN_IN,
        Some(viewer) if viewer.may(Permission::SessionsView) => routes::SESSIONS,
        Some(_) => routes::MY_SESSIONS,
    };
    view! { <Redirect path /> }.into_any()
}
