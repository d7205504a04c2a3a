//! Speaking with identity providers (OpenID Connect Core 1.0, Discovery 1.0): who they are, where they send people, and
//! with which keys they sign. What they say is judged in `assertion.rs` and `logout_token.rs`.
//!
//! **Invariant:** no rules of ours. Whether somebody may come in is decided in `single_sign_on.rs`.

mod assertion;
mod logout_token;

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::Method;
use openidconnect::core::{
    CoreAuthDisplay, CoreAuthPrompt, CoreAuthenticationFlow, CoreClientAuthMethod,
    CoreErrorResponseType, CoreGenderClaim, CoreJsonWebKey, CoreJweContentEncryptionAlgorithm,
    CoreJwsSigningAlgorithm, CoreRevocableToken, CoreRevocationErrorResponse,
    CoreTokenIntrospectionResponse, CoreTokenType,
};
use openidconnect::{
    AdditionalClaims, AsyncHttpClient, AuthType, AuthenticationContextClass, ClientId,
    ClientSecret, CsrfToken, EmptyExtraTokenFields, EndpointMaybeSet, EndpointNotSet, EndpointSet,
    HttpRequest, HttpResponse, IdTokenFields, IssuerUrl, LogoutRequest, Nonce, PkceCodeChallenge,
    PkceCodeVerifier, PostLogoutRedirectUrl, ProviderMetadataWithLogout, RedirectUrl, Scope,
    StandardErrorResponse, StandardTokenResponse,
};
use rollcall_core::{SaveProvider, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::throttle::Turns;
use crate::outbound::{Outbound, OutboundError};

pub(super) use assertion::{Asserted, Demanded};

/// For how long what a provider says of itself is taken for true without asking again.
const GOOD_FOR: Duration = Duration::from_secs(60 * 60);

/// So often at most is a provider asked again because of a key that is not known, or because it did not answer: whoever
/// makes up keys makes nobody ask for them (F27).
const ASK_AGAIN: Duration = Duration::from_secs(30);

/// Signatures that are believed: made with a key that only the provider has. Never `none`, and never a secret that both
/// have, which a public key could be taken for.
const SIGNATURES: [CoreJwsSigningAlgorithm; 9] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];

/// Claims that no specification names, such as groups.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct OtherClaims(Map<String, Value>);

impl AdditionalClaims for OtherClaims {}

type Fields = IdTokenFields<
    OtherClaims,
    EmptyExtraTokenFields,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJwsSigningAlgorithm,
>;

type Client = openidconnect::Client<
    OtherClaims,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    StandardTokenResponse<Fields, CoreTokenType>,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// Why a provider is of no use just now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fault {
    /// It does not answer, or not in time.
    Away,
    /// Its address is refused, or it is somebody else than it was said to be.
    NotIt,
    /// What it says cannot be believed.
    Unsound,
    /// It has said no.
    Refused,
    /// Somebody signed in there too long ago, or by weaker means than are asked for.
    Weak,
}

/// A way to a provider and back, made for one sign-in.
pub(super) struct Way<'a> {
    pub(super) redirect_uri: &'a str,
    pub(super) state: String,
    pub(super) nonce: String,
    pub(super) verifier: String,
    /// Whether people have to prove there who they are, however lately they have.
    pub(super) anew: bool,
}

struct Known {
    metadata: ProviderMetadataWithLogout,
    asked_at: Timestamp,
}

/// What is known of providers, by issuer.
pub(super) struct Providers {
    web: Web,
    known: Mutex<HashMap<String, Arc<Known>>>,
    failed: Mutex<HashMap<String, (Timestamp, Fault)>>,
    turns: Turns<String>,
}

impl Providers {
    pub(super) fn new(outbound: Outbound) -> Self {
        Self {
            web: Web(outbound),
            known: Mutex::default(),
            failed: Mutex::default(),
            turns: Turns::default(),
        }
    }

    /// Asks a provider who it is, whatever is known of it.
    pub(super) async fn check(&self, issuer: &str, now: Timestamp) -> Result<(), Fault> {
        self.ask(issuer, now).await.map(|_| ())
    }

    /// Where a browser goes to sign in.
    pub(super) async fn sign_in_url(
        &self,
        setup: &SaveProvider,
        way: &Way<'_>,
        now: Timestamp,
    ) -> Result<String, Fault> {
        let known = self.known(&setup.issuer, now).await?;
        let client = client(&known, setup, None, way.redirect_uri)?;
        let (state, nonce) = (way.state.clone(), way.nonce.clone());
        let challenge = PkceCodeChallenge::from_code_verifier_sha256(&PkceCodeVerifier::new(
            way.verifier.clone(),
        ));
        let scopes = setup.scopes.iter().cloned().map(Scope::new);
        let mut request = client
            .authorize_url(
                CoreAuthenticationFlow::AuthorizationCode,
                move || CsrfToken::new(state),
                move || Nonce::new(nonce),
            )
            .add_scopes(scopes)
            .set_pkce_challenge(challenge);
        for value in &setup.acr_values {
            request =
                request.add_auth_context_value(AuthenticationContextClass::new(value.clone()));
        }
        if way.anew {
            request = request
                .add_prompt(CoreAuthPrompt::Login)
                .set_max_age(Duration::ZERO);
        } else if let Some(seconds) = setup.max_age_seconds {
            request = request.set_max_age(Duration::from_secs(u64::from(seconds)));
        }
        Ok(request.url().0.to_string())
    }

    /// Where a browser goes to sign out there, if the provider has such a place (RP-Initiated Logout 1.0).
    pub(super) async fn sign_out_url(
        &self,
        setup: &SaveProvider,
        back: &str,
        state: Option<String>,
        now: Timestamp,
    ) -> Result<Option<String>, Fault> {
        let known = self.known(&setup.issuer, now).await?;
        let place = &known.metadata.additional_metadata().end_session_endpoint;
        let Some(place) = place.clone() else {
            return Ok(None);
        };
        let back = PostLogoutRedirectUrl::new(back.to_owned()).map_err(|_| Fault::NotIt)?;
        let mut request = LogoutRequest::from(place)
            .set_client_id(ClientId::new(setup.client_id.clone()))
            .set_post_logout_redirect_uri(back);
        if let Some(state) = state {
            request = request.set_state(CsrfToken::new(state));
        }
        Ok(Some(request.http_get_url().to_string()))
    }

    async fn known(&self, issuer: &str, now: Timestamp) -> Result<Arc<Known>, Fault> {
        self.not_older_than(issuer, GOOD_FOR, now).await
    }

    /// What is known, asked for anew unless that was a moment ago: for a key that is not among those that were there.
    async fn renewed(&self, issuer: &str, now: Timestamp) -> Result<Arc<Known>, Fault> {
        self.not_older_than(issuer, ASK_AGAIN, now).await
    }

    async fn not_older_than(
        &self,
        issuer: &str,
        age: Duration,
        now: Timestamp,
    ) -> Result<Arc<Known>, Fault> {
        if let Some(known) = self.kept(issuer, age, now) {
            return Ok(known);
        }
        // One asks for all who wait; more than may wait are told at once.
        let turn = self.turns.wait(issuer.to_owned()).await;
        let _turn = turn.ok_or(Fault::Away)?;
        if let Some(known) = self.kept(issuer, age, now) {
            return Ok(known);
        }
        let recent = lock(&self.failed).get(issuer).copied();
        let asked = match recent {
            Some((at, fault)) if now < at + ASK_AGAIN => Err(fault),
            _ => self.ask(issuer, now).await,
        };
        match (asked, self.any(issuer)) {
            (Ok(known), _) => Ok(known),
            // What it was an hour ago is better than nothing; it may only be slow.
            (Err(Fault::Away), Some(old)) => Ok(old),
            (Err(fault), _) => Err(fault),
        }
    }

    fn any(&self, issuer: &str) -> Option<Arc<Known>> {
        lock(&self.known).get(issuer).cloned()
    }

    fn kept(&self, issuer: &str, age: Duration, now: Timestamp) -> Option<Arc<Known>> {
        self.any(issuer).filter(|known| now < known.asked_at + age)
    }

    async fn ask(&self, issuer: &str, now: Timestamp) -> Result<Arc<Known>, Fault> {
        let address = IssuerUrl::new(issuer.to_owned()).map_err(|_| Fault::NotIt)?;
        let asked = ProviderMetadataWithLogout::discover_async(address, &self.web).await;
        let known = asked
            .map_err(|error| {
                tracing::warn!(provider.issuer = issuer, error = %error, "an identity provider could not be asked who it is");
                match error {
                    openidconnect::DiscoveryError::Request(error) => fault_of(&error),
                    _ => Fault::NotIt,
                }
            })
            .map(|metadata| {
                Arc::new(Known {
                    metadata,
                    asked_at: now,
                })
            });
        match &known {
            Ok(known) => {
                lock(&self.failed).remove(issuer);
                lock(&self.known).insert(issuer.to_owned(), known.clone());
            }
            Err(fault) => {
                lock(&self.failed).insert(issuer.to_owned(), (now, *fault));
            }
        }
        known
    }
}

/// The way to providers, as the library wants it.
struct Web(Outbound);

impl<'c> AsyncHttpClient<'c> for Web {
    type Error = OutboundError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, OutboundError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let (url, headers) = (parts.uri.to_string(), parts.headers);
            let answer = match parts.method {
                Method::POST => self.0.post(&url, headers, body).await,
                _ => self.0.get(&url, headers).await,
            }?;
            // What stands in front of a provider answers for it when it is down.
            if answer.status.is_server_error() {
                return Err(OutboundError::Unreachable);
            }
            let mut response = HttpResponse::new(answer.body);
            *response.status_mut() = answer.status;
            *response.headers_mut() = answer.headers;
            Ok(response)
        })
    }
}

fn fault_of(error: &OutboundError) -> Fault {
    match error {
        OutboundError::Unreachable | OutboundError::TimedOut => Fault::Away,
        // Nothing that would be other tomorrow.
        _ => Fault::NotIt,
    }
}

fn client(
    known: &Known,
    setup: &SaveProvider,
    secret: Option<Zeroizing<String>>,
    redirect_uri: &str,
) -> Result<Client, Fault> {
    let metadata = &known.metadata;
    let redirect = RedirectUrl::new(redirect_uri.to_owned()).map_err(|_| Fault::NotIt)?;
    let secret = secret.map(|secret| ClientSecret::new(secret.as_str().to_owned()));
    let id = ClientId::new(setup.client_id.clone());
    let client = Client::from_provider_metadata(metadata.clone(), id, secret);
    let takes = metadata.token_endpoint_auth_methods_supported();
    // Basic unless it says that it takes none (Discovery 1.0, 3).
    let basic =
        takes.is_none_or(|methods| methods.contains(&CoreClientAuthMethod::ClientSecretBasic));
    let how = match basic {
        true => AuthType::BasicAuth,
        false => AuthType::RequestBody,
    };
    Ok(client.set_redirect_uri(redirect).set_auth_type(how))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
