//! What users have to keep to: one form, in which an empty field means "as set more widely".

use std::collections::BTreeMap;

use leptos::prelude::*;
use leptos::server_fn::ServerFn;
use leptos_meta::Title;
use leptos_router::hooks::use_query_map;
use leptos_router::params::ParamsMap;
use rollcall_core::{
    BuiltInRole, Error, Permission, Policy, PolicyPreview, PolicySource, Role, Rule,
    SessionsBeyond, words,
};

use super::parts::{all, backend, counted, failed, may, options, refused, sees_all, when_there};
use super::reauthenticate::{ask, is_due};
use crate::app::use_surroundings;
use crate::routes;
use crate::rpc::{self, SetPolicy};

const TIMEOUTS: [Rule; 4] = [
    Rule::IdleTimeout,
    Rule::AbsoluteTimeout,
    Rule::KeepIdleTimeout,
    Rule::KeepAbsoluteTimeout,
];
const LIMITS: [Rule; 4] = [
    Rule::MostSessions,
    Rule::WhenFull,
    Rule::OneAddress,
    Rule::ExemptServiceAccounts,
];
const PASSWORDS: [Rule; 4] = [
    Rule::LockAfter,
    Rule::UnlockAfter,
    Rule::FailureLimit,
    Rule::PasswordMinLength,
];
const KEEPING: [Rule; 1] = [Rule::Retention];

/// Whose policy is asked for: empty for what is not named.
struct Asked {
    organisation: String,
    role: String,
}

/// Who can be asked about.
struct Choices {
    organisations: Vec<(String, String)>,
    roles: Vec<(String, String)>,
}

pub(super) fn page() -> AnyView {
    when_there(|| {
        let typed = use_query_map().get_untracked();
        let part = |name: &str| typed.get(name).unwrap_or_default();
        let asked = Asked {
            organisation: part("organisation"),
            role: part("role"),
        };
        // Whoever saved what was tried has been told why it cannot be.
        let told = rpc::failure(SetPolicy::url()).is_some();
        let tried = tried(&typed).filter(|_| !told);
        let (backend, manages) = (backend(), may(Permission::PolicyManage));
        let (everywhere, home) = (sees_all(), use_surroundings().viewer);
        async move {
            let Some(home) = home.filter(|_| manages) else {
                return Err(Error::Forbidden);
            };
            let backend = backend?;
            let organisations = match everywhere {
                true => {
                    let all = backend.list_organisations(all()).await?.items;
                    all.into_iter()
                        .map(|home| (home.id.to_string(), home.name))
                        .collect()
                }
                false => vec![(home.organisation.id.to_string(), home.organisation.name)],
            };
            let roles = match home.permissions.has(Permission::UsersView) {
                true => backend.list_roles(all()).await?.items,
                false => Vec::new(),
            };
            let choices = Choices {
                organisations,
                roles: offered(roles, &asked.organisation),
            };
            let place =
                rpc::place(&asked.organisation, asked.role.clone()).map_err(|error| error.0)?;
            // A role of everybody would be one of several organisations.
            if everywhere && place.organisation.is_none() && place.role.is_some() {
                let notice = view! { <p class="notice failed" role="alert">"Choose an organisation too: a role is looked at inside one."</p> };
                return Ok(frame(&asked, choices, notice.into_any()));
            }
            let preview = match tried {
                None => None,
                Some(Err(error)) => Some(Err(error)),
                Some(Ok(values)) => match backend.preview_policy(place.clone(), values).await {
                    Err(error @ Error::Invalid(..)) => Some(Err(error)),
                    answer => Some(Ok(answer?)),
                },
            };
            let policy = backend.policy(place).await?;
            Ok(show(&policy, asked, choices, &typed, preview))
        }
    })
}

/// What would happen, or why that cannot be said.
type Preview = Result<PolicyPreview, Error>;

/// Values to be set, or why they make no sense.
type Values = Result<Vec<(Rule, Option<u32>)>, Error>;

// The values that somebody wants to know more about; `None` where nobody asked.
fn tried(typed: &ParamsMap) -> Option<Values> {
    let values: BTreeMap<_, _> = Rule::ALL
        .iter()
        .filter_map(|rule| {
            let value = typed.get(&field_name(*rule))?;
            Some((rule.as_str().to_owned(), value))
        })
        .collect();
    (!values.is_empty()).then(|| rpc::policy_values(&values).map_err(|error| error.0))
}

// Built-in roles, and those of the organisation; every own one where none is named yet.
fn offered(roles: Vec<Role>, organisation: &str) -> Vec<(String, String)> {
    if roles.is_empty() {
        return BuiltInRole::ALL
            .map(|role| (role.key().to_owned(), role.name().to_owned()))
            .to_vec();
    }
    roles
        .into_iter()
        .filter(|role| {
            let home = role.organisation.as_ref();
            home.is_none_or(|home| organisation.is_empty() || home.id.to_string() == organisation)
        })
        .map(|role| (role.key.0, role.name))
        .collect()
}

fn show(
    policy: &Policy,
    asked: Asked,
    choices: Choices,
    typed: &ParamsMap,
    preview: Option<Preview>,
) -> AnyView {
    let saved = (typed.get("saved").as_deref() == Some("true")).then(|| {
        view! { <p class="notice done" role="status">"Saved. It applies from the next sign-in on."</p> }
    });
    let content = view! {
        {saved}
        {failed(SetPolicy::url())}
        {preview.map(|preview| would_happen(preview, &asked))}
        {is_due().then(|| ask("change what users have to keep to"))}
        {form(policy, &asked, typed)}
    };
    frame(&asked, choices, content.into_any())
}

fn frame(asked: &Asked, choices: Choices, content: AnyView) -> AnyView {
    view! {
        <Title text="Policy" />
        <div class="head">
            <h1>"Policy"</h1>
            <span class="grow"></span>
            {places(asked, choices)}
        </div>
        <p class="lead">"What users have to keep to. What is set for a role goes before its organisation, and that before everybody. Changes apply from the next sign-in on; what is open stays open."</p>
        {content}
    }
    .into_any()
}

fn places(asked: &Asked, choices: Choices) -> AnyView {
    let everybody = sees_all().then(|| (String::new(), "Everybody".to_owned()));
    let organisations = everybody.into_iter().chain(choices.organisations).collect();
    let any = [(String::new(), "any".to_owned())].into_iter();
    let roles = any.chain(choices.roles).collect();
    view! {
        <form method="get" action=routes::POLICY class="inline">
            <label>"For "<select name="organisation">{options(organisations, &asked.organisation)}</select></label>
            <label>"with the role "<select name="role">{options(roles, &asked.role)}</select></label>
            <button class="button">"Show"</button>
        </form>
    }
    .into_any()
}

// What a change would mean for what is open, with where it can be seen and ended.
fn would_happen(preview: Preview, asked: &Asked) -> AnyView {
    let preview = match preview {
        Ok(preview) => preview,
        Err(error) => return refused(error),
    };
    let users = (preview.users_over_the_limit > 0).then(|| {
        let who = counted(preview.users_over_the_limit, "user has", "users have");
        let what = "more sessions than that. The next sign-in follows the rule for one more.";
        view! { <li>{format!("{who} {what}")}</li> }
    });
    let beyond: Vec<_> = preview
        .sessions_beyond
        .iter()
        .filter(|(_, beyond)| beyond.sessions > 0)
        .map(|(rule, beyond)| beyond_timeout(*rule, *beyond, asked))
        .collect();
    let lead = match users.is_none() && beyond.is_empty() {
        true => {
            "Nothing was saved yet. Nobody has more sessions than that, and no open session is beyond these timeouts."
        }
        false => {
            "Nothing was saved yet, and no open session would end: each keeps the timeouts it began with."
        }
    };
    view! {
        <div class="notice" role="status" aria-label="What would happen">
            <p>{lead}</p>
            <ul>{users}{beyond}</ul>
        </div>
    }
    .into_any()
}

fn beyond_timeout(rule: Rule, beyond: SessionsBeyond, asked: &Asked) -> AnyView {
    let span = words::span(i64::from(beyond.seconds));
    let idle = rule.timeout().is_some_and(|timeout| timeout.idle);
    let kept = rule.timeout().is_some_and(|timeout| timeout.keep);
    let which = if kept { "kept session" } else { "session" };
    let (has, have) = if idle {
        ("has not been used for", "have not been used for")
    } else {
        ("is older than", "are older than")
    };
    let text = counted(
        beyond.sessions,
        &format!("{which} {has}"),
        &format!("{which}s {have}"),
    );
    let filter = if idle { "idle_for" } else { "older_than" };
    let there = routes::active_sessions(&[
        (filter, format!("{}s", beyond.seconds)),
        ("organisation", asked.organisation.clone()),
        ("role", asked.role.clone()),
    ]);
    view! { <li>{format!("{text} {span}. ")}<a href=there>"See such sessions, and end them there"</a>"."</li> }
        .into_any()
}

fn form(policy: &Policy, asked: &Asked, typed: &ParamsMap) -> AnyView {
    let (organisation, role) = (asked.organisation.clone(), asked.role.clone());
    // What is set here, and not more widely or not at all, stands in the fields.
    let here = match (organisation.is_empty(), role.is_empty()) {
        (true, _) if sees_all() => PolicySource::Installation,
        (_, true) => PolicySource::Organisation,
        (_, false) => PolicySource::Role,
    };
    let group = |heading: &'static str, rules: &[Rule]| {
        let fields = rules
            .iter()
            .map(|rule| field(policy, *rule, &here, typed))
            .collect_view();
        view! { <fieldset class="stack"><legend>{heading}</legend>{fields}</fieldset> }
    };
    let (timeouts, limits, passwords, keeping) = (
        group("Timeouts", &TIMEOUTS),
        group("Limits", &LIMITS),
        group("Passwords", &PASSWORDS),
        group("Keeping", &KEEPING),
    );
    view! {
        <section class="panel card broad">
            <form method="post" action=SetPolicy::url() class="stack">
                <input type="hidden" name="organisation" value=organisation />
                <input type="hidden" name="role" value=role />
                {timeouts}
                {limits}
                {passwords}
                {keeping}
                <div class="acts">
                    <button class="button" formmethod="get" formaction=routes::POLICY>"What would happen?"</button>
                    {(!is_due()).then(|| view! { <button class="button primary">"Save"</button> })}
                </div>
            </form>
        </section>
    }
    .into_any()
}

/// What applies to one user, and where each value comes from.
pub(super) fn applies(policy: &Policy) -> AnyView {
    let rows = TIMEOUTS
        .iter()
        .chain(&LIMITS)
        .chain(&PASSWORDS)
        .chain(&KEEPING);
    let rows = rows
        .filter_map(|rule| policy.0.iter().find(|entry| entry.rule == *rule))
        .map(|entry| {
            let value = shown(entry.rule, entry.value);
            let value = value.trim_matches(['\u{201c}', '\u{201d}']).to_owned();
            let from = format!(" ({})", source(&entry.source));
            view! { <dt>{name(entry.rule)}</dt><dd>{value}<span class="aside">{from}</span></dd> }
        })
        .collect_view();
    view! {
        <section class="panel" aria-label="Policy of this user">
            <div class="bar"><h2>"Policy"</h2><span class="aside">"What the next sign-in has to keep to, and where each value is set."</span></div>
            <dl class="details">{rows}</dl>
        </section>
    }
    .into_any()
}

fn name(rule: Rule) -> &'static str {
    match rule {
        Rule::IdleTimeout => "Ends without use after",
        Rule::AbsoluteTimeout => "Ends in any case after",
        Rule::KeepIdleTimeout => "Kept: without use after",
        Rule::KeepAbsoluteTimeout => "Kept: in any case after",
        Rule::MostSessions => "Sessions at once",
        Rule::WhenFull => "One more",
        Rule::OneAddress => "One address only",
        Rule::ExemptServiceAccounts => "Service accounts exempt",
        Rule::LockAfter => "Wrong passwords to a lock",
        Rule::UnlockAfter => "Lock opens after",
        Rule::PasswordMinLength => "Characters of a password",
        Rule::FailureLimit => "Failures of an address to a wait",
        Rule::Retention => "Ended sessions are kept for",
    }
}

fn source(source: &PolicySource) -> &'static str {
    match source {
        PolicySource::Server => "the server's own value",
        PolicySource::Installation => "set for everybody",
        PolicySource::Organisation => "set for the organisation",
        PolicySource::Role => "set for the role",
    }
}

fn field(policy: &Policy, rule: Rule, here: &PolicySource, typed: &ParamsMap) -> AnyView {
    let Some(entry) = policy.0.iter().find(|entry| entry.rule == rule) else {
        return ().into_any();
    };
    let own = entry.source == *here;
    let name = field_name(rule);
    let now = format!(
        "Now {}: {}.",
        shown(rule, entry.value),
        source(&entry.source)
    );
    // What was typed and not saved stands there again.
    let value = match typed.get(&name) {
        Some(typed) => typed.parse().ok(),
        None => own.then_some(entry.value),
    };
    let fixed = rule.is_for_everybody() && *here != PolicySource::Installation;
    let control = match choices(rule) {
        _ if fixed => ().into_any(),
        Some(choices) => {
            let options = choices
                .iter()
                .zip(0_u32..)
                .map(|(words, number)| view! { <option value=number.to_string() selected=value == Some(number)>{*words}</option> })
                .collect_view();
            view! { <select name=name><option value="">"As set more widely"</option>{options}</select> }.into_any()
        }
        None => {
            let (least, most) = rule.range();
            view! {
                <input type="number" name=name min=least.to_string() max=most.to_string() inputmode="numeric"
                    value=value.map(|value| value.to_string()) placeholder=entry.value.to_string() />
            }
            .into_any()
        }
    };
    view! {
        <label class="stack">
            {label(rule)}
            {control}
            <small class="aside">{now}</small>
        </label>
    }
    .into_any()
}

fn field_name(rule: Rule) -> String {
    format!("values[{}]", rule.as_str())
}

/// What the field of a rule says.
pub(super) fn label(rule: Rule) -> &'static str {
    match rule {
        Rule::IdleTimeout => "A session ends after so many seconds without use",
        Rule::AbsoluteTimeout => "It ends in any case after so many seconds",
        Rule::KeepIdleTimeout => "Without use, where one asked to stay signed in (seconds)",
        Rule::KeepAbsoluteTimeout => "In any case, where one asked to stay signed in (seconds)",
        Rule::MostSessions => "Sessions that a user may have at once (0: any number)",
        Rule::WhenFull => "What becomes of one more",
        Rule::OneAddress => "All sessions of a user must come from one address",
        Rule::ExemptServiceAccounts => "Service accounts need not keep to these limits",
        Rule::LockAfter => "So many wrong passwords in a row lock an account",
        Rule::UnlockAfter => "A lock opens by itself after so many seconds (0: never)",
        Rule::PasswordMinLength => "A new password has at least so many characters",
        Rule::FailureLimit => {
            "So many failed sign-ins from one address, and it has to wait (for everybody only)"
        }
        Rule::Retention => "Ended sessions are kept and counted for so many seconds",
    }
}

fn choices(rule: Rule) -> Option<&'static [&'static str]> {
    match rule {
        Rule::OneAddress | Rule::ExemptServiceAccounts => Some(&["No", "Yes"]),
        Rule::WhenFull => Some(&[
            "It is refused",
            "The session that was not used for the longest time ends",
            "The user says which one ends",
        ]),
        _ => None,
    }
}

fn shown(rule: Rule, value: u32) -> String {
    if let Some(words) = choices(rule).and_then(|words| words.get(value as usize)) {
        return format!("\u{201c}{words}\u{201d}");
    }
    match rule {
        Rule::IdleTimeout
        | Rule::AbsoluteTimeout
        | Rule::KeepIdleTimeout
        | Rule::KeepAbsoluteTimeout
        | Rule::Retention => words::span(i64::from(value)),
        Rule::UnlockAfter if value == 0 => "never".to_owned(),
        Rule::UnlockAfter => words::span(i64::from(value)),
        Rule::MostSessions if value == 0 => "any number".to_owned(),
        _ => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use rollcall_core::WhenFull;

    use super::*;

    #[test]
    fn every_rule_has_a_field_and_every_choice_its_words() {
        let fields: Vec<_> = TIMEOUTS
            .iter()
            .chain(&LIMITS)
            .chain(&PASSWORDS)
            .chain(&KEEPING)
            .copied()
            .collect();
        assert_eq!(fields.len(), Rule::ALL.len());
        assert!(Rule::ALL.iter().all(|rule| fields.contains(rule)));
        assert_eq!(
            choices(Rule::WhenFull).map(<[_]>::len),
            Some(WhenFull::ALL.len())
        );
    }
}
