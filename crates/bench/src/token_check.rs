//! `GET /api/v1/me` over HTTP, against a bare axum handler that answers the same bytes, and against
//! tower-sessions with its SQLite store. All three take turns, under the same load, with as many
//! sessions.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result, bail};
use axum::Router;
use axum::body::Bytes;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use tokio::process::Command;

use crate::client::Connection;
use crate::report::{Report, median};
use crate::server::{Running, free_address};
use crate::{Args, data};

/// Connections that ask at once.
const CONNECTIONS: u32 = 32;
/// Different tokens in the load.
const TOKENS: usize = 1_000;
const PATH: &str = "/api/v1/me";

pub(crate) async fn measure(args: &Args, report: &mut Report) -> Result<()> {
    let folder = args.data.join("token");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder)?;
    let live = data::live(&data::sqlite(&folder), args.live, 0).await?;
    // The load does not take successors over, as no client of a benchmark does, so none are made.
    let ours = Running::rollcall(&args.server, &folder, None, &["--rotate-every", "1d"]).await?;

    let tokens: Vec<_> = live
        .tokens
        .iter()
        .step_by(live.tokens.len().div_ceil(TOKENS))
        .collect();
    let bearers = folder.join("bearers");
    write_lines(
        &bearers,
        tokens
            .iter()
            .map(|token| format!("Authorization: Bearer {token}")),
    )?;
    let answer = Connection::open(ours.address)
        .await?
        .ask(Method::GET, PATH, Some(tokens[0]), None)
        .await?;
    if answer.status != 200 {
        bail!("{PATH} answers {}", answer.status);
    }
    let (body, headers) = (folder.join("body"), folder.join("headers"));
    std::fs::write(&body, &answer.body)?;
    let kept = answer.headers.iter().filter(|(name, _)| {
        // The server's own HTTP library writes these two.
        !["content-length", "date"].contains(&name.as_str())
    });
    write_lines(
        &headers,
        kept.map(|(name, value)| format!("{name}: {}", value.to_str().unwrap_or_default())),
    )?;
    let bare = start_bare(&body, &headers).await?;
    let rival = match &args.tower_sessions {
        Some(program) => Some(start_rival(program, &folder, args.live, &body, &headers).await?),
        None => None,
    };

    eprintln!(
        "==> token checks, {} runs of {} s each",
        args.runs, args.seconds
    );
    let (mut bare_rate, mut our_rate, mut rival_rate, mut ratios) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..args.runs {
        let bare_now = load(bare.address, &bearers, args.seconds).await?;
        let ours_now = load(ours.address, &bearers, args.seconds).await?;
        ratios.push(ours_now / bare_now);
        bare_rate.push(bare_now);
        our_rate.push(ours_now);
        if let Some((rival, cookies)) = &rival {
            rival_rate.push(load(rival.address, cookies, args.seconds).await?);
        }
    }
    let ratio = median(ratios.clone());
    report.line(
        &format!(
            "check a token over HTTP, SQLite, {} live sessions",
            args.live
        ),
        format!(
            "{ratio:.2} of bare axum ({:.0} against {:.0} a second; runs {})",
            median(our_rate.clone()),
            median(bare_rate),
            ratios
                .iter()
                .map(|ratio| format!("{ratio:.2}"))
                .collect::<Vec<_>>()
                .join(", "),
        ),
        "0.6 of bare axum; the aim is 0.9",
        ratio >= 0.6,
    );
    if !rival_rate.is_empty() {
        let rival = median(rival_rate);
        let times = median(our_rate) / rival;
        report.line(
            "the same against tower-sessions with its SQLite store",
            format!("{times:.1} times as many ({rival:.0} a second there)"),
            "well ahead",
            times > 1.2,
        );
    }
    report.note(
        "memory of the server after that",
        format!("{:.0} MiB", ours.memory()?),
    );
    bare.stop().await?;
    ours.stop().await?;
    if let Some((rival, _)) = rival {
        rival.stop().await?;
    }
    Ok(())
}

async fn start_bare(body: &Path, headers: &Path) -> Result<Running> {
    let address = free_address()?;
    let mut command = Command::new(std::env::current_exe()?);
    command
        .arg("bare")
        .arg(address.to_string())
        .arg(body)
        .arg(headers);
    Running::start(command, address).await
}

async fn start_rival(
    program: &Path,
    folder: &Path,
    sessions: u32,
    body: &Path,
    headers: &Path,
) -> Result<(Running, std::path::PathBuf)> {
    let address = free_address()?;
    let cookies = folder.join("cookies");
    let mut command = Command::new(program);
    command
        .arg(address.to_string())
        .arg(folder.join("tower-sessions.db"))
        .arg(sessions.to_string())
        .arg(body)
        .arg(headers)
        .arg(&cookies)
        .arg(TOKENS.to_string());
    Ok((Running::start(command, address).await?, cookies))
}

/// Requests answered in a second, by wrk: one thread, so that the server has most of the machine.
async fn load(address: SocketAddr, requests: &Path, seconds: u64) -> Result<f64> {
    let script = requests.with_file_name("wrk.lua");
    std::fs::write(&script, include_str!("wrk.lua"))?;
    let output = Command::new("wrk")
        .args(["--threads", "1", "--connections", &CONNECTIONS.to_string()])
        .args(["--duration", &format!("{seconds}s"), "--script"])
        .arg(&script)
        .arg(format!("http://{address}{PATH}"))
        .arg("--")
        .arg(requests)
        .output()
        .await
        .context("wrk cannot be started (Debian's package wrk)")?;
    let text = String::from_utf8_lossy(&output.stdout);
    if text.contains("Non-2xx") || text.contains("Socket errors") || !output.status.success() {
        bail!(
            "the load failed:\n{text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("Requests/sec:"));
    line.context("wrk says no rate")?
        .trim()
        .parse()
        .context("wrk's rate")
}

/// The bare handler.
pub(crate) async fn serve_bare(listen: SocketAddr, body: &Path, headers: &Path) -> Result<()> {
    let body = Bytes::from(std::fs::read(body)?);
    let mut kept = HeaderMap::new();
    for line in std::fs::read_to_string(headers)?.lines() {
        let (name, value) = line.split_once(": ").context("a header a line")?;
        kept.append(HeaderName::try_from(name)?, HeaderValue::try_from(value)?);
    }
    let answer = move || {
        let mut response: Response = body.clone().into_response();
        response.headers_mut().clone_from(&kept);
        std::future::ready(response)
    };
    let listener = tokio::net::TcpListener::bind(listen).await?;
    println!("ready");
    axum::serve(listener, Router::new().route(PATH, get(answer))).await?;
    Ok(())
}

fn write_lines(file: &Path, lines: impl Iterator<Item = String>) -> Result<()> {
    Ok(std::fs::write(
        file,
        lines.collect::<Vec<_>>().join("\n") + "\n",
    )?)
}
