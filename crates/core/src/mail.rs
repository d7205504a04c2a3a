//! What users are told, and what they do by the links of mails.

use serde::{Deserialize, Serialize};

use crate::backend::Answer;
use crate::ids::SessionId;
use crate::time::Timestamp;

/// Whose password a link of a mail sets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ResetLink {
    /// The user name.
    pub email: String,
    /// When the link is good for nothing any more.
    pub expires_at: Timestamp,
}

/// How far a report of a sign-in has gone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportStep {
    /// Nothing was done yet.
    Told,
    /// The session was ended.
    SessionEnded,
    /// All sessions were ended, and the password is good for nothing.
    AllEnded,
}

/// The sign-in that a link of a mail is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReportLink {
    /// Whose account it was.
    pub email: String,
    /// Browser and system.
    pub device: String,
    /// The address.
    pub ip: String,
    /// When.
    pub at: Timestamp,
    /// What this link has done so far.
    pub step: ReportStep,
    /// When the link is good for nothing any more.
    pub expires_at: Timestamp,
}

/// A sign-in of one's own from a browser or a network that was not seen before.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Notice {
    /// The session that it began.
    pub session: SessionId,
    /// Browser and system: "Firefox on Linux".
    pub device: String,
    /// The network: an IPv4 address's /24, an IPv6 address's /64.
    pub network: String,
    /// When.
    pub at: Timestamp,
    /// Whether that session is still active.
    pub active: bool,
    /// Whether the session that asks can confirm it: it must come from where its user was seen earlier.
    pub can_be_confirmed: bool,
}

/// The part of `Backend` that is about mails and about sign-ins that somebody has to know of.
pub trait MailBackend: Send + Sync {
    /// Whether the server sends mails.
    fn sends_mail(&self) -> bool;

    /// Sends a link that sets a new password to this address, if an account with a password has it. The answer is the
    /// same for every address. Works without a session. `NotFound` where the server sends no mails.
    fn ask_password_reset(&self, email: String) -> Answer<'_, ()>;

    /// What a link sets; `None` where it is not good (any more). Changes nothing.
    fn find_reset_link(&self, link: String) -> Answer<'_, Option<ResetLink>>;

    /// Sets the password by a link, which is used up, and ends all sessions of its user. Lifts no lock and signs nobody
    /// in. `NotFound` where the link is not good.
    fn reset_password_by_link(&self, link: String, new_password: String) -> Answer<'_, ()>;

    /// What a link reports; `None` where it is not good (any more). Changes nothing.
    fn find_report_link(&self, link: String) -> Answer<'_, Option<ReportLink>>;

    /// Reports the sign-in of a link: ends its session or, if `all`, ends all sessions of its user, makes the password void and
    /// sends a link that sets another. Each once; `NotFound` where the link is not good for it.
    fn report_sign_in(&self, link: String, all: bool) -> Answer<'_, ()>;

    /// The caller's sign-ins from new browsers and networks that nobody has confirmed, newest first; none that came from
    /// where this session comes from.
    fn list_notices(&self) -> Answer<'_, Vec<Notice>>;

    /// Confirms that this was the caller. `NotFound` where there is no such notice, or where this session comes from no
    /// place that was seen earlier.
    fn confirm_notice(&self, session: SessionId) -> Answer<'_, ()>;

    /// Says that this was not the caller: the session ends. `NotFound` where there is no such notice.
    fn disown_notice(&self, session: SessionId) -> Answer<'_, ()>;
}
