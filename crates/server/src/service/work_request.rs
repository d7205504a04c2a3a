//! The part of a request's backend that is about what works without a person.

use std::sync::PoisonError;
use std::time::Duration;

use rollcall_core::backend::Answer;
use rollcall_core::{
    ApiKey, ApiKeyId, Client, ClientId, ClientQuery, Command, CreateKey, Dispatch, Error,
    Execution, ExecutionId, ExecutionQuery, ExecutionState, ForceLogout, Introspection, KeyCreated,
    OpenFor, Page, RegisterClient, Session, StartExecution, UserId, WorkBackend,
};
use uuid::Uuid;

use super::clients::CommandStream;
use super::request::{Door, RequestBackend};
use super::token::Token;

impl RequestBackend {
    /// Registers a client and answers the token of its session, and how long that can last.
    pub async fn register_client(
        &self,
        input: RegisterClient,
    ) -> Result<(Client, Token, Duration), Error> {
        let work = async {
            let caller = self.signed_in()?;
            self.service
                .register_client(caller, &self.facts, input)
                .await
        };
        self.noted(work.await)
    }

    /// Opens the stream of commands of the client that asks.
    pub async fn open_commands(&self, id: ClientId) -> Result<CommandStream, Error> {
        let work = async { self.service.open_commands(self.at_work()?, id).await };
        self.noted(work.await)
    }
}

// What applications ask for comes through the REST API alone.
impl RequestBackend {
    /// Opens a session for somebody whom an application has signed in.
    pub async fn open_for(&self, input: OpenFor) -> Result<(Session, Token), Error> {
        let caller = self.noted(self.signed_in())?;
        match self.service.open_for(caller, &self.facts, input).await {
            Ok(opened) => Ok(opened),
            Err(refused) => self.noted(Err(self.offer_choice(refused).await)),
        }
    }

    /// What a token stands for, as far as it concerns the caller's organisation.
    pub async fn introspect(&self, token: Option<&Token>) -> Result<Introspection, Error> {
        let work = async {
            let caller = self.signed_in()?;
            self.service.introspect(caller, &self.facts, token).await
        };
        self.noted(work.await)
    }

    /// See `Service::find_key`.
    pub async fn find_key(&self, id: ApiKeyId) -> Result<ApiKey, Error> {
        let work = async { self.service.find_key(self.signed_in()?, id).await };
        self.noted(work.await)
    }

    /// Ends the session that a token proves.
    pub async fn revoke_token(&self, token: &Token) -> Result<(), Error> {
        let work = async {
            match self.refused() {
                Some(error) => Err(error),
                None => self.service.revoke_token(&self.facts, token).await,
            }
        };
        self.noted(work.await)
    }
}

impl WorkBackend for RequestBackend {
    fn list_own_keys(&self) -> Answer<'_, Vec<ApiKey>> {
        self.answer(async { self.service.list_own_keys(self.signed_in()?).await })
    }

    fn list_user_keys(&self, user: UserId) -> Answer<'_, Vec<ApiKey>> {
        self.answer(async move { self.service.list_user_keys(self.signed_in()?, user).await })
    }

    fn create_key(&self, input: CreateKey) -> Answer<'_, KeyCreated> {
        self.answer(async move {
            let caller = self.signed_in()?;
            let created = self.service.create_key(caller, &self.facts, input).await?;
            // A program has the secret in its answer; a page comes after a redirect.
            if self.door == Door::Rpc {
                self.service.hand_key_over(caller, &created);
            }
            Ok(created)
        })
    }

    fn revoke_key(&self, id: ApiKeyId) -> Answer<'_, ()> {
        self.answer(async move {
            let caller = self.signed_in()?;
            self.service.revoke_key(caller, &self.facts, id).await
        })
    }

    fn key_secret(&self, id: ApiKeyId) -> Answer<'_, Option<String>> {
        self.answer(async move {
            let now = self.service.key_secret(self.signed_in()?, id);
            let mut handed = self.handed.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(secret) = now {
                *handed = Some((id.0, secret));
            }
            let for_this = handed.as_ref().filter(|(key, _)| *key == id.0);
            Ok(for_this.map(|(_, secret)| secret.clone()))
        })
    }

    fn list_clients(&self, query: ClientQuery) -> Answer<'_, Page<Client>> {
        self.answer(async move { self.service.list_clients(self.signed_in()?, &query).await })
    }

    fn find_client(&self, id: ClientId) -> Answer<'_, Client> {
        self.answer(async move { self.service.find_client(self.at_work()?, id).await })
    }

    fn heartbeat(&self, id: ClientId) -> Answer<'_, Vec<Command>> {
        self.answer(async move { self.service.heartbeat(self.at_work()?, id).await })
    }

    fn disconnect_client(&self, id: ClientId) -> Answer<'_, Vec<Execution>> {
        self.answer(async move {
            let caller = self.signed_in()?;
            self.service
                .disconnect_client(caller, &self.facts, id)
                .await
        })
    }

    fn remove_client(&self, id: ClientId) -> Answer<'_, ()> {
        self.answer(async move {
            let caller = self.signed_in()?;
            self.service.remove_client(caller, &self.facts, id).await
        })
    }

    fn list_executions(&self, query: ExecutionQuery) -> Answer<'_, Page<Execution>> {
        self.answer(async move { self.service.list_executions(self.at_work()?, &query).await })
    }

    fn find_execution(&self, id: ExecutionId) -> Answer<'_, Execution> {
        self.answer(async move { self.service.find_execution(self.at_work()?, id).await })
    }

    fn start_execution(&self, input: StartExecution) -> Answer<'_, Execution> {
        self.answer(async move {
            let caller = self.at_work()?;
            self.service
                .start_execution(caller, &self.facts, input)
                .await
        })
    }

    fn end_execution(&self, id: ExecutionId, state: ExecutionState) -> Answer<'_, Execution> {
        self.answer(async move {
            let caller = self.at_work()?;
            self.service
                .end_execution(caller, &self.facts, id, state)
                .await
        })
    }

    fn dispatch(&self, client: ClientId, work: Dispatch) -> Answer<'_, Execution> {
        self.answer(async move {
            let caller = self.signed_in()?;
            self.service
                .dispatch(caller, &self.facts, client, work)
                .await
        })
    }

    fn force_logout(&self, user: UserId, note: Option<String>) -> Answer<'_, ForceLogout> {
        self.answer(async move {
            let caller = self.signed_in()?;
            let own = user == caller.user_id();
            let result = self
                .service
                .force_logout(caller, &self.facts, user, note.as_deref())
                .await?;
            if own {
                self.forget_cookie();
            }
            Ok(result)
        })
    }

    fn executions_of_act(&self, act: Uuid) -> Answer<'_, Vec<Execution>> {
        self.answer(async move { self.service.executions_of_act(self.signed_in()?, act).await })
    }
}
