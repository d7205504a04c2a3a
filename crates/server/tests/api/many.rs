//! Ending many at once: sealed by a preview, or everything by one row.

use futures_util::future::join_all;
use rollcall_core::{BuiltInRole, SessionId};
use serde_json::{Value, json};

use crate::support::{Client, NewRow, Person, TestApp, minutes, seconds};

both_databases!(
    a_preview_ends_exactly_what_it_has_sealed,
    ticked_sessions_end_and_the_one_in_use_never,
    a_filter_that_is_empty_or_misspelt_ends_nothing,
    a_preview_is_good_once_for_ten_minutes_and_for_its_own_session,
    of_twenty_at_once_one_uses_a_preview,
    what_a_crash_has_interrupted_is_ended_by_the_next_start,
    thousands_end_in_parts_each_once_while_others_go_on,
    a_sealed_session_that_left_the_reach_stays,
    everything_of_a_user_ends_at_once,
    what_is_counted_stays_true_while_rows_follow_an_end,
    everything_of_an_organisation_ends_at_once,
    everything_ends_at_once_for_platform_administrators_only,
);

const PREVIEW: &str = "/api/v1/sessions/end-preview";
const END: &str = "/api/v1/sessions/end";
const END_ALL: &str = "/api/v1/sessions/end-all";

async fn open(app: &TestApp, person: &Person, name: &str) -> (SessionId, Client) {
    let row = NewRow {
        name: name.to_owned(),
        ..NewRow::default()
    };
    let (id, token) = app.open_session(person, row).await;
    (id, app.holding(&token))
}

async fn matching(client: &Client, q: &str) -> Value {
    client
        .post(PREVIEW, json!({ "filter": { "q": q } }))
        .await
        .ok()
}

async fn events_of(admin: &Client, action: &str) -> Vec<Value> {
    let page = admin
        .get(&format!("/api/v1/audit?action={action}&page_size=100"))
        .await
        .ok();
    page["items"].as_array().expect("a list").clone()
}

async fn a_preview_ends_exactly_what_it_has_sealed() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let manager = app.administrator_beside(&nora).await;
    let mut sealed = Vec::new();
    for number in 0..4 {
        sealed.push(open(&app, &nora, &format!("kestrel {number}")).await);
    }
    sealed.push(open(&app, &manager, "kestrel of ada").await);
    let other = open(&app, &nora, "osprey").await;
    let preview = matching(&admin, "KESTREL").await;
    assert_eq!(
        [
            &preview["stage"],
            &preview["sessions"],
            &preview["users"],
            &preview["administrators"]
        ],
        [&json!("preview"), &json!(5), &json!(2), &json!(1)]
    );
    for (_, client) in &sealed {
        assert!(client.is_signed_in().await, "a preview ends nothing");
    }
    let later = open(&app, &nora, "kestrel, later").await;
    sealed[0].1.post("/api/v1/sign-out", json!({})).await.done();
    app.advance(seconds(5));
    let run = admin
        .post(
            END,
            json!({ "preview": preview["id"], "reason": " stolen laptops " }),
        )
        .await
        .ok();
    assert_eq!(
        [
            &run["stage"],
            &run["ended"],
            &run["skipped"],
            &run["reason"]
        ],
        [
            &json!("finished"),
            &json!(4),
            &json!(1),
            &json!("stolen laptops")
        ]
    );
    for (_, client) in &sealed {
        assert!(!client.is_signed_in().await);
    }
    assert!(other.1.is_signed_in().await && later.1.is_signed_in().await);
    let row = admin
        .get(&format!("/api/v1/sessions/{}", sealed[1].0))
        .await
        .ok();
    assert_eq!(row["ended"]["reason"], "ended_by_administrator");
    assert_eq!(row["ended"]["note"], "stolen laptops");
    assert_eq!(row["ended"]["at"], app.now().to_string());
    assert_eq!(row["ended"]["by"]["id"], app.admin().await.id.to_string());
    // Who and why, for each.
    let told: Vec<_> = events_of(&admin, "session.ended")
        .await
        .into_iter()
        .filter(|event| event["detail"] == "ended_by_administrator: stolen laptops")
        .collect();
    assert_eq!(told.len(), 4);
    for event in &told {
        assert_eq!(
            event["actor"]["id"],
            app.admin().await.id.to_string(),
            "{event}"
        );
        assert!(!event["request_id"].as_str().expect("an id").is_empty());
    }
    let progress = admin
        .get(&format!("{END}/{}", preview["id"].as_str().expect("an id")))
        .await
        .ok();
    assert_eq!(progress, run);
}

async fn ticked_sessions_end_and_the_one_in_use_never() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let (first, one) = open(&app, &nora, "one").await;
    let (second, two) = open(&app, &nora, "two").await;
    let own = admin.session_id().await;
    let preview = admin
        .post(PREVIEW, json!({ "ids": [first, own, first] }))
        .await
        .ok();
    assert_eq!([&preview["sessions"], &preview["users"]], [1, 1]);
    admin
        .post(END, json!({ "preview": preview["id"] }))
        .await
        .ok();
    assert!(!one.is_signed_in().await && two.is_signed_in().await);
    assert!(admin.is_signed_in().await);
    // What has ended already is not counted; what nobody knows is not passed over.
    let again = admin
        .post(PREVIEW, json!({ "ids": [first, second] }))
        .await
        .ok();
    assert_eq!(again["sessions"], 1);
    admin
        .post(
            PREVIEW,
            json!({ "ids": [second, crate::support::unknown_id()] }),
        )
        .await
        .problem(404, "not_found");
    let many: Vec<_> = (0..1_001).map(|_| crate::support::unknown_id()).collect();
    for ids in [json!([]), json!(many)] {
        admin
            .post(PREVIEW, json!({ "ids": ids }))
            .await
            .field("ids");
    }
    assert!(two.is_signed_in().await);
}

async fn a_filter_that_is_empty_or_misspelt_ends_nothing() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let (_, client) = open(&app, &nora, "kestrel").await;
    for (body, field) in [
        (json!({}), "filter"),
        (json!({ "filter": {} }), "filter"),
        (json!({ "filter": { "q": "" } }), "filter"),
        (json!({ "filter": { "q": "  " } }), "filter"),
        (json!({ "filter": { "state": "active" } }), "filter"),
        (json!({ "filter": { "colour": "red" } }), "colour"),
        (json!({ "filter": { "kind": "robot" } }), "kind"),
        (json!({ "filter": { "q": "a", "page": "2" } }), "page"),
        (json!({ "filter": { "sort": "name" } }), "sort"),
        (json!({ "filtre": { "q": "a" } }), "filtre"),
        (json!({ "ids": [], "filter": { "q": "a" } }), "ids"),
    ] {
        admin.post(PREVIEW, body).await.field(field);
    }
    let none = matching(&admin, "nobody at all").await;
    assert_eq!([&none["sessions"], &none["users"]], [0, 0]);
    let run = admin.post(END, json!({ "preview": none["id"] })).await.ok();
    assert_eq!(
        [&run["stage"], &run["ended"]],
        [&json!("finished"), &json!(0)]
    );
    for (body, field) in [
        (json!({}), "preview"),
        (json!({ "preview": "x" }), "preview"),
        (
            json!({ "preview": none["id"], "reason": "a".repeat(201) }),
            "reason",
        ),
    ] {
        admin.post(END, body).await.field(field);
    }
    for (body, field) in [
        (json!({}), "scope"),
        (json!({ "scope": "everything" }), "scope"),
        (json!({ "scope": "user" }), "id"),
        (json!({ "scope": "organisation" }), "id"),
        (
            json!({ "scope": "installation", "id": crate::support::unknown_id() }),
            "id",
        ),
    ] {
        admin.post(END_ALL, body).await.field(field);
    }
    assert!(client.is_signed_in().await && admin.is_signed_in().await);
}

async fn a_preview_is_good_once_for_ten_minutes_and_for_its_own_session() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let (_, client) = open(&app, &nora, "kestrel").await;
    let preview = matching(&admin, "kestrel").await;
    let use_it = || json!({ "preview": preview["id"] });
    let path = format!("{END}/{}", preview["id"].as_str().expect("an id"));
    // The same person in another browser.
    let elsewhere = app.browser_of(&app.admin().await).await;
    elsewhere
        .post(END, use_it())
        .await
        .problem(404, "not_found");
    elsewhere.get(&path).await.problem(404, "not_found");
    // A member, who is told nothing, and noted.
    let member = app.browser_of(&nora).await;
    member.post(END, use_it()).await.problem(403, "forbidden");
    let outcomes: Vec<_> = events_of(&admin, "sessions.ended")
        .await
        .into_iter()
        .map(|event| event["outcome"].clone())
        .collect();
    assert_eq!(outcomes, ["not_permitted", "not_found"]);
    app.advance(minutes(10));
    admin
        .post(END, use_it())
        .await
        .problem(409, "preview_spent");
    assert!(client.is_signed_in().await);
    let preview = matching(&admin, "kestrel").await;
    admin
        .post(END, json!({ "preview": preview["id"] }))
        .await
        .ok();
    admin
        .post(END, json!({ "preview": preview["id"] }))
        .await
        .problem(409, "preview_spent");
}

async fn of_twenty_at_once_one_uses_a_preview() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    for number in 0..6 {
        open(&app, &nora, &format!("kestrel {number}")).await;
    }
    let preview = matching(&admin, "kestrel").await;
    let body = json!({ "preview": preview["id"] });
    let answers = join_all((0..20).map(|_| async { admin.post(END, body.clone()).await })).await;
    let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses[0], 200);
    assert!(
        statuses[1..].iter().all(|status| *status == 409),
        "{statuses:?}"
    );
    assert_eq!(events_of(&admin, "session.ended").await.len(), 6);
}

async fn what_a_crash_has_interrupted_is_ended_by_the_next_start() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let mut sessions = Vec::new();
    for number in 0..9 {
        sessions.push(open(&app, &nora, &format!("kestrel {number}")).await);
    }
    let preview = matching(&admin, "kestrel").await;
    app.stop().await;
    // As a server leaves it that dies when a part is done and the one before is not.
    app.sql(format!(
        "UPDATE end_preview SET started_at = {}, reason = 'stolen', done = 3, ended = 3",
        app.now().0
    ))
    .await;
    app.sql("DELETE FROM end_preview_item WHERE place BETWEEN 4 AND 6")
        .await;
    for (id, _) in &sessions[3..6] {
        app.store_end(*id, rollcall_core::EndReason::EndedByAdministrator)
            .await;
    }
    app.start_again().await;
    app.service().continue_ends().await.expect("it goes on");
    for (_, client) in &sessions {
        assert!(!client.is_signed_in().await);
    }
    let path = format!("{END}/{}", preview["id"].as_str().expect("an id"));
    let run = admin.get(&path).await.ok();
    assert_eq!(
        [&run["stage"], &run["ended"], &run["skipped"]],
        [&json!("finished"), &json!(9), &json!(0)]
    );
    let told = events_of(&admin, "session.ended").await;
    assert_eq!(
        told.iter()
            .filter(|event| event["detail"] == "ended_by_administrator: stolen")
            .count(),
        6
    );
}

async fn thousands_end_in_parts_each_once_while_others_go_on() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let (nora, max) = (app.member().await, app.stranger().await);
    // Three parts, of two organisations.
    let rows = |name: &str| {
        vec![
            NewRow {
                name: name.to_owned(),
                ..NewRow::default()
            };
            1_100
        ]
    };
    let mut sealed = app.open_sessions(&nora, rows("kestrel")).await;
    sealed.extend(app.open_sessions(&max, rows("kestrel")).await);
    let preview = matching(&admin, "kestrel").await;
    assert_eq!(preview["sessions"], 2_200);
    let late = open(&app, &nora, "kestrel too late").await;
    // Meanwhile some end by themselves, in the middle of a part, and others come.
    let (by_hand, run) = tokio::join!(
        async {
            let mut by_hand = 0;
            for id in sealed.iter().step_by(220) {
                let path = format!("/api/v1/sessions/{id}");
                let answer = admin.ask(http::Method::DELETE, &path).await;
                assert!([204, 409].contains(&answer.status), "{}", answer.text());
                by_hand += u64::from(answer.status == 204);
                open(&app, &max, "osprey").await;
            }
            by_hand
        },
        async {
            admin
                .post(END, json!({ "preview": preview["id"] }))
                .await
                .ok()
        }
    );
    assert_eq!(run["stage"], "finished", "{run}");
    assert_eq!(run["ended"], 2_200 - by_hand, "{run}");
    assert_eq!(run["skipped"], by_hand, "{run}");
    assert!(late.1.is_signed_in().await);
    let left = admin.get("/api/v1/sessions/stats").await.ok();
    // The administrator's, the late one, and those that came.
    assert_eq!(left["active"], 1 + 1 + 10, "{left}");
    let events = admin
        .get("/api/v1/audit?action=session.ended&outcome=success&page_size=1")
        .await
        .ok();
    assert_eq!(events["total"], 2_200, "{events}");
}

async fn a_sealed_session_that_left_the_reach_stays() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let ada = app.administrator_beside(&nora).await;
    let eve = app.stranger().await;
    let (mine, mine_client) = open(&app, &nora, "kestrel").await;
    let (_, foreign_client) = open(&app, &eve, "kestrel").await;
    let admin = app.browser_of(&ada).await;
    let preview = matching(&admin, "kestrel").await;
    assert_eq!(preview["sessions"], 1, "nothing foreign is counted");
    // Sealed by mistake or by malice: it is foreign all the same.
    app.sql("UPDATE end_preview SET sessions = 2".to_owned())
        .await;
    app.sql(
        "INSERT INTO end_preview_item (preview_id, place, session_id)
         SELECT p.id, 2, s.id FROM end_preview p, session s WHERE s.email = 'eve@globex.test'"
            .to_owned(),
    )
    .await;
    let run = admin
        .post(END, json!({ "preview": preview["id"] }))
        .await
        .ok();
    assert_eq!([&run["ended"], &run["skipped"]], [1, 1]);
    assert!(!mine_client.is_signed_in().await && foreign_client.is_signed_in().await);
    assert!(app.stored(mine).await.ended.is_some());
}

async fn everything_of_a_user_ends_at_once() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let mut sessions = Vec::new();
    for number in 0..5 {
        sessions.push(open(&app, &nora, &format!("kestrel {number}")).await);
    }
    let max = app
        .user(nora.organisation, BuiltInRole::Member, "max@acme.test")
        .await;
    let (_, other) = open(&app, &max, "kestrel").await;
    let body = json!({ "scope": "user", "id": nora.id, "reason": "left" });
    assert_eq!(
        admin.post(END_ALL, body).await.ok(),
        json!({ "ended": 5, "signed_out": false })
    );
    for (_, client) in &sessions {
        assert!(!client.is_signed_in().await);
    }
    assert!(other.is_signed_in().await);
    let stats = admin.get("/api/v1/sessions/stats").await.ok();
    assert_eq!(stats["active"], 2, "the other one and the administrator's");
    app.service().sweep().await.expect("a sweep");
    let row = admin
        .get(&format!("/api/v1/sessions/{}", sessions[0].0))
        .await
        .ok();
    assert_eq!(
        [
            &row["ended"]["reason"],
            &row["ended"]["note"],
            &row["ended"]["by"]["id"]
        ],
        [
            &json!("ended_by_administrator"),
            &json!("left"),
            &json!(app.admin().await.id)
        ]
    );
    let events = events_of(&admin, "sessions.ended").await;
    assert_eq!(
        events[0]["detail"],
        "ended_by_administrator: 5 sessions: left"
    );
    assert_eq!(events[0]["target"]["email"], nora.email);
    app.advance(seconds(1));
    assert!(app.browser_of(&nora).await.is_signed_in().await);
}

// Cards and lists ask several statements. Were they of several moments, a sweep between two of them would be counted
// twice, or not at all.
async fn what_is_counted_stays_true_while_rows_follow_an_end() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let user = format!("/api/v1/users?q={}", nora.email);
    for _ in 0..25 {
        app.advance(seconds(1));
        let rows = (0..20).map(|_| NewRow::default()).collect();
        app.open_sessions(&nora, rows).await;
        let body = json!({ "scope": "user", "id": nora.id });
        admin.post(END_ALL, body).await.ok();
        // The server sweeps by itself just now.
        let asked = (0..6).map(|_| async {
            tokio::join!(
                admin.get("/api/v1/sessions/stats"),
                admin.get("/api/v1/sessions?state=active"),
                admin.get("/api/v1/sessions/count?state=active"),
                admin.get(&user),
            )
        });
        for (stats, list, count, users) in join_all(asked).await {
            assert_eq!(stats.ok()["active"], 1);
            let list = list.ok();
            assert_eq!(list["total"], 1);
            assert_eq!(list["items"].as_array().map(Vec::len), Some(1));
            assert_eq!(count.ok()["total"], 1);
            assert_eq!(users.ok()["items"][0]["open_sessions"], 0);
        }
    }
}

async fn everything_of_an_organisation_ends_at_once() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let ada = app.administrator_beside(&nora).await;
    let eve = app.stranger().await;
    let globex = eve.organisation;
    let (_, own) = open(&app, &nora, "kestrel").await;
    let (_, foreign) = open(&app, &eve, "kestrel").await;
    let manager = app.browser_of(&ada).await;
    manager
        .post(END_ALL, json!({ "scope": "organisation", "id": globex }))
        .await
        .problem(404, "not_found");
    let answer = manager
        .post(
            END_ALL,
            json!({ "scope": "organisation", "id": nora.organisation }),
        )
        .await;
    assert_eq!(answer.ok(), json!({ "ended": 2, "signed_out": true }));
    assert!(answer.expires_cookie());
    assert!(!own.is_signed_in().await && !manager.is_signed_in().await);
    assert!(foreign.is_signed_in().await && admin.is_signed_in().await);
}

async fn everything_ends_at_once_for_platform_administrators_only() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let ada = app.administrator_beside(&nora).await;
    let (_, client) = open(&app, &nora, "kestrel").await;
    let manager = app.browser_of(&ada).await;
    manager
        .post(END_ALL, json!({ "scope": "installation" }))
        .await
        .problem(403, "forbidden");
    assert!(client.is_signed_in().await);
    let answer = admin
        .post(END_ALL, json!({ "scope": "installation" }))
        .await
        .ok();
    assert_eq!(answer, json!({ "ended": 3, "signed_out": true }));
    for client in [&client, &manager, &admin] {
        assert!(!client.is_signed_in().await);
    }
    app.advance(seconds(1));
    let again = app.browser_of(&app.admin().await).await;
    let stats = again.get("/api/v1/sessions/stats").await.ok();
    assert_eq!(stats["active"], 1);
}
