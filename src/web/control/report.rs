//! How everything is, for `chatferry status`: every account with what is wrong with it, and what waits.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::domain::{AccountId, AccountStatus, Trouble};

/// An account that was set up has reported by then, however slow its first browser was.
const FIRST_WORD: SignedDuration = SignedDuration::from_mins(5);

/// One account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountReport {
    /// Its state.
    #[serde(flatten)]
    pub status: AccountStatus,
    /// What is wrong with it, if anything is.
    pub trouble: Option<Trouble>,
    /// The state itself is out of date.
    pub out_of_date: bool,
}

impl AccountReport {
    /// The report of a state at a time.
    pub fn new(status: AccountStatus, now: Timestamp) -> Self {
        Self { trouble: status.trouble(now), out_of_date: status.is_out_of_date(now), status }
    }
}

/// Everything. A number that could not be read is `None`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusReport {
    /// The daemon's version.
    pub version: String,
    /// Since when it runs.
    pub started_at: Timestamp,
    /// When this was said.
    pub now: Timestamp,
    /// The accounts that are known; `None` if the store does not say.
    pub accounts: Option<Vec<AccountReport>>,
    /// Accounts that this daemon collects and that have not reported yet.
    pub unheard: Vec<AccountId>,
    /// Gaps that are open.
    pub open_gaps: Option<u64>,
    /// Dead letters that wait for a person.
    pub dead_letters: Option<u64>,
    /// Events in the spool that are not yet on the bus.
    pub waiting_in_spool: Option<u64>,
    /// All that is wrong, the gravest first, in the words of the status page.
    pub causes: Vec<String>,
}

impl StatusReport {
    /// True if no account needs anybody.
    pub fn is_well(&self) -> bool {
        let is_heard = self.unheard.is_empty() || self.now.duration_since(self.started_at) < FIRST_WORD;
        is_heard && self.accounts.as_ref().is_some_and(|accounts| accounts.iter().all(|one| one.trouble.is_none()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::AccountState;

    #[test]
    fn all_is_well_only_if_every_account_is_and_says_so() {
        let at = |minute: i64| Timestamp::from_second(minute * 60).unwrap();
        let status = |state| AccountStatus {
            account: "demo/default".parse().unwrap(),
            state,
            since: at(0),
            code: None,
            sentence: String::new(),
            action: None,
            expires_at: at(60),
            last_pass_at: None,
        };
        let report = |accounts: Option<Vec<AccountState>>, unheard: bool, minute| StatusReport {
            version: String::new(),
            started_at: at(0),
            now: at(minute),
            accounts: accounts
                .map(|all| all.into_iter().map(|one| AccountReport::new(status(one), at(minute))).collect()),
            unheard: if unheard { vec!["demo/two".parse().unwrap()] } else { Vec::new() },
            open_gaps: None,
            dead_letters: None,
            waiting_in_spool: None,
            causes: Vec::new(),
        };
        let live = || Some(vec![AccountState::Live]);
        assert!(report(live(), false, 9).is_well());
        assert!(report(live(), true, 4).is_well() && !report(live(), true, 9).is_well());
        assert!(!report(None, false, 9).is_well());
        assert!(!report(Some(vec![AccountState::Live, AccountState::Parked]), false, 9).is_well());
        assert!(!report(live(), false, 61).is_well(), "its word has run out");
        let written = serde_json::to_string(&report(live(), true, 9)).unwrap();
        assert_eq!(serde_json::from_str::<StatusReport>(&written).unwrap(), report(live(), true, 9));
    }
}
