//! Executions: where they show, and that none outlives what it hangs on.

use rollcall_core::{BuiltInRole, Kind, Permission as P, Permissions};
use serde_json::{Value, json};

use crate::support::{Client, NewRow, Person, TestApp, minutes, seconds, start, state_of};

both_databases!(
    an_execution_shows_once_under_the_console_session_used_last,
    a_session_where_it_merely_shows_takes_nothing_along,
    a_scheduler_starts_work_for_a_user,
    an_execution_dies_with_what_started_it_whichever_way_that_ends,
    what_a_key_started_dies_with_the_key,
    asking_twice_starts_one,
    whoever_runs_it_says_how_it_ended,
    nobody_ends_what_is_not_theirs,
    executions_are_listed_within_reach,
    an_execution_never_outlives_a_session_that_ends_meanwhile,
);

async fn work_of(admin: &Client, session: impl std::fmt::Display) -> Value {
    let found = admin.get(&format!("/api/v1/sessions/{session}")).await.ok();
    found["work"].clone()
}

async fn scheduler(app: &TestApp, beside: &Person) -> Person {
    let permissions = Permissions::of(&[P::ExecutionsStartFor]);
    let role = app
        .role(beside.organisation, "Scheduler", permissions)
        .await;
    let person = app
        .user(beside.organisation, BuiltInRole::Member, "cron@acme.test")
        .await;
    app.give(&person, &[&role.0]).await;
    person
}

async fn an_execution_shows_once_under_the_console_session_used_last() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let runner = app.runner(&nora).await;
    // The session that made the key is a console session, too.
    admin
        .delete(&format!("/api/v1/users/{}/sessions", nora.id))
        .await
        .done();
    let runner = {
        drop(runner);
        app.runner(&nora).await
    };
    let first = app.browser_of(&nora).await;
    let second = app.browser_of(&nora).await;
    let program = app.program_of(&nora).await;
    app.advance(seconds(1));
    first.get("/api/v1/me").await.ok();
    app.advance(seconds(1));
    program.get("/api/v1/me").await.ok();
    let (one, two) = (runner.start("TC-1").await, runner.start("TC-2").await);
    let list = async || {
        let page = admin
            .get("/api/v1/sessions?state=active&page_size=100")
            .await
            .ok();
        let items = page["items"].as_array().expect("items").clone();
        let counted = |item: &Value| item["work"]["active_executions"].as_u64().expect("a count");
        items
            .iter()
            .filter(|item| counted(item) > 0)
            .map(|item| {
                (
                    item["id"].as_str().expect("an id").to_owned(),
                    item["work"].clone(),
                )
            })
            .collect::<Vec<_>>()
    };
    let shown = list().await;
    assert_eq!(shown.len(), 1);
    assert_eq!(shown[0].0, first.session_id().await.to_string());
    let work = &shown[0].1;
    assert_eq!(work["active_executions"], 2);
    let ids: Vec<_> = work["executions"]
        .as_array()
        .expect("executions")
        .iter()
        .map(|one| one["id"].as_str().expect("an id").to_owned())
        .collect();
    assert!(ids.contains(&one) && ids.contains(&two));
    let row = &work["executions"][0];
    assert!(
        row["artefact_id"]
            .as_str()
            .is_some_and(|id| id.starts_with("TC-"))
    );
    assert_eq!(
        (&row["client"], &row["started_at"]),
        (&json!("runner"), &json!(app.now().to_string()))
    );
    // It shows there, and stops with the client's session.
    assert_eq!(work["stops_executions"], 0);
    assert_eq!(
        work_of(&admin, &runner.session).await["stops_executions"],
        2
    );
    app.advance(seconds(1));
    second.get("/api/v1/me").await.ok();
    let shown = list().await;
    assert_eq!(shown.len(), 1);
    assert_eq!(shown[0].0, second.session_id().await.to_string());
    // Without a console session it shows under what started it.
    for browser in [&first, &second] {
        browser.post("/api/v1/sign-out", json!({})).await.done();
    }
    let consoles = admin
        .get(&format!(
            "/api/v1/sessions?state=active&kind=console&user={}",
            nora.id
        ))
        .await
        .ok();
    for item in consoles["items"].as_array().expect("items") {
        let id = item["id"].as_str().expect("an id");
        admin.delete(&format!("/api/v1/sessions/{id}")).await.done();
    }
    let shown = list().await;
    assert_eq!(shown.len(), 1);
    assert_eq!(shown[0].0, runner.session);
    assert_eq!(state_of(&admin, &one).await, "running");
    // My Sessions shows the same.
    let own = app.browser_of(&nora).await;
    let mine = own.get("/api/v1/me/sessions").await.ok();
    assert_eq!(mine["items"][0]["work"]["active_executions"], 2);
}

async fn a_session_where_it_merely_shows_takes_nothing_along() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let runner = app.runner(&nora).await;
    let browser = app.browser_of(&nora).await;
    app.advance(seconds(1));
    browser.get("/api/v1/me").await.ok();
    let execution = runner.start("TC-1").await;
    let id = browser.session_id().await;
    assert_eq!(work_of(&admin, id).await["active_executions"], 1);
    for _ in 0..31 {
        app.advance(minutes(1));
        runner.beat().await;
        admin.get("/api/v1/me").await.ok();
    }
    app.service().sweep().await.expect("a sweep");
    assert!(!browser.is_signed_in().await);
    assert_eq!(state_of(&admin, &execution).await, "running");
    assert_eq!(work_of(&admin, id).await["active_executions"], 0);
    assert_eq!(
        work_of(&admin, &runner.session).await["active_executions"],
        1
    );
}

async fn a_scheduler_starts_work_for_a_user() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let cron = scheduler(&app, &nora).await;
    let (_, secret) = app
        .api_key(&cron, &[P::ClientsRegister, P::ExecutionsStartFor])
        .await;
    let key = app.holding(&secret);
    let mut sessions = Vec::new();
    for _ in 0..3 {
        app.advance(seconds(1));
        let browser = app.browser_of(&nora).await;
        browser.get("/api/v1/me").await.ok();
        sessions.push(browser.session_id().await.to_string());
    }
    let body = json!({ "artefact_id": "TS-1", "user": nora.id, "source": "scheduler" });
    let execution = start(&key, body.clone()).await;
    let page = admin
        .get(&format!("/api/v1/sessions?state=active&user={}", nora.id))
        .await
        .ok();
    let counts: Vec<_> = page["items"]
        .as_array()
        .expect("items")
        .iter()
        .filter(|item| item["work"]["active_executions"] == 1)
        .map(|item| item["id"].as_str().expect("an id"))
        .collect();
    assert_eq!(counts, [sessions[2].as_str()]);
    // Both see it, and nobody else who may not.
    for person in [&nora, &cron] {
        assert_eq!(
            state_of(&app.browser_of(person).await, &execution).await,
            "running"
        );
    }
    let bo = app
        .user(nora.organisation, BuiltInRole::Member, "bo@acme.test")
        .await;
    app.browser_of(&bo)
        .await
        .get(&format!("/api/v1/executions/{execution}"))
        .await
        .problem(404, "not_found");
    // For others only with the permission, which a key and a client's session may lack.
    let (_, plain) = app.api_key(&cron, &[P::ClientsRegister]).await;
    let plain = app.holding(&plain);
    let runner = app.register(&plain).await;
    for client in [&plain, &runner.client, &app.browser_of(&bo).await] {
        client
            .post("/api/v1/executions", body.clone())
            .await
            .problem(403, "forbidden");
    }
    // Only for those who are there.
    let eve = app.stranger().await;
    for user in [eve.id.0, crate::support::unknown_id()] {
        let body = json!({ "artefact_id": "TS-1", "user": user });
        key.post("/api/v1/executions", body).await.field("user");
    }
    let path = format!("/api/v1/users/{}", nora.id);
    admin.patch(&path, json!({ "enabled": false })).await.ok();
    assert_eq!(state_of(&admin, &execution).await, "terminated");
    key.post("/api/v1/executions", body).await.field("user");
}

// How a session, or a whole account, comes to its end.
const WAYS: [&str; 13] = [
    "sign_out",
    "own_end",
    "own_all",
    "administrator",
    "user_sessions",
    "end_all",
    "preview",
    "idle",
    "password",
    "disabled",
    "deleted",
    "moved",
    "organisation",
];

async fn bring_about(app: &TestApp, admin: &Client, nora: &Person, parent: &Client, way: &str) {
    let id = parent.session_id().await;
    let user = format!("/api/v1/users/{}", nora.id);
    match way {
        "sign_out" => parent.post("/api/v1/sign-out", json!({})).await.done(),
        "own_end" => parent
            .delete(&format!("/api/v1/me/sessions/{id}"))
            .await
            .done(),
        "own_all" => parent.delete("/api/v1/me/sessions").await.done(),
        "administrator" => admin.delete(&format!("/api/v1/sessions/{id}")).await.done(),
        "user_sessions" => admin.delete(&format!("{user}/sessions")).await.done(),
        "end_all" => {
            let body = json!({ "scope": "user", "id": nora.id });
            admin.post("/api/v1/sessions/end-all", body).await.ok();
        }
        "preview" => {
            let preview = admin
                .post("/api/v1/sessions/end-preview", json!({ "ids": [id] }))
                .await
                .ok();
            let body = json!({ "preview": preview["id"] });
            admin.post("/api/v1/sessions/end", body).await.ok();
        }
        "idle" => {
            app.advance(minutes(31));
            assert_eq!(admin.sign_in(&app.admin().await).await.status, 200);
        }
        "password" => {
            let body = json!({
                "current_password": crate::support::PASSWORD,
                "new_password": "quite another long one"
            });
            let other = app.browser_of(nora).await;
            other.post("/api/v1/me/password", body).await.done();
        }
        "disabled" => {
            admin.patch(&user, json!({ "enabled": false })).await.ok();
        }
        "deleted" => admin.delete(&user).await.done(),
        "moved" => {
            let there = app.organisation("Elsewhere").await;
            let body = json!({ "organisation": there });
            admin.patch(&user, body).await.ok();
        }
        _ => {
            let path = format!("/api/v1/organisations/{}", nora.organisation);
            admin.patch(&path, json!({ "enabled": false })).await.ok();
        }
    }
}

async fn an_execution_dies_with_what_started_it_whichever_way_that_ends() {
    for way in WAYS {
        let (app, _, admin) = TestApp::start().with_admin().await;
        let nora = app.member().await;
        let kind = Kind::Console;
        let (_, token) = app
            .open_session(
                &nora,
                NewRow {
                    kind,
                    ..NewRow::default()
                },
            )
            .await;
        let parent = app.holding(&token);
        let runner = app.register(&parent).await;
        let mine = start(&parent, json!({ "artefact_id": "TC-1" })).await;
        let on_client = runner.start("TC-2").await;
        bring_about(&app, &admin, &nora, &parent, way).await;
        for swept in [false, true] {
            if swept {
                app.service().sweep().await.expect("a sweep");
            }
            for execution in [&mine, &on_client] {
                let state = state_of(&admin, execution).await;
                assert_eq!(state, "terminated", "{way}, swept: {swept}");
            }
            assert!(!runner.client.is_signed_in().await, "{way}");
            let running = admin.get("/api/v1/executions?state=running").await.ok();
            assert_eq!(running["total"], 0, "{way}");
            let terminated = admin.get("/api/v1/executions?state=terminated").await.ok();
            assert_eq!(terminated["total"], 2, "{way}");
        }
        // One event for each that stopped.
        for (action, count) in [("execution.terminated", 2), ("client.disconnected", 1)] {
            let events = admin
                .get(&format!("/api/v1/audit?action={action}"))
                .await
                .ok();
            assert_eq!(events["total"], count, "{way}: {action}");
        }
        let client = admin.get(&runner.path("")).await.ok();
        assert_eq!(client["state"], "disconnected", "{way}");
        assert_eq!(client["running_executions"], 0, "{way}");
    }
}

async fn what_a_key_started_dies_with_the_key() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let (id, secret) = app.api_key(&nora, &[P::ClientsRegister]).await;
    let key = app.holding(&secret);
    let runner = app.register(&key).await;
    let body = json!({ "artefact_id": "TC-1", "client": runner.id });
    let execution = start(&key, body.clone()).await;
    // It can run on one of one's own clients that is there.
    let bo = app
        .user(nora.organisation, BuiltInRole::Member, "bo@acme.test")
        .await;
    app.program_of(&bo)
        .await
        .post("/api/v1/executions", body)
        .await
        .problem(404, "not_found");
    let mut commands = runner.listen().await;
    let browser = app.browser_of(&nora).await;
    browser.delete(&format!("/api/v1/keys/{id}")).await.done();
    assert_eq!(state_of(&admin, &execution).await, "terminated");
    let last = commands.next().await.expect("a command");
    assert_eq!(last["command"], "disconnect");
    // A key that comes to its time takes what it started along, too.
    let made = browser
        .post("/api/v1/keys", json!({ "name": "short", "days": 1 }))
        .await
        .json();
    let key = app.holding(made["secret"].as_str().expect("a secret"));
    let execution = start(&key, json!({ "artefact_id": "TC-2" })).await;
    app.advance(minutes(24 * 60));
    assert_eq!(admin.sign_in(&app.admin().await).await.status, 200);
    for swept in [false, true] {
        if swept {
            app.service().sweep().await.expect("a sweep");
        }
        assert_eq!(
            state_of(&admin, &execution).await,
            "terminated",
            "swept: {swept}"
        );
    }
}

async fn asking_twice_starts_one() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let (runner, other) = (app.runner(&nora).await, app.runner(&nora).await);
    let id = "0199aaaa-0000-7000-8000-000000000001";
    let body =
        json!({ "id": id, "artefact_id": "TC-1", "artefact_kind": "case", "name": " Sign in " });
    for _ in 0..2 {
        assert_eq!(start(&runner.client, body.clone()).await, id);
    }
    assert_eq!(admin.get("/api/v1/executions").await.ok()["total"], 1);
    let found = admin.get(&format!("/api/v1/executions/{id}")).await.ok();
    assert_eq!(
        (&found["name"], &found["artefact_kind"]),
        (&json!("Sign in"), &json!("case"))
    );
    assert_eq!(
        (&found["source"], &found["client"]["name"]),
        (&json!("manual"), &json!("runner"))
    );
    assert_eq!(found["session"], runner.session);
    // What is somebody else's is not told of.
    let bo = app
        .user(nora.organisation, BuiltInRole::Member, "bo@acme.test")
        .await;
    app.program_of(&bo)
        .await
        .post("/api/v1/executions", body)
        .await
        .field("id");
    for (body, field) in [
        (json!({}), "artefact_id"),
        (json!({ "artefact_id": " " }), "artefact_id"),
        (json!({ "artefact_id": "x".repeat(201) }), "artefact_id"),
        (json!({ "artefact_id": "a", "name": "x\u{1}" }), "name"),
        (
            json!({ "artefact_id": "a", "artefact_kind": "x".repeat(201) }),
            "artefact_kind",
        ),
        (json!({ "artefact_id": "a", "source": "alien" }), "source"),
        (json!({ "artefact_id": "a", "id": "1" }), "id"),
    ] {
        other
            .client
            .post("/api/v1/executions", body)
            .await
            .field(field);
    }
}

async fn whoever_runs_it_says_how_it_ended() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let runner = app.runner(&nora).await;
    for state in ["finished", "failed"] {
        let id = runner.start("TC-1").await;
        let path = format!("/api/v1/executions/{id}");
        app.advance(seconds(5));
        // Said twice, as by a client whose first answer was lost.
        for _ in 0..2 {
            let ended = runner
                .client
                .patch(&path, json!({ "state": state }))
                .await
                .ok();
            assert_eq!(ended["state"], state);
            assert_eq!(ended["ended_at"], app.now().to_string());
            assert_eq!(
                (&ended["ended_by"], &ended["end_reason"]),
                (&Value::Null, &Value::Null)
            );
        }
        for other in [
            "terminated",
            "running",
            if state == "failed" {
                "finished"
            } else {
                "failed"
            },
        ] {
            runner
                .client
                .patch(&path, json!({ "state": other }))
                .await
                .problem(409, "execution_not_running");
        }
        let events = admin
            .get("/api/v1/audit?action=execution.finished")
            .await
            .ok();
        assert_eq!(events["items"][0]["detail"], format!("TC-1: {state}"));
    }
    assert_eq!(
        admin
            .get("/api/v1/audit?action=execution.finished")
            .await
            .ok()["total"],
        2
    );
    let id = runner.start("TC-2").await;
    let path = format!("/api/v1/executions/{id}");
    runner
        .client
        .patch(&path, json!({ "state": "gone" }))
        .await
        .field("state");
    // Its user stops it from elsewhere.
    let stopped = app
        .browser_of(&nora)
        .await
        .patch(&path, json!({ "state": "terminated" }))
        .await
        .ok();
    assert_eq!(stopped["ended_by"]["name"], "nora");
}

async fn nobody_ends_what_is_not_theirs() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let ada = app.administrator_beside(&nora).await;
    let eve = app.stranger().await;
    let role = BuiltInRole::Administrator;
    let fay = app.user(eve.organisation, role, "fay@globex.test").await;
    let bo = app
        .user(nora.organisation, BuiltInRole::Member, "bo@acme.test")
        .await;
    let (runner, other) = (app.runner(&nora).await, app.runner(&nora).await);
    let id = runner.start("TC-1").await;
    let path = format!("/api/v1/executions/{id}");
    let stop = json!({ "state": "terminated" });
    for person in [&fay, &bo, &eve] {
        let client = app.browser_of(person).await;
        client
            .patch(&path, stop.clone())
            .await
            .problem(404, "not_found");
        client.get(&path).await.problem(404, "not_found");
    }
    let foreign = app.runner(&eve).await;
    foreign
        .client
        .patch(&path, stop.clone())
        .await
        .problem(404, "not_found");
    // Another client of the same user runs something else.
    other
        .client
        .patch(&path, stop.clone())
        .await
        .problem(403, "forbidden");
    // An administrator stops it, but does not say how it went.
    let ada = app.browser_of(&ada).await;
    ada.patch(&path, json!({ "state": "finished" }))
        .await
        .problem(403, "forbidden");
    assert_eq!(state_of(&ada, &id).await, "running");
    ada.patch(&path, stop).await.ok();
    assert_eq!(state_of(&ada, &id).await, "terminated");
}

async fn executions_are_listed_within_reach() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let ada = app.administrator_beside(&nora).await;
    let eve = app.stranger().await;
    let (runner, foreign) = (app.runner(&nora).await, app.runner(&eve).await);
    let first = runner.start("TC-1").await;
    app.advance(seconds(1));
    let second = runner.start("TC-2").await;
    foreign.start("TC-3").await;
    let path = format!("/api/v1/executions/{first}");
    runner
        .client
        .patch(&path, json!({ "state": "finished" }))
        .await
        .ok();
    let ada = app.browser_of(&ada).await;
    let ids = async |client: &Client, query: &str| {
        let page = client.get(&format!("/api/v1/executions{query}")).await.ok();
        let items = page["items"].as_array().expect("items").clone();
        let ids: Vec<String> = items
            .iter()
            .map(|one| one["id"].as_str().expect("an id").to_owned())
            .collect();
        ids
    };
    let both = vec![second.clone(), first.clone()];
    assert_eq!(ids(&ada, "").await, both);
    assert_eq!(ids(&runner.client, "").await, both);
    assert_eq!(admin.get("/api/v1/executions").await.ok()["total"], 3);
    for (query, expected) in [
        ("?state=running".to_owned(), vec![second.clone()]),
        ("?state=finished".to_owned(), vec![first.clone()]),
        (format!("?user={}", nora.id), both.clone()),
        (format!("?user={}", eve.id), vec![]),
        (format!("?client={}", runner.id), both.clone()),
        (format!("?client={}", foreign.id), vec![]),
        (format!("?session={}", runner.session), both.clone()),
        ("?page_size=1&page=2".to_owned(), vec![first.clone()]),
    ] {
        assert_eq!(ids(&ada, &query).await, expected, "{query}");
    }
    ada.get("/api/v1/executions?q=x").await.field("q");
    let eve = app.browser_of(&eve).await;
    assert_eq!(eve.get("/api/v1/executions").await.ok()["total"], 1);
}

async fn an_execution_never_outlives_a_session_that_ends_meanwhile() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let mut ids = Vec::new();
    for round in 0..40 {
        let (id, token) = app.open_session(&nora, NewRow::default()).await;
        let parent = app.holding(&token);
        let path = format!("/api/v1/sessions/{id}");
        let starting = parent.post("/api/v1/executions", json!({ "artefact_id": "TC-1" }));
        let registering = parent.post("/api/v1/clients", json!({ "name": "runner" }));
        let (started, registered, ended) = if round % 2 == 0 {
            tokio::join!(starting, registering, admin.delete(&path))
        } else {
            let (ended, started, registered) =
                tokio::join!(admin.delete(&path), starting, registering);
            (started, registered, ended)
        };
        ended.done();
        match started.status {
            201 => ids.push(started.json()["id"].as_str().expect("an id").to_owned()),
            _ => drop(started.problem(401, "unauthenticated")),
        }
        match registered.status {
            201 => {
                let runner = app.runner_of(registered.json());
                assert!(!runner.client.is_signed_in().await);
            }
            _ => drop(registered.problem(401, "unauthenticated")),
        }
    }
    for id in &ids {
        assert_eq!(state_of(&admin, id).await, "terminated");
    }
    // Stored, not only told: nothing is left for a sweep.
    let left = app.stored_running().await;
    assert_eq!(left, 0, "of {} that were started", ids.len());
    assert_eq!(
        admin.get("/api/v1/clients?state=connected").await.ok()["total"],
        0
    );
}
