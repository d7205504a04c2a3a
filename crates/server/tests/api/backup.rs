//! Backups: taken beside a server that works, checked before they are used, and none of them brings an ended
//! session back.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rollcall_core::EndReason;
use rollcall_server::app::App;
use rollcall_server::backup::{self, Restored};
use rollcall_server::clock::{ManualClock, OsRandom};
use rollcall_server::config::{Settings, StorageSettings};
use rollcall_server::db::{self, Database, DatabaseOptions, Scope};
use rollcall_server::service::audit::verify::verify;
use rollcall_server::service::signing::{TOKEN_KEY, WEBHOOK_KEY};
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use serde_json::json;

use crate::support::inbox::Inbox;
use crate::support::{DatabaseKind, NewRow, TestApp, kind, minutes, seconds};

both_databases!(
    a_backup_taken_under_load_is_whole_when_restored,
    a_damaged_backup_is_refused,
    receivers_go_on_with_the_keys_that_they_have,
    a_backup_takes_the_place_of_nothing_and_leaves_nothing_half_done,
    a_restore_takes_the_place_of_nothing_unasked,
    a_server_does_not_start_on_a_damaged_database,
    the_commands_say_what_they_did,
);

/// Where a backup is restored to: a new folder; with PostgreSQL the database stays where it is, as if
/// `pg_restore` had just filled it.
fn elsewhere(app: &TestApp, data_dir: &Path) -> StorageSettings {
    StorageSettings {
        config: None,
        database: (kind() == DatabaseKind::Postgres).then(|| app.database_url()),
        data_dir: data_dir.to_owned(),
    }
}

fn storage(app: &TestApp) -> StorageSettings {
    StorageSettings {
        config: None,
        database: Some(app.database_url()),
        data_dir: app.data_dir().to_owned(),
    }
}

async fn restore(
    app: &TestApp,
    from: &Path,
    storage: &StorageSettings,
    replace: bool,
) -> anyhow::Result<Restored> {
    let clock = Arc::new(ManualClock::at(app.now()));
    backup::restore(storage, from, replace, clock, Arc::new(OsRandom)).await
}

async fn number(connection: &DatabaseConnection, text: &str) -> i64 {
    let query = Statement::from_string(connection.get_database_backend(), text);
    let row = connection.query_one_raw(query).await;
    row.expect("the database answers")
        .expect("a row")
        .try_get_by_index(0)
        .expect("a number")
}

/// In how many rows the counters differ from a recount.
const MISCOUNTED: &str = "SELECT count(*) FROM session_counter c LEFT JOIN (
    SELECT organisation_id, kind, count(*) AS total,
        sum(CASE WHEN ended_at IS NULL THEN 1 ELSE 0 END) AS active,
        sum(CASE WHEN ended_at IS NULL THEN 0 ELSE ended_at / 1000 - created_at / 1000 END) AS ended_ms,
        sum(CASE WHEN ended_at IS NULL THEN created_at / 1000 - 1735689600000 ELSE 0 END) AS active_created_ms
    FROM session GROUP BY organisation_id, kind
) r ON r.organisation_id = c.organisation_id AND r.kind = c.kind
WHERE coalesce(r.total, 0) <> c.total OR coalesce(r.active, 0) <> c.active
    OR coalesce(r.ended_ms, 0) <> c.ended_ms OR coalesce(r.active_created_ms, 0) <> c.active_created_ms";

async fn a_backup_taken_under_load_is_whole_when_restored() {
    let (app, _, _) = TestApp::start()
        .with(&["--rotate-every", "10s"])
        .with_admin()
        .await;
    let (nora, root) = (app.member().await, app.admin().await);
    app.restart().await;
    let keep = NewRow {
        keep: true,
        ..NewRow::default()
    };
    let (kept, _) = app.open_session(&nora, keep).await;
    app.api_key(&nora, &[]).await;
    let (over, rounds) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let mut load = Vec::new();
    for worker in 0..4 {
        let (app, nora, root) = (app.clone(), nora.clone(), root.clone());
        let (over, rounds) = (over.clone(), rounds.clone());
        load.push(tokio::spawn(async move {
            let who = if worker == 0 { root } else { nora.clone() };
            let mut program = app.program_of(&who).await;
            while !over.load(Ordering::Acquire) {
                match worker {
                    // Ends. Time flies here: some of the sessions have expired before.
                    0 => {
                        let (id, _) = app.open_session(&nora, NewRow::default()).await;
                        program.delete(&format!("/api/v1/sessions/{id}")).await;
                    }
                    1 => drop(app.anonymous().sign_in(&nora).await.ok()),
                    // Rotations: each of these comes long enough after the last.
                    _ => app.advance(seconds(11)),
                }
                if !program.is_signed_in().await {
                    program = app.program_of(&who).await;
                }
                rounds.fetch_add(1, Ordering::AcqRel);
            }
        }));
    }
    let reached = async |goal: usize| {
        while rounds.load(Ordering::Acquire) < goal {
            tokio::task::yield_now().await;
        }
    };
    reached(40).await;
    let folder = tempfile::tempdir().expect("a folder");
    let copy = folder.path().join("copy");
    let made = backup::make(&storage(&app), &copy).await.expect("a backup");
    let events = made.trail.expect("its trail is whole").events;
    reached(rounds.load(Ordering::Acquire) + 40).await;
    over.store(true, Ordering::Release);
    for worker in load {
        worker.await.expect("no panic");
    }
    app.store_end(kept, EndReason::EndedByAdministrator).await;
    app.stop().await;
    if kind() == DatabaseKind::Sqlite {
        let url = db::snapshot::sqlite_url(&copy.join("rollcall.db")).expect("a path");
        let copied = db::open_to_read(&url).await.expect("a database");
        let live = "SELECT count(*) FROM session WHERE ended_at IS NULL";
        assert!(
            number(&copied, live).await > 0,
            "there is something to revive"
        );
        let (record, _) = db::sessions::find(&copied, kept)
            .await
            .expect("the copy answers")
            .expect("it is there");
        assert_eq!(record.ended, None, "it was ended after the backup");
        copied.close().await.expect("it can be closed");
    }

    let place = folder.path().join("place");
    let storage = elsewhere(&app, &place);
    app.advance(seconds(1));
    let restored = restore(&app, &copy, &storage, false)
        .await
        .expect("it is sound");
    assert!(restored.sums_checked && restored.put_aside.is_empty());
    if kind() == DatabaseKind::Sqlite {
        assert_eq!(restored.trail.events, events);
    }
    let connection = db::open_to_read(&storage.database_url())
        .await
        .expect("a database");
    let whole = verify(&place, &connection)
        .await
        .expect("its trail is whole");
    assert_eq!(whole.events, restored.trail.events + 1);
    let said =
        "SELECT count(*) FROM audit_event WHERE action = 'backup.restored' AND outcome = 'success'";
    assert_eq!(number(&connection, said).await, 1);
    let live = db::sessions::count_live(&connection, Scope::All, app.now()).await;
    assert_eq!(
        live.expect("the database answers"),
        0,
        "no session lives again"
    );
    let good = "SELECT count(*) FROM api_key WHERE revoked_at IS NULL";
    assert_eq!(number(&connection, good).await, 0, "no key is good again");
    assert_eq!(number(&connection, MISCOUNTED).await, 0);
    let counted =
        "SELECT cast(sum(total) AS bigint) - (SELECT count(*) FROM session) FROM session_counter";
    assert_eq!(number(&connection, counted).await, 0);
    connection.close().await.expect("it can be closed");

    // And it is a server's database: its rows follow the epoch, and whoever signs in is in.
    let settings = Settings {
        storage,
        ..rollcall_server::cli::read_settings(&[]).expect("defaults")
    };
    let clock = Arc::new(ManualClock::at(app.now() + seconds(1)));
    let server = App::build_with(settings, clock, Arc::new(OsRandom))
        .await
        .expect("it starts");
    assert!(server.service().sweep().await.expect("it answers") > 0);
    let db = db::open_to_read(&elsewhere(&app, &place).database_url())
        .await
        .expect("a database");
    assert_eq!(number(&db, MISCOUNTED).await, 0);
    assert_eq!(
        number(&db, "SELECT count(*) FROM session WHERE ended_at IS NULL").await,
        0
    );
    db.close().await.expect("it can be closed");
    server.service().shut_down().await;
}

/// A backup of a stopped server with some sessions, in a folder.
async fn backed_up() -> (TestApp, tempfile::TempDir, PathBuf) {
    let (app, _, admin) = TestApp::start().with_admin().await;
    let nora = app.member().await;
    for _ in 0..20 {
        let (id, _) = app.open_session(&nora, NewRow::default()).await;
        admin.delete(&format!("/api/v1/sessions/{id}")).await.done();
        app.open_session(&nora, NewRow::default()).await;
    }
    app.stop().await;
    let folder = tempfile::tempdir().expect("a folder");
    let copy = folder.path().join("copy");
    backup::make(&storage(&app), &copy).await.expect("a backup");
    (app, folder, copy)
}

async fn receivers_go_on_with_the_keys_that_they_have() {
    let settings = [
        "--allow-outbound",
        "127.0.0.1",
        "--public-url",
        "https://rollcall.test",
    ];
    let (app, _, admin) = TestApp::start().with(&settings).with_admin().await;
    let inbox = Inbox::start().await;
    inbox.join(&admin, "webhook", json!({})).await;
    let tokens = json!({ "format": "caep" });
    inbox.join(&admin, "tokens", tokens).await;
    let published = admin.get("/.well-known/jwks.json").await.ok();
    assert_eq!(published["keys"].as_array().map(Vec::len), Some(2));
    app.stop().await;
    let folder = tempfile::tempdir().expect("a folder");
    let copy = folder.path().join("copy");
    backup::make(&storage(&app), &copy).await.expect("a backup");
    let place = folder.path().join("place");
    let storage = elsewhere(&app, &place);
    app.advance(seconds(1));
    restore(&app, &copy, &storage, false)
        .await
        .expect("it is sound");
    for name in [WEBHOOK_KEY, TOKEN_KEY] {
        let here = fs::read(app.data_dir().join(name)).expect("it was made");
        assert_eq!(fs::read(place.join(name)).ok(), Some(here), "{name}");
        let mode = fs::metadata(place.join(name)).expect("it is there").mode();
        assert_eq!(mode & 0o077, 0, "{name} is for the server alone");
    }
    // One that is changed on the way is no backup.
    let key = copy.join(WEBHOOK_KEY);
    let mut bytes = fs::read(&key).expect("it is in the backup");
    bytes[0] ^= 1;
    fs::write(&key, bytes).expect("it can be written");
    let second = elsewhere(&app, &folder.path().join("second"));
    let refused = restore(&app, &copy, &second, false).await;
    let refused = refused.expect_err("it is damaged").to_string();
    assert!(refused.contains(WEBHOOK_KEY), "{refused}");
}

async fn a_damaged_backup_is_refused() {
    let (app, folder, copy) = backed_up().await;
    let place = folder.path().join("place");
    let storage = elsewhere(&app, &place);
    let refused = async |what: &str| {
        let words = match restore(&app, &copy, &storage, false).await {
            Ok(_) => panic!("{what} was restored"),
            Err(error) => format!("{error:#}"),
        };
        assert!(!place.join("rollcall.db").exists(), "{what}");
        assert!(!place.join("audit.key").exists(), "{what}");
        words
    };
    // One bit anywhere, by the sums.
    let mut names = vec!["audit.key", "audit.head"];
    if kind() == DatabaseKind::Sqlite {
        names.push("rollcall.db");
    }
    for name in &names {
        let file = copy.join(name);
        let bytes = fs::read(&file).expect("a file");
        for part in 0..8 {
            let mut flipped = bytes.clone();
            let at = (bytes.len() - 1) * part / 7;
            flipped[at] ^= 0x04;
            fs::write(&file, &flipped).expect("it can be written");
            let words = refused(name).await;
            assert!(words.contains("is not as it was written"), "{words}");
        }
        fs::remove_file(&file).expect("it can be removed");
        let words = refused(name).await;
        assert!(words.contains(&format!("there is no {name} in")), "{words}");
        fs::write(&file, &bytes).expect("it can be written");
    }
    // Without the sums, by SQLite and the audit trail.
    fs::remove_file(copy.join("SHA256SUMS")).expect("it can be removed");
    let key = fs::read(copy.join("audit.key")).expect("a key");
    fs::write(copy.join("audit.key"), [1; 32]).expect("it can be written");
    assert!(
        refused("another key")
            .await
            .contains("no event fits audit.key")
    );
    fs::write(copy.join("audit.key"), key).expect("it can be written");
    if kind() == DatabaseKind::Sqlite {
        let file = copy.join("rollcall.db");
        let bytes = fs::read(&file).expect("a file");
        let pages = bytes.len() / 4096;
        assert!(pages > 20);
        for page in 0..pages {
            let mut torn = bytes.clone();
            // As a disk that wrote half of a page, and something else before it.
            torn[page * 4096..page * 4096 + 2048].fill(0xa5);
            fs::write(&file, &torn).expect("it can be written");
            refused(&format!("page {page}")).await;
        }
        for length in [bytes.len() - 4096, bytes.len() / 2, 100, 0] {
            fs::write(&file, &bytes[..length]).expect("it can be written");
            refused(&format!("{length} bytes")).await;
        }
        fs::write(&file, &bytes).expect("it can be written");
    }
    let restored = restore(&app, &copy, &storage, false)
        .await
        .expect("it is sound");
    assert!(!restored.sums_checked);
}

async fn a_backup_takes_the_place_of_nothing_and_leaves_nothing_half_done() {
    let (app, folder, copy) = backed_up().await;
    let before = fs::read(copy.join("SHA256SUMS")).expect("sums");
    let refused = backup::make(&storage(&app), &copy)
        .await
        .expect_err("it is there");
    assert!(
        refused.to_string().contains("is there already"),
        "{refused}"
    );
    assert_eq!(fs::read(copy.join("SHA256SUMS")).expect("sums"), before);
    let names = |folder: &Path| {
        let mut names: Vec<_> = fs::read_dir(folder)
            .expect("a folder")
            .map(|entry| {
                entry
                    .expect("an entry")
                    .file_name()
                    .into_string()
                    .expect("text")
            })
            .collect();
        names.sort();
        names
    };
    let mut expected = vec!["SHA256SUMS", "audit.head", "audit.key"];
    if kind() == DatabaseKind::Sqlite {
        expected.push("rollcall.db");
    }
    assert_eq!(names(&copy), expected);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: &Path| {
            fs::metadata(path)
                .expect("it is there")
                .permissions()
                .mode()
                & 0o777
        };
        assert_eq!(mode(&copy), 0o700);
        for name in expected {
            assert_eq!(mode(&copy.join(name)), 0o600, "{name}");
        }
    }
    // What fails in the middle leaves nothing: here the database is gone when its turn comes.
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).expect("a folder");
    let nowhere = StorageSettings {
        config: None,
        database: None,
        data_dir: empty.clone(),
    };
    let other = folder.path().join("other");
    let refused = backup::make(&nowhere, &other)
        .await
        .expect_err("there is nothing");
    assert!(
        refused.to_string().contains("there is no audit.key"),
        "{refused}"
    );
    fs::write(empty.join("audit.key"), [1; 32]).expect("it can be written");
    fs::write(empty.join("rollcall.db"), [7; 8192]).expect("it can be written");
    backup::make(&nowhere, &other)
        .await
        .expect_err("this is no database");
    assert_eq!(names(folder.path()), ["copy", "empty"]);
}

async fn a_restore_takes_the_place_of_nothing_unasked() {
    let (app, folder, copy) = backed_up().await;
    let storage = storage(&app);
    app.start_again().await;
    let words = |error: anyhow::Error| format!("{error:#}");
    let held = restore(&app, &copy, &storage, true)
        .await
        .expect_err("it is held");
    assert!(words(held).contains("in use by another Rollcall server"));
    app.stop().await;
    let place = folder.path().join("place");
    let fresh = elsewhere(&app, &place);
    fs::create_dir(&place).expect("a folder");
    fs::write(place.join("audit.key"), [1; 32]).expect("it can be written");
    let refused = restore(&app, &copy, &fresh, false)
        .await
        .expect_err("another key");
    assert!(words(refused).contains("is the key of another audit trail"));
    assert_eq!(fs::read(place.join("audit.key")).expect("the key"), [1; 32]);
    let restored = restore(&app, &copy, &fresh, true)
        .await
        .expect("it was asked to");
    assert_eq!(restored.put_aside, [place.join("audit.key.replaced-1")]);
    if kind() == DatabaseKind::Sqlite {
        let refused = restore(&app, &copy, &fresh, false)
            .await
            .expect_err("it is there");
        assert!(words(refused).contains("there is a database in"));
        fs::write(place.join("rollcall.db-wal"), b"of the old database")
            .expect("it can be written");
        let again = restore(&app, &copy, &fresh, true)
            .await
            .expect("it was asked to");
        assert!(
            again
                .put_aside
                .contains(&place.join("rollcall.db.replaced-2"))
        );
        assert!(
            again
                .put_aside
                .contains(&place.join("rollcall.db-wal.replaced-2"))
        );
        // A backup from the future would leave sessions alive that the epoch of now does not reach.
        let past = Arc::new(ManualClock::at(app.now() - minutes(1)));
        let refused = backup::restore(&fresh, &copy, true, past, Arc::new(OsRandom)).await;
        assert!(words(refused.expect_err("sessions of later")).contains("set the clock right"));
    }
    // Cut short, it is to be run again, and no server starts before.
    fs::write(place.join("restore.unfinished"), b"").expect("it can be written");
    let settings = Settings {
        storage: fresh.clone(),
        ..rollcall_server::cli::read_settings(&[]).expect("defaults")
    };
    let refused = App::build(settings).await.expect_err("half of it is there");
    assert!(words(refused).contains("was cut short"));
    restore(&app, &copy, &fresh, false)
        .await
        .expect("it is run again");
    assert!(!place.join("restore.unfinished").exists());
}

async fn a_server_does_not_start_on_a_damaged_database() {
    let (app, folder, copy) = backed_up().await;
    if kind() == DatabaseKind::Postgres {
        // PostgreSQL looks after its own files; a folder that is none of SQLite's is all the same refused.
        let refused = Database::connect("sqlite:/", DatabaseOptions::default()).await;
        assert!(refused.is_err());
        return;
    }
    let bytes = fs::read(copy.join("rollcall.db")).expect("a file");
    let place = folder.path().join("place");
    fs::create_dir(&place).expect("a folder");
    let file = place.join("rollcall.db");
    let start = async |what: &str, bytes: &[u8]| {
        fs::write(&file, bytes).expect("it can be written");
        let settings = Settings {
            storage: elsewhere(&app, &place),
            ..rollcall_server::cli::read_settings(&[]).expect("defaults")
        };
        let words = match App::build(settings).await {
            Ok(_) => panic!("it starts on {what}"),
            Err(error) => format!("{error:#}"),
        };
        assert!(words.contains("torn or damaged"), "{what}: {words}");
        assert!(words.contains("rollcall restore"), "{what}: {words}");
        assert!(
            fs::read(&file).expect("the file") == bytes,
            "{what} is as it was"
        );
    };
    start("noise", &[7; 8192]).await;
    start("a torn file", &bytes[..bytes.len() / 2]).await;
    for page in 1..bytes.len() / 4096 {
        let mut torn = bytes.clone();
        torn[page * 4096..page * 4096 + 2048].fill(0xa5);
        start(&format!("a torn page {page}"), &torn).await;
    }
}

async fn the_commands_say_what_they_did() {
    // Without a session: the program has its own clock, by which those of the test may be in the future.
    let app = TestApp::start().fresh().await;
    app.stop().await;
    let folder = tempfile::tempdir().expect("a folder");
    let copy = folder.path().join("copy");
    let run = |arguments: &[&str], data_dir: &Path, database: Option<String>| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rollcall"));
        command.args(arguments).arg("--data-dir").arg(data_dir);
        if let Some(url) = database {
            command.args(["--database", &url]);
        }
        let output = command.output().expect("the program runs");
        (
            output.status.code(),
            String::from_utf8(output.stdout).expect("text"),
            String::from_utf8(output.stderr).expect("text"),
        )
    };
    let dir = copy.display().to_string();
    let (code, said, errors) = run(&["backup", &dir], app.data_dir(), Some(app.database_url()));
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    assert!(
        said.contains("The audit trail is whole: 1 event,"),
        "{said}"
    );
    assert_eq!(
        said.contains("pg_dump"),
        kind() == DatabaseKind::Postgres,
        "{said}"
    );
    let (code, _, errors) = run(&["backup", &dir], app.data_dir(), Some(app.database_url()));
    assert_eq!(code, Some(1));
    assert!(errors.contains("is there already"), "{errors}");
    let place = folder.path().join("place");
    let database = elsewhere(&app, &place).database;
    let (code, said, errors) = run(&["restore", &dir], &place, database.clone());
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    assert!(said.contains("All its sessions have ended"), "{said}");
    let (code, said, errors) = run(&["audit", "verify"], &place, database);
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    assert!(said.contains(": 2 events"), "{said}");
}
