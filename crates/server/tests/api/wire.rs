//! The bytes on the connection: what could be read in two ways, what is too large, and what a running
//! server logs of it. Through the real listener, by plain sockets.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rollcall_server::http::listener;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::{DatabaseKind, TestApp, on};

/// Listens for a server in this process.
async fn listening(app: &TestApp) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(listener::serve(
        listener,
        app.router(),
        100,
        std::future::pending(),
    ));
    address
}

/// Says something, hangs up the speaking half only if it is told to, and listens to the end.
async fn say(address: SocketAddr, words: impl Into<Vec<u8>>) -> String {
    let words = words.into();
    tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).expect("a connection");
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .expect("a patience");
        // A server that has heard enough may close before everything is said.
        let _ = stream.write_all(&words);
        let mut text = Vec::new();
        let _ = stream.read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    })
    .await
    .expect("no panic")
}

fn statuses(answer: &str) -> Vec<&str> {
    let lines = answer.split("HTTP/1.1 ").skip(1);
    lines.map(|rest| &rest[..3]).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_could_be_read_in_two_ways_is_refused_and_the_connection_closed() {
    on(DatabaseKind::Sqlite, async {
        let (app, _, _) = TestApp::start().with_admin().await;
        let address = listening(&app).await;
        // What stands behind the body would be a request of its own, if somebody saw its end elsewhere.
        let hidden = "GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n";
        let post = "POST /api/v1/sign-out HTTP/1.1\r\nHost: localhost\r\n";
        for (what, words) in [
            ("two lengths", format!("{post}Content-Length: 0\r\nContent-Length: 41\r\n\r\n{hidden}")),
            ("two lengths in one line", format!("{post}Content-Length: 0, 41\r\n\r\n{hidden}")),
            ("a length with a sign", format!("{post}Content-Length: +0\r\n\r\n{hidden}")),
            ("a length below nothing", format!("{post}Content-Length: -1\r\n\r\n{hidden}")),
            ("a length in hexadecimal", format!("{post}Content-Length: 0x0\r\n\r\n{hidden}")),
            ("an unknown coding", format!("{post}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n{hidden}")),
            ("chunks that are not last", format!("{post}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n{hidden}")),
            ("a coding behind a tab", format!("{post}Transfer-Encoding:\u{b}chunked\r\n\r\n0\r\n\r\n{hidden}")),
            ("chunks in HTTP/1.0", format!("POST /api/v1/sign-out HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}")),
            ("a folded line", format!("{post}X: a\r\n b\r\n\r\n{hidden}")),
            ("a folded coding", format!("{post}Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n{hidden}")),
            ("a blank before the colon", format!("{post}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n{hidden}")),
            ("a bare CR", format!("{post}X: a\rTransfer-Encoding: chunked\r\n\r\n{hidden}")),
            ("a NUL", format!("{post}Cookie: __Host-rollcall=\0x\r\n\r\n{hidden}")),
            ("a chunk of no size", format!("{post}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n\r\n\r\n{hidden}")),
            ("a chunk of a huge size", format!("{post}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n{hidden}")),
            ("a chunk with a bare LF", format!("{post}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2\n{{}}\r\n0\r\n\r\n{hidden}")),
        ] {
            let answer = say(address, words).await;
            assert_eq!(statuses(&answer), ["400"], "{what}: {answer}");
        }
        let hosts = format!("{post}Host: evil.example\r\nConnection: close\r\n\r\n");
        assert_eq!(statuses(&say(address, hosts).await), ["400"]);
        // With chunks a length counts for nothing, and nothing is read behind them (RFC 9112, 6.3).
        // A bare LF ends a line like any other, and so hides nothing (RFC 9112, 2.2).
        for lengths in [
            ["", "Content-Length: 5\r\n"],
            ["Content-Length: 5\r\n", ""],
            ["Content-Length: 5\r\nX: a\n", ""],
        ] {
            let [before, after] = lengths;
            let words = format!("{post}Content-Type: application/json\r\n{before}Transfer-Encoding: chunked\r\n{after}\r\n2\r\n{{}}\r\n0\r\n\r\n{hidden}");
            let answer = say(address, words).await;
            assert_eq!(statuses(&answer), ["204"], "{lengths:?}: {answer}");
            assert!(answer.contains("connection: close"), "{answer}");
        }
        let sound = say(address, format!("{post}Content-Length: 0\r\n\r\nGET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")).await;
        assert_eq!(statuses(&sound), ["204", "200"], "{sound}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_large_is_refused_before_it_has_arrived() {
    on(DatabaseKind::Sqlite, async {
        let (app, _, admin) = TestApp::start().with_admin().await;
        let address = listening(&app).await;
        let post = "POST /api/v1/sign-in HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
        let endless = format!("{post}Content-Length: 1073741824\r\n\r\n");
        assert_eq!(statuses(&say(address, endless).await), ["413"], "nobody waits for the gigabyte");
        let mut chunks = format!("{post}Transfer-Encoding: chunked\r\n\r\n");
        for _ in 0..80 {
            chunks.push_str(&format!("400\r\n{}\r\n", " ".repeat(1024)));
        }
        // There is no last chunk: the answer comes all the same.
        assert_eq!(statuses(&say(address, chunks).await), ["413"]);
        let get = "GET /api/v1/me HTTP/1.1\r\nHost: localhost\r\n";
        for (what, head) in [
            ("ten thousand headers", "A: b\r\n".repeat(10_000)),
            ("a header of a megabyte", format!("A: {}\r\n", "b".repeat(1 << 20))),
            ("a cookie of a megabyte", format!("Cookie: __Host-rollcall={}\r\n", "b".repeat(1 << 20))),
        ] {
            let answer = say(address, format!("{get}{head}\r\n")).await;
            // A reset may overtake the answer while we still speak; let in it never is.
            assert!(matches!(&statuses(&answer)[..], [] | ["431"]), "{what}: {answer}");
        }
        let address_line = format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "a".repeat(1 << 20));
        let answer = say(address, address_line).await;
        assert!(matches!(&statuses(&answer)[..], [] | ["414"] | ["431"]), "{answer}");
        assert!(admin.is_signed_in().await);
    })
    .await;
}

/// A server as it is started by hand, which logs JSON. Killed when it is dropped.
struct Running {
    child: Child,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut child = Command::new(env!("CARGO_BIN_EXE_rollcall"))
            .args(["serve", "--listen", "127.0.0.1:0", "--log-format", "json"])
            .args(["--log-level", "debug", "--data-dir"])
            .arg(folder.path())
            .env_remove("ROLLCALL_DATABASE")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let out = BufReader::new(child.stdout.take().expect("its words"));
        let ready = "Rollcall is ready: http://";
        let line = out
            .lines()
            .map_while(Result::ok)
            .find(|line| line.starts_with(ready));
        let line = line.expect("it says where it is");
        let port = line
            .trim_end_matches('/')
            .rsplit(':')
            .next()
            .expect("a port");
        Self {
            address: SocketAddr::from(([127, 0, 0, 1], port.parse().expect("a port"))),
            child,
            _folder: folder,
        }
    }

    /// Stops it and answers all that it logged.
    fn log(mut self) -> Vec<u8> {
        let mut log = Vec::new();
        let mut stream = self.child.stderr.take().expect("its log");
        self.child.kill().expect("it runs");
        stream.read_to_end(&mut log).expect("its log ends");
        log
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_sent_the_log_is_one_json_line_for_each_event() {
    let running = tokio::task::spawn_blocking(Running::start)
        .await
        .expect("no panic");
    let address = running.address;
    let marks = [
        "mark-one\u{1b}[31m\u{1b}]0;owned\u{7}",
        "mark-two\u{202e}\u{2066}\u{2028}\u{2029}\u{85}",
        "mark-three\",\"level\":\"ERROR\",\"message\":\"forged",
        "mark-four\\u000a{\"level\":\"ERROR\"}",
        "mark-five%0d%0a%00",
    ];
    let mut asked = 0;
    for mark in marks {
        let encoded: String = mark.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let body = json!({ "email": format!("{mark}\r\n\0{mark}@acme.test"), "password": mark, "name": mark });
        let body = body.to_string();
        for words in [
            format!(
                "GET /{encoded}?q={encoded} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: {mark}\r\nConnection: close\r\n\r\n"
            ),
            format!(
                "GET /api/v1/me HTTP/1.1\r\nHost: {mark}\r\nX-Request-Id: {mark}\r\nConnection: close\r\n\r\n"
            ),
            format!(
                "GET /api/v1/me HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: {mark}\r\nReferer: {mark}\r\nConnection: close\r\n\r\n"
            ),
            format!(
                "MARK{} / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
                asked
            ),
            format!("GET /{mark} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"),
            format!(
                "POST /api/v1/sign-in HTTP/1.1\r\nHost: localhost\r\nUser-Agent: {mark}\r\nContent-Type: application/json\r\n\
                 Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            ),
        ] {
            let answer = say(address, words).await;
            assert_eq!(statuses(&answer).len(), 1, "{answer}");
            asked += 1;
        }
    }
    let log = tokio::task::spawn_blocking(|| running.log())
        .await
        .expect("no panic");
    let log = String::from_utf8(log).expect("UTF-8");
    let mut requests = 0;
    for line in log.lines() {
        let event: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"));
        let fields = event.as_object().expect("an object");
        assert!(
            fields.contains_key("timestamp") && fields.contains_key("level"),
            "{line}"
        );
        assert_ne!(event["level"], "ERROR", "{line}");
        requests += usize::from(event["message"] == "request");
        assert!(
            !line.chars().any(|c| c.is_control() || c == '\u{202e}'),
            "{line:?}"
        );
        assert!(
            !line.contains("mark-") && !line.contains("acme.test"),
            "{line}"
        );
    }
    assert!(
        requests >= asked / 2 && requests <= asked,
        "{requests} of {asked}"
    );
}
