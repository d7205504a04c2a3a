//! The two calls of Rediacc's console.

use std::collections::BTreeSet;

use futures_util::StreamExt;
use rollcall_core::{BuiltInRole, EndReason};
use serde_json::{Value, json};

use crate::support::{NewRow, TestApp, minutes};

both_databases!(
    a_record_has_exactly_these_fields,
    everything_is_one_array_newest_first,
    pages_are_linked,
    a_page_that_no_list_has_is_not_for_everybody,
    a_stream_ends_with_the_session_that_asked_for_it,
    a_session_is_ended_once,
    one_ends_ones_own,
);

fn ids(list: &Value) -> Vec<String> {
    let rows = list.as_array().expect("a bare array");
    rows.iter()
        .map(|row| row["requestId"].as_str().expect("an id").to_owned())
        .collect()
}

async fn a_record_has_exactly_these_fields() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let boss = app
        .user(
            nora.organisation,
            BuiltInRole::SessionManager,
            "boss@acme.test",
        )
        .await;
    let (id, _) = app
        .open_session(
            &nora,
            NewRow {
                name: "Kestrel".into(),
                ip: "2001:db8::7".into(),
                ..NewRow::default()
            },
        )
        .await;
    app.advance(minutes(5));
    let boss = app.program_of(&boss).await;
    let answer = boss.get("/api/UserRequests").await;
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let list = answer.ok();
    assert_eq!(
        list[1],
        json!({
            "requestId": id,
            "userEmail": "nora@acme.test",
            "sessionName": "Kestrel",
            "ipAddress": "2001:db8::7",
            "userAgent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
            "isActive": true,
            "createdAt": "2026-11-22T09:00:00.000000Z",
            "lastActivity": "2026-11-22T09:00:00.000000Z",
        })
    );
    app.advance(minutes(26));
    assert_eq!(
        boss.get("/api/UserRequests").await.ok()[1]["isActive"],
        false,
        "it has expired"
    );
}

async fn everything_is_one_array_newest_first() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    // More than two batches, several of one moment.
    let mut expected = vec![admin.session_id().await.to_string()];
    for index in 0..1_100 {
        if index % 3 == 0 {
            app.advance(std::time::Duration::from_millis(1));
        }
        let (id, _) = app.open_session(&nora, NewRow::default()).await;
        if index % 50 == 0 {
            app.store_end(id, EndReason::SignedOut).await;
        }
        expected.push(id.to_string());
    }
    let answer = admin.get("/api/UserRequests").await;
    let list = answer.ok();
    assert_eq!(answer.header("link"), None);
    let found = ids(&list);
    assert_eq!(found.len(), 1_101);
    assert_eq!(
        found.iter().collect::<BTreeSet<_>>(),
        expected.iter().collect::<BTreeSet<_>>(),
        "each once"
    );
    let created: Vec<_> = list
        .as_array()
        .expect("a list")
        .iter()
        .map(|row| (row["createdAt"].to_string(), row["requestId"].to_string()))
        .collect();
    assert!(
        created.is_sorted_by(|one, other| one > other),
        "newest first"
    );
    assert_eq!(
        list.as_array()
            .expect("a list")
            .iter()
            .filter(|row| row["isActive"] == false)
            .count(),
        22
    );
    // The same rows in pages, over their links.
    let mut paged = Vec::new();
    let mut next = Some("/api/UserRequests?page_size=300".to_owned());
    while let Some(path) = next {
        let answer = admin.get(&path).await;
        paged.extend(ids(&answer.ok()));
        next = answer.header("link").map(|link| {
            link.trim_start_matches('<')
                .split('>')
                .next()
                .expect("an address")
                .to_owned()
        });
    }
    assert_eq!(paged, found);
}

async fn pages_are_linked() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    for _ in 0..6 {
        app.open_session(&nora, NewRow::default()).await;
    }
    let first = admin.get("/api/UserRequests?page_size=3").await;
    assert_eq!(ids(&first.ok()).len(), 3);
    assert_eq!(
        first.header("link"),
        Some("</api/UserRequests?page=2&page_size=3>; rel=\"next\"")
    );
    let last = admin.get("/api/UserRequests?page=3&page_size=3").await;
    assert_eq!((ids(&last.ok()).len(), last.header("link")), (1, None));
    // A last page that is full has no next one.
    assert_eq!(
        admin
            .get("/api/UserRequests?page=1&page_size=7")
            .await
            .header("link"),
        None
    );
    assert_eq!(admin.get("/api/UserRequests?page=9").await.ok(), json!([]));
    for (query, field) in [
        ("page=0", "page"),
        ("page_size=1001", "page_size"),
        ("page_size=0", "page_size"),
        ("q=a", "q"),
        ("page=1&page=2", "page"),
    ] {
        admin
            .get(&format!("/api/UserRequests?{query}"))
            .await
            .field(field);
    }
}

async fn a_page_that_no_list_has_is_not_for_everybody() {
    let (app, anon, admin) = TestApp::start().with_admin().await;
    let member = app.browser_of(&app.member().await).await;
    for query in [
        "page=10000000",
        "page=10000000&page_size=1000",
        "page=6543961&page_size=378",
    ] {
        let path = format!("/api/UserRequests?{query}");
        anon.get(&path).await.problem(401, "unauthenticated");
        member.get(&path).await.problem(403, "forbidden");
        assert_eq!(admin.get(&path).await.ok(), json!([]));
    }
}

async fn a_stream_ends_with_the_session_that_asked_for_it() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    for _ in 0..1_100 {
        app.open_session(&nora, NewRow::default()).await;
    }
    let id = admin.session_id().await;
    let mut parts = admin.get("/api/UserRequests").stream().await;
    let first = parts.next().await.expect("a part").expect("a first part");
    assert!(first.starts_with(b"[{"));
    let other = app.browser_of(&app.admin().await).await;
    other.delete(&format!("/api/v1/sessions/{id}")).await.done();
    // Cut, not closed: what came so far must not look like the whole.
    assert!(parts.next().await.expect("an end").is_err());
}

async fn a_session_is_ended_once() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let program = app.program_of(&nora).await;
    let id = program.session_id().await;
    admin.delete(&format!("/api/UserRequest/{id}")).await.done();
    assert!(!program.is_signed_in().await);
    admin
        .delete(&format!("/api/UserRequest/{id}"))
        .await
        .problem(409, "session_not_active");
    admin
        .delete(&format!(
            "/api/UserRequest/{}",
            crate::support::unknown_id()
        ))
        .await
        .problem(404, "not_found");
    let audit = admin.get(&format!("/api/v1/audit?session={id}")).await.ok();
    let outcomes: Vec<_> = audit["items"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|event| event["outcome"].clone())
        .collect();
    assert_eq!(outcomes, ["already_ended", "success"]);
    let rows = admin.get("/api/UserRequests").await.ok();
    let row = rows
        .as_array()
        .expect("a list")
        .iter()
        .find(|row| row["requestId"] == json!(id))
        .expect("it is kept")
        .clone();
    assert_eq!(row["isActive"], false);
}

async fn one_ends_ones_own() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let browser = app.browser_of(&nora).await;
    let id = browser.session_id().await;
    let answer = browser.delete(&format!("/api/UserRequest/{id}")).await;
    answer.done();
    assert!(answer.expires_cookie());
    browser
        .get("/api/UserRequests")
        .await
        .problem(401, "unauthenticated");
}
