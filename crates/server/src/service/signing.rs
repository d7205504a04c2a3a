//! The keys with which the server signs what it tells others, and their public halves, which everybody may have.
//!
//! Webhooks are signed with Ed25519, the one public-key scheme of Standard Webhooks. Security event tokens are signed with
//! RS256 and 2,048 bits: the CAEP interoperability profile (section 2.6) lets receivers count on that and on nothing else.
//! Each key is made when the first receiver asks for it, and lies beside the audit trail's in the data folder.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng};
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use rsa::RsaPrivateKey;
use rsa::pkcs8::EncodePrivateKey;
use rsa::rand_core::{CryptoRng, RngCore};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

use super::audit::files::write_private;
use crate::clock::Random;

/// The key of webhooks: the 32 bytes that an Ed25519 key is made of.
pub const WEBHOOK_KEY: &str = "webhooks.key";
/// The key of security event tokens: an RSA key (PKCS #8).
pub const TOKEN_KEY: &str = "security-events.key";

const RSA_BITS: usize = 2_048;

/// Both keys, each read or made when it is first needed.
pub(super) struct SigningKeys {
    folder: PathBuf,
    webhooks: OnceCell<WebhookKey>,
    tokens: OnceCell<TokenKey>,
}

impl SigningKeys {
    pub(super) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            webhooks: OnceCell::new(),
            tokens: OnceCell::new(),
        }
    }

    /// The key of webhooks.
    pub(super) async fn webhooks(&self, random: &dyn Random) -> anyhow::Result<&WebhookKey> {
        let mut made = Zeroizing::new([0; 32]);
        random.fill(made.as_mut_slice());
        let file = self.folder.join(WEBHOOK_KEY);
        self.webhooks
            .get_or_try_init(|| async {
                let seed = match read(&file)? {
                    Some(seed) => seed,
                    None => {
                        keep(&file, made.as_slice())?;
                        Zeroizing::new(made.to_vec())
                    }
                };
                WebhookKey::of(&seed).with_context(|| no_key(&file))
            })
            .await
    }

    /// The key of security event tokens. Making one takes some tenths of a second.
    pub(super) async fn tokens(&self, random: &dyn Random) -> anyhow::Result<&TokenKey> {
        let mut seed = Zeroizing::new([0; 32]);
        random.fill(seed.as_mut_slice());
        let file = self.folder.join(TOKEN_KEY);
        self.tokens
            .get_or_try_init(|| async {
                let key = match read(&file)? {
                    Some(key) => key,
                    None => {
                        let made = tokio::task::spawn_blocking(move || make_rsa(&seed)).await?;
                        let made = made?;
                        keep(&file, &made)?;
                        made
                    }
                };
                TokenKey::of(&key).with_context(|| no_key(&file))
            })
            .await
    }

    /// The keys that there are, as a JWK set (RFC 7517). Asks for none that was never needed: whoever reads the set is
    /// unknown.
    pub(super) async fn published(&self, random: &dyn Random) -> anyhow::Result<Value> {
        let mut keys = Vec::new();
        if self.folder.join(WEBHOOK_KEY).exists() {
            keys.push(self.webhooks(random).await?.jwk());
        }
        if self.folder.join(TOKEN_KEY).exists() {
            keys.push(self.tokens(random).await?.jwk());
        }
        Ok(json!({ "keys": keys }))
    }

    /// The public key of webhooks as Standard Webhooks writes it, if there is one.
    pub(super) async fn webhook_key(&self, random: &dyn Random) -> anyhow::Result<Option<String>> {
        match self.folder.join(WEBHOOK_KEY).exists() {
            true => Ok(Some(self.webhooks(random).await?.written())),
            false => Ok(None),
        }
    }
}

fn read(file: &Path) -> anyhow::Result<Option<Zeroizing<Vec<u8>>>> {
    match fs::read(file) {
        Ok(bytes) => Ok(Some(Zeroizing::new(bytes))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
    }
}

// Renamed into place, so that a crash leaves no half of a key.
fn keep(file: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let next = file.with_extension("key.next");
    write_private(&next, bytes)
        .and_then(|()| fs::rename(&next, file))
        .with_context(|| format!("cannot write {}", file.display()))
}

fn no_key(file: &Path) -> String {
    format!("{} holds no key", file.display())
}

fn make_rsa(seed: &[u8; 32]) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    let mut random = Seeded(StdRng::from_seed(*seed));
    let made = RsaPrivateKey::new(&mut random, RSA_BITS)?;
    let written = made.to_pkcs8_der().map_err(|error| anyhow!("{error}"))?;
    Ok(Zeroizing::new(written.as_bytes().to_vec()))
}

// Ours, in the shape that the crate of RSA knows, which is an older one.
struct Seeded(StdRng);

impl RngCore for Seeded {
    fn next_u32(&mut self) -> u32 {
        self.0.next_u32()
    }

    fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rsa::rand_core::Error> {
        self.0.fill_bytes(bytes);
        Ok(())
    }
}

impl CryptoRng for Seeded {}

/// Signs webhooks.
pub(super) struct WebhookKey(Ed25519KeyPair);

impl WebhookKey {
    fn of(seed: &[u8]) -> Option<Self> {
        Ed25519KeyPair::from_seed_unchecked(seed).ok().map(Self)
    }

    /// The value of `webhook-signature` (Standard Webhooks, "asymmetric").
    pub(super) fn signature(&self, id: &str, timestamp: i64, body: &str) -> String {
        let signed = self.0.sign(format!("{id}.{timestamp}.{body}").as_bytes());
        format!("v1a,{}", STANDARD.encode(signed))
    }

    fn written(&self) -> String {
        format!("whpk_{}", STANDARD.encode(self.0.public_key()))
    }

    fn jwk(&self) -> Value {
        let x = URL_SAFE_NO_PAD.encode(self.0.public_key());
        let id = thumbprint(&format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#));
        json!({ "kty": "OKP", "crv": "Ed25519", "x": x, "kid": id, "use": "sig", "alg": "EdDSA" })
    }
}

/// Signs security event tokens.
pub(super) struct TokenKey {
    pair: RsaKeyPair,
    modulus: String,
    exponent: String,
    id: String,
}

impl TokenKey {
    fn of(key: &[u8]) -> Option<Self> {
        let pair = RsaKeyPair::from_pkcs8(key).ok()?;
        let public: PublicKeyComponents<Vec<u8>> = pair.public().into();
        let (modulus, exponent) = (
            URL_SAFE_NO_PAD.encode(public.n),
            URL_SAFE_NO_PAD.encode(public.e),
        );
        let id = thumbprint(&format!(
            r#"{{"e":"{exponent}","kty":"RSA","n":"{modulus}"}}"#
        ));
        Some(Self {
            pair,
            modulus,
            exponent,
            id,
        })
    }

    /// A security event token (RFC 8417) with these claims, in compact form.
    pub(super) fn token(&self, claims: &Value) -> anyhow::Result<String> {
        let header = json!({ "typ": "secevent+jwt", "alg": "RS256", "kid": self.id });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", part(&header), part(claims));
        let mut signature = vec![0; self.pair.public().modulus_len()];
        // What ring blinds the key with it takes from the operating system alone; the signature does not depend on it.
        self.pair
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                text.as_bytes(),
                &mut signature,
            )
            .map_err(|_| anyhow!("the key cannot sign"))?;
        Ok(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    fn jwk(&self) -> Value {
        json!({
            "kty": "RSA", "n": self.modulus, "e": self.exponent, "kid": self.id, "use": "sig", "alg": "RS256",
        })
    }
}

/// RFC 7638: SHA-256 over the members that are needed, in the order of their names.
fn thumbprint(members: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(members))
}

#[cfg(test)]
mod tests {
    use ring::signature::{ED25519, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

    use super::*;
    use crate::clock::OsRandom;

    #[tokio::test]
    async fn a_key_is_made_once_for_its_owner_alone_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let keys = SigningKeys::new(folder.path());
        let nothing = keys.published(&OsRandom).await.unwrap();
        assert_eq!(nothing, json!({ "keys": [] }));
        assert_eq!(keys.webhook_key(&OsRandom).await.unwrap(), None);
        let first = keys.webhooks(&OsRandom).await.unwrap().written();
        let token = keys.tokens(&OsRandom).await.unwrap().id.clone();
        let again = SigningKeys::new(folder.path());
        assert_eq!(again.webhook_key(&OsRandom).await.unwrap(), Some(first));
        let published = again.published(&OsRandom).await.unwrap();
        assert_eq!(published["keys"][1]["kid"], token);
        // Nothing of the private halves.
        for private in ["d", "p", "q", "k"] {
            assert!(published["keys"][0].get(private).is_none());
            assert!(published["keys"][1].get(private).is_none());
        }
        #[cfg(unix)]
        for name in [WEBHOOK_KEY, TOKEN_KEY] {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(folder.path().join(name))
                .unwrap()
                .permissions();
            assert_eq!(mode.mode() & 0o777, 0o600, "{name}");
        }
    }

    #[tokio::test]
    async fn a_file_that_holds_no_key_is_an_error_and_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        for name in [WEBHOOK_KEY, TOKEN_KEY] {
            fs::write(folder.path().join(name), b"torn").unwrap();
        }
        let keys = SigningKeys::new(folder.path());
        assert!(keys.webhooks(&OsRandom).await.is_err());
        assert!(keys.tokens(&OsRandom).await.is_err());
        let kept = fs::read(folder.path().join(WEBHOOK_KEY)).unwrap();
        assert_eq!(kept, b"torn");
    }

    #[test]
    fn signatures_are_those_that_the_public_keys_verify() {
        let key = WebhookKey::of(&[7; 32]).unwrap();
        let signature = key.signature("ended-1", 1_700_000_000, "{}");
        let bytes = STANDARD
            .decode(signature.strip_prefix("v1a,").unwrap())
            .unwrap();
        let public = STANDARD
            .decode(key.written().strip_prefix("whpk_").unwrap())
            .unwrap();
        let verify = |text: &[u8]| UnparsedPublicKey::new(&ED25519, &public).verify(text, &bytes);
        assert!(verify(b"ended-1.1700000000.{}").is_ok());
        assert!(verify(b"ended-1.1700000001.{}").is_err());

        let key = TokenKey::of(&make_rsa(&[7; 32]).unwrap()).unwrap();
        let token = key.token(&json!({ "jti": "ended-1" })).unwrap();
        let (text, signature) = token.rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let public: PublicKeyComponents<Vec<u8>> = key.pair.public().into();
        let verified = public.verify(&RSA_PKCS1_2048_8192_SHA256, text.as_bytes(), &signature);
        assert!(verified.is_ok());
    }

    #[test]
    fn a_thumbprint_is_that_of_the_standard() {
        // RFC 8037, appendix A.3.
        let members =
            r#"{"crv":"Ed25519","kty":"OKP","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
        assert_eq!(
            thumbprint(members),
            "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
        );
    }
}
