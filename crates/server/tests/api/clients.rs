//! Connected clients: registered, heard, lost, told what to do, disconnected.

use http::Method;
use rollcall_core::{BuiltInRole, Permission as P};
use serde_json::{Value, json};

use crate::support::{Client, NewRow, PASSWORD, TestApp, minutes, seconds, state_of};

both_databases!(
    a_client_has_a_session_of_its_own_that_opens_nothing_but_its_work,
    what_cannot_be_registered_is_named,
    a_client_is_connected_then_lost_then_disconnected,
    clients_are_listed_connected_first_and_found,
    whoever_may_disconnects_a_client_and_what_runs_on_it,
    a_registration_can_be_removed,
    a_client_outlives_neither_its_key_nor_the_session_that_registered_it,
    a_registration_goes_on_with_a_new_session,
    a_stream_says_what_to_do_and_closes_with_its_session,
    a_stream_closes_within_a_second_whatever_ends_the_session,
    the_newest_stream_of_a_client_counts,
    a_dead_token_tells_its_holder_why,
    an_agent_is_given_work_by_name_only,
);

const CLIENTS: &str = "/api/v1/clients";

fn names(page: &Value) -> Vec<&str> {
    let items = page["items"].as_array().expect("items");
    items
        .iter()
        .filter_map(|one| one["name"].as_str())
        .collect()
}

async fn register(by: &Client, name: &str) -> Value {
    let body = json!({ "name": name, "host": format!("{name}.acme.test") });
    let made = by.post(CLIENTS, body).await;
    assert_eq!(made.status, 201, "{}", made.text());
    made.json()
}

async fn a_client_has_a_session_of_its_own_that_opens_nothing_but_its_work() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    // Even an administrator's client is no administrator.
    let ada = app.admin().await;
    let (_, secret) = app.api_key(&ada, &[P::ClientsRegister]).await;
    let runner = app.register(&app.holding(&secret)).await;
    let me = runner.client.get("/api/v1/me").await.ok();
    assert_eq!(me["permissions"], json!([]));
    assert_eq!(me["session"]["kind"], "client");
    assert_eq!(me["session"]["method"], "api_key");
    assert_eq!(me["session"]["name"], "runner");
    assert_eq!(runner.beat().await, json!([]));
    let listed = admin.get("/api/v1/sessions?kind=client").await.ok();
    assert_eq!(listed["items"][0]["id"], runner.session);
    let id = admin.session_id().await;
    for (method, path) in [
        (Method::GET, "/api/v1/sessions".to_owned()),
        (Method::GET, "/api/v1/me/sessions".to_owned()),
        (Method::DELETE, "/api/v1/me/sessions".to_owned()),
        (Method::DELETE, format!("/api/v1/sessions/{id}")),
        (Method::GET, "/api/UserRequests".to_owned()),
        (Method::GET, "/api/v1/keys".to_owned()),
        (Method::GET, CLIENTS.to_owned()),
        (Method::GET, "/api/v1/users".to_owned()),
        (Method::GET, "/api/v1/audit".to_owned()),
        (Method::GET, "/api/v1/audit/export?format=csv".to_owned()),
        (Method::POST, runner.path("/disconnect")),
        (Method::DELETE, runner.path("")),
    ] {
        let asked = runner.client.ask(method.clone(), &path).await;
        assert_eq!(asked.status, 403, "{method} {path}: {}", asked.text());
        asked.problem(403, "not_by_client");
    }
    for (path, body) in [
        (CLIENTS, json!({ "name": "another" })),
        ("/api/v1/keys", json!({ "name": "mine" })),
        (
            "/api/v1/me/reauthenticate",
            json!({ "current_password": PASSWORD }),
        ),
        (
            "/api/v1/me/password",
            json!({ "current_password": PASSWORD, "new_password": "another long password" }),
        ),
    ] {
        runner
            .client
            .post(path, body)
            .await
            .problem(403, "not_by_client");
    }
    let browser = app.browser();
    browser.hold(&runner.client.token().expect("a token"));
    for path in ["/account/security", "/account/sessions", "/sessions"] {
        assert_eq!(browser.get(path).await.status, 403, "{path}");
    }
    // It is not another client, and nobody else is this one.
    let other = app.register(&app.holding(&secret)).await;
    for client in [&other.client, &admin, &app.holding(&secret)] {
        client
            .post(&runner.path("/heartbeat"), json!({}))
            .await
            .problem(404, "not_found");
        client
            .get(&runner.path("/commands"))
            .await
            .problem(404, "not_found");
    }
    // It may sign off.
    runner
        .client
        .post("/api/v1/sign-out", json!({}))
        .await
        .done();
    let gone = admin.get(&runner.path("")).await.ok();
    assert_eq!(gone["state"], "disconnected");
    assert_eq!(gone["ended"]["reason"], "signed_out");
}

async fn what_cannot_be_registered_is_named() {
    let (app, anon, _) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let program = app.program_of(&nora).await;
    for (body, field) in [
        (json!({}), "name"),
        (json!({ "name": " " }), "name"),
        (json!({ "name": "x".repeat(81) }), "name"),
        (json!({ "name": "a\u{7}" }), "name"),
        (json!({ "name": "a", "host": "x".repeat(81) }), "host"),
        (json!({ "name": "a", "version": "1\n2" }), "version"),
        (json!({ "name": "a", "replaces": "x" }), "replaces"),
        (json!({ "name": "a", "user": nora.id }), "user"),
    ] {
        program.post(CLIENTS, body).await.field(field);
    }
    anon.post(CLIENTS, json!({ "name": "a" }))
        .await
        .problem(401, "unauthenticated");
    let unknown = crate::support::unknown_id();
    program
        .post(CLIENTS, json!({ "name": "a", "replaces": unknown }))
        .await
        .problem(404, "not_found");
    // A key has to allow it.
    let (_, secret) = app.api_key(&nora, &[]).await;
    app.holding(&secret)
        .post(CLIENTS, json!({ "name": "a" }))
        .await
        .problem(403, "forbidden");
}

async fn a_client_is_connected_then_lost_then_disconnected() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let runner = app.runner(&nora).await;
    let registered = app.now();
    let seen = async || admin.get(&runner.path("")).await.ok();
    for _ in 0..6 {
        app.advance(seconds(10));
        runner.beat().await;
    }
    let last = app.now();
    app.advance(seconds(29));
    let client = seen().await;
    assert_eq!(client["state"], "connected");
    assert_eq!(client["since"], registered.to_string());
    assert_eq!(client["last_heartbeat_at"], last.to_string());
    assert_eq!(client["user"]["email"], nora.email);
    assert_eq!(client["ip"], "203.0.113.7");
    assert_eq!(
        (&client["version"], &client["host"]),
        (&json!("1.2"), &json!("build-7"))
    );
    assert_eq!(client["ended"], Value::Null);
    app.advance(seconds(1));
    let client = seen().await;
    assert_eq!(client["state"], "lost");
    assert_eq!(client["since"], (last + seconds(30)).to_string());
    // Heard of again, it is connected again.
    runner.beat().await;
    assert_eq!(seen().await["state"], "connected");
    let execution = runner.start("TC-1").await;
    let last = app.now();
    app.advance(minutes(5));
    for swept in [false, true] {
        if swept {
            assert!(app.service().sweep().await.expect("a sweep") >= 1);
        }
        let client = seen().await;
        assert_eq!(client["state"], "disconnected", "swept: {swept}");
        assert_eq!(client["since"], (last + minutes(5)).to_string());
        assert_eq!(client["ended"]["reason"], "idle_timeout");
        assert_eq!(client["ended"]["by"], Value::Null);
        assert_eq!(state_of(&admin, &execution).await, "terminated");
    }
    let ended = admin
        .get(&format!("/api/v1/executions/{execution}"))
        .await
        .ok();
    assert_eq!(ended["ended_at"], (last + minutes(5)).to_string());
    assert_eq!(ended["end_reason"], "idle_timeout");
    runner
        .client
        .post(&runner.path("/heartbeat"), json!({}))
        .await
        .problem(401, "unauthenticated");
}

async fn clients_are_listed_connected_first_and_found() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let ada = app.administrator_beside(&nora).await;
    let eve = app.stranger().await;
    let ada = app.browser_of(&ada).await;
    let program = app.program_of(&nora).await;
    register(&program, "gone").await;
    app.advance(minutes(6));
    register(&program, "quiet").await;
    app.advance(seconds(31));
    let busy = app.runner_of(register(&program, "busy").await);
    register(&app.program_of(&eve).await, "foreign").await;
    busy.start("TC-1").await;
    busy.start("TC-2").await;
    let list = async |query: &str| ada.get(&format!("{CLIENTS}{query}")).await.ok();
    let all = list("").await;
    assert_eq!(names(&all), ["busy", "quiet", "gone"]);
    assert_eq!(
        (&all["total"], &all["total_is_exact"]),
        (&json!(3), &json!(true))
    );
    let running: Vec<_> = all["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|one| one["running_executions"].as_u64())
        .collect();
    assert_eq!(running, [Some(2), Some(0), Some(0)]);
    for (query, expected) in [
        ("?state=connected", vec!["busy"]),
        ("?state=lost", vec!["quiet"]),
        ("?state=disconnected", vec!["gone"]),
        ("?sort=name", vec!["busy", "gone", "quiet"]),
        ("?sort=-name", vec!["quiet", "gone", "busy"]),
        ("?sort=-state", vec!["gone", "quiet", "busy"]),
        ("?sort=registered_at", vec!["gone", "quiet", "busy"]),
        ("?sort=-last_heartbeat_at", vec!["busy", "quiet", "gone"]),
        ("?sort=version&page_size=1&page=2", vec!["quiet"]),
        ("?q=QUIET.acme", vec!["quiet"]),
        ("?q=nora%40", vec!["busy", "quiet", "gone"]),
        ("?q=203.0.113&state=lost", vec!["quiet"]),
        ("?q=nothing", vec![]),
    ] {
        assert_eq!(names(&list(query).await), expected, "{query}");
    }
    assert_eq!(names(&list(&format!("?user={}", eve.id)).await), [""; 0]);
    let elsewhere = format!("?organisation={}", eve.organisation);
    assert_eq!(names(&list(&elsewhere).await), [""; 0]);
    let everywhere = admin.get(&format!("{CLIENTS}{elsewhere}")).await.ok();
    assert_eq!(names(&everywhere), ["foreign"]);
    assert_eq!(admin.get(CLIENTS).await.ok()["total"], 4);
    for (query, field) in [
        ("?state=gone", "state"),
        ("?sort=x", "sort"),
        ("?kind=a", "kind"),
    ] {
        ada.get(&format!("{CLIENTS}{query}")).await.field(field);
    }
    program.get(CLIENTS).await.problem(403, "forbidden");
}

async fn whoever_may_disconnects_a_client_and_what_runs_on_it() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let role = BuiltInRole::SessionManager;
    let sam = app.user(nora.organisation, role, "sam@acme.test").await;
    let sam = app.browser_of(&sam).await;
    let runner = app.runner(&nora).await;
    let other = app.runner(&nora).await;
    let execution = runner.start("TC-1").await;
    // Strangers see nothing of it, and members of the same organisation may not.
    let eve = app.stranger().await;
    let role = BuiltInRole::Administrator;
    let foreign = app.user(eve.organisation, role, "fay@globex.test").await;
    let foreign = app.browser_of(&foreign).await;
    let bo = app
        .user(nora.organisation, BuiltInRole::Member, "bo@acme.test")
        .await;
    let bo = app.browser_of(&bo).await;
    for (client, status, code) in [(&foreign, 404, "not_found"), (&bo, 403, "forbidden")] {
        client.get(&runner.path("")).await.problem(status, code);
        for (method, rest) in [(Method::POST, "/disconnect"), (Method::DELETE, "")] {
            let asked = client.ask(method, &runner.path(rest)).await;
            asked.problem(status, code);
        }
    }
    assert_eq!(runner.beat().await, json!([]));
    let done = sam.post(&runner.path("/disconnect"), json!({})).await.ok();
    assert_eq!(done["executions"][0]["id"], execution);
    assert_eq!(done["executions"][0]["state"], "terminated");
    assert_eq!(done["executions"][0]["end_reason"], "client_disconnected");
    assert_eq!(done["executions"][0]["ended_by"]["name"], "sam");
    let gone = sam.get(&runner.path("")).await.ok();
    assert_eq!(gone["state"], "disconnected");
    assert_eq!(gone["ended"]["reason"], "client_disconnected");
    assert_eq!(gone["ended"]["by"]["name"], "sam");
    assert!(!runner.client.is_signed_in().await);
    assert_eq!(other.beat().await, json!([]));
    sam.post(&runner.path("/disconnect"), json!({}))
        .await
        .problem(409, "client_not_connected");
    // One event for the act, one for what stopped, and one for each attempt that failed.
    let events = admin
        .get(&format!("/api/v1/audit?session={}", runner.session))
        .await
        .ok();
    let told: Vec<_> = events["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|one| {
            let text = |name: &str| one[name].as_str().unwrap_or_default().to_owned();
            (text("action"), text("outcome"))
        })
        .collect();
    let expected = [
        ("client.disconnected", "already_ended"),
        ("execution.terminated", "success"),
        ("client.disconnected", "success"),
        ("execution.started", "success"),
        ("session.created", "success"),
        ("client.registered", "success"),
    ];
    let expected = expected.map(|(action, outcome)| (action.to_owned(), outcome.to_owned()));
    assert_eq!(told, expected);
    // Its owner needs no permission.
    let own = app.browser_of(&nora).await;
    own.get(&other.path("")).await.ok();
    own.post(&other.path("/disconnect"), json!({})).await.ok();
    assert!(!other.client.is_signed_in().await);
}

async fn a_registration_can_be_removed() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let (connected, gone) = (app.runner(&nora).await, app.runner(&nora).await);
    admin.post(&gone.path("/disconnect"), json!({})).await.ok();
    for runner in [&connected, &gone] {
        admin.delete(&runner.path("")).await.done();
        admin.get(&runner.path("")).await.problem(404, "not_found");
        admin
            .delete(&runner.path(""))
            .await
            .problem(404, "not_found");
        assert!(!runner.client.is_signed_in().await);
    }
    assert_eq!(admin.get(CLIENTS).await.ok()["total"], 0);
    let removed = admin.get("/api/v1/audit?action=client.removed").await.ok();
    let successes = removed["items"].as_array().expect("items").iter();
    let successes = successes.filter(|one| one["outcome"] == "success");
    assert_eq!(successes.count(), 2);
    // What is over is forgotten with the sessions.
    let old = app.runner(&nora).await;
    admin.post(&old.path("/disconnect"), json!({})).await.ok();
    app.advance(minutes(91 * 24 * 60));
    app.service().purge().await.expect("a purge");
    let (again, _) = (admin.sign_in(&app.admin().await).await, ());
    assert_eq!(again.status, 200);
    assert_eq!(admin.get(CLIENTS).await.ok()["total"], 0);
}

async fn a_client_outlives_neither_its_key_nor_the_session_that_registered_it() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    // The session of a day is no way to one of a month, nor is a key of a week.
    let (id, token) = app.open_session(&nora, NewRow::default()).await;
    let program = app.holding(&token);
    let runner = app.register(&program).await;
    let stored = app.stored(runner.session.parse().expect("an id")).await;
    assert_eq!(
        stored.absolute_expires_at,
        app.stored(id).await.absolute_expires_at
    );
    assert_eq!(stored.authenticated_at.0, 0);
    let execution = runner.start("TC-1").await;
    let shown = admin.get(&format!("/api/v1/sessions/{id}")).await.ok();
    assert_eq!(shown["work"]["stops_clients"], 1);
    assert_eq!(shown["work"]["stops_executions"], 1);
    program.post("/api/v1/sign-out", json!({})).await.done();
    assert!(!runner.client.is_signed_in().await);
    let gone = admin.get(&runner.path("")).await.ok();
    assert_eq!(gone["ended"]["reason"], "client_disconnected");
    assert_eq!(gone["ended"]["by"]["name"], "nora");
    assert_eq!(state_of(&admin, &execution).await, "terminated");

    let browser = app.browser_of(&nora).await;
    let key = browser
        .post("/api/v1/keys", json!({ "name": "short", "days": 7 }))
        .await
        .json();
    let secret = key["secret"].as_str().expect("a secret");
    let runner = app.register(&app.holding(secret)).await;
    let stored = app.stored(runner.session.parse().expect("an id")).await;
    assert_eq!(
        stored.absolute_expires_at.to_string(),
        key["key"]["expires_at"]
    );
    let (key_id, path) = (key["key"]["id"].as_str().expect("an id"), "/api/v1/keys");
    browser.delete(&format!("{path}/{key_id}")).await.done();
    assert!(!runner.client.is_signed_in().await);
    let gone = admin.get(&runner.path("")).await.ok();
    assert_eq!(gone["state"], "disconnected");
    assert_eq!(gone["ended"]["by"]["name"], "nora");
}

async fn a_registration_goes_on_with_a_new_session() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let (_, secret) = app.api_key(&nora, &[P::ClientsRegister]).await;
    let key = app.holding(&secret);
    let old = app.register(&key).await;
    let execution = old.start("TC-1").await;
    let body = json!({ "name": "runner 2", "replaces": old.id });
    // Nobody takes over what is another's.
    let bo = app
        .user(nora.organisation, BuiltInRole::Member, "bo@acme.test")
        .await;
    app.program_of(&bo)
        .await
        .post(CLIENTS, body.clone())
        .await
        .problem(404, "not_found");
    let new = app.runner_of(key.post(CLIENTS, body.clone()).await.json());
    assert_eq!(new.id, old.id);
    assert_ne!(new.session, old.session);
    let refused = old.client.get("/api/v1/me").await;
    refused.problem(401, "unauthenticated");
    assert_eq!(refused.json()["ended"]["reason"], "replaced");
    assert_eq!(new.beat().await, json!([]));
    let found = new
        .client
        .get(&format!("/api/v1/executions/{execution}"))
        .await
        .ok();
    assert_eq!(found["state"], "running");
    assert_eq!(found["session"], new.session);
    assert_eq!(admin.get(CLIENTS).await.ok()["total"], 1);
    new.client
        .patch(
            &format!("/api/v1/executions/{execution}"),
            json!({ "state": "finished" }),
        )
        .await
        .ok();
    // What is disconnected has nothing to go on with.
    admin.post(&new.path("/disconnect"), json!({})).await.ok();
    key.post(CLIENTS, body)
        .await
        .problem(409, "client_not_connected");
}

async fn a_stream_says_what_to_do_and_closes_with_its_session() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let runner = app.runner(&nora).await;
    let early = runner.start("TC-1").await;
    app.advance(seconds(1));
    let late = runner.start("TC-2").await;
    let terminate = async |id: &str| {
        admin
            .patch(
                &format!("/api/v1/executions/{id}"),
                json!({ "state": "terminated" }),
            )
            .await
            .ok()
    };
    // What was said while it was away waits for it.
    let ended = terminate(&early).await;
    assert_eq!(ended["state"], "terminated");
    assert_eq!(ended["end_reason"], Value::Null);
    let mut commands = runner.listen().await;
    let told = |id: &str| Some(json!({ "command": "terminate", "execution": id }));
    assert_eq!(commands.next().await, told(&early));
    terminate(&late).await;
    assert_eq!(commands.next().await, told(&late));
    // Heartbeats say the same until it is done.
    assert_eq!(runner.beat().await, json!([told(&early), told(&late)]));
    for id in [&early, &late] {
        let path = format!("/api/v1/executions/{id}");
        let confirm = json!({ "state": "terminated" });
        runner.client.patch(&path, confirm).await.ok();
    }
    assert_eq!(runner.beat().await, json!([]));
    admin
        .post(&runner.path("/disconnect"), json!({}))
        .await
        .ok();
    let last = json!({ "command": "disconnect", "reason": "client_disconnected" });
    assert_eq!(commands.next().await, Some(last));
    assert_eq!(commands.next().await, None);
    runner
        .client
        .get(&runner.path("/commands"))
        .await
        .problem(401, "unauthenticated");
}

async fn a_stream_closes_within_a_second_whatever_ends_the_session() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let acme = app.organisation("Acme").await;
    for (number, way) in [
        "idle",
        "user",
        "installation",
        "disabled",
        "organisation",
        "end",
    ]
    .into_iter()
    .enumerate()
    {
        // What began until an end of everything has ended, too.
        app.advance(seconds(1));
        let email = format!("nora{number}@acme.test");
        let nora = app.user(acme, BuiltInRole::Member, &email).await;
        let runner = app.runner(&nora).await;
        let execution = runner.start("TC-1").await;
        let mut commands = runner.listen().await;
        let (user, reason) = (format!("/api/v1/users/{}", nora.id), way);
        let reason = match reason {
            "idle" => {
                app.advance(minutes(5));
                "idle_timeout"
            }
            "user" | "organisation" => {
                let id = if way == "user" {
                    nora.id.to_string()
                } else {
                    acme.to_string()
                };
                let body = json!({ "scope": way, "id": id });
                admin.post("/api/v1/sessions/end-all", body).await.ok();
                "ended_by_administrator"
            }
            "installation" => {
                let body = json!({ "scope": way });
                admin.post("/api/v1/sessions/end-all", body).await.ok();
                app.advance(seconds(1));
                assert_eq!(admin.sign_in(&app.admin().await).await.status, 200);
                "ended_by_administrator"
            }
            "disabled" => {
                admin.patch(&user, json!({ "enabled": false })).await.ok();
                "user_disabled"
            }
            _ => {
                admin
                    .delete(&format!("/api/v1/sessions/{}", runner.session))
                    .await
                    .done();
                "ended_by_administrator"
            }
        };
        let since = std::time::Instant::now();
        let last = json!({ "command": "disconnect", "reason": reason });
        assert_eq!(commands.next().await, Some(last), "{way}");
        assert_eq!(commands.next().await, None, "{way}");
        // Noted for whoever reads the log of the test; the benchmark measures it.
        println!("{way}: closed after {:?}", since.elapsed());
        assert_eq!(state_of(&admin, &execution).await, "terminated", "{way}");
        assert!(!runner.client.is_signed_in().await, "{way}");
    }
}

async fn the_newest_stream_of_a_client_counts() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let runner = app.runner(&nora).await;
    let execution = runner.start("TC-1").await;
    let mut first = runner.listen().await;
    let mut second = runner.listen().await;
    assert_eq!(first.next().await, None);
    admin
        .patch(
            &format!("/api/v1/executions/{execution}"),
            json!({ "state": "terminated" }),
        )
        .await
        .ok();
    let told = json!({ "command": "terminate", "execution": execution });
    assert_eq!(second.next().await, Some(told));
    // The server goes: streams close, and nobody's session with them.
    app.service().close_streams();
    assert_eq!(second.next().await, None);
    assert!(runner.client.is_signed_in().await);
}

async fn a_dead_token_tells_its_holder_why() {
    let (app, anon, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let program = app.program_of(&nora).await;
    let id = program.session_id().await;
    admin.delete(&format!("/api/v1/sessions/{id}")).await.done();
    let answer = program.get("/api/v1/me").await;
    let problem = answer.problem(401, "unauthenticated");
    assert_eq!(problem["ended"]["reason"], "ended_by_administrator");
    assert_eq!(problem["ended"]["at"], app.now().to_string());
    // Nobody else learns anything, and what is allowed to nobody has no reason.
    for other in [
        anon.get("/api/v1/me").await,
        admin.get("/api/v1/me/sessions/x").await,
    ] {
        assert_eq!(other.json().get("ended"), None);
    }
    let token = program.token().expect("a token");
    let forged = format!("{}{}", &token[..token.len() - 8], "AAAAAAAA");
    let answer = app.holding(&forged).get("/api/v1/me").await;
    assert_eq!(answer.problem(401, "unauthenticated").get("ended"), None);
}

async fn an_agent_is_given_work_by_name_only() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let runner = app.runner(&nora).await;
    let role = app
        .role(
            nora.organisation,
            "Scheduler",
            rollcall_core::Permissions::of(&[P::ExecutionsDispatch]),
        )
        .await;
    let bo = app
        .user(nora.organisation, BuiltInRole::Member, "bo@acme.test")
        .await;
    app.give(&bo, &[&role.0]).await;
    let bo_browser = app.browser_of(&bo).await;
    let work = json!({ "run": "suite", "artefact_id": "TS-17", "source": "scheduler" });
    let path = runner.path("/dispatch");
    app.browser_of(&nora)
        .await
        .post(&path, work.clone())
        .await
        .problem(403, "forbidden");
    // The API takes a name, never a command.
    let mut command = work.clone();
    command["command"] = json!("rm");
    bo_browser.post(&path, command).await.field("command");
    bo_browser
        .post(&path, json!({ "run": "suite", "artefact_id": "" }))
        .await
        .field("artefact_id");
    let mut commands = runner.listen().await;
    let sent = bo_browser.post(&path, work.clone()).await;
    assert_eq!(sent.status, 201, "{}", sent.text());
    let sent = sent.json();
    assert_eq!(
        (&sent["state"], &sent["source"]),
        (&json!("running"), &json!("scheduler"))
    );
    assert_eq!(sent["user"]["email"], bo.email);
    let id = sent["id"].as_str().expect("an id");
    let run = json!({ "command": "run", "execution": id, "run": "suite", "artefact_id": "TS-17" });
    assert_eq!(commands.next().await, Some(run.clone()));
    assert_eq!(runner.beat().await, json!([run]));
    let execution = format!("/api/v1/executions/{id}");
    runner
        .client
        .patch(&execution, json!({ "state": "running" }))
        .await
        .ok();
    assert_eq!(runner.beat().await, json!([]));
    runner
        .client
        .patch(&execution, json!({ "state": "failed" }))
        .await
        .ok();
    assert_eq!(state_of(&bo_browser, id).await, "failed");
    // Not for others without the permission, and not for whom there is nobody.
    let mut for_nora = work.clone();
    for_nora["user"] = json!(nora.id);
    bo_browser
        .post(&path, for_nora)
        .await
        .problem(403, "forbidden");
    // It hangs on both: on who sent it, and on where it runs.
    let sent = bo_browser.post(&path, work.clone()).await.json();
    bo_browser.post("/api/v1/sign-out", json!({})).await.done();
    let id = sent["id"].as_str().expect("an id");
    assert_eq!(state_of(&admin, id).await, "terminated");
    let bo_browser = app.browser_of(&bo).await;
    admin
        .post(&runner.path("/disconnect"), json!({}))
        .await
        .ok();
    bo_browser
        .post(&path, work)
        .await
        .problem(409, "client_not_connected");
    // Another organisation does not exist.
    let eve = app.stranger().await;
    let foreign = app.runner(&eve).await;
    bo_browser
        .post(
            &foreign.path("/dispatch"),
            json!({ "run": "a", "artefact_id": "b" }),
        )
        .await
        .problem(404, "not_found");
}
