//! What becomes of the deliveries of a queue. Target: `chatferry::pipeline`.

use std::time::Duration;

use tracing::{debug, error, warn};

use super::{Occurrence, milliseconds};
use crate::domain::EventId;
use crate::fault::{AnyFault, Code};
use crate::telemetry::Counters;
use crate::telemetry::counters::add;
use crate::telemetry::metrics::catalogue as m;

/// Deliveries are settled: their effects are durable.
#[derive(Debug)]
pub struct DeliveriesDone<'o> {
    /// The queue's name.
    pub queue: &'o str,
    /// How many.
    pub count: u64,
}

impl Occurrence for DeliveriesDone<'_> {
    fn emit(self, counters: &Counters) {
        counters.series.add(&m::PROCESSED, &[stage(self.queue), "done"], self.count);
        debug!(target: "chatferry::pipeline", { queue = self.queue, count = self.count }, "deliveries done");
    }
}

/// The stage that a queue leads to, as metrics name it.
fn stage(queue: &str) -> &str {
    queue.strip_prefix("chatferry.").unwrap_or(queue)
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
        counters.series.add(&m::FAILED, &[stage(queue), code.as_str()], 1);
        counters.series.add(&m::PROCESSED, &[stage(queue), "retried"], 1);
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
        counters.series.add(&m::FAILED, &[stage(queue), code.as_str()], 1);
        counters.series.add(&m::PROCESSED, &[stage(queue), "dead"], 1);
        counters.series.add(&m::DEAD_TOTAL, &[code.as_str()], 1);
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

/// A batch failed over something that may be one event's fault.
#[derive(Debug)]
pub struct BatchTakenApart<'o> {
    /// The queue's name.
    pub queue: &'o str,
    /// How many events it held.
    pub events: usize,
    /// Why it failed.
    pub fault: &'o AnyFault,
}

impl Occurrence for BatchTakenApart<'_> {
    fn emit(self, _: &Counters) {
        let Self { queue, events, fault } = self;
        warn!(
            target: "chatferry::pipeline",
            { queue, events, error.code = fault.code().as_str(), error = fault.chain() },
            "batch failed; its events are tried one by one"
        );
    }
}

/// A consumer waits, for no event's fault.
#[derive(Debug)]
pub struct ConsumerBackedOff<'o> {
    /// Its queue, or its name.
    pub who: &'o str,
    /// How often in a row.
    pub setbacks: u32,
    /// How long.
    pub wait: Duration,
    /// Why.
    pub fault: &'o AnyFault,
}

impl Occurrence for ConsumerBackedOff<'_> {
    fn emit(self, counters: &Counters) {
        let Self { who, setbacks, wait, fault } = self;
        add(&counters.consumer_setbacks, 1);
        warn!(
            target: "chatferry::pipeline",
            {
                consumer = who, setbacks, wait_ms = milliseconds(wait), error.code = fault.code().as_str(),
                error = fault.chain(),
            },
            "consumer backs off"
        );
    }
}
