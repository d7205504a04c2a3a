//! The list of roles: built-in ones and the organisation's own.

use leptos::prelude::*;
use leptos::server_fn::ServerFn;
use leptos_meta::Title;
use rollcall_core::{NameQuery, Page, Permission, Reach, Role, words};

use super::parts::{
    Foot, as_of, backend, counted, empty, failed, may, pager, search, sees_all, table, when_there,
};
use crate::routes;
use crate::rpc::{DeleteRole, EditRole};

pub(super) fn page() -> AnyView {
    when_there(|| {
        let query = NameQuery::parse_leniently(&search());
        let (backend, manages) = (backend(), may(Permission::RolesManage));
        async move {
            if !manages {
                return Err(rollcall_core::Error::Forbidden);
            }
            let list = backend?.list_roles(query.clone()).await?;
            Ok(show(list, query))
        }
    })
}

fn show(list: Page<Role>, query: NameQuery) -> AnyView {
    let everywhere = sees_all();
    let rows = if list.total == 0 {
        let all = (routes::ROLES.to_owned(), "Show all roles");
        empty(
            "No role matches",
            "The search looks for any part of a name.",
            Some(all),
        )
    } else {
        let headings = view! {
            <th scope="col">"Role"</th>
            {everywhere.then(|| view! { <th scope="col">"Organisation"</th> })}
            <th scope="col">"Users"</th>
            <th scope="col">"Allows"</th>
            <th scope="col"><span class="visually-hidden">"Actions"</span></th>
        };
        let rows = list
            .items
            .iter()
            .map(|role| row(role, everywhere))
            .collect_view();
        let foot = Foot::of(&list, routes::ROLES, &query.to_query());
        view! {
            {table("Roles", headings.into_any(), rows.into_any())}
            {pager(foot)}
        }
        .into_any()
    };
    view! {
        <Title text="Roles" />
        <div class="head">
            <h1>"Roles"</h1>
            {as_of(list.as_of)}
            <span class="grow"></span>
            <a class="button primary" href=routes::NEW_ROLE>"Make a role"</a>
        </div>
        <p class="lead">"A user may do what the primary and all secondary roles allow together. Built-in roles are fixed."</p>
        {failed(EditRole::url())}
        {failed(DeleteRole::url())}
        <section class="panel" aria-label="List of roles">{rows}</section>
    }
    .into_any()
}

fn row(role: &Role, everywhere: bool) -> AnyView {
    let key = &role.key.0;
    let there = routes::below(routes::ROLES, key);
    let users = routes::with_query(routes::USERS, &format!("role={key}"));
    let count = words::grouped(i64::try_from(role.users).unwrap_or(i64::MAX));
    let allows: Vec<_> = role.permissions.iter().map(Permission::as_str).collect();
    let allows = allows.join(", ");
    let (who, label) = (
        format!(
            "{} with the role {}",
            counted(role.users, "user", "users"),
            role.name
        ),
        if role.may_edit { "Edit" } else { "Details" },
    );
    let action = format!("{label} of {}", role.name);
    let home = role.organisation.as_ref().map(|home| home.name.clone());
    view! {
        <tr>
            <td class="who">
                <a href=there.clone()>
                    <b>{role.name.clone()}</b>
                    {home.is_none().then(|| view! { <span class="tag">"built-in"</span> })}
                    {(role.reach == Reach::All).then(|| view! { <span class="sub">"all organisations"</span> })}
                </a>
            </td>
            {everywhere.then(|| view! { <td>{home.unwrap_or_else(|| "all".to_owned())}</td> })}
            <td class="num"><a href=users aria-label=who>{count}</a></td>
            <td class="long" title=allows.clone()>{allows.clone()}</td>
            <td class="end"><a class="button plain" href=there aria-label=action>{label}</a></td>
        </tr>
    }
    .into_any()
}
