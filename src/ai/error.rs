//! Why a conversation was not analysed.
//!
//! No variant holds chat text, a key or a word of an answer: of what a service says only the status, a word
//! out of a closed list and the id of the request are kept.
//!
//! What is wrong with the service (its limits, its key, its model, the way to it) has the scope of the
//! process: the events go back to their queue uncounted and wait, so that an outage of a week makes no dead
//! letter. What may be wrong with one question only (a call that failed, no answer in time, a refusal, something
//! that is no answer) has the scope of the event and may pass: that question waits, its neighbours are asked. What
//! the same question would end in again is permanent.

use std::fmt;
use std::time::Duration;

use crate::fault::{Class, Code, Fault, Scope};

/// Between two looks whether a human has mended the account, the key or the model.
const UNTIL_MENDED: Duration = Duration::from_secs(60);

/// What a service said that can be repeated.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    /// The HTTP status.
    pub status: u16,
    /// The service's own word for it, if it is one that we know.
    pub word: Option<&'static str>,
    /// The id under which the service knows the request.
    pub request_id: Option<String>,
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HTTP {}", self.status)?;
        if let Some(word) = self.word {
            write!(f, " {word}")?;
        }
        self.request_id.as_ref().map_or(Ok(()), |id| write!(f, " (request {id})"))
    }
}

/// How a request was lost.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// Nobody listens there, or the name is not known.
    #[error("no connection")]
    NoConnection,
    /// No whole answer in time.
    #[error("no answer in time")]
    Timeout,
    /// The connection ended in the middle.
    #[error("the connection ended in the middle")]
    Broken,
    /// The service failed.
    #[error("{0}")]
    Failed(Said),
    /// It points elsewhere; the key would go there.
    #[error("{0}, a redirection, which is not followed")]
    Redirected(Said),
}

/// What keeps an answer from being used. Field names are ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// Nothing in it.
    #[error("the answer is empty")]
    Empty,
    /// Longer than any answer can be.
    #[error("the answer is far too long")]
    Endless,
    /// No JSON object.
    #[error("the answer holds no JSON object")]
    NoObject,
    /// A field is missing.
    #[error("the field {0} is missing")]
    Missing(&'static str),
    /// A field that nobody asked for.
    #[error("there is a field that is not in the schema")]
    Unasked,
    /// A field holds something else than it should.
    #[error("the field {0} does not hold what the schema says")]
    Wrong(&'static str),
    /// A field is too long.
    #[error("the field {0} is too long")]
    TooLong(&'static str),
    /// A message is cited that was not in the question.
    #[error("the field {0} names a message that is not in the conversation")]
    UnknownMessage(&'static str),
    /// A link.
    #[error("the field {0} holds a link or an address of a web site, which is not allowed")]
    Link(&'static str),
    /// HTML or Markdown that a viewer might act upon.
    #[error("the field {0} holds markup, which is not allowed")]
    Markup(&'static str),
    /// A long run of characters that is no language.
    #[error("the field {0} holds a long run of encoded characters, which is not allowed")]
    Encoded(&'static str),
}

/// What an answer gave away that it must not know or must not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Leak {
    /// The token that stands in the instructions only.
    #[error("the token of the instructions")]
    Canary,
    /// The line that fences the chat.
    #[error("the boundary around the chat")]
    Boundary,
    /// A piece of the instructions.
    #[error("a piece of the instructions")]
    Instructions,
}

/// An analysis that gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AiError {
    /// The analyst panicked over this conversation: it would again.
    #[error("the built-in analyst failed on this conversation")]
    Panicked,
    /// The process is being stopped.
    #[error("the analysis was interrupted")]
    Interrupted,
    /// A file of prompts, or their folder, can't be used.
    #[error("{what} can't be used: {why}")]
    PromptUnusable {
        /// `the prompt` and its version, or `the folder of prompts` and its path.
        what: String,
        /// Why.
        why: &'static str,
    },
    /// The event wants a prompt that is not there.
    #[error("there is no prompt of version {version}")]
    PromptUnknown {
        /// Which.
        version: String,
    },
    /// No client for HTTP: mostly no certificates on this machine.
    #[error("no connection over TLS can be made from this machine")]
    NoClient,
    /// The service wants fewer requests.
    #[error("the AI service takes no more requests for now: {said}")]
    RateLimited {
        /// What it said.
        said: Said,
        /// When to come again.
        after: Option<Duration>,
    },
    /// Our own limit.
    #[error("the limit of AI_REQUESTS_PER_MINUTE is reached")]
    OwnLimit {
        /// When a place is free.
        after: Duration,
    },
    /// The account with the service is used up.
    #[error("the account with the AI service is used up: {said}")]
    QuotaExhausted {
        /// What it said.
        said: Said,
    },
    /// The key is refused.
    #[error("the AI service refuses the key: {said}")]
    Auth {
        /// What it said.
        said: Said,
    },
    /// The model, or the address.
    #[error("the AI service does not know the model {model}, or AI_API_URL leads elsewhere: {said}")]
    ModelUnknown {
        /// Which.
        model: String,
        /// What it said.
        said: Said,
    },
    /// The service can't be reached or fails.
    #[error("the AI service at {host} gives no answer: {lost}")]
    Unreachable {
        /// Where.
        host: String,
        /// How.
        lost: Lost,
        /// When to come again.
        after: Option<Duration>,
    },
    /// Too many calls failed or dragged on: it is left alone for a while.
    #[error(
        "the AI service is left alone for a while, because too many calls failed or took too long; the last failure: {code}"
    )]
    Resting {
        /// For how long.
        after: Duration,
        /// What the last failure was.
        code: Code,
    },
    /// What came is no answer of such a service.
    #[error("what came is no answer of an AI service ({what}): {said}")]
    NotAnAnswer {
        /// In which way.
        what: &'static str,
        /// The status.
        said: Said,
    },
    /// The question itself was refused.
    #[error("the AI service does not accept the question: {said}")]
    Rejected {
        /// What it said.
        said: Said,
    },
    /// The limit of the answer was reached before it was complete.
    #[error("the answer was cut off at {limit} tokens")]
    CutOff {
        /// The limit.
        limit: u32,
    },
    /// The model will not answer.
    #[error("the model refuses to answer about this conversation")]
    Refused,
    /// The answer can't be used, nor could the one after a complaint.
    #[error("the answer can't be used: {0}")]
    Invalid(Flaw),
    /// The answer gave something away: the conversation has taken the model over.
    #[error("the answer holds {0}; nothing of it was kept")]
    Quarantined(Leak),
    /// Keys and certificates are judged by the time.
    #[error("this machine's clock and that of the AI service differ by {minutes} minutes")]
    ClockOff {
        /// By how much; positive if ours is ahead.
        minutes: i64,
    },
}

impl AiError {
    /// Whether one more try at once may help.
    pub(super) const fn is_passing(&self) -> bool {
        matches!(self, Self::RateLimited { .. } | Self::NotAnAnswer { .. })
            || matches!(
                self,
                Self::Unreachable { lost: Lost::NoConnection | Lost::Timeout | Lost::Broken | Lost::Failed(_), .. }
            )
    }

    /// Whether the service may have worked on it, and charge for it, without our hearing of it.
    pub(super) const fn may_cost(&self) -> bool {
        matches!(self, Self::Unreachable { lost: Lost::Timeout | Lost::Broken, .. } | Self::NotAnAnswer { .. })
    }

    /// What the other side wished for.
    pub(super) const fn wish(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { after, .. } | Self::Unreachable { after, .. } => *after,
            Self::OwnLimit { after } | Self::Resting { after, .. } => Some(*after),
            _ => None,
        }
    }
}

impl Fault for AiError {
    fn class(&self) -> Class {
        match self {
            Self::Interrupted | Self::NotAnAnswer { .. } | Self::Rejected { .. } => Class::RETRY,
            Self::RateLimited { after, .. } | Self::Unreachable { after, .. } => Class::Retryable { after: *after },
            Self::OwnLimit { after } | Self::Resting { after, .. } => Class::Retryable { after: Some(*after) },
            Self::QuotaExhausted { .. } | Self::Auth { .. } | Self::ModelUnknown { .. } | Self::ClockOff { .. } => {
                Class::Retryable { after: Some(UNTIL_MENDED) }
            }
            Self::Panicked
            | Self::PromptUnusable { .. }
            | Self::PromptUnknown { .. }
            | Self::NoClient
            | Self::CutOff { .. }
            | Self::Refused
            | Self::Invalid(_)
            | Self::Quarantined(_) => Class::Permanent,
        }
    }

    fn scope(&self) -> Scope {
        match self {
            Self::Panicked
            | Self::Interrupted
            | Self::PromptUnknown { .. }
            | Self::NotAnAnswer { .. }
            | Self::Rejected { .. }
            | Self::Unreachable { lost: Lost::Timeout | Lost::Broken | Lost::Failed(_), .. }
            | Self::CutOff { .. }
            | Self::Refused
            | Self::Invalid(_)
            | Self::Quarantined(_) => Scope::Event,
            Self::PromptUnusable { .. }
            | Self::NoClient
            | Self::RateLimited { .. }
            | Self::OwnLimit { .. }
            | Self::QuotaExhausted { .. }
            | Self::Auth { .. }
            | Self::ModelUnknown { .. }
            | Self::Unreachable { lost: Lost::NoConnection | Lost::Redirected(_), .. }
            | Self::Resting { .. }
            | Self::ClockOff { .. } => Scope::Process,
        }
    }

    fn code(&self) -> Code {
        match self {
            Self::Panicked => Code::Internal,
            Self::Interrupted => Code::Stopped,
            Self::PromptUnusable { .. } | Self::NoClient => Code::ConfigInvalid,
            Self::PromptUnknown { .. } => Code::EventInvalid,
            Self::RateLimited { .. } | Self::OwnLimit { .. } => Code::AiRateLimited,
            Self::QuotaExhausted { .. } => Code::AiQuotaExhausted,
            Self::Auth { .. } => Code::AiAuth,
            Self::ModelUnknown { .. } => Code::AiModelUnknown,
            Self::Unreachable { .. } => Code::AiUnreachable,
            Self::Resting { code, .. } => *code,
            Self::NotAnAnswer { .. } | Self::Invalid(_) => Code::AiInvalid,
            Self::Rejected { .. } => Code::AiRejected,
            Self::CutOff { .. } => Code::AiCutOff,
            Self::Refused => Code::AiRefused,
            Self::Quarantined(_) => Code::AiQuarantined,
            Self::ClockOff { .. } => Code::ClockOff,
        }
    }

    fn action(&self) -> String {
        match self {
            Self::PromptUnusable { .. } => {
                "Correct AI_PROMPTS_DIR or the file in it, or name another AI_PROMPT_VERSION.".to_owned()
            }
            Self::PromptUnknown { .. } => {
                "Put the prompt back into AI_PROMPTS_DIR and start again, then replay the dead letter.".to_owned()
            }
            Self::NoClient => "Install the system's certificates (Debian: apt-get install ca-certificates).".to_owned(),
            Self::Unreachable { lost: Lost::Redirected(_), .. } => {
                "Set AI_API_URL to the address that it leads to, up to /v1.".to_owned()
            }
            Self::OwnLimit { .. } => {
                "Nothing: it waits. Raise AI_REQUESTS_PER_MINUTE if the service allows more.".to_owned()
            }
            _ => self.code().action().to_owned(),
        }
    }
}
