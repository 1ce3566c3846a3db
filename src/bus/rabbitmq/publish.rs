//! Publishing with confirms: persistent, mandatory, many at a time, each with a deadline.
//!
//! Only `Ack(None)` is success. What is not confirmed may have arrived all the same, so whoever publishes
//! it again makes a duplicate and never a loss.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel, Confirmation, PublisherConfirm};
use tokio::time::{Instant, timeout_at};

use super::address::Live;
use super::declare::Plan;
use super::link::Link;
use crate::bus::BusError;

/// So many publications are begun together: one by one costs twice the CPU (facts).
const TOGETHER: usize = 100;

/// So many may be unconfirmed; more gains nothing (facts).
const WINDOW: usize = 1000;

/// How often a wait for a confirm looks whether the broker has blocked us meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// One message to be published.
#[derive(Debug)]
pub(super) struct Letter<'a> {
    /// Empty for the default exchange.
    pub exchange: &'static str,
    pub key: String,
    pub properties: BasicProperties,
    pub body: &'a [u8],
}

/// What became of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// In every queue that wants it, durably.
    Confirmed,
    /// No queue wants it.
    Returned,
    /// Not taken, or nobody knows.
    Failed(BusError),
}

impl Outcome {
    fn of(answer: Confirmation, link: &Link) -> Self {
        match answer {
            Confirmation::Ack(None) => Self::Confirmed,
            Confirmation::Ack(Some(_)) | Confirmation::Nack(Some(_)) => Self::Returned,
            Confirmation::Nack(None) => Self::Failed(BusError::Full { broker: link.broker() }),
            Confirmation::NotRequested => Self::Failed(link.unavailable("confirms are off")),
        }
    }
}

/// A channel with confirms on, and the connection that it lives on.
#[derive(Debug, Clone)]
struct Lane {
    live: Arc<Live>,
    channel: Channel,
}

/// Publishes on a connection of its own.
#[derive(Debug)]
pub(super) struct Publisher {
    pub link: Link,
    plan: Plan,
    lane: Mutex<Option<Lane>>,
    opening: tokio::sync::Mutex<()>,
}

impl Publisher {
    pub fn new(link: Link, plan: Plan) -> Self {
        Self { link, plan, lane: Mutex::default(), opening: tokio::sync::Mutex::default() }
    }

    /// One outcome per letter, in order.
    ///
    /// # Errors
    /// Nothing was published.
    pub async fn publish(&self, letters: &[Letter<'_>]) -> Result<Vec<Outcome>, BusError> {
        if letters.is_empty() {
            return Ok(Vec::new());
        }
        let lane = self.lane().await?;
        self.refuse_if_blocked(&lane)?;
        let mut outcomes = Vec::with_capacity(letters.len());
        let mut window: VecDeque<Result<PublisherConfirm, BusError>> = VecDeque::with_capacity(WINDOW);
        let mut given_up = None;
        for together in letters.chunks(TOGETHER) {
            while given_up.is_none() && window.len() + together.len() > WINDOW {
                let Some(first) = window.pop_front() else { break };
                outcomes.push(self.confirmed(&lane, first, &mut given_up).await);
            }
            if given_up.is_some() {
                break;
            }
            match self.patiently(&lane, join_all(together.iter().map(|letter| begin(&lane.channel, letter)))).await {
                Ok(begun) => {
                    window.extend(begun.into_iter().map(|begun| begun.map_err(|error| self.link.fault(&error))))
                }
                Err(error) => given_up = Some(error),
            }
        }
        for confirm in window {
            outcomes.push(self.confirmed(&lane, confirm, &mut given_up).await);
        }
        if let Some(error) = given_up {
            outcomes.resize(letters.len(), Outcome::Failed(error));
        }
        if outcomes.iter().any(|outcome| matches!(outcome, Outcome::Failed(BusError::Unavailable { .. }))) {
            self.drop_lane();
        }
        if outcomes.contains(&Outcome::Returned) {
            // Somebody may have deleted a queue or a binding. What was returned is published again by its
            // owner, who hears of it now.
            if let Err(error) = self.plan.declare(&self.link).await {
                tracing::warn!(error.reason = %error, "the topology could not be declared again");
            }
        }
        Ok(outcomes)
    }

    async fn confirmed(
        &self,
        lane: &Lane,
        confirm: Result<PublisherConfirm, BusError>,
        given_up: &mut Option<BusError>,
    ) -> Outcome {
        let confirm = match confirm {
            Ok(confirm) => confirm,
            Err(error) => return Outcome::Failed(error),
        };
        if let Some(error) = given_up {
            return Outcome::Failed(error.clone());
        }
        match self.patiently(lane, confirm).await {
            Ok(Ok(answer)) => Outcome::of(answer, &self.link),
            Ok(Err(error)) => Outcome::Failed(self.link.fault(&error)),
            Err(error) => Outcome::Failed(given_up.insert(error).clone()),
        }
    }

    /// Waits up to the deadline, but not for a broker that says that it takes nothing. A connection that
    /// is silent without saying so is given up.
    async fn patiently<T>(&self, lane: &Lane, waiting: impl Future<Output = T>) -> Result<T, BusError> {
        let mut waiting = std::pin::pin!(waiting);
        let end = Instant::now() + self.link.patience();
        loop {
            let now = Instant::now();
            if let Ok(done) = timeout_at(end.min(now + LOOK_EVERY), &mut waiting).await {
                return Ok(done);
            }
            self.refuse_if_blocked(lane)?;
            if Instant::now() >= end {
                lane.live.cut();
                return Err(self.link.silent());
            }
        }
    }

    /// A connection that is blocked is kept: it says when it is free again, and a new one would have to
    /// send something to find out.
    fn refuse_if_blocked(&self, lane: &Lane) -> Result<(), BusError> {
        match lane.live.blocked() {
            Some(reason) => Err(BusError::Blocked { broker: self.link.broker(), reason }),
            None => Ok(()),
        }
    }

    fn usable(&self) -> Option<Lane> {
        let lane = self.lane.lock().unwrap_or_else(PoisonError::into_inner);
        lane.as_ref().filter(|lane| lane.live.is_connected() && lane.channel.status().connected()).cloned()
    }

    fn drop_lane(&self) {
        *self.lane.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The channel, opened if need be. Whatever ended the one before may have been a missing exchange, so
    /// the topology is declared first.
    async fn lane(&self) -> Result<Lane, BusError> {
        if let Some(lane) = self.usable() {
            return Ok(lane);
        }
        let _alone = self.opening.lock().await;
        if let Some(lane) = self.usable() {
            return Ok(lane);
        }
        self.plan.declare(&self.link).await?;
        let (live, channel) = self.link.channel().await?;
        self.link.answer(&live, channel.confirm_select(ConfirmSelectOptions::default())).await?;
        let lane = Lane { live, channel };
        *self.lane.lock().unwrap_or_else(PoisonError::into_inner) = Some(lane.clone());
        Ok(lane)
    }

    /// Says goodbye.
    pub async fn close(&self) {
        self.drop_lane();
        self.link.close().await;
    }
}

async fn begin(channel: &Channel, letter: &Letter<'_>) -> Result<PublisherConfirm, lapin::Error> {
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let (exchange, key) = (letter.exchange.into(), letter.key.as_str().into());
    channel.basic_publish(exchange, key, options, letter.body, letter.properties.clone()).await
}
