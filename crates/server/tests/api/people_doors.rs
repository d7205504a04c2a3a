//! The server functions about users, roles and organisations: every role on every one of them, with every kind
//! of target, gets what REST gives.

use http::Method;
use rollcall_core::{BuiltInRole, OrganisationId, Permissions};
use serde_json::{Value, json};

use crate::support::{Answer, Client, NewRow, Person, TestApp, unknown_id};

both_databases!(
    every_role_may_do_the_same_to_people_by_both_doors,
    a_one_time_password_is_handed_to_the_next_page_once,
    forms_lead_on_and_carry_no_secret,
);

async fn rpc(client: &Client, function: &str, fields: &[(&str, &str)]) -> Answer {
    client
        .ask(Method::POST, &format!("/rpc/{function}"))
        .header("accept", "application/json")
        .form(fields)
        .await
}

/// Something that is done to one user, role or organisation.
struct Twin {
    function: &'static str,
    /// What the function calls its target.
    field: &'static str,
    method: Method,
    /// With `{}` for the target.
    path: &'static str,
    /// Sends a new name along.
    named: bool,
}

const fn twin(
    function: &'static str,
    field: &'static str,
    method: Method,
    path: &'static str,
    named: bool,
) -> Twin {
    Twin {
        function,
        field,
        method,
        path,
        named,
    }
}

const USERS: [Twin; 7] = [
    twin("find_user", "user", Method::GET, "/api/v1/users/{}", false),
    twin(
        "user_policy",
        "user",
        Method::GET,
        "/api/v1/users/{}/policy",
        false,
    ),
    twin("edit_user", "user", Method::PATCH, "/api/v1/users/{}", true),
    twin(
        "delete_user",
        "user",
        Method::DELETE,
        "/api/v1/users/{}",
        false,
    ),
    twin(
        "reset_password",
        "user",
        Method::POST,
        "/api/v1/users/{}/reset-password",
        false,
    ),
    twin(
        "unlock_user",
        "user",
        Method::POST,
        "/api/v1/users/{}/unlock",
        false,
    ),
    twin(
        "list_user_sessions",
        "user",
        Method::GET,
        "/api/v1/users/{}/sessions",
        false,
    ),
];
const ROLES: [Twin; 3] = [
    twin("find_role", "role", Method::GET, "/api/v1/roles/{}", false),
    twin("edit_role", "role", Method::PATCH, "/api/v1/roles/{}", true),
    twin(
        "delete_role",
        "role",
        Method::DELETE,
        "/api/v1/roles/{}",
        false,
    ),
];
const ORGANISATIONS: [Twin; 2] = [
    twin(
        "find_organisation",
        "organisation",
        Method::GET,
        "/api/v1/organisations/{}",
        false,
    ),
    twin(
        "edit_organisation",
        "organisation",
        Method::PATCH,
        "/api/v1/organisations/{}",
        true,
    ),
];

impl Twin {
    async fn by_rest(&self, client: &Client, target: &str) -> u16 {
        let path = self.path.replace("{}", target);
        let name = unknown_id().to_string();
        let answer = match self.named {
            true => {
                client
                    .ask(self.method.clone(), &path)
                    .json(&json!({ "name": name }))
                    .await
            }
            false => client.ask(self.method.clone(), &path).await,
        };
        // 200, 201 and 204 are one to a server function.
        if answer.status < 300 {
            200
        } else {
            answer.status
        }
    }

    async fn by_rpc(&self, client: &Client, target: &str) -> u16 {
        let name = unknown_id().to_string();
        let mut fields = vec![(self.field, target)];
        if self.named {
            fields.push(("name", &name));
        }
        rpc(client, self.function, &fields).await.status
    }
}

async fn every_role_may_do_the_same_to_people_by_both_doors() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let acme = app.organisation("Acme").await;
    let globex = app.organisation("Globex").await;
    let mut callers = vec![None];
    for role in BuiltInRole::ALL {
        let email = format!("{}@acme.test", role.key());
        callers.push(Some(app.user(acme, role, &email).await));
    }
    let user = async |home: OrganisationId| {
        let email = format!("{}@test", unknown_id());
        let person = app.user(home, BuiltInRole::Member, &email).await;
        app.open_session(&person, NewRow::default()).await;
        person.id.to_string()
    };
    let role = async |home: OrganisationId| {
        let name = unknown_id().to_string();
        app.role(home, &name, Permissions::default()).await.0
    };
    for caller in &callers {
        let client = async || match caller {
            Some(person) => app.browser_of(person).await,
            None => app.browser(),
        };
        let who = caller
            .as_ref()
            .map_or("nobody", |person: &Person| person.role.key());
        for home in [Some(acme), Some(globex), None] {
            for twin in &USERS {
                let target = async || match home {
                    Some(home) => user(home).await,
                    None => unknown_id().to_string(),
                };
                let rest = twin.by_rest(&client().await, &target().await).await;
                let rpc = twin.by_rpc(&client().await, &target().await).await;
                assert_eq!(rpc, rest, "{who} {} {home:?}", twin.function);
            }
            for twin in &ROLES {
                let target = async || match home {
                    Some(home) => role(home).await,
                    None => unknown_id().to_string(),
                };
                let rest = twin.by_rest(&client().await, &target().await).await;
                let rpc = twin.by_rpc(&client().await, &target().await).await;
                assert_eq!(rpc, rest, "{who} {} {home:?}", twin.function);
            }
            for twin in &ORGANISATIONS {
                let target = home.map_or_else(unknown_id, |home| home.0).to_string();
                let rest = twin.by_rest(&client().await, &target).await;
                let rpc = twin.by_rpc(&client().await, &target).await;
                assert_eq!(rpc, rest, "{who} {} {home:?}", twin.function);
            }
        }
        if let Some(person) = caller {
            // Oneself, and a role that everybody has.
            for twin in &USERS {
                let own = person.id.to_string();
                let rest = twin.by_rest(&client().await, &own).await;
                let rpc = twin.by_rpc(&client().await, &own).await;
                assert_eq!(rpc, rest, "{who} {} on oneself", twin.function);
            }
            for twin in &ROLES {
                let rest = twin.by_rest(&client().await, "member").await;
                let rpc = twin.by_rpc(&client().await, "member").await;
                assert_eq!(rpc, rest, "{who} {} on a built-in role", twin.function);
            }
        }
        for (function, path) in [
            ("list_users", "/api/v1/users"),
            ("list_roles", "/api/v1/roles"),
            ("list_organisations", "/api/v1/organisations"),
        ] {
            let rest = client().await.get(path).await.status;
            assert_eq!(
                rpc(&client().await, function, &[]).await.status,
                rest,
                "{who} {function}"
            );
        }
        for (function, path, field) in [
            ("create_user", "/api/v1/users", "email"),
            ("create_role", "/api/v1/roles", "name"),
            ("create_organisation", "/api/v1/organisations", "name"),
        ] {
            let new = || format!("{}@test", unknown_id());
            let mut body = json!({ field: new() });
            if function == "create_role" {
                body["permissions"] = json!([]);
            }
            let rest = client().await.post(path, body).await.status;
            let rest = if rest == 201 { 200 } else { rest };
            let made = rpc(&client().await, function, &[(field, &new())]).await;
            assert_eq!(made.status, rest, "{who} {function}: {}", made.text());
        }
        let expected = match caller.as_ref().map(|person| person.role) {
            None => 401,
            Some(BuiltInRole::PlatformAdministrator | BuiltInRole::Administrator) => 200,
            Some(_) => 403,
        };
        let id = unknown_id().to_string();
        let asked = rpc(&client().await, "one_time_password", &[("user", &id)]).await;
        assert_eq!(asked.status, expected, "{who}");
    }
}

async fn a_one_time_password_is_handed_to_the_next_page_once() {
    let (app, anon, root) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let other = app.browser_of(&app.admin().await).await;
    let id = nora.id.to_string();
    let reset = rpc(&root, "reset_password", &[("user", &id)]).await;
    assert_eq!(reset.ok(), Value::Null);
    assert_eq!(reset.header("location"), Some(&*format!("/users/{id}")));
    let ask = async |client: &Client, id: &str| {
        rpc(client, "one_time_password", &[("user", id)]).await.ok()
    };
    // Neither another session of the same user, nor for another user.
    assert_eq!(ask(&other, &id).await, Value::Null);
    assert_eq!(ask(&root, &unknown_id().to_string()).await, Value::Null);
    let page = root
        .get(&format!("/users/{id}"))
        .header("accept", "text/html")
        .await;
    let text = page.text();
    assert_eq!(page.status, 200, "{text}");
    let password = text
        .split("<code class=\"secret\">")
        .nth(1)
        .and_then(|rest| rest.split('<').next());
    let password = password.expect("it is shown").to_owned();
    assert_eq!(page.header("cache-control"), Some("no-store"));
    anon.sign_in_as(&nora.email, &password).await.ok();
    let again = root
        .get(&format!("/users/{id}"))
        .header("accept", "text/html")
        .await;
    assert!(!again.text().contains(&password));
    assert_eq!(ask(&root, &id).await, Value::Null);
    // A program has it in its answer, and no page after it.
    root.ask(Method::POST, &format!("/api/v1/users/{id}/reset-password"))
        .await
        .ok();
    assert_eq!(ask(&root, &id).await, Value::Null);
}

async fn forms_lead_on_and_carry_no_secret() {
    let (app, _, root) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let id = nora.id.to_string();
    let form = async |function: &str, fields: &[(&str, &str)]| {
        let ask = root.ask(Method::POST, &format!("/rpc/{function}"));
        let answer = ask
            .header("accept", "text/html")
            .header("referer", "http://localhost:8080/users/new")
            .form(fields)
            .await;
        assert_eq!(answer.status, 303, "{function}: {}", answer.text());
        answer.header("location").expect("a place").to_owned()
    };
    let made = form(
        "create_user",
        &[("email", "bo@acme.test"), ("roles[]", "session_manager")],
    )
    .await;
    let bo = made
        .strip_prefix("/users/")
        .expect("the user's page")
        .to_owned();
    assert!(bo.parse::<rollcall_core::UserId>().is_ok(), "{made}");
    let found = root.get(&format!("/api/v1/users/{bo}")).await.ok();
    assert_eq!(found["roles"][0]["key"], "session_manager");
    // None ticked takes them away; a form that does not ask leaves them.
    assert_eq!(
        form("edit_user", &[("user", &bo), ("name", "Bo")]).await,
        made
    );
    let found = root.get(&format!("/api/v1/users/{bo}")).await.ok();
    assert_eq!(
        (&found["name"], found["roles"].as_array().map(Vec::len)),
        (&json!("Bo"), Some(1))
    );
    form("edit_user", &[("user", &bo), ("roles[]", "")]).await;
    let found = root.get(&format!("/api/v1/users/{bo}")).await.ok();
    assert_eq!(found["roles"], json!([]));
    // What is refused leads back with a code, and nothing of what was typed.
    let back = form(
        "create_user",
        &[("email", "bo@acme.test"), ("name", "Hidden words")],
    )
    .await;
    assert!(back.starts_with("/users/new?"), "{back}");
    assert!(
        !back.contains("Hidden") && !back.contains("acme.test"),
        "{back}"
    );
    let page = root.get(&back).header("accept", "text/html").await;
    assert!(
        page.text().contains("Another user has this e-mail"),
        "{}",
        page.text()
    );
    let there = format!("/users/{id}");
    let ended = form("end_user_sessions", &[("user", &id), ("go", "true")]).await;
    assert_eq!(ended, there);
    assert_eq!(form("unlock_user", &[("user", &id)]).await, "/users/locked");
    assert_eq!(form("delete_user", &[("user", &bo)]).await, "/users");
    let role = [
        ("name", "Auditor"),
        ("permissions[]", "audit.view"),
        ("permissions[]", "users.view"),
    ];
    assert_eq!(form("create_role", &role).await, "/roles");
    let roles = root.get("/api/v1/roles?q=auditor").await.ok();
    assert_eq!(
        roles["items"][0]["permissions"],
        json!(["users.view", "audit.view"])
    );
    assert_eq!(
        form("create_organisation", &[("name", "Initech")]).await,
        "/organisations"
    );
}
