//! Every setting, once: its flag, its environment variable, its line in the file, its default and what
//! it means. `rollcall settings --markdown` writes `docs/configuration.md` from what stands here.
//!
//! A flag beats the environment, which beats the file (`--config FILE`), which beats the default.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use ipnet::IpNet;

pub mod document;
pub mod file;
pub mod mail;
pub mod outbound;
pub mod placing;
pub mod protect;
pub mod provider_file;
pub mod values;

use outbound::AllowedTarget;
use protect::ProtectRule;
use values::{Timeout, duration, network, origin, rotation, time_zone, timeout};

/// Where the data is. The commands that work on the database take these too.
#[derive(Args, Clone, Debug)]
pub struct StorageSettings {
    /// A file with settings: lines such as `rotate-every = "5m"` (TOML). An unknown name is an error.
    #[arg(long, env = "ROLLCALL_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// The database: `sqlite://PATH` or `postgres://USER:PASSWORD@HOST/NAME`. Without it, the SQLite file
    /// `rollcall.db` in the data folder.
    #[arg(
        long,
        env = "ROLLCALL_DATABASE",
        value_name = "URL",
        hide_env_values = true
    )]
    pub database: Option<String>,

    /// The folder for what the server writes: the SQLite file, the audit key. Made at first start.
    #[arg(
        long,
        env = "ROLLCALL_DATA_DIR",
        value_name = "DIR",
        default_value = "data"
    )]
    pub data_dir: PathBuf,
}

impl StorageSettings {
    /// The database's URL, with the default filled in.
    pub fn database_url(&self) -> String {
        match &self.database {
            Some(url) => url.clone(),
            None => format!("sqlite://{}", self.data_dir.join("rollcall.db").display()),
        }
    }
}

/// How log lines look.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, for collectors.
    Json,
}

/// How the server logs. Logs go to standard error.
#[derive(Args, Clone, Debug)]
pub struct LogSettings {
    /// How log lines look: `text` for people, `json` for collectors.
    #[arg(
        long,
        env = "ROLLCALL_LOG_FORMAT",
        value_name = "FORMAT",
        default_value = "text"
    )]
    pub log_format: LogFormat,

    /// What is logged: `error`, `warn`, `info`, `debug`, `trace`, or a filter such as
    /// `warn,rollcall_server::http=info`. Requests are logged at `info`.
    #[arg(
        long,
        env = "ROLLCALL_LOG_LEVEL",
        value_name = "FILTER",
        default_value = "info"
    )]
    pub log_level: String,
}

/// How long sessions live. None of these can be switched off.
#[derive(Args, Clone, Debug)]
pub struct SessionSettings {
    /// How old a token gets, from its first use on, before the next answer carries a new one; at least 10s.
    #[arg(long, env = "ROLLCALL_ROTATE_EVERY", value_name = "DURATION", default_value = "5m", value_parser = rotation)]
    pub rotate_every: Duration,

    /// A session ends when it has not been used for so long.
    #[arg(long, env = "ROLLCALL_SESSION_IDLE_TIMEOUT", value_name = "DURATION", default_value = "30m", value_parser = timeout)]
    pub session_idle_timeout: Timeout,

    /// A session ends so long after sign-in, however busy.
    #[arg(long, env = "ROLLCALL_SESSION_ABSOLUTE_TIMEOUT", value_name = "DURATION", default_value = "24h", value_parser = timeout)]
    pub session_absolute_timeout: Timeout,

    /// The idle timeout with "keep me signed in".
    #[arg(long, env = "ROLLCALL_KEEP_IDLE_TIMEOUT", value_name = "DURATION", default_value = "14d", value_parser = timeout)]
    pub keep_idle_timeout: Timeout,

    /// The absolute timeout with "keep me signed in".
    #[arg(long, env = "ROLLCALL_KEEP_ABSOLUTE_TIMEOUT", value_name = "DURATION", default_value = "30d", value_parser = timeout)]
    pub keep_absolute_timeout: Timeout,

    /// The idle timeout of connected clients.
    #[arg(long, env = "ROLLCALL_CLIENT_IDLE_TIMEOUT", value_name = "DURATION", default_value = "5m", value_parser = timeout)]
    pub client_idle_timeout: Timeout,

    /// The absolute timeout of connected clients.
    #[arg(long, env = "ROLLCALL_CLIENT_ABSOLUTE_TIMEOUT", value_name = "DURATION", default_value = "30d", value_parser = timeout)]
    pub client_absolute_timeout: Timeout,

    /// How long ended sessions are kept and counted.
    #[arg(long, env = "ROLLCALL_RETENTION", value_name = "DURATION", default_value = "90d", value_parser = timeout)]
    pub retention: Timeout,
}

/// How people sign in.
#[derive(Args, Clone, Debug)]
pub struct SignInSettings {
    /// The least length of a new password, in characters; 8 to 64.
    #[arg(long, env = "ROLLCALL_PASSWORD_MIN_LENGTH", value_name = "CHARACTERS", default_value_t = 15, value_parser = clap::value_parser!(u32).range(8..=64))]
    pub password_min_length: u32,

    /// Lets an account that five wrong passwords locked open by itself after so long. Without it, somebody
    /// with `users.unlock`, or `rollcall users unlock`, must open it.
    #[arg(long, env = "ROLLCALL_UNLOCK_AFTER", value_name = "DURATION", value_parser = timeout)]
    pub unlock_after: Option<Timeout>,

    /// So many failed sign-ins from one address (IPv6: its /64) within `failure-window`, and it has to wait.
    #[arg(long, env = "ROLLCALL_FAILURE_LIMIT", value_name = "NUMBER", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    pub failure_limit: u32,

    /// The time over which failed sign-ins from one address are counted.
    #[arg(long, env = "ROLLCALL_FAILURE_WINDOW", value_name = "DURATION", default_value = "5m", value_parser = duration)]
    pub failure_window: Duration,

    /// Whom people ask for help: shown on error pages, with the request id. An address or a sentence.
    #[arg(long, env = "ROLLCALL_SUPPORT_CONTACT", value_name = "TEXT")]
    pub support_contact: Option<String>,

    /// At first start: the e-mail of the first administrator, instead of a printed one-time password.
    #[arg(
        long,
        env = "ROLLCALL_ADMIN_EMAIL",
        value_name = "EMAIL",
        requires = "admin_secret"
    )]
    pub admin_email: Option<String>,

    /// The password of that administrator. Better given in the environment or in a file than as a flag.
    #[arg(
        long,
        env = "ROLLCALL_ADMIN_PASSWORD",
        value_name = "PASSWORD",
        hide_env_values = true,
        group = "admin_secret",
        conflicts_with = "admin_password_file"
    )]
    pub admin_password: Option<values::Hidden>,

    /// A file that holds the password of that administrator.
    #[arg(
        long,
        env = "ROLLCALL_ADMIN_PASSWORD_FILE",
        value_name = "FILE",
        group = "admin_secret"
    )]
    pub admin_password_file: Option<PathBuf>,
}

/// Everything that `rollcall serve` takes.
#[derive(Args, Clone, Debug)]
pub struct Settings {
    /// The address to listen on. Other machines reach it only through a proxy, or with `0.0.0.0:8080`.
    #[arg(
        long,
        env = "ROLLCALL_LISTEN",
        value_name = "ADDRESS",
        default_value = "127.0.0.1:8080"
    )]
    pub listen: SocketAddr,

    #[command(flatten)]
    #[allow(missing_docs)]
    // A doc comment here would become the help text of the whole command.
    pub storage: StorageSettings,

    /// The address that people type, such as `https://rollcall.example.org`: for origin checks. Without it,
    /// the Host of each request.
    #[arg(long, env = "ROLLCALL_PUBLIC_URL", value_name = "URL", value_parser = origin)]
    pub public_url: Option<values::Origin>,

    /// A proxy whose `X-Forwarded-For`, `X-Forwarded-Proto` and `Forwarded` headers count: an address or a
    /// CIDR network. Several with commas. None by default: the headers are ignored.
    #[arg(long, env = "ROLLCALL_TRUSTED_PROXY", value_name = "CIDR", value_delimiter = ',', value_parser = network)]
    pub trusted_proxy: Vec<IpNet>,

    /// A rule for a host whose proxy asks Rollcall about each request: `HOST/PATH`, which may end with `*`, and words after
    /// it: methods, `everyone`, `role=KEY`, `organisation=ID`. Several with semicolons; the first that fits a request
    /// decides, and what none fits is refused. Needs `public-url` and `trusted-proxy`.
    #[arg(long, env = "ROLLCALL_PROTECT", value_name = "RULE", value_delimiter = ';', value_parser = protect::rule)]
    pub protect: Vec<ProtectRule>,

    /// What the server may connect to by itself although it is not on the public internet: a host name, an address or a CIDR
    /// network. Several with commas. None by default: receivers of events and identity providers are outside, and reached by
    /// https; what is listed here may have http, too.
    #[arg(long, env = "ROLLCALL_ALLOW_OUTBOUND", value_name = "TARGET", value_delimiter = ',', value_parser = outbound::target)]
    pub allow_outbound: Vec<AllowedTarget>,

    /// A file that sets up an identity provider (TOML). Several with commas. Others are set up at `/integrations`. Needs
    /// `public-url`.
    #[arg(
        long,
        env = "ROLLCALL_IDENTITY_PROVIDER",
        value_name = "FILE",
        value_delimiter = ','
    )]
    pub identity_provider: Vec<PathBuf>,

    /// The folder of files that hold secrets of identity providers (`file:NAME`). Without it, `secrets` in the data folder.
    #[arg(long, env = "ROLLCALL_SECRETS_DIR", value_name = "DIR")]
    pub secrets_dir: Option<PathBuf>,

    /// What this server is called in its sessions. Without it, the host name.
    #[arg(long, env = "ROLLCALL_SERVER_NAME", value_name = "NAME", value_parser = values::server_name)]
    pub server_name: Option<String>,

    /// The time zone of pages for people whose own is unknown (IANA name).
    #[arg(long, env = "ROLLCALL_TIME_ZONE", value_name = "ZONE", default_value = "UTC", value_parser = time_zone)]
    pub time_zone: String,

    #[command(flatten)]
    #[allow(missing_docs)] // As above.
    pub sessions: SessionSettings,

    #[command(flatten)]
    #[allow(missing_docs)] // As above.
    pub sign_in: SignInSettings,

    #[command(flatten)]
    #[allow(missing_docs)] // As above.
    pub mail: mail::MailSettings,

    /// Over https, tell browsers to use https for all subdomains too.
    #[arg(long, env = "ROLLCALL_HSTS_INCLUDE_SUBDOMAINS", value_name = "BOOL", default_value_t = false, num_args = 0..=1, default_missing_value = "true", action = clap::ArgAction::Set)]
    pub hsts_include_subdomains: bool,

    /// How many connections are open at once; more wait until one closes.
    #[arg(long, env = "ROLLCALL_MAX_CONNECTIONS", value_name = "NUMBER", default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_connections: u32,

    #[command(flatten)]
    #[allow(missing_docs)] // As above.
    pub log: LogSettings,

    /// Fills an empty database with so many sessions of believable users, to try things out. Only on a
    /// loopback address.
    #[arg(long, env = "ROLLCALL_DEMO", value_name = "SESSIONS", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub demo: Option<u32>,
}

impl Settings {
    /// What this server is called: the setting, else the host name, else `LOCAL`.
    pub fn server_name(&self) -> String {
        self.server_name
            .clone()
            .or_else(|| {
                let host = gethostname::gethostname().into_string().ok()?;
                values::server_name(&host).ok()
            })
            .unwrap_or_else(|| "LOCAL".to_owned())
    }

    /// Whether other machines can reach the server.
    pub fn is_loopback(&self) -> bool {
        self.listen.ip().to_canonical().is_loopback()
    }

    /// What no single setting can see. The error names the setting and what to write.
    pub fn check(&self) -> Result<(), String> {
        let pairs = [
            (
                "session",
                self.sessions.session_idle_timeout,
                self.sessions.session_absolute_timeout,
            ),
            (
                "keep",
                self.sessions.keep_idle_timeout,
                self.sessions.keep_absolute_timeout,
            ),
            (
                "client",
                self.sessions.client_idle_timeout,
                self.sessions.client_absolute_timeout,
            ),
        ];
        for (kind, idle, absolute) in pairs {
            if idle.get() > absolute.get() {
                return Err(format!(
                    "--{kind}-idle-timeout is longer than --{kind}-absolute-timeout; write one that is not"
                ));
            }
        }
        if self.demo.is_some() && !self.is_loopback() {
            return Err(format!(
                "--demo is refused on {}: its users share one password; use --listen 127.0.0.1:{}",
                self.listen,
                self.listen.port()
            ));
        }
        if let Some(rule) = self.protect.first() {
            if self.public_url.is_none() {
                return Err(format!(
                    "--protect {rule} needs --public-url, where people sign in; write the address that they type"
                ));
            }
            if self.trusted_proxy.is_empty() {
                return Err(format!(
                    "--protect {rule} needs --trusted-proxy, or nobody would be believed; write the proxy's address"
                ));
            }
        }
        if let (Some(file), None) = (self.identity_provider.first(), &self.public_url) {
            return Err(format!(
                "--identity-provider {} needs --public-url, where people come back to; write the address that they type",
                file.display()
            ));
        }
        self.mail.check(self.public_url.is_some())?;
        if let Some(wide) = self
            .trusted_proxy
            .iter()
            .find(|network| network.prefix_len() == 0)
        {
            return Err(format!(
                "--trusted-proxy {wide} would let anyone choose their own address; list the proxies"
            ));
        }
        Ok(())
    }
}

/// The IPv4 address behind an IPv4-mapped IPv6 one; others as they are.
pub(crate) fn plain(ip: IpAddr) -> IpAddr {
    ip.to_canonical()
}
