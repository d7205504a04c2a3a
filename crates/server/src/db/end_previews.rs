//! Previews of ends of many sessions: sealed, consumed once, worked off in parts.

use std::time::Duration;

use rollcall_core::many::PREVIEW_SECONDS;
use rollcall_core::{
    EndPreviewId, EndReason, EndRun, EndStage, OrganisationId, Permission, SessionFilter,
    SessionId, Timestamp, UserId, UserRef,
};
use sea_orm::{ConnectionTrait, DbErr, QueryResult};

use super::error::DbError;
use super::life;
use super::records::{PreviewEnded, PreviewOwner, PreviewRun};
use super::scope::Scope;
use super::sql::{Dialect, Row, Sql};
use super::stopping::{Stopped, stop_with_sessions};

/// How long a preview can be used.
const PREVIEW: Duration = Duration::from_secs(PREVIEW_SECONDS);
/// How long one can see what became of it.
const KEPT: Duration = Duration::from_secs(86_400);

/// Stores an empty preview. Others that nobody can use any more are removed.
pub async fn create(
    connection: &impl ConnectionTrait,
    id: EndPreviewId,
    owner: &PreviewOwner,
    now: Timestamp,
) -> Result<(), DbError> {
    forget(connection, now).await?;
    let mut sql = Sql::new(
        connection,
        "INSERT INTO end_preview (id, owner_session, owner, owner_name, organisation_id, sessions, users, administrators,
            expires_at, ip, user_agent, request_id) VALUES (",
    );
    sql.bind(id.0)
        .push(", ")
        .bind(owner.session.0)
        .push(", ")
        .bind(owner.user.0)
        .push(", ")
        .bind(owner.name.clone())
        .push(", ")
        .bind(organisation(owner.scope).map(|id| id.0))
        .push(", 0, 0, 0, ")
        .bind((now + PREVIEW).0)
        .push(", ")
        .bind(owner.ip.clone())
        .push(", ")
        .bind(owner.user_agent.clone())
        .push(", ")
        .bind(owner.request_id.clone())
        .push(")");
    sql.run(connection).await?;
    Ok(())
}

async fn forget(connection: &impl ConnectionTrait, now: Timestamp) -> Result<(), DbError> {
    for (table, id) in [("end_preview_item", "preview_id"), ("end_preview", "id")] {
        let mut sql = Sql::new(
            connection,
            &format!(
                "DELETE FROM {table} WHERE {id} IN (SELECT id FROM end_preview WHERE (started_at IS NULL AND expires_at <= "
            ),
        );
        sql.bind(now.0)
            .push(") OR (finished_at IS NOT NULL AND expires_at <= ")
            .bind((now - KEPT).0)
            .push("))");
        sql.run(connection).await?;
    }
    Ok(())
}

/// Seals the live sessions that match, but for one.
pub async fn seal_matching(
    connection: &impl ConnectionTrait,
    id: EndPreviewId,
    scope: Scope,
    filter: &SessionFilter,
    except: SessionId,
    now: Timestamp,
) -> Result<(), DbError> {
    let Some(matching) = super::session_list::live_matching(connection, scope, filter, now).await?
    else {
        return Ok(());
    };
    store(connection, id, matching, except).await
}

/// Seals those of the chosen sessions that live, but for one. False if one of them does not exist in this scope.
pub async fn seal_chosen(
    connection: &impl ConnectionTrait,
    id: EndPreviewId,
    scope: Scope,
    chosen: &[SessionId],
    except: SessionId,
    now: Timestamp,
) -> Result<bool, DbError> {
    let mut known = Sql::new(connection, "SELECT count(*) AS known FROM session s WHERE ");
    let condition = among(&mut known, scope, chosen);
    known.push(&condition);
    let row = known.one(connection).await?;
    let known = row.map_or(Ok(0), |row| Row(&row).get::<i64>("known"))?;
    if known.cast_unsigned() < chosen.len() as u64 {
        return Ok(false);
    }
    let mut sql = Sql::new(
        connection,
        "SELECT s.number AS number, s.id AS id FROM session s WHERE ",
    );
    let now = sql.place(now.0);
    let condition = among(&mut sql, scope, chosen);
    sql.push(&format!(
        "{condition} AND {}",
        life::live(Dialect::of(connection), "s", &now)
    ));
    store(connection, id, sql, except).await?;
    Ok(true)
}

fn among(sql: &mut Sql, scope: Scope, chosen: &[SessionId]) -> String {
    let mut condition = format!("s.id IN ({})", sql.places(chosen.iter().map(|id| id.0)));
    match scope {
        Scope::All => {}
        Scope::Organisation(organisation) => {
            condition += &format!(" AND s.organisation_id = {}", sql.place(organisation.0));
        }
        Scope::User(user) => condition += &format!(" AND s.user_id = {}", sql.place(user.0)),
    }
    condition
}

/// Stores the rows of a query with the columns `number` and `id`, in the order of their numbers, which is the
/// order in which they lie in the table.
async fn store(
    connection: &impl ConnectionTrait,
    preview: EndPreviewId,
    mut matching: Sql,
    except: SessionId,
) -> Result<(), DbError> {
    let (id, except) = (matching.place(preview.0), matching.place(except.0));
    matching
        .within(
            &format!(
                "INSERT INTO end_preview_item (preview_id, place, session_id)
                 SELECT {id}, row_number() OVER (ORDER BY number), id FROM ("
            ),
            &format!(") m WHERE id <> {except}"),
        )
        .run(connection)
        .await?;
    let mut sql = Sql::new(
        connection,
        "UPDATE end_preview SET sessions = found, users = owners, administrators = managers FROM (
            SELECT coalesce(sum(f.items), 0) AS found, count(*) AS owners,
                coalesce(sum(CASE WHEN EXISTS (SELECT 1 FROM role r WHERE (r.key = u.role_key
                    OR r.key IN (SELECT x.role_key FROM user_role x WHERE x.user_id = u.id)) AND r.permissions & ",
    );
    sql.bind(1_i64 << Permission::UsersManage as i64).push(
        " <> 0) THEN 1 ELSE 0 END), 0) AS managers
            FROM (SELECT s.user_id AS owner, count(*) AS items FROM end_preview_item p JOIN session s ON s.id = p.session_id
                WHERE p.preview_id = ",
    );
    sql.bind(preview.0)
        .push(
            r#" GROUP BY s.user_id) f JOIN "user" u ON u.id = f.owner
        ) c WHERE id = "#,
        )
        .bind(preview.0);
    sql.run(connection).await?;
    Ok(())
}

/// A preview of this session and what became of it.
pub async fn find(
    connection: &impl ConnectionTrait,
    id: EndPreviewId,
    owner: SessionId,
) -> Result<Option<EndRun>, DbError> {
    let mut sql = Sql::new(connection, "SELECT * FROM end_preview WHERE id = ");
    sql.bind(id.0).push(" AND owner_session = ").bind(owner.0);
    let row = sql.one(connection).await?;
    Ok(row.as_ref().map(run).transpose()?)
}

fn run(row: &QueryResult) -> Result<EndRun, DbErr> {
    let row = Row(row);
    let number = |column| row.get::<i64>(column).map(i64::cast_unsigned);
    let started = row.get::<Option<i64>>("started_at")?.is_some();
    let finished = row.get::<Option<i64>>("finished_at")?.is_some();
    let ended = number("ended")?;
    Ok(EndRun {
        id: EndPreviewId(row.uuid("id")?),
        stage: match (started, finished) {
            (false, _) => EndStage::Preview,
            (true, false) => EndStage::Running,
            (true, true) => EndStage::Finished,
        },
        sessions: number("sessions")?,
        users: number("users")?,
        administrators: number("administrators")?,
        expires_at: row.time("expires_at")?,
        reason: row.get("reason")?,
        ended,
        skipped: number("done")?.saturating_sub(ended),
    })
}

/// Takes a preview to be worked off. False if it was taken before, is too old or is another session's.
pub async fn consume(
    connection: &impl ConnectionTrait,
    id: EndPreviewId,
    owner: &PreviewOwner,
    note: Option<&str>,
    now: Timestamp,
) -> Result<bool, DbError> {
    let mut sql = Sql::new(connection, "UPDATE end_preview SET started_at = ");
    sql.bind(now.0)
        .push(", reason = ")
        .bind(note.map(str::to_owned))
        .push(", organisation_id = ")
        .bind(organisation(owner.scope).map(|id| id.0))
        .push(", ip = ")
        .bind(owner.ip.clone())
        .push(", user_agent = ")
        .bind(owner.user_agent.clone())
        .push(", request_id = ")
        .bind(owner.request_id.clone())
        .push(" WHERE id = ")
        .bind(id.0)
        .push(" AND owner_session = ")
        .bind(owner.session.0)
        .push(" AND started_at IS NULL AND expires_at > ")
        .bind(now.0);
    Ok(sql.run(connection).await? == 1)
}

/// The previews that were taken and are not worked off, the oldest first; after a crash, too.
pub async fn running(connection: &impl ConnectionTrait) -> Result<Vec<PreviewRun>, DbError> {
    let sql = Sql::new(
        connection,
        "SELECT p.id, p.owner, p.owner_name, p.organisation_id, p.reason, p.ip, p.user_agent, p.request_id, p.sessions,
            coalesce((SELECT min(i.place) - 1 FROM end_preview_item i WHERE i.preview_id = p.id), p.sessions) AS passed
         FROM end_preview p WHERE p.started_at IS NOT NULL AND p.finished_at IS NULL ORDER BY p.started_at",
    );
    let rows = sql.all(connection).await?;
    rows.iter()
        .map(|row| {
            let row = Row(row);
            Ok(PreviewRun {
                id: EndPreviewId(row.uuid("id")?),
                owner: UserId(row.uuid("owner")?),
                owner_name: row.get("owner_name")?,
                scope: match row.get::<Option<uuid::Uuid>>("organisation_id")? {
                    Some(id) => Scope::Organisation(OrganisationId(id)),
                    None => Scope::All,
                },
                note: row.get("reason")?,
                ip: row.get("ip")?,
                user_agent: row.get("user_agent")?,
                request_id: row.get("request_id")?,
                passed: row.get("passed")?,
                sessions: row.get("sessions")?,
            })
        })
        .collect()
}

/// Ends those sessions of a part of a run that still live, and removes the part in the same transaction: a crash in
/// between repeats nothing and leaves out nothing, and neither does somebody who works at the same part. The
/// places of the part are those after `passed` up to `until`. Answers which sessions it ended, and what stopped with them.
pub async fn end_part(
    connection: &impl ConnectionTrait,
    run: &PreviewRun,
    (passed, until): (i64, i64),
    now: Timestamp,
) -> Result<(Vec<PreviewEnded>, Stopped), DbError> {
    let dialect = Dialect::of(connection);
    let mut sql = Sql::new(connection, "UPDATE session");
    let at = sql.place(now.0);
    let by = sql.place(run.owner.0);
    sql.push(&format!(
        "{index} SET ended_at = {at}, ended_by = {by}, end_reason = CASE WHEN user_id = {by} THEN '{own}' ELSE '{other}' END,
            end_note = ",
        index = dialect.by("session_id_unique"),
        own = EndReason::EndedByUser.as_str(),
        other = EndReason::EndedByAdministrator.as_str(),
    ))
    .bind(run.note.clone())
    .push(" WHERE id IN (SELECT session_id FROM end_preview_item WHERE preview_id = ")
    .bind(run.id.0)
    .push(" AND place > ")
    .bind(passed)
    .push(" AND place <= ")
    .bind(until)
    .push(") AND ")
    .push(&life::live(dialect, "session", &at));
    // A user who has moved since has taken the sessions out of reach.
    if let Scope::Organisation(organisation) = run.scope {
        sql.push(" AND organisation_id = ").bind(organisation.0);
    }
    sql.push(
        r#" RETURNING id, user_id, organisation_id, lineage_hash, email, end_reason,
            (SELECT u.name FROM "user" u WHERE u.id = user_id) AS user_name,
            (SELECT u.service_account FROM "user" u WHERE u.id = user_id) AS service_account"#,
    );
    let rows = sql.all(connection).await?;
    let ended: Vec<PreviewEnded> = rows
        .iter()
        .map(|row| {
            let row = Row(row);
            Ok::<_, DbErr>(PreviewEnded {
                id: SessionId(row.uuid("id")?),
                user: UserRef {
                    id: UserId(row.uuid("user_id")?),
                    email: row.get("email")?,
                    name: row.get("user_name")?,
                    service_account: row.get("service_account")?,
                },
                organisation_id: OrganisationId(row.uuid("organisation_id")?),
                lineage_hash: row.hash("lineage_hash")?,
                reason: row.word("end_reason", EndReason::from_name)?,
            })
        })
        .collect::<Result<_, _>>()?;
    let mut items = Sql::new(
        connection,
        "DELETE FROM end_preview_item WHERE preview_id = ",
    );
    items
        .bind(run.id.0)
        .push(" AND place > ")
        .bind(passed)
        .push(" AND place <= ")
        .bind(until);
    let done = items.run(connection).await?.cast_signed();
    let mut count = Sql::new(connection, "UPDATE end_preview SET ended = ended + ");
    count.bind(ended.len() as i64).push(", done = done + ");
    let done = count.place(done);
    let now = count.place(now.0);
    count
        .push(&format!(
            "{done}, finished_at = CASE WHEN done + {done} >= sessions THEN {now} END WHERE finished_at IS NULL AND id = "
        ))
        .bind(run.id.0);
    count.run(connection).await?;
    let stopped = stop_with_sessions(connection, ended.iter().map(|session| session.id)).await?;
    Ok((ended, stopped))
}

fn organisation(scope: Scope) -> Option<OrganisationId> {
    match scope {
        Scope::Organisation(organisation) => Some(organisation),
        Scope::All | Scope::User(_) => None,
    }
}
