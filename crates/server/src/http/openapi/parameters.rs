//! The parameters of lists, written down for the document. Nothing reads them: `core` parses the query.

#![expect(
    dead_code,
    reason = "descriptions for the document; the fields are never read"
)]

use rollcall_core::{
    AuditAction, AuditOutcome, ClientId, ClientState, DeliveryState, ExecutionState, Kind, Method,
    OrganisationId, ReceiverId, RoleKey, SessionId, State, Timestamp, UserId, UserState,
};
use utoipa::IntoParams;

/// Which sessions.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct SessionFilterParameters {
    /// Any part of e-mail, IP address or session name, in any letter case; at most 200 characters.
    #[param(max_length = 200, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$")]
    q: Option<String>,
    /// Only active or only ended ones.
    state: Option<State>,
    /// Only this kind.
    kind: Option<Kind>,
    /// Only this user's: an id, or the e-mail that they have now.
    user: Option<String>,
    /// Only those that belong to this organisation.
    organisation: Option<OrganisationId>,
    /// Only those of users who have this role, as primary or secondary one.
    role: Option<RoleKey>,
    /// Only those that began at this address, or in this range.
    #[param(example = "192.0.2.0/24")]
    ip: Option<String>,
    /// Only those that began in this way.
    method: Option<Method>,
    /// Only those whose browser or program begins with this, in any letter case.
    #[param(max_length = 200, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$")]
    browser: Option<String>,
    /// Only those whose system begins with this, in any letter case.
    #[param(max_length = 200, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$")]
    system: Option<String>,
    /// Only those whose user agent has this in it, A to Z in any letter case.
    #[param(max_length = 200, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$")]
    agent: Option<String>,
    /// Only those that began at least so long ago: a whole number with `s`, `m`, `h` or `d`; at most ten years.
    #[param(pattern = "^[0-9]+[smhd]$", example = "7d")]
    older_than: Option<String>,
    /// Only those that began less long ago.
    #[param(pattern = "^[0-9]+[smhd]$", example = "12h")]
    newer_than: Option<String>,
    /// Only those that have not been used for at least so long.
    #[param(pattern = "^[0-9]+[smhd]$", example = "30m")]
    idle_for: Option<String>,
    /// Only those of users who have several active sessions in the session's organisation, or only those of the others.
    several: Option<bool>,
    /// Only those of programs' accounts, or only people's.
    service_account: Option<bool>,
}

/// In which order.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct SessionSortParameter {
    /// A column, with `-` before it for the largest first: `user`, `name`, `ip`, `browser`, `state`,
    /// `created_at`, `last_activity_at`, `duration`.
    #[param(
        pattern = "^-?(user|name|ip|browser|state|created_at|last_activity_at|duration)$",
        example = "-created_at"
    )]
    sort: Option<String>,
}

/// Which page.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageParameters {
    /// The number of the page, from 1.
    #[param(minimum = 1, maximum = 10_000_000)]
    page: Option<u32>,
    /// Rows on a page, 1 to 100; 10 to start with.
    #[param(minimum = 1, maximum = 100)]
    page_size: Option<u32>,
}

/// Which audit events.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct AuditFilterParameters {
    /// Only events that this user did or that were done to them: an id, or the e-mail that they have now.
    user: Option<String>,
    /// Only events that this user did: an id or an e-mail.
    actor: Option<String>,
    /// Only events that were done to this user: an id or an e-mail.
    target: Option<String>,
    /// Only events of this session.
    session: Option<SessionId>,
    /// Only this action.
    action: Option<AuditAction>,
    /// Only this outcome.
    outcome: Option<AuditOutcome>,
    /// Only requests from this address, or from this range.
    #[param(example = "192.0.2.0/24")]
    ip: Option<String>,
    /// Only events from this moment on.
    from: Option<Timestamp>,
    /// Only events before this moment.
    until: Option<Timestamp>,
}

/// What the list of clients takes.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ClientListParameters {
    /// Any part of name, host, address or the owner's e-mail, in any letter case; at most 200 characters.
    #[param(max_length = 200, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$")]
    q: Option<String>,
    /// Only those in this state.
    state: Option<ClientState>,
    /// Only this user's.
    user: Option<UserId>,
    /// Only those of this organisation.
    organisation: Option<OrganisationId>,
    /// A column, with `-` before it for the largest first: `state`, `name`, `user`, `ip`, `version`, `registered_at`,
    /// `last_heartbeat_at`. Connected ones first where nothing is said.
    #[param(
        pattern = "^-?(state|name|user|ip|version|registered_at|last_heartbeat_at)$",
        example = "state"
    )]
    sort: Option<String>,
}

/// What the list of executions takes.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ExecutionListParameters {
    /// Only those in this state.
    state: Option<ExecutionState>,
    /// Only those on behalf of this user.
    user: Option<UserId>,
    /// Only those that this session started.
    session: Option<SessionId>,
    /// Only those on this client.
    client: Option<ClientId>,
}

/// What the list of deliveries takes.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeliveryListParameters {
    /// Only those that have got so far.
    state: Option<DeliveryState>,
    /// Only those to this receiver.
    receiver: Option<ReceiverId>,
    /// Only those about this session.
    session: Option<SessionId>,
}

/// Whose confirmations.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ConfirmationParameters {
    /// Only that of this session.
    session: Option<SessionId>,
}

/// What the list of users takes.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct UserListParameters {
    /// Any part of e-mail or name, in any letter case; at most 200 characters.
    #[param(max_length = 200, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$")]
    q: Option<String>,
    /// Only those who have this role, as primary or secondary one.
    role: Option<RoleKey>,
    /// Only those of this organisation.
    organisation: Option<OrganisationId>,
    /// Only those in this state.
    state: Option<UserState>,
    /// Only those with an open session, or only those without.
    active: Option<bool>,
    /// Only programs' accounts, or only people's.
    service_account: Option<bool>,
    /// A column, with `-` before it for the largest first: `name`, `email`, `role`, `organisation`, `state`,
    /// `created_at`, `last_sign_in_at`, `open_sessions`, `locked_at`.
    #[param(
        pattern = "^-?(name|email|role|organisation|state|created_at|last_sign_in_at|open_sessions|locked_at)$",
        example = "name"
    )]
    sort: Option<String>,
}

/// What the list of a user's sessions takes.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct UserSessionParameters {
    /// Only active or only ended ones.
    state: Option<State>,
}

/// What the lists of roles and organisations take.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct NameListParameters {
    /// Any part of the name, in any letter case; at most 200 characters.
    #[param(max_length = 200, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$")]
    q: Option<String>,
}
