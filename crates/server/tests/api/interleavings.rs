//! Two requests about one session, woven into each other at every point where one of them waits: what
//! was ended stays ended, whichever was first.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::task::Poll;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use rollcall_core::{EndReason, SessionId};
use rollcall_server::clock::{OsRandom, Random, uuid_v7};
use rollcall_server::db;
use sha2::{Digest, Sha256};

use crate::support::{Answer, NewRow, TestApp, minutes, seconds};

both_databases!(
    whatever_the_order_a_revoked_session_stays_dead,
    activity_in_flight_revives_nothing,
    a_hundred_rotations_leave_ninety_nine_alarms,
);

// More than any of these requests waits for something.
const POINTS: usize = 10;

type Sent<'a> = Pin<Box<dyn Future<Output = Answer> + Send + 'a>>;

/// Lets a request go on until it has waited so many times, or is answered.
async fn advance(request: &mut Sent<'_>, waits: usize) -> Option<Answer> {
    let mut waited = 0;
    std::future::poll_fn(|context| {
        if waited == waits {
            return Poll::Ready(None);
        }
        waited += 1;
        request.as_mut().poll(context).map(Some)
    })
    .await
}

async fn whatever_the_order_a_revoked_session_stays_dead() {
    let (app, anon, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    for rotates_first in [true, false] {
        for point in 0..POINTS {
            let (id, token) = app.open_session(&nora, NewRow::default()).await;
            assert!(app.holding(&token).is_signed_in().await);
            app.advance(minutes(5));
            admin.get("/api/v1/me").await.ok();
            let bearer = format!("Bearer {token}");
            let path = format!("/api/v1/sessions/{id}");
            let mut rotate: Sent<'_> = anon
                .get("/api/v1/me")
                .header("authorization", &bearer)
                .into_future();
            let mut revoke: Sent<'_> = admin.delete(&path).into_future();
            let (revoked, rotated) = if rotates_first {
                let early = advance(&mut rotate, point).await;
                let revoked = revoke.await;
                (
                    revoked,
                    match early {
                        Some(answer) => answer,
                        None => rotate.await,
                    },
                )
            } else {
                let early = advance(&mut revoke, point).await;
                let rotated = rotate.await;
                (
                    match early {
                        Some(answer) => answer,
                        None => revoke.await,
                    },
                    rotated,
                )
            };
            revoked.done();
            assert!(matches!(rotated.status, 200 | 401), "{}", rotated.text());
            for dead in rotated.session_token().iter().chain([&token]) {
                assert!(!app.holding(dead).is_signed_in().await, "{point}");
            }
            let ended = app.stored(id).await.ended.map(|(_, reason)| reason);
            assert_eq!(ended, Some(EndReason::EndedByAdministrator), "{point}");
        }
    }
    let alarms = admin.get("/api/v1/audit?action=token.reused").await.ok();
    assert_eq!(alarms["total"], 0, "and no theft was seen in it");
}

async fn activity_in_flight_revives_nothing() {
    let (app, anon, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    for round in 0..2 * POINTS {
        let (id, token) = app.open_session(&nora, NewRow::default()).await;
        let program = app.holding(&token);
        assert!(program.is_signed_in().await);
        app.advance(seconds(1));
        let bearer = format!("Bearer {token}");
        let mut used: Sent<'_> = anon
            .get("/api/v1/me/sessions")
            .header("authorization", &bearer)
            .into_future();
        let early = advance(&mut used, round % POINTS).await;
        let service = app.service();
        let flush = tokio::spawn(async move { service.flush_activity().await });
        if round < POINTS {
            let path = format!("/api/v1/sessions/{id}");
            admin.delete(&path).await.done();
        } else {
            program.ask(Method::POST, "/api/v1/sign-out").await.done();
        }
        if early.is_none() {
            let late = used.await;
            assert!(matches!(late.status, 200 | 401), "{}", late.text());
        }
        flush
            .await
            .expect("no panic")
            .expect("the database answers");
        app.service()
            .flush_activity()
            .await
            .expect("the database answers");
        let stored = app.stored(id).await;
        let (ended_at, _) = stored.ended.expect("it stays ended");
        assert!(stored.last_activity_at <= ended_at, "{round}");
        assert!(!app.holding(&token).is_signed_in().await, "{round}");
    }
}

/// The token under another lineage.
fn moved(token: &str, lineage: &[u8; 16]) -> String {
    let mut bytes = URL_SAFE_NO_PAD.decode(&token[5..]).expect("base64url");
    bytes[..16].copy_from_slice(lineage);
    format!("rc_s_{}", URL_SAFE_NO_PAD.encode(bytes))
}

async fn a_hundred_rotations_leave_ninety_nine_alarms() {
    let (app, _, _) = TestApp::start()
        .with(&["--rotate-every", "10s"])
        .with_admin()
        .await;
    let nora = app.member().await;
    let (id, token) = app.open_session(&nora, NewRow::default()).await;
    let program = app.holding(&token);
    let mut tokens = vec![token];
    for _ in 0..100 {
        app.advance(seconds(11));
        assert!(program.is_signed_in().await);
        // Its first use.
        assert!(program.is_signed_in().await);
        tokens.push(program.token().expect("a token"));
    }
    app.service()
        .flush_activity()
        .await
        .expect("the database answers");
    let original = app.stored(id).await;
    assert_eq!(original.generation, 100);
    // Each of the old ones in a copy of the session, since the first theft ends it.
    for (index, old) in tokens[..99].iter().enumerate() {
        let mut lineage = [0; 16];
        OsRandom.fill(&mut lineage);
        let mut copy = original.clone();
        copy.id = SessionId(uuid_v7(&OsRandom, app.now()));
        copy.lineage_hash = Sha256::digest(lineage).into();
        let (copied, email) = (copy.id, nora.email.clone());
        app.side()
            .write(move |tx| Box::pin(async move { db::sessions::insert(tx, &copy, &email).await }))
            .await
            .expect("the copy is new");
        let current = app.holding(&moved(&tokens[100], &lineage));
        assert!(current.is_signed_in().await, "{index}");
        let thief = app.holding(&moved(old, &lineage));
        assert!(!thief.is_signed_in().await, "{index}");
        let ended = app.stored(copied).await.ended.map(|(_, reason)| reason);
        assert_eq!(ended, Some(EndReason::TokenReuse), "{index}");
        assert!(!current.is_signed_in().await, "{index}");
    }
    // The last one before is the predecessor, within its ten seconds.
    assert!(app.holding(&tokens[99]).is_signed_in().await);
    let admin = app.browser_of(&app.admin().await).await;
    let alarms = admin.get("/api/v1/audit?action=token.reused").await.ok();
    assert_eq!(alarms["total"], 99);
}
