//! Executions: pieces of work that run on behalf of a user and die with what started them.

use serde::{Deserialize, Serialize};

use crate::error::Problem;
use crate::filter::{optional, page_number, page_size};
use crate::ids::{ClientId, ExecutionId, SessionId, UserId};
use crate::page::{PageNumber, PageSize};
use crate::people_query::{place, strictly};
use crate::query::{self, QueryError};
use crate::session::{Actor, EndReason, words};
use crate::time::Timestamp;
use crate::user::{OrganisationRef, UserRef};

/// The longest artefact id, artefact kind or name of an execution, in characters.
pub const LONGEST_EXECUTION_TEXT: u32 = 200;
/// How many executions may run for one user at once.
pub const MOST_EXECUTIONS: u32 = 10_000;
/// How many executions a session in a list comes with; its count tells of the others.
pub const LISTED_EXECUTIONS: usize = 20;

words!(
    /// What set an execution off.
    ExecutionSource {
        /// A person.
        Manual = "manual",
        /// A timer.
        Scheduler = "scheduler",
        /// A build or delivery pipeline.
        Pipeline = "pipeline",
    }
);

words!(
    /// How far an execution has got.
    ExecutionState {
        /// It runs.
        Running = "running",
        /// It is over and did what it should.
        Finished = "finished",
        /// It is over and did not.
        Failed = "failed",
        /// It was stopped: by somebody, or with what it hung on.
        Terminated = "terminated",
    }
);

/// A client by name.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ClientRef {
    /// Its id.
    pub id: ClientId,
    /// What it calls itself.
    pub name: String,
}

/// A piece of work on behalf of a user.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Execution {
    /// Its id.
    pub id: ExecutionId,
    /// What it is about: a test case, a suite, a job.
    pub artefact_id: String,
    /// What kind of thing that is; empty where nobody said.
    pub artefact_kind: String,
    /// What people call it.
    pub name: String,
    /// What set it off.
    pub source: ExecutionSource,
    /// On whose behalf it runs.
    pub user: UserRef,
    /// That user's organisation.
    pub organisation: OrganisationRef,
    /// The session that started it and takes it along when it ends; `null` where an API key did.
    pub session: Option<SessionId>,
    /// The client that it runs on, if it told.
    pub client: Option<ClientRef>,
    /// How far it has got.
    pub state: ExecutionState,
    /// When it started.
    pub started_at: Timestamp,
    /// When it was over; `null` while it runs.
    pub ended_at: Option<Timestamp>,
    /// Who terminated it; `null` where nobody did.
    pub ended_by: Option<Actor>,
    /// Why the session that it hung on ended; `null` where it did not end with one.
    pub end_reason: Option<EndReason>,
}

/// An execution as a row of sessions shows it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunningExecution {
    /// Its id.
    pub id: ExecutionId,
    /// What it is about.
    pub artefact_id: String,
    /// What people call it.
    pub name: String,
    /// The client that it runs on; empty where it did not tell.
    pub client: String,
    /// When it started.
    pub started_at: Timestamp,
}

/// What runs under a session.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SessionWork {
    /// How many executions show under it: each shows once, under its user's most recently used console session, else
    /// under the session that started it.
    pub active_executions: u64,
    /// The oldest of them, at most 20.
    pub executions: Vec<RunningExecution>,
    /// How many executions would stop with it: those that it started.
    pub stops_executions: u64,
    /// How many clients would be disconnected with it.
    pub stops_clients: u64,
}

/// What would stop, as a sentence: "2 executions stop with it, and 1 client is disconnected."; nothing where nothing would.
pub fn stops_words(executions: u64, clients: u64) -> Option<String> {
    let counted = |number: u64, one: &str| {
        let plural = if number == 1 { "" } else { "s" };
        [&*number.to_string(), " ", one, plural].concat()
    };
    let work = match executions {
        0 => String::new(),
        1 => "1 execution stops".to_owned(),
        many => counted(many, "execution") + " stop",
    };
    let lost = match clients {
        0 => String::new(),
        1 => "1 client is disconnected".to_owned(),
        many => counted(many, "client") + " are disconnected",
    };
    match (executions, clients) {
        (0, 0) => None,
        (_, 0) => Some(work + " with it."),
        (0, _) => Some(lost + " with it."),
        _ => Some([&*work, " with it, and ", &lost, "."].concat()),
    }
}

/// An execution to be started.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StartExecution {
    /// The id to give it, so that asking twice starts one.
    pub id: Option<ExecutionId>,
    /// What it is about.
    pub artefact_id: String,
    /// What kind of thing that is.
    pub artefact_kind: String,
    /// What to call it.
    pub name: String,
    /// What set it off.
    pub source: ExecutionSource,
    /// On whose behalf; the caller's own where nobody is named.
    pub user: Option<UserId>,
    /// The client that it runs on; the one that asks where none is named.
    pub client: Option<ClientId>,
}

/// Work to be sent to a waiting agent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dispatch {
    /// What the agent's own start line calls it.
    pub run: String,
    /// The execution that it is to be.
    pub execution: StartExecution,
}

/// What a force logout has stopped.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ForceLogout {
    /// The id of this act: what it terminated can be looked at by it for as long as that is kept.
    pub id: uuid::Uuid,
    /// How many sessions ended, those of clients among them.
    pub ended: u64,
    /// The executions that were running and are terminated.
    pub executions: Vec<Execution>,
    /// How many clients were disconnected.
    pub clients: u64,
}

/// Which executions, newest first, and which page of them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ExecutionQuery {
    /// Only those in this state.
    pub state: Option<ExecutionState>,
    /// Only those on behalf of this user.
    pub user: Option<UserId>,
    /// Only those that this session started.
    pub session: Option<SessionId>,
    /// Only those on this client.
    pub client: Option<ClientId>,
    /// Which page.
    pub page: PageNumber,
    /// Rows on a page.
    pub page_size: PageSize,
}

impl ExecutionQuery {
    /// Reads a query string; anything unknown, repeated or out of range is an error that names it.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        let mut parsed = Self::default();
        strictly(text, |name, value| parsed.set(name, value))?;
        Ok(parsed)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), Problem> {
        match name {
            "state" => self.state = optional(value, ExecutionState::from_name)?,
            "user" => self.user = optional(value, |text| text.parse().ok())?,
            "session" => self.session = optional(value, |text| text.parse().ok())?,
            "client" => self.client = optional(value, |text| text.parse().ok())?,
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
        if let Some(user) = self.user {
            pairs.push(("user", user.to_string()));
        }
        if let Some(session) = self.session {
            pairs.push(("session", session.to_string()));
        }
        if let Some(client) = self.client {
            pairs.push(("client", client.to_string()));
        }
        place(&mut pairs, self.page, self.page_size);
        query::write(&pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_stop_is_a_sentence() {
        for (executions, clients, words) in [
            (0, 0, None),
            (1, 0, Some("1 execution stops with it.")),
            (3, 0, Some("3 executions stop with it.")),
            (0, 1, Some("1 client is disconnected with it.")),
            (
                2,
                2,
                Some("2 executions stop with it, and 2 clients are disconnected."),
            ),
        ] {
            assert_eq!(stops_words(executions, clients).as_deref(), words);
        }
    }

    #[test]
    fn one_view_of_executions_has_one_address() {
        let id = "01890000-0000-7000-8000-000000000001";
        let address =
            format!("state=running&user={id}&session={id}&client={id}&page=2&page_size=50");
        let query = ExecutionQuery::parse(&address).unwrap();
        assert_eq!(query.to_query(), address);
        assert_eq!(ExecutionQuery::default().to_query(), "");
        for (text, parameter, problem) in [
            ("state=gone", "state", Problem::NotOffered),
            ("session=x", "session", Problem::NotOffered),
            ("sort=name", "sort", Problem::Unknown),
        ] {
            let error = ExecutionQuery::parse(text).unwrap_err();
            assert_eq!((&*error.parameter, error.problem), (parameter, problem));
        }
    }
}
