//! The ways to sign in that lead to an identity provider.
//!
//! The server makes them: plain forms, which the browser's part of a page leaves as they are and knows nothing of.

/// What the server puts into the context of the sign-in page.
#[cfg(feature = "ssr")]
#[derive(Clone, Debug, Default)]
pub struct SignOnChoices(pub Vec<rollcall_core::SignOnChoice>);

/// The forms as HTML, to come back to `next`; empty where there is no provider.
#[cfg(feature = "ssr")]
pub(crate) fn forms(next: Option<String>) -> String {
    use leptos::prelude::*;

    let SignOnChoices(choices) = use_context().unwrap_or_default();
    if choices.is_empty() {
        return String::new();
    }
    let buttons = choices
        .into_iter()
        .map(|choice| {
            let there = format!("/auth/sso/{}", choice.key);
            let label = format!("Sign in with {}", choice.label);
            view! { <button class="button" formaction=there>{label}</button> }
        })
        .collect_view();
    view! {
        <form method="post" class="stack others" aria-label="Sign in elsewhere">
            <p class="or"><span>"or"</span></p>
            {next.map(|next| view! { <input type="hidden" name="next" value=next /> })}
            {buttons}
            <label class="check">
                <input name="keep" type="checkbox" />
                "Keep me signed in here afterwards"
            </label>
        </form>
    }
    .into_any()
    .to_html()
}

/// Nothing: what the server made stays.
#[cfg(not(feature = "ssr"))]
pub(crate) fn forms(_: Option<String>) -> String {
    String::new()
}
