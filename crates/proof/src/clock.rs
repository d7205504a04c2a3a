//! F15: the machine's clock jumps under a running server, by an hour and by ten years, both ways.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use http::{Method, StatusCode};
use sea_orm::ConnectionTrait;

use crate::client::Client;
use crate::people::{self, Person, Seeded};
use crate::place::Place;
use crate::server::{How, Server};
use crate::storage::RECOVERY;
use crate::{Context, ledger};

const HOUR: i64 = 3_600;
const YEARS: i64 = 315_360_000;

/// Three sessions of one round, whose timeouts are a day away but for the second's.
struct Round {
    live: Seeded,
    expired: Seeded,
    ended: Seeded,
}

/// Jumps there and back under a running server, and restarts it with the right time.
pub(crate) async fn jumps(context: &Context) -> Result<Vec<String>> {
    let Some(library) = library() else {
        return Ok(vec!["not run: libfaketime is not installed".to_owned()]);
    };
    let times = context.count(1, 25) as usize;
    let jumps: Vec<i64> = [HOUR, -HOUR, -YEARS, YEARS].repeat(times);
    let mut lines = Vec::new();
    for place in Place::both(context, "clock").await? {
        let people = people::store(&place, 1).await?;
        let (person, administrator) = (&people[0], &people[1]);
        let used = Duration::from_secs(1);
        let (mut all, mut asked) = (Vec::new(), 0);
        for &jump in &jumps {
            let mut stored = people::sessions(&place, &[person; 3], 0, used).await?;
            all.extend(people::ids(&stored));
            let [live, expired, ended] = [(); 3].map(|()| stored.pop());
            let round = Round {
                live: live.context("three")?,
                expired: expired.context("three")?,
                ended: ended.context("three")?,
            };
            asked += one_jump(context, &place, &library, &round, jump, administrator)
                .await
                .with_context(|| format!("{}, a jump of {jump} s", place.kind))?;
        }
        let look = place.look().await?;
        let signed_in = ledger::rows(
            &look,
            "SELECT id FROM session WHERE user_id = $1",
            [administrator.id.into()],
        )
        .await?;
        look.close().await?;
        ensure!(
            signed_in.len() == jumps.len(),
            "the administrator signed in once for each jump"
        );
        let kind = place.kind;
        place.leave(&all).await?;
        lines.push(format!(
            "{kind}: {} jumps of a running server's clock (an hour and ten years, both ways) and back, then a restart: {asked} requests \
             with tokens of sessions that were live, had expired or were ended; 0 revived; only the jump of ten years forward ended \
             what was live",
            jumps.len()
        ));
    }
    Ok(lines)
}

async fn one_jump(
    context: &Context,
    place: &Place,
    library: &Path,
    round: &Round,
    jump: i64,
    administrator: &Person,
) -> Result<u32> {
    expire(place, &round.expired).await?;
    let offset = place.folder.join("offset");
    std::fs::write(&offset, "+0")?;
    let how = How::default().within(&[
        "env",
        &format!("LD_PRELOAD={}", library.display()),
        &format!("FAKETIME_TIMESTAMP_FILE={}", offset.display()),
        "FAKETIME_NO_CACHE=1",
        // A stopwatch does not jump.
        "FAKETIME_DONT_FAKE_MONOTONIC=1",
    ]);
    let server = Server::start(context, place, &how).await?;
    let mut client = Client::open(server.address).await?;
    let signed_in = client
        .sign_in(&administrator.email, &administrator.password)
        .await?;
    let token = signed_in.body["token"]
        .as_str()
        .context("the administrator is let in")?;
    let path = format!("/api/v1/sessions/{}", round.ended.id);
    let told = client.ask(Method::DELETE, &path, Some(token), None).await?;
    ensure!(
        told.status == StatusCode::NO_CONTENT,
        "the end was answered {}",
        told.status
    );
    let mut asked = stand(&mut client, round, true).await?;

    std::fs::write(&offset, format!("{jump:+}"))?;
    let outlived = jump < 86_400;
    let mut client = Client::open(server.address).await?;
    asked += stand(&mut client, round, outlived).await?;
    if !outlived {
        // The sweep has written down that it expired: from then on no clock revives it.
        stored_end(place, &round.live).await?;
    }
    std::fs::write(&offset, "+0")?;
    let mut client = Client::open(server.address).await?;
    asked += stand(&mut client, round, outlived).await?;
    server.kill().await?;

    let server = Server::start(context, place, &How::default()).await?;
    let mut client = Client::open(server.address).await?;
    asked += stand(&mut client, round, outlived).await?;
    server.stop().await?;
    Ok(asked)
}

/// Asks with each token: what is live is let in, and nothing else.
async fn stand(client: &mut Client, round: &Round, live: bool) -> Result<u32> {
    for (session, expected, what) in [
        (&round.live, live, "live"),
        (&round.expired, false, "expired"),
        (&round.ended, false, "ended"),
    ] {
        let status = client.me(&session.tokens[0]).await?.status;
        let right = if expected {
            StatusCode::OK
        } else {
            StatusCode::UNAUTHORIZED
        };
        ensure!(status == right, "what was {what} was answered {status}");
    }
    Ok(3)
}

/// Has it expired a second ago, by idleness.
async fn expire(place: &Place, session: &Seeded) -> Result<()> {
    let look = place.look().await?;
    let sql = "UPDATE session SET idle_expires_at = last_activity_at - 1000000, expires_at = last_activity_at - 1000000 WHERE id = $1";
    let statement = sea_orm::Statement::from_sql_and_values(
        look.get_database_backend(),
        sql,
        [session.id.into()],
    );
    look.execute_raw(statement).await?;
    look.close().await?;
    Ok(())
}

async fn stored_end(place: &Place, session: &Seeded) -> Result<()> {
    let look = place.look().await?;
    let begun = Instant::now();
    let sql = "SELECT count(*) FROM session WHERE id = $1 AND ended_at IS NOT NULL";
    while ledger::number(&look, sql, [session.id.into()]).await? == 0 {
        ensure!(begun.elapsed() < RECOVERY, "what had expired was not swept");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    look.close().await?;
    Ok(())
}

/// Where Debian's libfaketime lies.
fn library() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").ok()?;
    folders
        .flatten()
        .map(|folder| folder.path().join("faketime/libfaketime.so.1"))
        .find(|library| library.is_file())
}
