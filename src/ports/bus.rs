//! The durable way from the spool to the consumers.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

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
    /// Nobody is to blame and the time has not come: deliver it again after the delay, without counting a
    /// failure, however often.
    Wait {
        /// Shortest wait before the next delivery; a broker may keep it to an hour.
        after: Duration,
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
    /// Who consumes it, in all processes; `None` where the bus does not count them.
    pub consumers: Option<u64>,
}

/// Whether the bus can be used now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BusState {
    /// It takes and gives events.
    Connected,
    /// It can't be reached; every use tries again.
    Reconnecting,
    /// It gives events but takes none.
    Blocked {
        /// The broker's words.
        reason: String,
    },
}

/// One event that waits for a human.
#[derive(Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The event.
    pub id: EventId,
    /// The queue that it came from, and returns to when it is replayed.
    pub queue: Queue,
    /// The CloudEvents type.
    pub kind: String,
    /// The failure's stable name.
    pub code: String,
    /// One sentence without chat text.
    pub reason: String,
    /// How many deliveries failed, the last one included.
    pub failures: u32,
    /// When the first one did.
    pub first_failed_at: Timestamp,
    /// When the last one did.
    pub failed_at: Timestamp,
    /// Host and process that gave up, as `host/pid`, where several may share the work.
    pub failed_on: Option<String>,
    /// CloudEvents JSON: may hold chat text.
    pub body: Vec<u8>,
}

impl std::fmt::Debug for DeadLetter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DeadLetter({} {} {}, {} bytes)", self.queue.as_str(), self.id, self.code, self.body.len())
    }
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

    /// How many events are best published together: enough to hide what every batch waits for at its end.
    fn batch(&self) -> usize {
        1000
    }

    /// Makes sure that every queue is there and gets what it wants, should somebody have deleted one. A
    /// publication alone does not show it as long as any other queue, such as a stranger's, takes the event.
    ///
    /// # Errors
    /// Retryable while the bus can't be reached; permanent if a queue is there with other arguments.
    async fn ensure(&self) -> Result<(), AnyFault> {
        Ok(())
    }

    /// Opens a subscription with at most `prefetch` unsettled deliveries. What an earlier subscription
    /// left unsettled comes again, `redelivered`.
    ///
    /// # Errors
    /// Retryable while the bus can't be reached.
    async fn subscribe(&self, queue: Queue, prefetch: u16) -> Result<Box<dyn Deliveries>, AnyFault>;

    /// How full each work queue is. A queue is never said to be empty while an event that this bus
    /// published or handed out is on its way through it. A retry that another process ordered is counted
    /// on every queue, since a broker does not tell whose it is.
    ///
    /// # Errors
    /// Retryable while the bus can't be reached.
    async fn depths(&self) -> Result<Vec<QueueDepth>, AnyFault>;

    /// How many dead letters wait for a human.
    ///
    /// # Errors
    /// Retryable while the bus can't be reached.
    async fn dead_letters(&self) -> Result<u64, AnyFault>;

    /// The dead letters, the oldest failure first.
    ///
    /// # Errors
    /// Retryable while the bus can't be reached.
    async fn list_dead(&self) -> Result<Vec<DeadLetter>, AnyFault>;

    /// Puts dead letters back at the end of the queues that they came from, with no failure counted;
    /// returns how many there were. An id that is no dead letter is passed over, so this is harmless to
    /// repeat: the event keeps its id, and every consumer knows what it has done before.
    ///
    /// # Errors
    /// Retryable while the bus can't be reached. Some may then be in both places, none in neither.
    async fn replay_dead(&self, ids: &[EventId]) -> Result<u64, AnyFault>;

    /// Forgets dead letters for good; returns how many there were. An id that is no dead letter is
    /// passed over.
    ///
    /// # Errors
    /// Retryable while the bus can't be reached.
    async fn drop_dead(&self, ids: &[EventId]) -> Result<u64, AnyFault>;

    /// Tries the way of an event where no consumer looks: publishes one, takes it, and leaves nothing.
    ///
    /// # Errors
    /// What keeps events from going that way.
    async fn probe(&self) -> Result<(), AnyFault>;

    /// Whether it can be used now; never waits.
    fn state(&self) -> BusState {
        BusState::Connected
    }

    /// Lets go of connections, within some seconds; to be called before the runtime ends. Everything
    /// unsettled comes again.
    async fn close(&self) {}
}

/// A subscription: an ordered stream of deliveries that must each be settled once.
#[async_trait]
pub trait Deliveries: Send {
    /// Waits for at least one delivery, then gives what is there, at most `max`. Deliveries come in
    /// the order of publishing, except that retries come when they are due, and that a broker may give
    /// what another subscription left in any order.
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
