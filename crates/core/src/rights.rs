//! Who may do what to whom: the rules beneath the table "Who may do what" of the product description,
//! as one pure function.
//!
//! What lies in another organisation never comes here: it does not exist for the caller.

use crate::ids::UserId;
use crate::permission::{Permission, Permissions};
use crate::role::Reach;

/// What one role gives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Grant {
    /// What it allows.
    pub permissions: Permissions,
    /// How far.
    pub reach: Reach,
}

impl Grant {
    fn everywhere(self) -> Permissions {
        match self.reach {
            Reach::All => self.permissions,
            Reach::Own => Permissions::default(),
        }
    }
}

/// What somebody may do by all their roles together, and how far each of it reaches.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Rights {
    /// In the own organisation.
    pub permissions: Permissions,
    /// In every organisation; a part of `permissions`.
    pub everywhere: Permissions,
}

impl Rights {
    /// The rights of the primary role alone. Whatever it is, everybody may register clients for themselves.
    pub fn of(primary: Grant) -> Self {
        Self {
            permissions: primary.permissions.with(Permission::ClientsRegister),
            everywhere: primary.everywhere(),
        }
    }

    /// These rights and those of one more role. `users.unlock` comes from the primary role only.
    #[must_use]
    pub fn and(self, secondary: Grant) -> Self {
        let given = |permissions: Permissions| permissions.without(Permission::UsersUnlock);
        Self {
            permissions: self.permissions.union(given(secondary.permissions)),
            everywhere: self.everywhere.union(given(secondary.everywhere())),
        }
    }

    /// What is left of these rights for a credential that is given these permissions and no others.
    #[must_use]
    pub fn within(self, given: Permissions) -> Self {
        Self {
            permissions: self.permissions.intersection(given),
            everywhere: self.everywhere.intersection(given),
        }
    }

    /// Whether this permission is among them.
    pub fn has(self, permission: Permission) -> bool {
        self.permissions.has(permission)
    }

    /// How far this permission reaches; `None` without it.
    pub fn reach_of(self, permission: Permission) -> Option<Reach> {
        if self.everywhere.has(permission) {
            Some(Reach::All)
        } else {
            self.has(permission).then_some(Reach::Own)
        }
    }

    /// Whether they hold all that somebody else has. What everybody has counts as held, though a credential may have been
    /// made without it.
    pub fn cover(self, other: Self) -> bool {
        self.to_give().has_all(other.permissions) && self.everywhere.has_all(other.everywhere)
    }

    /// Whether they hold all that a role would give, `users.unlock` included: as a primary role it would
    /// give that too.
    pub fn hold(self, role: Grant) -> bool {
        self.to_give().has_all(role.permissions) && self.everywhere.has_all(role.everywhere())
    }

    // What counts as held where it is given or taken. No built-in role has what only programs' roles have, so that
    // whoever makes roles gives it without having it.
    fn to_give(self) -> Permissions {
        let held = self.permissions.with(Permission::ClientsRegister);
        match self.has(Permission::RolesManage) {
            true => held.union(Permissions::for_programs()),
            false => held,
        }
    }
}

/// Somebody, as far as the rules care.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Somebody {
    /// Who.
    pub id: UserId,
    /// What they may do.
    pub rights: Rights,
}

/// What somebody wants to do.
#[derive(Clone, Copy, Debug)]
pub enum Act<'a> {
    /// Create a user with these roles, the primary one first. `plain` if that is the Member alone, which
    /// needs no right to give roles.
    Create {
        /// What the roles give.
        roles: &'a [Grant],
        /// Whether they are what everybody has.
        plain: bool,
    },
    /// Change a user's name or e-mail.
    Edit(Somebody),
    /// Disable, enable, delete or move a user, or reset the password. Nobody does so to themselves: it would
    /// lock them out, and one's own password is changed by whoever knows it.
    Govern(Somebody),
    /// Unlock a user.
    Unlock(Somebody),
    /// Give and take roles; `roles` are those that come and those that go.
    ChangeRoles {
        /// Whose.
        of: Somebody,
        /// What the roles give.
        roles: &'a [Grant],
    },
    /// Make, edit or delete a role of an organisation, which gives what `before` and `after` say.
    ManageRole {
        /// What it gives now; `None` for a new one.
        before: Option<Grant>,
        /// What it is to give; `None` if it is deleted.
        after: Option<Grant>,
        /// Built-in roles are fixed.
        built_in: bool,
        /// Whether the caller has it: nobody changes their own roles.
        own: bool,
    },
}

/// Whether the caller may do this; if not, they are not permitted to (403).
pub fn may(caller: Somebody, act: Act<'_>) -> bool {
    let has = |permission| caller.rights.has(permission);
    let covers = |target: Somebody| caller.rights.cover(target.rights);
    let holds = |roles: &[Grant]| roles.iter().all(|role| caller.rights.hold(*role));
    match act {
        Act::Create { roles, plain } => {
            has(Permission::UsersManage) && (plain || has(Permission::RolesManage)) && holds(roles)
        }
        Act::Edit(target) => has(Permission::UsersManage) && covers(target),
        Act::Govern(target) => {
            has(Permission::UsersManage) && caller.id != target.id && covers(target)
        }
        Act::Unlock(target) => has(Permission::UsersUnlock) && covers(target),
        Act::ChangeRoles { of, roles } => {
            has(Permission::UsersManage)
                && has(Permission::RolesManage)
                && caller.id != of.id
                && covers(of)
                && holds(roles)
        }
        Act::ManageRole {
            before,
            after,
            built_in,
            own,
        } => {
            let own_reach = |role: Grant| role.reach == Reach::Own;
            has(Permission::RolesManage)
                && !built_in
                && !own
                && before.is_none_or(|role| caller.rights.hold(role))
                && after.is_none_or(|role| own_reach(role) && caller.rights.hold(role))
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::role::BuiltInRole as R;
    use Permission as P;

    fn grant(role: R) -> Grant {
        Grant {
            permissions: role.permissions(),
            reach: role.reach(),
        }
    }

    fn own(permissions: &[P]) -> Grant {
        Grant {
            permissions: Permissions::of(permissions),
            reach: Reach::Own,
        }
    }

    fn somebody(number: u128, primary: Grant, secondary: &[Grant]) -> Somebody {
        Somebody {
            id: UserId(Uuid::from_u128(number)),
            rights: secondary
                .iter()
                .fold(Rights::of(primary), |rights, role| rights.and(*role)),
        }
    }

    // The callers of the tables, in this order.
    fn callers() -> [(&'static str, Somebody); 7] {
        let admin = grant(R::Administrator);
        [
            (
                "platform",
                somebody(1, grant(R::PlatformAdministrator), &[]),
            ),
            ("administrator", somebody(2, admin, &[])),
            (
                "quality and administrator",
                somebody(3, grant(R::QualityManager), &[admin]),
            ),
            ("manager", somebody(4, grant(R::SessionManager), &[])),
            ("member", somebody(5, grant(R::Member), &[])),
            ("users only", somebody(6, own(&[P::UsersManage]), &[])),
            (
                "member and platform",
                somebody(7, grant(R::Member), &[grant(R::PlatformAdministrator)]),
            ),
        ]
    }

    #[test]
    fn who_may_do_what_to_whom() {
        let target = |roles: &[Grant]| somebody(100, roles[0], &roles[1..]);
        let (member, quality) = (grant(R::Member), grant(R::QualityManager));
        let (manager, admin, platform) = (
            grant(R::SessionManager),
            grant(R::Administrator),
            grant(R::PlatformAdministrator),
        );
        let dispatcher = own(&[P::ExecutionsDispatch]);
        let auditor = own(&[P::AuditView]);
        let edit = |roles: &[Grant]| Act::Edit(target(roles));
        let govern = |roles: &[Grant]| Act::Govern(target(roles));
        let unlock = |roles: &[Grant]| Act::Unlock(target(roles));
        let roles = |of: &[Grant], roles| Act::ChangeRoles {
            of: target(of),
            roles,
        };
        let create = |roles| Act::Create {
            roles,
            plain: false,
        };
        let role = |before, after| Act::ManageRole {
            before,
            after,
            built_in: false,
            own: false,
        };
        let (only_member, with_admin, with_manager, with_platform, with_dispatch, with_auditor) = (
            [member],
            [admin],
            [manager],
            [platform],
            [dispatcher],
            [auditor],
        );
        #[rustfmt::skip]
        let table: &[(&str, Act<'_>, [bool; 7])] = &[
            // platform, administrator, quality+administrator, manager, member, users only, member+platform
            ("edit a member", edit(&[member]), [true, true, true, false, false, true, true]),
            ("edit a quality manager with administrator", edit(&[quality, admin]), [true, true, true, false, false, false, true]),
            ("edit a session manager", edit(&[manager]), [true, true, true, false, false, false, true]),
            ("edit an administrator", edit(&[admin]), [true, true, false, false, false, false, false]),
            ("edit a platform administrator", edit(&[platform]), [true, false, false, false, false, false, false]),
            ("edit a member with platform", edit(&[member, platform]), [true, false, false, false, false, false, true]),
            ("edit a program that dispatches", edit(&[member, dispatcher]), [true, true, true, false, false, false, true]),
            ("govern a member", govern(&[member]), [true, true, true, false, false, true, true]),
            ("govern an administrator", govern(&[admin]), [true, true, false, false, false, false, false]),
            ("govern a platform administrator", govern(&[platform]), [true, false, false, false, false, false, false]),
            ("unlock a member", unlock(&[member]), [true, true, false, false, false, false, false]),
            ("unlock an administrator", unlock(&[admin]), [true, true, false, false, false, false, false]),
            ("unlock a platform administrator", unlock(&[platform]), [true, false, false, false, false, false, false]),
            ("make a member a manager", roles(&[member], &with_manager), [true, true, true, false, false, false, true]),
            ("make a member an administrator", roles(&[member], &with_admin), [true, true, false, false, false, false, false]),
            ("make a member a platform administrator", roles(&[member], &with_platform), [true, false, false, false, false, false, false]),
            ("take administrator away", roles(&[quality, admin], &with_admin), [true, true, false, false, false, false, false]),
            ("give what only programs have", roles(&[member], &with_dispatch), [true, true, true, false, false, false, true]),
            ("give a part of what one holds", roles(&[member], &with_auditor), [true, true, true, false, false, false, true]),
            ("create a member", Act::Create { roles: &only_member, plain: true }, [true, true, true, false, false, true, true]),
            ("create a manager", create(&with_manager), [true, true, true, false, false, false, true]),
            ("create an administrator", create(&with_admin), [true, true, false, false, false, false, false]),
            ("create a platform administrator", create(&with_platform), [true, false, false, false, false, false, false]),
            ("make a role", role(None, Some(auditor)), [true, true, true, false, false, false, true]),
            ("make a role that unlocks", role(None, Some(own(&[P::UsersUnlock]))), [true, true, false, false, false, false, false]),
            ("make a role for programs", role(None, Some(dispatcher)), [true, true, true, false, false, false, true]),
            ("widen a role for programs", role(Some(auditor), Some(own(&[P::AuditView, P::ExecutionsDispatch]))), [true, true, true, false, false, false, true]),
            ("narrow a role for programs", role(Some(dispatcher), Some(auditor)), [true, true, true, false, false, false, true]),
            ("delete a role", role(Some(auditor), None), [true, true, true, false, false, false, true]),
            ("delete a role for programs", role(Some(dispatcher), None), [true, true, true, false, false, false, true]),
            ("make a role that reaches everywhere", role(None, Some(Grant { reach: Reach::All, ..auditor })), [false; 7]),
            ("edit a built-in role", Act::ManageRole { before: Some(member), after: Some(member), built_in: true, own: false }, [false; 7]),
            ("edit one's own role", Act::ManageRole { before: Some(auditor), after: Some(auditor), built_in: false, own: true }, [false; 7]),
        ];
        for (what, act, expected) in table {
            for ((who, caller), expected) in callers().into_iter().zip(expected) {
                assert_eq!(may(caller, *act), *expected, "{who}: {what}");
            }
        }
    }

    #[test]
    fn nobody_disables_or_promotes_themselves() {
        for (who, caller) in callers() {
            let manages = caller.rights.has(P::UsersManage);
            assert_eq!(may(caller, Act::Edit(caller)), manages, "{who}");
            assert!(!may(caller, Act::Govern(caller)), "{who}");
            let roles = [own(&[])];
            let change = Act::ChangeRoles {
                of: caller,
                roles: &roles,
            };
            assert!(!may(caller, change), "{who}");
        }
    }

    #[test]
    fn each_permission_reaches_as_far_as_the_role_that_gives_it() {
        let mixed = Rights::of(grant(R::Administrator)).and(grant(R::PlatformAdministrator));
        assert_eq!(mixed.reach_of(P::UsersManage), Some(Reach::All));
        assert_eq!(mixed.reach_of(P::OrganisationsManage), Some(Reach::All));
        // Given by the primary role, in the own organisation.
        assert_eq!(mixed.reach_of(P::UsersUnlock), Some(Reach::Own));
        let with_own =
            Rights::of(grant(R::PlatformAdministrator)).and(own(&[P::ExecutionsDispatch]));
        assert_eq!(with_own.reach_of(P::ExecutionsDispatch), Some(Reach::Own));
        assert_eq!(with_own.reach_of(P::UsersUnlock), Some(Reach::All));
        assert_eq!(with_own.reach_of(P::SessionsCreateFor), None);
    }

    #[test]
    fn a_secondary_role_never_unlocks() {
        for role in R::ALL {
            let rights = Rights::of(grant(R::QualityManager)).and(grant(role));
            assert!(!rights.has(P::UsersUnlock), "{role:?}");
        }
    }

    #[test]
    fn a_credential_does_no_more_than_it_was_given() {
        let everywhere = grant(R::PlatformAdministrator);
        let given = Permissions::of(&[P::UsersManage]);
        let rights = Rights::of(everywhere).within(given);
        assert_eq!(rights.permissions, given);
        assert_eq!(rights.everywhere, given);
        assert_eq!(rights.reach_of(P::AuditView), None);
        assert_eq!(rights.reach_of(P::UsersManage), Some(Reach::All));
        // More than the owner has is nothing.
        let own = grant(R::Member);
        let nothing = Rights::of(own).within(given);
        assert_eq!(nothing, Rights::default());
        // What everybody has keeps nobody from being managed.
        assert!(rights.cover(Rights::of(own)) && rights.hold(own));
        assert!(!rights.cover(Rights::of(everywhere)));
    }
}
