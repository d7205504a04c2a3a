//! The sessions of the demo.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use rollcall_core::{EndReason, Kind, Method, OrganisationId, SessionId, Timestamp};

use super::Chance;
use super::people::Person;
use crate::clock::{Random, uuid_v7};
use crate::db::records::SessionRecord;
use crate::service::user_agent;

const DAY: u64 = 86_400;

const BROWSERS: [&str; 10] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0",
    "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Safari/605.1.15",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 16; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (iPad; CPU OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1",
];

const PROGRAMS: [&str; 5] = [
    "curl/8.14.1",
    "python-requests/2.32.5",
    "Go-http-client/2.0",
    "okhttp/5.1.0",
    "PostmanRuntime/7.49.0",
];

const NAMES: [&str; 6] = [
    "Work laptop",
    "Home office",
    "Reception desk",
    "Meeting room",
    "Phone",
    "Test bench",
];

const SERVERS: [&str; 3] = ["atlas", "borealis", "LOCAL"];

const REASONS: [EndReason; 7] = [
    EndReason::SignedOut,
    EndReason::SignedOut,
    EndReason::IdleTimeout,
    EndReason::IdleTimeout,
    EndReason::EndedByUser,
    EndReason::Replaced,
    EndReason::AbsoluteTimeout,
];

/// When a session of this chance began.
pub(super) fn created_at(now: Timestamp, mut chance: Chance) -> Timestamp {
    life(now, &mut chance).created_at
}

struct Life {
    /// Seconds.
    idle: u64,
    /// Seconds.
    absolute: u64,
    created_at: Timestamp,
    last_activity_at: Timestamp,
    end: Option<(Timestamp, EndReason)>,
}

/// The first that is drawn: nine in ten live.
fn life(now: Timestamp, chance: &mut Chance) -> Life {
    let ended_one = chance.one_in(10);
    // Those that live are kept signed in, or a demo would be empty after half an hour.
    let (idle, absolute) = if ended_one {
        (30 * 60, DAY)
    } else {
        (14 * DAY, 30 * DAY)
    };
    let (created_at, last_activity_at, end) = if ended_one {
        ended(now, idle, absolute, chance)
    } else {
        // Recently used by most, so that "last activity" reads like a working day.
        let quiet = match chance.below(4) {
            0 => chance.below(DAY),
            1 => chance.below(8 * 3_600),
            _ => chance.below(1_800),
        };
        // Most began today, a few are somebody's own laptop.
        let age = quiet
            + match chance.below(40) {
                0 => chance.below(10 * DAY),
                1..=12 => chance.below(8 * 3_600),
                _ => chance.below(5_400),
            };
        (
            now - seconds(age, chance),
            now - seconds(quiet, chance),
            None,
        )
    };
    Life {
        idle,
        absolute,
        created_at,
        last_activity_at: last_activity_at.max(created_at).min(now),
        end,
    }
}

/// A session of one of these people.
pub(super) fn invent<'p>(
    people: &'p [Person],
    organisations: &[OrganisationId],
    now: Timestamp,
    random: &dyn Random,
    chance: &mut Chance,
) -> (&'p Person, SessionRecord) {
    let Life {
        idle,
        absolute,
        created_at,
        last_activity_at,
        end,
    } = life(now, chance);
    let person = chance.pick(people);
    let kind = match chance.below(20) {
        _ if person.service_account => Kind::Api,
        0 => Kind::Client,
        1 | 2 => Kind::Api,
        _ => Kind::Console,
    };
    let agent_text = if kind == Kind::Console {
        *chance.pick(&BROWSERS)
    } else {
        *chance.pick(&PROGRAMS)
    };
    let agent = user_agent::parse(agent_text);
    let name = match kind {
        Kind::Console if chance.one_in(3) => (*chance.pick(&NAMES)).to_owned(),
        _ => user_agent::session_name(&agent),
    };
    let absolute_expires_at = created_at + Duration::from_secs(absolute);
    let idle_expires_at = (last_activity_at + Duration::from_secs(idle)).min(absolute_expires_at);
    let session = SessionRecord {
        id: SessionId(uuid_v7(random, created_at)),
        user_id: person.id,
        organisation_id: organisations[person.organisation],
        // Random where a hash would be: no token opens a demo session.
        lineage_hash: bytes(random),
        secret_hash: bytes(random),
        rotation_key: bytes(random),
        generation: 0,
        first_used_at: Some(created_at),
        authenticated_at: created_at,
        name,
        kind,
        method: Method::Password,
        keep: kind == Kind::Console && end.is_none(),
        ip: address(chance),
        user_agent: agent_text.to_owned(),
        browser: agent.browser,
        system: agent.system,
        server_name: (*chance.pick(&SERVERS)).to_owned(),
        created_at,
        last_activity_at,
        idle_timeout_seconds: i64::try_from(idle).unwrap_or(i64::MAX),
        idle_expires_at,
        absolute_expires_at,
        ended: end,
    };
    (person, session)
}

fn ended(
    now: Timestamp,
    idle: u64,
    absolute: u64,
    chance: &mut Chance,
) -> (Timestamp, Timestamp, Option<(Timestamp, EndReason)>) {
    let reason = *chance.pick(&REASONS);
    // Ended within the last 25 days.
    let at = now - seconds(chance.below(25 * DAY), chance);
    match reason {
        EndReason::IdleTimeout => {
            let last = at - Duration::from_secs(idle);
            (
                last - seconds(chance.below(4 * 3_600), chance),
                last,
                Some((at, reason)),
            )
        }
        EndReason::AbsoluteTimeout => {
            let created = at - Duration::from_secs(absolute);
            (
                created,
                at - seconds(chance.below(idle), chance),
                Some((at, reason)),
            )
        }
        _ => {
            let used = at - seconds(chance.below(idle), chance);
            (
                used - seconds(chance.below(2 * 3_600), chance),
                used,
                Some((at, reason)),
            )
        }
    }
}

// So many seconds and a bit, so that no two moments are alike.
fn seconds(whole: u64, chance: &mut Chance) -> Duration {
    Duration::from_micros(whole * 1_000_000 + chance.below(1_000_000))
}

// From the blocks that are kept for documentation (RFC 5737, RFC 3849) and for private networks.
fn address(chance: &mut Chance) -> String {
    let byte = |chance: &mut Chance| u8::try_from(chance.below(254)).unwrap_or_default() + 1;
    match chance.below(5) {
        0 => {
            let part =
                |chance: &mut Chance| u16::try_from(chance.below(65_536)).unwrap_or_default();
            Ipv6Addr::new(
                0x2001,
                0xdb8,
                part(chance) & 0xff,
                part(chance) & 0xf,
                part(chance),
                part(chance),
                part(chance),
                part(chance),
            )
            .to_string()
        }
        1 => Ipv4Addr::new(203, 0, 113, byte(chance)).to_string(),
        2 => Ipv4Addr::new(192, 168, byte(chance) % 16, byte(chance)).to_string(),
        _ => Ipv4Addr::new(10, byte(chance) % 8, byte(chance), byte(chance)).to_string(),
    }
}

fn bytes(random: &dyn Random) -> [u8; 32] {
    let mut bytes = [0; 32];
    random.fill(&mut bytes);
    bytes
}
