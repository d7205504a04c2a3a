//! Where a request comes from. Forwarded headers count only from proxies that are listed
//! (`--trusted-proxy`, none by default), and then only what the nearest of them wrote.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};

use http::{HeaderMap, HeaderName, header};
use ipnet::IpNet;

use crate::config::plain;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The other end of the connection, as the listener saw it.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// What a request's address and scheme are taken to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Origination {
    /// The client's address, IPv4 where it is one.
    pub ip: IpAddr,
    /// The scheme, if a trusted proxy told it: `Some(true)` is https.
    pub https: Option<bool>,
}

/// The proxies that are trusted.
#[derive(Debug, Default)]
pub struct Proxies {
    trusted: Vec<IpNet>,
    warned: AtomicBool,
}

impl Proxies {
    /// Trusts these, and no others.
    pub fn new(trusted: Vec<IpNet>) -> Self {
        Self {
            trusted,
            warned: AtomicBool::new(false),
        }
    }

    /// Whether the headers of this address count.
    pub fn trusts(&self, ip: IpAddr) -> bool {
        let ip = plain(ip);
        self.trusted.iter().any(|network| network.contains(&ip))
    }

    /// Where a request comes from. What cannot be read never makes it fail: then it is the peer.
    pub fn origination(&self, peer: IpAddr, headers: &HeaderMap) -> Origination {
        let peer = plain(peer);
        let x_forwarded = headers.contains_key(X_FORWARDED_FOR);
        let forwarded = headers.contains_key(header::FORWARDED);
        if !self.trusts(peer) {
            if (x_forwarded || forwarded || headers.contains_key(X_FORWARDED_PROTO))
                && !self.warned.swap(true, Ordering::Relaxed)
            {
                tracing::warn!(
                    peer.ip = %peer,
                    "forwarded headers came from an address that is no trusted proxy and were ignored; \
                     if it is your proxy, start with --trusted-proxy {peer}"
                );
            }
            return Origination {
                ip: peer,
                https: None,
            };
        }
        let by_list = x_forwarded.then(|| self.nearest(peer, list(headers)));
        let by_standard = forwarded.then(|| self.nearest(peer, elements(headers, "for")));
        let ip = match (by_list, by_standard) {
            (Some(ip), None) | (None, Some(ip)) => ip,
            // A proxy writes one of the two and may pass the other on as the client sent it. Where they
            // differ, neither can be believed.
            (Some(one), Some(other)) if one == other => one,
            _ => peer,
        };
        let https = match headers.get_all(X_FORWARDED_PROTO).iter().next_back() {
            Some(value) => value.to_str().ok().and_then(|text| scheme(last(text))),
            None if forwarded => elements(headers, "proto")
                .next()
                .flatten()
                .and_then(|text| scheme(&text)),
            None => None,
        };
        Origination { ip, https }
    }

    // From the right: each trusted proxy vouches for what stands left of it. The first address that is
    // not trusted is the client; where one cannot be read, its writer is all we know.
    fn nearest(
        &self,
        peer: IpAddr,
        from_the_right: impl Iterator<Item = Option<String>>,
    ) -> IpAddr {
        let mut known = peer;
        for text in from_the_right {
            match text.as_deref().and_then(address) {
                Some(ip) => known = ip,
                None => return peer,
            }
            if !self.trusts(known) {
                break;
            }
        }
        known
    }
}

fn last(list: &str) -> &str {
    list.rsplit(',').next().unwrap_or_default().trim()
}

fn scheme(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "https" => Some(true),
        "http" => Some(false),
        _ => None,
    }
}

fn list(headers: &HeaderMap) -> impl Iterator<Item = Option<String>> {
    headers
        .get_all(X_FORWARDED_FOR)
        .iter()
        .rev()
        .flat_map(|line| match line.to_str() {
            Ok(text) => text
                .rsplit(',')
                .map(|part| Some(part.trim().to_owned()))
                .collect::<Vec<_>>(),
            Err(_) => vec![None],
        })
}

// RFC 7239, 4: elements divided by commas, pairs by semicolons, values perhaps quoted. A comma or
// semicolon inside quotes occurs in no address; such an element just cannot be read.
fn elements<'a>(
    headers: &'a HeaderMap,
    name: &'a str,
) -> impl Iterator<Item = Option<String>> + 'a {
    headers
        .get_all(header::FORWARDED)
        .iter()
        .rev()
        .flat_map(move |line| match line.to_str() {
            Ok(text) => text
                .rsplit(',')
                .map(|element| {
                    element.split(';').find_map(|pair| {
                        let (key, value) = pair.split_once('=')?;
                        key.trim()
                            .eq_ignore_ascii_case(name)
                            .then(|| value.trim().trim_matches('"').to_owned())
                    })
                })
                .collect::<Vec<_>>(),
            Err(_) => vec![None],
        })
}

// `203.0.113.7`, `203.0.113.7:4711`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:4711`.
fn address(text: &str) -> Option<IpAddr> {
    let ip = text
        .parse::<IpAddr>()
        .or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()))
        .ok()
        .or_else(|| text.strip_prefix('[')?.strip_suffix(']')?.parse().ok())?;
    Some(plain(ip))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn found(
        trusted: &[&str],
        peer: &str,
        list: &[(&'static str, &str)],
    ) -> (String, Option<bool>) {
        let mut headers = HeaderMap::new();
        for (name, value) in list {
            headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let trusted = trusted
            .iter()
            .map(|text| crate::config::values::network(text).unwrap())
            .collect();
        let found = Proxies::new(trusted).origination(peer.parse().unwrap(), &headers);
        (found.ip.to_string(), found.https)
    }

    #[test]
    fn nobody_is_believed_by_default() {
        for header in [
            ("x-forwarded-for", "1.2.3.4"),
            ("forwarded", "for=1.2.3.4"),
            ("x-real-ip", "1.2.3.4"),
        ] {
            assert_eq!(
                found(&[], "127.0.0.1", &[header, ("x-forwarded-proto", "https")]),
                ("127.0.0.1".into(), None)
            );
            assert_eq!(
                found(&["10.0.0.0/8"], "192.0.2.1", &[header]).0,
                "192.0.2.1"
            );
        }
    }

    #[test]
    fn the_right_most_untrusted_address_is_the_client() {
        let proxies = ["10.0.0.0/8", "::1"];
        for (line, expected) in [
            ("203.0.113.7", "203.0.113.7"),
            ("6.6.6.6, 203.0.113.7", "203.0.113.7"),
            ("6.6.6.6, 203.0.113.7, 10.0.0.2", "203.0.113.7"),
            ("203.0.113.7:4711", "203.0.113.7"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
            ("10.0.0.3, 10.0.0.2", "10.0.0.3"),
            ("unknown", "10.0.0.1"),
            ("6.6.6.6, unknown", "10.0.0.1"),
            ("6.6.6.6, , 10.0.0.2", "10.0.0.1"),
            ("999.1.1.1", "10.0.0.1"),
            ("", "10.0.0.1"),
            ("203.0.113.7' OR 1=1", "10.0.0.1"),
            ("junk, 203.0.113.7", "203.0.113.7"),
        ] {
            assert_eq!(
                found(&proxies, "10.0.0.1", &[("x-forwarded-for", line)]).0,
                expected,
                "{line:?}"
            );
        }
        let twice = [
            ("x-forwarded-for", "6.6.6.6"),
            ("x-forwarded-for", "203.0.113.7"),
        ];
        assert_eq!(found(&proxies, "::ffff:10.0.0.1", &twice).0, "203.0.113.7");
    }

    #[test]
    fn the_standard_header_is_read_too() {
        for (line, expected, https) in [
            ("for=203.0.113.7", "203.0.113.7", None),
            (
                "For=\"[2001:db8::1]:4711\";proto=https",
                "2001:db8::1",
                Some(true),
            ),
            (
                "for=6.6.6.6;proto=https, for=203.0.113.7;proto=http",
                "203.0.113.7",
                Some(false),
            ),
            ("for=_hidden", "10.0.0.1", None),
            ("by=10.0.0.1", "10.0.0.1", None),
        ] {
            assert_eq!(
                found(&["10.0.0.1"], "10.0.0.1", &[("forwarded", line)]),
                (expected.into(), https),
                "{line}"
            );
        }
    }

    #[test]
    fn two_headers_that_differ_are_both_disbelieved() {
        let both = [
            ("x-forwarded-for", "203.0.113.7"),
            ("forwarded", "for=6.6.6.6"),
        ];
        assert_eq!(found(&["10.0.0.1"], "10.0.0.1", &both).0, "10.0.0.1");
        let same = [
            ("x-forwarded-for", "203.0.113.7"),
            ("forwarded", "for=203.0.113.7"),
        ];
        assert_eq!(found(&["10.0.0.1"], "10.0.0.1", &same).0, "203.0.113.7");
    }

    #[test]
    fn the_nearest_proxy_tells_the_scheme() {
        for (line, https) in [
            ("https", Some(true)),
            ("https, http", Some(false)),
            ("gopher", None),
        ] {
            assert_eq!(
                found(&["10.0.0.1"], "10.0.0.1", &[("x-forwarded-proto", line)]).1,
                https,
                "{line}"
            );
        }
    }
}
