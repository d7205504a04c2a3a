//! The confirmation before ending a session, for use without scripts.

use leptos::prelude::*;
use leptos::server_fn::ServerFn;
use leptos_meta::Title;
use rollcall_core::{Error, Session, State};

use super::id_in_path;
use crate::components::confirmation::{EndFacts, question, verb};
use crate::components::error_view::{ErrorNotice, ErrorPage};
use crate::routes;
use crate::rpc::{self, EndSession};
use crate::ui::loading::Loaded;

/// Asks, then ends.
#[component]
pub(crate) fn EndSessionPage() -> AnyView {
    let id = id_in_path();
    let session = rpc::load(move || (id.get(), 0), rpc::find_session);
    let failure = rpc::failure(EndSession::url());
    let content = move || async move {
        match session.await {
            Ok(session) => ask(session, failure),
            Err(error) => view! { <ErrorPage error=error.0 /> }.into_any(),
        }
    };
    view! { <Loaded content /> }.into_any()
}

fn ask(session: Session, failure: Option<Error>) -> AnyView {
    let id = session.id.to_string();
    let back = routes::session(&id);
    let reason = (!session.current).then(|| {
        view! {
            <label class="stack">
                <span>"Reason "<small>"(optional; kept with the session)"</small></span>
                <input name="reason" maxlength="200" autocomplete="off" />
            </label>
        }
    });
    confirm(
        &session,
        EndSession::url(),
        reason.map(IntoAny::into_any),
        back,
        failure,
    )
}

/// A confirmation page about one session, posted to `action`.
pub(super) fn confirm(
    session: &Session,
    action: &'static str,
    more: Option<AnyView>,
    back: String,
    failure: Option<Error>,
) -> AnyView {
    let (heading, explanation) = question(session);
    let active = session.state == State::Active;
    view! {
        <Title text=heading />
        <section class="panel card">
            <h1>{heading}</h1>
            {failure.map(|error| view! { <ErrorNotice error /> })}
            <p>{if active { explanation } else { "This session has ended already; there is nothing to end." }}</p>
            <EndFacts session=session.clone() />
            <form method="post" action=action class="stack">
                <input type="hidden" name="session" value=session.id.to_string() />
                <input type="hidden" name="go" value="true" />
                {active.then_some(more)}
                <div class="acts">
                    <a class="button" href=back rel="external">{if active { "Cancel" } else { "Back" }}</a>
                    {active.then(|| view! { <button class="button danger full">{verb(session)}</button> })}
                </div>
            </form>
        </section>
    }
    .into_any()
}
