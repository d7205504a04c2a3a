//! Filters of the audit trail, by address of the API and of the page.

use std::collections::BTreeSet;

use rollcall_core::{AuditAction, AuditOutcome, AuditQuery, BuiltInRole};
use rollcall_server::db::{self, AuditRecord};
use serde_json::Value;

use crate::support::{Client, NewRow, Person, TestApp, minutes, seconds};

both_databases!(
    every_filter_finds_what_it_names_and_nothing_else,
    a_filter_that_cannot_be_read_is_named,
    filters_go_together_and_pages_follow_each_other,
    whatever_is_asked_the_list_is_what_a_plain_test_of_every_event_gives,
    an_organisation_asks_for_its_own_people_only,
    the_page_tells_in_words_and_links,
    the_page_brings_a_form_into_one_address,
);

async fn numbers(client: &Client, query: &str) -> Vec<i64> {
    let page = client
        .get(&format!("/api/v1/audit?page_size=100&{query}"))
        .await
        .ok();
    let items = page["items"].as_array().expect("a list");
    let found: Vec<_> = items
        .iter()
        .map(|event| event["sequence"].as_i64().expect("a number"))
        .collect();
    assert_eq!(page["total"], found.len(), "{query}");
    assert!(found.is_sorted_by(|one, other| one > other), "newest first");
    found
}

async fn every_filter_finds_what_it_names_and_nothing_else() {
    let (app, anon, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let boss = app
        .user(
            nora.organisation,
            BuiltInRole::Administrator,
            "boss@acme.test",
        )
        .await;
    // 1: the administrator was created. 2: a wrong password, from another address.
    let far = app.browser().at("198.51.100.9");
    far.sign_in_as(&nora.email, "a wrong password")
        .await
        .problem(401, "sign_in_failed");
    app.advance(minutes(1));
    let between = app.now();
    // 3: ended by the boss, from an IPv6 address. 4: she tries again.
    let (id, _) = app.open_session(&nora, NewRow::default()).await;
    let boss_client = app.browser_of(&boss).await.at("2001:db8::7");
    boss_client
        .delete(&format!("/api/v1/sessions/{id}"))
        .await
        .done();
    app.advance(minutes(1));
    boss_client
        .delete(&format!("/api/v1/sessions/{id}"))
        .await
        .problem(409, "session_not_active");
    // 5: an unknown name.
    anon.sign_in_as("nobody@acme.test", "a wrong password")
        .await
        .problem(401, "sign_in_failed");
    let (nora_id, boss_id, session) = (nora.id, boss.id, id);
    let at = between.to_string();
    let at = rollcall_core::query::encode(&at);
    for (query, expected) in [
        (String::new(), vec![5, 4, 3, 2, 1]),
        (format!("target={nora_id}"), vec![4, 3, 2]),
        ("target=NORA@acme.test".to_owned(), vec![4, 3, 2]),
        (format!("actor={boss_id}"), vec![4, 3]),
        ("actor=boss%40acme.test".to_owned(), vec![4, 3]),
        (format!("actor={nora_id}"), vec![]),
        (format!("user={nora_id}"), vec![4, 3, 2]),
        ("user=boss@acme.test".to_owned(), vec![4, 3]),
        ("user=nobody@acme.test".to_owned(), vec![]),
        (format!("session={session}"), vec![4, 3]),
        ("action=session.ended".to_owned(), vec![4, 3]),
        ("outcome=already_ended".to_owned(), vec![4]),
        ("outcome=success".to_owned(), vec![3, 1]),
        ("outcome=failed".to_owned(), vec![]),
        ("ip=198.51.100.9".to_owned(), vec![2]),
        ("ip=198.51.100.0/24".to_owned(), vec![2]),
        ("ip=0.0.0.0/0".to_owned(), vec![5, 2]),
        ("ip=2001:db8::/32".to_owned(), vec![4, 3]),
        ("ip=::/0".to_owned(), vec![5, 4, 3, 2]),
        (format!("from={at}"), vec![5, 4, 3]),
        (format!("until={at}"), vec![2, 1]),
        (format!("from={at}&until={at}"), vec![]),
        // An empty value is any.
        ("user=&ip=&from=&action=".to_owned(), vec![5, 4, 3, 2, 1]),
    ] {
        assert_eq!(numbers(&admin, &query).await, expected, "{query}");
    }
}

async fn a_filter_that_cannot_be_read_is_named() {
    let (_, _, admin) = TestApp::start().with_admin().await;
    for (query, field) in [
        ("user=nora", "user"),
        ("actor=@acme.test", "actor"),
        ("target=1", "target"),
        ("session=x", "session"),
        ("action=user.promoted", "action"),
        ("outcome=perhaps", "outcome"),
        ("ip=192.0.2.0/33", "ip"),
        ("ip=192.0.2", "ip"),
        ("from=yesterday", "from"),
        ("until=2026-11-22T09:00", "until"),
        ("page_size=1000", "page_size"),
        ("ip=::1&ip=::1", "ip"),
        ("q=nora", "q"),
    ] {
        admin
            .get(&format!("/api/v1/audit?{query}"))
            .await
            .field(field);
    }
}

async fn filters_go_together_and_pages_follow_each_other() {
    let (app, anon, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    for _ in 0..4 {
        anon.sign_in_as(&nora.email, "a wrong password")
            .await
            .problem(401, "sign_in_failed");
        app.advance(seconds(10));
    }
    let all = numbers(
        &admin,
        "action=sign_in&outcome=wrong_password&ip=203.0.113.7",
    )
    .await;
    assert_eq!(all, [5, 4, 3, 2]);
    let mut paged = Vec::new();
    for page in 1..=3 {
        let page = admin
            .get(&format!(
                "/api/v1/audit?target={}&page_size=2&page={page}",
                nora.id
            ))
            .await
            .ok();
        assert_eq!(page["total"], 4);
        paged.extend(
            page["items"]
                .as_array()
                .expect("a list")
                .iter()
                .map(|event| event["sequence"].clone()),
        );
    }
    assert_eq!(paged, [5, 4, 3, 2]);
    assert_eq!(
        admin.get("/api/v1/audit?page=3&page_size=2").await.ok()["items"][0]["sequence"],
        1
    );
    assert_eq!(
        admin.get("/api/v1/audit?page=4&page_size=2").await.ok()["items"],
        serde_json::json!([])
    );
}

// Every event of `all` that `query` names, tested one by one.
fn plainly(all: &[Value], query: &AuditQuery, people: &[Person]) -> Vec<i64> {
    let meant = |who: &Option<rollcall_core::Who>| {
        who.as_ref().map(|who| match who {
            rollcall_core::Who::Id(id) => id.to_string(),
            rollcall_core::Who::Email(email) => people
                .iter()
                .find(|person| person.email == email.as_str())
                .map_or_else(String::new, |person| person.id.to_string()),
        })
    };
    let (user, actor, target) = (
        meant(&query.user),
        meant(&query.actor),
        meant(&query.target),
    );
    let fits = |event: &&Value| {
        let id = |name: &str| event[name]["id"].as_str().unwrap_or("-").to_owned();
        let at = rollcall_core::Timestamp::parse_rfc3339(event["at"].as_str().expect("a time"))
            .expect("a time");
        let ip = event["ip"]
            .as_str()
            .expect("a text")
            .parse()
            .map(rollcall_core::address::bytes);
        user.as_ref()
            .is_none_or(|user| [id("actor"), id("target")].contains(user))
            && actor.as_ref().is_none_or(|actor| id("actor") == *actor)
            && target.as_ref().is_none_or(|target| id("target") == *target)
            && query
                .action
                .is_none_or(|action| event["action"] == action.as_str())
            && query
                .outcome
                .is_none_or(|outcome| event["outcome"] == outcome.as_str())
            && query.from.is_none_or(|from| at >= from)
            && query.until.is_none_or(|until| at < until)
            && query.ip.is_none_or(|range| {
                let (first, last) = range.bounds();
                ip.is_ok_and(|ip| first <= ip && ip <= last)
            })
    };
    all.iter()
        .filter(fits)
        .map(|event| event["sequence"].as_i64().expect("a number"))
        .collect()
}

async fn whatever_is_asked_the_list_is_what_a_plain_test_of_every_event_gives() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let acme = app.organisation("Acme").await;
    let mut people = Vec::new();
    for number in 0..3 {
        people.push(
            app.user(
                acme,
                BuiltInRole::Administrator,
                &format!("user-{number}@acme.test"),
            )
            .await,
        );
    }
    let start = app.now();
    let events = people.clone();
    let written = app.side().write(move |tx| {
        Box::pin(async move {
            // A small generator of its own: the same events each time.
            let mut state = 7_u64;
            let mut next = |below: u64| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                usize::try_from((state >> 33) % below).expect("small")
            };
            for step in 0..90_u64 {
                let actor = events.get(next(4));
                let target = events.get(next(4));
                let record = AuditRecord {
                    // Not always in the order of their numbers: a timeout is noted later.
                    at: start + seconds(step * 10 + 40 - next(60) as u64 % 40),
                    actor: actor.map(|person| person.id),
                    actor_name: actor.map_or_else(String::new, |person| person.name.clone()),
                    target: target.map(|person| person.id),
                    target_name: target.map_or_else(String::new, |person| person.name.clone()),
                    target_email: target.map_or_else(String::new, |person| person.email.clone()),
                    organisation: (next(3) > 0).then_some(acme),
                    action: AuditAction::ALL[next(4)],
                    outcome: AuditOutcome::ALL[next(3)],
                    session: None,
                    detail: None,
                    ip: ["", "10.0.0.7", "10.0.1.7", "2001:db8::1"][next(4)].to_owned(),
                    user_agent: String::new(),
                    request_id: String::new(),
                };
                db::audit::append_all(tx, &[record], &|previous, _, _| *previous).await?;
            }
            Ok(())
        })
    });
    written.await.expect("they are written");
    let boss = app.browser_of(&people[0]).await;
    let mut asked = BTreeSet::new();
    for client in [&admin, &boss] {
        let all = client.get("/api/v1/audit?page_size=100").await.ok()["items"]
            .as_array()
            .expect("a list")
            .clone();
        assert!(all.len() > 40);
        let whens = [
            String::new(),
            format!("from={}", start + seconds(300)),
            format!("until={}", start + seconds(600)),
            format!(
                "from={}&until={}",
                start + seconds(200),
                start + seconds(500)
            ),
        ];
        let whos = [
            String::new(),
            format!("user={}", people[1].id),
            format!("actor={}", people[2].email),
            format!("target={}", people[1].id),
            format!("actor={}&target={}", people[1].id, people[2].id),
            format!("user={}&actor={}", people[2].email, people[1].id),
        ];
        for when in &whens {
            for who in &whos {
                for what in [
                    "",
                    "action=session.created",
                    "outcome=success",
                    "outcome=not_permitted",
                    "action=session.ended&outcome=not_found",
                ] {
                    for ip in ["", "ip=10.0.0.7", "ip=10.0.0.0/16", "ip=2001:db8::/64"] {
                        let query = [when.as_str(), who.as_str(), what, ip]
                            .into_iter()
                            .filter(|part| !part.is_empty())
                            .collect::<Vec<_>>()
                            .join("&");
                        let parsed = AuditQuery::parse(&query).expect("a query");
                        let query = parsed.to_query();
                        asked.insert(query.clone());
                        assert_eq!(
                            numbers(client, &query).await,
                            plainly(&all, &parsed, &people),
                            "{query}"
                        );
                    }
                }
            }
        }
    }
    assert_eq!(asked.len(), 480);
}

async fn an_organisation_asks_for_its_own_people_only() {
    let (app, anon, admin) = TestApp::start().with_admin().await;
    let (acme, globex) = (
        app.organisation("Acme").await,
        app.organisation("Globex").await,
    );
    let ada = app
        .user(acme, BuiltInRole::Administrator, "ada@acme.test")
        .await;
    let nora = app.user(acme, BuiltInRole::Member, "nora@acme.test").await;
    let eve = app
        .user(globex, BuiltInRole::Member, "eve@globex.test")
        .await;
    for person in [&nora, &eve] {
        anon.sign_in_as(&person.email, "a wrong password")
            .await
            .problem(401, "sign_in_failed");
    }
    // The platform administrator ends a session of hers, and is not named there.
    let (id, _) = app.open_session(&nora, NewRow::default()).await;
    admin.delete(&format!("/api/v1/sessions/{id}")).await.done();
    let myself = app.admin().await;
    let client = app.browser_of(&ada).await;
    for (query, expected) in [
        (String::new(), 2),
        ("target=nora@acme.test".to_owned(), 2),
        ("target=eve@globex.test".to_owned(), 0),
        (format!("target={}", eve.id), 0),
        (format!("actor={}", myself.id), 0),
        (format!("actor={}", TestApp::ADMIN), 0),
        (format!("user={}", TestApp::ADMIN), 0),
        ("ip=203.0.113.7".to_owned(), 2),
        ("from=2026-01-01T00:00:00Z".to_owned(), 2),
    ] {
        assert_eq!(numbers(&client, &query).await.len(), expected, "{query}");
    }
    assert_eq!(
        numbers(&admin, &format!("actor={}", TestApp::ADMIN))
            .await
            .len(),
        1
    );
}

async fn the_page_tells_in_words_and_links() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let (id, _) = app.open_session(&nora, NewRow::default()).await;
    admin
        .delete(&format!("/api/v1/sessions/{id}"))
        .json(&serde_json::json!({ "reason": "left <b>it</b> open" }))
        .await
        .done();
    let page = admin.get("/audit").header("accept", "text/html").await;
    assert_eq!(page.status, 200);
    let text = page.text();
    assert!(
        text.contains("ended a session of nora: left &lt;b&gt;it&lt;/b&gt; open"),
        "{text}"
    );
    for link in [
        format!("/audit?user={}", nora.id),
        format!("/sessions/{id}"),
        format!("/audit?session={id}"),
        "/audit?ip=203.0.113.7".to_owned(),
        "/api/v1/audit/export?format=csv".to_owned(),
    ] {
        assert!(text.contains(&format!("href=\"{link}\"")), "{link}");
    }
    let wrong = admin
        .get("/audit?ip=999")
        .header("accept", "text/html")
        .await;
    assert!(wrong.text().contains("IP address cannot be read."));
    assert!(
        !wrong.text().contains("ended a session of"),
        "nothing instead of everything"
    );
    let member = app.browser_of(&nora).await;
    let refused = member.get("/audit").header("accept", "text/html").await;
    assert_eq!(refused.status, 403);
    assert!(
        !refused.text().contains("href=\"/audit\""),
        "not in the navigation either"
    );
    let nobody = app
        .browser()
        .get("/audit?ip=10.0.0.1")
        .header("accept", "text/html")
        .await;
    assert_eq!(
        (nobody.status, nobody.header("location")),
        (303, Some("/sign-in?next=%2Faudit%3Fip%3D10.0.0.1"))
    );
}

async fn the_page_brings_a_form_into_one_address() {
    let (_, _, admin) = TestApp::start().with_admin().await;
    admin
        .ask(http::Method::POST, "/rpc/set_time_zone")
        .header("accept", "application/json")
        .form(&[("time_zone", "Europe/Berlin")])
        .await
        .ok();
    for (sent, there) in [
        (
            "/audit?action=&outcome=&actor=&target=&ip=&session=&from=&until=",
            Some("/audit"),
        ),
        (
            "/audit?action=sign_in&outcome=&from=2026-11-22T10:00&until=2026-07-01T10:00:30",
            Some(
                "/audit?action=sign_in&from=2026-11-22T09%3A00%3A00.000000Z&until=2026-07-01T08%3A00%3A30.000000Z",
            ),
        ),
        ("/audit?utm_source=x", Some("/audit")),
        ("/audit?ip=10.0.0.0%2F8", None),
        ("/audit?ip=999", None),
        ("/audit", None),
    ] {
        let page = admin.get(sent).header("accept", "text/html").await;
        let expected = (if there.is_some() { 303 } else { 200 }, there);
        assert_eq!((page.status, page.header("location")), expected, "{sent}");
    }
    // The field shows the time as it was typed.
    let page = admin
        .get("/audit?from=2026-11-22T09%3A00%3A00.000000Z")
        .header("accept", "text/html")
        .await;
    assert!(
        page.text().contains("value=\"2026-11-22T10:00:00\""),
        "{}",
        page.text()
    );
}
