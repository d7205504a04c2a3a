//! Acts that the database refuses, and faults of our own: never a success that is none, never an act
//! without its event, and the server goes on.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::Method;
use rollcall_core::{AuditAction, AuditOutcome, EndReason, SessionId};
use rollcall_server::clock::{OsRandom, Random, uuid_v7};
use rollcall_server::db;
use serde_json::json;

use crate::support::{
    Answer, Client, DatabaseKind, NewRow, PASSWORD, Person, TestApp, hours, kind, minutes,
};

both_databases!(
    no_act_reports_a_success_that_the_database_refused,
    a_lock_that_could_not_be_stored_opens_nothing,
    what_happened_and_what_is_written_down_agree,
    a_panic_is_an_error_and_the_server_goes_on,
    the_reaper_removes_the_dead_alone,
);

const NEW: &str = "nine loud geese before dawn";

/// Makes the database refuse a write, until `allow`.
async fn refuse(app: &TestApp, event: &str, table: &str, when: &str) {
    let statement = match kind() {
        DatabaseKind::Sqlite => format!(
            "CREATE TRIGGER stop BEFORE {event} ON {table} WHEN {when} BEGIN SELECT RAISE(ABORT, 'stop'); END"
        ),
        DatabaseKind::Postgres => format!(
            "CREATE OR REPLACE FUNCTION stop() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''stop''; END'; \
             CREATE TRIGGER stop BEFORE {event} ON {table} FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION stop()"
        ),
    };
    app.sql(statement).await;
}

async fn allow(app: &TestApp, table: &str) {
    app.sql(match kind() {
        DatabaseKind::Sqlite => "DROP TRIGGER stop".to_owned(),
        DatabaseKind::Postgres => format!("DROP TRIGGER stop ON {table}"),
    })
    .await;
}

/// Every way to end sessions of this person: by the administrator, and by the person at `own`.
async fn every_end(
    app: &TestApp,
    admin: &Client,
    person: &Person,
    victim: SessionId,
    own: &str,
) -> Vec<(String, Answer)> {
    let mut answers = Vec::new();
    for path in [
        format!("/api/v1/sessions/{victim}"),
        format!("/api/UserRequest/{victim}"),
        format!("/api/v1/users/{}/sessions", person.id),
    ] {
        answers.push((path.clone(), admin.delete(&path).await));
    }
    let (id, user) = (victim.to_string(), person.id.to_string());
    let rpc = async |client: &Client, function: &str, fields: &[(&str, &str)], accept: &str| {
        let ask = client.ask(Method::POST, &format!("/rpc/{function}"));
        let ask = ask.header("referer", "http://localhost:8080/account/sessions");
        let answer = ask.header("accept", accept).form(fields).await;
        (format!("{function} {accept}"), answer)
    };
    for accept in ["application/json", "text/html"] {
        answers.push(
            rpc(
                admin,
                "end_session",
                &[("session", &id), ("go", "true")],
                accept,
            )
            .await,
        );
        answers.push(rpc(admin, "end_user_sessions", &[("user", &user)], accept).await);
    }
    let owner = || {
        let owner = app.browser();
        owner.hold(own);
        owner
    };
    for path in [
        format!("/api/v1/me/sessions/{victim}"),
        "/api/v1/me/sessions?except=current".to_owned(),
        "/api/v1/me/sessions".to_owned(),
    ] {
        answers.push((path.clone(), owner().delete(&path).await));
    }
    answers.push((
        "sign-out".to_owned(),
        owner().ask(Method::POST, "/api/v1/sign-out").await,
    ));
    let change = json!({ "current_password": PASSWORD, "new_password": NEW });
    answers.push((
        "password".to_owned(),
        owner().post("/api/v1/me/password", change).await,
    ));
    for accept in ["application/json", "text/html"] {
        answers.push(
            rpc(
                &owner(),
                "end_own_session",
                &[("session", &id), ("go", "true")],
                accept,
            )
            .await,
        );
        answers.push(
            rpc(
                &owner(),
                "end_own_sessions",
                &[("scope", "all"), ("go", "true")],
                accept,
            )
            .await,
        );
        answers.push(rpc(&owner(), "sign_out", &[("go", "true")], accept).await);
    }
    answers
}

async fn no_act_reports_a_success_that_the_database_refused() {
    let (app, anon, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let (victim, token) = app.open_session(&nora, NewRow::default()).await;
    let (_, own) = app.open_session(&nora, NewRow::default()).await;
    for (event, table) in [
        ("UPDATE OF ended_at", "session"),
        // The trail cannot be written: nothing is done that it would not tell of.
        ("INSERT", "audit_event"),
    ] {
        refuse(&app, event, table, "1 = 1").await;
        for (what, answer) in every_end(&app, &admin, &nora, victim, &own).await {
            let what = format!("{table}: {what}");
            assert_eq!(answer.cookies(), Vec::<String>::new(), "{what}");
            assert_eq!(answer.header("clear-site-data"), None, "{what}");
            if what.ends_with("text/html") {
                // A form is sent back with the error in its address, never to where success leads.
                let there = answer.header("location").unwrap_or_default();
                assert!(
                    answer.status == 303 && there.contains("__err="),
                    "{what}: {there}"
                );
            } else {
                assert_eq!(answer.status, 503, "{what}: {}", answer.text());
                assert!(answer.header("retry-after").is_some(), "{what}");
            }
        }
        assert_eq!(app.stored(victim).await.ended, None, "{table}");
        if table == "audit_event" {
            anon.sign_in(&nora).await.problem(503, "unavailable");
            anon.sign_in_as(&nora.email, "a wrong password")
                .await
                .problem(503, "unavailable");
        }
        allow(&app, table).await;
        app.service().probe().await;
        for alive in [&token, &own] {
            assert!(app.holding(alive).is_signed_in().await, "{table}");
        }
        anon.sign_in(&nora).await.ok();
    }
    assert_eq!(app.service().unlock_user(&nora.email).await, Ok(false));
    for (what, answer) in every_end(&app, &admin, &nora, victim, &own)
        .await
        .iter()
        .take(1)
    {
        assert_eq!(answer.status, 204, "{what}: it was the trigger");
    }
}

async fn a_lock_that_could_not_be_stored_opens_nothing() {
    let (app, anon, _) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    for _ in 0..4 {
        let answer = anon.sign_in_as(&nora.email, "a wrong password").await;
        answer.problem(401, "sign_in_failed");
    }
    refuse(
        &app,
        "UPDATE OF locked_at",
        "sign_in_attempt",
        "NEW.locked_at IS NOT NULL",
    )
    .await;
    let answer = anon.sign_in_as(&nora.email, "a wrong password").await;
    answer.problem(503, "unavailable");
    // The five tries are taken, whether the lock is written down or not; each attempt tries to.
    for _ in 0..3 {
        let answer = anon.sign_in(&nora).await;
        answer.problem(503, "unavailable");
    }
    allow(&app, "sign_in_attempt").await;
    anon.sign_in(&nora).await.problem(401, "sign_in_failed");
    app.service()
        .unlock_user(&nora.email)
        .await
        .expect("she exists");
    anon.sign_in(&nora).await.ok();
}

async fn what_happened_and_what_is_written_down_agree() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let mut all = Vec::new();
    for number in 0..24 {
        let (id, token) = app.open_session(&nora, NewRow::default()).await;
        all.push(id);
        if number % 3 == 0 {
            refuse(&app, "INSERT", "audit_event", "NEW.outcome = 'success'").await;
        }
        let answer = match number % 2 {
            0 => admin.delete(&format!("/api/v1/sessions/{id}")).await,
            _ => {
                app.holding(&token)
                    .ask(Method::POST, "/api/v1/sign-out")
                    .await
            }
        };
        let refused = number % 3 == 0;
        assert_eq!(
            answer.status,
            if refused { 503 } else { 204 },
            "{}",
            answer.text()
        );
        if refused {
            allow(&app, "audit_event").await;
        }
    }
    let mut ended = BTreeSet::new();
    for id in &all {
        if app.stored(*id).await.ended.is_some() {
            ended.insert(*id);
        }
    }
    assert_eq!(ended.len(), 16);
    let events = db::audit::list_raw_after(app.side().reader(), 0, 10_000)
        .await
        .expect("the database answers");
    let told: Vec<_> = events
        .iter()
        .map(|event| &event.record)
        .filter(|record| record.action == AuditAction::SessionEnded)
        .filter(|record| record.outcome == AuditOutcome::Success)
        .filter_map(|record| record.session)
        .collect();
    assert_eq!(told.len(), ended.len(), "each once");
    assert_eq!(told.into_iter().collect::<BTreeSet<_>>(), ended);
}

/// Randomness that breaks once when it is told to: a fault in the middle of a request.
#[derive(Default)]
struct Fragile(AtomicBool);

impl Random for Fragile {
    fn fill(&self, bytes: &mut [u8]) {
        assert!(
            !self.0.swap(false, Ordering::SeqCst),
            "select secret_hash from session"
        );
        OsRandom.fill(bytes);
    }
}

async fn a_panic_is_an_error_and_the_server_goes_on() {
    let fragile = Arc::new(Fragile::default());
    let (app, anon, _) = TestApp::start().random(fragile.clone()).with_admin().await;
    let nora = app.member().await;
    let browser = app.browser_of(&nora).await;
    let token = browser.token().expect("a token");
    let sessions = app.rows().await.sessions;
    let form = [
        ("email", nora.email.as_str()),
        ("password", PASSWORD),
        ("go", "true"),
    ];
    let change = json!({ "current_password": PASSWORD, "new_password": NEW });
    for round in 0..4 {
        fragile.0.store(true, Ordering::SeqCst);
        let answer = match round {
            0 => anon.sign_in(&nora).await,
            1 => browser.post("/api/v1/me/password", change.clone()).await,
            2 => {
                let ask = anon.ask(Method::POST, "/rpc/sign_in");
                ask.header("accept", "application/json").form(&form).await
            }
            _ => {
                let ask = anon.ask(Method::POST, "/rpc/sign_in");
                ask.header("accept", "text/html").form(&form).await
            }
        };
        assert!(!fragile.0.load(Ordering::SeqCst), "{round}: nothing broke");
        assert_eq!(answer.status, 500, "{round}: {}", answer.text());
        if round < 2 {
            answer.problem(500, "internal");
        }
        assert!(!answer.text().contains("secret_hash") && !answer.text().contains(".rs"));
        assert!(answer.header("content-security-policy").is_some());
        assert_eq!(answer.cookies(), Vec::<String>::new());
        // Nothing is stuck and nothing was done.
        anon.get("/healthz").await.ok();
        anon.get("/readyz").await.ok();
        assert_eq!(app.rows().await.sessions, sessions + round);
        assert!(app.holding(&token).is_signed_in().await);
        let again = app.browser();
        again.sign_in(&nora).await.ok();
        assert!(again.is_signed_in().await);
    }
}

async fn the_reaper_removes_the_dead_alone() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let (first, _) = app.open_session(&nora, NewRow::default()).await;
    let pattern = app.stored(first).await;
    // Several batches of the sweep, and more than one of the purge.
    let dead: Vec<_> = (0_u64..1_200)
        .map(|_| {
            let mut copy = pattern.clone();
            copy.id = SessionId(uuid_v7(&OsRandom, app.now()));
            OsRandom.fill(&mut copy.lineage_hash);
            copy
        })
        .collect();
    let email = nora.email.clone();
    app.side()
        .write(move |tx| {
            Box::pin(async move {
                for record in &dead {
                    db::sessions::insert(tx, record, &email).await?;
                }
                Ok(())
            })
        })
        .await
        .expect("they are new");
    app.advance(hours(1));
    let mut live = Vec::new();
    for _ in 0..20 {
        let (id, token) = app.open_session(&nora, NewRow::default()).await;
        live.push((id, app.holding(&token)));
    }
    let service = app.service();
    let sweep = tokio::spawn(async move { service.sweep().await });
    // Checking goes on while it works, and finds everybody alive.
    for (_, program) in live.iter().cycle().take(200) {
        assert!(program.is_signed_in().await);
    }
    // The first, its copies and the administrator's.
    assert_eq!(sweep.await.expect("no panic"), Ok(1_202));
    let reason = |ended: Option<(_, EndReason)>| ended.map(|(_, reason)| reason);
    assert_eq!(
        reason(app.stored(first).await.ended),
        Some(EndReason::IdleTimeout)
    );
    for (id, program) in &live {
        assert_eq!(app.stored(*id).await.ended, None);
        assert!(program.is_signed_in().await);
    }
    assert_eq!(app.service().purge().await, Ok(0), "none is old enough");
    app.advance(hours(24 * 90) - minutes(29));
    let (kept, token) = app.open_session(&nora, NewRow::default()).await;
    assert_eq!(app.service().purge().await, Ok(1_202));
    assert_eq!(app.stored(kept).await.ended, None);
    assert!(app.holding(&token).is_signed_in().await);
    // Those that lived then have expired since, and are kept for their ninety days.
    assert_eq!(app.rows().await.sessions, 21);
}
