//! What is done to one user, in one transaction: found, judged by the rules, written, audited.

use rollcall_core::rights::{Act, Grant, Somebody, may};
use rollcall_core::{
    AuditAction, AuditOutcome, EndReason, Error, Field, OrganisationId, Permission, Problem,
    RoleKey, Timestamp, UserId, UserRef,
};
use sea_orm::DatabaseTransaction;

use super::Service;
use super::audit::{Describe, event};
use super::caller::Caller;
use super::facts::RequestFacts;
use super::mail::Post;
use super::sign_in::user_ref;
use crate::db::mail::LetterKind;
use crate::db::records::{RoleRecord, UserRecord, UserRoles};
use crate::db::{self, AuditRecord, DbError, Scope};

/// What to change of a user, checked.
pub(super) struct Changes {
    pub(super) email: Option<String>,
    pub(super) name: Option<String>,
    pub(super) role: Option<RoleKey>,
    pub(super) roles: Option<Vec<RoleKey>>,
    pub(super) organisation: Option<OrganisationId>,
    pub(super) enabled: Option<bool>,
}

/// What to do to a user.
pub(super) enum Deed {
    Edit(Changes),
    Delete,
    /// With the hash of the new password.
    Reset(String),
    Unlock,
}

impl Deed {
    fn permission(&self) -> Permission {
        match self {
            Self::Unlock => Permission::UsersUnlock,
            Self::Edit(_) | Self::Delete | Self::Reset(_) => Permission::UsersManage,
        }
    }

    // Whether it changes how somebody signs in, or what they may do. What ends access never waits for a password.
    fn is_sensitive(&self) -> bool {
        match self {
            Self::Reset(_) => true,
            Self::Edit(changes) => {
                changes.email.is_some()
                    || changes.role.is_some()
                    || changes.roles.is_some()
                    || changes.organisation.is_some()
            }
            Self::Delete | Self::Unlock => false,
        }
    }

    // What a refused attempt is called in the audit trail.
    fn action(&self) -> AuditAction {
        match self {
            Self::Delete => AuditAction::UserDeleted,
            Self::Reset(_) => AuditAction::PasswordReset,
            Self::Unlock => AuditAction::UserUnlocked,
            Self::Edit(changes) => match changes {
                _ if changes.role.is_some() || changes.roles.is_some() => {
                    AuditAction::UserRolesChanged
                }
                Changes {
                    enabled: Some(false),
                    ..
                } => AuditAction::UserDisabled,
                Changes {
                    enabled: Some(true),
                    ..
                } => AuditAction::UserEnabled,
                Changes {
                    organisation: Some(_),
                    ..
                } => AuditAction::UserMoved,
                _ => AuditAction::UserEdited,
            },
        }
    }
}

/// The roles that somebody is to have.
pub(super) struct Wanted(pub(super) UserRoles);

impl Wanted {
    pub(super) fn grants(&self) -> impl Iterator<Item = Grant> {
        let all = std::iter::once(&self.0.primary).chain(&self.0.secondary);
        all.map(|role| role.grant)
    }

    pub(super) fn secondary_keys(&self) -> Vec<RoleKey> {
        self.0
            .secondary
            .iter()
            .map(|role| role.key.clone())
            .collect()
    }
}

/// One act on one user, as it stands inside the transaction.
struct Doing<'c> {
    tx: &'c DatabaseTransaction,
    caller: Somebody,
    scope: Scope,
    target: UserRecord,
    rights: Somebody,
    roles: UserRoles,
    /// The event without its action.
    about: AuditRecord,
    /// What has happened so far. The trail's head is the last row that any transaction holds.
    events: Vec<AuditRecord>,
    post: Post,
    now: Timestamp,
}

impl Service {
    /// Does something to a user within the caller's reach and answers that reach. Whatever is refused is in
    /// the audit trail too.
    pub(super) async fn act_on_user(
        &self,
        caller: &Caller,
        facts: &RequestFacts,
        id: UserId,
        deed: Deed,
    ) -> Result<Scope, Error> {
        let now = self.now();
        let attempt = event(now, deed.action(), AuditOutcome::Success, Some(facts))
            .by(caller.user_id(), caller.name());
        let fresh = match deed.is_sensitive() {
            true => self.require_fresh(caller),
            false => Ok(()),
        };
        let permitted = caller.authorise(deed.permission());
        let scope = match permitted.and_then(|scope| fresh.map(|()| scope)) {
            Ok(scope) => scope,
            Err(error) => {
                self.note_refusal::<()>(caller, attempt, &Err(error)).await;
                return Err(error);
            }
        };
        let (me, about, post) = (caller.somebody(), attempt.clone(), self.post());
        // What was used until now is written before the epoch that ends it.
        self.flush_activity().await?;
        let result = self
            .write_then(
                move |tx, trail| {
                    Box::pin(async move {
                        db::roles::hold_platform_administrators(tx).await?;
                        let refused = || DbError::Refused(Error::NotFound);
                        let target = db::user_changes::hold(tx, scope, id).await?;
                        let target = target.ok_or_else(refused)?;
                        let roles = db::user_list::roles_of(tx, id).await?;
                        let roles = roles.ok_or_else(refused)?;
                        let about = about.to(&user_ref(&target), target.organisation_id);
                        let rights = Somebody {
                            id,
                            rights: roles.rights(),
                        };
                        let mut doing = Doing {
                            tx,
                            caller: me,
                            scope,
                            target,
                            rights,
                            roles,
                            about,
                            events: Vec::new(),
                            post,
                            now,
                        };
                        doing.carry_out(deed).await?;
                        trail.append_all(tx, &doing.events).await
                    })
                },
                |service, ()| service.epoch_set(),
            )
            .await;
        self.note_refusal(caller, attempt, &result).await;
        result.map(|()| scope)
    }

    /// Notes what was refused by the rules, or failed. What the caller merely wrote wrongly is not worth an
    /// event.
    pub(super) async fn note_refusal<T>(
        &self,
        caller: &Caller,
        attempt: AuditRecord,
        result: &Result<T, Error>,
    ) {
        let outcome = match result {
            Err(Error::Forbidden) => AuditOutcome::NotPermitted,
            Err(Error::NotFound) => AuditOutcome::NotFound,
            Err(
                Error::LastAdministrator
                | Error::RoleInUse
                | Error::ReauthenticationRequired
                | Error::UserNotEligible
                | Error::SessionLimit(_)
                | Error::OtherAddress,
            ) => AuditOutcome::Refused,
            Err(Error::Unavailable) => AuditOutcome::Failed,
            _ => return,
        };
        // The attempt belongs to the caller's organisation: a foreign one must not learn of it.
        let organisation = Some(caller.organisation_id());
        self.note_event(AuditRecord {
            outcome,
            organisation,
            ..attempt
        })
        .await;
    }
}

impl Doing<'_> {
    async fn carry_out(&mut self, deed: Deed) -> Result<(), DbError> {
        match deed {
            Deed::Edit(changes) => self.edit(changes).await,
            Deed::Delete => {
                self.permit(Act::Govern(self.rights))?;
                let deleted = db::user_changes::delete(self.tx, self.rights.id, self.now).await?;
                or_last(deleted)?;
                self.note(AuditAction::UserDeleted, None);
                Ok(())
            }
            Deed::Reset(hash) => {
                self.permit(Act::Govern(self.rights))?;
                let (id, now) = (self.rights.id, self.now);
                db::users::set_password(self.tx, id, &hash, true, now).await?;
                db::users::end_before(self.tx, id, now, EndReason::PasswordReset).await?;
                let (kind, whom) = (
                    LetterKind::PasswordResetByAdministrator,
                    user_ref(&self.target),
                );
                let told = self.post.letter(kind, &whom, None, now);
                db::mail::post(self.tx, told.as_ref()).await?;
                self.note(AuditAction::PasswordReset, None);
                Ok(())
            }
            Deed::Unlock => {
                self.permit(Act::Unlock(self.rights))?;
                if db::attempts::unlock(self.tx, &self.target.email).await? {
                    self.note(AuditAction::UserUnlocked, None);
                }
                Ok(())
            }
        }
    }

    async fn edit(&mut self, changes: Changes) -> Result<(), DbError> {
        self.permit(Act::Edit(self.rights))?;
        let home = self.target.organisation_id;
        let moves_to = changes.organisation.filter(|there| *there != home);
        let enables = changes
            .enabled
            .filter(|enabled| *enabled != self.target.enabled);
        if moves_to.is_some() || enables.is_some() {
            self.permit(Act::Govern(self.rights))?;
        }
        // First of all that is written: of what is taken, nothing was changed yet.
        self.edit_name(changes.name, changes.email).await?;
        if let Some(there) = moves_to {
            self.go_to(there).await?;
        }
        let there = moves_to.unwrap_or(home);
        let primary = changes
            .role
            .unwrap_or_else(|| self.roles.primary.key.clone());
        let secondary = changes.roles.unwrap_or_else(|| {
            let current = self.roles.secondary.iter();
            current.map(|role| role.key.clone()).collect()
        });
        // Roles that stay are looked at too: those of an organisation do not go along to another.
        self.give(resolve(self.tx, there, &primary, &secondary).await?)
            .await?;
        match enables {
            Some(false) => {
                or_last(db::user_changes::disable(self.tx, self.rights.id, self.now).await?)?;
                self.note(AuditAction::UserDisabled, None);
            }
            Some(true) => {
                db::user_changes::enable(self.tx, self.rights.id, self.now).await?;
                self.note(AuditAction::UserEnabled, None);
            }
            None => {}
        }
        Ok(())
    }

    async fn edit_name(
        &mut self,
        name: Option<String>,
        email: Option<String>,
    ) -> Result<(), DbError> {
        let target = &self.target;
        let name = name.unwrap_or_else(|| target.name.clone());
        let email = email.unwrap_or_else(|| target.email.clone());
        let was =
            |what: &str, old: &str, new: &str| (old != new).then(|| format!("{what} was {old}"));
        let changed: Vec<_> = [
            was("name", &target.name, &name),
            was("e-mail", &target.email, &email),
        ]
        .into_iter()
        .flatten()
        .collect();
        if changed.is_empty() {
            return Ok(());
        }
        db::user_changes::edit(self.tx, target, &name, &email)
            .await
            .map_err(taken)?;
        if email != target.email {
            db::attempts::rename(self.tx, &target.email, &email).await?;
        }
        let user = UserRef {
            email,
            name,
            ..user_ref(target)
        };
        let about = self.about.clone().to(&user, target.organisation_id);
        let record = AuditRecord {
            action: AuditAction::UserEdited,
            ..about
        };
        self.events.push(record.with(changed.join("; ")));
        Ok(())
    }

    async fn go_to(&mut self, there: OrganisationId) -> Result<(), DbError> {
        let offered = self.scope.covers(there, self.rights.id);
        if !offered || !db::user_changes::move_to(self.tx, self.rights.id, there, self.now).await? {
            let error = Error::Invalid(Field::Organisation, Problem::NotOffered);
            return Err(DbError::Refused(error));
        }
        self.note(
            AuditAction::UserMoved,
            Some("left for another organisation".to_owned()),
        );
        let record = AuditRecord {
            organisation: Some(there),
            action: AuditAction::UserMoved,
            ..self.about.clone()
        };
        self.events
            .push(record.with("came from another organisation"));
        Ok(())
    }

    async fn give(&mut self, wanted: Wanted) -> Result<(), DbError> {
        let (before, after) = (&self.roles, &wanted.0);
        if before.primary.key == after.primary.key && before.secondary == after.secondary {
            return Ok(());
        }
        // What comes and what goes; a role that only changes its place does both.
        let all = |roles: &UserRoles| {
            let secondary = roles.secondary.iter().map(|role| (false, role.clone()));
            std::iter::once((true, roles.primary.clone()))
                .chain(secondary)
                .collect::<Vec<_>>()
        };
        let (old, new) = (all(before), all(after));
        let differs = |one: &[(bool, RoleRecord)], other: &[(bool, RoleRecord)]| -> Vec<Grant> {
            let only = one.iter().filter(|role| !other.contains(role));
            only.map(|(_, role)| role.grant).collect()
        };
        let roles = [differs(&old, &new), differs(&new, &old)].concat();
        self.permit(Act::ChangeRoles {
            of: self.rights,
            roles: &roles,
        })?;
        if before.primary.key != after.primary.key {
            let id = self.rights.id;
            or_last(db::user_changes::set_role(self.tx, id, &after.primary.key).await?)?;
        }
        db::roles::set_secondary(self.tx, self.rights.id, &wanted.secondary_keys()).await?;
        let words = format!("{}; was {}", roles_in_words(after), roles_in_words(before));
        self.note(AuditAction::UserRolesChanged, Some(words));
        Ok(())
    }

    fn permit(&self, act: Act<'_>) -> Result<(), DbError> {
        if may(self.caller, act) {
            Ok(())
        } else {
            Err(DbError::Refused(Error::Forbidden))
        }
    }

    fn note(&mut self, action: AuditAction, detail: Option<String>) {
        let record = AuditRecord {
            action,
            detail,
            ..self.about.clone()
        };
        self.events.push(record);
    }
}

/// The roles with these keys, as a user of this organisation can have them: none twice, built-in ones and the
/// organisation's own.
pub(super) async fn resolve(
    tx: &DatabaseTransaction,
    organisation: OrganisationId,
    primary: &RoleKey,
    secondary: &[RoleKey],
) -> Result<Wanted, DbError> {
    let offered = async |key: &RoleKey, field| {
        let role = db::roles::hold(tx, Scope::Organisation(organisation), key).await?;
        role.ok_or(DbError::Refused(Error::Invalid(field, Problem::NotOffered)))
    };
    let primary = offered(primary, Field::Role).await?;
    let mut others: Vec<RoleRecord> = Vec::new();
    for key in secondary {
        let known = primary.key == *key || others.iter().any(|role| role.key == *key);
        if !known {
            others.push(offered(key, Field::Roles).await?);
        }
    }
    others.sort_by(|one, other| (&one.name, &one.key).cmp(&(&other.name, &other.key)));
    Ok(Wanted(UserRoles {
        primary,
        secondary: others,
    }))
}

/// What the audit trail says of somebody's roles.
pub(super) fn roles_in_words(roles: &UserRoles) -> String {
    let mut words = format!("role {}", roles.primary.name);
    for (index, role) in roles.secondary.iter().enumerate() {
        words.push_str(if index == 0 { ", also " } else { ", " });
        words.push_str(&role.name);
    }
    words
}

/// Tells what is taken from what failed.
pub(super) fn taken(error: DbError) -> DbError {
    match error {
        DbError::Unique(constraint) if constraint == "user_email_unique" => {
            DbError::Refused(Error::EmailTaken)
        }
        DbError::Unique(_) => DbError::Refused(Error::NameTaken),
        other => other,
    }
}

/// A conditional change that did nothing would have left no Platform administrator.
pub(super) fn or_last(changed: bool) -> Result<(), DbError> {
    if changed {
        Ok(())
    } else {
        Err(DbError::Refused(Error::LastAdministrator))
    }
}
