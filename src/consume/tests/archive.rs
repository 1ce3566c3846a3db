//! Archive on the embedded bus and store: faults, repetitions and stops, and then the count.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;

use super::rig::{Rig, captured, enveloped, key, outgoing, received, requested};
use super::{EVENT_RETRY, Injected, STORE_AWAY, until};
use crate::consume::{Archive, Handler, Outcome, Received};
use crate::domain::{Event, MessageKey};
use crate::fault::{AnyFault, Class, Code, Scope};
use crate::lifecycle::Lifecycle;
use crate::ports::{Bus, Queue};

/// Archive, but a batch that holds the poison fails as a whole, and so do the first `outage` batches.
struct Trouble {
    archive: Archive,
    poison: Option<(MessageKey, Injected)>,
    outage: AtomicUsize,
    failures: Mutex<Vec<u32>>,
    /// Stopped while the first batch is in hand.
    stops: Option<Lifecycle>,
}

impl Trouble {
    fn new(rig: &Rig) -> Self {
        Self {
            archive: rig.archive(),
            poison: None,
            outage: AtomicUsize::new(0),
            failures: Mutex::default(),
            stops: None,
        }
    }
}

#[async_trait]
impl Handler for Trouble {
    fn queue(&self) -> Queue {
        self.archive.queue()
    }
    fn prefetch(&self) -> u16 {
        20
    }
    fn batch(&self) -> usize {
        20
    }
    async fn consume(&self, batch: &[Received]) -> Result<Vec<Outcome>, AnyFault> {
        if let Some(life) = &self.stops {
            life.stop();
        }
        self.failures.lock().unwrap().extend(batch.iter().map(|received| received.failures));
        if self.outage.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
            return Err(STORE_AWAY.into());
        }
        for received in batch {
            if let (Event::MessageCaptured(data), Some((poison, fault))) = (&received.envelope.event, self.poison)
                && data.message.key == poison
            {
                return Err(fault.into());
            }
        }
        self.archive.consume(batch).await
    }
}

async fn publish_messages(rig: &Rig, count: u32) {
    rig.publish((1..=count).map(|number| enveloped(captured(1, number)))).await;
}

#[tokio::test]
async fn a_poison_event_becomes_the_only_dead_letter() {
    let rig = Rig::new().await;
    publish_messages(&rig, 60).await;
    let permanent = Injected(Class::Permanent, Scope::Event);
    rig.run(Trouble { poison: Some((key(1, 33), permanent)), ..Trouble::new(&rig) });
    rig.empty(Queue::Archive).await;
    let dead = rig.bus.list_dead().await.unwrap();
    let [letter] = dead.as_slice() else { panic!("{dead:?}") };
    assert_eq!(letter.id, enveloped(captured(1, 33)).id);
    assert_eq!((letter.code.as_str(), letter.failures), ("database-failed", 1));
    assert_eq!(rig.messages().await, 59);
    rig.end().await;
}

#[tokio::test]
async fn a_retryable_event_is_counted_alone_and_comes_back() {
    let rig = Rig::new().await;
    publish_messages(&rig, 20).await;
    let trouble = Arc::new(Trouble { poison: Some((key(1, 7), EVENT_RETRY)), ..Trouble::new(&rig) });
    rig.runner(trouble.clone()).spawn();
    let counted = async || trouble.failures.lock().unwrap().iter().filter(|failures| **failures > 0).count();
    until("it came back", async || counted().await > 0).await;
    assert_eq!(*trouble.failures.lock().unwrap().iter().max().unwrap(), 1);
    assert_eq!((rig.messages().await, rig.depth(Queue::Archive).await), (19, 1));
    assert_eq!(rig.bus.dead_letters().await.unwrap(), 0);
    rig.end().await;
}

#[tokio::test]
async fn an_outage_of_the_store_counts_against_nobody() {
    let rig = Rig::new().await;
    publish_messages(&rig, 50).await;
    let trouble = Arc::new(Trouble { outage: AtomicUsize::new(8), ..Trouble::new(&rig) });
    rig.runner(trouble.clone()).spawn();
    rig.empty(Queue::Archive).await;
    assert_eq!((rig.messages().await, rig.bus.dead_letters().await.unwrap()), (50, 0));
    assert!(trouble.failures.lock().unwrap().iter().all(|failures| *failures == 0));
    rig.end().await;
}

#[tokio::test]
async fn unreadable_and_misrouted_events_are_buried_with_the_right_name() {
    let rig = Rig::new().await;
    let mut garbage = outgoing(&enveloped(captured(1, 1)));
    garbage.body = b"private words".to_vec();
    // Of a type that goes to this queue, but its body tells another.
    let mut misrouted = outgoing(&enveloped(captured(1, 2)));
    misrouted.body = requested(1, 1).to_json().unwrap();
    rig.bus.publish(&[garbage, misrouted, outgoing(&enveloped(captured(1, 3)))]).await.unwrap();
    rig.run(rig.archive());
    rig.empty(Queue::Archive).await;
    let dead = rig.bus.list_dead().await.unwrap();
    assert_eq!(dead.len(), 2);
    assert!(dead.iter().all(|letter| letter.code == Code::EventInvalid.as_str()));
    assert!(dead.iter().all(|letter| !letter.reason.contains("private")));
    assert_eq!(rig.messages().await, 1);
    rig.end().await;
}

#[tokio::test]
async fn repetitions_have_one_effect() {
    let rig = Rig::new().await;
    let archive = rig.archive();
    let batch: Vec<Received> = (0..5).map(|_| received(enveloped(captured(1, 1)))).collect();
    let all = futures::future::join_all((0..5).map(|_| archive.consume(&batch))).await;
    assert!(all.iter().all(|outcomes| outcomes.as_ref().unwrap().iter().all(|o| matches!(o, Outcome::Done))));
    assert_eq!(rig.messages().await, 1);
}

#[tokio::test]
async fn only_news_wake_the_scheduler() {
    let rig = Rig::new().await;
    let batch = [received(enveloped(captured(1, 1)))];
    rig.archive().consume(&batch).await.unwrap();
    assert!(rig.news.notified().now_or_never().is_some());
    rig.archive().consume(&batch).await.unwrap();
    assert!(rig.news.notified().now_or_never().is_none(), "a repetition is no news");
}

#[tokio::test]
async fn nothing_is_lost_or_doubled_by_stops_in_the_middle() {
    let mut rig = Rig::new().await;
    publish_messages(&rig, 400).await;
    let mut lives = 0;
    while rig.depth(Queue::Archive).await > 0 {
        rig.run(Trouble { stops: Some(rig.life.clone()), ..Trouble::new(&rig) });
        rig.life.soft.cancelled().await;
        assert!(rig.life.drain(Duration::from_secs(20)).await.is_clean());
        rig.life = Lifecycle::new();
        lives += 1;
    }
    assert_eq!(lives, 20, "each life finished the batch in its hands and no other");
    assert_eq!((rig.messages().await, rig.bus.dead_letters().await.unwrap()), (400, 0));
}
