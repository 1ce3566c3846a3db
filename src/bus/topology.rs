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

/// The waits that a broker offers, shortest first: one queue with a message TTL each, since a broker
/// looks only at the head of a queue for what has expired.
pub const RETRY_DELAYS: [(Duration, &str); 5] = [
    (Duration::from_secs(1), "chatferry.retry.1s"),
    (Duration::from_secs(10), "chatferry.retry.10s"),
    (Duration::from_secs(60), "chatferry.retry.1m"),
    (Duration::from_secs(600), "chatferry.retry.10m"),
    (Duration::from_secs(3600), "chatferry.retry.1h"),
];

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
        assert_eq!(retry_queue(Duration::ZERO).1, "chatferry.retry.1s");
        assert_eq!(retry_queue(Duration::from_millis(1001)).1, "chatferry.retry.10s");
        assert_eq!(retry_queue(Duration::from_secs(600)).1, "chatferry.retry.10m");
        assert_eq!(retry_queue(Duration::from_secs(86_400)).1, "chatferry.retry.1h");
        assert!(RETRY_DELAYS.is_sorted());
    }
}
