//! The list of identity providers.

use leptos::prelude::*;
use leptos::server_fn::ServerFn;
use leptos_meta::Title;
use rollcall_core::IdentityProvider;

use super::parts::{backend, empty, failed, table, when_there};
use crate::routes;
use crate::rpc::RemoveProvider;

pub(super) fn page() -> AnyView {
    when_there(|| {
        let backend = backend();
        async move { Ok(show(&backend?.list_providers().await?)) }
    })
}

fn show(providers: &[IdentityProvider]) -> AnyView {
    view! {
        <Title text="Identity providers" />
        <div class="head">
            <h1>"Identity providers"</h1>
            <span class="grow"></span>
            <a class="button primary" href=routes::NEW_PROVIDER>"Set up a provider"</a>
        </div>
        <p class="lead">"With these people sign in by single sign-on (OpenID Connect), besides a password. Rules say who of them may come in, and as what."</p>
        {failed(RemoveProvider::url())}
        <section class="panel" aria-label="List of identity providers">{rows(providers)}</section>
    }
    .into_any()
}

fn rows(providers: &[IdentityProvider]) -> AnyView {
    if providers.is_empty() {
        return empty(
            "No identity provider",
            "People sign in with a password. Any provider that speaks OpenID Connect can be set up: Keycloak, Entra ID, Google, Okta and others.",
            Some((routes::NEW_PROVIDER.to_owned(), "Set up a provider")),
        );
    }
    let headings = view! {
        <th scope="col">"Provider"</th>
        <th scope="col">"State"</th>
        <th scope="col">"Issuer"</th>
        <th scope="col">"Rules"</th>
        <th scope="col"><span class="visually-hidden">"Actions"</span></th>
    };
    let rows = providers.iter().map(row).collect_view();
    table("Identity providers", headings.into_any(), rows.into_any())
}

fn row(provider: &IdentityProvider) -> AnyView {
    let setup = &provider.setup;
    let there = routes::below(routes::PROVIDERS, provider.key.as_str());
    let (label, action) = match provider.from_file {
        true => ("Details", format!("Details of {}", setup.label)),
        false => ("Edit", format!("Edit {}", setup.label)),
    };
    let state = match setup.enabled {
        true => view! { <span class="tag green dot">"Enabled"</span> },
        false => view! { <span class="tag dot">"Disabled"</span> },
    };
    let rules = match setup.rules.len() {
        0 => "none: only linked users".to_owned(),
        1 => "1 rule".to_owned(),
        many => format!("{many} rules"),
    };
    view! {
        <tr>
            <td class="who">
                <a href=there.clone()>
                    <b>{setup.label.clone()}</b>
                    {provider.from_file.then(|| view! { <span class="tag">"from a file"</span> })}
                    <span class="sub">{provider.key.to_string()}</span>
                </a>
            </td>
            <td>{state}</td>
            <td class="long" title=setup.issuer.clone()><code>{setup.issuer.clone()}</code></td>
            <td>{rules}</td>
            <td class="end"><a class="button plain" href=there aria-label=action>{label}</a></td>
        </tr>
    }
    .into_any()
}
