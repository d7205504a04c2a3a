//! Rollcall's pages: rendered by the server (feature `ssr`), taken over in the browser (`hydrate`).
//!
//! **Invariant:** this crate knows `rollcall-core` and nothing of SQL, axum or tokio. On the server it
//! reaches the rest through `dyn Backend`, which it finds in the context.

// Server and browser must both be compiled with it: the markup that they expect of each other depends on it.
#[cfg(not(any(erase_components, doc)))]
compile_error!(
    "compile with `--cfg=erase_components`: it stands in .cargo/config.toml, and RUSTFLAGS in the environment replaces that"
);

pub mod app;
mod browser;
mod components;
mod pages;
#[cfg(feature = "ssr")]
mod plain;
mod routes;
mod rpc;
mod ui;

pub use app::{App, Assets, shell};
#[cfg(feature = "ssr")]
pub use app::{News, plain_shell};
#[cfg(feature = "ssr")]
pub use components::sign_on::SignOn;
#[cfg(feature = "ssr")]
pub use plain::{CLIENT_ACTS, RECEIVER_ACTS, USER_ACTS};
#[cfg(feature = "ssr")]
pub use routes::{own_path, sign_in_for, signed_out};

/// Takes over the page that the server has rendered. Called by the page's own script.
#[cfg(all(feature = "hydrate", target_arch = "wasm32"))]
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn hydrate() {
    leptos::mount::hydrate_body(App);
}
