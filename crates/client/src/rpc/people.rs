//! The server functions about users, roles and organisations.
//!
//! Only pages without scripts ask them: those that change something are sent by forms, and lead on from there.

use leptos::prelude::*;
use rollcall_core::{Organisation, Page, Role, Session, User};

use super::RpcError;
use super::on_server::{Field, NameQuery, Problem, SessionQuery, UserQuery, backend, id, routes};
use super::{Answer, Rpc};
use rollcall_core::{self as model, Permissions, RoleKey};

/// See `PeopleBackend::list_users`.
#[server(prefix = "/rpc", endpoint = "list_users", output = Answer)]
pub async fn list_users(#[server(default)] query: String) -> Rpc<Page<User>> {
    Ok(backend()?.list_users(UserQuery::parse(&query)?).await?)
}

/// See `PeopleBackend::find_user`.
#[server(prefix = "/rpc", endpoint = "find_user", output = Answer)]
pub async fn find_user(user: String) -> Rpc<User> {
    Ok(backend()?.find_user(id(&user, Field::Id)?).await?)
}

/// See `PeopleBackend::user_policy`.
#[server(prefix = "/rpc", endpoint = "user_policy", output = Answer)]
pub async fn user_policy(user: String) -> Rpc<model::Policy> {
    Ok(backend()?.user_policy(id(&user, Field::Id)?).await?)
}

/// See `PeopleBackend::throttled_addresses`.
#[server(prefix = "/rpc", endpoint = "throttled_addresses", output = Answer)]
pub async fn throttled_addresses() -> Rpc<Vec<model::ThrottledAddress>> {
    Ok(backend()?.throttled_addresses().await?)
}

/// See `PeopleBackend::release_address`.
#[server(prefix = "/rpc", endpoint = "release_address", output = Answer)]
pub async fn release_address(#[server(default)] ip: String) -> Rpc<()> {
    let backend = backend()?;
    backend.release_address(ip).await?;
    backend.redirect(routes::LOCKED);
    Ok(())
}

/// See `PeopleBackend::create_user`. Leads to the user's page, which shows the password.
#[server(prefix = "/rpc", endpoint = "create_user", output = Answer)]
pub async fn create_user(
    #[server(default)] email: String,
    name: Option<String>,
    role: Option<String>,
    #[server(default)] roles: Vec<String>,
    organisation: Option<String>,
    service_account: Option<String>,
) -> Rpc<()> {
    let backend = backend()?;
    let input = model::CreateUser {
        email,
        name,
        role: given(role, Field::Role)?,
        roles: Some(keys(&roles)?),
        organisation: given(organisation, Field::Organisation)?,
        service_account: Some(service_account.is_some()),
    };
    let created = backend.create_user(input).await?;
    backend.redirect(&routes::user(&created.user.id.to_string()));
    Ok(())
}

/// See `PeopleBackend::edit_user`. A form that asks for the secondary roles sends an empty one along, so that none
/// ticked is told from not asked.
#[server(prefix = "/rpc", endpoint = "edit_user", output = Answer)]
pub async fn edit_user(
    user: String,
    email: Option<String>,
    name: Option<String>,
    role: Option<String>,
    roles: Option<Vec<String>>,
    organisation: Option<String>,
    enabled: Option<bool>,
) -> Rpc<()> {
    let backend = backend()?;
    let input = model::EditUser {
        email,
        name,
        role: given(role, Field::Role)?,
        roles: roles.map(|roles| keys(&roles)).transpose()?,
        organisation: given(organisation, Field::Organisation)?,
        enabled,
    };
    backend.edit_user(id(&user, Field::Id)?, input).await?;
    backend.redirect(&routes::user(&user));
    Ok(())
}

/// See `PeopleBackend::delete_user`.
#[server(prefix = "/rpc", endpoint = "delete_user", output = Answer)]
pub async fn delete_user(user: String) -> Rpc<()> {
    let backend = backend()?;
    backend.delete_user(id(&user, Field::Id)?).await?;
    backend.redirect(routes::USERS);
    Ok(())
}

/// See `PeopleBackend::reset_password`. Leads to the user's page, which shows the password.
#[server(prefix = "/rpc", endpoint = "reset_password", output = Answer)]
pub async fn reset_password(user: String) -> Rpc<()> {
    let backend = backend()?;
    backend.reset_password(id(&user, Field::Id)?).await?;
    backend.redirect(&routes::user(&user));
    Ok(())
}

/// See `PeopleBackend::unlock_user`.
#[server(prefix = "/rpc", endpoint = "unlock_user", output = Answer)]
pub async fn unlock_user(user: String) -> Rpc<()> {
    let backend = backend()?;
    backend.unlock_user(id(&user, Field::Id)?).await?;
    backend.redirect(routes::LOCKED);
    Ok(())
}

/// See `PeopleBackend::one_time_password`.
#[server(prefix = "/rpc", endpoint = "one_time_password", output = Answer)]
pub async fn one_time_password(user: String) -> Rpc<Option<String>> {
    Ok(backend()?.one_time_password(id(&user, Field::Id)?).await?)
}

/// See `PeopleBackend::list_user_sessions`.
#[server(prefix = "/rpc", endpoint = "list_user_sessions", output = Answer)]
pub async fn list_user_sessions(
    user: String,
    #[server(default)] query: String,
) -> Rpc<Page<Session>> {
    Ok(backend()?
        .list_user_sessions(id(&user, Field::Id)?, SessionQuery::parse(&query)?)
        .await?)
}

/// See `PeopleBackend::list_roles`.
#[server(prefix = "/rpc", endpoint = "list_roles", output = Answer)]
pub async fn list_roles(#[server(default)] query: String) -> Rpc<Page<Role>> {
    Ok(backend()?.list_roles(NameQuery::parse(&query)?).await?)
}

/// See `PeopleBackend::find_role`.
#[server(prefix = "/rpc", endpoint = "find_role", output = Answer)]
pub async fn find_role(role: String) -> Rpc<Role> {
    Ok(backend()?.find_role(id(&role, Field::Id)?).await?)
}

/// See `PeopleBackend::create_role`.
#[server(prefix = "/rpc", endpoint = "create_role", output = Answer)]
pub async fn create_role(
    #[server(default)] name: String,
    #[server(default)] permissions: Vec<String>,
    organisation: Option<String>,
) -> Rpc<()> {
    let backend = backend()?;
    let input = model::CreateRole {
        name,
        permissions: ticked(&permissions)?,
        organisation: given(organisation, Field::Organisation)?,
    };
    backend.create_role(input).await?;
    backend.redirect(routes::ROLES);
    Ok(())
}

/// See `PeopleBackend::edit_role`.
#[server(prefix = "/rpc", endpoint = "edit_role", output = Answer)]
pub async fn edit_role(
    role: String,
    name: Option<String>,
    #[server(default)] permissions: Vec<String>,
) -> Rpc<()> {
    let backend = backend()?;
    let input = model::EditRole {
        name,
        permissions: Some(ticked(&permissions)?),
    };
    backend.edit_role(id(&role, Field::Id)?, input).await?;
    backend.redirect(routes::ROLES);
    Ok(())
}

/// See `PeopleBackend::delete_role`.
#[server(prefix = "/rpc", endpoint = "delete_role", output = Answer)]
pub async fn delete_role(role: String) -> Rpc<()> {
    let backend = backend()?;
    backend.delete_role(id(&role, Field::Id)?).await?;
    backend.redirect(routes::ROLES);
    Ok(())
}

/// See `PeopleBackend::list_organisations`.
#[server(prefix = "/rpc", endpoint = "list_organisations", output = Answer)]
pub async fn list_organisations(#[server(default)] query: String) -> Rpc<Page<Organisation>> {
    Ok(backend()?
        .list_organisations(NameQuery::parse(&query)?)
        .await?)
}

/// See `PeopleBackend::find_organisation`.
#[server(prefix = "/rpc", endpoint = "find_organisation", output = Answer)]
pub async fn find_organisation(organisation: String) -> Rpc<Organisation> {
    Ok(backend()?
        .find_organisation(id(&organisation, Field::Id)?)
        .await?)
}

/// See `PeopleBackend::create_organisation`.
#[server(prefix = "/rpc", endpoint = "create_organisation", output = Answer)]
pub async fn create_organisation(#[server(default)] name: String) -> Rpc<()> {
    let backend = backend()?;
    backend.create_organisation(name).await?;
    backend.redirect(routes::ORGANISATIONS);
    Ok(())
}

/// See `PeopleBackend::edit_organisation`.
#[server(prefix = "/rpc", endpoint = "edit_organisation", output = Answer)]
pub async fn edit_organisation(
    organisation: String,
    name: Option<String>,
    enabled: Option<bool>,
) -> Rpc<()> {
    let backend = backend()?;
    let input = model::EditOrganisation { name, enabled };
    backend
        .edit_organisation(id(&organisation, Field::Id)?, input)
        .await?;
    backend.redirect(routes::ORGANISATIONS);
    Ok(())
}

// An empty value is what a form sends where nothing is chosen.
fn given<T: std::str::FromStr>(text: Option<String>, field: Field) -> Rpc<Option<T>> {
    let text = text.filter(|text| !text.is_empty());
    text.map(|text| id(&text, field)).transpose()
}

fn keys(roles: &[String]) -> Rpc<Vec<RoleKey>> {
    let chosen = roles.iter().filter(|role| !role.is_empty());
    chosen.map(|role| id(role, Field::Roles)).collect()
}

pub(super) fn ticked(permissions: &[String]) -> Rpc<Permissions> {
    let named = |text: &String| {
        let all = model::Permission::ALL.iter().copied();
        all.into_iter()
            .find(|permission| permission.as_str() == text)
            .ok_or(RpcError(model::Error::Invalid(
                Field::Permissions,
                Problem::NotOffered,
            )))
    };
    let list: Vec<_> = permissions.iter().map(named).collect::<Rpc<_>>()?;
    Ok(Permissions::of(&list))
}
