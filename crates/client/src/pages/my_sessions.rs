//! My Sessions: one's own devices, which one this is, end one, end the others, end all; and those that have ended.

use leptos::prelude::*;
use leptos_meta::Title;
use rollcall_core::{Page, Session, ShownQuery, State};

use super::query_in_address;
use crate::app::use_surroundings;
use crate::components::end_dialog::EndDialog;
use crate::components::error_view::ErrorNotice;
use crate::components::export_links::ExportLinks;
use crate::components::session_facts::{Duration, StateTag, called};
use crate::components::session_table::TableSkeleton;
use crate::ui::clock::{ExactTime, TimeAgo};
use crate::ui::icon::{Glyph, Icon};
use crate::ui::loading::{Loaded, remember};
use crate::ui::pager::{Pager, Paging};
use crate::ui::refresh_button::RefreshButton;
use crate::{routes, rpc};

/// My Sessions.
#[component]
pub(crate) fn MySessionsPage() -> AnyView {
    let query = query_in_address();
    let version = RwSignal::new(0_u32);
    let page = rpc::load(
        move || (query.get().to_query(), version.get()),
        rpc::list_own_sessions,
    );
    let refresh = Callback::new(move |()| version.update(|version| *version += 1));
    let asked = RwSignal::new(None::<Session>);
    let loading = RwSignal::new(false);
    // What was shown last stays on the page when a later answer fails.
    let known = StoredValue::new(None::<(Page<Session>, ShownQuery)>);
    let zone = StoredValue::new(use_surroundings().zone);
    let as_of = move || async move {
        let text = page.await.ok().map(|page| {
            zone.with_value(|zone| format!("as of {} {}", zone.time_of_day(page.as_of), zone.name))
        });
        view! { <span class="since">{text}</span> }.into_any()
    };
    let list = move || {
        let shown = query.get_untracked();
        async move {
            match page.await {
                Ok(list) => {
                    remember(known, &(list.clone(), shown.clone()));
                    rows(list, shown, asked)
                }
                Err(error) => {
                    let old = known
                        .get_value()
                        .map(|(list, shown)| rows(list, shown, asked));
                    view! { <ErrorNotice error=error.0 retry=refresh />{old} }.into_any()
                }
            }
        }
    };
    let which = move |label: &'static str, state: Option<State>| {
        let there = match state {
            None => routes::MY_SESSIONS.to_owned(),
            Some(state) => {
                routes::with_query(routes::MY_SESSIONS, &["state=", state.as_str()].concat())
            }
        };
        let ended = state == Some(State::Ended);
        let current =
            move || ((query.get().filter.state == Some(State::Ended)) == ended).then_some("page");
        view! { <a href=there aria-current=current data-noscroll>{label}</a> }
    };
    view! {
        <Title text="My sessions" />
        <div class="head">
            <h1>"My sessions"</h1>
            <Loaded content=as_of />
            <span class="grow"></span>
            <ExportLinks path="/me/sessions" query=Signal::derive(move || query.get().to_query()) />
            <RefreshButton here=Signal::derive(move || routes::with_query(routes::MY_SESSIONS, &query.get().to_query())) loading refresh />
        </div>
        <p class="lead">{move || match query.get().filter.state {
            Some(State::Ended) => "Your sessions that have ended: when, why and by whom.",
            _ => "Every browser and program that is signed in as you. End what you do not recognise, then change your password.",
        }}</p>
        <nav class="segments" aria-label="Which sessions">{which("Active", None)}{which("Ended", Some(State::Ended))}<a href=routes::NOTICES rel="external">"New sign-ins"</a></nav>
        <section class="panel" aria-busy=move || loading.get().to_string()>
            <Loaded fallback=|| view! { <TableSkeleton /> } loading content=list />
        </section>
        <EndDialog asked own=true changed=refresh />
    }
    .into_any()
}

fn rows(list: Page<Session>, query: ShownQuery, asked: RwSignal<Option<Session>>) -> AnyView {
    let others = list.total > 1;
    let ended = query.filter.state == Some(State::Ended);
    if ended && list.total == 0 {
        return view! {
            <div class="empty">
                <h2>"None of your sessions has ended yet"</h2>
                <p>"Those that end stay here for a while, with when and why."</p>
            </div>
        }
        .into_any();
    }
    let paging = Paging::of(routes::MY_SESSIONS, &query.to_query(), &list);
    let items = list
        .items
        .into_iter()
        .map(|session| item(session, asked))
        .collect_view();
    view! {
        <ul class="devices">{items}</ul>
        {(list.total > u64::from(list.page_size)).then(|| view! { <Pager paging /> })}
        {(!ended).then(|| view! { <div class="foot">
            {if others {
                view! {
                    <a href=routes::end_own_sessions("others") rel="external" class="button danger">"End all other sessions"</a>
                    <a href=routes::end_own_sessions("all") rel="external" class="button danger">"End all, with this one"</a>
                }
                .into_any()
            } else {
                view! { <p class="aside">"This is your only active session."</p> }.into_any()
            }}
        </div> })}
    }
    .into_any()
}

fn item(session: Session, asked: RwSignal<Option<Session>>) -> AnyView {
    let id = session.id.to_string();
    let asks = session.clone();
    let called = called(&session);
    let (label, rename) = (["End ", &called].concat(), ["Rename ", &called].concat());
    let end = (session.state == State::Active).then(|| {
        view! {
            <a class="button plain" href=routes::rename_own_session(&id) rel="external" aria-label=rename>"Rename"</a>
            <a class="button plain danger" href=routes::end_own_session(&id) aria-label=label
                on:click=move |event| {
                    event.prevent_default();
                    asked.set(Some(asks.clone()));
                }
            >
                <Glyph icon=Icon::Close />
                "End"
            </a>
        }
    });
    view! {
        <li class:mine=session.current>
            <Glyph icon=Icon::Device />
            <div class="what">
                <b>{session.name.clone()}</b>
                {if session.current {
                    view! { <span class="tag blue">"This session"</span> }.into_any()
                } else {
                    view! { <StateTag session=session.clone() /> }.into_any()
                }}
                <span class="sub" title=session.user_agent.clone()>
                    {session.browser_and_system()}" · "<code>{session.ip.clone()}</code>" · "{session.kind.as_str()}
                </span>
            </div>
            <div class="when">
                {match session.ended {
                    None => view! { <span>"Active "<TimeAgo at=session.last_activity_at /></span> }.into_any(),
                    Some(ended) => {
                        let by = ended.by.map(|actor| [" by ", &actor.name].concat());
                        let note = ended.note.map(|note| view! { <span class="sub">{note}</span> });
                        view! { <span>"Ended "<ExactTime at=ended.at />{by}</span>{note} }.into_any()
                    }
                }}
                <span class="sub">"Signed in "<TimeAgo at=session.created_at />", for "<Duration seconds=session.duration_seconds /></span>
            </div>
            {end}
        </li>
    }
    .into_any()
}
