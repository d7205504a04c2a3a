//! What a proxy in front of an application asks, and how a browser comes by a credential on the application's host. The proxy
//! is played by the tests: it says where a request goes, and passes cookies on.

use http::Method;
use rollcall_core::{BuiltInRole, Permission, Permissions};
use serde_json::json;

use crate::support::{Answer, Client, NewRow, Person, TestApp, hours, minutes, seconds};

both_databases!(
    a_browser_is_led_to_the_sign_in_and_back,
    an_application_is_told_who_asks,
    rules_decide_by_path_method_role_and_organisation,
    what_could_be_read_in_two_ways_never_passes,
    nobody_but_a_listed_proxy_is_answered,
    a_code_is_good_once_soon_there_and_in_that_browser,
    a_credential_is_good_on_its_host_alone_and_dies_with_the_session,
    a_question_is_a_use_and_never_rotates,
    programs_show_their_token,
    whoever_stands_for_less_does_not_pass,
    entering_asks_for_a_sound_address,
    an_application_signs_its_users_out,
    a_database_that_is_away_lets_nobody_pass,
);

const PROXY: &str = "192.0.2.1";
const PUBLIC: &str = "https://rollcall.example";
const WIKI: &str = "wiki.example";

async fn guarded(rules: &[&str]) -> (TestApp, Client) {
    let rules = rules.join(";");
    let settings = [
        "--public-url",
        PUBLIC,
        "--trusted-proxy",
        "192.0.2.0/24",
        "--protect",
        &rules,
    ];
    let (app, _, admin) = TestApp::start().with(&settings).with_admin().await;
    (app, admin)
}

async fn wiki() -> (TestApp, Client) {
    guarded(&["wiki.example/*", "shop.example/*"]).await
}

/// What a visitor of a protected host sends along.
#[derive(Clone, Default)]
struct Visitor {
    state: Option<String>,
    credential: Option<String>,
}

impl Visitor {
    fn cookies(&self) -> String {
        let pair = |name: &str, value: &Option<String>| {
            value.as_ref().map(|value| format!("{name}={value}; "))
        };
        [
            pair("__Host-rollcall-state", &self.state),
            pair("__Host-rollcall-app", &self.credential),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    // As a browser does on that host.
    fn take(&mut self, answer: &Answer) {
        for line in answer.cookies() {
            assert!(
                line.contains("; Path=/; Secure; HttpOnly; SameSite=Lax")
                    && !line.contains("Domain"),
                "{line}"
            );
            let value = |name: &str| {
                let rest = line.strip_prefix(name)?.strip_prefix('=')?;
                rest.split(';').next().map(str::to_owned)
            };
            if let Some(state) = value("__Host-rollcall-state") {
                self.state = Some(state);
            }
            if let Some(credential) = value("__Host-rollcall-app") {
                self.credential = Some(credential);
            }
        }
    }

    /// What the proxy of this host asks.
    async fn asks(&self, app: &TestApp, host: &str, method: &str, target: &str) -> Answer {
        let proxy = app.anonymous().at(PROXY);
        let ask = proxy
            .get("/auth/verify")
            .header("x-forwarded-host", host)
            .header("x-forwarded-method", method)
            .header("x-forwarded-uri", target)
            .header("x-forwarded-for", "198.51.100.20");
        match self.cookies() {
            cookies if cookies.is_empty() => ask.await,
            cookies => ask.header("cookie", cookies).await,
        }
    }

    /// Whether it may look at a page of the host.
    async fn passes(&self, app: &TestApp, host: &str) -> u16 {
        self.asks(app, host, "GET", "/").await.status
    }

    /// What of the host is ours, through its proxy.
    async fn goes(&mut self, app: &TestApp, host: &str, path: &str) -> Answer {
        let proxy = app.anonymous().at(PROXY);
        let ask = proxy
            .get(path)
            .header("x-forwarded-host", host)
            .header("x-forwarded-for", "198.51.100.20");
        let answer = ask.header("cookie", self.cookies()).await;
        self.take(&answer);
        answer
    }

    /// The way from the host to the sign-in and back, in a browser that is signed in.
    async fn enters(app: &TestApp, browser: &Client, host: &str) -> Self {
        let mut visitor = Self::default();
        let there = visitor.goes(app, host, "/.rollcall/start?to=/").await;
        let begun = browser.get(&ours(&location(&there))).await;
        let back = theirs(&location(&begun), host);
        let entered = visitor.goes(app, host, &back).await;
        assert_eq!((entered.status, &*location(&entered)), (303, "/"));
        visitor
    }
}

fn location(answer: &Answer) -> String {
    let there = answer.header("location");
    there
        .unwrap_or_else(|| panic!("{}: {}", answer.status, answer.text()))
        .to_owned()
}

/// The path of an address of our own.
fn ours(address: &str) -> String {
    let path = address.strip_prefix(PUBLIC);
    path.unwrap_or_else(|| panic!("{address}")).to_owned()
}

/// The path of an address of a protected host.
fn theirs(address: &str, host: &str) -> String {
    let path = address.strip_prefix(&format!("https://{host}"));
    path.unwrap_or_else(|| panic!("{address}")).to_owned()
}

async fn a_browser_is_led_to_the_sign_in_and_back() {
    let (app, admin) = wiki().await;
    let nora = app.member().await;
    let mut visitor = Visitor::default();
    let target = "/page?a=b&c=%2F..&to=/x";
    // A person is sent off; a program is told.
    let proxy = app.anonymous().at(PROXY);
    let ask = |accept: &'static str, method: &'static str| {
        proxy
            .get("/auth/verify")
            .header("x-forwarded-host", "WIKI.example:443")
            .header("x-forwarded-method", method)
            .header("x-forwarded-uri", target)
            .header("accept", accept)
    };
    let html = "text/html,application/xhtml+xml,*/*;q=0.8";
    let sent = ask(html, "GET").await;
    assert_eq!(sent.status, 302);
    let start = theirs(&location(&sent), WIKI);
    assert_eq!(start, format!("/.rollcall/start?to={target}"));
    ask("*/*", "GET").await.problem(401, "unauthenticated");
    assert_eq!(ask(html, "POST").await.status, 401);
    // There the browser gets a state, and is sent to us.
    let there = visitor.goes(&app, WIKI, &start).await;
    assert_eq!(there.status, 303);
    let state = visitor.state.clone().expect("a state");
    let begin = ours(&location(&there));
    assert!(
        begin.starts_with("/auth/start?host=wiki.example&state="),
        "{begin}"
    );
    assert!(begin.ends_with(&format!("&to={target}")), "{begin}");
    assert!(
        !begin.contains(&state),
        "only what it hashes to is in the address"
    );
    // Another tab keeps it.
    visitor.goes(&app, WIKI, "/.rollcall/start?to=/other").await;
    assert_eq!(visitor.state, Some(state));
    // Whoever is not signed in signs in first, and comes back to the same address.
    let browser = app.browser();
    let sign_in = location(&browser.get(&begin).await);
    assert_eq!(
        sign_in,
        format!("/sign-in?next={}", rollcall_core::query::encode(&begin))
    );
    browser.sign_in(&nora).await.ok();
    let begun = browser.get(&begin).await;
    assert_eq!(begun.status, 303);
    let back = theirs(&location(&begun), WIKI);
    assert!(back.starts_with("/.rollcall/callback?code=rc_e_"), "{back}");
    let entered = visitor.goes(&app, WIKI, &back).await;
    assert_eq!((entered.status, &*location(&entered)), (303, target));
    assert_eq!(entered.header("cache-control"), Some("no-store"));
    assert_eq!(visitor.asks(&app, WIKI, "GET", "/page").await.status, 200);
    // The trail says so, with the visitor's address.
    let events = admin.get("/api/v1/audit?action=host.entered").await.ok();
    assert_eq!(events["total"], 1);
    let event = &events["items"][0];
    assert_eq!(event["actor"]["name"], json!(nora.name));
    assert_eq!(
        (&event["detail"], &event["ip"]),
        (&json!("https://wiki.example"), &json!("198.51.100.20"))
    );
}

async fn an_application_is_told_who_asks() {
    let (app, _) = wiki().await;
    let acme = app.organisation("Acme").await;
    let name = "Zoë Ünal";
    let zoe = app.user(acme, BuiltInRole::Member, "zoe@acme.test").await;
    app.sql(format!(
        "UPDATE \"user\" SET name = '{name}' WHERE email = 'zoe@acme.test'"
    ))
    .await;
    app.give(&zoe, &[BuiltInRole::QualityManager.key()]).await;
    let browser = app.browser_of(&zoe).await;
    let visitor = Visitor::enters(&app, &browser, WIKI).await;
    let told = visitor.asks(&app, WIKI, "GET", "/").await;
    assert_eq!((told.status, told.text()), (200, String::new()));
    let id = browser.session_id().await.to_string();
    for (header, value) in [
        ("remote-user", "zoe@acme.test"),
        ("remote-email", "zoe@acme.test"),
        ("remote-groups", "member,quality_manager"),
        ("remote-organisation", &acme.to_string()),
        ("remote-session", &id),
    ] {
        assert_eq!(told.header(header), Some(value), "{header}");
    }
    assert_eq!(told.bytes_of("remote-name"), name.as_bytes());
    // Neither token nor cookie goes to the application.
    assert_eq!((told.cookies().len(), told.session_token()), (0, None));
}

async fn rules_decide_by_path_method_role_and_organisation() {
    let acme = "0189a5d1-6ac9-774b-8000-0000000000a1";
    let of_acme = format!("wiki.example/acme/* organisation={acme}");
    let (app, _) = guarded(&[
        "wiki.example/public/* everyone",
        "wiki.example/admin/* role=administrator role=session_manager",
        "wiki.example/read/* GET,HEAD",
        &of_acme,
        "wiki.example/open",
    ])
    .await;
    let nora = app.member().await;
    let ada = app.administrator_beside(&nora).await;
    let member = Visitor::enters(&app, &app.browser_of(&nora).await, WIKI).await;
    let administrator = Visitor::enters(&app, &app.browser_of(&ada).await, WIKI).await;
    let nobody = Visitor::default();
    for (method, target, expected) in [
        ("GET", "/public/x", [200, 200, 200]),
        ("POST", "/public", [200, 200, 200]),
        ("GET", "//public//x", [200, 200, 200]),
        ("GET", "/publicity", [401, 403, 403]),
        ("GET", "/admin/x", [401, 403, 200]),
        ("GET", "/admin?x=/public/", [401, 403, 200]),
        ("GET", "/%61dmin", [401, 403, 200]),
        ("GET", "/read/x", [401, 200, 200]),
        ("HEAD", "/read/x", [401, 200, 200]),
        ("DELETE", "/read/x", [401, 403, 403]),
        ("GET", "/acme/", [401, 403, 403]),
        ("GET", "/open", [401, 200, 200]),
        ("GET", "/open/x", [401, 403, 403]),
        ("GET", "/", [401, 403, 403]),
    ] {
        for (visitor, expected) in [&nobody, &member, &administrator].into_iter().zip(expected) {
            let answer = visitor.asks(&app, WIKI, method, target).await;
            assert_eq!(answer.status, expected, "{method} {target}");
        }
    }
    // Where everybody may look, an application still learns who does; of nobody it is told nothing, over whatever was sent.
    let known = member.asks(&app, WIKI, "GET", "/public/").await;
    assert_eq!(known.header("remote-user"), Some("nora@acme.test"));
    let unknown = nobody.asks(&app, WIKI, "GET", "/public/").await;
    assert_eq!(unknown.header("remote-user"), Some(""));
}

async fn what_could_be_read_in_two_ways_never_passes() {
    let (app, _) = guarded(&["wiki.example/public/* everyone", "wiki.example/*"]).await;
    let nora = app.member().await;
    let visitor = Visitor::enters(&app, &app.browser_of(&nora).await, WIKI).await;
    for target in [
        "/public/../admin",
        "/public/%2e%2e/admin",
        "/public/..%2fadmin",
        "/public/..;/admin",
        "/public%2f..%2fadmin",
        "/public\\..\\admin",
        "/public/%5c..",
        "/public/%252e%252e/x",
        "/public/%00",
        "public",
        "*",
        "https://wiki.example/public/",
        "/public/%zz",
        "",
    ] {
        for visitor in [&visitor, &Visitor::default()] {
            let status = visitor.asks(&app, WIKI, "GET", target).await.status;
            assert_eq!(
                status,
                if target.is_empty() { 400 } else { 403 },
                "{target}"
            );
        }
    }
    // What is missing, doubled or malformed.
    let proxy = app.anonymous().at(PROXY);
    let cookie = visitor.cookies();
    let all = [
        ("x-forwarded-host", WIKI),
        ("x-forwarded-method", "GET"),
        ("x-forwarded-uri", "/"),
    ];
    let ask = |list: &[(&'static str, &'static str)]| {
        let ask = proxy.get("/auth/verify").header("cookie", &cookie);
        list.iter()
            .fold(ask, |ask, (name, value)| ask.header(name, value))
    };
    assert_eq!(ask(&all).await.status, 200);
    for left_out in 0..3 {
        let mut rest = all.to_vec();
        let (name, value) = rest.remove(left_out);
        assert_eq!(ask(&rest).await.status, 400, "without {name}");
        rest.extend([(name, value), (name, value)]);
        assert_eq!(ask(&rest).await.status, 400, "{name} twice");
    }
    for (name, value) in [
        ("x-forwarded-method", "G E T"),
        ("x-forwarded-method", "GET, POST"),
        ("x-forwarded-host", "wiki.example, shop.example"),
    ] {
        let mut list: Vec<_> = all
            .into_iter()
            .filter(|(other, _)| *other != name)
            .collect();
        list.push((name, value));
        assert_eq!(ask(&list).await.status, 400, "{name}: {value}");
    }
    for host in [
        "other.example",
        "wiki.example.evil.example",
        "wiki.example:8443",
        "user@wiki.example",
        "wiki.example/",
        ".wiki.example",
    ] {
        assert_eq!(visitor.passes(&app, host).await, 403, "{host}");
    }
}

async fn nobody_but_a_listed_proxy_is_answered() {
    let (app, _) = guarded(&["wiki.example/public/* everyone", "wiki.example/*"]).await;
    let nora = app.member().await;
    let visitor = Visitor::enters(&app, &app.browser_of(&nora).await, WIKI).await;
    let stranger = app.anonymous();
    let asked = stranger
        .get("/auth/verify")
        .header("cookie", visitor.cookies())
        .header("x-forwarded-host", WIKI)
        .header("x-forwarded-method", "GET")
        .header("x-forwarded-uri", "/public/");
    asked.await.problem(403, "forbidden");
    // On a host that is not on the list there is nothing, whoever says so.
    for path in [
        "/.rollcall/start?to=/",
        "/.rollcall/callback?code=x&to=/",
        "/.rollcall/other",
    ] {
        assert_eq!(stranger.get(path).await.status, 404, "{path}");
        let said = stranger.get(path).header("x-forwarded-host", WIKI);
        assert_eq!(said.await.status, 404, "{path}");
    }
}

async fn a_code_is_good_once_soon_there_and_in_that_browser() {
    let (app, _) = wiki().await;
    let nora = app.member().await;
    let browser = app.browser_of(&nora).await;
    let mut visitor = Visitor::default();
    let there = visitor.goes(&app, WIKI, "/.rollcall/start?to=/").await;
    let begin = ours(&location(&there));
    let code = async || theirs(&location(&browser.get(&begin).await), WIKI);
    // In another browser: of one who was sent the address, or has begun by themselves.
    let back = code().await;
    let mut thief = Visitor::default();
    assert_eq!(thief.goes(&app, WIKI, &back).await.status, 403);
    thief.goes(&app, WIKI, "/.rollcall/start?to=/").await;
    let refused = thief.goes(&app, WIKI, &back).await;
    assert_eq!(refused.status, 403);
    assert!(refused.text().contains("Try again") && thief.credential.is_none());
    // On another host.
    let mut elsewhere = visitor.clone();
    assert_eq!(
        elsewhere.goes(&app, "shop.example", &back).await.status,
        403
    );
    // None of them has used it up.
    assert_eq!(visitor.goes(&app, WIKI, &back).await.status, 303);
    // Once.
    let mut again = visitor.clone();
    assert_eq!(again.goes(&app, WIKI, &back).await.status, 403);
    // Soon.
    let late = code().await;
    app.advance(seconds(31));
    assert_eq!(visitor.goes(&app, WIKI, &late).await.status, 403);
    // While the session lives.
    let dead = code().await;
    browser.post("/api/v1/sign-out", json!({})).await.done();
    assert_eq!(visitor.goes(&app, WIKI, &dead).await.status, 403);
    // Of many at once with one code, one enters.
    let browser = app.browser_of(&nora).await;
    let back = theirs(&location(&browser.get(&begin).await), WIKI);
    let mut tries = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (app, back, mut visitor) = (app.clone(), back.clone(), visitor.clone());
        tries.spawn(async move { visitor.goes(&app, WIKI, &back).await.status });
    }
    let entered = tries
        .join_all()
        .await
        .into_iter()
        .filter(|status| *status == 303);
    assert_eq!(entered.count(), 1);
}

async fn a_credential_is_good_on_its_host_alone_and_dies_with_the_session() {
    let (app, admin) = wiki().await;
    let nora = app.member().await;
    let browser = app.browser_of(&nora).await;
    let visitor = Visitor::enters(&app, &browser, WIKI).await;
    assert_eq!(visitor.passes(&app, WIKI).await, 200);
    assert_eq!(visitor.passes(&app, "shop.example").await, 401);
    // It is no session here, neither as a cookie nor as a bearer.
    let credential = visitor.credential.clone().expect("a credential");
    app.holding(&credential)
        .get("/api/v1/me")
        .await
        .problem(401, "unauthenticated");
    let as_cookie = app.anonymous();
    let answer = as_cookie
        .get("/api/v1/me")
        .header("cookie", format!("__Host-rollcall={credential}"));
    answer.await.problem(401, "unauthenticated");
    // Nor is our cookie one there.
    let ours = browser.token().expect("a token");
    let mistaken = Visitor {
        credential: Some(ours),
        ..Visitor::default()
    };
    assert_eq!(mistaken.passes(&app, WIKI).await, 401);
    // Only its hash is stored.
    assert!(!format!("{:?}", app.rows().await).contains(&credential[5..]));
    // A restart and a rotation change nothing.
    app.restart().await;
    app.advance(minutes(6));
    browser.get("/api/v1/me").await.ok();
    assert_eq!(visitor.passes(&app, WIKI).await, 200);
    // Ended by an administrator.
    let id = browser.session_id().await;
    admin.delete(&format!("/api/v1/sessions/{id}")).await.done();
    assert_eq!(visitor.passes(&app, WIKI).await, 401);
    // Timed out, disabled, and a new password.
    let browser = app.browser_of(&nora).await;
    let visitor = Visitor::enters(&app, &browser, WIKI).await;
    app.advance(minutes(31));
    assert_eq!(visitor.passes(&app, WIKI).await, 401);
    let browser = app.browser_of(&nora).await;
    let visitor = Visitor::enters(&app, &browser, WIKI).await;
    assert_eq!(visitor.passes(&app, WIKI).await, 200);
    let body = json!({ "current_password": crate::support::PASSWORD, "new_password": "nine loud geese before dawn" });
    browser.post("/api/v1/me/password", body).await.done();
    assert_eq!(visitor.passes(&app, WIKI).await, 401);
    let visitor = Visitor::enters(&app, &browser, WIKI).await;
    let admin = app.browser_of(&app.admin().await).await;
    let path = format!("/api/v1/users/{}", nora.id);
    admin.patch(&path, json!({ "enabled": false })).await.ok();
    assert_eq!(visitor.passes(&app, WIKI).await, 401);
}

async fn a_question_is_a_use_and_never_rotates() {
    let (app, _) = wiki().await;
    let nora = app.member().await;
    let browser = app.browser_of(&nora).await;
    let visitor = Visitor::enters(&app, &browser, WIKI).await;
    let id = browser.session_id().await;
    let generation = app.stored(id).await.generation;
    for _ in 0..6 {
        app.advance(minutes(20));
        assert_eq!(visitor.passes(&app, WIKI).await, 200);
    }
    assert_eq!(app.stored(id).await.generation, generation);
    app.service().flush_activity().await.expect("written");
    assert_eq!(app.stored(id).await.last_activity_at, app.now());
    app.advance(hours(24));
    assert_eq!(visitor.passes(&app, WIKI).await, 401);
}

async fn programs_show_their_token() {
    let (app, _) = wiki().await;
    let nora = app.member().await;
    let program = app.program_of(&nora).await;
    let token = program.token().expect("a token");
    let proxy = app.anonymous().at(PROXY);
    let ask = |bearer: String, cookie: Option<String>| {
        let ask = proxy
            .get("/auth/verify")
            .header("x-forwarded-host", WIKI)
            .header("x-forwarded-method", "POST")
            .header("x-forwarded-uri", "/api")
            .header("authorization", bearer);
        match cookie {
            Some(cookie) => ask.header("cookie", cookie),
            None => ask,
        }
    };
    app.advance(minutes(6));
    let told = ask(format!("Bearer {token}"), None).await;
    assert_eq!((told.status, told.session_token()), (200, None));
    assert_eq!(told.header("remote-user"), Some("nora@acme.test"));
    // One that an application has opened for its user is good here, too.
    let opener = app
        .user(nora.organisation, BuiltInRole::Member, "shop@acme.test")
        .await;
    let may = [Permission::SessionsCreateFor];
    let role = app
        .role(nora.organisation, "Opener", Permissions::of(&may))
        .await;
    app.give(&opener, &[&role.0]).await;
    let (_, key) = app.api_key(&opener, &may).await;
    let body = json!({ "user": nora.id });
    let opened = app
        .holding(&key)
        .post("/api/v1/sessions", body)
        .await
        .json();
    let on_behalf = opened["token"].as_str().expect("a token");
    let told = ask(format!("Bearer {on_behalf}"), None).await;
    assert_eq!(told.header("remote-user"), Some("nora@acme.test"));
    // What is none of ours is the application's business, and proves nothing to us.
    for other in ["Bearer eyJhbGciOiJ9.x.y", "Basic bm9yYTp4", "Bearer rc_s_x"] {
        assert_eq!(ask(other.to_owned(), None).await.status, 401, "{other}");
    }
    let visitor = Visitor::enters(&app, &app.browser_of(&nora).await, WIKI).await;
    let both = ask("Basic bm9yYTp4".to_owned(), Some(visitor.cookies()));
    assert_eq!(both.await.status, 200);
    // Two of ours could be two people's.
    let both = ask(format!("Bearer {token}"), Some(visitor.cookies()));
    both.await.problem(400, "ambiguous_credentials");
    let doubled = format!("{}{}", visitor.cookies(), visitor.cookies());
    ask("Basic x".to_owned(), Some(doubled))
        .await
        .problem(400, "ambiguous_credentials");
}

async fn whoever_stands_for_less_does_not_pass() {
    let (app, _) = wiki().await;
    let nora = app.member().await;
    let (_, key) = app.api_key(&nora, &[]).await;
    let runner = app.runner(&nora).await;
    let new = app
        .newcomer(nora.organisation, BuiltInRole::Member, "new@acme.test")
        .await;
    let (_, unchanged) = app.open_session(&new, NewRow::default()).await;
    for token in [
        key,
        runner.client.token().expect("a token"),
        unchanged.clone(),
    ] {
        let proxy = app.anonymous().at(PROXY);
        let asked = proxy
            .get("/auth/verify")
            .header("x-forwarded-host", WIKI)
            .header("x-forwarded-method", "GET")
            .header("x-forwarded-uri", "/")
            .header("authorization", format!("Bearer {token}"));
        asked.await.problem(401, "unauthenticated");
    }
    // The way in is closed to them, too: the one has a password to change first.
    let browser = app.browser();
    browser.hold(&unchanged);
    let begin = begin_at(&app).await;
    assert!(location(&browser.get(&begin).await).starts_with("/sign-in?next="));
    browser.hold(&runner.client.token().expect("a token"));
    assert_eq!(browser.get(&begin).await.status, 403);
}

async fn begin_at(app: &TestApp) -> String {
    let mut visitor = Visitor::default();
    ours(&location(
        &visitor.goes(app, WIKI, "/.rollcall/start?to=/").await,
    ))
}

async fn entering_asks_for_a_sound_address() {
    let (app, _) = wiki().await;
    let browser = app.browser_of(&app.member().await).await;
    let state = "0".repeat(64);
    for (query, field) in [
        (format!("state={state}&to=/"), "host"),
        (format!("host=evil.example&state={state}&to=/"), "host"),
        (format!("host=wiki.example.&state={state}&to=/"), "host"),
        (
            format!("host=wiki.example%40evil.example&state={state}&to=/"),
            "host",
        ),
        ("host=wiki.example&to=/".to_owned(), "state"),
        ("host=wiki.example&state=00&to=/".to_owned(), "state"),
    ] {
        browser
            .get(&format!("/auth/start?{query}"))
            .await
            .field(field);
    }
    // Where to go on the host is a path there, or its beginning.
    for to in [
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "",
        "javascript:x",
        "evil",
    ] {
        let path = format!("/auth/start?host=wiki.example&state={state}&to={to}");
        let there = location(&browser.get(&path).await);
        assert!(
            there.starts_with("https://wiki.example/.rollcall/callback?code="),
            "{there}"
        );
        assert!(there.ends_with("&to=/"), "{to}: {there}");
        let mut visitor = Visitor::default();
        let start = visitor
            .goes(&app, WIKI, &format!("/.rollcall/start?to={to}"))
            .await;
        assert!(location(&start).ends_with("&to=/"), "{to}");
        let back = visitor
            .goes(&app, WIKI, &format!("/.rollcall/callback?code=x&to={to}"))
            .await;
        assert!(back.text().contains("/.rollcall/start?to=/\""), "{to}");
    }
}

async fn an_application_signs_its_users_out() {
    let (app, _) = wiki().await;
    let nora = app.member().await;
    let browser = app.browser_of(&nora).await;
    let visitor = Visitor::enters(&app, &browser, WIKI).await;
    let path = "/auth/sign-out?return=https%3A%2F%2Fwiki.example%2Fbye%3Fx%3Dy";
    let page = browser.get(path).await;
    assert_eq!(page.status, 200);
    assert!(
        page.text().contains("Sign out?") && page.text().contains("https://wiki.example/bye?x=y")
    );
    // Looking has changed nothing, and no other site can press the button.
    assert_eq!(visitor.passes(&app, WIKI).await, 200);
    let forged = browser.ask(Method::POST, path).bare().header(
        "cookie",
        format!("__Host-rollcall={}", browser.token().expect("a token")),
    );
    assert_eq!(
        forged
            .header("sec-fetch-site", "cross-site")
            .form(&[])
            .await
            .status,
        403
    );
    let out = browser.ask(Method::POST, path).form(&[]).await;
    assert_eq!(
        (out.status, &*location(&out)),
        (303, "https://wiki.example/bye?x=y")
    );
    assert!(out.header("clear-site-data").is_some());
    assert_eq!(visitor.passes(&app, WIKI).await, 401);
    assert_eq!(browser.token(), None);
    assert!(
        browser
            .get(path)
            .await
            .text()
            .contains("You are signed out")
    );
    for to in [
        "https://evil.example/",
        "http://wiki.example/",
        "//wiki.example/",
        "/",
        "https://wiki.example@evil.example/",
        "https://wiki.example:8443/",
        "https://wiki.example\\evil.example",
        "javascript:alert(1)",
        "https://wiki.example/\r\nx: y",
        "https://wiki.example.evil.example/",
    ] {
        let path = format!("/auth/sign-out?return={}", rollcall_core::query::encode(to));
        assert_eq!(browser.get(&path).await.status, 400, "{to}");
        assert_eq!(
            browser.ask(Method::POST, &path).form(&[]).await.status,
            400,
            "{to}"
        );
    }
    let browser = app.browser_of(&nora).await;
    let out = browser.ask(Method::POST, "/auth/sign-out").form(&[]).await;
    assert_eq!((out.status, &*location(&out)), (303, "/sign-in"));
}

async fn a_database_that_is_away_lets_nobody_pass() {
    let (app, _) = guarded(&["wiki.example/public/* everyone", "wiki.example/*"]).await;
    let nora: Person = app.member().await;
    let browser = app.browser_of(&nora).await;
    let visitor = Visitor::enters(&app, &browser, WIKI).await;
    assert_eq!(visitor.passes(&app, WIKI).await, 200);
    crate::database_away::away(&app).await;
    assert!(!app.service().probe().await);
    assert_eq!(visitor.passes(&app, WIKI).await, 503);
    assert_eq!(
        visitor.asks(&app, WIKI, "GET", "/public/").await.status,
        503
    );
    let begin = format!(
        "/auth/start?host=wiki.example&state={}&to=/",
        "0".repeat(64)
    );
    assert_eq!(browser.get(&begin).await.status, 503);
    crate::database_away::back(&app).await;
    assert!(app.service().probe().await);
    assert_eq!(visitor.passes(&app, WIKI).await, 200);
}
