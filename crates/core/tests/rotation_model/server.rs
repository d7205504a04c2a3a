//! What the server decides, by the real functions; and servers that decide wrongly, which the claims find.

use std::time::Duration;

use rollcall_core::rotation::{GRACE, Standing, Verdict, judge};
use rollcall_core::session::{EndReason, LifeFacts, state_at};
use rollcall_core::time::Timestamp;

use super::world::{Claim, End, Row};

/// Which server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Server {
    /// Ours.
    Real,
    /// Reads, decides, and writes back the row that it has read, changed.
    ReadThenWrite,
    /// Rotates whatever is current by the time of the write.
    RotatesBlindly,
    /// Takes a token of two generations back for a predecessor.
    ForgivesTwoGenerations,
    /// Knows no grace after the successor's first use.
    WithoutGrace,
    /// Takes the predecessor of an unused successor for stolen.
    ForgetsLostAnswers,
    /// Answers with a successor that it has yet to store.
    AnswersFirst,
    /// Gives the session more time with each rotation.
    ExtendsTheLimit,
    /// Does not tell the cache of an end.
    LeavesTheCacheAlone,
    /// Tells the cache of a commit without a look at what it was told before.
    TellsOldNews,
}

/// Each wrong server, and the claims of which its search must find one broken.
pub(crate) const WRONG: &[(Server, &[Claim])] = &[
    (
        Server::ReadThenWrite,
        &[Claim::EndStays, Claim::OneSuccessor],
    ),
    (Server::RotatesBlindly, &[Claim::OneSuccessor]),
    (Server::ForgivesTwoGenerations, &[Claim::StaleEnds]),
    (Server::WithoutGrace, &[Claim::HonestStays]),
    (Server::ForgetsLostAnswers, &[Claim::HonestStays]),
    (Server::AnswersFirst, &[Claim::OneSuccessor]),
    (Server::ExtendsTheLimit, &[Claim::LimitStays]),
    (Server::LeavesTheCacheAlone, &[Claim::EndStays]),
    (Server::TellsOldNews, &[Claim::StaleEnds]),
];

/// The moment of a step.
pub(crate) fn moment(step: u8) -> Timestamp {
    Timestamp::from_seconds(i64::from(step) * 10)
}

impl Server {
    /// What a token means to whoever sees this row.
    pub(crate) fn verdict(self, token: u8, row: &Row, now: u8) -> Verdict {
        let standing = match row.generation.checked_sub(token) {
            Some(0) => Standing::Current,
            Some(1) => Standing::Predecessor,
            Some(2) if self == Self::ForgivesTwoGenerations => Standing::Predecessor,
            Some(_) => Standing::Retired,
            None => Standing::Unknown,
        };
        // As often as the grace is long: the shortest that may be set.
        let verdict = judge(standing, row.first_used.map(moment), moment(now), GRACE);
        match (self, verdict) {
            (Self::WithoutGrace, Verdict::AcceptLate) => Verdict::Theft,
            (Self::ForgetsLostAnswers, Verdict::AnswerSuccessor) => Verdict::Theft,
            _ => verdict,
        }
    }

    /// Whether the session of this row lives.
    pub(crate) fn lives(row: &Row, now: u8) -> bool {
        let limit = moment(row.limit);
        let facts = LifeFacts {
            created_at: moment(0),
            idle_expires_at: limit + Duration::from_secs(1),
            absolute_expires_at: limit,
            ended: row.ended.map(|end| {
                let reason = match end {
                    End::Reuse => EndReason::TokenReuse,
                    End::Administrator => EndReason::EndedByAdministrator,
                };
                (moment(now), reason)
            }),
            user_ended_before: None,
            organisation_ended_before: None,
            installation_ended_before: None,
            user_enabled: true,
            organisation_enabled: true,
        };
        state_at(&facts, moment(now)).is_ok()
    }
}
