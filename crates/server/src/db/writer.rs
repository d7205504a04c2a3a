//! Changing the database.
//!
//! SQLite has one writer: a task with one connection takes work from a bounded queue, begins
//! (`BEGIN IMMEDIATE`), runs everything that waits, each in a savepoint of its own, commits once and
//! answers all. Work that comes in parts and takes long has a transaction of its own: nobody's write waits for a
//! part that began after it. A failed commit is answered to everyone in it, the connection is opened anew, and the
//! task goes on.

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sea_orm::{
    DatabaseConnection, DatabaseTransaction, SqliteTransactionMode, TransactionOptions,
    TransactionTrait,
};
use tokio::sync::{mpsc, oneshot};

use super::connect::{PATIENCE, connect_error};
use super::error::DbError;

/// What work answers.
pub type BoxedAnswer<'c, T> = Pin<Box<dyn Future<Output = Result<T, DbError>> + Send + 'c>>;

/// Writes that may wait.
const QUEUE: usize = 1_024;
/// How long one commit gathers what already waits.
const GATHER: Duration = Duration::from_millis(5);
/// How long opening the file may take.
pub(super) const RECOVERY: Duration = Duration::from_secs(120);
/// The most that one commit holds.
const BATCH: usize = 256;

/// With whom a transaction is shared on SQLite.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Share {
    /// With whoever waits: one commit for all.
    Together,
    /// With nobody: parts of something long, each of which takes some hundredths of a second.
    Alone,
}

pub(super) enum Writer {
    Sqlite(mpsc::Sender<Message>),
    Postgres(DatabaseConnection),
}

pub(super) enum Message {
    Job(Box<dyn Job>),
    Close(oneshot::Sender<()>),
}

/// Opens the one connection that writes.
pub(super) async fn open_sqlite(
    options: &SqliteConnectOptions,
) -> Result<DatabaseConnection, DbError> {
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        // After a crash the first connection reads the whole log, which may be large.
        .acquire_timeout(RECOVERY)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        // Ending thousands of sessions at once changes tens of megabytes of indexes; with less they would be
        // written and read again before the commit. Only what is used is taken. What a commit adds to the log is
        // moved into the file once it is 64 MB: pages that lie far apart cost eight times as much there, and a
        // burst changes many of them again and again. The file then stays within `journal_size_limit`. Each
        // job has a savepoint, for which SQLite keeps the pages as they were: in memory, not in a file of
        // their own, which would be written for nothing.
        .connect_with(
            options
                .clone()
                .pragma("cache_size", "-64000")
                .pragma("temp_store", "MEMORY")
                .pragma("wal_autocheckpoint", "16000"),
        )
        .await
        .map_err(connect_error)?;
    Ok(pool.into())
}

impl Writer {
    pub(super) fn sqlite(connection: DatabaseConnection, options: SqliteConnectOptions) -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let task = Task {
            connection: Some(connection),
            options,
            receiver,
        };
        tokio::spawn(task.run());
        Self::Sqlite(sender)
    }

    pub(super) async fn write<T, W>(&self, share: Share, work: W) -> Result<T, DbError>
    where
        T: Send + 'static,
        W: for<'c> FnOnce(&'c DatabaseTransaction) -> BoxedAnswer<'c, T> + Send + 'static,
    {
        match self {
            Self::Sqlite(queue) => enqueue(queue, share, work).await,
            Self::Postgres(pool) => {
                let pool = pool.clone();
                // A task of its own: a caller that goes away never cuts a transaction in half.
                tokio::spawn(async move {
                    let transaction = pool.begin().await?;
                    match unpanicked(async { work(&transaction).await }).await {
                        Ok(value) => {
                            transaction.commit().await?;
                            Ok(value)
                        }
                        Err(error) => {
                            // Where this fails the connection is gone, and the transaction with it.
                            let _ = transaction.rollback().await;
                            Err(error)
                        }
                    }
                })
                .await
                .unwrap_or(Err(DbError::Unreachable))
            }
        }
    }

    pub(super) async fn close(&self) {
        match self {
            Self::Sqlite(queue) => {
                let (sender, closed) = oneshot::channel();
                if queue.send(Message::Close(sender)).await.is_ok() {
                    // An error means that the task has ended by itself.
                    let _ = closed.await;
                }
            }
            Self::Postgres(pool) => {
                // Closing what is closed already is no error worth telling.
                let _ = pool.clone().close().await;
            }
        }
    }
}

async fn enqueue<T, W>(queue: &mpsc::Sender<Message>, share: Share, work: W) -> Result<T, DbError>
where
    T: Send + 'static,
    W: for<'c> FnOnce(&'c DatabaseTransaction) -> BoxedAnswer<'c, T> + Send + 'static,
{
    let (sender, mut answer) = oneshot::channel();
    let claimed = Arc::new(AtomicBool::new(false));
    let job = TypedJob {
        work: Some(work),
        result: None,
        sender,
        claimed: Arc::clone(&claimed),
        share,
    };
    match queue.try_send(Message::Job(Box::new(job))) {
        Ok(()) => {}
        Err(mpsc::error::TrySendError::Full(_)) => return Err(DbError::Busy),
        Err(mpsc::error::TrySendError::Closed(_)) => return Err(DbError::Unreachable),
    }
    let first = tokio::time::timeout(PATIENCE, &mut answer).await;
    let received = match first {
        Ok(received) => received,
        // Whoever sets the flag first decides: the task that it runs, or we that it never will.
        Err(_) if !claimed.swap(true, Ordering::AcqRel) => return Err(DbError::Busy),
        Err(_) => answer.await,
    };
    received.unwrap_or(Err(DbError::Unreachable))
}

/// Work of any answer, as the task sees it.
pub(super) trait Job: Send {
    /// With whom it shares a transaction.
    fn share(&self) -> Share;
    /// True if the caller still waits; from then on the work must be answered.
    fn claim(&self) -> bool;
    /// Does the work and keeps its result; true if it wants to be kept.
    fn run<'c>(
        &'c mut self,
        savepoint: &'c DatabaseTransaction,
    ) -> Pin<Box<dyn Future<Output = bool> + Send + 'c>>;
    /// Answers: the result, or the error of the transaction that it was part of.
    fn answer(self: Box<Self>, committed: Result<(), DbError>);
}

struct TypedJob<T, W> {
    work: Option<W>,
    result: Option<Result<T, DbError>>,
    sender: oneshot::Sender<Result<T, DbError>>,
    claimed: Arc<AtomicBool>,
    share: Share,
}

impl<T, W> Job for TypedJob<T, W>
where
    T: Send + 'static,
    W: for<'c> FnOnce(&'c DatabaseTransaction) -> BoxedAnswer<'c, T> + Send + 'static,
{
    fn share(&self) -> Share {
        self.share
    }

    fn claim(&self) -> bool {
        !self.claimed.swap(true, Ordering::AcqRel)
    }

    fn run<'c>(
        &'c mut self,
        savepoint: &'c DatabaseTransaction,
    ) -> Pin<Box<dyn Future<Output = bool> + Send + 'c>> {
        Box::pin(async move {
            let Some(work) = self.work.take() else {
                return false;
            };
            let result = unpanicked(async { work(savepoint).await }).await;
            let keep = result.is_ok();
            self.result = Some(result);
            keep
        })
    }

    fn answer(self: Box<Self>, committed: Result<(), DbError>) {
        let result = match (committed, self.result) {
            // Its own error stands, whatever became of the others.
            (_, Some(Err(error))) => Err(error),
            (Ok(()), Some(result)) => result,
            (Ok(()), None) => Err(DbError::Unreachable),
            (Err(error), _) => Err(error),
        };
        // Nobody may be waiting any more.
        let _ = self.sender.send(result);
    }
}

/// Turns a panic in the work into an error, so that it takes nothing else with it.
async fn unpanicked<T>(work: impl Future<Output = Result<T, DbError>>) -> Result<T, DbError> {
    AssertUnwindSafe(work)
        .catch_unwind()
        .await
        .unwrap_or_else(|panic: Box<dyn Any + Send>| {
            drop(panic);
            Err(DbError::custom("a write panicked"))
        })
}

struct Task {
    connection: Option<DatabaseConnection>,
    options: SqliteConnectOptions,
    receiver: mpsc::Receiver<Message>,
}

impl Task {
    async fn run(mut self) {
        let mut closing = None;
        let mut left = None;
        while closing.is_none() {
            let message = match left.take() {
                Some(job) => Message::Job(job),
                None => match self.receiver.recv().await {
                    Some(message) => message,
                    None => break,
                },
            };
            match message {
                Message::Job(job) => (closing, left) = self.batch(job).await,
                Message::Close(sender) => closing = Some(sender),
            }
        }
        self.receiver.close();
        while let Ok(message) = self.receiver.try_recv() {
            if let Message::Job(job) = message
                && job.claim()
            {
                job.answer(Err(DbError::Unreachable));
            }
        }
        if let Some(connection) = self.connection.take() {
            let _ = connection.close().await;
        }
        if let Some(sender) = closing {
            let _ = sender.send(());
        }
    }

    /// Runs and commits a job and what may share its transaction. Answers who wants us to stop, or a job that has been
    /// taken from the queue and is next.
    async fn batch(
        &mut self,
        first: Box<dyn Job>,
    ) -> (Option<oneshot::Sender<()>>, Option<Box<dyn Job>>) {
        let (outer, connection) = match self.begin().await {
            Ok(begun) => begun,
            Err(error) => {
                if first.claim() {
                    first.answer(Err(error));
                }
                return (None, None);
            }
        };
        let begun = Instant::now();
        let mut ran: Vec<Box<dyn Job>> = Vec::new();
        let mut next = Some(first);
        let mut closing = None;
        let mut left = None;
        let mut broken = None;
        while let Some(mut job) = next.take() {
            let alone = job.share() == Share::Alone;
            if job.claim() {
                let outcome = in_savepoint(&outer, &mut job).await;
                ran.push(job);
                if let Err(error) = outcome {
                    // SQLite has rolled back everything (a full disk does that): nothing here happened.
                    broken = Some(error);
                    break;
                }
            }
            if alone || ran.len() >= BATCH || begun.elapsed() >= GATHER {
                break;
            }
            match self.receiver.try_recv() {
                // Those who have been served are answered first.
                Ok(Message::Job(job)) if job.share() == Share::Alone => left = Some(job),
                Ok(Message::Job(job)) => next = Some(job),
                Ok(Message::Close(sender)) => closing = Some(sender),
                Err(_) => {}
            }
        }
        let committed = match broken {
            Some(error) => {
                drop(outer);
                Err(error)
            }
            None => outer.commit().await.map_err(DbError::from),
        };
        match committed {
            Ok(()) => {
                self.connection = Some(connection);
                ran.into_iter().for_each(|job| job.answer(Ok(())));
            }
            Err(error) => {
                // Whatever state the connection is in, a new one has none.
                let _ = connection.close().await;
                ran.into_iter()
                    .for_each(|job| job.answer(Err(again(&error))));
            }
        }
        (closing, left)
    }

    async fn begin(&mut self) -> Result<(DatabaseTransaction, DatabaseConnection), DbError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => open_sqlite(&self.options).await?,
        };
        let immediate = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        match connection.begin_with_options(immediate).await {
            Ok(transaction) => Ok((transaction, connection)),
            Err(error) => {
                let error = DbError::from(error);
                if matches!(error, DbError::Busy) {
                    self.connection = Some(connection);
                } else {
                    let _ = connection.close().await;
                }
                Err(error)
            }
        }
    }
}

/// An error here means that the transaction as a whole is lost.
async fn in_savepoint(outer: &DatabaseTransaction, job: &mut Box<dyn Job>) -> Result<(), DbError> {
    let savepoint = outer.begin().await?;
    if job.run(&savepoint).await {
        savepoint.commit().await?;
    } else {
        savepoint.rollback().await?;
    }
    Ok(())
}

// The same error for each of those who share a transaction.
fn again(error: &DbError) -> DbError {
    match error {
        DbError::Busy => DbError::Busy,
        DbError::Damaged => DbError::Damaged,
        DbError::Other(error) => DbError::Other(error.clone()),
        _ => DbError::Unreachable,
    }
}
