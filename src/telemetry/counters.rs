//! How often things happened since the process began: atomics in a struct, and beside them the metrics that
//! need labels.
//!
//! Shared as `Arc<Counters>`; only [`super::occurrences`] counts. What has no label is counted once, here, and
//! [`Counters::render`] gives it to the metrics under its name in the catalogue.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::domain::AccountState;

use super::metrics::{Metric, Series, catalogue as m};

/// Declares a counter once: its field, its snapshot and its meaning.
macro_rules! counters {
    ($($(#[doc = $doc:literal])* $name:ident;)*) => {
        /// Counts of the whole process, each growing from 0.
        #[derive(Debug, Default)]
        pub struct Counters {
            $($(#[doc = $doc])* pub(super) $name: AtomicU64,)*
            pub(super) series: Series,
        }

        /// The counts at one moment; each is exact, their sum need not be.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
        pub struct CounterSnapshot { $($(#[doc = $doc])* pub $name: u64,)* }

        impl Counters {
            /// The counts now.
            pub fn snapshot(&self) -> CounterSnapshot {
                CounterSnapshot { $($name: self.$name.load(Ordering::Relaxed),)* }
            }
        }

        impl CounterSnapshot {
            /// Name, value and meaning of every count, in the order of declaration.
            pub fn entries(&self) -> Vec<(&'static str, u64, &'static str)> {
                vec![$((stringify!($name), self.$name, concat!($($doc),*).trim_ascii()),)*]
            }
        }
    };
}

counters! {
    /// Passes that were completed.
    passes_completed;
    /// Passes that ended in a fault.
    passes_failed;
    /// Logins that were tried.
    logins_attempted;
    /// Times that a login was found not to survive a restart, or not to have survived one.
    sessions_lost;
    /// Changes of an account's state.
    account_changes;
    /// Times that an account began to flip to and fro.
    account_flaps;
    /// Times that an account was found in another process's hands.
    accounts_held_elsewhere;
    /// Leases taken, lost, or not kept as they should be.
    lease_changes;
    /// Conversations that were opened and read.
    conversations_read;
    /// Messages that were new to the collector.
    messages_collected;
    /// Rows that look like messages and hold nothing to keep.
    rows_left_out;
    /// Fields that only a later alternative of their selector matched.
    selector_fallbacks;
    /// Times that an account went over to an edited pack.
    packs_promoted;
    /// Edited packs that were not taken.
    packs_refused;
    /// Intervals that could not be seen.
    gaps_recorded;
    /// New or changed messages that a page told by itself.
    messages_told;
    /// Messages that watching had missed and a sweep found.
    live_missed;
    /// Times that an account looked as if it were no longer fed.
    stale_suspected;
    /// Times that an account was found stale.
    stale_found;
    /// Tellings of a page that could not be read.
    tellings_unreadable;
    /// Events that every queue wanting them holds durably.
    events_published;
    /// Attempts to publish that failed.
    publish_failures;
    /// Messages stored for the first time.
    messages_stored;
    /// Known messages stored with new content or a new position.
    messages_revised;
    /// Messages that the store knew already.
    messages_duplicate;
    /// Analyses that were asked for.
    analyses_requested;
    /// Analyses that were stored.
    analyses_done;
    /// Requests to the AI service.
    ai_calls;
    /// Requests to the AI service that failed.
    ai_failures;
    /// Tokens that the AI service read.
    ai_input_tokens;
    /// Tokens that the AI service wrote.
    ai_output_tokens;
    /// Times that the AI service was left alone for a while.
    ai_rests;
    /// What the AI service cost, in millionths of the currency of the prices.
    ai_cost_micros;
    /// Analyses that were carried forward, because nothing new called for one.
    analyses_carried;
    /// Analyses for which the answer to the same question was used again.
    answers_reused;
    /// Times that an analysis waited for its budget.
    analyses_postponed;
    /// Times that a budget was nearly or wholly used up.
    budget_warnings;
    /// Times that the mirror was written.
    mirror_writes;
    /// Times that the mirror could not be written.
    mirror_failures;
    /// Deliveries that failed and will come again.
    retries;
    /// Deliveries that became dead letters.
    dead_letters;
    /// Dead letters that a human put back.
    dead_letters_replayed;
    /// Dead letters that a human dropped.
    dead_letters_dropped;
    /// Waits of a consumer for no event's fault.
    consumer_setbacks;
    /// Events whose effect was there already.
    repetitions;
    /// Chromium processes that were started.
    browser_starts;
    /// Chromium processes that ended without being asked to.
    browser_losses;
    /// Chromium processes that had served long enough.
    browser_retirements;
    /// Tasks that a stop did not wait for.
    late_tasks;
}

impl Counters {
    /// The metrics that are no counts of things that happened: set when somebody asks.
    pub const fn series(&self) -> &Series {
        &self.series
    }

    /// The free bytes on the disk of the data directory.
    #[allow(clippy::cast_precision_loss)] // a page more or less tells nobody anything
    pub fn disk_has(&self, free: u64) {
        self.series.set(&m::DISK_FREE, &[], free as f64);
    }

    /// All metrics in the Prometheus text format.
    pub fn render(&self) -> String {
        let n = self.snapshot();
        let totals: [(&Metric, &[&str], u64); 29] = [
            (&m::PASSES, &["completed"], n.passes_completed),
            (&m::PASSES, &["failed"], n.passes_failed),
            (&m::LOGINS, &[], n.logins_attempted),
            (&m::COLLECTED, &[], n.messages_collected),
            (&m::SKIPPED, &["unreadable_row"], n.rows_left_out),
            (&m::SKIPPED, &["known_to_store"], n.messages_duplicate),
            (&m::GAPS, &[], n.gaps_recorded),
            (&m::FALLBACKS, &[], n.selector_fallbacks),
            (&m::CONFIRMS, &["ack"], n.events_published),
            (&m::STORED, &[], n.messages_stored),
            (&m::DUPLICATES, &["archive"], n.messages_duplicate),
            (&m::ANALYSES, &["done"], n.analyses_done),
            (&m::ANALYSES, &["carried"], n.analyses_carried),
            (&m::ANALYSES, &["reused"], n.answers_reused),
            (&m::ANALYSES, &["postponed"], n.analyses_postponed),
            (&m::AI_CALLS, &["done"], n.ai_calls.saturating_sub(n.ai_failures)),
            (&m::AI_CALLS, &["failed"], n.ai_failures),
            (&m::AI_TOKENS, &["input"], n.ai_input_tokens),
            (&m::AI_TOKENS, &["output"], n.ai_output_tokens),
            (&m::AI_COST, &[], n.ai_cost_micros),
            (&m::MIRROR_WRITES, &["done"], n.mirror_writes),
            (&m::MIRROR_WRITES, &["failed"], n.mirror_failures),
            (&m::BROWSERS, &[], n.browser_starts),
            (&m::RESTARTS, &["lost"], n.browser_losses),
            (&m::RESTARTS, &["recycled"], n.browser_retirements),
            (&m::LIVE_MISSED, &[], n.live_missed),
            (&m::STALE, &[], n.stale_found),
            (&m::LATE_TASKS, &[], n.late_tasks),
            (&m::SETBACKS, &[], n.consumer_setbacks),
        ];
        for (metric, values, total) in totals {
            self.series.raise(metric, values, total);
        }
        self.begin_at_zero();
        self.series.render()
    }
}

impl Counters {
    /// Counters with labels are there before the first event, or nobody would see an increase by it. Not those
    /// labelled with failure codes: there are too many that never come.
    fn begin_at_zero(&self) {
        for stage in ["archive", "analyze", "mirror"] {
            for outcome in ["done", "retried", "dead"] {
                self.series.raise(&m::PROCESSED, &[stage, outcome], 0);
            }
        }
        for outcome in ["unroutable", "blocked", "full", "failed"] {
            self.series.raise(&m::CONFIRMS, &[outcome], 0);
        }
        for state in AccountState::ALL {
            self.series.raise(&m::ACCOUNT_CHANGES, &[state.as_str()], 0);
        }
        self.series.raise(&m::DUPLICATES, &["analyze"], 0);
    }
}

/// Adds to a counter. Relaxed, because no other memory depends on it.
pub(super) fn add(counter: &AtomicU64, n: u64) {
    counter.fetch_add(n, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_with_closed_labels_begin_at_zero() {
        let text = Counters::default().render();
        for line in [
            r#"chatferry_events_processed_total{stage="mirror",outcome="dead"} 0"#,
            r#"chatferry_publish_confirms_total{outcome="unroutable"} 0"#,
            r#"chatferry_publish_confirms_total{outcome="ack"} 0"#,
            r#"chatferry_account_changes_total{state="parked"} 0"#,
            "chatferry_live_missed_total 0",
        ] {
            assert!(text.lines().any(|known| known == line), "{line}\n{text}");
        }
    }

    #[test]
    fn a_snapshot_is_named_as_the_counters_are() {
        let counters = Counters::default();
        add(&counters.retries, 2);
        add(&counters.retries, 1);
        let snapshot = counters.snapshot();
        assert_eq!(snapshot, CounterSnapshot { retries: 3, ..CounterSnapshot::default() });
        let json = serde_json::to_value(snapshot).unwrap();
        let entries = snapshot.entries();
        assert_eq!(json.as_object().unwrap().len(), entries.len());
        for (name, value, meaning) in entries {
            assert_eq!(json[name], value);
            assert!(meaning.ends_with('.') && !meaning.starts_with(' '), "{meaning:?}");
        }
    }
}
