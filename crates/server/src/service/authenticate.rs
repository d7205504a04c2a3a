//! Checking a token, and rotating it.
//!
//! What a token means is decided by `core::rotation::judge` and `core::session::state_at`; this file
//! finds the facts, writes by conditional updates, and looks again when somebody else was first.

use std::sync::Arc;
use std::time::Duration;

use rollcall_core::rotation::{self, Verdict};
use rollcall_core::session::state_at;
use rollcall_core::{
    ApiKey, AuditAction, AuditOutcome, EndReason, Error, KeyState, OrganisationId, SessionId,
    Timestamp,
};
use tokio::sync::{Mutex, MutexGuard};

use super::Service;
use super::admin::OPERATOR;
use super::audit::{Describe, event};
use super::cache::CachedSession;
use super::caller::{Caller, KeyInUse};
use super::ending::ended_one;
use super::facts::RequestFacts;
use super::secret::KeySecret;
use super::stopping::with_stopped;
use super::token::Token;
use crate::db::{self, Authority, DbError};

/// How often somebody else may be first before this request gives up; each time means that another
/// request has changed the session, so two are rare and six do not happen.
const MOST_ROUNDS: usize = 6;

/// How often the use of an API key is written down.
const KEY_USE_NOTED_EVERY: Duration = Duration::from_secs(60);

/// What a token turned out to be.
#[derive(Debug)]
pub enum Authentication {
    /// A live session; with the successor that the answer must carry, if any.
    Live {
        /// Who asks.
        caller: Caller,
        /// The token to use from now on.
        successor: Option<Token>,
    },
    /// It was a session's, and the session has ended.
    Dead {
        /// Which session.
        session: SessionId,
        /// Why.
        reason: EndReason,
        /// When.
        at: Timestamp,
    },
    /// Nobody's.
    Unknown,
}

impl Service {
    /// Checks a token and notes the activity. Rotates if it is due and `may_rotate`.
    ///
    /// `Unavailable` when the database was unreachable last time, without asking the cache, or when it
    /// is needed now and does not answer.
    pub async fn authenticate(
        &self,
        token: &Token,
        may_rotate: bool,
        facts: &RequestFacts,
    ) -> Result<Authentication, Error> {
        self.authenticate_within(token, may_rotate, facts, None)
            .await
    }

    /// The same, where a session of any other organisation than this one is nobody's, and is not touched.
    pub(super) async fn authenticate_within(
        &self,
        token: &Token,
        may_rotate: bool,
        facts: &RequestFacts,
        organisation: Option<OrganisationId>,
    ) -> Result<Authentication, Error> {
        if !self.is_reachable() {
            return Err(Error::Unavailable);
        }
        let key = token.lineage_hash();
        let mut known = self.inner.cache.get(&key);
        for _ in 0..MOST_ROUNDS {
            let (session, fresh) = match known.take() {
                Some(session) => (session, false),
                None => match self.read_session(&key).await? {
                    Some(session) => (session, true),
                    None => return Ok(Authentication::Unknown),
                },
            };
            if organisation.is_some_and(|id| id != session.authority.organisation.id) {
                return Ok(Authentication::Unknown);
            }
            let now = self.now();
            let record = &session.record;
            let standing =
                token.standing(&record.rotation_key, &record.secret_hash, record.generation);
            if let Err((at, reason)) = state_at(&session.life(), now) {
                // The reason is only for someone who can show a token of this very session.
                return Ok(match standing {
                    rotation::Standing::Unknown => Authentication::Unknown,
                    _ => Authentication::Dead {
                        session: record.id,
                        reason,
                        at,
                    },
                });
            }
            let verdict = rotation::judge(
                standing,
                record.first_used_at,
                now,
                self.config().rotate_every,
            );
            let successor = match verdict {
                Verdict::Accept | Verdict::AcceptLate => None,
                Verdict::AcceptFirstUse => {
                    let _turn = self.inner.token_turns.wait(&key).await;
                    known = self.newer(&key, &session);
                    if known.is_some()
                        || self.note_first_use(&key, &session, now).await == Written::Late
                    {
                        continue;
                    }
                    None
                }
                Verdict::Rotate if may_rotate => {
                    let _turn = self.inner.token_turns.wait(&key).await;
                    known = self.newer(&key, &session);
                    if known.is_some() {
                        continue;
                    }
                    match self.rotate(&key, &session, token).await {
                        (Written::Late, _) => continue,
                        (_, successor) => successor,
                    }
                }
                Verdict::Rotate => None,
                Verdict::AnswerSuccessor => may_rotate.then(|| token.next(&record.rotation_key)),
                // What is not accepted is never decided by a copy.
                Verdict::Theft | Verdict::Unknown if !fresh => continue,
                Verdict::Theft => {
                    self.end_for_token_reuse(&key, &session, facts).await?;
                    return Ok(Authentication::Dead {
                        session: record.id,
                        reason: EndReason::TokenReuse,
                        at: now,
                    });
                }
                Verdict::Unknown => return Ok(Authentication::Unknown),
            };
            self.inner.activity.touch(&session, now);
            return Ok(Authentication::Live {
                caller: Caller::by_session(session),
                successor,
            });
        }
        tracing::warn!("a session changed again and again while a request was checked");
        Err(Error::Unavailable)
    }

    /// The same caller as things stand now, for work that outlasts one look at the token: with the
    /// permissions of this moment, or `Unauthenticated` if the session has ended meanwhile.
    pub async fn as_of_now(&self, caller: &Caller) -> Result<Caller, Error> {
        let session = match caller.key() {
            // Nobody takes the database away from whoever has it.
            Some(key) if key.record.id == OPERATOR => return Ok(caller.clone()),
            Some(key) => return self.key_as_of_now(key).await,
            None => caller.session()?,
        };
        let key = session.record.lineage_hash;
        let known = match self.inner.cache.get(&key) {
            Some(session) => Some(session),
            None => self.read_session(&key).await?,
        };
        let session = known.ok_or(Error::Unauthenticated)?;
        state_at(&session.life(), self.now()).map_err(|_| Error::Unauthenticated)?;
        Ok(Caller::by_session(session))
    }

    /// The caller that an API key stands for, if it is good and its owner may sign in. Notes the use, once a minute.
    pub async fn authenticate_key(&self, secret: &KeySecret) -> Result<Option<Caller>, Error> {
        if !self.is_reachable() {
            return Err(Error::Unavailable);
        }
        let now = self.now();
        let found = db::api_keys::find_by_hash(self.db().reader(), &secret.hash(), now).await;
        let caller = self.key_caller(found)?;
        if let Some(key) = caller.as_ref().and_then(Caller::key) {
            let last = key.record.last_used_at;
            if last.is_none_or(|last| now >= last + KEY_USE_NOTED_EVERY) {
                let id = key.record.id;
                self.write(move |tx, _| {
                    Box::pin(async move { db::api_keys::note_use(tx, id, now).await })
                })
                .await?;
            }
        }
        Ok(caller)
    }

    async fn key_as_of_now(&self, key: &KeyInUse) -> Result<Caller, Error> {
        let found = db::api_keys::find(self.db().reader(), key.record.id, self.now()).await;
        self.key_caller(found)?.ok_or(Error::Unauthenticated)
    }

    fn key_caller(
        &self,
        found: Result<Option<(ApiKey, Authority)>, DbError>,
    ) -> Result<Option<Caller>, Error> {
        let found = found.map_err(|error| self.database_error(error))?;
        let good = found.filter(|(key, owner)| {
            let may_sign_in = owner.user_enabled && !owner.deleted && owner.organisation_enabled;
            key.state == KeyState::Good && may_sign_in && !owner.password_change_required
        });
        Ok(good.map(|(key, owner)| Caller::by_key(key, owner)))
    }

    /// What another request has written since `session` was looked at, if the cache knows.
    fn newer(&self, key: &[u8; 32], session: &CachedSession) -> Option<Arc<CachedSession>> {
        let entry = self.inner.cache.get(key)?;
        (entry.version() > session.version()).then_some(entry)
    }

    pub(super) async fn read_session(
        &self,
        key: &[u8; 32],
    ) -> Result<Option<Arc<CachedSession>>, Error> {
        for _ in 0..MOST_ROUNDS {
            let authority_version = self.inner.cache.authority_version();
            let found = db::sessions::find_by_lineage(self.db().reader(), key).await;
            let Some((record, authority)) = found.map_err(|error| self.database_error(error))?
            else {
                return Ok(None);
            };
            let read = CachedSession::new(record, Arc::new(authority), authority_version);
            // An attempt to end what had expired by itself announces the end without storing it; no later
            // read would ever show more.
            let expired = state_at(&read.life(), self.now()).is_err();
            if read.record.ended.is_some() || (expired && self.inner.cache.has_ended(key)) {
                return Ok(Some(Arc::new(read)));
            }
            // `None`: it ended, or changed, between the read and now; the next read sees that.
            if let Some(session) = self.inner.cache.fill(*key, read) {
                return Ok(Some(session));
            }
        }
        Err(Error::Unavailable)
    }

    async fn note_first_use(
        &self,
        key: &[u8; 32],
        session: &Arc<CachedSession>,
        now: Timestamp,
    ) -> Written {
        let (id, generation) = (session.record.id, session.record.generation);
        let used = session.changed(|record| record.first_used_at = Some(now));
        let key = *key;
        let written = self
            .write_then(
                move |tx, _| {
                    Box::pin(
                        async move { db::sessions::note_first_use(tx, id, generation, now).await },
                    )
                },
                move |service, noted| {
                    if *noted {
                        service.inner.cache.changed(key, Arc::new(used));
                    }
                },
            )
            .await;
        Written::of(&written)
    }

    async fn rotate(
        &self,
        key: &[u8; 32],
        session: &Arc<CachedSession>,
        token: &Token,
    ) -> (Written, Option<Token>) {
        let successor = token.next(&session.record.rotation_key);
        let (id, generation) = (session.record.id, session.record.generation);
        let (old, new) = (session.record.secret_hash, successor.secret_hash());
        let rotated = session.changed(|record| {
            record.secret_hash = new;
            record.generation += 1;
            record.first_used_at = None;
        });
        let key = *key;
        let written = self
            .write_then(
                move |tx, _| {
                    Box::pin(
                        async move { db::sessions::rotate(tx, id, generation, &old, &new).await },
                    )
                },
                move |service, done| {
                    if *done {
                        service.inner.cache.changed(key, Arc::new(rotated));
                        metrics::counter!("rollcall_rotations_total").increment(1);
                    }
                },
            )
            .await;
        let written = Written::of(&written);
        // A refused rotation does not fail the request; the next one tries again.
        let successor = (written == Written::Done).then_some(successor);
        (written, successor)
    }

    async fn end_for_token_reuse(
        &self,
        key: &[u8; 32],
        session: &CachedSession,
        facts: &RequestFacts,
    ) -> Result<(), Error> {
        let now = self.now();
        let id = session.record.id;
        let record = event(
            now,
            AuditAction::TokenReused,
            AuditOutcome::Success,
            Some(facts),
        )
        .to(&session.authority.user, session.authority.organisation.id)
        .on(id);
        self.flush_activity().await?;
        let ended = self
            .write_then(
                move |tx, trail| {
                    Box::pin(async move {
                        let reason = EndReason::TokenReuse;
                        let stopped = db::sessions::end(tx, id, now, reason, None, None).await?;
                        if let Some(stopped) = &stopped {
                            trail.append_all(tx, &with_stopped(record, stopped)).await?;
                        }
                        Ok(stopped)
                    })
                },
                ended_one(*key, EndReason::TokenReuse),
            )
            .await?;
        if ended.is_some() {
            tracing::warn!(session.id = %id, "a retired token was presented; its session was ended");
        }
        Ok(())
    }
}

/// Requests with one token that is due arrive together. Without turns each would queue a write of its
/// own, of which one takes effect, and everybody else's writes would wait behind them. The conditional
/// updates decide all the same; turns only spare what is known to be late. Sessions share them by their
/// hash, so there is nothing to clean up.
pub(super) struct TokenTurns(Vec<Mutex<()>>);

impl Default for TokenTurns {
    fn default() -> Self {
        Self((0..256).map(|_| Mutex::default()).collect())
    }
}

impl TokenTurns {
    async fn wait(&self, key: &[u8; 32]) -> MutexGuard<'_, ()> {
        self.0[usize::from(key[0])].lock().await
    }
}

#[derive(PartialEq, Eq)]
enum Written {
    /// The update took effect.
    Done,
    /// Somebody else changed the row first.
    Late,
    /// The database refused.
    Refused,
}

impl Written {
    fn of(result: &Result<bool, Error>) -> Self {
        match result {
            Ok(true) => Self::Done,
            Ok(false) => Self::Late,
            Err(_) => Self::Refused,
        }
    }
}
