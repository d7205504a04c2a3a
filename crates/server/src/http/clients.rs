//! Connected clients.

use std::convert::Infallible;

use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use http::{HeaderName, HeaderValue, header};
use rollcall_core::clients::HEARTBEAT_EVERY;
use rollcall_core::{
    Client, ClientId, ClientQuery, Command, Dispatch, Execution, ExecutionId, ExecutionSource,
    Page, RegisterClient, StartExecution, UserId, WorkBackend,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::extract::{AtWork, Body, Id, NoParameters, Parameters, SignedIn};
use super::openapi::parameters::{ClientListParameters, PageParameters};
use super::respond::{Created, Json, done};
use crate::error::{ApiError, ProblemDocument};

/// Whether an address is that of a stream, whose answer carries no token: it would come too late for whoever waits.
pub(super) fn is_stream(path: &str) -> bool {
    path.starts_with("/api/v1/clients/") && path.ends_with("/commands")
}

/// The clients that the caller may see: connected ones first unless `sort` says otherwise. Needs `clients.disconnect`.
#[utoipa::path(
    get, path = "/api/v1/clients", tag = "Clients", params(ClientListParameters, PageParameters),
    responses(
        (status = 200, description = "One page", body = Page<Client>),
        (status = 400, description = "A parameter cannot be accepted", body = ProblemDocument),
        (status = 403, description = "Not permitted", body = ProblemDocument),
    )
)]
pub(super) async fn list(
    asking: SignedIn,
    parameters: Parameters,
) -> Result<Json<Page<Client>>, ApiError> {
    let query = ClientQuery::parse(&parameters.0)?;
    Ok(Json(asking.list_clients(query).await?))
}

/// A program that registers.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RegisterRequest {
    /// What to call it, at most 80 characters, none of them a control character.
    #[schema(
        min_length = 1,
        max_length = 80,
        pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$",
        example = "runner"
    )]
    name: String,
    /// Its version.
    #[serde(default)]
    #[schema(max_length = 80, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$")]
    version: String,
    /// The machine that it runs on.
    #[serde(default)]
    #[schema(max_length = 80, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$")]
    host: String,
    /// A registration of the caller's that is connected, to go on with: it gets a new session, and what runs on it moves
    /// along. For a client whose session comes to its time limit.
    replaces: Option<ClientId>,
}

/// A client that has registered.
#[derive(Serialize, ToSchema)]
pub(super) struct Registered {
    /// The client.
    client: Client,
    /// The token of its session, answered this once. It opens heartbeats, commands, executions and `GET /api/v1/me`, and
    /// nothing else.
    token: String,
    /// How often to send a heartbeat, in seconds.
    heartbeat_seconds: u64,
    /// In how many seconds that session comes to its time limit; register again with `replaces` before.
    expires_in_seconds: u64,
}

/// Registers the program that asks as a client, with a session of its own that ends with the session or API key that asks.
/// Needs `clients.register`, which everybody has and an API key may have.
#[utoipa::path(
    post, path = "/api/v1/clients", tag = "Clients", request_body = RegisterRequest,
    responses(
        (status = 201, description = "Registered", body = Registered),
        (status = 400, description = "A field cannot be accepted", body = ProblemDocument),
        (status = 403, description = "Not permitted", body = ProblemDocument),
        (status = 404, description = "`replaces` is no client of the caller's", body = ProblemDocument),
        (status = 409, description = "`replaces` is not connected", body = ProblemDocument),
    )
)]
pub(super) async fn register(
    asking: SignedIn,
    _: NoParameters,
    Body(request): Body<RegisterRequest>,
) -> Result<Created<Registered>, ApiError> {
    let input = RegisterClient {
        name: request.name,
        version: request.version,
        host: request.host,
        replaces: request.replaces,
    };
    let (client, token, limit) = asking.register_client(input).await?;
    Ok(Created(Registered {
        client,
        token: token.expose().to_string(),
        heartbeat_seconds: HEARTBEAT_EVERY.as_secs(),
        expires_in_seconds: limit.as_secs(),
    }))
}

/// One client: the caller's own, or, with `clients.disconnect`, one within reach.
#[utoipa::path(
    get, path = "/api/v1/clients/{id}", tag = "Clients",
    params(("id" = ClientId, Path, description = "The client")),
    responses(
        (status = 200, description = "The client", body = Client),
        (status = 403, description = "Not permitted", body = ProblemDocument),
        (status = 404, description = "Unknown, or another organisation's", body = ProblemDocument),
    )
)]
pub(super) async fn find(
    asking: AtWork,
    Id(id): Id<ClientId>,
    _: NoParameters,
) -> Result<Json<Client>, ApiError> {
    Ok(Json(asking.find_client(id).await?))
}

/// Removes a registration, after disconnecting it if it is connected: the caller's own, or, with `clients.disconnect`,
/// one within reach.
#[utoipa::path(
    delete, path = "/api/v1/clients/{id}", tag = "Clients",
    params(("id" = ClientId, Path, description = "The client")),
    responses(
        (status = 204, description = "Removed"),
        (status = 403, description = "Not permitted", body = ProblemDocument),
        (status = 404, description = "Unknown, or another organisation's", body = ProblemDocument),
    )
)]
pub(super) async fn remove(
    asking: SignedIn,
    Id(id): Id<ClientId>,
    _: NoParameters,
) -> Result<Response, ApiError> {
    asking.remove_client(id).await?;
    Ok(done())
}

/// What a client is to do.
#[derive(Serialize, ToSchema)]
pub(super) struct Commands {
    /// The same as on the stream of commands; each comes again until it is done.
    commands: Vec<Command>,
}

/// Says that the client that asks is there: every ten seconds. One that has not for thirty is lost. Its token rotates with
/// these answers.
#[utoipa::path(
    post, path = "/api/v1/clients/{id}/heartbeat", tag = "Clients",
    params(("id" = ClientId, Path, description = "The client that asks")),
    responses(
        (status = 200, description = "Noted", body = Commands),
        (status = 404, description = "Not this client", body = ProblemDocument),
    )
)]
pub(super) async fn heartbeat(
    asking: AtWork,
    Id(id): Id<ClientId>,
    _: NoParameters,
) -> Result<Json<Commands>, ApiError> {
    Ok(Json(Commands {
        commands: asking.heartbeat(id).await?,
    }))
}

/// What the client that asks is to do, as server-sent events named after the command, with its JSON as data. Begins
/// with what waits, and closes with a `disconnect` when the session of the client ends. A client has one stream; a
/// new one closes the one before. Never carries a token.
#[utoipa::path(
    get, path = "/api/v1/clients/{id}/commands", tag = "Clients",
    params(("id" = ClientId, Path, description = "The client that asks")),
    responses(
        (status = 200, description = "The stream", content((Command = "text/event-stream"))),
        (status = 404, description = "Not this client", body = ProblemDocument),
    )
)]
pub(super) async fn commands(
    asking: AtWork,
    Id(id): Id<ClientId>,
    _: NoParameters,
) -> Result<Response, ApiError> {
    let commands = asking.open_commands(id).await?;
    // What is said together is sent one by one.
    let events = stream::unfold(
        (commands, Vec::new().into_iter()),
        |(mut from, mut rest)| async {
            if let Some(command) = rest.next() {
                return Some((Ok::<_, Infallible>(event(&command)), (from, rest)));
            }
            rest = from.next().await?.into_iter();
            let event = match rest.next() {
                Some(command) => event(&command),
                None => Event::default().comment("here"),
            };
            Some((Ok(event), (from, rest)))
        },
    );
    let mut response = Sse::new(events).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // nginx would collect it until there is a page full.
    headers.insert(
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    );
    Ok(response)
}

fn event(command: &Command) -> Event {
    let name = match command {
        Command::Run { .. } => "run",
        Command::Terminate { .. } => "terminate",
        Command::Disconnect { .. } => "disconnect",
    };
    let data = serde_json::to_string(command).unwrap_or_default();
    Event::default().event(name).data(data)
}

/// What a disconnect has stopped.
#[derive(Serialize, ToSchema)]
pub(super) struct Disconnected {
    /// The executions that were running and are terminated.
    executions: Vec<Execution>,
}

/// Ends a client's session, what it started and what runs on it: the caller's own client, or, with
/// `clients.disconnect`, one within reach.
#[utoipa::path(
    post, path = "/api/v1/clients/{id}/disconnect", tag = "Clients",
    params(("id" = ClientId, Path, description = "The client")),
    responses(
        (status = 200, description = "Disconnected", body = Disconnected),
        (status = 403, description = "Not permitted", body = ProblemDocument),
        (status = 404, description = "Unknown, or another organisation's", body = ProblemDocument),
        (status = 409, description = "It is disconnected already", body = ProblemDocument),
    )
)]
pub(super) async fn disconnect(
    asking: SignedIn,
    Id(id): Id<ClientId>,
    _: NoParameters,
) -> Result<Json<Disconnected>, ApiError> {
    Ok(Json(Disconnected {
        executions: asking.disconnect_client(id).await?,
    }))
}

/// Work for a waiting agent.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DispatchRequest {
    /// What the agent's own start line calls the command. What runs is the agent's business alone.
    #[schema(
        min_length = 1,
        max_length = 200,
        pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$"
    )]
    run: String,
    /// The id to give the execution, so that asking twice starts one.
    id: Option<ExecutionId>,
    /// What it is about; the command finds it in its environment.
    #[schema(
        min_length = 1,
        max_length = 200,
        pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$"
    )]
    artefact_id: String,
    /// What kind of thing that is.
    #[serde(default)]
    #[schema(max_length = 200, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$")]
    artefact_kind: String,
    /// What to call the execution; the artefact id where it is left out.
    #[serde(default)]
    #[schema(max_length = 200, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$")]
    name: String,
    /// What set it off; `manual` where nothing is said.
    source: Option<ExecutionSource>,
    /// On whose behalf; the caller's own where nobody is named. For another user, needs `executions.start_for`.
    user: Option<UserId>,
}

/// Sends work to a waiting agent, which runs the command that its own start line has under that name, with the artefact
/// id in its environment. The execution hangs on the session or API key that asks, too. Needs `executions.dispatch`.
#[utoipa::path(
    post, path = "/api/v1/clients/{id}/dispatch", tag = "Clients", request_body = DispatchRequest,
    params(("id" = ClientId, Path, description = "The client of the agent")),
    responses(
        (status = 201, description = "Sent", body = Execution),
        (status = 400, description = "A field cannot be accepted", body = ProblemDocument),
        (status = 403, description = "Not permitted", body = ProblemDocument),
        (status = 404, description = "Unknown, or another organisation's", body = ProblemDocument),
        (status = 409, description = "The client is not connected", body = ProblemDocument),
    )
)]
pub(super) async fn dispatch(
    asking: SignedIn,
    Id(id): Id<ClientId>,
    _: NoParameters,
    Body(request): Body<DispatchRequest>,
) -> Result<Created<Execution>, ApiError> {
    let work = Dispatch {
        run: request.run,
        execution: StartExecution {
            id: request.id,
            artefact_id: request.artefact_id,
            artefact_kind: request.artefact_kind,
            name: request.name,
            source: request.source.unwrap_or(ExecutionSource::Manual),
            user: request.user,
            client: None,
        },
    };
    Ok(Created(asking.dispatch(id, work).await?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_known_by_their_address() {
        assert!(is_stream("/api/v1/clients/x/commands"));
        for other in [
            "/api/v1/clients/x/heartbeat",
            "/api/v1/clients",
            "/commands",
            "/rpc/commands",
        ] {
            assert!(!is_stream(other), "{other}");
        }
    }
}
