//! `rollcall audit`: the trail as a whole.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand};
use futures_util::StreamExt;

use super::door::{Door, DoorArguments};
use super::filter::{address, given};
use crate::app::open_to_read;
use crate::config::StorageSettings;
use crate::service::audit::verify::verify;

#[derive(Subcommand, Debug)]
pub(super) enum AuditCommand {
    /// Recomputes the chain of the whole audit trail and says what is wrong first, if anything is. Only reads;
    /// works while a server runs.
    Verify(VerifyArguments),
    /// Writes the events that match into a file, newest first. Needs `audit.view`.
    Export(Box<ExportArguments>),
}

#[derive(Args, Debug)]
pub(super) struct ExportArguments {
    #[command(flatten)]
    door: DoorArguments,
    /// `ndjson` or `csv`.
    #[arg(long, value_name = "FORMAT", default_value = "ndjson")]
    format: String,
    /// The file; standard output where it is not given.
    #[arg(long, short = 'o', value_name = "FILE")]
    output: Option<PathBuf>,
    /// Only this kind of act, such as `session.ended`.
    #[arg(long, value_name = "ACTION")]
    action: Option<String>,
    /// Only this outcome, such as `success`.
    #[arg(long, value_name = "OUTCOME")]
    outcome: Option<String>,
    /// Only by this user: an id.
    #[arg(long, value_name = "ID")]
    actor: Option<String>,
    /// Only to this user: an id.
    #[arg(long, value_name = "ID")]
    target: Option<String>,
    /// Only about this session: an id.
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// Only from this address or network.
    #[arg(long, value_name = "CIDR")]
    ip: Option<String>,
    /// From this moment on, such as 2026-11-23T09:00:00Z.
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Before this moment.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
}

#[derive(Args, Debug)]
pub(super) struct VerifyArguments {
    #[command(flatten)]
    storage: StorageSettings,
}

pub(super) async fn run(command: AuditCommand) -> anyhow::Result<()> {
    match command {
        AuditCommand::Verify(arguments) => check(arguments).await,
        AuditCommand::Export(arguments) => {
            let door = arguments.door.open().await?;
            let written = export(&door, &arguments).await;
            door.close().await;
            written
        }
    }
}

async fn export(door: &Door, arguments: &ExportArguments) -> anyhow::Result<()> {
    let mut pairs = given(&[
        ("action", &arguments.action),
        ("outcome", &arguments.outcome),
        ("actor", &arguments.actor),
        ("target", &arguments.target),
        ("session", &arguments.session),
        ("ip", &arguments.ip),
        ("from", &arguments.from),
        ("until", &arguments.until),
    ]);
    pairs.push(("format", arguments.format.clone()));
    let mut parts = door
        .download(&address("/api/v1/audit/export", &pairs))
        .await?;
    let mut out: Box<dyn Write> = match &arguments.output {
        Some(path) => Box::new(
            std::fs::File::create(path).with_context(|| format!("--output {}", path.display()))?,
        ),
        None => Box::new(std::io::stdout().lock()),
    };
    let mut written = 0;
    while let Some(part) = parts.next().await {
        let part = part?;
        out.write_all(&part)?;
        written += part.len();
    }
    out.flush()?;
    if let Some(path) = &arguments.output {
        println!("{written} bytes written to {}.", path.display());
    }
    Ok(())
}

async fn check(arguments: VerifyArguments) -> anyhow::Result<()> {
    let connection = open_to_read(&arguments.storage).await?;
    let outcome = verify(&arguments.storage.data_dir, &connection).await;
    connection.close().await?;
    match outcome {
        Ok(whole) => {
            println!("{whole}");
            Ok(())
        }
        Err(finding) => anyhow::bail!("the audit trail could not be confirmed: {finding}"),
    }
}
