//! Pages without scripts: everything but signing in and what lists sessions. They are tables, links and forms that the
//! server renders alone, so that nobody downloads a second copy of them: the bundle knows nothing of them, and they
//! work the same everywhere.

mod audit;
mod audit_lines;
mod choose_sessions;
mod client;
mod clients;
mod confirm_user;
mod deliveries;
mod edit_user;
mod end_all;
mod end_many;
mod end_own_sessions;
mod end_session;
mod executions;
mod force_logout;
mod forgot_password;
mod integrations;
mod keys;
mod locked;
mod new_user;
mod not_me;
mod notices;
mod organisation;
mod organisations;
mod parts;
mod policy;
mod provider;
mod providers;
mod reauthenticate;
mod receiver;
mod rename_session;
mod reset_password;
mod role;
mod roles;
mod security;
mod session;
mod session_columns;
mod session_filters;
mod user;
mod users;

use leptos::prelude::*;
use leptos_meta::{Title, provide_meta_context};
use leptos_router::components::{Outlet, ParentRoute, Route, Router, Routes};
use leptos_router::{SsrMode, path};
use rollcall_core::Surroundings;

use crate::app::document_title;
use crate::components::layout::Layout;
use crate::pages::not_found::NotFoundPage;
use crate::ui::clock::provide_clock;
use crate::ui::toast::provide_toasts;

/// What is asked about a user on a page of its own, as the address has it.
pub const USER_ACTS: [&str; 5] = ["end", "logged-out", "disable", "delete", "reset"];

pub use client::CLIENT_ACTS;
pub use receiver::RECEIVER_ACTS;

type Page = fn() -> AnyView;

/// All pages without scripts, in the same frame as the others.
#[component]
pub(crate) fn PlainApp() -> impl IntoView {
    provide_meta_context();
    let surroundings = use_context::<Surroundings>().unwrap_or_default();
    provide_clock(surroundings.now);
    provide_toasts();
    provide_context(surroundings);
    view! {
        <Title formatter=document_title />
        <Router>
            <Routes fallback=|| view! { <Layout><NotFoundPage /></Layout> }>
                <Route path=path!("/sign-in/choose") view={choose_sessions::page as Page} ssr=SsrMode::Async />
                <Route path=path!("/forgot-password") view={forgot_password::page as Page} ssr=SsrMode::Async />
                <Route path=path!("/reset-password") view={reset_password::done_page as Page} ssr=SsrMode::Async />
                <Route path=path!("/reset-password/:link") view={reset_password::page as Page} ssr=SsrMode::Async />
                <Route path=path!("/not-me/:link") view={not_me::page as Page} ssr=SsrMode::Async />
                <ParentRoute path=path!("") view=|| view! { <Layout><Outlet /></Layout> } ssr=SsrMode::Async>
                    <Route path=path!("/sessions/:id/end") view={end_session::page as Page} ssr=SsrMode::Async />
                    <Route path=path!("/sessions/filters") view={session_filters::page as Page} ssr=SsrMode::Async />
                    <Route path=path!("/sessions/columns") view={session_columns::page as Page} ssr=SsrMode::Async />
                    // After those with a name.
                    <Route path=path!("/sessions/:id") view={session::page as Page} ssr=SsrMode::Async />
                    <Route path=path!("/sessions/ending/:id") view={end_many::page as Page} ssr=SsrMode::Async />
                    <Route path=path!("/account/sessions/end") view={end_own_sessions::page as Page} ssr=SsrMode::Async />
                    <Route path=path!("/account/sessions/:id/end") view={end_session::own_page as Page} ssr=SsrMode::Async />
                    <Route path=path!("/account/security") view={security::page as Page} ssr=SsrMode::Async />
                    <Route path=path!("/account/notices") view={notices::page as Page} ssr=SsrMode::Async />
                    <Route path=path!("/account/keys") view={keys::page as Page} ssr=SsrMode::Async />
                    <Route path=path!("/account/sessions/:id/rename") view={rename_session::page as Page} ssr=SsrMode::Async />
                    <Route path=path!("/clients") view={clients::page as Page} ssr=SsrMode::Async />
                    <Route path=path!("/clients/:id") view={client::page as Page} ssr=SsrMode::Async />
                    <Route path=path!("/clients/:id/:act") view={client::act_page as Page} ssr=SsrMode::Async />
                    <Route path=path!("/policy") view={policy::page as Page} ssr=SsrMode::Async />
                    <Route path=path!("/audit") view={audit::page as Page} ssr=SsrMode::Async />
                    <Route path=path!("/users") view={users::page as Page} ssr=SsrMode::Async />
                    <Route path=path!("/users/new") view={new_user::page as Page} ssr=SsrMode::Async />
                    <Route path=path!("/users/locked") view={locked::page as Page} ssr=SsrMode::Async />
                    <Route path=path!("/users/:id") view={user::page as Page} ssr=SsrMode::Async />
                    <Route path=path!("/users/:id/end") view={force_logout::page as Page} ssr=SsrMode::Async />
                    <Route path=path!("/users/:id/logged-out") view={force_logout::done_page as Page} ssr=SsrMode::Async />
                    <Route path=path!("/users/:id/:act") view={confirm_user::page as Page} ssr=SsrMode::Async />
                    <Route path=path!("/roles") view={roles::page as Page} ssr=SsrMode::Async />
                    <Route path=path!("/roles/new") view={role::new_page as Page} ssr=SsrMode::Async />
                    <Route path=path!("/roles/:id") view={role::page as Page} ssr=SsrMode::Async />
                    <Route path=path!("/organisations") view={organisations::page as Page} ssr=SsrMode::Async />
                    <Route path=path!("/organisations/end-all") view={end_all::page as Page} ssr=SsrMode::Async />
                    // After that with a name.
                    <Route path=path!("/organisations/:id") view={organisation::page as Page} ssr=SsrMode::Async />
                    <Route path=path!("/organisations/:id/:act") view={organisation::act_page as Page} ssr=SsrMode::Async />
                    <Route path=path!("/integrations") view={integrations::page as Page} ssr=SsrMode::Async />
                    <Route path=path!("/integrations/receivers/new") view={receiver::new_page as Page} ssr=SsrMode::Async />
                    // After that with a name.
                    <Route path=path!("/integrations/receivers/:id") view={receiver::page as Page} ssr=SsrMode::Async />
                    <Route path=path!("/integrations/receivers/:id/:act") view={receiver::act_page as Page} ssr=SsrMode::Async />
                    <Route path=path!("/integrations/deliveries") view={deliveries::page as Page} ssr=SsrMode::Async />
                    <Route path=path!("/integrations/providers") view={providers::page as Page} ssr=SsrMode::Async />
                    <Route path=path!("/integrations/new-provider") view={provider::new_page as Page} ssr=SsrMode::Async />
                    <Route path=path!("/integrations/providers/:provider") view={provider::page as Page} ssr=SsrMode::Async />
                    <Route path=path!("/integrations/providers/:provider/remove") view={provider::remove_page as Page} ssr=SsrMode::Async />
                </ParentRoute>
            </Routes>
        </Router>
    }
}
