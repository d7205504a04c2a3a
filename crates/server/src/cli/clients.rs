//! `rollcall clients`.

use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Value, json};

use super::door::DoorArguments;
use super::filter::{PageArguments, address, given};
use super::show::{self, Caution, Column, confirm, text, time};

#[derive(Subcommand, Debug)]
pub(super) enum ClientsCommand {
    /// Lists registered clients, connected ones first. Needs `clients.disconnect`.
    List(ListArguments),
    /// Ends a client's session and what runs on it. Needs `clients.disconnect`.
    Disconnect(DisconnectArguments),
}

#[derive(Args, Debug)]
pub(super) struct ListArguments {
    #[command(flatten)]
    door: DoorArguments,
    /// Any part of name, owner, host or address.
    #[arg(long, short = 'q', value_name = "TEXT")]
    search: Option<String>,
    /// `connected`, `lost` or `disconnected`.
    #[arg(long, value_name = "STATE")]
    state: Option<String>,
    #[command(flatten)]
    page: PageArguments,
}

#[derive(Args, Debug)]
pub(super) struct DisconnectArguments {
    #[command(flatten)]
    door: DoorArguments,
    /// The client's id.
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    caution: Caution,
}

const COLUMNS: &[Column] = &[
    ("client", |row| text(&row["name"])),
    ("owner", |row| text(&row["user"]["email"])),
    ("IP", |row| text(&row["ip"])),
    ("version", |row| text(&row["version"])),
    ("state", |row| text(&row["state"])),
    ("last heard", |row| time(&row["last_heartbeat_at"])),
    ("running", |row| {
        row["running_executions"]
            .as_u64()
            .unwrap_or_default()
            .to_string()
    }),
    ("id", |row| text(&row["id"])),
];

pub(super) async fn run(command: ClientsCommand) -> anyhow::Result<()> {
    match command {
        ClientsCommand::List(arguments) => {
            let door = arguments.door.open().await?;
            let mut pairs = given(&[("q", &arguments.search), ("state", &arguments.state)]);
            pairs.extend(arguments.page.pairs());
            let page = door.get(&address("/api/v1/clients", &pairs)).await;
            door.close().await;
            match arguments.door.json {
                true => show::json(&page?),
                false => show::page(&page?, COLUMNS, "clients"),
            }
        }
        ClientsCommand::Disconnect(arguments) => {
            let door = arguments.door.open().await?;
            let path = format!("/api/v1/clients/{}", arguments.id);
            let done = async {
                let client = door.get(&path).await?;
                if arguments.caution.dry_run {
                    return Ok(Some(client));
                }
                let question = format!(
                    "{} of {} is disconnected, and what runs on it stops. Go on?",
                    text(&client["name"]),
                    text(&client["user"]["email"])
                );
                if !confirm(&question, arguments.caution.yes)? {
                    return Ok(None);
                }
                let path = format!("{path}/disconnect");
                door.ask(Method::POST, &path, Some(&json!({})))
                    .await
                    .map(Some)
            };
            let done: anyhow::Result<Option<Value>> = done.await;
            door.close().await;
            match done? {
                None => anyhow::bail!("nothing was stopped"),
                Some(answer) if arguments.door.json => show::json(&answer),
                Some(client) if arguments.caution.dry_run => show::table(&[client], COLUMNS),
                Some(answer) => {
                    let stopped = answer["executions"].as_array().map_or(0, Vec::len);
                    println!("Disconnected; executions terminated: {stopped}.");
                    Ok(())
                }
            }
        }
    }
}
