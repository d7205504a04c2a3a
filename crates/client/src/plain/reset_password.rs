//! A new password by a link of a mail. Looking changes nothing: programs look at links, too.

use leptos::prelude::*;
use leptos::server_fn::ServerFn;
use leptos_meta::Title;
use rollcall_core::{Error, Field, ResetLink};

use super::parts::{alone, backend, part, when_there};
use crate::app::use_surroundings;
use crate::components::error_view::{field_error, other_error};
use crate::routes;
use crate::rpc::{self, ResetPasswordByLink};

const FIELDS: [Field; 2] = [Field::NewPassword, Field::RepeatPassword];

pub(super) fn page() -> AnyView {
    let content = when_there(|| {
        let (link, backend) = (part("link"), backend());
        async move {
            let found = backend?.find_reset_link(link.clone()).await?;
            Ok(match found {
                Some(found) => form(&link, &found),
                None => over(),
            })
        }
    });
    view! {
        <Title text="Set a new password" />
        {alone(content)}
    }
    .into_any()
}

fn form(link: &str, found: &ResetLink) -> AnyView {
    let failure = rpc::failure(ResetPasswordByLink::url());
    let surroundings = use_surroundings();
    let (least, zone) = (surroundings.password_min_length, surroundings.zone);
    let until = format!("{} {}", zone.civil(found.expires_at), zone.name);
    let other = other_error(failure.filter(|error| *error != Error::NotFound), &FIELDS);
    let field = |field: Field, label: &'static str| {
        let wrong = field_error(failure, field, label);
        let describe = format!("{}-error", field.as_str());
        view! {
            <div class="stack">
                <label for=field.as_str()>{label}</label>
                <input id=field.as_str() type="password" name=field.as_str() autocomplete="new-password" required
                    autofocus=wrong.is_some() aria-invalid=wrong.is_some().then_some("true") aria-describedby=describe.clone() />
                <span class="field-error" id=describe>{wrong}</span>
            </div>
        }
    };
    view! {
        <h1>"Set a new password"</h1>
        {other.map(|text| view! { <p class="notice failed" role="alert">{text}</p> })}
        <p class="aside">
            {format!("At least {least} characters; any characters, no other rules. A phrase of a few unrelated words is good. Common passwords are refused. All your sessions are ended and your API keys revoked.")}
        </p>
        <form method="post" action=ResetPasswordByLink::url() class="stack">
            <input type="hidden" name="link" value=link.to_owned() />
            <div class="stack">
                <label for="email">"Account"</label>
                // So that password managers know whose it is.
                <input id="email" type="email" autocomplete="username" readonly value=found.email.clone() />
            </div>
            {field(Field::NewPassword, "New password")}
            {field(Field::RepeatPassword, "New password, once more")}
            <button class="button primary">"Set password"</button>
        </form>
        <p class="aside">{format!("This link can be used once, until {until}.")}</p>
    }
    .into_any()
}

fn over() -> AnyView {
    view! {
        <h1>"This link is not good any more"</h1>
        <p>"It was used, it is older than an hour, or the password was changed since. Ask for another one."</p>
        <p class="acts">
            <a class="button" href=routes::SIGN_IN>"Sign in"</a>
            <a class="button primary" href=routes::FORGOT_PASSWORD>"Ask for another link"</a>
        </p>
    }
    .into_any()
}

/// Right after a password was set.
pub(super) fn done_page() -> AnyView {
    let content = view! {
        <h1>"Sign in with your new password"</h1>
        <p>"Whoever has set a new password by a link of a mail signs in with it from now on; all sessions from before were ended. A locked account stays locked until an administrator unlocks it."</p>
        <p><a class="button primary" href=routes::SIGN_IN>"Sign in"</a></p>
    };
    view! {
        <Title text="New password" />
        {alone(content.into_any())}
    }
    .into_any()
}
