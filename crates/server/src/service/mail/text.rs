//! The words of mails: plain text without anything that others have chosen but names of browsers and addresses.

use rollcall_core::{Timestamp, Zone};

use super::Shown;
use crate::db::mail::{Letter, LetterKind};

/// A link, with the secret that makes it one.
pub(super) enum Link {
    /// Sets a new password.
    Reset(Shown),
    /// Reports a sign-in.
    Report(Shown),
}

/// A mail in words.
pub(super) struct Written {
    pub(super) subject: &'static str,
    pub(super) body: String,
}

pub(super) fn write(letter: &Letter, link: Option<Link>, zone: &Zone, origin: &str) -> Written {
    let (subject, told) = words(letter.kind);
    let mut body = String::from("Hello,\n\n");
    paragraph(&mut body, told);
    facts(&mut body, letter, zone);
    if let Some(link) = link {
        let (ask, path, secret) = match &link {
            Link::Reset(secret) => (
                "Set a new password here:",
                "/reset-password/",
                secret.as_str(),
            ),
            Link::Report(secret) => (
                "If this was you, there is nothing to do. If it was not, report it here; the page asks before it does anything:",
                "/not-me/",
                secret.as_str(),
            ),
        };
        paragraph(&mut body, ask);
        // On a line of its own, and not within brackets, so that every reader of mails finds its end.
        body.push_str(&format!("{origin}{path}{secret}\n\n"));
        let until = time(letter.expires_at, zone);
        let once = format!(
            "The link can be used until {until}, once. Give it to nobody: whoever has it can use it."
        );
        paragraph(&mut body, &once);
    }
    paragraph(
        &mut body,
        match letter.kind {
            LetterKind::ResetLink => {
                "If you have not asked for this, do nothing: without the link nothing changes. A locked account stays locked."
            }
            LetterKind::Withdrawn => {
                "Later than that, ask for another link on the sign-in page. Nobody can sign in with the old password any more."
            }
            LetterKind::NewDevice => "My Sessions shows everything that is signed in as you.",
            LetterKind::Locked => {
                "Sessions that are open stay open. An administrator can unlock the account. If the attempts were not yours, tell them."
            }
            _ => "If this was not you, tell an administrator at once.",
        },
    );
    body.push_str("-- \n");
    let sent = format!("Sent by Rollcall at {origin}. Nobody reads answers to this mail.");
    paragraph(&mut body, &sent);
    Written { subject, body }
}

// In lines that are not too long to be read anywhere, and an empty one after them.
fn paragraph(body: &mut String, text: &str) {
    const WIDTH: usize = 72;
    let mut length = 0;
    for word in text.split(' ') {
        let more = word.chars().count();
        if length > 0 {
            let fits = length + 1 + more <= WIDTH;
            body.push(if fits { ' ' } else { '\n' });
            length = if fits { length + 1 } else { 0 };
        }
        body.push_str(word);
        length += more;
    }
    body.push_str("\n\n");
}

fn words(kind: LetterKind) -> (&'static str, &'static str) {
    match kind {
        LetterKind::ResetLink => (
            "Set a new password",
            "somebody, probably you, has asked for a new password for your account.",
        ),
        LetterKind::Withdrawn => (
            "Set a new password: your old one is void",
            "you have reported that a sign-in was not yours. All your sessions were ended, and your password is good for nothing any more.",
        ),
        LetterKind::NewDevice => (
            "New sign-in to your account",
            "somebody has signed in to your account from a browser or a network that was not seen with it before.",
        ),
        LetterKind::Locked => (
            "Your account was locked",
            "your account was locked, because too many wrong passwords were entered for it.",
        ),
        LetterKind::PasswordChanged => (
            "Your password was changed",
            "your password was changed, and all your other sessions were ended.",
        ),
        LetterKind::PasswordReset => (
            "Your password was changed",
            "a new password was set for your account by a link that was sent to this address, and all your sessions were ended.",
        ),
        LetterKind::PasswordResetByAdministrator => (
            "Your password was reset",
            "an administrator has reset your password, and all your sessions were ended. The administrator will give you a one-time password.",
        ),
        LetterKind::IdentityLinked => (
            "Single sign-on was linked to your account",
            "your account was linked to an identity provider: whoever signs in there as you is you here, too.",
        ),
    }
}

fn facts(body: &mut String, letter: &Letter, zone: &Zone) {
    let at = time(letter.created_at, zone);
    body.push_str(&format!("  When     {at}\n"));
    let lines = [("Browser", &letter.device), ("Address", &letter.ip)];
    for (name, value) in lines.into_iter().filter(|(_, value)| !value.is_empty()) {
        // Nothing that was sent to us begins a line of its own.
        let value: String = value
            .chars()
            .filter(|letter| !letter.is_control())
            .collect();
        body.push_str(&format!("  {name}  {value}\n"));
    }
    body.push('\n');
}

fn time(at: Timestamp, zone: &Zone) -> String {
    format!("{} {}", zone.civil(at), zone.name)
}
