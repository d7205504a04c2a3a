//! What receivers are told, in the form that they are told it.

use http::HeaderMap;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use rollcall_core::integrations::message_id;
use rollcall_core::{EndReason, Error, Initiator, ReceiverFormat, SessionEvent, Timestamp};
use serde_json::{Value, json};

use super::Service;
use crate::db::deliveries::Claimed;
use crate::db::receivers::Target;

/// What is sent.
pub(super) struct Message {
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

const REVOKED: &str = "https://schemas.openid.net/secevent/caep/event-type/session-revoked";
const ESTABLISHED: &str = "https://schemas.openid.net/secevent/caep/event-type/session-established";
const VERIFICATION: &str = "https://schemas.openid.net/secevent/ssf/event-type/verification";

impl Service {
    /// An event for a receiver, signed now. Its id is the same in every try; the moment of a webhook's signature is not, so
    /// that receivers can refuse old copies.
    pub(super) async fn message(
        &self,
        to: &Target,
        event: &Claimed,
        now: Timestamp,
    ) -> Result<Message, Error> {
        let id = message_id(event.event, event.session);
        match to.format {
            ReceiverFormat::StandardWebhooks => {
                let body = webhook_body(event, to.tells_email);
                self.webhook(&id, &body, now).await
            }
            ReceiverFormat::Caep => {
                let issuer = self.issuer().ok_or(Error::Internal)?;
                let claims = json!({
                    "iss": issuer,
                    "aud": to.audience,
                    "iat": now.seconds(),
                    "jti": id,
                    "txn": event.session.to_string(),
                    "sub_id": subject(&issuer, event, to.tells_email),
                    "events": caep_event(event),
                });
                self.token(&claims).await
            }
        }
    }

    /// Something to try a receiver out.
    pub(super) async fn test_message(
        &self,
        to: &Target,
        id: &str,
        now: Timestamp,
    ) -> Result<Message, Error> {
        match to.format {
            ReceiverFormat::StandardWebhooks => {
                let body = json!({ "type": "receiver.tested", "timestamp": now, "data": {} });
                self.webhook(id, &body, now).await
            }
            ReceiverFormat::Caep => {
                let issuer = self.issuer().ok_or(Error::Internal)?;
                let claims = json!({
                    "iss": issuer,
                    "aud": to.audience,
                    "iat": now.seconds(),
                    "jti": id,
                    "sub_id": { "format": "opaque", "id": to.id.to_string() },
                    "events": { VERIFICATION: { "state": id } },
                });
                self.token(&claims).await
            }
        }
    }

    /// Who issues tokens: the address that people type.
    pub(super) fn issuer(&self) -> Option<String> {
        self.config().public_origin.clone()
    }

    async fn webhook(&self, id: &str, body: &Value, now: Timestamp) -> Result<Message, Error> {
        let key = self.inner.signing.webhooks(self.random()).await;
        let key = key.map_err(no_key)?;
        let (body, seconds) = (body.to_string(), now.seconds());
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert("webhook-id", text(id)?);
        headers.insert("webhook-timestamp", HeaderValue::from(seconds));
        headers.insert(
            "webhook-signature",
            text(&key.signature(id, seconds, &body))?,
        );
        Ok(Message { headers, body })
    }

    async fn token(&self, claims: &Value) -> Result<Message, Error> {
        let key = self.inner.signing.tokens(self.random()).await;
        let body = key.and_then(|key| key.token(claims)).map_err(no_key)?;
        let mut headers = HeaderMap::new();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/secevent+jwt"),
        );
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        Ok(Message { headers, body })
    }
}

/// A key that cannot be had is ours to mend.
pub(super) fn no_key(error: anyhow::Error) -> Error {
    tracing::error!(error = format!("{error:#}"), "there is no key to sign with");
    Error::Internal
}

fn text(value: &str) -> Result<HeaderValue, Error> {
    HeaderValue::from_str(value).map_err(|_| Error::Internal)
}

fn webhook_body(event: &Claimed, with_email: bool) -> Value {
    let mut data = json!({
        "session": { "id": event.session, "kind": event.kind, "method": event.method, "created_at": event.created_at },
        "user": { "id": event.user },
        "organisation": { "id": event.organisation },
    });
    if with_email {
        data["user"]["email"] = json!(event.email);
    }
    if let Some(reason) = event.reason {
        data["ended_at"] = json!(event.occurred_at);
        data["reason"] = json!(reason);
        data["initiator"] = json!(Initiator::of(reason, event.ended_by, event.user));
        data["ended_by"] = json!(event.ended_by);
    }
    json!({ "type": event.event, "timestamp": event.occurred_at, "data": data })
}

// Complex (SSF, section 3.1): this session of this user. Without the session it would mean all of the user's.
fn subject(issuer: &str, event: &Claimed, by_email: bool) -> Value {
    let user = match by_email {
        true => json!({ "format": "email", "email": event.email }),
        false => json!({ "format": "iss_sub", "iss": issuer, "sub": event.user.to_string() }),
    };
    json!({
        "format": "complex",
        "user": user,
        "session": { "format": "opaque", "id": event.session.to_string() },
    })
}

// The timeout in force is none of a receiver's business.
fn words(reason: EndReason) -> String {
    match reason {
        EndReason::IdleTimeout => "not used for too long".to_owned(),
        reason => reason.label(0),
    }
}

fn caep_event(event: &Claimed) -> Value {
    let at = event.occurred_at.seconds();
    match event.event {
        SessionEvent::Created => json!({ ESTABLISHED: { "event_timestamp": at } }),
        SessionEvent::Ended => {
            // An end always has a reason; what this server does not know was set off by the system.
            let initiator = event.reason.map_or(Initiator::System, |reason| {
                Initiator::of(reason, event.ended_by, event.user)
            });
            let words = event.reason.map_or("ended".to_owned(), words);
            let code = event.reason.map_or("ended", |reason| reason.as_str());
            json!({
                REVOKED: {
                    "event_timestamp": at,
                    "initiating_entity": initiator,
                    "reason_admin": { "en": format!("{words} ({code})") },
                    "reason_user": { "en": words },
                }
            })
        }
    }
}
