//! The first start: an organisation "Default" and one Platform administrator.

use rollcall_core::role::BuiltInRole;
use rollcall_core::{Email, Error};
use zeroize::Zeroizing;

use super::Service;
use super::admin::CreateUser;
use super::password::Password;
use crate::db;

/// The name of the first organisation.
pub const FIRST_ORGANISATION: &str = "Default";

/// The e-mail of the first administrator, unless the environment names another.
pub const FIRST_ADMINISTRATOR: &str = "admin@localhost";

/// The administrator that the environment names (`ROLLCALL_ADMIN_EMAIL` with `…_PASSWORD` or
/// `…_PASSWORD_FILE`).
#[derive(Clone, Debug)]
pub struct NamedAdministrator {
    /// The user name.
    pub email: Email,
    /// The password; it need not be changed.
    pub password: Zeroizing<String>,
}

/// What the first start has to say on standard output, never in the log.
#[derive(Clone, Debug)]
pub struct OneTimePassword {
    /// Who can sign in with it.
    pub email: String,
    /// The password, good until it is changed or the next start makes a new one.
    pub password: Zeroizing<String>,
}

impl Service {
    /// Makes sure that there is a Platform administrator. Answers the one-time password to print: at the
    /// first start, and again, a new one, at each start until it has been used.
    pub async fn ensure_administrator(
        &self,
        named: Option<NamedAdministrator>,
    ) -> Result<Option<OneTimePassword>, Error> {
        let found = db::users::find_platform_administrator(self.db().reader()).await;
        match found.map_err(|error| self.database_error(error))? {
            None => {
                let (email, password) = match named {
                    Some(named) => (named.email.as_str().to_owned(), Some(named.password)),
                    None => (FIRST_ADMINISTRATOR.to_owned(), None),
                };
                let input = CreateUser {
                    email: email.clone(),
                    name: "Administrator".to_owned(),
                    role: BuiltInRole::PlatformAdministrator,
                    organisation: FIRST_ORGANISATION.to_owned(),
                    service_account: false,
                    password,
                };
                let (_, one_time) = self.create_user(input).await?;
                Ok(one_time.map(|password| OneTimePassword { email, password }))
            }
            Some(administrator)
                if administrator.password_change_required && !administrator.has_signed_in =>
            {
                let (password, text) = Password::one_time(self.random());
                let hash = self.inner.hasher.hash_now(&password, self.random());
                let (id, now) = (administrator.id, self.now());
                self.write(move |tx, _| {
                    Box::pin(async move { db::users::set_password(tx, id, &hash, true, now).await })
                })
                .await?;
                Ok(Some(OneTimePassword {
                    email: administrator.email,
                    password: text,
                }))
            }
            Some(_) => Ok(None),
        }
    }
}
