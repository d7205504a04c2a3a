//! F17 and F26: sockets that dawdle, and more of them than there are file descriptors.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::Context;
use crate::client::Client;
use crate::people;
use crate::place::Place;
use crate::server::{How, Server};

/// Honest users, each on a connection of its own.
pub(crate) const HONEST: usize = 8;

/// Who is not cut by then is not cut at all; the server's own limits are 10 and 20 seconds.
const NEVER: Duration = Duration::from_secs(60);

/// Many sockets that say a byte every five seconds.
pub(crate) async fn dawdling(context: &Context) -> Result<Vec<String>> {
    let wanted = context.count(1_000, 10_000) as usize;
    let place = Place::sqlite(context, "slow")?;
    let mut people = people::store(&place, 1).await?;
    people.pop();
    let person = people.pop().context("there is one")?;
    let owners: Vec<_> = (0..HONEST).map(|_| &person).collect();
    let sessions = people::sessions(&place, &owners, 0, Duration::from_secs(1)).await?;
    let server = Server::start(context, &place, &How::with(&[])).await?;
    let tokens: Vec<_> = sessions
        .iter()
        .map(|session| session.tokens[0].clone())
        .collect();
    let before = answer_times(server.address, &tokens, Duration::from_secs(5)).await?;
    let memory = server.memory()?;
    let begun = Instant::now();
    let room = Arc::new(Semaphore::new(64));
    let sockets: Vec<_> = (0..wanted)
        .map(|number| tokio::spawn(dawdle(server.address, number, room.clone())))
        .collect();
    let during = answer_times(server.address, &tokens, Duration::from_secs(12)).await?;
    let most = server.memory()? - memory;
    let (mut longest, mut opened) = ([0.0_f64; 3], 0);
    for (number, socket) in sockets.into_iter().enumerate() {
        // A socket that the operating system did not give is none that the server has to cut.
        if let Some(lived) = socket.await? {
            opened += 1;
            let kind = &mut longest[number % 3];
            *kind = kind.max(lived.as_secs_f64());
            ensure!(lived < NEVER, "a slow socket was not cut");
        }
    }
    ensure!(opened > 0, "no socket could be opened");
    let after = answer_times(server.address, &tokens, Duration::from_secs(2)).await?;
    server.stop().await?;
    let ids: Vec<_> = sessions.iter().map(|session| session.id).collect();
    place.leave(&ids).await?;
    Ok(vec![format!(
        "{opened} of {wanted} slow sockets, all cut by the server within {:.0} s: silent ones after {:.1} s at most, slow heads after \
         {:.1} s, slow bodies after {:.1} s; p99 of GET /api/v1/me {:.1} ms before, {:.1} ms meanwhile (x {:.1}), {:.1} ms \
         afterwards, every answer 200; memory +{most:.0} MiB",
        begun.elapsed().as_secs_f64(),
        longest[0],
        longest[1],
        longest[2],
        before,
        during,
        during / before,
        after
    )])
}

/// Says a byte every five seconds until it is cut; answers how long that took.
async fn dawdle(address: SocketAddr, number: usize, room: Arc<Semaphore>) -> Option<Duration> {
    let turn = room.acquire().await.ok()?;
    let mut stream = TcpStream::connect(address).await.ok()?;
    // No faster than the server accepts: what overflows its queue never reaches it.
    tokio::time::sleep(Duration::from_millis(20)).await;
    drop(turn);
    let begun = Instant::now();
    let words: &[u8] = match number % 3 {
        0 => b"",
        1 => b"GET /api/v1/me HTTP/1.1\r\nHost: proof\r\nX-Slow: aaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        _ => b"POST /api/v1/sign-in HTTP/1.1\r\nHost: proof\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{\"email\": \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    };
    // A body is slow once its head is there.
    let mut said = words
        .windows(4)
        .position(|end| end == b"\r\n\r\n")
        .map_or(0, |end| end + 4);
    if stream.write_all(&words[..said]).await.is_err() {
        return Some(begun.elapsed());
    }
    let mut heard = [0; 1_024];
    while begun.elapsed() < NEVER {
        match tokio::time::timeout(Duration::from_secs(5), stream.read(&mut heard)).await {
            Ok(Ok(0) | Err(_)) => return Some(begun.elapsed()),
            Ok(Ok(_)) => {}
            Err(_) => {
                if let Some(byte) = words.get(said..=said) {
                    said += 1;
                    if stream.write_all(byte).await.is_err() {
                        return Some(begun.elapsed());
                    }
                }
            }
        }
    }
    Some(begun.elapsed())
}

/// The 99th percentile of what honest users wait for an answer, in milliseconds.
pub(crate) async fn answer_times(
    address: SocketAddr,
    tokens: &[String],
    period: Duration,
) -> Result<f64> {
    let asking = tokens.iter().map(|token| async move {
        let mut client = Client::open(address).await?;
        let (begun, mut times) = (Instant::now(), Vec::new());
        while begun.elapsed() < period {
            let asked = Instant::now();
            let told = client.me(token).await?;
            ensure!(
                told.status.is_success(),
                "an honest user was answered {}",
                told.status
            );
            times.push(asked.elapsed().as_secs_f64() * 1_000.0);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(times)
    });
    let mut times = Vec::new();
    for one in join_all(asking).await {
        times.extend(one?);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() * 99 / 100])
}

/// More connections than the server has file descriptors for.
pub(crate) async fn without_descriptors(context: &Context) -> Result<Vec<String>> {
    let times = context.count(1, 10);
    let place = Place::sqlite(context, "descriptors")?;
    let mut people = people::store(&place, 1).await?;
    people.pop();
    let person = people.pop().context("there is one")?;
    let session = people::sessions(&place, &[&person], 0, Duration::from_secs(1)).await?;
    let token = &session[0].tokens[0];
    let how = How::with(&[]).within(&["sh", "-c", "ulimit -n 256; exec \"$0\" \"$@\""]);
    let server = Server::start(context, &place, &how).await?;
    let (mut recovered, mut spent) = (Duration::ZERO, 0.0_f64);
    for _ in 0..times {
        let mut early = Client::open(server.address).await?;
        ensure!(
            early.me(token).await?.status.is_success(),
            "it does not answer at first"
        );
        let address = server.address;
        let arriving =
            tokio::spawn(
                async move { join_all((0..1_000).map(|_| TcpStream::connect(address))).await },
            );
        let before = processor_time(&server)?;
        let begun = Instant::now();
        while !arriving.is_finished() || begun.elapsed() < Duration::from_secs(2) {
            ensure!(
                early.me(token).await?.status.is_success(),
                "it does not answer those who are connected"
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        spent = spent.max((processor_time(&server)? - before) / begun.elapsed().as_secs_f64());
        let crowd = arriving.await?;
        drop(crowd);
        let begun = Instant::now();
        // Waits in the queue until the server has room again.
        let mut late = Client::open(server.address).await?;
        ensure!(
            late.me(token).await?.status.is_success(),
            "it does not answer afterwards"
        );
        recovered = recovered.max(begun.elapsed());
    }
    ensure!(
        place.log()?.contains("a connection could not be accepted"),
        "it never ran out of descriptors"
    );
    server.stop().await?;
    place.leave(&[session[0].id]).await?;
    Ok(vec![format!(
        "{times} times 1,000 connections to a server with 256 file descriptors: those connected were answered meanwhile, {:.0} % \
         of a core spent, newcomers answered {:.1} s after the crowd left",
        spent * 100.0,
        recovered.as_secs_f64()
    )])
}

/// Seconds of processor time that the server has used, with a hundredth's precision.
fn processor_time(server: &Server) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", server.id()?))?;
    let fields: Vec<_> = stat
        .rsplit(") ")
        .next()
        .context("it has fields")?
        .split(' ')
        .collect();
    let ticks: f64 = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
    Ok(ticks / 100.0)
}
