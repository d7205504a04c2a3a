//! Lists taken away as files: read in parts, so that however long one is, memory and the database bear it.

use rollcall_core::{
    AuditAction, AuditEvent, AuditOutcome, AuditQuery, Error, Permission, Session, SessionFilter,
    SessionId, State, Timestamp,
};

use super::audit::{Describe, event};
use super::caller::Caller;
use super::facts::RequestFacts;
use super::{RequestBackend, Service};
use crate::db::audit::{After, AuditRecord};
use crate::db::{self, Scope};

/// Events that are read at once.
const EVENTS: u64 = 500;

/// Whose sessions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Whose {
    /// Those of everybody within reach. Needs `sessions.view`.
    Everybodys,
    /// The caller's own: the active ones, unless the filter names a state.
    Own,
}

/// Where an export of sessions goes on.
#[derive(Clone, Copy, Debug)]
pub struct AfterSession {
    after: Option<(Timestamp, SessionId)>,
    // States and durations are as of the beginning, whenever a part is read.
    as_of: Timestamp,
}

impl Service {
    /// Notes who takes sessions away, and begins. If that cannot be written down, nothing is exported.
    pub async fn begin_sessions_export(
        &self,
        caller: &Caller,
        facts: &RequestFacts,
        whose: Whose,
        what: &str,
    ) -> Result<AfterSession, Error> {
        sessions_scope(caller, whose)?;
        let what = match whose {
            Whose::Everybodys => what.to_owned(),
            Whose::Own => format!("own, {what}"),
        };
        self.note_export(caller, facts, AuditAction::SessionsExported, what)
            .await?;
        Ok(AfterSession {
            after: None,
            as_of: self.up_to_date().await,
        })
    }

    /// The next sessions, newest first, and where to go on; there may be none in this part.
    pub async fn export_sessions(
        &self,
        caller: &Caller,
        whose: Whose,
        filter: &SessionFilter,
        from: AfterSession,
    ) -> Result<(Vec<Session>, Option<AfterSession>), Error> {
        let scope = sessions_scope(caller, whose)?;
        let filter = match whose {
            Whose::Everybodys => filter.clone(),
            Whose::Own => SessionFilter {
                state: filter.state.or(Some(State::Active)),
                ..filter.clone()
            },
        };
        let found = db::session_list::list_matching_after(
            self.db().reader(),
            scope,
            &filter,
            from.after,
            from.as_of,
        )
        .await;
        let (mut sessions, next) = found.map_err(|error| self.database_error(error))?;
        for session in &mut sessions {
            session.current = session.id == caller.credential();
        }
        let next = next.map(|after| AfterSession {
            after: Some(after),
            ..from
        });
        Ok((sessions, next))
    }

    /// Notes who takes audit events away. If that cannot be written down, nothing is exported.
    pub async fn begin_audit_export(
        &self,
        caller: &Caller,
        facts: &RequestFacts,
        what: &str,
    ) -> Result<(), Error> {
        caller.authorise(Permission::AuditView)?;
        self.note_export(caller, facts, AuditAction::AuditExported, what.to_owned())
            .await
    }

    /// The next audit events, newest first, and where to go on.
    pub async fn export_audit(
        &self,
        caller: &Caller,
        query: &AuditQuery,
        after: Option<After>,
    ) -> Result<(Vec<AuditEvent>, Option<After>), Error> {
        let scope = caller.authorise(Permission::AuditView)?;
        db::audit::list_after(self.db().reader(), scope, query, after, EVENTS)
            .await
            .map_err(|error| self.database_error(error))
    }

    async fn note_export(
        &self,
        caller: &Caller,
        facts: &RequestFacts,
        action: AuditAction,
        what: String,
    ) -> Result<(), Error> {
        let record = event(self.now(), action, AuditOutcome::Success, Some(facts))
            .by(caller.user_id(), caller.name())
            .with(what);
        let record = AuditRecord {
            organisation: Some(caller.organisation_id()),
            ..record
        };
        self.write(move |tx, trail| Box::pin(async move { trail.append(tx, &record).await }))
            .await
    }
}

impl RequestBackend {
    /// Begins to take sessions away as a file; `what` is the format and the filters, for the audit trail.
    pub async fn begin_sessions_export(
        &self,
        whose: Whose,
        what: &str,
    ) -> Result<AfterSession, Error> {
        let work = async {
            let caller = self.signed_in()?;
            self.service
                .begin_sessions_export(caller, &self.facts, whose, what)
                .await
        };
        self.noted(work.await)
    }

    /// The next part of it. An export ends with its session, as every stream does.
    pub async fn export_sessions(
        &self,
        whose: Whose,
        filter: &SessionFilter,
        from: AfterSession,
    ) -> Result<(Vec<Session>, Option<AfterSession>), Error> {
        let work = async {
            let caller = self.service.as_of_now(self.signed_in()?).await?;
            self.service
                .export_sessions(&caller, whose, filter, from)
                .await
        };
        self.noted(work.await)
    }

    /// Begins to take audit events away as a file; `what` as for sessions.
    pub async fn begin_audit_export(&self, what: &str) -> Result<(), Error> {
        let work = async {
            let caller = self.signed_in()?;
            self.service
                .begin_audit_export(caller, &self.facts, what)
                .await
        };
        self.noted(work.await)
    }

    /// The next part of it.
    pub async fn export_audit(
        &self,
        query: &AuditQuery,
        after: Option<After>,
    ) -> Result<(Vec<AuditEvent>, Option<After>), Error> {
        let work = async {
            let caller = self.service.as_of_now(self.signed_in()?).await?;
            self.service.export_audit(&caller, query, after).await
        };
        self.noted(work.await)
    }
}

fn sessions_scope(caller: &Caller, whose: Whose) -> Result<Scope, Error> {
    match whose {
        Whose::Everybodys => caller.authorise(Permission::SessionsView),
        Whose::Own => Ok(Scope::User(caller.user_id())),
    }
}
