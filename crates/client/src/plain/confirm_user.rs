//! The confirmation before something is done to a user that cannot be taken back.

use leptos::prelude::*;
use leptos::server_fn::ServerFn;
use leptos_meta::Title;
use rollcall_core::{Error, User};

use super::parts::{backend, counted, failed, part, when_there};
use super::reauthenticate::{ask as ask_first, is_due};
use crate::routes;
use crate::rpc::{DeleteUser, EditUser, ResetPassword};

/// What is asked about.
struct Question {
    heading: String,
    explanation: String,
    action: &'static str,
    label: &'static str,
    /// What has to be confirmed with the password first.
    sensitive: Option<&'static str>,
    /// What the form says besides whom.
    fields: &'static [(&'static str, &'static str)],
}

pub(super) fn page() -> AnyView {
    when_there(|| {
        let (id, act, backend) = (part("id"), part("act"), backend());
        async move {
            let id = id.parse().map_err(|_| Error::NotFound)?;
            let user = backend?.find_user(id).await?;
            let question = question(&user, &act).ok_or(Error::NotFound)?;
            Ok(ask(&user, question))
        }
    })
}

fn question(user: &User, act: &str) -> Option<Question> {
    let name = &user.name;
    let ends = match user.open_sessions {
        0 => "There is no open session.".to_owned(),
        1 => "One open session ends at once.".to_owned(),
        many => format!(
            "{} end at once.",
            counted(many, "open session", "open sessions")
        ),
    };
    Some(match act {
        "disable" => Question {
            heading: format!("Disable {name}?"),
            explanation: format!(
                "{ends} Nobody can sign in with this account until it is enabled again; that brings no session back."
            ),
            action: EditUser::url(),
            label: "Disable",
            sensitive: None,
            fields: &[("enabled", "false")],
        },
        "delete" => Question {
            heading: format!("Delete {name}?"),
            explanation: format!(
                "{ends} This cannot be undone. Sessions and the audit trail keep name and e-mail; the e-mail becomes free."
            ),
            action: DeleteUser::url(),
            label: "Delete",
            sensitive: None,
            fields: &[],
        },
        "reset" => Question {
            heading: format!("Reset the password of {name}?"),
            explanation: format!(
                "{ends} The old password is worth nothing any more. The next page shows a one-time password, once. A lock stays."
            ),
            action: ResetPassword::url(),
            label: "Reset password",
            sensitive: Some("reset a password"),
            fields: &[],
        },
        _ => return None,
    })
}

fn ask(user: &User, question: Question) -> AnyView {
    let id = user.id.to_string();
    let fields = question
        .fields
        .iter()
        .map(|(name, value)| view! { <input type="hidden" name=*name value=*value /> })
        .collect_view();
    let form = view! {
            <form method="post" action=question.action class="stack">
                <input type="hidden" name="user" value=id.clone() />
                {fields}
                <div class="acts">
                    <a class="button" href=routes::user(&id)>"Cancel"</a>
                    <button class="button danger full">{question.label}</button>
                </div>
            </form>
    };
    let (form, first) = match question.sensitive.filter(|_| is_due()) {
        Some(what) => (None, Some(ask_first(what))),
        None => (Some(form), None),
    };
    view! {
        <Title text=question.heading.clone() />
        <section class="panel card">
            <h1>{question.heading}</h1>
            {failed(question.action)}
            <p>{question.explanation}</p>
            <dl class="facts">
                <dt>"User"</dt><dd>{user.name.clone()}</dd>
                <dt>"E-mail"</dt><dd>{user.email.clone()}</dd>
                <dt>"Organisation"</dt><dd>{user.organisation.name.clone()}</dd>
                <dt>"Open sessions"</dt><dd>{counted(user.open_sessions, "session", "sessions")}</dd>
            </dl>
            {form}
        </section>
        {first}
    }
    .into_any()
}
