//! All that can go wrong, as a closed list without free text: an error can travel in a URL, and no
//! link may put words on our pages.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

use crate::session::words;

words!(
    /// The field that an error is about.
    Field {
        /// The user name.
        Email = "email",
        /// The password at sign-in.
        Password = "password",
        /// A name.
        Name = "name",
        /// The search.
        Search = "q",
        /// The state filter.
        State = "state",
        /// The kind filter.
        Kind = "kind",
        /// The order of a list.
        Sort = "sort",
        /// The number of a page.
        Page = "page",
        /// Rows on a page.
        PageSize = "page_size",
        /// An id.
        Id = "id",
        /// The reason for an end.
        Reason = "reason",
        /// A user in a filter.
        User = "user",
        /// Several sessions.
        Ids = "ids",
        /// Which sessions, by what they have in common.
        Filter = "filter",
        /// A preview of an end.
        Preview = "preview",
        /// An organisation.
        Organisation = "organisation",
        /// A role.
        Role = "role",
        /// An address or a range of addresses.
        Ip = "ip",
        /// A program's account.
        ServiceAccount = "service_account",
        /// How somebody signed in, in a filter.
        Method = "method",
        /// A browser or program, in a filter.
        Browser = "browser",
        /// A system, in a filter.
        System = "system",
        /// A part of a user agent.
        Agent = "agent",
        /// A user agent as a whole.
        UserAgent = "user_agent",
        /// How long ago a session began, at least.
        OlderThan = "older_than",
        /// The same, at most.
        NewerThan = "newer_than",
        /// How long a session was not used, at least.
        IdleFor = "idle_for",
        /// Whether there are several sessions at once.
        Several = "several",
        /// Which columns a table has.
        Columns = "columns",
        /// Something that this call does not know.
        Other = "other",
    }
    seldom {
        /// The password in force.
        CurrentPassword = "current_password",
        /// The password to be.
        NewPassword = "new_password",
        /// The new password, once more.
        RepeatPassword = "repeat_password",
        /// A time zone.
        TimeZone = "time_zone",
        /// A session in a filter.
        Session = "session",
        /// An action in a filter.
        Action = "action",
        /// An outcome in a filter.
        Outcome = "outcome",
        /// How much: a user's, an organisation's, everything.
        Scope = "scope",
        /// A rule of a policy.
        IdleTimeout = "idle_timeout_seconds",
        /// The same.
        AbsoluteTimeout = "absolute_timeout_seconds",
        /// The same.
        KeepIdleTimeout = "keep_idle_timeout_seconds",
        /// The same.
        KeepAbsoluteTimeout = "keep_absolute_timeout_seconds",
        /// The same.
        MostSessions = "most_sessions",
        /// The same.
        WhenFull = "when_full",
        /// The same.
        OneAddress = "one_address",
        /// The same.
        ExemptServiceAccounts = "exempt_service_accounts",
        /// The same.
        LockAfter = "lock_after",
        /// The same.
        UnlockAfter = "unlock_after_seconds",
        /// The same.
        PasswordMinLength = "password_min_length",
        /// The same.
        FailureLimit = "failure_limit",
        /// The same.
        Retention = "retention_seconds",
        /// Sessions to end for one's own sign-in.
        End = "end",
        /// Who did it, in a filter.
        Actor = "actor",
        /// To whom it was done, in a filter.
        Target = "target",
        /// The first moment of a range.
        From = "from",
        /// The moment that a range ends before.
        Until = "until",
        /// How a file is to be written.
        Format = "format",
        /// The secondary roles.
        Roles = "roles",
        /// What a role allows.
        Permissions = "permissions",
        /// Whether sign-in is allowed.
        Enabled = "enabled",
        /// Whether there are open sessions.
        Active = "active",
        /// What a filter that is saved asks for.
        Query = "query",
        /// For how many days.
        Days = "days",
        /// A program's version.
        Version = "version",
        /// A machine.
        Host = "host",
        /// A registered client.
        Client = "client",
        /// A registration that another one goes on with.
        Replaces = "replaces",
        /// What an execution is about.
        ArtefactId = "artefact_id",
        /// What kind of thing that is.
        ArtefactKind = "artefact_kind",
        /// What set an execution off.
        Source = "source",
        /// What an agent calls a command of its own.
        Run = "run",
        /// The key of an identity provider.
        Key = "key",
        /// What something is called on a page.
        Label = "label",
        /// Who an identity provider is.
        Issuer = "issuer",
        /// What an identity provider knows this server as.
        ClientId = "client_id",
        /// Where a secret is.
        Secret = "secret",
        /// What an identity provider is asked for.
        Scopes = "scopes",
        /// Who may come in as what.
        Rules = "rules",
        /// How long ago somebody may have signed in elsewhere.
        MaxAge = "max_age_seconds",
        /// By which means somebody must have signed in elsewhere.
        AcrValues = "acr_values",
        /// What to leave out.
        Except = "except",
        /// What to take in.
        Include = "include",
        /// Where something listens.
        Url = "url",
        /// For whom something is meant.
        Audience = "audience",
        /// What somebody is told about.
        Events = "events",
        /// Whether e-mails are told.
        TellsEmail = "tells_email",
        /// A receiver of events.
        Receiver = "receiver",
        /// The body as a whole.
        Body = "body",
    }
);

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::session::read_word(deserializer, |name| {
            let seldom = cfg!(target_arch = "wasm32").then_some(Self::Other);
            Self::from_name(name).or(seldom)
        })
    }
}

/// What is wrong with a field.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Problem {
    /// It must be given.
    Missing,
    /// It cannot be read as what it should be.
    Malformed,
    /// This call has no such field or parameter.
    Unknown,
    /// It stands there more than once.
    Repeated,
    /// It must have at least so many characters.
    TooShort(u32),
    /// It may have at most so many characters.
    TooLong(u32),
    /// It must be between these two, both included.
    OutOfRange(u32, u32),
    /// There may be at most so many.
    TooMany(u32),
    /// It is none of the values that are possible.
    NotOffered,
    /// So many people use it that it is guessed first.
    TooCommon,
    /// It is not the password in force.
    Wrong,
    /// It must differ from the one in force.
    Unchanged,
    /// The two do not match.
    Different,
    /// It must begin with `https`.
    NotHttps,
    /// It leads to an address inside, and `allow-outbound` does not list it.
    NotPublic,
    /// Nobody is there.
    NotFound,
    /// The server has to know its own address for that, by `public-url`.
    NeedsPublicUrl,
    /// Something else has it.
    Taken,
    /// It names something that cannot be found, or turns out to be something else.
    NotThere,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("must be given"),
            Self::Malformed => f.write_str("cannot be read"),
            Self::Unknown => f.write_str("is not known here"),
            Self::Repeated => f.write_str("is given more than once"),
            Self::TooLong(most) => write!(f, "may have at most {most} characters"),
            Self::OutOfRange(least, most) => write!(f, "must be from {least} to {most}"),
            Self::TooMany(most) => write!(f, "cannot be kept: there may be at most {most}"),
            Self::NotOffered => f.write_str("is none of the possible values"),
            other => other.seldom(f),
        }
    }
}

impl Problem {
    // What the interactive pages never meet: they carry no words for it.
    #[cfg(target_arch = "wasm32")]
    fn seldom(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cannot be accepted")
    }

    #[cfg(not(target_arch = "wasm32"))]
    fn seldom(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooShort(least) => return write!(f, "needs at least {least} characters"),
            Self::TooCommon => "is too common and guessed first; choose another",
            Self::Wrong => "is wrong, or the account is locked",
            Self::Unchanged => "must differ from the current one",
            Self::Different => "does not match",
            Self::Taken => "is taken",
            Self::NotThere => "names something that is not there, or is something else",
            Self::NotHttps => "must begin with https://",
            Self::NotPublic => {
                "leads to an address that is not on the public internet, and the setting allow-outbound does not list it"
            }
            Self::NotFound => "has a host that cannot be found",
            Self::NeedsPublicUrl => "needs the setting public-url, which tokens name as their issuer",
            // All else has its words above.
            _ => "cannot be accepted",
        })
    }
}

/// An error as it leaves the server, through either door.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Error {
    /// No live session: sign in.
    Unauthenticated,
    /// E-mail or password is wrong, or the account is locked or disabled; never which.
    SignInFailed,
    /// Too many attempts from this address or on this account; seconds to wait.
    TooManyAttempts(u32),
    /// The one-time password must be changed first.
    PasswordChangeRequired,
    /// An API key does not do this; a session does.
    NotByKey,
    /// A connected client's own session does not do this.
    NotByClient,
    /// A session that an application has opened for its user does not do this.
    NotOnBehalf,
    /// The password was last entered too long ago for this.
    ReauthenticationRequired,
    /// Signed in, but not allowed.
    Forbidden,
    /// A request that changes something came from another site.
    ForeignOrigin,
    /// It does not exist for this caller.
    NotFound,
    /// Only active sessions can be ended.
    SessionNotActive,
    /// The execution is over.
    ExecutionNotRunning,
    /// The client's session has ended.
    ClientNotConnected,
    /// The user has as many sessions as there may be: so many.
    SessionLimit(u32),
    /// The user is signed in from another address, and there may be one only.
    OtherAddress,
    /// A preview has been used, or is older than ten minutes.
    PreviewSpent,
    /// A sign-in that waited for its user to choose has been finished, overtaken, or is older than five minutes.
    ChoiceSpent,
    /// The user may not sign in, or may do too much for a session that somebody else opens.
    UserNotEligible,
    /// An identity provider does not answer.
    ProviderAway,
    /// Another user has this e-mail.
    EmailTaken,
    /// Another organisation, or another role of the organisation, has this name.
    NameTaken,
    /// Somebody has this role.
    RoleInUse,
    /// Nobody would be left who may do everything.
    LastAdministrator,
    /// A field cannot be accepted.
    Invalid(Field, Problem),
    /// Two session cookies, or cookie and bearer token together.
    AmbiguousCredentials,
    /// The body cannot be read.
    MalformedBody,
    /// The body is of a type that this call does not take.
    UnsupportedMediaType,
    /// The body is too large.
    TooLarge,
    /// This address exists but not for this method.
    MethodNotAllowed,
    /// The request took too long to arrive.
    RequestTimeout,
    /// The database cannot be reached or is busy; nothing was changed.
    Unavailable,
    /// A fault of ours, noted in the log under the request id.
    Internal,
    /// The browser could not reach the server. Never sent by it.
    Unreachable,
}

impl Error {
    /// The stable name: the last part of the problem document's `type`.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unauthenticated => "unauthenticated",
            Self::SignInFailed => "sign_in_failed",
            Self::TooManyAttempts(_) => "too_many_attempts",
            Self::PasswordChangeRequired => "password_change_required",
            Self::NotByKey => "not_by_key",
            Self::NotByClient => "not_by_client",
            Self::NotOnBehalf => "not_on_behalf",
            Self::ReauthenticationRequired => "reauthentication_required",
            Self::Forbidden => "forbidden",
            Self::ForeignOrigin => "foreign_origin",
            Self::NotFound => "not_found",
            Self::SessionNotActive => "session_not_active",
            Self::ExecutionNotRunning => "execution_not_running",
            Self::ClientNotConnected => "client_not_connected",
            Self::SessionLimit(_) => "session_limit",
            Self::OtherAddress => "other_address",
            Self::PreviewSpent => "preview_spent",
            Self::ChoiceSpent => "choice_spent",
            Self::UserNotEligible => "user_not_eligible",
            Self::ProviderAway => "provider_away",
            Self::EmailTaken => "email_taken",
            Self::NameTaken => "name_taken",
            Self::RoleInUse => "role_in_use",
            Self::LastAdministrator => "last_administrator",
            Self::Invalid(..) => "invalid_field",
            Self::AmbiguousCredentials => "ambiguous_credentials",
            Self::MalformedBody => "malformed_body",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::TooLarge => "too_large",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::RequestTimeout => "request_timeout",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
            Self::Unreachable => "unreachable",
        }
    }

    /// The HTTP status that goes with it (RFC 9110).
    pub const fn status(self) -> u16 {
        match self {
            Self::Invalid(..) | Self::AmbiguousCredentials | Self::MalformedBody => 400,
            Self::Unauthenticated | Self::SignInFailed => 401,
            Self::PasswordChangeRequired
            | Self::NotByKey
            | Self::NotByClient
            | Self::NotOnBehalf
            | Self::ReauthenticationRequired
            | Self::Forbidden
            | Self::ForeignOrigin => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::RequestTimeout => 408,
            Self::SessionNotActive
            | Self::ExecutionNotRunning
            | Self::ClientNotConnected
            | Self::SessionLimit(_)
            | Self::OtherAddress
            | Self::PreviewSpent
            | Self::ChoiceSpent
            | Self::UserNotEligible
            | Self::EmailTaken
            | Self::NameTaken
            | Self::RoleInUse
            | Self::LastAdministrator => 409,
            Self::TooLarge => 413,
            Self::UnsupportedMediaType => 415,
            Self::TooManyAttempts(_) => 429,
            Self::Internal => 500,
            Self::ProviderAway => 502,
            Self::Unavailable | Self::Unreachable => 503,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unauthenticated => "You are not signed in. Sign in and try again.",
            Self::SignInFailed => {
                "E-mail or password is wrong, or the account is locked or disabled. Five wrong \
                 passwords lock an account; an administrator can unlock it."
            }
            Self::TooManyAttempts(seconds) => {
                return write!(f, "Too many attempts. Wait {seconds} seconds and try again.");
            }
            Self::PasswordChangeRequired => {
                "Your password can be used once only. Change it first, under Security."
            }
            Self::ReauthenticationRequired => {
                "Enter your password again first, to confirm that it is you. Nothing was changed."
            }
            Self::Forbidden => "You are not allowed to do this. Ask an administrator for the permission.",
            Self::ForeignOrigin => "This request came from another site and was refused.",
            Self::NotFound => "There is nothing here, or it is not yours to see.",
            Self::SessionNotActive => "This session is not active any more.",
            Self::SessionLimit(1) => {
                return f.write_str(
                    "You are signed in elsewhere, and one session at a time is allowed. Sign out there, or ask an administrator to end it.",
                );
            }
            Self::SessionLimit(most) => {
                return write!(
                    f,
                    "You have {most} sessions, and no more are allowed. Sign out elsewhere, or ask an administrator to end one."
                );
            }
            Self::OtherAddress => {
                "You are signed in from another address, and one address at a time is allowed. Sign out there, or ask an \
                 administrator to end that session."
            }
            Self::PreviewSpent => "This preview has been used, or is older than ten minutes. Make a new one.",
            Self::ChoiceSpent => "This sign-in is over: it was finished, or took longer than five minutes. Sign in again.",
            Self::Invalid(field, problem) => return write!(f, "{} {problem}.", field.as_str()),
            Self::Unavailable => {
                "The server cannot reach its database just now. Nothing was changed; try again in a moment."
            }
            Self::Internal => "Something went wrong on the server. It is noted in the log under the request id.",
            Self::Unreachable => "The server could not be reached. Check the connection and try again.",
            other => other.seldom_words(),
        })
    }
}

impl Error {
    // What the interactive pages never meet: they carry no words for it.
    #[cfg(target_arch = "wasm32")]
    fn seldom_words(self) -> &'static str {
        "The server refused this."
    }

    #[cfg(not(target_arch = "wasm32"))]
    fn seldom_words(self) -> &'static str {
        match self {
            Self::NotByKey => "An API key cannot do this. Sign in and do it in that session.",
            Self::NotByClient => "A connected client's session cannot do this.",
            Self::NotOnBehalf => {
                "A session that an application has opened for its user cannot do this. Sign in here."
            }
            Self::ExecutionNotRunning => "This execution is over.",
            Self::ClientNotConnected => "This client is not connected any more.",
            Self::UserNotEligible => {
                "No session can be opened for this user: the account is locked or disabled, or may do more than manage its own sessions."
            }
            Self::ProviderAway => {
                "The identity provider does not answer, so it could not be checked. Nothing was changed; try again in a moment."
            }
            Self::EmailTaken => "Another user has this e-mail. Choose another.",
            Self::NameTaken => "This name is taken. Choose another.",
            Self::RoleInUse => "Somebody has this role. Give them another one first.",
            Self::LastAdministrator => {
                "This is the last enabled Platform administrator. Make another one first."
            }
            Self::AmbiguousCredentials => {
                "The request carries more than one session: two cookies, or a cookie and a bearer token. Send one."
            }
            Self::MalformedBody => "The body is not what this call takes; see the API description.",
            Self::UnsupportedMediaType => {
                "The body is of another type than this call takes, which is application/json unless its description says otherwise."
            }
            Self::TooLarge => "The request is too large.",
            Self::MethodNotAllowed => "This address does not take this method.",
            Self::RequestTimeout => "The request took too long to arrive.",
            // All else has its words above.
            _ => "The server refused this.",
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [(Error, &str, u16); 35] = [
        (Error::Unauthenticated, "unauthenticated", 401),
        (Error::SignInFailed, "sign_in_failed", 401),
        (Error::TooManyAttempts(7), "too_many_attempts", 429),
        (
            Error::PasswordChangeRequired,
            "password_change_required",
            403,
        ),
        (
            Error::ReauthenticationRequired,
            "reauthentication_required",
            403,
        ),
        (Error::NotByKey, "not_by_key", 403),
        (Error::NotByClient, "not_by_client", 403),
        (Error::NotOnBehalf, "not_on_behalf", 403),
        (Error::UserNotEligible, "user_not_eligible", 409),
        (Error::ExecutionNotRunning, "execution_not_running", 409),
        (Error::ClientNotConnected, "client_not_connected", 409),
        (Error::Forbidden, "forbidden", 403),
        (Error::ForeignOrigin, "foreign_origin", 403),
        (Error::NotFound, "not_found", 404),
        (Error::SessionNotActive, "session_not_active", 409),
        (Error::SessionLimit(1), "session_limit", 409),
        (Error::SessionLimit(7), "session_limit", 409),
        (Error::OtherAddress, "other_address", 409),
        (Error::PreviewSpent, "preview_spent", 409),
        (Error::ChoiceSpent, "choice_spent", 409),
        (Error::ProviderAway, "provider_away", 502),
        (Error::EmailTaken, "email_taken", 409),
        (Error::NameTaken, "name_taken", 409),
        (Error::RoleInUse, "role_in_use", 409),
        (Error::LastAdministrator, "last_administrator", 409),
        (
            Error::Invalid(Field::Email, Problem::Missing),
            "invalid_field",
            400,
        ),
        (Error::AmbiguousCredentials, "ambiguous_credentials", 400),
        (Error::MalformedBody, "malformed_body", 400),
        (Error::UnsupportedMediaType, "unsupported_media_type", 415),
        (Error::TooLarge, "too_large", 413),
        (Error::MethodNotAllowed, "method_not_allowed", 405),
        (Error::RequestTimeout, "request_timeout", 408),
        (Error::Unavailable, "unavailable", 503),
        (Error::Internal, "internal", 500),
        (Error::Unreachable, "unreachable", 503),
    ];

    #[test]
    fn every_error_has_a_code_a_status_and_a_sentence() {
        for (error, code, status) in ALL {
            assert_eq!((error.code(), error.status()), (code, status));
            let sentence = error.to_string();
            assert!(sentence.len() > 10 && sentence.ends_with('.'), "{sentence}");
            assert_ne!(sentence, "The server refused this.", "{code}");
        }
        assert!(
            Error::TooManyAttempts(7)
                .to_string()
                .contains("Wait 7 seconds")
        );
        assert!(Error::SessionLimit(7).to_string().contains("7 sessions"));
        assert!(Error::SessionLimit(1).to_string().contains("one session"));
        let missing = Error::Invalid(Field::Email, Problem::Missing);
        assert_eq!(missing.to_string(), "email must be given.");
    }

    #[test]
    fn problems_say_their_numbers() {
        for (problem, words) in [
            (Problem::TooShort(15), "needs at least 15 characters"),
            (Problem::TooLong(80), "may have at most 80 characters"),
            (Problem::OutOfRange(1, 9), "must be from 1 to 9"),
            (
                Problem::TooMany(50),
                "cannot be kept: there may be at most 50",
            ),
            (Problem::Repeated, "is given more than once"),
        ] {
            assert_eq!(problem.to_string(), words);
        }
    }
}
