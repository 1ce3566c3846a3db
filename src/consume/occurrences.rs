//! Everything that a consumer writes down, each occurrence in one place: field names are dotted by
//! entity, messages are constant, and chat text has no way in.

use std::time::Duration;

use crate::domain::{ConversationKey, EventId};
use crate::fault::AnyFault;
use crate::ports::{Archived, MirrorOutcome, Queue, Settlement};

/// An event was settled otherwise than as done.
pub fn settled(queue: Queue, id: &EventId, failures: u32, settlement: &Settlement) {
    let queue = queue.as_str();
    match settlement {
        Settlement::Done => tracing::trace!(queue, event.id = %id, "event done"),
        Settlement::HandBack => tracing::debug!(queue, event.id = %id, "event handed back"),
        Settlement::Retry { after, code } => tracing::warn!(
            queue, event.id = %id, error.code = code.as_str(), attempt = failures + 1, after_ms = millis(*after),
            "event failed; it is tried again"
        ),
        Settlement::Dead { code, reason } => tracing::error!(
            queue, event.id = %id, error.code = code.as_str(), attempt = failures + 1, error.reason = reason,
            "event became a dead letter"
        ),
    }
}

/// A batch failed over something that may be one event's fault.
pub fn batch_taken_apart(queue: Queue, events: usize, fault: &AnyFault) {
    let queue = queue.as_str();
    tracing::warn!(
        queue,
        events,
        error.code = fault.code().as_str(),
        error.reason = fault.chain(),
        "batch failed; its events are tried one by one"
    );
}

/// The consumer waits, for no event's fault.
pub fn backed_off(who: &str, setbacks: u32, wait: Duration, fault: &AnyFault) {
    tracing::warn!(
        consumer = who,
        setbacks,
        wait_ms = millis(wait),
        error.code = fault.code().as_str(),
        error.reason = fault.chain(),
        "consumer backs off"
    );
}

/// The process stops over a fault.
pub fn stopped(who: &str, fault: &AnyFault) {
    tracing::error!(
        consumer = who,
        error.code = fault.code().as_str(),
        error.class = fault.class().as_str(),
        error.reason = fault.chain(),
        error.action = fault.action(),
        "the process stops: going on would do harm"
    );
}

/// A batch reached the store.
pub fn archived(outcome: Archived) {
    tracing::debug!(
        messages.inserted = outcome.inserted,
        messages.revised = outcome.revised,
        messages.duplicates = outcome.duplicates,
        "messages stored"
    );
}

/// An effect was there already: a repetition by the bus, or work done before a crash.
pub fn duplicate_suppressed(stage: &'static str, id: &EventId) {
    tracing::info!(stage, event.id = %id, "repetition recognised");
}

/// Analyses were requested.
pub fn analyses_requested(conversations: usize) {
    tracing::debug!(conversations, "analyses requested");
}

/// An analysis was stored.
pub fn analysed(conversation: &ConversationKey, messages: u64, left_out: u64, took: Duration) {
    tracing::debug!(
        conversation.key = %conversation, messages, messages.left_out = left_out, duration_ms = millis(took),
        "conversation analysed"
    );
}

/// The mirror was written.
pub fn mirrored(outcome: &MirrorOutcome, took: Duration) {
    tracing::debug!(mirror.rows = outcome.rows, duration_ms = millis(took), "mirror written");
}

/// The mirror could not be written; what it shows is out of date.
pub fn mirror_failed(fault: &AnyFault) {
    tracing::warn!(
        error.code = fault.code().as_str(),
        error.reason = fault.chain(),
        error.action = fault.action(),
        "mirror not written"
    );
}

/// The pipeline became quiet.
pub fn drained(took: Duration) {
    tracing::info!(duration_ms = millis(took), "everything collected is stored, analysed and mirrored");
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
