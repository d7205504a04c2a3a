//! A database and a data folder of their own for each proof.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use rollcall_bench::data;
use sea_orm::{ConnectOptions, DatabaseConnection};

use crate::{Context, canary, ledger};

/// Where one server keeps its data.
pub(crate) struct Place {
    /// The data folder; the server's log lies in it too.
    pub(crate) folder: PathBuf,
    /// The database.
    pub(crate) url: String,
    /// How people call that database.
    pub(crate) kind: &'static str,
}

impl Place {
    /// Makes empty places for a proof: one on SQLite, and one on PostgreSQL if there is one.
    pub(crate) async fn both(context: &Context, name: &str) -> Result<Vec<Self>> {
        let mut places = vec![Self::sqlite(context, name)?];
        places.extend(Self::postgres(context, name).await?);
        Ok(places)
    }

    /// Makes an empty place on SQLite.
    pub(crate) fn sqlite(context: &Context, name: &str) -> Result<Self> {
        let folder = empty(context.data.join(format!("{name}-sqlite")))?;
        let url = data::sqlite(&folder);
        Ok(Self {
            folder,
            url,
            kind: "SQLite",
        })
    }

    /// Makes an empty place on PostgreSQL, if there is one.
    pub(crate) async fn postgres(context: &Context, name: &str) -> Result<Option<Self>> {
        let Some(superuser) = &context.postgres else {
            return Ok(None);
        };
        let database = format!("rollcall_proof_{}", name.replace('-', "_"));
        Ok(Some(Self {
            folder: empty(context.data.join(format!("{name}-postgres")))?,
            url: data::postgres(superuser, &database).await?,
            kind: "PostgreSQL",
        }))
    }

    /// Whether it is SQLite.
    pub(crate) fn is_sqlite(&self) -> bool {
        self.url.starts_with("sqlite")
    }

    /// A connection beside the server's.
    pub(crate) async fn look(&self) -> Result<DatabaseConnection> {
        let mut options = ConnectOptions::new(&self.url);
        options.max_connections(1).sqlx_logging(false);
        Ok(sea_orm::Database::connect(options).await?)
    }

    /// What the server has logged so far.
    pub(crate) fn log(&self) -> Result<String> {
        let bytes = std::fs::read(self.folder.join("server.log"))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Inspects the place and removes it. Answers in how many bytes it looked for secrets.
    pub(crate) async fn leave(self, seeded: &[uuid::Uuid]) -> Result<u64> {
        let searched = self.inspect(seeded).await?;
        std::fs::remove_dir_all(&self.folder)?;
        Ok(searched)
    }

    /// Looks for what no proof may leave behind: gaps in the audit trail, panics, secrets at rest.
    pub(crate) async fn inspect(&self, seeded: &[uuid::Uuid]) -> Result<u64> {
        let look = self.look().await?;
        ledger::check(&look, &self.folder, seeded).await?;
        look.close().await?;
        let log = self.log()?;
        for words in ["panicked", "was cut or altered"] {
            let line = log.lines().find(|line| line.contains(words));
            ensure!(line.is_none(), "the log says: {}", line.unwrap_or_default());
        }
        drop(log);
        canary::scan(self).await
    }
}

fn empty(folder: PathBuf) -> Result<PathBuf> {
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}
