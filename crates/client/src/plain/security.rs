//! Password and time zone.

use leptos::prelude::*;
use leptos::server_fn::ServerFn;
use leptos_meta::Title;
use rollcall_core::{Error, Field, WaysToConfirm};

use super::parts::{backend, options, search, when_there};
use crate::app::use_surroundings;
use crate::components::error_view::{field_error, other_error};
use crate::routes;
use crate::rpc::{self, ChangePassword, SetTimeZone};

const FIELDS: [Field; 3] = [
    Field::CurrentPassword,
    Field::NewPassword,
    Field::RepeatPassword,
];

pub(super) fn page() -> AnyView {
    when_there(|| {
        let backend = backend();
        async move {
            let backend = backend?;
            let ways = backend.ways_to_confirm().await?;
            Ok(show(&backend.time_zones(), &ways))
        }
    })
}

fn show(zones: &[&'static str], ways: &WaysToConfirm) -> AnyView {
    let required = use_surroundings()
        .viewer
        .is_some_and(|viewer| viewer.password_change_required);
    let failure = rpc::failure(ChangePassword::url());
    let changed = failure.is_none() && search().contains("changed=password");
    view! {
        <Title text="Security" />
        <div class="head"><h1>"Security"</h1></div>
        {required.then(|| view! {
            <p class="notice" role="status">
                "You signed in with a one-time password. Choose your own now; nothing else is open until then."
            </p>
        })}
        {changed.then(|| view! { <p class="notice done" role="status">"Your password was changed. All your other sessions were ended."</p> })}
        {match ways.password {
            true => password_form(failure),
            false => no_password(ways),
        }}
        {(!required).then(|| time_zone_form(zones))}
        {(!required).then(keys)}
    }
    .into_any()
}

fn no_password(ways: &WaysToConfirm) -> AnyView {
    let there = ways.provider.as_ref();
    let there = there.map_or("an identity provider".to_owned(), |one| one.label.clone());
    view! {
        <section class="panel card">
            <h2>"No password here"</h2>
            <p class="aside">{format!("You sign in with {there}, and change your password there.")}</p>
        </section>
    }
    .into_any()
}

fn password_form(failure: Option<Error>) -> AnyView {
    let least = use_surroundings().password_min_length;
    let field = |field: Field, label: &'static str, complete: &'static str| {
        let wrong = field_error(failure, field, label);
        let describe = format!("{}-error", field.as_str());
        view! {
            <div class="stack">
                <label for=field.as_str()>{label}</label>
                <input id=field.as_str() type="password" name=field.as_str() autocomplete=complete required
                    autofocus=wrong.is_some() aria-invalid=wrong.is_some().then_some("true") aria-describedby=describe.clone() />
                <span class="field-error" id=describe>{wrong}</span>
            </div>
        }
    };
    view! {
        <section class="panel card">
            <h2>"Change password"</h2>
            <p class="aside">
                {format!("At least {least} characters; any characters, no other rules. A phrase of a few unrelated words is good. Common passwords are refused. Your other sessions are ended; this one stays.")}
            </p>
            {other_error(failure, &FIELDS).map(|text| view! { <p class="notice failed" role="alert">{text}</p> })}
            <form method="post" action=ChangePassword::url() class="stack">
                <input type="hidden" name="go" value="true" />
                {field(Field::CurrentPassword, "Current password", "current-password")}
                {field(Field::NewPassword, "New password", "new-password")}
                {field(Field::RepeatPassword, "New password, once more", "new-password")}
                <button class="button primary">"Change password"</button>
            </form>
        </section>
    }
    .into_any()
}

fn keys() -> AnyView {
    view! {
        <section class="panel card">
            <h2>"API keys"</h2>
            <p class="aside">"For programs that act as you without your password."</p>
            <p><a class="button" href=routes::KEYS>"Show API keys"</a></p>
        </section>
    }
    .into_any()
}

fn time_zone_form(zones: &[&'static str]) -> AnyView {
    let surroundings = use_surroundings();
    let chosen = surroundings
        .viewer
        .and_then(|viewer| viewer.time_zone)
        .unwrap_or_default();
    let first = (String::new(), "The browser's time zone".to_owned());
    let zones = zones
        .iter()
        .map(|zone| ((*zone).to_owned(), (*zone).to_owned()));
    let zones = std::iter::once(first).chain(zones).collect();
    view! {
        <section class="panel card">
            <h2>"Time zone"</h2>
            <p class="aside">{format!("Times are shown in {} now.", surroundings.zone.name)}</p>
            <form method="post" action=SetTimeZone::url() class="stack">
                <label class="stack">
                    "Show times in"
                    <select name="time_zone">{options(zones, &chosen)}</select>
                </label>
                <button class="button">"Save time zone"</button>
            </form>
        </section>
    }
    .into_any()
}
