//! Times that tick. The first render shows the server's moment, so that nothing jumps when the browser
//! takes over; from then on a second is a second.

use leptos::prelude::*;
use rollcall_core::{Timestamp, words};

use crate::app::use_surroundings;
use crate::browser;

#[derive(Clone, Copy)]
struct Now(RwSignal<Timestamp>);

/// Starts the page's clock at the server's time.
pub(crate) fn provide_clock(start: Timestamp) {
    let now = RwSignal::new(start);
    provide_context(Now(now));
    #[cfg(target_arch = "wasm32")]
    Effect::new(move || {
        let loaded = browser::now_ms();
        let handle = gloo_timers::callback::Interval::new(1_000, move || {
            // By the difference, since timers of hidden pages are slowed down.
            let passed = (browser::now_ms() - loaded).max(0.0) as i64;
            now.set(Timestamp(start.0 + passed * 1_000));
        });
        handle.forget();
    });
    #[cfg(not(target_arch = "wasm32"))]
    let _ = browser::now_ms;
}

/// Now, by the server's clock.
pub(crate) fn use_now() -> Signal<Timestamp> {
    expect_context::<Now>().0.into()
}

/// The exact time with its zone: what hovering over a relative one shows.
#[cfg(feature = "ssr")]
pub(crate) fn exact(at: Timestamp) -> String {
    let zone = use_surroundings().zone;
    format!("{} {}", zone.civil(at), zone.name)
}

/// "5 minutes ago", with the exact time on hover and focus.
#[component]
pub(crate) fn TimeAgo(#[prop(into)] at: Signal<Timestamp>) -> impl IntoView {
    let now = use_now();
    let zone = StoredValue::new(use_surroundings().zone);
    let full = move || zone.with_value(|zone| format!("{} {}", zone.civil(at.get()), zone.name));
    view! {
        <time datetime=move || at.get().to_string() title=full tabindex="0" class="hint" data-exact=full>
            {move || words::ago(at.get(), now.get())}
        </time>
    }
}

/// `YYYY-MM-DD HH:mm:ss` in the page's zone, with the zone on hover and focus.
#[component]
pub(crate) fn ExactTime(#[prop(into)] at: Signal<Timestamp>) -> impl IntoView {
    let zone = StoredValue::new(use_surroundings().zone);
    view! {
        <time datetime=move || at.get().to_string() title=move || zone.with_value(|zone| format!("{} {}", zone.civil(at.get()), zone.name))>
            {move || zone.with_value(|zone| zone.civil(at.get()).to_string())}
        </time>
    }
}
