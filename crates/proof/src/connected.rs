//! Row 39 and the agents of F16: many connected clients. Half of their sessions end at once; then the server is killed, and
//! the others come back together.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use futures_util::StreamExt as _;
use futures_util::stream;
use http::{Method, StatusCode};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::client::Client;
use crate::people::{self, Person, Seeded};
use crate::place::Place;
use crate::server::{How, Server};
use crate::{Context, ledger};

/// How many are on their way at once while they register and come back.
const AT_ONCE: usize = 64;

/// A client that has registered.
struct Connected {
    id: String,
    token: String,
}

/// A stream of commands that is read until it closes.
struct Listening {
    ended: JoinHandle<Result<Instant>>,
}

/// Ends half of many connected clients, then kills the server under the other half.
pub(crate) async fn clients(context: &Context) -> Result<Vec<String>> {
    let count = context.count(200, 10_000) as usize;
    let mut lines = Vec::new();
    for place in Place::both(context, "clients").await? {
        let mut people = people::store(&place, 2).await?;
        let root = people.pop().context("there is one")?;
        let owners: Vec<&Person> = people.iter().chain([&root]).collect();
        let own = people::sessions(&place, &owners, 0, Duration::from_secs(1)).await?;
        let mut how = How::with(&[]);
        how.log_level = Some("info");
        let server = Server::start(context, &place, &how).await?;
        let address = server.address;
        let half = count / 2;
        let goes = register(address, &own[0], half).await?;
        let stays = register(address, &own[1], count - half).await?;
        let before = server.memory()?;
        let (going, staying) = (
            listen_all(address, &goes).await?,
            listen_all(address, &stays).await?,
        );
        let each = (server.memory()? - before) * 1_024.0 / count as f64;

        let mut client = Client::open(address).await?;
        let path = format!("/api/v1/users/{}/sessions", people[0].id);
        let begun = Instant::now();
        let token = &own[2].tokens[0];
        let told = client.ask(Method::DELETE, &path, Some(token), None).await?;
        ensure!(
            told.status.is_success(),
            "an end was answered {}",
            told.status
        );
        let answered = begun.elapsed();
        let mut took = Vec::new();
        for one in going {
            let at = one.ended.await??;
            took.push(at.saturating_duration_since(begun).as_secs_f64() * 1_000.0);
        }
        took.sort_by(f64::total_cmp);
        let touched = staying.iter().filter(|one| one.ended.is_finished()).count();
        ensure!(touched == 0, "{touched} streams of others closed");
        running(&place, stays.len()).await?;

        server.kill().await?;
        for one in staying {
            one.ended.abort();
        }
        let server = Server::start(context, &place, &how).await?;
        let address = server.address;
        let begun = Instant::now();
        let back = listen_all(address, &stays).await?;
        let returned = begun.elapsed();
        ensure!(
            back.iter().all(|one| !one.ended.is_finished()),
            "a stream closed"
        );
        beat(address, &goes, StatusCode::UNAUTHORIZED).await?;
        beat(address, &stays, StatusCode::OK).await?;
        running(&place, stays.len()).await?;
        for one in back {
            one.ended.abort();
        }
        server.stop().await?;
        let kind = place.kind;
        place.leave(&people::ids(&own)).await?;
        lines.push(format!(
            "{kind}: {count} clients, each with an execution and an open stream ({each:.0} KiB each); {half} sessions ended by one call, answered after \
             {:.0} ms: their streams said so and closed after {:.0} ms in the median, {:.0} ms at the 99th percentile, {:.0} ms at most, their executions \
             terminated, the others untouched; killed and started again, {} came back within {:.1} s, each with its one execution",
            answered.as_secs_f64() * 1_000.0,
            took[took.len() / 2],
            took[took.len() * 99 / 100],
            took[took.len() - 1],
            stays.len(),
            returned.as_secs_f64(),
        ));
    }
    Ok(lines)
}

async fn register(address: SocketAddr, by: &Seeded, count: usize) -> Result<Vec<Connected>> {
    let by = by.tokens[0].clone();
    let made = stream::iter(0..count).map(|number| {
        let by = by.clone();
        async move {
            let mut client = Client::open(address).await?;
            let body = json!({ "name": format!("runner {number}"), "host": "proof" });
            let path = "/api/v1/clients";
            let told = client
                .ask(Method::POST, path, Some(&by), Some(body))
                .await?;
            ensure!(
                told.status == StatusCode::CREATED,
                "a client was answered {}",
                told.status
            );
            let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
            let (id, token) = (text(&told.body["client"]["id"]), text(&told.body["token"]));
            let body = json!({ "artefact_id": format!("TS-{number}") });
            let path = "/api/v1/executions";
            let told = client
                .ask(Method::POST, path, Some(&token), Some(body))
                .await?;
            ensure!(
                told.status == StatusCode::CREATED,
                "an execution was answered {}",
                told.status
            );
            Ok(Connected { id, token })
        }
    });
    let made: Vec<Result<Connected>> = made.buffer_unordered(AT_ONCE).collect().await;
    made.into_iter().collect()
}

async fn listen_all(address: SocketAddr, clients: &[Connected]) -> Result<Vec<Listening>> {
    let opened = stream::iter(clients).map(|client| listen(address, client));
    let opened: Vec<Result<Listening>> = opened.buffered(AT_ONCE).collect().await;
    opened.into_iter().collect()
}

// Over a bare socket: what a client costs us is not what it costs the server.
async fn listen(address: SocketAddr, client: &Connected) -> Result<Listening> {
    let mut socket = TcpStream::connect(address).await?;
    let request = format!(
        "GET /api/v1/clients/{}/commands HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\n\r\n",
        client.id, client.token
    );
    socket.write_all(request.as_bytes()).await?;
    let (opened, is_open) = oneshot::channel();
    let ended = tokio::spawn(async move {
        let mut opened = Some(opened);
        let (mut part, mut seen) = ([0; 2_048], String::new());
        let mut said = None;
        loop {
            let length = socket.read(&mut part).await?;
            if length == 0 {
                return said.context("the stream closed without a word");
            }
            seen.push_str(&String::from_utf8_lossy(&part[..length]));
            if seen.contains("\r\n\r\n")
                && let Some(opened) = opened.take()
            {
                let _ = opened.send(seen.starts_with("HTTP/1.1 200"));
                seen = seen.split_off(seen.find("\r\n\r\n").unwrap_or_default());
            }
            if seen.contains("event: disconnect") {
                said.get_or_insert_with(Instant::now);
            }
            // The last chunk of the answer: the connection itself is kept.
            if said.is_some() && seen.contains("\r\n0\r\n") {
                return Ok(Instant::now());
            }
            if seen.len() > 8_192 {
                seen.clear();
            }
        }
    });
    match is_open.await {
        Ok(true) => Ok(Listening { ended }),
        _ => bail!("a stream was refused"),
    }
}

async fn beat(address: SocketAddr, clients: &[Connected], expected: StatusCode) -> Result<()> {
    let asked = stream::iter(clients).map(|one| async move {
        let mut client = Client::open(address).await?;
        let path = format!("/api/v1/clients/{}/heartbeat", one.id);
        let told = client
            .ask(Method::POST, &path, Some(&one.token), Some(json!({})))
            .await?;
        ensure!(
            told.status == expected,
            "a heartbeat was answered {}",
            told.status
        );
        Ok(())
    });
    let asked: Vec<Result<()>> = asked.buffered(AT_ONCE).collect().await;
    asked.into_iter().collect()
}

async fn running(place: &Place, expected: usize) -> Result<()> {
    let look = place.look().await?;
    let sql = "SELECT count(*) FROM execution WHERE ended_at IS NULL";
    let found = ledger::number(&look, sql, []).await?;
    look.close().await?;
    ensure!(
        found == expected as i64,
        "{found} of {expected} executions run"
    );
    Ok(())
}
