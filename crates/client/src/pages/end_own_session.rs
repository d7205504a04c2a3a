//! The confirmation before ending one of one's own sessions, for use without scripts.

use leptos::prelude::*;
use leptos::server_fn::ServerFn;

use super::end_session::confirm;
use super::id_in_path;
use crate::components::error_view::ErrorPage;
use crate::routes;
use crate::rpc::{self, EndOwnSession};
use crate::ui::loading::Loaded;

/// Asks, then ends.
#[component]
pub(crate) fn EndOwnSessionPage() -> AnyView {
    let id = id_in_path();
    let session = rpc::load(move || (id.get(), 0), rpc::find_own_session);
    let action = EndOwnSession::url();
    let failure = rpc::failure(action);
    let content = move || async move {
        match session.await {
            Ok(session) => confirm(
                &session,
                action,
                None,
                routes::MY_SESSIONS.to_owned(),
                failure,
            ),
            Err(error) => view! { <ErrorPage error=error.0 /> }.into_any(),
        }
    };
    view! { <Loaded content /> }.into_any()
}
