//! Live sessions in memory, so that checking a token costs no read.
//!
//! The database is the truth; this is a bounded copy, written through by the only code that changes
//! sessions. It can never answer with something older than what a change has already announced:
//!
//! - every change leaves a *floor* for its session: the version that it wrote, or "ended". A fill whose
//!   read began before the change finds the floor and is dropped. Floors stay for 60 seconds, several
//!   times longer than any statement may run;
//! - an entry carries the authority version of its fill. Whatever changes users, roles or organisations
//!   raises that version, and every entry is then read anew before it is used again.
//!
//! For several servers on one database this type is the one to replace.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use quick_cache::sync::Cache;
use rollcall_core::Timestamp;
use rollcall_core::session::LifeFacts;

use crate::db::records::{Authority, SessionRecord};

const STRIPES: usize = 64;
const FLOOR_STAYS: Duration = Duration::from_secs(60);

/// The key of an entry: SHA-256 of the lineage.
pub type Key = [u8; 32];

/// A session as authentication needs it.
#[derive(Debug)]
pub struct CachedSession {
    /// The row as of its last change through this server; its activity is newer here than there.
    pub record: SessionRecord,
    /// The user, role and organisation behind it.
    pub authority: Arc<Authority>,
    authority_version: u64,
    // Shared by all versions of one session's entry, so that a use is never noted on a dead copy.
    usage: Arc<Usage>,
}

#[derive(Debug)]
struct Usage {
    last_activity: AtomicI64,
    unwritten: AtomicBool,
}

impl CachedSession {
    /// An entry for a row that was just read. `authority_version` must have been taken before reading.
    pub fn new(record: SessionRecord, authority: Arc<Authority>, authority_version: u64) -> Self {
        let last_activity = AtomicI64::new(record.last_activity_at.0);
        let usage = Arc::new(Usage {
            last_activity,
            unwritten: AtomicBool::new(false),
        });
        Self {
            record,
            authority,
            authority_version,
            usage,
        }
    }

    /// The same session after a change of its row.
    pub fn changed(&self, change: impl FnOnce(&mut SessionRecord)) -> Self {
        let mut record = self.record.clone();
        change(&mut record);
        Self {
            record,
            authority: Arc::clone(&self.authority),
            authority_version: self.authority_version,
            usage: Arc::clone(&self.usage),
        }
    }

    /// When it was last used, by what this server knows.
    pub fn last_activity_at(&self) -> Timestamp {
        Timestamp(self.usage.last_activity.load(Ordering::Relaxed))
    }

    /// When it ends if it is not used.
    pub fn idle_expires_at(&self) -> Timestamp {
        idle_expiry(self.last_activity_at(), self.record.idle_timeout_seconds)
    }

    /// Notes a use. True if nothing was waiting to be written for this entry until now.
    pub fn touch(&self, now: Timestamp) -> bool {
        self.usage.last_activity.fetch_max(now.0, Ordering::Relaxed);
        !self.usage.unwritten.swap(true, Ordering::AcqRel)
    }

    /// Takes note that its activity is about to be written; a later use asks for another write.
    pub fn activity_is_being_written(&self) {
        self.usage.unwritten.store(false, Ordering::Release);
    }

    /// All that decides whether it lives.
    pub fn life(&self) -> LifeFacts {
        LifeFacts {
            created_at: self.record.created_at,
            idle_expires_at: self.idle_expires_at(),
            absolute_expires_at: self.record.absolute_expires_at,
            ended: self.record.ended,
            user_ended_before: self.authority.user_ended_before,
            organisation_ended_before: self.authority.organisation_ended_before,
            installation_ended_before: self.authority.installation_ended_before,
            user_enabled: self.authority.user_enabled && !self.authority.deleted,
            organisation_enabled: self.authority.organisation_enabled,
        }
    }

    /// Grows with every rotation and first use of the session's token.
    pub fn version(&self) -> i64 {
        version(&self.record)
    }
}

/// When a session ends if it is not used after `last_activity_at`.
pub fn idle_expiry(last_activity_at: Timestamp, idle_timeout_seconds: i64) -> Timestamp {
    last_activity_at + Duration::from_secs(u64::try_from(idle_timeout_seconds).unwrap_or(0))
}

// A row changes by rotating (one more generation) and by the first use of its token.
fn version(record: &SessionRecord) -> i64 {
    record.generation * 2 + i64::from(record.first_used_at.is_some())
}

#[derive(Clone, Copy)]
enum Floor {
    Version(i64),
    Ended,
}

#[derive(Default)]
struct Stripe {
    floors: HashMap<Key, (Floor, Instant)>,
    next_clean: Option<Instant>,
}

/// The cache of live sessions.
pub struct SessionCache {
    entries: Cache<Key, Arc<CachedSession>>,
    stripes: Vec<Mutex<Stripe>>,
    authority_version: AtomicU64,
}

impl SessionCache {
    /// A cache for at most `capacity` sessions.
    pub fn new(capacity: usize) -> Self {
        Self {
            entries: Cache::new(capacity),
            stripes: (0..STRIPES).map(|_| Mutex::default()).collect(),
            authority_version: AtomicU64::new(0),
        }
    }

    /// The version to give to entries whose read begins now.
    pub fn authority_version(&self) -> u64 {
        self.authority_version.load(Ordering::Acquire)
    }

    /// Makes every entry be read anew: a user, role, organisation or epoch has changed.
    pub fn authority_changed(&self) {
        self.authority_version.fetch_add(1, Ordering::AcqRel);
    }

    /// A usable entry.
    pub fn get(&self, key: &Key) -> Option<Arc<CachedSession>> {
        self.entries
            .get(key)
            .filter(|entry| entry.authority_version == self.authority_version())
    }

    /// Whether it was announced, not long ago, that this session does not live any more.
    pub fn has_ended(&self, key: &Key) -> bool {
        matches!(self.stripe(key).floors.get(key), Some((Floor::Ended, _)))
    }

    /// Keeps what was read, unless something newer is known, and answers what is valid now. `None` if
    /// the session has ended in the meantime.
    pub fn fill(&self, key: Key, mut read: CachedSession) -> Option<Arc<CachedSession>> {
        let stripe = self.stripe(&key);
        match stripe.floors.get(&key) {
            Some((Floor::Ended, _)) => return None,
            // What was read is older than what was written since: fit for nobody.
            Some((Floor::Version(least), _)) if read.version() < *least => {
                return self
                    .entries
                    .get(&key)
                    .filter(|entry| entry.version() >= *least);
            }
            _ => {}
        }
        if let Some(existing) = self.entries.get(&key) {
            if existing.version() > read.version()
                && existing.authority_version >= read.authority_version
            {
                return Some(existing);
            }
            existing
                .usage
                .last_activity
                .fetch_max(read.last_activity_at().0, Ordering::Relaxed);
            read.usage = Arc::clone(&existing.usage);
        }
        let read = Arc::new(read);
        // A read with a stale authority serves this request's retry at most; `get` refuses it.
        self.entries.insert(key, Arc::clone(&read));
        Some(read)
    }

    /// Writes a change through, after it was committed.
    pub fn changed(&self, key: Key, entry: Arc<CachedSession>) {
        let mut stripe = self.stripe(&key);
        match stripe.floors.get(&key) {
            Some((Floor::Ended, _)) => return,
            // The entry that said so may have been pushed out: the floor still knows.
            Some((Floor::Version(least), _)) if *least > entry.version() => return,
            _ => {}
        }
        let newest = self.entries.get(&key);
        if newest.is_some_and(|existing| existing.version() > entry.version()) {
            return;
        }
        stripe.set_floor(key, Floor::Version(entry.version()), Instant::now());
        self.entries.insert(key, entry);
    }

    /// Ends a session, after that was committed and before it is answered.
    pub fn ended(&self, key: Key) {
        let mut stripe = self.stripe(&key);
        stripe.set_floor(key, Floor::Ended, Instant::now());
        self.entries.remove(&key);
    }

    fn stripe(&self, key: &Key) -> MutexGuard<'_, Stripe> {
        let index = usize::from(key[0]) % STRIPES;
        self.stripes[index]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stripe {
    fn set_floor(&mut self, key: Key, floor: Floor, now: Instant) {
        if self.next_clean.is_none_or(|next| next <= now) {
            self.floors
                .retain(|_, (_, set)| now.duration_since(*set) < FLOOR_STAYS);
            self.next_clean = Some(now + FLOOR_STAYS / 4);
        }
        self.floors.insert(key, (floor, now));
    }
}

impl std::fmt::Debug for SessionCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionCache")
            .field("entries", &self.entries.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
