//! What counts as a credential, and what never does.

use serde_json::{Value, json};

use crate::support::{Answer, NewRow, PASSWORD, TestApp, minutes};

both_databases!(
    two_credentials_at_once_are_refused_and_noted,
    a_name_that_is_almost_ours_is_not,
    only_the_exact_token_is_accepted,
    a_token_counts_in_no_other_place,
    chosen_tokens_are_never_adopted,
    an_unreadable_cookie_hinders_no_sign_in,
    each_answer_goes_to_whoever_asked,
);

const EVERY_PROTECTED: &[(&str, &str)] = &[
    ("GET", "/api/v1/me"),
    ("GET", "/api/v1/me/sessions"),
    ("GET", "/api/v1/sessions"),
    ("GET", "/api/v1/sessions/stats"),
    ("GET", "/api/v1/audit"),
    ("GET", "/api/UserRequests"),
    ("DELETE", "/api/v1/me/sessions"),
];

async fn with_cookie(app: &TestApp, line: impl AsRef<[u8]>) -> Answer {
    app.anonymous()
        .get("/api/v1/me")
        .header("cookie", line)
        .await
}

async fn two_credentials_at_once_are_refused_and_noted() {
    let (app, anon, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let (_, good) = app.open_session(&nora, NewRow::default()).await;
    let (_, evil) = app.open_session(&nora, NewRow::default()).await;
    let cookie = |token: &str| format!("__Host-rollcall={token}");
    let bearer = format!("Bearer {good}");
    let junk = "__Host-rollcall=x".to_owned();
    let mut asked = 0;
    for (method, path) in EVERY_PROTECTED {
        let ask = || {
            anon.ask(method.parse().expect("a method"), path)
                .header("sec-fetch-site", "same-origin")
        };
        for ask in [
            ask().header("cookie", format!("{}; {}", cookie(&good), cookie(&evil))),
            ask().header("cookie", format!("{}; {}", cookie(&evil), cookie(&good))),
            ask().header("cookie", format!("{}; {}", cookie(&good), cookie(&good))),
            ask().header("cookie", format!("{}; {junk}", cookie(&good))),
            ask()
                .header("cookie", cookie(&good))
                .header("cookie", cookie(&evil)),
            ask()
                .header("cookie", cookie(&good))
                .header("authorization", &bearer),
            ask()
                .header("cookie", &junk)
                .header("authorization", &bearer),
            ask()
                .header("authorization", &bearer)
                .header("authorization", &bearer),
        ] {
            let answer = ask.await;
            answer.problem(400, "ambiguous_credentials");
            assert_eq!(answer.cookies(), Vec::<String>::new());
            asked += 1;
        }
    }
    let sign_in = anon.post(
        "/api/v1/sign-in",
        json!({ "email": nora.email, "password": PASSWORD }),
    );
    sign_in
        .header("sec-fetch-site", "same-origin")
        .header("cookie", format!("{}; {junk}", cookie(&good)))
        .await
        .problem(400, "ambiguous_credentials");
    let page = admin
        .get("/api/v1/audit?action=credentials.ambiguous")
        .await
        .ok();
    assert_eq!(page["total"], asked + 1);
    assert_eq!(page["items"][0]["outcome"], "refused");
    assert!(app.holding(&good).is_signed_in().await && app.holding(&evil).is_signed_in().await);
}

async fn a_name_that_is_almost_ours_is_not() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let (_, token) = app.open_session(&nora, NewRow::default()).await;
    for name in [
        "__host-rollcall",
        "__HOST-rollcall",
        "%5F%5FHost-rollcall",
        "=__Host-rollcall",
        "\"__Host-rollcall\"",
        "__Host-rollcall2",
        "rollcall",
        "__Secure-rollcall",
        "__Host-Rollcall",
    ] {
        with_cookie(&app, format!("{name}={token}"))
            .await
            .problem(401, "unauthenticated");
    }
    for line in [
        format!("__Host-rollcall=\"{token}\""),
        format!("__Host-rollcall={token}, x"),
        "__Host-rollcall=".into(),
        "__Host-rollcall".into(),
        ";;=;".into(),
    ] {
        with_cookie(&app, line)
            .await
            .problem(401, "unauthenticated");
    }
    let mut raw = b"__Host-rollcall=".to_vec();
    raw.extend([0xff, 0xfe]);
    with_cookie(&app, raw).await.problem(401, "unauthenticated");
    with_cookie(&app, format!("a=b; __Host-rollcall={token}; c=\"d\""))
        .await
        .ok();
}

async fn only_the_exact_token_is_accepted() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let (id, token) = app.open_session(&nora, NewRow::default()).await;
    let mut edited = Vec::new();
    for at in 0..token.len() {
        edited.push(token[..at].to_owned());
        let mut other: Vec<char> = token.chars().collect();
        other[at] = if other[at] == 'A' { 'B' } else { 'A' };
        edited.push(other.iter().collect());
        let mut flipped: Vec<char> = token.chars().collect();
        flipped[at] = if flipped[at].is_lowercase() {
            flipped[at].to_ascii_uppercase()
        } else {
            flipped[at].to_ascii_lowercase()
        };
        edited.push(flipped.iter().collect());
    }
    for suffix in ["A", "=", "==", "%20", ".", "\t A"] {
        edited.push(format!("{token}{suffix}"));
    }
    edited.extend([
        format!("x{token}"),
        token.replace("rc_s_", "rc_t_"),
        token[5..].to_owned(),
        token.replace('_', "/").replace('-', "+"),
    ]);
    edited.retain(|text| *text != token);
    assert!(edited.len() > 190, "{}", edited.len());
    for text in &edited {
        let bearer = app
            .anonymous()
            .get("/api/v1/me")
            .header("authorization", format!("Bearer {text}"))
            .await;
        bearer.problem(401, "unauthenticated");
        with_cookie(&app, format!("__Host-rollcall={text}"))
            .await
            .problem(401, "unauthenticated");
    }
    assert_eq!(app.stored(id).await.ended, None, "nothing ends by it");
    assert!(app.holding(&token).is_signed_in().await);
}

async fn a_token_counts_in_no_other_place() {
    let (app, anon, _) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let (_, token) = app.open_session(&nora, NewRow::default()).await;
    for name in [
        "token",
        "access_token",
        "session",
        "__Host-rollcall",
        "jsessionid",
    ] {
        anon.get(&format!("/api/v1/me?{name}={token}")).await;
        let answer = anon.get(&format!("/api/v1/me?{name}={token}")).await;
        assert!(
            matches!(answer.status, 400 | 401),
            "{name}: {}",
            answer.status
        );
        assert!(!answer.text().contains(&token), "{name}");
        let answer = anon.get(&format!("/api/v1/me;{name}={token}")).await;
        assert_eq!(answer.status, 404, "{name}");
    }
    for (name, value) in [
        ("x-session-token", token.clone()),
        ("session-token", token.clone()),
        ("x-auth-token", token.clone()),
        ("authorization", token.clone()),
        ("authorization", format!("Token {token}")),
        ("authorization", format!("Basic {token}")),
        ("proxy-authorization", format!("Bearer {token}")),
    ] {
        anon.get("/api/v1/me")
            .header(name, value)
            .await
            .problem(401, "unauthenticated");
    }
    let body = json!({ "current_password": PASSWORD, "new_password": "nine loud geese before dawn", "token": token });
    assert_ne!(anon.post("/api/v1/me/password", body).await.status, 204);
}

async fn chosen_tokens_are_never_adopted() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let before = admin.get("/api/v1/sessions/stats").await.ok()["total"].clone();
    for number in 0..50_u8 {
        let chosen = format!("rc_s_{}", base64_like(number));
        for (method, path) in EVERY_PROTECTED {
            let ask = app
                .anonymous()
                .ask(method.parse().expect("a method"), path)
                .header("authorization", format!("Bearer {chosen}"))
                .await;
            ask.problem(401, "unauthenticated");
        }
    }
    assert_eq!(
        admin.get("/api/v1/sessions/stats").await.ok()["total"],
        before
    );
    let browser = app.browser();
    let chosen = format!("rc_s_{}", base64_like(7));
    browser.hold(&chosen);
    browser.sign_in(&nora).await.ok();
    assert_ne!(browser.token(), Some(chosen));
}

fn base64_like(seed: u8) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    (0..64_usize)
        .map(|index| char::from(ALPHABET[(index * 7 + usize::from(seed) * 13) % 64]))
        .collect()
}

async fn an_unreadable_cookie_hinders_no_sign_in() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let browser = app.browser();
    browser.hold("not-a-token");
    browser
        .get("/api/v1/me")
        .await
        .problem(401, "unauthenticated");
    browser.sign_in(&nora).await.ok();
    assert!(browser.is_signed_in().await);
    // Nor does a dead one.
    let (id, dead) = app.open_session(&nora, NewRow::default()).await;
    app.store_end(id, rollcall_core::EndReason::SignedOut).await;
    browser.hold(&dead);
    browser
        .get("/api/v1/me")
        .await
        .problem(401, "unauthenticated");
    browser.sign_in(&nora).await.ok();
    assert!(browser.is_signed_in().await);
}

async fn each_answer_goes_to_whoever_asked() {
    let (app, _, _) = TestApp::start()
        .with(&["--rotate-every", "10s"])
        .with_admin()
        .await;
    let acme = app.organisation("Acme").await;
    let mut people = Vec::new();
    for number in 0..64 {
        let person = app
            .user(
                acme,
                rollcall_core::BuiltInRole::Member,
                &format!("user-{number}@acme.test"),
            )
            .await;
        people.push((
            person.email.clone(),
            std::sync::Arc::new(app.browser_of(&person).await),
        ));
    }
    for _ in 0..4 {
        app.advance(minutes(1) / 4);
        let mut requests = Vec::new();
        for (email, client) in &people {
            for index in 0..6 {
                let (email, client) = (email.clone(), client.clone());
                let work = tokio::spawn(async move {
                    let me: Value = client.get("/api/v1/me").await.ok();
                    assert_eq!(me["user"]["email"], email.as_str());
                    assert_eq!(me["session"]["user"]["email"], email.as_str());
                });
                // Every third one hangs up at some moment.
                if index % 3 == 2 {
                    tokio::task::yield_now().await;
                    work.abort();
                }
                requests.push(work);
            }
        }
        for request in requests {
            match request.await {
                Ok(()) => {}
                Err(error) => assert!(error.is_cancelled(), "{error}"),
            }
        }
    }
    for (email, client) in &people {
        assert_eq!(
            client.get("/api/v1/me").await.ok()["user"]["email"],
            email.as_str()
        );
    }
}
