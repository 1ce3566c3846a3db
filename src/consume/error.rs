//! What can go wrong with an event beyond what the store, the bus or the analyst report themselves.

use crate::domain::{ConversationKey, EventType};
use crate::fault::{AnyFault, Class, Code, Fault, Scope};
use crate::ports::Queue;

/// Why an event could not be taken in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConsumeError {
    /// The queue is bound to something that its consumer does not understand.
    #[error("{kind} does not belong on {}", queue.as_str())]
    Misrouted {
        /// Where it came from.
        queue: Queue,
        /// What it is.
        kind: EventType,
    },
    /// The store does not hold (yet) what the event speaks of: it may have overtaken the archive.
    #[error("the store does not hold the {what} of {conversation}")]
    Orphaned {
        /// What is missing.
        what: &'static str,
        /// Of which conversation.
        conversation: ConversationKey,
    },
    /// The consumer panicked over the event; its neighbours are tried without it.
    #[error("the consumer of {} panicked", queue.as_str())]
    Panicked {
        /// Whose consumer.
        queue: Queue,
    },
    /// The process ended, again and again, with this event in hand.
    #[error("chatferry ended {deaths} times while it had this event in hand")]
    Deadly {
        /// How often.
        deaths: u32,
    },
    /// A consumer or a bus gave another number of outcomes than it was given events: nobody can tell
    /// which event is settled.
    #[error("{who} gave {outcomes} outcomes for {events} events")]
    Miscounted {
        /// Who.
        who: &'static str,
        /// How many it was given.
        events: usize,
        /// How many it answered.
        outcomes: usize,
    },
}

impl Fault for ConsumeError {
    fn class(&self) -> Class {
        match self {
            Self::Misrouted { .. } | Self::Deadly { .. } => Class::Permanent,
            Self::Orphaned { .. } | Self::Panicked { .. } => Class::RETRY,
            Self::Miscounted { .. } => Class::Critical,
        }
    }

    fn scope(&self) -> Scope {
        match self {
            Self::Misrouted { .. } | Self::Orphaned { .. } | Self::Panicked { .. } | Self::Deadly { .. } => {
                Scope::Event
            }
            Self::Miscounted { .. } => Scope::Process,
        }
    }

    fn code(&self) -> Code {
        match self {
            Self::Misrouted { .. } => Code::EventInvalid,
            Self::Orphaned { .. } => Code::EventOrphaned,
            Self::Deadly { .. } => Code::EventDeadly,
            Self::Panicked { .. } | Self::Miscounted { .. } => Code::Internal,
        }
    }
}

/// The fault of something else than the event in hand: the mirror can't be written, what follows from
/// an effect can't be published. Whatever scope the adapter saw, the event is not to blame for it.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.chain())]
pub struct Elsewhere(pub AnyFault);

impl Fault for Elsewhere {
    fn class(&self) -> Class {
        self.0.class()
    }

    fn scope(&self) -> Scope {
        Scope::Process
    }

    fn code(&self) -> Code {
        self.0.code()
    }

    fn action(&self) -> String {
        self.0.action()
    }
}
