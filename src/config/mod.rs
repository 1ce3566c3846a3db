//! Settings: where they are read from, what they mean, and where each value came from.
//!
//! Flag, environment, `.env`, toml file, default, in this order; [`table`] lists every setting and
//! everything else follows from it. All that is wrong is told at once ([`ConfigProblems`]), and a bad
//! setting never becomes a default. The process environment is read in one place
//! ([`Sources::from_process`]) and changed nowhere.
//!
//! Architecture invariant: nothing printable here (`Debug`, problems, `config show`) holds a secret.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use validator::ValidateRange;

mod accounts;
mod ai;
mod browser;
#[cfg(test)]
pub(crate) mod case;
mod dotenv;
mod error;
mod example;
mod file;
mod google;
mod layers;
mod nearest;
mod origin;
mod reader;
mod secret;
mod server;
mod sources;
pub mod table;
mod value;

pub use accounts::AccountConfig;
pub use ai::{AiProvider, AiSettings, ApiKey, Price};
pub use browser::BrowserSettings;
pub(crate) use error::count;
pub use error::{ConfigProblems, Problem};
pub use example::env_example;
pub use google::{GoogleSettings, ServiceAccount};
pub use nearest::nearest as nearest_name;
pub use origin::{Origin, Place};
pub use reader::Listed;
pub use secret::MASK;
pub(crate) use secret::masked_name;
pub use sources::{Flags, Sources};
pub use value::{LogFormat, LogLevels, LoginBudget, format_duration, parse_duration};

use crate::domain::{Allowance, BudgetLimits, SiteId};
use layers::Layers;
use reader::Reader;
use table::Kind;
use value::Money;

/// When a conversation is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnalysisSettings {
    /// Silence after the last new message.
    pub quiet: Duration,
    /// Longest wait after the first new message; never less than `quiet`.
    pub max_wait: Duration,
}

/// How an account is collected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CollectSettings {
    /// From the begin of one pass to the begin of the next.
    pub pass_interval: Duration,
    /// From one sweep through every conversation to the next.
    pub reconcile_interval: Duration,
    /// How long the page may show news that is not stored.
    pub stale_after: Duration,
    /// How many logins may be tried.
    pub login_budget: LoginBudget,
    /// How long an account's lease lasts without a renewal.
    pub lease_ttl: Duration,
}

/// Which RabbitMQ.
#[derive(Debug, Clone)]
pub struct RabbitmqSettings {
    /// Its address with user and password.
    pub url: SecretString,
    /// Who vouches for it, besides those whom this system trusts.
    pub ca: Option<PathBuf>,
}

/// Where the mirror is.
#[derive(Debug, Clone)]
pub struct MirrorSettings {
    /// The Google sheet, if one is set.
    pub sheet: Option<GoogleSettings>,
    /// Whether the workbook is written; true if there is no sheet.
    pub workbook: bool,
}

/// What is logged, and how it looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogOptions {
    /// How much.
    pub levels: LogLevels,
    /// Where log files are kept beside stderr, if anywhere.
    pub folder: Option<PathBuf>,
    /// In which form.
    pub format: LogFormat,
    /// False if the user wants no colour (`NO_COLOR`, `TERM=dumb`), whatever the terminal can do.
    pub colour: bool,
}

/// The effective settings.
#[derive(Debug, Clone)]
pub struct Config {
    /// The folder of everything that is kept.
    pub data_dir: PathBuf,
    /// The folder of the operator's selector packs; it need not exist.
    pub selectors_dir: PathBuf,
    /// Where the status page listens; always loopback.
    pub http_addr: SocketAddr,
    /// Where monitors ask, if anywhere: health and numbers alone.
    pub metrics_addr: Option<SocketAddr>,
    /// Chromium.
    pub browser: BrowserSettings,
    /// The keys of kept logins, one per line; `None`: one of the data directory's own.
    pub session_key: Option<SecretString>,
    /// RabbitMQ; `None`: the embedded bus.
    pub rabbitmq: Option<RabbitmqSettings>,
    /// MongoDB's address with user and password; `None`: the embedded store.
    pub mongodb: Option<SecretString>,
    /// Where the mirror is.
    pub mirror: MirrorSettings,
    /// When a conversation is due.
    pub analysis: AnalysisSettings,
    /// The AI service; `None`: the built-in analyst.
    pub ai: Option<AiSettings>,
    /// What analyses by a service may cost.
    pub budgets: BudgetLimits,
    /// How an account is collected.
    pub collect: CollectSettings,
    /// Nothing is written outside.
    pub dry_run: bool,
    /// What is logged.
    pub log: LogOptions,
    /// How long a soft stop may take.
    pub drain_timeout: Duration,
    /// The accounts: those from variables by site, then those of the file in its order.
    pub accounts: Vec<AccountConfig>,
    /// What is not wrong but should be known, one sentence each, without secrets.
    pub warnings: Vec<String>,
    /// Every setting as `config show` gives it.
    pub listing: Vec<Listed>,
}

impl Config {
    /// Reads all settings. `known_sites` is told the operator's selectors folder, which is itself a
    /// setting, and names the sites that have a pack, there or built in.
    ///
    /// # Errors
    /// Everything that is wrong, at once: permanent, scope process.
    pub fn load(sources: Sources, known_sites: impl FnOnce(&Path) -> Vec<SiteId>) -> Result<Self, ConfigProblems> {
        let colour = !sources.refuses_colour();
        let default_data_dir = sources.default_data_dir();
        let mut problems = Vec::new();
        let layers = Layers::read(sources, &mut problems);
        let mut reader = Reader::new(layers, problems);
        let settings = reader.settings(&default_data_dir, colour);
        // Without a folder of packs there are still the built-in ones, so that accounts are judged too.
        let selectors_dir = settings.as_ref().map_or(PathBuf::new(), |config| config.selectors_dir.clone());
        let sites = known_sites(&selectors_dir);
        let (accounts, mut warnings) = reader.accounts(&sites);
        warnings.extend(settings.as_ref().map(Self::in_the_clear).unwrap_or_default());
        let (listing, problems) = reader.finish();
        match settings {
            Some(config) if problems.is_empty() => Ok(Self { accounts, warnings, listing, ..config }),
            _ => Err(ConfigProblems(problems)),
        }
    }

    /// Passwords and chats that would cross a network unencrypted.
    fn in_the_clear(&self) -> Vec<String> {
        let servers = [
            (table::RABBITMQ_URL.variable, "amqps://", self.rabbitmq.as_ref().map(|rabbitmq| &rabbitmq.url)),
            (table::MONGODB_URI.variable, "tls=true", self.mongodb.as_ref()),
        ];
        let warn = |(variable, remedy, address): (&str, &str, Option<&SecretString>)| {
            let hosts = server::in_the_clear(address?.expose_secret());
            (!hosts.is_empty()).then(|| {
                let hosts = hosts.join(", ");
                format!("{variable}: password and chats go to {hosts} unencrypted; use {remedy} unless that network is yours")
            })
        };
        servers.into_iter().filter_map(warn).collect()
    }
}

impl Reader {
    /// Every setting but accounts; `None` if one of them has no usable value.
    fn settings(&mut self, default_data_dir: &Path, colour: bool) -> Option<Config> {
        let data_dir = self.path(&table::DATA_DIR, Some(default_data_dir.to_owned()));
        let default_selectors = data_dir.as_ref().map(|dir| dir.join("selectors"));
        let selectors_dir = self.path(&table::SELECTORS_DIR, default_selectors);
        let http_addr = self.value(&table::HTTP_ADDR, parse_loopback);
        let metrics_addr = self.optional(&table::METRICS_ADDR, parse_address);
        let browser = self.browser();
        let session_key = self.session_key();
        let rabbitmq_url = self.server(&table::RABBITMQ_URL, server::is_amqp);
        let rabbitmq_ca = self.path(&table::RABBITMQ_CA_PATH, None);
        if rabbitmq_ca.is_some() && rabbitmq_url.is_none() {
            let complaint = format!("has no effect without {}", table::RABBITMQ_URL.variable);
            self.problem(&table::RABBITMQ_CA_PATH, complaint, "nothing".to_owned(), "remove it, or set the other");
        }
        if rabbitmq_ca.is_some() && rabbitmq_url.as_ref().is_some_and(|url| url.expose_secret().starts_with("amqp://"))
        {
            let complaint = format!("has no effect: {} is not encrypted", table::RABBITMQ_URL.variable);
            let remedy = "write amqps:// there, or remove it";
            self.problem(&table::RABBITMQ_CA_PATH, complaint, "amqps://".to_owned(), remedy);
        }
        let mongodb = self.server(&table::MONGODB_URI, server::is_mongo);
        let mirror = self.mirror();
        let quiet = self.duration(&table::ANALYSIS_QUIET);
        let max_wait = self.duration(&table::ANALYSIS_MAX_WAIT);
        let ai = self.ai(data_dir.as_deref());
        let budgets = self.budgets(ai.as_ref());
        let pass_interval = self.duration(&table::PASS_INTERVAL);
        let reconcile_interval = self.duration(&table::RECONCILE_INTERVAL);
        let stale_after = self.duration(&table::STALE_AFTER);
        let login_budget = self.value(&table::LOGIN_BUDGET, LoginBudget::parse);
        let lease_ttl = self.duration(&table::LEASE_TTL);
        let dry_run = self.value(&table::DRY_RUN, value::parse_bool);
        let levels = self.value(&table::LOG_LEVEL, LogLevels::parse);
        let log_dir = self.path(&table::LOG_DIR, None);
        let format = self.value(&table::LOG_FORMAT, LogFormat::parse);
        let drain_timeout = self.duration(&table::DRAIN_TIMEOUT);
        self.absent();
        if let (Some(quiet), Some(max_wait)) = (quiet, max_wait)
            && max_wait < quiet
        {
            let complaint = format!("is shorter than {} ({})", table::ANALYSIS_QUIET.variable, format_duration(quiet));
            let expected = format!("at least {}", format_duration(quiet));
            self.problem(&table::ANALYSIS_MAX_WAIT, complaint, expected, "raise it, or lower the other");
        }
        Some(Config {
            data_dir: data_dir?,
            selectors_dir: selectors_dir?,
            http_addr: http_addr?,
            metrics_addr,
            browser: browser?,
            session_key,
            rabbitmq: rabbitmq_url.map(|url| RabbitmqSettings { url, ca: rabbitmq_ca }),
            mongodb,
            mirror: mirror?,
            analysis: AnalysisSettings { quiet: quiet?, max_wait: max_wait? },
            ai: ai?,
            budgets,
            collect: CollectSettings {
                pass_interval: pass_interval?,
                reconcile_interval: reconcile_interval?,
                stale_after: stale_after?,
                login_budget: login_budget?,
                lease_ttl: lease_ttl?,
            },
            dry_run: dry_run?,
            log: LogOptions { levels: levels?, folder: log_dir, format: format?, colour },
            drain_timeout: drain_timeout?,
            accounts: Vec::new(),
            warnings: Vec::new(),
            listing: Vec::new(),
        })
    }

    /// The sheet needs both an id and a key; `None` if one of the settings has no usable value.
    fn mirror(&mut self) -> Option<MirrorSettings> {
        let sheet_id = self.optional(&table::GOOGLE_SHEET_ID, google::sheet_id);
        let path = self.path(&table::GOOGLE_CREDENTIALS_PATH, None);
        let api = self.value(&table::GOOGLE_SHEETS_API_URL, google::api_url);
        let workbook = self.value(&table::WORKBOOK, |word| matches!(word, "auto" | "on").then(|| word.to_owned()));
        let is_named = self.is_set(&table::GOOGLE_SHEET_ID);
        if is_named && path.is_none() {
            let complaint = format!("has no effect without {}", table::GOOGLE_CREDENTIALS_PATH.variable);
            let expected = "both or neither".to_owned();
            let fix = "set the other to the JSON key of a service account (docs/sheet.md), or remove this one";
            self.problem(&table::GOOGLE_SHEET_ID, complaint, expected, fix);
        }
        if !is_named && path.is_some() {
            let complaint = format!("has no effect without {}", table::GOOGLE_SHEET_ID.variable);
            let fix = "set the other to the sheet's address, or remove this one";
            self.problem(&table::GOOGLE_CREDENTIALS_PATH, complaint, "both or neither".to_owned(), fix);
        }
        let account = match path.as_deref().map(google::read_key) {
            Some(Err((complaint, expected, fix))) => {
                self.problem(&table::GOOGLE_CREDENTIALS_PATH, complaint, expected.to_owned(), &fix);
                None
            }
            Some(Ok(account)) => Some(account),
            None => None,
        };
        let (api, workbook) = (api?, workbook?);
        let sheet = sheet_id.zip(account).map(|(sheet_id, account)| GoogleSettings { sheet_id, account, api });
        Some(MirrorSettings { workbook: sheet.is_none() || workbook == "on", sheet })
    }

    /// What analyses may cost. `ai`: the service, `Some(None)` for the built-in analyst; `None` where its settings have
    /// a problem, which is told already.
    fn budgets(&mut self, ai: Option<&Option<AiSettings>>) -> BudgetLimits {
        use table::budget;
        let mut allowance = |tokens, cost| Allowance {
            tokens: self.optional(tokens, value::parse_tokens),
            cost_micros: self.optional(cost, Money::parse).map(|money| money.0),
        };
        let limits = BudgetLimits {
            conversation_day: allowance(&budget::CONVERSATION_DAY_TOKENS, &budget::CONVERSATION_DAY_COST),
            account_day: allowance(&budget::ACCOUNT_DAY_TOKENS, &budget::ACCOUNT_DAY_COST),
            month: allowance(&budget::MONTH_TOKENS, &budget::MONTH_COST),
        };
        let prices = [&table::AI_PRICE_INPUT, &table::AI_PRICE_OUTPUT].into_iter();
        let unset: Vec<&str> = prices.filter(|price| !self.is_set(price)).map(|price| price.variable).collect();
        let unset = unset.join(" and ");
        for setting in budget::ALL {
            let is_cost = setting.kind == Kind::Money;
            let (complaint, fix) = match ai.map(Option::as_ref) {
                Some(None) => {
                    let complaint = "has no effect: the built-in analyst costs nothing".to_owned();
                    (complaint, "set AI_PROVIDER, or remove this".to_owned())
                }
                // A price that was forgotten is none, and the budget would never be used up.
                Some(Some(_)) if is_cost && !unset.is_empty() => {
                    let complaint = format!("can't be kept without {unset}: the costs are not known");
                    (complaint, format!("set {unset} (0 for what is free), or limit the tokens instead"))
                }
                _ => continue,
            };
            if self.is_set(setting) {
                self.problem(setting, complaint, "nothing".to_owned(), &fix);
            }
        }
        limits
    }

    fn duration(&mut self, setting: &'static table::Setting) -> Option<Duration> {
        self.value(setting, |text| {
            let duration = parse_duration(text)?;
            let milliseconds = u64::try_from(duration.as_millis()).ok()?;
            match setting.kind {
                Kind::Duration(min, max) => {
                    milliseconds.validate_range(Some(min), Some(max), None, None).then_some(duration)
                }
                _ => Some(duration),
            }
        })
    }
}

/// An address of this machine: `127.0.0.1:8787`, `[::1]:8787`, `localhost:8787`.
fn parse_loopback(text: &str) -> Option<SocketAddr> {
    parse_address(text).filter(|address| address.ip().is_loopback())
}

fn parse_address(text: &str) -> Option<SocketAddr> {
    match text.strip_prefix("localhost:") {
        Some(port) => Some(SocketAddr::from(([127, 0, 0, 1], port.parse().ok()?))),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests;
