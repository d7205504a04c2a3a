//! The server functions of our own pages: the same answers as by REST, for the same people.

use rollcall_core::{BuiltInRole, SessionId};
use serde_json::{Value, json};

use crate::support::{Answer, Client, NewRow, PASSWORD, Person, TestApp, seconds};

both_databases!(
    reading_gives_the_same_by_both_doors,
    refusals_are_the_same_by_both_doors,
    acts_have_the_same_effect_by_both_doors,
    every_role_may_do_the_same_by_both_doors,
    a_function_that_is_not_there_is_not_found,
    every_method_of_the_backend_has_a_function,
);

async fn rpc(client: &Client, function: &str, fields: &[(&str, &str)]) -> Answer {
    client
        .ask(http::Method::POST, &format!("/rpc/{function}"))
        .header("accept", "application/json")
        .form(fields)
        .await
}

// What changes from one request to the next and says nothing.
fn still(mut value: Value) -> Value {
    if let Some(fields) = value.as_object_mut() {
        fields.remove("request_id");
    }
    value
}

async fn reading_gives_the_same_by_both_doors() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let mut ids = Vec::new();
    for number in 0..15 {
        app.advance(seconds(1));
        ids.push(
            app.open_session(
                &nora,
                NewRow {
                    name: format!("kestrel {number}"),
                    ..NewRow::default()
                },
            )
            .await
            .0,
        );
    }
    admin
        .delete(&format!("/api/v1/sessions/{}", ids[0]))
        .json(&json!({ "reason": "lost" }))
        .await
        .done();
    let id = ids[0].to_string();
    let own = admin.session_id().await.to_string();
    for (path, function, fields) in [
        ("/api/v1/me".to_owned(), "me", vec![]),
        (
            "/api/v1/me/sessions".to_owned(),
            "list_own_sessions",
            vec![("query", "")],
        ),
        (
            "/api/v1/me/sessions?state=ended&page_size=5".to_owned(),
            "list_own_sessions",
            vec![("query", "state=ended&page_size=5")],
        ),
        ("/api/v1/sessions".to_owned(), "list_sessions", vec![]),
        (
            "/api/v1/sessions?q=KESTREL&sort=-duration&page=2".to_owned(),
            "list_sessions",
            vec![("query", "q=KESTREL&sort=-duration&page=2")],
        ),
        ("/api/v1/sessions/stats".to_owned(), "session_stats", vec![]),
        (
            format!("/api/v1/sessions/{id}"),
            "find_session",
            vec![("session", id.as_str())],
        ),
        (
            format!("/api/v1/sessions/{own}"),
            "find_own_session",
            vec![("session", own.as_str())],
        ),
        (
            "/api/v1/audit?action=session.ended".to_owned(),
            "list_audit",
            vec![("query", "action=session.ended")],
        ),
    ] {
        let mut by_rest = admin.get(&path).await.ok();
        if function == "find_own_session" {
            // One's own door says nothing of one's own role.
            assert!(!by_rest["owner"].take().is_null());
        }
        let mut by_rpc = rpc(&admin, function, &fields).await.ok();
        if function == "list_sessions" {
            // With the filters in words beside it.
            assert_eq!(by_rpc["filters"], json!([]));
            by_rpc = by_rpc["list"].take();
        }
        for items in [&mut by_rpc["items"], &mut by_rest["items"]] {
            for item in items.as_array_mut().into_iter().flatten() {
                // What runs is told in fewer words.
                let item = item.as_object_mut().expect("a row");
                item.remove("brief");
                item.remove("work");
            }
        }
        assert_eq!(by_rpc, by_rest, "{path}");
    }
    assert_eq!(
        rpc(&admin, "count_sessions", &[("query", "q=kestrel")])
            .await
            .ok(),
        json!(15)
    );
    let around = rpc(&admin, "surroundings", &[]).await.ok();
    assert_eq!(around["viewer"]["user"]["email"], TestApp::ADMIN);
    assert_eq!(around["now"], app.now().to_string());
    assert_eq!(rpc(&admin, "last_end", &[]).await.ok(), Value::Null);
    assert!(
        rpc(&admin, "time_zones", &[])
            .await
            .ok()
            .as_array()
            .is_some_and(|list| list.contains(&json!("Europe/Berlin")))
    );
    rpc(&admin, "set_time_zone", &[("time_zone", "Europe/Berlin")])
        .await
        .ok();
    assert_eq!(
        admin.get("/api/v1/me").await.ok()["user"]["time_zone"],
        "Europe/Berlin"
    );
    let refused = rpc(&admin, "set_time_zone", &[("time_zone", "Mars/Olympus")]).await;
    assert_eq!(refused.status, 400, "{}", refused.text());
}

async fn refusals_are_the_same_by_both_doors() {
    let (app, anon, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let member = app.browser_of(&nora).await;
    let unknown = crate::support::unknown_id().to_string();
    for (client, path, function, fields) in [
        (&anon, "/api/v1/me".to_owned(), "me", vec![]),
        (
            &anon,
            "/api/v1/sessions".to_owned(),
            "list_sessions",
            vec![],
        ),
        (
            &member,
            "/api/v1/sessions".to_owned(),
            "list_sessions",
            vec![],
        ),
        (
            &member,
            "/api/v1/sessions/stats".to_owned(),
            "session_stats",
            vec![],
        ),
        (&member, "/api/v1/audit".to_owned(), "list_audit", vec![]),
        (
            &admin,
            "/api/v1/sessions?page=0".to_owned(),
            "list_sessions",
            vec![("query", "page=0")],
        ),
        (
            &admin,
            "/api/v1/sessions?colour=red".to_owned(),
            "list_sessions",
            vec![("query", "colour=red")],
        ),
        (
            &admin,
            format!("/api/v1/sessions/{unknown}"),
            "find_session",
            vec![("session", unknown.as_str())],
        ),
    ] {
        let by_rest = client.get(&path).await;
        let by_rpc = rpc(client, function, &fields).await;
        assert_eq!(by_rpc.status, by_rest.status, "{path}: {}", by_rpc.text());
        let code = by_rest.json()["code"].as_str().expect("a code").to_owned();
        let word = match by_rpc.json() {
            Value::String(word) => word,
            Value::Object(fields) if fields.contains_key("invalid") => "invalid_field".to_owned(),
            other => panic!("{other}"),
        };
        assert_eq!(word, code, "{path}");
        assert!(
            still(by_rpc.json()).get("detail").is_none(),
            "a closed list without free text"
        );
    }
    let wrong = [
        ("email", nora.email.as_str()),
        ("password", "a wrong password"),
    ];
    let refused = rpc(&app.browser(), "sign_in", &wrong).await;
    assert_eq!(
        (refused.status, refused.json()),
        (401, json!("sign_in_failed"))
    );
}

async fn acts_have_the_same_effect_by_both_doors() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let open = async |person: &Person| app.open_session(person, NewRow::default()).await.0;
    let audit = async || {
        let page = admin.get("/api/v1/audit?page_size=1").await.ok();
        let event = &page["items"][0];
        (
            event["action"].clone(),
            event["outcome"].clone(),
            event["detail"].clone(),
        )
    };
    // Each act by REST, then by server function; the stored session and the event must agree.
    let (one, other) = (open(&nora).await, open(&nora).await);
    admin
        .delete(&format!("/api/v1/sessions/{one}"))
        .json(&json!({ "reason": "lost" }))
        .await
        .done();
    let by_rest = audit().await;
    let answer = rpc(
        &admin,
        "end_session",
        &[("session", &other.to_string()), ("reason", "lost")],
    )
    .await
    .ok();
    assert_eq!(answer, json!({ "ended": 1, "signed_out": false }));
    assert_eq!(audit().await, by_rest);
    let find = async |id: SessionId| {
        let mut session = admin.get(&format!("/api/v1/sessions/{id}")).await.ok();
        session["id"] = Value::Null;
        session
    };
    assert_eq!(find(one).await, find(other).await);
    let again = rpc(&admin, "end_session", &[("session", &other.to_string())]).await;
    assert_eq!(
        (again.status, again.json()),
        (409, json!("session_not_active"))
    );

    open(&nora).await;
    let answer = rpc(
        &admin,
        "end_user_sessions",
        &[("user", &nora.id.to_string())],
    )
    .await
    .ok();
    assert_eq!(answer, json!({ "ended": 1, "signed_out": false }));

    let browser = app.browser_of(&nora).await;
    let mine = open(&nora).await;
    browser
        .ask(http::Method::PATCH, &format!("/api/v1/me/sessions/{mine}"))
        .json(&json!({ "name": "Kestrel" }))
        .await
        .ok();
    let by_rest = audit().await;
    let again = open(&nora).await;
    let fields = [
        ("session", again.to_string()),
        ("name", "Kestrel".to_owned()),
    ];
    let fields = fields
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    let answer = rpc(&browser, "rename_own_session", &fields).await;
    assert_eq!(answer.ok(), Value::Null);
    assert_eq!(audit().await, by_rest);
    assert_eq!(app.stored(again).await.name, "Kestrel");
    let answer = rpc(&browser, "end_own_session", &[fields[0]]).await;
    assert_eq!(answer.ok(), json!({ "ended": 1, "signed_out": false }));
    let answer = rpc(
        &browser,
        "end_own_session",
        &[("session", &mine.to_string())],
    )
    .await
    .ok();
    assert_eq!(answer, json!({ "ended": 1, "signed_out": false }));
    open(&nora).await;
    let answer = rpc(&browser, "end_own_sessions", &[("scope", "others")])
        .await
        .ok();
    assert_eq!(answer, json!({ "ended": 1, "signed_out": false }));
    let answer = rpc(&browser, "end_own_sessions", &[("scope", "all")]).await;
    assert_eq!(answer.ok(), json!({ "ended": 1, "signed_out": true }));
    assert!(answer.expires_cookie());
    assert_eq!(
        answer.header("clear-site-data"),
        Some("\"cache\", \"storage\"")
    );

    let answer = rpc(
        &browser,
        "sign_in",
        &[
            ("email", &nora.email),
            ("password", PASSWORD),
            ("keep", "on"),
        ],
    )
    .await;
    answer.ok();
    assert!(
        answer.cookies()[0].ends_with("; Max-Age=2592000"),
        "{:?}",
        answer.cookies()
    );
    let new = "nine loud geese before dawn";
    let different = rpc(
        &browser,
        "change_password",
        &[
            ("current_password", PASSWORD),
            ("new_password", new),
            ("repeat_password", "x"),
        ],
    )
    .await;
    assert_eq!(different.status, 400);
    let before = browser.token();
    rpc(
        &browser,
        "change_password",
        &[
            ("current_password", PASSWORD),
            ("new_password", new),
            ("repeat_password", new),
        ],
    )
    .await
    .ok();
    assert_ne!(browser.token(), before);
    let answer = rpc(&browser, "sign_out", &[]).await;
    answer.ok();
    assert!(answer.expires_cookie());
    assert!(!browser.is_signed_in().await);
}

async fn every_role_may_do_the_same_by_both_doors() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let acme = app.organisation("Acme").await;
    let globex = app.organisation("Globex").await;
    let colleague = app
        .user(acme, BuiltInRole::Member, "colleague@acme.test")
        .await;
    let foreigner = app
        .user(globex, BuiltInRole::Member, "foreigner@globex.test")
        .await;
    let mut callers = vec![None];
    for role in BuiltInRole::ALL {
        callers.push(Some(
            app.user(acme, role, &format!("{}@acme.test", role.key()))
                .await,
        ));
    }
    for caller in &callers {
        let client = async || match caller {
            Some(person) => app.browser_of(person).await,
            None => app.browser(),
        };
        let who = caller.as_ref().map_or("nobody", |person| person.role.key());
        for target in [
            caller.clone(),
            Some(colleague.clone()),
            Some(foreigner.clone()),
            None,
        ] {
            let session = async || match &target {
                Some(person) => app
                    .open_session(person, NewRow::default())
                    .await
                    .0
                    .to_string(),
                None => crate::support::unknown_id().to_string(),
            };
            let user = target
                .as_ref()
                .map_or_else(crate::support::unknown_id, |person| person.id.0)
                .to_string();
            let same = |what: &str, rest: &Answer, rpc: &Answer| {
                let rest_status = if rest.status == 204 { 200 } else { rest.status };
                assert_eq!(
                    rpc.status,
                    rest_status,
                    "{who} {what} of {:?}: {}",
                    target.as_ref().map(|person| &person.email),
                    rpc.text()
                );
            };
            let id = session().await;
            let rest = client().await.get(&format!("/api/v1/sessions/{id}")).await;
            same(
                "find",
                &rest,
                &rpc(&client().await, "find_session", &[("session", &id)]).await,
            );
            let rest = client()
                .await
                .delete(&format!("/api/v1/sessions/{}", session().await))
                .await;
            same(
                "end",
                &rest,
                &rpc(
                    &client().await,
                    "end_session",
                    &[("session", &session().await)],
                )
                .await,
            );
            let rest = client()
                .await
                .delete(&format!("/api/v1/me/sessions/{}", session().await))
                .await;
            same(
                "end own",
                &rest,
                &rpc(
                    &client().await,
                    "end_own_session",
                    &[("session", &session().await)],
                )
                .await,
            );
            let id = session().await;
            let rest = client()
                .await
                .ask(http::Method::PATCH, &format!("/api/v1/me/sessions/{id}"))
                .json(&json!({ "name": "Kestrel" }))
                .await;
            let fields = [("session", id.as_str()), ("name", "Kestrel")];
            same(
                "rename",
                &rest,
                &rpc(&client().await, "rename_own_session", &fields).await,
            );
            let rest = client()
                .await
                .delete(&format!("/api/v1/users/{user}/sessions"))
                .await;
            same(
                "end all",
                &rest,
                &rpc(&client().await, "end_user_sessions", &[("user", &user)]).await,
            );
            // Only this door finds one of one's own.
            let own = target
                .as_ref()
                .is_some_and(|target| caller.as_ref().is_some_and(|caller| caller.id == target.id));
            let expected = match (caller, own) {
                (None, _) => 401,
                (_, true) => 200,
                (_, false) => 404,
            };
            assert_eq!(
                rpc(&client().await, "find_own_session", &[("session", &id)])
                    .await
                    .status,
                if own { 200 } else { expected },
                "{who}"
            );
        }
        for (path, function) in [
            ("/api/v1/sessions", "list_sessions"),
            ("/api/v1/sessions", "count_sessions"),
            ("/api/v1/sessions/stats", "session_stats"),
            ("/api/v1/audit", "list_audit"),
            ("/api/v1/me", "me"),
            ("/api/v1/me/sessions", "list_own_sessions"),
        ] {
            let rest = client().await.get(path).await;
            assert_eq!(
                rpc(&client().await, function, &[]).await.status,
                rest.status,
                "{who} {function}"
            );
        }
        let signed_in = if caller.is_some() { 200 } else { 401 };
        assert_eq!(
            rpc(&client().await, "set_time_zone", &[("time_zone", "")])
                .await
                .status,
            signed_in,
            "{who}"
        );
        for scope in ["others", "all"] {
            assert_eq!(
                rpc(&client().await, "end_own_sessions", &[("scope", scope)])
                    .await
                    .status,
                signed_in,
                "{who}"
            );
        }
        for function in ["surroundings", "last_end", "time_zones", "sign_out"] {
            assert_eq!(
                rpc(&client().await, function, &[]).await.status,
                200,
                "{who} {function}"
            );
        }
    }
}

async fn a_function_that_is_not_there_is_not_found() {
    let (_, anon, admin) = TestApp::start().with_admin().await;
    for client in [&anon, &admin] {
        for function in ["nothing", "", "me/x", "end_session2"] {
            assert_eq!(rpc(client, function, &[]).await.status, 404, "{function}");
        }
        for method in ["GET", "DELETE", "PUT"] {
            let answer = client
                .ask(method.parse().expect("a method"), "/rpc/sign_out")
                .header("accept", "application/json")
                .await;
            assert_eq!(answer.status, 405, "{method}");
        }
    }
    assert!(admin.is_signed_in().await);
    let missing = rpc(&admin, "find_session", &[]).await;
    assert_eq!(
        (missing.status, missing.json()),
        (400, json!("malformed_body"))
    );
    let odd = rpc(&admin, "find_session", &[("session", "x")]).await;
    assert_eq!(odd.status, 400, "{}", odd.text());
}

async fn every_method_of_the_backend_has_a_function() {
    let (_, _, admin) = TestApp::start().with_admin().await;
    let source = concat!(
        include_str!("../../../core/src/backend.rs"),
        include_str!("../../../core/src/people_backend.rs")
    );
    let methods: Vec<_> = source
        .lines()
        .filter_map(|line| line.trim().strip_prefix("fn ")?.split('(').next())
        .collect();
    assert!(methods.len() > 15, "{methods:?}");
    for method in methods {
        // Where a form leads, and what a page asks before, is no business of the client's.
        if matches!(method, "redirect" | "come_back" | "reauthentication_due") {
            continue;
        }
        let answer = rpc(&admin, method, &[]).await;
        assert_ne!(answer.status, 404, "{method}: {}", answer.text());
        if method == "sign_out" {
            admin.sign_in_as(TestApp::ADMIN, PASSWORD).await.ok();
        }
    }
}
