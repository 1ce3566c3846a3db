//! What happens to kept logins. Target: `chatferry::collect`. Never a word of what is in them.

use tracing::warn;

use super::Occurrence;
use crate::domain::AccountId;
use crate::fault::{AnyFault, Code};
use crate::telemetry::Counters;
use crate::telemetry::counters::add;

/// A restart would cost a login.
#[derive(Debug)]
pub struct SessionNotSaved<'o> {
    /// Which account.
    pub account: &'o AccountId,
    /// How we know.
    pub reason: &'o str,
}

impl Occurrence for SessionNotSaved<'_> {
    fn emit(self, counters: &Counters) {
        add(&counters.sessions_lost, 1);
        let code = Code::SessionNotSaved;
        warn!(
            target: "chatferry::collect",
            {
                account.id = %self.account, error.code = code.as_str(), reason = self.reason,
                action = code.action(),
            },
            "session would not survive a restart"
        );
    }
}

/// What was kept can't be used.
#[derive(Debug)]
pub struct SessionUnreadable<'o> {
    /// Which account.
    pub account: &'o AccountId,
    /// Why.
    pub fault: &'o AnyFault,
}

impl Occurrence for SessionUnreadable<'_> {
    fn emit(self, counters: &Counters) {
        add(&counters.sessions_lost, 1);
        warn!(
            target: "chatferry::collect",
            {
                account.id = %self.account, error.code = self.fault.code().as_str(), error = self.fault.chain(),
                action = self.fault.action(),
            },
            "kept session can't be used"
        );
    }
}
