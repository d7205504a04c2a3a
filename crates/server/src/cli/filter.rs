//! Which sessions: the filters of the page `/sessions`, under the same names.

use clap::Args;
use rollcall_core::query;

/// Filters; several together narrow.
#[derive(Args, Debug, Default)]
pub(super) struct FilterArguments {
    /// Any part of e-mail, IP address or session name.
    #[arg(long, short = 'q', value_name = "TEXT")]
    search: Option<String>,
    /// `active` or `ended`.
    #[arg(long, value_name = "STATE")]
    state: Option<String>,
    /// `console`, `api` or `client`.
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// A user's id.
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    /// An organisation's id.
    #[arg(long, value_name = "ID")]
    organisation: Option<String>,
    /// A role's key.
    #[arg(long, value_name = "KEY")]
    role: Option<String>,
    /// An address or a network, such as 192.0.2.0/24.
    #[arg(long, value_name = "CIDR")]
    ip: Option<String>,
    /// `password`, `single_sign_on`, `on_behalf` or `api_key`.
    #[arg(long, value_name = "METHOD")]
    method: Option<String>,
    /// A browser or program, such as Firefox.
    #[arg(long, value_name = "NAME")]
    browser: Option<String>,
    /// A system, such as Windows.
    #[arg(long, value_name = "NAME")]
    system: Option<String>,
    /// Any part of the user agent.
    #[arg(long, value_name = "TEXT")]
    agent: Option<String>,
    /// Began at least so long ago, such as 2h.
    #[arg(long, value_name = "TIME")]
    older_than: Option<String>,
    /// Began at most so long ago.
    #[arg(long, value_name = "TIME")]
    newer_than: Option<String>,
    /// Not used for at least so long.
    #[arg(long, value_name = "TIME")]
    idle_for: Option<String>,
    /// `true`: of users with several sessions at once.
    #[arg(long, value_name = "BOOL")]
    several: Option<String>,
    /// `true`: of service accounts.
    #[arg(long, value_name = "BOOL")]
    service_account: Option<String>,
}

impl FilterArguments {
    /// The parameters as the API has them.
    pub(super) fn pairs(&self) -> Vec<(&'static str, String)> {
        [
            ("q", &self.search),
            ("state", &self.state),
            ("kind", &self.kind),
            ("user", &self.user),
            ("organisation", &self.organisation),
            ("role", &self.role),
            ("ip", &self.ip),
            ("method", &self.method),
            ("browser", &self.browser),
            ("system", &self.system),
            ("agent", &self.agent),
            ("older_than", &self.older_than),
            ("newer_than", &self.newer_than),
            ("idle_for", &self.idle_for),
            ("several", &self.several),
            ("service_account", &self.service_account),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.clone()?)))
        .collect()
    }
}

/// A path with these parameters.
pub(super) fn address(path: &str, pairs: &[(&'static str, String)]) -> String {
    match query::write(pairs) {
        query if query.is_empty() => path.to_owned(),
        query => format!("{path}?{query}"),
    }
}

/// The values that were given, under the names of the API.
pub(super) fn given(pairs: &[(&'static str, &Option<String>)]) -> Vec<(&'static str, String)> {
    let there = pairs
        .iter()
        .filter_map(|(name, value)| Some((*name, (*value).clone()?)));
    there.collect()
}

/// Which page of a list.
#[derive(Args, Debug)]
pub(super) struct PageArguments {
    /// A column of the list; with - before it the largest first.
    #[arg(long, value_name = "COLUMN", allow_hyphen_values = true)]
    sort: Option<String>,
    /// Which page, from 1.
    #[arg(long, value_name = "NUMBER")]
    page: Option<String>,
    /// Rows on a page, 1 to 100.
    #[arg(long, value_name = "NUMBER", default_value = "20")]
    page_size: String,
}

impl PageArguments {
    /// The parameters as the API has them.
    pub(super) fn pairs(&self) -> Vec<(&'static str, String)> {
        let mut pairs = given(&[("sort", &self.sort), ("page", &self.page)]);
        pairs.push(("page_size", self.page_size.clone()));
        pairs
    }
}
