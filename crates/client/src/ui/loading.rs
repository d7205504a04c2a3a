//! What a list knows while its next answer is on its way. Kept in the browser only: on the server one
//! thread would write what another is rendering, and a signal that is being written cannot be read.

use leptos::prelude::*;

/// For `set_pending` of a `Transition`: says in `loading` whether an answer is on its way.
pub(crate) fn report_to(loading: RwSignal<bool>) -> SignalSetter<bool> {
    SignalSetter::map(move |pending| {
        if cfg!(target_arch = "wasm32") {
            loading.set(pending);
        }
    })
}

/// Remembers what is shown, for when a later answer fails.
pub(crate) fn remember<T: Clone + Send + Sync + 'static>(place: StoredValue<Option<T>>, shown: &T) {
    if cfg!(target_arch = "wasm32") {
        place.set_value(Some(shown.clone()));
    }
}
