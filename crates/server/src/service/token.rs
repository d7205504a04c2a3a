//! Session tokens: `rc_s_` and 64 characters of base64url, which are 16 random bytes that name the
//! lineage, then a secret of 32 bytes.
//!
//! A plain token and what is stored of it are different types; only hashes reach the database, and
//! Debug shows neither. There is no server-wide key that could be lost or differ.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use rollcall_core::rotation::Standing;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use crate::clock::Random;

/// What every token of ours begins with; secret scanners look for it.
pub const PREFIX: &str = "rc_s_";

/// The length of a token in characters.
pub const LENGTH: usize = PREFIX.len() + 64;

/// A session token in the clear. It is never logged, shown or stored.
#[derive(Clone)]
pub struct Token {
    lineage: [u8; 16],
    secret: [u8; 32],
}

impl Token {
    /// A new token of a new lineage.
    pub fn generate(random: &dyn Random) -> Self {
        let mut token = Self {
            lineage: [0; 16],
            secret: [0; 32],
        };
        random.fill(&mut token.lineage);
        random.fill(&mut token.secret);
        token
    }

    /// Reads a token. Only the exact text that `expose` writes is one.
    pub fn parse(text: &str) -> Option<Self> {
        let encoded = text.strip_prefix(PREFIX)?;
        if encoded.len() != 64 {
            return None;
        }
        // 64 characters are exactly 48 bytes, so there are no spare bits that could differ.
        let mut bytes = Zeroizing::new([0_u8; 48]);
        let length = URL_SAFE_NO_PAD
            .decode_slice(encoded, bytes.as_mut_slice())
            .ok()?;
        let (lineage, secret) = bytes[..length].split_at_checked(16)?;
        Some(Self {
            lineage: lineage.try_into().ok()?,
            secret: secret.try_into().ok()?,
        })
    }

    /// The text of the token, for the one answer that carries it.
    pub fn expose(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new([0_u8; 48]);
        bytes[..16].copy_from_slice(&self.lineage);
        bytes[16..].copy_from_slice(&self.secret);
        let mut text = String::with_capacity(LENGTH);
        text.push_str(PREFIX);
        URL_SAFE_NO_PAD.encode_string(bytes.as_slice(), &mut text);
        Zeroizing::new(text)
    }

    /// The hash by which the session is found.
    pub fn lineage_hash(&self) -> [u8; 32] {
        Sha256::digest(self.lineage).into()
    }

    /// The hash that proves the secret.
    pub fn secret_hash(&self) -> [u8; 32] {
        Sha256::digest(self.secret).into()
    }

    /// The token that follows this one: next(s) = HMAC-SHA-256(`rotation_key`, s).
    #[must_use]
    pub fn next(&self, rotation_key: &[u8; 32]) -> Self {
        Self {
            lineage: self.lineage,
            secret: next_secret(rotation_key, &self.secret),
        }
    }

    /// Where this token stands in a lineage whose current secret has this hash and which has rotated
    /// `generation` times. Costs up to `generation` steps, but only for a token that names the lineage
    /// and is neither current nor the predecessor.
    pub fn standing(
        &self,
        rotation_key: &[u8; 32],
        current: &[u8; 32],
        generation: i64,
    ) -> Standing {
        if bool::from(self.secret_hash().ct_eq(current)) {
            return Standing::Current;
        }
        let mut secret = Zeroizing::new(self.secret);
        for step in 1..=generation {
            *secret = next_secret(rotation_key, &secret);
            let hash: [u8; 32] = Sha256::digest(*secret).into();
            if bool::from(hash.ct_eq(current)) {
                return if step == 1 {
                    Standing::Predecessor
                } else {
                    Standing::Retired
                };
            }
        }
        Standing::Unknown
    }
}

fn next_secret(rotation_key: &[u8; 32], secret: &[u8; 32]) -> [u8; 32] {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(rotation_key).expect("HMAC takes a key of any length");
    mac.update(secret);
    mac.finalize().into_bytes().into()
}

impl Drop for Token {
    fn drop(&mut self) {
        self.lineage.zeroize();
        self.secret.zeroize();
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::OsRandom;

    #[test]
    fn only_the_exact_text_is_the_token() {
        let token = Token::generate(&OsRandom);
        let text = token.expose();
        assert_eq!(text.len(), LENGTH);
        assert_eq!(Token::parse(&text).unwrap().expose(), text);
        for bad in [
            &text[..LENGTH - 1],
            &format!("{}A", *text),
            &text.replace("rc_s_", "RC_S_"),
            &format!(" {}", *text),
            &format!("{}=", *text),
            "",
        ] {
            assert!(Token::parse(bad).is_none(), "{} characters", bad.len());
        }
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", Token::generate(&OsRandom)), "Token(…)");
    }

    #[test]
    fn a_lineage_knows_its_members_and_nobody_else() {
        let key = [7; 32];
        let first = Token::generate(&OsRandom);
        let second = first.next(&key);
        let third = second.next(&key);
        let current = third.secret_hash();
        assert_eq!(third.standing(&key, &current, 2), Standing::Current);
        assert_eq!(second.standing(&key, &current, 2), Standing::Predecessor);
        assert_eq!(first.standing(&key, &current, 2), Standing::Retired);
        assert_eq!(
            third.next(&key).standing(&key, &current, 2),
            Standing::Unknown
        );
        assert_eq!(
            Token::generate(&OsRandom).standing(&key, &current, 2),
            Standing::Unknown
        );
    }

    #[test]
    fn ten_thousand_tokens_differ_and_their_bits_are_even() {
        let mut seen = std::collections::HashSet::new();
        let mut ones = [0_u32; 384];
        for _ in 0..10_000 {
            let text = Token::generate(&OsRandom).expose();
            let bytes = URL_SAFE_NO_PAD.decode(&text[PREFIX.len()..]).unwrap();
            for (bit, count) in ones.iter_mut().enumerate() {
                *count += u32::from(bytes[bit / 8] >> (bit % 8) & 1);
            }
            assert!(seen.insert(text.to_string()));
        }
        // Six standard deviations of 10,000 fair coins are 300.
        assert!(ones.iter().all(|count| count.abs_diff(5_000) < 300));
    }
}
