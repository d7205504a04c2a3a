//! For applications that sign people in by themselves: sessions on behalf of somebody, and OAuth's two calls about tokens.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use rollcall_core::{Introspection, OpenFor, Problem, Session, SessionId, UserId, Whom};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::extract::{Asking, Body, Form, NoParameters, SignedIn};
use super::respond::{Created, Json};
use crate::error::{ApiError, ProblemDocument};
use crate::service::token::Token;

/// Whether an address is that of a call of OAuth, which sends forms (RFC 7009, 2.1; RFC 7662, 2.1).
pub(super) fn takes_forms(path: &str) -> bool {
    matches!(path, "/api/v1/introspect" | "/api/v1/revoke")
}

/// A session for somebody whom the application has signed in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OpenForRequest {
    /// The user's id. Either this or `email`.
    user: Option<UserId>,
    /// The user's e-mail.
    #[schema(example = "nora.rossi@acme.example")]
    email: Option<String>,
    /// What to call the session, at most 80 characters; browser and system where it is not given.
    #[schema(max_length = 80, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$")]
    name: Option<String>,
    /// The user's address, as the application sees it; the application's own where it is not given.
    #[schema(example = "203.0.113.7")]
    ip: Option<String>,
    /// The user's user agent; the application's own where it is not given.
    #[schema(max_length = 512)]
    user_agent: Option<String>,
    /// Keep me signed in: longer timeouts.
    #[serde(default)]
    keep: bool,
    /// Sessions of the user's to end, where the answer was `session_limit` and listed them.
    #[serde(default)]
    #[schema(max_items = 1000)]
    end: Vec<SessionId>,
}

/// The new session.
#[derive(Serialize, ToSchema)]
pub(super) struct OpenedFor {
    session: Session,
    /// Its token, answered this once.
    token: String,
}

/// Opens a session for a user of the caller's organisation who was signed in elsewhere. Its token opens `GET /api/v1/me`,
/// introspection, `/auth/verify` and its own end, and nothing else. Needs `sessions.create_for`; not for users who may do more than
/// manage their own sessions.
#[utoipa::path(
    post, path = "/api/v1/sessions", tag = "Applications", request_body = OpenForRequest,
    responses(
        (status = 201, description = "Opened", body = OpenedFor),
        (status = 400, description = "A field cannot be accepted", body = ProblemDocument),
        (status = 403, description = "Not permitted", body = ProblemDocument),
        (status = 409, description = "The user is locked or disabled or may do too much, or has as many sessions as there may be", body = ProblemDocument),
    )
)]
pub(super) async fn open_for(
    asking: SignedIn,
    _: NoParameters,
    Body(request): Body<OpenForRequest>,
) -> Result<Created<OpenedFor>, ApiError> {
    let user = match (request.user, request.email) {
        (Some(id), None) => Whom::Id(id),
        (None, Some(email)) => Whom::Email(email),
        (Some(_), Some(_)) => return Err(ApiError::field("email", Problem::Repeated)),
        (None, None) => return Err(ApiError::field("user", Problem::Missing)),
    };
    let input = OpenFor {
        user,
        name: request.name,
        ip: request.ip,
        user_agent: request.user_agent,
        keep: request.keep,
        end: request.end,
    };
    let opened = asking.open_for(input).await;
    let (session, token) = opened.map_err(|error| ApiError {
        sessions: asking.effects().choice,
        ..error.into()
    })?;
    Ok(Created(OpenedFor {
        session,
        token: token.expose().to_string(),
    }))
}

/// A token, as OAuth sends it. What else such a form has is ignored (RFC 6749, 3.2).
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the form, which is read pair by pair")]
pub(super) struct TokenForm {
    /// The token.
    #[schema(min_length = 1)]
    token: String,
    /// What kind of token it is; there is one kind.
    #[schema(example = "access_token")]
    token_type_hint: Option<String>,
}

/// What a token stands for (RFC 7662): `{"active": false}` unless a live session of the caller's organisation has it. Counts as
/// a use of that session and never rotates its token. Needs `sessions.introspect`.
#[utoipa::path(
    post, path = "/api/v1/introspect", tag = "Applications",
    request_body(content = TokenForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "What it stands for", body = Introspection),
        (status = 400, description = "There is no token in the form", body = ProblemDocument),
        (status = 403, description = "Not permitted", body = ProblemDocument),
        (status = 415, description = "The body is no form", body = ProblemDocument),
    )
)]
pub(super) async fn introspect(
    asking: SignedIn,
    _: NoParameters,
    form: Form,
) -> Result<Json<Introspection>, ApiError> {
    let token = token_in(&form)?;
    Ok(Json(asking.introspect(token.as_ref()).await?))
}

/// Ends the session that a token proves (RFC 7009). Nothing else is needed: whoever has the token could sign out with it. A
/// token that proves nothing is no error.
#[utoipa::path(
    post, path = "/api/v1/revoke", tag = "Applications",
    request_body(content = TokenForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "The token is worth nothing any more"),
        (status = 400, description = "There is no token in the form", body = ProblemDocument),
        (status = 415, description = "The body is no form", body = ProblemDocument),
    ),
    security(())
)]
pub(super) async fn revoke(
    asking: Asking,
    _: NoParameters,
    form: Form,
) -> Result<Response, ApiError> {
    if let Some(token) = token_in(&form)? {
        asking.revoke_token(&token).await?;
    }
    Ok(StatusCode::OK.into_response())
}

// What is no token of ours proves nothing, like one that nobody has.
fn token_in(form: &Form) -> Result<Option<Token>, ApiError> {
    let mut given = form.0.iter().filter(|(name, _)| name == "token");
    match (given.next(), given.next()) {
        (None, _) => Err(ApiError::field("token", Problem::Missing)),
        (Some(_), Some(_)) => Err(ApiError::field("token", Problem::Repeated)),
        (Some((_, value)), None) if value.is_empty() => {
            Err(ApiError::field("token", Problem::Missing))
        }
        (Some((_, value)), None) => Ok(Token::parse(value)),
    }
}
