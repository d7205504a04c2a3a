//! A receiver of events, over real HTTP, that answers what a test wants it to answer.

use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::{HeaderMap, StatusCode, header};
use ring::rsa::PublicKeyComponents;
use ring::signature::{ED25519, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::{Value, json};
use tokio::sync::{Notify, Semaphore};

use super::{Client, TestApp};

/// A receiver. Clones are one.
#[derive(Clone)]
pub(crate) struct Inbox {
    /// Where it listens.
    pub(crate) url: String,
    shared: Arc<Shared>,
}

struct Shared {
    status: AtomicU16,
    location: Mutex<Option<String>>,
    padding: Mutex<usize>,
    heard: Mutex<Vec<Heard>>,
    something: Notify,
    // Answers are given while there are permits; usually there are more than anybody takes.
    answers: Semaphore,
}

/// One request that it got.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
    /// What it answered.
    pub(crate) status: u16,
}

impl Inbox {
    /// Starts one on a free port.
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let shared = Arc::new(Shared {
            status: AtomicU16::new(204),
            location: Mutex::default(),
            padding: Mutex::default(),
            heard: Mutex::default(),
            something: Notify::new(),
            answers: Semaphore::new(Semaphore::MAX_PERMITS),
        });
        let routes = Router::new().fallback(hear).with_state(shared.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self {
            url: format!("http://127.0.0.1:{port}/hook?key=of-theirs"),
            shared,
        }
    }

    /// Answers this from now on.
    pub(crate) fn answer(&self, status: u16) {
        self.shared.status.store(status, Ordering::SeqCst);
    }

    /// Names this place in what it answers.
    pub(crate) fn point_to(&self, url: &str) {
        *self.shared.location.lock().expect("not poisoned") = Some(url.to_owned());
    }

    /// Answers with so many bytes.
    pub(crate) fn pad(&self, bytes: usize) {
        *self.shared.padding.lock().expect("not poisoned") = bytes;
    }

    /// Keeps every answer back from now on.
    pub(crate) fn hold(&self) {
        self.shared.answers.forget_permits(Semaphore::MAX_PERMITS);
    }

    /// Lets them go.
    pub(crate) fn let_go(&self) {
        self.shared.answers.add_permits(Semaphore::MAX_PERMITS);
    }

    /// What it got, in the order in which it came.
    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.shared.heard.lock().expect("not poisoned").clone()
    }

    /// The ids of what it got.
    pub(crate) fn ids(&self) -> Vec<String> {
        self.heard().iter().map(Heard::id).collect()
    }

    /// The ids of what it has accepted.
    pub(crate) fn accepted(&self) -> Vec<String> {
        let accepted = self.heard().into_iter().filter(|one| one.status < 300);
        accepted.map(|one| one.id()).collect()
    }

    /// Waits until it got so many. Far more patience than a test ever needs.
    pub(crate) async fn wait_for(&self, count: usize) {
        let arrived = async {
            loop {
                let next = self.shared.something.notified();
                if self.heard().len() >= count {
                    return;
                }
                next.await;
            }
        };
        let arrived = tokio::time::timeout(Duration::from_secs(30), arrived).await;
        arrived.expect("it is told");
    }

    /// Makes it a receiver of webhooks of this server; answers its id.
    pub(crate) async fn join(&self, admin: &Client, name: &str, changes: Value) -> String {
        let mut body = json!({ "name": name, "url": self.url });
        for (key, value) in changes.as_object().expect("changes") {
            body[key] = value.clone();
        }
        let made = admin.post("/api/v1/integrations/receivers", body).await;
        assert_eq!(made.status, 201, "{}", made.text());
        made.json()["id"].as_str().expect("an id").to_owned()
    }
}

async fn hear(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let status = shared.status.load(Ordering::SeqCst);
    let body = String::from_utf8(body.to_vec()).expect("text");
    let heard = Heard {
        headers,
        body,
        status,
    };
    shared.heard.lock().expect("not poisoned").push(heard);
    shared.something.notify_waiters();
    let _answering = shared.answers.acquire().await.expect("it is open");
    let status = StatusCode::from_u16(status).expect("a status");
    let padding = "x".repeat(*shared.padding.lock().expect("not poisoned"));
    let place = shared.location.lock().expect("not poisoned").clone();
    match place {
        Some(place) => (status, [(header::LOCATION, place)], padding).into_response(),
        None => (status, padding).into_response(),
    }
}

impl Heard {
    /// What repetitions are told by.
    pub(crate) fn id(&self) -> String {
        match self.headers.get("webhook-id") {
            Some(id) => id.to_str().expect("ASCII").to_owned(),
            None => self.unverified()["jti"].as_str().expect("an id").to_owned(),
        }
    }

    /// The JSON of a webhook.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }

    fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().expect("ASCII")
    }

    fn unverified(&self) -> Value {
        let claims = self.body.split('.').nth(1).expect("a token");
        let claims = URL_SAFE_NO_PAD.decode(claims).expect("base64url");
        serde_json::from_slice(&claims).expect("claims")
    }

    /// Verifies a webhook as its receiver would, by the published key; answers what it says.
    pub(crate) async fn webhook(&self, app: &TestApp) -> Value {
        let key = published(app, "EdDSA").await;
        let public = URL_SAFE_NO_PAD.decode(text(&key["x"])).expect("a key");
        let signature = self.header("webhook-signature");
        let signature = signature.strip_prefix("v1a,").expect("asymmetric");
        let signature = STANDARD.decode(signature).expect("base64");
        let timestamp = self.header("webhook-timestamp");
        let signed = format!("{}.{timestamp}.{}", self.id(), self.body);
        let verified =
            UnparsedPublicKey::new(&ED25519, public).verify(signed.as_bytes(), &signature);
        assert!(verified.is_ok(), "the signature is right");
        assert_eq!(self.header("content-type"), "application/json");
        let sent: i64 = timestamp.parse().expect("seconds");
        assert!((app.now().0 / 1_000_000 - sent).abs() <= 300, "and is new");
        self.json()
    }

    /// Verifies a security event token as its receiver would; answers its claims.
    pub(crate) async fn token(&self, app: &TestApp) -> Value {
        let key = published(app, "RS256").await;
        let part = |text: &str| URL_SAFE_NO_PAD.decode(text).expect("base64url");
        let public = PublicKeyComponents {
            n: part(text(&key["n"])),
            e: part(text(&key["e"])),
        };
        let (signed, signature) = self.body.rsplit_once('.').expect("a token");
        let (header, _) = signed.split_once('.').expect("a header");
        let header: Value = serde_json::from_slice(&part(header)).expect("JSON");
        let expected = json!({ "typ": "secevent+jwt", "alg": "RS256", "kid": key["kid"] });
        assert_eq!(header, expected);
        let verified = public.verify(
            &RSA_PKCS1_2048_8192_SHA256,
            signed.as_bytes(),
            &part(signature),
        );
        assert!(verified.is_ok(), "the signature is right");
        assert_eq!(self.header("content-type"), "application/secevent+jwt");
        self.unverified()
    }
}

async fn published(app: &TestApp, algorithm: &str) -> Value {
    let set = app.anonymous().get("/.well-known/jwks.json").await.ok();
    let keys = set["keys"].as_array().expect("keys").clone();
    let found = keys.into_iter().find(|key| key["alg"] == algorithm);
    found.expect("the key is published")
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}
