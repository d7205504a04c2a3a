//! Who is asking, and what they may do.

use std::sync::Arc;

use rollcall_core::rights::Somebody;
use rollcall_core::role::Reach;
use rollcall_core::{
    ApiKey, Error, Kind, Method, OrganisationId, Permission, Permissions, Profile, Rights, RoleKey,
    SessionId, UserId, Viewer,
};

use super::cache::CachedSession;
use crate::db::Scope;
use crate::db::clients::Parent;
use crate::db::records::Authority;

/// Whoever holds one is signed in: by a live session, or by an API key that is good.
#[derive(Clone, Debug)]
pub struct Caller {
    credential: Credential,
}

#[derive(Clone, Debug)]
enum Credential {
    Session(Arc<CachedSession>),
    Key(Arc<KeyInUse>),
}

/// An API key and the user behind it, whose rights are narrowed to the key's.
#[derive(Debug)]
pub(super) struct KeyInUse {
    pub(super) record: ApiKey,
    pub(super) authority: Authority,
    /// What the caller is called: with the key, so that the audit trail tells.
    name: String,
}

impl Caller {
    /// The user of a live session.
    pub(super) fn by_session(session: Arc<CachedSession>) -> Self {
        Self {
            credential: Credential::Session(session),
        }
    }

    /// The owner of a key, who may do no more by it than both may.
    pub(super) fn by_key(record: ApiKey, mut authority: Authority) -> Self {
        authority.rights = authority.rights.within(record.permissions);
        let name = format!("{} (API key {})", authority.user.name, record.name);
        Self {
            credential: Credential::Key(Arc::new(KeyInUse {
                record,
                authority,
                name,
            })),
        }
    }

    /// The session that asks; `NotByKey` where it is an API key.
    pub(super) fn session(&self) -> Result<&Arc<CachedSession>, Error> {
        match &self.credential {
            Credential::Session(session) => Ok(session),
            Credential::Key(_) => Err(Error::NotByKey),
        }
    }

    /// Whether a connected client asks, by its own session.
    pub fn is_client(&self) -> bool {
        matches!(&self.credential, Credential::Session(session) if session.record.kind == Kind::Client)
    }

    /// Whether an application has opened the session that asks, for its user.
    pub fn is_on_behalf(&self) -> bool {
        matches!(&self.credential, Credential::Session(session) if session.record.method == Method::OnBehalf)
    }

    // Neither has any of its user's rights: whoever opened it may have had few.
    fn is_confined(&self) -> bool {
        self.is_client() || self.is_on_behalf()
    }

    /// What the caller has shown: what is begun with it hangs on it.
    pub(super) fn parent(&self) -> Parent {
        match &self.credential {
            Credential::Session(session) => Parent::Session(session.record.id),
            Credential::Key(key) => Parent::Key(key.record.id),
        }
    }

    /// The API key that asks, if it is one.
    pub(super) fn key(&self) -> Option<&KeyInUse> {
        match &self.credential {
            Credential::Session(_) => None,
            Credential::Key(key) => Some(key),
        }
    }

    /// The user and what they may do just now.
    pub(super) fn authority(&self) -> &Authority {
        match &self.credential {
            Credential::Session(session) => &session.authority,
            Credential::Key(key) => &key.authority,
        }
    }

    /// The caller's user.
    pub fn user_id(&self) -> UserId {
        self.authority().user.id
    }

    /// What the caller is called.
    pub fn name(&self) -> &str {
        match &self.credential {
            Credential::Session(session) => &session.authority.user.name,
            Credential::Key(key) => &key.name,
        }
    }

    /// The caller's organisation.
    pub fn organisation_id(&self) -> OrganisationId {
        self.authority().organisation.id
    }

    /// The session that asks; of an API key its id, which is no session's: for what belongs to a credential, and for
    /// the one session that is left out.
    pub fn credential(&self) -> SessionId {
        match &self.credential {
            Credential::Session(session) => session.record.id,
            Credential::Key(key) => SessionId(key.record.id.0),
        }
    }

    /// What the caller may do; nothing but their own account until a one-time password is changed.
    pub fn permissions(&self) -> Permissions {
        match self.is_confined() {
            true => Permissions::default(),
            false => self.authority().permissions(),
        }
    }

    fn rights(&self) -> Rights {
        match self.is_confined() {
            true => Rights::default(),
            false => self.authority().rights,
        }
    }

    /// True until a one-time password is changed. No matter of those who sign in elsewhere.
    pub fn password_change_required(&self) -> bool {
        self.authority().password_change_required && !self.is_on_behalf()
    }

    /// The caller as the rules know them.
    pub fn somebody(&self) -> Somebody {
        Somebody {
            id: self.user_id(),
            rights: self.rights(),
        }
    }

    /// Whether the caller has this role.
    pub fn has_role(&self, key: &RoleKey) -> bool {
        self.authority().roles.contains(key)
    }

    /// How far this permission of the caller reaches; `Forbidden` without it.
    pub fn authorise(&self, permission: Permission) -> Result<Scope, Error> {
        match self.rights().reach_of(permission) {
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
        let authority = self.authority();
        Viewer {
            user: authority.user.clone(),
            organisation: authority.organisation.clone(),
            role: authority.role_name.clone(),
            permissions: self.permissions(),
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
