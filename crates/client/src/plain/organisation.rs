//! One organisation: rename it, disable it, enable it.

use leptos::prelude::*;
use leptos::server_fn::ServerFn;
use leptos_meta::Title;
use rollcall_core::{Organisation, Permission};

use super::parts::{backend, counted, failed, may, part, when_there};
use crate::app::use_surroundings;
use crate::routes;
use crate::rpc::EditOrganisation;
use crate::ui::clock::exact;

pub(super) fn page() -> AnyView {
    when_there(|| {
        let (id, backend) = (part("id"), backend());
        async move {
            let id = id.parse().map_err(|_| rollcall_core::Error::NotFound)?;
            Ok(show(backend?.find_organisation(id).await?))
        }
    })
}

/// The confirmation before an organisation is disabled, or all its sessions end.
pub(super) fn act_page() -> AnyView {
    when_there(|| {
        let (id, act, backend) = (part("id"), part("act"), backend());
        let ends = may(Permission::SessionsEnd);
        async move {
            let id = id.parse().map_err(|_| rollcall_core::Error::NotFound)?;
            let one = backend?.find_organisation(id).await?;
            match act.as_str() {
                "disable" if one.enabled => Ok(ask(one)),
                "end" if ends => Ok(super::end_all::of_organisation(&one)),
                "end" => Err(rollcall_core::Error::Forbidden),
                _ => Err(rollcall_core::Error::NotFound),
            }
        }
    })
}

fn ask(one: Organisation) -> AnyView {
    let id = one.id.to_string();
    let own = use_surroundings()
        .viewer
        .is_some_and(|viewer| viewer.organisation.id == one.id);
    let heading = format!("Disable {}?", one.name);
    let sessions = match one.active_sessions {
        1 => "One active session ends".to_owned(),
        many => format!("{} end", counted(many, "active session", "active sessions")),
    };
    let words = format!(
        "{sessions} at once, and none of its users can sign in until it is enabled again. That brings no session back."
    );
    view! {
        <Title text=heading.clone() />
        <section class="panel card">
            <h1>{heading}</h1>
            {failed(EditOrganisation::url())}
            <p>{words}</p>
            {own.then(|| view! { <p class="warn">"It is your own: you will be signed out at once and cannot sign in again."</p> })}
            <dl class="facts">
                <dt>"Users"</dt><dd>{counted(one.users, "user", "users")}</dd>
                <dt>"Active sessions"</dt><dd>{counted(one.active_sessions, "session", "sessions")}</dd>
            </dl>
            <form method="post" action=EditOrganisation::url() class="stack">
                <input type="hidden" name="organisation" value=id.clone() />
                <input type="hidden" name="enabled" value="false" />
                <div class="acts">
                    <a class="button" href=routes::below(routes::ORGANISATIONS, &id)>"Cancel"</a>
                    <button class="button danger full">"Disable organisation"</button>
                </div>
            </form>
        </section>
    }
    .into_any()
}

fn show(one: Organisation) -> AnyView {
    let id = one.id.to_string();
    let end = routes::organisation_act(&id, "end");
    let switch = if one.enabled {
        view! {
            <h2>"Disable this organisation"</h2>
            <p>"Every session there ends, and nobody of it can sign in."</p>
            <p class="acts"><a class="button danger" href=routes::organisation_act(&id, "disable")>"Disable organisation"</a></p>
        }
        .into_any()
    } else {
        view! {
            <h2>"Enable this organisation"</h2>
            <p>"Its users can sign in again. What has ended stays ended."</p>
            {toggle(&id, "true", "button primary", "Enable organisation")}
        }
        .into_any()
    };
    view! {
        <Title text=one.name.clone() />
        <p class="crumbs"><a href=routes::ORGANISATIONS>"Organisations"</a></p>
        <div class="head">
            <h1>{one.name.clone()}</h1>
            {if one.enabled {
                view! { <span class="tag green dot">"Enabled"</span> }
            } else {
                view! { <span class="tag red dot">"Disabled"</span> }
            }}
        </div>
        {failed(EditOrganisation::url())}
        <section class="panel">
            <dl class="details">
                <dt>"Users"</dt><dd>{counted(one.users, "user", "users")}</dd>
                <dt>"Sessions"</dt><dd>{counted(one.active_sessions, "active session", "active sessions")}", "{counted(one.sessions, "session in all", "sessions in all")}</dd>
                <dt>"Created"</dt><dd>{exact(one.created_at)}</dd>
                <dt>"Organisation id"</dt><dd><code class="wrap">{id.clone()}</code></dd>
            </dl>
        </section>
        <section class="panel card">
            <h2>"Rename"</h2>
            <form method="post" action=EditOrganisation::url() class="stack">
                <input type="hidden" name="organisation" value=id />
                <label class="stack">
                    <span>"Name"</span>
                    <input name="name" maxlength="100" required autocomplete="off" value=one.name />
                </label>
                <button class="button primary">"Save"</button>
            </form>
        </section>
        {may(Permission::SessionsEnd).then(|| view! {
            <section class="panel card">
                <h2>"End all sessions"</h2>
                <p>"Everybody there is signed out at once, and can sign in again."</p>
                <p class="acts"><a class="button danger" href=end>"End all its sessions"</a></p>
            </section>
        })}
        <section class="panel card">{switch}</section>
    }
    .into_any()
}

fn toggle(id: &str, enabled: &'static str, class: &'static str, label: &'static str) -> AnyView {
    view! {
        <form method="post" action=EditOrganisation::url() class="stack">
            <input type="hidden" name="organisation" value=id.to_owned() />
            <input type="hidden" name="enabled" value=enabled />
            <button class=class>{label}</button>
        </form>
    }
    .into_any()
}
