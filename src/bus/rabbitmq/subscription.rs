//! One consumer's hands: a channel of its own with a bounded prefetch.
//!
//! A subscription ends with its channel, whatever ended that: the consumer subscribes again and gets what
//! was not settled. So a delivery tag never outlives the channel that gave it, and no settlement can meet
//! another delivery.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::try_join_all;
use futures::{FutureExt, StreamExt};
use jiff::Timestamp;
use lapin::options::{BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Consumer};
use tokio::time::{Instant, sleep, timeout};

use super::Core;
use super::address::Live;
use super::declare::levels;
use super::headers::{Label, Verdict};
use super::link::Link;
use super::publish::{Letter, Outcome};
use crate::bus::BusError;
use crate::bus::topology::{DEAD_QUEUE, retry_queue};
use crate::fault::AnyFault;
use crate::ports::{Deliveries, Delivery, Queue, Settlement};

/// How often a wait looks whether its connection is still there. lapin says so itself; a wait that trusted
/// it alone has hung (facts, trap 14).
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// How long a subscription that ends waits for the queue to show what it handed back.
const RETURN_PATIENCE: Duration = Duration::from_millis(500);
/// How long a subscription that ends may take for it.
const GOODBYE: Duration = Duration::from_secs(5);
/// Between two looks at it.
const RETURN_LOOK: Duration = Duration::from_millis(5);

/// A subscription to one queue.
pub(super) struct Subscription {
    core: Arc<Core>,
    queue: Queue,
    live: Arc<Live>,
    channel: Channel,
    consumer: Consumer,
    held: BTreeMap<u64, Held>,
    ended: Option<BusError>,
}

/// What a settlement may need of a delivery.
struct Held {
    label: Label,
    body: Vec<u8>,
}

/// How a delivery leaves the hands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leaving {
    ForGood,
    Delayed,
}

impl Subscription {
    /// Opens one; the topology is there when it consumes.
    pub async fn open(core: &Arc<Core>, queue: Queue, prefetch: u16) -> Result<Self, BusError> {
        core.plan.declare(&core.consuming).await?;
        let link = &core.consuming;
        let (live, channel) = link.channel().await?;
        link.answer(&live, channel.basic_qos(prefetch.max(1), BasicQosOptions::default())).await?;
        let consumer = consume(link, &live, &channel, queue.as_str()).await?;
        core.ledger.subscribed(queue);
        Ok(Self { core: Arc::clone(core), queue, live, channel, consumer, held: BTreeMap::new(), ended: None })
    }

    /// Waits for what comes next on the channel.
    async fn wait(&mut self) -> Result<lapin::message::Delivery, BusError> {
        loop {
            // Cancel-safe: the stream gives a delivery or keeps it.
            match timeout(LOOK_EVERY, self.consumer.next()).await {
                Ok(next) => return self.read(next),
                Err(_) if self.live.is_connected() => (),
                Err(_) => return Err(self.core.consuming.unavailable("the connection was lost")),
            }
        }
    }

    fn read(
        &self,
        next: Option<lapin::Result<lapin::message::Delivery>>,
    ) -> Result<lapin::message::Delivery, BusError> {
        let link = &self.core.consuming;
        match next {
            Some(Ok(delivery)) => Ok(delivery),
            Some(Err(error)) => Err(link.fault(&error)),
            None => Err(link.unavailable(&format!("it cancelled the consumer of {}", self.queue.as_str()))),
        }
    }

    fn hold(&mut self, delivery: lapin::message::Delivery) -> Delivery {
        let label = Label::read(&delivery.properties, &delivery.data);
        let given = Delivery {
            tag: delivery.delivery_tag,
            id: label.id,
            body: delivery.data.clone(),
            failures: label.failures,
            redelivered: delivery.redelivered,
        };
        self.core.ledger.handed_out(self.queue, label.id);
        self.held.insert(delivery.delivery_tag, Held { label, body: delivery.data });
        given
    }

    /// Publishes what is to be tried later or is dead; the tags of what is now durable elsewhere, and the
    /// fault of the others.
    async fn send_on(&self, moving: &[(u64, Settlement)]) -> (BTreeMap<u64, Leaving>, Option<BusError>) {
        let now = Timestamp::now();
        let letters: Vec<(u64, Leaving, Letter<'_>)> =
            moving.iter().filter_map(|(tag, settlement)| self.letter(*tag, settlement, now)).collect();
        let (kinds, letters): (Vec<_>, Vec<_>) =
            letters.into_iter().map(|(tag, leaving, letter)| ((tag, leaving), letter)).unzip();
        let outcomes = match self.core.publisher.publish(&letters).await {
            Ok(outcomes) => outcomes,
            Err(error) => return (BTreeMap::new(), Some(error)),
        };
        let (mut durable, mut fault) = (BTreeMap::new(), None);
        for ((tag, leaving), outcome) in kinds.into_iter().zip(outcomes) {
            match outcome {
                Outcome::Confirmed => drop(durable.insert(tag, leaving)),
                Outcome::Returned => {
                    fault = Some(self.core.consuming.unavailable("a retry queue or the dead-letter queue was missing"))
                }
                Outcome::Failed(error) => fault = Some(error),
            }
        }
        (durable, fault)
    }

    fn letter(&self, tag: u64, settlement: &Settlement, now: Timestamp) -> Option<(u64, Leaving, Letter<'_>)> {
        let held = self.held.get(&tag)?;
        let failed = held.label.failed(now);
        match settlement {
            Settlement::Retry { after, .. } => {
                let (_, exchange) = retry_queue(*after);
                let (key, properties) = (self.queue.as_str().to_owned(), failed.properties());
                Some((tag, Leaving::Delayed, Letter { exchange, key, properties, body: &held.body }))
            }
            Settlement::Wait { after } => {
                let (_, exchange) = retry_queue(*after);
                let (key, properties) = (self.queue.as_str().to_owned(), held.label.properties());
                Some((tag, Leaving::Delayed, Letter { exchange, key, properties, body: &held.body }))
            }
            Settlement::Dead { code, reason } => {
                let verdict = Verdict { code: *code, reason, queue: self.queue, host: &self.core.host };
                let (key, properties) = (DEAD_QUEUE.to_owned(), failed.dead(verdict, now));
                Some((tag, Leaving::ForGood, Letter { exchange: "", key, properties, body: &held.body }))
            }
            Settlement::Done | Settlement::HandBack => None,
        }
    }

    /// Tells the broker: one acknowledgement for everything up to the first delivery that stays, and one
    /// for each of the others.
    async fn tell(&self, leaving: &BTreeMap<u64, Leaving>, again: &BTreeSet<u64>) -> Result<(), BusError> {
        // Everything below a tag in hand is in hand too, or settled: deliveries are handed out in order.
        let together = self.held.keys().take_while(|tag| leaving.contains_key(*tag)).last().copied();
        let channel = &self.channel;
        let telling = async {
            if let Some(last) = together {
                channel.basic_ack(last, BasicAckOptions { multiple: true }).await?;
            }
            let single = leaving.keys().filter(|tag| together.is_none_or(|last| **tag > last));
            try_join_all(single.map(|tag| channel.basic_ack(*tag, BasicAckOptions::default()))).await?;
            // A nack and no reject: from 4.3 on only the latter counts towards the broker's limit.
            let back = BasicNackOptions { multiple: false, requeue: true };
            try_join_all(again.iter().map(|tag| channel.basic_nack(*tag, back))).await?;
            Ok(())
        };
        self.core.consuming.answer(&self.live, telling).await
    }
}

/// Begins to consume a queue on a channel.
pub(super) async fn consume(link: &Link, live: &Live, channel: &Channel, queue: &str) -> Result<Consumer, BusError> {
    let options = BasicConsumeOptions::default();
    link.answer(live, channel.basic_consume(queue.into(), "".into(), options, FieldTable::default())).await
}

/// Hands back everything on a channel and closes it: the `held` deliveries, and those that nobody looked at.
/// Returns when the queue shows them again, so that the next subscription finds them there.
///
/// Closing alone would do, but counts towards the broker's delivery limit. Nothing new is wanted first, or
/// what is handed back would come to the same hands at once.
pub(super) async fn let_go(channel: Channel, mut consumer: Consumer, held: usize) {
    let goodbye = async {
        channel.basic_cancel(consumer.tag(), BasicCancelOptions::default()).await?;
        let mut count = held as u64;
        while let Some(Some(Ok(_))) = consumer.next().now_or_never() {
            count += 1;
        }
        channel.basic_nack(0, BasicNackOptions { multiple: true, requeue: true }).await?;
        let queue = consumer.queue();
        let end = Instant::now() + RETURN_PATIENCE;
        // A nack is taken in at low priority: a consumer that comes at once would overtake it.
        while count > 0 && Instant::now() < end {
            let level = levels(&channel, &[queue.as_str()]).await?;
            if level.iter().any(|level| level.ready >= count || level.consumers > 0) {
                break;
            }
            sleep(RETURN_LOOK).await;
        }
        channel.close(200, "OK".into()).await
    };
    // If the channel has ended before, the broker has taken everything back already.
    let _ = timeout(GOODBYE, goodbye).await;
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.core.ledger.unsubscribed(self.queue, self.held.len());
        // Without a runtime the channel closes by being dropped.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let goodbye = runtime.spawn(let_go(self.channel.clone(), self.consumer.clone(), self.held.len()));
            self.core.leaving(goodbye);
        }
    }
}

#[async_trait]
impl Deliveries for Subscription {
    async fn next(&mut self, max: usize) -> Result<Vec<Delivery>, AnyFault> {
        if max == 0 {
            return Ok(Vec::new());
        }
        if let Some(error) = &self.ended {
            return Err(error.clone().into());
        }
        let first = match self.wait().await {
            Ok(first) => first,
            // lapin tells an end once, and then nothing for ever.
            Err(error) => return Err(self.ended.insert(error).clone().into()),
        };
        let mut taken = vec![self.hold(first)];
        while taken.len() < max {
            let Some(next) = self.consumer.next().now_or_never() else { break };
            match self.read(next) {
                Ok(delivery) => taken.push(self.hold(delivery)),
                // Told with the next call; what is in hand can still be worked on.
                Err(error) => {
                    self.ended = Some(error);
                    break;
                }
            }
        }
        Ok(taken)
    }

    async fn settle(&mut self, settlements: Vec<(u64, Settlement)>) -> Result<(), AnyFault> {
        let (mut leaving, mut again, mut moving) = (BTreeMap::new(), BTreeSet::new(), Vec::new());
        let mut known: BTreeSet<u64> = self.held.keys().copied().collect();
        for (tag, settlement) in settlements {
            if !known.remove(&tag) {
                continue;
            }
            match settlement {
                Settlement::Done => drop(leaving.insert(tag, Leaving::ForGood)),
                Settlement::HandBack => drop(again.insert(tag)),
                Settlement::Retry { .. } | Settlement::Wait { .. } | Settlement::Dead { .. } => {
                    moving.push((tag, settlement));
                }
            }
        }
        let mut fault = None;
        if !moving.is_empty() {
            // Elsewhere first, then acknowledged: between the two it is in both places, never in none.
            let (durable, failed) = self.send_on(&moving).await;
            again.extend(moving.iter().map(|(tag, _)| *tag).filter(|tag| !durable.contains_key(tag)));
            leaving.extend(durable);
            fault = failed;
        }
        self.tell(&leaving, &again).await?;
        for (tag, how) in leaving {
            let Some(held) = self.held.remove(&tag) else { continue };
            match how {
                Leaving::ForGood => self.core.ledger.settled(self.queue, held.label.id),
                Leaving::Delayed => self.core.ledger.put_back(self.queue, held.label.id, true),
            }
        }
        for tag in again {
            let Some(held) = self.held.remove(&tag) else { continue };
            self.core.ledger.put_back(self.queue, held.label.id, false);
        }
        fault.map_or(Ok(()), |fault| Err(fault.into()))
    }
}
