//! Applications with a sign-in of their own: sessions on behalf of somebody, introspection, revocation.

use http::Method;
use rollcall_core::{BuiltInRole, OrganisationId, Permission as P, Permissions};
use serde_json::{Value, json};

use crate::support::{Answer, Client, PASSWORD, Person, TestApp, minutes, seconds};

both_databases!(
    an_application_opens_a_session_for_its_user,
    such_a_session_opens_next_to_nothing,
    nobody_who_may_do_more_gets_one,
    nobody_who_may_not_sign_in_gets_one,
    limits_count_it_as_any_other,
    a_one_time_password_is_no_matter_of_the_application,
    what_cannot_be_opened_is_named,
    a_token_is_looked_up,
    what_concerns_nobody_here_is_not_active,
    a_look_is_a_use_and_never_rotates,
    a_retired_token_is_noticed_in_a_look,
    whoever_has_a_token_can_revoke_it,
    the_two_calls_of_oauth_take_forms,
);

const SESSIONS: &str = "/api/v1/sessions";

/// A service account beside this person with a role of these permissions, and a key that has them all.
async fn application(app: &TestApp, organisation: OrganisationId, may: &[P]) -> Client {
    let email = format!("app-{}@acme.test", crate::support::unknown_id());
    let account = app.user(organisation, BuiltInRole::Member, &email).await;
    let role = app.role(organisation, &email, Permissions::of(may)).await;
    app.give(&account, &[&role.0]).await;
    let (_, secret) = app.api_key(&account, may).await;
    app.holding(&secret)
}

async fn opener(app: &TestApp, beside: &Person) -> Client {
    application(app, beside.organisation, &[P::SessionsCreateFor]).await
}

async fn looker(app: &TestApp, beside: &Person) -> Client {
    application(app, beside.organisation, &[P::SessionsIntrospect]).await
}

async fn open(by: &Client, user: &Person) -> Answer {
    by.post(SESSIONS, json!({ "user": user.id })).await
}

async fn opened(app: &TestApp, by: &Client, user: &Person) -> Client {
    let answer = open(by, user).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    app.holding(answer.json()["token"].as_str().expect("a token"))
}

async fn look(by: &Client, token: &str) -> Value {
    let form = [("token", token)];
    by.ask(Method::POST, "/api/v1/introspect")
        .form(&form)
        .await
        .ok()
}

async fn revoke(by: &Client, token: &str) -> Answer {
    let form = [("token", token), ("token_type_hint", "refresh_token")];
    by.ask(Method::POST, "/api/v1/revoke").form(&form).await
}

/// What is said of the one field that was refused.
fn words(answer: &Answer, field: &str) -> String {
    let message = &answer.field(field)["errors"][0]["message"];
    message.as_str().expect("words").to_owned()
}

fn not_active() -> Value {
    json!({ "active": false })
}

async fn an_application_opens_a_session_for_its_user() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let by = opener(&app, &nora).await;
    let agent = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0";
    let body = json!({ "email": " Nora@Acme.Test ", "ip": "::ffff:198.51.100.9", "user_agent": agent, "name": "Shop" });
    let answer = by.post(SESSIONS, body).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert_eq!(
        (answer.cookie_token(), answer.session_token()),
        (None, None)
    );
    let made = answer.json();
    let session = &made["session"];
    assert_eq!(session["user"]["id"], json!(nora.id));
    for (field, value) in [
        ("kind", "api"),
        ("method", "on_behalf"),
        ("ip", "198.51.100.9"),
        ("name", "Shop"),
        ("browser", "Firefox 140"),
        ("state", "active"),
    ] {
        assert_eq!(session[field], value, "{field}");
    }
    let hers = app.holding(made["token"].as_str().expect("a token"));
    let me = hers.get("/api/v1/me").await.ok();
    assert_eq!(me["user"]["email"], "nora@acme.test");
    assert_eq!(me["session"]["id"], session["id"]);
    assert_eq!(me["permissions"], json!([]));
    // It is among the others, told apart by its method, and the trail says who opened it and from where.
    let listed = admin.get("/api/v1/sessions?method=on_behalf").await.ok();
    assert_eq!(listed["items"][0]["id"], session["id"]);
    let id = session["id"].as_str().expect("an id");
    let path = format!("/api/v1/audit?session={id}&action=session.created");
    let event = &admin.get(&path).await.ok()["items"][0];
    let by_whom = event["actor"]["name"].as_str().expect("a name");
    assert!(by_whom.ends_with("(API key pipeline)"), "{by_whom}");
    assert_eq!(event["target"]["email"], "nora@acme.test");
    assert_eq!(event["ip"], "203.0.113.7");
    // Nora sees it among hers and ends it.
    let browser = app.browser_of(&nora).await;
    browser
        .delete(&format!("/api/v1/me/sessions/{id}"))
        .await
        .done();
    hers.get("/api/v1/me").await.problem(401, "unauthenticated");
    // Without address and browser of the user it has the application's own.
    let plain = open(&by, &nora).await.json();
    assert_eq!(plain["session"]["ip"], "203.0.113.7");
    assert_eq!(plain["session"]["browser"], "curl 8.5");
}

async fn such_a_session_opens_next_to_nothing() {
    let (app, anon, _) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let by = opener(&app, &nora).await;
    let hers = opened(&app, &by, &nora).await;
    // Nor does it when its user may do more by now.
    let role = BuiltInRole::Administrator.key();
    app.sql(format!(
        "UPDATE \"user\" SET role_key = '{role}' WHERE email = 'nora@acme.test'"
    ))
    .await;
    app.restart().await;
    assert_eq!(hers.get("/api/v1/me").await.ok()["permissions"], json!([]));
    let document = anon.get("/api/openapi.json").await.ok();
    let mut asked = 0;
    for (path, item) in document["paths"].as_object().expect("paths") {
        let for_anybody = [
            "/api/v1/me",
            "/api/v1/sign-in",
            "/api/v1/sign-out",
            "/api/v1/revoke",
            "/api/v1/forgot-password",
            "/api/v1/reset-password",
            "/api/v1/report-sign-in",
        ];
        if !path.starts_with("/api/") || for_anybody.contains(&&**path) {
            continue;
        }
        let filled = ["{id}", "{requestId}", "{key}"]
            .iter()
            .fold(path.clone(), |path, part| {
                path.replace(part, &crate::support::unknown_id().to_string())
            });
        // What cannot be read is refused before anybody looks who sent it.
        let filled = match path.ends_with("/export") {
            true => format!("{filled}?format=csv"),
            false => filled,
        };
        for method in item.as_object().expect("operations").keys() {
            let method: Method = method.to_uppercase().parse().expect("a method");
            let ask = hers.ask(method.clone(), &filled);
            let answer = match path.as_str() {
                _ if method == Method::GET || method == Method::DELETE => ask.await,
                "/api/v1/me/password" => {
                    ask.json(&json!({ "current_password": PASSWORD, "new_password": "nine loud geese before dawn" }))
                        .await
                }
                "/api/v1/me/reauthenticate" => {
                    ask.json(&json!({ "current_password": PASSWORD })).await
                }
                "/api/v1/introspect" => ask.form(&[("token", "x")]).await,
                _ => ask.json(&json!({ "name": "mine" })).await,
            };
            assert_eq!(answer.status, 403, "{method} {path}: {}", answer.text());
            answer.problem(403, "not_on_behalf");
            asked += 1;
        }
    }
    assert!(asked > 60, "{asked}");
    // Nor as a cookie.
    let browser = app.browser();
    browser.hold(&hers.token().expect("a token"));
    for path in [
        "/account/sessions",
        "/sessions",
        "/account/security",
        "/users",
    ] {
        assert_ne!(browser.get(path).await.status, 200, "{path}");
    }
    // Its own end it opens.
    hers.post("/api/v1/sign-out", json!({})).await.done();
    hers.get("/api/v1/me").await.problem(401, "unauthenticated");
}

async fn nobody_who_may_do_more_gets_one() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let by = opener(&app, &nora).await;
    let acme = nora.organisation;
    let ada = app.administrator_beside(&nora).await;
    let bo = app
        .user(acme, BuiltInRole::SessionManager, "bo@acme.test")
        .await;
    let cy = app.user(acme, BuiltInRole::Member, "cy@acme.test").await;
    let role = app
        .role(acme, "Auditor", Permissions::of(&[P::AuditView]))
        .await;
    app.give(&cy, &[&role.0]).await;
    for user in [&ada, &bo, &cy] {
        open(&by, user).await.problem(409, "user_not_eligible");
        assert_eq!(
            app.browser_of(user)
                .await
                .get("/api/v1/me/sessions")
                .await
                .ok()["total"],
            1
        );
    }
    // The trail has the attempts.
    let refused = admin
        .get("/api/v1/audit?action=session.created&outcome=refused")
        .await
        .ok();
    assert_eq!(refused["total"], 3);
    // A role without any permission harms nothing.
    let di = app
        .user(acme, BuiltInRole::QualityManager, "di@acme.test")
        .await;
    let plain = app.role(acme, "Plain", Permissions::default()).await;
    app.give(&di, &[&plain.0]).await;
    opened(&app, &by, &di).await;
    // Whoever may not open sessions for others opens none; that is noted, too.
    for other in [
        admin,
        app.browser_of(&ada).await,
        app.browser_of(&nora).await,
        looker(&app, &nora).await,
    ] {
        open(&other, &nora).await.problem(403, "forbidden");
    }
    let denied = app
        .browser_of(&app.admin().await)
        .await
        .get("/api/v1/audit?action=session.created&outcome=not_permitted")
        .await
        .ok();
    assert_eq!(denied["total"], 4);
}

async fn nobody_who_may_not_sign_in_gets_one() {
    let (app, anon, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let by = opener(&app, &nora).await;
    for _ in 0..5 {
        anon.sign_in_as(&nora.email, "not the password").await;
    }
    open(&by, &nora).await.problem(409, "user_not_eligible");
    // A lock that opens by itself opens here, too.
    let values = json!({ "values": { "unlock_after_seconds": 900 } });
    admin.patch("/api/v1/policy", values).await.ok();
    open(&by, &nora).await.problem(409, "user_not_eligible");
    app.advance(minutes(15));
    opened(&app, &by, &nora).await;
    let enabled = async |enabled| {
        let path = format!("/api/v1/users/{}", nora.id);
        admin.reauthenticate().await;
        admin.patch(&path, json!({ "enabled": enabled })).await.ok();
    };
    enabled(false).await;
    open(&by, &nora).await.problem(409, "user_not_eligible");
    enabled(true).await;
    app.advance(seconds(1));
    opened(&app, &by, &nora).await;
    let path = format!("/api/v1/users/{}", nora.id);
    admin.delete(&path).await.done();
    assert_eq!(
        words(&open(&by, &nora).await, "user"),
        "is none of the possible values"
    );
}

async fn limits_count_it_as_any_other() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let by = opener(&app, &nora).await;
    let set = async |values: Value| {
        let body = json!({ "values": values });
        admin.patch("/api/v1/policy", body).await.ok();
    };
    set(json!({ "most_sessions": 1, "when_full": "refuse" })).await;
    let first = opened(&app, &by, &nora).await;
    let refused = open(&by, &nora).await.problem(409, "session_limit");
    assert_eq!(refused.get("sessions"), None);
    // Where the user may choose, the application is told what there is to choose from.
    set(json!({ "when_full": "choose" })).await;
    let choice = open(&by, &nora).await.problem(409, "session_limit");
    let id = &choice["sessions"][0]["id"];
    assert_eq!(id, &json!(first.session_id().await));
    let chosen = json!({ "user": nora.id, "end": [id] });
    let second = by.post(SESSIONS, chosen).await;
    assert_eq!(second.status, 201, "{}", second.text());
    first
        .get("/api/v1/me")
        .await
        .problem(401, "unauthenticated");
    set(json!({ "most_sessions": 0, "one_address": true })).await;
    let elsewhere = json!({ "user": nora.id, "ip": "2001:db8::1" });
    by.post(SESSIONS, elsewhere)
        .await
        .problem(409, "other_address");
    set(json!({ "one_address": false, "most_sessions": 1, "when_full": "end_oldest" })).await;
    opened(&app, &by, &nora).await;
    let browser = app.browser_of(&nora).await;
    let open_now = browser.get("/api/v1/me/sessions?state=active").await.ok();
    // The newest on behalf, and this browser's, which the test has stored without asking anybody.
    assert_eq!(open_now["total"], 2);
}

async fn a_one_time_password_is_no_matter_of_the_application() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let new = app
        .newcomer(nora.organisation, BuiltInRole::Member, "new@acme.test")
        .await;
    let by = opener(&app, &nora).await;
    let theirs = opened(&app, &by, &new).await;
    theirs.get("/api/v1/me").await.ok();
    let asks = looker(&app, &nora).await;
    assert_eq!(
        look(&asks, &theirs.token().expect("a token")).await["active"],
        true
    );
    // Signed in here it is.
    let (_, token) = app
        .open_session(&new, crate::support::NewRow::default())
        .await;
    assert_eq!(look(&asks, &token).await, not_active());
}

async fn what_cannot_be_opened_is_named() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let eve = app.stranger().await;
    let by = opener(&app, &nora).await;
    let unknown = crate::support::unknown_id();
    for (body, field, message) in [
        (json!({}), "user", "must be given"),
        (
            json!({ "user": nora.id, "email": nora.email }),
            "email",
            "is given more than once",
        ),
        (json!({ "user": "nora" }), "user", "cannot be read"),
        (
            json!({ "user": unknown }),
            "user",
            "is none of the possible values",
        ),
        (
            json!({ "user": eve.id }),
            "user",
            "is none of the possible values",
        ),
        (
            json!({ "email": eve.email }),
            "email",
            "is none of the possible values",
        ),
        (
            json!({ "email": "" }),
            "email",
            "is none of the possible values",
        ),
        (
            json!({ "user": nora.id, "ip": "here" }),
            "ip",
            "cannot be read",
        ),
        (
            json!({ "user": nora.id, "user_agent": "x".repeat(513) }),
            "user_agent",
            "may have at most 512 characters",
        ),
        (
            json!({ "user": nora.id, "user_agent": "a\nb" }),
            "user_agent",
            "cannot be read",
        ),
        (
            json!({ "user": nora.id, "name": "x".repeat(81) }),
            "name",
            "may have at most 80 characters",
        ),
        (
            json!({ "user": nora.id, "kind": "console" }),
            "kind",
            "is not known here",
        ),
    ] {
        let answer = by.post(SESSIONS, body.clone()).await;
        assert_eq!(words(&answer, field), message, "{body}");
    }
    let open_now = app
        .browser_of(&nora)
        .await
        .get("/api/v1/me/sessions")
        .await
        .ok();
    assert_eq!(open_now["total"], 1);
}

async fn a_token_is_looked_up() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let asks = looker(&app, &nora).await;
    let began = app.now();
    let hers = opened(&app, &opener(&app, &nora).await, &nora).await;
    let id = hers.session_id().await;
    app.advance(minutes(10));
    let facts = look(&asks, &hers.token().expect("a token")).await;
    let began = began.seconds_since(rollcall_core::Timestamp(0));
    assert_eq!(
        facts,
        json!({
            "active": true, "token_type": "Bearer", "sub": nora.id, "username": "nora@acme.test", "name": nora.name,
            "sid": id, "organisation": { "id": nora.organisation, "name": "Acme" }, "role": "Member",
            "kind": "api", "method": "on_behalf", "iat": began, "exp": began + 2_400, "auth_time": began,
        })
    );
    // Of every kind that a person or a program signs in with.
    for client in [app.browser_of(&nora).await, app.program_of(&nora).await] {
        let facts = look(&asks, &client.token().expect("a token")).await;
        assert_eq!(
            (&facts["active"], &facts["method"]),
            (&json!(true), &json!("password"))
        );
    }
    // A session may ask as well as a key; without the permission neither may.
    let form = [("token", "rc_s_x")];
    for client in [app.browser_of(&nora).await, opener(&app, &nora).await] {
        let asked = client
            .ask(Method::POST, "/api/v1/introspect")
            .form(&form)
            .await;
        asked.problem(403, "forbidden");
    }
    let anon = app.anonymous();
    let asked = anon
        .ask(Method::POST, "/api/v1/introspect")
        .form(&form)
        .await;
    asked.problem(401, "unauthenticated");
}

async fn what_concerns_nobody_here_is_not_active() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let eve = app.stranger().await;
    let asks = looker(&app, &nora).await;
    let (foreign, foreign_token) = app
        .open_session(&eve, crate::support::NewRow::default())
        .await;
    let used = app.stored(foreign).await.last_activity_at;
    app.advance(seconds(30));
    let (_, key) = app.api_key(&nora, &[]).await;
    let runner = app.runner(&nora).await;
    let ended = app.browser_of(&nora).await;
    let ended_token = ended.token().expect("a token");
    ended.post("/api/v1/sign-out", json!({})).await.done();
    let forged = format!(
        "{}{}",
        &foreign_token[..foreign_token.len() - 8],
        "AAAAAAAA"
    );
    for token in [
        &foreign_token,
        &forged,
        &key,
        &runner.client.token().expect("a token"),
        &ended_token,
        &"rc_s_".to_owned(),
        &"x".repeat(10_000),
        &"%00é".to_owned(),
    ] {
        assert_eq!(look(&asks, token).await, not_active(), "{token}");
    }
    // The stranger's session was not even touched.
    app.service().flush_activity().await.expect("written");
    assert_eq!(app.stored(foreign).await.last_activity_at, used);
    // Whoever sees all organisations speaks for one here.
    let root = app.admin().await;
    let role = app
        .role(
            root.organisation,
            "Looker",
            Permissions::of(&[P::SessionsIntrospect]),
        )
        .await;
    app.give(&root, &[&role.0]).await;
    app.restart().await;
    assert_eq!(look(&admin, &foreign_token).await, not_active());
    assert_eq!(
        look(&admin, &admin.token().expect("a token")).await["active"],
        true
    );
}

async fn a_look_is_a_use_and_never_rotates() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let asks = looker(&app, &nora).await;
    let (id, token) = app
        .open_session(&nora, crate::support::NewRow::default())
        .await;
    // For longer than it may be idle, by looks alone.
    for _ in 0..6 {
        app.advance(minutes(20));
        assert_eq!(look(&asks, &token).await["active"], true);
    }
    assert_eq!(app.stored(id).await.generation, 0);
    app.advance(minutes(31));
    assert_eq!(look(&asks, &token).await, not_active());
    // A look at the successor is its first use: the predecessor is good for ten more seconds.
    let browser = app.browser_of(&nora).await;
    let old = browser.token().expect("a token");
    app.advance(minutes(6));
    browser.get("/api/v1/me").await.ok();
    let new = browser.token().expect("a token");
    assert_ne!(old, new);
    app.advance(minutes(1));
    assert_eq!(
        look(&asks, &old).await["active"],
        true,
        "nobody has used the successor"
    );
    assert_eq!(look(&asks, &new).await["active"], true);
    app.advance(seconds(9));
    assert_eq!(look(&asks, &old).await["active"], true);
    app.advance(seconds(2));
    assert_eq!(look(&asks, &old).await, not_active());
    assert_eq!(look(&asks, &new).await, not_active(), "two have used it");
}

async fn a_retired_token_is_noticed_in_a_look() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let asks = looker(&app, &nora).await;
    let browser = app.browser_of(&nora).await;
    let (id, old) = (
        browser.session_id().await,
        browser.token().expect("a token"),
    );
    for _ in 0..3 {
        app.advance(minutes(6));
        browser.get("/api/v1/me").await.ok();
    }
    assert_eq!(look(&asks, &old).await, not_active());
    let session = admin.get(&format!("/api/v1/sessions/{id}")).await.ok();
    assert_eq!(session["ended"]["reason"], "token_reuse");
    // Somebody of another organisation ends nothing by it.
    let eve = app.stranger().await;
    let hers = app.browser_of(&eve).await;
    let old = hers.token().expect("a token");
    for _ in 0..3 {
        app.advance(minutes(6));
        hers.get("/api/v1/me").await.ok();
    }
    assert_eq!(look(&asks, &old).await, not_active());
    assert!(hers.is_signed_in().await);
}

async fn whoever_has_a_token_can_revoke_it() {
    let (app, anon, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let browser = app.browser_of(&nora).await;
    let (id, token) = (
        browser.session_id().await,
        browser.token().expect("a token"),
    );
    let first = revoke(&anon, &token).await;
    assert_eq!((first.status, first.text()), (200, String::new()));
    browser
        .get("/api/v1/me")
        .await
        .problem(401, "unauthenticated");
    let session = admin.get(&format!("/api/v1/sessions/{id}")).await.ok();
    assert_eq!(session["ended"]["reason"], "signed_out");
    let events = admin
        .get(&format!("/api/v1/audit?session={id}&action=session.ended"))
        .await
        .ok();
    assert_eq!(events["total"], 1);
    // Again, and what proves nothing: no error, and nothing happens (RFC 7009, 2.2).
    let (_, key) = app.api_key(&nora, &[]).await;
    for token in [token.as_str(), "rc_s_", "x", &key] {
        assert_eq!(revoke(&anon, token).await.status, 200);
    }
    app.holding(&key).get("/api/v1/me").await.ok();
    // With the token as the credential, too, and no successor comes for what is over.
    let program = app.program_of(&nora).await;
    app.advance(minutes(6));
    let token = program.token().expect("a token");
    let own = revoke(&program, &token).await;
    assert_eq!((own.status, own.session_token()), (200, None));
    program
        .get("/api/v1/me")
        .await
        .problem(401, "unauthenticated");
    // No other site makes a browser do so.
    let foreign = anon
        .ask(Method::POST, "/api/v1/revoke")
        .form(&[("token", "x")])
        .header("origin", "https://evil.example");
    foreign.await.problem(403, "foreign_origin");
}

async fn the_two_calls_of_oauth_take_forms() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let asks = looker(&app, &nora).await;
    for path in ["/api/v1/introspect", "/api/v1/revoke"] {
        let ask = || asks.ask(Method::POST, path);
        assert_eq!(
            words(&ask().form(&[("token_type_hint", "x")]).await, "token"),
            "must be given"
        );
        assert_eq!(
            words(&ask().form(&[("token", "")]).await, "token"),
            "must be given"
        );
        assert_eq!(
            words(
                &ask().form(&[("token", "a"), ("token", "b")]).await,
                "token"
            ),
            "is given more than once"
        );
        ask()
            .json(&json!({ "token": "a" }))
            .await
            .problem(415, "unsupported_media_type");
        let form = "application/x-www-form-urlencoded";
        assert_eq!(
            words(&ask().body(form, "token=%ff").await, "token"),
            "cannot be read"
        );
        ask()
            .body(form, [0xff])
            .await
            .problem(400, "malformed_body");
        // What libraries send besides is ignored (RFC 6749, 3.2).
        let usual = [
            ("token", "a"),
            ("client_id", "shop"),
            ("client_secret", "s"),
        ];
        assert_eq!(ask().form(&usual).await.status, 200);
        asks.get(path).await.problem(405, "method_not_allowed");
    }
}
