//! Rules of an identity provider: who of those that it vouches for may come in, where and as what.

use rollcall_core::{BuiltInRole, OrganisationId, RoleKey};
use serde_json::{Map, Value};

const HOW_TO_WRITE: &str = "write conditions and what follows from them, such as `domain=acme.io claim.groups=staff organisation=ID role=member create`";

/// One rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PlacingRule {
    /// The part of the e-mail after the `@`, in lower case.
    domain: Option<String>,
    /// Claims that must have a value, or have it among theirs.
    claims: Vec<(String, String)>,
    /// What follows.
    pub place: Place,
}

/// Where somebody belongs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// The organisation.
    pub organisation: OrganisationId,
    /// The role of a user that is made.
    pub role: RoleKey,
    /// Whether a user is made where there is none.
    pub create: bool,
    /// Whether the organisation's user with the same e-mail is theirs from now on.
    pub link: bool,
}

impl PlacingRule {
    /// The names of the claims that it asks about.
    pub fn claims(&self) -> impl Iterator<Item = &str> {
        self.claims.iter().map(|(name, _)| name.as_str())
    }

    /// Whether it speaks of somebody with this e-mail, if that is verified, and these claims.
    pub fn fits(&self, email: Option<&str>, claims: &Map<String, Value>) -> bool {
        let domain = email.and_then(|email| email.rsplit_once('@'));
        let in_domain = match &self.domain {
            None => true,
            Some(wanted) => domain.is_some_and(|(_, domain)| domain == wanted),
        };
        in_domain
            && self
                .claims
                .iter()
                .all(|(name, value)| claims.get(name).is_some_and(|claim| says(claim, value)))
    }
}

// Groups are mostly lists, `true` and numbers are compared as they are written.
fn says(claim: &Value, wanted: &str) -> bool {
    match claim {
        Value::Array(list) => list.iter().any(|one| !one.is_array() && says(one, wanted)),
        Value::String(text) => text == wanted,
        Value::Bool(said) => said.to_string() == wanted,
        Value::Number(said) => said.to_string() == wanted,
        Value::Null | Value::Object(_) => false,
    }
}

/// Reads one rule: `[domain=NAME] [claim.NAME=VALUE …] organisation=ID [role=KEY] [create] [link]`.
///
/// # Errors
/// In words.
pub fn rule(text: &str) -> Result<PlacingRule, String> {
    let (mut domain, mut claims, mut organisation, mut role) = (None, Vec::new(), None, None);
    let (mut create, mut link) = (false, false);
    let once = |given: bool, name: &str| match given {
        true => Err(format!("`{name}` is given twice")),
        false => Ok(()),
    };
    for word in text.split_whitespace() {
        match word.split_once('=') {
            None if word == "create" => create = true,
            None if word == "link" => link = true,
            Some(("domain", name)) if is_domain(name) => {
                once(domain.is_some(), "domain")?;
                domain = Some(name.to_ascii_lowercase());
            }
            Some(("organisation", id)) => {
                once(organisation.is_some(), "organisation")?;
                let id: OrganisationId = id
                    .parse()
                    .map_err(|_| format!("`{id}` is no id of an organisation"))?;
                organisation = Some(id);
            }
            Some(("role", key)) => {
                once(role.is_some(), "role")?;
                let key: RoleKey = key
                    .parse()
                    .map_err(|_| format!("`{key}` is no key of a role; its page shows it"))?;
                // Nobody elsewhere makes somebody who may do everything.
                if key.0 == BuiltInRole::PlatformAdministrator.key() {
                    return Err(format!("`{key}` is given here and by nobody else"));
                }
                role = Some(key);
            }
            Some((name, value)) => match name.strip_prefix("claim.") {
                Some(name) if !name.is_empty() && !value.is_empty() => {
                    claims.push((name.to_owned(), value.to_owned()));
                }
                _ => return Err(format!("`{word}` is not known here; {HOW_TO_WRITE}")),
            },
            None => return Err(format!("`{word}` is not known here; {HOW_TO_WRITE}")),
        }
    }
    let organisation =
        organisation.ok_or_else(|| format!("`organisation=ID` is missing; {HOW_TO_WRITE}"))?;
    if !create && !link {
        return Err(format!(
            "neither `create` nor `link` is given, so nothing would follow; {HOW_TO_WRITE}"
        ));
    }
    // A provider that could vouch for anybody's e-mail would be everybody.
    if domain.is_none() && link {
        return Err("`link` needs `domain=NAME`, whose e-mails the provider may vouch for".into());
    }
    let member = || RoleKey(BuiltInRole::Member.key().to_owned());
    Ok(PlacingRule {
        domain,
        claims,
        place: Place {
            organisation,
            role: role.unwrap_or_else(member),
            create,
            link,
        },
    })
}

fn is_domain(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    !text.is_empty() && text.bytes().all(plain) && !text.starts_with('.') && !text.ends_with('.')
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const HERE: &str = "organisation=01900000-0000-7000-8000-000000000001";

    fn fits(conditions: &str, email: Option<&str>, claims: &Value) -> bool {
        let rule = rule(&format!("{conditions} {HERE} create")).expect("a rule");
        rule.fits(email, claims.as_object().expect("an object"))
    }

    #[test]
    fn a_rule_speaks_of_domains_and_claims() {
        let claims = json!({"groups": ["staff", "admins", ["nested"]], "tier": 2, "paid": true, "team": "blue", "none": null});
        for (conditions, email, spoken_of) in [
            ("", None, true),
            ("domain=acme.io", Some("nora@acme.io"), true),
            ("domain=ACME.io", Some("nora@acme.io"), true),
            ("domain=acme.io", Some("nora@evil-acme.io"), false),
            ("domain=acme.io", Some("nora@acme.io.evil.example"), false),
            ("domain=acme.io", Some("\"@acme.io\"@evil.example"), false),
            ("domain=acme.io", None, false),
            ("claim.groups=staff", None, true),
            ("claim.groups=staff claim.team=blue", None, true),
            ("claim.groups=staff claim.team=red", None, false),
            ("claim.groups=nested", None, false),
            ("claim.groups=sta", None, false),
            ("claim.tier=2", None, true),
            ("claim.paid=true", None, true),
            ("claim.none=null", None, false),
            ("claim.other=x", None, false),
        ] {
            assert_eq!(
                fits(conditions, email, &claims),
                spoken_of,
                "{conditions} {email:?}"
            );
        }
    }

    #[test]
    fn what_follows_is_read_and_what_is_wrong_is_named() {
        let full = rule(&format!(
            "domain=acme.io {HERE} role=administrator create link"
        ));
        let place = full.expect("a rule").place;
        assert_eq!(place.role.0, "administrator");
        assert!(place.create && place.link);
        let least = rule(&format!("{HERE} create")).expect("a rule").place;
        assert_eq!((least.role.0.as_str(), least.link), ("member", false));
        for (text, word) in [
            ("", "organisation"),
            ("create", "organisation"),
            (HERE, "create"),
            ("organisation=x create", "`x`"),
            (&format!("{HERE} {HERE} create"), "twice"),
            (&format!("{HERE} create role=A"), "`A`"),
            (
                &format!("{HERE} create role=platform_administrator"),
                "platform_administrator",
            ),
            (&format!("{HERE} create domain=a b"), "`b`"),
            (&format!("{HERE} create domain=a@b"), "domain=a@b"),
            (&format!("{HERE} create claim.=x"), "claim."),
            (&format!("{HERE} create group=x"), "group=x"),
            (&format!("{HERE} link"), "domain"),
        ] {
            let problem = rule(text).expect_err(text);
            assert!(problem.contains(word), "{text}: {problem}");
        }
    }
}
