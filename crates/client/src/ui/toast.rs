//! Short messages about what has just happened, read out by screen readers.

use leptos::prelude::*;

/// The message shown now.
#[derive(Clone, Copy)]
pub(crate) struct Toasts(RwSignal<Option<(u32, bool, String)>>);

impl Toasts {
    /// Says that something was done.
    pub(crate) fn done(self, text: String) {
        self.say(false, text);
    }

    /// Says that something went wrong.
    pub(crate) fn failed(self, text: String) {
        self.say(true, text);
    }

    fn say(self, failed: bool, text: String) {
        let number = self
            .0
            .with_untracked(|shown| shown.as_ref().map_or(0, |(number, ..)| number + 1));
        self.0.set(Some((number, failed, text)));
        // An error stays until it is closed; good news leaves by itself.
        #[cfg(target_arch = "wasm32")]
        if !failed {
            gloo_timers::callback::Timeout::new(8_000, move || {
                self.0.update(|shown| {
                    if shown.as_ref().is_some_and(|(shown, ..)| *shown == number) {
                        *shown = None;
                    }
                });
            })
            .forget();
        }
    }
}

/// Prepares the place for messages.
pub(crate) fn provide_toasts() {
    provide_context(Toasts(RwSignal::new(None)));
}

/// The messages, to say something.
pub(crate) fn use_toasts() -> Toasts {
    expect_context::<Toasts>()
}

/// Where messages appear.
#[component]
pub(crate) fn ToastRegion() -> impl IntoView {
    let toasts = use_toasts().0;
    view! {
        <div class="toasts" role="status" aria-live="polite">
            {move || toasts.get().map(|(_, failed, text)| view! {
                <div class="toast" class:failed=failed>
                    <span>{text}</span>
                    <button class="button plain" on:click=move |_| toasts.set(None)>"Dismiss"</button>
                </div>
            })}
        </div>
    }
}
