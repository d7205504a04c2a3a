//! Measures what `docs/performance.md` quotes: every line of "Speed" in the product's description, in one
//! run, each beside what it is measured against. Started by `cargo xtask bench`, which builds the
//! programs in release and starts a PostgreSQL.
//!
//! **Invariant:** nothing here is in the product, and nothing here asserts: a slow machine is not a bug.

mod ends;
mod explain;
mod instructions;
mod lists;
mod report;
mod size;
mod start;
mod token_check;
mod writes;

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand, ValueEnum};
use report::Report;
use rollcall_bench::{client, data, server};

#[derive(Parser)]
#[command(name = "rollcall-bench")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measures, and prints the table.
    Measure(Box<Args>),
    /// Serves one stored answer with axum and nothing else: what a token check is compared with.
    Bare {
        /// Where to listen.
        listen: SocketAddr,
        /// The answer's body.
        body: PathBuf,
        /// The answer's headers, a line each.
        headers: PathBuf,
    },
    /// Checks tokens in process, so many times, for a tool that counts instructions.
    Check {
        /// The data folder, made by an earlier measurement.
        data: PathBuf,
        /// How often.
        times: u32,
    },
}

/// What to measure, and with what.
#[derive(clap::Args)]
struct Args {
    /// Only these parts.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Part>,
    /// How often each comparison is run; medians are printed.
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// How long one run of a comparison takes, in seconds.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// The sessions of the lists.
    #[arg(long, default_value_t = 1_000_000)]
    rows: u32,
    /// The live sessions of the token check, of sign-ins and of rotations.
    #[arg(long, default_value_t = 100_000)]
    live: u32,
    /// Of the lists only those whose name has this in it, such as `deep` or `newest first`.
    #[arg(long, default_value = "")]
    questions: String,
    /// Prints how each database goes about each list.
    #[arg(long)]
    explain: bool,
    /// The server, built in release.
    #[arg(long)]
    server: PathBuf,
    /// The program that does the token check with tower-sessions, built in release.
    #[arg(long)]
    tower_sessions: Option<PathBuf>,
    /// A PostgreSQL superuser's URL, to measure there too.
    #[arg(long, env = "ROLLCALL_BENCH_POSTGRES")]
    postgres: Option<String>,
    /// Lists on PostgreSQL only.
    #[arg(long, requires = "postgres")]
    postgres_only: bool,
    /// Where databases are kept between runs.
    #[arg(long)]
    data: PathBuf,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    Token,
    Instructions,
    Lists,
    Writes,
    Ends,
    Start,
    Size,
}

impl Args {
    fn wants(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    match Cli::parse().command {
        Command::Measure(args) => measure(&args).await,
        Command::Bare {
            listen,
            body,
            headers,
        } => token_check::serve_bare(listen, &body, &headers).await,
        Command::Check { data, times } => instructions::check(&data, times).await,
    }
}

async fn measure(args: &Args) -> Result<()> {
    std::fs::create_dir_all(&args.data)?;
    let mut report = Report::default();
    if args.wants(Part::Token) {
        token_check::measure(args, &mut report).await?;
    }
    if args.wants(Part::Instructions) {
        instructions::measure(args, &mut report).await?;
    }
    if args.wants(Part::Lists) || args.explain {
        lists::measure(args, &mut report).await?;
    }
    if args.wants(Part::Writes) {
        writes::measure(args, &mut report).await?;
    }
    if args.wants(Part::Ends) {
        ends::measure(args, &mut report).await?;
    }
    if args.wants(Part::Start) {
        start::measure(args, &mut report).await?;
    }
    if args.wants(Part::Size) {
        size::measure(args, &mut report).await?;
    }
    report.print();
    Ok(())
}
