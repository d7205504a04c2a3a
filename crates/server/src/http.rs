//! Everything that speaks HTTP: the whole route table, and the order in which a request is treated.
//!
//! **Invariant:** handlers hold no rules. Each asks `service::RequestBackend` and writes down its answer.

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{delete, get, post};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::{Method, header};
use rollcall_core::Error;

use crate::config::Settings;
use crate::config::values::Origin;
use crate::error::ApiError;
use crate::service::{Door, Presented, RequestBackend, Service};

pub mod address;
mod addresses;
mod applications;
pub mod assets;
mod audit;
mod body;
mod clients;
pub mod credentials;
mod executions;
mod export;
mod extract;
mod forward_auth;
mod headers;
mod help;
mod integrations;
mod keys;
pub mod listener;
mod mail;
mod many;
mod me;
pub mod openapi;
mod operations;
mod organisations;
mod origin;
mod pages;
mod policy;
mod providers;
mod request;
mod respond;
mod roles;
mod rpc;
mod saved_filters;
mod sessions;
mod sign_in;
mod simple_page;
mod single_sign_on;
mod try_it;
mod user_requests;
mod users;
mod well_known;

use request::{Area, Asked, RequestIds};
pub use request::{user_agent, zone_cookie};

/// The longest that a request may take from its last byte to the answer's first.
const LONGEST_ANSWER: Duration = Duration::from_secs(30);

/// What the HTTP layer knows.
pub struct Http {
    service: Service,
    proxies: address::Proxies,
    public: Option<Origin>,
    include_subdomains: bool,
    /// Where a form of ours may lead besides: `https://app.example …`.
    form_targets: String,
    support_contact: Option<String>,
    request_ids: RequestIds,
}

/// Marks a request of somebody who works on the database itself. It is part of no message: only this program can add it.
#[derive(Clone, Copy)]
pub struct Operator(());

impl Operator {
    /// For commands that have the database to themselves.
    pub fn on_this_machine() -> Self {
        Self(())
    }
}

/// What handlers and middleware share.
pub type Shared = Arc<Http>;

/// The whole route table.
pub fn router(settings: &Settings, service: Service) -> Router {
    pages::prepare();
    let shared = Arc::new(Http {
        service,
        proxies: address::Proxies::new(settings.trusted_proxy.clone()),
        public: settings.public_url.clone(),
        include_subdomains: settings.hsts_include_subdomains,
        form_targets: form_targets(settings),
        support_contact: settings.sign_in.support_contact.clone(),
        request_ids: RequestIds::default(),
    });
    Router::new()
        // Pages, and the server functions that they call
        .route("/", get(pages::page))
        .route("/sign-in", get(pages::page))
        .route("/sign-in/choose", get(pages::plain))
        .route("/forgot-password", get(pages::plain))
        .route("/reset-password", get(pages::plain))
        .route("/reset-password/{link}", get(pages::plain))
        .route("/not-me/{link}", get(pages::plain))
        .route("/sessions", get(pages::page))
        .route("/sessions/filters", get(pages::plain))
        .route("/sessions/columns", get(pages::plain))
        .route("/sessions/{id}", get(pages::plain))
        .route("/sessions/{id}/end", get(pages::plain))
        .route("/sessions/ending/{id}", get(pages::plain))
        .route("/policy", get(pages::plain))
        .route("/audit", get(pages::plain))
        .route("/users", get(pages::plain))
        .route("/users/new", get(pages::plain))
        .route("/users/locked", get(pages::plain))
        .route("/users/{id}", get(pages::plain))
        .route("/users/{id}/{act}", get(pages::plain))
        .route("/roles", get(pages::plain))
        .route("/roles/new", get(pages::plain))
        .route("/roles/{key}", get(pages::plain))
        .route("/organisations", get(pages::plain))
        .route("/organisations/end-all", get(pages::plain))
        .route("/organisations/{id}", get(pages::plain))
        .route("/organisations/{id}/{act}", get(pages::plain))
        .route("/integrations/new-provider", get(pages::plain))
        .route("/integrations/providers", get(pages::plain))
        .route("/integrations/providers/{provider}", get(pages::plain))
        .route(
            "/integrations/providers/{provider}/remove",
            get(pages::plain),
        )
        .route("/account/sessions", get(pages::page))
        .route("/account/sessions/end", get(pages::plain))
        .route("/account/sessions/{id}/end", get(pages::plain))
        .route("/account/sessions/{id}/rename", get(pages::plain))
        .route("/account/security", get(pages::plain))
        .route("/account/keys", get(pages::plain))
        .route("/account/notices", get(pages::plain))
        .route("/clients", get(pages::plain))
        .route("/clients/{id}", get(pages::plain))
        .route("/clients/{id}/{act}", get(pages::plain))
        .route("/integrations", get(pages::plain))
        .route("/integrations/receivers/new", get(pages::plain))
        .route("/integrations/receivers/{id}", get(pages::plain))
        .route("/integrations/receivers/{id}/{act}", get(pages::plain))
        .route("/integrations/deliveries", get(pages::plain))
        .route("/rpc/{*function}", post(rpc::call))
        // Signing in and out
        .route("/api/v1/sign-in", post(sign_in::sign_in))
        .route("/api/v1/sign-out", post(sign_in::sign_out))
        .route("/api/v1/forgot-password", post(mail::ask))
        .route("/api/v1/reset-password", post(mail::reset))
        .route("/api/v1/report-sign-in", post(mail::report))
        // One's own account
        .route("/api/v1/me", get(me::find))
        .route("/api/v1/me/password", post(me::change_password))
        .route("/api/v1/me/reauthenticate", post(me::reauthenticate))
        .route(
            "/api/v1/me/sessions",
            get(me::list_sessions).delete(me::end_sessions),
        )
        .route(
            "/api/v1/me/filters",
            get(saved_filters::list).post(saved_filters::create),
        )
        .route("/api/v1/me/filters/{id}", delete(saved_filters::remove))
        .route(
            "/api/v1/me/columns",
            get(saved_filters::columns).put(saved_filters::set_columns),
        )
        .route("/api/v1/me/sessions/export", get(export::own_sessions))
        .route(
            "/api/v1/me/sessions/{id}",
            delete(me::end_session).patch(me::rename_session),
        )
        .route("/api/v1/me/notices", get(mail::list))
        .route("/api/v1/me/notices/{id}/confirm", post(mail::confirm))
        .route("/api/v1/me/notices/{id}/disown", post(mail::disown))
        // Administration
        .route(
            "/api/v1/sessions",
            get(sessions::list).post(applications::open_for),
        )
        .route("/api/v1/sessions/count", get(sessions::count))
        .route("/api/v1/sessions/stats", get(sessions::stats))
        .route("/api/v1/sessions/export", get(export::sessions))
        .route(
            "/api/v1/sessions/{id}",
            get(sessions::find).delete(sessions::end),
        )
        .route("/api/v1/sessions/end-preview", post(many::preview))
        .route("/api/v1/sessions/end", post(many::end))
        .route("/api/v1/sessions/end/{id}", get(many::progress))
        .route("/api/v1/sessions/end-all", post(many::end_all))
        .route("/api/v1/policy", get(policy::find).patch(policy::change))
        .route("/api/v1/policy/preview", post(policy::preview))
        .route("/api/v1/users", get(users::list).post(users::create))
        .route(
            "/api/v1/users/{id}",
            get(users::find).patch(users::edit).delete(users::remove),
        )
        .route(
            "/api/v1/users/{id}/sessions",
            get(users::list_sessions).delete(users::end_sessions),
        )
        .route(
            "/api/v1/users/{id}/reset-password",
            post(users::reset_password),
        )
        .route("/api/v1/users/{id}/unlock", post(users::unlock))
        .route("/api/v1/users/{id}/policy", get(policy::of_user))
        .route("/api/v1/users/{id}/keys", get(keys::list_of_user))
        .route("/api/v1/keys", get(keys::list).post(keys::create))
        .route("/api/v1/keys/{id}", get(keys::find).delete(keys::revoke))
        .route("/api/v1/users/{id}/force-logout", post(users::force_logout))
        // Work under a session
        .route(
            "/api/v1/clients",
            get(clients::list).post(clients::register),
        )
        .route(
            "/api/v1/clients/{id}",
            get(clients::find).delete(clients::remove),
        )
        .route("/api/v1/clients/{id}/heartbeat", post(clients::heartbeat))
        .route("/api/v1/clients/{id}/commands", get(clients::commands))
        .route("/api/v1/clients/{id}/disconnect", post(clients::disconnect))
        .route("/api/v1/clients/{id}/dispatch", post(clients::dispatch))
        .route(
            "/api/v1/executions",
            get(executions::list).post(executions::start),
        )
        .route(
            "/api/v1/executions/{id}",
            get(executions::find).patch(executions::end),
        )
        // For applications with a sign-in of their own
        .route("/api/v1/introspect", post(applications::introspect))
        .route("/api/v1/revoke", post(applications::revoke))
        .route(
            "/api/v1/throttled-addresses",
            get(addresses::list).delete(addresses::release),
        )
        .route("/api/v1/roles", get(roles::list).post(roles::create))
        .route(
            "/api/v1/roles/{key}",
            get(roles::find).patch(roles::edit).delete(roles::remove),
        )
        .route(
            "/api/v1/organisations",
            get(organisations::list).post(organisations::create),
        )
        .route(
            "/api/v1/organisations/{id}",
            get(organisations::find).patch(organisations::edit),
        )
        // Who elsewhere is told
        .route(
            "/api/v1/integrations/receivers",
            get(integrations::list).post(integrations::create),
        )
        .route(
            "/api/v1/integrations/receivers/{id}",
            get(integrations::find)
                .patch(integrations::edit)
                .delete(integrations::remove),
        )
        .route(
            "/api/v1/integrations/receivers/{id}/pause",
            post(integrations::pause),
        )
        .route(
            "/api/v1/integrations/receivers/{id}/resume",
            post(integrations::resume),
        )
        .route(
            "/api/v1/integrations/receivers/{id}/test",
            post(integrations::test),
        )
        .route(
            "/api/v1/integrations/deliveries",
            get(integrations::deliveries),
        )
        .route(
            "/api/v1/integrations/deliveries/{id}/replay",
            post(integrations::replay),
        )
        .route(
            "/api/v1/integrations/confirmations",
            get(integrations::confirmations),
        )
        .route("/.well-known/jwks.json", get(well_known::keys))
        .route(
            "/.well-known/ssf-configuration",
            get(well_known::transmitter),
        )
        .route("/api/v1/audit", get(audit::list))
        .route("/api/v1/audit/export", get(export::audit))
        // The two calls of Rediacc's console
        .route("/api/UserRequests", get(user_requests::list))
        .route("/api/UserRequest/{id}", delete(user_requests::end))
        // In front of other applications
        .route("/auth/verify", get(forward_auth::verify))
        .route("/auth/start", get(forward_auth::begin))
        .route(
            "/auth/sign-out",
            get(forward_auth::ask_sign_out).post(forward_auth::sign_out),
        )
        .route("/.rollcall/start", get(forward_auth::start))
        .route("/.rollcall/callback", get(forward_auth::callback))
        // Signing in elsewhere
        .route("/auth/sso/{key}", post(single_sign_on::begin))
        .route("/auth/callback/{key}", get(single_sign_on::callback))
        .route("/auth/leave/{key}", get(single_sign_on::leave))
        .route("/auth/left", get(single_sign_on::left))
        .route(
            "/auth/back-channel/{key}",
            post(single_sign_on::back_channel),
        )
        .route("/api/v1/integrations/providers", get(providers::list))
        .route(
            "/api/v1/integrations/providers/{key}",
            get(providers::find)
                .put(providers::save)
                .delete(providers::remove),
        )
        // The API's description
        .route("/api/openapi.json", get(openapi::answer))
        .route("/api/docs", get(try_it::page))
        .route("/api/docs/try.js", get(try_it::script))
        // Operations
        .route("/healthz", get(operations::healthy))
        .route("/readyz", get(operations::ready))
        .route("/metrics", get(operations::metrics))
        // Files and help
        .route("/pkg/{*file}", get(pages::file))
        .route("/favicon.svg", get(pages::file))
        .route("/robots.txt", get(pages::file))
        .route("/help/troubleshooting", get(help::troubleshooting))
        .fallback(pages::unknown)
        .method_not_allowed_fallback(respond::method_not_allowed)
        .layer(from_fn_with_state(shared.clone(), treat))
        .with_state(shared)
}

// Signing in on the way to a protected host ends there, and browsers hold the form to that.
fn form_targets(settings: &Settings) -> String {
    let origins = settings.protect.iter().map(|rule| rule.origin.to_string());
    let distinct: std::collections::BTreeSet<_> = origins.collect();
    distinct
        .into_iter()
        .map(|origin| format!(" {origin}"))
        .collect()
}

/// The order in which a request is treated, for every route and for what is none.
async fn treat(State(http): State<Shared>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let asked = Arc::new(Asked::read(&http, &request));
    let method = request.method().clone();
    // The pattern, never the path: a path can hold an id, and somebody's mistake can put more into it.
    let route = request.extensions().get::<MatchedPath>().cloned();

    let answered = AssertUnwindSafe(answer(&http, &asked, request, next))
        .catch_unwind()
        .await;
    let mut response = answered.unwrap_or_else(|_| respond::with(Error::Internal.into()));
    if let Some(error) = response.extensions_mut().remove::<ApiError>() {
        let cookies = respond::kept(&mut response);
        response = respond::in_shape(&http, &asked, error, route.is_some());
        response.headers_mut().extend(cookies);
    }
    headers::add(
        response.headers_mut(),
        headers::Circumstances {
            nonce: asked.nonce.get().map(|nonce| &**nonce),
            https: asked.https,
            include_subdomains: http.include_subdomains,
            form_targets: &http.form_targets,
            personal: asked.area.knows_who_asks(),
            request_id: &asked.id,
        },
    );
    operations::note(
        &asked,
        &method,
        route.as_ref(),
        response.status(),
        started.elapsed(),
    );
    response
}

async fn answer(http: &Shared, asked: &Arc<Asked>, request: Request, next: Next) -> Response {
    match admit(http, asked, request).await {
        Err(error) => respond::with(error.into()),
        Ok(mut request) => {
            request.extensions_mut().insert(asked.clone());
            let Some(door) = asked.door() else {
                return next.run(request).await;
            };
            let operator = request.extensions_mut().remove::<Operator>();
            let presented = match operator {
                Some(Operator(())) => Presented::Operator,
                None => credentials::presented(request.headers()),
            };
            let facts = asked.facts(&request);
            let safe = request.method().is_safe();
            let service = http.service.clone();
            let work = async move {
                let backend = Arc::new(RequestBackend::open(service, facts, presented, door).await);
                request.extensions_mut().insert(backend.clone());
                let mut response = next.run(request).await;
                let effects = backend.effects();
                if let Some(error) = response.extensions_mut().get_mut::<ApiError>() {
                    error.ended = effects.ended;
                }
                respond::apply(&effects, response.headers_mut());
                response
            };
            let work: BoxFuture<'_, Response> = if safe {
                Box::pin(work)
            } else {
                // What changes something is carried to its end, whoever hangs up meanwhile: a wrong
                // password is counted and noted even if nobody waits to hear of it.
                Box::pin(tokio::spawn(work).map(|done| match done {
                    Ok(response) => response,
                    Err(broken) => resume_unwind(broken.into_panic()),
                }))
            };
            match tokio::time::timeout(LONGEST_ANSWER, work).await {
                Ok(response) => response,
                Err(_) => respond::with(Error::Unavailable.into()),
            }
        }
    }
}

/// What is refused before anybody asks who sent it. The body has arrived in full when this returns.
async fn admit(http: &Shared, asked: &Asked, request: Request) -> Result<Request, Error> {
    let known = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::OPTIONS,
    ];
    if !known.contains(request.method()) {
        return Err(Error::MethodNotAllowed);
    }
    // Several Hosts are a sign of smuggling (RFC 9112, 3.2).
    if request
        .headers()
        .get_all(header::HOST)
        .iter()
        .nth(1)
        .is_some()
    {
        return Err(Error::MalformedBody);
    }
    let reached = origin::Reached {
        public: http.public.as_ref(),
        host: asked.host.as_deref(),
        https: asked.scheme,
    };
    if origin::is_foreign(request.method(), request.headers(), &reached) {
        return Err(Error::ForeignOrigin);
    }
    body::admit(asked.area, request).await
}

impl Asked {
    /// Through which door a request comes; `None` for what is the same for everyone.
    fn door(&self) -> Option<Door> {
        match self.area.door() {
            Some(Door::Api) if clients::is_stream(&self.path) => Some(Door::Quiet),
            door => door,
        }
    }
}

impl Area {
    /// Through which door a request comes; `None` for what is the same for everyone.
    fn door(self) -> Option<Door> {
        match self {
            Self::Page => Some(Door::Page),
            Self::Rpc => Some(Door::Rpc),
            Self::Api => Some(Door::Api),
            Self::OAuth => Some(Door::Quiet),
            Self::Proxied | Self::Open => None,
        }
    }

    fn knows_who_asks(self) -> bool {
        self != Self::Open
    }
}
