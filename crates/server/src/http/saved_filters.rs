//! What callers keep of the list of sessions: filters by name, and its columns.

use axum::response::Response;
use rollcall_core::{Backend, Column, Columns, Problem, SavedFilter, SavedFilterId, SessionQuery};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::extract::{Body, Id, NoParameters, SignedIn};
use super::respond::{Created, Json, done};
use crate::error::{ApiError, ProblemDocument};

/// The caller's saved filters, by name. Needs `sessions.view`.
#[utoipa::path(
    get, path = "/api/v1/me/filters", tag = "My account",
    responses(
        (status = 200, description = "All of them", body = Vec<SavedFilter>),
        (status = 403, description = "Not permitted", body = ProblemDocument),
    )
)]
pub(super) async fn list(
    asking: SignedIn,
    _: NoParameters,
) -> Result<Json<Vec<SavedFilter>>, ApiError> {
    Ok(Json(asking.saved_filters().await?))
}

/// A filter to be saved.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SaveFilter {
    /// What to call it, at most 80 characters, none of them a control character.
    #[schema(
        min_length = 1,
        max_length = 80,
        pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$"
    )]
    name: String,
    /// The parameters of the list of sessions, as they stand in its address. A page is left out.
    #[schema(example = "state=active&idle_for=2h")]
    query: String,
}

/// Saves a filter; at most 50 of them. Needs `sessions.view`.
#[utoipa::path(
    post, path = "/api/v1/me/filters", tag = "My account", request_body = SaveFilter,
    responses(
        (status = 201, description = "Saved", body = SavedFilter),
        (status = 400, description = "A field cannot be accepted", body = ProblemDocument),
        (status = 403, description = "Not permitted", body = ProblemDocument),
        (status = 409, description = "There is one of this name", body = ProblemDocument),
    )
)]
pub(super) async fn create(
    asking: SignedIn,
    _: NoParameters,
    Body(input): Body<SaveFilter>,
) -> Result<Created<SavedFilter>, ApiError> {
    let query = SessionQuery::parse(&input.query)?;
    Ok(Created(asking.save_filter(input.name, query).await?))
}

/// Removes a saved filter. Needs `sessions.view`.
#[utoipa::path(
    delete, path = "/api/v1/me/filters/{id}", tag = "My account",
    params(("id" = SavedFilterId, Path, description = "The filter")),
    responses(
        (status = 204, description = "Removed"),
        (status = 403, description = "Not permitted", body = ProblemDocument),
        (status = 404, description = "Not one of the caller's", body = ProblemDocument),
    )
)]
pub(super) async fn remove(
    asking: SignedIn,
    Id(id): Id<SavedFilterId>,
    _: NoParameters,
) -> Result<Response, ApiError> {
    asking.delete_filter(id).await?;
    Ok(done())
}

/// Columns of the table of sessions.
#[derive(Serialize, ToSchema)]
pub(super) struct ColumnChoice {
    /// Which; the table has them in an order of its own, and always has the user.
    columns: Vec<Column>,
}

/// The columns to be chosen.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChooseColumns {
    /// Which; the user is always among them.
    #[schema(value_type = Vec<Column>)]
    columns: Vec<String>,
}

/// The columns that the caller's table of sessions has. Needs `sessions.view`.
#[utoipa::path(
    get, path = "/api/v1/me/columns", tag = "My account",
    responses(
        (status = 200, description = "The columns", body = ColumnChoice),
        (status = 403, description = "Not permitted", body = ProblemDocument),
    )
)]
pub(super) async fn columns(
    asking: SignedIn,
    _: NoParameters,
) -> Result<Json<ColumnChoice>, ApiError> {
    let columns = asking.columns().await?.list();
    Ok(Json(ColumnChoice { columns }))
}

/// Chooses the columns. Needs `sessions.view`.
#[utoipa::path(
    put, path = "/api/v1/me/columns", tag = "My account", request_body = ChooseColumns,
    responses(
        (status = 204, description = "Kept"),
        (status = 400, description = "A column is not known", body = ProblemDocument),
        (status = 403, description = "Not permitted", body = ProblemDocument),
    )
)]
pub(super) async fn set_columns(
    asking: SignedIn,
    _: NoParameters,
    Body(choice): Body<ChooseColumns>,
) -> Result<Response, ApiError> {
    let column = |name: &String| {
        Column::from_name(name).ok_or_else(|| ApiError::field("columns", Problem::NotOffered))
    };
    let chosen = choice.columns.iter().map(column);
    let chosen = chosen.collect::<Result<Vec<_>, _>>()?;
    asking.set_columns(Columns::of(&chosen)).await?;
    Ok(done())
}
