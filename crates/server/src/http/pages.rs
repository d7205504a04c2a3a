//! Pages: looked at by a guard, rendered by Leptos with their data, then taken over by the bundle.

use std::sync::{Arc, Once};

use any_spawner::Executor;
use axum::Extension;
use axum::extract::{RawPathParams, Request};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, Uri, header};
use leptos::nonce::Nonce;
use leptos::prelude::{IntoView, provide_context};
use leptos_axum::render_app_async_with_context;
use rollcall_core::ProvidersBackend;
use rollcall_core::backend::Backend;
use rollcall_core::{
    AuditQuery, Error, Permission, ProviderKey, RoleKey, SessionQuery, UserId, query,
};

use super::request::{Area, Asked};
use super::{assets, respond};
use crate::error;
use crate::service::RequestBackend;

/// Pages that are there for everyone.
const OPEN_PAGES: [&str; 4] = [
    "/sign-in",
    "/sign-in/choose",
    "/forgot-password",
    "/reset-password",
];

/// What the links of mails begin with. Whoever has one is let in, whoever else they are.
const LINKS: [&str; 2] = ["/reset-password/", "/not-me/"];

fn is_link(path: &str) -> bool {
    LINKS.iter().any(|start| path.starts_with(start))
}

fn is_for_everyone(path: &str) -> bool {
    OPEN_PAGES.contains(&path) || is_link(path)
}

/// Where a password is changed; the only page until a one-time password is.
const SECURITY: &str = "/account/security";

/// Where people see from where they are signed in.
const MY_SESSIONS: &str = "/account/sessions";

/// Makes ready what rendering needs, once per process.
pub(super) fn prepare() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if Executor::init_tokio().is_err() {
            tracing::debug!("somebody else has set the executor for pages already");
        }
        if !assets::has_bundle() {
            tracing::warn!(
                "this binary holds no WebAssembly bundle; pages are served without scripts (`cargo xtask bundle` makes one)"
            );
        }
    });
}

type Known = (Extension<Arc<Asked>>, Extension<Arc<RequestBackend>>);

/// A page that goes on in the browser.
pub(super) async fn page(known: Known, request: Request) -> Response {
    answer(known, true, request, rollcall_client::shell).await
}

/// A page without scripts: rendered here, and nowhere else.
pub(super) async fn plain(known: Known, parameters: RawPathParams, request: Request) -> Response {
    let path = request.uri().path();
    let acts: &[&str] = match () {
        () if path.starts_with("/users/") => &rollcall_client::USER_ACTS,
        () if path.starts_with("/clients/") => &rollcall_client::CLIENT_ACTS,
        () if path.starts_with("/integrations/") => &rollcall_client::RECEIVER_ACTS,
        () => &["disable", "end"],
    };
    let named = parameters.iter().all(|(name, text)| match name {
        "act" => acts.contains(&text),
        "key" => text.parse::<RoleKey>().is_ok(),
        // The page says in words what is none.
        "link" => true,
        "provider" => text.parse::<ProviderKey>().is_ok(),
        // Ids of users, sessions and previews look the same. What is no id names nothing.
        _ => text.parse::<UserId>().is_ok(),
    });
    answer(known, named, request, rollcall_client::plain_shell).await
}

// A page whose path names something that there can be, or does not.
async fn answer<V: IntoView + 'static>(
    (Extension(asked), Extension(backend)): Known,
    named: bool,
    request: Request,
    shell: fn() -> V,
) -> Response {
    if let Some(error) = backend.refused() {
        return respond::with(error.into());
    }
    // Sessions of programs are none that a person looks at pages with.
    if let Err(error @ (Error::NotByClient | Error::NotOnBehalf)) = backend.signed_in()
        && !is_for_everyone(request.uri().path())
    {
        return respond::with(error.into());
    }
    if let Some(elsewhere) = guard(&backend, request.uri().path(), request.uri().query()) {
        return see_other(&elsewhere);
    }
    if let Some(there) = canonical(&backend, request.uri().clone()).await {
        return see_other(&there);
    }
    let open = is_open_to(&backend, request.uri().path());
    let mut response = render(&asked, &backend, request, shell).await;
    if !open {
        // The page says so in words without asking the service, which would have been the one to refuse.
        *response.status_mut() = StatusCode::FORBIDDEN;
    } else if !named {
        *response.status_mut() = StatusCode::NOT_FOUND;
    }
    response
}

// The address that a page with a form of filters should have, if this is another one: a plain form sends empty fields,
// and times of the zone that the page shows.
async fn canonical(backend: &RequestBackend, asked: Uri) -> Option<String> {
    let query = asked.query().filter(|query| !query.is_empty())?;
    if asked.path() == "/sessions/filters" {
        return applied(query);
    }
    if asked.path() != "/audit" {
        return None;
    }
    let zone = backend.surroundings().await.ok()?.zone;
    let there = AuditQuery::canonical(query, &zone);
    (there != query).then(|| match there.is_empty() {
        true => "/audit".to_owned(),
        false => format!("/audit?{there}"),
    })
}

// The list that a form of filters leads to; `None` where it was not sent, or cannot be read: then its page says what is
// wrong.
fn applied(query: &str) -> Option<String> {
    let pairs = query::pairs(query).ok()?;
    pairs.iter().find(|(name, _)| name == "apply")?;
    let rest: Vec<_> = pairs
        .iter()
        .filter(|(name, _)| name != "apply")
        .map(|(name, value)| (name.as_str(), value.clone()))
        .collect();
    let there = SessionQuery::parse(&query::write(&rest)).ok()?.to_query();
    Some(match there.is_empty() {
        true => "/sessions".to_owned(),
        false => format!("/sessions?{there}"),
    })
}

// Whether the caller may see what the pages of administrators are about.
fn is_open_to(backend: &RequestBackend, path: &str) -> bool {
    let under = |root: &str| {
        path.strip_prefix(root)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let needed = match path {
        "/audit" => Permission::AuditView,
        "/users/new" => Permission::UsersManage,
        _ if under("/sessions") => Permission::SessionsView,
        _ if under("/users") => Permission::UsersView,
        "/policy" => Permission::PolicyManage,
        _ if under("/roles") => Permission::RolesManage,
        _ if under("/organisations") => Permission::OrganisationsManage,
        _ if under("/integrations") => Permission::IntegrationsManage,
        _ => return true,
    };
    backend
        .caller()
        .is_none_or(|caller| caller.permissions().has(needed))
}

/// What no route knows: a page in words for people, a problem document for programs.
pub(super) async fn unknown(request: Request) -> Response {
    let asked = request.extensions().get::<Arc<Asked>>().cloned();
    let backend = request.extensions().get::<Arc<RequestBackend>>().cloned();
    match (asked, backend) {
        // With the navigation around it, for those who have one.
        (Some(asked), Some(backend))
            if asked.area == Area::Page && asked.wants_html && backend.caller().is_some() =>
        {
            let mut response =
                render(&asked, &backend, request, rollcall_client::plain_shell).await;
            *response.status_mut() = StatusCode::NOT_FOUND;
            response
        }
        _ => respond::with(Error::NotFound.into()),
    }
}

async fn render<V: IntoView + 'static>(
    asked: &Asked,
    backend: &Arc<RequestBackend>,
    request: Request,
    shell: fn() -> V,
) -> Response {
    let nonce = asked.nonce.get_or_init(Nonce::new).clone();
    let shown: Arc<dyn Backend> = backend.clone();
    let bundle = assets::bundle();
    let surroundings = match backend.surroundings().await {
        Ok(surroundings) => surroundings,
        Err(error) => return respond::with(error.into()),
    };
    // Asked where it is shown, and only there.
    let news = asked.path == MY_SESSIONS && backend.has_notices().await.unwrap_or_default();
    let sign_on = match asked.path == "/sign-in" {
        true => rollcall_client::SignOn {
            choices: backend.sign_on_choices().await.unwrap_or_default(),
            https_needed: backend.facts().https_needed,
        },
        false => rollcall_client::SignOn::default(),
    };
    let context = move || {
        provide_context(sign_on.clone());
        provide_context(shown.clone());
        provide_context(rollcall_client::News(news));
        provide_context(surroundings.clone());
        // Leptos makes a nonce of its own; ours is the one in the header.
        provide_context(nonce.clone());
        provide_context(rollcall_client::Assets {
            style: assets::style(),
            bundle: bundle.clone(),
        });
    };
    let mut response = render_app_async_with_context(context, shell)(request).await;
    let effects = backend.effects();
    // A page may have found out only while it was made that nobody is signed in any more.
    match effects.error {
        Some(Error::Unauthenticated) if !is_for_everyone(&asked.path) => {
            see_other(&sign_in(&asked.path, None))
        }
        Some(Error::PasswordChangeRequired) => see_other(SECURITY),
        Some(failed) if response.status() == StatusCode::OK => {
            *response.status_mut() = error::status(failed);
            error::add_headers(failed, response.headers_mut());
            response
        }
        _ => response,
    }
}

// Where somebody has to go first, if not here.
fn guard(backend: &RequestBackend, path: &str, query: Option<&str>) -> Option<String> {
    let start = path == "/";
    match backend.caller() {
        _ if is_link(path) => None,
        None if is_for_everyone(path) => None,
        None if start => Some("/sign-in".to_owned()),
        None => Some(sign_in(path, query)),
        Some(caller) if caller.password_change_required() => {
            (path != SECURITY).then(|| SECURITY.to_owned())
        }
        Some(caller) if start => Some(
            match caller.permissions().has(Permission::SessionsView) {
                true => "/sessions",
                false => MY_SESSIONS,
            }
            .to_owned(),
        ),
        Some(_) => None,
    }
}

/// The sign-in page that comes back here.
pub(super) fn sign_in(path: &str, query: Option<&str>) -> String {
    let next = match query {
        Some(query) if !query.is_empty() => format!("{path}?{query}"),
        _ => path.to_owned(),
    };
    if is_ours(&next) {
        format!("/sign-in?next={}", query::encode(&next))
    } else {
        "/sign-in".to_owned()
    }
}

/// Whether a path leads to ourselves: one leading slash, no backslash, nothing that a browser drops.
pub(super) fn is_ours(path: &str) -> bool {
    path.starts_with('/')
        && !path.starts_with("//")
        && !path.contains('\\')
        && path.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A redirect that turns every method into GET.
pub(super) fn see_other(path: &str) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    if let Ok(value) = HeaderValue::from_str(path) {
        response.headers_mut().insert(header::LOCATION, value);
    }
    response
}

/// A file of the bundle or beside it.
pub(super) async fn file(request: Request) -> Response {
    match assets::find(request.uri().path()) {
        Some(asset) => asset.answer(request.uri().query(), request.headers()),
        None => respond::with(Error::NotFound.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_paths_are_come_back_to() {
        for (path, ours) in [
            ("/sessions?q=a", true),
            ("/", true),
            ("//evil.example", false),
            ("/\\evil.example", false),
            ("https://evil.example", false),
            ("/a\r\nSet-Cookie: x", false),
            ("/\t/evil.example", false),
            ("", false),
        ] {
            assert_eq!(is_ours(path), ours, "{path:?}");
        }
        assert_eq!(
            sign_in("/sessions", Some("q=a&page=2")),
            "/sign-in?next=%2Fsessions%3Fq%3Da%26page%3D2"
        );
        assert_eq!(sign_in("//evil.example", None), "/sign-in");
    }
}
