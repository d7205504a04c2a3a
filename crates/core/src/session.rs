//! A session: one sign-in, from sign-in to its end.

use serde::{Deserialize, Serialize};

use crate::executions::SessionWork;
use crate::ids::{SessionId, UserId};
use crate::time::Timestamp;
use crate::user::{OrganisationRef, UserRef};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)* }) => {
        $crate::session::words!($(#[$doc])* $name { $($(#[$variant_doc])* $variant = $text,)* } seldom {});
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::session::read_word(deserializer, Self::from_name)
            }
        }
    };
    // With words that the interactive pages never meet: the bundle does not have them.
    ($(#[$doc:meta])* $name:ident {
        $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)*
    } seldom {
        $($(#[$seldom_doc:meta])* $seldom:ident = $seldom_text:literal,)*
    }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $text)] $variant,)*
            $($(#[$seldom_doc])* #[cfg(not(target_arch = "wasm32"))] #[serde(rename = $seldom_text)] $seldom,)*
        }

        impl $name {
            /// Every value.
            pub const ALL: &'static [Self] = &[
                $(Self::$variant,)*
                $(#[cfg(not(target_arch = "wasm32"))] Self::$seldom,)*
            ];

            /// Its name in the API and in the database.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                    $(#[cfg(not(target_arch = "wasm32"))] Self::$seldom => $seldom_text,)*
                }
            }

            /// The value with this name.
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.as_str() == name)
            }
        }
    };
}
pub(crate) use words;

/// Reads a word of a closed list. What serde derives for each list takes ten times as much of the bundle.
pub(crate) fn read_word<'de, D: serde::Deserializer<'de>, T>(
    deserializer: D,
    from_name: fn(&str) -> Option<T>,
) -> Result<T, D::Error> {
    let word = String::deserialize(deserializer)?;
    from_name(&word).ok_or_else(|| serde::de::Error::custom("unknown word"))
}

words!(
    /// What holds the session.
    Kind {
        /// A browser, with a cookie.
        Console = "console",
        /// A program, with a bearer token.
        Api = "api",
        /// A connected client's own session.
        Client = "client",
    }
);

words!(
    /// How the user signed in.
    Method {
        /// E-mail and password.
        Password = "password",
        /// An identity provider.
        SingleSignOn = "single_sign_on",
        /// An application that signed the user in by itself.
        OnBehalf = "on_behalf",
        /// A program that registered as a client with an API key.
        ApiKey = "api_key",
    }
);

words!(
    /// Active or ended; nothing else.
    State {
        /// The session's token is accepted.
        Active = "active",
        /// It never will be again.
        Ended = "ended",
    }
);

words!(
    /// Why a session ended.
    EndReason {
        /// The user signed out.
        SignedOut = "signed_out",
        /// The user ended it from another session, or here.
        EndedByUser = "ended_by_user",
        /// Somebody with `sessions.end` ended it.
        EndedByAdministrator = "ended_by_administrator",
        /// A sign-in in the same browser took its place.
        Replaced = "replaced",
        /// No request for as long as the idle timeout.
        IdleTimeout = "idle_timeout",
        /// The overall limit was reached.
        AbsoluteTimeout = "absolute_timeout",
        /// The user changed the password in another session.
        PasswordChanged = "password_changed",
        /// An administrator reset the password.
        PasswordReset = "password_reset",
        /// The account was disabled.
        UserDisabled = "user_disabled",
        /// The account was deleted.
        UserDeleted = "user_deleted",
        /// The user moved to another organisation.
        UserMoved = "user_moved",
        /// The organisation was disabled.
        OrganisationDisabled = "organisation_disabled",
        /// A newer session took its place under a limit.
        Limit = "limit",
        /// A retired token was presented: somebody holds a copy.
        TokenReuse = "token_reuse",
        /// The connected client was disconnected.
        ClientDisconnected = "client_disconnected",
        /// The identity provider ended it.
        IdentityProvider = "identity_provider",
        /// The user said "this was not me".
        NotMe = "not_me",
    }
);

impl EndReason {
    /// The short words under a status tag: "idle for 30 minutes" needs the timeout in seconds.
    pub fn label(self, idle_timeout_seconds: i64) -> String {
        match self {
            Self::SignedOut => "signed out".into(),
            Self::EndedByUser => "ended by the user".into(),
            Self::EndedByAdministrator => "ended by an administrator".into(),
            Self::Replaced => "replaced by a new sign-in".into(),
            Self::IdleTimeout => format!("idle for {}", crate::words::span(idle_timeout_seconds)),
            Self::AbsoluteTimeout => "reached its time limit".into(),
            Self::PasswordChanged => "password was changed".into(),
            Self::PasswordReset => "password was reset".into(),
            Self::UserDisabled => "account was disabled".into(),
            Self::UserDeleted => "account was deleted".into(),
            Self::UserMoved => "user changed organisation".into(),
            Self::OrganisationDisabled => "organisation was disabled".into(),
            Self::Limit => "too many sessions".into(),
            Self::TokenReuse => "token was used twice".into(),
            Self::ClientDisconnected => "client was disconnected".into(),
            Self::IdentityProvider => "ended by the identity provider".into(),
            Self::NotMe => "reported by the user".into(),
        }
    }

    /// What the sign-in page tells the user whose session it was, as one or two sentences.
    pub const fn explanation(self) -> &'static str {
        match self {
            Self::SignedOut => "You have signed out.",
            Self::EndedByUser => "You ended this session from your list of sessions.",
            Self::EndedByAdministrator => {
                "An administrator ended your session. Sign in again to go on."
            }
            Self::Replaced => "A newer sign-in in this browser replaced your session.",
            Self::IdleTimeout => "You were signed out because nothing happened for a while.",
            Self::AbsoluteTimeout => "Your session reached its time limit. Sign in again to go on.",
            Self::PasswordChanged => {
                "Your password was changed in another session. Sign in with the new one."
            }
            Self::PasswordReset => "Your password was reset. Sign in with the new one.",
            Self::UserDisabled => "Your account was disabled. Ask an administrator.",
            Self::UserDeleted => "Your account was deleted. Ask an administrator.",
            Self::UserMoved => "You were moved to another organisation. Sign in again to go on.",
            Self::OrganisationDisabled => "Your organisation was disabled. Ask an administrator.",
            Self::Limit => {
                "A newer session took this one's place, because the number of sessions is limited."
            }
            Self::TokenReuse => {
                "Your session was ended for safety: an old copy of its token was used. If this was not you, change your password."
            }
            Self::ClientDisconnected => "The client was disconnected.",
            Self::IdentityProvider => {
                "Your identity provider ended your session. Sign in again to go on."
            }
            Self::NotMe => "This session was reported as not yours and was ended.",
        }
    }
}

/// Who did something. Without an id where the viewer may not know who: an administrator of another
/// organisation is only "Platform administrator".
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Actor {
    /// The user's id, if the viewer may know it.
    pub id: Option<UserId>,
    /// What to call them.
    pub name: String,
}

/// How a session ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Ended {
    /// Why.
    pub reason: EndReason,
    /// When: for a timeout the moment it expired, not when that was noticed.
    pub at: Timestamp,
    /// By whom; `null` where nobody did (a timeout).
    pub by: Option<Actor>,
    /// What the administrator gave as the reason, in their own words.
    pub note: Option<String>,
}

/// What else lists show of the user of a session.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Owner {
    /// The name of the primary role.
    pub role: String,
    /// When the user last signed in.
    pub last_sign_in_at: Option<Timestamp>,
    /// How many active sessions the user has in the session's organisation.
    pub open_sessions: u64,
}

/// A session as lists, pages and the API show it, as of one moment.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Session {
    /// Its public id.
    pub id: SessionId,
    /// Whose it is.
    pub user: UserRef,
    /// What else is shown of the user; `null` for deleted users, for those who have moved to an organisation that the
    /// caller does not see, and among one's own sessions.
    pub owner: Option<Owner>,
    /// The user's organisation.
    pub organisation: OrganisationRef,
    /// What people call it, at most 80 characters.
    pub name: String,
    /// What holds it.
    pub kind: Kind,
    /// How the user signed in.
    pub method: Method,
    /// The address of the sign-in, in its canonical text form (RFC 5952).
    pub ip: String,
    /// The user agent as it was sent, at most 512 bytes.
    pub user_agent: String,
    /// The browser or program, such as "Firefox 144"; empty where unknown.
    pub browser: String,
    /// The system, such as "Windows 11"; empty where unknown.
    pub system: String,
    /// Which server made it.
    pub server_name: String,
    /// Active or ended.
    pub state: State,
    /// How it ended; `null` while active.
    pub ended: Option<Ended>,
    /// When the user signed in.
    pub created_at: Timestamp,
    /// When it was last used.
    pub last_activity_at: Timestamp,
    /// When it ends if it is not used.
    pub idle_expires_at: Timestamp,
    /// When it ends in any case.
    pub absolute_expires_at: Timestamp,
    /// From sign-in to its end, or to now.
    pub duration_seconds: i64,
    /// The idle timeout that it lives under, in seconds.
    pub idle_timeout_seconds: i64,
    /// True for the session that asks.
    pub current: bool,
    /// What runs under it. Only lists and single sessions have it, not files and not what knows the caller out of memory.
    #[serde(
        default,
        deserialize_with = "passed_by",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub work: Option<SessionWork>,
    /// The same as our own pages get it: a fraction of the bundle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(ignore))]
    pub brief: Option<BriefWork>,
}

// Our own pages are the only ones that read it, and have `brief`.
fn passed_by<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<SessionWork>, D::Error> {
    serde::de::IgnoredAny::deserialize(deserializer).map(|_| None)
}

/// How many executions show, how many executions and clients stop, and a line for each of the oldest that show.
pub type BriefWork = (u64, u64, u64, Vec<String>);

impl Session {
    /// What would stop with it, as a sentence.
    pub fn stops(&self) -> Option<String> {
        let (executions, clients) = match (&self.brief, &self.work) {
            (Some((_, executions, clients, _)), _) => (*executions, *clients),
            (None, Some(work)) => (work.stops_executions, work.stops_clients),
            (None, None) => return None,
        };
        crate::executions::stops_words(executions, clients)
    }

    /// Leaves of its work what our own pages need. `started` puts a time into words.
    pub fn make_brief(&mut self, started: impl Fn(Timestamp) -> String) {
        let Some(work) = self.work.take() else { return };
        let line = |one: &crate::executions::RunningExecution| {
            let (at, id) = (started(one.started_at), one.id.to_string());
            [&*one.name, &one.artefact_id, &one.client, &at, &id].join(" · ")
        };
        let lines = work.executions.iter().map(line).collect();
        let counts = (
            work.active_executions,
            work.stops_executions,
            work.stops_clients,
        );
        self.brief = Some((counts.0, counts.1, counts.2, lines));
    }

    /// Browser and system in one line: "Firefox 144 on Linux".
    pub fn browser_and_system(&self) -> String {
        match (self.browser.is_empty(), self.system.is_empty()) {
            (false, false) => format!("{} on {}", self.browser, self.system),
            (false, true) => self.browser.clone(),
            (true, false) => self.system.clone(),
            (true, true) => "Unknown".to_owned(),
        }
    }
}

/// The four cards: over everything that the viewer may see, whatever the filters.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SessionStats {
    /// Active sessions, and ended ones that are still kept.
    pub total: u64,
    /// Active sessions.
    pub active: u64,
    /// Distinct users in `total`.
    pub unique_users: u64,
    /// The average duration of `total` in minutes, active ones up to now; rounded to one decimal.
    pub average_duration_minutes: f64,
    /// The moment that the figures are of.
    pub as_of: Timestamp,
}

/// All that decides whether a session lives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LifeFacts {
    /// When it was created.
    pub created_at: Timestamp,
    /// When it ends if it is not used.
    pub idle_expires_at: Timestamp,
    /// When it ends in any case.
    pub absolute_expires_at: Timestamp,
    /// The end that is stored with it, if any.
    pub ended: Option<(Timestamp, EndReason)>,
    /// The user's epoch: sessions not created later than this ended then, for this reason.
    pub user_ended_before: Option<(Timestamp, EndReason)>,
    /// The organisation's epoch.
    pub organisation_ended_before: Option<(Timestamp, EndReason)>,
    /// The installation's epoch.
    pub installation_ended_before: Option<(Timestamp, EndReason)>,
    /// Whether the user is enabled (and not deleted).
    pub user_enabled: bool,
    /// Whether the organisation is enabled.
    pub organisation_enabled: bool,
}

/// Whether a session lives at `now`, and if not, when and why it ended. The one place that decides:
/// authentication, lists, counts and the sweeper all follow it.
///
/// Of several ends the earliest counts; a stored end counts before all others, since it was written
/// when all others were known.
pub fn state_at(facts: &LifeFacts, now: Timestamp) -> Result<(), (Timestamp, EndReason)> {
    if let Some(end) = facts.ended {
        return Err(end);
    }
    let expiry = if facts.idle_expires_at <= facts.absolute_expires_at {
        (facts.idle_expires_at, EndReason::IdleTimeout)
    } else {
        (facts.absolute_expires_at, EndReason::AbsoluteTimeout)
    };
    let expired = (expiry.0 <= now).then_some(expiry);
    let epochs = [
        facts.user_ended_before,
        facts.organisation_ended_before,
        facts.installation_ended_before,
    ];
    let earliest = epochs
        .into_iter()
        .flatten()
        .filter(|(before, _)| facts.created_at <= *before)
        .chain(expired)
        .min_by_key(|(at, _)| *at);
    match earliest {
        Some(end) => Err(end),
        // Disabling always sets an epoch too; these two are the belt to those braces.
        None if !facts.user_enabled => Err((now, EndReason::UserDisabled)),
        None if !facts.organisation_enabled => Err((now, EndReason::OrganisationDisabled)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> LifeFacts {
        LifeFacts {
            created_at: Timestamp(100),
            idle_expires_at: Timestamp(200),
            absolute_expires_at: Timestamp(300),
            ended: None,
            user_ended_before: None,
            organisation_ended_before: None,
            installation_ended_before: None,
            user_enabled: true,
            organisation_enabled: true,
        }
    }

    #[test]
    fn a_session_lives_until_the_microsecond_before_it_expires() {
        assert_eq!(state_at(&facts(), Timestamp(199)), Ok(()));
        assert_eq!(
            state_at(&facts(), Timestamp(200)),
            Err((Timestamp(200), EndReason::IdleTimeout))
        );
        let busy = LifeFacts {
            idle_expires_at: Timestamp(400),
            ..facts()
        };
        assert_eq!(
            state_at(&busy, Timestamp(300)),
            Err((Timestamp(300), EndReason::AbsoluteTimeout))
        );
    }

    #[test]
    fn every_epoch_bites_and_the_earliest_names_the_end() {
        for epoch in [99, 100, 150] {
            for place in 0..3 {
                let mut some = facts();
                let end = Some((Timestamp(epoch), EndReason::PasswordReset));
                match place {
                    0 => some.user_ended_before = end,
                    1 => some.organisation_ended_before = end,
                    _ => some.installation_ended_before = end,
                }
                let expected = if epoch >= 100 {
                    Err((Timestamp(epoch), EndReason::PasswordReset))
                } else {
                    Ok(())
                };
                assert_eq!(state_at(&some, Timestamp(160)), expected);
            }
        }
        let both = LifeFacts {
            user_ended_before: Some((Timestamp(250), EndReason::UserDisabled)),
            ..facts()
        };
        assert_eq!(
            state_at(&both, Timestamp(260)),
            Err((Timestamp(200), EndReason::IdleTimeout))
        );
    }

    #[test]
    fn a_disabled_user_or_organisation_has_no_live_session() {
        assert!(
            state_at(
                &LifeFacts {
                    user_enabled: false,
                    ..facts()
                },
                Timestamp(101)
            )
            .is_err()
        );
        assert!(
            state_at(
                &LifeFacts {
                    organisation_enabled: false,
                    ..facts()
                },
                Timestamp(101)
            )
            .is_err()
        );
    }

    #[test]
    fn a_stored_end_stays_as_it_was_written() {
        let ended = LifeFacts {
            ended: Some((Timestamp(150), EndReason::SignedOut)),
            user_ended_before: Some((Timestamp(120), EndReason::Limit)),
            ..facts()
        };
        assert_eq!(
            state_at(&ended, Timestamp(110)),
            Err((Timestamp(150), EndReason::SignedOut))
        );
    }

    #[test]
    fn every_end_is_explained_in_a_sentence_of_its_own() {
        let sentences: std::collections::BTreeSet<_> = EndReason::ALL
            .iter()
            .map(|reason| reason.explanation())
            .collect();
        assert_eq!(sentences.len(), EndReason::ALL.len());
        for sentence in sentences {
            assert!(sentence.len() > 10 && sentence.ends_with('.'), "{sentence}");
        }
    }

    #[test]
    fn browser_and_system_are_one_line() {
        let nobody = UserRef {
            id: UserId(uuid::Uuid::nil()),
            email: String::new(),
            name: String::new(),
            service_account: false,
        };
        let mut session = Session {
            id: SessionId(uuid::Uuid::nil()),
            user: nobody,
            owner: None,
            organisation: OrganisationRef {
                id: crate::ids::OrganisationId(uuid::Uuid::nil()),
                name: String::new(),
            },
            name: String::new(),
            kind: Kind::Console,
            method: Method::Password,
            ip: String::new(),
            user_agent: String::new(),
            browser: String::new(),
            system: String::new(),
            server_name: String::new(),
            state: State::Active,
            ended: None,
            created_at: Timestamp(0),
            last_activity_at: Timestamp(0),
            idle_expires_at: Timestamp(0),
            absolute_expires_at: Timestamp(0),
            duration_seconds: 0,
            idle_timeout_seconds: 0,
            current: false,
            work: None,
            brief: None,
        };
        for (browser, system, line) in [
            ("Firefox 144", "Linux", "Firefox 144 on Linux"),
            ("curl 8", "", "curl 8"),
            ("", "Windows 11", "Windows 11"),
            ("", "", "Unknown"),
        ] {
            (session.browser, session.system) = (browser.to_owned(), system.to_owned());
            assert_eq!(session.browser_and_system(), line);
        }
    }
}
