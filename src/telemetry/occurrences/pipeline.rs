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
use crate::telemetry::metrics::catalogue as m;

/// Events are durable in every queue that wants them.
#[derive(Debug)]
pub struct EventPublished {
    /// How many.
    pub count: u64,
    /// From their giving to the bus to the last confirm.
    pub duration: Duration,
}

impl Occurrence for EventPublished {
    fn emit(self, counters: &Counters) {
        add(&counters.events_published, self.count);
        counters.series.observe(&m::PUBLISH_SECONDS, &[], self.duration);
        debug!(
            target: "chatferry::pipeline",
            { count = self.count, duration_ms = milliseconds(self.duration) },
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
        let outcome = match fault.code() {
            Code::Unroutable => "unroutable",
            Code::BrokerBlocked => "blocked",
            Code::QueueFull => "full",
            _ => "failed",
        };
        counters.series.add(&m::CONFIRMS, &[outcome], 1);
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
    /// How long ago the one was seen that waited longest.
    pub since_seen: Duration,
}

impl Occurrence for BatchArchived {
    fn emit(self, counters: &Counters) {
        let Self { inserted, revised, duplicates, duration, since_seen } = self;
        counters.series.observe(&m::STAGE_SECONDS, &["archive"], duration);
        counters.series.observe(&m::END_TO_END_SECONDS, &[], since_seen);
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
    /// Messages that it covers.
    pub messages: u64,
    /// Older messages that the analyst was not given.
    pub left_out: u64,
    /// How long the analyst took.
    pub duration: Duration,
}

impl Occurrence for AnalysisStored<'_> {
    fn emit(self, counters: &Counters) {
        let Self { account, conversation, analysis, messages, left_out, duration } = self;
        add(&counters.analyses_done, 1);
        counters.series.observe(&m::STAGE_SECONDS, &["analyze"], duration);
        debug!(
            target: "chatferry::pipeline",
            {
                account.id = %account, conversation.id = %conversation, analysis.id = %analysis, messages,
                messages.left_out = left_out, duration_ms = milliseconds(duration),
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
        counters.series.observe(&m::STAGE_SECONDS, &["mirror"], self.duration);
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

/// An effect was there already: a repetition by the bus, or work done before a crash.
#[derive(Debug)]
pub struct RepetitionRecognised<'o> {
    /// Which consumer.
    pub stage: &'o str,
    /// The event.
    pub event_id: EventId,
}

impl Occurrence for RepetitionRecognised<'_> {
    fn emit(self, counters: &Counters) {
        let Self { stage, event_id } = self;
        add(&counters.repetitions, 1);
        counters.series.add(&m::DUPLICATES, &[stage], 1);
        info!(target: "chatferry::pipeline", { stage, event.id = %event_id }, "repetition recognised");
    }
}

/// The pipeline became quiet: everything collected is stored, analysed and mirrored.
#[derive(Debug)]
pub struct PipelineDrained {
    /// How long that was waited for.
    pub duration: Duration,
}

impl Occurrence for PipelineDrained {
    fn emit(self, _: &Counters) {
        let duration_ms = milliseconds(self.duration);
        info!(target: "chatferry::pipeline", { duration_ms }, "everything collected is stored, analysed and mirrored");
    }
}

/// The process stops over a fault: going on would do harm.
#[derive(Debug)]
pub struct StoppedOverFault<'o> {
    /// Which part.
    pub who: &'o str,
    /// Why.
    pub fault: &'o AnyFault,
}

impl Occurrence for StoppedOverFault<'_> {
    fn emit(self, _: &Counters) {
        let Self { who, fault } = self;
        error!(
            target: "chatferry::pipeline",
            {
                consumer = who, error.code = fault.code().as_str(), error.class = fault.class().as_str(),
                error = fault.chain(), action = fault.action(),
            },
            "the process stops: going on would do harm"
        );
    }
}

/// A human had dead letters put back into their queues.
#[derive(Debug)]
pub struct DeadLettersReplayed<'o> {
    /// How many.
    pub count: u64,
    /// Which.
    pub ids: &'o [EventId],
}

impl Occurrence for DeadLettersReplayed<'_> {
    fn emit(self, counters: &Counters) {
        let Self { count, ids } = self;
        add(&counters.dead_letters_replayed, count);
        info!(target: "chatferry::pipeline", { count, event.ids = names(ids) }, "dead letters replayed");
    }
}

/// A human had dead letters forgotten.
#[derive(Debug)]
pub struct DeadLettersDropped<'o> {
    /// How many.
    pub count: u64,
    /// Which were named.
    pub ids: &'o [EventId],
}

impl Occurrence for DeadLettersDropped<'_> {
    fn emit(self, counters: &Counters) {
        let Self { count, ids } = self;
        add(&counters.dead_letters_dropped, count);
        warn!(target: "chatferry::pipeline", { count, event.ids = names(ids) }, "dead letters dropped");
    }
}

fn names(ids: &[EventId]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}
