//! The rules: who may do what, when a session lives, how tokens rotate, what is audited.
//!
//! **Invariant:** no axum, no JSON, no SQL. Each method authorises on its first line, changes the
//! database in one transaction together with its audit event, and only then touches the cache, in
//! `write_then`: a client that hangs up takes its answer with it, never the consequences.

pub mod account;
pub mod activity;
mod addresses;
pub mod admin;
pub mod applications;
pub mod audit;
pub mod authenticate;
pub mod back_channel;
pub mod cache;
pub mod caller;
mod choosing;
pub mod clients;
mod devices;
pub mod effects;
pub mod ending;
pub mod executions;
pub mod export;
pub mod facts;
pub mod first_start;
mod forgotten;
pub mod forward_auth;
pub mod handover;
mod integrations_request;
mod keys;
pub mod limits;
mod mail;
mod mail_request;
pub mod many;
mod messages;
mod names;
mod openid;
mod opening;
pub mod organisations;
pub mod password;
pub mod people;
mod people_request;
pub mod policy;
mod providers;
mod reauthentication;
mod receivers;
mod reported;
pub mod request;
pub mod roles;
mod saved_filters;
pub mod secret;
pub mod sessions;
pub mod sign_in;
mod sign_on_request;
pub mod signing;
pub mod single_sign_on;
mod stopping;
mod streams;
mod telling;
pub mod throttle;
pub mod token;
pub mod upkeep;
mod user_acts;
pub mod user_agent;
mod work_request;
mod workers;
pub mod zones;

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use rollcall_core::{Error, Kind, ProviderKey, SaveProvider, Timestamp};
use sea_orm::DatabaseTransaction;

use crate::clock::{Clock, Random};
use crate::config::mail::MailConfig;
use crate::config::outbound::AllowedTarget;
use crate::config::protect::ProtectRule;
use crate::db::{Database, DbError, Share};
use crate::outbound::Outbound;

pub use caller::Caller;
pub use effects::Effects;
pub use facts::{Presented, RequestFacts};
pub(crate) use providers::checked as checked_provider;
pub use request::{Door, RequestBackend};

/// How long sessions of one sort live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Ends a session that is not used for so long.
    pub idle: Duration,
    /// Ends a session in any case.
    pub absolute: Duration,
}

/// What the rules need to know from the settings.
#[derive(Clone, Debug)]
pub struct ServiceConfig {
    /// How long after its first use a token rotates; at least 10 seconds.
    pub rotate_every: Duration,
    /// Timeouts of ordinary sessions (30 minutes, 24 hours).
    pub timeouts: Timeouts,
    /// Timeouts with "keep me signed in" (14 days, 30 days).
    pub keep_timeouts: Timeouts,
    /// Timeouts of connected clients (5 minutes, 30 days).
    pub client_timeouts: Timeouts,
    /// How long ended sessions are kept (90 days).
    pub retention: Duration,
    /// The least length of a new password, in characters (15).
    pub password_min_length: u32,
    /// So many wrong passwords in a row lock an account (5).
    pub lock_after: u32,
    /// A lock opens by itself after so long; never, unless set.
    pub unlock_after: Option<Duration>,
    /// So many sign-ins from one address may fail within `throttle_window` (20 in 5 minutes).
    pub throttle_failures: usize,
    /// See `throttle_failures`.
    pub throttle_window: Duration,
    /// The name stored with each session as the server that made it.
    pub server_name: String,
    /// The zone that pages show where neither user nor browser says one.
    pub time_zone: chrono_tz::Tz,
    /// Whom people can ask.
    pub support_contact: Option<String>,
    /// What is open to whom on the hosts that ask about each request.
    pub protect: Vec<ProtectRule>,
    /// What is connected to although it is not on the public internet.
    pub allow_outbound: Vec<AllowedTarget>,
    /// Where people reach this server, as its address begins: `https://rollcall.example`. Without it nobody signs in
    /// elsewhere, and security event tokens have no issuer.
    pub public_origin: Option<String>,
    /// Identity providers that files set up.
    pub identity_providers: Vec<(ProviderKey, SaveProvider)>,
    /// How mails are sent, if they are.
    pub mail: Option<MailConfig>,
    /// The folder of secrets; `secrets` in the data folder, if there is none.
    pub secrets_dir: Option<PathBuf>,
    /// The folder of `audit.key` and `audit.head`.
    pub data_dir: PathBuf,
    /// How many passwords are hashed at once; about the number of processors.
    pub hash_slots: usize,
    /// How many live sessions are kept in memory.
    pub cache_capacity: usize,
}

impl ServiceConfig {
    /// The defaults, with the audit files in `data_dir`.
    pub fn new(data_dir: PathBuf) -> Self {
        const MINUTE: u64 = 60;
        const DAY: u64 = 24 * 60 * MINUTE;
        let timeouts = |idle, absolute| Timeouts {
            idle: Duration::from_secs(idle),
            absolute: Duration::from_secs(absolute),
        };
        Self {
            rotate_every: Duration::from_secs(5 * MINUTE),
            timeouts: timeouts(30 * MINUTE, DAY),
            keep_timeouts: timeouts(14 * DAY, 30 * DAY),
            client_timeouts: timeouts(5 * MINUTE, 30 * DAY),
            retention: Duration::from_secs(90 * DAY),
            password_min_length: 15,
            lock_after: 5,
            unlock_after: None,
            throttle_failures: 20,
            throttle_window: Duration::from_secs(5 * MINUTE),
            server_name: "LOCAL".to_owned(),
            time_zone: chrono_tz::UTC,
            support_contact: None,
            protect: Vec::new(),
            allow_outbound: Vec::new(),
            public_origin: None,
            identity_providers: Vec::new(),
            mail: None,
            secrets_dir: None,
            data_dir,
            hash_slots: std::thread::available_parallelism().map_or(2, usize::from),
            cache_capacity: 200_000,
        }
    }

    /// The timeouts for a session of this kind.
    pub fn timeouts_for(&self, kind: Kind, keep: bool) -> Timeouts {
        match (kind, keep) {
            (Kind::Client, _) => self.client_timeouts,
            (_, true) => self.keep_timeouts,
            (_, false) => self.timeouts,
        }
    }
}

/// The service. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Service {
    inner: Arc<Inner>,
}

struct Inner {
    config: ServiceConfig,
    db: Database,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    cache: cache::SessionCache,
    activity: activity::Activity,
    audit: audit::AuditTrail,
    hasher: password::Hasher,
    throttle: throttle::AddressThrottle,
    turns: throttle::Turns<String>,
    token_turns: authenticate::TokenTurns,
    zones: zones::Zones,
    handover: handover::Handover,
    host_credentials: quick_cache::sync::Cache<forward_auth::HostKey, cache::Key>,
    streams: Arc<streams::Streams>,
    outbound: Outbound,
    mail: mail::Mail,
    signing: signing::SigningKeys,
    /// Wakes whoever tells receivers.
    told: tokio::sync::Notify,
    providers: openid::Providers,
    reachable: AtomicBool,
    /// How many transactions were committed: what the database did while a probe waited.
    commits: AtomicU64,
    probing: tokio::sync::Mutex<()>,
    /// Set when the server is about to go: streams close.
    stopping: AtomicBool,
    /// Ends of many are worked off one after another.
    ending: tokio::sync::Mutex<()>,
}

/// A future of a job inside a transaction.
pub type Job<'c, T> = Pin<Box<dyn Future<Output = Result<T, DbError>> + Send + 'c>>;

impl Service {
    /// Prepares the service on an open database: reads or makes the audit key and compares the trail's
    /// end with what was last noted beside it.
    pub async fn start(
        config: ServiceConfig,
        db: Database,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> anyhow::Result<Self> {
        let audit = audit::AuditTrail::open(&config.data_dir, &db, random.as_ref()).await?;
        let hasher = password::Hasher::new(config.hash_slots, random.as_ref());
        let throttle =
            throttle::AddressThrottle::new(config.throttle_failures, config.throttle_window);
        let outbound = Outbound::new(config.allow_outbound.clone());
        let mail = mail::Mail::new(config.mail.as_ref(), config.public_origin.as_deref())?;
        let inner = Inner {
            cache: cache::SessionCache::new(config.cache_capacity),
            activity: activity::Activity::default(),
            turns: throttle::Turns::default(),
            token_turns: authenticate::TokenTurns::default(),
            zones: zones::Zones::default(),
            handover: handover::Handover::default(),
            host_credentials: quick_cache::sync::Cache::new(config.cache_capacity),
            streams: Arc::default(),
            providers: openid::Providers::new(outbound.clone()),
            outbound,
            mail,
            signing: signing::SigningKeys::new(&config.data_dir),
            told: tokio::sync::Notify::new(),
            reachable: AtomicBool::new(true),
            commits: AtomicU64::new(0),
            stopping: AtomicBool::new(false),
            probing: tokio::sync::Mutex::new(()),
            ending: tokio::sync::Mutex::new(()),
            config,
            db,
            clock,
            random,
            audit,
            hasher,
            throttle,
        };
        let service = Self {
            inner: Arc::new(inner),
        };
        service
            .take_over_failure_limit()
            .await
            .context("the policy could not be read")?;
        Ok(service)
    }

    /// The settings that the rules follow.
    pub fn config(&self) -> &ServiceConfig {
        &self.inner.config
    }

    /// Now, by the service's clock.
    pub fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }

    /// Whether the last write, flush or probe reached the database.
    pub fn is_reachable(&self) -> bool {
        self.inner.reachable.load(Ordering::Acquire)
    }

    fn commits(&self) -> u64 {
        self.inner.commits.load(Ordering::Acquire)
    }

    fn db(&self) -> &Database {
        &self.inner.db
    }

    // The database as of one moment, for what several statements have to agree on.
    async fn view(&self) -> Result<DatabaseTransaction, Error> {
        let view = self.db().view().await;
        view.map_err(|error| self.database_error(error))
    }

    /// The way to what lies elsewhere.
    pub fn outbound(&self) -> &Outbound {
        &self.inner.outbound
    }

    fn random(&self) -> &dyn Random {
        self.inner.random.as_ref()
    }

    /// Runs a job in a transaction of its own, with the audit trail at hand. What the job answers is
    /// committed when this returns.
    async fn write<T, F>(&self, job: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c DatabaseTransaction, &'c audit::Trail) -> Job<'c, T> + Send + 'static,
    {
        self.write_then(job, |_, _| ()).await
    }

    /// Like `write`. What must follow from the commit, the cache above all, is done by `then`: it runs
    /// even if the one who asked has hung up meanwhile, so that what has ended is refused from there on.
    async fn write_then<T, F, A>(&self, job: F, then: A) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c DatabaseTransaction, &'c audit::Trail) -> Job<'c, T> + Send + 'static,
        A: FnOnce(&Self, &T) + Send + 'static,
    {
        self.carry_out(Share::Together, job, then).await
    }

    /// Like `write_then`, for a part of what takes long: nobody else's write waits for it to be committed.
    async fn write_part_then<T, F, A>(&self, job: F, then: A) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c DatabaseTransaction, &'c audit::Trail) -> Job<'c, T> + Send + 'static,
        A: FnOnce(&Self, &T) + Send + 'static,
    {
        self.carry_out(Share::Alone, job, then).await
    }

    async fn carry_out<T, F, A>(&self, share: Share, job: F, then: A) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c DatabaseTransaction, &'c audit::Trail) -> Job<'c, T> + Send + 'static,
        A: FnOnce(&Self, &T) + Send + 'static,
    {
        let service = self.clone();
        let carried_out = tokio::spawn(async move {
            let value = service.commit(share, job).await?;
            then(&service, &value);
            Ok(value)
        });
        carried_out.await.unwrap_or(Err(Error::Internal))
    }

    async fn commit<T, F>(&self, share: Share, job: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c DatabaseTransaction, &'c audit::Trail) -> Job<'c, T> + Send + 'static,
    {
        let trail = self.inner.audit.trail();
        let result = self
            .db()
            .write_as(share, move |tx| {
                Box::pin(async move {
                    let value = job(tx, &trail).await?;
                    Ok((value, trail.head()))
                })
            })
            .await;
        match result {
            Ok((value, head)) => {
                self.inner.commits.fetch_add(1, Ordering::AcqRel);
                self.note_reachable(true);
                if let Some(head) = head {
                    self.inner.audit.committed(head);
                }
                Ok(value)
            }
            Err(error) => Err(self.database_error(error)),
        }
    }

    /// Opens or closes the protected routes; answers what held before. A commit whose answer was lost may
    /// have taken effect, so once the database is back nothing in memory is trusted any more.
    fn note_reachable(&self, reachable: bool) -> bool {
        let before = self.inner.reachable.load(Ordering::Acquire);
        if before == reachable {
            return before;
        }
        if reachable {
            self.inner.cache.authority_changed();
        }
        self.inner.reachable.swap(reachable, Ordering::AcqRel)
    }

    /// Turns a database error into what callers see, notes it in the log, and closes the protected
    /// routes when the database is gone.
    fn database_error(&self, error: DbError) -> Error {
        if let DbError::Refused(refusal) = error {
            return refusal;
        }
        if matches!(error, DbError::Unreachable | DbError::Damaged) {
            self.note_reachable(false);
        }
        tracing::error!(error = %error, "the database refused");
        Error::Unavailable
    }
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service")
            .field("config", &self.inner.config)
            .finish_non_exhaustive()
    }
}
