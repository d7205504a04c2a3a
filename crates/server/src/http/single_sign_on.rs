//! The ways to identity providers and back, for browsers; and what providers tell by themselves.
//!
//! A browser is led away by a page, not by a redirect: after a form, browsers hold redirects to `form-action`, and where a
//! provider asks people to sign in is known no sooner than when it is asked.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use rollcall_client::own_path;
use rollcall_core::{Error, Problem, ProviderKey, query};
use serde_json::json;

use super::extract::{Asking, Form};
use super::forward_auth::way_back_to;
use super::simple_page::{self, Layout, escaped};
use super::{Shared, credentials};
use crate::error::ApiError;
use crate::service::back_channel::Heard;
use crate::service::single_sign_on::{Failure, Journey, Return, Turned};

/// Whether an address is where providers tell of sign-outs: they send forms (Back-Channel Logout 1.0, 2.5).
pub(super) fn takes_forms(path: &str) -> bool {
    path.starts_with("/auth/back-channel/")
}

/// Leads a browser to a provider.
pub(super) async fn begin(
    State(http): State<Shared>,
    asking: Asking,
    Path(key): Path<String>,
    headers: HeaderMap,
    Form(fields): Form,
) -> Result<Response, ApiError> {
    let key = known(&key)?;
    let given = |name: &str| {
        let found = fields.iter().find(|(field, _)| field == name);
        found.map(|(_, value)| value.as_str())
    };
    let journey = Journey {
        next: own_path(given("next")).to_owned(),
        keep: given("keep").is_some(),
        confirm: given("confirm").is_some(),
    };
    // Tabs of one browser share a secret, so that one does not undo what another has begun.
    let secret =
        credentials::sign_on_secret(&headers).unwrap_or_else(|| http.service.new_sign_on_secret());
    let label = http.service.provider_label(&key).await?;
    let begun = http.service.begin_sign_on(&key, &secret, journey).await;
    let there = match begun {
        Ok(there) => there,
        Err(failure) => return turned(&asking, &label, failure),
    };
    let mut response = leads_to(&there, &format!("Going to {label}"))?;
    credentials::write_sign_on_secret(&secret, response.headers_mut());
    Ok(response)
}

/// A browser is back from a provider.
pub(super) async fn callback(
    State(http): State<Shared>,
    asking: Asking,
    Path(key): Path<String>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, ApiError> {
    let key = known(&key)?;
    let label = http.service.provider_label(&key).await?;
    let pairs = query::pairs(uri.query().unwrap_or_default())?;
    // What stands there twice could mean two things.
    let one = |name: &str| {
        let mut found = pairs.iter().filter(|(field, _)| field == name);
        let (_, value) = found.next()?;
        found.next().is_none().then_some(value.as_str())
    };
    let back = Return {
        state: one("state").unwrap_or_default(),
        code: one("code").filter(|_| one("error").is_none()),
        issuer: one("iss"),
    };
    let secret = credentials::sign_on_secret(&headers);
    match asking.finish_sign_on(&key, secret.as_ref(), back).await {
        Ok(journey) => to(own_path(Some(&journey.next))),
        Err(failure) => turned(&asking, &label, failure),
    }
}

/// A provider tells that somebody has signed out there.
pub(super) async fn back_channel(
    State(http): State<Shared>,
    asking: Asking,
    Path(key): Path<String>,
    Form(fields): Form,
) -> Result<Response, ApiError> {
    let key = known(&key)?;
    let mut tokens = fields.iter().filter(|(name, _)| name == "logout_token");
    let token = match (tokens.next(), tokens.next()) {
        (Some((_, token)), None) => token,
        (None, _) => return Err(ApiError::field("logout_token", Problem::Missing)),
        (Some(_), Some(_)) => return Err(ApiError::field("logout_token", Problem::Repeated)),
    };
    let heard = http
        .service
        .hear_sign_out(&key, token, asking.facts())
        .await?;
    // As the specification has it (2.8): its own errors, and nothing that could be kept.
    Ok(match heard {
        Heard::Ended(_) => StatusCode::OK.into_response(),
        Heard::Refused => {
            let error = json!({
                "error": "invalid_request",
                "error_description": "The logout token cannot be accepted.",
            });
            (StatusCode::BAD_REQUEST, Json(error)).into_response()
        }
    })
}

/// After a sign-out here: leads on to the provider, to sign out there, too.
pub(super) async fn leave(
    State(http): State<Shared>,
    Path(key): Path<String>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let key = known(&key)?;
    let back = query::find(uri.query().unwrap_or_default(), "return");
    let back = back.filter(|text| way_back_to(&http, text).is_some());
    let onward = own_or(&http, back.as_deref());
    let label = http.service.provider_label(&key).await?;
    match http.service.sign_out_there(&key, back).await? {
        Some(there) => leads_to(&there, &format!("Signing out of {label}, too")),
        None => to(&onward),
    }
}

/// A browser is back from signing out at a provider.
pub(super) async fn left(State(http): State<Shared>, uri: Uri) -> Result<Response, ApiError> {
    let back = query::find(uri.query().unwrap_or_default(), "state");
    to(&own_or(&http, back.as_deref()))
}

// An application's address that is on the list, or our sign-in page.
fn own_or(http: &Shared, text: Option<&str>) -> String {
    text.and_then(|text| way_back_to(http, text))
        .unwrap_or_else(|| "/sign-in".to_owned())
}

fn known(key: &str) -> Result<ProviderKey, ApiError> {
    key.parse().map_err(|_| Error::NotFound.into())
}

fn to(there: &str) -> Result<Response, ApiError> {
    let there = HeaderValue::from_str(there).map_err(|_| Error::NotFound)?;
    let mut response = StatusCode::SEE_OTHER.into_response();
    response.headers_mut().insert(header::LOCATION, there);
    Ok(response)
}

// A page that goes on by itself, and by its link where a browser does not.
fn leads_to(there: &str, words: &str) -> Result<Response, ApiError> {
    let web = there.starts_with("https://") || there.starts_with("http://");
    let goes_on = HeaderValue::from_str(&format!("0; url={there}"))
        .ok()
        .filter(|_| web)
        .ok_or(Error::Internal)?;
    let content = format!(
        "<h1>{} …</h1>\n<p class=\"acts\"><a class=\"button primary\" href=\"{}\">Continue</a></p>\n",
        escaped(words),
        escaped(there),
    );
    let page = simple_page::page(Layout::Card, words, &content, "");
    let mut response = simple_page::answer(page);
    response.headers_mut().insert(header::REFRESH, goes_on);
    Ok(response)
}

fn turned(asking: &Asking, label: &str, failure: Failure) -> Result<Response, ApiError> {
    let why = match failure {
        Failure::Error(error) => return Err(error.into()),
        Failure::Turned(why) => why,
    };
    let (status, words) = match why {
        Turned::Stale => (
            StatusCode::FORBIDDEN,
            "The way back is good once, for ten minutes and in the browser that began it. Begin again.".to_owned(),
        ),
        Turned::Declined => (
            StatusCode::FORBIDDEN,
            format!("{label} did not let you in, or you stopped there."),
        ),
        Turned::Away => (
            StatusCode::BAD_GATEWAY,
            format!("{label} does not answer just now. Try again in a moment; whoever is signed in stays so."),
        ),
        Turned::Unsound => (
            StatusCode::BAD_GATEWAY,
            format!("What {label} answered cannot be trusted. Tell an administrator: the server's log says why."),
        ),
        Turned::Weak => (
            StatusCode::FORBIDDEN,
            format!("{label} let you in by an earlier sign-in, or by weaker means than are asked for here. Sign in there anew."),
        ),
        Turned::NotExpected => (
            StatusCode::FORBIDDEN,
            format!("{label} knows you, but nobody has opened this server to you, or your e-mail is not verified there. Ask an administrator."),
        ),
        Turned::NotLinked => (
            StatusCode::FORBIDDEN,
            format!("There is an account with your e-mail already that is not linked to {label}. Sign in with its password, or ask an administrator."),
        ),
        Turned::SomebodyElse => (
            StatusCode::FORBIDDEN,
            format!("You signed in to {label} as somebody else than here. Nothing was changed."),
        ),
        Turned::Account(Error::SignInFailed) => (
            StatusCode::FORBIDDEN,
            "Your account is locked or disabled here. An administrator can unlock it.".to_owned(),
        ),
        Turned::Account(error) => (StatusCode::CONFLICT, error.to_string()),
    };
    let (place, link) = match asking.caller() {
        Some(_) => ("/", "Go to the start page"),
        None => ("/sign-in", "Back to the sign-in page"),
    };
    let content = format!(
        "<h1>Signing in with {} did not work</h1>\n<p>{}</p>\n\
         <p class=\"aside\">Request <code>{}</code></p>\n\
         <p class=\"acts\"><a class=\"button primary\" href=\"{place}\">{link}</a></p>\n",
        escaped(label),
        escaped(&words),
        escaped(&asking.facts().request_id),
    );
    let page = simple_page::page(Layout::Card, "Signing in did not work", &content, "");
    let mut response = simple_page::answer(page);
    *response.status_mut() = status;
    Ok(response)
}
