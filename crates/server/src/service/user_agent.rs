//! Browser and system out of a user agent, for people to recognise their devices by.
//!
//! One pass over at most 512 bytes without regular expressions: what a stranger sends cannot make this
//! slow. It only names; nothing is decided by it.

/// What a user agent says: each empty where unknown.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Agent {
    /// "Firefox 144", "curl 8.11".
    pub browser: String,
    /// "Windows", "macOS 15", "Android 16".
    pub system: String,
}

// In this order: each later browser also claims to be some of the earlier ones.
const BROWSERS: &[(&str, &str)] = &[
    ("EdgA/", "Edge"),
    ("EdgiOS/", "Edge"),
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("Vivaldi/", "Vivaldi"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("YaBrowser/", "Yandex"),
    ("DuckDuckGo/", "DuckDuckGo"),
    ("FxiOS/", "Firefox"),
    ("Firefox/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("HeadlessChrome/", "Chrome (headless)"),
    ("Chromium/", "Chromium"),
    ("Chrome/", "Chrome"),
];

/// Reads a user agent.
pub fn parse(user_agent: &str) -> Agent {
    Agent {
        browser: browser(user_agent),
        system: system(user_agent),
    }
}

/// The name of a session that was given none: "Firefox on Linux", or the program's name.
pub fn session_name(agent: &Agent) -> String {
    let bare = agent
        .browser
        .rsplit_once(' ')
        .filter(|(_, version)| starts_with_digit(version));
    let browser = bare.map_or(agent.browser.as_str(), |(name, _)| name);
    let system = agent.system.split(' ').next().unwrap_or_default();
    match (browser.is_empty(), system.is_empty()) {
        (false, false) => format!("{browser} on {system}"),
        (false, true) => browser.to_owned(),
        (true, false) => format!("Browser on {system}"),
        (true, true) => "Unnamed session".to_owned(),
    }
}

fn browser(user_agent: &str) -> String {
    for (mark, name) in BROWSERS {
        if let Some(version) = version_after(user_agent, mark) {
            return named(name, major(version));
        }
    }
    if user_agent.contains("Safari/")
        && let Some(version) = version_after(user_agent, "Version/")
    {
        return named("Safari", major(version));
    }
    if user_agent.starts_with("Mozilla/") {
        return String::new();
    }
    // A program: "curl/8.11.0", "python-requests/2.32". Its product token, if it is one.
    let product = user_agent.split([' ', '(']).next().unwrap_or_default();
    let (name, version) = product.split_once('/').unwrap_or((product, ""));
    let is_token = |text: &str| {
        text.bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.+".contains(&b))
    };
    if name.is_empty() || name.len() > 40 || !is_token(name) || !is_token(version) {
        return String::new();
    }
    let mut parts = version.split('.');
    let short = match (parts.next(), parts.next()) {
        (Some(first), Some(second)) if starts_with_digit(first) => format!("{first}.{second}"),
        (Some(first), None) if starts_with_digit(first) => first.to_owned(),
        _ => String::new(),
    };
    named(name, short.get(..short.len().min(20)).unwrap_or_default())
}

fn system(user_agent: &str) -> String {
    if user_agent.contains("Windows NT") {
        // Windows 11 still says "10.0"; browsers do not tell the two apart any more.
        return "Windows".to_owned();
    }
    if let Some(version) = version_after(user_agent, "Android ") {
        return named("Android", major(version));
    }
    if user_agent.contains("Android") {
        return "Android".to_owned();
    }
    if user_agent.contains("iPad") {
        return named(
            "iPadOS",
            version_after(user_agent, "CPU OS ").map_or("", major),
        );
    }
    if user_agent.contains("iPhone") || user_agent.contains("iPod") {
        return named(
            "iOS",
            version_after(user_agent, "iPhone OS ").map_or("", major),
        );
    }
    if let Some(version) = version_after(user_agent, "Mac OS X ") {
        // Browsers froze this at 10.15; a version that says nothing is left out.
        let major = major(version);
        return named("macOS", if major == "10" { "" } else { major });
    }
    for (mark, name) in [
        ("Macintosh", "macOS"),
        ("CrOS", "ChromeOS"),
        ("FreeBSD", "FreeBSD"),
        ("OpenBSD", "OpenBSD"),
        ("Linux", "Linux"),
    ] {
        if user_agent.contains(mark) {
            return name.to_owned();
        }
    }
    String::new()
}

fn version_after<'a>(text: &'a str, mark: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(mark)?;
    starts_with_digit(rest).then_some(rest)
}

fn major(version: &str) -> &str {
    let digits = version
        .bytes()
        .take_while(u8::is_ascii_digit)
        .take(6)
        .count();
    &version[..digits]
}

fn starts_with_digit(text: &str) -> bool {
    text.bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_digit())
}

fn named(name: &str, version: &str) -> String {
    if version.is_empty() {
        name.to_owned()
    } else {
        format!("{name} {version}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_agents_are_recognised() {
        for (user_agent, browser, system, name) in [
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0",
                "Firefox 144",
                "Linux",
                "Firefox on Linux",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/155.0.0.0 Safari/537.36 Edg/155.0.0.0",
                "Edge 155",
                "Windows",
                "Edge on Windows",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Safari/605.1.15",
                "Safari 26",
                "macOS",
                "Safari on macOS",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 26_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/155.0 Mobile/15E148 Safari/604.1",
                "Chrome 155",
                "iOS 26",
                "Chrome on iOS",
            ),
            (
                "Mozilla/5.0 (Linux; Android 16; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/155.0.0.0 Mobile Safari/537.36",
                "Chrome 155",
                "Android 16",
                "Chrome on Android",
            ),
            ("curl/8.11.0", "curl 8.11", "", "curl"),
            (
                "python-requests/2.32.3",
                "python-requests 2.32",
                "",
                "python-requests",
            ),
            (
                "rollcall-agent/1.0 (build-07)",
                "rollcall-agent 1.0",
                "",
                "rollcall-agent",
            ),
            ("", "", "", "Unnamed session"),
            ("<script>alert(1)</script>", "", "", "Unnamed session"),
        ] {
            let agent = parse(user_agent);
            assert_eq!(
                (agent.browser.as_str(), agent.system.as_str()),
                (browser, system),
                "{user_agent}"
            );
            assert_eq!(session_name(&agent), name, "{user_agent}");
        }
    }
}
