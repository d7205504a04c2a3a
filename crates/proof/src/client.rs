//! One client: a kept-alive connection whose answers' secrets are written down for the canary scan.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use http::{Method, StatusCode};
use rollcall_bench::client::{Answer, Connection};
use serde_json::Value;

use crate::canary;

/// No answer may take longer; the server itself gives up after 30 seconds.
const LIMIT: Duration = Duration::from_secs(60);

/// A kept-alive connection.
pub(crate) struct Client(Connection);

/// An answer, as a proof looks at it.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    /// Its status.
    pub(crate) status: StatusCode,
    /// The token to use from now on, if the answer carries one.
    pub(crate) successor: Option<String>,
    /// Whether it says when to try again.
    pub(crate) retry_after: bool,
    /// Its body as JSON; null where it is none.
    pub(crate) body: Value,
}

impl Client {
    /// Connects.
    pub(crate) async fn open(address: SocketAddr) -> Result<Self> {
        Ok(Self(Connection::open(address).await?))
    }

    /// Asks, with a bearer token and a JSON body if they are given.
    ///
    /// # Errors
    /// No whole answer came.
    pub(crate) async fn ask(
        &mut self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Option<Value>,
    ) -> Result<Told> {
        let body = body.map(|body| body.to_string());
        let Answer {
            status,
            headers,
            body,
        } = tokio::time::timeout(LIMIT, self.0.ask(method, path, token, body))
            .await
            .context("no answer within 60 s")??;
        let successor = headers
            .get("session-token")
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        for secret in successor
            .as_deref()
            .into_iter()
            .chain(body["token"].as_str())
        {
            canary::note(secret);
        }
        Ok(Told {
            status,
            successor,
            retry_after: headers.contains_key("retry-after"),
            body,
        })
    }

    /// Asks who one is.
    pub(crate) async fn me(&mut self, token: &str) -> Result<Told> {
        self.ask(Method::GET, "/api/v1/me", Some(token), None).await
    }

    /// Signs in for a token.
    pub(crate) async fn sign_in(&mut self, email: &str, password: &str) -> Result<Told> {
        let body = serde_json::json!({"email": email, "password": password, "token": true});
        self.ask(Method::POST, "/api/v1/sign-in", None, Some(body))
            .await
    }
}
