//! The states of an account: failure is a state with a name, a cause and something to do.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::AccountId;
use crate::fault::Code;

/// Where an account stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AccountState {
    /// The browser is being started.
    Starting,
    /// The login form is being filled in.
    LoggingIn,
    /// Histories are being read.
    Backfilling,
    /// Everything that could be seen was seen in the last pass.
    Live,
    /// The page shows news that is not stored.
    Stale,
    /// A passing fault; the next try has a time.
    Backoff,
    /// A human must act.
    Parked,
    /// Asked to stop.
    Stopped,
}

impl AccountState {
    /// Every state.
    pub const ALL: [Self; 8] = [
        Self::Starting,
        Self::LoggingIn,
        Self::Backfilling,
        Self::Live,
        Self::Stale,
        Self::Backoff,
        Self::Parked,
        Self::Stopped,
    ];

    /// The word used in metrics, the store and the sheet.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::LoggingIn => "logging_in",
            Self::Backfilling => "backfilling",
            Self::Live => "live",
            Self::Stale => "stale",
            Self::Backoff => "backoff",
            Self::Parked => "parked",
            Self::Stopped => "stopped",
        }
    }

    /// The state of this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

/// The state of one account, with everything that a human needs to understand it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountStatus {
    /// Which account.
    pub account: AccountId,
    /// Where it stands.
    pub state: AccountState,
    /// Since when.
    pub since: Timestamp,
    /// The cause, if something went wrong.
    pub code: Option<Code>,
    /// A sentence for a human.
    pub sentence: String,
    /// What a human should do, if anything.
    pub action: Option<String>,
    /// After this time the status itself is out of date.
    pub expires_at: Timestamp,
    /// When a pass was last completed.
    pub last_pass_at: Option<Timestamp>,
}
