//! What users have to keep to: one form, in which an empty field means "as set more widely".

use leptos::prelude::*;
use leptos::server_fn::ServerFn;
use leptos_meta::Title;
use leptos_router::hooks::use_query_map;
use leptos_router::params::ParamsMap;
use rollcall_core::{BuiltInRole, Error, Permission, Policy, PolicySource, Reach, Rule, words};

use crate::app::use_surroundings;
use crate::components::error_view::{ErrorNotice, ErrorPage};
use crate::routes;
use crate::rpc::{self, SetPolicy};
use crate::ui::loading::Loaded;

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
const PASSWORDS: [Rule; 3] = [Rule::LockAfter, Rule::UnlockAfter, Rule::PasswordMinLength];

/// The policy page.
#[component]
pub(crate) fn PolicyPage() -> AnyView {
    let surroundings = use_surroundings();
    let viewer = surroundings.viewer;
    let may = viewer
        .as_ref()
        .is_some_and(|viewer| viewer.may(Permission::PolicyManage));
    if viewer.is_some() && !may {
        return view! { <ErrorPage error=Error::Forbidden /> }.into_any();
    }
    let everywhere = viewer
        .as_ref()
        .is_some_and(|viewer| viewer.reach == Reach::All);
    let home = StoredValue::new(viewer.map(|viewer| viewer.organisation));
    let query = use_query_map();
    let asked = move |name: &str| query.read().get(name).unwrap_or_default();
    let policy = rpc::load(
        move || (routes::policy(&asked("organisation"), &asked("role")), 0),
        move |_| rpc::policy(asked("organisation"), asked("role")),
    );
    let saved = move || asked("saved") == "true";
    let failure = rpc::failure(SetPolicy::url());
    let content = move || {
        let place = (asked("organisation"), asked("role"));
        let typed = query.get();
        let most = typed
            .get("values[most_sessions]")
            .and_then(|most| most.parse().ok());
        async move {
            let over = match most {
                Some(most) => rpc::preview_policy(place.0.clone(), place.1.clone(), most)
                    .await
                    .ok(),
                None => None,
            };
            match policy.await {
                Ok(policy) => form(&policy, place, everywhere, &typed, over),
                Err(error) => view! { <ErrorPage error=error.0 /> }.into_any(),
            }
        }
    };
    let places = move || {
        let (organisation, role) = (asked("organisation"), asked("role"));
        home.with_value(|home| {
            let home = home.as_ref()?;
            let own = home.id.to_string();
            let everybody = everywhere.then(|| {
                view! { <option value="" selected=organisation.is_empty()>"Everybody"</option> }
            });
            let roles = BuiltInRole::ALL
                .map(|known| view! { <option value=known.key() selected=role == known.key()>{known.name()}</option> })
                .collect_view();
            Some(view! {
                <form method="get" action=routes::POLICY class="inline">
                    <label>
                        "For "
                        <select name="organisation">
                            {everybody}
                            <option value=own.clone() selected=organisation == own>{home.name.clone()}</option>
                        </select>
                    </label>
                    <label>
                        "with the role "
                        <select name="role">
                            <option value="">"any"</option>
                            {roles}
                        </select>
                    </label>
                    <button class="button">"Show"</button>
                </form>
            })
        })
    };
    view! {
        <Title text="Policy" />
        <div class="head">
            <h1>"Policy"</h1>
            <span class="grow"></span>
            {places}
        </div>
        <p class="lead">"What users have to keep to. What is set for a role goes before its organisation, and that before everybody. Changes apply from the next sign-in on; what is open stays open."</p>
        {move || saved().then(|| view! { <p class="notice done" role="status">"Saved. It applies from the next sign-in on."</p> })}
        {failure.map(|error| view! { <ErrorNotice error /> })}
        <Loaded content />
    }
    .into_any()
}

fn form(
    policy: &Policy,
    (organisation, role): (String, String),
    everywhere: bool,
    typed: &ParamsMap,
    over: Option<u64>,
) -> AnyView {
    // What is set here, and not more widely or not at all, stands in the fields.
    let here = match (organisation.is_empty(), role.is_empty()) {
        (true, _) if everywhere => PolicySource::Installation,
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
    let (timeouts, limits, passwords) = (
        group("Timeouts", &TIMEOUTS),
        group("Limits", &LIMITS),
        group("Passwords", &PASSWORDS),
    );
    let told = over.map(|over| {
        let text = match over {
            0 => "Nobody has more sessions than that now.".to_owned(),
            1 => "One user has more sessions than that. None of them ends; the next sign-in follows the rule below.".to_owned(),
            many => format!(
                "{} users have more sessions than that. None of them ends; their next sign-in follows the rule below.",
                words::grouped(i64::try_from(many).unwrap_or(i64::MAX))
            ),
        };
        view! { <p class="warn" role="status">{text}</p> }
    });
    view! {
        <section class="panel card">
            <form method="post" action=SetPolicy::url() class="stack">
                <input type="hidden" name="organisation" value=organisation />
                <input type="hidden" name="role" value=role />
                {timeouts}
                {limits}
                {told}
                {passwords}
                <div class="acts">
                    <button class="button" formmethod="get" formaction=routes::POLICY>"What would happen?"</button>
                    <button class="button primary">"Save"</button>
                </div>
            </form>
        </section>
    }
    .into_any()
}

fn field(policy: &Policy, rule: Rule, here: &PolicySource, typed: &ParamsMap) -> AnyView {
    let Some(entry) = policy.0.iter().find(|entry| entry.rule == rule) else {
        return ().into_any();
    };
    let own = entry.source == *here;
    let name = format!("values[{}]", rule.as_str());
    let source = match entry.source {
        PolicySource::Server => "the server's own value",
        PolicySource::Installation => "set for everybody",
        PolicySource::Organisation => "set for the organisation",
        PolicySource::Role => "set for the role",
    };
    let now = format!("Now {}: {source}.", shown(rule, entry.value));
    // What was typed and not saved stands there again.
    let value = match typed.get(&name) {
        Some(typed) => typed.parse().ok(),
        None => own.then_some(entry.value),
    };
    let control = match choices(rule) {
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

fn label(rule: Rule) -> &'static str {
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
        | Rule::KeepAbsoluteTimeout => words::span(i64::from(value)),
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
