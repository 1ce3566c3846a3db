//! The rows of the table: those in force, in the order of `config show`, then those of later versions.

use super::ai::*;
use super::{Kind, Presence, Setting, browser, budget};

pub(super) const ROW: Setting = Setting {
    variable: "",
    aliases: &[],
    key: "",
    flag: None,
    kind: Kind::Text,
    default: None,
    computed: None,
    secret: false,
    environment_only: false,
    presence: Presence::InForce,
    help: "",
    obtain: "",
};

pub(super) const SECOND: u64 = 1_000;
pub(super) const HOUR: u64 = 3_600 * SECOND;

/// The folder of everything that is kept.
pub static DATA_DIR: Setting = Setting {
    variable: "CHATFERRY_DATA_DIR",
    key: "data_dir",
    flag: Some("--data-dir"),
    kind: Kind::Path,
    computed: Some("$XDG_DATA_HOME/chatferry, else ~/.local/share/chatferry, else /var/lib/chatferry"),
    help: "The folder that holds the database, the kept logins and the workbook.",
    obtain: "Any folder on a local disk that only the daemon's user can enter.",
    ..ROW
};

/// The folder of the operator's selector packs.
pub static SELECTORS_DIR: Setting = Setting {
    variable: "CHATFERRY_SELECTORS_DIR",
    key: "selectors.dir",
    kind: Kind::Path,
    computed: Some("the folder `selectors` in the data directory"),
    help: "The folder of your own selector packs, <site>.toml; they go before the built-in ones.",
    obtain: "Any folder that you can edit while the daemon runs.",
    ..ROW
};

/// Where the status page listens.
pub static HTTP_ADDR: Setting = Setting {
    variable: "CHATFERRY_HTTP_ADDR",
    key: "http.addr",
    kind: Kind::LoopbackAddress,
    default: Some("127.0.0.1:8787"),
    help: "Where the status page and the health checks listen; loopback only, because the page has no login yet.",
    obtain: "Any free port; for access from elsewhere use an SSH tunnel.",
    ..ROW
};

/// Where monitors ask.
pub static METRICS_ADDR: Setting = Setting {
    variable: "CHATFERRY_METRICS_ADDR",
    key: "metrics.addr",
    kind: Kind::Address,
    computed: Some("no listener beside the status page's"),
    help: "Where /metrics, /livez, /readyz and /startupz are answered for monitors, beside the status page's address; any \
           address may be used, because no chat is shown there. The names of accounts, such as demo/default, are.",
    obtain: "Any free port that only your monitoring can reach.",
    ..ROW
};

/// Whether Chromium runs without a window.
pub static BROWSER_HEADLESS: Setting = Setting {
    variable: "CHATFERRY_BROWSER_HEADLESS",
    aliases: &["PUPPETEER_HEADLESS"],
    key: "browser.headless",
    kind: Kind::Bool,
    default: Some("true"),
    help: "Whether Chromium runs without a window.",
    obtain: "false needs a display; it is for watching a login by eye.",
    ..ROW
};

/// Which Chromium.
pub static CHROMIUM_PATH: Setting = Setting {
    variable: "CHROMIUM_PATH",
    key: "browser.chromium_path",
    kind: Kind::Path,
    computed: Some("the first chromium or google-chrome on PATH"),
    help: "The Chromium to start.",
    obtain: "Debian: apt-get install chromium, then `command -v chromium`.",
    ..ROW
};

/// Gives up Chromium's sandbox.
pub static BROWSER_NO_SANDBOX: Setting = Setting {
    variable: "CHATFERRY_BROWSER_NO_SANDBOX",
    key: "browser.no_sandbox",
    kind: Kind::OnlyTrue,
    computed: Some("the sandbox is on"),
    environment_only: true,
    help: "1 gives up Chromium's sandbox: a hostile page that breaks the renderer then has the daemon's rights.",
    obtain: "Only where user namespaces can't be had, and never beside other people's data.",
    ..ROW
};

/// Silence after the last new message before a conversation is analysed.
pub static ANALYSIS_QUIET: Setting = Setting {
    variable: "CHATFERRY_ANALYSIS_QUIET",
    key: "analysis.quiet",
    kind: Kind::Duration(0, 24 * HOUR),
    default: Some("90s"),
    help: "How long a conversation must be silent before it is analysed.",
    obtain: "Longer costs fewer analyses, shorter gives fresher ones.",
    ..ROW
};

/// Longest wait for that silence.
pub static ANALYSIS_MAX_WAIT: Setting = Setting {
    variable: "CHATFERRY_ANALYSIS_MAX_WAIT",
    key: "analysis.max_wait",
    kind: Kind::Duration(0, 7 * 24 * HOUR),
    default: Some("5m"),
    help: "After this time a conversation is analysed even if it is never silent.",
    obtain: "At least CHATFERRY_ANALYSIS_QUIET.",
    ..ROW
};

/// How often each account is looked at.
pub static PASS_INTERVAL: Setting = Setting {
    variable: "CHATFERRY_PASS_INTERVAL",
    key: "collect.pass_interval",
    kind: Kind::Duration(SECOND, 24 * HOUR),
    default: Some("60s"),
    help: "How often `chatferry run` looks through an account whose list does not tell of news, or that has gaps.",
    obtain: "Mind the site: a person would hardly look more often than once a minute. News that the page shows needs no pass.",
    ..ROW
};

/// How often every conversation is looked through, whatever the list says.
pub static RECONCILE_INTERVAL: Setting = Setting {
    variable: "CHATFERRY_RECONCILE_INTERVAL",
    key: "collect.reconcile_interval",
    kind: Kind::Duration(SECOND, 24 * HOUR),
    default: Some("30m"),
    help: "How often `chatferry run` looks through every conversation to prove that watching missed nothing.",
    obtain: "Each sweep opens every conversation once: mind the site.",
    ..ROW
};

/// How long the page may show news that is not stored.
pub static STALE_AFTER: Setting = Setting {
    variable: "CHATFERRY_STALE_AFTER",
    key: "collect.stale_after",
    kind: Kind::Duration(SECOND, 24 * HOUR),
    default: Some("5m"),
    help: "How long the page may show news that is not stored before the account counts as stale.",
    obtain: "Shorter finds a silent failure earlier; a slow site needs longer.",
    ..ROW
};

/// How many logins may be tried.
pub static LOGIN_BUDGET: Setting = Setting {
    variable: "CHATFERRY_LOGIN_BUDGET",
    key: "collect.login_budget",
    kind: Kind::LoginBudget,
    default: Some("2/30m"),
    help: "How many logins an account may try in which time; after that it is parked for a human.",
    obtain: "Stay below what the site takes for an attack.",
    ..ROW
};

/// Nothing is written outside.
pub static DRY_RUN: Setting = Setting {
    variable: "DRY_RUN",
    key: "dry_run",
    flag: Some("--dry-run"),
    kind: Kind::Bool,
    default: Some("false"),
    help: "Say what would be done, and publish, store, mirror and analyse nothing.",
    obtain: "true for a first look at a new account.",
    ..ROW
};

/// How much is logged.
pub static LOG_LEVEL: Setting = Setting {
    variable: "LOG_LEVEL",
    key: "log.level",
    kind: Kind::LogLevels,
    default: Some("info"),
    help: "How much is logged.",
    obtain: "error, warn, info, debug or trace; single modules as info,chatferry::collect=debug.",
    ..ROW
};

/// What a log line looks like.
pub static LOG_FORMAT: Setting = Setting {
    variable: "LOG_FORMAT",
    key: "log.format",
    flag: Some("--log-format"),
    kind: Kind::Choice(&["text", "json"]),
    default: Some("text"),
    help: "What a log line on stderr looks like.",
    obtain: "text for people, json for log collectors.",
    ..ROW
};

/// Where log files are kept.
pub static LOG_DIR: Setting = Setting {
    variable: "LOG_DIR",
    key: "log.dir",
    kind: Kind::Path,
    computed: Some("no files are kept"),
    help: "A folder for log files beside what stderr shows: JSON lines, one file a day, the last 14 kept.",
    obtain: "Leave it empty under systemd or Docker, which keep stderr.",
    ..ROW
};

/// How long a soft stop may take.
pub static DRAIN_TIMEOUT: Setting = Setting {
    variable: "CHATFERRY_DRAIN_TIMEOUT",
    key: "drain_timeout",
    kind: Kind::Duration(0, HOUR),
    default: Some("20s"),
    help: "How long a stop may take to finish the work in hand; what is late is stopped hard and comes again.",
    obtain: "At least 5s below the supervisor's own limit (systemd: TimeoutStopSec, Docker: stop_grace_period).",
    ..ROW
};

/// How long an account waits for a process that died.
pub static LEASE_TTL: Setting = Setting {
    variable: "CHATFERRY_LEASE_TTL",
    key: "lease.ttl",
    kind: Kind::Duration(2 * SECOND, HOUR),
    default: Some("30s"),
    help: "How long an account stays with a process that no longer renews its lease; then another one may take it.",
    obtain: "Shorter means a faster takeover, and less patience with a store that is slow or away.",
    ..ROW
};

/// The variables that hold addresses of servers, which may hold passwords.
pub const SERVERS: [&str; 2] = [RABBITMQ_URL.variable, MONGODB_URI.variable];

/// RabbitMQ instead of the embedded bus.
pub static RABBITMQ_URL: Setting = Setting {
    variable: "RABBITMQ_URL",
    key: "bus.rabbitmq_url",
    kind: Kind::AmqpUrl,
    computed: Some("the embedded bus, a queue in the data directory"),
    secret: true,
    help: "Where RabbitMQ is; without it the events stay in the data directory.",
    obtain: "amqps://user:password@host/vhost, of a user who may configure, write and read what begins with chatferry.",
    ..ROW
};

/// Who vouches for the broker.
pub static RABBITMQ_CA_PATH: Setting = Setting {
    variable: "RABBITMQ_CA_PATH",
    key: "bus.rabbitmq_ca_path",
    kind: Kind::Path,
    computed: Some("the certificates that this system trusts"),
    help: "The certificate of the authority that vouches for RabbitMQ, for amqps:// with a private one.",
    obtain: "The PEM file that whoever runs the broker gives out.",
    ..ROW
};

/// MongoDB instead of the embedded store.
pub static MONGODB_URI: Setting = Setting {
    variable: "MONGODB_URI",
    key: "store.mongodb_uri",
    kind: Kind::MongoUri,
    computed: Some("the embedded store, a database in the data directory"),
    secret: true,
    help: "Where MongoDB is; without it everything is stored in the data directory.",
    obtain: "mongodb://user:password@host/database or mongodb+srv://, of a user with readWrite and dbAdmin on it.",
    ..ROW
};

/// The sheet instead of the workbook.
pub static GOOGLE_SHEET_ID: Setting = Setting {
    variable: "GOOGLE_SHEET_ID",
    key: "mirror.google_sheet_id",
    kind: Kind::SheetId,
    computed: Some("no sheet: the mirror is a workbook in the data directory"),
    help: "Which Google sheet is the mirror; needs GOOGLE_CREDENTIALS_PATH too.",
    obtain: "Make an empty sheet and copy its address from the browser; docs/sheet.md goes through it.",
    ..ROW
};

/// Who writes the sheet.
pub static GOOGLE_CREDENTIALS_PATH: Setting = Setting {
    variable: "GOOGLE_CREDENTIALS_PATH",
    key: "mirror.google_credentials_path",
    kind: Kind::Path,
    computed: Some("no files are kept"),
    help: "The JSON key of the service account that writes the sheet, a file of mode 0600.",
    obtain: "Google Cloud console: IAM, service accounts, keys, add key; then share the sheet with its address as editor.",
    ..ROW
};

/// Where Google is.
pub static GOOGLE_SHEETS_API_URL: Setting = Setting {
    variable: "GOOGLE_SHEETS_API_URL",
    key: "mirror.google_sheets_api_url",
    kind: Kind::ApiUrl,
    default: Some(crate::config::google::SHEETS_API),
    help: "Where the Google Sheets API is.",
    obtain: "Leave it, unless requests must go through a gateway of yours.",
    ..ROW
};

/// The workbook beside the sheet.
pub static WORKBOOK: Setting = Setting {
    variable: "CHATFERRY_WORKBOOK",
    key: "workbook",
    kind: Kind::Choice(&["auto", "on"]),
    default: Some("auto"),
    help: "Whether summaries.xlsx and summaries.csv are written: auto where no Google sheet is set, on beside it too.",
    obtain: "on keeps a copy of the chats' summaries on this machine.",
    ..ROW
};

const fn absent(variable: &'static str, key: &'static str, instead: &'static str) -> Setting {
    Setting { variable, key, presence: Presence::Absent { instead, allowed: &[] }, ..ROW }
}

const fn absent_secret(variable: &'static str, key: &'static str, instead: &'static str) -> Setting {
    Setting { secret: true, ..absent(variable, key, instead) }
}

pub(super) static LATER: [Setting; 2] = [
    absent_secret("SENTRY_DSN", "telemetry.sentry_dsn", "this version sends no error reports"),
    absent("OTEL_EXPORTER_OTLP_ENDPOINT", "telemetry.otlp_endpoint", "this version sends no traces"),
];

pub(super) static IN_FORCE: [&Setting; 53] = [
    &DATA_DIR,
    &SELECTORS_DIR,
    &HTTP_ADDR,
    &METRICS_ADDR,
    &BROWSER_HEADLESS,
    &CHROMIUM_PATH,
    &BROWSER_NO_SANDBOX,
    &browser::ACCOUNTS,
    &browser::MAX_AGE,
    &browser::MAX_MEMORY,
    &browser::MAX_PROCESSES,
    &browser::SESSION_KEY,
    &RABBITMQ_URL,
    &RABBITMQ_CA_PATH,
    &MONGODB_URI,
    &GOOGLE_SHEET_ID,
    &GOOGLE_CREDENTIALS_PATH,
    &GOOGLE_SHEETS_API_URL,
    &WORKBOOK,
    &ANALYSIS_QUIET,
    &ANALYSIS_MAX_WAIT,
    &AI_PROVIDER,
    &AI_API_URL,
    &AI_API_KEY,
    &AI_MODEL,
    &AI_MASK,
    &AI_PRICE_INPUT,
    &AI_PRICE_OUTPUT,
    &AI_REQUESTS_PER_MINUTE,
    &AI_CONCURRENCY,
    &AI_TIMEOUT,
    &AI_CONTEXT_TOKENS,
    &AI_MAX_OUTPUT_TOKENS,
    &AI_PROMPTS_DIR,
    &AI_PROMPT_VERSION,
    &AI_TEMPERATURE,
    &AI_TOP_P,
    &budget::CONVERSATION_DAY_TOKENS,
    &budget::CONVERSATION_DAY_COST,
    &budget::ACCOUNT_DAY_TOKENS,
    &budget::ACCOUNT_DAY_COST,
    &budget::MONTH_TOKENS,
    &budget::MONTH_COST,
    &PASS_INTERVAL,
    &RECONCILE_INTERVAL,
    &STALE_AFTER,
    &LOGIN_BUDGET,
    &LEASE_TTL,
    &DRY_RUN,
    &LOG_LEVEL,
    &LOG_DIR,
    &LOG_FORMAT,
    &DRAIN_TIMEOUT,
];
