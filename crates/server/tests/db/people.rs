//! Users, organisations and attempts to sign in.

use rollcall_core::{BuiltInRole, EndReason, UserId};
use rollcall_server::db::{self, DbError, Scope};

use crate::support::{START, new_user, on_each, seconds};
use crate::write_db;

#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_found_by_id_and_by_e_mail_and_only_within_the_scope() {
    on_each(async |rig| {
        let (acme, globex) = (
            rig.organisation("Acme").await,
            rig.organisation("Globex").await,
        );
        let nora = rig.user(acme, "nora@acme.io").await;
        let found = db::users::find_by_email(rig.reader(), "nora@acme.io")
            .await
            .unwrap()
            .unwrap();
        assert_eq!((found.id, found.organisation_id), (nora, acme));
        assert!(found.enabled && !found.deleted && found.organisation_enabled);
        let within = async |scope| {
            db::users::find_scoped(rig.reader(), scope, nora)
                .await
                .unwrap()
                .is_some()
        };
        assert!(
            within(Scope::All).await
                && within(Scope::Organisation(acme)).await
                && within(Scope::User(nora)).await
        );
        assert!(
            !within(Scope::Organisation(globex)).await
                && !within(Scope::User(UserId(acme.0))).await
        );
        assert_eq!(db::users::count(rig.reader()).await.unwrap(), 1);
        assert_eq!(
            db::organisations::list(rig.reader()).await.unwrap().len(),
            2
        );
        let found = db::organisations::find_by_name(rig.reader(), "Globex")
            .await
            .unwrap()
            .unwrap();
        assert_eq!(found.id, globex);
        assert_eq!(
            db::organisations::find_by_name(rig.reader(), "globex")
                .await
                .unwrap(),
            None
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_e_mail_is_taken_until_its_user_is_deleted() {
    on_each(async |rig| {
        let acme = rig.organisation("Acme").await;
        rig.user(acme, "nora@acme.io").await;
        let twin = new_user(acme, "nora@acme.io");
        let again = twin.clone();
        let refused = write_db!(rig, |c| db::users::create(c, &twin).await);
        assert!(matches!(refused, Err(DbError::Unique(name)) if name == "user_email_unique"));
        rig.sql(r#"UPDATE "user" SET deleted_at = 1"#).await;
        write_db!(rig, |c| db::users::create(c, &again).await).unwrap();
        assert_eq!(db::users::count(rig.reader()).await.unwrap(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_changes_only_for_whoever_knows_the_old_hash() {
    on_each(async |rig| {
        let acme = rig.organisation("Acme").await;
        let nora = rig.user(acme, "nora@acme.io").await;
        assert!(
            write_db!(rig, |c| db::users::set_password(
                c, nora, "one", true, START
            )
            .await)
            .unwrap()
        );
        assert!(
            !write_db!(rig, |c| db::users::replace_hash(c, nora, "other", "two")
                .await)
            .unwrap()
        );
        assert!(
            write_db!(rig, |c| db::users::replace_hash(c, nora, "one", "two")
                .await)
            .unwrap()
        );
        let found = db::users::find(rig.reader(), nora).await.unwrap().unwrap();
        assert_eq!(found.password_hash.as_deref(), Some("two"));
        assert!(found.password_change_required);
        write_db!(rig, |c| db::users::set_time_zone(
            c,
            nora,
            Some("Europe/Rome")
        )
        .await)
        .unwrap();
        let user = db::users::find(rig.reader(), nora).await.unwrap().unwrap();
        let noted = write_db!(rig, |c| db::users::note_sign_in(c, &user, START).await);
        assert!(noted.unwrap());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_platform_administrator_is_one_who_can_sign_in() {
    on_each(async |rig| {
        let acme = rig.organisation("Acme").await;
        assert!(
            db::users::find_platform_administrator(rig.reader())
                .await
                .unwrap()
                .is_none()
        );
        let mut root = new_user(acme, "root@acme.io");
        root.role_key = BuiltInRole::PlatformAdministrator.key().into();
        let id = root.id;
        write_db!(rig, |c| db::users::create(c, &root).await).unwrap();
        let found = db::users::find_platform_administrator(rig.reader())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(found.id, id);
        rig.sql(r#"UPDATE "user" SET enabled = false"#).await;
        assert!(
            db::users::find_platform_administrator(rig.reader())
                .await
                .unwrap()
                .is_none()
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn five_tries_are_five_however_many_ask_at_once() {
    on_each(async |rig| {
        let tries = futures_util::future::join_all((0..40).map(|_| {
            rig.db.write(|c| {
                Box::pin(
                    async move { db::attempts::take_try(c, "nora@acme.io", START, 5, None).await },
                )
            })
        }))
        .await;
        let mut taken: Vec<i64> = tries
            .into_iter()
            .filter_map(|taken| taken.unwrap())
            .collect();
        taken.sort_unstable();
        assert_eq!(taken, [1, 2, 3, 4, 5]);

        assert!(write_db!(rig, |c| db::attempts::lock(c, "nora@acme.io", START).await).unwrap());
        assert!(!write_db!(rig, |c| db::attempts::lock(c, "nora@acme.io", START).await).unwrap());
        assert!(
            db::attempts::is_locked(rig.reader(), "nora@acme.io")
                .await
                .unwrap()
        );
        write_db!(rig, |c| db::attempts::give_back(c, "nora@acme.io").await).unwrap();
        assert_eq!(
            write_db!(rig, |c| db::attempts::take_try(
                c,
                "nora@acme.io",
                START,
                5,
                None
            )
            .await)
            .unwrap(),
            None
        );
        assert!(write_db!(rig, |c| db::attempts::unlock(c, "nora@acme.io").await).unwrap());
        assert!(!write_db!(rig, |c| db::attempts::unlock(c, "nora@acme.io").await).unwrap());
        assert_eq!(
            write_db!(rig, |c| db::attempts::take_try(
                c,
                "nora@acme.io",
                START,
                5,
                None
            )
            .await)
            .unwrap(),
            Some(1)
        );
        write_db!(rig, |c| db::attempts::give_back(c, "nora@acme.io").await).unwrap();
        assert_eq!(
            write_db!(rig, |c| db::attempts::take_try(
                c,
                "nora@acme.io",
                START,
                5,
                None
            )
            .await)
            .unwrap(),
            Some(1)
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_names_pushes_out_neither_locks_nor_counts_of_users() {
    on_each(async |rig| {
        let acme = rig.organisation("Acme").await;
        rig.user(acme, "victim@acme.io").await;
        rig.user(acme, "locked@acme.io").await;
        let names = [
            "victim@acme.io",
            "locked@acme.io",
            "locked@nowhere",
            "a@x",
            "b@x",
            "c@x",
        ];
        for (index, name) in names.into_iter().enumerate() {
            let at = START + seconds(index as u64);
            write_db!(rig, |c| db::attempts::take_try(c, name, at, 5, None).await).unwrap();
        }
        for name in ["locked@acme.io", "locked@nowhere"] {
            write_db!(rig, |c| db::attempts::lock(c, name, START).await).unwrap();
        }
        assert_eq!(
            write_db!(rig, |c| db::attempts::purge(c, 1).await).unwrap(),
            3
        );
        let locked = async |name| db::attempts::is_locked(rig.reader(), name).await.unwrap();
        assert!(locked("locked@acme.io").await);
        assert!(!locked("locked@nowhere").await, "nobody has this name");
        let next = |name: &'static str| async move {
            write_db!(rig, |c| db::attempts::take_try(c, name, START, 5, None)
                .await)
            .unwrap()
        };
        assert_eq!(next("victim@acme.io").await, Some(2));
        assert_eq!(next("c@x").await, Some(2), "the newest stays");
        assert_eq!(next("a@x").await, Some(1), "the oldest went");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_epoch_never_goes_back() {
    on_each(async |rig| {
        let acme = rig.organisation("Acme").await;
        let nora = rig.user(acme, "nora@acme.io").await;
        let later = START + seconds(10);
        assert!(
            write_db!(rig, |c| db::users::end_before(
                c,
                nora,
                later,
                EndReason::PasswordReset
            )
            .await)
            .unwrap()
        );
        assert!(
            !write_db!(rig, |c| db::users::end_before(
                c,
                nora,
                START,
                EndReason::UserMoved
            )
            .await)
            .unwrap()
        );
        assert!(
            write_db!(rig, |c| db::installation::end_before(
                c,
                later,
                EndReason::Limit
            )
            .await)
            .unwrap()
        );
        assert!(
            !write_db!(rig, |c| db::installation::end_before(
                c,
                START,
                EndReason::NotMe
            )
            .await)
            .unwrap()
        );
        let installation = db::installation::find(rig.reader()).await.unwrap();
        assert_eq!(installation.ended_before, Some((later, EndReason::Limit)));
    })
    .await;
}
