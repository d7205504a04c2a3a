//! What lies between the server and PostgreSQL: a relay that can be cut, fall silent, be slow, or lose what
//! PostgreSQL answers to a COMMIT.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::place::Place;

/// How the way to the database is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    /// As it should be.
    Open,
    /// Connections are reset, and new ones with them.
    Cut,
    /// What is sent arrives nowhere, and nobody is told.
    Silent,
    /// What the server sends is on its way for so long.
    Slow(Duration),
    /// Of so many transactions that commit, the answer to one is lost and its connection with it.
    LosesCommits(u64),
}

/// The relay. It ends with this value.
pub(crate) struct Between {
    way: watch::Sender<Way>,
    /// The database's URL by this way.
    pub(crate) url: String,
    commits: Arc<AtomicU64>,
    lost: Arc<AtomicU64>,
}

impl Between {
    /// Puts it in front of a place's database.
    pub(crate) async fn start(place: &Place) -> Result<Self> {
        let (before, rest) = place.url.rsplit_once('@').context("a URL with a user")?;
        let (far, database) = rest.split_once('/').context("a URL with a database")?;
        let far: SocketAddr = far.parse().context("an address of this machine")?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("{before}@{}/{database}", listener.local_addr()?);
        let (way, seen) = watch::channel(Way::Open);
        let between = Self {
            way,
            url,
            commits: Arc::default(),
            lost: Arc::default(),
        };
        let (commits, lost) = (between.commits.clone(), between.lost.clone());
        tokio::spawn(async move {
            let mut closed = seen.clone();
            loop {
                let near = tokio::select! {
                    near = listener.accept() => near,
                    // The value is gone, and this with it.
                    _ = closed.wait_for(|_| false) => return,
                };
                let Ok((near, _)) = near else { return };
                let relay = Relay {
                    way: seen.clone(),
                    commits: commits.clone(),
                    lost: lost.clone(),
                };
                tokio::spawn(async move {
                    let Ok(far) = TcpStream::connect(far).await else {
                        return;
                    };
                    // What the relay is cut by is not told to anybody.
                    let _ = relay.carry(near, far).await;
                });
            }
        });
        Ok(between)
    }

    /// Makes the way so from now on.
    pub(crate) fn be(&self, way: Way) {
        self.way.send_replace(way);
    }

    /// How many answers to a COMMIT were lost.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

struct Relay {
    way: watch::Receiver<Way>,
    commits: Arc<AtomicU64>,
    lost: Arc<AtomicU64>,
}

impl Relay {
    async fn carry(mut self, mut near: TcpStream, mut far: TcpStream) -> std::io::Result<()> {
        // Neither side waits for more to send.
        near.set_nodelay(true)?;
        far.set_nodelay(true)?;
        let (mut out, mut back) = (vec![0; 65_536], vec![0; 65_536]);
        loop {
            let way = *self.way.borrow_and_update();
            if way == Way::Cut {
                near.set_zero_linger()?;
                return Ok(());
            }
            tokio::select! {
                changed = self.way.changed() => if changed.is_err() { return Ok(()) },
                read = near.read(&mut out), if way != Way::Silent => {
                    let sent = &out[..read?];
                    if sent.is_empty() {
                        return Ok(());
                    }
                    if let Way::Slow(time) = way {
                        tokio::time::sleep(time).await;
                    }
                    far.write_all(sent).await?;
                    if self.loses(way, sent) {
                        // PostgreSQL has done it once it answers.
                        let _ = far.read(&mut back).await?;
                        self.lost.fetch_add(1, Ordering::Relaxed);
                        near.set_zero_linger()?;
                        return Ok(());
                    }
                }
                read = far.read(&mut back), if way != Way::Silent => {
                    let told = &back[..read?];
                    if told.is_empty() {
                        return Ok(());
                    }
                    near.write_all(told).await?;
                }
            }
        }
    }

    // A simple query of one word, as drivers end a transaction.
    fn loses(&self, way: Way, sent: &[u8]) -> bool {
        let Way::LosesCommits(one_of) = way else {
            return false;
        };
        let commits = sent.windows(7).any(|bytes| bytes == b"COMMIT\0");
        commits && self.commits.fetch_add(1, Ordering::Relaxed) % one_of == one_of - 1
    }
}
