//! Who somebody from a provider is here: known by issuer and subject, linked, or made.

use rollcall_core::{AuditAction, AuditOutcome, Error, UserRef};

use super::{Failure, Turned};
use crate::clock::uuid_v7;
use crate::config::placing::Place;
use crate::db::mail::LetterKind;
use crate::db::records::{NewUser, UserRecord};
use crate::db::{self, DbError};
use crate::service::Service;
use crate::service::audit::{Describe, event};
use crate::service::facts::RequestFacts;
use crate::service::names::checked_name;
use crate::service::openid::Asserted;
use crate::service::people::LONGEST_NAME;
use crate::service::providers::Provider;

impl Service {
    /// The user that somebody is here: known by issuer and subject, linked or made where a rule says so.
    pub(super) async fn user_behind(
        &self,
        provider: &Provider,
        asserted: &Asserted,
        facts: &RequestFacts,
    ) -> Result<UserRecord, Failure> {
        if let Some(user) = self.known_identity(provider, asserted).await? {
            return Ok(user);
        }
        let email = provider.verified_email(asserted);
        let place = provider.place_of(email.as_deref(), asserted);
        let place = place.ok_or(Turned::NotExpected)?;
        let email = email.ok_or(Turned::NotExpected)?;
        let there = db::users::find_by_email(self.db().reader(), &email).await;
        let there = there.map_err(|error| self.database_error(error))?;
        let done = match there {
            Some(user) => self.link(provider, asserted, place, user, facts).await,
            None => self.make(provider, asserted, place, email, facts).await,
        };
        match done {
            // Somebody else was quicker: the same person in another tab, or somebody who was given this e-mail.
            Err(Failure::Error(Error::EmailTaken | Error::NameTaken)) => {}
            other => return other,
        }
        let known = self.known_identity(provider, asserted).await?;
        known.ok_or(Turned::NotLinked.into())
    }

    async fn known_identity(
        &self,
        provider: &Provider,
        asserted: &Asserted,
    ) -> Result<Option<UserRecord>, Error> {
        let reader = self.db().reader();
        let found = async {
            let (issuer, subject) = (&provider.setup.issuer, &asserted.subject);
            match db::identities::find_user(reader, issuer, subject).await? {
                Some(id) => db::users::find(reader, id).await,
                None => Ok(None),
            }
        };
        found.await.map_err(|error| self.database_error(error))
    }

    async fn link(
        &self,
        provider: &Provider,
        asserted: &Asserted,
        place: &Place,
        user: UserRecord,
        facts: &RequestFacts,
    ) -> Result<UserRecord, Failure> {
        let fits = place.link
            && user.organisation_id == place.organisation
            && !user.service_account
            && user.role_key != rollcall_core::BuiltInRole::PlatformAdministrator.key();
        if !fits {
            return Err(Turned::NotLinked.into());
        }
        let (now, id, scope) = (
            self.now(),
            user.id,
            db::Scope::Organisation(place.organisation),
        );
        let (issuer, subject) = (provider.setup.issuer.clone(), asserted.subject.clone());
        let linked = event(
            now,
            AuditAction::IdentityLinked,
            AuditOutcome::Success,
            Some(facts),
        )
        .by(id, &user.name)
        .to(
            &crate::service::sign_in::user_ref(&user),
            user.organisation_id,
        )
        .with(provider.key.as_str());
        let email = user.email.clone();
        let person = crate::service::sign_in::user_ref(&user);
        let told = self
            .post()
            .letter(LetterKind::IdentityLinked, &person, Some(facts), now);
        self.write(move |tx, trail| {
            Box::pin(async move {
                let held = db::user_changes::hold(tx, scope, id).await?;
                // Moved, deleted or called something else meanwhile.
                if held.is_none_or(|held| held.email != email) {
                    return Err(DbError::Refused(Error::EmailTaken));
                }
                db::identities::link(tx, &issuer, &subject, id, now)
                    .await
                    .map_err(crate::service::user_acts::taken)?;
                db::mail::post(tx, told.as_ref()).await?;
                trail.append(tx, &linked).await
            })
        })
        .await?;
        Ok(user)
    }

    async fn make(
        &self,
        provider: &Provider,
        asserted: &Asserted,
        place: &Place,
        email: String,
        facts: &RequestFacts,
    ) -> Result<UserRecord, Failure> {
        if !place.create {
            return Err(Turned::NotExpected.into());
        }
        let now = self.now();
        let id = rollcall_core::UserId(uuid_v7(self.random(), now));
        let name = asserted.text("name").unwrap_or(&email);
        let name = checked_name(name, LONGEST_NAME).unwrap_or_else(|_| email.clone());
        let new = NewUser {
            id,
            organisation_id: place.organisation,
            email: email.clone(),
            name: name.clone(),
            role_key: place.role.0.clone(),
            service_account: false,
            password_hash: None,
            password_change_required: false,
            created_at: now,
        };
        let person = UserRef {
            id,
            email,
            name,
            service_account: false,
        };
        let about = |action| {
            event(now, action, AuditOutcome::Success, Some(facts))
                .by(id, &person.name)
                .to(&person, place.organisation)
        };
        let events = [
            about(AuditAction::UserCreated)
                .with(format!("single sign-on, {}: {}", provider.key, place.role)),
            about(AuditAction::IdentityLinked).with(provider.key.as_str()),
        ];
        let (issuer, subject) = (provider.setup.issuer.clone(), asserted.subject.clone());
        self.write(move |tx, trail| {
            Box::pin(async move {
                // A role may be gone since the rule was written.
                let (key, organisation) = (&new.role_key, new.organisation_id);
                if !db::users::role_exists(tx, key, organisation).await? {
                    return Err(DbError::Refused(Error::UserNotEligible));
                }
                db::users::create(tx, &new)
                    .await
                    .map_err(crate::service::user_acts::taken)?;
                db::identities::link(tx, &issuer, &subject, id, now)
                    .await
                    .map_err(crate::service::user_acts::taken)?;
                trail.append_all(tx, &events).await
            })
        })
        .await
        .map_err(|error| match error {
            Error::UserNotEligible => Failure::Turned(Turned::NotExpected),
            other => Failure::Error(other),
        })?;
        let made = db::users::find(self.db().reader(), id).await;
        let made = made.map_err(|error| self.database_error(error))?;
        Ok(made.ok_or(Error::Internal)?)
    }
}
