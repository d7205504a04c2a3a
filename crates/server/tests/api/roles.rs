//! Every role on every call, on every kind of target: one table with the exact status of each.

use std::collections::BTreeSet;

use http::Method;
use rollcall_core::{BuiltInRole, Permissions};
use serde_json::{Value, json};

use crate::support::{Client, NewRow, PASSWORD, Person, TestApp};

both_databases!(every_role_gets_exactly_what_the_table_says);

/// What a call's `{id}` names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Target {
    /// Something of the caller's own, other than the session that asks.
    Own,
    /// Of a colleague.
    Colleague,
    /// Of somebody in another organisation.
    Foreign,
    /// Nobody's.
    Unknown,
    /// The call has no `{id}`.
    None,
}

/// The columns, in this order.
const CALLERS: [Option<BuiltInRole>; 6] = [
    Some(BuiltInRole::PlatformAdministrator),
    Some(BuiltInRole::Administrator),
    Some(BuiltInRole::SessionManager),
    Some(BuiltInRole::QualityManager),
    Some(BuiltInRole::Member),
    None,
];

type Row = (&'static str, &'static str, Target, [u16; 6]);

#[rustfmt::skip]
const TABLE: &[Row] = &[
    // method, path, target, platform, administrator, manager, quality, member, nobody
    ("GET", "/healthz", Target::None, [200, 200, 200, 200, 200, 200]),
    ("GET", "/readyz", Target::None, [200, 200, 200, 200, 200, 200]),
    ("GET", "/metrics", Target::None, [200, 200, 200, 200, 200, 200]),
    ("POST", "/api/v1/sign-in", Target::None, [200, 200, 200, 200, 200, 200]),
    ("POST", "/api/v1/sign-out", Target::None, [204, 204, 204, 204, 204, 204]),
    ("GET", "/api/v1/me", Target::None, [200, 200, 200, 200, 200, 401]),
    // With a wrong current password: refused, but as a field of somebody who is signed in.
    ("POST", "/api/v1/me/password", Target::None, [400, 400, 400, 400, 400, 401]),
    ("POST", "/api/v1/me/reauthenticate", Target::None, [400, 400, 400, 400, 400, 401]),
    ("GET", "/api/v1/me/sessions", Target::None, [200, 200, 200, 200, 200, 401]),
    ("DELETE", "/api/v1/me/sessions", Target::None, [204, 204, 204, 204, 204, 401]),
    ("DELETE", "/api/v1/me/sessions/{id}", Target::Own, [204, 204, 204, 204, 204, 401]),
    ("DELETE", "/api/v1/me/sessions/{id}", Target::Colleague, [404, 404, 404, 404, 404, 401]),
    ("DELETE", "/api/v1/me/sessions/{id}", Target::Foreign, [404, 404, 404, 404, 404, 401]),
    ("DELETE", "/api/v1/me/sessions/{id}", Target::Unknown, [404, 404, 404, 404, 404, 401]),
    ("GET", "/api/v1/me/sessions/export", Target::None, [200, 200, 200, 200, 200, 401]),
    ("PATCH", "/api/v1/me/sessions/{id}", Target::Own, [200, 200, 200, 200, 200, 401]),
    ("PATCH", "/api/v1/me/sessions/{id}", Target::Colleague, [404, 404, 404, 404, 404, 401]),
    ("PATCH", "/api/v1/me/sessions/{id}", Target::Foreign, [404, 404, 404, 404, 404, 401]),
    ("PATCH", "/api/v1/me/sessions/{id}", Target::Unknown, [404, 404, 404, 404, 404, 401]),
    ("GET", "/api/v1/me/filters", Target::None, [200, 200, 200, 403, 403, 401]),
    ("POST", "/api/v1/me/filters", Target::None, [201, 201, 201, 403, 403, 401]),
    ("DELETE", "/api/v1/me/filters/{id}", Target::Unknown, [404, 404, 404, 403, 403, 401]),
    ("GET", "/api/v1/me/columns", Target::None, [200, 200, 200, 403, 403, 401]),
    ("PUT", "/api/v1/me/columns", Target::None, [204, 204, 204, 403, 403, 401]),
    ("GET", "/api/v1/sessions/count", Target::None, [200, 200, 200, 403, 403, 401]),
    ("GET", "/api/v1/sessions/export", Target::None, [200, 200, 200, 403, 403, 401]),
    ("GET", "/api/v1/sessions", Target::None, [200, 200, 200, 403, 403, 401]),
    ("GET", "/api/v1/sessions/stats", Target::None, [200, 200, 200, 403, 403, 401]),
    ("GET", "/api/v1/sessions/{id}", Target::Own, [200, 200, 200, 403, 403, 401]),
    ("GET", "/api/v1/sessions/{id}", Target::Colleague, [200, 200, 200, 403, 403, 401]),
    ("GET", "/api/v1/sessions/{id}", Target::Foreign, [200, 404, 404, 403, 403, 401]),
    ("GET", "/api/v1/sessions/{id}", Target::Unknown, [404, 404, 404, 403, 403, 401]),
    ("DELETE", "/api/v1/sessions/{id}", Target::Own, [204, 204, 204, 204, 204, 401]),
    ("DELETE", "/api/v1/sessions/{id}", Target::Colleague, [204, 204, 204, 403, 403, 401]),
    ("DELETE", "/api/v1/sessions/{id}", Target::Foreign, [204, 404, 404, 403, 403, 401]),
    ("DELETE", "/api/v1/sessions/{id}", Target::Unknown, [404, 404, 404, 403, 403, 401]),
    ("DELETE", "/api/v1/users/{id}/sessions", Target::Own, [204, 204, 204, 403, 403, 401]),
    ("DELETE", "/api/v1/users/{id}/sessions", Target::Colleague, [204, 204, 204, 403, 403, 401]),
    ("DELETE", "/api/v1/users/{id}/sessions", Target::Foreign, [204, 404, 404, 403, 403, 401]),
    ("DELETE", "/api/v1/users/{id}/sessions", Target::Unknown, [404, 404, 404, 403, 403, 401]),
    // Of the chosen sessions.
    ("POST", "/api/v1/sessions/end-preview", Target::Own, [200, 200, 200, 403, 403, 401]),
    ("POST", "/api/v1/sessions/end-preview", Target::Colleague, [200, 200, 200, 403, 403, 401]),
    ("POST", "/api/v1/sessions/end-preview", Target::Foreign, [200, 404, 404, 403, 403, 401]),
    ("POST", "/api/v1/sessions/end-preview", Target::Unknown, [404, 404, 404, 403, 403, 401]),
    ("POST", "/api/v1/sessions/end", Target::Unknown, [404, 404, 404, 403, 403, 401]),
    ("GET", "/api/v1/sessions/end/{id}", Target::Unknown, [404, 404, 404, 403, 403, 401]),
    // Of a user.
    ("POST", "/api/v1/sessions/end-all", Target::Own, [200, 200, 200, 403, 403, 401]),
    ("POST", "/api/v1/sessions/end-all", Target::Colleague, [200, 200, 200, 403, 403, 401]),
    ("POST", "/api/v1/sessions/end-all", Target::Foreign, [200, 404, 404, 403, 403, 401]),
    ("POST", "/api/v1/sessions/end-all", Target::Unknown, [404, 404, 404, 403, 403, 401]),
    ("GET", "/api/v1/policy", Target::None, [200, 200, 403, 403, 403, 401]),
    ("PATCH", "/api/v1/policy", Target::None, [200, 200, 403, 403, 403, 401]),
    ("POST", "/api/v1/policy/preview", Target::None, [200, 200, 403, 403, 403, 401]),
    ("GET", "/api/v1/users/{id}/sessions", Target::Own, [200, 200, 200, 403, 403, 401]),
    ("GET", "/api/v1/users/{id}/sessions", Target::Colleague, [200, 200, 200, 403, 403, 401]),
    ("GET", "/api/v1/users/{id}/sessions", Target::Foreign, [200, 404, 404, 403, 403, 401]),
    ("GET", "/api/v1/users/{id}/sessions", Target::Unknown, [404, 404, 404, 403, 403, 401]),
    ("GET", "/api/v1/users", Target::None, [200, 200, 200, 403, 403, 401]),
    ("POST", "/api/v1/users", Target::None, [201, 201, 403, 403, 403, 401]),
    ("GET", "/api/v1/users/{id}", Target::Own, [200, 200, 200, 403, 403, 401]),
    ("GET", "/api/v1/users/{id}", Target::Colleague, [200, 200, 200, 403, 403, 401]),
    ("GET", "/api/v1/users/{id}", Target::Foreign, [200, 404, 404, 403, 403, 401]),
    ("GET", "/api/v1/users/{id}", Target::Unknown, [404, 404, 404, 403, 403, 401]),
    ("PATCH", "/api/v1/users/{id}", Target::Own, [200, 200, 403, 403, 403, 401]),
    ("PATCH", "/api/v1/users/{id}", Target::Colleague, [200, 200, 403, 403, 403, 401]),
    ("PATCH", "/api/v1/users/{id}", Target::Foreign, [200, 404, 403, 403, 403, 401]),
    ("PATCH", "/api/v1/users/{id}", Target::Unknown, [404, 404, 403, 403, 403, 401]),
    // Nobody deletes themselves, nor resets their own password.
    ("GET", "/api/v1/throttled-addresses", Target::None, [200, 403, 403, 403, 403, 401]),
    ("DELETE", "/api/v1/throttled-addresses", Target::None, [204, 403, 403, 403, 403, 401]),
    ("GET", "/api/v1/keys", Target::None, [200, 200, 200, 200, 200, 401]),
    ("POST", "/api/v1/keys", Target::None, [201, 201, 201, 201, 201, 401]),
    ("GET", "/api/v1/keys/{id}", Target::Own, [200, 200, 200, 200, 200, 401]),
    ("GET", "/api/v1/keys/{id}", Target::Colleague, [200, 200, 200, 403, 403, 401]),
    ("GET", "/api/v1/keys/{id}", Target::Foreign, [200, 404, 404, 403, 403, 401]),
    ("GET", "/api/v1/keys/{id}", Target::Unknown, [404, 404, 404, 403, 403, 401]),
    ("DELETE", "/api/v1/keys/{id}", Target::Own, [204, 204, 204, 204, 204, 401]),
    ("DELETE", "/api/v1/keys/{id}", Target::Colleague, [204, 204, 403, 403, 403, 401]),
    ("DELETE", "/api/v1/keys/{id}", Target::Foreign, [204, 404, 403, 403, 403, 401]),
    ("DELETE", "/api/v1/keys/{id}", Target::Unknown, [404, 404, 403, 403, 403, 401]),
    ("GET", "/api/v1/users/{id}/keys", Target::Own, [200, 200, 200, 403, 403, 401]),
    ("GET", "/api/v1/users/{id}/keys", Target::Colleague, [200, 200, 200, 403, 403, 401]),
    ("GET", "/api/v1/users/{id}/keys", Target::Foreign, [200, 404, 404, 403, 403, 401]),
    ("GET", "/api/v1/users/{id}/keys", Target::Unknown, [404, 404, 404, 403, 403, 401]),
    ("GET", "/api/v1/clients", Target::None, [200, 200, 200, 403, 403, 401]),
    ("POST", "/api/v1/clients", Target::None, [201, 201, 201, 201, 201, 401]),
    ("GET", "/api/v1/clients/{id}", Target::Own, [200, 200, 200, 200, 200, 401]),
    ("GET", "/api/v1/clients/{id}", Target::Colleague, [200, 200, 200, 403, 403, 401]),
    ("GET", "/api/v1/clients/{id}", Target::Foreign, [200, 404, 404, 403, 403, 401]),
    ("GET", "/api/v1/clients/{id}", Target::Unknown, [404, 404, 404, 403, 403, 401]),
    ("DELETE", "/api/v1/clients/{id}", Target::Own, [204, 204, 204, 204, 204, 401]),
    ("DELETE", "/api/v1/clients/{id}", Target::Colleague, [204, 204, 204, 403, 403, 401]),
    ("DELETE", "/api/v1/clients/{id}", Target::Foreign, [204, 404, 404, 403, 403, 401]),
    ("DELETE", "/api/v1/clients/{id}", Target::Unknown, [404, 404, 404, 403, 403, 401]),
    ("POST", "/api/v1/clients/{id}/disconnect", Target::Own, [200, 200, 200, 200, 200, 401]),
    ("POST", "/api/v1/clients/{id}/disconnect", Target::Colleague, [200, 200, 200, 403, 403, 401]),
    ("POST", "/api/v1/clients/{id}/disconnect", Target::Foreign, [200, 404, 404, 403, 403, 401]),
    ("POST", "/api/v1/clients/{id}/disconnect", Target::Unknown, [404, 404, 404, 403, 403, 401]),
    // Only by the client itself.
    ("POST", "/api/v1/clients/{id}/heartbeat", Target::Own, [404, 404, 404, 404, 404, 401]),
    ("GET", "/api/v1/clients/{id}/commands", Target::Own, [404, 404, 404, 404, 404, 401]),
    // Only with a role of one's own.
    ("POST", "/api/v1/clients/{id}/dispatch", Target::Own, [403, 403, 403, 403, 403, 401]),
    ("GET", "/api/v1/executions", Target::None, [200, 200, 200, 200, 200, 401]),
    ("POST", "/api/v1/executions", Target::None, [201, 201, 201, 201, 201, 401]),
    ("GET", "/api/v1/executions/{id}", Target::Own, [200, 200, 200, 200, 200, 401]),
    ("GET", "/api/v1/executions/{id}", Target::Colleague, [200, 200, 200, 404, 404, 401]),
    ("GET", "/api/v1/executions/{id}", Target::Foreign, [200, 404, 404, 404, 404, 401]),
    ("GET", "/api/v1/executions/{id}", Target::Unknown, [404, 404, 404, 404, 404, 401]),
    ("PATCH", "/api/v1/executions/{id}", Target::Own, [200, 200, 200, 200, 200, 401]),
    ("PATCH", "/api/v1/executions/{id}", Target::Colleague, [200, 200, 200, 404, 404, 401]),
    ("PATCH", "/api/v1/executions/{id}", Target::Foreign, [200, 404, 404, 404, 404, 401]),
    ("PATCH", "/api/v1/executions/{id}", Target::Unknown, [404, 404, 404, 404, 404, 401]),
    ("POST", "/api/v1/users/{id}/force-logout", Target::Own, [200, 200, 200, 403, 403, 401]),
    ("POST", "/api/v1/users/{id}/force-logout", Target::Colleague, [200, 200, 200, 403, 403, 401]),
    ("POST", "/api/v1/users/{id}/force-logout", Target::Foreign, [200, 404, 404, 403, 403, 401]),
    ("POST", "/api/v1/users/{id}/force-logout", Target::Unknown, [404, 404, 404, 403, 403, 401]),
    // Only with a role of one's own.
    ("POST", "/api/v1/sessions", Target::None, [403, 403, 403, 403, 403, 401]),
    ("POST", "/api/v1/introspect", Target::None, [403, 403, 403, 403, 403, 401]),
    // Whoever has a token may revoke it.
    ("POST", "/api/v1/revoke", Target::None, [200, 200, 200, 200, 200, 200]),
    ("GET", "/api/v1/users/{id}/policy", Target::Own, [200, 200, 200, 403, 403, 401]),
    ("GET", "/api/v1/users/{id}/policy", Target::Colleague, [200, 200, 200, 403, 403, 401]),
    ("GET", "/api/v1/users/{id}/policy", Target::Foreign, [200, 404, 404, 403, 403, 401]),
    ("GET", "/api/v1/users/{id}/policy", Target::Unknown, [404, 404, 404, 403, 403, 401]),
    ("DELETE", "/api/v1/users/{id}", Target::Own, [403, 403, 403, 403, 403, 401]),
    ("DELETE", "/api/v1/users/{id}", Target::Colleague, [204, 204, 403, 403, 403, 401]),
    ("DELETE", "/api/v1/users/{id}", Target::Foreign, [204, 404, 403, 403, 403, 401]),
    ("DELETE", "/api/v1/users/{id}", Target::Unknown, [404, 404, 403, 403, 403, 401]),
    ("POST", "/api/v1/users/{id}/reset-password", Target::Own, [403, 403, 403, 403, 403, 401]),
    ("POST", "/api/v1/users/{id}/reset-password", Target::Colleague, [200, 200, 403, 403, 403, 401]),
    ("POST", "/api/v1/users/{id}/reset-password", Target::Foreign, [200, 404, 403, 403, 403, 401]),
    ("POST", "/api/v1/users/{id}/reset-password", Target::Unknown, [404, 404, 403, 403, 403, 401]),
    ("POST", "/api/v1/users/{id}/unlock", Target::Own, [204, 204, 403, 403, 403, 401]),
    ("POST", "/api/v1/users/{id}/unlock", Target::Colleague, [204, 204, 403, 403, 403, 401]),
    ("POST", "/api/v1/users/{id}/unlock", Target::Foreign, [204, 404, 403, 403, 403, 401]),
    ("POST", "/api/v1/users/{id}/unlock", Target::Unknown, [404, 404, 403, 403, 403, 401]),
    // "Own" is a built-in role here, which is everybody's and fixed.
    ("GET", "/api/v1/roles", Target::None, [200, 200, 200, 403, 403, 401]),
    ("POST", "/api/v1/roles", Target::None, [201, 201, 403, 403, 403, 401]),
    ("GET", "/api/v1/roles/{key}", Target::Own, [200, 200, 200, 403, 403, 401]),
    ("GET", "/api/v1/roles/{key}", Target::Colleague, [200, 200, 200, 403, 403, 401]),
    ("GET", "/api/v1/roles/{key}", Target::Foreign, [200, 404, 404, 403, 403, 401]),
    ("GET", "/api/v1/roles/{key}", Target::Unknown, [404, 404, 404, 403, 403, 401]),
    ("PATCH", "/api/v1/roles/{key}", Target::Own, [403, 403, 403, 403, 403, 401]),
    ("PATCH", "/api/v1/roles/{key}", Target::Colleague, [200, 200, 403, 403, 403, 401]),
    ("PATCH", "/api/v1/roles/{key}", Target::Foreign, [200, 404, 403, 403, 403, 401]),
    ("PATCH", "/api/v1/roles/{key}", Target::Unknown, [404, 404, 403, 403, 403, 401]),
    ("DELETE", "/api/v1/roles/{key}", Target::Own, [403, 403, 403, 403, 403, 401]),
    ("DELETE", "/api/v1/roles/{key}", Target::Colleague, [204, 204, 403, 403, 403, 401]),
    ("DELETE", "/api/v1/roles/{key}", Target::Foreign, [204, 404, 403, 403, 403, 401]),
    ("DELETE", "/api/v1/roles/{key}", Target::Unknown, [404, 404, 403, 403, 403, 401]),
    ("GET", "/api/v1/organisations", Target::None, [200, 403, 403, 403, 403, 401]),
    ("POST", "/api/v1/organisations", Target::None, [201, 403, 403, 403, 403, 401]),
    ("GET", "/api/v1/organisations/{id}", Target::Own, [200, 403, 403, 403, 403, 401]),
    ("GET", "/api/v1/organisations/{id}", Target::Foreign, [200, 403, 403, 403, 403, 401]),
    ("GET", "/api/v1/organisations/{id}", Target::Unknown, [404, 403, 403, 403, 403, 401]),
    ("PATCH", "/api/v1/organisations/{id}", Target::Own, [200, 403, 403, 403, 403, 401]),
    ("PATCH", "/api/v1/organisations/{id}", Target::Foreign, [200, 403, 403, 403, 403, 401]),
    ("PATCH", "/api/v1/organisations/{id}", Target::Unknown, [404, 403, 403, 403, 403, 401]),
    ("GET", "/api/v1/integrations/providers", Target::None, [200, 403, 403, 403, 403, 401]),
    ("GET", "/api/v1/integrations/providers/{key}", Target::Unknown, [404, 403, 403, 403, 403, 401]),
    // An address that nothing is asked at.
    ("PUT", "/api/v1/integrations/providers/{key}", Target::Unknown, [400, 403, 403, 403, 403, 401]),
    ("DELETE", "/api/v1/integrations/providers/{key}", Target::Unknown, [404, 403, 403, 403, 403, 401]),
    ("GET", "/api/v1/me/notices", Target::None, [200, 200, 200, 200, 200, 401]),
    ("POST", "/api/v1/me/notices/{id}/confirm", Target::Unknown, [404, 404, 404, 404, 404, 401]),
    ("POST", "/api/v1/me/notices/{id}/disown", Target::Unknown, [404, 404, 404, 404, 404, 401]),
    // For everyone; with a body that says nothing.
    ("POST", "/api/v1/forgot-password", Target::None, [400, 400, 400, 400, 400, 400]),
    ("POST", "/api/v1/reset-password", Target::None, [400, 400, 400, 400, 400, 400]),
    ("POST", "/api/v1/report-sign-in", Target::None, [400, 400, 400, 400, 400, 400]),
    ("GET", "/.well-known/jwks.json", Target::None, [200, 200, 200, 200, 200, 200]),
    // There is none without `public-url`.
    ("GET", "/.well-known/ssf-configuration", Target::None, [404, 404, 404, 404, 404, 404]),
    ("GET", "/api/v1/integrations/receivers", Target::None, [200, 403, 403, 403, 403, 401]),
    // An address that nothing is sent to.
    ("POST", "/api/v1/integrations/receivers", Target::None, [400, 403, 403, 403, 403, 401]),
    ("GET", "/api/v1/integrations/receivers/{id}", Target::Unknown, [404, 403, 403, 403, 403, 401]),
    ("PATCH", "/api/v1/integrations/receivers/{id}", Target::Unknown, [404, 403, 403, 403, 403, 401]),
    ("DELETE", "/api/v1/integrations/receivers/{id}", Target::Unknown, [404, 403, 403, 403, 403, 401]),
    ("POST", "/api/v1/integrations/receivers/{id}/pause", Target::Unknown, [404, 403, 403, 403, 403, 401]),
    ("POST", "/api/v1/integrations/receivers/{id}/resume", Target::Unknown, [404, 403, 403, 403, 403, 401]),
    ("POST", "/api/v1/integrations/receivers/{id}/test", Target::Unknown, [404, 403, 403, 403, 403, 401]),
    ("GET", "/api/v1/integrations/deliveries", Target::None, [200, 403, 403, 403, 403, 401]),
    // This can be no id of a delivery.
    ("POST", "/api/v1/integrations/deliveries/{id}/replay", Target::Unknown, [404, 404, 404, 404, 404, 401]),
    ("GET", "/api/v1/integrations/confirmations", Target::None, [200, 403, 403, 403, 403, 401]),
    ("GET", "/api/v1/audit", Target::None, [200, 200, 403, 403, 403, 401]),
    ("GET", "/api/v1/audit/export", Target::None, [200, 200, 403, 403, 403, 401]),
    ("GET", "/api/UserRequests", Target::None, [200, 200, 200, 403, 403, 401]),
    ("DELETE", "/api/UserRequest/{requestId}", Target::Own, [204, 204, 204, 204, 204, 401]),
    ("DELETE", "/api/UserRequest/{requestId}", Target::Colleague, [204, 204, 204, 403, 403, 401]),
    ("DELETE", "/api/UserRequest/{requestId}", Target::Foreign, [204, 404, 404, 403, 403, 401]),
    ("DELETE", "/api/UserRequest/{requestId}", Target::Unknown, [404, 404, 404, 403, 403, 401]),
];

struct World {
    app: TestApp,
    callers: Vec<Option<Person>>,
    colleague: Person,
    foreigner: Person,
}

impl World {
    async fn make(app: TestApp) -> Self {
        let acme = app.organisation("Acme").await;
        let globex = app.organisation("Globex").await;
        let mut callers = Vec::new();
        for role in CALLERS {
            callers.push(match role {
                Some(role) => Some(
                    app.user(acme, role, &format!("{}@acme.test", role.key()))
                        .await,
                ),
                None => None,
            });
        }
        let colleague = app
            .user(acme, BuiltInRole::Member, "colleague@acme.test")
            .await;
        let foreigner = app
            .user(globex, BuiltInRole::Member, "foreigner@globex.test")
            .await;
        Self {
            app,
            callers,
            colleague,
            foreigner,
        }
    }

    // Somebody new for each call: some of them are deleted by it.
    async fn person(&self, target: Target, caller: Option<&Person>) -> Option<Person> {
        let email = format!("{}@test", crate::support::unknown_id());
        let made = async |like: &Person| {
            Some(
                self.app
                    .user(like.organisation, BuiltInRole::Member, &email)
                    .await,
            )
        };
        match target {
            // Whoever is nobody tries somebody's.
            Target::Own => Some(caller.unwrap_or(&self.colleague).clone()),
            Target::Colleague => made(&self.colleague).await,
            Target::Foreign => made(&self.foreigner).await,
            Target::Unknown | Target::None => None,
        }
    }

    async fn role(&self, target: Target) -> String {
        let home = match target {
            Target::Own => return BuiltInRole::Member.key().to_owned(),
            Target::Colleague => self.colleague.organisation,
            Target::Foreign => self.foreigner.organisation,
            Target::Unknown | Target::None => return crate::support::unknown_id().to_string(),
        };
        let name = crate::support::unknown_id().to_string();
        self.app.role(home, &name, Permissions::default()).await.0
    }

    async fn status(&self, (method, path, target, _): &Row, caller: Option<&Person>) -> u16 {
        let client = match caller {
            Some(person) => self.app.browser_of(person).await,
            None => self.app.browser(),
        };
        let person = self.person(*target, caller).await;
        // What ends everything ends what began at the same moment, too.
        self.app.advance(crate::support::seconds(1));
        let session = match &person {
            Some(person) => self.app.open_session(person, NewRow::default()).await.0.0,
            None => crate::support::unknown_id(),
        };
        let unknown = crate::support::unknown_id;
        let id = if path.contains("/keys/") {
            match &person {
                Some(person) => self.app.api_key(person, &[]).await.0.0,
                None => unknown(),
            }
        } else if path.contains("/clients/") || path.contains("/executions/") {
            match &person {
                Some(person) => {
                    let runner = self.app.runner(person).await;
                    let id = match path.contains("/clients/") {
                        true => runner.id.clone(),
                        false => runner.start("TC-1").await,
                    };
                    id.parse().expect("an id")
                }
                None => unknown(),
            }
        } else if path.contains("/users/") || path.ends_with("/end-all") {
            person.map_or_else(unknown, |person| person.id.0)
        } else if path.contains("/organisations/") {
            person.map_or_else(unknown, |person| person.organisation.0)
        } else {
            session
        };
        let (id, key) = (id.to_string(), self.role(*target).await);
        let path = path
            .replace("{id}", &id)
            .replace("{requestId}", &id)
            .replace("{key}", &key);
        let status = send(&client, method, &path, &id).await;
        self.check_effect(method, &path, session, *target, status)
            .await;
        status
    }

    // A call that was refused has changed nothing.
    async fn check_effect(
        &self,
        method: &str,
        path: &str,
        session: uuid::Uuid,
        target: Target,
        status: u16,
    ) {
        let ends = path.contains("/sessions") || path.contains("/UserRequest/");
        if method == "DELETE" && ends && !matches!(target, Target::None | Target::Unknown) {
            let stored = self.app.stored(rollcall_core::SessionId(session)).await;
            assert_eq!(stored.ended.is_some(), status == 204);
        }
        if method == "PATCH"
            && path.contains("/me/sessions/")
            && !matches!(target, Target::None | Target::Unknown)
        {
            let stored = self.app.stored(rollcall_core::SessionId(session)).await;
            assert_eq!(stored.name == "renamed", status == 200);
        }
    }
}

async fn send(client: &Client, method: &str, path: &str, id: &str) -> u16 {
    let method: Method = method.parse().expect("a method");
    let new = crate::support::unknown_id();
    let body = match path {
        "/api/v1/sign-in" => json!({ "email": "colleague@acme.test", "password": PASSWORD }),
        "/api/v1/me/password" => {
            json!({ "current_password": "a wrong password", "new_password": "nine loud geese before dawn" })
        }
        "/api/v1/me/reauthenticate" => json!({ "current_password": "a wrong password" }),
        "/api/v1/sessions" => json!({ "email": "colleague@acme.test" }),
        "/api/v1/users" => json!({ "email": format!("{new}@acme.test") }),
        "/api/v1/keys" => json!({ "name": new.to_string(), "permissions": [] }),
        "/api/v1/roles" => json!({ "name": new.to_string(), "permissions": [] }),
        "/api/v1/sessions/end-preview" => json!({ "ids": [id] }),
        "/api/v1/sessions/end" => json!({ "preview": id }),
        "/api/v1/sessions/end-all" => json!({ "scope": "user", "id": id }),
        "/api/v1/me/filters" => json!({ "name": new.to_string(), "query": "state=active" }),
        "/api/v1/me/columns" => json!({ "columns": ["ip"] }),
        "/api/v1/policy" | "/api/v1/policy/preview" => {
            json!({ "values": { "most_sessions": 50 } })
        }
        "/api/v1/executions" => json!({ "artefact_id": "TC-1" }),
        "/api/v1/integrations/receivers" => {
            json!({ "name": new.to_string(), "url": "https://192.0.2.7/hook" })
        }
        path if path.contains("/integrations/providers/") => {
            json!({ "label": "Staff", "issuer": "https://127.0.0.1:1", "client_id": "rollcall" })
        }
        path if path.starts_with("/api/v1/executions/") => json!({ "state": "terminated" }),
        path if path.ends_with("/dispatch") => json!({ "run": "suite", "artefact_id": "TS-1" }),
        path if path.ends_with("/force-logout") => json!({}),
        path if path.starts_with("/api/v1/me/sessions/") => json!({ "name": "renamed" }),
        _ => json!({ "name": new.to_string() }),
    };
    let given = match path {
        "/api/v1/throttled-addresses" if method == Method::DELETE => "?ip=192.0.2.7",
        path if path.ends_with("/export") => "?format=ndjson",
        _ => "",
    };
    let ask = match !given.is_empty() {
        true => client.ask(method.clone(), &format!("{path}{given}")),
        false => client.ask(method.clone(), path),
    };
    let with_body = method == Method::PATCH
        || method == Method::PUT
        || method == Method::POST
            && !path.ends_with("/unlock")
            && !(path.starts_with("/api/v1/users/") && path.ends_with("/reset-password"));
    let answer = match with_body && !path.ends_with("/sign-out") {
        _ if path.ends_with("/introspect") || path.ends_with("/revoke") => {
            ask.form(&[("token", "x")]).await
        }
        true => ask.json(&body).await,
        false => ask.await,
    };
    if answer.status >= 400 {
        let code = answer.json()["code"].as_str().expect("a code").to_owned();
        answer.problem(answer.status, &code);
    }
    answer.status
}

async fn every_role_gets_exactly_what_the_table_says() {
    let (app, anon, _) = TestApp::start().with_admin().await;
    let world = World::make(app).await;
    for row in TABLE {
        for (caller, expected) in world.callers.iter().zip(row.3) {
            let status = world.status(row, caller.as_ref()).await;
            let who = caller
                .as_ref()
                .map_or("nobody", |person| person.role.name());
            assert_eq!(
                status, expected,
                "{who}: {} {} on {:?}",
                row.0, row.1, row.2
            );
        }
    }
    // Nothing that the API describes is missing in the table.
    let document = anon.get("/api/openapi.json").await.ok();
    let paths = document["paths"].as_object().expect("paths");
    let described: BTreeSet<_> = paths
        .iter()
        .flat_map(|(path, item)| operations(path, item))
        .collect();
    let tested: BTreeSet<_> = TABLE
        .iter()
        .map(|row| format!("{} {}", row.0, row.1))
        .collect();
    assert_eq!(described, tested);
}

fn operations(path: &str, item: &Value) -> Vec<String> {
    let methods = item.as_object().expect("operations").keys();
    methods
        .map(|method| format!("{} {path}", method.to_uppercase()))
        .collect()
}
