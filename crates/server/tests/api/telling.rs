//! Receivers are told: signed, in order, until they have accepted it, each event once.

use std::collections::HashMap;

use futures_util::future::join_all;
use rollcall_core::SessionId;
use serde_json::{Value, json};

use crate::support::inbox::Inbox;
use crate::support::{Client, NewRow, Person, TestApp, hours, minutes, seconds};

both_databases!(
    an_end_is_told_with_a_signature_that_the_published_key_verifies,
    a_security_event_token_says_what_caep_asks_for,
    a_receiver_that_was_down_gets_every_event_once_and_in_order,
    waits_grow_and_never_exceed_fifteen_minutes,
    what_was_sent_and_not_marked_is_sent_again_with_the_same_id,
    two_who_send_at_once_send_each_event_once,
    a_redirect_is_no_acceptance_and_is_not_followed,
    whoever_answers_gone_is_paused,
    a_receiver_that_does_not_answer_holds_up_nobody,
    what_was_accepted_is_sent_again_only_when_somebody_says_so,
    accepted_events_are_kept_for_a_week_and_waiting_ones_until_they_are_accepted,
);

pub(crate) const DELIVERIES: &str = "/api/v1/integrations/deliveries";
const ALLOWED: [&str; 2] = ["--allow-outbound", "127.0.0.1"];

async fn start() -> (TestApp, Client, Person) {
    let (app, _, admin) = TestApp::start().with(&ALLOWED).with_admin().await;
    let nora = app.member().await;
    (app, admin, nora)
}

async fn open(app: &TestApp, person: &Person) -> (SessionId, Client) {
    let (id, token) = app.open_session(person, NewRow::default()).await;
    (id, app.holding(&token))
}

async fn sign_out(client: &Client) {
    client.post("/api/v1/sign-out", json!({})).await.done();
}

async fn tell(app: &TestApp) {
    app.service().tell_all().await.expect("it is reachable");
}

async fn deliveries(admin: &Client, query: &str) -> Vec<Value> {
    let path = format!("{DELIVERIES}?page_size=100&{query}");
    let page = admin.get(&path).await.ok();
    page["items"].as_array().expect("a list").clone()
}

async fn an_end_is_told_with_a_signature_that_the_published_key_verifies() {
    let (app, admin, nora) = start().await;
    // Whatever happens before there is a receiver is told to nobody.
    let (_, early) = open(&app, &nora).await;
    sign_out(&early).await;
    let inbox = Inbox::start().await;
    inbox.join(&admin, "billing", json!({})).await;
    let began = app.now();
    let (id, client) = open(&app, &nora).await;
    app.advance(seconds(5));
    sign_out(&client).await;
    let ended = app.now();
    assert!(inbox.heard().is_empty(), "a sign-out waits for nobody");
    app.advance(seconds(2));
    tell(&app).await;
    let heard = inbox.heard();
    assert_eq!(inbox.ids(), [format!("ended-{id}")]);
    let told = heard[0].webhook(&app).await;
    assert_eq!(
        told,
        json!({
            "type": "session.ended", "timestamp": ended.to_string(),
            "data": {
                "session": { "id": id, "kind": "console", "method": "password", "created_at": began.to_string() },
                "user": { "id": nora.id },
                "organisation": { "id": nora.organisation },
                "ended_at": ended.to_string(), "reason": "signed_out", "initiator": "user", "ended_by": nora.id,
            },
        })
    );
    // Accepted is accepted.
    app.advance(minutes(20));
    tell(&app).await;
    assert_eq!(inbox.heard().len(), 1);
    let confirmed = admin
        .get(&format!("/api/v1/integrations/confirmations?session={id}"))
        .await
        .ok();
    assert_eq!(
        confirmed,
        json!([{
            "session": id, "user": nora.id, "email": nora.email, "reason": "signed_out", "ended_at": ended.to_string(),
            "receivers": 1, "confirmed": 1, "confirmed_at": (ended + seconds(2)).to_string(), "milliseconds": 2_000,
        }])
    );
    let page = admin
        .get(&format!("/sessions/{id}"))
        .header("accept", "text/html")
        .await;
    assert!(page.text().contains("1 receiver, all within 2.0 s"));
}

async fn a_security_event_token_says_what_caep_asks_for() {
    let settings = ["--public-url", "https://rollcall.example"];
    let starting = TestApp::start().with(&ALLOWED).with(&settings);
    let (app, _, admin) = starting.with_admin().await;
    let nora = app.member().await;
    let (plain, named) = (Inbox::start().await, Inbox::start().await);
    let caep = json!({ "format": "caep", "events": ["session.created", "session.ended"] });
    plain.join(&admin, "plain", caep.clone()).await;
    let mut more = caep;
    more["audience"] = json!("https://hooks.example");
    more["tells_email"] = json!(true);
    named.join(&admin, "named", more).await;
    let (id, client) = open(&app, &nora).await;
    app.advance(seconds(3));
    let ended = app.now();
    let path = format!("/api/v1/sessions/{id}");
    let reason = json!({ "reason": "a lost phone" });
    admin.delete(&path).json(&reason).await.done();
    drop(client);
    app.advance(seconds(1));
    tell(&app).await;
    let heard = plain.heard();
    assert_eq!(
        plain.ids(),
        [format!("created-{id}"), format!("ended-{id}")]
    );
    let subject = json!({
        "format": "complex",
        "user": { "format": "iss_sub", "iss": "https://rollcall.example", "sub": nora.id },
        "session": { "format": "opaque", "id": id },
    });
    assert_eq!(
        heard[1].token(&app).await,
        json!({
            "iss": "https://rollcall.example", "aud": plain.url, "iat": app.now().0 / 1_000_000,
            "jti": format!("ended-{id}"), "txn": id, "sub_id": subject,
            "events": {
                "https://schemas.openid.net/secevent/caep/event-type/session-revoked": {
                    "event_timestamp": ended.0 / 1_000_000, "initiating_entity": "admin",
                    "reason_admin": { "en": "ended by an administrator (ended_by_administrator)" },
                    "reason_user": { "en": "ended by an administrator" },
                },
            },
        })
    );
    let began = heard[0].token(&app).await;
    let established = "https://schemas.openid.net/secevent/caep/event-type/session-established";
    assert_eq!(
        began["events"][established]["event_timestamp"],
        (ended - seconds(3)).0 / 1_000_000
    );
    let told = named.heard()[1].token(&app).await;
    assert_eq!(told["aud"], "https://hooks.example");
    assert_eq!(
        told["sub_id"]["user"],
        json!({ "format": "email", "email": nora.email })
    );
    // What an administrator has noted is for the people here.
    assert!(!told.to_string().contains("lost phone"));
    let place = "/.well-known/ssf-configuration";
    assert_eq!(
        app.anonymous().get(place).await.ok(),
        json!({
            "spec_version": "1_0", "issuer": "https://rollcall.example",
            "jwks_uri": "https://rollcall.example/.well-known/jwks.json",
            "delivery_methods_supported": ["urn:ietf:rfc:8935"], "default_subjects": "ALL",
        })
    );
}

async fn a_receiver_that_was_down_gets_every_event_once_and_in_order() {
    let (app, admin, nora) = start().await;
    let inbox = Inbox::start().await;
    let events = json!({ "events": ["session.created", "session.ended"] });
    let receiver = inbox.join(&admin, "billing", events).await;
    inbox.answer(503);
    let mut expected = Vec::new();
    for number in 0..10 {
        let (id, client) = open(&app, &nora).await;
        expected.push(format!("created-{id}"));
        if number % 2 == 0 {
            sign_out(&client).await;
            expected.push(format!("ended-{id}"));
        }
        app.advance(minutes(1));
        tell(&app).await;
    }
    let path = format!("/api/v1/integrations/receivers/{receiver}");
    let failing = admin.get(&path).await.ok();
    assert_eq!(failing["state"], "failing");
    assert_eq!(failing["waiting"], 15);
    assert_eq!(failing["failing_since"], "2026-11-22T09:01:00.000000Z");
    assert!(inbox.accepted().is_empty());
    assert!(
        !inbox.ids().iter().any(|id| id.starts_with("ended")),
        "no end before its beginning was accepted"
    );
    let tries = inbox.heard().len();
    assert!(tries < 12, "one that is down is not asked for each event");
    inbox.answer(200);
    app.advance(minutes(15));
    tell(&app).await;
    let mut accepted = inbox.accepted();
    for heard in inbox.heard().iter().filter(|one| one.status < 300) {
        heard.webhook(&app).await;
    }
    // In order for each session.
    let position = |id: &String| accepted.iter().position(|one| one == id);
    for id in expected.iter().filter(|id| id.starts_with("ended")) {
        let began = id.replace("ended", "created");
        assert!(position(&began) < position(id), "{id}");
    }
    accepted.sort();
    expected.sort();
    assert_eq!(accepted, expected, "each once");
    let back = admin.get(&path).await.ok();
    assert_eq!(back["state"], "delivering");
    assert_eq!(back["waiting"], 0);
    assert_eq!(back["failing_since"], Value::Null);
}

async fn waits_grow_and_never_exceed_fifteen_minutes() {
    let (app, admin, nora) = start().await;
    let inbox = Inbox::start().await;
    inbox.join(&admin, "billing", json!({})).await;
    inbox.answer(500);
    let (_, client) = open(&app, &nora).await;
    sign_out(&client).await;
    let mut waits = Vec::new();
    for tries in 1..=14 {
        tell(&app).await;
        let delivery = deliveries(&admin, "state=failing").await.remove(0);
        assert_eq!(delivery["attempts"], tries);
        assert_eq!(delivery["last_status"], 500);
        assert_eq!(delivery["failure"], "status");
        let next = delivery["next_try_at"].as_str().expect("a time");
        let next = rollcall_core::Timestamp::parse_rfc3339(next).expect("a time");
        let wait = next.micros_since(app.now());
        waits.push(wait);
        app.advance(std::time::Duration::from_micros(
            u64::try_from(wait).expect("it waits") - 1,
        ));
        tell(&app).await;
        assert_eq!(inbox.heard().len(), tries, "not before its time");
        app.advance(std::time::Duration::from_micros(1));
    }
    for (number, wait) in waits.iter().enumerate() {
        let usual = (1_000_000_i64 << number).min(900_000_000);
        assert!(*wait >= usual * 8 / 10, "{number}: {wait}");
        assert!(
            *wait <= (usual * 12 / 10).min(900_000_000),
            "{number}: {wait}"
        );
    }
    assert_eq!(
        inbox
            .ids()
            .iter()
            .collect::<std::collections::HashSet<_>>()
            .len(),
        1
    );
}

async fn what_was_sent_and_not_marked_is_sent_again_with_the_same_id() {
    let (app, admin, nora) = start().await;
    let inbox = Inbox::start().await;
    inbox.join(&admin, "billing", json!({})).await;
    let (id, client) = open(&app, &nora).await;
    sign_out(&client).await;
    // It has arrived, and the server is killed before it can write that down.
    inbox.hold();
    let service = app.service();
    let sending = tokio::spawn(async move { service.tell_all().await });
    inbox.wait_for(1).await;
    sending.abort();
    assert!(sending.await.expect_err("killed").is_cancelled());
    inbox.let_go();
    tell(&app).await;
    assert_eq!(inbox.heard().len(), 1, "somebody may still be sending it");
    app.restart().await;
    assert_eq!(app.service().release_claims().await, Ok(1));
    tell(&app).await;
    let expected = format!("ended-{id}");
    assert_eq!(inbox.ids(), [expected.clone(), expected]);
    assert_eq!(inbox.heard()[0].json(), inbox.heard()[1].json());
    tell(&app).await;
    assert_eq!(inbox.heard().len(), 2);
}

async fn two_who_send_at_once_send_each_event_once() {
    let (app, admin, nora) = start().await;
    let inbox = Inbox::start().await;
    let events = json!({ "events": ["session.created", "session.ended"] });
    inbox.join(&admin, "billing", events).await;
    let mut expected = Vec::new();
    for _ in 0..20 {
        let (id, client) = open(&app, &nora).await;
        sign_out(&client).await;
        expected.extend([format!("created-{id}"), format!("ended-{id}")]);
    }
    join_all((0..4).map(|_| tell(&app))).await;
    // What one of them held when the others looked.
    tell(&app).await;
    let mut heard = inbox.ids();
    heard.sort();
    expected.sort();
    assert_eq!(heard, expected);
}

async fn a_redirect_is_no_acceptance_and_is_not_followed() {
    let (app, admin, nora) = start().await;
    let (inbox, elsewhere) = (Inbox::start().await, Inbox::start().await);
    inbox.join(&admin, "billing", json!({})).await;
    inbox.point_to(&elsewhere.url);
    let (_, client) = open(&app, &nora).await;
    sign_out(&client).await;
    let mut tries = 0;
    for status in [301, 302, 307, 308] {
        inbox.answer(status);
        app.advance(minutes(15));
        tell(&app).await;
        tries += 1;
        assert_eq!(inbox.heard().len(), tries);
        let failing = deliveries(&admin, "state=failing").await;
        assert_eq!(failing[0]["last_status"], status);
    }
    // Neither is an answer that is too large, whatever its status says.
    inbox.answer(200);
    inbox.pad(2 * 1024 * 1024);
    app.advance(minutes(15));
    tell(&app).await;
    let failing = deliveries(&admin, "state=failing").await;
    assert_eq!(failing[0]["failure"], "too_large");
    assert_eq!(failing[0]["last_status"], Value::Null);
    assert!(elsewhere.heard().is_empty());
}

async fn whoever_answers_gone_is_paused() {
    let (app, admin, nora) = start().await;
    let inbox = Inbox::start().await;
    let receiver = inbox.join(&admin, "billing", json!({})).await;
    inbox.answer(410);
    let (id, client) = open(&app, &nora).await;
    sign_out(&client).await;
    tell(&app).await;
    let path = format!("/api/v1/integrations/receivers/{receiver}");
    let paused = admin.get(&path).await.ok();
    assert_eq!(
        (&paused["state"], &paused["gone"], &paused["waiting"]),
        (&json!("paused"), &json!(true), &json!(1))
    );
    let events = admin.get("/api/v1/audit?action=receiver.paused").await.ok();
    assert_eq!(events["total"], 1);
    assert_eq!(events["items"][0]["actor"], Value::Null);
    // It is told nothing, and of what happens now it never will be.
    let (_, client) = open(&app, &nora).await;
    sign_out(&client).await;
    app.advance(hours(1));
    tell(&app).await;
    assert_eq!(inbox.heard().len(), 1);
    inbox.answer(204);
    let admin = app.browser_of(&app.admin().await).await;
    let resumed = admin.post(&format!("{path}/resume"), json!({})).await.ok();
    assert_eq!(resumed["state"], "failing", "until it accepts something");
    tell(&app).await;
    assert_eq!(admin.get(&path).await.ok()["state"], "delivering");
    assert_eq!(inbox.accepted(), [format!("ended-{id}")]);
}

async fn a_receiver_that_does_not_answer_holds_up_nobody() {
    let (app, admin, nora) = start().await;
    let (slow, quick) = (Inbox::start().await, Inbox::start().await);
    slow.join(&admin, "slow", json!({})).await;
    quick.join(&admin, "quick", json!({})).await;
    slow.hold();
    let service = app.service();
    let telling = tokio::spawn(async move { service.keep_telling().await });
    for number in 1..=5 {
        let (_, client) = open(&app, &nora).await;
        sign_out(&client).await;
        quick.wait_for(number).await;
    }
    slow.wait_for(1).await;
    // What an epoch ends is told at once, too, though no sweep was asked for.
    let (others, _) = open(&app, &nora).await;
    let scope = json!({ "scope": "user", "id": nora.id });
    admin.post("/api/v1/sessions/end-all", scope).await.ok();
    quick.wait_for(6).await;
    assert!(quick.ids().contains(&format!("ended-{others}")));
    telling.abort();
    slow.let_go();
    assert!(telling.await.expect_err("stopped").is_cancelled());
}

async fn what_was_accepted_is_sent_again_only_when_somebody_says_so() {
    let (app, admin, nora) = start().await;
    let inbox = Inbox::start().await;
    inbox.join(&admin, "billing", json!({})).await;
    let (id, client) = open(&app, &nora).await;
    sign_out(&client).await;
    tell(&app).await;
    let accepted = deliveries(&admin, "state=accepted").await.remove(0);
    app.advance(minutes(5));
    let path = format!("{DELIVERIES}/{}/replay", accepted["id"]);
    let again = admin.post(&path, json!({})).await.ok();
    assert_eq!(again["state"], "waiting");
    tell(&app).await;
    let expected = format!("ended-{id}");
    assert_eq!(inbox.ids(), [expected.clone(), expected]);
    let all = deliveries(&admin, "").await;
    assert_eq!(all.len(), 1);
    assert_eq!(
        all[0]["accepted_at"], accepted["accepted_at"],
        "the first time counts"
    );
    let replayed = admin.get("/api/v1/audit?action=delivery.replayed").await;
    assert_eq!(replayed.ok()["total"], 1);
    let unknown = format!("{DELIVERIES}/999999/replay");
    admin
        .post(&unknown, json!({}))
        .await
        .problem(404, "not_found");
}

async fn accepted_events_are_kept_for_a_week_and_waiting_ones_until_they_are_accepted() {
    let (app, admin, nora) = start().await;
    let (here, away) = (Inbox::start().await, Inbox::start().await);
    here.join(&admin, "here", json!({})).await;
    away.join(&admin, "away", json!({})).await;
    away.answer(500);
    let (_, client) = open(&app, &nora).await;
    sign_out(&client).await;
    tell(&app).await;
    let mut left = HashMap::new();
    for days in [6, 8] {
        app.advance(hours(24 * days));
        app.service().purge().await.expect("the database answers");
        let admin = app.browser_of(&app.admin().await).await;
        left.insert(days, deliveries(&admin, "").await.len());
    }
    assert_eq!(left, HashMap::from([(6, 2), (8, 1)]));
    away.answer(200);
    app.advance(minutes(15));
    tell(&app).await;
    assert_eq!(away.accepted().len(), 1);
}
