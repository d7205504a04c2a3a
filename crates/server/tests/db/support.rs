//! A database for each test, made by the migrations: SQLite in a temporary folder, and PostgreSQL when
//! `ROLLCALL_TEST_POSTGRES` is the URL of a superuser.

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use rollcall_core::{Kind, Method, OrganisationId, SessionId, Timestamp, UserId};
use rollcall_server::db::{self, Database, DatabaseOptions, NewUser, SessionRecord};
use sea_orm::{ConnectionTrait, DatabaseConnection};
use uuid::Uuid;

/// The moment at which tests begin.
pub const START: Timestamp = Timestamp(1_760_000_000_000_000);

pub const fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}

pub struct Rig {
    pub db: Database,
    pub url: String,
    pub is_sqlite: bool,
    _folder: Option<tempfile::TempDir>,
    drop_from: Option<(DatabaseConnection, String)>,
}

static NEXT: AtomicU64 = AtomicU64::new(1);

/// Ids that differ within a run, and follow each other in time.
pub fn fresh_id() -> Uuid {
    Uuid::from_u128(
        0x0199_0000_0000_7000_8000_0000_0000_0000
            + u128::from(NEXT.fetch_add(1, Ordering::Relaxed)),
    )
}

/// Runs a test on every database there is.
pub async fn on_each(test: impl AsyncFn(&Rig)) {
    for rig in [Some(Rig::sqlite().await), Rig::postgres().await]
        .into_iter()
        .flatten()
    {
        let outcome = AssertUnwindSafe(test(&rig)).catch_unwind().await;
        let name = if rig.is_sqlite {
            "SQLite"
        } else {
            "PostgreSQL"
        };
        rig.stop().await;
        if let Err(panic) = outcome {
            eprintln!("this was on {name}");
            resume_unwind(panic);
        }
    }
}

impl Rig {
    pub async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("rollcall.db").display());
        Self {
            db: Database::connect(&url, DatabaseOptions::default())
                .await
                .unwrap(),
            url,
            is_sqlite: true,
            _folder: Some(folder),
            drop_from: None,
        }
    }

    pub async fn postgres() -> Option<Self> {
        static SAID: std::sync::Once = std::sync::Once::new();
        let Ok(superuser) = std::env::var("ROLLCALL_TEST_POSTGRES") else {
            SAID.call_once(|| {
                eprintln!("ROLLCALL_TEST_POSTGRES is not set: these tests run on SQLite only")
            });
            return None;
        };
        let name = format!(
            "rollcall_test_{}_{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let mut options = sea_orm::ConnectOptions::new(&superuser);
        options.max_connections(1).sqlx_logging(false);
        let admin = sea_orm::Database::connect(options).await.unwrap();
        admin
            .execute_unprepared(&format!("CREATE DATABASE {name} TEMPLATE template0"))
            .await
            .unwrap();
        let server = superuser.rsplit_once('/').unwrap().0;
        let url = format!("{server}/{name}");
        let options = DatabaseOptions {
            readers: 2,
            ..DatabaseOptions::default()
        };
        Some(Self {
            db: Database::connect(&url, options).await.unwrap(),
            url,
            is_sqlite: false,
            _folder: None,
            drop_from: Some((admin, name)),
        })
    }

    pub async fn stop(self) {
        self.db.close().await;
        if let Some((admin, name)) = self.drop_from {
            admin
                .execute_unprepared(&format!("DROP DATABASE {name} WITH (FORCE)"))
                .await
                .unwrap();
            admin.close().await.unwrap();
        }
    }

    pub fn reader(&self) -> &DatabaseConnection {
        self.db.reader()
    }

    /// Runs SQL as it stands, for states that no function makes.
    pub async fn sql(&self, text: impl Into<String>) -> u64 {
        let text = text.into();
        self.db
            .write(move |c| {
                Box::pin(async move { Ok(c.execute_unprepared(&text).await?.rows_affected()) })
            })
            .await
            .unwrap()
    }

    pub async fn organisation(&self, name: &str) -> OrganisationId {
        let id = OrganisationId(fresh_id());
        let name = name.to_owned();
        self.db
            .write(move |c| {
                Box::pin(async move { db::organisations::create(c, id, &name, START).await })
            })
            .await
            .unwrap();
        id
    }

    pub async fn user(&self, organisation: OrganisationId, email: &str) -> UserId {
        let new = new_user(organisation, email);
        let id = new.id;
        self.db
            .write(move |c| Box::pin(async move { db::users::create(c, &new).await }))
            .await
            .unwrap();
        id
    }

    pub async fn insert(&self, session: &SessionRecord, email: &str) {
        let (session, email) = (session.clone(), email.to_owned());
        self.db
            .write(move |c| {
                Box::pin(async move { db::sessions::insert(c, &session, &email).await })
            })
            .await
            .unwrap();
    }
}

/// Writes, in the shape of one expression: `write!(rig, |c| db::users::count(c).await)`.
#[macro_export]
macro_rules! write_db {
    ($rig:expr, |$c:ident| $work:expr) => {
        $rig.db
            .write(move |$c| Box::pin(async move { $work }))
            .await
    };
}

pub fn new_user(organisation: OrganisationId, email: &str) -> NewUser {
    NewUser {
        id: UserId(fresh_id()),
        organisation_id: organisation,
        email: email.to_owned(),
        name: email.split('@').next().unwrap().to_owned(),
        role_key: "member".into(),
        service_account: false,
        password_hash: Some("$argon2id$…".into()),
        password_change_required: false,
        created_at: START,
    }
}

pub fn hash_of(id: Uuid, salt: u8) -> [u8; 32] {
    let mut hash = [salt; 32];
    hash[..16].copy_from_slice(id.as_bytes());
    hash
}

/// A session of half an hour idle and a day in all.
pub fn new_session(user: UserId, organisation: OrganisationId, at: Timestamp) -> SessionRecord {
    let id = fresh_id();
    SessionRecord {
        id: SessionId(id),
        user_id: user,
        organisation_id: organisation,
        lineage_hash: hash_of(id, 1),
        secret_hash: hash_of(id, 2),
        rotation_key: hash_of(id, 3),
        generation: 0,
        first_used_at: Some(at),
        name: "Firefox on Linux".into(),
        kind: Kind::Console,
        method: Method::Password,
        keep: false,
        ip: "192.0.2.7".into(),
        user_agent: "Mozilla/5.0".into(),
        browser: "Firefox 144".into(),
        system: "Linux".into(),
        server_name: "LOCAL".into(),
        created_at: at,
        authenticated_at: at,
        last_activity_at: at,
        idle_timeout_seconds: 1_800,
        idle_expires_at: at + seconds(1_800),
        absolute_expires_at: at + seconds(86_400),
        ended: None,
    }
}

/// Deletes up to `limit` sessions that ended before a moment; answers how many.
pub(crate) async fn purge_ended(
    connection: &impl sea_orm::ConnectionTrait,
    before: rollcall_core::Timestamp,
    limit: u64,
) -> Result<u64, db::DbError> {
    let first = (i64::MIN, i64::MIN);
    let found = db::sessions::ended_too_long_ago(connection, before, 0, 0, first, limit).await?;
    let mut gone = 0;
    for some in found.due.chunks(1_000) {
        gone += db::sessions::purge(connection, some).await?;
    }
    Ok(gone)
}
