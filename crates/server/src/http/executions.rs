//! Executions.

use rollcall_core::{
    ClientId, Execution, ExecutionId, ExecutionQuery, ExecutionSource, ExecutionState, Page,
    StartExecution, UserId, WorkBackend,
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::extract::{AtWork, Body, Id, NoParameters, Parameters};
use super::openapi::parameters::{ExecutionListParameters, PageParameters};
use super::respond::{Created, Json};
use crate::error::{ApiError, ProblemDocument};

/// Executions, newest first: the caller's own, or, with `sessions.view`, all that the caller may see.
#[utoipa::path(
    get, path = "/api/v1/executions", tag = "Executions", params(ExecutionListParameters, PageParameters),
    responses(
        (status = 200, description = "One page", body = Page<Execution>),
        (status = 400, description = "A parameter cannot be accepted", body = ProblemDocument),
    )
)]
pub(super) async fn list(
    asking: AtWork,
    parameters: Parameters,
) -> Result<Json<Page<Execution>>, ApiError> {
    let query = ExecutionQuery::parse(&parameters.0)?;
    Ok(Json(asking.list_executions(query).await?))
}

/// An execution to be started.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StartRequest {
    /// The id to give it (a UUID), so that asking twice starts one.
    id: Option<ExecutionId>,
    /// What it is about: a test case, a suite, a job.
    #[schema(
        min_length = 1,
        max_length = 200,
        pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$",
        example = "TS-17"
    )]
    artefact_id: String,
    /// What kind of thing that is.
    #[serde(default)]
    #[schema(
        max_length = 200,
        pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$",
        example = "suite"
    )]
    artefact_kind: String,
    /// What to call it; the artefact id where it is left out.
    #[serde(default)]
    #[schema(max_length = 200, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$")]
    name: String,
    /// What set it off; `manual` where nothing is said.
    source: Option<ExecutionSource>,
    /// On whose behalf; the caller's own where nobody is named. For another user, needs `executions.start_for`.
    user: Option<UserId>,
    /// The client that it runs on, one of the caller's own; the one that asks where none is named.
    client: Option<ClientId>,
}

/// Starts an execution. It shows under its user's most recently used console session, and ends with the session or API
/// key that asks, with the client that it runs on, and when its user is disabled or logged out.
#[utoipa::path(
    post, path = "/api/v1/executions", tag = "Executions", request_body = StartRequest,
    responses(
        (status = 201, description = "Started, or running already under this id", body = Execution),
        (status = 400, description = "A field cannot be accepted", body = ProblemDocument),
        (status = 403, description = "Not permitted", body = ProblemDocument),
        (status = 404, description = "The client is not the caller's", body = ProblemDocument),
        (status = 409, description = "The client is not connected", body = ProblemDocument),
    )
)]
pub(super) async fn start(
    asking: AtWork,
    _: NoParameters,
    Body(request): Body<StartRequest>,
) -> Result<Created<Execution>, ApiError> {
    let input = StartExecution {
        id: request.id,
        artefact_id: request.artefact_id,
        artefact_kind: request.artefact_kind,
        name: request.name,
        source: request.source.unwrap_or(ExecutionSource::Manual),
        user: request.user,
        client: request.client,
    };
    Ok(Created(asking.start_execution(input).await?))
}

/// One execution: the caller's own, or, with `sessions.view`, one within reach.
#[utoipa::path(
    get, path = "/api/v1/executions/{id}", tag = "Executions",
    params(("id" = ExecutionId, Path, description = "The execution")),
    responses(
        (status = 200, description = "The execution", body = Execution),
        (status = 404, description = "Unknown, or another organisation's", body = ProblemDocument),
    )
)]
pub(super) async fn find(
    asking: AtWork,
    Id(id): Id<ExecutionId>,
    _: NoParameters,
) -> Result<Json<Execution>, ApiError> {
    Ok(Json(asking.find_execution(id).await?))
}

/// How an execution is to stand.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EndRequest {
    /// `finished` and `failed` are said by who runs it. `terminated` stops it; whoever runs it and was told to stop it
    /// confirms with the same word. `running` is said by an agent that has begun what it was told to run.
    state: ExecutionState,
}

/// Says how an execution ended, or ends it: by who runs it, by its user, or, as `terminated`, by somebody with
/// `sessions.end`.
#[utoipa::path(
    patch, path = "/api/v1/executions/{id}", tag = "Executions", request_body = EndRequest,
    params(("id" = ExecutionId, Path, description = "The execution")),
    responses(
        (status = 200, description = "The execution as it is now", body = Execution),
        (status = 400, description = "A field cannot be accepted", body = ProblemDocument),
        (status = 403, description = "Not permitted", body = ProblemDocument),
        (status = 404, description = "Unknown, or another organisation's", body = ProblemDocument),
        (status = 409, description = "It is over", body = ProblemDocument),
    )
)]
pub(super) async fn end(
    asking: AtWork,
    Id(id): Id<ExecutionId>,
    _: NoParameters,
    Body(request): Body<EndRequest>,
) -> Result<Json<Execution>, ApiError> {
    Ok(Json(asking.end_execution(id, request.state).await?))
}
