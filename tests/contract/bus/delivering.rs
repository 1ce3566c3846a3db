//! From publishing into somebody's hands: once, in order, to one of many.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use chatferry::bus::topology;
use chatferry::domain::{EventId, EventType};
use chatferry::ports::{Outgoing, Queue, Settlement};

use super::{BusFixture, depth, event, number, numbers, publish, settle_all, take, typed, within};

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
            batch.iter().filter(|e| topology::queues(e.kind).contains(&queue)).map(|e| e.id).collect();
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
    assert_eq!(fixture.numbers_after_a_return(&again), [4, 5, 6, 7, 8, 9]);
    assert!(again.iter().all(|delivery| delivery.redelivered || number(delivery) > 5));
    assert!(again.iter().all(|delivery| delivery.failures == 0));
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
    assert_eq!(fixture.numbers_after_a_return(&again), [0, 3, 4, 5, 6, 7]);
    // Those that lay ready for the first one, unseen, may be marked too.
    assert!(again.iter().all(|delivery| delivery.redelivered || number(delivery) > 4));
    assert!(again.iter().all(|delivery| delivery.failures == 0));
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
