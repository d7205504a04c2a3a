//! What users have to keep to: limits, timeouts and locks, by installation, organisation and role.

use futures_util::future::join_all;
use http::Method;
use rollcall_core::BuiltInRole;
use rollcall_server::db;
use serde_json::{Value, json};

use crate::support::{Answer, Client, NewRow, PASSWORD, Person, TestApp, hours, minutes, seconds};

both_databases!(
    two_hundred_sign_ins_at_once_never_exceed_a_limit,
    the_session_that_was_not_used_for_the_longest_time_makes_room,
    a_user_who_may_choose_is_shown_what_is_open_and_names_what_ends,
    a_sign_in_from_a_second_address_waits_until_the_first_session_ends,
    a_sign_in_in_the_same_browser_takes_its_own_place,
    service_accounts_are_exempt_where_it_is_set,
    the_nearest_value_applies_and_says_where_it_comes_from,
    timeouts_locks_and_lengths_follow_the_policy,
    a_lock_is_shown_until_the_policy_of_its_place_opens_it,
    ended_sessions_are_kept_as_long_as_their_place_says,
    failures_of_an_address_are_limited_as_policy_says,
    a_value_that_makes_no_sense_is_named_and_nothing_is_set,
    nobody_sets_what_another_organisation_keeps_to,
    what_would_happen_is_said_before,
    sessions_beyond_changed_timeouts_are_counted_beforehand,
);

const POLICY: &str = "/api/v1/policy";

async fn set(client: &Client, change: Value) -> Answer {
    client.ask(Method::PATCH, POLICY).json(&change).await
}

fn value(policy: &Value, rule: &str) -> (Value, Value) {
    let entries = policy["values"].as_array().expect("values");
    let entry = entries
        .iter()
        .find(|entry| entry["rule"] == rule)
        .expect("every rule is there");
    (entry["value"].clone(), entry["source"].clone())
}

async fn live(admin: &Client, person: &Person) -> Vec<Value> {
    let page = admin
        .get(&format!(
            "/api/v1/sessions?state=active&page_size=100&q={}",
            person.email
        ))
        .await
        .ok();
    page["items"].as_array().expect("a list").clone()
}

fn credentials(person: &Person) -> Value {
    json!({ "email": person.email, "password": PASSWORD, "token": true })
}

async fn two_hundred_sign_ins_at_once_never_exceed_a_limit() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    for way in ["refuse", "end_oldest", "choose"] {
        set(
            &admin,
            json!({ "values": { "most_sessions": 5, "when_full": way } }),
        )
        .await
        .ok();
        // Eleven at a time, since more would be told to wait: attempts on one account take turns.
        let mut opened = 0;
        for _ in 0..19 {
            let clients: Vec<_> = (0..11).map(|_| app.anonymous()).collect();
            let answers =
                join_all(clients.iter().map(|client| async {
                    client.post("/api/v1/sign-in", credentials(&nora)).await
                }))
                .await;
            for answer in answers {
                match answer.status {
                    200 => opened += 1,
                    409 => {
                        answer.problem(409, "session_limit");
                    }
                    status => assert_eq!(status, 429, "{way}: {}", answer.text()),
                }
            }
            assert!(live(&admin, &nora).await.len() <= 5, "{way}");
        }
        assert_eq!(live(&admin, &nora).await.len(), 5, "{way}");
        assert!(opened >= 5 || way != "refuse", "{way}: {opened}");
        admin
            .delete(&format!("/api/v1/users/{}/sessions", nora.id))
            .await
            .done();
    }
}

async fn the_session_that_was_not_used_for_the_longest_time_makes_room() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    set(
        &admin,
        json!({ "values": { "most_sessions": 2, "when_full": "end_oldest" } }),
    )
    .await
    .ok();
    let (older, old_token) = app.open_session(&nora, NewRow::default()).await;
    app.advance(minutes(1));
    let (newer, new_token) = app.open_session(&nora, NewRow::default()).await;
    app.advance(minutes(1));
    // Used last, though it began first.
    assert!(app.holding(&old_token).is_signed_in().await);
    app.advance(seconds(1));
    let third = app.browser();
    third.sign_in(&nora).await.ok();
    assert!(app.holding(&old_token).is_signed_in().await);
    assert!(!app.holding(&new_token).is_signed_in().await);
    assert!(third.is_signed_in().await);
    let row = admin.get(&format!("/api/v1/sessions/{newer}")).await.ok();
    assert_eq!(row["ended"]["reason"], "limit");
    assert!(app.stored(older).await.ended.is_none());
    let told = admin
        .get(&format!(
            "/api/v1/audit?session={newer}&action=session.ended"
        ))
        .await
        .ok();
    assert_eq!(told["items"][0]["detail"], "limit");
}

async fn a_user_who_may_choose_is_shown_what_is_open_and_names_what_ends() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let max = app
        .user(nora.organisation, BuiltInRole::Member, "max@acme.test")
        .await;
    set(
        &admin,
        json!({ "values": { "most_sessions": 2, "when_full": "choose" } }),
    )
    .await
    .ok();
    let (first, _) = app.open_session(&nora, NewRow::default()).await;
    let (second, _) = app.open_session(&nora, NewRow::default()).await;
    let (others, _) = app.open_session(&max, NewRow::default()).await;
    let program = app.anonymous();
    let answer = program.post("/api/v1/sign-in", credentials(&nora)).await;
    let problem = answer.problem(409, "session_limit");
    let mut ids: Vec<_> = problem["sessions"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|session| session["id"].as_str().expect("an id").to_owned())
        .collect();
    ids.sort();
    let mut expected = [first.to_string(), second.to_string()];
    expected.sort();
    assert_eq!(ids, expected);
    // A wrong password is shown nothing.
    let wrong = json!({ "email": nora.email, "password": "not this one at all" });
    let refused = program.post("/api/v1/sign-in", wrong).await;
    assert_eq!(
        refused.problem(401, "sign_in_failed")["sessions"],
        Value::Null
    );
    // Somebody else's session makes no room.
    let with = |ids: Value| {
        let mut body = credentials(&nora);
        body["end"] = ids;
        body
    };
    program
        .post("/api/v1/sign-in", with(json!([others])))
        .await
        .problem(409, "session_limit");
    assert!(app.stored(others).await.ended.is_none());
    program
        .post("/api/v1/sign-in", with(json!([second])))
        .await
        .ok();
    assert!(app.stored(first).await.ended.is_none());
    assert!(app.stored(second).await.ended.is_some());
    // Where users may not choose, nothing is listed, and naming ends nothing.
    set(&admin, json!({ "values": { "when_full": "refuse" } }))
        .await
        .ok();
    let answer = program.post("/api/v1/sign-in", with(json!([first]))).await;
    assert_eq!(
        answer.problem(409, "session_limit")["sessions"],
        Value::Null
    );
    assert!(app.stored(first).await.ended.is_none());
}

async fn a_sign_in_from_a_second_address_waits_until_the_first_session_ends() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    set(&admin, json!({ "values": { "one_address": true } }))
        .await
        .ok();
    let here = app.browser().at("203.0.113.7");
    here.sign_in(&nora).await.ok();
    app.browser().at("203.0.113.7").sign_in(&nora).await.ok();
    let there = app.browser().at("198.51.100.9");
    let problem = there.sign_in(&nora).await.problem(409, "other_address");
    let words = problem["detail"].as_str().expect("words");
    assert!(
        words.contains("Sign out there, or ask an administrator"),
        "{words}"
    );
    // It was no wrong password, and it is told.
    let told = admin
        .get("/api/v1/audit?action=sign_in&outcome=refused")
        .await
        .ok();
    assert_eq!(told["items"][0]["detail"], "other_address");
    admin
        .delete(&format!("/api/v1/users/{}/sessions", nora.id))
        .await
        .done();
    there.sign_in(&nora).await.ok();
    assert!(there.is_signed_in().await && !here.is_signed_in().await);
    // One IPv6 network is one address.
    admin
        .delete(&format!("/api/v1/users/{}/sessions", nora.id))
        .await
        .done();
    app.browser()
        .at("2001:db8:1:2::1")
        .sign_in(&nora)
        .await
        .ok();
    app.browser()
        .at("2001:db8:1:2::ffff")
        .sign_in(&nora)
        .await
        .ok();
    app.browser()
        .at("2001:db8:1:3::1")
        .sign_in(&nora)
        .await
        .problem(409, "other_address");
}

async fn a_sign_in_in_the_same_browser_takes_its_own_place() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    set(&admin, json!({ "values": { "most_sessions": 1 } }))
        .await
        .ok();
    let browser = app.browser();
    browser.sign_in(&nora).await.ok();
    browser.sign_in(&nora).await.ok();
    assert!(browser.is_signed_in().await);
    assert_eq!(live(&admin, &nora).await.len(), 1);
    app.browser()
        .sign_in(&nora)
        .await
        .problem(409, "session_limit");
}

async fn service_accounts_are_exempt_where_it_is_set() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    app.sql("UPDATE \"user\" SET service_account = true WHERE email = 'nora@acme.test'")
        .await;
    let limits = json!({ "values": { "most_sessions": 1, "one_address": true } });
    set(&admin, limits).await.ok();
    app.anonymous()
        .post("/api/v1/sign-in", credentials(&nora))
        .await
        .ok();
    app.anonymous()
        .post("/api/v1/sign-in", credentials(&nora))
        .await
        .problem(409, "session_limit");
    set(
        &admin,
        json!({ "values": { "exempt_service_accounts": true } }),
    )
    .await
    .ok();
    app.anonymous()
        .at("198.51.100.9")
        .post("/api/v1/sign-in", credentials(&nora))
        .await
        .ok();
}

async fn the_nearest_value_applies_and_says_where_it_comes_from() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let acme = nora.organisation;
    let start = admin.get(POLICY).await.ok();
    assert_eq!(value(&start, "most_sessions"), (json!(0), json!("server")));
    assert_eq!(
        value(&start, "idle_timeout_seconds"),
        (json!(1_800), json!("server"))
    );
    assert_eq!(
        value(&start, "when_full"),
        (json!("refuse"), json!("server"))
    );
    set(&admin, json!({ "values": { "most_sessions": 9 } }))
        .await
        .ok();
    set(
        &admin,
        json!({ "organisation": acme, "values": { "most_sessions": 3 } }),
    )
    .await
    .ok();
    set(
        &admin,
        json!({ "organisation": acme, "role": "member", "values": { "most_sessions": 1 } }),
    )
    .await
    .ok();
    for (query, expected) in [
        (String::new(), (json!(9), json!("installation"))),
        (
            format!("?organisation={acme}"),
            (json!(3), json!("organisation")),
        ),
        (
            format!("?organisation={acme}&role=member"),
            (json!(1), json!("role")),
        ),
        (
            format!("?organisation={acme}&role=administrator"),
            (json!(3), json!("organisation")),
        ),
    ] {
        let policy = admin.get(&format!("{POLICY}{query}")).await.ok();
        assert_eq!(value(&policy, "most_sessions"), expected, "{query}");
    }
    // A user's own page says the same, to whoever may see the user.
    let ada = app.administrator_beside(&nora).await;
    let ada = app.browser_of(&ada).await;
    let hers = ada
        .get(&format!("/api/v1/users/{}/policy", nora.id))
        .await
        .ok();
    assert_eq!(value(&hers, "most_sessions"), (json!(1), json!("role")));
    assert_eq!(
        value(&hers, "idle_timeout_seconds"),
        (json!(1_800), json!("server"))
    );
    let page = ada
        .get(&format!("/users/{}", nora.id))
        .header("accept", "text/html")
        .await;
    assert!(page.text().contains("set for the role"));
    app.browser().sign_in(&nora).await.ok();
    app.browser()
        .sign_in(&nora)
        .await
        .problem(409, "session_limit");
    // Taken away, what is set more widely applies.
    set(
        &admin,
        json!({ "organisation": acme, "role": "member", "values": { "most_sessions": null } }),
    )
    .await
    .ok();
    app.browser().sign_in(&nora).await.ok();
    let told = admin.get("/api/v1/audit?action=policy.changed").await.ok();
    assert_eq!(
        told["items"][0]["detail"],
        "most_sessions: as elsewhere for member"
    );
    assert_eq!(told["items"][1]["detail"], "most_sessions: 1 for member");
    assert_eq!(told["total"], 4);
}

async fn timeouts_locks_and_lengths_follow_the_policy() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    set(
        &admin,
        json!({ "organisation": nora.organisation, "values": {
            "idle_timeout_seconds": 600, "absolute_timeout_seconds": 3_600, "lock_after": 3,
            "unlock_after_seconds": 900, "password_min_length": 20,
        } }),
    )
    .await
    .ok();
    let browser = app.browser();
    let session = browser.sign_in(&nora).await.ok()["session"].clone();
    assert_eq!(session["idle_timeout_seconds"], 600);
    app.advance(seconds(599));
    assert!(browser.is_signed_in().await);
    app.advance(seconds(601));
    assert!(!browser.is_signed_in().await);
    // The administrator is of another organisation, and keeps to the server's own values.
    assert!(admin.is_signed_in().await);
    let short = json!({ "current_password": PASSWORD, "new_password": "nineteen letters ok" });
    let browser = app.browser_of(&nora).await;
    browser
        .post("/api/v1/me/password", short)
        .await
        .field("new_password");
    for _ in 0..3 {
        app.browser()
            .sign_in_as(&nora.email, "not this one at all")
            .await
            .problem(401, "sign_in_failed");
    }
    app.browser()
        .sign_in(&nora)
        .await
        .problem(401, "sign_in_failed");
    app.advance(minutes(15));
    app.browser().sign_in(&nora).await.ok();
}

async fn a_value_that_makes_no_sense_is_named_and_nothing_is_set() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    for (change, field) in [
        (json!({}), "values"),
        (json!({ "values": { "colour": 1 } }), "colour"),
        (
            json!({ "values": { "most_sessions": -1 } }),
            "most_sessions",
        ),
        (
            json!({ "values": { "most_sessions": 1.5 } }),
            "most_sessions",
        ),
        (
            json!({ "values": { "most_sessions": "5" } }),
            "most_sessions",
        ),
        (json!({ "values": { "one_address": 1 } }), "one_address"),
        (json!({ "values": { "when_full": "explode" } }), "when_full"),
        (json!({ "values": { "when_full": 1 } }), "when_full"),
        (
            json!({ "values": { "most_sessions": 5, "idle_timeout_seconds": 0 } }),
            "idle_timeout_seconds",
        ),
        // Idle for longer than it can live: one of the two is a mistake.
        (
            json!({ "values": { "idle_timeout_seconds": 90_000 } }),
            "idle_timeout_seconds",
        ),
        (
            json!({ "role": "member", "values": { "most_sessions": 5 } }),
            "organisation",
        ),
        (
            json!({ "organisation": nora.organisation, "role": "wizard", "values": { "most_sessions": 5 } }),
            "role",
        ),
        (json!({ "organisation": "x", "values": {} }), "organisation"),
    ] {
        admin
            .post(&format!("{POLICY}/preview"), change.clone())
            .await
            .field(field);
        set(&admin, change).await.field(field);
    }
    admin
        .get(&format!("{POLICY}?organisation=x"))
        .await
        .field("organisation");
    admin
        .get(&format!("{POLICY}?colour=x"))
        .await
        .field("colour");
    let policy = admin.get(POLICY).await.ok();
    for entry in policy["values"].as_array().expect("values") {
        assert_eq!(entry["source"], "server", "{entry}");
    }
}

async fn nobody_sets_what_another_organisation_keeps_to() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let ada = app.administrator_beside(&nora).await;
    let globex = app.organisation("Globex").await;
    let manager = app.browser_of(&ada).await;
    // Who names no organisation means the own one.
    set(&manager, json!({ "values": { "most_sessions": 4 } }))
        .await
        .ok();
    let own = admin
        .get(&format!("{POLICY}?organisation={}", nora.organisation))
        .await
        .ok();
    assert_eq!(
        value(&own, "most_sessions"),
        (json!(4), json!("organisation"))
    );
    let all = admin.get(POLICY).await.ok();
    assert_eq!(value(&all, "most_sessions"), (json!(0), json!("server")));
    let foreign = json!({ "organisation": globex, "values": { "most_sessions": 1 } });
    set(&manager, foreign.clone())
        .await
        .problem(404, "not_found");
    manager
        .get(&format!("{POLICY}?organisation={globex}"))
        .await
        .problem(404, "not_found");
    manager
        .post(&format!("{POLICY}/preview"), foreign)
        .await
        .problem(404, "not_found");
    let member = app.browser_of(&nora).await;
    set(&member, json!({ "values": { "most_sessions": 100 } }))
        .await
        .problem(403, "forbidden");
    member.get(POLICY).await.problem(403, "forbidden");
    let told = admin.get("/api/v1/audit?action=policy.changed").await.ok();
    let outcomes: Vec<_> = told["items"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|event| event["outcome"].clone())
        .collect();
    assert_eq!(outcomes, ["not_permitted", "not_found", "success"]);
}

async fn what_would_happen_is_said_before() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    for _ in 0..3 {
        app.open_session(&nora, NewRow::default()).await;
    }
    let ask = |most: u32| json!({ "organisation": nora.organisation, "values": { "most_sessions": most } });
    for (most, over) in [(3, 0), (2, 1), (0, 0)] {
        let preview = admin
            .post(&format!("{POLICY}/preview"), ask(most))
            .await
            .ok();
        assert_eq!(preview["users_over_the_limit"], over, "{most}");
        assert_eq!(preview["sessions_beyond"], json!({}));
    }
    let policy = admin.get(POLICY).await.ok();
    assert_eq!(value(&policy, "most_sessions"), (json!(0), json!("server")));
}

async fn sessions_beyond_changed_timeouts_are_counted_beforehand() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    for keep in [false, false, true] {
        let row = NewRow {
            keep,
            ..NewRow::default()
        };
        app.open_session(&nora, row).await;
    }
    app.advance(minutes(10));
    app.open_session(&nora, NewRow::default()).await;
    let ask = async |place: Value, values: Value| {
        let mut body = json!({ "values": values });
        body["organisation"] = place["organisation"].clone();
        body["role"] = place["role"].clone();
        admin.post(&format!("{POLICY}/preview"), body).await
    };
    let beyond = async |place: &Value, values: Value| {
        ask(place.clone(), values).await.ok()["sessions_beyond"].clone()
    };
    let home = json!({ "organisation": nora.organisation });
    let shorter = json!({
        "idle_timeout_seconds": 300, "absolute_timeout_seconds": 601, "keep_absolute_timeout_seconds": 600,
        "keep_idle_timeout_seconds": 600,
    });
    let counted = json!({
        "idle_timeout_seconds": 2, "absolute_timeout_seconds": 0, "keep_absolute_timeout_seconds": 1,
        "keep_idle_timeout_seconds": 1,
    });
    assert_eq!(beyond(&home, shorter.clone()).await, counted);
    let elsewhere = json!({ "organisation": app.organisation("Globex").await });
    assert_eq!(
        beyond(&elsewhere, json!({ "idle_timeout_seconds": 60 })).await,
        json!({ "idle_timeout_seconds": 0 })
    );
    // Nothing was set, so nothing has ended and what is asked again is the same; what stays as it is is not counted.
    assert_eq!(live(&admin, &nora).await.len(), 4);
    assert_eq!(
        beyond(&home, json!({ "idle_timeout_seconds": 1800 })).await,
        json!({})
    );
    ask(home.clone(), json!({ "idle_timeout_seconds": 90_000 }))
        .await
        .field("idle_timeout_seconds");
    // What is set more narrowly goes before it.
    let role = json!({ "organisation": nora.organisation, "role": BuiltInRole::Member.key(), "values": { "idle_timeout_seconds": 1200 } });
    set(&admin, role.clone()).await.ok();
    assert_eq!(
        beyond(&home, json!({ "idle_timeout_seconds": 300 })).await,
        json!({ "idle_timeout_seconds": 0 })
    );
    assert_eq!(
        beyond(&role, json!({ "idle_timeout_seconds": 300 })).await,
        json!({ "idle_timeout_seconds": 2 })
    );
    // Taken away, what is set more widely would apply again.
    set(&admin, json!({ "values": { "idle_timeout_seconds": 240 } }))
        .await
        .ok();
    assert_eq!(
        beyond(&role, json!({ "idle_timeout_seconds": null })).await,
        json!({ "idle_timeout_seconds": 2 })
    );
}

async fn a_lock_is_shown_until_the_policy_of_its_place_opens_it() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let other = app.organisation("Other").await;
    let max = app.user(other, BuiltInRole::Member, "max@other.test").await;
    set(
        &admin,
        json!({ "organisation": nora.organisation, "values": { "unlock_after_seconds": 900 } }),
    )
    .await
    .ok();
    for person in [&nora, &max] {
        for _ in 0..5 {
            app.anonymous()
                .sign_in_as(&person.email, "not this one at all")
                .await;
        }
    }
    let locked = async || {
        let page = admin
            .get("/api/v1/users?state=locked&sort=email")
            .await
            .ok();
        let items = page["items"].as_array().expect("a list").clone();
        assert_eq!(page["total"], items.len());
        items
            .iter()
            .map(|user| user["email"].as_str().expect("an e-mail").to_owned())
            .collect::<Vec<_>>()
    };
    let state = async |person: &Person| {
        let user = admin
            .get(&format!("/api/v1/users/{}", person.id))
            .await
            .ok();
        user["locked_at"] != Value::Null
    };
    assert_eq!(locked().await, [max.email.as_str(), nora.email.as_str()]);
    assert!(state(&nora).await && state(&max).await);
    app.advance(minutes(16));
    assert_eq!(locked().await, [max.email.as_str()]);
    assert!(!state(&nora).await && state(&max).await);
    app.browser().sign_in(&nora).await.ok();
    // What a role says goes before its organisation, and 0 is never.
    admin.reauthenticate().await;
    for _ in 0..5 {
        app.anonymous()
            .sign_in_as(&nora.email, "not this one at all")
            .await;
    }
    set(
        &admin,
        json!({ "organisation": nora.organisation, "role": "member", "values": { "unlock_after_seconds": 0 } }),
    )
    .await
    .ok();
    app.advance(minutes(20));
    assert_eq!(locked().await, [max.email.as_str(), nora.email.as_str()]);
}

async fn ended_sessions_are_kept_as_long_as_their_place_says() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let boss = app
        .user(
            nora.organisation,
            BuiltInRole::Administrator,
            "boss@acme.test",
        )
        .await;
    let other = app.organisation("Other").await;
    let max = app.user(other, BuiltInRole::Member, "max@other.test").await;
    let acme = |role: Option<&str>, seconds: u64| json!({ "organisation": nora.organisation, "role": role, "values": { "retention_seconds": seconds } });
    set(&admin, acme(None, 86_400)).await.ok();
    set(&admin, acme(Some("administrator"), 864_000)).await.ok();
    let mut ids = Vec::new();
    for person in [&nora, &boss, &max] {
        ids.push(app.open_session(person, NewRow::default()).await.0);
        admin
            .delete(&format!("/api/v1/users/{}/sessions", person.id))
            .await
            .done();
    }
    let kept = async || {
        let mut kept = Vec::new();
        for id in &ids {
            let found = db::sessions::find(app.side().reader(), *id).await;
            kept.push(found.expect("the database answers").is_some());
        }
        kept
    };
    app.service().sweep().await.expect("the database answers");
    app.advance(hours(23));
    assert_eq!(app.service().purge().await, Ok(0));
    app.advance(hours(2));
    assert_eq!(app.service().purge().await, Ok(1));
    assert_eq!(kept().await, [false, true, true]);
    app.advance(hours(24 * 10));
    app.service().purge().await.expect("the database answers");
    assert_eq!(kept().await, [false, false, true]);
    app.advance(hours(24 * 80));
    app.service().purge().await.expect("the database answers");
    assert_eq!(kept().await, [false, false, false]);
}

async fn failures_of_an_address_are_limited_as_policy_says() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let limit = |organisation: Value, failures: Value| json!({ "organisation": organisation, "values": { "failure_limit": failures, "lock_after": 50 } });
    // An address belongs to no organisation.
    let refused = set(&admin, limit(json!(nora.organisation), json!(3))).await;
    refused.field("failure_limit");
    set(&admin, limit(Value::Null, json!(3))).await.ok();
    let guess = async |address: &str| {
        let client = app.anonymous().at(address);
        client
            .sign_in_as(&nora.email, "not this one at all")
            .await
            .status
    };
    for expected in [401, 401, 401, 429] {
        assert_eq!(guess("198.51.100.1").await, expected);
    }
    // It is there after a restart, and an administrator can take it back.
    app.restart().await;
    for expected in [401, 401, 401, 429] {
        assert_eq!(guess("198.51.100.2").await, expected);
    }
    set(&admin, limit(Value::Null, Value::Null)).await.ok();
    for _ in 0..4 {
        assert_eq!(guess("198.51.100.3").await, 401);
    }
}
