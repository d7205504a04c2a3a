//! The program `rollcall` as somebody types it, by key or on the database itself.

use std::cell::Cell;
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use sea_orm::DatabaseConnection;
use serde_json::Value;
use tokio::process::Command;

use super::Stand;
use crate::Context;
use crate::place::Place;

/// No command may take longer.
const LIMIT: Duration = Duration::from_secs(300);

/// A way in which commands are given.
pub(super) struct Shell<'a> {
    context: &'a Context,
    place: &'a Place,
    // Where the server is, and a key.
    key: Option<(String, String)>,
    ran: Cell<u32>,
    dry_runs: Cell<u32>,
    refusals: Cell<u32>,
}

impl<'a> Shell<'a> {
    /// Beside a running server.
    pub(super) fn by_key(
        context: &'a Context,
        place: &'a Place,
        at: SocketAddr,
        key: &str,
    ) -> Self {
        Self {
            key: Some((format!("http://{at}"), key.to_owned())),
            ..Self::direct(context, place)
        }
    }

    /// With the server stopped.
    pub(super) fn direct(context: &'a Context, place: &'a Place) -> Self {
        Self {
            context,
            place,
            key: None,
            ran: Cell::default(),
            dry_runs: Cell::default(),
            refusals: Cell::default(),
        }
    }

    /// How people call it.
    pub(super) fn name(&self) -> &'static str {
        if self.key.is_some() {
            "by key"
        } else {
            "direct"
        }
    }

    /// How many commands were given.
    pub(super) fn ran(&self) -> u32 {
        self.ran.get()
    }

    /// How many of them were dry runs.
    pub(super) fn dry_runs(&self) -> u32 {
        self.dry_runs.get()
    }

    /// How many of them were refused.
    pub(super) fn refusals(&self) -> u32 {
        self.refusals.get()
    }

    /// What a command answers as JSON.
    pub(super) async fn json(&self, words: &[&str]) -> Result<Value> {
        let said = self.said(&[words, &["--json"]].concat()).await?;
        serde_json::from_str(&said).with_context(|| format!("{words:?} says {said}"))
    }

    /// The first row of a list.
    pub(super) async fn first(&self, words: &[&str]) -> Result<Value> {
        let page = self.json(words).await?;
        page["items"]
            .get(0)
            .cloned()
            .with_context(|| format!("{words:?} lists nothing"))
    }

    /// What a command says.
    pub(super) async fn said(&self, words: &[&str]) -> Result<String> {
        self.run(words, self.door()).await
    }

    /// What a dry run answers, which must not change anything.
    pub(super) async fn dry(&self, look: &DatabaseConnection, words: &[&str]) -> Result<Value> {
        let before = Stand::of(look).await?;
        let answer = self.json(&[words, &["--dry-run"]].concat()).await?;
        self.changed_nothing(look, &before, words).await?;
        Ok(answer)
    }

    /// The same for a command that always works on the database itself.
    pub(super) async fn dry_on_database(
        &self,
        look: &DatabaseConnection,
        words: &[&str],
    ) -> Result<String> {
        let before = Stand::of(look).await?;
        let said = self.on_database(&[words, &["--dry-run"]].concat()).await?;
        self.changed_nothing(look, &before, words).await?;
        Ok(said)
    }

    async fn changed_nothing(
        &self,
        look: &DatabaseConnection,
        before: &Stand,
        words: &[&str],
    ) -> Result<()> {
        let after = Stand::of(look).await?;
        ensure!(
            after == *before,
            "a dry run changed something: {words:?}: {before:?} {after:?}"
        );
        self.dry_runs.set(self.dry_runs.get() + 1);
        Ok(())
    }

    /// What a command says that always works on the database itself.
    pub(super) async fn on_database(&self, words: &[&str]) -> Result<String> {
        self.run(words, self.storage()).await
    }

    /// What a command says that needs no data.
    pub(super) async fn alone(&self, words: &[&str]) -> Result<String> {
        self.run(words, Vec::new()).await
    }

    /// A command that is refused, with these words in what it says.
    pub(super) async fn refused(&self, words: &[&str], says: &str) -> Result<()> {
        let (done, _, said) = self.output(words, self.door()).await?;
        ensure!(!done, "{words:?} was done");
        ensure!(
            said.starts_with("rollcall: ") && said.contains(says),
            "{words:?}: {said}"
        );
        self.refusals.set(self.refusals.get() + 1);
        Ok(())
    }

    async fn run(&self, words: &[&str], more: Vec<String>) -> Result<String> {
        let (done, out, said) = self.output(words, more).await?;
        ensure!(done, "{words:?}: {said}");
        Ok(out)
    }

    async fn output(&self, words: &[&str], more: Vec<String>) -> Result<(bool, String, String)> {
        self.ran.set(self.ran.get() + 1);
        let mut command = Command::new(&self.context.server);
        command
            .args(words)
            .args(more)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        if let Some((server, key)) = &self.key {
            command
                .env("ROLLCALL_SERVER", server)
                .env("ROLLCALL_KEY", key);
        }
        let output = tokio::time::timeout(LIMIT, command.output());
        let output = output
            .await
            .with_context(|| format!("{words:?} does not end"))??;
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        Ok((
            output.status.success(),
            text(&output.stdout),
            text(&output.stderr),
        ))
    }

    fn door(&self) -> Vec<String> {
        match &self.key {
            Some(_) => Vec::new(),
            None => [vec!["--direct".to_owned()], self.storage()].concat(),
        }
    }

    fn storage(&self) -> Vec<String> {
        let folder = self.place.folder.display().to_string();
        ["--database", &self.place.url, "--data-dir", &folder]
            .map(str::to_owned)
            .to_vec()
    }
}
