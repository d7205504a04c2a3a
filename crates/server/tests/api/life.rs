//! How long a session lives, by the clock.

use rollcall_core::{EndReason, Kind};
use rollcall_server::db;
use serde_json::json;

use crate::support::{NewRow, TestApp, hours, minutes, seconds};

both_databases!(
    a_session_lives_until_it_was_idle_for_its_timeout,
    an_absolute_limit_holds_however_busy_a_session_is,
    activity_moves_the_idle_limit_and_nothing_else,
    each_kind_has_its_own_timeouts,
    activity_survives_a_restart,
    an_epoch_ends_what_was_created_until_then,
    overlapping_epochs_all_bite,
    a_disabled_account_or_organisation_has_no_live_session,
    an_expired_session_ended_when_it_expired,
    what_ended_is_kept_for_ninety_days,
    a_role_change_takes_effect_at_the_next_request,
);

const MICROSECOND: std::time::Duration = std::time::Duration::from_micros(1);

async fn a_session_lives_until_it_was_idle_for_its_timeout() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let program = app.program_of(&nora).await;
    let id = program.session_id().await;
    for _ in 0..3 {
        app.advance(minutes(30) - MICROSECOND);
        assert!(
            program.is_signed_in().await,
            "one microsecond before the timeout"
        );
    }
    app.advance(minutes(30));
    let ended_at = app.now().to_string();
    let token = program.token().expect("a token");
    assert!(!program.is_signed_in().await, "at the timeout");
    assert!(!app.holding(&token).is_signed_in().await, "and it stays so");
    let admin_again = app.browser_of(&app.admin().await).await;
    drop(admin);
    let session = admin_again
        .get(&format!("/api/v1/sessions/{id}"))
        .await
        .ok();
    assert_eq!(
        (&session["ended"]["reason"], &session["ended"]["at"]),
        (&json!("idle_timeout"), &json!(ended_at))
    );
}

async fn an_absolute_limit_holds_however_busy_a_session_is() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let program = app.program_of(&nora).await;
    let id = program.session_id().await;
    let limit = app.now() + hours(24);
    let first = program.token().expect("a token");
    let mut rotations = 0;
    while app.now() + minutes(20) < limit {
        app.advance(minutes(20));
        let before = program.token();
        let me = program.get("/api/v1/me").await.ok();
        assert_eq!(
            me["session"]["absolute_expires_at"],
            limit.to_string(),
            "rotation never extends it"
        );
        rotations += i64::from(program.token() != before);
    }
    assert!(rotations > 30, "{rotations}");
    assert_ne!(program.token(), Some(first));
    app.advance(minutes(20) - MICROSECOND);
    assert!(
        program.is_signed_in().await,
        "one microsecond before the limit"
    );
    app.advance(MICROSECOND);
    assert_eq!(app.now(), limit);
    assert!(!program.is_signed_in().await);
    let admin = app.browser_of(&app.admin().await).await;
    let session = admin.get(&format!("/api/v1/sessions/{id}")).await.ok();
    assert_eq!(session["ended"]["reason"], "absolute_timeout");
    assert_eq!(session["ended"]["at"], limit.to_string());
    assert_eq!(session["duration_seconds"], 24 * 3600);
}

async fn activity_moves_the_idle_limit_and_nothing_else() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let program = app.program_of(&nora).await;
    let before = program.get("/api/v1/me").await.ok()["session"].clone();
    app.advance(minutes(2));
    let after = program.get("/api/v1/me").await.ok()["session"].clone();
    assert_eq!(after["last_activity_at"], "2026-11-22T09:02:00.000000Z");
    assert_eq!(after["idle_expires_at"], "2026-11-22T09:32:00.000000Z");
    assert_eq!(after["duration_seconds"], 120);
    let mut expected = before;
    for moved in ["last_activity_at", "idle_expires_at", "duration_seconds"] {
        expected[moved] = after[moved].clone();
    }
    assert_eq!(after, expected);
    // The list knows it too, without waiting for the writer of activity.
    let mut listed = program.get("/api/v1/me/sessions").await.ok()["items"][0].clone();
    // Only a list tells what runs under it.
    assert!(
        listed
            .as_object_mut()
            .expect("a session")
            .remove("work")
            .is_some()
    );
    assert_eq!(listed, after);
}

async fn each_kind_has_its_own_timeouts() {
    let (app, _, _) = TestApp::start()
        .with(&[
            "--session-idle-timeout",
            "10m",
            "--session-absolute-timeout",
            "1h",
        ])
        .with(&["--keep-idle-timeout", "2h", "--keep-absolute-timeout", "3h"])
        .with(&[
            "--client-idle-timeout",
            "1m",
            "--client-absolute-timeout",
            "4h",
        ])
        .with_admin()
        .await;
    let nora = app.member().await;
    for (kind, keep, idle) in [
        (Kind::Console, false, minutes(10)),
        (Kind::Api, false, minutes(10)),
        (Kind::Console, true, hours(2)),
        (Kind::Client, false, minutes(1)),
    ] {
        let (_, token) = app
            .open_session(
                &nora,
                NewRow {
                    kind,
                    keep,
                    ..NewRow::default()
                },
            )
            .await;
        let program = app.holding(&token);
        app.advance(idle - MICROSECOND);
        assert!(program.is_signed_in().await, "{kind:?} {keep}");
        app.advance(idle);
        assert!(!program.is_signed_in().await, "{kind:?} {keep}");
    }
}

async fn activity_survives_a_restart() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let program = app.program_of(&nora).await;
    let id = program.session_id().await;
    app.advance(minutes(29));
    assert!(program.is_signed_in().await);
    let used = app.now();
    app.restart().await;
    assert_eq!(app.stored(id).await.last_activity_at, used);
    app.advance(minutes(29));
    assert!(program.is_signed_in().await);
    // Written by the job that runs each second, too.
    app.service()
        .flush_activity()
        .await
        .expect("the database answers");
    assert_eq!(app.stored(id).await.last_activity_at, app.now());
}

async fn an_epoch_ends_what_was_created_until_then() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let max = app
        .user(nora.organisation, nora.role, "max@acme.test")
        .await;
    let (before, others) = (app.program_of(&nora).await, app.program_of(&max).await);
    let before_id = before.session_id().await;
    app.advance(seconds(1));
    let at = app.program_of(&nora).await;
    app.service()
        .reset_password(&nora.email)
        .await
        .expect("she exists");
    app.sql("UPDATE \"user\" SET password_change_required = FALSE")
        .await;
    app.advance(MICROSECOND);
    let after = app.program_of(&nora).await;
    assert!(!before.is_signed_in().await, "created before");
    assert!(!at.is_signed_in().await, "created at that very moment");
    assert!(after.is_signed_in().await, "created after");
    assert!(others.is_signed_in().await, "somebody else");
    // Shown as ended before the sweeper comes, and stored the same by it.
    for _ in 0..2 {
        let admin = app.browser_of(&app.admin().await).await;
        let session = admin
            .get(&format!("/api/v1/sessions/{before_id}"))
            .await
            .ok();
        assert_eq!(
            (&session["state"], &session["ended"]["reason"]),
            (&json!("ended"), &json!("password_reset"))
        );
        assert_eq!(session["ended"]["at"], "2026-11-22T09:00:01.000000Z");
        app.service().sweep().await.expect("the database answers");
    }
    assert_eq!(
        app.stored(before_id).await.ended.map(|(_, reason)| reason),
        Some(EndReason::PasswordReset)
    );
    assert_eq!(app.service().sweep().await, Ok(0));
}

async fn overlapping_epochs_all_bite() {
    // Every subset of the three epochs, set by whoever sets them and read after a start.
    let (app, _, _) = TestApp::start().with_admin().await;
    let acme = app.organisation("Acme").await;
    for subset in 0..8_u8 {
        let nora = app
            .user(
                acme,
                rollcall_core::BuiltInRole::Member,
                &format!("nora-{subset}@acme.test"),
            )
            .await;
        let old = app.program_of(&nora).await;
        app.advance(seconds(1));
        let epoch = app.now();
        app.advance(seconds(1));
        let new = app.program_of(&nora).await;
        let set = format!(
            "SET ended_before = {}, ended_before_reason = 'ended_by_administrator', settled = FALSE",
            epoch.0
        );
        if subset & 1 != 0 {
            app.sql(format!(
                "UPDATE \"user\" {set} WHERE email = '{}'",
                nora.email
            ))
            .await;
        }
        if subset & 2 != 0 {
            app.sql(format!("UPDATE organisation {set} WHERE name = 'Acme'"))
                .await;
        }
        if subset & 4 != 0 {
            app.sql(format!("UPDATE installation {set}")).await;
        }
        app.restart().await;
        assert_eq!(old.is_signed_in().await, subset == 0, "{subset:03b}");
        assert!(new.is_signed_in().await, "{subset:03b}");
        app.service().sweep().await.expect("the database answers");
        assert_eq!(
            old.is_signed_in().await,
            subset == 0,
            "{subset:03b} after the sweep"
        );
        assert!(new.is_signed_in().await, "{subset:03b} after the sweep");
        app.advance(seconds(1));
    }
}

async fn a_disabled_account_or_organisation_has_no_live_session() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let program = app.program_of(&nora).await;
    assert!(program.is_signed_in().await);
    for (disable, enable) in [
        (
            "UPDATE \"user\" SET enabled = FALSE WHERE name = 'nora'",
            "UPDATE \"user\" SET enabled = TRUE",
        ),
        (
            "UPDATE organisation SET enabled = FALSE WHERE name = 'Acme'",
            "UPDATE organisation SET enabled = TRUE",
        ),
    ] {
        app.sql(disable).await;
        app.restart().await;
        assert!(!program.is_signed_in().await, "{disable}");
        app.sql(enable).await;
        app.restart().await;
    }
}

async fn an_expired_session_ended_when_it_expired() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let (id, _) = app.open_session(&nora, NewRow::default()).await;
    app.advance(hours(2));
    let admin = app.browser_of(&app.admin().await).await;
    let find = async || admin.get(&format!("/api/v1/sessions/{id}")).await.ok();
    let before = find().await;
    assert_eq!(
        before["ended"],
        json!({ "reason": "idle_timeout", "at": "2026-11-22T09:30:00.000000Z", "by": null, "note": null })
    );
    assert_eq!(
        (&before["state"], &before["duration_seconds"]),
        (&json!("ended"), &json!(1_800))
    );
    // The administrator's first session has expired too.
    assert_eq!(app.service().sweep().await, Ok(2));
    assert_eq!(
        find().await,
        before,
        "sweeping changes nothing that anybody sees"
    );
    app.advance(minutes(5));
    assert_eq!(find().await, before);
    let swept = admin.get(&format!("/api/v1/audit?session={id}")).await.ok();
    assert_eq!(swept["total"], 1, "{swept}");
    assert_eq!(swept["items"][0]["action"], "session.ended");
    assert_eq!(swept["items"][0]["detail"], "idle_timeout");
    assert_eq!(swept["items"][0]["actor"], json!(null));
}

async fn what_ended_is_kept_for_ninety_days() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let (id, _) = app.open_session(&nora, NewRow::default()).await;
    app.service().sweep().await.expect("the database answers");
    app.advance(hours(1));
    app.service().sweep().await.expect("the database answers");
    app.advance(hours(24 * 90) - minutes(30));
    assert_eq!(app.service().purge().await, Ok(0));
    let kept = db::sessions::find(app.side().reader(), id)
        .await
        .expect("the database answers");
    assert!(kept.is_some(), "it ended ninety days ago");
    app.advance(seconds(1));
    assert_eq!(
        app.service().purge().await,
        Ok(2),
        "hers and the administrator's"
    );
    assert!(
        db::sessions::find(app.side().reader(), id)
            .await
            .expect("the database answers")
            .is_none()
    );
    let admin = app.browser_of(&app.admin().await).await;
    let stats = admin.get("/api/v1/sessions/stats").await.ok();
    assert_eq!(
        (&stats["total"], &stats["active"], &stats["unique_users"]),
        (&json!(1), &json!(1), &json!(1))
    );
    admin
        .get(&format!("/api/v1/sessions/{id}"))
        .await
        .problem(404, "not_found");
}

async fn a_role_change_takes_effect_at_the_next_request() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let program = app.program_of(&nora).await;
    program
        .get("/api/v1/sessions")
        .await
        .problem(403, "forbidden");
    app.sql("UPDATE \"user\" SET role_key = 'session_manager' WHERE name = 'nora'")
        .await;
    // Whoever changes roles in this server tells the cache; here the start does.
    app.restart().await;
    let token = program.token();
    program.get("/api/v1/sessions").await.ok();
    assert_eq!(program.token(), token, "a role change does not rotate");
}
