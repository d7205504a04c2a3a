//! What goes to a provider with a browser and comes back: sealed with a secret that only this browser holds.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rollcall_core::{ProviderKey, Timestamp};
use subtle::ConstantTimeEq;

use super::Journey;
use crate::service::openid::Way;
use crate::service::providers::Provider;
use crate::service::secret::SignOnSecret;

/// How long somebody may take to sign in elsewhere.
pub(super) const LIVES: Duration = Duration::from_secs(10 * 60);

/// The longest address to go on to that is carried along.
const LONGEST_NEXT: usize = 1_000;

/// What a browser brought back, opened.
pub(super) struct Opened {
    pub(super) began_at: Timestamp,
    pub(super) journey: Journey,
}

// The text that goes there and comes back: 16 random bytes, when, what, and where to go on; then a seal over it.
pub(super) fn seal(
    secret: &SignOnSecret,
    key: &ProviderKey,
    salt: [u8; 16],
    now: Timestamp,
    journey: &Journey,
) -> String {
    let mut plain = Vec::with_capacity(25 + journey.next.len() + 32);
    plain.extend(salt);
    plain.extend(now.0.to_be_bytes());
    plain.push(u8::from(journey.keep) | u8::from(journey.confirm) << 1);
    // Whoever wants to go further than that goes to the start page.
    if journey.next.len() <= LONGEST_NEXT {
        plain.extend(journey.next.bytes());
    }
    let seal = secret.derive("state", &with_key(key, &plain));
    plain.extend(seal);
    URL_SAFE_NO_PAD.encode(plain)
}

pub(super) fn open(
    secret: &SignOnSecret,
    key: &ProviderKey,
    text: &str,
    now: Timestamp,
) -> Option<Opened> {
    // As long as one can be, so that nothing much is decoded for whoever writes more.
    if text.len() > (25 + LONGEST_NEXT + 32) * 4 / 3 + 4 {
        return None;
    }
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (plain, seal) = bytes.split_at_checked(bytes.len().checked_sub(32)?)?;
    let ours = secret.derive("state", &with_key(key, plain));
    if !bool::from(ours.as_slice().ct_eq(seal)) {
        return None;
    }
    let (head, next) = plain.split_at_checked(25)?;
    let began_at = Timestamp(i64::from_be_bytes(head[16..24].try_into().ok()?));
    let in_time = began_at <= now && now < began_at + LIVES;
    in_time.then_some(Opened {
        began_at,
        journey: Journey {
            next: String::from_utf8(next.to_vec()).ok()?,
            keep: head[24] & 1 != 0,
            confirm: head[24] & 2 != 0,
        },
    })
}

fn with_key(key: &ProviderKey, plain: &[u8]) -> Vec<u8> {
    let mut all = Vec::from(key.as_str());
    all.push(0);
    all.extend(plain);
    all
}

pub(super) fn way<'p>(
    secret: &SignOnSecret,
    key: &ProviderKey,
    sealed: &str,
    provider: &'p Provider,
    anew: bool,
) -> Way<'p> {
    let derived = |usage| {
        let text = with_key(key, sealed.as_bytes());
        URL_SAFE_NO_PAD.encode(secret.derive(usage, &text))
    };
    Way {
        redirect_uri: &provider.redirect_uri,
        state: sealed.to_owned(),
        nonce: derived("nonce"),
        verifier: derived("verifier"),
        anew,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::OsRandom;

    #[test]
    fn what_comes_back_is_what_went_there_and_nothing_else_is_taken() {
        let secret = SignOnSecret::generate(&OsRandom);
        let key: ProviderKey = "keycloak".parse().expect("a key");
        let now = Timestamp(1_000_000_000);
        let journey = Journey {
            next: "/sessions?q=a b&ö".to_owned(),
            keep: true,
            confirm: false,
        };
        let text = seal(&secret, &key, [7; 16], now, &journey);
        let opened = open(&secret, &key, &text, now + Duration::from_secs(599)).expect("opened");
        assert_eq!((opened.journey, opened.began_at), (journey, now));
        // Too late, or before it began.
        assert!(open(&secret, &key, &text, now + LIVES).is_none());
        assert!(open(&secret, &key, &text, now - Duration::from_secs(1)).is_none());
        // Another provider, another browser.
        let other: ProviderKey = "keycloa".parse().expect("a key");
        assert!(open(&secret, &other, &text, now).is_none());
        assert!(open(&SignOnSecret::generate(&OsRandom), &key, &text, now).is_none());
        // Every change of a character.
        for at in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).expect("text");
            assert!(open(&secret, &key, &changed, now).is_none(), "{at}");
        }
        for short in ["", "A", "AAAA", &text[..40], &format!("{text}A")] {
            assert!(open(&secret, &key, short, now).is_none(), "{short}");
        }
    }

    #[test]
    fn where_to_go_on_is_left_out_where_it_is_long() {
        let secret = SignOnSecret::generate(&OsRandom);
        let key: ProviderKey = "a".parse().expect("a key");
        let now = Timestamp(1_000_000_000);
        for (length, kept) in [(LONGEST_NEXT, LONGEST_NEXT), (LONGEST_NEXT + 1, 0)] {
            let journey = Journey {
                next: "x".repeat(length),
                confirm: true,
                ..Journey::default()
            };
            let text = seal(&secret, &key, [0; 16], now, &journey);
            let opened = open(&secret, &key, &text, now).expect("opened").journey;
            assert_eq!(
                (opened.next.len(), opened.keep, opened.confirm),
                (kept, false, true)
            );
        }
    }
}
