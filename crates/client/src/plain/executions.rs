//! Executions in tables, on the pages of what they belong to.

use leptos::prelude::*;
use rollcall_core::{Execution, ExecutionState};

use super::parts::{may, table};
use crate::routes;
use crate::ui::clock::{ExactTime, TimeAgo};

/// Executions with their state; nothing where there are none.
pub(super) fn list(caption: &'static str, executions: Vec<Execution>) -> Option<AnyView> {
    if executions.is_empty() {
        return None;
    }
    let headings = [
        "Execution",
        "Artefact",
        "Status",
        "User",
        "Client",
        "Source",
        "Started",
        "Ended",
    ]
    .map(|label| view! { <th scope="col">{label}</th> })
    .collect_view();
    let rows = executions.into_iter().map(row).collect_view();
    Some(
        view! {
            <section class="panel">
                <div class="bar"><h2>{caption}</h2></div>
                {table(caption, headings.into_any(), rows.into_any())}
            </section>
        }
        .into_any(),
    )
}

fn row(execution: Execution) -> AnyView {
    let (words, class) = match execution.state {
        ExecutionState::Running => ("Running", "tag green dot"),
        ExecutionState::Finished => ("Finished", "tag"),
        ExecutionState::Failed => ("Failed", "tag amber dot"),
        ExecutionState::Terminated => ("Terminated", "tag red dot"),
    };
    let why = match (&execution.ended_by, execution.end_reason) {
        (Some(actor), _) => Some(format!("by {}", actor.name)),
        (None, Some(reason)) => Some(format!("session {}", reason.label(0))),
        (None, None) => None,
    };
    let client = execution.client.map(|client| {
        let there = routes::below(routes::CLIENTS, &client.id.to_string());
        match may(rollcall_core::Permission::ClientsDisconnect) {
            true => view! { <a href=there>{client.name}</a> }.into_any(),
            false => client.name.into_any(),
        }
    });
    let id = execution.id.to_string();
    view! {
        <tr>
            <td title=id.clone()>{execution.name}<span class="sub"><code>{id.clone()}</code></span></td>
            <td title=execution.artefact_id.clone()>{execution.artefact_id.clone()}<span class="sub">{execution.artefact_kind}</span></td>
            <td><span class=class>{words}</span><span class="sub">{why}</span></td>
            <td title=execution.user.email.clone()>{execution.user.name.clone()}</td>
            <td>{client}</td>
            <td>{execution.source.as_str()}</td>
            <td><TimeAgo at=execution.started_at /></td>
            <td>{execution.ended_at.map(|at| view! { <ExactTime at /> })}</td>
        </tr>
    }
    .into_any()
}
