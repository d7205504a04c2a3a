//! Addresses that are refused for a while.

use axum::response::Response;
use rollcall_core::{PeopleBackend, Problem, ThrottledAddress, query};
use serde::Serialize;
use utoipa::ToSchema;

use super::extract::{NoParameters, Parameters, SignedIn};
use super::respond::{Json, done};
use crate::error::{ApiError, ProblemDocument};

/// All of them.
#[derive(Serialize, ToSchema)]
pub(super) struct ThrottledAddresses {
    /// The last to be free again first.
    items: Vec<ThrottledAddress>,
}

/// The addresses that are refused because too many sign-ins from them failed. Needs `users.unlock`, by the primary
/// role and in all organisations.
#[utoipa::path(
    get, path = "/api/v1/throttled-addresses", tag = "Users",
    responses(
        (status = 200, description = "All of them", body = ThrottledAddresses),
        (status = 403, description = "Not permitted", body = ProblemDocument),
    )
)]
pub(super) async fn list(
    asking: SignedIn,
    _: NoParameters,
) -> Result<Json<ThrottledAddresses>, ApiError> {
    let items = asking.throttled_addresses().await?;
    Ok(Json(ThrottledAddresses { items }))
}

/// Gives an address all its attempts back. Needs the same.
#[utoipa::path(
    delete, path = "/api/v1/throttled-addresses", tag = "Users",
    params(("ip" = String, Query, description = "The address as the list has it", example = "192.0.2.7")),
    responses(
        (status = 204, description = "Not refused any more, whether it was or not"),
        (status = 400, description = "No address", body = ProblemDocument),
        (status = 403, description = "Not permitted", body = ProblemDocument),
    )
)]
pub(super) async fn release(
    asking: SignedIn,
    parameters: Parameters,
) -> Result<Response, ApiError> {
    let mut address = None;
    for (name, value) in query::pairs(&parameters.0)? {
        if name != "ip" {
            return Err(ApiError::field(&name, Problem::Unknown));
        }
        if address.replace(value).is_some() {
            return Err(ApiError::field("ip", Problem::Repeated));
        }
    }
    let address = address.ok_or_else(|| ApiError::field("ip", Problem::Missing))?;
    asking.release_address(address).await?;
    Ok(done())
}
