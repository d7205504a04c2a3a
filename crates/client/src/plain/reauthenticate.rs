//! Proving anew who is there, in place of a form that changes who may sign in or what they may do.

use leptos::prelude::*;
use leptos::server_fn::ServerFn;
use leptos_router::hooks::use_url;
use rollcall_core::{Field, SignOnChoice};

use super::parts::{backend, when_there};
use crate::components::error_view::{field_error, other_error};
use crate::rpc::{self, Reauthenticate};

/// The form; or the question who is there, if that was proven too long ago. `what` ends "Before you".
pub(super) fn once_confirmed(what: &'static str, form: impl FnOnce() -> AnyView) -> AnyView {
    if is_due() { ask(what) } else { form() }
}

/// Whether it has to be asked.
pub(super) fn is_due() -> bool {
    backend().is_ok_and(|backend| backend.reauthentication_due())
}

/// Asks for the password, or leads to the provider that the session began with; both lead back to this page.
pub(super) fn ask(what: &'static str) -> AnyView {
    let here = here();
    when_there(move || {
        let (backend, here) = (backend(), here.clone());
        async move {
            let ways = backend?.ways_to_confirm().await?;
            let both = ways.password && ways.provider.is_some();
            let how = match (&ways.provider, ways.password) {
                (Some(provider), false) => format!(
                    "Before you {what}, sign in at {} once more. It is not asked again for a while.",
                    provider.label
                ),
                (Some(provider), true) => format!(
                    "Before you {what}, sign in at {} or enter your password once more. It is not asked again for a while.",
                    provider.label
                ),
                (None, true) => format!(
                    "Before you {what}, enter your password once more. It is not asked again for a while."
                ),
                (None, false) => format!(
                    "Before you {what}, sign out and in again: you have no password here, and the provider that you signed in with cannot be asked now."
                ),
            };
            Ok(view! {
                <section class="panel card" aria-label="Confirm that it is you">
                    <h2>"Confirm that it is you"</h2>
                    <p class="aside">{how}</p>
                    {ways.provider.map(|provider| at_provider(&provider, &here))}
                    {both.then(|| view! { <p class="or"><span>"or"</span></p> })}
                    {ways.password.then(|| by_password(here))}
                </section>
            }
            .into_any())
        }
    })
}

fn at_provider(provider: &SignOnChoice, here: &str) -> AnyView {
    let label = format!("Continue with {}", provider.label);
    view! {
        <form method="post" action=format!("/auth/sso/{}", provider.key) class="stack">
            <input type="hidden" name="next" value=here.to_owned() />
            <input type="hidden" name="confirm" value="on" />
            <button class="button primary">{label}</button>
        </form>
    }
    .into_any()
}

fn by_password(here: String) -> AnyView {
    let failure = rpc::failure(Reauthenticate::url());
    let wrong = field_error(failure, Field::CurrentPassword, "Your password");
    let other = other_error(failure, &[Field::CurrentPassword]);
    view! {
        {other.map(|text| view! { <p class="notice failed" role="alert">{text}</p> })}
        <form method="post" action=Reauthenticate::url() class="stack">
            <input type="hidden" name="next" value=here />
            <div class="stack">
                <label for="current_password">"Your password"</label>
                <input id="current_password" type="password" name="current_password" autocomplete="current-password" required
                    autofocus=wrong.is_some() aria-invalid=wrong.is_some().then_some("true") aria-describedby="current_password-error" />
                <span class="field-error" id="current_password-error">{wrong}</span>
            </div>
            <button class="button primary">"Continue"</button>
        </form>
    }
    .into_any()
}

// This page, without what an earlier form said.
fn here() -> String {
    let url = use_url();
    let url = url.read_untracked();
    let kept: Vec<_> = url
        .search()
        .trim_start_matches('?')
        .split('&')
        .filter(|pair| !pair.is_empty() && !pair.starts_with("__"))
        .collect();
    match kept.is_empty() {
        true => url.path().to_owned(),
        false => format!("{}?{}", url.path(), kept.join("&")),
    }
}
