//! The secret of an API key: `rc_k_` and 43 characters of base64url, which are 32 random bytes.
//!
//! Only its hash reaches the database. It is random enough that no slow hash is needed.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::clock::Random;

/// What every key of ours begins with; secret scanners look for it.
pub const PREFIX: &str = "rc_k_";

/// A key in the clear. It is never logged or stored, and shown once.
#[derive(Clone)]
pub struct KeySecret(Zeroizing<[u8; 32]>);

impl KeySecret {
    /// A new one.
    pub fn generate(random: &dyn Random) -> Self {
        let mut secret = Zeroizing::new([0; 32]);
        random.fill(secret.as_mut_slice());
        Self(secret)
    }

    /// Reads a key. Only the exact text that `expose` writes is one.
    pub fn parse(text: &str) -> Option<Self> {
        let encoded = text.strip_prefix(PREFIX)?;
        let mut secret = Zeroizing::new([0; 32]);
        // 43 characters have two spare bits; the decoder refuses any but zero.
        let length = URL_SAFE_NO_PAD
            .decode_slice(encoded, secret.as_mut_slice())
            .ok()?;
        (length == 32).then_some(Self(secret))
    }

    /// The text of the key, for the one answer that carries it.
    pub fn expose(&self) -> Zeroizing<String> {
        let mut text = String::with_capacity(PREFIX.len() + 43);
        text.push_str(PREFIX);
        URL_SAFE_NO_PAD.encode_string(self.0.as_slice(), &mut text);
        Zeroizing::new(text)
    }

    /// The hash by which the key is found.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.0.as_slice()).into()
    }
}

impl std::fmt::Debug for KeySecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeySecret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::OsRandom;

    #[test]
    fn a_key_has_one_text_and_shows_nothing() {
        let key = KeySecret::generate(&OsRandom);
        let text = key.expose().to_string();
        assert_eq!(text.len(), 48);
        let again = KeySecret::parse(&text).expect("a key");
        assert_eq!(again.hash(), key.hash());
        assert_eq!(format!("{key:?}"), "KeySecret");
        // Another last character with the same bytes is no other spelling of the key.
        let mut spare = text.clone();
        spare.pop();
        let spellings = ('A'..='Z')
            .chain('a'..='z')
            .chain('0'..='9')
            .chain(['-', '_']);
        let read = spellings.filter(|last| KeySecret::parse(&format!("{spare}{last}")).is_some());
        assert_eq!(read.count(), 16);
        for wrong in [
            "",
            "rc_k_",
            &text[1..],
            &text[..47],
            &format!("{text}A"),
            &format!("{text}="),
            &format!(" {text}"),
            &text.replace("rc_k_", "rc_s_"),
        ] {
            assert!(KeySecret::parse(wrong).is_none(), "{wrong}");
        }
    }
}
