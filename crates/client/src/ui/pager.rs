//! The foot of a list: how many there are, rows per page, and the way to every page. Links and forms
//! only, so that it works without scripts too.

use leptos::html;
use leptos::prelude::*;
use leptos_router::NavigateOptions;
use leptos_router::hooks::{use_navigate, use_url};
use rollcall_core::{Page, PageSize, query, words};

use crate::routes;

/// What the pager needs to know.
#[derive(Clone, PartialEq)]
pub(crate) struct Paging {
    /// The path of the list.
    pub path: &'static str,
    /// The query of the list, without its page.
    pub query: String,
    /// The page that is shown.
    pub page: u32,
    /// Rows on it.
    pub page_size: u32,
    /// How many match.
    pub total: u64,
    /// Whether that is all of them.
    pub exact: bool,
}

impl Paging {
    /// The paging of this page of a list at `path`, asked for by `query`.
    pub(crate) fn of<T>(path: &'static str, query: &str, page: &Page<T>) -> Self {
        Self {
            path,
            query: routes::without_page(query),
            page: page.page,
            page_size: page.page_size,
            total: page.total,
            exact: page.total_is_exact,
        }
    }

    fn pages(&self) -> u64 {
        self.total.div_ceil(u64::from(self.page_size)).max(1)
    }
}

// First, last, and two on either side of the current one; `None` for a gap.
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

/// The pager of a list.
#[component]
pub(crate) fn Pager(
    /// What is shown.
    paging: Paging,
    /// Counts all that match, where counting stopped.
    #[prop(optional)]
    count: Option<AnyView>,
) -> impl IntoView {
    let (pages, current) = (paging.pages(), u64::from(paging.page));
    let (path, size) = (paging.path, paging.page_size);
    // While an answer is on its way the address is ahead of what is shown, and a click must not lose the search.
    let url = use_url();
    let first_search = url.read_untracked().search().to_owned();
    let query = paging.query.clone();
    let asked = Memo::new(move |_| {
        let url = url.read();
        if url.search() == first_search {
            query.clone()
        } else {
            routes::without_page(url.search().trim_start_matches('?'))
        }
    });
    let link = move |page: u64, label: String, text: String| {
        let there = move || routes::page_of(path, &asked.get(), page32(page), size);
        let here = (page == current && label.starts_with("Page ")).then_some("page");
        view! { <a href=there aria-current=here aria-label=label.clone() title=label data-noscroll>{text}</a> }.into_any()
    };
    let total = words::grouped(i64::try_from(paging.total).unwrap_or(i64::MAX));
    let total = match (paging.exact, paging.total) {
        (true, 1) => "Total 1 item".to_owned(),
        (true, _) => format!("Total {total} items"),
        (false, _) => format!("More than {total} items"),
    };
    let step = |label: &'static str, sign: &'static str, page: u64, there: bool| {
        if there {
            link(page, label.to_owned(), sign.to_owned())
        } else {
            view! { <span class="off" aria-hidden="true">{sign}</span> }.into_any()
        }
    };
    let numbers = offered(current, pages)
        .into_iter()
        .map(|page| match page {
            Some(page) => {
                let text = words::grouped(i64::try_from(page).unwrap_or(i64::MAX));
                link(page, format!("Page {text}"), text)
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
    let for_size = hidden(&paging.query, None);
    let for_jump = hidden(
        &paging.query,
        (size != PageSize::default().get()).then_some(size),
    );
    let navigate = use_navigate();
    // Forms follow the same links that the numbers do, so that one view has one address.
    let go = StoredValue::new(move |there: String| {
        let options = NavigateOptions {
            scroll: false,
            ..NavigateOptions::default()
        };
        navigate(&there, options);
    });
    let resize = move |event: leptos::ev::Event| {
        let rows = event_target_value(&event)
            .parse()
            .ok()
            .and_then(PageSize::new)
            .unwrap_or_default();
        let there = routes::page_of(path, &asked.get_untracked(), 1, rows.get());
        go.with_value(|go| go(there));
    };
    let wanted = NodeRef::<html::Input>::new();
    let jump = move |event: leptos::ev::SubmitEvent| {
        let page = wanted
            .get_untracked()
            .and_then(|field| field.value().parse::<u64>().ok());
        if let Some(page) = page {
            event.prevent_default();
            let page = page32(page.clamp(1, pages));
            let there = routes::page_of(path, &asked.get_untracked(), page, size);
            go.with_value(|go| go(there));
        }
    };
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

// More pages than this nobody has.
fn page32(page: u64) -> u32 {
    u32::try_from(page).unwrap_or(u32::MAX)
}

// What a form of the pager sends along, besides what it asks.
fn hidden(query: &str, page_size: Option<u32>) -> AnyView {
    let size = page_size.map(|rows| ("page_size".to_owned(), rows.to_string()));
    query::pairs(query)
        .unwrap_or_default()
        .into_iter()
        .chain(size)
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
