//! What can go wrong, in one vocabulary: every failure has a class (can it be tried again?), a scope
//! (how much must stop?) and a code (what is it called, and what should a human do?).
//!
//! Each module keeps its own `thiserror` enum and implements [`Fault`] for it with exhaustive matches;
//! [`AnyFault`] carries one across a port. Nothing here knows what a browser or a database is.
//!
//! Architecture invariant: a fault's text never holds chat text, a credential or a URL with a query.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

/// Whether trying again can help, and what becomes of the work in hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The same attempt may succeed later; `after` is a wait that the other side asked for.
    Retryable {
        /// Shortest wait before the next attempt, if the other side named one.
        after: Option<Duration>,
    },
    /// No repetition helps: the event becomes a dead letter, the account is parked.
    Permanent,
    /// Going on would lose or damage data: nothing is acknowledged, the scope stops.
    Critical,
}

impl Class {
    /// Retryable without a wished-for delay.
    pub const RETRY: Self = Self::Retryable { after: None };

    /// True for [`Class::Retryable`].
    pub const fn is_retryable(self) -> bool {
        matches!(self, Self::Retryable { .. })
    }

    /// The word used in logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Retryable { .. } => "retryable",
            Self::Permanent => "permanent",
            Self::Critical => "critical",
        }
    }
}

/// How much must stop because of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// One event; its neighbours go on.
    Event,
    /// One account; the others go on.
    Account,
    /// Every account of one site (a pack that no longer fits).
    Site,
    /// The whole process stops softly.
    Process,
}

impl Scope {
    /// The word used in logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Account => "account",
            Self::Site => "site",
            Self::Process => "process",
        }
    }
}

/// Declares the closed list of codes once: variant, name and the action for a human.
macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $action:literal;)*) => {
        /// The closed list of failure names: metric label, dead-letter header and runbook anchor.
        ///
        /// `docs/runbook.md` has one section per code (held by `tests/tidy.rs`).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code { $($(#[$doc])* $variant,)* }

        impl Code {
            /// Every code, in the order of the runbook.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable name, in kebab case.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What a human should do, in one sentence, when the fault itself knows nothing better.
            pub const fn action(self) -> &'static str {
                match self { $(Self::$variant => $action,)* }
            }
        }
    };
}

codes! {
    /// The settings contradict each other or hold a value that can't be used.
    ConfigInvalid = "config-invalid", "Correct the settings named in the report; `chatferry config check` repeats it.";
    /// The data directory can't be created, entered or written.
    DataDirUnusable = "data-dir-unusable", "Give the daemon's user write access to the data directory, or choose another with --data-dir.";
    /// Another process holds the data directory.
    DataDirLocked = "data-dir-locked", "Stop the other chatferry that uses this data directory, or choose another with --data-dir.";
    /// A database file failed its integrity check.
    DataCorrupt = "data-corrupt", "Restore the data directory from a backup; the damaged file was kept beside it.";
    /// The disk, or the page limit of a database, is full.
    DiskFull = "disk-full", "Free disk space; capture goes on by itself.";
    /// A database statement failed for a reason that is ours.
    DatabaseFailed = "database-failed", "Report this with the log line; the data on disk is unchanged.";
    /// MongoDB can't be reached, has no primary, or does not answer in time.
    StoreUnavailable = "store-unavailable", "Check that MongoDB runs, has a primary, and that this machine can reach it; work goes on by itself.";
    /// MongoDB refused the login, or the user may not do what is needed.
    StoreRefused = "store-refused", "Correct user, password and authSource in MONGODB_URI, and give the user the roles readWrite and dbAdmin on the database.";
    /// Another process has taken the account over; what this one still wanted to write is out of date.
    LeaseLost = "lease-lost", "Nothing at once: the process that holds the account goes on. If it repeats, look for a machine that stops for longer than the lease.";
    /// A selector pack can't be read or breaks a rule.
    PackInvalid = "pack-invalid", "Correct the selector pack at the line named; `chatferry selectors check` repeats the report.";
    /// An edited selector pack does not match the site; the one before stays in use.
    PackRefused = "pack-refused", "Correct the query named, or go back with `chatferry selectors rollback SITE`; the pack before is used meanwhile.";
    /// Another process collects the account.
    AccountHeld = "account-held", "Nothing: the other process collects it. To collect here, stop that one first.";
    /// No pack exists for the named site.
    PackUnknown = "pack-unknown", "Name an existing pack, or put <site>.toml into the selectors folder.";
    /// The owner has not yet acknowledged the site's terms for an unverified pack.
    TermsNotAcknowledged = "terms-not-acknowledged", "Read the site's terms and set terms_acknowledged = true on the account.";
    /// No Chromium was found.
    ChromiumMissing = "chromium-missing", "Install Chromium (Debian: apt-get install chromium) or set CHROMIUM_PATH.";
    /// Chromium was found but did not start.
    ChromiumFailed = "chromium-failed", "Start the Chromium named in the message by hand and read what it prints.";
    /// Chromium's sandbox is not in force.
    SandboxUnavailable = "sandbox-unavailable", "Allow unprivileged user namespaces for the daemon's user; CHATFERRY_BROWSER_NO_SANDBOX=1 gives the protection up.";
    /// The browser process ended.
    BrowserGone = "browser-gone", "Nothing at once: it is started again. If it repeats, look at memory limits.";
    /// A page's renderer crashed.
    PageCrashed = "page-crashed", "Nothing at once: the page is opened again. If it repeats, look at memory limits.";
    /// A script of the page does not end, so that the page answers nothing.
    PageHung = "page-hung", "Nothing at once: the page is closed and opened again. If it repeats, open the site in a normal browser and see whether it hangs there too.";
    /// A step in the page did not end in time.
    PageTimeout = "page-timeout", "Nothing at once: it is tried again. If it repeats, the site is slow or the pack waits for the wrong thing.";
    /// The browser refused what we asked, or answered nonsense.
    BrowserProtocol = "browser-protocol", "Nothing at once: it is tried again. If it repeats, report it with the Chromium version.";
    /// The site did not answer, or answered with a server error.
    SiteUnreachable = "site-unreachable", "Check that the site is up and that this machine can reach it.";
    /// The site refused user name or password.
    BadCredentials = "bad-credentials", "Correct the account's user name and password, then start chatferry again.";
    /// The site asks for another proof than a CAPTCHA or a code.
    Challenge = "challenge", "Log in by hand once from this machine and answer the site, then run `chatferry accounts resume <ID>`.";
    /// The site shows a CAPTCHA.
    Captcha = "captcha", "Log in by hand once from this machine and solve the CAPTCHA, then run `chatferry accounts resume <ID>`.";
    /// The site wants a one-time code.
    OneTimeCode = "one-time-code", "Log in by hand once from this machine and enter the code, then run `chatferry accounts resume <ID>`.";
    /// The site wants a new password before it lets anybody in.
    PasswordChange = "password-change", "Choose a new password on the site by hand, put it into the account's settings, then start chatferry again.";
    /// The site has locked the account.
    Locked = "locked", "Follow the site's instructions to unlock the account, then run `chatferry accounts resume <ID>`.";
    /// The site ended our session in the middle of a pass.
    LoggedOut = "logged-out", "Nothing at once: it logs in again. If it repeats, somebody else may be using the account.";
    /// The site accepts the login and ends the session again at once.
    LoggedOutElsewhere = "logged-out-elsewhere", "Find out who else uses the account and end that session, then run `chatferry accounts resume <ID>`.";
    /// What is logged in would not survive a restart.
    SessionNotSaved = "session-not-saved", "Nothing at once: the account goes on. Each restart will cost a login; keep CHATFERRY_LOGIN_BUDGET in mind, and see the runbook for the causes.";
    /// What was kept of a login can't be read.
    SessionUnreadable = "session-unreadable", "Nothing at once: it logs in again. If CHATFERRY_SESSION_KEY was changed, add the old key in a line below the new one and start again.";
    /// The login budget is used up.
    LoginBudget = "login-budget", "Find out why the session does not last before more logins are tried, because the site may lock the account; then run `chatferry accounts resume <ID>`.";
    /// The login ended in a page that no declared outcome describes.
    LoginUnclear = "login-unclear", "Look at the site's login by hand and correct [login] in the pack; `chatferry selectors probe` shows what matches.";
    /// The page no longer has the shape that the pack describes.
    LayoutBroken = "layout-broken", "Run `chatferry selectors probe` for the site and correct the query that it names.";
    /// The page never came to show anything that the pack knows.
    PageNotRendered = "page-not-rendered", "Check that the site works in a normal browser; then check the markers under [pages].";
    /// A required field was missing, or a fallback matched instead of the first choice.
    SelectorsDrifted = "selectors-drifted", "Bring the first alternative of the query up to date; until then the fallback is used.";
    /// The page shows news that is not stored within the set time.
    StaleNews = "stale-news", "Open the site in a normal browser: if the news can be read there, run `chatferry selectors probe` for the site; else it is the site's own trouble.";
    /// The site answers, and nothing new comes for far longer than is usual for the account.
    StaleQuiet = "stale-quiet", "Open the site in a normal browser and compare: if it shows newer messages than chatferry, run `chatferry selectors probe` for the site.";
    /// Older messages exist but could not be loaded.
    HistoryIncomplete = "history-incomplete", "Nothing is lost that was seen; raise the limits under [history] to reach further back.";
    /// The broker accepted an event that no queue wants.
    Unroutable = "unroutable", "Restore the queue bindings; the events wait in the spool.";
    /// The bus can't be reached.
    BusUnavailable = "bus-unavailable", "Check the broker; events wait in the spool and go out by themselves.";
    /// The broker refused the connection: credentials, virtual host, permissions or certificate.
    BusRefused = "bus-refused", "Correct the broker's address: user, password, virtual host, permissions, or the certificate authority.";
    /// The broker takes no events for the time being: its memory or disk alarm is on.
    BrokerBlocked = "broker-blocked", "Free memory or disk space on the broker; events wait in the spool and go out by themselves.";
    /// A queue holds as many events as it may.
    QueueFull = "queue-full", "Find out why its consumers fall behind; events wait in the spool and go out by themselves.";
    /// A queue or exchange exists with other arguments than ours.
    TopologyMismatch = "topology-mismatch", "Compare the queue named in the message; when it is empty, delete it, and it is declared anew.";
    /// The broker gave an event out too often without an answer.
    DeliveryLimit = "delivery-limit", "Look in the log for what ended the consumers, mend it, then replay the dead letter.";
    /// An event can't be read: not ours, or of an unknown version.
    EventInvalid = "event-invalid", "Look at the dead letter; upgrade if it comes from a newer version.";
    /// An event refers to something that the store does not hold.
    EventOrphaned = "event-orphaned", "Nothing at once: it is tried again. If it becomes a dead letter, replay it after the archive has caught up.";
    /// The process ended again and again with this event in hand.
    EventDeadly = "event-deadly", "Look at the last log lines before each end of the process, mend the cause, then replay the dead letter.";
    /// An event failed more often than the retry schedule allows.
    AttemptsExhausted = "attempts-exhausted", "Mend the cause named in the dead letter, then replay it.";
    /// The AI service takes no more requests for now.
    AiRateLimited = "ai-rate-limited", "Nothing at once: the events wait. If it repeats, lower AI_REQUESTS_PER_MINUTE or ask the vendor for more.";
    /// The account with the AI service is used up.
    AiQuotaExhausted = "ai-quota-exhausted", "Pay for more, or raise the limit in the vendor's console; the events wait and go on by themselves.";
    /// The answer did not fit into its limit.
    AiCutOff = "ai-cut-off", "Raise AI_MAX_OUTPUT_TOKENS, start again, then replay the dead letters with --code ai-cut-off.";
    /// The model will not answer about this conversation.
    AiRefused = "ai-refused", "Read the conversation yourself; another model may answer.";
    /// The answer can't be used.
    AiInvalid = "ai-invalid", "If it repeats, choose another AI_MODEL, then replay the dead letters with --code ai-invalid.";
    /// The question was not accepted.
    AiRejected = "ai-rejected", "Correct the AI settings (AI_CONTEXT_TOKENS, AI_MAX_OUTPUT_TOKENS, AI_TEMPERATURE, AI_TOP_P), then replay the dead letters with --code ai-rejected.";
    /// The AI service can't be reached, or fails.
    AiUnreachable = "ai-unreachable", "Check AI_API_URL, that the service runs, and that this machine can reach it; the events wait and go on by themselves.";
    /// The AI service refuses the key.
    AiAuth = "ai-auth", "Put a valid key into the file of AI_API_KEY_FILE, which counts at once, or set AI_API_KEY and start again; the events wait.";
    /// The AI service does not know the model.
    AiModelUnknown = "ai-model-unknown", "Correct AI_MODEL, or AI_API_URL up to and with /v1, and start again; the events wait.";
    /// An answer gave away what it must not.
    AiQuarantined = "ai-quarantined", "Read the conversation yourself: somebody in it writes for machines. Nothing of the answer was kept.";
    /// This machine's clock is wrong by minutes: Google, for one, takes no signature of it.
    ClockOff = "clock-off", "Set this machine's clock, best by NTP (timedatectl set-ntp true).";
    /// What analyses may cost is used up for the day or the month.
    AiBudget = "ai-budget", "Nothing: analyses go on when the next day or month (UTC) begins. To go on at once, raise the AI_BUDGET_ setting and start chatferry again.";
    /// An analysis was asked for by a version of the question that there is not.
    PromptUnknown = "prompt-unknown", "Name a version that there is: `chatferry analyze --prompt-version x` lists them.";
    /// The mirror could not be written.
    MirrorFailed = "mirror-failed", "Close the workbook in other programs and check the folder's permissions.";
    /// The service account may not read or write the sheet.
    SheetNotShared = "sheet-not-shared", "Share the sheet as editor with the service account's address, which the message names; the mirror goes on by itself.";
    /// There is no sheet of this id, or none that the service account knows of.
    SheetMissing = "sheet-missing", "Open the sheet in a browser, copy its address into GOOGLE_SHEET_ID, and start chatferry again.";
    /// Google refuses the service account's key, or the file that holds it is none.
    SheetCredentials = "sheet-credentials", "Put the JSON key of a service account where GOOGLE_CREDENTIALS_PATH points, and start chatferry again.";
    /// Google's quota of requests is used up for the moment.
    SheetRateLimited = "sheet-rate-limited", "Nothing at once: what waits is written when Google allows it. If it stays, look for another program that uses the same service account or project.";
    /// Google Sheets can't be reached, answers with an error of its own, or the answer was lost.
    SheetUnavailable = "sheet-unavailable", "Nothing at once: it is tried again. If it stays, check that this machine can reach sheets.googleapis.com and oauth2.googleapis.com.";
    /// A header of ours was renamed, moved, doubled or deleted, or a tab of our name is somebody else's.
    SheetColumns = "sheet-columns", "Put the header that the message names back where it was; the mirror goes on by itself within a minute.";
    /// The spreadsheet holds as many cells as Google allows.
    SheetFull = "sheet-full", "Delete tabs, rows or columns that nobody needs from the spreadsheet, or name a new one in GOOGLE_SHEET_ID.";
    /// Another process writes the sheet.
    SheetHeld = "sheet-held", "Nothing: the other process writes the sheet. To write it from here, stop that one first.";
    /// The folder for log files can't be made or written.
    LogDirUnusable = "log-dir-unusable", "Give the daemon's user write access to the folder in LOG_DIR, or choose another.";
    /// The address for HTTP is in use or not ours.
    HttpAddressUnusable = "http-address-unusable", "Stop the other program on this address, or set CHATFERRY_HTTP_ADDR or CHATFERRY_METRICS_ADDR to a free one.";
    /// A person has paused the account.
    Paused = "paused", "Nothing: this was asked for. `chatferry accounts resume <ID>` goes on.";
    /// An order names an account that the daemon does not have.
    AccountUnknown = "account-unknown", "Name an account that there is: `chatferry accounts list`.";
    /// The account is not in a state in which the order means anything.
    OrderRefused = "order-refused", "Look at the account's state first: `chatferry accounts list`.";
    /// An account was stopped by shutdown.
    Stopped = "stopped", "Nothing: this was asked for.";
    /// A defect of ours.
    Internal = "internal", "Report this with the log line.";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl serde::Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> serde::Deserialize<'de> for Code {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::parse(&name).ok_or_else(|| serde::de::Error::custom(format!("unknown failure code {name:?}")))
    }
}

impl Code {
    /// The code of this name, if there is one.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str() == name)
    }
}

/// An error that says what must follow from it.
///
/// `Display` gives one sentence without the cause; the cause is [`StdError::source`].
pub trait Fault: StdError + Send + Sync + 'static {
    /// Whether trying again can help.
    fn class(&self) -> Class;
    /// How much must stop.
    fn scope(&self) -> Scope;
    /// The stable name.
    fn code(&self) -> Code;
    /// What a human should do; the code's own sentence unless the fault knows better.
    fn action(&self) -> String {
        self.code().action().to_owned()
    }
}

/// Any fault, boxed: the error type of every port.
///
/// Like `anyhow::Error` it does not implement [`StdError`], so that `?` converts every [`Fault`].
pub struct AnyFault(Box<dyn Fault>);

impl AnyFault {
    /// Whether trying again can help.
    pub fn class(&self) -> Class {
        self.0.class()
    }
    /// How much must stop.
    pub fn scope(&self) -> Scope {
        self.0.scope()
    }
    /// The stable name.
    pub fn code(&self) -> Code {
        self.0.code()
    }
    /// What a human should do.
    pub fn action(&self) -> String {
        self.0.action()
    }
    /// The sentence and its causes, outermost first, joined by `: `.
    pub fn chain(&self) -> String {
        let mut text = self.0.to_string();
        let mut cause = self.0.source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}

impl<F: Fault> From<F> for AnyFault {
    fn from(fault: F) -> Self {
        Self(Box::new(fault))
    }
}

impl fmt::Display for AnyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for AnyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, {}): {}", self.code(), self.class().as_str(), self.scope().as_str(), self.chain())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_kebab_case_and_parse_back() {
        for (index, code) in Code::ALL.iter().enumerate() {
            let name = code.as_str();
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{name}");
            assert_eq!(Code::parse(name), Some(*code));
            assert!(Code::ALL[..index].iter().all(|other| other.as_str() != name), "{name} twice");
            assert!(code.action().ends_with('.'), "{name}: the action is a sentence");
        }
    }

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] std::io::Error);
    impl Fault for Outer {
        fn class(&self) -> Class {
            Class::RETRY
        }
        fn scope(&self) -> Scope {
            Scope::Event
        }
        fn code(&self) -> Code {
            Code::Internal
        }
    }

    #[test]
    fn the_chain_names_the_causes_once() {
        let fault = AnyFault::from(Outer(std::io::Error::other("inner")));
        assert_eq!(fault.to_string(), "outer");
        assert_eq!(fault.chain(), "outer: inner");
    }
}
