//! What the queries take and answer: plain values, neither rows nor wire types.

use rollcall_core::{
    AuditAction, AuditOutcome, EndPreviewId, EndReason, Kind, Method, OrganisationId,
    OrganisationRef, Permissions, Reach, RoleKey, RoleRef, SessionId, Timestamp, User, UserId,
    UserRef,
    rights::{Grant, Rights},
    session::LifeFacts,
};

use super::scope::Scope;

/// When something ended everything that was created until then, and why.
pub type Epoch = Option<(Timestamp, EndReason)>;

/// A session as it is stored, with the hashes that a token is compared with.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionRecord {
    /// Its public id.
    pub id: SessionId,
    /// Whose it is.
    pub user_id: UserId,
    /// The user's organisation when it was made.
    pub organisation_id: OrganisationId,
    /// SHA-256 of the lineage, by which a token finds its session.
    pub lineage_hash: [u8; 32],
    /// SHA-256 of the current secret.
    pub secret_hash: [u8; 32],
    /// The key that makes the next secret of this one.
    pub rotation_key: [u8; 32],
    /// How often it has rotated since its lineage began.
    pub generation: i64,
    /// When the current secret was first used.
    pub first_used_at: Option<Timestamp>,
    /// What people call it.
    pub name: String,
    /// What holds it.
    pub kind: Kind,
    /// How the user signed in.
    pub method: Method,
    /// Whether the browser was asked to keep the cookie.
    pub keep: bool,
    /// The address of the sign-in, in canonical text.
    pub ip: String,
    /// The user agent as it was sent.
    pub user_agent: String,
    /// The browser or program.
    pub browser: String,
    /// The system.
    pub system: String,
    /// Which server made it.
    pub server_name: String,
    /// When the user signed in.
    pub created_at: Timestamp,
    /// When the user last showed the password, or what stands for it: at sign-in or since.
    pub authenticated_at: Timestamp,
    /// When it was last used.
    pub last_activity_at: Timestamp,
    /// The idle timeout that it lives under, in seconds.
    pub idle_timeout_seconds: i64,
    /// When it ends if it is not used.
    pub idle_expires_at: Timestamp,
    /// When it ends in any case.
    pub absolute_expires_at: Timestamp,
    /// The stored end.
    pub ended: Option<(Timestamp, EndReason)>,
}

/// A session to be stored; `ended` is `None`.
pub type NewSession = SessionRecord;

// The hashes are no secrets by themselves, but a log has no use for them.
impl std::fmt::Debug for SessionRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionRecord")
            .field("id", &self.id)
            .field("generation", &self.generation)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

/// What a user may do, and all that could have ended the user's sessions; one joined read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Authority {
    /// Who.
    pub user: UserRef,
    /// Whether the account is enabled.
    pub user_enabled: bool,
    /// Whether it was deleted.
    pub deleted: bool,
    /// True until the one-time password is changed.
    pub password_change_required: bool,
    /// The zone that the user chose, if any.
    pub time_zone: Option<String>,
    /// The columns that the user chose for the table of sessions.
    pub columns: rollcall_core::Columns,
    /// The user's organisation.
    pub organisation: OrganisationRef,
    /// Whether that is enabled.
    pub organisation_enabled: bool,
    /// The primary role's key.
    pub role_key: String,
    /// Its name.
    pub role_name: String,
    /// All roles, the primary one first.
    pub roles: Vec<RoleKey>,
    /// What the user may do by all of them together.
    pub rights: Rights,
    /// The user's epoch.
    pub user_ended_before: Epoch,
    /// The organisation's epoch.
    pub organisation_ended_before: Epoch,
    /// The installation's epoch.
    pub installation_ended_before: Epoch,
}

impl Authority {
    /// What the user may do.
    pub fn permissions(&self) -> Permissions {
        self.rights.permissions
    }

    /// How far the user sees: everywhere with any role that reaches everywhere.
    pub fn reach(&self) -> Reach {
        if self.rights.everywhere == Permissions::default() {
            Reach::Own
        } else {
            Reach::All
        }
    }

    /// All that decides whether this user's session lives.
    pub fn life_facts(&self, session: &SessionRecord) -> LifeFacts {
        LifeFacts {
            created_at: session.created_at,
            idle_expires_at: session.idle_expires_at,
            absolute_expires_at: session.absolute_expires_at,
            ended: session.ended,
            user_ended_before: self.user_ended_before,
            organisation_ended_before: self.organisation_ended_before,
            installation_ended_before: self.installation_ended_before,
            user_enabled: self.user_enabled && !self.deleted,
            organisation_enabled: self.organisation_enabled,
        }
    }
}

/// A user as it is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct UserRecord {
    /// The id.
    pub id: UserId,
    /// The organisation.
    pub organisation_id: OrganisationId,
    /// The user name.
    pub email: String,
    /// What the user is called.
    pub name: String,
    /// The primary role's key.
    pub role_key: String,
    /// True for a program's account.
    pub service_account: bool,
    /// The password's hash in PHC form; `None` where the user signs in otherwise.
    pub password_hash: Option<String>,
    /// Whether there ever was a password: who reported a sign-in has none until they set another.
    pub had_password: bool,
    /// True until the one-time password is changed.
    pub password_change_required: bool,
    /// Whether the account is enabled.
    pub enabled: bool,
    /// Whether it was deleted.
    pub deleted: bool,
    /// Whether the organisation is enabled.
    pub organisation_enabled: bool,
    /// Whether the user ever signed in.
    pub has_signed_in: bool,
}

impl std::fmt::Debug for UserRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UserRecord")
            .field("id", &self.id)
            .field("role_key", &self.role_key)
            .finish_non_exhaustive()
    }
}

/// A user to be stored.
#[derive(Clone)]
pub struct NewUser {
    /// The id.
    pub id: UserId,
    /// The organisation.
    pub organisation_id: OrganisationId,
    /// The user name, normalised.
    pub email: String,
    /// What the user is called.
    pub name: String,
    /// The primary role's key.
    pub role_key: String,
    /// True for a program's account.
    pub service_account: bool,
    /// The password's hash in PHC form.
    pub password_hash: Option<String>,
    /// True for a one-time password.
    pub password_change_required: bool,
    /// When.
    pub created_at: Timestamp,
}

/// A role as it is stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RoleRecord {
    /// Its key.
    pub key: RoleKey,
    /// What it is called.
    pub name: String,
    /// What it gives.
    pub grant: Grant,
    /// Whose it is; `None` for a built-in one.
    pub organisation: Option<OrganisationRef>,
}

impl RoleRecord {
    /// The role as a user names it.
    pub fn named(&self) -> RoleRef {
        RoleRef {
            key: self.key.clone(),
            name: self.name.clone(),
        }
    }
}

/// The roles of a user.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UserRoles {
    /// The primary one.
    pub primary: RoleRecord,
    /// The secondary ones, by name.
    pub secondary: Vec<RoleRecord>,
}

impl UserRoles {
    /// What they give together.
    pub fn rights(&self) -> Rights {
        let primary = Rights::of(self.primary.grant);
        self.secondary
            .iter()
            .fold(primary, |rights, role| rights.and(role.grant))
    }

    /// Whether this is one of them.
    pub fn include(&self, key: &RoleKey) -> bool {
        self.primary.key == *key || self.secondary.iter().any(|role| role.key == *key)
    }
}

/// A user as lists show one, and what that user may do. `may` of the user is for the service to fill in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListedUser {
    /// The user.
    pub user: User,
    /// What the user may do.
    pub rights: Rights,
}

/// An organisation as it is stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OrganisationRecord {
    /// The id.
    pub id: OrganisationId,
    /// What it is called.
    pub name: String,
    /// Whether its users may sign in.
    pub enabled: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What is true of the whole installation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Installation {
    /// Its epoch.
    pub ended_before: Epoch,
}

/// Activity of one session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Touch {
    /// Which.
    pub id: SessionId,
    /// When it was used.
    pub last_activity_at: Timestamp,
    /// When it ends if it is not used again.
    pub idle_expires_at: Timestamp,
}

/// A session that was just ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EndedRow {
    /// Which.
    pub id: SessionId,
    /// Its lineage, by which the cache knows it.
    pub lineage_hash: [u8; 32],
}

/// A live session of somebody who signs in once more.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LiveRow {
    /// Which.
    pub id: SessionId,
    /// Its lineage, by which the cache knows it.
    pub lineage_hash: [u8; 32],
    /// The address that it came from, in canonical text.
    pub ip: String,
}

/// A sign-in that waits for its user to choose what ends, as it is stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TicketRecord {
    /// The hash of the ticket.
    pub secret_hash: [u8; 32],
    /// Who has proven the password.
    pub user: UserId,
    /// The hash of what it was compared with.
    pub proof: [u8; 32],
    /// What to call the session.
    pub name: String,
    /// Keep me signed in.
    pub keep: bool,
    /// When it is good for nothing any more.
    pub expires_at: Timestamp,
}

/// A session whose end the sweeper has written down.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Swept {
    /// Which.
    pub id: SessionId,
    /// Whose.
    pub user: UserRef,
    /// Of which organisation.
    pub organisation_id: OrganisationId,
    /// Its lineage, by which the cache knows it.
    pub lineage_hash: [u8; 32],
    /// When it ended: the moment it expired or its epoch, not when that was noticed.
    pub at: Timestamp,
    /// Why.
    pub reason: EndReason,
}

/// Who makes or uses a preview of an end, and from where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PreviewOwner {
    /// The session that asks; the preview is its own.
    pub session: SessionId,
    /// Its user.
    pub user: UserId,
    /// What that user is called.
    pub name: String,
    /// How far the user reaches.
    pub scope: Scope,
    /// The caller's address.
    pub ip: String,
    /// The caller's user agent.
    pub user_agent: String,
    /// The request's id.
    pub request_id: String,
}

/// A preview that is being worked off.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PreviewRun {
    /// Which.
    pub id: EndPreviewId,
    /// Who ends the sessions.
    pub owner: UserId,
    /// What they are called.
    pub owner_name: String,
    /// How far they reach.
    pub scope: Scope,
    /// Why, in their words.
    pub note: Option<String>,
    /// Their address.
    pub ip: String,
    /// Their user agent.
    pub user_agent: String,
    /// The id of their request.
    pub request_id: String,
    /// The items up to this place are done; after a crash some behind it may be, too.
    pub passed: i64,
    /// How many there were.
    pub sessions: i64,
}

/// A session that was just ended together with others.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PreviewEnded {
    /// Which.
    pub id: SessionId,
    /// Whose.
    pub user: UserRef,
    /// Of which organisation.
    pub organisation_id: OrganisationId,
    /// Its lineage, by which the cache knows it.
    pub lineage_hash: [u8; 32],
    /// Why.
    pub reason: EndReason,
}

/// An event to be appended. Names are copied in, since the trail outlives the rows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuditRecord {
    /// When.
    pub at: Timestamp,
    /// Who, if a user did it.
    pub actor: Option<UserId>,
    /// What they are called; may be set without an id (the command line), empty for nobody.
    pub actor_name: String,
    /// The user it was done to.
    pub target: Option<UserId>,
    /// What they are called.
    pub target_name: String,
    /// Their user name; may be set without an id (an unknown name at sign-in).
    pub target_email: String,
    /// The organisation it concerns; `None` for what only platform administrators see.
    pub organisation: Option<OrganisationId>,
    /// What.
    pub action: AuditAction,
    /// How it went.
    pub outcome: AuditOutcome,
    /// The session it concerns.
    pub session: Option<SessionId>,
    /// More about it.
    pub detail: Option<String>,
    /// The caller's address.
    pub ip: String,
    /// The caller's user agent.
    pub user_agent: String,
    /// The request's id.
    pub request_id: String,
}

/// An event as it is stored, for checking the chain.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredAuditEvent {
    /// Its number.
    pub sequence: i64,
    /// What was appended.
    pub record: AuditRecord,
    /// The HMAC over it and the one before.
    pub hmac: [u8; 32],
}

/// What an actor of another organisation is called: only platform administrators reach that far.
pub(super) fn foreign_actor() -> rollcall_core::Actor {
    rollcall_core::Actor {
        id: None,
        name: rollcall_core::BuiltInRole::PlatformAdministrator
            .name()
            .to_owned(),
    }
}
