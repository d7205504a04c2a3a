//! `rollcall backup` and `rollcall restore`.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use crate::backup;
use crate::clock::{OsRandom, SystemClock};
use crate::config::StorageSettings;

#[derive(Args, Debug)]
pub(super) struct BackupArguments {
    /// The folder to make; it must not be there.
    dir: PathBuf,
    #[command(flatten)]
    storage: StorageSettings,
}

#[derive(Args, Debug)]
pub(super) struct RestoreArguments {
    /// The folder that `rollcall backup` made.
    dir: PathBuf,
    /// Puts what is in place aside, under names that end in `.replaced-1`.
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    storage: StorageSettings,
}

pub(super) async fn back_up(arguments: BackupArguments) -> anyhow::Result<()> {
    let stop = super::serve::signals()?;
    let made = tokio::select! {
        made = backup::make(&arguments.storage, &arguments.dir) => made?,
        () = stop => anyhow::bail!("stopped; no backup was made"),
    };
    let dir = arguments.dir.display();
    if made.database {
        println!("The backup is in {dir}.");
    } else {
        println!("The key and the noted end of the audit trail are in {dir}.");
        println!("PostgreSQL copies the database itself. Do that now, after them, not before:");
        println!("  pg_dump --format=custom --file {dir}/rollcall.dump NAME-OF-THE-DATABASE");
    }
    match made.trail {
        Ok(whole) => println!("{whole}"),
        // A backup of what there is; whoever reads this should know all the same.
        Err(finding) => eprintln!(
            "rollcall: the audit trail could not be confirmed, and a restore will refuse it: {finding}"
        ),
    }
    Ok(())
}

pub(super) async fn restore(arguments: RestoreArguments) -> anyhow::Result<()> {
    let stop = super::serve::signals()?;
    let (clock, random) = (Arc::new(SystemClock::default()), Arc::new(OsRandom));
    let restored = tokio::select! {
        restored = backup::restore(
            &arguments.storage, &arguments.dir, arguments.replace, clock, random,
        ) => restored?,
        () = stop => anyhow::bail!("stopped; nothing was put in place"),
    };
    println!("The backup is in place. All its sessions have ended: everybody signs in anew.");
    println!("{}", restored.trail);
    if !restored.sums_checked {
        println!(
            "It has no SHA256SUMS, so that only its structure and its audit trail were checked."
        );
    }
    if !restored.put_aside.is_empty() {
        println!("What was there before; remove it when nothing of it is missed:");
        for file in restored.put_aside {
            println!("  {}", file.display());
        }
    }
    Ok(())
}
