//! What protects people in browsers: where requests come from, what answers allow, what is kept nowhere.

use http::Method;
use serde_json::json;

use crate::support::{Client, PASSWORD, Person, TestApp, redacted};

both_databases!(
    other_sites_change_nothing,
    programs_and_sign_in_are_refused_from_other_sites_only,
    reading_changes_nothing,
    every_answer_carries_the_safety_headers,
    https_is_remembered_where_it_is_known,
    what_knows_who_asks_is_never_stored,
    no_origin_is_ever_allowed_to_read,
    bodies_of_other_types_are_refused,
    large_bodies_are_refused,
    methods_that_a_call_does_not_have_are_refused,
    head_answers_as_get_does_without_a_body,
    nothing_is_found_beside_a_path,
    forwarded_headers_count_from_listed_proxies_only,
);

const MUTATIONS: &[(&str, &str)] = &[
    ("POST", "/api/v1/sign-in"),
    ("POST", "/api/v1/sign-out"),
    ("POST", "/api/v1/me/password"),
    ("POST", "/api/v1/me/reauthenticate"),
    ("DELETE", "/api/v1/me/sessions"),
    ("DELETE", "/api/v1/me/sessions/{id}"),
    ("PATCH", "/api/v1/me/sessions/{id}"),
    ("POST", "/api/v1/keys"),
    ("DELETE", "/api/v1/keys/{id}"),
    ("DELETE", "/api/v1/sessions/{id}"),
    ("DELETE", "/api/v1/users/{user}/sessions"),
    ("DELETE", "/api/UserRequest/{id}"),
    ("POST", "/rpc/sign_in"),
    ("POST", "/rpc/sign_out"),
    ("POST", "/rpc/change_password"),
    ("POST", "/rpc/reauthenticate"),
    ("POST", "/rpc/create_key"),
    ("POST", "/rpc/revoke_key"),
    ("POST", "/rpc/set_time_zone"),
    ("POST", "/rpc/rename_own_session"),
    ("POST", "/rpc/end_own_session"),
    ("POST", "/rpc/end_own_sessions"),
    ("POST", "/rpc/end_session"),
    ("POST", "/rpc/end_user_sessions"),
    ("PUT", "/api/v1/me"),
    ("PATCH", "/api/v1/sessions/{id}"),
    ("DELETE", "/nothing"),
];

const OURS: (&str, &str) = ("origin", "http://localhost:8080");

type Headers = &'static [(&'static str, &'static str)];

// Where a request comes from, and whether it is refused with the session cookie.
const WITH_COOKIE: &[(Headers, bool)] = &[
    (&[("sec-fetch-site", "same-origin")], false),
    (
        &[
            ("sec-fetch-site", "same-origin"),
            ("origin", "https://evil.example"),
        ],
        false,
    ),
    (&[OURS], false),
    (&[], true),
    (&[("sec-fetch-site", "cross-site")], true),
    (&[("sec-fetch-site", "same-site")], true),
    (&[("sec-fetch-site", "none")], true),
    (&[("sec-fetch-site", "cross-site"), OURS], true),
    (&[("sec-fetch-site", "")], true),
    (&[("origin", "null")], true),
    (&[("origin", "https://evil.example")], true),
    (&[("origin", "http://localhost:8081")], true),
    (&[("origin", "http://localhost:8080.evil.example")], true),
    (
        &[("origin", "http://evil.example/http://localhost:8080")],
        true,
    ),
    (&[OURS, ("origin", "https://evil.example")], true),
];

async fn send(
    client: &Client,
    cookie: Option<&str>,
    method: &str,
    path: &str,
    headers: Headers,
) -> (u16, String) {
    let mut ask = client
        .ask(method.parse().expect("a method"), path)
        .bare()
        .header("accept", "*/*");
    for (name, value) in headers {
        ask = ask.header(name, value);
    }
    if let Some(token) = cookie {
        ask = ask.header("cookie", format!("__Host-rollcall={token}"));
    }
    let answer = ask.await;
    (answer.status, answer.text())
}

fn filled(path: &str, person: &Person, id: impl std::fmt::Display) -> String {
    path.replace("{id}", &id.to_string())
        .replace("{user}", &person.id.to_string())
}

fn refused_as_foreign((status, body): &(u16, String)) -> bool {
    // Our own client reads the bare code, programs a problem document, people a page.
    *status == 403 && (body.contains("foreign_origin") || body.contains("came from another site"))
}

async fn other_sites_change_nothing() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let myself = app.admin().await;
    let token = admin.token().expect("a token");
    let (id, _) = app
        .open_session(&myself, crate::support::NewRow::default())
        .await;
    for (headers, refused) in WITH_COOKIE {
        for (method, path) in MUTATIONS {
            let path = filled(path, &myself, id);
            // What is let in is only looked at where it does nothing that the next line needs.
            let harmless = path == "/nothing" || path == "/api/v1/me" || *method == "PATCH";
            if !refused && !harmless {
                continue;
            }
            let answer = send(&admin, Some(&token), method, &path, headers).await;
            assert_eq!(
                refused_as_foreign(&answer),
                *refused,
                "{method} {path} {headers:?}: {answer:?}"
            );
        }
        assert_eq!(app.stored(id).await.ended, None, "{headers:?}");
    }
    assert!(admin.is_signed_in().await);
}

async fn programs_and_sign_in_are_refused_from_other_sites_only() {
    let (app, anon, _) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    for (headers, refused) in WITH_COOKIE {
        // Without the cookie, what says nothing is a program.
        let foreign = *refused && !matches!(headers, [] | [("sec-fetch-site", "none")]);
        let body = json!({ "email": nora.email, "password": PASSWORD, "token": true });
        let mut ask = anon.post("/api/v1/sign-in", body).bare();
        for (name, value) in *headers {
            ask = ask.header(name, value);
        }
        let answer = ask.await;
        if foreign {
            answer.problem(403, "foreign_origin");
        } else {
            answer.ok();
        }
        let program = app.program_of(&nora).await;
        let bearer = format!("Bearer {}", program.token().expect("a token"));
        let mut ask = anon
            .ask(Method::POST, "/api/v1/sign-out")
            .bare()
            .header("authorization", bearer);
        for (name, value) in *headers {
            ask = ask.header(name, value);
        }
        assert_eq!(
            ask.await.status,
            if foreign { 403 } else { 204 },
            "{headers:?}"
        );
        assert_eq!(program.is_signed_in().await, foreign, "{headers:?}");
    }
}

async fn reading_changes_nothing() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let myself = app.admin().await;
    let (id, _) = app
        .open_session(&myself, crate::support::NewRow::default())
        .await;
    for (_, path) in MUTATIONS {
        let path = filled(path, &myself, id);
        for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
            admin
                .ask(method, &path)
                .header("sec-fetch-site", "cross-site")
                .bare()
                .await;
            let signed_in = admin.ask(Method::GET, &path).await;
            assert!(signed_in.status == 200 || signed_in.status >= 300, "{path}");
        }
    }
    assert!(admin.is_signed_in().await);
    assert_eq!(app.stored(id).await.ended, None);
}

const POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data:; \
    font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'";

async fn every_answer_carries_the_safety_headers() {
    let (app, anon, admin) = TestApp::start().with_admin().await;
    let _ = &app;
    let mut ids = std::collections::BTreeSet::new();
    for (client, method, path, status) in [
        (&anon, "GET", "/api/v1/me", 401),
        (&admin, "GET", "/api/v1/me", 200),
        (&admin, "GET", "/api/v1/nothing", 404),
        (&admin, "GET", "/api/v1/sessions/x", 404),
        (&admin, "PUT", "/api/v1/me", 405),
        (&admin, "TRACE", "/api/v1/me", 405),
        (&anon, "GET", "/nothing", 404),
        (&admin, "GET", "/sessions", 200),
        (&anon, "GET", "/sessions", 303),
        (&anon, "GET", "/sign-in", 200),
        (&anon, "GET", "/healthz", 200),
        (&anon, "GET", "/readyz", 200),
        (&anon, "GET", "/metrics", 200),
        (&anon, "GET", "/robots.txt", 200),
        (&anon, "GET", "/favicon.svg", 200),
        (&anon, "GET", "/pkg/nothing.js", 404),
        (&anon, "GET", "/api/openapi.json", 200),
        (&anon, "GET", "/api/docs", 200),
        (&anon, "GET", "/help/troubleshooting", 200),
        (&admin, "DELETE", "/api/v1/me/sessions/x", 404),
        (&anon, "POST", "/api/v1/sign-out", 204),
    ] {
        let answer = client.ask(method.parse().expect("a method"), path).await;
        let which = format!("{method} {path}");
        assert_eq!(answer.status, status, "{which}: {}", answer.text());
        assert_eq!(
            answer.header("x-content-type-options"),
            Some("nosniff"),
            "{which}"
        );
        assert_eq!(
            answer.header("referrer-policy"),
            Some("same-origin"),
            "{which}"
        );
        assert_eq!(
            answer.header("cross-origin-opener-policy"),
            Some("same-origin"),
            "{which}"
        );
        assert_eq!(answer.header("strict-transport-security"), None, "{which}");
        assert!(
            answer.header("server").is_none() && answer.header("x-powered-by").is_none(),
            "{which}"
        );
        let policy = answer.header("content-security-policy").expect("a policy");
        let nonce = policy
            .split("'nonce-")
            .nth(1)
            .and_then(|rest| rest.split('\'').next());
        match nonce {
            Some(nonce) => {
                assert_eq!(
                    policy.replace(&format!(" 'nonce-{nonce}'"), ""),
                    POLICY,
                    "{which}"
                );
                assert!(
                    answer.text().contains(nonce) && nonce.len() >= 16,
                    "{which}"
                );
                assert!(ids.insert(nonce.to_owned()), "a nonce is used once");
            }
            None => assert_eq!(policy, POLICY, "{which}"),
        }
        assert!(
            ids.insert(answer.header("x-request-id").expect("an id").to_owned()),
            "a request's id is its own"
        );
    }
}

async fn https_is_remembered_where_it_is_known() {
    let (_, anon, _) = TestApp::start()
        .with(&["--public-url", "https://rollcall.example.org"])
        .with_admin()
        .await;
    for path in ["/api/v1/me", "/nothing", "/healthz", "/sign-in"] {
        assert_eq!(
            anon.get(path).await.header("strict-transport-security"),
            Some("max-age=31536000"),
            "{path}"
        );
    }
    let answer = anon
        .ask(Method::POST, "/api/v1/sign-out")
        .header("origin", "https://rollcall.example.org")
        .await;
    answer.done();
    let answer = anon
        .ask(Method::POST, "/api/v1/sign-out")
        .header("origin", "http://localhost:8080")
        .await;
    answer.problem(403, "foreign_origin");
    let more = [
        "--public-url",
        "https://rollcall.example.org",
        "--hsts-include-subdomains",
    ];
    let (_, anon, _) = TestApp::start().with(&more).with_admin().await;
    let header = anon
        .get("/api/v1/me")
        .await
        .header("strict-transport-security")
        .map(str::to_owned);
    assert_eq!(
        header.as_deref(),
        Some("max-age=31536000; includeSubDomains")
    );
}

async fn what_knows_who_asks_is_never_stored() {
    let (app, anon, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    for path in [
        "/api/v1/me",
        "/api/v1/me/sessions",
        "/api/v1/sessions",
        "/api/v1/sessions/stats",
        "/api/v1/audit",
        "/api/UserRequests",
        "/api/v1/nothing",
        "/",
        "/sessions",
        "/account/sessions",
        "/account/security",
        "/nothing",
        "/sign-in",
    ] {
        for client in [&anon, &admin] {
            let answer = client.get(path).await;
            assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
            assert_eq!(answer.header("etag"), None, "{path}");
        }
    }
    for answer in [
        app.browser().sign_in(&nora).await,
        anon.sign_in_as("x@y", "z").await,
    ] {
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
}

async fn no_origin_is_ever_allowed_to_read() {
    let (_, anon, admin) = TestApp::start().with_admin().await;
    for origin in [
        "https://evil.example",
        "null",
        "http://localhost:8080",
        "http://localhost:80800",
    ] {
        for path in [
            "/api/v1/me",
            "/api/v1/sign-in",
            "/rpc/me",
            "/api/openapi.json",
            "/sessions",
        ] {
            for client in [&anon, &admin] {
                for method in [Method::GET, Method::OPTIONS] {
                    let ask = client
                        .ask(method, path)
                        .header("origin", origin)
                        .header("access-control-request-method", "DELETE");
                    let answer = ask.await;
                    let allowed = answer
                        .headers
                        .keys()
                        .any(|name| name.as_str().starts_with("access-control-"));
                    assert!(!allowed, "{path} {origin}: {:?}", answer.headers);
                }
            }
        }
    }
}

async fn bodies_of_other_types_are_refused() {
    let (app, anon, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let body = json!({ "email": nora.email, "password": PASSWORD }).to_string();
    for kind in [
        "text/plain",
        "text/plain;application/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=utf-16",
        "application/jsonp",
        "",
    ] {
        anon.ask(Method::POST, "/api/v1/sign-in")
            .body(kind, body.clone())
            .await
            .problem(415, "unsupported_media_type");
    }
    anon.ask(Method::POST, "/api/v1/sign-in")
        .body("Application/JSON;charset=UTF-8", body.clone())
        .await
        .ok();
    let untyped = anon
        .ask(Method::POST, "/api/v1/sign-in")
        .body("application/json", body.clone())
        .header("content-type", "application/json")
        .await;
    untyped.problem(415, "unsupported_media_type");
    for kind in [
        "application/json",
        "text/plain",
        "multipart/form-data; boundary=x",
    ] {
        let answer = admin
            .ask(Method::POST, "/rpc/sign_out")
            .body(kind, "{}")
            .await;
        assert_eq!(
            (answer.status, answer.json()),
            (415, json!("unsupported_media_type")),
            "{kind}"
        );
    }
    assert!(admin.is_signed_in().await);
}

async fn large_bodies_are_refused() {
    let (app, anon, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let most = 64 * 1024;
    let padded = |length: usize| {
        let body = json!({ "email": nora.email, "password": PASSWORD }).to_string();
        format!("{body}{}", " ".repeat(length - body.len()))
    };
    anon.ask(Method::POST, "/api/v1/sign-in")
        .body("application/json", padded(most))
        .await
        .ok();
    for length in [most + 1, 10 * most] {
        anon.ask(Method::POST, "/api/v1/sign-in")
            .body("application/json", padded(length))
            .await
            .problem(413, "too_large");
        let answer = admin
            .ask(Method::DELETE, "/api/v1/me/sessions")
            .body("application/json", padded(length))
            .await;
        answer.problem(413, "too_large");
    }
    let deep = format!("{{\"email\":{}", "[".repeat(10_000));
    anon.ask(Method::POST, "/api/v1/sign-in")
        .body("application/json", deep)
        .await
        .field("email");
    assert!(admin.is_signed_in().await);
}

async fn methods_that_a_call_does_not_have_are_refused() {
    let (_, anon, admin) = TestApp::start().with_admin().await;
    for client in [&anon, &admin] {
        for (path, allowed) in [
            ("/api/v1/me", &["GET", "HEAD"][..]),
            ("/api/v1/sign-in", &["POST"]),
            ("/api/v1/me/sessions", &["GET", "HEAD", "DELETE"]),
            ("/api/v1/sessions", &["GET", "HEAD", "POST"]),
            ("/api/v1/sessions/stats", &["GET", "HEAD"]),
            ("/api/UserRequests", &["GET", "HEAD"]),
            ("/api/v1/audit", &["GET", "HEAD"]),
            ("/healthz", &["GET", "HEAD"]),
        ] {
            for method in [
                "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT",
                "PROPFIND", "GETX",
            ] {
                if allowed.contains(&method) {
                    continue;
                }
                let answer = client
                    .ask(method.parse().expect("a method"), path)
                    .header("origin", "http://localhost:8080")
                    .await;
                assert_eq!(answer.status, 405, "{method} {path}");
                if method != "HEAD" {
                    answer.problem(405, "method_not_allowed");
                }
                let named = answer.header("allow").expect("what is allowed");
                assert!(
                    allowed.iter().all(|one| named.contains(one)),
                    "{method} {path}: {named}"
                );
            }
        }
    }
    assert!(admin.is_signed_in().await);
}

async fn head_answers_as_get_does_without_a_body() {
    let (_, anon, admin) = TestApp::start().with_admin().await;
    for (client, path) in [
        (&admin, "/api/v1/me"),
        (&anon, "/api/v1/me"),
        (&admin, "/api/v1/sessions"),
        (&anon, "/healthz"),
        (&anon, "/api/openapi.json"),
        (&admin, "/api/v1/nothing"),
    ] {
        let (get, head) = (client.get(path).await, client.ask(Method::HEAD, path).await);
        assert_eq!(get.status, head.status, "{path}");
        assert_eq!(
            get.header("content-type"),
            head.header("content-type"),
            "{path}"
        );
    }
}

async fn nothing_is_found_beside_a_path() {
    let (_, _, admin) = TestApp::start().with_admin().await;
    for path in [
        "/api/v1/me/x.css",
        "/api/v1/me/",
        "/api/v1/me%2Fx.css",
        "/api/v1/me;x.js",
        "/api/v1//me",
        "/api/v1/ME",
        "/API/v1/me",
        "/api/v2/me",
        "/api/v1/me%00",
        "/api/v1/me/..",
        "/api/v1/sessions/stats/x",
    ] {
        let answer = admin.get(path).await;
        assert_eq!(answer.status, 404, "{path}: {}", answer.text());
        assert!(!answer.text().contains(TestApp::ADMIN), "{path}");
    }
    let one = admin.get("/api/v1/nothing").await.problem(404, "not_found");
    insta::assert_json_snapshot!("not_found", redacted(one));
}

async fn forwarded_headers_count_from_listed_proxies_only() {
    let (app, _, _) = TestApp::start()
        .with(&["--trusted-proxy", "192.0.2.0/24,2001:db8:ffff::/48"])
        .with_admin()
        .await;
    let nora = app.member().await;
    for (peer, forwarded, expected) in [
        ("198.51.100.9", "203.0.113.99", "198.51.100.9"),
        ("192.0.2.1", "203.0.113.99", "203.0.113.99"),
        (
            "192.0.2.1",
            "6.6.6.6, 203.0.113.99, 192.0.2.7",
            "203.0.113.99",
        ),
        ("2001:db8:ffff::1", "2001:db8::5", "2001:db8::5"),
        ("192.0.2.1", "junk", "192.0.2.1"),
        ("::ffff:198.51.100.9", "203.0.113.99", "198.51.100.9"),
    ] {
        let client = app.anonymous().at(peer);
        let body = json!({ "email": nora.email, "password": PASSWORD });
        let answer = client
            .post("/api/v1/sign-in", body)
            .header("x-forwarded-for", forwarded)
            .await;
        assert_eq!(answer.ok()["session"]["ip"], expected, "{peer} {forwarded}");
    }
}
