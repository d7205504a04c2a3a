//! Databases to measure on.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use rollcall_core::{BuiltInRole, Kind, Method, OrganisationId, SessionId, Timestamp, UserId};
use rollcall_server::clock::{Clock, OsRandom, Random, SystemClock, uuid_v7};
use rollcall_server::db::{self, Database, DatabaseOptions, NewUser, SessionRecord};
use rollcall_server::demo;
use rollcall_server::service::password::{Hasher, Password};
use rollcall_server::service::token::Token;
use sea_orm::ConnectionTrait;

/// Opens a database beside whatever else works on it.
pub async fn open(url: &str) -> Result<Database> {
    let options = DatabaseOptions {
        exclusive: false,
        ..DatabaseOptions::default()
    };
    Ok(Database::connect(url, options).await?)
}

/// The URL of a SQLite file in a folder.
pub fn sqlite(folder: &Path) -> String {
    format!("sqlite:{}", folder.join("rollcall.db").display())
}

/// A folder with so many invented sessions of 50,000 users; kept from one run to the next.
pub async fn rows(data: &Path, count: u32) -> Result<PathBuf> {
    let folder = data.join(format!("rows-{count}"));
    if !folder.join("demo").exists() {
        // What an earlier run did not finish is made anew.
        let _ = std::fs::remove_dir_all(&folder);
        fill(&folder, &sqlite(&folder), count).await?;
    }
    Ok(folder)
}

/// Fills the database at `url` with invented sessions.
pub async fn fill(folder: &Path, url: &str, count: u32) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    eprintln!("==> storing {count} invented sessions");
    let db = open(url).await?;
    let clock = SystemClock::default();
    demo::fill(&db, folder, count, &clock, Arc::new(OsRandom)).await?;
    settle(&db).await?;
    db.close().await;
    Ok(())
}

/// Has PostgreSQL learn what it would know after some hours by itself.
async fn settle(db: &Database) -> Result<()> {
    if db.reader().get_database_backend() == sea_orm::DbBackend::Postgres {
        db.reader().execute_unprepared("VACUUM ANALYZE").await?;
    }
    Ok(())
}

/// The URL of the database of this name on a PostgreSQL, if there is one.
pub async fn postgres_kept(superuser: &str, name: &str) -> Result<Option<String>> {
    let server = sea_orm::Database::connect(superuser).await?;
    let statement = sea_orm::Statement::from_sql_and_values(
        sea_orm::DbBackend::Postgres,
        "SELECT 1 FROM pg_database WHERE datname = $1",
        [name.into()],
    );
    let there = server.query_one_raw(statement).await?.is_some();
    server.close().await?;
    there.then(|| beside(superuser, name)).transpose()
}

fn beside(superuser: &str, name: &str) -> Result<String> {
    let (base, _) = superuser
        .rsplit_once('/')
        .context("a URL with a database")?;
    Ok(format!("{base}/{name}"))
}

/// Makes a database of this name on a PostgreSQL, and answers its URL.
pub async fn postgres(superuser: &str, name: &str) -> Result<String> {
    let server = sea_orm::Database::connect(superuser).await?;
    let backend = sea_orm::DbBackend::Postgres;
    for statement in [
        format!("DROP DATABASE IF EXISTS {name}"),
        format!("CREATE DATABASE {name}"),
    ] {
        server
            .execute_raw(sea_orm::Statement::from_string(backend, statement))
            .await?;
    }
    server.close().await?;
    beside(superuser, name)
}

/// Live sessions whose tokens are known.
pub struct Live {
    /// The database.
    pub url: String,
    /// The password of every user.
    pub password: String,
    /// The users' e-mails.
    pub emails: Vec<String>,
    /// A token of each session.
    pub tokens: Vec<String>,
    /// A user with 10,000 sessions besides.
    pub many: UserId,
    /// The token of a Platform administrator.
    pub administrator: String,
}

/// The e-mail of the Platform administrator.
pub const ROOT: &str = "root@bench.example";

/// The sessions of the user who has many.
pub const MANY: u32 = 10_000;

/// How long after one session the next begins: ids and numbers follow time, as they do where people sign in.
const APART: std::time::Duration = std::time::Duration::from_micros(100);

/// Stores live sessions in an empty database. Their tokens were first used `age_seconds` ago, or somewhat earlier.
pub async fn live(url: &str, count: u32, age_seconds: u64) -> Result<Live> {
    eprintln!("==> storing {count} live sessions");
    let db = open(url).await?;
    let now = SystemClock::default().now();
    let created = now - std::time::Duration::from_secs(age_seconds);
    let organisation = OrganisationId(uuid_v7(&OsRandom, now));
    db.write(move |tx| {
        Box::pin(async move { db::organisations::create(tx, organisation, "Bench", now).await })
    })
    .await?;
    let (password, text) = Password::one_time(&OsRandom);
    let hash = Hasher::new(1, &OsRandom).hash_now(&password, &OsRandom);
    let user = |email: String, role| user(organisation, email, role, &hash, created);
    let members: Vec<_> = (0..(count / 20).max(1))
        .map(|number| user(format!("user{number}@bench.example"), BuiltInRole::Member))
        .collect();
    let many = user("many@bench.example".to_owned(), BuiltInRole::Member);
    let root = user(ROOT.to_owned(), BuiltInRole::PlatformAdministrator);
    let everyone: Vec<_> = members.iter().chain([&many, &root]).cloned().collect();
    let owners: Vec<_> = (0..count as usize)
        .map(|number| &members[number % members.len()])
        .chain((0..MANY).map(|_| &many))
        .chain([&root])
        .map(|user| (user.id, user.email.clone()))
        .collect();
    let first = created - APART * u32::try_from(owners.len())?;
    let rows: Vec<_> = (0..)
        .zip(owners)
        .map(|(number, (user, email))| {
            let (token, record) = session(user, organisation, first + APART * number);
            (token.expose().to_string(), (record, email))
        })
        .collect();
    db::bulk::insert_users(&db, everyone).await?;
    let (mut tokens, records): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
    db::bulk::insert_sessions(&db, records).await?;
    settle(&db).await?;
    db.close().await;
    let administrator = tokens
        .pop()
        .context("the last session is the administrator's")?;
    tokens.truncate(count as usize);
    Ok(Live {
        url: url.to_owned(),
        password: text.to_string(),
        emails: members.into_iter().map(|user| user.email).collect(),
        tokens,
        many: many.id,
        administrator,
    })
}

/// Whether every session that an end of everything has ended is stored as such.
pub async fn is_settled(db: &Database) -> Result<bool> {
    let reader = db.reader();
    let statement = sea_orm::Statement::from_string(
        reader.get_database_backend(),
        "SELECT settled FROM installation",
    );
    let row = reader.query_one_raw(statement).await?;
    Ok(row
        .context("there is an installation")?
        .try_get("", "settled")?)
}

/// A user to be stored, who is called like the e-mail.
pub fn user(
    organisation: OrganisationId,
    email: String,
    role: BuiltInRole,
    hash: &str,
    created: Timestamp,
) -> NewUser {
    NewUser {
        id: UserId(uuid_v7(&OsRandom, created)),
        organisation_id: organisation,
        name: email.clone(),
        email,
        role_key: role.key().to_owned(),
        service_account: false,
        password_hash: Some(hash.to_owned()),
        password_change_required: false,
        created_at: created,
    }
}

/// A session to be stored, which lives for a day from `created` on and whose token was first used then.
pub fn session(
    user: UserId,
    organisation: OrganisationId,
    created: Timestamp,
) -> (Token, SessionRecord) {
    let token = Token::generate(&OsRandom);
    let mut rotation_key = [0; 32];
    OsRandom.fill(&mut rotation_key);
    let day = std::time::Duration::from_secs(86_400);
    let record = SessionRecord {
        id: SessionId(uuid_v7(&OsRandom, created)),
        user_id: user,
        organisation_id: organisation,
        lineage_hash: token.lineage_hash(),
        secret_hash: token.secret_hash(),
        rotation_key,
        generation: 0,
        first_used_at: Some(created),
        name: "measured".to_owned(),
        kind: Kind::Api,
        method: Method::Password,
        keep: false,
        ip: "203.0.113.7".to_owned(),
        user_agent: "measured/1.0".to_owned(),
        browser: "measured 1.0".to_owned(),
        system: "Linux".to_owned(),
        server_name: "measured".to_owned(),
        authenticated_at: created,
        created_at: created,
        last_activity_at: created,
        idle_timeout_seconds: 86_400,
        idle_expires_at: created + day,
        absolute_expires_at: created + day,
        ended: None,
    };
    (token, record)
}
