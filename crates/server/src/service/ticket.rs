//! Tickets of sign-ins that wait for a choice: `rc_p_` and 32 random bytes in base64url. A ticket opens nothing but
//! `Service::finish_sign_in`; only its hash is stored.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, Zeroizing};

use crate::clock::Random;

const PREFIX: &str = "rc_p_";

/// A ticket in the clear.
#[derive(Clone)]
pub struct Ticket([u8; 32]);

impl Ticket {
    /// A new one.
    pub fn generate(random: &dyn Random) -> Self {
        let mut secret = [0; 32];
        random.fill(&mut secret);
        Self(secret)
    }

    /// Reads a ticket. Only the exact text that `expose` writes is one.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(text.strip_prefix(PREFIX)?).ok()?);
        let ticket = Self(bytes.as_slice().try_into().ok()?);
        // 43 characters have two bits to spare, which the decoder wants to be zero.
        Some(ticket)
    }

    /// The text, for the one answer that carries it.
    pub fn expose(&self) -> Zeroizing<String> {
        let mut text = String::from(PREFIX);
        URL_SAFE_NO_PAD.encode_string(self.0, &mut text);
        Zeroizing::new(text)
    }

    /// What is stored of it.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.0).into()
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ticket(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_written_is_read() {
        let ticket = Ticket([7; 32]);
        let text = ticket.expose();
        assert_eq!(Ticket::parse(&text).map(|read| read.0), Some([7; 32]));
        let spare = format!("{}d", &text[..text.len() - 1]);
        for other in [
            "",
            "rc_p_",
            &text[1..],
            &format!("{}=", *text),
            &format!(" {}", *text),
            &text.replace("rc_p_", "rc_s_"),
            &spare,
        ] {
            assert!(Ticket::parse(other).is_none(), "{other}");
        }
        assert_eq!(format!("{ticket:?}"), "Ticket(…)");
    }
}
