//! Why somebody who came back from a provider is not let in.

use rollcall_core::Error;

use crate::service::openid::Fault;

/// Why somebody who came back is not signed in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Turned {
    /// The way back is good once, for ten minutes, and in the browser that began it.
    Stale,
    /// The provider has said no, or the person there has.
    Declined,
    /// The provider does not answer.
    Away,
    /// The provider's answer cannot be believed.
    Unsound,
    /// Somebody signed in there too long ago, or by weaker means than are asked for.
    Weak,
    /// No rule lets them in.
    NotExpected,
    /// They are somebody with an account already that is not tied to this provider.
    NotLinked,
    /// It is somebody else than the one whose session is open.
    SomebodyElse,
    /// The account may not sign in now: locked, disabled, or as many sessions as there may be.
    Account(Error),
}

impl Turned {
    /// A word for the audit trail and for metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stale => "stale",
            Self::Declined => "declined",
            Self::Away => "provider_away",
            Self::Unsound => "answer_unsound",
            Self::Weak => "weak",
            Self::NotExpected => "not_expected",
            Self::NotLinked => "not_linked",
            Self::SomebodyElse => "somebody_else",
            Self::Account(error) => error.code(),
        }
    }
}

impl From<Fault> for Turned {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Away => Self::Away,
            Fault::NotIt | Fault::Unsound => Self::Unsound,
            Fault::Refused => Self::Declined,
            Fault::Weak => Self::Weak,
        }
    }
}

/// Either a refusal that a page puts into words, or an error of ours.
#[derive(Debug)]
pub enum Failure {
    /// They are not let in.
    Turned(Turned),
    /// It could not be found out.
    Error(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<Turned> for Failure {
    fn from(turned: Turned) -> Self {
        Self::Turned(turned)
    }
}
