//! The part of `Backend` that is about what the server speaks with by itself.

use crate::backend::Answer;
use crate::ids::{ReceiverId, SessionId};
use crate::integrations::{
    Confirmation, CreateReceiver, Delivery, DeliveryId, DeliveryQuery, EditReceiver, Receiver,
    TestDelivery,
};
use crate::page::Page;

/// What Rollcall can do for one request about integrations.
///
/// Every method needs `integrations.manage` in all organisations and authorises first, as those of `Backend` do. Where
/// something is sent to is changed by somebody whose password was entered a short while ago (`ReauthenticationRequired`).
pub trait IntegrationsBackend: Send + Sync {
    /// All receivers, by name.
    fn list_receivers(&self) -> Answer<'_, Vec<Receiver>>;

    /// One receiver.
    fn find_receiver(&self, id: ReceiverId) -> Answer<'_, Receiver>;

    /// Makes a receiver, which is told from now on. `NameTaken` if there is one of this name.
    fn create_receiver(&self, input: CreateReceiver) -> Answer<'_, Receiver>;

    /// Changes a receiver. What waits is sent to where it listens then, and tried at once.
    fn edit_receiver(&self, id: ReceiverId, input: EditReceiver) -> Answer<'_, Receiver>;

    /// Pauses a receiver: it is told nothing, and nothing new is written down for it. Twice is as good as once.
    fn pause_receiver(&self, id: ReceiverId) -> Answer<'_, Receiver>;

    /// Goes on with a receiver that is paused, or tries one at once that fails.
    fn resume_receiver(&self, id: ReceiverId) -> Answer<'_, Receiver>;

    /// Removes a receiver, with what waits for it.
    fn remove_receiver(&self, id: ReceiverId) -> Answer<'_, ()>;

    /// Sends a receiver something to try it out, and answers how that went.
    fn test_receiver(&self, id: ReceiverId) -> Answer<'_, TestDelivery>;

    /// The key that webhooks are verified by, as Standard Webhooks writes it: `whpk_…`; `None` until there is a receiver of
    /// webhooks.
    fn webhook_key(&self) -> Answer<'_, Option<String>>;

    /// Deliveries, the newest first.
    fn list_deliveries(&self, query: DeliveryQuery) -> Answer<'_, Page<Delivery>>;

    /// Sends an event again at once, whether it was accepted or not. It has the id that it had.
    fn replay_delivery(&self, id: DeliveryId) -> Answer<'_, Delivery>;

    /// How long it took until every receiver knew of an end: of this session, or of the sessions that ended last.
    fn confirmations(&self, session: Option<SessionId>) -> Answer<'_, Vec<Confirmation>>;
}
