//! What people call things.

use rollcall_core::{Error, Field, Problem};
use unicode_normalization::UnicodeNormalization;

/// A name as it is kept: trimmed, NFC, without control characters, at most `longest` characters.
pub(super) fn checked_name(text: &str, longest: u32) -> Result<String, Error> {
    let name: String = text.trim().nfc().collect();
    let problem = if name.is_empty() {
        Problem::Missing
    } else if name.chars().count() > longest as usize {
        Problem::TooLong(longest)
    } else if name.chars().any(char::is_control) {
        Problem::Malformed
    } else {
        return Ok(name);
    };
    Err(Error::Invalid(Field::Name, problem))
}

/// A short text that may be left out, kept in the same form.
pub(super) fn checked_text(text: &str, longest: u32, field: Field) -> Result<String, Error> {
    match text.trim() {
        "" => Ok(String::new()),
        given => required_text(given, longest, field),
    }
}

/// The same where it must be given.
pub(super) fn required_text(text: &str, longest: u32, field: Field) -> Result<String, Error> {
    checked_name(text, longest).map_err(|error| match error {
        Error::Invalid(_, problem) => Error::Invalid(field, problem),
        other => other,
    })
}

/// The same where a name may be left out.
pub(super) fn name_if_given(text: &str, longest: u32) -> Result<Option<String>, Error> {
    match text.trim() {
        "" => Ok(None),
        given => checked_name(given, longest).map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_kept_in_one_form() {
        let refused = |problem| Err(Error::Invalid(Field::Name, problem));
        assert_eq!(checked_name("  Ada ", 5), Ok("Ada".to_owned()));
        // Characters count, not bytes, and after they were put together.
        assert_eq!(
            checked_name("e\u{301}\u{e9}", 2),
            Ok("\u{e9}\u{e9}".to_owned())
        );
        assert_eq!(checked_name(" \t ", 5), refused(Problem::Missing));
        assert_eq!(checked_name("abcdef", 5), refused(Problem::TooLong(5)));
        assert_eq!(checked_name("a\u{7}b", 5), refused(Problem::Malformed));
        assert_eq!(name_if_given("  ", 5), Ok(None));
        assert_eq!(name_if_given(" x ", 5), Ok(Some("x".to_owned())));
        assert!(name_if_given("abcdef", 5).is_err());
    }
}
