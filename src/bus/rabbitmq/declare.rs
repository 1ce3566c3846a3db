//! Brings the topology to the broker, as often as one likes: what is there with our arguments stays as it
//! is, what is missing is made.
//!
//! Must never delete or change anything: what is there with other arguments is reported with the
//! difference. Declares on a channel of its own, since a refusal closes the channel.

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, ErrorKind, ExchangeKind};

use super::link::Link;
use crate::bus::BusError;
use crate::bus::topology::{Argument, EXCHANGE, Limits, QueuePlan, RETRY_DELAYS, binding_key, queue_plans};
use crate::domain::EventType;
use crate::ports::Queue;

/// What is to be there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    /// The bounds of the work queues.
    pub limits: Limits,
    /// Which queues want which events.
    pub bindings: fn(EventType) -> &'static [Queue],
}

/// How many messages wait in a queue, and how many consumers it has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Level {
    pub ready: u64,
    pub consumers: usize,
}

impl Plan {
    /// Declares everything that is missing, in an order in which nothing can be lost meanwhile: places for
    /// what dies, then queues, then what leads into them.
    ///
    /// # Errors
    /// [`BusError::Mismatch`] if something of ours is there with other arguments.
    pub async fn declare(&self, link: &Link) -> Result<(), BusError> {
        let (live, channel) = link.channel().await?;
        link.within(&live, self.declare_on(&channel), declare_fault).await?;
        // It closes when it is dropped, too; this way its number is free at once.
        let _ = link.answer(&live, channel.close(200, "OK".into())).await;
        Ok(())
    }

    async fn declare_on(&self, channel: &Channel) -> Result<(), lapin::Error> {
        for plan in queue_plans(self.limits) {
            let options = QueueDeclareOptions::durable();
            channel.queue_declare(plan.name.into(), options, arguments(&plan)).await?;
        }
        declare_exchange(channel, EXCHANGE, ExchangeKind::Topic).await?;
        for (_, retry) in RETRY_DELAYS {
            declare_exchange(channel, retry, ExchangeKind::Direct).await?;
            for queue in Queue::ALL {
                bind(channel, retry, retry, queue.as_str()).await?;
            }
        }
        for kind in EventType::ALL {
            for queue in (self.bindings)(kind) {
                bind(channel, queue.as_str(), EXCHANGE, &binding_key(kind)).await?;
            }
        }
        Ok(())
    }
}

async fn declare_exchange(channel: &Channel, name: &str, kind: ExchangeKind) -> Result<(), lapin::Error> {
    let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    channel.exchange_declare(name.into(), kind, options, FieldTable::default()).await
}

async fn bind(channel: &Channel, queue: &str, exchange: &str, key: &str) -> Result<(), lapin::Error> {
    let options = QueueBindOptions::default();
    channel.queue_bind(queue.into(), exchange.into(), key.into(), options, FieldTable::default()).await
}

fn arguments(plan: &QueuePlan) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in &plan.arguments {
        let value = match value {
            Argument::Text(text) => AMQPValue::LongString((*text).into()),
            Argument::Number(number) => AMQPValue::LongLongInt(i64::from(*number)),
        };
        table.insert((*name).into(), value);
    }
    table
}

/// Here, and only here, a failed precondition means that something exists otherwise.
fn declare_fault(link: &Link, error: &lapin::Error) -> BusError {
    match error.kind() {
        ErrorKind::ProtocolError(refusal)
            if matches!(refusal.kind(), AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED)) =>
        {
            BusError::Mismatch { broker: link.broker(), reason: refusal.get_message().to_string() }
        }
        _ => link.fault(error),
    }
}

/// How full queues are. A queue that is missing is an error, and closes the channel.
pub(super) async fn levels(channel: &Channel, names: &[&str]) -> Result<Vec<Level>, lapin::Error> {
    let options = || QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let looks = names.iter().map(|name| channel.queue_declare((*name).into(), options(), FieldTable::default()));
    let found = futures::future::try_join_all(looks).await?;
    let level = |queue: lapin::Queue| Level {
        ready: queue.message_count().into(),
        consumers: usize::try_from(queue.consumer_count()).unwrap_or(usize::MAX),
    };
    Ok(found.into_iter().map(level).collect())
}
