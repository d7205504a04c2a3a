//! F3: PostgreSQL dies and comes back.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use futures_util::future::join_all;
use http::{Method, StatusCode};
use tokio::process::Command;
use tokio::sync::Semaphore;

use crate::client::Client;
use crate::kill::{Crowd, how};
use crate::people::random;
use crate::place::Place;
use crate::server::Server;
use crate::storage::{RECOVERY, compare_after_kill};
use crate::{Context, ledger};

/// F3: PostgreSQL is stopped as `pg_ctl stop -m immediate` does, and comes back.
pub(crate) async fn postgres_gone(context: &Context) -> Result<Vec<String>> {
    let times = context.count(1, 20);
    let Some(place) = Place::postgres(context, "gone").await? else {
        return Ok(Vec::new());
    };
    let mut crowd = Crowd::gather(place, 8, 12).await?;
    for worker in &mut crowd.workers {
        worker.writes_may_be_refused = true;
    }
    let (mut longest, mut refused) = (Duration::ZERO, 0);
    for _ in 0..times {
        let mut server = Server::start(context, &crowd.place, &how()).await?;
        let address = server.address;
        let postmaster = Postmaster::find(&crowd.place).await?;
        let answered = Semaphore::new(0);
        let before = crowd.tally();
        let (done, until) = tokio::sync::watch::channel(false);
        let working = join_all(
            crowd
                .workers
                .iter_mut()
                .map(|worker| worker.work_until(address, &answered, until.clone())),
        );
        let breaking = async {
            let patience = Duration::from_secs(5);
            let _ =
                tokio::time::timeout(patience, answered.acquire_many(u32::try_from(random(100))?))
                    .await;
            postmaster.stop_at_once().await?;
            // Long enough that every worker has met the outage.
            tokio::time::sleep(Duration::from_secs(2)).await;
            postmaster.start_again(&crowd.place).await?;
            let begun = Instant::now();
            let mut client = Client::open(address).await?;
            while client.ask(Method::GET, "/readyz", None, None).await?.status != StatusCode::OK {
                ensure!(begun.elapsed() < RECOVERY, "it does not recover");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            let took = begun.elapsed();
            tokio::time::sleep(Duration::from_millis(500)).await;
            let _ = done.send(true);
            anyhow::Ok(took)
        };
        let (worked, took) = tokio::join!(working, breaking);
        longest = longest.max(took?);
        worked.into_iter().collect::<Result<()>>()?;
        refused += crowd.tally().refused - before.refused;
        ensure!(
            server.id().is_ok(),
            "the server ended: {:?}",
            server.ended().await
        );
        compare_after_kill(context, &mut crowd, server).await?;
    }
    let tally = crowd.tally();
    crowd.place.leave(&crowd.seeded).await?;
    Ok(vec![format!(
        "{times} times PostgreSQL was stopped at once and started again under load: {refused} requests answered 503, {} changes \
         acknowledged, 0 lost, 0 x 500; ready again {:.1} s after PostgreSQL at most, without a restart",
        tally.acknowledged,
        longest.as_secs_f64()
    )])
}

/// PostgreSQL's first process, and how it was started.
pub(crate) struct Postmaster {
    id: u32,
    words: Vec<String>,
    user: u32,
    group: u32,
}

impl Postmaster {
    pub(crate) async fn find(place: &Place) -> Result<Self> {
        let look = place.look().await?;
        let found = ledger::rows(
            &look,
            "SELECT setting FROM pg_settings WHERE name = 'data_directory'",
            [],
        )
        .await?;
        let folder: String = found
            .first()
            .context("it has a folder")?
            .try_get_by_index(0)?;
        look.close().await?;
        let file = std::fs::read_to_string(Path::new(&folder).join("postmaster.pid"))?;
        let id = file
            .lines()
            .next()
            .context("a process id")?
            .trim()
            .parse()?;
        let line = std::fs::read(format!("/proc/{id}/cmdline"))?;
        let words = String::from_utf8(line)?
            .split_terminator('\0')
            .map(str::to_owned)
            .collect();
        use std::os::unix::fs::MetadataExt;
        let owner = std::fs::metadata(format!("/proc/{id}"))?;
        Ok(Self {
            id,
            words,
            user: owner.uid(),
            group: owner.gid(),
        })
    }

    /// The ids of it and of every process that it has started.
    pub(crate) fn with_children(&self) -> Result<Vec<String>> {
        let children = format!("/proc/{0}/task/{0}/children", self.id);
        let children = std::fs::read_to_string(children)?;
        let own = std::iter::once(self.id.to_string());
        Ok(own
            .chain(children.split_whitespace().map(str::to_owned))
            .collect())
    }

    /// SIGQUIT is the immediate shutdown.
    async fn stop_at_once(&self) -> Result<()> {
        Command::new("kill")
            .args(["-s", "QUIT", &self.id.to_string()])
            .status()
            .await?;
        while std::fs::read_to_string(format!("/proc/{}/stat", self.id))
            .is_ok_and(|stat| !stat.contains(") Z "))
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    /// Starts it as it was; it ends with this program at the latest.
    async fn start_again(&self, place: &Place) -> Result<()> {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "QUIT"]);
        if self.user != 0
            && std::fs::metadata("/proc/self")
                .is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
        {
            command.args([
                format!("--reuid={}", self.user),
                format!("--regid={}", self.group),
                "--clear-groups".to_owned(),
            ]);
        }
        let log = std::fs::File::create(place.folder.join("postgres.log"))?;
        command
            .args(&self.words)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        drop(command.spawn().context("setpriv is needed")?);
        let begun = Instant::now();
        while place.look().await.is_err() {
            ensure!(
                begun.elapsed() < RECOVERY,
                "PostgreSQL does not start again"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
}
