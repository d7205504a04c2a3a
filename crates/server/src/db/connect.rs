//! Opening the database, reading from it, closing it.

use std::fs::OpenOptions;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use rollcall_core::{BuiltInRole, Reach};
use sea_orm::sea_query::OnConflict;
use sea_orm::sqlx::ConnectOptions as _;
use sea_orm::sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sea_orm::sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
};
use sea_orm::{
    AccessMode, ActiveValue::Set, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr,
    EntityTrait, IsolationLevel, RuntimeErr, TransactionTrait as _,
};
use sea_orm_migration::MigratorTrait;
use tokio::sync::Mutex;

use super::entity::role;
use super::error::DbError;
use super::lock::ServerLock;
use super::migration::Migrator;
use super::sql::statement;
use super::writer::{self, BoxedAnswer, Share, Writer};

/// How long a write waits for its turn, and a reader for a connection, before it is refused as busy.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// How to open a database.
#[derive(Clone, Copy, Debug)]
pub struct DatabaseOptions {
    /// Take the lock that keeps a second server away. Command-line tools that may work beside a server
    /// do not.
    pub exclusive: bool,
    /// Connections that lists and counts are read by; half as many again for all other reads. On PostgreSQL, where each has
    /// a process of its own, so many others write.
    pub readers: u32,
}

impl Default for DatabaseOptions {
    fn default() -> Self {
        Self {
            exclusive: true,
            readers: 8,
        }
    }
}

impl DatabaseOptions {
    // Connections for views, and for all other reads.
    fn shares(self) -> (u32, u32) {
        let viewers = self.readers.max(1);
        (viewers, viewers.div_ceil(2))
    }
}

/// An open database. Clones share it.
#[derive(Clone)]
pub struct Database {
    inner: Arc<Inner>,
}

struct Inner {
    /// Of their own for what takes several statements: however many ask for lists, whoever ends a session or signs in
    /// does not wait behind them.
    viewer: DatabaseConnection,
    reader: DatabaseConnection,
    /// One connection that only the probe uses, so that it never waits behind requests.
    probe: DatabaseConnection,
    writer: Writer,
    /// How to open SQLite's file once more.
    sqlite: Option<SqliteConnectOptions>,
    lock: Mutex<Option<ServerLock>>,
}

/// The single-server lock of a database that is not open here.
pub struct DatabaseHold(ServerLock);

impl DatabaseHold {
    /// Lets go of it.
    pub async fn release(self) {
        self.0.release().await;
    }
}

impl std::fmt::Debug for DatabaseHold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DatabaseHold")
    }
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Database")
    }
}

/// Where a database is.
pub(super) enum Place {
    Sqlite(SqliteConnectOptions),
    Postgres(PgConnectOptions),
}

impl Place {
    /// Reads `sqlite:PATH`, `sqlite://PATH` or `postgres://…`.
    pub(super) fn parse(url: &str) -> Result<Self, DbError> {
        if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            let options = PgConnectOptions::from_str(url)
                .map_err(|_| DbError::custom("the database's URL cannot be read"))?
                .application_name("rollcall")
                .disable_statement_logging();
            return Ok(Self::Postgres(options));
        }
        if !url.starts_with("sqlite:") {
            return Err(DbError::custom(
                "the database's URL must begin with sqlite: or postgres:",
            ));
        }
        let options = SqliteConnectOptions::from_str(url)
            .map_err(|_| DbError::custom("the database's URL cannot be read"))?;
        if url.contains(":memory:") || url.contains("mode=memory") {
            return Err(DbError::custom(
                "SQLite needs a file here: readers and the writer have connections of their own",
            ));
        }
        Ok(Self::Sqlite(options.disable_statement_logging()))
    }
}

// For its owner alone from the first byte on, whatever the folder is; SQLite gives the mode of this file
// to those that it puts beside it. A file that is there keeps its mode.
fn create_privately(file: &Path) -> Result<(), DbError> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
        .open(file)
        .map(drop)
        .map_err(|_| DbError::Unreachable)
}

impl Database {
    /// Opens the database at `sqlite:PATH` or `postgres://…`, takes the single-server lock if
    /// `options.exclusive`, and brings the tables up to date.
    ///
    /// # Errors
    /// `Held` with a sentence that names who holds the lock; `Damaged` where a quick look at SQLite's file
    /// finds it torn; `Unreachable` where it cannot be opened.
    pub async fn connect(url: &str, options: DatabaseOptions) -> Result<Self, DbError> {
        let place = Place::parse(url)?;
        let lock = if options.exclusive {
            Some(ServerLock::take_patiently(&place).await?)
        } else {
            None
        };
        let inner = match place {
            Place::Sqlite(connect) => {
                create_privately(connect.get_filename())?;
                let open = connect
                    .journal_mode(SqliteJournalMode::Wal)
                    .synchronous(SqliteSynchronous::Full)
                    .foreign_keys(true)
                    .busy_timeout(PATIENCE)
                    .pragma("cache_size", "-16000")
                    // A burst of writes must not leave a large file behind for ever.
                    .pragma("journal_size_limit", "67108864");
                if std::fs::metadata(open.get_filename()).is_ok_and(|file| file.len() > 0) {
                    // Before anything is opened to be written: what is torn is not made worse.
                    let look = super::read_only::open_to_read(url).await?;
                    let sound = super::snapshot::check_quickly(&look).await;
                    look.close().await?;
                    sound?;
                }
                let connection = writer::open_sqlite(&open).await?;
                migrate(&connection, url, options.exclusive).await?;
                let read = |connections| {
                    SqlitePoolOptions::new()
                        .max_connections(connections)
                        .acquire_timeout(PATIENCE)
                        .idle_timeout(None)
                        .max_lifetime(None)
                        .test_before_acquire(false)
                        .connect_with(open.clone().read_only(true))
                };
                let (viewers, readers) = options.shares();
                let viewer = read(viewers).await.map_err(connect_error)?;
                let reader = read(readers).await.map_err(connect_error)?;
                let probe = read(1).await.map_err(connect_error)?;
                Inner {
                    viewer: viewer.into(),
                    reader: reader.into(),
                    probe: probe.into(),
                    writer: Writer::sqlite(connection, open.clone()),
                    sqlite: Some(open),
                    lock: Mutex::new(lock),
                }
            }
            Place::Postgres(connect) => {
                // Migrations may take longer than any other statement may.
                let migrator = single_postgres(connect.clone()).await?;
                super::search_index::prepare_extension(&migrator).await;
                migrate(&migrator, url, options.exclusive).await?;
                super::search_index::prepare_index(&migrator).await?;
                migrator.close().await?;
                let probe = single_postgres(connect.clone()).await?;
                let connect = connect.options([
                    ("statement_timeout", "10s"),
                    ("lock_timeout", "5s"),
                    ("idle_in_transaction_session_timeout", "15s"),
                    // Searches need a plan for the word at hand, and compiling costs more than it saves.
                    ("plan_cache_mode", "force_custom_plan"),
                    ("jit", "off"),
                    ("work_mem", "32MB"),
                ]);
                let pool = |connections: u32| {
                    // Without limits of time, which sqlx 0.8 keeps by counting idle connections: the count can be read
                    // while it is below zero for a moment, and a thread then counts to 2^64.
                    PgPoolOptions::new()
                        .max_connections(connections)
                        .acquire_timeout(PATIENCE)
                        .idle_timeout(None)
                        .max_lifetime(None)
                        .connect_with(connect.clone())
                };
                // Connections of their own, so that no number of readers keeps an end waiting.
                let (viewers, readers) = options.shares();
                let (viewer, reader, writer) =
                    tokio::try_join!(pool(viewers), pool(readers), pool(viewers))
                        .map_err(connect_error)?;
                Inner {
                    viewer: viewer.into(),
                    reader: reader.into(),
                    probe,
                    writer: Writer::Postgres(writer.into()),
                    sqlite: None,
                    lock: Mutex::new(lock),
                }
            }
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Takes the single-server lock of the database at this URL, and nothing else, for as long as the answer
    /// is kept.
    ///
    /// # Errors
    /// `Held` with a sentence that names who holds it.
    pub async fn hold(url: &str) -> Result<DatabaseHold, DbError> {
        let lock = ServerLock::take_patiently(&Place::parse(url)?).await?;
        Ok(DatabaseHold(lock))
    }

    /// Who holds the single-server lock of the database at this URL, as a sentence; `None` if nobody.
    pub async fn is_held(url: &str) -> Result<Option<String>, DbError> {
        match ServerLock::take(&Place::parse(url)?).await {
            Ok(lock) => {
                lock.release().await;
                Ok(None)
            }
            Err(DbError::Held(holder)) => Ok(Some(holder)),
            Err(error) => Err(error),
        }
    }

    /// The connections for reads of one statement. On SQLite they cannot write.
    pub fn reader(&self) -> &DatabaseConnection {
        &self.inner.reader
    }

    /// A look at the database as of one moment, for what several statements have to agree on: whatever is committed
    /// between two of them is in none. Dropping it ends it.
    ///
    /// # Errors
    /// Of the database.
    pub async fn view(&self) -> Result<DatabaseTransaction, DbError> {
        let viewer = &self.inner.viewer;
        // SQLite's transactions are like that by themselves, and its readers cannot write.
        Ok(match self.inner.sqlite {
            Some(_) => viewer.begin().await?,
            None => {
                let (level, mode) = (IsolationLevel::RepeatableRead, AccessMode::ReadOnly);
                viewer.begin_with_config(Some(level), Some(mode)).await?
            }
        })
    }

    /// Does `work` in a transaction. `Ok` commits it before this answers, `Err` leaves no trace of it.
    /// Dropping the answer does not stop the work.
    ///
    /// On SQLite one writer takes the work from a queue of 1,024, runs each in a savepoint of its own
    /// and commits together what waits. On PostgreSQL it has a transaction (read committed) of its own.
    ///
    /// # Errors
    /// What `work` answers; `Busy` where the queue is full or its turn does not come within 5 seconds
    /// (nothing was done then); `Unreachable` where the commit failed.
    pub async fn write<T, W>(&self, work: W) -> Result<T, DbError>
    where
        T: Send + 'static,
        W: for<'c> FnOnce(&'c DatabaseTransaction) -> BoxedAnswer<'c, T> + Send + 'static,
    {
        self.inner.writer.write(Share::Together, work).await
    }

    /// Like `write`; on SQLite, says whether others may be in the same transaction.
    ///
    /// # Errors
    /// Those of `write`.
    pub async fn write_as<T, W>(&self, share: Share, work: W) -> Result<T, DbError>
    where
        T: Send + 'static,
        W: for<'c> FnOnce(&'c DatabaseTransaction) -> BoxedAnswer<'c, T> + Send + 'static,
    {
        self.inner.writer.write(share, work).await
    }

    /// How many transactions that change much are worth beginning at once: SQLite has one writer.
    pub fn writes_at_once(&self) -> usize {
        match self.inner.sqlite {
            Some(_) => 1,
            None => 2,
        }
    }

    /// Asks for one stored row, within one second, and on PostgreSQL whether the lock is still ours.
    ///
    /// # Errors
    /// `Busy` if no answer came in time; `Held` if another server took over meanwhile; `Unreachable` for any
    /// other failure.
    pub async fn probe(&self) -> Result<(), DbError> {
        let ask = async {
            let probe = &self.inner.probe;
            let query = statement(probe, "SELECT id FROM installation", []);
            probe.query_one_raw(query).await?;
            if let Some(lock) = &mut *self.inner.lock.lock().await {
                lock.check().await?;
            }
            Ok(())
        };
        match tokio::time::timeout(Duration::from_secs(1), ask).await {
            Ok(Err(DbError::Held(holder))) => Err(DbError::Held(holder)),
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(DbError::Unreachable),
            Err(_) => Err(DbError::Busy),
        }
    }

    /// Moves what SQLite's log holds into its file and empties the log. After a large load that spares
    /// the next start, and every reader, a log as large as the load. Elsewhere there is nothing to do.
    pub async fn empty_log(&self) -> Result<(), DbError> {
        let Some(open) = &self.inner.sqlite else {
            return Ok(());
        };
        let connection = writer::open_sqlite(open).await?;
        let emptied = connection
            .execute_unprepared("PRAGMA wal_checkpoint(TRUNCATE)")
            .await;
        connection.close().await?;
        emptied?;
        Ok(())
    }

    /// Finishes the writes that wait, closes all connections and lets go of the lock. What is asked
    /// afterwards is answered `Unreachable`.
    pub async fn close(&self) {
        self.inner.writer.close().await;
        // Closing what is closed already is no error worth telling.
        let _ = self.inner.viewer.clone().close().await;
        let _ = self.inner.reader.clone().close().await;
        let _ = self.inner.probe.clone().close().await;
        if let Some(lock) = self.inner.lock.lock().await.take() {
            lock.release().await;
        }
    }
}

/// One connection to PostgreSQL that is kept for as long as it lasts.
pub(super) async fn single_postgres(
    options: PgConnectOptions,
) -> Result<DatabaseConnection, DbError> {
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(PATIENCE)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_with(options)
        .await
        .map_err(connect_error)?;
    Ok(pool.into())
}

/// Whatever keeps a first connection from opening means that the database cannot be reached, except
/// that PostgreSQL says why it does not let us in.
pub(super) fn connect_error(error: sea_orm::sqlx::Error) -> DbError {
    match DbError::from(DbErr::Conn(RuntimeErr::SqlxError(Arc::new(error)))) {
        DbError::Busy => DbError::Unreachable,
        other => other,
    }
}

async fn migrate(
    connection: &DatabaseConnection,
    url: &str,
    exclusive: bool,
) -> Result<(), DbError> {
    if !exclusive
        && !Migrator::get_pending_migrations_read_only(connection)
            .await?
            .is_empty()
        && let Some(holder) = Box::pin(Database::is_held(url)).await?
    {
        return Err(DbError::Held(holder));
    }
    Migrator::up(connection, None).await?;
    // Built-in roles are this server's own words: a newer server brings newer ones.
    role::Entity::insert_many(BuiltInRole::ALL.map(|built_in| role::ActiveModel {
        key: Set(built_in.key().to_owned()),
        name: Set(built_in.name().to_owned()),
        permissions: Set(built_in.permissions().bits().cast_signed()),
        reach: Set(reach_word(built_in.reach()).to_owned()),
        organisation_id: Set(None),
    }))
    .on_conflict(
        OnConflict::column(role::Column::Key)
            .update_columns([
                role::Column::Name,
                role::Column::Permissions,
                role::Column::Reach,
            ])
            .to_owned(),
    )
    .exec_without_returning(connection)
    .await?;
    Ok(())
}

/// How a reach is stored.
fn reach_word(reach: Reach) -> &'static str {
    match reach {
        Reach::All => "all",
        Reach::Own => "own",
    }
}
