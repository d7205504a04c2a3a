//! How soon a server is ready, and how much memory it takes before anybody asks.

use std::time::Duration;

use anyhow::Result;

use crate::report::{Report, median, ms};
use crate::server::Running;
use crate::{Args, data};

pub(crate) async fn measure(args: &Args, report: &mut Report) -> Result<()> {
    let full = data::rows(&args.data, args.rows).await?;
    let empty = args.data.join("empty");
    let _ = std::fs::remove_dir_all(&empty);
    eprintln!("==> starting, {} times", args.runs);
    let (mut times, mut loaded, mut idle) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..args.runs {
        let server = Running::rollcall(&args.server, &full, None, &[]).await?;
        times.push(server.ready_after.as_secs_f64());
        loaded.push(server.memory()?);
        server.stop().await?;
        let server = Running::rollcall(&args.server, &empty, None, &[]).await?;
        idle.push(server.memory()?);
        server.stop().await?;
    }
    let (time, loaded, idle) = (median(times), median(loaded), median(idle));
    report.line(
        &format!("ready with {} sessions in the database", args.rows),
        ms(Duration::from_secs_f64(time)),
        "2 seconds",
        time <= 2.0,
    );
    report.line(
        "memory then, before traffic",
        format!("{loaded:.0} MiB"),
        "150 MiB",
        loaded < 150.0,
    );
    report.line(
        "memory of an idle server without sessions",
        format!("{idle:.0} MiB"),
        "60 MiB",
        idle < 60.0,
    );
    Ok(())
}
