//! Which sessions end to make room, after the right password: for a user who has as many as there may be.

use leptos::prelude::*;
use leptos::server_fn::ServerFn;
use leptos_meta::Title;
use rollcall_core::{Error, PendingSignIn, Session};

use super::parts::{backend, counted, search, when_there};
use crate::components::error_view::ErrorNotice;
use crate::routes;
use crate::rpc::{self, FinishSignIn};
use crate::ui::clock::TimeAgo;
use crate::ui::icon::{Glyph, Icon};

pub(super) fn page() -> AnyView {
    let content = when_there(|| {
        let next = rollcall_core::query::find(&search(), "next");
        let backend = backend();
        async move {
            match backend?.pending_sign_in().await {
                Ok(pending) => Ok(ask(&pending, next)),
                Err(Error::ChoiceSpent) => Ok(over(next)),
                Err(error) => Err(error),
            }
        }
    });
    view! {
        <Title text="Make room" />
        <main class="alone" id="main">
            <section class="panel card">
                <p class="brand"><Glyph icon=Icon::Brand />"Rollcall"</p>
                {content}
            </section>
        </main>
    }
    .into_any()
}

fn ask(pending: &PendingSignIn, next: Option<String>) -> AnyView {
    let few = match rpc::failure(FinishSignIn::url()) {
        Some(Error::SessionLimit(_)) => {
            let words = format!("Nothing has ended yet. Tick {} or more.", pending.surplus);
            view! { <p class="notice failed" role="alert">{words}</p> }.into_any()
        }
        Some(error) => view! { <ErrorNotice error /> }.into_any(),
        None => ().into_any(),
    };
    let (live, surplus) = (
        counted(pending.live, "session", "sessions"),
        counted(pending.surplus, "session", "sessions"),
    );
    let what = match pending.surplus {
        0 => "There is room for this session by now.".to_owned(),
        _ => format!(
            "You have {live} open, and {} may be open at once. End {surplus} or more to sign in here.",
            pending.most
        ),
    };
    let hidden = pending.live.saturating_sub(pending.sessions.len() as u64);
    let more = (hidden > 0).then(|| {
        let words = format!(
            "And {}, which were used longer ago.",
            counted(hidden, "other session", "other sessions")
        );
        view! { <p class="aside">{words}</p> }
    });
    let boxes = pending.sessions.iter().map(one).collect_view();
    let list = (pending.surplus > 0).then(|| {
        view! {
            <fieldset class="stack">
                <legend>"End"</legend>
                {boxes}
            </fieldset>
            {more}
        }
    });
    let acts = if pending.surplus > 0 {
        view! {
            <button class="button" name="all" value="true">{format!("End all {} and sign in", pending.live)}</button>
            <button class="button primary">"End the ticked and sign in"</button>
        }
        .into_any()
    } else {
        view! { <button class="button primary">"Sign in"</button> }.into_any()
    };
    view! {
        <h1>"Make room for this session"</h1>
        {few}
        <p>"You are signing in as "<b>{pending.user.email.clone()}</b>". "{what}</p>
        <form method="post" action=FinishSignIn::url() class="stack">
            <input type="hidden" name="go" value="true" />
            {next.clone().map(|next| view! { <input type="hidden" name="next" value=next /> })}
            {list}
            <div class="acts">
                <a class="button" href=back(next.as_deref())>"Cancel"</a>
                {acts}
            </div>
        </form>
        <p class="aside">"What you end is signed out at once. This page is good for five minutes."</p>
    }
    .into_any()
}

fn one(session: &Session) -> AnyView {
    let id = session.id.to_string();
    view! {
        <label class="check">
            <input type="checkbox" name="end[]" value=id />
            <span>
                <b>{session.name.clone()}</b><br />
                <small>{session.browser_and_system()}" · "<code>{session.ip.clone()}</code>" · used "<TimeAgo at=session.last_activity_at /></small>
            </span>
        </label>
    }
    .into_any()
}

fn over(next: Option<String>) -> AnyView {
    view! {
        <h1>"Sign in again"</h1>
        <p>"This sign-in is over: it was finished, or took longer than five minutes."</p>
        <p><a class="button primary" href=back(next.as_deref())>"Sign in"</a></p>
    }
    .into_any()
}

fn back(next: Option<&str>) -> String {
    match next {
        Some(next) => routes::sign_in_for(next),
        None => routes::SIGN_IN.to_owned(),
    }
}
