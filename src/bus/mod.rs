//! The durable way from the spool to the consumers: the topology as data, the embedded bus, and RabbitMQ.
//!
//! Every adapter behaves as [`crate::ports::bus`] says and passes the suite in `tests/contract/bus`.

pub mod embedded;
mod error;
pub mod rabbitmq;
pub mod topology;

pub use embedded::EmbeddedBus;
pub use error::BusError;
pub use rabbitmq::{RabbitBus, RabbitSettings};
