//! The control socket: orders and questions of a person at the command line, one line of JSON each way.
//!
//! It lies in the data directory, which is its owner's alone, and so is the socket. Every request is short,
//! every answer comes within a bounded time, and a code that is handed through is written down nowhere.

mod report;
mod serve;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::fault::AnyFault;

pub use report::{AccountReport, StatusReport};
pub use serve::{Control, ControlSocket};

/// Longest request, in bytes with its line break.
pub const LONGEST_REQUEST: u64 = 4096;

/// What is asked. Has no `Debug`: it may hold a code.
#[derive(Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// How everything is.
    Status,
    /// [`crate::ports::control::Order::Pause`].
    Pause {
        /// The account's name.
        account: String,
    },
    /// [`crate::ports::control::Order::Resume`].
    Resume {
        /// The account's name.
        account: String,
    },
    /// [`crate::ports::control::Order::Recollect`].
    Recollect {
        /// The account's name.
        account: String,
        /// Only what was active since then.
        since: Option<Timestamp>,
    },
    /// [`crate::ports::control::Order::Answer`].
    Answer {
        /// The account's name.
        account: String,
        /// The one-time code.
        code: String,
    },
}

/// What is answered.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// How everything is.
    Status(Box<StatusReport>),
    /// The order was taken: what will happen.
    Done(String),
    /// It was not.
    Refused {
        /// The failure's name.
        code: String,
        /// Why.
        sentence: String,
        /// What to do.
        action: String,
    },
}

impl From<AnyFault> for Reply {
    fn from(fault: AnyFault) -> Self {
        Self::Refused { code: fault.code().to_string(), sentence: fault.chain(), action: fault.action() }
    }
}
