//! Sessions, one at a time.

use rollcall_core::{EndReason, Reach, SessionId, session::state_at};
use rollcall_server::db::{self, DbError, Scope, Touch};

use crate::support::{START, fresh_id, hash_of, new_session, on_each, seconds};
use crate::write_db;

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_found_by_its_lineage_with_all_that_its_user_may_do() {
    on_each(async |rig| {
        let acme = rig.organisation("Acme").await;
        let nora = rig.user(acme, "nora@acme.io").await;
        let session = new_session(nora, acme, START);
        rig.insert(&session, "nora@acme.io").await;
        let (found, authority) = db::sessions::find_by_lineage(rig.reader(), &session.lineage_hash)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(found, session);
        assert_eq!(authority.user.email, "nora@acme.io");
        assert_eq!(authority.organisation.name, "Acme");
        assert_eq!(
            (authority.role_key.as_str(), authority.role_name.as_str()),
            ("member", "Member")
        );
        assert_eq!(authority.reach(), Reach::Own);
        assert_eq!(
            authority.permissions(),
            rollcall_core::BuiltInRole::Member.permissions()
        );
        assert_eq!(state_at(&authority.life_facts(&found), START), Ok(()));
        assert_eq!(
            db::sessions::find(rig.reader(), session.id)
                .await
                .unwrap()
                .unwrap()
                .0,
            session
        );
        assert!(
            db::sessions::find(rig.reader(), SessionId(nora.0))
                .await
                .unwrap()
                .is_none()
        );
        let twin = db::SessionRecord {
            id: SessionId(fresh_id()),
            ..session.clone()
        };
        let refused = write_db!(rig, |c| db::sessions::insert(c, &twin, "nora@acme.io")
            .await);
        assert!(
            matches!(refused, Err(DbError::Unique(name)) if name == "session_lineage_hash_unique")
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_many_parallel_rotations_wins_and_none_revives_an_ended_session() {
    on_each(async |rig| {
        let acme = rig.organisation("Acme").await;
        let nora = rig.user(acme, "nora@acme.io").await;
        let session = new_session(nora, acme, START);
        rig.insert(&session, "nora@acme.io").await;
        let (id, old) = (session.id, session.secret_hash);
        let next = hash_of(id.0, 9);
        let won = futures_util::future::join_all((0..20).map(|_| {
            rig.db.write(move |c| {
                Box::pin(async move { db::sessions::rotate(c, id, 0, &old, &next).await })
            })
        }))
        .await;
        assert_eq!(
            won.into_iter().filter(|won| *won.as_ref().unwrap()).count(),
            1
        );
        let (found, _) = db::sessions::find(rig.reader(), id).await.unwrap().unwrap();
        assert_eq!(
            (found.generation, found.secret_hash, found.first_used_at),
            (1, next, None)
        );

        assert!(!write_db!(rig, |c| db::sessions::note_first_use(c, id, 0, START).await).unwrap());
        assert!(write_db!(rig, |c| db::sessions::note_first_use(c, id, 1, START).await).unwrap());
        assert!(!write_db!(rig, |c| db::sessions::note_first_use(c, id, 1, START).await).unwrap());

        let (lineage, secret, key) = (hash_of(id.0, 10), hash_of(id.0, 11), hash_of(id.0, 12));
        assert!(
            write_db!(rig, |c| db::sessions::renew_lineage(
                c, id, &lineage, &secret, &key, START
            )
            .await)
            .unwrap()
        );
        assert!(
            db::sessions::find_by_lineage(rig.reader(), &session.lineage_hash)
                .await
                .unwrap()
                .is_none()
        );
        let (found, _) = db::sessions::find_by_lineage(rig.reader(), &lineage)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            (found.generation, found.rotation_key, found.first_used_at),
            (0, key, Some(START))
        );

        assert!(
            write_db!(rig, |c| db::sessions::end(
                c,
                id,
                START,
                EndReason::SignedOut,
                Some(nora),
                None
            )
            .await)
            .unwrap()
            .is_some()
        );
        assert!(
            !write_db!(rig, |c| db::sessions::rotate(c, id, 0, &secret, &next)
                .await)
            .unwrap()
        );
        assert!(!write_db!(rig, |c| db::sessions::note_first_use(c, id, 0, START).await).unwrap());
        assert!(
            !write_db!(rig, |c| db::sessions::renew_lineage(
                c, id, &lineage, &secret, &key, START
            )
            .await)
            .unwrap()
        );
        let touch = Touch {
            id,
            last_activity_at: START + seconds(9),
            idle_expires_at: START + seconds(99),
        };
        write_db!(rig, |c| db::sessions::touch(c, &[touch]).await).unwrap();
        let (found, _) = db::sessions::find(rig.reader(), id).await.unwrap().unwrap();
        assert_eq!(
            (found.ended, found.last_activity_at),
            (Some((START, EndReason::SignedOut)), START)
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_once_and_only_while_it_lives() {
    on_each(async |rig| {
        let acme = rig.organisation("Acme").await;
        let nora = rig.user(acme, "nora@acme.io").await;
        let ends = async |session: &db::SessionRecord, after: u64| {
            rig.insert(session, "nora@acme.io").await;
            let (id, at) = (session.id, session.created_at + seconds(after));
            write_db!(rig, |c| db::sessions::end(
                c,
                id,
                at,
                EndReason::EndedByAdministrator,
                None,
                Some("why")
            )
            .await)
            .unwrap()
            .is_some()
        };
        assert!(ends(&new_session(nora, acme, START), 1_799).await);
        assert!(
            !ends(&new_session(nora, acme, START), 1_800).await,
            "expired"
        );
        let ended = db::SessionRecord {
            ended: Some((START, EndReason::SignedOut)),
            ..new_session(nora, acme, START)
        };
        assert!(!ends(&ended, 1).await);
        write_db!(rig, |c| db::users::end_before(
            c,
            nora,
            START,
            EndReason::PasswordReset
        )
        .await)
        .unwrap();
        assert!(
            !ends(&new_session(nora, acme, START), 1).await,
            "an epoch had overtaken it"
        );
        let later = START + seconds(1);
        assert!(ends(&new_session(nora, acme, later), 1).await);
        write_db!(rig, |c| db::installation::end_before(
            c,
            later,
            EndReason::Limit
        )
        .await)
        .unwrap();
        assert!(
            !ends(&new_session(nora, acme, later), 1).await,
            "an epoch of the installation"
        );
        rig.sql(r#"UPDATE "user" SET enabled = false"#).await;
        assert!(
            !ends(&new_session(nora, acme, START + seconds(2)), 1).await,
            "disabled"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_sessions_of_a_user_end_but_for_one_and_nobody_elses() {
    on_each(async |rig| {
        let acme = rig.organisation("Acme").await;
        let (nora, omar) = (
            rig.user(acme, "nora@acme.io").await,
            rig.user(acme, "omar@acme.io").await,
        );
        let mut hers = Vec::new();
        for _ in 0..4 {
            let session = new_session(nora, acme, START);
            rig.insert(&session, "nora@acme.io").await;
            hers.push(session.id);
        }
        rig.insert(&new_session(omar, acme, START), "omar@acme.io")
            .await;
        let keep = hers[0];
        let now = START + seconds(5);
        let (mut ended, _) = write_db!(rig, |c| db::sessions::end_all_of_user(
            c,
            nora,
            Some(keep),
            now,
            EndReason::EndedByUser,
            Some(nora)
        )
        .await)
        .unwrap();
        ended.sort_unstable_by_key(|row| row.id);
        assert_eq!(
            ended.iter().map(|row| row.id).collect::<Vec<_>>(),
            hers[1..]
        );
        assert_eq!(
            db::sessions::count_live(rig.reader(), Scope::All, now)
                .await
                .unwrap(),
            2
        );
        assert_eq!(
            db::sessions::count_live(rig.reader(), Scope::User(nora), now)
                .await
                .unwrap(),
            1
        );
        assert_eq!(
            db::sessions::count_live(
                rig.reader(),
                Scope::Organisation(acme),
                START + seconds(1_800)
            )
            .await
            .unwrap(),
            0
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn activity_only_moves_forward_and_never_past_the_absolute_limit() {
    on_each(async |rig| {
        let acme = rig.organisation("Acme").await;
        let nora = rig.user(acme, "nora@acme.io").await;
        let sessions: Vec<_> = (0..1_200).map(|_| new_session(nora, acme, START)).collect();
        let copies = sessions.clone();
        write_db!(rig, |c| {
            for session in &copies {
                db::sessions::insert(c, session, "nora@acme.io").await?;
            }
            Ok(())
        })
        .unwrap();
        let touch = |after: u64| {
            sessions
                .iter()
                .map(|session| Touch {
                    id: session.id,
                    last_activity_at: START + seconds(after),
                    idle_expires_at: START + seconds(after + 1_800),
                })
                .collect::<Vec<_>>()
        };
        let (later, earlier) = (touch(600), touch(300));
        write_db!(rig, |c| db::sessions::touch(c, &later).await).unwrap();
        write_db!(rig, |c| db::sessions::touch(c, &earlier).await).unwrap();
        for session in &sessions {
            let (found, _) = db::sessions::find(rig.reader(), session.id)
                .await
                .unwrap()
                .unwrap();
            assert_eq!(found.last_activity_at, START + seconds(600));
            assert_eq!(found.idle_expires_at, START + seconds(2_400));
        }
        let (lives, dead) = (START + seconds(2_399), START + seconds(2_400));
        assert_eq!(
            db::sessions::count_live(rig.reader(), Scope::All, lives)
                .await
                .unwrap(),
            1_200
        );
        assert_eq!(
            db::sessions::count_live(rig.reader(), Scope::All, dead)
                .await
                .unwrap(),
            0
        );
        let last = touch(86_000);
        write_db!(rig, |c| db::sessions::touch(c, &last).await).unwrap();
        assert_eq!(
            db::sessions::count_live(rig.reader(), Scope::All, START + seconds(86_400))
                .await
                .unwrap(),
            0
        );
    })
    .await;
}
