//! Bodies: none of ours is large, so each is read in full, in time, before anything else is done.

use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use futures_util::StreamExt;
use http::{HeaderMap, Method, header};
use rollcall_core::Error;

use super::request::Area;

/// The largest body that any call takes, in bytes.
pub(super) const LARGEST: usize = 64 * 1024;

/// How long a body may take to arrive.
const LONGEST_ARRIVAL: Duration = Duration::from_secs(10);

/// Refuses a body that is too large, too slow or of a type that this part of the server does not take,
/// and puts what arrived back into the request.
pub(super) async fn admit(area: Area, request: Request) -> Result<Request, Error> {
    admit_within(LONGEST_ARRIVAL, area, request).await
}

async fn admit_within(patience: Duration, area: Area, request: Request) -> Result<Request, Error> {
    let (parts, body) = request.into_parts();
    let announced = body.size_hint();
    if announced.lower() > LARGEST as u64 {
        return Err(Error::TooLarge);
    }
    let empty = announced.exact() == Some(0);
    if area == Area::Rpc && parts.method != Method::POST {
        return Err(Error::MethodNotAllowed);
    }
    if !type_fits(area, &parts.headers, empty) {
        return Err(Error::UnsupportedMediaType);
    }
    if empty {
        return Ok(Request::from_parts(parts, Body::empty()));
    }
    let bytes = tokio::time::timeout(patience, collect(body))
        .await
        .map_err(|_| Error::RequestTimeout)??;
    Ok(Request::from_parts(parts, Body::from(bytes)))
}

async fn collect(body: Body) -> Result<Vec<u8>, Error> {
    let mut stream = body.into_data_stream();
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|_| Error::MalformedBody)?;
        if bytes.len() + chunk.len() > LARGEST {
            return Err(Error::TooLarge);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

// A form on another site can send text/plain, urlencoded and multipart without asking first; /api takes
// none of them (ASVS 3.5.2), but for OAuth's two calls: what they do depends on a token in the form alone.
fn type_fits(area: Area, headers: &HeaderMap, empty: bool) -> bool {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let (first, second) = (types.next(), types.next());
    let wanted = match area {
        Area::Api => "application/json",
        Area::Rpc | Area::OAuth => "application/x-www-form-urlencoded",
        Area::Page | Area::Proxied | Area::Open => return true,
    };
    match (first, second) {
        (None, _) => empty,
        (Some(_), Some(_)) => false,
        (Some(value), None) => value.to_str().is_ok_and(|text| {
            let (essence, parameters) = text.split_once(';').unwrap_or((text, ""));
            let charset = parameters.trim().to_ascii_lowercase();
            essence.trim().eq_ignore_ascii_case(wanted)
                && matches!(charset.as_str(), "" | "charset=utf-8" | "charset=\"utf-8\"")
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_takes_one_type() {
        for (area, value, empty, fits) in [
            (Area::Api, Some("application/json"), false, true),
            (
                Area::Api,
                Some("Application/JSON; charset=UTF-8"),
                false,
                true,
            ),
            (
                Area::Api,
                Some("application/json; charset=utf-16"),
                false,
                false,
            ),
            (Area::Api, Some("text/plain"), false, false),
            (Area::Api, Some("text/plain"), true, false),
            (
                Area::Api,
                Some("application/x-www-form-urlencoded"),
                false,
                false,
            ),
            (
                Area::Api,
                Some("multipart/form-data; boundary=x"),
                false,
                false,
            ),
            (
                Area::Api,
                Some("text/plain, application/json"),
                false,
                false,
            ),
            (Area::Api, None, false, false),
            (Area::Api, None, true, true),
            (
                Area::Rpc,
                Some("application/x-www-form-urlencoded"),
                false,
                true,
            ),
            (
                Area::OAuth,
                Some("application/x-www-form-urlencoded"),
                false,
                true,
            ),
            (Area::OAuth, Some("application/json"), false, false),
            (Area::Rpc, Some("application/json"), false, false),
            (Area::Rpc, None, true, true),
            (Area::Page, Some("text/plain"), false, true),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(value) = value {
                headers.insert(header::CONTENT_TYPE, value.parse().unwrap());
            }
            assert_eq!(
                type_fits(area, &headers, empty),
                fits,
                "{area:?} {value:?} {empty}"
            );
        }
    }

    #[tokio::test]
    async fn a_body_is_at_most_64_kib() {
        for (length, taken) in [(0, true), (LARGEST, true), (LARGEST + 1, false)] {
            let request = Request::new(Body::from(vec![b'x'; length]));
            assert_eq!(admit(Area::Page, request).await.is_ok(), taken, "{length}");
        }
        let endless =
            futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b'x'; 1024]));
        let error = admit(Area::Page, Request::new(Body::from_stream(endless)))
            .await
            .unwrap_err();
        assert_eq!(error, Error::TooLarge);
    }

    #[tokio::test]
    async fn a_body_that_does_not_arrive_is_given_up() {
        let never = futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>();
        let request = Request::new(Body::from_stream(never));
        let error = admit_within(Duration::from_millis(20), Area::Page, request)
            .await
            .unwrap_err();
        assert_eq!(error, Error::RequestTimeout);
    }
}
