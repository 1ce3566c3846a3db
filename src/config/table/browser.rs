//! Settings of the browsers that are shared, and of what is kept of their logins.

use super::rows::{HOUR, ROW};
use super::{Kind, Setting};

const MINUTE: u64 = 60_000;

/// How many accounts share a browser.
pub static ACCOUNTS: Setting = Setting {
    variable: "CHATFERRY_BROWSER_ACCOUNTS",
    key: "browser.accounts",
    kind: Kind::Whole(1, 200),
    default: Some("20"),
    help: "How many accounts of a site may share one Chromium; a further one starts another.",
    obtain: "A further account costs about 40 MB in a shared one and 450 MB in one of its own; 1 shares nothing.",
    ..ROW
};

/// When a browser is replaced for its age.
pub static MAX_AGE: Setting = Setting {
    variable: "CHATFERRY_BROWSER_MAX_AGE",
    key: "browser.max_age",
    kind: Kind::Duration(MINUTE, 30 * 24 * HOUR),
    default: Some("12h"),
    help: "How long a Chromium serves before a new one takes its place, between two passes.",
    obtain: "Shorter where pages leak.",
    ..ROW
};

/// When a browser is replaced for its memory.
pub static MAX_MEMORY: Setting = Setting {
    variable: "CHATFERRY_BROWSER_MAX_MEMORY",
    key: "browser.max_memory",
    kind: Kind::Memory(256 << 20, 1 << 40),
    default: Some("2GiB"),
    help: "How much memory a Chromium with all its processes may take before a new one takes its place.",
    obtain: "Below what the machine, or the container's limit, leaves for it.",
    ..ROW
};

/// When a browser is replaced for its processes.
pub static MAX_PROCESSES: Setting = Setting {
    variable: "CHATFERRY_BROWSER_MAX_PROCESSES",
    key: "browser.max_processes",
    kind: Kind::Whole(5, 10_000),
    default: Some("200"),
    help: "How many processes a Chromium may have before a new one takes its place.",
    obtain: "About 10, and 1 to 3 more for each account; below a container's own limit.",
    ..ROW
};

/// The keys of kept sessions.
pub static SESSION_KEY: Setting = Setting {
    variable: "CHATFERRY_SESSION_KEY",
    key: "session.key",
    kind: Kind::Keys,
    computed: Some("a key drawn once, in the file `session.key` of the data directory"),
    secret: true,
    help: "The key that kept logins are sealed with; several, one per line: the first seals, all of them open.",
    obtain: "openssl rand -base64 32; to rotate, put the new one in a line above the old one.",
    ..ROW
};
