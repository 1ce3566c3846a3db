//! What every bus does: nothing published is lost, nobody is given another's delivery, and what is
//! settled stays settled.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use chatferry::domain::{EventId, EventType};
use chatferry::fault::Code;
use chatferry::ports::{Bus, Deliveries, Delivery, Outgoing, Queue, QueueDepth, Settlement};

/// How to reach an adapter's bus.
#[async_trait]
pub trait BusFixture: Send + Sync {
    /// Opens the bus, empty at first. Called again: the same bus, as a restarted daemon finds it;
    /// everything from before is dead.
    async fn open(&self) -> Arc<dyn Bus>;
    /// As `open`, but nothing wants `SelectorsDrifted`.
    async fn open_without_drift(&self) -> Arc<dyn Bus>;
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
            what_no_queue_wants_is_unroutable
            unknown_tags_are_passed_over
            concurrent_publishers_lose_and_double_nothing
            a_publication_wakes_who_waits
            a_cancelled_wait_loses_nothing
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

fn typed(kind: EventType, n: u32) -> Outgoing {
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

fn numbers(deliveries: &[Delivery]) -> Vec<u32> {
    deliveries.iter().map(number).collect()
}

pub async fn publish(bus: &dyn Bus, numbers: impl IntoIterator<Item = u32>) {
    let batch: Vec<Outgoing> = numbers.into_iter().map(event).collect();
    for outcome in bus.publish(&batch).await.unwrap() {
        outcome.unwrap();
    }
}

async fn within<F: Future>(future: F) -> F::Output {
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

async fn depth(bus: &dyn Bus, queue: Queue) -> (u64, u64) {
    let depths = bus.depths().await.unwrap();
    let QueueDepth { ready, in_flight, .. } = *depths.iter().find(|depth| depth.queue == queue).unwrap();
    (ready, in_flight)
}

pub async fn everything_comes_once_and_in_order(fixture: &impl BusFixture) {
    let bus = fixture.open().await;
    for begin in [0, 100, 200] {
        publish(&*bus, begin..begin + 100).await;
    }
    let mut archive = bus.subscribe(Queue::Archive, 400).await.unwrap();
    let first = within(archive.next(64)).await.unwrap();
    assert!((1..=64).contains(&first.len()));
    let mut all = first.clone();
    all.extend(take(&mut *archive, 300 - first.len()).await);
    assert_eq!(numbers(&all), (0..300).collect::<Vec<_>>());
    assert!(all.iter().all(|delivery| delivery.failures == 0 && !delivery.redelivered));
    assert!(all.iter().all(|delivery| delivery.id == event(number(delivery)).id));
    assert_eq!(all[7].body, event(7).body);
    assert_eq!(depth(&*bus, Queue::Archive).await, (0, 300));
    settle_all(&mut *archive, &all, &Settlement::Done).await;
    assert_eq!(depth(&*bus, Queue::Archive).await, (0, 0));
}

pub async fn every_type_comes_to_its_queue(fixture: &impl BusFixture) {
    let bus = fixture.open().await;
    let batch: Vec<Outgoing> = EventType::ALL.into_iter().zip(0..).map(|(kind, n)| typed(kind, n)).collect();
    assert!(bus.publish(&batch).await.unwrap().iter().all(Result::is_ok));
    for queue in Queue::ALL {
        let wanted: Vec<EventId> =
            batch.iter().filter(|e| chatferry::bus::topology::queues(e.kind).contains(&queue)).map(|e| e.id).collect();
        let mut deliveries = bus.subscribe(queue, 10).await.unwrap();
        let taken = take(&mut *deliveries, wanted.len()).await;
        assert_eq!(taken.iter().map(|delivery| delivery.id).collect::<Vec<_>>(), wanted);
        assert_eq!(depth(&*bus, queue).await, (0, wanted.len() as u64));
    }
}

pub async fn what_is_pending_survives_a_restart(fixture: &impl BusFixture) {
    let bus = fixture.open().await;
    publish(&*bus, 0..10).await;
    let bus = fixture.open().await;
    let mut archive = bus.subscribe(Queue::Archive, 6).await.unwrap();
    let taken = take(&mut *archive, 6).await;
    assert_eq!(numbers(&taken), [0, 1, 2, 3, 4, 5]);
    settle_all(&mut *archive, &taken[..4], &Settlement::Done).await;
    drop(archive);
    let bus = fixture.open().await;
    let mut archive = bus.subscribe(Queue::Archive, 10).await.unwrap();
    let again = take(&mut *archive, 6).await;
    assert_eq!(numbers(&again), [4, 5, 6, 7, 8, 9]);
    assert!(again.iter().all(|delivery| delivery.redelivered || number(delivery) > 5));
    assert!(again[..2].iter().all(|delivery| delivery.redelivered && delivery.failures == 0));
}

pub async fn prefetch_bounds_what_is_in_hand(fixture: &impl BusFixture) {
    let bus = fixture.open().await;
    publish(&*bus, 0..10).await;
    let mut archive = bus.subscribe(Queue::Archive, 3).await.unwrap();
    let taken = take(&mut *archive, 3).await;
    let full = tokio::time::timeout(Duration::from_millis(200), archive.next(10)).await;
    assert!(full.is_err(), "a fourth delivery at prefetch 3");
    assert_eq!(depth(&*bus, Queue::Archive).await, (7, 3));
    settle_all(&mut *archive, &taken[..1], &Settlement::Done).await;
    assert_eq!(numbers(&within(archive.next(10)).await.unwrap()), [3]);
    assert_eq!(depth(&*bus, Queue::Archive).await, (6, 3));
}

pub async fn competing_subscriptions_share_the_work(fixture: &impl BusFixture) {
    const EVENTS: u32 = 600;
    let bus = fixture.open().await;
    let (done, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let mut archive = bus.subscribe(Queue::Archive, 20).await.unwrap();
        let done = done.clone();
        tasks.spawn(async move {
            while let Ok(taken) = archive.next(7).await {
                settle_all(&mut *archive, &taken, &Settlement::Done).await;
                taken.iter().for_each(|delivery| done.send(number(delivery)).unwrap());
            }
        });
    }
    for begin in (0..EVENTS).step_by(50) {
        publish(&*bus, begin..begin + 50).await;
    }
    let mut seen = BTreeMap::<u32, u32>::new();
    for _ in 0..EVENTS {
        *seen.entry(within(heard.recv()).await.unwrap()).or_default() += 1;
    }
    assert_eq!(seen, (0..EVENTS).map(|n| (n, 1)).collect());
    assert_eq!(depth(&*bus, Queue::Archive).await, (0, 0));
    tasks.shutdown().await;
}

pub async fn what_a_dropped_subscription_held_comes_again(fixture: &impl BusFixture) {
    let bus = fixture.open().await;
    publish(&*bus, 0..8).await;
    let mut first = bus.subscribe(Queue::Archive, 5).await.unwrap();
    let taken = take(&mut *first, 5).await;
    settle_all(&mut *first, &taken[1..3], &Settlement::Done).await;
    drop(first);
    let mut second = bus.subscribe(Queue::Archive, 10).await.unwrap();
    let again = take(&mut *second, 6).await;
    assert_eq!(numbers(&again), [0, 3, 4, 5, 6, 7]);
    let redelivered: Vec<u32> = again.iter().filter(|delivery| delivery.redelivered).map(number).collect();
    assert_eq!(&redelivered[..3], [0, 3, 4]);
    assert!(again.iter().all(|delivery| delivery.failures == 0));
}

pub async fn a_retry_comes_when_it_is_due_and_is_counted(fixture: &impl BusFixture) {
    let bus = fixture.open().await;
    publish(&*bus, [1, 2]).await;
    let mut archive = bus.subscribe(Queue::Archive, 10).await.unwrap();
    let taken = take(&mut *archive, 2).await;
    let after = Duration::from_millis(300);
    let retry = Settlement::Retry { after, code: Code::DatabaseFailed };
    let begun = Instant::now();
    settle_all(&mut *archive, &taken[..1], &retry).await;
    settle_all(&mut *archive, &taken[1..], &Settlement::Done).await;
    // Somebody else is served meanwhile.
    publish(&*bus, [3]).await;
    let other = take(&mut *archive, 1).await;
    assert_eq!(numbers(&other), [3]);
    settle_all(&mut *archive, &other, &Settlement::Done).await;
    assert_eq!(depth(&*bus, Queue::Archive).await, (1, 0));
    let again = take(&mut *archive, 1).await;
    assert!(begun.elapsed() >= after, "came after {:?}", begun.elapsed());
    assert_eq!((number(&again[0]), again[0].failures), (1, 1));
    settle_all(&mut *archive, &again, &Settlement::Retry { after: Duration::ZERO, code: Code::Internal }).await;
    let third = take(&mut *archive, 1).await;
    assert_eq!((number(&third[0]), third[0].failures), (1, 2));
    settle_all(&mut *archive, &third, &Settlement::Done).await;
    assert_eq!(depth(&*bus, Queue::Archive).await, (0, 0));
    assert_eq!(bus.dead_letters().await.unwrap(), 0);
}

pub async fn failures_are_counted_across_a_restart(fixture: &impl BusFixture) {
    let bus = fixture.open().await;
    publish(&*bus, [1]).await;
    let mut archive = bus.subscribe(Queue::Archive, 10).await.unwrap();
    let taken = take(&mut *archive, 1).await;
    let after = Duration::from_millis(400);
    let begun = Instant::now();
    settle_all(&mut *archive, &taken, &Settlement::Retry { after, code: Code::Internal }).await;
    drop(archive);
    let bus = fixture.open().await;
    let mut archive = bus.subscribe(Queue::Archive, 10).await.unwrap();
    let again = take(&mut *archive, 1).await;
    assert_eq!(again[0].failures, 1);
    assert!(begun.elapsed() >= after, "came after {:?}", begun.elapsed());
}

pub async fn a_dead_letter_is_kept_and_never_delivered_again(fixture: &impl BusFixture) {
    let bus = fixture.open().await;
    publish(&*bus, [1, 2]).await;
    let mut archive = bus.subscribe(Queue::Archive, 10).await.unwrap();
    let taken = take(&mut *archive, 2).await;
    let dead = Settlement::Dead { code: Code::EventInvalid, reason: "unknown event type".to_owned() };
    archive.settle(vec![(taken[0].tag, dead), (taken[1].tag, Settlement::Done)]).await.unwrap();
    assert_eq!(bus.dead_letters().await.unwrap(), 1);
    assert_eq!(depth(&*bus, Queue::Archive).await, (0, 0));
    drop(archive);
    let bus = fixture.open().await;
    let mut archive = bus.subscribe(Queue::Archive, 10).await.unwrap();
    publish(&*bus, [3]).await;
    assert_eq!(numbers(&take(&mut *archive, 1).await), [3]);
    assert_eq!(bus.dead_letters().await.unwrap(), 1);
}

pub async fn handing_back_counts_nothing(fixture: &impl BusFixture) {
    let bus = fixture.open().await;
    publish(&*bus, 0..4).await;
    let mut archive = bus.subscribe(Queue::Archive, 4).await.unwrap();
    let taken = take(&mut *archive, 4).await;
    settle_all(&mut *archive, &taken[1..3], &Settlement::HandBack).await;
    assert_eq!(depth(&*bus, Queue::Archive).await, (2, 2));
    let again = take(&mut *archive, 2).await;
    assert_eq!(numbers(&again), [1, 2]);
    assert!(again.iter().all(|delivery| delivery.failures == 0));
    // The old tags mean nothing any more.
    settle_all(&mut *archive, &taken[1..3], &Settlement::Done).await;
    assert_eq!(depth(&*bus, Queue::Archive).await, (0, 4));
}

pub async fn what_no_queue_wants_is_unroutable(fixture: &impl BusFixture) {
    let bus = fixture.open_without_drift().await;
    let batch = [event(1), typed(EventType::SelectorsDrifted, 2), event(3)];
    let outcomes = bus.publish(&batch).await.unwrap();
    let codes: Vec<Option<Code>> = outcomes.iter().map(|outcome| outcome.as_ref().err().map(|e| e.code())).collect();
    assert_eq!(codes, [None, Some(Code::Unroutable), None]);
    assert!(outcomes[1].as_ref().unwrap_err().class().is_retryable(), "a restored binding helps");
    let mut archive = bus.subscribe(Queue::Archive, 10).await.unwrap();
    assert_eq!(numbers(&take(&mut *archive, 2).await), [1, 3]);
    assert_eq!(depth(&*bus, Queue::Mirror).await, (0, 0));
}

/// Beyond the contract: a broker may hold an id twice.
pub async fn an_id_is_held_once(fixture: &impl BusFixture) {
    let bus = fixture.open().await;
    publish(&*bus, [1, 1, 2]).await;
    futures::future::join_all((0..5).map(|_| publish(&*bus, [1, 2]))).await;
    let mut archive = bus.subscribe(Queue::Archive, 10).await.unwrap();
    let taken = take(&mut *archive, 2).await;
    publish(&*bus, [2, 3]).await;
    assert_eq!(depth(&*bus, Queue::Archive).await, (1, 2));
    settle_all(&mut *archive, &taken, &Settlement::Done).await;
    // Settled is forgotten: the queue does not hold it any more.
    publish(&*bus, [1]).await;
    assert_eq!(numbers(&take(&mut *archive, 2).await), [3, 1]);
}

pub async fn unknown_tags_are_passed_over(fixture: &impl BusFixture) {
    let bus = fixture.open().await;
    publish(&*bus, [1, 2]).await;
    let mut archive = bus.subscribe(Queue::Archive, 10).await.unwrap();
    let taken = take(&mut *archive, 2).await;
    let tag = taken[0].tag;
    let dead = Settlement::Dead { code: Code::Internal, reason: "never".to_owned() };
    let unknown = taken.iter().map(|delivery| delivery.tag).max().unwrap() + 1000;
    archive.settle(vec![(unknown, dead.clone()), (tag, Settlement::Done), (tag, dead.clone())]).await.unwrap();
    archive.settle(vec![(tag, dead)]).await.unwrap();
    archive.settle(Vec::new()).await.unwrap();
    assert_eq!(bus.dead_letters().await.unwrap(), 0);
    assert_eq!(depth(&*bus, Queue::Archive).await, (0, 1));
}

pub async fn concurrent_publishers_lose_and_double_nothing(fixture: &impl BusFixture) {
    const PUBLISHERS: u32 = 8;
    const EACH: u32 = 100;
    let bus = fixture.open().await;
    let mut publishers = tokio::task::JoinSet::new();
    for publisher in 0..PUBLISHERS {
        let bus = Arc::clone(&bus);
        publishers.spawn(async move {
            for n in 0..EACH / 5 {
                let begin = publisher * EACH + n * 5;
                publish(&*bus, begin..begin + 5).await;
            }
        });
    }
    let mut archive = bus.subscribe(Queue::Archive, 50).await.unwrap();
    let mut seen = Vec::new();
    while seen.len() < (PUBLISHERS * EACH) as usize {
        let taken = within(archive.next(50)).await.unwrap();
        settle_all(&mut *archive, &taken, &Settlement::Done).await;
        seen.extend(numbers(&taken));
    }
    while let Some(ended) = publishers.join_next().await {
        ended.unwrap();
    }
    // Within one publisher the order is its own.
    for publisher in 0..PUBLISHERS {
        let of: Vec<u32> = seen.iter().copied().filter(|n| n / EACH == publisher).collect();
        assert_eq!(of, (publisher * EACH..(publisher + 1) * EACH).collect::<Vec<_>>());
    }
    assert_eq!(depth(&*bus, Queue::Archive).await, (0, 0));
}

pub async fn a_publication_wakes_who_waits(fixture: &impl BusFixture) {
    let bus = fixture.open().await;
    let mut archive = bus.subscribe(Queue::Archive, 10).await.unwrap();
    for n in 0..20 {
        let (taken, ()) = within(async { tokio::join!(archive.next(10), publish(&*bus, [n])) }).await;
        let taken = taken.unwrap();
        assert_eq!(numbers(&taken), [n]);
        settle_all(&mut *archive, &taken, &Settlement::Done).await;
    }
}

pub async fn a_cancelled_wait_loses_nothing(fixture: &impl BusFixture) {
    const EVENTS: u32 = 200;
    let bus = fixture.open().await;
    let publisher = tokio::spawn({
        let bus = Arc::clone(&bus);
        async move {
            for n in 0..EVENTS {
                publish(&*bus, [n]).await;
            }
        }
    });
    let mut archive = bus.subscribe(Queue::Archive, 20).await.unwrap();
    let mut seen = BTreeSet::new();
    let mut cancelled = 0;
    within(async {
        while seen.len() < EVENTS as usize {
            // Half of the waits are given up after one look.
            let ready = {
                let mut wait = archive.next(5);
                match futures::poll!(&mut wait) {
                    std::task::Poll::Ready(taken) => Some(taken.unwrap()),
                    std::task::Poll::Pending if cancelled % 2 == 0 => None,
                    std::task::Poll::Pending => Some(wait.await.unwrap()),
                }
            };
            cancelled += 1;
            let Some(taken) = ready else { continue };
            assert!(taken.iter().all(|delivery| !delivery.redelivered));
            settle_all(&mut *archive, &taken, &Settlement::Done).await;
            assert!(numbers(&taken).into_iter().all(|n| seen.insert(n)), "doubled");
        }
    })
    .await;
    publisher.await.unwrap();
    assert_eq!(depth(&*bus, Queue::Archive).await, (0, 0));
}
