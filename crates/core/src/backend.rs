//! The one trait through which both doors, pages and REST, reach the server.

use std::future::Future;
use std::pin::Pin;

use crate::audit::AuditEvent;
use crate::audit_query::AuditQuery;
use crate::choices::{Columns, SavedFilter};
use crate::error::Error;
use crate::filter::{SessionFilter, SessionQuery};
use crate::filter_words::FilterWords;
use crate::ids::{EndPreviewId, SavedFilterId, SessionId, UserId};
use crate::many::{EndAllScope, EndChoice, EndRun};
use crate::page::Page;
use crate::policy::{Policy, PolicyPlace, PolicyPreview, Rule};
use crate::providers::ProviderKey;
use crate::session::{Session, SessionStats};
use crate::viewer::{
    ChangePassword, EndResult, LastEnd, Leaving, Me, OwnScope, PendingSignIn, SignIn, SignInStep,
    Surroundings,
};

/// A boxed answer, so that the trait can be used as an object.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

/// What Rollcall can do for one request. One value per request: it knows the caller, the address, the
/// user agent and the response that is being made, and sets cookies by itself, so that no token ever
/// crosses this trait.
///
/// Every method authorises first: `Unauthenticated` without a live session, `PasswordChangeRequired`
/// until a one-time password is changed (except `surroundings`, `sign_out` and `change_password`),
/// `Forbidden` without the permission, `NotFound` for what is another organisation's, `Unavailable` when
/// the database cannot be asked.
pub trait Backend:
    crate::people_backend::PeopleBackend
    + crate::work_backend::WorkBackend
    + crate::integrations_backend::IntegrationsBackend
    + crate::providers::ProvidersBackend
    + crate::mail::MailBackend
{
    /// Sends the browser to this path of ours when the call succeeds: a plain form by 303, the client by
    /// the header that it follows. `path` has one leading slash; anything else is taken for `/`.
    fn redirect(&self, path: &str);

    /// Sends a plain form back to this path of ours when the call fails, with the error in it: a page that shows again what
    /// was typed. Without this it goes back to the page that it came from.
    fn come_back(&self, path: &str);

    /// Who is looking, what time it is, in which zone. Works for everyone.
    fn surroundings(&self) -> Answer<'_, Surroundings>;

    /// Why the session ended whose dead token came with the request. Shown once: the cookie expires
    /// with this answer.
    fn last_end(&self) -> Answer<'_, Option<LastEnd>>;

    /// Signs in with a password and sets the cookie. A session that came with the request ends
    /// (`replaced`). Where there are as many sessions as there may be and the user may choose which ones end, the answer
    /// carries a ticket for `pending_sign_in` and `finish_sign_in` instead.
    fn sign_in(&self, input: SignIn) -> Answer<'_, SignInStep>;

    /// The sign-in whose ticket came with the request. `ChoiceSpent` where there is none that is good.
    fn pending_sign_in(&self) -> Answer<'_, PendingSignIn>;

    /// Ends what was chosen, signs in with the ticket that came with the request and sets the cookie. `SessionLimit`
    /// where too few were chosen; the ticket stays good then. `ChoiceSpent` where it is not.
    fn finish_sign_in(&self, leaving: Leaving) -> Answer<'_, ()>;

    /// Ends the caller's session and expires the cookie. Works without a session too. Answers the identity provider that
    /// the browser is to be led to, where signing out here is signing out there.
    fn sign_out(&self) -> Answer<'_, Option<ProviderKey>>;

    /// The caller, their permissions and this session.
    fn me(&self) -> Answer<'_, Me>;

    /// Changes the caller's password, gives this session a new token and ends all others.
    fn change_password(&self, input: ChangePassword) -> Answer<'_, ()>;

    /// Takes the caller's password once more and gives this session a new token. What changes who may sign in, or what
    /// they may do, answers `ReauthenticationRequired` where this, or the sign-in, is more than 15 minutes ago.
    fn reauthenticate(&self, password: String) -> Answer<'_, ()>;

    /// Whether a page had better ask for the password before it offers such a change: it would be too long ago soon.
    fn reauthentication_due(&self) -> bool;

    /// Sets the zone that times are shown in; `None` follows the browser.
    fn set_time_zone(&self, zone: Option<String>) -> Answer<'_, ()>;

    /// The IANA names that `set_time_zone` takes.
    fn time_zones(&self) -> Vec<&'static str>;

    /// The caller's own sessions: the current one first, then the other active ones by last activity.
    fn list_own_sessions(&self, query: SessionQuery) -> Answer<'_, Page<Session>>;

    /// One of the caller's own sessions.
    fn find_own_session(&self, id: SessionId) -> Answer<'_, Session>;

    /// Gives one of the caller's own active sessions another name, at most 80 characters without control
    /// characters. `SessionNotActive` if it has ended.
    fn rename_own_session(&self, id: SessionId, name: String) -> Answer<'_, Session>;

    /// Ends one of the caller's own sessions. `SessionNotActive` if it has ended already.
    fn end_own_session(&self, id: SessionId) -> Answer<'_, EndResult>;

    /// Ends the caller's other sessions, or all of them.
    fn end_own_sessions(&self, scope: OwnScope) -> Answer<'_, EndResult>;

    /// Every session that the caller may see. Needs `sessions.view`.
    fn list_sessions(&self, query: SessionQuery) -> Answer<'_, Page<Session>>;

    /// The filters of a list in words, but for search, state and kind; what is another organisation's stays an id. Needs
    /// `sessions.view`.
    fn describe_filter(&self, filter: SessionFilter) -> Answer<'_, Vec<FilterWords>>;

    /// The caller's saved filters, by name. Needs `sessions.view`.
    fn saved_filters(&self) -> Answer<'_, Vec<SavedFilter>>;

    /// Saves what a list is asked for under a name, at most 80 characters; at most 50 of them. `NameTaken` if the caller
    /// has one of this name. Needs `sessions.view`.
    fn save_filter(&self, name: String, query: SessionQuery) -> Answer<'_, SavedFilter>;

    /// Removes one of the caller's saved filters. Needs `sessions.view`.
    fn delete_filter(&self, id: SavedFilterId) -> Answer<'_, ()>;

    /// The columns that the caller has chosen for the table of sessions. Needs `sessions.view`.
    fn columns(&self) -> Answer<'_, Columns>;

    /// Chooses them. Needs `sessions.view`.
    fn set_columns(&self, columns: Columns) -> Answer<'_, ()>;

    /// The exact number of sessions that match, where a list stopped counting. Needs `sessions.view`.
    fn count_sessions(&self, query: SessionQuery) -> Answer<'_, u64>;

    /// The four cards. Needs `sessions.view`.
    fn session_stats(&self) -> Answer<'_, SessionStats>;

    /// One session. Needs `sessions.view`.
    fn find_session(&self, id: SessionId) -> Answer<'_, Session>;

    /// Ends one session, with an optional reason in words (at most 200 characters). Needs
    /// `sessions.end`, or that the session is the caller's own. `SessionNotActive` if it has ended.
    fn end_session(&self, id: SessionId, note: Option<String>) -> Answer<'_, EndResult>;

    /// Ends all sessions of a user; the caller's current one only if `include_current`. Needs
    /// `sessions.end`.
    fn end_user_sessions(&self, user: UserId, include_current: bool) -> Answer<'_, EndResult>;

    /// Seals which live sessions would end, and counts them. Needs `sessions.end`. `Invalid(Filter, Missing)` for a
    /// filter that leaves everything; `NotFound` where one of the chosen sessions is unknown or foreign.
    fn preview_end(&self, choice: EndChoice) -> Answer<'_, EndRun>;

    /// Ends what a preview of this session holds, with a reason in words (at most 200 characters). What takes longer
    /// than a few seconds goes on by itself: `end_progress` tells. Needs `sessions.end`. `PreviewSpent` where
    /// it was used or is too old.
    fn end_previewed(&self, preview: EndPreviewId, note: Option<String>) -> Answer<'_, EndRun>;

    /// A preview of this session and what became of it. Needs `sessions.end`.
    fn end_progress(&self, preview: EndPreviewId) -> Answer<'_, EndRun>;

    /// Ends all sessions of a user, an organisation or the installation at once, the caller's own among them if it is
    /// one of those. Needs `sessions.end`, for the installation in all organisations.
    fn end_all(&self, scope: EndAllScope, note: Option<String>) -> Answer<'_, EndResult>;

    /// What users of an organisation or a role have to keep to, with where each value comes from. Needs `policy.manage`; whoever
    /// manages one organisation need not name it.
    fn policy(&self, place: PolicyPlace) -> Answer<'_, Policy>;

    /// What such a change would mean for what is open now; nothing is set. Needs `policy.manage`.
    fn preview_policy(
        &self,
        place: PolicyPlace,
        values: Vec<(Rule, Option<u32>)>,
    ) -> Answer<'_, PolicyPreview>;

    /// Sets values, or takes them away, all or none. They apply from the next sign-in on. Needs `policy.manage`; for the
    /// installation in all organisations.
    fn set_policy(
        &self,
        place: PolicyPlace,
        values: Vec<(Rule, Option<u32>)>,
    ) -> Answer<'_, Policy>;

    /// Audit events, newest first. Needs `audit.view`.
    fn list_audit(&self, query: AuditQuery) -> Answer<'_, Page<AuditEvent>>;
}
