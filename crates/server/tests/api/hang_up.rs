//! Clients that hang up: at whichever point a request is dropped, what it began is carried to its end,
//! and memory and database never disagree about it.

use std::future::{Future, IntoFuture};
use std::task::Poll;

use rollcall_core::EndReason;
use serde_json::json;

use crate::support::{Ask, Client, NewRow, TestApp, minutes, seconds};

both_databases!(
    whoever_is_ended_stays_out_though_the_one_who_ended_them_hung_up,
    a_wrong_password_counts_though_nobody_waits_for_the_answer,
    a_thief_who_hangs_up_ends_the_session_all_the_same,
    a_rotation_whose_client_hung_up_is_answered_again,
    a_list_that_was_given_up_loses_no_activity,
);

// More than any request waits for something.
const POINTS: usize = 12;

/// Sends a request and drops it when it waits for the `point`th time.
async fn hang_up(ask: Ask<'_>, point: usize) {
    let mut request = ask.into_future();
    let mut waits = 0;
    std::future::poll_fn(|context| {
        if waits == point {
            return Poll::Ready(());
        }
        waits += 1;
        request.as_mut().poll(context).map(|_| ())
    })
    .await;
}

/// Looks until it is so. A request that was dropped has nobody to tell when its work is done.
async fn until<F: Future<Output = bool>>(what: &str, mut look: impl FnMut() -> F) {
    let looking = async {
        while !look().await {
            tokio::task::yield_now().await;
        }
    };
    let long = seconds(60);
    tokio::time::timeout(long, looking)
        .await
        .unwrap_or_else(|_| panic!("never: {what}"));
}

async fn whoever_is_ended_stays_out_though_the_one_who_ended_them_hung_up() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    for point in 1..=POINTS {
        let (id, token) = app.open_session(&nora, NewRow::default()).await;
        let program = app.holding(&token);
        assert!(program.is_signed_in().await);
        hang_up(admin.delete(&format!("/api/v1/sessions/{id}")), point).await;
        until("the session ends", async || {
            app.stored(id).await.ended.is_some()
        })
        .await;
        until("its token is refused", async || {
            !program.is_signed_in().await
        })
        .await;
    }
}

async fn failures(admin: &Client, action: &str) -> u64 {
    let page = admin
        .get(&format!("/api/v1/audit?action={action}&page_size=10"))
        .await
        .ok();
    page["total"].as_u64().expect("a number")
}

async fn a_wrong_password_counts_though_nobody_waits_for_the_answer() {
    let (app, anonymous, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    for point in 1..=5 {
        let guess = json!({ "email": nora.email, "password": format!("a wrong guess {point}") });
        hang_up(anonymous.post("/api/v1/sign-in", guess), point).await;
    }
    until("the account is locked", async || {
        failures(&admin, "user.locked").await == 1
    })
    .await;
    assert_eq!(failures(&admin, "sign_in").await, 5);
    anonymous
        .sign_in(&nora)
        .await
        .problem(401, "sign_in_failed");
}

async fn a_thief_who_hangs_up_ends_the_session_all_the_same() {
    let (app, anonymous, _) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    for point in 1..=POINTS {
        let (id, first) = app.open_session(&nora, NewRow::default()).await;
        let honest = app.holding(&first);
        app.advance(minutes(6));
        assert!(honest.is_signed_in().await);
        assert!(honest.is_signed_in().await);
        app.advance(seconds(11));
        let stolen = || {
            let bearer = format!("Bearer {first}");
            anonymous.get("/api/v1/me").header("authorization", bearer)
        };
        hang_up(stolen(), point).await;
        stolen().await.problem(401, "unauthenticated");
        until("the honest one is out too", async || {
            !honest.is_signed_in().await
        })
        .await;
        assert_eq!(
            app.stored(id).await.ended.map(|(_, reason)| reason),
            Some(EndReason::TokenReuse)
        );
    }
}

async fn a_rotation_whose_client_hung_up_is_answered_again() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    for point in 1..=POINTS {
        let (id, token) = app.open_session(&nora, NewRow::default()).await;
        let program = app.holding(&token);
        assert!(program.is_signed_in().await);
        app.advance(minutes(6));
        hang_up(program.get("/api/v1/me"), point).await;
        assert!(program.is_signed_in().await, "{point}");
        assert!(program.is_signed_in().await, "{point}");
        assert_ne!(program.token(), Some(token));
        assert_eq!(app.stored(id).await.generation, 1, "{point}");
    }
}

async fn a_list_that_was_given_up_loses_no_activity() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    for point in 1..=POINTS {
        let (id, token) = app.open_session(&nora, NewRow::default()).await;
        app.advance(seconds(10));
        assert!(app.holding(&token).is_signed_in().await);
        let used_at = app.now();
        hang_up(admin.get("/api/v1/sessions"), point).await;
        app.advance(seconds(10));
        let page = admin.get(&format!("/api/v1/sessions/{id}")).await.ok();
        assert_eq!(
            page["last_activity_at"],
            json!(used_at.to_string()),
            "{point}"
        );
    }
}
