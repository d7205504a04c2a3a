//! Writing down the ends that time and epochs have brought, and forgetting what is old enough.

use rollcall_core::{EndReason, OrganisationId, Rule, SessionId, Timestamp, UserId, UserRef};
use sea_orm::ConnectionTrait;

use super::error::DbError;
use super::life;
use super::records::Swept;
use super::sql::{Dialect, Row, Sql};
use super::stopping::{Stopped, stop_with_sessions};

/// Ends up to `limit` sessions that have expired, as of the moment they did, or of an earlier epoch. Answers which, and
/// what stopped with them.
pub async fn sweep_expired(
    connection: &impl ConnectionTrait,
    now: Timestamp,
    limit: u64,
) -> Result<(Vec<Swept>, Stopped), DbError> {
    let dialect = Dialect::of(connection);
    let mut sql = Sql::new(connection, "");
    let at = sql.place(now.0);
    let rows = format!(
        "SELECT {FACTS} FROM session s{expiry} {joins} WHERE s.ended_at IS NULL AND {expiring} AND s.expires_at <= {at}
         ORDER BY s.expires_at / 60000000 LIMIT {limit}",
        expiring = life::expiring(&at),
        expiry = dialect.by("session_live_by_expiry"),
        joins = life::joins(dialect),
    );
    write_ends(&mut sql, dialect, &rows);
    // Activity may have come in between.
    sql.push(&format!(" AND expires_at <= {at}"));
    let swept = answer(sql, connection).await?;
    let stopped = stop_with_sessions(connection, swept.iter().map(|session| session.id)).await?;
    Ok((swept, stopped))
}

/// Ends up to `limit` sessions that the epoch of their user, organisation or the installation ended, as
/// of that epoch. Answers which, and what stopped with them. Costs next to nothing where all are settled.
pub async fn sweep_epochs(
    connection: &impl ConnectionTrait,
    limit: u64,
) -> Result<(Vec<Swept>, Stopped), DbError> {
    let dialect = Dialect::of(connection);
    let [users, organisations, installation] = life::unsettled(dialect);
    let parts = [
        format!("{users} AND u.ended_before >= s.created_at"),
        format!("{organisations} AND o.ended_before >= s.created_at"),
        installation,
    ];
    let mut swept = Vec::new();
    for part in parts {
        let left = limit.saturating_sub(swept.len() as u64);
        if left == 0 {
            break;
        }
        let rows = format!("SELECT {FACTS} {part} LIMIT {left}");
        let mut sql = Sql::new(connection, "");
        write_ends(&mut sql, dialect, &rows);
        swept.extend(answer(sql, connection).await?);
    }
    let stopped = stop_with_sessions(connection, swept.iter().map(|session| session.id)).await?;
    Ok((swept, stopped))
}

const FACTS: &str = "s.number AS n, s.created_at AS c, s.idle_expires_at AS idle, s.absolute_expires_at AS absolute,
    CASE WHEN u.ended_before >= s.created_at THEN u.ended_before END AS ub, u.ended_before_reason AS ur,
    u.ended_before_by AS uby, u.ended_before_note AS un,
    CASE WHEN o.ended_before >= s.created_at THEN o.ended_before END AS ob, o.ended_before_reason AS orr,
    o.ended_before_by AS oby, o.ended_before_note AS onote,
    CASE WHEN i.ended_before >= s.created_at THEN i.ended_before END AS ib, i.ended_before_reason AS ir,
    i.ended_before_by AS iby, i.ended_before_note AS inote";

/// The update that `rows` calls for. An epoch is never in the future, so that of epoch and expiry the
/// earlier one is the end; of equal moments the first in the order of `core::session::state_at`.
fn write_ends(sql: &mut Sql, dialect: Dialect, rows: &str) {
    let min = dialect.least();
    let never = life::NEVER;
    sql.push(&format!(
        "UPDATE session SET ended_at = gone_at, end_reason = gone_reason, ended_by = gone_by, end_note = gone_note FROM (
            SELECT n AS gone_number, at AS gone_at, CASE
                WHEN ub = at THEN ur WHEN ob = at THEN orr WHEN ib = at THEN ir
                WHEN idle <= absolute THEN '{idle}' ELSE '{absolute}' END AS gone_reason,
                CASE WHEN ub = at THEN uby WHEN ob = at THEN oby WHEN ib = at THEN iby END AS gone_by,
                CASE WHEN ub = at THEN un WHEN ob = at THEN onote WHEN ib = at THEN inote END AS gone_note
            FROM (
                SELECT f.*, {min}(coalesce(ub, {never}), coalesce(ob, {never}), coalesce(ib, {never}), idle, absolute) AS at
                FROM ({rows}) f
            ) g
        ) e WHERE number = gone_number AND ended_at IS NULL",
        idle = EndReason::IdleTimeout.as_str(),
        absolute = EndReason::AbsoluteTimeout.as_str(),
    ));
}

async fn answer(mut sql: Sql, connection: &impl ConnectionTrait) -> Result<Vec<Swept>, DbError> {
    // Names go into the audit trail, which outlives the rows.
    sql.push(
        r#" RETURNING id, user_id, organisation_id, lineage_hash, ended_at, end_reason, email,
        (SELECT u.name FROM "user" u WHERE u.id = user_id) AS user_name,
        (SELECT u.service_account FROM "user" u WHERE u.id = user_id) AS service_account"#,
    );
    let rows = sql.all(connection).await?;
    rows.iter()
        .map(|row| {
            let row = Row(row);
            Ok(Swept {
                id: SessionId(row.uuid("id")?),
                user: UserRef {
                    id: UserId(row.uuid("user_id")?),
                    email: row.get("email")?,
                    name: row.get("user_name")?,
                    service_account: row.get("service_account")?,
                },
                organisation_id: OrganisationId(row.uuid("organisation_id")?),
                lineage_hash: row.hash("lineage_hash")?,
                at: row.time("ended_at")?,
                reason: row.word("end_reason", EndReason::from_name)?,
            })
        })
        .collect()
}

/// Marks as settled what has no session left to end. The rows are locked before they are judged: a
/// session that is stored meanwhile clears the mark after us. To be called once everything is swept: who signs in locks
/// the counters first and the user then, and so must we.
pub async fn settle(connection: &impl ConnectionTrait) -> Result<(), DbError> {
    let killed = [
        (
            r#""user""#,
            r#"s.user_id = "user".id AND ("user".ended_before >= s.created_at OR NOT "user".enabled OR "user".deleted_at IS NOT NULL)"#,
        ),
        (
            "organisation",
            "s.organisation_id = organisation.id AND (organisation.ended_before >= s.created_at OR NOT organisation.enabled)",
        ),
        ("installation", "s.created_at <= installation.ended_before"),
    ];
    for (table, killed) in killed {
        // Somebody who is signing in holds the user and waits for the counters that we hold: the next sweep settles it.
        let lock = if Dialect::of(connection) == Dialect::Postgres {
            " FOR UPDATE SKIP LOCKED"
        } else {
            ""
        };
        let open = Sql::new(
            connection,
            &format!("SELECT id FROM {table} WHERE NOT settled{lock}"),
        );
        if open.all(connection).await?.is_empty() {
            continue;
        }
        Sql::new(
            connection,
            &format!(
                "UPDATE {table} SET settled = true WHERE id IN (SELECT id FROM {table} WHERE NOT settled{lock})
                 AND NOT EXISTS (SELECT 1 FROM session s WHERE s.ended_at IS NULL AND {killed})"
            ),
        )
        .run(connection)
        .await?;
    }
    Ok(())
}

/// Ended sessions that may be due to be deleted.
#[derive(Clone, Debug)]
pub struct Due {
    /// Their numbers.
    pub due: Vec<i64>,
    /// Where to go on looking; `None` where there are no more.
    pub next: Option<(i64, i64)>,
}

/// Of the next `limit` sessions that ended more than `least` seconds ago those that their place's `Rule::Retention`, else
/// `default`, keeps no longer. Begins after a place in the order of ends.
pub async fn ended_too_long_ago(
    connection: &impl ConnectionTrait,
    now: Timestamp,
    default: u32,
    least: u32,
    after: (i64, i64),
    limit: u64,
) -> Result<Due, DbError> {
    let mut sql = Sql::new(
        connection,
        "SELECT s.number, s.ended_at, CASE WHEN s.ended_at < ",
    );
    let now = sql.place(now.0);
    let (rule, organisation) = (Rule::Retention, "s.organisation_id");
    let seconds = super::policies::value_of(&mut sql, rule, default, organisation, "u.role_key");
    let least = sql.place(i64::from(least) * 1_000_000);
    sql.push(&format!(
        r#"CAST({now} AS bigint) - {seconds} * 1000000 THEN 1 ELSE 0 END AS due
        FROM session s {} "user" u ON u.id = s.user_id
        WHERE s.ended_at IS NOT NULL AND s.ended_at < CAST({now} AS bigint) - CAST({least} AS bigint) AND (s.ended_at, s.number) > ("#,
        sql.dialect().join()
    ));
    sql.bind(after.0)
        .push(", ")
        .bind(after.1)
        .push(") ORDER BY s.ended_at, s.number LIMIT ")
        .bind(limit.cast_signed());
    let rows = sql.all(connection).await?;
    let mut found = Due {
        due: Vec::new(),
        next: None,
    };
    for row in &rows {
        let row = Row(row);
        let number: i64 = row.get("number")?;
        if i64::from(row.get::<i32>("due")?) == 1 {
            found.due.push(number);
        }
        found.next = Some((row.get("ended_at")?, number));
    }
    if (rows.len() as u64) < limit {
        found.next = None;
    }
    Ok(found)
}

/// Deletes these sessions; answers how many there were.
pub async fn purge(connection: &impl ConnectionTrait, numbers: &[i64]) -> Result<u64, DbError> {
    if numbers.is_empty() {
        return Ok(0);
    }
    let mut sql = Sql::new(
        connection,
        "DELETE FROM session WHERE ended_at IS NOT NULL AND number IN (",
    );
    let places: Vec<_> = numbers.iter().map(|number| sql.place(*number)).collect();
    sql.push(&places.join(", ")).push(")");
    Ok(sql.run(connection).await?)
}
