//! What the filters beyond search, state and kind mean, said without SQL, and random ones.

use rollcall_core::{Conditions, Filters, Method, OrganisationId, SessionFilter, Who};
use rollcall_server::db::Scope;

use crate::model::{Dice, Fact, Model};
use crate::support::fresh_id;

pub const AGENTS: [&str; 4] = [
    "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0",
    "curl/8.5.0",
    "Mozilla/5.0 (Windows NT 10.0; Trident/7.0)",
    "",
];

/// The scope that an organisation in a filter leaves; `None` where that is nothing.
pub fn narrowed(scope: Scope, filter: &SessionFilter) -> Option<Scope> {
    match (scope, filter.more.organisation) {
        (Scope::All, Some(organisation)) => Some(Scope::Organisation(organisation)),
        (Scope::Organisation(own), Some(other)) if own != other => None,
        _ => Some(scope),
    }
}

/// Whether a row fulfils all of them, for a caller with this (narrowed) scope.
pub fn hold(model: &Model, scope: Scope, fact: &Fact, more: &Conditions) -> bool {
    let (session, person) = (&fact.session, &model.people[fact.person]);
    let user = match &more.user {
        None => true,
        Some(Who::Id(id)) => *id == person.id,
        Some(Who::Email(email)) => email.as_str() == person.email,
    };
    let own_house = match scope {
        Scope::Organisation(id) => model.houses[person.organisation].id == id,
        Scope::All | Scope::User(_) => true,
    };
    let role = more.role.as_ref().is_none_or(|role| {
        own_house && (person.role == role.0 || person.roles.iter().any(|other| other.0 == role.0))
    });
    let ip = more.ip.is_none_or(|range| {
        let (first, last) = range.bounds();
        let address = rollcall_core::address::bytes(session.ip.parse().unwrap());
        (first..=last).contains(&address)
    });
    let starts = |text: &str, start: &str| text.to_lowercase().starts_with(&start.to_lowercase());
    let agent = session
        .user_agent
        .to_lowercase()
        .contains(&more.agent.to_lowercase());
    let age = (model.now.0 - session.created_at.0) / 1_000_000;
    let idle = (model.now.0 - session.last_activity_at.0) / 1_000_000;
    let span = |span: Option<rollcall_core::Span>| span.map(|span| i64::from(span.seconds()));
    let several = || {
        let mut live = 0;
        for other in &model.facts {
            let same = other.person == fact.person && other.house == fact.house;
            live += usize::from(same && model.end_of(other, model.now).is_none());
        }
        live > 1
    };
    user && role
        && ip
        && more
            .organisation
            .is_none_or(|id| id == model.houses[fact.house].id)
        && more.method.is_none_or(|method| method == session.method)
        && starts(&session.browser, &more.browser)
        && starts(&session.system, &more.system)
        && agent
        && span(more.older_than).is_none_or(|span| age >= span)
        && span(more.newer_than).is_none_or(|span| age < span)
        && span(more.idle_for).is_none_or(|span| idle >= span)
        && more.several.is_none_or(|wanted| wanted == several())
        && more
            .service_account
            .is_none_or(|wanted| wanted == person.service_account)
}

/// One filter for each name, with a value that some rows have, or none.
pub fn values(dice: &mut Dice, model: &Model) -> Vec<(&'static str, String)> {
    let person = &model.people[dice.below(model.people.len() as u64) as usize];
    let house = dice.pick(&[
        model.houses[0].id,
        model.houses[1].id,
        OrganisationId(fresh_id()),
    ]);
    let spans = ["10m", "2h", "20h", "27h", "9d"];
    let ranges = [
        "10.0.0.9",
        "10.0.0.0/24",
        "2001:db8::/48",
        "0.0.0.0/0",
        "::/0",
        "198.51.100.7",
    ];
    let truth = |dice: &mut Dice| dice.one_in(2).to_string();
    vec![
        (
            "user",
            if dice.one_in(2) {
                person.email.clone()
            } else {
                person.id.to_string()
            },
        ),
        ("organisation", house.to_string()),
        (
            "role",
            dice.pick(&[
                "member",
                "administrator",
                "session_manager",
                "nobody-has-it",
            ])
            .into(),
        ),
        ("ip", dice.pick(&ranges).into()),
        (
            "method",
            dice.pick(&[Method::Password, Method::SingleSignOn, Method::OnBehalf])
                .as_str()
                .into(),
        ),
        (
            "browser",
            dice.pick(&["fire", "CURL", "Firefox 144", "Firefox 144 on", "%"])
                .into(),
        ),
        ("system", dice.pick(&["lin", "Windows 11", "_"]).into()),
        (
            "agent",
            dice.pick(&["trident", "X86_64", "CURL/8", "nothing like it", "%"])
                .into(),
        ),
        ("older_than", dice.pick(&spans).into()),
        ("newer_than", dice.pick(&spans).into()),
        ("idle_for", dice.pick(&spans).into()),
        ("several", truth(dice)),
        ("service_account", truth(dice)),
    ]
}

/// None, one or two filters.
pub fn random(dice: &mut Dice, model: &Model) -> Conditions {
    let values = values(dice, model);
    let mut more = Conditions::default();
    for _ in 0..dice.below(3) {
        let (name, value) = dice.pick(&values);
        more.set(name, &value).unwrap();
    }
    more
}
