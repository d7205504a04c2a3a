//! The optional file with settings. Its lines become the defaults of the command, so that a flag and
//! the environment beat them, and are read and checked exactly as flags are.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use clap::Command;

/// The file that the arguments or the environment name. The arguments win.
pub fn named_in(arguments: &[OsString], environment: Option<OsString>) -> Option<PathBuf> {
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let Some(text) = argument.to_str() else {
            continue;
        };
        match text {
            "--" => break,
            "--config" => return rest.next().map(PathBuf::from),
            _ => {
                if let Some(path) = text.strip_prefix("--config=") {
                    return Some(PathBuf::from(path));
                }
            }
        }
    }
    environment
        .filter(|path| !path.is_empty())
        .map(PathBuf::from)
}

/// Reads a file into pairs of a flag's name and its values.
pub fn read(path: &Path) -> Result<Vec<(String, Vec<OsString>)>, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("--config {}: {error}", path.display()))?;
    parse(&text).map_err(|problem| format!("{}: {problem}", path.display()))
}

fn parse(text: &str) -> Result<Vec<(String, Vec<OsString>)>, String> {
    let table: toml::Table = text
        .parse()
        .map_err(|error: toml::de::Error| error.to_string())?;
    table
        .into_iter()
        .map(|(name, value)| {
            let values = match value {
                toml::Value::Array(list) => list.into_iter().map(|one| plain(&name, one)).collect(),
                one => plain(&name, one).map(|value| vec![value]),
            };
            values.map(|values| (name, values))
        })
        .collect()
}

fn plain(name: &str, value: toml::Value) -> Result<OsString, String> {
    match value {
        toml::Value::String(text) => Ok(text.into()),
        toml::Value::Integer(number) => Ok(number.to_string().into()),
        toml::Value::Boolean(choice) => Ok(choice.to_string().into()),
        _ => Err(format!(
            "`{name}` must be a text, a whole number, true or false, or a list of texts"
        )),
    }
}

/// Puts the file's values under the command `name` as defaults. `all` is the command that knows every
/// setting: what it does not know is an error, what only `name` does not know is for others.
pub fn apply(
    command: Command,
    name: &str,
    all: &str,
    pairs: Vec<(String, Vec<OsString>)>,
) -> Result<Command, String> {
    let known = |command: &Command, sub: &str, flag: &str| {
        command
            .find_subcommand(sub)
            .is_some_and(|sub| takes(sub, flag))
    };
    if let Some((unknown, _)) = pairs
        .iter()
        .find(|(flag, _)| flag == "config" || !known(&command, all, flag))
    {
        return Err(format!(
            "`{unknown}` is no setting; `rollcall settings` lists them all"
        ));
    }
    Ok(command.mut_subcommand(name, |sub| with_defaults(sub, &pairs)))
}

fn takes(command: &Command, flag: &str) -> bool {
    command
        .get_arguments()
        .any(|argument| argument.get_long() == Some(flag))
}

fn with_defaults(command: Command, pairs: &[(String, Vec<OsString>)]) -> Command {
    let command = pairs
        .iter()
        .filter(|(flag, _)| takes(&command, flag))
        .map(|(flag, values)| {
            let id = command
                .get_arguments()
                .find(|argument| argument.get_long() == Some(flag))
                .map(|argument| argument.get_id().clone());
            (id, values.clone())
        })
        .collect::<Vec<_>>()
        .into_iter()
        .fold(command, |command, (id, values)| match id {
            Some(id) => command.mut_arg(id, |argument| argument.default_values(values)),
            None => command,
        });
    // Commands below, such as `users create`.
    let names: Vec<String> = command
        .get_subcommands()
        .map(|sub| sub.get_name().to_owned())
        .collect();
    names.into_iter().fold(command, |command, name| {
        command.mut_subcommand(name, |sub| with_defaults(sub, pairs))
    })
}

/// The name of the environment variable that names the file.
pub const ENVIRONMENT: &str = "ROLLCALL_CONFIG";

/// The file named in the process's environment.
pub fn from_environment() -> Option<OsString> {
    std::env::var_os(OsStr::new(ENVIRONMENT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_name_the_file_before_the_environment_does() {
        let words = |list: &[&str]| list.iter().map(OsString::from).collect::<Vec<_>>();
        let environment = || Some(OsString::from("e.toml"));
        for (arguments, expected) in [
            (words(&["rollcall", "serve"]), "e.toml"),
            (
                words(&["rollcall", "serve", "--config", "a.toml"]),
                "a.toml",
            ),
            (words(&["rollcall", "--config=a.toml"]), "a.toml"),
        ] {
            assert_eq!(
                named_in(&arguments, environment()),
                Some(PathBuf::from(expected))
            );
        }
        assert_eq!(named_in(&words(&["rollcall"]), Some(OsString::new())), None);
    }

    #[test]
    fn a_file_holds_texts_numbers_choices_and_lists() {
        let pairs = parse("rotate-every = \"10s\"\ndemo = 5\nhsts-include-subdomains = true\ntrusted-proxy = [\"10.0.0.1\", \"::1\"]").unwrap();
        let find = |name: &str| &pairs.iter().find(|(flag, _)| flag == name).unwrap().1;
        assert_eq!(find("rotate-every"), &["10s"]);
        assert_eq!(find("demo"), &["5"]);
        assert_eq!(find("hsts-include-subdomains"), &["true"]);
        assert_eq!(find("trusted-proxy"), &["10.0.0.1", "::1"]);
        assert!(parse("a = 1.5").unwrap_err().contains("`a`"));
        assert!(parse("[section]\na = 1").unwrap_err().contains("`section`"));
        assert!(parse("a = ").is_err());
    }
}
