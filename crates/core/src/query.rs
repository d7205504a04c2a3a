//! Query strings: reading and writing `application/x-www-form-urlencoded` without a URL library in
//! the browser (WHATWG URL Standard, section 5).

/// Why a query string was refused, and which parameter it was about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct QueryError {
    /// The parameter's name as it was sent.
    pub parameter: String,
    /// What is wrong with it.
    pub problem: crate::Problem,
}

/// The pairs of a query string, decoded, in order. A leading `?` is allowed. What does not decode to
/// UTF-8 is refused with the parameter's name.
pub fn pairs(query: &str) -> Result<Vec<(String, String)>, QueryError> {
    let query = query.strip_prefix('?').unwrap_or(query);
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let refuse = || QueryError {
                parameter: name.to_owned(),
                problem: crate::Problem::Malformed,
            };
            Ok((
                decode(name).ok_or_else(refuse)?,
                decode(value).ok_or_else(refuse)?,
            ))
        })
        .collect()
}

/// The first value with this name, decoded once. (The router's own map decodes twice.)
pub fn find(query: &str, name: &str) -> Option<String> {
    let pairs = pairs(query).ok()?;
    let found = pairs.into_iter().find(|(key, _)| key == name)?;
    Some(found.1)
}

/// Writes pairs as a query string without the leading `?`.
pub fn write(pairs: &[(&str, String)]) -> String {
    let mut text = String::new();
    for (name, value) in pairs {
        if !text.is_empty() {
            text.push('&');
        }
        encode_into(name, &mut text);
        text.push('=');
        encode_into(value, &mut text);
    }
    text
}

/// Percent-encodes a value for use in a query or a path segment.
pub fn encode(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    encode_into(value, &mut text);
    text
}

fn encode_into(value: &str, text: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                text.push(byte as char)
            }
            _ => {
                text.push('%');
                text.push(HEX[usize::from(byte >> 4)] as char);
                text.push(HEX[usize::from(byte & 15)] as char);
            }
        }
    }
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let high = char::from(rest.next()?).to_digit(16)?;
                let low = char::from(rest.next()?).to_digit(16)?;
                (high * 16 + low) as u8
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_not_utf_8_is_refused_by_name() {
        assert_eq!(pairs("q=%FF").unwrap_err().parameter, "q");
        assert_eq!(pairs("q=%4").unwrap_err().parameter, "q");
    }

    proptest! {
        #[test]
        fn any_text_survives(value in "\\PC{0,40}") {
            let written = write(&[("q", value.clone())]);
            prop_assert_eq!(pairs(&written).unwrap(), vec![("q".to_owned(), value)]);
        }

        #[test]
        fn nothing_panics(query in "\\PC{0,80}") {
            let _ = pairs(&query);
        }
    }

    #[test]
    fn a_value_is_decoded_once() {
        let next = "/clients?q=a%20b";
        let query = format!("?x=1&next={}", encode(next));
        assert_eq!(find(&query, "next").as_deref(), Some(next));
        assert_eq!(find(&query, "y"), None);
        assert_eq!(find("next=%", "next"), None);
    }

    #[test]
    fn what_has_a_meaning_in_an_address_is_encoded() {
        assert_eq!(encode("a&b=c d/é~"), "a%26b%3Dc%20d%2F%C3%A9~");
        assert_eq!(encode("abc-_.~019"), "abc-_.~019");
    }
}
