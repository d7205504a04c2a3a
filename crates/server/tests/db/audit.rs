//! The audit trail.

use rollcall_core::{AuditAction, AuditOutcome, AuditQuery, PageNumber, PageSize, UserId, Who};
use rollcall_server::db::{self, AuditRecord, DbError, Scope};
use sea_orm::ConnectionTrait;

use crate::support::{Rig, START, on_each};
use crate::write_db;

fn chain(previous: &[u8; 32], sequence: i64) -> [u8; 32] {
    let mut next = *previous;
    next[0] = next[0].wrapping_mul(31).wrapping_add(sequence as u8);
    next
}

fn record(
    actor: Option<UserId>,
    organisation: Option<rollcall_core::OrganisationId>,
) -> AuditRecord {
    AuditRecord {
        at: START,
        actor,
        actor_name: "Nora".into(),
        target: None,
        target_name: String::new(),
        target_email: String::new(),
        organisation,
        action: AuditAction::SignIn,
        outcome: AuditOutcome::Success,
        session: None,
        detail: None,
        ip: "192.0.2.7".into(),
        user_agent: "curl".into(),
        request_id: "r1".into(),
    }
}

async fn append(rig: &Rig, record: AuditRecord) -> (i64, [u8; 32]) {
    write_db!(rig, |c| db::audit::append_all(
        c,
        std::slice::from_ref(&record),
        &|previous, sequence, _| chain(previous, sequence)
    )
    .await)
    .unwrap()
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_numbered_without_gaps_and_chained_even_when_written_at_once() {
    on_each(async |rig| {
        futures_util::future::join_all((0..30).map(|_| append(rig, record(None, None)))).await;
        // What is rolled back leaves no gap.
        let refused: Result<(), _> = rig
            .db
            .write(|c| {
                Box::pin(async move {
                    db::audit::append_all(c, &[record(None, None)], &|previous, sequence, _| {
                        chain(previous, sequence)
                    })
                    .await?;
                    Err(DbError::Busy)
                })
            })
            .await;
        assert!(matches!(refused, Err(DbError::Busy)));
        let (last, head) = append(rig, record(None, None)).await;
        assert_eq!(last, 31);
        assert_eq!(db::audit::head(rig.reader()).await.unwrap(), (31, head));
        let mut previous = [0; 32];
        let stored = db::audit::list_raw_after(rig.reader(), 0, 100)
            .await
            .unwrap();
        for (index, event) in stored.iter().enumerate() {
            assert_eq!(event.sequence, index as i64 + 1);
            previous = chain(&previous, event.sequence);
            assert_eq!(event.hmac, previous);
            assert_eq!(event.record, record(None, None));
        }
        assert_eq!(stored.len(), 31);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_refuses_to_change_or_delete_an_event() {
    on_each(async |rig| {
        append(rig, record(None, None)).await;
        for attempt in [
            "UPDATE audit_event SET actor_name = 'x'",
            "DELETE FROM audit_event",
        ] {
            let refused = write_db!(rig, |c| Ok(c.execute_unprepared(attempt).await?));
            assert!(matches!(refused, Err(DbError::Other(_))), "{attempt}");
        }
        assert_eq!(
            db::audit::list_raw_after(rig.reader(), 0, 10)
                .await
                .unwrap()
                .len(),
            1
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organisation_sees_its_own_events_and_no_foreign_actor() {
    on_each(async |rig| {
        let (acme, globex) = (
            rig.organisation("Acme").await,
            rig.organisation("Globex").await,
        );
        let nora = rig.user(acme, "nora@acme.io").await;
        let root = rig.user(globex, "root@globex.io").await;
        append(
            rig,
            AuditRecord {
                target: Some(nora),
                target_name: "Nora".into(),
                target_email: "nora@acme.io".into(),
                ..record(Some(nora), Some(acme))
            },
        )
        .await;
        append(rig, record(Some(root), Some(acme))).await;
        append(rig, record(Some(root), Some(globex))).await;
        append(rig, record(None, None)).await;
        let list = async |scope, query: AuditQuery| {
            db::audit::list(rig.reader(), scope, &query, START)
                .await
                .unwrap()
        };

        let all = list(Scope::All, AuditQuery::default()).await;
        assert_eq!((all.total, all.total_is_exact), (4, true));
        assert_eq!(
            all.items
                .iter()
                .map(|event| event.sequence)
                .collect::<Vec<_>>(),
            [4, 3, 2, 1]
        );
        assert_eq!(all.items[1].actor.as_ref().unwrap().id, Some(root));
        assert_eq!(
            all.items[0].actor.as_ref().unwrap().id,
            None,
            "a name without a user"
        );
        assert_eq!(all.items[3].target.as_ref().unwrap().email, "nora@acme.io");

        let own = list(Scope::Organisation(acme), AuditQuery::default()).await;
        assert_eq!(
            own.items
                .iter()
                .map(|event| event.sequence)
                .collect::<Vec<_>>(),
            [2, 1]
        );
        assert_eq!(own.items[0].actor.as_ref().unwrap().id, None);
        assert_eq!(
            own.items[0].actor.as_ref().unwrap().name,
            "Platform administrator"
        );
        assert_eq!(own.items[1].actor.as_ref().unwrap().id, Some(nora));
        assert_eq!(own.items[1].organisation.as_ref().unwrap().name, "Acme");

        let of_root = AuditQuery {
            user: Some(Who::Id(root)),
            ..AuditQuery::default()
        };
        assert_eq!(list(Scope::All, of_root.clone()).await.total, 2);
        // Who is shown without a name cannot be asked for by id either.
        assert_eq!(list(Scope::Organisation(acme), of_root).await.total, 0);
        let failed = AuditQuery {
            outcome: Some(AuditOutcome::Failed),
            ..AuditQuery::default()
        };
        assert_eq!(list(Scope::All, failed).await.total, 0);
        let second = AuditQuery {
            page: PageNumber::new(2).unwrap(),
            page_size: PageSize::new(3).unwrap(),
            ..AuditQuery::default()
        };
        assert_eq!(list(Scope::All, second).await.items[0].sequence, 1);
    })
    .await;
}
