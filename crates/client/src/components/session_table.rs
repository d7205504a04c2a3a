//! The table of sessions.

use leptos::prelude::*;
use rollcall_core::{PageNumber, Session, SessionQuery, SessionSort, SortKey, State};

use super::end_many::BOX;
use super::session_facts::{Duration, StateTag};
use crate::browser;
use crate::routes;
use crate::ui::clock::{ExactTime, TimeAgo};
use crate::ui::icon::{Glyph, Icon};

/// The columns in their order: user, what it is, where from, whether it lives, when.
const COLUMNS: [(SortKey, &str); 8] = [
    (SortKey::User, "User"),
    (SortKey::Name, "Session name"),
    (SortKey::Ip, "IP address"),
    (SortKey::Browser, "Browser and system"),
    (SortKey::State, "Status"),
    (SortKey::CreatedAt, "Created"),
    (SortKey::LastActivityAt, "Last activity"),
    (SortKey::Duration, "Duration"),
];

/// The table; `end` is asked for the session whose End was clicked.
#[component]
pub(crate) fn SessionTable(
    /// The rows.
    sessions: Vec<Session>,
    /// What is shown.
    query: SessionQuery,
    /// What the address asks, for the sort links: while an answer is on its way it is ahead of what is shown, and
    /// a click must not lose the search.
    address: Memo<SessionQuery>,
    /// Whether the viewer may end sessions of others.
    may_end: bool,
    /// Opens the confirmation.
    #[prop(into)]
    end: Callback<Session>,
) -> impl IntoView {
    let headings = COLUMNS
        .map(|(key, label)| heading(key, label, &query, address))
        .collect_view();
    let rows = sessions
        .into_iter()
        .map(|session| row(session, may_end, end))
        .collect_view();
    let keys = move |event: leptos::ev::KeyboardEvent| {
        let moved = match event.key().as_str() {
            "ArrowDown" => browser::move_row(&event, true),
            "ArrowUp" => browser::move_row(&event, false),
            _ => false,
        };
        if moved {
            event.prevent_default();
        }
    };
    // Where scripts do not run, a box for all would do nothing.
    let all = may_end.then(|| {
        view! {
            <th scope="col" class="tick">
                <label><input type="checkbox" class="scripted" on:change=|event| browser::tick_all(&event) /><span class="visually-hidden">"Select all on this page"</span></label>
            </th>
        }
    });
    view! {
        <div class="scroll" tabindex="0" role="region" aria-label="Sessions">
            <table>
                <caption class="visually-hidden">"Sessions"</caption>
                <thead>
                    <tr>
                        {all}
                        {headings}
                        <th scope="col"><span class="visually-hidden">"Actions"</span></th>
                    </tr>
                </thead>
                <tbody on:keydown=keys>{rows}</tbody>
            </table>
        </div>
    }
    .into_any()
}

fn heading(
    key: SortKey,
    label: &'static str,
    query: &SessionQuery,
    address: Memo<SessionQuery>,
) -> AnyView {
    let sorted = query.sort.key == key;
    // Numbers and times first from the largest, words from A.
    let starts_descending = matches!(
        key,
        SortKey::CreatedAt | SortKey::LastActivityAt | SortKey::Duration
    );
    let descending = if sorted {
        !query.sort.descending
    } else {
        starts_descending
    };
    let there = move || {
        routes::sessions(&SessionQuery {
            sort: SessionSort { key, descending },
            page: PageNumber::default(),
            ..address.get()
        })
    };
    let order = sorted.then_some(if query.sort.descending {
        "descending"
    } else {
        "ascending"
    });
    let arrow = sorted.then_some(if query.sort.descending { "↓" } else { "↑" });
    view! {
        <th scope="col" aria-sort=order>
            <a href=there data-noscroll>{label}<span aria-hidden="true" class="arrow">{arrow}</span></a>
        </th>
    }
    .into_any()
}

fn row(session: Session, may_end: bool, end: Callback<Session>) -> AnyView {
    let id = session.id.to_string();
    let active = session.state == State::Active;
    let ends = active && (may_end || session.current);
    let (class, there, label) = if ends {
        let called = super::session_facts::called(&session);
        (
            "button plain danger",
            routes::end_session(&id),
            format!("End {called} of {}", session.user.name),
        )
    } else {
        (
            "button plain",
            routes::session(&id),
            format!("Details of {}", session.user.name),
        )
    };
    // One element for both, so that the focus stays where it is when a session ends under it.
    let asked = ends.then(|| session.clone());
    let ask = move |event: leptos::ev::MouseEvent| {
        if let Some(session) = asked.clone() {
            event.prevent_default();
            end.run(session);
        }
    };
    let action = view! {
        <a class=class href=there aria-label=label on:click=ask>
            {ends.then(|| view! { <Glyph icon=Icon::Close /> })}
            {if ends { "End" } else { "Details" }}
        </a>
    };
    let agent = session.browser_and_system();
    let state = session.clone();
    // The session in use is never ended by a tick, and what has ended cannot be.
    let tick = may_end.then(|| {
        let label = format!("Select {} of {}", super::session_facts::called(&session), session.user.name);
        let field = (active && !session.current).then(|| {
            view! { <label><input type="checkbox" name=BOX value=id.clone() /><span class="visually-hidden">{label}</span></label> }
        });
        view! { <td class="tick">{field}</td> }
    });
    view! {
        <tr class:mine=session.current>
            {tick}
            <td class="who" title=session.user.email.clone()>
                <a href=routes::session(&id)>
                    <b>{session.user.name.clone()}</b>
                    {session.current.then(|| view! { <span class="tag blue">"Current session"</span> })}
                    {session.user.service_account.then(|| view! { <span class="tag">"service account"</span> })}
                    <span class="sub">{session.user.email.clone()}</span>
                </a>
            </td>
            <td title=session.name.clone()>{session.name.clone()}<span class="sub">{session.kind.as_str()}</span></td>
            <td class="ip" title=session.ip.clone()><code>{session.ip.clone()}</code></td>
            <td title=session.user_agent.clone()>{agent}</td>
            <td><StateTag session=state /></td>
            <td><ExactTime at=session.created_at /></td>
            <td><TimeAgo at=session.last_activity_at /></td>
            <td><Duration seconds=session.duration_seconds /></td>
            <td class="end">{action}</td>
        </tr>
    }
    .into_any()
}

/// Rows that are on their way, when they take longer than a moment.
#[component]
pub(crate) fn TableSkeleton() -> impl IntoView {
    view! {
        <div class="skeleton" aria-hidden="true">
            {(0..10).map(|_| view! { <div></div> }).collect_view()}
        </div>
    }
}
