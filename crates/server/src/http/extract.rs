//! What handlers take as arguments. Each refuses in our own words, so that no library's text reaches
//! anybody.

use std::ops::Deref;
use std::str::FromStr;
use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use http::request::Parts;
use rollcall_core::{Error, Problem, query};
use serde::de::DeserializeOwned;

use super::Shared;
use crate::error::ApiError;
use crate::service::RequestBackend;

/// The request's backend: it knows the caller and checks what they may do.
pub(super) type Asking = Extension<Arc<RequestBackend>>;

/// The backend of a request that somebody signed in has sent. Nobody else learns whether what they sent could
/// be read.
pub(super) struct SignedIn(Arc<RequestBackend>);

impl FromRequestParts<Shared> for SignedIn {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, ApiError> {
        let backend = parts.extensions.get::<Arc<RequestBackend>>().cloned();
        let backend = backend.ok_or(Error::Internal)?;
        backend.signed_in()?;
        Ok(Self(backend))
    }
}

impl Deref for SignedIn {
    type Target = RequestBackend;

    fn deref(&self) -> &RequestBackend {
        &self.0
    }
}

/// As `SignedIn`, for what a connected client does by its own session, too.
pub(super) struct AtWork(Arc<RequestBackend>);

impl FromRequestParts<Shared> for AtWork {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, ApiError> {
        let backend = parts.extensions.get::<Arc<RequestBackend>>().cloned();
        let backend = backend.ok_or(Error::Internal)?;
        backend.at_work()?;
        Ok(Self(backend))
    }
}

impl Deref for AtWork {
    type Target = RequestBackend;

    fn deref(&self) -> &RequestBackend {
        &self.0
    }
}

/// The id in the path. What is no id does not exist.
pub(super) struct Id<T>(pub(super) T);

impl<T: FromStr> FromRequestParts<Shared> for Id<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &Shared) -> Result<Self, ApiError> {
        let parameters = RawPathParams::from_request_parts(parts, state)
            .await
            .map_err(|_| Error::NotFound)?;
        let id = parameters
            .iter()
            .next()
            .and_then(|(_, text)| text.parse().ok());
        Ok(Self(id.ok_or(Error::NotFound)?))
    }
}

/// Everything after the question mark, for a parser of `core`.
pub(super) struct Parameters(pub(super) String);

impl FromRequestParts<Shared> for Parameters {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, ApiError> {
        Ok(Self(parts.uri.query().unwrap_or_default().to_owned()))
    }
}

/// Says that a call has no parameters; any is refused by its name.
pub(super) struct NoParameters;

impl FromRequestParts<Shared> for NoParameters {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, ApiError> {
        match query::pairs(parts.uri.query().unwrap_or_default())?.first() {
            None => Ok(Self),
            Some((name, _)) => Err(ApiError::field(name, Problem::Unknown)),
        }
    }
}

/// The one parameter `name`, which can only have one `value`: true if it is given.
pub(super) fn switch(parameters: &Parameters, name: &str, value: &str) -> Result<bool, ApiError> {
    let mut given = false;
    for (key, chosen) in query::pairs(&parameters.0)? {
        let problem = if key != name {
            Problem::Unknown
        } else if given {
            Problem::Repeated
        } else if chosen != value {
            Problem::NotOffered
        } else {
            given = true;
            continue;
        };
        return Err(ApiError::field(&key, problem));
    }
    Ok(given)
}

/// A JSON body.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Shared> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &Shared) -> Result<Self, ApiError> {
        read(&bytes(request, state).await?).map(Self)
    }
}

/// A JSON body that may be left out, or be `null`.
pub(super) struct OptionalBody<T>(pub(super) T);

impl<T: DeserializeOwned + Default> FromRequest<Shared> for OptionalBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &Shared) -> Result<Self, ApiError> {
        let bytes = bytes(request, state).await?;
        if bytes.is_empty() || bytes.trim_ascii() == b"null" {
            return Ok(Self(T::default()));
        }
        read(&bytes).map(Self)
    }
}

/// The pairs of a form.
pub(super) struct Form(pub(super) Vec<(String, String)>);

impl FromRequest<Shared> for Form {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &Shared) -> Result<Self, ApiError> {
        let bytes = bytes(request, state).await?;
        let text = std::str::from_utf8(&bytes).map_err(|_| Error::MalformedBody)?;
        Ok(Self(query::pairs(text)?))
    }
}

async fn bytes(request: Request, state: &Shared) -> Result<Bytes, ApiError> {
    Bytes::from_request(request, state)
        .await
        .map_err(|_| Error::MalformedBody.into())
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    if !bytes.trim_ascii_start().starts_with(b"{") {
        return Err(Error::MalformedBody.into());
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| refusal(&error))?;
    json.end().map_err(|_| Error::MalformedBody)?;
    Ok(value)
}

fn refusal(error: &serde_path_to_error::Error<serde_json::Error>) -> ApiError {
    if !error.inner().is_data() {
        return Error::MalformedBody.into();
    }
    // serde has no other way to say which field it was.
    let words = error.inner().to_string();
    let named = |start: &str| words.strip_prefix(start)?.split('`').next();
    let by_name = [
        ("unknown field `", Problem::Unknown),
        ("missing field `", Problem::Missing),
        ("duplicate field `", Problem::Repeated),
    ]
    .into_iter()
    .find_map(|(start, problem)| Some(ApiError::field(named(start)?, problem)));
    // Of the wrong type: the path says which.
    let by_path = || {
        let field = error.path().iter().next_back()?;
        matches!(field, serde_path_to_error::Segment::Map { .. })
            .then(|| ApiError::field(&field.to_string(), Problem::Malformed))
    };
    by_name
        .or_else(by_path)
        .unwrap_or_else(|| Error::MalformedBody.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        #[serde(rename = "name")]
        _name: String,
    }

    #[test]
    fn a_body_is_refused_with_the_field_named() {
        for (text, field, problem) in [
            ("{}", "name", Problem::Missing),
            ("{\"name\":\"a\",\"role\":\"b\"}", "role", Problem::Unknown),
            ("{\"name\":\"a\",\"name\":\"b\"}", "name", Problem::Repeated),
            ("{\"name\":5}", "name", Problem::Malformed),
        ] {
            assert_eq!(
                read::<Sample>(text.as_bytes()).unwrap_err(),
                ApiError::field(field, problem),
                "{text}"
            );
        }
        // serde would read a struct's fields from a list, too.
        for text in ["", "{", "[]", "[\"a\"]", "null", "{\"name\":\"a\"}x"] {
            assert_eq!(
                read::<Sample>(text.as_bytes()).unwrap_err().error,
                Error::MalformedBody,
                "{text}"
            );
        }
        assert!(read::<Sample>(b"{\"name\":\"a\"}").is_ok());
        assert_eq!(
            read::<Sample>("[".repeat(10_000).as_bytes())
                .unwrap_err()
                .error,
            Error::MalformedBody
        );
    }

    #[test]
    fn a_switch_has_one_name_and_one_value() {
        let read = |text: &str| switch(&Parameters(text.to_owned()), "except", "current");
        assert_eq!(read(""), Ok(false));
        assert_eq!(read("except=current"), Ok(true));
        for (text, name, problem) in [
            ("except=others", "except", Problem::NotOffered),
            ("except=", "except", Problem::NotOffered),
            ("except=current&except=current", "except", Problem::Repeated),
            ("exept=current", "exept", Problem::Unknown),
        ] {
            assert_eq!(read(text), Err(ApiError::field(name, problem)), "{text}");
        }
    }
}
