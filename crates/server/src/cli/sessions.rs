//! `rollcall sessions`.

use std::io::IsTerminal;
use std::time::Duration;

use anyhow::bail;
use clap::{Args, Subcommand};
use http::Method;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Map, Value, json};

use super::door::{Door, DoorArguments};
use super::filter::{FilterArguments, PageArguments, address};
use super::show::{self, Caution, Column, confirm, text, time};

const LIST: &str = "/api/v1/sessions";

/// How often the server is asked how far it has come.
const LOOK_EVERY: Duration = Duration::from_millis(300);

#[derive(Subcommand, Debug)]
pub(super) enum SessionsCommand {
    /// Lists sessions, newest first. Needs `sessions.view`.
    List(ListArguments),
    /// Ends sessions: those that are named, or all active ones that match. Needs `sessions.end`.
    End(EndArguments),
}

#[derive(Args, Debug)]
pub(super) struct ListArguments {
    #[command(flatten)]
    door: DoorArguments,
    #[command(flatten)]
    filter: FilterArguments,
    #[command(flatten)]
    page: PageArguments,
}

#[derive(Args, Debug)]
pub(super) struct EndArguments {
    #[command(flatten)]
    door: DoorArguments,
    #[command(flatten)]
    filter: FilterArguments,
    /// Ids of sessions, instead of a filter.
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    /// Why; kept with each session and in the audit trail.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    caution: Caution,
}

/// What a table of sessions shows.
const COLUMNS: &[Column] = &[
    ("user", |row| text(&row["user"]["email"])),
    ("session", |row| text(&row["name"])),
    ("IP", |row| text(&row["ip"])),
    ("kind", |row| text(&row["kind"])),
    ("state", |row| match row["ended"]["reason"].as_str() {
        Some(reason) => format!("ended: {reason}"),
        None => text(&row["state"]),
    }),
    ("created", |row| time(&row["created_at"])),
    ("last activity", |row| time(&row["last_activity_at"])),
    ("id", |row| text(&row["id"])),
];

pub(super) async fn run(command: SessionsCommand) -> anyhow::Result<()> {
    match command {
        SessionsCommand::List(arguments) => {
            let door = arguments.door.open().await?;
            let mut pairs = arguments.filter.pairs();
            pairs.extend(arguments.page.pairs());
            let page = door.get(&address(LIST, &pairs)).await;
            door.close().await;
            match arguments.door.json {
                true => show::json(&page?),
                false => show::page(&page?, COLUMNS, "sessions"),
            }
        }
        SessionsCommand::End(arguments) => {
            let door = arguments.door.open().await?;
            let done = end(&door, &arguments).await;
            door.close().await;
            done
        }
    }
}

async fn end(door: &Door, arguments: &EndArguments) -> anyhow::Result<()> {
    let pairs = arguments.filter.pairs();
    let choice = match (arguments.ids.is_empty(), pairs.is_empty()) {
        (false, true) => json!({ "ids": arguments.ids }),
        (true, false) => {
            let filter: Map<_, _> = pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), json!(value)))
                .collect();
            json!({ "filter": filter })
        }
        (true, true) => bail!("name sessions, or a filter that narrows; nothing was ended"),
        (false, false) => bail!("name sessions or a filter, not both; nothing was ended"),
    };
    let path = "/api/v1/sessions/end-preview";
    let preview = door.ask(Method::POST, path, Some(&choice)).await?;
    let sessions = preview["sessions"].as_u64().unwrap_or_default();
    if arguments.caution.dry_run {
        return match arguments.door.json {
            true => show::json(&preview),
            false => {
                println!("{}", what_ends(&preview));
                Ok(())
            }
        };
    }
    if sessions > 0
        && !confirm(
            &format!("{} End them?", what_ends(&preview)),
            arguments.caution.yes,
        )?
    {
        bail!("nothing was ended");
    }
    let body = json!({ "preview": preview["id"], "reason": arguments.reason });
    let mut run = door
        .ask(Method::POST, "/api/v1/sessions/end", Some(&body))
        .await?;
    let bar = progress(sessions);
    while run["stage"] != "finished" {
        bar.set_position(run["ended"].as_u64().unwrap_or_default());
        tokio::time::sleep(LOOK_EVERY).await;
        let path = format!("/api/v1/sessions/end/{}", text(&run["id"]));
        run = door.get(&path).await?;
    }
    bar.finish_and_clear();
    if arguments.door.json {
        return show::json(&run);
    }
    let count = |name: &str| run[name].as_u64().unwrap_or_default();
    match count("skipped") {
        0 => println!("{} ended.", sessions_in_words(count("ended"))),
        skipped => println!(
            "{} ended; {skipped} had ended before their turn.",
            sessions_in_words(count("ended"))
        ),
    }
    Ok(())
}

fn what_ends(preview: &Value) -> String {
    let count = |name: &str| preview[name].as_u64().unwrap_or_default();
    let users = match count("users") {
        1 => "1 user".to_owned(),
        users => format!("{users} users"),
    };
    let administrators = match count("administrators") {
        0 => String::new(),
        some => format!(", {some} of whom may manage users"),
    };
    format!(
        "{} of {users}{administrators}.",
        sessions_in_words(count("sessions"))
    )
}

fn sessions_in_words(count: u64) -> String {
    match count {
        1 => "1 session".to_owned(),
        count => format!("{count} sessions"),
    }
}

// For people who wait; nothing where nobody looks.
fn progress(length: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(length);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos} of {len} ended, {eta} left") {
        bar.set_style(style);
    }
    bar
}
