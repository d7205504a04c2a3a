//! Help that works while nothing else does: `docs/troubleshooting.md`, made into a page once.

use std::sync::LazyLock;

use axum::extract::State;
use axum::response::Response;
use pulldown_cmark::{Options, Parser, html};

use super::Shared;
use super::simple_page::{Layout, answer, escaped, page};

static TEXT: LazyLock<String> = LazyLock::new(|| {
    let source = include_str!("../../../../docs/troubleshooting.md");
    let mut text = String::new();
    html::push_html(&mut text, Parser::new_ext(source, Options::ENABLE_TABLES));
    text
});

/// What to do when the list does not update, a session cannot be ended or the figures look wrong.
pub(super) async fn troubleshooting(State(http): State<Shared>) -> Response {
    let contact = match http.support_contact.as_deref() {
        Some(contact) => format!(
            "<p>Whom to ask here: <strong>{}</strong></p>\n",
            escaped(contact)
        ),
        None => "<p>Whom to ask here: an administrator of this server.</p>\n".to_owned(),
    };
    let back = "<p><a class=\"button\" href=\"/\">Back to Rollcall</a></p>\n";
    answer(page(
        Layout::Document,
        "Troubleshooting",
        &format!("{}{contact}{back}", *TEXT),
        "",
    ))
}
