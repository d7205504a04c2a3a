//! Tokens that rotate: who gets a successor, who is let in, and what is theft.

use std::sync::Arc;

use futures_util::future::join_all;
use rollcall_core::{EndReason, SessionId};
use serde_json::json;
use tokio::sync::Barrier;

use crate::support::{Answer, NewRow, TestApp, hours, minutes, seconds};

both_databases!(
    a_due_token_rotates_once,
    a_lost_answer_is_given_again_however_late,
    a_predecessor_is_good_for_ten_seconds_after_the_first_use,
    a_token_two_generations_old_is_theft_at_once,
    every_retired_token_is_theft_any_number_of_generations_later,
    rotation_survives_a_restart_at_any_point,
    two_hundred_parallel_requests_leave_one_successor,
    parallel_bursts_over_many_rotations_sign_nobody_out,
    what_was_ended_stays_ended_while_it_rotates,
    a_foreign_secret_ends_nothing,
    files_and_descriptions_never_rotate,
    a_page_a_browser_and_a_program_get_it_where_they_look,
    a_successor_made_for_a_sign_out_is_dead,
);

// Sends exactly this token and takes nothing over.
async fn present(app: &TestApp, token: &str) -> Answer {
    let bearer = format!("Bearer {token}");
    app.anonymous()
        .get("/api/v1/me")
        .bare()
        .header("authorization", bearer)
        .await
}

async fn accepted(app: &TestApp, token: &str) -> Option<String> {
    let answer = present(app, token).await;
    answer.ok();
    assert_eq!(answer.cookies(), Vec::<String>::new());
    answer.session_token()
}

async fn refused(app: &TestApp, token: &str) {
    let answer = present(app, token).await;
    answer.problem(401, "unauthenticated");
    assert_eq!(answer.session_token(), None);
}

async fn alarms(app: &TestApp, id: SessionId) -> u64 {
    let admin = app.browser_of(&app.admin().await).await;
    let page = admin
        .get(&format!("/api/v1/audit?action=token.reused&session={id}"))
        .await
        .ok();
    page["total"].as_u64().expect("a number")
}

async fn session(app: &TestApp) -> (SessionId, String) {
    let nora = app.member().await;
    app.open_session(&nora, NewRow::default()).await
}

async fn a_due_token_rotates_once() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let (id, first) = session(&app).await;
    app.advance(minutes(5) - seconds(1));
    assert_eq!(accepted(&app, &first).await, None, "not due");
    app.advance(seconds(1));
    let second = accepted(&app, &first).await.expect("a successor");
    assert_ne!(second, first);
    assert_eq!(second[..26], first[..26], "one lineage");
    assert_eq!(app.stored(id).await.generation, 1);
    assert_eq!(
        accepted(&app, &first).await,
        Some(second.clone()),
        "the same again"
    );
    assert_eq!(accepted(&app, &second).await, None);
    assert_eq!(app.stored(id).await.generation, 1);
    // Its age counts from its own first use.
    app.advance(minutes(5));
    let third = accepted(&app, &second).await.expect("a successor");
    assert_eq!(app.stored(id).await.generation, 2);
    assert_eq!(accepted(&app, &third).await, None);
    assert_eq!(alarms(&app, id).await, 0);
}

async fn a_lost_answer_is_given_again_however_late() {
    let (app, _, _) = TestApp::start()
        .with(&["--session-idle-timeout", "20h"])
        .with_admin()
        .await;
    let (id, first) = session(&app).await;
    app.advance(minutes(6));
    let second = accepted(&app, &first).await.expect("a successor");
    for _ in 0..3 {
        app.advance(hours(1));
        assert_eq!(
            accepted(&app, &first).await,
            Some(second.clone()),
            "an hour later"
        );
    }
    assert_eq!(accepted(&app, &second).await, None);
    assert_eq!(alarms(&app, id).await, 0);
}

async fn a_predecessor_is_good_for_ten_seconds_after_the_first_use() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let (id, first) = session(&app).await;
    app.advance(minutes(6));
    let second = accepted(&app, &first).await.expect("a successor");
    accepted(&app, &second).await;
    app.advance(seconds(9));
    assert_eq!(
        accepted(&app, &first).await,
        None,
        "accepted without a token in the answer"
    );
    app.advance(seconds(1));
    assert_eq!(accepted(&app, &first).await, None);
    assert!(accepted(&app, &second).await.is_none());
    app.advance(seconds(1));
    refused(&app, &first).await;
    refused(&app, &second).await;
    refused(&app, &first).await;
    assert_eq!(
        app.stored(id).await.ended,
        Some((app.now(), EndReason::TokenReuse))
    );
    assert_eq!(alarms(&app, id).await, 1);
}

async fn a_token_two_generations_old_is_theft_at_once() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let (id, first) = session(&app).await;
    app.advance(minutes(6));
    let second = accepted(&app, &first).await.expect("a successor");
    accepted(&app, &second).await;
    app.advance(minutes(6));
    let third = accepted(&app, &second).await.expect("a successor");
    // The third was not used yet: the second is still good, the first is not.
    refused(&app, &first).await;
    refused(&app, &third).await;
    refused(&app, &second).await;
    assert_eq!(alarms(&app, id).await, 1);
}

async fn every_retired_token_is_theft_any_number_of_generations_later() {
    let (app, _, _) = TestApp::start()
        .with(&["--rotate-every", "10s"])
        .with_admin()
        .await;
    let nora = app.member().await;
    let mut lineages = Vec::new();
    for _ in 0..20 {
        lineages.push((app.open_session(&nora, NewRow::default()).await, Vec::new()));
    }
    for _ in 0..20 {
        app.advance(seconds(11));
        for ((_, current), retired) in &mut lineages {
            let next = accepted(&app, current).await.expect("a successor");
            accepted(&app, &next).await;
            retired.push(std::mem::replace(current, next));
        }
    }
    app.advance(seconds(11));
    // In each lineage another one of the old tokens turns up.
    for (index, ((id, current), retired)) in lineages.iter().enumerate() {
        assert_eq!(app.stored(*id).await.generation, 20);
        refused(&app, &retired[index]).await;
        refused(&app, current).await;
        assert_eq!(
            app.stored(*id).await.ended.map(|(_, reason)| reason),
            Some(EndReason::TokenReuse),
            "{index}"
        );
    }
    let admin = app.browser_of(&app.admin().await).await;
    assert_eq!(
        admin.get("/api/v1/audit?action=token.reused").await.ok()["total"],
        20
    );
}

async fn rotation_survives_a_restart_at_any_point() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let (id, first) = session(&app).await;
    app.restart().await;
    app.advance(minutes(6));
    let second = accepted(&app, &first).await.expect("a successor");
    app.restart().await;
    assert_eq!(
        accepted(&app, &first).await,
        Some(second.clone()),
        "the answer was lost with the server"
    );
    app.restart().await;
    assert_eq!(accepted(&app, &second).await, None);
    app.restart().await;
    app.advance(seconds(9));
    assert_eq!(accepted(&app, &first).await, None);
    app.restart().await;
    app.advance(minutes(6));
    let third = accepted(&app, &second).await.expect("a successor");
    accepted(&app, &third).await;
    app.restart().await;
    app.advance(seconds(11));
    refused(&app, &first).await;
    app.restart().await;
    refused(&app, &third).await;
    assert_eq!(
        app.stored(id).await.ended.map(|(_, reason)| reason),
        Some(EndReason::TokenReuse)
    );
    assert_eq!(alarms(&app, id).await, 1);
}

async fn together(app: &TestApp, tokens: Vec<String>) -> Vec<Answer> {
    let barrier = Arc::new(Barrier::new(tokens.len()));
    let requests = tokens.into_iter().map(|token| {
        let (app, barrier) = (app.clone(), barrier.clone());
        tokio::spawn(async move {
            barrier.wait().await;
            present(&app, &token).await
        })
    });
    join_all(requests)
        .await
        .into_iter()
        .map(|answer| answer.expect("no panic"))
        .collect()
}

async fn two_hundred_parallel_requests_leave_one_successor() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let (id, first) = session(&app).await;
    app.advance(minutes(6));
    let answers = together(&app, vec![first.clone(); 200]).await;
    let mut successors: Vec<_> = answers
        .iter()
        .map(|answer| {
            answer.ok();
            answer.session_token().expect("each is told the successor")
        })
        .collect();
    successors.dedup();
    assert_eq!(successors.len(), 1, "and all the same");
    assert_eq!(app.stored(id).await.generation, 1);
    let second = successors.remove(0);
    for answer in together(&app, vec![second.clone(); 50]).await {
        answer.ok();
        assert_eq!(answer.session_token(), None);
    }
    assert_eq!(accepted(&app, &first).await, None, "within the grace");
    assert_eq!(alarms(&app, id).await, 0);
}

async fn parallel_bursts_over_many_rotations_sign_nobody_out() {
    let (app, _, _) = TestApp::start()
        .with(&["--rotate-every", "20s"])
        .with_admin()
        .await;
    let (id, mut current) = session(&app).await;
    let mut previous = current.clone();
    for round in 1..=10 {
        // Within the grace, some requests of an honest client still carry the token from before.
        app.advance(seconds(10));
        let mixed: Vec<_> = (0..20)
            .map(|index| {
                if index % 3 == 0 {
                    previous.clone()
                } else {
                    current.clone()
                }
            })
            .collect();
        for answer in together(&app, mixed).await {
            answer.ok();
            assert_eq!(answer.session_token(), None, "round {round}");
        }
        app.advance(seconds(10));
        let mut next = None;
        for answer in together(&app, vec![current.clone(); 20]).await {
            answer.ok();
            next = Some(answer.session_token().expect("a successor"));
        }
        (previous, current) = (current, next.expect("a successor"));
        // While some are told the successor, others use it already.
        let mixed: Vec<_> = (0..20)
            .map(|index| {
                if index % 3 == 0 {
                    previous.clone()
                } else {
                    current.clone()
                }
            })
            .collect();
        for answer in together(&app, mixed).await {
            answer.ok();
            assert!(
                answer.session_token().is_none_or(|token| token == current),
                "round {round}"
            );
        }
    }
    assert_eq!(app.stored(id).await.ended, None);
    assert_eq!(alarms(&app, id).await, 0);
}

async fn what_was_ended_stays_ended_while_it_rotates() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    for round in 0..25 {
        let (id, first) = app.open_session(&nora, NewRow::default()).await;
        app.advance(minutes(5));
        admin.get("/api/v1/me").await.ok();
        let barrier = Arc::new(Barrier::new(9));
        let requests: Vec<_> = (0..8)
            .map(|_| {
                let (app, barrier, token) = (app.clone(), barrier.clone(), first.clone());
                tokio::spawn(async move {
                    barrier.wait().await;
                    present(&app, &token).await
                })
            })
            .collect();
        barrier.wait().await;
        admin.delete(&format!("/api/v1/sessions/{id}")).await.done();
        let after_the_answer = present(&app, &first).await;
        after_the_answer.problem(401, "unauthenticated");
        for answer in join_all(requests).await {
            let answer = answer.expect("no panic");
            assert!(
                matches!(answer.status, 200 | 401),
                "round {round}: {}",
                answer.text()
            );
            if let Some(successor) = answer.session_token() {
                refused(&app, &successor).await;
            }
        }
        app.service()
            .flush_activity()
            .await
            .expect("the database answers");
        refused(&app, &first).await;
        let stored = app.stored(id).await;
        assert_eq!(
            stored.ended.map(|(_, reason)| reason),
            Some(EndReason::EndedByAdministrator)
        );
        assert_eq!(alarms(&app, id).await, 0);
    }
}

async fn a_foreign_secret_ends_nothing() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let (id, first) = session(&app).await;
    app.advance(minutes(6));
    let second = accepted(&app, &first).await.expect("a successor");
    for _ in 0..20 {
        // 22 characters hold the 16 bytes of the lineage, but for the last bits of the last of them.
        let foreign =
            rollcall_server::service::token::Token::generate(&rollcall_server::clock::OsRandom);
        let forged = format!("{}{}", &second[..27], &foreign.expose()[27..]);
        refused(&app, &forged).await;
    }
    assert_eq!(accepted(&app, &second).await, None);
    assert_eq!(alarms(&app, id).await, 0);
}

async fn files_and_descriptions_never_rotate() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let browser = app.browser_of(&nora).await;
    app.advance(minutes(6));
    let token = browser.token();
    for path in [
        "/healthz",
        "/readyz",
        "/metrics",
        "/api/openapi.json",
        "/api/docs",
        "/robots.txt",
        "/favicon.svg",
        "/pkg/nothing.js",
    ] {
        let answer = browser.get(path).await;
        assert_eq!(answer.cookies(), Vec::<String>::new(), "{path}");
    }
    assert_eq!(browser.token(), token);
    browser.get("/api/v1/me").await.ok();
    assert_ne!(browser.token(), token);
}

async fn a_page_a_browser_and_a_program_get_it_where_they_look() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let (browser, program) = (app.browser_of(&nora).await, app.program_of(&nora).await);
    app.advance(minutes(6));
    let old = program.token().expect("a token");
    let by_header = program.get("/api/v1/me").await;
    assert_eq!(
        (
            by_header.cookies().len(),
            by_header.session_token().is_some()
        ),
        (0, true)
    );
    let by_cookie = browser.get("/api/v1/me").await;
    assert_eq!(
        (by_cookie.cookies().len(), by_cookie.session_token()),
        (1, None)
    );
    assert!(!by_header.text().contains("rc_s_") && !by_cookie.text().contains("rc_s_"));
    // An error carries it just the same: the token was accepted.
    assert!(browser.is_signed_in().await && program.is_signed_in().await);
    app.advance(minutes(6));
    let denied = program.get("/api/v1/sessions").await;
    denied.problem(403, "forbidden");
    assert!(denied.session_token().is_some_and(|token| token != old));
    let missing = browser.get("/api/v1/nothing").await;
    missing.problem(404, "not_found");
    assert_eq!(missing.cookies().len(), 1);
    assert!(browser.is_signed_in().await && program.is_signed_in().await);
}

async fn a_successor_made_for_a_sign_out_is_dead() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let (browser, program) = (app.browser_of(&nora).await, app.program_of(&nora).await);
    let (cookie, bearer) = (
        browser.token().expect("a token"),
        program.token().expect("a token"),
    );
    app.advance(minutes(6));
    let answer = browser.post("/api/v1/sign-out", json!({})).await;
    answer.done();
    assert!(answer.expires_cookie());
    let answer = program.post("/api/v1/sign-out", json!({})).await;
    answer.done();
    assert_eq!(answer.session_token(), None);
    refused(&app, &cookie).await;
    refused(&app, &bearer).await;
}
