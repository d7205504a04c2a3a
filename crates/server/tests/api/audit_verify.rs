//! `rollcall audit verify`: whoever changes, removes, moves or cuts events is found, with the row.

use std::process::{Command, Output};

use rollcall_core::{OrganisationId, UserId};
use rollcall_server::db::{self, AuditRecord};
use rollcall_server::service::audit::verify::{Finding, Whole, verify};

use crate::support::{DatabaseKind, NewRow, TestApp, kind, unknown_id};

both_databases!(
    a_trail_that_nobody_touched_is_whole_beside_a_running_server,
    a_flipped_byte_in_any_column_is_found,
    a_value_that_no_server_writes_is_found,
    a_missing_row_is_found,
    rows_in_another_order_are_found,
    a_cut_tail_is_found,
    a_cut_tail_is_found_after_the_server_has_gone_on,
    an_event_that_was_written_anew_is_found_by_those_that_follow,
    a_trail_without_an_event_is_whole,
    a_long_trail_is_read_to_its_end,
    another_key_is_found,
    a_note_that_cannot_be_read_is_told,
    the_command_says_so_and_exits_accordingly,
);

/// A server with a trail of 13 events, whose end was noted at the seventh.
async fn trail() -> TestApp {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    for round in 0..2 {
        for _ in 0..3 {
            let (id, _) = app.open_session(&nora, NewRow::default()).await;
            admin
                .delete(&format!("/api/v1/sessions/{id}"))
                .json(&serde_json::json!({ "reason": "left the building" }))
                .await
                .done();
            admin
                .delete(&format!("/api/v1/sessions/{}", unknown_id()))
                .await
                .problem(404, "not_found");
        }
        if round == 0 {
            app.restart().await;
        }
    }
    unprotect(&app).await;
    app.sql("CREATE TABLE untouched AS SELECT * FROM audit_event")
        .await;
    app
}

// Whoever tampers owns the database.
async fn unprotect(app: &TestApp) {
    app.sql(match kind() {
        DatabaseKind::Sqlite => "DROP TRIGGER audit_event_keeps; DROP TRIGGER audit_event_stays",
        DatabaseKind::Postgres => "DROP TRIGGER audit_event_stays ON audit_event",
    })
    .await;
}

async fn check(app: &TestApp) -> Result<Whole, Finding> {
    let connection = db::open_to_read(&app.database_url())
        .await
        .expect("the database is there");
    let outcome = verify(app.data_dir(), &connection).await;
    connection.close().await.expect("it can be closed");
    outcome
}

async fn put_back(app: &TestApp) {
    app.sql("DELETE FROM audit_event").await;
    app.sql("INSERT INTO audit_event SELECT * FROM untouched")
        .await;
    assert_eq!(check(app).await.expect("as it was").events, EVENTS);
}

const EVENTS: i64 = 13;
// An event that has something in every column: the end of a session by the administrator.
const ROW: i64 = 6;

async fn record(app: &TestApp) -> (AuditRecord, [u8; 32]) {
    let found = db::audit::list_raw_after(app.side().reader(), ROW - 1, 1)
        .await
        .expect("the database answers");
    let event = found.into_iter().next().expect("there are more");
    assert_eq!(event.sequence, ROW);
    (event.record, event.hmac)
}

fn bytes(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    match kind() {
        DatabaseKind::Sqlite => format!("x'{digits}'"),
        DatabaseKind::Postgres if bytes.len() == 16 => format!("'{digits}'::uuid"),
        DatabaseKind::Postgres => format!("'\\x{digits}'::bytea"),
    }
}

fn flipped(id: Option<uuid::Uuid>) -> String {
    let mut raw = *id.expect("the event has one").as_bytes();
    raw[9] ^= 0x10;
    bytes(&raw)
}

async fn a_trail_that_nobody_touched_is_whole_beside_a_running_server() {
    let app = trail().await;
    let whole = check(&app).await.expect("nobody touched it");
    assert_eq!(whole.events, EVENTS);
    assert_eq!(
        whole.to_string(),
        format!(
            "The audit trail is whole: 13 events, the last at {}.",
            app.now()
        )
    );
}

async fn a_flipped_byte_in_any_column_is_found() {
    let app = trail().await;
    let (record, hmac) = record(&app).await;
    let id = |id: Option<UserId>| flipped(id.map(|id| id.0));
    let organisation = flipped(record.organisation.map(|OrganisationId(id)| id));
    let session = flipped(record.session.map(|id| id.0));
    let text = |column: &str| format!("'~' || substr({column}, 2)");
    let mut other = hmac;
    other[31] ^= 1;
    for (column, value) in [
        ("at", "at + 1".to_owned()),
        ("actor_id", id(record.actor)),
        ("actor_id", "NULL".to_owned()),
        ("actor_name", text("actor_name")),
        ("target_id", id(record.target)),
        ("target_name", text("target_name")),
        ("target_email", text("target_email")),
        ("organisation_id", organisation),
        ("organisation_id", "NULL".to_owned()),
        ("action", "'sessions.ended'".to_owned()),
        ("outcome", "'failed'".to_owned()),
        ("session_id", session),
        ("detail", text("detail")),
        ("detail", "NULL".to_owned()),
        ("ip", text("ip")),
        ("ip_bytes", "NULL".to_owned()),
        ("ip_bytes", bytes(&[7; 15])),
        ("user_agent", text("user_agent")),
        ("request_id", text("request_id")),
        ("request_id", "''".to_owned()),
    ] {
        let statement = format!("UPDATE audit_event SET {column} = {value} WHERE sequence = {ROW}");
        app.sql(&statement).await;
        let found = check(&app).await;
        assert!(
            matches!(found, Err(Finding::Changed(ROW))),
            "{statement}: {found:?}"
        );
        put_back(&app).await;
    }
    app.sql(&format!(
        "UPDATE audit_event SET hmac = {} WHERE sequence = {ROW}",
        bytes(&other)
    ))
    .await;
    assert!(matches!(check(&app).await, Err(Finding::HmacChanged(ROW))));
    put_back(&app).await;
    // The first and the last one too.
    for (row, statement) in [
        (1, "UPDATE audit_event SET at = at - 1 WHERE sequence = 1"),
        (
            EVENTS,
            "UPDATE audit_event SET ip = '192.0.2.1' WHERE sequence = 13",
        ),
    ] {
        app.sql(statement).await;
        let found = check(&app).await;
        assert!(
            matches!(found, Err(Finding::Changed(at) | Finding::Unfitting(at)) if at == row),
            "{statement}: {found:?}"
        );
        put_back(&app).await;
    }
}

async fn a_value_that_no_server_writes_is_found() {
    let app = trail().await;
    let both = [
        ("action", "'session.endec'"),
        ("outcome", "''"),
        ("detail", "''"),
        (
            "hmac",
            match kind() {
                DatabaseKind::Sqlite => "x'00'",
                DatabaseKind::Postgres => "'\\x00'::bytea",
            },
        ),
    ];
    // SQLite keeps any value in any column. The same bytes as another type hide an event from a search.
    let sqlite = [
        ("at", "at + 0.5"),
        ("actor_id", "CAST(actor_id AS TEXT)"),
        ("organisation_id", "x'01'"),
        ("actor_name", "CAST(actor_name AS BLOB)"),
        ("ip", "CAST(x'ff' AS TEXT)"),
        ("detail", "CAST(detail AS BLOB)"),
        ("hmac", "CAST(hmac AS TEXT)"),
    ];
    let sqlite = sqlite
        .into_iter()
        .filter(|_| kind() == DatabaseKind::Sqlite);
    for (column, value) in both.into_iter().chain(sqlite) {
        // Where the event has no detail: the HMAC cannot tell an empty text from none.
        let row = if (column, value) == ("detail", "''") {
            ROW + 1
        } else {
            ROW
        };
        let statement = format!("UPDATE audit_event SET {column} = {value} WHERE sequence = {row}");
        app.sql(&statement).await;
        let found = check(&app).await;
        assert!(
            matches!(found, Err(Finding::Unreadable(at, named)) if at == row && named == column),
            "{statement}: {found:?}"
        );
        put_back(&app).await;
    }
    if kind() == DatabaseKind::Sqlite {
        app.sql("UPDATE audit_event SET sequence = 'x' WHERE sequence = 13")
            .await;
        assert!(matches!(check(&app).await, Err(Finding::Numberless(12))));
    }
}

async fn a_missing_row_is_found() {
    let app = trail().await;
    for (row, statement) in [
        (1, "DELETE FROM audit_event WHERE sequence = 1"),
        (6, "DELETE FROM audit_event WHERE sequence = 6"),
        (6, "DELETE FROM audit_event WHERE sequence IN (6, 7)"),
        (
            6,
            "UPDATE audit_event SET sequence = 1006 WHERE sequence = 6",
        ),
    ] {
        app.sql(statement).await;
        let found = check(&app).await;
        assert!(
            matches!(found, Err(Finding::Missing { sequence, .. }) if sequence == row),
            "{statement}: {found:?}"
        );
        put_back(&app).await;
    }
    // Closing the gap does not help.
    app.sql("DELETE FROM audit_event WHERE sequence = 6").await;
    for row in 7..=EVENTS {
        app.sql(&format!(
            "UPDATE audit_event SET sequence = {} WHERE sequence = {row}",
            row - 1
        ))
        .await;
    }
    let found = check(&app).await;
    assert!(matches!(found, Err(Finding::NothingFits(6))), "{found:?}");
    put_back(&app).await;
    app.sql("UPDATE audit_event SET sequence = 0 WHERE sequence = 6")
        .await;
    assert!(matches!(check(&app).await, Err(Finding::Unfitting(0))));
}

async fn rows_in_another_order_are_found() {
    let app = trail().await;
    for (one, other) in [(6, 7), (3, 11), (1, 13)] {
        for (from, to) in [(one, 1_000), (other, one), (1_000, other)] {
            app.sql(&format!(
                "UPDATE audit_event SET sequence = {to} WHERE sequence = {from}"
            ))
            .await;
        }
        let found = check(&app).await;
        assert!(
            matches!(found, Err(Finding::Moved { sequence, stands_at }) if (sequence, stands_at) == (one, other)),
            "{found:?}"
        );
        put_back(&app).await;
    }
}

async fn a_cut_tail_is_found() {
    let app = trail().await;
    app.sql("DELETE FROM audit_event WHERE sequence > 10").await;
    let found = check(&app).await;
    assert!(
        matches!(
            found,
            Err(Finding::CutTail {
                last: 10,
                noted: 13
            })
        ),
        "{found:?}"
    );
    // With the stored end to match, it takes the note beside the key.
    let stored_end = |row: i64| {
        format!(
            "UPDATE audit_head SET sequence = {row}, hmac = (SELECT hmac FROM untouched WHERE sequence = {row})"
        )
    };
    app.sql(&stored_end(10)).await;
    assert_eq!(check(&app).await.expect("the note is older").events, 10);
    app.sql("DELETE FROM audit_event WHERE sequence > 5").await;
    app.sql(&stored_end(5)).await;
    let found = check(&app).await;
    assert!(
        matches!(
            found,
            Err(Finding::CutTail {
                last: 5,
                noted: 7..
            })
        ),
        "{found:?}"
    );
    assert!(
        found
            .expect_err("it is cut")
            .to_string()
            .starts_with("event 6 is missing: the tail was cut")
    );
    app.sql(&stored_end(13)).await;
    put_back(&app).await;
    for statement in [
        stored_end(12),
        "UPDATE audit_head SET hmac = (SELECT hmac FROM untouched WHERE sequence = 1)".to_owned(),
        "DELETE FROM audit_head".to_owned(),
    ] {
        app.sql(&statement).await;
        let found = check(&app).await;
        assert!(
            matches!(found, Err(Finding::StoredEnd(13))),
            "{statement}: {found:?}"
        );
    }
}

async fn a_cut_tail_is_found_after_the_server_has_gone_on() {
    let app = trail().await;
    app.restart().await;
    app.stop().await;
    app.sql("DELETE FROM audit_event WHERE sequence > 10").await;
    app.sql("UPDATE audit_head SET sequence = 10, hmac = (SELECT hmac FROM untouched WHERE sequence = 10)")
        .await;
    // The server starts all the same, writes more events than were cut, and notes its new end.
    app.start_again().await;
    for _ in 0..5 {
        app.anonymous()
            .sign_in_as("nobody@acme.test", "a wrong password")
            .await
            .problem(401, "sign_in_failed");
    }
    app.restart().await;
    let found = check(&app).await;
    assert!(matches!(found, Err(Finding::Regrown(13))), "{found:?}");
}

// Somebody without the key has to guess the HMAC: the next event fits neither it nor the right one, but those after it fit.
async fn an_event_that_was_written_anew_is_found_by_those_that_follow() {
    let app = trail().await;
    let guess = bytes(&[0x5a; 32]);
    for row in [1, ROW] {
        app.sql(format!(
            "UPDATE audit_event SET at = at + 1, hmac = {guess} WHERE sequence = {row}"
        ))
        .await;
        let found = check(&app).await;
        assert!(
            matches!(found, Err(Finding::Unfitting(at)) if at == row),
            "{found:?}"
        );
        put_back(&app).await;
    }
    // With nothing after it there is only what comes before; without that, the key may be another as well.
    app.sql("DELETE FROM audit_event WHERE sequence > 2").await;
    app.sql("UPDATE audit_event SET at = at + 1 WHERE sequence = 2")
        .await;
    let found = check(&app).await;
    assert!(matches!(found, Err(Finding::Unfitting(2))), "{found:?}");
    app.sql("DELETE FROM audit_event WHERE sequence = 2").await;
    app.sql("UPDATE audit_event SET at = at + 1").await;
    let found = check(&app).await;
    assert!(matches!(found, Err(Finding::NothingFits(1))), "{found:?}");
}

async fn a_trail_without_an_event_is_whole() {
    let app = trail().await;
    app.stop().await;
    app.sql("DELETE FROM audit_event").await;
    app.sql(format!(
        "UPDATE audit_head SET sequence = 0, hmac = {}",
        bytes(&[0; 32])
    ))
    .await;
    // What was noted says that there was more.
    let found = check(&app).await;
    assert!(
        matches!(found, Err(Finding::CutTail { last: 0, noted: 13 })),
        "{found:?}"
    );
    std::fs::remove_file(app.data_dir().join("audit.head")).expect("a file can be removed");
    let whole = check(&app).await.expect("nothing was ever written");
    assert_eq!((whole.events, whole.last_at), (0, None));
}

async fn a_long_trail_is_read_to_its_end() {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    let rows = (0..2_100).map(|_| NewRow::default()).collect();
    app.open_sessions(&nora, rows).await;
    let filter = serde_json::json!({ "filter": { "user": nora.id } });
    let preview = admin
        .post("/api/v1/sessions/end-preview", filter)
        .await
        .ok();
    let body = serde_json::json!({ "preview": preview["id"] });
    let run = admin.post("/api/v1/sessions/end", body).await.ok();
    assert_eq!(run["ended"], 2_100, "each with an event: {run}");
    app.restart().await;
    let whole = check(&app).await.expect("nobody touched it");
    assert!(whole.events > 2_100, "{whole}");
    unprotect(&app).await;
    let row = whole.events - 5;
    app.sql(format!(
        "UPDATE audit_event SET at = at + 1 WHERE sequence = {row}"
    ))
    .await;
    let found = check(&app).await;
    assert!(
        matches!(found, Err(Finding::Changed(at)) if at == row),
        "{found:?}"
    );
}

async fn another_key_is_found() {
    let app = trail().await;
    let file = app.data_dir().join("audit.key");
    let key = std::fs::read(&file).expect("the key");
    std::fs::write(&file, [7; 32]).expect("a file can be written");
    assert!(matches!(check(&app).await, Err(Finding::NothingFits(1))));
    std::fs::write(&file, &key[1..]).expect("a file can be written");
    let words =
        |found: Result<Whole, Finding>| found.expect_err("no check is possible").to_string();
    assert!(words(check(&app).await).ends_with("audit.key does not hold 32 bytes"));
    std::fs::remove_file(&file).expect("a file can be removed");
    assert!(words(check(&app).await).starts_with("there is no audit.key in "));
    assert!(!file.exists(), "a check makes no key");
    // A server that lost its key makes another one, and goes on with it.
    app.restart().await;
    app.anonymous()
        .sign_in_as("nobody@acme.test", "a wrong password")
        .await
        .problem(401, "sign_in_failed");
    std::fs::write(&file, &key).expect("a file can be written");
    let found = check(&app).await;
    assert!(matches!(found, Err(Finding::Unfitting(14))), "{found:?}");
}

async fn a_note_that_cannot_be_read_is_told() {
    let app = trail().await;
    let file = app.data_dir().join("audit.head");
    std::fs::write(&file, "7 and something").expect("a file can be written");
    let found = check(&app).await.expect_err("no check is possible");
    assert!(
        found
            .to_string()
            .contains("audit.head does not hold the end of a trail"),
        "{found}"
    );
    std::fs::remove_file(&file).expect("a file can be removed");
    let found = check(&app).await.expect_err("the note is missing");
    assert!(
        found.to_string().starts_with("there is no audit.head in "),
        "{found}"
    );
    // Written anew by the next server that stops in order.
    app.restart().await;
    assert_eq!(check(&app).await.expect("it is whole").events, EVENTS);
}

fn run(app: &TestApp) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rollcall"))
        .args(["audit", "verify", "--data-dir"])
        .arg(app.data_dir())
        .args(["--database", &app.database_url()])
        .output()
        .expect("the program runs")
}

async fn the_command_says_so_and_exits_accordingly() {
    let app = trail().await;
    let whole = run(&app);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
    assert_eq!(whole.status.code(), Some(0), "{}", text(&whole.stderr));
    assert!(
        text(&whole.stdout).starts_with("The audit trail is whole: 13 events, the last at 2026-")
    );
    assert_eq!(text(&whole.stdout).lines().count(), 1);
    app.sql("UPDATE audit_event SET outcome = 'not_found' WHERE sequence = 6")
        .await;
    let broken = run(&app);
    assert_eq!(broken.status.code(), Some(1));
    assert_eq!(text(&broken.stdout), "");
    assert_eq!(
        text(&broken.stderr),
        "rollcall: the audit trail could not be confirmed: event 6 was changed: its content does not fit its HMAC\n"
    );
    // Neither does it need a server, nor make anything where there is no database.
    app.stop().await;
    assert_eq!(run(&app).status.code(), Some(1));
    let nowhere = tempfile::tempdir().expect("a folder");
    let refused = Command::new(env!("CARGO_BIN_EXE_rollcall"))
        .args(["audit", "verify", "--data-dir"])
        .arg(nowhere.path())
        .output()
        .expect("the program runs");
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(
        std::fs::read_dir(nowhere.path()).expect("a folder").count(),
        0
    );
}
