//! Mails: put on their way in the transaction of what they tell, sent by a timer.
//!
//! Whatever has to be told writes a row (`Post::letter`, `db::mail::post`), so that nothing is told of what did not happen
//! and nothing that happened is forgotten. Nobody waits for a mail server: a dead one slows nothing down. A mail that could not be
//! sent is tried again, ever more seldom, until it is not worth it any more.
//!
//! The secret of a link is made when its mail is sent, and never stored: the row has its hash. Nobody knows of a mail whose answer was
//! lost whether it arrived; the next one has a link of its own, and both are good for the same, once.

mod sender;
mod text;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rollcall_core::{Error, Timestamp, UserRef};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::facts::RequestFacts;
use super::secret::{ReportSecret, ResetSecret};
use super::{Service, user_agent, zones};
use crate::clock::{Random, uuid_v7};
use crate::config::mail::MailConfig;
use crate::db;
use crate::db::mail::{Due, Letter, LetterKind};
use crate::db::records::UserRecord;

use sender::{Sender, Unsent};
use text::Link;

/// How long a link that sets a password is good.
const RESET: Duration = Duration::from_secs(60 * 60);
/// How long a mail is worth sending, and how long a link that reports a sign-in is good.
const NEWS: Duration = Duration::from_secs(24 * 60 * 60);
/// Of what others can bring about, locks and sign-ins with a password that they know, a user is told so often within a day.
const MOST_A_DAY: i64 = 10;
/// Requests for a new password that wait to be looked at; a second's worth.
const MOST_ASKED: usize = 1_000;
/// Mails of one round.
const ROUND: u64 = 50;
/// How long a mail server is left alone that did not answer.
const REST: Duration = Duration::from_secs(10);
/// How long sent mails are kept, beyond what their links are good for.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// What the service has for mails, where it sends any.
pub(super) struct Mail {
    sender: Option<Sender>,
    asked: Mutex<VecDeque<AskedReset>>,
    // One round after another; until when the mail server is left alone.
    round: tokio::sync::Mutex<Timestamp>,
}

/// Somebody has asked for a new password for this name.
pub(super) struct AskedReset {
    pub(super) name: String,
    pub(super) at: Timestamp,
    pub(super) facts: RequestFacts,
}

/// Writes mails within transactions.
#[derive(Clone)]
pub(super) struct Post {
    // None where no mail is sent.
    random: Option<Arc<dyn Random>>,
}

impl Mail {
    /// Where mails go by these settings; they stay unwritten without any.
    ///
    /// # Errors
    /// In words, where no certificates of authorities can be read.
    pub(super) fn new(
        config: Option<&MailConfig>,
        public_origin: Option<&str>,
    ) -> anyhow::Result<Self> {
        let origin = public_origin.unwrap_or_default();
        let sender = config.map(|config| Sender::new(config, origin));
        Ok(Self {
            sender: sender.transpose()?,
            asked: Mutex::default(),
            round: tokio::sync::Mutex::new(Timestamp(0)),
        })
    }

    /// Notes that somebody has asked. False if too many have.
    pub(super) fn ask(&self, reset: AskedReset) -> bool {
        let mut asked = self.lock();
        let room = asked.len() < MOST_ASKED;
        if room {
            asked.push_back(reset);
        }
        room
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<AskedReset>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Post {
    /// A mail that tells somebody something; none to programs, nor where no mail is sent. Where from it happened is told, if it
    /// is known.
    pub(super) fn letter(
        &self,
        kind: LetterKind,
        to: &UserRef,
        from: Option<&RequestFacts>,
        now: Timestamp,
    ) -> Option<Letter> {
        let random = self.random.as_ref().filter(|_| !to.service_account)?;
        let agent = from.map(|facts| user_agent::parse(&facts.user_agent));
        let lifetime = if kind.sets_password() { RESET } else { NEWS };
        Some(Letter {
            id: uuid_v7(random.as_ref(), now),
            user: to.id,
            kind,
            email: to.email.clone(),
            session: None,
            device: agent.map_or_else(String::new, |agent| user_agent::session_name(&agent)),
            ip: from.map_or_else(String::new, |facts| facts.ip.to_string()),
            proof: None,
            created_at: now,
            expires_at: now + lifetime,
            step: 0,
        })
    }
}

/// Puts a mail on its way that others can bring about.
pub(super) async fn post_news(
    tx: &sea_orm::DatabaseTransaction,
    letter: Option<&Letter>,
) -> Result<(), db::DbError> {
    if let Some(letter) = letter {
        let since = letter.created_at - NEWS;
        db::mail::post_at_most(tx, Some(letter), MOST_A_DAY, since).await?;
    }
    Ok(())
}

/// What a link or a ticket is compared with: another password, or the same one set anew, makes another.
pub(super) fn proof(user: &UserRecord) -> [u8; 32] {
    Sha256::digest(user.password_hash.as_deref().unwrap_or_default()).into()
}

impl Service {
    /// Whether mails are sent.
    pub fn sends_mail(&self) -> bool {
        self.inner.mail.sender.is_some()
    }

    pub(super) fn post(&self) -> Post {
        Post {
            random: self.sends_mail().then(|| self.inner.random.clone()),
        }
    }

    /// Looks at who has asked for a new password, and sends the mails whose time has come. A failure is in the log, and the
    /// next round goes on. Answers how many were sent.
    pub async fn deliver_mail(&self) -> Result<u64, Error> {
        let Some(sender) = &self.inner.mail.sender else {
            return Ok(0);
        };
        let mut resting_until = self.inner.mail.round.lock().await;
        while let Some(asked) = self.next_asked() {
            let judged = self.answer_reset_request(&asked).await;
            if let Err(error) = judged {
                self.inner.mail.lock().push_front(asked);
                return Err(error);
            }
        }
        let now = self.now();
        if now < *resting_until {
            return Ok(0);
        }
        let due = db::mail::due(self.db().reader(), now, ROUND).await;
        let mut sent = 0;
        for due in due.map_err(|error| self.database_error(error))? {
            match self.deliver(sender, due).await? {
                Delivered::Sent => sent += 1,
                Delivered::Closed | Delivered::PutOff => {}
                // The others would find the same.
                Delivered::NobodyThere => {
                    *resting_until = self.now() + REST;
                    break;
                }
            }
        }
        Ok(sent)
    }

    fn next_asked(&self) -> Option<AskedReset> {
        self.inner.mail.lock().pop_front()
    }

    async fn deliver(&self, sender: &Sender, due: Due) -> Result<Delivered, Error> {
        let now = self.now();
        if due.expires_at <= now {
            self.close_letter(due, None, "expired").await?;
            return Ok(Delivered::Closed);
        }
        let (reset, report) = (
            ResetSecret::generate(self.random()),
            ReportSecret::generate(self.random()),
        );
        let hashes = (reset.hash(), report.hash());
        let next_at = now + patience(due.attempts);
        let taken = self.write(move |tx, _| {
            Box::pin(async move {
                let Some(letter) = db::mail::take(tx, due, now, next_at).await? else {
                    return Ok(None);
                };
                match letter.kind {
                    kind if kind.sets_password() => {
                        db::mail::add_link(tx, letter.id, &hashes.0).await?;
                    }
                    LetterKind::NewDevice => {
                        db::mail::add_link(tx, letter.id, &hashes.1).await?;
                    }
                    _ => {}
                }
                let zone = db::mail::zone_of(tx, letter.user).await?;
                Ok(Some((letter, zone)))
            })
        });
        let Some((letter, zone)) = taken.await? else {
            return Ok(Delivered::Closed);
        };
        let link = match letter.kind {
            kind if kind.sets_password() => Some(Link::Reset(reset.expose())),
            LetterKind::NewDevice => Some(Link::Report(report.expose())),
            _ => None,
        };
        let tz = zone.as_deref().and_then(zones::parse);
        let tz = tz.unwrap_or(self.config().time_zone);
        let zone = self.inner.zones.table(tz, now);
        let Err(unsent) = sender.send(&letter, link, &zone, now).await else {
            self.close_letter(due, Some(self.now()), "sent").await?;
            return Ok(Delivered::Sent);
        };
        match unsent {
            Unsent::ForGood(why) => {
                tracing::warn!(mail.id = %letter.id, mail.problem = why, "a mail cannot be sent");
                self.close_letter(due, None, "refused").await?;
                Ok(Delivered::Closed)
            }
            Unsent::ForNow(why) | Unsent::NobodyThere(why) => {
                tracing::warn!(mail.id = %letter.id, mail.attempts = due.attempts + 1, mail.problem = why, "a mail could not be sent; it is tried again");
                metrics::counter!("rollcall_mails_total", "outcome" => "put_off").increment(1);
                Ok(match unsent {
                    Unsent::NobodyThere(_) => Delivered::NobodyThere,
                    _ => Delivered::PutOff,
                })
            }
        }
    }

    async fn close_letter(
        &self,
        due: Due,
        sent_at: Option<Timestamp>,
        outcome: &'static str,
    ) -> Result<(), Error> {
        self.write(move |tx, _| {
            Box::pin(async move { db::mail::close(tx, due.id, sent_at).await })
        })
        .await?;
        metrics::counter!("rollcall_mails_total", "outcome" => outcome).increment(1);
        Ok(())
    }

    /// Forgets mails that are good for nothing any more.
    pub(super) fn mails_kept_since(&self) -> Timestamp {
        self.now() - KEPT
    }
}

enum Delivered {
    Sent,
    /// Over, one way or another.
    Closed,
    /// This one is not taken now.
    PutOff,
    /// None is taken now.
    NobodyThere,
}

// How long to wait after so many attempts.
fn patience(attempts: i64) -> Duration {
    const MINUTE: u64 = 60;
    Duration::from_secs(match attempts {
        0 => 15,
        1 => 30,
        2 => MINUTE,
        3 => 2 * MINUTE,
        4 => 5 * MINUTE,
        5 => 10 * MINUTE,
        6 => 20 * MINUTE,
        _ => 60 * MINUTE,
    })
}

/// A secret as it stands in a link.
type Shown = Zeroizing<String>;
