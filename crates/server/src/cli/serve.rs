//! `rollcall serve`.

use std::io::Write;

use crate::app::{App, address_to_type, bind};
use crate::config::Settings;
use crate::telemetry;

/// Runs until SIGTERM or SIGINT.
pub(super) async fn serve(settings: Settings) -> anyhow::Result<()> {
    telemetry::start(&settings.log)?;
    // Asked for first, so that a signal during a long start is not lost.
    let stop = signals()?;
    let listener = bind(settings.listen).await?;
    let app = App::build(settings).await?;
    announce(&app, &address_to_type(listener.local_addr()?))?;
    app.run(listener, stop).await;
    Ok(())
}

// Standard output only: the log is kept, and often by others.
fn announce(app: &App, address: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    if let Some(first) = app.first_start() {
        writeln!(
            out,
            "Sign in with {} and the one-time password {}",
            first.email,
            first.password.as_str()
        )?;
        writeln!(
            out,
            "It is good until it is changed; the next start makes a new one."
        )?;
    }
    if let Some(demo) = app.demo() {
        writeln!(
            out,
            "Demo users, such as {}, have the password {}",
            demo.examples.join(" and "),
            demo.password.as_str()
        )?;
    }
    writeln!(out, "Rollcall is ready: {address}")?;
    out.flush()
}

#[cfg(unix)]
pub(super) fn signals() -> anyhow::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

#[cfg(not(unix))]
pub(super) fn signals() -> anyhow::Result<impl Future<Output = ()>> {
    Ok(async {
        // Without a handler there is nothing to wait for but the end of the process.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}
