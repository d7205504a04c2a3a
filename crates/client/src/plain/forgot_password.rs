//! What to do without the password. No mail is configured yet, so it says whom to ask; the same for
//! everybody, so that nobody learns which accounts there are.

use leptos::prelude::*;
use leptos_meta::Title;

use crate::app::use_surroundings;
use crate::routes;
use crate::ui::icon::{Glyph, Icon};

pub(super) fn page() -> AnyView {
    let contact = use_surroundings().support_contact;
    view! {
        <Title text="Forgot password" />
        <main class="alone" id="main">
            <section class="panel card">
                <p class="brand"><Glyph icon=Icon::Brand />"Rollcall"</p>
                <h1>"Forgot your password?"</h1>
                <p>
                    "An administrator can give you a one-time password. "
                    {match contact {
                        Some(contact) => view! { "Ask " <b>{contact}</b> "." }.into_any(),
                        None => view! { "Ask the administrator of your organisation." }.into_any(),
                    }}
                </p>
                <p>"A locked account has to be unlocked by an administrator too; a new password does not unlock it."</p>
                <p><a href=routes::SIGN_IN class="button">"Back to sign-in"</a></p>
            </section>
        </main>
    }
    .into_any()
}
