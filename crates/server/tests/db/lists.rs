//! Lists, counts and cards against the model, by every plan.

use std::hash::{BuildHasher, Hasher, RandomState};

use rollcall_core::{
    Kind, Method, OrganisationId, PageNumber, PageSize, SessionFilter, SessionQuery, SessionSort,
    SortKey, State, UserId, UserQuery,
};
use rollcall_server::db::session_list::{self, Thresholds};
use rollcall_server::db::user_list::AsOf;
use rollcall_server::db::{self, Scope};

use crate::conditions;
use crate::model::{Dice, Model, NEEDLES};
use crate::support::{Rig, START, new_session, on_each, seconds};
use crate::write_db;

fn plans() -> [Thresholds; 9] {
    let usual = Thresholds::default();
    // Never by sorting a set, and by the search index wherever there is a search.
    let walks = Thresholds {
        sorted: u64::MAX,
        small: 0,
        ..usual
    };
    [
        usual,
        walks,
        // What is found is looked for by a short walk first: one that goes as far as it must, and one
        // that stops so soon that it finds too little.
        Thresholds {
            few: 0,
            tried: 1_000_000,
            ..walks
        },
        Thresholds {
            few: 0,
            tried: 60,
            ..walks
        },
        // Every word is common: always a walk; a sort where a short walk meets too few; and a longer walk
        // after all, since there are too many to sort.
        Thresholds {
            counted: 3,
            ..walks
        },
        Thresholds {
            counted: 3,
            tried: 0,
            ..walks
        },
        Thresholds {
            counted: 3,
            tried: 0,
            listed: 5,
            ..walks
        },
        // Always a sort.
        Thresholds { sorted: 0, ..usual },
        // Every filter is common.
        Thresholds {
            led: 0,
            counted: 3,
            tried: 60,
            ..walks
        },
    ]
}

/// Everything, and each organisation.
fn wide_scopes(model: &Model) -> Vec<Scope> {
    let houses = model.houses.iter();
    let houses = houses.map(|house| Scope::Organisation(house.id));
    std::iter::once(Scope::All).chain(houses).collect()
}

async fn check_lists(rig: &Rig, dice: &mut Dice, model: &Model, rounds: usize) {
    let mut scopes = wide_scopes(model);
    scopes.push(Scope::User(model.people[0].id));
    for _ in 0..rounds {
        let scope = dice.pick(&scopes);
        let filter = SessionFilter {
            search: if dice.one_in(2) {
                dice.pick(&NEEDLES).to_owned()
            } else {
                String::new()
            },
            state: dice.pick(&[None, Some(State::Active), Some(State::Ended)]),
            kind: dice.pick(&[None, None, Some(Kind::Console), Some(Kind::Client)]),
            more: conditions::random(dice, model),
        };
        let sort = SessionSort {
            key: dice.pick(SortKey::ALL),
            descending: dice.one_in(2),
        };
        let size = dice.pick(&[1, 7, 20, 100]);
        let expected = model.list(scope, &filter, sort);
        let pages = expected.len() as u64 / size + 2;
        let query = SessionQuery {
            filter,
            sort,
            page: PageNumber::new(1 + dice.below(pages) as u32).unwrap(),
            page_size: PageSize::new(size as u32).unwrap(),
        };
        let exact = session_list::count(rig.reader(), scope, &query.filter, model.now)
            .await
            .unwrap();
        assert_eq!(exact, expected.len() as u64, "count of {scope:?} {query:?}");
        let expected: Vec<_> = expected
            .into_iter()
            .skip((query.page.get() as usize - 1) * size as usize)
            .take(size as usize)
            .collect();
        for thresholds in plans() {
            let page = session_list::list_by(rig.reader(), scope, &query, model.now, thresholds)
                .await
                .unwrap();
            let ids: Vec<_> = page.items.iter().map(|session| session.id).collect();
            assert_eq!(ids, expected, "{scope:?} {query:?} by {thresholds:?}");
            if page.total_is_exact {
                assert_eq!(page.total, exact, "{scope:?} {query:?} by {thresholds:?}");
            } else {
                assert_eq!(page.total, thresholds.counted);
                // State, kind and organisation alone are always counted.
                let counted = SessionFilter {
                    more: Default::default(),
                    ..query.filter.clone()
                };
                assert!(exact > thresholds.counted);
                assert!(query.filter != counted || !query.filter.search.is_empty());
            }
        }
    }
}

async fn check_rows_and_cards(rig: &Rig, model: &Model) {
    for fact in &model.facts {
        let found = session_list::find(rig.reader(), Scope::All, fact.session.id, model.now)
            .await
            .unwrap()
            .unwrap();
        let end = model.end_of(fact, model.now);
        assert_eq!(
            found.ended.as_ref().map(|ended| (ended.at, ended.reason)),
            end
        );
        assert_eq!(found.state == State::Ended, end.is_some());
        let until = end.map_or(model.now, |(at, _)| at);
        assert_eq!(
            found.duration_seconds,
            until.seconds_since(fact.session.created_at)
        );
        let (record, authority) = db::sessions::find(rig.reader(), fact.session.id)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(record.user_id, found.user.id);
        if model.people[fact.person].organisation == fact.house {
            let alive = rollcall_core::session::state_at(&authority.life_facts(&record), model.now);
            assert_eq!(alive.err(), end);
        }
    }
    let mut scopes = wide_scopes(model);
    scopes.extend(model.people.iter().map(|person| Scope::User(person.id)));
    for scope in scopes {
        let stats = session_list::stats(rig.reader(), scope, model.now)
            .await
            .unwrap();
        let rows = model.visible(scope);
        let live = rows
            .iter()
            .filter(|fact| model.end_of(fact, model.now).is_none())
            .count() as u64;
        assert_eq!(
            (stats.total, stats.active),
            (rows.len() as u64, live),
            "{scope:?}"
        );
        assert_eq!(stats.unique_users, model.unique_users(scope), "{scope:?}");
        assert_eq!(
            stats.average_duration_minutes,
            model.average_minutes(scope),
            "{scope:?}"
        );
        assert_eq!(
            db::sessions::count_live(rig.reader(), scope, model.now)
                .await
                .unwrap(),
            live
        );
    }
    check_people(rig, model).await;
}

/// Lists of users and sizes of organisations count the same sessions as live.
async fn check_people(rig: &Rig, model: &Model) {
    let lives = |fact: &crate::model::Fact| model.end_of(fact, model.now).is_none();
    for (number, house) in model.houses.iter().enumerate() {
        let live = model
            .facts
            .iter()
            .filter(|fact| fact.house == number && lives(fact));
        let live = live.count() as u64;
        for only in [None, Some(house.id)] {
            let sizes = db::organisations::sizes(rig.reader(), only, model.now)
                .await
                .unwrap();
            let size = sizes.get(&house.id).map_or(0, |size| size.active_sessions);
            assert_eq!(size, live, "{only:?}");
        }
    }
    let as_of = AsOf {
        now: model.now,
        unlock_after: 0,
    };
    let open = |id: UserId| {
        let held = model.facts.iter().filter(|fact| {
            let person = &model.people[fact.person];
            person.id == id && person.organisation == fact.house && lives(fact)
        });
        held.count() as u64
    };
    // A move ends all sessions of a user, which the shortest way to count active users relies on. The model leaves some
    // behind that live.
    let strays = model
        .facts
        .iter()
        .any(|fact| lives(fact) && model.people[fact.person].organisation != fact.house);
    for scope in wide_scopes(model) {
        let list = async |query: &str| {
            let query = UserQuery::parse_leniently(&format!("page_size=100&{query}"));
            let page = db::user_list::list(rig.reader(), scope, &query, as_of)
                .await
                .unwrap();
            assert!(page.total <= 100, "the model has few people");
            assert!(strays || page.total == page.items.len() as u64, "{query:?}");
            let users = page.items.into_iter().map(|listed| listed.user);
            users
                .map(|user| (user.id, user.open_sessions))
                .collect::<Vec<_>>()
        };
        let all = list("sort=-open_sessions").await;
        assert!(all.is_sorted_by_key(|(_, open)| std::cmp::Reverse(*open)));
        for (id, counted) in &all {
            assert_eq!(*counted, open(*id), "{scope:?}");
        }
        for active in [true, false] {
            let some = list(&format!("active={active}")).await;
            let expected = all.iter().filter(|(_, open)| (*open > 0) == active);
            assert_eq!(some.len(), expected.count(), "{scope:?} {active}");
            assert!(
                some.iter()
                    .all(|(id, counted)| *counted == open(*id) && (*counted > 0) == active)
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_counts_and_cards_say_what_state_at_says_before_during_and_after_a_sweep() {
    on_each(async |rig| {
        // The hasher's keys are random; the seed is printed when the test fails.
        let seed = RandomState::new().build_hasher().finish() | 1;
        eprintln!("seed {seed}");
        let mut dice = Dice(seed);
        let model = Model::fill(rig, &mut dice, 150).await;
        check_rows_and_cards(rig, &model).await;
        check_lists(rig, &mut dice, &model, 120).await;

        // A sweep writes down what was true already: nothing that can be asked may change.
        let now = model.now;
        let swept = write_db!(rig, |c| {
            let mut swept = db::sessions::sweep_epochs(c, 7).await?.0;
            swept.extend(db::sessions::sweep_expired(c, now, 7).await?.0);
            Ok(swept)
        })
        .unwrap();
        assert!(swept.len() <= 14);
        check_rows_and_cards(rig, &model).await;
        check_lists(rig, &mut dice, &model, 40).await;

        let mut all = swept;
        loop {
            let more = write_db!(rig, |c| {
                let mut swept = db::sessions::sweep_expired(c, now, 20).await?.0;
                swept.extend(db::sessions::sweep_epochs(c, 20).await?.0);
                db::sessions::settle(c).await?;
                Ok(swept)
            })
            .unwrap();
            if more.is_empty() {
                break;
            }
            all.extend(more);
        }
        let expected = model
            .facts
            .iter()
            .filter(|fact| fact.session.ended.is_none() && model.end_of(fact, now).is_some())
            .filter(|fact| !model.only_disabled(fact, now))
            .count();
        assert_eq!(all.len(), expected);
        for swept in &all {
            let fact = model
                .facts
                .iter()
                .find(|fact| fact.session.id == swept.id)
                .unwrap();
            assert_eq!(model.end_of(fact, now), Some((swept.at, swept.reason)));
            assert_eq!(swept.lineage_hash, fact.session.lineage_hash);
            assert_eq!(swept.organisation_id, model.houses[fact.house].id);
        }
        check_rows_and_cards(rig, &model).await;
        check_lists(rig, &mut dice, &model, 40).await;

        // And what is forgotten is forgotten by the counters too.
        let kept = |fact: &crate::model::Fact| fact.session.ended.is_none_or(|(at, _)| at >= now);
        let gone = write_db!(rig, |c| crate::support::purge_ended(c, now, 10_000).await).unwrap();
        let left = session_list::stats(rig.reader(), Scope::All, now)
            .await
            .unwrap();
        assert_eq!(left.total + gone, model.facts.len() as u64);
        assert!(gone >= model.facts.iter().filter(|fact| !kept(fact)).count() as u64);
        let anything = SessionFilter {
            search: "o".into(),
            ..SessionFilter::default()
        };
        let found = session_list::count(rig.reader(), Scope::All, &anything, now)
            .await
            .unwrap();
        assert!(found <= left.total);
        // What filters by agent go along is forgotten too.
        let mut known = 0;
        for method in [Method::Password, Method::SingleSignOn] {
            let mut filter = SessionFilter::default();
            filter.more.method = Some(method);
            known += session_list::count(rig.reader(), Scope::All, &filter, now)
                .await
                .unwrap();
        }
        assert_eq!(known, left.total);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_filter_in_every_order_is_the_models_from_the_first_row_to_the_last() {
    on_each(async |rig| {
        let mut dice = Dice(20_261_122);
        let model = Model::fill(rig, &mut dice, 130).await;
        let states = [None, Some(State::Active), Some(State::Ended)];
        let kinds = [
            None,
            Some(Kind::Console),
            Some(Kind::Api),
            Some(Kind::Client),
        ];
        let searches = ["", "firefox", "10.0.0.", "zo"];
        let [_, walks, ..] = plans();
        let common = Thresholds {
            counted: 0,
            ..walks
        };
        for (state, kind) in states
            .iter()
            .flat_map(|state| kinds.iter().map(move |kind| (*state, *kind)))
        {
            for key in SortKey::ALL {
                for descending in [false, true] {
                    let sort = SessionSort {
                        key: *key,
                        descending,
                    };
                    let filter = SessionFilter {
                        search: dice.pick(&searches).to_owned(),
                        state,
                        kind,
                        more: conditions::random(&mut dice, &model),
                    };
                    let scope = dice.pick(&[Scope::All, Scope::Organisation(model.houses[0].id)]);
                    let expected = model.list(scope, &filter, sort);
                    for thresholds in [walks, common] {
                        let mut ids = Vec::new();
                        for page in 1.. {
                            let query = SessionQuery {
                                filter: filter.clone(),
                                sort,
                                page: PageNumber::new(page).unwrap(),
                                page_size: PageSize::new(33).unwrap(),
                            };
                            let page = session_list::list_by(
                                rig.reader(),
                                scope,
                                &query,
                                model.now,
                                thresholds,
                            )
                            .await
                            .unwrap();
                            ids.extend(page.items.iter().map(|session| session.id));
                            if page.items.len() < 33 {
                                break;
                            }
                        }
                        assert_eq!(
                            ids, expected,
                            "{scope:?} {filter:?} {sort:?} by {thresholds:?}"
                        );
                    }
                }
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_tells_organisations_apart_that_end_in_the_same_digits() {
    on_each(async |rig| {
        let organisations = [
            0x0199_0000_0000_7000_8000_0000_0aaa_0123,
            0x0199_0000_0000_7000_8000_0000_0bbb_0123,
        ]
        .map(|id| OrganisationId(uuid::Uuid::from_u128(id)));
        for (number, organisation) in organisations.into_iter().enumerate() {
            write_db!(rig, |c| {
                db::organisations::create(c, organisation, &format!("House {number}"), START).await
            })
            .unwrap();
            let email = format!("user{number}@example.org");
            let user = rig.user(organisation, &email).await;
            for _ in 0..=number {
                rig.insert(&new_session(user, organisation, START), &email)
                    .await;
            }
        }
        let by_index = Thresholds {
            small: 0,
            ..Thresholds::default()
        };
        let query = SessionQuery {
            filter: SessionFilter {
                search: "firefox".into(),
                ..SessionFilter::default()
            },
            ..SessionQuery::default()
        };
        for (number, organisation) in organisations.into_iter().enumerate() {
            let scope = Scope::Organisation(organisation);
            let page = session_list::list_by(rig.reader(), scope, &query, START, by_index)
                .await
                .unwrap();
            assert_eq!(
                (page.total, page.items.len()),
                (number as u64 + 1, number + 1)
            );
            assert!(
                page.items
                    .iter()
                    .all(|session| session.organisation.id == organisation)
            );
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn epochs_of_many_organisations_at_once_end_exactly_what_is_older() {
    on_each(async |rig| {
        // More than a statement tells apart by name, beside one that goes on.
        const HOUSES: u64 = 24;
        let epoch = START + seconds(60);
        for number in 0..=HOUSES {
            let house = rig.organisation(&format!("House {number}")).await;
            let email = format!("user{number}@example.org");
            let user = rig.user(house, &email).await;
            for age in [0, 30, 60, 61] {
                rig.insert(&new_session(user, house, START + seconds(age)), &email)
                    .await;
            }
        }
        rig.sql(format!(
            "UPDATE organisation SET ended_before = {}, ended_before_reason = 'ended_by_administrator' WHERE name <> 'House 0'",
            epoch.0
        ))
        .await;
        let now = START + seconds(120);
        let stats = session_list::stats(rig.reader(), Scope::All, now)
            .await
            .unwrap();
        assert_eq!((stats.total, stats.active), ((HOUSES + 1) * 4, HOUSES + 4));
        // 60, 30 and 0 seconds where they ended; up to now where they live.
        let seconds_in_all = HOUSES * (60 + 30 + 59) + 120 + 90 + 60 + 59;
        let minutes = seconds_in_all as f64 / stats.total as f64 / 60.0;
        assert_eq!(
            stats.average_duration_minutes,
            (minutes * 10.0).round() / 10.0
        );
        for thresholds in plans() {
            for key in SortKey::ALL {
                for (state, expected) in [(State::Active, HOUSES + 4), (State::Ended, HOUSES * 3)] {
                    let query = SessionQuery {
                        filter: SessionFilter {
                            state: Some(state),
                            ..SessionFilter::default()
                        },
                        sort: SessionSort {
                            key: *key,
                            descending: false,
                        },
                        page_size: PageSize::new(100).unwrap(),
                        ..SessionQuery::default()
                    };
                    let page =
                        session_list::list_by(rig.reader(), Scope::All, &query, now, thresholds)
                            .await
                            .unwrap();
                    assert_eq!(page.total, expected, "{query:?} by {thresholds:?}");
                    assert_eq!(page.items.len() as u64, expected);
                    assert!(page.items.iter().all(|session| session.state == state));
                }
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_can_be_streamed_in_parts_newest_first() {
    on_each(async |rig| {
        let mut dice = Dice(77);
        let model = Model::fill(rig, &mut dice, 60).await;
        for scope in [
            Scope::All,
            Scope::Organisation(model.houses[0].id),
            Scope::User(model.people[1].id),
        ] {
            let mut ids = Vec::new();
            let mut after = None;
            loop {
                let part = session_list::list_after(rig.reader(), scope, after, 7, model.now)
                    .await
                    .unwrap();
                let Some(last) = part.last() else { break };
                after = Some((last.created_at, last.id));
                ids.extend(part.iter().map(|session| session.id));
            }
            let newest = SessionSort::default();
            assert_eq!(ids, model.list(scope, &SessionFilter::default(), newest));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn my_sessions_begin_with_this_one_and_show_the_others_by_activity() {
    on_each(async |rig| {
        let mut dice = Dice(4_242);
        let model = Model::fill(rig, &mut dice, 120).await;
        for person in &model.people {
            let scope = Scope::User(person.id);
            let filter = SessionFilter {
                state: Some(State::Active),
                ..SessionFilter::default()
            };
            let by_activity = SessionSort {
                key: SortKey::LastActivityAt,
                descending: true,
            };
            let mut expected = model.list(scope, &filter, by_activity);
            let current = expected.last().copied();
            if let Some(current) = expected.pop() {
                expected.insert(0, current);
            }
            let query = SessionQuery {
                page_size: PageSize::new(100).unwrap(),
                ..SessionQuery::default()
            };
            let page = session_list::own(rig.reader(), person.id, current, &query, model.now)
                .await
                .unwrap();
            assert_eq!(
                page.items
                    .iter()
                    .map(|session| session.id)
                    .collect::<Vec<_>>(),
                expected
            );
            assert_eq!(page.total, expected.len() as u64);
            assert_eq!(
                page.items.iter().filter(|session| session.current).count(),
                usize::from(current.is_some())
            );
            let ended = SessionQuery {
                filter: SessionFilter {
                    state: Some(State::Ended),
                    ..SessionFilter::default()
                },
                ..query
            };
            let page = session_list::own(rig.reader(), person.id, current, &ended, model.now)
                .await
                .unwrap();
            let expected = model.list(scope, &ended.filter, by_activity);
            assert_eq!(
                page.items
                    .iter()
                    .map(|session| session.id)
                    .collect::<Vec<_>>(),
                expected
            );
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_found_by_its_new_text_and_no_longer_by_the_old_one() {
    on_each(async |rig| {
        let acme = rig.organisation("Acme").await;
        let nora = rig.user(acme, "nora@acme.io").await;
        let session = new_session(nora, acme, START);
        rig.insert(&session, "nora@acme.io").await;
        rig.sql("UPDATE session SET search_text = 'nora@acme.io\n192.0.2.7\n50% of_desk: a-b', name_key = '50% of_desk: a-b'").await;
        // By testing rows, and by the search index.
        for thresholds in [Thresholds::default(), Thresholds { small: 0, few: 0, ..Thresholds::default() }] {
            let found = async |search: &str| {
                let query = SessionQuery {
                    filter: SessionFilter { search: search.into(), ..SessionFilter::default() },
                    sort: SessionSort { key: SortKey::Name, descending: false },
                    ..SessionQuery::default()
                };
                let page = session_list::list_by(rig.reader(), Scope::All, &query, START, thresholds).await.unwrap();
                page.items.len()
            };
            for text in ["50% of", "of_desk: a-b", "desk: A", "acme.io", "192.0.2.7"] {
                assert_eq!(found(text).await, 1, "{text}");
            }
            // What stands between words is no wildcard and no letter.
            for text in ["firefox", "50_ of", "of.desk", "acmeqio", "acme%io"] {
                assert_eq!(found(text).await, 0, "{text}");
            }
        }
    })
    .await;
}
