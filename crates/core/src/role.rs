//! The roles that every installation has.

use serde::{Deserialize, Serialize};

use crate::permission::{Permission, Permissions};

/// How far a role's permissions reach.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Reach {
    /// Every organisation. Only the built-in Platform administrator has it.
    All,
    /// The user's own organisation.
    Own,
}

/// A built-in role.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum BuiltInRole {
    /// Everything, in all organisations.
    PlatformAdministrator,
    /// Everything but organisations and integrations, in the own organisation.
    Administrator,
    /// Sessions, clients and the list of users, in the own organisation.
    SessionManager,
    /// Own sessions only; made to be combined with a secondary role.
    QualityManager,
    /// Own sessions only.
    Member,
}

impl BuiltInRole {
    /// Every built-in role, the most powerful first.
    pub const ALL: [Self; 5] = [
        Self::PlatformAdministrator,
        Self::Administrator,
        Self::SessionManager,
        Self::QualityManager,
        Self::Member,
    ];

    /// The stable key in the database and on the command line: `platform_administrator`.
    pub const fn key(self) -> &'static str {
        match self {
            Self::PlatformAdministrator => "platform_administrator",
            Self::Administrator => "administrator",
            Self::SessionManager => "session_manager",
            Self::QualityManager => "quality_manager",
            Self::Member => "member",
        }
    }

    /// The name that people see: "Platform administrator".
    pub const fn name(self) -> &'static str {
        match self {
            Self::PlatformAdministrator => "Platform administrator",
            Self::Administrator => "Administrator",
            Self::SessionManager => "Session manager",
            Self::QualityManager => "Quality Manager",
            Self::Member => "Member",
        }
    }

    /// The role with this key.
    pub fn from_key(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.key() == key)
    }

    /// How far it reaches.
    pub const fn reach(self) -> Reach {
        match self {
            Self::PlatformAdministrator => Reach::All,
            _ => Reach::Own,
        }
    }

    /// What it allows: the table "Who may do what" of the product description.
    pub fn permissions(self) -> Permissions {
        use Permission as P;
        let member = Permissions::of(&[P::ClientsRegister]);
        let manager = [
            P::SessionsView,
            P::SessionsEnd,
            P::ClientsDisconnect,
            P::UsersView,
        ];
        let administrator = [
            P::UsersManage,
            P::RolesManage,
            P::PolicyManage,
            P::AuditView,
            P::UsersUnlock,
        ];
        let platform = [P::OrganisationsManage, P::IntegrationsManage];
        match self {
            Self::QualityManager | Self::Member => member,
            Self::SessionManager => member.union(Permissions::of(&manager)),
            Self::Administrator => Self::SessionManager
                .permissions()
                .union(Permissions::of(&administrator)),
            Self::PlatformAdministrator => Self::Administrator
                .permissions()
                .union(Permissions::of(&platform)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_built_in_role_is_found_by_its_key_and_called_by_its_name() {
        let expected = [
            ("platform_administrator", "Platform administrator"),
            ("administrator", "Administrator"),
            ("session_manager", "Session manager"),
            ("quality_manager", "Quality Manager"),
            ("member", "Member"),
        ];
        for (role, (key, name)) in BuiltInRole::ALL.into_iter().zip(expected) {
            assert_eq!((role.key(), role.name()), (key, name));
            assert_eq!(BuiltInRole::from_key(key), Some(role));
        }
        assert_eq!(BuiltInRole::from_key("owner"), None);
    }
}
