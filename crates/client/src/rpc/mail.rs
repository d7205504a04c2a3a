//! The server functions about links of mails and sign-ins from new places.
//!
//! Only pages without scripts ask them, see `people`.

use leptos::prelude::*;
use rollcall_core::{Error, Field, Problem};

use super::on_server::{backend, id, routes};
use super::{Answer, Rpc, RpcError};

/// See `MailBackend::ask_password_reset`. Leads to a page that says the same whatever was asked for.
#[server(prefix = "/rpc", endpoint = "ask_password_reset", output = Answer)]
pub async fn ask_password_reset(#[server(default)] email: String) -> Rpc<()> {
    let backend = backend()?;
    backend.ask_password_reset(email).await?;
    backend.redirect(routes::PASSWORD_ASKED);
    Ok(())
}

/// See `MailBackend::reset_password_by_link`.
#[server(prefix = "/rpc", endpoint = "reset_password_by_link", output = Answer)]
pub async fn reset_password_by_link(
    #[server(default)] link: String,
    #[server(default)] new_password: String,
    #[server(default)] repeat_password: String,
) -> Rpc<()> {
    let backend = backend()?;
    if new_password != repeat_password {
        let error = Error::Invalid(Field::RepeatPassword, Problem::Different);
        return Err(RpcError(error));
    }
    backend.reset_password_by_link(link, new_password).await?;
    backend.redirect(routes::RESET_PASSWORD);
    Ok(())
}

/// See `MailBackend::report_sign_in`. Leads back to the page of the link, which says what was done.
#[server(prefix = "/rpc", endpoint = "report_sign_in", output = Answer)]
pub async fn report_sign_in(#[server(default)] link: String, all: Option<bool>) -> Rpc<()> {
    let backend = backend()?;
    let there = routes::report(&link);
    backend.report_sign_in(link, all == Some(true)).await?;
    backend.redirect(&there);
    Ok(())
}

/// See `MailBackend::confirm_notice`.
#[server(prefix = "/rpc", endpoint = "confirm_notice", output = Answer)]
pub async fn confirm_notice(session: String) -> Rpc<()> {
    let backend = backend()?;
    backend.confirm_notice(id(&session, Field::Id)?).await?;
    backend.redirect(routes::NOTICES);
    Ok(())
}

/// See `MailBackend::disown_notice`.
#[server(prefix = "/rpc", endpoint = "disown_notice", output = Answer)]
pub async fn disown_notice(session: String) -> Rpc<()> {
    let backend = backend()?;
    backend.disown_notice(id(&session, Field::Id)?).await?;
    backend.redirect(routes::NOTICE_DISOWNED);
    Ok(())
}
