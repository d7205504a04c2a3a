//! One session: every field.

use leptos::prelude::*;
use leptos_meta::Title;
use rollcall_core::{Permission, Session, State, words};

use super::id_in_path;
use crate::app::use_surroundings;
use crate::components::end_dialog::EndDialog;
use crate::components::error_view::ErrorPage;
use crate::components::session_facts::{StateTag, called};
use crate::ui::clock::{TimeAgo, exact};
use crate::ui::icon::{Glyph, Icon};
use crate::ui::loading::Loaded;
use crate::{routes, rpc};

/// The page of one session.
#[component]
pub(crate) fn SessionPage() -> AnyView {
    let id = id_in_path();
    let viewer = use_surroundings().viewer;
    let may = |permission| viewer.as_ref().is_some_and(|viewer| viewer.may(permission));
    let (may_end, may_audit) = (may(Permission::SessionsEnd), may(Permission::AuditView));
    let sees_users = may(Permission::UsersView);
    let version = RwSignal::new(0_u32);
    let session = rpc::load(move || (id.get(), version.get()), rpc::find_session);
    let asked = RwSignal::new(None::<Session>);
    let changed = Callback::new(move |()| version.update(|version| *version += 1));
    let content = move || async move {
        match session.await {
            Ok(session) => facts(session, may_end, may_audit, sees_users, asked),
            Err(error) => view! { <ErrorPage error=error.0 /> }.into_any(),
        }
    };
    view! {
        <Loaded content />
        <EndDialog asked changed />
    }
    .into_any()
}

fn facts(
    session: Session,
    may_end: bool,
    may_audit: bool,
    sees_users: bool,
    asked: RwSignal<Option<Session>>,
) -> AnyView {
    let title = format!("{}: {}", session.user.name, called(&session));
    let end = (session.state == State::Active && (may_end || session.current)).then(|| {
        let session = session.clone();
        view! {
            <a class="button danger" href=routes::end_session(&session.id.to_string())
                on:click=move |event| {
                    event.prevent_default();
                    asked.set(Some(session.clone()));
                }
            >
                <Glyph icon=Icon::Close />
                "End session"
            </a>
        }
    });
    let ended = session.ended.clone().map(|ended| {
        let by = ended
            .by
            .map_or_else(|| "nobody (by itself)".to_owned(), |actor| actor.name);
        view! {
            <dt>"Ended"</dt><dd>{exact(ended.at)}</dd>
            <dt>"Reason"</dt><dd>{ended.reason.label(session.idle_timeout_seconds)}</dd>
            <dt>"Ended by"</dt><dd>{by}</dd>
            {ended.note.map(|note| view! { <dt>"Note"</dt><dd>{note}</dd> })}
        }
    });
    let limits = session.ended.is_none().then(|| view! {
        <dt>"Ends if unused"</dt><dd>{exact(session.idle_expires_at)}" ("{words::span(session.idle_timeout_seconds)}" after the last activity)"</dd>
        <dt>"Ends in any case"</dt><dd>{exact(session.absolute_expires_at)}</dd>
    });
    let method = rollcall_core::filter_words::method(session.method);
    let all = |name: &str, value: &str| {
        let there = routes::sessions_with(name, value);
        view! { " · "<a href=there>"All sessions"</a> }
    };
    let (of_user, from_address) = (
        all("user", &session.user.id.to_string()),
        all("ip", &session.ip),
    );
    let name = session.user.name.clone();
    let user = if sees_users {
        let there = routes::user(&session.user.id.to_string());
        view! { <a href=there rel="external">{name}</a> }.into_any()
    } else {
        name.into_any()
    };
    let unknown = |text: &str| {
        if text.is_empty() {
            "Unknown".to_owned()
        } else {
            text.to_owned()
        }
    };
    view! {
        <Title text=title.clone() />
        <p class="crumbs"><a href=routes::SESSIONS>"Sessions"</a></p>
        <div class="head">
            <h1>{title}</h1>
            <StateTag session=session.clone() />
            {session.current.then(|| view! { <span class="tag blue">"Current session"</span> })}
            <span class="grow"></span>
            {end}
        </div>
        <section class="panel">
            <dl class="details">
                <dt>"User"</dt><dd>{user}" · "{session.user.email.clone()}{session.user.service_account.then_some(" · service account")}{of_user}</dd>
                <dt>"Organisation"</dt><dd>{session.organisation.name.clone()}</dd>
                <dt>"Session name"</dt><dd>{session.name.clone()}</dd>
                <dt>"Kind"</dt><dd>{session.kind.as_str()}</dd>
                <dt>"Sign-in method"</dt><dd>{method}</dd>
                <dt>"IP address"</dt><dd><code>{session.ip.clone()}</code>{from_address}</dd>
                <dt>"Browser"</dt><dd>{unknown(&session.browser)}</dd>
                <dt>"System"</dt><dd>{unknown(&session.system)}</dd>
                <dt>"User agent"</dt><dd><code class="wrap">{unknown(&session.user_agent)}</code></dd>
                <dt>"Server name"</dt><dd>{session.server_name.clone()}</dd>
                <dt>"Created"</dt><dd>{exact(session.created_at)}</dd>
                <dt>"Last activity"</dt><dd>{exact(session.last_activity_at)}" ("<TimeAgo at=session.last_activity_at />")"</dd>
                <dt>"Duration"</dt><dd>{words::exactly(session.duration_seconds)}</dd>
                {limits}
                {ended}
                {may_audit.then(|| {
                    let events = |name: &str, id: String| routes::with_query(routes::AUDIT, &[name, "=", &id].concat());
                    view! {
                        <dt>"Audit"</dt>
                        <dd>
                            <a rel="external" href=events("session", session.id.to_string())>"Events of this session"</a>
                            <a rel="external" href=events("user", session.user.id.to_string())>"Events of this user"</a>
                            <a rel="external" href=events("ip", rollcall_core::query::encode(&session.ip))>"Events from this address"</a>
                        </dd>
                    }
                })}
                <dt>"Session id"</dt><dd><code class="wrap">{session.id.to_string()}</code></dd>
            </dl>
        </section>
    }
    .into_any()
}
