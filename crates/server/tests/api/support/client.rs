//! Clients of each kind, through the router in process.

use std::future::{Future, IntoFuture};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::body::{Body, BodyDataStream};
use axum::extract::Request;
use axum::response::Response;
use http::{HeaderName, HeaderValue, Method, header};
use rollcall_core::SessionId;
use rollcall_server::http::address::Peer;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::TestApp;
use super::answer::Answer;
use super::people::{PASSWORD, Person};

enum Credential {
    Nothing,
    // A browser's jar: it sends what it was given and says where its requests come from.
    Jar(Option<String>),
    // A program: it takes over each successor.
    Bearer(String),
}

/// A client of the server. Requests may run in parallel.
pub(crate) struct Client {
    app: TestApp,
    credential: Mutex<Credential>,
    peer: IpAddr,
    user_agent: &'static str,
}

impl Client {
    pub(super) fn new(app: &TestApp) -> Self {
        Self {
            app: app.clone(),
            credential: Mutex::new(Credential::Nothing),
            peer: IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7)),
            user_agent: "curl/8.5.0",
        }
    }

    pub(super) fn browser(app: &TestApp, token: Option<String>) -> Self {
        Self {
            credential: Mutex::new(Credential::Jar(token)),
            user_agent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
            ..Self::new(app)
        }
    }

    pub(super) fn program(app: &TestApp, token: String) -> Self {
        Self {
            credential: Mutex::new(Credential::Bearer(token)),
            ..Self::new(app)
        }
    }

    /// The same client at another address.
    pub(crate) fn at(self, address: &str) -> Self {
        Self {
            peer: address.parse().expect("an address"),
            ..self
        }
    }

    /// The same client with another program or browser.
    pub(crate) fn with_agent(self, user_agent: &'static str) -> Self {
        Self { user_agent, ..self }
    }

    /// The token that it would send now.
    pub(crate) fn token(&self) -> Option<String> {
        match &*self.lock() {
            Credential::Nothing => None,
            Credential::Jar(token) => token.clone(),
            Credential::Bearer(token) => Some(token.clone()),
        }
    }

    /// Puts a token into the jar, or makes a program send it.
    pub(crate) fn hold(&self, token: &str) {
        match &mut *self.lock() {
            Credential::Jar(held) => *held = Some(token.to_owned()),
            held => *held = Credential::Bearer(token.to_owned()),
        }
    }

    pub(crate) fn get(&self, path: &str) -> Ask<'_> {
        self.ask(Method::GET, path)
    }

    pub(crate) fn post(&self, path: &str, body: Value) -> Ask<'_> {
        self.ask(Method::POST, path).json(&body)
    }

    pub(crate) fn patch(&self, path: &str, body: Value) -> Ask<'_> {
        self.ask(Method::PATCH, path).json(&body)
    }

    pub(crate) fn delete(&self, path: &str) -> Ask<'_> {
        self.ask(Method::DELETE, path)
    }

    pub(crate) fn ask(&self, method: Method, path: &str) -> Ask<'_> {
        let headers = vec![
            (header::HOST, HeaderValue::from_static("localhost:8080")),
            (
                header::USER_AGENT,
                HeaderValue::from_static(self.user_agent),
            ),
        ];
        Ask {
            client: self,
            method,
            path: path.to_owned(),
            headers,
            body: Vec::new(),
            bare: false,
        }
    }

    /// Signs in with the password that every person in a test has.
    pub(crate) async fn sign_in(&self, person: &Person) -> Answer {
        self.sign_in_as(&person.email, PASSWORD).await
    }

    /// Tries to sign in.
    pub(crate) async fn sign_in_as(&self, email: &str, password: &str) -> Answer {
        self.post(
            "/api/v1/sign-in",
            json!({ "email": email, "password": password }),
        )
        .await
    }

    /// Enters the password that every person in a test has once more.
    pub(crate) async fn reauthenticate(&self) {
        let body = json!({ "current_password": PASSWORD });
        self.post("/api/v1/me/reauthenticate", body).await.done();
    }

    /// The id of the session that it holds.
    pub(crate) async fn session_id(&self) -> SessionId {
        let me = self.get("/api/v1/me").await.ok();
        me["session"]["id"]
            .as_str()
            .expect("an id")
            .parse()
            .expect("an id")
    }

    /// Whether the credential that it holds is accepted.
    pub(crate) async fn is_signed_in(&self) -> bool {
        match self.get("/api/v1/me").await {
            answer if answer.status == 200 => true,
            answer => {
                answer.problem(401, "unauthenticated");
                false
            }
        }
    }

    fn take_over(&self, answer: &Answer) {
        let mut credential = self.lock();
        match &mut *credential {
            Credential::Nothing => {}
            Credential::Jar(token) => {
                for line in answer.cookies() {
                    let Some(value) = line.strip_prefix("__Host-rollcall=") else {
                        continue;
                    };
                    let (value, attributes) =
                        value.split_once(';').expect("a cookie has attributes");
                    let dead = attributes
                        .split(';')
                        .any(|attribute| attribute.trim() == "Max-Age=0");
                    *token = (!dead).then(|| value.to_owned());
                }
            }
            Credential::Bearer(token) => {
                if let Some(next) = answer.session_token() {
                    *token = next;
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Credential> {
        self.credential
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that is sent when it is awaited.
pub(crate) struct Ask<'a> {
    client: &'a Client,
    method: Method,
    path: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Vec<u8>,
    bare: bool,
}

impl Ask<'_> {
    /// Adds a header; several of one name are all sent.
    pub(crate) fn header(mut self, name: &'static str, value: impl AsRef<[u8]>) -> Self {
        let value = HeaderValue::from_bytes(value.as_ref()).expect("a header's value");
        self.headers.push((HeaderName::from_static(name), value));
        self
    }

    /// Sends this JSON.
    pub(crate) fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }

    /// Sends a form of server functions, as our own pages do.
    pub(crate) fn form(self, fields: &[(&str, &str)]) -> Self {
        let pairs: Vec<_> = fields
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()))
            .collect();
        self.body(
            "application/x-www-form-urlencoded",
            rollcall_core::query::write(&pairs),
        )
    }

    /// Sends this body as this type.
    pub(crate) fn body(mut self, kind: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.header("content-type", kind)
    }

    /// Leaves out what a browser adds by itself, and what the client holds: only what stands here is sent.
    pub(crate) fn bare(mut self) -> Self {
        self.bare = true;
        self
    }

    /// Sends it and reads the answer's body part by part.
    pub(crate) async fn stream(self) -> BodyDataStream {
        self.respond().await.into_body().into_data_stream()
    }

    async fn send(self) -> Answer {
        let (client, bare) = (self.client, self.bare);
        let answer = Answer::read(self.respond().await).await;
        if !bare {
            client.take_over(&answer);
        }
        answer
    }

    async fn respond(self) -> Response {
        let mut request = Request::builder().method(self.method).uri(&self.path);
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        if !self.bare {
            match &*self.client.lock() {
                Credential::Nothing => {}
                Credential::Jar(token) => {
                    request = request.header("sec-fetch-site", "same-origin");
                    if let Some(token) = token {
                        request =
                            request.header(header::COOKIE, format!("__Host-rollcall={token}"));
                    }
                }
                Credential::Bearer(token) => {
                    request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
                }
            }
        }
        let mut request = request.body(Body::from(self.body)).expect("a request");
        request
            .extensions_mut()
            .insert(Peer(SocketAddr::new(self.client.peer, 40_000)));
        let router = self.client.app.router();
        let answered = router.oneshot(request).await;
        answered.expect("the router answers everything")
    }
}

impl<'a> IntoFuture for Ask<'a> {
    type Output = Answer;
    type IntoFuture = Pin<Box<dyn Future<Output = Answer> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}
