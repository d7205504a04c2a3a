//! Executions: started by a program for somebody, ended by it, or terminated with what they hang on.

use rollcall_core::executions::LONGEST_EXECUTION_TEXT;
use rollcall_core::{
    AuditAction, AuditOutcome, ClientId, ClientState, Dispatch, EndReason, Error, Execution,
    ExecutionId, ExecutionQuery, ExecutionState, Field, ForceLogout, OrganisationId, Page,
    Permission, Problem, StartExecution, UserId, UserRef,
};
use uuid::Uuid;

use super::Service;
use super::audit::{Describe, event};
use super::caller::Caller;
use super::ending::checked_note;
use super::facts::RequestFacts;
use super::names::{checked_text, required_text};
use super::stopping::with_stopped;
use crate::clock::uuid_v7;
use crate::db::audit::AuditRecord;
use crate::db::executions::{FoundExecution, NewExecution};
use crate::db::stopping::Stopped;
use crate::db::{self, Scope};

impl Service {
    /// Starts an execution that hangs on what the caller has shown. One that is there already under its id, started by the
    /// same user, is answered as it is.
    pub async fn start_execution(
        &self,
        caller: &Caller,
        facts: &RequestFacts,
        input: StartExecution,
    ) -> Result<Execution, Error> {
        if !caller.is_client() {
            caller.authorise(Permission::ClientsRegister)?;
        }
        let about = event(
            self.now(),
            AuditAction::ExecutionStarted,
            AuditOutcome::Success,
            Some(facts),
        )
        .by(caller.user_id(), caller.name());
        let client = match input.client {
            None if caller.is_client() => self.own_client(caller).await?,
            chosen => chosen,
        };
        if let Some(client) = client {
            self.connected_client(caller, Scope::User(caller.user_id()), client)
                .await?;
        }
        self.store_execution(caller, about, input, client, None)
            .await
    }

    /// Sends work to a waiting agent within the caller's organisation.
    pub async fn dispatch(
        &self,
        caller: &Caller,
        facts: &RequestFacts,
        client: ClientId,
        work: Dispatch,
    ) -> Result<Execution, Error> {
        let about = event(
            self.now(),
            AuditAction::ExecutionStarted,
            AuditOutcome::Success,
            Some(facts),
        )
        .by(caller.user_id(), caller.name());
        let checked = match caller.authorise(Permission::ExecutionsDispatch) {
            Ok(scope) => self.connected_client(caller, scope, client).await,
            Err(error) => Err(error),
        };
        self.note_refusal(caller, about.clone(), &checked).await;
        checked?;
        let run = required_text(&work.run, LONGEST_EXECUTION_TEXT, Field::Run)?;
        self.store_execution(caller, about, work.execution, Some(client), Some(run))
            .await
    }

    async fn store_execution(
        &self,
        caller: &Caller,
        about: AuditRecord,
        input: StartExecution,
        client: Option<ClientId>,
        run: Option<String>,
    ) -> Result<Execution, Error> {
        let text = |text: &str, field| checked_text(text, LONGEST_EXECUTION_TEXT, field);
        let artefact_id = required_text(
            &input.artefact_id,
            LONGEST_EXECUTION_TEXT,
            Field::ArtefactId,
        )?;
        let artefact_kind = text(&input.artefact_kind, Field::ArtefactKind)?;
        let name = match text(&input.name, Field::Name)? {
            name if name.is_empty() => artefact_id.clone(),
            name => name,
        };
        let person = self.on_behalf(caller, input.user).await;
        self.note_refusal(caller, about.clone(), &person).await;
        let (user, organisation) = person?;
        let now = self.now();
        let id = match input.id {
            Some(id) => id,
            None => ExecutionId(uuid_v7(self.random(), now)),
        };
        let new = NewExecution {
            id,
            user: user.id,
            organisation,
            started_by: caller.user_id(),
            parent: caller.parent(),
            client,
            artefact_id,
            artefact_kind,
            name: name.clone(),
            source: input.source,
            run,
            at: now,
        };
        let record = about.to(&user, organisation).with(name);
        let record = AuditRecord {
            session: caller.session().ok().map(|session| session.record.id),
            ..record
        };
        self.flush_activity().await?;
        self.write_then(
            move |tx, trail| {
                Box::pin(async move {
                    if db::executions::create(tx, &new).await? {
                        trail.append(tx, &record).await?;
                    }
                    Ok(())
                })
            },
            move |service, ()| {
                if let Some(client) = client {
                    service.inner.streams.nudge(client);
                }
            },
        )
        .await?;
        let scope = Scope::User(caller.user_id());
        Ok(self.find_execution_in(scope, id).await?.execution)
    }

    // Whom it is for: the caller, or somebody of the caller's organisation who may sign in.
    async fn on_behalf(
        &self,
        caller: &Caller,
        user: Option<UserId>,
    ) -> Result<(UserRef, OrganisationId), Error> {
        let own = (caller.authority().user.clone(), caller.organisation_id());
        let Some(user) = user.filter(|user| *user != caller.user_id()) else {
            return Ok(own);
        };
        let scope = caller.authorise(Permission::ExecutionsStartFor)?;
        let found = db::users::find_scoped(self.db().reader(), scope, user).await;
        let found = found.map_err(|error| self.database_error(error))?;
        let found = found.filter(|user| user.enabled && !user.deleted);
        let refused = Error::Invalid(Field::User, Problem::NotOffered);
        let found = found.ok_or(refused)?;
        Ok((super::sign_in::user_ref(&found), found.organisation_id))
    }

    async fn own_client(&self, caller: &Caller) -> Result<Option<ClientId>, Error> {
        let found = db::clients::find_by_session(self.db().reader(), caller.credential()).await;
        found.map_err(|error| self.database_error(error))
    }

    // A client that work can run on; one's own is always within reach.
    async fn connected_client(
        &self,
        caller: &Caller,
        scope: Scope,
        id: ClientId,
    ) -> Result<(), Error> {
        let (reader, now) = (self.db().reader(), self.now());
        let mut found = db::clients::find(reader, scope, id, now).await;
        if let Ok(None) = found {
            found = db::clients::find(reader, Scope::User(caller.user_id()), id, now).await;
        }
        match found.map_err(|error| self.database_error(error))? {
            None => Err(Error::NotFound),
            Some(found) if found.client.state == ClientState::Disconnected => {
                Err(Error::ClientNotConnected)
            }
            Some(_) => Ok(()),
        }
    }

    /// Executions, newest first: the caller's own, or, with `sessions.view`, all within reach.
    pub async fn list_executions(
        &self,
        caller: &Caller,
        query: &ExecutionQuery,
    ) -> Result<Page<Execution>, Error> {
        let scope = seen_by(caller);
        let now = self.up_to_date().await;
        let view = self.view().await?;
        let page = db::executions::list(&view, scope, query, now).await;
        page.map_err(|error| self.database_error(error))
    }

    /// One execution: the caller's own, or, with `sessions.view`, one within reach.
    pub async fn find_execution(
        &self,
        caller: &Caller,
        id: ExecutionId,
    ) -> Result<Execution, Error> {
        self.up_to_date().await;
        let own = Scope::User(caller.user_id());
        match self.find_execution_in(own, id).await {
            Err(Error::NotFound) => {}
            found => return Ok(found?.execution),
        }
        Ok(self.find_execution_in(seen_by(caller), id).await?.execution)
    }

    async fn find_execution_in(
        &self,
        scope: Scope,
        id: ExecutionId,
    ) -> Result<FoundExecution, Error> {
        let found = db::executions::find(self.db().reader(), scope, id, self.now()).await;
        found
            .map_err(|error| self.database_error(error))?
            .ok_or(Error::NotFound)
    }

    /// Ends an execution. Whoever runs it says how; its user and whoever may end sessions can terminate it. Said of one
    /// that was terminated, `terminated` confirms that it has stopped.
    pub async fn end_execution(
        &self,
        caller: &Caller,
        facts: &RequestFacts,
        id: ExecutionId,
        state: ExecutionState,
    ) -> Result<Execution, Error> {
        let terminates = state == ExecutionState::Terminated;
        let about = event(
            self.now(),
            match terminates {
                true => AuditAction::ExecutionTerminated,
                false => AuditAction::ExecutionFinished,
            },
            AuditOutcome::Success,
            Some(facts),
        )
        .by(caller.user_id(), caller.name());
        let found = self.execution_to_end(caller, id, terminates).await;
        if let Err(error) = &found {
            self.note_refusal::<()>(caller, about.clone(), &Err(*error))
                .await;
        }
        let (scope, found) = found?;
        let execution = found.execution;
        let runs_it = found.client_session == Some(caller.credential())
            || execution.session == Some(caller.credential());
        let about = about.to(&execution.user, execution.organisation.id);
        let about = AuditRecord {
            session: execution.session,
            ..about
        };
        if state == ExecutionState::Running {
            // An agent says that it has begun what it was told to run.
            let now = self.now();
            self.write(move |tx, _| {
                Box::pin(async move { db::executions::take(tx, id, now).await })
            })
            .await?;
            let found = self.find_execution_in(scope, id).await?;
            return match found.execution.state {
                ExecutionState::Running => Ok(found.execution),
                _ => Err(Error::ExecutionNotRunning),
            };
        }
        self.flush_activity().await?;
        let (now, by, name) = (self.now(), caller.user_id(), execution.name.clone());
        let done = if terminates {
            let stopped = self
                .write_then(
                    move |tx, trail| {
                        Box::pin(async move {
                            let stopped = db::stopping::stop_execution(tx, id, now, by).await?;
                            let ended = !stopped.executions.is_empty();
                            if ended {
                                trail.append(tx, &about.with(name)).await?;
                            }
                            let confirmed = runs_it && db::executions::confirm_stop(tx, id).await?;
                            Ok((stopped, ended || confirmed))
                        })
                    },
                    |service, (stopped, _)| service.tell_stopped(stopped),
                )
                .await?;
            stopped.1
        } else {
            self.write(move |tx, trail| {
                Box::pin(async move {
                    let done = db::executions::finish(tx, id, state, now).await?;
                    if done {
                        let record = about.with(format!("{name}: {}", state.as_str()));
                        trail.append(tx, &record).await?;
                    }
                    Ok(done)
                })
            })
            .await?
        };
        let found = self.find_execution_in(scope, id).await?.execution;
        // Saying once more what is so is no mistake: the first answer may have been lost.
        match done || (!terminates && found.state == state) {
            true => Ok(found),
            false => Err(Error::ExecutionNotRunning),
        }
    }

    // An execution that the caller may end so, and where it is seen.
    async fn execution_to_end(
        &self,
        caller: &Caller,
        id: ExecutionId,
        terminates: bool,
    ) -> Result<(Scope, FoundExecution), Error> {
        let own = Scope::User(caller.user_id());
        match self.find_execution_in(own, id).await {
            Ok(found) => {
                let user = caller.user_id();
                // A client ends what runs on it and what it started; how a thing ended is told by who runs it.
                let runs_it = found.client_session == Some(caller.credential())
                    || found.execution.session == Some(caller.credential());
                let started = found.started_by == user && !caller.is_client();
                let stops = terminates && !caller.is_client() && found.execution.user.id == user;
                match runs_it || started || stops {
                    true => Ok((own, found)),
                    false => Err(Error::Forbidden),
                }
            }
            Err(Error::NotFound) if caller.is_client() => {
                // What was dispatched to it by somebody else.
                let scope = Scope::Organisation(caller.organisation_id());
                let found = self.find_execution_in(scope, id).await?;
                match found.client_session == Some(caller.credential()) {
                    true => Ok((scope, found)),
                    false => Err(Error::NotFound),
                }
            }
            Err(Error::NotFound) => {
                let scope = match caller.authorise(Permission::SessionsEnd) {
                    Ok(scope) => scope,
                    // Whoever sees nothing of others learns nothing of them.
                    Err(_) => return Err(Error::NotFound),
                };
                let found = self.find_execution_in(scope, id).await?;
                match terminates {
                    true => Ok((scope, found)),
                    false => Err(Error::Forbidden),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// Ends all sessions, executions and clients of a user within reach, in one transaction.
    pub async fn force_logout(
        &self,
        caller: &Caller,
        facts: &RequestFacts,
        user: UserId,
        note: Option<&str>,
    ) -> Result<ForceLogout, Error> {
        let note = checked_note(note)?;
        let now = self.now();
        let about = event(
            now,
            AuditAction::ForcedOut,
            AuditOutcome::Success,
            Some(facts),
        )
        .by(caller.user_id(), caller.name());
        let permitted = match caller.authorise(Permission::SessionsEnd) {
            Ok(scope) => {
                let found = db::users::find_scoped(self.db().reader(), scope, user).await;
                let found = found.map_err(|error| self.database_error(error))?;
                found.map(|found| (scope, found)).ok_or(Error::NotFound)
            }
            Err(error) => Err(error),
        };
        if let Err(error) = &permitted {
            self.note_refusal::<()>(caller, about.clone(), &Err(*error))
                .await;
        }
        let (scope, target) = permitted?;
        let about = about.to(&super::sign_in::user_ref(&target), target.organisation_id);
        let (by, reason) = match user == caller.user_id() {
            true => (caller.user_id(), EndReason::EndedByUser),
            false => (caller.user_id(), EndReason::EndedByAdministrator),
        };
        let act = uuid_v7(self.random(), now);
        self.flush_activity().await?;
        let (ended, stopped) = self
            .write_then(
                move |tx, trail| {
                    Box::pin(async move {
                        let (ended, mut stopped) =
                            db::sessions::end_all_of_user(tx, user, None, now, reason, Some(by))
                                .await?;
                        stopped.extend(db::stopping::stop_all_of_user(tx, user, now, by).await?);
                        let ids: Vec<_> = stopped.executions.iter().map(|one| one.id).collect();
                        db::executions::note_act(tx, &ids, act).await?;
                        let counts = format!(
                            "{} sessions, {} executions, {} clients",
                            ended.len(),
                            ids.len(),
                            stopped.clients.len()
                        );
                        let detail = match note {
                            Some(note) => format!("{counts}: {note}"),
                            None => counts,
                        };
                        let events = with_stopped(about.with(detail), &stopped);
                        trail.append_all(tx, &events).await?;
                        Ok((ended, stopped))
                    })
                },
                move |service, (ended, stopped)| service.ended_many(ended, reason, stopped),
            )
            .await?;
        Ok(ForceLogout {
            id: act,
            ended: ended.len() as u64,
            executions: self.executions_stopped(scope, &stopped).await?,
            clients: stopped.clients.len() as u64,
        })
    }

    /// The executions that a force logout of this user has terminated, as far as the caller may see them.
    pub async fn executions_of_act(
        &self,
        caller: &Caller,
        act: Uuid,
    ) -> Result<Vec<Execution>, Error> {
        let scope = caller.authorise(Permission::SessionsView)?;
        let found = db::executions::of_act(self.db().reader(), scope, act, self.now()).await;
        found.map_err(|error| self.database_error(error))
    }

    /// What stopped, as far as it is seen from there.
    pub(super) async fn executions_stopped(
        &self,
        scope: Scope,
        stopped: &Stopped,
    ) -> Result<Vec<Execution>, Error> {
        let ids: Vec<_> = stopped.executions.iter().map(|one| one.id).collect();
        let found = db::executions::find_all(self.db().reader(), scope, &ids, self.now()).await;
        found.map_err(|error| self.database_error(error))
    }
}

// Who may see sessions sees what runs under them; everybody sees their own.
fn seen_by(caller: &Caller) -> Scope {
    match caller.is_client() {
        true => Scope::User(caller.user_id()),
        false => caller
            .authorise(Permission::SessionsView)
            .unwrap_or(Scope::User(caller.user_id())),
    }
}
