//! API keys: the caller's own, and how those of another user are listed.

use leptos::prelude::*;
use leptos::server_fn::ServerFn;
use leptos_meta::Title;
use leptos_router::hooks::use_query_map;
use rollcall_core::keys::{LONGEST_KEY_LIFE, LONGEST_KEY_NAME, USUAL_KEY_LIFE};
use rollcall_core::{ApiKey, ApiKeyId, KeyState, Permission};

use super::parts::{backend, empty, failed, table, when_there};
use super::reauthenticate::once_confirmed;
use super::role::ticks_of;
use crate::app::use_surroundings;
use crate::routes;
use crate::rpc::{CreateKey, RevokeKey};
use crate::ui::clock::{ExactTime, TimeAgo};

pub(super) fn page() -> AnyView {
    when_there(|| {
        let backend = backend();
        let made: Option<ApiKeyId> = use_query_map()
            .get_untracked()
            .get("made")
            .and_then(|id| id.parse().ok());
        async move {
            let backend = backend?;
            let secret = match made {
                Some(id) => backend.key_secret(id).await?,
                None => None,
            };
            Ok(show(backend.list_own_keys().await?, secret))
        }
    })
}

fn show(keys: Vec<ApiKey>, secret: Option<String>) -> AnyView {
    let secret = secret.map(|secret| {
        view! {
            <section class="notice done once" role="status" aria-label="New API key">
                <p>"The new key:"</p>
                <p><code class="secret">{secret}</code></p>
                <p>"It is shown this once and stored nowhere. A program sends it as "<code>"Authorization: Bearer …"</code>"."</p>
            </section>
        }
    });
    view! {
        <Title text="API keys" />
        <p class="crumbs"><a href=routes::SECURITY>"Security"</a></p>
        <div class="head"><h1>"API keys"</h1></div>
        <p class="lead">"A program that has a key acts as you, with no more than the key allows. Whatever takes your account or password away revokes your keys."</p>
        {secret}
        {failed(RevokeKey::url())}
        {list(keys, routes::KEYS, true)}
        {once_confirmed("make a key", form)}
    }
    .into_any()
}

/// Keys in a table, with a way to revoke those that are good. That is asked about on the same page, which is `here`.
pub(super) fn list(keys: Vec<ApiKey>, here: &str, revokes: bool) -> AnyView {
    let asked = use_query_map().get_untracked().get("revoke");
    let question = keys
        .iter()
        .filter(|key| revokes && key.state == KeyState::Good)
        .find(|key| asked.as_ref() == Some(&key.id.to_string()))
        .map(|key| question(key, here));
    let rows = if keys.is_empty() {
        empty(
            "No keys",
            "Programs that sign in with a password need none.",
            None,
        )
    } else {
        let headings = view! {
            <th scope="col">"Name"</th>
            <th scope="col">"State"</th>
            <th scope="col">"Allows"</th>
            <th scope="col">"Last used"</th>
            <th scope="col">"Made"</th>
            <th scope="col">"Expires"</th>
            <th scope="col"><span class="visually-hidden">"Actions"</span></th>
        };
        let rows = keys
            .into_iter()
            .map(|key| row(key, here, revokes))
            .collect_view();
        table("API keys", headings.into_any(), rows.into_any())
    };
    view! {
        {question}
        <section class="panel">{rows}</section>
    }
    .into_any()
}

fn question(key: &ApiKey, here: &str) -> AnyView {
    view! {
        <section class="panel card" aria-label="Revoke a key">
            <h2>{format!("Revoke {}?", key.name)}</h2>
            <p>"Programs that use it are refused from the next request on. This cannot be undone; another key can be made."</p>
            <form method="post" action=RevokeKey::url() class="stack">
                <input type="hidden" name="key" value=key.id.to_string() />
                <input type="hidden" name="next" value=here.to_owned() />
                <div class="acts">
                    <a class="button" href=here.to_owned()>"Cancel"</a>
                    <button class="button danger full">"Revoke key"</button>
                </div>
            </form>
        </section>
    }
    .into_any()
}

fn row(key: ApiKey, here: &str, revokes: bool) -> AnyView {
    let state = match key.state {
        KeyState::Good => view! { <span class="tag green dot">"Good"</span> }.into_any(),
        KeyState::Expired => view! { <span class="tag">"Expired"</span> }.into_any(),
        KeyState::Revoked => view! { <span class="tag red dot">"Revoked"</span> }.into_any(),
    };
    let allows: Vec<_> = key.permissions.iter().map(Permission::as_str).collect();
    let allows = match allows.is_empty() {
        true => "reading one's own account".to_owned(),
        false => allows.join(", "),
    };
    let used = match key.last_used_at {
        Some(at) => view! { <TimeAgo at /> }.into_any(),
        None => "never".into_any(),
    };
    let action = (revokes && key.state == KeyState::Good).then(|| {
        let label = format!("Revoke {}", key.name);
        let there = routes::with_query(here, &format!("revoke={}", key.id));
        view! { <a class="button plain danger" href=there aria-label=label>"Revoke"</a> }
    });
    view! {
        <tr>
            <td title=key.name.clone()>{key.name.clone()}</td>
            <td>{state}</td>
            <td class="long" title=allows.clone()>{allows.clone()}</td>
            <td>{used}</td>
            <td><ExactTime at=key.created_at /></td>
            <td><ExactTime at=key.expires_at /></td>
            <td class="end">{action}</td>
        </tr>
    }
    .into_any()
}

fn form() -> AnyView {
    let held = use_surroundings()
        .viewer
        .map(|viewer| viewer.permissions)
        .unwrap_or_default();
    view! {
        <section class="panel card" aria-label="Make a key">
            <h2>"Make a key"</h2>
            {failed(CreateKey::url())}
            <form method="post" action=CreateKey::url() class="stack">
                <label class="stack">
                    <span>"Name"</span>
                    <input name="name" maxlength=LONGEST_KEY_NAME.to_string() required autocomplete="off" placeholder="Nightly pipeline" />
                </label>
                <label class="stack">
                    <span>"Good for so many days"</span>
                    <input name="days" type="number" min="1" max=LONGEST_KEY_LIFE.to_string() required inputmode="numeric" value=USUAL_KEY_LIFE.to_string() />
                </label>
                {ticks_of(held, rollcall_core::Permissions::of(&[Permission::ClientsRegister]))}
                <button class="button primary">"Make key"</button>
            </form>
        </section>
    }
    .into_any()
}
