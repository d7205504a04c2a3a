//! Connected clients and what runs on them.

use std::time::Duration;

use axum::body::BodyDataStream;
use futures_util::StreamExt;
use rollcall_core::Permission;
use serde_json::{Value, json};

use super::{Client, Person, TestApp};

/// A client that has registered, with its own session.
pub(crate) struct Runner {
    /// Its id.
    pub(crate) id: String,
    /// Its session.
    pub(crate) session: String,
    /// Sends the token of that session.
    pub(crate) client: Client,
}

impl TestApp {
    /// Registers a client by a key of this person.
    pub(crate) async fn runner(&self, person: &Person) -> Runner {
        let (_, secret) = self.api_key(person, &[Permission::ClientsRegister]).await;
        self.register(&self.holding(&secret)).await
    }

    /// Registers a client of whoever this is.
    pub(crate) async fn register(&self, by: &Client) -> Runner {
        let body = json!({ "name": "runner", "version": "1.2", "host": "build-7" });
        self.runner_of(by.post("/api/v1/clients", body).await.json())
    }

    /// What a registration has answered.
    pub(crate) fn runner_of(&self, registered: Value) -> Runner {
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        Runner {
            id: text(&registered["client"]["id"]),
            session: text(&registered["client"]["session"]),
            client: self.holding(&text(&registered["token"])),
        }
    }
}

impl Runner {
    /// The address of this client, with something after it.
    pub(crate) fn path(&self, rest: &str) -> String {
        format!("/api/v1/clients/{}{rest}", self.id)
    }

    /// Says that it is there.
    pub(crate) async fn beat(&self) -> Value {
        let path = self.path("/heartbeat");
        self.client.post(&path, json!({})).await.ok()["commands"].clone()
    }

    /// Starts an execution and answers its id.
    pub(crate) async fn start(&self, artefact: &str) -> String {
        start(&self.client, json!({ "artefact_id": artefact })).await
    }

    /// Opens the stream of commands.
    pub(crate) async fn listen(&self) -> Commands {
        Commands {
            stream: self.client.get(&self.path("/commands")).stream().await,
            text: String::new(),
        }
    }
}

/// Starts an execution and answers its id.
pub(crate) async fn start(by: &Client, body: Value) -> String {
    let started = by.post("/api/v1/executions", body).await;
    assert_eq!(started.status, 201, "{}", started.text());
    started.json()["id"].as_str().expect("an id").to_owned()
}

/// The state of an execution, as this caller sees it.
pub(crate) async fn state_of(seen_by: &Client, execution: &str) -> String {
    let found = seen_by
        .get(&format!("/api/v1/executions/{execution}"))
        .await
        .ok();
    found["state"].as_str().expect("a state").to_owned()
}

/// A stream of commands, read one by one.
pub(crate) struct Commands {
    stream: BodyDataStream,
    text: String,
}

impl Commands {
    /// The next command; `None` when the stream has closed. Far more patience than a test ever needs.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        let next = tokio::time::timeout(Duration::from_secs(30), self.read());
        next.await.expect("a command, or the end of the stream")
    }

    async fn read(&mut self) -> Option<Value> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let data = event.lines().find_map(|line| line.strip_prefix("data: "));
                let command = data.map(|data| serde_json::from_str(data).expect("JSON"));
                self.text = rest.to_owned();
                if let Some(command) = command {
                    return Some(command);
                }
                continue;
            }
            let part = self.stream.next().await?.expect("a part");
            self.text
                .push_str(std::str::from_utf8(&part).expect("text"));
        }
    }
}
