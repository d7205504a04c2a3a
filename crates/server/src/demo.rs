//! Demo data: believable users of several organisations and their sessions, to try things out.
//!
//! Only on a loopback address, only into a database that holds at most its administrator. All demo
//! users share one random password, which is kept in the data folder and printed at each start.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use rollcall_core::{Email, OrganisationId};
use zeroize::Zeroizing;

use crate::clock::{Clock, Random, uuid_v7};
use crate::db::{self, Database};
use crate::service::password::{Hasher, Password};

mod people;
mod sessions;

/// The file in the data folder that holds the password of the demo users.
pub(crate) const NOTE: &str = "demo";

/// What to tell about the demo at each start.
#[derive(Clone, Debug)]
pub struct Demo {
    /// The password of every demo user.
    pub password: Zeroizing<String>,
    /// Some users to sign in as: an administrator and a member.
    pub examples: Vec<String>,
}

/// Adds `count` sessions, unless an earlier start did.
///
/// # Errors
/// In words, if the database holds anything else.
pub async fn fill(
    db: &Database,
    folder: &Path,
    count: u32,
    clock: &dyn Clock,
    random: Arc<dyn Random>,
) -> anyhow::Result<Demo> {
    let note = Note::beside(folder);
    let mut chance = Chance::new(random.as_ref());
    let users = db::users::count(db.reader()).await?;
    if users > 1 {
        if let Some(demo) = note.read()? {
            return Ok(demo);
        }
        bail!(
            "--demo {count}: this database holds users already; choose an empty one, such as --data-dir demo-data"
        );
    }
    if note.read()?.is_some() {
        bail!(
            "--demo {count}: the data folder remembers the demo of another database; choose an empty one, such as --data-dir demo-data"
        );
    }
    let now = clock.now();
    let (password, text) = Password::one_time(random.as_ref());
    // One hash for all: they share the password, and a demo of thousands of users should start quickly.
    let hash = Hasher::new(1, random.as_ref()).hash_now(&password, random.as_ref());
    let people = people::invent(usize::try_from(count)?, &mut chance);
    let demo = Demo {
        password: text,
        examples: people::examples(&people),
    };

    let organisations: Vec<_> = people::ORGANISATIONS
        .iter()
        .map(|organisation| {
            (
                OrganisationId(uuid_v7(random.as_ref(), now)),
                organisation.name.to_owned(),
            )
        })
        .collect();
    let ids = organisations.iter().map(|(id, _)| *id).collect::<Vec<_>>();
    db.write(move |tx| {
        Box::pin(async move {
            for (id, name) in &organisations {
                db::organisations::create(tx, *id, name, now).await?;
            }
            Ok(())
        })
    })
    .await?;
    let users: Vec<_> = people
        .iter()
        .map(|person| person.record(&ids, &hash, now))
        .collect();
    db::bulk::insert_users(db, users).await?;
    // Stored in the order in which they began, as those of a server that has run for a while are. Made one by
    // one: of a million only when each began and the chance that it is made from are in memory.
    let mut seeds: Vec<_> = (0..count)
        .map(|_| {
            let seed = Chance(chance.next());
            (sessions::created_at(now, seed.clone()), seed)
        })
        .collect();
    seeds.sort_unstable_by_key(|(created_at, _)| *created_at);
    let rows = seeds.into_iter().map(move |(_, mut chance)| {
        let (person, session) = sessions::invent(&people, &ids, now, random.as_ref(), &mut chance);
        (session, person.email.clone())
    });
    db::bulk::insert_sessions(db, rows).await?;
    db.write(|tx| Box::pin(db::bulk::note_sign_ins(tx))).await?;
    note.write(&demo)
        .context("the demo's password could not be kept in the data folder")?;
    Ok(demo)
}

/// The file that remembers an earlier demo.
struct Note(PathBuf);

impl Note {
    fn beside(folder: &Path) -> Self {
        Self(folder.join(NOTE))
    }

    fn read(&self) -> anyhow::Result<Option<Demo>> {
        let text = match fs::read_to_string(&self.0) {
            Ok(text) => Zeroizing::new(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(error).with_context(|| format!("{} cannot be read", self.0.display()));
            }
        };
        let mut lines = text.lines();
        let password = lines.next().filter(|line| !line.is_empty());
        let password = password
            .with_context(|| format!("{} is empty; remove the data folder", self.0.display()))?;
        Ok(Some(Demo {
            password: Zeroizing::new(password.to_owned()),
            examples: lines
                .filter_map(Email::parse)
                .map(|email| email.to_string())
                .collect(),
        }))
    }

    fn write(&self, demo: &Demo) -> io::Result<()> {
        let text = Zeroizing::new(format!(
            "{}\n{}\n",
            demo.password.as_str(),
            demo.examples.join("\n")
        ));
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        io::Write::write_all(&mut options.open(&self.0)?, text.as_bytes())
    }
}

/// Chance that is good enough for a demo, from one draw of the real source (SplitMix64).
#[derive(Clone)]
pub(crate) struct Chance(u64);

impl Chance {
    fn new(random: &dyn Random) -> Self {
        let mut bytes = [0; 8];
        random.fill(&mut bytes);
        Self(u64::from_le_bytes(bytes))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is not 0.
    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    fn one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }

    fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        let at = usize::try_from(self.below(list.len() as u64)).unwrap_or_default();
        &list[at]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::OsRandom;

    #[test]
    fn an_earlier_demo_is_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let note = Note::beside(folder.path());
        assert!(note.read().unwrap().is_none());
        let demo = Demo {
            password: Zeroizing::new("some words".to_owned()),
            examples: vec!["nora.rossi@acme.example".to_owned()],
        };
        note.write(&demo).unwrap();
        let read = note.read().unwrap().unwrap();
        assert_eq!(read.password, demo.password);
        assert_eq!(read.examples, demo.examples);
        assert!(note.write(&demo).is_err(), "a demo is never overwritten");
    }

    #[test]
    fn nine_in_ten_sessions_live_and_users_differ() {
        let mut chance = Chance::new(&OsRandom);
        let people = people::invent(5_000, &mut chance);
        let emails: std::collections::HashSet<_> =
            people.iter().map(|person| &person.email).collect();
        assert_eq!(emails.len(), people.len());
        assert!(emails.iter().all(|email| Email::parse(email).is_some()));
        assert!(people.iter().any(|person| person.service_account));
        let ids: Vec<_> = people::ORGANISATIONS
            .iter()
            .map(|_| OrganisationId(uuid::Uuid::nil()))
            .collect();
        let now = rollcall_core::Timestamp::from_seconds(1_800_000_000);
        let rows: Vec<_> = (0..5_000)
            .map(|_| {
                let seed = Chance(chance.next());
                let created_at = sessions::created_at(now, seed.clone());
                let row = sessions::invent(&people, &ids, now, &OsRandom, &mut seed.clone()).1;
                assert_eq!(row.created_at, created_at);
                row
            })
            .collect();
        let live = rows.iter().filter(|row| row.ended.is_none()).count();
        assert!((4_350..=4_650).contains(&live), "{live}");
        for row in &rows {
            assert!(row.created_at <= row.last_activity_at && row.last_activity_at <= now);
            assert!(row.idle_expires_at <= row.absolute_expires_at);
            match row.ended {
                None => assert!(row.idle_expires_at > now && row.absolute_expires_at > now),
                Some((at, _)) => assert!(row.created_at <= at && at <= now),
            }
        }
        assert!(
            rows.iter().any(|row| row.ip.contains(':'))
                && rows.iter().any(|row| row.ip.contains('.'))
        );
    }
}
