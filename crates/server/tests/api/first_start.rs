//! The first start, and what it prints.

use serde_json::json;

use crate::support::{PASSWORD, TestApp, minutes};

both_databases!(
    each_start_prints_a_new_password_until_it_has_been_used,
    a_named_administrator_need_not_change_the_password,
    two_installations_share_nothing,
    a_second_server_is_refused_in_words,
);

async fn each_start_prints_a_new_password_until_it_has_been_used() {
    let app = TestApp::start().fresh().await;
    let (email, first) = app.printed().expect("a password");
    app.restart().await;
    let (same, second) = app.printed().expect("a password");
    assert_eq!(email, same);
    assert_ne!(first, second);
    let browser = app.browser();
    browser
        .sign_in_as(&email, &first)
        .await
        .problem(401, "sign_in_failed");
    browser
        .sign_in_as(&email, PASSWORD)
        .await
        .problem(401, "sign_in_failed");
    browser.sign_in_as(&email, &second).await.ok();
    app.restart().await;
    assert_eq!(app.printed(), None, "it has been used");
    browser
        .get("/api/v1/me")
        .await
        .problem(403, "password_change_required");
    app.advance(minutes(1));
    let body = json!({ "current_password": second, "new_password": PASSWORD });
    browser.post("/api/v1/me/password", body).await.done();
    let me = browser.get("/api/v1/me").await.ok();
    assert_eq!(
        (&me["user"]["role"], &me["user"]["organisation"]["name"]),
        (&json!("Platform administrator"), &json!("Default"))
    );
    app.restart().await;
    assert_eq!(app.printed(), None);
    assert!(browser.is_signed_in().await);
}

async fn a_named_administrator_need_not_change_the_password() {
    let (app, anon, _) = TestApp::start().with_admin().await;
    assert_eq!(app.printed(), None);
    anon.sign_in_as(TestApp::ADMIN, PASSWORD).await.ok();
    // Named again at each start, and nothing comes of it once there is an administrator.
    app.restart().await;
    anon.sign_in_as(TestApp::ADMIN, PASSWORD).await.ok();
}

async fn two_installations_share_nothing() {
    let (one, other) = (
        TestApp::start().fresh().await,
        TestApp::start().fresh().await,
    );
    assert_ne!(
        one.printed().expect("a password").1,
        other.printed().expect("a password").1
    );
    let keys =
        [&one, &other].map(|app| std::fs::read(app.data_dir().join("audit.key")).expect("a key"));
    assert_ne!(keys[0], keys[1]);
    assert_eq!(keys[0].len(), 32);
}

async fn a_second_server_is_refused_in_words() {
    let app = TestApp::start().fresh().await;
    let refused =
        rollcall_server::db::Database::connect(&app.database_url(), Default::default()).await;
    let words = refused.expect_err("the first one holds it").to_string();
    assert!(words.contains("Rollcall server"), "{words}");
    app.stop().await;
    let taken =
        rollcall_server::db::Database::connect(&app.database_url(), Default::default()).await;
    taken.expect("it is free").close().await;
    app.start_again().await;
}
