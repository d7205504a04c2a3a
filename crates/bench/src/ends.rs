//! Ending many sessions: all of a user who has 10,000; 100,000 that somebody has chosen; and everything, by one
//! row, with a look at what others wait for meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use http::Method;
use serde_json::{Value, json};

use crate::client::Connection;
use crate::data::Live;
use crate::report::{Report, ms};
use crate::server::Running;
use crate::{Args, data, writes};

/// How many sign in between a preview and its end.
const LATE: usize = 1_000;
/// What a client asks for all the time meanwhile.
const LOOKS: [&str; 6] = [
    "/api/v1/sessions",
    "/api/v1/sessions/stats",
    "/api/v1/sessions?state=active",
    "/api/v1/sessions?state=ended&sort=user",
    "/api/v1/sessions?sort=-duration",
    "/api/v1/sessions?q=user1&state=ended",
];

pub(crate) async fn measure(args: &Args, report: &mut Report) -> Result<()> {
    for (name, url) in writes::databases(args, "ends").await? {
        let folder = args.data.join("ends").join(name);
        let live = data::live(&url, args.live, 0).await?;
        let server = Running::rollcall(&args.server, &folder, Some(&url), &[]).await?;
        of_a_user(args, report, name, &server, &live).await?;
        chosen(args, report, name, &server, &live).await?;
        server.stop().await?;
    }
    for (name, url) in writes::databases(args, "ends").await? {
        let folder = args.data.join("ends").join(name);
        let live = data::live(&url, args.rows, 0).await?;
        let server = Running::rollcall(&args.server, &folder, Some(&url), &[]).await?;
        everything(args, report, name, &server, &live).await?;
        server.stop().await?;
    }
    Ok(())
}

async fn of_a_user(
    args: &Args,
    report: &mut Report,
    name: &str,
    server: &Running,
    live: &Live,
) -> Result<()> {
    let mut connection = Connection::open(server.address).await?;
    let path = format!("/api/v1/users/{}/sessions", live.many);
    let begun = Instant::now();
    let answer = connection
        .ask(Method::DELETE, &path, Some(&live.administrator), None)
        .await?;
    let took = begun.elapsed();
    if !answer.status.is_success() {
        bail!("{path} answers {}", answer.status);
    }
    report.line(
        &format!(
            "end all sessions of a user with {}, among {} live ones, {name}",
            data::MANY,
            args.live
        ),
        ms(took),
        "1 second",
        took <= Duration::from_secs(1),
    );
    Ok(())
}

/// All live sessions by one preview, an event each. Who signs in after the preview stays.
async fn chosen(
    args: &Args,
    report: &mut Report,
    name: &str,
    server: &Running,
    live: &Live,
) -> Result<()> {
    let mut connection = Connection::open(server.address).await?;
    let token = &live.administrator;
    let preview = post(
        &mut connection,
        "/api/v1/sessions/end-preview",
        token,
        json!({ "filter": { "q": "user" } }),
    )
    .await?;
    for email in live.emails.iter().cycle().take(LATE) {
        sign_in(&mut connection, email, &live.password).await?;
    }
    let onlooker = Onlooker::start(server, token).await?;
    let begun = Instant::now();
    let mut run = post(
        &mut connection,
        "/api/v1/sessions/end",
        token,
        json!({ "preview": preview["id"] }),
    )
    .await?;
    let path = format!(
        "/api/v1/sessions/end/{}",
        preview["id"].as_str().context("a preview has an id")?
    );
    while run["stage"] != "finished" {
        tokio::time::sleep(Duration::from_millis(20)).await;
        run = get(&mut connection, &path, token).await?;
    }
    let took = begun.elapsed();
    let (median, most) = onlooker.stop().await?;
    // The administrator's, and those that came late.
    let left = get(&mut connection, "/api/v1/sessions/stats", token).await?;
    if run["ended"] != preview["sessions"] || left["active"] != 1 + LATE {
        bail!("{preview} was previewed, {run} ended, {left} are left");
    }
    report.line(
        &format!(
            "end {} chosen sessions by one preview, an event each, and none of {LATE} that began after it, {name}",
            run["ended"]
        ),
        format!("{:.2} s", took.as_secs_f64()),
        "5 seconds",
        took <= Duration::from_secs(5),
    );
    report.line(
        &format!(
            "lists and cards meanwhile, median and most, {} live, {name}",
            args.live
        ),
        format!("{}; {}", ms(median), ms(most)),
        "60; 200 ms",
        median <= Duration::from_millis(60) && most <= Duration::from_millis(200),
    );
    Ok(())
}

/// Everything in the installation, by one row, and the sweep that follows.
async fn everything(
    args: &Args,
    report: &mut Report,
    name: &str,
    server: &Running,
    live: &Live,
) -> Result<()> {
    let mut connection = Connection::open(server.address).await?;
    let begun = Instant::now();
    post(
        &mut connection,
        "/api/v1/sessions/end-all",
        &live.administrator,
        json!({ "scope": "installation" }),
    )
    .await?;
    let took = begun.elapsed();
    let token = sign_in(&mut connection, data::ROOT, &live.password).await?;
    let onlooker = Onlooker::start(server, &token).await?;
    let db = data::open(&live.url).await?;
    let mut waits = Vec::new();
    while !data::is_settled(&db).await? {
        let begun = Instant::now();
        sign_in(&mut connection, data::ROOT, &live.password).await?;
        waits.push(begun.elapsed());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let swept = begun.elapsed();
    db.close().await;
    let (median, most) = onlooker.stop().await?;
    report.line(
        &format!("end all of {} live sessions by one row, {name}", args.rows),
        ms(took),
        "1 second",
        took <= Duration::from_secs(1),
    );
    report.line(
        &format!("lists, searches and cards while they are swept, median and most, {name}"),
        format!("{}; {}", ms(median), ms(most)),
        "200 ms",
        most <= Duration::from_millis(200),
    );
    report.note(
        &format!("until they are swept; sign-ins meanwhile, p95, {name}"),
        format!(
            "{:.0} s; {}",
            swept.as_secs_f64(),
            ms(crate::report::p95(waits))
        ),
    );
    Ok(())
}

async fn post(connection: &mut Connection, path: &str, token: &str, body: Value) -> Result<Value> {
    let answer = connection
        .ask(Method::POST, path, Some(token), Some(body.to_string()))
        .await?;
    if !answer.status.is_success() {
        bail!("{path} answers {} {:?}", answer.status, answer.body);
    }
    Ok(serde_json::from_slice(&answer.body)?)
}

async fn get(connection: &mut Connection, path: &str, token: &str) -> Result<Value> {
    let answer = connection.ask(Method::GET, path, Some(token), None).await?;
    if !answer.status.is_success() {
        bail!("{path} answers {} {:?}", answer.status, answer.body);
    }
    Ok(serde_json::from_slice(&answer.body)?)
}

/// Signs somebody in, and answers the token.
async fn sign_in(connection: &mut Connection, email: &str, password: &str) -> Result<String> {
    let body = json!({ "email": email, "password": password, "token": true });
    let answer = connection
        .ask(
            Method::POST,
            "/api/v1/sign-in",
            None,
            Some(body.to_string()),
        )
        .await?;
    let signed_in: Value = serde_json::from_slice(&answer.body)?;
    Ok(signed_in["token"]
        .as_str()
        .with_context(|| format!("no sign-in: {}", answer.status))?
        .to_owned())
}

/// Somebody who looks at lists and cards all the time.
struct Onlooker {
    stop: Arc<AtomicBool>,
    times: tokio::task::JoinHandle<Result<Vec<Duration>>>,
}

impl Onlooker {
    async fn start(server: &Running, token: &str) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, token) = (Arc::clone(&stop), token.to_owned());
        let mut connection = Connection::open(server.address).await?;
        let times = tokio::spawn(async move {
            let mut times = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                for path in LOOKS {
                    let begun = Instant::now();
                    get(&mut connection, path, &token).await?;
                    times.push(begun.elapsed());
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Ok(times)
        });
        Ok(Self { stop, times })
    }

    /// The median, and the longest.
    async fn stop(self) -> Result<(Duration, Duration)> {
        self.stop.store(true, Ordering::Relaxed);
        let mut times = self.times.await??;
        times.sort_unstable();
        let median = times.get(times.len() / 2).context("nothing was asked")?;
        Ok((*median, times[times.len() - 1]))
    }
}
