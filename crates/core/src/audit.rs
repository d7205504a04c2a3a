//! The audit trail: one event for each act.

use serde::{Deserialize, Serialize};

use crate::ids::SessionId;
use crate::session::{Actor, words};
use crate::time::Timestamp;
use crate::user::{OrganisationRef, UserRef};

words!(
    /// What was done, or tried.
    AuditAction {
        /// A session was created.
        SessionCreated = "session.created",
        /// A session ended, or somebody tried to end it.
        SessionEnded = "session.ended",
        /// Several sessions of one user ended at once.
        SessionsEnded = "sessions.ended",
        /// A retired token was presented and its session ended.
        TokenReused = "token.reused",
        /// Somebody signed in, or tried to.
        SignIn = "sign_in",
        /// An account was locked after too many wrong passwords.
        UserLocked = "user.locked",
        /// An account was unlocked.
        UserUnlocked = "user.unlocked",
        /// An address from which too many sign-ins failed was given its attempts back.
        AddressReleased = "address.released",
        /// A user was created.
        UserCreated = "user.created",
        /// A user's name or e-mail was changed.
        UserEdited = "user.edited",
        /// A user was given other roles.
        UserRolesChanged = "user.roles_changed",
        /// A user went to another organisation; both have the event.
        UserMoved = "user.moved",
        /// A user was disabled.
        UserDisabled = "user.disabled",
        /// A disabled user was enabled.
        UserEnabled = "user.enabled",
        /// A user was deleted.
        UserDeleted = "user.deleted",
        /// A role of an organisation was made.
        RoleCreated = "role.created",
        /// A role's name or permissions were changed.
        RoleEdited = "role.edited",
        /// A role was deleted.
        RoleDeleted = "role.deleted",
        /// An organisation was made.
        OrganisationCreated = "organisation.created",
        /// An organisation was given another name.
        OrganisationRenamed = "organisation.renamed",
        /// An organisation was disabled.
        OrganisationDisabled = "organisation.disabled",
        /// A disabled organisation was enabled.
        OrganisationEnabled = "organisation.enabled",
        /// A user changed the own password, or tried to.
        PasswordChanged = "password.changed",
        /// A user entered the own password again, or tried to, before a change that asks for it.
        Reauthenticated = "user.reauthenticated",
        /// A password was reset: by somebody else, or by a link of a mail.
        PasswordReset = "password.reset",
        /// Somebody asked for a mail with a link that sets a new password.
        PasswordResetAsked = "password.reset_asked",
        /// A user reported a sign-in as somebody else's: all sessions ended, and the password is void.
        PasswordWithdrawn = "password.withdrawn",
        /// A user signed in from a browser and a network that were not seen before.
        DeviceNew = "device.new",
        /// A user confirmed such a sign-in.
        DeviceConfirmed = "device.confirmed",
        /// A value of a policy was set or taken away.
        PolicyChanged = "policy.changed",
        /// A user made an API key.
        KeyCreated = "key.created",
        /// An API key was revoked.
        KeyRevoked = "key.revoked",
        /// All sessions, executions and clients of a user were ended at once.
        ForcedOut = "user.forced_out",
        /// A program registered as a client and was given a session.
        ClientRegistered = "client.registered",
        /// A client was disconnected, by somebody or with what it hung on.
        ClientDisconnected = "client.disconnected",
        /// A registration of a client was removed.
        ClientRemoved = "client.removed",
        /// An execution was started.
        ExecutionStarted = "execution.started",
        /// An execution has finished or failed.
        ExecutionFinished = "execution.finished",
        /// An execution was terminated, by somebody or with what it hung on.
        ExecutionTerminated = "execution.terminated",
        /// A session entered a protected host.
        HostEntered = "host.entered",
        /// Somebody elsewhere was made a user here.
        IdentityLinked = "identity.linked",
        /// An identity provider told that somebody has signed out there.
        ProviderSignedOut = "provider.signed_out",
        /// An identity provider was set up or changed.
        ProviderSaved = "provider.saved",
        /// An identity provider was removed.
        ProviderRemoved = "provider.removed",
        /// Two credentials came with one request, as in cookie tossing.
        CredentialsAmbiguous = "credentials.ambiguous",
        /// The owner gave a session another name, or tried to.
        SessionRenamed = "session.renamed",
        /// A list of sessions was taken away as a file.
        SessionsExported = "sessions.exported",
        /// A part of the audit trail was taken away as a file.
        AuditExported = "audit.exported",
        /// A receiver of events was made.
        ReceiverCreated = "receiver.created",
        /// A receiver's name or address, or what it is told, was changed.
        ReceiverChanged = "receiver.changed",
        /// A receiver was paused, by somebody or because it wants no more.
        ReceiverPaused = "receiver.paused",
        /// A receiver that was paused or failed is told again.
        ReceiverResumed = "receiver.resumed",
        /// A receiver was removed.
        ReceiverRemoved = "receiver.removed",
        /// A receiver was sent something to try it out.
        ReceiverTested = "receiver.tested",
        /// An event was sent to a receiver again.
        DeliveryReplayed = "delivery.replayed",
        /// A backup was put in place, and all sessions in it ended.
        BackupRestored = "backup.restored",
    }
);

words!(
    /// How it went.
    AuditOutcome {
        /// Done.
        Success = "success",
        /// The caller is not permitted to.
        NotPermitted = "not_permitted",
        /// The target is unknown, or foreign to the caller.
        NotFound = "not_found",
        /// The session had already ended.
        AlreadyEnded = "already_ended",
        /// The database refused.
        Failed = "failed",
        /// The password was wrong, or there is no such user.
        WrongPassword = "wrong_password",
        /// The account is locked.
        Locked = "locked",
        /// The account or its organisation is disabled.
        Disabled = "disabled",
        /// Too many attempts.
        Throttled = "throttled",
        /// Something in the request could not be accepted.
        Refused = "refused",
    }
);

/// One event of the audit trail.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditEvent {
    /// Its number: 1, 2, 3 and so on, without gaps.
    pub sequence: i64,
    /// When.
    pub at: Timestamp,
    /// Who; `null` for the server itself and for anonymous callers.
    pub actor: Option<Actor>,
    /// The user it was done to, if any.
    pub target: Option<UserRef>,
    /// The organisation it concerns; `null` for events that only platform administrators see.
    pub organisation: Option<OrganisationRef>,
    /// What.
    pub action: AuditAction,
    /// How it went.
    pub outcome: AuditOutcome,
    /// The session it concerns.
    pub session: Option<SessionId>,
    /// More about it, such as the reason for an end or a count; `null` where there is nothing to add.
    pub detail: Option<String>,
    /// The caller's address; empty for the command line and the server itself.
    pub ip: String,
    /// The caller's user agent.
    pub user_agent: String,
    /// The request's id, as in the log and in problem documents.
    pub request_id: String,
}
