//! The password once more, before what changes who may sign in and what they may do.

use http::Method;
use rollcall_core::{BuiltInRole, Permissions};
use serde_json::{Value, json};

use crate::support::{Answer, Client, PASSWORD, TestApp, minutes, seconds};

both_databases!(
    a_sensitive_change_needs_a_password_entered_lately,
    what_ends_access_never_waits_for_a_password,
    the_password_is_taken_and_nothing_in_its_place,
    wrong_passwords_count_as_tries,
    this_session_goes_on_with_a_token_of_its_own,
    pages_ask_before_they_offer_the_change,
);

async fn reauthenticate(client: &Client, password: &str) -> Answer {
    let body = json!({ "current_password": password });
    client.post("/api/v1/me/reauthenticate", body).await
}

async fn a_sensitive_change_needs_a_password_entered_lately() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let acme = app.organisation("Acme").await;
    let globex = app.organisation("Globex").await;
    let nora = app.user(acme, BuiltInRole::Member, "nora@acme.test").await;
    let role = app.role(acme, "Own", Permissions::default()).await;
    let user = format!("/api/v1/users/{}", nora.id);
    let changes = [
        (
            Method::POST,
            "/api/v1/users".to_owned(),
            json!({ "email": "new@acme.test" }),
        ),
        (
            Method::PATCH,
            user.clone(),
            json!({ "email": "n@acme.test" }),
        ),
        (Method::PATCH, user.clone(), json!({ "role": "viewer" })),
        (
            Method::PATCH,
            user.clone(),
            json!({ "roles": ["administrator"] }),
        ),
        (
            Method::PATCH,
            user.clone(),
            json!({ "organisation": globex }),
        ),
        (Method::POST, format!("{user}/reset-password"), Value::Null),
        (
            Method::POST,
            "/api/v1/roles".to_owned(),
            json!({ "name": "Another", "permissions": [] }),
        ),
        (
            Method::PATCH,
            format!("/api/v1/roles/{role}"),
            json!({ "permissions": ["audit.view"] }),
        ),
        (
            Method::PATCH,
            "/api/v1/policy".to_owned(),
            json!({ "values": { "most_sessions": 50 } }),
        ),
    ];
    let ask = async |(method, path, body): &(Method, String, Value)| match body {
        Value::Null => admin.ask(method.clone(), path).await,
        body => admin.ask(method.clone(), path).json(body).await,
    };
    let standing = async || {
        let mut all = Vec::new();
        for path in [
            user.as_str(),
            "/api/v1/users",
            "/api/v1/roles",
            "/api/v1/policy",
        ] {
            let mut answer = admin.get(path).await.ok();
            answer.as_object_mut().expect("an object").remove("as_of");
            all.push(answer);
        }
        all
    };
    app.advance(minutes(15));
    let before = standing().await;
    for change in &changes {
        let refused = ask(change).await;
        let words = refused.problem(403, "reauthentication_required");
        assert!(
            words["detail"]
                .as_str()
                .is_some_and(|text| text.contains("password"))
        );
    }
    assert_eq!(standing().await, before);
    let refusals = admin.get("/api/v1/audit?outcome=refused").await.ok();
    assert_eq!(refusals["total"], changes.len());
    // Who may not do it at all is told that.
    let manager = app
        .user(acme, BuiltInRole::SessionManager, "sam@acme.test")
        .await;
    let sam = app.browser_of(&manager).await;
    app.advance(minutes(15));
    sam.patch(&user, json!({ "role": "administrator" }))
        .await
        .problem(403, "forbidden");
    reauthenticate(&admin, PASSWORD).await.done();
    app.advance(minutes(15) - seconds(1));
    for change in &changes {
        let status = ask(change).await.status;
        assert!(status < 300 || status == 400, "{change:?}: {status}");
    }
    app.advance(seconds(1));
    for change in &changes {
        ask(change).await.problem(403, "reauthentication_required");
    }
}

async fn what_ends_access_never_waits_for_a_password() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let acme = app.organisation("Acme").await;
    let nora = app.user(acme, BuiltInRole::Member, "nora@acme.test").await;
    let role = app.role(acme, "Own", Permissions::default()).await;
    let browser = app.browser_of(&nora).await;
    app.advance(minutes(20));
    let user = format!("/api/v1/users/{}", nora.id);
    admin.delete(&format!("{user}/sessions")).await.done();
    assert!(!browser.is_signed_in().await);
    admin.patch(&user, json!({ "enabled": false })).await.ok();
    admin.delete(&format!("/api/v1/roles/{role}")).await.done();
    admin
        .patch(
            &format!("/api/v1/organisations/{acme}"),
            json!({ "enabled": false }),
        )
        .await
        .ok();
    admin.delete(&user).await.done();
}

async fn the_password_is_taken_and_nothing_in_its_place() {
    let (app, anon, admin) = TestApp::start().with_admin().await;
    app.advance(minutes(15));
    for body in [
        json!({}),
        json!({ "current_password": "" }),
        json!({ "current_password": null }),
        json!({ "current_password": [] }),
        json!({ "current_password": {} }),
        json!({ "current_password": true }),
        json!({ "current_password": "x".repeat(1_025) }),
        json!({ "current_password": [PASSWORD] }),
    ] {
        admin
            .post("/api/v1/me/reauthenticate", body)
            .await
            .field("current_password");
    }
    for extra in ["authenticated_at", "auth_time", "user"] {
        let body = json!({ "current_password": PASSWORD, extra: 4_102_444_800_i64 });
        admin
            .post("/api/v1/me/reauthenticate", body)
            .await
            .field(extra);
    }
    anon.post(
        "/api/v1/me/reauthenticate",
        json!({ "current_password": PASSWORD }),
    )
    .await
    .problem(401, "unauthenticated");
    // What is done all the time is no password.
    admin.get("/api/v1/me").await.ok();
    admin
        .post("/api/v1/users", json!({ "email": "new@acme.test" }))
        .await
        .problem(403, "reauthentication_required");
}

async fn wrong_passwords_count_as_tries() {
    let (app, anon, admin) = TestApp::start().with_admin().await;
    let ada = app.administrator_beside(&app.member().await).await;
    let browser = app.browser_of(&ada).await;
    app.advance(minutes(15));
    for _ in 0..5 {
        reauthenticate(&browser, "a wrong password")
            .await
            .field("current_password");
    }
    let locked = admin.get("/api/v1/audit?action=user.locked").await.ok();
    assert_eq!(locked["total"], 1);
    // The right one neither, now that the account is locked.
    reauthenticate(&browser, PASSWORD)
        .await
        .field("current_password");
    browser
        .post("/api/v1/users", json!({ "email": "new@acme.test" }))
        .await
        .problem(403, "reauthentication_required");
    anon.sign_in(&ada).await.problem(401, "sign_in_failed");
    assert!(browser.is_signed_in().await, "a lock ends no session");
    assert_eq!(app.service().unlock_user(&ada.email).await, Ok(true));
    reauthenticate(&browser, PASSWORD).await.done();
    browser
        .post("/api/v1/users", json!({ "email": "new@acme.test" }))
        .await;
    let events = admin
        .get(&format!(
            "/api/v1/audit?action=user.reauthenticated&user={}",
            ada.id
        ))
        .await
        .ok();
    let outcomes: Vec<_> = events["items"]
        .as_array()
        .expect("events")
        .iter()
        .map(|event| event["outcome"].as_str().expect("an outcome"))
        .collect();
    assert_eq!(outcomes[0], "success");
    assert_eq!(outcomes[1], "locked");
    assert_eq!(outcomes[2..], ["wrong_password"; 5]);
}

async fn this_session_goes_on_with_a_token_of_its_own() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let ada = app.admin().await;
    let (browser, program, other) = (
        app.browser_of(&ada).await,
        app.program_of(&ada).await,
        app.browser_of(&ada).await,
    );
    for client in [&browser, &program] {
        let (id, old) = (client.session_id().await, client.token().expect("a token"));
        reauthenticate(client, PASSWORD).await.done();
        let new = client.token().expect("a token");
        assert_ne!(new[..26], old[..26], "a lineage of its own");
        assert_eq!(client.session_id().await, id, "the same session");
        // The old token is nobody's, now and later, and no alarm.
        for _ in 0..2 {
            assert!(!app.holding(&old).is_signed_in().await);
            app.advance(minutes(1));
        }
        assert!(client.is_signed_in().await);
    }
    assert!(other.is_signed_in().await, "other sessions stay");
    let stolen = admin.get("/api/v1/audit?action=token.reused").await.ok();
    assert_eq!(stolen["total"], 0);
}

async fn pages_ask_before_they_offer_the_change() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let ada = app.admin().await;
    let nora = app.member().await;
    let browser = app.browser_of(&ada).await;
    let pages = [
        ("/users/new".to_owned(), "/rpc/create_user"),
        (format!("/users/{}", nora.id), "/rpc/edit_user"),
        (format!("/users/{}/reset", nora.id), "/rpc/reset_password"),
        ("/roles/new".to_owned(), "/rpc/create_role"),
        ("/policy?role=".to_owned(), ">Save<"),
    ];
    let shown = async |path: &str| browser.get(path).await.text();
    for (path, form) in &pages {
        let page = shown(path).await;
        assert!(
            page.contains(form) && !page.contains("Confirm that it is you"),
            "{path}"
        );
    }
    // A while before it is needed, so that nothing is typed in vain.
    app.advance(minutes(10));
    for (path, form) in &pages {
        let page = shown(path).await;
        assert!(
            !page.contains(form) && page.contains("Confirm that it is you"),
            "{path}"
        );
    }
    let confirm = async |password: &str, next: &str| {
        browser
            .ask(Method::POST, "/rpc/reauthenticate")
            .header("accept", "text/html")
            .header("origin", "http://localhost:8080")
            .header("referer", format!("http://localhost:8080{next}"))
            .form(&[("current_password", password), ("next", next)])
            .await
    };
    let (path, _) = &pages[0];
    let wrong = confirm("a wrong password", path).await;
    let back = wrong.header("location").expect("a way back").to_owned();
    assert!(back.starts_with("/users/new?"), "{back}");
    let page = shown(&back).await;
    assert!(page.contains("Your password is wrong"), "{page}");
    // What the form said before does not come back with it.
    assert!(page.contains(r#"name="next" value="/users/new""#), "{page}");
    let right = confirm(PASSWORD, path).await;
    assert_eq!(
        (right.status, right.header("location")),
        (303, Some("/users/new"))
    );
    for (path, form) in &pages {
        assert!(shown(path).await.contains(form), "{path}");
    }
    // By the other door the change itself is refused in the same way.
    app.advance(minutes(15));
    let refused = browser
        .ask(Method::POST, "/rpc/create_user")
        .header("accept", "application/json")
        .form(&[("email", "new@acme.test")])
        .await;
    assert_eq!(refused.status, 403);
    assert!(refused.text().contains("reauthentication_required"));
    let elsewhere = confirm(PASSWORD, "//evil.example/").await;
    assert_eq!(elsewhere.header("location"), Some("/"));
}
