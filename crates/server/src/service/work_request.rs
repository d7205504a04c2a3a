//! The part of a request's backend that is about what works without a person.

use std::sync::PoisonError;

use rollcall_core::backend::Answer;
use rollcall_core::{ApiKey, ApiKeyId, CreateKey, KeyCreated, UserId, WorkBackend};

use super::request::{Door, RequestBackend};

impl WorkBackend for RequestBackend {
    fn list_own_keys(&self) -> Answer<'_, Vec<ApiKey>> {
        self.answer(async { self.service.list_own_keys(self.signed_in()?).await })
    }

    fn list_user_keys(&self, user: UserId) -> Answer<'_, Vec<ApiKey>> {
        self.answer(async move { self.service.list_user_keys(self.signed_in()?, user).await })
    }

    fn create_key(&self, input: CreateKey) -> Answer<'_, KeyCreated> {
        self.answer(async move {
            let caller = self.signed_in()?;
            let created = self.service.create_key(caller, &self.facts, input).await?;
            // A program has the secret in its answer; a page comes after a redirect.
            if self.door == Door::Rpc {
                self.service.hand_key_over(caller, &created);
            }
            Ok(created)
        })
    }

    fn revoke_key(&self, id: ApiKeyId) -> Answer<'_, ()> {
        self.answer(async move {
            let caller = self.signed_in()?;
            self.service.revoke_key(caller, &self.facts, id).await
        })
    }

    fn key_secret(&self, id: ApiKeyId) -> Answer<'_, Option<String>> {
        self.answer(async move {
            let now = self.service.key_secret(self.signed_in()?, id);
            let mut handed = self.handed.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(secret) = now {
                *handed = Some((id.0, secret));
            }
            let for_this = handed.as_ref().filter(|(key, _)| *key == id.0);
            Ok(for_this.map(|(_, secret)| secret.clone()))
        })
    }
}
