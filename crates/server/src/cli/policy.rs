//! `rollcall policy`.

use clap::{Args, Subcommand};
use serde_json::Value;

use super::door::DoorArguments;
use super::filter::{address, given};
use super::show::{self, Column, text};

#[derive(Subcommand, Debug)]
pub(super) enum PolicyCommand {
    /// Shows what applies in a place, and where each value comes from. Needs `policy.manage`.
    Show(ShowArguments),
}

#[derive(Args, Debug)]
pub(super) struct ShowArguments {
    #[command(flatten)]
    door: DoorArguments,
    /// For users of this organisation, by its id.
    #[arg(long, value_name = "ID")]
    organisation: Option<String>,
    /// For users with this primary role, by its key.
    #[arg(long, value_name = "KEY")]
    role: Option<String>,
}

const COLUMNS: &[Column] = &[
    ("rule", |row| text(&row["rule"])),
    ("value", |row| match &row["value"] {
        Value::String(word) => word.clone(),
        Value::Null => String::new(),
        value => value.to_string(),
    }),
    ("set by", |row| text(&row["source"])),
];

pub(super) async fn run(command: PolicyCommand) -> anyhow::Result<()> {
    let PolicyCommand::Show(arguments) = command;
    let door = arguments.door.open().await?;
    let pairs = given(&[
        ("organisation", &arguments.organisation),
        ("role", &arguments.role),
    ]);
    let policy = door.get(&address("/api/v1/policy", &pairs)).await;
    door.close().await;
    let policy = policy?;
    if arguments.door.json {
        return show::json(&policy);
    }
    let rows = policy["values"].as_array().map(Vec::as_slice);
    show::table(rows.unwrap_or_default(), COLUMNS)
}
