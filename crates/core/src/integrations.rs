//! Receivers: who elsewhere is told about sessions, and how that goes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::Problem;
use crate::filter::{optional, page_number, page_size};
use crate::ids::{OrganisationId, ReceiverId, SessionId, UserId};
use crate::page::{PageNumber, PageSize};
use crate::people_query::{leniently, place, strictly};
use crate::query::{self, QueryError};
use crate::session::{EndReason, words};
use crate::time::Timestamp;

/// The longest name of a receiver, in characters.
pub const LONGEST_RECEIVER_NAME: u32 = 80;
/// The longest address of a receiver, and the longest audience, in bytes.
pub const LONGEST_RECEIVER_URL: u32 = 2_000;
/// How many receivers there may be.
pub const MOST_RECEIVERS: u32 = 50;

words!(
    /// What receivers are told about.
    SessionEvent {
        /// Somebody has signed in.
        Created = "session.created",
        /// A session has ended, in whatever way.
        Ended = "session.ended",
    }
);

words!(
    /// In what form a receiver is told.
    ReceiverFormat {
        /// JSON with a signature in headers (Standard Webhooks), by Ed25519.
        StandardWebhooks = "standard_webhooks",
        /// Security event tokens (RFC 8417) of CAEP, pushed (RFC 8935), signed with RS256.
        Caep = "caep",
    }
);

words!(
    /// How it goes with a receiver.
    ReceiverState {
        /// What there is to tell is told, and the last of it was accepted.
        Delivering = "delivering",
        /// The last of it was not accepted. It is tried again by itself.
        Failing = "failing",
        /// It is told nothing, and nothing new is written down for it.
        Paused = "paused",
    }
);

words!(
    /// How far an event has got on its way to a receiver.
    DeliveryState {
        /// It was not sent yet.
        Waiting = "waiting",
        /// It was sent and not accepted; it is tried again by itself.
        Failing = "failing",
        /// The receiver has accepted it.
        Accepted = "accepted",
    }
);

words!(
    /// Why an event was not accepted.
    DeliveryFailure {
        /// The receiver answered with another status than 2xx.
        Status = "status",
        /// Its address leads to what the server does not connect to.
        Refused = "refused",
        /// It cannot be reached.
        Unreachable = "unreachable",
        /// It did not answer within ten seconds.
        TimedOut = "timed_out",
        /// It answered with more than one mebibyte.
        TooLarge = "too_large",
        /// The server could not sign it: its key cannot be read, or tokens have no issuer without `public-url`.
        Unsigned = "unsigned",
    }
);

words!(
    /// Who set an end off, in the words of CAEP (section 2, `initiating_entity`).
    Initiator {
        /// An administrator.
        Admin = "admin",
        /// The user.
        User = "user",
        /// A rule: a timeout, a limit, a token that two have used.
        Policy = "policy",
        /// The server, or another one.
        System = "system",
    }
);

impl Initiator {
    /// Who set an end of a session of `user` off.
    pub fn of(reason: EndReason, by: Option<UserId>, user: UserId) -> Self {
        match reason {
            EndReason::SignedOut
            | EndReason::EndedByUser
            | EndReason::Replaced
            | EndReason::PasswordChanged
            | EndReason::NotMe => Self::User,
            EndReason::EndedByAdministrator
            | EndReason::PasswordReset
            | EndReason::UserDisabled
            | EndReason::UserDeleted
            | EndReason::UserMoved
            | EndReason::OrganisationDisabled => Self::Admin,
            EndReason::IdleTimeout
            | EndReason::AbsoluteTimeout
            | EndReason::Limit
            | EndReason::TokenReuse => Self::Policy,
            EndReason::IdentityProvider => Self::System,
            // Disconnected by somebody, or with what it hung on.
            EndReason::ClientDisconnected => match by {
                Some(by) if by == user => Self::User,
                Some(_) => Self::Admin,
                None => Self::System,
            },
        }
    }
}

/// The number of a delivery.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct DeliveryId(pub i64);

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The text is no number of a delivery.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoDeliveryId;

impl FromStr for DeliveryId {
    type Err = NoDeliveryId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // `parse` alone would take "+7" and "007": one thing has one address.
        let number: i64 = text.parse().map_err(|_| NoDeliveryId)?;
        match number > 0 && number.to_string() == text {
            true => Ok(Self(number)),
            false => Err(NoDeliveryId),
        }
    }
}

/// Somebody elsewhere who is told about sessions.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Receiver {
    /// Its id.
    pub id: ReceiverId,
    /// What people call it.
    pub name: String,
    /// Where it listens.
    pub url: String,
    /// In what form it is told.
    pub format: ReceiverFormat,
    /// The audience of its security event tokens (`aud`); empty for webhooks.
    pub audience: String,
    /// What it is told about.
    pub events: Vec<SessionEvent>,
    /// Whether it is told users' e-mails, besides their ids.
    pub tells_email: bool,
    /// How it goes.
    pub state: ReceiverState,
    /// Since when nothing was accepted; `null` unless that is so.
    pub failing_since: Option<Timestamp>,
    /// When it was paused; `null` if it is not.
    pub paused_at: Option<Timestamp>,
    /// Whether it was paused because it answered 410 Gone: it wants no more.
    pub gone: bool,
    /// How many events wait to be accepted.
    pub waiting: u64,
    /// When something was last accepted; `null` if never.
    pub last_accepted_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A receiver to be made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CreateReceiver {
    /// What to call it.
    pub name: String,
    /// Where it listens: `https`, and on the public internet unless `allow-outbound` lists it.
    pub url: String,
    /// In what form it is told.
    pub format: ReceiverFormat,
    /// The audience of its tokens; its address where nothing is said.
    pub audience: Option<String>,
    /// What it is told about.
    pub events: Vec<SessionEvent>,
    /// Whether it is told users' e-mails.
    pub tells_email: bool,
}

/// What is to change of a receiver; the rest stays.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct EditReceiver {
    /// What to call it.
    pub name: Option<String>,
    /// Where it listens.
    pub url: Option<String>,
    /// The audience of its tokens.
    pub audience: Option<String>,
    /// What it is told about.
    pub events: Option<Vec<SessionEvent>>,
    /// Whether it is told users' e-mails.
    pub tells_email: Option<bool>,
}

/// How a test delivery went.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TestDelivery {
    /// Whether the receiver has accepted it.
    pub accepted: bool,
    /// The status that it answered; `null` where there was no answer.
    pub status: Option<u16>,
    /// Why it was not accepted; `null` where it was.
    pub failure: Option<DeliveryFailure>,
    /// How long that took.
    pub milliseconds: u64,
}

/// A receiver by name.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReceiverRef {
    /// Its id.
    pub id: ReceiverId,
    /// What people call it.
    pub name: String,
}

/// One event on its way to one receiver.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Delivery {
    /// Its number.
    pub id: DeliveryId,
    /// What receivers tell repetitions by: `webhook-id` or `jti`. The same in every try.
    pub message_id: String,
    /// To whom.
    pub receiver: ReceiverRef,
    /// What has happened.
    pub event: SessionEvent,
    /// To which session.
    pub session: SessionId,
    /// Whose it is.
    pub user: UserId,
    /// That user's e-mail as of then.
    pub email: String,
    /// That user's organisation.
    pub organisation: OrganisationId,
    /// Why the session ended; `null` for one that began.
    pub reason: Option<EndReason>,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// How far it has got.
    pub state: DeliveryState,
    /// How often it was sent.
    pub attempts: u64,
    /// When it was last sent; `null` if it was not.
    pub last_tried_at: Option<Timestamp>,
    /// When it is sent next; `null` once it is accepted.
    pub next_try_at: Option<Timestamp>,
    /// The status that was answered last; `null` where there was no answer.
    pub last_status: Option<u16>,
    /// Why it was not accepted the last time; `null` where it was.
    pub failure: Option<DeliveryFailure>,
    /// When it was accepted for the first time; `null` if it was not.
    pub accepted_at: Option<Timestamp>,
}

/// What receivers tell repetitions by: one session begins once and ends once. Standard Webhooks allows no full stop in it.
pub fn message_id(event: SessionEvent, session: SessionId) -> String {
    match event {
        SessionEvent::Created => format!("created-{session}"),
        SessionEvent::Ended => format!("ended-{session}"),
    }
}

/// How long it took until everybody knew of the end of a session.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Confirmation {
    /// The session.
    pub session: SessionId,
    /// Whose it was.
    pub user: UserId,
    /// That user's e-mail as of then.
    pub email: String,
    /// Why it ended.
    pub reason: Option<EndReason>,
    /// When it ended.
    pub ended_at: Timestamp,
    /// How many receivers there were to tell.
    pub receivers: u64,
    /// How many of them have accepted it.
    pub confirmed: u64,
    /// When the last of them did; `null` while one is missing.
    pub confirmed_at: Option<Timestamp>,
    /// How long after the end that was; `null` while one is missing.
    pub milliseconds: Option<u64>,
}

/// Which deliveries, the newest first, and which page of them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DeliveryQuery {
    /// Only those that have got so far.
    pub state: Option<DeliveryState>,
    /// Only those to this receiver.
    pub receiver: Option<ReceiverId>,
    /// Only those about this session.
    pub session: Option<SessionId>,
    /// Which page.
    pub page: PageNumber,
    /// Rows on a page.
    pub page_size: PageSize,
}

impl DeliveryQuery {
    /// Reads a query string; anything unknown, repeated or out of range is an error that names it.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        let mut parsed = Self::default();
        strictly(text, |name, value| parsed.set(name, value))?;
        Ok(parsed)
    }

    /// Reads the address of a page: what makes no sense is left out.
    pub fn parse_leniently(text: &str) -> Self {
        let mut parsed = Self::default();
        leniently(text, |name, value| parsed.set(name, value));
        parsed
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), Problem> {
        match name {
            "state" => self.state = optional(value, DeliveryState::from_name)?,
            "receiver" => self.receiver = optional(value, |text| text.parse().ok())?,
            "session" => self.session = optional(value, |text| text.parse().ok())?,
            "page" => self.page = page_number(value)?,
            "page_size" => self.page_size = page_size(value)?,
            _ => return Err(Problem::Unknown),
        }
        Ok(())
    }

    /// The query string of this list: only what differs from the start, in one fixed order.
    pub fn to_query(&self) -> String {
        let mut pairs = Vec::new();
        if let Some(state) = self.state {
            pairs.push(("state", state.as_str().to_owned()));
        }
        if let Some(receiver) = self.receiver {
            pairs.push(("receiver", receiver.to_string()));
        }
        if let Some(session) = self.session {
            pairs.push(("session", session.to_string()));
        }
        place(&mut pairs, self.page, self.page_size);
        query::write(&pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "01890000-0000-7000-8000-000000000001";

    #[test]
    fn one_view_of_deliveries_has_one_address() {
        let address = format!("state=failing&receiver={ID}&session={ID}&page=2&page_size=50");
        let query = DeliveryQuery::parse(&address).unwrap();
        assert_eq!(query.to_query(), address);
        assert_eq!(DeliveryQuery::default().to_query(), "");
        assert_eq!(
            DeliveryQuery::parse_leniently(&format!("state=x&receiver={ID}")).to_query(),
            format!("receiver={ID}")
        );
        for (text, parameter, problem) in [
            ("state=gone", "state", Problem::NotOffered),
            ("receiver=x", "receiver", Problem::NotOffered),
            ("sort=name", "sort", Problem::Unknown),
        ] {
            let error = DeliveryQuery::parse(text).unwrap_err();
            assert_eq!((&*error.parameter, error.problem), (parameter, problem));
        }
    }

    #[test]
    fn a_number_has_one_form() {
        assert_eq!("7".parse(), Ok(DeliveryId(7)));
        for text in ["", "0", "-1", "+7", "07", "7 ", ID] {
            assert_eq!(text.parse::<DeliveryId>(), Err(NoDeliveryId), "{text}");
        }
    }

    #[test]
    fn a_message_has_an_id_without_a_full_stop() {
        let session = ID.parse().unwrap();
        assert_eq!(
            message_id(SessionEvent::Ended, session),
            format!("ended-{ID}")
        );
        for event in SessionEvent::ALL {
            assert!(!message_id(*event, session).contains('.'));
        }
    }

    #[test]
    fn every_end_was_set_off_by_somebody() {
        let (user, other): (UserId, UserId) =
            (ID.parse().unwrap(), ID.replace('1', "2").parse().unwrap());
        for (reason, by, initiator) in [
            (EndReason::SignedOut, Some(user), Initiator::User),
            (
                EndReason::EndedByAdministrator,
                Some(other),
                Initiator::Admin,
            ),
            (EndReason::IdleTimeout, None, Initiator::Policy),
            (EndReason::TokenReuse, None, Initiator::Policy),
            (EndReason::IdentityProvider, None, Initiator::System),
            (EndReason::ClientDisconnected, None, Initiator::System),
            (EndReason::ClientDisconnected, Some(user), Initiator::User),
            (EndReason::ClientDisconnected, Some(other), Initiator::Admin),
        ] {
            assert_eq!(Initiator::of(reason, by, user), initiator, "{reason:?}");
        }
    }
}
