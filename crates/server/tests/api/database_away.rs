//! While the database is away, nobody is signed out and nothing protected is answered.

use rollcall_core::EndReason;
use sea_orm::{ConnectionTrait as _, TransactionTrait as _};
use serde_json::json;

use crate::support::{
    Answer, DatabaseKind, NewRow, PASSWORD, TestApp, as_superuser, kind, minutes,
};

both_databases!(
    nothing_protected_is_answered_while_the_database_is_away,
    a_token_check_without_a_read_closes_too,
    a_refused_rotation_does_not_fail_the_request,
    an_end_that_could_not_be_stored_is_no_end,
    what_was_ended_stays_ended_after_the_database_returns,
    a_slow_database_is_not_taken_for_one_that_is_gone,
    no_number_of_askers_delays_the_probe,
);

// The database goes away and comes back. On SQLite its tables are renamed, which is as far as a test can go
// beneath open connections; on PostgreSQL the connections are cut and no new one is let in.
pub(crate) async fn away(app: &TestApp) {
    match kind() {
        DatabaseKind::Sqlite => app.sql("ALTER TABLE installation RENAME TO elsewhere; ALTER TABLE session RENAME TO session_elsewhere").await,
        DatabaseKind::Postgres => {
            let name = name(app);
            as_superuser(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false")).await;
            as_superuser(&format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")).await;
        }
    }
}

pub(crate) async fn back(app: &TestApp) {
    match kind() {
        DatabaseKind::Sqlite => app.sql("ALTER TABLE elsewhere RENAME TO installation; ALTER TABLE session_elsewhere RENAME TO session").await,
        DatabaseKind::Postgres => as_superuser(&format!("ALTER DATABASE {} ALLOW_CONNECTIONS true", name(app))).await,
    }
}

fn name(app: &TestApp) -> String {
    let url = app.database_url();
    let path = url.rsplit('/').next().expect("a name");
    path.split('?').next().expect("a name").to_owned()
}

#[track_caller]
fn unavailable(answer: &Answer) {
    answer.problem(503, "unavailable");
    let wait: u64 = answer
        .header("retry-after")
        .expect("when to come again")
        .parse()
        .expect("seconds");
    assert!((1..=60).contains(&wait));
    assert_eq!(answer.cookies(), Vec::<String>::new());
}

async fn nothing_protected_is_answered_while_the_database_is_away() {
    let (app, anon, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let (id, _) = app.open_session(&nora, NewRow::default()).await;
    let program = app.program_of(&nora).await;
    let stranger = app.holding(&app.open_session(&nora, NewRow::default()).await.1);
    assert!(admin.is_signed_in().await && program.is_signed_in().await);
    away(&app).await;
    // The probe that runs each second finds out.
    assert!(!app.service().probe().await);
    anon.get("/readyz").await.problem(503, "unavailable");
    anon.get("/healthz").await.ok();
    for client in [&admin, &program, &stranger] {
        for path in [
            "/api/v1/me",
            "/api/v1/me/sessions",
            "/api/v1/sessions",
            "/api/v1/sessions/stats",
            &format!("/api/v1/sessions/{id}"),
            "/api/v1/audit",
            "/api/UserRequests",
        ] {
            unavailable(&client.get(path).await);
        }
        unavailable(&client.delete(&format!("/api/v1/sessions/{id}")).await);
        unavailable(&client.delete("/api/v1/me/sessions").await);
        unavailable(&client.ask(http::Method::POST, "/api/v1/sign-out").await);
    }
    unavailable(&anon.sign_in(&nora).await);
    anon.get("/api/v1/me").await.problem(401, "unauthenticated");
    let page = admin.get("/sessions").header("accept", "text/html").await;
    assert_eq!(page.status, 503, "{}", page.text());
    assert_eq!(page.cookies(), Vec::<String>::new());
    back(&app).await;
    anon.get("/readyz").await.ok();
    assert!(
        admin.is_signed_in().await && program.is_signed_in().await && stranger.is_signed_in().await
    );
    assert_eq!(
        admin.get(&format!("/api/v1/sessions/{id}")).await.ok()["state"],
        "active"
    );
    anon.sign_in(&nora).await.ok();
    assert_eq!(
        admin.get("/api/v1/audit?action=token.reused").await.ok()["total"],
        0
    );
}

async fn a_token_check_without_a_read_closes_too() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let (program, stranger) = (app.program_of(&nora).await, app.program_of(&nora).await);
    assert!(program.is_signed_in().await);
    away(&app).await;
    // This one must be read; when that fails, the cached one is not answered any more either.
    unavailable(&stranger.get("/api/v1/me").await);
    app.service().probe().await;
    unavailable(&program.get("/api/v1/me").await);
    back(&app).await;
    assert!(app.service().probe().await);
    assert!(program.is_signed_in().await && stranger.is_signed_in().await);
}

async fn a_refused_rotation_does_not_fail_the_request() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let program = app.program_of(&nora).await;
    let id = program.session_id().await;
    let token = program.token();
    app.advance(minutes(6));
    // The table cannot be written; reading goes on.
    let (refuse, allow) = match kind() {
        DatabaseKind::Sqlite => (
            "CREATE TRIGGER stop BEFORE UPDATE OF generation ON session BEGIN SELECT RAISE(ABORT, 'stop'); END",
            "DROP TRIGGER stop",
        ),
        DatabaseKind::Postgres => (
            "CREATE FUNCTION stop() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''stop''; END'; \
             CREATE TRIGGER stop BEFORE UPDATE OF generation ON session FOR EACH ROW EXECUTE FUNCTION stop()",
            "DROP TRIGGER stop ON session",
        ),
    };
    app.sql(refuse).await;
    for _ in 0..3 {
        program.get("/api/v1/me").await.ok();
        assert_eq!(program.token(), token, "no token in the answer");
    }
    assert_eq!(app.stored(id).await.generation, 0);
    app.sql(allow).await;
    program.get("/api/v1/me").await.ok();
    assert_ne!(program.token(), token);
    assert_eq!(app.stored(id).await.generation, 1);
}

async fn an_end_that_could_not_be_stored_is_no_end() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let program = app.program_of(&nora).await;
    let id = program.session_id().await;
    let token = program.token().expect("a token");
    let (refuse, allow) = match kind() {
        DatabaseKind::Sqlite => (
            "CREATE TRIGGER stop BEFORE UPDATE OF ended_at ON session BEGIN SELECT RAISE(ABORT, 'stop'); END",
            "DROP TRIGGER stop",
        ),
        DatabaseKind::Postgres => (
            "CREATE FUNCTION stop() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''stop''; END'; \
             CREATE TRIGGER stop BEFORE UPDATE OF ended_at ON session FOR EACH ROW EXECUTE FUNCTION stop()",
            "DROP TRIGGER stop ON session",
        ),
    };
    app.sql(refuse).await;
    unavailable(&admin.delete(&format!("/api/v1/sessions/{id}")).await);
    unavailable(
        &admin
            .delete(&format!("/api/v1/users/{}/sessions", nora.id))
            .await,
    );
    unavailable(&program.ask(http::Method::POST, "/api/v1/sign-out").await);
    let change =
        json!({ "current_password": PASSWORD, "new_password": "nine loud geese before dawn" });
    app.program_of(&nora).await;
    unavailable(&program.post("/api/v1/me/password", change).await);
    assert!(
        app.holding(&token).is_signed_in().await,
        "nothing was changed"
    );
    let events = admin.get(&format!("/api/v1/audit?session={id}")).await.ok();
    assert_eq!(
        (&events["total"], &events["items"][0]["outcome"]),
        (&json!(1), &json!("failed")),
        "{events}"
    );
    let (target, told) = (&events["items"][0]["target"], &events["items"][0]);
    assert_eq!(
        [&target["id"], &target["email"], &target["name"]],
        [&json!(nora.id), &json!(nora.email), &json!(nora.name)],
        "{told}"
    );
    // The attempt is the administrator's organisation's.
    assert_eq!(told["organisation"]["name"], "Default", "{told}");
    app.sql(allow).await;
    admin.delete(&format!("/api/v1/sessions/{id}")).await.done();
    assert!(!app.holding(&token).is_signed_in().await);
}

async fn what_was_ended_stays_ended_after_the_database_returns() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let program = app.program_of(&nora).await;
    let id = program.session_id().await;
    admin.delete(&format!("/api/v1/sessions/{id}")).await.done();
    away(&app).await;
    app.service().probe().await;
    unavailable(&program.get("/api/v1/me").await);
    back(&app).await;
    assert!(app.service().probe().await);
    assert!(!program.is_signed_in().await);
    assert_eq!(
        app.stored(id).await.ended.map(|(_, reason)| reason),
        Some(EndReason::EndedByAdministrator)
    );
}

async fn a_slow_database_is_not_taken_for_one_that_is_gone() {
    // Whoever reads SQLite never waits for another.
    if kind() == DatabaseKind::Sqlite {
        return;
    }
    let (app, anon, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    assert!(admin.is_signed_in().await);
    let other = sea_orm::Database::connect(app.database_url())
        .await
        .expect("the database takes another connection");
    let holding = other.begin().await.expect("a transaction");
    holding
        .execute_unprepared("LOCK TABLE installation IN ACCESS EXCLUSIVE MODE")
        .await
        .expect("nobody else holds it");
    let service = app.service().clone();
    let probe = tokio::spawn(async move { service.probe().await });
    let waiting =
        "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'installation'::regclass";
    let waiting = sea_orm::Statement::from_string(sea_orm::DbBackend::Postgres, waiting);
    while holding
        .query_one_raw(waiting.clone())
        .await
        .expect("locks can be asked for")
        .is_none()
    {}
    // A commit while the probe waits is an answer, too.
    anon.sign_in_as(&nora.email, "a wrong password")
        .await
        .problem(401, "sign_in_failed");
    assert!(probe.await.expect("the probe does not panic"));
    assert!(admin.is_signed_in().await);
    // Silence is none.
    assert!(!app.service().probe().await);
    unavailable(&admin.get("/api/v1/me").await);
    holding.rollback().await.expect("it lets go");
    anon.get("/readyz").await.ok();
    assert!(admin.is_signed_in().await);
}

async fn no_number_of_askers_delays_the_probe() {
    let (app, anon, admin) = TestApp::start().with_admin().await;
    let asking = (0..500).map(|_| anon.get("/readyz").into_future());
    for answer in futures_util::future::join_all(asking).await {
        answer.ok();
    }
    away(&app).await;
    let asking = (0..500).map(|_| anon.get("/readyz").into_future());
    for answer in futures_util::future::join_all(asking).await {
        answer.problem(503, "unavailable");
    }
    unavailable(&admin.get("/api/v1/me").await);
}
