//! The part of a request's backend that is about what the server speaks with by itself.

use rollcall_core::backend::Answer;
use rollcall_core::{
    Confirmation, CreateReceiver, Delivery, DeliveryId, DeliveryQuery, EditReceiver,
    IntegrationsBackend, Page, Receiver, ReceiverId, SessionId, TestDelivery,
};

use super::request::RequestBackend;

impl IntegrationsBackend for RequestBackend {
    fn list_receivers(&self) -> Answer<'_, Vec<Receiver>> {
        self.answer(async { self.service.list_receivers(self.signed_in()?).await })
    }

    fn find_receiver(&self, id: ReceiverId) -> Answer<'_, Receiver> {
        self.answer(async move { self.service.find_receiver(self.signed_in()?, id).await })
    }

    fn create_receiver(&self, input: CreateReceiver) -> Answer<'_, Receiver> {
        self.answer(async move {
            let caller = self.signed_in()?;
            self.service
                .create_receiver(caller, &self.facts, input)
                .await
        })
    }

    fn edit_receiver(&self, id: ReceiverId, input: EditReceiver) -> Answer<'_, Receiver> {
        self.answer(async move {
            let caller = self.signed_in()?;
            self.service
                .edit_receiver(caller, &self.facts, id, input)
                .await
        })
    }

    fn pause_receiver(&self, id: ReceiverId) -> Answer<'_, Receiver> {
        self.answer(async move {
            let caller = self.signed_in()?;
            self.service.pause_receiver(caller, &self.facts, id).await
        })
    }

    fn resume_receiver(&self, id: ReceiverId) -> Answer<'_, Receiver> {
        self.answer(async move {
            let caller = self.signed_in()?;
            self.service.resume_receiver(caller, &self.facts, id).await
        })
    }

    fn remove_receiver(&self, id: ReceiverId) -> Answer<'_, ()> {
        self.answer(async move {
            let caller = self.signed_in()?;
            self.service.remove_receiver(caller, &self.facts, id).await
        })
    }

    fn test_receiver(&self, id: ReceiverId) -> Answer<'_, TestDelivery> {
        self.answer(async move {
            let caller = self.signed_in()?;
            self.service.test_receiver(caller, &self.facts, id).await
        })
    }

    fn webhook_key(&self) -> Answer<'_, Option<String>> {
        self.answer(async { self.service.webhook_key(self.signed_in()?).await })
    }

    fn list_deliveries(&self, query: DeliveryQuery) -> Answer<'_, Page<Delivery>> {
        self.answer(async move {
            self.service
                .list_deliveries(self.signed_in()?, &query)
                .await
        })
    }

    fn replay_delivery(&self, id: DeliveryId) -> Answer<'_, Delivery> {
        self.answer(async move {
            let caller = self.signed_in()?;
            self.service.replay_delivery(caller, &self.facts, id).await
        })
    }

    fn confirmations(&self, session: Option<SessionId>) -> Answer<'_, Vec<Confirmation>> {
        self.answer(async move { self.service.confirmations(self.signed_in()?, session).await })
    }
}
