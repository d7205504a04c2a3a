//! One role: what it allows; making, changing and deleting one.

use leptos::prelude::*;
use leptos::server_fn::ServerFn;
use leptos_meta::Title;
use rollcall_core::{Error, Organisation, Permission, Permissions, Reach, Role};

use super::edit_user::organisation_field;
use super::parts::{all, backend, counted, failed, may, part, sees_all, when_there};
use super::reauthenticate::once_confirmed;
use crate::app::use_surroundings;
use crate::routes;
use crate::rpc::{CreateRole, DeleteRole, EditRole};

/// What people read beside the name of a permission.
fn meaning(permission: Permission) -> &'static str {
    match permission {
        Permission::SessionsView => "see the sessions of others",
        Permission::SessionsEnd => "end the sessions of others",
        Permission::ClientsRegister => "register a client for oneself; everybody may",
        Permission::ClientsDisconnect => "disconnect clients of others",
        Permission::UsersView => "see users",
        Permission::UsersManage => {
            "create, edit, disable and delete users; brings seeing them and their sessions, and ending those"
        }
        Permission::UsersUnlock => "unlock accounts; counts in the primary role only",
        Permission::RolesManage => "make and give roles",
        Permission::PolicyManage => "set timeouts, limits and lock rules",
        Permission::AuditView => "read the audit trail",
        Permission::OrganisationsManage => "create, rename and disable organisations",
        Permission::IntegrationsManage => "set up identity providers and webhooks",
        Permission::ExecutionsStartFor => "start an execution for another user",
        Permission::ExecutionsDispatch => "send work to a waiting agent",
        Permission::SessionsCreateFor => "create a session for another user",
        Permission::SessionsIntrospect => "ask whether a token is live",
    }
}

pub(super) fn new_page() -> AnyView {
    when_there(|| {
        let (backend, manages, everywhere) = (backend(), may(Permission::RolesManage), sees_all());
        async move {
            if !manages {
                return Err(Error::Forbidden);
            }
            let organisations = match everywhere {
                true => backend?.list_organisations(all()).await?.items,
                false => Vec::new(),
            };
            Ok(new_form(organisations))
        }
    })
}

pub(super) fn page() -> AnyView {
    when_there(|| {
        let (key, backend, manages) = (part("id"), backend(), may(Permission::RolesManage));
        async move {
            if !manages {
                return Err(Error::Forbidden);
            }
            let key = key.parse().map_err(|_| Error::NotFound)?;
            Ok(show(backend?.find_role(key).await?))
        }
    })
}

fn new_form(organisations: Vec<Organisation>) -> AnyView {
    let viewer = use_surroundings().viewer;
    let home = viewer
        .map(|viewer| viewer.organisation.id.to_string())
        .unwrap_or_default();
    let organisation =
        (!organisations.is_empty()).then(|| organisation_field(organisations, &home));
    let form = || {
        view! {
        <section class="panel card">
            <p class="aside">"A role belongs to one organisation. You can put into it what you hold yourself."</p>
            {failed(CreateRole::url())}
            <form method="post" action=CreateRole::url() class="stack">
                {name_field("")}
                {organisation}
                {ticks(Permissions::default())}
                <div class="acts">
                    <a class="button" href=routes::ROLES>"Cancel"</a>
                    <button class="button primary">"Make role"</button>
                </div>
            </form>
        </section>
    }
    .into_any()
    };
    view! {
        <Title text="Make a role" />
        <p class="crumbs"><a href=routes::ROLES>"Roles"</a></p>
        <div class="head"><h1>"Make a role"</h1></div>
        {once_confirmed("make a role", form)}
    }
    .into_any()
}

fn show(role: Role) -> AnyView {
    let key = role.key.0.clone();
    let users = routes::with_query(routes::USERS, &format!("role={key}"));
    let place = match &role.organisation {
        Some(home) => home.name.clone(),
        None => "Built-in; the same everywhere, and fixed".to_owned(),
    };
    let reach = match role.reach {
        Reach::All => "All organisations",
        Reach::Own => "The user's own organisation",
    };
    let list = role
        .permissions
        .iter()
        .map(|permission| view! { <li><code>{permission.as_str()}</code>" – "{meaning(permission)}</li> })
        .collect_view();
    let edit = role.may_edit.then(|| {
        let form = || {
            view! {
                <section class="panel card" aria-label="Edit role">
                    <h2>"Edit"</h2>
                    <p class="aside">"Whoever has it may do so from the next request on."</p>
                    <form method="post" action=EditRole::url() class="stack">
                        <input type="hidden" name="role" value=key.clone() />
                        {name_field(&role.name)}
                        {ticks(role.permissions)}
                        <button class="button primary">"Save"</button>
                    </form>
                </section>
            }
            .into_any()
        };
        once_confirmed("change this role", form)
    });
    let delete = (role.may_edit && role.users == 0).then(|| {
        view! {
            <section class="panel card" aria-label="Delete role">
                <h2>"Delete this role"</h2>
                <p>"Nobody has it. This cannot be undone."</p>
                <form method="post" action=DeleteRole::url() class="stack">
                    <input type="hidden" name="role" value=key.clone() />
                    <button class="button danger full">"Delete role"</button>
                </form>
            </section>
        }
    });
    view! {
        <Title text=role.name.clone() />
        <p class="crumbs"><a href=routes::ROLES>"Roles"</a></p>
        <div class="head"><h1>{role.name.clone()}</h1></div>
        {failed(EditRole::url())}
        {failed(DeleteRole::url())}
        <section class="panel">
            <dl class="details">
                <dt>"Organisation"</dt><dd>{place}</dd>
                <dt>"Reach"</dt><dd>{reach}</dd>
                <dt>"Users"</dt><dd><a href=users>{counted(role.users, "user", "users")}</a></dd>
                <dt>"Allows"</dt><dd><ul class="lines">{list}</ul></dd>
            </dl>
        </section>
        {edit}
        {delete}
    }
    .into_any()
}

fn name_field(name: &str) -> AnyView {
    view! {
        <label class="stack">
            <span>"Name"</span>
            <input name="name" maxlength="60" required autocomplete="off" value=name.to_owned() />
        </label>
    }
    .into_any()
}

// What the viewer holds can be ticked; what a role has beyond that is not theirs to edit in any case.
fn ticks(ticked: Permissions) -> AnyView {
    let held = use_surroundings()
        .viewer
        .map(|viewer| viewer.permissions)
        .unwrap_or_default();
    // Whoever makes roles gives what only programs have without having it.
    ticks_of(held.union(Permissions::for_programs()), ticked)
}

/// A tick for each of these permissions, with its meaning.
pub(super) fn ticks_of(held: Permissions, ticked: Permissions) -> AnyView {
    let list = Permission::ALL
        .iter()
        .filter(|permission| held.has(**permission) || ticked.has(**permission))
        .map(|permission| {
            let name = permission.as_str();
            view! {
                <label class="check">
                    <input type="checkbox" name="permissions[]" value=name checked=ticked.has(*permission) />
                    <span><code>{name}</code>" "<small>{meaning(*permission)}</small></span>
                </label>
            }
        })
        .collect_view();
    view! {
        <fieldset class="ticks">
            <legend>"Allows"</legend>
            {list}
        </fieldset>
    }
    .into_any()
}
