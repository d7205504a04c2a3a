//! `rollcall audit`: the trail as a whole.

use clap::{Args, Subcommand};

use crate::app::open_to_read;
use crate::config::StorageSettings;
use crate::service::audit::verify::verify;

#[derive(Subcommand, Debug)]
pub(super) enum AuditCommand {
    /// Recomputes the chain of the whole audit trail and says what is wrong first, if anything is. Only reads;
    /// works while a server runs.
    Verify(VerifyArguments),
}

#[derive(Args, Debug)]
pub(super) struct VerifyArguments {
    #[command(flatten)]
    storage: StorageSettings,
}

pub(super) async fn run(command: AuditCommand) -> anyhow::Result<()> {
    let AuditCommand::Verify(arguments) = command;
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
