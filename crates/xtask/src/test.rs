//! `test`: every test there is, with everything that they need.

use crate::postgres::Postgres;
use crate::process::{display, run, seconds};
use crate::setup::wasm::Purpose;
use crate::{bundle, disk, e2e, paths, proof, setup};
use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Instant;

/// Where the tests find a PostgreSQL; each test makes a database of its own in it.
pub(crate) const POSTGRES_URL: &str = "ROLLCALL_TEST_POSTGRES";
/// One selection for every build of the tests: another would have cargo compile shared crates again
/// with other features. The client is tested as the server uses it; `hydrate` is for browsers.
pub(crate) const SELECTION: [&str; 11] = [
    "--package",
    "rollcall-core",
    "--package",
    "rollcall-client",
    "--package",
    "rollcall-server",
    "--package",
    "rollcall-proof",
    "--package",
    "xtask",
    "--features=rollcall-client/ssr",
];

/// GiB that all tests take at first, builds and tools included.
const ROOM: u64 = 10;

/// What `test` is asked for.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only one kind of tests.
    #[arg(long)]
    only: Option<Suite>,
    /// Browser tests with the bundle that ships, which takes minutes to build, instead of the quick one.
    #[arg(long)]
    shipping: bool,
    /// Only tests whose name (of Rust tests) or file (of browser tests) has one of these in it.
    #[arg(last = true)]
    filter: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Suite {
    /// The tests in Rust, on SQLite and PostgreSQL.
    Unit,
    /// The tests in a browser.
    E2e,
    /// The short counts of the proofs, on real server processes.
    Proof,
}

/// `cargo xtask test`.
pub(crate) fn command(args: Args) -> Result<()> {
    disk::room_for(ROOM, "debug")?;
    let wanted = |suite| args.only.is_none_or(|only| only == suite);
    let start = Instant::now();
    if wanted(Suite::E2e) {
        e2e::check_present()?;
        // Before the tests, so that the server is compiled once, with the bundle in it.
        bundle::ensure(if args.shipping {
            Purpose::Shipping
        } else {
            Purpose::Development
        })?;
    }
    let mut suites = Vec::new();
    if wanted(Suite::Unit) {
        suites.push(timed("Rust tests", || rust_tests(&args.filter)));
    }
    if wanted(Suite::E2e) {
        suites.push(timed("browser tests", || {
            run(setup::cargo()
                .args(["build", "--bins", "--tests"])
                .args(SELECTION))?;
            let server = paths::target()?.join("debug").join("rollcall");
            e2e::run(&server, &args.filter, args.only.is_none())
        }));
    }
    if wanted(Suite::Proof) && (args.only.is_some() || args.filter.is_empty()) {
        suites.push(timed("proofs", || {
            proof::short(Postgres::start()?.url())?;
            Ok("short counts".to_owned())
        }));
    }
    eprintln!();
    let mut failed = false;
    for (line, passed) in suites {
        eprintln!("{line}");
        failed |= !passed;
    }
    if failed {
        bail!("tests failed (all took {})", seconds(start.elapsed()));
    }
    eprintln!("all passed in {}", seconds(start.elapsed()));
    Ok(())
}

/// Runs a suite and makes its line of the summary.
fn timed(name: &str, suite: impl FnOnce() -> Result<String>) -> (String, bool) {
    eprintln!("==> {name}");
    let start = Instant::now();
    let result = suite();
    let took = seconds(start.elapsed());
    match result {
        Ok(found) => (format!("{name}: passed in {took}, {found}"), true),
        Err(error) => (format!("{name}: FAILED in {took}: {error:#}"), false),
    }
}

fn rust_tests(filter: &[String]) -> Result<String> {
    let postgres = Postgres::start()?;
    let mut command = setup::cargo();
    command
        .args(["test", "--no-fail-fast"])
        .args(SELECTION)
        .arg("--")
        .args(filter)
        .env(POSTGRES_URL, postgres.url());
    let mut total = Counts::default();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{}`", display(&command)))?;
    for line in child
        .stdout
        .take()
        .map(BufReader::new)
        .into_iter()
        .flat_map(BufRead::lines)
    {
        let line = line?;
        println!("{line}");
        total.add(&line);
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("{total}; {status}");
    }
    if total.passed == 0 {
        bail!("no test ran");
    }
    Ok(total.to_string())
}

/// What cargo's "test result" lines add up to.
#[derive(Default)]
struct Counts {
    passed: u32,
    failed: u32,
    ignored: u32,
}

impl Counts {
    /// Adds a line such as "test result: ok. 7 passed; 0 failed; 1 ignored; …"; others are passed by.
    fn add(&mut self, line: &str) {
        let Some(result) = line.strip_prefix("test result: ") else {
            return;
        };
        let words: Vec<&str> = result.split_whitespace().collect();
        for pair in words.windows(2) {
            let [number, word] = pair else { continue };
            let Ok(number) = number.parse::<u32>() else {
                continue;
            };
            match word.trim_end_matches(';') {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} passed, {} failed, {} ignored",
            self.passed, self.failed, self.ignored
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_lines_add_up_and_other_lines_do_not_count() {
        let mut counts = Counts::default();
        counts.add("test result: ok. 7 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.01s");
        counts.add("test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.20s");
        counts.add("test passwords ... 5 passed");
        assert_eq!(counts.to_string(), "9 passed, 1 failed, 1 ignored");
    }
}
