//! What a user's sessions have to keep to: how long they live, how many there may be, how many wrong passwords
//! lock the account. Each value is set for a role within an organisation, or for the organisation, or for the installation,
//! or it is the server's own.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Field, Problem};
use crate::ids::OrganisationId;
use crate::session::words;

words!(
    /// What becomes of a sign-in when the user has as many sessions as there may be.
    WhenFull {
        /// It is refused.
        Refuse = "refuse",
        /// The session that was not used for the longest time ends.
        EndOldest = "end_oldest",
        /// It is refused, and the user may name sessions to end.
        Choose = "choose",
    }
);

words!(
    /// A value of a policy.
    Rule {
        /// Seconds without a request until a session ends.
        IdleTimeout = "idle_timeout_seconds",
        /// Seconds until a session ends in any case.
        AbsoluteTimeout = "absolute_timeout_seconds",
        /// The same two where the user asked to stay signed in.
        KeepIdleTimeout = "keep_idle_timeout_seconds",
        /// See `KeepIdleTimeout`.
        KeepAbsoluteTimeout = "keep_absolute_timeout_seconds",
        /// Sessions that a user may have at once, connected clients aside; 0 for any number.
        MostSessions = "most_sessions",
        /// What becomes of one more.
        WhenFull = "when_full",
        /// 1 where all sessions of a user must come from one address (IPv6: one /64).
        OneAddress = "one_address",
        /// 1 where service accounts need not keep to the two limits.
        ExemptServiceAccounts = "exempt_service_accounts",
        /// So many wrong passwords in a row lock the account.
        LockAfter = "lock_after",
        /// Seconds until a lock opens by itself; 0 for never.
        UnlockAfter = "unlock_after_seconds",
        /// The least length of a new password, in characters.
        PasswordMinLength = "password_min_length",
        /// So many failed sign-ins from one address within a few minutes, and it has to wait. An address belongs to nobody,
        /// so that this is set for everybody only.
        FailureLimit = "failure_limit",
        /// Seconds that ended sessions are kept and counted.
        Retention = "retention_seconds",
    }
);

impl Rule {
    /// The least and the greatest value that makes sense. Timeouts can be set but never switched off.
    pub const fn range(self) -> (u32, u32) {
        const YEAR: u32 = 365 * 86_400;
        match self {
            Self::IdleTimeout | Self::KeepIdleTimeout => (60, YEAR),
            Self::AbsoluteTimeout | Self::KeepAbsoluteTimeout => (60, YEAR),
            Self::MostSessions => (0, 10_000),
            Self::WhenFull => (0, WhenFull::ALL.len() as u32 - 1),
            Self::OneAddress | Self::ExemptServiceAccounts => (0, 1),
            Self::LockAfter => (1, 100),
            Self::UnlockAfter => (0, YEAR),
            Self::PasswordMinLength => (8, 64),
            Self::FailureLimit => (1, 1_000_000),
            Self::Retention => (3_600, 10 * YEAR),
        }
    }

    /// Whether it is set for everybody only, not for an organisation or a role.
    pub const fn is_for_everybody(self) -> bool {
        matches!(self, Self::FailureLimit)
    }

    /// The value, if it makes sense for this rule.
    pub fn check(self, value: i64) -> Result<u32, Error> {
        let (least, most) = self.range();
        u32::try_from(value)
            .ok()
            .filter(|value| (least..=most).contains(value))
            .ok_or(Error::Invalid(
                self.field(),
                Problem::OutOfRange(least, most),
            ))
    }

    /// Whether it is a timeout: of sessions that are kept or not, by their age or by the time without use.
    pub const fn timeout(self) -> Option<Timeout> {
        let (keep, idle) = match self {
            Self::IdleTimeout => (false, true),
            Self::AbsoluteTimeout => (false, false),
            Self::KeepIdleTimeout => (true, true),
            Self::KeepAbsoluteTimeout => (true, false),
            _ => return None,
        };
        Some(Timeout { keep, idle })
    }

    /// The field that an error about it names.
    pub fn field(self) -> Field {
        Field::from_name(self.as_str()).unwrap_or(Field::Other)
    }
}

/// Which sessions a timeout is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timeout {
    /// Those where the user asked to stay signed in, or only the others.
    pub keep: bool,
    /// By the time without use, or by their age.
    pub idle: bool,
}

/// For whom a value is set.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum PolicySource {
    /// The server's own: a setting or a default.
    Server,
    /// Set for everybody.
    Installation,
    /// Set for the organisation.
    Organisation,
    /// Set for a role within the organisation.
    Role,
}

/// For whom values are set or asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PolicyPlace {
    /// An organisation; the installation where there is none.
    pub organisation: Option<OrganisationId>,
    /// Users of that organisation with this primary role; all where there is none.
    pub role: Option<String>,
}

/// A value, and where it comes from.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PolicyValue {
    /// Which.
    pub rule: Rule,
    /// Its value; for `when_full` the place in `refuse`, `end_oldest`, `choose`, from 0.
    pub value: u32,
    /// Where it comes from.
    pub source: PolicySource,
}

/// Every value, as it applies.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(transparent)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Policy(pub Vec<PolicyValue>);

impl Policy {
    /// The values that apply, given what is set: of each rule the one that stands for the fewest people.
    pub fn resolve(server: impl Fn(Rule) -> u32, set: &[PolicyValue]) -> Self {
        let value = |rule: &Rule| {
            set.iter()
                .filter(|value| value.rule == *rule)
                .max_by_key(|value| value.source.clone())
                .cloned()
                .unwrap_or_else(|| PolicyValue {
                    rule: *rule,
                    value: server(*rule),
                    source: PolicySource::Server,
                })
        };
        Self(Rule::ALL.iter().map(value).collect())
    }

    /// A value.
    pub fn get(&self, rule: Rule) -> u32 {
        self.0
            .iter()
            .find(|value| value.rule == rule)
            .map_or(0, |value| value.value)
    }

    /// Whether a rule that is on or off is on.
    pub fn is_on(&self, rule: Rule) -> bool {
        self.get(rule) != 0
    }

    /// What becomes of one session more than there may be.
    pub fn when_full(&self) -> WhenFull {
        WhenFull::ALL
            .get(self.get(Rule::WhenFull) as usize)
            .copied()
            .unwrap_or(WhenFull::Refuse)
    }
}

/// What a change would mean for what is open now. It ends nothing: sessions keep the timeouts that they began with.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PolicyPreview {
    /// Users who have more sessions than there may be; `when_full` says what becomes of their next sign-in.
    pub users_over_the_limit: u64,
    /// Timeouts that change, and how many active sessions are older, or were not used for longer.
    pub sessions_beyond: Vec<(Rule, SessionsBeyond)>,
}

/// Active sessions that would have ended by a timeout.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SessionsBeyond {
    /// The timeout that would apply, in seconds.
    pub seconds: u32,
    /// How many.
    pub sessions: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(rule: Rule, value: u32, source: PolicySource) -> PolicyValue {
        PolicyValue {
            rule,
            value,
            source,
        }
    }

    #[test]
    fn of_each_rule_the_nearest_value_applies() {
        let set = [
            value(Rule::MostSessions, 3, PolicySource::Organisation),
            value(Rule::MostSessions, 5, PolicySource::Role),
            value(Rule::MostSessions, 9, PolicySource::Installation),
            value(Rule::OneAddress, 1, PolicySource::Installation),
        ];
        let policy = Policy::resolve(|_| 7, &set);
        assert_eq!(policy.get(Rule::MostSessions), 5);
        assert!(policy.is_on(Rule::OneAddress));
        assert_eq!(policy.get(Rule::LockAfter), 7);
        assert_eq!(policy.0.len(), Rule::ALL.len());
        let source = |rule| {
            policy
                .0
                .iter()
                .find(|value| value.rule == rule)
                .map(|value| value.source.clone())
        };
        assert_eq!(source(Rule::MostSessions), Some(PolicySource::Role));
        assert_eq!(source(Rule::LockAfter), Some(PolicySource::Server));
    }

    #[test]
    fn a_value_out_of_range_names_its_field_and_a_timeout_is_never_off() {
        for (rule, given) in [
            (Rule::IdleTimeout, 0),
            (Rule::AbsoluteTimeout, -1),
            (Rule::LockAfter, 0),
            (Rule::WhenFull, 3),
            (Rule::OneAddress, 2),
            (Rule::PasswordMinLength, 7),
            (Rule::UnlockAfter, i64::MAX),
        ] {
            let Err(Error::Invalid(field, Problem::OutOfRange(..))) = rule.check(given) else {
                panic!("{rule:?} {given}");
            };
            assert_eq!(field.as_str(), rule.as_str());
        }
        assert_eq!(Rule::MostSessions.check(0), Ok(0));
        assert_eq!(Rule::IdleTimeout.check(60), Ok(60));
    }

    #[test]
    fn a_year_is_the_longest_timeout_and_ten_the_longest_memory() {
        const YEAR: i64 = 31_536_000;
        for (rule, most) in [
            (Rule::IdleTimeout, YEAR),
            (Rule::KeepAbsoluteTimeout, YEAR),
            (Rule::UnlockAfter, YEAR),
            (Rule::Retention, 10 * YEAR),
        ] {
            assert!(
                rule.check(most).is_ok() && rule.check(most + 1).is_err(),
                "{rule:?}"
            );
        }
    }

    #[test]
    fn each_rule_says_what_it_is_for() {
        for rule in Rule::ALL {
            assert_eq!(rule.is_for_everybody(), *rule == Rule::FailureLimit);
            let timeout = match rule {
                Rule::IdleTimeout => Some((false, true)),
                Rule::AbsoluteTimeout => Some((false, false)),
                Rule::KeepIdleTimeout => Some((true, true)),
                Rule::KeepAbsoluteTimeout => Some((true, false)),
                _ => None,
            };
            let found = rule.timeout().map(|timeout| (timeout.keep, timeout.idle));
            assert_eq!(found, timeout, "{rule:?}");
        }
        let off = [value(Rule::OneAddress, 0, PolicySource::Installation)];
        assert!(!Policy::resolve(|_| 1, &off).is_on(Rule::OneAddress));
    }
}
