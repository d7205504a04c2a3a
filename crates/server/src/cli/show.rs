//! What commands print: tables for people, the API's JSON for programs.

use std::io::{IsTerminal, Write};

use anyhow::bail;
use clap::Args;
use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};
use serde_json::Value;

/// A column of a table: its name, and how it is read from a row.
pub(super) type Column = (&'static str, fn(&Value) -> String);

/// Prints JSON.
pub(super) fn json(value: &Value) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, value)?;
    writeln!(out)?;
    Ok(())
}

/// Prints a page of a list as a table, and how many rows there are in all.
pub(super) fn page(page: &Value, columns: &[Column], items: &str) -> anyhow::Result<()> {
    let rows = page["items"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    table(rows, columns)?;
    let total = page["total"].as_u64().unwrap_or(rows.len() as u64);
    let more = match page["total_is_exact"].as_bool() {
        Some(false) => "more than ",
        _ => "",
    };
    let mut out = std::io::stdout().lock();
    writeln!(out, "{} of {more}{total} {items}", rows.len())?;
    Ok(())
}

/// Prints rows as a table; nothing where there are none.
pub(super) fn table(rows: &[Value], columns: &[Column]) -> anyhow::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut table = Table::new();
    table
        .load_style(NOTHING)
        .set_content_arrangement(match std::io::stdout().is_terminal() {
            true => ContentArrangement::Dynamic,
            false => ContentArrangement::Disabled,
        })
        .set_header(columns.iter().map(|(name, _)| *name));
    for row in rows {
        table.add_row(columns.iter().map(|(_, read)| plain(&read(row))));
    }
    let mut out = std::io::stdout().lock();
    writeln!(out, "{table}")?;
    Ok(())
}

// What people have called things must not steer a terminal.
fn plain(text: &str) -> String {
    text.chars()
        .map(|letter| {
            if letter.is_control() {
                '\u{FFFD}'
            } else {
                letter
            }
        })
        .collect()
}

/// A text within a row; empty where there is none.
pub(super) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A time to the second: `2026-11-23 09:00:00Z`.
pub(super) fn time(value: &Value) -> String {
    let text = value.as_str().unwrap_or_default();
    match (text.get(..10), text.get(11..19)) {
        (Some(day), Some(time)) => format!("{day} {time}Z"),
        _ => text.to_owned(),
    }
}

/// How carefully something is done that cannot be undone.
#[derive(Args, Debug)]
pub(super) struct Caution {
    /// Says what would end, and ends nothing.
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Does it without asking.
    #[arg(long, conflicts_with = "dry_run")]
    pub(super) yes: bool,
}

/// Asks before something is done that cannot be undone. `yes` answers beforehand; without a terminal it has to.
pub(super) fn confirm(question: &str, yes: bool) -> anyhow::Result<bool> {
    if yes {
        return Ok(true);
    }
    if !std::io::stdin().is_terminal() {
        bail!("{question} Write --yes to do it, or --dry-run to see only");
    }
    let mut out = std::io::stderr().lock();
    write!(out, "{question} [y/N] ")?;
    out.flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_time_is_shown_to_the_second_and_a_name_steers_nothing() {
        assert_eq!(
            time(&json!("2026-11-23T09:00:00.123456Z")),
            "2026-11-23 09:00:00Z"
        );
        assert_eq!(
            (time(&Value::Null), time(&json!("soon"))),
            (String::new(), "soon".to_owned())
        );
        assert_eq!(plain("a\u{1b}[2Jb\r\nc"), "a\u{FFFD}[2Jb\u{FFFD}\u{FFFD}c");
    }
}
