//! What happens to events between spool and mirror. Target: `chatferry::pipeline`.
//!
//! Queues are named by their text (`Queue::as_str`), because telemetry lies below the ports.

use std::time::Duration;

use tracing::{debug, error, info, warn};

use super::{Occurrence, milliseconds};
use crate::domain::{AccountId, AnalysisId, ConversationKey, EventId};
use crate::fault::{AnyFault, Code};
use crate::telemetry::Counters;
use crate::telemetry::counters::add;

/// Events are durable in every queue that wants them.
#[derive(Debug)]
pub struct EventPublished {
    /// How many.
    pub count: u64,
}

impl Occurrence for EventPublished {
    fn emit(self, counters: &Counters) {
        add(&counters.events_published, self.count);
        debug!(
            target: "chatferry::pipeline",
            { count = self.count },
            "events published"
        );
    }
}

/// Events could not be published; they wait in the spool.
#[derive(Debug)]
pub struct PublishFailed<'o> {
    /// Why.
    pub fault: &'o AnyFault,
}

impl Occurrence for PublishFailed<'_> {
    fn emit(self, counters: &Counters) {
        let fault = self.fault;
        add(&counters.publish_failures, 1);
        warn!(
            target: "chatferry::pipeline",
            { error.code = fault.code().as_str(), error.class = fault.class().as_str(), error = fault.chain() },
            "publish failed"
        );
    }
}

/// A batch of captured messages is in the store.
#[derive(Debug)]
pub struct BatchArchived {
    /// Stored for the first time.
    pub inserted: u64,
    /// Known, with new content or a new position.
    pub revised: u64,
    /// Known and unchanged.
    pub duplicates: u64,
    /// How long it took.
    pub duration: Duration,
}

impl Occurrence for BatchArchived {
    fn emit(self, counters: &Counters) {
        let Self { inserted, revised, duplicates, duration } = self;
        add(&counters.messages_stored, inserted);
        add(&counters.messages_revised, revised);
        add(&counters.messages_duplicate, duplicates);
        debug!(
            target: "chatferry::pipeline",
            { inserted, revised, duplicates, duration_ms = milliseconds(duration) },
            "batch archived"
        );
    }
}

/// A conversation is due: its analysis was asked for.
#[derive(Debug)]
pub struct AnalysisDue<'o> {
    /// The account that sees it.
    pub account: &'o AccountId,
    /// Which conversation.
    pub conversation: ConversationKey,
}

impl Occurrence for AnalysisDue<'_> {
    fn emit(self, counters: &Counters) {
        add(&counters.analyses_requested, 1);
        debug!(
            target: "chatferry::pipeline",
            { account.id = %self.account, conversation.id = %self.conversation },
            "analysis due"
        );
    }
}

/// An analysis is in the store.
#[derive(Debug)]
pub struct AnalysisStored<'o> {
    /// The account that sees the conversation.
    pub account: &'o AccountId,
    /// Which conversation.
    pub conversation: ConversationKey,
    /// The analysis.
    pub analysis: AnalysisId,
    /// How long the analyst took.
    pub duration: Duration,
}

impl Occurrence for AnalysisStored<'_> {
    fn emit(self, counters: &Counters) {
        let Self { account, conversation, analysis, duration } = self;
        add(&counters.analyses_done, 1);
        debug!(
            target: "chatferry::pipeline",
            {
                account.id = %account, conversation.id = %conversation, analysis.id = %analysis,
                duration_ms = milliseconds(duration),
            },
            "analysis stored"
        );
    }
}

/// The mirror shows the store.
#[derive(Debug)]
pub struct MirrorWritten {
    /// Rows that it holds.
    pub rows: u64,
    /// How long it took.
    pub duration: Duration,
}

impl Occurrence for MirrorWritten {
    fn emit(self, counters: &Counters) {
        add(&counters.mirror_writes, 1);
        info!(
            target: "chatferry::pipeline",
            { rows = self.rows, duration_ms = milliseconds(self.duration) },
            "mirror written"
        );
    }
}

/// The mirror shows what it showed before.
#[derive(Debug)]
pub struct MirrorFailed<'o> {
    /// Why.
    pub fault: &'o AnyFault,
}

impl Occurrence for MirrorFailed<'_> {
    fn emit(self, counters: &Counters) {
        let fault = self.fault;
        add(&counters.mirror_failures, 1);
        warn!(
            target: "chatferry::pipeline",
            {
                error.code = fault.code().as_str(), error.class = fault.class().as_str(), error = fault.chain(),
                action = fault.action(),
            },
            "mirror failed"
        );
    }
}

/// A delivery failed and will come again.
#[derive(Debug)]
pub struct DeliveryRetried<'o> {
    /// The queue's name.
    pub queue: &'o str,
    /// The event.
    pub event_id: EventId,
    /// What failed.
    pub code: Code,
    /// How often it has failed by now.
    pub failures: u32,
}

impl Occurrence for DeliveryRetried<'_> {
    fn emit(self, counters: &Counters) {
        let Self { queue, event_id, code, failures } = self;
        add(&counters.retries, 1);
        warn!(
            target: "chatferry::pipeline",
            { queue, event.id = %event_id, error.code = code.as_str(), failures },
            "delivery will be retried"
        );
    }
}

/// A delivery became a dead letter and waits for a human.
#[derive(Debug)]
pub struct DeliveryDead<'o> {
    /// The queue's name.
    pub queue: &'o str,
    /// The event.
    pub event_id: EventId,
    /// What failed.
    pub code: Code,
    /// One sentence without chat text.
    pub reason: &'o str,
    /// How often it had failed before.
    pub failures: u32,
}

impl Occurrence for DeliveryDead<'_> {
    fn emit(self, counters: &Counters) {
        let Self { queue, event_id, code, reason, failures } = self;
        add(&counters.dead_letters, 1);
        error!(
            target: "chatferry::pipeline",
            {
                queue, event.id = %event_id, error.code = code.as_str(), error = reason, failures,
                action = code.action(),
            },
            "delivery is a dead letter"
        );
    }
}
