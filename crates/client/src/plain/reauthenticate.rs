//! The password once more, in place of a form that changes who may sign in or what they may do.

use leptos::prelude::*;
use leptos::server_fn::ServerFn;
use leptos_router::hooks::use_url;
use rollcall_core::Field;

use super::parts::backend;
use crate::components::error_view::{field_error, other_error};
use crate::rpc::{self, Reauthenticate};

/// The form; or the question for the password, if that was entered too long ago. `what` ends "Before you".
pub(super) fn once_confirmed(what: &str, form: impl FnOnce() -> AnyView) -> AnyView {
    if is_due() { ask(what) } else { form() }
}

/// Whether the password has to be asked for.
pub(super) fn is_due() -> bool {
    backend().is_ok_and(|backend| backend.reauthentication_due())
}

/// Asks for the password, and leads back to this page.
pub(super) fn ask(what: &str) -> AnyView {
    let failure = rpc::failure(Reauthenticate::url());
    let wrong = field_error(failure, Field::CurrentPassword, "Your password");
    let other = other_error(failure, &[Field::CurrentPassword]);
    view! {
        <section class="panel card" aria-label="Confirm that it is you">
            <h2>"Confirm that it is you"</h2>
            <p class="aside">{format!("Before you {what}, enter your password once more. It is not asked again for a while.")}</p>
            {other.map(|text| view! { <p class="notice failed" role="alert">{text}</p> })}
            <form method="post" action=Reauthenticate::url() class="stack">
                <input type="hidden" name="next" value=here() />
                <div class="stack">
                    <label for="current_password">"Your password"</label>
                    <input id="current_password" type="password" name="current_password" autocomplete="current-password" required
                        autofocus=wrong.is_some() aria-invalid=wrong.is_some().then_some("true") aria-describedby="current_password-error" />
                    <span class="field-error" id="current_password-error">{wrong}</span>
                </div>
                <button class="button primary">"Continue"</button>
            </form>
        </section>
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
