//! How many sessions there are: from counters that triggers keep, put right for rows that ended by
//! themselves and are not swept yet.

use rollcall_core::{Kind, SessionStats, Timestamp};
use sea_orm::{ConnectionTrait, DbErr};

use super::error::DbError;
use super::life;
use super::overtaken::Overtaken;
use super::scope::Scope;
use super::sql::{Dialect, Row, Sql};

/// Sessions of one kind.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct KindTally {
    pub(super) total: i64,
    pub(super) active: i64,
    /// Milliseconds, active ones up to now.
    duration_ms: i64,
}

/// Sessions of every kind that a caller may see.
#[derive(Default, Debug)]
pub(super) struct Tally {
    kinds: Vec<(Kind, KindTally)>,
    /// How many have ended without a stored end, as far as they are collected.
    pub(super) gone: i64,
    /// And those that are not.
    pub(super) overtaken: Overtaken,
    /// How many those are.
    pub(super) uncollected: i64,
    /// What is stored of all organisations, where the caller may see one and somebody asks.
    pub(super) everywhere: Option<Box<Tally>>,
}

impl Tally {
    fn of(&mut self, kind: Kind) -> &mut KindTally {
        let index = match self.kinds.iter().position(|(known, _)| *known == kind) {
            Some(index) => index,
            None => {
                self.kinds.push((kind, KindTally::default()));
                self.kinds.len() - 1
            }
        };
        &mut self.kinds[index].1
    }

    /// The sum over one kind, or over all.
    pub(super) fn sum(&self, only: Option<Kind>) -> KindTally {
        self.kinds
            .iter()
            .filter(|(kind, _)| only.is_none_or(|only| only == *kind))
            .fold(KindTally::default(), |sum, (_, tally)| KindTally {
                total: sum.total + tally.total,
                active: sum.active + tally.active,
                duration_ms: sum.duration_ms + tally.duration_ms,
            })
    }

    /// The sum over all organisations.
    pub(super) fn everywhere(&self, only: Option<Kind>) -> KindTally {
        self.everywhere
            .as_ref()
            .map_or_else(|| self.sum(only), |all| all.sum(only))
    }

    /// How many have no stored end.
    pub(super) fn unended(&self) -> u64 {
        natural(self.sum(None).active + self.gone + self.uncollected)
    }

    pub(super) fn active(&self) -> u64 {
        natural(self.sum(None).active)
    }
}

/// Counters are never negative; a database that says otherwise shows nothing rather than 2^64.
pub(super) fn natural(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

// The same expressions as in the triggers: milliseconds, rounded before they are summed.
fn milliseconds(micros: &str) -> String {
    format!("({micros} / 1000 - 1735689600000)")
}

fn now_ms(now: Timestamp) -> i64 {
    now.0 / 1000 - 1_735_689_600_000
}

/// Counts by kind, exactly, as of `now`.
pub(super) async fn tally(
    connection: &impl ConnectionTrait,
    scope: Scope,
    now: Timestamp,
) -> Result<Tally, DbError> {
    match scope {
        Scope::User(user) => tally_user(connection, user.0, now).await,
        Scope::All | Scope::Organisation(_) => tally_counted(connection, scope, now).await,
    }
}

/// Counts by kind as they are stored: what has ended without a stored end counts as active.
pub(super) async fn stored(
    connection: &impl ConnectionTrait,
    organisation: Option<uuid::Uuid>,
    now: Timestamp,
) -> Result<Tally, DbError> {
    let mut tally = Tally::default();
    for counter in counters(connection, organisation, &[]).await? {
        counter.add_to(&mut tally, now);
    }
    Ok(tally)
}

/// Counters of one kind, as they are stored.
struct Counter {
    /// An organisation that was asked for by itself; `None` for all others together.
    organisation: Option<uuid::Uuid>,
    kind: Kind,
    total: i64,
    active: i64,
    ended_ms: i64,
    created_ms: i64,
}

impl Counter {
    fn add_to(&self, tally: &mut Tally, now: Timestamp) {
        let sum = tally.of(self.kind);
        sum.total += self.total;
        sum.active += self.active;
        sum.duration_ms += self.ended_ms + self.active * now_ms(now) - self.created_ms;
    }
}

async fn counters(
    connection: &impl ConnectionTrait,
    organisation: Option<uuid::Uuid>,
    apart: &[uuid::Uuid],
) -> Result<Vec<Counter>, DbError> {
    let mut sql = Sql::new(connection, "");
    let whose = match apart {
        [] => "CAST(NULL AS uuid)".to_owned(),
        some => {
            let places = sql.places(some.iter().copied());
            format!("CASE WHEN c.organisation_id IN ({places}) THEN c.organisation_id END")
        }
    };
    sql.push(&format!(
        "SELECT c.organisation, c.kind, CAST(sum(c.total) AS bigint) AS total, CAST(sum(c.active) AS bigint) AS active,
            CAST(sum(c.ended_ms) AS bigint) AS ended_ms, CAST(sum(c.active_created_ms) AS bigint) AS created_ms
         FROM (SELECT {whose} AS organisation, c.* FROM session_counter c"
    ));
    if let Some(organisation) = organisation {
        sql.push(" WHERE c.organisation_id = ").bind(organisation);
    }
    sql.push(") c GROUP BY c.organisation, c.kind");
    let rows = sql.all(connection).await?;
    rows.iter()
        .map(|row| {
            let row = Row(row);
            Ok(Counter {
                organisation: row.get("organisation")?,
                kind: row.word("kind", Kind::from_name)?,
                total: row.get("total")?,
                active: row.get("active")?,
                ended_ms: row.get("ended_ms")?,
                created_ms: row.get("created_ms")?,
            })
        })
        .collect()
}

async fn tally_counted(
    connection: &impl ConnectionTrait,
    scope: Scope,
    now: Timestamp,
) -> Result<Tally, DbError> {
    let organisation = match scope {
        Scope::Organisation(organisation) => Some(organisation.0),
        Scope::All | Scope::User(_) => None,
    };
    let overtaken = Overtaken::read(connection, scope, now).await?;
    let counters = counters(connection, organisation, &overtaken.organisations()).await?;
    let mut tally = Tally::default();
    for counter in &counters {
        counter.add_to(&mut tally, now);
    }
    for (whose, at, later) in overtaken.tallies(connection) {
        // All of them ended when nearly all did, but for those that are newer.
        for counter in counters
            .iter()
            .filter(|counter| counter.organisation == whose)
        {
            tally.uncollected += counter.active;
            let sum = tally.of(counter.kind);
            sum.active -= counter.active;
            sum.duration_ms -= counter.active * (now_ms(now) - now_ms(Timestamp(at)));
        }
        let Some(later) = later else { continue };
        for row in later.all(connection).await? {
            let row = Row(&row);
            let sessions: i64 = row.get("sessions")?;
            let ended: Option<i64> = row.get("ended")?;
            let lives = ended.is_none();
            let until = ended.map_or(now, Timestamp);
            let sum = tally.of(row.word("kind", Kind::from_name)?);
            sum.duration_ms += sessions * (now_ms(until) - now_ms(Timestamp(at)));
            if lives {
                sum.active += sessions;
                tally.uncollected -= sessions;
            }
        }
    }
    let now_ms = now_ms(now);
    let dialect = Dialect::of(connection);
    let mut sql = Sql::new(connection, "");
    let at = sql.place(now.0);
    let and = match organisation {
        Some(organisation) => format!(" AND s.organisation_id = {}", sql.place(organisation)),
        None => String::new(),
    };
    let gone_at = life::gone_at(dialect, &at);
    let overtaken_at = overtaken.at(&mut sql);
    let gone = life::collected(
        &mut sql,
        &overtaken,
        &format!("s.kind AS kind, {gone_at} AS gone_at, {overtaken_at} AS overtaken_at"),
        &at,
        &and,
    );
    sql.push(&format!(
        "SELECT g.kind AS kind, count(*) AS gone, count(g.overtaken_at) AS overtaken, CAST(sum({gone_ms}) AS bigint) AS gone_ms,
            CAST(sum(coalesce({overtaken_ms}, {now_ms})) AS bigint) AS counted_ms
         FROM ({gone}) g GROUP BY g.kind",
        gone_ms = milliseconds("g.gone_at"),
        overtaken_ms = milliseconds("g.overtaken_at"),
    ));
    for row in sql.all(connection).await? {
        let row = Row(&row);
        let (gone, overtaken) = (row.get::<i64>("gone")?, row.get::<i64>("overtaken")?);
        tally.gone += gone;
        tally.uncollected -= overtaken;
        let sum = tally.of(row.word("kind", Kind::from_name)?);
        sum.active -= gone - overtaken;
        // They were counted up to now or until they were overtaken, and ended earlier.
        sum.duration_ms += row.get::<i64>("gone_ms")? - row.get::<i64>("counted_ms")?;
    }
    tally.overtaken = overtaken;
    Ok(tally)
}

async fn tally_user(
    connection: &impl ConnectionTrait,
    user: uuid::Uuid,
    now: Timestamp,
) -> Result<Tally, DbError> {
    let dialect = Dialect::of(connection);
    let mut sql = Sql::new(connection, "");
    let at = sql.place(now.0);
    let user = sql.place(user);
    let gone_at = life::gone_at(dialect, &at);
    sql.push(&format!(
        "SELECT g.kind AS kind, count(*) AS total, count(CASE WHEN g.until IS NULL THEN 1 END) AS active,
            CAST(sum({until_ms}) AS bigint) AS until_ms, CAST(sum({created_ms}) AS bigint) AS created_ms
         FROM (SELECT s.kind AS kind, s.created_at AS created_at,
                CASE WHEN s.ended_at IS NOT NULL THEN s.ended_at
                    WHEN {gone_at} = {never} THEN NULL ELSE {gone_at} END AS until
            FROM session s {joins} WHERE s.user_id = {user}) g GROUP BY g.kind",
        until_ms = milliseconds(&format!("coalesce(g.until, {at})")),
        created_ms = milliseconds("g.created_at"),
        never = life::NEVER,
        joins = life::joins(dialect),
    ));
    let mut tally = Tally::default();
    for row in sql.all(connection).await? {
        let row = Row(&row);
        *tally.of(row.word("kind", Kind::from_name)?) = KindTally {
            total: row.get("total")?,
            active: row.get("active")?,
            duration_ms: row.get::<i64>("until_ms")? - row.get::<i64>("created_ms")?,
        };
    }
    Ok(tally)
}

/// The four cards.
pub(super) async fn stats(
    connection: &impl ConnectionTrait,
    scope: Scope,
    now: Timestamp,
) -> Result<SessionStats, DbError> {
    let sum = tally(connection, scope, now).await?.sum(None);
    let minutes = if sum.total > 0 {
        sum.duration_ms as f64 / sum.total as f64 / 60_000.0
    } else {
        0.0
    };
    Ok(SessionStats {
        total: natural(sum.total),
        active: natural(sum.active),
        unique_users: unique_users(connection, scope, sum.total).await?,
        average_duration_minutes: (minutes * 10.0).round() / 10.0,
        as_of: now,
    })
}

async fn unique_users(
    connection: &impl ConnectionTrait,
    scope: Scope,
    total: i64,
) -> Result<u64, DbErr> {
    let organisation = match scope {
        Scope::User(_) => return Ok(u64::from(total > 0)),
        Scope::All => uuid::Uuid::nil(),
        Scope::Organisation(organisation) => organisation.0,
    };
    let mut sql = Sql::new(
        connection,
        "SELECT users FROM session_owner_total WHERE organisation_id = ",
    );
    sql.bind(organisation);
    match sql.one(connection).await? {
        Some(row) => Ok(natural(Row(&row).get("users")?)),
        None => Ok(0),
    }
}
