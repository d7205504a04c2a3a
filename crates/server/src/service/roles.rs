//! Roles: built-in ones, which are fixed, and those of organisations.

use rollcall_core::rights::{Act, Grant, may};
use rollcall_core::role::Reach;
use rollcall_core::{
    AuditAction, AuditOutcome, CreateRole, EditRole, Error, Field, NameQuery, Page, Permission,
    Permissions, Problem, Role, RoleKey,
};

use super::Service;
use super::audit::{Describe, event};
use super::caller::Caller;
use super::facts::RequestFacts;
use super::names::checked_name;
use super::people::offered;
use super::user_acts::taken;
use crate::clock::uuid_v7;
use crate::db::records::RoleRecord;
use crate::db::{self, AuditRecord, DbError};

/// The longest name of a role, in characters.
pub const LONGEST_ROLE_NAME: u32 = 60;

impl Service {
    /// The roles that users within the caller's reach can have.
    pub async fn list_roles(
        &self,
        caller: &Caller,
        query: &NameQuery,
    ) -> Result<Page<Role>, Error> {
        let scope = caller.authorise(Permission::UsersView)?;
        let roles = db::roles::list(self.db().reader(), scope).await;
        let roles = roles.map_err(|error| self.database_error(error))?;
        let named = roles
            .into_iter()
            .filter(|(role, _)| super::organisations::matches(&role.name, query));
        let all = named
            .map(|(role, users)| shown(role, users, caller))
            .collect();
        Ok(super::organisations::page(all, query, self.now()))
    }

    /// One role.
    pub async fn find_role(&self, caller: &Caller, key: &RoleKey) -> Result<Role, Error> {
        let scope = caller.authorise(Permission::UsersView)?;
        let roles = db::roles::list(self.db().reader(), scope).await;
        let roles = roles.map_err(|error| self.database_error(error))?;
        let found = roles.into_iter().find(|(role, _)| role.key == *key);
        let (role, users) = found.ok_or(Error::NotFound)?;
        Ok(shown(role, users, caller))
    }

    /// Makes a role of an organisation.
    pub async fn create_role(
        &self,
        caller: &Caller,
        facts: &RequestFacts,
        input: CreateRole,
    ) -> Result<Role, Error> {
        let attempt = self.about_role(caller, facts, AuditAction::RoleCreated);
        let result = self.create_role_by(caller, input, attempt.clone()).await;
        self.note_refusal(caller, attempt, &result).await;
        let key = result?;
        self.find_role(caller, &key).await
    }

    async fn create_role_by(
        &self,
        caller: &Caller,
        input: CreateRole,
        about: AuditRecord,
    ) -> Result<RoleKey, Error> {
        let scope = caller.authorise(Permission::RolesManage)?;
        self.require_fresh(caller)?;
        let name = checked_name(&input.name, LONGEST_ROLE_NAME)?;
        let organisation = input.organisation.unwrap_or(caller.organisation_id());
        let not_offered = Error::Invalid(Field::Organisation, Problem::NotOffered);
        if !offered(scope, organisation, caller) {
            return Err(not_offered);
        }
        let after = Some(own(input.permissions));
        let wanted = Act::ManageRole {
            before: None,
            after,
            built_in: false,
            own: false,
        };
        if !may(caller.somebody(), wanted) {
            return Err(Error::Forbidden);
        }
        let key = RoleKey(uuid_v7(self.random(), self.now()).to_string());
        let made = key.clone();
        self.write(move |tx, trail| {
            Box::pin(async move {
                if db::organisations::hold(tx, organisation).await?.is_none() {
                    return Err(DbError::Refused(not_offered));
                }
                db::roles::create(tx, &key, organisation, &name, input.permissions)
                    .await
                    .map_err(taken)?;
                let record = AuditRecord {
                    organisation: Some(organisation),
                    ..about
                };
                let words = in_words(&name, input.permissions);
                trail.append(tx, &record.with(words)).await
            })
        })
        .await?;
        Ok(made)
    }

    /// Changes a role of an organisation; whoever has it may do so from the next request on.
    pub async fn edit_role(
        &self,
        caller: &Caller,
        facts: &RequestFacts,
        key: RoleKey,
        input: EditRole,
    ) -> Result<Role, Error> {
        let name = input
            .name
            .as_deref()
            .map(|name| checked_name(name, LONGEST_ROLE_NAME))
            .transpose()?;
        let change = Some((name, input.permissions));
        let attempt = self.about_role(caller, facts, AuditAction::RoleEdited);
        self.change_role(caller, attempt, key.clone(), change)
            .await?;
        self.find_role(caller, &key).await
    }

    /// Deletes a role of an organisation that nobody has.
    pub async fn delete_role(
        &self,
        caller: &Caller,
        facts: &RequestFacts,
        key: RoleKey,
    ) -> Result<(), Error> {
        let attempt = self.about_role(caller, facts, AuditAction::RoleDeleted);
        self.change_role(caller, attempt, key, None).await
    }

    // Without a change it is deleted.
    async fn change_role(
        &self,
        caller: &Caller,
        attempt: AuditRecord,
        key: RoleKey,
        change: Option<(Option<String>, Option<Permissions>)>,
    ) -> Result<(), Error> {
        let fresh = match change {
            Some(_) => self.require_fresh(caller),
            None => Ok(()),
        };
        let permitted = caller.authorise(Permission::RolesManage);
        let scope = match permitted.and_then(|scope| fresh.map(|()| scope)) {
            Ok(scope) => scope,
            Err(error) => {
                self.note_refusal::<()>(caller, attempt, &Err(error)).await;
                return Err(error);
            }
        };
        let (me, about) = (caller.somebody(), attempt.clone());
        let result = self
            .write_then(
                move |tx, trail| {
                    Box::pin(async move {
                        let found = db::roles::hold(tx, scope, &key).await?;
                        let role = found.ok_or(DbError::Refused(Error::NotFound))?;
                        let mine = db::user_list::roles_of(tx, me.id).await?;
                        let own_one = mine.is_some_and(|roles| roles.include(&key));
                        let (name, permissions) = match &change {
                            Some((name, permissions)) => (
                                name.clone().unwrap_or_else(|| role.name.clone()),
                                permissions.unwrap_or(role.grant.permissions),
                            ),
                            None => (role.name.clone(), role.grant.permissions),
                        };
                        let wanted = Act::ManageRole {
                            before: Some(role.grant),
                            after: change.as_ref().map(|_| own(permissions)),
                            built_in: role.organisation.is_none(),
                            own: own_one,
                        };
                        if !may(me, wanted) {
                            return Err(DbError::Refused(Error::Forbidden));
                        }
                        let organisation = role.organisation.as_ref().map(|home| home.id);
                        let record = AuditRecord {
                            organisation,
                            ..about
                        };
                        let words = if change.is_some() {
                            db::roles::edit(tx, &key, &name, permissions)
                                .await
                                .map_err(taken)?;
                            let was = in_words(&role.name, role.grant.permissions);
                            format!("{}; was {was}", in_words(&name, permissions))
                        } else {
                            if !db::roles::delete(tx, &key).await? {
                                return Err(DbError::Refused(Error::RoleInUse));
                            }
                            in_words(&role.name, role.grant.permissions)
                        };
                        trail.append(tx, &record.with(words)).await
                    })
                },
                |service, ()| service.inner.cache.authority_changed(),
            )
            .await;
        self.note_refusal(caller, attempt, &result).await;
        result
    }

    fn about_role(
        &self,
        caller: &Caller,
        facts: &RequestFacts,
        action: AuditAction,
    ) -> AuditRecord {
        event(self.now(), action, AuditOutcome::Success, Some(facts))
            .by(caller.user_id(), caller.name())
    }
}

fn own(permissions: Permissions) -> Grant {
    Grant {
        permissions,
        reach: Reach::Own,
    }
}

fn shown(role: RoleRecord, users: u64, caller: &Caller) -> Role {
    let me = caller.somebody();
    let built_in = role.organisation.is_none();
    let mine = caller.has_role(&role.key);
    let home = role.organisation.as_ref().map(|home| home.id);
    let reaches =
        |permission| caller.reaches(permission, home.unwrap_or_else(|| caller.organisation_id()));
    let change = Act::ManageRole {
        before: Some(role.grant),
        after: Some(role.grant),
        built_in,
        own: mine,
    };
    let gives = reaches(Permission::UsersManage)
        && reaches(Permission::RolesManage)
        && me.rights.hold(role.grant);
    Role {
        may_give: gives,
        may_edit: reaches(Permission::RolesManage) && may(me, change),
        key: role.key,
        name: role.name,
        permissions: role.grant.permissions,
        reach: role.grant.reach,
        organisation: role.organisation,
        users,
    }
}

fn in_words(name: &str, permissions: Permissions) -> String {
    let list: Vec<_> = permissions.iter().map(Permission::as_str).collect();
    format!("{name} ({})", list.join(", "))
}
