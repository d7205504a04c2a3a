//! The two calls of Rediacc's console, with its field names: what was written for it works here.

use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, stream};
use http::{HeaderValue, header};
use rollcall_core::{
    Backend, Error, PageNumber, PageSize, Problem, Session, SessionId, SessionQuery, State,
    Timestamp, query,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::extract::{Asking, Id, NoParameters, Parameters};
use super::respond::done;
use crate::error::{ApiError, ProblemDocument};
use crate::service::RequestBackend;

/// Rows that are read at once while everything is streamed.
const BATCH: u64 = 500;

/// A session as Rediacc's console names its fields.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct UserRequest {
    /// Unique session identifier.
    request_id: SessionId,
    /// E-mail of the session's owner.
    user_email: String,
    /// Name of the session.
    session_name: String,
    /// The client's address.
    ip_address: String,
    /// Browser or program.
    user_agent: String,
    /// Whether the session is active.
    is_active: bool,
    /// When it was created.
    created_at: Timestamp,
    /// When it was last used.
    last_activity: Timestamp,
}

impl From<&Session> for UserRequest {
    fn from(session: &Session) -> Self {
        Self {
            request_id: session.id,
            user_email: session.user.email.clone(),
            session_name: session.name.clone(),
            ip_address: session.ip.clone(),
            user_agent: session.user_agent.clone(),
            is_active: session.state == State::Active,
            created_at: session.created_at,
            last_activity: session.last_activity_at,
        }
    }
}

/// The sessions that the caller may see, newest first, as one bare array. All of them, streamed; with
/// `page` or `page_size` one page, and a `Link` to the next. Needs `sessions.view`.
#[utoipa::path(
    get, path = "/api/UserRequests", tag = "Rediacc",
    params(
        ("page" = Option<u32>, Query, description = "The number of a page, from 1", minimum = 1, maximum = 10_000_000),
        ("page_size" = Option<u32>, Query, description = "Rows on a page, 1 to 1,000; 100 if only `page` is given", minimum = 1, maximum = 1000),
    ),
    responses(
        (status = 200, description = "The sessions", body = [UserRequest]),
        (status = 400, description = "A parameter cannot be accepted", body = ProblemDocument),
        (status = 403, description = "Not permitted", body = ProblemDocument),
    )
)]
pub(super) async fn list(
    Extension(asking): Extension<Arc<RequestBackend>>,
    parameters: Parameters,
) -> Result<Response, ApiError> {
    match wanted(&parameters.0)? {
        None => everything(asking).await,
        Some((page, size)) => one_page(&asking, page, size).await,
    }
}

fn wanted(text: &str) -> Result<Option<(u64, u64)>, ApiError> {
    let (mut page, mut size) = (None, None);
    for (name, value) in query::pairs(text)? {
        let (place, most): (&mut Option<u64>, u32) = match name.as_str() {
            "page" => (&mut page, 10_000_000),
            "page_size" => (&mut size, 1_000),
            _ => return Err(ApiError::field(&name, Problem::Unknown)),
        };
        if place.is_some() {
            return Err(ApiError::field(&name, Problem::Repeated));
        }
        let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        let number = value
            .parse()
            .ok()
            .filter(|number| digits && (1..=u64::from(most)).contains(number));
        *place = Some(number.ok_or_else(|| ApiError::field(&name, Problem::OutOfRange(1, most)))?);
    }
    Ok(match (page, size) {
        (None, None) => None,
        (page, size) => Some((page.unwrap_or(1), size.unwrap_or(100))),
    })
}

async fn one_page(asking: &RequestBackend, page: u64, size: u64) -> Result<Response, ApiError> {
    // One row more than the page tells whether there is a next one.
    let mut rows = rows_from(asking, (page - 1) * size, size + 1).await?;
    let more = rows.len() as u64 > size;
    if more {
        rows.pop();
    }
    let mut bytes = vec![b'['];
    write_rows(&rows, true, &mut bytes)?;
    bytes.push(b']');
    let mut response = json(Body::from(bytes));
    if more {
        let next = format!(
            "</api/UserRequests?page={}&page_size={size}>; rel=\"next\"",
            page + 1
        );
        let value = HeaderValue::from_str(&next).map_err(|_| Error::Internal)?;
        response.headers_mut().insert(header::LINK, value);
    }
    Ok(response)
}

// `count` rows from row `from` on, out of the pages of 100 that the list knows.
async fn rows_from(asking: &RequestBackend, from: u64, count: u64) -> Result<Vec<Session>, Error> {
    let step = PageSize::new(100).unwrap_or_default();
    let size = u64::from(step.get());
    let mut rows = Vec::new();
    let mut at = from;
    while at < from + count {
        let number = u32::try_from(at / size + 1).ok().and_then(PageNumber::new);
        // No list has a page of a larger number. It is asked all the same: that nothing is there is not
        // for everybody to hear.
        let query = SessionQuery {
            page: number.unwrap_or_default(),
            page_size: step,
            ..SessionQuery::default()
        };
        let items = asking.list_sessions(query).await?.items;
        if number.is_none() {
            break;
        }
        let whole = items.len() as u64 == size;
        let skip = usize::try_from(at % size).unwrap_or_default();
        let wanted = usize::try_from(from + count - at).unwrap_or_default();
        rows.extend(items.into_iter().skip(skip).take(wanted));
        if !whole {
            break;
        }
        at = (at / size + 1) * size;
    }
    Ok(rows)
}

// The first batch is read before the answer begins, so that an error still has a status. One that comes
// later breaks the connection: a body that ends as if it were whole would be a lie.
async fn everything(asking: Arc<RequestBackend>) -> Result<Response, ApiError> {
    let first = asking.sessions_after(None, BATCH).await?;
    Ok(json(Body::from_stream(rest(asking, first))))
}

enum Next {
    Opening(Vec<Session>),
    After(Timestamp, SessionId),
    Closing,
    Done,
}

fn rest(
    asking: Arc<RequestBackend>,
    first: Vec<Session>,
) -> impl Stream<Item = Result<Bytes, Error>> {
    stream::try_unfold(
        (asking, Next::Opening(first)),
        |(asking, next)| async move {
            let (rows, opening) = match next {
                Next::Opening(rows) => (rows, true),
                Next::After(at, id) => (asking.sessions_after(Some((at, id)), BATCH).await?, false),
                Next::Closing => return Ok(Some((Bytes::from_static(b"]"), (asking, Next::Done)))),
                Next::Done => return Ok(None),
            };
            let mut bytes = if opening { vec![b'['] } else { Vec::new() };
            write_rows(&rows, opening, &mut bytes)?;
            let next = match rows.last() {
                Some(last) if rows.len() as u64 == BATCH => Next::After(last.created_at, last.id),
                _ => Next::Closing,
            };
            Ok(Some((Bytes::from(bytes), (asking, next))))
        },
    )
}

fn write_rows(rows: &[Session], mut first: bool, bytes: &mut Vec<u8>) -> Result<(), Error> {
    for row in rows {
        if !first {
            bytes.push(b',');
        }
        first = false;
        serde_json::to_writer(&mut *bytes, &UserRequest::from(row)).map_err(|_| Error::Internal)?;
    }
    Ok(())
}

fn json(body: Body) -> Response {
    let mut response = body.into_response();
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    response
}

/// Ends one session, also one's own: that signs out. Needs `sessions.end`, or that it is one's own.
#[utoipa::path(
    delete, path = "/api/UserRequest/{requestId}", tag = "Rediacc",
    params(("requestId" = SessionId, Path, description = "The session")),
    responses(
        (status = 204, description = "Ended"),
        (status = 403, description = "Not permitted", body = ProblemDocument),
        (status = 404, description = "Unknown, or another organisation's", body = ProblemDocument),
        (status = 409, description = "Not active any more", body = ProblemDocument),
    )
)]
pub(super) async fn end(
    asking: Asking,
    Id(id): Id<SessionId>,
    _: NoParameters,
) -> Result<Response, ApiError> {
    asking.end_session(id, None).await?;
    Ok(done())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_asked_for_by_number_and_size() {
        for (text, expected) in [
            ("", None),
            ("page=2", Some((2, 100))),
            ("page_size=1000", Some((1, 1_000))),
            ("page=3&page_size=5", Some((3, 5))),
        ] {
            assert_eq!(wanted(text), Ok(expected), "{text}");
        }
        for (text, name, problem) in [
            ("page_size=1001", "page_size", Problem::OutOfRange(1, 1_000)),
            ("page_size=0", "page_size", Problem::OutOfRange(1, 1_000)),
            ("page=-1", "page", Problem::OutOfRange(1, 10_000_000)),
            ("page=+1", "page", Problem::OutOfRange(1, 10_000_000)),
            ("page=", "page", Problem::OutOfRange(1, 10_000_000)),
            ("page=1&page=1", "page", Problem::Repeated),
            ("limit=5", "limit", Problem::Unknown),
        ] {
            assert_eq!(wanted(text), Err(ApiError::field(name, problem)), "{text}");
        }
    }
}
