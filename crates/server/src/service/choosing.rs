//! A sign-in with a right password that finds no room, where policy lets the user choose what ends: it waits for the
//! choice, on a ticket that is good for five minutes, once, for nothing else.

use std::time::Duration;

use rollcall_core::{
    AuditOutcome, Error, Kind, Leaving, PageSize, PendingSignIn, Policy, Rule, Session,
    SessionFilter, SessionQuery, State, Timestamp, UserId,
};

use super::Service;
use super::caller::Caller;
use super::facts::RequestFacts;
use super::mail::proof;
use super::opening::{Opening, Proof, Wanted};
use super::secret::Ticket;
use super::sign_in::{count_sign_in, user_ref};
use super::token::Token;
use crate::db;
use crate::db::records::{TicketRecord, UserRecord};

/// How long a ticket is good.
pub(super) const TICKET: Duration = Duration::from_secs(300);

/// A good ticket, whose it is, and what applies to them.
struct Pending {
    ticket: TicketRecord,
    user: UserRecord,
    policy: Policy,
}

/// What is stored of a ticket.
pub(super) fn ticket_for(
    ticket: &Ticket,
    user: &UserRecord,
    wanted: &Wanted,
    now: Timestamp,
) -> TicketRecord {
    TicketRecord {
        secret_hash: ticket.hash(),
        user: user.id,
        proof: proof(user),
        name: wanted.name.clone(),
        keep: wanted.keep,
        expires_at: now + TICKET,
    }
}

impl Service {
    /// What the holder of a ticket has to choose from.
    ///
    /// # Errors
    /// `ChoiceSpent` where the ticket is not good (any more).
    pub async fn pending_sign_in(
        &self,
        ticket: &Ticket,
        replaces: Option<&Caller>,
    ) -> Result<PendingSignIn, Error> {
        let Pending { user, policy, .. } = self.pending(ticket).await?;
        self.flush_activity().await?;
        let live = db::sessions::live_of_user(self.db().reader(), user.id, self.now())
            .await
            .map_err(|error| self.database_error(error))?;
        let replaced = replaces.map(Caller::credential);
        let live = live.iter().filter(|row| Some(row.id) != replaced).count() as u64;
        let most = policy.get(Rule::MostSessions);
        let surplus = match most {
            0 => 0,
            most => (live + 1).saturating_sub(u64::from(most)),
        };
        let mut sessions = self.sessions_to_choose(user.id).await?;
        sessions.retain(|session| Some(session.id) != replaced);
        Ok(PendingSignIn {
            user: user_ref(&user),
            sessions,
            live,
            most,
            surplus,
        })
    }

    /// Ends what was chosen and makes a session. Answers whether it outlives the browser, too.
    ///
    /// # Errors
    /// `SessionLimit` where too few were chosen, which leaves the ticket as it is; `ChoiceSpent` where that is not good.
    pub async fn finish_sign_in(
        &self,
        ticket: &Ticket,
        leaving: Leaving,
        replaces: Option<&Caller>,
        facts: &RequestFacts,
    ) -> Result<(Session, Token, bool), Error> {
        let Pending {
            ticket: stored,
            user,
            policy,
        } = self.pending(ticket).await?;
        let keep = stored.keep;
        let opening = Opening {
            user: &user,
            policy: &policy,
            key: user.email.clone(),
            proof: Proof::Ticket(stored.secret_hash),
            wanted: Wanted {
                name: stored.name,
                kind: Kind::Console,
                keep,
                leaving,
            },
            replaces,
        };
        let opened = self.open_session(opening, facts).await;
        let (session, token) = opened.map_err(|error| match error {
            // Disabled, deleted or given another password just now.
            Error::SignInFailed => Error::ChoiceSpent,
            other => other,
        })?;
        count_sign_in(AuditOutcome::Success);
        Ok((session, token, keep))
    }

    async fn pending(&self, ticket: &Ticket) -> Result<Pending, Error> {
        let reader = self.db().reader();
        let ticket = db::sign_in_tickets::find(reader, &ticket.hash(), self.now())
            .await
            .map_err(|error| self.database_error(error))?
            .ok_or(Error::ChoiceSpent)?;
        let user = db::users::find(reader, ticket.user)
            .await
            .map_err(|error| self.database_error(error))?
            .filter(|user| proof(user) == ticket.proof)
            .ok_or(Error::ChoiceSpent)?;
        let policy = self.policy_of(&user).await?;
        Ok(Pending {
            ticket,
            user,
            policy,
        })
    }

    /// The live sessions of a user who has proven the password, at most 100.
    pub(super) async fn sessions_to_choose(&self, user: UserId) -> Result<Vec<Session>, Error> {
        let query = SessionQuery {
            filter: SessionFilter {
                state: Some(State::Active),
                ..SessionFilter::default()
            },
            page_size: PageSize::new(100).unwrap_or_default(),
            ..SessionQuery::default()
        };
        let view = self.view().await?;
        let page = db::session_list::own(&view, user, None, &query, self.now()).await;
        Ok(page.map_err(|error| self.database_error(error))?.items)
    }
}
