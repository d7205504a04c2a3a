//! Reading the audit trail for its check: every row as it is stored, even one that no server wrote.

use rollcall_core::{AuditAction, AuditOutcome, OrganisationId, SessionId, UserId};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbErr, IsolationLevel, TransactionOptions,
    TransactionTrait,
};
use uuid::Uuid;

use super::error::DbError;
use super::records::AuditRecord;
use super::sql::{Dialect, Row, Sql, statement};

/// A row of the trail.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FoundEvent {
    /// Its number.
    pub sequence: i64,
    /// What was appended and its HMAC, or the column whose value no server writes.
    pub content: Result<(AuditRecord, [u8; 32]), &'static str>,
}

/// Some rows of the trail, and its stored end at the same moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Batch {
    /// The rows, in the order of their numbers; at most as many as were asked for.
    pub events: Vec<FoundEvent>,
    /// The stored end; `None` where its row is missing or no server wrote it.
    pub head: Option<(i64, [u8; 32])>,
    /// True if the row after the last one here has a number that is none.
    pub numberless: bool,
}

/// The kinds of value in the columns, for SQLite, where any column holds any value.
const NUMBERS: [&str; 2] = ["sequence", "at"];
const IDS: [&str; 4] = ["actor_id", "target_id", "organisation_id", "session_id"];
const TEXTS: [&str; 8] = [
    "actor_name",
    "target_name",
    "target_email",
    "action",
    "outcome",
    "ip",
    "user_agent",
    "request_id",
];

/// Rows from number `from` on, in their order, and the stored end, both as of one moment.
///
/// # Errors
/// Of the database; never because of a stored value.
pub async fn read(
    connection: &DatabaseConnection,
    from: i64,
    limit: u64,
) -> Result<Batch, DbError> {
    let dialect = Dialect::of(connection);
    let snapshot = TransactionOptions {
        // A reading transaction on SQLite sees one moment by itself.
        isolation_level: (dialect == Dialect::Postgres).then_some(IsolationLevel::RepeatableRead),
        ..TransactionOptions::default()
    };
    let moment = connection.begin_with_options(snapshot).await?;
    let mut query = Sql::new(&moment, "SELECT *, ");
    query
        .push(&misfit(dialect))
        .push(" AS misfit FROM audit_event WHERE sequence >= ")
        .bind(from)
        .push(" ORDER BY sequence LIMIT ")
        .bind(limit.cast_signed());
    let rows = query.all(&moment).await?;
    let end = statement(
        &moment,
        "SELECT sequence, hmac FROM audit_head WHERE id = 1",
        [],
    );
    let head = moment.query_one_raw(end).await?.and_then(|row| {
        let row = Row(&row);
        Some((row.get("sequence").ok()?, row.hash("hmac").ok()?))
    });
    moment.rollback().await?;
    let mut events = Vec::with_capacity(rows.len());
    let mut numberless = false;
    for row in &rows {
        let row = Row(row);
        let misfit = row.get::<Option<String>>("misfit")?;
        let (Ok(sequence), false) = (row.get("sequence"), misfit.as_deref() == Some("sequence"))
        else {
            numberless = true;
            break;
        };
        events.push(FoundEvent {
            sequence,
            content: content(&row, misfit.as_deref()),
        });
    }
    Ok(Batch {
        events,
        head,
        numberless,
    })
}

/// An expression for the first column of a row whose value is of another type than a server writes.
/// PostgreSQL keeps such values out by itself.
fn misfit(dialect: Dialect) -> String {
    if dialect == Dialect::Postgres {
        return "NULL::text".to_owned();
    }
    let mut text = "CASE".to_owned();
    let mut unless = |column: &str, test: String| {
        text.push_str(&format!(" WHEN NOT ({test}) THEN '{column}'"));
    };
    for column in NUMBERS {
        unless(column, format!("typeof({column}) = 'integer'"));
    }
    for column in IDS {
        unless(
            column,
            format!("{column} IS NULL OR (typeof({column}) = 'blob' AND length({column}) = 16)"),
        );
    }
    for column in TEXTS {
        unless(column, format!("typeof({column}) = 'text'"));
    }
    unless("detail", "typeof(detail) IN ('text', 'null')".to_owned());
    unless(
        "ip_bytes",
        "typeof(ip_bytes) IN ('blob', 'null')".to_owned(),
    );
    unless("hmac", "typeof(hmac) = 'blob'".to_owned());
    text + " END"
}

fn content(row: &Row<'_>, misfit: Option<&str>) -> Result<(AuditRecord, [u8; 32]), &'static str> {
    if let Some(misfit) = misfit {
        let known = NUMBERS.iter().chain(&IDS).chain(&TEXTS);
        let named = known
            .chain(&["detail", "ip_bytes", "hmac"])
            .find(|name| **name == misfit);
        return Err(named.copied().unwrap_or("hmac"));
    }
    let id = |column| row.get::<Option<Uuid>>(column).map_err(named(column));
    let text = |column| row.get::<String>(column).map_err(named(column));
    let detail: Option<String> = row.get("detail").map_err(named("detail"))?;
    if detail.as_deref() == Some("") {
        // The HMAC is that of no text, which is stored as NULL.
        return Err("detail");
    }
    let mut ip = text("ip")?;
    let stored: Option<Vec<u8>> = row.get("ip_bytes").map_err(named("ip_bytes"))?;
    if stored != super::audit::ip_bytes(&ip) {
        // The HMAC covers the text alone. Where the bytes do not follow from it the row was changed, so it must not fit.
        ip.push('\n');
    }
    let record = AuditRecord {
        at: row.time("at").map_err(named("at"))?,
        actor: id("actor_id")?.map(UserId),
        actor_name: text("actor_name")?,
        target: id("target_id")?.map(UserId),
        target_name: text("target_name")?,
        target_email: text("target_email")?,
        organisation: id("organisation_id")?.map(OrganisationId),
        action: row
            .word("action", AuditAction::from_name)
            .map_err(named("action"))?,
        outcome: row
            .word("outcome", AuditOutcome::from_name)
            .map_err(named("outcome"))?,
        session: id("session_id")?.map(SessionId),
        detail,
        ip,
        user_agent: text("user_agent")?,
        request_id: text("request_id")?,
    };
    Ok((record, row.hash("hmac").map_err(named("hmac"))?))
}

fn named(column: &'static str) -> impl Fn(DbErr) -> &'static str {
    move |_| column
}
