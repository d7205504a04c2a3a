//! Identity providers: whoever else may say who somebody is (OpenID Connect).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::backend::Answer;

/// The key of an identity provider, part of the addresses that are registered with it: letters in lower case, digits and
/// hyphens, at most 40.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct ProviderKey(String);

impl ProviderKey {
    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProviderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text cannot be the key of a provider.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoProviderKey;

impl FromStr for ProviderKey {
    type Err = NoProviderKey;

    fn from_str(text: &str) -> Result<Self, NoProviderKey> {
        let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        if (1..=40).contains(&text.len()) && text.bytes().all(plain) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NoProviderKey)
        }
    }
}

/// An identity provider as somebody sets it up.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SaveProvider {
    /// What it is called on the sign-in page, at most 60 characters.
    pub label: String,
    /// The issuer, as the provider writes it: `https://login.example.org/realms/staff`.
    pub issuer: String,
    /// What the provider knows this server as.
    pub client_id: String,
    /// Where the client secret is: `env:ROLLCALL_SECRET_…`, or `file:NAME` for a file in the server's folder of secrets.
    /// Never the secret itself. Left out for a client without one.
    #[serde(default)]
    pub secret: Option<String>,
    /// What is asked for besides `openid`; `profile` and `email` if left out.
    #[serde(default = "usual_scopes")]
    pub scopes: Vec<String>,
    /// Who may come in as what, the first that fits counts: `domain=acme.io claim.groups=admins organisation=ID role=KEY
    /// create link`.
    #[serde(default)]
    pub rules: Vec<String>,
    /// Take e-mails for verified, though the provider does not say so.
    #[serde(default)]
    pub trusts_emails: bool,
    /// How long ago, in seconds, somebody may have signed in there at most.
    #[serde(default)]
    pub max_age_seconds: Option<u32>,
    /// How people must have signed in there: one of these `acr` values, if there are any.
    #[serde(default)]
    pub acr_values: Vec<String>,
    /// Whoever signs out here signs out there, too.
    #[serde(default = "yes")]
    pub signs_out: bool,
    /// Whether people can sign in with it.
    #[serde(default = "yes")]
    pub enabled: bool,
}

fn usual_scopes() -> Vec<String> {
    vec!["profile".to_owned(), "email".to_owned()]
}

fn yes() -> bool {
    true
}

/// An identity provider as it is shown.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct IdentityProvider {
    /// Its key.
    pub key: ProviderKey,
    /// Whether a file of the server sets it up: then it is changed there and nowhere else.
    pub from_file: bool,
    /// To be registered with the provider: where it sends people back to. Empty where the server has no `public-url`.
    pub redirect_uri: String,
    /// The same, for people who have signed out there.
    pub post_logout_redirect_uri: String,
    /// The same, where it tells of people who have signed out.
    pub backchannel_logout_uri: String,
    /// How it is set up.
    #[serde(flatten)]
    pub setup: SaveProvider,
}

/// A provider that people can choose.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SignOnChoice {
    /// Its key.
    pub key: ProviderKey,
    /// What it is called.
    pub label: String,
}

/// How whoever is signed in can prove anew who they are.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct WaysToConfirm {
    /// By their password: false for those who have none here.
    pub password: bool,
    /// At the provider that their session began with.
    pub provider: Option<SignOnChoice>,
}

/// The part of `Backend` that is about identity providers. Everything that manages them needs `integrations.manage`.
pub trait ProvidersBackend: Send + Sync {
    /// What people can sign in with besides a password, for everyone. Nothing where that cannot be asked just now: the
    /// password goes on working.
    fn sign_on_choices(&self) -> Answer<'_, Vec<SignOnChoice>>;

    /// How the caller can prove anew who they are.
    fn ways_to_confirm(&self) -> Answer<'_, WaysToConfirm>;

    /// All of them, by key.
    fn list_providers(&self) -> Answer<'_, Vec<IdentityProvider>>;

    /// One of them.
    fn find_provider(&self, key: ProviderKey) -> Answer<'_, IdentityProvider>;

    /// Sets one up, or changes it, after asking it who it is. `ReauthenticationRequired` where the password was entered
    /// too long ago.
    fn save_provider(&self, key: ProviderKey, input: SaveProvider) -> Answer<'_, IdentityProvider>;

    /// Removes one. Sessions that began with it go on.
    fn remove_provider(&self, key: ProviderKey) -> Answer<'_, ()>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_can_stand_in_an_address() {
        for good in ["keycloak", "a", "entra-id-2"] {
            assert_eq!(good.parse::<ProviderKey>().expect("a key").as_str(), good);
        }
        let long = "a".repeat(41);
        for bad in ["", "Keycloak", "a b", "a/b", "a.b", "ä", &long] {
            assert_eq!(bad.parse::<ProviderKey>(), Err(NoProviderKey), "{bad}");
        }
        assert!("a".repeat(40).parse::<ProviderKey>().is_ok());
    }

    #[test]
    fn what_is_left_out_has_its_usual_value() {
        let input: SaveProvider =
            serde_json::from_str(r#"{"label":"L","issuer":"I","client_id":"C"}"#).expect("read");
        assert_eq!(input.scopes, ["profile", "email"]);
        assert!(input.signs_out && input.enabled && !input.trusts_emails);
        assert_eq!((input.secret, input.max_age_seconds), (None, None));
    }
}
