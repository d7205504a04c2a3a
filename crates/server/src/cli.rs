//! The command line: `serve` (also without saying so), what is done to sessions, users, clients, keys, policy and the
//! audit trail, `backup`, `restore`, `agent`, `settings`, `openapi`, `completion`.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::config::{Settings, document, file};
use crate::telemetry;

mod audit;
mod backup;
mod clients;
mod door;
mod filter;
mod keys;
mod policy;
mod serve;
mod sessions;
mod show;
mod users;

/// See who is signed in, what they are running, and end it: now, everywhere.
#[derive(Parser, Debug)]
#[command(name = "rollcall", version, max_term_width = 100)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Runs the server. `rollcall` alone does the same.
    Serve(Box<Settings>),
    /// Lists and ends sessions.
    #[command(subcommand)]
    Sessions(Box<sessions::SessionsCommand>),
    /// Lists users and logs them out; creates, unlocks, disables, enables and deletes them and resets passwords on the
    /// database itself.
    #[command(subcommand)]
    Users(Box<users::UsersCommand>),
    /// Lists and disconnects connected clients.
    #[command(subcommand)]
    Clients(clients::ClientsCommand),
    /// Lists and revokes API keys.
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Shows what users have to keep to.
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// Checks the audit trail, and writes it into a file.
    #[command(subcommand)]
    Audit(Box<audit::AuditCommand>),
    /// Copies the database, the audit key and the noted end of the trail into a new folder, beside a running server.
    Backup(backup::BackupArguments),
    /// Checks a backup, ends every session that it knows, and puts it in place. Refused while a server runs on the
    /// database. With PostgreSQL run pg_restore first.
    Restore(backup::RestoreArguments),
    /// Runs a command as an execution and stops it when Rollcall says so, or waits for work.
    Agent(Box<rollcall_agent::AgentArguments>),
    /// Lists every setting.
    Settings {
        /// As docs/configuration.md.
        #[arg(long)]
        markdown: bool,
    },
    /// Prints the OpenAPI document.
    Openapi,
    /// Prints what a shell needs to complete commands: `source <(rollcall completion bash)`.
    Completion {
        /// Which shell.
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
}

/// Runs the program with these arguments, the first of which is its own name.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = with_serve(arguments.into_iter().collect());
    let parsed = match parse(&arguments, file::from_environment()) {
        Ok(parsed) => parsed,
        Err(Refusal::Clap(error)) => error.exit(),
        Err(Refusal::Words(words)) => return refuse(&words),
    };
    let outcome = match parsed {
        Command::Serve(settings) => in_runtime(serve::serve(*settings)),
        Command::Sessions(command) => quietly(sessions::run(*command)),
        Command::Users(command) => quietly(users::run(*command)),
        Command::Clients(command) => quietly(clients::run(command)),
        Command::Keys(command) => quietly(keys::run(command)),
        Command::Policy(command) => quietly(policy::run(command)),
        Command::Audit(command) => quietly(audit::run(*command)),
        Command::Backup(arguments) => quietly(backup::back_up(arguments)),
        Command::Restore(arguments) => quietly(backup::restore(arguments)),
        Command::Completion { shell } => {
            let mut out = std::io::stdout().lock();
            clap_complete::generate(shell, &mut CommandLine::command(), "rollcall", &mut out);
            Ok(())
        }
        Command::Agent(arguments) => {
            return match runtime() {
                Ok(runtime) => runtime.block_on(rollcall_agent::run(*arguments)),
                Err(error) => refuse(&error.to_string()),
            };
        }
        Command::Settings { markdown } => {
            let serve = serve_command();
            print!(
                "{}",
                if markdown {
                    document::markdown(&serve)
                } else {
                    document::text(&serve)
                }
            );
            Ok(())
        }
        Command::Openapi => {
            println!("{}", crate::http::openapi::document());
            Ok(())
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => refuse(&format!("{error:#}")),
    }
}

/// Reads arguments as the program would, for tests: `read_settings(&["--rotate-every", "10s"])`.
///
/// # Errors
/// The sentence that the program would print.
pub fn read_settings(arguments: &[&str]) -> Result<Settings, String> {
    let arguments = ["rollcall", "serve"]
        .iter()
        .chain(arguments)
        .map(OsString::from)
        .collect::<Vec<_>>();
    match parse(&arguments, None) {
        Ok(Command::Serve(settings)) => Ok(*settings),
        Ok(_) => Err("not the serve command".to_owned()),
        Err(Refusal::Clap(error)) => Err(error.to_string()),
        Err(Refusal::Words(words)) => Err(words),
    }
}

/// The `serve` command with its settings, for the generated list.
fn serve_command() -> clap::Command {
    CommandLine::command()
        .find_subcommand("serve")
        .cloned()
        .unwrap_or_default()
}

/// The commands that take settings from a file.
const TAKE_SETTINGS: [&str; 9] = [
    "serve", "sessions", "users", "clients", "keys", "policy", "audit", "backup", "restore",
];

enum Refusal {
    Clap(clap::Error),
    Words(String),
}

fn parse(arguments: &[OsString], environment_file: Option<OsString>) -> Result<Command, Refusal> {
    let mut command = CommandLine::command();
    let name = arguments
        .get(1)
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let path = file::named_in(arguments, environment_file);
    if let Some(path) = path.filter(|_| TAKE_SETTINGS.contains(&name)) {
        let pairs = file::read(&path).map_err(Refusal::Words)?;
        command = file::apply(command, name, "serve", pairs)
            .map_err(|words| Refusal::Words(format!("{}: {words}", path.display())))?;
    }
    let matches = command
        .try_get_matches_from_mut(arguments)
        .map_err(Refusal::Clap)?;
    let parsed = CommandLine::from_arg_matches(&matches)
        .map_err(|error| Refusal::Clap(error.format(&mut command)))?
        .command;
    if let Command::Serve(settings) = &parsed {
        settings.check().map_err(Refusal::Words)?;
    }
    Ok(parsed)
}

// `rollcall --listen …` is `rollcall serve --listen …`.
fn with_serve(mut arguments: Vec<OsString>) -> Vec<OsString> {
    let own = ["-h", "--help", "-V", "--version"];
    let serves = match arguments.get(1).and_then(|first| first.to_str()) {
        None => true,
        Some(first) => first.starts_with('-') && !own.contains(&first),
    };
    if serves {
        if arguments.is_empty() {
            arguments.push("rollcall".into());
        }
        arguments.insert(1, "serve".into());
    }
    arguments
}

// For whoever waits at a terminal: only what is wrong is logged.
fn quietly(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    telemetry::start_quietly();
    in_runtime(work)
}

fn in_runtime(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    runtime()?.block_on(work)
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
}

fn refuse(words: &str) -> ExitCode {
    eprintln!("rollcall: {words}");
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_command_is_sound() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn defaults_are_the_ones_that_are_promised() {
        let settings = read_settings(&[]).unwrap();
        assert_eq!(settings.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(settings.sessions.rotate_every, Duration::from_secs(300));
        let hours = |timeout: crate::config::values::Timeout| timeout.get().as_secs() / 3_600;
        assert_eq!(
            settings.sessions.session_idle_timeout.get(),
            Duration::from_secs(1_800)
        );
        assert_eq!(hours(settings.sessions.session_absolute_timeout), 24);
        assert_eq!(hours(settings.sessions.keep_idle_timeout), 14 * 24);
        assert_eq!(hours(settings.sessions.keep_absolute_timeout), 30 * 24);
        assert_eq!(
            settings.sessions.client_idle_timeout.get(),
            Duration::from_secs(300)
        );
        assert_eq!(hours(settings.sessions.retention), 90 * 24);
        assert_eq!(settings.sign_in.password_min_length, 15);
        assert_eq!(
            (
                settings.sign_in.failure_limit,
                settings.sign_in.failure_window
            ),
            (20, Duration::from_secs(300))
        );
        assert!(settings.trusted_proxy.is_empty() && settings.sign_in.unlock_after.is_none());
        assert_eq!(settings.time_zone, "UTC");
    }

    #[test]
    fn a_bad_value_is_refused_with_the_name_of_its_setting() {
        for (flag, value) in [
            ("--listen", "8080"),
            ("--rotate-every", "5s"),
            ("--rotate-every", "never"),
            ("--session-idle-timeout", "0"),
            ("--session-idle-timeout", "48h"),
            ("--session-absolute-timeout", "never"),
            ("--client-absolute-timeout", "-1"),
            ("--password-min-length", "7"),
            ("--unlock-after", "0s"),
            ("--trusted-proxy", "proxy"),
            ("--trusted-proxy", "0.0.0.0/0"),
            ("--time-zone", "Europe/Atlantis"),
            ("--public-url", "rollcall.example.org"),
            ("--server-name", ""),
            ("--log-format", "xml"),
            ("--demo", "0"),
            ("--max-connections", "0"),
        ] {
            let argument = format!("{flag}={value}");
            let words = read_settings(&[&argument]).unwrap_err();
            assert!(words.contains(flag), "{argument}: {words}");
        }
    }

    #[test]
    fn no_timeout_can_be_switched_off() {
        for flag in [
            "--session-idle-timeout",
            "--session-absolute-timeout",
            "--keep-idle-timeout",
            "--keep-absolute-timeout",
            "--client-idle-timeout",
            "--client-absolute-timeout",
        ] {
            for value in [
                "0",
                "0s",
                "-1",
                "-1s",
                "never",
                "none",
                "unlimited",
                "",
                "99999d",
            ] {
                let argument = format!("{flag}={value}");
                let words = read_settings(&[&argument]).unwrap_err();
                assert!(words.contains(flag), "{argument}: {words}");
            }
        }
        // Those of NIST SP 800-63B-4, 2.3.3 (AAL3).
        let strict = [
            "--session-idle-timeout=15m",
            "--session-absolute-timeout=12h",
        ];
        let sessions = read_settings(&strict).unwrap().sessions;
        let both = [
            sessions.session_idle_timeout,
            sessions.session_absolute_timeout,
        ];
        assert_eq!(both.map(|limit| limit.get().as_secs()), [900, 43_200]);
    }

    #[test]
    fn demo_data_stays_on_this_machine() {
        assert!(read_settings(&["--demo=10", "--listen=0.0.0.0:8080"]).is_err());
        assert!(read_settings(&["--demo=10", "--listen=[::1]:8080"]).is_ok());
    }

    #[test]
    fn a_flag_beats_the_file_and_the_file_beats_the_default() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rollcall.toml");
        std::fs::write(&path, "rotate-every = \"20s\"\nserver-name = \"file\"\ntrusted-proxy = [\"10.0.0.1\", \"10.0.0.2\"]").unwrap();
        let config = format!("--config={}", path.display());
        let settings = read_settings(&[&config, "--server-name=flag"]).unwrap();
        assert_eq!(settings.sessions.rotate_every, Duration::from_secs(20));
        assert_eq!(settings.server_name(), "flag");
        assert_eq!(settings.trusted_proxy.len(), 2);
        assert_eq!(settings.time_zone, "UTC");
        for (text, part) in [
            ("rotate_every = \"20s\"", "`rotate_every` is no setting"),
            ("config = \"other.toml\"", "`config` is no setting"),
            ("rotate-every = \"1s\"", "--rotate-every"),
            ("rotate-every = ", "expected"),
        ] {
            std::fs::write(&path, text).unwrap();
            let words = read_settings(&[&config]).unwrap_err();
            assert!(words.contains(part), "{text}: {words}");
        }
        assert!(
            read_settings(&["--config=/nowhere.toml"])
                .unwrap_err()
                .contains("/nowhere.toml")
        );
    }

    #[test]
    fn the_list_of_settings_is_as_it_is_committed() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
        let committed = std::fs::read_to_string(path).unwrap();
        assert!(
            committed == document::markdown(&serve_command()),
            "write it anew: cargo run -p rollcall-server -- settings --markdown > docs/configuration.md"
        );
    }

    #[test]
    fn without_a_command_it_serves() {
        let words = |list: &[&str]| with_serve(list.iter().map(OsString::from).collect());
        assert_eq!(words(&["rollcall"]), ["rollcall", "serve"]);
        assert_eq!(
            words(&["rollcall", "--demo", "5"]),
            ["rollcall", "serve", "--demo", "5"]
        );
        assert_eq!(words(&["rollcall", "users"]), ["rollcall", "users"]);
        assert_eq!(words(&["rollcall", "--help"]), ["rollcall", "--help"]);
    }
}
