//! Users: lists, creating, editing, disabling, deleting, resetting passwords, unlocking.

use rollcall_core::rights::{Act, Somebody, may};
use rollcall_core::{
    AuditAction, AuditOutcome, BuiltInRole, CreateUser, EditUser, Email, Error, Field,
    OrganisationId, Page, Permission, Problem, RoleKey, Rule, Session, SessionQuery, SessionSort,
    User, UserActs, UserCreated, UserId, UserQuery, UserRef,
};

use super::Service;
use super::audit::{Describe, event};
use super::caller::Caller;
use super::facts::RequestFacts;
use super::names::checked_name;
use super::password::Password;
use super::sessions::marked;
use super::sign_in::account_key;
use super::user_acts::{Changes, Deed, resolve, roles_in_words, taken};
use crate::clock::uuid_v7;
use crate::db::records::{ListedUser, NewUser};
use crate::db::user_list::AsOf;
use crate::db::{self, DbError, Scope};

/// The longest name of a user or an organisation, in characters.
pub const LONGEST_NAME: u32 = 100;

impl Service {
    /// The users within the caller's reach that match.
    pub async fn list_users(
        &self,
        caller: &Caller,
        query: &UserQuery,
    ) -> Result<Page<User>, Error> {
        let scope = caller.authorise(Permission::UsersView)?;
        let as_of = self.as_of().await;
        let view = self.view().await?;
        let page = db::user_list::list(&view, scope, query, as_of).await;
        let page = page.map_err(|error| self.database_error(error))?;
        Ok(Page {
            items: page
                .items
                .into_iter()
                .map(|user| shown(user, caller))
                .collect(),
            total: page.total,
            total_is_exact: page.total_is_exact,
            page: page.page,
            page_size: page.page_size,
            as_of: page.as_of,
        })
    }

    /// One user within the caller's reach.
    pub async fn find_user(&self, caller: &Caller, id: UserId) -> Result<User, Error> {
        let scope = caller.authorise(Permission::UsersView)?;
        self.find_user_in(caller, scope, id).await
    }

    /// The sessions of a user within the caller's reach, newest first.
    pub async fn list_user_sessions(
        &self,
        caller: &Caller,
        id: UserId,
        query: &SessionQuery,
    ) -> Result<Page<Session>, Error> {
        let scope = caller.authorise(Permission::SessionsView)?;
        let unknown = |field| Err(Error::Invalid(field, Problem::Unknown));
        match query {
            _ if !query.filter.search.is_empty() => return unknown(Field::Search),
            _ if query.filter.kind.is_some() => return unknown(Field::Kind),
            _ if query.sort != SessionSort::default() => return unknown(Field::Sort),
            _ => {}
        }
        let found = db::users::find_scoped(self.db().reader(), scope, id).await;
        found
            .map_err(|error| self.database_error(error))?
            .ok_or(Error::NotFound)?;
        let now = self.up_to_date().await;
        let view = self.view().await?;
        let page = db::session_list::of_user(&view, scope, id, query, now).await;
        Ok(marked(
            page.map_err(|error| self.database_error(error))?,
            caller,
        ))
    }

    /// Creates a user with a one-time password, which is answered this once.
    pub async fn create_user_as(
        &self,
        caller: &Caller,
        facts: &RequestFacts,
        input: CreateUser,
    ) -> Result<UserCreated, Error> {
        let attempt = event(
            self.now(),
            AuditAction::UserCreated,
            AuditOutcome::Success,
            Some(facts),
        )
        .by(caller.user_id(), caller.name());
        let result = self.create_by(caller, input, attempt.clone()).await;
        self.note_refusal(caller, attempt, &result).await;
        result
    }

    async fn create_by(
        &self,
        caller: &Caller,
        input: CreateUser,
        about: db::AuditRecord,
    ) -> Result<UserCreated, Error> {
        let scope = caller.authorise(Permission::UsersManage)?;
        self.require_fresh(caller)?;
        let email = checked_email(&input.email)?;
        let given = input.name.filter(|name| !name.trim().is_empty());
        let name = checked_name(
            given
                .as_deref()
                .unwrap_or_else(|| email.split('@').next().unwrap_or_default()),
            LONGEST_NAME,
        )?;
        let organisation = input.organisation.unwrap_or(caller.organisation_id());
        if !offered(scope, organisation, caller) {
            return Err(Error::Invalid(Field::Organisation, Problem::NotOffered));
        }
        let member = RoleKey(BuiltInRole::Member.key().to_owned());
        let role = input.role.unwrap_or_else(|| member.clone());
        let secondary = input.roles.unwrap_or_default();
        let plain = role == member && secondary.is_empty();
        let (password, text) = Password::one_time(self.random());
        let hash = self.hash(&password).await?;
        let now = self.now();
        let user = NewUser {
            id: UserId(uuid_v7(self.random(), now)),
            organisation_id: organisation,
            email,
            name,
            role_key: role.0.clone(),
            service_account: input.service_account.unwrap_or(false),
            password_hash: Some(hash),
            password_change_required: true,
            created_at: now,
        };
        let (id, me) = (user.id, caller.somebody());
        self.write(move |tx, trail| {
            Box::pin(async move {
                let home = db::organisations::hold(tx, organisation).await?;
                if home.is_none_or(|home| !home.enabled) {
                    let error = Error::Invalid(Field::Organisation, Problem::NotOffered);
                    return Err(DbError::Refused(error));
                }
                let roles = resolve(tx, organisation, &role, &secondary).await?;
                let grants: Vec<_> = roles.grants().collect();
                let wanted = Act::Create {
                    roles: &grants,
                    plain,
                };
                if !may(me, wanted) {
                    return Err(DbError::Refused(Error::Forbidden));
                }
                db::users::create(tx, &user).await.map_err(taken)?;
                db::roles::set_secondary(tx, id, &roles.secondary_keys()).await?;
                let target = UserRef {
                    id,
                    email: user.email,
                    name: user.name,
                    service_account: user.service_account,
                };
                let record = about
                    .to(&target, organisation)
                    .with(roles_in_words(&roles.0));
                trail.append(tx, &record).await
            })
        })
        .await?;
        Ok(UserCreated {
            user: self.find_user_in(caller, scope, id).await?,
            one_time_password: text.to_string(),
        })
    }

    /// Changes a user: name, e-mail, roles, organisation, whether they may sign in.
    pub async fn edit_user(
        &self,
        caller: &Caller,
        facts: &RequestFacts,
        id: UserId,
        input: EditUser,
    ) -> Result<User, Error> {
        let changes = Changes {
            email: input.email.as_deref().map(checked_email).transpose()?,
            name: input
                .name
                .as_deref()
                .map(|name| checked_name(name, LONGEST_NAME))
                .transpose()?,
            role: input.role,
            roles: input.roles,
            organisation: input.organisation,
            enabled: input.enabled,
        };
        let scope = self
            .act_on_user(caller, facts, id, Deed::Edit(changes))
            .await?;
        self.find_user_in(caller, scope, id).await
    }

    /// Deletes a user. Sessions and the audit trail keep name and e-mail until they are purged.
    pub async fn delete_user(
        &self,
        caller: &Caller,
        facts: &RequestFacts,
        id: UserId,
    ) -> Result<(), Error> {
        self.act_on_user(caller, facts, id, Deed::Delete).await?;
        Ok(())
    }

    /// Gives a user a one-time password, which is answered this once, and ends all their sessions.
    pub async fn reset_password_of(
        &self,
        caller: &Caller,
        facts: &RequestFacts,
        id: UserId,
    ) -> Result<UserCreated, Error> {
        let (password, text) = Password::one_time(self.random());
        // Hashing costs: only for who may ask for it at all.
        let asks = caller.authorise(Permission::UsersManage).is_ok();
        let hash = match asks && self.require_fresh(caller).is_ok() {
            true => self.hash(&password).await?,
            false => String::new(),
        };
        let scope = self
            .act_on_user(caller, facts, id, Deed::Reset(hash))
            .await?;
        Ok(UserCreated {
            user: self.find_user_in(caller, scope, id).await?,
            one_time_password: text.to_string(),
        })
    }

    /// Unlocks an account that wrong passwords have locked.
    pub async fn unlock_user_as(
        &self,
        caller: &Caller,
        facts: &RequestFacts,
        id: UserId,
    ) -> Result<(), Error> {
        self.act_on_user(caller, facts, id, Deed::Unlock).await?;
        Ok(())
    }

    /// The one-time password that this session has made for a user, if nobody has seen it yet.
    pub fn one_time_password(&self, caller: &Caller, id: UserId) -> Result<Option<String>, Error> {
        caller.authorise(Permission::UsersManage)?;
        let kept = self
            .inner
            .handover
            .take(caller.credential(), id.0, self.now());
        Ok(kept.map(|password| password.to_string()))
    }

    /// Keeps a one-time password for the page that comes next.
    pub(super) fn hand_over(&self, caller: &Caller, created: &UserCreated) {
        let (by, user) = (caller.credential(), created.user.id);
        self.inner
            .handover
            .keep(by, user.0, &created.one_time_password, self.now());
    }

    async fn hash(&self, password: &Password) -> Result<String, Error> {
        let hash = self.inner.hasher.hash(password, self.random()).await;
        hash.map_err(|_| Error::TooManyAttempts(1))
    }

    async fn find_user_in(&self, caller: &Caller, scope: Scope, id: UserId) -> Result<User, Error> {
        let as_of = self.as_of().await;
        let view = self.view().await?;
        let found = db::user_list::find(&view, scope, id, as_of).await;
        let user = found
            .map_err(|error| self.database_error(error))?
            .ok_or(Error::NotFound)?;
        Ok(shown(user, caller))
    }

    async fn as_of(&self) -> AsOf {
        let now = self.up_to_date().await;
        AsOf {
            now,
            unlock_after: self.server_value(Rule::UnlockAfter),
        }
    }
}

// The user with what the caller may do to them: the same rules as when it is done.
fn shown(listed: ListedUser, caller: &Caller) -> User {
    let ListedUser { mut user, rights } = listed;
    let (me, target) = (
        caller.somebody(),
        Somebody {
            id: user.id,
            rights,
        },
    );
    let reaches = |permission| caller.reaches(permission, user.organisation.id);
    let manages = reaches(Permission::UsersManage);
    user.may = UserActs {
        edit: manages && may(me, Act::Edit(target)),
        govern: manages && may(me, Act::Govern(target)),
        change_roles: manages
            && may(
                me,
                Act::ChangeRoles {
                    of: target,
                    roles: &[],
                },
            ),
        unlock: reaches(Permission::UsersUnlock) && may(me, Act::Unlock(target)),
        end_sessions: reaches(Permission::SessionsEnd),
    };
    user
}

// Sign-in finds an account by its normal form, so it must be made in it.
pub(super) fn checked_email(text: &str) -> Result<String, Error> {
    let email = Email::parse(text).ok_or(Error::Invalid(Field::Email, Problem::Malformed))?;
    let key = account_key(email.as_str());
    // What the normal form has become may be no address any more.
    match Email::parse(&key) {
        Some(email) if email.as_str() == key => Ok(key),
        _ => Err(Error::Invalid(Field::Email, Problem::Malformed)),
    }
}

/// Whether this organisation lies within what the caller may give away.
pub(super) fn offered(scope: Scope, organisation: OrganisationId, caller: &Caller) -> bool {
    scope.covers(organisation, caller.user_id())
}
