//! The way to the mail server.

use std::time::{Duration, SystemTime};

use anyhow::Context;
use lettre::message::header::ContentTransferEncoding;
use lettre::message::header::{Header, HeaderName, HeaderValue};
use lettre::message::{Body, Mailbox, SinglePart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use rollcall_core::{Timestamp, Zone};

use super::text::{self, Link};
use crate::config::mail::{MailConfig, SmtpTls};
use crate::db::mail::Letter;

/// Connecting, and each answer of the server.
const PATIENCE: Duration = Duration::from_secs(10);
/// All of it.
const LONGEST: Duration = Duration::from_secs(45);

/// Why a mail was not sent. Closed and without free text: answers of mail servers have addresses in them, and go into the
/// log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Unsent {
    /// Nobody would ever take it.
    ForGood(&'static str),
    /// It is worth another attempt.
    ForNow(&'static str),
    /// No mail would have been taken.
    NobodyThere(&'static str),
}

/// Sends mails. Each has a connection of its own: there are few, and none is kept that could have gone stale.
pub(super) struct Sender {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    /// Where people reach this server.
    origin: String,
}

impl Sender {
    pub(super) fn new(config: &MailConfig, origin: &str) -> anyhow::Result<Self> {
        let protected = || {
            TlsParameters::new(config.host.clone())
                .with_context(|| format!("--smtp-host {}: TLS cannot be prepared", config.host))
        };
        let tls = match config.tls {
            SmtpTls::Implicit => Tls::Wrapper(protected()?),
            SmtpTls::Starttls => Tls::Required(protected()?),
            SmtpTls::None => Tls::None,
        };
        let mut builder =
            AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(config.host.as_str())
                .port(config.port)
                .tls(tls)
                .timeout(Some(PATIENCE))
                .hello_name(ClientId::Domain(host_of(origin).to_owned()));
        if let Some((name, password)) = &config.credentials {
            let credentials = Credentials::new(name.clone(), password.expose().to_owned());
            builder = builder.credentials(credentials);
        }
        Ok(Self {
            transport: builder.build(),
            from: config.from.clone(),
            origin: origin.to_owned(),
        })
    }

    pub(super) async fn send(
        &self,
        letter: &Letter,
        link: Option<Link>,
        zone: &Zone,
        now: Timestamp,
    ) -> Result<(), Unsent> {
        let message = self.message(letter, link, zone, now)?;
        match tokio::time::timeout(LONGEST, self.transport.send(message)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(judged(&error)),
            Err(_) => Err(Unsent::NobodyThere("no answer in time")),
        }
    }

    // What others have chosen stands in no header but the address, which is read by the rules of addresses: whatever could
    // begin another header is none.
    fn message(
        &self,
        letter: &Letter,
        link: Option<Link>,
        zone: &Zone,
        now: Timestamp,
    ) -> Result<Message, Unsent> {
        const NO_ADDRESS: Unsent = Unsent::ForGood("this is no address");
        if letter.email.chars().any(char::is_control) {
            return Err(NO_ADDRESS);
        }
        let to: Address = letter.email.parse().map_err(|_| NO_ADDRESS)?;
        let written = text::write(letter, link, zone, &self.origin);
        let seconds = u64::try_from(now.seconds()).unwrap_or_default();
        let date = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        // The same each time that it is sent, so that whoever gets it twice can tell.
        let id = format!("<{}@{}>", letter.id, host_of(&self.origin));
        Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(written.subject)
            .date(date)
            .message_id(Some(id))
            .header(AutoSubmitted)
            .singlepart(SinglePart::plain(as_it_is(written.body)))
            .map_err(|_| Unsent::ForGood("it cannot be written"))
    }
}

// A link is longer than the lines that encodings make, and one that is broken in two is none to people who read their mail
// as it came. Short lines of ASCII need no encoding (RFC 5322, 2.1.1 lets them have 998 characters); ours are that.
fn as_it_is(text: String) -> Body {
    let plain = text.is_ascii()
        && !text.contains(['\0', '\r'])
        && text.lines().all(|line| line.len() <= 998);
    if !plain {
        return Body::new(text);
    }
    let lines = text.replace('\n', "\r\n").into_bytes();
    Body::dangerous_pre_encoded(lines, ContentTransferEncoding::SevenBit)
}

// Only a mailbox that is not there is a reason to give up: a wrong password of our own or a full disk of theirs is mended.
fn judged(error: &lettre::transport::smtp::Error) -> Unsent {
    match error.status().map(u16::from) {
        Some(550 | 551 | 553) => Unsent::ForGood("no such mailbox"),
        Some(_) => Unsent::ForNow("refused"),
        None if error.is_timeout() => Unsent::NobodyThere("no answer in time"),
        None if error.is_tls() || is_of_tls(error) => {
            Unsent::NobodyThere("no TLS, or a certificate that is not accepted")
        }
        None if error.is_client() => Unsent::ForNow("not offered"),
        None => Unsent::NobodyThere("no connection"),
    }
}

// Where a handshake breaks off, what it broke off for stands beneath an error of the connection.
fn is_of_tls(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut beneath = Some(error);
    while let Some(error) = beneath {
        let within = error
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref);
        if error.is::<rustls::Error>() || within.is_some_and(|inner| inner.is::<rustls::Error>()) {
            return true;
        }
        beneath = error.source();
    }
    false
}

// The host without scheme and port; an address in an origin stands in brackets.
fn host_of(origin: &str) -> &str {
    let host = origin.split_once("://").map_or(origin, |(_, host)| host);
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// No vacation notice is to answer it (RFC 3834).
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::mail::LetterKind;
    use rollcall_core::UserId;
    use uuid::Uuid;

    fn sender() -> Sender {
        let config = MailConfig {
            host: "localhost".to_owned(),
            port: 25,
            tls: SmtpTls::None,
            credentials: None,
            from: "Rollcall <rollcall@acme.test>".parse().expect("a sender"),
        };
        Sender::new(&config, "https://rollcall.example:8443").expect("a sender")
    }

    fn letter(email: &str, device: &str) -> Letter {
        Letter {
            id: Uuid::nil(),
            user: UserId(Uuid::nil()),
            kind: LetterKind::Locked,
            email: email.to_owned(),
            session: None,
            device: device.to_owned(),
            ip: "192.0.2.7".to_owned(),
            proof: None,
            created_at: Timestamp::from_seconds(0),
            expires_at: Timestamp::from_seconds(60),
            step: 0,
        }
    }

    fn written(email: &str, device: &str) -> Result<String, Unsent> {
        let now = Timestamp::from_seconds(1_700_000_000);
        let message = sender().message(&letter(email, device), None, &Zone::default(), now)?;
        Ok(String::from_utf8(message.formatted()).expect("text"))
    }

    #[tokio::test]
    async fn nothing_that_others_wrote_begins_a_header() {
        for email in [
            "nora@acme.test\r\nBcc: eve@evil.test",
            "nora@acme.test\nSubject: x",
            "nora@acme.test, eve@evil.test",
            "nora@acme.test> <eve@evil.test",
            "nora\r\n@acme.test",
            "",
        ] {
            assert!(
                matches!(written(email, ""), Err(Unsent::ForGood(_))),
                "{email:?}"
            );
        }
        let mail =
            written("nora@acme.test", "Fire\r\nBcc: eve@evil.test\r\n\r\nfox").expect("a mail");
        let (head, body) = mail.split_once("\r\n\r\n").expect("head and body");
        assert!(!head.contains("Bcc") && !body.contains("\r\nBcc"), "{mail}");
        assert_eq!(head.matches("To: ").count(), 1, "{head}");
        assert!(
            head.contains("Message-ID: <00000000-0000-0000-0000-000000000000@rollcall.example>"),
            "{head}"
        );
        assert!(head.contains("Date: Tue, 14 Nov 2023 22:13:20"), "{head}");
        assert!(head.contains("Auto-Submitted: auto-generated"), "{head}");
    }

    #[tokio::test]
    async fn a_link_stands_whole_on_a_line_of_its_own() {
        let secret = "rc_n_0123456789012345678901234567890123456789012".to_owned();
        let link = Link::Report(secret.clone().into());
        let now = Timestamp::from_seconds(0);
        let letter = Letter {
            kind: LetterKind::NewDevice,
            ..letter("nora@acme.test", "Firefox on Linux")
        };
        let message = sender().message(&letter, Some(link), &Zone::default(), now);
        let mail = String::from_utf8(message.expect("a mail").formatted()).expect("text");
        let (head, body) = mail.split_once("\r\n\r\n").expect("head and body");
        assert!(head.contains("Content-Transfer-Encoding: 7bit"), "{head}");
        let expected = format!("https://rollcall.example:8443/not-me/{secret}");
        assert!(body.split("\r\n").any(|line| line == expected), "{body}");
        assert!(
            body.split("\r\n")
                .all(|line| line.len() <= 72 || line == expected)
        );
        assert_eq!(body.matches('\n').count(), body.matches("\r\n").count());
        assert!(
            body.contains("  Browser  Firefox on Linux\r\n  Address  192.0.2.7\r\n"),
            "{body}"
        );
    }

    #[test]
    fn the_host_is_named_without_its_port() {
        for (origin, host) in [
            ("https://rollcall.example", "rollcall.example"),
            ("http://localhost:8080", "localhost"),
            ("http://[::1]:8080", "[::1]"),
            ("http://[::1]", "[::1]"),
        ] {
            assert_eq!(host_of(origin), host);
        }
    }
}
