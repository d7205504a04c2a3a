//! What a request presents to prove who sends it, and how an answer hands out the next token.
//!
//! Strict on purpose: a name or value in any other spelling is not ours. Sources: RFC 6265bis, 5.7 and
//! 5.8; CVE-2020-8184, CVE-2022-36032, CVE-2023-23934 (names), CVE-2024-28197 (two cookies).

use http::{HeaderMap, HeaderName, HeaderValue, header};
use rollcall_core::Error;

use crate::service::Presented;
use crate::service::effects::{CookieEffect, TicketEffect};
use crate::service::secret::{EntryState, HostCredential, KeySecret, SignOnSecret, Ticket};
use crate::service::token::Token;

/// The session cookie's name. The prefix makes browsers insist on Secure, Path=/ and no Domain.
pub const COOKIE: &str = "__Host-rollcall";

/// The cookie of a sign-in that waits for its user to choose what ends.
pub const TICKET_COOKIE: &str = "__Host-rollcall-pending";

/// The cookie of a session on a protected host.
pub const HOST_COOKIE: &str = "__Host-rollcall-app";

/// The cookie that binds an entry to a protected host to one browser.
pub const STATE_COOKIE: &str = "__Host-rollcall-state";

/// The cookie that binds a sign-in elsewhere to one browser.
pub const SIGN_ON_COOKIE: &str = "__Host-rollcall-sso";

/// The header that carries a program's next token.
pub const SESSION_TOKEN: HeaderName = HeaderName::from_static("session-token");

/// The values of every cookie with exactly this name, over all `Cookie` headers.
fn cookies<'a>(headers: &'a HeaderMap, ours: &'static str) -> impl Iterator<Item = &'a [u8]> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b';'))
        .filter_map(move |pair| {
            let pair = trim(pair);
            let at = pair.iter().position(|byte| *byte == b'=')?;
            let (name, value) = (trim(&pair[..at]), trim(&pair[at + 1..]));
            (name == ours.as_bytes()).then_some(value)
        })
}

fn trim(bytes: &[u8]) -> &[u8] {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let from = bytes
        .iter()
        .position(|byte| !blank(byte))
        .unwrap_or(bytes.len());
    let to = bytes
        .iter()
        .rposition(|byte| !blank(byte))
        .map_or(from, |at| at + 1);
    &bytes[from..to]
}

/// Whether a cookie of ours came along that entitles to anything, readable or not.
pub fn has_cookie(headers: &HeaderMap) -> bool {
    let has = |name| cookies(headers, name).next().is_some();
    has(COOKIE) || has(TICKET_COOKIE)
}

/// The credential on a protected host that came along. Two are an error, as two sessions are.
pub fn host_credential(headers: &HeaderMap) -> Result<Option<HostCredential>, Error> {
    let mut values = cookies(headers, HOST_COOKIE);
    let first = values.next();
    if values.next().is_some() {
        return Err(Error::AmbiguousCredentials);
    }
    let text = first.and_then(|value| std::str::from_utf8(value).ok());
    Ok(text.and_then(HostCredential::parse))
}

/// A session's token as the only bearer.
pub fn bearer(headers: &HeaderMap) -> Option<Token> {
    let mut values = bearers(headers);
    let value = values.next().filter(|_| values.next().is_none())?;
    token(value)
}

/// What binds an entry to this browser, if it has it already.
pub fn entry_state(headers: &HeaderMap) -> Option<EntryState> {
    let mut values = cookies(headers, STATE_COOKIE);
    let value = values.next().filter(|_| values.next().is_none())?;
    EntryState::parse(std::str::from_utf8(value).ok()?)
}

/// Gives a browser what binds an entry to it, for ten minutes.
pub fn write_entry_state(state: &EntryState, headers: &mut HeaderMap) {
    let line = format!(
        "{STATE_COOKIE}={}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=600",
        *state.expose()
    );
    if let Some(value) = secret(&line) {
        headers.append(header::SET_COOKIE, value);
    }
}

/// Gives a browser its credential on a protected host, until it is closed: a new one costs nobody anything.
pub fn write_host_credential(credential: &HostCredential, headers: &mut HeaderMap) {
    let line = format!(
        "{HOST_COOKIE}={}; Path=/; Secure; HttpOnly; SameSite=Lax",
        *credential.expose()
    );
    if let Some(value) = secret(&line) {
        headers.append(header::SET_COOKIE, value);
    }
}

/// What binds a sign-in elsewhere to this browser, if it has it already.
pub fn sign_on_secret(headers: &HeaderMap) -> Option<SignOnSecret> {
    let mut values = cookies(headers, SIGN_ON_COOKIE);
    let value = values.next().filter(|_| values.next().is_none())?;
    SignOnSecret::parse(std::str::from_utf8(value).ok()?)
}

/// Gives a browser what binds a sign-in elsewhere to it, for ten minutes. Lax: it comes back from another site.
pub fn write_sign_on_secret(given: &SignOnSecret, headers: &mut HeaderMap) {
    let line = format!(
        "{SIGN_ON_COOKIE}={}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=600",
        *given.expose()
    );
    if let Some(value) = secret(&line) {
        headers.append(header::SET_COOKIE, value);
    }
}

/// The ticket that came along, if exactly one did.
pub fn ticket(headers: &HeaderMap) -> Option<Ticket> {
    let mut values = cookies(headers, TICKET_COOKIE);
    let value = values.next().filter(|_| values.next().is_none())?;
    Ticket::parse(std::str::from_utf8(value).ok()?)
}

// What follows "Bearer" (RFC 6750, 2.1). Other schemes are a proxy's business, not ours.
fn bearers(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    headers
        .get_all(header::AUTHORIZATION)
        .iter()
        .filter_map(|line| {
            let line = trim(line.as_bytes());
            let (scheme, rest) = line.split_at_checked(6)?;
            let bearer = scheme.eq_ignore_ascii_case(b"bearer");
            (bearer && rest.first().is_none_or(|byte| *byte == b' ')).then(|| trim(rest))
        })
}

/// Reads what a request presents. Never "the first one wins".
pub fn presented(headers: &HeaderMap) -> Presented {
    let mut cookies = cookies(headers, COOKIE);
    let mut bearers = bearers(headers);
    match (cookies.next(), bearers.next()) {
        (None, None) => Presented::Nothing,
        (Some(_), Some(_)) => Presented::Ambiguous,
        (Some(_), None) if cookies.next().is_some() => Presented::Ambiguous,
        (None, Some(_)) if bearers.next().is_some() => Presented::Ambiguous,
        (Some(value), None) => token(value).map_or(Presented::UnreadableCookie, Presented::Cookie),
        (None, Some(value)) => token(value)
            .map(Presented::Bearer)
            .or_else(|| key(value).map(Presented::Key))
            .unwrap_or(Presented::UnreadableBearer),
    }
}

fn token(value: &[u8]) -> Option<Token> {
    Token::parse(std::str::from_utf8(value).ok()?)
}

fn key(value: &[u8]) -> Option<KeySecret> {
    KeySecret::parse(std::str::from_utf8(value).ok()?)
}

/// Writes what an answer does to the cookie and hands a program its next token.
pub fn write(cookie: &CookieEffect, bearer: Option<&Token>, headers: &mut HeaderMap) {
    let line = match cookie {
        CookieEffect::Keep => None,
        CookieEffect::Set { token, max_age } => {
            let token = token.expose();
            let age = max_age
                .map(|seconds| format!("; Max-Age={seconds}"))
                .unwrap_or_default();
            Some(format!(
                "{COOKIE}={}; Path=/; Secure; HttpOnly; SameSite=Lax{age}",
                &*token
            ))
        }
        CookieEffect::Expire => Some(format!(
            "{COOKIE}=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0"
        )),
    };
    if let Some(value) = line.and_then(|line| secret(&line)) {
        headers.append(header::SET_COOKIE, value);
    }
    if let Some(value) = bearer.and_then(|token| secret(&token.expose())) {
        headers.insert(SESSION_TOKEN, value);
    }
}

/// Writes what an answer does to the cookie of a sign-in that waits. Strict: it is used on the page that the browser is
/// sent to from our own, and nowhere else.
pub fn write_ticket(ticket: &TicketEffect, headers: &mut HeaderMap) {
    const ATTRIBUTES: &str = "Path=/; Secure; HttpOnly; SameSite=Strict";
    let line = match ticket {
        TicketEffect::Keep => None,
        TicketEffect::Set { ticket, max_age } => Some(format!(
            "{TICKET_COOKIE}={}; {ATTRIBUTES}; Max-Age={max_age}",
            *ticket.expose()
        )),
        TicketEffect::Expire => Some(format!("{TICKET_COOKIE}=; {ATTRIBUTES}; Max-Age=0")),
    };
    if let Some(value) = line.and_then(|line| secret(&line)) {
        headers.append(header::SET_COOKIE, value);
    }
}

// Marked sensitive: its Debug shows nothing, and HTTP/2 keeps it out of its compression tables.
fn secret(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    // A well-formed token that no server ever issued.
    fn sample() -> String {
        format!("rc_s_{}", "A".repeat(64))
    }

    fn headers(list: &[(&'static str, &[u8])]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in list {
            headers.append(*name, HeaderValue::from_bytes(value).unwrap());
        }
        headers
    }

    fn kind(headers: &HeaderMap) -> &'static str {
        match presented(headers) {
            Presented::Nothing => "nothing",
            Presented::Cookie(_) => "cookie",
            Presented::Bearer(_) => "bearer",
            Presented::Key(_) => "key",
            Presented::UnreadableCookie | Presented::UnreadableBearer => "unreadable",
            Presented::Ambiguous => "ambiguous",
            Presented::Operator => "operator",
        }
    }

    #[test]
    fn only_the_exact_name_is_our_cookie() {
        let token = sample();
        for (text, expected) in [
            (format!("__Host-rollcall={token}"), "cookie"),
            (format!("a=b; __Host-rollcall={token}; c=d"), "cookie"),
            (format!(" \t__Host-rollcall = {token} "), "cookie"),
            (format!("a=b;__Host-rollcall={token}"), "cookie"),
            (format!("__host-rollcall={token}"), "nothing"),
            (format!("__HOST-rollcall={token}"), "nothing"),
            (format!("%5F%5FHost-rollcall={token}"), "nothing"),
            (format!("\"__Host-rollcall\"={token}"), "nothing"),
            (format!("=__Host-rollcall={token}"), "nothing"),
            (format!("__Host-rollcall2={token}"), "nothing"),
            (format!("a=\"; __Host-rollcall={token}\""), "unreadable"),
            (format!("__Host-rollcall=\"{token}\""), "unreadable"),
            (format!("__Host-rollcall={token}x"), "unreadable"),
            (
                format!("__Host-rollcall={token},__Host-rollcall={token}"),
                "unreadable",
            ),
            ("__Host-rollcall".to_owned(), "nothing"),
            ("__Host-rollcall=".to_owned(), "unreadable"),
            (String::new(), "nothing"),
            (";;;".to_owned(), "nothing"),
        ] {
            assert_eq!(
                kind(&headers(&[("cookie", text.as_bytes())])),
                expected,
                "{text}"
            );
        }
        let bytes = [b"__Host-rollcall=".as_slice(), b"\xff\xfe"].concat();
        assert_eq!(kind(&headers(&[("cookie", &bytes)])), "unreadable");
    }

    #[test]
    fn two_of_anything_are_ambiguous() {
        let token = sample();
        let cookie = format!("__Host-rollcall={token}");
        let twice = format!("{cookie}; {cookie}");
        let junk = format!("{cookie}; __Host-rollcall=x");
        let bearer = format!("Bearer {token}");
        for list in [
            vec![("cookie", twice.as_bytes())],
            vec![("cookie", junk.as_bytes())],
            vec![("cookie", cookie.as_bytes()), ("cookie", cookie.as_bytes())],
            vec![
                ("cookie", cookie.as_bytes()),
                ("authorization", bearer.as_bytes()),
            ],
            vec![
                ("cookie", b"__Host-rollcall=x".as_slice()),
                ("authorization", b"Bearer y".as_slice()),
            ],
            vec![
                ("authorization", bearer.as_bytes()),
                ("authorization", bearer.as_bytes()),
            ],
        ] {
            assert_eq!(kind(&headers(&list)), "ambiguous", "{list:?}");
        }
    }

    #[test]
    fn a_bearer_token_stands_after_its_scheme() {
        let token = sample();
        for (text, expected) in [
            (format!("Bearer {token}"), "bearer"),
            (format!("bearer   {token} "), "bearer"),
            (format!("Bearer {token}, Bearer {token}"), "unreadable"),
            ("Bearer".to_owned(), "unreadable"),
            ("Bearer ".to_owned(), "unreadable"),
            (format!("Bearer{token}"), "nothing"),
            (format!("Basic {token}"), "nothing"),
            (token.clone(), "nothing"),
        ] {
            assert_eq!(
                kind(&headers(&[("authorization", text.as_bytes())])),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn every_cookie_has_the_same_attributes() {
        let token = || Token::parse(&sample()).unwrap();
        let line = |cookie: CookieEffect| {
            let mut headers = HeaderMap::new();
            write(&cookie, None, &mut headers);
            headers
                .get("set-cookie")
                .map(|value| value.to_str().unwrap().to_owned())
        };
        let attributes = "; Path=/; Secure; HttpOnly; SameSite=Lax";
        assert_eq!(line(CookieEffect::Keep), None);
        assert_eq!(
            line(CookieEffect::Set {
                token: token(),
                max_age: None
            })
            .unwrap(),
            format!("__Host-rollcall={}{attributes}", sample())
        );
        assert_eq!(
            line(CookieEffect::Set {
                token: token(),
                max_age: Some(60)
            })
            .unwrap(),
            format!("__Host-rollcall={}{attributes}; Max-Age=60", sample())
        );
        assert_eq!(
            line(CookieEffect::Expire).unwrap(),
            format!("__Host-rollcall={attributes}; Max-Age=0")
        );
    }

    #[test]
    fn a_written_token_does_not_show_in_debug() {
        let mut headers = HeaderMap::new();
        let token = Token::parse(&sample()).unwrap();
        write(
            &CookieEffect::Set {
                token: Token::parse(&sample()).unwrap(),
                max_age: None,
            },
            Some(&token),
            &mut headers,
        );
        assert_eq!(headers["session-token"].to_str().unwrap(), sample());
        assert!(!format!("{headers:?}").contains("AAAA"));
    }
}
