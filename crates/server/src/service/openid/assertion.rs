//! What a provider says of somebody who has signed in there: a code is exchanged for an ID token, and that is judged
//! (OpenID Connect Core 1.0, 3.1.3.7).

use std::time::Duration;

use chrono::{DateTime, Utc};
use openidconnect::core::CoreJsonWebKey;
use openidconnect::{
    AccessToken, AuthorizationCode, ClaimsVerificationError, IdTokenVerifier, Nonce,
    OAuth2TokenResponse, PkceCodeVerifier, RequestTokenError, SignatureVerificationError,
    SubjectIdentifier, TokenResponse, UserInfoClaims,
};
use rollcall_core::{SaveProvider, Timestamp};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::{Client, Fault, OtherClaims, Providers, SIGNATURES, Way, client, fault_of};

/// Clocks differ by so much at most.
const SKEW: Duration = Duration::from_secs(60);

/// An ID token was made for this very sign-in, which takes no longer.
const OLDEST: Duration = Duration::from_secs(10 * 60);

/// What is asked of an ID token beyond being sound.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::service) struct Demanded<'a> {
    /// Somebody must have signed in there since then.
    pub(in crate::service) signed_in_since: Option<Timestamp>,
    /// Claims that are asked for elsewhere where the ID token does not have them.
    pub(in crate::service) claims: &'a [String],
}

/// What a provider says of somebody.
#[derive(Clone, Debug)]
pub(in crate::service) struct Asserted {
    /// Who, for this issuer and for good.
    pub(in crate::service) subject: String,
    /// Which session there.
    pub(in crate::service) sid: Option<String>,
    /// When they signed in there, if it says so.
    pub(in crate::service) signed_in_at: Option<Timestamp>,
    /// All that it says.
    pub(in crate::service) claims: Map<String, Value>,
}

impl Asserted {
    /// A claim that is a text.
    pub(in crate::service) fn text(&self, name: &str) -> Option<&str> {
        self.claims
            .get(name)?
            .as_str()
            .filter(|text| !text.is_empty())
    }
}

impl Providers {
    /// Exchanges a code and judges what comes of it.
    pub(in crate::service) async fn redeem(
        &self,
        setup: &SaveProvider,
        secret: Option<Zeroizing<String>>,
        way: Way<'_>,
        code: &str,
        demanded: Demanded<'_>,
        now: Timestamp,
    ) -> Result<Asserted, Fault> {
        let known = self.known(&setup.issuer, now).await?;
        let ours = client(&known, setup, secret, way.redirect_uri)?;
        let exchange = ours
            .exchange_code(AuthorizationCode::new(code.to_owned()))
            .map_err(|_| Fault::NotIt)?
            .set_pkce_verifier(PkceCodeVerifier::new(way.verifier));
        let answer = exchange
            .request_async(&self.web)
            .await
            .map_err(|error| match error {
                RequestTokenError::Request(error) => fault_of(&error),
                RequestTokenError::ServerResponse(_) => Fault::Refused,
                RequestTokenError::Parse(..) | RequestTokenError::Other(_) => Fault::Unsound,
            })?;
        let token = answer.id_token().ok_or(Fault::Unsound)?;
        let nonce = Nonce::new(way.nonce);
        let judged = {
            let first = token.claims(&verifier(&ours, setup, demanded, now), &nonce);
            match first {
                // Keys change: once more with those of today.
                Err(ClaimsVerificationError::SignatureVerification(
                    SignatureVerificationError::NoMatchingKey,
                )) => {
                    let renewed = self.renewed(&setup.issuer, now).await?;
                    let ours = client(&renewed, setup, None, way.redirect_uri)?;
                    let again = token.claims(&verifier(&ours, setup, demanded, now), &nonce);
                    again.cloned()
                }
                judged => judged.cloned(),
            }
        };
        let claims = judged.map_err(|error| {
            tracing::warn!(provider.issuer = setup.issuer, error = %error, "an ID token was refused");
            match error {
                ClaimsVerificationError::InvalidAuthContext(_)
                | ClaimsVerificationError::InvalidAuthTime(_) => Fault::Weak,
                _ => Fault::Unsound,
            }
        })?;
        let subject = claims.subject().clone();
        let signed_in_at = claims
            .auth_time()
            .map(|at| Timestamp(at.timestamp_micros()));
        let mut all = object(&claims)?;
        if demanded.claims.iter().any(|name| !all.contains_key(name)) {
            let more = self.more_of(&ours, answer.access_token(), &subject).await?;
            // What was signed for us counts before what was only told.
            for (name, value) in more {
                all.entry(name).or_insert(value);
            }
        }
        let sid = all.get("sid").and_then(Value::as_str).map(str::to_owned);
        Ok(Asserted {
            subject: subject.as_str().to_owned(),
            sid: sid.filter(|sid| !sid.is_empty()),
            signed_in_at,
            claims: all,
        })
    }

    // What the provider tells of the subject besides (Core 1.0, 5.3); nothing where it has no such place.
    async fn more_of(
        &self,
        ours: &Client,
        token: &AccessToken,
        subject: &SubjectIdentifier,
    ) -> Result<Map<String, Value>, Fault> {
        // Anything else could not stand in a header.
        let plain = token.secret().bytes().all(|byte| byte.is_ascii_graphic());
        let Ok(request) = ours.user_info(token.clone(), Some(subject.clone())) else {
            return Ok(Map::new());
        };
        if !plain {
            return Err(Fault::Unsound);
        }
        let told: UserInfoClaims<OtherClaims, _> =
            request
                .request_async(&self.web)
                .await
                .map_err(|error| match error {
                    openidconnect::UserInfoError::Request(error) => fault_of(&error),
                    _ => Fault::Unsound,
                })?;
        let told: UserInfoClaims<OtherClaims, openidconnect::core::CoreGenderClaim> = told;
        object(&told)
    }
}

fn object(claims: &impl serde::Serialize) -> Result<Map<String, Value>, Fault> {
    match serde_json::to_value(claims) {
        Ok(Value::Object(all)) => Ok(all),
        _ => Err(Fault::Unsound),
    }
}

// Issuer, audience and nonce are compared by the library: there is no way around that.
fn verifier<'a>(
    ours: &'a Client,
    setup: &'a SaveProvider,
    demanded: Demanded<'_>,
    now: Timestamp,
) -> IdTokenVerifier<'a, CoreJsonWebKey> {
    let (oldest, latest) = (now - OLDEST, now + SKEW);
    let since = [
        setup
            .max_age_seconds
            .map(|seconds| now - Duration::from_secs(u64::from(seconds))),
        demanded.signed_in_since,
    ];
    let since = since.into_iter().flatten().max().map(|at| at - SKEW);
    ours.id_token_verifier()
        .set_allowed_algs(SIGNATURES)
        .set_time_fn(move || time(now))
        .set_issue_time_verifier_fn(move |at| {
            let at = Timestamp(at.timestamp_micros());
            match oldest <= at && at <= latest {
                true => Ok(()),
                false => Err("made at another time than now".to_owned()),
            }
        })
        .set_auth_time_verifier_fn(move |at| match (since, at) {
            (None, _) => Ok(()),
            (Some(since), Some(at)) if since <= Timestamp(at.timestamp_micros()) => Ok(()),
            (Some(_), _) => Err("signed in too long ago, or nobody says when".to_owned()),
        })
        .set_auth_context_verifier_fn(move |given| {
            let wanted = &setup.acr_values;
            let one_of_them =
                given.is_some_and(|given| wanted.iter().any(|one| one == given.as_str()));
            match wanted.is_empty() || one_of_them {
                true => Ok(()),
                false => Err("signed in by other means than were asked for".to_owned()),
            }
        })
}

fn time(at: Timestamp) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(at.0).unwrap_or(DateTime::<Utc>::MAX_UTC)
}
