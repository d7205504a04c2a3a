//! Links of mails, and sign-ins from new places.

use axum::response::Response;
use rollcall_core::{MailBackend as _, Notice, SessionId};
use serde::Deserialize;
use utoipa::ToSchema;

use super::extract::{Asking, Body, Id, NoParameters, SignedIn};
use super::respond::{Json, done};
use crate::error::{ApiError, ProblemDocument};

/// Whose password was forgotten.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ForgottenRequest {
    /// The user name.
    #[schema(example = "nora.rossi@acme.example", max_length = 254)]
    email: String,
}

/// Sends a link that sets a new password, good for an hour, if an account with a password has this e-mail. The answer is
/// the same for every address.
#[utoipa::path(
    post, path = "/api/v1/forgot-password", tag = "Signing in", request_body = ForgottenRequest,
    responses(
        (status = 204, description = "Noted; never whether there is such an account"),
        (status = 400, description = "This is no e-mail address", body = ProblemDocument),
        (status = 404, description = "The server sends no mails", body = ProblemDocument),
        (status = 429, description = "Too many attempts; see Retry-After", body = ProblemDocument),
    ),
    security(())
)]
pub(super) async fn ask(
    asking: Asking,
    _: NoParameters,
    Body(request): Body<ForgottenRequest>,
) -> Result<Response, ApiError> {
    asking.ask_password_reset(request.email).await?;
    Ok(done())
}

/// A link and the password to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ResetRequest {
    /// What stands at the end of the link, from `rc_r_` on.
    link: String,
    /// The password to be.
    #[schema(format = Password, min_length = 8, max_length = 1_024)]
    new_password: String,
}

/// Sets a password by a link of a mail, which is used up, and ends all sessions of its user. Lifts no lock, signs nobody in.
#[utoipa::path(
    post, path = "/api/v1/reset-password", tag = "Signing in", request_body = ResetRequest,
    responses(
        (status = 204, description = "Set"),
        (status = 400, description = "The password cannot be accepted", body = ProblemDocument),
        (status = 404, description = "The link is not good (any more)", body = ProblemDocument),
        (status = 429, description = "More passwords are being hashed than there is room for", body = ProblemDocument),
    ),
    security(())
)]
pub(super) async fn reset(
    asking: Asking,
    _: NoParameters,
    Body(request): Body<ResetRequest>,
) -> Result<Response, ApiError> {
    asking
        .reset_password_by_link(request.link, request.new_password)
        .await?;
    Ok(done())
}

/// A link that tells of a sign-in, and how much is to end.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReportRequest {
    /// What stands at the end of the link, from `rc_n_` on.
    link: String,
    /// True to end all sessions and make the password void; a mail with a link that sets another follows.
    #[serde(default)]
    all: bool,
}

/// Reports a sign-in that was somebody else's, by the link of the mail that told of it: its session ends, or everything.
/// Each once.
#[utoipa::path(
    post, path = "/api/v1/report-sign-in", tag = "Signing in", request_body = ReportRequest,
    responses(
        (status = 204, description = "Ended"),
        (status = 404, description = "The link is not good for that (any more)", body = ProblemDocument),
    ),
    security(())
)]
pub(super) async fn report(
    asking: Asking,
    _: NoParameters,
    Body(request): Body<ReportRequest>,
) -> Result<Response, ApiError> {
    asking.report_sign_in(request.link, request.all).await?;
    Ok(done())
}

/// One's own sign-ins from new browsers and networks that nobody has confirmed, newest first.
#[utoipa::path(
    get, path = "/api/v1/me/notices", tag = "My account",
    responses((status = 200, description = "At most 20", body = Vec<Notice>))
)]
pub(super) async fn list(asking: SignedIn, _: NoParameters) -> Result<Json<Vec<Notice>>, ApiError> {
    Ok(Json(asking.list_notices().await?))
}

/// Confirms that such a sign-in was one's own, from a place that was seen before it.
#[utoipa::path(
    post, path = "/api/v1/me/notices/{id}/confirm", tag = "My account",
    params(("id" = SessionId, Path, description = "The session that began then")),
    responses(
        (status = 204, description = "Confirmed"),
        (status = 404, description = "No such notice, or not to be confirmed from here", body = ProblemDocument),
    )
)]
pub(super) async fn confirm(
    asking: SignedIn,
    Id(session): Id<SessionId>,
    _: NoParameters,
) -> Result<Response, ApiError> {
    asking.confirm_notice(session).await?;
    Ok(done())
}

/// Says that such a sign-in was not one's own: its session ends (`not_me`).
#[utoipa::path(
    post, path = "/api/v1/me/notices/{id}/disown", tag = "My account",
    params(("id" = SessionId, Path, description = "The session that began then")),
    responses(
        (status = 204, description = "Ended, if it was active"),
        (status = 404, description = "No such notice", body = ProblemDocument),
    )
)]
pub(super) async fn disown(
    asking: SignedIn,
    Id(session): Id<SessionId>,
    _: NoParameters,
) -> Result<Response, ApiError> {
    asking.disown_notice(session).await?;
    Ok(done())
}
