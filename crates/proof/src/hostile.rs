//! F18 and F19: what no client sends, and much too much of it.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::Client;
use crate::people::{self, random};
use crate::place::Place;
use crate::server::{How, Server};
use crate::{Context, ledger};

/// Connections at a time.
const CONNECTIONS: usize = 32;

/// Changed requests of every kind, then heads and bodies that are too large.
pub(crate) async fn requests(context: &Context) -> Result<Vec<String>> {
    let times = context.count(10_000, 1_000_000) as usize;
    let mut lines = Vec::new();
    for place in Place::both(context, "hostile").await? {
        let mut people = people::store(&place, 1).await?;
        people.pop();
        let used = Duration::from_secs(1);
        let sessions = people::sessions(&place, &[&people[0]], 0, used).await?;
        let mut how = How::with(&["--failure-limit", "1000000", "--trusted-proxy", "127.0.0.1"]);
        how.log_level = Some("info");
        let server = Server::start(context, &place, &how).await?;
        let token = sessions[0].tokens[0].clone();
        let changed = storm(server.address, &token, times).await?;

        let before = server.memory()?;
        let refused = oversized(server.address, &token, times / 500).await?;
        let grown = server.memory()? - before;

        let mut client = Client::open(server.address).await?;
        let told = client.me(&token).await?;
        ensure!(
            told.status.is_success(),
            "afterwards a live token was answered {}",
            told.status
        );
        let look = place.look().await?;
        let sql = "SELECT (SELECT count(*) FROM session) + (SELECT count(*) FROM \"user\")";
        let rows = ledger::number(&look, sql, []).await?;
        look.close().await?;
        ensure!(rows == 3, "{} rows were made", rows - 3);
        server.stop().await?;
        let faults = place.log()?.matches("http.status=5").count();
        ensure!(faults == 0, "{faults} answers were 5xx");
        let kind = place.kind;
        place.leave(&people::ids(&sessions)).await?;
        lines.push(format!(
            "{kind}: {} requests with random changes of cookie, token, query, user agent, forwarded address, method, path or head: \
             {} answered in words, {} refused by closing, 0 x 5xx, 0 rows made; {refused} oversized heads and bodies refused, \
             memory +{grown:.0} MiB",
            changed.answered + changed.closed, changed.answered, changed.closed
        ));
    }
    Ok(lines)
}

#[derive(Default)]
struct Outcome {
    answered: usize,
    closed: usize,
}

async fn storm(address: SocketAddr, token: &str, times: usize) -> Result<Outcome> {
    let tasks: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let token = token.to_owned();
            tokio::spawn(async move {
                let mut outcome = Outcome::default();
                for _ in 0..times.div_ceil(CONNECTIONS) {
                    let (request, whole) = changed(address, &token);
                    match exchange(address, &request, whole).await? {
                        true => outcome.answered += 1,
                        false => outcome.closed += 1,
                    }
                }
                anyhow::Ok(outcome)
            })
        })
        .collect();
    let mut all = Outcome::default();
    for task in tasks {
        let outcome = task.await??;
        all.answered += outcome.answered;
        all.closed += outcome.closed;
    }
    Ok(all)
}

/// A sound request of which one part, or now and then the whole head, was changed, and whether it still has an
/// end.
fn changed(address: SocketAddr, token: &str) -> (Vec<u8>, bool) {
    let cookie = format!("a=b; __Host-rollcall={token}; rollcall-zone=Europe/Berlin");
    let bearer = format!("Bearer {token}");
    let mut parts: [Vec<u8>; 7] = [
        cookie.into_bytes(),
        bearer.into_bytes(),
        b"q=gmail%20com&sort=-created_at&page=2&page_size=20&state=active&kind=api".to_vec(),
        b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36".to_vec(),
        b"203.0.113.9, 2001:db8::1, 10.0.0.1".to_vec(),
        b"GET".to_vec(),
        b"/api/v1/me/sessions".to_vec(),
    ];
    let which = usize::try_from(random(8)).unwrap_or_default();
    if let Some(part) = parts.get_mut(which) {
        change(part);
        // The rest of the request stays a request.
        part.retain(|byte| !matches!(byte, b'\r' | b'\n'));
    }
    let [cookie, bearer, query, agent, forwarded, method, path] = parts;
    let host = address.to_string();
    // With both a cookie and a token the token decides; each is sent alone half of the time.
    let credential: [&[u8]; 2] = match random(2) {
        0 => [b"\r\nCookie: ", &cookie],
        _ => [b"\r\nAuthorization: ", &bearer],
    };
    let mut request = [
        &method,
        b" ".as_slice(),
        &path,
        b"?",
        &query,
        b" HTTP/1.1\r\nHost: ",
        host.as_bytes(),
        b"\r\nConnection: close\r\nUser-Agent: ",
        &agent,
        b"\r\nX-Forwarded-For: ",
        &forwarded,
        credential[0],
        credential[1],
        b"\r\n\r\n",
    ]
    .concat();
    if which == 7 {
        change(&mut request);
    }
    let whole = request.ends_with(b"\r\n\r\n");
    (request, whole && which != 7)
}

/// Inserts, drops, repeats and flips up to six bytes or stretches.
fn change(bytes: &mut Vec<u8>) {
    for _ in 0..=random(5) {
        let at = usize::try_from(random(bytes.len() as u64 + 1)).unwrap_or_default();
        let byte = u8::try_from(random(256)).unwrap_or_default();
        match random(6) {
            0 => bytes.insert(at, byte),
            1 if random(4) == 0 => bytes.truncate(at),
            2 if bytes.len() < 8_000 => bytes.extend_from_within(at..),
            3 => {
                // A letter beyond ASCII, whole.
                let letters = [
                    "\u{e9}",
                    "\u{202e}",
                    "\u{1f600}",
                    "\u{0}",
                    "%00",
                    "%ff",
                    "\u{feff}",
                ];
                let letter = letters[usize::try_from(random(7)).unwrap_or_default()];
                bytes.splice(at..at, letter.bytes());
            }
            4 if at < bytes.len() => drop(bytes.remove(at)),
            _ if at < bytes.len() => bytes[at] = byte,
            _ => {}
        }
    }
}

/// Sends the request and no more. True if an answer came, which may be no fault of the server's; false if
/// it only hung up. Of what may have no end the server is told that nothing follows.
async fn exchange(address: SocketAddr, request: &[u8], whole: bool) -> Result<bool> {
    let mut stream = TcpStream::connect(address).await?;
    // It may have heard enough before the end.
    let _ = stream.write_all(request).await;
    if !whole {
        let _ = stream.shutdown().await;
    }
    let mut heard = Vec::new();
    let listening = stream.read_to_end(&mut heard);
    let ended = tokio::time::timeout(Duration::from_secs(30), listening).await;
    ended
        .context("a connection was neither answered nor closed in 30 s")?
        .ok();
    let text = String::from_utf8_lossy(&heard);
    ensure!(
        !text.contains("HTTP/1.1 5"),
        "{:?} was answered {text}",
        String::from_utf8_lossy(request)
    );
    Ok(text.starts_with("HTTP/1.1 "))
}

/// Heads of up to a mebibyte and bodies of up to sixteen, which the server need not take in to refuse.
async fn oversized(address: SocketAddr, token: &str, times: usize) -> Result<usize> {
    for number in 0..times.max(8) {
        let (mut head, mut body) = (String::new(), Vec::new());
        match number % 4 {
            0 => head = format!("X-Long: {}\r\n", "x".repeat(1 << 20)),
            1 => head = (0..10_000).map(|at| format!("X-{at}: y\r\n")).collect(),
            2 => {
                body = vec![b'['; 16 << 20];
                head = format!("Content-Length: {}\r\n", body.len());
            }
            _ => {
                head.push_str("Transfer-Encoding: chunked\r\n");
                let chunk = [b"10000\r\n".as_slice(), &[b'x'; 65_536], b"\r\n"].concat();
                body = chunk.repeat(64);
            }
        }
        let request = [
            format!(
                "POST /api/v1/sign-in HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\
                 Content-Type: application/json\r\n{head}\r\n"
            )
            .as_bytes(),
            &body,
        ]
        .concat();
        exchange(address, &request, true).await?;
    }
    Ok(times.max(8))
}
