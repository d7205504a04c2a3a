//! The document around every page, and the pages' common ground.

use leptos::prelude::*;
use leptos_meta::{MetaTags, Title, provide_meta_context};
use leptos_router::components::{Outlet, ParentRoute, Route, Router, Routes};
use leptos_router::{SsrMode, path};
use rollcall_core::Surroundings;

use crate::components::layout::Layout;
use crate::pages::{
    my_sessions::MySessionsPage, not_found::NotFoundPage, sessions::SessionsPage,
    sign_in::SignInPage,
};
use crate::ui::clock::provide_clock;
use crate::ui::toast::provide_toasts;

/// Where the page finds its files; every address names the version of the file.
#[derive(Clone, Debug)]
pub struct Assets {
    /// The style sheet.
    pub style: String,
    /// The bundle's script and its WebAssembly; `None` where the server has no bundle: pages then work
    /// without scripts.
    pub bundle: Option<(String, String)>,
}

/// Whether the viewer has something to be told on My Sessions. It stands in the document, beside what server and browser both
/// render, and the style sheet makes it seen: the bundle knows nothing of it.
#[cfg(feature = "ssr")]
#[derive(Clone, Copy, Debug)]
pub struct News(
    /// Whether there is any.
    pub bool,
);

/// The whole document, as the server renders it.
pub fn shell() -> impl IntoView {
    document(true, || view! { <App /> })
}

/// The document around a page without scripts.
#[cfg(feature = "ssr")]
pub fn plain_shell() -> impl IntoView {
    document(false, || view! { <crate::plain::PlainApp /> })
}

fn document<V: IntoView>(with_scripts: bool, body: impl FnOnce() -> V) -> impl IntoView {
    let assets = use_context::<Assets>().unwrap_or(Assets {
        style: String::new(),
        bundle: None,
    });
    let scripts = assets.bundle.filter(|_| with_scripts).map(|(script, wasm)| {
        let nonce = leptos::nonce::use_nonce();
        let start = format!(
            "import start from '{script}';start({{module_or_path:'{wasm}'}}).then(bundle=>bundle.hydrate());"
        );
        // `start` answers the exports; `hydrate` is the only one that pages call.
        view! {
            <link rel="modulepreload" href=script nonce=nonce.clone() />
            <link rel="preload" href=wasm r#as="fetch" r#type="application/wasm" crossorigin="" />
            <script type="module" nonce=nonce inner_html=start></script>
        }
    });
    #[cfg(feature = "ssr")]
    let news = use_context::<News>().is_some_and(|news| news.0);
    #[cfg(not(feature = "ssr"))]
    let news = false;
    view! {
        <!DOCTYPE html>
        <html lang="en" data-news=news.then_some("")>
            <head>
                <meta charset="utf-8" />
                <meta name="viewport" content="width=device-width, initial-scale=1" />
                <meta name="color-scheme" content="light dark" />
                <link rel="stylesheet" href=assets.style />
                <link rel="icon" href="/favicon.svg" type="image/svg+xml" />
                {scripts}
                <MetaTags />
            </head>
            <body>
                {body()}
            </body>
        </html>
    }
}

/// A page as the routes have it. Pages are of one type, so that the bundle holds what a route does once for each
/// form of path, not for each page.
type Page = fn() -> AnyView;

/// The pages that go on in the browser. The server puts what surrounds them into the context before it renders, and the browser
/// finds it in the document; signing in and out load the document anew.
#[component]
pub fn App() -> impl IntoView {
    provide_meta_context();
    let surroundings =
        SharedValue::new(|| use_context::<Surroundings>().unwrap_or_default()).into_inner();
    provide_clock(surroundings.now);
    provide_toasts();
    provide_context(surroundings);
    Effect::new(crate::browser::tell_time_zone);
    view! {
        <Title formatter=document_title />
        <Router>
            <Routes fallback=|| view! { <Layout><NotFoundPage /></Layout> }>
                <Route path=path!("/sign-in") view={SignInPage as Page} ssr=SsrMode::Async />
                <ParentRoute path=path!("") view=|| view! { <Layout><Outlet /></Layout> } ssr=SsrMode::Async>
                    <Route path=path!("/sessions") view={SessionsPage as Page} ssr=SsrMode::Async />
                    <Route path=path!("/account/sessions") view={MySessionsPage as Page} ssr=SsrMode::Async />
                </ParentRoute>
            </Routes>
        </Router>
    }
}

/// The title of the document. Leptos writes it into the page as it is, and names in it are somebody's own
/// choice, so what could begin a tag or an entity is taken out, on the server and in the browser alike.
pub(crate) fn document_title(title: String) -> String {
    let title = title.replace(['<', '>', '&'], " ");
    if title.is_empty() {
        "Rollcall".to_owned()
    } else {
        format!("{title} · Rollcall")
    }
}

/// What surrounds the page.
pub fn use_surroundings() -> Surroundings {
    expect_context::<Surroundings>()
}
