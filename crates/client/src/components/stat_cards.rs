//! The four cards: over everything that the viewer may see, whatever the filters.

use leptos::prelude::*;
use rollcall_core::{SessionStats, words};

/// The cards.
#[component]
pub(crate) fn StatCards(stats: SessionStats) -> impl IntoView {
    let number = |figure: u64| words::grouped(i64::try_from(figure).unwrap_or(i64::MAX));
    // One decimal, by whole numbers: formatting floats costs the bundle more than this line.
    let tenths = (stats.average_duration_minutes * 10.0).round() as i64;
    let average = format!("{}.{}", words::grouped(tenths / 10), tenths % 10);
    view! {
        <dl class="cards">
            <div title="Active sessions, and ended ones that are still kept">
                <dt>"Total sessions"</dt>
                <dd>{number(stats.total)}</dd>
            </div>
            <div title="Sessions whose token is accepted now">
                <dt>"Active sessions"</dt>
                <dd class="green">{number(stats.active)}</dd>
            </div>
            <div title="Different users among the total">
                <dt>"Unique users"</dt>
                <dd>{number(stats.unique_users)}</dd>
            </div>
            <div title="Of the total; active sessions count up to now">
                <dt>"Average duration"</dt>
                <dd>{average}" "<small>"minutes"</small></dd>
            </div>
        </dl>
    }
}
