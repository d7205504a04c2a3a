//! The confirmation before ending all other sessions of one's own, or all.

use leptos::prelude::*;
use leptos::server_fn::ServerFn;
use leptos_meta::Title;
use leptos_router::hooks::use_query_map;
use rollcall_core::SessionQuery;

use super::parts::{backend, failed, when_there};
use crate::routes;
use crate::rpc::EndOwnSessions;

pub(super) fn page() -> AnyView {
    when_there(|| {
        let all = use_query_map().read_untracked().get("scope").as_deref() == Some("all");
        let backend = backend();
        async move {
            let active = backend?.list_own_sessions(SessionQuery::default()).await?;
            Ok(ask(active.total, all))
        }
    })
}

fn ask(active: u64, all: bool) -> AnyView {
    let count = if all {
        active
    } else {
        active.saturating_sub(1)
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
        <Title text="End sessions" />
        <section class="panel card">
            <h1>{heading}</h1>
            {failed(EndOwnSessions::url())}
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
