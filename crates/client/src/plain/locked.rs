//! The accounts that wrong passwords have locked.

use leptos::prelude::*;
use leptos::server_fn::ServerFn;
use leptos_meta::Title;
use rollcall_core::{
    AuditAction, AuditEvent, AuditQuery, Page, PageSize, Permission, ThrottledAddress, User,
    UserFilter, UserQuery, UserSort, UserSortKey, UserState, Who,
};

use super::parts::{
    Foot, as_of, backend, empty, failed, may, pager, roles_cell, search, sees_all, table,
    when_there, who,
};
use crate::routes;
use crate::rpc::{ReleaseAddress, UnlockUser};
use crate::ui::clock::{ExactTime, TimeAgo};
use crate::ui::icon::{Glyph, Icon};

pub(super) fn page() -> AnyView {
    when_there(|| {
        let asked = UserQuery::parse_leniently(&search());
        let backend = backend();
        let (audits, releases) = (
            may(Permission::AuditView),
            may(Permission::UsersUnlock) && sees_all(),
        );
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
            let backend = backend?;
            let list = backend.list_users(query).await?;
            let throttled = match releases {
                true => backend.throttled_addresses().await?,
                false => Vec::new(),
            };
            let mut attempts = Vec::new();
            for user in list.items.iter().filter(|_| audits) {
                let asked = AuditQuery {
                    page_size: PageSize::new(5).unwrap_or_default(),
                    ..sign_ins_as(user)
                };
                attempts.push(backend.list_audit(asked).await?.items);
            }
            Ok(show(list, attempts, throttled))
        }
    })
}

// What the audit trail knows of sign-ins as a user.
fn sign_ins_as(user: &User) -> AuditQuery {
    AuditQuery {
        target: Some(Who::Id(user.id)),
        action: Some(AuditAction::SignIn),
        ..AuditQuery::default()
    }
}

fn show(
    list: Page<User>,
    attempts: Vec<Vec<AuditEvent>>,
    throttled: Vec<ThrottledAddress>,
) -> AnyView {
    let everywhere = sees_all();
    let audited = !attempts.is_empty();
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
            {audited.then(|| view! { <th scope="col">"Last attempts"</th> })}
            <th scope="col">"Last sign-in"</th>
            <th scope="col"><span class="visually-hidden">"Actions"</span></th>
        };
        let rows = list
            .items
            .iter()
            .enumerate()
            .map(|(index, user)| row(user, everywhere, attempts.get(index)))
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
        {failed(ReleaseAddress::url())}
        {(!throttled.is_empty()).then(|| throttled_addresses(throttled))}
    }
    .into_any()
}

fn throttled_addresses(list: Vec<ThrottledAddress>) -> AnyView {
    let headings = view! {
        <th scope="col">"IP address"</th>
        <th scope="col" aria-sort="descending">"Until"</th>
        <th scope="col"><span class="visually-hidden">"Actions"</span></th>
    };
    let rows = list
        .into_iter()
        .map(|throttled| {
            let label = format!("Release {}", throttled.address);
            view! {
                <tr>
                    <td class="ip"><code>{throttled.address.clone()}</code></td>
                    <td><ExactTime at=throttled.until /></td>
                    <td class="end">
                        <form method="post" action=ReleaseAddress::url()>
                            <input type="hidden" name="ip" value=throttled.address />
                            <button class="button plain" aria-label=label>"Release"</button>
                        </form>
                    </td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <section class="panel" aria-label="List of throttled addresses">
            <div class="bar">
                <h2>"Throttled addresses"</h2>
                <span class="aside">"Too many sign-ins from them failed: nobody can sign in from there until then. A restart of the server forgets them."</span>
            </div>
            {table("Throttled addresses", headings.into_any(), rows.into_any())}
        </section>
    }
    .into_any()
}

// From where somebody has tried last, with all that the audit trail knows of it one click away.
fn tried(user: &User, attempts: &[AuditEvent]) -> AnyView {
    let Some(last) = attempts.first() else {
        return ().into_any();
    };
    let mut addresses: Vec<&str> = Vec::new();
    for event in attempts {
        if !addresses.contains(&event.ip.as_str()) {
            addresses.push(&event.ip);
        }
    }
    let there = routes::with_query(routes::AUDIT, &sign_ins_as(user).to_query());
    let label = format!("Attempts to sign in as {}", user.name);
    view! {
        <a href=there aria-label=label><code>{addresses.join(", ")}</code></a>
        <span class="sub"><TimeAgo at=last.at /></span>
    }
    .into_any()
}

fn row(user: &User, everywhere: bool, attempts: Option<&Vec<AuditEvent>>) -> AnyView {
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
            {attempts.map(|attempts| view! { <td>{tried(user, attempts)}</td> })}
            <td>{last}</td>
            <td class="end">{action}</td>
        </tr>
    }
    .into_any()
}
