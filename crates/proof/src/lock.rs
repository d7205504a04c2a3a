//! Row 47 and 48: wrong passwords in parallel for one account, written in ten ways, lock it after five.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use http::StatusCode;
use tokio::sync::Barrier;

use crate::Context;
use crate::client::Client;
use crate::ledger::{events_about, number};
use crate::people::{self, new_password};
use crate::place::Place;
use crate::server::{How, Server};

/// Guesses at once.
const GUESSES: usize = 1_000;

/// Guesses one account's password from all sides.
pub(crate) async fn guesses_at_once(context: &Context) -> Result<Vec<String>> {
    let times = context.count(1, 100) as usize;
    let mut lines = Vec::new();
    for place in Place::both(context, "lock").await? {
        let mut people = people::store(&place, times).await?;
        people.pop();
        let how = How::with(&["--failure-limit", "1000000"]);
        let server = Server::start(context, &place, &how).await?;
        let (mut compared, mut refused, mut waited) = (0, 0, 0);
        for person in &people {
            let barrier = Arc::new(Barrier::new(GUESSES));
            let tasks: Vec<_> = (0..GUESSES)
                .map(|number| {
                    let (barrier, address) = (barrier.clone(), server.address);
                    let name = spelling(&person.email, number);
                    tokio::spawn(async move {
                        let opened = Client::open(address).await;
                        barrier.wait().await;
                        anyhow::Ok(opened?.sign_in(&name, &new_password()).await?.status)
                    })
                })
                .collect();
            for task in tasks {
                match task.await?? {
                    StatusCode::UNAUTHORIZED => refused += 1,
                    StatusCode::TOO_MANY_REQUESTS => waited += 1,
                    other => anyhow::bail!("a guess was answered {other}"),
                }
            }
            // At most ten wait for their turn, so fewer than five may have been compared so far.
            let mut client = Client::open(server.address).await?;
            let look = place.look().await?;
            for number in 0..10 {
                let told = client
                    .sign_in(&spelling(&person.email, number), &new_password())
                    .await?;
                ensure!(
                    told.status == StatusCode::UNAUTHORIZED,
                    "a guess was answered {}",
                    told.status
                );
            }
            let wrong = events_about(&look, person.id, "sign_in", "wrong_password").await?;
            ensure!(wrong == 5, "{wrong} guesses were compared");
            compared += wrong;
            let locks = events_about(&look, person.id, "user.locked", "success").await?;
            ensure!(locks == 1, "{locks} events of a lock");
            let told = client.sign_in(&person.email, &person.password).await?;
            ensure!(
                told.status == StatusCode::UNAUTHORIZED,
                "the right password opened a locked account"
            );
            let names = number(
                &look,
                "SELECT count(*) FROM sign_in_attempt WHERE tries > 0",
                [],
            )
            .await?;
            let so_far = people
                .iter()
                .position(|other| other.id == person.id)
                .context("it is one of them")?;
            ensure!(
                names == so_far as i64 + 1,
                "{names} names are counted for {} accounts",
                so_far + 1
            );
            look.close().await?;
        }
        server.stop().await?;
        let kind = place.kind;
        place.leave(&[]).await?;
        lines.push(format!(
            "{kind}: {times} times {GUESSES} wrong passwords at once in ten spellings: {compared} compared (5 each), {refused} \
             refused, {waited} told to wait; one lock and one event each, the right password refused afterwards"
        ));
    }
    Ok(lines)
}

/// Ten ways to write one address: case, spaces, and full-width letters, which NFKC makes plain.
fn spelling(email: &str, number: usize) -> String {
    let wide: String = email
        .chars()
        .map(|letter| match letter {
            'a'..='z' => char::from_u32(letter as u32 + 0xfee0).unwrap_or(letter),
            other => other,
        })
        .collect();
    let (name, domain) = email.split_once('@').unwrap_or((email, ""));
    match number % 10 {
        0 => email.to_owned(),
        1 => email.to_uppercase(),
        2 => format!(" {email}"),
        3 => format!("{email} "),
        4 => format!("\t{}\n", email.to_uppercase()),
        5 => wide,
        6 => format!(" {} ", wide.to_uppercase()),
        7 => format!("{}@{domain}", name.to_uppercase()),
        8 => format!("{name}@{}", domain.to_uppercase()),
        _ => format!("\u{3000}{email}\u{3000}"),
    }
}
