//! The list of users, and of those with an open session.

use leptos::prelude::*;
use leptos_meta::Title;
use rollcall_core::{
    Organisation, Page, PageNumber, PageSize, Permission, Role, User, UserFilter, UserQuery,
    UserSort, UserSortKey, UserState, words,
};

use super::parts::{
    Foot, all, as_of, backend, empty, may, options, pager, roles_cell, search, sees_all,
    state_tags, table, when_there, who,
};
use crate::routes;
use crate::ui::clock::TimeAgo;
use crate::ui::icon::{Glyph, Icon};

/// What the list can be narrowed by.
struct Choices {
    roles: Vec<Role>,
    organisations: Vec<Organisation>,
}

pub(super) fn page() -> AnyView {
    when_there(|| {
        let query = UserQuery::parse_leniently(&search());
        let (backend, everywhere) = (backend(), sees_all());
        async move {
            let backend = backend?;
            let list = backend.list_users(query.clone()).await?;
            let roles = backend.list_roles(all()).await?.items;
            let organisations = match everywhere {
                true => backend.list_organisations(all()).await?.items,
                false => Vec::new(),
            };
            Ok(show(
                list,
                query,
                Choices {
                    roles,
                    organisations,
                },
            ))
        }
    })
}

fn show(list: Page<User>, query: UserQuery, choices: Choices) -> AnyView {
    let active = query.filter.active == Some(true);
    let title = if active { "Active users" } else { "Users" };
    let create = may(Permission::UsersManage).then(|| {
        view! { <a class="button primary" href=routes::NEW_USER>"Create user"</a> }
    });
    let lead = active.then(|| {
        view! { <p class="lead">"Everybody with an open session. Logout ends all sessions of a user at once."</p> }
    });
    let rows = if list.items.is_empty() && list.total == 0 {
        nobody(&query)
    } else {
        rows(&list, &query)
    };
    view! {
        <Title text=title />
        <div class="head">
            <h1>{title}</h1>
            {as_of(list.as_of)}
            <span class="grow"></span>
            <a class="button" href=address(&query)><Glyph icon=Icon::Refresh />"Refresh"</a>
            {create}
        </div>
        {lead}
        <section class="panel" aria-label="List of users">
            {filters(&query, choices)}
            {rows}
        </section>
    }
    .into_any()
}

fn address(query: &UserQuery) -> String {
    routes::with_query(routes::USERS, &query.to_query())
}

fn nobody(query: &UserQuery) -> AnyView {
    if query.filter == UserFilter::default() {
        return empty(
            "No users yet",
            "Everybody who may sign in appears here.",
            None,
        );
    }
    let all = UserQuery {
        filter: UserFilter::default(),
        page: PageNumber::default(),
        ..query.clone()
    };
    empty(
        "Nobody matches",
        "The search looks for any part of a name or an e-mail.",
        Some((address(&all), "Clear search and filters")),
    )
}

fn filters(query: &UserQuery, choices: Choices) -> AnyView {
    let segment = |label: &'static str, active: Option<bool>, state: Option<UserState>| {
        let filter = UserFilter {
            active,
            state,
            ..query.filter.clone()
        };
        let current = (filter == query.filter).then_some("true");
        let there = UserQuery {
            filter,
            page: PageNumber::default(),
            ..query.clone()
        };
        view! { <a href=address(&there) aria-current=current>{label}</a> }
    };
    let segments = view! {
        <span class="segments" role="group" aria-label="State">
            {segment("All", None, None)}
            {segment("Active", Some(true), None)}
            {segment("Disabled", None, Some(UserState::Disabled))}
            {segment("Locked", None, Some(UserState::Locked))}
        </span>
    };
    let select =
        |name: &'static str, label: &'static str, list: Vec<(String, String)>, chosen: String| {
            view! {
                <label>
                    <span class="visually-hidden">{label}</span>
                    <select name=name>{options(list, &chosen)}</select>
                </label>
            }
        };
    let any = |label: &str| vec![(String::new(), format!("{label}: any"))];
    let mut roles = any("Role");
    roles.extend(
        choices
            .roles
            .into_iter()
            .map(|role| (role.key.0, role.name)),
    );
    let mut organisations = any("Organisation");
    let homes = choices.organisations.into_iter();
    organisations.extend(homes.map(|home| (home.id.to_string(), home.name)));
    let kinds = [
        ("", "Accounts: any"),
        ("false", "People"),
        ("true", "Service accounts"),
    ];
    let kinds = kinds
        .map(|(value, label)| (value.to_owned(), label.to_owned()))
        .to_vec();
    let filter = &query.filter;
    let role = filter
        .role
        .as_ref()
        .map(|role| role.0.clone())
        .unwrap_or_default();
    let organisation = filter
        .organisation
        .map(|id| id.to_string())
        .unwrap_or_default();
    let service = filter
        .service_account
        .map(|is| is.to_string())
        .unwrap_or_default();
    let hidden = |name: &'static str, value: Option<String>| {
        value.map(|value| view! { <input type="hidden" name=name value=value /> })
    };
    let with_homes = organisations.len() > 1;
    view! {
        <form method="get" action=routes::USERS class="bar" role="search">
            <label class="field">
                <Glyph icon=Icon::Search />
                <span class="visually-hidden">"Search users"</span>
                <input type="search" name="q" maxlength="200" autocomplete="off" spellcheck="false"
                    placeholder="Search name or e-mail" value=filter.search.clone() />
            </label>
            <button class="button">"Search"</button>
            {segments}
            {select("role", "Role", roles, role)}
            {with_homes.then(|| select("organisation", "Organisation", organisations, organisation))}
            {select("service_account", "Accounts", kinds, service)}
            {hidden("active", filter.active.map(|active| active.to_string()))}
            {hidden("state", filter.state.map(|state| state.as_str().to_owned()))}
            {hidden("sort", (query.sort != UserSort::default()).then(|| query.sort.as_text()))}
            {hidden("page_size", (query.page_size != PageSize::default()).then(|| query.page_size.get().to_string()))}
        </form>
    }
    .into_any()
}

fn rows(list: &Page<User>, query: &UserQuery) -> AnyView {
    let everywhere = sees_all();
    let active = query.filter.active == Some(true);
    let heading = |key: UserSortKey, label: &'static str| heading(key, label, query);
    let headings = view! {
        {heading(UserSortKey::Name, "User")}
        {heading(UserSortKey::Role, "Role")}
        {everywhere.then(|| heading(UserSortKey::Organisation, "Organisation"))}
        {heading(UserSortKey::State, "Status")}
        {heading(UserSortKey::LastSignInAt, "Last sign-in")}
        {heading(UserSortKey::OpenSessions, "Open sessions")}
        <th scope="col"><span class="visually-hidden">"Actions"</span></th>
    };
    let rows = list
        .items
        .iter()
        .map(|user| row(user, everywhere, active))
        .collect_view();
    let foot = Foot::of(list, routes::USERS, &query.to_query());
    view! {
        {table("Users", headings.into_any(), rows.into_any())}
        {pager(foot)}
    }
    .into_any()
}

fn row(user: &User, everywhere: bool, active: bool) -> AnyView {
    let id = user.id.to_string();
    let action = if active && user.may.end_sessions {
        let label = format!("Logout {}", user.name);
        view! {
            <a class="button plain danger" href=routes::user_act(&id, "end") aria-label=label>
                <Glyph icon=Icon::Door />
                "Logout"
            </a>
        }
        .into_any()
    } else {
        let label = format!("Details of {}", user.name);
        view! { <a class="button plain" href=routes::user(&id) aria-label=label>"Details"</a> }
            .into_any()
    };
    let last = match user.last_sign_in_at {
        Some(at) => view! { <TimeAgo at=at /> }.into_any(),
        None => view! { <span class="aside">"never"</span> }.into_any(),
    };
    let open = words::grouped(i64::try_from(user.open_sessions).unwrap_or(i64::MAX));
    view! {
        <tr>
            {who(user)}
            {roles_cell(user)}
            {everywhere.then(|| view! { <td title=user.organisation.name.clone()>{user.organisation.name.clone()}</td> })}
            <td>{state_tags(user)}</td>
            <td>{last}</td>
            <td class="num">{open}</td>
            <td class="end">{action}</td>
        </tr>
    }
    .into_any()
}

fn heading(key: UserSortKey, label: &'static str, query: &UserQuery) -> AnyView {
    let sorted = query.sort.key == key;
    // Numbers and times first from the largest, words from A.
    let starts_descending = matches!(key, UserSortKey::LastSignInAt | UserSortKey::OpenSessions);
    let descending = if sorted {
        !query.sort.descending
    } else {
        starts_descending
    };
    let sort = UserSort { key, descending };
    let there = UserQuery {
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
