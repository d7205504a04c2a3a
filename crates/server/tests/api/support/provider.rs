//! An identity provider that says what a test wants it to say, over real HTTP.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::extract::{Form, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::{HeaderMap, StatusCode};
use ring::signature::{Ed25519KeyPair, KeyPair};
use rollcall_core::query;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Answer, Client, TestApp};

/// What the provider knows the server as.
pub(crate) const CLIENT_ID: &str = "rollcall";
const SECRET: &str = "a secret of both";

/// A provider. Clones are one.
#[derive(Clone)]
pub(crate) struct Provider {
    /// Who it is.
    pub(crate) issuer: String,
    shared: Arc<Shared>,
}

struct Shared {
    issuer: String,
    // Ten keys, of which one signs.
    key: AtomicUsize,
    codes: Mutex<HashMap<String, Issued>>,
    user_info: Mutex<Option<Value>>,
    away: AtomicBool,
    discoveries: AtomicUsize,
}

struct Issued {
    challenge: String,
    redirect_uri: String,
    token: String,
}

/// How a token is signed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Signed {
    /// As it should be.
    #[default]
    Well,
    /// By a key that the provider does not publish, under the name of one that it does.
    ByAnother,
    /// Not at all: `alg` is `none`.
    NotAtAll,
    /// With the public key as a shared secret: HS256.
    WithPublicKey,
}

/// Where a browser was sent to sign in.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) pairs: HashMap<String, String>,
}

impl Asked {
    pub(crate) fn of(answer: &Answer) -> Self {
        assert_eq!(answer.status, 200, "{}", answer.text());
        let refresh = answer.header("refresh").expect("it leads on");
        let url = refresh.strip_prefix("0; url=").expect("at once");
        let (_, parameters) = url.split_once('?').expect("parameters");
        let pairs = query::pairs(parameters).expect("a query");
        Self {
            pairs: pairs.into_iter().collect(),
        }
    }

    pub(crate) fn get(&self, name: &str) -> &str {
        self.pairs.get(name).map_or("", String::as_str)
    }
}

impl Provider {
    /// Starts one on a free port.
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let issuer = format!("http://127.0.0.1:{}", address.port());
        let shared = Arc::new(Shared {
            issuer: issuer.clone(),
            key: AtomicUsize::new(0),
            codes: Mutex::default(),
            user_info: Mutex::default(),
            away: AtomicBool::new(false),
            discoveries: AtomicUsize::new(0),
        });
        let routes = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/keys", get(keys))
            .route("/token", post(token))
            .route("/me", get(me))
            .with_state(shared.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { issuer, shared }
    }

    /// How it is set up with the server, with these rules.
    pub(crate) fn setup(&self, rules: &[String]) -> Value {
        json!({
            "label": "Staff login", "issuer": self.issuer, "client_id": CLIENT_ID,
            "secret": "file:provider", "rules": rules,
        })
    }

    /// Sets it up with a server as its administrator, with these changes to what is usual.
    pub(crate) async fn set_up(&self, app: &TestApp, admin: &Client, changes: Value) -> Answer {
        let folder = app.data_dir().join("secrets");
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join("provider"), SECRET).expect("a secret");
        let mut setup = self.setup(&[]);
        for (name, value) in changes.as_object().expect("changes") {
            setup[name] = value.clone();
        }
        admin
            .ask(http::Method::PUT, "/api/v1/integrations/providers/staff")
            .json(&setup)
            .await
    }

    /// What it says of somebody who has just signed in there.
    pub(crate) fn claims(&self, app: &TestApp, asked: &Asked, subject: &str) -> Value {
        let now = app.now().0 / 1_000_000;
        json!({
            "iss": self.issuer, "sub": subject, "aud": CLIENT_ID,
            "iat": now, "exp": now + 300, "nonce": asked.get("nonce"),
            "email": format!("{subject}@acme.test"), "email_verified": true,
            "name": format!("{subject} of Acme"), "sid": format!("{subject}-1"),
        })
    }

    /// A code that stands for this.
    pub(crate) fn code(&self, asked: &Asked, token: String) -> String {
        let mut codes = self.shared.codes.lock().expect("not poisoned");
        let code = format!("code-{}-{}", codes.len(), asked.get("nonce"));
        let issued = Issued {
            challenge: asked.get("code_challenge").to_owned(),
            redirect_uri: asked.get("redirect_uri").to_owned(),
            token,
        };
        codes.insert(code.clone(), issued);
        code
    }

    /// Signs a token of this type.
    pub(crate) fn sign(&self, typ: &str, claims: &Value, signed: Signed) -> String {
        let number = self.shared.key.load(Ordering::SeqCst);
        let alg = match signed {
            Signed::Well | Signed::ByAnother => "EdDSA",
            Signed::NotAtAll => "none",
            Signed::WithPublicKey => "HS256",
        };
        let header = json!({ "alg": alg, "typ": typ, "kid": format!("key-{number}") });
        self.sign_with(&header, claims, signed)
    }

    /// Signs a token with this header.
    pub(crate) fn sign_with(&self, header: &Value, claims: &Value, signed: Signed) -> String {
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", encode(header), encode(claims));
        let number = self.shared.key.load(Ordering::SeqCst);
        let signature = match signed {
            Signed::Well => key(number).sign(text.as_bytes()).as_ref().to_vec(),
            Signed::ByAnother => key(9).sign(text.as_bytes()).as_ref().to_vec(),
            Signed::NotAtAll => Vec::new(),
            Signed::WithPublicKey => {
                let secret = ring::hmac::Key::new(
                    ring::hmac::HMAC_SHA256,
                    key(number).public_key().as_ref(),
                );
                ring::hmac::sign(&secret, text.as_bytes()).as_ref().to_vec()
            }
        };
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// Signs with another key from now on, and publishes that alone.
    pub(crate) fn roll_key(&self) {
        self.shared.key.fetch_add(1, Ordering::SeqCst);
    }

    /// What it tells besides; with nothing it has no such place.
    pub(crate) fn tell(&self, claims: Value) {
        *self.shared.user_info.lock().expect("not poisoned") = Some(claims);
    }

    /// Whether it answers 503 to everything.
    pub(crate) fn set_away(&self, away: bool) {
        self.shared.away.store(away, Ordering::SeqCst);
    }

    /// How often it was asked who it is.
    pub(crate) fn discoveries(&self) -> usize {
        self.shared.discoveries.load(Ordering::SeqCst)
    }
}

fn key(number: usize) -> Ed25519KeyPair {
    let seed = [u8::try_from(number).expect("few keys") + 1; 32];
    Ed25519KeyPair::from_seed_unchecked(&seed).expect("a key")
}

async fn discovery(State(shared): State<Arc<Shared>>) -> Response {
    shared.discoveries.fetch_add(1, Ordering::SeqCst);
    if shared.away.load(Ordering::SeqCst) {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let at = |path: &str| format!("{}{path}", shared.issuer);
    let mut document = json!({
        "issuer": shared.issuer, "authorization_endpoint": at("/authorize"),
        "token_endpoint": at("/token"), "jwks_uri": at("/keys"),
        "end_session_endpoint": at("/end"),
        "response_types_supported": ["code"], "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["EdDSA"],
    });
    if shared.user_info.lock().expect("not poisoned").is_some() {
        document["userinfo_endpoint"] = json!(at("/me"));
    }
    Json(document).into_response()
}

async fn keys(State(shared): State<Arc<Shared>>) -> Response {
    if shared.away.load(Ordering::SeqCst) {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let number = shared.key.load(Ordering::SeqCst);
    let public = URL_SAFE_NO_PAD.encode(key(number).public_key().as_ref());
    let key = json!({
        "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA",
        "kid": format!("key-{number}"), "x": public,
    });
    Json(json!({ "keys": [key] })).into_response()
}

async fn token(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Form(fields): Form<HashMap<String, String>>,
) -> Response {
    if shared.away.load(Ordering::SeqCst) {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let refuse =
        |error: &str| (StatusCode::BAD_REQUEST, Json(json!({ "error": error }))).into_response();
    let given = |name: &str| fields.get(name).cloned().unwrap_or_default();
    let encoded: String = SECRET.replace(' ', "+");
    let basic = format!(
        "Basic {}",
        STANDARD.encode(format!("{CLIENT_ID}:{encoded}"))
    );
    if headers.get("authorization").map(|value| value.as_bytes()) != Some(basic.as_bytes()) {
        return refuse("invalid_client");
    }
    // A code is good once (RFC 6749, 4.1.2).
    let issued = shared
        .codes
        .lock()
        .expect("not poisoned")
        .remove(&given("code"));
    let Some(issued) = issued else {
        return refuse("invalid_grant");
    };
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(given("code_verifier")));
    if challenge != issued.challenge || given("redirect_uri") != issued.redirect_uri {
        return refuse("invalid_grant");
    }
    Json(json!({
        "access_token": "an-access-token", "token_type": "Bearer", "id_token": issued.token,
    }))
    .into_response()
}

async fn me(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let bearer = headers.get("authorization").map(|value| value.as_bytes());
    if bearer != Some(b"Bearer an-access-token") {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let told = shared.user_info.lock().expect("not poisoned").clone();
    Json(told).into_response()
}

/// A browser on its way to a provider and back: what it holds besides the session.
#[derive(Clone, Debug, Default)]
pub(crate) struct Traveller {
    pub(crate) secret: Option<String>,
}

impl Traveller {
    /// Presses the button on the sign-in page.
    pub(crate) async fn begins(&mut self, browser: &Client, fields: &[(&str, &str)]) -> Answer {
        let ask = browser
            .ask(http::Method::POST, "/auth/sso/staff")
            .form(fields);
        let answer = match &self.secret {
            Some(secret) => {
                ask.header("cookie", format!("__Host-rollcall-sso={secret}"))
                    .await
            }
            None => ask.await,
        };
        for line in answer.cookies() {
            if let Some(value) = line.strip_prefix("__Host-rollcall-sso=") {
                assert!(
                    line.ends_with("; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=600"),
                    "{line}"
                );
                self.secret = value.split(';').next().map(str::to_owned);
            }
        }
        answer
    }

    /// Comes back with this.
    pub(crate) async fn returns(&self, browser: &Client, pairs: &[(&str, &str)]) -> Answer {
        let pairs: Vec<_> = pairs
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()))
            .collect();
        let path = format!("/auth/callback/staff?{}", query::write(&pairs));
        let ask = browser.get(&path);
        match &self.secret {
            Some(secret) => {
                ask.header("cookie", format!("__Host-rollcall-sso={secret}"))
                    .await
            }
            None => ask.await,
        }
    }
}

/// Signs in with the provider as this subject, and answers how that went.
pub(crate) async fn sign_in_elsewhere(
    app: &TestApp,
    provider: &Provider,
    browser: &Client,
    subject: &str,
) -> Answer {
    let mut traveller = Traveller::default();
    let asked = Asked::of(&traveller.begins(browser, &[]).await);
    let claims = provider.claims(app, &asked, subject);
    let token = provider.sign("JWT", &claims, Signed::Well);
    let code = provider.code(&asked, token);
    traveller
        .returns(browser, &[("code", &code), ("state", asked.get("state"))])
        .await
}

/// Where the server says that it is.
pub(crate) const PUBLIC: &str = "https://rollcall.example";

/// A server that may ask a provider on this machine, its administrator, and the provider.
pub(crate) async fn start() -> (TestApp, Client, Provider) {
    start_with(&[]).await
}

/// The same with further settings.
pub(crate) async fn start_with(more: &[&str]) -> (TestApp, Client, Provider) {
    let settings = ["--public-url", PUBLIC, "--allow-outbound", "127.0.0.1"];
    let starting = TestApp::start().with(&settings).with(more);
    let (app, _, admin) = starting.with_admin().await;
    (app, admin, Provider::start().await)
}

/// The events of one action, as the audit page lists them.
pub(crate) async fn events(admin: &Client, action: &str) -> Vec<Value> {
    let answer = admin
        .get(&format!("/api/v1/audit?action={action}&page_size=100"))
        .await
        .ok();
    answer["items"].as_array().expect("a list").clone()
}
