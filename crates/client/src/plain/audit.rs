//! The audit trail: who did what to whom, when, and how it went.

use leptos::prelude::*;
use leptos_meta::Title;
use rollcall_core::{
    AuditAction, AuditEvent, AuditOutcome, AuditQuery, Error, Field, Page, Permission, Timestamp,
    query,
};

use super::audit_lines::{AuditLine, line};
use super::parts::{Foot, as_of, backend, empty, may, options, pager, search, when_there};
use crate::app::use_surroundings;
use crate::components::export_links::ExportLinks;
use crate::routes;
use crate::ui::clock::ExactTime;
use crate::ui::icon::{Glyph, Icon};

/// The fields to type into: what each is, its name in the address, and an example.
const FIELDS: [(Field, &str, &str); 6] = [
    (Field::Actor, "Done by", "e-mail or id"),
    (Field::Target, "Done to", "e-mail or id"),
    (Field::Ip, "IP address", "192.0.2.0/24"),
    (Field::Session, "Session", "id"),
    (Field::From, "From", ""),
    (Field::Until, "Until", ""),
];

pub(super) fn page() -> AnyView {
    when_there(|| {
        let (backend, reads) = (backend(), may(Permission::AuditView));
        // The server has made it what it should be.
        let text = search().trim_start_matches('?').to_owned();
        async move {
            if !reads {
                return Err(Error::Forbidden);
            }
            match AuditQuery::parse(&text) {
                Ok(query) => Ok(show(backend?.list_audit(query).await?, &text)),
                // A filter that cannot be read shows nothing, rather than everything.
                Err(wrong) => {
                    let label = FIELDS
                        .iter()
                        .find(|(field, ..)| field.as_str() == wrong.parameter)
                        .map_or(wrong.parameter.as_str(), |(_, label, _)| *label);
                    let words = format!("{label} {}.", wrong.problem);
                    let notice = view! { <p class="notice failed" role="alert">{words}</p> };
                    Ok(frame(None, &text, notice.into_any()))
                }
            }
        }
    })
}

fn show(list: Page<AuditEvent>, text: &str) -> AnyView {
    let now = as_of(list.as_of);
    let rows = if list.total == 0 {
        empty(
            "No event matches",
            "Everything that people and the server do leaves an event, and none is ever removed.",
            None,
        )
    } else {
        let items = list
            .items
            .iter()
            .map(|event| item(line(event)))
            .collect_view();
        let foot = Foot::of(&list, routes::AUDIT, text);
        view! {
            <ul class="events">{items}</ul>
            {pager(foot)}
        }
        .into_any()
    };
    frame(Some(now), text, rows)
}

fn frame(now: Option<AnyView>, text: &str, rows: AnyView) -> AnyView {
    let here = routes::with_query(routes::AUDIT, text);
    view! {
        <Title text="Audit" />
        <div class="head">
            <h1>"Audit"</h1>
            {now}
            <span class="grow"></span>
            <ExportLinks path=routes::AUDIT query=text.to_owned() />
            <a class="button" href=here><Glyph icon=Icon::Refresh />"Refresh"</a>
        </div>
        <section class="panel" aria-label="Audit trail">
            {filters(text)}
            {rows}
        </section>
    }
    .into_any()
}

fn filters(text: &str) -> AnyView {
    let pairs = query::pairs(text).unwrap_or_default();
    let value = |name: &str| {
        let found = pairs.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    };
    let zone = use_surroundings().zone;
    let fields = FIELDS
        .map(|(field, label, example)| {
            let (name, time) = (field.as_str(), example.is_empty());
            let text = value(name);
            let shown = match Timestamp::parse_rfc3339(&text) {
                Some(at) if time => zone.local(at),
                _ => text,
            };
            view! {
                <label class="stack">
                    {label}
                    <input name=name type=if time { "datetime-local" } else { "text" } step="1" placeholder=example
                        autocomplete="off" spellcheck="false" value=shown />
                </label>
            }
        })
        .collect_view();
    let choice = |label: &'static str, name: &'static str, words: Vec<&'static str>| {
        let words = words
            .into_iter()
            .map(|word| (word.to_owned(), word.replace(['.', '_'], " ")))
            .collect();
        view! {
            <label class="stack">
                {label}
                <select name=name>
                    <option value="">"any"</option>
                    {options(words, &value(name))}
                </select>
            </label>
        }
    };
    let actions = AuditAction::ALL.iter().map(|word| word.as_str()).collect();
    let outcomes = AuditOutcome::ALL.iter().map(|word| word.as_str()).collect();
    let user = value("user");
    let user = (!user.is_empty()).then(|| {
        view! { <label class="stack">"Done by or to"<input name="user" autocomplete="off" value=user /></label> }
    });
    let clear = (!routes::without_page(text).is_empty())
        .then(|| view! { <a class="button plain" href=routes::AUDIT>"Clear"</a> });
    view! {
        <form method="get" action=routes::AUDIT class="filters" role="search" aria-label="Filter events">
            {choice("Action", "action", actions)}
            {choice("Outcome", "outcome", outcomes)}
            {fields}
            {user}
            <span class="acts">
                {clear}
                <button class="button">"Apply"</button>
            </span>
        </form>
    }
    .into_any()
}

fn item(line: AuditLine) -> AnyView {
    let facts = line
        .facts
        .into_iter()
        .map(|fact| {
            let links = fact
                .links
                .into_iter()
                .map(|(words, there)| view! { <a href=there>{words}</a> }.into_any())
                .collect_view();
            view! { <dt>{fact.label}</dt><dd><span>{fact.text}</span>{links}</dd> }.into_any()
        })
        .collect_view();
    view! {
        <li>
            <details>
                <summary>
                    <ExactTime at=line.at />
                    <span class="what">{line.text}</span>
                    <span class=["tag ", &line.tone].concat()>{line.outcome}</span>
                    <code>{line.ip}</code>
                </summary>
                <dl class="details">{facts}</dl>
            </details>
        </li>
    }
    .into_any()
}
