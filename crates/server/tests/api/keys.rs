//! API keys: what programs show instead of a password.

use http::Method;
use rollcall_core::{BuiltInRole, Permission as P};
use serde_json::{Value, json};

use crate::support::{Answer, Client, PASSWORD, Person, TestApp, minutes, seconds};

both_databases!(
    a_key_acts_as_its_owner_with_no_more_than_it_allows,
    a_key_is_shown_once_and_stored_as_a_hash,
    a_key_is_made_in_a_session_with_the_password_at_hand,
    what_cannot_be_a_key_is_named,
    a_revoked_or_expired_key_is_refused_from_the_next_request_on,
    whatever_takes_the_account_away_takes_its_keys_away,
    what_the_owner_loses_the_key_loses,
    a_key_changes_nothing_of_the_account_itself,
    a_key_is_no_cookie_and_comes_alone,
    a_stream_ends_with_its_key,
    of_many_made_at_once_there_are_as_many_as_there_may_be,
    pages_make_show_and_revoke_keys,
);

const KEYS: &str = "/api/v1/keys";

async fn make(client: &Client, body: Value) -> Answer {
    client.post(KEYS, body).await
}

async fn refused(client: &Client) {
    client
        .get("/api/v1/me")
        .await
        .problem(401, "unauthenticated");
}

async fn a_key_acts_as_its_owner_with_no_more_than_it_allows() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let ada = app.administrator_beside(&nora).await;
    let (_, secret) = app.api_key(&ada, &[P::SessionsView, P::SessionsEnd]).await;
    let program = app.holding(&secret);
    let me = program.get("/api/v1/me").await.ok();
    assert_eq!(me["user"]["email"], ada.email);
    assert_eq!(me["session"], Value::Null);
    assert_eq!(me["permissions"], json!(["sessions.view", "sessions.end"]));
    let victim = app.browser_of(&nora).await;
    let id = victim.session_id().await;
    program
        .get(&format!("/api/v1/sessions?q={}", nora.email))
        .await
        .ok();
    for path in ["/api/v1/audit", "/api/v1/users", "/api/v1/policy"] {
        program.get(path).await.problem(403, "forbidden");
    }
    program
        .post("/api/v1/users", json!({ "email": "new@acme.test" }))
        .await
        .problem(403, "forbidden");
    let gone = program.delete(&format!("/api/v1/sessions/{id}")).await;
    gone.done();
    assert_eq!(gone.session_token(), None);
    refused(&victim).await;
    // The trail tells that it was by a key, and by which.
    let events = admin
        .get(&format!("/api/v1/audit?session={id}&action=session.ended"))
        .await
        .ok();
    let by = events["items"][0]["actor"]["name"]
        .as_str()
        .expect("a name");
    assert!(by.ends_with("(API key pipeline)"), "{by}");
    // Another organisation does not exist for it.
    let stranger = app.stranger().await;
    let other = app.browser_of(&stranger).await.session_id().await;
    program
        .delete(&format!("/api/v1/sessions/{other}"))
        .await
        .problem(404, "not_found");
}

async fn a_key_is_shown_once_and_stored_as_a_hash() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let ada = app.admin().await;
    let browser = app.browser_of(&ada).await;
    let made = make(&browser, json!({ "name": " Nightly ", "days": 7 })).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let made = made.json();
    let secret = made["secret"].as_str().expect("a secret").to_owned();
    assert!(
        secret.starts_with("rc_k_") && secret.len() == 48,
        "{secret}"
    );
    let key = &made["key"];
    assert_eq!(key["name"], "Nightly");
    assert_eq!(key["permissions"], json!(["clients.register"]));
    assert_eq!(key["state"], "good");
    assert_eq!(
        key["expires_at"],
        (app.now() + minutes(7 * 24 * 60)).to_string()
    );
    assert_eq!(key["last_used_at"], Value::Null);
    let list = browser.get(KEYS).await;
    assert!(!list.text().contains("rc_k_") && !list.text().contains("hash"));
    assert_eq!(list.ok(), json!([key]));
    // Its use is noted, to the minute.
    let program = app.holding(&secret);
    app.advance(seconds(5));
    let first = app.now();
    program.get("/api/v1/me").await.ok();
    app.advance(seconds(59));
    program.get("/api/v1/me").await.ok();
    let used = browser.get(KEYS).await.ok()[0]["last_used_at"].clone();
    assert_eq!(used, first.to_string());
    app.advance(seconds(1));
    program.get("/api/v1/me").await.ok();
    let used = browser.get(KEYS).await.ok()[0]["last_used_at"].clone();
    assert_eq!(used, (first + minutes(1)).to_string());
    let rows = app.rows().await;
    assert!(!format!("{rows:?}").contains(&secret[5..]));
}

async fn a_key_is_made_in_a_session_with_the_password_at_hand() {
    let (app, anon, _) = TestApp::start().with_admin().await;
    let ada = app.admin().await;
    let browser = app.browser_of(&ada).await;
    let body = json!({ "name": "one" });
    make(&anon, body.clone())
        .await
        .problem(401, "unauthenticated");
    app.advance(minutes(15));
    make(&browser, body.clone())
        .await
        .problem(403, "reauthentication_required");
    browser.reauthenticate().await;
    let made = make(&browser, body.clone()).await.json();
    // No key makes another.
    let program = app.holding(made["secret"].as_str().expect("a secret"));
    make(&program, body).await.problem(403, "not_by_key");
    assert_eq!(
        browser.get(KEYS).await.ok().as_array().map(Vec::len),
        Some(1)
    );
}

async fn what_cannot_be_a_key_is_named() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let browser = app.browser_of(&nora).await;
    for (body, field) in [
        (json!({}), "name"),
        (json!({ "name": " " }), "name"),
        (json!({ "name": "x".repeat(81) }), "name"),
        (json!({ "name": "a\u{7}b" }), "name"),
        (json!({ "name": "one", "days": 0 }), "days"),
        (json!({ "name": "one", "days": 366 }), "days"),
        (json!({ "name": "one", "days": "x" }), "days"),
        (
            json!({ "name": "one", "permissions": ["fly"] }),
            "permissions",
        ),
        // More than the owner has.
        (
            json!({ "name": "one", "permissions": ["sessions.view"] }),
            "permissions",
        ),
        (json!({ "name": "one", "user_id": nora.id }), "user_id"),
        (json!({ "name": "one", "expires_at": 1 }), "expires_at"),
    ] {
        make(&browser, body).await.field(field);
    }
    assert_eq!(browser.get(KEYS).await.ok(), json!([]));
    for _ in 0..20 {
        let made = make(&browser, json!({ "name": "one" })).await;
        assert_eq!(made.status, 201, "{}", made.text());
    }
    make(&browser, json!({ "name": "one" })).await.field("name");
}

async fn a_revoked_or_expired_key_is_refused_from_the_next_request_on() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let browser = app.browser_of(&nora).await;
    let (id, secret) = app.api_key(&nora, &[]).await;
    let program = app.holding(&secret);
    program.get("/api/v1/me").await.ok();
    let path = format!("{KEYS}/{id}");
    // By itself it revokes nothing.
    program.delete(&path).await.problem(403, "not_by_key");
    browser.delete(&path).await.done();
    refused(&program).await;
    browser.delete(&path).await.done();
    let key = browser.get(KEYS).await.ok()[0].clone();
    assert_eq!(key["state"], "revoked");
    assert_eq!(key["revoked_at"], app.now().to_string());
    let events = admin.get("/api/v1/audit?action=key.revoked").await.ok();
    assert_eq!(events["total"], 1, "twice is as good as once");
    app.advance(seconds(1));
    // By who manages the owner.
    let (id, secret) = app.api_key(&nora, &[]).await;
    let program = app.holding(&secret);
    let ada = app.administrator_beside(&nora).await;
    let page = app.browser_of(&ada).await;
    let keys = page
        .get(&format!("/api/v1/users/{}/keys", nora.id))
        .await
        .ok();
    assert_eq!(keys[0]["id"], id.to_string());
    page.delete(&format!("{KEYS}/{id}")).await.done();
    refused(&program).await;
    app.advance(seconds(1));
    // By time.
    let (_, secret) = app.api_key(&nora, &[]).await;
    let program = app.holding(&secret);
    app.advance(minutes(90 * 24 * 60) - seconds(1));
    program.get("/api/v1/me").await.ok();
    app.advance(seconds(1));
    refused(&program).await;
    let later = app.browser_of(&nora).await;
    let keys = later.get(KEYS).await.ok();
    assert_eq!(keys[0]["state"], "expired");
    assert_eq!(keys.as_array().map(Vec::len), Some(3));
    // Kept for as long as ended sessions are; the other two were revoked longer ago.
    app.service().purge().await.expect("a purge");
    let keys = later.get(KEYS).await.ok();
    assert_eq!(keys.as_array().map(Vec::len), Some(1));
}

async fn whatever_takes_the_account_away_takes_its_keys_away() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    for way in ["reset", "disable", "delete", "organisation", "move"] {
        let home = app.organisation(way).await;
        let person = app
            .user(home, BuiltInRole::Administrator, &format!("{way}@test"))
            .await;
        let (_, secret) = app.api_key(&person, &[P::SessionsView]).await;
        let program = app.holding(&secret);
        program.get("/api/v1/sessions").await.ok();
        app.advance(seconds(1));
        // What ends sessions alone leaves keys alone.
        let sessions = format!("/api/v1/users/{}/sessions", person.id);
        admin.delete(&sessions).await.done();
        let all = json!({ "scope": "user", "id": person.id });
        admin.post("/api/v1/sessions/end-all", all).await.ok();
        program.get("/api/v1/sessions").await.ok();
        app.advance(seconds(1));
        let user = format!("/api/v1/users/{}", person.id);
        let organisation = format!("/api/v1/organisations/{home}");
        let enabled = |value: bool| json!({ "enabled": value });
        match way {
            "reset" => {
                let path = format!("{user}/reset-password");
                admin.ask(Method::POST, &path).await.ok();
            }
            "disable" => {
                admin.patch(&user, enabled(false)).await.ok();
            }
            "delete" => admin.delete(&user).await.done(),
            "organisation" => {
                admin.patch(&organisation, enabled(false)).await.ok();
            }
            _ => {
                let there = app.organisation("there").await;
                admin
                    .patch(&user, json!({ "organisation": there }))
                    .await
                    .ok();
            }
        }
        refused(&program).await;
        app.advance(seconds(1));
        match way {
            "disable" => {
                admin.patch(&user, enabled(true)).await.ok();
            }
            "organisation" => {
                admin.patch(&organisation, enabled(true)).await.ok();
            }
            _ => {}
        }
        refused(&program).await;
    }
}

async fn what_the_owner_loses_the_key_loses() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let ada = app.administrator_beside(&nora).await;
    let (_, secret) = app
        .api_key(&ada, &[P::SessionsView, P::UsersManage, P::RolesManage])
        .await;
    let program = app.holding(&secret);
    // It gives nothing away that it does not have, though its owner has it.
    let user = format!("/api/v1/users/{}", nora.id);
    program
        .patch(&user, json!({ "role": "administrator" }))
        .await
        .problem(403, "forbidden");
    program
        .patch(&user, json!({ "name": "Nora N." }))
        .await
        .ok();
    let role = json!({ "role": "session_manager" });
    admin
        .patch(&format!("/api/v1/users/{}", ada.id), role)
        .await
        .ok();
    program.get("/api/v1/sessions").await.ok();
    program
        .patch(&user, json!({ "name": "Nora" }))
        .await
        .problem(403, "forbidden");
    // What the owner gains, the key was not given.
    admin
        .patch(
            &format!("/api/v1/users/{}", ada.id),
            json!({ "role": "platform_administrator" }),
        )
        .await
        .ok();
    program
        .get("/api/v1/organisations")
        .await
        .problem(403, "forbidden");
}

async fn a_key_changes_nothing_of_the_account_itself() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let ada = app.admin().await;
    let browser = app.browser_of(&ada).await;
    let id = browser.session_id().await;
    let all: Vec<_> = BuiltInRole::PlatformAdministrator
        .permissions()
        .iter()
        .collect();
    let (_, secret) = app.api_key(&ada, &all).await;
    let program = app.holding(&secret);
    for (method, path, body) in [
        (
            Method::POST,
            "/api/v1/me/password".to_owned(),
            json!({ "current_password": PASSWORD, "new_password": "nine loud geese before dawn" }),
        ),
        (
            Method::POST,
            "/api/v1/me/reauthenticate".to_owned(),
            json!({ "current_password": PASSWORD }),
        ),
        (Method::POST, "/api/v1/sign-out".to_owned(), Value::Null),
        (
            Method::DELETE,
            "/api/v1/me/sessions".to_owned(),
            Value::Null,
        ),
        (
            Method::DELETE,
            format!("/api/v1/me/sessions/{id}"),
            Value::Null,
        ),
        (
            Method::PATCH,
            format!("/api/v1/me/sessions/{id}"),
            json!({ "name": "mine" }),
        ),
        (
            Method::POST,
            "/api/v1/me/filters".to_owned(),
            json!({ "name": "mine", "query": "state=active" }),
        ),
        (
            Method::PUT,
            "/api/v1/me/columns".to_owned(),
            json!({ "columns": ["ip"] }),
        ),
    ] {
        let ask = program.ask(method, &path);
        let answer = match body {
            Value::Null => ask.await,
            body => ask.json(&body).await,
        };
        answer.problem(403, "not_by_key");
    }
    assert!(browser.is_signed_in().await);
    program.get("/api/v1/me/sessions").await.ok();
}

async fn a_key_is_no_cookie_and_comes_alone() {
    let (app, anon, _) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let (_, secret) = app.api_key(&nora, &[]).await;
    let browser = app.browser_of(&nora).await;
    let bearer = format!("Bearer {secret}");
    anon.get("/api/v1/me")
        .header("cookie", format!("__Host-rollcall={secret}"))
        .await
        .problem(401, "unauthenticated");
    browser
        .get("/api/v1/me")
        .header("authorization", &bearer)
        .await
        .problem(400, "ambiguous_credentials");
    anon.get("/api/v1/me")
        .header("authorization", &bearer)
        .await
        .ok();
    for wrong in [
        secret[..47].to_owned(),
        format!("{secret}A"),
        secret.replace("rc_k_", "rc_s_"),
        secret.to_uppercase(),
    ] {
        anon.get("/api/v1/me")
            .header("authorization", format!("Bearer {wrong}"))
            .await
            .problem(401, "unauthenticated");
    }
}

async fn a_stream_ends_with_its_key() {
    use futures_util::StreamExt as _;

    let (app, _, _) = TestApp::start().with_admin().await;
    let ada = app.admin().await;
    let rows = (0..3_000)
        .map(|_| crate::support::NewRow::default())
        .collect();
    app.open_sessions(&ada, rows).await;
    let (id, secret) = app.api_key(&ada, &[P::SessionsView]).await;
    let program = app.holding(&secret);
    let mut stream = program.get("/api/UserRequests").stream().await;
    assert!(stream.next().await.expect("a part").is_ok());
    app.browser_of(&ada)
        .await
        .delete(&format!("{KEYS}/{id}"))
        .await
        .done();
    let mut rest = 0;
    let mut broken = false;
    while let Some(part) = stream.next().await {
        match part {
            Ok(part) => rest += part.len(),
            Err(_) => broken = true,
        }
    }
    assert!(broken, "{rest} more bytes came");
}

async fn of_many_made_at_once_there_are_as_many_as_there_may_be() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let browser = app.browser_of(&nora).await;
    let asked = (0..40).map(|number| {
        let browser = &browser;
        async move {
            make(browser, json!({ "name": format!("key {number}") }))
                .await
                .status
        }
    });
    let made = futures_util::future::join_all(asked).await;
    let count = |wanted| made.iter().filter(|status| **status == wanted).count();
    assert_eq!((count(201), count(400)), (20, 20), "{made:?}");
}

async fn form(client: &Client, function: &str, fields: &[(&str, &str)]) -> String {
    let answer = client
        .ask(Method::POST, &format!("/rpc/{function}"))
        .header("accept", "text/html")
        .header("origin", "http://localhost:8080")
        .header("referer", "http://localhost:8080/account/keys")
        .form(fields)
        .await;
    assert_eq!(answer.status, 303);
    answer.header("location").expect("a place").to_owned()
}

async fn pages_make_show_and_revoke_keys() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let browser = app.browser_of(&nora).await;
    let shown = async |path: &str| browser.get(path).await.text();
    assert!(shown("/account/keys").await.contains("No keys"));
    let wrong = form(&browser, "create_key", &[("name", "CI"), ("days", "never")]).await;
    assert!(
        shown(&wrong)
            .await
            .contains("The number of days cannot be read")
    );
    let fields = [
        ("name", "CI"),
        ("days", "30"),
        ("permissions[]", "clients.register"),
    ];
    let made = form(&browser, "create_key", &fields).await;
    let page = shown(&made).await;
    let at = page.find("rc_k_").expect("the secret");
    let secret = page[at..at + 48].to_owned();
    assert!(app.holding(&secret).is_signed_in().await);
    assert!(!shown(&made).await.contains("rc_k_"), "shown once");
    let key = browser.get(KEYS).await.ok()[0]["id"].clone();
    let key = key.as_str().expect("an id");
    let other: Person = app.administrator_beside(&nora).await;
    let admin = app.browser_of(&other).await;
    let user = admin.get(&format!("/users/{}", nora.id)).await.text();
    assert!(user.contains("API keys") && user.contains(&format!("revoke={key}")));
    let asked = admin
        .get(&format!("/users/{}?revoke={key}", nora.id))
        .await
        .text();
    assert!(asked.contains("Revoke CI?") && asked.contains("/rpc/revoke_key"));
    let back = form(
        &browser,
        "revoke_key",
        &[("key", key), ("next", "/account/keys")],
    )
    .await;
    assert_eq!(back, "/account/keys");
    assert!(shown("/account/keys").await.contains("Revoked"));
    assert!(!app.holding(&secret).is_signed_in().await);
}
