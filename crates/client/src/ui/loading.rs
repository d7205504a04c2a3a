//! What waits for its data. What a list knows while its next answer is on its way is kept in the browser
//! only: on the server one thread would write what another is rendering, and a signal that is being written
//! cannot be read.

use leptos::children::ViewFnOnce;
use leptos::prelude::*;

/// A part of a page that waits for its data: `fallback` until it is there the first time, and afterwards the
/// old content until the new is there.
#[component]
pub(crate) fn Loaded<View>(
    /// Shown until there is something to show.
    #[prop(optional, into)]
    fallback: ViewFnOnce,
    /// Is told whether an answer is on its way.
    #[prop(optional)]
    loading: Option<RwSignal<bool>>,
    /// What to show, when its data is there. Called again when a signal changes that it reads.
    content: impl Fn() -> View + Send + 'static,
) -> AnyView
where
    View: Future<Output = AnyView> + Send + 'static,
{
    // Boxed, so that the bundle holds the waiting only once.
    wait(fallback, loading, Box::new(move || Suspend::new(content())))
}

fn wait(
    fallback: ViewFnOnce,
    loading: Option<RwSignal<bool>>,
    content: Box<dyn Fn() -> Suspend<AnyView> + Send>,
) -> AnyView {
    let report = SignalSetter::map(move |pending| {
        if let Some(loading) = loading
            && cfg!(target_arch = "wasm32")
        {
            loading.set(pending);
        }
    });
    view! { <Transition fallback set_pending=report>{content}</Transition> }.into_any()
}

/// Remembers what is shown, for when a later answer fails.
pub(crate) fn remember<T: Clone + Send + Sync + 'static>(place: StoredValue<Option<T>>, shown: &T) {
    if cfg!(target_arch = "wasm32") {
        place.set_value(Some(shown.clone()));
    }
}
