//! Search, state and kind. A form and links, so that they work without scripts; with scripts the list
//! follows each key.

use leptos::html;
use leptos::prelude::*;
use leptos_router::NavigateOptions;
use leptos_router::hooks::use_navigate;
use rollcall_core::{Filters, Kind, PageNumber, PageSize, ShownFilter, ShownQuery, State};

use crate::routes;
use crate::ui::icon::{Glyph, Icon};

/// Keys that come as one, such as a paste by parts or a held key, ask once. Rows should be there within
/// 100 milliseconds of a key, so the wait is a small part of that.
#[cfg(target_arch = "wasm32")]
const PAUSE_MS: u32 = 30;

/// The filters above the table.
#[component]
pub(crate) fn SessionFilters(
    /// What is shown.
    query: Memo<ShownQuery>,
    /// The search field, for the `/` key.
    field: NodeRef<html::Input>,
) -> impl IntoView {
    let navigate = use_navigate();
    let text = RwSignal::new(query.get_untracked().filter.search);
    // Back, forward and cleared filters change the field too, but an answer to what was typed a moment
    // ago never does: more may have been typed since.
    let asked = StoredValue::new(text.get_untracked());
    Effect::new(move || {
        let search = query.get().filter.search;
        if asked.get_value() != search {
            asked.set_value(search.clone());
            text.set(search);
        }
    });
    let show = StoredValue::new(move |search: String| {
        let shown = query.get_untracked();
        if search.trim() == shown.filter.search {
            return;
        }
        asked.set_value(search.trim().to_owned());
        let filter = ShownFilter {
            search: search.trim().to_owned(),
            ..shown.filter
        };
        let next = ShownQuery {
            filter,
            page: PageNumber::default(),
            ..shown
        };
        let options = NavigateOptions {
            replace: true,
            scroll: false,
            ..NavigateOptions::default()
        };
        navigate(&routes::sessions(&next), options);
    });
    #[cfg(target_arch = "wasm32")]
    let pause = StoredValue::new_local(None::<gloo_timers::callback::Timeout>);
    let typed = move |search: String| {
        text.set(search.clone());
        #[cfg(target_arch = "wasm32")]
        pause.set_value(Some(gloo_timers::callback::Timeout::new(
            PAUSE_MS,
            move || {
                show.with_value(|show| show(search));
            },
        )));
        #[cfg(not(target_arch = "wasm32"))]
        show.with_value(|show| show(search));
    };
    let state = move |state: Option<State>| {
        let shown = query.get();
        let filter = ShownFilter {
            state,
            ..shown.filter
        };
        routes::sessions(&ShownQuery {
            filter,
            page: PageNumber::default(),
            ..shown
        })
    };
    let segment = move |label: &'static str, value: Option<State>| {
        let current = move || (query.get().filter.state == value).then_some("true");
        view! { <a href=move || state(value) aria-current=current data-noscroll>{label}</a> }
    };
    let kinds = [
        ("", "Kind: any"),
        ("console", "Kind: console"),
        ("api", "Kind: api"),
        ("client", "Kind: client"),
    ];
    let with_kind = {
        let navigate = use_navigate();
        move |name: &str| {
            let shown = query.get_untracked();
            let filter = ShownFilter {
                kind: Kind::from_name(name),
                ..shown.filter
            };
            let next = ShownQuery {
                filter,
                page: PageNumber::default(),
                ..shown
            };
            let options = NavigateOptions {
                scroll: false,
                ..NavigateOptions::default()
            };
            navigate(&routes::sessions(&next), options);
        }
    };
    let search_now = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        show.with_value(|show| show(text.get_untracked()));
    };
    view! {
        <form method="get" action=routes::SESSIONS class="bar" role="search" on:submit=search_now>
            <label class="field">
                <Glyph icon=Icon::Search />
                <span class="visually-hidden">"Search sessions"</span>
                <input
                    node_ref=field
                    type="search"
                    name="q"
                    maxlength="200"
                    autocomplete="off"
                    spellcheck="false"
                    placeholder="Search e-mail, IP address or session name"
                    prop:value=move || text.get()
                    value=text.get_untracked()
                    on:input=move |event| typed(event_target_value(&event))
                />
                <kbd class="keys" aria-hidden="true">"/"</kbd>
            </label>
            <span class="segments" role="group" aria-label="State">
                {segment("All", None)}
                {segment("Active", Some(State::Active))}
                {segment("Ended", Some(State::Ended))}
            </span>
            <label>
                <span class="visually-hidden">"Kind"</span>
                <select name="kind" on:change=move |event| with_kind(&event_target_value(&event))>
                    {kinds
                        .map(|(value, label)| {
                            let chosen = move || query.get().filter.kind.map_or("", Kind::as_str) == value;
                            view! { <option value=value selected=chosen>{label}</option> }
                        })
                        .collect_view()}
                </select>
            </label>
            <a class="button plain" rel="external" href=move || routes::session_filters(&query.get().to_query())>"Filters"</a>
            <a class="button plain" rel="external" href=routes::SESSION_COLUMNS>"Columns"</a>
            {move || {
                let kept = query.get().filter.more.pairs();
                kept.into_iter()
                    .map(|(name, value)| view! { <input type="hidden" name=name value=value /> })
                    .collect_view()
            }}
            {move || query.get().filter.state.map(|state| view! { <input type="hidden" name="state" value=state.as_str() /> })}
            {move || {
                let shown = query.get();
                (shown.sort != ShownQuery::default().sort)
                    .then(|| view! { <input type="hidden" name="sort" value=shown.sort.as_text() /> })
            }}
            {move || {
                let rows = query.get().page_size;
                (rows != PageSize::default())
                    .then(|| view! { <input type="hidden" name="page_size" value=rows.get().to_string() /> })
            }}
            <noscript><button class="button">"Search"</button></noscript>
        </form>
    }
}
