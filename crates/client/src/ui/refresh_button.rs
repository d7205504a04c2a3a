//! Refresh, with a spinner. Without scripts it is a link to the page itself.

use leptos::prelude::*;

use super::icon::{Glyph, Icon};

/// Long enough to be seen where the answer is quicker than the eye.
#[cfg(target_arch = "wasm32")]
const LEAST_SPIN_MS: u32 = 600;

/// The button.
#[component]
pub(crate) fn RefreshButton(
    /// The page that it is on, as it is shown now.
    #[prop(into)]
    here: Signal<String>,
    /// Whether an answer is on its way.
    #[prop(into)]
    loading: Signal<bool>,
    /// Asks again.
    refresh: Callback<()>,
) -> impl IntoView {
    let pressed = RwSignal::new(false);
    let busy = move || loading.get() || pressed.get();
    let ask = move |event: leptos::ev::MouseEvent| {
        event.prevent_default();
        refresh.run(());
        #[cfg(target_arch = "wasm32")]
        {
            pressed.set(true);
            gloo_timers::callback::Timeout::new(LEAST_SPIN_MS, move || {
                // The page may be gone by then.
                let _ = pressed.try_set(false);
            })
            .forget();
        }
    };
    view! {
        <a class="button" class:busy=busy href=move || here.get() rel="external" aria-busy=move || busy().to_string() on:click=ask>
            <Glyph icon=Icon::Refresh />
            "Refresh"
        </a>
    }
}
