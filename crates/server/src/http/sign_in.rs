//! Signing in and out.

use axum::response::Response;
use rollcall_core::{Backend as _, Session, SessionId, SignIn};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::extract::{Asking, Body, NoParameters};
use super::respond::{Json, done};
use crate::error::{ApiError, ProblemDocument};

/// What a program or a form sends to sign in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SignInRequest {
    /// The user name.
    #[schema(example = "nora.rossi@acme.example", pattern = "\\S")]
    email: String,
    /// The password.
    #[schema(format = Password, min_length = 1, max_length = 1_024)]
    password: String,
    /// Keep me signed in: longer timeouts, and a cookie that outlives the browser.
    #[serde(default)]
    keep: bool,
    /// What to call the session, at most 80 characters; browser and system where it is not given.
    #[schema(max_length = 80, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$")]
    name: Option<String>,
    /// Sessions of one's own to end, where the answer was `session_limit` and listed them.
    #[serde(default)]
    #[schema(max_items = 1000)]
    end: Vec<SessionId>,
    /// True for programs: the token comes in the body, and no cookie is set.
    #[serde(default)]
    token: bool,
}

/// The new session.
#[derive(Serialize, ToSchema)]
pub(super) struct SignedIn {
    session: Session,
    /// The bearer token, where it was asked for. Shown this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

/// Signs in with e-mail and password. The session that came with the request ends (`replaced`).
#[utoipa::path(
    post, path = "/api/v1/sign-in", tag = "Signing in", request_body = SignInRequest,
    responses(
        (status = 200, description = "Signed in. Without `token`, the session is in the cookie", body = SignedIn),
        (status = 400, description = "A field cannot be accepted", body = ProblemDocument),
        (status = 401, description = "Wrong, locked or disabled; never which", body = ProblemDocument),
        (status = 409, description = "As many sessions as there may be, or signed in from another address", body = ProblemDocument),
        (status = 429, description = "Too many attempts; see Retry-After", body = ProblemDocument),
    ),
    security(())
)]
pub(super) async fn sign_in(
    asking: Asking,
    _: NoParameters,
    Body(request): Body<SignInRequest>,
) -> Result<Json<SignedIn>, ApiError> {
    let input = SignIn {
        email: request.email,
        password: request.password,
        keep: request.keep,
        name: request.name,
        end: request.end,
    };
    let signed_in = if request.token {
        asking
            .sign_in_for_token(input)
            .await
            .map(|(session, token)| SignedIn {
                session,
                token: Some(token.expose().to_string()),
            })
    } else {
        asking
            .sign_in_for_cookie(input)
            .await
            .map(|session| SignedIn {
                session,
                token: None,
            })
    };
    signed_in.map(Json).map_err(|error| ApiError {
        sessions: asking.effects().choice,
        ..error.into()
    })
}

/// Ends the caller's session. Does nothing without one.
#[utoipa::path(
    post, path = "/api/v1/sign-out", tag = "Signing in",
    responses((status = 204, description = "Signed out, or nobody was signed in")),
    security((), ("session_cookie" = []), ("bearer_token" = []))
)]
pub(super) async fn sign_out(asking: Asking, _: NoParameters) -> Result<Response, ApiError> {
    asking.sign_out().await?;
    Ok(done())
}
