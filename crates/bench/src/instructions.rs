//! Instructions of one token check, counted by valgrind: the same on a busy machine as on an idle one.

use std::path::Path;

use anyhow::{Context, Result, bail};
use axum::body::Body;
use clap::Parser;
use http::{Request, header};
use http_body_util::BodyExt;
use rollcall_server::app::App;
use rollcall_server::config::Settings;
use tokio::process::Command;
use tower::ServiceExt;

use crate::report::Report;
use crate::{Args, data};

// So far apart that what starting costs, a little different each time (clocks are calibrated), does not show.
const FEW: u32 = 1_000;
const MANY: u32 = 21_000;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    settings: Settings,
}

pub(crate) async fn measure(args: &Args, report: &mut Report) -> Result<()> {
    let folder = args.data.join("instructions");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder)?;
    let live = data::live(&data::sqlite(&folder), 1_000, 0).await?;
    std::fs::write(folder.join("token"), &live.tokens[0])?;
    // What starting costs is in both, and falls out.
    let few = count(&folder, FEW).await?;
    let many = count(&folder, MANY).await?;
    let each = many.saturating_sub(few) / u64::from(MANY - FEW);
    report.note(
        "instructions of one token check in process (valgrind)",
        each.to_string(),
    );
    Ok(())
}

async fn count(folder: &Path, times: u32) -> Result<u64> {
    let output = Command::new("valgrind")
        .args([
            "--tool=cachegrind",
            "--cache-sim=no",
            "--cachegrind-out-file=/dev/null",
        ])
        .arg(std::env::current_exe()?)
        .arg("check")
        .arg(folder)
        .arg(times.to_string())
        .output()
        .await
        .context("valgrind cannot be started (Debian's package valgrind)")?;
    let text = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("valgrind failed:\n{text}");
    }
    let line = text
        .lines()
        .find(|line| line.contains("I refs:") || line.contains("I   refs:"));
    let number = line.and_then(|line| line.rsplit(':').next());
    let digits: String = number
        .unwrap_or_default()
        .chars()
        .filter(char::is_ascii_digit)
        .collect();
    digits
        .parse()
        .with_context(|| format!("no count in:\n{text}"))
}

/// Checks a token so many times, through the whole router.
pub(crate) async fn check(folder: &Path, times: u32) -> Result<()> {
    let words = ["rollcall", "--rotate-every", "1d", "--data-dir"];
    let words = words
        .iter()
        .map(|word| (*word).into())
        .chain([folder.as_os_str().to_owned()]);
    let app = App::build(Line::try_parse_from(words)?.settings).await?;
    let token = std::fs::read_to_string(folder.join("token"))?;
    let router = app.router();
    for _ in 0..times {
        let request = Request::get("/api/v1/me")
            .header(header::HOST, "localhost")
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .body(Body::empty())?;
        let Ok(response) = router.clone().oneshot(request).await;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        if status != 200 || body.is_empty() {
            bail!("the check answers {status}");
        }
    }
    app.service().shut_down().await;
    Ok(())
}
