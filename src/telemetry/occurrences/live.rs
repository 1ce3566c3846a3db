//! What happens while an account is watched. Target: `chatferry::live`.

use tracing::{debug, warn};

use super::Occurrence;
use crate::domain::{AccountId, ConversationKey};
use crate::fault::Code;
use crate::telemetry::Counters;
use crate::telemetry::counters::add;

/// The page told something that can't be read; it is read as a whole instead.
#[derive(Debug)]
pub struct TellingUnreadable {
    /// How long it was.
    pub bytes: usize,
}

impl Occurrence for TellingUnreadable {
    fn emit(self, counters: &Counters) {
        add(&counters.tellings_unreadable, 1);
        warn!(target: "chatferry::live", { bytes = self.bytes }, "telling unreadable");
    }
}

/// The page told news of the open conversation, and it is in the spool.
#[derive(Debug)]
pub struct NewsTold<'o> {
    /// Which account.
    pub account: &'o AccountId,
    /// Which conversation.
    pub conversation: ConversationKey,
    /// Messages that are new or changed.
    pub messages: u64,
}

impl Occurrence for NewsTold<'_> {
    fn emit(self, counters: &Counters) {
        let Self { account, conversation, messages } = self;
        add(&counters.messages_told, messages);
        debug!(target: "chatferry::live", { account.id = %account, conversation.id = %conversation, messages }, "news told");
    }
}

/// A sweep found messages that watching had missed.
#[derive(Debug)]
pub struct LiveMissed<'o> {
    /// Which account.
    pub account: &'o AccountId,
    /// Which conversation.
    pub conversation: ConversationKey,
    /// How many.
    pub messages: u64,
}

impl Occurrence for LiveMissed<'_> {
    fn emit(self, counters: &Counters) {
        let Self { account, conversation, messages } = self;
        add(&counters.live_missed, messages);
        warn!(target: "chatferry::live", { account.id = %account, conversation.id = %conversation, messages }, "live missed messages");
    }
}

/// An account looks as if it were no longer fed.
#[derive(Debug)]
pub struct StaleSuspected<'o> {
    /// Which account.
    pub account: &'o AccountId,
    /// By what.
    pub code: Code,
}

impl Occurrence for StaleSuspected<'_> {
    fn emit(self, counters: &Counters) {
        let Self { account, code } = self;
        add(&counters.stale_suspected, 1);
        warn!(target: "chatferry::live", { account.id = %account, error.code = code.as_str() }, "stale suspected");
    }
}

/// An account is stale: the reload has not helped.
#[derive(Debug)]
pub struct StaleFound<'o> {
    /// Which account.
    pub account: &'o AccountId,
    /// By what.
    pub code: Code,
}

impl Occurrence for StaleFound<'_> {
    fn emit(self, counters: &Counters) {
        let Self { account, code } = self;
        add(&counters.stale_found, 1);
        warn!(target: "chatferry::live", { account.id = %account, error.code = code.as_str() }, "account stale");
    }
}
