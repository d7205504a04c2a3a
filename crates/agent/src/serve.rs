//! Waits for work: runs what its own line names, as it is asked for, until its session ends.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use rollcall_core::{Command, ExecutionId, ExecutionState};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::arguments::Jobs;
use crate::connection::{Connection, Heard, Seen};
use crate::once::ended_words;
use crate::process::{Running, status};
use crate::{SESSION_ENDED, say};

/// Serves until its session ends or a signal asks it to go. Answers the exit status.
pub(crate) async fn run(jobs: Jobs) -> anyhow::Result<u8> {
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut asked_to_go = signal(SignalKind::terminate())?;
    let (connection, mut heard) = tokio::select! {
        opened = Connection::open(&jobs.server) => opened?,
        _ = interrupted.recv() => return Ok(130),
        _ = asked_to_go.recv() => return Ok(143),
    };
    let connection = Arc::new(connection);
    let names: Vec<_> = jobs
        .commands
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    say(&format!(
        "waiting for work as client {}: {}",
        connection.client(),
        names.join(", ")
    ));
    let grace = jobs.server.grace;
    let commands: HashMap<String, String> = jobs.commands.into_iter().collect();
    let seen = Seen::default();
    let mut stops: HashMap<ExecutionId, oneshot::Sender<()>> = HashMap::new();
    let mut work = JoinSet::new();
    let exit = loop {
        let command = tokio::select! {
            told = heard.recv() => match told {
                Some(Heard::Command(command)) => command,
                Some(Heard::Ended(reason)) => {
                    say(&ended_words(reason));
                    break SESSION_ENDED;
                }
                None => break SESSION_ENDED,
            },
            Some(done) = work.join_next() => {
                if let Ok(done) = done {
                    stops.remove(&done);
                }
                continue;
            }
            _ = interrupted.recv() => break 130,
            _ = asked_to_go.recv() => break 143,
        };
        match command {
            Command::Run {
                execution,
                run,
                artefact_id,
            } if seen.first(execution) => {
                let (stop, stopped) = oneshot::channel();
                stops.insert(execution, stop);
                let line = commands.get(&run).cloned();
                let job = One {
                    execution,
                    run,
                    artefact_id,
                    line,
                    grace,
                };
                work.spawn(one(connection.clone(), job, stopped));
            }
            Command::Terminate { execution } => match stops.remove(&execution) {
                Some(stop) => drop(stop.send(())),
                // It was over here before it was told, or belongs to an agent that is gone.
                None if seen.first(execution) => {
                    connection.tell(execution, ExecutionState::Terminated).await;
                }
                None => {}
            },
            Command::Run { .. } | Command::Disconnect { .. } => {}
        }
    };
    // Whoever is dropped stops.
    drop(stops);
    while work.join_next().await.is_some() {}
    if let (Ok(connection), true) = (Arc::try_unwrap(connection), exit != SESSION_ENDED) {
        connection.close().await;
    }
    Ok(exit)
}

struct One {
    execution: ExecutionId,
    run: String,
    artefact_id: String,
    /// What our own line has under this name.
    line: Option<String>,
    grace: Duration,
}

async fn one(connection: Arc<Connection>, job: One, stopped: oneshot::Receiver<()>) -> ExecutionId {
    let id = job.execution;
    let Some(line) = job.line else {
        say(&format!(
            "asked for {:?}, which this line does not name",
            job.run
        ));
        connection.tell(id, ExecutionState::Failed).await;
        return id;
    };
    let execution = id.to_string();
    let environment = [
        ("ROLLCALL_EXECUTION_ID", execution.as_str()),
        ("ROLLCALL_ARTEFACT_ID", job.artefact_id.as_str()),
        ("ROLLCALL_RUN", job.run.as_str()),
    ];
    let arguments = ["-c".to_owned(), line];
    let mut running = match Running::start("/bin/sh", &arguments, &environment) {
        Ok(running) => running,
        Err(error) => {
            say(&format!("{}: {error}", job.run));
            connection.tell(id, ExecutionState::Failed).await;
            return id;
        }
    };
    connection.tell(id, ExecutionState::Running).await;
    let state = tokio::select! {
        ended = running.ended() => match ended.map_or(1, status) {
            0 => ExecutionState::Finished,
            _ => ExecutionState::Failed,
        },
        // Told to, or the agent goes, and its session is over or about to be.
        _ = stopped => {
            running.stop(job.grace).await;
            ExecutionState::Terminated
        }
    };
    connection.tell(id, state).await;
    id
}
