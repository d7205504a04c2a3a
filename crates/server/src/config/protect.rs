//! Rules of `--protect`: what of which host is open to whom, for forward authentication. And the paths that they are
//! compared with, in one normal form: what a proxy, an application and we could read in different ways is none.

use std::fmt;

use http::Method;
use rollcall_core::{OrganisationId, RoleKey};

use super::values::Origin;

const HOW_TO_WRITE: &str = "write HOST/PATH and words after it, such as `wiki.example.org/admin/* GET,POST role=administrator`";

/// Whom a rule lets in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Who {
    /// Everybody, signed in or not.
    Everyone,
    /// Whoever is signed in and has one of the roles, where some are named, and is of the organisation, if one is.
    SignedIn {
        /// Keys of roles; none means any.
        roles: Vec<RoleKey>,
        /// The organisation.
        organisation: Option<OrganisationId>,
    },
}

/// One rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProtectRule {
    /// The host, with the scheme that browsers reach it by.
    pub origin: Origin,
    path: String,
    /// Whether what lies below `path` is meant, too.
    below: bool,
    methods: Vec<Method>,
    /// Whom it lets in.
    pub who: Who,
}

impl ProtectRule {
    /// Whether it speaks of a request to this path of its host.
    pub fn covers(&self, method: &Method, path: &Path) -> bool {
        let path = path.0.as_str();
        let fits = match self.below {
            // Without the slash it is the same thing to most applications.
            true => path
                .strip_prefix(&self.path)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
            false => path == self.path,
        };
        fits && (self.methods.is_empty() || self.methods.contains(method))
    }
}

impl fmt::Display for ProtectRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let star = if self.below { "/*" } else { "" };
        write!(f, "{}{}{star}", self.origin, self.path)
    }
}

/// Reads one rule: `[http://]HOST/PATH[*] [METHOD,…] [everyone] [role=KEY] [organisation=ID]`.
pub fn rule(text: &str) -> Result<ProtectRule, String> {
    let mut words = text.split_whitespace();
    let place = words.next().ok_or(HOW_TO_WRITE)?;
    let (scheme, rest) = place.split_once("://").unwrap_or(("https", place));
    let (host, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, "/*"),
    };
    let origin = Origin::parse(&format!("{scheme}://{host}"))
        .ok_or_else(|| format!("`{host}` is no host; {HOW_TO_WRITE}"))?;
    let (path, below) = match path.strip_suffix("/*") {
        Some(path) => (path, true),
        None => (path, false),
    };
    let normal = Path::parse(if path.is_empty() { "/" } else { path });
    if path.contains('*') || normal.is_none_or(|normal| !path.is_empty() && normal.0 != path) {
        return Err(format!(
            "`{path}` is no plain path, or has a * elsewhere than at its end; {HOW_TO_WRITE}"
        ));
    }
    let (mut methods, mut roles, mut organisation, mut everyone) =
        (Vec::new(), Vec::new(), None, false);
    for word in words {
        match word.split_once('=') {
            None if word == "everyone" => everyone = true,
            None => {
                for name in word.split(',') {
                    let known = name.bytes().all(|byte| byte.is_ascii_uppercase());
                    let method = Method::from_bytes(name.as_bytes()).ok().filter(|_| known);
                    methods.push(method.ok_or_else(|| {
                        format!("`{name}` is neither `everyone` nor a method in capitals; {HOW_TO_WRITE}")
                    })?);
                }
            }
            Some(("role", key)) => roles.push(
                key.parse()
                    .map_err(|_| format!("`{key}` is no key of a role; its page shows it"))?,
            ),
            Some(("organisation", id)) if organisation.is_none() => {
                organisation = Some(
                    id.parse()
                        .map_err(|_| format!("`{id}` is no id of an organisation"))?,
                );
            }
            Some(_) => return Err(format!("`{word}` is not known here; {HOW_TO_WRITE}")),
        }
    }
    let who = match (everyone, roles.is_empty() && organisation.is_none()) {
        (true, true) => Who::Everyone,
        (true, false) => {
            return Err(
                "`everyone` needs no role and no organisation; write one or the other".to_owned(),
            );
        }
        (false, _) => Who::SignedIn {
            roles,
            organisation,
        },
    };
    Ok(ProtectRule {
        origin,
        path: path.to_owned(),
        below,
        methods,
        who,
    })
}

/// A path in normal form: decoded once, no empty segments, no `.` and `..`, no query.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Path(String);

impl Path {
    /// Reads the target of a request (RFC 9112, 3.2.1). `None` for what two programs could read in two ways: dots that walk
    /// upwards, slashes in disguise, what is encoded twice, control characters, backslashes.
    pub fn parse(target: &str) -> Option<Self> {
        let path = target.split(['?', '#']).next().unwrap_or_default();
        if !path.starts_with('/') {
            return None;
        }
        let decoded = decode(path)?;
        let ambiguous = |letter: char| letter == '%' || letter == '\\' || letter.is_control();
        if decoded.contains(ambiguous) {
            return None;
        }
        let mut normal = String::with_capacity(decoded.len());
        for segment in decoded.split('/').filter(|segment| !segment.is_empty()) {
            // Some servers read `..;x` as `..`.
            let name = segment.split(';').next().unwrap_or_default();
            if matches!(name, "." | "..") {
                return None;
            }
            normal.push('/');
            normal.push_str(segment);
        }
        if decoded.ends_with('/') {
            normal.push('/');
        }
        Some(Self(normal))
    }
}

// Percent-decoded once. An encoded slash is none that divides, to some; to others it is.
fn decode(path: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        let value = digit(rest.next())? * 16 + digit(rest.next())?;
        let value = u8::try_from(value).ok()?;
        if value == b'/' {
            return None;
        }
        bytes.push(value);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(text: &str, method: &Method, target: &str) -> bool {
        let rule = rule(text).expect("a rule");
        Path::parse(target).is_some_and(|path| rule.covers(method, &path))
    }

    #[test]
    fn a_rule_speaks_of_paths_and_methods() {
        let get = &Method::GET;
        for (rule, method, target, spoken_of) in [
            ("a.example", get, "/", true),
            ("a.example", get, "/x/y?z=1", true),
            ("a.example/", get, "/", true),
            ("a.example/", get, "/x", false),
            ("a.example/admin", get, "/admin", true),
            ("a.example/admin", get, "/admin/", false),
            ("a.example/admin", get, "/admin?x=/y", true),
            ("a.example/admin/*", get, "/admin", true),
            ("a.example/admin/*", get, "/admin/", true),
            ("a.example/admin/*", get, "//admin//users", true),
            ("a.example/admin/*", get, "/%61dmin/users", true),
            ("a.example/admin/*", get, "/administrator", false),
            ("a.example/admin/*", get, "/x?y=/admin/", false),
            ("a.example/admin/*", get, "/x#/admin/", false),
            ("a.example/* GET,HEAD", get, "/x", true),
            ("a.example/* GET,HEAD", &Method::POST, "/x", false),
        ] {
            assert_eq!(
                covers(rule, method, target),
                spoken_of,
                "{rule}: {method} {target}"
            );
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_no_path() {
        for target in [
            "",
            "x",
            "*",
            "http://a.example/",
            "/a/../b",
            "/a/./b",
            "/..",
            "/%2e%2e/b",
            "/a/..;x=1/b",
            "/a%2fb",
            "/a%2Fb",
            "/a\\b",
            "/a%5cb",
            "/a%252e",
            "/a%",
            "/a%2",
            "/a%zz",
            "/a%00",
            "/a\nb",
            "/a%0d",
            "/a%ff",
            "/.;x",
        ] {
            assert_eq!(Path::parse(target), None, "{target:?}");
        }
        for (target, normal) in [
            ("/", "/"),
            ("//", "/"),
            ("/a//b/", "/a/b/"),
            ("/%41", "/A"),
            ("/a%20b;c=d", "/a b;c=d"),
            ("/%C3%A9?q=%2e%2e", "/é"),
            ("/...", "/..."),
        ] {
            assert_eq!(
                Path::parse(target),
                Some(Path(normal.to_owned())),
                "{target:?}"
            );
        }
    }

    #[test]
    fn a_rule_is_read_or_refused_in_words() {
        let read = |text| rule(text).expect("a rule");
        assert_eq!(read("a.example").to_string(), "https://a.example/*");
        assert_eq!(
            read("HTTP://A.localhost:8081/x").to_string(),
            "http://a.localhost:8081/x"
        );
        assert_eq!(read("a.example/x everyone").who, Who::Everyone);
        let id = "0189a5d1-6ac9-774b-8000-0000000000a1";
        let named = read(&format!(
            "a.example GET role=administrator role=member organisation={id}"
        ));
        let Who::SignedIn {
            roles,
            organisation,
        } = named.who
        else {
            panic!("not everyone");
        };
        assert_eq!(
            (roles.len(), organisation.map(|id| id.to_string())),
            (2, Some(id.to_owned()))
        );
        for (text, words) in [
            ("", "write HOST/PATH"),
            ("/x", "no host"),
            ("ftp://a.example/", "no host"),
            ("a b", "neither `everyone` nor a method"),
            ("a.example/x/*/y", "a * elsewhere"),
            ("a.example/x*", "a * elsewhere"),
            ("a.example/a/../b", "no plain path"),
            ("a.example/%61", "no plain path"),
            ("a.example/a?b", "no plain path"),
            ("a.example get", "nor a method in capitals"),
            ("a.example roles=x", "not known here"),
            ("a.example organisation=x", "no id of an organisation"),
            ("a.example everyone role=member", "one or the other"),
        ] {
            let refused = rule(text).expect_err(text);
            assert!(refused.contains(words), "{text}: {refused}");
        }
    }
}
