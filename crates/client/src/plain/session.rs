//! One session: every field.

use leptos::prelude::*;
use leptos_meta::Title;
use rollcall_core::{
    Confirmation, Error, Execution, ExecutionQuery, Permission, Session, State, words,
};

use super::parts::{backend, counted, may, part, sees_all, when_there};
use super::{executions, integrations};
use crate::components::session_facts::{StateTag, called};
use crate::routes;
use crate::ui::clock::{TimeAgo, exact};
use crate::ui::icon::{Glyph, Icon};

pub(super) fn page() -> AnyView {
    when_there(|| {
        let (id, backend) = (part("id"), backend());
        let integrates = sees_all() && may(Permission::IntegrationsManage);
        async move {
            let id = id.parse().map_err(|_| Error::NotFound)?;
            let backend = backend?;
            let session = backend.find_session(id).await?;
            let query = ExecutionQuery {
                session: Some(id),
                ..ExecutionQuery::default()
            };
            let started = backend.list_executions(query).await?.items;
            // Whether everybody elsewhere knows of its end is for those who see to that.
            let told = match integrates && session.ended.is_some() {
                true => backend.confirmations(Some(id)).await?.pop(),
                false => None,
            };
            Ok(facts(&session, started, told))
        }
    })
}

fn facts(session: &Session, started: Vec<Execution>, told: Option<Confirmation>) -> AnyView {
    let title = format!("{}: {}", session.user.name, called(session));
    let may_end = may(Permission::SessionsEnd) || session.current;
    let end = (session.state == State::Active && may_end).then(|| {
        let there = routes::end_session(&session.id.to_string());
        view! { <a class="button danger" href=there><Glyph icon=Icon::Close />"End session"</a> }
    });
    let others = may(Permission::SessionsEnd) && may(Permission::UsersView) && !session.current;
    let logout = (session.state == State::Active && others).then(|| {
        let there = routes::user_act(&session.user.id.to_string(), "end");
        view! { <a class="button" href=there><Glyph icon=Icon::Door />"Force logout"</a> }
    });
    let work = session.work.clone().unwrap_or_default();
    let shown = work.executions.iter().map(|one| {
        let words = format!("{} · {}", one.name, one.artefact_id);
        view! { <li><b>{words}</b>" "<code>{one.id.to_string()}</code>" "{one.client.clone()}" "<TimeAgo at=one.started_at /></li> }
    });
    let shown = (work.active_executions > 0)
        .then(|| view! { <ul class="work">{shown.collect_view()}</ul> });
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
    let told = told.map(|told| {
        let sent = routes::with_query(routes::DELIVERIES, &format!("session={}", session.id));
        view! { <dt>"Told elsewhere"</dt><dd><a href=sent>{integrations::told(&told)}</a></dd> }
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
    let user = if may(Permission::UsersView) {
        let there = routes::user(&session.user.id.to_string());
        view! { <a href=there>{name}</a> }.into_any()
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
            {logout}
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
                <dt>"Executions under it"</dt><dd>{counted(work.active_executions, "running", "running")}{shown}</dd>
                {limits}
                {ended}
                {told}
                {may(Permission::AuditView).then(|| {
                    let events = |name: &str, id: String| routes::with_query(routes::AUDIT, &[name, "=", &id].concat());
                    view! {
                        <dt>"Audit"</dt>
                        <dd>
                            <a href=events("session", session.id.to_string())>"Events of this session"</a>
                            <a href=events("user", session.user.id.to_string())>"Events of this user"</a>
                            <a href=events("ip", rollcall_core::query::encode(&session.ip))>"Events from this address"</a>
                        </dd>
                    }
                })}
                <dt>"Session id"</dt><dd><code class="wrap">{session.id.to_string()}</code></dd>
            </dl>
        </section>
        {executions::list("Executions that it started", started)}
    }
    .into_any()
}
