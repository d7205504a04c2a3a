//! What a list shows, as a file.

use leptos::prelude::*;

use crate::routes;

/// Links to the files. They are the server's, not pages.
#[component]
pub(crate) fn ExportLinks(
    /// The path of the list below `/api/v1`.
    path: &'static str,
    /// What is shown.
    #[prop(into)]
    query: Signal<String>,
) -> impl IntoView {
    let link = move |format: &'static str, label: &'static str| {
        let there = move || routes::export(path, &query.get(), format);
        view! { <a class="button plain" href=there rel="external" download="" aria-label=["Export as ", label].concat()>{label}</a> }
    };
    view! {
        <span class="export">"Export"{link("csv", "CSV")}{link("ndjson", "NDJSON")}</span>
    }
    .into_any()
}
