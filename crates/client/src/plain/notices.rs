//! One's own sign-ins from browsers and networks that were not seen before: was this you?

use leptos::prelude::*;
use leptos::server_fn::ServerFn;
use leptos_meta::Title;
use rollcall_core::Notice;

use super::parts::{backend, empty, failed, search, when_there};
use crate::routes;
use crate::rpc::{ConfirmNotice, DisownNotice};
use crate::ui::clock::ExactTime;

pub(super) fn page() -> AnyView {
    when_there(|| {
        let backend = backend();
        async move { Ok(show(backend?.list_notices().await?)) }
    })
}

fn show(notices: Vec<Notice>) -> AnyView {
    let disowned = search().contains("disowned=").then(|| {
        view! {
            <div class="notice done" role="status">
                <p>"That session was ended. Whoever it was knows your password: change it now, which ends all your other sessions, too."</p>
                <p><a class="button" href=routes::SECURITY>"Change password"</a></p>
            </div>
        }
    });
    let list = match notices.is_empty() {
        true => empty(
            "Nothing new",
            "Sign-ins from a browser or a network that was not seen with your account before are listed here.",
            None,
        ),
        false => {
            let items = notices.iter().map(item).collect_view();
            view! { <ul class="devices">{items}</ul> }.into_any()
        }
    };
    view! {
        <Title text="New sign-ins" />
        <p class="crumbs"><a href=routes::MY_SESSIONS>"My sessions"</a></p>
        <div class="head"><h1>"New sign-ins"</h1></div>
        <p class="lead">"From browsers and networks that were not seen with your account before, within the last 30 days. Was this you?"</p>
        {disowned}
        {failed(ConfirmNotice::url())}
        {failed(DisownNotice::url())}
        <section class="panel">{list}</section>
    }
    .into_any()
}

fn item(notice: &Notice) -> AnyView {
    let id = notice.session.to_string();
    let what = format!("{}, {}", notice.device, notice.network);
    let (yes, no) = (
        format!("This was me: {what}"),
        format!("This was not me: {what}"),
    );
    let confirm = match notice.can_be_confirmed {
        true => view! {
            <form method="post" action=ConfirmNotice::url()>
                <input type="hidden" name="session" value=id.clone() />
                <button class="button plain" aria-label=yes>"This was me"</button>
            </form>
        }
        .into_any(),
        false => ().into_any(),
    };
    let state = match notice.active {
        true => view! { <span class="tag green dot">"Active"</span> }.into_any(),
        false => view! { <span class="tag">"Ended"</span> }.into_any(),
    };
    view! {
        <li>
            <div class="what">
                <b>{notice.device.clone()}</b>
                {state}
                <span class="sub"><code>{notice.network.clone()}</code></span>
            </div>
            <div class="when"><span>"Signed in "<ExactTime at=notice.at /></span></div>
            {confirm}
            <form method="post" action=DisownNotice::url()>
                <input type="hidden" name="session" value=id />
                <button class="button plain danger" aria-label=no>"This was not me"</button>
            </form>
        </li>
    }
    .into_any()
}
