//! The audit trail.

use rollcall_core::{AuditEvent, AuditQuery, Backend, Page};

use super::extract::{Asking, Parameters};
use super::openapi::parameters::{AuditFilterParameters, PageParameters};
use super::respond::Json;
use crate::error::{ApiError, ProblemDocument};

/// Audit events, newest first. Needs `audit.view`.
#[utoipa::path(
    get, path = "/api/v1/audit", tag = "Audit", params(AuditFilterParameters, PageParameters),
    responses(
        (status = 200, description = "One page", body = Page<AuditEvent>),
        (status = 400, description = "A parameter cannot be accepted", body = ProblemDocument),
        (status = 403, description = "Not permitted", body = ProblemDocument),
    )
)]
pub(super) async fn list(
    asking: Asking,
    parameters: Parameters,
) -> Result<Json<Page<AuditEvent>>, ApiError> {
    Ok(Json(
        asking.list_audit(AuditQuery::parse(&parameters.0)?).await?,
    ))
}
