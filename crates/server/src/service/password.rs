//! Passwords: which are accepted, and how they are hashed and compared.
//!
//! Argon2id with at least 19 MiB, t=2, p=1 (OWASP Password Storage Cheat Sheet). Length counts and
//! nothing else; common ones are refused (NIST SP 800-63B-4, 3.1.1.2). Passwords are normalised to NFC
//! and never cut.

use std::cell::RefCell;
use std::sync::Arc;

use argon2::password_hash::PasswordHasher;
use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Block, Params, Version};
use rollcall_core::{Error, Field, Problem};
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use super::workers::Workers;
use crate::clock::Random;

/// The least that `password_min_length` can be set to.
pub const LEAST_MIN_LENGTH: u32 = 8;

/// The longest password, in characters: far beyond any phrase, short enough to hash at once.
pub const MAX_LENGTH: u32 = 1_024;

const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const MOST_WAITING: usize = 256;

/// A password in the clear, NFC. Wiped when dropped; Debug shows nothing.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// A password as somebody typed it. `None` where it is empty or beyond `MAX_LENGTH`.
    pub fn presented(text: &str) -> Option<Self> {
        let within = text.chars().take(MAX_LENGTH as usize + 1).count() <= MAX_LENGTH as usize;
        (within && !text.is_empty()).then(|| Self(Zeroizing::new(text.nfc().collect())))
    }

    /// A password that somebody wants to have. `about` are words that belong to the person.
    pub fn chosen(
        text: &str,
        min_length: u32,
        field: Field,
        about: &[&str],
    ) -> Result<Self, Error> {
        if text.is_empty() {
            return Err(Error::Invalid(field, Problem::Missing));
        }
        let password =
            Self::presented(text).ok_or(Error::Invalid(field, Problem::TooLong(MAX_LENGTH)))?;
        if password.0.chars().count() < min_length as usize {
            return Err(Error::Invalid(field, Problem::TooShort(min_length)));
        }
        // What is guessed within a million tries is as good as public: lists of leaked passwords,
        // keyboard walks, repetitions, the person's own name.
        let start: String = password.0.chars().take(100).collect();
        if zxcvbn::zxcvbn(&start, about).guesses_log10() < 6.0 {
            return Err(Error::Invalid(field, Problem::TooCommon));
        }
        Ok(password)
    }

    /// A one-time password: 20 characters of 32, 100 random bits, in groups that can be read aloud.
    pub fn one_time(random: &dyn Random) -> (Self, Zeroizing<String>) {
        const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
        let mut bytes = Zeroizing::new([0_u8; 20]);
        random.fill(bytes.as_mut_slice());
        let mut text = String::with_capacity(24);
        for (index, byte) in bytes.iter().enumerate() {
            if index > 0 && index % 5 == 0 {
                text.push('-');
            }
            text.push(char::from(ALPHABET[usize::from(byte % 32)]));
        }
        (Self(Zeroizing::new(text.clone())), Zeroizing::new(text))
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(…)")
    }
}

/// Hashes and compares in a bounded number of slots, off the async threads, so that a storm of
/// sign-ins takes neither the memory nor the processors of everybody else.
#[derive(Clone, Debug)]
pub struct Hasher {
    slots: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    workers: Workers,
    argon2: Argon2<'static>,
    dummy: Arc<str>,
}

/// Too many are waiting for a slot.
#[derive(Clone, Copy, Debug)]
pub struct Overloaded;

impl Hasher {
    /// A hasher with so many slots.
    pub fn new(slots: usize, random: &dyn Random) -> Self {
        let params = Params::new(MEMORY_KIB, PASSES, 1, None)
            .expect("the parameters are constants within range");
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let (nobodys, _) = Password::one_time(random);
        let dummy = hash_now(&argon2, &nobodys, random);
        Self {
            slots: Arc::new(Semaphore::new(slots.max(1))),
            waiting: Arc::new(Semaphore::new(MOST_WAITING)),
            workers: Workers::start(slots),
            argon2,
            dummy: dummy.into(),
        }
    }

    /// Hashes a password into a PHC string with a fresh salt.
    pub async fn hash(
        &self,
        password: &Password,
        random: &dyn Random,
    ) -> Result<String, Overloaded> {
        let mut salt = [0; 16];
        random.fill(&mut salt);
        let (argon2, password) = (self.argon2.clone(), password.clone());
        self.run(move || hash_with_salt(&argon2, &password, &salt))
            .await
    }

    /// Hashes without waiting for a slot; for the command line and for start-up.
    pub fn hash_now(&self, password: &Password, random: &dyn Random) -> String {
        hash_now(&self.argon2, password, random)
    }

    /// Whether the password belongs to the hash. Without a hash it compares with one that nobody has,
    /// in the same time, and answers no.
    pub async fn matches(
        &self,
        password: &Password,
        hash: Option<&str>,
    ) -> Result<bool, Overloaded> {
        let real = hash.is_some();
        let hash = hash.map_or_else(|| self.dummy.to_string(), str::to_owned);
        let password = password.clone();
        let same = self
            .run(move || {
                PasswordHash::new(&hash)
                    .is_ok_and(|parsed| is_hash_of(&parsed, &password).unwrap_or(false))
            })
            .await?;
        Ok(same && real)
    }

    /// Whether a stored hash is weaker than what is made today.
    pub fn is_outdated(&self, hash: &str) -> bool {
        let Ok(parsed) = PasswordHash::new(hash) else {
            return false;
        };
        Params::try_from(&parsed).is_ok_and(|params| {
            params.m_cost() < MEMORY_KIB
                || params.t_cost() < PASSES
                || parsed.algorithm.as_str() != "argon2id"
        })
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Overloaded> {
        let _place = self.waiting.try_acquire().map_err(|_| Overloaded)?;
        let slot = Arc::clone(&self.slots)
            .acquire_owned()
            .await
            .map_err(|_| Overloaded)?;
        let work = move || {
            // The slot is held by the work, not by the caller: one who hangs up frees nothing early.
            let _slot = slot;
            work()
        };
        self.workers.run(work).await.ok_or(Overloaded)
    }
}

thread_local! {
    /// The blocks that Argon2 fills. A worker keeps them from one hash to the next: taken and given back each time, memory
    /// of this size breaks the allocator's into pieces that the next hash does not fit into.
    static BLOCKS: RefCell<Vec<Block>> = const { RefCell::new(Vec::new()) };
}

fn fill(argon2: &Argon2<'_>, password: &Password, salt: &[u8], out: &mut [u8]) -> Option<()> {
    BLOCKS.with_borrow_mut(|blocks| {
        let wanted = argon2.params().block_count();
        if blocks.len() < wanted {
            blocks.resize(wanted, Block::new());
        }
        let blocks = blocks.get_mut(..wanted)?;
        argon2
            .hash_password_into_with_memory(password.0.as_bytes(), salt, out, blocks)
            .ok()
    })
}

/// Whether a password belongs to a hash; `None` for a hash that is none of ours. The hash's own parameters count, so
/// that older ones still open.
fn is_hash_of(hash: &PasswordHash, password: &Password) -> Option<bool> {
    let algorithm = Algorithm::try_from(hash.algorithm.as_str()).ok()?;
    let version = Version::try_from(hash.version?).ok()?;
    let argon2 = Argon2::new(algorithm, version, Params::try_from(hash).ok()?);
    let expected = hash.hash.as_ref()?.as_bytes();
    let mut found = Zeroizing::new(vec![0; expected.len()]);
    fill(&argon2, password, hash.salt.as_ref()?, &mut found)?;
    Some(found.as_slice().ct_eq(expected).into())
}

fn hash_now(argon2: &Argon2<'_>, password: &Password, random: &dyn Random) -> String {
    let mut salt = [0; 16];
    random.fill(&mut salt);
    hash_with_salt(argon2, password, &salt)
}

fn hash_with_salt(argon2: &Argon2<'_>, password: &Password, salt: &[u8]) -> String {
    let hash: Result<PasswordHash, _> = argon2.hash_password_with_salt(password.0.as_bytes(), salt);
    hash.expect("a salt of 16 bytes and a bounded password can be hashed")
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::OsRandom;

    #[test]
    fn length_counts_and_common_ones_are_refused() {
        let choose = |text: &str, least| {
            Password::chosen(text, least, Field::NewPassword, &["nora.rossi@acme.io"]).map(|_| ())
        };
        let refused = |problem| Err(Error::Invalid(Field::NewPassword, problem));
        assert_eq!(choose("", 15), refused(Problem::Missing));
        assert_eq!(choose("fourteen chars", 15), refused(Problem::TooShort(15)));
        assert_eq!(choose("ünïcödé çøûñt 1", 15), Ok(()));
        assert_eq!(choose("password", 8), refused(Problem::TooCommon));
        assert_eq!(
            choose("aaaaaaaaaaaaaaaaaaaa", 15),
            refused(Problem::TooCommon)
        );
        assert_eq!(choose("passwordpassword", 15), refused(Problem::TooCommon));
        assert_eq!(
            choose(&"correct horse battery staple ".repeat(3), 15),
            Ok(())
        );
        assert_eq!(
            choose(&"x1! ".repeat(300), 15),
            refused(Problem::TooLong(1_024))
        );
    }

    #[tokio::test]
    async fn a_password_matches_its_hash_whole_and_in_any_normal_form() {
        let hasher = Hasher::new(2, &OsRandom);
        let long = "0123456789".repeat(7) + "abc";
        let hash = hasher
            .hash(
                &Password::presented(&format!("é{long}1")).unwrap(),
                &OsRandom,
            )
            .await
            .unwrap();
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hash}"
        );
        assert!(!hasher.is_outdated(&hash));
        let matches = async |text: &str| {
            hasher
                .matches(&Password::presented(text).unwrap(), Some(&hash))
                .await
                .unwrap()
        };
        assert!(matches(&format!("é{long}1")).await);
        assert!(matches(&format!("e\u{301}{long}1")).await);
        assert!(!matches(&format!("é{long}2")).await, "the 74th byte counts");
        assert!(
            !hasher
                .matches(&Password::presented("anything").unwrap(), None)
                .await
                .unwrap()
        );
    }

    #[tokio::test]
    async fn many_wait_and_the_next_is_sent_away() {
        let hasher = Hasher::new(1, &OsRandom);
        let password = Password::presented("anything").unwrap();
        // Somebody has the only slot.
        let slot = Arc::clone(&hasher.slots).acquire_owned().await.unwrap();
        let mut waiting = Vec::new();
        for _ in 0..MOST_WAITING {
            let mut next = Box::pin(hasher.matches(&password, None));
            assert!(futures_util::poll!(&mut next).is_pending());
            waiting.push(next);
        }
        assert!(hasher.matches(&password, None).await.is_err());
        // Whoever hangs up makes room for another one.
        waiting.pop();
        let mut next = Box::pin(hasher.matches(&password, None));
        assert!(futures_util::poll!(&mut next).is_pending());
        drop(waiting);
        drop(slot);
        assert!(!next.await.unwrap());
    }

    #[test]
    fn one_time_passwords_differ_and_pass_the_rules() {
        let (_, first) = Password::one_time(&OsRandom);
        let (_, second) = Password::one_time(&OsRandom);
        assert_ne!(first, second);
        assert!(Password::chosen(&first, 15, Field::NewPassword, &[]).is_ok());
    }
}
