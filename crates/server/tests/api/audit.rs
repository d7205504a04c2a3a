//! The audit trail: every act once, chained, never changed.

use rollcall_core::BuiltInRole;
use rollcall_server::db;
use rollcall_server::service::audit::chain;
use serde_json::{Value, json};

use crate::support::{NewRow, PASSWORD, TestApp, minutes, seconds};

both_databases!(
    a_scripted_day_leaves_exactly_these_events,
    an_event_says_who_what_when_and_where,
    the_chain_can_be_recomputed,
    nothing_that_is_written_can_be_changed,
    events_are_chained_in_any_storm,
    the_end_of_the_trail_is_noted_beside_its_key,
    what_is_not_written_down_does_not_happen,
);

async fn a_scripted_day_leaves_exactly_these_events() {
    let (app, anon, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let max = app
        .user(nora.organisation, BuiltInRole::Member, "max@acme.test")
        .await;
    let mut expected: Vec<(&str, &str, Value)> = vec![(
        "user.created",
        "success",
        json!("role platform_administrator"),
    )];
    let browser = app.browser();

    anon.sign_in_as("nobody@acme.test", PASSWORD)
        .await
        .problem(401, "sign_in_failed");
    expected.push((
        "sign_in",
        "wrong_password",
        json!("unknown name nobody@acme.test"),
    ));
    browser
        .sign_in_as(&nora.email, "a wrong password")
        .await
        .problem(401, "sign_in_failed");
    expected.push(("sign_in", "wrong_password", Value::Null));
    browser.sign_in(&nora).await.ok();
    expected.extend([
        ("sign_in", "success", Value::Null),
        ("session.created", "success", json!("console")),
    ]);
    app.advance(seconds(1));
    browser.sign_in(&nora).await.ok();
    expected.extend([
        ("sign_in", "success", Value::Null),
        ("session.created", "success", json!("console")),
        ("session.ended", "success", json!("replaced")),
    ]);

    // Rotation, reading and activity leave nothing; theft does.
    let stolen = browser.token().expect("a token");
    for _ in 0..3 {
        app.advance(minutes(6));
        browser.get("/api/v1/me").await.ok();
        browser.get("/api/v1/me/sessions").await.ok();
    }
    admin.get("/api/v1/sessions").await.ok();
    assert!(!app.holding(&stolen).is_signed_in().await);
    assert!(!app.holding(&stolen).is_signed_in().await);
    assert!(!browser.is_signed_in().await);
    expected.push(("token.reused", "success", Value::Null));

    browser.sign_in(&nora).await.ok();
    expected.extend([
        ("sign_in", "success", Value::Null),
        ("session.created", "success", json!("console")),
    ]);
    let (other, _) = app.open_session(&nora, NewRow::default()).await;
    let change =
        json!({ "current_password": PASSWORD, "new_password": "nine loud geese before dawn" });
    browser.post("/api/v1/me/password", change).await.done();
    expected.push((
        "password.changed",
        "success",
        json!("1 other sessions ended"),
    ));
    admin
        .delete(&format!("/api/v1/sessions/{other}"))
        .await
        .problem(409, "session_not_active");
    expected.push(("session.ended", "already_ended", Value::Null));
    browser
        .delete(&format!(
            "/api/v1/sessions/{}",
            crate::support::unknown_id()
        ))
        .await
        .problem(403, "forbidden");
    expected.push(("session.ended", "not_permitted", Value::Null));
    browser
        .delete(&format!("/api/v1/users/{}/sessions", max.id))
        .await
        .problem(403, "forbidden");
    expected.push(("sessions.ended", "not_permitted", Value::Null));
    admin
        .delete(&format!(
            "/api/v1/users/{}/sessions",
            crate::support::unknown_id()
        ))
        .await
        .problem(404, "not_found");
    expected.push(("sessions.ended", "not_found", Value::Null));
    browser
        .ask(http::Method::POST, "/api/v1/sign-out")
        .await
        .done();
    browser
        .ask(http::Method::POST, "/api/v1/sign-out")
        .await
        .done();
    expected.push(("session.ended", "success", json!("signed_out")));

    for _ in 0..5 {
        anon.sign_in_as(&max.email, "a wrong password")
            .await
            .problem(401, "sign_in_failed");
        expected.push(("sign_in", "wrong_password", Value::Null));
    }
    expected.push(("user.locked", "success", Value::Null));
    anon.sign_in(&max).await.problem(401, "sign_in_failed");
    expected.push(("sign_in", "locked", Value::Null));
    app.service()
        .unlock_user(&max.email)
        .await
        .expect("he exists");
    app.service()
        .unlock_user(&max.email)
        .await
        .expect("he exists");
    expected.push(("user.unlocked", "success", json!("command line")));
    app.sql("UPDATE \"user\" SET enabled = FALSE WHERE name = 'max'")
        .await;
    anon.sign_in(&max).await.problem(401, "sign_in_failed");
    expected.push(("sign_in", "disabled", Value::Null));
    app.service()
        .reset_password(&nora.email)
        .await
        .expect("she exists");
    expected.push(("password.reset", "success", json!("command line")));
    app.open_session(&nora, NewRow::default()).await;
    admin
        .delete(&format!("/api/v1/users/{}/sessions", nora.id))
        .await
        .done();
    expected.push((
        "sessions.ended",
        "success",
        json!("ended_by_administrator: 0 sessions"),
    ));

    let page = admin.get("/api/v1/audit?page_size=100").await.ok();
    let events = page["items"].as_array().expect("a list");
    let found: Vec<_> = events
        .iter()
        .rev()
        .map(|event| {
            (
                event["action"].as_str().expect("a word"),
                event["outcome"].as_str().expect("a word"),
                event["detail"].clone(),
            )
        })
        .collect();
    assert_eq!(found, expected);
    let numbers: Vec<_> = events
        .iter()
        .rev()
        .map(|event| event["sequence"].as_i64().expect("a number"))
        .collect();
    assert_eq!(
        numbers,
        (1..=i64::try_from(expected.len()).expect("few")).collect::<Vec<_>>(),
        "no gap"
    );
}

async fn an_event_says_who_what_when_and_where() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let myself = app.admin().await;
    let (id, _) = app.open_session(&nora, NewRow::default()).await;
    app.advance(seconds(42));
    let answer = admin.delete(&format!("/api/v1/sessions/{id}")).await;
    let event = admin.get(&format!("/api/v1/audit?session={id}")).await.ok()["items"][0].clone();
    assert_eq!(
        event,
        json!({
            "sequence": 2,
            "at": "2026-11-22T09:00:42.000000Z",
            "actor": { "id": myself.id, "name": myself.name },
            "target": { "id": nora.id, "email": nora.email, "name": nora.name, "service_account": false },
            "organisation": { "id": nora.organisation, "name": "Acme" },
            "action": "session.ended",
            "outcome": "success",
            "session": id,
            "detail": "ended_by_administrator",
            "ip": "203.0.113.7",
            "user_agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
            "request_id": answer.header("x-request-id"),
        })
    );
    for (query, total) in [
        (format!("session={id}&outcome=success"), 1),
        (format!("session={id}&outcome=failed"), 0),
        (format!("user={}", nora.id), 1),
        (format!("user={}&action=session.ended", myself.id), 1),
        (format!("user={}&action=sign_in", myself.id), 0),
        ("page=2".to_owned(), 2),
    ] {
        assert_eq!(
            admin.get(&format!("/api/v1/audit?{query}")).await.ok()["total"],
            total,
            "{query}"
        );
    }
}

async fn verify(app: &TestApp) -> usize {
    let key = std::fs::read(app.data_dir().join("audit.key")).expect("a key");
    let key: [u8; 32] = key.try_into().expect("32 bytes");
    let events = db::audit::list_raw_after(app.side().reader(), 0, 10_000)
        .await
        .expect("the database answers");
    let mut previous = [0; 32];
    for (index, event) in events.iter().enumerate() {
        assert_eq!(event.sequence, i64::try_from(index).expect("few") + 1);
        assert_eq!(
            event.hmac,
            chain(&key, &previous, event.sequence, &event.record),
            "event {}",
            event.sequence
        );
        previous = event.hmac;
    }
    let head = db::audit::head(app.side().reader())
        .await
        .expect("the database answers");
    assert_eq!(head, (i64::try_from(events.len()).expect("few"), previous));
    events.len()
}

async fn the_chain_can_be_recomputed() {
    let (app, anon, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let longest = "ü\u{202e}\u{1f980}".repeat(40);
    anon.post("/api/v1/sign-in", json!({ "email": nora.email, "password": PASSWORD, "name": &longest[..longest.floor_char_boundary(80)] })).await.ok();
    anon.sign_in_as("nobody@acme.test", "a wrong password")
        .await
        .problem(401, "sign_in_failed");
    let (id, _) = app.open_session(&nora, NewRow::default()).await;
    admin
        .delete(&format!("/api/v1/sessions/{id}"))
        .json(&json!({ "reason": "ünïcode \"quoted\"" }))
        .await
        .done();
    app.restart().await;
    app.advance(minutes(31));
    app.service().sweep().await.expect("the database answers");
    assert!(verify(&app).await >= 6);
    // It would be seen if anything in it were another.
    let key: [u8; 32] = std::fs::read(app.data_dir().join("audit.key"))
        .expect("a key")
        .try_into()
        .expect("32 bytes");
    let events = db::audit::list_raw_after(app.side().reader(), 0, 10_000)
        .await
        .expect("the database answers");
    let event = &events[2];
    for change in 0..12 {
        let mut record = event.record.clone();
        match change {
            0 => record.at.0 += 1,
            1 => record.actor = None,
            2 => record.actor_name.push('x'),
            3 => record.target = None,
            4 => record.target_name.push('x'),
            5 => record.target_email.push('x'),
            6 => record.organisation = None,
            7 => record.session = None,
            8 => record.detail = Some("another".into()),
            9 => record.ip.push('0'),
            10 => record.user_agent.clear(),
            _ => record.request_id.push('x'),
        }
        if record != event.record {
            assert_ne!(
                chain(&key, &events[1].hmac, event.sequence, &record),
                event.hmac,
                "{change}"
            );
        }
    }
    assert_ne!(
        chain(&key, &events[1].hmac, event.sequence + 1, &event.record),
        event.hmac
    );
    assert_ne!(
        chain(&key, &events[0].hmac, event.sequence, &event.record),
        event.hmac
    );
}

async fn nothing_that_is_written_can_be_changed() {
    let (app, anon, _) = TestApp::start().with_admin().await;
    anon.sign_in_as("nobody@acme.test", "a wrong password")
        .await
        .problem(401, "sign_in_failed");
    let before = verify(&app).await;
    for statement in [
        "UPDATE audit_event SET outcome = 'success'",
        "UPDATE audit_event SET at = at + 1 WHERE sequence = 1",
        "DELETE FROM audit_event",
        "DELETE FROM audit_event WHERE sequence = 2",
    ] {
        let refused = app
            .side()
            .write(move |tx| {
                Box::pin(async move {
                    use sea_orm::ConnectionTrait;
                    tx.execute_unprepared(statement).await?;
                    Ok(())
                })
            })
            .await;
        assert!(refused.is_err(), "{statement}");
    }
    assert_eq!(verify(&app).await, before);
}

async fn events_are_chained_in_any_storm() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let admin = std::sync::Arc::new(admin);
    let mut storm = Vec::new();
    for number in 0..60 {
        let (id, token) = app.open_session(&nora, NewRow::default()).await;
        let (app, admin) = (app.clone(), admin.clone());
        storm.push(tokio::spawn(async move {
            match number % 3 {
                0 => admin.delete(&format!("/api/v1/sessions/{id}")).await.done(),
                1 => app
                    .holding(&token)
                    .ask(http::Method::POST, "/api/v1/sign-out")
                    .await
                    .done(),
                _ => drop(
                    admin
                        .delete(&format!(
                            "/api/v1/sessions/{}",
                            crate::support::unknown_id()
                        ))
                        .await
                        .problem(404, "not_found"),
                ),
            }
        }));
    }
    for one in storm {
        one.await.expect("no panic");
    }
    assert_eq!(verify(&app).await, 61);
}

async fn the_end_of_the_trail_is_noted_beside_its_key() {
    let (app, anon, _) = TestApp::start().with_admin().await;
    anon.sign_in_as("nobody@acme.test", "a wrong password")
        .await
        .problem(401, "sign_in_failed");
    app.stop().await;
    let noted = std::fs::read_to_string(app.data_dir().join("audit.head")).expect("a note");
    let (sequence, hmac) = db::audit::head(app.side().reader())
        .await
        .expect("the database answers");
    let hmac: String = hmac.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(noted, format!("{sequence} {hmac}\n"));
    #[cfg(unix)]
    for file in ["audit.key", "audit.head"] {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(app.data_dir().join(file))
            .expect("a file")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    app.start_again().await;
}

async fn what_is_not_written_down_does_not_happen() {
    let (app, anon, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let (id, token) = app.open_session(&nora, NewRow::default()).await;
    let before = verify(&app).await;
    app.sql("ALTER TABLE audit_event RENAME TO audit_elsewhere")
        .await;
    admin
        .delete(&format!("/api/v1/sessions/{id}"))
        .await
        .problem(503, "unavailable");
    anon.sign_in(&nora).await.problem(503, "unavailable");
    app.sql("ALTER TABLE audit_elsewhere RENAME TO audit_event")
        .await;
    app.service().probe().await;
    assert!(app.holding(&token).is_signed_in().await);
    assert_eq!(app.stored(id).await.ended, None);
    assert_eq!(verify(&app).await, before);
    assert_eq!(
        admin.get("/api/v1/sessions?q=nora").await.ok()["total"],
        1,
        "and no session was made"
    );
}
