//! What is known of a request before anything is done with it.

use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::Request;
use http::header;
use leptos::nonce::Nonce;

use super::address::Peer;
use super::{Http, applications, credentials, forward_auth, single_sign_on};
use crate::service::RequestFacts;
use crate::service::facts::LONGEST_USER_AGENT;

/// What part of the server an address belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Area {
    /// A page for people.
    Page,
    /// A server function of our own pages.
    Rpc,
    /// The REST API.
    Api,
    /// A call of OAuth within it: takes a form, and never rotates the token of whoever asks.
    OAuth,
    /// What proxies ask about others, and what browsers reach through them on protected hosts: no session of the asker's
    /// own is looked at.
    Proxied,
    /// The same for everyone: files, operations, descriptions.
    Open,
}

impl Area {
    pub(super) fn of(path: &str) -> Self {
        let under = |root: &str| {
            path.strip_prefix(root)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let open = [
            "/pkg",
            "/help",
            "/api/docs",
            "/api/openapi.json",
            "/healthz",
            "/readyz",
            "/metrics",
            "/.well-known",
        ];
        if forward_auth::is_of_proxies(path) {
            Self::Proxied
        } else if open.into_iter().any(under) || matches!(path, "/favicon.svg" | "/robots.txt") {
            Self::Open
        } else if applications::takes_forms(path) || single_sign_on::takes_forms(path) {
            Self::OAuth
        } else if under("/api") {
            Self::Api
        } else if under("/rpc") {
            Self::Rpc
        } else {
            Self::Page
        }
    }
}

/// A request, before we know who sent it.
#[derive(Debug)]
pub(super) struct Asked {
    /// Its id, in the answer, the log and the audit trail.
    pub(super) id: String,
    pub(super) area: Area,
    pub(super) path: String,
    pub(super) ip: IpAddr,
    /// The scheme, where we know it: `--public-url` or a trusted proxy tells.
    pub(super) scheme: Option<bool>,
    /// Whether it surely came by https.
    pub(super) https: bool,
    /// The host that it asks for, with its port.
    pub(super) host: Option<String>,
    /// Whether it came from a proxy that is listed.
    pub(super) by_proxy: bool,
    /// Whether the sender wants a page rather than data.
    pub(super) wants_html: bool,
    /// Set by a page with inline scripts.
    pub(super) nonce: OnceLock<Nonce>,
}

impl Asked {
    pub(super) fn read(http: &Http, request: &Request) -> Self {
        let headers = request.headers();
        let peer = request
            .extensions()
            .get::<Peer>()
            .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip());
        let origination = http.proxies.origination(peer, headers);
        let scheme = origination
            .https
            .or(http.public.as_ref().map(|public| public.https));
        let host = request
            .uri()
            .authority()
            .map(|authority| authority.as_str().to_owned())
            .or_else(|| Some(headers.get(header::HOST)?.to_str().ok()?.to_owned()));
        let path = request.uri().path();
        Self {
            id: http.request_ids.next(http.service.now()),
            area: Area::of(path),
            path: path.to_owned(),
            ip: origination.ip,
            scheme,
            https: scheme == Some(true),
            host,
            by_proxy: http.proxies.trusts(peer),
            wants_html: accepts_html(headers),
            nonce: OnceLock::new(),
        }
    }

    /// What the rules need to know.
    pub(super) fn facts(&self, request: &Request) -> RequestFacts {
        RequestFacts {
            ip: self.ip,
            user_agent: user_agent(request.headers()),
            request_id: self.id.clone(),
            https_needed: !self.https && !self.host.as_deref().is_some_and(is_loopback_host),
            browser_zone: zone_cookie(request.headers()),
            ticket: credentials::ticket(request.headers()),
        }
    }
}

/// Whether a page is wanted, as leptos_axum tells a form from its own client.
pub(super) fn accepts_html(headers: &http::HeaderMap) -> bool {
    headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.contains("text/html"))
}

/// The user agent as it is kept: at most `LONGEST_USER_AGENT` bytes, cut at a character's border; bytes
/// that are no UTF-8 become U+FFFD.
pub fn user_agent(headers: &http::HeaderMap) -> String {
    let bytes = headers
        .get(header::USER_AGENT)
        .map_or(&[][..], |value| value.as_bytes());
    let mut text =
        String::from_utf8_lossy(&bytes[..bytes.len().min(LONGEST_USER_AGENT)]).into_owned();
    while text.len() > LONGEST_USER_AGENT {
        text.pop();
    }
    text
}

/// The browser's time zone. The client notes it in this cookie; anyone can write anything into it, and the
/// service takes only the names that it knows.
pub fn zone_cookie(headers: &http::HeaderMap) -> Option<String> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, value)| *name == "rollcall-zone" && value.len() <= 64)
        .map(|(_, value)| value.replace("%2F", "/"))
}

// Browsers trust these without https.
fn is_loopback_host(host: &str) -> bool {
    let name = host
        .rsplit_once(':')
        .filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()))
        .map_or(host, |(name, _)| name);
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || name.to_ascii_lowercase().ends_with(".localhost")
        || name
            .parse::<IpAddr>()
            .is_ok_and(|ip| ip.to_canonical().is_loopback())
}

/// Makes ids of requests: ordered by time like a UUIDv7, and unique within the process. They are no
/// secret, so they cost no randomness of the operating system.
#[derive(Debug, Default)]
pub(super) struct RequestIds {
    key: RandomState,
    count: AtomicU64,
}

impl RequestIds {
    fn next(&self, now: rollcall_core::Timestamp) -> String {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let mut bytes = [0; 10];
        bytes[..8].copy_from_slice(&self.key.hash_one(count).to_be_bytes());
        // The low bits of the count keep two ids of one millisecond apart, whatever the hash.
        bytes[8..].copy_from_slice(&count.to_be_bytes()[6..]);
        let milliseconds = u64::try_from(now.0 / 1_000).unwrap_or_default();
        uuid::Builder::from_unix_timestamp_millis(milliseconds, &bytes)
            .into_uuid()
            .to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, HeaderValue};

    #[test]
    fn every_address_belongs_somewhere() {
        for (path, area) in [
            ("/", Area::Page),
            ("/sessions", Area::Page),
            ("/apiary", Area::Page),
            ("/api", Area::Api),
            ("/api/v1/me", Area::Api),
            ("/api/UserRequests", Area::Api),
            ("/api/openapi.json", Area::Open),
            ("/api/openapi.jsonx", Area::Api),
            ("/api/v1/introspect", Area::OAuth),
            ("/api/v1/revoke", Area::OAuth),
            ("/api/v1/revoke/", Area::Api),
            ("/api/docs/try.js", Area::Open),
            ("/rpc/sign_in", Area::Rpc),
            ("/pkg/rollcall-client.js", Area::Open),
            ("/metrics", Area::Open),
            ("/auth/verify", Area::Proxied),
            ("/auth/verify/", Area::Page),
            ("/auth/start", Area::Page),
            ("/.rollcall/start", Area::Proxied),
            ("/.rollcall", Area::Page),
        ] {
            assert_eq!(Area::of(path), area, "{path}");
        }
    }

    #[test]
    fn a_user_agent_is_short_and_readable() {
        let cut = |bytes: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.insert(header::USER_AGENT, HeaderValue::from_bytes(bytes).unwrap());
            user_agent(&headers)
        };
        assert_eq!(cut(b"curl/8.5"), "curl/8.5");
        assert!(cut(&[0xff; 600]).len() <= LONGEST_USER_AGENT);
        assert!(cut("é".repeat(400).as_bytes()).starts_with("éé"));
        assert_eq!(user_agent(&HeaderMap::new()), "");
    }

    #[test]
    fn loopback_needs_no_https() {
        for (host, loopback) in [
            ("localhost:8080", true),
            ("LOCALHOST", true),
            ("app.localhost", true),
            ("127.0.0.1:8080", true),
            ("[::1]:8080", true),
            ("localhost.example", false),
            ("192.0.2.1:8080", false),
        ] {
            assert_eq!(is_loopback_host(host), loopback, "{host}");
        }
    }

    #[test]
    fn request_ids_differ_and_are_version_seven() {
        let ids = RequestIds::default();
        let made: std::collections::HashSet<_> = (0..10_000)
            .map(|_| ids.next(rollcall_core::Timestamp(1)))
            .collect();
        assert_eq!(made.len(), 10_000);
        assert!(
            made.iter()
                .all(|id| id.len() == 36 && id.as_bytes()[14] == b'7')
        );
    }
}
