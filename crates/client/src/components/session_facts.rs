//! Cells that several pages show of a session.

use leptos::prelude::*;
use rollcall_core::{Session, State, words};

/// The state as a tag, and why it ended beneath.
#[component]
pub(crate) fn StateTag(
    /// Whose state.
    session: Session,
) -> impl IntoView {
    match (session.state, session.ended) {
        (State::Active, _) => view! { <span class="tag green dot">"Active"</span> }.into_any(),
        (State::Ended, ended) => view! {
            <span class="tag red dot">"Ended"</span>
            <span class="sub">{ended.map(|ended| ended.reason.label(session.idle_timeout_seconds))}</span>
        }
        .into_any(),
    }
}

/// "64 min", with "1 h 4 min 12 s" on hover and focus.
#[component]
pub(crate) fn Duration(seconds: i64) -> impl IntoView {
    let exactly = words::exactly(seconds);
    view! { <span class="num hint" title=exactly.clone() data-exact=exactly tabindex="0">{words::minutes(seconds)}</span> }
}

/// What a confirmation and a message call a session: "Firefox on Linux".
pub(crate) fn called(session: &Session) -> String {
    if session.name.is_empty() {
        session.browser_and_system()
    } else {
        session.name.clone()
    }
}
