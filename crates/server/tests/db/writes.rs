//! The writer, the lock and what happens when they fail.

use std::time::Duration;

use rollcall_core::BuiltInRole;
use rollcall_server::db::{self, Database, DatabaseOptions, DbError, Share};
use sea_orm::ConnectionTrait;

use crate::support::{Rig, START, new_user, on_each};
use crate::write_db;

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_fails_or_panics_leaves_nothing_and_harms_no_other() {
    on_each(async |rig| {
        let acme = rig.organisation("Acme").await;
        let writes = futures_util::future::join_all((0..30).map(|index| {
            let user = new_user(acme, &format!("user{index}@acme.io"));
            rig.db.write(move |c| {
                Box::pin(async move {
                    db::users::create(c, &user).await?;
                    match index % 3 {
                        0 => Ok(()),
                        1 => Err(DbError::Busy),
                        _ => panic!("on purpose"),
                    }
                })
            })
        }))
        .await;
        assert_eq!(writes.iter().filter(|result| result.is_ok()).count(), 10);
        assert_eq!(db::users::count(rig.reader()).await.unwrap(), 10);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn work_goes_on_when_whoever_asked_has_gone() {
    on_each(async |rig| {
        let acme = rig.organisation("Acme").await;
        let user = new_user(acme, "nora@acme.io");
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let (go_on, may_go_on) = tokio::sync::oneshot::channel::<()>();
        let asked = rig.db.write(move |c| {
            Box::pin(async move {
                db::users::create(c, &user).await?;
                begun.send(()).expect("the test waits");
                may_go_on.await.expect("the test answers");
                Ok(())
            })
        });
        tokio::select! {
            _ = asked => panic!("it waits in the middle"),
            begun = has_begun => begun.expect("it begins"),
        }
        // Whoever asked is gone, and only now does the work go on.
        go_on.send(()).expect("the work waits");
        // The next write follows the first one on SQLite, and finds its e-mail taken on both.
        let twin = new_user(acme, "nora@acme.io");
        let refused = write_db!(rig, |c| db::users::create(c, &twin).await);
        assert!(matches!(refused, Err(DbError::Unique(_))));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_a_part_of_something_long_that_began_after_them() {
    on_each(async |rig| {
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let (go_on, may_go_on) = tokio::sync::oneshot::channel::<()>();
        let first = rig.db.write_as(Share::Alone, move |_| {
            Box::pin(async move {
                begun.send(()).expect("the test waits");
                may_go_on.await.expect("the test answers");
                Ok(())
            })
        });
        let (answered, is_answered) = tokio::sync::oneshot::channel::<()>();
        // On SQLite these two stand in the queue together, while the first part is at work.
        let others = async {
            has_begun.await.expect("it begins");
            let short = async {
                rig.organisation("Acme").await;
                answered.send(()).expect("the second part waits");
            };
            let second = rig.db.write_as(Share::Alone, move |_| {
                Box::pin(async move {
                    is_answered.await.expect("the short one is answered");
                    Ok(())
                })
            });
            let release = async { go_on.send(()).expect("the first part waits") };
            let (_, second, _) = tokio::join!(biased; short, second, release);
            second
        };
        let (first, second) = tokio::join!(first, others);
        first.unwrap();
        second.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_is_refused_in_words_and_a_tool_is_not() {
    on_each(async |rig| {
        let holder = Database::is_held(&rig.url).await.unwrap().unwrap();
        assert!(
            holder.contains("in use by another Rollcall server"),
            "{holder}"
        );
        let second = Database::connect(&rig.url, DatabaseOptions::default()).await;
        assert!(matches!(second, Err(DbError::Held(words)) if words == holder));
        let beside = DatabaseOptions {
            exclusive: false,
            ..DatabaseOptions::default()
        };
        let tool = Database::connect(&rig.url, beside).await.unwrap();
        tool.probe().await.unwrap();
        tool.close().await;
        rig.db.probe().await.unwrap();
        rig.db.close().await;
        assert!(matches!(rig.db.probe().await, Err(DbError::Unreachable)));
        assert_eq!(Database::is_held(&rig.url).await.unwrap(), None);
        let again = Database::connect(&rig.url, DatabaseOptions::default())
            .await
            .unwrap();
        again.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn built_in_roles_are_what_the_program_says_at_every_start() {
    on_each(async |rig| {
        rig.sql("UPDATE role SET permissions = 0, name = 'x'").await;
        rig.db.close().await;
        let again = Database::connect(&rig.url, DatabaseOptions::default())
            .await
            .unwrap();
        let rows = again
            .reader()
            .query_all_raw(sea_orm::Statement::from_string(
                again.reader().get_database_backend(),
                "SELECT key, name, permissions FROM role",
            ))
            .await
            .unwrap();
        assert_eq!(rows.len(), BuiltInRole::ALL.len());
        for row in rows {
            let role = BuiltInRole::from_key(&row.try_get::<String>("", "key").unwrap()).unwrap();
            assert_eq!(row.try_get::<String>("", "name").unwrap(), role.name());
            let bits: i64 = row.try_get("", "permissions").unwrap();
            assert_eq!(bits.cast_unsigned(), role.permissions().bits());
        }
        again.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_locked_by_another_process_is_busy_within_the_patience_and_works_afterwards() {
    let rig = Rig::sqlite().await;
    let beside = DatabaseOptions {
        exclusive: false,
        ..DatabaseOptions::default()
    };
    let other = Database::connect(&rig.url, beside).await.unwrap();
    let (locked, is_locked) = tokio::sync::oneshot::channel();
    let (release, released) = tokio::sync::oneshot::channel::<()>();
    let holder = tokio::spawn(async move {
        other
            .write(move |_| {
                Box::pin(async move {
                    locked.send(()).unwrap();
                    released.await.unwrap();
                    Ok(())
                })
            })
            .await
            .unwrap();
        other.close().await;
    });
    is_locked.await.unwrap();
    let begun = std::time::Instant::now();
    let organisation = rollcall_core::OrganisationId(crate::support::fresh_id());
    let refused =
        futures_util::future::join_all((0..5).map(|_| write_db_later(&rig, organisation))).await;
    assert!(
        refused
            .iter()
            .all(|result| matches!(result, Err(DbError::Busy))),
        "{refused:?}"
    );
    assert!(
        begun.elapsed() < Duration::from_millis(5_900),
        "{:?}",
        begun.elapsed()
    );
    // Readers never waited.
    assert_eq!(db::users::count(rig.reader()).await.unwrap(), 0);
    release.send(()).unwrap();
    holder.await.unwrap();
    write_db_later(&rig, organisation).await.unwrap();
}

async fn write_db_later(rig: &Rig, id: rollcall_core::OrganisationId) -> Result<(), DbError> {
    write_db!(rig, |c| db::organisations::create(c, id, "Acme", START)
        .await)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_the_write_and_nothing_else_and_passes() {
    let rig = Rig::sqlite().await;
    let acme = rig.organisation("Acme").await;
    let fill = async |number: usize| {
        let mut user = new_user(acme, &format!("user{number}@acme.io"));
        user.name = "x".repeat(100_000);
        write_db!(rig, |c| db::users::create(c, &user).await)
    };
    // SQLite answers as for a disk that is full once the file may not grow.
    rig.sql("PRAGMA max_page_count = 1").await;
    assert!(matches!(fill(1).await, Err(DbError::Busy)));
    assert_eq!(db::users::count(rig.reader()).await.unwrap(), 0);
    // The writer takes a new connection, which knows nothing of the limit: the disk has room again.
    fill(2).await.unwrap();
    assert_eq!(db::users::count(rig.reader()).await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_postgresql_cuts_are_made_again_and_so_is_the_lock() {
    let Some(rig) = Rig::postgres().await else {
        return;
    };
    let cut =
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()
        ORDER BY pid = pg_backend_pid()";
    let lost = write_db!(rig, |c| Ok(c
        .execute_unprepared(cut)
        .await?
        .rows_affected()));
    assert!(matches!(lost, Err(DbError::Unreachable)), "{lost:?}");
    assert_eq!(db::users::count(rig.reader()).await.unwrap(), 0);
    rig.organisation("Acme").await;
    // The first question may still meet the connection that is gone.
    let _ = rig.db.probe().await;
    rig.db.probe().await.unwrap();
    assert!(
        Database::is_held(&rig.url).await.unwrap().is_some(),
        "the lock is ours again"
    );
    rig.stop().await;
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn the_database_is_for_its_owner_alone() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let url = format!("sqlite:{}", folder.path().join("rollcall.db").display());
    let db = Database::connect(&url, DatabaseOptions::default())
        .await
        .unwrap();
    db.write(|c| Box::pin(async move { Ok(c.execute_unprepared("SELECT 1").await?) }))
        .await
        .unwrap();
    for name in ["rollcall.db", "rollcall.db-wal", "rollcall.db-shm"] {
        let mode = std::fs::metadata(folder.path().join(name)).unwrap().mode();
        assert_eq!(mode & 0o077, 0, "{name} {mode:o}");
    }
    db.close().await;
}
