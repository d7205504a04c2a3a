//! The dashboard: cards, search, filters, table.

use leptos::html;
use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::hooks::use_navigate;
use rollcall_core::{
    Carried, Columns, Error, FilterWords, ListedSessions, PageNumber, Permission, Session,
    SessionStats, ShownFilter, ShownQuery, words,
};

use super::query_in_address;
use crate::app::use_surroundings;
use crate::browser;
use crate::components::end_dialog::EndDialog;
use crate::components::end_many::tickable;
use crate::components::error_view::{ErrorNotice, ErrorPage};
use crate::components::export_links::ExportLinks;
use crate::components::session_filters::SessionFilters;
use crate::components::session_table::{SessionTable, TableSkeleton};
use crate::components::stat_cards::StatCards;
use crate::ui::loading::{Loaded, remember};
use crate::ui::pager::{Pager, Paging};
use crate::ui::refresh_button::RefreshButton;
use crate::{routes, rpc};

/// The dashboard.
#[component]
pub(crate) fn SessionsPage() -> AnyView {
    let surroundings = use_surroundings();
    let may = |permission| {
        surroundings
            .viewer
            .as_ref()
            .is_some_and(|viewer| viewer.may(permission))
    };
    let may_end = may(Permission::SessionsEnd);
    let columns = surroundings
        .viewer
        .as_ref()
        .map_or_else(Columns::default, |viewer| viewer.columns);
    if surroundings.viewer.is_some() && !may(Permission::SessionsView) {
        return view! { <ErrorPage error=Error::Forbidden /> }.into_any();
    }
    let query = query_in_address();
    let version = RwSignal::new(0_u32);
    let page = rpc::load(
        move || (query.get().to_query(), version.get()),
        rpc::list_sessions,
    );
    let stats = rpc::load(
        move || (String::new(), version.get()),
        |_| rpc::session_stats(),
    );
    let refresh = Callback::new(move |()| version.update(|version| *version += 1));
    let asked = RwSignal::new(None::<Session>);
    let end = Callback::new(move |session| asked.set(Some(session)));
    let field = NodeRef::<html::Input>::new();
    let help = RwSignal::new(false);
    let loading = RwSignal::new(false);
    // What was shown last stays on the page when a later answer fails.
    let known = StoredValue::new(None::<(ListedSessions, ShownQuery)>);
    let known_stats = StoredValue::new(None::<SessionStats>);
    let zone = StoredValue::new(surroundings.zone);
    let as_of = move || async move {
        let text = page.await.ok().map(|page| {
            zone.with_value(|zone| {
                format!("as of {} {}", zone.time_of_day(page.list.as_of), zone.name)
            })
        });
        view! { <span class="since" aria-live="off">{text}</span> }.into_any()
    };
    let cards = move || async move {
        let answer = stats.await;
        if let Ok(stats) = &answer {
            remember(known_stats, stats);
        }
        match (answer, known_stats.get_value()) {
            (Ok(stats), _) | (Err(_), Some(stats)) => view! { <StatCards stats /> }.into_any(),
            (Err(error), None) => view! { <ErrorNotice error=error.0 retry=refresh /> }.into_any(),
        }
    };
    let list = move || {
        let shown = query.get_untracked();
        async move {
            match page.await {
                Ok(list) => {
                    remember(known, &(list.clone(), shown.clone()));
                    rows(list, shown, query, columns, may_end, end)
                }
                Err(error) => {
                    let old = known
                        .get_value()
                        .map(|(list, shown)| rows(list, shown, query, columns, may_end, end));
                    view! { {clear(&shown)}<ErrorNotice error=error.0 retry=refresh />{old} }
                        .into_any()
                }
            }
        }
    };

    let navigate = use_navigate();
    window_keys(field, help);
    // A page beyond the end, as after ending the last row of it, becomes the last page.
    Effect::new(move || {
        if let Some(Ok(ListedSessions { list, .. })) = page.get() {
            let last = list.pages();
            if list.items.is_empty() && list.total > 0 && u64::from(list.page) > last {
                let last = u32::try_from(last)
                    .ok()
                    .and_then(PageNumber::new)
                    .unwrap_or_default();
                let there = ShownQuery {
                    page: last,
                    ..query.get_untracked()
                };
                navigate(
                    &routes::sessions(&there),
                    leptos_router::NavigateOptions {
                        replace: true,
                        ..Default::default()
                    },
                );
            }
        }
    });

    view! {
        <Title text="Sessions" />
        <div class="head">
            <h1>"Sessions"</h1>
            <Loaded content=as_of />
            <span class="grow"></span>
            <button class="button plain keys" type="button" aria-expanded=move || help.get().to_string() on:click=move |_| help.update(|help| *help = !*help)>
                <kbd>"?"</kbd>"Shortcuts"
            </button>
            <ExportLinks path=routes::SESSIONS query=Signal::derive(move || query.get().to_query()) />
            <RefreshButton here=Signal::derive(move || routes::sessions(&query.get())) loading refresh />
        </div>
        {move || help.get().then(|| view! {
            <section class="notice shortcuts" aria-label="Shortcuts">
                <span><kbd>"/"</kbd>" search"</span>
                <span><kbd>"↓"</kbd><kbd>"↑"</kbd>" move between rows"</span>
                <span><kbd>"Enter"</kbd>" open a session"</span>
                <span><kbd>"Esc"</kbd>" close"</span>
                <span><kbd>"?"</kbd>" this list"</span>
            </section>
        })}
        <Loaded content=cards />
        <section class="panel" aria-label="List of sessions" aria-busy=move || loading.get().to_string()>
            <SessionFilters query field />
            <Loaded fallback=|| view! { <TableSkeleton /> } loading content=list />
        </section>
        <EndDialog asked changed=refresh />
    }
    .into_any()
}

fn rows(
    answer: ListedSessions,
    query: ShownQuery,
    address: Memo<ShownQuery>,
    columns: Columns,
    may_end: bool,
    end: Callback<Session>,
) -> AnyView {
    let ListedSessions { list, filters } = answer;
    let chips = chips(filters, address);
    if list.items.is_empty() && list.total == 0 {
        return view! { {chips}{empty(&query)} }.into_any();
    }
    let paging = Paging::of(routes::SESSIONS, &query.to_query(), &list);
    let count = (!list.total_is_exact).then(|| exact_count(query.clone()));
    let (total, exact, shown) = (list.total, list.total_is_exact, query.clone());
    let table =
        view! { <SessionTable sessions=list.items query address columns may_end end /> }.into_any();
    let table = if may_end {
        tickable(table, &shown, total, exact)
    } else {
        table
    };
    view! {
        {chips}
        {table}
        {match count {
            Some(count) => view! { <Pager paging count /> }.into_any(),
            None => view! { <Pager paging /> }.into_any(),
        }}
    }
    .into_any()
}

/// The filters that are set, each a link that takes it away.
fn chips(filters: Vec<FilterWords>, address: Memo<ShownQuery>) -> AnyView {
    if filters.is_empty() {
        return ().into_any();
    }
    let without = move |name: &str| {
        let mut rest = address.get();
        rest.page = PageNumber::default();
        rest.filter.more = match name {
            "" => Carried::default(),
            name => rest.filter.more.without(name),
        };
        routes::sessions(&rest)
    };
    let chip = move |FilterWords { name, words }| {
        let label = ["Remove the filter ", &words].concat();
        view! { <li><a class="tag" href=move || without(&name) aria-label=label>{words}<span aria-hidden="true">" ×"</span></a></li> }.into_any()
    };
    let each = filters.into_iter().map(chip).collect_view();
    view! {
        <ul class="chips" aria-label="Filters">
            {each}
            <li><a href=move || without("")>"Clear all filters"</a></li>
        </ul>
    }
    .into_any()
}

/// The way out of filters that cannot be read.
fn clear(query: &ShownQuery) -> AnyView {
    let there = routes::session_filters(&query.to_query());
    let wrong = query.filter.more != Carried::default();
    wrong
        .then(|| view! { <p class="chips"><a href=there rel="external">"Change the filters"</a><a href=routes::SESSIONS>"Clear all filters"</a></p> })
        .into_any()
}

fn empty(query: &ShownQuery) -> AnyView {
    if query.filter == ShownFilter::default() {
        return view! {
            <div class="empty">
                <h2>"No sessions yet"</h2>
                <p>"Everyone who signs in appears here, with where from and since when."</p>
            </div>
        }
        .into_any();
    }
    let all = ShownQuery {
        filter: ShownFilter::default(),
        page: PageNumber::default(),
        ..query.clone()
    };
    view! {
        <div class="empty">
            <h2>"No session matches"</h2>
            <p>"The search looks for any part of an e-mail, an IP address or a session name."</p>
            <p><a href=routes::sessions(&all) class="button">"Clear search and filters"</a></p>
        </div>
    }
    .into_any()
}

fn exact_count(query: ShownQuery) -> AnyView {
    let count = Action::new_local(move |()| rpc::count_sessions(query.to_query()));
    view! {
        {move || match count.value().get() {
            Some(Ok(count)) => view! { <span class="num">{format!("exactly {}", words::grouped(i64::try_from(count).unwrap_or(i64::MAX)))}</span> }.into_any(),
            _ => view! {
                <button class="button plain scripted" type="button" disabled=move || count.pending().get() on:click=move |_| { count.dispatch_local(()); }>
                    "Count exactly"
                </button>
            }
            .into_any(),
        }}
    }
    .into_any()
}

// Keys that work wherever the focus is, except while something is typed.
fn window_keys(field: NodeRef<html::Input>, help: RwSignal<bool>) {
    #[cfg(target_arch = "wasm32")]
    {
        let handle = window_event_listener(leptos::ev::keydown, move |event| {
            if event.ctrl_key() || event.meta_key() || event.alt_key() {
                return;
            }
            if event.key() == "Escape" {
                help.set(false);
                return;
            }
            if browser::is_typing(&event) {
                if event.key() == "ArrowDown" && field.get_untracked().is_some() {
                    browser::focus_first_row();
                }
                return;
            }
            match event.key().as_str() {
                "/" => {
                    event.prevent_default();
                    if let Some(field) = field.get_untracked() {
                        let _ = field.focus();
                        field.select();
                    }
                }
                "?" => help.update(|help| *help = !*help),
                _ => {}
            }
        });
        on_cleanup(move || handle.remove());
    }
    #[cfg(not(target_arch = "wasm32"))]
    let _ = (field, help, browser::is_typing, browser::focus_first_row);
}
