//! The command line at its size: every command, with `--dry-run` and for real, by key beside a running server and on the
//! database itself. What a dry run says is what the list shows, and it changes nothing; what a command says that it ended is
//! what the database then holds.

mod shell;

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use http::{Method, StatusCode};
use sea_orm::DatabaseConnection;
use serde_json::{Value, json};

use self::shell::Shell;
use crate::client::Client;
use crate::place::Place;
use crate::server::{How, Server};
use crate::{Context, canary, ledger, people};

const ROOT: &str = "root@proof.example";

/// Sessions that end by themselves between two looks: one in so many.
const DRIFT: u64 = 500;

/// Runs every command against a demo of so many sessions.
pub(crate) async fn every_command(context: &Context) -> Result<Vec<String>> {
    let sessions = context.count(2_000, 100_000);
    let mut lines = Vec::new();
    for place in Place::both(context, "commands").await? {
        lines.push(walk(context, &place, sessions).await?);
        canary::scan(&place).await?;
        std::fs::remove_dir_all(&place.folder)?;
    }
    Ok(lines)
}

async fn walk(context: &Context, place: &Place, sessions: u32) -> Result<String> {
    let password = people::new_password();
    let count = sessions.to_string();
    let mut how = How::with(&[
        "--demo",
        &count,
        "--admin-email",
        ROOT,
        "--admin-password",
        &password,
    ]);
    how.log_level = Some("info");
    let server = Server::start(context, place, &how).await?;
    let mut client = Client::open(server.address).await?;
    let told = client.sign_in(ROOT, &password).await?;
    let token = told.body["token"].as_str().context("a token")?.to_owned();
    let secret = key(&mut client, &token, "commands").await?;
    let look = place.look().await?;

    let by_key = Shell::by_key(context, place, server.address, &secret);
    let mut done = Done::default();
    reads(&by_key, &look).await?;
    filters(&by_key, &look).await?;
    let network = by_key
        .first(&["sessions", "list", "--state", "active", "--kind", "console"])
        .await?;
    let network = network_of(network["ip"].as_str().context("an address")?);
    done.end(&by_key, &look, "a network", &["--ip", &network])
        .await?;
    done.end(&by_key, &look, "a browser", &["--browser", "Firefox"])
        .await?;
    done.end(&by_key, &look, "long unused", &["--idle-for", "1h"])
        .await?;
    by_ids(&by_key, &look, &mut done).await?;
    log_out(&by_key, &look).await?;
    // The server has closed the idle connection meanwhile.
    let mut client = Client::open(server.address).await?;
    client_and_key(&by_key, &look, &mut client, &token).await?;
    unlock(&by_key, &look, &mut client).await?;
    refusals(&by_key, &look).await?;
    server.stop().await?;

    let direct = Shell::direct(context, place);
    reads(&direct, &look).await?;
    filters(&direct, &look).await?;
    done.end(&direct, &look, "a system", &["--system", "Windows"])
        .await?;
    done.end(&direct, &look, "all browsers", &["--kind", "console"])
        .await?;
    by_ids(&direct, &look, &mut done).await?;
    log_out(&direct, &look).await?;
    accounts(&direct, &look).await?;
    refusals(&direct, &look).await?;
    trail(&direct, &look, place).await?;
    look.close().await?;
    Ok(format!(
        "{}: {sessions} sessions, {} commands by key and {} on the database itself, {} of them dry runs, which changed nothing and said what the list shows, \
         {} refused in words, which changed nothing; {} sessions ended by {} commands, as many in the database, each with its event, \
         {} of them by one command within {:.1} s; audit trail exported and whole",
        place.kind,
        by_key.ran(),
        direct.ran(),
        by_key.dry_runs() + direct.dry_runs(),
        by_key.refusals() + direct.refusals(),
        done.sessions,
        done.commands,
        done.most,
        done.took,
    ))
}

/// An API key with all that commands need.
async fn key(client: &mut Client, token: &str, name: &str) -> Result<String> {
    let permissions = [
        "sessions.view",
        "sessions.end",
        "users.view",
        "users.manage",
        "clients.disconnect",
        "audit.view",
        "policy.manage",
    ];
    let body = json!({ "name": name, "permissions": permissions });
    let path = "/api/v1/keys";
    let told = client
        .ask(Method::POST, path, Some(token), Some(body))
        .await?;
    ensure!(
        told.status == StatusCode::CREATED,
        "a key was answered {}",
        told.status
    );
    let secret = told.body["secret"].as_str().context("a secret")?.to_owned();
    canary::note(&secret);
    Ok(secret)
}

/// All that commands can change, in numbers.
#[derive(PartialEq, Eq, Debug)]
struct Stand(Vec<i64>);

impl Stand {
    async fn of(look: &DatabaseConnection) -> Result<Self> {
        let mut numbers = Vec::new();
        for sql in [
            "SELECT count(*) FROM session WHERE end_note IS NOT NULL",
            "SELECT count(*) FROM session WHERE end_reason = 'ended_by_administrator'",
            "SELECT count(*) FROM \"user\" WHERE ended_before IS NOT NULL",
            "SELECT count(*) FROM \"user\" WHERE NOT enabled",
            "SELECT count(*) FROM \"user\" WHERE deleted_at IS NOT NULL",
            "SELECT count(*) FROM \"user\" WHERE password_change_required",
            "SELECT count(*) FROM \"user\"",
            "SELECT count(*) FROM organisation",
            "SELECT count(*) FROM sign_in_attempt WHERE locked_at IS NOT NULL",
            "SELECT count(*) FROM api_key WHERE revoked_at IS NOT NULL",
            "SELECT count(*) FROM client WHERE ended_at IS NOT NULL",
        ] {
            numbers.push(ledger::number(look, sql, []).await?);
        }
        Ok(Self(numbers))
    }
}

/// What was ended for real.
#[derive(Default)]
struct Done {
    sessions: u64,
    commands: u32,
    most: u64,
    took: f64,
}

impl Done {
    /// Ends what a filter fits, after a dry run, and looks whether it is so.
    async fn end(
        &mut self,
        shell: &Shell<'_>,
        look: &DatabaseConnection,
        why: &str,
        which: &[&str],
    ) -> Result<()> {
        let dry = [&["sessions", "end"], which].concat();
        let would = number(&shell.dry(look, &dry).await?, "sessions")?;
        ensure!(would > 0, "{which:?} fits nothing");
        let reason = format!("{why}, {}", shell.name());
        let real = [&dry[..], &["--yes", "--reason", &reason]].concat();
        let begun = Instant::now();
        let run = shell.json(&real).await?;
        let took = begun.elapsed().as_secs_f64();
        let (ended, skipped) = (number(&run, "ended")?, number(&run, "skipped")?);
        near(ended + skipped, would, which)?;
        let sql = "SELECT count(*) FROM session WHERE end_note = $1";
        let stored = ledger::number(look, sql, [reason.as_str().into()]).await?;
        ensure!(
            u64::try_from(stored)? == ended,
            "{which:?}: {ended} ended by its word, {stored} in the database"
        );
        let left = [&["sessions", "list", "--state", "active"], which].concat();
        let left = number(&shell.json(&left).await?, "total")?;
        ensure!(
            left == 0 || which.contains(&"--idle-for"),
            "{which:?}: {left} are left"
        );
        if ended > self.most {
            (self.most, self.took) = (ended, took);
        }
        self.sessions += ended;
        self.commands += 1;
        Ok(())
    }
}

/// What only reads, in words and as JSON.
async fn reads(shell: &Shell<'_>, look: &DatabaseConnection) -> Result<()> {
    let before = Stand::of(look).await?;
    for words in [
        &["sessions", "list"][..],
        &["users", "list"],
        &["clients", "list"],
        &["keys", "list", "--user", ROOT],
        &["policy", "show"],
    ] {
        ensure!(
            !shell.said(words).await?.is_empty(),
            "{words:?} says nothing"
        );
        shell.json(words).await?;
    }
    for which in ["bash", "zsh", "fish"] {
        let script = shell.alone(&["completion", which]).await?;
        ensure!(script.contains("rollcall"), "completion for {which}");
    }
    ensure!(
        shell.alone(&["settings"]).await?.contains("--data-dir"),
        "settings"
    );
    let document: Value = serde_json::from_str(&shell.alone(&["openapi"]).await?)?;
    ensure!(document["paths"].is_object(), "openapi");
    let whole = shell.on_database(&["audit", "verify"]).await?;
    ensure!(whole.contains("whole"), "audit verify: {whole}");
    ensure!(
        Stand::of(look).await? == before,
        "reading changed something"
    );
    Ok(())
}

/// Each filter of the page: what a dry run would end is what the list shows.
async fn filters(shell: &Shell<'_>, look: &DatabaseConnection) -> Result<()> {
    let row = shell
        .first(&["sessions", "list", "--state", "active"])
        .await?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (user, email) = (text(&row["user"]["id"]), text(&row["user"]["email"]));
    let organisation = text(&row["organisation"]["id"]);
    let network = network_of(&text(&row["ip"]));
    for which in [
        &["-q", &email[..]][..],
        &["--kind", "console"],
        &["--kind", "api"],
        &["--user", &user],
        &["--organisation", &organisation],
        &["--role", "member"],
        &["--ip", &network],
        &["--method", "password"],
        &["--browser", "Chrome"],
        &["--system", "Windows"],
        &["--agent", "Mozilla"],
        &["--older-than", "2h"],
        &["--newer-than", "2h"],
        &["--idle-for", "10m"],
        &["--several", "true"],
        &["--service-account", "true"],
        &[
            "--kind",
            "console",
            "--browser",
            "Chrome",
            "--older-than",
            "1h",
        ],
    ] {
        let list = [&["sessions", "list", "--state", "active"], which].concat();
        let page = shell.json(&list).await?;
        let total = number(&page, "total")?;
        let dry = [&["sessions", "end"], which].concat();
        let would = number(&shell.dry(look, &dry).await?, "sessions")?;
        match page["total_is_exact"].as_bool() {
            Some(false) => ensure!(would >= total, "{which:?}: more than {total}, but {would}"),
            _ => near(would, total, which)?,
        }
    }
    Ok(())
}

async fn by_ids(shell: &Shell<'_>, look: &DatabaseConnection, done: &mut Done) -> Result<()> {
    let list = [
        "sessions",
        "list",
        "--state",
        "active",
        "--kind",
        "api",
        "--page-size",
        "10",
    ];
    let page = shell.json(&list).await?;
    let rows = page["items"].as_array().context("rows")?;
    // Not the one that this proof itself is signed in with.
    let others = rows.iter().filter(|row| row["user"]["email"] != ROOT);
    let ids: Vec<_> = others
        .filter_map(|row| row["id"].as_str())
        .take(3)
        .collect();
    ensure!(ids.len() == 3, "{} programs are signed in", ids.len());
    let dry = [&["sessions", "end"], &ids[..]].concat();
    ensure!(
        number(&shell.dry(look, &dry).await?, "sessions")? == 3,
        "three would end"
    );
    let run = shell
        .json(&[&dry[..], &["--yes", "--reason", "three"]].concat())
        .await?;
    ensure!(number(&run, "ended")? == 3, "three have ended");
    for id in ids {
        let sql = "SELECT count(*) FROM session WHERE id = $1 AND end_note = 'three'";
        let id: uuid::Uuid = id.parse()?;
        ensure!(
            ledger::number(look, sql, [id.into()]).await? == 1,
            "{id} has not ended"
        );
    }
    done.sessions += 3;
    done.commands += 1;
    Ok(())
}

async fn log_out(shell: &Shell<'_>, look: &DatabaseConnection) -> Result<()> {
    let list = [
        "users",
        "list",
        "--active",
        "true",
        "--service-account",
        "false",
    ];
    let page = shell.json(&list).await?;
    let users = page["items"].as_array().context("users")?;
    let email = |user: &Value| user["email"].as_str().unwrap_or_default().to_owned();
    let user = users
        .iter()
        .find(|user| email(user) != ROOT)
        .context("a user")?;
    let (email, open) = (email(user), number(user, "open_sessions")?);
    let command = ["users", "logout", &email];
    let dry = shell.dry(look, &command).await?;
    near(number(&dry, "open_sessions")?, open, &command)?;
    let ended = shell
        .json(&[&command[..], &["--yes", "--reason", "left"]].concat())
        .await?;
    near(number(&ended, "ended")?, open, &command)?;
    let after = shell.first(&["users", "list", "-q", &email]).await?;
    ensure!(
        number(&after, "open_sessions")? == 0,
        "{email} is still signed in"
    );
    Ok(())
}

/// A client that registers, and a key; both go by command.
async fn client_and_key(
    shell: &Shell<'_>,
    look: &DatabaseConnection,
    client: &mut Client,
    token: &str,
) -> Result<()> {
    let body = json!({ "name": "runner", "host": "proof" });
    let path = "/api/v1/clients";
    let told = client
        .ask(Method::POST, path, Some(token), Some(body))
        .await?;
    ensure!(
        told.status == StatusCode::CREATED,
        "a client was answered {}: {}",
        told.status,
        told.body
    );
    let id = told.body["client"]["id"]
        .as_str()
        .context("a client")?
        .to_owned();
    let command = ["clients", "disconnect", &id];
    shell.dry(look, &command).await?;
    shell.json(&[&command[..], &["--yes"]].concat()).await?;
    let after = shell.first(&["clients", "list", "-q", "runner"]).await?;
    ensure!(
        after["state"] == "disconnected",
        "the client is {}",
        after["state"]
    );

    key(client, token, "to be revoked").await?;
    let keys = shell.json(&["keys", "list", "--user", ROOT]).await?;
    let keys = keys.as_array().context("keys")?;
    let key = keys
        .iter()
        .find(|key| key["name"] == "to be revoked")
        .context("the key")?;
    let command = ["keys", "revoke", key["id"].as_str().context("an id")?];
    shell.dry(look, &command).await?;
    let after = shell.json(&[&command[..], &["--yes"]].concat()).await?;
    ensure!(after["state"] == "revoked", "the key is {}", after["state"]);
    Ok(())
}

/// An account that wrong passwords lock is unlocked beside the running server.
async fn unlock(shell: &Shell<'_>, look: &DatabaseConnection, client: &mut Client) -> Result<()> {
    let user = shell
        .first(&[
            "users",
            "list",
            "--service-account",
            "false",
            "--sort",
            "email",
        ])
        .await?;
    let email = user["email"].as_str().context("an e-mail")?;
    for _ in 0..5 {
        client.sign_in(email, "not the password of anybody").await?;
    }
    let locked = ["users", "list", "--state", "locked"];
    ensure!(
        number(&shell.json(&locked).await?, "total")? == 1,
        "one is locked"
    );
    let command = ["users", "unlock", "--email", email];
    let would = shell.dry_on_database(look, &command).await?;
    ensure!(would.contains("would be unlocked"), "{would}");
    shell.on_database(&command).await?;
    ensure!(
        number(&shell.json(&locked).await?, "total")? == 0,
        "nobody is locked"
    );
    Ok(())
}

/// What is done to accounts with the server stopped.
async fn accounts(shell: &Shell<'_>, look: &DatabaseConnection) -> Result<()> {
    let email = "nora.newcomer@proof.example";
    let of = |act| ["users", act, "--email", email];
    let would = shell.dry_on_database(look, &of("create")).await?;
    ensure!(would.contains("could be created"), "{would}");
    note_password(&shell.on_database(&of("create")).await?)?;
    for (act, would, is) in [
        (
            "reset-password",
            "would get a one-time password",
            "One-time password",
        ),
        ("disable", "would be disabled", "is disabled"),
        ("enable", "could sign in again", "can sign in again"),
    ] {
        let said = shell.dry_on_database(look, &of(act)).await?;
        ensure!(said.contains(would), "{act}: {said}");
        let said = shell.on_database(&of(act)).await?;
        ensure!(said.contains(is), "{act}: {said}");
        if act == "reset-password" {
            note_password(&said)?;
        }
        if act == "disable" {
            let after = shell.first(&["users", "list", "-q", email]).await?;
            ensure!(after["enabled"] == false, "{email} is enabled");
        }
    }
    let said = shell.dry_on_database(look, &of("delete")).await?;
    ensure!(said.contains("would be deleted"), "{said}");
    shell
        .on_database(&[&of("delete")[..], &["--yes"]].concat())
        .await?;
    let after = shell.json(&["users", "list", "-q", email]).await?;
    ensure!(number(&after, "total")? == 0, "{email} is still there");
    Ok(())
}

/// What cannot be done says why, and does nothing.
async fn refusals(shell: &Shell<'_>, look: &DatabaseConnection) -> Result<()> {
    let unknown = "0189a5d1-6ac9-774b-8000-0000000000a1";
    let before = Stand::of(look).await?;
    for (words, says) in [
        (&["sessions", "list", "--state", "asleep"][..], "state"),
        (&["sessions", "list", "--page-size", "0"], "page_size"),
        (&["sessions", "end", "--yes"], "nothing was ended"),
        (&["sessions", "end", "--ip", "300.1.1.1", "--yes"], "ip"),
        (&["sessions", "end", "--kind", "api"], "--yes"),
        (&["sessions", "end", unknown, "--yes"], ""),
        (
            &["users", "logout", "nobody@proof.example", "--yes"],
            "there is no user",
        ),
        (&["clients", "disconnect", unknown, "--yes"], ""),
        (&["keys", "revoke", unknown, "--yes"], ""),
        (&["audit", "export", "--format", "xml"], "format"),
    ] {
        shell.refused(words, says).await?;
    }
    ensure!(
        Stand::of(look).await? == before,
        "what was refused changed something"
    );
    Ok(())
}

/// The whole trail as files, compared with what is stored.
async fn trail(shell: &Shell<'_>, look: &DatabaseConnection, place: &Place) -> Result<()> {
    for (format, head) in [("ndjson", 0), ("csv", 1)] {
        let file = place.folder.join(format!("ended.{format}"));
        let name = file.display().to_string();
        let act = ["--action", "session.ended", "--outcome", "success"];
        let words = ["audit", "export", "--format", format, "-o", &name];
        shell.said(&[&words[..], &act].concat()).await?;
        let lines = std::fs::read_to_string(&file)?.lines().count() - head;
        let sql = "SELECT count(*) FROM audit_event WHERE action = 'session.ended' AND outcome = 'success'";
        let stored = ledger::number(look, sql, []).await?;
        ensure!(
            usize::try_from(stored)? == lines,
            "{format}: {lines} of {stored} events"
        );
        let sql = "SELECT count(*) FROM session WHERE end_note IS NOT NULL AND end_note <> 'left'";
        let ended = ledger::number(look, sql, []).await?;
        ensure!(stored >= ended, "{ended} ends, {stored} events");
    }
    let whole = shell.on_database(&["audit", "verify"]).await?;
    ensure!(whole.contains("whole"), "audit verify: {whole}");
    Ok(())
}

fn note_password(said: &str) -> Result<()> {
    let line = said
        .lines()
        .find(|line| line.starts_with("One-time password"));
    let (_, password) = line
        .and_then(|line| line.rsplit_once(": "))
        .context("a password")?;
    canary::note(password);
    Ok(())
}

fn number(value: &Value, name: &str) -> Result<u64> {
    value[name]
        .as_u64()
        .with_context(|| format!("no {name} in {value}"))
}

// Sessions end by themselves all the time.
fn near(one: u64, other: u64, what: &[&str]) -> Result<()> {
    let most = other / DRIFT + 1;
    ensure!(
        one.abs_diff(other) <= most,
        "{what:?}: {one}, and {other} in the list"
    );
    Ok(())
}

/// The network that an address is in: what an administrator would block.
fn network_of(ip: &str) -> String {
    match ip.split_once('.') {
        Some((first, _)) => format!("{first}.0.0.0/8"),
        None => format!("{ip}/32"),
    }
}
