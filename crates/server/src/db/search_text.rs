//! How texts are made comparable: one form, lower case, the same on both databases because it is made
//! here and not by them.

use unicode_normalization::UnicodeNormalization;

/// Lower case, in the composed form of Unicode (NFC), so that what looks equal is equal.
pub(super) fn fold(text: &str) -> String {
    // Lowering may decompose (U+0130), hence the form comes last.
    text.nfc()
        .collect::<String>()
        .to_lowercase()
        .nfc()
        .collect()
}

/// Capital letters for what stands between words, of which a folded text has none: PostgreSQL's trigrams
/// see letters and digits only. `session_letters` in the migrations does the same.
pub(super) fn letters(folded: &str) -> String {
    const FROM: &str = ". @:-\n_/+(),'&#%\\*=~";
    const TO: &str = "QJXZVWKYHUOIGFADEBCL";
    folded
        .chars()
        .map(|letter| {
            FROM.chars()
                .position(|from| from == letter)
                .and_then(|at| TO.chars().nth(at))
                .unwrap_or(letter)
        })
        .collect()
}

/// What a search looks through.
pub(super) struct SearchText {
    /// E-mail, address and name, each in a line of its own: a search has no line feed in it, so that
    /// it never matches across two of them.
    pub(super) all: String,
    /// The folded name alone, to sort by.
    pub(super) name: String,
}

impl SearchText {
    pub(super) fn of(email: &str, ip: &str, name: &str) -> Self {
        let name = fold(name);
        Self {
            all: format!("{}\n{}\n{name}", fold(email), fold(ip)),
            name,
        }
    }
}

/// What a search for users looks through: e-mail and name.
pub(super) fn of_user(email: &str, name: &str) -> String {
    format!("{}\n{}", fold(email), fold(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_equal_is_equal() {
        assert_eq!(fold("E\u{301}TE\u{301}"), fold("été"));
        assert_eq!(fold("İ"), fold("i\u{307}"));
    }

    #[test]
    fn what_stands_between_words_becomes_a_letter_that_no_folded_text_has() {
        assert_eq!(letters("a.b@c:d e-1\nf_%\\"), "aQbXcZdJeV1WfKDE");
        assert_eq!(letters("!?ß漢"), "!?ß漢");
        assert!(!fold("QJXZVWKYHUOIGFADEBCL").contains(char::is_uppercase));
    }
}
