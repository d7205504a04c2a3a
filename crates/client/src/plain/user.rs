//! One user: facts, what can be done, and the user's sessions.

use leptos::prelude::*;
use leptos::server_fn::ServerFn;
use leptos_meta::Title;
use rollcall_core::{
    ApiKey, Execution, ExecutionQuery, Organisation, Page, PageNumber, Permission, Policy, Role,
    Session, SessionQuery, State, User,
};

use super::edit_user::edit_form;
use super::executions;
use super::parts::{
    Foot, all, as_of, backend, counted, empty, failed, may, pager, part, search, sees_all,
    state_tags, table, when_there,
};
use super::policy::applies;
use super::reauthenticate::once_confirmed;
use crate::components::session_facts::StateTag;
use crate::routes;
use crate::rpc::{EditUser, RevokeKey, UnlockUser};
use crate::ui::clock::{ExactTime, TimeAgo, exact};
use crate::ui::icon::{Glyph, Icon};

/// What the user can be given.
struct Choices {
    roles: Vec<Role>,
    organisations: Vec<Organisation>,
}

pub(super) fn page() -> AnyView {
    when_there(|| {
        let (id, backend, everywhere) = (part("id"), backend(), sees_all());
        let query = SessionQuery::parse_leniently(&search());
        let (sees_sessions, manages) =
            (may(Permission::SessionsView), may(Permission::UsersManage));
        async move {
            let (backend, id) = (
                backend?,
                id.parse().map_err(|_| rollcall_core::Error::NotFound)?,
            );
            let user = backend.find_user(id).await?;
            let password = match manages {
                true => backend.one_time_password(id).await?,
                false => None,
            };
            // Only where and in what state; the rest is the dashboard's.
            let query = SessionQuery {
                filter: rollcall_core::SessionFilter {
                    state: query.filter.state,
                    ..Default::default()
                },
                sort: Default::default(),
                ..query
            };
            let sessions = match sees_sessions {
                true => Some(backend.list_user_sessions(id, query.clone()).await?),
                false => None,
            };
            let roles = match user.may.change_roles {
                true => backend.list_roles(all()).await?.items,
                false => Vec::new(),
            };
            let organisations = match user.may.govern && everywhere {
                true => backend.list_organisations(all()).await?.items,
                false => Vec::new(),
            };
            let keys = backend.list_user_keys(id).await?;
            let policy = backend.user_policy(id).await?;
            let work = match sees_sessions {
                true => {
                    let query = ExecutionQuery {
                        user: Some(id),
                        ..ExecutionQuery::default()
                    };
                    backend.list_executions(query).await?.items
                }
                false => Vec::new(),
            };
            Ok(show(
                user,
                password,
                sessions,
                query,
                Choices {
                    roles,
                    organisations,
                },
                (keys, work),
                &policy,
            ))
        }
    })
}

fn show(
    user: User,
    password: Option<String>,
    sessions: Option<Page<Session>>,
    query: SessionQuery,
    choices: Choices,
    (keys, work): (Vec<ApiKey>, Vec<Execution>),
    policy: &Policy,
) -> AnyView {
    let now = sessions.as_ref().map(|page| as_of(page.as_of));
    let sessions = sessions.map(|page| session_list(&user, page, &query));
    let edit = user.may.edit.then(|| {
        once_confirmed("change this user", || {
            edit_form(&user, choices.roles, choices.organisations)
        })
    });
    let keys = (!keys.is_empty()).then(|| {
        let here = routes::user(&user.id.to_string());
        view! {
            <h2>"API keys"</h2>
            {failed(RevokeKey::url())}
            {super::keys::list(keys, &here, may(Permission::UsersManage))}
        }
    });
    view! {
        <Title text=user.name.clone() />
        <p class="crumbs"><a href=routes::USERS>"Users"</a></p>
        <div class="head">
            <h1>{user.name.clone()}</h1>
            {state_tags(&user)}
            {user.service_account.then(|| view! { <span class="tag">"service account"</span> })}
            {now}
        </div>
        {failed(EditUser::url())}
        {failed(UnlockUser::url())}
        {password.map(|password| shown_once(&user, password))}
        {facts(&user)}
        {acts(&user)}
        {sessions}
        {executions::list("Executions", work)}
        {edit}
        {keys}
        {applies(policy)}
    }
    .into_any()
}

fn shown_once(user: &User, password: String) -> AnyView {
    view! {
        <section class="notice done once" role="status" aria-label="One-time password">
            <p>{format!("One-time password of {}:", user.email)}</p>
            <p><code class="secret">{password}</code></p>
            <p>"It is shown this once and stored nowhere. Hand it over; it must be changed at the first sign-in."</p>
        </section>
    }
    .into_any()
}

fn facts(user: &User) -> AnyView {
    let audit = may(Permission::AuditView);
    let events = routes::with_query(routes::AUDIT, &format!("user={}", user.id));
    let roles: Vec<_> = user.roles.iter().map(|role| role.name.clone()).collect();
    let roles = if roles.is_empty() {
        "none".to_owned()
    } else {
        roles.join(", ")
    };
    let last = match user.last_sign_in_at {
        Some(at) => view! { {exact(at)}" ("<TimeAgo at=at />")" }.into_any(),
        None => "never".into_any(),
    };
    view! {
        <section class="panel">
            <dl class="details">
                <dt>"E-mail"</dt><dd>{user.email.clone()}</dd>
                <dt>"Organisation"</dt><dd>{user.organisation.name.clone()}</dd>
                <dt>"Primary role"</dt><dd>{user.role.name.clone()}</dd>
                <dt>"Secondary roles"</dt><dd>{roles}</dd>
                <dt>"Last sign-in"</dt><dd>{last}</dd>
                <dt>"Open sessions"</dt><dd>{counted(user.open_sessions, "session", "sessions")}</dd>
                {user.locked_at.map(|at| view! { <dt>"Locked since"</dt><dd>{exact(at)}" (too many wrong passwords)"</dd> })}
                <dt>"Created"</dt><dd>{exact(user.created_at)}</dd>
                {audit.then(|| view! { <dt>"Audit"</dt><dd><a href=events>"Events of this user"</a></dd> })}
                <dt>"User id"</dt><dd><code class="wrap">{user.id.to_string()}</code></dd>
            </dl>
        </section>
    }
    .into_any()
}

fn acts(user: &User) -> AnyView {
    let id = user.id.to_string();
    let link = |act: &str, label: &'static str, class: &'static str| {
        view! { <a class=class href=routes::user_act(&id, act)>{label}</a> }
    };
    let unlock = (user.may.unlock && user.locked_at.is_some()).then(|| {
        view! {
            <form method="post" action=UnlockUser::url()>
                <input type="hidden" name="user" value=id.clone() />
                <button class="button primary">"Unlock"</button>
            </form>
        }
    });
    let enable = (user.may.govern && !user.enabled).then(|| {
        view! {
            <form method="post" action=EditUser::url()>
                <input type="hidden" name="user" value=id.clone() />
                <input type="hidden" name="enabled" value="true" />
                <button class="button">"Enable"</button>
            </form>
        }
    });
    // Executions may run for somebody who has no session.
    let ends = user.may.end_sessions;
    let clients = routes::with_query(routes::CLIENTS, &format!("user={id}"));
    view! {
        <div class="deeds">
            {unlock}
            {ends.then(|| link("end", "Force logout", "button danger"))}
            {may(Permission::ClientsDisconnect).then(|| view! { <a class="button" href=clients>"Clients"</a> })}
            {user.may.govern.then(|| link("reset", "Reset password", "button"))}
            {enable}
            {(user.may.govern && user.enabled).then(|| link("disable", "Disable", "button danger"))}
            {user.may.govern.then(|| link("delete", "Delete", "button danger"))}
        </div>
    }
    .into_any()
}

fn session_list(user: &User, page: Page<Session>, query: &SessionQuery) -> AnyView {
    let path = routes::user(&user.id.to_string());
    let address = |query: &SessionQuery| routes::with_query(&path, &query.to_query());
    let with_state = |state| {
        let filter = rollcall_core::SessionFilter {
            state,
            ..Default::default()
        };
        SessionQuery {
            filter,
            page: PageNumber::default(),
            ..query.clone()
        }
    };
    let segment = |label: &'static str, state: Option<State>| {
        let current = (query.filter.state == state).then_some("true");
        view! { <a href=address(&with_state(state)) aria-current=current>{label}</a> }
    };
    let may_end = user.may.end_sessions;
    let headings = [
        "Session name",
        "IP address",
        "Browser and system",
        "Status",
        "Created",
        "Last activity",
    ];
    let headings = view! {
        {headings.map(|label| view! { <th scope="col">{label}</th> }).collect_view()}
        <th scope="col"><span class="visually-hidden">"Actions"</span></th>
    };
    let rows = page
        .items
        .iter()
        .map(|session| session_row(session, may_end))
        .collect_view();
    let list = if page.total == 0 {
        let all = query
            .filter
            .state
            .is_some()
            .then(|| (address(&with_state(None)), "Show all sessions"));
        empty(
            "No sessions",
            "Whatever this user signs in to appears here.",
            all,
        )
    } else {
        let foot = Foot::of(&page, &path, &query.to_query());
        view! {
            {table("Sessions", headings.into_any(), rows.into_any())}
            {pager(foot)}
        }
        .into_any()
    };
    view! {
        <section class="panel" aria-label="Sessions of this user">
            <div class="bar">
                <h2>"Sessions"</h2>
                <span class="segments" role="group" aria-label="State">
                    {segment("All", None)}
                    {segment("Active", Some(State::Active))}
                    {segment("Ended", Some(State::Ended))}
                </span>
            </div>
            {list}
        </section>
    }
    .into_any()
}

fn session_row(session: &Session, may_end: bool) -> AnyView {
    let id = session.id.to_string();
    let ends = session.state == State::Active && (may_end || session.current);
    let action = if ends {
        let label = format!("End {}", session.name);
        view! {
            <a class="button plain danger" href=routes::end_session(&id) aria-label=label><Glyph icon=Icon::Close />"End"</a>
        }
        .into_any()
    } else {
        let label = format!("Details of {}", session.name);
        view! { <a class="button plain" href=routes::session(&id) aria-label=label>"Details"</a> }
            .into_any()
    };
    view! {
        <tr class:mine=session.current>
            <td title=session.name.clone()>
                <a href=routes::session(&id)>{session.name.clone()}</a>
                {session.current.then(|| view! { " "<span class="tag blue">"Current session"</span> })}
                <span class="sub">{session.kind.as_str()}</span>
            </td>
            <td class="ip" title=session.ip.clone()><code>{session.ip.clone()}</code></td>
            <td title=session.user_agent.clone()>{session.browser_and_system()}</td>
            <td><StateTag session=session.clone() /></td>
            <td><ExactTime at=session.created_at /></td>
            <td><TimeAgo at=session.last_activity_at /></td>
            <td class="end">{action}</td>
        </tr>
    }
    .into_any()
}
