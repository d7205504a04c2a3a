//! The list of registered clients.

use leptos::prelude::*;
use leptos_meta::Title;
use rollcall_core::{
    Client, ClientQuery, ClientSort, ClientSortKey, ClientState, EndReason, Page, PageNumber,
    PageSize, Permission, words,
};

use super::parts::{Foot, as_of, backend, empty, may, pager, search, sees_all, table, when_there};
use crate::routes;
use crate::ui::clock::TimeAgo;
use crate::ui::icon::{Glyph, Icon};

pub(super) fn page() -> AnyView {
    when_there(|| {
        let query = ClientQuery::parse_leniently(&search());
        let backend = backend();
        async move {
            let list = backend?.list_clients(query.clone()).await?;
            Ok(show(list, query))
        }
    })
}

fn show(list: Page<Client>, query: ClientQuery) -> AnyView {
    let rows = match list.total {
        0 => nothing(&query),
        _ => rows(&list, &query),
    };
    view! {
        <Title text="Clients" />
        <div class="head">
            <h1>"Clients"</h1>
            {as_of(list.as_of)}
            <span class="grow"></span>
            <a class="button" href=address(&query)><Glyph icon=Icon::Refresh />"Refresh"</a>
        </div>
        <p class="lead">"Programs that have registered and keep a live connection. Disconnecting one ends its session and stops what runs on it."</p>
        <section class="panel" aria-label="List of clients">
            {filters(&query)}
            {rows}
        </section>
    }
    .into_any()
}

fn address(query: &ClientQuery) -> String {
    routes::with_query(routes::CLIENTS, &query.to_query())
}

fn nothing(query: &ClientQuery) -> AnyView {
    let all = ClientQuery {
        sort: query.sort,
        page_size: query.page_size,
        ..ClientQuery::default()
    };
    if all.to_query() == query.to_query() {
        return empty(
            "No clients yet",
            "A program registers with an API key: rollcall agent -- COMMAND does, for example.",
            None,
        );
    }
    empty(
        "No client matches",
        "The search looks for any part of a name, a host, an address or the owner's e-mail.",
        Some((address(&all), "Clear search and filters")),
    )
}

fn filters(query: &ClientQuery) -> AnyView {
    let segment = |label: &'static str, state: Option<ClientState>| {
        let current = (state == query.state).then_some("true");
        let there = ClientQuery {
            state,
            page: PageNumber::default(),
            ..query.clone()
        };
        view! { <a href=address(&there) aria-current=current>{label}</a> }
    };
    let hidden = |name: &'static str, value: Option<String>| {
        value.map(|value| view! { <input type="hidden" name=name value=value /> })
    };
    view! {
        <form method="get" action=routes::CLIENTS class="bar" role="search">
            <label class="field">
                <Glyph icon=Icon::Search />
                <span class="visually-hidden">"Search clients"</span>
                <input type="search" name="q" maxlength="200" autocomplete="off" spellcheck="false"
                    placeholder="Search name, host, IP or e-mail" value=query.search.clone() />
            </label>
            <button class="button">"Search"</button>
            <span class="segments" role="group" aria-label="State">
                {segment("All", None)}
                {segment("Connected", Some(ClientState::Connected))}
                {segment("Lost", Some(ClientState::Lost))}
                {segment("Disconnected", Some(ClientState::Disconnected))}
            </span>
            {hidden("state", query.state.map(|state| state.as_str().to_owned()))}
            {hidden("user", query.user.map(|user| user.to_string()))}
            {hidden("organisation", query.organisation.map(|id| id.to_string()))}
            {hidden("sort", (query.sort != ClientSort::default()).then(|| query.sort.as_text()))}
            {hidden("page_size", (query.page_size != PageSize::default()).then(|| query.page_size.get().to_string()))}
        </form>
    }
    .into_any()
}

fn rows(list: &Page<Client>, query: &ClientQuery) -> AnyView {
    let everywhere = sees_all();
    let heading = |key: ClientSortKey, label: &'static str| heading(key, label, query);
    let headings = view! {
        {heading(ClientSortKey::Name, "Client")}
        {heading(ClientSortKey::User, "Owner")}
        {everywhere.then(|| view! { <th scope="col">"Organisation"</th> })}
        {heading(ClientSortKey::Ip, "IP address")}
        {heading(ClientSortKey::Version, "Version")}
        {heading(ClientSortKey::State, "Status")}
        <th scope="col">"Since"</th>
        <th scope="col">"Executions"</th>
        <th scope="col"><span class="visually-hidden">"Actions"</span></th>
    };
    let rows = list
        .items
        .iter()
        .map(|client| row(client, everywhere))
        .collect_view();
    let foot = Foot::of(list, routes::CLIENTS, &query.to_query());
    view! {
        {table("Clients", headings.into_any(), rows.into_any())}
        {pager(foot)}
    }
    .into_any()
}

fn row(client: &Client, everywhere: bool) -> AnyView {
    let id = client.id.to_string();
    let connected = client.state != ClientState::Disconnected;
    let action = match connected {
        true => {
            let label = format!("Disconnect {}", client.name);
            view! {
                <a class="button plain danger" href=routes::client_act(&id, "disconnect") aria-label=label>
                    <Glyph icon=Icon::Close />"Disconnect"
                </a>
            }
            .into_any()
        }
        false => {
            let label = format!("Remove {}", client.name);
            view! { <a class="button plain" href=routes::client_act(&id, "remove") aria-label=label>"Remove"</a> }
                .into_any()
        }
    };
    let owner = client.user.name.clone();
    let owner = match may(Permission::UsersView) {
        true => {
            let there = routes::user(&client.user.id.to_string());
            view! { <a href=there>{owner}</a> }.into_any()
        }
        false => owner.into_any(),
    };
    let running = words::grouped(i64::try_from(client.running_executions).unwrap_or(i64::MAX));
    view! {
        <tr>
            <td title=client.name.clone()>
                <a href=routes::below(routes::CLIENTS, &id)><b>{client.name.clone()}</b></a>
                <span class="sub">{client.host.clone()}</span>
            </td>
            <td title=client.user.email.clone()>{owner}<span class="sub">{client.user.email.clone()}</span></td>
            {everywhere.then(|| view! { <td title=client.organisation.name.clone()>{client.organisation.name.clone()}</td> })}
            <td class="ip"><code>{client.ip.clone()}</code></td>
            <td>{client.version.clone()}</td>
            <td>{state(client)}</td>
            <td><TimeAgo at=client.since /></td>
            <td class="num">{running}</td>
            <td class="end">{action}</td>
        </tr>
    }
    .into_any()
}

/// Whether it is there, as a tag, and why it is not.
pub(super) fn state(client: &Client) -> AnyView {
    match client.state {
        ClientState::Connected => {
            view! { <span class="tag green dot">"Connected"</span> }.into_any()
        }
        ClientState::Lost => view! {
            <span class="tag amber dot">"Lost"</span>
            <span class="sub">"not heard of"</span>
        }
        .into_any(),
        ClientState::Disconnected => {
            let why = client.ended.as_ref().map(|ended| match &ended.by {
                Some(actor) if ended.reason != EndReason::SignedOut => format!("by {}", actor.name),
                _ => ended.reason.label(300),
            });
            view! { <span class="tag red dot">"Disconnected"</span><span class="sub">{why}</span> }
                .into_any()
        }
    }
}

fn heading(key: ClientSortKey, label: &'static str, query: &ClientQuery) -> AnyView {
    let sorted = query.sort.key == key;
    let sort = ClientSort {
        key,
        descending: sorted && !query.sort.descending,
    };
    let there = ClientQuery {
        sort,
        page: PageNumber::default(),
        ..query.clone()
    };
    let (order, arrow) = match (sorted, query.sort.descending) {
        (false, _) => (None, None),
        (true, true) => (Some("descending"), Some("↓")),
        (true, false) => (Some("ascending"), Some("↑")),
    };
    view! {
        <th scope="col" aria-sort=order>
            <a href=address(&there)>{label}<span aria-hidden="true" class="arrow">{arrow}</span></a>
        </th>
    }
    .into_any()
}
