//! A PostgreSQL cluster that lives as long as the tests.
//!
//! It is stopped and removed however they end: a small shell holds the reading end of a pipe whose
//! writing end is ours, and cleans up once that is closed, be it by us, by Ctrl-C or by a crash.

use crate::process::{quiet, step};
use crate::setup;
use anyhow::{Context, Result, bail};
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The superuser that the tests connect as; there is no password.
const USER: &str = "rollcall";
/// Every test has a pool of its own.
const CONNECTIONS: u32 = 300;
const START_LIMIT: Duration = Duration::from_secs(60);
/// Waits for the end of its input, then stops the server at once and removes the folder ($1).
/// `wait` also catches a server that has ended already.
const KEEPER: &str = r#"
trap '' INT TERM HUP
folder=$1; shift
"$@" >"$folder/log" 2>&1 &
server=$!
read -r _
kill -QUIT "$server" 2>/dev/null
wait "$server"
rm -rf "$folder"
"#;

/// A running cluster; dropping it stops and removes it.
pub(crate) struct Postgres {
    keeper: Child,
    url: String,
}

impl Postgres {
    /// Makes a cluster in a temporary folder and starts it on a free port of 127.0.0.1.
    pub(crate) fn start() -> Result<Self> {
        let bin = setup::programs::postgres()?;
        step(
            "Starting a PostgreSQL for the tests",
            "a throw-away cluster in a temporary folder",
            || Self::start_from(&bin),
        )
    }

    /// How the tests reach it: `postgres://user@host:port/database`, as superuser.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    fn start_from(bin: &Path) -> Result<Self> {
        let account = account()?;
        let folder = std::env::temp_dir().join(format!("rollcall-postgres-{}", std::process::id()));
        fs::create_dir(&folder).with_context(|| format!("creating {}", folder.display()))?;
        let made = Self::make_and_start(bin, &folder, account.as_ref());
        if made.is_err() {
            // The keeper may have removed it already.
            let _ = fs::remove_dir_all(&folder);
        }
        made
    }

    fn make_and_start(bin: &Path, folder: &Path, account: Option<&Account>) -> Result<Self> {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
        if let Some(account) = account {
            chown(folder, Some(account.user), Some(account.group))?;
        }
        let data = folder.join("data");
        // Debian, macOS and others agree on neither a default locale nor its name; C.UTF-8 knows
        // upper and lower case beyond ASCII, plain C does not.
        let locale = if cfg!(target_os = "macos") {
            "en_US.UTF-8"
        } else {
            "C.UTF-8"
        };
        quiet(
            as_account(account, &bin.join("initdb"))
                .arg("--pgdata")
                .arg(&data)
                .args(["--username", USER, "--auth", "trust", "--encoding", "UTF8"])
                .args(["--locale", locale, "--no-sync"]),
        )?;
        let port = free_port()?;
        let mut server = as_account(account, &bin.join("postgres"));
        server.arg("-D").arg(&data).arg("-k").arg(folder);
        for setting in [
            format!("port={port}"),
            format!("max_connections={CONNECTIONS}"),
            "listen_addresses=127.0.0.1".to_owned(),
            // As in production: what is committed is on the disk.
            "fsync=on".to_owned(),
            "timezone=UTC".to_owned(),
        ] {
            server.arg("-c").arg(setting);
        }
        let mut keeper = Command::new("sh")
            .args(["-c", KEEPER, "keeper"])
            .arg(folder)
            .arg(server.get_program())
            .args(server.get_args())
            .current_dir("/")
            .stdin(Stdio::piped())
            // A group of its own, so that Ctrl-C does not reach the server before the tests end.
            .process_group(0)
            .spawn()
            .context("cannot start a shell")?;
        if let Err(error) = ready(folder, &data) {
            stop(&mut keeper);
            return Err(error);
        }
        let url = format!("postgres://{USER}@127.0.0.1:{port}/postgres");
        Ok(Self { keeper, url })
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        stop(&mut self.keeper);
    }
}

fn stop(keeper: &mut Child) {
    drop(keeper.stdin.take());
    // Nothing to do about a failure: the shell is our own child and ends by itself.
    let _ = keeper.wait();
}

/// Waits until the server says in its own file that it takes connections.
fn ready(folder: &Path, data: &Path) -> Result<()> {
    let start = Instant::now();
    while start.elapsed() < START_LIMIT {
        // The eighth line is the state, by PostgreSQL's miscadmin.h.
        if fs::read_to_string(data.join("postmaster.pid")).is_ok_and(|file| {
            file.lines()
                .nth(7)
                .is_some_and(|line| line.trim() == "ready")
        }) {
            return Ok(());
        }
        let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
        if log.contains("FATAL") {
            bail!("PostgreSQL did not start:\n{log}");
        }
        sleep(Duration::from_millis(50));
    }
    bail!(
        "PostgreSQL did not start within {} s",
        START_LIMIT.as_secs()
    )
}

/// A port that nobody listens on right now.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").context("finding a free port")?;
    Ok(listener.local_addr()?.port())
}

/// The account that runs the server if we are root, which PostgreSQL refuses.
struct Account {
    user: u32,
    group: u32,
}

fn account() -> Result<Option<Account>> {
    if !setup::is_root()? {
        return Ok(None);
    }
    let id = |flag: &str, name: &str| -> Option<u32> {
        let said = crate::process::output(Command::new("id").args([flag, name])).ok()?;
        said.trim().parse().ok()
    };
    ["postgres", "nobody"]
        .iter()
        .find_map(|name| {
            Some(Account {
                user: id("-u", name)?,
                group: id("-g", name)?,
            })
        })
        .map(Some)
        .context(
            "PostgreSQL refuses to run as root, and there is neither a user postgres nor nobody",
        )
}

/// The program, run by the account if there is one.
fn as_account(account: Option<&Account>, program: &PathBuf) -> Command {
    let mut command = match account {
        None => Command::new(program),
        Some(Account { user, group }) => {
            let mut command = Command::new("setpriv");
            command
                .arg(format!("--reuid={user}"))
                .arg(format!("--regid={group}"))
                .args(["--clear-groups", "--"])
                .arg(program);
            command
        }
    };
    // Our own folder may be closed to that account.
    command.current_dir("/");
    command
}
