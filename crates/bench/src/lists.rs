//! Lists, searches, orders, deep pages and cards over a million sessions, in process, on each database,
//! for everything and for one organisation.

use std::time::{Duration, Instant};

use anyhow::Result;
use rollcall_core::{OrganisationId, SessionQuery, Timestamp};
use rollcall_server::clock::{Clock, SystemClock};
use rollcall_server::db::{Database, Scope, session_list};
use sea_orm::{ConnectionTrait, Statement};

use crate::explain::Explaining;
use crate::report::{Report, ms, p95};
use crate::{Args, Part, data};

/// How often each list is asked for, where there are few of a kind.
const TIMES: usize = 20;
/// About so many answers are worth a percentile: where a kind has many lists, each is asked for less often.
const ANSWERS: usize = 1_200;
const LIMIT: Duration = Duration::from_millis(50);
const ORDERS: [&str; 8] = [
    "user",
    "name",
    "ip",
    "browser",
    "state",
    "created_at",
    "last_activity_at",
    "duration",
];
/// Common, frequent, rare, absent; parts of addresses of both kinds; the start of a name; several words.
const WORDS: [&str; 14] = [
    "gmail",
    "10.0.",
    "firefox",
    "rossi",
    "nora.rossi",
    "2001:db8:",
    "192.168.7",
    "work",
    "example",
    "kenji.tanaka4",
    "203.0.113.25",
    "xyzzy",
    "2001:db8:9",
    "firefox%20on%20linux",
];
const SHORT_WORDS: [&str; 6] = ["ib", "10", "zz", "a", ":d", "oo"];
/// One of each sort, for the questions that are thousands.
const SOME_WORDS: [&str; 5] = ["gmail", "firefox", "2001:db8:", "192.168.7", "nora.rossi"];
/// Every state, every kind, and both.
const FILTERS: [&str; 11] = [
    "state=active",
    "state=ended",
    "kind=console",
    "kind=api",
    "kind=client",
    "state=active&kind=console",
    "state=active&kind=api",
    "state=active&kind=client",
    "state=ended&kind=console",
    "state=ended&kind=api",
    "state=ended&kind=client",
];
/// What else a list can be asked for: selective and not, alone and together.
const CONDITIONS: [&str; 20] = [
    "ip=10.0.0.0/8",
    "ip=192.168.7.0/24",
    "ip=203.0.113.25",
    "browser=firefox",
    "system=windows",
    "agent=edg/",
    "method=password",
    "role=member",
    "role=administrator",
    "older_than=12h",
    "newer_than=1h",
    "idle_for=20m",
    "several=true",
    "several=false",
    "service_account=true",
    "user=nobody@example.org",
    "state=active&browser=firefox&system=linux",
    "state=active&older_than=12h&idle_for=10m",
    "state=ended&role=administrator&ip=10.0.0.0/8",
    "q=gmail&role=administrator",
];
/// How many of the slowest questions are named.
const SLOWEST: usize = 3;

pub(crate) async fn measure(args: &Args, report: &mut Report) -> Result<()> {
    if !args.postgres_only {
        let folder = data::rows(&args.data, args.rows).await?;
        on("SQLite", &data::sqlite(&folder), args, report).await?;
    }
    if let Some(superuser) = &args.postgres {
        let name = "rollcall_bench_rows";
        let folder = args.data.join(format!("rows-postgres-{}", args.rows));
        // A cluster that outlives the run keeps what an earlier one has stored.
        let url = match data::postgres_kept(superuser, name).await? {
            Some(url) if folder.join("demo").exists() => url,
            _ => {
                let url = data::postgres(superuser, name).await?;
                let _ = std::fs::remove_dir_all(&folder);
                data::fill(&folder, &url, args.rows).await?;
                url
            }
        };
        on("PostgreSQL", &url, args, report).await?;
    }
    Ok(())
}

/// A kind of question: what it is called, what is asked, and how long it may take.
struct Question {
    what: &'static str,
    aim: &'static str,
    limit: Duration,
    queries: Vec<String>,
}

async fn on(name: &str, url: &str, args: &Args, report: &mut Report) -> Result<()> {
    let db = data::open(url).await?;
    let now = SystemClock::default().now();
    let scopes = [
        ("all", Scope::All),
        ("one organisation", Scope::Organisation(largest(&db).await?)),
    ];
    if args.explain {
        return explain(name, &db, now).await;
    }
    if !args.wants(Part::Lists) {
        return Ok(());
    }
    eprintln!("==> lists of {} sessions, {name}", args.rows);
    let asked = |what: &str| what.contains(&args.questions);
    for question in questions(args.rows, name == "SQLite") {
        if !asked(question.what) {
            continue;
        }
        for (reach, scope) in &scopes {
            let (times, worst) = ask(&db, *scope, &question.queries, now).await?;
            let p95 = p95(times);
            report.line(
                &format!("{} ({reach}, {name})", question.what),
                format!("p95 {} ({worst})", ms(p95)),
                question.aim,
                p95 <= question.limit,
            );
        }
    }
    const CARDS: &str = "the four cards";
    for (reach, scope) in scopes.into_iter().filter(|_| asked(CARDS)) {
        let mut times = Vec::new();
        for _ in 0..TIMES * 5 {
            let begun = Instant::now();
            session_list::stats(db.reader(), scope, now).await?;
            times.push(begun.elapsed());
        }
        let p95 = p95(times);
        report.line(
            &format!("{CARDS} ({reach}, {name})"),
            format!("p95 {}", ms(p95)),
            "p95 20 ms",
            p95 <= Duration::from_millis(20),
        );
    }
    db.close().await;
    Ok(())
}

fn questions(rows: u32, sqlite: bool) -> Vec<Question> {
    let orders: Vec<String> = ORDERS
        .iter()
        .flat_map(|order| [format!("sort=-{order}"), format!("sort={order}")])
        .collect();
    let deep_limit = Duration::from_millis(if sqlite { 50 } else { 150 });
    let deep_aim = if sqlite { "50 ms" } else { "150 ms" };
    // Page 50,000 of ten rows, or the middle of fewer rows.
    let middle = (rows / 20).max(1);
    let question = |what, queries| Question {
        what,
        aim: "p95 50 ms",
        limit: LIMIT,
        queries,
    };
    vec![
        question("first page, every order", orders.clone()),
        question(
            "first page of every state and kind, every order",
            all_of(&FILTERS, &orders),
        ),
        question(
            "search of three or more letters, newest first",
            WORDS.map(|word| format!("q={word}")).to_vec(),
        ),
        question(
            "search of three or more letters, every order",
            all_of(&WORDS.map(|word| format!("q={word}")), &orders),
        ),
        question(
            "search of three or more letters in every state and kind, newest first",
            all_of(&FILTERS, &WORDS.map(|word| format!("q={word}"))),
        ),
        question(
            "search of three or more letters in every state and kind, every order",
            all_of(
                &all_of(&FILTERS, &SOME_WORDS.map(|word| format!("q={word}"))),
                &orders,
            ),
        ),
        Question {
            what: "search of one or two letters, newest first",
            aim: "feels instant",
            limit: Duration::from_millis(100),
            queries: SHORT_WORDS.iter().map(|word| format!("q={word}")).collect(),
        },
        question(
            "filters, newest first",
            CONDITIONS.map(str::to_owned).to_vec(),
        ),
        question("filters, every order", all_of(&CONDITIONS, &orders)),
        Question {
            what: "page 50,000, newest first",
            aim: deep_aim,
            limit: deep_limit,
            queries: vec![format!("page={middle}")],
        },
        Question {
            what: "10,000 rows deep, every order",
            aim: deep_aim,
            limit: deep_limit,
            queries: all_of(&["page=1000"], &orders),
        },
        Question {
            what: "10,000 rows deep in every state and kind, every order",
            aim: deep_aim,
            limit: deep_limit,
            queries: all_of(
                &FILTERS.map(|filter| format!("{filter}&page=1000")),
                &orders,
            ),
        },
    ]
}

/// Each of the one with each of the other.
fn all_of(one: &[impl AsRef<str>], other: &[impl AsRef<str>]) -> Vec<String> {
    one.iter()
        .flat_map(|one| {
            other
                .iter()
                .map(move |other| format!("{}&{}", one.as_ref(), other.as_ref()))
        })
        .collect()
}

/// Asks everything some times, and names what took longest.
async fn ask(
    db: &Database,
    scope: Scope,
    queries: &[String],
    now: Timestamp,
) -> Result<(Vec<Duration>, String)> {
    let mut times = Vec::new();
    let mut medians = Vec::new();
    let repeat = (ANSWERS / queries.len()).clamp(3, TIMES);
    for text in queries {
        let query = SessionQuery::parse(text).map_err(|error| anyhow::anyhow!("{error:?}"))?;
        let mut here = Vec::new();
        for _ in 0..repeat {
            let begun = Instant::now();
            session_list::list(db.reader(), scope, &query, now).await?;
            here.push(begun.elapsed());
        }
        here.sort_unstable();
        medians.push((here[here.len() / 2], text));
        times.extend(here);
    }
    medians.sort_unstable();
    medians.reverse();
    let slow: Vec<_> = medians
        .iter()
        .take(SLOWEST)
        .map(|(median, text)| format!("`{text}` {}", ms(*median)))
        .collect();
    let over = medians.iter().filter(|(median, _)| *median > LIMIT).count();
    Ok((
        times,
        format!(
            "medians: {}; {over} of {} over {}",
            slow.join(", "),
            medians.len(),
            ms(LIMIT)
        ),
    ))
}

async fn explain(name: &str, db: &Database, now: Timestamp) -> Result<()> {
    let explaining = Explaining::new(db.reader());
    for question in questions(1_000_000, true) {
        for text in question.queries {
            let query = SessionQuery::parse(&text).map_err(|error| anyhow::anyhow!("{error:?}"))?;
            session_list::list(&explaining, Scope::All, &query, now).await?;
            explaining.print(&format!("{name}: {}: {text}", question.what));
        }
    }
    Ok(())
}

async fn largest(db: &Database) -> Result<OrganisationId> {
    let statement = Statement::from_string(
        db.reader().get_database_backend(),
        "SELECT organisation_id FROM session GROUP BY 1 ORDER BY count(*) DESC LIMIT 1",
    );
    let row = db.reader().query_one_raw(statement).await?;
    let row = row.ok_or_else(|| anyhow::anyhow!("there are no sessions"))?;
    Ok(OrganisationId(row.try_get("", "organisation_id")?))
}
