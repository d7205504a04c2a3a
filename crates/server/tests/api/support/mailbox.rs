//! A mail server of the test's own: it takes what it is sent, as RFC 5321 says, and keeps it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// How it treats whoever connects.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mood {
    /// Takes every mail.
    Well,
    /// Hangs up at once.
    Dead,
    /// Takes a mail, and hangs up before it says so.
    LosesAnswers,
    /// Knows no such mailbox.
    KnowsNobody,
}

/// A mail as it was sent.
#[derive(Clone, Debug)]
pub(crate) struct Mail {
    /// Whom it was for, by the envelope.
    pub(crate) to: Vec<String>,
    /// Head and body.
    pub(crate) text: String,
}

/// A mail server. It is gone with the value.
pub(crate) struct Mailbox {
    port: u16,
    shared: Arc<Mutex<Shared>>,
    task: JoinHandle<()>,
}

struct Shared {
    mood: Mood,
    mails: Vec<Mail>,
    /// The commands of all connections.
    heard: Vec<String>,
}

impl Mailbox {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let shared = Arc::new(Mutex::new(Shared {
            mood: Mood::Well,
            mails: Vec::new(),
            heard: Vec::new(),
        }));
        let serving = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // One after another: nobody else sends.
                let _ = converse(stream, &serving).await;
            }
        });
        Self { port, shared, task }
    }

    /// The settings of a server that sends its mails here.
    pub(crate) fn settings(&self) -> Vec<String> {
        let port = self.port.to_string();
        [
            "--smtp-host",
            "127.0.0.1",
            "--smtp-port",
            &port,
            "--mail-from",
            "Rollcall <rollcall@rollcall.test>",
            "--public-url",
            "http://localhost:8080",
        ]
        .map(str::to_owned)
        .to_vec()
    }

    pub(crate) fn set(&self, mood: Mood) {
        self.lock().mood = mood;
    }

    /// Takes the mails that have come since.
    pub(crate) fn empty(&self) -> Vec<Mail> {
        std::mem::take(&mut self.lock().mails)
    }

    /// What was said to it, without the mails themselves.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.lock().heard.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Mail {
    /// A header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let (head, _) = self.text.split_once("\r\n\r\n")?;
        let mut lines = head.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// Where its link leads, without scheme and host.
    pub(crate) fn link(&self) -> Option<String> {
        let mut lines = self.text.lines();
        let link = lines.find_map(|line| line.strip_prefix("http://localhost:8080/"))?;
        Some(format!("/{link}"))
    }

    /// The secret of its link.
    pub(crate) fn secret(&self) -> String {
        let link = self.link().expect("a link");
        link.rsplit('/').next().expect("a secret").to_owned()
    }
}

async fn converse(stream: TcpStream, shared: &Mutex<Shared>) -> std::io::Result<()> {
    let lock = || shared.lock().unwrap_or_else(PoisonError::into_inner);
    let mood = lock().mood;
    if mood == Mood::Dead {
        return Ok(());
    }
    let (reader, mut writer) = stream.into_split();
    let mut lines = BufReader::new(reader).lines();
    writer.write_all(b"220 mail.test\r\n").await?;
    let mut to = Vec::new();
    while let Some(line) = lines.next_line().await? {
        lock().heard.push(line.clone());
        let verb = line.split([' ', ':']).next().unwrap_or_default();
        let answer: &[u8] = match verb.to_ascii_uppercase().as_str() {
            "EHLO" => b"250-mail.test\r\n250 8BITMIME\r\n",
            "RCPT" if mood == Mood::KnowsNobody => b"550 no such user\r\n",
            "RCPT" => {
                let address = line.split(['<', '>']).nth(1).unwrap_or_default();
                to.push(address.to_owned());
                b"250 ok\r\n"
            }
            "DATA" => {
                writer.write_all(b"354 go on\r\n").await?;
                let mut text = String::new();
                while let Some(line) = lines.next_line().await? {
                    if line == "." {
                        break;
                    }
                    text.push_str(line.strip_prefix('.').unwrap_or(&line));
                    text.push_str("\r\n");
                }
                let to = std::mem::take(&mut to);
                lock().mails.push(Mail { to, text });
                if mood == Mood::LosesAnswers {
                    return Ok(());
                }
                b"250 taken\r\n"
            }
            "QUIT" => {
                writer.write_all(b"221 bye\r\n").await?;
                return Ok(());
            }
            "MAIL" | "RSET" | "NOOP" => b"250 ok\r\n",
            _ => b"502 what\r\n",
        };
        writer.write_all(answer).await?;
    }
    Ok(())
}
