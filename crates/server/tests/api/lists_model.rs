//! Lists, counts and cards over random sessions, against a model that knows nothing of SQL.

use std::cmp::Ordering;
use std::net::IpAddr;

use rollcall_core::{BuiltInRole, EndReason, Kind, Timestamp};
use serde_json::Value;

use crate::support::{Client, NewRow, Person, TestApp, hours, minutes, seconds};

both_databases!(
    every_order_is_total_and_as_it_says,
    every_filter_and_search_finds_what_the_model_finds,
    the_cards_are_what_the_rows_add_up_to,
    sweeping_and_restarting_change_nothing_that_is_shown,
);

/// A session as the model knows it.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) user: String,
    pub(crate) user_id: String,
    pub(crate) program: String,
    pub(crate) system: String,
    pub(crate) agent: String,
    name: String,
    pub(crate) ip: IpAddr,
    browser: String,
    pub(crate) kind: Kind,
    pub(crate) created_at: Timestamp,
    last_activity_at: Timestamp,
    expires_at: Timestamp,
    ended_at: Option<Timestamp>,
    // The session that asks is used at every request.
    pub(crate) asks: bool,
}

impl Row {
    pub(crate) fn ended(&self, now: Timestamp) -> Option<Timestamp> {
        self.ended_at
            .or((!self.asks && self.expires_at <= now).then_some(self.expires_at))
    }

    pub(crate) fn last_activity(&self, now: Timestamp) -> Timestamp {
        if self.asks {
            now
        } else {
            self.last_activity_at
        }
    }

    fn duration(&self, now: Timestamp) -> i64 {
        self.ended(now).unwrap_or(now).0 - self.created_at.0
    }

    fn address(&self) -> [u8; 16] {
        match self.ip {
            IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
            IpAddr::V6(ip) => ip.octets(),
        }
    }

    fn compare(&self, other: &Self, key: &str, now: Timestamp) -> Ordering {
        match key {
            "user" => self.user.cmp(&other.user),
            "name" => self.name.to_lowercase().cmp(&other.name.to_lowercase()),
            "ip" => self.address().cmp(&other.address()),
            "browser" => self
                .browser
                .to_lowercase()
                .cmp(&other.browser.to_lowercase()),
            "created_at" => self.created_at.cmp(&other.created_at),
            "last_activity_at" => self.last_activity(now).cmp(&other.last_activity(now)),
            "duration" => self.duration(now).cmp(&other.duration(now)),
            // Active before ended, newest first within each.
            "state" => {
                let ended = (self.ended(now).is_some()).cmp(&other.ended(now).is_some());
                return ended
                    .then(other.created_at.cmp(&self.created_at))
                    .then(other.id.cmp(&self.id));
            }
            _ => unreachable!("{key}"),
        }
        .then(self.id.cmp(&other.id))
    }

    pub(crate) fn contains(&self, search: &str) -> bool {
        let search = search.to_lowercase();
        [
            self.user.clone(),
            self.ip.to_string(),
            self.name.to_lowercase(),
        ]
        .iter()
        .any(|text| text.contains(&search))
    }
}

// A small generator of our own, so that the data is the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn of<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        let index = self.below(list.len() as u64);
        &list[usize::try_from(index).expect("small")]
    }
}

const NAMES: &[&str] = &[
    "Firefox on Linux",
    "firefox on linux",
    "nightly backup",
    "100% sure",
    "under_score",
    "\"quoted\"",
    "it's",
    "a*b",
    "back\\slash",
    "semi;colon",
    "Überwachung",
    "überwachung 2",
    "Ελλάδα",
    "日本語の名前",
    "x",
    "%",
    "_",
    "<script>alert(1)</script>",
    "a  b",
];

const ADDRESSES: &[&str] = &[
    "10.0.0.9",
    "10.0.0.10",
    "192.0.2.1",
    "2001:db8:77::1",
    "2001:db8:77::ff",
    "::1",
    "fe80::1",
    "203.0.113.200",
];

const AGENTS: &[(&str, &str)] = &[
    ("Firefox", "Linux"),
    ("Chrome", "Windows"),
    ("Safari", "iOS"),
    ("curl", ""),
    ("", "Linux"),
    ("", ""),
];

fn browser_line(browser: &str, system: &str) -> String {
    match (browser, system) {
        ("", "") => "Unknown".to_owned(),
        ("", one) | (one, "") => one.to_owned(),
        _ => format!("{browser} on {system}"),
    }
}

/// Ninety sessions of twelve users in one organisation, and some of another that nobody here may see.
pub(crate) async fn world() -> (TestApp, Client, Vec<Row>) {
    let (app, _, _) = TestApp::start().with_admin().await;
    let fleet = app.organisation("Fleet").await;
    let other = app.organisation("Other").await;
    let stranger = app
        .user(other, BuiltInRole::Member, "stranger@fleet.test")
        .await;
    let mut people = Vec::new();
    for number in 0..12 {
        let email = format!(
            "{}-{number}@fleet.test",
            ["ana", "o'brien_x", "zoë", "mid%le"][number % 4]
        );
        people.push(app.user(fleet, BuiltInRole::Member, &email).await);
    }
    let mut dice = Dice(20_261_122);
    let mut rows = Vec::new();
    for _ in 0..90 {
        app.advance(seconds(
            [0, 0, 1, 40, 90][usize::try_from(dice.below(5)).expect("small")],
        ));
        let person = dice.of(&people).clone();
        let row = new_row(&mut dice);
        rows.push(store(&app, &person, row.clone(), false).await);
        if dice.below(4) == 0 {
            app.open_session(&stranger, row).await;
        }
        if dice.below(4) == 0 {
            let index = usize::try_from(dice.below(rows.len() as u64)).expect("small");
            end(&app, &mut rows[index]).await;
        }
    }
    // Some expire unseen, some live on.
    app.advance(minutes(14));
    let boss = app
        .user(fleet, BuiltInRole::SessionManager, "boss@fleet.test")
        .await;
    let (id, token) = app.open_session(&boss, NewRow::default()).await;
    let now = app.now();
    rows.push(Row {
        id: id.to_string(),
        user: boss.email,
        user_id: boss.id.to_string(),
        program: "Firefox".into(),
        system: "Linux".into(),
        agent: NewRow::default().user_agent,
        name: "Firefox on Linux".into(),
        ip: "203.0.113.7".parse().expect("an address"),
        browser: "Firefox on Linux".into(),
        kind: Kind::Console,
        created_at: now,
        last_activity_at: now,
        expires_at: now + hours(24),
        ended_at: None,
        asks: true,
    });
    app.advance(minutes(3));
    let client = app.holding(&token);
    let ended = rows
        .iter()
        .filter(|row| row.ended(app.now()).is_some())
        .count();
    let expired = rows
        .iter()
        .filter(|row| row.ended_at.is_none() && row.ended(app.now()).is_some())
        .count();
    assert!(
        ended > 15 && expired > 10 && ended < 80,
        "{ended} {expired}"
    );
    (app, client, rows)
}

fn new_row(dice: &mut Dice) -> NewRow {
    let (browser, system) = *dice.of(AGENTS);
    NewRow {
        name: (*dice.of(NAMES)).to_owned(),
        kind: *dice.of(&[Kind::Console, Kind::Console, Kind::Api, Kind::Client]),
        ip: (*dice.of(ADDRESSES)).to_owned(),
        browser: browser.to_owned(),
        system: system.to_owned(),
        user_agent: format!("{browser}/1 ({system})"),
        ..NewRow::default()
    }
}

async fn store(app: &TestApp, person: &Person, row: NewRow, asks: bool) -> Row {
    let (id, _) = app.open_session(person, row.clone()).await;
    let now = app.now();
    let timeouts = app.service().config().timeouts_for(row.kind, row.keep);
    Row {
        id: id.to_string(),
        user: person.email.clone(),
        user_id: person.id.to_string(),
        program: row.browser.clone(),
        system: row.system.clone(),
        agent: row.user_agent.clone(),
        name: row.name,
        ip: row.ip.parse().expect("an address"),
        browser: browser_line(&row.browser, &row.system),
        kind: row.kind,
        created_at: now,
        last_activity_at: now,
        expires_at: now + timeouts.idle,
        ended_at: None,
        asks,
    }
}

async fn end(app: &TestApp, row: &mut Row) {
    let now = app.now();
    if row.ended(now).is_none() {
        app.store_end(row.id.parse().expect("an id"), EndReason::SignedOut)
            .await;
        row.ended_at = Some(now);
    }
}

pub(crate) async fn whole(client: &Client, query: &str, page_size: usize) -> (Vec<String>, Value) {
    let mut ids = Vec::new();
    let mut number = 1;
    loop {
        let page = client
            .get(&format!(
                "/api/v1/sessions?page_size={page_size}&page={number}&{query}"
            ))
            .await
            .ok();
        assert_eq!(
            (&page["page"], &page["page_size"]),
            (&Value::from(number), &Value::from(page_size))
        );
        let items = page["items"].as_array().expect("a list");
        ids.extend(
            items
                .iter()
                .map(|item| item["id"].as_str().expect("an id").to_owned()),
        );
        if items.len() < page_size {
            return (ids, page);
        }
        number += 1;
    }
}

async fn every_order_is_total_and_as_it_says() {
    let (app, client, rows) = world().await;
    for key in [
        "user",
        "name",
        "ip",
        "browser",
        "state",
        "created_at",
        "last_activity_at",
        "duration",
    ] {
        for descending in [false, true] {
            let mut expected = rows.clone();
            expected.sort_by(|one, other| one.compare(other, key, app.now()));
            if descending && key == "state" {
                // The other way round the ended ones come first, still newest first within each.
                expected.sort_by_key(|row| row.ended(app.now()).is_none());
            } else if descending {
                expected.reverse();
            }
            let sign = if descending { "-" } else { "" };
            let expected: Vec<_> = expected.into_iter().map(|row| row.id).collect();
            for page_size in [7, 100] {
                let (ids, page) = whole(&client, &format!("sort={sign}{key}"), page_size).await;
                assert_eq!(page["total"], rows.len(), "{sign}{key}");
                assert_eq!(page["total_is_exact"], true);
                assert_eq!(ids, expected, "{sign}{key} by {page_size}");
            }
        }
    }
    let (newest_first, _) = whole(&client, "sort=-created_at", 10).await;
    assert_eq!(
        whole(&client, "", 10).await.0,
        newest_first,
        "newest first to start with"
    );
}

async fn every_filter_and_search_finds_what_the_model_finds() {
    let (app, client, rows) = world().await;
    let now = app.now();
    let searches = [
        "",
        "a",
        "ana",
        "ANA-",
        "fleet",
        "o'brien",
        "O'BRIEN_X-1",
        "zoë",
        "ZOË",
        "%",
        "_",
        "mid%le",
        "\"",
        "'",
        "*",
        "\\",
        ";",
        "10.0.0.1",
        "10.0.0.10",
        "2001:db8:77",
        "2001:DB8:77::FF",
        "::1",
        ":",
        "Linux",
        "nightly",
        "ÜBERWACHUNG",
        "überw",
        "ΕΛΛΆΔΑ",
        "日本",
        "日本語",
        "x",
        "<script>",
        "a  b",
        "no such thing",
        "OR 1=1",
        "NEAR",
        "AND",
        "boss@fleet.test",
        "fleet.test Firefox",
        "stranger",
    ];
    for search in searches {
        for (state, ended) in [("", None), ("active", Some(false)), ("ended", Some(true))] {
            for kind in [
                None,
                Some(Kind::Console),
                Some(Kind::Api),
                Some(Kind::Client),
            ] {
                if !search.is_empty() && kind == Some(Kind::Client) {
                    continue;
                }
                let mut expected: Vec<_> = rows
                    .iter()
                    .filter(|row| row.contains(search))
                    .filter(|row| ended.is_none_or(|ended| row.ended(now).is_some() == ended))
                    .filter(|row| kind.is_none_or(|kind| row.kind == kind))
                    .map(|row| row.id.clone())
                    .collect();
                let query = rollcall_core::query::write(&[
                    ("q", search.to_owned()),
                    ("state", state.to_owned()),
                    ("kind", kind.map_or("", Kind::as_str).to_owned()),
                ]);
                let (mut ids, page) = whole(&client, &query, 100).await;
                assert_eq!(page["total"], expected.len(), "{query}");
                expected.sort();
                ids.sort();
                assert_eq!(ids, expected, "{query}");
            }
        }
    }
}

async fn the_cards_are_what_the_rows_add_up_to() {
    let (app, client, mut rows) = world().await;
    for round in 0..6 {
        let now = app.now();
        let stats = client.get("/api/v1/sessions/stats").await.ok();
        let active = rows.iter().filter(|row| row.ended(now).is_none()).count();
        let mut users: Vec<_> = rows.iter().map(|row| row.user.clone()).collect();
        users.sort();
        users.dedup();
        let total: i64 = rows.iter().map(|row| row.duration(now)).sum();
        let average = total as f64 / rows.len() as f64 / 60e6;
        assert_eq!(stats["total"], rows.len(), "round {round}");
        assert_eq!(stats["active"], active, "round {round}");
        assert_eq!(stats["unique_users"], users.len(), "round {round}");
        let told = stats["average_duration_minutes"]
            .as_f64()
            .expect("a number");
        assert!(
            (told - average).abs() <= 0.0501,
            "round {round}: {told}, not {average}"
        );
        match round {
            0 | 3 => drop(app.service().sweep().await.expect("the database answers")),
            1 => {
                let index = rows
                    .iter()
                    .position(|row| row.ended(now).is_none())
                    .expect("one lives");
                end(&app, &mut rows[index]).await;
            }
            2 => app.advance(minutes(9)),
            _ => app.restart().await,
        }
    }
}

async fn sweeping_and_restarting_change_nothing_that_is_shown() {
    let (app, client, _) = world().await;
    let everything = async || {
        let mut shown = Vec::new();
        for path in [
            "/api/v1/sessions?page_size=100",
            "/api/v1/sessions?page_size=100&sort=duration&state=ended",
            "/api/v1/sessions/stats",
            "/api/UserRequests",
        ] {
            shown.push(client.get(path).await.ok());
        }
        shown
    };
    let before = everything().await;
    assert!(app.service().sweep().await.expect("the database answers") > 10);
    assert_eq!(everything().await, before);
    app.restart().await;
    assert_eq!(everything().await, before);
    assert_eq!(app.service().sweep().await, Ok(0));
}
