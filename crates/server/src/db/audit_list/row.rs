//! Events as the list shows them.

use rollcall_core::{
    Actor, AuditAction, AuditEvent, AuditOutcome, OrganisationId, OrganisationRef, SessionId,
    UserId, UserRef,
};
use sea_orm::{ConnectionTrait, DbErr};
use uuid::Uuid;

use crate::db::error::DbError;
use crate::db::records::foreign_actor;
use crate::db::scope::Scope;
use crate::db::sql::{Row, Sql};

/// The events with these numbers, in the order of the numbers here.
pub(super) async fn read(
    connection: &impl ConnectionTrait,
    scope: Scope,
    numbers: &[i64],
) -> Result<Vec<AuditEvent>, DbError> {
    if numbers.is_empty() {
        return Ok(Vec::new());
    }
    let mut sql = Sql::new(
        connection,
        r#"SELECT e.*, t.service_account AS service_account, a.organisation_id AS actor_organisation, o.name AS organisation_name
           FROM audit_event e LEFT JOIN "user" t ON t.id = e.target_id LEFT JOIN "user" a ON a.id = e.actor_id
           LEFT JOIN organisation o ON o.id = e.organisation_id WHERE e.sequence IN ("#,
    );
    for (index, number) in numbers.iter().enumerate() {
        if index > 0 {
            sql.push(", ");
        }
        sql.bind(*number);
    }
    sql.push(") ORDER BY e.sequence DESC");
    let rows = sql.all(connection).await?;
    rows.iter()
        .map(|row| Ok(event(&Row(row), scope)?))
        .collect()
}

fn event(row: &Row<'_>, scope: Scope) -> Result<AuditEvent, DbErr> {
    let organisation: Option<Uuid> = row.get("organisation_id")?;
    let actor_organisation: Option<Uuid> = row.get("actor_organisation")?;
    let actor_id: Option<Uuid> = row.get("actor_id")?;
    let actor_name: String = row.get("actor_name")?;
    let actor = match actor_id {
        Some(id) if scope == Scope::All || actor_organisation == organisation => Some(Actor {
            id: Some(UserId(id)),
            name: actor_name,
        }),
        Some(_) => Some(foreign_actor()),
        None if actor_name.is_empty() => None,
        None => Some(Actor {
            id: None,
            name: actor_name,
        }),
    };
    let target = match row.get::<Option<Uuid>>("target_id")? {
        None => None,
        Some(id) => Some(UserRef {
            id: UserId(id),
            email: row.get("target_email")?,
            name: row.get("target_name")?,
            service_account: row.get::<Option<bool>>("service_account")?.unwrap_or(false),
        }),
    };
    let organisation = match organisation {
        None => None,
        Some(id) => Some(OrganisationRef {
            id: OrganisationId(id),
            name: row
                .get::<Option<String>>("organisation_name")?
                .unwrap_or_default(),
        }),
    };
    Ok(AuditEvent {
        sequence: row.get("sequence")?,
        at: row.time("at")?,
        actor,
        target,
        organisation,
        action: row.word("action", AuditAction::from_name)?,
        outcome: row.word("outcome", AuditOutcome::from_name)?,
        session: row.get::<Option<Uuid>>("session_id")?.map(SessionId),
        detail: row.get("detail")?,
        ip: row.get("ip")?,
        user_agent: row.get("user_agent")?,
        request_id: row.get("request_id")?,
    })
}
