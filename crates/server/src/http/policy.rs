//! What users' sessions have to keep to.

use std::collections::BTreeMap;

use rollcall_core::{
    Backend, OrganisationId, PeopleBackend, Policy, PolicyPlace, PolicyPreview, PolicySource,
    Problem, Rule, UserId, WhenFull, query,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use super::extract::{Body, Id, NoParameters, Parameters, SignedIn};
use super::respond::Json;
use crate::error::{ApiError, ProblemDocument};

/// For whom.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(
    dead_code,
    reason = "a description for the document; the fields are never read"
)]
pub(super) struct PlaceParameters {
    /// An organisation; the caller's own, or for platform administrators the installation, where it is not given.
    organisation: Option<OrganisationId>,
    /// Users of that organisation with this primary role: a role's key.
    #[param(max_length = 64)]
    role: Option<String>,
}

/// A value, and where it comes from.
#[derive(Serialize, ToSchema)]
pub(super) struct PolicyEntry {
    rule: Rule,
    /// A number; true or false for `one_address` and `exempt_service_accounts`; a word for `when_full`.
    value: Value,
    source: PolicySource,
}

/// Every value, as it applies.
#[derive(Serialize, ToSchema)]
pub(super) struct PolicyDocument {
    values: Vec<PolicyEntry>,
}

impl From<Policy> for PolicyDocument {
    fn from(policy: Policy) -> Self {
        let values = policy
            .0
            .into_iter()
            .map(|entry| PolicyEntry {
                value: written(entry.rule, entry.value),
                rule: entry.rule,
                source: entry.source,
            })
            .collect();
        Self { values }
    }
}

fn written(rule: Rule, value: u32) -> Value {
    match rule {
        Rule::OneAddress | Rule::ExemptServiceAccounts => json!(value != 0),
        Rule::WhenFull => json!(WhenFull::ALL.get(value as usize).map(|word| word.as_str())),
        _ => json!(value),
    }
}

fn read(rule: Rule, value: &Value) -> Result<Option<u32>, ApiError> {
    let malformed = || ApiError::field(rule.as_str(), Problem::Malformed);
    let number = match (rule, value) {
        (_, Value::Null) => return Ok(None),
        (Rule::OneAddress | Rule::ExemptServiceAccounts, Value::Bool(on)) => i64::from(*on),
        (Rule::WhenFull, Value::String(word)) => {
            let place = WhenFull::ALL
                .iter()
                .position(|known| known.as_str() == word);
            let place = place.ok_or_else(|| ApiError::field(rule.as_str(), Problem::NotOffered))?;
            place as i64
        }
        (Rule::OneAddress | Rule::ExemptServiceAccounts | Rule::WhenFull, _) => {
            return Err(malformed());
        }
        (_, value) => value.as_i64().ok_or_else(malformed)?,
    };
    Ok(Some(rule.check(number)?))
}

/// What applies. Needs `policy.manage`.
#[utoipa::path(
    get, path = "/api/v1/policy", tag = "Policy", params(PlaceParameters),
    responses(
        (status = 200, description = "Every value, and where it comes from", body = PolicyDocument),
        (status = 400, description = "A parameter cannot be accepted", body = ProblemDocument),
        (status = 403, description = "Not permitted", body = ProblemDocument),
        (status = 404, description = "Another organisation", body = ProblemDocument),
    )
)]
pub(super) async fn find(
    asking: SignedIn,
    parameters: Parameters,
) -> Result<Json<PolicyDocument>, ApiError> {
    let mut place = PolicyPlace {
        organisation: None,
        role: None,
    };
    for (name, value) in query::pairs(&parameters.0)? {
        let repeated = match name.as_str() {
            "organisation" => {
                let id = value
                    .parse()
                    .map_err(|_| ApiError::field(&name, Problem::Malformed))?;
                place.organisation.replace(id).is_some()
            }
            "role" => place.role.replace(value).is_some(),
            _ => return Err(ApiError::field(&name, Problem::Unknown)),
        };
        if repeated {
            return Err(ApiError::field(&name, Problem::Repeated));
        }
    }
    Ok(Json(asking.policy(place).await?.into()))
}

/// What applies to one user. Needs `users.view`.
#[utoipa::path(
    get, path = "/api/v1/users/{id}/policy", tag = "Policy",
    params(("id" = UserId, Path, description = "The user")),
    responses(
        (status = 200, description = "Every value, and where it comes from", body = PolicyDocument),
        (status = 403, description = "Not permitted", body = ProblemDocument),
        (status = 404, description = "Unknown, or another organisation's", body = ProblemDocument),
    )
)]
pub(super) async fn of_user(
    asking: SignedIn,
    Id(id): Id<UserId>,
    _: NoParameters,
) -> Result<Json<PolicyDocument>, ApiError> {
    Ok(Json(asking.user_policy(id).await?.into()))
}

/// What to set, and for whom.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PolicyChange {
    /// An organisation; the caller's own, or for platform administrators the installation, where it is not given.
    organisation: Option<OrganisationId>,
    /// Users of that organisation with this primary role: a role's key.
    #[schema(max_length = 64)]
    role: Option<String>,
    /// Values by their rule; `null` takes one away, so that what is set more widely applies.
    values: BTreeMap<String, Value>,
}

/// What to set; `None` takes a value away.
type Values = Vec<(Rule, Option<u32>)>;

impl PolicyChange {
    fn read(self) -> Result<(PolicyPlace, Values), ApiError> {
        let mut values = Vec::new();
        for (name, value) in &self.values {
            let rule =
                Rule::from_name(name).ok_or_else(|| ApiError::field(name, Problem::Unknown))?;
            values.push((rule, read(rule, value)?));
        }
        let place = PolicyPlace {
            organisation: self.organisation,
            role: self.role,
        };
        Ok((place, values))
    }
}

/// Sets values, all or none. They apply from the next sign-in on; what is open stays open. Needs `policy.manage`.
#[utoipa::path(
    patch, path = "/api/v1/policy", tag = "Policy", request_body = PolicyChange,
    responses(
        (status = 200, description = "What applies now", body = PolicyDocument),
        (status = 400, description = "A field cannot be accepted", body = ProblemDocument),
        (status = 403, description = "Not permitted", body = ProblemDocument),
        (status = 404, description = "Another organisation", body = ProblemDocument),
    )
)]
pub(super) async fn change(
    asking: SignedIn,
    _: NoParameters,
    Body(change): Body<PolicyChange>,
) -> Result<Json<PolicyDocument>, ApiError> {
    let (place, values) = change.read()?;
    Ok(Json(asking.set_policy(place, values).await?.into()))
}

/// What would happen. Nothing that is open ends: sessions keep the timeouts that they began with.
#[derive(Serialize, ToSchema)]
pub(super) struct PolicyPreviewDocument {
    /// Users who have more sessions than that; `when_full` says what becomes of their next sign-in.
    users_over_the_limit: u64,
    /// For each timeout that would change, by its rule: how many active sessions are older, or were not used for longer.
    sessions_beyond: BTreeMap<&'static str, u64>,
}

impl From<PolicyPreview> for PolicyPreviewDocument {
    fn from(preview: PolicyPreview) -> Self {
        let sessions_beyond = preview.sessions_beyond.into_iter();
        Self {
            users_over_the_limit: preview.users_over_the_limit,
            sessions_beyond: sessions_beyond
                .map(|(rule, beyond)| (rule.as_str(), beyond.sessions))
                .collect(),
        }
    }
}

/// What would happen with these values: nothing is set. Needs `policy.manage`.
#[utoipa::path(
    post, path = "/api/v1/policy/preview", tag = "Policy", request_body = PolicyChange,
    responses(
        (status = 200, description = "What would happen", body = PolicyPreviewDocument),
        (status = 400, description = "A field cannot be accepted", body = ProblemDocument),
        (status = 403, description = "Not permitted", body = ProblemDocument),
        (status = 404, description = "Another organisation", body = ProblemDocument),
    )
)]
pub(super) async fn preview(
    asking: SignedIn,
    _: NoParameters,
    Body(change): Body<PolicyChange>,
) -> Result<Json<PolicyPreviewDocument>, ApiError> {
    let (place, values) = change.read()?;
    Ok(Json(asking.preview_policy(place, values).await?.into()))
}
