//! The part of a request's backend that is about identity providers.

use rollcall_core::backend::Answer;
use rollcall_core::{
    IdentityProvider, ProviderKey, ProvidersBackend, SaveProvider, SignOnChoice, WaysToConfirm,
};

use super::request::RequestBackend;
use super::secret::SignOnSecret;
use super::single_sign_on::{Failure, Journey, Return};

impl RequestBackend {
    /// Signs in whoever is back from a provider, by cookie; or notes that the caller has proven anew who they are.
    pub async fn finish_sign_on(
        &self,
        key: &ProviderKey,
        secret: Option<&SignOnSecret>,
        back: Return<'_>,
    ) -> Result<Journey, Failure> {
        if let Some(error) = self.refused() {
            return Err(error.into());
        }
        let arrived = self
            .service
            .finish_sign_on(key, secret, back, self.replaced(), &self.facts)
            .await?;
        match (&arrived.session, self.caller()) {
            (Some(session), _) => self.hold(session, arrived.token, arrived.journey.keep),
            (None, Some(caller)) => self.hand_token(caller, arrived.token),
            (None, None) => {}
        }
        Ok(arrived.journey)
    }
}

impl ProvidersBackend for RequestBackend {
    fn sign_on_choices(&self) -> Answer<'_, Vec<SignOnChoice>> {
        self.answer(async { Ok(self.service.sign_on_choices().await) })
    }

    fn ways_to_confirm(&self) -> Answer<'_, WaysToConfirm> {
        self.answer(async { self.service.ways_to_confirm(self.anyone_signed_in()?).await })
    }

    fn list_providers(&self) -> Answer<'_, Vec<IdentityProvider>> {
        self.answer(async { self.service.list_providers(self.signed_in()?).await })
    }

    fn find_provider(&self, key: ProviderKey) -> Answer<'_, IdentityProvider> {
        self.answer(async move { self.service.find_provider(self.signed_in()?, &key).await })
    }

    fn save_provider(&self, key: ProviderKey, input: SaveProvider) -> Answer<'_, IdentityProvider> {
        self.answer(async move {
            let caller = self.signed_in()?;
            self.service
                .save_provider(caller, &self.facts, key, input)
                .await
        })
    }

    fn remove_provider(&self, key: ProviderKey) -> Answer<'_, ()> {
        self.answer(async move {
            let caller = self.signed_in()?;
            self.service
                .remove_provider(caller, &self.facts, &key)
                .await
        })
    }
}
