//! The closed list of metrics: name, kind, labels and meaning of each, in one place.
//!
//! `docs/reference/metrics.md` is made from it, `deploy/prometheus/metrics.txt` is compared with it, and
//! dashboards and alerts may use nothing else. Values of labels come from closed sets (states, codes,
//! stages) or from the settings (accounts, sites); never from a chat.

/// What kind of number it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Only grows while the process lives.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Durations in seconds, in these upper limits of buckets.
    Histogram(&'static [f64]),
}

impl Kind {
    /// The word of the exposition format.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }
}

/// One metric.
#[derive(Debug, PartialEq)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// The names of its labels, in the order in which values are given.
    pub labels: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
}

/// Steps of work inside this machine.
const FAST: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Work that asks somebody else, or waits by design.
const SLOW: &[f64] = &[0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0];

macro_rules! metrics {
    ($($id:ident = $kind:expr, $name:literal [$($label:literal),*] $help:literal;)*) => {
        $(#[doc = $help] pub const $id: Metric = Metric { name: $name, kind: $kind, labels: &[$($label),*], help: $help };)*

        /// All of them, in the order of the reference.
        pub const ALL: &[&Metric] = &[$(&$id),*];
    };
}

metrics! {
    BUILD = Kind::Gauge, "chatferry_build_info" ["version"] "The running version; always 1.";
    PASSES = Kind::Counter, "chatferry_collect_passes_total" ["outcome"] "Passes over an account: completed, failed.";
    LAST_SUCCESS = Kind::Gauge, "chatferry_collect_last_success_timestamp_seconds" ["account"] "When a pass over the account was last completed.";
    ACCOUNT_STATE = Kind::Gauge, "chatferry_account_state" ["account", "state"] "1 for the state that the account is in, 0 for all others.";
    ACCOUNT_OUTDATED = Kind::Gauge, "chatferry_account_status_outdated" ["account"] "1 if the state of the account was not renewed in time, so that it can't be believed.";
    ACCOUNT_CHANGES = Kind::Counter, "chatferry_account_changes_total" ["state"] "Changes of an account's state, by the state it came to.";
    LOGINS = Kind::Counter, "chatferry_logins_attempted_total" [] "Logins that were tried.";
    COLLECTED = Kind::Counter, "chatferry_messages_collected_total" [] "Messages that were new to the collector.";
    SKIPPED = Kind::Counter, "chatferry_messages_skipped_total" ["reason"] "Messages or rows that were not kept, by reason.";
    GAPS = Kind::Counter, "chatferry_gaps_total" [] "Intervals found that could not be seen.";
    GAPS_OPEN = Kind::Gauge, "chatferry_gaps_open" [] "Intervals that could not be seen and are not yet covered.";
    FALLBACKS = Kind::Counter, "chatferry_selector_fallbacks_total" [] "Fields that began to match by a later alternative only.";
    PACK_GENERATION = Kind::Gauge, "chatferry_pack_generation" ["site"] "How often another version of the site's selector pack came into use.";
    SPOOL_PENDING = Kind::Gauge, "chatferry_spool_pending_events" [] "Events in the spool that the bus has not confirmed.";
    SPOOL_OLDEST = Kind::Gauge, "chatferry_spool_oldest_created_timestamp_seconds" [] "When the oldest event in the spool was made; 0 while there is none.";
    CONFIRMS = Kind::Counter, "chatferry_publish_confirms_total" ["outcome"] "Events given to the bus: ack, or what was wrong: unroutable, blocked, full, failed.";
    BLOCKED = Kind::Gauge, "chatferry_broker_blocked" [] "1 while the bus answers but takes no events.";
    QUEUE_MESSAGES = Kind::Gauge, "chatferry_queue_messages" ["queue"] "Events in a queue.";
    QUEUE_CONSUMERS = Kind::Gauge, "chatferry_queue_consumers" ["queue"] "Consumers of a queue, of all processes; not known of the embedded bus.";
    PROCESSED = Kind::Counter, "chatferry_events_processed_total" ["stage", "outcome"] "Deliveries that a consumer settled: done, retried, dead.";
    FAILED = Kind::Counter, "chatferry_events_failed_total" ["stage", "error_type"] "Deliveries that failed, by failure code.";
    DUPLICATES = Kind::Counter, "chatferry_duplicates_suppressed_total" ["stage"] "Repetitions that changed nothing.";
    DEAD_TOTAL = Kind::Counter, "chatferry_dead_letters_total" ["reason"] "Events that became dead letters, by failure code.";
    DEAD = Kind::Gauge, "chatferry_dead_letters" [] "Dead letters that wait for a human.";
    STAGE_SECONDS = Kind::Histogram(SLOW), "chatferry_stage_duration_seconds" ["stage"] "How long a stage worked on a batch or a conversation.";
    PUBLISH_SECONDS = Kind::Histogram(FAST), "chatferry_publish_duration_seconds" [] "How long a batch of events took from the spool to its last confirm.";
    END_TO_END_SECONDS = Kind::Histogram(SLOW), "chatferry_end_to_end_seconds" [] "From seeing a message in the page to having it stored; of each batch the longest.";
    STORED = Kind::Counter, "chatferry_messages_stored_total" [] "Messages stored for the first time.";
    ANALYSES = Kind::Counter, "chatferry_analyses_total" ["outcome"] "Analyses: done, carried, reused, postponed.";
    AI_CALLS = Kind::Counter, "chatferry_ai_calls_total" ["outcome"] "Requests to the AI service: done, failed.";
    AI_TOKENS = Kind::Counter, "chatferry_ai_tokens_total" ["type"] "Tokens that the AI service charged for: input, output.";
    AI_COST = Kind::Counter, "chatferry_ai_cost_micros_total" [] "What the AI service cost, in millionths of the currency of the prices.";
    BREAKER = Kind::Gauge, "chatferry_breaker_state" ["dep"] "Whether calls are made, as of the last one: 0 all, 1 a few to see, 2 none.";
    BUDGET_USED = Kind::Gauge, "chatferry_budget_used_ratio" ["window"] "The used share of the budget of the month, in its tightest limit; 0 without one.";
    MIRROR_WRITES = Kind::Counter, "chatferry_mirror_writes_total" ["outcome"] "Writes of the mirror: done, failed.";
    MIRROR_LAST = Kind::Gauge, "chatferry_mirror_last_write_timestamp_seconds" [] "When the mirror was last written or found up to date.";
    BROWSERS = Kind::Counter, "chatferry_browser_starts_total" [] "Browsers that were started.";
    RESTARTS = Kind::Counter, "chatferry_browser_restarts_total" ["reason"] "Browsers that ended before their pages did: lost, recycled.";
    BROWSER_PROCESSES = Kind::Gauge, "chatferry_browser_processes" [] "Processes of all browsers, as of the last look.";
    BROWSER_MEMORY = Kind::Gauge, "chatferry_browser_memory_bytes" [] "Memory of all browsers, where what the processes of one share counts once.";
    LIVE_MISSED = Kind::Counter, "chatferry_live_missed_total" [] "Messages that a sweep found and the page had not told.";
    STALE = Kind::Counter, "chatferry_stale_total" [] "Times that an account was found stale.";
    SETBACKS = Kind::Counter, "chatferry_consumer_setbacks_total" [] "Waits of a consumer for no event's fault.";
    LATE_TASKS = Kind::Counter, "chatferry_late_tasks_total" [] "Tasks that a stop did not wait for.";
    DB_SIZE = Kind::Gauge, "chatferry_db_size_bytes" ["database"] "Size of a database file in the data directory, with its journal: chatferry, spool.";
    DISK_FREE = Kind::Gauge, "chatferry_disk_free_bytes" [] "Bytes that are free on the disk of the data directory.";
    PART_UP = Kind::Gauge, "chatferry_part_up" ["part"] "1 if the part answers, 0 if it does not.";
}

/// The list for people, as Markdown.
pub fn reference() -> String {
    let mut text = "# Metrics\n\nEvery metric that `/metrics` gives beside those of the process (`process_*`). Values of labels come \
                    from closed\nsets (states, failure codes, stages) or from the settings (accounts), never from a chat.\n\n\
                    | name | kind | labels | what it says |\n|---|---|---|---|\n"
        .to_owned();
    for metric in ALL {
        let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let Metric { name, kind, help, .. } = metric;
        text.push_str(&format!("| `{name}` | {} | {} | {help} |\n", kind.as_str(), labels.join(" ")));
    }
    text
}
