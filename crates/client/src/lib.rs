//! Rollcall's pages: rendered by the server (feature `ssr`), taken over in the browser (`hydrate`).
//!
//! **Invariant:** this crate knows `rollcall-core` and nothing of SQL, axum or tokio. On the server it
//! reaches the rest through `dyn Backend`, which it finds in the context.

// A page's view is one deeply nested type.
#![recursion_limit = "512"]

pub mod app;
mod browser;
mod components;
mod pages;
mod routes;
mod rpc;
mod ui;

pub use app::{App, Assets, shell};

/// Takes over the page that the server has rendered. Called by the page's own script.
#[cfg(all(feature = "hydrate", target_arch = "wasm32"))]
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn hydrate() {
    leptos::mount::hydrate_body(App);
}
