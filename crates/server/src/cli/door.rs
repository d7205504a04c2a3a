//! How commands reach Rollcall: a running server by API key, or the database itself while no server runs. Both answer the
//! same calls, so that a command is written once.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use axum::body::Body;
use axum::extract::Request;
use clap::Args;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};
use http::{Method, StatusCode, header};
use reqwest::Url;
use serde_json::Value;
use tower::ServiceExt;
use zeroize::Zeroizing;

use crate::app::{App, read_password};
use crate::config::StorageSettings;
use crate::http::Operator;

/// How long a server may take for an answer: a little more than it gives itself.
const PATIENCE: Duration = Duration::from_secs(40);

/// Where a command does its work.
#[derive(Args, Debug)]
pub(super) struct DoorArguments {
    /// Where Rollcall is.
    #[arg(
        long,
        value_name = "URL",
        env = "ROLLCALL_SERVER",
        default_value = "http://localhost:8080"
    )]
    server: String,
    /// A file that holds an API key with the permissions that the command needs. Without it the key is taken from
    /// ROLLCALL_KEY.
    #[arg(long, value_name = "PATH")]
    key_file: Option<PathBuf>,
    /// Works on the database itself, as its Platform administrator. Refused while a server runs on it.
    #[arg(long)]
    direct: bool,
    #[command(flatten)]
    storage: StorageSettings,
    /// Prints what the API answers, as JSON.
    #[arg(long)]
    pub(super) json: bool,
}

/// An open way to Rollcall.
pub(super) enum Door {
    /// To a server.
    Remote {
        http: reqwest::Client,
        base: Url,
        key: Zeroizing<String>,
    },
    /// Into a server of our own that listens nowhere.
    Direct(Box<App>),
}

/// What a call answers, part by part.
type Parts = BoxStream<'static, anyhow::Result<Vec<u8>>>;

impl DoorArguments {
    /// Opens it. Nothing is asked yet of a server.
    pub(super) async fn open(&self) -> anyhow::Result<Door> {
        if self.direct {
            return Ok(Door::Direct(Box::new(self.app().await?)));
        }
        let key = match &self.key_file {
            Some(path) => read_password(path)?,
            None => match std::env::var("ROLLCALL_KEY") {
                Ok(key) => Zeroizing::new(key),
                Err(_) => bail!(
                    "an API key is needed: in ROLLCALL_KEY, or in a file with --key-file; or write --direct to work on the database while the server is stopped"
                ),
            },
        };
        let base = Url::parse(&self.server)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.path() == "/")
            .with_context(|| {
                format!(
                    "--server {}: write scheme and host, such as https://rollcall.example.org",
                    self.server
                )
            })?;
        Ok(Door::Remote {
            http: rollcall_agent::http_client(concat!("rollcall-cli/", env!("CARGO_PKG_VERSION")))?,
            base,
            key,
        })
    }

    async fn app(&self) -> anyhow::Result<App> {
        let text = |path: &Path| path.display().to_string();
        let mut line = vec!["--data-dir".to_owned(), text(&self.storage.data_dir)];
        if let Some(url) = &self.storage.database {
            line.extend(["--database".to_owned(), url.clone()]);
        }
        if let Some(path) = &self.storage.config {
            line.extend(["--config".to_owned(), text(path)]);
        }
        let line: Vec<_> = line.iter().map(String::as_str).collect();
        let settings = super::read_settings(&line).map_err(anyhow::Error::msg)?;
        App::open_existing(settings).await
    }
}

impl Door {
    /// Asks, and reads an answer in JSON; `null` where there is none.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Value> {
        let (status, parts) = self.send(method, path, body).await?;
        let bytes = parts.try_concat().await?;
        let value = match bytes.is_empty() {
            true => Value::Null,
            false => serde_json::from_slice(&bytes)
                .context("the answer cannot be read; is it Rollcall?")?,
        };
        match status.is_success() {
            true => Ok(value),
            false => bail!(refusal(status, &value)),
        }
    }

    /// Asks for something.
    pub(super) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.ask(Method::GET, path, None).await
    }

    /// Asks for a file, to be read part by part.
    pub(super) async fn download(&self, path: &str) -> anyhow::Result<Parts> {
        let (status, parts) = self.send(Method::GET, path, None).await?;
        if status.is_success() {
            return Ok(parts);
        }
        let bytes = parts.try_concat().await?;
        let value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        bail!(refusal(status, &value))
    }

    /// Writes what is in memory. A server goes on by itself.
    pub(super) async fn close(self) {
        if let Self::Direct(app) = self {
            app.service().shut_down().await;
        }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<(StatusCode, Parts)> {
        match self {
            Self::Remote { http, base, key } => {
                let mut ask = http
                    .request(method, base.join(path)?)
                    .bearer_auth(key.as_str());
                if let Some(body) = body {
                    ask = ask.json(body);
                }
                let answer = tokio::time::timeout(PATIENCE, ask.send())
                    .await
                    .with_context(|| format!("{base} does not answer"))?
                    .with_context(|| format!("{base} cannot be reached"))?;
                let status = answer.status();
                let parts = answer.bytes_stream().map(|part| {
                    part.map(|bytes| bytes.to_vec())
                        .context("the answer broke off")
                });
                Ok((status, parts.boxed()))
            }
            Self::Direct(app) => {
                let mut request = Request::builder().method(method).uri(path);
                if body.is_some() {
                    request = request.header(header::CONTENT_TYPE, "application/json");
                }
                let bytes = body.map(Value::to_string).unwrap_or_default();
                let mut request = request.body(Body::from(bytes))?;
                request.extensions_mut().insert(Operator::on_this_machine());
                let answer = app.router().oneshot(request).await?;
                let status = answer.status();
                let parts = answer.into_body().into_data_stream().map(|part| {
                    part.map(|bytes| bytes.to_vec())
                        .context("the answer broke off")
                });
                Ok((status, parts.boxed()))
            }
        }
    }
}

// A problem document's own words; they name the field.
fn refusal(status: StatusCode, problem: &Value) -> String {
    let words = problem["detail"].as_str();
    match (status, words) {
        (StatusCode::UNAUTHORIZED, _) => {
            "the API key is refused: revoked, expired or mistyped".to_owned()
        }
        (_, Some(words)) => words.to_owned(),
        (status, None) => format!("the server answers {status}"),
    }
}
