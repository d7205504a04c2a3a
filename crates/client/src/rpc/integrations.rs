//! The server functions about receivers of events. Only pages without scripts ask them, see `people`.

use leptos::prelude::*;
use rollcall_core::{self as model, DeliveryId, ReceiverFormat, ReceiverId, SessionEvent, query};
use serde::{Deserialize, Serialize};

use super::on_server::{Field, Problem, backend, id, routes};
use super::{Answer, Rpc, RpcError};

/// A receiver as the form sends it: what is ticked has any text.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ReceiverForm {
    /// Empty for one to be made.
    id: String,
    name: String,
    url: String,
    format: String,
    audience: String,
    created: String,
    ended: String,
    tells_email: String,
}

impl ReceiverForm {
    // The page that shows again what was typed.
    fn page(&self) -> String {
        let page = match self.id.as_str() {
            "" => routes::NEW_RECEIVER.to_owned(),
            id => routes::below(routes::RECEIVERS, id),
        };
        let typed = [
            ("name", &self.name),
            ("url", &self.url),
            ("format", &self.format),
            ("audience", &self.audience),
            ("created", &self.created),
            ("ended", &self.ended),
            ("tells_email", &self.tells_email),
            ("typed", &"on".to_owned()),
        ]
        .map(|(name, value)| (name, value.clone()));
        routes::with_query(&page, &query::write(&typed))
    }

    fn format(&self) -> Rpc<ReceiverFormat> {
        let problem = RpcError(model::Error::Invalid(Field::Format, Problem::NotOffered));
        ReceiverFormat::from_name(&self.format).ok_or(problem)
    }

    fn events(&self) -> Vec<SessionEvent> {
        let ticked = [
            (&self.created, SessionEvent::Created),
            (&self.ended, SessionEvent::Ended),
        ];
        let chosen = ticked.into_iter().filter(|(tick, _)| !tick.is_empty());
        chosen.map(|(_, event)| event).collect()
    }

    // Webhooks have none, whatever was typed before somebody chose them.
    fn audience(&self, format: ReceiverFormat) -> Option<String> {
        Some(self.audience.clone()).filter(|_| format == ReceiverFormat::Caep)
    }
}

/// See `IntegrationsBackend::create_receiver` and `edit_receiver`. The form comes back as it was typed when something is
/// wrong with it.
#[server(prefix = "/rpc", endpoint = "save_receiver", output = Answer)]
pub async fn save_receiver(#[server(default)] receiver: ReceiverForm) -> Rpc<()> {
    let backend = backend()?;
    backend.come_back(&receiver.page());
    let (events, tells_email) = (receiver.events(), !receiver.tells_email.is_empty());
    let saved = match receiver.id.as_str() {
        "" => {
            let format = receiver.format()?;
            let audience = receiver.audience(format);
            let input = model::CreateReceiver {
                name: receiver.name,
                url: receiver.url,
                format,
                audience,
                events,
                tells_email,
            };
            backend.create_receiver(input).await?
        }
        text => {
            let id = id::<ReceiverId>(text, Field::Receiver)?;
            let known = backend.find_receiver(id).await?;
            let input = model::EditReceiver {
                audience: receiver.audience(known.format),
                name: Some(receiver.name),
                url: Some(receiver.url),
                events: Some(events),
                tells_email: Some(tells_email),
            };
            backend.edit_receiver(id, input).await?
        }
    };
    let there = routes::below(routes::RECEIVERS, &saved.id.to_string());
    backend.redirect(&routes::with_query(&there, "saved=1"));
    Ok(())
}

/// See `IntegrationsBackend::pause_receiver`.
#[server(prefix = "/rpc", endpoint = "pause_receiver", output = Answer)]
pub async fn pause_receiver(receiver: String) -> Rpc<()> {
    let backend = backend()?;
    let id = id::<ReceiverId>(&receiver, Field::Receiver)?;
    backend.pause_receiver(id).await?;
    backend.redirect(&routes::below(routes::RECEIVERS, &receiver));
    Ok(())
}

/// See `IntegrationsBackend::resume_receiver`.
#[server(prefix = "/rpc", endpoint = "resume_receiver", output = Answer)]
pub async fn resume_receiver(receiver: String) -> Rpc<()> {
    let backend = backend()?;
    let id = id::<ReceiverId>(&receiver, Field::Receiver)?;
    backend.resume_receiver(id).await?;
    backend.redirect(&routes::below(routes::RECEIVERS, &receiver));
    Ok(())
}

/// See `IntegrationsBackend::remove_receiver`.
#[server(prefix = "/rpc", endpoint = "remove_receiver", output = Answer)]
pub async fn remove_receiver(receiver: String) -> Rpc<()> {
    let backend = backend()?;
    let id = id::<ReceiverId>(&receiver, Field::Receiver)?;
    backend.remove_receiver(id).await?;
    backend.redirect(routes::INTEGRATIONS);
    Ok(())
}

/// See `IntegrationsBackend::test_receiver`. Leads to the receiver's page, which says how it went.
#[server(prefix = "/rpc", endpoint = "test_receiver", output = Answer)]
pub async fn test_receiver(receiver: String) -> Rpc<()> {
    let backend = backend()?;
    let id = id::<ReceiverId>(&receiver, Field::Receiver)?;
    let went = backend.test_receiver(id).await?;
    let result = went.failure.map_or("accepted", |failure| failure.as_str());
    let mut pairs = vec![("tested", result.to_owned())];
    pairs.extend(went.status.map(|status| ("status", status.to_string())));
    let there = routes::below(routes::RECEIVERS, &receiver);
    backend.redirect(&routes::with_query(&there, &query::write(&pairs)));
    Ok(())
}

/// See `IntegrationsBackend::replay_delivery`. Leads back to `next`, if that is a path of ours.
#[server(prefix = "/rpc", endpoint = "replay_delivery", output = Answer)]
pub async fn replay_delivery(delivery: String, next: Option<String>) -> Rpc<()> {
    let backend = backend()?;
    let id = id::<DeliveryId>(&delivery, Field::Id)?;
    backend.replay_delivery(id).await?;
    backend.redirect(routes::own_path(next.as_deref()));
    Ok(())
}
