//! Receivers of events, and what is on its way to them.

use axum::response::Response;
use rollcall_core::{
    Confirmation, CreateReceiver, Delivery, DeliveryId, DeliveryQuery, EditReceiver,
    IntegrationsBackend, Page, Problem, Receiver, ReceiverFormat, ReceiverId, SessionEvent,
    TestDelivery,
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::extract::{Body, Id, NoParameters, Parameters, SignedIn};
use super::openapi::parameters::{ConfirmationParameters, DeliveryListParameters, PageParameters};
use super::respond::{Created, Json, done};
use crate::error::{ApiError, ProblemDocument};

/// All receivers, by name, with how it goes with each. Needs `integrations.manage` in all organisations.
#[utoipa::path(
    get, path = "/api/v1/integrations/receivers", tag = "Integrations",
    responses(
        (status = 200, description = "All of them", body = Vec<Receiver>),
        (status = 403, description = "Not permitted", body = ProblemDocument),
    )
)]
pub(super) async fn list(
    asking: SignedIn,
    _: NoParameters,
) -> Result<Json<Vec<Receiver>>, ApiError> {
    Ok(Json(asking.list_receivers().await?))
}

/// A receiver to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReceiverRequest {
    /// What to call it, at most 80 characters; unique.
    #[schema(min_length = 1, max_length = 80)]
    name: String,
    /// Where it listens: `https`, and on the public internet unless the setting `allow-outbound` lists it.
    #[schema(max_length = 2000, example = "https://hooks.example.org/rollcall")]
    url: String,
    /// In what form it is told; `standard_webhooks` where nothing is said. It stays.
    #[schema(value_type = Option<ReceiverFormat>)]
    format: Option<String>,
    /// For `caep`: the audience of its tokens; its address where nothing is said.
    #[schema(max_length = 2000)]
    audience: Option<String>,
    /// What it is told about; ends alone where nothing is said.
    #[schema(value_type = Option<Vec<SessionEvent>>)]
    events: Option<Vec<String>>,
    /// Whether it is told users' e-mails, besides their ids. Not unless this is said.
    tells_email: Option<bool>,
}

/// Makes a receiver, which is told from now on; at most 50. Needs `integrations.manage` in all organisations, and a
/// password that was entered within the last 15 minutes.
#[utoipa::path(
    post, path = "/api/v1/integrations/receivers", tag = "Integrations", request_body = ReceiverRequest,
    responses(
        (status = 201, description = "Made", body = Receiver),
        (status = 400, description = "A field cannot be accepted", body = ProblemDocument),
        (status = 403, description = "Not permitted, or the password was entered too long ago", body = ProblemDocument),
        (status = 409, description = "There is one of this name", body = ProblemDocument),
    )
)]
pub(super) async fn create(
    asking: SignedIn,
    _: NoParameters,
    Body(input): Body<ReceiverRequest>,
) -> Result<Created<Receiver>, ApiError> {
    let format = match input.format.as_deref() {
        None => ReceiverFormat::StandardWebhooks,
        Some(word) => ReceiverFormat::from_name(word)
            .ok_or_else(|| ApiError::field("format", Problem::NotOffered))?,
    };
    let events = match &input.events {
        None => vec![SessionEvent::Ended],
        Some(words) => named(words)?,
    };
    let created = asking.create_receiver(CreateReceiver {
        name: input.name,
        url: input.url,
        format,
        audience: input.audience,
        events,
        tells_email: input.tells_email.unwrap_or(false),
    });
    Ok(Created(created.await?))
}

fn named(words: &[String]) -> Result<Vec<SessionEvent>, ApiError> {
    let event = |word: &String| {
        SessionEvent::from_name(word).ok_or_else(|| ApiError::field("events", Problem::NotOffered))
    };
    words.iter().map(event).collect()
}

/// One receiver. Needs `integrations.manage` in all organisations.
#[utoipa::path(
    get, path = "/api/v1/integrations/receivers/{id}", tag = "Integrations",
    params(("id" = ReceiverId, Path, description = "The receiver")),
    responses(
        (status = 200, description = "The receiver", body = Receiver),
        (status = 403, description = "Not permitted", body = ProblemDocument),
        (status = 404, description = "Unknown", body = ProblemDocument),
    )
)]
pub(super) async fn find(
    asking: SignedIn,
    Id(id): Id<ReceiverId>,
    _: NoParameters,
) -> Result<Json<Receiver>, ApiError> {
    Ok(Json(asking.find_receiver(id).await?))
}

/// What is to change of a receiver; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReceiverChange {
    /// What to call it.
    #[schema(min_length = 1, max_length = 80)]
    name: Option<String>,
    /// Where it listens.
    #[schema(max_length = 2000)]
    url: Option<String>,
    /// The audience of its tokens.
    #[schema(max_length = 2000)]
    audience: Option<String>,
    /// What it is told about.
    #[schema(value_type = Option<Vec<SessionEvent>>)]
    events: Option<Vec<String>>,
    /// Whether it is told users' e-mails.
    tells_email: Option<bool>,
}

/// Changes a receiver. What waits is sent to where it listens then, and tried at once. Needs the same as making one.
#[utoipa::path(
    patch, path = "/api/v1/integrations/receivers/{id}", tag = "Integrations", request_body = ReceiverChange,
    params(("id" = ReceiverId, Path, description = "The receiver")),
    responses(
        (status = 200, description = "The receiver as it is now", body = Receiver),
        (status = 400, description = "A field cannot be accepted", body = ProblemDocument),
        (status = 403, description = "Not permitted, or the password was entered too long ago", body = ProblemDocument),
        (status = 404, description = "Unknown", body = ProblemDocument),
        (status = 409, description = "There is one of this name", body = ProblemDocument),
    )
)]
pub(super) async fn edit(
    asking: SignedIn,
    Id(id): Id<ReceiverId>,
    _: NoParameters,
    Body(input): Body<ReceiverChange>,
) -> Result<Json<Receiver>, ApiError> {
    let events = input.events.as_deref().map(named).transpose()?;
    let edited = asking.edit_receiver(
        id,
        EditReceiver {
            name: input.name,
            url: input.url,
            audience: input.audience,
            events,
            tells_email: input.tells_email,
        },
    );
    Ok(Json(edited.await?))
}

/// Removes a receiver, with what waits for it. Needs the same as making one.
#[utoipa::path(
    delete, path = "/api/v1/integrations/receivers/{id}", tag = "Integrations",
    params(("id" = ReceiverId, Path, description = "The receiver")),
    responses(
        (status = 204, description = "Removed"),
        (status = 403, description = "Not permitted, or the password was entered too long ago", body = ProblemDocument),
        (status = 404, description = "Unknown", body = ProblemDocument),
    )
)]
pub(super) async fn remove(
    asking: SignedIn,
    Id(id): Id<ReceiverId>,
    _: NoParameters,
) -> Result<Response, ApiError> {
    asking.remove_receiver(id).await?;
    Ok(done())
}

/// Pauses a receiver: it is told nothing, and of what happens meanwhile it will never be told. What waits stays. Needs
/// `integrations.manage` in all organisations.
#[utoipa::path(
    post, path = "/api/v1/integrations/receivers/{id}/pause", tag = "Integrations",
    params(("id" = ReceiverId, Path, description = "The receiver")),
    responses(
        (status = 200, description = "The receiver as it is now", body = Receiver),
        (status = 403, description = "Not permitted", body = ProblemDocument),
        (status = 404, description = "Unknown", body = ProblemDocument),
    )
)]
pub(super) async fn pause(
    asking: SignedIn,
    Id(id): Id<ReceiverId>,
    _: NoParameters,
) -> Result<Json<Receiver>, ApiError> {
    Ok(Json(asking.pause_receiver(id).await?))
}

/// Goes on with a receiver that is paused, or tries one at once that fails. Needs the same as making one.
#[utoipa::path(
    post, path = "/api/v1/integrations/receivers/{id}/resume", tag = "Integrations",
    params(("id" = ReceiverId, Path, description = "The receiver")),
    responses(
        (status = 200, description = "The receiver as it is now", body = Receiver),
        (status = 403, description = "Not permitted, or the password was entered too long ago", body = ProblemDocument),
        (status = 404, description = "Unknown", body = ProblemDocument),
    )
)]
pub(super) async fn resume(
    asking: SignedIn,
    Id(id): Id<ReceiverId>,
    _: NoParameters,
) -> Result<Json<Receiver>, ApiError> {
    Ok(Json(asking.resume_receiver(id).await?))
}

/// Sends a receiver something to try it out, and answers how that went. Needs the same as making one.
#[utoipa::path(
    post, path = "/api/v1/integrations/receivers/{id}/test", tag = "Integrations",
    params(("id" = ReceiverId, Path, description = "The receiver")),
    responses(
        (status = 200, description = "How it went, accepted or not", body = TestDelivery),
        (status = 403, description = "Not permitted, or the password was entered too long ago", body = ProblemDocument),
        (status = 404, description = "Unknown", body = ProblemDocument),
    )
)]
pub(super) async fn test(
    asking: SignedIn,
    Id(id): Id<ReceiverId>,
    _: NoParameters,
) -> Result<Json<TestDelivery>, ApiError> {
    Ok(Json(asking.test_receiver(id).await?))
}

/// Deliveries, the newest first. Accepted ones are kept for a week. Needs `integrations.manage` in all organisations.
#[utoipa::path(
    get, path = "/api/v1/integrations/deliveries", tag = "Integrations",
    params(DeliveryListParameters, PageParameters),
    responses(
        (status = 200, description = "One page", body = Page<Delivery>),
        (status = 400, description = "A parameter cannot be accepted", body = ProblemDocument),
        (status = 403, description = "Not permitted", body = ProblemDocument),
    )
)]
pub(super) async fn deliveries(
    asking: SignedIn,
    parameters: Parameters,
) -> Result<Json<Page<Delivery>>, ApiError> {
    let query = DeliveryQuery::parse(&parameters.0)?;
    Ok(Json(asking.list_deliveries(query).await?))
}

/// Sends an event again at once, with the id that it had, whether it was accepted or not. Needs `integrations.manage` in
/// all organisations.
#[utoipa::path(
    post, path = "/api/v1/integrations/deliveries/{id}/replay", tag = "Integrations",
    params(("id" = DeliveryId, Path, description = "The delivery")),
    responses(
        (status = 200, description = "The delivery as it is now", body = Delivery),
        (status = 403, description = "Not permitted", body = ProblemDocument),
        (status = 404, description = "Unknown", body = ProblemDocument),
    )
)]
pub(super) async fn replay(
    asking: SignedIn,
    Id(id): Id<DeliveryId>,
    _: NoParameters,
) -> Result<Json<Delivery>, ApiError> {
    Ok(Json(asking.replay_delivery(id).await?))
}

/// How long it took until every receiver had accepted an end: of one session, or of the ten that ended last. Needs
/// `integrations.manage` in all organisations.
#[utoipa::path(
    get, path = "/api/v1/integrations/confirmations", tag = "Integrations", params(ConfirmationParameters),
    responses(
        (status = 200, description = "The newest first", body = Vec<Confirmation>),
        (status = 400, description = "A parameter cannot be accepted", body = ProblemDocument),
        (status = 403, description = "Not permitted", body = ProblemDocument),
    )
)]
pub(super) async fn confirmations(
    asking: SignedIn,
    parameters: Parameters,
) -> Result<Json<Vec<Confirmation>>, ApiError> {
    let query = DeliveryQuery::parse(&parameters.0)?;
    let known = DeliveryQuery {
        session: query.session,
        ..DeliveryQuery::default()
    };
    // What a list of deliveries takes besides, this call does not.
    if query != known {
        return Err(ApiError::field("session", Problem::Malformed));
    }
    Ok(Json(asking.confirmations(query.session).await?))
}
