//! What a call may do is what its description says, and nothing more.

use std::collections::BTreeSet;

use http::Method;
use rollcall_core::BuiltInRole;
use serde_json::{Map, Value, json};

use crate::support::{Client, NewRow, PASSWORD, TestApp, minutes, unknown_id};

both_databases!(
    no_method_is_answered_that_is_not_described,
    extra_fields_change_nothing,
    signing_out_closes_every_door,
    every_cookie_of_every_door_is_hardened_and_short,
    a_token_tells_nothing,
    a_cookie_that_outlives_its_session_opens_nothing,
);

const METHODS: &[&str] = &[
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "LINK",
];

async fn described(anon: &Client) -> Map<String, Value> {
    let document = anon.get("/api/openapi.json").await.ok();
    document["paths"].as_object().expect("paths").clone()
}

async fn no_method_is_answered_that_is_not_described() {
    let (app, anon, admin) = TestApp::start().with_admin().await;
    let acme = app.organisation("Acme").await;
    let mut callers = vec![admin, anon];
    for role in [
        BuiltInRole::Administrator,
        BuiltInRole::SessionManager,
        BuiltInRole::Member,
    ] {
        let email = format!("{}@acme.test", role.key());
        let person = app.user(acme, role, &email).await;
        callers.push(app.browser_of(&person).await);
    }
    let (id, token) = app
        .open_session(&app.admin().await, NewRow::default())
        .await;
    let paths = described(&callers[1]).await;
    let mut refused = 0;
    for (path, item) in &paths {
        let known: BTreeSet<String> = item
            .as_object()
            .expect("operations")
            .keys()
            .map(|method| method.to_uppercase())
            .collect();
        let path = path.replace("{id}", &id.to_string());
        let path = path.replace("{requestId}", &id.to_string());
        let path = path.replace("{key}", "member");
        for method in METHODS.iter().filter(|method| !known.contains(**method)) {
            // HEAD is GET without the body (RFC 9110, 9.3.2).
            if *method == "HEAD" && known.contains("GET") {
                continue;
            }
            for client in &callers {
                let method: Method = method.parse().expect("a method");
                let ask = client.ask(method.clone(), &path);
                // An overriding header is no method.
                let answer = ask.header("x-http-method-override", "DELETE").await;
                assert_eq!(answer.status, 405, "{method} {path}: {}", answer.text());
                refused += 1;
            }
        }
    }
    for page in [
        "/sessions",
        "/account/security",
        "/sign-in",
        "/rpc/sign_out",
        "/rpc/me",
    ] {
        for method in ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"] {
            for client in &callers {
                let method: Method = method.parse().expect("a method");
                let answer = client.ask(method.clone(), page).await;
                assert_eq!(answer.status, 405, "{method} {page}");
                refused += 1;
            }
        }
    }
    assert!(refused > 500, "{refused}");
    for client in callers.iter().filter(|client| client.token().is_some()) {
        assert!(client.is_signed_in().await);
    }
    assert!(
        app.holding(&token).is_signed_in().await,
        "nothing was ended"
    );
}

/// What somebody might add to a body to get more out of it.
fn extras(app: &TestApp) -> Vec<(&'static str, Value)> {
    let far = json!((app.now() + minutes(60 * 24 * 365)).to_string());
    vec![
        ("role", json!("platform_administrator")),
        ("role_key", json!("platform_administrator")),
        ("permissions", json!(["users.manage"])),
        ("org_id", json!(unknown_id())),
        ("organisation_id", json!(unknown_id())),
        ("user_id", json!(unknown_id())),
        ("user", json!({ "id": unknown_id() })),
        ("id", json!(unknown_id())),
        ("kind", json!("client")),
        ("expires_at", far.clone()),
        ("absolute_expires_at", far),
        ("generation", json!(7)),
        ("enabled", json!(true)),
        ("service_account", json!(true)),
        ("password_hash", json!("x")),
        ("__proto__", json!({ "role": "platform_administrator" })),
    ]
}

async fn extra_fields_change_nothing() {
    let (app, anon, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let browser = app.browser_of(&nora).await;
    let (victim, _) = app.open_session(&nora, NewRow::default()).await;
    let before = app.rows().await;
    for (name, value) in extras(&app) {
        let sign_in = json!({ "email": nora.email, "password": PASSWORD, name: value });
        anon.post("/api/v1/sign-in", sign_in).await.field(name);
        let change = json!({
            "current_password": PASSWORD, "new_password": "nine loud geese before dawn", name: value,
        });
        browser
            .post("/api/v1/me/password", change)
            .await
            .field(name);
        let end = json!({ "reason": "lost", name: value });
        let answer = admin
            .delete(&format!("/api/v1/sessions/{victim}"))
            .json(&end)
            .await;
        answer.field(name);
    }
    assert_eq!(app.rows().await, before);
    assert_eq!(app.stored(victim).await.ended, None);
    // Server functions take forms; what they do not know counts for nothing.
    let extras = extras(&app);
    let texts: Vec<_> = extras
        .iter()
        .map(|(name, value)| (*name, value.to_string()))
        .collect();
    let mut fields = vec![("email", nora.email.as_str()), ("password", PASSWORD)];
    fields.extend(texts.iter().map(|(name, value)| (*name, value.as_str())));
    let other = app.browser();
    let answer = other
        .ask(Method::POST, "/rpc/sign_in")
        .header("accept", "application/json")
        .form(&fields)
        .await;
    assert!(matches!(answer.status, 200 | 400), "{}", answer.text());
    if answer.status == 200 {
        let me = other.get("/api/v1/me").await.ok();
        assert_eq!(me["user"]["email"], nora.email);
        assert_eq!(me["user"]["organisation"]["id"], json!(nora.organisation));
        assert_eq!(me["session"]["kind"], "console");
        let limit = app.now() + minutes(24 * 60);
        assert_eq!(me["session"]["absolute_expires_at"], limit.to_string());
        other
            .get("/api/v1/sessions")
            .await
            .problem(403, "forbidden");
    }
}

async fn signing_out_closes_every_door() {
    let (app, anon, _) = TestApp::start().with_admin().await;
    let myself = app.admin().await;
    let browser = app.browser_of(&myself).await;
    let token = browser.token().expect("a token");
    assert!(browser.is_signed_in().await);
    browser.ask(Method::POST, "/api/v1/sign-out").await.done();
    let (victim, _) = app.open_session(&myself, NewRow::default()).await;
    let change =
        json!({ "current_password": PASSWORD, "new_password": "nine loud geese before dawn" });
    let mut asked = 0;
    for (path, item) in described(&anon).await {
        // Whoever has a token may revoke it; nobody is asked who they are.
        let open = [
            "sign-in",
            "sign-out",
            "/revoke",
            "/v1/forgot-password",
            "/v1/reset-password",
        ];
        if !path.starts_with("/api/") || open.iter().any(|end| path.ends_with(end)) {
            continue;
        }
        let id = victim.to_string();
        let address = path.replace("{id}", &id).replace("{requestId}", &id);
        let address = match path.ends_with("/export") {
            true => format!("{address}?format=csv"),
            false => address,
        };
        let address = address.replace("{key}", "member");
        for method in item.as_object().expect("operations").keys() {
            let method: Method = method.to_uppercase().parse().expect("a method");
            let (program, replay) = (app.holding(&token), app.browser());
            replay.hold(&token);
            for client in [&program, &replay] {
                let ask = client.ask(method.clone(), &address);
                let answer = if path.ends_with("password") {
                    ask.json(&change).await
                } else if path.ends_with("reauthenticate") {
                    ask.json(&json!({ "current_password": PASSWORD })).await
                } else if method == Method::PATCH {
                    ask.json(&json!({ "name": "mine again" })).await
                } else {
                    ask.await
                };
                answer.problem(401, "unauthenticated");
                asked += 1;
            }
        }
    }
    assert!(asked > 20, "{asked}");
    for function in [
        "me",
        "list_sessions",
        "session_stats",
        "list_audit",
        "end_own_sessions",
    ] {
        let replay = app.browser();
        replay.hold(&token);
        let ask = replay.ask(Method::POST, &format!("/rpc/{function}"));
        let answer = ask
            .header("accept", "application/json")
            .form(&[("scope", "all")])
            .await;
        assert_eq!(answer.status, 401, "{function}: {}", answer.text());
    }
    for page in [
        "/",
        "/sessions",
        "/audit",
        "/account/sessions",
        "/account/security",
    ] {
        let replay = app.browser();
        replay.hold(&token);
        let answer = replay.get(page).header("accept", "text/html").await;
        assert_eq!(answer.status, 303, "{page}");
        assert!(!answer.text().contains(TestApp::ADMIN), "{page}");
    }
    assert_eq!(app.stored(victim).await.ended, None);
}

async fn every_cookie_of_every_door_is_hardened_and_short() {
    let (app, anon, _) = TestApp::start().with_admin().await;
    let longest = format!("{}@acme.test", "n".repeat(240));
    let acme = app.organisation(&"Acme ".repeat(16)).await;
    let nora = app.user(acme, BuiltInRole::Administrator, &longest).await;
    let mut seen = 0;
    let mut check = |answer: &crate::support::Answer, what: &str| {
        for line in answer.cookies() {
            let mut parts = line.split("; ");
            let pair = parts.next().expect("a pair");
            let (name, value) = pair.split_once('=').expect("a name");
            assert_eq!(name, "__Host-rollcall", "{what}");
            assert!(name.len() + value.len() <= 128, "{what}");
            let attributes: BTreeSet<_> =
                parts.filter(|part| !part.starts_with("Max-Age=")).collect();
            let expected = BTreeSet::from(["Path=/", "Secure", "HttpOnly", "SameSite=Lax"]);
            assert_eq!(attributes, expected, "{what}");
            if !value.is_empty() {
                assert!(!answer.text().contains(value), "{what}");
                assert!(
                    !answer
                        .header("location")
                        .unwrap_or_default()
                        .contains(value),
                    "{what}"
                );
            }
            seen += 1;
        }
        // The time zone's cookie is the browser's own; nothing else is ever set.
    };
    let mut doors: Vec<(Method, String)> = Vec::new();
    for (path, item) in described(&anon).await {
        for method in item.as_object().expect("operations").keys() {
            let id = unknown_id().to_string();
            let path = path.replace("{id}", &id).replace("{requestId}", &id);
            let path = path.replace("{key}", "member");
            doors.push((method.to_uppercase().parse().expect("a method"), path));
        }
    }
    for page in [
        "/",
        "/sessions",
        "/account/sessions",
        "/account/security",
        "/nothing",
        "/sign-in",
    ] {
        doors.push((Method::GET, page.to_owned()));
    }
    for (method, path) in &doors {
        let keeps = NewRow {
            keep: true,
            name: "s".repeat(80),
            ..NewRow::default()
        };
        let (_, token) = app.open_session(&nora, keeps).await;
        let browser = app.browser();
        browser.hold(&token);
        // Due, so that each door that knows who asks hands out the next one.
        app.advance(minutes(6));
        let answer = browser
            .ask(method.clone(), path)
            .header("accept", "text/html")
            .await;
        check(&answer, &format!("{method} {path}"));
    }
    let browser = app.browser();
    let body =
        json!({ "email": nora.email, "password": PASSWORD, "keep": true, "name": "s".repeat(80) });
    check(&browser.post("/api/v1/sign-in", body).await, "sign-in");
    check(
        &browser.ask(Method::POST, "/api/v1/sign-out").await,
        "sign-out",
    );
    assert!(seen > 20, "{seen}");
}

async fn a_token_tells_nothing() {
    use base64::Engine;
    let (app, _, _) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let mut tokens = Vec::new();
    for _ in 0..20 {
        let browser = app.browser();
        let session = browser.sign_in(&nora).await.ok()["session"].clone();
        let token = browser.token().expect("a token");
        let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD
            .decode(&token[5..])
            .expect("base64url");
        assert_eq!(bytes.len(), 48);
        let id: uuid::Uuid = session["id"]
            .as_str()
            .expect("an id")
            .parse()
            .expect("an id");
        let seconds = u32::try_from(app.now().0 / 1_000_000).expect("a time");
        for known in [
            &id.as_bytes()[..],
            &nora.id.0.as_bytes()[..],
            &nora.organisation.0.as_bytes()[..],
            b"nora",
            b"acme",
            &seconds.to_be_bytes(),
            &seconds.to_le_bytes(),
        ] {
            let told = bytes.windows(known.len()).any(|window| window == known);
            assert!(!told, "a token holds {known:?}");
        }
        assert!(!token.contains('.') && !token.contains("eyJ"), "no JWT");
        tokens.push(bytes);
    }
    // Two of one user share nothing: no five bytes stand at the same place.
    for (index, one) in tokens.iter().enumerate() {
        for other in &tokens[..index] {
            let same = (0..44).any(|at| one[at..at + 5] == other[at..at + 5]);
            assert!(!same, "{one:?} {other:?}");
        }
    }
}

async fn a_cookie_that_outlives_its_session_opens_nothing() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    for keep in [false, true] {
        let browser = app.browser();
        let body = json!({ "email": nora.email, "password": PASSWORD, "keep": keep });
        let answer = browser.post("/api/v1/sign-in", body).await;
        let token = browser.token().expect("a token");
        // The cookie says when it ends only where the browser is to keep it.
        let line = answer.cookies().remove(0);
        assert_eq!(line.contains("Max-Age"), keep, "{line}");
        let limit = answer.ok()["session"]["absolute_expires_at"].clone();
        let limit = rollcall_core::Timestamp::parse_rfc3339(limit.as_str().expect("a time"))
            .expect("a time");
        let left = u64::try_from(limit.0 - app.now().0).expect("later");
        app.advance(std::time::Duration::from_micros(left));
        // A browser that does not honour the age sends it all the same.
        browser.hold(&token);
        assert!(!browser.is_signed_in().await);
        let page = browser
            .get("/account/sessions")
            .header("accept", "text/html")
            .await;
        assert_eq!(page.status, 303);
    }
}
