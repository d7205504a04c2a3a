//! Users, roles and organisations as they are shown, and what is asked for to change them.

use serde::{Deserialize, Serialize};

use crate::ids::{OrganisationId, RoleKey, UserId};
use crate::permission::Permissions;
use crate::role::Reach;
use crate::time::Timestamp;
use crate::user::OrganisationRef;

/// A role, as a user names one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RoleRef {
    /// Its key.
    pub key: RoleKey,
    /// What it is called.
    pub name: String,
}

/// A user: a person or a service account.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct User {
    /// The id.
    pub id: UserId,
    /// The user name.
    pub email: String,
    /// What the user is called.
    pub name: String,
    /// True for a program's account.
    pub service_account: bool,
    /// The user's organisation.
    pub organisation: OrganisationRef,
    /// The primary role.
    pub role: RoleRef,
    /// The secondary roles, by name.
    pub roles: Vec<RoleRef>,
    /// Whether the user may sign in.
    pub enabled: bool,
    /// Since when too many wrong passwords have locked the account; `null` if they have not.
    pub locked_at: Option<Timestamp>,
    /// True until a one-time password is changed.
    pub password_change_required: bool,
    /// When the user was created.
    pub created_at: Timestamp,
    /// When the user last signed in; `null` for never.
    pub last_sign_in_at: Option<Timestamp>,
    /// How many sessions live.
    pub open_sessions: u64,
    /// What the caller may do to this user.
    pub may: UserActs,
}

/// What the caller may do to a user.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UserActs {
    /// Change name and e-mail.
    pub edit: bool,
    /// Disable, enable, delete, move to another organisation, reset the password.
    pub govern: bool,
    /// Change the roles.
    pub change_roles: bool,
    /// Unlock.
    pub unlock: bool,
    /// End the sessions.
    pub end_sessions: bool,
}

/// A user who was just created, or whose password was just reset.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UserCreated {
    /// The user.
    pub user: User,
    /// A password that must be changed at the first sign-in. It is answered this once and stored nowhere.
    pub one_time_password: String,
}

impl std::fmt::Debug for UserCreated {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UserCreated")
            .field("user", &self.user.id)
            .finish_non_exhaustive()
    }
}

/// A user to be created.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateUser {
    /// The user name; unique on the whole server.
    #[cfg_attr(feature = "openapi", schema(max_length = 254))]
    pub email: String,
    /// What the user is called, at most 100 characters; the part of the e-mail before the @ if it is missing.
    pub name: Option<String>,
    /// The primary role; `member` if it is missing.
    pub role: Option<RoleKey>,
    /// The secondary roles.
    pub roles: Option<Vec<RoleKey>>,
    /// The organisation; the caller's own if it is missing.
    pub organisation: Option<OrganisationId>,
    /// True for a program's account.
    pub service_account: Option<bool>,
}

/// What is to change of a user; what is missing stays.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct EditUser {
    /// The user name. A lock goes along.
    pub email: Option<String>,
    /// What the user is called, at most 100 characters.
    pub name: Option<String>,
    /// The primary role.
    pub role: Option<RoleKey>,
    /// The secondary roles, all of them.
    pub roles: Option<Vec<RoleKey>>,
    /// The organisation. All the user's sessions end.
    pub organisation: Option<OrganisationId>,
    /// Whether the user may sign in. Disabling ends all sessions; enabling brings none back.
    pub enabled: Option<bool>,
}

/// A role and what it gives.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Role {
    /// Its key.
    pub key: RoleKey,
    /// What it is called.
    pub name: String,
    /// What it allows.
    pub permissions: Permissions,
    /// How far.
    pub reach: Reach,
    /// The organisation that it belongs to; `null` for a built-in one, which cannot be changed.
    pub organisation: Option<OrganisationRef>,
    /// How many users within the caller's reach have it, as primary or secondary role.
    pub users: u64,
    /// Whether the caller may give it.
    pub may_give: bool,
    /// Whether the caller may edit and delete it.
    pub may_edit: bool,
}

/// A role to be made.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateRole {
    /// What it is called, at most 60 characters; unique in the organisation.
    pub name: String,
    /// What it allows; `users.manage` brings three others with it.
    pub permissions: Permissions,
    /// The organisation; the caller's own if it is missing.
    pub organisation: Option<OrganisationId>,
}

/// What is to change of a role; what is missing stays.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct EditRole {
    /// What it is called.
    pub name: Option<String>,
    /// What it allows, all of it.
    pub permissions: Option<Permissions>,
}

/// An organisation and how large it is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Organisation {
    /// Its id.
    pub id: OrganisationId,
    /// What it is called.
    pub name: String,
    /// Whether its users may sign in.
    pub enabled: bool,
    /// When it was created.
    pub created_at: Timestamp,
    /// How many users it has.
    pub users: u64,
    /// How many sessions live.
    pub active_sessions: u64,
    /// How many sessions there are, ended ones that are still kept among them.
    pub sessions: u64,
}

/// An address that is refused for a while, since too many sign-ins from it failed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ThrottledAddress {
    /// The address; of IPv6 the network, such as `2001:db8::/64`.
    pub address: String,
    /// When it has an attempt again, unless it is released before.
    pub until: Timestamp,
}

/// What is to change of an organisation; what is missing stays.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct EditOrganisation {
    /// What it is called, at most 100 characters; unique on the server.
    pub name: Option<String>,
    /// Whether its users may sign in. Disabling ends all sessions there; enabling brings none back.
    pub enabled: Option<bool>,
}
