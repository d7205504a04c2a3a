//! The foot of a list: how many there are, rows per page, and the way to every page. Links and forms
//! only, so that it works without scripts too.

use leptos::either::Either;
use leptos::prelude::*;
use leptos_router::components::{A, Form};
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

// First, last, and two on either side of the current one; `None` for a gap.
fn offered(current: u64, pages: u64) -> Vec<Option<u64>> {
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
                view! { <A href=paging.address(page) attr:aria-label=label attr:title=label>{sign}</A> },
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
                view! { <A href=paging.address(page) attr:aria-current=here attr:aria-label=label>{text}</A> }.into_any()
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
    let size = paging.query.page_size.get();
    let sizes = PageSize::OFFERED
        .map(|rows| view! { <option value=rows.to_string() selected=rows == size>{format!("{rows} per page")}</option> })
        .collect_view();
    view! {
        <div class="pager">
            <span class="num">{total}</span>
            {count}
            <span class="grow"></span>
            <Form method="GET" action=path attr:class="inline">
                {for_size}
                <label>
                    <span class="visually-hidden">"Rows per page"</span>
                    <select name="page_size" on:change=|event| submit(&event)>{sizes}</select>
                </label>
                <noscript><button class="button">"Show"</button></noscript>
            </Form>
            <nav class="pages" aria-label="Pages">
                {first}
                {previous}
                {numbers}
                {next}
                {last}
            </nav>
            {(pages > 5).then(|| view! {
                <Form method="GET" action=path attr:class="inline">
                    {for_jump}
                    <label>
                        "Go to page "
                        <input name="page" type="number" min="1" max=pages.to_string() required inputmode="numeric" class="short" />
                    </label>
                    <button class="button">"Go"</button>
                </Form>
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

// Submits the form that a changed field belongs to.
fn submit(event: &leptos::ev::Event) {
    #[cfg(target_arch = "wasm32")]
    {
        use leptos::wasm_bindgen::JsCast;
        let select = event
            .target()
            .and_then(|target| target.dyn_into::<web_sys::HtmlSelectElement>().ok());
        if let Some(form) = select.and_then(|select| select.form()) {
            let _ = form.request_submit();
        }
    }
    #[cfg(not(target_arch = "wasm32"))]
    let _ = event;
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
