//! The filters of sessions beyond search, state and kind: alone, in pairs and with everything else, against the model
//! of `lists_model`; who finds what; what an end by a filter ends; and filters that are saved.

use std::net::IpAddr;

use rollcall_core::{BuiltInRole, Timestamp};
use serde_json::{Value, json};

use crate::lists_model::{Row, whole, world};
use crate::support::{Client, NewRow, Person, TestApp, minutes};

both_databases!(
    every_filter_alone_in_pairs_and_with_the_rest_finds_what_the_model_finds,
    what_cannot_be_read_is_refused_by_name_and_ends_nothing,
    a_foreign_user_role_or_organisation_finds_nothing,
    an_end_by_a_filter_ends_what_its_list_shows,
    filters_are_saved_by_name_for_their_owner_alone,
    columns_are_chosen_and_kept,
    the_page_of_filters_leads_to_the_list_or_says_what_is_wrong,
);

type Test = Box<dyn Fn(&Row, &[Row], Timestamp) -> bool>;

fn within(ip: IpAddr, range: &str) -> bool {
    let (first, last) = rollcall_core::AddressRange::parse(range)
        .expect("a range")
        .bounds();
    (first..=last).contains(&rollcall_core::address::bytes(ip))
}

// Each filter as an address has it, and what it means.
fn filters(rows: &[Row]) -> Vec<(String, Test)> {
    let mut list: Vec<(String, Test)> = Vec::new();
    let mut add = |text: String, test: Test| list.push((text, test));
    let someone = rows[3].clone();
    let (email, id) = (someone.user.clone(), someone.user_id.clone());
    add(
        rollcall_core::query::write(&[("user", email.clone())]),
        Box::new(move |row, _, _| row.user == email),
    );
    add(
        format!("user={id}"),
        Box::new(move |row, _, _| row.user_id == id),
    );
    for role in ["member", "session_manager"] {
        let manages = role == "session_manager";
        add(
            format!("role={role}"),
            Box::new(move |row, _, _| row.asks == manages),
        );
    }
    for range in [
        "10.0.0.9",
        "10.0.0.0/24",
        "2001:db8:77::/64",
        "0.0.0.0/0",
        "198.51.100.1",
    ] {
        add(
            format!("ip={range}"),
            Box::new(move |row, _, _| within(row.ip, range)),
        );
    }
    add("method=password".into(), Box::new(|_, _, _| true));
    add("method=single_sign_on".into(), Box::new(|_, _, _| false));
    for start in ["fire", "CHROME", "f"] {
        add(
            format!("browser={start}"),
            Box::new(move |row, _, _| {
                row.program
                    .to_lowercase()
                    .starts_with(&start.to_lowercase())
            }),
        );
    }
    add(
        "system=linux".into(),
        Box::new(|row, _, _| row.system.eq_ignore_ascii_case("linux")),
    );
    add(
        "agent=%28ios".into(),
        Box::new(|row, _, _| row.agent.to_lowercase().contains("(ios")),
    );
    let minutes_ago = |at: Timestamp, now: Timestamp| (now.0 - at.0) / 60_000_000;
    add(
        "older_than=20m".into(),
        Box::new(move |row, _, now| minutes_ago(row.created_at, now) >= 20),
    );
    add(
        "newer_than=20m".into(),
        Box::new(move |row, _, now| minutes_ago(row.created_at, now) < 20),
    );
    add(
        "idle_for=25m".into(),
        Box::new(move |row, _, now| minutes_ago(row.last_activity(now), now) >= 25),
    );
    for several in [true, false] {
        add(
            format!("several={several}"),
            Box::new(move |row, rows, now| {
                let of_user = rows.iter().filter(|other| other.user == row.user);
                let live = of_user.filter(|other| other.ended(now).is_none()).count();
                (live > 1) == several
            }),
        );
    }
    add("service_account=true".into(), Box::new(|_, _, _| false));
    add("service_account=false".into(), Box::new(|_, _, _| true));
    list
}

async fn every_filter_alone_in_pairs_and_with_the_rest_finds_what_the_model_finds() {
    let (app, client, rows) = world().await;
    let now = app.now();
    let filters = filters(&rows);
    let check = async |query: &str, tests: &[&dyn Fn(&Row) -> bool]| {
        let mut expected: Vec<_> = rows
            .iter()
            .filter(|row| tests.iter().all(|test| test(row)))
            .map(|row| row.id.clone())
            .collect();
        let (mut ids, page) = whole(&client, query, 100).await;
        assert_eq!(page["total"], expected.len(), "{query}");
        let count = client.get(&format!("/api/v1/sessions/count?{query}")).await;
        if !query.contains("sort=") {
            assert_eq!(count.ok()["total"], expected.len(), "{query}");
        }
        expected.sort();
        ids.sort();
        assert_eq!(ids, expected, "{query}");
        ids
    };
    let (mut found, mut missed) = (0, 0);
    for (text, test) in &filters {
        let test = |row: &Row| test(row, &rows, now);
        let ids = check(text, &[&test]).await;
        found += usize::from(!ids.is_empty());
        missed += usize::from(ids.len() < rows.len());
        check(&format!("{text}&q=a"), &[&test, &|row| row.contains("a")]).await;
        check(
            &format!("{text}&state=active&sort=-ip"),
            &[&test, &|row| row.ended(now).is_none()],
        )
        .await;
        check(
            &format!("{text}&state=ended&sort=duration"),
            &[&test, &|row| row.ended(now).is_some()],
        )
        .await;
        check(
            &format!("{text}&q=fleet&kind=api"),
            &[&test, &|row| row.kind == rollcall_core::Kind::Api],
        )
        .await;
        let file = client
            .get(&format!("/api/v1/sessions/export?format=ndjson&{text}"))
            .await;
        assert_eq!(file.text().lines().count(), ids.len(), "{text} as a file");
        for (other, second) in &filters {
            let name = |text: &str| text.split('=').next().map(str::to_owned);
            if name(other) > name(text) {
                let second = |row: &Row| second(row, &rows, now);
                check(&format!("{text}&{other}"), &[&test, &second]).await;
            }
        }
    }
    assert!(found >= 18 && missed >= 18, "{found} {missed}");
}

async fn what_cannot_be_read_is_refused_by_name_and_ends_nothing() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let client = app.program_of(&nora).await;
    for (name, value) in [
        ("user", "nora"),
        ("organisation", "acme"),
        ("role", "A role"),
        ("ip", "10.0.0.0/33"),
        ("method", "magic"),
        ("older_than", "7"),
        ("newer_than", "0s"),
        ("idle_for", "2 hours"),
        ("several", "2"),
        ("service_account", "yes"),
        ("colour", "red"),
    ] {
        let query = rollcall_core::query::write(&[(name, value.to_owned())]);
        for path in [
            "/api/v1/sessions",
            "/api/v1/sessions/count",
            "/api/v1/sessions/export",
        ] {
            let format = if path.ends_with("export") {
                "&format=csv"
            } else {
                ""
            };
            let refused = admin.get(&format!("{path}?{query}{format}")).await;
            refused.problem(400, "invalid_field");
            assert_eq!(refused.json()["errors"][0]["field"], name, "{path} {query}");
        }
        let mut filter = serde_json::Map::new();
        filter.insert(name.to_owned(), json!(value));
        let refused = admin
            .post("/api/v1/sessions/end-preview", json!({ "filter": filter }))
            .await;
        refused.problem(400, "invalid_field");
        // On the page, too, it does not mean "everything".
        let refused = admin
            .ask(http::Method::POST, "/rpc/preview_end")
            .header("accept", "application/json")
            .form(&[("query", query.as_str()), ("all", "true")])
            .await;
        assert_eq!(refused.status, 400, "{query}: {}", refused.text());
    }
    assert!(client.is_signed_in().await);
}

async fn total(client: &Client, query: &str) -> Value {
    client.get(&format!("/api/v1/sessions?{query}")).await.ok()["total"].clone()
}

async fn a_foreign_user_role_or_organisation_finds_nothing() {
    let (app, _, platform) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let ada = app.administrator_beside(&nora).await;
    let eve = app.stranger().await;
    let role = app
        .role(
            eve.organisation,
            "Theirs",
            rollcall_core::Permissions::default(),
        )
        .await;
    app.give(&eve, &[&role.0]).await;
    let own = app
        .role(
            nora.organisation,
            "Ours",
            rollcall_core::Permissions::default(),
        )
        .await;
    app.give(&nora, &[&own.0]).await;
    for person in [&nora, &eve] {
        app.open_session(person, NewRow::default()).await;
    }
    let client = app.program_of(&ada).await;
    for (query, ours, all) in [
        (format!("user={}", eve.id), 0, 1),
        ("user=eve@globex.test".to_owned(), 0, 1),
        (format!("user={}", nora.id), 1, 1),
        (format!("organisation={}", eve.organisation), 0, 1),
        (format!("organisation={}", nora.organisation), 2, 2),
        (
            format!("organisation={}", crate::support::unknown_id()),
            0,
            0,
        ),
        (format!("role={role}"), 0, 1),
        (format!("role={own}"), 1, 1),
        ("role=member".to_owned(), 1, 2),
        ("role=administrator".to_owned(), 1, 1),
        ("role=nothing".to_owned(), 0, 0),
    ] {
        assert_eq!(total(&client, &query).await, ours, "{query}");
        assert_eq!(total(&platform, &query).await, all, "{query} of all");
        let preview = client
            .post(
                "/api/v1/sessions/end-preview",
                json!({ "filter": { query.split('=').next().expect("a name"): query.split('=').nth(1) } }),
            )
            .await
            .ok();
        let current = i64::from(
            query.contains("administrator") || query.contains(&nora.organisation.to_string()),
        );
        assert_eq!(preview["sessions"], ours - current, "{query}");
    }
    // Whoever has moved away keeps to themselves what they are there.
    app.sql(format!(
        r#"UPDATE "user" SET organisation_id = (SELECT organisation_id FROM "user" WHERE email = '{}') WHERE email = '{}'"#,
        eve.email, nora.email
    ))
    .await;
    let left = client
        .get("/api/v1/sessions?user=nora@acme.test")
        .await
        .ok();
    assert_eq!(
        (&left["total"], &left["items"][0]["owner"]),
        (&json!(1), &Value::Null)
    );
    assert_eq!(total(&client, &format!("role={own}")).await, 0);
    assert_eq!(total(&client, "role=member").await, 0);
    assert_eq!(total(&platform, "role=member").await, 2);
}

async fn an_end_by_a_filter_ends_what_its_list_shows() {
    let (app, client, rows) = world().await;
    app.advance(minutes(1));
    let texts: Vec<_> = filters(&rows).into_iter().map(|(text, _)| text).collect();
    let mut ended = 0;
    for text in &texts {
        let asks = client.get("/api/v1/me").await.ok()["session"]["id"].clone();
        let (shown, _) = whole(&client, &format!("{text}&state=active"), 100).await;
        let shown: Vec<_> = shown.into_iter().filter(|id| asks != id.as_str()).collect();
        let pairs = rollcall_core::query::pairs(text).expect("a query");
        let filter: serde_json::Map<_, _> = pairs
            .into_iter()
            .map(|(name, value)| (name, json!(value)))
            .collect();
        let preview = client
            .post("/api/v1/sessions/end-preview", json!({ "filter": filter }))
            .await
            .ok();
        assert_eq!(preview["sessions"], shown.len(), "{text}");
        // Few filters are worn out by the first end, so that later ones have something left.
        if shown.len() > 8 {
            continue;
        }
        let before = total(&client, "state=active")
            .await
            .as_i64()
            .expect("a number");
        let run = client
            .post("/api/v1/sessions/end", json!({ "preview": preview["id"] }))
            .await
            .ok();
        assert_eq!(run["ended"], shown.len(), "{text}");
        for id in &shown {
            let row = client.get(&format!("/api/v1/sessions/{id}")).await.ok();
            assert_eq!(row["ended"]["reason"], "ended_by_administrator", "{text}");
        }
        let after = total(&client, "state=active")
            .await
            .as_i64()
            .expect("a number");
        assert_eq!(before - after, shown.len() as i64, "{text} ended no other");
        ended += shown.len();
    }
    assert!(ended > 0);
}

async fn manager(app: &TestApp, email: &str, like: &Person) -> Client {
    let person = app
        .user(like.organisation, BuiltInRole::SessionManager, email)
        .await;
    app.program_of(&person).await
}

async fn filters_are_saved_by_name_for_their_owner_alone() {
    const PATH: &str = "/api/v1/me/filters";
    let (app, _, _) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let mia = manager(&app, "mia@acme.test", &nora).await;
    let max = manager(&app, "max@acme.test", &nora).await;
    let save = async |client: &Client, name: &str, query: &str| {
        client
            .post(PATH, json!({ "name": name, "query": query }))
            .await
    };
    let first = save(&mia, " Old ones ", "page=3&older_than=24h&state=active").await;
    assert_eq!(first.status, 201, "{}", first.text());
    let first = first.json();
    assert_eq!(first["name"], "Old ones");
    assert_eq!(first["query"], "state=active&older_than=1d");
    save(&mia, "Old ones", "ip=::1")
        .await
        .problem(409, "name_taken");
    assert_eq!(save(&max, "Old ones", "ip=::1").await.status, 201);
    for (name, query, field) in [
        ("", "ip=::1", "name"),
        (" ", "ip=::1", "name"),
        ("a\nb", "ip=::1", "name"),
        ("a", "", "query"),
        ("a", "page=2", "query"),
        ("a", "ip=300", "ip"),
    ] {
        let refused = save(&mia, name, query).await;
        refused.problem(400, "invalid_field");
        assert_eq!(
            refused.json()["errors"][0]["field"],
            field,
            "{name:?} {query}"
        );
    }
    save(&mia, &"x".repeat(81), "ip=::1")
        .await
        .problem(400, "invalid_field");
    for number in 1..50 {
        let saved = save(&mia, &format!("filter {number:02}"), "several=true").await;
        assert_eq!(saved.status, 201, "{}", saved.text());
    }
    let full = save(&mia, "one more", "several=true").await;
    full.problem(400, "invalid_field");
    assert_eq!(full.json()["errors"][0]["field"], "filter");
    let list = mia.get(PATH).await.ok();
    let list = list.as_array().expect("a list");
    assert_eq!(
        (list.len(), &list[0]["name"], &list[1]["name"]),
        (50, &json!("Old ones"), &json!("filter 01"))
    );
    let one = format!("{PATH}/{}", first["id"].as_str().expect("an id"));
    max.delete(&one).await.problem(404, "not_found");
    mia.delete(&one).await.done();
    mia.delete(&one).await.problem(404, "not_found");
    assert_eq!(mia.get(PATH).await.ok().as_array().map(Vec::len), Some(49));
    assert_eq!(max.get(PATH).await.ok().as_array().map(Vec::len), Some(1));
}

async fn columns_are_chosen_and_kept() {
    const PATH: &str = "/api/v1/me/columns";
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    app.open_session(&nora, NewRow::default()).await;
    let start = admin.get(PATH).await.ok();
    assert_eq!(start["columns"].as_array().map(Vec::len), Some(9));
    let put = async |columns: Value| {
        admin
            .ask(http::Method::PUT, PATH)
            .json(&json!({ "columns": columns }))
            .await
    };
    put(json!(["idle_timeout", "role", "session_time"]))
        .await
        .done();
    app.restart().await;
    let kept = json!(["user", "session_time", "role", "idle_timeout"]);
    assert_eq!(admin.get(PATH).await.ok()["columns"], kept);
    let page = admin.get("/sessions").await.text();
    for words in [
        "Session time",
        "30 minutes, 0 seconds",
        "Platform administrator",
        ">Role<",
    ] {
        assert!(page.contains(words), "{words}");
    }
    assert!(!page.contains("Browser and system"));
    put(json!(["ip", "colour"])).await.field("columns");
    put(start["columns"].clone()).await.done();
    assert!(
        admin
            .get("/sessions")
            .await
            .text()
            .contains("Browser and system")
    );
}

async fn the_page_of_filters_leads_to_the_list_or_says_what_is_wrong() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    for _ in 0..2 {
        app.open_session(&nora, NewRow::default()).await;
    }
    let sent = admin
        .get("/sessions/filters?apply=true&q=&user=&ip=203.0.113.9%2F24&older_than=&several=true&sort=ip")
        .await;
    assert_eq!(
        (sent.status, sent.header("location")),
        (
            303,
            Some("/sessions?ip=203.0.113.0%2F24&several=true&sort=ip")
        )
    );
    let wrong = admin
        .get("/sessions/filters?apply=true&ip=1.2.3&browser=Fire")
        .await;
    let text = wrong.text();
    assert_eq!(wrong.status, 200);
    for words in ["This cannot be read.", "value=\"1.2.3\"", "value=\"Fire\""] {
        assert!(text.contains(words), "{words} in {text}");
    }
    let list = admin
        .get(&format!(
            "/sessions?state=active&user={}&ip=203.0.113.0/24",
            nora.id
        ))
        .await
        .text();
    for words in [
        "Remove the filter User nora",
        "Remove the filter IP address 203.0.113.0/24",
        "href=\"/sessions?state=active&amp;ip=203.0.113.0%2F24\"",
        "2 sessions",
        "Clear all filters",
    ] {
        assert!(list.contains(words), "{words} in {list}");
    }
    // What cannot be read shows no session.
    let wrong = admin.get("/sessions?ip=1.2.3").await.text();
    assert!(
        wrong.contains("ip cannot be read") && !wrong.contains("nora@acme.test"),
        "{wrong}"
    );
}
