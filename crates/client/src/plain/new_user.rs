//! Creating a user.

use leptos::prelude::*;
use leptos::server_fn::ServerFn;
use leptos_meta::Title;
use rollcall_core::{BuiltInRole, Organisation, Permission, Role, RoleKey};

use super::edit_user::{organisation_field, role_fields, text_fields};
use super::parts::{all, backend, failed, may, sees_all, when_there};
use super::reauthenticate::once_confirmed;
use crate::app::use_surroundings;
use crate::routes;
use crate::rpc::CreateUser;

pub(super) fn page() -> AnyView {
    when_there(|| {
        let (backend, everywhere) = (backend(), sees_all());
        let (manages, gives) = (may(Permission::UsersManage), may(Permission::RolesManage));
        async move {
            if !manages {
                return Err(rollcall_core::Error::Forbidden);
            }
            let backend = backend?;
            let roles = match gives {
                true => backend.list_roles(all()).await?.items,
                false => Vec::new(),
            };
            let organisations = match everywhere {
                true => backend.list_organisations(all()).await?.items,
                false => Vec::new(),
            };
            Ok(frame(once_confirmed("create a user", || {
                form(roles, organisations)
            })))
        }
    })
}

fn frame(content: AnyView) -> AnyView {
    view! {
        <Title text="Create user" />
        <p class="crumbs"><a href=routes::USERS>"Users"</a></p>
        <div class="head"><h1>"Create user"</h1></div>
        {content}
    }
    .into_any()
}

fn form(roles: Vec<Role>, organisations: Vec<Organisation>) -> AnyView {
    let viewer = use_surroundings().viewer;
    let home = viewer
        .map(|viewer| viewer.organisation.id.to_string())
        .unwrap_or_default();
    let offered: Vec<_> = roles.into_iter().filter(|role| role.may_give).collect();
    let member = RoleKey(BuiltInRole::Member.key().to_owned());
    let roles = (!offered.is_empty()).then(|| role_fields(offered, &member, &[]));
    let organisation =
        (!organisations.is_empty()).then(|| organisation_field(organisations, &home));
    view! {
        <section class="panel card">
            <p class="aside">"The next page shows a one-time password, once. The user changes it at the first sign-in."</p>
            {failed(CreateUser::url())}
            <form method="post" action=CreateUser::url() class="stack">
                {text_fields("", "")}
                {organisation}
                {roles}
                <label class="check">
                    <input type="checkbox" name="service_account" value="true" />
                    "Service account: a program, not a person"
                </label>
                <div class="acts">
                    <a class="button" href=routes::USERS>"Cancel"</a>
                    <button class="button primary">"Create user"</button>
                </div>
            </form>
        </section>
    }
    .into_any()
}
