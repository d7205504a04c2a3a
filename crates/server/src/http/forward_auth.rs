//! Forward authentication: the question of a proxy (`/auth/verify`), and the way of a browser from a protected host to the
//! sign-in and back (`/.rollcall/start` there, `/auth/start` here, `/.rollcall/callback` there).
//!
//! What a proxy says is believed only if it is listed (`--trusted-proxy`). A proxy passes `/.rollcall/` of its host on to
//! us without asking.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use rollcall_client::{own_path, sign_in_for, signed_out};
use rollcall_core::{Error, Problem, query};

use super::extract::Asking;
use super::request::{Asked, accepts_html};
use super::simple_page::{self, Layout, escaped};
use super::{Shared, credentials};
use crate::config::protect::Path;
use crate::config::values::Origin;
use crate::error::ApiError;
use crate::hex;
use crate::service::forward_auth::{Forwarded, Identity, Verdict};
use crate::service::secret::EntryCode;

/// What of a protected host is ours.
const OURS: &str = "/.rollcall/";
const START: &str = "/.rollcall/start";
const CALLBACK: &str = "/.rollcall/callback";

/// Where entering begins on our own host.
const BEGIN: &str = "/auth/start";

const X_FORWARDED_METHOD: HeaderName = HeaderName::from_static("x-forwarded-method");
const X_FORWARDED_URI: HeaderName = HeaderName::from_static("x-forwarded-uri");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// What an application is told about who asks.
const IDENTITY: [HeaderName; 6] = [
    HeaderName::from_static("remote-user"),
    HeaderName::from_static("remote-email"),
    HeaderName::from_static("remote-name"),
    HeaderName::from_static("remote-groups"),
    HeaderName::from_static("remote-organisation"),
    HeaderName::from_static("remote-session"),
];

/// Whether an address is one of these, which know no session but the one that they are asked about.
pub(super) fn is_of_proxies(path: &str) -> bool {
    path == "/auth/verify" || path.starts_with(OURS)
}

/// Answers a proxy: 200 with who asks, 401 or the way to the sign-in, 403. What cannot be read
/// in one way only is 403, and 400 where that is the proxy's doing.
pub(super) async fn verify(
    State(http): State<Shared>,
    Extension(asked): Extension<Arc<Asked>>,
    request: Request,
) -> Result<Response, ApiError> {
    let headers = request.headers();
    if !asked.by_proxy {
        tracing::warn!(
            "/auth/verify was asked by an address that is no trusted proxy; if it is your proxy, list it in --trusted-proxy"
        );
        return Err(Error::Forbidden.into());
    }
    let said = |name: &HeaderName| one(headers, name).ok_or_else(|| unreadable(name));
    let host = said(&X_FORWARDED_HOST)?;
    // Hosts that are not on the list are not ours to decide about.
    let Some(origin) = http.service.protected_host(host).cloned() else {
        return Err(Error::Forbidden.into());
    };
    let method = said(&X_FORWARDED_METHOD)?;
    let method =
        Method::from_bytes(method.as_bytes()).map_err(|_| unreadable(&X_FORWARDED_METHOD))?;
    let target = said(&X_FORWARDED_URI)?;
    // The visitor's doing, not the proxy's. nginx takes anything but 401 and 403 for a fault.
    let path = Path::parse(target).ok_or(Error::Forbidden)?;
    let forwarded = Forwarded {
        credential: credentials::host_credential(headers)?,
        // An application may have bearers of its own; those are its business.
        bearer: credentials::bearer(headers),
        method: method.clone(),
        path,
        origin,
    };
    let facts = asked.facts(&request);
    match http.service.verify(&forwarded, &facts).await? {
        Verdict::Let(identity) => Ok(let_in(identity.as_ref())),
        Verdict::Forbidden => Err(Error::Forbidden.into()),
        Verdict::SignIn if accepts_html(headers) && method == Method::GET => {
            let there = format!("{}{START}?to={}", forwarded.origin, own_path(Some(target)));
            Ok(go(StatusCode::FOUND, &there))
        }
        Verdict::SignIn => Err(Error::Unauthenticated.into()),
    }
}

/// On a protected host: notes the browser and sends it to the sign-in.
pub(super) async fn start(
    State(http): State<Shared>,
    Extension(asked): Extension<Arc<Asked>>,
    request: Request,
) -> Result<Response, ApiError> {
    let origin = host_of(&http, &asked, request.headers())?;
    let public = http.public.as_ref().ok_or(Error::NotFound)?;
    // Tabs of one browser share a state, so that one does not undo what another has begun.
    let state = credentials::entry_state(request.headers())
        .unwrap_or_else(|| http.service.new_entry_state());
    let parameters = query::write(&[
        ("host", origin.host.clone()),
        ("state", hex::write(&state.hash())),
    ]);
    let to = own_path(wanted(request.uri()));
    let there = format!("{public}{BEGIN}?{parameters}&to={to}");
    let mut response = go(StatusCode::SEE_OTHER, &there);
    credentials::write_entry_state(&state, response.headers_mut());
    Ok(response)
}

/// On our own host: a browser that is signed in gets a code for the protected host, another one is asked to sign in first.
pub(super) async fn begin(
    State(http): State<Shared>,
    asking: Asking,
    uri: Uri,
) -> Result<Response, ApiError> {
    let pairs = query::pairs(uri.query().unwrap_or_default())?;
    let find = |name: &str| {
        let found = pairs.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    };
    let host = find("host").ok_or_else(|| ApiError::field("host", Problem::Missing))?;
    let origin = http.service.protected_host(host).cloned();
    let origin = origin.ok_or_else(|| ApiError::field("host", Problem::NotOffered))?;
    let state = find("state").and_then(hex::read);
    let state = state.ok_or_else(|| ApiError::field("state", Problem::Malformed))?;
    match asking.signed_in() {
        Ok(_) => {}
        Err(Error::Unauthenticated | Error::PasswordChangeRequired) => {
            let here = uri.path_and_query().map_or(BEGIN, |here| here.as_str());
            return Ok(go(StatusCode::SEE_OTHER, &sign_in_for(here)));
        }
        Err(error) => return Err(error.into()),
    }
    let code = asking.begin_entry(&origin, state).await?;
    let to = own_path(wanted(&uri));
    let there = format!("{origin}{CALLBACK}?code={}&to={to}", *code.expose());
    Ok(go(StatusCode::SEE_OTHER, &there))
}

/// On a protected host: exchanges the code for a credential there, and goes on to where the browser wanted to.
pub(super) async fn callback(
    State(http): State<Shared>,
    Extension(asked): Extension<Arc<Asked>>,
    request: Request,
) -> Result<Response, ApiError> {
    let origin = host_of(&http, &asked, request.headers())?;
    let to = own_path(wanted(request.uri()));
    let code = query::find(request.uri().query().unwrap_or_default(), "code");
    let code = code.and_then(|text| EntryCode::parse(&text));
    let state = credentials::entry_state(request.headers());
    let facts = asked.facts(&request);
    let entered = match (code, state) {
        (Some(code), Some(state)) => {
            let service = &http.service;
            service.finish_entry(&origin, &code, &state, &facts).await?
        }
        _ => None,
    };
    match entered {
        Some(credential) => {
            let mut response = go(StatusCode::SEE_OTHER, to);
            credentials::write_host_credential(&credential, response.headers_mut());
            Ok(response)
        }
        None => Ok(did_not_work(to)),
    }
}

// Where a request says to go: all that follows `to=`, which is the last, as proxies write it there without encoding.
fn wanted(uri: &Uri) -> Option<&str> {
    let query = uri.query()?;
    match query.strip_prefix("to=") {
        Some(to) => Some(to),
        None => query.split_once("&to=").map(|(_, to)| to),
    }
}

// The protected host that a browser has reached us by.
fn host_of(http: &Shared, asked: &Asked, headers: &HeaderMap) -> Result<Origin, ApiError> {
    let by_proxy = asked.by_proxy && headers.contains_key(X_FORWARDED_HOST);
    let name = match by_proxy {
        true => one(headers, &X_FORWARDED_HOST),
        false => asked.host.as_deref(),
    };
    let origin = name.and_then(|name| http.service.protected_host(name));
    origin.cloned().ok_or_else(|| Error::NotFound.into())
}

// A header that stands there once and says one thing.
fn one<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().filter(|_| values.next().is_none())?;
    let text = value.to_str().ok()?;
    // A comma in an address of a file is a comma; elsewhere it divides what two have written.
    (!text.is_empty() && (*name == X_FORWARDED_URI || !text.contains(','))).then_some(text)
}

fn unreadable(name: &HeaderName) -> ApiError {
    ApiError::field(name.as_str(), Problem::Malformed)
}

fn let_in(identity: Option<&Identity>) -> Response {
    let mut response = StatusCode::OK.into_response();
    let values = match identity {
        // Empty ones take the place of whatever a visitor may have sent under these names.
        None => [const { String::new() }; 6],
        Some(who) => {
            let roles: Vec<_> = who.roles.iter().map(|role| role.0.as_str()).collect();
            [
                who.user.email.clone(),
                who.user.email.clone(),
                who.user.name.clone(),
                roles.join(","),
                who.organisation.to_string(),
                who.session.to_string(),
            ]
        }
    };
    for (name, value) in IDENTITY.into_iter().zip(values) {
        // Names hold no control characters, so that every one can be a header.
        if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

fn go(status: StatusCode, there: &str) -> Response {
    let mut response = status.into_response();
    match HeaderValue::from_str(there) {
        Ok(there) => {
            response.headers_mut().insert(header::LOCATION, there);
            response
        }
        Err(_) => ApiError::from(Error::NotFound).into_response(),
    }
}

fn did_not_work(to: &str) -> Response {
    let again = escaped(&format!("{START}?to={to}"));
    let content = format!(
        "<h1>This did not work</h1>\n\
         <p>The way back from the sign-in is good once, for 30 seconds and in the browser that began it.</p>\n\
         <p class=\"acts\"><a class=\"button primary\" href=\"{again}\">Try again</a></p>\n"
    );
    let page = simple_page::page(Layout::Card, "This did not work", &content, "");
    let mut response = simple_page::answer(page);
    *response.status_mut() = StatusCode::FORBIDDEN;
    response
}

/// A question before signing out, for applications to link to: `/auth/sign-out?return=URL`, where the address is on a
/// protected host.
pub(super) async fn ask_sign_out(
    State(http): State<Shared>,
    asking: Asking,
    uri: Uri,
) -> Result<Response, ApiError> {
    let back = way_back(&http, &uri)?;
    let who = asking.caller().map(|caller| escaped(caller.name()));
    let target = uri
        .path_and_query()
        .map_or("/auth/sign-out", |here| here.as_str());
    let content = match who {
        Some(who) => format!(
            "<h1>Sign out?</h1>\n\
             <p>You are signed in as <b>{who}</b>. Signing out ends this session here and in every application that you have reached with it.</p>\n\
             <form method=\"post\" action=\"{}\" class=\"acts\"><a class=\"button\" href=\"{}\">Cancel</a> \
             <button class=\"button primary\">Sign out</button></form>\n",
            escaped(target),
            escaped(back.as_deref().unwrap_or("/")),
        ),
        None => format!(
            "<h1>You are signed out</h1>\n<p class=\"acts\"><a class=\"button primary\" href=\"{}\">Go on</a></p>\n",
            escaped(back.as_deref().unwrap_or("/sign-in")),
        ),
    };
    let page = simple_page::page(Layout::Card, "Sign out", &content, "");
    Ok(simple_page::answer(page))
}

/// Signs out, and goes where the question said.
pub(super) async fn sign_out(
    State(http): State<Shared>,
    asking: Asking,
    uri: Uri,
) -> Result<Response, ApiError> {
    use rollcall_core::Backend as _;
    let back = way_back(&http, &uri)?;
    let there = match (asking.sign_out().await?, back) {
        (None, back) => back.unwrap_or_else(|| "/sign-in".to_owned()),
        (Some(provider), None) => signed_out(Some(&provider)),
        (Some(provider), Some(back)) => {
            let onward = query::write(&[("return", back)]);
            format!("{}?{onward}", signed_out(Some(&provider)))
        }
    };
    Ok(go(StatusCode::SEE_OTHER, &there))
}

// An address on a protected host. Any other would let a link on our page lead anywhere.
fn way_back(http: &Shared, uri: &Uri) -> Result<Option<String>, ApiError> {
    let Some(text) = query::find(uri.query().unwrap_or_default(), "return") else {
        return Ok(None);
    };
    let known = way_back_to(http, &text);
    let known = known.ok_or_else(|| ApiError::field("return", Problem::NotOffered))?;
    Ok(Some(known))
}

/// An address on a protected host as it is to be written; `None` for any other.
pub(super) fn way_back_to(http: &Shared, text: &str) -> Option<String> {
    let plain = text
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let (scheme, rest) = text.split_once("://").filter(|_| plain)?;
    let (host, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let origin = Origin::parse(&format!("{scheme}://{host}"))?;
    let known = http.service.protected_host(host)?;
    (*known == origin).then(|| format!("{origin}{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_to_go_is_all_that_follows() {
        for (uri, to) in [
            ("/x", None),
            ("/x?to=/a?b=c&d=e", Some("/a?b=c&d=e")),
            ("/x?code=1&to=/a&to=/b", Some("/a&to=/b")),
            ("/x?code=1", None),
        ] {
            assert_eq!(wanted(&uri.parse().expect("an address")), to, "{uri}");
        }
    }

    #[test]
    fn a_header_says_one_thing_or_nothing() {
        let mut headers = HeaderMap::new();
        headers.append(X_FORWARDED_HOST, HeaderValue::from_static("a.example"));
        headers.append(X_FORWARDED_URI, HeaderValue::from_static("/a,b"));
        assert_eq!(one(&headers, &X_FORWARDED_HOST), Some("a.example"));
        assert_eq!(one(&headers, &X_FORWARDED_URI), Some("/a,b"));
        assert_eq!(one(&headers, &X_FORWARDED_METHOD), None);
        headers.append(X_FORWARDED_HOST, HeaderValue::from_static("b.example"));
        assert_eq!(one(&headers, &X_FORWARDED_HOST), None);
        headers.insert(
            X_FORWARDED_HOST,
            HeaderValue::from_static("a.example, b.example"),
        );
        assert_eq!(one(&headers, &X_FORWARDED_HOST), None);
        headers.insert(X_FORWARDED_HOST, HeaderValue::from_static(""));
        assert_eq!(one(&headers, &X_FORWARDED_HOST), None);
    }
}
