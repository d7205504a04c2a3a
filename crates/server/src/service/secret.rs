//! Secrets that are shown once and stored as a hash: a prefix that says what they are for and 43 characters of base64url,
//! which are 32 random bytes. Random enough that no slow hash is needed.
//!
//! Session tokens are no such secrets: they have a lineage and successors (`token.rs`).

use std::fmt;
use std::marker::PhantomData;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::clock::Random;

/// What a secret is for; one is never taken for another.
pub trait Purpose {
    /// What its text begins with; secret scanners look for it.
    const PREFIX: &'static str;
}

/// A secret in the clear. It is never logged or stored.
pub struct Secret<P>(Zeroizing<[u8; 32]>, PhantomData<P>);

macro_rules! secrets {
    ($($(#[$doc:meta])* $name:ident for $purpose:ident = $prefix:literal,)*) => {$(
        /// See the type of the secret.
        pub struct $purpose;

        impl Purpose for $purpose {
            const PREFIX: &'static str = $prefix;
        }

        $(#[$doc])*
        pub type $name = Secret<$purpose>;
    )*};
}

secrets!(
    /// An API key.
    KeySecret for ForKeys = "rc_k_",
    /// A sign-in that waits for a choice. Opens nothing but `Service::finish_sign_in`.
    Ticket for ForTickets = "rc_p_",
    /// Whoever shows it on a protected host gets a credential there. Used once.
    EntryCode for ForEntries = "rc_e_",
    /// A session's credential on one protected host.
    HostCredential for ForHosts = "rc_h_",
    /// What binds an entry to the browser that began it.
    EntryState for ForStates = "rc_b_",
    /// What binds a sign-in elsewhere to the browser that began it.
    SignOnSecret for ForSignOns = "rc_o_",
    /// A link of a mail that sets a new password. Used once.
    ResetSecret for ForResets = "rc_r_",
    /// A link of a mail that reports a sign-in. Each thing that it does is done once.
    ReportSecret for ForReports = "rc_n_",
);

impl<P: Purpose> Secret<P> {
    /// A new one.
    pub fn generate(random: &dyn Random) -> Self {
        let mut secret = Zeroizing::new([0; 32]);
        random.fill(secret.as_mut_slice());
        Self(secret, PhantomData)
    }

    /// Reads one. Only the exact text that `expose` writes is one.
    pub fn parse(text: &str) -> Option<Self> {
        let encoded = text.strip_prefix(P::PREFIX)?;
        let mut secret = Zeroizing::new([0; 32]);
        // 43 characters have two spare bits; the decoder refuses any but zero.
        let length = URL_SAFE_NO_PAD
            .decode_slice(encoded, secret.as_mut_slice())
            .ok()?;
        (length == 32).then_some(Self(secret, PhantomData))
    }

    /// The text, for the one answer that carries it.
    pub fn expose(&self) -> Zeroizing<String> {
        let mut text = String::with_capacity(P::PREFIX.len() + 43);
        text.push_str(P::PREFIX);
        URL_SAFE_NO_PAD.encode_string(self.0.as_slice(), &mut text);
        Zeroizing::new(text)
    }

    /// What this secret makes of a text, for a use that has a name: whoever has not the secret has not this either, and
    /// one use tells nothing about another (HMAC-SHA-256).
    pub fn derive(&self, usage: &str, text: &[u8]) -> [u8; 32] {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.0.as_slice()) else {
            unreachable!("HMAC takes keys of any length");
        };
        mac.update(usage.as_bytes());
        mac.update(&[0]);
        mac.update(text);
        mac.finalize().into_bytes().into()
    }

    /// What is stored of it, and what it is found by.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.0.as_slice()).into()
    }
}

impl<P> Clone for Secret<P> {
    fn clone(&self) -> Self {
        Self(self.0.clone(), PhantomData)
    }
}

impl<P: Purpose> fmt::Debug for Secret<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}…", P::PREFIX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::OsRandom;

    #[test]
    fn only_what_was_written_is_read_and_nothing_is_shown() {
        let ticket = Ticket::generate(&OsRandom);
        let text = ticket.expose();
        assert_eq!(text.len(), 48);
        let again = Ticket::parse(&text).expect("a ticket");
        assert_eq!(again.hash(), ticket.clone().hash());
        assert_ne!(ticket.hash(), Ticket::generate(&OsRandom).hash());
        assert_eq!(format!("{ticket:?}"), "rc_p_…");
        // The last character has two bits to spare.
        let spare = |last: char| format!("{}{last}", &text[..text.len() - 1]);
        let read = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
            .chars()
            .filter(|last| Ticket::parse(&spare(*last)).is_some());
        assert_eq!(read.count(), 16);
        for other in [
            "",
            "rc_p_",
            &text[1..],
            &format!("{}=", *text),
            &format!(" {}", *text),
            &format!("{}A", *text),
            &text[..text.len() - 1],
            &text.replace("rc_p_", "rc_s_"),
        ] {
            assert!(Ticket::parse(other).is_none(), "{other}");
        }
        // Nor is one for something else one for this.
        assert!(KeySecret::parse(&text).is_none());
    }
}
