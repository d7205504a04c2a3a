//! What of the sign-in page the server makes alone: no script has a part in it, so that the browser's part of the page leaves
//! it as it is and knows nothing of it.

/// What the server puts into the context of the sign-in page.
#[cfg(feature = "ssr")]
#[derive(Clone, Debug, Default)]
pub struct SignOn {
    /// The identity providers that people can sign in with.
    pub choices: Vec<rollcall_core::SignOnChoice>,
    /// Whether the page came over plain http from another machine: browsers will not keep the cookie.
    pub https_needed: bool,
}

/// Above the form, as HTML: a warning where signing in would not last.
#[cfg(feature = "ssr")]
pub(crate) fn above() -> String {
    use leptos::prelude::*;

    let SignOn { https_needed, .. } = use_context().unwrap_or_default();
    if !https_needed {
        return String::new();
    }
    view! {
        <p class="notice failed">
            "This page came over plain http, so your browser will not keep you signed in. Open it by https, or ask your administrator to set it up."
        </p>
    }
    .into_any()
    .to_html()
}

/// Below it: a button for each provider, which comes back to `next`.
#[cfg(feature = "ssr")]
pub(crate) fn below(next: Option<String>) -> String {
    use leptos::prelude::*;

    let SignOn { choices, .. } = use_context().unwrap_or_default();
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
pub(crate) fn above() -> String {
    String::new()
}

/// Nothing, too.
#[cfg(not(feature = "ssr"))]
pub(crate) fn below(_: Option<String>) -> String {
    String::new()
}
