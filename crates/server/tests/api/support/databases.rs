//! A database per test, on each kind of database.

use std::cell::RefCell;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::FutureExt;
use sea_orm::ConnectionTrait;

/// The kinds of database that Rollcall runs on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Sqlite,
    Postgres,
}

struct Current {
    kind: Kind,
    // Names of databases to drop when the test is over.
    made: RefCell<Vec<String>>,
}

tokio::task_local! {
    static CURRENT: Current;
}

const VARIABLE: &str = "ROLLCALL_TEST_POSTGRES";

fn postgres() -> Option<String> {
    std::env::var(VARIABLE).ok().filter(|url| !url.is_empty())
}

/// Runs a test on this kind of database and drops what it made there, however it ended.
pub(crate) async fn on(kind: Kind, test: impl Future<Output = ()>) {
    if kind == Kind::Postgres && postgres().is_none() {
        static SAID: Once = Once::new();
        SAID.call_once(|| println!("{VARIABLE} is not set: tested on SQLite only"));
        return;
    }
    let current = Current {
        kind,
        made: RefCell::default(),
    };
    let work = async {
        let outcome = AssertUnwindSafe(test).catch_unwind().await;
        (outcome, CURRENT.with(|current| current.made.take()))
    };
    let (outcome, made) = CURRENT.scope(current, work).await;
    if let Some(url) = postgres() {
        for name in made {
            command(
                &url,
                &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"),
            )
            .await;
        }
    }
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

/// The kind of database that the running test is on.
pub(crate) fn kind() -> Kind {
    CURRENT.with(|current| current.kind)
}

/// The URL of a new database for the running test; SQLite's file lies in `folder`.
pub(crate) async fn create(folder: &Path) -> String {
    if kind() == Kind::Sqlite {
        return format!("sqlite://{}", folder.join("rollcall.db").display());
    }
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!(
        "rollcall_test_{}_{}",
        std::process::id(),
        COUNT.fetch_add(1, Ordering::Relaxed)
    );
    let url = postgres().expect("the test runs on PostgreSQL only where there is one");
    command(&url, &format!("CREATE DATABASE {name}")).await;
    CURRENT.with(|current| current.made.borrow_mut().push(name.clone()));
    with_database(&url, &name)
}

/// Runs a statement as the superuser, outside the test's own database.
pub(crate) async fn as_superuser(statement: &str) {
    command(&postgres().expect("the test runs on PostgreSQL"), statement).await;
}

async fn command(url: &str, statement: &str) {
    let connection = sea_orm::Database::connect(url)
        .await
        .expect("the PostgreSQL for tests answers");
    connection
        .execute_unprepared(statement)
        .await
        .expect("the superuser may do this");
    connection
        .close()
        .await
        .expect("a connection can be closed");
}

fn with_database(url: &str, name: &str) -> String {
    let (address, parameters) = url
        .split_once('?')
        .map_or((url, ""), |(address, rest)| (address, rest));
    let (scheme, rest) = address.split_once("://").expect("a URL");
    let host = rest.split('/').next().unwrap_or_default();
    let parameters = if parameters.is_empty() {
        String::new()
    } else {
        format!("?{parameters}")
    };
    format!("{scheme}://{host}/{name}{parameters}")
}

/// Makes two tests of each function, one for each database.
macro_rules! both_databases {
    ($($name:ident),* $(,)?) => {
        mod on_sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    crate::support::on(crate::support::DatabaseKind::Sqlite, super::$name()).await;
                }
            )*
        }
        mod on_postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    crate::support::on(crate::support::DatabaseKind::Postgres, super::$name()).await;
                }
            )*
        }
    };
}
