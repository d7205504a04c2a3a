//! The comparison of what was acknowledged with what the server and its database say afterwards.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use http::StatusCode;
use sea_orm::DatabaseConnection;
use uuid::Uuid;

use super::{Fate, Held, Worker};
use crate::client::Client;
use crate::ledger::{events_about, number, rows};

impl Worker {
    /// Compares what was acknowledged with the database and with what the server answers now; what was
    /// not acknowledged must be wholly there or wholly absent. Afterwards everything is known again.
    pub(crate) async fn compare(
        &mut self,
        look: &DatabaseConnection,
        address: SocketAddr,
    ) -> Result<()> {
        let mut client = Client::open(address).await?;
        let owner = [self.person.id.into()];
        let sql = "SELECT id, generation, first_used_at, ended_at FROM session WHERE user_id = $1";
        let found = rows(look, sql, owner).await?;
        let unknown = found.len() as i64 - self.sessions.len() as i64;
        ensure!(
            (0..=self.sign_ins_unanswered as i64).contains(&unknown),
            "{unknown} sessions more than acknowledged, of {} that were not answered",
            self.sign_ins_unanswered
        );
        let mut kept = Vec::new();
        for row in &found {
            let id: Uuid = row.try_get_by_index(0)?;
            let generation: i64 = row.try_get_by_index(1)?;
            let first_used: Option<i64> = row.try_get_by_index(2)?;
            let ended = row.try_get_by_index::<Option<i64>>(3)?.is_some();
            let Some(at) = self.sessions.iter().position(|held| held.id == id) else {
                // The answer of this sign-in was lost: a session that the client does not know of.
                let mut held = Held::new(id, "");
                held.lost = true;
                held.fate = if ended { Fate::Ended } else { Fate::Live };
                kept.push(held);
                continue;
            };
            let mut held = self.sessions.swap_remove(at);
            match held.fate {
                Fate::Live => ensure!(!ended, "{id} was signed out"),
                Fate::Asked => held.fate = if ended { Fate::Ended } else { Fate::Live },
                Fate::Ended => ensure!(ended, "{id} was ended, acknowledged, and lives"),
            }
            // The answer to a sign-out carries no successor, even if its token was due.
            if !held.lost && held.fate == Fate::Live {
                let may_be_ahead = held.unanswered || self.writes_may_be_refused;
                ensure!(
                    generation == held.received
                        || (may_be_ahead && generation == held.received + 1),
                    "{id} is at generation {generation}, {} were received",
                    held.received
                );
                ensure!(
                    !held.used
                        || first_used.is_some()
                        || generation > held.received
                        || self.writes_may_be_refused,
                    "the first use of {id} was acknowledged and is not stored"
                );
            }
            kept.push(held);
        }
        ensure!(
            self.sessions.is_empty(),
            "sessions are lost: {:?}",
            self.sessions
        );
        self.sessions = kept;
        let cut = std::mem::take(&mut self.sign_ins_unanswered) > 0;
        self.compare_answers(&mut client).await?;
        self.compare_passwords(&mut client, cut).await?;
        self.compare_guesses(look, &mut client).await
    }

    async fn compare_answers(&mut self, client: &mut Client) -> Result<()> {
        for held in self
            .sessions
            .iter_mut()
            .filter(|held| !held.token.is_empty())
        {
            let told = client.me(&held.token).await?;
            let live = held.fate == Fate::Live;
            if held.lost && live {
                // Renewed or not: either the old token is good as before, or it is nobody's.
                held.lost = told.status == StatusCode::UNAUTHORIZED;
                if held.lost {
                    held.token.clear();
                    continue;
                }
            }
            let expected = if live {
                StatusCode::OK
            } else {
                StatusCode::UNAUTHORIZED
            };
            ensure!(
                told.status == expected,
                "{} was answered {}: {}",
                held.id,
                told.status,
                told.body
            );
            held.note(&told);
        }
        // What has ended, or has no token that is known, need not be asked about again.
        let told = client.me(&self.administrator.token).await?;
        ensure!(
            told.status == StatusCode::OK,
            "the administrator was signed out"
        );
        self.administrator.note(&told);
        Ok(())
    }

    /// `cut` if sign-ins were not answered. Each has taken one of five tries, as a wrong password would, so a
    /// right one must follow before the next are cut.
    async fn compare_passwords(&mut self, client: &mut Client, cut: bool) -> Result<()> {
        if let Some(new) = self.maybe.take() {
            self.sign_ins_unanswered += 1;
            let told = client.sign_in(&self.person.email, &new).await?;
            if told.status == StatusCode::OK {
                self.former = Some(std::mem::replace(&mut self.person.password, new));
            } else {
                self.former = Some(new);
            }
            if let Some(token) = told.body["token"].as_str() {
                self.keep(&told, token)?;
            }
            self.sign_ins_unanswered = 0;
        }
        let former = self.former.take();
        if let Some(former) = &former {
            let told = client.sign_in(&self.person.email, former).await?;
            ensure!(
                told.status == StatusCode::UNAUTHORIZED,
                "a password that is not in force was answered {}",
                told.status
            );
        } else if !cut {
            return Ok(());
        }
        let told = client
            .sign_in(&self.person.email, &self.person.password)
            .await?;
        ensure!(
            told.status == StatusCode::OK,
            "the password in force was answered {}",
            told.status
        );
        let token = told.body["token"].as_str().unwrap_or_default().to_owned();
        self.keep(&told, &token)
    }

    async fn compare_guesses(
        &mut self,
        look: &DatabaseConnection,
        client: &mut Client,
    ) -> Result<()> {
        let Some(victim) = self.victims.last().cloned() else {
            return Ok(());
        };
        let wrong = events_about(look, victim.id, "sign_in", "wrong_password").await?;
        let locked = events_about(look, victim.id, "sign_in", "locked").await?;
        let locks = events_about(look, victim.id, "user.locked", "success").await?;
        let sql = "SELECT count(*) FROM sign_in_attempt WHERE locked_at IS NOT NULL AND name = $1";
        let stored = number(look, sql, [victim.email.clone().into()]).await?;
        ensure!(wrong <= 5, "{wrong} wrong passwords were compared");
        ensure!(
            (self.guessed..=self.guessed + self.guess_unanswered).contains(&(wrong + locked)),
            "{wrong} wrong passwords are noted and {locked} refusals, {} were acknowledged",
            self.guessed
        );
        ensure!(locks == stored, "{locks} events of a lock, {stored} locks");
        if self.guessed + self.guess_unanswered >= 5 {
            // Every guess has taken its try, whether it was answered or not.
            if self.guessed >= 5 {
                let told = client.sign_in(&victim.email, &victim.password).await?;
                ensure!(
                    told.status == StatusCode::UNAUTHORIZED,
                    "a locked account let somebody in"
                );
                let locks = events_about(look, victim.id, "user.locked", "success").await?;
                ensure!(
                    locks == 1,
                    "an account that refuses has {locks} events of its lock"
                );
            }
            self.victims.pop();
            (self.guessed, self.guess_unanswered) = (0, 0);
        }
        Ok(())
    }
}
