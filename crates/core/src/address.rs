//! Addresses and ranges of them, as a filter names them.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// One address or a CIDR range (RFC 4632). IPv4 lies within IPv6 as `::ffff:a.b.c.d` (RFC 4291, 2.5.5.2), so that
/// 16 bytes compare for both.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AddressRange {
    address: IpAddr,
    prefix: u8,
}

impl AddressRange {
    /// Reads `192.0.2.7`, `192.0.2.0/24` or `2001:db8::/32`. Bits after the prefix do not count.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => longest,
            // `parse` alone would take "+8".
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().ok().filter(|prefix| *prefix <= longest)?
            }
            Some(_) => return None,
        };
        Some(Self { address, prefix }.normal())
    }

    /// The first and the last address as bytes, both included.
    pub fn bounds(self) -> ([u8; 16], [u8; 16]) {
        let first = u128::from_be_bytes(bytes(self.address));
        (first.to_be_bytes(), (first | self.free()).to_be_bytes())
    }

    /// Its first address.
    pub fn first(self) -> IpAddr {
        self.address
    }

    /// Whether it holds one address only.
    pub fn is_single(self) -> bool {
        self.free() == 0
    }

    // One range has one form: the bits after the prefix are zero.
    fn normal(self) -> Self {
        let first = u128::from_be_bytes(bytes(self.address)) & !self.free();
        let first = Ipv6Addr::from(first);
        let address = match self.address {
            IpAddr::V4(_) => first.to_ipv4_mapped().map_or(IpAddr::V6(first), IpAddr::V4),
            IpAddr::V6(_) => IpAddr::V6(first),
        };
        Self { address, ..self }
    }

    // The bits that differ within the range.
    fn free(self) -> u128 {
        let longest = if self.address.is_ipv4() { 32 } else { 128 };
        match longest - u32::from(self.prefix) {
            128 => u128::MAX,
            bits => (1 << bits) - 1,
        }
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_single() {
            self.address.fmt(f)
        } else {
            write!(f, "{}/{}", self.address, self.prefix)
        }
    }
}

/// An address as the 16 bytes that order and compare it.
pub fn bytes(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_one_form_and_two_ends() {
        for (text, form, first, last) in [
            ("192.0.2.7", "192.0.2.7", "192.0.2.7", "192.0.2.7"),
            ("192.0.2.7/32", "192.0.2.7", "192.0.2.7", "192.0.2.7"),
            ("192.0.2.7/24", "192.0.2.0/24", "192.0.2.0", "192.0.2.255"),
            ("10.0.0.0/0", "0.0.0.0/0", "0.0.0.0", "255.255.255.255"),
            ("2001:DB8::1", "2001:db8::1", "2001:db8::1", "2001:db8::1"),
            (
                "2001:db8:1::/32",
                "2001:db8::/32",
                "2001:db8::",
                "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
            ),
            (
                "::/0",
                "::/0",
                "::",
                "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            ),
        ] {
            let range = AddressRange::parse(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(range.to_string(), form);
            let bound = |text: &str| bytes(text.parse().unwrap());
            assert_eq!(range.bounds(), (bound(first), bound(last)), "{text}");
            assert_eq!(AddressRange::parse(form), Some(range));
        }
        for text in [
            "",
            "192.0.2",
            "192.0.2.7/33",
            "192.0.2.7/+8",
            "192.0.2.7/",
            "::/129",
            "nora",
            "1.2.3.4/8/8",
        ] {
            assert_eq!(AddressRange::parse(text), None, "{text:?}");
        }
    }
}
