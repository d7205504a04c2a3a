//! The form that changes a user, and what it has in common with the one that creates one.

use leptos::prelude::*;
use leptos::server_fn::ServerFn;
use rollcall_core::{Organisation, Role, RoleKey, User};

use super::parts::options;
use crate::rpc::EditUser;

/// Changes name, e-mail, roles and organisation, as far as the viewer may.
pub(super) fn edit_form(
    user: &User,
    roles: Vec<Role>,
    organisations: Vec<Organisation>,
) -> AnyView {
    let roles = user.may.change_roles.then(|| {
        let held: Vec<_> = user.roles.iter().map(|role| role.key.clone()).collect();
        // What the user has stays offered, whoever may give it.
        let home = user.organisation.id;
        let offered = roles
            .into_iter()
            .filter(|role| role.organisation.as_ref().is_none_or(|of| of.id == home))
            .filter(|role| role.may_give || role.key == user.role.key || held.contains(&role.key))
            .collect();
        view! {
            <input type="hidden" name="roles[]" value="" />
            {role_fields(offered, &user.role.key, &held)}
        }
    });
    let organisation = (!organisations.is_empty()).then(|| {
        view! {
            {organisation_field(organisations, &user.organisation.id.to_string())}
            <p class="aside">"Moving to another organisation ends all sessions; roles of this organisation must be taken away first."</p>
        }
    });
    view! {
        <section class="panel card" aria-label="Edit user">
            <h2>"Edit"</h2>
            <form method="post" action=EditUser::url() class="stack">
                <input type="hidden" name="user" value=user.id.to_string() />
                {text_fields(&user.name, &user.email)}
                {roles}
                {organisation}
                <button class="button primary">"Save"</button>
            </form>
        </section>
    }
    .into_any()
}

/// Name and e-mail.
pub(super) fn text_fields(name: &str, email: &str) -> AnyView {
    view! {
        <label class="stack">
            <span>"E-mail"</span>
            <input name="email" type="email" maxlength="254" required autocomplete="off" value=email.to_owned() />
        </label>
        <label class="stack">
            <span>"Name"</span>
            <input name="name" maxlength="100" autocomplete="off" value=name.to_owned() />
        </label>
    }
    .into_any()
}

/// The primary role and the secondary ones.
pub(super) fn role_fields(roles: Vec<Role>, primary: &RoleKey, held: &[RoleKey]) -> AnyView {
    let list = roles
        .iter()
        .map(|role| (role.key.0.clone(), role.name.clone()))
        .collect();
    let ticks = roles
        .iter()
        .map(|role| {
            let ticked = held.contains(&role.key);
            view! {
                <label class="check">
                    <input type="checkbox" name="roles[]" value=role.key.0.clone() checked=ticked />
                    {role.name.clone()}
                </label>
            }
        })
        .collect_view();
    view! {
        <label class="stack">
            <span>"Primary role"</span>
            <select name="role">{options(list, &primary.0)}</select>
        </label>
        <fieldset class="ticks">
            <legend>"Secondary roles"</legend>
            {ticks}
        </fieldset>
        <p class="aside">"All roles together say what a user may do; unlocking accounts comes from the primary role only."</p>
    }
    .into_any()
}

/// The organisation.
pub(super) fn organisation_field(organisations: Vec<Organisation>, chosen: &str) -> AnyView {
    let homes = organisations
        .into_iter()
        .filter(|home| home.enabled || home.id.to_string() == chosen);
    let list = homes.map(|home| (home.id.to_string(), home.name)).collect();
    view! {
        <label class="stack">
            <span>"Organisation"</span>
            <select name="organisation">{options(list, chosen)}</select>
        </label>
    }
    .into_any()
}
