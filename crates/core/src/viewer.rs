//! Who is looking, what surrounds the page, and what people send us.

use serde::{Deserialize, Serialize};

use crate::choices::Columns;
use crate::ids::SessionId;
use crate::permission::{Permission, Permissions};
use crate::role::Reach;
use crate::session::{EndReason, Session};
use crate::time::Timestamp;
use crate::user::{OrganisationRef, UserRef};
use crate::zone::Zone;

/// The signed-in user, as pages need to know them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Viewer {
    /// Who.
    pub user: UserRef,
    /// Their organisation.
    pub organisation: OrganisationRef,
    /// The name of the primary role.
    pub role: String,
    /// What they may do.
    pub permissions: Permissions,
    /// How far that reaches.
    pub reach: Reach,
    /// True until the one-time password is changed; until then nothing else is open.
    pub password_change_required: bool,
    /// The time zone that they chose, if they did (IANA name).
    pub time_zone: Option<String>,
    /// The columns that they have chosen for the table of sessions.
    pub columns: Columns,
}

impl Viewer {
    /// Whether the viewer has this permission.
    pub fn may(&self, permission: Permission) -> bool {
        self.permissions.has(permission)
    }
}

/// What a page knows besides its own data; rendered into the HTML, so that server and browser agree. The
/// default knows nothing.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Surroundings {
    /// The viewer, if somebody is signed in.
    pub viewer: Option<Viewer>,
    /// The server's time when the page was made.
    pub now: Timestamp,
    /// The zone that times are shown in.
    pub zone: Zone,
    /// Whom to ask (`--support-contact`).
    pub support_contact: Option<String>,
    /// The id of the request that made the page.
    pub request_id: String,
    /// The least length of a new password, in characters.
    pub password_min_length: u32,
}

/// The answer of `GET /api/v1/me`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Me {
    /// Who is asking.
    pub user: Profile,
    /// What they may do.
    pub permissions: Permissions,
    /// The session that asks; `null` for an API key.
    pub session: Option<Session>,
}

/// The caller's own account.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Profile {
    /// Who.
    #[serde(flatten)]
    pub user: UserRef,
    /// Their organisation.
    pub organisation: OrganisationRef,
    /// The name of the primary role.
    pub role: String,
    /// How far its permissions reach.
    pub reach: Reach,
    /// The time zone that they chose, if they did.
    pub time_zone: Option<String>,
    /// True until the one-time password is changed.
    pub password_change_required: bool,
}

/// What the sign-in form sends. Debug shows no password.
#[derive(Clone, Serialize, Deserialize)]
pub struct SignIn {
    /// The user name.
    pub email: String,
    /// The password.
    pub password: String,
    /// Keep me signed in.
    pub keep: bool,
    /// What to call the session; the browser and system where it is not given.
    pub name: Option<String>,
    /// Sessions of one's own to end where there are as many as there may be.
    #[serde(default)]
    pub end: Vec<SessionId>,
}

impl std::fmt::Debug for SignIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignIn")
            .field("keep", &self.keep)
            .finish_non_exhaustive()
    }
}

/// How far a sign-in on the page got.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SignInStep {
    /// Somebody is signed in.
    Done,
    /// There are as many sessions as there may be, and the user may choose which ones end.
    Choose,
}

/// A sign-in that waits for its user to choose what ends.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct PendingSignIn {
    /// Whose.
    pub user: UserRef,
    /// The live sessions, at most 100 of them: the one used last first.
    pub sessions: Vec<Session>,
    /// How many live sessions there are.
    pub live: u64,
    /// How many there may be.
    pub most: u32,
    /// How many have to end; none where there is room by now.
    pub surplus: u64,
}

/// What its user has chosen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Leaving {
    /// These.
    Only(Vec<SessionId>),
    /// Whatever is open.
    All,
}

/// What the security page sends. Debug shows no password.
#[derive(Clone, Serialize, Deserialize)]
pub struct ChangePassword {
    /// The password in force.
    pub current_password: String,
    /// The one to be.
    pub new_password: String,
}

impl std::fmt::Debug for ChangePassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChangePassword").finish_non_exhaustive()
    }
}

/// Which of one's own sessions.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OwnScope {
    /// All but this one.
    Others,
    /// All, with this one.
    All,
}

/// What an end did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EndResult {
    /// How many sessions ended.
    pub ended: u64,
    /// Whether the caller's own session was among them: the caller is signed out now.
    pub signed_out: bool,
}

/// Why the session whose dead token the browser or the program still holds has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LastEnd {
    /// Why.
    pub reason: EndReason,
    /// When.
    pub at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{OrganisationId, UserId};

    #[test]
    fn a_viewer_may_what_their_permissions_say() {
        let viewer = Viewer {
            user: UserRef {
                id: UserId(uuid::Uuid::nil()),
                email: String::new(),
                name: String::new(),
                service_account: false,
            },
            organisation: OrganisationRef {
                id: OrganisationId(uuid::Uuid::nil()),
                name: String::new(),
            },
            role: String::new(),
            permissions: Permissions::of(&[Permission::AuditView]),
            reach: Reach::Own,
            password_change_required: false,
            time_zone: None,
            columns: Columns::default(),
        };
        assert!(viewer.may(Permission::AuditView));
        assert!(!viewer.may(Permission::SessionsView));
    }
}
