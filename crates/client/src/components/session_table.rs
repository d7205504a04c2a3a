//! The table of sessions.

use leptos::prelude::*;
use rollcall_core::{
    Column, Columns, Method, PageNumber, Session, SessionSort, ShownQuery, SortKey, State, UserRef,
    filter_words, words,
};

use super::end_many::BOX;
use super::session_facts::{Duration, StateTag};
use crate::browser;
use crate::routes;
use crate::ui::clock::{ExactTime, TimeAgo};
use crate::ui::icon::{Glyph, Icon};

/// The columns in their order, and what those are sorted by that have an index to go along.
pub(crate) const COLUMNS: [(Column, &str, Option<SortKey>); 16] = [
    (Column::User, "User", Some(SortKey::User)),
    (Column::Role, "Role", None),
    (Column::Organisation, "Organisation", None),
    (Column::Name, "Session name", Some(SortKey::Name)),
    (Column::Ip, "IP address", Some(SortKey::Ip)),
    (
        Column::Browser,
        "Browser and system",
        Some(SortKey::Browser),
    ),
    (Column::Method, "Sign-in method", None),
    (Column::ServerName, "Server name", None),
    (Column::State, "Status", Some(SortKey::State)),
    (Column::LastSignIn, "Last sign-in", None),
    (Column::CreatedAt, "Created", Some(SortKey::CreatedAt)),
    (
        Column::LastActivityAt,
        "Last activity",
        Some(SortKey::LastActivityAt),
    ),
    (Column::Duration, "Duration", Some(SortKey::Duration)),
    (Column::Executions, "Executions", None),
    (Column::SessionTime, "Session time", None),
    (Column::IdleTimeout, "Timeout", None),
];

/// The table; `end` is asked for the session whose End was clicked.
#[component]
pub(crate) fn SessionTable(
    /// The rows.
    sessions: Vec<Session>,
    /// What is shown.
    query: ShownQuery,
    /// What the address asks, for the sort links: while an answer is on its way it is ahead of what is shown, and
    /// a click must not lose the search.
    address: Memo<ShownQuery>,
    /// Which columns.
    columns: Columns,
    /// Whether the viewer may end sessions of others.
    may_end: bool,
    /// Opens the confirmation.
    #[prop(into)]
    end: Callback<Session>,
) -> impl IntoView {
    let headings = COLUMNS
        .into_iter()
        .filter(|(column, ..)| columns.has(*column))
        .map(|(_, label, sort)| match sort {
            Some(key) => heading(key, label, &query, address),
            None => view! { <th scope="col">{label}</th> }.into_any(),
        })
        .collect_view();
    let rows = sessions
        .into_iter()
        .map(|session| row(session, columns, may_end, end))
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
    query: &ShownQuery,
    address: Memo<ShownQuery>,
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
        routes::sessions(&ShownQuery {
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

fn row(session: Session, columns: Columns, may_end: bool, end: Callback<Session>) -> AnyView {
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
        <a class=class href=there rel="external" aria-label=label on:click=ask>
            {ends.then(|| view! { <Glyph icon=Icon::Close /> })}
            {if ends { "End" } else { "Details" }}
        </a>
    };
    // The session in use is never ended by a tick, and what has ended cannot be.
    let tick = may_end.then(|| {
        let label = format!("Select {} of {}", super::session_facts::called(&session), session.user.name);
        let field = (active && !session.current).then(|| {
            view! { <label><input type="checkbox" name=BOX value=id.clone() /><span class="visually-hidden">{label}</span></label> }
        });
        view! { <td class="tick">{field}</td> }
    });
    let cells = COLUMNS
        .into_iter()
        .filter(|(column, ..)| columns.has(*column))
        .map(|(column, ..)| cell(column, &session))
        .collect_view();
    let work = columns.has(Column::Executions).then(|| work(&session));
    view! {
        <tr class:mine=session.current>
            {tick}
            {cells}
            <td class="end">{action}</td>
        </tr>
        {work}
    }
    .into_any()
}

/// What runs under a session: a row beneath it, which the cell of the count opens.
fn work(session: &Session) -> Option<AnyView> {
    let (active, .., lines) = session.brief.clone()?;
    if lines.is_empty() {
        return None;
    }
    let more = active - lines.len() as u64;
    let more = (more > 0).then(|| ["and ", &*more.to_string(), " more"].concat());
    let lines = lines
        .into_iter()
        .chain(more)
        .map(|line| view! { <li>{line}</li> })
        .collect_view();
    Some(view! { <tr class="work"><td colspan="17"><ul aria-label="Executions">{lines}</ul></td></tr> }.into_any())
}

fn cell(column: Column, session: &Session) -> AnyView {
    let plain = |text: String| view! { <td title=text.clone()>{text.clone()}</td> }.into_any();
    match column {
        Column::User => user(session),
        Column::Name => {
            view! { <td title=session.name.clone()>{session.name.clone()}<span class="sub">{session.kind.as_str()}{unusual_method(session)}</span></td> }.into_any()
        }
        Column::Ip => {
            let there = routes::sessions_with("ip", &session.ip);
            view! { <td class="ip" title=session.ip.clone()><a href=there><code>{session.ip.clone()}</code></a></td> }.into_any()
        }
        Column::Browser => {
            let agent = session.browser_and_system();
            view! { <td title=session.user_agent.clone()>{agent}</td> }.into_any()
        }
        Column::State => view! { <td><StateTag session=session.clone() /></td> }.into_any(),
        Column::CreatedAt => view! { <td><ExactTime at=session.created_at /></td> }.into_any(),
        Column::LastActivityAt => {
            view! { <td><TimeAgo at=session.last_activity_at /></td> }.into_any()
        }
        Column::Duration => {
            view! { <td><Duration seconds=session.duration_seconds /></td> }.into_any()
        }
        Column::SessionTime => plain(words::to_the_second(session.duration_seconds)),
        Column::IdleTimeout => plain(words::to_the_second(session.idle_timeout_seconds)),
        Column::Organisation => plain(session.organisation.name.clone()),
        Column::Method => plain(filter_words::method(session.method).to_owned()),
        Column::ServerName => plain(session.server_name.clone()),
        Column::Role => plain(session.owner.as_ref().map_or_else(String::new, |owner| owner.role.clone())),
        Column::Executions => match &session.brief {
            Some((count @ 1.., ..)) => {
                let count = count.to_string();
                let label = [&*count, " executions of ", &session.user.name].concat();
                view! { <td><details><summary aria-label=label>{count}</summary></details></td> }.into_any()
            }
            _ => plain("0".to_owned()),
        },
        Column::LastSignIn => {
            let at = session.owner.as_ref().and_then(|owner| owner.last_sign_in_at);
            view! { <td>{at.map(|at| view! { <ExactTime at=at /> })}</td> }.into_any()
        }
    }
}

fn user(session: &Session) -> AnyView {
    let UserRef {
        id,
        email,
        name,
        service_account,
    } = session.user.clone();
    let open = session
        .owner
        .as_ref()
        .map_or(0, |owner| owner.open_sessions);
    let several = (open > 1).then(|| {
        let there = routes::sessions_with("user", &id.to_string()) + "&state=active";
        let label = format!("{open} sessions of {name}");
        view! { <a class="tag" href=there aria-label=label>{format!("{open} sessions")}</a> }
    });
    view! {
        <td class="who" title=email.clone()>
            <div>
                <a href=routes::session(&session.id.to_string()) rel="external">
                    <b>{name}</b>
                    {session.current.then(|| view! { <span class="tag blue">"Current session"</span> })}
                    {service_account.then(|| view! { <span class="tag">"service account"</span> })}
                    <span class="sub">{email.clone()}</span>
                </a>
                {several}
            </div>
        </td>
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

// How somebody signed in, where a session of this kind does not say so by itself.
fn unusual_method(session: &Session) -> Option<String> {
    let unusual = matches!(session.method, Method::SingleSignOn | Method::OnBehalf);
    unusual.then(|| format!(" · {}", filter_words::method(session.method)))
}
