//! The confirmation before ending all other sessions, or all. Everyone comes here, with scripts too:
//! what ends this much deserves a page.

use leptos::prelude::*;
use leptos::server_fn::ServerFn;
use leptos_meta::Title;
use leptos_router::hooks::use_query_map;
use rollcall_core::{Error, Page, Session, ShownQuery};

use crate::components::error_view::{ErrorNotice, ErrorPage};
use crate::routes;
use crate::rpc::{self, EndOwnSessions};
use crate::ui::loading::Loaded;

/// Asks with the number of sessions, then ends them.
#[component]
pub(crate) fn EndOwnSessionsPage() -> AnyView {
    let query = use_query_map();
    let all = Memo::new(move |_| query.read().get("scope").as_deref() == Some("all"));
    let active = rpc::load(
        || (ShownQuery::default().to_query(), 0),
        rpc::list_own_sessions,
    );
    let failure = rpc::failure(EndOwnSessions::url());
    let content = move || async move {
        match active.await {
            Ok(list) => ask(list, all.get(), failure),
            Err(error) => view! { <ErrorPage error=error.0 /> }.into_any(),
        }
    };
    view! {
        <Title text="End sessions" />
        <Loaded content />
    }
    .into_any()
}

fn ask(list: Page<Session>, all: bool, failure: Option<Error>) -> AnyView {
    let count = if all {
        list.total
    } else {
        list.total.saturating_sub(1)
    };
    let (heading, label) = if all {
        ("End all your sessions?", "End all and sign out")
    } else {
        ("End all your other sessions?", "End the others")
    };
    let what = match (count, all) {
        (0, _) => "There is no other active session.".to_owned(),
        (1, false) => "One other session is signed out at once. This one stays.".to_owned(),
        (_, false) => format!("{count} other sessions are signed out at once. This one stays."),
        (1, true) => "This is your only session.".to_owned(),
        (_, true) => format!("{count} sessions are signed out at once, this one among them."),
    };
    view! {
        <section class="panel card">
            <h1>{heading}</h1>
            {failure.map(|error| view! { <ErrorNotice error /> })}
            <p>{what}</p>
            {all.then(|| view! { <div class="warn">"You will be signed out at once. Save your work first."</div> })}
            <form method="post" action=EndOwnSessions::url() class="stack">
                <input type="hidden" name="scope" value=if all { "all" } else { "others" } />
                <input type="hidden" name="go" value="true" />
                <div class="acts">
                    <a href=routes::MY_SESSIONS class="button">{if count > 0 { "Cancel" } else { "Back" }}</a>
                    {(count > 0).then(|| view! { <button class="button danger full">{label}</button> })}
                </div>
            </form>
        </section>
    }
    .into_any()
}
