//! Rows of files, and how CSV has them.

use std::borrow::Cow;

use rollcall_core::{AuditEvent, Error, Session};
use serde::Serialize;

/// A row of a file.
pub(super) trait Record: Serialize + Send + Sync {
    /// The name of each column.
    const COLUMNS: &'static [&'static str];

    /// What stands in each of them.
    fn cells(&self) -> Vec<Cow<'_, str>>;
}

impl Record for AuditEvent {
    const COLUMNS: &'static [&'static str] = &[
        "sequence",
        "at",
        "event",
        "actor",
        "actor_id",
        "target",
        "target_email",
        "target_id",
        "organisation",
        "action",
        "outcome",
        "session",
        "detail",
        "ip",
        "user_agent",
        "request_id",
    ];

    fn cells(&self) -> Vec<Cow<'_, str>> {
        let actor = self.actor.as_ref();
        let target = self.target.as_ref();
        vec![
            self.sequence.to_string().into(),
            self.at.to_string().into(),
            self.sentence().into(),
            actor.map_or("", |actor| &actor.name).into(),
            text(actor.and_then(|actor| actor.id)),
            target.map_or("", |user| &user.name).into(),
            target.map_or("", |user| &user.email).into(),
            text(target.map(|user| user.id)),
            self.organisation
                .as_ref()
                .map_or("", |one| &one.name)
                .into(),
            self.action.as_str().into(),
            self.outcome.as_str().into(),
            text(self.session),
            self.detail.as_deref().unwrap_or_default().into(),
            self.ip.as_str().into(),
            self.user_agent.as_str().into(),
            self.request_id.as_str().into(),
        ]
    }
}

impl Record for Session {
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "user_email",
        "user_name",
        "user_id",
        "service_account",
        "organisation",
        "name",
        "kind",
        "method",
        "ip",
        "browser",
        "system",
        "user_agent",
        "server_name",
        "state",
        "created_at",
        "last_activity_at",
        "duration_seconds",
        "idle_expires_at",
        "absolute_expires_at",
        "ended_at",
        "ended_reason",
        "ended_by",
        "ended_note",
    ];

    fn cells(&self) -> Vec<Cow<'_, str>> {
        let ended = self.ended.as_ref();
        vec![
            self.id.to_string().into(),
            self.user.email.as_str().into(),
            self.user.name.as_str().into(),
            self.user.id.to_string().into(),
            self.user.service_account.to_string().into(),
            self.organisation.name.as_str().into(),
            self.name.as_str().into(),
            self.kind.as_str().into(),
            self.method.as_str().into(),
            self.ip.as_str().into(),
            self.browser.as_str().into(),
            self.system.as_str().into(),
            self.user_agent.as_str().into(),
            self.server_name.as_str().into(),
            self.state.as_str().into(),
            self.created_at.to_string().into(),
            self.last_activity_at.to_string().into(),
            self.duration_seconds.to_string().into(),
            self.idle_expires_at.to_string().into(),
            self.absolute_expires_at.to_string().into(),
            text(ended.map(|ended| ended.at)),
            ended.map_or("", |ended| ended.reason.as_str()).into(),
            ended
                .and_then(|ended| ended.by.as_ref())
                .map_or("", |actor| &actor.name)
                .into(),
            ended
                .and_then(|ended| ended.note.as_deref())
                .unwrap_or_default()
                .into(),
        ]
    }
}

fn text<T: ToString>(value: Option<T>) -> Cow<'static, str> {
    value
        .map(|value| value.to_string())
        .unwrap_or_default()
        .into()
}

pub(super) fn write_line<'a>(
    bytes: &mut Vec<u8>,
    cells: impl Iterator<Item = Cow<'a, str>>,
) -> Result<(), Error> {
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(bytes);
    writer
        .write_record(cells.map(|cell| cell.into_owned()))
        .and_then(|()| writer.flush().map_err(csv::Error::from))
        .map_err(|_| Error::Internal)
}

/// A cell that no spreadsheet takes for a formula: names and user agents are what others chose to send. Source:
/// OWASP "CSV Injection".
pub(super) fn inert(cell: Cow<'_, str>) -> Cow<'_, str> {
    const STARTS: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];
    if cell.starts_with(STARTS) {
        format!("'{cell}").into()
    } else {
        cell
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_that_could_be_a_formula_is_text() {
        for (cell, written) in [
            (
                "=HYPERLINK(\"http://evil.example\")",
                "'=HYPERLINK(\"http://evil.example\")",
            ),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t=1"),
            ("\r=1", "'\r=1"),
            ("\n=1", "'\n=1"),
            ("＝1", "'＝1"),
            ("Nora = Rossi", "Nora = Rossi"),
            ("", ""),
        ] {
            assert_eq!(inert(cell.into()), written, "{cell:?}");
        }
        let mut line = Vec::new();
        write_line(
            &mut line,
            ["a,b", "say \"no\"", "two\nlines", "plain"]
                .into_iter()
                .map(Cow::Borrowed),
        )
        .unwrap();
        assert_eq!(
            String::from_utf8(line).unwrap(),
            "\"a,b\",\"say \"\"no\"\"\",\"two\nlines\",plain\r\n"
        );
    }
}
