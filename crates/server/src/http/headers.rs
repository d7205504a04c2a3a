//! The headers that every answer has, whatever it is.

use http::{HeaderMap, HeaderName, HeaderValue, header};

const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// The name of the request id's header.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

// With a nonce for the scripts that Leptos writes into pages; without one, none of them runs.
fn content_security_policy(nonce: Option<&str>, form_targets: &str) -> Option<HeaderValue> {
    const PLAIN: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; \
        img-src 'self' data:; font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; \
        object-src 'none'; frame-ancestors 'none'";
    if nonce.is_none() && form_targets.is_empty() {
        return Some(HeaderValue::from_static(PLAIN));
    }
    let mut policy = PLAIN.to_owned();
    if let Some(nonce) = nonce {
        let scripts = format!("script-src 'self' 'nonce-{nonce}'");
        policy = policy.replacen("script-src 'self'", &scripts, 1);
    }
    if !form_targets.is_empty() {
        let forms = format!("form-action 'self'{form_targets}");
        policy = policy.replacen("form-action 'self'", &forms, 1);
    }
    HeaderValue::from_str(&policy).ok()
}

/// What the headers depend on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Circumstances<'a> {
    /// The nonce of a page's inline scripts.
    pub nonce: Option<&'a str>,
    /// Whether the request came by https.
    pub https: bool,
    /// `--hsts-include-subdomains`.
    pub include_subdomains: bool,
    /// Where a form may lead besides our own host, each with a space before it.
    pub form_targets: &'a str,
    /// Whether the answer depends on who asks.
    pub personal: bool,
    /// The request's id.
    pub request_id: &'a str,
}

/// Adds them.
pub(super) fn add(headers: &mut HeaderMap, of: Circumstances<'_>) {
    if let Some(policy) = content_security_policy(of.nonce, of.form_targets) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("same-origin"),
    );
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(OPENER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(RESOURCE_POLICY, HeaderValue::from_static("same-origin"));
    if of.https {
        let value = if of.include_subdomains {
            "max-age=31536000; includeSubDomains"
        } else {
            "max-age=31536000"
        };
        headers.insert(
            header::STRICT_TRANSPORT_SECURITY,
            HeaderValue::from_static(value),
        );
    }
    if of.personal
        || headers.contains_key(header::SET_COOKIE)
        || !headers.contains_key(header::CACHE_CONTROL)
    {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if let Ok(id) = HeaderValue::from_str(of.request_id) {
        headers.insert(REQUEST_ID, id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Circumstances<'_> = Circumstances {
        nonce: None,
        https: false,
        include_subdomains: false,
        form_targets: "",
        personal: false,
        request_id: "r",
    };

    #[test]
    fn the_policy_is_the_one_that_is_promised() {
        let mut headers = HeaderMap::new();
        add(
            &mut headers,
            Circumstances {
                nonce: Some("abc"),
                ..PLAIN
            },
        );
        assert_eq!(
            headers["content-security-policy"],
            "default-src 'none'; script-src 'self' 'nonce-abc' 'wasm-unsafe-eval'; style-src 'self'; \
             img-src 'self' data:; font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; \
             object-src 'none'; frame-ancestors 'none'"
        );
        assert!(!headers.contains_key("strict-transport-security"));
        assert_eq!(headers["x-request-id"], "r");
    }

    #[test]
    fn a_form_may_lead_to_protected_hosts() {
        let mut headers = HeaderMap::new();
        let of = Circumstances {
            form_targets: " https://a.example",
            ..PLAIN
        };
        add(&mut headers, of);
        let policy = headers["content-security-policy"].to_str().expect("text");
        assert!(
            policy.contains("; form-action 'self' https://a.example; base-uri"),
            "{policy}"
        );
    }

    #[test]
    fn what_depends_on_who_asks_is_never_stored() {
        for (personal, cookie, kept) in [
            (true, false, false),
            (false, true, false),
            (false, false, true),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
            if cookie {
                headers.insert(header::SET_COOKIE, HeaderValue::from_static("a=b"));
            }
            add(&mut headers, Circumstances { personal, ..PLAIN });
            assert_eq!(headers["cache-control"] == "no-cache", kept);
        }
        let mut headers = HeaderMap::new();
        add(&mut headers, PLAIN);
        assert_eq!(headers["cache-control"], "no-store");
    }

    #[test]
    fn https_is_remembered_for_a_year() {
        let mut headers = HeaderMap::new();
        add(
            &mut headers,
            Circumstances {
                https: true,
                include_subdomains: true,
                ..PLAIN
            },
        );
        assert_eq!(
            headers["strict-transport-security"],
            "max-age=31536000; includeSubDomains"
        );
    }
}
