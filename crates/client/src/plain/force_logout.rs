//! Force logout: what will stop, asked before; what has stopped, told after.

use leptos::prelude::*;
use leptos::server_fn::ServerFn;
use leptos_meta::Title;
use leptos_router::hooks::use_query_map;
use rollcall_core::{
    ClientQuery, ClientState, Error, Execution, ExecutionQuery, ExecutionState, Permission, User,
};

use super::executions;
use super::parts::{backend, counted, failed, may, part, when_there};
use crate::app::use_surroundings;
use crate::routes;
use crate::rpc::{EndUserSessions, ForceLogout};

/// The question, for another user or for oneself.
pub(super) fn page() -> AnyView {
    when_there(|| {
        let (id, backend, sees_clients) =
            (part("id"), backend(), may(Permission::ClientsDisconnect));
        async move {
            let id = id.parse().map_err(|_| Error::NotFound)?;
            let backend = backend?;
            let user = backend.find_user(id).await?;
            let query = ExecutionQuery {
                user: Some(id),
                state: Some(ExecutionState::Running),
                ..ExecutionQuery::default()
            };
            let running = backend.list_executions(query).await?;
            let mut clients = 0;
            if sees_clients {
                for state in [ClientState::Connected, ClientState::Lost] {
                    let query = ClientQuery {
                        user: Some(id),
                        state: Some(state),
                        ..ClientQuery::default()
                    };
                    clients += backend.list_clients(query).await?.total;
                }
            }
            Ok(ask(&user, running.items, running.total, clients))
        }
    })
}

fn ask(user: &User, running: Vec<Execution>, executions: u64, clients: u64) -> AnyView {
    let id = user.id.to_string();
    let own = use_surroundings()
        .viewer
        .is_some_and(|viewer| viewer.user.id == user.id);
    let heading = format!("Logout {}?", user.name);
    let ends = match user.open_sessions {
        0 => "There is no open session.".to_owned(),
        1 => "One open session ends at once.".to_owned(),
        many => format!("{many} open sessions end at once."),
    };
    let explanation = match own {
        true => format!("{ends} The one that you are using stays."),
        false => {
            format!("{ends} Whoever knows the password can sign in again, and API keys stay good.")
        }
    };
    let stops = (!own)
        .then(|| rollcall_core::executions::stops_words(executions, clients))
        .flatten();
    let (action, label) = match own {
        true => (EndUserSessions::url(), "End all other sessions"),
        false => (ForceLogout::url(), "Logout"),
    };
    let reason = (!own).then(|| {
        view! {
            <label class="stack">
                <span>"Reason "<small>"(optional; kept in the audit trail)"</small></span>
                <input name="reason" maxlength="200" autocomplete="off" />
            </label>
        }
    });
    view! {
        <Title text=heading.clone() />
        <section class="panel card">
            <h1>{heading}</h1>
            {failed(action)}
            <p>{explanation}</p>
            {stops.map(|words| view! { <div class="warn">{words}</div> })}
            <dl class="facts">
                <dt>"User"</dt><dd>{user.name.clone()}</dd>
                <dt>"E-mail"</dt><dd>{user.email.clone()}</dd>
                <dt>"Organisation"</dt><dd>{user.organisation.name.clone()}</dd>
                <dt>"Open sessions"</dt><dd>{counted(user.open_sessions, "session", "sessions")}</dd>
            </dl>
            <form method="post" action=action class="stack">
                <input type="hidden" name="user" value=id.clone() />
                {own.then(|| view! { <input type="hidden" name="go" value="true" /> })}
                {reason}
                <div class="acts">
                    <a class="button" href=routes::user(&id)>"Cancel"</a>
                    <button class="button danger full">{label}</button>
                </div>
            </form>
        </section>
        {(!own).then(|| executions::list("Running executions", running))}
    }
    .into_any()
}

/// What it has stopped.
pub(super) fn done_page() -> AnyView {
    when_there(|| {
        let (id, backend) = (part("id"), backend());
        let act = use_query_map()
            .get_untracked()
            .get("act")
            .and_then(|act| act.parse().ok());
        async move {
            let id = id.parse().map_err(|_| Error::NotFound)?;
            let backend = backend?;
            let user = backend.find_user(id).await?;
            let stopped = match act {
                Some(act) => backend.executions_of_act(act).await?,
                None => Vec::new(),
            };
            Ok(done(&user, stopped))
        }
    })
}

fn done(user: &User, stopped: Vec<Execution>) -> AnyView {
    let heading = format!("{} is logged out", user.name);
    let id = user.id.to_string();
    // Whoever has signed in again meanwhile is signed in.
    let now = match user.open_sessions {
        0 => "All sessions have ended, and connected clients with them.".to_owned(),
        many => format!(
            "All sessions that were open have ended. By now there is {} again.",
            counted(many, "open session", "open sessions")
        ),
    };
    view! {
        <Title text=heading.clone() />
        <p class="crumbs"><a href=routes::USERS>"Users"</a></p>
        <div class="head"><h1>{heading}</h1></div>
        <div class="notice done" role="status"><p>{now}</p></div>
        {executions::list("Active executions terminated", stopped)}
        <p>
            <a class="button" href=routes::user(&id)>"Back to the user"</a>" "
            <a class="button" href=routes::with_query(routes::USERS, "active=true")>"Active users"</a>
        </p>
    }
    .into_any()
}
