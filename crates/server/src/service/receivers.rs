//! Receivers of events: set up by whoever manages integrations in all organisations.

use rollcall_core::integrations::{LONGEST_RECEIVER_NAME, LONGEST_RECEIVER_URL, MOST_RECEIVERS};
use rollcall_core::{
    AuditAction, AuditOutcome, Confirmation, CreateReceiver, Delivery, DeliveryId, DeliveryQuery,
    EditReceiver, Error, Field, Page, Problem, Receiver, ReceiverFormat, ReceiverId, ReceiverState,
    SessionEvent, SessionId, TestDelivery,
};
use serde_json::Value;

use super::Service;
use super::audit::{Describe, event};
use super::caller::Caller;
use super::facts::RequestFacts;
use super::messages::no_key;
use super::names::checked_name;
use super::providers::everywhere;
use super::user_acts::taken;
use crate::clock::uuid_v7;
use crate::db::{self, AuditRecord, DbError};
use crate::outbound::OutboundError;

impl Service {
    /// All receivers, by name.
    pub async fn list_receivers(&self, caller: &Caller) -> Result<Vec<Receiver>, Error> {
        everywhere(caller)?;
        db::receivers::list(self.db().reader())
            .await
            .map_err(|error| self.database_error(error))
    }

    /// One receiver.
    pub async fn find_receiver(&self, caller: &Caller, id: ReceiverId) -> Result<Receiver, Error> {
        everywhere(caller)?;
        let found = db::receivers::find(self.db().reader(), id).await;
        let found = found.map_err(|error| self.database_error(error))?;
        found.ok_or(Error::NotFound)
    }

    /// Makes a receiver.
    pub async fn create_receiver(
        &self,
        caller: &Caller,
        facts: &RequestFacts,
        input: CreateReceiver,
    ) -> Result<Receiver, Error> {
        let about = self.about_receivers(caller, facts, AuditAction::ReceiverCreated);
        self.changing(caller, &about).await?;
        let now = self.now();
        let url = self.checked_url(&input.url).await?;
        let receiver = Receiver {
            id: ReceiverId(uuid_v7(self.random(), now)),
            name: checked_name(&input.name, LONGEST_RECEIVER_NAME)?,
            audience: self.checked_audience(input.format, input.audience.as_deref(), &url)?,
            url,
            format: input.format,
            events: checked_events(&input.events)?,
            tells_email: input.tells_email,
            state: ReceiverState::Delivering,
            failing_since: None,
            paused_at: None,
            gone: false,
            waiting: 0,
            last_accepted_at: None,
            created_at: now,
        };
        // Before the first event: receivers want to know by what they verify.
        let made = match receiver.format {
            ReceiverFormat::StandardWebhooks => {
                self.inner.signing.webhooks(self.random()).await.map(drop)
            }
            ReceiverFormat::Caep => self.inner.signing.tokens(self.random()).await.map(drop),
        };
        made.map_err(no_key)?;
        let stored = receiver.clone();
        let about = about.with(described(&receiver));
        let kept = self
            .write(move |tx, trail| {
                Box::pin(async move {
                    let kept = db::receivers::create(tx, &stored).await.map_err(taken)?;
                    if kept {
                        trail.append(tx, &about).await?;
                    }
                    Ok(kept)
                })
            })
            .await?;
        match kept {
            true => Ok(receiver),
            false => Err(Error::Invalid(
                Field::Receiver,
                Problem::TooMany(MOST_RECEIVERS),
            )),
        }
    }

    /// Changes a receiver.
    pub async fn edit_receiver(
        &self,
        caller: &Caller,
        facts: &RequestFacts,
        id: ReceiverId,
        input: EditReceiver,
    ) -> Result<Receiver, Error> {
        let about = self.about_receivers(caller, facts, AuditAction::ReceiverChanged);
        self.changing(caller, &about).await?;
        let before = self.find_receiver(caller, id).await?;
        let url = match &input.url {
            Some(url) => Some(self.checked_url(url).await?),
            None => None,
        };
        let name = input.name.as_deref();
        let name = name.map(|name| checked_name(name, LONGEST_RECEIVER_NAME));
        let name = name.transpose()?;
        let events = input.events.as_deref().map(checked_events).transpose()?;
        let audience = match &input.audience {
            Some(audience) => {
                let url = url.as_deref().unwrap_or(&before.url);
                Some(self.checked_audience(before.format, Some(audience), url)?)
            }
            None => None,
        };
        let now = self.now();
        self.write_then(
            move |tx, trail| {
                Box::pin(async move {
                    let held = db::receivers::hold(tx, id).await?;
                    let mut receiver = held.ok_or(DbError::Refused(Error::NotFound))?;
                    receiver.name = name.unwrap_or(receiver.name);
                    receiver.url = url.unwrap_or(receiver.url);
                    receiver.audience = audience.unwrap_or(receiver.audience);
                    receiver.events = events.unwrap_or(receiver.events);
                    receiver.tells_email = input.tells_email.unwrap_or(receiver.tells_email);
                    db::receivers::change(tx, &receiver, now)
                        .await
                        .map_err(taken)?;
                    trail.append(tx, &about.with(described(&receiver))).await
                })
            },
            |service, ()| service.something_to_tell(),
        )
        .await?;
        self.find_receiver(caller, id).await
    }

    /// Pauses a receiver. That it stops, nobody has to confirm.
    pub async fn pause_receiver(
        &self,
        caller: &Caller,
        facts: &RequestFacts,
        id: ReceiverId,
    ) -> Result<Receiver, Error> {
        let about = self.about_receivers(caller, facts, AuditAction::ReceiverPaused);
        self.permitted(caller, &about).await?;
        let receiver = self.find_receiver(caller, id).await?;
        let (about, now) = (about.with(receiver.name), self.now());
        self.write(move |tx, trail| {
            Box::pin(async move {
                if db::receivers::pause(tx, id, now, false).await? {
                    trail.append(tx, &about).await?;
                }
                Ok(())
            })
        })
        .await?;
        self.find_receiver(caller, id).await
    }

    /// Goes on with a receiver, or has one that fails tried at once.
    pub async fn resume_receiver(
        &self,
        caller: &Caller,
        facts: &RequestFacts,
        id: ReceiverId,
    ) -> Result<Receiver, Error> {
        let about = self.about_receivers(caller, facts, AuditAction::ReceiverResumed);
        self.changing(caller, &about).await?;
        let receiver = self.find_receiver(caller, id).await?;
        let (about, now) = (about.with(receiver.name), self.now());
        self.write_then(
            move |tx, trail| {
                Box::pin(async move {
                    db::receivers::resume(tx, id, now).await?;
                    trail.append(tx, &about).await
                })
            },
            |service, ()| service.something_to_tell(),
        )
        .await?;
        self.find_receiver(caller, id).await
    }

    /// Removes a receiver, and what waits for it.
    pub async fn remove_receiver(
        &self,
        caller: &Caller,
        facts: &RequestFacts,
        id: ReceiverId,
    ) -> Result<(), Error> {
        let about = self.about_receivers(caller, facts, AuditAction::ReceiverRemoved);
        self.changing(caller, &about).await?;
        let receiver = self.find_receiver(caller, id).await?;
        let about = about.with(match receiver.waiting {
            0 => receiver.name,
            waiting => format!("{}; {waiting} events were waiting", receiver.name),
        });
        let removed = self
            .write(move |tx, trail| {
                Box::pin(async move {
                    let removed = db::receivers::remove(tx, id).await?;
                    if removed {
                        trail.append(tx, &about).await?;
                    }
                    Ok(removed)
                })
            })
            .await?;
        removed.then_some(()).ok_or(Error::NotFound)
    }

    /// Sends a receiver something to try it out; paused ones too.
    pub async fn test_receiver(
        &self,
        caller: &Caller,
        facts: &RequestFacts,
        id: ReceiverId,
    ) -> Result<TestDelivery, Error> {
        let about = self.about_receivers(caller, facts, AuditAction::ReceiverTested);
        self.changing(caller, &about).await?;
        let found = db::receivers::find_target(self.db().reader(), id).await;
        let target = found.map_err(|error| self.database_error(error))?;
        let target = target.ok_or(Error::NotFound)?;
        let begun = self.now();
        let message_id = format!("test-{}", uuid_v7(self.random(), begun));
        let message = self.test_message(&target, &message_id, begun).await?;
        let outcome = self.send(&target.url, message).await;
        let took = self.now().micros_since(begun) / 1_000;
        let about = about.with(match outcome.status {
            Some(status) => format!("{}: it answered {status}", target.name),
            None => format!("{}: it did not answer", target.name),
        });
        self.write(move |tx, trail| Box::pin(async move { trail.append(tx, &about).await }))
            .await?;
        Ok(TestDelivery {
            accepted: outcome.failure.is_none(),
            status: outcome.status,
            failure: outcome.failure,
            milliseconds: u64::try_from(took).unwrap_or_default(),
        })
    }

    /// The key that webhooks are verified by, in the form that their libraries read.
    pub async fn webhook_key(&self, caller: &Caller) -> Result<Option<String>, Error> {
        everywhere(caller)?;
        let key = self.inner.signing.webhook_key(self.random()).await;
        key.map_err(no_key)
    }

    /// The keys by which anybody can verify what this server signs, as a JWK set.
    pub async fn published_keys(&self) -> Result<Value, Error> {
        let keys = self.inner.signing.published(self.random()).await;
        keys.map_err(no_key)
    }

    /// Deliveries, the newest first.
    pub async fn list_deliveries(
        &self,
        caller: &Caller,
        query: &DeliveryQuery,
    ) -> Result<Page<Delivery>, Error> {
        everywhere(caller)?;
        let view = self.view().await?;
        db::deliveries::list(&view, query, self.now())
            .await
            .map_err(|error| self.database_error(error))
    }

    /// Sends an event again.
    pub async fn replay_delivery(
        &self,
        caller: &Caller,
        facts: &RequestFacts,
        id: DeliveryId,
    ) -> Result<Delivery, Error> {
        let about = self.about_receivers(caller, facts, AuditAction::DeliveryReplayed);
        self.permitted(caller, &about).await?;
        let delivery = self.find_delivery(id).await?;
        let now = self.now();
        let about = about.on(delivery.session).with(delivery.receiver.name);
        self.write_then(
            move |tx, trail| {
                Box::pin(async move {
                    if !db::deliveries::replay(tx, id, now).await? {
                        return Err(DbError::Refused(Error::NotFound));
                    }
                    trail.append(tx, &about).await
                })
            },
            |service, ()| service.something_to_tell(),
        )
        .await?;
        self.find_delivery(id).await
    }

    /// How long it took until every receiver knew of an end.
    pub async fn confirmations(
        &self,
        caller: &Caller,
        session: Option<SessionId>,
    ) -> Result<Vec<Confirmation>, Error> {
        everywhere(caller)?;
        let view = self.view().await?;
        db::deliveries::confirmations(&view, session)
            .await
            .map_err(|error| self.database_error(error))
    }

    async fn find_delivery(&self, id: DeliveryId) -> Result<Delivery, Error> {
        let found = db::deliveries::find(self.db().reader(), id).await;
        let found = found.map_err(|error| self.database_error(error))?;
        found.ok_or(Error::NotFound)
    }

    // Where the server sends what it knows is worth stealing a session for.
    async fn changing(&self, caller: &Caller, about: &AuditRecord) -> Result<(), Error> {
        let allowed = everywhere(caller).and_then(|()| self.require_fresh(caller));
        self.note_refusal(caller, about.clone(), &allowed).await;
        allowed
    }

    async fn permitted(&self, caller: &Caller, about: &AuditRecord) -> Result<(), Error> {
        let allowed = everywhere(caller);
        self.note_refusal(caller, about.clone(), &allowed).await;
        allowed
    }

    fn about_receivers(
        &self,
        caller: &Caller,
        facts: &RequestFacts,
        action: AuditAction,
    ) -> AuditRecord {
        event(self.now(), action, AuditOutcome::Success, Some(facts))
            .by(caller.user_id(), caller.name())
    }

    async fn checked_url(&self, url: &str) -> Result<String, Error> {
        let refuse = |problem| Error::Invalid(Field::Url, problem);
        let url = url.trim();
        if url.is_empty() {
            return Err(refuse(Problem::Missing));
        }
        if url.len() > LONGEST_RECEIVER_URL as usize {
            return Err(refuse(Problem::TooLong(LONGEST_RECEIVER_URL)));
        }
        let checked = self.outbound().check(url).await.map_err(|error| {
            refuse(match error {
                OutboundError::NotHttps => Problem::NotHttps,
                OutboundError::Refused => Problem::NotPublic,
                OutboundError::Unreachable | OutboundError::TimedOut => Problem::NotFound,
                OutboundError::Malformed | OutboundError::TooLarge => Problem::Malformed,
            })
        })?;
        Ok(checked.into())
    }

    // Tokens say for whom they are, and who has issued them; webhooks say neither.
    fn checked_audience(
        &self,
        format: ReceiverFormat,
        audience: Option<&str>,
        url: &str,
    ) -> Result<String, Error> {
        let refuse = |problem| Err(Error::Invalid(Field::Audience, problem));
        let audience = audience.map(str::trim).filter(|given| !given.is_empty());
        match (format, audience) {
            (ReceiverFormat::StandardWebhooks, None) => Ok(String::new()),
            (ReceiverFormat::StandardWebhooks, Some(_)) => refuse(Problem::Unknown),
            (ReceiverFormat::Caep, _) if self.issuer().is_none() => {
                Err(Error::Invalid(Field::Format, Problem::NeedsPublicUrl))
            }
            (ReceiverFormat::Caep, None) => Ok(url.to_owned()),
            (ReceiverFormat::Caep, Some(given)) if given.chars().any(char::is_control) => {
                refuse(Problem::Malformed)
            }
            (ReceiverFormat::Caep, Some(given)) if given.len() > LONGEST_RECEIVER_URL as usize => {
                refuse(Problem::TooLong(LONGEST_RECEIVER_URL))
            }
            (ReceiverFormat::Caep, Some(given)) => Ok(given.to_owned()),
        }
    }
}

fn checked_events(events: &[SessionEvent]) -> Result<Vec<SessionEvent>, Error> {
    let all = SessionEvent::ALL.iter().copied();
    let chosen: Vec<_> = all.filter(|event| events.contains(event)).collect();
    match chosen.is_empty() {
        true => Err(Error::Invalid(Field::Events, Problem::Missing)),
        false => Ok(chosen),
    }
}

// Of its address scheme and host alone: many have a secret in the rest.
fn described(receiver: &Receiver) -> String {
    let parts: Vec<_> = receiver.url.splitn(4, '/').take(3).collect();
    let place = parts.join("/");
    let events: Vec<_> = receiver.events.iter().map(|event| event.as_str()).collect();
    let email = if receiver.tells_email {
        ", with e-mails"
    } else {
        ""
    };
    format!(
        "{} at {place} ({}{email})",
        receiver.name,
        events.join(", ")
    )
}
