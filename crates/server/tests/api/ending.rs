//! Ending sessions: one, one's own, all of a user.

use std::future::IntoFuture;

use rollcall_core::{BuiltInRole, EndReason};
use serde_json::{Value, json};

use crate::support::{Client, NewRow, Person, TestApp, minutes};

both_databases!(
    an_administrator_ends_a_session_with_a_reason,
    an_attempt_that_fails_is_told_and_noted,
    ending_ones_own_session_signs_out,
    a_reason_is_short_and_readable,
    everyone_ends_their_own,
    everyone_ends_all_their_others_or_all,
    all_sessions_of_a_user_end_but_ones_current_one,
    whoever_tries_to_end_all_of_a_user_is_seen_by_their_administrator,
    of_two_at_once_one_ends_it,
    three_hundred_sessions_of_a_user_end_together,
);

async fn find(admin: &Client, id: impl std::fmt::Display) -> Value {
    admin.get(&format!("/api/v1/sessions/{id}")).await.ok()
}

// The newest events, as (action, outcome, session, detail).
async fn newest(admin: &Client, count: usize) -> Vec<(String, String, Value, Value)> {
    let page = admin.get("/api/v1/audit?page_size=20").await.ok();
    let events = page["items"].as_array().expect("a list").iter().take(count);
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    events
        .map(|event| {
            (
                text(&event["action"]),
                text(&event["outcome"]),
                event["session"].clone(),
                event["detail"].clone(),
            )
        })
        .collect()
}

async fn an_administrator_ends_a_session_with_a_reason() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let (id, token) = app.open_session(&nora, NewRow::default()).await;
    let program = app.holding(&token);
    assert!(program.is_signed_in().await);
    app.advance(minutes(2));
    let answer = admin
        .delete(&format!("/api/v1/sessions/{id}"))
        .json(&json!({ "reason": "  laptop lost " }))
        .await;
    answer.done();
    assert_eq!(
        (answer.cookies().len(), answer.header("clear-site-data")),
        (0, None)
    );
    assert!(!program.is_signed_in().await);
    let session = find(&admin, id).await;
    let ended = &session["ended"];
    assert_eq!(
        (&ended["reason"], &ended["note"]),
        (&json!("ended_by_administrator"), &json!("laptop lost"))
    );
    assert_eq!(ended["at"], app.now().to_string());
    assert_eq!(ended["by"]["id"], app.admin().await.id.to_string());
    assert_eq!(session["duration_seconds"], 120);
    let events = newest(&admin, 1).await;
    let expected = json!("ended_by_administrator: laptop lost");
    assert_eq!(
        events,
        [(
            "session.ended".into(),
            "success".into(),
            json!(id),
            expected
        )]
    );
}

async fn an_attempt_that_fails_is_told_and_noted() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let max = app
        .user(nora.organisation, BuiltInRole::Member, "max@acme.test")
        .await;
    let ada = app.administrator_beside(&nora).await;
    let eve = app.stranger().await;
    let (hers, _) = app.open_session(&nora, NewRow::default()).await;
    let (foreign, _) = app.open_session(&eve, NewRow::default()).await;
    let unknown = crate::support::unknown_id();
    let (max, ada) = (app.browser_of(&max).await, app.browser_of(&ada).await);
    for (client, id, status, code, outcome) in [
        (&max, json!(hers), 403, "forbidden", "not_permitted"),
        (&max, json!(foreign), 403, "forbidden", "not_permitted"),
        (&max, json!(unknown), 403, "forbidden", "not_permitted"),
        (&ada, json!(foreign), 404, "not_found", "not_found"),
        (&ada, json!(unknown), 404, "not_found", "not_found"),
        (&admin, json!(unknown), 404, "not_found", "not_found"),
    ] {
        for path in ["/api/v1/sessions", "/api/UserRequest"] {
            let text = id.as_str().expect("an id");
            client
                .delete(&format!("{path}/{text}"))
                .await
                .problem(status, code);
            let expected = [(
                "session.ended".to_owned(),
                outcome.to_owned(),
                id.clone(),
                Value::Null,
            )];
            assert_eq!(newest(&admin, 1).await, expected, "{path} {text}");
        }
    }
    assert_eq!(find(&admin, hers).await["state"], "active");
    ada.delete(&format!("/api/v1/sessions/{hers}")).await.done();
    ada.delete(&format!("/api/v1/sessions/{hers}"))
        .await
        .problem(409, "session_not_active");
    let expected = (
        "session.ended".to_owned(),
        "already_ended".to_owned(),
        json!(hers),
        Value::Null,
    );
    assert_eq!(newest(&admin, 1).await, [expected]);
    // What expired is not active either.
    app.advance(minutes(30));
    let admin = app.browser_of(&app.admin().await).await;
    admin
        .delete(&format!("/api/v1/sessions/{foreign}"))
        .await
        .problem(409, "session_not_active");
    assert_eq!(
        find(&admin, foreign).await["ended"]["reason"],
        "idle_timeout"
    );
    for path in [
        "/api/v1/sessions/1",
        "/api/v1/sessions/x.css",
        "/api/UserRequest/..%2f",
        "/api/v1/sessions/00000000000000000000000000000000",
    ] {
        admin.delete(path).await.problem(404, "not_found");
    }
}

async fn ending_ones_own_session_signs_out() {
    let (app, _, watcher) = TestApp::start().with_admin().await;
    let admin = app.admin().await;
    for path in [
        "/api/v1/sessions",
        "/api/UserRequest",
        "/api/v1/me/sessions",
    ] {
        let browser = app.browser_of(&admin).await;
        let id = browser.session_id().await;
        let answer = browser.delete(&format!("{path}/{id}")).await;
        answer.done();
        assert!(answer.expires_cookie(), "{path}: {:?}", answer.cookies());
        assert_eq!(
            answer.header("clear-site-data"),
            Some("\"cache\", \"storage\""),
            "{path}"
        );
        assert_eq!(browser.token(), None);
        let session = find(&watcher, id).await;
        assert_eq!(session["ended"]["reason"], "ended_by_user", "{path}");
        assert_eq!(session["ended"]["by"]["id"], admin.id.to_string());
        // Another one of one's own does not.
        let browser = app.browser_of(&admin).await;
        let (other, _) = app.open_session(&admin, NewRow::default()).await;
        let answer = browser.delete(&format!("{path}/{other}")).await;
        answer.done();
        assert!(
            !answer.expires_cookie() && browser.is_signed_in().await,
            "{path}"
        );
        // Nor does a program get anything that is a browser's.
        let program = app.program_of(&admin).await;
        let id = program.session_id().await;
        let answer = program.delete(&format!("{path}/{id}")).await;
        answer.done();
        assert_eq!(
            (answer.cookies().len(), answer.header("clear-site-data")),
            (0, None),
            "{path}"
        );
        assert!(!program.is_signed_in().await);
    }
}

async fn a_reason_is_short_and_readable() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let (id, _) = app.open_session(&nora, NewRow::default()).await;
    let path = format!("/api/v1/sessions/{id}");
    for reason in [
        "x".repeat(201),
        "line\nbreak".to_owned(),
        "\u{0}".to_owned(),
    ] {
        admin
            .delete(&path)
            .json(&json!({ "reason": reason }))
            .await
            .field("reason");
    }
    admin
        .delete(&path)
        .json(&json!({ "reasons": "x" }))
        .await
        .field("reasons");
    admin
        .delete(&path)
        .json(&json!({ "reason": 5 }))
        .await
        .field("reason");
    admin
        .delete(&format!("{path}?force=1"))
        .await
        .field("force");
    assert_eq!(find(&admin, id).await["state"], "active");
    admin
        .delete(&path)
        .json(&json!({ "reason": "ü".repeat(200) }))
        .await
        .done();
    assert_eq!(find(&admin, id).await["ended"]["note"], "ü".repeat(200));
    // No body, or `null`, is no reason.
    let (id, _) = app.open_session(&nora, NewRow::default()).await;
    let path = format!("/api/v1/sessions/{id}");
    admin.delete(&path).json(&json!(null)).await.done();
    assert_eq!(find(&admin, id).await["ended"]["note"], json!(null));
}

async fn everyone_ends_their_own() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let max = app
        .user(nora.organisation, BuiltInRole::Member, "max@acme.test")
        .await;
    let (his, _) = app.open_session(&max, NewRow::default()).await;
    let browser = app.browser_of(&nora).await;
    let (hers, token) = app.open_session(&nora, NewRow::default()).await;
    for id in [his.to_string(), crate::support::unknown_id().to_string()] {
        browser
            .delete(&format!("/api/v1/me/sessions/{id}"))
            .await
            .problem(404, "not_found");
        assert_eq!(newest(&admin, 1).await[0].1, "not_found");
    }
    browser
        .delete(&format!("/api/v1/me/sessions/{hers}"))
        .await
        .done();
    browser
        .delete(&format!("/api/v1/me/sessions/{hers}"))
        .await
        .problem(409, "session_not_active");
    assert!(!app.holding(&token).is_signed_in().await);
    assert_eq!(find(&admin, his).await["state"], "active");
    assert_eq!(find(&admin, hers).await["ended"]["reason"], "ended_by_user");
    // Ended ones are in the list for those who ask for them.
    let listed = browser.get("/api/v1/me/sessions").await.ok();
    assert_eq!(
        (&listed["total"], &listed["items"][0]["current"]),
        (&json!(1), &json!(true))
    );
    let ended = browser.get("/api/v1/me/sessions?state=ended").await.ok();
    assert_eq!(
        (&ended["total"], &ended["items"][0]["id"]),
        (&json!(1), &json!(hers))
    );
}

async fn everyone_ends_all_their_others_or_all() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let max = app
        .user(nora.organisation, BuiltInRole::Member, "max@acme.test")
        .await;
    let his = app.program_of(&max).await;
    let browser = app.browser_of(&nora).await;
    let others = [
        app.browser_of(&nora).await,
        app.program_of(&nora).await,
        app.program_of(&nora).await,
    ];
    for query in [
        "except=others",
        "except=",
        "exept=current",
        "except=current&except=current",
    ] {
        assert_eq!(
            browser
                .delete(&format!("/api/v1/me/sessions?{query}"))
                .await
                .status,
            400,
            "{query}"
        );
    }
    let answer = browser.delete("/api/v1/me/sessions?except=current").await;
    answer.done();
    assert!(!answer.expires_cookie() && browser.is_signed_in().await);
    for other in &others {
        assert!(!other.is_signed_in().await);
    }
    let events = newest(&admin, 1).await;
    assert_eq!(
        events,
        [(
            "sessions.ended".into(),
            "success".into(),
            Value::Null,
            json!("ended_by_user: 3 sessions")
        )]
    );
    let another = app.program_of(&nora).await;
    let answer = browser.delete("/api/v1/me/sessions").await;
    answer.done();
    assert!(answer.expires_cookie());
    assert_eq!(
        answer.header("clear-site-data"),
        Some("\"cache\", \"storage\"")
    );
    assert!(!another.is_signed_in().await && his.is_signed_in().await);
    let active = admin.get("/api/v1/sessions?state=active&q=nora").await.ok();
    assert_eq!(active["total"], 0);
}

async fn all_sessions_of_a_user_end_but_ones_current_one() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let (one, two) = (app.browser_of(&nora).await, app.program_of(&nora).await);
    let path = format!("/api/v1/users/{}/sessions", nora.id);
    admin.delete(&path).await.done();
    assert!(!one.is_signed_in().await && !two.is_signed_in().await);
    // With none left it is done all the same.
    admin.delete(&path).await.done();
    let myself = app.admin().await;
    let mine = format!("/api/v1/users/{}/sessions", myself.id);
    let other = app.program_of(&myself).await;
    for query in ["include=others", "include=", "current=true"] {
        assert_eq!(
            admin.delete(&format!("{mine}?{query}")).await.status,
            400,
            "{query}"
        );
    }
    let answer = admin.delete(&mine).await;
    answer.done();
    assert!(!answer.expires_cookie() && admin.is_signed_in().await && !other.is_signed_in().await);
    let id = admin.session_id().await;
    let answer = admin.delete(&format!("{mine}?include=current")).await;
    answer.done();
    assert!(answer.expires_cookie());
    assert_eq!(admin.token(), None);
    let ended = app.stored(id).await.ended.map(|(_, reason)| reason);
    assert_eq!(ended, Some(EndReason::EndedByUser));
}

async fn whoever_tries_to_end_all_of_a_user_is_seen_by_their_administrator() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let ada = app.administrator_beside(&nora).await;
    let stranger = app.stranger().await;
    let of = |person: &Person| format!("/api/v1/users/{}/sessions", person.id);
    let (browser, admin) = (app.browser_of(&nora).await, app.browser_of(&ada).await);
    browser.delete(&of(&ada)).await.problem(403, "forbidden");
    admin.delete(&of(&stranger)).await.problem(404, "not_found");
    for (outcome, who) in [("not_permitted", &nora), ("not_found", &ada)] {
        let path = format!("/api/v1/audit?action=sessions.ended&outcome={outcome}");
        let events = admin.get(&path).await.ok();
        assert_eq!(events["total"], 1, "{outcome}");
        assert_eq!(events["items"][0]["actor"]["id"], who.id.to_string());
    }
}

async fn of_two_at_once_one_ends_it() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    for _ in 0..10 {
        let (id, _) = app.open_session(&nora, NewRow::default()).await;
        let path = format!("/api/v1/sessions/{id}");
        let answers =
            futures_util::future::join_all((0..6).map(|_| admin.delete(&path).into_future())).await;
        let done = answers.iter().filter(|answer| answer.status == 204).count();
        assert_eq!(done, 1);
        for answer in answers.iter().filter(|answer| answer.status != 204) {
            answer.problem(409, "session_not_active");
        }
        let events = admin
            .get(&format!("/api/v1/audit?session={id}&outcome=success"))
            .await
            .ok();
        assert_eq!(events["total"], 1);
    }
}

async fn three_hundred_sessions_of_a_user_end_together() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let mut tokens = Vec::new();
    for _ in 0..300 {
        tokens.push(app.open_session(&nora, NewRow::default()).await.1);
    }
    admin
        .delete(&format!("/api/v1/users/{}/sessions", nora.id))
        .await
        .done();
    for token in tokens.iter().step_by(37) {
        assert!(!app.holding(token).is_signed_in().await);
    }
    let stats = admin.get("/api/v1/sessions/stats").await.ok();
    assert_eq!(
        (&stats["total"], &stats["active"]),
        (&json!(301), &json!(1))
    );
}
