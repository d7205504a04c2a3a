//! One identity provider: setting it up, and the question before it is removed.

use leptos::prelude::*;
use leptos::server_fn::ServerFn;
use leptos_meta::Title;
use leptos_router::hooks::use_query_map;
use rollcall_core::{Error, Field, IdentityProvider, Permission, ProviderKey, SaveProvider};

use super::parts::{backend, failed, may, part, refused, sees_all, when_there};
use super::reauthenticate::once_confirmed;
use crate::components::error_view::field_error;
use crate::routes;
use crate::rpc::{self, RemoveProvider};

const FIELDS: [(Field, &str); 9] = [
    (Field::Key, "Key"),
    (Field::Label, "Label"),
    (Field::Issuer, "Issuer"),
    (Field::ClientId, "Client id"),
    (Field::Secret, "Client secret"),
    (Field::Scopes, "Scopes"),
    (Field::Rules, "Rules"),
    (Field::MaxAge, "Signed in at most so many seconds ago"),
    (Field::AcrValues, "Ways of signing in"),
];

pub(super) fn new_page() -> AnyView {
    when_there(|| {
        let everywhere = sees_all() && may(Permission::IntegrationsManage);
        async move {
            if !everywhere {
                return Err(Error::Forbidden);
            }
            let form = || form(None, &typed().unwrap_or_else(usual));
            Ok(view! {
                <Title text="Set up an identity provider" />
                <p class="crumbs"><a href=routes::PROVIDERS>"Identity providers"</a></p>
                <div class="head"><h1>"Set up an identity provider"</h1></div>
                {once_confirmed("set up a provider", form)}
            }
            .into_any())
        }
    })
}

pub(super) fn page() -> AnyView {
    when_there(|| {
        let (key, backend) = (part("provider"), backend());
        async move {
            let key: ProviderKey = key.parse().map_err(|_| Error::NotFound)?;
            Ok(show(&backend?.find_provider(key).await?))
        }
    })
}

fn show(provider: &IdentityProvider) -> AnyView {
    let setup = &provider.setup;
    let saved = use_query_map().get_untracked().get("saved").is_some();
    let change = if provider.from_file {
        view! {
            <p class="notice">"A file of the server sets this provider up; it is changed there, and read when the server starts."</p>
            {facts(&Typed::of(&provider.key, setup))}
        }
        .into_any()
    } else {
        let typed = typed().unwrap_or_else(|| Typed::of(&provider.key, setup));
        once_confirmed("change this provider", || form(Some(&provider.key), &typed))
    };
    let remove = (!provider.from_file).then(|| {
        let there = routes::remove_provider(provider.key.as_str());
        view! {
            <section class="panel card">
                <h2>"Remove this provider"</h2>
                <p>"Nobody signs in with it any more. Whoever is signed in stays so."</p>
                <p class="acts"><a class="button danger" href=there>"Remove provider"</a></p>
            </section>
        }
    });
    view! {
        <Title text=setup.label.clone() />
        <p class="crumbs"><a href=routes::PROVIDERS>"Identity providers"</a></p>
        <div class="head">
            <h1>{setup.label.clone()}</h1>
            {match setup.enabled {
                true => view! { <span class="tag green dot">"Enabled"</span> },
                false => view! { <span class="tag dot">"Disabled"</span> },
            }}
        </div>
        {saved.then(|| view! { <p class="notice done" role="status">"Saved. The provider answered, and is who it was said to be."</p> })}
        <section class="panel card">
            <h2>"To be registered with the provider"</h2>
            <dl class="facts">
                <dt>"Redirect URI"</dt><dd><code class="wrap">{provider.redirect_uri.clone()}</code></dd>
                <dt>"After signing out"</dt><dd><code class="wrap">{provider.post_logout_redirect_uri.clone()}</code></dd>
                <dt>"Back-channel logout"</dt><dd><code class="wrap">{provider.backchannel_logout_uri.clone()}</code></dd>
            </dl>
        </section>
        {change}
        {remove}
    }
    .into_any()
}

// What a file sets up, to be read.
fn facts(setup: &Typed) -> AnyView {
    let said = |yes: bool| if yes { "yes" } else { "no" };
    let or_none = |text: &str| match text {
        "" => "none".to_owned(),
        text => text.to_owned(),
    };
    view! {
        <section class="panel card" aria-label="Setup">
            <h2>"Setup"</h2>
            <dl class="facts">
                <dt>"Issuer"</dt><dd><code class="wrap">{setup.issuer.clone()}</code></dd>
                <dt>"Client id"</dt><dd><code class="wrap">{setup.client_id.clone()}</code></dd>
                <dt>"Client secret"</dt><dd><code class="wrap">{or_none(&setup.secret)}</code></dd>
                <dt>"Scopes"</dt><dd>{or_none(&setup.scopes)}</dd>
                <dt>"Rules"</dt><dd><code class="wrap">{or_none(&setup.rules)}</code></dd>
                <dt>"Signed in at most so many seconds ago"</dt><dd>{or_none(&setup.max_age_seconds)}</dd>
                <dt>"Ways of signing in"</dt><dd>{or_none(&setup.acr_values)}</dd>
                <dt>"Takes e-mails for verified"</dt><dd>{said(setup.trusts_emails)}</dd>
                <dt>"Signs out there, too"</dt><dd>{said(setup.signs_out)}</dd>
            </dl>
        </section>
    }
    .into_any()
}

// What stands in the fields: as it is stored, or as somebody has typed it.
struct Typed {
    key: String,
    label: String,
    issuer: String,
    client_id: String,
    secret: String,
    scopes: String,
    rules: String,
    max_age_seconds: String,
    acr_values: String,
    trusts_emails: bool,
    signs_out: bool,
    enabled: bool,
}

impl Typed {
    fn of(key: &ProviderKey, setup: &SaveProvider) -> Self {
        let seconds = setup.max_age_seconds;
        Self {
            key: key.to_string(),
            label: setup.label.clone(),
            issuer: setup.issuer.clone(),
            client_id: setup.client_id.clone(),
            secret: setup.secret.clone().unwrap_or_default(),
            scopes: setup.scopes.join(" "),
            rules: setup.rules.join("\n"),
            max_age_seconds: seconds.map_or_else(String::new, |seconds| seconds.to_string()),
            acr_values: setup.acr_values.join(" "),
            trusts_emails: setup.trusts_emails,
            signs_out: setup.signs_out,
            enabled: setup.enabled,
        }
    }
}

fn usual() -> Typed {
    Typed {
        key: String::new(),
        label: String::new(),
        issuer: String::new(),
        client_id: String::new(),
        secret: String::new(),
        scopes: "profile email".to_owned(),
        rules: String::new(),
        max_age_seconds: String::new(),
        acr_values: String::new(),
        trusts_emails: false,
        signs_out: true,
        enabled: true,
    }
}

// What was typed into a form that came back.
fn typed() -> Option<Typed> {
    let query = use_query_map().get_untracked();
    query.get("typed")?;
    let text = |name: &str| query.get(name).unwrap_or_default();
    let tick = |name: &str| query.get(name).is_some_and(|value| !value.is_empty());
    Some(Typed {
        key: text("key"),
        label: text("label"),
        issuer: text("issuer"),
        client_id: text("client_id"),
        secret: text("secret"),
        scopes: text("scopes"),
        rules: text("rules"),
        max_age_seconds: text("max_age_seconds"),
        acr_values: text("acr_values"),
        trusts_emails: tick("trusts_emails"),
        signs_out: tick("signs_out"),
        enabled: tick("enabled"),
    })
}

// The name of a field, as the server function takes it.
fn sent(name: &str) -> String {
    format!("provider[{name}]")
}

fn form(known: Option<&ProviderKey>, typed: &Typed) -> AnyView {
    let action = rpc::SaveProvider::url();
    let failure = rpc::failure(action);
    let wrong = |field: Field| {
        let (_, label) = FIELDS.into_iter().find(|(one, _)| *one == field)?;
        field_error(failure, field, label)
    };
    let other = failure.filter(|error| match error {
        Error::Invalid(field, _) => FIELDS.iter().all(|(one, _)| one != field),
        _ => true,
    });
    let line = |field: Field,
                label: &'static str,
                value: &str,
                required: bool,
                help: &'static str| {
        let name = field.as_str();
        let (wrong, id) = (wrong(field), format!("{name}-help"));
        view! {
            <div class="stack">
                <label for=name>{label}</label>
                <input id=name name=sent(name) value=value.to_owned() required=required maxlength="500" autocomplete="off" spellcheck="false"
                    autofocus=wrong.is_some() aria-invalid=wrong.is_some().then_some("true") aria-describedby=id.clone() />
                <span class="aside" id=id><span class="field-error">{wrong}</span>{help}</span>
            </div>
        }
    };
    let tick = |name: &'static str, ticked: bool, label: &'static str| {
        view! {
            <label class="check"><input type="checkbox" name=sent(name) checked=ticked />{label}</label>
        }
    };
    let key = match known {
        Some(key) => {
            view! { <input type="hidden" name=sent("key") value=key.to_string() /> }.into_any()
        }
        None => view! {
            <input type="hidden" name=sent("another") value="on" />
            {line(Field::Key, "Key", &typed.key, true, "Part of the addresses that the provider has to know, such as keycloak: small letters, digits and hyphens. It stays as it is.")}
        }
        .into_any(),
    };
    let rules_wrong = wrong(Field::Rules);
    view! {
        <section class="panel card" aria-label="Setup">
            <h2>"Setup"</h2>
            {other.map(refused)}
            <form method="post" action=action class="stack">
                {key}
                {line(Field::Label, "Label", &typed.label, true, "What the button on the sign-in page says: Sign in with …")}
                {line(Field::Issuer, "Issuer", &typed.issuer, true, "As the provider writes it, such as https://login.example.org/realms/staff. It is asked when you save.")}
                {line(Field::ClientId, "Client id", &typed.client_id, true, "What the provider knows this server as.")}
                {line(Field::Secret, "Client secret", &typed.secret, false, "Where the secret is, never the secret itself: file:NAME for a file in the server's folder of secrets, or env:ROLLCALL_SECRET_NAME. Empty for a client without one.")}
                {line(Field::Scopes, "Scopes", &typed.scopes, false, "Besides openid, with spaces between them.")}
                <div class="stack">
                    <label for="rules">"Rules"</label>
                    <textarea id="rules" name=sent("rules") rows="4" spellcheck="false" autocomplete="off"
                        aria-invalid=rules_wrong.is_some().then_some("true") aria-describedby="rules-help">{typed.rules.clone()}</textarea>
                    <span class="aside" id="rules-help">
                        <span class="field-error">{rules_wrong}</span>
                        "One a line; the first that fits somebody counts, and whom none fits is not let in. For example "
                        <code class="wrap">"domain=acme.io claim.groups=staff organisation=ID role=member create link"</code>
                        ": create makes users who are not there yet, link ties existing users by their verified e-mail."
                    </span>
                </div>
                {line(Field::MaxAge, "Signed in at most so many seconds ago", &typed.max_age_seconds, false, "Empty if it does not matter when they signed in there.")}
                {line(Field::AcrValues, "Ways of signing in", &typed.acr_values, false, "The acr values that are strong enough, with spaces between them. Empty if any way is.")}
                {tick("trusts_emails", typed.trusts_emails, "Take e-mails for verified, though the provider does not say so")}
                {tick("signs_out", typed.signs_out, "Who signs out here signs out there, too")}
                {tick("enabled", typed.enabled, "People can sign in with it")}
                <div class="acts">
                    <a class="button" href=routes::PROVIDERS>"Cancel"</a>
                    <button class="button primary">"Save"</button>
                </div>
            </form>
        </section>
    }
    .into_any()
}

pub(super) fn remove_page() -> AnyView {
    when_there(|| {
        let (key, backend) = (part("provider"), backend());
        async move {
            let key: ProviderKey = key.parse().map_err(|_| Error::NotFound)?;
            let provider = backend?.find_provider(key).await?;
            if provider.from_file {
                return Err(Error::NotFound);
            }
            Ok(ask(&provider))
        }
    })
}

fn ask(provider: &IdentityProvider) -> AnyView {
    let heading = format!("Remove {}?", provider.setup.label);
    let back = routes::below(routes::PROVIDERS, provider.key.as_str());
    view! {
        <Title text=heading.clone() />
        <section class="panel card">
            <h1>{heading}</h1>
            {failed(RemoveProvider::url())}
            <p>"Nobody signs in with it any more; users who have no password cannot sign in until they are given one. Whoever is signed in stays so."</p>
            <dl class="facts">
                <dt>"Issuer"</dt><dd><code class="wrap">{provider.setup.issuer.clone()}</code></dd>
            </dl>
            <form method="post" action=RemoveProvider::url() class="stack">
                <input type="hidden" name="key" value=provider.key.to_string() />
                <div class="acts">
                    <a class="button" href=back>"Cancel"</a>
                    <button class="button danger full">"Remove provider"</button>
                </div>
            </form>
        </section>
    }
    .into_any()
}
