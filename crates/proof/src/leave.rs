//! F22 to F24: clients that hang up, an operator who stops the server, a first start that is cut short.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures_util::future::join_all;
use http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::client::Client;
use crate::kill::{CALLS_POSTGRES, CALLS_SQLITE, Crowd, how, nothing_left};
use crate::people::{self, Person, new_password, random};
use crate::place::Place;
use crate::server::{How, Server};
use crate::{Context, canary, ledger};

/// Users whose requests are cut.
const USERS: usize = 64;

/// F22: connections are cut at random moments; answers that arrive are the asker's own.
pub(crate) async fn hang_up(context: &Context) -> Result<Vec<String>> {
    let times = context.count(2_000, 200_000) as usize;
    let mut lines = Vec::new();
    for place in Place::both(context, "hang-up").await? {
        let mut people = people::store(&place, USERS).await?;
        people.pop();
        let owners: Vec<&Person> = people.iter().collect();
        let sessions = people::sessions(&place, &owners, 0, Duration::from_secs(1)).await?;
        let mut how = How::with(&["--failure-limit", "1000000"]);
        how.log_level = Some("info");
        let server = Server::start(context, &place, &how).await?;
        let address = server.address;
        let users: Vec<(String, String)> = people
            .iter()
            .zip(&sessions)
            .map(|(person, session)| (person.email.clone(), session.tokens[0].clone()))
            .collect();
        let tasks: Vec<_> = (0..32)
            .map(|_| {
                let (users, password) = (users.clone(), people[0].password.clone());
                tokio::spawn(async move {
                    let mut read = 0;
                    for _ in 0..times / 32 {
                        read += cut(address, &users, &password).await?;
                    }
                    anyhow::Ok(read)
                })
            })
            .collect();
        let mut read = 0;
        for task in tasks {
            read += task.await??;
        }
        if !place.is_sqlite() {
            nothing_left(&place, false).await?;
        }
        // At full strength: everybody at once, and a change each.
        let all = join_all(users.iter().map(|(email, token)| async move {
            let mut client = Client::open(address).await?;
            let told = client.me(token).await?;
            ensure!(
                told.status == StatusCode::OK && told.body["user"]["email"] == **email,
                "{email} was answered {told:?}"
            );
            let told = client
                .ask(http::Method::POST, "/api/v1/sign-out", Some(token), None)
                .await?;
            ensure!(
                told.status == StatusCode::NO_CONTENT,
                "a sign-out was answered {}",
                told.status
            );
            anyhow::Ok(())
        }));
        all.await.into_iter().collect::<Result<()>>()?;
        server.stop().await?;
        let log = place.log()?;
        let shed = log.matches("http.status=503").count();
        let faults = log.matches("http.status=5").count() - shed;
        ensure!(faults == 0, "{faults} answers were 5xx and not 503");
        let kind = place.kind;
        place.leave(&people::ids(&sessions)).await?;
        lines.push(format!(
            "{kind}: {times} connections of {USERS} users cut at random moments: {read} answers arrived whole, 0 of another user, \
             0 x 500 ({shed} x 503, told to wait), audit one to one; everybody served at once afterwards"
        ));
    }
    Ok(lines)
}

/// Sends up to four requests of different users over one connection and hangs up some time later. Answers
/// how many answers came back whole; each must be its asker's.
async fn cut(address: SocketAddr, users: &[(String, String)], password: &str) -> Result<usize> {
    let (mut words, mut asked) = (String::new(), Vec::new());
    for _ in 0..=random(3) {
        let (email, token) = &users[random(USERS as u64) as usize];
        asked.push(email);
        let bearer = format!("Host: {address}\r\nAuthorization: Bearer {token}\r\n");
        words += &match random(100) {
            // Signs in with a token already there: a session that nobody will hear of.
            0 => {
                let body = serde_json::json!({"email": email, "password": password, "token": true})
                    .to_string();
                format!(
                    "POST /api/v1/sign-in HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                )
            }
            1..20 => format!("GET /api/v1/me/sessions HTTP/1.1\r\n{bearer}\r\n"),
            20..26 => format!(
                "DELETE /api/v1/me/sessions?except=current HTTP/1.1\r\n{bearer}Content-Length: 0\r\n\r\n"
            ),
            _ => format!("GET /api/v1/me HTTP/1.1\r\n{bearer}\r\n"),
        };
    }
    let mut stream = TcpStream::connect(address).await?;
    let sent = words.len()
        - if random(4) == 0 {
            random(words.len() as u64) as usize
        } else {
            0
        };
    stream.write_all(&words.as_bytes()[..sent]).await?;
    let mut heard = Vec::new();
    let patience = Duration::from_micros(random(20_000));
    let listen = async {
        let mut part = [0; 16_384];
        while let Ok(length @ 1..) = stream.read(&mut part).await {
            heard.extend_from_slice(&part[..length]);
        }
    };
    let _ = tokio::time::timeout(patience, listen).await;
    let mut whole = 0;
    for (body, email) in bodies(&heard).into_iter().zip(asked) {
        for secret in body.split('"').filter(|word| word.starts_with("rc_s_")) {
            canary::note(secret);
        }
        let others = users
            .iter()
            .find(|(other, _)| other != email && body.contains(&format!("\"{other}\"")));
        ensure!(
            others.is_none(),
            "{email} was answered with what is another's: {body}"
        );
        whole += 1;
    }
    Ok(whole)
}

/// The bodies of the answers that arrived whole, in their order.
fn bodies(mut heard: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    while let Some(end) = heard.windows(4).position(|end| end == b"\r\n\r\n") {
        let head = String::from_utf8_lossy(&heard[..end]).to_lowercase();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok())
            .unwrap_or(0);
        let Some(body) = heard.get(end + 4..end + 4 + length) else {
            break;
        };
        found.push(String::from_utf8_lossy(body).into_owned());
        heard = &heard[end + 4 + length..];
    }
    found
}

/// F23: SIGTERM under load.
pub(crate) async fn stop_under_load(context: &Context) -> Result<Vec<String>> {
    let times = context.count(1, 50);
    let mut lines = Vec::new();
    for place in Place::both(context, "stop").await? {
        let mut crowd = Crowd::gather(place, 4, 12).await?;
        let (mut begun, mut slowest) = (0, Duration::ZERO);
        for _ in 0..times {
            let mut server = Server::start(context, &crowd.place, &how()).await?;
            let address = server.address;
            let person = crowd.readers.clone();
            let answered = Semaphore::new(0);
            let working = join_all(
                crowd
                    .workers
                    .iter_mut()
                    .map(|worker| worker.work(address, &answered)),
            );
            let stopping = async {
                // The server has begun each of these for certain: it has asked for the rest.
                let mut half = Vec::new();
                for _ in 0..8 {
                    half.push(begin(address, &person).await?);
                }
                server.signal("TERM").await?;
                let at = std::time::Instant::now();
                let answers =
                    join_all(half.into_iter().map(|(stream, body)| finish(stream, body))).await;
                let status = server.ended().await?;
                ensure!(status.success(), "it stopped with {status}");
                slowest = slowest.max(at.elapsed());
                answers.into_iter().collect::<Result<Vec<_>>>()
            };
            let (_, tokens) = tokio::join!(working, stopping);
            let tokens = tokens?;
            begun += tokens.len();
            crowd.come_back(context).await?;
            let server = Server::start(context, &crowd.place, &how()).await?;
            let mut client = Client::open(server.address).await?;
            for token in tokens {
                ensure!(
                    client.me(&token).await?.status == StatusCode::OK,
                    "somebody was signed out"
                );
            }
            server.stop().await?;
        }
        let tally = crowd.tally();
        let kind = crowd.place.kind;
        crowd.place.leave(&crowd.seeded).await?;
        lines.push(format!(
            "{kind}: {times} times SIGTERM under load: {begun} requests half sent at that moment, all answered; {} changes \
             acknowledged, 0 lost, nobody signed out after the restart; stopped within {:.1} s",
            tally.acknowledged,
            slowest.as_secs_f64()
        ));
    }
    Ok(lines)
}

/// Sends the head of a sign-in and waits until the server asks for the body.
async fn begin(address: SocketAddr, person: &Person) -> Result<(TcpStream, String)> {
    let body =
        serde_json::json!({"email": person.email, "password": person.password, "token": true})
            .to_string();
    let mut stream = TcpStream::connect(address).await?;
    let head = format!(
        "POST /api/v1/sign-in HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Expect: 100-continue\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    let mut heard = [0; 25];
    stream.read_exact(&mut heard).await?;
    ensure!(
        heard.starts_with(b"HTTP/1.1 100"),
        "it did not ask for the body"
    );
    Ok((stream, body))
}

/// Sends the body and answers the token of the new session.
async fn finish(mut stream: TcpStream, body: String) -> Result<String> {
    stream.write_all(body.as_bytes()).await?;
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).await?;
    let text = String::from_utf8_lossy(&heard);
    ensure!(
        text.starts_with("HTTP/1.1 200"),
        "a request that was begun was answered {text:?}"
    );
    let token = text
        .split('"')
        .find(|word| word.starts_with("rc_s_"))
        .context("no token")?;
    canary::note(token);
    Ok(token.to_owned())
}

/// F24: the first start is killed at its first, second, third … writing system call.
pub(crate) async fn first_start(context: &Context) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for kind in 0..2 {
        let (mut kills, mut number, mut name) = (0, 1, "");
        let most = context.count(3, 2_000);
        let stride = if context.short { 37 } else { 1 };
        let mut through = false;
        while kills < most && !through {
            let Some(place) = Place::both(context, "first-start")
                .await?
                .into_iter()
                .nth(kind)
            else {
                break;
            };
            name = place.kind;
            let calls = if place.is_sqlite() {
                CALLS_SQLITE
            } else {
                CALLS_POSTGRES
            };
            let password = new_password();
            let settings = [
                "--admin-email",
                "first@proof.example",
                "--admin-password",
                &password,
            ];
            let started = Server::try_start(
                context,
                &place,
                &How::with(&settings).killed_at(calls, number),
            )
            .await?;
            through = started.is_some();
            kills += u32::from(!through);
            if let Some(server) = started {
                server.kill().await?;
            }
            let server = Server::start(context, &place, &How::with(&settings))
                .await
                .with_context(|| format!("{name}, after a kill at call {number}"))?;
            let mut client = Client::open(server.address).await?;
            let told = client.sign_in("first@proof.example", &password).await?;
            ensure!(
                told.status == StatusCode::OK,
                "{name}, call {number}: the administrator was answered {}",
                told.status
            );
            let look = place.look().await?;
            let users = ledger::number(&look, "SELECT count(*) FROM \"user\"", []).await?;
            ensure!(users == 1, "{users} administrators after call {number}");
            look.close().await?;
            server.stop().await?;
            place.leave(&[]).await?;
            number += stride;
        }
        if name.is_empty() {
            continue;
        }
        let end = if through {
            "until one lived through it"
        } else {
            "and no further"
        };
        lines.push(format!(
            "{name}: the first start was killed at {kills} of its writing calls (every {stride}., {end}); each time the next start \
             completed it, with one administrator who can sign in and a whole audit trail"
        ));
    }
    Ok(lines)
}
