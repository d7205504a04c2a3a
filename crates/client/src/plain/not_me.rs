//! A sign-in that was somebody else's, reported by the link of the mail that told of it. Looking changes nothing: programs
//! look at links, too.

use leptos::prelude::*;
use leptos::server_fn::ServerFn;
use leptos_meta::Title;
use rollcall_core::{Error, ReportLink, ReportStep};

use super::parts::{alone, backend, part, when_there};
use crate::app::use_surroundings;
use crate::components::error_view::other_error;
use crate::routes;
use crate::rpc::{self, ReportSignIn};

pub(super) fn page() -> AnyView {
    let content = when_there(|| {
        let (link, backend) = (part("link"), backend());
        async move {
            let found = backend?.find_report_link(link.clone()).await?;
            Ok(match found {
                Some(found) => ask(&link, &found),
                None => over(),
            })
        }
    });
    view! {
        <Title text="Report a sign-in" />
        {alone(content)}
    }
    .into_any()
}

fn ask(link: &str, found: &ReportLink) -> AnyView {
    let failure = rpc::failure(ReportSignIn::url());
    let refused = match failure {
        // What it could do once was done.
        Some(Error::NotFound) => Some("This link was used for that already.".to_owned()),
        other => other_error(other, &[]),
    };
    let zone = use_surroundings().zone;
    let at = format!("{} {}", zone.civil(found.at), zone.name);
    let button = |all: bool, class: &'static str, label: &'static str| {
        view! {
            <form method="post" action=ReportSignIn::url()>
                <input type="hidden" name="link" value=link.to_owned() />
                <input type="hidden" name="all" value=all.to_string() />
                <button class=class>{label}</button>
            </form>
        }
    };
    let one = || button(false, "button danger full", "End this session");
    let all = || {
        view! {
            <h2>"Does somebody know your password?"</h2>
            <p>"Then end all your sessions, on every device, and make the password void. A mail follows with a link that sets another. Your account is not locked."</p>
            {button(true, "button danger", "End everything and void my password")}
        }
    };
    let rest = match found.step {
        ReportStep::Told => view! {
            <p>"If this was you, close this page; nothing has happened. If not, end the session that began then."</p>
            {one()}
            {all()}
        }
        .into_any(),
        ReportStep::SessionEnded => view! {
            <p class="notice done" role="status">"That session was ended."</p>
            {all()}
        }
        .into_any(),
        ReportStep::AllEnded => view! {
            <p class="notice done" role="status">
                "All your sessions were ended. If you have a password here, it is void, and a mail with a link that sets another is on its way."
            </p>
            <p>"If you sign in by single sign-on, change your password there."</p>
            <p><a class="button" href=routes::SIGN_IN>"Go to sign-in"</a></p>
        }
        .into_any(),
    };
    view! {
        <h1>"Was this not you?"</h1>
        {refused.map(|text| view! { <p class="notice failed" role="alert">{text}</p> })}
        <p>"Somebody signed in as "<b>{found.email.clone()}</b>": "{found.device.clone()}" · "<code>{found.ip.clone()}</code>" · "{at}</p>
        {rest}
    }
    .into_any()
}

fn over() -> AnyView {
    view! {
        <h1>"This link is not good any more"</h1>
        <p>"It is older than a day, or the account has changed since. Sign in and look at your sessions, or ask for a new password."</p>
        <p class="acts">
            <a class="button" href=routes::FORGOT_PASSWORD>"Forgot your password?"</a>
            <a class="button primary" href=routes::MY_SESSIONS>"My sessions"</a>
        </p>
    }
    .into_any()
}
