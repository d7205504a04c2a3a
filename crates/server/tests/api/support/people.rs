//! Organisations, users and sessions, made straight in the database, so that they cost next to nothing.

use std::sync::LazyLock;
use std::time::Duration;

use rollcall_core::{
    ApiKeyId, BuiltInRole, EndReason, Kind, Method, OrganisationId, Permission, Permissions,
    RoleKey, SessionId, Timestamp, UserId,
};
use rollcall_server::clock::{OsRandom, Random, uuid_v7};
use rollcall_server::db;
use rollcall_server::db::records::{NewUser, SessionRecord};
use rollcall_server::service::password::{Hasher, Password};
use rollcall_server::service::token::Token;
use sea_orm::{ConnectionTrait, Statement};

use super::{Client, TestApp};

/// The password of everybody.
pub(crate) const PASSWORD: &str = "seven quiet herons at dusk";

// Hashing is slow on purpose; once is enough for a whole run.
static HASH: LazyLock<String> = LazyLock::new(|| {
    let password = Password::presented(PASSWORD).expect("a password");
    Hasher::new(1, &OsRandom).hash_now(&password, &OsRandom)
});

/// A user.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) id: UserId,
    pub(crate) email: String,
    pub(crate) name: String,
    pub(crate) organisation: OrganisationId,
    pub(crate) role: BuiltInRole,
}

/// What a stored session looks like, where a test cares.
#[derive(Clone, Debug)]
pub(crate) struct NewRow {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) keep: bool,
    pub(crate) ip: String,
    pub(crate) user_agent: String,
    pub(crate) browser: String,
    pub(crate) system: String,
    pub(crate) last_activity_at: Option<Timestamp>,
}

impl Default for NewRow {
    fn default() -> Self {
        Self {
            name: "Firefox on Linux".to_owned(),
            kind: Kind::Console,
            keep: false,
            ip: "203.0.113.7".to_owned(),
            user_agent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
                .to_owned(),
            browser: "Firefox".to_owned(),
            system: "Linux".to_owned(),
            last_activity_at: None,
        }
    }
}

/// How many rows there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Rows {
    pub(crate) users: i64,
    pub(crate) sessions: i64,
    pub(crate) attempts: i64,
    pub(crate) events: i64,
}

impl Rows {
    const TABLES: [&str; 4] = ["\"user\"", "session", "sign_in_attempt", "audit_event"];
}

impl TestApp {
    /// Makes an organisation.
    pub(crate) async fn organisation(&self, name: &str) -> OrganisationId {
        let (now, name) = (self.now(), name.to_owned());
        let id = OrganisationId(uuid_v7(&OsRandom, now));
        let made = self
            .side()
            .write(move |tx| {
                Box::pin(async move { db::organisations::create(tx, id, &name, now).await })
            })
            .await;
        made.expect("the organisation is new");
        id
    }

    /// Makes a user with this role.
    pub(crate) async fn user(
        &self,
        organisation: OrganisationId,
        role: BuiltInRole,
        email: &str,
    ) -> Person {
        self.user_with(organisation, role, email, false).await
    }

    /// Makes Ada, the Administrator of somebody's organisation.
    pub(crate) async fn administrator_beside(&self, person: &Person) -> Person {
        let role = BuiltInRole::Administrator;
        self.user(person.organisation, role, "ada@acme.test").await
    }

    /// Makes Eve, a Member of another organisation.
    pub(crate) async fn stranger(&self) -> Person {
        let globex = self.organisation("Globex").await;
        let role = BuiltInRole::Member;
        self.user(globex, role, "eve@globex.test").await
    }

    /// Makes a user whose password must be changed first.
    pub(crate) async fn newcomer(
        &self,
        organisation: OrganisationId,
        role: BuiltInRole,
        email: &str,
    ) -> Person {
        self.user_with(organisation, role, email, true).await
    }

    async fn user_with(
        &self,
        organisation: OrganisationId,
        role: BuiltInRole,
        email: &str,
        change: bool,
    ) -> Person {
        let now = self.now();
        let person = Person {
            id: UserId(uuid_v7(&OsRandom, now)),
            email: email.to_owned(),
            name: email.split('@').next().unwrap_or_default().to_owned(),
            organisation,
            role,
        };
        let new = NewUser {
            id: person.id,
            organisation_id: organisation,
            email: person.email.clone(),
            name: person.name.clone(),
            role_key: role.key().to_owned(),
            service_account: false,
            password_hash: Some(HASH.clone()),
            password_change_required: change,
            created_at: now,
        };
        let made = self
            .side()
            .write(move |tx| Box::pin(async move { db::users::create(tx, &new).await }))
            .await;
        made.expect("the user is new");
        person
    }

    /// Makes a role of an organisation.
    pub(crate) async fn role(
        &self,
        organisation: OrganisationId,
        name: &str,
        permissions: Permissions,
    ) -> RoleKey {
        let key = RoleKey(uuid_v7(&OsRandom, self.now()).to_string());
        let (made, name) = (key.clone(), name.to_owned());
        let stored = self
            .side()
            .write(move |tx| {
                Box::pin(async move {
                    db::roles::create(tx, &made, organisation, &name, permissions).await
                })
            })
            .await;
        stored.expect("the role is new");
        key
    }

    /// Gives a user secondary roles, behind the server's back; before they are asked for the first time.
    pub(crate) async fn give(&self, person: &Person, roles: &[&str]) {
        let id = person.id;
        let roles: Vec<_> = roles.iter().map(|key| RoleKey((*key).to_owned())).collect();
        let given = self
            .side()
            .write(move |tx| {
                Box::pin(async move { db::roles::set_secondary(tx, id, &roles).await })
            })
            .await;
        given.expect("the roles are there");
    }

    /// An organisation with one member, for tests that need no more.
    pub(crate) async fn member(&self) -> Person {
        let organisation = self.organisation("Acme").await;
        self.user(organisation, BuiltInRole::Member, "nora@acme.test")
            .await
    }

    /// Stores a session of this person, as sign-in would, without comparing a password. Answers its id and
    /// its token.
    pub(crate) async fn open_session(&self, person: &Person, row: NewRow) -> (SessionId, String) {
        let (record, token) = self.new_session(person, row);
        let (id, email) = (record.id, person.email.clone());
        let stored = self
            .side()
            .write(move |tx| {
                Box::pin(async move { db::sessions::insert(tx, &record, &email).await })
            })
            .await;
        stored.expect("the session is new");
        (id, token)
    }

    /// The same for many at once.
    pub(crate) async fn open_sessions(&self, person: &Person, rows: Vec<NewRow>) -> Vec<SessionId> {
        let records: Vec<_> = rows
            .into_iter()
            .map(|row| (self.new_session(person, row).0, person.email.clone()))
            .collect();
        let ids = records.iter().map(|(record, _)| record.id).collect();
        let stored = db::bulk::insert_sessions(self.side(), records).await;
        stored.expect("the sessions are new");
        ids
    }

    fn new_session(&self, person: &Person, row: NewRow) -> (SessionRecord, String) {
        let now = self.now();
        let token = Token::generate(&OsRandom);
        let mut rotation_key = [0; 32];
        OsRandom.fill(&mut rotation_key);
        let timeouts = self.service().config().timeouts_for(row.kind, row.keep);
        let used = row.last_activity_at.unwrap_or(now);
        let record = SessionRecord {
            id: SessionId(uuid_v7(&OsRandom, now)),
            user_id: person.id,
            organisation_id: person.organisation,
            lineage_hash: token.lineage_hash(),
            secret_hash: token.secret_hash(),
            rotation_key,
            generation: 0,
            first_used_at: Some(now),
            name: row.name,
            kind: row.kind,
            method: Method::Password,
            keep: row.keep,
            ip: row.ip,
            user_agent: row.user_agent,
            browser: row.browser,
            system: row.system,
            server_name: "alpha".to_owned(),
            created_at: now,
            authenticated_at: now,
            last_activity_at: used,
            idle_timeout_seconds: i64::try_from(timeouts.idle.as_secs()).expect("a span"),
            idle_expires_at: used + timeouts.idle,
            absolute_expires_at: now + timeouts.absolute,
            ended: None,
        };
        (record, token.expose().to_string())
    }

    /// Ends a stored session now, behind the server's back.
    pub(crate) async fn store_end(&self, id: SessionId, reason: EndReason) {
        let now = self.now();
        let ended = self
            .side()
            .write(move |tx| {
                Box::pin(async move { db::sessions::end(tx, id, now, reason, None, None).await })
            })
            .await;
        let ended = ended.expect("the database answers");
        assert!(ended.is_some(), "the session lives");
    }

    /// Changes the database behind the server's back.
    pub(crate) async fn sql(&self, statement: impl Into<String>) {
        let statement = statement.into();
        let text = statement.clone();
        let done = self
            .side()
            .write(move |tx| {
                Box::pin(async move {
                    tx.execute_unprepared(&statement).await?;
                    Ok(())
                })
            })
            .await;
        done.unwrap_or_else(|error| panic!("{text}: {error}"));
    }

    /// How many rows each table holds, but for what only counts the others.
    pub(crate) async fn rows(&self) -> Rows {
        let mut counts = [0; 4];
        for (count, table) in counts.iter_mut().zip(Rows::TABLES) {
            let connection = self.side().reader();
            let query = format!("SELECT count(*) FROM {table}");
            let statement = Statement::from_string(connection.get_database_backend(), query);
            let row = connection.query_one_raw(statement).await;
            let row = row.expect("the database answers").expect("a row");
            *count = row.try_get_by_index(0).expect("a number");
        }
        let [users, sessions, attempts, events] = counts;
        Rows {
            users,
            sessions,
            attempts,
            events,
        }
    }

    /// How many rows a table holds.
    pub(crate) async fn count(&self, table: &str) -> i64 {
        let connection = self.side().reader();
        let query = format!("SELECT count(*) FROM {table}");
        let statement = Statement::from_string(connection.get_database_backend(), query);
        let row = connection.query_one_raw(statement).await;
        let row = row.expect("the database answers").expect("a row");
        row.try_get_by_index(0).expect("a number")
    }

    /// All events of an action, as the Platform administrator sees them.
    pub(crate) async fn events_of(&self, action: &str) -> Vec<serde_json::Value> {
        let admin = self.browser_of(&self.admin().await).await;
        let path = format!("/api/v1/audit?page_size=100&action={action}");
        let page = admin.get(&path).await.ok();
        page["items"].as_array().expect("a list").clone()
    }

    /// The names that attempts to sign in are counted under.
    pub(crate) async fn attempt_names(&self) -> Vec<String> {
        let connection = self.side().reader();
        let query = "SELECT name FROM sign_in_attempt";
        let statement = Statement::from_string(connection.get_database_backend(), query);
        let rows = connection.query_all_raw(statement).await;
        let rows = rows.expect("the database answers");
        let name = |row: &sea_orm::QueryResult| row.try_get_by_index(0).expect("a name");
        rows.iter().map(name).collect()
    }

    /// A browser in which this person is signed in.
    pub(crate) async fn browser_of(&self, person: &Person) -> Client {
        let (_, token) = self.open_session(person, NewRow::default()).await;
        Client::browser(self, Some(token))
    }

    /// A program that is signed in as this person.
    pub(crate) async fn program_of(&self, person: &Person) -> Client {
        let row = NewRow {
            kind: Kind::Api,
            name: "curl".to_owned(),
            ..NewRow::default()
        };
        let (_, token) = self.open_session(person, row).await;
        self.holding(&token)
    }

    /// An API key of this person, made in a session of their own, and its secret.
    pub(crate) async fn api_key(
        &self,
        person: &Person,
        permissions: &[Permission],
    ) -> (ApiKeyId, String) {
        let (_, token) = self.open_session(person, NewRow::default()).await;
        let names: Vec<_> = permissions.iter().map(|one| one.as_str()).collect();
        let body = serde_json::json!({ "name": "pipeline", "permissions": names });
        let made = self.holding(&token).post("/api/v1/keys", body).await;
        assert_eq!(made.status, 201, "{}", made.text());
        let made = made.json();
        let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
        let id = text(&made["key"]["id"]).parse().expect("an id");
        (id, text(&made["secret"]))
    }

    /// A program that sends this token.
    pub(crate) fn holding(&self, token: &str) -> Client {
        Client::program(self, token.to_owned())
    }

    /// How many executions and clients are stored as if they were there.
    pub(crate) async fn stored_running(&self) -> i64 {
        let reader = self.side().reader();
        let text = "SELECT (SELECT count(*) FROM execution WHERE ended_at IS NULL)
            + (SELECT count(*) FROM client WHERE ended_at IS NULL) AS running";
        let statement = Statement::from_string(reader.get_database_backend(), text);
        let row = reader.query_one_raw(statement).await;
        let row = row.expect("the database answers").expect("a row");
        row.try_get("", "running").expect("a number")
    }

    /// The session as it is stored.
    pub(crate) async fn stored(&self, id: SessionId) -> SessionRecord {
        let found = db::sessions::find(self.side().reader(), id)
            .await
            .expect("the database answers");
        found.expect("the session is kept").0
    }
}

/// So many seconds.
pub(crate) const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// So many minutes.
pub(crate) const fn minutes(count: u64) -> Duration {
    Duration::from_secs(count * 60)
}

/// So many hours.
pub(crate) const fn hours(count: u64) -> Duration {
    Duration::from_secs(count * 3600)
}
