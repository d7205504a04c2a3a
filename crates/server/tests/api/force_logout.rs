//! Force logout: all sessions, executions and clients of a user, at once.

use rollcall_core::{BuiltInRole, Permission as P, Permissions};
use serde_json::json;

use crate::support::{TestApp, start, state_of};

both_databases!(
    everything_of_a_user_ends_at_once_and_is_told,
    an_idle_user_has_nothing_that_stops,
    it_needs_the_permission_within_reach,
    logging_oneself_out_signs_out,
);

async fn everything_of_a_user_ends_at_once_and_is_told() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let permissions = Permissions::of(&[P::ExecutionsStartFor]);
    let role = app.role(nora.organisation, "Scheduler", permissions).await;
    let cron = app
        .user(nora.organisation, BuiltInRole::Member, "cron@acme.test")
        .await;
    app.give(&cron, &[&role.0]).await;
    let (_, secret) = app
        .api_key(&cron, &[P::ClientsRegister, P::ExecutionsStartFor])
        .await;
    let key = app.holding(&secret);
    let elsewhere = app.register(&key).await;
    let body = json!({ "artefact_id": "TS-9", "user": nora.id, "client": elsewhere.id, "source": "scheduler" });
    let for_nora = start(&key, body).await;
    let of_cron = elsewhere.start("TS-10").await;
    let mut told = elsewhere.listen().await;
    let runner = app.runner(&nora).await;
    let mut closed = runner.listen().await;
    let (one, two) = (runner.start("TC-1").await, runner.start("TC-2").await);
    let browser = app.browser_of(&nora).await;
    let live = admin
        .get(&format!("/api/v1/sessions?state=active&user={}", nora.id))
        .await
        .ok()["total"]
        .clone();
    let path = format!("/api/v1/users/{}/force-logout", nora.id);
    let done = admin
        .post(&path, json!({ "reason": "left the company" }))
        .await
        .ok();
    assert_eq!(done["ended"], live);
    assert_eq!(done["clients"], 1);
    let mut stopped: Vec<_> = done["executions"]
        .as_array()
        .expect("executions")
        .iter()
        .map(|one| one["id"].as_str().expect("an id").to_owned())
        .collect();
    let mut expected = vec![for_nora.clone(), one, two];
    stopped.sort();
    expected.sort();
    assert_eq!(stopped, expected);
    assert!(!browser.is_signed_in().await && !runner.client.is_signed_in().await);
    for id in &expected {
        assert_eq!(state_of(&admin, id).await, "terminated");
    }
    let last = json!({ "command": "disconnect", "reason": "ended_by_administrator" });
    assert_eq!(closed.next().await, Some(last));
    // The client of another stays, and is told what to stop.
    let stop = json!({ "command": "terminate", "execution": for_nora });
    assert_eq!(told.next().await, Some(stop));
    assert_eq!(state_of(&admin, &of_cron).await, "running");
    assert!(elsewhere.client.is_signed_in().await);
    let events = admin.get("/api/v1/audit?action=user.forced_out").await.ok();
    assert_eq!(events["total"], 1);
    assert_eq!(events["items"][0]["target"]["email"], nora.email);
    assert_eq!(
        events["items"][0]["detail"],
        format!("{live} sessions, 3 executions, 1 clients: left the company")
    );
    let terminated = admin
        .get("/api/v1/audit?action=execution.terminated")
        .await
        .ok();
    assert_eq!(terminated["total"], 3);
}

async fn an_idle_user_has_nothing_that_stops() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let browser = app.browser_of(&nora).await;
    let path = format!("/api/v1/users/{}/force-logout", nora.id);
    let done = admin.ask(http::Method::POST, &path).await.ok();
    assert_eq!(
        (&done["ended"], &done["executions"]),
        (&json!(1), &json!([]))
    );
    assert!(!browser.is_signed_in().await);
    // Once more ends nothing and is no mistake.
    let again = admin.post(&path, json!({})).await.ok();
    assert_eq!(again["ended"], 0);
}

async fn it_needs_the_permission_within_reach() {
    let (app, anon, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let eve = app.stranger().await;
    let browser = app.browser_of(&eve).await;
    let ada = app.administrator_beside(&nora).await;
    let ada = app.browser_of(&ada).await;
    let path = format!("/api/v1/users/{}/force-logout", eve.id);
    ada.post(&path, json!({})).await.problem(404, "not_found");
    app.browser_of(&nora)
        .await
        .post(&path, json!({}))
        .await
        .problem(403, "forbidden");
    anon.post(&path, json!({}))
        .await
        .problem(401, "unauthenticated");
    assert!(browser.is_signed_in().await);
    let events = admin.get("/api/v1/audit?action=user.forced_out").await.ok();
    let outcomes: Vec<_> = events["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|one| one["outcome"].clone())
        .collect();
    assert_eq!(outcomes, [json!("not_permitted"), json!("not_found")]);
    admin
        .post(&path, json!({ "reason": "x".repeat(201) }))
        .await
        .field("reason");
}

async fn logging_oneself_out_signs_out() {
    let (app, _, _) = TestApp::start().with_admin().await;
    let ada = app.admin().await;
    let browser = app.browser();
    assert_eq!(browser.sign_in(&ada).await.status, 200);
    let done = browser
        .post(&format!("/api/v1/users/{}/force-logout", ada.id), json!({}))
        .await;
    done.ok();
    assert!(done.expires_cookie());
    assert!(!browser.is_signed_in().await);
}
