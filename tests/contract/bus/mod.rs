//! What every bus does: nothing published is lost, nobody is given another's delivery, and what is
//! settled stays settled.

mod dead;
mod delivering;
mod settling;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chatferry::domain::{EventId, EventType};
use chatferry::ports::{Bus, Deliveries, Delivery, Outgoing, Queue, QueueDepth, Settlement};

pub use self::dead::*;
pub use self::delivering::*;
pub use self::settling::*;

/// How to reach an adapter's bus.
#[async_trait]
pub trait BusFixture: Send + Sync {
    /// Opens the bus, empty at first. Called again: the same bus, as a restarted daemon finds it;
    /// everything from before is dead.
    async fn open(&self) -> Arc<dyn Bus>;
    /// As `open`, but nothing wants `SelectorsDrifted`.
    async fn open_without_drift(&self) -> Arc<dyn Bus>;
    /// True if what a subscription leaves comes again in its old order, before all that is newer.
    fn returns_in_order(&self) -> bool {
        true
    }
    /// The numbers of what comes after a subscription was left: as they came, or sorted if their order
    /// is nobody's promise.
    fn numbers_after_a_return(&self, deliveries: &[Delivery]) -> Vec<u32> {
        let mut numbers = numbers(deliveries);
        if !self.returns_in_order() {
            numbers.sort_unstable();
        }
        numbers
    }
}

/// Gives every check of the suite to an adapter, as a test of its own.
macro_rules! bus_contract {
    ($fixture:expr) => {
        bus_contract!(@each $fixture;
            everything_comes_once_and_in_order
            every_type_comes_to_its_queue
            what_is_pending_survives_a_restart
            prefetch_bounds_what_is_in_hand
            competing_subscriptions_share_the_work
            what_a_dropped_subscription_held_comes_again
            a_retry_comes_when_it_is_due_and_is_counted
            failures_are_counted_across_a_restart
            a_dead_letter_is_kept_and_never_delivered_again
            handing_back_counts_nothing
            a_wait_comes_when_it_is_over_and_counts_nothing
            what_no_queue_wants_is_unroutable
            unknown_tags_are_passed_over
            concurrent_publishers_lose_and_double_nothing
            a_publication_wakes_who_waits
            a_cancelled_wait_loses_nothing
            a_look_at_dead_letters_tells_all_and_takes_none
            replaying_twice_delivers_once
            dropping_takes_what_is_named_and_nothing_else
        );
    };
    // Single checks, for what only some adapters promise.
    (@each $fixture:expr; $($check:ident)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $check() {
            crate::bus::$check(&$fixture).await;
        }
    )*};
}

pub fn event(n: u32) -> Outgoing {
    typed(EventType::MessageCaptured, n)
}

pub fn typed(kind: EventType, n: u32) -> Outgoing {
    let id = EventId::of(kind, &[&n.to_le_bytes()]);
    Outgoing {
        id,
        kind,
        site: "demo".parse().unwrap(),
        body: format!(r#"{{"n":{n},"text":"für dich 🙂"}}"#).into_bytes(),
    }
}

pub fn number(delivery: &Delivery) -> u32 {
    let body: serde_json::Value = serde_json::from_slice(&delivery.body).unwrap();
    u32::try_from(body["n"].as_u64().unwrap()).unwrap()
}

pub fn numbers(deliveries: &[Delivery]) -> Vec<u32> {
    deliveries.iter().map(number).collect()
}

pub async fn publish(bus: &dyn Bus, numbers: impl IntoIterator<Item = u32>) {
    let batch: Vec<Outgoing> = numbers.into_iter().map(event).collect();
    for outcome in bus.publish(&batch).await.unwrap() {
        outcome.unwrap();
    }
}

pub async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("nothing came within 20 s")
}

/// Takes exactly `count` deliveries.
pub async fn take(deliveries: &mut dyn Deliveries, count: usize) -> Vec<Delivery> {
    let mut taken = Vec::new();
    while taken.len() < count {
        taken.extend(within(deliveries.next(count - taken.len())).await.unwrap());
    }
    assert_eq!(taken.len(), count);
    taken
}

pub async fn settle_all(deliveries: &mut dyn Deliveries, of: &[Delivery], settlement: &Settlement) {
    deliveries.settle(of.iter().map(|delivery| (delivery.tag, settlement.clone())).collect()).await.unwrap();
}

pub async fn depth(bus: &dyn Bus, queue: Queue) -> (u64, u64) {
    let depths = bus.depths().await.unwrap();
    let QueueDepth { ready, in_flight, .. } = *depths.iter().find(|depth| depth.queue == queue).unwrap();
    (ready, in_flight)
}
