//! The users of the demo.

use std::time::Duration;

use rollcall_core::role::BuiltInRole;
use rollcall_core::{OrganisationId, Timestamp, UserId};
use uuid::Uuid;

use super::Chance;
use crate::db::records::NewUser;

/// An organisation of the demo. Its domain ends in `.example`, so that no mail can reach anybody.
pub(super) struct Organisation {
    pub(super) name: &'static str,
    domain: &'static str,
}

pub(super) const ORGANISATIONS: [Organisation; 5] = [
    Organisation {
        name: "Alder & Finch",
        domain: "alderfinch.example",
    },
    Organisation {
        name: "Bluewater Logistics",
        domain: "bluewater.example",
    },
    Organisation {
        name: "Cedar Health",
        domain: "cedarhealth.example",
    },
    Organisation {
        name: "Delta Foundry",
        domain: "deltafoundry.example",
    },
    Organisation {
        name: "Evergreen Schools",
        domain: "evergreen.example",
    },
];

const OUTSIDE: &str = "gmail.example";

const FIRST: [&str; 32] = [
    "Nora", "Amir", "Lucía", "Jonas", "Priya", "Chidi", "Mei", "Oskar", "Fatima", "Liam", "Ingrid",
    "Kenji", "Zofia", "Mateo", "Aisha", "Thomas", "Elif", "Noah", "Sofia", "Hugo", "Leila",
    "Pavel", "Grace", "Daniel", "Yuki", "Samuel", "Anna", "Ravi", "Clara", "Ibrahim", "Marta",
    "Felix",
];

const LAST: [&str; 32] = [
    "Rossi",
    "Haddad",
    "García",
    "Lindqvist",
    "Sharma",
    "Okafor",
    "Chen",
    "Nowak",
    "Rahman",
    "Murphy",
    "Berg",
    "Tanaka",
    "Kowalska",
    "Silva",
    "Diallo",
    "Weber",
    "Yilmaz",
    "Smith",
    "Petrova",
    "Laurent",
    "Karimi",
    "Novák",
    "Mensah",
    "Cohen",
    "Sato",
    "Adeyemi",
    "Jansen",
    "Iyer",
    "Fischer",
    "Suleiman",
    "Costa",
    "Moreau",
];

const PROGRAMS: [&str; 8] = [
    "build-runner",
    "backup",
    "invoice-export",
    "monitoring",
    "test-pipeline",
    "sync-agent",
    "report-mailer",
    "scanner",
];

/// A user to be.
#[derive(Clone, Debug)]
pub(super) struct Person {
    pub(super) id: UserId,
    pub(super) email: String,
    pub(super) service_account: bool,
    pub(super) organisation: usize,
    name: String,
    role: BuiltInRole,
}

impl Person {
    pub(super) fn record(
        &self,
        organisations: &[OrganisationId],
        hash: &str,
        now: Timestamp,
    ) -> NewUser {
        NewUser {
            id: self.id,
            organisation_id: organisations[self.organisation],
            email: self.email.clone(),
            name: self.name.clone(),
            role_key: self.role.key().to_owned(),
            service_account: self.service_account,
            password_hash: Some(hash.to_owned()),
            password_change_required: false,
            // Before the oldest of their sessions.
            created_at: now - Duration::from_secs(400 * 24 * 60 * 60),
        }
    }
}

/// Users for so many sessions: about four sessions each.
pub(super) fn invent(sessions: usize, chance: &mut Chance) -> Vec<Person> {
    let count = (sessions / 4).clamp(15, 50_000);
    (0..count).map(|number| person(number, chance)).collect()
}

fn person(number: usize, chance: &mut Chance) -> Person {
    let organisation = number % ORGANISATIONS.len();
    // The number within the organisation: the first few lead it, the rest are members.
    let place = number / ORGANISATIONS.len();
    let domain = ORGANISATIONS[organisation].domain;
    let id = UserId(Uuid::from_u64_pair(chance.next(), chance.next()));
    if place > 2 && chance.one_in(12) {
        let program = *chance.pick(&PROGRAMS);
        return Person {
            id,
            email: format!("{program}-{place}@{domain}"),
            name: format!("{program} {place}"),
            service_account: true,
            organisation,
            role: BuiltInRole::Member,
        };
    }
    let (first, last) = (*chance.pick(&FIRST), *chance.pick(&LAST));
    let role = match place {
        0 => BuiltInRole::Administrator,
        1 => BuiltInRole::SessionManager,
        _ if chance.one_in(10) => BuiltInRole::QualityManager,
        _ => BuiltInRole::Member,
    };
    // Some come from outside and bring an address of their own.
    let outside = place > 2 && chance.one_in(8);
    // After the first round names repeat; a number keeps the addresses apart.
    let mark = match (outside, place) {
        (true, _) => number.to_string(),
        (false, 0) => String::new(),
        (false, _) => place.to_string(),
    };
    let domain = if outside { OUTSIDE } else { domain };
    Person {
        id,
        email: format!("{}.{}{mark}@{domain}", plain(first), plain(last)),
        name: format!("{first} {last}"),
        service_account: false,
        organisation,
        role,
    }
}

/// An administrator and a member, for the line at the start.
pub(super) fn examples(people: &[Person]) -> Vec<String> {
    [BuiltInRole::Administrator, BuiltInRole::Member]
        .into_iter()
        .filter_map(|role| {
            people
                .iter()
                .find(|person| person.role == role && !person.service_account)
        })
        .map(|person| person.email.clone())
        .collect()
}

// A name as addresses spell it.
fn plain(name: &str) -> String {
    name.to_lowercase()
        .chars()
        .map(|letter| match letter {
            'í' => 'i',
            'á' => 'a',
            other => other,
        })
        .collect()
}
