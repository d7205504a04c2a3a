//! What receivers were told, and what waits to be.

use leptos::prelude::*;
use leptos::server_fn::ServerFn;
use leptos_meta::Title;
use rollcall_core::{
    Delivery, DeliveryFailure, DeliveryQuery, DeliveryState, EndReason, Page, PageNumber, Receiver,
    SessionEvent,
};

use super::parts::{
    Foot, as_of, backend, empty, failed, options, pager, search, table, when_there,
};
use crate::routes;
use crate::rpc::ReplayDelivery;
use crate::ui::clock::{ExactTime, TimeAgo};
use crate::ui::icon::{Glyph, Icon};

pub(super) fn page() -> AnyView {
    when_there(|| {
        let query = DeliveryQuery::parse_leniently(&search());
        let backend = backend();
        async move {
            let backend = backend?;
            let receivers = backend.list_receivers().await?;
            let list = backend.list_deliveries(query.clone()).await?;
            Ok(show(list, &receivers, &query))
        }
    })
}

fn address(query: &DeliveryQuery) -> String {
    routes::with_query(routes::DELIVERIES, &query.to_query())
}

fn show(list: Page<Delivery>, receivers: &[Receiver], query: &DeliveryQuery) -> AnyView {
    let here = address(query);
    let rows = match list.total {
        0 => nothing(query),
        _ => view! {
            {rows(&list.items, &here)}
            {pager(Foot::of(&list, routes::DELIVERIES, &query.to_query()))}
        }
        .into_any(),
    };
    view! {
        <Title text="Deliveries" />
        <p class="crumbs"><a href=routes::INTEGRATIONS>"Integrations"</a></p>
        <div class="head">
            <h1>"Deliveries"</h1>
            {as_of(list.as_of)}
            <span class="grow"></span>
            <a class="button" href=here><Glyph icon=Icon::Refresh />"Refresh"</a>
        </div>
        <p class="lead">"What waits is tried again by itself, at most 15 minutes apart, until it is accepted. What was accepted stays here for a week."</p>
        {failed(ReplayDelivery::url())}
        <section class="panel" aria-label="List of deliveries">
            {filters(receivers, query)}
            {rows}
        </section>
    }
    .into_any()
}

fn nothing(query: &DeliveryQuery) -> AnyView {
    let all = DeliveryQuery {
        page_size: query.page_size,
        ..DeliveryQuery::default()
    };
    if all.to_query() == query.to_query() {
        return empty(
            "Nothing was sent yet",
            "What receivers are told appears here as soon as it happens.",
            None,
        );
    }
    empty(
        "No delivery matches",
        "Accepted ones are kept for a week.",
        Some((address(&all), "Clear filters")),
    )
}

fn filters(receivers: &[Receiver], query: &DeliveryQuery) -> AnyView {
    let segment = |label: &'static str, state: Option<DeliveryState>| {
        let current = (state == query.state).then_some("true");
        let there = DeliveryQuery {
            state,
            page: PageNumber::default(),
            ..query.clone()
        };
        view! { <a href=address(&there) aria-current=current>{label}</a> }
    };
    let hidden = |name: &'static str, value: Option<String>| {
        value.map(|value| view! { <input type="hidden" name=name value=value /> })
    };
    let named = receivers
        .iter()
        .map(|receiver| (receiver.id.to_string(), receiver.name.clone()));
    let named = std::iter::once((String::new(), "every receiver".to_owned())).chain(named);
    let chosen = query.receiver.map(|id| id.to_string()).unwrap_or_default();
    view! {
        <form method="get" action=routes::DELIVERIES class="bar" role="search">
            <label>
                <span class="visually-hidden">"Receiver"</span>
                <select name="receiver">{options(named.collect(), &chosen)}</select>
            </label>
            <button class="button">"Show"</button>
            <span class="segments" role="group" aria-label="State">
                {segment("All", None)}
                {segment("Waiting", Some(DeliveryState::Waiting))}
                {segment("Failing", Some(DeliveryState::Failing))}
                {segment("Accepted", Some(DeliveryState::Accepted))}
            </span>
            {hidden("state", query.state.map(|state| state.as_str().to_owned()))}
            {hidden("session", query.session.map(|id| id.to_string()))}
        </form>
    }
    .into_any()
}

/// Deliveries in a table, with a way to send each again that leads back `here`.
pub(super) fn rows(list: &[Delivery], here: &str) -> AnyView {
    let headings = view! {
        <th scope="col">"Event"</th>
        <th scope="col">"Session of"</th>
        <th scope="col">"Receiver"</th>
        <th scope="col">"State"</th>
        <th scope="col">"Happened"</th>
        <th scope="col">"Sent"</th>
        <th scope="col"><span class="visually-hidden">"Actions"</span></th>
    };
    let rows = list.iter().map(|one| row(one, here)).collect_view();
    table("Deliveries", headings.into_any(), rows.into_any())
}

fn row(delivery: &Delivery, here: &str) -> AnyView {
    let event = match delivery.event {
        SessionEvent::Created => "Session began",
        SessionEvent::Ended => "Session ended",
    };
    let sent = match delivery.attempts {
        0 => "not yet".to_owned(),
        1 => "once".to_owned(),
        many => format!("{many} times"),
    };
    let label = format!(
        "Send again to {}: {} of {}",
        delivery.receiver.name,
        event.to_lowercase(),
        delivery.email
    );
    let receiver = routes::below(routes::RECEIVERS, &delivery.receiver.id.to_string());
    view! {
        <tr>
            <td>{event}<span class="sub">{delivery.reason.map(reason)}</span></td>
            <td title=delivery.email.clone()>
                <a href=routes::session(&delivery.session.to_string())>{delivery.email.clone()}</a>
            </td>
            <td title=delivery.receiver.name.clone()><a href=receiver>{delivery.receiver.name.clone()}</a></td>
            <td>{state(delivery)}</td>
            <td><ExactTime at=delivery.occurred_at /></td>
            <td>
                {sent}
                {delivery.last_tried_at.map(|at| view! { <span class="sub"><TimeAgo at /></span> })}
            </td>
            <td class="end">
                <form method="post" action=ReplayDelivery::url()>
                    <input type="hidden" name="delivery" value=delivery.id.to_string() />
                    <input type="hidden" name="next" value=here.to_owned() />
                    <button class="button plain" aria-label=label>"Send again"</button>
                </form>
            </td>
        </tr>
    }
    .into_any()
}

fn state(delivery: &Delivery) -> AnyView {
    match delivery.state {
        DeliveryState::Waiting => view! { <span class="tag dot">"Waiting"</span> }.into_any(),
        DeliveryState::Accepted => view! {
            <span class="tag green dot">"Accepted"</span>
            <span class="sub">{delivery.accepted_at.map(|at| view! { <TimeAgo at /> })}</span>
        }
        .into_any(),
        DeliveryState::Failing => {
            let why = delivery
                .failure
                .map(|failure| why(failure, delivery.last_status));
            view! { <span class="tag red dot">"Failing"</span><span class="sub">{why}</span> }
                .into_any()
        }
    }
}

/// Why something was not accepted.
pub(super) fn why(failure: DeliveryFailure, status: Option<u16>) -> String {
    let words = match failure {
        DeliveryFailure::Status => {
            return match status {
                Some(status) => format!("it answered {status}"),
                None => "it answered something else than 2xx".to_owned(),
            };
        }
        DeliveryFailure::Refused => "its address is not allowed",
        DeliveryFailure::Unreachable => "it cannot be reached",
        DeliveryFailure::TimedOut => "no answer within 10 seconds",
        DeliveryFailure::TooLarge => "its answer is too large",
        DeliveryFailure::Unsigned => "this server could not sign it",
    };
    words.to_owned()
}

/// Why a session ended. Which timeout was in force is not told here.
pub(super) fn reason(reason: EndReason) -> String {
    match reason {
        EndReason::IdleTimeout => "not used for too long".to_owned(),
        other => other.label(0),
    }
}
