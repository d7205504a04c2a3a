//! The list of organisations, with a form that makes one.

use leptos::prelude::*;
use leptos::server_fn::ServerFn;
use leptos_meta::Title;
use rollcall_core::{NameQuery, Organisation, Page, Permission, words};

use super::parts::{
    Foot, as_of, backend, counted, empty, failed, may, pager, search, table, when_there,
};
use crate::routes;
use crate::rpc::CreateOrganisation;
use crate::ui::clock::ExactTime;
use crate::ui::icon::{Glyph, Icon};

pub(super) fn page() -> AnyView {
    when_there(|| {
        let query = NameQuery::parse_leniently(&search());
        let backend = backend();
        async move {
            let list = backend?.list_organisations(query.clone()).await?;
            Ok(show(list, query))
        }
    })
}

fn show(list: Page<Organisation>, query: NameQuery) -> AnyView {
    let address = |query: &NameQuery| routes::with_query(routes::ORGANISATIONS, &query.to_query());
    let rows = if list.total == 0 {
        let all = (routes::ORGANISATIONS.to_owned(), "Clear search");
        empty(
            "No organisation matches",
            "The search looks for any part of a name.",
            Some(all),
        )
    } else {
        let headings = [
            "Organisation",
            "Status",
            "Users",
            "Active sessions",
            "Sessions",
            "Created",
        ];
        let headings = view! {
            {headings.map(|label| view! { <th scope="col">{label}</th> }).collect_view()}
            <th scope="col"><span class="visually-hidden">"Actions"</span></th>
        };
        let rows = list.items.iter().map(row).collect_view();
        let foot = Foot::of(&list, routes::ORGANISATIONS, &query.to_query());
        view! {
            {table("Organisations", headings.into_any(), rows.into_any())}
            {pager(foot)}
        }
        .into_any()
    };
    view! {
        <Title text="Organisations" />
        <div class="head">
            <h1>"Organisations"</h1>
            {as_of(list.as_of)}
            <span class="grow"></span>
            <a class="button" href=address(&query)><Glyph icon=Icon::Refresh />"Refresh"</a>
            {may(Permission::SessionsEnd).then(|| view! { <a class="button danger" href=routes::END_EVERYTHING>"End all sessions"</a> })}
        </div>
        {failed(CreateOrganisation::url())}
        <section class="panel" aria-label="List of organisations">
            <div class="bar">
                <form method="get" action=routes::ORGANISATIONS class="inline" role="search">
                    <label class="field">
                        <Glyph icon=Icon::Search />
                        <span class="visually-hidden">"Search organisations"</span>
                        <input type="search" name="q" maxlength="200" autocomplete="off" placeholder="Search organisations" value=query.search.clone() />
                    </label>
                    <button class="button">"Search"</button>
                </form>
                <span class="grow"></span>
                <form method="post" action=CreateOrganisation::url() class="inline">
                    <label>
                        <span class="visually-hidden">"Name of a new organisation"</span>
                        <input name="name" maxlength="100" required autocomplete="off" placeholder="Name of a new organisation" />
                    </label>
                    <button class="button primary">"Create"</button>
                </form>
            </div>
            {rows}
        </section>
    }
    .into_any()
}

fn row(one: &Organisation) -> AnyView {
    let id = one.id.to_string();
    let there = routes::below(routes::ORGANISATIONS, &id);
    let users = routes::with_query(routes::USERS, &format!("organisation={id}"));
    let number = |count: u64| words::grouped(i64::try_from(count).unwrap_or(i64::MAX));
    let (manage, all_users) = (
        format!("Manage {}", one.name),
        format!("{} of {}", counted(one.users, "user", "users"), one.name),
    );
    view! {
        <tr>
            <td class="who" title=one.name.clone()><a href=there.clone()><b>{one.name.clone()}</b></a></td>
            <td>{if one.enabled {
                view! { <span class="tag green dot">"Enabled"</span> }
            } else {
                view! { <span class="tag red dot">"Disabled"</span> }
            }}</td>
            <td class="num"><a href=users aria-label=all_users>{number(one.users)}</a></td>
            <td class="num">{number(one.active_sessions)}</td>
            <td class="num">{number(one.sessions)}</td>
            <td><ExactTime at=one.created_at /></td>
            <td class="end"><a class="button plain" href=there aria-label=manage>"Manage"</a></td>
        </tr>
    }
    .into_any()
}
