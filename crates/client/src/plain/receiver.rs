//! One receiver: making it, how it goes, changing it, and the question before it is removed.

use leptos::prelude::*;
use leptos::server_fn::ServerFn;
use leptos_meta::Title;
use leptos_router::hooks::use_query_map;
use rollcall_core::{
    Delivery, DeliveryFailure, DeliveryQuery, Error, Field, Permission, Receiver, ReceiverFormat,
    ReceiverId, ReceiverState, SessionEvent,
};

use super::deliveries::{rows, why};
use super::integrations::{form_of, state};
use super::parts::{backend, counted, failed, may, part, refused, sees_all, when_there};
use super::reauthenticate::once_confirmed;
use crate::components::error_view::field_error;
use crate::routes;
use crate::rpc::{
    self, PauseReceiver, RemoveReceiver, ReplayDelivery, ResumeReceiver, SaveReceiver, TestReceiver,
};
use crate::ui::clock::{TimeAgo, exact};

/// What is asked about a receiver on a page of its own, as the address has it.
pub const RECEIVER_ACTS: [&str; 1] = ["remove"];

const FIELDS: [(Field, &str); 5] = [
    (Field::Name, "Name"),
    (Field::Url, "Address"),
    (Field::Format, "Form"),
    (Field::Audience, "Audience"),
    (Field::Events, "What it is told"),
];

pub(super) fn new_page() -> AnyView {
    when_there(|| {
        let everywhere = sees_all() && may(Permission::IntegrationsManage);
        async move {
            if !everywhere {
                return Err(Error::Forbidden);
            }
            let form = || form(None, &typed().unwrap_or_else(usual));
            Ok(view! {
                <Title text="Add a receiver" />
                <p class="crumbs"><a href=routes::INTEGRATIONS>"Integrations"</a></p>
                <div class="head"><h1>"Add a receiver"</h1></div>
                {once_confirmed("add a receiver", form)}
            }
            .into_any())
        }
    })
}

pub(super) fn page() -> AnyView {
    when_there(|| {
        let (id, backend) = (part("id"), backend());
        async move {
            let id: ReceiverId = id.parse().map_err(|_| Error::NotFound)?;
            let backend = backend?;
            let receiver = backend.find_receiver(id).await?;
            let key = match receiver.format {
                ReceiverFormat::StandardWebhooks => backend.webhook_key().await?,
                ReceiverFormat::Caep => None,
            };
            let query = DeliveryQuery {
                receiver: Some(id),
                ..DeliveryQuery::default()
            };
            let last = backend.list_deliveries(query).await?.items;
            Ok(show(&receiver, key, &last))
        }
    })
}

fn show(receiver: &Receiver, key: Option<String>, last: &[Delivery]) -> AnyView {
    let id = receiver.id.to_string();
    let saved = use_query_map().get_untracked().get("saved").is_some();
    let typed = typed().unwrap_or_else(|| Typed::of(receiver));
    let button = |action: &'static str, label: &'static str| {
        view! {
            <form method="post" action=action>
                <input type="hidden" name="receiver" value=id.clone() />
                <button class="button">{label}</button>
            </form>
        }
        .into_any()
    };
    let goes = match receiver.state {
        ReceiverState::Delivering => button(PauseReceiver::url(), "Pause"),
        ReceiverState::Failing => view! {
            {button(ResumeReceiver::url(), "Try now")}
            {button(PauseReceiver::url(), "Pause")}
        }
        .into_any(),
        ReceiverState::Paused => button(ResumeReceiver::url(), "Go on"),
    };
    let here = routes::below(routes::RECEIVERS, &id);
    let all = routes::with_query(routes::DELIVERIES, &format!("receiver={id}"));
    view! {
        <Title text=receiver.name.clone() />
        <p class="crumbs"><a href=routes::INTEGRATIONS>"Integrations"</a></p>
        <div class="head">
            <h1>{receiver.name.clone()}</h1>
            {state(receiver)}
            <span class="grow"></span>
            {button(TestReceiver::url(), "Send a test")}
            {goes}
            <a class="button" href=routes::receiver_act(&id, "remove")>"Remove"</a>
        </div>
        {saved.then(|| view! { <p class="notice done" role="status">"Saved."</p> })}
        {tested()}
        {[PauseReceiver::url(), ResumeReceiver::url(), TestReceiver::url(), ReplayDelivery::url()].map(failed).collect_view()}
        {facts(receiver, key)}
        {(!last.is_empty()).then(|| view! {
            <section class="panel">
                <div class="bar"><h2>"Last deliveries"</h2><a href=all>"All deliveries"</a></div>
                {rows(last, &here)}
            </section>
        })}
        {once_confirmed("change this receiver", || form(Some(receiver), &typed))}
    }
    .into_any()
}

fn facts(receiver: &Receiver, key: Option<String>) -> AnyView {
    let paused = receiver.paused_at.map(|at| view! {
        <dt>"Paused"</dt><dd>{exact(at)}". Of what happens until it goes on it will not be told; what waits is sent then."</dd>
    });
    let key = key.map(|key| {
        view! { <dt>"Key to verify with"</dt><dd><code class="wrap">{key}</code></dd> }
    });
    let keys = match receiver.format {
        ReceiverFormat::StandardWebhooks => None,
        ReceiverFormat::Caep => Some(view! {
            <dt>"Keys to verify with"</dt><dd><a href="/.well-known/jwks.json">"/.well-known/jwks.json"</a></dd>
            <dt>"Audience"</dt><dd><code class="wrap">{receiver.audience.clone()}</code></dd>
        }),
    };
    let accepted = match receiver.last_accepted_at {
        Some(at) => view! { {exact(at)}" ("<TimeAgo at />")" }.into_any(),
        None => "nothing yet".into_any(),
    };
    view! {
        <section class="panel">
            <dl class="details">
                <dt>"Address"</dt><dd><code class="wrap">{receiver.url.clone()}</code></dd>
                <dt>"Form"</dt><dd>{form_of(receiver.format)}</dd>
                {key}
                {keys}
                <dt>"Waiting"</dt><dd>{counted(receiver.waiting, "event", "events")}</dd>
                <dt>"Last accepted"</dt><dd>{accepted}</dd>
                {receiver.failing_since.map(|at| view! { <dt>"Failing since"</dt><dd>{exact(at)}</dd> })}
                {paused}
                <dt>"Made"</dt><dd>{exact(receiver.created_at)}</dd>
                <dt>"Receiver id"</dt><dd><code class="wrap">{receiver.id.to_string()}</code></dd>
            </dl>
        </section>
    }
    .into_any()
}

// How a test went, from the address that it led to: one of a few words, and a number.
fn tested() -> Option<AnyView> {
    let query = use_query_map().get_untracked();
    let result = query.get("tested")?;
    let status = query.get("status").and_then(|status| status.parse().ok());
    let notice = match (result.as_str(), DeliveryFailure::from_name(&result)) {
        ("accepted", _) => {
            view! { <p class="notice done" role="status">"The receiver has accepted the test."</p> }
                .into_any()
        }
        (_, Some(failure)) => {
            let words = format!("The test was not accepted: {}.", why(failure, status));
            view! { <p class="notice failed" role="alert">{words}</p> }.into_any()
        }
        (_, None) => return None,
    };
    Some(notice)
}

// What stands in the fields: as it is stored, or as somebody has typed it.
struct Typed {
    name: String,
    url: String,
    format: String,
    audience: String,
    created: bool,
    ended: bool,
    tells_email: bool,
}

impl Typed {
    fn of(receiver: &Receiver) -> Self {
        Self {
            name: receiver.name.clone(),
            url: receiver.url.clone(),
            format: receiver.format.as_str().to_owned(),
            audience: receiver.audience.clone(),
            created: receiver.events.contains(&SessionEvent::Created),
            ended: receiver.events.contains(&SessionEvent::Ended),
            tells_email: receiver.tells_email,
        }
    }
}

fn usual() -> Typed {
    Typed {
        name: String::new(),
        url: String::new(),
        format: ReceiverFormat::StandardWebhooks.as_str().to_owned(),
        audience: String::new(),
        created: false,
        ended: true,
        tells_email: false,
    }
}

// What was typed into a form that came back.
fn typed() -> Option<Typed> {
    let query = use_query_map().get_untracked();
    query.get("typed")?;
    let text = |name: &str| query.get(name).unwrap_or_default();
    let tick = |name: &str| query.get(name).is_some_and(|value| !value.is_empty());
    Some(Typed {
        name: text("name"),
        url: text("url"),
        format: text("format"),
        audience: text("audience"),
        created: tick("created"),
        ended: tick("ended"),
        tells_email: tick("tells_email"),
    })
}

// The name of a field, as the server function takes it.
fn sent(name: &str) -> String {
    format!("receiver[{name}]")
}

fn form(known: Option<&Receiver>, typed: &Typed) -> AnyView {
    let action = SaveReceiver::url();
    let failure = rpc::failure(action);
    let wrong = |field: Field| {
        let (_, label) = FIELDS.into_iter().find(|(one, _)| *one == field)?;
        field_error(failure, field, label)
    };
    let other = failure.filter(|error| match error {
        Error::Invalid(field, _) => FIELDS.iter().all(|(one, _)| one != field),
        _ => true,
    });
    let line = |field: Field,
                label: &'static str,
                value: &str,
                required: bool,
                help: &'static str| {
        let name = field.as_str();
        let (wrong, id) = (wrong(field), format!("{name}-help"));
        view! {
            <div class="stack">
                <label for=name>{label}</label>
                <input id=name name=sent(name) value=value.to_owned() required=required maxlength="2000" autocomplete="off" spellcheck="false"
                    autofocus=wrong.is_some() aria-invalid=wrong.is_some().then_some("true") aria-describedby=id.clone() />
                <span class="aside" id=id><span class="field-error">{wrong}</span>{help}</span>
            </div>
        }
    };
    let tick = |name: &'static str, ticked: bool, label: &'static str| {
        view! {
            <label class="check"><input type="checkbox" name=sent(name) checked=ticked />{label}</label>
        }
    };
    let tokens = known.is_none_or(|receiver| receiver.format == ReceiverFormat::Caep);
    let (heading, id) = match known {
        Some(receiver) => ("Change this receiver", receiver.id.to_string()),
        None => ("Receiver", String::new()),
    };
    let format_wrong = wrong(Field::Format);
    let choices = ReceiverFormat::ALL.iter().map(|format| {
        let word = format.as_str();
        view! { <option value=word selected=word == typed.format>{form_of(*format)}</option> }
    });
    let format = known.is_none().then(|| view! {
        <div class="stack">
            <label for="format">"Form"</label>
            <select id="format" name=sent("format") aria-invalid=format_wrong.is_some().then_some("true") aria-describedby="format-help">
                {choices.collect_view()}
            </select>
            <span class="aside" id="format-help"><span class="field-error">{format_wrong}</span>"Webhooks for programs of your own; security events for products that understand CAEP. It stays as it is."</span>
        </div>
    });
    let events_wrong = wrong(Field::Events);
    view! {
        <section class="panel card" aria-label=heading>
            <h2>{heading}</h2>
            {other.map(refused)}
            <form method="post" action=action class="stack">
                <input type="hidden" name=sent("id") value=id />
                {line(Field::Name, "Name", &typed.name, true, "What people here call it.")}
                {line(Field::Url, "Address", &typed.url, true, "Where it listens, beginning with https://. Addresses inside your network have to be listed by the setting allow-outbound.")}
                {format}
                {tokens.then(|| line(Field::Audience, "Audience", &typed.audience, false, "For security events: whom the tokens are for (aud), as the receiver expects it. Its address if nothing is said."))}
                <fieldset class="ticks">
                    <legend>"What it is told"</legend>
                    <span class="field-error">{events_wrong}</span>
                    {tick("ended", typed.ended, "A session has ended")}
                    {tick("created", typed.created, "A session has begun")}
                </fieldset>
                {tick("tells_email", typed.tells_email, "Tell the e-mail of the user, besides the id")}
                <div class="acts">
                    <a class="button" href=routes::INTEGRATIONS>"Cancel"</a>
                    <button class="button primary">"Save"</button>
                </div>
            </form>
        </section>
    }
    .into_any()
}

pub(super) fn act_page() -> AnyView {
    when_there(|| {
        let (id, backend) = (part("id"), backend());
        async move {
            let id: ReceiverId = id.parse().map_err(|_| Error::NotFound)?;
            let receiver = backend?.find_receiver(id).await?;
            Ok(once_confirmed("remove this receiver", || ask(&receiver)))
        }
    })
}

fn ask(receiver: &Receiver) -> AnyView {
    let heading = format!("Remove {}?", receiver.name);
    let id = receiver.id.to_string();
    view! {
        <Title text=heading.clone() />
        <section class="panel card">
            <h1>{heading}</h1>
            {failed(RemoveReceiver::url())}
            <p>"It is told nothing any more, and what waits for it will never be sent. A receiver that is only away for a while can be left as it is: it is tried again by itself."</p>
            <dl class="facts">
                <dt>"Address"</dt><dd><code class="wrap">{receiver.url.clone()}</code></dd>
                <dt>"Waiting"</dt><dd>{counted(receiver.waiting, "event", "events")}</dd>
            </dl>
            <form method="post" action=RemoveReceiver::url() class="stack">
                <input type="hidden" name="receiver" value=id.clone() />
                <div class="acts">
                    <a class="button" href=routes::below(routes::RECEIVERS, &id)>"Cancel"</a>
                    <button class="button danger full">"Remove receiver"</button>
                </div>
            </form>
        </section>
    }
    .into_any()
}
