//! What becomes of a delivery, and what is refused at the door.

use std::time::{Duration, Instant};

use chatferry::domain::EventType;
use chatferry::fault::Code;
use chatferry::ports::{Queue, Settlement};

use super::{BusFixture, depth, event, number, numbers, publish, settle_all, take, typed};

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

pub async fn a_wait_comes_when_it_is_over_and_counts_nothing(fixture: &impl BusFixture) {
    let bus = fixture.open().await;
    publish(&*bus, [1, 2]).await;
    let mut archive = bus.subscribe(Queue::Archive, 10).await.unwrap();
    let mut taken = take(&mut *archive, 2).await;
    settle_all(&mut *archive, &taken[1..], &Settlement::Retry { after: Duration::ZERO, code: Code::Internal }).await;
    taken.truncate(1);
    taken.extend(take(&mut *archive, 1).await);
    // More often than the ladder has rungs; what counted before still counts.
    for _ in 0..7 {
        let (after, begun) = (Duration::from_millis(100), Instant::now());
        settle_all(&mut *archive, &taken, &Settlement::Wait { after }).await;
        assert_eq!(depth(&*bus, Queue::Archive).await, (2, 0));
        taken = take(&mut *archive, 2).await;
        assert!(begun.elapsed() >= after, "came after {:?}", begun.elapsed());
        taken.sort_by_key(number);
        assert_eq!(taken.iter().map(|one| (number(one), one.failures)).collect::<Vec<_>>(), [(1, 0), (2, 1)]);
    }
    assert_eq!(bus.dead_letters().await.unwrap(), 0);
    // Also across a restart.
    let (after, begun) = (Duration::from_millis(400), Instant::now());
    settle_all(&mut *archive, &taken[..1], &Settlement::Wait { after }).await;
    settle_all(&mut *archive, &taken[1..], &Settlement::Done).await;
    drop(archive);
    let bus = fixture.open().await;
    let mut archive = bus.subscribe(Queue::Archive, 10).await.unwrap();
    let again = take(&mut *archive, 1).await;
    assert_eq!((number(&again[0]), again[0].failures), (1, 0));
    assert!(begun.elapsed() >= after, "came after {:?}", begun.elapsed());
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
