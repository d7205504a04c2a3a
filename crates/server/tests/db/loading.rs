//! Loading many rows at once.

use rollcall_core::{EndReason, SessionFilter, SessionQuery};
use rollcall_server::db::{self, Scope, session_list};
use sea_orm::ConnectionTrait;

use crate::support::{START, new_session, new_user, on_each, seconds};
use crate::write_db;

#[tokio::test(flavor = "multi_thread")]
async fn counters_and_search_are_right_right_after_loading() {
    on_each(async |rig| {
        let acme = rig.organisation("Acme").await;
        let early = rig.user(acme, "early@acme.io").await;
        rig.insert(&new_session(early, acme, START), "early@acme.io").await;
        let users: Vec<_> = (0..700).map(|index| new_user(acme, &format!("user{index}@acme.io"))).collect();
        let ids: Vec<_> = users.iter().map(|user| user.id).collect();
        assert_eq!(db::bulk::insert_users(&rig.db, users).await.unwrap(), 700);
        // Few rows, then enough to set the indexes aside.
        for (rows, salt) in [(300_usize, 1), (20_300, 2)] {
            let ids = ids.clone();
            let stored = db::bulk::insert_sessions(
                &rig.db,
                (0..rows).map(move |index| {
                    let user = index % ids.len();
                    let mut session = new_session(ids[user], acme, START + seconds((index + salt) as u64));
                    if index % 10 == 0 {
                        session.ended = Some((session.created_at + seconds(60), EndReason::SignedOut));
                    }
                    (session, format!("user{user}@acme.io"))
                }),
            )
            .await
            .unwrap();
            assert_eq!(stored, rows as u64);
        }
        let now = START + seconds(1);
        let stats = session_list::stats(rig.reader(), Scope::All, now).await.unwrap();
        assert_eq!((stats.total, stats.active, stats.unique_users), (20_601, 20_601 - 30 - 2_030, 701));
        let found = async |search: &str| {
            let query = SessionQuery { filter: SessionFilter { search: search.into(), ..SessionFilter::default() }, ..SessionQuery::default() };
            let page = session_list::list(rig.reader(), Scope::All, &query, now).await.unwrap();
            (page.total, page.total_is_exact, page.items.len())
        };
        assert_eq!(found("user699@").await, (29, true, 10));
        assert_eq!(found("firefox").await, (10_000, false, 10));
        assert_eq!(found("early").await, (1, true, 1));

        // How many of a user's sessions have no stored end, by the counter and by the rows.
        let miscounted = async || {
            let query = "SELECT count(*) AS n FROM session_owner o WHERE o.active <> (SELECT count(*) FROM session s
                WHERE s.user_id = o.user_id AND s.organisation_id = o.organisation_id AND s.ended_at IS NULL)";
            let row = rig
                .reader()
                .query_one_raw(sea_orm::Statement::from_string(rig.reader().get_database_backend(), query))
                .await
                .unwrap()
                .unwrap();
            row.try_get::<i64>("", "n").unwrap()
        };
        assert_eq!(miscounted().await, 0);

        // Indexes and triggers are there again: what comes later is counted, found and refused as ever.
        rig.insert(&new_session(early, acme, now), "early@acme.io").await;
        assert_eq!(found("early").await.0, 2);
        let stats = session_list::stats(rig.reader(), Scope::All, now).await.unwrap();
        assert_eq!(stats.total, 20_602);
        let list = if rig.is_sqlite {
            "SELECT count(*) AS n FROM sqlite_master WHERE tbl_name = 'session' AND type IN ('index', 'trigger')"
        } else {
            "SELECT count(*) AS n FROM pg_indexes WHERE tablename IN ('session', 'session_entry')"
        };
        let row = rig
            .reader()
            .query_one_raw(sea_orm::Statement::from_string(rig.reader().get_database_backend(), list))
            .await
            .unwrap()
            .unwrap();
        // 17 indexes and 8 triggers; two primary keys and the search index beside the 17.
        assert_eq!(row.try_get::<i64>("", "n").unwrap(), if rig.is_sqlite { 25 } else { 20 });
        assert_eq!(miscounted().await, 0);
        let ended = write_db!(rig, |c| db::sessions::end_all_of_user(
            c,
            early,
            None,
            now,
            EndReason::EndedByAdministrator,
            None
        )
        .await);
        assert_eq!(ended.unwrap().0.len(), 2);
        assert_eq!(miscounted().await, 0);
        write_db!(rig, |c| crate::support::purge_ended(c, START + seconds(1_000_000), 100_000).await).unwrap();
        let stats = session_list::stats(rig.reader(), Scope::All, now).await.unwrap();
        assert_eq!(miscounted().await, 0);
        assert_eq!((stats.total, stats.active), (20_602 - 2_062, 20_602 - 2_062));
    })
    .await;
}
