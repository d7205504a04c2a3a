//! F10, F16 and F21: everybody at once. More readers than there are connections to the database, thousands of
//! programs that come back together and whose sessions end together, hundreds who sign in.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use futures_util::future::join_all;
use http::{Method, StatusCode};
use tokio::sync::watch;

use crate::client::{Client, Told};
use crate::people::{self, Person, Seeded};
use crate::place::Place;
use crate::server::{How, Server};
use crate::slow::{HONEST, answer_times};
use crate::{Context, ledger};

/// Who reads at once; far more than there are connections to the database.
const READERS: usize = 500;
/// Who signs in at once.
const SIGN_INS: usize = 500;
/// MiB that one hash takes; as many are made at once as there are processors.
const HASH: f64 = 19.0;
/// MiB for all that 500 connections and their requests need besides.
const OTHERS: f64 = 100.0;
/// Kept-alive connections of those who come back.
const CONNECTIONS: usize = 500;

/// F10: an administrator ends sessions while hundreds of others ask for lists.
pub(crate) async fn ends_among_readers(context: &Context) -> Result<Vec<String>> {
    let times = context.count(10, 1_000) as usize;
    let mut lines = Vec::new();
    for place in Place::both(context, "readers").await? {
        let mut people = people::store(&place, 20).await?;
        let root = people.pop().context("the administrator is the last one")?;
        let owners: Vec<&Person> = (0..times).map(|number| &people[number % 20]).collect();
        let victims = people::sessions(&place, &owners, 0, Duration::from_secs(1)).await?;
        let roots: Vec<&Person> = (0..=READERS).map(|_| &root).collect();
        let own = people::sessions(&place, &roots, 0, Duration::from_secs(1)).await?;
        let mut how = How::with(&[]);
        how.log_level = Some("info");
        let server = Server::start(context, &place, &how).await?;
        let address = server.address;
        let (stop, stopped) = watch::channel(false);
        let reading: Vec<_> = own[1..]
            .iter()
            .map(|session| {
                let (token, stopped) = (session.tokens[0].clone(), stopped.clone());
                tokio::spawn(read_lists(address, token, stopped))
            })
            .collect();
        let mut client = Client::open(address).await?;
        let (token, mut took) = (&own[0].tokens[0], Vec::new());
        for victim in &victims {
            let path = format!("/api/v1/sessions/{}", victim.id);
            let begun = Instant::now();
            let told = client.ask(Method::DELETE, &path, Some(token), None).await?;
            took.push(begun.elapsed().as_secs_f64() * 1_000.0);
            ensure!(
                told.status.is_success(),
                "an end was answered {}",
                told.status
            );
            let told = client.me(&victim.tokens[0]).await?;
            ensure!(
                told.status == StatusCode::UNAUTHORIZED,
                "an ended session was answered {}",
                told.status
            );
        }
        stop.send(true)?;
        let (mut answered, mut told_to_wait) = (0, 0);
        for one in reading {
            let (lists, refused) = one.await??;
            answered += lists;
            told_to_wait += refused;
        }
        took.sort_by(f64::total_cmp);
        server.stop().await?;
        let kind = place.kind;
        let seeded = [people::ids(&victims), people::ids(&own)].concat();
        place.leave(&seeded).await?;
        lines.push(format!(
            "{kind}: {times} sessions ended one after another while {READERS} others asked for lists all the time: each end acknowledged and \
             refused from then on, after {:.0} ms in the median, {:.0} ms at the 99th percentile; {answered} lists, {told_to_wait} told to wait",
            took[took.len() / 2],
            took[took.len() * 99 / 100]
        ));
    }
    Ok(lines)
}

/// Asks for a list again and again; answers how many came, and how often it was told to wait.
async fn read_lists(
    address: SocketAddr,
    token: String,
    stopped: watch::Receiver<bool>,
) -> Result<(u64, u64)> {
    let mut client = Client::open(address).await?;
    let (mut lists, mut refused) = (0, 0);
    while !*stopped.borrow() {
        let path = "/api/v1/sessions?q=proof&page_size=100";
        let told = client.ask(Method::GET, path, Some(&token), None).await?;
        match told.status {
            StatusCode::OK => lists += 1,
            StatusCode::SERVICE_UNAVAILABLE if told.retry_after => refused += 1,
            other => anyhow::bail!("a list was answered {other}"),
        }
    }
    Ok((lists, refused))
}

/// F16: after a restart every program comes back at once with a token that is due, and later all their sessions end in the
/// same moment.
pub(crate) async fn herd(context: &Context) -> Result<Vec<String>> {
    let count = context.count(1_000, 20_000) as usize;
    let lives = Duration::from_secs(if context.short { 15 } else { 90 });
    let mut lines = Vec::new();
    for place in Place::both(context, "herd").await? {
        let mut people = people::store(&place, 50).await?;
        let root = people.pop().context("there is one")?;
        let owners: Vec<&Person> = (0..count).map(|number| &people[number % 50]).collect();
        let old = Duration::from_secs(600);
        let bystander = people::sessions(&place, &[&root], 0, Duration::from_secs(1)).await?;
        let sessions = people::sessions_for(&place, &owners, 1, old, lives).await?;
        let end = Instant::now() + lives;
        let mut how = How::with(&["--failure-limit", "1000000"]);
        how.log_level = Some("info");
        let server = Server::start(context, &place, &how).await?;
        let begun = Instant::now();
        let back = everybody(server.address, &sessions, |session| {
            session.tokens[1].clone()
        })
        .await?;
        let returned = begun.elapsed();
        ensure!(
            Instant::now() < end,
            "they were not back before their sessions ended: {:.0} s",
            returned.as_secs_f64()
        );
        let mut renewed = Vec::new();
        for (session, told) in sessions.iter().zip(back) {
            ensure!(
                told.status == StatusCode::OK,
                "who came back was answered {}",
                told.status
            );
            let successor = told.successor.context("its token was due")?;
            let tokens = vec![String::new(), successor];
            renewed.push(Seeded {
                id: session.id,
                tokens,
            });
        }
        let look = place.look().await?;
        let sql = "SELECT count(*) FROM session WHERE generation = 2";
        let rotated = ledger::number(&look, sql, []).await?;
        ensure!(rotated == count as i64, "{rotated} of {count} rotated once");
        tokio::time::sleep(
            end.saturating_duration_since(Instant::now()) + Duration::from_millis(100),
        )
        .await;
        let begun = Instant::now();
        let refused = everybody(server.address, &renewed, |session| {
            session.tokens[1].clone()
        })
        .await?;
        for told in refused {
            ensure!(
                told.status == StatusCode::UNAUTHORIZED,
                "an expired session was answered {}",
                told.status
            );
        }
        let asked = begun.elapsed();
        let mut client = Client::open(server.address).await?;
        let mut longest = Duration::ZERO;
        let sql = "SELECT count(*) FROM session WHERE end_reason = 'absolute_timeout' AND ended_at = absolute_expires_at";
        while ledger::number(&look, sql, []).await? < count as i64 {
            ensure!(
                begun.elapsed() < Duration::from_secs(120),
                "their ends are not stored after two minutes"
            );
            let asked = Instant::now();
            let told = client.me(&bystander[0].tokens[0]).await?;
            ensure!(
                told.status == StatusCode::OK,
                "a bystander was answered {}",
                told.status
            );
            longest = longest.max(asked.elapsed());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let stored = begun.elapsed();
        look.close().await?;
        server.stop().await?;
        let kind = place.kind;
        let seeded = [people::ids(&sessions), people::ids(&bystander)].concat();
        place.leave(&seeded).await?;
        lines.push(format!(
            "{kind}: {count} came back at once over {CONNECTIONS} connections: all let in within {:.1} s, each rotated once; all ended in one \
             moment: every token refused within {:.1} s, every end stored with its time within {:.1} s, a bystander waited {:.0} ms at most; \
             no 5xx",
            returned.as_secs_f64(),
            asked.as_secs_f64(),
            stored.as_secs_f64(),
            longest.as_secs_f64() * 1_000.0
        ));
    }
    Ok(lines)
}

/// Everybody asks once; the answers, in order.
async fn everybody(
    address: SocketAddr,
    sessions: &[Seeded],
    token: impl Fn(&Seeded) -> String,
) -> Result<Vec<Told>> {
    let tokens: Arc<Vec<String>> = Arc::new(sessions.iter().map(token).collect());
    let tasks: Vec<_> = (0..CONNECTIONS.min(tokens.len()))
        .map(|first| {
            let tokens = tokens.clone();
            tokio::spawn(async move {
                let mut client = Client::open(address).await?;
                let mut told = Vec::new();
                for number in (first..tokens.len()).step_by(CONNECTIONS) {
                    told.push((number, client.me(&tokens[number]).await?));
                }
                anyhow::Ok(told)
            })
        })
        .collect();
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await??);
    }
    all.sort_by_key(|(number, _)| *number);
    Ok(all.into_iter().map(|(_, told)| told).collect())
}

/// F21, row 55: everybody signs in at once, while others work.
pub(crate) async fn sign_ins(context: &Context) -> Result<Vec<String>> {
    let times = context.count(1, 10) as usize;
    let place = Place::sqlite(context, "sign-ins")?;
    let mut people = people::store(&place, SIGN_INS).await?;
    let root = people.pop().context("there is one")?;
    let owners: Vec<_> = (0..HONEST).map(|_| &root).collect();
    let own = people::sessions(&place, &owners, 0, Duration::from_secs(1)).await?;
    let tokens: Vec<_> = own
        .iter()
        .map(|session| session.tokens[0].clone())
        .collect();
    let mut how = How::with(&["--failure-limit", "1000000"]);
    how.log_level = Some("info");
    let server = Server::start(context, &place, &how).await?;
    let address = server.address;
    let before = answer_times(address, &tokens, Duration::from_secs(2)).await?;
    let memory = server.memory()?;
    let (mut signed_in, mut told_to_wait, mut most, mut during) = (0, 0, 0.0_f64, 0.0_f64);
    for _ in 0..times {
        let storm = people.iter().map(|person| async move {
            let mut client = Client::open(address).await?;
            client.sign_in(&person.email, &person.password).await
        });
        let storm = join_all(storm);
        let others = answer_times(address, &tokens, Duration::from_secs(4));
        let watch = async {
            tokio::time::sleep(Duration::from_secs(2)).await;
            server.memory()
        };
        let (answers, waited, used) = tokio::join!(storm, others, watch);
        most = most.max(used? - memory);
        during = during.max(waited?);
        for told in answers {
            let told = told?;
            match told.status {
                StatusCode::OK => signed_in += 1,
                StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
                    if told.retry_after =>
                {
                    told_to_wait += 1;
                }
                other => anyhow::bail!("a sign-in was answered {other}"),
            }
        }
    }
    ensure!(signed_in > 0, "nobody could sign in");
    let slots = std::thread::available_parallelism().map_or(2, usize::from);
    ensure!(
        most < slots as f64 * HASH + OTHERS,
        "{most:.0} MiB more memory: more than {slots} hashes need"
    );
    server.stop().await?;
    place.leave(&people::ids(&own)).await?;
    Ok(vec![format!(
        "{times} times {SIGN_INS} sign-ins at once: {signed_in} signed in, {told_to_wait} told when to try again; memory +{most:.0} MiB; p99 of \
         GET /api/v1/me {before:.1} ms before, {during:.1} ms meanwhile (x {:.1}), every answer 200",
        during / before
    )])
}
