//! Requests from other sites (CSRF). No tokens: browsers say where a request comes from.
//!
//! With the session cookie, a `Sec-Fetch-Site` other than `same-origin`, or, where that is absent, an
//! `Origin` that is not ours, `null` or missing, is refused on everything that changes something.
//! Without the cookie (programs, sign-in) only a foreign one is. Source: `rules.md` "Browser"; OWASP CSRF
//! Prevention cheat sheet.

use http::{HeaderMap, HeaderName, Method, header};

use super::credentials;
use crate::config::values::{Origin, normal_host};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// How a request reached us, for the comparison.
#[derive(Clone, Debug)]
pub(super) struct Reached<'a> {
    /// `--public-url`, if it is set.
    pub public: Option<&'a Origin>,
    /// The request's own host and port.
    pub host: Option<&'a str>,
    /// Whether it came by https, where we know.
    pub https: Option<bool>,
}

impl Reached<'_> {
    fn is_ours(&self, origin: &Origin) -> bool {
        if let Some(public) = self.public {
            return public == origin;
        }
        // Behind a proxy that is not listed we cannot know the scheme; then the host decides.
        let scheme_fits = self.https.is_none_or(|https| https == origin.https);
        let host_fits = self
            .host
            .and_then(|host| normal_host(host, origin.https))
            .is_some_and(|host| host == origin.host);
        scheme_fits && host_fits
    }
}

/// Whether a request that changes something may have come from another site.
pub(super) fn is_foreign(method: &Method, headers: &HeaderMap, reached: &Reached<'_>) -> bool {
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return false;
    }
    let with_cookie = credentials::has_cookie(headers);
    match single(headers, &SEC_FETCH_SITE) {
        One::Value(b"same-origin") => return false,
        // `none` is a person's own doing, such as a typed address; nothing of ours is posted like that.
        One::Value(b"none") => return with_cookie,
        One::Value(_) | One::Several => return true,
        One::Missing => {}
    }
    match single(headers, &header::ORIGIN) {
        One::Missing => with_cookie,
        One::Several => true,
        One::Value(value) => !std::str::from_utf8(value)
            .ok()
            .and_then(Origin::parse)
            .is_some_and(|origin| reached.is_ours(&origin)),
    }
}

enum One<'a> {
    Missing,
    Value(&'a [u8]),
    Several,
}

fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> One<'a> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => One::Missing,
        (Some(value), None) => One::Value(value.as_bytes()),
        (Some(_), Some(_)) => One::Several,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COOKIE: (&str, &str) = ("cookie", "__Host-rollcall=x");

    fn foreign(
        list: &[(&'static str, &'static str)],
        public: Option<&str>,
        https: Option<bool>,
    ) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in list {
            headers.append(*name, value.parse().unwrap());
        }
        let public = public.map(|text| Origin::parse(text).unwrap());
        let reached = Reached {
            public: public.as_ref(),
            host: Some("Rollcall.example:8080"),
            https,
        };
        is_foreign(&Method::POST, &headers, &reached)
    }

    #[test]
    fn the_table_holds() {
        let ours = ("origin", "http://rollcall.example:8080");
        let null = ("origin", "null");
        let evil = ("origin", "https://evil.example");
        let port = ("origin", "http://rollcall.example:8081");
        let suffix = ("origin", "http://rollcall.example:8080.evil.example");
        let site = |value: &'static str| ("sec-fetch-site", value);
        // headers, refused with the cookie, refused without it
        for (list, with, without) in [
            (vec![], true, false),
            (vec![ours], false, false),
            (vec![null], true, true),
            (vec![evil], true, true),
            (vec![port], true, true),
            (vec![suffix], true, true),
            (vec![ours, ours], true, true),
            (vec![site("same-origin")], false, false),
            (vec![site("same-origin"), evil], false, false),
            (vec![site("same-site"), ours], true, true),
            (vec![site("cross-site"), ours], true, true),
            (vec![site("none")], true, false),
            (vec![site("Same-Origin")], true, true),
            (vec![site("same-origin"), site("same-origin")], true, true),
        ] {
            let mut cookied = list.clone();
            cookied.push(COOKIE);
            assert_eq!(
                foreign(&cookied, None, None),
                with,
                "with the cookie: {list:?}"
            );
            assert_eq!(foreign(&list, None, None), without, "without: {list:?}");
        }
    }

    #[test]
    fn the_public_url_decides_where_it_is_set() {
        let public = Some("https://rollcall.example.org");
        assert!(!foreign(
            &[("origin", "https://rollcall.example.org")],
            public,
            None
        ));
        assert!(foreign(
            &[("origin", "http://rollcall.example.org")],
            public,
            None
        ));
        assert!(foreign(
            &[("origin", "http://rollcall.example:8080")],
            public,
            None
        ));
    }

    #[test]
    fn the_scheme_counts_where_it_is_known() {
        let plain = [("origin", "http://rollcall.example:8080")];
        assert!(foreign(&plain, None, Some(true)));
        assert!(!foreign(&plain, None, Some(false)));
    }

    #[test]
    fn reading_is_never_foreign() {
        let mut headers = HeaderMap::new();
        headers.insert("sec-fetch-site", "cross-site".parse().unwrap());
        let reached = Reached {
            public: None,
            host: None,
            https: None,
        };
        assert!(!is_foreign(&Method::GET, &headers, &reached));
        assert!(is_foreign(&Method::DELETE, &headers, &reached));
    }
}
