//! What an answer must carry besides its body: collected while a request is worked on, written down by the HTTP layer.

use rollcall_core::{Error, LastEnd, Session};

use super::secret::Ticket;
use super::token::Token;

/// What to do with the session cookie.
#[derive(Clone, Debug, Default)]
pub enum CookieEffect {
    /// Leave it.
    #[default]
    Keep,
    /// Set it to this token; with an age in seconds if it is to outlive the browser.
    Set {
        /// The token.
        token: Token,
        /// `Max-Age`; `None` for a cookie that the browser forgets when it closes.
        max_age: Option<i64>,
    },
    /// Expire it.
    Expire,
}

/// What to do with the cookie of a sign-in that waits for a choice.
#[derive(Clone, Debug, Default)]
pub enum TicketEffect {
    /// Leave it.
    #[default]
    Keep,
    /// Set it.
    Set {
        /// The ticket.
        ticket: Ticket,
        /// `Max-Age`, in seconds.
        max_age: u64,
    },
    /// Expire it.
    Expire,
}

/// What an answer must carry besides its body.
#[derive(Clone, Debug, Default)]
pub struct Effects {
    /// The session cookie.
    pub cookie: CookieEffect,
    /// The cookie of a sign-in that waits for a choice.
    pub ticket: TicketEffect,
    /// The successor of a program's token, for the `Session-Token` header.
    pub bearer: Option<Token>,
    /// Whether the browser should forget what it has stored of us.
    pub clear_site_data: bool,
    /// The sessions to choose from, where a sign-in found no room and its user may end one.
    pub choice: Vec<Session>,
    /// Why the session has ended whose dead token a program sent.
    pub ended: Option<LastEnd>,
    /// The first error that a call answered: the status of a page or a server function.
    pub error: Option<Error>,
    /// Where to send the browser.
    pub redirect: Option<String>,
    /// Where to send it instead when the call fails.
    pub come_back: Option<String>,
}
