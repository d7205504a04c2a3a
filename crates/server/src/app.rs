//! The server as a value: built from settings, started on a listener, stopped by a future. `rollcall
//! serve` and the tests use the same one.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use rollcall_core::Email;
use sea_orm::DatabaseConnection;
use tokio::net::TcpListener;
use zeroize::Zeroizing;

use crate::clock::{Clock, OsRandom, Random, SystemClock};
use crate::config::mail::MailConfig;
use crate::config::{Settings, StorageSettings, provider_file};
use crate::db::{self, Database, DatabaseOptions, DbError};
use crate::service::first_start::{NamedAdministrator, OneTimePassword};
use crate::service::{Service, ServiceConfig, Timeouts};
use crate::{backup, demo, http, jobs, telemetry};

/// A server that is ready to be run.
#[derive(Debug)]
pub struct App {
    service: Service,
    router: Router,
    settings: Settings,
    first_start: Option<OneTimePassword>,
    demo: Option<demo::Demo>,
}

impl App {
    /// Builds the server with the operating system's clock and randomness.
    ///
    /// # Errors
    /// In words, with the setting to change, where one is at fault.
    pub async fn build(settings: Settings) -> anyhow::Result<Self> {
        Self::build_with(
            settings,
            Arc::new(SystemClock::default()),
            Arc::new(OsRandom),
        )
        .await
    }

    /// Builds the server: opens the database, brings it up to date, and makes sure that there is an
    /// administrator.
    ///
    /// # Errors
    /// As `build`.
    pub async fn build_with(
        settings: Settings,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> anyhow::Result<Self> {
        // Before anything can count.
        telemetry::metrics();
        let named = named_administrator(&settings)?;
        let config = service_config(&settings)?;
        let (service, db) = open_with(
            &settings.storage,
            config,
            true,
            clock.clone(),
            random.clone(),
        )
        .await?;
        let first_start = service
            .ensure_administrator(named)
            .await
            .context("the first administrator could not be made")?;
        let demo = match settings.demo {
            Some(count) => {
                let folder = &settings.storage.data_dir;
                Some(demo::fill(&db, folder, count, clock.as_ref(), random.clone()).await?)
            }
            None => None,
        };
        let router = http::router(&settings, service.clone());
        Ok(Self {
            service,
            router,
            settings,
            first_start,
            demo,
        })
    }

    /// Builds it for commands on a database that is there already: nothing is made that a first start makes.
    ///
    /// # Errors
    /// As `build`, and where the database has no administrator yet.
    pub async fn open_existing(settings: Settings) -> anyhow::Result<Self> {
        let storage = &settings.storage;
        let file = storage.data_dir.join("rollcall.db");
        if storage.database.is_none() && !file.exists() {
            anyhow::bail!(
                "--data-dir {}: there is no database; name the folder of the server, or --database",
                storage.data_dir.display()
            );
        }
        let config = service_config(&settings)?;
        let (clock, random) = (Arc::new(SystemClock::default()), Arc::new(OsRandom));
        let (service, _) = open_with(storage, config, true, clock, random).await?;
        let router = http::router(&settings, service.clone());
        Ok(Self {
            service,
            router,
            settings,
            first_start: None,
            demo: None,
        })
    }

    /// The service beneath, for tests and benchmarks.
    pub fn service(&self) -> &Service {
        &self.service
    }

    /// The router, for tests and benchmarks that need no listener.
    pub fn router(&self) -> Router {
        self.router.clone()
    }

    /// The one-time password to print, if there is one.
    pub fn first_start(&self) -> Option<&OneTimePassword> {
        self.first_start.as_ref()
    }

    /// The demo's password to print, if there is one.
    pub fn demo(&self) -> Option<&demo::Demo> {
        self.demo.as_ref()
    }

    /// Serves until `stop` is over, lets requests under way finish, and writes what is in memory.
    pub async fn run(self, listener: TcpListener, stop: impl Future<Output = ()>) {
        let mut jobs = jobs::start(&self.service);
        let upkeep = tokio::spawn(metrics_upkeep());
        let service = self.service.clone();
        let stop = async move {
            stop.await;
            service.close_streams();
        };
        let most = usize::try_from(self.settings.max_connections).unwrap_or(usize::MAX);
        http::listener::serve(listener, self.router, most, stop).await;
        upkeep.abort();
        jobs.shutdown().await;
        self.service.shut_down().await;
    }
}

/// Listens there. Done before anything else, so that a taken address changes no database.
///
/// # Errors
/// In words, if the address is taken or not ours.
pub async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("--listen {address}: this address cannot be listened on"))
}

// Without it, the exporter keeps every single measurement.
async fn metrics_upkeep() {
    let mut ticks = tokio::time::interval(std::time::Duration::from_secs(5));
    loop {
        ticks.tick().await;
        if let Some(handle) = telemetry::metrics() {
            handle.run_upkeep();
        }
    }
}

/// Opens the database for a command that works on it directly. `exclusive` refuses while a server holds it.
///
/// # Errors
/// In words.
pub async fn open(
    storage: &StorageSettings,
    password_min_length: u32,
    exclusive: bool,
) -> anyhow::Result<Service> {
    let mut config = ServiceConfig::new(storage.data_dir.clone());
    config.password_min_length = password_min_length;
    let (clock, random) = (Arc::new(SystemClock::default()), Arc::new(OsRandom));
    let (service, _) = open_with(storage, config, exclusive, clock, random).await?;
    Ok(service)
}

/// Opens the database for a command that only reads it, beside a server if there is one.
///
/// # Errors
/// In words.
pub async fn open_to_read(storage: &StorageSettings) -> anyhow::Result<DatabaseConnection> {
    db::open_to_read(&storage.database_url())
        .await
        .context("--database: it cannot be opened")
}

async fn open_with(
    storage: &StorageSettings,
    config: ServiceConfig,
    exclusive: bool,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
) -> anyhow::Result<(Service, Database)> {
    let folder = &storage.data_dir;
    make_private_folder(folder)
        .with_context(|| format!("--data-dir {}: the folder cannot be made", folder.display()))?;
    backup::refuse_half_restored(folder)?;
    let options = DatabaseOptions {
        exclusive,
        ..DatabaseOptions::default()
    };
    let db = match Database::connect(&storage.database_url(), options).await {
        Ok(db) => db,
        Err(DbError::Held(holder)) => anyhow::bail!(holder),
        Err(DbError::Damaged) => anyhow::bail!(
            "the file of the database is torn or damaged, and nothing was changed in it; `rollcall restore` puts a backup in its place"
        ),
        Err(error) => return Err(error).context("--database: it cannot be opened"),
    };
    let service = Service::start(config, db.clone(), clock, random).await?;
    Ok((service, db))
}

// The folder holds the audit key and the sessions: nobody else's business.
pub(crate) fn make_private_folder(folder: &std::path::Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

fn service_config(settings: &Settings) -> anyhow::Result<ServiceConfig> {
    let sessions = &settings.sessions;
    let mut config = ServiceConfig::new(settings.storage.data_dir.clone());
    config.rotate_every = sessions.rotate_every;
    config.timeouts = Timeouts {
        idle: sessions.session_idle_timeout.get(),
        absolute: sessions.session_absolute_timeout.get(),
    };
    config.keep_timeouts = Timeouts {
        idle: sessions.keep_idle_timeout.get(),
        absolute: sessions.keep_absolute_timeout.get(),
    };
    config.client_timeouts = Timeouts {
        idle: sessions.client_idle_timeout.get(),
        absolute: sessions.client_absolute_timeout.get(),
    };
    config.retention = sessions.retention.get();
    config.password_min_length = settings.sign_in.password_min_length;
    config.unlock_after = settings.sign_in.unlock_after.map(|after| after.get());
    config.throttle_failures =
        usize::try_from(settings.sign_in.failure_limit).unwrap_or(usize::MAX);
    config.throttle_window = settings.sign_in.failure_window;
    config.server_name = settings.server_name();
    config.time_zone = settings
        .time_zone
        .parse()
        .map_err(|_| anyhow::anyhow!("--time-zone {}: no such zone", settings.time_zone))?;
    config.support_contact = settings.sign_in.support_contact.clone();
    config.protect = settings.protect.clone();
    config.allow_outbound = settings.allow_outbound.clone();
    config.public_origin = settings.public_url.as_ref().map(ToString::to_string);
    config.secrets_dir = settings.secrets_dir.clone();
    let from_file = |path: &std::path::Path| {
        let read = read_password(path).context("--smtp-password-file");
        read.map(Into::into)
    };
    config.mail = MailConfig::of(&settings.mail, from_file)?;
    let files = settings.identity_provider.iter();
    let read = files.map(|path| provider_file::read(path).map_err(anyhow::Error::msg));
    config.identity_providers = read.collect::<anyhow::Result<_>>()?;
    Ok(config)
}

fn named_administrator(settings: &Settings) -> anyhow::Result<Option<NamedAdministrator>> {
    let Some(email) = settings.sign_in.admin_email.as_deref() else {
        return Ok(None);
    };
    let email = Email::parse(email)
        .with_context(|| format!("--admin-email {email}: this is no e-mail address"))?;
    let password = match (
        &settings.sign_in.admin_password,
        &settings.sign_in.admin_password_file,
    ) {
        (Some(password), _) => Zeroizing::new(password.expose().to_owned()),
        (None, Some(path)) => read_password(path)?,
        (None, None) => {
            anyhow::bail!("--admin-email needs --admin-password-file or ROLLCALL_ADMIN_PASSWORD")
        }
    };
    Ok(Some(NamedAdministrator { email, password }))
}

/// Reads a password from a file; a line break at its end is not part of it.
///
/// # Errors
/// In words, with the path.
pub fn read_password(path: &std::path::Path) -> anyhow::Result<Zeroizing<String>> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("{} cannot be read", path.display()))?;
    let text = Zeroizing::new(text);
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(Zeroizing::new(
        line.strip_suffix('\r').unwrap_or(line).to_owned(),
    ))
}

/// The address to type, for the ready line: people know `localhost`.
pub fn address_to_type(listening: SocketAddr) -> String {
    let ip = listening.ip().to_canonical();
    if ip.is_loopback() || ip.is_unspecified() {
        format!("http://localhost:{}", listening.port())
    } else {
        format!("http://{listening}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_told_an_address_that_they_can_type() {
        for (listening, typed) in [
            ("127.0.0.1:8080", "http://localhost:8080"),
            ("0.0.0.0:80", "http://localhost:80"),
            ("[::1]:8080", "http://localhost:8080"),
            ("192.0.2.1:8080", "http://192.0.2.1:8080"),
        ] {
            assert_eq!(address_to_type(listening.parse().unwrap()), typed);
        }
    }

    #[test]
    fn a_password_file_may_end_in_a_line_break() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        for (text, password) in [
            ("secret words", "secret words"),
            ("secret words\n", "secret words"),
            ("secret \r\n", "secret "),
        ] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(read_password(&path).unwrap().as_str(), password);
        }
    }
}
