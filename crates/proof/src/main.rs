//! Shows on real server processes, over real sockets and on both databases, what faults and races do to
//! Rollcall: kills, full disks, storms of requests, clients that hang up. Each proof prints one line and
//! fails if anything was lost. Started by `cargo xtask proof`, which builds the server.
//!
//! **Invariant:** only what a client was told and what the database then holds is compared; times are
//! reported, never asserted.

mod backup;
mod between;
mod canary;
mod client;
mod clock;
mod commands;
mod connected;
mod document;
mod far;
mod hostile;
mod kill;
mod leave;
mod ledger;
mod load;
mod lock;
mod people;
mod place;
mod postgres_gone;
mod rotate;
mod server;
mod slow;
mod storage;
mod storm;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use clap::{Parser, ValueEnum};

/// What to prove, and with what.
#[derive(Parser)]
#[command(name = "rollcall-proof")]
struct Context {
    /// Only these proofs.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Proof>,
    /// The short counts, which every test run does.
    #[arg(long)]
    short: bool,
    /// How often, instead of a proof's own count.
    #[arg(long)]
    times: Option<u32>,
    /// The server.
    #[arg(long)]
    server: PathBuf,
    /// A PostgreSQL superuser's URL, to prove there too.
    #[arg(long)]
    postgres: Option<String>,
    /// The program schemathesis, for the proof that needs it.
    #[arg(long)]
    schemathesis: Option<PathBuf>,
    /// Where databases and logs are kept while a proof runs.
    #[arg(long)]
    data: PathBuf,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum, Debug)]
enum Proof {
    /// F1, F2: the server is killed at random moments under load.
    Kill,
    /// F1, F2: the server is killed at each of its writing system calls.
    KillEach,
    /// F20: many requests at once with one token that is due for rotation.
    Rotate,
    /// Rows 47, 48: many wrong passwords at once.
    Lock,
    /// F17: sockets that dawdle.
    Slow,
    /// F10: ends among more readers than there are connections to the database.
    Readers,
    /// F16: everybody comes back at once, and ends at once.
    Herd,
    /// Row 39, F16: many connected clients; half of them end, and the others come back after a kill.
    Clients,
    /// F21: everybody signs in at once.
    SignIns,
    /// F4: the disk is full.
    FullDisk,
    /// F5: the disk fails.
    FailingDisk,
    /// F6: another program holds SQLite's file.
    HeldFile,
    /// F22: clients hang up.
    HangUp,
    /// F23: SIGTERM under load.
    Stop,
    /// F24: the first start is killed at each of its writing system calls.
    FirstStart,
    /// F26: too few file descriptors.
    Descriptors,
    /// F15: the machine's clock jumps.
    Clock,
    /// F18, F19: requests that no client sends, and much too large ones.
    Hostile,
    /// The OpenAPI document: every answer is as it says.
    Document,
    /// F25: backups taken under load, restored elsewhere, and damaged.
    Backup,
    /// Every command of the command line, for show and for real.
    Commands,
    /// F7: PostgreSQL cannot be reached.
    Unreachable,
    /// F8: PostgreSQL hangs.
    Hung,
    /// F9: PostgreSQL is far away.
    SlowDatabase,
    /// F11: the answer to a COMMIT is lost.
    LostCommits,
    /// F3: PostgreSQL dies and comes back. The last one, since it starts that PostgreSQL anew.
    PostgresGone,
}

impl Context {
    /// How often: as asked for, else the short or the full count.
    fn count(&self, short: u32, full: u32) -> u32 {
        self.times.unwrap_or(if self.short { short } else { full })
    }

    async fn prove(&self, proof: Proof) -> Result<Vec<String>> {
        match proof {
            Proof::Kill => kill::at_random(self).await,
            Proof::KillEach => kill::at_each_call(self).await,
            Proof::Rotate => rotate::at_once(self).await,
            Proof::Lock => lock::guesses_at_once(self).await,
            Proof::Slow => slow::dawdling(self).await,
            Proof::Readers => storm::ends_among_readers(self).await,
            Proof::Herd => storm::herd(self).await,
            Proof::Clients => connected::clients(self).await,
            Proof::SignIns => storm::sign_ins(self).await,
            Proof::FullDisk => storage::full_disk(self).await,
            Proof::FailingDisk => storage::failing_disk(self).await,
            Proof::HeldFile => storage::held_file(self).await,
            Proof::HangUp => leave::hang_up(self).await,
            Proof::Stop => leave::stop_under_load(self).await,
            Proof::FirstStart => leave::first_start(self).await,
            Proof::Descriptors => slow::without_descriptors(self).await,
            Proof::Clock => clock::jumps(self).await,
            Proof::Hostile => hostile::requests(self).await,
            Proof::Document => document::kept_to(self).await,
            Proof::Backup => backup::restored(self).await,
            Proof::Commands => commands::every_command(self).await,
            Proof::Unreachable => far::unreachable(self).await,
            Proof::Hung => far::hung(self).await,
            Proof::SlowDatabase => far::slow(self).await,
            Proof::LostCommits => far::lost_commits(self).await,
            Proof::PostgresGone => postgres_gone::postgres_gone(self).await,
        }
    }
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let context = Context::parse();
    std::fs::create_dir_all(&context.data)?;
    let mut failed = false;
    for proof in Proof::value_variants() {
        if !context.only.is_empty() && !context.only.contains(proof) {
            continue;
        }
        let name = proof
            .to_possible_value()
            .map_or_else(String::new, |value| value.get_name().to_owned());
        let begun = Instant::now();
        match context.prove(*proof).await {
            Ok(lines) => {
                for line in lines {
                    println!("held    {name}: {line}");
                }
            }
            Err(error) => {
                failed = true;
                println!("BROKEN  {name}: {error:#}");
            }
        }
        eprintln!("    {name} took {:.0} s", begun.elapsed().as_secs_f64());
    }
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}
