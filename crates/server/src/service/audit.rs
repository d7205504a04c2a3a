//! The audit trail: events chained by HMAC, written in the transaction of the act they record.
//!
//! Each event's HMAC covers itself and the one before, under `audit.key` in the data folder, so a changed,
//! removed or reordered row is found. The newest number and HMAC are also kept in `audit.head` beside
//! the key, so that a cut tail is found. Source: OWASP Logging Cheat Sheet "tamper detection"; ASVS 16.4.2.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use hmac::{Hmac, KeyInit, Mac};
use rollcall_core::{
    AuditAction, AuditOutcome, OrganisationId, SessionId, Timestamp, UserId, UserRef,
};
use sea_orm::ConnectionTrait;
use sha2::Sha256;
use tokio::sync::watch;
use zeroize::Zeroizing;

use super::facts::RequestFacts;
use crate::clock::Random;
use crate::db::audit::AuditRecord;
use crate::db::{self, Database, DbError};

pub mod files;
pub mod verify;

type Key = Arc<Zeroizing<[u8; 32]>>;

/// The end of the trail: the number of the newest event and its HMAC.
pub type Head = (i64, [u8; 32]);

/// The trail's key and its noted end.
pub struct AuditTrail {
    key: Key,
    newest: watch::Sender<Head>,
    head_file: PathBuf,
}

/// The trail within one transaction.
pub struct Trail {
    key: Key,
    head: Mutex<Option<Head>>,
}

impl AuditTrail {
    /// Reads the key, or makes it at the first start, and compares the noted end with the database.
    /// What does not fit is a loud error in the log, and the note is kept for `verify`, since the next one
    /// would hide the cut; the server starts all the same, since refusing would let whoever can cut the
    /// trail stop the server too.
    pub async fn open(folder: &Path, db: &Database, random: &dyn Random) -> anyhow::Result<Self> {
        let key = files::read_or_make_key(folder, random)?;
        let stored = db::audit::head(db.reader()).await?;
        let doubt = match files::read_head(&folder.join(files::HEAD)) {
            Err(error) => Some(format!("{error:#}")),
            Ok(None) => None,
            Ok(Some(noted)) => {
                let there = match noted.0 {
                    0 => Some([0; 32]),
                    number => db::audit::find_hmac(db.reader(), number).await?,
                };
                // One that lies beyond the end is not there either.
                (there != Some(noted.1))
                    .then(|| format!("event {} was noted last, and is not there", noted.0))
            }
        };
        if let Some(doubt) = doubt {
            tracing::error!(
                audit.stored = stored.0,
                "the audit trail was cut or altered: its end is not the one that this server noted last ({doubt})"
            );
            files::keep_doubtful_head(folder)?;
        }
        Ok(Self {
            key: Arc::new(key),
            newest: watch::Sender::new(stored),
            head_file: folder.join(files::HEAD),
        })
    }

    /// The trail for one transaction.
    pub fn trail(&self) -> Trail {
        Trail {
            key: Arc::clone(&self.key),
            head: Mutex::new(None),
        }
    }

    /// Takes note of the end that a commit has made durable.
    pub fn committed(&self, head: Head) {
        self.newest.send_if_modified(|newest| {
            let newer = head.0 > newest.0;
            if newer {
                *newest = head;
            }
            newer
        });
    }

    /// Writes the newest end to `audit.head`, if it has moved since the last call of this `seen`.
    pub fn note_head(&self, seen: &mut watch::Receiver<Head>) -> anyhow::Result<()> {
        let head = *seen.borrow_and_update();
        files::write_head(&self.head_file, head)
    }

    /// Tells when the end has moved.
    pub fn subscribe(&self) -> watch::Receiver<Head> {
        self.newest.subscribe()
    }
}

impl Trail {
    /// Adds an event within the transaction.
    pub async fn append<C: ConnectionTrait>(
        &self,
        conn: &C,
        record: &AuditRecord,
    ) -> Result<(), DbError> {
        self.append_all(conn, std::slice::from_ref(record)).await
    }

    /// Adds several events within the transaction, in their order.
    pub async fn append_all<C: ConnectionTrait>(
        &self,
        conn: &C,
        records: &[AuditRecord],
    ) -> Result<(), DbError> {
        let head = db::audit::append_all(conn, records, &|previous, sequence, record| {
            chain(&self.key, previous, sequence, record)
        })
        .await?;
        if head.is_some() {
            *self.head.lock().unwrap_or_else(PoisonError::into_inner) = head;
        }
        Ok(())
    }

    /// The end of the trail after what was appended here.
    pub fn head(&self) -> Option<Head> {
        *self.head.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Begins an event: what was done and how it went, with the facts of the request.
pub fn event(
    now: Timestamp,
    action: AuditAction,
    outcome: AuditOutcome,
    facts: Option<&RequestFacts>,
) -> AuditRecord {
    AuditRecord {
        at: now,
        actor: None,
        actor_name: String::new(),
        target: None,
        target_name: String::new(),
        target_email: String::new(),
        organisation: None,
        action,
        outcome,
        session: None,
        detail: None,
        ip: facts.map(|facts| facts.ip.to_string()).unwrap_or_default(),
        user_agent: facts
            .map(|facts| facts.user_agent.clone())
            .unwrap_or_default(),
        request_id: facts
            .map(|facts| facts.request_id.clone())
            .unwrap_or_default(),
    }
}

/// Adds to an event step by step.
pub trait Describe: Sized {
    /// Who did it.
    fn by(self, id: UserId, name: &str) -> Self;
    /// Whom it was done to, and in which organisation.
    fn to(self, user: &UserRef, organisation: OrganisationId) -> Self;
    /// Which session it concerns.
    fn on(self, session: SessionId) -> Self;
    /// What else there is to say.
    fn with(self, detail: impl Into<String>) -> Self;
}

impl Describe for AuditRecord {
    fn by(self, id: UserId, name: &str) -> Self {
        Self {
            actor: Some(id),
            actor_name: name.to_owned(),
            ..self
        }
    }

    fn to(self, user: &UserRef, organisation: OrganisationId) -> Self {
        Self {
            target: Some(user.id),
            target_name: user.name.clone(),
            target_email: user.email.clone(),
            organisation: Some(organisation),
            ..self
        }
    }

    fn on(self, session: SessionId) -> Self {
        Self {
            session: Some(session),
            ..self
        }
    }

    fn with(self, detail: impl Into<String>) -> Self {
        Self {
            detail: Some(detail.into()),
            ..self
        }
    }
}

/// HMAC-SHA-256 over the one before and this event. Every field is preceded by its length, so that no
/// two events share a byte string.
pub fn chain(key: &[u8; 32], previous: &[u8; 32], sequence: i64, record: &AuditRecord) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    let mut field = |bytes: &[u8]| {
        mac.update(&(bytes.len() as u64).to_be_bytes());
        mac.update(bytes);
    };
    field(previous);
    field(&sequence.to_be_bytes());
    field(&record.at.0.to_be_bytes());
    field(
        record
            .actor
            .map(|id| *id.0.as_bytes())
            .as_ref()
            .map_or(&[], |id| id.as_slice()),
    );
    field(record.actor_name.as_bytes());
    field(
        record
            .target
            .map(|id| *id.0.as_bytes())
            .as_ref()
            .map_or(&[], |id| id.as_slice()),
    );
    field(record.target_name.as_bytes());
    field(record.target_email.as_bytes());
    field(
        record
            .organisation
            .map(|id| *id.0.as_bytes())
            .as_ref()
            .map_or(&[], |id| id.as_slice()),
    );
    field(record.action.as_str().as_bytes());
    field(record.outcome.as_str().as_bytes());
    field(
        record
            .session
            .map(|id| *id.0.as_bytes())
            .as_ref()
            .map_or(&[], |id| id.as_slice()),
    );
    field(record.detail.as_deref().unwrap_or_default().as_bytes());
    field(record.ip.as_bytes());
    field(record.user_agent.as_bytes());
    field(record.request_id.as_bytes());
    mac.finalize().into_bytes().into()
}
