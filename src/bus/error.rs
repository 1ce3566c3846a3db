//! What can go wrong on the bus.

use crate::domain::EventType;
use crate::fault::{Class, Code, Fault, Scope};
use crate::sqlite::SqliteError;

/// Why the bus refused or failed. A broker is named as `host:port/virtual host`, never with credentials.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BusError {
    /// No queue is bound to this type; the event stays with the publisher.
    #[error("no queue wants events of type {0}")]
    Unroutable(EventType),
    /// The file of the embedded bus could not be read or written.
    #[error("the embedded bus could not use its file")]
    Storage(#[from] SqliteError),
    /// The address of the broker, or the file with its certificate authority, can't be used.
    #[error("the broker's address can't be used: {0}")]
    Address(String),
    /// The broker can't be reached, or an answer did not come.
    #[error("the broker at {broker} can't be used: {reason}")]
    Unavailable {
        /// Where it should be.
        broker: String,
        /// What happened.
        reason: String,
    },
    /// The broker is there and does not want us, or is not who it should be.
    #[error("the broker at {broker} refused the connection: {reason}")]
    Refused {
        /// Where it is.
        broker: String,
        /// Its words.
        reason: String,
        /// True if it has let us in before: then it may do so again without a human.
        known: bool,
    },
    /// A queue or exchange exists with other arguments.
    #[error("the broker at {broker} has a queue or exchange of ours with other arguments: {reason}")]
    Mismatch {
        /// Where it is.
        broker: String,
        /// What differs, in the broker's words.
        reason: String,
    },
    /// A memory or disk alarm of the broker.
    #[error("the broker at {broker} takes no events for the time being: {reason}")]
    Blocked {
        /// Where it is.
        broker: String,
        /// Its words.
        reason: String,
    },
    /// The broker did not take an event that a queue wants.
    #[error("the broker at {broker} did not take the event: a queue is full")]
    Full {
        /// Where it is.
        broker: String,
    },
}

impl Fault for BusError {
    fn class(&self) -> Class {
        match self {
            // Permanent would make a dead letter of what a restored binding delivers.
            Self::Unroutable(_) | Self::Unavailable { .. } | Self::Blocked { .. } | Self::Full { .. } => Class::RETRY,
            Self::Refused { known: true, .. } => Class::RETRY,
            Self::Refused { known: false, .. } | Self::Mismatch { .. } | Self::Address(_) => Class::Permanent,
            Self::Storage(error) => error.class(),
        }
    }

    fn scope(&self) -> Scope {
        match self {
            Self::Unroutable(_) => Scope::Event,
            Self::Storage(error) => error.scope(),
            Self::Address(_)
            | Self::Unavailable { .. }
            | Self::Refused { .. }
            | Self::Mismatch { .. }
            | Self::Blocked { .. }
            | Self::Full { .. } => Scope::Process,
        }
    }

    fn code(&self) -> Code {
        match self {
            Self::Unroutable(_) => Code::Unroutable,
            Self::Storage(error) => error.code(),
            Self::Address(_) => Code::ConfigInvalid,
            Self::Unavailable { .. } => Code::BusUnavailable,
            Self::Refused { .. } => Code::BusRefused,
            Self::Mismatch { .. } => Code::TopologyMismatch,
            Self::Blocked { .. } => Code::BrokerBlocked,
            Self::Full { .. } => Code::QueueFull,
        }
    }

    fn action(&self) -> String {
        match self {
            Self::Storage(error) => error.action(),
            Self::Address(_) => {
                "Set RABBITMQ_URL to amqp[s]://user:password@host:port/vhost, the virtual host `/` as `%2f`.".to_owned()
            }
            Self::Unroutable(_)
            | Self::Unavailable { .. }
            | Self::Refused { .. }
            | Self::Mismatch { .. }
            | Self::Blocked { .. }
            | Self::Full { .. } => self.code().action().to_owned(),
        }
    }
}
