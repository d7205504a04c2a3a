//! Sign-ins from browsers and networks that were not seen before: noticed, told, confirmed or disowned.
//!
//! Only people's sign-ins in a browser count: a program's account has nobody to tell, and what an application opens on behalf of somebody
//! is that application's. The first one of a user is no news.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use rollcall_core::{AuditAction, AuditOutcome, Error, Kind, Notice, SessionId, State, UserRef};

use super::Service;
use super::audit::{Describe, event};
use super::caller::Caller;
use super::facts::RequestFacts;
use super::user_agent;
use crate::db::audit::AuditRecord;
use crate::db::devices::DeviceRecord;
use crate::db::mail::{Letter, LetterKind};
use crate::db::records::SessionRecord;
use crate::db::{self, DbError};

/// For how long My Sessions shows what nobody has confirmed.
const SHOWN: Duration = Duration::from_secs(30 * 86_400);
/// Where somebody was not seen for so long, they are new again.
pub(super) const REMEMBERED: Duration = Duration::from_secs(365 * 86_400);

/// What is to be told if a sign-in turns out to come from a new place.
pub(super) struct Newcomer {
    pub(super) seen: DeviceRecord,
    pub(super) event: AuditRecord,
    pub(super) letter: Option<Letter>,
}

impl Service {
    /// What to note of the place that a session was opened from; nothing for programs.
    pub(super) fn newcomer(
        &self,
        person: &UserRef,
        record: &SessionRecord,
        signed_in: &AuditRecord,
        facts: &RequestFacts,
    ) -> Option<Newcomer> {
        if record.kind != Kind::Console || person.service_account {
            return None;
        }
        let seen = place_of(record);
        let letter = self.post().letter(
            LetterKind::NewDevice,
            person,
            Some(facts),
            record.created_at,
        );
        Some(Newcomer {
            event: AuditRecord {
                action: AuditAction::DeviceNew,
                ..signed_in.clone()
            }
            .with(format!("{}, {}", seen.device, seen.network)),
            letter: letter.map(|letter| Letter {
                session: Some(record.id),
                ..letter
            }),
            seen,
        })
    }

    /// The caller's sign-ins from new places that nobody has confirmed.
    pub async fn list_notices(&self, caller: &Caller) -> Result<Vec<Notice>, Error> {
        let here = place_of(&caller.session()?.record);
        let user = caller.user_id();
        let known = self.known_since(caller, &here).await?;
        let mut notices = Vec::new();
        for told in self.news(caller, &here).await? {
            let session = self.find_for_owner(user, told.session).await;
            let active = match session {
                Ok(session) => session.state == State::Active,
                // Not kept any more.
                Err(Error::NotFound) => false,
                Err(error) => return Err(error),
            };
            notices.push(Notice {
                session: told.session,
                device: told.device,
                network: told.network,
                at: told.first_seen_at,
                active,
                can_be_confirmed: known.is_some_and(|since| since < told.first_seen_at),
            });
        }
        Ok(notices)
    }

    /// Whether there are any.
    pub async fn has_notices(&self, caller: &Caller) -> Result<bool, Error> {
        let Ok(session) = caller.session() else {
            return Ok(false);
        };
        let here = place_of(&session.record);
        Ok(!self.news(caller, &here).await?.is_empty())
    }

    // Not what came from the same place: whoever signs in there is who it is about.
    async fn news(&self, caller: &Caller, here: &DeviceRecord) -> Result<Vec<DeviceRecord>, Error> {
        let since = self.now() - SHOWN;
        let news = db::devices::news(self.db().reader(), caller.user_id(), since).await;
        let mut news = news.map_err(|error| self.database_error(error))?;
        news.retain(|told| (&told.device, &told.network) != (&here.device, &here.network));
        Ok(news)
    }

    async fn known_since(
        &self,
        caller: &Caller,
        here: &DeviceRecord,
    ) -> Result<Option<rollcall_core::Timestamp>, Error> {
        let (reader, user) = (self.db().reader(), caller.user_id());
        let known = db::devices::known_since(reader, user, &here.device, &here.network).await;
        known.map_err(|error| self.database_error(error))
    }

    async fn notice(&self, caller: &Caller, session: SessionId) -> Result<Notice, Error> {
        let notices = self.list_notices(caller).await?;
        let told = notices.into_iter().find(|told| told.session == session);
        told.ok_or(Error::NotFound)
    }

    /// Confirms that a sign-in was the caller's. Only from a place where they were seen before it: whoever came in with
    /// their password cannot confirm themselves, nor from yet another place.
    pub async fn confirm_notice(
        &self,
        caller: &Caller,
        facts: &RequestFacts,
        session: SessionId,
    ) -> Result<(), Error> {
        caller.session()?;
        let told = self.notice(caller, session).await?;
        if !told.can_be_confirmed {
            return Err(Error::NotFound);
        }
        let record = self.about_place(caller, facts, AuditAction::DeviceConfirmed, session);
        let record = record.with(format!("{}, {}", told.device, told.network));
        let user = caller.user_id();
        self.write(move |tx, trail| {
            Box::pin(async move {
                match db::devices::settle(tx, user, session).await? {
                    true => trail.append(tx, &record).await,
                    false => Err(DbError::Refused(Error::NotFound)),
                }
            })
        })
        .await
    }

    /// Ends the session of a sign-in that was not the caller's.
    pub async fn disown_notice(
        &self,
        caller: &Caller,
        facts: &RequestFacts,
        session: SessionId,
    ) -> Result<(), Error> {
        caller.session()?;
        self.notice(caller, session).await?;
        let record = self.about_place(caller, facts, AuditAction::SessionEnded, session);
        let user = caller.user_id();
        self.end_disowned(session, move |_| {
            Box::pin(async move { Ok((user, record)) })
        })
        .await
    }

    fn about_place(
        &self,
        caller: &Caller,
        facts: &RequestFacts,
        action: AuditAction,
        session: SessionId,
    ) -> AuditRecord {
        event(self.now(), action, AuditOutcome::Success, Some(facts))
            .by(caller.user_id(), caller.name())
            .to(&caller.authority().user, caller.organisation_id())
            .on(session)
    }
}

/// From where a session was opened: what its browser is called, without versions, and the network of its address.
fn place_of(record: &SessionRecord) -> DeviceRecord {
    let agent = user_agent::Agent {
        browser: record.browser.clone(),
        system: record.system.clone(),
    };
    DeviceRecord {
        device: user_agent::session_name(&agent),
        network: record.ip.parse().map_or_else(|_| String::new(), network),
        session: record.id,
        first_seen_at: record.created_at,
    }
}

fn network(ip: IpAddr) -> String {
    let ip = ip.to_canonical();
    let prefix = if ip.is_ipv4() { 24 } else { 64 };
    match IpNet::new(ip, prefix) {
        Ok(network) => network.trunc().to_string(),
        Err(_) => ip.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_what_one_household_has() {
        for (ip, named) in [
            ("192.0.2.77", "192.0.2.0/24"),
            ("::ffff:192.0.2.77", "192.0.2.0/24"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ] {
            assert_eq!(network(ip.parse().unwrap()), named);
        }
    }
}
