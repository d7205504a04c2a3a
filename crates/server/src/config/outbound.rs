//! What of the inside `--allow-outbound` lets the server connect to: host names and networks.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use super::values::{network, normal_host};

/// A place that the server may connect to although it is not on the public internet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AllowedTarget {
    /// A host by its name, whatever address it has. Lower case, without a dot at the end.
    Host(String),
    /// Every address of a network.
    Network(IpNet),
}

impl AllowedTarget {
    /// Whether this host name is meant.
    pub fn names(&self, host: &str) -> bool {
        matches!(self, Self::Host(name) if *name == plain_name(host))
    }

    /// Whether this address is meant.
    pub fn holds(&self, ip: IpAddr) -> bool {
        matches!(self, Self::Network(network) if network.contains(&ip.to_canonical()))
    }
}

impl fmt::Display for AllowedTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(name) => f.write_str(name),
            Self::Network(network) => network.fmt(f),
        }
    }
}

/// Reads a host name, an address or a CIDR network.
pub fn target(text: &str) -> Result<AllowedTarget, String> {
    const HOW_TO_WRITE: &str =
        "write a host name, an address or a network, such as hooks.example.org or 10.1.0.0/16";
    let text = text.trim();
    if let Ok(network) = network(text) {
        return match network.prefix_len() {
            0 => Err("it would let the server connect to everything inside; list the networks that are meant".to_owned()),
            _ => Ok(AllowedTarget::Network(network)),
        };
    }
    let name = plain_name(text);
    let has_letter = name.bytes().any(|byte| byte.is_ascii_alphabetic());
    if !has_letter || name.contains([':', '[', ']', '%']) || normal_host(&name, true).is_none() {
        return Err(HOW_TO_WRITE.to_owned());
    }
    Ok(AllowedTarget::Host(name))
}

fn plain_name(host: &str) -> String {
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_name_or_a_network() {
        for (text, kept) in [
            ("Hooks.Example.org.", "hooks.example.org"),
            (" localhost ", "localhost"),
            ("127.0.0.1", "127.0.0.1/32"),
            ("10.1.2.3/16", "10.1.0.0/16"),
            ("::ffff:10.0.0.1", "10.0.0.1/32"),
            ("fd00::/8", "fd00::/8"),
        ] {
            let read = target(text).map(|target| target.to_string());
            assert_eq!(read, Ok(kept.to_owned()), "{text}");
        }
        for text in [
            "",
            ".",
            "a b",
            "https://a.example",
            "a.example:8080",
            "a.example/x",
            "10.0.0",
            "0.0.0.0/0",
            "::/0",
            "::ffff:0:0/96",
            "[::1]",
        ] {
            assert!(target(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_name_is_compared_in_one_form_and_an_address_by_its_network() {
        let name = target("hooks.example.org").unwrap();
        assert!(name.names("HOOKS.example.org."));
        assert!(!name.names("x.hooks.example.org"));
        assert!(!name.holds("127.0.0.1".parse().unwrap()));
        let network = target("10.1.0.0/16").unwrap();
        assert!(network.holds("::ffff:10.1.2.3".parse().unwrap()));
        assert!(!network.holds("10.2.0.1".parse().unwrap()));
        assert!(!network.names("10.1.0.0"));
    }
}
