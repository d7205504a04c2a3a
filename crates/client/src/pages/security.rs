//! Password and time zone.

use leptos::html;
use leptos::prelude::*;
use leptos::server_fn::ServerFn;
use leptos_meta::Title;
use leptos_router::hooks::use_query_map;
use rollcall_core::Field;

use crate::app::use_surroundings;
use crate::browser;
use crate::components::error_view::{field_error, other_error};
use crate::routes;
use crate::rpc::{self, ChangePassword, SetTimeZone};
use crate::ui::loading::Loaded;

const FIELDS: [Field; 3] = [
    Field::CurrentPassword,
    Field::NewPassword,
    Field::RepeatPassword,
];

/// The security page.
#[component]
pub(crate) fn SecurityPage() -> AnyView {
    let surroundings = use_surroundings();
    let required = surroundings
        .viewer
        .as_ref()
        .is_some_and(|viewer| viewer.password_change_required);
    let chosen = surroundings
        .viewer
        .as_ref()
        .and_then(|viewer| viewer.time_zone.clone());
    let query = use_query_map();
    let changed = move || query.read().get("changed").as_deref() == Some("password");
    view! {
        <Title text="Security" />
        <div class="head"><h1>"Security"</h1></div>
        {required.then(|| view! {
            <p class="notice" role="status">
                "You signed in with a one-time password. Choose your own now; nothing else is open until then."
            </p>
        })}
        {move || changed().then(|| view! { <p class="notice done" role="status">"Your password was changed. All your other sessions were ended."</p> })}
        <PasswordForm min_length=surroundings.password_min_length />
        {(!required).then(|| view! { <TimeZoneForm chosen shown=surroundings.zone.name /> })}
    }
    .into_any()
}

#[component]
fn PasswordForm(min_length: u32) -> impl IntoView {
    let change = ServerAction::<ChangePassword>::new();
    let error = move || {
        change
            .value()
            .get()
            .and_then(Result::err)
            .map(|error| error.0)
    };
    let (current, new, repeat) = (
        NodeRef::<html::Input>::new(),
        NodeRef::<html::Input>::new(),
        NodeRef::<html::Input>::new(),
    );
    let submit = move |event: leptos::ev::SubmitEvent| {
        let (Some(current), Some(new), Some(repeat)) = (
            current.get_untracked(),
            new.get_untracked(),
            repeat.get_untracked(),
        ) else {
            return;
        };
        event.prevent_default();
        change.dispatch(ChangePassword {
            current_password: current.value(),
            new_password: new.value(),
            repeat_password: repeat.value(),
            go: None,
        });
    };
    Effect::new(move || {
        // Loaded anew: the whole page may look different once a one-time password is changed.
        if let Some(Ok(())) = change.value().get() {
            browser::go(routes::SECURITY_CHANGED);
        }
    });
    let field = move |field: Field,
                      label: &'static str,
                      complete: &'static str,
                      node: NodeRef<html::Input>| {
        let wrong = move || field_error(error(), field, label);
        let describe = format!("{}-error", field.as_str());
        view! {
            <div class="stack">
                <label for=field.as_str()>{label}</label>
                <input node_ref=node id=field.as_str() type="password" name=field.as_str() autocomplete=complete required
                    aria-invalid=move || wrong().is_some().then_some("true") aria-describedby=describe.clone() />
                <span class="field-error" id=describe>{wrong}</span>
            </div>
        }
    };
    view! {
        <section class="panel card">
            <h2>"Change password"</h2>
            <p class="aside">
                {format!("At least {min_length} characters; any characters, no other rules. A phrase of a few unrelated words is good. Common passwords are refused. Your other sessions are ended; this one stays.")}
            </p>
            {move || other_error(error(), &FIELDS).map(|text| view! { <p class="notice failed" role="alert">{text}</p> })}
            <form method="post" action=ChangePassword::url() class="stack" on:submit=submit>
                <input type="hidden" name="go" value="true" />
                {field(Field::CurrentPassword, "Current password", "current-password", current)}
                {field(Field::NewPassword, "New password", "new-password", new)}
                {field(Field::RepeatPassword, "New password, once more", "new-password", repeat)}
                <button class="button primary" disabled=move || change.pending().get()>"Change password"</button>
            </form>
        </section>
    }
}

#[component]
fn TimeZoneForm(chosen: Option<String>, shown: String) -> impl IntoView {
    let zones = rpc::load(|| (String::new(), 0), |_| rpc::time_zones());
    let chosen = StoredValue::new(chosen.unwrap_or_default());
    let offered = move || async move {
        zones
            .await
            .unwrap_or_default()
            .into_iter()
            .map(|zone| {
                let selected = chosen.with_value(|chosen| *chosen == zone);
                view! { <option value=zone.clone() selected=selected>{zone.clone()}</option> }
            })
            .collect_view()
            .into_any()
    };
    view! {
        <section class="panel card">
            <h2>"Time zone"</h2>
            <p class="aside">{format!("Times are shown in {shown} now.")}</p>
            <form method="post" action=SetTimeZone::url() class="stack">
                <label class="stack">
                    "Show times in"
                    <select name="time_zone">
                        <option value="" selected=chosen.with_value(String::is_empty)>"The browser's time zone"</option>
                        <Loaded content=offered />
                    </select>
                </label>
                <button class="button">"Save time zone"</button>
            </form>
        </section>
    }
}
