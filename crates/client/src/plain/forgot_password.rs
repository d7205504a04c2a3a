//! What to do without the password: ask for a link by mail where the server sends any, else whom to ask. The same for
//! everybody, so that nobody learns which accounts there are.

use leptos::prelude::*;
use leptos::server_fn::ServerFn;
use leptos_meta::Title;
use rollcall_core::Field;

use super::parts::{alone, backend, search};
use crate::app::use_surroundings;
use crate::components::error_view::{field_error, other_error};
use crate::routes;
use crate::rpc::{self, AskPasswordReset};

pub(super) fn page() -> AnyView {
    let sends_mail = backend().is_ok_and(|backend| backend.sends_mail());
    let contact = use_surroundings().support_contact;
    let whom = match contact {
        Some(contact) => view! { "Ask " <b>{contact}</b> "." }.into_any(),
        None => view! { "Ask the administrator of your organisation." }.into_any(),
    };
    let way = match sends_mail {
        true => ask(whom),
        false => {
            view! { <p>"An administrator can give you a one-time password. "{whom}</p> }.into_any()
        }
    };
    let content = view! {
        <h1>"Forgot your password?"</h1>
        {way}
        <p>"A locked account has to be unlocked by an administrator too; a new password does not unlock it."</p>
        <p><a href=routes::SIGN_IN class="button">"Back to sign-in"</a></p>
    };
    view! {
        <Title text="Forgot password" />
        {alone(content.into_any())}
    }
    .into_any()
}

fn ask(whom: AnyView) -> AnyView {
    let failure = rpc::failure(AskPasswordReset::url());
    if failure.is_none() && search().contains("asked=") {
        return view! {
            <p class="notice done" role="status">
                "If an account with a password has this address, a mail with a link is on its way. The link is good for an hour, once."
            </p>
            <p>"No mail? Look among unwanted ones. Whoever signs in by single sign-on has no password here. "{whom}</p>
        }
        .into_any();
    }
    let wrong = field_error(failure, Field::Email, "E-mail");
    view! {
        {other_error(failure, &[Field::Email]).map(|text| view! { <p class="notice failed" role="alert">{text}</p> })}
        <form method="post" action=AskPasswordReset::url() class="stack">
            <div class="stack">
                <label for="email">"E-mail"</label>
                <input id="email" name="email" type="email" autocomplete="username" required autofocus
                    aria-invalid=wrong.is_some().then_some("true") aria-describedby="email-error" />
                <span class="field-error" id="email-error">{wrong}</span>
            </div>
            <button class="button primary">"Send a link"</button>
        </form>
    }
    .into_any()
}
