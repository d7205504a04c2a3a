//! Organisations.

use rollcall_core::{
    EditOrganisation, NameQuery, Organisation, OrganisationId, Page, PeopleBackend,
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::extract::{Body, Id, NoParameters, Parameters, SignedIn};
use super::openapi::parameters::{NameListParameters, PageParameters};
use super::respond::{Created, Json};
use crate::error::{ApiError, ProblemDocument};

/// All organisations, by name, with how many users and sessions each has. Needs `organisations.manage`.
#[utoipa::path(
    get, path = "/api/v1/organisations", tag = "Organisations", params(NameListParameters, PageParameters),
    responses(
        (status = 200, description = "One page", body = Page<Organisation>),
        (status = 400, description = "A parameter cannot be accepted", body = ProblemDocument),
        (status = 403, description = "Not permitted", body = ProblemDocument),
    )
)]
pub(super) async fn list(
    asking: SignedIn,
    parameters: Parameters,
) -> Result<Json<Page<Organisation>>, ApiError> {
    let query = NameQuery::parse(&parameters.0)?;
    Ok(Json(asking.list_organisations(query).await?))
}

/// An organisation to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateOrganisation {
    /// What it is called, at most 100 characters; unique on the server.
    #[schema(min_length = 1, max_length = 100)]
    name: String,
}

/// Makes an organisation. Needs `organisations.manage`.
#[utoipa::path(
    post, path = "/api/v1/organisations", tag = "Organisations", request_body = CreateOrganisation,
    responses(
        (status = 201, description = "Made", body = Organisation),
        (status = 400, description = "A field cannot be accepted", body = ProblemDocument),
        (status = 403, description = "Not permitted", body = ProblemDocument),
        (status = 409, description = "There is one of this name", body = ProblemDocument),
    )
)]
pub(super) async fn create(
    asking: SignedIn,
    _: NoParameters,
    Body(input): Body<CreateOrganisation>,
) -> Result<Created<Organisation>, ApiError> {
    Ok(Created(asking.create_organisation(input.name).await?))
}

/// One organisation. Needs `organisations.manage`.
#[utoipa::path(
    get, path = "/api/v1/organisations/{id}", tag = "Organisations",
    params(("id" = OrganisationId, Path, description = "The organisation")),
    responses(
        (status = 200, description = "The organisation", body = Organisation),
        (status = 403, description = "Not permitted", body = ProblemDocument),
        (status = 404, description = "Unknown", body = ProblemDocument),
    )
)]
pub(super) async fn find(
    asking: SignedIn,
    Id(id): Id<OrganisationId>,
    _: NoParameters,
) -> Result<Json<Organisation>, ApiError> {
    Ok(Json(asking.find_organisation(id).await?))
}

/// Renames, disables or enables an organisation. Disabling ends all sessions there and refuses every sign-in;
/// enabling brings no session back. Needs `organisations.manage`.
#[utoipa::path(
    patch, path = "/api/v1/organisations/{id}", tag = "Organisations", request_body = EditOrganisation,
    params(("id" = OrganisationId, Path, description = "The organisation")),
    responses(
        (status = 200, description = "The organisation as it is now", body = Organisation),
        (status = 400, description = "A field cannot be accepted", body = ProblemDocument),
        (status = 403, description = "Not permitted", body = ProblemDocument),
        (status = 404, description = "Unknown", body = ProblemDocument),
        (status = 409, description = "There is one of this name, or no enabled Platform administrator would be left elsewhere", body = ProblemDocument),
    )
)]
pub(super) async fn edit(
    asking: SignedIn,
    Id(id): Id<OrganisationId>,
    _: NoParameters,
    Body(input): Body<EditOrganisation>,
) -> Result<Json<Organisation>, ApiError> {
    Ok(Json(asking.edit_organisation(id, input).await?))
}
