//! The one client of HTTP that the server itself has: for what administrators tell it to speak with (receivers of events,
//! identity providers). It connects to the public internet, and to what `--allow-outbound` lists.
//!
//! An address is judged once it is resolved, and what was judged is what is connected to: a name that answers something
//! else the second time (DNS rebinding) gains nothing. Redirects are not followed, proxies from the environment not asked,
//! cookies not kept. An answer takes ten seconds and one mebibyte at most.

use std::error::Error as StdError;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Method, StatusCode};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, Response, Url};
use tokio::sync::OnceCell;

use crate::config::outbound::AllowedTarget;

/// Connecting, asking and reading the answer, all together.
const PATIENCE: Duration = Duration::from_secs(10);
/// The most that is read of an answer, in bytes.
const LARGEST_ANSWER: usize = 1024 * 1024;
/// The longest address, in bytes.
pub const LONGEST_URL: usize = 2_000;

/// Why nothing was heard. Closed and without free text: it stands in lists and in answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum OutboundError {
    /// Not an address that the server could ask.
    #[error("this is no address of the web")]
    Malformed,
    /// `http` to a host that is not listed.
    #[error("the address must begin with https")]
    NotHttps,
    /// Every address of the host is one that is not connected to.
    #[error("the address is not on the public internet and not allowed by --allow-outbound")]
    Refused,
    /// No name, no connection, no TLS, or it broke off.
    #[error("it cannot be reached")]
    Unreachable,
    /// No whole answer within ten seconds.
    #[error("it did not answer in time")]
    TimedOut,
    /// More than one mebibyte was answered.
    #[error("its answer is too large")]
    TooLarge,
}

/// What was answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status. A redirect is an answer like any other.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body: foreign, and to be shown to nobody.
    pub body: Vec<u8>,
}

/// The client. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct Outbound {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    guard: Guard,
    patience: Duration,
    // Made when first needed: it reads the certificates of this machine's authorities.
    client: OnceCell<Client>,
}

impl Outbound {
    /// A client that may connect to the public internet and to `allowed`.
    pub fn new(allowed: Vec<AllowedTarget>) -> Self {
        Self::with_patience(allowed, PATIENCE)
    }

    fn with_patience(allowed: Vec<AllowedTarget>, patience: Duration) -> Self {
        Self {
            inner: Arc::new(Inner {
                guard: Guard {
                    allowed: allowed.into(),
                },
                patience,
                client: OnceCell::new(),
            }),
        }
    }

    /// Whether this is an address that may be asked, as it stands: `https`, or `http` to what is listed, without a user
    /// name in it, and of an address, if it is one, that is not refused. Asks nobody.
    ///
    /// # Errors
    /// `Malformed`, `NotHttps`, `Refused`.
    pub fn read(&self, url: &str) -> Result<Url, OutboundError> {
        if url.len() > LONGEST_URL {
            return Err(OutboundError::Malformed);
        }
        let url = Url::parse(url).map_err(|_| OutboundError::Malformed)?;
        let host = url.host_str().ok_or(OutboundError::Malformed)?;
        let decorated = !url.username().is_empty() || url.password().is_some();
        if decorated || url.fragment().is_some() || !matches!(url.scheme(), "http" | "https") {
            return Err(OutboundError::Malformed);
        }
        let guard = &self.inner.guard;
        let ip = host.trim_matches(['[', ']']).parse::<IpAddr>().ok();
        let listed = guard.names(host) || ip.is_some_and(|ip| guard.holds(ip));
        if !listed && ip.is_some_and(|ip| !is_public(ip)) {
            return Err(OutboundError::Refused);
        }
        if !listed && url.scheme() == "http" {
            return Err(OutboundError::NotHttps);
        }
        Ok(url)
    }

    /// As `read`, and looks up what addresses the host has now. For the moment in which somebody writes it down; each
    /// connection looks anew.
    ///
    /// # Errors
    /// As `read`; `Refused`, if none of them may be connected to; `Unreachable`, if there is no such name.
    pub async fn check(&self, url: &str) -> Result<Url, OutboundError> {
        let read = self.read(url)?;
        let host = read.host_str().unwrap_or_default();
        if host.trim_matches(['[', ']']).parse::<IpAddr>().is_err() {
            let resolving = self.inner.guard.resolve(host.to_owned());
            let resolved = tokio::time::timeout(self.inner.patience, resolving).await;
            resolved.map_err(|_| OutboundError::TimedOut)??;
        }
        Ok(read)
    }

    /// Asks for what is there.
    ///
    /// # Errors
    /// Any of `OutboundError`; a status is none.
    pub async fn get(&self, url: &str, headers: HeaderMap) -> Result<Answer, OutboundError> {
        self.send(Method::GET, url, headers, Vec::new()).await
    }

    /// Sends something there. Its type is among the headers.
    ///
    /// # Errors
    /// As `get`.
    pub async fn post(
        &self,
        url: &str,
        headers: HeaderMap,
        body: Vec<u8>,
    ) -> Result<Answer, OutboundError> {
        self.send(Method::POST, url, headers, body).await
    }

    async fn send(
        &self,
        method: Method,
        url: &str,
        headers: HeaderMap,
        body: Vec<u8>,
    ) -> Result<Answer, OutboundError> {
        let url = self.read(url)?;
        let client = self.client().await?;
        let asked = client.request(method, url).headers(headers).body(body);
        let asking = async { whole(asked.send().await.map_err(|error| cause(&error))?).await };
        let answered = tokio::time::timeout(self.inner.patience, asking).await;
        answered.unwrap_or(Err(OutboundError::TimedOut))
    }

    async fn client(&self) -> Result<&Client, OutboundError> {
        let made = self.inner.client.get_or_try_init(|| async {
            // Two in one process install it twice, which is fine.
            let _ = rustls::crypto::ring::default_provider().install_default();
            Client::builder()
                .user_agent(concat!("rollcall/", env!("CARGO_PKG_VERSION")))
                .redirect(reqwest::redirect::Policy::none())
                .no_proxy()
                .referer(false)
                .dns_resolver(Arc::new(self.inner.guard.clone()))
                .pool_max_idle_per_host(4)
                .build()
        });
        made.await.map_err(|error| {
            tracing::error!(error = %error, "no connections to elsewhere can be made");
            OutboundError::Unreachable
        })
    }
}

async fn whole(mut response: Response) -> Result<Answer, OutboundError> {
    let mut body = Vec::new();
    while let Some(part) = response.chunk().await.map_err(|error| cause(&error))? {
        if body.len() + part.len() > LARGEST_ANSWER {
            return Err(OutboundError::TooLarge);
        }
        body.extend_from_slice(&part);
    }
    Ok(Answer {
        status: response.status(),
        headers: std::mem::take(response.headers_mut()),
        body,
    })
}

// What the resolver has refused comes back wrapped into what could not be connected.
fn cause(error: &reqwest::Error) -> OutboundError {
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(ours) = error.downcast_ref::<OutboundError>() {
            return *ours;
        }
        next = error.source();
    }
    match error.is_timeout() {
        true => OutboundError::TimedOut,
        false => OutboundError::Unreachable,
    }
}

/// Resolves names, and keeps of their addresses those that may be connected to.
#[derive(Clone)]
struct Guard {
    allowed: Arc<[AllowedTarget]>,
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.allowed.iter()).finish()
    }
}

impl Guard {
    fn names(&self, host: &str) -> bool {
        self.allowed.iter().any(|target| target.names(host))
    }

    fn holds(&self, ip: IpAddr) -> bool {
        self.allowed.iter().any(|target| target.holds(ip))
    }

    async fn resolve(&self, host: String) -> Result<Vec<SocketAddr>, OutboundError> {
        // The port is that of the address; zero stands for it until then.
        let found = tokio::net::lookup_host((host.as_str(), 0)).await;
        let found = found.map_err(|_| OutboundError::Unreachable)?;
        self.sift(&host, found.collect())
    }

    fn sift(
        &self,
        host: &str,
        mut found: Vec<SocketAddr>,
    ) -> Result<Vec<SocketAddr>, OutboundError> {
        if found.is_empty() {
            return Err(OutboundError::Unreachable);
        }
        if !self.names(host) {
            found.retain(|address| is_public(address.ip()) || self.holds(address.ip()));
        }
        match found.is_empty() {
            true => Err(OutboundError::Refused),
            false => Ok(found),
        }
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let (guard, host) = (self.clone(), name.as_str().to_owned());
        Box::pin(async move {
            let found = Guard::resolve(&guard, host).await?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// Whether an address is on the public internet: globally reachable unicast by the registries of special-purpose addresses
/// (RFC 6890), and none that clouds keep for themselves. What carries an IPv4 address is judged by that.
pub fn is_public(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let special = match (a, b, c) {
        // This network, loopback, private, multicast and all beyond.
        (0 | 10 | 127 | 224.., _, _) => true,
        // Shared address space of carriers (RFC 6598).
        (100, 64..=127, _) => true,
        // Link-local, with the metadata of most clouds.
        (169, 254, _) => true,
        (172, 16..=31, _) => true,
        // Protocol assignments, documentation, 6to4 relays.
        (192, 0, 0 | 2) | (192, 88, 99) => true,
        (192, 168, _) => true,
        // Benchmarks and documentation.
        (198, 18 | 19, _) | (198, 51, 100) | (203, 0, 113) => true,
        _ => false,
    };
    // Azure's own, which is public by its number only.
    !special && ip != Ipv4Addr::new(168, 63, 129, 16)
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    let segments = ip.segments();
    match segments {
        // NAT64 (RFC 6052): the last 32 bits are where it leads.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
            is_public_v4(Ipv4Addr::new(a, b, c, d))
        }
        // Protocol assignments with Teredo, documentation, 6to4: special or tunnels to IPv4.
        [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x2002, ..] | [0x3fff, 0..=0xfff, ..] => {
            false
        }
        // Global unicast is what was given out of 2000::/3; loopback, unique local, link-local and multicast lie outside.
        [first, ..] => (0x2000..=0x3fff).contains(&first),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::config::outbound::target;

    fn outbound(allowed: &[&str]) -> Outbound {
        let allowed = allowed.iter().map(|text| target(text).unwrap()).collect();
        Outbound::with_patience(allowed, Duration::from_millis(500))
    }

    /// Answers each connection with these bytes, and then stays silent for as long as the other side holds on.
    async fn peer(answer: Vec<u8>) -> (u16, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let answer = answer.clone();
                tokio::spawn(async move {
                    let mut asked = [0; 4_096];
                    let _ = stream.read(&mut asked).await;
                    let _ = stream.write_all(&answer).await;
                    let _ = stream.read(&mut asked).await;
                });
            }
        });
        (port, connections)
    }

    #[test]
    fn only_the_public_internet_is_public() {
        for inside in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.100.100.200",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.0.1",
            "168.63.129.16",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "::ffff:0:127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(inside.parse().unwrap()), "{inside}");
        }
        for outside in [
            "1.1.1.1",
            "9.255.255.255",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "192.167.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
            "2001:4860:4860::8888",
            "2606:4700::1111",
            "2a00::1",
        ] {
            assert!(is_public(outside.parse().unwrap()), "{outside}");
        }
    }

    #[test]
    fn an_address_is_read_or_refused() {
        let outbound = outbound(&["10.1.0.0/16", "hooks.inside.example"]);
        for (url, expected) in [
            ("https://example.org/hook?x=1", None),
            ("https://10.1.2.3:8443/", None),
            ("http://10.1.2.3/", None),
            ("http://Hooks.Inside.example./", None),
            ("http://example.org/", Some(OutboundError::NotHttps)),
            ("https://10.2.0.1/", Some(OutboundError::Refused)),
            ("https://127.0.0.1/", Some(OutboundError::Refused)),
            // Other ways to write addresses are the same addresses.
            ("https://2130706433/", Some(OutboundError::Refused)),
            ("https://0x7f.1/", Some(OutboundError::Refused)),
            ("https://0177.0.0.1/", Some(OutboundError::Refused)),
            ("https://[::1]/", Some(OutboundError::Refused)),
            (
                "https://[::ffff:169.254.169.254]/",
                Some(OutboundError::Refused),
            ),
            ("https://[::ffff:10.1.0.1]/", None),
            ("https://user@example.org/", Some(OutboundError::Malformed)),
            (
                "https://:secret@example.org/",
                Some(OutboundError::Malformed),
            ),
            ("https://example.org/#x", Some(OutboundError::Malformed)),
            ("ftp://example.org/", Some(OutboundError::Malformed)),
            ("file:///etc/passwd", Some(OutboundError::Malformed)),
            ("example.org", Some(OutboundError::Malformed)),
            ("", Some(OutboundError::Malformed)),
        ] {
            assert_eq!(outbound.read(url).err(), expected, "{url}");
        }
        let long = format!("https://example.org/{}", "a".repeat(LONGEST_URL));
        assert_eq!(outbound.read(&long).err(), Some(OutboundError::Malformed));
    }

    #[test]
    fn of_a_names_addresses_those_inside_are_never_connected_to() {
        let addresses = |texts: &[&str]| -> Vec<SocketAddr> {
            texts
                .iter()
                .map(|text| SocketAddr::new(text.parse().unwrap(), 0))
                .collect()
        };
        let guard = outbound(&["10.1.0.0/16", "inside.example"])
            .inner
            .guard
            .clone();
        for (host, found, kept) in [
            (
                "a.example",
                &["1.1.1.1", "10.0.0.1", "::1"][..],
                Ok(&["1.1.1.1"][..]),
            ),
            (
                "a.example",
                &["10.0.0.1", "169.254.169.254"],
                Err(OutboundError::Refused),
            ),
            ("a.example", &["10.1.0.1", "10.0.0.1"], Ok(&["10.1.0.1"])),
            ("inside.example", &["192.168.0.1"], Ok(&["192.168.0.1"])),
            (
                "not.inside.example",
                &["192.168.0.1"],
                Err(OutboundError::Refused),
            ),
            ("a.example", &[], Err(OutboundError::Unreachable)),
        ] {
            let sifted = guard.sift(host, addresses(found));
            assert_eq!(sifted, kept.map(addresses), "{host} {found:?}");
        }
    }

    #[tokio::test]
    async fn a_name_that_leads_inside_is_refused_before_anything_is_sent() {
        let (port, connections) =
            peer(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec()).await;
        let url = format!("https://localhost:{port}/");
        let outbound = outbound(&["10.1.0.0/16"]);
        let checked = outbound.check(&url).await;
        assert_eq!(checked.err(), Some(OutboundError::Refused));
        let sent = outbound.post(&url, HeaderMap::new(), Vec::new()).await;
        assert_eq!(sent.err(), Some(OutboundError::Refused));
        assert_eq!(connections.load(Ordering::SeqCst), 0);
    }

    #[tokio::test]
    async fn what_is_listed_is_asked_and_a_redirect_is_only_an_answer() {
        let (inside, followed) =
            peer(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec()).await;
        let answer = format!(
            "HTTP/1.1 302 Found\r\nlocation: http://localhost:{inside}/\r\ncontent-length: 2\r\n\r\nhi"
        );
        let (port, _) = peer(answer.into_bytes()).await;
        for allowed in ["127.0.0.1", "localhost"] {
            let url = match allowed {
                "localhost" => format!("http://localhost:{port}/"),
                _ => format!("http://127.0.0.1:{port}/"),
            };
            let answer = outbound(&[allowed])
                .get(&url, HeaderMap::new())
                .await
                .unwrap();
            assert_eq!(
                (answer.status, answer.body),
                (StatusCode::FOUND, b"hi".to_vec())
            );
        }
        assert_eq!(followed.load(Ordering::SeqCst), 0);
    }

    #[tokio::test]
    async fn an_answer_that_is_too_slow_too_large_or_broken_off_is_none() {
        let half = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf".to_vec();
        let mut large = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
        large.resize(large.len() + LARGEST_ANSWER + 1, b'x');
        let outbound = outbound(&["127.0.0.1"]);
        for (answer, expected) in [
            (Vec::new(), OutboundError::TimedOut),
            (half, OutboundError::TimedOut),
            (large, OutboundError::TooLarge),
            (b"What?\r\n\r\n".to_vec(), OutboundError::Unreachable),
        ] {
            let (port, _) = peer(answer).await;
            let url = format!("http://127.0.0.1:{port}/");
            let answered = outbound.get(&url, HeaderMap::new()).await;
            assert_eq!(answered.err(), Some(expected));
        }
    }
}
