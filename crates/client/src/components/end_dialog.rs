//! The confirmation before a session ends, as a dialog.

use leptos::prelude::*;
use rollcall_core::{EndResult, Error, Session};

use super::confirmation::{EndFacts, question, verb};
use super::session_facts::called;
use crate::rpc::{self, Rpc};
use crate::ui::modal::Modal;
use crate::ui::toast::use_toasts;
use crate::{browser, routes};

/// Asks about the session in `asked`, ends it, and says so. `changed` is called when the list is out of
/// date.
#[component]
pub(crate) fn EndDialog(
    /// The session in question.
    asked: RwSignal<Option<Session>>,
    /// True on pages about one's own sessions: there is no reason to give.
    #[prop(optional)]
    own: bool,
    /// The list has changed.
    #[prop(into)]
    changed: Callback<()>,
) -> impl IntoView {
    let open = RwSignal::new(false);
    let toasts = use_toasts();
    let failure = RwSignal::new(None::<Error>);
    Effect::new(move || {
        if asked.get().is_some() {
            failure.set(None);
            open.set(true);
        }
    });
    Effect::new(move || {
        if !open.get() {
            asked.set(None);
        }
    });
    let end = Action::new_local(move |(session, reason): &(Session, String)| {
        let (session, reason) = (session.clone(), reason.clone());
        async move {
            let id = session.id.to_string();
            let answer = if own {
                rpc::end_own_session(id, None).await
            } else {
                rpc::end_session(id, Some(reason), None).await
            };
            finish(&session, answer, toasts, failure, open, changed);
        }
    });
    let reason = RwSignal::new(String::new());
    let content = move || {
        asked.get().map(|session| {
            let (heading, explanation) = question(&session);
            let label = verb(&session);
            let asks_reason = !own && !session.current;
            let confirmed = session.clone();
            reason.set(String::new());
            view! {
                <h2 id="end-heading">{heading}</h2>
                <p>{explanation}</p>
                <EndFacts session />
                {asks_reason.then(|| view! {
                    <label class="stack">
                        <span>"Reason "<small>"(optional; kept with the session)"</small></span>
                        <input maxlength="200" autocomplete="off" on:input=move |event| reason.set(event_target_value(&event)) />
                    </label>
                })}
                {move || failure.get().map(|error| view! { <p class="warn failed" role="alert">{error.to_string()}</p> })}
                <div class="acts">
                    <button class="button" autofocus type="button" on:click=move |_| open.set(false)>"Cancel"</button>
                    <button
                        class="button danger full"
                        type="button"
                        disabled=move || end.pending().get()
                        on:click=move |_| {
                            end.dispatch_local((confirmed.clone(), reason.get_untracked()));
                        }
                    >
                        {label}
                    </button>
                </div>
            }
        })
    };
    view! { <Modal open labelled_by="end-heading">{content()}</Modal> }
}

fn finish(
    session: &Session,
    answer: Rpc<EndResult>,
    toasts: crate::ui::toast::Toasts,
    failure: RwSignal<Option<Error>>,
    open: RwSignal<bool>,
    changed: Callback<()>,
) {
    match answer.map_err(|error| error.0) {
        Ok(result) if result.signed_out => browser::go(routes::SIGN_IN),
        Ok(_) => {
            open.set(false);
            toasts.done(format!(
                "Ended the session of {}, {}.",
                session.user.name,
                called(session)
            ));
            changed.run(());
        }
        Err(Error::Unauthenticated) => browser::go(&routes::sign_in_for(&browser::here())),
        // Somebody else was first, or time was: the list is out of date.
        Err(error @ (Error::SessionNotActive | Error::NotFound)) => {
            open.set(false);
            toasts.failed(error.to_string());
            changed.run(());
        }
        Err(error) => failure.set(Some(error)),
    }
}
