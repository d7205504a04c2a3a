//! Integrations: who elsewhere is told about sessions, how long that takes, and where people sign in from.

use leptos::prelude::*;
use leptos_meta::Title;
use rollcall_core::{Confirmation, Receiver, ReceiverFormat, ReceiverState, words};

use super::parts::{backend, counted, empty, table, when_there};
use crate::routes;
use crate::ui::clock::{ExactTime, TimeAgo};

pub(super) fn page() -> AnyView {
    when_there(|| {
        let backend = backend();
        async move {
            let backend = backend?;
            let receivers = backend.list_receivers().await?;
            let ends = backend.confirmations(None).await?;
            let providers = backend.list_providers().await?.len();
            Ok(show(&receivers, &ends, providers))
        }
    })
}

fn show(receivers: &[Receiver], ends: &[Confirmation], providers: usize) -> AnyView {
    let providers = match providers {
        0 => "No identity provider is set up: people sign in with a password.".to_owned(),
        many => format!(
            "{} {} set up.",
            counted(many as u64, "identity provider", "identity providers"),
            if many == 1 { "is" } else { "are" }
        ),
    };
    view! {
        <Title text="Integrations" />
        <div class="head">
            <h1>"Integrations"</h1>
            <span class="grow"></span>
            <a class="button" href=routes::DELIVERIES>"Deliveries"</a>
            <a class="button primary" href=routes::NEW_RECEIVER>"Add a receiver"</a>
        </div>
        <p class="lead">"Receivers are told when a session ends, whatever ended it, until they have accepted it. What they are told is signed; they verify it with "<a href="/.well-known/jwks.json">"the keys of this server"</a>"."</p>
        <section class="panel" aria-label="List of receivers">
            <div class="bar"><h2>"Receivers"</h2></div>
            {rows(receivers)}
        </section>
        {(!receivers.is_empty()).then(|| view! {
            <section class="panel" aria-label="List of ended sessions">
                <div class="bar"><h2>"How long it took until every receiver knew"</h2></div>
                {confirmed(ends)}
            </section>
        })}
        <section class="panel card" aria-label="Identity providers">
            <h2>"Identity providers"</h2>
            <p>{providers}</p>
            <p class="acts"><a class="button" href=routes::PROVIDERS>"Identity providers"</a></p>
        </section>
    }
    .into_any()
}

fn rows(receivers: &[Receiver]) -> AnyView {
    if receivers.is_empty() {
        return empty(
            "Nobody is told",
            "A receiver is an address of another program, which then closes what it has open for that user: by webhooks, or by the security events that other products understand (CAEP).",
            Some((routes::NEW_RECEIVER.to_owned(), "Add a receiver")),
        );
    }
    let headings = ["Receiver", "State", "Waiting", "Last accepted", "Form"]
        .map(|label| view! { <th scope="col">{label}</th> })
        .collect_view();
    let rows = receivers.iter().map(row).collect_view();
    table("Receivers", headings.into_any(), rows.into_any())
}

fn row(receiver: &Receiver) -> AnyView {
    let there = routes::below(routes::RECEIVERS, &receiver.id.to_string());
    let waiting = words::grouped(i64::try_from(receiver.waiting).unwrap_or(i64::MAX));
    let accepted = match receiver.last_accepted_at {
        Some(at) => view! { <TimeAgo at /> }.into_any(),
        None => "never".into_any(),
    };
    view! {
        <tr>
            <td class="who" title=receiver.url.clone()>
                <a href=there><b>{receiver.name.clone()}</b><span class="sub">{place(&receiver.url)}</span></a>
            </td>
            <td>{state(receiver)}</td>
            <td class="num">{waiting}</td>
            <td>{accepted}</td>
            <td>{form_of(receiver.format)}</td>
        </tr>
    }
    .into_any()
}

// Scheme and host; the rest may be long.
fn place(url: &str) -> String {
    url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/")
}

/// How it goes with a receiver, as a tag, and since when.
pub(super) fn state(receiver: &Receiver) -> AnyView {
    match receiver.state {
        ReceiverState::Delivering => {
            view! { <span class="tag green dot">"Delivering"</span> }.into_any()
        }
        ReceiverState::Failing => view! {
            <span class="tag red dot">"Failing"</span>
            <span class="sub">"since "{receiver.failing_since.map(|at| view! { <TimeAgo at /> })}</span>
        }
        .into_any(),
        ReceiverState::Paused => view! {
            <span class="tag amber dot">"Paused"</span>
            <span class="sub">{receiver.gone.then_some("it answered 410 Gone")}</span>
        }
        .into_any(),
    }
}

/// In what form a receiver is told, in words.
pub(super) fn form_of(format: ReceiverFormat) -> &'static str {
    match format {
        ReceiverFormat::StandardWebhooks => "Webhooks",
        ReceiverFormat::Caep => "Security events (CAEP)",
    }
}

fn confirmed(ends: &[Confirmation]) -> AnyView {
    if ends.is_empty() {
        return empty(
            "No session has ended yet",
            "The sessions that ended last appear here, with the time until the last receiver had accepted it.",
            None,
        );
    }
    let headings = ["Session of", "Ended", "Reason", "Receivers", "All knew"]
        .map(|label| view! { <th scope="col">{label}</th> })
        .collect_view();
    let rows = ends
        .iter()
        .map(|end| {
            let there = routes::session(&end.session.to_string());
            let sent = routes::with_query(routes::DELIVERIES, &format!("session={}", end.session));
            let told = format!("{} of {}", end.confirmed, end.receivers);
            view! {
                <tr>
                    <td title=end.email.clone()><a href=there>{end.email.clone()}</a></td>
                    <td><ExactTime at=end.ended_at /></td>
                    <td>{end.reason.map(super::deliveries::reason)}</td>
                    <td class="num"><a href=sent>{told}</a></td>
                    <td>{knew(end)}</td>
                </tr>
            }
        })
        .collect_view();
    table("Ended sessions", headings.into_any(), rows.into_any())
}

fn knew(end: &Confirmation) -> String {
    match end.milliseconds {
        Some(milliseconds) => format!("after {}", took(milliseconds)),
        None => "not yet".to_owned(),
    }
}

/// For the page of a session: whether everybody knows that it has ended, and how long that took.
pub(super) fn told(end: &Confirmation) -> String {
    let receivers = counted(end.receivers, "receiver", "receivers");
    match end.milliseconds {
        Some(milliseconds) => format!("{receivers}, all within {}", took(milliseconds)),
        None => format!("{} of {receivers} so far", end.confirmed),
    }
}

fn took(milliseconds: u64) -> String {
    match milliseconds {
        0..1_000 => format!("{milliseconds} ms"),
        1_000..60_000 => format!("{}.{} s", milliseconds / 1_000, milliseconds % 1_000 / 100),
        longer => words::exactly(i64::try_from(longer / 1_000).unwrap_or(i64::MAX)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_as_exact_as_it_matters() {
        for (milliseconds, text) in [
            (0, "0 ms"),
            (999, "999 ms"),
            (1_050, "1.0 s"),
            (59_990, "59.9 s"),
            (600_000, "10 min 0 s"),
        ] {
            assert_eq!(took(milliseconds), text);
        }
    }
}
