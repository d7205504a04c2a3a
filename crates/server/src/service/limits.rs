//! Room for one more session: how many a user may have at once, and from how many addresses. Counted, ended and stored
//! in one transaction, so that no number of sign-ins at once gets past.

use std::net::IpAddr;

use rollcall_core::{
    AuditAction, AuditOutcome, EndReason, Error, Leaving, Policy, Rule, SessionId, Timestamp,
    UserId, WhenFull,
};
use sea_orm::DatabaseTransaction;

use super::audit::{Describe, event};
use super::caller::Caller;
use super::facts::{RequestFacts, network_of};
use super::sign_in::user_ref;
use super::stopping::with_stopped;
use crate::db::records::{AuditRecord, EndedRow, LiveRow, UserRecord};
use crate::db::stopping::Stopped;
use crate::db::{self, DbError};

/// What a sign-in has to find room for.
pub(super) struct Room {
    user: UserId,
    most: usize,
    when_full: WhenFull,
    one_address: bool,
    ip: IpAddr,
    now: Timestamp,
    /// What the user chose to make room.
    chosen: Leaving,
    /// The session that ends anyway, since this sign-in takes its place.
    replaced: Option<SessionId>,
    ended: AuditRecord,
}

impl Room {
    pub(super) fn new(
        user: &UserRecord,
        policy: &Policy,
        facts: &RequestFacts,
        now: Timestamp,
        chosen: Leaving,
        replaces: Option<&Caller>,
    ) -> Self {
        let exempt = user.service_account && policy.is_on(Rule::ExemptServiceAccounts);
        Self {
            user: user.id,
            most: if exempt {
                0
            } else {
                policy.get(Rule::MostSessions) as usize
            },
            when_full: policy.when_full(),
            one_address: policy.is_on(Rule::OneAddress) && !exempt,
            ip: facts.ip,
            now,
            chosen,
            // Another user's session in the same browser takes none of this one's room.
            replaced: replaces
                .filter(|caller| caller.user_id() == user.id)
                .map(Caller::credential),
            ended: event(
                now,
                AuditAction::SessionEnded,
                AuditOutcome::Success,
                Some(facts),
            )
            .by(user.id, &user.name)
            .to(&user_ref(user), user.organisation_id)
            .with(EndReason::Limit.as_str()),
        }
    }

    /// Whether the user may choose what ends.
    pub(super) fn lets_choose(&self) -> bool {
        self.when_full == WhenFull::Choose
    }

    /// Whether there is anything to keep to.
    pub(super) fn is_limited(&self) -> bool {
        self.most > 0 || self.one_address
    }

    /// Which sessions have to end for one more, within the transaction that stores it; or why there is no room.
    pub(super) async fn find(
        &self,
        tx: &DatabaseTransaction,
    ) -> Result<Result<Vec<LiveRow>, Error>, DbError> {
        if !self.is_limited() {
            return Ok(Ok(Vec::new()));
        }
        db::sessions::take_turns(tx, self.user).await?;
        let mut live = db::sessions::live_of_user(tx, self.user, self.now).await?;
        live.retain(|row| Some(row.id) != self.replaced);
        if self.one_address && live.iter().any(|row| self.is_elsewhere(row)) {
            return Ok(Err(Error::OtherAddress));
        }
        if self.most == 0 || live.len() < self.most {
            return Ok(Ok(Vec::new()));
        }
        let surplus = live.len() + 1 - self.most;
        let leaving: Vec<LiveRow> = match self.when_full {
            WhenFull::EndOldest => live.into_iter().take(surplus).collect(),
            WhenFull::Choose => live
                .into_iter()
                .filter(|row| match &self.chosen {
                    Leaving::Only(ids) => ids.contains(&row.id),
                    Leaving::All => true,
                })
                .collect(),
            WhenFull::Refuse => Vec::new(),
        };
        if leaving.len() < surplus {
            let most = u32::try_from(self.most).unwrap_or(u32::MAX);
            return Ok(Err(Error::SessionLimit(most)));
        }
        Ok(Ok(leaving))
    }

    /// Ends them. Answers which, what stopped with them, and the events about it.
    pub(super) async fn make(
        self,
        tx: &DatabaseTransaction,
        leaving: Vec<LiveRow>,
    ) -> Result<(Vec<EndedRow>, Stopped, Vec<AuditRecord>), DbError> {
        let (mut ended, mut all, mut events) = (Vec::new(), Stopped::default(), Vec::new());
        for row in leaving {
            let (by, reason) = (Some(self.user), EndReason::Limit);
            let stopped = db::sessions::end(tx, row.id, self.now, reason, by, None).await?;
            if let Some(stopped) = stopped {
                events.extend(with_stopped(self.ended.clone().on(row.id), &stopped));
                all.extend(stopped);
                ended.push(EndedRow {
                    id: row.id,
                    lineage_hash: row.lineage_hash,
                });
            }
        }
        Ok((ended, all, events))
    }

    fn is_elsewhere(&self, row: &LiveRow) -> bool {
        row.ip
            .parse::<IpAddr>()
            .is_ok_and(|ip| network_of(ip) != network_of(self.ip))
    }
}
