//! The agent's own line.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use reqwest::Url;
use rollcall_core::ExecutionSource;
use zeroize::Zeroizing;

/// Runs a command as an execution, and stops it when Rollcall says so.
///
/// The exit status is the command's own; 121 where the execution was terminated, 122 where the session ended, 125 where
/// the agent could not do its work.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct AgentArguments {
    #[command(subcommand)]
    serve: Option<Waiting>,
    #[command(flatten)]
    server: ServerArguments,
    /// What the execution is about, such as the id of a test suite; the command's name where it is left out.
    #[arg(long, value_name = "ID")]
    artefact_id: Option<String>,
    /// What kind of thing that is.
    #[arg(long, value_name = "KIND", default_value = "")]
    artefact_kind: String,
    /// What to call the execution; the artefact id where it is left out.
    #[arg(long, value_name = "NAME", default_value = "")]
    execution_name: String,
    /// What set it off.
    #[arg(long, value_name = "SOURCE", default_value = "manual", value_parser = source)]
    source: ExecutionSource,
    /// The command and its arguments.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

#[derive(Subcommand, Debug)]
enum Waiting {
    /// Waits for work, and runs what its own line names and nothing else.
    Serve(ServeArguments),
}

#[derive(Args, Debug)]
struct ServeArguments {
    #[command(flatten)]
    server: ServerArguments,
    /// A command that can be asked for by this name, as a line for /bin/sh. It finds the artefact id in
    /// ROLLCALL_ARTEFACT_ID and the execution's id in ROLLCALL_EXECUTION_ID. Can be given several times.
    #[arg(long, value_name = "NAME=COMMAND", required = true, value_parser = named)]
    run: Vec<(String, String)>,
}

#[derive(Args, Debug)]
struct ServerArguments {
    /// Where Rollcall is.
    #[arg(
        long,
        value_name = "URL",
        env = "ROLLCALL_SERVER",
        default_value = "http://localhost:8080"
    )]
    server: String,
    /// A file that holds an API key with `clients.register`. Without it the key is taken from ROLLCALL_KEY, which the
    /// command does not see.
    #[arg(long, value_name = "PATH")]
    key_file: Option<PathBuf>,
    /// What to call this client; the host's name where it is left out.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// How long what is to stop may take before it is killed, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    grace: u64,
}

/// Where the server is, and who asks.
pub(crate) struct Server {
    pub(crate) url: Url,
    pub(crate) key: Zeroizing<String>,
    pub(crate) name: String,
    pub(crate) host: String,
    pub(crate) grace: Duration,
}

/// One command.
pub(crate) struct Job {
    pub(crate) server: Server,
    pub(crate) artefact_id: String,
    pub(crate) artefact_kind: String,
    pub(crate) name: String,
    pub(crate) source: ExecutionSource,
    pub(crate) command: Vec<String>,
}

/// Commands to be asked for.
pub(crate) struct Jobs {
    pub(crate) server: Server,
    pub(crate) commands: Vec<(String, String)>,
}

/// What the agent is to do.
pub(crate) enum Task {
    Once(Job),
    Serve(Jobs),
}

impl AgentArguments {
    pub(crate) fn read(self) -> anyhow::Result<Task> {
        if let Some(Waiting::Serve(serve)) = self.serve {
            let mut names: Vec<_> = serve.run.iter().map(|(name, _)| name).collect();
            names.sort_unstable();
            if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
                bail!("--run {}: this name is given twice", twice[0]);
            }
            return Ok(Task::Serve(Jobs {
                server: serve.server.read()?,
                commands: serve.run,
            }));
        }
        let program = self.command.first().context("a command must be given")?;
        let base = program.rsplit('/').next().unwrap_or(program);
        Ok(Task::Once(Job {
            artefact_id: self.artefact_id.unwrap_or_else(|| base.to_owned()),
            artefact_kind: self.artefact_kind,
            name: self.execution_name,
            source: self.source,
            server: self.server.read()?,
            command: self.command,
        }))
    }
}

impl ServerArguments {
    fn read(self) -> anyhow::Result<Server> {
        let mut url = Url::parse(&self.server)
            .with_context(|| format!("--server {}: this is no address", self.server))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            bail!(
                "--server {}: it begins with http:// or https://",
                self.server
            );
        }
        if url.scheme() == "http" && !is_loopback(&url) {
            crate::say(&format!(
                "warning: {url} is not encrypted, and everybody on the way can read the key"
            ));
        }
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        let text = match &self.key_file {
            Some(path) => std::fs::read_to_string(path)
                .with_context(|| format!("--key-file {}: it cannot be read", path.display()))?,
            None => std::env::var("ROLLCALL_KEY")
                .ok()
                .context("an API key is needed: give --key-file or set ROLLCALL_KEY")?,
        };
        let text = Zeroizing::new(text);
        let key = Zeroizing::new(text.trim().to_owned());
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            bail!("the API key is empty or no key: it begins with rc_k_");
        }
        let host = gethostname::gethostname().to_string_lossy().into_owned();
        Ok(Server {
            url,
            key,
            name: self.name.unwrap_or_else(|| host.clone()),
            host: host.chars().take(80).collect(),
            grace: Duration::from_secs(self.grace),
        })
    }
}

fn is_loopback(url: &Url) -> bool {
    url.host_str().is_some_and(|host| {
        let name = host.trim_start_matches('[').trim_end_matches(']');
        name == "localhost"
            || name
                .parse::<std::net::IpAddr>()
                .is_ok_and(|ip| ip.is_loopback())
    })
}

fn source(text: &str) -> Result<ExecutionSource, String> {
    let words = || {
        let all: Vec<_> = ExecutionSource::ALL
            .iter()
            .map(|one| one.as_str())
            .collect();
        format!("one of {}", all.join(", "))
    };
    ExecutionSource::from_name(text).ok_or_else(words)
}

fn named(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, command)) if !name.trim().is_empty() && !command.trim().is_empty() => {
            Ok((name.trim().to_owned(), command.trim().to_owned()))
        }
        _ => Err("a name, an equals sign and a command, as in suite='make test'".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        agent: AgentArguments,
    }

    fn read(line: &[&str]) -> Result<Task, String> {
        let line = ["agent"].iter().chain(line);
        let parsed = Line::try_parse_from(line).map_err(|error| error.to_string())?;
        parsed.agent.read().map_err(|error| format!("{error:#}"))
    }

    fn key_file() -> (std::path::PathBuf, String) {
        let path = std::env::temp_dir().join(format!("rollcall-agent-{}", uuid::Uuid::new_v4()));
        std::fs::write(&path, "rc_k_abc\n").unwrap();
        let text = path.to_str().unwrap().to_owned();
        (path, text)
    }

    #[test]
    fn a_command_is_named_by_its_program() {
        let (path, file) = key_file();
        let line = [
            "--key-file",
            &file,
            "--server",
            "https://r.test/base",
            "--",
            "/bin/sleep",
            "600",
        ];
        let Ok(Task::Once(job)) = read(&line) else {
            panic!("one command");
        };
        assert_eq!(job.artefact_id, "sleep");
        assert_eq!(job.command, ["/bin/sleep", "600"]);
        assert_eq!(job.server.url.as_str(), "https://r.test/base/");
        assert_eq!(job.server.key.as_str(), "rc_k_abc");
        let line = [
            "serve",
            "--key-file",
            &file,
            "--run",
            "suite=make test",
            "--run",
            "one = x=y",
        ];
        let Ok(Task::Serve(jobs)) = read(&line) else {
            panic!("two commands");
        };
        let commands: Vec<_> = jobs
            .commands
            .iter()
            .map(|(a, b)| (a.as_str(), b.as_str()))
            .collect();
        assert_eq!(commands, [("suite", "make test"), ("one", "x=y")]);
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn what_cannot_be_understood_is_said_in_words() {
        let (path, file) = key_file();
        let with_key = |more: &[&str]| {
            let line: Vec<_> = ["--key-file", &file].iter().chain(more).copied().collect();
            read(&line).err().unwrap_or_default()
        };
        assert!(with_key(&["--server", "nowhere", "--", "true"]).contains("--server nowhere"));
        assert!(with_key(&["--server", "ftp://a", "--", "true"]).contains("http://"));
        assert!(with_key(&["--source", "alien", "--", "true"]).contains("scheduler"));
        assert!(with_key(&[]).contains("COMMAND"));
        assert!(
            read(&["--key-file", "/none", "--", "true"])
                .err()
                .unwrap()
                .contains("/none")
        );
        let serve = |run: &[&str]| {
            let line: Vec<_> = ["serve", "--key-file", &file]
                .iter()
                .chain(run)
                .copied()
                .collect();
            read(&line).err().unwrap_or_default()
        };
        assert!(serve(&["--run", "make"]).contains("equals sign"));
        assert!(serve(&["--run", "a=b", "--run", "a=c"]).contains("twice"));
        assert!(serve(&[]).contains("--run"));
        std::fs::remove_file(path).unwrap();
    }
}
