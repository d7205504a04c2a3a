//! What stands under a table whose rows can be ticked: how many are, and the ways to end them.

use leptos::prelude::*;
use leptos::server_fn::ServerFn;
use rollcall_core::{Error, Field, Problem, ShownQuery, words};

use crate::browser;
use crate::components::error_view::ErrorNotice;
use crate::rpc::{self, PreviewEnd};

/// The name of the box in each row, as the server function reads a list.
pub(crate) const BOX: &str = "ids[]";

/// A form around a table with boxes, and its buttons. It works without scripts; with them it counts.
pub(crate) fn tickable(table: AnyView, query: &ShownQuery, total: u64, exact: bool) -> AnyView {
    let ticked = RwSignal::new(0_u32);
    let count = move |_| ticked.set(browser::count_ticked());
    let words = move || match ticked.get() {
        0 => "Tick sessions to end several at once".to_owned(),
        1 => "1 selected".to_owned(),
        many => format!("{many} selected"),
    };
    let failure = rpc::failure(PreviewEnd::url()).map(|error| {
        if error == Error::Invalid(Field::Ids, Problem::Missing) {
            view! { <p class="warn failed" role="alert">"No session is ticked. Tick those that should end, then try again."</p> }.into_any()
        } else {
            view! { <ErrorNotice error /> }.into_any()
        }
    });
    let all = query.filter.narrows().then(|| {
        let total = words::grouped(i64::try_from(total).unwrap_or(i64::MAX));
        let label = if exact {
            format!("End all {total} that match…")
        } else {
            "End all that match…".to_owned()
        };
        view! { <button class="button plain danger" name="all" value="true">{label}</button> }
    });
    view! {
        <form method="post" action=PreviewEnd::url() on:change=count>
            <input type="hidden" name="query" value=query.to_query() />
            {table}
            <div class="chosen">
                {failure}
                <span class="num" role="status">{words}</span>
                <span class="grow"></span>
                <button class="button danger" data-ticked=move || ticked.get().to_string()>"End selected…"</button>
                {all}
            </div>
        </form>
    }
    .into_any()
}
