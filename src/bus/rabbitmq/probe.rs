//! Trying the way of an event: through our exchange, with a confirm, into a queue that only this try has.

use lapin::options::{BasicGetOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::FieldTable;

use super::Core;
use super::headers::Label;
use super::publish::{Letter, Outcome};
use crate::bus::BusError;
use crate::bus::topology::EXCHANGE;
use crate::domain::{EventId, EventType};

/// What is sent: no event, so that a program which binds a queue to everything can pass it over.
const BODY: &[u8] = b"{\"specversion\":\"1.0\",\"type\":\"chatferry.probe\"}";

impl Core {
    /// Publishes one message and takes it from a queue that goes with its connection.
    pub async fn probe(&self) -> Result<(), BusError> {
        let link = &self.consuming;
        let (live, channel) = link.channel().await?;
        let options = QueueDeclareOptions { exclusive: true, auto_delete: true, ..QueueDeclareOptions::default() };
        let declared = channel.queue_declare("".into(), options, FieldTable::default());
        let queue = link.answer(&live, declared).await?.name().to_string();
        let key = format!("probe.{:016x}", fastrand::u64(..));
        let bound = channel.queue_bind(
            queue.as_str().into(),
            EXCHANGE.into(),
            key.as_str().into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        );
        link.answer(&live, bound).await?;
        let id = EventId::of(EventType::MessageCaptured, &[key.as_bytes()]);
        let properties = Label::new(id, EventType::MessageCaptured).properties().with_type("chatferry.probe".into());
        let letter = Letter { exchange: EXCHANGE, key, properties, body: BODY };
        match self.publisher.publish(&[letter]).await?.pop() {
            Some(Outcome::Confirmed) => {}
            Some(Outcome::Failed(error)) => return Err(error),
            Some(Outcome::Returned) | None => return Err(link.unavailable("an event found no way to its queue")),
        }
        // Confirmed is in the queue: the first look finds it.
        let taken = channel.basic_get(queue.as_str().into(), BasicGetOptions { no_ack: true });
        let taken = link.answer(&live, taken).await?;
        // The queue goes with its channel's connection at the latest.
        let deleted = channel.queue_delete(queue.as_str().into(), lapin::options::QueueDeleteOptions::default());
        link.answer(&live, deleted).await?;
        match taken {
            Some(message) if message.delivery.data == BODY => Ok(()),
            Some(_) | None => Err(link.unavailable("an event was confirmed and did not come")),
        }
    }
}
