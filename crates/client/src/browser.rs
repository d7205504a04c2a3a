//! What only a browser can do. On the server every call does nothing.

#[cfg(target_arch = "wasm32")]
mod real {
    use leptos::prelude::*;
    use leptos::wasm_bindgen::{JsCast, JsValue};
    use web_sys::{
        Element, Event, HtmlDialogElement, HtmlElement, HtmlInputElement, KeyboardEvent,
    };

    /// Milliseconds since 1970, by the browser's clock.
    pub(crate) fn now_ms() -> f64 {
        js_sys::Date::now()
    }

    /// Leaves for another page, loading it anew.
    pub(crate) fn go(path: &str) {
        let _ = window().location().assign(path);
    }

    /// The path and query that the browser shows.
    pub(crate) fn here() -> String {
        let location = window().location();
        location.pathname().unwrap_or_default() + &location.search().unwrap_or_default()
    }

    /// Opens a dialog over the page; focus goes to what has `autofocus` in it.
    pub(crate) fn show_modal(dialog: &HtmlDialogElement) {
        if !dialog.open() {
            let _ = dialog.show_modal();
        }
    }

    /// Tells the server, from the next page on, which time zone this browser is in.
    pub(crate) fn tell_time_zone() {
        let options =
            js_sys::Intl::DateTimeFormat::new(&js_sys::Array::new(), &js_sys::Object::new())
                .resolved_options();
        let zone = js_sys::Reflect::get(&options, &JsValue::from_str("timeZone"))
            .ok()
            .and_then(|zone| zone.as_string());
        if let (Some(zone), Ok(document)) = (zone, document().dyn_into::<web_sys::HtmlDocument>()) {
            let cookie = format!("rollcall-zone={zone}; Path=/; SameSite=Lax; Max-Age=31536000");
            let _ = document.set_cookie(&cookie);
        }
    }

    /// Whether a key was meant for what is being typed into.
    pub(crate) fn is_typing(event: &KeyboardEvent) -> bool {
        let target = event
            .target()
            .and_then(|target| target.dyn_into::<HtmlElement>().ok());
        target.is_some_and(|target| {
            matches!(target.tag_name().as_str(), "INPUT" | "TEXTAREA" | "SELECT")
        })
    }

    /// Moves the focus by so many rows of the table that has it. False if there is no such row.
    pub(crate) fn move_row(event: &KeyboardEvent, down: bool) -> bool {
        let row = event
            .target()
            .and_then(|target| target.dyn_into::<HtmlElement>().ok())
            .and_then(|target| target.closest("tbody tr").ok().flatten());
        let step = |row: Element| match down {
            true => row.next_element_sibling(),
            false => row.previous_element_sibling(),
        };
        // Past what runs under a session.
        let next = row
            .and_then(step)
            .and_then(|next| match &*next.class_name() {
                "work" => step(next),
                _ => Some(next),
            });
        let link = next.and_then(|next| next.query_selector("a").ok().flatten());
        match link.and_then(|link| link.dyn_into::<HtmlElement>().ok()) {
            Some(link) => link.focus().is_ok(),
            None => false,
        }
    }

    fn boxes() -> impl Iterator<Item = HtmlInputElement> {
        let list = document().query_selector_all("tbody input[type=checkbox]");
        let list = list.ok();
        let length = list.as_ref().map_or(0, |list| list.length());
        (0..length).filter_map(move |index| list.as_ref()?.item(index)?.dyn_into().ok())
    }

    /// How many rows of the table are ticked.
    pub(crate) fn count_ticked() -> u32 {
        boxes().filter(HtmlInputElement::checked).count() as u32
    }

    /// Ticks every row that can be, or none.
    pub(crate) fn tick_all(event: &Event) {
        let all = event
            .target()
            .and_then(|target| target.dyn_into::<HtmlInputElement>().ok());
        if let Some(all) = all {
            boxes().for_each(|each| each.set_checked(all.checked()));
        }
    }

    /// Focuses the first row of the table.
    pub(crate) fn focus_first_row() {
        let first = document().query_selector("tbody tr a").ok().flatten();
        if let Some(first) = first.and_then(|first| first.dyn_into::<HtmlElement>().ok()) {
            let _ = first.focus();
        }
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod real {
    use web_sys::{Event, HtmlDialogElement, KeyboardEvent};

    pub(crate) fn now_ms() -> f64 {
        0.0
    }
    pub(crate) fn go(_path: &str) {}
    pub(crate) fn here() -> String {
        String::new()
    }
    pub(crate) fn show_modal(_dialog: &HtmlDialogElement) {}
    pub(crate) fn tell_time_zone() {}
    pub(crate) fn is_typing(_event: &KeyboardEvent) -> bool {
        false
    }
    pub(crate) fn move_row(_event: &KeyboardEvent, _down: bool) -> bool {
        false
    }
    pub(crate) fn count_ticked() -> u32 {
        0
    }
    pub(crate) fn tick_all(_event: &Event) {}
    pub(crate) fn focus_first_row() {}
}

pub(crate) use real::*;
