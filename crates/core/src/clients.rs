//! Clients: programs on some machine that registered and keep a live connection.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::Problem;
use crate::filter::{optional, page_number, page_size, search};
use crate::ids::{ClientId, ExecutionId, OrganisationId, SessionId, UserId};
use crate::page::{PageNumber, PageSize};
use crate::people_query::{leniently, place, strictly};
use crate::query::{self, QueryError};
use crate::session::{EndReason, Ended, words};
use crate::sort::sorts;
use crate::time::Timestamp;
use crate::user::{OrganisationRef, UserRef};

/// The longest name, version or host of a client, in characters.
pub const LONGEST_CLIENT_NAME: u32 = 80;
/// How often a client says that it is there.
pub const HEARTBEAT_EVERY: Duration = Duration::from_secs(10);
/// A client that has said nothing for so long is lost.
pub const LOST_AFTER: Duration = Duration::from_secs(30);
/// How many connected clients somebody may have at once.
pub const MOST_CLIENTS: u32 = 10_000;

words!(
    /// Whether a client is there.
    ClientState {
        /// It lives and has said so within the last 30 seconds.
        Connected = "connected",
        /// Its session lives, but nothing was heard of it for 30 seconds.
        Lost = "lost",
        /// Its session has ended: it signed off, was disconnected, or was lost for too long.
        Disconnected = "disconnected",
    }
);

/// A registered client, connected or not.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Client {
    /// Its id.
    pub id: ClientId,
    /// What it calls itself.
    pub name: String,
    /// Its version; empty where it says none.
    pub version: String,
    /// The machine that it runs on; empty where it says none.
    pub host: String,
    /// Whose it is.
    pub user: UserRef,
    /// The owner's organisation.
    pub organisation: OrganisationRef,
    /// Where it registered from.
    pub ip: String,
    /// Whether it is there.
    pub state: ClientState,
    /// Since when it is in this state.
    pub since: Timestamp,
    /// How its session ended; `null` while it is connected or lost.
    pub ended: Option<Ended>,
    /// Its own session.
    pub session: SessionId,
    /// When it registered, for the last time.
    pub registered_at: Timestamp,
    /// When it last said that it is there.
    pub last_heartbeat_at: Timestamp,
    /// How many executions run on it.
    pub running_executions: u64,
}

/// What a client says of itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RegisterClient {
    /// What to call it.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The machine that it runs on.
    pub host: String,
    /// The registration that this one goes on with: what runs on it moves along.
    pub replaces: Option<ClientId>,
}

/// What a client is told to do. Given again until it is done, so that nothing is lost with a connection.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// Run what the client's own start line calls by this name.
    Run {
        /// Under which execution.
        execution: ExecutionId,
        /// The name.
        run: String,
        /// What it is about.
        artefact_id: String,
    },
    /// Stop this execution and say so by `PATCH` with `terminated`.
    Terminate {
        /// Which one.
        execution: ExecutionId,
    },
    /// The client's session has ended: stop everything. Nothing follows.
    Disconnect {
        /// Why; `null` where that cannot be told.
        reason: Option<EndReason>,
    },
}

words!(
    /// A column that clients can be sorted by.
    ClientSortKey {
        /// Connected before lost before disconnected, the newest change first.
        State = "state",
        /// What it calls itself.
        Name = "name",
        /// The owner's e-mail.
        User = "user",
        /// Where it registered from.
        Ip = "ip",
        /// Its version.
        Version = "version",
        /// When it registered.
        RegisteredAt = "registered_at",
        /// When it last said that it is there.
        LastHeartbeatAt = "last_heartbeat_at",
    }
);

sorts!(
    /// The order of clients: connected ones first to start with.
    ClientSort by ClientSortKey from State, false
);

/// Which clients, in which order, and which page of them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ClientQuery {
    /// Any part of name, host, address or the owner's e-mail, in any letter case; trimmed; empty for all.
    pub search: String,
    /// Only those in this state.
    pub state: Option<ClientState>,
    /// Only this user's.
    pub user: Option<UserId>,
    /// Only those of this organisation.
    pub organisation: Option<OrganisationId>,
    /// In which order.
    pub sort: ClientSort,
    /// Which page.
    pub page: PageNumber,
    /// Rows on a page.
    pub page_size: PageSize,
}

impl ClientQuery {
    /// Reads a query string; anything unknown, repeated or out of range is an error that names it.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        let mut parsed = Self::default();
        strictly(text, |name, value| parsed.set(name, value))?;
        Ok(parsed)
    }

    /// Reads the query string of a page's address. What it does not understand is left out.
    pub fn parse_leniently(text: &str) -> Self {
        let mut parsed = Self::default();
        leniently(text, |name, value| parsed.set(name, value));
        parsed
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), Problem> {
        match name {
            "q" => self.search = search(value)?,
            "state" => self.state = optional(value, ClientState::from_name)?,
            "user" => self.user = optional(value, |text| text.parse().ok())?,
            "organisation" => self.organisation = optional(value, |text| text.parse().ok())?,
            "sort" => self.sort = ClientSort::parse(value).ok_or(Problem::NotOffered)?,
            "page" => self.page = page_number(value)?,
            "page_size" => self.page_size = page_size(value)?,
            _ => return Err(Problem::Unknown),
        }
        Ok(())
    }

    /// The query string of this list: only what differs from the start, in one fixed order.
    pub fn to_query(&self) -> String {
        let mut pairs = Vec::new();
        if !self.search.is_empty() {
            pairs.push(("q", self.search.clone()));
        }
        if let Some(state) = self.state {
            pairs.push(("state", state.as_str().to_owned()));
        }
        if let Some(user) = self.user {
            pairs.push(("user", user.to_string()));
        }
        if let Some(organisation) = self.organisation {
            pairs.push(("organisation", organisation.to_string()));
        }
        if self.sort != ClientSort::default() {
            pairs.push(("sort", self.sort.as_text()));
        }
        place(&mut pairs, self.page, self.page_size);
        query::write(&pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_view_of_clients_has_one_address() {
        let user = "01890000-0000-7000-8000-000000000001";
        let text = format!("page=2&sort=-name&user={user}&state=lost&q=%20runner%20");
        let query = ClientQuery::parse(&text).unwrap();
        let address = format!("q=runner&state=lost&user={user}&sort=-name&page=2");
        assert_eq!(query.to_query(), address);
        assert_eq!(ClientQuery::parse(&address).unwrap(), query);
        assert_eq!(ClientQuery::default().to_query(), "");
        let organisation = format!("organisation={user}&page_size=50");
        assert_eq!(
            ClientQuery::parse(&organisation).unwrap().to_query(),
            organisation
        );
        assert_eq!(
            ClientQuery::parse_leniently("?sort=colour&q=a&state=gone").to_query(),
            "q=a"
        );
    }

    #[test]
    fn what_a_list_of_clients_does_not_know_is_named() {
        for (text, parameter, problem) in [
            ("state=gone", "state", Problem::NotOffered),
            ("sort=colour", "sort", Problem::NotOffered),
            ("user=nora", "user", Problem::NotOffered),
            ("kind=api", "kind", Problem::Unknown),
        ] {
            let error = ClientQuery::parse(text).unwrap_err();
            assert_eq!((&*error.parameter, error.problem), (parameter, problem));
        }
    }

    #[test]
    fn a_command_is_named_by_its_word() {
        let execution = ExecutionId(uuid::Uuid::nil());
        for (command, text) in [
            (
                Command::Terminate { execution },
                format!(r#"{{"command":"terminate","execution":"{execution}"}}"#),
            ),
            (
                Command::Disconnect {
                    reason: Some(EndReason::IdleTimeout),
                },
                r#"{"command":"disconnect","reason":"idle_timeout"}"#.to_owned(),
            ),
        ] {
            assert_eq!(serde_json::to_string(&command).unwrap(), text);
            assert_eq!(serde_json::from_str::<Command>(&text).unwrap(), command);
        }
    }
}
