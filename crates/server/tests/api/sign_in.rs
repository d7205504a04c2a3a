//! Signing in, and what keeps others from it.

use futures_util::future::join_all;
use rollcall_core::BuiltInRole;
use serde_json::{Value, json};

use crate::support::{Answer, NewRow, PASSWORD, TestApp, minutes};

both_databases!(
    a_lock_that_a_crash_left_out_is_made_up_for,
    every_refusal_reads_the_same,
    five_wrong_passwords_lock_an_account_until_it_is_unlocked,
    a_right_password_gives_the_tries_back,
    every_spelling_of_a_name_counts_as_one,
    a_lock_opens_by_itself_only_where_that_is_set,
    a_lock_ends_no_session,
    twenty_failures_from_one_address_are_enough,
    two_hundred_wrong_passwords_at_once_are_five_tries,
    a_flood_of_made_up_names_is_forgotten_and_frees_no_account,
    the_cookie_has_exactly_these_attributes,
    keep_me_signed_in_gives_the_cookie_an_age,
    signing_in_again_replaces_the_session,
    a_token_in_the_body_comes_only_to_those_who_ask,
    a_request_that_cannot_be_read_names_its_field,
    the_name_of_a_session_is_the_given_one_or_the_browsers,
    a_refused_sign_in_makes_no_session,
    signing_out_ends_the_session_and_clears_the_browser,
);

fn without_id(answer: &Answer) -> (u16, String, Vec<(String, String)>) {
    let id = answer.header("x-request-id").expect("an id").to_owned();
    let mut headers: Vec<_> = answer
        .headers
        .iter()
        .filter(|(name, _)| *name != "x-request-id")
        .map(|(name, value)| (name.to_string(), format!("{value:?}")))
        .collect();
    headers.sort();
    (answer.status, answer.text().replace(&id, "ID"), headers)
}

async fn every_refusal_reads_the_same() {
    let (app, anon, _) = TestApp::start().with_admin().await;
    let acme = app.organisation("Acme").await;
    let closed = app.organisation("Closed").await;
    let member = BuiltInRole::Member;
    let (wrong, locked) = (
        app.user(acme, member, "wrong@acme.test").await,
        app.user(acme, member, "locked@acme.test").await,
    );
    let (disabled, away) = (
        app.user(acme, member, "disabled@acme.test").await,
        app.user(closed, member, "away@closed.test").await,
    );
    app.sql("UPDATE \"user\" SET enabled = FALSE WHERE email = 'disabled@acme.test'")
        .await;
    app.sql("UPDATE organisation SET enabled = FALSE WHERE name = 'Closed'")
        .await;
    for _ in 0..5 {
        anon.sign_in_as(&locked.email, "a wrong password")
            .await
            .problem(401, "sign_in_failed");
    }
    let first = anon.sign_in_as(&wrong.email, "a wrong password").await;
    let document = first.problem(401, "sign_in_failed");
    assert_eq!(
        document["detail"],
        "E-mail or password is wrong, or the account is locked or disabled. Five wrong passwords lock an account; \
         an administrator can unlock it."
    );
    for (email, password) in [
        ("nobody@acme.test", PASSWORD),
        ("not an address", PASSWORD),
        (locked.email.as_str(), PASSWORD),
        (locked.email.as_str(), "a wrong password"),
        (disabled.email.as_str(), PASSWORD),
        (disabled.email.as_str(), "a wrong password"),
        (away.email.as_str(), PASSWORD),
    ] {
        let answer = anon.sign_in_as(email, password).await;
        assert_eq!(without_id(&answer), without_id(&first), "{email}");
    }
}

async fn five_wrong_passwords_lock_an_account_until_it_is_unlocked() {
    let (app, anon, _) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    for _ in 0..5 {
        anon.sign_in_as(&nora.email, "a wrong password")
            .await
            .problem(401, "sign_in_failed");
    }
    anon.sign_in(&nora).await.problem(401, "sign_in_failed");
    app.advance(minutes(60 * 24 * 365));
    anon.sign_in(&nora).await.problem(401, "sign_in_failed");
    app.restart().await;
    anon.sign_in(&nora).await.problem(401, "sign_in_failed");
    assert_eq!(app.service().unlock_user(" Nora@ACME.test").await, Ok(true));
    assert_eq!(
        app.service().unlock_user(&nora.email).await,
        Ok(false),
        "it is open already"
    );
    anon.sign_in(&nora).await.ok();
}

async fn a_right_password_gives_the_tries_back() {
    let (app, anon, _) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    for _ in 0..3 {
        for _ in 0..4 {
            anon.sign_in_as(&nora.email, "a wrong password")
                .await
                .problem(401, "sign_in_failed");
        }
        anon.sign_in(&nora).await.ok();
    }
}

async fn every_spelling_of_a_name_counts_as_one() {
    let (app, anon, _) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let spellings = [
        "nora@acme.test",
        "  Nora@Acme.TEST ",
        "NORA@ACME.TEST",
        "\u{FF4E}ora@acme.test",
        "nora@acme.test\t",
    ];
    for spelling in spellings {
        anon.sign_in_as(spelling, PASSWORD).await.ok();
    }
    for spelling in spellings {
        anon.sign_in_as(spelling, "a wrong password")
            .await
            .problem(401, "sign_in_failed");
    }
    for spelling in spellings {
        anon.sign_in_as(spelling, PASSWORD)
            .await
            .problem(401, "sign_in_failed");
    }
    assert_eq!(app.service().unlock_user(&nora.email).await, Ok(true));
}

async fn a_lock_opens_by_itself_only_where_that_is_set() {
    let (app, anon, _) = TestApp::start()
        .with(&["--unlock-after", "15m"])
        .with_admin()
        .await;
    let nora = app.member().await;
    for _ in 0..5 {
        anon.sign_in_as(&nora.email, "a wrong password")
            .await
            .problem(401, "sign_in_failed");
    }
    app.advance(minutes(14));
    anon.sign_in(&nora).await.problem(401, "sign_in_failed");
    app.advance(minutes(2));
    anon.sign_in(&nora).await.ok();
}

async fn a_lock_ends_no_session() {
    let (app, anon, _) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let browser = app.browser_of(&nora).await;
    for _ in 0..6 {
        anon.sign_in_as(&nora.email, "a wrong password")
            .await
            .problem(401, "sign_in_failed");
    }
    assert!(browser.is_signed_in().await);
}

async fn twenty_failures_from_one_address_are_enough() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    for (one, neighbour, other) in [
        ("198.51.100.1", "198.51.100.1", "198.51.100.2"),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", "2001:db8:1:3::1"),
    ] {
        let (one, neighbour, other) = (
            app.anonymous().at(one),
            app.anonymous().at(neighbour),
            app.anonymous().at(other),
        );
        // Those that succeed do not count.
        one.sign_in(&nora).await.ok();
        for number in 0..20 {
            let answer = one
                .sign_in_as(&format!("nobody-{number}@acme.test"), "a wrong password")
                .await;
            answer.problem(401, "sign_in_failed");
            app.advance(minutes(5) / 100);
        }
        let refused = neighbour.sign_in(&nora).await;
        refused.problem(429, "too_many_attempts");
        let wait: u64 = refused
            .header("retry-after")
            .expect("how long to wait")
            .parse()
            .expect("seconds");
        assert_eq!(wait, 241, "the first of the twenty leaves the window then");
        other.sign_in(&nora).await.ok();
        app.advance(std::time::Duration::from_secs(wait));
        neighbour.sign_in(&nora).await.ok();
    }
}

async fn two_hundred_wrong_passwords_at_once_are_five_tries() {
    let (app, anon, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let attempts = (0..200).map(|number| {
        let (app, email) = (app.clone(), nora.email.clone());
        // Each from an address of its own, so that only the account's tries stand in the way.
        tokio::spawn(async move {
            let client =
                app.anonymous()
                    .at(&format!("198.51.{}.{}", 100 + number / 100, number % 100));
            client
                .sign_in_as(&email, &format!("a wrong password {number}"))
                .await
        })
    });
    for answer in join_all(attempts).await {
        let answer = answer.expect("no panic");
        match answer.status {
            429 => answer.problem(429, "too_many_attempts"),
            _ => answer.problem(401, "sign_in_failed"),
        };
    }
    let events = async |query: &str| {
        let page = admin
            .get(&format!("/api/v1/audit?user={}&{query}", nora.id))
            .await
            .ok();
        page["total"].as_u64().expect("a number")
    };
    assert_eq!(
        events("action=sign_in&outcome=wrong_password").await,
        5,
        "so many were compared for a try"
    );
    assert_eq!(events("action=user.locked").await, 1);
    anon.sign_in(&nora).await.problem(401, "sign_in_failed");
}

async fn a_flood_of_made_up_names_is_forgotten_and_frees_no_account() {
    let (app, anon, _) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    for _ in 0..4 {
        anon.sign_in_as(&nora.email, "a wrong password")
            .await
            .problem(401, "sign_in_failed");
    }
    for number in 0..6 {
        let flood = app.anonymous().at(&format!("198.51.100.{number}"));
        // Some of them are even locked.
        for _ in 0..=number {
            app.advance(std::time::Duration::from_secs(1));
            flood
                .sign_in_as(&format!("nobody-{number}@acme.test"), "a wrong password")
                .await
                .problem(401, "sign_in_failed");
        }
    }
    assert_eq!(
        app.service().purge_attempts(2).await,
        Ok(4),
        "the newest two names are left"
    );
    assert_eq!(app.service().purge_attempts(0).await, Ok(2));
    anon.sign_in_as(&nora.email, "a wrong password")
        .await
        .problem(401, "sign_in_failed");
    anon.sign_in(&nora).await.problem(401, "sign_in_failed");
    assert_eq!(app.service().purge_attempts(0).await, Ok(0), "hers stays");
    assert_eq!(app.service().unlock_user(&nora.email).await, Ok(true));
}

async fn the_cookie_has_exactly_these_attributes() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let answer = app.browser().sign_in(&nora).await;
    let session = answer.ok()["session"].clone();
    let token = answer.cookie_token().expect("a cookie");
    assert_eq!(
        answer.cookies(),
        [format!(
            "__Host-rollcall={token}; Path=/; Secure; HttpOnly; SameSite=Lax"
        )]
    );
    assert!(
        token.starts_with("rc_s_") && token.len() == 69,
        "{}",
        token.len()
    );
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert!(!answer.text().contains(&token));
    assert_eq!(
        (&session["kind"], &session["method"], &session["state"]),
        (&json!("console"), &json!("password"), &json!("active"))
    );
    assert_eq!(session["user"]["email"], nora.email);
    assert_eq!(session["server_name"], "alpha");
    assert_eq!(session["ip"], "203.0.113.7");
    assert_eq!(session["current"], true);
    assert_eq!(session["created_at"], "2026-11-22T09:00:00.000000Z");
    assert_eq!(session["idle_expires_at"], "2026-11-22T09:30:00.000000Z");
    assert_eq!(
        session["absolute_expires_at"],
        "2026-11-23T09:00:00.000000Z"
    );
}

async fn keep_me_signed_in_gives_the_cookie_an_age() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let browser = app.browser();
    let body = json!({ "email": nora.email, "password": PASSWORD, "keep": true });
    let answer = browser.post("/api/v1/sign-in", body).await;
    let session = answer.ok()["session"].clone();
    let token = browser.token().expect("a token");
    let attributes = "Path=/; Secure; HttpOnly; SameSite=Lax";
    assert_eq!(
        answer.cookies(),
        [format!(
            "__Host-rollcall={token}; {attributes}; Max-Age=2592000"
        )]
    );
    assert_eq!(session["idle_timeout_seconds"], 14 * 24 * 3600);
    // What a rotation sends differs in nothing but the time that is left.
    app.advance(minutes(60));
    let answer = browser.get("/api/v1/me").await;
    let next = browser.token().expect("a token");
    assert_ne!(next, token);
    assert_eq!(
        answer.cookies(),
        [format!(
            "__Host-rollcall={next}; {attributes}; Max-Age=2588400"
        )]
    );
}

async fn signing_in_again_replaces_the_session() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let browser = app.browser();
    browser.sign_in(&nora).await.ok();
    let (old, old_token) = (
        browser.session_id().await,
        browser.token().expect("a token"),
    );
    app.advance(minutes(1));
    browser.sign_in(&nora).await.ok();
    assert_ne!(browser.session_id().await, old);
    assert_ne!(
        browser.token().expect("a token")[..26],
        old_token[..26],
        "a lineage of its own"
    );
    assert!(!app.holding(&old_token).is_signed_in().await);
    let session = admin.get(&format!("/api/v1/sessions/{old}")).await.ok();
    assert_eq!(session["ended"]["reason"], "replaced");
    // A refused sign-in replaces nothing.
    browser
        .sign_in_as(&nora.email, "a wrong password")
        .await
        .problem(401, "sign_in_failed");
    assert!(browser.is_signed_in().await);
}

async fn a_token_in_the_body_comes_only_to_those_who_ask() {
    let (app, anon, _) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let body = json!({ "email": nora.email, "password": PASSWORD, "token": true, "name": "nightly backup" });
    let answer = anon.post("/api/v1/sign-in", body).await;
    let signed_in = answer.ok();
    assert_eq!(answer.cookies(), Vec::<String>::new());
    assert_eq!(answer.session_token(), None);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(
        (&signed_in["session"]["kind"], &signed_in["session"]["name"]),
        (&json!("api"), &json!("nightly backup"))
    );
    let program = app.holding(signed_in["token"].as_str().expect("a token"));
    assert_eq!(
        program.get("/api/v1/me").await.ok()["user"]["email"],
        nora.email
    );
    let answer = anon
        .post(
            "/api/v1/sign-in",
            json!({ "email": nora.email, "password": PASSWORD, "token": false }),
        )
        .await;
    assert_eq!(answer.ok().get("token"), None);
    assert!(answer.cookie_token().is_some());
}

async fn a_request_that_cannot_be_read_names_its_field() {
    let (app, anon, _) = TestApp::start().with_admin().await;
    let good = json!({ "email": "nora@acme.test", "password": PASSWORD });
    let with = |name: &str, value: Value| {
        let mut body = good.clone();
        body[name] = value;
        body
    };
    for (body, field) in [
        (json!({}), "email"),
        (json!({ "email": "nora@acme.test" }), "password"),
        (json!({ "password": PASSWORD }), "email"),
        (with("email", json!("")), "email"),
        (with("email", json!("   ")), "email"),
        (with("password", json!("")), "password"),
        (with("password", json!("x".repeat(1_025))), "password"),
        (with("name", json!("x".repeat(81))), "name"),
        (with("name", json!("line\nbreak")), "name"),
        (with("role", json!("administrator")), "role"),
        (with("organisation_id", json!(1)), "organisation_id"),
        (with("Email", json!("x")), "Email"),
    ] {
        anon.post("/api/v1/sign-in", body).await.field(field);
    }
    let twice = r#"{"email":"a@b","email":"c@d","password":"x"}"#;
    anon.ask(http::Method::POST, "/api/v1/sign-in")
        .body("application/json", twice)
        .await
        .field("email");
    for body in ["", "{", "[]", "null", "\"x\"", "\u{feff}{}"] {
        let answer = anon
            .ask(http::Method::POST, "/api/v1/sign-in")
            .body("application/json", body)
            .await;
        answer.problem(400, "malformed_body");
    }
    for (body, field) in [
        (json!({ "email": 5, "password": "x" }), "email"),
        (
            json!({ "email": "a", "password": "x", "keep": "yes" }),
            "keep",
        ),
    ] {
        anon.post("/api/v1/sign-in", body).await.field(field);
    }
    anon.post("/api/v1/sign-in?email=nora@acme.test", good.clone())
        .await
        .field("email");
    assert_eq!(app.now().to_string(), "2026-11-22T09:00:00.000000Z");
}

async fn the_name_of_a_session_is_the_given_one_or_the_browsers() {
    let (app, anon, _) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let browser = app.browser();
    assert_eq!(
        browser.sign_in(&nora).await.ok()["session"]["name"],
        "Firefox on Linux"
    );
    let named = json!({ "email": nora.email, "password": PASSWORD, "name": format!("  {}  ", "ü".repeat(80)) });
    assert_eq!(
        anon.post("/api/v1/sign-in", named).await.ok()["session"]["name"],
        "ü".repeat(80)
    );
    let unnamed = json!({ "email": nora.email, "password": PASSWORD, "token": true });
    let name = anon.post("/api/v1/sign-in", unnamed).await.ok()["session"]["name"]
        .as_str()
        .expect("a name")
        .to_owned();
    assert!(name.starts_with("curl"), "{name}");
}

async fn a_refused_sign_in_makes_no_session() {
    let (app, anon, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    app.open_session(&nora, NewRow::default()).await;
    let before = admin.get("/api/v1/sessions/stats").await.ok()["total"].clone();
    for _ in 0..3 {
        let answer = anon.sign_in_as(&nora.email, "a wrong password").await;
        assert_eq!(answer.cookies(), Vec::<String>::new());
        anon.post("/api/v1/sign-out", Value::Null).bare().await;
        anon.get("/api/v1/me").await.problem(401, "unauthenticated");
    }
    assert_eq!(
        admin.get("/api/v1/sessions/stats").await.ok()["total"],
        before
    );
}

async fn signing_out_ends_the_session_and_clears_the_browser() {
    let (app, anon, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let browser = app.browser_of(&nora).await;
    let (id, token) = (
        browser.session_id().await,
        browser.token().expect("a token"),
    );
    let answer = browser.ask(http::Method::POST, "/api/v1/sign-out").await;
    answer.done();
    assert!(answer.expires_cookie(), "{:?}", answer.cookies());
    assert_eq!(
        answer.header("clear-site-data"),
        Some("\"cache\", \"storage\"")
    );
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(browser.token(), None);
    assert!(!app.holding(&token).is_signed_in().await);
    let session = admin.get(&format!("/api/v1/sessions/{id}")).await.ok();
    assert_eq!(
        (&session["state"], &session["ended"]["reason"]),
        (&json!("ended"), &json!("signed_out"))
    );
    // Whoever is not signed in may sign out too; nothing happens.
    anon.ask(http::Method::POST, "/api/v1/sign-out")
        .await
        .done();
    let program = app.program_of(&nora).await;
    let answer = program.ask(http::Method::POST, "/api/v1/sign-out").await;
    answer.done();
    assert_eq!(
        (answer.cookies().len(), answer.header("clear-site-data")),
        (0, None)
    );
    assert!(!program.is_signed_in().await);
}

async fn a_lock_that_a_crash_left_out_is_made_up_for() {
    let (app, anon, admin) = TestApp::start()
        .with(&["--unlock-after", "15m"])
        .with_admin()
        .await;
    let nora = app.member().await;
    anon.sign_in_as(&nora.email, "a wrong guess")
        .await
        .problem(401, "sign_in_failed");
    // As a server leaves it that stops between the last try and the lock.
    app.sql("UPDATE sign_in_attempt SET tries = 5, locked_at = NULL")
        .await;
    for _ in 0..2 {
        anon.sign_in(&nora).await.problem(401, "sign_in_failed");
    }
    let locks = admin.get("/api/v1/audit?action=user.locked").await.ok();
    assert_eq!(locks["total"], 1);
    app.advance(minutes(16));
    anon.sign_in(&nora).await.ok();
}
