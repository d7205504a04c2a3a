//! The foot of a list: how many there are, rows per page, and the way to every page. Links and forms
//! only, so that it works without scripts too.

use leptos::either::Either;
use leptos::html;
use leptos::prelude::*;
use leptos_router::NavigateOptions;
use leptos_router::hooks::use_navigate;
use rollcall_core::{PageNumber, PageSize, SessionQuery, words};

use crate::routes;

/// What the pager needs to know.
#[derive(Clone, PartialEq)]
pub(crate) struct Paging {
    /// The path of the list.
    pub path: &'static str,
    /// What is shown.
    pub query: SessionQuery,
    /// How many match.
    pub total: u64,
    /// Whether that is all of them.
    pub exact: bool,
}

impl Paging {
    fn pages(&self) -> u64 {
        self.total
            .div_ceil(u64::from(self.query.page_size.get()))
            .max(1)
    }

    fn address(&self, page: u64) -> String {
        let page = u32::try_from(page)
            .ok()
            .and_then(PageNumber::new)
            .unwrap_or_default();
        routes::with_query(
            self.path,
            &SessionQuery {
                page,
                ..self.query.clone()
            }
            .to_query(),
        )
    }
}

/// First, last, and two on either side of the current one; `None` for a gap.
pub(crate) fn offered(current: u64, pages: u64) -> Vec<Option<u64>> {
    let mut list = Vec::new();
    for page in 1..=pages.min(current + 2).max(1) {
        if page == 1 || page + 2 >= current {
            list.push(Some(page));
        } else if list.last() != Some(&None) {
            list.push(None);
        }
    }
    if current + 3 < pages {
        list.push(None);
    }
    if current + 2 < pages {
        list.push(Some(pages));
    }
    list
}

/// The pager of a list of sessions.
#[component]
pub(crate) fn Pager(
    /// What is shown.
    paging: Paging,
    /// Counts all that match, where counting stopped.
    #[prop(optional)]
    count: Option<AnyView>,
) -> impl IntoView {
    let (pages, current) = (paging.pages(), u64::from(paging.query.page.get()));
    let total = words::grouped(i64::try_from(paging.total).unwrap_or(i64::MAX));
    let total = match (paging.exact, paging.total) {
        (true, 1) => "Total 1 item".to_owned(),
        (true, _) => format!("Total {total} items"),
        (false, _) => format!("More than {total} items"),
    };
    let step = |label: &'static str, sign: &'static str, page: u64, there: bool| {
        if there {
            Either::Left(
                view! { <a href=paging.address(page) aria-label=label title=label data-noscroll>{sign}</a> },
            )
        } else {
            Either::Right(view! { <span class="off" aria-hidden="true">{sign}</span> })
        }
    };
    let numbers = offered(current, pages)
        .into_iter()
        .map(|page| match page {
            Some(page) => {
                let text = words::grouped(i64::try_from(page).unwrap_or(i64::MAX));
                let here = (page == current).then_some("page");
                let label = format!("Page {text}");
                view! { <a href=paging.address(page) aria-current=here aria-label=label data-noscroll>{text}</a> }.into_any()
            }
            None => view! { <span class="off">"…"</span> }.into_any(),
        })
        .collect_view();
    let first = step("First page", "«", 1, current > 1);
    let previous = step(
        "Previous page",
        "‹",
        current.saturating_sub(1).clamp(1, pages),
        current > 1,
    );
    let next = step("Next page", "›", current + 1, current < pages);
    let last = step("Last page", "»", pages, current < pages && paging.exact);
    let for_size = hidden(&paging.query, "page_size");
    let for_jump = hidden(&paging.query, "");
    let path = paging.path;
    let navigate = use_navigate();
    // Forms follow the same links that the numbers do, so that one view has one address.
    let go = StoredValue::new(move |there: String| {
        let options = NavigateOptions {
            scroll: false,
            ..NavigateOptions::default()
        };
        navigate(&there, options);
    });
    let shown = StoredValue::new(paging.clone());
    let resize = move |event: leptos::ev::Event| {
        let rows = event_target_value(&event)
            .parse()
            .ok()
            .and_then(PageSize::new);
        let there = shown.with_value(|shown| {
            let query = SessionQuery {
                page: PageNumber::default(),
                page_size: rows.unwrap_or_default(),
                ..shown.query.clone()
            };
            routes::with_query(shown.path, &query.to_query())
        });
        go.with_value(|go| go(there));
    };
    let wanted = NodeRef::<html::Input>::new();
    let jump = move |event: leptos::ev::SubmitEvent| {
        let page = wanted
            .get_untracked()
            .and_then(|field| field.value().parse::<u64>().ok());
        if let Some(page) = page {
            event.prevent_default();
            let there = shown.with_value(|shown| shown.address(page.clamp(1, pages)));
            go.with_value(|go| go(there));
        }
    };
    let size = paging.query.page_size.get();
    let sizes = PageSize::OFFERED
        .map(|rows| view! { <option value=rows.to_string() selected=rows == size>{format!("{rows} per page")}</option> })
        .collect_view();
    view! {
        <div class="pager">
            <span class="num">{total}</span>
            {count}
            <span class="grow"></span>
            <form method="get" action=path class="inline">
                {for_size}
                <label>
                    <span class="visually-hidden">"Rows per page"</span>
                    <select name="page_size" on:change=resize>{sizes}</select>
                </label>
                <noscript><button class="button">"Show"</button></noscript>
            </form>
            <nav class="pages" aria-label="Pages">
                {first}
                {previous}
                {numbers}
                {next}
                {last}
            </nav>
            {(pages > 5).then(|| view! {
                <form method="get" action=path class="inline" on:submit=jump>
                    {for_jump}
                    <label>
                        "Go to page "
                        <input node_ref=wanted name="page" type="number" min="1" max=pages.to_string() required inputmode="numeric" class="short" />
                    </label>
                    <button class="button">"Go"</button>
                </form>
            })}
        </div>
    }
}

// What a form of the pager sends along: all of the query but its page and what the form itself asks.
fn hidden(query: &SessionQuery, without: &str) -> AnyView {
    let query = SessionQuery {
        page: PageNumber::default(),
        ..query.clone()
    }
    .to_query();
    rollcall_core::query::pairs(&query)
        .unwrap_or_default()
        .into_iter()
        .filter(|(name, _)| name != without)
        .map(|(name, value)| view! { <input type="hidden" name=name value=value /> })
        .collect_view()
        .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_and_the_neighbours_are_offered() {
        let text = |current, pages| {
            offered(current, pages)
                .into_iter()
                .map(|page| page.map_or("…".to_owned(), |page| page.to_string()))
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(text(1, 1), "1");
        assert_eq!(text(1, 5), "1 2 3 … 5");
        assert_eq!(text(3, 5), "1 2 3 4 5");
        assert_eq!(text(1, 4_892), "1 2 3 … 4892");
        assert_eq!(text(50, 100), "1 … 48 49 50 51 52 … 100");
        assert_eq!(text(100, 100), "1 … 98 99 100");
    }
}
