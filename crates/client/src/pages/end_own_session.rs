//! The confirmation before ending one of one's own sessions, for use without scripts.

use leptos::prelude::*;
use leptos::server_fn::ServerFn;

use super::end_session::confirm;
use super::id_in_path;
use crate::components::error_view::ErrorPage;
use crate::routes;
use crate::rpc::{self, EndOwnSession};

/// Asks, then ends.
#[component]
pub(crate) fn EndOwnSessionPage() -> impl IntoView {
    let id = id_in_path();
    let session = Resource::new(move || id.get(), rpc::find_own_session);
    let end = ServerAction::<EndOwnSession>::new();
    view! {
        <Suspense>
            {move || Suspend::new(async move {
                match session.await {
                    Ok(session) => {
                        let failure = end.value().get().and_then(Result::err).map(|error| error.0);
                        confirm(&session, EndOwnSession::url(), None, routes::MY_SESSIONS.to_owned(), failure)
                    }
                    Err(error) => view! { <ErrorPage error=error.0 /> }.into_any(),
                }
            })}
        </Suspense>
    }
}
