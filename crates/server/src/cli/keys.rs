//! `rollcall keys`.

use anyhow::Context;
use clap::{Args, Subcommand};
use http::Method;

use super::door::{Door, DoorArguments};
use super::filter::address;
use super::show::{self, Caution, Column, confirm, text, time};

#[derive(Subcommand, Debug)]
pub(super) enum KeysCommand {
    /// Lists a user's API keys, good ones first. Needs `users.view`.
    List(ListArguments),
    /// Revokes an API key; what hangs on it stops. Needs `users.manage`.
    Revoke(RevokeArguments),
}

#[derive(Args, Debug)]
pub(super) struct ListArguments {
    #[command(flatten)]
    door: DoorArguments,
    /// Whose: an e-mail or an id.
    #[arg(long, value_name = "USER")]
    user: String,
}

#[derive(Args, Debug)]
pub(super) struct RevokeArguments {
    #[command(flatten)]
    door: DoorArguments,
    /// The key's id.
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    caution: Caution,
}

const COLUMNS: &[Column] = &[
    ("key", |row| text(&row["name"])),
    ("state", |row| text(&row["state"])),
    ("permissions", |row| {
        let list = row["permissions"].as_array().map(Vec::as_slice);
        let names: Vec<_> = list.unwrap_or_default().iter().map(text).collect();
        names.join(", ")
    }),
    ("last used", |row| time(&row["last_used_at"])),
    ("expires", |row| time(&row["expires_at"])),
    ("id", |row| text(&row["id"])),
];

pub(super) async fn run(command: KeysCommand) -> anyhow::Result<()> {
    match command {
        KeysCommand::List(arguments) => {
            let door = arguments.door.open().await?;
            let keys = async {
                let user = user_id(&door, &arguments.user).await?;
                door.get(&format!("/api/v1/users/{user}/keys")).await
            };
            let keys = keys.await;
            door.close().await;
            match arguments.door.json {
                true => show::json(&keys?),
                false => {
                    let keys = keys?;
                    let rows = keys.as_array().map(Vec::as_slice).unwrap_or_default();
                    show::table(rows, COLUMNS)?;
                    println!("{} API keys", rows.len());
                    Ok(())
                }
            }
        }
        KeysCommand::Revoke(arguments) => {
            let door = arguments.door.open().await?;
            let done = revoke(&door, &arguments).await;
            door.close().await;
            done
        }
    }
}

async fn revoke(door: &Door, arguments: &RevokeArguments) -> anyhow::Result<()> {
    let path = format!("/api/v1/keys/{}", arguments.id);
    let key = door.get(&path).await?;
    if arguments.caution.dry_run {
        return match arguments.door.json {
            true => show::json(&key),
            false => show::table(&[key], COLUMNS),
        };
    }
    let question = format!(
        "Programs that use the key {} are refused from the next request on. Go on?",
        text(&key["name"])
    );
    if !confirm(&question, arguments.caution.yes)? {
        anyhow::bail!("nothing was revoked");
    }
    door.ask(Method::DELETE, &path, None).await?;
    match arguments.door.json {
        true => show::json(&door.get(&path).await?),
        false => {
            println!("Revoked.");
            Ok(())
        }
    }
}

/// The id of a user who is named by an e-mail or an id.
pub(super) async fn user_id(door: &Door, named: &str) -> anyhow::Result<String> {
    if !named.contains('@') {
        return Ok(named.to_owned());
    }
    let pairs = [("q", named.to_owned()), ("page_size", "100".to_owned())];
    let found = door.get(&address("/api/v1/users", &pairs)).await?;
    let users = found["items"].as_array().map(Vec::as_slice);
    let wanted = named.to_lowercase();
    let user = users
        .unwrap_or_default()
        .iter()
        .find(|user| text(&user["email"]) == wanted);
    user.map(|user| text(&user["id"]))
        .with_context(|| format!("there is no user {named} within reach"))
}
