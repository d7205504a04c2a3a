//! How mails are sent.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use lettre::message::Mailbox;

use super::values::{Hidden, normal_host};

/// How the connection to the mail server is protected.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum SmtpTls {
    /// TLS from the first byte on (RFC 8314).
    Implicit,
    /// TLS before anything is said; a server that does not offer it is sent nothing.
    Starttls,
    /// None: only to this machine.
    None,
}

/// How mails are sent. Without a server, none are.
#[derive(Args, Clone, Debug)]
pub struct MailSettings {
    /// The mail server that sends what users are told, such as `smtp.example.org`. Without it no mail is sent. Needs
    /// `mail-from` and `public-url`.
    #[arg(long, env = "ROLLCALL_SMTP_HOST", value_name = "HOST", value_parser = host)]
    pub smtp_host: Option<String>,

    /// Its port. Without it, 465 for `implicit`, 587 for `starttls`, 25 for `none`.
    #[arg(long, env = "ROLLCALL_SMTP_PORT", value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub smtp_port: Option<u16>,

    /// How the connection to it is protected: `implicit` (TLS from the first byte on), `starttls` (required), `none` (only
    /// to a loopback address).
    #[arg(
        long,
        env = "ROLLCALL_SMTP_TLS",
        value_name = "MODE",
        default_value = "implicit"
    )]
    pub smtp_tls: SmtpTls,

    /// The name that it is signed in to with, if it asks for one.
    #[arg(long, env = "ROLLCALL_SMTP_USER", value_name = "NAME")]
    pub smtp_user: Option<String>,

    /// The password that goes with it. Better given in the environment or in a file than as a flag.
    #[arg(
        long,
        env = "ROLLCALL_SMTP_PASSWORD",
        value_name = "PASSWORD",
        hide_env_values = true,
        conflicts_with = "smtp_password_file"
    )]
    pub smtp_password: Option<Hidden>,

    /// A file that holds that password.
    #[arg(long, env = "ROLLCALL_SMTP_PASSWORD_FILE", value_name = "FILE")]
    pub smtp_password_file: Option<PathBuf>,

    /// Whom mails come from: `rollcall@example.org` or `Rollcall <rollcall@example.org>`.
    #[arg(long, env = "ROLLCALL_MAIL_FROM", value_name = "ADDRESS", value_parser = sender)]
    pub mail_from: Option<Mailbox>,
}

impl MailSettings {
    /// What no single setting can see. `has_address` tells whether links can be written.
    ///
    /// # Errors
    /// In words, with the setting to change.
    pub fn check(&self, has_address: bool) -> Result<(), String> {
        let has_password = self.smtp_password.is_some() || self.smtp_password_file.is_some();
        let Some(host) = &self.smtp_host else {
            return match (&self.smtp_user, has_password, &self.mail_from) {
                (None, false, None) => Ok(()),
                _ => Err(
                    "--smtp-user, --smtp-password and --mail-from need --smtp-host; write the name of the mail server"
                        .to_owned(),
                ),
            };
        };
        if self.mail_from.is_none() {
            return Err(format!(
                "--smtp-host {host} needs --mail-from; write the address that mails come from"
            ));
        }
        if !has_address {
            return Err(format!(
                "--smtp-host {host} needs --public-url, where the links of mails lead; write the address that people type"
            ));
        }
        if self.smtp_user.is_some() != has_password {
            return Err(
                "--smtp-user and --smtp-password (or --smtp-password-file) go together; write both or neither"
                    .to_owned(),
            );
        }
        let loopback = host == "localhost"
            || host
                .trim_matches(['[', ']'])
                .parse::<std::net::IpAddr>()
                .is_ok_and(|ip| ip.to_canonical().is_loopback());
        if self.smtp_tls == SmtpTls::None && !loopback {
            return Err(format!(
                "--smtp-tls none is refused for {host}: mails hold links that set passwords; write implicit or starttls"
            ));
        }
        Ok(())
    }
}

/// How mails are sent, checked.
#[derive(Clone, Debug)]
pub struct MailConfig {
    /// The mail server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub tls: SmtpTls,
    /// Name and password, if it asks for them.
    pub credentials: Option<(String, Hidden)>,
    /// Whom mails come from.
    pub from: Mailbox,
}

impl MailConfig {
    /// What the settings say; `None` where no mails are sent. `read` reads the password's file.
    ///
    /// # Errors
    /// Those of `read`.
    pub fn of<E>(
        settings: &MailSettings,
        read: impl FnOnce(&std::path::Path) -> Result<Hidden, E>,
    ) -> Result<Option<Self>, E> {
        let (Some(host), Some(from)) = (&settings.smtp_host, &settings.mail_from) else {
            return Ok(None);
        };
        let password = match (&settings.smtp_password, &settings.smtp_password_file) {
            (Some(password), _) => Some(password.clone()),
            (None, Some(path)) => Some(read(path)?),
            (None, None) => None,
        };
        let usual = match settings.smtp_tls {
            SmtpTls::Implicit => 465,
            SmtpTls::Starttls => 587,
            SmtpTls::None => 25,
        };
        Ok(Some(Self {
            host: host.clone(),
            port: settings.smtp_port.unwrap_or(usual),
            tls: settings.smtp_tls,
            credentials: settings.smtp_user.clone().zip(password),
            from: from.clone(),
        }))
    }
}

fn host(text: &str) -> Result<String, String> {
    let plain = text.trim();
    let name = normal_host(plain, true).filter(|name| !name.contains([':', '[', ']', '%']));
    let ip = plain.parse::<std::net::IpAddr>();
    match (name, ip) {
        (_, Ok(ip)) => Ok(ip.to_string()),
        (Some(name), _) => Ok(name),
        (None, Err(_)) => {
            Err("write a host name or an address, such as smtp.example.org".to_owned())
        }
    }
}

fn sender(text: &str) -> Result<Mailbox, String> {
    text.parse().map_err(|_| {
        "write an address, such as rollcall@example.org or Rollcall <rollcall@example.org>"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        mail: MailSettings,
    }

    fn read(words: &str) -> Result<MailSettings, String> {
        let line = Line::try_parse_from(std::iter::once("x").chain(words.split_whitespace()));
        let mail = line.map_err(|error| error.to_string())?.mail;
        mail.check(true).map(|()| mail)
    }

    #[test]
    fn mails_need_a_server_and_a_sender() {
        assert!(read("").is_ok());
        let mail = read("--smtp-host SMTP.example.org --mail-from rollcall@example.org").unwrap();
        let no_file = |_: &std::path::Path| Err(());
        let config = MailConfig::of(&mail, no_file).unwrap().expect("mails");
        assert_eq!(
            (config.host.as_str(), config.port),
            ("smtp.example.org", 465)
        );
        assert!(mail.check(false).unwrap_err().contains("--public-url"));
        for (words, named) in [
            ("--smtp-host a.example", "--mail-from"),
            ("--mail-from a@b.example", "--smtp-host"),
            ("--smtp-user nora", "--smtp-host"),
            ("--smtp-host a b.example", "b.example"),
            ("--smtp-host a/b --mail-from a@b.example", "host name"),
            (
                "--smtp-host a.example --mail-from nobody",
                "rollcall@example.org",
            ),
            (
                "--smtp-host a.example --mail-from a@b.example --smtp-user nora",
                "--smtp-password",
            ),
            (
                "--smtp-host a.example --mail-from a@b.example --smtp-tls none",
                "none",
            ),
            (
                "--smtp-host a.example --mail-from a@b.example --smtp-tls maybe",
                "starttls",
            ),
        ] {
            let problem = read(words).expect_err(words);
            assert!(problem.contains(named), "{words}: {problem}");
        }
    }

    #[test]
    fn only_this_machine_is_spoken_to_in_the_clear() {
        for (host, allowed) in [
            ("localhost", true),
            ("127.0.0.1", true),
            ("::1", true),
            ("127.0.0.1.example", false),
            ("192.0.2.1", false),
        ] {
            let words = format!("--smtp-host {host} --mail-from a@b.example --smtp-tls none");
            assert_eq!(read(&words).is_ok(), allowed, "{host}");
        }
    }
}
