//! A provider tells that somebody has signed out there (Back-Channel Logout 1.0, 2.4 to 2.6). Every check of the
//! specification, and two of our own: the type must be given, and the token must be new.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openidconnect::core::{CoreJsonWebKey, CoreJsonWebKeyUse, CoreJwsSigningAlgorithm};
use openidconnect::{JsonWebKey, JsonWebKeyAlgorithm};
use rollcall_core::{SaveProvider, Timestamp};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use super::{Fault, Known, Providers, SIGNATURES};

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// Made no longer ago, and good for no longer, than this; so much may clocks differ besides.
const OLDEST: Duration = Duration::from_secs(2 * 60);

/// Longer texts are no tokens.
const LONGEST: usize = 16 * 1024;

/// What a provider has ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::service) struct LoggedOutThere {
    /// Who.
    pub(in crate::service) subject: Option<String>,
    /// Which session there.
    pub(in crate::service) sid: Option<String>,
    /// What the token is known by.
    pub(in crate::service) id: String,
    /// From then on it would be refused for its age.
    pub(in crate::service) over_at: Timestamp,
}

#[derive(Deserialize)]
struct Header {
    alg: CoreJwsSigningAlgorithm,
    typ: Option<String>,
    kid: Option<String>,
    crit: Option<IgnoredAny>,
    b64: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: Audience,
    iat: i64,
    exp: i64,
    jti: String,
    events: Map<String, Value>,
    sub: Option<String>,
    sid: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

/// A signature that cannot be checked, since nobody has the key.
struct NoKey;

impl Providers {
    /// Judges a logout token.
    pub(in crate::service) async fn logged_out(
        &self,
        setup: &SaveProvider,
        token: &str,
        now: Timestamp,
    ) -> Result<LoggedOutThere, Fault> {
        let parsed = Parsed::read(token).ok_or(Fault::Unsound)?;
        let known = self.known(&setup.issuer, now).await?;
        let sound = match parsed.is_signed_by(&known) {
            Ok(sound) => sound,
            // Keys change: once more with those of today.
            Err(NoKey) => {
                let renewed = self.renewed(&setup.issuer, now).await?;
                parsed.is_signed_by(&renewed).unwrap_or(false)
            }
        };
        if !sound {
            return Err(Fault::Unsound);
        }
        parsed.judge(setup, now).ok_or(Fault::Unsound)
    }
}

struct Parsed<'t> {
    header: Header,
    payload: Vec<u8>,
    signed: &'t str,
    signature: Vec<u8>,
}

impl<'t> Parsed<'t> {
    fn read(token: &'t str) -> Option<Self> {
        if token.len() > LONGEST {
            return None;
        }
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).ok();
        let header: Header = serde_json::from_slice(&decode(header)?).ok()?;
        let typ = header.typ.as_deref()?.to_ascii_lowercase();
        let of_logout = matches!(typ.as_str(), "logout+jwt" | "application/logout+jwt");
        // Whatever else a header says has to be understood, and these are what we do not.
        let plain = header.crit.is_none() && header.b64.is_none();
        (of_logout && plain && SIGNATURES.contains(&header.alg)).then_some(())?;
        Some(Self {
            header,
            payload: decode(payload)?,
            signed,
            signature: decode(signature)?,
        })
    }

    fn is_signed_by(&self, known: &Known) -> Result<bool, NoKey> {
        let keys = known.metadata.jwks().keys();
        let mut fitting = keys.iter().filter(|key| self.could_be(key)).peekable();
        if fitting.peek().is_none() {
            return Err(NoKey);
        }
        Ok(fitting.any(|key| {
            let (alg, message) = (&self.header.alg, self.signed.as_bytes());
            key.verify_signature(alg, message, &self.signature).is_ok()
        }))
    }

    fn could_be(&self, key: &CoreJsonWebKey) -> bool {
        let named = match &self.header.kid {
            None => true,
            Some(kid) => key.key_id().is_some_and(|id| id.as_str() == kid),
        };
        let signs = key
            .key_use()
            .is_none_or(|of| *of == CoreJsonWebKeyUse::Signature);
        let with = match key.signing_alg() {
            JsonWebKeyAlgorithm::Algorithm(alg) => *alg == self.header.alg,
            JsonWebKeyAlgorithm::Unspecified => true,
            JsonWebKeyAlgorithm::Unsupported => false,
        };
        named && signs && with
    }

    fn judge(&self, setup: &SaveProvider, now: Timestamp) -> Option<LoggedOutThere> {
        let all: Map<String, Value> = serde_json::from_slice(&self.payload).ok()?;
        // An ID token has one; whoever has an ID token must not end sessions by it.
        if all.contains_key("nonce") {
            return None;
        }
        let claims: Claims = serde_json::from_value(Value::Object(all)).ok()?;
        let at = |seconds: i64| seconds.checked_mul(1_000_000).map(Timestamp);
        let (made_at, expires_at) = (at(claims.iat)?, at(claims.exp)?);
        let for_us = match &claims.aud {
            Audience::One(one) => *one == setup.client_id,
            Audience::Several(several) => several.contains(&setup.client_id),
        };
        let lately = now - OLDEST <= made_at && made_at <= now + OLDEST;
        // Expired within what clocks may differ by is not expired.
        let good = now < expires_at + Duration::from_secs(60);
        let says_so = claims.events.get(EVENT).is_some_and(Value::is_object);
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        let (subject, sid) = (given(claims.sub), given(claims.sid));
        let about_somebody = subject.is_some() || sid.is_some();
        let holds = claims.iss == setup.issuer
            && for_us
            && lately
            && good
            && says_so
            && about_somebody
            && !claims.jti.is_empty();
        holds.then_some(LoggedOutThere {
            subject,
            sid,
            id: claims.jti,
            over_at: made_at + OLDEST,
        })
    }
}
