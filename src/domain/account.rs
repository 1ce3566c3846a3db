//! The states of an account: failure is a state with a name, a cause and something to do.

use jiff::{SignedDuration, Timestamp};
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

/// Backoff is nobody's business for so long after the last completed pass.
const PATIENCE: SignedDuration = SignedDuration::from_mins(15);

/// Why an account needs somebody to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trouble {
    /// A human must act.
    Parked,
    /// The page shows news that is not stored.
    Stale,
    /// It has been failing for long.
    Failing,
    /// It has not reported for longer than it promised.
    Silent,
}

impl Trouble {
    /// The words for a person.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Parked => "waits for you",
            Self::Stale => "stale",
            Self::Failing => "fails again and again",
            Self::Silent => "has stopped reporting",
        }
    }
}

impl AccountStatus {
    /// True if the status promised to be renewed by now and was not.
    pub fn is_out_of_date(&self, now: Timestamp) -> bool {
        self.expires_at < now
    }

    /// True if a person has paused the account.
    pub fn is_paused(&self) -> bool {
        self.state == AccountState::Stopped && self.code == Some(Code::Paused)
    }

    /// What is wrong with the account at `now`, if anything is.
    pub fn trouble(&self, now: Timestamp) -> Option<Trouble> {
        match self.state {
            AccountState::Parked => Some(Trouble::Parked),
            _ if self.is_paused() => None,
            // Nobody collects it any more, on purpose: that does not go out of date.
            AccountState::Stopped if self.code == Some(Code::Stopped) => None,
            _ if self.is_out_of_date(now) => Some(Trouble::Silent),
            AccountState::Stale => Some(Trouble::Stale),
            AccountState::Backoff => {
                let is_recent = |at: Timestamp| now.duration_since(at) <= PATIENCE;
                (!self.last_pass_at.is_some_and(is_recent)).then_some(Trouble::Failing)
            }
            AccountState::Starting
            | AccountState::LoggingIn
            | AccountState::Backfilling
            | AccountState::Live
            | AccountState::Stopped => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_somebody_is_told_from_what_passes() {
        let at = |minute: i64| Timestamp::from_second(minute * 60).unwrap();
        let trouble = |change: fn(&mut AccountStatus)| {
            let mut status = AccountStatus {
                account: "demo/default".parse().unwrap(),
                state: AccountState::Live,
                since: at(0),
                code: None,
                sentence: String::new(),
                action: None,
                expires_at: at(61),
                last_pass_at: Some(at(50)),
            };
            change(&mut status);
            status.trouble(at(60))
        };
        assert_eq!(trouble(|_| ()), None);
        assert_eq!(trouble(|status| status.expires_at = status.since), Some(Trouble::Silent));
        assert_eq!(trouble(|status| status.state = AccountState::Stale), Some(Trouble::Stale));
        assert_eq!(trouble(|status| status.state = AccountState::Backoff), None);
        assert_eq!(
            trouble(|status| {
                status.state = AccountState::Backoff;
                status.last_pass_at = None;
            }),
            Some(Trouble::Failing)
        );
        assert_eq!(
            trouble(|status| {
                status.state = AccountState::Parked;
                status.expires_at = status.since;
            }),
            Some(Trouble::Parked),
            "a park does not end by getting old"
        );
        let pause = |status: &mut AccountStatus| {
            status.state = AccountState::Stopped;
            status.code = Some(Code::Paused);
            status.expires_at = status.since;
        };
        assert_eq!(trouble(pause), None);
    }
}
