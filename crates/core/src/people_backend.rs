//! The part of `Backend` that is about users, roles and organisations.

use crate::backend::Answer;
use crate::filter::SessionQuery;
use crate::ids::{OrganisationId, RoleKey, UserId};
use crate::page::Page;
use crate::people::{
    CreateRole, CreateUser, EditOrganisation, EditRole, EditUser, Organisation, Role,
    ThrottledAddress, User, UserCreated,
};
use crate::people_query::{NameQuery, UserQuery};
use crate::policy::Policy;
use crate::session::Session;

/// What Rollcall can do for one request about users, roles and organisations.
///
/// Every method authorises first, as those of `Backend` do. Whoever has the permission is still refused
/// (`Forbidden`) where the rules of `rights::may` say so.
pub trait PeopleBackend: Send + Sync {
    /// The users that the caller may see. Needs `users.view`.
    fn list_users(&self, query: UserQuery) -> Answer<'_, Page<User>>;

    /// One user. Needs `users.view`.
    fn find_user(&self, id: UserId) -> Answer<'_, User>;

    /// Creates a user with a one-time password. Needs `users.manage`, and `roles.manage` for another role
    /// than Member. `EmailTaken` if somebody has the e-mail, on the whole server.
    fn create_user(&self, input: CreateUser) -> Answer<'_, UserCreated>;

    /// Changes a user. Needs `users.manage`, and `roles.manage` to change roles. `LastAdministrator` if no
    /// enabled Platform administrator would be left.
    fn edit_user(&self, id: UserId, input: EditUser) -> Answer<'_, User>;

    /// Deletes a user and ends all their sessions. Needs `users.manage`.
    fn delete_user(&self, id: UserId) -> Answer<'_, ()>;

    /// Gives a user a one-time password and ends all their sessions. Lifts no lock. Needs `users.manage`.
    fn reset_password(&self, id: UserId) -> Answer<'_, UserCreated>;

    /// Unlocks an account; nothing happens if it is not locked. Needs `users.unlock`.
    fn unlock_user(&self, id: UserId) -> Answer<'_, ()>;

    /// The one-time password that this session has just made for a user: pages show it once and never again.
    fn one_time_password(&self, id: UserId) -> Answer<'_, Option<String>>;

    /// A user's sessions, newest first. Needs `sessions.view`.
    fn list_user_sessions(&self, id: UserId, query: SessionQuery) -> Answer<'_, Page<Session>>;

    /// What this user's next sign-in has to keep to, with where each value comes from. Needs `users.view`.
    fn user_policy(&self, id: UserId) -> Answer<'_, Policy>;

    /// The addresses that are refused because too many sign-ins from them failed. Needs `users.unlock` in all
    /// organisations, since an address belongs to none.
    fn throttled_addresses(&self) -> Answer<'_, Vec<ThrottledAddress>>;

    /// Gives an address all its attempts back; nothing happens if it has them. Needs the same.
    fn release_address(&self, address: String) -> Answer<'_, ()>;

    /// The roles that the caller may see: built-in ones first, then those of organisations, by name. Needs
    /// `users.view`.
    fn list_roles(&self, query: NameQuery) -> Answer<'_, Page<Role>>;

    /// One role. Needs `users.view`.
    fn find_role(&self, key: RoleKey) -> Answer<'_, Role>;

    /// Makes a role of an organisation. Needs `roles.manage`. `NameTaken` if it has one of this name.
    fn create_role(&self, input: CreateRole) -> Answer<'_, Role>;

    /// Changes a role of an organisation. Needs `roles.manage`.
    fn edit_role(&self, key: RoleKey, input: EditRole) -> Answer<'_, Role>;

    /// Deletes a role of an organisation. Needs `roles.manage`. `RoleInUse` while somebody has it.
    fn delete_role(&self, key: RoleKey) -> Answer<'_, ()>;

    /// All organisations, by name. Needs `organisations.manage`.
    fn list_organisations(&self, query: NameQuery) -> Answer<'_, Page<Organisation>>;

    /// One organisation. Needs `organisations.manage`.
    fn find_organisation(&self, id: OrganisationId) -> Answer<'_, Organisation>;

    /// Makes an organisation. Needs `organisations.manage`. `NameTaken` if there is one of this name.
    fn create_organisation(&self, name: String) -> Answer<'_, Organisation>;

    /// Renames, disables or enables an organisation. Needs `organisations.manage`. `LastAdministrator` if no
    /// enabled Platform administrator would be left in another one.
    fn edit_organisation(
        &self,
        id: OrganisationId,
        input: EditOrganisation,
    ) -> Answer<'_, Organisation>;
}
