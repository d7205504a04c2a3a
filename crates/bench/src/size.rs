//! What a first visit downloads, as it comes over the wire.

use anyhow::{Context, Result};
use http::Method;

use crate::Args;
use crate::client::Connection;
use crate::report::Report;
use crate::server::Running;

pub(crate) async fn measure(args: &Args, report: &mut Report) -> Result<()> {
    let folder = args.data.join("empty");
    let server = Running::rollcall(&args.server, &folder, None, &[]).await?;
    let mut connection = Connection::open(server.address).await?;
    let page = connection.ask(Method::GET, "/sign-in", None, None).await?;
    let html = String::from_utf8_lossy(&page.body).into_owned();
    let mut parts = vec![("HTML".to_owned(), page.body.len())];
    for path in files(&html) {
        let file = connection.ask(Method::GET, &path, None, None).await?;
        let name = path.split(['?', '#']).next().unwrap_or_default();
        let name = name.rsplit('/').next().context("a file's name")?;
        parts.push((name.to_owned(), file.body.len()));
    }
    let total: usize = parts.iter().map(|(_, bytes)| bytes).sum();
    let list: Vec<_> = parts
        .iter()
        .map(|(name, bytes)| format!("{name} {:.1}", *bytes as f64 / 1_024.0))
        .collect();
    report.line(
        "everything that a first visit downloads (KiB)",
        format!("{:.1} ({})", total as f64 / 1_024.0, list.join(", ")),
        "250 KiB",
        total <= 250 * 1_024,
    );
    server.stop().await
}

/// The files of the bundle that a page names, each once.
fn files(html: &str) -> Vec<String> {
    let mut found: Vec<String> = html
        .split(['"', '\''])
        .filter(|text| text.starts_with("/pkg/") && !text.contains(' '))
        .map(|text| text.replace("&amp;", "&"))
        .collect();
    found.sort();
    found.dedup();
    found
}
