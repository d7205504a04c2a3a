//! F25: backups that are taken under load, restored elsewhere, and damaged.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures_util::future::join_all;
use http::StatusCode;
use tokio::process::Command;
use tokio::sync::Semaphore;

use crate::Context;
use crate::client::Client;
use crate::kill::{Crowd, how};
use crate::people::random;
use crate::place::Place;
use crate::server::Server;

/// Each backup is damaged so often, at another place each time.
const FLIPS: u32 = 20;

/// Backs up under load, ends what is still live, restores elsewhere and lets nobody in.
pub(crate) async fn restored(context: &Context) -> Result<Vec<String>> {
    let times = context.count(1, 50);
    let (mut tokens, mut flipped, mut acknowledged) = (0, 0, 0);
    for _ in 0..times {
        let mut crowd = Crowd::gather(Place::sqlite(context, "backup")?, 4, 12).await?;
        let folder = crowd.place.folder.join("copy");
        let server = Server::start(context, &crowd.place, &how()).await?;
        let address = server.address;
        let person = crowd.readers.clone();
        let before = Client::open(address)
            .await?
            .sign_in(&person.email, &person.password)
            .await?;
        let before = before.body["token"].as_str().context("a token")?.to_owned();
        let answered = Semaphore::new(0);
        let working = join_all(
            crowd
                .workers
                .iter_mut()
                .map(|worker| worker.work(address, &answered)),
        );
        let backing_up = async {
            answered.acquire_many(100).await?.forget();
            let (done, said) = command(context, &crowd.place, "backup", &folder).await?;
            ensure!(done, "the backup failed: {said}");
            server.kill().await
        };
        let (_, done) = tokio::join!(working, backing_up);
        done?;
        crowd.come_back(context).await?;
        acknowledged += crowd.tally().acknowledged;

        for _ in 0..FLIPS {
            let damaged = crowd.place.folder.join("damaged");
            let target = Place::sqlite(context, "backup-refused")?;
            damage(&folder, &damaged)?;
            let (done, said) = command(context, &target, "restore", &damaged).await?;
            ensure!(!done, "a damaged backup was restored: {said}");
            ensure!(
                !target.folder.join("rollcall.db").exists(),
                "a refused backup left a database"
            );
            flipped += 1;
            std::fs::remove_dir_all(&damaged)?;
            std::fs::remove_dir_all(&target.folder)?;
        }

        let target = Place::sqlite(context, "backup-restored")?;
        let (done, said) = command(context, &target, "restore", &folder).await?;
        ensure!(done, "the restore failed: {said}");
        let server = Server::start(context, &target, &how()).await?;
        let mut client = Client::open(server.address).await?;
        let held = crowd.workers.iter().flat_map(|worker| worker.tokens());
        for token in held.chain([before.as_str()]) {
            let told = client.me(token).await?;
            ensure!(
                told.status == StatusCode::UNAUTHORIZED,
                "a restored backup let somebody in: {}",
                told.status
            );
            tokens += 1;
        }
        let told = client.sign_in(&person.email, &person.password).await?;
        ensure!(
            told.status == StatusCode::OK,
            "signing in was answered {}",
            told.status
        );
        server.stop().await?;
        let (sound, said) = audit(context, &target).await?;
        ensure!(sound, "the restored audit trail: {said}");
        std::fs::remove_dir_all(&target.folder)?;
        let seeded = std::mem::take(&mut crowd.seeded);
        crowd.place.leave(&seeded).await?;
    }
    Ok(vec![format!(
        "SQLite: {times} backups beside a working server ({acknowledged} changes acknowledged, 0 lost), each restored elsewhere: \
         {tokens} tokens tried, 0 revived, audit trail whole, signing in works; {flipped} times one bit of a backup flipped: refused \
         each time, nothing left behind"
    )])
}

/// Copies a backup with one bit of one of its files flipped.
fn damage(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    let mut files = Vec::new();
    for file in std::fs::read_dir(from)? {
        let file = file?;
        let copy = to.join(file.file_name());
        std::fs::copy(file.path(), &copy)?;
        files.push(copy);
    }
    files.sort();
    let which = &files[usize::try_from(random(files.len() as u64))?];
    let mut bytes = std::fs::read(which)?;
    ensure!(!bytes.is_empty(), "{} is empty", which.display());
    let at = usize::try_from(random(bytes.len() as u64))?;
    bytes[at] ^= 1 << random(8);
    std::fs::write(which, bytes)?;
    Ok(())
}

async fn command(
    context: &Context,
    place: &Place,
    name: &str,
    folder: &Path,
) -> Result<(bool, String)> {
    let mut command = Command::new(&context.server);
    command.arg(name).arg(folder);
    told(command, place).await
}

async fn audit(context: &Context, place: &Place) -> Result<(bool, String)> {
    let mut command = Command::new(&context.server);
    command.args(["audit", "verify"]);
    told(command, place).await
}

async fn told(mut command: Command, place: &Place) -> Result<(bool, String)> {
    command
        .args(["--database", &place.url])
        .arg("--data-dir")
        .arg(&place.folder);
    let output = tokio::time::timeout(Duration::from_secs(60), command.output()).await??;
    let said = [output.stdout, output.stderr].concat();
    Ok((
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    ))
}
