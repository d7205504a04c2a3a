//! The audit trail: what was done, by whom, to whom, and how it went.

use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::hooks::use_url;
use rollcall_core::{
    AuditAction, AuditLine, AuditOutcome, Error, Field, Page, Permission, Timestamp, query,
};

use crate::app::use_surroundings;
use crate::components::error_view::{ErrorNotice, ErrorPage};
use crate::components::export_links::ExportLinks;
use crate::components::session_table::TableSkeleton;
use crate::ui::clock::ExactTime;
use crate::ui::loading::{Loaded, remember};
use crate::ui::pager::{Pager, Paging};
use crate::ui::refresh_button::RefreshButton;
use crate::{routes, rpc};

/// The fields to type into: what each is, its name in the address, and an example.
const FIELDS: [(Field, &str, &str); 6] = [
    (Field::Actor, "Done by", "e-mail or id"),
    (Field::Target, "Done to", "e-mail or id"),
    (Field::Ip, "IP address", "192.0.2.0/24"),
    (Field::Session, "Session", "id"),
    (Field::From, "From", ""),
    (Field::Until, "Until", ""),
];

/// The audit trail.
#[component]
pub(crate) fn AuditPage() -> AnyView {
    let surroundings = use_surroundings();
    let may = |viewer: &rollcall_core::Viewer| viewer.may(Permission::AuditView);
    if surroundings
        .viewer
        .as_ref()
        .is_some_and(|viewer| !may(viewer))
    {
        return view! { <ErrorPage error=Error::Forbidden /> }.into_any();
    }
    let url = use_url();
    // The server reads it, and the server has made it what it should be.
    let query = Memo::new(move |_| url.read().search().trim_start_matches('?').to_owned());
    let version = RwSignal::new(0_u32);
    let page = rpc::load(move || (query.get(), version.get()), rpc::audit_lines);
    let refresh = Callback::new(move |()| version.update(|version| *version += 1));
    let loading = RwSignal::new(false);
    // What was shown last stays on the page when a later answer fails.
    let known = StoredValue::new(None::<(Page<AuditLine>, String)>);
    let zone = StoredValue::new(surroundings.zone);
    let as_of = move || async move {
        let text = page.await.ok().map(|page| {
            zone.with_value(|zone| format!("as of {} {}", zone.time_of_day(page.as_of), zone.name))
        });
        view! { <span class="since">{text}</span> }.into_any()
    };
    let list = move || {
        let shown = query.get_untracked();
        async move {
            match page.await {
                Ok(list) => {
                    remember(known, &(list.clone(), shown.clone()));
                    rows(list, &shown)
                }
                // A filter that cannot be read shows nothing, rather than everything.
                Err(rpc::RpcError(Error::Invalid(field, problem))) => {
                    let label = FIELDS
                        .iter()
                        .find(|(known, ..)| *known == field)
                        .map_or(field.as_str(), |(_, label, _)| *label);
                    view! { <p class="notice failed" role="alert">{[label, " ", &problem.to_string(), "."].concat()}</p> }.into_any()
                }
                Err(error) => {
                    let old = known.get_value().map(|(list, shown)| rows(list, &shown));
                    view! { <ErrorNotice error=error.0 retry=refresh />{old} }.into_any()
                }
            }
        }
    };
    let here = Signal::derive(move || routes::with_query(routes::AUDIT, &query.get()));
    view! {
        <Title text="Audit" />
        <div class="head">
            <h1>"Audit"</h1>
            <Loaded content=as_of />
            <span class="grow"></span>
            <ExportLinks path=routes::AUDIT query />
            <RefreshButton here loading refresh />
        </div>
        <section class="panel" aria-label="Audit trail" aria-busy=move || loading.get().to_string()>
            {filters(query)}
            <Loaded fallback=|| view! { <TableSkeleton /> } loading content=list />
        </section>
    }
    .into_any()
}

fn filters(query: Memo<String>) -> AnyView {
    let value = move |name: &str| {
        let pairs = query.with(|query| query::pairs(query).unwrap_or_default());
        let found = pairs.into_iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value).unwrap_or_default()
    };
    let zone = StoredValue::new(use_surroundings().zone);
    let fields = FIELDS
        .map(|(field, label, example)| {
            let name = field.as_str();
            let time = example.is_empty();
            let shown = move || {
                let text = value(name);
                match Timestamp::parse_rfc3339(&text) {
                    Some(at) if time => zone.with_value(|zone| zone.local(at)),
                    _ => text,
                }
            };
            view! {
                <label class="stack">
                    {label}
                    <input name=name type=if time { "datetime-local" } else { "text" } step="1" placeholder=example
                        autocomplete="off" spellcheck="false" value=shown prop:value=shown />
                </label>
            }
            .into_any()
        })
        .collect_view();
    let choice = move |label: &'static str, name: &'static str, words: Vec<&'static str>| {
        let options = words
            .into_iter()
            .map(|word| {
                let chosen = move || value(name) == word;
                view! { <option value=word selected=chosen>{word.replace(['.', '_'], " ")}</option> }.into_any()
            })
            .collect_view();
        view! {
            <label class="stack">
                {label}
                <select name=name>
                    <option value="">"any"</option>
                    {options}
                </select>
            </label>
        }
        .into_any()
    };
    let actions = AuditAction::ALL.iter().map(|word| word.as_str()).collect();
    let outcomes = AuditOutcome::ALL.iter().map(|word| word.as_str()).collect();
    view! {
        <form method="get" action=routes::AUDIT class="filters" role="search" aria-label="Filter events">
            {choice("Action", "action", actions)}
            {choice("Outcome", "outcome", outcomes)}
            {fields}
            {move || Some(value("user")).filter(|user| !user.is_empty()).map(|user| view! {
                <label class="stack">"Done by or to"<input name="user" autocomplete="off" value=user /></label>
            })}
            <span class="acts">
                {move || (!routes::without_page(&query.get()).is_empty()).then(|| view! { <a class="button plain" href=routes::AUDIT>"Clear"</a> })}
                <button class="button">"Apply"</button>
            </span>
        </form>
    }
    .into_any()
}

fn rows(list: Page<AuditLine>, query: &str) -> AnyView {
    if list.total == 0 {
        return view! {
            <div class="empty">
                <h2>"No event matches"</h2>
                <p>"Everything that people and the server do leaves an event, and none is ever removed."</p>
            </div>
        }
        .into_any();
    }
    let paging = Paging::of(routes::AUDIT, query, &list);
    let items = list.items.into_iter().map(item).collect_view();
    view! {
        <ul class="events">{items}</ul>
        <Pager paging plain=true />
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
