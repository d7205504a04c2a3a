//! The calls of Rollcall's API that an agent makes.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use reqwest::{Method, Response, Url, header};
use rollcall_core::{ClientId, Command, EndReason, ExecutionId, ExecutionState};
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::arguments::Server;

/// The longest that an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why a call was not answered as it should be.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The server, or the way to it, is away: to be tried again, after so long if it said.
    Away(String, Option<Duration>),
    /// The session has ended, for this reason if one was told.
    Ended(Option<EndReason>),
    /// The server refuses, and would again.
    Refused(String),
}

/// What a registration answers.
#[derive(Deserialize)]
pub(crate) struct Registered {
    pub(crate) client: Named,
    token: String,
    pub(crate) heartbeat_seconds: u64,
    pub(crate) expires_in_seconds: u64,
}

/// Something with an id; the rest is of no interest.
#[derive(Deserialize)]
pub(crate) struct Named {
    pub(crate) id: ClientId,
}

#[derive(Deserialize)]
struct Commands {
    commands: Vec<Command>,
}

#[derive(Deserialize, Default)]
struct ProblemDocument {
    #[serde(default)]
    detail: String,
    ended: Option<Ended>,
}

#[derive(Deserialize)]
struct Ended {
    reason: EndReason,
}

/// The server, and the token that the client's session has at the moment.
pub(crate) struct Api {
    http: reqwest::Client,
    base: Url,
    key: Zeroizing<String>,
    token: Mutex<Zeroizing<String>>,
}

/// A client of HTTP that gives what it holds to the one server that it is asked to speak with.
///
/// # Errors
/// Where this machine has no certificates of authorities to compare with.
pub fn http_client(user_agent: &str) -> anyhow::Result<reqwest::Client> {
    // Two in one process install it twice, which is fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .user_agent(user_agent)
        .connect_timeout(Duration::from_secs(10))
        // A token is for this server alone.
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .context("no connections can be made")
}

impl Api {
    pub(crate) fn new(server: &Server) -> anyhow::Result<Self> {
        let http = http_client(concat!("rollcall-agent/", env!("CARGO_PKG_VERSION")))?;
        Ok(Self {
            http,
            base: server.url.clone(),
            key: server.key.clone(),
            token: Mutex::default(),
        })
    }

    /// Registers with the key, and takes the session's token.
    pub(crate) async fn register(&self, body: &Value) -> Result<Registered, Failure> {
        let asked = self
            .http
            .post(self.address("api/v1/clients")?)
            .bearer_auth(self.key.as_str())
            .timeout(PATIENCE)
            .json(body);
        let answer = checked(asked.send().await.map_err(away)?).await;
        let answer = answer.map_err(|failure| match failure {
            Failure::Ended(_) => {
                Failure::Refused("the API key is refused: revoked, expired or mistyped".to_owned())
            }
            other => other,
        })?;
        let registered: Registered = read(answer).await?;
        self.take_token(registered.token.clone());
        Ok(registered)
    }

    /// Says that the client is there.
    pub(crate) async fn heartbeat(&self, client: ClientId) -> Result<Vec<Command>, Failure> {
        let path = format!("api/v1/clients/{client}/heartbeat");
        let answer = self.send(Method::POST, &path, Some(&json!({}))).await?;
        Ok(read::<Commands>(answer).await?.commands)
    }

    /// Opens the stream of commands.
    pub(crate) async fn commands(&self, client: ClientId) -> Result<Response, Failure> {
        let path = format!("api/v1/clients/{client}/commands");
        let asked = self
            .http
            .get(self.address(&path)?)
            .bearer_auth(self.token().as_str());
        let answered = tokio::time::timeout(PATIENCE, asked.send()).await;
        let answered = answered.map_err(|_| Failure::Away("no answer in time".to_owned(), None))?;
        checked(answered.map_err(away)?).await
    }

    /// Starts an execution.
    pub(crate) async fn start(&self, body: &Value) -> Result<(), Failure> {
        self.send(Method::POST, "api/v1/executions", Some(body))
            .await
            .map(drop)
    }

    /// Says how an execution stands.
    pub(crate) async fn tell(
        &self,
        execution: ExecutionId,
        state: ExecutionState,
    ) -> Result<(), Failure> {
        let path = format!("api/v1/executions/{execution}");
        let body = json!({ "state": state });
        self.send(Method::PATCH, &path, Some(&body)).await.map(drop)
    }

    /// Ends the client's session.
    pub(crate) async fn sign_out(&self) -> Result<(), Failure> {
        self.send(Method::POST, "api/v1/sign-out", None)
            .await
            .map(drop)
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Response, Failure> {
        let mut asked = self
            .http
            .request(method, self.address(path)?)
            .bearer_auth(self.token().as_str())
            .timeout(PATIENCE);
        if let Some(body) = body {
            asked = asked.json(body);
        }
        let answer = asked.send().await.map_err(away)?;
        let next = answer.headers().get("session-token");
        if let Some(next) = next.and_then(|value| value.to_str().ok()) {
            self.take_token(next.to_owned());
        }
        checked(answer).await
    }

    fn address(&self, path: &str) -> Result<Url, Failure> {
        let joined = self.base.join(path);
        joined.map_err(|_| Failure::Refused(format!("{} is no address", self.base)))
    }

    fn token(&self) -> Zeroizing<String> {
        self.token
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn take_token(&self, token: String) {
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = Zeroizing::new(token);
    }
}

fn away(error: reqwest::Error) -> Failure {
    // The innermost cause says most: "connection refused".
    let mut cause: &dyn std::error::Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    Failure::Away(cause.to_string(), None)
}

async fn checked(answer: Response) -> Result<Response, Failure> {
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    let after = answer
        .headers()
        .get(header::RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.parse().ok())
        .map(Duration::from_secs);
    let problem: ProblemDocument = answer.json().await.unwrap_or_default();
    let words = match problem.detail.is_empty() {
        true => format!("the server answers {status}"),
        false => problem.detail,
    };
    Err(match status.as_u16() {
        401 => Failure::Ended(problem.ended.map(|ended| ended.reason)),
        408 | 425 | 429 | 500.. => Failure::Away(words, after),
        _ => Failure::Refused(words),
    })
}

async fn read<T: serde::de::DeserializeOwned>(answer: Response) -> Result<T, Failure> {
    answer
        .json()
        .await
        .map_err(|error| match error.is_decode() {
            true => {
                Failure::Refused("the server's answer cannot be read; is it Rollcall?".to_owned())
            }
            false => away(error),
        })
}
