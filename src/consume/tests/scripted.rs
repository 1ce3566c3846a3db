//! A bus that gives out what the test wrote down and remembers every settlement.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use crate::domain::event::AnalysisRequested;
use crate::domain::{AccountId, ConversationKey, Envelope, Event, EventId, MessageKey};
use crate::fault::AnyFault;
use crate::ports::{Bus, DeadLetter, Deliveries, Delivery, Outgoing, Queue, QueueDepth, Settlement};

/// What a call gives next; once the script is at its end, subscribing succeeds and waiting never ends.
#[derive(Default)]
pub struct Scripted {
    pub subscribing: Mutex<VecDeque<AnyFault>>,
    pub batches: Mutex<VecDeque<Result<Vec<Delivery>, AnyFault>>>,
    pub settling: Mutex<VecDeque<AnyFault>>,
    pub settled: Mutex<Vec<(u64, Settlement)>>,
    pub subscriptions: Mutex<Vec<tokio::time::Instant>>,
}

impl Scripted {
    pub fn of(batches: impl IntoIterator<Item = Vec<Delivery>>) -> Arc<Self> {
        let scripted = Self::default();
        scripted.batches.lock().unwrap().extend(batches.into_iter().map(Ok));
        Arc::new(scripted)
    }

    pub fn settled(&self) -> Vec<(u64, Settlement)> {
        self.settled.lock().unwrap().clone()
    }

    pub fn opened(&self) -> usize {
        self.subscriptions.lock().unwrap().len()
    }
}

/// The event with this number as a delivery that failed `failures` times before.
pub fn delivery(tag: u64, failures: u32) -> Delivery {
    let envelope = envelope(tag);
    Delivery { tag, id: envelope.id, body: envelope.to_json().unwrap(), failures, redelivered: false }
}

/// An event for every number.
pub fn envelope(number: u64) -> Envelope {
    let account: AccountId = "demo/default".parse().unwrap();
    let conversation = ConversationKey::new(&account, "1");
    let requested = AnalysisRequested {
        account,
        conversation,
        up_to: MessageKey::native(&conversation, &number.to_string()),
        prompt_version: "1".to_owned(),
        edits: 0,
        reason: "operator".to_owned(),
    };
    Envelope::new(Event::AnalysisRequested(requested), "2026-11-02T10:00:00Z".parse().unwrap())
}

struct Subscription(Arc<Scripted>);

#[async_trait]
impl Bus for Arc<Scripted> {
    async fn publish(&self, batch: &[Outgoing]) -> Result<Vec<Result<(), AnyFault>>, AnyFault> {
        Ok(batch.iter().map(|_| Ok(())).collect())
    }

    async fn subscribe(&self, _: Queue, _: u16) -> Result<Box<dyn Deliveries>, AnyFault> {
        self.subscriptions.lock().unwrap().push(tokio::time::Instant::now());
        match self.subscribing.lock().unwrap().pop_front() {
            Some(fault) => Err(fault),
            None => Ok(Box::new(Subscription(Arc::clone(self)))),
        }
    }

    async fn depths(&self) -> Result<Vec<QueueDepth>, AnyFault> {
        Ok(Vec::new())
    }

    async fn dead_letters(&self) -> Result<u64, AnyFault> {
        Ok(0)
    }
    async fn probe(&self) -> Result<(), AnyFault> {
        Ok(())
    }

    async fn list_dead(&self) -> Result<Vec<DeadLetter>, AnyFault> {
        Ok(Vec::new())
    }
    async fn replay_dead(&self, _: &[EventId]) -> Result<u64, AnyFault> {
        Ok(0)
    }
    async fn drop_dead(&self, _: &[EventId]) -> Result<u64, AnyFault> {
        Ok(0)
    }
}

#[async_trait]
impl Deliveries for Subscription {
    async fn next(&mut self, max: usize) -> Result<Vec<Delivery>, AnyFault> {
        let next = self.0.batches.lock().unwrap().pop_front();
        match next {
            Some(batch) => {
                assert!(
                    batch.as_ref().is_ok_and(|batch| batch.len() <= max) || batch.is_err(),
                    "the script gives more"
                );
                batch
            }
            None => std::future::pending().await,
        }
    }

    async fn settle(&mut self, settlements: Vec<(u64, Settlement)>) -> Result<(), AnyFault> {
        if let Some(fault) = self.0.settling.lock().unwrap().pop_front() {
            return Err(fault);
        }
        self.0.settled.lock().unwrap().extend(settlements);
        Ok(())
    }
}
