//! What happens around an account. Target: `chatferry::collect`.

use std::time::Duration;

use tracing::{debug, info, warn};

use super::{Occurrence, milliseconds};
use crate::domain::{AccountId, AccountState, AccountStatus, ConversationKey, GapReason};
use crate::fault::{AnyFault, Code};
use crate::telemetry::Counters;
use crate::telemetry::counters::add;
use crate::telemetry::metrics::catalogue as m;

/// An account is in another state than before. A warning where a human should look.
#[derive(Debug)]
pub struct AccountStateChanged<'o> {
    /// Where it stands now.
    pub status: &'o AccountStatus,
    /// It flips to and fro: counted, and told to nobody.
    pub is_held: bool,
}

impl Occurrence for AccountStateChanged<'_> {
    fn emit(self, counters: &Counters) {
        let AccountStatus { account, state, code, sentence, action, .. } = self.status;
        add(&counters.account_changes, 1);
        counters.series.add(&m::ACCOUNT_CHANGES, &[state.as_str()], 1);
        let (state_word, code, action) = (state.as_str(), code.map(Code::as_str), action.as_deref());
        match state {
            _ if self.is_held => {
                debug!(
                    target: "chatferry::collect",
                    { account.id = %account, account.state = state_word, error.code = code, reason = sentence },
                    "account changed again"
                );
            }
            AccountState::Parked | AccountState::Stale | AccountState::Backoff => {
                warn!(
                    target: "chatferry::collect",
                    {
                        account.id = %account, account.state = state_word, error.code = code, reason = sentence,
                        action,
                    },
                    "account changed"
                );
            }
            AccountState::Starting
            | AccountState::LoggingIn
            | AccountState::Backfilling
            | AccountState::Live
            | AccountState::Stopped => {
                info!(
                    target: "chatferry::collect",
                    { account.id = %account, account.state = state_word, error.code = code, reason = sentence },
                    "account changed"
                );
            }
        }
    }
}

/// An account flips to and fro: its changes are held back from now on, or were until now.
#[derive(Debug)]
pub struct AccountFlaps<'o> {
    /// Which account.
    pub account: &'o AccountId,
    /// How many changes were held back.
    pub held: u64,
    /// True if that is over.
    pub is_over: bool,
}

impl Occurrence for AccountFlaps<'_> {
    fn emit(self, counters: &Counters) {
        let Self { account, held, is_over } = self;
        add(&counters.account_flaps, u64::from(!is_over));
        if is_over {
            info!(target: "chatferry::collect", { account.id = %account, held }, "account changes were held back");
        } else {
            warn!(target: "chatferry::collect", { account.id = %account, held }, "account flips to and fro; its changes are held back");
        }
    }
}

/// The login form is about to be sent.
#[derive(Debug)]
pub struct LoginAttempted<'o> {
    /// Which account.
    pub account: &'o AccountId,
}

impl Occurrence for LoginAttempted<'_> {
    fn emit(self, counters: &Counters) {
        add(&counters.logins_attempted, 1);
        info!(
            target: "chatferry::collect",
            { account.id = %self.account },
            "login attempted"
        );
    }
}

/// Everything that could be seen was seen.
#[derive(Debug)]
pub struct PassCompleted<'o> {
    /// Which account.
    pub account: &'o AccountId,
    /// Conversations in the list.
    pub conversations: u64,
    /// Messages that were new.
    pub new_messages: u64,
    /// How long it took.
    pub duration: Duration,
}

impl Occurrence for PassCompleted<'_> {
    fn emit(self, counters: &Counters) {
        let Self { account, conversations, new_messages, duration } = self;
        add(&counters.passes_completed, 1);
        let duration_ms = milliseconds(duration);
        info!(
            target: "chatferry::collect",
            { account.id = %account, conversations, new_messages, duration_ms },
            "pass completed"
        );
    }
}

/// A pass ended before everything was seen.
#[derive(Debug)]
pub struct PassFailed<'o> {
    /// Which account.
    pub account: &'o AccountId,
    /// Why.
    pub fault: &'o AnyFault,
}

impl Occurrence for PassFailed<'_> {
    fn emit(self, counters: &Counters) {
        let Self { account, fault } = self;
        add(&counters.passes_failed, 1);
        warn!(
            target: "chatferry::collect",
            {
                account.id = %account, error.code = fault.code().as_str(), error.class = fault.class().as_str(),
                error.scope = fault.scope().as_str(), error = fault.chain(),
            },
            "pass failed"
        );
    }
}

/// A conversation was opened and read.
#[derive(Debug)]
pub struct ConversationRead<'o> {
    /// Which account.
    pub account: &'o AccountId,
    /// Which conversation; its key, never its title.
    pub conversation: ConversationKey,
    /// Messages that were seen.
    pub messages: u64,
    /// Those of them that were new.
    pub new: u64,
}

impl Occurrence for ConversationRead<'_> {
    fn emit(self, counters: &Counters) {
        let Self { account, conversation, messages, new } = self;
        add(&counters.conversations_read, 1);
        add(&counters.messages_collected, new);
        debug!(
            target: "chatferry::collect",
            { account.id = %account, conversation.id = %conversation, messages, new },
            "conversation read"
        );
    }
}

/// A field's first selector matched nothing, but a later alternative did.
#[derive(Debug)]
pub struct SelectorFellBack<'o> {
    /// Which account.
    pub account: &'o AccountId,
    /// The query as in the pack: `messages.text`.
    pub field: &'o str,
    /// Which alternative matched, counted from 0.
    pub alternative: u32,
}

impl Occurrence for SelectorFellBack<'_> {
    fn emit(self, counters: &Counters) {
        let Self { account, field, alternative } = self;
        add(&counters.selector_fallbacks, 1);
        warn!(
            target: "chatferry::collect",
            {
                account.id = %account, selector.field = field, selector.alternative = alternative,
                error.code = Code::SelectorsDrifted.as_str(),
            },
            "selector fell back"
        );
    }
}

/// An interval could not be seen.
#[derive(Debug)]
pub struct GapRecorded<'o> {
    /// Which account.
    pub account: &'o AccountId,
    /// Which conversation; `None`: all of them.
    pub conversation: Option<ConversationKey>,
    /// Why.
    pub reason: GapReason,
}

impl Occurrence for GapRecorded<'_> {
    fn emit(self, counters: &Counters) {
        let Self { account, conversation, reason } = self;
        add(&counters.gaps_recorded, 1);
        let conversation = conversation.map(|key| key.to_string());
        warn!(
            target: "chatferry::collect",
            { account.id = %account, conversation.id = conversation, gap.reason = reason.as_str() },
            "gap recorded"
        );
    }
}

/// Rows of a conversation that hold neither text nor attachment, or lack a required id: left out.
#[derive(Debug)]
pub struct RowsLeftOut<'o> {
    /// Which account.
    pub account: &'o AccountId,
    /// Which conversation.
    pub conversation: ConversationKey,
    /// How many.
    pub rows: u64,
}

impl Occurrence for RowsLeftOut<'_> {
    fn emit(self, counters: &Counters) {
        let Self { account, conversation, rows } = self;
        add(&counters.rows_left_out, rows);
        warn!(
            target: "chatferry::collect",
            { account.id = %account, conversation.id = %conversation, rows },
            "rows without content were left out"
        );
    }
}

/// Another process collects the account; this one stands by.
#[derive(Debug)]
pub struct AccountHeldElsewhere<'o> {
    /// Which account.
    pub account: &'o AccountId,
    /// Who holds it, if the store could still tell.
    pub holder: Option<&'o str>,
}

impl Occurrence for AccountHeldElsewhere<'_> {
    fn emit(self, counters: &Counters) {
        let Self { account, holder } = self;
        add(&counters.accounts_held_elsewhere, 1);
        info!(target: "chatferry::collect", { account.id = %account, lease.owner = holder }, "account held elsewhere");
    }
}

/// A lease was taken or lost, or could not be kept as it should.
#[derive(Debug)]
pub struct LeaseChanged<'o> {
    /// Of which account.
    pub account: &'o AccountId,
    /// Its epoch, if there is one.
    pub epoch: Option<u64>,
    /// What became of it.
    pub what: &'static str,
    /// Why, if something failed.
    pub fault: Option<&'o AnyFault>,
}

impl Occurrence for LeaseChanged<'_> {
    fn emit(self, counters: &Counters) {
        let Self { account, epoch, what, fault } = self;
        add(&counters.lease_changes, 1);
        let code = fault.map(|fault| fault.code().as_str());
        match what {
            "taken" => {
                info!(target: "chatferry::collect", { account.id = %account, lease.epoch = epoch, lease.change = what }, "lease changed");
            }
            _ => {
                warn!(
                    target: "chatferry::collect",
                    { account.id = %account, lease.epoch = epoch, lease.change = what, error.code = code },
                    "lease changed"
                );
            }
        }
    }
}
