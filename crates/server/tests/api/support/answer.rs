//! What came back.

use axum::response::Response;
use http::{HeaderMap, header};
use serde_json::Value;

/// An answer, read in full.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(super) async fn read(response: Response) -> Self {
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX)
            .await
            .expect("the body arrives whole");
        Self {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: body.to_vec(),
        }
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("{}: no JSON: {}", self.status, self.text()))
    }

    /// The JSON of an answer that went well.
    #[track_caller]
    pub(crate) fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text());
        self.json()
    }

    /// Done, and nothing to say.
    #[track_caller]
    pub(crate) fn done(&self) {
        assert_eq!((self.status, self.text().as_str()), (204, ""));
    }

    /// A problem document with this status and code, whole and in shape.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "expected {code}: {}", self.text());
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{}",
            self.text()
        );
        let document = self.json();
        assert_eq!(document["code"], code);
        assert_eq!(document["type"], format!("/problems/{code}"));
        assert_eq!(document["status"], status);
        assert!(
            document["title"]
                .as_str()
                .is_some_and(|title| !title.is_empty())
        );
        assert!(
            document["detail"]
                .as_str()
                .is_some_and(|detail| !detail.is_empty())
        );
        assert_eq!(document["request_id"].as_str(), self.header("x-request-id"));
        assert!(self.header("x-request-id").is_some_and(|id| id.len() == 36));
        document
    }

    /// A 400 that names this field.
    #[track_caller]
    pub(crate) fn field(&self, name: &str) -> Value {
        let document = self.problem(400, "invalid_field");
        assert_eq!(document["errors"][0]["field"], name, "{document}");
        document
    }

    /// A header's text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .get(name)
            .map(|value| value.to_str().expect("a header in ASCII"))
    }

    /// A header's bytes.
    pub(crate) fn bytes_of(&self, name: &str) -> &[u8] {
        self.headers[name].as_bytes()
    }

    /// Every `Set-Cookie`.
    pub(crate) fn cookies(&self) -> Vec<String> {
        let lines = self.headers.get_all(header::SET_COOKIE).iter();
        lines
            .map(|value| value.to_str().expect("a cookie in ASCII").to_owned())
            .collect()
    }

    /// The token in the session cookie that this answer sets, if it sets one.
    pub(crate) fn cookie_token(&self) -> Option<String> {
        let lines = self.cookies();
        let value = lines
            .iter()
            .find_map(|line| line.strip_prefix("__Host-rollcall="))?;
        let token = value.split(';').next().unwrap_or_default();
        (!token.is_empty()).then(|| token.to_owned())
    }

    /// Whether the answer takes the session cookie away.
    pub(crate) fn expires_cookie(&self) -> bool {
        self.cookies() == ["__Host-rollcall=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0"]
    }

    /// The successor of a program's token.
    pub(crate) fn session_token(&self) -> Option<String> {
        self.header("session-token").map(str::to_owned)
    }
}

/// The same JSON with every id and request id replaced by a word, for snapshots.
pub(crate) fn redacted(mut value: Value) -> Value {
    match &mut value {
        Value::Array(items) => items
            .iter_mut()
            .for_each(|item| *item = redacted(item.take())),
        Value::Object(fields) => {
            for (name, field) in fields.iter_mut() {
                let id = matches!(name.as_str(), "id" | "requestId" | "request_id" | "session")
                    && field.is_string();
                *field = if id {
                    Value::from("[id]")
                } else {
                    redacted(field.take())
                };
            }
        }
        _ => {}
    }
    value
}
