//! Receivers of events are set up by whoever manages integrations in all organisations, and lead nowhere inside.

use http::Method;
use rollcall_core::BuiltInRole;
use serde_json::{Value, json};

use crate::support::inbox::Inbox;
use crate::support::{Client, TestApp, minutes, unknown_id};

both_databases!(
    nobody_but_platform_administrators_manages_receivers,
    where_something_is_sent_is_changed_only_with_a_password_entered_lately,
    an_address_inside_is_refused_with_the_field_named,
    a_receiver_is_made_changed_and_removed,
    what_cannot_be_a_receiver_is_refused_with_the_field_named,
    a_test_says_how_it_went_and_shows_nothing_of_the_answer,
    what_waits_goes_to_where_the_receiver_listens_then,
    deliveries_are_listed_by_what_is_asked_for,
    the_pages_do_it_without_scripts,
);

const RECEIVERS: &str = "/api/v1/integrations/receivers";
const DELIVERIES: &str = "/api/v1/integrations/deliveries";
const ALLOWED: [&str; 2] = ["--allow-outbound", "127.0.0.1"];

async fn start() -> (TestApp, Client) {
    let (app, _, admin) = TestApp::start().with(&ALLOWED).with_admin().await;
    (app, admin)
}

async fn end_one(app: &TestApp, person: &crate::support::Person) -> String {
    let client = app.program_of(person).await;
    let id = client.session_id().await;
    client.post("/api/v1/sign-out", json!({})).await.done();
    id.to_string()
}

async fn events(admin: &Client, action: &str) -> Vec<Value> {
    let path = format!("/api/v1/audit?action={action}");
    let page = admin.get(&path).await.ok();
    page["items"].as_array().expect("a list").clone()
}

async fn nobody_but_platform_administrators_manages_receivers() {
    let (app, admin) = start().await;
    let inbox = Inbox::start().await;
    let id = inbox.join(&admin, "billing", json!({})).await;
    let nora = app.member().await;
    end_one(&app, &nora).await;
    let delivery = admin.get(DELIVERIES).await.ok()["items"][0]["id"].clone();
    let one = format!("{RECEIVERS}/{id}");
    let body = json!({ "name": "spy", "url": inbox.url });
    let calls = [
        (Method::GET, RECEIVERS.to_owned(), None),
        (Method::POST, RECEIVERS.to_owned(), Some(body)),
        (Method::GET, one.clone(), None),
        (Method::PATCH, one.clone(), Some(json!({ "name": "mine" }))),
        (Method::DELETE, one.clone(), None),
        (Method::POST, format!("{one}/pause"), Some(json!({}))),
        (Method::POST, format!("{one}/resume"), Some(json!({}))),
        (Method::POST, format!("{one}/test"), Some(json!({}))),
        (Method::GET, DELIVERIES.to_owned(), None),
        (
            Method::POST,
            format!("{DELIVERIES}/{delivery}/replay"),
            Some(json!({})),
        ),
        (
            Method::GET,
            "/api/v1/integrations/confirmations".to_owned(),
            None,
        ),
    ];
    let roles = [
        BuiltInRole::Administrator,
        BuiltInRole::SessionManager,
        BuiltInRole::Member,
    ];
    for role in roles {
        let email = format!("{}@acme.test", role.key());
        let person = app.user(nora.organisation, role, &email).await;
        let client = app.browser_of(&person).await;
        for (method, path, body) in &calls {
            let ask = client.ask(method.clone(), path);
            let answer = match body {
                Some(body) => ask.json(body).await,
                None => ask.await,
            };
            answer.problem(403, "forbidden");
        }
        for page in ["/integrations", "/integrations/deliveries"] {
            let shown = client.get(page).header("accept", "text/html").await;
            assert_eq!(shown.status, 403, "{role:?} {page}");
            assert!(!shown.text().contains("billing"), "{role:?} {page}");
        }
    }
    for (method, path, _) in &calls {
        let nobody = app.anonymous();
        let answer = nobody.ask(method.clone(), path).json(&json!({}));
        answer.await.problem(401, "unauthenticated");
    }
    let refused = events(&admin, "receiver.changed").await;
    assert_eq!(refused.len(), 3);
    assert!(
        refused
            .iter()
            .all(|event| event["outcome"] == "not_permitted")
    );
    assert_eq!(admin.get(RECEIVERS).await.ok()[0]["name"], "billing");
    // What is not there is not there for those who may.
    for path in [
        format!("{RECEIVERS}/{}", unknown_id()),
        format!("{RECEIVERS}/no-id"),
    ] {
        admin.get(&path).await.problem(404, "not_found");
    }
}

async fn where_something_is_sent_is_changed_only_with_a_password_entered_lately() {
    let (app, admin) = start().await;
    let inbox = Inbox::start().await;
    let id = inbox.join(&admin, "billing", json!({})).await;
    let one = format!("{RECEIVERS}/{id}");
    app.advance(minutes(16));
    let body = json!({ "name": "other", "url": inbox.url });
    let code = "reauthentication_required";
    admin.post(RECEIVERS, body.clone()).await.problem(403, code);
    admin.patch(&one, json!({})).await.problem(403, code);
    admin.delete(&one).await.problem(403, code);
    for act in ["test", "resume"] {
        let path = format!("{one}/{act}");
        admin.post(&path, json!({})).await.problem(403, code);
    }
    // What stops it never asks.
    let paused = admin.post(&format!("{one}/pause"), json!({})).await.ok();
    assert_eq!(paused["state"], "paused");
    admin.reauthenticate().await;
    assert_eq!(admin.post(RECEIVERS, body).await.status, 201);
    assert!(inbox.heard().is_empty());
}

async fn an_address_inside_is_refused_with_the_field_named() {
    let (_, _, admin) = TestApp::start().with_admin().await;
    for url in [
        "https://127.0.0.1/",
        "https://localhost/",
        "https://2130706433/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:7f00:1]/",
        "https://0.0.0.0/",
        "https://10.0.0.1/",
        "https://172.16.0.1/",
        "https://192.168.0.1/",
        "https://100.64.0.1/",
        "https://169.254.169.254/latest/meta-data/",
        "https://[fd00:ec2::254]/",
        "https://[fe80::1]/",
        "https://[64:ff9b::a9fe:a9fe]/",
        "https://224.0.0.1/",
        "http://127.0.0.1/",
        "http://192.0.1.1/",
        "https://admin:secret@192.0.1.1/",
        "ftp://192.0.1.1/",
        "nowhere",
        "",
    ] {
        let body = json!({ "name": "spy", "url": url });
        let refused = admin.post(RECEIVERS, body).await.field("url");
        let errors = refused["errors"].as_array().expect("a list");
        assert_eq!(errors.len(), 1, "{url}");
    }
    assert_eq!(admin.get(RECEIVERS).await.ok(), json!([]));
    // An address on the internet needs no name to be resolved, and nothing is sent for making it.
    let body = json!({ "name": "fine", "url": "https://192.0.1.1/hook" });
    let made = admin.post(RECEIVERS, body).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let path = format!("{RECEIVERS}/{}", made.json()["id"].as_str().expect("an id"));
    let away = json!({ "url": "https://10.0.0.1/" });
    admin.patch(&path, away).await.field("url");
    assert_eq!(admin.get(&path).await.ok()["url"], "https://192.0.1.1/hook");
}

async fn a_receiver_is_made_changed_and_removed() {
    let (app, admin) = start().await;
    let inbox = Inbox::start().await;
    let id = inbox.join(&admin, "billing", json!({})).await;
    let one = format!("{RECEIVERS}/{id}");
    assert_eq!(
        admin.get(&one).await.ok(),
        json!({
            "id": id, "name": "billing", "url": inbox.url, "format": "standard_webhooks", "audience": "",
            "events": ["session.ended"], "tells_email": false, "state": "delivering", "failing_since": null,
            "paused_at": null, "gone": false, "waiting": 0, "last_accepted_at": null,
            "created_at": app.now().to_string(),
        })
    );
    let nora = app.member().await;
    end_one(&app, &nora).await;
    let changed = json!({ "name": "invoices", "events": ["session.ended", "session.created"], "tells_email": true });
    let changed = admin.patch(&one, changed).await.ok();
    assert_eq!(changed["name"], "invoices");
    assert_eq!(
        changed["events"],
        json!(["session.created", "session.ended"])
    );
    assert_eq!(changed["waiting"], 1);
    app.service().tell_all().await.expect("it is reachable");
    let told = inbox.heard()[0].webhook(&app).await;
    assert_eq!(told["data"]["user"]["email"], nora.email);
    inbox.answer(500);
    end_one(&app, &nora).await;
    admin.delete(&one).await.done();
    admin.get(&one).await.problem(404, "not_found");
    admin.delete(&one).await.problem(404, "not_found");
    app.service().tell_all().await.expect("it is reachable");
    assert_eq!(inbox.heard().len(), 1, "what waited is gone");
    assert_eq!(admin.get(DELIVERIES).await.ok()["total"], 0);
    for (action, detail) in [
        (
            "receiver.created",
            "billing at http://127.0.0.1:PORT (session.ended)",
        ),
        (
            "receiver.changed",
            "invoices at http://127.0.0.1:PORT (session.created, session.ended, with e-mails)",
        ),
        ("receiver.removed", "invoices; 2 events were waiting"),
    ] {
        let found = events(&admin, action).await;
        assert_eq!(found.len(), 1, "{action}");
        let port = inbox.url.split([':', '/']).nth(4).expect("a port");
        let said = found[0]["detail"].as_str().expect("words");
        assert_eq!(said.replace(port, "PORT"), detail);
        assert!(
            !said.contains("of-theirs"),
            "many keep a secret in the path"
        );
    }
}

async fn what_cannot_be_a_receiver_is_refused_with_the_field_named() {
    let (_, admin) = start().await;
    let inbox = Inbox::start().await;
    inbox.join(&admin, "billing", json!({})).await;
    let with = |name: &str, value: Value| {
        let mut body = json!({ "name": "other", "url": inbox.url });
        body[name] = value;
        body
    };
    for (field, value) in [
        ("name", json!(" ")),
        ("name", json!("x".repeat(81))),
        (
            "url",
            json!(format!("https://192.0.1.1/{}", "x".repeat(2_000))),
        ),
        ("format", json!("smoke_signals")),
        // Without `public-url` tokens have no issuer.
        ("format", json!("caep")),
        ("events", json!([])),
        ("events", json!(["session.imagined"])),
        ("audience", json!("https://hooks.example")),
    ] {
        admin.post(RECEIVERS, with(field, value)).await.field(field);
    }
    let twice = admin.post(RECEIVERS, with("name", json!("billing"))).await;
    twice.problem(409, "name_taken");
    let unknown = admin.post(RECEIVERS, with("secret", json!("x"))).await;
    assert_eq!(unknown.status, 400);
    for query in ["state=gone", "receiver=x", "colour=red"] {
        let path = format!("{DELIVERIES}?{query}");
        assert_eq!(admin.get(&path).await.status, 400, "{query}");
    }
    let place = "/.well-known/ssf-configuration";
    admin.get(place).await.problem(404, "not_found");
}

async fn a_test_says_how_it_went_and_shows_nothing_of_the_answer() {
    let (app, admin) = start().await;
    let inbox = Inbox::start().await;
    let id = inbox.join(&admin, "billing", json!({})).await;
    let test = format!("{RECEIVERS}/{id}/test");
    let went = admin.post(&test, json!({})).await.ok();
    assert_eq!(
        (&went["accepted"], &went["status"], &went["failure"]),
        (&json!(true), &json!(204), &Value::Null)
    );
    let told = inbox.heard()[0].webhook(&app).await;
    assert_eq!(told["type"], "receiver.tested");
    assert!(inbox.ids()[0].starts_with("test-"));
    inbox.answer(418);
    inbox.pad(100);
    let went = admin.post(&test, json!({})).await;
    assert!(!went.text().contains("xxx"));
    let went = went.ok();
    assert_eq!(
        (&went["accepted"], &went["status"], &went["failure"]),
        (&json!(false), &json!(418), &json!("status"))
    );
    assert_eq!(events(&admin, "receiver.tested").await.len(), 2);
    assert_eq!(admin.get(DELIVERIES).await.ok()["total"], 0);
}

async fn what_waits_goes_to_where_the_receiver_listens_then() {
    let (app, admin) = start().await;
    let (old, new) = (Inbox::start().await, Inbox::start().await);
    let id = old.join(&admin, "billing", json!({})).await;
    old.answer(500);
    let nora = app.member().await;
    end_one(&app, &nora).await;
    app.service().tell_all().await.expect("it is reachable");
    let path = format!("{RECEIVERS}/{id}");
    admin.patch(&path, json!({ "url": new.url })).await.ok();
    // At once, however long it would have waited.
    app.service().tell_all().await.expect("it is reachable");
    assert_eq!((old.heard().len(), new.accepted().len()), (1, 1));
}

async fn deliveries_are_listed_by_what_is_asked_for() {
    let (app, admin) = start().await;
    let (good, bad) = (Inbox::start().await, Inbox::start().await);
    let good_id = good.join(&admin, "good", json!({})).await;
    bad.join(&admin, "bad", json!({})).await;
    bad.answer(500);
    let nora = app.member().await;
    let first = end_one(&app, &nora).await;
    app.service().tell_all().await.expect("it is reachable");
    end_one(&app, &nora).await;
    let total = async |query: &str| {
        let page = admin.get(&format!("{DELIVERIES}?{query}")).await.ok();
        page["total"].as_u64().expect("a number")
    };
    for (query, expected) in [
        (String::new(), 4),
        ("state=accepted".to_owned(), 1),
        ("state=failing".to_owned(), 1),
        ("state=waiting".to_owned(), 2),
        (format!("receiver={good_id}"), 2),
        (format!("session={first}"), 2),
        (format!("session={first}&state=failing"), 1),
        (format!("receiver={}", unknown_id()), 0),
    ] {
        assert_eq!(total(&query).await, expected, "{query}");
    }
    let page = admin.get(&format!("{DELIVERIES}?page=2&page_size=3")).await;
    let page = page.ok();
    let items = page["items"].as_array().expect("a list");
    assert_eq!((items.len(), &page["total"]), (1, &json!(4)));
    assert_eq!(items[0]["session"], first);
}

async fn the_pages_do_it_without_scripts() {
    let (app, admin) = start().await;
    let inbox = Inbox::start().await;
    let page = async |path: &str| {
        let answer = admin.get(path).header("accept", "text/html").await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.text()
    };
    let send = async |function: &str, fields: &[(&str, &str)]| {
        let ask = admin.ask(Method::POST, &format!("/rpc/{function}"));
        let ask = ask.header("referer", "http://localhost:8080/integrations");
        let answer = ask.header("accept", "text/html").form(fields).await;
        assert_eq!(answer.status, 303, "{function}: {}", answer.text());
        answer.header("location").expect("a place").to_owned()
    };
    assert!(page("/integrations").await.contains("Nobody is told"));
    assert!(page("/sessions").await.contains("href=\"/integrations\""));
    assert!(
        page("/integrations/receivers/new")
            .await
            .contains("Add a receiver")
    );
    let mut form = vec![
        ("receiver[id]", ""),
        ("receiver[name]", "<b>billing</b>"),
        ("receiver[url]", "https://10.0.0.1/"),
        ("receiver[format]", "standard_webhooks"),
        ("receiver[ended]", "on"),
    ];
    let back = send("save_receiver", &form).await;
    let shown = page(&back).await;
    assert!(
        shown.contains("Address leads to an address that is not on the public internet"),
        "{back}: {shown}"
    );
    assert!(
        shown.contains("value=\"https://10.0.0.1/\""),
        "as it was typed"
    );
    form[2].1 = &inbox.url;
    let there = send("save_receiver", &form).await;
    let (address, _) = there.split_once('?').expect("a query");
    let id = address.rsplit('/').next().expect("an id").to_owned();
    let shown = page(&there).await;
    for text in ["Saved.", "whpk_", "&lt;b&gt;billing", "Delivering"] {
        assert!(shown.contains(text), "{text}: {shown}");
    }
    let tested = send("test_receiver", &[("receiver", &id)]).await;
    assert!(
        page(&tested)
            .await
            .contains("The receiver has accepted the test.")
    );
    inbox.answer(503);
    let tested = send("test_receiver", &[("receiver", &id)]).await;
    assert!(page(&tested).await.contains("it answered 503"));
    let nora = app.member().await;
    end_one(&app, &nora).await;
    app.service().tell_all().await.expect("it is reachable");
    assert!(page("/integrations").await.contains("Failing"));
    assert!(page("/integrations").await.contains("0 of 1"));
    let list = page("/integrations/deliveries?state=failing").await;
    assert!(list.contains("Send again to") && list.contains("nora@acme.test"));
    let delivery = admin.get(DELIVERIES).await.ok()["items"][0]["id"].to_string();
    inbox.answer(200);
    let fields = [
        ("delivery", delivery.as_str()),
        ("next", "/integrations/deliveries"),
    ];
    let back = send("replay_delivery", &fields).await;
    assert_eq!(back, "/integrations/deliveries");
    app.service().tell_all().await.expect("it is reachable");
    assert_eq!(inbox.accepted().len(), 2, "the test, and the event");
    assert!(page("/integrations").await.contains("1 of 1"));
    send("pause_receiver", &[("receiver", &id)]).await;
    assert!(page(address).await.contains("Go on"));
    send("resume_receiver", &[("receiver", &id)]).await;
    assert!(page(address).await.contains("Pause"));
    let question = page(&format!("{address}/remove")).await;
    assert!(question.contains("Remove receiver") && question.contains("Cancel"));
    let gone = format!("{address}/explode");
    let gone = admin.get(&gone).header("accept", "text/html").await;
    assert_eq!(gone.status, 404);
    assert_eq!(
        send("remove_receiver", &[("receiver", &id)]).await,
        "/integrations"
    );
    assert!(page("/integrations").await.contains("Nobody is told"));
    // With a password that was entered too long ago, it is asked for in place of the form.
    app.advance(minutes(12));
    let shown = page("/integrations/receivers/new").await;
    assert!(shown.contains("Confirm that it is you") && !shown.contains("Address"));
}
