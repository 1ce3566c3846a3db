//! The bus of many machines: RabbitMQ through lapin, which is named nowhere else.
//!
//! Two connections, one to publish and one to consume, so that an alarm of the broker that stops the one
//! leaves the other alone. Both are made on demand and again after whatever ended them: a call fails with a
//! retryable fault, and the next one tries anew. An event is durable when [`Bus::publish`] says so, may come
//! twice and never not at all; a broker's order is that of publishing, except that what comes again comes
//! when it can.
//!
//! Must never wait without a deadline, delete anything on the broker, or take `Ack(Some)` for success.

mod address;
mod dead;
mod declare;
mod headers;
mod ledger;
mod link;
mod probe;
mod publish;
mod subscription;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use lapin::Channel;
use secrecy::SecretString;
use tokio::task::JoinHandle;

use self::address::{Address, Live};
use self::declare::{Level, Plan, levels};
use self::headers::Label;
use self::ledger::Ledger;
use self::link::Link;
use self::publish::{Letter, Outcome, Publisher};
use self::subscription::Subscription;
use super::BusError;
use super::topology::{self, EXCHANGE, Limits, RETRY_DELAYS};
use crate::domain::envelope::routing_key;
use crate::domain::{EventId, EventType};
use crate::fault::AnyFault;
use crate::ports::{Bus, BusState, DeadLetter, Deliveries, Outgoing, Queue, QueueDepth};

/// Where the broker is and how to speak with it.
#[derive(Debug, Clone)]
pub struct RabbitSettings {
    /// `amqp[s]://user:password@host:port/vhost`; the virtual host `/` is written `%2f` or left out.
    pub url: SecretString,
    /// Certificate authorities in PEM that are trusted besides the system's, for `amqps://`.
    pub ca_file: Option<PathBuf>,
    /// The bounds of the work queues; a queue that is there with others is a fault.
    pub limits: Limits,
    /// Longest wait for an answer of the broker, or for a connection to it.
    pub patience: Duration,
    bindings: fn(EventType) -> &'static [Queue],
}

/// A node that restarts or elects a leader needs some seconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// The last confirms of a batch come when the broker has synced them; of four thousand that is a small part.
const BATCH: usize = 4000;

impl RabbitSettings {
    /// The broker at this address, with everything else as usual.
    pub fn new(url: SecretString) -> Self {
        Self { url, ca_file: None, limits: Limits::default(), patience: PATIENCE, bindings: topology::queues }
    }

    /// The same with other bindings: for tests of what is unroutable.
    #[doc(hidden)]
    #[must_use]
    pub fn with_bindings(mut self, bindings: fn(EventType) -> &'static [Queue]) -> Self {
        self.bindings = bindings;
        self
    }
}

/// The bus on a RabbitMQ broker; clones share it.
#[derive(Debug, Clone)]
pub struct RabbitBus(Arc<Core>);

/// What the bus and its subscriptions share.
#[derive(Debug)]
struct Core {
    publisher: Publisher,
    consuming: Link,
    plan: Plan,
    ledger: Ledger,
    /// Who this is, in a dead letter: `host/pid`.
    host: String,
    /// For questions; it is closed by the broker when a queue is missing.
    asking: tokio::sync::Mutex<Option<(Arc<Live>, Channel)>>,
    /// Held while the dead letters are in hand.
    looking: tokio::sync::Mutex<()>,
    /// Subscriptions that are just handing back what they held.
    goodbyes: Mutex<Vec<JoinHandle<()>>>,
}

impl RabbitBus {
    /// Connects, within [`RabbitSettings::patience`] for each of two connections, and declares the topology.
    ///
    /// # Errors
    /// Retryable: `bus-unavailable` if the broker does not answer. Permanent: `config-invalid` for an
    /// address that is none, `bus-refused` for credentials, virtual host, permissions or certificate,
    /// `topology-mismatch` if something of ours is there with other arguments.
    pub async fn connect(settings: RabbitSettings) -> Result<Self, BusError> {
        let address = Arc::new(Address::parse(&settings.url, settings.ca_file.as_ref(), settings.patience)?);
        let host = format!("{}/{}", host_name(), std::process::id());
        let link = |purpose| Link::new(Arc::clone(&address), format!("chatferry {host} {purpose}"));
        let plan = Plan { limits: settings.limits, bindings: settings.bindings };
        let core = Core {
            publisher: Publisher::new(link("publishes"), plan),
            consuming: link("consumes"),
            plan,
            ledger: Ledger::default(),
            host,
            asking: tokio::sync::Mutex::default(),
            looking: tokio::sync::Mutex::default(),
            goodbyes: Mutex::default(),
        };
        core.plan.declare(&core.consuming).await?;
        core.publisher.link.live().await?;
        Ok(Self(Arc::new(core)))
    }
}

/// The machine's name, for people; empty if it has none.
fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned()
}

impl Core {
    /// How full these queues are. One that is missing is declared again, and empty.
    async fn levels(&self, names: &[&str]) -> Result<Vec<Level>, BusError> {
        let mut asking = self.asking.lock().await;
        for _ in 0..2 {
            let usable = asking.take().filter(|(live, channel)| live.is_connected() && channel.status().connected());
            let (live, channel) = match usable {
                Some(usable) => usable,
                None => self.consuming.channel().await?,
            };
            if let Ok(levels) = self.consuming.answer(&live, levels(&channel, names)).await {
                *asking = Some((live, channel));
                return Ok(levels);
            }
            self.plan.declare(&self.consuming).await?;
        }
        Err(self.consuming.unavailable("it does not say how full the queues are"))
    }

    /// Remembers a subscription that is handing back.
    fn leaving(&self, goodbye: JoinHandle<()>) {
        let mut goodbyes = self.goodbyes.lock().unwrap_or_else(PoisonError::into_inner);
        goodbyes.retain(|goodbye| !goodbye.is_finished());
        goodbyes.push(goodbye);
    }

    /// Waits until what earlier subscriptions held is back, so that the next one gets it first.
    async fn all_left(&self) {
        let goodbyes = std::mem::take(&mut *self.goodbyes.lock().unwrap_or_else(PoisonError::into_inner));
        futures::future::join_all(goodbyes).await;
    }

    fn outcome(&self, event: &Outgoing, outcome: Outcome) -> Result<(), AnyFault> {
        let fault = match outcome {
            Outcome::Confirmed => return Ok(()),
            Outcome::Returned => BusError::Unroutable(event.kind),
            Outcome::Failed(error) => error,
        };
        self.forget(event);
        Err(fault.into())
    }

    fn forget(&self, event: &Outgoing) {
        (self.plan.bindings)(event.kind).iter().for_each(|queue| self.ledger.forget(*queue, event.id));
    }
}

#[async_trait]
impl Bus for RabbitBus {
    async fn publish(&self, batch: &[Outgoing]) -> Result<Vec<Result<(), AnyFault>>, AnyFault> {
        let core = &self.0;
        let letter = |event: &Outgoing| (routing_key(event.kind, &event.site), Label::new(event.id, event.kind));
        let letters: Vec<Letter<'_>> = batch
            .iter()
            .map(|event| (event, letter(event)))
            .map(|(event, (key, label))| Letter {
                exchange: EXCHANGE,
                key,
                properties: label.properties(),
                body: &event.body,
            })
            .collect();
        for event in batch {
            (core.plan.bindings)(event.kind).iter().for_each(|queue| core.ledger.expect(*queue, event.id));
        }
        match core.publisher.publish(&letters).await {
            Ok(outcomes) => {
                Ok(batch.iter().zip(outcomes).map(|(event, outcome)| core.outcome(event, outcome)).collect())
            }
            Err(error) => {
                batch.iter().for_each(|event| core.forget(event));
                Err(error.into())
            }
        }
    }

    fn batch(&self) -> usize {
        BATCH
    }

    async fn subscribe(&self, queue: Queue, prefetch: u16) -> Result<Box<dyn Deliveries>, AnyFault> {
        self.0.all_left().await;
        Ok(Box::new(Subscription::open(&self.0, queue, prefetch).await?))
    }

    async fn depths(&self) -> Result<Vec<QueueDepth>, AnyFault> {
        let names: Vec<&str> = Queue::ALL.iter().map(|queue| queue.as_str()).collect();
        let retries = RETRY_DELAYS.map(|(_, name)| name);
        let levels = self.0.levels(&[names.as_slice(), &retries].concat()).await?;
        // Whoever asks regularly keeps both connections up, so that a bus with nothing to publish does not
        // look lost for longer than the broker was.
        self.0.publisher.link.live().await?;
        let (work, retries) = levels.split_at_checked(names.len()).unwrap_or_default();
        Ok(self.0.ledger.depths(work, retries.iter().map(|level| level.ready).sum()))
    }

    async fn dead_letters(&self) -> Result<u64, AnyFault> {
        Ok(self.0.count_dead().await?)
    }

    async fn list_dead(&self) -> Result<Vec<DeadLetter>, AnyFault> {
        Ok(self.0.list_dead().await?)
    }

    async fn replay_dead(&self, ids: &[EventId]) -> Result<u64, AnyFault> {
        Ok(self.0.replay_dead(ids).await?)
    }

    async fn drop_dead(&self, ids: &[EventId]) -> Result<u64, AnyFault> {
        Ok(self.0.drop_dead(ids).await?)
    }

    async fn ensure(&self) -> Result<(), AnyFault> {
        Ok(self.0.plan.declare(&self.0.publisher.link).await?)
    }

    async fn probe(&self) -> Result<(), AnyFault> {
        Ok(self.0.probe().await?)
    }

    fn state(&self) -> BusState {
        let publishing = self.0.publisher.link.current();
        match (publishing.map(|live| live.blocked()), self.0.consuming.current()) {
            (Some(Some(reason)), _) => BusState::Blocked { reason },
            (Some(None), Some(_)) => BusState::Connected,
            (None, _) | (_, None) => BusState::Reconnecting,
        }
    }

    async fn close(&self) {
        self.0.all_left().await;
        tokio::join!(self.0.publisher.close(), self.0.consuming.close());
    }
}
