//! The server functions of our own pages: each asks the backend and nothing more.
//!
//! `go` is sent by plain forms only: then the answer is a redirect to where the browser should be next.

#[cfg(feature = "ssr")]
mod filters;
#[cfg(feature = "ssr")]
mod integrations;
#[cfg(feature = "ssr")]
mod mail;
#[cfg(feature = "ssr")]
mod people;
#[cfg(feature = "ssr")]
mod rules;
#[cfg(feature = "ssr")]
mod sign_on;
#[cfg(feature = "ssr")]
mod work;

use std::pin::Pin;

use leptos::prelude::*;
use leptos::serde_json;
use leptos::server::ServerActionError;
use leptos::server_fn::codec::Post;
use leptos::server_fn::error::{FromServerFnError, ServerFnErrorErr, ServerFnUrlError};
use leptos::server_fn::{Bytes, ContentType, Decodes, Encodes, Format, FormatType};
// By its own name where a server function has the same: each function makes a type called like itself.
use rollcall_core as model;
use rollcall_core::{AuditEvent, EndResult, Error, OwnScope, Page, Session};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Serialize};

// The bodies of server functions are compiled on the server only, and so is what only they use.
#[cfg(feature = "ssr")]
use on_server::{AuditQuery, Field, Problem, SessionQuery, id, routes};

#[cfg(feature = "ssr")]
pub(crate) use filters::*;
#[cfg(feature = "ssr")]
pub(crate) use integrations::*;
#[cfg(feature = "ssr")]
pub(crate) use mail::*;
#[cfg(feature = "ssr")]
pub(crate) use people::*;
#[cfg(feature = "ssr")]
pub(crate) use rules::*;
#[cfg(feature = "ssr")]
pub(crate) use sign_on::*;
#[cfg(feature = "ssr")]
pub(crate) use work::*;

#[cfg(feature = "ssr")]
pub(crate) use on_server::{backend, place};

/// An error as it crosses from the server: a closed list without free text, since a plain form carries
/// it in the address.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RpcError(pub Error);

impl FromServerFnError for RpcError {
    type Encoder = JsonText;

    fn from_server_fn_error(error: ServerFnErrorErr) -> Self {
        Self(match error {
            ServerFnErrorErr::Args(_) | ServerFnErrorErr::MissingArg(_) => Error::MalformedBody,
            // What is no answer of ours comes from something in between.
            ServerFnErrorErr::Request(_) | ServerFnErrorErr::Deserialization(_) => {
                Error::Unreachable
            }
            _ => Error::Internal,
        })
    }
}

impl From<Error> for RpcError {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

/// What a server function answers.
pub type Rpc<T> = Result<T, RpcError>;

/// How it is sent.
type Answer = Post<JsonText>;

/// JSON, read as text. Leptos's own encoding reads it as bytes, but the data that comes with a page as text, so
/// that the bundle would hold the reading of every type twice.
pub struct JsonText;

impl ContentType for JsonText {
    const CONTENT_TYPE: &'static str = "application/json";
}

impl FormatType for JsonText {
    const FORMAT_TYPE: Format = Format::Text;
}

impl<T: Serialize> Encodes<T> for JsonText {
    type Error = serde_json::Error;

    fn encode(value: &T) -> Result<Bytes, Self::Error> {
        serde_json::to_vec(value).map(Bytes::from)
    }
}

impl<T: DeserializeOwned> Decodes<T> for JsonText {
    type Error = serde_json::Error;

    fn decode(bytes: Bytes) -> Result<T, Self::Error> {
        let text = str::from_utf8(&bytes).map_err(|_| serde_json::Error::custom("not UTF-8"))?;
        serde_json::from_str(text)
    }
}

/// Asks for data on the server, which hands it to the browser with the page, and asks again whenever `key`
/// changes: a text to ask by, and a number that only tells one time from the next.
pub(crate) fn load<T, F>(
    key: impl Fn() -> (String, u32) + Send + Sync + 'static,
    ask: impl Fn(String) -> F + Send + Sync + 'static,
) -> Resource<Rpc<T>>
where
    T: Clone + Serialize + DeserializeOwned + Send + Sync + 'static,
    F: Future<Output = Rpc<T>> + Send + 'static,
{
    // Boxed, so that the bundle holds the rest once for each type of answer, not for each question.
    let key: Box<dyn Fn() -> (String, u32) + Send + Sync> = Box::new(key);
    let ask: Box<dyn Fn(String) -> Coming<T> + Send + Sync> =
        Box::new(move |text| Box::pin(ask(text)));
    Resource::new(key, move |(text, _)| ask(text))
}

type Coming<T> = Pin<Box<dyn Future<Output = Rpc<T>> + Send>>;

/// Why a plain form failed that was sent to `action` and led back to this page.
pub(crate) fn failure(action: &str) -> Option<Error> {
    let failed = use_context::<ServerActionError>().filter(|failed| failed.path() == action)?;
    Some(ServerFnUrlError::<RpcError>::decode_err(failed.err()).0)
}

#[cfg(feature = "ssr")]
mod on_server {
    use std::str::FromStr;
    use std::sync::Arc;

    use leptos::prelude::use_context;
    use rollcall_core::query::QueryError;
    pub(super) use rollcall_core::{
        AuditQuery, Field, NameQuery, PolicyPlace, Problem, SessionQuery, UserQuery,
    };
    use rollcall_core::{Backend, Error, Page, Session};

    use super::{Rpc, RpcError};
    pub(super) use crate::routes;

    impl From<QueryError> for RpcError {
        fn from(error: QueryError) -> Self {
            let field = Field::from_name(&error.parameter).unwrap_or(Field::Other);
            Self(Error::Invalid(field, error.problem))
        }
    }

    /// The backend of the request.
    pub(crate) fn backend() -> Rpc<Arc<dyn Backend>> {
        use_context::<Arc<dyn Backend>>().ok_or(RpcError(Error::Internal))
    }

    /// Leaves of what runs under these sessions what our pages show.
    pub(super) async fn make_brief(backend: &dyn Backend, list: &mut Page<Session>) -> Rpc<()> {
        let zone = backend.surroundings().await?.zone;
        for session in &mut list.items {
            session.make_brief(|at| format!("{} {}", zone.civil(at), zone.name));
        }
        Ok(())
    }

    /// Whose policy: empty for what is not named.
    pub(crate) fn place(organisation: &str, role: String) -> Rpc<PolicyPlace> {
        Ok(PolicyPlace {
            organisation: match organisation {
                "" => None,
                text => Some(id(text, Field::Organisation)?),
            },
            role: Some(role).filter(|role| !role.is_empty()),
        })
    }

    /// An id as it was sent.
    pub(super) fn id<T: FromStr>(text: &str, field: Field) -> Rpc<T> {
        text.parse()
            .map_err(|_| RpcError(Error::Invalid(field, Problem::Malformed)))
    }
}

/// See `Backend::surroundings`.
#[server(prefix = "/rpc", endpoint = "surroundings", output = Answer)]
pub async fn surroundings() -> Rpc<model::Surroundings> {
    Ok(backend()?.surroundings().await?)
}

/// See `Backend::last_end`.
#[server(prefix = "/rpc", endpoint = "last_end", output = Answer)]
pub async fn last_end() -> Rpc<Option<model::LastEnd>> {
    Ok(backend()?.last_end().await?)
}

/// See `Backend::sign_in`. Answers where to go on: `next`, if that is a path of ours, or where the user chooses what
/// ends.
#[server(prefix = "/rpc", endpoint = "sign_in", output = Answer)]
pub async fn sign_in(
    #[server(default)] email: String,
    #[server(default)] password: String,
    keep: Option<String>,
    next: Option<String>,
    go: Option<bool>,
) -> Rpc<String> {
    let backend = backend()?;
    let input = model::SignIn {
        email,
        password,
        keep: keep.is_some(),
        name: None,
        end: Vec::new(),
    };
    let there = match backend.sign_in(input).await? {
        model::SignInStep::Done => routes::own_path(next.as_deref()).to_owned(),
        model::SignInStep::Choose => routes::choose_sessions(next.as_deref()),
    };
    if go == Some(true) {
        backend.redirect(&there);
    }
    Ok(there)
}

/// See `Backend::sign_out`.
#[server(prefix = "/rpc", endpoint = "sign_out", output = Answer)]
pub async fn sign_out(go: Option<bool>) -> Rpc<()> {
    let backend = backend()?;
    let provider = backend.sign_out().await?;
    if go == Some(true) {
        backend.redirect(&routes::signed_out(provider.as_ref()));
    }
    Ok(())
}

/// See `Backend::me`.
#[server(prefix = "/rpc", endpoint = "me", output = Answer)]
pub async fn me() -> Rpc<model::Me> {
    Ok(backend()?.me().await?)
}

/// See `Backend::change_password`. The new password is typed twice, since nobody can see it.
#[server(prefix = "/rpc", endpoint = "change_password", output = Answer)]
pub async fn change_password(
    #[server(default)] current_password: String,
    #[server(default)] new_password: String,
    #[server(default)] repeat_password: String,
    go: Option<bool>,
) -> Rpc<()> {
    if new_password != repeat_password {
        return Err(RpcError(Error::Invalid(
            Field::RepeatPassword,
            Problem::Different,
        )));
    }
    let backend = backend()?;
    backend
        .change_password(model::ChangePassword {
            current_password,
            new_password,
        })
        .await?;
    if go == Some(true) {
        backend.redirect(routes::SECURITY_CHANGED);
    }
    Ok(())
}

/// See `Backend::reauthenticate`. A plain form is sent to `next`, if that is a path of ours.
#[server(prefix = "/rpc", endpoint = "reauthenticate", output = Answer)]
pub async fn reauthenticate(
    #[server(default)] current_password: String,
    next: Option<String>,
) -> Rpc<()> {
    let backend = backend()?;
    backend.reauthenticate(current_password).await?;
    backend.redirect(routes::own_path(next.as_deref()));
    Ok(())
}

/// See `Backend::set_time_zone`. An empty zone follows the browser.
#[server(prefix = "/rpc", endpoint = "set_time_zone", output = Answer)]
pub async fn set_time_zone(#[server(default)] time_zone: String) -> Rpc<()> {
    let backend = backend()?;
    backend
        .set_time_zone(Some(time_zone).filter(|zone| !zone.is_empty()))
        .await?;
    backend.redirect(routes::SECURITY);
    Ok(())
}

/// See `Backend::time_zones`.
#[server(prefix = "/rpc", endpoint = "time_zones", output = Answer)]
pub async fn time_zones() -> Rpc<Vec<String>> {
    Ok(backend()?
        .time_zones()
        .into_iter()
        .map(str::to_owned)
        .collect())
}

/// See `Backend::list_own_sessions`.
#[server(prefix = "/rpc", endpoint = "list_own_sessions", output = Answer)]
pub async fn list_own_sessions(#[server(default)] query: String) -> Rpc<Page<Session>> {
    let backend = backend()?;
    let mut list = backend
        .list_own_sessions(SessionQuery::parse(&query)?)
        .await?;
    on_server::make_brief(&*backend, &mut list).await?;
    Ok(list)
}

/// See `Backend::find_own_session`.
#[server(prefix = "/rpc", endpoint = "find_own_session", output = Answer)]
pub async fn find_own_session(session: String) -> Rpc<Session> {
    Ok(backend()?
        .find_own_session(id(&session, Field::Id)?)
        .await?)
}

/// See `Backend::rename_own_session`.
#[server(prefix = "/rpc", endpoint = "rename_own_session", output = Answer)]
pub async fn rename_own_session(
    session: String,
    #[server(default)] name: String,
    go: Option<bool>,
) -> Rpc<()> {
    let backend = backend()?;
    backend
        .rename_own_session(id(&session, Field::Id)?, name)
        .await?;
    if go == Some(true) {
        backend.redirect(routes::MY_SESSIONS);
    }
    Ok(())
}

/// See `Backend::end_own_session`.
#[server(prefix = "/rpc", endpoint = "end_own_session", output = Answer)]
pub async fn end_own_session(session: String, go: Option<bool>) -> Rpc<EndResult> {
    let backend = backend()?;
    let result = backend.end_own_session(id(&session, Field::Id)?).await?;
    if go == Some(true) {
        backend.redirect(if result.signed_out {
            routes::SIGN_IN
        } else {
            routes::MY_SESSIONS
        });
    }
    Ok(result)
}

/// See `Backend::end_own_sessions`.
#[server(prefix = "/rpc", endpoint = "end_own_sessions", output = Answer)]
pub async fn end_own_sessions(scope: OwnScope, go: Option<bool>) -> Rpc<EndResult> {
    let backend = backend()?;
    let result = backend.end_own_sessions(scope).await?;
    if go == Some(true) {
        backend.redirect(if result.signed_out {
            routes::SIGN_IN
        } else {
            routes::MY_SESSIONS
        });
    }
    Ok(result)
}

/// See `Backend::list_sessions` and `Backend::describe_filter`.
#[server(prefix = "/rpc", endpoint = "list_sessions", output = Answer)]
pub async fn list_sessions(#[server(default)] query: String) -> Rpc<model::ListedSessions> {
    let (backend, query) = (backend()?, SessionQuery::parse(&query)?);
    let filters = backend.describe_filter(query.filter.clone()).await?;
    let mut list = backend.list_sessions(query).await?;
    on_server::make_brief(&*backend, &mut list).await?;
    Ok(model::ListedSessions { list, filters })
}

/// See `Backend::count_sessions`.
#[server(prefix = "/rpc", endpoint = "count_sessions", output = Answer)]
pub async fn count_sessions(#[server(default)] query: String) -> Rpc<u64> {
    Ok(backend()?
        .count_sessions(SessionQuery::parse(&query)?)
        .await?)
}

/// See `Backend::session_stats`.
#[server(prefix = "/rpc", endpoint = "session_stats", output = Answer)]
pub async fn session_stats() -> Rpc<model::SessionStats> {
    Ok(backend()?.session_stats().await?)
}

/// See `Backend::find_session`.
#[server(prefix = "/rpc", endpoint = "find_session", output = Answer)]
pub async fn find_session(session: String) -> Rpc<Session> {
    Ok(backend()?.find_session(id(&session, Field::Id)?).await?)
}

/// See `Backend::end_session`.
#[server(prefix = "/rpc", endpoint = "end_session", output = Answer)]
pub async fn end_session(
    session: String,
    reason: Option<String>,
    go: Option<bool>,
) -> Rpc<EndResult> {
    let backend = backend()?;
    let result = backend
        .end_session(id(&session, Field::Id)?, reason)
        .await?;
    if go == Some(true) {
        let there = routes::session(&session);
        backend.redirect(if result.signed_out {
            routes::SIGN_IN
        } else {
            &there
        });
    }
    Ok(result)
}

/// See `Backend::end_user_sessions`.
#[server(prefix = "/rpc", endpoint = "end_user_sessions", output = Answer)]
pub async fn end_user_sessions(
    user: String,
    #[server(default)] include_current: bool,
    go: Option<bool>,
) -> Rpc<EndResult> {
    let backend = backend()?;
    let result = backend
        .end_user_sessions(id(&user, Field::User)?, include_current)
        .await?;
    if go == Some(true) {
        let there = routes::user(&user);
        backend.redirect(if result.signed_out {
            routes::SIGN_IN
        } else {
            &there
        });
    }
    Ok(result)
}

/// See `Backend::preview_end`: the sessions that were ticked or, where `all` is given, everything that the query of a
/// list finds. Answers the path of the page that asks once more.
#[server(prefix = "/rpc", endpoint = "preview_end", output = Answer)]
pub async fn preview_end(
    #[server(default)] ids: Vec<String>,
    #[server(default)] query: String,
    all: Option<String>,
) -> Rpc<String> {
    let backend = backend()?;
    let choice = match all {
        Some(_) => model::EndChoice::Matching(SessionQuery::parse(&query)?.filter),
        None => model::EndChoice::Sessions(
            ids.iter()
                .map(|text| id(text, Field::Ids))
                .collect::<Rpc<_>>()?,
        ),
    };
    let run = backend.preview_end(choice).await?;
    let there = routes::end_many(&run.id.to_string());
    backend.redirect(&there);
    Ok(there)
}

/// See `Backend::list_audit`.
#[server(prefix = "/rpc", endpoint = "list_audit", output = Answer)]
pub async fn list_audit(#[server(default)] query: String) -> Rpc<Page<AuditEvent>> {
    Ok(backend()?.list_audit(AuditQuery::parse(&query)?).await?)
}
