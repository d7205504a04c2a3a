//! The token check of the benchmark with tower-sessions and its SQLite store: a session is read for each
//! request, its value is looked up, and the stored answer is sent.
//!
//! Arguments: address, database, sessions, file of the answer's body, file of its headers, file to write
//! the cookies of some sessions to, and of how many.

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use time::{Duration, OffsetDateTime};
use tower_sessions::session::{Id, Record};
use tower_sessions::{Session, SessionManagerLayer, SessionStore};
use tower_sessions_sqlx_store::SqliteStore;
use tower_sessions_sqlx_store::sqlx::SqlitePool;
use tower_sessions_sqlx_store::sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous,
};

const KEY: &str = "user";

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [address, database, count, body, headers, cookies, some] = arguments.as_slice() else {
        anyhow::bail!("seven arguments are needed");
    };
    let options = SqliteConnectOptions::new()
        .filename(database)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal);
    let store = SqliteStore::new(SqlitePool::connect_with(options).await?);
    store.migrate().await?;
    let (count, some): (usize, usize) = (count.parse()?, some.parse()?);
    let mut lines = String::new();
    for number in 0..count {
        let mut record = Record {
            id: Id::default(),
            data: [(KEY.to_owned(), format!("user{number}@bench.example").into())].into(),
            expiry_date: OffsetDateTime::now_utc() + Duration::days(1),
        };
        store.create(&mut record).await?;
        if number % count.div_ceil(some) == 0 {
            lines.push_str(&format!("Cookie: id={}\n", record.id));
        }
    }
    std::fs::write(cookies, lines)?;

    let body = Bytes::from(std::fs::read(body)?);
    let mut kept = HeaderMap::new();
    for line in std::fs::read_to_string(headers)?.lines() {
        let (name, value) = line.split_once(": ").context("a header a line")?;
        kept.append(HeaderName::try_from(name)?, HeaderValue::try_from(value)?);
    }
    let answer = move |session: Session| async move {
        match session.get::<String>(KEY).await {
            Ok(Some(_)) => {
                let mut response: Response = body.into_response();
                *response.headers_mut() = kept;
                response
            }
            _ => StatusCode::UNAUTHORIZED.into_response(),
        }
    };
    let sessions = SessionManagerLayer::new(store);
    let router = Router::new()
        .route("/api/v1/me", get(answer))
        .layer(sessions);
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("ready");
    axum::serve(listener, router).await?;
    Ok(())
}
