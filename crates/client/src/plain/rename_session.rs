//! Another name for one of one's own sessions.

use leptos::prelude::*;
use leptos::server_fn::ServerFn;
use leptos_meta::Title;
use rollcall_core::{Error, Field, Session};

use super::parts::{backend, part, when_there};
use crate::components::error_view::{ErrorNotice, field_error, other_error};
use crate::routes;
use crate::rpc::{self, RenameOwnSession};

pub(super) fn page() -> AnyView {
    when_there(|| {
        let (id, backend) = (part("id"), backend());
        async move {
            let id = id.parse().map_err(|_| Error::NotFound)?;
            Ok(ask(&backend?.find_own_session(id).await?))
        }
    })
}

fn ask(session: &Session) -> AnyView {
    let failure = rpc::failure(RenameOwnSession::url());
    let wrong = field_error(failure, Field::Name, "Session name");
    let other = failure.filter(|_| other_error(failure, &[Field::Name]).is_some());
    view! {
        <Title text="Rename a session" />
        <section class="panel card">
            <h1>"Rename this session"</h1>
            {other.map(|error| view! { <ErrorNotice error /> })}
            <p>{session.browser_and_system()}" · "<code>{session.ip.clone()}</code></p>
            <form method="post" action=RenameOwnSession::url() class="stack">
                <input type="hidden" name="session" value=session.id.to_string() />
                <input type="hidden" name="go" value="true" />
                <div class="stack">
                    <label for="name">"Session name"</label>
                    <input id="name" name="name" maxlength="80" required autofocus autocomplete="off" value=session.name.clone()
                        aria-invalid=wrong.is_some().then_some("true") aria-describedby="name-error" />
                    <span class="field-error" id="name-error">{wrong}</span>
                </div>
                <div class="acts">
                    <a class="button" href=routes::MY_SESSIONS>"Cancel"</a>
                    <button class="button primary">"Rename"</button>
                </div>
            </form>
        </section>
    }
    .into_any()
}
