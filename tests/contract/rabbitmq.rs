//! RabbitMQ under the contract, and what only a broker does: it goes away and comes back, loses a queue,
//! has one with other arguments, is full, is blocked, speaks TLS.

use std::sync::Arc;

use async_trait::async_trait;
use chatferry::bus::{RabbitBus, RabbitSettings, topology};
use chatferry::domain::EventType;
use chatferry::ports::{Bus, Queue};
use secrecy::SecretString;
use tokio::sync::Mutex;

use crate::rabbit_node::RabbitNode;

/// A virtual host of its own on the shared node.
struct Rabbit(Mutex<Option<(String, Arc<RabbitBus>)>>);

impl Rabbit {
    const fn new() -> Self {
        Self(Mutex::const_new(None))
    }

    async fn reopen(&self, bindings: fn(EventType) -> &'static [Queue]) -> Arc<RabbitBus> {
        let node = RabbitNode::shared().await;
        let mut open = self.0.lock().await;
        let vhost = match open.take() {
            Some((vhost, bus)) => {
                bus.close().await;
                vhost
            }
            None => node.vhost(),
        };
        let settings = settings(&node.url(&vhost)).with_bindings(bindings);
        let bus = Arc::new(RabbitBus::connect(settings).await.unwrap());
        *open = Some((vhost, Arc::clone(&bus)));
        bus
    }
}

fn settings(url: &str) -> RabbitSettings {
    RabbitSettings::new(SecretString::from(url))
}

fn without_drift(kind: EventType) -> &'static [Queue] {
    if kind == EventType::SelectorsDrifted { &[] } else { topology::queues(kind) }
}

#[async_trait]
impl crate::bus::BusFixture for Rabbit {
    async fn open(&self) -> Arc<dyn Bus> {
        self.reopen(topology::queues).await
    }

    async fn open_without_drift(&self) -> Arc<dyn Bus> {
        self.reopen(without_drift).await
    }

    fn returns_in_order(&self) -> bool {
        false
    }
}

mod rabbit_bus {
    bus_contract!(super::Rabbit::new());
}
