//! F20: thousands of requests at once with one token that is due for rotation.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use http::StatusCode;
use tokio::sync::Barrier;

use crate::client::{Client, Told};
use crate::people::{self, Person, Seeded};
use crate::place::Place;
use crate::server::{How, Server};
use crate::{Context, canary, ledger};

/// Kept-alive connections, which begin together.
const CONNECTIONS: usize = 500;
/// Requests of one burst.
const REQUESTS: usize = 10_000;

/// Bursts with one token each.
pub(crate) async fn at_once(context: &Context) -> Result<Vec<String>> {
    let times = context.count(1, 100) as usize;
    let mut lines = Vec::new();
    for place in Place::both(context, "rotate").await? {
        let mut people = people::store(&place, 1).await?;
        people.pop();
        let person = people.pop().context("there is one")?;
        let owners: Vec<&Person> = (0..times).map(|_| &person).collect();
        // Each has been rotated before, so that there are retired tokens to come with later.
        let old = Duration::from_secs(600);
        let sessions = people::sessions(&place, &owners, 4, old).await?;
        let others = people::sessions(&place, &owners, 4, old).await?;
        let mut how = How::with(&["--rotate-every", "10s"]);
        how.log_level = Some("info");
        let server = Server::start(context, &place, &how).await?;
        let mut successors = Vec::new();
        let (mut longest, mut without) = (Duration::ZERO, 0);
        for (session, other) in sessions.iter().zip(&others) {
            let begun = Instant::now();
            let answers = burst(server.address, current(session)).await?;
            longest = longest.max(begun.elapsed());
            ensure!(answers.len() == REQUESTS, "{} answers", answers.len());
            let odd = answers.iter().find(|told| told.status != StatusCode::OK);
            ensure!(odd.is_none(), "not everybody was let in: {odd:?}");
            let tokens: HashSet<_> = answers
                .iter()
                .filter_map(|told| told.successor.clone())
                .collect();
            ensure!(tokens.len() == 1, "{} successors", tokens.len());
            without += answers
                .iter()
                .filter(|told| told.successor.is_none())
                .count();
            successors.extend(tokens);
            // The first use of the successor, and that of another session's.
            let mut client = Client::open(server.address).await?;
            used(&mut client, successors.last().context("there is one")?).await?;
            let told = client.me(current(other)).await?;
            let next = told.successor.context("it was due")?;
            used(&mut client, &next).await?;
        }
        let look = place.look().await?;
        for session in &sessions {
            let sql = "SELECT generation FROM session WHERE id = $1";
            let generation = ledger::number(&look, sql, [session.id.into()]).await?;
            ensure!(
                generation == 5,
                "one burst went {} generations on",
                generation - 4
            );
        }
        // Ten seconds after its successor's first use, a token is theft; this is the server's clock.
        tokio::time::sleep(Duration::from_secs(11)).await;
        let mut client = Client::open(server.address).await?;
        for session in &sessions {
            theft(&mut client, current(session)).await?;
        }
        for other in &others {
            theft(&mut client, &other.tokens[0]).await?;
        }
        for successor in &successors {
            let told = client.me(successor).await?;
            ensure!(
                told.status == StatusCode::UNAUTHORIZED,
                "the good token outlived the theft"
            );
        }
        for session in sessions.iter().chain(&others) {
            let sql = "SELECT count(*) FROM audit_event e JOIN session s ON s.id = e.session_id
                       WHERE s.id = $1 AND e.action = 'token.reused' AND s.end_reason = 'token_reuse'";
            let told = ledger::number(&look, sql, [session.id.into()]).await?;
            ensure!(told == 1, "{told} events of a theft");
        }
        look.close().await?;
        server.stop().await?;
        let seeded: Vec<_> = sessions
            .iter()
            .chain(&others)
            .map(|session| session.id)
            .collect();
        let kind = place.kind;
        let searched = place.leave(&seeded).await?;
        lines.push(format!(
            "{kind}: {times} times {REQUESTS} requests at once over {CONNECTIONS} connections with one due token: exactly one \
             successor each ({without} answers carried none), 0 signed out, 0 x 5xx, longest burst {:.1} s; afterwards {times} \
             predecessors and {times} tokens five generations old were refused and ended their sessions, one event each; \
             {} secrets in 0 of {:.0} MiB",
            longest.as_secs_f64(),
            canary::count(),
            searched as f64 / 1_048_576.0
        ));
    }
    Ok(lines)
}

fn current(session: &Seeded) -> &str {
    &session.tokens[session.tokens.len() - 1]
}

async fn burst(address: SocketAddr, token: &str) -> Result<Vec<Told>> {
    let barrier = Arc::new(Barrier::new(CONNECTIONS));
    let tasks: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let (barrier, token) = (barrier.clone(), token.to_owned());
            tokio::spawn(async move {
                let opened = Client::open(address).await;
                barrier.wait().await;
                let mut client = opened?;
                let mut answers = Vec::new();
                for _ in 0..REQUESTS / CONNECTIONS {
                    answers.push(client.me(&token).await?);
                }
                anyhow::Ok(answers)
            })
        })
        .collect();
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await??);
    }
    Ok(all)
}

async fn used(client: &mut Client, token: &str) -> Result<()> {
    let told = client.me(token).await?;
    ensure!(
        told.status == StatusCode::OK && told.successor.is_none(),
        "a successor was answered {}",
        told.status
    );
    Ok(())
}

async fn theft(client: &mut Client, token: &str) -> Result<()> {
    let told = client.me(token).await?;
    ensure!(
        told.status == StatusCode::UNAUTHORIZED,
        "a retired token was answered {}",
        told.status
    );
    Ok(())
}
