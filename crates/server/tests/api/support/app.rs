//! A server of the test's own.

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::Router;
use clap::Parser;
use rollcall_core::{BuiltInRole, Timestamp};
use rollcall_server::app::App;
use rollcall_server::clock::{Clock, ManualClock, OsRandom, Random};
use rollcall_server::config::Settings;
use rollcall_server::db::{Database, DatabaseOptions};
use rollcall_server::service::Service;
use tempfile::TempDir;

use super::client::Client;
use super::databases;
use super::people::{PASSWORD, Person};

/// A server on a database of its own. Clones are one.
#[derive(Clone)]
pub(crate) struct TestApp {
    inner: Arc<Inner>,
}

struct Inner {
    clock: Arc<ManualClock>,
    random: Arc<dyn Random>,
    settings: Settings,
    folder: TempDir,
    // The test's own connections, beside the server's.
    side: Database,
    app: RwLock<Option<App>>,
}

/// A server that is about to start.
pub(crate) struct Starting {
    arguments: Vec<String>,
    random: Arc<dyn Random>,
}

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    settings: Settings,
}

impl TestApp {
    /// The e-mail of the Platform administrator.
    pub(crate) const ADMIN: &str = "admin@rollcall.test";

    /// A server with the settings of every test, to be started by `with_admin` or `fresh`.
    pub(crate) fn start() -> Starting {
        Starting {
            arguments: vec![
                "rollcall".to_owned(),
                "--server-name".to_owned(),
                "alpha".to_owned(),
            ],
            random: Arc::new(OsRandom),
        }
    }

    /// Moves the clock forward.
    pub(crate) fn advance(&self, by: Duration) {
        self.inner.clock.advance(by);
    }

    /// Now, by the server's clock.
    pub(crate) fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }

    /// The service of the server that runs.
    pub(crate) fn service(&self) -> Service {
        self.with(|app| app.service().clone())
    }

    /// What the server wants to have printed at its start: an e-mail and a one-time password.
    pub(crate) fn printed(&self) -> Option<(String, String)> {
        self.with(|app| {
            app.first_start()
                .map(|one| (one.email.clone(), one.password.to_string()))
        })
    }

    pub(crate) fn router(&self) -> Router {
        self.with(App::router)
    }

    /// The test's own way to the database.
    pub(crate) fn side(&self) -> &Database {
        &self.inner.side
    }

    /// The folder of the server's data.
    pub(crate) fn data_dir(&self) -> &Path {
        self.inner.folder.path()
    }

    /// The URL of the database.
    pub(crate) fn database_url(&self) -> String {
        self.inner.settings.storage.database_url()
    }

    /// Stops the server and starts another one on the same data.
    pub(crate) async fn restart(&self) {
        self.stop().await;
        self.start_again().await;
    }

    /// Stops the server in order.
    pub(crate) async fn stop(&self) {
        let app = self
            .inner
            .app
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        app.expect("the server runs").service().shut_down().await;
    }

    /// Starts the server on the same data.
    pub(crate) async fn start_again(&self) {
        let Inner {
            settings,
            clock,
            random,
            ..
        } = &*self.inner;
        let app = build(settings, clock, random).await;
        *self
            .inner
            .app
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Some(app);
    }

    /// A program without a credential.
    pub(crate) fn anonymous(&self) -> Client {
        Client::new(self)
    }

    /// A browser with an empty cookie jar.
    pub(crate) fn browser(&self) -> Client {
        Client::browser(self, None)
    }

    fn with<T>(&self, read: impl FnOnce(&App) -> T) -> T {
        let app = self
            .inner
            .app
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        read(app.as_ref().expect("the server runs"))
    }
}

impl Starting {
    /// Adds settings as they stand on the command line.
    pub(crate) fn with(mut self, arguments: &[&str]) -> Self {
        self.arguments
            .extend(arguments.iter().map(|text| (*text).to_owned()));
        self
    }

    /// Takes randomness from here instead of the operating system.
    pub(crate) fn random(mut self, random: Arc<dyn Random>) -> Self {
        self.random = random;
        self
    }

    /// Starts it with a Platform administrator whose password need not be changed. Answers it, a client
    /// without a credential, and the administrator's browser, signed in.
    pub(crate) async fn with_admin(self) -> (TestApp, Client, Client) {
        let app = self
            .with(&[
                "--admin-email",
                TestApp::ADMIN,
                "--admin-password",
                PASSWORD,
            ])
            .fresh()
            .await;
        let admin = app.browser_of(&app.admin().await).await;
        (app.clone(), app.anonymous(), admin)
    }

    /// Starts it on an empty database as a person would who knows nothing yet.
    pub(crate) async fn fresh(self) -> TestApp {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let url = databases::create(folder.path()).await;
        let data_dir = folder.path().display().to_string();
        let Self { arguments, random } = self.with(&["--data-dir", &data_dir, "--database", &url]);
        let settings = Line::try_parse_from(arguments)
            .unwrap_or_else(|error| panic!("{error}"))
            .settings;
        let start = Timestamp::parse_rfc3339("2026-11-22T09:00:00Z").expect("a time");
        let clock = Arc::new(ManualClock::at(start));
        let app = build(&settings, &clock, &random).await;
        let options = DatabaseOptions {
            exclusive: false,
            readers: 2,
        };
        let side = Database::connect(&url, options)
            .await
            .expect("a second way to the database");
        TestApp {
            inner: Arc::new(Inner {
                clock,
                random,
                settings,
                folder,
                side,
                app: RwLock::new(Some(app)),
            }),
        }
    }
}

impl TestApp {
    /// The Platform administrator that `with_admin` named.
    pub(crate) async fn admin(&self) -> Person {
        let found =
            rollcall_server::db::users::find_by_email(self.side().reader(), Self::ADMIN).await;
        let user = found
            .expect("the database answers")
            .expect("the administrator was made");
        Person {
            id: user.id,
            email: user.email,
            name: user.name,
            organisation: user.organisation_id,
            role: BuiltInRole::PlatformAdministrator,
        }
    }
}

async fn build(settings: &Settings, clock: &Arc<ManualClock>, random: &Arc<dyn Random>) -> App {
    let built = App::build_with(settings.clone(), clock.clone(), random.clone()).await;
    built.unwrap_or_else(|error| panic!("the server cannot start: {error:#}"))
}
