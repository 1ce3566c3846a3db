//! Dead letters: looked at without being taken, replayed, or dropped.
//!
//! A broker has no look at a message other than to be given it. So a look takes every dead letter in hand
//! and gives back what it does not settle; meanwhile they are in no other look's sight. Looks of one
//! process wait for each other, and for those of others as long as they are short.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use lapin::options::{BasicAckOptions, BasicQosOptions};
use lapin::{BasicProperties, Channel, Consumer};
use tokio::time::{Instant, sleep, timeout};

use super::Core;
use super::address::Live;
use super::declare::Level;
use super::headers::{Label, dead_letter};
use super::publish::{Letter, Outcome};
use super::subscription::{consume, let_go};
use crate::bus::BusError;
use crate::bus::topology::DEAD_QUEUE;
use crate::domain::EventId;
use crate::ports::DeadLetter;

/// Longest silence before a look is content with what it has: another program may have taken some.
const SILENCE: Duration = Duration::from_secs(2);

/// How long another look is waited for.
const PATIENCE: Duration = Duration::from_secs(3);

/// Between two questions to the broker.
const ASK_EVERY: Duration = Duration::from_millis(20);

/// Every dead letter, in hand; at most 65,535, the longest prefetch, and those the oldest.
struct Look<'a> {
    core: &'a Core,
    live: Arc<Live>,
    channel: Channel,
    consumer: Consumer,
    letters: Vec<Found>,
    /// How many are in hand.
    held: usize,
}

struct Found {
    tag: u64,
    properties: BasicProperties,
    letter: DeadLetter,
}

impl Core {
    /// How many there are.
    pub async fn count_dead(&self) -> Result<u64, BusError> {
        let _alone = self.looking.lock().await;
        Ok(self.dead_level().await?.ready)
    }

    /// Every one, the oldest failure first.
    pub async fn list_dead(&self) -> Result<Vec<DeadLetter>, BusError> {
        let _alone = self.looking.lock().await;
        let Some(mut look) = Look::take(self).await? else { return Ok(Vec::new()) };
        let mut letters: Vec<DeadLetter> = look.letters.drain(..).map(|found| found.letter).collect();
        look.give_back().await?;
        letters.sort_by_key(|letter| letter.failed_at);
        Ok(letters)
    }

    /// Back to their queues: there first, and only then gone from here.
    pub async fn replay_dead(&self, ids: &[EventId]) -> Result<u64, BusError> {
        let _alone = self.looking.lock().await;
        let Some(mut look) = Look::take(self).await? else { return Ok(0) };
        let wanted: Vec<&Found> = look.letters.iter().filter(|found| ids.contains(&found.letter.id)).collect();
        let letters: Vec<Letter<'_>> = wanted
            .iter()
            .map(|found| Letter {
                exchange: "",
                key: found.letter.queue.as_str().to_owned(),
                properties: Label::read(&found.properties, &found.letter.body).forgiven().properties(),
                body: &found.letter.body,
            })
            .collect();
        for found in &wanted {
            self.ledger.expect(found.letter.queue, found.letter.id);
        }
        let outcomes = self.publisher.publish(&letters).await;
        let (mut moved, mut fault) = (Vec::new(), None);
        match outcomes {
            Ok(outcomes) => {
                for (found, outcome) in wanted.iter().zip(outcomes) {
                    match outcome {
                        Outcome::Confirmed => moved.push(found.tag),
                        Outcome::Returned => fault = Some(self.consuming.unavailable("a work queue was missing")),
                        Outcome::Failed(error) => fault = Some(error),
                    }
                }
            }
            Err(error) => fault = Some(error),
        }
        look.settle(&moved).await?;
        look.give_back().await?;
        fault.map_or(Ok(moved.len() as u64), Err)
    }

    /// Gone for good.
    pub async fn drop_dead(&self, ids: &[EventId]) -> Result<u64, BusError> {
        let _alone = self.looking.lock().await;
        let Some(mut look) = Look::take(self).await? else { return Ok(0) };
        let wanted = look.letters.iter().filter(|found| ids.contains(&found.letter.id));
        let tags: Vec<u64> = wanted.map(|found| found.tag).collect();
        look.settle(&tags).await?;
        look.give_back().await?;
        Ok(tags.len() as u64)
    }

    /// What the broker counts once nobody has any in hand, or patience ends.
    async fn dead_level(&self) -> Result<Level, BusError> {
        let end = Instant::now() + PATIENCE;
        loop {
            let level = self.levels(&[DEAD_QUEUE]).await?.first().copied().unwrap_or_default();
            if level.consumers == 0 || Instant::now() >= end {
                return Ok(level);
            }
            sleep(ASK_EVERY).await;
        }
    }
}

impl<'a> Look<'a> {
    /// Takes all there are; nothing is opened if there are none.
    async fn take(core: &'a Core) -> Result<Option<Self>, BusError> {
        let count = core.dead_level().await?.ready;
        if count == 0 {
            return Ok(None);
        }
        let link = &core.consuming;
        let (live, channel) = link.channel().await?;
        let prefetch = u16::try_from(count).unwrap_or(u16::MAX);
        link.answer(&live, channel.basic_qos(prefetch, BasicQosOptions::default())).await?;
        let mut consumer = consume(link, &live, &channel, DEAD_QUEUE).await?;
        let mut letters = Vec::new();
        while letters.len() < usize::from(prefetch) {
            let Ok(next) = timeout(SILENCE, consumer.next()).await else { break };
            let delivery = match next {
                Some(delivery) => delivery.map_err(|error| link.fault(&error))?,
                None => return Err(link.unavailable("it cancelled the look at the dead letters")),
            };
            let letter = dead_letter(&delivery.properties, delivery.data);
            letters.push(Found { tag: delivery.delivery_tag, properties: delivery.properties, letter });
        }
        let held = letters.len();
        Ok(Some(Self { core, live, channel, consumer, letters, held }))
    }

    async fn settle(&mut self, tags: &[u64]) -> Result<(), BusError> {
        let acks = tags.iter().map(|tag| self.channel.basic_ack(*tag, BasicAckOptions::default()));
        self.core.consuming.answer(&self.live, futures::future::try_join_all(acks)).await?;
        self.held -= tags.len();
        Ok(())
    }

    /// Gives the others back, and waits until the broker counts them again.
    async fn give_back(self) -> Result<(), BusError> {
        let left = self.held as u64;
        let_go(self.channel, self.consumer, self.held).await;
        let end = Instant::now() + PATIENCE;
        while self.core.dead_level().await?.ready < left && Instant::now() < end {
            sleep(ASK_EVERY).await;
        }
        Ok(())
    }
}
