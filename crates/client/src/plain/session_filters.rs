//! Every filter of the list of sessions, and those that somebody has saved.

use leptos::prelude::*;
use leptos::server_fn::ServerFn;
use leptos_meta::Title;
use rollcall_core::query::QueryError;
use rollcall_core::{
    Error, Kind, Method, Organisation, Permission, Role, SavedFilter, SessionQuery, State,
    filter_words, query,
};

use super::parts::{all, backend, failed, may, options, search, when_there};
use crate::routes;
use crate::rpc::{DeleteFilter, SaveFilter};

/// What the selects offer.
struct Offered {
    roles: Vec<Role>,
    organisations: Vec<Organisation>,
    saved: Vec<SavedFilter>,
}

pub(super) fn page() -> AnyView {
    when_there(|| {
        let (backend, views) = (backend(), may(Permission::SessionsView));
        let (users, organisations) = (
            may(Permission::UsersView),
            may(Permission::OrganisationsManage),
        );
        let text = search();
        async move {
            if !views {
                return Err(Error::Forbidden);
            }
            let backend = backend?;
            let offered = Offered {
                roles: match users {
                    true => backend.list_roles(all()).await?.items,
                    false => Vec::new(),
                },
                organisations: match organisations {
                    true => backend.list_organisations(all()).await?.items,
                    false => Vec::new(),
                },
                saved: backend.saved_filters().await?,
            };
            Ok(show(&text, offered))
        }
    })
}

/// What the form has, as it was sent.
struct Form {
    pairs: Vec<(String, String)>,
    wrong: Option<QueryError>,
}

impl Form {
    fn read(text: &str) -> Self {
        let pairs: Vec<_> = query::pairs(text)
            .unwrap_or_default()
            .into_iter()
            .filter(|(name, value)| name != "apply" && !value.trim().is_empty())
            .collect();
        let written: Vec<_> = pairs
            .iter()
            .map(|(name, value)| (name.as_str(), value.clone()))
            .collect();
        let wrong = SessionQuery::parse(&query::write(&written)).err();
        Self { pairs, wrong }
    }

    fn value(&self, name: &str) -> String {
        let found = self.pairs.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    }

    fn problem(&self, name: &str) -> Option<String> {
        let wrong = self
            .wrong
            .as_ref()
            .filter(|wrong| wrong.parameter == name)?;
        Some(format!("This {}.", wrong.problem))
    }

    /// A field to type into, with a line of help.
    fn text(&self, name: &'static str, label: &'static str, help: &'static str) -> AnyView {
        let problem = self.problem(name);
        let described = format!("{name}-help {name}-error");
        view! {
            <div class="stack">
                <label for=name>{label}</label>
                <input id=name name=name value=self.value(name) maxlength="254" autocomplete="off" spellcheck="false"
                    aria-describedby=described aria-invalid=problem.is_some().then_some("true") />
                <span class="aside" id=[name, "-help"].concat()>{help}</span>
                <span class="field-error" id=[name, "-error"].concat()>{problem}</span>
            </div>
        }
        .into_any()
    }

    /// A field to choose from.
    fn choice(
        &self,
        name: &'static str,
        label: &'static str,
        list: Vec<(String, String)>,
    ) -> AnyView {
        let (chosen, problem) = (self.value(name), self.problem(name));
        // What is not offered, such as the organisation of a link, is kept.
        let other = (!chosen.is_empty() && list.iter().all(|(value, _)| *value != chosen)).then(
            || view! { <option value=chosen.clone() selected=true>{chosen.clone()}</option> },
        );
        view! {
            <div class="stack">
                <label for=name>{label}</label>
                <select id=name name=name aria-describedby=[name, "-error"].concat()>
                    <option value="">"any"</option>
                    {options(list, &chosen)}
                    {other}
                </select>
                <span class="field-error" id=[name, "-error"].concat()>{problem}</span>
            </div>
        }
        .into_any()
    }
}

fn pairs<const N: usize>(list: [(&str, &str); N]) -> Vec<(String, String)> {
    list.map(|(value, label)| (value.to_owned(), label.to_owned()))
        .to_vec()
}

fn show(text: &str, offered: Offered) -> AnyView {
    let form = Form::read(text);
    // Of what has no field here the list would lose its order and its rows on a page.
    let kept = ["sort", "page_size"]
        .map(|name| (name, form.value(name)))
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| view! { <input type="hidden" name=name value=value /> })
        .collect_view();
    let other = form.wrong.as_ref().filter(|wrong| {
        let shown = rollcall_core::Conditions::NAMES.contains(&wrong.parameter.as_str());
        !shown && !["q", "state", "kind"].contains(&wrong.parameter.as_str())
    });
    let other = other.map(|wrong| format!("{} {}.", wrong.parameter, wrong.problem));
    let methods = Method::ALL.iter().map(|method| {
        let label = filter_words::method(*method);
        (method.as_str().to_owned(), label.to_owned())
    });
    let kinds = Kind::ALL
        .iter()
        .map(|kind| (kind.as_str().to_owned(), kind.as_str().to_owned()));
    let states = State::ALL
        .iter()
        .map(|state| (state.as_str().to_owned(), state.as_str().to_owned()));
    let roles = offered
        .roles
        .iter()
        .map(|role| (role.key.0.clone(), role.name.clone()));
    let organisations: Vec<_> = offered
        .organisations
        .iter()
        .map(|one| (one.id.to_string(), one.name.clone()))
        .collect();
    let organisation = (!organisations.is_empty() || !form.value("organisation").is_empty())
        .then(|| form.choice("organisation", "Organisation", organisations));
    let span = "A whole number and s, m, h or d, such as 30m, 12h or 7d";
    let back = match SessionQuery::parse(text.trim_start_matches('?')) {
        Ok(query) => routes::with_query(routes::SESSIONS, &query.to_query()),
        Err(_) => routes::SESSIONS.to_owned(),
    };
    view! {
        <Title text="Filters" />
        <p class="crumbs"><a href=back.clone()>"Sessions"</a></p>
        <div class="head"><h1>"Filters"</h1></div>
        {other.map(|words| view! { <p class="notice failed" role="alert">{words}</p> })}
        {failed(SaveFilter::url())}
        {failed(DeleteFilter::url())}
        <section class="panel card wide" aria-label="Filter sessions">
            <form method="get" action=routes::session_filters("") class="stack" role="search">
                <input type="hidden" name="apply" value="true" />
                {kept}
                <fieldset class="columns">
                    <legend>"Sessions"</legend>
                    {form.text("q", "Search", "Any part of an e-mail, an IP address or a session name")}
                    {form.choice("state", "State", states.collect())}
                    {form.choice("kind", "Kind", kinds.collect())}
                </fieldset>
                <fieldset class="columns">
                    <legend>"Who"</legend>
                    {form.text("user", "User", "An e-mail or a user id")}
                    {organisation}
                    {form.choice("role", "Role", roles.collect())}
                    {form.choice("service_account", "Accounts", pairs([("true", "Service accounts"), ("false", "People")]))}
                    {form.choice("several", "Sessions at once", pairs([("true", "Several"), ("false", "One at most")]))}
                </fieldset>
                <fieldset class="columns">
                    <legend>"Where from"</legend>
                    {form.text("ip", "IP address", "An address or a range: 192.0.2.7, 192.0.2.0/24, 2001:db8::/32")}
                    {form.choice("method", "Sign-in method", methods.collect())}
                    {form.text("browser", "Browser or program", "What its name begins with: Firefox, curl")}
                    {form.text("system", "System", "What its name begins with: Windows, iOS")}
                    {form.text("agent", "User agent", "Any part of it")}
                </fieldset>
                <fieldset class="columns">
                    <legend>"When"</legend>
                    {form.text("older_than", "Created longer ago than", span)}
                    {form.text("newer_than", "Created within", span)}
                    {form.text("idle_for", "Not used for", span)}
                </fieldset>
                <div class="acts">
                    <a class="button" href=back>"Cancel"</a>
                    <a class="button" href=routes::SESSIONS>"Clear all filters"</a>
                    <button class="button primary">"Show sessions"</button>
                </div>
            </form>
        </section>
        {save(&form, text)}
        {saved(offered.saved)}
    }
    .into_any()
}

/// Keeps what is shown under a name.
fn save(form: &Form, text: &str) -> Option<AnyView> {
    let query = SessionQuery::parse(text.trim_start_matches('?')).ok()?;
    if form.wrong.is_some() || query.to_query().is_empty() {
        return None;
    }
    Some(
        view! {
            <section class="panel card wide" aria-label="Save this filter">
                <h2>"Save this filter"</h2>
                <form method="post" action=SaveFilter::url() class="inline">
                    <input type="hidden" name="query" value=query.to_query() />
                    <label>"Name"<input name="name" maxlength="80" required autocomplete="off" /></label>
                    <button class="button">"Save"</button>
                </form>
            </section>
        }
        .into_any(),
    )
}

fn saved(filters: Vec<SavedFilter>) -> Option<AnyView> {
    if filters.is_empty() {
        return None;
    }
    let items = filters
        .into_iter()
        .map(|filter| {
            let there = routes::with_query(routes::SESSIONS, &filter.query);
            let label = format!("Delete {}", filter.name);
            view! {
                <li>
                    <a href=there>{filter.name}</a>
                    <form method="post" action=DeleteFilter::url()>
                        <input type="hidden" name="filter" value=filter.id.to_string() />
                        <button class="button plain danger" aria-label=label>"Delete"</button>
                    </form>
                </li>
            }
        })
        .collect_view();
    Some(
        view! {
            <section class="panel card wide" aria-label="Saved filters">
                <h2>"Saved filters"</h2>
                <ul class="saved">{items}</ul>
            </section>
        }
        .into_any(),
    )
}
