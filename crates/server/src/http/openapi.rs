//! The OpenAPI document, written from the handlers themselves.

pub(super) mod parameters;

use std::sync::LazyLock;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use rollcall_core::{
    AuditAction, AuditOutcome, ClientState, Column, DeliveryFailure, DeliveryState, EndReason,
    ExecutionSource, ExecutionState, KeyState, Kind, Method, Permission, ReceiverFormat,
    ReceiverState, Rule, SessionEvent, State, Timestamp, UserState,
};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    Components, ContentBuilder, Ref, RefOr, ResponseBuilder, Schema, SecurityRequirement,
};
use utoipa::{Modify, OpenApi};

use super::{
    addresses, applications, audit, clients, credentials, executions, export, integrations, keys,
    mail, many, me, operations, organisations, policy, providers, roles, saved_filters, sessions,
    sign_in, user_requests, users, well_known,
};
use crate::error::{FieldError, ProblemDocument};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Rollcall",
        description = "See who is signed in and end it. Times are RFC 3339 in UTC. Every error is a problem document \
            (RFC 9457) with a stable `code` and the request's id. What lies in another organisation does not exist: 404. \
            A program signs in with `\"token\": true` and sends the token as `Authorization: Bearer`; when an answer \
            carries `Session-Token`, that is the token from then on."
    ),
    paths(
        sign_in::sign_in, sign_in::sign_out, mail::ask, mail::reset, mail::report, mail::list, mail::confirm, mail::disown,
        me::find, me::change_password, me::reauthenticate, me::list_sessions, me::rename_session, me::end_session, me::end_sessions,
        saved_filters::list, saved_filters::create, saved_filters::remove, saved_filters::columns, saved_filters::set_columns,
        export::own_sessions, export::sessions, export::audit,
        sessions::list, sessions::count, sessions::stats, sessions::find, sessions::end,
        many::preview, many::end, many::progress, many::end_all,
        policy::find, policy::change, policy::preview, policy::of_user,
        users::list, users::create, users::find, users::edit, users::remove, users::reset_password, users::unlock,
        addresses::list, addresses::release,
        keys::list, keys::create, keys::find, keys::revoke, keys::list_of_user,
        clients::list, clients::register, clients::find, clients::remove, clients::heartbeat, clients::commands,
        clients::disconnect, clients::dispatch,
        applications::open_for, applications::introspect, applications::revoke,
        executions::list, executions::start, executions::find, executions::end,
        users::list_sessions, users::end_sessions, users::force_logout,
        roles::list, roles::create, roles::find, roles::edit, roles::remove,
        organisations::list, organisations::create, organisations::find, organisations::edit,
        integrations::list, integrations::create, integrations::find, integrations::edit, integrations::remove,
        integrations::pause, integrations::resume, integrations::test, integrations::deliveries, integrations::replay,
        integrations::confirmations, well_known::keys, well_known::transmitter,
        providers::list, providers::find, providers::save, providers::remove,
        audit::list,
        user_requests::list, user_requests::end,
        operations::healthy, operations::ready, operations::metrics,
    ),
    tags(
        (name = "Signing in"), (name = "My account"), (name = "Sessions"), (name = "Users"), (name = "Roles"),
        (name = "Organisations"), (name = "API keys"), (name = "Clients"), (name = "Executions"), (name = "Applications"), (name = "Policy"), (name = "Integrations"), (name = "Audit"),
        (name = "Rediacc", description = "The calls of Rediacc's console, with its field names"),
        (name = "Operations"),
    ),
    components(schemas(export::Format, ProblemDocument, FieldError, State, Kind, UserState, AuditAction, AuditOutcome, Timestamp)),
    modifiers(&Securities, &CommonAnswers, &Words, &Ids),
    security(("session_cookie" = []), ("bearer_token" = [])),
)]
struct Document;

struct Securities;

impl Modify for Securities {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_with(Components::new);
        components.add_security_scheme(
            "session_cookie",
            SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new(credentials::COOKIE))),
        );
        components.add_security_scheme(
            "bearer_token",
            SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build()),
        );
    }
}

// The macro that makes `core`'s words hides their names from utoipa; here they are again.
struct Words;

impl Modify for Words {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_with(Components::new);
        let mut set = |name: &str, words: Vec<&'static str>| {
            if let Some(RefOr::T(Schema::Object(schema))) = components.schemas.get_mut(name) {
                schema.enum_values = Some(words.into_iter().map(Into::into).collect());
            }
        };
        set(
            "State",
            State::ALL.iter().map(|word| word.as_str()).collect(),
        );
        set("Kind", Kind::ALL.iter().map(|word| word.as_str()).collect());
        set(
            "Method",
            Method::ALL.iter().map(|word| word.as_str()).collect(),
        );
        set(
            "Column",
            Column::ALL.iter().map(|word| word.as_str()).collect(),
        );
        set(
            "EndReason",
            EndReason::ALL.iter().map(|word| word.as_str()).collect(),
        );
        set(
            "AuditAction",
            AuditAction::ALL.iter().map(|word| word.as_str()).collect(),
        );
        set(
            "AuditOutcome",
            AuditOutcome::ALL.iter().map(|word| word.as_str()).collect(),
        );
        set(
            "UserState",
            UserState::ALL.iter().map(|word| word.as_str()).collect(),
        );
        set(
            "KeyState",
            KeyState::ALL.iter().map(|word| word.as_str()).collect(),
        );
        set(
            "ClientState",
            ClientState::ALL.iter().map(|word| word.as_str()).collect(),
        );
        set(
            "ExecutionState",
            ExecutionState::ALL
                .iter()
                .map(|word| word.as_str())
                .collect(),
        );
        set(
            "ExecutionSource",
            ExecutionSource::ALL
                .iter()
                .map(|word| word.as_str())
                .collect(),
        );
        set(
            "SessionEvent",
            SessionEvent::ALL.iter().map(|word| word.as_str()).collect(),
        );
        set(
            "ReceiverFormat",
            ReceiverFormat::ALL
                .iter()
                .map(|word| word.as_str())
                .collect(),
        );
        set(
            "ReceiverState",
            ReceiverState::ALL
                .iter()
                .map(|word| word.as_str())
                .collect(),
        );
        set(
            "DeliveryState",
            DeliveryState::ALL
                .iter()
                .map(|word| word.as_str())
                .collect(),
        );
        set(
            "DeliveryFailure",
            DeliveryFailure::ALL
                .iter()
                .map(|word| word.as_str())
                .collect(),
        );
        set("Rule", Rule::ALL.iter().map(|word| word.as_str()).collect());
        set(
            "Permission",
            Permission::ALL.iter().map(|word| word.as_str()).collect(),
        );
    }
}

// An operation's id is its method and path: unique, and nobody has to think of it.
struct Ids;

impl Modify for Ids {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        for (path, item) in &mut document.paths.paths {
            let named = [
                ("get", &mut item.get),
                ("post", &mut item.post),
                ("put", &mut item.put),
                ("patch", &mut item.patch),
                ("delete", &mut item.delete),
            ];
            for (method, operation) in named {
                if let Some(operation) = operation {
                    let path = path.replace(['/', '{', '}', '-'], "_").replace("__", "_");
                    operation.operation_id =
                        Some(format!("{method}{}", path.trim_end_matches('_')));
                }
            }
        }
    }
}

// What any call can answer, written down once.
struct CommonAnswers;

impl Modify for CommonAnswers {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let anonymous = SecurityRequirement::default();
        for (path, item) in &mut document.paths.paths {
            let api = path.starts_with("/api/");
            let operations = [
                &mut item.get,
                &mut item.post,
                &mut item.put,
                &mut item.patch,
                &mut item.delete,
            ];
            for operation in operations.into_iter().flatten() {
                let open = operation
                    .security
                    .as_ref()
                    .is_some_and(|list| list.contains(&anonymous));
                let answers = [
                    ("400", "The request cannot be accepted", true),
                    ("401", "No live session: sign in", !open),
                    ("403", "Not permitted, or sent from another site", api),
                    (
                        "408",
                        "The body took longer than 10 seconds to arrive",
                        true,
                    ),
                    ("413", "The body is larger than 64 KiB", true),
                    ("415", "The body is not application/json", api),
                    (
                        "500",
                        "A fault of the server, noted in its log under the request's id",
                        true,
                    ),
                    (
                        "503",
                        "The database cannot be reached; nothing was changed",
                        api,
                    ),
                ];
                for (status, words, can_happen) in answers {
                    if can_happen && !operation.responses.responses.contains_key(status) {
                        operation
                            .responses
                            .responses
                            .insert(status.to_owned(), problem(words));
                    }
                }
            }
        }
        for item in document.paths.paths.values_mut() {
            for operation in [
                &mut item.get,
                &mut item.post,
                &mut item.put,
                &mut item.patch,
                &mut item.delete,
            ]
            .into_iter()
            .flatten()
            {
                as_problems(operation);
            }
        }
    }
}

fn problem(words: &str) -> RefOr<utoipa::openapi::Response> {
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("ProblemDocument")))
        .build();
    ResponseBuilder::new()
        .description(words)
        .content("application/problem+json", content)
        .build()
        .into()
}

// The handlers' own errors are declared as JSON; they are problem documents too.
fn as_problems(operation: &mut utoipa::openapi::path::Operation) {
    for (status, response) in &mut operation.responses.responses {
        if let RefOr::T(response) = response
            && status.starts_with(['4', '5'])
            && response.content.contains_key("application/json")
        {
            let words = response.description.clone();
            if let RefOr::T(replacement) = problem(&words) {
                *response = replacement;
            }
        }
    }
}

static TEXT: LazyLock<String> =
    LazyLock::new(|| Document::openapi().to_pretty_json().unwrap_or_default());

/// The document as JSON text.
pub fn document() -> &'static str {
    &TEXT
}

/// The document, for whoever asks.
pub(super) async fn answer() -> Response {
    let mut response = Body::from(document()).into_response();
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_of_the_api_is_described() {
        let document: serde_json::Value = serde_json::from_str(document()).unwrap();
        let described: std::collections::BTreeSet<_> = document["paths"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(path, item)| {
                item.as_object()
                    .unwrap()
                    .keys()
                    .map(move |method| format!("{} {path}", method.to_uppercase()))
            })
            .collect();
        let table = include_str!("../http.rs");
        let mut routes = std::collections::BTreeSet::new();
        for route in table.split(".route(").skip(1) {
            let path = route.split('"').nth(1).unwrap();
            if !path.starts_with("/api/")
                || path.starts_with("/api/openapi")
                || path.starts_with("/api/docs")
            {
                continue;
            }
            let path = path.replace("/UserRequest/{id}", "/UserRequest/{requestId}");
            for method in ["get", "post", "delete", "patch", "put"] {
                if route.contains(&format!("{method}(")) {
                    routes.insert(format!("{} {path}", method.to_uppercase()));
                }
            }
        }
        assert!(routes.len() > 12);
        let missing: Vec<_> = routes.difference(&described).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn words_are_the_ones_on_the_wire_and_ids_are_unique() {
        let document: serde_json::Value = serde_json::from_str(document()).unwrap();
        let words = |name: &str| document["components"]["schemas"][name]["enum"].clone();
        assert_eq!(words("State"), serde_json::json!(["active", "ended"]));
        assert_eq!(
            words("Kind"),
            serde_json::json!(["console", "api", "client"])
        );
        for (name, word) in [
            ("EndReason", "token_reuse"),
            ("Method", "password"),
            ("AuditAction", "session.ended"),
            ("AuditOutcome", "not_found"),
            ("Permission", "sessions.view"),
        ] {
            assert!(
                words(name)
                    .as_array()
                    .unwrap()
                    .iter()
                    .any(|one| one == word),
                "{name}"
            );
        }
        let ids: Vec<_> = document["paths"]
            .as_object()
            .unwrap()
            .values()
            .flat_map(|item| {
                item.as_object()
                    .unwrap()
                    .values()
                    .map(|operation| operation["operationId"].as_str().unwrap())
            })
            .collect();
        let different: std::collections::HashSet<_> = ids.iter().collect();
        assert_eq!(different.len(), ids.len());
        assert!(different.contains(&"get_api_v1_sessions_id"));
    }

    #[test]
    fn every_reference_leads_somewhere_and_no_word_is_a_name_of_ours() {
        fn look(document: &serde_json::Value, part: &serde_json::Value, found: &mut Vec<String>) {
            if let Some(reference) = part["$ref"].as_str()
                && document.pointer(&reference[1..]).is_none()
            {
                found.push(reference.to_owned());
            }
            for word in part["enum"].as_array().into_iter().flatten() {
                let word = word.as_str().unwrap_or_default();
                if word.contains(char::is_uppercase) {
                    found.push(word.to_owned());
                }
            }
            match part {
                serde_json::Value::Object(parts) => {
                    parts.values().for_each(|part| look(document, part, found));
                }
                serde_json::Value::Array(parts) => {
                    parts.iter().for_each(|part| look(document, part, found));
                }
                _ => {}
            }
        }
        let document: serde_json::Value = serde_json::from_str(document()).unwrap();
        let mut found = Vec::new();
        look(&document, &document, &mut found);
        assert_eq!(found, Vec::<String>::new());
    }

    #[test]
    fn every_error_is_a_problem_document() {
        let document: serde_json::Value = serde_json::from_str(document()).unwrap();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                for (status, response) in operation["responses"].as_object().unwrap() {
                    let json = response["content"].get("application/json").is_some();
                    assert!(
                        !(json && status.starts_with(['4', '5'])),
                        "{method} {path} {status}"
                    );
                }
            }
        }
        assert!(document["components"]["securitySchemes"]["bearer_token"].is_object());
        assert!(document["components"]["schemas"]["ProblemDocument"].is_object());
    }
}
