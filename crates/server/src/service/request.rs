//! One request's view of the service: `core::Backend` for both doors.
//!
//! It knows who asks, and collects what the answer must carry besides its body. Tokens leave through
//! `effects` only, into a header that the HTTP layer writes.

use std::future::Future;
use std::sync::{Mutex, PoisonError};

use rollcall_core::backend::{Answer, Backend};
use rollcall_core::{
    AuditAction, AuditEvent, AuditOutcome, AuditQuery, ChangePassword, Columns, EndAllScope,
    EndChoice, EndPreviewId, EndResult, EndRun, Error, FilterWords, Kind, LastEnd, Leaving, Me,
    OwnScope, Page, PendingSignIn, Policy, PolicyPlace, PolicyPreview, ProviderKey, Rule,
    SavedFilter, SavedFilterId, Session, SessionFilter, SessionId, SessionQuery, SessionStats,
    SignIn, SignInStep, Surroundings, Timestamp, UserId,
};

use super::audit::event;
use super::authenticate::Authentication;
use super::caller::Caller;
use super::choosing::TICKET;
use super::effects::{CookieEffect, Effects, TicketEffect};
use super::facts::{Presented, RequestFacts};
use super::secret::{EntryCode, Ticket};
use super::sign_in::Refused;
use super::token::Token;
use super::{Service, zones};
use crate::config::values::Origin;

/// The door that a request came through.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Door {
    /// A page.
    Page,
    /// A server function of our own pages.
    Rpc,
    /// The REST API.
    Api,
    /// A stream of the REST API: never rotates.
    Quiet,
}

enum Who {
    Caller(Caller),
    Dead(LastEnd),
    Nobody,
    Refused(Error),
}

/// The backend of one request.
pub struct RequestBackend {
    pub(super) service: Service,
    pub(super) facts: RequestFacts,
    pub(super) door: Door,
    with_cookie: bool,
    who: Who,
    effects: Mutex<Effects>,
    /// The one-time password or key that this request was given, and whose or which. Rendering asks for a page's data more than
    /// once, and what is handed over is gone after the first time.
    pub(super) handed: Mutex<Option<(uuid::Uuid, String)>>,
}

impl RequestBackend {
    /// Looks at the credential that came with the request. Never fails: what is wrong is remembered, and
    /// every call that needs a session answers it.
    pub async fn open(
        service: Service,
        facts: RequestFacts,
        presented: Presented,
        door: Door,
    ) -> Self {
        let mut effects = Effects::default();
        let with_cookie = matches!(
            presented,
            Presented::Cookie(_) | Presented::UnreadableCookie
        );
        let who = match &presented {
            Presented::Nothing | Presented::UnreadableCookie | Presented::UnreadableBearer => {
                Who::Nobody
            }
            Presented::Ambiguous => {
                let now = service.now();
                service
                    .note_event(event(
                        now,
                        AuditAction::CredentialsAmbiguous,
                        AuditOutcome::Refused,
                        Some(&facts),
                    ))
                    .await;
                Who::Refused(Error::AmbiguousCredentials)
            }
            Presented::Operator => match service.operator().await {
                Ok(caller) => Who::Caller(caller),
                Err(error) => Who::Refused(error),
            },
            Presented::Key(secret) => match service.authenticate_key(secret).await {
                Ok(Some(caller)) => Who::Caller(caller),
                Ok(None) => Who::Nobody,
                Err(error) => Who::Refused(error),
            },
            Presented::Cookie(token) | Presented::Bearer(token) => {
                match service
                    .authenticate(token, door != Door::Quiet, &facts)
                    .await
                {
                    Ok(Authentication::Live { caller, successor }) => {
                        match (successor, with_cookie) {
                            (Some(token), true) => {
                                let max_age = service.cookie_max_age(&caller);
                                effects.cookie = CookieEffect::Set { token, max_age };
                            }
                            (Some(token), false) => effects.bearer = Some(token),
                            (None, _) => {}
                        }
                        Who::Caller(caller)
                    }
                    Ok(Authentication::Dead { reason, at, .. }) => {
                        let end = LastEnd { reason, at };
                        effects.ended = (!with_cookie).then_some(end);
                        Who::Dead(end)
                    }
                    Ok(Authentication::Unknown) => Who::Nobody,
                    Err(error) => Who::Refused(error),
                }
            }
        };
        Self {
            service,
            facts,
            door,
            with_cookie,
            who,
            effects: Mutex::new(effects),
            handed: Mutex::default(),
        }
    }

    /// Who asks, if somebody is signed in.
    pub fn caller(&self) -> Option<&Caller> {
        match &self.who {
            Who::Caller(caller) => Some(caller),
            _ => None,
        }
    }

    /// Whether the request can be served at all: two credentials, or a database that is away, cannot.
    pub fn refused(&self) -> Option<Error> {
        match &self.who {
            Who::Refused(error) => Some(*error),
            _ => None,
        }
    }

    /// The facts of the request.
    pub fn facts(&self) -> &RequestFacts {
        &self.facts
    }

    /// What the answer must carry, as far as the calls have gone.
    pub fn effects(&self) -> Effects {
        self.lock().clone()
    }

    /// Signs a program in: the token is answered, and no cookie is set.
    pub async fn sign_in_for_token(&self, input: SignIn) -> Result<(Session, Token), Error> {
        if let Some(error) = self.refused() {
            return self.noted(Err(error));
        }
        let signed_in = self
            .service
            .sign_in(input, Kind::Api, None, &self.facts, None)
            .await;
        match signed_in {
            Ok(signed_in) => Ok(signed_in),
            Err(refused) => self.noted(Err(self.offer_choice(refused).await)),
        }
    }

    /// Signs in through the REST API with a cookie.
    pub async fn sign_in_for_cookie(&self, input: SignIn) -> Result<Session, Error> {
        let keep = input.keep;
        match self.open_with_password(input, None).await {
            Ok((session, token)) => {
                self.hold(&session, token, keep);
                Ok(session)
            }
            Err(refused) => self.noted(Err(self.offer_choice(refused).await)),
        }
    }

    async fn open_with_password(
        &self,
        input: SignIn,
        ticket: Option<&Ticket>,
    ) -> Result<(Session, Token), Refused> {
        if let Some(error) = self.refused() {
            return Err(error.into());
        }
        self.service
            .sign_in(input, Kind::Console, self.replaced(), &self.facts, ticket)
            .await
    }

    // The session that ends where somebody signs in in its place.
    pub(super) fn replaced(&self) -> Option<&Caller> {
        self.caller().filter(|_| self.with_cookie)
    }

    pub(super) fn hold(&self, session: &Session, token: Token, keep: bool) {
        let now = self.service.now();
        let max_age = keep.then(|| session.absolute_expires_at.seconds_since(now));
        let mut effects = self.lock();
        effects.cookie = CookieEffect::Set { token, max_age };
        if self.facts.ticket.is_some() {
            effects.ticket = TicketEffect::Expire;
        }
    }

    // Only a right password leads here, so that its user may see what is open.
    pub(super) async fn offer_choice(&self, refused: Refused) -> Error {
        if let Some(user) = refused.chooser
            && let Ok(choice) = self.service.sessions_to_choose(user).await
        {
            self.lock().choice = choice;
        }
        refused.error
    }

    /// The next sessions that the caller may see, newest first; for answers that are streamed. A stream
    /// ends with its session, so the caller is looked at anew for each part.
    pub async fn sessions_after(
        &self,
        after: Option<(Timestamp, SessionId)>,
        limit: u64,
    ) -> Result<Vec<Session>, Error> {
        let work = async {
            let caller = self.service.as_of_now(self.signed_in()?).await?;
            self.service.sessions_after(&caller, after, limit).await
        };
        self.noted(work.await)
    }

    /// Lets the caller's session into a protected host.
    pub async fn begin_entry(
        &self,
        origin: &Origin,
        state_hash: [u8; 32],
    ) -> Result<EntryCode, Error> {
        let work = async {
            let caller = self.signed_in()?;
            self.service.begin_entry(caller, origin, state_hash).await
        };
        self.noted(work.await)
    }

    /// Now, by the service's clock.
    pub fn now(&self) -> Timestamp {
        self.service.now()
    }

    /// The caller, whose password need not be changed first. A connected client is none: its session opens what
    /// `at_work` opens and nothing else, whatever its user may do. Nor is a session that an application has opened.
    pub fn signed_in(&self) -> Result<&Caller, Error> {
        let caller = self.at_work()?;
        if caller.is_client() {
            Err(Error::NotByClient)
        } else {
            Ok(caller)
        }
    }

    /// The caller, who may be a connected client.
    pub fn at_work(&self) -> Result<&Caller, Error> {
        let caller = self.known()?;
        if caller.is_on_behalf() {
            Err(Error::NotOnBehalf)
        } else {
            Ok(caller)
        }
    }

    /// The caller, whatever their session opens: enough to say who that is.
    fn known(&self) -> Result<&Caller, Error> {
        let caller = self.anyone_signed_in()?;
        if caller.password_change_required() {
            Err(Error::PasswordChangeRequired)
        } else {
            Ok(caller)
        }
    }

    // The token that this session has from now on.
    pub(super) fn hand_token(&self, caller: &Caller, token: Token) {
        let mut effects = self.lock();
        if self.with_cookie {
            let max_age = self.service.cookie_max_age(caller);
            effects.cookie = CookieEffect::Set { token, max_age };
        } else {
            effects.bearer = Some(token);
        }
    }

    pub(super) fn anyone_signed_in(&self) -> Result<&Caller, Error> {
        match &self.who {
            Who::Caller(caller) => Ok(caller),
            Who::Dead(_) | Who::Nobody => Err(Error::Unauthenticated),
            Who::Refused(error) => Err(*error),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Effects> {
        self.effects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn noted<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        if let Err(error) = &result {
            self.lock().error.get_or_insert(*error);
        }
        result
    }

    pub(super) fn answer<'a, T: Send + 'a>(
        &'a self,
        work: impl Future<Output = Result<T, Error>> + Send + 'a,
    ) -> Answer<'a, T> {
        Box::pin(async move { self.noted(work.await) })
    }

    fn after_end(&self, result: EndResult) -> EndResult {
        if result.signed_out {
            self.forget_cookie();
        }
        result
    }

    pub(super) fn forget_cookie(&self) {
        let mut effects = self.lock();
        // A successor that was made for this very request is dead too.
        effects.bearer = None;
        effects.cookie = if self.with_cookie {
            CookieEffect::Expire
        } else {
            CookieEffect::Keep
        };
        effects.clear_site_data = self.with_cookie;
    }
}

impl Backend for RequestBackend {
    fn redirect(&self, path: &str) {
        self.lock().redirect = Some(path.to_owned());
    }

    fn come_back(&self, path: &str) {
        self.lock().come_back = Some(path.to_owned());
    }

    fn surroundings(&self) -> Answer<'_, Surroundings> {
        self.answer(async {
            let viewer = self.caller().map(Caller::viewer);
            let now = self.service.now();
            let chosen = viewer
                .as_ref()
                .and_then(|viewer| viewer.time_zone.as_deref());
            let zone = chosen
                .or(self.facts.browser_zone.as_deref())
                .and_then(zones::parse)
                .unwrap_or(self.service.config().time_zone);
            Ok(Surroundings {
                viewer,
                now,
                zone: self.service.inner.zones.table(zone, now),
                support_contact: self.service.config().support_contact.clone(),
                request_id: self.facts.request_id.clone(),
                password_min_length: self.service.config().password_min_length,
            })
        })
    }

    fn last_end(&self) -> Answer<'_, Option<LastEnd>> {
        self.answer(async {
            match &self.who {
                Who::Dead(end) => {
                    if self.with_cookie {
                        self.lock().cookie = CookieEffect::Expire;
                    }
                    Ok(Some(*end))
                }
                // A database that is away is no reason to say that a session has ended.
                Who::Refused(Error::Unavailable) => Err(Error::Unavailable),
                _ => Ok(None),
            }
        })
    }

    fn sign_in(&self, input: SignIn) -> Answer<'_, SignInStep> {
        self.answer(async {
            let keep = input.keep;
            let ticket = Ticket::generate(self.service.random());
            match self.open_with_password(input, Some(&ticket)).await {
                Ok((session, token)) => {
                    self.hold(&session, token, keep);
                    Ok(SignInStep::Done)
                }
                Err(refused) if refused.chooser.is_some() => {
                    let max_age = TICKET.as_secs();
                    self.lock().ticket = TicketEffect::Set { ticket, max_age };
                    Ok(SignInStep::Choose)
                }
                Err(refused) => Err(refused.error),
            }
        })
    }

    fn pending_sign_in(&self) -> Answer<'_, PendingSignIn> {
        self.answer(async {
            let ticket = self.facts.ticket.as_ref().ok_or(Error::ChoiceSpent)?;
            self.service.pending_sign_in(ticket, self.replaced()).await
        })
    }

    fn finish_sign_in(&self, leaving: Leaving) -> Answer<'_, ()> {
        self.answer(async {
            if let Some(error) = self.refused() {
                return Err(error);
            }
            let ticket = self.facts.ticket.as_ref().ok_or(Error::ChoiceSpent)?;
            let finished = self
                .service
                .finish_sign_in(ticket, leaving, self.replaced(), &self.facts)
                .await;
            if let Err(Error::ChoiceSpent) = finished {
                self.lock().ticket = TicketEffect::Expire;
            }
            let (session, token, keep) = finished?;
            self.hold(&session, token, keep);
            Ok(())
        })
    }

    fn sign_out(&self) -> Answer<'_, Option<ProviderKey>> {
        self.answer(async {
            let there = match &self.who {
                Who::Caller(caller) => {
                    let there = self.service.signs_out_at(caller).await;
                    self.service.sign_out(caller, &self.facts).await?;
                    there
                }
                Who::Refused(error) => return Err(*error),
                Who::Dead(_) | Who::Nobody => None,
            };
            self.forget_cookie();
            Ok(there)
        })
    }

    fn me(&self) -> Answer<'_, Me> {
        self.answer(async { Ok(self.service.me(self.known()?)) })
    }

    fn change_password(&self, input: ChangePassword) -> Answer<'_, ()> {
        self.answer(async {
            let caller = self.anyone_signed_in()?;
            if caller.is_client() {
                return Err(Error::NotByClient);
            }
            if caller.is_on_behalf() {
                return Err(Error::NotOnBehalf);
            }
            let token = self
                .service
                .change_password(caller, &self.facts, input)
                .await?;
            self.hand_token(caller, token);
            Ok(())
        })
    }

    fn reauthenticate(&self, password: String) -> Answer<'_, ()> {
        self.answer(async move {
            let caller = self.signed_in()?;
            let token = self
                .service
                .reauthenticate(caller, &self.facts, &password)
                .await?;
            self.hand_token(caller, token);
            Ok(())
        })
    }

    fn reauthentication_due(&self) -> bool {
        self.signed_in()
            .is_ok_and(|caller| self.service.reauthentication_due(caller))
    }

    fn set_time_zone(&self, zone: Option<String>) -> Answer<'_, ()> {
        self.answer(async { self.service.set_time_zone(self.signed_in()?, zone).await })
    }

    fn time_zones(&self) -> Vec<&'static str> {
        zones::names()
    }

    fn list_own_sessions(&self, query: SessionQuery) -> Answer<'_, Page<Session>> {
        self.answer(async move {
            self.service
                .list_own_sessions(self.signed_in()?, &query)
                .await
        })
    }

    fn find_own_session(&self, id: SessionId) -> Answer<'_, Session> {
        self.answer(async move { self.service.find_own_session(self.signed_in()?, id).await })
    }

    fn rename_own_session(&self, id: SessionId, name: String) -> Answer<'_, Session> {
        self.answer(async move {
            self.service
                .rename_own_session(self.signed_in()?, &self.facts, id, &name)
                .await
        })
    }

    fn end_own_session(&self, id: SessionId) -> Answer<'_, EndResult> {
        self.answer(async move {
            let result = self
                .service
                .end_own_session(self.signed_in()?, &self.facts, id)
                .await;
            result.map(|result| self.after_end(result))
        })
    }

    fn end_own_sessions(&self, scope: OwnScope) -> Answer<'_, EndResult> {
        self.answer(async move {
            let result = self
                .service
                .end_own_sessions(self.signed_in()?, &self.facts, scope)
                .await;
            result.map(|result| self.after_end(result))
        })
    }

    fn list_sessions(&self, query: SessionQuery) -> Answer<'_, Page<Session>> {
        self.answer(async move { self.service.list_sessions(self.signed_in()?, &query).await })
    }

    fn describe_filter(&self, filter: SessionFilter) -> Answer<'_, Vec<FilterWords>> {
        self.answer(async move {
            self.service
                .describe_filter(self.signed_in()?, &filter)
                .await
        })
    }

    fn saved_filters(&self) -> Answer<'_, Vec<SavedFilter>> {
        self.answer(async { self.service.saved_filters(self.signed_in()?).await })
    }

    fn save_filter(&self, name: String, query: SessionQuery) -> Answer<'_, SavedFilter> {
        self.answer(async move {
            self.service
                .save_filter(self.signed_in()?, &name, query)
                .await
        })
    }

    fn delete_filter(&self, id: SavedFilterId) -> Answer<'_, ()> {
        self.answer(async move { self.service.delete_filter(self.signed_in()?, id).await })
    }

    fn columns(&self) -> Answer<'_, Columns> {
        self.answer(async { self.service.columns(self.signed_in()?) })
    }

    fn set_columns(&self, columns: Columns) -> Answer<'_, ()> {
        self.answer(async move { self.service.set_columns(self.signed_in()?, columns).await })
    }

    fn count_sessions(&self, query: SessionQuery) -> Answer<'_, u64> {
        self.answer(async move { self.service.count_sessions(self.signed_in()?, &query).await })
    }

    fn session_stats(&self) -> Answer<'_, SessionStats> {
        self.answer(async { self.service.session_stats(self.signed_in()?).await })
    }

    fn find_session(&self, id: SessionId) -> Answer<'_, Session> {
        self.answer(async move { self.service.find_session(self.signed_in()?, id).await })
    }

    fn end_session(&self, id: SessionId, note: Option<String>) -> Answer<'_, EndResult> {
        self.answer(async move {
            let result = self
                .service
                .end_session(self.signed_in()?, &self.facts, id, note.as_deref())
                .await;
            result.map(|result| self.after_end(result))
        })
    }

    fn end_user_sessions(&self, user: UserId, include_current: bool) -> Answer<'_, EndResult> {
        self.answer(async move {
            let result = self
                .service
                .end_user_sessions(self.signed_in()?, &self.facts, user, include_current)
                .await;
            result.map(|result| self.after_end(result))
        })
    }

    fn preview_end(&self, choice: EndChoice) -> Answer<'_, EndRun> {
        self.answer(async move {
            self.service
                .preview_end(self.signed_in()?, &self.facts, choice)
                .await
        })
    }

    fn end_previewed(&self, preview: EndPreviewId, note: Option<String>) -> Answer<'_, EndRun> {
        self.answer(async move {
            self.service
                .end_previewed(self.signed_in()?, &self.facts, preview, note.as_deref())
                .await
        })
    }

    fn end_progress(&self, preview: EndPreviewId) -> Answer<'_, EndRun> {
        self.answer(async move { self.service.end_progress(self.signed_in()?, preview).await })
    }

    fn end_all(&self, scope: EndAllScope, note: Option<String>) -> Answer<'_, EndResult> {
        self.answer(async move {
            let result = self
                .service
                .end_all(self.signed_in()?, &self.facts, scope, note.as_deref())
                .await;
            result.map(|result| self.after_end(result))
        })
    }

    fn policy(&self, place: PolicyPlace) -> Answer<'_, Policy> {
        self.answer(async move { self.service.policy(self.signed_in()?, place).await })
    }

    fn preview_policy(
        &self,
        place: PolicyPlace,
        values: Vec<(Rule, Option<u32>)>,
    ) -> Answer<'_, PolicyPreview> {
        self.answer(async move {
            self.service
                .preview_policy(self.signed_in()?, place, &values)
                .await
        })
    }

    fn set_policy(
        &self,
        place: PolicyPlace,
        values: Vec<(Rule, Option<u32>)>,
    ) -> Answer<'_, Policy> {
        self.answer(async move {
            self.service
                .set_policy(self.signed_in()?, &self.facts, place, values)
                .await
        })
    }

    fn list_audit(&self, query: AuditQuery) -> Answer<'_, Page<AuditEvent>> {
        self.answer(async move { self.service.list_audit(self.signed_in()?, &query).await })
    }
}

impl std::fmt::Debug for RequestBackend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RequestBackend")
            .field("facts", &self.facts)
            .finish_non_exhaustive()
    }
}
