//! What a confirmation says about a session, in the dialog and on the page for use without scripts.

use leptos::prelude::*;
use rollcall_core::Session;

use super::session_facts::called;
use crate::ui::clock::TimeAgo;

/// The facts and, for one's own session, the warning.
#[component]
pub(crate) fn EndFacts(session: Session) -> impl IntoView {
    let whose =
        (!session.current).then(|| format!("{} ({})", session.user.name, session.user.email));
    let stops = session.stops();
    view! {
        <dl class="facts">
            {whose.map(|whose| view! { <dt>"User"</dt><dd>{whose}</dd> })}
            <dt>"Session"</dt>
            <dd>{called(&session)}</dd>
            <dt>"Browser"</dt>
            <dd>{session.browser_and_system()}</dd>
            <dt>"Address"</dt>
            <dd><code>{session.ip.clone()}</code></dd>
            <dt>"Signed in"</dt>
            <dd><TimeAgo at=session.created_at /></dd>
        </dl>
        {stops.map(|words| view! { <div class="warn">{words}</div> })}
        {session.current.then(|| view! { <div class="warn">"You will be signed out at once. Save your work first."</div> })}
    }
}

/// The question above the facts.
pub(crate) fn question(session: &Session) -> (&'static str, &'static str) {
    if session.current {
        (
            "End your own session?",
            "You are about to end the session that you are using now.",
        )
    } else {
        (
            "End this session?",
            "It is signed out at its next click and has to sign in again.",
        )
    }
}

/// What the button says.
pub(crate) fn verb(session: &Session) -> &'static str {
    if session.current {
        "End and sign out"
    } else {
        "End session"
    }
}
