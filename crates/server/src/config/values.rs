//! What settings are made of, parsed at the edge: an error says what to write instead.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;
use rollcall_core::rotation::SHORTEST_ROTATE_EVERY;
use zeroize::Zeroizing;

const HOW_TO_WRITE: &str = "write a whole number and s, m, h or d, such as 30m";

/// A time limit that cannot be switched off: 1 second to 10 years.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Timeout(Duration);

impl Timeout {
    /// How long.
    pub const fn get(self) -> Duration {
        self.0
    }
}

/// Reads a duration of at least one second: `10s`, `5m`, `24h`, `30d`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| HOW_TO_WRITE.to_owned())?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ if number == 0 => return Err(format!("it cannot be switched off; {HOW_TO_WRITE}")),
        _ => return Err(HOW_TO_WRITE.to_owned()),
    };
    let total = number.saturating_mul(seconds);
    match total {
        0 => Err(format!("it cannot be switched off; {HOW_TO_WRITE}")),
        1..=315_360_000 => Ok(Duration::from_secs(total)),
        _ => Err("it is longer than ten years; write at most 3650d".to_owned()),
    }
}

/// Reads a time limit. Words such as `never` and `0` are refused: a limit always exists (ASVS 7.1.1).
pub fn timeout(text: &str) -> Result<Timeout, String> {
    match text {
        "never" | "none" | "off" | "unlimited" | "infinite" => {
            Err(format!("it cannot be switched off; {HOW_TO_WRITE}"))
        }
        _ => duration(text).map(Timeout),
    }
}

/// Reads how often tokens rotate.
pub fn rotation(text: &str) -> Result<Duration, String> {
    let every = duration(text)?;
    if every < SHORTEST_ROTATE_EVERY {
        return Err("tokens rotate every 10s at the most often; write 10s or more".to_owned());
    }
    Ok(every)
}

/// Reads an address or a CIDR network. An IPv4 network in IPv6 notation becomes the IPv4 one.
pub fn network(text: &str) -> Result<IpNet, String> {
    let network = match text.trim().parse::<IpAddr>() {
        Ok(ip) => IpNet::from(ip.to_canonical()),
        Err(_) => text.trim().parse::<IpNet>().map_err(|_| {
            "write an address or a network, such as 10.0.0.7 or 10.0.0.0/8".to_owned()
        })?,
    };
    Ok(match network {
        IpNet::V6(v6) if v6.prefix_len() >= 96 => match v6.addr().to_ipv4_mapped() {
            // The prefix is at most 128, so what is left is at most 32.
            Some(v4) => IpNet::new(IpAddr::V4(v4), v6.prefix_len() - 96).unwrap_or(network),
            None => network,
        },
        other => other,
    }
    .trunc())
}

/// Reads an IANA time zone name.
pub fn time_zone(text: &str) -> Result<String, String> {
    chrono_tz::Tz::from_str(text)
        .map(|zone| zone.name().to_owned())
        .map_err(|_| "write an IANA name, such as UTC or Europe/Berlin".to_owned())
}

/// Reads a server name: 1 to 80 visible characters.
pub fn server_name(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > 80 || text.chars().any(char::is_control) {
        return Err("write 1 to 80 characters".to_owned());
    }
    Ok(text.to_owned())
}

/// Scheme and host of an address that people type; compared with the `Origin` of requests.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Origin {
    /// True for https.
    pub https: bool,
    /// Host and port, lower case, without the scheme's own port.
    pub host: String,
}

impl Origin {
    /// Reads what a browser sends as `Origin`: scheme, host, port, nothing after. `None` for all else,
    /// such as `null`.
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, host) = text.split_once("://")?;
        let https = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        Some(Self {
            https,
            host: normal_host(host, https)?,
        })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}://{}",
            if self.https { "https" } else { "http" },
            self.host
        )
    }
}

/// A host and port as they are compared: lower case, without the scheme's own port. `None` for what
/// cannot be one.
pub fn normal_host(host: &str, https: bool) -> Option<String> {
    let sound = !host.is_empty()
        && host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".-_:[]%".contains(&byte));
    let own_port = if https { ":443" } else { ":80" };
    sound.then(|| {
        let host = host.to_ascii_lowercase();
        host.strip_suffix(own_port)
            .map(str::to_owned)
            .unwrap_or(host)
    })
}

/// Reads `--public-url`: an origin, with or without a slash at the end.
pub fn origin(text: &str) -> Result<Origin, String> {
    Origin::parse(text.strip_suffix('/').unwrap_or(text)).ok_or_else(|| {
        "write scheme and host without a path, such as https://rollcall.example.org".to_owned()
    })
}

/// A secret among the settings: Debug does not show it, and its memory is wiped.
#[derive(Clone)]
pub struct Hidden(Zeroizing<String>);

impl Hidden {
    /// The secret itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<Zeroizing<String>> for Hidden {
    fn from(secret: Zeroizing<String>) -> Self {
        Self(secret)
    }
}

impl FromStr for Hidden {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(Zeroizing::new(text.to_owned())))
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_number_and_a_unit() {
        for (text, seconds) in [
            ("10s", 10),
            ("5m", 300),
            ("24h", 86_400),
            ("30d", 2_592_000),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in [
            "",
            "5",
            "m",
            "5 m",
            "-5m",
            "+5m",
            "1.5h",
            "5M",
            "5m5s",
            "99999999999999999999d",
            "4000d",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_timeout_cannot_be_switched_off() {
        for text in ["0", "0s", "-1", "never", "none", "off"] {
            assert!(timeout(text).is_err(), "{text}");
        }
        assert!(
            timeout("never")
                .unwrap_err()
                .contains("cannot be switched off")
        );
    }

    #[test]
    fn tokens_rotate_every_ten_seconds_at_the_most_often() {
        assert!(rotation("9s").is_err());
        assert_eq!(rotation("10s"), Ok(Duration::from_secs(10)));
    }

    #[test]
    fn a_network_is_kept_in_one_form() {
        for (text, kept) in [
            ("10.1.2.3", "10.1.2.3/32"),
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("::1", "::1/128"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:10.0.0.1", "10.0.0.1/32"),
            ("2001:db8::/32", "2001:db8::/32"),
        ] {
            assert_eq!(
                network(text).map(|n| n.to_string()),
                Ok(kept.to_owned()),
                "{text}"
            );
        }
        for text in ["", "10.0.0.0/33", "proxy.example.org", "10.0.0"] {
            assert!(network(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_origin_is_compared_without_its_own_port() {
        for (text, kept) in [
            ("https://Rollcall.example:443", "https://rollcall.example"),
            ("http://localhost:8080", "http://localhost:8080"),
            ("http://[::1]:80", "http://[::1]"),
        ] {
            assert_eq!(
                Origin::parse(text).map(|o| o.to_string()).as_deref(),
                Some(kept)
            );
        }
        for text in [
            "null",
            "",
            "https://",
            "ftp://a",
            "https://a/b",
            "https://u@a",
            "https://a b",
            "//a",
        ] {
            assert_eq!(Origin::parse(text), None, "{text}");
        }
        assert!(origin("https://rollcall.example/").is_ok());
        assert!(origin("https://rollcall.example/app").is_err());
    }

    #[test]
    fn a_hidden_value_is_not_shown() {
        let secret: Hidden = "correct horse battery".parse().unwrap();
        assert_eq!(format!("{secret:?}"), "(hidden)");
    }
}
