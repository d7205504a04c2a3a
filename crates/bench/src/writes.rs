//! Sign-ins and rotations in a second, over HTTP, with 100,000 live sessions.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use http::Method;

use crate::client::Connection;
use crate::data::Live;
use crate::report::{Report, median};
use crate::server::Running;
use crate::{Args, data};

/// Connections that ask at once.
const CONNECTIONS: usize = 64;

pub(crate) async fn measure(args: &Args, report: &mut Report) -> Result<()> {
    for (name, url) in databases(args, "writes").await? {
        let folder = args.data.join("writes").join(name);
        let live = Arc::new(data::live(&url, args.live, 600).await?);
        let server = Running::rollcall(&args.server, &folder, Some(&url), &[]).await?;
        eprintln!("==> rotations and sign-ins, {name}");
        let per_run = (live.tokens.len() / args.runs).min(20_000);
        let (mut rotations, mut sign_ins) = (Vec::new(), Vec::new());
        for run in 0..args.runs {
            rotations.push(rotate(&server, &live, run * per_run, per_run).await?);
        }
        for _ in 0..args.runs {
            sign_ins.push(sign_in(&server, &live, Duration::from_secs(args.seconds)).await?);
        }
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        report.note(
            &format!("rotations, {} live sessions, {name}", args.live),
            format!("{:.0} a second", median(rotations)),
        );
        report.note(
            &format!("sign-ins, {} live sessions, {name}", args.live),
            format!(
                "{:.0} a second on {cores} cores (Argon2id, 19 MiB, t=2)",
                median(sign_ins)
            ),
        );
        server.stop().await?;
    }
    Ok(())
}

/// An empty database of each kind, with its name.
pub(crate) async fn databases(args: &Args, purpose: &str) -> Result<Vec<(&'static str, String)>> {
    let folder = args.data.join(purpose);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder)?;
    let mut list = vec![("SQLite", data::sqlite(&folder))];
    if let Some(superuser) = &args.postgres {
        let name = format!("rollcall_bench_{purpose}");
        list.push(("PostgreSQL", data::postgres(superuser, &name).await?));
    }
    Ok(list)
}

/// Uses each token once; each is due, so each answer carries a successor.
async fn rotate(server: &Running, live: &Arc<Live>, from: usize, count: usize) -> Result<f64> {
    let next = Arc::new(AtomicUsize::new(from));
    let begun = Instant::now();
    let workers: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let (live, next, address) = (live.clone(), next.clone(), server.address);
            tokio::spawn(async move {
                let mut connection = Connection::open(address).await?;
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at >= from + count {
                        return Ok(());
                    }
                    let answer = connection
                        .ask(Method::GET, "/api/v1/me", Some(&live.tokens[at]), None)
                        .await?;
                    if answer.status != 200 || !answer.headers.contains_key("session-token") {
                        bail!("no rotation: {} {:?}", answer.status, answer.headers);
                    }
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await??;
    }
    Ok(count as f64 / begun.elapsed().as_secs_f64())
}

/// Signs in as one user after another, as fast as answers come.
async fn sign_in(server: &Running, live: &Arc<Live>, time: Duration) -> Result<f64> {
    let done = Arc::new(AtomicUsize::new(0));
    let begun = Instant::now();
    let workers: Vec<_> = (0..8)
        .map(|_| {
            let (live, done, address) = (live.clone(), done.clone(), server.address);
            tokio::spawn(async move {
                let mut connection = Connection::open(address).await?;
                while begun.elapsed() < time {
                    let at = done.fetch_add(1, Ordering::Relaxed) % live.emails.len();
                    let body = serde_json::json!({
                        "email": live.emails[at], "password": live.password, "token": true,
                    });
                    let answer = connection
                        .ask(
                            Method::POST,
                            "/api/v1/sign-in",
                            None,
                            Some(body.to_string()),
                        )
                        .await?;
                    if answer.status != 200 {
                        bail!("no sign-in: {} {:?}", answer.status, answer.body);
                    }
                }
                Ok(())
            })
        })
        .collect();
    for worker in workers {
        worker.await??;
    }
    Ok(done.load(Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64())
}
