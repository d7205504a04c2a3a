//! What must hold of every parser of foreign input, whatever the input. `parsers.rs` tries it on random
//! and mutated bytes in each run of the tests; the targets in `fuzz/` include this file and go on for as
//! long as one likes.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use rollcall_core::{AuditQuery, SessionQuery, query};
use rollcall_server::http::address::Proxies;
use rollcall_server::http::{credentials, user_agent, zone_cookie};
use rollcall_server::service::token::{LENGTH, Token};
use rollcall_server::service::{Presented, user_agent as agents};

// Each line is a header of its own; what can be none is left out, as the listener would.
fn headers(name: &HeaderName, data: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n') {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(name.clone(), value);
        }
    }
    headers
}

fn holds(data: &[u8], text: &str) -> bool {
    data.windows(text.len())
        .any(|window| window == text.as_bytes())
}

/// A session is only ever what stands there byte by byte, under exactly our name.
pub(crate) fn cookie(data: &[u8]) {
    let headers = headers(&header::COOKIE, data);
    let presented = credentials::presented(&headers);
    let ours = credentials::has_cookie(&headers);
    match presented {
        Presented::Nothing => assert!(!ours),
        Presented::Cookie(token) => {
            assert!(ours && holds(data, credentials::COOKIE) && holds(data, &token.expose()));
        }
        Presented::UnreadableCookie | Presented::Ambiguous => assert!(ours),
        Presented::Bearer(_) | Presented::Key(_) | Presented::UnreadableBearer => {
            panic!("a cookie is no bearer token")
        }
        Presented::Operator => panic!("no message says so"),
    }
    if let Some(zone) = zone_cookie(&headers) {
        assert!(zone.len() <= 64);
    }
}

/// A bearer token stands behind its scheme, once.
pub(crate) fn bearer(data: &[u8]) {
    let headers = headers(&header::AUTHORIZATION, data);
    match credentials::presented(&headers) {
        Presented::Bearer(token) => {
            assert!(holds(data, &token.expose()) && holds(&data.to_ascii_lowercase(), "bearer "));
        }
        Presented::Key(key) => {
            assert!(holds(data, &key.expose()) && holds(&data.to_ascii_lowercase(), "bearer "));
        }
        Presented::Nothing | Presented::UnreadableBearer | Presented::Ambiguous => {}
        Presented::Cookie(_) | Presented::UnreadableCookie => panic!("a bearer token is no cookie"),
        Presented::Operator => panic!("no message says so"),
    }
}

/// One text for each token, and one token for each text.
pub(crate) fn token(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Some(token) = Token::parse(text) {
        assert!(text.len() == LENGTH && *token.expose() == text);
    }
}

/// A list's address is refused with its parameter, or read; what was read is written and read alike.
pub(crate) fn query_string(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let pairs = query::pairs(&text);
    if let Ok(pairs) = &pairs {
        let borrowed: Vec<_> = pairs
            .iter()
            .map(|(name, value)| (name.as_str(), value.clone()))
            .collect();
        assert_eq!(query::pairs(&query::write(&borrowed)).as_ref(), Ok(pairs));
    }
    match SessionQuery::parse(&text) {
        Ok(read) => {
            assert!(pairs.is_ok());
            assert_eq!(SessionQuery::parse(&read.to_query()), Ok(read));
        }
        Err(error) => assert!(text.contains(&error.parameter) || pairs.is_ok()),
    }
    let lenient = SessionQuery::parse_leniently(&text);
    assert_eq!(SessionQuery::parse(&lenient.to_query()), Ok(lenient));
    if let Ok(read) = AuditQuery::parse(&text) {
        assert_eq!(AuditQuery::parse(&read.to_query()), Ok(read));
    }
}

/// A user agent is kept short, and names something short.
pub(crate) fn agent(data: &[u8]) {
    let headers = headers(&header::USER_AGENT, data);
    let kept = user_agent(&headers);
    assert!(kept.len() <= 512);
    for text in [kept.as_str(), &String::from_utf8_lossy(data)] {
        let named = agents::parse(text);
        assert!(
            named.browser.len() <= 64 && named.system.len() <= 64,
            "{named:?}"
        );
        let name = agents::session_name(&named);
        assert!(!name.is_empty() && name.chars().count() <= 80, "{name}");
        assert!(!name.chars().any(char::is_control), "{name:?}");
    }
}

/// Nobody is believed but listed proxies, and those never make a request fail.
pub(crate) fn forwarded(data: &[u8]) {
    let (choice, data) = data.split_first().unwrap_or((&0, &[]));
    let names = ["x-forwarded-for", "forwarded", "x-forwarded-proto"];
    let mut all = HeaderMap::new();
    for (bit, name) in names.into_iter().enumerate() {
        if choice & (1 << bit) != 0 {
            all.extend(headers(&HeaderName::from_static(name), data));
        }
    }
    let peer = IpAddr::from([10, 0, 0, 1]);
    let stranger = Proxies::new(Vec::new()).origination(peer, &all);
    assert_eq!((stranger.ip, stranger.https), (peer, None));
    let network = "10.0.0.0/8".parse().expect("a network");
    let trusted = Proxies::new(vec![network]).origination(peer, &all);
    assert_eq!(trusted.ip, trusted.ip.to_canonical());
    assert!(trusted.https.is_none() || choice & 0b110 != 0);
    assert!(trusted.ip == peer || choice & 0b011 != 0);
}
