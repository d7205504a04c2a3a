//! Changing one's password, and being made to.

use rollcall_core::BuiltInRole;
use serde_json::{Value, json};

use crate::support::{Answer, Client, PASSWORD, TestApp, minutes, redacted};

both_databases!(
    a_one_time_password_opens_nothing_but_its_change,
    a_change_renews_this_session_and_ends_the_others,
    a_program_gets_the_new_token_in_a_header,
    a_new_password_must_be_a_good_one,
    a_wrong_current_password_counts_as_a_try,
    a_reset_ends_every_session_and_lifts_no_lock,
    what_me_answers_holds_nothing_of_the_password,
);

const NEW: &str = "nine loud geese before dawn";

async fn change(client: &Client, current: &str, new: &str) -> Answer {
    client
        .post(
            "/api/v1/me/password",
            json!({ "current_password": current, "new_password": new }),
        )
        .await
}

async fn a_one_time_password_opens_nothing_but_its_change() {
    let (app, anon, admin) = TestApp::start().with_admin().await;
    let acme = app.organisation("Acme").await;
    let ada = app
        .newcomer(acme, BuiltInRole::Administrator, "ada@acme.test")
        .await;
    let browser = app.browser();
    browser.sign_in(&ada).await.ok();
    let id = admin.get("/api/v1/sessions?q=ada").await.ok()["items"][0]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    for path in [
        "/api/v1/me",
        "/api/v1/me/sessions",
        "/api/v1/sessions",
        "/api/v1/sessions/stats",
        "/api/v1/audit",
        "/api/UserRequests",
        &format!("/api/v1/sessions/{id}"),
    ] {
        browser
            .get(path)
            .await
            .problem(403, "password_change_required");
    }
    for path in [
        "/api/v1/me/sessions".to_owned(),
        format!("/api/v1/me/sessions/{id}"),
        format!("/api/v1/sessions/{id}"),
        format!("/api/UserRequest/{id}"),
        format!("/api/v1/users/{}/sessions", ada.id),
    ] {
        browser
            .delete(&path)
            .await
            .problem(403, "password_change_required");
    }
    assert_eq!(
        admin.get(&format!("/api/v1/sessions/{id}")).await.ok()["state"],
        "active",
        "nothing was ended"
    );
    let other = app.browser();
    other.sign_in(&ada).await.ok();
    other
        .ask(http::Method::POST, "/api/v1/sign-out")
        .await
        .done();
    change(&browser, PASSWORD, NEW).await.done();
    assert_eq!(
        browser.get("/api/v1/me").await.ok()["user"]["password_change_required"],
        false
    );
    browser.get("/api/v1/sessions").await.ok();
    anon.sign_in_as(&ada.email, PASSWORD)
        .await
        .problem(401, "sign_in_failed");
    anon.sign_in_as(&ada.email, NEW).await.ok();
}

async fn a_change_renews_this_session_and_ends_the_others() {
    let (app, anon, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let (browser, laptop, script) = (
        app.browser_of(&nora).await,
        app.browser_of(&nora).await,
        app.program_of(&nora).await,
    );
    let (id, other) = (browser.session_id().await, laptop.session_id().await);
    let old = browser.token().expect("a token");
    app.advance(minutes(1));
    let answer = change(&browser, PASSWORD, NEW).await;
    answer.done();
    let new = answer.cookie_token().expect("a new cookie");
    assert_eq!(
        answer.cookies(),
        [format!(
            "__Host-rollcall={new}; Path=/; Secure; HttpOnly; SameSite=Lax"
        )]
    );
    assert_ne!(new[..26], old[..26], "a lineage of its own");
    assert_eq!(browser.session_id().await, id, "the session goes on");
    assert!(!laptop.is_signed_in().await);
    assert!(!script.is_signed_in().await);
    let ended = admin.get(&format!("/api/v1/sessions/{other}")).await.ok();
    assert_eq!(ended["ended"]["reason"], "password_changed");
    // The old token is nobody's, now and later, and no alarm.
    for _ in 0..2 {
        assert!(!app.holding(&old).is_signed_in().await);
        app.advance(minutes(1));
    }
    assert!(browser.is_signed_in().await);
    assert_eq!(
        admin.get("/api/v1/audit?action=token.reused").await.ok()["total"],
        0
    );
    assert_eq!(
        admin
            .get(&format!(
                "/api/v1/audit?action=password.changed&user={}",
                nora.id
            ))
            .await
            .ok()["total"],
        1
    );
    anon.sign_in_as(&nora.email, PASSWORD)
        .await
        .problem(401, "sign_in_failed");
    anon.sign_in_as(&nora.email, NEW).await.ok();
}

async fn a_program_gets_the_new_token_in_a_header() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let program = app.program_of(&nora).await;
    let old = program.token().expect("a token");
    let answer = change(&program, PASSWORD, NEW).await;
    answer.done();
    assert_eq!(answer.cookies(), Vec::<String>::new());
    let new = answer.session_token().expect("a token");
    assert!(
        new != old
            && app.holding(&new).is_signed_in().await
            && !app.holding(&old).is_signed_in().await
    );
}

async fn a_new_password_must_be_a_good_one() {
    let (app, anon, _) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let browser = app.browser_of(&nora).await;
    for (current, new, field) in [
        (PASSWORD, "", "new_password"),
        (PASSWORD, "fourteen chars", "new_password"),
        (PASSWORD, "passwordpassword", "new_password"),
        (PASSWORD, PASSWORD, "new_password"),
        (PASSWORD, &"x".repeat(1_025), "new_password"),
        ("", NEW, "current_password"),
    ] {
        change(&browser, current, new).await.field(field);
    }
    for (body, field) in [
        (json!({ "new_password": NEW }), "current_password"),
        (json!({ "current_password": PASSWORD }), "new_password"),
        (
            json!({ "current_password": PASSWORD, "new_password": NEW, "generation": 0 }),
            "generation",
        ),
    ] {
        browser.post("/api/v1/me/password", body).await.field(field);
    }
    for current in [Value::Null, json!([]), json!({}), json!(true)] {
        let body = json!({ "current_password": current, "new_password": NEW });
        browser
            .post("/api/v1/me/password", body)
            .await
            .field("current_password");
    }
    anon.sign_in(&nora).await.ok();
    // Long ones count to their last character, whatever the hash makes of the 72nd byte.
    let long = format!("{}tail-1", "the quick brown fox jumps ".repeat(4));
    change(&browser, PASSWORD, &long).await.done();
    anon.sign_in_as(&nora.email, &long.replace("tail-1", "tail-2"))
        .await
        .problem(401, "sign_in_failed");
    anon.sign_in_as(&nora.email, &long).await.ok();
}

async fn a_wrong_current_password_counts_as_a_try() {
    let (app, anon, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let browser = app.browser_of(&nora).await;
    anon.sign_in_as(&nora.email, "a wrong password")
        .await
        .problem(401, "sign_in_failed");
    for _ in 0..4 {
        change(&browser, "a wrong password", NEW)
            .await
            .field("current_password");
    }
    anon.sign_in(&nora).await.problem(401, "sign_in_failed");
    change(&browser, PASSWORD, NEW)
        .await
        .field("current_password");
    assert!(browser.is_signed_in().await, "a lock ends no session");
    assert_eq!(
        admin
            .get(&format!(
                "/api/v1/audit?action=user.locked&user={}",
                nora.id
            ))
            .await
            .ok()["total"],
        1
    );
    assert_eq!(app.service().unlock_user(&nora.email).await, Ok(true));
    change(&browser, PASSWORD, NEW).await.done();
}

async fn a_reset_ends_every_session_and_lifts_no_lock() {
    let (app, anon, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let (browser, script) = (app.browser_of(&nora).await, app.program_of(&nora).await);
    let id = browser.session_id().await;
    for _ in 0..5 {
        anon.sign_in_as(&nora.email, "a wrong password")
            .await
            .problem(401, "sign_in_failed");
    }
    app.advance(minutes(1));
    let one_time = app
        .service()
        .reset_password(&nora.email)
        .await
        .expect("the user exists");
    assert!(!browser.is_signed_in().await);
    assert!(!script.is_signed_in().await);
    let session = admin.get(&format!("/api/v1/sessions/{id}")).await.ok();
    assert_eq!(
        (&session["state"], &session["ended"]["reason"]),
        (&json!("ended"), &json!("password_reset"))
    );
    assert_eq!(session["ended"]["at"], app.now().to_string());
    app.advance(minutes(1));
    anon.sign_in_as(&nora.email, &one_time)
        .await
        .problem(401, "sign_in_failed");
    assert_eq!(app.service().unlock_user(&nora.email).await, Ok(true));
    anon.sign_in(&nora).await.problem(401, "sign_in_failed");
    let again = app.browser();
    again.sign_in_as(&nora.email, &one_time).await.ok();
    again
        .get("/api/v1/me")
        .await
        .problem(403, "password_change_required");
    change(&again, &one_time, NEW).await.done();
    again.get("/api/v1/me").await.ok();
}

async fn what_me_answers_holds_nothing_of_the_password() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let me = app.browser_of(&nora).await.get("/api/v1/me").await.ok();
    insta::assert_json_snapshot!("me", redacted(me));
}
