//! The part of a request's backend that is about users, roles and organisations.

use std::sync::PoisonError;

use rollcall_core::backend::Answer;
use rollcall_core::{
    CreateRole, CreateUser, EditOrganisation, EditRole, EditUser, NameQuery, Organisation,
    OrganisationId, Page, PeopleBackend, Policy, Role, RoleKey, Session, SessionQuery,
    ThrottledAddress, User, UserCreated, UserId, UserQuery,
};

use super::request::{Door, RequestBackend};

impl PeopleBackend for RequestBackend {
    fn list_users(&self, query: UserQuery) -> Answer<'_, Page<User>> {
        self.answer(async move { self.service.list_users(self.signed_in()?, &query).await })
    }

    fn find_user(&self, id: UserId) -> Answer<'_, User> {
        self.answer(async move { self.service.find_user(self.signed_in()?, id).await })
    }

    fn create_user(&self, input: CreateUser) -> Answer<'_, UserCreated> {
        self.answer(async move {
            let caller = self.signed_in()?;
            let created = self
                .service
                .create_user_as(caller, &self.facts, input)
                .await?;
            self.keep_for_page(&created)?;
            Ok(created)
        })
    }

    fn edit_user(&self, id: UserId, input: EditUser) -> Answer<'_, User> {
        self.answer(async move {
            let caller = self.signed_in()?;
            self.service.edit_user(caller, &self.facts, id, input).await
        })
    }

    fn delete_user(&self, id: UserId) -> Answer<'_, ()> {
        self.answer(async move {
            let caller = self.signed_in()?;
            self.service.delete_user(caller, &self.facts, id).await
        })
    }

    fn reset_password(&self, id: UserId) -> Answer<'_, UserCreated> {
        self.answer(async move {
            let caller = self.signed_in()?;
            let reset = self
                .service
                .reset_password_of(caller, &self.facts, id)
                .await?;
            self.keep_for_page(&reset)?;
            Ok(reset)
        })
    }

    fn unlock_user(&self, id: UserId) -> Answer<'_, ()> {
        self.answer(async move {
            let caller = self.signed_in()?;
            self.service.unlock_user_as(caller, &self.facts, id).await
        })
    }

    fn one_time_password(&self, id: UserId) -> Answer<'_, Option<String>> {
        self.answer(async move {
            let now = self.service.one_time_password(self.signed_in()?, id)?;
            let mut handed = self.handed.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(password) = now {
                *handed = Some((id.0, password));
            }
            let for_this = handed.as_ref().filter(|(user, _)| *user == id.0);
            Ok(for_this.map(|(_, password)| password.clone()))
        })
    }

    fn user_policy(&self, id: UserId) -> Answer<'_, Policy> {
        self.answer(async move { self.service.user_policy(self.signed_in()?, id).await })
    }

    fn throttled_addresses(&self) -> Answer<'_, Vec<ThrottledAddress>> {
        self.answer(async move { self.service.throttled_addresses(self.signed_in()?) })
    }

    fn release_address(&self, address: String) -> Answer<'_, ()> {
        self.answer(async move {
            let caller = self.signed_in()?;
            self.service
                .release_address(caller, &self.facts, &address)
                .await
        })
    }

    fn list_user_sessions(&self, id: UserId, query: SessionQuery) -> Answer<'_, Page<Session>> {
        self.answer(async move {
            let caller = self.signed_in()?;
            self.service.list_user_sessions(caller, id, &query).await
        })
    }

    fn list_roles(&self, query: NameQuery) -> Answer<'_, Page<Role>> {
        self.answer(async move { self.service.list_roles(self.signed_in()?, &query).await })
    }

    fn find_role(&self, key: RoleKey) -> Answer<'_, Role> {
        self.answer(async move { self.service.find_role(self.signed_in()?, &key).await })
    }

    fn create_role(&self, input: CreateRole) -> Answer<'_, Role> {
        self.answer(async move {
            let caller = self.signed_in()?;
            self.service.create_role(caller, &self.facts, input).await
        })
    }

    fn edit_role(&self, key: RoleKey, input: EditRole) -> Answer<'_, Role> {
        self.answer(async move {
            let caller = self.signed_in()?;
            self.service
                .edit_role(caller, &self.facts, key, input)
                .await
        })
    }

    fn delete_role(&self, key: RoleKey) -> Answer<'_, ()> {
        self.answer(async move {
            let caller = self.signed_in()?;
            self.service.delete_role(caller, &self.facts, key).await
        })
    }

    fn list_organisations(&self, query: NameQuery) -> Answer<'_, Page<Organisation>> {
        self.answer(async move {
            let caller = self.signed_in()?;
            self.service.list_organisations(caller, &query).await
        })
    }

    fn find_organisation(&self, id: OrganisationId) -> Answer<'_, Organisation> {
        self.answer(async move { self.service.find_organisation(self.signed_in()?, id).await })
    }

    fn create_organisation(&self, name: String) -> Answer<'_, Organisation> {
        self.answer(async move {
            let caller = self.signed_in()?;
            self.service
                .create_organisation(caller, &self.facts, &name)
                .await
        })
    }

    fn edit_organisation(
        &self,
        id: OrganisationId,
        input: EditOrganisation,
    ) -> Answer<'_, Organisation> {
        self.answer(async move {
            let caller = self.signed_in()?;
            self.service
                .edit_organisation(caller, &self.facts, id, input)
                .await
        })
    }
}

impl RequestBackend {
    // A program has the password in its answer; a page comes after a redirect.
    fn keep_for_page(&self, created: &UserCreated) -> Result<(), rollcall_core::Error> {
        if self.door == Door::Rpc {
            self.service.hand_over(self.signed_in()?, created);
        }
        Ok(())
    }
}
