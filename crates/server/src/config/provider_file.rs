//! Identity providers that are set up by files: TOML, with the names of the REST API and `key`.

use std::path::Path;

use rollcall_core::{Error, ProviderKey, SaveProvider};

use super::placing;

/// Reads one file.
///
/// # Errors
/// In words, with the path and the name of what is wrong.
pub fn read(path: &Path) -> Result<(ProviderKey, SaveProvider), String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("--identity-provider {}: {error}", path.display()))?;
    parse(&text).map_err(|problem| format!("--identity-provider {}: {problem}", path.display()))
}

fn parse(text: &str) -> Result<(ProviderKey, SaveProvider), String> {
    let mut table: toml::Table = text
        .parse()
        .map_err(|error: toml::de::Error| error.to_string())?;
    let key = match table.remove("key") {
        Some(toml::Value::String(key)) => key.parse().map_err(|_| {
            format!("`key = {key:?}` needs letters in lower case, digits and hyphens, at most 40")
        })?,
        _ => return Err("`key` is missing: a short name, part of addresses".to_owned()),
    };
    let setup: SaveProvider = toml::Value::Table(table)
        .try_into()
        .map_err(|error: toml::de::Error| error.to_string())?;
    // Rules say best themselves what is wrong with them.
    if let Some(problem) = setup
        .rules
        .iter()
        .find_map(|rule| placing::rule(rule).err())
    {
        return Err(format!("`rules`: {problem}"));
    }
    match crate::service::checked_provider(setup) {
        Ok(setup) => Ok((key, setup)),
        Err(Error::Invalid(field, problem)) => Err(format!("`{}` {problem}", field.as_str())),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str = "key = 'keycloak'\nlabel = 'Keycloak'\nissuer = 'https://login.example.org'\nclient_id = 'rollcall'\n";

    #[test]
    fn a_file_sets_up_a_provider() {
        let rule = "organisation=01900000-0000-7000-8000-000000000001 create";
        let text =
            format!("{LEAST}secret = 'file:keycloak'\nrules = ['{rule}']\nsigns_out = false");
        let (key, setup) = parse(&text).expect("read");
        assert_eq!(
            (key.as_str(), setup.label.as_str()),
            ("keycloak", "Keycloak")
        );
        assert_eq!(
            (setup.rules, setup.signs_out, setup.enabled),
            (vec![rule.to_owned()], false, true)
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, word) in [
            (LEAST.replace("key = 'keycloak'\n", ""), "`key`"),
            (LEAST.replace("'keycloak'", "'Key Cloak'"), "`key = "),
            (LEAST.replace("https", "ftp"), "`issuer`"),
            (LEAST.replace("'Keycloak'", "''"), "`label`"),
            (LEAST.replace("client_id", "client"), "client"),
            (format!("{LEAST}rules = ['create']"), "organisation"),
            (format!("{LEAST}colour = 'red'"), "colour"),
            ("key =".to_owned(), "TOML"),
        ] {
            let problem = parse(&text).expect_err(&text);
            assert!(problem.contains(word), "{text}: {problem}");
        }
    }
}
