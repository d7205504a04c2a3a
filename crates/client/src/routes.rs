//! Where every page is: the one place that builds a path.

use rollcall_core::{PageSize, ShownQuery, query};

/// Signing in.
pub const SIGN_IN: &str = "/sign-in";
/// Where a user chooses what ends to make room.
#[cfg(feature = "ssr")]
pub const CHOOSE_SESSIONS: &str = "/sign-in/choose";
/// The dashboard.
pub const SESSIONS: &str = "/sessions";
/// What users have to keep to.
pub const POLICY: &str = "/policy";
/// The audit trail.
pub const AUDIT: &str = "/audit";
/// Users.
pub const USERS: &str = "/users";
/// The accounts that wrong passwords have locked.
pub const LOCKED: &str = "/users/locked";
/// Creating a user.
#[cfg(feature = "ssr")]
pub const NEW_USER: &str = "/users/new";
/// Registered clients.
pub const CLIENTS: &str = "/clients";
/// Roles.
pub const ROLES: &str = "/roles";
/// Making a role.
#[cfg(feature = "ssr")]
pub const NEW_ROLE: &str = "/roles/new";
/// Organisations.
pub const ORGANISATIONS: &str = "/organisations";
/// The confirmation before every session of the installation ends.
#[cfg(feature = "ssr")]
pub const END_EVERYTHING: &str = "/organisations/end-all";
/// My Sessions.
pub const MY_SESSIONS: &str = "/account/sessions";
/// Password and time zone.
pub const SECURITY: &str = "/account/security";
/// API keys.
#[cfg(feature = "ssr")]
pub const KEYS: &str = "/account/keys";
/// The same, right after the password was changed.
#[cfg(feature = "ssr")]
pub const SECURITY_CHANGED: &str = "/account/security?changed=password";
/// One's own sign-ins from new places.
pub const NOTICES: &str = "/account/notices";
/// Where a link of a mail leads that sets a password; alone, right after it was set.
#[cfg(feature = "ssr")]
pub const RESET_PASSWORD: &str = "/reset-password";
/// The same, right after somebody has asked for a link.
#[cfg(feature = "ssr")]
pub const PASSWORD_ASKED: &str = "/forgot-password?asked=true";
/// The notices right after one was disowned.
#[cfg(feature = "ssr")]
pub const NOTICE_DISOWNED: &str = "/account/notices?disowned=true";
/// What to do without the password.
pub const FORGOT_PASSWORD: &str = "/forgot-password";
/// What to do when something does not work; served outside the router.
pub const TROUBLESHOOTING: &str = "/help/troubleshooting";

/// The dashboard with these filters, this order and this page.
pub fn sessions(query: &ShownQuery) -> String {
    with_query(SESSIONS, &query.to_query())
}

/// A list with a query of its own.
pub fn with_query(path: &str, query: &str) -> String {
    if query.is_empty() {
        path.to_owned()
    } else {
        format!("{path}?{query}")
    }
}

/// Where a list of sessions gets its filters.
pub fn session_filters(query: &str) -> String {
    with_query("/sessions/filters", query)
}

/// Where the columns of the list are chosen.
pub const SESSION_COLUMNS: &str = "/sessions/columns";

/// All sessions of a user, or from an address: `name` is that of a filter.
pub fn sessions_with(name: &str, value: &str) -> String {
    [SESSIONS, "?", name, "=", &query::encode(value)].concat()
}

/// One session.
pub fn session(id: &str) -> String {
    format!("{SESSIONS}/{}", query::encode(id))
}

/// The page of keys right after one was made.
#[cfg(feature = "ssr")]
pub fn key_made(id: &str) -> String {
    format!("{KEYS}?made={}", query::encode(id))
}

/// One user.
#[cfg(feature = "ssr")]
pub fn user(id: &str) -> String {
    below(USERS, id)
}

/// Where a link leads that reports a sign-in.
#[cfg(feature = "ssr")]
pub fn report(link: &str) -> String {
    format!("/not-me/{}", query::encode(link))
}

/// The confirmation before something is done to a user: `disable`, `delete`, `reset` or `end`.
#[cfg(feature = "ssr")]
pub fn user_act(id: &str, act: &str) -> String {
    format!("{USERS}/{}/{act}", query::encode(id))
}

/// The confirmation before something is done to a client: `disconnect` or `remove`.
#[cfg(feature = "ssr")]
pub fn client_act(id: &str, act: &str) -> String {
    format!("{CLIENTS}/{}/{act}", query::encode(id))
}

/// What a force logout has stopped.
#[cfg(feature = "ssr")]
pub fn logged_out(user: &str, act: &str) -> String {
    format!(
        "{USERS}/{}/logged-out?act={}",
        query::encode(user),
        query::encode(act)
    )
}

/// The confirmation before something is done to an organisation: `disable` or `end`.
#[cfg(feature = "ssr")]
pub fn organisation_act(id: &str, act: &str) -> String {
    format!("{ORGANISATIONS}/{}/{act}", query::encode(id))
}

/// What lies below a list.
#[cfg(feature = "ssr")]
pub fn below(path: &str, id: &str) -> String {
    format!("{path}/{}", query::encode(id))
}

/// The confirmation before ending one session.
pub fn end_session(id: &str) -> String {
    format!("{SESSIONS}/{}/end", query::encode(id))
}

/// The confirmation before ending many, and how far that has come.
#[cfg(feature = "ssr")]
pub fn end_many(id: &str) -> String {
    format!("{SESSIONS}/ending/{}", query::encode(id))
}

/// The dashboard with active sessions for which all of this holds; what is empty is left out.
#[cfg(feature = "ssr")]
pub fn active_sessions(filters: &[(&'static str, String)]) -> String {
    let mut pairs = vec![("state", "active".to_owned())];
    pairs.extend(
        filters
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .cloned(),
    );
    with_query(SESSIONS, &query::write(&pairs))
}

/// What users of an organisation and a role have to keep to.
#[cfg(feature = "ssr")]
pub fn policy(organisation: &str, role: &str) -> String {
    let pairs = [
        ("organisation", organisation.to_owned()),
        ("role", role.to_owned()),
    ];
    let named: Vec<_> = pairs
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .collect();
    with_query(POLICY, &query::write(&named))
}

/// The same, right after it was saved.
#[cfg(feature = "ssr")]
pub fn policy_saved(organisation: &str, role: &str) -> String {
    let there = policy(organisation, role);
    let joint = if there.contains('?') { '&' } else { '?' };
    format!("{there}{joint}saved=true")
}

/// The confirmation before ending one of one's own sessions.
pub fn end_own_session(id: &str) -> String {
    format!("{MY_SESSIONS}/{}/end", query::encode(id))
}

/// Where one of one's own sessions gets another name.
pub fn rename_own_session(id: &str) -> String {
    format!("{MY_SESSIONS}/{}/rename", query::encode(id))
}

/// A query without its page and the rows on it.
pub fn without_page(text: &str) -> String {
    without(text, &["page=", "page_size="])
}

/// A page of a list, whose query has none yet.
pub fn page_of(path: &str, query: &str, page: u32, page_size: u32) -> String {
    let mut pairs = Vec::new();
    if page > 1 {
        pairs.push(("page", page.to_string()));
    }
    if page_size != PageSize::default().get() {
        pairs.push(("page_size", page_size.to_string()));
    }
    let paging = query::write(&pairs);
    let joint = if query.is_empty() || paging.is_empty() {
        ""
    } else {
        "&"
    };
    with_query(path, &[query, joint, &paging].concat())
}

/// The file that holds what a list shows, all pages of it. It has an order of its own.
pub fn export(path: &str, text: &str, format: &str) -> String {
    let start = format!("/api/v1{path}/export?format={format}");
    match without(text, &["page=", "page_size=", "sort="]) {
        rest if rest.is_empty() => start,
        rest => format!("{start}&{rest}"),
    }
}

fn without(text: &str, names: &[&str]) -> String {
    let kept = |pair: &&str| !names.iter().any(|name| pair.starts_with(name));
    text.split('&').filter(kept).collect::<Vec<_>>().join("&")
}

/// The confirmation before ending the other sessions, or all.
pub fn end_own_sessions(scope: &str) -> String {
    format!("{MY_SESSIONS}/end?scope={scope}")
}

/// Signing in, to come back to `next`.
pub fn sign_in_for(next: &str) -> String {
    format!("{SIGN_IN}?next={}", query::encode(next))
}

/// Where a browser goes that has signed out: on to the provider that the session began with, to sign out there, too.
#[cfg(feature = "ssr")]
pub fn signed_out(provider: Option<&rollcall_core::ProviderKey>) -> String {
    match provider {
        Some(key) => format!("/auth/leave/{key}"),
        None => SIGN_IN.to_owned(),
    }
}

/// What is told elsewhere, and where people sign in from.
pub const INTEGRATIONS: &str = "/integrations";

/// The receivers, each below this.
#[cfg(feature = "ssr")]
pub const RECEIVERS: &str = "/integrations/receivers";

/// Making another one.
#[cfg(feature = "ssr")]
pub const NEW_RECEIVER: &str = "/integrations/receivers/new";

/// The confirmation before something is done to a receiver: `remove`.
#[cfg(feature = "ssr")]
pub fn receiver_act(id: &str, act: &str) -> String {
    format!("{RECEIVERS}/{}/{act}", query::encode(id))
}

/// What receivers were told, and what waits.
#[cfg(feature = "ssr")]
pub const DELIVERIES: &str = "/integrations/deliveries";

/// The identity providers.
#[cfg(feature = "ssr")]
pub const PROVIDERS: &str = "/integrations/providers";

/// Setting up another one.
#[cfg(feature = "ssr")]
pub const NEW_PROVIDER: &str = "/integrations/new-provider";

/// Before an identity provider is removed.
#[cfg(feature = "ssr")]
pub fn remove_provider(key: &str) -> String {
    format!("{PROVIDERS}/{}/remove", query::encode(key))
}

/// Choosing what ends to make room for a sign-in that goes on to `next`.
#[cfg(feature = "ssr")]
pub fn choose_sessions(next: Option<&str>) -> String {
    match own_path(next) {
        "/" => CHOOSE_SESSIONS.to_owned(),
        next => format!("{CHOOSE_SESSIONS}?next={}", query::encode(next)),
    }
}

/// `next`, if it is a path of ours: one leading slash, no second slash or backslash after it, nothing
/// that a browser would drop; else the start page.
#[cfg(feature = "ssr")]
pub fn own_path(next: Option<&str>) -> &str {
    match next {
        Some(next)
            if next.starts_with('/')
                && !next.starts_with("//")
                && !next.contains('\\')
                && next.bytes().all(|byte| byte.is_ascii_graphic()) =>
        {
            next
        }
        _ => "/",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_the_filters_of_its_list_and_neither_order_nor_page() {
        assert_eq!(
            export(
                "/sessions",
                "q=a%26page%3D2&sort=-name&page=3&page_size=20",
                "csv"
            ),
            "/api/v1/sessions/export?format=csv&q=a%26page%3D2"
        );
        assert_eq!(
            export("/audit", "", "ndjson"),
            "/api/v1/audit/export?format=ndjson"
        );
    }

    #[test]
    fn a_page_has_the_address_that_its_query_writes() {
        let query = ShownQuery::parse("q=a%26b&sort=-name&page=3&page_size=20").unwrap();
        let rest = without_page(&query.to_query());
        assert_eq!(page_of(SESSIONS, &rest, 3, 20), sessions(&query));
        assert_eq!(
            page_of(SESSIONS, &rest, 1, 10),
            "/sessions?q=a%26b&sort=-name"
        );
        assert_eq!(
            page_of(SESSIONS, &without_page("page=3"), 1, 10),
            "/sessions"
        );
    }

    #[test]
    fn only_our_own_paths_are_followed() {
        for (next, followed) in [
            (Some("/sessions?q=a"), "/sessions?q=a"),
            (Some("//evil.example"), "/"),
            (Some("/\\evil.example"), "/"),
            (Some("/\t/evil.example"), "/"),
            (Some("https://evil.example"), "/"),
            (None, "/"),
        ] {
            assert_eq!(own_path(next), followed, "{next:?}");
        }
    }
}
