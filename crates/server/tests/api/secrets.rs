//! Tokens and passwords are nowhere but where they belong.

use std::cell::RefCell;
use std::io::Write;
use std::sync::Once;

use sea_orm::{ConnectionTrait, Statement};
use serde_json::json;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::dynamic_filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::mail::{ask, mails, with_mail};
use crate::support::mailbox::{Mailbox, Mood};
use crate::support::{Answer, DatabaseKind, PASSWORD, Person, TestApp, kind, minutes, on};

const NEW: &str = "nine loud geese before dawn";
const TYPED: &str = "a wrong password that somebody typed";

thread_local! {
    // What the tests of this thread log, while they want to have it.
    static LOG: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOG.with_borrow_mut(|log| log.as_mut().map(|log| log.extend_from_slice(bytes)));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

// There is one subscriber for the process; it looks at each event anew whether anybody here listens.
fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let listens = dynamic_filter_fn(|_, _| LOG.with_borrow(Option::is_some));
        let lines = tracing_subscriber::fmt::layer()
            .with_writer(|| Log)
            .with_ansi(false);
        tracing_subscriber::registry()
            .with(lines.with_filter(listens))
            .init();
    });
    LOG.set(Some(Vec::new()));
}

// On one thread, so that the log of this test is all its own and whole.
#[tokio::test]
async fn no_secret_is_logged_stored_or_answered_on_sqlite() {
    on(
        DatabaseKind::Sqlite,
        no_secret_is_logged_stored_or_answered(),
    )
    .await;
}

#[tokio::test]
async fn no_secret_is_logged_stored_or_answered_on_postgres() {
    on(
        DatabaseKind::Postgres,
        no_secret_is_logged_stored_or_answered(),
    )
    .await;
}

/// Collects the tokens that answers hand out, and every byte of every answer.
#[derive(Default)]
struct Seen {
    tokens: Vec<String>,
    bodies: Vec<u8>,
}

impl Seen {
    fn note(&mut self, answer: Answer) -> Answer {
        self.tokens.extend(answer.cookie_token());
        self.tokens.extend(answer.session_token());
        self.bodies.extend_from_slice(&answer.body);
        for (name, value) in &answer.headers {
            if name != "set-cookie" && name != "session-token" {
                self.bodies.extend_from_slice(value.as_bytes());
            }
        }
        answer
    }
}

async fn no_secret_is_logged_stored_or_answered() {
    listen();
    let (app, mailbox, admin) = with_mail(&[]).await;
    let anon = app.anonymous();
    let nora = app.member().await;
    let mut seen = Seen::default();
    let browser = app.browser();
    let body = json!({ "email": nora.email, "password": PASSWORD, "keep": true });
    seen.note(browser.post("/api/v1/sign-in", body).await).ok();
    seen.note(anon.sign_in_as(&nora.email, TYPED).await)
        .problem(401, "sign_in_failed");
    seen.note(anon.sign_in_as(TYPED, &nora.email).await)
        .problem(401, "sign_in_failed");
    let asked = anon
        .post(
            "/api/v1/sign-in",
            json!({ "email": nora.email, "password": PASSWORD, "token": true }),
        )
        .await
        .ok();
    let program = app.holding(asked["token"].as_str().expect("a token"));
    seen.tokens.extend(program.token());
    for _ in 0..3 {
        app.advance(minutes(6));
        for path in [
            "/api/v1/me",
            "/api/v1/me/sessions",
            "/api/v1/sessions",
            "/sessions",
            "/account/sessions",
            "/nothing",
        ] {
            seen.note(browser.get(path).header("accept", "text/html").await);
            seen.note(program.get(path).await);
            seen.note(admin.get(path).await);
        }
    }
    let retired = seen.tokens[0].clone();
    let change = json!({ "current_password": PASSWORD, "new_password": NEW });
    seen.note(program.post("/api/v1/me/password", change).await)
        .done();
    seen.note(program.get(&format!("/api/v1/me?token={retired}")).await);
    seen.note(
        anon.post("/rpc/sign_in", json!({}))
            .body(
                "application/x-www-form-urlencoded",
                format!("email=x&password={NEW}%20too"),
            )
            .await,
    );
    let stolen = app.holding(&retired);
    seen.note(stolen.get("/api/v1/me").await)
        .problem(401, "unauthenticated");
    let links = use_links(&app, &mailbox, &nora).await;
    for path in [
        "/api/v1/sessions?page_size=100",
        "/api/v1/audit?page_size=100",
        "/api/UserRequests",
        "/metrics",
    ] {
        seen.note(admin.get(path).await);
    }
    app.service()
        .flush_activity()
        .await
        .expect("the database answers");
    assert!(seen.tokens.len() >= 6, "{}", seen.tokens.len());
    let logged = LOG.take().expect("we listened");
    assert!(
        String::from_utf8_lossy(&logged).contains("http.route"),
        "the log is caught"
    );
    let stored = everything_stored(&app).await;
    assert!(find(&stored, b"nora@acme.test"), "what is stored is seen");
    for (place, bytes) in [
        ("the answers", &seen.bodies),
        ("the log", &logged),
        ("the database", &stored),
    ] {
        for token in &seen.tokens {
            let secret = &token[5..];
            for text in [
                token.clone(),
                secret.to_owned(),
                secret[22..].to_owned(),
                hex(secret),
            ] {
                assert!(!find(bytes, text.as_bytes()), "a token is in {place}");
            }
        }
        for password in [PASSWORD, NEW, TYPED] {
            let encoded = password.replace(' ', "%20");
            let plus = password.replace(' ', "+");
            for text in [password, &encoded, &plus] {
                assert!(!find(bytes, text.as_bytes()), "a password is in {place}");
            }
        }
    }
    // Pages of links have them in their forms.
    for (place, bytes) in [("the log", &logged), ("the database", &stored)] {
        for link in &links {
            let secret = &link[5..];
            for text in [secret.to_owned(), secret[22..].to_owned(), hex(secret)] {
                assert!(!find(bytes, text.as_bytes()), "a link is in {place}");
            }
        }
    }
    assert!(find(&logged, b"a mail could not be sent"));
    assert!(!find(&logged, b"nora@acme.test"), "an e-mail is in the log");
    assert!(!find(&seen.bodies, b"$argon2id$") && !find(&logged, b"$argon2id$"));
}

/// Looks at and uses a link that sets a password and one that reports a sign-in, and answers their secrets.
async fn use_links(app: &TestApp, mailbox: &Mailbox, nora: &Person) -> Vec<String> {
    mailbox.set(Mood::Dead);
    app.browser().sign_in_as(&nora.email, NEW).await.ok();
    let elsewhere = app.browser().at("198.51.100.66");
    elsewhere.sign_in_as(&nora.email, NEW).await.ok();
    ask(&app.anonymous(), &nora.email).await;
    assert!(mails(app, mailbox).await.is_empty());
    mailbox.set(Mood::Well);
    app.advance(minutes(1));
    let sent = mails(app, mailbox).await;
    let mut links = Vec::new();
    for mail in sent.iter().filter(|mail| mail.link().is_some()) {
        let link = mail.link().expect("a link");
        for browser in [app.browser(), app.browser_of(nora).await] {
            let page = browser.get(&link).header("accept", "text/html").await;
            assert_eq!(page.status, 200);
        }
        links.push(mail.secret());
    }
    let body = json!({ "link": links[0], "new_password": "x" });
    for path in ["/api/v1/reset-password", "/api/v1/report-sign-in"] {
        app.anonymous().post(path, body.clone()).await;
    }
    assert_eq!(links.len(), 2);
    links
}

fn find(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}

fn hex(token: &str) -> String {
    use base64::Engine;
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(token)
        .expect("a token is base64url");
    bytes[16..]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

// The files of SQLite byte by byte, or every table of PostgreSQL as text.
async fn everything_stored(app: &TestApp) -> Vec<u8> {
    let mut all = Vec::new();
    if kind() == DatabaseKind::Sqlite {
        for entry in std::fs::read_dir(app.data_dir()).expect("the folder is there") {
            let path = entry.expect("an entry").path();
            all.extend(std::fs::read(path).expect("a file"));
        }
        return all;
    }
    let rows = async |query: String| {
        let connection = app.side().reader();
        let statement = Statement::from_string(connection.get_database_backend(), query);
        let rows = connection
            .query_all_raw(statement)
            .await
            .expect("the database answers");
        rows.into_iter()
            .map(|row| row.try_get_by_index::<String>(0).expect("text"))
            .collect::<Vec<_>>()
    };
    let tables = rows(
        "SELECT quote_ident(tablename::text) FROM pg_tables WHERE schemaname = 'public'".to_owned(),
    )
    .await;
    assert!(tables.len() > 5, "{tables:?}");
    for table in tables {
        for row in rows(format!("SELECT row_to_json(t)::text FROM {table} t")).await {
            all.extend(row.into_bytes());
        }
    }
    all
}
