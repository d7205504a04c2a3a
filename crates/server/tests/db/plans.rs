//! How SQLite goes about the statements that must be fast over a million rows: along an index, never
//! through all rows, and without sorting them. PostgreSQL decides by statistics that a small test cannot
//! have.

use rollcall_core::{
    Kind, OrganisationId, PageNumber, SessionFilter, SessionQuery, SessionSort, SortKey, State,
};
use rollcall_server::db::session_list::{self, Thresholds};
use rollcall_server::db::{self, Scope};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, DbErr, ExecResult, QueryResult, Statement,
};
use std::sync::Mutex;

use crate::support::{Rig, START, new_session};
use crate::write_db;

/// Passes statements on and keeps how SQLite goes about each.
struct Watcher<'a> {
    inner: &'a DatabaseConnection,
    seen: Mutex<Vec<(String, Vec<String>)>>,
}

impl<'a> Watcher<'a> {
    fn new(rig: &'a Rig) -> Self {
        Self {
            inner: rig.reader(),
            seen: Mutex::default(),
        }
    }

    async fn explain(&self, statement: &Statement) {
        let explain = Statement {
            sql: format!("EXPLAIN QUERY PLAN {}", statement.sql),
            ..statement.clone()
        };
        let rows = self.inner.query_all_raw(explain).await.unwrap();
        let steps = rows
            .iter()
            .map(|row| row.try_get::<String>("", "detail").unwrap())
            .collect();
        self.seen
            .lock()
            .unwrap()
            .push((statement.sql.clone(), steps));
    }

    /// Panics where a statement goes through all sessions, users or events, or sorts more than the last part of
    /// an order. Parts whose rows are few by their nature may be sorted: those of `gone`.
    fn assert_along_indexes(&self, what: &str) {
        let seen = std::mem::take(&mut *self.seen.lock().unwrap());
        assert!(!seen.is_empty(), "{what} asked nothing");
        for (sql, steps) in seen {
            for step in &steps {
                let words: Vec<_> = step.split(' ').collect();
                let all = matches!(
                    words[..],
                    [
                        "SCAN",
                        "s" | "u" | "e" | "session" | "user" | "audit_event",
                        ..
                    ]
                ) && !words.contains(&"INDEX");
                assert!(!all, "{what}: {step} in {sql}\n{steps:#?}");
                // At most three kinds, what several streams bring, the rows of one page, and rows that are
                // listed by their numbers: those of a search that found few, or of a sample.
                let small = ["GROUP BY", "UNION ALL", " IN ($", "json_each("]
                    .iter()
                    .any(|part| sql.contains(part));
                let sorts = step.contains("USE TEMP B-TREE FOR ORDER BY");
                assert!(!sorts || small, "{what}: {step} in {sql}\n{steps:#?}");
            }
        }
    }
}

#[sea_orm_migration::async_trait::async_trait]
impl ConnectionTrait for Watcher<'_> {
    fn get_database_backend(&self) -> DbBackend {
        self.inner.get_database_backend()
    }
    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.explain(&statement).await;
        self.inner.execute_raw(statement).await
    }
    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.inner.execute_unprepared(sql).await
    }
    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.explain(&statement).await;
        self.inner.query_one_raw(statement).await
    }
    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.explain(&statement).await;
        self.inner.query_all_raw(statement).await
    }
}

/// As over a million rows: walks, and the search index.
const LARGE: Thresholds = Thresholds {
    counted: 10,
    small: 0,
    few: 0,
    tried: 20_000,
    listed: 20_000,
    sorted: u64::MAX,
    led: 20_000,
};

async fn filled() -> (Rig, OrganisationId) {
    let rig = Rig::sqlite().await;
    let acme = rig.organisation("Acme").await;
    let nora = rig.user(acme, "nora@acme.io").await;
    write_db!(rig, |c| {
        for _ in 0..50 {
            db::sessions::insert(c, &new_session(nora, acme, START), "nora@acme.io").await?;
        }
        Ok(())
    })
    .unwrap();
    (rig, acme)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_order_is_walked_along_its_index_without_sorting() {
    let (rig, acme) = filled().await;
    let watcher = Watcher::new(&rig);
    for scope in [Scope::All, Scope::Organisation(acme)] {
        for key in SortKey::ALL {
            for descending in [false, true] {
                for state in [None, Some(State::Active), Some(State::Ended)] {
                    for page in [1, 3, 5] {
                        let query = SessionQuery {
                            filter: SessionFilter {
                                state,
                                ..SessionFilter::default()
                            },
                            sort: SessionSort {
                                key: *key,
                                descending,
                            },
                            page: PageNumber::new(page).unwrap(),
                            ..SessionQuery::default()
                        };
                        session_list::list_by(&watcher, scope, &query, START, LARGE)
                            .await
                            .unwrap();
                        watcher.assert_along_indexes(&format!("{scope:?} {query:?}"));
                    }
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_asks_its_index_and_walks_for_common_words() {
    let (rig, acme) = filled().await;
    let watcher = Watcher::new(&rig);
    for scope in [Scope::All, Scope::Organisation(acme)] {
        for search in ["firefox", "nora@acme", "192.0", "absent", "zq"] {
            for key in SortKey::ALL {
                let query = SessionQuery {
                    filter: SessionFilter {
                        search: search.into(),
                        kind: Some(Kind::Console),
                        ..SessionFilter::default()
                    },
                    sort: SessionSort {
                        key: *key,
                        descending: true,
                    },
                    ..SessionQuery::default()
                };
                let page = session_list::list_by(&watcher, scope, &query, START, LARGE)
                    .await
                    .unwrap();
                assert_eq!(page.total_is_exact, matches!(search, "absent" | "zq"));
                watcher.assert_along_indexes(&format!("{scope:?} {query:?}"));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_filter_goes_along_an_index() {
    let (rig, acme) = filled().await;
    let watcher = Watcher::new(&rig);
    let nora = rig.user(acme, "max@acme.io").await;
    for (filter, index) in [
        (format!("user={nora}"), "session_by_user"),
        ("user=nora@acme.io".to_owned(), "user_by_email"),
        ("role=member".to_owned(), "user_by_role"),
        ("ip=192.0.2.7".to_owned(), "session_by_ip"),
        ("ip=192.0.2.0/24".to_owned(), "session_by_ip"),
        ("method=password".to_owned(), "SEARCH m USING PRIMARY KEY"),
        ("browser=fire".to_owned(), "SEARCH m USING PRIMARY KEY"),
        ("system=linux".to_owned(), "SEARCH m USING PRIMARY KEY"),
        ("agent=mozilla".to_owned(), "SEARCH m USING PRIMARY KEY"),
        ("older_than=1s".to_owned(), "session_by_created"),
        ("newer_than=1s".to_owned(), "session_by_created"),
        ("idle_for=1s".to_owned(), "session_by_activity"),
        ("several=true".to_owned(), "session_by_user"),
        ("several=false".to_owned(), "session_by_user"),
        ("service_account=true".to_owned(), "user_service_account"),
    ] {
        for scope in [Scope::All, Scope::Organisation(acme)] {
            let index = match (scope, index) {
                (Scope::Organisation(_), "session_by_created") => "session_by_organisation",
                (_, index) => index,
            };
            for led in [0, 20_000] {
                let query = SessionQuery::parse(&format!("{filter}&sort=-ip")).unwrap();
                let thresholds = Thresholds { led, ..LARGE };
                session_list::list_by(&watcher, scope, &query, START, thresholds)
                    .await
                    .unwrap();
                let seen = watcher.seen.lock().unwrap().clone();
                let mut steps = seen.iter().flat_map(|(_, steps)| steps);
                assert!(
                    steps.any(|step| step.contains(index)),
                    "{filter}: {seen:#?}"
                );
                watcher.assert_along_indexes(&format!("{scope:?} {filter} {led}"));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cards_counts_and_single_sessions_never_go_through_all_rows() {
    let (rig, acme) = filled().await;
    let watcher = Watcher::new(&rig);
    for scope in [Scope::All, Scope::Organisation(acme)] {
        session_list::stats(&watcher, scope, START).await.unwrap();
        watcher.assert_along_indexes("cards");
        for state in [None, Some(State::Active), Some(State::Ended)] {
            let filter = SessionFilter {
                state,
                kind: Some(Kind::Api),
                ..SessionFilter::default()
            };
            session_list::count(&watcher, scope, &filter, START)
                .await
                .unwrap();
            watcher.assert_along_indexes("count");
        }
        let first = session_list::list_after(&watcher, scope, None, 10, START)
            .await
            .unwrap();
        let last = first.last().unwrap();
        session_list::list_after(&watcher, scope, Some((last.created_at, last.id)), 10, START)
            .await
            .unwrap();
        session_list::find(&watcher, scope, last.id, START)
            .await
            .unwrap()
            .unwrap();
        watcher.assert_along_indexes("streaming");
        let (record, _) = db::sessions::find(&watcher, last.id)
            .await
            .unwrap()
            .unwrap();
        db::sessions::find_by_lineage(&watcher, &record.lineage_hash)
            .await
            .unwrap()
            .unwrap();
        watcher.assert_along_indexes("finding");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_epoch_has_ended_is_not_gone_through_to_count_or_list() {
    let (rig, acme) = filled().await;
    let watcher = Watcher::new(&rig);
    for table in ["installation", "organisation"] {
        rig.sql(format!(
            "UPDATE {table} SET ended_before = {}, ended_before_reason = 'ended_by_administrator'",
            START.0
        ))
        .await;
        for scope in [Scope::All, Scope::Organisation(acme)] {
            let stats = session_list::stats(&watcher, scope, START).await.unwrap();
            assert_eq!((stats.total, stats.active), (50, 0));
            for state in [State::Active, State::Ended] {
                let filter = SessionFilter {
                    state: Some(state),
                    ..SessionFilter::default()
                };
                session_list::count(&watcher, scope, &filter, START)
                    .await
                    .unwrap();
            }
            for (sql, steps) in watcher.seen.lock().unwrap().iter() {
                for step in steps {
                    // Only what is newer than the epoch is read, and organisations that are not told apart, of
                    // which there are none here.
                    let not_apart = sql.contains("NOT o.settled")
                        && (table == "installation" || sql.contains("o.id NOT IN ("));
                    let all = step.contains("session_live_by_created")
                        || (step.contains("session_by_organisation") && !not_apart);
                    assert!(
                        !all || step.contains("created_at>?"),
                        "{table}, {scope:?}: {step} in {sql}"
                    );
                }
            }
            watcher.assert_along_indexes("cards");
            for key in SortKey::ALL {
                for state in [None, Some(State::Ended)] {
                    let query = SessionQuery {
                        filter: SessionFilter {
                            state,
                            ..SessionFilter::default()
                        },
                        sort: SessionSort {
                            key: *key,
                            descending: true,
                        },
                        ..SessionQuery::default()
                    };
                    let page = session_list::list_by(&watcher, scope, &query, START, LARGE)
                        .await
                        .unwrap();
                    assert_eq!((page.total, page.items.len()), (50, 10));
                    watcher.assert_along_indexes(&format!("{table} {scope:?} {query:?}"));
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ending_touching_and_sweeping_find_their_rows_by_an_index() {
    use rollcall_core::EndReason;
    let (rig, _) = filled().await;
    let session = session_list::list_after(rig.reader(), Scope::All, None, 1, START)
        .await
        .unwrap()
        .remove(0);
    // Readers cannot write, so that these are only explained.
    let watcher = Watcher::new(&rig);
    let (id, user) = (session.id, session.user.id);
    let touch = db::Touch {
        id,
        last_activity_at: START,
        idle_expires_at: START,
    };
    let _ = db::sessions::end(&watcher, id, START, EndReason::SignedOut, None, None).await;
    let _ = db::sessions::end_all_of_user(&watcher, user, None, START, EndReason::SignedOut, None)
        .await;
    let _ = db::sessions::touch(&watcher, &[touch]).await;
    let _ = db::sessions::sweep_expired(&watcher, START, 100).await;
    let _ = db::sessions::sweep_epochs(&watcher, 100).await;
    let _ = db::sessions::settle(&watcher).await;
    let first = (i64::MIN, i64::MIN);
    let _ = db::sessions::ended_too_long_ago(&watcher, START, 0, 0, first, 100).await;
    let _ = db::sessions::purge(&watcher, &[1]).await;
    let seen = watcher.seen.lock().unwrap().len();
    assert!(seen >= 6, "only {seen} statements");
    watcher.assert_along_indexes("writing");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_filter_of_the_audit_trail_goes_along_its_index() {
    use rollcall_core::{AuditQuery, SessionId};
    let (rig, acme) = filled().await;
    let nora = rig.user(acme, "max@acme.io").await;
    let at = "2026-11-22T09:00:00Z";
    let session = SessionId(crate::support::fresh_id());
    let watcher = Watcher::new(&rig);
    for scope in [Scope::All, Scope::Organisation(acme)] {
        for (filter, index) in [
            (format!("actor={nora}"), "audit_event_by_actor"),
            ("actor=max@acme.io".to_owned(), "audit_event_by_actor"),
            (format!("target={nora}"), "audit_event_by_target"),
            (format!("user={nora}"), "audit_event_by_actor"),
            (format!("session={session}"), "audit_event_by_session"),
            ("action=sign_in".to_owned(), "audit_event_by_action"),
            ("outcome=locked".to_owned(), "audit_event_by_outcome"),
            ("ip=192.0.2.7".to_owned(), "audit_event_by_address"),
            ("ip=192.0.2.0/24".to_owned(), "audit_event_by_address"),
            (format!("from={at}"), "audit_event_by_time"),
            (format!("until={at}"), "audit_event_by_time"),
            ("outcome=success".to_owned(), ""),
            (String::new(), ""),
        ] {
            let query = AuditQuery::parse(&filter).unwrap();
            db::audit::list(&watcher, scope, &query, START)
                .await
                .unwrap();
            db::audit::list_after(&watcher, scope, &query, None, 500)
                .await
                .unwrap();
            let seen = std::mem::take(&mut *watcher.seen.lock().unwrap());
            let steps: Vec<_> = seen.iter().flat_map(|(_, steps)| steps).collect();
            assert!(
                steps.iter().any(|step| step.contains(index)),
                "{filter}: {steps:#?}"
            );
            // A list that is in the order of its index is not sorted.
            let unordered = ["by_time", "by_address", "by_actor"]
                .iter()
                .any(|part| index.contains(part));
            for step in &steps {
                let words: Vec<_> = step.split(' ').collect();
                let whole = matches!(words[..], ["SCAN", "e" | "u" | "audit_event" | "user", ..])
                    // Nearly all events are successes, so that enough of them are met at once.
                    && !filter.contains("success");
                assert!(!whole || words.contains(&"INDEX"), "{filter}: {step}");
                assert!(
                    unordered || !step.contains("FOR ORDER BY"),
                    "{filter}: {step}"
                );
            }
        }
    }
}
