//! What users' sessions have to keep to, and who may change it.

use std::time::Duration;

use rollcall_core::{
    AuditAction, AuditOutcome, Error, Field, Kind, Permission, Policy, PolicyPlace, PolicyPreview,
    PolicySource, PolicyValue, Problem, Rule, SessionsBeyond, UserId,
};

use super::audit::{Describe, event};
use super::caller::Caller;
use super::facts::RequestFacts;
use super::{Service, Timeouts};
use crate::db::audit::AuditRecord;
use crate::db::records::UserRecord;
use crate::db::{self, Scope};

impl Service {
    /// What applies in a place.
    pub(super) async fn policy_in(&self, place: &PolicyPlace) -> Result<Policy, Error> {
        let set = db::policies::set_for(self.db().reader(), place)
            .await
            .map_err(|error| self.database_error(error))?;
        Ok(Policy::resolve(|rule| self.server_value(rule), &set))
    }

    /// What applies to a user.
    pub(super) async fn policy_of(&self, user: &UserRecord) -> Result<Policy, Error> {
        self.policy_in(&PolicyPlace {
            organisation: Some(user.organisation_id),
            role: Some(user.role_key.clone()),
        })
        .await
    }

    /// What applies where nothing is known of whom it concerns.
    pub(super) async fn policy_of_everybody(&self) -> Result<Policy, Error> {
        self.policy_in(&PolicyPlace {
            organisation: None,
            role: None,
        })
        .await
    }

    /// The timeouts of a session that begins.
    pub(super) fn timeouts_for(&self, policy: &Policy, kind: Kind, keep: bool) -> Timeouts {
        let seconds = |rule| Duration::from_secs(u64::from(policy.get(rule)));
        match (kind, keep) {
            (Kind::Client, _) => self.config().client_timeouts,
            (_, true) => Timeouts {
                idle: seconds(Rule::KeepIdleTimeout),
                absolute: seconds(Rule::KeepAbsoluteTimeout),
            },
            (_, false) => Timeouts {
                idle: seconds(Rule::IdleTimeout),
                absolute: seconds(Rule::AbsoluteTimeout),
            },
        }
    }

    /// What applies where no policy says anything.
    pub(super) fn server_value(&self, rule: Rule) -> u32 {
        let config = self.config();
        let seconds = |duration: Duration| u32::try_from(duration.as_secs()).unwrap_or(u32::MAX);
        match rule {
            Rule::IdleTimeout => seconds(config.timeouts.idle),
            Rule::AbsoluteTimeout => seconds(config.timeouts.absolute),
            Rule::KeepIdleTimeout => seconds(config.keep_timeouts.idle),
            Rule::KeepAbsoluteTimeout => seconds(config.keep_timeouts.absolute),
            Rule::LockAfter => config.lock_after,
            Rule::UnlockAfter => config.unlock_after.map_or(0, seconds),
            Rule::PasswordMinLength => config.password_min_length,
            Rule::FailureLimit => u32::try_from(config.throttle_failures).unwrap_or(u32::MAX),
            Rule::Retention => seconds(config.retention),
            // Out of the box there is no cap, and any number of addresses.
            Rule::MostSessions
            | Rule::WhenFull
            | Rule::OneAddress
            | Rule::ExemptServiceAccounts => 0,
        }
    }

    /// What applies in a place within the caller's reach.
    pub async fn policy(&self, caller: &Caller, place: PolicyPlace) -> Result<Policy, Error> {
        let place = self.within(caller, place).await?;
        self.policy_in(&place).await
    }

    /// What applies to a user within the caller's reach.
    pub async fn user_policy(&self, caller: &Caller, id: UserId) -> Result<Policy, Error> {
        let scope = caller.authorise(Permission::UsersView)?;
        let found = db::users::find_scoped(self.db().reader(), scope, id).await;
        let user = found
            .map_err(|error| self.database_error(error))?
            .ok_or(Error::NotFound)?;
        self.policy_of(&user).await
    }

    /// What values would mean for what is open in a place. What is set more narrowly stays as it is, and is not counted.
    pub async fn preview_policy(
        &self,
        caller: &Caller,
        place: PolicyPlace,
        values: &[(Rule, Option<u32>)],
    ) -> Result<PolicyPreview, Error> {
        let place = self.within(caller, place).await?;
        check(&place, values)?;
        let before = self.policy_in(&place).await?;
        let planned = self.planned(&place, values).await?;
        check_timeouts(&planned)?;
        self.flush_activity().await?;
        let (reader, now) = (self.db().reader(), self.now());
        let users = match planned.get(Rule::MostSessions) {
            0 => Ok(0),
            most => db::policies::users_with_more_than(reader, &place, most).await,
        };
        let users_over_the_limit = users.map_err(|error| self.database_error(error))?;
        let mut sessions_beyond = Vec::new();
        for rule in Rule::ALL.iter().copied() {
            let (Some(timeout), seconds) = (rule.timeout(), planned.get(rule)) else {
                continue;
            };
            if before.get(rule) == seconds {
                continue;
            }
            let since = now - Duration::from_secs(u64::from(seconds));
            let found = db::policies::live_since(reader, &place, rule, timeout, since, now).await;
            let sessions = found.map_err(|error| self.database_error(error))?;
            sessions_beyond.push((rule, SessionsBeyond { seconds, sessions }));
        }
        Ok(PolicyPreview {
            users_over_the_limit,
            sessions_beyond,
        })
    }

    /// Sets values for a place, or takes them away. All of them or none.
    pub async fn set_policy(
        &self,
        caller: &Caller,
        facts: &RequestFacts,
        place: PolicyPlace,
        values: Vec<(Rule, Option<u32>)>,
    ) -> Result<Policy, Error> {
        let about = event(
            self.now(),
            AuditAction::PolicyChanged,
            AuditOutcome::Success,
            Some(facts),
        )
        .by(caller.user_id(), caller.name());
        let within = self.within(caller, place).await;
        let place = match within.and_then(|place| self.require_fresh(caller).map(|()| place)) {
            Ok(place) => place,
            Err(error) => {
                self.note_refusal::<()>(caller, about, &Err(error)).await;
                return Err(error);
            }
        };
        check(&place, &values)?;
        check_timeouts(&self.planned(&place, &values).await?)?;
        let about = AuditRecord {
            organisation: place.organisation,
            ..about
        };
        let to = place.clone();
        self.write(move |tx, trail| {
            Box::pin(async move {
                let mut events = Vec::new();
                for (rule, value) in values {
                    db::policies::set(tx, &to, rule, value).await?;
                    let value = value.map_or("as elsewhere".to_owned(), |value| value.to_string());
                    let role = to.role.as_deref().map(|role| format!(" for {role}"));
                    events.push(about.clone().with(format!(
                        "{}: {value}{}",
                        rule.as_str(),
                        role.unwrap_or_default()
                    )));
                }
                trail.append_all(tx, &events).await
            })
        })
        .await?;
        let policy = self.policy_in(&place).await?;
        if place.organisation.is_none() {
            self.inner
                .throttle
                .set_limit(policy.get(Rule::FailureLimit));
        }
        Ok(policy)
    }

    /// Takes over what policy says of addresses; at the start, since they are counted in memory.
    pub(super) async fn take_over_failure_limit(&self) -> Result<(), Error> {
        let policy = self.policy_of_everybody().await?;
        self.inner
            .throttle
            .set_limit(policy.get(Rule::FailureLimit));
        Ok(())
    }

    // What would apply with these values in place.
    async fn planned(
        &self,
        place: &PolicyPlace,
        values: &[(Rule, Option<u32>)],
    ) -> Result<Policy, Error> {
        let set = db::policies::set_for(self.db().reader(), place)
            .await
            .map_err(|error| self.database_error(error))?;
        Ok(Policy::resolve(
            |rule| self.server_value(rule),
            &with(set, place, values),
        ))
    }

    // A place that the caller may manage. Whoever manages one organisation means that one.
    async fn within(&self, caller: &Caller, place: PolicyPlace) -> Result<PolicyPlace, Error> {
        let organisation = match (
            caller.authorise(Permission::PolicyManage)?,
            place.organisation,
        ) {
            (Scope::All, organisation) => organisation,
            (Scope::Organisation(own), None) => Some(own),
            (Scope::Organisation(own), Some(asked)) if own == asked => Some(own),
            _ => return Err(Error::NotFound),
        };
        if let Some(organisation) = organisation {
            let found = db::organisations::find(self.db().reader(), organisation)
                .await
                .map_err(|error| self.database_error(error))?;
            if found.is_none() {
                return Err(Error::NotFound);
            }
        }
        match (&place.role, organisation) {
            // A role of everybody everywhere would be one of several organisations.
            (Some(_), None) => return Err(Error::Invalid(Field::Organisation, Problem::Missing)),
            (Some(role), Some(organisation)) => {
                let known = db::users::role_exists(self.db().reader(), role, organisation)
                    .await
                    .map_err(|error| self.database_error(error))?;
                if !known {
                    return Err(Error::Invalid(Field::Role, Problem::NotOffered));
                }
            }
            _ => {}
        }
        Ok(PolicyPlace {
            organisation,
            role: place.role,
        })
    }
}

fn check(place: &PolicyPlace, values: &[(Rule, Option<u32>)]) -> Result<(), Error> {
    for (rule, value) in values {
        if place.organisation.is_some() && rule.is_for_everybody() {
            return Err(Error::Invalid(rule.field(), Problem::NotOffered));
        }
        if let Some(value) = value {
            rule.check(i64::from(*value))?;
        }
    }
    Ok(())
}

fn check_timeouts(planned: &Policy) -> Result<(), Error> {
    for (idle, absolute) in [
        (Rule::IdleTimeout, Rule::AbsoluteTimeout),
        (Rule::KeepIdleTimeout, Rule::KeepAbsoluteTimeout),
    ] {
        if planned.get(idle) > planned.get(absolute) {
            return Err(Error::Invalid(
                idle.field(),
                Problem::OutOfRange(idle.range().0, planned.get(absolute)),
            ));
        }
    }
    Ok(())
}

// What is set, once a place has these values too, or has them no more.
fn with(
    set: Vec<PolicyValue>,
    place: &PolicyPlace,
    values: &[(Rule, Option<u32>)],
) -> Vec<PolicyValue> {
    let here = match (place.organisation, &place.role) {
        (None, _) => PolicySource::Installation,
        (Some(_), None) => PolicySource::Organisation,
        (Some(_), Some(_)) => PolicySource::Role,
    };
    let changed = |rule| values.iter().any(|(of, _)| *of == rule);
    let stays = |value: &PolicyValue| value.source != here || !changed(value.rule);
    let new = values.iter().filter_map(|(rule, value)| {
        Some(PolicyValue {
            rule: *rule,
            value: (*value)?,
            source: here.clone(),
        })
    });
    set.into_iter().filter(stays).chain(new).collect()
}
