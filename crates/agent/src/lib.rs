//! A connected client: registers, runs a command as an execution, says that it is there, and stops the command and its
//! children when it is told to or when its session has ended.
//!
//! **Invariant:** speaks HTTP with the server and knows nothing else of it.

mod api;
mod arguments;
mod backoff;
mod connection;
mod events;
mod once;
mod process;
mod serve;

use std::process::ExitCode;

pub use api::http_client;
pub use arguments::AgentArguments;

/// The execution was terminated by somebody.
pub const TERMINATED: u8 = 121;
/// The session ended, and with it what ran.
pub const SESSION_ENDED: u8 = 122;
/// The agent itself could not do its work: the key was refused, the server's answer made no sense.
pub const AGENT_FAILED: u8 = 125;
/// The command was found but could not be started.
pub const NOT_STARTED: u8 = 126;
/// There is no such command.
pub const NOT_FOUND: u8 = 127;

/// Runs the agent. Its exit status is the command's own, or one of those above, with the reason in words on standard
/// error.
pub async fn run(arguments: AgentArguments) -> ExitCode {
    let outcome = match arguments.read() {
        Ok(arguments::Task::Once(job)) => once::run(job).await,
        Ok(arguments::Task::Serve(jobs)) => serve::run(jobs).await,
        Err(error) => Err(error),
    };
    match outcome {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            say(&format!("{error:#}"));
            ExitCode::from(AGENT_FAILED)
        }
    }
}

/// Tells whoever started the agent; standard output is the command's.
fn say(words: &str) {
    eprintln!("rollcall agent: {words}");
}
