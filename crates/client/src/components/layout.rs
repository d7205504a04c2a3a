//! The frame of every page behind the sign-in: navigation, who is signed in, messages.

use leptos::prelude::*;
use leptos::server_fn::ServerFn;
use leptos_router::hooks::use_location;
use rollcall_core::{Permission, Reach};

use crate::app::use_surroundings;
use crate::ui::icon::{Glyph, Icon};
use crate::ui::toast::ToastRegion;
use crate::{routes, rpc};

/// The frame.
#[component]
pub fn Layout(children: Children) -> impl IntoView {
    let viewer = use_surroundings().viewer;
    let ready = viewer
        .as_ref()
        .is_some_and(|viewer| !viewer.password_change_required);
    let may = |permission| ready && viewer.as_ref().is_some_and(|viewer| viewer.may(permission));
    let sees_sessions = may(Permission::SessionsView);
    let sees_users = may(Permission::UsersView);
    let makes_roles = sees_users && may(Permission::RolesManage);
    let makes_organisations = may(Permission::OrganisationsManage)
        && viewer
            .as_ref()
            .is_some_and(|viewer| viewer.reach == Reach::All);
    let sets_policy = may(Permission::PolicyManage);
    let sees_audit = may(Permission::AuditView);
    let integrates = may(Permission::IntegrationsManage);
    let path = use_location().pathname;
    let item = |there: &'static str, icon: Icon, label: &'static str| {
        // A page below one of these belongs to it: the details of a session to Sessions.
        let current = move || {
            let path = path.read();
            let below = path.strip_prefix(there)?;
            // Locked has an item of its own.
            if there == routes::USERS && below.starts_with("/locked") {
                return None;
            }
            (below.is_empty() || below.starts_with('/')).then_some(if below.is_empty() {
                "page"
            } else {
                "true"
            })
        };
        // Pages without scripts are not the router's.
        let plain = ![routes::SESSIONS, routes::MY_SESSIONS].contains(&there);
        view! {
            <a href=there class="item" aria-current=current rel=plain.then_some("external")>
                <Glyph icon />
                {label}
            </a>
        }
    };
    view! {
        <a class="skip" href="#main" rel="external">"Skip to content"</a>
        <div class="frame">
            <nav class="side" aria-label="Rollcall">
                <a class="brand" href="/" rel="external"><Glyph icon=Icon::Brand />"Rollcall"</a>
                {sees_sessions.then(|| view! { <h2>"Who is on"</h2>{item(routes::SESSIONS, Icon::Sessions, "Sessions")} })}
                {may(Permission::ClientsDisconnect).then(|| item(routes::CLIENTS, Icon::Device, "Clients"))}
                {sees_users.then(|| view! {
                    <h2>"People"</h2>
                    {item(routes::USERS, Icon::User, "Users")}
                    {item(routes::LOCKED, Icon::Lock, "Locked")}
                })}
                {(makes_organisations || makes_roles || sets_policy || sees_audit || integrates).then(|| view! {
                    <h2>"Rules"</h2>
                    {makes_organisations.then(|| item(routes::ORGANISATIONS, Icon::Building, "Organisations"))}
                    {makes_roles.then(|| item(routes::ROLES, Icon::Key, "Roles"))}
                    {sets_policy.then(|| item(routes::POLICY, Icon::Rules, "Policy"))}
                    {sees_audit.then(|| item(routes::AUDIT, Icon::Audit, "Audit"))}
                    {integrates.then(|| item(routes::INTEGRATIONS, Icon::Elsewhere, "Integrations"))}
                })}
                {viewer.is_some().then(|| view! {
                    <h2>"You"</h2>
                    {ready.then(|| item(routes::MY_SESSIONS, Icon::Device, "My sessions"))}
                    {item(routes::SECURITY, Icon::Key, "Security")}
                })}
                {viewer.map(|viewer| view! {
                    <div class="me">
                        <div class="who">
                            <b>{viewer.user.name}</b>
                            <span>{format!("{}, {}", viewer.role, viewer.organisation.name)}</span>
                        </div>
                        <form method="post" action=rpc::SignOut::url()>
                            <input type="hidden" name="go" value="true" />
                            <button class="button plain"><Glyph icon=Icon::Door />"Sign out"</button>
                        </form>
                    </div>
                })}
            </nav>
            <main id="main" tabindex="-1">{children()}</main>
        </div>
        <ToastRegion />
    }
}
