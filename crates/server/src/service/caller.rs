//! Who is asking, and what they may do.

use std::sync::Arc;

use rollcall_core::rights::Somebody;
use rollcall_core::role::Reach;
use rollcall_core::{
    Error, OrganisationId, Permission, Permissions, Profile, RoleKey, SessionId, UserId, Viewer,
};

use super::cache::CachedSession;
use crate::db::Scope;

/// A live session and the user behind it. Whoever holds one is signed in.
#[derive(Clone, Debug)]
pub struct Caller {
    pub(super) session: Arc<CachedSession>,
}

impl Caller {
    /// The caller's user.
    pub fn user_id(&self) -> UserId {
        self.session.record.user_id
    }

    /// What the caller is called.
    pub fn name(&self) -> &str {
        &self.session.authority.user.name
    }

    /// The caller's organisation.
    pub fn organisation_id(&self) -> OrganisationId {
        self.session.authority.organisation.id
    }

    /// The session that asks.
    pub fn session_id(&self) -> SessionId {
        self.session.record.id
    }

    /// What the caller may do; nothing but their own account until a one-time password is changed.
    pub fn permissions(&self) -> Permissions {
        self.session.authority.permissions()
    }

    /// True until a one-time password is changed.
    pub fn password_change_required(&self) -> bool {
        self.session.authority.password_change_required
    }

    /// The caller as the rules know them.
    pub fn somebody(&self) -> Somebody {
        Somebody {
            id: self.user_id(),
            rights: self.session.authority.rights,
        }
    }

    /// Whether the caller has this role.
    pub fn has_role(&self, key: &RoleKey) -> bool {
        self.session.authority.roles.contains(key)
    }

    /// How far this permission of the caller reaches; `Forbidden` without it.
    pub fn authorise(&self, permission: Permission) -> Result<Scope, Error> {
        match self.session.authority.rights.reach_of(permission) {
            Some(Reach::All) => Ok(Scope::All),
            Some(Reach::Own) => Ok(Scope::Organisation(self.organisation_id())),
            None => Err(Error::Forbidden),
        }
    }

    /// Whether this permission of the caller reaches that organisation.
    pub fn reaches(&self, permission: Permission, organisation: OrganisationId) -> bool {
        self.authorise(permission)
            .is_ok_and(|scope| scope.covers(organisation, self.user_id()))
    }

    /// The caller as pages know them.
    pub fn viewer(&self) -> Viewer {
        let authority = &self.session.authority;
        Viewer {
            user: authority.user.clone(),
            organisation: authority.organisation.clone(),
            role: authority.role_name.clone(),
            permissions: authority.permissions(),
            reach: authority.reach(),
            password_change_required: authority.password_change_required,
            time_zone: authority.time_zone.clone(),
            columns: authority.columns,
        }
    }

    /// The caller's account.
    pub fn profile(&self) -> Profile {
        let viewer = self.viewer();
        Profile {
            user: viewer.user,
            organisation: viewer.organisation,
            role: viewer.role,
            reach: viewer.reach,
            time_zone: viewer.time_zone,
            password_change_required: viewer.password_change_required,
        }
    }
}
