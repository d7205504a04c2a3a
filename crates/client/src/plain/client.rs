//! One client: what is known of it, what runs on it, and the confirmations before it is disconnected or removed.

use leptos::prelude::*;
use leptos::server_fn::ServerFn;
use leptos_meta::Title;
use rollcall_core::{Client, ClientState, Error, Execution, ExecutionQuery, Permission};

use super::clients::state;
use super::executions;
use super::parts::{backend, counted, failed, may, part, when_there};
use crate::routes;
use crate::rpc::{DisconnectClient, RemoveClient};
use crate::ui::clock::{TimeAgo, exact};

/// What is asked about a client on a page of its own, as the address has it.
pub const CLIENT_ACTS: [&str; 2] = ["disconnect", "remove"];

pub(super) fn page() -> AnyView {
    when_there(|| {
        let (id, backend) = (part("id"), backend());
        async move {
            let id = id.parse().map_err(|_| Error::NotFound)?;
            let backend = backend?;
            let client = backend.find_client(id).await?;
            let query = ExecutionQuery {
                client: Some(id),
                ..ExecutionQuery::default()
            };
            let work = backend.list_executions(query).await?.items;
            Ok(show(&client, work))
        }
    })
}

fn show(client: &Client, work: Vec<Execution>) -> AnyView {
    let id = client.id.to_string();
    let connected = client.state != ClientState::Disconnected;
    let owner = client.user.name.clone();
    let owner = match may(Permission::UsersView) {
        true => {
            let there = routes::user(&client.user.id.to_string());
            view! { <a href=there>{owner}</a> }.into_any()
        }
        false => owner.into_any(),
    };
    let ended = client.ended.clone().map(|ended| {
        let by = ended
            .by
            .map_or_else(|| "nobody (by itself)".to_owned(), |actor| actor.name);
        view! {
            <dt>"Reason"</dt><dd>{ended.reason.label(300)}</dd>
            <dt>"Disconnected by"</dt><dd>{by}</dd>
        }
    });
    let session = client.session.to_string();
    let session = match may(Permission::SessionsView) {
        true => view! { <a href=routes::session(&session)>"Its session"</a> }.into_any(),
        false => view! { <code class="wrap">{session}</code> }.into_any(),
    };
    let events = routes::with_query(routes::AUDIT, &format!("session={}", client.session));
    let known = |text: &str| match text {
        "" => "not told".to_owned(),
        text => text.to_owned(),
    };
    view! {
        <Title text=client.name.clone() />
        <p class="crumbs"><a href=routes::CLIENTS>"Clients"</a></p>
        <div class="head">
            <h1>{client.name.clone()}</h1>
            {state(client)}
            <span class="grow"></span>
            {connected.then(|| view! { <a class="button danger" href=routes::client_act(&id, "disconnect")>"Disconnect"</a> })}
            <a class="button" href=routes::client_act(&id, "remove")>"Remove"</a>
        </div>
        {failed(DisconnectClient::url())}
        <section class="panel">
            <dl class="details">
                <dt>"Owner"</dt><dd>{owner}" · "{client.user.email.clone()}</dd>
                <dt>"Organisation"</dt><dd>{client.organisation.name.clone()}</dd>
                <dt>"Host"</dt><dd>{known(&client.host)}</dd>
                <dt>"Version"</dt><dd>{known(&client.version)}</dd>
                <dt>"IP address"</dt><dd><code>{client.ip.clone()}</code></dd>
                <dt>"In this state since"</dt><dd>{exact(client.since)}</dd>
                <dt>"Last heartbeat"</dt><dd>{exact(client.last_heartbeat_at)}" ("<TimeAgo at=client.last_heartbeat_at />")"</dd>
                <dt>"Registered"</dt><dd>{exact(client.registered_at)}</dd>
                {ended}
                <dt>"Session"</dt><dd>{session}</dd>
                {may(Permission::AuditView).then(|| view! { <dt>"Audit"</dt><dd><a href=events>"Events of this client"</a></dd> })}
                <dt>"Client id"</dt><dd><code class="wrap">{id.clone()}</code></dd>
            </dl>
        </section>
        {executions::list("Executions on this client", work)}
    }
    .into_any()
}

pub(super) fn act_page() -> AnyView {
    when_there(|| {
        let (id, act, backend) = (part("id"), part("act"), backend());
        async move {
            let id = id.parse().map_err(|_| Error::NotFound)?;
            let client = backend?.find_client(id).await?;
            Ok(ask(&client, &act))
        }
    })
}

fn ask(client: &Client, act: &str) -> AnyView {
    let id = client.id.to_string();
    let connected = client.state != ClientState::Disconnected;
    let stops = match client.running_executions {
        0 => "Nothing runs on it.".to_owned(),
        many => format!(
            "What runs on it stops: {}.",
            counted(many, "execution", "executions")
        ),
    };
    let (heading, explanation, action, label) = match act {
        "disconnect" => (
            format!("Disconnect {}?", client.name),
            match connected {
                true => format!(
                    "Its session ends at once. {stops} With its API key it can register again."
                ),
                false => "This client is disconnected already.".to_owned(),
            },
            DisconnectClient::url(),
            connected.then_some("Disconnect"),
        ),
        _ => (
            format!("Remove {}?", client.name),
            match connected {
                true => format!(
                    "It is connected: its session ends at once, and it disappears from the list. {stops}"
                ),
                false => {
                    "It disappears from the list. Sessions and the audit trail keep what it did."
                        .to_owned()
                }
            },
            RemoveClient::url(),
            Some("Remove"),
        ),
    };
    view! {
        <Title text=heading.clone() />
        <section class="panel card">
            <h1>{heading}</h1>
            {failed(action)}
            <p>{explanation}</p>
            <dl class="facts">
                <dt>"Owner"</dt><dd>{format!("{} ({})", client.user.name, client.user.email)}</dd>
                <dt>"Host"</dt><dd>{client.host.clone()}</dd>
                <dt>"Address"</dt><dd><code>{client.ip.clone()}</code></dd>
                <dt>"Executions"</dt><dd>{counted(client.running_executions, "running", "running")}</dd>
            </dl>
            <form method="post" action=action class="stack">
                <input type="hidden" name="client" value=id.clone() />
                <div class="acts">
                    <a class="button" href=routes::below(routes::CLIENTS, &id)>"Cancel"</a>
                    {label.map(|label| view! { <button class="button danger full">{label}</button> })}
                </div>
            </form>
        </section>
    }
    .into_any()
}
