//! What lists take and what they answer.

use rollcall_core::{BuiltInRole, Kind};
use serde_json::json;

use crate::support::{NewRow, TestApp, minutes, redacted, seconds};

both_databases!(
    a_parameter_that_cannot_be_read_is_named,
    a_page_beyond_the_end_is_empty,
    a_session_looks_like_this,
    the_current_session_is_marked_and_comes_first_in_ones_own,
    activity_is_seen_at_once,
    my_sessions_are_mine_alone,
    markup_in_what_people_send_stays_text,
);

async fn a_parameter_that_cannot_be_read_is_named() {
    let (_, _, admin) = TestApp::start().with_admin().await;
    for path in ["/api/v1/sessions", "/api/v1/me/sessions"] {
        for (query, field) in [
            ("page=0", "page"),
            ("page=-1", "page"),
            ("page=x", "page"),
            ("page=99999999999999999999", "page"),
            ("page_size=0", "page_size"),
            ("page_size=101", "page_size"),
            ("page_size=1000000000", "page_size"),
            ("sort=colour", "sort"),
            ("sort=created_at;DROP", "sort"),
            ("state=inactive", "state"),
            ("kind=robot", "kind"),
            ("limit=5", "limit"),
            ("q=a&q=b", "q"),
            ("q=%00", "q"),
            ("q=%FF", "q"),
            (&format!("q={}", "x".repeat(201)), "q"),
        ] {
            admin.get(&format!("{path}?{query}")).await.field(field);
        }
        admin
            .get(&format!(
                "{path}?q={}&page_size=100&page=10000000&sort=-duration&state=ended&kind=api",
                "x".repeat(200)
            ))
            .await
            .ok();
    }
    for (query, field) in [
        ("session=x", "session"),
        ("user=1", "user"),
        ("action=x", "action"),
        ("outcome=x", "outcome"),
        ("q=a", "q"),
        ("page_size=0", "page_size"),
    ] {
        admin
            .get(&format!("/api/v1/audit?{query}"))
            .await
            .field(field);
    }
    for path in ["/api/v1/sessions/stats", "/api/v1/me"] {
        admin.get(&format!("{path}?page=1")).await.field("page");
    }
}

async fn a_page_beyond_the_end_is_empty() {
    let (_, _, admin) = TestApp::start().with_admin().await;
    let page = admin.get("/api/v1/sessions?page=3&page_size=50").await.ok();
    assert_eq!(
        (&page["items"], &page["total"], &page["page"]),
        (&json!([]), &json!(1), &json!(3))
    );
}

async fn a_session_looks_like_this() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let (id, _) = app
        .open_session(
            &nora,
            NewRow {
                ip: "2001:db8::7".into(),
                ..NewRow::default()
            },
        )
        .await;
    app.advance(seconds(90));
    let answer = admin.get("/api/v1/sessions?q=nora").await.ok();
    let one = admin.get(&format!("/api/v1/sessions/{id}")).await.ok();
    assert_eq!(
        answer["items"][0], one,
        "a session reads the same alone and in a list"
    );
    insta::assert_json_snapshot!("sessions", redacted(answer));
    admin
        .delete(&format!("/api/v1/sessions/{id}"))
        .json(&json!({ "reason": "lost" }))
        .await
        .done();
    insta::assert_json_snapshot!(
        "ended",
        redacted(admin.get(&format!("/api/v1/sessions/{id}")).await.ok()["ended"].clone())
    );
    insta::assert_json_snapshot!("stats", admin.get("/api/v1/sessions/stats").await.ok());
    let events = admin.get(&format!("/api/v1/audit?session={id}")).await.ok();
    insta::assert_json_snapshot!("audit", redacted(events));
    let problem = admin
        .get("/api/v1/sessions?page=x")
        .await
        .problem(400, "invalid_field");
    insta::assert_json_snapshot!("problem", redacted(problem));
}

async fn the_current_session_is_marked_and_comes_first_in_ones_own() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let myself = app.admin().await;
    app.advance(minutes(1));
    let mut others = Vec::new();
    for _ in 0..12 {
        others.push(app.program_of(&myself).await);
        app.advance(seconds(1));
    }
    // The longest unused one asks: it comes first, the others by their last use.
    let id = admin.session_id().await;
    assert!(others[4].is_signed_in().await);
    let list = admin.get("/api/v1/me/sessions").await.ok();
    assert_eq!(
        (&list["total"], &list["page_size"]),
        (&json!(13), &json!(10))
    );
    let items = list["items"].as_array().expect("a list");
    assert_eq!(items[0]["id"], json!(id));
    assert_eq!(items[1]["id"], json!(others[4].session_id().await));
    let marked: Vec<_> = items
        .iter()
        .filter(|item| item["current"] == true)
        .collect();
    assert_eq!(marked.len(), 1);
    let used: Vec<_> = items[1..]
        .iter()
        .map(|item| {
            item["last_activity_at"]
                .as_str()
                .expect("a time")
                .to_owned()
        })
        .collect();
    assert!(used.is_sorted_by(|one, other| one >= other), "{used:?}");
    let next = admin.get("/api/v1/me/sessions?page=2").await.ok();
    assert_eq!(next["items"].as_array().map(Vec::len), Some(3));
    let all = admin.get("/api/v1/sessions?page_size=100").await.ok();
    let marked: Vec<_> = all["items"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|item| item["current"] == true)
        .collect();
    assert_eq!((marked.len(), &marked[0]["id"]), (1, &json!(id)));
}

async fn activity_is_seen_at_once() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let program = app.program_of(&nora).await;
    app.advance(minutes(3));
    program
        .get("/api/v1/sessions")
        .await
        .problem(403, "forbidden");
    let used = app.now().to_string();
    app.advance(seconds(10));
    let session = admin.get("/api/v1/sessions?q=nora").await.ok()["items"][0].clone();
    assert_eq!(
        session["last_activity_at"], used,
        "a refused request is activity too"
    );
}

async fn my_sessions_are_mine_alone() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let max = app
        .user(nora.organisation, BuiltInRole::Member, "max@acme.test")
        .await;
    app.program_of(&max).await;
    let mine = admin.get("/api/v1/me/sessions").await.ok();
    assert_eq!(mine["total"], 1, "an administrator's own, too");
    let browser = app.browser_of(&nora).await;
    app.open_session(
        &nora,
        NewRow {
            kind: Kind::Api,
            name: "nightly".into(),
            ..NewRow::default()
        },
    )
    .await;
    for (query, total) in [
        ("", 2),
        ("q=nightly", 1),
        ("kind=console", 1),
        ("state=ended", 0),
        ("q=max", 0),
    ] {
        assert_eq!(
            browser
                .get(&format!("/api/v1/me/sessions?{query}"))
                .await
                .ok()["total"],
            total,
            "{query}"
        );
    }
}

async fn markup_in_what_people_send_stays_text() {
    let (app, anon, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let agent = "<img src=x onerror=alert(1)>\u{fffd}";
    let body = json!({ "email": nora.email, "password": crate::support::PASSWORD, "name": "<script>\"'&" });
    let mut longest = agent.as_bytes().to_vec();
    longest.extend(std::iter::repeat_n(0xff_u8, 600));
    let answer = anon
        .ask(http::Method::POST, "/api/v1/sign-in")
        .json(&body)
        .bare()
        .header("user-agent", &longest)
        .await;
    // Two user agents were sent; the first is the client's own.
    let session = answer.ok()["session"].clone();
    assert_eq!(session["name"], "<script>\"'&");
    let listed = admin.get("/api/v1/sessions?q=%3Cscript%3E").await.ok();
    assert_eq!(listed["items"][0]["name"], "<script>\"'&");
    assert!(session["user_agent"].as_str().expect("text").len() <= 512);
}
