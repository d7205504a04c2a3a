//! The command line as people use it: the program itself, against a running server by API key and on the database while the
//! server is stopped. On SQLite: what it does there it does by the calls that all other tests make.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::{Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_rollcall");
const ADMIN: &str = "root@rollcall.test";
const PASSWORD: &str = "orchard lantern copper violin";

fn program(data: &Path) -> Command {
    let mut command = Command::new(PROGRAM);
    command
        .env_clear()
        .env("ROLLCALL_DATA_DIR", data)
        .env("ROLLCALL_ADMIN_EMAIL", ADMIN)
        .env("ROLLCALL_ADMIN_PASSWORD", PASSWORD)
        .stdin(Stdio::null());
    command
}

/// A server on a port of its own, with the sessions of a demo.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(data: &Path) -> Self {
        let mut child = program(data)
            .args(["serve", "--listen", "127.0.0.1:0", "--demo", "300"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program can be started");
        let out = BufReader::new(child.stdout.take().expect("its output"));
        let ready = "Rollcall is ready: ";
        let line = out
            .lines()
            .map_while(Result::ok)
            .find(|line| line.starts_with(ready));
        let address = line.expect("it gets ready")[ready.len()..].to_owned();
        Self { child, address }
    }

    fn stop(mut self) {
        let stopped = Command::new("kill")
            .arg(self.child.id().to_string())
            .status();
        assert!(stopped.expect("it can be stopped").success());
        assert!(self.child.wait().expect("it stops").success());
    }
}

async fn call(address: &str, path: &str, token: Option<&str>, body: Value) -> Value {
    let client = rollcall_agent::http_client("test").expect("a client");
    let mut ask = client.post(format!("{address}{path}")).json(&body);
    if let Some(token) = token {
        ask = ask.bearer_auth(token);
    }
    let answer = ask.send().await.expect("an answer");
    assert!(answer.status().is_success(), "{path}: {}", answer.status());
    answer.json().await.expect("JSON")
}

/// A key with all that commands need.
async fn key(address: &str) -> String {
    let body = json!({ "email": ADMIN, "password": PASSWORD, "token": true });
    let signed_in = call(address, "/api/v1/sign-in", None, body).await;
    let permissions = [
        "sessions.view",
        "sessions.end",
        "users.view",
        "users.manage",
        "clients.disconnect",
        "audit.view",
        "policy.manage",
    ];
    let body = json!({ "name": "commands", "permissions": permissions });
    let made = call(address, "/api/v1/keys", signed_in["token"].as_str(), body).await;
    made["secret"].as_str().expect("a secret").to_owned()
}

fn said(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{errors}");
    text.into_owned()
}

fn refused(output: &Output) -> String {
    assert_eq!(
        output.status.code(),
        Some(1),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Everything that can be asked and done, by whichever way: `extra` says which.
fn walk(run: &dyn Fn(&[&str]) -> Output) {
    let json = |words: &[&str]| -> Value {
        let words: Vec<_> = words.iter().copied().chain(["--json"]).collect();
        serde_json::from_str(&said(&run(&words))).expect("JSON")
    };
    // Lists, as tables and as the API's own JSON.
    let page = json(&[
        "sessions",
        "list",
        "--state",
        "active",
        "--sort",
        "user",
        "--page-size",
        "5",
    ]);
    assert_eq!(page["items"].as_array().map(Vec::len), Some(5));
    let total = page["total"].as_u64().expect("a number");
    let table = said(&run(&[
        "sessions",
        "list",
        "--state",
        "active",
        "--page-size",
        "5",
    ]));
    assert!(
        table.contains("last activity") && table.contains(&format!("5 of {total} sessions")),
        "{table}"
    );
    assert!(refused(&run(&["sessions", "list", "--state", "asleep"])).contains("state"));
    assert!(refused(&run(&["sessions", "list", "--page-size", "0"])).contains("page_size"));

    // A dry run says how many and ends none; the real one ends as many.
    let chosen = page["items"][0]["user"]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let of_user = ["--user", chosen.as_str()];
    let count = |state: &'static str| {
        let list = [
            "sessions",
            "list",
            "--state",
            state,
            "--user",
            chosen.as_str(),
        ];
        json(&list)["total"].as_u64().expect("a number")
    };
    let before = count("active");
    assert!(before > 0);
    let end = |more: &[&'static str]| {
        let words: Vec<_> = ["sessions", "end"]
            .iter()
            .chain(&of_user)
            .chain(more)
            .copied()
            .collect();
        run(&words)
    };
    let words = if before == 1 {
        "1 session of 1 user".to_owned()
    } else {
        format!("{before} sessions of 1 user")
    };
    assert!(said(&end(&["--dry-run"])).starts_with(&words));
    assert!(
        refused(&end(&[])).contains("--yes"),
        "nobody was there to ask"
    );
    assert_eq!(count("active"), before);
    assert!(said(&end(&["--yes", "--reason", "spring cleaning"])).contains("ended."));
    assert_eq!(count("active"), 0);
    for words in [
        &["sessions", "end", "--yes"][..],
        &["sessions", "end", "--yes", "--state", "active"],
    ] {
        refused(&run(words));
    }
    // One by its id; twice is told.
    let one = json(&["sessions", "list", "--state", "active", "--page-size", "1"]);
    let id = one["items"][0]["id"].as_str().expect("an id").to_owned();
    assert!(said(&run(&["sessions", "end", &id, "--yes"])).contains("1 session ended."));

    // Users.
    let users = json(&["users", "list", "--active", "true", "--page-size", "2"]);
    let user = &users["items"][1];
    let email = user["email"].as_str().expect("an e-mail").to_owned();
    assert!(said(&run(&["users", "list", "-q", &email])).contains("1 of 1 users"));
    assert!(said(&run(&["users", "logout", &email, "--dry-run"])).starts_with(&email));
    assert!(said(&run(&["users", "logout", &email, "--yes"])).starts_with("Sessions ended: "));
    let after = json(&["users", "list", "-q", &email]);
    assert_eq!(after["items"][0]["open_sessions"], 0);
    assert!(
        refused(&run(&["users", "logout", "nobody@nowhere.test", "--yes"]))
            .contains("there is no user")
    );

    // Keys, clients, policy, audit.
    assert!(said(&run(&["keys", "list", "--user", ADMIN])).contains("commands"));
    assert!(said(&run(&["clients", "list"])).contains("0 of 0 clients"));
    let unknown = "0189a5d1-6ac9-774b-8000-0000000000a1";
    assert!(refused(&run(&["clients", "disconnect", unknown, "--yes"])).contains("nothing here"));
    assert!(said(&run(&["policy", "show"])).contains("idle_timeout_seconds"));
    let events = said(&run(&["audit", "export", "--action", "session.ended"]));
    assert!(events.lines().count() > 0);
    for line in events.lines() {
        let event: Value = serde_json::from_str(line).expect("an event in each line");
        assert_eq!(event["action"], "session.ended");
    }
    assert!(
        said(&run(&[
            "audit",
            "export",
            "--format",
            "csv",
            "--outcome",
            "success"
        ]))
        .contains("session.ended")
    );
    assert!(refused(&run(&["audit", "export", "--format", "xml"])).contains("format"));
}

#[tokio::test]
async fn every_command_works_by_key_and_on_the_database_itself() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let server = Server::start(&data);
    let key = key(&server.address).await;
    let by_key = |words: &[&str]| {
        let mut command = program(&data);
        command
            .args(words)
            .env("ROLLCALL_SERVER", &server.address)
            .env("ROLLCALL_KEY", &key);
        command.output().expect("it runs")
    };
    walk(&by_key);
    // Nothing passes without a key, with a wrong one, or beside a server that runs.
    let list = ["sessions", "list"];
    let bare = program(&data)
        .args(list)
        .env("ROLLCALL_SERVER", &server.address)
        .output();
    assert!(refused(&bare.expect("it runs")).contains("an API key is needed"));
    let wrong = program(&data)
        .args(list)
        .env("ROLLCALL_SERVER", &server.address)
        .env("ROLLCALL_KEY", "rc_k_x")
        .output();
    assert!(refused(&wrong.expect("it runs")).contains("API key is refused"));
    let direct = |words: &[&str]| {
        program(&data)
            .args(words)
            .arg("--direct")
            .output()
            .expect("it runs")
    };
    let held = refused(&direct(&list));
    assert!(held.contains("server"), "{held}");
    let address = server.address.clone();
    server.stop();
    let gone = program(&data)
        .args(list)
        .env("ROLLCALL_SERVER", &address)
        .env("ROLLCALL_KEY", &key)
        .output();
    assert!(refused(&gone.expect("it runs")).contains("cannot be reached"));

    walk(&direct);
    // The trail says who did it, and is whole.
    let events = said(&direct(&["audit", "export", "--action", "sessions.ended"]));
    let events = format!(
        "{events}{}",
        said(&direct(&["audit", "export", "--action", "session.ended"]))
    );
    for by in ["(API key commands)", "(API key command line)"] {
        assert!(events.contains(by), "{by}");
    }
    let verified = program(&data)
        .args(["audit", "verify"])
        .output()
        .expect("it runs");
    assert!(said(&verified).contains("whole"));
    let revoked = said(&direct(&["keys", "list", "--user", ADMIN, "--json"]));
    let keys: Value = serde_json::from_str(&revoked).expect("JSON");
    let id = keys[0]["id"].as_str().expect("an id");
    assert_eq!(
        said(&direct(&["keys", "revoke", id, "--yes"])),
        "Revoked.\n"
    );
    assert!(said(&direct(&["keys", "list", "--user", ADMIN])).contains("revoked"));
    // A folder without a database is no place to work in.
    let empty = folder.path().join("empty");
    let nowhere = program(&empty)
        .args(list)
        .arg("--direct")
        .output()
        .expect("it runs");
    assert!(refused(&nowhere).contains("there is no database"));
    assert!(!empty.exists());
}

#[test]
fn shells_can_complete_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let output = Command::new(PROGRAM).args(["completion", shell]).output();
        let text = said(&output.expect("it runs"));
        assert!(
            text.contains("sessions") && text.contains("dry-run"),
            "{shell}"
        );
    }
}
