//! What is stored changes without the cache's knowledge, as if another program had done it: the copy refuses nobody, lets nobody in
//! whose session a write finds ended, and spares reads all the same.

use rollcall_core::Permission;

use crate::support::{Answer, NewRow, TestApp, minutes};

both_databases!(
    what_a_copy_does_not_know_is_looked_up,
    a_first_use_that_finds_the_session_ended_is_refused,
    a_successor_needs_no_read,
    a_key_is_worth_nothing_without_an_owner_who_may_sign_in,
);

/// A session whose token has just been replaced: the old token and the new one.
async fn rotated(app: &TestApp) -> (String, String) {
    let nora = app.member().await;
    let (_, first) = app.open_session(&nora, NewRow::default()).await;
    let program = app.holding(&first);
    assert!(program.is_signed_in().await);
    app.advance(minutes(5));
    let answer = program.get("/api/v1/me").await;
    answer.ok();
    let second = answer.session_token().expect("it was due");
    (first, second)
}

// Without the token in the client's memory, so that a successor does not take its place there.
async fn present(app: &TestApp, token: &str) -> Answer {
    let bearer = format!("Bearer {token}");
    app.anonymous()
        .get("/api/v1/me")
        .bare()
        .header("authorization", bearer)
        .await
}

/// The row of the one session takes the state that was kept in `table`.
async fn return_to(app: &TestApp, table: &str) {
    for column in ["secret_hash", "generation", "first_used_at"] {
        app.sql(format!(
            "UPDATE session SET {column} = (SELECT {column} FROM {table} WHERE {table}.id = session.id)
             WHERE id IN (SELECT id FROM {table})"
        ))
        .await;
    }
}

const KEEP: &str = "AS SELECT id, secret_hash, generation, first_used_at FROM session";

// As if another server had rotated it: the copy knows the predecessor alone, and refuses nobody by that.
async fn what_a_copy_does_not_know_is_looked_up() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let (_, first) = app.open_session(&nora, NewRow::default()).await;
    present(&app, &first).await.ok();
    app.sql(format!("CREATE TABLE before {KEEP}")).await;
    app.advance(minutes(5));
    let answer = present(&app, &first).await;
    let second = answer.session_token().expect("it was due");
    app.sql(format!("CREATE TABLE since {KEEP}")).await;
    return_to(&app, "before").await;
    let now = app.now().0;
    app.sql(format!(
        "UPDATE session SET first_used_at = {now} WHERE id IN (SELECT id FROM before)"
    ))
    .await;
    app.restart().await;
    let answer = present(&app, &first).await;
    answer.ok();
    assert_eq!(
        answer.session_token(),
        None,
        "not due, and known from here on"
    );
    return_to(&app, "since").await;
    present(&app, &second).await.ok();
}

async fn a_first_use_that_finds_the_session_ended_is_refused() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let (_, second) = rotated(&app).await;
    let now = app.now().0;
    app.sql(format!(
        "UPDATE session SET ended_at = {now}, end_reason = 'ended_by_administrator' WHERE generation = 1"
    ))
    .await;
    app.holding(&second)
        .get("/api/v1/me")
        .await
        .problem(401, "unauthenticated");
}

async fn a_successor_needs_no_read() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let (_, second) = rotated(&app).await;
    app.sql("UPDATE session SET name = 'written by another program'")
        .await;
    let me = app.holding(&second).get("/api/v1/me").await.ok();
    assert_eq!(me["session"]["name"], NewRow::default().name);
}

// Whatever takes an account away revokes its keys; this is what holds if something should forget to.
async fn a_key_is_worth_nothing_without_an_owner_who_may_sign_in() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let ada = app.administrator_beside(&nora).await;
    let (_, secret) = app.api_key(&ada, &[Permission::SessionsView]).await;
    let program = app.holding(&secret);
    let user = "WHERE email LIKE 'ada%'";
    assert!(ada.email.starts_with("ada"), "{}", ada.email);
    for (change, back) in [
        (
            format!("UPDATE \"user\" SET enabled = false {user}"),
            format!("UPDATE \"user\" SET enabled = true {user}"),
        ),
        (
            format!("UPDATE \"user\" SET deleted_at = 1 {user}"),
            format!("UPDATE \"user\" SET deleted_at = NULL {user}"),
        ),
        (
            format!("UPDATE \"user\" SET password_change_required = true {user}"),
            format!("UPDATE \"user\" SET password_change_required = false {user}"),
        ),
        (
            "UPDATE organisation SET enabled = false".to_owned(),
            "UPDATE organisation SET enabled = true".to_owned(),
        ),
    ] {
        program.get("/api/v1/sessions").await.ok();
        app.sql(change.as_str()).await;
        program
            .get("/api/v1/sessions")
            .await
            .problem(401, "unauthenticated");
        app.sql(back).await;
    }
    program.get("/api/v1/sessions").await.ok();
}
