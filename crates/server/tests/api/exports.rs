//! Lists as files.

use futures_util::StreamExt;
use rollcall_core::BuiltInRole;
use sea_orm::DbBackend;
use serde_json::{Value, json};

use crate::support::{Client, NewRow, TestApp, seconds};

both_databases!(
    a_file_holds_what_the_list_shows,
    the_audit_trail_is_a_file_too,
    a_file_of_many_parts_has_each_row_once,
    nothing_in_a_file_is_a_formula,
    files_keep_to_their_organisation,
    an_export_is_written_down_or_does_not_happen,
    a_file_ends_with_the_session_that_asked_for_it,
    what_a_file_cannot_be_is_named,
);

async fn lines(client: &Client, path: &str) -> Vec<Value> {
    let answer = client.get(path).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
    let text = answer.text();
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines()
        .map(|line| serde_json::from_str(line).expect("JSON in each line"))
        .collect()
}

// A CSV file as its rows, read by a reader of its own.
fn table(text: &str) -> Vec<Vec<String>> {
    let mut rows = vec![vec![String::new()]];
    let (mut quoted, mut chars) = (false, text.chars().peekable());
    while let Some(next) = chars.next() {
        let row = rows.last_mut().expect("a row");
        match next {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                row.last_mut().expect("a cell").push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(String::new()),
            '\r' if !quoted => {}
            '\n' if !quoted => rows.push(vec![String::new()]),
            other => row.last_mut().expect("a cell").push(other),
        }
    }
    assert_eq!(
        rows.pop(),
        Some(vec![String::new()]),
        "the last line is ended"
    );
    rows
}

// What runs just now is nothing to be kept in a file.
fn without_work(page: &Value) -> Vec<Value> {
    let mut items = page["items"].as_array().expect("a list").clone();
    for item in &mut items {
        let work = item.as_object_mut().expect("a session").remove("work");
        assert!(work.is_some());
    }
    items
}

async fn a_file_holds_what_the_list_shows() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let mut ended = None;
    for number in 0..15 {
        app.advance(seconds(1));
        let row = NewRow {
            name: format!("kestrel, \"{number}\""),
            ip: format!("10.0.0.{number}"),
            ..NewRow::default()
        };
        ended = Some(app.open_session(&nora, row).await.0);
    }
    let ended = ended.expect("a session");
    admin
        .delete(&format!("/api/v1/sessions/{ended}"))
        .json(&json!({ "reason": "lost" }))
        .await
        .done();
    for filter in [
        "",
        "q=KESTREL",
        "q=kestrel&state=active",
        "state=ended",
        "q=10.0.0.3",
        "kind=api",
        "q=absent",
    ] {
        let page = admin
            .get(&format!("/api/v1/sessions?page_size=100&{filter}"))
            .await
            .ok();
        let items = &without_work(&page);
        assert_eq!(
            &lines(
                &admin,
                &format!("/api/v1/sessions/export?format=ndjson&{filter}")
            )
            .await,
            items,
            "{filter}"
        );
        let answer = admin
            .get(&format!("/api/v1/sessions/export?format=csv&{filter}"))
            .await;
        assert_eq!(
            answer.header("content-type"),
            Some("text/csv; charset=utf-8; header=present")
        );
        assert_eq!(
            answer.header("content-disposition"),
            Some("attachment; filename=\"rollcall-sessions-2026-11-22-090015Z.csv\"")
        );
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let rows = table(&answer.text());
        assert_eq!(rows.len(), items.len() + 1, "{filter}");
        assert_eq!(rows[0][..2], ["id", "user_email"]);
        for (row, item) in rows[1..].iter().zip(items) {
            assert_eq!(row.len(), rows[0].len());
            let cell = |name: &str| {
                let index = rows[0]
                    .iter()
                    .position(|column| column == name)
                    .expect("a column");
                row[index].as_str()
            };
            assert_eq!(cell("id"), item["id"]);
            assert_eq!(cell("name"), item["name"]);
            assert_eq!(cell("state"), item["state"]);
            assert_eq!(
                cell("duration_seconds"),
                item["duration_seconds"].to_string()
            );
            assert_eq!(
                cell("ended_note"),
                item["ended"]["note"].as_str().unwrap_or_default()
            );
        }
    }
    // One's own: as My Sessions shows them.
    let own = app.browser_of(&nora).await;
    for filter in ["", "state=ended", "q=10.0.0.3"] {
        let page = own
            .get(&format!("/api/v1/me/sessions?page_size=100&{filter}"))
            .await
            .ok();
        let mut items = without_work(&page);
        items.sort_by_key(|item| {
            std::cmp::Reverse(item["created_at"].to_string() + &item["id"].to_string())
        });
        let found = lines(
            &own,
            &format!("/api/v1/me/sessions/export?format=ndjson&{filter}"),
        )
        .await;
        assert_eq!(found, items, "{filter}");
        assert!(!found.is_empty());
    }
}

async fn the_audit_trail_is_a_file_too() {
    let (app, anon, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    for _ in 0..3 {
        anon.sign_in_as(&nora.email, "a wrong password")
            .await
            .problem(401, "sign_in_failed");
    }
    for filter in [
        "action=sign_in",
        "target=nora@acme.test&outcome=wrong_password",
        "ip=203.0.113.0/24&action=sign_in",
        "action=user.locked",
    ] {
        let items = admin
            .get(&format!("/api/v1/audit?page_size=100&{filter}"))
            .await
            .ok()["items"]
            .clone();
        let items = items.as_array().expect("a list");
        let found = lines(
            &admin,
            &format!("/api/v1/audit/export?format=ndjson&{filter}"),
        )
        .await;
        assert_eq!(&found, items, "{filter}");
        let answer = admin
            .get(&format!("/api/v1/audit/export?format=csv&{filter}"))
            .await;
        let rows = table(&answer.text());
        assert_eq!(rows.len(), items.len() + 1);
        assert_eq!(rows[0][..3], ["sequence", "at", "event"]);
        for (row, item) in rows[1..].iter().zip(items) {
            assert_eq!(row[0], item["sequence"].to_string());
            assert_eq!(
                row[2],
                "Somebody tried to sign in as nora with a wrong password"
            );
        }
    }
    // The export comes first in what it exports: it is written down before it begins.
    let all = lines(&admin, "/api/v1/audit/export?format=ndjson").await;
    assert_eq!(all[0]["action"], "audit.exported");
    assert_eq!(all[0]["detail"], "ndjson, everything");
    assert_eq!(all.last().expect("an event")["sequence"], 1);
}

async fn a_file_of_many_parts_has_each_row_once() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    // More than two parts of each, several of one moment; one in seven is looked for.
    let (person, start) = (nora.clone(), app.now());
    for index in 0..4_500_u32 {
        if index % 3 == 0 {
            app.advance(std::time::Duration::from_millis(1));
        }
        if index % 7 == 0 {
            app.open_session(
                &person,
                NewRow {
                    name: format!("kestrel {index}"),
                    ..NewRow::default()
                },
            )
            .await;
        } else {
            app.open_session(&person, NewRow::default()).await;
        }
    }
    let found = lines(&admin, "/api/v1/sessions/export?format=ndjson&q=kestrel").await;
    assert_eq!(found.len(), 643);
    let ids: std::collections::BTreeSet<_> =
        found.iter().map(|row| row["id"].to_string()).collect();
    assert_eq!(ids.len(), 643, "each once");
    assert_eq!(
        lines(&admin, "/api/v1/sessions/export?format=ndjson")
            .await
            .len(),
        4_501
    );
    assert_eq!(
        table(&admin.get("/api/v1/sessions/export?format=csv").await.text()).len(),
        4_502
    );

    let written = app.side().write(move |tx| {
        Box::pin(async move {
            for step in 0..1_200_u64 {
                let record = rollcall_server::db::AuditRecord {
                    at: start + seconds(step),
                    actor: None,
                    actor_name: String::new(),
                    target: Some(person.id),
                    target_name: person.name.clone(),
                    target_email: person.email.clone(),
                    organisation: Some(person.organisation),
                    action: rollcall_core::AuditAction::SessionCreated,
                    outcome: rollcall_core::AuditOutcome::Success,
                    session: None,
                    detail: None,
                    ip: format!("10.0.{}.1", step % 7),
                    user_agent: String::new(),
                    request_id: String::new(),
                };
                rollcall_server::db::audit::append_all(tx, &[record], &|previous, _, _| *previous)
                    .await?;
            }
            Ok(())
        })
    });
    written.await.expect("they are written");
    for (filter, expected) in [
        ("action=session.created", 1_200),
        ("target=nora@acme.test", 1_200),
        ("ip=10.0.0.0/16", 1_200),
        ("ip=10.0.3.1", 171),
        ("from=2026-11-22T09:10:00Z&action=session.created", 600),
        ("until=2026-11-22T09:10:00Z&ip=10.0.0.0/8", 600),
    ] {
        let found = lines(
            &admin,
            &format!("/api/v1/audit/export?format=ndjson&{filter}"),
        )
        .await;
        assert_eq!(found.len(), expected, "{filter}");
        let numbers: Vec<_> = found
            .iter()
            .map(|event| event["sequence"].as_i64().expect("a number"))
            .collect();
        assert!(
            numbers.is_sorted_by(|one, other| one > other),
            "{filter}: newest first, each once"
        );
    }
}

async fn nothing_in_a_file_is_a_formula() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    for name in ["=1+1", "+1", "-1", "@SUM(A1)", "＝1"] {
        let row = NewRow {
            name: name.to_owned(),
            user_agent: "=HYPERLINK(\"http://evil.example\",\"x\")".to_owned(),
            ..NewRow::default()
        };
        let (id, _) = app.open_session(&nora, row).await;
        admin
            .delete(&format!("/api/v1/sessions/{id}"))
            .json(&json!({ "reason": "=2+2" }))
            .await
            .done();
    }
    let mut guarded = 0;
    for path in [
        "/api/v1/sessions/export?format=csv",
        "/api/v1/audit/export?format=csv",
    ] {
        for cell in table(&admin.get(path).await.text()).iter().flatten() {
            assert!(
                !cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝']),
                "{cell}"
            );
            guarded += usize::from(cell.starts_with('\''));
        }
    }
    assert_eq!(guarded, 15);
    // Programs get what was sent.
    let rows = lines(&admin, "/api/v1/sessions/export?format=ndjson&q=%3D1").await;
    assert_eq!(rows[0]["name"], "=1+1");
}

async fn files_keep_to_their_organisation() {
    let (app, anon, admin) = TestApp::start().with_admin().await;
    let (acme, globex) = (
        app.organisation("Acme").await,
        app.organisation("Globex").await,
    );
    let ada = app
        .user(acme, BuiltInRole::Administrator, "ada@acme.test")
        .await;
    let eve = app
        .user(globex, BuiltInRole::Administrator, "eve@globex.test")
        .await;
    anon.sign_in_as(&eve.email, "a wrong password")
        .await
        .problem(401, "sign_in_failed");
    let (foreign, _) = app.open_session(&eve, NewRow::default()).await;
    // A platform administrator acts there without a name.
    let (own, _) = app.open_session(&ada, NewRow::default()).await;
    admin
        .delete(&format!("/api/v1/sessions/{own}"))
        .await
        .done();
    let client = app.browser_of(&ada).await;
    for path in [
        "/api/v1/sessions/export?format=ndjson",
        "/api/v1/sessions/export?format=csv&q=globex",
        "/api/v1/me/sessions/export?format=csv",
        "/api/v1/audit/export?format=csv",
        "/api/v1/audit/export?format=ndjson&target=eve@globex.test",
    ] {
        let text = client.get(path).await.text();
        for secret in [
            eve.email.as_str(),
            "Globex",
            &foreign.to_string(),
            &eve.id.to_string(),
            TestApp::ADMIN,
        ] {
            assert!(
                !text
                    .replace("q=globex", "")
                    .replace("target=eve%40globex.test", "")
                    .contains(secret),
                "{path}: {secret}"
            );
        }
    }
    let text = client
        .get("/api/v1/sessions/export?format=csv&state=ended")
        .await
        .text();
    assert!(text.contains("Platform administrator"));
    assert!(
        client
            .get("/api/v1/sessions/export?format=csv")
            .await
            .text()
            .contains(&own.to_string())
    );
}

async fn an_export_is_written_down_or_does_not_happen() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let boss = app
        .user(
            nora.organisation,
            BuiltInRole::SessionManager,
            "boss@acme.test",
        )
        .await;
    let client = app.browser_of(&boss).await;
    client
        .get("/api/v1/sessions/export?format=csv&q=Kestrel&state=active&kind=")
        .await;
    client.get("/api/v1/me/sessions/export?format=ndjson").await;
    client
        .get("/api/v1/audit/export?format=csv")
        .await
        .problem(403, "forbidden");
    client
        .get("/api/v1/sessions/export?format=xls")
        .await
        .field("format");
    let page = admin
        .get(&format!("/api/v1/audit?actor={}", boss.id))
        .await
        .ok();
    let found: Vec<_> = page["items"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|event| {
            (
                event["action"].clone(),
                event["outcome"].clone(),
                event["detail"].clone(),
                event["organisation"]["name"].clone(),
            )
        })
        .collect();
    let event = |detail: &str| {
        (
            json!("sessions.exported"),
            json!("success"),
            json!(detail),
            json!("Acme"),
        )
    };
    assert_eq!(
        found,
        [
            event("own, ndjson, everything"),
            event("csv, q=Kestrel&state=active")
        ]
    );
    // Where the trail cannot be written, nothing is taken away.
    let refuse = if app.side().reader().get_database_backend() == DbBackend::Sqlite {
        "CREATE TRIGGER refuse BEFORE INSERT ON audit_event BEGIN SELECT RAISE(ABORT, 'no'); END"
    } else {
        "ALTER TABLE audit_event ADD CONSTRAINT refuse CHECK (false) NOT VALID"
    };
    app.sql(refuse).await;
    for path in [
        "/api/v1/sessions/export?format=csv",
        "/api/v1/audit/export?format=csv",
        "/api/v1/me/sessions/export?format=csv",
    ] {
        admin.get(path).await.problem(503, "unavailable");
    }
}

async fn a_file_ends_with_the_session_that_asked_for_it() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    for _ in 0..4_100 {
        app.open_session(&nora, NewRow::default()).await;
    }
    let person = nora.clone();
    let written = app.side().write(move |tx| {
        Box::pin(async move {
            for _ in 0..1_100 {
                let record = rollcall_server::service::audit::event(
                    rollcall_core::Timestamp(0),
                    rollcall_core::AuditAction::SessionCreated,
                    rollcall_core::AuditOutcome::Success,
                    None,
                );
                let record = rollcall_server::db::AuditRecord {
                    target: Some(person.id),
                    ..record
                };
                rollcall_server::db::audit::append_all(tx, &[record], &|previous, _, _| *previous)
                    .await?;
            }
            Ok(())
        })
    });
    written.await.expect("they are written");
    for (path, start) in [
        ("/api/v1/sessions/export?format=csv", "id,user_email,"),
        ("/api/v1/sessions/export?format=ndjson", "{\"id\":"),
        ("/api/v1/audit/export?format=csv", "sequence,at,event,"),
        ("/api/v1/audit/export?format=ndjson", "{\"sequence\":"),
    ] {
        let asks = app.browser_of(&app.admin().await).await;
        let id = asks.session_id().await;
        let mut parts = asks.get(path).stream().await;
        let first = parts.next().await.expect("a part").expect("a first part");
        assert!(first.starts_with(start.as_bytes()), "{path}");
        admin.delete(&format!("/api/v1/sessions/{id}")).await.done();
        // Cut, not ended: what came so far must not look like the whole.
        assert!(parts.next().await.expect("an end").is_err(), "{path}");
    }
    let own = app.browser_of(&nora).await;
    let id = own.session_id().await;
    let mut parts = own
        .get("/api/v1/me/sessions/export?format=csv")
        .stream()
        .await;
    parts.next().await.expect("a part").expect("a first part");
    admin.delete(&format!("/api/v1/sessions/{id}")).await.done();
    assert!(parts.next().await.expect("an end").is_err());
}

async fn what_a_file_cannot_be_is_named() {
    let (_, _, admin) = TestApp::start().with_admin().await;
    for path in [
        "/api/v1/sessions/export",
        "/api/v1/me/sessions/export",
        "/api/v1/audit/export",
    ] {
        for (query, field) in [
            ("", "format"),
            ("format=", "format"),
            ("format=pdf", "format"),
            ("format=csv&format=csv", "format"),
            ("format=csv&page=2", "page"),
            ("format=csv&page_size=20", "page_size"),
            ("format=csv&sort=-name", "sort"),
            ("format=csv&colour=red", "colour"),
        ] {
            admin.get(&format!("{path}?{query}")).await.field(field);
        }
    }
    admin
        .get("/api/v1/audit/export?format=csv&ip=x")
        .await
        .field("ip");
    admin
        .get("/api/v1/sessions/export?format=csv&state=x")
        .await
        .field("state");
}
