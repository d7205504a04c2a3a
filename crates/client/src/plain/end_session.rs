//! The confirmation before ending one session, for use without scripts and in a new tab. Others ask in a dialog.

use leptos::prelude::*;
use leptos::server_fn::ServerFn;
use leptos_meta::Title;
use rollcall_core::{Error, Session, State};

use super::parts::{backend, failed, part, when_there};
use crate::components::confirmation::{EndFacts, question, verb};
use crate::routes;
use crate::rpc::{EndOwnSession, EndSession};

/// Any session that the viewer may end.
pub(super) fn page() -> AnyView {
    when_there(|| {
        let (id, backend) = (part("id"), backend());
        async move {
            let id = id.parse().map_err(|_| Error::NotFound)?;
            let session = backend?.find_session(id).await?;
            let reason = (!session.current).then(|| {
                view! {
                    <label class="stack">
                        <span>"Reason "<small>"(optional; kept with the session)"</small></span>
                        <input name="reason" maxlength="200" autocomplete="off" />
                    </label>
                }
                .into_any()
            });
            let back = routes::session(&session.id.to_string());
            Ok(ask(&session, EndSession::url(), reason, back))
        }
    })
}

/// One of one's own.
pub(super) fn own_page() -> AnyView {
    when_there(|| {
        let (id, backend) = (part("id"), backend());
        async move {
            let id = id.parse().map_err(|_| Error::NotFound)?;
            let session = backend?.find_own_session(id).await?;
            let back = routes::MY_SESSIONS.to_owned();
            Ok(ask(&session, EndOwnSession::url(), None, back))
        }
    })
}

fn ask(session: &Session, action: &'static str, reason: Option<AnyView>, back: String) -> AnyView {
    let (heading, explanation) = question(session);
    let active = session.state == State::Active;
    view! {
        <Title text=heading />
        <section class="panel card">
            <h1>{heading}</h1>
            {failed(action)}
            <p>{if active { explanation } else { "This session has ended already; there is nothing to end." }}</p>
            <EndFacts session=session.clone() />
            <form method="post" action=action class="stack">
                <input type="hidden" name="session" value=session.id.to_string() />
                <input type="hidden" name="go" value="true" />
                {active.then_some(reason)}
                <div class="acts">
                    <a class="button" href=back>{if active { "Cancel" } else { "Back" }}</a>
                    {active.then(|| view! { <button class="button danger full">{verb(session)}</button> })}
                </div>
            </form>
        </section>
    }
    .into_any()
}
