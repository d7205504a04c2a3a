//! What lies in another organisation does not exist.

use rollcall_core::BuiltInRole;
use serde_json::{Value, json};

use crate::support::{Client, NewRow, PASSWORD, Person, TestApp, minutes};

both_databases!(
    nothing_of_another_organisation_is_listed_counted_or_found,
    the_platform_administrator_has_no_name_elsewhere,
    no_request_field_widens_the_reach,
    the_audit_of_an_organisation_is_its_own,
    unknown_names_are_seen_by_platform_administrators_only,
    random_users_see_exactly_their_own_organisation,
);

struct Two {
    ada: Person,
    nora: Person,
    eve: Person,
}

async fn two(app: &TestApp) -> Two {
    let acme = app.organisation("Acme").await;
    let globex = app.organisation("Globex").await;
    Two {
        ada: app
            .user(acme, BuiltInRole::Administrator, "ada@acme.test")
            .await,
        nora: app.user(acme, BuiltInRole::Member, "nora@acme.test").await,
        eve: app
            .user(globex, BuiltInRole::Administrator, "eve@globex.test")
            .await,
    }
}

async fn emails(client: &Client, query: &str) -> Vec<String> {
    let page = client
        .get(&format!("/api/v1/sessions?page_size=100&{query}"))
        .await
        .ok();
    let items = page["items"].as_array().expect("a list");
    assert_eq!(page["total"], items.len());
    let mut emails: Vec<_> = items
        .iter()
        .map(|item| {
            item["user"]["email"]
                .as_str()
                .expect("an e-mail")
                .to_owned()
        })
        .collect();
    emails.sort();
    emails
}

async fn nothing_of_another_organisation_is_listed_counted_or_found() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let two = two(&app).await;
    let row = NewRow {
        name: "Kestrel deploys".into(),
        ip: "2001:db8:77::1".into(),
        ..NewRow::default()
    };
    let (foreign, _) = app.open_session(&two.eve, row).await;
    app.open_session(&two.nora, NewRow::default()).await;
    let ada = app.browser_of(&two.ada).await;
    assert_eq!(emails(&ada, "").await, ["ada@acme.test", "nora@acme.test"]);
    assert_eq!(
        emails(&admin, "").await,
        [
            "ada@acme.test",
            TestApp::ADMIN,
            "eve@globex.test",
            "nora@acme.test"
        ]
    );
    for search in ["eve", "globex", "2001:db8:77", "Kestrel", "e"] {
        let found = emails(&ada, &format!("q={search}")).await;
        assert!(
            found.iter().all(|email| email.ends_with("@acme.test")),
            "{search}: {found:?}"
        );
        assert!(
            emails(&admin, &format!("q={search}"))
                .await
                .iter()
                .any(|email| email.contains("eve")),
            "{search}"
        );
    }
    let stats = ada.get("/api/v1/sessions/stats").await.ok();
    assert_eq!(
        (&stats["total"], &stats["active"], &stats["unique_users"]),
        (&json!(2), &json!(2), &json!(2))
    );
    let unknown = ada
        .get(&format!(
            "/api/v1/sessions/{}",
            crate::support::unknown_id()
        ))
        .await;
    let hidden = ada.get(&format!("/api/v1/sessions/{foreign}")).await;
    let (mut one, mut other) = (
        unknown.problem(404, "not_found"),
        hidden.problem(404, "not_found"),
    );
    one["request_id"] = Value::Null;
    other["request_id"] = Value::Null;
    assert_eq!(one, other, "a foreign id reads as an unknown one");
    let requests = ada.get("/api/UserRequests").await.text();
    let audit = ada.get("/api/v1/audit?page_size=100").await.text();
    for (what, text) in [("UserRequests", requests), ("audit", audit)] {
        for word in [
            "eve",
            "globex",
            "Globex",
            "Kestrel",
            &foreign.to_string(),
            &two.eve.id.to_string(),
            &two.eve.organisation.to_string(),
        ] {
            assert!(!text.contains(word), "{what} tells {word}: {text}");
        }
    }
    for query in [format!("session={foreign}"), format!("user={}", two.eve.id)] {
        assert_eq!(
            ada.get(&format!("/api/v1/audit?{query}")).await.ok()["total"],
            0
        );
    }
}

async fn the_platform_administrator_has_no_name_elsewhere() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let two = two(&app).await;
    let (id, _) = app.open_session(&two.nora, NewRow::default()).await;
    let myself = app.admin().await;
    admin
        .delete(&format!("/api/v1/sessions/{id}"))
        .json(&json!({ "reason": "tidying" }))
        .await
        .done();
    admin
        .delete(&format!("/api/v1/users/{}/sessions", two.nora.id))
        .await
        .done();
    let ada = app.browser_of(&two.ada).await;
    let session = ada.get(&format!("/api/v1/sessions/{id}")).await.ok();
    assert_eq!(
        session["ended"]["by"],
        json!({ "id": null, "name": "Platform administrator" })
    );
    assert_eq!(session["ended"]["note"], "tidying");
    let by_admin = admin.get(&format!("/api/v1/sessions/{id}")).await.ok();
    assert_eq!(
        by_admin["ended"]["by"],
        json!({ "id": myself.id, "name": myself.name })
    );
    let audit = ada.get("/api/v1/audit?page_size=100").await;
    let events = audit.ok();
    let ended: Vec<_> = events["items"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|event| event["action"] != "sign_in")
        .collect();
    assert_eq!(ended.len(), 2, "{events}");
    for event in ended {
        assert_eq!(
            event["actor"],
            json!({ "id": null, "name": "Platform administrator" })
        );
        assert_eq!(event["target"]["email"], "nora@acme.test");
    }
    let own = app
        .browser_of(&two.nora)
        .await
        .get("/api/v1/me/sessions?state=ended")
        .await;
    for (what, text) in [
        ("audit", audit.text()),
        ("own", own.text()),
        ("session", session.to_string()),
    ] {
        for word in [TestApp::ADMIN, &myself.id.to_string(), "Default"] {
            assert!(!text.contains(word), "{what} tells {word}: {text}");
        }
    }
    // A filter by the hidden actor tells nothing either.
    let by_actor = ada
        .get(&format!("/api/v1/audit?user={}", myself.id))
        .await
        .ok();
    assert_eq!(by_actor["total"], 0, "{by_actor}");
    // A colleague has a name.
    let (id, _) = app.open_session(&two.nora, NewRow::default()).await;
    ada.delete(&format!("/api/v1/sessions/{id}")).await.done();
    let session = ada.get(&format!("/api/v1/sessions/{id}")).await.ok();
    assert_eq!(
        session["ended"]["by"],
        json!({ "id": two.ada.id, "name": "ada" })
    );
}

async fn no_request_field_widens_the_reach() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let two = two(&app).await;
    let (foreign, _) = app.open_session(&two.eve, NewRow::default()).await;
    let ada = app.browser_of(&two.ada).await;
    let globex = two.eve.organisation;
    for name in [
        "organisation",
        "organisation_id",
        "organization_id",
        "org",
        "user_id",
        "scope",
    ] {
        let list = ada.get(&format!("/api/v1/sessions?{name}={globex}")).await;
        match name {
            // A filter, which leaves nothing of what is out of reach.
            "organisation" => assert_eq!(list.ok()["total"], 0),
            _ => drop(list.field(name)),
        }
        ada.get(&format!("/api/v1/sessions/stats?{name}={globex}"))
            .await
            .field(name);
        ada.get(&format!("/api/v1/audit?{name}={globex}"))
            .await
            .field(name);
        ada.get(&format!("/api/UserRequests?{name}={globex}"))
            .await
            .field(name);
        ada.delete(&format!("/api/v1/sessions/{foreign}?{name}={globex}"))
            .await
            .field(name);
        ada.delete(&format!(
            "/api/v1/users/{}/sessions?{name}={globex}",
            two.eve.id
        ))
        .await
        .field(name);
        let body = json!({ name: globex });
        ada.delete(&format!("/api/v1/sessions/{foreign}"))
            .json(&body)
            .await
            .field(name);
        let body = json!({ "email": two.ada.email, "password": PASSWORD, name: globex });
        ada.post("/api/v1/sign-in", body).await.field(name);
    }
    for name in ["x-organisation", "x-organisation-id", "x-user-id", "x-role"] {
        let answer = ada
            .get("/api/v1/sessions")
            .header(name, globex.to_string())
            .await
            .ok();
        assert_eq!(answer["total"], 1);
    }
    assert_eq!(app.stored(foreign).await.ended, None);
}

async fn the_audit_of_an_organisation_is_its_own() {
    let (app, anon, _) = TestApp::start().with_admin().await;
    let two = two(&app).await;
    for person in [&two.ada, &two.nora, &two.eve] {
        anon.sign_in_as(&person.email, "a wrong password")
            .await
            .problem(401, "sign_in_failed");
        app.advance(minutes(1));
    }
    let (foreign, _) = app.open_session(&two.eve, NewRow::default()).await;
    let (ada, eve) = (
        app.browser_of(&two.ada).await,
        app.browser_of(&two.eve).await,
    );
    ada.delete(&format!("/api/v1/sessions/{foreign}"))
        .await
        .problem(404, "not_found");
    let events = async |client: &Client| {
        let page = client.get("/api/v1/audit?page_size=100").await.ok();
        let items = page["items"].as_array().expect("a list").clone();
        assert_eq!(page["total"], items.len());
        items
            .iter()
            .map(|event| {
                (
                    event["action"].as_str().expect("a word").to_owned(),
                    event["outcome"].as_str().expect("a word").to_owned(),
                    event["target"]["email"].clone(),
                )
            })
            .collect::<Vec<_>>()
    };
    let event =
        |action: &str, outcome: &str, email: Value| (action.to_owned(), outcome.to_owned(), email);
    // The attempt on the other organisation's session belongs to whoever tried.
    assert_eq!(
        events(&ada).await,
        [
            event("session.ended", "not_found", Value::Null),
            event("sign_in", "wrong_password", json!("nora@acme.test")),
            event("sign_in", "wrong_password", json!("ada@acme.test")),
        ]
    );
    assert_eq!(
        events(&eve).await,
        [event("sign_in", "wrong_password", json!("eve@globex.test"))]
    );
}

async fn unknown_names_are_seen_by_platform_administrators_only() {
    let (app, anon, admin) = TestApp::start().with_admin().await;
    let two = two(&app).await;
    anon.sign_in_as("mallory@acme.test", "a wrong password")
        .await
        .problem(401, "sign_in_failed");
    anon.sign_in_as("seven quiet herons at dusk", "nora@acme.test")
        .await
        .problem(401, "sign_in_failed");
    let ada = app.browser_of(&two.ada).await;
    assert_eq!(
        ada.get("/api/v1/audit?action=sign_in").await.ok()["total"],
        0
    );
    let seen = admin.get("/api/v1/audit?action=sign_in").await;
    assert_eq!(seen.ok()["total"], 2);
    assert!(seen.text().contains("mallory@acme.test"));
    assert!(
        !seen.text().contains("herons"),
        "a password in the wrong field is not kept"
    );
}

async fn random_users_see_exactly_their_own_organisation() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let mut managers = Vec::new();
    for number in 0..4 {
        let organisation = app.organisation(&format!("Organisation {number}")).await;
        let manager = app
            .user(
                organisation,
                BuiltInRole::SessionManager,
                &format!("boss@{number}.test"),
            )
            .await;
        let mut sessions = Vec::new();
        for index in 0..=number * 3 {
            let person = app
                .user(
                    organisation,
                    BuiltInRole::Member,
                    &format!("user-{index}@{number}.test"),
                )
                .await;
            for _ in 0..=index % 3 {
                sessions.push(
                    app.open_session(&person, NewRow::default())
                        .await
                        .0
                        .to_string(),
                );
            }
        }
        managers.push((manager, sessions));
    }
    let mut all = 1;
    for (manager, mut sessions) in managers {
        let client = app.browser_of(&manager).await;
        sessions.push(client.session_id().await.to_string());
        sessions.sort();
        let listed = client.get("/api/UserRequests").await.ok();
        let mut ids: Vec<_> = listed
            .as_array()
            .expect("a list")
            .iter()
            .map(|row| row["requestId"].as_str().expect("an id").to_owned())
            .collect();
        ids.sort();
        assert_eq!(ids, sessions);
        assert_eq!(
            client.get("/api/v1/sessions").await.ok()["total"],
            sessions.len()
        );
        assert_eq!(
            client.get("/api/v1/sessions/stats").await.ok()["total"],
            sessions.len()
        );
        all += sessions.len();
    }
    assert_eq!(admin.get("/api/v1/sessions/stats").await.ok()["total"], all);
}
