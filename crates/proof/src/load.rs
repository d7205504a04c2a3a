//! A mixed load by somebody who writes down what was acknowledged.

use std::net::SocketAddr;

use anyhow::{Result, bail, ensure};
use http::{Method, StatusCode};
use serde_json::json;
use tokio::sync::{Semaphore, watch};
use uuid::Uuid;

use crate::client::{Client, Told};
use crate::people::{Person, new_password, random};

mod compare;

/// What the client knows of the end of a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    /// Nobody has asked for it.
    Live,
    /// It was asked for, and no answer said that it was done.
    Asked,
    /// It was acknowledged.
    Ended,
}

/// A session that the client holds a token of.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    id: Uuid,
    token: String,
    /// How many successors of its first token it has received.
    received: i64,
    /// Its token has been accepted.
    used: bool,
    /// The last request with it had no answer, so it may have rotated once more.
    unanswered: bool,
    /// Its lineage may have been renewed in an answer that was lost.
    lost: bool,
    fate: Fate,
}

impl Held {
    /// A session whose token is known.
    pub(crate) fn new(id: Uuid, token: &str) -> Self {
        Self {
            id,
            token: token.to_owned(),
            received: 0,
            used: false,
            unanswered: false,
            lost: false,
            fate: Fate::Live,
        }
    }

    fn note(&mut self, told: &Told) {
        if let Some(successor) = &told.successor {
            successor.clone_into(&mut self.token);
            self.received += 1;
            self.used = false;
        } else if told.status.is_success() {
            self.used = true;
        }
        // What was answered with a fault may have been done all the same.
        self.unanswered = told.status.is_server_error();
    }
}

/// What a load has done and seen.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Tally {
    /// Changes that were acknowledged.
    pub(crate) acknowledged: u64,
    /// Rotations among them.
    pub(crate) rotated: u64,
    /// Requests that broke off.
    pub(crate) cut: u64,
    /// Requests that were answered 5xx.
    pub(crate) refused: u64,
}

impl Tally {
    /// Adds another's.
    pub(crate) fn add(&mut self, other: Self) {
        self.acknowledged += other.acknowledged;
        self.rotated += other.rotated;
        self.cut += other.cut;
        self.refused += other.refused;
    }
}

/// One user with all the sessions, and the memory of what was acknowledged.
pub(crate) struct Worker {
    person: Person,
    sessions: Vec<Held>,
    /// A session of an administrator, which ends others.
    administrator: Held,
    /// People whose passwords are guessed wrong, and how often the first was acknowledged.
    victims: Vec<Person>,
    guessed: i64,
    guess_unanswered: i64,
    /// A new password whose change was not acknowledged.
    maybe: Option<String>,
    former: Option<String>,
    sign_ins_unanswered: usize,
    /// A write that is refused does not fail the request that it rides on: a rotation, a first use.
    pub(crate) writes_may_be_refused: bool,
    /// What it has done and seen.
    pub(crate) tally: Tally,
}

impl Worker {
    /// A worker for a user without sessions yet.
    pub(crate) fn new(person: Person, administrator: Held, victims: Vec<Person>) -> Self {
        Self {
            person,
            sessions: Vec::new(),
            administrator,
            victims,
            guessed: 0,
            guess_unanswered: 0,
            maybe: None,
            former: None,
            sign_ins_unanswered: 0,
            writes_may_be_refused: false,
            tally: Tally::default(),
        }
    }

    /// Gives it a session that was stored directly.
    pub(crate) fn hold(&mut self, held: Held) {
        self.sessions.push(held);
    }

    /// The tokens of all its sessions that are known.
    pub(crate) fn tokens(&self) -> impl Iterator<Item = &str> {
        let own = self.sessions.iter().map(|held| held.token.as_str());
        own.chain([self.administrator.token.as_str()])
            .filter(|token| !token.is_empty())
    }

    /// Works until a request breaks off, and counts what was answered.
    pub(crate) async fn work(&mut self, address: SocketAddr, answered: &Semaphore) {
        // The server may be gone before the first connection.
        let Ok(mut client) = Client::open(address).await else {
            return;
        };
        while self.step(&mut client, random(100)).await.is_ok() {
            answered.add_permits(1);
        }
        self.tally.cut += 1;
    }

    /// Works until it is told to stop; a request that breaks off is a connection to open anew.
    pub(crate) async fn work_until(
        &mut self,
        address: SocketAddr,
        answered: &Semaphore,
        until: watch::Receiver<bool>,
    ) -> Result<()> {
        let mut client = Client::open(address).await?;
        while !*until.borrow() {
            self.step(&mut client, random(100)).await?;
            answered.add_permits(1);
        }
        Ok(())
    }

    /// One act, chosen by a number below 100.
    ///
    /// # Errors
    /// No answer came. What is not known now is written down.
    pub(crate) async fn step(&mut self, client: &mut Client, choice: u64) -> Result<()> {
        let live: Vec<usize> = (0..self.sessions.len())
            .filter(|&at| self.sessions[at].fate == Fate::Live && !self.sessions[at].lost)
            .collect();
        if live.len() < 3 && self.maybe.is_none() {
            return self.sign_in(client).await;
        }
        let pick = |from: &[usize]| from.get(random(from.len() as u64) as usize).copied();
        let Some(with) = pick(&live) else {
            return self.guess(client).await;
        };
        let others: Vec<usize> = live.iter().copied().filter(|&at| at != with).collect();
        // Acts that concern all others reach those too whose tokens were lost with an answer.
        let all_others: Vec<usize> = (0..self.sessions.len())
            .filter(|&at| at != with && self.sessions[at].fate != Fate::Ended)
            .collect();
        match (choice, pick(&others)) {
            (0..50, _) | (_, None) => self
                .ask(client, with, Method::GET, "/api/v1/me", None)
                .await
                .map(drop),
            (50..60, _) if self.maybe.is_none() => self.sign_in(client).await,
            (60..70, Some(other)) => self.end(client, with, other).await,
            (70..78, _) => {
                self.sessions[with].fate = Fate::Asked;
                let told = self
                    .ask(client, with, Method::POST, "/api/v1/sign-out", None)
                    .await?;
                self.settled(&[with], told.status == StatusCode::NO_CONTENT);
                Ok(())
            }
            (78..82, _) => {
                self.asked(&all_others);
                let path = "/api/v1/me/sessions?except=current";
                let told = self.ask(client, with, Method::DELETE, path, None).await?;
                self.settled(&all_others, told.status == StatusCode::NO_CONTENT);
                Ok(())
            }
            (82..90, Some(other)) => self.end_by_administrator(client, other).await,
            (90..94, _) if self.maybe.is_none() => {
                self.change_password(client, with, &all_others).await
            }
            _ => self.guess(client).await,
        }
    }

    fn asked(&mut self, which: &[usize]) {
        for &at in which {
            self.sessions[at].fate = Fate::Asked;
        }
    }

    fn settled(&mut self, which: &[usize], done: bool) {
        for &at in which {
            if done {
                self.sessions[at].fate = Fate::Ended;
            }
        }
        self.tally.acknowledged += u64::from(done);
    }

    async fn ask(
        &mut self,
        client: &mut Client,
        with: usize,
        method: Method,
        path: &str,
        body: Option<serde_json::Value>,
    ) -> Result<Told> {
        let held = &mut self.sessions[with];
        held.unanswered = true;
        let told = client.ask(method, path, Some(&held.token), body).await?;
        self.heard(&told)?;
        self.sessions[with].note(&told);
        Ok(told)
    }

    fn heard(&mut self, told: &Told) -> Result<()> {
        self.tally.refused += u64::from(told.status.is_server_error());
        self.tally.acknowledged += u64::from(told.successor.is_some());
        self.tally.rotated += u64::from(told.successor.is_some());
        ensure!(
            told.status != StatusCode::INTERNAL_SERVER_ERROR,
            "500: {}",
            told.body
        );
        Ok(())
    }

    async fn sign_in(&mut self, client: &mut Client) -> Result<()> {
        self.sign_ins_unanswered += 1;
        let told = client
            .sign_in(&self.person.email, &self.person.password)
            .await?;
        self.heard(&told)?;
        match (told.status, told.body["token"].as_str()) {
            (StatusCode::OK, Some(token)) => {
                self.sign_ins_unanswered -= 1;
                self.tally.acknowledged += 1;
                self.keep(&told, token)?;
            }
            (StatusCode::TOO_MANY_REQUESTS, _) => self.sign_ins_unanswered -= 1,
            (status, _) => ensure!(status.is_server_error(), "a sign-in was answered {status}"),
        }
        Ok(())
    }

    async fn end(&mut self, client: &mut Client, with: usize, other: usize) -> Result<()> {
        self.sessions[other].fate = Fate::Asked;
        let path = format!("/api/v1/me/sessions/{}", self.sessions[other].id);
        let told = self.ask(client, with, Method::DELETE, &path, None).await?;
        self.settled(&[other], told.status == StatusCode::NO_CONTENT);
        Ok(())
    }

    async fn end_by_administrator(&mut self, client: &mut Client, other: usize) -> Result<()> {
        self.sessions[other].fate = Fate::Asked;
        let path = format!("/api/v1/sessions/{}", self.sessions[other].id);
        self.administrator.unanswered = true;
        let token = self.administrator.token.clone();
        let body = json!({"reason": "a proof"});
        let told = client
            .ask(Method::DELETE, &path, Some(&token), Some(body))
            .await?;
        self.heard(&told)?;
        self.administrator.note(&told);
        self.settled(&[other], told.status == StatusCode::NO_CONTENT);
        Ok(())
    }

    async fn change_password(
        &mut self,
        client: &mut Client,
        with: usize,
        others: &[usize],
    ) -> Result<()> {
        let new = new_password();
        let body = json!({"current_password": self.person.password, "new_password": new});
        self.maybe = Some(new);
        self.sessions[with].lost = true;
        self.asked(others);
        let held = self.sessions[with].clone();
        let told = client
            .ask(
                Method::POST,
                "/api/v1/me/password",
                Some(&held.token),
                Some(body),
            )
            .await?;
        self.heard(&told)?;
        if told.status == StatusCode::NO_CONTENT {
            let held = &mut self.sessions[with];
            let Some(token) = told.successor else {
                bail!("a changed password came without a new token")
            };
            // A new lineage begins: nothing has been received of it, and its first use is written.
            *held = Held {
                used: true,
                ..Held::new(held.id, &token)
            };
            self.settled(others, true);
            if let Some(new) = self.maybe.take() {
                self.former = Some(std::mem::replace(&mut self.person.password, new));
            }
        } else {
            ensure!(
                told.status.is_server_error() || told.status == StatusCode::TOO_MANY_REQUESTS,
                "a change of password was answered {}",
                told.status
            );
        }
        Ok(())
    }

    async fn guess(&mut self, client: &mut Client) -> Result<()> {
        let Some(victim) = self.victims.last() else {
            return Ok(());
        };
        self.guess_unanswered += 1;
        let told = client.sign_in(&victim.email, &new_password()).await?;
        self.heard(&told)?;
        if told.status == StatusCode::UNAUTHORIZED {
            self.guess_unanswered -= 1;
            self.guessed += 1;
        }
        Ok(())
    }

    /// Takes over the session of a sign-in that was answered.
    fn keep(&mut self, told: &Told, token: &str) -> Result<()> {
        let id = told.body["session"]["id"].as_str().unwrap_or_default();
        // At sign-in the first use is written at once.
        self.sessions.push(Held {
            used: true,
            ..Held::new(id.parse()?, token)
        });
        Ok(())
    }
}
