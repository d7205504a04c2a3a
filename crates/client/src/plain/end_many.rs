//! The confirmation before ending many sessions, and then how far that has come. Its address can be looked at again.

use leptos::prelude::*;
use leptos::server_fn::ServerFn;
use leptos_meta::Title;
use rollcall_core::{EndRun, EndStage, Error, words};

use super::parts::{backend, counted, failed, part, when_there};
use crate::app::use_surroundings;
use crate::routes;
use crate::rpc::EndPreviewed;

pub(super) fn page() -> AnyView {
    when_there(|| {
        let (id, backend) = (part("id"), backend());
        async move {
            let id = id.parse().map_err(|_| Error::NotFound)?;
            Ok(show(&backend?.end_progress(id).await?))
        }
    })
}

fn show(run: &EndRun) -> AnyView {
    let (heading, content) = match run.stage {
        EndStage::Preview if run.sessions == 0 => (
            "There is nothing to end".to_owned(),
            view! { <p>"No active session was chosen, or none matches but the one that you are using."</p> }.into_any(),
        ),
        EndStage::Preview => (format!("End {}?", sessions(run.sessions)), ask(run)),
        EndStage::Running => (format!("Ending {}", sessions(run.sessions)), progress(run)),
        EndStage::Finished => (format!("Ended {}", sessions(run.ended)), summary(run)),
    };
    let back = (run.stage != EndStage::Preview || run.sessions == 0).then(|| {
        view! { <div class="acts"><a href=routes::SESSIONS class="button">"Back to all sessions"</a></div> }
    });
    view! {
        <Title text="End sessions" />
        <section class="panel card">
            <h1>{heading}</h1>
            {failed(EndPreviewed::url())}
            {content}
            {back}
        </section>
    }
    .into_any()
}

fn ask(run: &EndRun) -> AnyView {
    let zone = use_surroundings().zone;
    let until = format!("{} {}", zone.time_of_day(run.expires_at), zone.name);
    let administrators = (run.administrators > 0).then(|| {
        let text = match run.administrators {
            1 => "One of these users is an administrator.".to_owned(),
            many => format!("{} of these users are administrators.", number(many)),
        };
        view! { <div class="warn">{text}</div> }
    });
    view! {
        <p>{format!("{} of {} will be signed out at once.", sessions(run.sessions), users(run.users))}</p>
        <p>"These and no others: who signs in from now on is not among them, nor is the session that you are using."</p>
        {administrators}
        <form method="post" action=EndPreviewed::url() class="stack">
            <input type="hidden" name="preview" value=run.id.to_string() />
            <label class="stack">
                <span>"Reason "<small>"(optional; kept with each session)"</small></span>
                <input name="reason" maxlength="200" autocomplete="off" />
            </label>
            <p class="aside">{format!("This list is good until {until}.")}</p>
            <div class="acts">
                <a href=routes::SESSIONS class="button">"Cancel"</a>
                <button class="button danger full">{format!("End {}", sessions(run.sessions))}</button>
            </div>
        </form>
    }
    .into_any()
}

fn progress(run: &EndRun) -> AnyView {
    let done = run.ended + run.skipped;
    let text = format!("{} of {} done.", number(done), number(run.sessions));
    let here = routes::end_many(&run.id.to_string());
    view! {
        <progress max=run.sessions.to_string() value=done.to_string() aria-label="Ended so far"></progress>
        <p role="status">{text}</p>
        <p class="aside">"You can leave this page; it goes on by itself."</p>
        // Looks again by itself.
        <leptos_meta::Meta http_equiv="refresh" content="1" />
        <p><a href=here>"Look again"</a></p>
    }
    .into_any()
}

fn summary(run: &EndRun) -> AnyView {
    let skipped = match run.skipped {
        0 => None,
        1 => Some("One had ended already.".to_owned()),
        many => Some(format!("{} had ended already.", number(many))),
    };
    let text = if run.ended == 1 {
        "It is refused from now on.".to_owned()
    } else {
        "They are refused from now on.".to_owned()
    };
    view! {
        <p role="status">{text}</p>
        {skipped.map(|text| view! { <p>{text}</p> })}
        {run.reason.clone().map(|reason| view! { <p>"Reason: "{reason}</p> })}
    }
    .into_any()
}

fn number(count: u64) -> String {
    words::grouped(i64::try_from(count).unwrap_or(i64::MAX))
}

fn sessions(count: u64) -> String {
    counted(count, "session", "sessions")
}

fn users(count: u64) -> String {
    counted(count, "user", "users")
}
