//! The accounts that wrong passwords have locked.

use leptos::prelude::*;
use leptos::server_fn::ServerFn;
use leptos_meta::Title;
use rollcall_core::{Page, User, UserFilter, UserQuery, UserSort, UserSortKey, UserState};

use super::parts::{
    Foot, as_of, backend, empty, failed, pager, roles_cell, search, sees_all, table, when_there,
    who,
};
use crate::routes;
use crate::rpc::UnlockUser;
use crate::ui::clock::{ExactTime, TimeAgo};
use crate::ui::icon::{Glyph, Icon};

pub(super) fn page() -> AnyView {
    when_there(|| {
        let asked = UserQuery::parse_leniently(&search());
        let backend = backend();
        async move {
            let query = UserQuery {
                filter: UserFilter {
                    state: Some(UserState::Locked),
                    ..UserFilter::default()
                },
                sort: UserSort {
                    key: UserSortKey::LockedAt,
                    descending: true,
                },
                ..asked
            };
            Ok(show(backend?.list_users(query).await?))
        }
    })
}

fn show(list: Page<User>) -> AnyView {
    let everywhere = sees_all();
    let list_view = if list.total == 0 {
        empty(
            "No account is locked",
            "Five wrong passwords in a row lock an account. Who is signed in already stays so.",
            None,
        )
    } else {
        let headings = view! {
            <th scope="col">"User"</th>
            <th scope="col">"Role"</th>
            {everywhere.then(|| view! { <th scope="col">"Organisation"</th> })}
            <th scope="col" aria-sort="descending">"Locked since"</th>
            <th scope="col">"Last sign-in"</th>
            <th scope="col"><span class="visually-hidden">"Actions"</span></th>
        };
        let rows = list
            .items
            .iter()
            .map(|user| row(user, everywhere))
            .collect_view();
        let foot = Foot::of(&list, routes::LOCKED, "");
        view! {
            {table("Locked users", headings.into_any(), rows.into_any())}
            {pager(foot)}
        }
        .into_any()
    };
    view! {
        <Title text="Locked users" />
        <div class="head">
            <h1>"Locked users"</h1>
            {as_of(list.as_of)}
            <span class="grow"></span>
            <a class="button" href=routes::LOCKED><Glyph icon=Icon::Refresh />"Refresh"</a>
        </div>
        <p class="lead">"A lock refuses every sign-in, with the right password too, until somebody unlocks the account. A new password lifts no lock."</p>
        {failed(UnlockUser::url())}
        <section class="panel" aria-label="List of locked users">{list_view}</section>
    }
    .into_any()
}

fn row(user: &User, everywhere: bool) -> AnyView {
    let since = user
        .locked_at
        .map(|at| view! { <ExactTime at=at /><span class="sub"><TimeAgo at=at /></span> });
    let last = match user.last_sign_in_at {
        Some(at) => view! { <TimeAgo at=at /> }.into_any(),
        None => view! { <span class="aside">"never"</span> }.into_any(),
    };
    let action = if user.may.unlock {
        let label = format!("Unlock {}", user.name);
        view! {
            <form method="post" action=UnlockUser::url()>
                <input type="hidden" name="user" value=user.id.to_string() />
                <button class="button plain" aria-label=label>"Unlock"</button>
            </form>
        }
        .into_any()
    } else {
        let label = format!("Details of {}", user.name);
        view! { <a class="button plain" href=routes::user(&user.id.to_string()) aria-label=label>"Details"</a> }.into_any()
    };
    view! {
        <tr>
            {who(user)}
            {roles_cell(user)}
            {everywhere.then(|| view! { <td>{user.organisation.name.clone()}</td> })}
            <td>{since}</td>
            <td>{last}</td>
            <td class="end">{action}</td>
        </tr>
    }
    .into_any()
}
