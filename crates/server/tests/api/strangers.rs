//! What somebody without an account can make the server do: answer, and nothing else.

use http::Method;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use rollcall_server::clock::OsRandom;
use rollcall_server::service::token::Token;
use serde_json::json;

use crate::support::{Answer, Client, NewRow, PASSWORD, Rows, TestApp, kind, unknown_id};

both_databases!(
    a_thousand_chosen_tokens_open_nothing_and_make_no_row,
    asking_without_an_account_makes_no_row,
    a_failed_sign_in_leaves_an_event_and_a_bounded_count_and_nothing_else,
    no_answer_shows_what_is_inside,
    no_user_agent_is_stored_longer_than_512_bytes,
    no_forwarded_header_is_believed_or_breaks_anything,
);

const PAGES: &[&str] = &[
    "/",
    "/sign-in",
    "/forgot-password",
    "/sessions",
    "/sessions/{id}",
    "/sessions/{id}/end",
    "/account/sessions",
    "/account/sessions/end",
    "/account/sessions/{id}/end",
    "/account/security",
    "/nothing",
    "/metrics",
    "/healthz",
    "/readyz",
    "/api/docs",
    "/help/troubleshooting",
];

/// Every call that the description knows, with ids that nothing has.
async fn calls(anon: &Client) -> Vec<(Method, String)> {
    let document = anon.get("/api/openapi.json").await.ok();
    let paths = document["paths"].as_object().expect("paths");
    let mut calls = Vec::new();
    for (path, item) in paths {
        let id = unknown_id().to_string();
        let path = path.replace("{id}", &id).replace("{requestId}", &id);
        for method in item.as_object().expect("operations").keys() {
            let method = method.to_uppercase().parse().expect("a method");
            calls.push((method, path.clone()));
        }
    }
    assert!(calls.len() > 15, "{calls:?}");
    calls
}

async fn a_thousand_chosen_tokens_open_nothing_and_make_no_row() {
    let (app, anon, _) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let calls: Vec<_> = calls(&anon)
        .await
        .into_iter()
        .filter(|(_, path)| path.starts_with("/api/") && !path.ends_with("sign-in"))
        .filter(|(_, path)| !path.ends_with("sign-out") && !path.ends_with(".json"))
        // Whoever has a token may revoke it; to nobody's, nothing happens.
        .filter(|(_, path)| !path.ends_with("/revoke"))
        // Whoever cannot sign in asks by mail.
        .filter(|(_, path)| {
            !path.ends_with("/forgot-password") && !path.ends_with("/v1/reset-password")
        })
        .filter(|(_, path)| !path.ends_with("/report-sign-in"))
        .collect();
    let before = app.rows().await;
    for number in 0..1_000 {
        let chosen = Token::generate(&OsRandom).expose().to_string();
        let (method, path) = &calls[number % calls.len()];
        // What cannot be read is refused before anybody looks who sent it.
        let path = match path.ends_with("/export") {
            true => &format!("{path}?format=csv"),
            false => path,
        };
        let ask = anon.ask(method.clone(), path);
        let ask = match (number / calls.len()) % 2 {
            0 => ask.header("authorization", format!("Bearer {chosen}")),
            _ => ask
                .header("cookie", format!("__Host-rollcall={chosen}"))
                .header("sec-fetch-site", "same-origin"),
        };
        let ask = match path.ends_with("password") {
            true => ask.json(&json!({ "current_password": PASSWORD, "new_password": PASSWORD })),
            false if path.ends_with("reauthenticate") => {
                ask.json(&json!({ "current_password": PASSWORD }))
            }
            false if method == Method::PATCH => ask.json(&json!({ "name": "mine" })),
            false => ask,
        };
        let answer = ask.await;
        answer.problem(401, "unauthenticated");
        assert_eq!(answer.cookie_token(), None, "{method} {path}");
        assert_eq!(answer.session_token(), None, "{method} {path}");
    }
    assert_eq!(app.rows().await, before);
    // Whoever signs in while holding one gets another, and the held one stays nobody's.
    let chosen = Token::generate(&OsRandom).expose().to_string();
    let browser = app.browser();
    browser.hold(&chosen);
    browser.sign_in(&nora).await.ok();
    assert_ne!(browser.token().expect("a token")[..26], chosen[..26]);
    assert!(!app.holding(&chosen).is_signed_in().await);
}

async fn asking_without_an_account_makes_no_row() {
    let (app, anon, _) = TestApp::start().with_admin().await;
    let calls = calls(&anon).await;
    let before = app.rows().await;
    let mut asked = 0;
    for round in 0..30 {
        for (method, path) in &calls {
            // Without a body nobody signs in.
            let answer = anon.ask(method.clone(), path).await;
            assert!(answer.status < 500, "{method} {path}: {}", answer.text());
            assert_eq!(answer.cookies(), Vec::<String>::new(), "{method} {path}");
            asked += 1;
        }
        for path in PAGES {
            let path = path.replace("{id}", &unknown_id().to_string());
            for method in [Method::GET, Method::HEAD] {
                // What an identity provider or another site would send along opens nothing either.
                let query = [
                    "",
                    "?iss=https://idp.example&login_hint=nora",
                    "?code=x&state=y",
                ];
                let address = format!("{path}{}", query[round % 3]);
                let ask = anon.ask(method, &address).header("accept", "text/html");
                let answer = ask.await;
                assert!(answer.status < 500, "{address}: {}", answer.text());
                assert_eq!(answer.cookie_token(), None, "{address}");
                asked += 1;
            }
        }
    }
    assert!(asked > 1_000, "{asked}");
    assert_eq!(app.rows().await, before);
}

async fn a_failed_sign_in_leaves_an_event_and_a_bounded_count_and_nothing_else() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let before = app.rows().await;
    let most = usize::from(u8::MAX);
    for (number, name) in [
        "nobody@acme.test".to_owned(),
        "NOBODY@acme.test".to_owned(),
        "no address".to_owned(),
        "no address either".to_owned(),
        format!("{}@acme.test", "x".repeat(60_000)),
    ]
    .iter()
    .enumerate()
    {
        let answer = app.browser().sign_in_as(name, PASSWORD).await;
        answer.problem(401, "sign_in_failed");
        let expected = Rows {
            // What is no address counts as one name, whatever it was.
            attempts: before.attempts + if number < 2 { 1 } else { 2 },
            events: before.events + i64::try_from(number).expect("few") + 1,
            ..before
        };
        assert_eq!(app.rows().await, expected, "{number}");
        let key = &app.attempt_names().await;
        assert!(key.iter().all(|name| name.len() <= most), "{key:?}");
    }
}

// No word of these belongs into an answer to somebody outside.
const INSIDE: &[&str] = &[
    "panicked",
    "RUST_BACKTRACE",
    "sqlx",
    "sea_orm",
    "SeaORM",
    "sqlite",
    "postgres",
    "SELECT ",
    "UPDATE ",
    "INSERT ",
    "sign_in_attempt",
    "secret_hash",
    "crates/",
    "src/",
    ".rs:",
    "/home/",
    "/tmp/",
    env!("CARGO_MANIFEST_DIR"),
    "serde",
    "hyper",
    "tokio",
];

fn shows_nothing(answer: &Answer, what: &str) {
    assert!(answer.status < 500, "{what}: {}", answer.text());
    let text = answer.text();
    for word in INSIDE {
        assert!(!text.contains(word), "{what} shows {word}: {text}");
    }
}

async fn no_answer_shows_what_is_inside() {
    let (app, anon, admin) = TestApp::start().with_admin().await;
    let calls = calls(&anon).await;
    let text = || {
        prop_oneof![
            "\\PC{0,40}",
            "['\"\\\\;%&=<>{}\\[\\]0-9a-z -]{0,40}",
            Just("' OR 1=1 --".to_owned()),
            Just("{\"email\":{\"$gt\":\"\"}}".to_owned()),
            Just("../../../../etc/passwd".to_owned()),
        ]
    };
    let shapes = (
        0..calls.len(),
        any::<bool>(),
        any::<bool>(),
        text(),
        text(),
        text(),
    );
    let mut runner = TestRunner::deterministic();
    let cases = match kind() {
        crate::support::DatabaseKind::Sqlite => 1_500,
        crate::support::DatabaseKind::Postgres => 300,
    };
    for _ in 0..cases {
        let shape = shapes.new_tree(&mut runner).expect("a shape").current();
        let (at, signed_in, spoiled, name, value, body) = shape;
        let (method, path) = &calls[at];
        // Those that end the administrator's own sessions would leave nobody to ask.
        if path.contains("sign-out") || (path.ends_with("me/sessions") && method == Method::DELETE)
        {
            continue;
        }
        let pair = rollcall_core::query::write(&[("q", value.clone()), ("sort", name.clone())]);
        let path = match spoiled {
            true => format!("{path}?{pair}"),
            false => path.clone(),
        };
        let client = if signed_in { &admin } else { &anon };
        let body = json!({ "email": name, "password": body, "reason": value }).to_string();
        let cut = body.floor_char_boundary(body.len() / 2);
        let body = if spoiled {
            body[..cut].to_owned()
        } else {
            body
        };
        let ask = client.ask(method.clone(), &path);
        let ask = match method.as_str() {
            "GET" => ask,
            _ => ask.body("application/json", body),
        };
        // Attempts from one address end early otherwise.
        app.advance(std::time::Duration::from_secs(20));
        let answer = ask
            .header("x-odd", value.as_bytes().escape_ascii().to_string())
            .await;
        if !path.starts_with("/api/openapi.json") && !path.starts_with("/metrics") {
            shows_nothing(&answer, &format!("{method} {path}"));
        }
        if !admin.is_signed_in().await {
            admin.sign_in_as(TestApp::ADMIN, PASSWORD).await.ok();
        }
    }
    for (path, what) in [
        ("/%ff%fe", "no UTF-8"),
        ("/api/v1/sessions/%00", "a NUL"),
        ("/sessions/..%2f..%2fetc%2fpasswd", "a way out"),
        ("/pkg/..%2f..%2fCargo.toml", "a way to the files"),
        ("/pkg/%2e%2e/%2e%2e/etc/passwd", "another one"),
    ] {
        shows_nothing(&anon.get(path).header("accept", "text/html").await, what);
        shows_nothing(&admin.get(path).await, what);
    }
}

async fn no_user_agent_is_stored_longer_than_512_bytes() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let large = 64 * 1024;
    let repeated = |text: &str| text.repeat(large / text.len());
    for agent in [
        repeated("a"),
        repeated("("),
        repeated(" "),
        repeated("Mozilla/5.0 "),
        repeated("Chrome/1."),
        repeated("Version/9.9.9.9 Safari/"),
        repeated("Windows NT "),
        repeated("\u{1F980}"),
        repeated("\u{202e}e\u{301}"),
        format!("Firefox/{}", repeated("9")),
        format!("{}Firefox/1", repeated("Android ")),
        format!("{}\u{fffd}", "x".repeat(511)),
    ] {
        let shown: String = agent.chars().take(20).collect();
        let client = app.anonymous();
        let body = json!({ "email": nora.email, "password": PASSWORD, "token": true });
        let ask = client.ask(Method::POST, "/api/v1/sign-in").bare();
        let ask = ask.body("application/json", body.to_string());
        let session = ask.header("user-agent", &agent).await.ok()["session"].clone();
        let length = |field: &str| session[field].as_str().expect("text").len();
        assert!(
            length("user_agent") <= 512,
            "{shown}: {}",
            length("user_agent")
        );
        assert!(
            length("browser") <= 128 && length("system") <= 128,
            "{shown}"
        );
        let name = session["name"].as_str().expect("text");
        assert!(
            !name.is_empty() && name.chars().count() <= 80,
            "{shown}: {name}"
        );
    }
    let events = admin.get("/api/v1/audit?page_size=100").await.ok();
    for event in events["items"].as_array().expect("events") {
        assert!(event["user_agent"].as_str().expect("text").len() <= 512);
    }
}

async fn no_forwarded_header_is_believed_or_breaks_anything() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let (_, token) = app.open_session(&nora, NewRow::default()).await;
    let peer = "198.51.100.77";
    let client = app.anonymous().at(peer);
    for name in [
        "x-forwarded-for",
        "forwarded",
        "x-real-ip",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-client-ip",
        "true-client-ip",
        "cf-connecting-ip",
        "x-original-url",
        "x-http-method-override",
    ] {
        for value in [
            "127.0.0.1",
            "for=127.0.0.1;proto=https;host=evil.example",
            "https",
            "/api/v1/sessions",
            "DELETE",
            "999.999.999.999",
            ",,,;;;===",
            "for=\"[::1",
            "\u{202e}\u{1F980}",
            &"127.0.0.1, ".repeat(500),
        ] {
            let bearer = format!("Bearer {token}");
            let ask = client.get("/api/v1/me").header("authorization", &bearer);
            let answer = ask.header(name, value).await;
            answer.ok();
            assert_eq!(
                answer.header("strict-transport-security"),
                None,
                "{name}: {value}"
            );
        }
    }
    let body = json!({ "email": nora.email, "password": PASSWORD });
    let ask = client.post("/api/v1/sign-in", body);
    let ask = ask
        .header("x-forwarded-for", "127.0.0.1")
        .header("x-real-ip", "127.0.0.1");
    let ask = ask.header("forwarded", "for=127.0.0.1");
    assert_eq!(ask.await.ok()["session"]["ip"], peer);
}
