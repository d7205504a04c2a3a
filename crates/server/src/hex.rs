//! Bytes as hexadecimal digits, for files and addresses.

/// Two lower-case digits for each byte.
pub(crate) fn write(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads `N` bytes; `None` for anything but two digits for each.
pub(crate) fn read<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_and_nothing_else_is_read() {
        let bytes: [u8; 32] = std::array::from_fn(|at| (at * 8) as u8);
        assert_eq!(write(&[0, 10, 255]), "000aff");
        assert_eq!(read(&write(&bytes)), Some(bytes));
        for text in [
            "",
            "zz",
            &"g".repeat(64),
            &"é".repeat(32),
            &"0".repeat(63),
            &"+0".repeat(32),
        ] {
            assert_eq!(read::<32>(text), None, "{text}");
        }
    }
}
