//! The list of all settings, written from the command itself so that it cannot be out of date.

use clap::Command;

struct Row {
    flag: String,
    value: String,
    environment: String,
    default: String,
    meaning: String,
}

fn rows(command: &Command) -> Vec<Row> {
    command
        .get_arguments()
        .filter_map(|argument| {
            let environment = argument.get_env()?.to_str()?.to_owned();
            let default: Vec<_> = argument
                .get_default_values()
                .iter()
                .filter_map(|value| value.to_str())
                .collect();
            Some(Row {
                flag: argument.get_long()?.to_owned(),
                value: argument
                    .get_value_names()
                    .and_then(|names| names.first())
                    .map(|name| name.to_string())
                    .unwrap_or_default(),
                environment,
                default: default.join(","),
                meaning: argument
                    .get_long_help()
                    .or(argument.get_help())
                    .map(|help| help.to_string().replace('\n', " "))
                    .unwrap_or_default(),
            })
        })
        .collect()
}

/// The list for a terminal: one setting after the other.
pub fn text(serve: &Command) -> String {
    rows(serve)
        .into_iter()
        .map(|row| {
            let default = match row.default.as_str() {
                "" => String::new(),
                default => format!("\n    default {default}"),
            };
            format!(
                "--{} {}\n    {}{default}\n    {}\n",
                row.flag, row.value, row.environment, row.meaning
            )
        })
        .collect::<Vec<_>>()
        .join("\n")
}

/// The list as `docs/configuration.md`.
pub fn markdown(serve: &Command) -> String {
    let mut page = String::from(
        "# Settings\n\n\
         <!-- Written by `rollcall settings --markdown`; change crates/server/src/config.rs instead. -->\n\n\
         Every setting has a safe default. Each is a flag of `rollcall serve`, a variable in the environment, and a line in\n\
         an optional file (`--config FILE`). A flag beats the environment, the environment beats the file, the file beats the\n\
         default. Durations are a whole number and `s`, `m`, `h` or `d`. A value that cannot be read stops the start with a\n\
         sentence that names the setting; so does a name in the file that is no setting.\n\n\
         `--rotate-every 10s`, `ROLLCALL_ROTATE_EVERY=10s` and this file all say the same:\n\n\
         ```toml\n\
         rotate-every = \"10s\"\n\
         ```\n\n\
         The commands `rollcall users …` take `config`, `database` and `data-dir` from the same places.\n\n\
         | flag and line in the file | in the environment | default | what it is |\n\
         |---|---|---|---|\n",
    );
    for row in rows(serve) {
        let default = match row.default.as_str() {
            "" => "none".to_owned(),
            default => format!("`{default}`"),
        };
        // clap takes the full stop off.
        let meaning = row.meaning.trim_end_matches('.').replace('|', "\\|") + ".";
        page.push_str(&format!(
            "| `--{} {}` | `{}` | {default} | {meaning} |\n",
            row.flag, row.value, row.environment
        ));
    }
    page
}
