//! Users and sessions that are stored directly, with passwords and tokens that are known.

use std::time::Duration;

use anyhow::Result;
use rollcall_bench::data;
use rollcall_core::{BuiltInRole, OrganisationId, UserId};
use rollcall_server::clock::{Clock, OsRandom, Random, SystemClock, uuid_v7};
use rollcall_server::db::{self, SessionRecord};
use rollcall_server::service::password::{Hasher, Password};
use uuid::Uuid;

use crate::canary;
use crate::place::Place;

const DAY: Duration = Duration::from_secs(86_400);

/// A stored user.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    /// The user's id.
    pub(crate) id: Uuid,
    /// The e-mail, which is the name too.
    pub(crate) email: String,
    /// The password.
    pub(crate) password: String,
    /// The organisation's id.
    pub(crate) organisation: Uuid,
}

/// A stored session.
#[derive(Clone, Debug)]
pub(crate) struct Seeded {
    /// The session's id.
    pub(crate) id: Uuid,
    /// Every token of its lineage so far, the oldest first; the last one is good.
    pub(crate) tokens: Vec<String>,
}

/// A number below `end`.
pub(crate) fn random(end: u64) -> u64 {
    let mut bytes = [0; 8];
    OsRandom.fill(&mut bytes);
    u64::from_le_bytes(bytes) % end.max(1)
}

/// A password that nobody has had before.
pub(crate) fn new_password() -> String {
    let (_, text) = Password::one_time(&OsRandom);
    canary::note(&text);
    text.to_string()
}

/// Stores so many members and a Platform administrator, who comes last, in an empty database.
pub(crate) async fn store(place: &Place, count: usize) -> Result<Vec<Person>> {
    let db = data::open(&place.url).await?;
    let now = SystemClock::default().now();
    let organisation = OrganisationId(uuid_v7(&OsRandom, now));
    db.write(move |tx| {
        Box::pin(async move { db::organisations::create(tx, organisation, "Proof", now).await })
    })
    .await?;
    let password = new_password();
    let presented = Password::presented(&password).expect("it is not too long");
    let hash = Hasher::new(1, &OsRandom).hash_now(&presented, &OsRandom);
    let rows: Vec<_> = (0..=count)
        .map(|number| {
            let role = match number == count {
                true => BuiltInRole::PlatformAdministrator,
                false => BuiltInRole::Member,
            };
            let email = format!("user{number}@proof.example");
            data::user(organisation, email, role, &hash, now)
        })
        .collect();
    let people = rows
        .iter()
        .map(|row| Person {
            id: row.id.0,
            email: row.email.clone(),
            password: password.clone(),
            organisation: organisation.0,
        })
        .collect();
    db::bulk::insert_users(&db, rows).await?;
    db.close().await;
    Ok(people)
}

/// Stores sessions, one for each of `owners`, whose tokens have been rotated `generation` times and were
/// first used `used_ago` ago.
pub(crate) async fn sessions(
    place: &Place,
    owners: &[&Person],
    generation: usize,
    used_ago: Duration,
) -> Result<Vec<Seeded>> {
    sessions_for(place, owners, generation, used_ago, DAY).await
}

/// The same for sessions that end after some time, however they are used.
pub(crate) async fn sessions_for(
    place: &Place,
    owners: &[&Person],
    generation: usize,
    used_ago: Duration,
    lives: Duration,
) -> Result<Vec<Seeded>> {
    let db = data::open(&place.url).await?;
    let now = SystemClock::default().now();
    let used = now - used_ago;
    let created = used - Duration::from_secs(3_600);
    let (mut seeded, mut rows) = (Vec::new(), Vec::new());
    for owner in owners {
        let (user, organisation) = (UserId(owner.id), OrganisationId(owner.organisation));
        let (first, record) = data::session(user, organisation, created);
        let mut chain = vec![first];
        for step in 0..generation {
            chain.push(chain[step].next(&record.rotation_key));
        }
        let record = SessionRecord {
            secret_hash: chain[generation].secret_hash(),
            generation: i64::try_from(generation)?,
            first_used_at: Some(used),
            last_activity_at: now,
            idle_expires_at: now + DAY,
            absolute_expires_at: now + lives,
            ..record
        };
        let id = record.id;
        let tokens: Vec<String> = chain
            .iter()
            .map(|token| token.expose().to_string())
            .collect();
        for token in &tokens {
            canary::note(token);
        }
        rows.push((record, owner.email.clone()));
        seeded.push(Seeded { id: id.0, tokens });
    }
    db::bulk::insert_sessions(&db, rows).await?;
    db.close().await;
    Ok(seeded)
}

/// The ids of stored sessions, for the books.
pub(crate) fn ids(sessions: &[Seeded]) -> Vec<Uuid> {
    sessions.iter().map(|session| session.id).collect()
}
