//! The confirmation before every session of an organisation, or of everybody, ends.

use leptos::prelude::*;
use leptos::server_fn::ServerFn;
use leptos_meta::Title;
use rollcall_core::{Error, Organisation, Permission};

use super::parts::{backend, counted, failed, may, when_there};
use crate::app::use_surroundings;
use crate::routes;
use crate::rpc::EndAll;

/// Whom it concerns.
struct Concerned {
    heading: String,
    /// How many live.
    active: u64,
    scope: &'static str,
    target: String,
    /// Whether the viewer is among them.
    own: bool,
    back: String,
    button: &'static str,
}

/// Of everybody.
pub(super) fn page() -> AnyView {
    when_there(|| {
        let (backend, ends) = (backend(), may(Permission::SessionsEnd));
        async move {
            if !ends {
                return Err(Error::Forbidden);
            }
            let stats = backend?.session_stats().await?;
            Ok(ask(Concerned {
                heading: "End every session of this installation?".to_owned(),
                active: stats.active,
                scope: "installation",
                target: String::new(),
                own: true,
                back: routes::ORGANISATIONS.to_owned(),
                button: "End everything",
            }))
        }
    })
}

/// Of an organisation.
pub(super) fn of_organisation(one: &Organisation) -> AnyView {
    let id = one.id.to_string();
    let viewer = use_surroundings().viewer;
    ask(Concerned {
        heading: format!("End all sessions of {}?", one.name),
        active: one.active_sessions,
        scope: "organisation",
        own: viewer.is_some_and(|viewer| viewer.organisation.id == one.id),
        back: routes::below(routes::ORGANISATIONS, &id),
        target: id,
        button: "End all its sessions",
    })
}

fn ask(concerned: Concerned) -> AnyView {
    let Concerned {
        heading,
        active,
        scope,
        target,
        own,
        back,
        button,
    } = concerned;
    let who = match active {
        0 => "No session is active there now. Whoever signs in before you press the button is signed out too.".to_owned(),
        1 => "One active session is signed out at once. Its user can sign in again.".to_owned(),
        many => format!(
            "{} are signed out at once. Their users can sign in again.",
            counted(many, "active session", "active sessions")
        ),
    };
    view! {
        <Title text=heading.clone() />
        <section class="panel card">
            <h1>{heading}</h1>
            {failed(EndAll::url())}
            <p>{who}</p>
            {own.then(|| view! { <div class="warn">"You are among them: you will be signed out too."</div> })}
            <form method="post" action=EndAll::url() class="stack">
                <input type="hidden" name="scope" value=scope />
                <input type="hidden" name="target" value=target />
                <input type="hidden" name="go" value="true" />
                <label class="stack">
                    <span>"Reason "<small>"(optional; kept with each session)"</small></span>
                    <input name="reason" maxlength="200" autocomplete="off" />
                </label>
                <label class="check">
                    <input type="checkbox" required />
                    "I know that this cannot be undone."
                </label>
                <div class="acts">
                    <a class="button" href=back>"Cancel"</a>
                    <button class="button danger full">{button}</button>
                </div>
            </form>
        </section>
    }
    .into_any()
}
