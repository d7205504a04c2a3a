//! One command as one execution.

use rollcall_core::{Command, EndReason, ExecutionId, ExecutionState};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::api::Failure;
use crate::arguments::Job;
use crate::connection::{Connection, Heard};
use crate::process::{Running, status};
use crate::{NOT_FOUND, NOT_STARTED, SESSION_ENDED, TERMINATED, say};

/// Why the command has to stop.
enum Stop {
    Terminated,
    Ended(Option<EndReason>),
    /// Somebody wants the agent to go: the signal's number.
    Signal(u8),
}

/// Registers, runs the command, and reports how it went. Answers the exit status.
pub(crate) async fn run(job: Job) -> anyhow::Result<u8> {
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut asked_to_go = signal(SignalKind::terminate())?;
    let (connection, mut heard) = tokio::select! {
        opened = Connection::open(&job.server) => opened?,
        _ = interrupted.recv() => return Ok(130),
        _ = asked_to_go.recv() => return Ok(143),
    };
    let id = ExecutionId(uuid::Uuid::new_v4());
    let body = json!({
        "id": id,
        "artefact_id": job.artefact_id,
        "artefact_kind": job.artefact_kind,
        "name": job.name,
        "source": job.source,
        "client": connection.client(),
    });
    match connection.start(body).await {
        Ok(()) => {}
        Err(Failure::Ended(reason)) => {
            say(&ended_words(reason));
            return Ok(SESSION_ENDED);
        }
        Err(Failure::Refused(words) | Failure::Away(words, _)) => {
            connection.close().await;
            anyhow::bail!("{words}");
        }
    }
    let execution = id.to_string();
    let environment = [
        ("ROLLCALL_EXECUTION_ID", execution.as_str()),
        ("ROLLCALL_ARTEFACT_ID", job.artefact_id.as_str()),
    ];
    let (program, arguments) = job
        .command
        .split_first()
        .ok_or_else(|| anyhow::anyhow!("a command must be given"))?;
    let mut running = match Running::start(program, arguments, &environment) {
        Ok(running) => running,
        Err(error) => {
            say(&format!("{program}: {error}"));
            connection.tell(id, ExecutionState::Failed).await;
            connection.close().await;
            return Ok(match error.kind() {
                std::io::ErrorKind::NotFound => NOT_FOUND,
                _ => NOT_STARTED,
            });
        }
    };
    let stop = loop {
        tokio::select! {
            ended = running.ended() => {
                let status = ended.map_or(1, status);
                let state = match status {
                    0 => ExecutionState::Finished,
                    _ => ExecutionState::Failed,
                };
                connection.tell(id, state).await;
                connection.close().await;
                return Ok(status);
            }
            told = heard.recv() => match told {
                Some(Heard::Command(Command::Terminate { execution })) if execution == id => {
                    break Stop::Terminated;
                }
                Some(Heard::Command(_)) => {}
                Some(Heard::Ended(reason)) => break Stop::Ended(reason),
                None => break Stop::Ended(None),
            },
            _ = interrupted.recv() => break Stop::Signal(2),
            _ = asked_to_go.recv() => break Stop::Signal(15),
        }
    };
    Ok(match stop {
        Stop::Terminated => {
            say("the execution was terminated; stopping the command");
            running.stop(job.server.grace).await;
            connection.tell(id, ExecutionState::Terminated).await;
            connection.close().await;
            TERMINATED
        }
        Stop::Ended(reason) => {
            say(&format!("{}; stopping the command", ended_words(reason)));
            running.stop(job.server.grace).await;
            SESSION_ENDED
        }
        Stop::Signal(number) => {
            running.stop(job.server.grace).await;
            connection.tell(id, ExecutionState::Terminated).await;
            connection.close().await;
            128 + number
        }
    })
}

/// Why the session is over, in words.
pub(crate) fn ended_words(reason: Option<EndReason>) -> String {
    match reason {
        // How long it was idle is not known here, and of no interest.
        Some(EndReason::IdleTimeout) => {
            "the session has ended: not heard of for too long".to_owned()
        }
        Some(reason) => format!("the session has ended: {}", reason.label(0)),
        None => "the session has ended".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_told_in_words() {
        for (reason, words) in [
            (None, "the session has ended"),
            (
                Some(EndReason::EndedByAdministrator),
                "the session has ended: ended by an administrator",
            ),
            (
                Some(EndReason::IdleTimeout),
                "the session has ended: not heard of for too long",
            ),
        ] {
            assert_eq!(ended_words(reason), words);
        }
    }
}
