//! Ending all sessions of a user who has 10,000.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use http::Method;

use crate::client::Connection;
use crate::report::{Report, ms};
use crate::server::Running;
use crate::{Args, data, writes};

pub(crate) async fn measure(args: &Args, report: &mut Report) -> Result<()> {
    for (name, url) in writes::databases(args, "ends").await? {
        let folder = args.data.join("ends");
        let live = data::live(&url, args.live, 0).await?;
        let server = Running::rollcall(&args.server, &folder, Some(&url), &[]).await?;
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
        server.stop().await?;
    }
    Ok(())
}
