//! Errors in words: what happened, what to do, whom to ask.

use leptos::prelude::*;
use rollcall_core::{Error, Field, Surroundings};

use crate::{browser, routes};

/// Where to go instead of showing an error that only says that the session is over, or that the
/// password has to be changed first.
fn leave_instead(error: Error) {
    Effect::new(move || match error {
        Error::Unauthenticated => browser::go(&routes::sign_in_for(&browser::here())),
        Error::PasswordChangeRequired => browser::go(routes::SECURITY),
        _ => {}
    });
}

/// An error as a page of its own.
#[component]
pub fn ErrorPage(
    /// What went wrong.
    error: Error,
) -> impl IntoView {
    leave_instead(error);
    // An address with something else in the place of an id is an address of nothing.
    let error = match error {
        Error::Invalid(Field::Id, _) => Error::NotFound,
        other => other,
    };
    let heading = match error {
        Error::NotFound => "There is nothing here",
        Error::Forbidden => "This is not open to you",
        Error::Unavailable | Error::Unreachable => "The server cannot answer just now",
        _ => "Something went wrong",
    };
    view! {
        <leptos_meta::Title text=heading />
        <section class="panel message">
            <h1>{heading}</h1>
            <p>{error.to_string()}</p>
            <WhomToAsk />
            <p class="acts">
                <a class="button" href="/" rel="external">"Go to the start page"</a>
            </p>
        </section>
    }
}

/// An error within a page, with a way to try again.
#[component]
pub(crate) fn ErrorNotice(
    /// What went wrong.
    error: Error,
    /// Tries again.
    #[prop(optional, into)]
    retry: Option<Callback<()>>,
) -> impl IntoView {
    leave_instead(error);
    view! {
        <div class="notice failed" role="alert">
            <p>{error.to_string()}</p>
            {retry.map(|retry| view! { <button class="button" on:click=move |_| retry.run(())>"Retry"</button> })}
            <WhomToAsk />
        </div>
    }
}

/// The request id, the support contact and the help page.
#[component]
fn WhomToAsk() -> impl IntoView {
    let surroundings = use_context::<Surroundings>();
    let request = surroundings
        .as_ref()
        .map(|surroundings| surroundings.request_id.clone());
    let contact = surroundings.and_then(|surroundings| surroundings.support_contact);
    view! {
        <p class="aside">
            {contact.map(|contact| view! { "Ask " <b>{contact}</b> ". " })}
            {request.map(|request| view! { "Request " <code>{request}</code> ". " })}
            <a href=routes::TROUBLESHOOTING rel="external">"Troubleshooting"</a>
        </p>
    }
}

/// The words beside a field that an error is about; nothing for other errors.
pub(crate) fn field_error(error: Option<Error>, field: Field, label: &str) -> Option<String> {
    match error {
        Some(Error::Invalid(about, problem)) if about == field => {
            Some(format!("{label} {problem}."))
        }
        _ => None,
    }
}

/// The words for an error that no field of the form is named by.
pub(crate) fn other_error(error: Option<Error>, fields: &[Field]) -> Option<String> {
    match error {
        Some(Error::Invalid(about, _)) if fields.contains(&about) => None,
        other => other.map(|error| error.to_string()),
    }
}
