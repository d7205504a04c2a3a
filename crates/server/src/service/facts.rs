//! What a request says about itself, as far as the rules care.

use std::net::{IpAddr, Ipv6Addr};

use super::secret::KeySecret;
use super::secret::Ticket;
use super::token::Token;

/// The longest user agent that is kept, in bytes.
pub const LONGEST_USER_AGENT: usize = 512;

/// Who is asking from where; made once per request by the HTTP layer.
#[derive(Clone, Debug)]
pub struct RequestFacts {
    /// The caller's address: the peer, or what a trusted proxy says.
    pub ip: IpAddr,
    /// The user agent, at most `LONGEST_USER_AGENT` bytes.
    pub user_agent: String,
    /// The id of this request, in the log, the audit and every error.
    pub request_id: String,
    /// True where the page came over plain http from another machine.
    pub https_needed: bool,
    /// The browser's time zone, if it told (IANA name, unchecked).
    pub browser_zone: Option<String>,
    /// The ticket of a sign-in that waits for a choice, if one came along.
    pub ticket: Option<Ticket>,
}

/// The credential that came with a request.
#[derive(Clone, Debug)]
pub enum Presented {
    /// None.
    Nothing,
    /// A session cookie.
    Cookie(Token),
    /// A bearer token.
    Bearer(Token),
    /// An API key as a bearer token.
    Key(KeySecret),
    /// Nothing: whoever asks has the database at hand.
    Operator,
    /// A cookie of ours that holds no token.
    UnreadableCookie,
    /// A bearer token that is none of ours.
    UnreadableBearer,
    /// Two session cookies, or a cookie and a bearer token together.
    Ambiguous,
}

/// An address as 16 bytes; IPv4 as the mapped IPv6 address (RFC 4291, 2.5.5.2).
pub fn ip_bytes(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

/// The network that limits count by: an IPv4 address itself, an IPv6 address's /64.
pub fn network_of(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(v6) => {
            let bits = u128::from(v6) & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from(bits))
        }
    }
}
