//! The topology as data: which queue wants which events, and what everything is called on a broker.
//!
//! One place for every adapter, so that the embedded bus and a real broker can't route differently.
//! Nothing here connects to anything.

use std::time::Duration;

use crate::domain::EventType;
use crate::ports::Queue;

/// The topic exchange that every event is published to.
pub const EXCHANGE: &str = "chatferry.events";

/// Where dead letters wait for a human.
pub const DEAD_QUEUE: &str = "chatferry.dead";

/// The header that counts the failed deliveries of an event; the broker's own count depends on its
/// version (facts: 4.3 no longer counts a nack).
pub const ATTEMPT_HEADER: &str = "x-chatferry-attempt";

/// The waits that a broker offers, shortest first, as [`crate::resilience::LADDER`] wants them: one queue
/// with a message TTL each, since a broker looks only at the head of a queue for what has expired.
///
/// Each name is also that of a direct exchange. An event is published there under the name of its work
/// queue, and dead-lettered with that key through the default exchange, which routes by queue name: so it
/// returns to the one queue whose consumer failed, and to no other.
pub const RETRY_DELAYS: [(Duration, &str); 5] = [
    (Duration::from_millis(250), "chatferry.retry.250ms"),
    (Duration::from_secs(5), "chatferry.retry.5s"),
    (Duration::from_secs(60), "chatferry.retry.1m"),
    (Duration::from_secs(600), "chatferry.retry.10m"),
    (Duration::from_secs(3600), "chatferry.retry.1h"),
];

/// How often a broker gives one event out before it buries it itself. Every lost subscription counts
/// for all that was prefetched, also while a store is away for days (a setback of up to 30 s and a call of up
/// to 30 s each time), so this must lie far above that; poison is counted by us, in [`ATTEMPT_HEADER`].
pub const DELIVERY_LIMIT: u32 = 10_000;

/// The same for queues that are only looked at, or that nobody takes from: no number of looks reaches it.
const LOOK_LIMIT: u32 = 1_000_000_000;

/// How many events a queue holds at most. Beyond it a publication is refused and stays in the spool.
pub const LENGTH_LIMIT: u32 = 1_000_000;

/// What a broker is told about a queue, by the names that RabbitMQ gives its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Argument {
    /// A text.
    Text(&'static str),
    /// A number.
    Number(u32),
}

/// The bounds of the work queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// [`DELIVERY_LIMIT`].
    pub deliveries: u32,
    /// [`LENGTH_LIMIT`].
    pub length: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { deliveries: DELIVERY_LIMIT, length: LENGTH_LIMIT }
    }
}

/// One queue to be declared; all are durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuePlan {
    /// Its name.
    pub name: &'static str,
    /// Its arguments.
    pub arguments: Vec<(&'static str, Argument)>,
}

impl QueuePlan {
    fn new(name: &'static str, deliveries: u32, length: u32) -> Self {
        let arguments = vec![
            ("x-queue-type", Argument::Text("quorum")),
            ("x-delivery-limit", Argument::Number(deliveries)),
            ("x-max-length", Argument::Number(length)),
            // Dead lettering is at-least-once only with this; otherwise the oldest events would be dropped.
            ("x-overflow", Argument::Text("reject-publish")),
        ];
        Self { name, arguments }
    }

    /// Dead letters go through the default exchange, which routes by the name of a queue.
    fn dead_lettered(mut self) -> Self {
        self.arguments.push(("x-dead-letter-exchange", Argument::Text("")));
        self.arguments.push(("x-dead-letter-strategy", Argument::Text("at-least-once")));
        self
    }

    fn with(mut self, name: &'static str, value: Argument) -> Self {
        self.arguments.push((name, value));
        self
    }
}

/// Every queue in the order of declaring: a place for dead letters is there before anything can die.
pub fn queue_plans(limits: Limits) -> Vec<QueuePlan> {
    let dead = QueuePlan::new(DEAD_QUEUE, LOOK_LIMIT, LENGTH_LIMIT);
    let retries = RETRY_DELAYS.iter().map(|(delay, name)| {
        let millis = u32::try_from(delay.as_millis()).unwrap_or(u32::MAX);
        QueuePlan::new(name, LOOK_LIMIT, LENGTH_LIMIT).dead_lettered().with("x-message-ttl", Argument::Number(millis))
    });
    let work = Queue::ALL.iter().map(|queue| {
        let plan = QueuePlan::new(queue.as_str(), limits.deliveries, limits.length).dead_lettered();
        plan.with("x-dead-letter-routing-key", Argument::Text(DEAD_QUEUE))
    });
    std::iter::once(dead).chain(retries).chain(work).collect()
}

/// The retry queue for a wait of at least `after`, or the slowest there is.
pub fn retry_queue(after: Duration) -> (Duration, &'static str) {
    let slowest = RETRY_DELAYS[RETRY_DELAYS.len() - 1];
    RETRY_DELAYS.into_iter().find(|(delay, _)| *delay >= after).unwrap_or(slowest)
}

/// The queues that want events of this type; none means that publishing one is `unroutable`.
pub const fn queues(kind: EventType) -> &'static [Queue] {
    match kind {
        EventType::MessageCaptured => &[Queue::Archive],
        EventType::AnalysisRequested => &[Queue::Analyze],
        EventType::AnalysisCompleted | EventType::AccountChanged | EventType::SelectorsDrifted => &[Queue::Mirror],
    }
}

/// The binding key of a type, for every site: `message.captured.v1.*`. A site id holds no dot.
pub fn binding_key(kind: EventType) -> String {
    format!("{}.*", kind.topic())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resilience::LADDER;

    #[test]
    fn every_type_is_wanted_and_every_queue_gets_something() {
        for kind in EventType::ALL {
            assert!(!queues(kind).is_empty(), "{kind}");
            assert!(binding_key(kind).ends_with(".v1.*"));
        }
        for queue in Queue::ALL {
            assert!(EventType::ALL.iter().any(|kind| queues(*kind).contains(&queue)), "{queue:?}");
        }
    }

    #[test]
    fn a_retry_waits_at_least_as_long_as_asked() {
        assert_eq!(retry_queue(Duration::ZERO).1, "chatferry.retry.250ms");
        assert_eq!(retry_queue(Duration::from_millis(251)).1, "chatferry.retry.5s");
        assert_eq!(retry_queue(Duration::from_secs(600)).1, "chatferry.retry.10m");
        assert_eq!(retry_queue(Duration::from_secs(86_400)).1, "chatferry.retry.1h");
    }

    #[test]
    fn every_rung_of_the_ladder_has_its_queue() {
        assert_eq!(RETRY_DELAYS.map(|(delay, _)| delay), LADDER);
    }

    #[test]
    fn nothing_can_be_dropped_by_the_broker() {
        let plans = queue_plans(Limits::default());
        assert_eq!(plans[0].name, DEAD_QUEUE, "declared before anything that dies into it");
        for plan in &plans {
            let value = |name| plan.arguments.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone());
            assert_eq!(value("x-queue-type"), Some(Argument::Text("quorum")), "{}", plan.name);
            assert_eq!(value("x-overflow"), Some(Argument::Text("reject-publish")), "{}", plan.name);
            assert!(value("x-delivery-limit").is_some() && value("x-max-length").is_some(), "{}", plan.name);
            // What dies goes somewhere, or nothing ever dies there.
            let strategy = value("x-dead-letter-strategy");
            if plan.name == DEAD_QUEUE {
                assert_eq!((strategy, value("x-delivery-limit")), (None, Some(Argument::Number(LOOK_LIMIT))));
            } else {
                assert_eq!(strategy, Some(Argument::Text("at-least-once")), "{}", plan.name);
            }
            let is_work = Queue::ALL.iter().any(|queue| queue.as_str() == plan.name);
            assert_eq!(value("x-dead-letter-routing-key").is_some(), is_work, "{}", plan.name);
        }
    }
}
