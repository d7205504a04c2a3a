//! Organisations: for whoever manages all of them.

use std::collections::HashMap;

use rollcall_core::{
    AuditAction, AuditOutcome, EditOrganisation, Error, NameQuery, Organisation, OrganisationId,
    Page, Permission, Timestamp,
};

use super::Service;
use super::audit::{Describe, event};
use super::caller::Caller;
use super::facts::RequestFacts;
use super::names::checked_name;
use super::people::LONGEST_NAME;
use super::user_acts::{or_last, taken};
use crate::clock::uuid_v7;
use crate::db::organisations::Size;
use crate::db::{self, AuditRecord, DbError, OrganisationRecord, Scope};

impl Service {
    /// All organisations that match, by name.
    pub async fn list_organisations(
        &self,
        caller: &Caller,
        query: &NameQuery,
    ) -> Result<Page<Organisation>, Error> {
        everywhere(caller)?;
        let now = self.up_to_date().await;
        let view = self.view().await?;
        let found = async {
            let all = db::organisations::list(&view).await?;
            let sizes = db::organisations::sizes(&view, None, now).await?;
            Ok((all, sizes))
        };
        let (all, sizes) = found.await.map_err(|error| self.database_error(error))?;
        let named = all.into_iter().filter(|one| matches(&one.name, query));
        let mut all: Vec<_> = named.map(|one| shown(one, &sizes)).collect();
        // As people sort names: the letter case is the last to count.
        all.sort_by_cached_key(|one| (one.name.to_lowercase(), one.name.clone(), one.id));
        Ok(page(all, query, now))
    }

    /// One organisation.
    pub async fn find_organisation(
        &self,
        caller: &Caller,
        id: OrganisationId,
    ) -> Result<Organisation, Error> {
        everywhere(caller)?;
        let now = self.up_to_date().await;
        let view = self.view().await?;
        let found = async {
            let one = db::organisations::find(&view, id).await?;
            let sizes = db::organisations::sizes(&view, Some(id), now).await?;
            Ok((one, sizes))
        };
        let (one, sizes) = found.await.map_err(|error| self.database_error(error))?;
        Ok(shown(one.ok_or(Error::NotFound)?, &sizes))
    }

    /// Makes an organisation.
    pub async fn create_organisation(
        &self,
        caller: &Caller,
        facts: &RequestFacts,
        name: &str,
    ) -> Result<Organisation, Error> {
        let now = self.now();
        let id = OrganisationId(uuid_v7(self.random(), now));
        let attempt = about(caller, facts, now, AuditAction::OrganisationCreated);
        if let Err(error) = everywhere(caller) {
            self.note_refusal::<()>(caller, attempt, &Err(error)).await;
            return Err(error);
        }
        let name = checked_name(name, LONGEST_NAME)?;
        let made = name.clone();
        self.write(move |tx, trail| {
            Box::pin(async move {
                db::organisations::create(tx, id, &made, now)
                    .await
                    .map_err(taken)?;
                let record = AuditRecord {
                    organisation: Some(id),
                    ..attempt
                };
                trail.append(tx, &record.with(made)).await
            })
        })
        .await?;
        self.find_organisation(caller, id).await
    }

    /// Renames, disables or enables an organisation. Disabling ends all sessions there at once; enabling brings
    /// none back.
    pub async fn edit_organisation(
        &self,
        caller: &Caller,
        facts: &RequestFacts,
        id: OrganisationId,
        input: EditOrganisation,
    ) -> Result<Organisation, Error> {
        let now = self.now();
        let attempted = match input.enabled {
            Some(false) => AuditAction::OrganisationDisabled,
            Some(true) => AuditAction::OrganisationEnabled,
            None => AuditAction::OrganisationRenamed,
        };
        let attempt = about(caller, facts, now, attempted);
        if let Err(error) = everywhere(caller) {
            self.note_refusal::<()>(caller, attempt, &Err(error)).await;
            return Err(error);
        }
        let name = input
            .name
            .as_deref()
            .map(|name| checked_name(name, LONGEST_NAME))
            .transpose()?;
        let enabled = input.enabled;
        let about = AuditRecord {
            organisation: Some(id),
            ..attempt.clone()
        };
        self.flush_activity().await?;
        let result = self
            .write_then(
                move |tx, trail| {
                    Box::pin(async move {
                        db::roles::hold_platform_administrators(tx).await?;
                        let found = db::organisations::hold(tx, id).await?;
                        let one = found.ok_or(DbError::Refused(Error::NotFound))?;
                        if let Some(name) = name.filter(|name| *name != one.name) {
                            db::organisations::rename(tx, id, &name)
                                .await
                                .map_err(taken)?;
                            let action = AuditAction::OrganisationRenamed;
                            let record = AuditRecord {
                                action,
                                ..about.clone()
                            };
                            let words = format!("{name}; was {}", one.name);
                            trail.append(tx, &record.with(words)).await?;
                        }
                        let Some(enabled) = enabled.filter(|enabled| *enabled != one.enabled)
                        else {
                            return Ok(());
                        };
                        let action = if enabled {
                            db::organisations::enable(tx, id, now).await?;
                            AuditAction::OrganisationEnabled
                        } else {
                            or_last(db::organisations::disable(tx, id, now).await?)?;
                            AuditAction::OrganisationDisabled
                        };
                        trail.append(tx, &AuditRecord { action, ..about }).await
                    })
                },
                |service, ()| service.epoch_set(),
            )
            .await;
        self.note_refusal(caller, attempt, &result).await;
        result?;
        self.find_organisation(caller, id).await
    }
}

// Whoever manages organisations manages all of them; the permission within one organisation is none.
fn everywhere(caller: &Caller) -> Result<(), Error> {
    match caller.authorise(Permission::OrganisationsManage)? {
        Scope::All => Ok(()),
        Scope::Organisation(_) | Scope::User(_) => Err(Error::Forbidden),
    }
}

fn about(
    caller: &Caller,
    facts: &RequestFacts,
    now: Timestamp,
    action: AuditAction,
) -> AuditRecord {
    event(now, action, AuditOutcome::Success, Some(facts)).by(caller.user_id(), caller.name())
}

fn shown(one: OrganisationRecord, sizes: &HashMap<OrganisationId, Size>) -> Organisation {
    let size = sizes.get(&one.id).copied().unwrap_or_default();
    Organisation {
        id: one.id,
        name: one.name,
        enabled: one.enabled,
        created_at: one.created_at,
        users: size.users,
        active_sessions: size.active_sessions,
        sessions: size.sessions,
    }
}

/// Whether a name has the search in it, in any letter case.
pub(super) fn matches(name: &str, query: &NameQuery) -> bool {
    name.to_lowercase().contains(&query.search.to_lowercase())
}

/// The page of a list that is all there.
pub(super) fn page<T>(all: Vec<T>, query: &NameQuery, as_of: Timestamp) -> Page<T> {
    let (total, size) = (all.len() as u64, query.page_size.get() as usize);
    let before = (query.page.get() as usize - 1).saturating_mul(size);
    Page {
        items: all.into_iter().skip(before).take(size).collect(),
        total,
        total_is_exact: true,
        page: query.page.get(),
        page_size: query.page_size.get(),
        as_of,
    }
}
