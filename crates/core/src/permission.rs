//! What a role allows.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

macro_rules! permissions {
    ($($(#[$doc:meta])* $name:ident = $bit:literal, $text:literal;)*) => {
        /// One thing that a role can allow. Everybody may see and end their own sessions.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        pub enum Permission {
            $($(#[$doc])* #[serde(rename = $text)] $name = $bit,)*
        }

        impl Permission {
            /// Every permission, in the order of its bit.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its name in the API: `sessions.view`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The permission with this name.
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|permission| permission.as_str() == name)
            }
        }

        impl<'de> Deserialize<'de> for Permission {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                crate::session::read_word(deserializer, Self::from_name)
            }
        }
    };
}

permissions! {
    /// See the sessions of others.
    SessionsView = 0, "sessions.view";
    /// End the sessions of others.
    SessionsEnd = 1, "sessions.end";
    /// Register a client for oneself.
    ClientsRegister = 2, "clients.register";
    /// Disconnect clients of others.
    ClientsDisconnect = 3, "clients.disconnect";
    /// See users.
    UsersView = 4, "users.view";
    /// Create, edit, disable and delete users; brings `users.view`, `sessions.view` and `sessions.end`.
    UsersManage = 5, "users.manage";
    /// Unlock accounts. Counts only when the primary role gives it.
    UsersUnlock = 6, "users.unlock";
    /// Make and give roles.
    RolesManage = 7, "roles.manage";
    /// Set timeouts, limits and lock rules.
    PolicyManage = 8, "policy.manage";
    /// Read the audit trail.
    AuditView = 9, "audit.view";
    /// Create, rename and disable organisations.
    OrganisationsManage = 10, "organisations.manage";
    /// Set up identity providers and webhooks.
    IntegrationsManage = 11, "integrations.manage";
    /// Start an execution for another user.
    ExecutionsStartFor = 12, "executions.start_for";
    /// Send work to a waiting agent.
    ExecutionsDispatch = 13, "executions.dispatch";
    /// Create a session for another user.
    SessionsCreateFor = 14, "sessions.create_for";
    /// Ask whether a token is live (RFC 7662).
    SessionsIntrospect = 15, "sessions.introspect";
}

/// A set of permissions, stored as bits and written as a list of names.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = Vec<Permission>))]
pub struct Permissions(u64);

impl Permissions {
    /// The set of these permissions, with what they bring along.
    pub fn of(list: &[Permission]) -> Self {
        list.iter()
            .fold(Self::default(), |set, permission| set.with(*permission))
    }

    /// What no built-in role has: programs get it by roles of their own, given by whoever manages roles.
    pub fn for_programs() -> Self {
        Self::of(&[
            Permission::ExecutionsStartFor,
            Permission::ExecutionsDispatch,
            Permission::SessionsCreateFor,
            Permission::SessionsIntrospect,
        ])
    }

    /// This set and one more; `users.manage` brings three others with it.
    #[must_use]
    pub fn with(self, permission: Permission) -> Self {
        let brought: &[Permission] = match permission {
            Permission::UsersManage => &[
                Permission::UsersView,
                Permission::SessionsView,
                Permission::SessionsEnd,
            ],
            _ => &[],
        };
        let one = Self(self.0 | 1 << permission as u64);
        brought
            .iter()
            .fold(one, |set, other| Self(set.0 | 1 << *other as u64))
    }

    /// This set without one.
    #[must_use]
    pub fn without(self, permission: Permission) -> Self {
        Self(self.0 & !(1 << permission as u64))
    }

    /// What is in either set.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in both sets.
    #[must_use]
    pub fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether this permission is in the set.
    pub fn has(self, permission: Permission) -> bool {
        self.0 & 1 << permission as u64 != 0
    }

    /// Whether all of another set is in this one.
    pub const fn has_all(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The set as bits, for storage.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// A stored set. Bits without a meaning are dropped, so that an older server never grants them.
    pub fn from_bits(bits: u64) -> Self {
        Permission::ALL
            .iter()
            .filter(|permission| bits & 1 << **permission as u64 != 0)
            .fold(Self::default(), |set, permission| set.with(*permission))
    }

    /// The permissions in the set, in the order of their bits.
    pub fn iter(self) -> impl Iterator<Item = Permission> {
        Permission::ALL
            .iter()
            .copied()
            .filter(move |permission| self.has(*permission))
    }
}

impl Serialize for Permissions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for Permissions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::<Permission>::deserialize(deserializer).map(|list| Self::of(&list))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn managing_users_brings_seeing_them_and_their_sessions() {
        let set = Permissions::of(&[Permission::UsersManage]);
        assert!(
            set.has(Permission::UsersView)
                && set.has(Permission::SessionsView)
                && set.has(Permission::SessionsEnd)
        );
        assert!(!set.has(Permission::UsersUnlock));
    }

    #[test]
    fn what_is_there_already_stays() {
        let set = Permissions::of(&[Permission::UsersView, Permission::UsersManage]);
        assert!(set.has(Permission::UsersView));
        let set = set.with(Permission::UsersManage);
        assert!(set.has(Permission::UsersManage) && set.has(Permission::SessionsEnd));
        let set = set.without(Permission::UsersManage);
        assert!(!set.has(Permission::UsersManage) && set.has(Permission::SessionsEnd));
    }

    #[test]
    fn a_set_survives_storage_and_unknown_bits_do_not() {
        let set = Permissions::of(&[Permission::AuditView, Permission::SessionsIntrospect]);
        assert_eq!(Permissions::from_bits(set.bits() | 1 << 63), set);
    }

    #[test]
    fn a_set_is_written_as_its_names_and_read_again() {
        let set = Permissions::of(&[Permission::AuditView, Permission::SessionsEnd]);
        let text = r#"["sessions.end","audit.view"]"#;
        assert_eq!(serde_json::to_string(&set).unwrap(), text);
        assert_eq!(serde_json::from_str::<Permissions>(text).unwrap(), set);
        let listed: Vec<_> = set.iter().collect();
        assert_eq!(listed, [Permission::SessionsEnd, Permission::AuditView]);
        assert_eq!(Permissions::for_programs().iter().count(), 4);
    }
}
