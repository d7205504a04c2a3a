//! Which columns the table of sessions has.

use leptos::prelude::*;
use leptos::server_fn::ServerFn;
use leptos_meta::Title;
use rollcall_core::{Column, Columns, Error, Permission};

use super::parts::{backend, failed, may, when_there};
use crate::components::session_table::COLUMNS;
use crate::routes;
use crate::rpc::SetColumns;

pub(super) fn page() -> AnyView {
    when_there(|| {
        let (backend, views) = (backend(), may(Permission::SessionsView));
        async move {
            if !views {
                return Err(Error::Forbidden);
            }
            Ok(show(backend?.columns().await?))
        }
    })
}

fn show(chosen: Columns) -> AnyView {
    let boxes = COLUMNS
        .into_iter()
        .filter(|(column, ..)| *column != Column::User)
        .map(|(column, label, _)| {
            view! {
                <label class="check">
                    <input type="checkbox" name="columns[]" value=column.as_str() checked=chosen.has(column) />
                    {label}
                </label>
            }
        })
        .collect_view();
    view! {
        <Title text="Columns" />
        <p class="crumbs"><a href=routes::SESSIONS>"Sessions"</a></p>
        <section class="panel card">
            <h1>"Columns"</h1>
            {failed(SetColumns::url())}
            <p>"The table of sessions shows the user and whatever is ticked here. Your choice goes with you to every browser."</p>
            <form method="post" action=SetColumns::url() class="stack">
                <fieldset class="stack">
                    <legend>"Shown"</legend>
                    {boxes}
                </fieldset>
                <div class="acts">
                    <a class="button" href=routes::SESSIONS>"Cancel"</a>
                    <button class="button" name="restore" value="true">"Restore the default"</button>
                    <button class="button primary">"Save"</button>
                </div>
            </form>
        </section>
    }
    .into_any()
}
