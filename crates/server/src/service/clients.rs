//! Connected clients: registered, heard, told what to do, disconnected.

use std::collections::HashSet;
use std::time::Duration;

use rollcall_core::clients::LONGEST_CLIENT_NAME;
use rollcall_core::session::state_at;
use rollcall_core::{
    AuditAction, AuditOutcome, Client, ClientId, ClientQuery, ClientState, Command, EndReason,
    Error, Execution, Field, Kind, Leaving, Method, Page, Permission, PolicyPlace, RegisterClient,
    SessionId,
};
use tokio::time::{Instant, sleep};

use super::Service;
use super::audit::{Describe, event};
use super::caller::Caller;
use super::ending::ended_one;
use super::facts::RequestFacts;
use super::names::{checked_name, checked_text};
use super::opening::Wanted;
use super::stopping::with_stopped;
use super::streams::OpenStream;
use super::token::Token;
use crate::clock::uuid_v7;
use crate::db::audit::AuditRecord;
use crate::db::clients::{FoundClient, NewClient};
use crate::db::{self, DbError, Scope};

/// How soon a stream notices what nobody has told it: a timeout, an epoch.
const LOOK_EVERY: Duration = Duration::from_millis(400);
/// How often a stream says that it is there. Below what the listener takes for a dead connection.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

impl Service {
    /// Registers a client of the caller and opens a session for it, whose token and time limit are answered. That session hangs on what
    /// the caller has shown, and opens nothing but what a client needs. With `replaces`, the registration goes on with
    /// a new session, and what runs on it moves along.
    pub async fn register_client(
        &self,
        caller: &Caller,
        facts: &RequestFacts,
        input: RegisterClient,
    ) -> Result<(Client, Token, Duration), Error> {
        caller.authorise(Permission::ClientsRegister)?;
        let name = checked_name(&input.name, LONGEST_CLIENT_NAME)?;
        let version = checked_text(&input.version, LONGEST_CLIENT_NAME, Field::Version)?;
        let host = checked_text(&input.host, LONGEST_CLIENT_NAME, Field::Host)?;
        let place = PolicyPlace {
            organisation: Some(caller.organisation_id()),
            role: Some(caller.authority().role_key.clone()),
        };
        let policy = self.policy_in(&place).await?;
        let (now, token) = (self.now(), Token::generate(self.random()));
        let wanted = Wanted {
            name: name.clone(),
            kind: Kind::Client,
            keep: false,
            leaving: Leaving::Only(Vec::new()),
        };
        let owner = (caller.user_id(), caller.organisation_id());
        let timeouts = self.timeouts_for(&policy, Kind::Client, false);
        let mut session = self.new_session(owner, &token, wanted, timeouts, facts, now);
        // Nobody has entered a password for it.
        session.authenticated_at = rollcall_core::Timestamp(0);
        // Whoever got hold of a credential for a moment does not hold on to it by a client.
        let (method, limit) = match caller.key() {
            Some(key) => (Method::ApiKey, key.record.expires_at),
            None => {
                let parent = &caller.session()?.record;
                (parent.method, parent.absolute_expires_at)
            }
        };
        session.method = method;
        session.absolute_expires_at = session.absolute_expires_at.min(limit);
        let limit = session.absolute_expires_at.seconds_since(now);
        let limit = Duration::from_secs(limit.max(0).cast_unsigned());
        let id = match input.replaces {
            Some(old) => old,
            None => ClientId(uuid_v7(self.random(), now)),
        };
        let new = NewClient {
            id,
            user: caller.user_id(),
            organisation: caller.organisation_id(),
            session: session.id,
            parent: caller.parent(),
            name,
            version,
            host,
            ip: session.ip.clone(),
            at: now,
        };
        let by_caller = |action| {
            event(now, action, AuditOutcome::Success, Some(facts))
                .by(caller.user_id(), caller.name())
                .to(&caller.authority().user, caller.organisation_id())
        };
        let mut events = vec![
            by_caller(AuditAction::ClientRegistered)
                .on(session.id)
                .with(new.name.clone()),
            by_caller(AuditAction::SessionCreated)
                .on(session.id)
                .with(Kind::Client.as_str()),
        ];
        let replaced = by_caller(AuditAction::SessionEnded).with(EndReason::Replaced.as_str());
        let (email, by) = (caller.authority().user.email.clone(), caller.user_id());
        let moves = input.replaces;
        let old_lineage = match moves {
            Some(old) => {
                self.find_client_in(Scope::User(by), old)
                    .await?
                    .lineage_hash
            }
            None => None,
        };
        self.flush_activity().await?;
        self.write_then(
            move |tx, trail| {
                Box::pin(async move {
                    if !new.parent.hold(tx, now).await? {
                        return Err(DbError::Refused(Error::Unauthenticated));
                    }
                    let mut stopped = None;
                    match moves {
                        None => db::clients::create(tx, &new).await?,
                        Some(old) => {
                            let before = db::clients::move_on(tx, old, &new).await?;
                            let before =
                                before.ok_or(DbError::Refused(Error::ClientNotConnected))?;
                            let reason = EndReason::Replaced;
                            stopped =
                                db::sessions::end(tx, before, now, reason, Some(by), None).await?;
                            if let Some(stopped) = &stopped {
                                events.extend(with_stopped(replaced.on(before), stopped));
                            }
                        }
                    }
                    db::sessions::insert(tx, &session, &email).await?;
                    trail.append_all(tx, &events).await?;
                    Ok(stopped)
                })
            },
            move |service, stopped| {
                if let Some(lineage) = old_lineage {
                    ended_one(lineage, EndReason::Replaced)(service, stopped);
                }
            },
        )
        .await?;
        let found = self.find_client_in(Scope::User(by), id).await?;
        Ok((found.client, token, limit))
    }

    /// The clients within the caller's reach that match.
    pub async fn list_clients(
        &self,
        caller: &Caller,
        query: &ClientQuery,
    ) -> Result<Page<Client>, Error> {
        let scope = caller.authorise(Permission::ClientsDisconnect)?;
        let now = self.up_to_date().await;
        let view = self.view().await?;
        let page = db::clients::list(&view, scope, query, now).await;
        page.map_err(|error| self.database_error(error))
    }

    /// One client: the caller's own, or, with `clients.disconnect`, one within reach.
    pub async fn find_client(&self, caller: &Caller, id: ClientId) -> Result<Client, Error> {
        let scope = self.reach_of_client(caller, id).await?;
        self.up_to_date().await;
        Ok(self.find_client_in(scope, id).await?.client)
    }

    // Where the caller may look for this client. One's own is there without any permission.
    async fn reach_of_client(&self, caller: &Caller, id: ClientId) -> Result<Scope, Error> {
        let own = Scope::User(caller.user_id());
        match caller.authorise(Permission::ClientsDisconnect) {
            Ok(Scope::All) => Ok(Scope::All),
            permitted => match self.find_client_in(own, id).await {
                Ok(_) => Ok(own),
                Err(Error::NotFound) => permitted,
                Err(error) => Err(error),
            },
        }
    }

    async fn find_client_in(&self, scope: Scope, id: ClientId) -> Result<FoundClient, Error> {
        let (reader, now) = (self.db().reader(), self.now());
        let found = db::clients::find(reader, scope, id, now).await;
        let found = found.map_err(|error| self.database_error(error))?;
        let mut found = found.ok_or(Error::NotFound)?;
        let one = std::slice::from_mut(&mut found.client);
        let counted = db::clients::count_running(reader, one, now).await;
        counted.map_err(|error| self.database_error(error))?;
        Ok(found)
    }

    /// Takes note that the client that asks is there, which authentication has done, and answers what it is to do.
    pub async fn heartbeat(&self, caller: &Caller, id: ClientId) -> Result<Vec<Command>, Error> {
        let session = client_session(caller)?;
        self.commands_for(id, session).await
    }

    async fn commands_for(
        &self,
        client: ClientId,
        session: SessionId,
    ) -> Result<Vec<Command>, Error> {
        let commands =
            db::executions::commands(self.db().reader(), client, session, self.now()).await;
        commands
            .map_err(|error| self.database_error(error))?
            .ok_or(Error::NotFound)
    }

    /// Opens the stream of commands of the client that asks.
    pub async fn open_commands(
        &self,
        caller: &Caller,
        id: ClientId,
    ) -> Result<CommandStream, Error> {
        let session = client_session(caller)?;
        // Before looking: what is said from here on wakes it.
        let lineage_hash = caller.session()?.record.lineage_hash;
        let open = self.inner.streams.open(id, lineage_hash);
        self.commands_for(id, session).await?;
        Ok(CommandStream {
            service: self.clone(),
            caller: caller.clone(),
            client: id,
            session,
            open,
            said: HashSet::new(),
            looks: true,
            over: false,
        })
    }

    /// Ends a client's session and what hangs on it; answers the executions that this terminated.
    pub async fn disconnect_client(
        &self,
        caller: &Caller,
        facts: &RequestFacts,
        id: ClientId,
    ) -> Result<Vec<Execution>, Error> {
        let about = event(
            self.now(),
            AuditAction::ClientDisconnected,
            AuditOutcome::Success,
            Some(facts),
        )
        .by(caller.user_id(), caller.name());
        let found = match self.reach_of_client(caller, id).await {
            Ok(scope) => self
                .find_client_in(scope, id)
                .await
                .map(|found| (scope, found)),
            Err(error) => Err(error),
        };
        if let Err(error) = &found {
            self.note_refusal::<()>(caller, about.clone(), &Err(*error))
                .await;
        }
        let (scope, found) = found?;
        let client = found.client;
        let about = about
            .to(&client.user, client.organisation.id)
            .on(client.session)
            .with(client.name.clone());
        let already = AuditRecord {
            outcome: AuditOutcome::AlreadyEnded,
            ..about.clone()
        };
        if client.state == ClientState::Disconnected {
            self.note_event(already).await;
            return Err(Error::ClientNotConnected);
        }
        self.flush_activity().await?;
        let (now, by, session) = (self.now(), caller.user_id(), client.session);
        let reason = EndReason::ClientDisconnected;
        let stopped = self
            .write_then(
                move |tx, trail| {
                    Box::pin(async move {
                        let stopped =
                            db::sessions::end(tx, session, now, reason, Some(by), None).await?;
                        match &stopped {
                            Some(stopped) => {
                                // The act itself, then what stopped with it; the client is not told of twice.
                                let mut events = with_stopped(about, stopped);
                                let mut first = true;
                                events.retain(|record| {
                                    let of_client = record.session == Some(session)
                                        && record.action == AuditAction::ClientDisconnected;
                                    !of_client || std::mem::take(&mut first)
                                });
                                trail.append_all(tx, &events).await?;
                            }
                            None => trail.append(tx, &already).await?,
                        }
                        Ok(stopped)
                    })
                },
                // The client is among what stopped, and counted there.
                |service, stopped| {
                    if let Some(stopped) = stopped {
                        service.tell_stopped(stopped);
                    }
                },
            )
            .await?;
        let stopped = stopped.ok_or(Error::ClientNotConnected)?;
        self.executions_stopped(scope, &stopped).await
    }

    /// Removes a registration, after disconnecting it if it is connected.
    pub async fn remove_client(
        &self,
        caller: &Caller,
        facts: &RequestFacts,
        id: ClientId,
    ) -> Result<(), Error> {
        match self.disconnect_client(caller, facts, id).await {
            Ok(_) | Err(Error::ClientNotConnected) => {}
            Err(error) => return Err(error),
        }
        // Rows follow an epoch or a timeout in the sweep; what is removed must have its end stored.
        self.sweep().await?;
        let scope = self.reach_of_client(caller, id).await?;
        let client = self.find_client_in(scope, id).await?.client;
        let now = self.now();
        let record = event(
            now,
            AuditAction::ClientRemoved,
            AuditOutcome::Success,
            Some(facts),
        )
        .by(caller.user_id(), caller.name())
        .to(&client.user, client.organisation.id)
        .on(client.session)
        .with(client.name);
        self.write(move |tx, trail| {
            Box::pin(async move {
                if db::clients::remove(tx, id, now).await? {
                    trail.append(tx, &record).await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// The server is about to go: streams close, and their clients come back to the next one.
    pub fn close_streams(&self) {
        self.inner
            .stopping
            .store(true, std::sync::atomic::Ordering::Release);
        self.inner.streams.wake_all();
    }

    fn is_stopping(&self) -> bool {
        self.inner
            .stopping
            .load(std::sync::atomic::Ordering::Acquire)
    }
}

// The session of a client that asks; anybody else has no business here.
fn client_session(caller: &Caller) -> Result<SessionId, Error> {
    match caller.is_client() {
        true => Ok(caller.credential()),
        false => Err(Error::NotFound),
    }
}

/// What a connected client is told, as long as its session lives. Closes within half a second of its end.
pub struct CommandStream {
    service: Service,
    caller: Caller,
    client: ClientId,
    session: SessionId,
    open: OpenStream,
    said: HashSet<String>,
    looks: bool,
    over: bool,
}

impl CommandStream {
    /// The next that is to be said; nothing at all, now and then, to show that the stream is there. `None` when it is
    /// over.
    pub async fn next(&mut self) -> Option<Vec<Command>> {
        let silent_until = Instant::now() + KEEP_ALIVE;
        loop {
            if self.over || self.open.is_replaced() || self.service.is_stopping() {
                return None;
            }
            if let Some(reason) = self.open.ended() {
                return Some(self.last_word(Some(reason)));
            }
            match self.service.as_of_now(&self.caller).await {
                Ok(_) => {}
                // A database that is away ends nobody's session.
                Err(Error::Unavailable) => {}
                Err(_) => {
                    let reason = self.service.reason_of(self.session).await;
                    return Some(self.last_word(reason));
                }
            }
            if self.looks {
                let commands = self.service.commands_for(self.client, self.session).await;
                // What could not be asked is asked again.
                self.looks = commands.is_err();
                let new: Vec<_> = commands
                    .unwrap_or_default()
                    .into_iter()
                    .filter(|command| self.said.insert(format!("{command:?}")))
                    .collect();
                if !new.is_empty() {
                    return Some(new);
                }
            }
            if Instant::now() >= silent_until {
                return Some(Vec::new());
            }
            tokio::select! {
                () = self.open.woken() => self.looks = true,
                () = sleep(LOOK_EVERY) => {}
            }
        }
    }
}

impl CommandStream {
    fn last_word(&mut self, reason: Option<EndReason>) -> Vec<Command> {
        self.over = true;
        vec![Command::Disconnect { reason }]
    }
}

impl Service {
    async fn reason_of(&self, session: SessionId) -> Option<EndReason> {
        let (record, authority) = self.find_record(session).await.ok()??;
        let life = rollcall_core::session::LifeFacts {
            created_at: record.created_at,
            idle_expires_at: record.idle_expires_at,
            absolute_expires_at: record.absolute_expires_at,
            ended: record.ended,
            user_ended_before: authority.user_ended_before,
            organisation_ended_before: authority.organisation_ended_before,
            installation_ended_before: authority.installation_ended_before,
            user_enabled: authority.user_enabled && !authority.deleted,
            organisation_enabled: authority.organisation_enabled,
        };
        state_at(&life, self.now()).err().map(|(_, reason)| reason)
    }
}
