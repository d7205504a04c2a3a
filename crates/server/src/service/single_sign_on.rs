//! Signing in with an identity provider: there, and back with a code.
//!
//! Nothing is stored while somebody is on the way. What the browser brings back is sealed with a secret that only this
//! browser holds (its cookie): which provider, since when, where to go on. Nonce and PKCE verifier are made of the two,
//! so that a code that was issued for another browser or another beginning is worth nothing here (RFC 9700, 2.1.1).

mod newcomers;
mod turned;
mod way_back;

use rollcall_core::{
    AuditAction, AuditOutcome, Error, Kind, Leaving, ProviderKey, Session, Timestamp,
};
use sea_orm::DatabaseTransaction;
use sha2::{Digest, Sha256};

use super::Service;
use super::audit::{Describe, event};
use super::caller::Caller;
use super::facts::RequestFacts;
use super::openid::Demanded;
use super::opening::{Opening, Proof, Wanted};
use super::providers::Provider;
use super::secret::SignOnSecret;
use super::sign_in::{account_key, count_sign_in, session_name, usable};
use super::token::Token;
use crate::db::identities::SessionIdentity;
use crate::db::records::UserRecord;
use crate::db::{self, DbError};

pub use turned::{Failure, Turned};
use way_back::{LIVES, Opened, open, seal, way};

/// What somebody wants who signs in elsewhere.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Journey {
    /// The path to go on to.
    pub next: String,
    /// Keep me signed in.
    pub keep: bool,
    /// Prove anew who is there, in the session that is open, and open no other.
    pub confirm: bool,
}

/// What a browser brings back.
#[derive(Clone, Debug)]
pub struct Return<'r> {
    /// What it was sent with.
    pub state: &'r str,
    /// The code, if somebody has signed in there.
    pub code: Option<&'r str>,
    /// Who says so, if the provider does (RFC 9207).
    pub issuer: Option<&'r str>,
}

/// Somebody is back, and may go on.
pub struct Arrived {
    /// The session and its token; a token alone where somebody has only proven anew who they are.
    pub session: Option<Session>,
    /// The token from now on.
    pub token: Token,
    /// What they wanted.
    pub journey: Journey,
}

/// A sign-in that a session is opened for, and what proves it.
pub(super) struct Identified {
    pub(super) identity: SessionIdentity,
    /// When they signed in there, if that is known.
    pub(super) signed_in_at: Option<Timestamp>,
    /// The way back, to be used up.
    pub(super) spent: [u8; 32],
    pub(super) spent_until: Timestamp,
}

impl Identified {
    /// When the session's user has last proven who they are. Where nobody says, it was not just now.
    pub(super) fn authenticated_at(&self, now: Timestamp) -> Timestamp {
        match self.signed_in_at {
            Some(at) => at.min(now),
            None => now - super::reauthentication::GOOD_FOR,
        }
    }

    pub(super) fn in_words(&self) -> String {
        format!("single sign-on, {}", self.identity.provider)
    }

    /// Uses up the way back, and notes the sign-in of a user who may sign in and is still where they were. False if not.
    ///
    /// # Errors
    /// `ChoiceSpent` where somebody has come back by this way before.
    pub(super) async fn take_up(
        &self,
        tx: &DatabaseTransaction,
        user: &UserRecord,
        now: Timestamp,
    ) -> Result<bool, DbError> {
        self.use_up(tx, now).await?;
        let scope = db::Scope::Organisation(user.organisation_id);
        let held = db::user_changes::hold(tx, scope, user.id).await?;
        if !held.is_some_and(|held| usable(&held)) {
            return Ok(false);
        }
        db::users::note_sign_in_elsewhere(tx, user.id, now).await?;
        Ok(true)
    }

    async fn use_up(&self, tx: &DatabaseTransaction, now: Timestamp) -> Result<(), DbError> {
        match db::identities::spend(tx, &self.spent, self.spent_until, now).await? {
            true => Ok(()),
            false => Err(DbError::Refused(Error::ChoiceSpent)),
        }
    }
}

impl Service {
    /// Notes that whoever has the caller's session has proven at its provider who they are, just now. The session goes on
    /// with a token of a new lineage, as after a password (ASVS 7.2.4).
    async fn confirm_identity(
        &self,
        caller: &Caller,
        identified: Identified,
        facts: &RequestFacts,
    ) -> Result<Token, Failure> {
        let known = caller.session()?;
        let identity = &identified.identity;
        let (reader, user) = (self.db().reader(), caller.user_id());
        let theirs = db::identities::find_user(reader, &identity.issuer, &identity.subject).await;
        if theirs.map_err(|error| self.database_error(error))? != Some(user) {
            return Err(Turned::SomebodyElse.into());
        }
        let now = self.now();
        let record = event(
            now,
            AuditAction::Reauthenticated,
            AuditOutcome::Success,
            Some(facts),
        )
        .by(user, caller.name())
        .to(&caller.authority().user, caller.organisation_id())
        .on(caller.credential())
        .with(identified.in_words());
        let (session, old) = (caller.credential(), known.record.lineage_hash);
        let renewed = self
            .renew(
                session,
                old,
                move |tx, now| Box::pin(async move { identified.use_up(tx, now).await }),
                record,
            )
            .await;
        renewed.map_err(|error| match error {
            Error::ChoiceSpent | Error::Unauthenticated => Turned::Stale.into(),
            other => Failure::Error(other),
        })
    }

    /// What binds a sign-in elsewhere to one browser.
    pub fn new_sign_on_secret(&self) -> SignOnSecret {
        SignOnSecret::generate(self.random())
    }

    /// Where a browser with this secret goes to sign in.
    pub async fn begin_sign_on(
        &self,
        key: &ProviderKey,
        secret: &SignOnSecret,
        journey: Journey,
    ) -> Result<String, Failure> {
        let provider = self.usable_provider(key).await?;
        let (now, mut salt) = (self.now(), [0; 16]);
        self.random().fill(&mut salt);
        let sealed = seal(secret, key, salt, now, &journey);
        let way = way(secret, key, &sealed, &provider, journey.confirm);
        let there = self
            .inner
            .providers
            .sign_in_url(&provider.setup, &way, now)
            .await;
        there.map_err(|fault| Turned::from(fault).into())
    }

    /// Opens a session for whoever has come back, or proves anew who is there. `replaces` is the session whose cookie came
    /// with the request.
    pub async fn finish_sign_on(
        &self,
        key: &ProviderKey,
        secret: Option<&SignOnSecret>,
        back: Return<'_>,
        replaces: Option<&Caller>,
        facts: &RequestFacts,
    ) -> Result<Arrived, Failure> {
        let provider = self.usable_provider(key).await?;
        let secret = secret.ok_or(Turned::Stale)?;
        let opened = open(secret, key, back.state, self.now()).ok_or(Turned::Stale)?;
        // From here on it is somebody who began here; those are counted as other sign-ins are.
        let taken_at = self.now();
        self.take_attempt(facts, taken_at, AuditAction::SignIn)
            .await?;
        let arrived = self
            .arrive(&provider, secret, &opened, &back, replaces, facts)
            .await;
        match &arrived {
            Ok(_) => {
                self.inner.throttle.succeeded(facts.ip, taken_at);
                count_sign_in(AuditOutcome::Success);
            }
            Err(Failure::Turned(turned)) => {
                count_sign_in(AuditOutcome::Refused);
                let words = format!("single sign-on, {key}: {}", turned.as_str());
                let refused = event(
                    self.now(),
                    AuditAction::SignIn,
                    AuditOutcome::Refused,
                    Some(facts),
                );
                self.note_event(refused.with(words)).await;
            }
            Err(Failure::Error(_)) => {}
        }
        arrived
    }

    async fn arrive(
        &self,
        provider: &Provider,
        secret: &SignOnSecret,
        opened: &Opened,
        back: &Return<'_>,
        replaces: Option<&Caller>,
        facts: &RequestFacts,
    ) -> Result<Arrived, Failure> {
        let code = back.code.ok_or(Turned::Declined)?;
        if back
            .issuer
            .is_some_and(|issuer| issuer != provider.setup.issuer)
        {
            return Err(Turned::Unsound.into());
        }
        let way = way(secret, &provider.key, back.state, provider, false);
        let demanded = Demanded {
            signed_in_since: opened.journey.confirm.then_some(opened.began_at),
            claims: &provider.claims_wanted(),
        };
        let asserted = self
            .inner
            .providers
            .redeem(
                &provider.setup,
                provider.secret().map_err(|_| Turned::Away)?,
                way,
                code,
                demanded,
                self.now(),
            )
            .await
            .map_err(Turned::from)?;
        let identified = Identified {
            identity: SessionIdentity {
                provider: provider.key.to_string(),
                issuer: provider.setup.issuer.clone(),
                subject: asserted.subject.clone(),
                sid: asserted.sid.clone(),
            },
            signed_in_at: asserted.signed_in_at,
            spent: Sha256::digest(back.state).into(),
            spent_until: opened.began_at + LIVES,
        };
        let journey = opened.journey.clone();
        if journey.confirm {
            let caller = replaces.ok_or(Turned::Stale)?;
            let token = self.confirm_identity(caller, identified, facts).await?;
            return Ok(Arrived {
                session: None,
                token,
                journey,
            });
        }
        let user = self.user_behind(provider, &asserted, facts).await?;
        let policy = self.policy_of(&user).await?;
        let opening = Opening {
            user: &user,
            policy: &policy,
            key: account_key(&user.email),
            proof: Proof::Identity(Box::new(identified)),
            wanted: Wanted {
                name: session_name(None, facts)?,
                kind: Kind::Console,
                keep: journey.keep,
                leaving: Leaving::Only(Vec::new()),
            },
            replaces,
        };
        match self.open_session(opening, facts).await {
            Ok((session, token)) => Ok(Arrived {
                session: Some(session),
                token,
                journey,
            }),
            Err(Error::ChoiceSpent) => Err(Turned::Stale.into()),
            Err(error @ (Error::SignInFailed | Error::SessionLimit(_) | Error::OtherAddress)) => {
                Err(Turned::Account(error).into())
            }
            Err(error) => Err(error.into()),
        }
    }
}
