//! A dialog over the page, by the browser's own `<dialog>`: it keeps the focus inside, closes on Escape
//! and gives the focus back.

use leptos::html;
use leptos::prelude::*;

use crate::browser;

/// A modal dialog that is open while `open` is true.
#[component]
pub(crate) fn Modal(
    /// Whether it is open; closing sets it to false.
    open: RwSignal<bool>,
    /// The id of the heading that names it.
    labelled_by: &'static str,
    children: ChildrenFn,
) -> impl IntoView {
    let dialog = NodeRef::<html::Dialog>::new();
    Effect::new(move || {
        let open = open.get();
        if let Some(dialog) = dialog.get() {
            if open {
                browser::show_modal(&dialog)
            } else {
                dialog.close()
            }
        }
    });
    view! {
        <dialog node_ref=dialog aria-labelledby=labelled_by on:close=move |_| open.set(false)>
            {move || open.get().then(|| children())}
        </dialog>
    }
}
