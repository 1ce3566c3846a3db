//! The durable way from the spool to the consumers.

use std::time::Duration;

use async_trait::async_trait;

use crate::domain::{EventId, EventType, SiteId};
use crate::fault::{AnyFault, Code};

/// The closed list of work queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Queue {
    /// Messages on their way into the store.
    Archive,
    /// Conversations that are due for analysis.
    Analyze,
    /// Changes that the mirror should show.
    Mirror,
}

impl Queue {
    /// Every work queue.
    pub const ALL: [Self; 3] = [Self::Archive, Self::Analyze, Self::Mirror];

    /// The name on the broker.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Archive => "chatferry.archive",
            Self::Analyze => "chatferry.analyze",
            Self::Mirror => "chatferry.mirror",
        }
    }
}

/// One event on its way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// The deterministic id: a queue that still holds it does not take it twice (a broker may).
    pub id: EventId,
    /// What it is: decides which queues get it.
    pub kind: EventType,
    /// The site: the last part of the routing key.
    pub site: SiteId,
    /// CloudEvents JSON.
    pub body: Vec<u8>,
}

/// One event in the hands of a consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The name of this delivery within its subscription, for [`Deliveries::settle`].
    pub tag: u64,
    /// The event's id.
    pub id: EventId,
    /// CloudEvents JSON.
    pub body: Vec<u8>,
    /// How many deliveries of this event ended in a failure before, counted by us.
    pub failures: u32,
    /// True if it was handed out before and never settled.
    pub redelivered: bool,
}

/// What becomes of a delivery. Nothing is settled before its effect is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settlement {
    /// The effect is durable: forget the event.
    Done,
    /// It failed: deliver it again after the delay, with one more failure counted.
    Retry {
        /// Shortest wait before the next delivery.
        after: Duration,
        /// What failed.
        code: Code,
    },
    /// No repetition helps: keep it among the dead letters.
    Dead {
        /// What failed.
        code: Code,
        /// One sentence without chat text.
        reason: String,
    },
    /// Not begun: hand it back, without counting a failure.
    HandBack,
}

/// How full a queue is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueDepth {
    /// Which queue.
    pub queue: Queue,
    /// Waiting, including those whose retry is not yet due.
    pub ready: u64,
    /// Handed out and not settled.
    pub in_flight: u64,
}

/// The bus.
#[async_trait]
pub trait Bus: Send + Sync {
    /// Publishes and waits until each event is durable in every queue that wants it. One outcome per
    /// event, in the order given.
    ///
    /// # Errors
    /// The outer error: nothing was published (retryable: `bus-unavailable`). An inner error: this
    /// event was not; `unroutable` if no queue wants it.
    async fn publish(&self, batch: &[Outgoing]) -> Result<Vec<Result<(), AnyFault>>, AnyFault>;

    /// Opens a subscription with at most `prefetch` unsettled deliveries. What an earlier subscription
    /// left unsettled comes again, `redelivered`.
    ///
    /// # Errors
    /// Retryable while the bus can't be reached.
    async fn subscribe(&self, queue: Queue, prefetch: u16) -> Result<Box<dyn Deliveries>, AnyFault>;

    /// How full each work queue is.
    ///
    /// # Errors
    /// Retryable while the bus can't be reached.
    async fn depths(&self) -> Result<Vec<QueueDepth>, AnyFault>;

    /// How many dead letters wait for a human.
    ///
    /// # Errors
    /// Retryable while the bus can't be reached.
    async fn dead_letters(&self) -> Result<u64, AnyFault>;
}

/// A subscription: an ordered stream of deliveries that must each be settled once.
#[async_trait]
pub trait Deliveries: Send {
    /// Waits for at least one delivery, then gives what is there, at most `max`. Deliveries come in
    /// the order of publishing, except that retries come when they are due.
    ///
    /// Cancel-safe: a delivery is either returned or stays with the bus.
    ///
    /// # Errors
    /// Retryable if the subscription broke: subscribe again.
    async fn next(&mut self, max: usize) -> Result<Vec<Delivery>, AnyFault>;

    /// Settles deliveries, durably. A tag that is unknown (already settled, or from before a
    /// reconnection) is passed over.
    ///
    /// # Errors
    /// Retryable: the deliveries will come again.
    async fn settle(&mut self, settlements: Vec<(u64, Settlement)>) -> Result<(), AnyFault>;
}
