//! The part of `Backend` that is about what works without a person: API keys, clients, executions.

use uuid::Uuid;

use crate::backend::Answer;
use crate::clients::{Client, ClientQuery, Command};
use crate::executions::{
    Dispatch, Execution, ExecutionQuery, ExecutionState, ForceLogout, StartExecution,
};
use crate::ids::{ApiKeyId, ClientId, ExecutionId, UserId};
use crate::keys::{ApiKey, CreateKey, KeyCreated};
use crate::page::Page;

/// What Rollcall can do for one request about programs that act for somebody.
///
/// Every method authorises first, as those of `Backend` do.
pub trait WorkBackend: Send + Sync {
    /// The caller's API keys: good ones first, then the newest.
    fn list_own_keys(&self) -> Answer<'_, Vec<ApiKey>>;

    /// A user's API keys. Needs `users.view`.
    fn list_user_keys(&self, user: UserId) -> Answer<'_, Vec<ApiKey>>;

    /// Makes an API key for the caller. `ReauthenticationRequired` where the password was entered too long ago.
    fn create_key(&self, input: CreateKey) -> Answer<'_, KeyCreated>;

    /// Revokes one of the caller's API keys, or, with `users.manage`, somebody else's; what hangs on it stops. Twice is
    /// as good as once.
    fn revoke_key(&self, id: ApiKeyId) -> Answer<'_, ()>;

    /// The secret of a key that this session has just made: pages show it once and never again.
    fn key_secret(&self, id: ApiKeyId) -> Answer<'_, Option<String>>;

    /// Every registered client. Needs `clients.disconnect`.
    fn list_clients(&self, query: ClientQuery) -> Answer<'_, Page<Client>>;

    /// One client: the caller's own, or, with `clients.disconnect`, one within reach.
    fn find_client(&self, id: ClientId) -> Answer<'_, Client>;

    /// Says that the client that asks is there, and takes what it is told to do.
    fn heartbeat(&self, id: ClientId) -> Answer<'_, Vec<Command>>;

    /// Ends a client's session and what runs on it: the caller's own, or, with `clients.disconnect`, one within reach.
    /// Answers the executions that it terminated. `ClientNotConnected` if it has ended already.
    fn disconnect_client(&self, id: ClientId) -> Answer<'_, Vec<Execution>>;

    /// Removes a registration, after disconnecting it.
    fn remove_client(&self, id: ClientId) -> Answer<'_, ()>;

    /// Executions, newest first: the caller's own, or, with `sessions.view`, all within reach.
    fn list_executions(&self, query: ExecutionQuery) -> Answer<'_, Page<Execution>>;

    /// One execution.
    fn find_execution(&self, id: ExecutionId) -> Answer<'_, Execution>;

    /// Starts an execution: for the caller, or, with `executions.start_for`, for a user of the own organisation. It dies
    /// with the session or key that asks.
    fn start_execution(&self, input: StartExecution) -> Answer<'_, Execution>;

    /// Ends an execution, in the words of who runs it: finished, failed, or terminated. Others with `sessions.end` can
    /// terminate it. `ExecutionNotRunning` if it is over; saying `terminated` of what was terminated confirms it.
    fn end_execution(&self, id: ExecutionId, state: ExecutionState) -> Answer<'_, Execution>;

    /// Sends work to a waiting agent, which runs it under a name of its own start line. Needs `executions.dispatch`.
    fn dispatch(&self, client: ClientId, work: Dispatch) -> Answer<'_, Execution>;

    /// Ends all sessions, executions and clients of a user, the caller's own session among them if it is one. Needs
    /// `sessions.end`.
    fn force_logout(&self, user: UserId, note: Option<String>) -> Answer<'_, ForceLogout>;

    /// The executions that a force logout has terminated. Needs `sessions.view`.
    fn executions_of_act(&self, act: Uuid) -> Answer<'_, Vec<Execution>>;
}
