//! What a presented token means. Only the decision: hashes and keys stay on the server.
//!
//! Source: `rules.md` "Rotation"; OAuth 2.0 Security BCP (RFC 9700, 4.14.2) for reuse detection.

use std::time::Duration;

use crate::time::Timestamp;

/// How long a predecessor is still accepted after its successor's first use.
pub const GRACE: Duration = Duration::from_secs(10);

/// The shortest time that a token may be set to live before it rotates.
pub const SHORTEST_ROTATE_EVERY: Duration = Duration::from_secs(10);

/// Where a presented secret stands in its session's lineage.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// Its hash is the stored one.
    Current,
    /// One step before the current one.
    Predecessor,
    /// Two steps or more before the current one.
    Retired,
    /// Not of this lineage at all.
    Unknown,
}

/// What to do with a request that presents a token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Accept; nothing to write.
    Accept,
    /// Accept after noting, by a conditional update, that this token is used for the first time.
    AcceptFirstUse,
    /// Accept, store the successor by a conditional update, and answer with it.
    Rotate,
    /// Accept and answer with the successor again: nobody has used it yet, so its answer was lost.
    AnswerSuccessor,
    /// Accept without a token in the answer: a request that was under way while the successor arrived.
    AcceptLate,
    /// Two hold this lineage: end the session.
    Theft,
    /// Refuse; nothing ends.
    Unknown,
}

/// Judges a presented token. `first_used_at` is when the *current* token was first used, if it was.
pub fn judge(
    standing: Standing,
    first_used_at: Option<Timestamp>,
    now: Timestamp,
    rotate_every: Duration,
) -> Verdict {
    match (standing, first_used_at) {
        (Standing::Current, None) => Verdict::AcceptFirstUse,
        // Not before its predecessor's grace is over: that would be retired from one moment to the next.
        (Standing::Current, Some(used)) if used + rotate_every <= now && used + GRACE < now => {
            Verdict::Rotate
        }
        (Standing::Current, Some(_)) => Verdict::Accept,
        (Standing::Predecessor, None) => Verdict::AnswerSuccessor,
        (Standing::Predecessor, Some(used)) if now <= used + GRACE => Verdict::AcceptLate,
        (Standing::Predecessor, Some(_)) | (Standing::Retired, _) => Verdict::Theft,
        (Standing::Unknown, _) => Verdict::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_secs(300);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn a_token_rotates_once_its_first_use_is_old_enough() {
        assert_eq!(
            judge(Standing::Current, None, at(9_999), EVERY),
            Verdict::AcceptFirstUse
        );
        assert_eq!(
            judge(Standing::Current, Some(at(0)), at(299), EVERY),
            Verdict::Accept
        );
        assert_eq!(
            judge(Standing::Current, Some(at(0)), at(300), EVERY),
            Verdict::Rotate
        );
    }

    #[test]
    fn a_predecessor_is_good_until_its_successor_was_used_and_ten_seconds_beyond() {
        assert_eq!(
            judge(Standing::Predecessor, None, at(99_999), EVERY),
            Verdict::AnswerSuccessor
        );
        assert_eq!(
            judge(Standing::Predecessor, Some(at(0)), at(10), EVERY),
            Verdict::AcceptLate
        );
        assert_eq!(
            judge(Standing::Predecessor, Some(at(0)), at(11), EVERY),
            Verdict::Theft
        );
    }

    #[test]
    fn a_token_does_not_rotate_within_the_grace_of_the_one_before() {
        let judged = |now| judge(Standing::Current, Some(at(0)), now, SHORTEST_ROTATE_EVERY);
        assert_eq!(judged(at(10)), Verdict::Accept);
        assert_eq!(judged(Timestamp(at(10).0 + 1)), Verdict::Rotate);
    }

    #[test]
    fn what_is_older_is_theft_and_what_is_foreign_is_nothing() {
        assert_eq!(judge(Standing::Retired, None, at(0), EVERY), Verdict::Theft);
        assert_eq!(
            judge(Standing::Unknown, Some(at(0)), at(0), EVERY),
            Verdict::Unknown
        );
    }
}
