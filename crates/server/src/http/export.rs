//! Lists as files: CSV for spreadsheets, NDJSON for programs, streamed however long they are.

use std::borrow::Cow;
use std::future::Future;
use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use http::{HeaderValue, header};
use rollcall_core::{
    AuditEvent, AuditQuery, Error, Problem, Session, SessionFilter, SessionQuery, Timestamp, query,
};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::extract::Parameters;
use super::openapi::{AuditFilterParameters, SessionFilterParameters};
use crate::error::{ApiError, ProblemDocument};
use crate::service::RequestBackend;
use crate::service::export::Whose;

/// How a file is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Format {
    /// Comma-separated values (RFC 4180) with a line of names.
    Csv,
    /// JSON, one object in each line.
    Ndjson,
}

impl Format {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
        }
    }
}

/// What every export takes.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(
    dead_code,
    reason = "a description for the document; the field is never read"
)]
pub(super) struct FormatParameter {
    /// How the file is written.
    format: Format,
}

/// A row of a file.
trait Record: Serialize + Send + Sync {
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

/// Audit events as a file, newest first, with the filters of the list. Needs `audit.view`. The export is an event
/// itself. Ends early, with a broken connection, when the caller's session ends.
#[utoipa::path(
    get, path = "/api/v1/audit/export", tag = "Audit", params(FormatParameter, AuditFilterParameters),
    responses(
        (status = 200, description = "All that match", content(
            (String = "text/csv"), (AuditEvent = "application/x-ndjson"),
        )),
        (status = 400, description = "A parameter cannot be accepted", body = ProblemDocument),
        (status = 403, description = "Not permitted", body = ProblemDocument),
    )
)]
pub(super) async fn audit(
    Extension(asking): Extension<Arc<RequestBackend>>,
    parameters: Parameters,
) -> Result<Response, ApiError> {
    let (format, rest) = format(&parameters.0)?;
    let query = AuditQuery::parse_whole(&rest)?;
    asking
        .begin_audit_export(&what(format, &query.to_query()))
        .await?;
    let (backend, query) = (asking.clone(), Arc::new(query));
    let part = move |after| {
        let (backend, query) = (backend.clone(), query.clone());
        async move {
            let (rows, next) = backend.export_audit(&query, after).await?;
            Ok((rows, next.map(Some)))
        }
    };
    answer("audit", format, asking.now(), None, part).await
}

/// Sessions as a file, newest first, with the filters of the list. Needs `sessions.view`. Noted in the audit trail.
/// Ends early, with a broken connection, when the caller's session ends.
#[utoipa::path(
    get, path = "/api/v1/sessions/export", tag = "Sessions", params(FormatParameter, SessionFilterParameters),
    responses(
        (status = 200, description = "All that match", content(
            (String = "text/csv"), (Session = "application/x-ndjson"),
        )),
        (status = 400, description = "A parameter cannot be accepted", body = ProblemDocument),
        (status = 403, description = "Not permitted", body = ProblemDocument),
    )
)]
pub(super) async fn sessions(
    Extension(asking): Extension<Arc<RequestBackend>>,
    parameters: Parameters,
) -> Result<Response, ApiError> {
    sessions_of(Whose::Everybodys, asking, parameters).await
}

/// The caller's own sessions as a file, newest first: active ones unless `state` says otherwise. Noted in the audit
/// trail.
#[utoipa::path(
    get, path = "/api/v1/me/sessions/export", tag = "My account", params(FormatParameter, SessionFilterParameters),
    responses(
        (status = 200, description = "All that match", content(
            (String = "text/csv"), (Session = "application/x-ndjson"),
        )),
        (status = 400, description = "A parameter cannot be accepted", body = ProblemDocument),
    )
)]
pub(super) async fn own_sessions(
    Extension(asking): Extension<Arc<RequestBackend>>,
    parameters: Parameters,
) -> Result<Response, ApiError> {
    sessions_of(Whose::Own, asking, parameters).await
}

async fn sessions_of(
    whose: Whose,
    asking: Arc<RequestBackend>,
    parameters: Parameters,
) -> Result<Response, ApiError> {
    let (format, rest) = format(&parameters.0)?;
    for (name, _) in query::pairs(&rest)? {
        // A file has one order and no pages.
        if ["sort", "page", "page_size"].contains(&name.as_str()) {
            return Err(ApiError::field(&name, Problem::Unknown));
        }
    }
    let asked = SessionQuery::parse(&rest)?;
    let begin = asking
        .begin_sessions_export(whose, &what(format, &asked.to_query()))
        .await?;
    let (backend, filter) = (asking.clone(), Arc::new(asked.filter));
    let part = move |from| {
        let (backend, filter) = (backend.clone(), filter.clone());
        async move { export_part(&backend, whose, &filter, from).await }
    };
    answer("sessions", format, asking.now(), begin, part).await
}

async fn export_part(
    backend: &RequestBackend,
    whose: Whose,
    filter: &SessionFilter,
    from: crate::service::export::AfterSession,
) -> Result<(Vec<Session>, Option<crate::service::export::AfterSession>), Error> {
    backend.export_sessions(whose, filter, from).await
}

// The format and the other parameters.
fn format(text: &str) -> Result<(Format, String), ApiError> {
    let mut format = None;
    let mut rest = Vec::new();
    let pairs = query::pairs(text)?;
    for (name, value) in &pairs {
        if name != "format" {
            rest.push((name.as_str(), value.clone()));
            continue;
        }
        if format.is_some() {
            return Err(ApiError::field("format", Problem::Repeated));
        }
        format = Some(match value.as_str() {
            "csv" => Format::Csv,
            "ndjson" => Format::Ndjson,
            _ => return Err(ApiError::field("format", Problem::NotOffered)),
        });
    }
    let format = format.ok_or_else(|| ApiError::field("format", Problem::Missing))?;
    Ok((format, query::write(&rest)))
}

// What the audit trail says of an export.
fn what(format: Format, filters: &str) -> String {
    let filters = if filters.is_empty() {
        "everything"
    } else {
        filters
    };
    format!("{}, {filters}", format.as_str())
}

/// Streams what `part` answers, from `begin` on until it says that there is no more. The first part is read before
/// the answer begins, so that an error still has a status. One that comes later breaks the connection: a file that
/// ends as if it were whole would be a lie.
async fn answer<R, C, P, F>(
    name: &str,
    format: Format,
    now: Timestamp,
    begin: C,
    part: P,
) -> Result<Response, ApiError>
where
    R: Record + 'static,
    C: Send + 'static,
    P: Fn(C) -> F + Send + 'static,
    F: Future<Output = Result<(Vec<R>, Option<C>), Error>> + Send,
{
    let (rows, next) = part(begin).await?;
    let mut first = Vec::new();
    if format == Format::Csv {
        write_line(
            &mut first,
            R::COLUMNS.iter().map(|name| Cow::Borrowed(*name)),
        )?;
    }
    write_rows(format, &rows, &mut first)?;
    let rest = stream::try_unfold((part, next), move |(part, mut next)| async move {
        // A part without a match is nothing to send.
        while let Some(from) = next {
            let (rows, after) = part(from).await?;
            next = after;
            if !rows.is_empty() {
                let mut bytes = Vec::new();
                write_rows(format, &rows, &mut bytes)?;
                return Ok(Some((Bytes::from(bytes), (part, next))));
            }
        }
        Ok::<_, Error>(None)
    });
    let first = stream::iter([Ok(Bytes::from(first))]);
    let body = Body::from_stream(futures_util::StreamExt::chain(first, rest));
    let mut response = body.into_response();
    let (kind, ending) = match format {
        Format::Csv => ("text/csv; charset=utf-8; header=present", "csv"),
        Format::Ndjson => ("application/x-ndjson", "ndjson"),
    };
    let moment: String = now.civil(0).to_string().replace(' ', "-").replace(':', "");
    let file = format!("attachment; filename=\"rollcall-{name}-{moment}Z.{ending}\"");
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(
        header::CONTENT_DISPOSITION,
        HeaderValue::from_str(&file).map_err(|_| Error::Internal)?,
    );
    Ok(response)
}

fn write_rows<R: Record>(format: Format, rows: &[R], bytes: &mut Vec<u8>) -> Result<(), Error> {
    for row in rows {
        match format {
            Format::Csv => write_line(bytes, row.cells().into_iter().map(inert))?,
            Format::Ndjson => {
                serde_json::to_writer(&mut *bytes, row).map_err(|_| Error::Internal)?;
                bytes.push(b'\n');
            }
        }
    }
    Ok(())
}

fn write_line<'a>(
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
fn inert(cell: Cow<'_, str>) -> Cow<'_, str> {
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

    #[test]
    fn a_file_has_one_format() {
        assert_eq!(
            format("format=csv&q=a%26b").unwrap(),
            (Format::Csv, "q=a%26b".to_owned())
        );
        for (text, problem) in [
            ("", Problem::Missing),
            ("format=", Problem::NotOffered),
            ("format=xlsx", Problem::NotOffered),
            ("format=csv&format=csv", Problem::Repeated),
        ] {
            assert_eq!(
                format(text).unwrap_err(),
                ApiError::field("format", problem),
                "{text}"
            );
        }
    }
}
