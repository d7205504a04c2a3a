//! Programs under measurement, as processes of their own.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// A program that says on its output when it is ready.
pub struct Running {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    /// How long it took until it was ready.
    pub ready_after: Duration,
}

impl Running {
    /// Starts `command`, which listens on `address`, and waits for a line with "ready" in it.
    pub async fn start(mut command: Command, address: SocketAddr) -> Result<Self> {
        let begun = Instant::now();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {:?}", command.as_std().get_program()))?;
        let output = child.stdout.take().context("it has an output")?;
        let mut lines = BufReader::new(output).lines();
        while let Some(line) = lines.next_line().await? {
            if line.contains("ready") {
                let ready_after = begun.elapsed();
                // Read on, so that it never writes into a full pipe.
                tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
                return Ok(Self {
                    child,
                    address,
                    ready_after,
                });
            }
        }
        bail!("{:?} ended before it was ready", command.as_std())
    }

    /// Starts the server itself.
    pub async fn rollcall(
        program: &Path,
        data: &Path,
        database: Option<&str>,
        more: &[&str],
    ) -> Result<Self> {
        let address = free_address()?;
        let mut command = Command::new(program);
        command
            .args(["serve", "--log-level", "warn", "--listen"])
            .arg(address.to_string())
            .arg("--data-dir")
            .arg(data)
            .args(more);
        if let Some(url) = database {
            command.args(["--database", url]);
        }
        Self::start(command, address).await
    }

    /// Resident memory, in MiB.
    pub fn memory(&self) -> Result<f64> {
        let id = self.child.id().context("it runs")?;
        let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
        Ok(kib.context("no VmRSS in /proc")? / 1_024.0)
    }

    /// Stops it as an operator would.
    pub async fn stop(mut self) -> Result<()> {
        let id = self.child.id().context("it runs")?;
        Command::new("kill").arg(id.to_string()).status().await?;
        self.child.wait().await?;
        Ok(())
    }
}

/// An address that nobody listens on right now.
pub fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
