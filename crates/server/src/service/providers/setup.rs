//! Whether what somebody sets up as an identity provider can be one, and where its secret is.

use rollcall_core::{Error, Field, Problem, SaveProvider};
use zeroize::Zeroizing;

use crate::app::read_password;
use crate::config::placing::{self, PlacingRule};
use crate::service::names::checked_name;

/// The longest label, in characters.
const LONGEST_LABEL: u32 = 60;

/// The longest of the other texts, in characters.
const LONGEST_TEXT: u32 = 500;

/// How many scopes, rules and `acr` values there may be.
const MOST: usize = 50;

/// What the names of environment variables begin with that may hold a secret: nobody reads others by way of a form.
const SECRET_VARIABLE: &str = "ROLLCALL_SECRET_";

/// A setup whose every field can be what it says. Nobody has been asked yet.
pub(crate) fn checked(input: SaveProvider) -> Result<SaveProvider, Error> {
    let line = |field, text: &str| match text.trim() {
        "" => Err(Error::Invalid(field, Problem::Missing)),
        text if text.chars().count() > LONGEST_TEXT as usize => {
            Err(Error::Invalid(field, Problem::TooLong(LONGEST_TEXT)))
        }
        text if text.chars().any(|c| c.is_control() || c.is_whitespace()) => {
            Err(Error::Invalid(field, Problem::Malformed))
        }
        text => Ok(text.to_owned()),
    };
    let words = |field, list: Vec<String>| {
        if list.len() > MOST {
            return Err(Error::Invalid(field, Problem::TooMany(MOST as u32)));
        }
        list.iter().map(|word| line(field, word)).collect()
    };
    let label = match input.label.trim() {
        "" => return Err(Error::Invalid(Field::Label, Problem::Missing)),
        label => checked_name(label, LONGEST_LABEL).map_err(|error| match error {
            Error::Invalid(_, problem) => Error::Invalid(Field::Label, problem),
            other => other,
        })?,
    };
    let issuer = line(Field::Issuer, &input.issuer)?;
    // Discovery 1.0, 2: https, and neither a query nor a fragment.
    let with_scheme = issuer.starts_with("https://") || issuer.starts_with("http://");
    if !with_scheme || issuer.contains(['?', '#']) {
        return Err(Error::Invalid(Field::Issuer, Problem::Malformed));
    }
    let secret = input.secret.filter(|secret| !secret.trim().is_empty());
    let checked = SaveProvider {
        label,
        issuer,
        client_id: line(Field::ClientId, &input.client_id)?,
        secret: secret
            .map(|secret| line(Field::Secret, &secret))
            .transpose()?,
        scopes: words(Field::Scopes, input.scopes)?,
        acr_values: words(Field::AcrValues, input.acr_values)?,
        ..input
    };
    if checked.rules.len() > MOST {
        return Err(Error::Invalid(Field::Rules, Problem::TooMany(MOST as u32)));
    }
    placing_rules(&checked)?;
    Ok(checked)
}

pub(super) fn placing_rules(setup: &SaveProvider) -> Result<Vec<PlacingRule>, Error> {
    let rules = setup.rules.iter().map(|text| {
        let long = text.chars().count() > LONGEST_TEXT as usize || text.contains('\n');
        match long {
            true => Err(Error::Invalid(Field::Rules, Problem::TooLong(LONGEST_TEXT))),
            false => {
                placing::rule(text).map_err(|_| Error::Invalid(Field::Rules, Problem::Malformed))
            }
        }
    });
    rules.collect()
}

// `env:NAME` or `file:NAME`, a name in the folder of secrets and no path: a form must not lead to other files.
pub(super) fn read_secret(
    place: Option<&str>,
    folder: &std::path::Path,
) -> Result<Option<Zeroizing<String>>, Problem> {
    let Some(place) = place else {
        return Ok(None);
    };
    let secret = match place.split_once(':') {
        Some(("env", name)) if name.starts_with(SECRET_VARIABLE) => {
            std::env::var(name).ok().map(Zeroizing::new)
        }
        Some(("file", name)) if is_file_name(name) => read_password(&folder.join(name)).ok(),
        _ => return Err(Problem::Malformed),
    };
    match secret.filter(|secret| !secret.is_empty()) {
        Some(secret) => Ok(Some(secret)),
        None => Err(Problem::NotThere),
    }
}

fn is_file_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !name.is_empty() && name.len() <= 100 && name.bytes().all(plain) && !name.starts_with('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_from_its_folder_and_from_nowhere_else() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("keycloak"), "s3cret\n").expect("written");
        std::fs::write(folder.path().join("empty"), "\n").expect("written");
        let read = |place: &str| read_secret(Some(place), folder.path());
        let secret = read("file:keycloak").expect("read").expect("a secret");
        assert_eq!(secret.as_str(), "s3cret");
        assert!(read_secret(None, folder.path()).expect("none").is_none());
        for (place, problem) in [
            ("file:empty", Problem::NotThere),
            ("file:missing", Problem::NotThere),
            ("env:ROLLCALL_SECRET_OF_NOBODY", Problem::NotThere),
            ("file:../keycloak", Problem::Malformed),
            ("file:/etc/passwd", Problem::Malformed),
            ("file:.", Problem::Malformed),
            ("file:..", Problem::Malformed),
            ("file:", Problem::Malformed),
            ("env:PATH", Problem::Malformed),
            ("env:ROLLCALL_DATABASE", Problem::Malformed),
            ("s3cret", Problem::Malformed),
        ] {
            assert_eq!(read(place).err(), Some(problem), "{place}");
        }
    }
}
