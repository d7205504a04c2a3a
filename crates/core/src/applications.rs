//! What applications that sign people in by themselves ask for, and what they are told about tokens.

use serde::Serialize;

use crate::ids::{SessionId, UserId};
use crate::session::{Kind, Method};
use crate::user::OrganisationRef;

/// Whom a session is for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Whom {
    /// The user with this id.
    Id(UserId),
    /// The user with this e-mail.
    Email(String),
}

/// A session that an application opens for somebody whom it has signed in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OpenFor {
    /// For whom.
    pub user: Whom,
    /// What to call it; browser and system where it is not given.
    pub name: Option<String>,
    /// The address of whoever signed in there; the application's own where it is not given.
    pub ip: Option<String>,
    /// The user agent of whoever signed in there; the application's own where it is not given.
    pub user_agent: Option<String>,
    /// Keep me signed in.
    pub keep: bool,
    /// Sessions of the user's to end where there are as many as there may be.
    pub end: Vec<SessionId>,
}

/// What a token stands for (RFC 7662, 2.2). `active` alone where it stands for nothing, or for nothing that concerns the
/// one who asks.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Introspection {
    /// Whether a live session of the caller's organisation has this token.
    pub active: bool,
    /// All else; only with `active`.
    #[serde(flatten)]
    pub about: Option<TokenFacts>,
}

/// The session behind a token, in the words of RFC 7662 and OpenID Connect where they have one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TokenFacts {
    /// Always `Bearer`.
    pub token_type: &'static str,
    /// The user's id.
    pub sub: UserId,
    /// The user's e-mail, which is the user name.
    pub username: String,
    /// What the user is called.
    pub name: String,
    /// The session's id.
    pub sid: SessionId,
    /// The user's organisation.
    pub organisation: OrganisationRef,
    /// The name of the user's primary role.
    pub role: String,
    /// What holds the session.
    pub kind: Kind,
    /// How the user signed in.
    pub method: Method,
    /// When the session began, in seconds since 1970.
    pub iat: i64,
    /// When it ends unless it is used again, and at the latest in any case; in seconds since 1970.
    pub exp: i64,
    /// When the user last proved who they are, in seconds since 1970.
    pub auth_time: i64,
}
