//! Forward authentication: what a proxy in front of some application asks about each request, and how a browser comes by a
//! credential on the application's host.
//!
//! A session has another credential on each host, so that an application never sees one that is good elsewhere. It does
//! not rotate, opens `verify` for its host and nothing else, and dies with the session.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use rollcall_core::session::state_at;
use rollcall_core::{
    AuditAction, AuditOutcome, Error, OrganisationId, RoleKey, SessionId, UserRef,
};

use super::Service;
use super::audit::{Describe, event};
use super::authenticate::Authentication;
use super::cache::{CachedSession, Key};
use super::caller::Caller;
use super::facts::RequestFacts;
use super::secret::{EntryCode, EntryState, HostCredential};
use super::token::Token;
use crate::config::protect::{Path, ProtectRule, Who};
use crate::config::values::Origin;
use crate::db::protected_hosts::NewCode;
use crate::db::{self, DbError};

/// How long a browser may take from here to the host that it enters.
const CODE_LIVES: Duration = Duration::from_secs(30);

/// A credential on its host. Whose it is never changes, so that it can be kept in memory; whether its session lives is asked
/// each time.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct HostKey {
    secret_hash: [u8; 32],
    host: String,
}

/// A request to a protected host, as its proxy describes it.
#[derive(Debug)]
pub struct Forwarded {
    /// The host, as the list has it.
    pub origin: Origin,
    /// The method.
    pub method: Method,
    /// The path.
    pub path: Path,
    /// What the browser has shown on that host.
    pub credential: Option<HostCredential>,
    /// What a program has shown instead.
    pub bearer: Option<Token>,
}

/// Who asks, for the application.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identity {
    /// The user.
    pub user: UserRef,
    /// The keys of the user's roles, the primary one first.
    pub roles: Vec<RoleKey>,
    /// The user's organisation.
    pub organisation: OrganisationId,
    /// The session.
    pub session: SessionId,
}

/// What becomes of a request to a protected host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It goes on, with who asks if that is known.
    Let(Option<Identity>),
    /// Nobody is signed in.
    SignIn,
    /// Whoever is signed in may not.
    Forbidden,
}

impl Service {
    /// The protected host of this name, in whatever letters and with the scheme's own port or without.
    pub fn protected_host(&self, name: &str) -> Option<&Origin> {
        let mut origins = self.config().protect.iter().map(|rule| &rule.origin);
        origins.find(|origin| {
            let normal = crate::config::values::normal_host(name, origin.https);
            normal.is_some_and(|host| host == origin.host)
        })
    }

    /// Decides about a request. The first rule that speaks of it counts; where none does, nobody passes. Counts as a use
    /// of the session.
    pub async fn verify(
        &self,
        request: &Forwarded,
        facts: &RequestFacts,
    ) -> Result<Verdict, Error> {
        // Not even what is open to everyone: an application would take a visitor for nobody.
        if !self.is_reachable() {
            return Err(Error::Unavailable);
        }
        let speaks = |rule: &&ProtectRule| {
            rule.origin == request.origin && rule.covers(&request.method, &request.path)
        };
        let rule = self.config().protect.iter().find(speaks);
        let asking = self.who_asks(request, facts).await?;
        Ok(match (rule.map(|rule| &rule.who), asking) {
            (Some(Who::Everyone), asking) => Verdict::Let(asking.as_ref().map(identity)),
            (_, None) => Verdict::SignIn,
            (Some(who), Some(asking)) if lets_in(who, &asking) => {
                Verdict::Let(Some(identity(&asking)))
            }
            (_, Some(_)) => Verdict::Forbidden,
        })
    }

    async fn who_asks(
        &self,
        request: &Forwarded,
        facts: &RequestFacts,
    ) -> Result<Option<Caller>, Error> {
        let asking = match (&request.credential, &request.bearer) {
            // Two credentials could be two people's.
            (Some(_), Some(_)) => return Err(Error::AmbiguousCredentials),
            (Some(credential), None) => self.by_credential(credential, &request.origin).await?,
            (None, Some(token)) => match self.authenticate(token, false, facts).await? {
                Authentication::Live { caller, .. } => Some(caller),
                Authentication::Dead { .. } | Authentication::Unknown => None,
            },
            (None, None) => None,
        };
        // Neither stands for its user here: the one may do less, the other has to change a password first.
        Ok(asking.filter(|caller| !caller.is_client() && !caller.password_change_required()))
    }

    async fn by_credential(
        &self,
        credential: &HostCredential,
        origin: &Origin,
    ) -> Result<Option<Caller>, Error> {
        let known = HostKey {
            secret_hash: credential.hash(),
            host: origin.to_string(),
        };
        let lineage = match self.inner.host_credentials.get(&known) {
            Some(lineage) => lineage,
            None => {
                let (hash, host) = (&known.secret_hash, &known.host);
                let found =
                    db::protected_hosts::find_credential(self.db().reader(), hash, host).await;
                let Some(lineage) = found.map_err(|error| self.database_error(error))? else {
                    return Ok(None);
                };
                self.inner.host_credentials.insert(known, lineage);
                lineage
            }
        };
        let Some(session) = self.live_session(&lineage).await? else {
            return Ok(None);
        };
        self.inner.activity.touch(&session, self.now());
        Ok(Some(Caller::by_session(session)))
    }

    /// The session with this lineage, if it lives.
    async fn live_session(&self, lineage: &Key) -> Result<Option<Arc<CachedSession>>, Error> {
        let known = match self.inner.cache.get(lineage) {
            Some(session) => Some(session),
            None => self.read_session(lineage).await?,
        };
        let now = self.now();
        Ok(known.filter(|session| state_at(&session.life(), now).is_ok()))
    }

    /// What binds an entry to one browser.
    pub fn new_entry_state(&self) -> EntryState {
        EntryState::generate(self.random())
    }

    /// Lets the caller's session into a protected host: answers a code that is good there once, for 30 seconds, and for the
    /// browser that holds the state with this hash.
    pub async fn begin_entry(
        &self,
        caller: &Caller,
        origin: &Origin,
        state_hash: [u8; 32],
    ) -> Result<EntryCode, Error> {
        let lineage_hash = caller.session()?.record.lineage_hash;
        let (now, code) = (self.now(), EntryCode::generate(self.random()));
        let new = NewCode {
            secret_hash: code.hash(),
            host: origin.to_string(),
            state_hash,
            lineage_hash,
            expires_at: now + CODE_LIVES,
        };
        self.write(move |tx, _| {
            Box::pin(async move { db::protected_hosts::create_code(tx, &new, now).await })
        })
        .await?;
        Ok(code)
    }

    /// Exchanges a code for a credential on its host. `None` where the code is not good there, for that browser, or any
    /// more, or its session has ended.
    pub async fn finish_entry(
        &self,
        origin: &Origin,
        code: &EntryCode,
        state: &EntryState,
        facts: &RequestFacts,
    ) -> Result<Option<HostCredential>, Error> {
        let credential = HostCredential::generate(self.random());
        let now = self.now();
        let (host, secret_hash) = (origin.to_string(), credential.hash());
        let (code_hash, state_hash) = (code.hash(), state.hash());
        let entered = event(
            now,
            AuditAction::HostEntered,
            AuditOutcome::Success,
            Some(facts),
        )
        .with(host.clone());
        self.flush_activity().await?;
        let done = self
            .write(move |tx, trail| {
                Box::pin(async move {
                    let lineage =
                        db::protected_hosts::consume_code(tx, &code_hash, &host, &state_hash, now)
                            .await?;
                    let Some(lineage) = lineage else {
                        return Ok(false);
                    };
                    let found = db::sessions::find_by_lineage(tx, &lineage).await?;
                    let live = found.filter(|(record, authority)| {
                        state_at(&authority.life_facts(record), now).is_ok()
                    });
                    let Some((record, authority)) = live else {
                        return Ok(false);
                    };
                    db::protected_hosts::create_credential(tx, &secret_hash, &host, &lineage, now)
                        .await?;
                    let entered = entered
                        .by(authority.user.id, &authority.user.name)
                        .to(&authority.user, authority.organisation.id)
                        .on(record.id);
                    trail.append(tx, &entered).await?;
                    Ok::<_, DbError>(true)
                })
            })
            .await?;
        Ok(done.then_some(credential))
    }
}

fn lets_in(who: &Who, asking: &Caller) -> bool {
    match who {
        Who::Everyone => true,
        Who::SignedIn {
            roles,
            organisation,
        } => {
            (roles.is_empty() || roles.iter().any(|role| asking.has_role(role)))
                && organisation.is_none_or(|id| id == asking.organisation_id())
        }
    }
}

fn identity(asking: &Caller) -> Identity {
    let authority = asking.authority();
    Identity {
        user: authority.user.clone(),
        roles: authority.roles.clone(),
        organisation: authority.organisation.id,
        session: asking.credential(),
    }
}
