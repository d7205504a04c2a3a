//! Random facts in the database and the same in memory, where `core::session::state_at` says what is
//! true of them.

use std::collections::BTreeSet;

use rollcall_core::session::{LifeFacts, state_at};
use rollcall_core::{
    EndReason, Kind, Method, OrganisationId, RoleKey, SessionFilter, SessionId, SessionSort,
    SortKey, State, Timestamp, UserId,
};
use rollcall_server::db::{self, Scope, SessionRecord};

use crate::conditions::{AGENTS, hold, narrowed};
use crate::support::{Rig, START, new_session, new_user, seconds};
use crate::write_db;

/// A small generator (xorshift), so that a failing run can be repeated by its seed.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    pub fn one_in(&mut self, chance: u64) -> bool {
        self.below(chance) == 0
    }

    pub fn pick<T: Clone>(&mut self, list: &[T]) -> T {
        list[self.below(list.len() as u64) as usize].clone()
    }
}

type Epoch = Option<(Timestamp, EndReason)>;

pub struct Person {
    pub id: UserId,
    pub organisation: usize,
    pub email: String,
    pub role: String,
    pub roles: Vec<RoleKey>,
    pub service_account: bool,
    epoch: Epoch,
    enabled: bool,
}

pub struct House {
    pub id: OrganisationId,
    epoch: Epoch,
    enabled: bool,
}

pub struct Fact {
    pub session: SessionRecord,
    pub person: usize,
    /// Where the row's own organisation is, which stays when its user moves.
    pub house: usize,
}

pub struct Model {
    pub now: Timestamp,
    pub people: Vec<Person>,
    pub houses: Vec<House>,
    pub facts: Vec<Fact>,
    installation: Epoch,
}

const NAMES: [&str; 8] = [
    "Firefox on Linux",
    "firefox on Windows",
    "CI runner 100%",
    "under_score \"quoted\" *",
    "Zoë's laptop",
    "ZOË'S LAPTOP",
    "日本語の端末",
    "İstanbul",
];
const ADDRESSES: [&str; 6] = [
    "10.0.0.9",
    "10.0.0.10",
    "192.0.2.77",
    "2001:db8::1",
    "2001:db8:0:1::ff",
    "::ffff:0:1",
];
const BROWSERS: [(&str, &str); 4] = [
    ("Firefox 144", "Linux"),
    ("", "Windows 11"),
    ("curl", ""),
    ("", ""),
];
pub const NEEDLES: [&str; 18] = [
    "firefox",
    "zoë",
    "ZOË'S",
    "100%",
    "%",
    "_",
    "\"",
    "*",
    "10.0.0.1",
    "db8:",
    "e",
    "ro",
    "日本語",
    "語",
    "i\u{307}stanbul",
    "nobody has this",
    "zq",
    "example.org\n10",
];

impl Model {
    pub async fn fill(rig: &Rig, dice: &mut Dice, sessions: usize) -> Self {
        let now = START + seconds(100_000);
        let epoch = |dice: &mut Dice, chance: u64| {
            dice.one_in(chance).then(|| {
                let reason = dice.pick(&[
                    EndReason::PasswordReset,
                    EndReason::UserMoved,
                    EndReason::Limit,
                ]);
                (START + seconds(dice.below(100_001)), reason)
            })
        };
        let mut model = Self {
            now,
            people: Vec::new(),
            houses: Vec::new(),
            facts: Vec::new(),
            installation: epoch(dice, 4),
        };
        for name in ["Acme", "Globex", "Initech"] {
            let id = rig.organisation(name).await;
            model.houses.push(House {
                id,
                epoch: epoch(dice, 3),
                enabled: !dice.one_in(6),
            });
        }
        for number in 0..12 {
            let organisation = dice.below(3) as usize;
            let name = dice.pick(&["nora", "omar", "zoe", "hiro"]);
            let user = db::NewUser {
                service_account: dice.one_in(4),
                role_key: dice.pick(&["member", "member", "session_manager"]).into(),
                ..new_user(
                    model.houses[organisation].id,
                    &format!("{name}.{number}@example.org"),
                )
            };
            let roles = match dice.one_in(4) {
                true => vec![RoleKey("administrator".into())],
                false => Vec::new(),
            };
            model.people.push(Person {
                id: user.id,
                organisation,
                email: user.email.clone(),
                role: user.role_key.clone(),
                roles: roles.clone(),
                service_account: user.service_account,
                epoch: epoch(dice, 3),
                enabled: !dice.one_in(6),
            });
            write_db!(rig, |c| {
                db::users::create(c, &user).await?;
                db::roles::set_secondary(c, user.id, &roles).await
            })
            .unwrap();
        }
        // Half of the epochs come before the sessions are stored, half after them.
        model.write_epochs(rig, dice, 2).await;
        for _ in 0..sessions {
            let fact = model.session(dice);
            model.facts.push(fact);
        }
        let rows: Vec<_> = model
            .facts
            .iter()
            .map(|fact| {
                (
                    fact.session.clone(),
                    model.people[fact.person].email.clone(),
                )
            })
            .collect();
        write_db!(rig, |c| {
            for (session, email) in &rows {
                db::sessions::insert(c, session, email).await?;
            }
            Ok(())
        })
        .unwrap();
        model.write_epochs(rig, dice, 1).await;
        model
    }

    fn session(&self, dice: &mut Dice) -> Fact {
        let person = dice.below(self.people.len() as u64) as usize;
        // Some users have moved since.
        let house = if dice.one_in(10) {
            dice.below(3) as usize
        } else {
            self.people[person].organisation
        };
        // Whole minutes, so that many rows are equal.
        let created = START + seconds(dice.below(1_600) * 60);
        let idle = dice.pick(&[600, 1_800, 1_000_000]);
        let activity = created + seconds(dice.below(20) * 60);
        let (browser, system) = dice.pick(&BROWSERS);
        let mut session = SessionRecord {
            name: dice.pick(&NAMES).into(),
            ip: dice.pick(&ADDRESSES).into(),
            browser: browser.into(),
            system: system.into(),
            user_agent: dice.pick(&AGENTS).into(),
            method: dice.pick(&[Method::Password, Method::Password, Method::SingleSignOn]),
            kind: dice.pick(&[Kind::Console, Kind::Console, Kind::Api, Kind::Client]),
            last_activity_at: activity,
            idle_timeout_seconds: idle as i64,
            idle_expires_at: activity + seconds(idle),
            absolute_expires_at: created + seconds(dice.pick(&[3_600, 86_400, 2_000_000])),
            ..new_session(self.people[person].id, self.houses[house].id, created)
        };
        if dice.one_in(4) {
            let reason = dice.pick(&[EndReason::SignedOut, EndReason::EndedByAdministrator]);
            session.ended = Some((created + seconds(dice.below(50) * 60), reason));
        }
        Fact {
            session,
            person,
            house,
        }
    }

    /// Writes one in `chance` of the epochs, straight into the rows, as any code might.
    async fn write_epochs(&self, rig: &Rig, dice: &mut Dice, chance: u64) {
        let set = |table: &str, id: String, epoch: Epoch, enabled: Option<bool>| {
            let mut parts = Vec::new();
            if let Some((at, reason)) = epoch {
                parts.push(format!(
                    "ended_before = {}, ended_before_reason = '{}'",
                    at.0,
                    reason.as_str()
                ));
            }
            if enabled == Some(false) {
                parts.push("enabled = false".into());
            }
            (!parts.is_empty())
                .then(|| format!("UPDATE {table} SET {} WHERE id = {id};", parts.join(", ")))
        };
        let uuid = |id: uuid::Uuid| {
            if rig.is_sqlite {
                format!("x'{}'", id.simple())
            } else {
                format!("'{id}'")
            }
        };
        let mut statements = Vec::new();
        for person in &self.people {
            statements.push(set(
                "\"user\"",
                uuid(person.id.0),
                person.epoch,
                Some(person.enabled),
            ));
        }
        for house in &self.houses {
            statements.push(set(
                "organisation",
                uuid(house.id.0),
                house.epoch,
                Some(house.enabled),
            ));
        }
        statements.push(set("installation", "1".into(), self.installation, None));
        for statement in statements.into_iter().flatten() {
            if dice.one_in(chance) {
                rig.sql(statement).await;
            }
        }
    }

    pub fn end_of(&self, fact: &Fact, now: Timestamp) -> Epoch {
        let (person, house) = (&self.people[fact.person], &self.houses[fact.house]);
        let facts = LifeFacts {
            created_at: fact.session.created_at,
            idle_expires_at: fact.session.idle_expires_at,
            absolute_expires_at: fact.session.absolute_expires_at,
            ended: fact.session.ended,
            user_ended_before: person.epoch,
            organisation_ended_before: house.epoch,
            installation_ended_before: self.installation,
            user_enabled: person.enabled,
            organisation_enabled: house.enabled,
        };
        state_at(&facts, now).err()
    }

    /// Whether it is being disabled alone, without an epoch, that keeps this row from living: rows that
    /// no sweep can write down.
    pub fn only_disabled(&self, fact: &Fact, now: Timestamp) -> bool {
        let epochs = [
            self.people[fact.person].epoch,
            self.houses[fact.house].epoch,
            self.installation,
        ];
        fact.session.ended.is_none()
            && fact.session.idle_expires_at > now
            && fact.session.absolute_expires_at > now
            && epochs
                .into_iter()
                .flatten()
                .all(|(at, _)| at < fact.session.created_at)
            && self.end_of(fact, now).is_some()
    }

    fn sees(&self, scope: Scope, fact: &Fact) -> bool {
        match scope {
            Scope::All => true,
            Scope::Organisation(id) => self.houses[fact.house].id == id,
            Scope::User(id) => self.people[fact.person].id == id,
        }
    }

    pub fn visible(&self, scope: Scope) -> Vec<&Fact> {
        self.facts
            .iter()
            .filter(|fact| self.sees(scope, fact))
            .collect()
    }

    /// What a list without pages would be.
    pub fn list(&self, scope: Scope, filter: &SessionFilter, sort: SessionSort) -> Vec<SessionId> {
        let Some(scope) = narrowed(scope, filter) else {
            return Vec::new();
        };
        let needle = folded(filter.search.trim());
        let mut rows: Vec<&Fact> = self
            .visible(scope)
            .into_iter()
            .filter(|fact| filter.kind.is_none_or(|kind| kind == fact.session.kind))
            .filter(|fact| hold(self, scope, fact, &filter.more))
            .filter(|fact| {
                let ended = self.end_of(fact, self.now).is_some();
                filter
                    .state
                    .is_none_or(|state| (state == State::Ended) == ended)
            })
            .filter(|fact| {
                let texts = [
                    &self.people[fact.person].email,
                    &fact.session.ip,
                    &fact.session.name,
                ];
                needle.is_empty() || texts.into_iter().any(|text| folded(text).contains(&needle))
            })
            .collect();
        let text = |fact: &Fact| match sort.key {
            SortKey::User => self.people[fact.person].email.clone(),
            SortKey::Name => folded(&fact.session.name),
            SortKey::Browser => folded(&match (
                fact.session.browser.as_str(),
                fact.session.system.as_str(),
            ) {
                ("", "") => "Unknown".to_owned(),
                (browser, "") => browser.to_owned(),
                ("", system) => system.to_owned(),
                (browser, system) => format!("{browser} on {system}"),
            }),
            _ => String::new(),
        };
        let number = |fact: &Fact| -> i128 {
            let session = &fact.session;
            match sort.key {
                SortKey::Ip => match session.ip.parse().unwrap() {
                    std::net::IpAddr::V4(ip) => i128::from(ip.to_bits()) + 0xffff_0000_0000,
                    std::net::IpAddr::V6(ip) => {
                        (ip.to_bits() >> 1) as i128 + (ip.to_bits() & 1) as i128
                    }
                },
                SortKey::CreatedAt => session.created_at.0.into(),
                SortKey::LastActivityAt => session.last_activity_at.0.into(),
                SortKey::Duration => {
                    let until = self.end_of(fact, self.now).map_or(self.now, |(at, _)| at);
                    (until.0 - session.created_at.0).into()
                }
                _ => 0,
            }
        };
        if sort.key == SortKey::State {
            rows.sort_by_key(|fact| {
                let ended = self.end_of(fact, self.now).is_some();
                (
                    ended != sort.descending,
                    -fact.session.created_at.0,
                    std::cmp::Reverse(fact.session.id),
                )
            });
        } else {
            rows.sort_by_key(|fact| (text(fact), number(fact), fact.session.id));
            if sort.descending {
                rows.reverse();
            }
        }
        rows.into_iter().map(|fact| fact.session.id).collect()
    }

    pub fn unique_users(&self, scope: Scope) -> u64 {
        let users: BTreeSet<usize> = self
            .visible(scope)
            .into_iter()
            .map(|fact| fact.person)
            .collect();
        users.len() as u64
    }

    pub fn average_minutes(&self, scope: Scope) -> f64 {
        let rows = self.visible(scope);
        if rows.is_empty() {
            return 0.0;
        }
        let sum: i64 = rows
            .iter()
            .map(|fact| {
                let until = self.end_of(fact, self.now).map_or(self.now, |(at, _)| at);
                until.0 / 1_000 - fact.session.created_at.0 / 1_000
            })
            .sum();
        (sum as f64 / rows.len() as f64 / 60_000.0 * 10.0).round() / 10.0
    }
}

fn folded(text: &str) -> String {
    use unicode_normalization::UnicodeNormalization;
    text.nfc()
        .collect::<String>()
        .to_lowercase()
        .nfc()
        .collect()
}
