//! Opening a session for somebody who has proven who they are.

use rollcall_core::{
    AuditAction, AuditOutcome, EndReason, Error, Kind, Leaving, Method, OrganisationId, Policy,
    Session, SessionId, Timestamp, UserId,
};

use super::audit::{Describe, event};
use super::cache::idle_expiry;
use super::caller::Caller;
use super::choosing::ticket_for;
use super::ending::ended_one;
use super::facts::RequestFacts;
use super::limits::Room;
use super::mail::post_news;
use super::password::Password;
use super::secret::Ticket;
use super::sign_in::{count_sign_in, unlock_before, user_ref};
use super::single_sign_on::Identified;
use super::stopping::with_stopped;
use super::token::Token;
use super::{Service, Timeouts, user_agent};
use crate::clock::uuid_v7;
use crate::db;
use crate::db::records::{AuditRecord, SessionRecord, UserRecord};
use crate::db::stopping::Stopped;

/// The session that somebody signs in for.
pub(super) struct Wanted {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) keep: bool,
    /// Sessions to end where there are as many as there may be.
    pub(super) leaving: Leaving,
}

/// What makes somebody entitled to a session.
pub(super) enum Proof<'a> {
    /// The password. Where there is no room and the user may choose, the ticket is stored, if there is one.
    Password(&'a Password, Option<&'a Ticket>),
    /// The ticket with this hash, which is used up.
    Ticket([u8; 32]),
    /// What an identity provider says.
    Identity(Box<Identified>),
}

/// A session to be opened.
pub(super) struct Opening<'a> {
    pub(super) user: &'a UserRecord,
    pub(super) policy: &'a Policy,
    /// The name that attempts are counted under.
    pub(super) key: String,
    pub(super) proof: Proof<'a>,
    pub(super) wanted: Wanted,
    pub(super) replaces: Option<&'a Caller>,
}

impl Service {
    pub(super) async fn open_session(
        &self,
        opening: Opening<'_>,
        facts: &RequestFacts,
    ) -> Result<(Session, Token), Error> {
        let Opening {
            user,
            policy,
            key,
            proof,
            wanted,
            replaces,
        } = opening;
        let now = self.now();
        let token = Token::generate(self.random());
        let room = Room::new(user, policy, facts, now, wanted.leaving.clone(), replaces);
        let (mut used, mut kept, mut elsewhere) = (None, None, None);
        let mut password = None;
        match proof {
            Proof::Ticket(hash) => used = Some(hash),
            Proof::Password(given, ticket) => {
                password = Some(given);
                kept = ticket
                    .filter(|_| room.lets_choose())
                    .map(|ticket| ticket_for(ticket, user, &wanted, now));
            }
            Proof::Identity(identified) => elsewhere = Some(*identified),
        }
        let timeouts = self.timeouts_for(policy, wanted.kind, wanted.keep);
        let owner = (user.id, user.organisation_id);
        let mut record = self.new_session(owner, &token, wanted, timeouts, facts, now);
        if let Some(there) = &elsewhere {
            record.method = Method::SingleSignOn;
            record.authenticated_at = there.authenticated_at(now);
        }
        let (id, user_id) = (record.id, user.id);
        let person = user_ref(user);
        let by_user = |action| {
            event(now, action, AuditOutcome::Success, Some(facts))
                .by(user.id, &user.name)
                .to(&person, user.organisation_id)
        };
        let mut signed_in = by_user(AuditAction::SignIn).on(id);
        if let Some(there) = &elsewhere {
            signed_in = signed_in.with(there.in_words());
        }
        let created = by_user(AuditAction::SessionCreated)
            .on(id)
            .with(record.kind.as_str());
        let newcomer = self.newcomer(&person, &record, &signed_in, facts);
        let replaced = replaces.map(|caller| {
            let old = event(
                now,
                AuditAction::SessionEnded,
                AuditOutcome::Success,
                Some(facts),
            )
            .by(user.id, &user.name)
            .to(&caller.authority().user, caller.organisation_id())
            .on(caller.credential())
            .with(EndReason::Replaced.as_str());
            (caller.credential(), old)
        });
        // Raising the cost of hashing reaches each account at its next sign-in.
        let rehashed = match (user.password_hash.as_deref(), password) {
            (Some(old), Some(password)) if self.inner.hasher.is_outdated(old) => {
                let new = self
                    .inner
                    .hasher
                    .hash(password, self.random())
                    .await
                    .map_err(|_| Error::TooManyAttempts(1))?;
                Some((old.to_owned(), new))
            }
            _ => None,
        };
        let (compared, stored) = (user.clone(), record);
        if replaced.is_some() || room.is_limited() {
            self.flush_activity().await?;
        }
        let old_lineage = replaces
            .and_then(|caller| caller.session().ok())
            .map(|session| session.record.lineage_hash);
        let refused = by_user(AuditAction::SignIn);
        let unlock_before = unlock_before(policy, now);
        let (signed, ..) = self
            .write_then(
                move |tx, trail| {
                    Box::pin(async move {
                        let leaving = match room.find(tx).await? {
                            Ok(leaving) => leaving,
                            Err(error) => {
                                // As whoever uses a ticket takes it before the attempts.
                                if let (Some(kept), Error::SessionLimit(_)) = (&kept, error) {
                                    db::sign_in_tickets::create(tx, kept, now).await?;
                                }
                                if elsewhere.is_none() {
                                    db::attempts::give_back(tx, &key).await?;
                                }
                                let refused = AuditRecord {
                                    outcome: AuditOutcome::Refused,
                                    ..refused.with(error.code())
                                };
                                trail.append(tx, &refused).await?;
                                return Ok((Err(error), Vec::new(), Stopped::default()));
                            }
                        };
                        if let Some(hash) = &used
                            && !db::sign_in_tickets::consume(tx, hash, now).await?
                        {
                            return Err(db::DbError::Refused(Error::ChoiceSpent));
                        }
                        // Users, attempts, sessions with their counters, and the trail last, as everywhere.
                        let may = match &elsewhere {
                            None => db::users::note_sign_in(tx, &compared, now).await?,
                            // A lock is honoured whatever the way in, and when somebody is back from it.
                            Some(there) => {
                                there.take_up(tx, &compared, now).await?
                                    && !db::attempts::refuses(tx, &key, unlock_before).await?
                            }
                        };
                        if !may {
                            return Err(db::DbError::Refused(Error::SignInFailed));
                        }
                        if let Some((old, new)) = rehashed {
                            db::users::replace_hash(tx, user_id, &old, &new).await?;
                        }
                        match &elsewhere {
                            // Tries are taken and given back by passwords.
                            None => db::attempts::give_back(tx, &key).await?,
                            Some(there) => {
                                db::identities::note_session(tx, stored.id, &there.identity)
                                    .await?;
                            }
                        }
                        let mut news = None;
                        if let Some(newcomer) = newcomer
                            && db::devices::note(tx, user_id, &newcomer.seen).await?
                        {
                            post_news(tx, newcomer.letter.as_ref()).await?;
                            news = Some(newcomer.event);
                        }
                        db::sessions::insert(tx, &stored, &compared.email).await?;
                        let (made, stopped, mut events) = room.make(tx, leaving).await?;
                        events.extend([signed_in, created]);
                        events.extend(news);
                        let mut ended = None;
                        if let Some((old, record)) = replaced {
                            let (by, reason) = (Some(user_id), EndReason::Replaced);
                            ended = db::sessions::end(tx, old, now, reason, by, None).await?;
                            if let Some(stopped) = &ended {
                                events.extend(with_stopped(record, stopped));
                            }
                        }
                        trail.append_all(tx, &events).await?;
                        Ok((Ok(ended), made, stopped))
                    })
                },
                move |service, (signed, made, stopped)| {
                    service.ended_many(made, EndReason::Limit, stopped);
                    if let (Some(lineage), Ok(ended)) = (old_lineage, signed) {
                        ended_one(lineage, EndReason::Replaced)(service, ended);
                    }
                },
            )
            .await?;
        signed.inspect_err(|_| count_sign_in(AuditOutcome::Refused))?;
        let mut session = self.find_for_owner(user_id, id).await?;
        session.current = true;
        Ok((session, token))
    }

    pub(super) fn new_session(
        &self,
        (user_id, organisation_id): (UserId, OrganisationId),
        token: &Token,
        wanted: Wanted,
        timeouts: Timeouts,
        facts: &RequestFacts,
        now: Timestamp,
    ) -> SessionRecord {
        let Wanted {
            name, kind, keep, ..
        } = wanted;
        let agent = user_agent::parse(&facts.user_agent);
        let idle_timeout_seconds = i64::try_from(timeouts.idle.as_secs()).unwrap_or(i64::MAX);
        let mut rotation_key = [0; 32];
        self.random().fill(&mut rotation_key);
        SessionRecord {
            id: SessionId(uuid_v7(self.random(), now)),
            user_id,
            organisation_id,
            lineage_hash: token.lineage_hash(),
            secret_hash: token.secret_hash(),
            rotation_key,
            generation: 0,
            // At sign-in the first use is written at once.
            first_used_at: Some(now),
            name,
            kind,
            method: Method::Password,
            keep,
            ip: facts.ip.to_string(),
            user_agent: facts.user_agent.clone(),
            browser: agent.browser,
            system: agent.system,
            server_name: self.config().server_name.clone(),
            created_at: now,
            authenticated_at: now,
            last_activity_at: now,
            idle_timeout_seconds,
            idle_expires_at: idle_expiry(now, idle_timeout_seconds),
            absolute_expires_at: now + timeouts.absolute,
            ended: None,
        }
    }
}
