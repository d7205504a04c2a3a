//! Names that owners give their sessions, and what they see of those that have ended.

use http::Method;
use rollcall_core::{BuiltInRole, EndReason};
use serde_json::{Value, json};

use crate::support::{Answer, Client, NewRow, TestApp, minutes};

both_databases!(
    a_renamed_session_is_known_by_its_new_name_everywhere,
    a_name_is_short_and_readable,
    only_ones_own_active_sessions_are_renamed,
    a_renaming_is_written_down,
    the_form_works_without_scripts,
    ones_own_history_tells_when_and_why,
    the_sign_in_page_tells_every_reason_once,
);

async fn rename(client: &Client, id: impl std::fmt::Display, name: &str) -> Answer {
    client
        .ask(Method::PATCH, &format!("/api/v1/me/sessions/{id}"))
        .json(&json!({ "name": name }))
        .await
}

async fn a_renamed_session_is_known_by_its_new_name_everywhere() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let browser = app.browser_of(&nora).await;
    let id = browser.session_id().await;
    let row = NewRow {
        name: "Beta".to_owned(),
        ..NewRow::default()
    };
    let (other, _) = app.open_session(&nora, row).await;
    let renamed = rename(&browser, id, "  Ärger am Kiosk ").await.ok();
    assert_eq!(renamed["name"], "Ärger am Kiosk");
    // What is kept in memory follows.
    assert_eq!(
        browser.get("/api/v1/me").await.ok()["session"]["name"],
        "Ärger am Kiosk"
    );
    assert_eq!(
        browser.get("/api/v1/me/sessions").await.ok()["items"][0]["name"],
        "Ärger am Kiosk"
    );
    let found = async |query: &str| {
        let page = admin.get(&format!("/api/v1/sessions?{query}")).await.ok();
        let items = page["items"].as_array().expect("a list").iter();
        items.map(|row| row["id"].clone()).collect::<Vec<_>>()
    };
    for query in [
        "q=KIOSK",
        "q=%C3%A4rger%20am",
        "q=kiosk&kind=console&state=active&sort=name",
    ] {
        assert_eq!(found(query).await, [json!(id)], "{query}");
    }
    let gone = !found("q=firefox%20on").await.contains(&json!(id));
    assert!(gone, "the old name finds it no more");
    // E-mail and address are found as before, and the order by name follows.
    assert_eq!(
        found("q=nora@acme.test&sort=name").await,
        [json!(other), json!(id)]
    );
    assert!(found("q=203.0.113.7").await.contains(&json!(id)));
    // Once more: the old name is the one that was given.
    rename(&browser, id, "Zoo").await.ok();
    assert_eq!(found("q=kiosk").await, Vec::<Value>::new());
    assert_eq!(found("q=zoo").await, [json!(id)]);
}

async fn a_name_is_short_and_readable() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let browser = app.browser_of(&app.member().await).await;
    let id = browser.session_id().await;
    let longest = "ü".repeat(80);
    assert_eq!(rename(&browser, id, &longest).await.ok()["name"], longest);
    for name in [
        "",
        "   ",
        &"ü".repeat(81),
        "a\u{0}b",
        "a\nb",
        "a\u{7f}",
        "a\u{85}b",
    ] {
        rename(&browser, id, name).await.field("name");
    }
    let path = format!("/api/v1/me/sessions/{id}");
    browser
        .ask(Method::PATCH, &path)
        .json(&json!({}))
        .await
        .field("name");
    browser
        .ask(Method::PATCH, &path)
        .json(&json!({ "name": 5 }))
        .await
        .field("name");
    browser
        .ask(Method::PATCH, &path)
        .json(&json!({ "name": "a", "user_id": id }))
        .await
        .field("user_id");
    assert_eq!(app.stored(id).await.name, longest);
}

async fn only_ones_own_active_sessions_are_renamed() {
    let (app, anon, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let max = app
        .user(nora.organisation, BuiltInRole::Member, "max@acme.test")
        .await;
    let browser = app.browser_of(&nora).await;
    let (foreign, _) = app.open_session(&max, NewRow::default()).await;
    for client in [&browser, &admin] {
        rename(client, foreign, "mine")
            .await
            .problem(404, "not_found");
    }
    rename(&browser, crate::support::unknown_id(), "mine")
        .await
        .problem(404, "not_found");
    rename(&anon, foreign, "mine")
        .await
        .problem(401, "unauthenticated");
    assert_eq!(app.stored(foreign).await.name, "Firefox on Linux");
    let (ended, _) = app.open_session(&nora, NewRow::default()).await;
    app.store_end(ended, EndReason::SignedOut).await;
    rename(&browser, ended, "mine")
        .await
        .problem(409, "session_not_active");
    // One that has expired and is not swept has ended too.
    let (expired, _) = app.open_session(&nora, NewRow::default()).await;
    app.advance(minutes(31));
    let browser = app.browser_of(&nora).await;
    rename(&browser, expired, "mine")
        .await
        .problem(409, "session_not_active");
    assert_eq!(app.stored(expired).await.name, "Firefox on Linux");
}

async fn a_renaming_is_written_down() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let browser = app.browser_of(&nora).await;
    let id = browser.session_id().await;
    rename(&browser, id, "Work laptop").await.ok();
    let (ended, _) = app.open_session(&nora, NewRow::default()).await;
    app.store_end(ended, EndReason::SignedOut).await;
    rename(&browser, ended, "x")
        .await
        .problem(409, "session_not_active");
    rename(&browser, crate::support::unknown_id(), "x")
        .await
        .problem(404, "not_found");
    let page = admin.get("/api/v1/audit?action=session.renamed").await.ok();
    let found: Vec<_> = page["items"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|event| {
            (
                event["outcome"].as_str().expect("a word"),
                event["detail"].as_str(),
                event["target"]["email"].as_str(),
                event["organisation"]["name"].as_str(),
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            ("not_found", None, None, Some("Acme")),
            ("already_ended", None, Some("nora@acme.test"), Some("Acme")),
            (
                "success",
                Some("\"Firefox on Linux\" is now \"Work laptop\""),
                Some("nora@acme.test"),
                Some("Acme")
            ),
        ]
    );
}

async fn the_form_works_without_scripts() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let browser = app.browser_of(&app.member().await).await;
    let id = browser.session_id().await.to_string();
    let path = format!("/account/sessions/{id}/rename");
    let page = browser.get(&path).header("accept", "text/html").await;
    assert!(
        page.text().contains("value=\"Firefox on Linux\""),
        "{}",
        page.text()
    );
    let send = async |name: &str| {
        browser
            .ask(Method::POST, "/rpc/rename_own_session")
            .header("accept", "text/html")
            .header("referer", format!("http://localhost:8080{path}"))
            .form(&[("session", &id), ("go", "true"), ("name", name)])
            .await
    };
    let done = send("Kestrel").await;
    assert_eq!(
        (done.status, done.header("location")),
        (303, Some("/account/sessions"))
    );
    assert!(
        browser
            .get("/account/sessions")
            .header("accept", "text/html")
            .await
            .text()
            .contains("Kestrel")
    );
    let refused = send(&"x".repeat(81)).await;
    assert_eq!(refused.status, 303);
    let there = refused.header("location").expect("an address").to_owned();
    assert!(there.starts_with(&path), "{there}");
    let page = browser.get(&there).header("accept", "text/html").await;
    assert!(
        page.text()
            .contains("Session name may have at most 80 characters."),
        "{}",
        page.text()
    );
    let unknown = browser
        .get(&format!(
            "/account/sessions/{}/rename",
            crate::support::unknown_id()
        ))
        .header("accept", "text/html")
        .await;
    assert_eq!(unknown.status, 404);
}

async fn ones_own_history_tells_when_and_why() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let browser = app.browser_of(&nora).await;
    let empty = browser
        .get("/account/sessions?state=ended")
        .header("accept", "text/html")
        .await;
    assert!(empty.text().contains("None of your sessions has ended yet"));
    for reason in EndReason::ALL {
        let (id, _) = app.open_session(&nora, NewRow::default()).await;
        app.store_end(id, *reason).await;
    }
    let (id, _) = app.open_session(&nora, NewRow::default()).await;
    admin
        .delete(&format!("/api/v1/sessions/{id}"))
        .json(&json!({ "reason": "left it in the library" }))
        .await
        .done();
    let page = browser
        .get("/account/sessions?state=ended&page_size=100")
        .header("accept", "text/html")
        .await;
    let text = page.text();
    for reason in EndReason::ALL {
        assert!(text.contains(&reason.label(1_800)), "{reason:?}");
    }
    assert!(text.contains("left it in the library"));
    // Who lies outside the organisation has no name here.
    assert!(text.contains("by Platform administrator"), "{text}");
    assert!(text.contains("2026-11-22 09:00:00"));
    let listed = browser
        .get("/api/v1/me/sessions?state=ended&page_size=100")
        .await
        .ok();
    assert_eq!(listed["total"], EndReason::ALL.len() + 1);
}

async fn the_sign_in_page_tells_every_reason_once() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    for reason in EndReason::ALL {
        let browser = app.browser_of(&nora).await;
        let id = browser.session_id().await;
        app.store_end(id, *reason).await;
        let (_, token) = app.open_session(&nora, NewRow::default()).await;
        let dead = app.browser();
        dead.hold(&browser.token().expect("a token"));
        // Not known to this server's memory: the row is read anew.
        app.restart().await;
        let page = dead.get("/sign-in").header("accept", "text/html").await;
        let words = reason.explanation().replace('\'', "&#x27;");
        let text = page.text();
        let told = text.contains(reason.explanation()) || text.contains(&words);
        assert!(told, "{reason:?}: {text}");
        assert!(page.expires_cookie(), "{reason:?}");
        let again = dead
            .get("/sign-in")
            .header("accept", "text/html")
            .await
            .text();
        assert!(
            !again.contains(reason.explanation()) && !again.contains(&words),
            "{reason:?}: told once"
        );
        assert!(app.holding(&token).is_signed_in().await, "others live on");
    }
}
