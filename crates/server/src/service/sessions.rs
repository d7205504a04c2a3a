//! Reading sessions: lists, cards, one session.

use rollcall_core::{
    AuditEvent, AuditQuery, Error, Page, Permission, Session, SessionId, SessionQuery,
    SessionStats, State, Timestamp, UserId,
};

use super::Service;
use super::cache::CachedSession;
use super::caller::Caller;
use crate::db::records::{Authority, SessionRecord};
use crate::db::{self, Scope};

impl Service {
    /// Every session within the caller's reach that matches.
    pub async fn list_sessions(
        &self,
        caller: &Caller,
        query: &SessionQuery,
    ) -> Result<Page<Session>, Error> {
        let scope = caller.authorise(Permission::SessionsView)?;
        let now = self.up_to_date().await;
        let view = self.view().await?;
        let page = db::session_list::list(&view, scope, query, now).await;
        let mut page = page.map_err(|error| self.database_error(error))?;
        self.add_work(&view, &mut page.items, now).await?;
        Ok(marked(page, caller))
    }

    /// How many match, exactly.
    pub async fn count_sessions(
        &self,
        caller: &Caller,
        query: &SessionQuery,
    ) -> Result<u64, Error> {
        let scope = caller.authorise(Permission::SessionsView)?;
        let now = self.up_to_date().await;
        let view = self.view().await?;
        let count = db::session_list::count(&view, scope, &query.filter, now).await;
        count.map_err(|error| self.database_error(error))
    }

    /// The four cards.
    pub async fn session_stats(&self, caller: &Caller) -> Result<SessionStats, Error> {
        let scope = caller.authorise(Permission::SessionsView)?;
        let now = self.up_to_date().await;
        let view = self.view().await?;
        db::session_list::stats(&view, scope, now)
            .await
            .map_err(|error| self.database_error(error))
    }

    /// One session within the caller's reach.
    pub async fn find_session(&self, caller: &Caller, id: SessionId) -> Result<Session, Error> {
        let scope = caller.authorise(Permission::SessionsView)?;
        self.find_in(caller, scope, id).await
    }

    /// The next sessions within the caller's reach, newest first, after the given one; for answers that
    /// are streamed.
    pub async fn sessions_after(
        &self,
        caller: &Caller,
        after: Option<(Timestamp, SessionId)>,
        limit: u64,
    ) -> Result<Vec<Session>, Error> {
        let scope = caller.authorise(Permission::SessionsView)?;
        let now = self.up_to_date().await;
        let rows = db::session_list::list_after(self.db().reader(), scope, after, limit, now).await;
        rows.map_err(|error| self.database_error(error))
    }

    /// The caller's own sessions.
    pub async fn list_own_sessions(
        &self,
        caller: &Caller,
        query: &SessionQuery,
    ) -> Result<Page<Session>, Error> {
        let now = self.up_to_date().await;
        let view = self.view().await?;
        let page = db::session_list::own(
            &view,
            caller.user_id(),
            Some(caller.credential()),
            query,
            now,
        )
        .await;
        let mut page = page.map_err(|error| self.database_error(error))?;
        self.add_work(&view, &mut page.items, now).await?;
        Ok(marked(page, caller))
    }

    /// One of the caller's own sessions.
    pub async fn find_own_session(&self, caller: &Caller, id: SessionId) -> Result<Session, Error> {
        self.find_in(caller, Scope::User(caller.user_id()), id)
            .await
    }

    /// Audit events within the caller's reach, newest first.
    pub async fn list_audit(
        &self,
        caller: &Caller,
        query: &AuditQuery,
    ) -> Result<Page<AuditEvent>, Error> {
        let scope = caller.authorise(Permission::AuditView)?;
        let view = self.view().await?;
        let page = db::audit::list(&view, scope, query, self.now()).await;
        page.map_err(|error| self.database_error(error))
    }

    /// A session as its owner sees it, right after it was made.
    pub(super) async fn find_for_owner(
        &self,
        user: UserId,
        id: SessionId,
    ) -> Result<Session, Error> {
        let found =
            db::session_list::find(self.db().reader(), Scope::User(user), id, self.now()).await;
        found
            .map_err(|error| self.database_error(error))?
            .ok_or(Error::NotFound)
    }

    pub(super) async fn find_record(
        &self,
        id: SessionId,
    ) -> Result<Option<(SessionRecord, Authority)>, Error> {
        db::sessions::find(self.db().reader(), id)
            .await
            .map_err(|error| self.database_error(error))
    }

    /// The caller's own session, out of memory: what `GET /api/v1/me` answers costs no read.
    pub(super) fn own_session(&self, entry: &CachedSession) -> Session {
        let (record, authority) = (&entry.record, &entry.authority);
        let now = self.now();
        Session {
            id: record.id,
            user: authority.user.clone(),
            owner: None,
            organisation: authority.organisation.clone(),
            name: record.name.clone(),
            kind: record.kind,
            method: record.method,
            ip: record.ip.clone(),
            user_agent: record.user_agent.clone(),
            browser: record.browser.clone(),
            system: record.system.clone(),
            server_name: record.server_name.clone(),
            state: State::Active,
            ended: None,
            created_at: record.created_at,
            last_activity_at: entry.last_activity_at(),
            idle_expires_at: entry.idle_expires_at(),
            absolute_expires_at: record.absolute_expires_at,
            duration_seconds: now.seconds_since(record.created_at),
            idle_timeout_seconds: record.idle_timeout_seconds,
            current: true,
            work: None,
            brief: None,
        }
    }

    async fn find_in(
        &self,
        caller: &Caller,
        scope: Scope,
        id: SessionId,
    ) -> Result<Session, Error> {
        let now = self.up_to_date().await;
        let found = db::session_list::find(self.db().reader(), scope, id, now).await;
        let mut session = found
            .map_err(|error| self.database_error(error))?
            .ok_or(Error::NotFound)?;
        session.current = session.id == caller.credential();
        let one = std::slice::from_mut(&mut session);
        self.add_work(self.db().reader(), one, now).await?;
        Ok(session)
    }

    // What runs under these sessions, and what would stop with them.
    pub(super) async fn add_work(
        &self,
        connection: &impl sea_orm::ConnectionTrait,
        sessions: &mut [Session],
        now: Timestamp,
    ) -> Result<(), Error> {
        let added = db::session_work::fill(connection, sessions, now).await;
        added.map_err(|error| self.database_error(error))
    }

    // The moment before the flush, so that no activity later than it is missing. A flush that fails
    // leaves a list that is a second old, which beats none.
    pub(super) async fn up_to_date(&self) -> Timestamp {
        let _ = self.flush_activity().await;
        self.now()
    }
}

pub(super) fn marked(mut page: Page<Session>, caller: &Caller) -> Page<Session> {
    for session in &mut page.items {
        session.current = session.id == caller.credential();
    }
    page
}
