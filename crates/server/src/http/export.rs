//! Lists as files: CSV for spreadsheets, NDJSON for programs, streamed however long they are.

mod csv_file;

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

use self::csv_file::{Record, inert, write_line};
use super::extract::Parameters;
use super::openapi::parameters::{AuditFilterParameters, SessionFilterParameters};
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
    // A file has one order and no pages.
    let filter = SessionFilter::parse(&rest)?;
    let asked = SessionQuery {
        filter: filter.clone(),
        ..SessionQuery::default()
    };
    let begin = asking
        .begin_sessions_export(whose, &what(format, &asked.to_query()))
        .await?;
    let (backend, filter) = (asking.clone(), Arc::new(filter));
    let part = move |from| {
        let (backend, filter) = (backend.clone(), filter.clone());
        async move { backend.export_sessions(whose, &filter, from).await }
    };
    answer("sessions", format, asking.now(), begin, part).await
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

#[cfg(test)]
mod tests {
    use super::*;

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
