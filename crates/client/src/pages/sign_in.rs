//! Signing in: e-mail, password, keep me signed in; and why the last session ended.

use leptos::html;
use leptos::prelude::*;
use leptos::server_fn::ServerFn;
use leptos_meta::Title;
use leptos_router::hooks::use_url;
use rollcall_core::{Field, query};

use crate::components::error_view::{field_error, other_error};
use crate::components::sign_on;
use crate::rpc::{self, SignIn};
use crate::ui::icon::{Glyph, Icon};
use crate::ui::loading::Loaded;
use crate::{browser, routes};

const FIELDS: [Field; 2] = [Field::Email, Field::Password];

/// The sign-in page.
#[component]
pub(crate) fn SignInPage() -> AnyView {
    let url = use_url();
    let next = move || query::find(url.read_untracked().search(), "next");
    let last_end = rpc::load(|| (String::new(), 0), |_| rpc::last_end());
    let why_signed_out = move || async move {
        let end = last_end.await.ok().flatten();
        end.map(|end| view! { <p class="notice" role="status">{end.reason.explanation()}</p> })
            .into_any()
    };
    let sign_in = ServerAction::<SignIn>::new();
    let error = move || {
        sign_in
            .value()
            .get()
            .and_then(Result::err)
            .map(|error| error.0)
    };
    let (email, password, keep) = (
        NodeRef::<html::Input>::new(),
        NodeRef::<html::Input>::new(),
        NodeRef::<html::Input>::new(),
    );
    // With scripts what was typed stays in the fields when something is wrong with it.
    let submit = move |event: leptos::ev::SubmitEvent| {
        let (Some(email), Some(password), Some(keep)) = (
            email.get_untracked(),
            password.get_untracked(),
            keep.get_untracked(),
        ) else {
            return;
        };
        event.prevent_default();
        sign_in.dispatch(SignIn {
            email: email.value(),
            password: password.value(),
            keep: keep.checked().then(|| "on".to_owned()),
            next: next(),
            go: None,
        });
    };
    Effect::new(move || {
        if let Some(Ok(there)) = sign_in.value().get() {
            browser::go(&there);
        }
    });
    let shown = RwSignal::new(false);
    let scripts = RwSignal::new(false);
    Effect::new(move || scripts.set(true));
    view! {
        <Title text="Sign in" />
        <main class="alone" id="main">
            <section class="panel card">
                <p class="brand"><Glyph icon=Icon::Brand />"Rollcall"</p>
                <h1>"Sign in"</h1>
                <Loaded content=why_signed_out />
                <div inner_html=sign_on::above()></div>
                {move || other_error(error(), &FIELDS).map(|text| view! { <p class="notice failed" role="alert">{text}</p> })}
                <form method="post" action=SignIn::url() class="stack" on:submit=submit>
                    <input type="hidden" name="go" value="true" />
                    {next().map(|next| view! { <input type="hidden" name="next" value=next /> })}
                    <div class="stack">
                        <label for="email">"E-mail"</label>
                        <input
                            node_ref=email id="email" name="email" type="email" autocomplete="username" required autofocus
                            aria-invalid=move || field_error(error(), Field::Email, "E-mail").is_some().then_some("true")
                            aria-describedby="email-error"
                        />
                        <span class="field-error" id="email-error">{move || field_error(error(), Field::Email, "E-mail")}</span>
                    </div>
                    <div class="stack">
                        <label for="password">"Password"</label>
                        <span class="joined">
                            <input
                                node_ref=password id="password" name="password" autocomplete="current-password" required
                                type=move || if shown.get() { "text" } else { "password" }
                                aria-invalid=move || field_error(error(), Field::Password, "Password").is_some().then_some("true")
                                aria-describedby="password-error"
                            />
                            {move || scripts.get().then(|| view! {
                                <button class="button" type="button" aria-pressed=move || shown.get().to_string() on:click=move |_| shown.update(|shown| *shown = !*shown)>
                                    {move || if shown.get() { "Hide" } else { "Show" }}
                                </button>
                            })}
                        </span>
                        <span class="field-error" id="password-error">{move || field_error(error(), Field::Password, "Password")}</span>
                    </div>
                    <label class="check">
                        <input node_ref=keep name="keep" type="checkbox" aria-describedby="keep-help" />
                        "Keep me signed in"
                    </label>
                    <p class="aside" id="keep-help">"Stays signed in when the browser closes. Only on a device that nobody else uses."</p>
                    <button class="button primary" disabled=move || sign_in.pending().get()>
                        {move || if sign_in.pending().get() { "Signing in…" } else { "Sign in" }}
                    </button>
                </form>
                <div inner_html=sign_on::below(next())></div>
                <p class="aside"><a href=routes::FORGOT_PASSWORD rel="external">"Forgot your password?"</a></p>
            </section>
        </main>
    }
    .into_any()
}
