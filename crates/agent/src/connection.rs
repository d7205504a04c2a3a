//! The live connection: registered, heard every few seconds, told what to do, found again when it was lost.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::bail;
use futures_util::StreamExt;
use rollcall_core::{ClientId, Command, EndReason, ExecutionId, ExecutionState};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::api::{Api, Failure};
use crate::arguments::Server;
use crate::backoff::Backoff;
use crate::events::Events;
use crate::say;

/// A stream that has been silent for so long is dead: the server says every five seconds that it is there.
const SILENCE: Duration = Duration::from_secs(20);
/// How long the end of a command is reported to a server that is away.
const LAST_WORDS: Duration = Duration::from_secs(60);

/// What an agent hears.
#[derive(Debug)]
pub(crate) enum Heard {
    /// What to do.
    Command(Command),
    /// The session is over.
    Ended(Option<EndReason>),
}

/// A registered client. Dropped, it is silent.
pub(crate) struct Connection {
    api: Arc<Api>,
    client: ClientId,
    tasks: JoinSet<()>,
}

impl Connection {
    /// Registers, however long the server is away, and begins to listen.
    pub(crate) async fn open(
        server: &Server,
    ) -> anyhow::Result<(Self, mpsc::UnboundedReceiver<Heard>)> {
        let api = Arc::new(Api::new(server)?);
        let body = json!({
            "name": server.name,
            "version": env!("CARGO_PKG_VERSION"),
            "host": server.host,
        });
        let registered = insist(|| api.register(&body)).await;
        let registered = match registered {
            Ok(registered) => registered,
            Err(Failure::Refused(words)) => bail!("{words}"),
            Err(other) => bail!("the client could not register: {other:?}"),
        };
        let client = registered.client.id;
        let (tell, heard) = mpsc::unbounded_channel();
        let life = Life::of(registered.expires_in_seconds);
        let every = Duration::from_secs(registered.heartbeat_seconds.clamp(1, 60));
        let mut tasks = JoinSet::new();
        tasks.spawn(beat(api.clone(), client, every, life, body, tell.clone()));
        tasks.spawn(listen(api.clone(), client, tell));
        Ok((Self { api, client, tasks }, heard))
    }

    /// The client's id.
    pub(crate) fn client(&self) -> ClientId {
        self.client
    }

    /// Starts an execution, however long the server is away.
    pub(crate) async fn start(&self, body: Value) -> Result<(), Failure> {
        insist(|| self.api.start(&body)).await
    }

    /// Says how an execution stands, for as long as that is of use.
    pub(crate) async fn tell(&self, execution: ExecutionId, state: ExecutionState) {
        let told = timeout(LAST_WORDS, insist(|| self.api.tell(execution, state))).await;
        match told {
            Ok(Ok(())) | Ok(Err(Failure::Ended(_))) => {}
            Ok(Err(Failure::Refused(words))) => say(&words),
            Ok(Err(Failure::Away(words, _))) => say(&words),
            Err(_) => say("the server is away and does not know how the execution ended"),
        }
    }

    /// Ends the session.
    pub(crate) async fn close(mut self) {
        self.tasks.abort_all();
        while self.tasks.join_next().await.is_some() {}
        // A server that is away finds out by itself.
        let _ = timeout(Duration::from_secs(5), self.api.sign_out()).await;
    }
}

// Asks until there is an answer.
async fn insist<T, F>(ask: impl Fn() -> F) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Failure>>,
{
    let mut backoff = Backoff::default();
    let mut told = false;
    loop {
        match ask().await {
            Err(Failure::Away(words, after)) => {
                if !std::mem::replace(&mut told, true) {
                    say(&format!("{words}; trying again"));
                }
                let wait = backoff.next();
                sleep(after.map_or(wait, |after| after.min(SILENCE) + wait)).await;
            }
            answered => return answered,
        }
    }
}

/// When the session has to be renewed.
struct Life {
    renew_at: Option<Instant>,
}

impl Life {
    /// After nine tenths of its time, so that there is one left to find the server again.
    fn of(seconds: u64) -> Self {
        Self {
            renew_at: Instant::now().checked_add(Duration::from_secs(seconds).mul_f64(0.9)),
        }
    }

    async fn due(&self) {
        match self.renew_at {
            Some(at) => sleep_until(at).await,
            None => std::future::pending().await,
        }
    }
}

async fn beat(
    api: Arc<Api>,
    client: ClientId,
    every: Duration,
    mut life: Life,
    mut registration: Value,
    tell: mpsc::UnboundedSender<Heard>,
) {
    let mut backoff = Backoff::default();
    let mut away = false;
    // Agents that were started together do not beat together.
    let mut wait = every.mul_f64(0.5 + 0.5 * fastrand::f64());
    loop {
        tokio::select! {
            () = sleep(wait) => {}
            () = life.due() => {
                registration["replaces"] = json!(client);
                match insist(|| api.register(&registration)).await {
                    Ok(registered) => life = Life::of(registered.expires_in_seconds),
                    Err(_) => {
                        say("the session could not be renewed and will end at its limit");
                        life.renew_at = None;
                    }
                }
            }
        }
        match api.heartbeat(client).await {
            Ok(commands) => {
                if std::mem::take(&mut away) {
                    say("connected again");
                }
                backoff.reset();
                wait = every;
                for command in commands {
                    let _ = tell.send(Heard::Command(command));
                }
            }
            Err(Failure::Away(words, after)) => {
                if !std::mem::replace(&mut away, true) {
                    say(&format!("the server is away: {words}; trying again"));
                }
                wait = backoff.next().max(after.unwrap_or_default().min(SILENCE));
            }
            Err(Failure::Ended(reason)) => {
                let _ = tell.send(Heard::Ended(reason));
                return;
            }
            Err(Failure::Refused(words)) => {
                say(&words);
                let _ = tell.send(Heard::Ended(None));
                return;
            }
        }
    }
}

async fn listen(api: Arc<Api>, client: ClientId, tell: mpsc::UnboundedSender<Heard>) {
    let mut backoff = Backoff::default();
    loop {
        match api.commands(client).await {
            Ok(stream) => {
                let mut parts = stream.bytes_stream();
                let mut events = Events::default();
                while let Ok(Some(Ok(part))) = timeout(SILENCE, parts.next()).await {
                    backoff.reset();
                    let Some(found) = events.take(&part) else {
                        break;
                    };
                    for data in found {
                        // What a newer server says and we do not know is not for us.
                        match serde_json::from_str(&data) {
                            Ok(Command::Disconnect { reason }) => {
                                let _ = tell.send(Heard::Ended(reason));
                                return;
                            }
                            Ok(command) => drop(tell.send(Heard::Command(command))),
                            Err(_) => {}
                        }
                    }
                }
            }
            // The heartbeat finds out, and tells.
            Err(Failure::Ended(_) | Failure::Refused(_)) => sleep(SILENCE).await,
            Err(Failure::Away(..)) => {}
        }
        sleep(backoff.next()).await;
    }
}

/// The executions that were seen already: commands come again until they are done.
#[derive(Default)]
pub(crate) struct Seen(Mutex<std::collections::HashSet<ExecutionId>>);

impl Seen {
    /// True the first time.
    pub(crate) fn first(&self, execution: ExecutionId) -> bool {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.insert(execution)
    }
}
