//! The books: whether the audit trail and the rows say the same, one to one, and whether the trail is
//! whole. Row 99 of the list of security requirements: a change and its event commit together.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use rollcall_server::db::audit::{head, list_raw_after};
use rollcall_server::service::audit::chain;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, QueryResult, Statement, Value};
use uuid::Uuid;

/// All rows that a query answers.
pub(crate) async fn rows(
    look: &DatabaseConnection,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<Vec<QueryResult>> {
    let statement = Statement::from_sql_and_values(look.get_database_backend(), sql, values);
    Ok(look.query_all_raw(statement).await?)
}

/// One number that a query answers.
pub(crate) async fn number(
    look: &DatabaseConnection,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<i64> {
    let found = rows(look, sql, values).await?;
    Ok(found.first().context("no row")?.try_get_by_index(0)?)
}

/// How many events there are of this action and outcome about this user.
pub(crate) async fn events_about(
    look: &DatabaseConnection,
    user: Uuid,
    action: &str,
    outcome: &str,
) -> Result<i64> {
    let sql =
        "SELECT count(*) FROM audit_event WHERE target_id = $1 AND action = $2 AND outcome = $3";
    number(look, sql, [user.into(), action.into(), outcome.into()]).await
}

/// Checks the whole trail: numbers 1 to N without a gap, each HMAC right, the end as noted; each session
/// has exactly one event of its making (`seeded` ones, stored directly, none) and each stored end exactly
/// one event, or is counted by exactly one that ended several.
pub(crate) async fn check(look: &DatabaseConnection, folder: &Path, seeded: &[Uuid]) -> Result<()> {
    if look.get_database_backend() == DbBackend::Sqlite {
        let found = rows(look, "PRAGMA integrity_check", []).await?;
        let said: String = found.first().context("no answer")?.try_get_by_index(0)?;
        ensure!(said == "ok", "integrity_check: {said}");
    }
    let key = std::fs::read(folder.join("audit.key"))?;
    let key = <[u8; 32]>::try_from(key)
        .ok()
        .context("audit.key holds 32 bytes")?;
    let (mut last, mut hmac) = (0, [0; 32]);
    let mut made: HashMap<Uuid, u32> = HashMap::new();
    let mut signed_in: HashMap<Uuid, u32> = HashMap::new();
    let mut ended: HashMap<Uuid, u32> = HashMap::new();
    let mut ended_with_others: HashMap<Uuid, u64> = HashMap::new();
    let mut disconnected: HashSet<Uuid> = HashSet::new();
    loop {
        let events = list_raw_after(look, last, 5_000).await?;
        if events.is_empty() {
            break;
        }
        for event in events {
            let record = &event.record;
            ensure!(
                event.sequence == last + 1,
                "event {} follows {last}",
                event.sequence
            );
            hmac = chain(&key, &hmac, event.sequence, record);
            ensure!(
                event.hmac == hmac,
                "the HMAC of event {} is wrong",
                event.sequence
            );
            last = event.sequence;
            if record.outcome.as_str() != "success" {
                continue;
            }
            let session = record.session.map(|id| id.0);
            match (record.action.as_str(), session) {
                ("session.created", Some(id)) => *made.entry(id).or_default() += 1,
                // A client's session begins with its registration instead.
                ("sign_in" | "client.registered", Some(id)) => {
                    *signed_in.entry(id).or_default() += 1
                }
                ("session.ended" | "token.reused", Some(id)) => *ended.entry(id).or_default() += 1,
                ("client.disconnected", Some(id)) => {
                    disconnected.insert(id);
                }
                // "3 sessions, 1 executions, 1 clients: a reason".
                ("user.forced_out", _) => {
                    let detail = record.detail.as_deref().unwrap_or_default();
                    let count = detail.split(' ').next().unwrap_or_default();
                    let user = record.target.context("it was done to somebody")?;
                    *ended_with_others.entry(user.0).or_default() += count.parse::<u64>()?;
                }
                ("sessions.ended" | "password.changed", _) => {
                    let detail = record.detail.as_deref().unwrap_or_default();
                    let digits: String = detail.chars().filter(char::is_ascii_digit).collect();
                    let user = record.target.context("it was done to somebody")?;
                    *ended_with_others.entry(user.0).or_default() += digits.parse::<u64>()?;
                }
                _ => {}
            }
        }
    }
    ensure!(
        head(look).await? == (last, hmac),
        "the noted end is not event {last}"
    );
    let seeded: HashSet<Uuid> = seeded.iter().copied().collect();
    let mut ended_alone = 0;
    for row in rows(look, "SELECT id, user_id, end_reason FROM session", []).await? {
        let (id, user): (Uuid, Uuid) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        let reason: Option<String> = row.try_get_by_index(2)?;
        let expected = u32::from(!seeded.contains(&id));
        let (made, signed_in) = (
            made.remove(&id).unwrap_or(0),
            signed_in.remove(&id).unwrap_or(0),
        );
        ensure!(
            made == expected && signed_in == expected,
            "session {id} has {made} events of its making and {signed_in} sign-ins"
        );
        match (reason, ended.get(&id).copied().unwrap_or(0)) {
            (None, 0) => {}
            (Some(_), 1) => ended_alone += 1,
            // It hung on something else that ended.
            (Some(reason), 0) if reason == "client_disconnected" && disconnected.contains(&id) => {}
            (Some(reason), 0) => {
                let left = ended_with_others.get_mut(&user).filter(|left| **left > 0);
                *left
                    .with_context(|| format!("no event tells of the end of {id} ({reason})"))? -= 1;
            }
            (reason, events) => {
                anyhow::bail!("session {id} ({reason:?}) has {events} events of its end")
            }
        }
    }
    ensure!(
        made.is_empty() && signed_in.is_empty(),
        "events tell of sessions that are not there: {made:?} {signed_in:?}"
    );
    ensure!(
        ended_alone == ended.len(),
        "events tell of ends of sessions that are not there"
    );
    let left: u64 = ended_with_others.values().sum();
    ensure!(left == 0, "events tell of {left} ends more than there are");
    Ok(())
}
