//! What can go wrong with an event beyond what the store, the bus or the analyst report themselves.

use std::time::Duration;

use jiff::Timestamp;

use crate::domain::{ConversationKey, EventType, Purse};
use crate::fault::{AnyFault, Class, Code, Fault, Scope};
use crate::ports::{Analyst, Queue};

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
    /// A budget is used up: the analysis waits.
    #[error("{} is used up until {until}", purse.words())]
    OverBudget {
        /// Which.
        purse: Purse,
        /// When the next one begins.
        until: Timestamp,
        /// When to look again: it may be raised before that.
        after: Duration,
    },
    /// What is left of a budget is set aside for analyses under way: this one waits for them.
    #[error("what is left of {} is set aside for analyses under way", purse.words())]
    BudgetInUse {
        /// Which.
        purse: Purse,
        /// When to look again.
        after: Duration,
    },
    /// The analyst's service failed over this question, and nothing tells yet that it would answer others.
    #[error("{why}")]
    Unanswered {
        /// What failed.
        why: String,
        /// Its stable name.
        code: Code,
        /// When to ask again.
        after: Duration,
    },
    /// All that is left to do waits for a budget.
    #[error("{why}")]
    Postponed {
        /// What one of the requests waits for.
        why: String,
    },
    /// An analysis was asked for by a version of the question that the analyst does not have.
    #[error("{model} knows no version {version:?} of the question")]
    VersionUnknown {
        /// The analyst.
        model: String,
        /// What was asked for.
        version: String,
        /// What can be asked for.
        known: Vec<String>,
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

impl ConsumeError {
    /// The analyst has no such version of the question.
    pub fn unknown_version(analyst: &dyn Analyst, version: &str) -> Self {
        let (model, version) = (analyst.model().to_owned(), version.to_owned());
        Self::VersionUnknown { model, version, known: analyst.prompt_versions() }
    }
}

impl Fault for ConsumeError {
    fn class(&self) -> Class {
        match self {
            Self::Misrouted { .. } | Self::Deadly { .. } | Self::VersionUnknown { .. } => Class::Permanent,
            Self::OverBudget { after, .. } | Self::BudgetInUse { after, .. } | Self::Unanswered { after, .. } => {
                Class::Retryable { after: Some(*after) }
            }
            Self::Orphaned { .. } | Self::Panicked { .. } | Self::Postponed { .. } => Class::RETRY,
            Self::Miscounted { .. } => Class::Critical,
        }
    }

    fn scope(&self) -> Scope {
        match self {
            Self::Misrouted { .. }
            | Self::Orphaned { .. }
            | Self::Panicked { .. }
            | Self::Deadly { .. }
            | Self::OverBudget { .. }
            | Self::BudgetInUse { .. }
            | Self::Unanswered { .. }
            | Self::Postponed { .. }
            | Self::VersionUnknown { .. } => Scope::Event,
            Self::Miscounted { .. } => Scope::Process,
        }
    }

    fn code(&self) -> Code {
        match self {
            Self::Misrouted { .. } => Code::EventInvalid,
            Self::Orphaned { .. } => Code::EventOrphaned,
            Self::Deadly { .. } => Code::EventDeadly,
            Self::OverBudget { .. } | Self::BudgetInUse { .. } | Self::Postponed { .. } => Code::AiBudget,
            Self::Unanswered { code, .. } => *code,
            Self::VersionUnknown { .. } => Code::PromptUnknown,
            Self::Panicked { .. } | Self::Miscounted { .. } => Code::Internal,
        }
    }

    fn action(&self) -> String {
        match self {
            Self::VersionUnknown { known, .. } => format!("Name a version that there is: {}.", known.join(", ")),
            _ => self.code().action().to_owned(),
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

/// A fault of the analyst that is wider than the conversation in hand: its service is away, its quota is
/// used up, its key is refused. The requests wait, whatever class it has: a dead letter for each of them
/// would help nobody, and capture must not stop over a service that only reads.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.chain())]
pub struct ServiceAway(pub AnyFault);

/// How long to wait at least where only a person can mend it.
const UNTIL_MENDED: Duration = Duration::from_secs(60);

impl Fault for ServiceAway {
    fn class(&self) -> Class {
        match self.0.class() {
            Class::Retryable { after } => Class::Retryable { after },
            Class::Permanent | Class::Critical => Class::Retryable { after: Some(UNTIL_MENDED) },
        }
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
